"""Makes the homes of ``tests/data/homes`` with the program as it is now.

    .venv/bin/python tests/support/homes_make.py 2026-11-27

writes ``tests/data/homes/2026-11-27/<name>/`` for every recipe below, and refuses where the label is there already:
homes of a version stay as that version left them.  A change of what is written gets new homes under a new label, and
new recipes where something new can be saved.  ``--source FOLDER`` takes the package ``ccsetup`` in FOLDER instead of
this one.  Then ``CCSETUP_UPDATE_GOLDEN=1 .venv/bin/pytest tests/sessions/test_homes.py`` writes what is expected of
them.

The clients are stand-ins that only tell their version.  Ports are made up afterwards, so that they do not depend on
what was free.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
from support import cc, homes
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS
from support.provider import Provider

RELAY_PORT, UPSTREAM_PORT = "41414", "41415"
"""What stands in the kept files for the ports that were free."""

KEYS = {name: f"sk-{name}-0123456789abcdefghij" for name in ("glm", "moon", "open", "ring", "vault", "local", "shop")}

CLAUDE_SETTINGS = """\
{
  "permissions": {
    "allow": ["Bash(ls:*)"],
    "deny": []
  },
  "env": {
    "EDITOR": "vi"
  }
}
"""
CLAUDE_JSON = '{\n  "numStartups": 3,\n  "theme": "dark",\n  "projects": {}\n}\n'
CODEX_CONFIG = """\
# My own settings.
model = "gpt-6.2-sol"
model_reasoning_effort = "high"   # think

[mcp_servers.notes]
command = "notes-server"
args = ["--stdio"]
"""


class Recipe(NamedTuple):
    """How a home is made."""

    name: str
    clients: Mapping[str, str]
    steps: Sequence[str]
    """Arguments of ccsetup; ``{KEY}`` is the key called so, ``{upstream}`` a provider on loopback.  ``in shop:`` before
    them runs them in the folder ``code/shop``; ``request`` sends one through the relay, ``kill relay`` ends it."""
    active: Mapping[str, str]
    env: Mapping[str, str] = {}
    own: Mapping[str, str] = {
        ".claude/settings.json": CLAUDE_SETTINGS,
        ".claude.json": CLAUDE_JSON,
        ".codex/config.toml": CODEX_CONFIG,
    }
    """Files that were there before."""


_NEWEST = {"claude": CLAUDE_VERSIONS[0], "codex": CODEX_VERSIONS[0]}
_LOCAL = (
    "init -s -p custom -n local -k {local} --claude-url {upstream} --codex-url {upstream}/v1 -M local-model -T all "
    "--no-activate"
)
_PROFILES = (
    "init -s -p glm -k {glm} -T all",
    "init -s -p kimi -n moon -k {moon} -T all --key-storage command",
    "init -s -p deepseek -n deep -T all --key-storage env --key-env-name DEEP_KEY --no-activate",
    "init -s -p openrouter -n open -k {open} -T codex --key-storage dotenv --key-env-name OPEN_KEY --no-activate",
    "init -s -p minimax -n ring -k {ring} -T all --key-storage keyring --no-activate",
    "init -s -p glm -n vault --api-key-command 'cat \"$HOME/vault\"' -T all --no-activate",
    _LOCAL,
)
_RELAY = (
    "relay init --from-profiles local,glm --port {port}",
    "relay key add alice --json",
    "relay start --no-service",
    "request",
    "request",
)

RECIPES = (
    Recipe(
        "both",
        _NEWEST,
        (
            *_PROFILES,
            "config-switch open -T codex",
            "undo",
            "in shop: init -s -p glm -n shop -k {shop} --project",
            *_RELAY,
            "relay stop",
            "config-switch glm",
        ),
        {"claude-code": "glm", "codex": "glm"},
    ),
    Recipe(
        "both-old-codex",
        {**_NEWEST, "codex": CODEX_VERSIONS[-1]},
        (*_PROFILES, "config-switch ring", "config-switch deep -T codex"),
        {"claude-code": "ring", "codex": "deep"},
    ),
    Recipe(
        "claude-only",
        {"claude": CLAUDE_VERSIONS[0]},
        (
            "init -s -p glm -k {glm}",
            "init -s -p kimi -n moon -k {moon} --key-storage command --no-activate",
            "init -s -p minimax -n ring -k {ring} --key-storage keyring",
            "config-switch official",
            "config-switch moon",
        ),
        {"claude-code": "moon"},
        own={".claude/settings.json": CLAUDE_SETTINGS, ".claude.json": CLAUDE_JSON},
    ),
    Recipe(
        "relay-in-use",
        _NEWEST,
        (
            "init -s -p glm -k {glm} -T all",
            _LOCAL,
            *_RELAY,
            "config-switch relay",
            "kill relay",
        ),
        {"claude-code": "relay", "codex": "relay"},
    ),
    Recipe(
        "moved-folders",
        _NEWEST,
        ("init -s -p glm -k {glm} -T all", "init -s -p kimi -n moon -k {moon} -T all"),
        {"claude-code": "moon", "codex": "moon"},
        env={"CLAUDE_CONFIG_DIR": "@HOME@/code/claude", "CODEX_HOME": "@HOME@/code/codex"},
        own={
            "code/claude/settings.json": CLAUDE_SETTINGS,
            "code/claude/.claude.json": CLAUDE_JSON,
            "code/codex/config.toml": CODEX_CONFIG,
        },
    ),
)


def make(recipe: Recipe, target: Path, source: str) -> None:
    """Carry *recipe* out in a home of its own, and keep that in *target*."""
    with tempfile.TemporaryDirectory(prefix="ccsetup-home-") as place, Provider() as provider:
        home = Path(place).resolve() / "home"
        cc.put(home, {**recipe.own, "vault": KEYS["vault"] + "\n", "code/shop/README": "A shop.\n"})
        homes.furnish(home, recipe.clients)
        env = homes.environment(home, recipe.env)
        env["PYTHONPATH"] = os.pathsep.join([source, env["PYTHONPATH"]])
        port = _free_port()
        upstream = provider.url()
        words = {**KEYS, "upstream": upstream, "port": port}
        key = ""
        for step in recipe.steps:
            if step == "request":
                _request(f"http://127.0.0.1:{port}", key)
            elif step == "kill relay":
                _kill(home / ".local/state/ccsetup/relay")
            else:
                where, _, argv = step.rpartition(": ")
                said = _run(home / "code/shop" if where == "in shop" else home, argv, words, env)
                if argv.startswith("relay key add"):
                    key = json.loads(said)["result"]["key"]
        ports = {port: RELAY_PORT, upstream.rpartition(":")[2]: UPSTREAM_PORT}
        _keep(recipe, home, target, ports)


def _run(folder: Path, step: str, words: Mapping[str, str], env: Mapping[str, str]) -> str:
    argv = [word.format(**words) for word in shlex.split(step)]
    # With the name of the installed program, which is what clients are told to ask for keys.
    program = "import sys; from ccsetup.cli import _run; del sys.argv[0]; sys.exit(_run.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(env["HOME"]) / homes.BIN / "ccsetup"), *argv],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"$ ccsetup {shlex.join(argv)}\n{done.stdout}{done.stderr}")
    if done.returncode not in (0, 5):
        raise SystemExit(f"exit code {done.returncode}")
    return done.stdout


def _request(url: str, key: str) -> None:
    body = {"model": "claude-sonnet-5", "max_tokens": 64, "messages": [{"role": "user", "content": "ping"}]}
    request = urllib.request.Request(
        url + "/v1/messages",
        json.dumps(body).encode(),
        {"x-api-key": key, "anthropic-version": "2023-06-01", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def _kill(state: Path) -> None:
    """End the relay by force, as soon as it has written its usage."""
    with contextlib.closing(sqlite3.connect(state / "usage.db")) as base:
        while not base.execute("SELECT count(*) FROM usage").fetchone()[0]:
            time.sleep(0.1)
    os.kill(json.loads((state / "run.json").read_text())["pid"], signal.SIGKILL)


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def _keep(recipe: Recipe, home: Path, target: Path, ports: Mapping[str, str]) -> None:
    modes = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_symlink() or (name + "/").startswith(homes.LAID_OUT) or name == ".local/share/claude":
            continue
        modes[name + ("/" if path.is_dir() else "")] = f"{stat.S_IMODE(path.stat().st_mode):o}"
        if path.is_dir():
            continue
        data = path.read_bytes()
        if homes.is_binary(data):
            assert str(home).encode() not in data, f"{name} is no text, and holds the path of the home"
        else:
            data = data.replace(str(home).encode(), homes.MARK)
            for port, made_up in ports.items():
                data = re.sub(rb"(?<!\d)" + port.encode() + rb"(?!\d)", made_up.encode(), data)
        kept = target / "files" / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(data)
    said = {"clients": recipe.clients, "env": recipe.env, "active": recipe.active, "modes": modes}
    (target / "home.json").write_text(json.dumps(said, indent=1) + "\n", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the homes that tests prove on, with the program as it is.")
    parser.add_argument("label", help="the day of this version, such as 2026-11-27")
    parser.add_argument("--source", default=cc.SOURCE, help="the folder that holds the package ccsetup")
    asked = parser.parse_args()
    target = homes.DATA / asked.label
    if target.exists():
        raise SystemExit(f"{target} is there: homes of a version stay as they are")
    for recipe in RECIPES:
        make(recipe, target / recipe.name, asked.source)


if __name__ == "__main__":
    main()
