"""Many ccsetup processes at once, and other programs that write the same files: nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

from support import cc, waiting

RUNS = 30


def finish(processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait for all, and assert that each succeeded."""
    for process in processes:
        out, err = process.communicate(timeout=waiting.LIMIT)
        assert process.returncode == 0, (process.args, out.decode(), err.decode())


def key(number: int) -> str:
    return f"test-key-{number:02}-0123456789abcdef"


def check(home: Path) -> str:
    """Assert that both clients use one and the same profile, whole; return its name."""
    env = json.loads((home / ".claude/settings.json").read_text())["env"]
    config = tomllib.loads((home / ".codex/config.toml").read_text("utf-8"))
    record = json.loads((home / ".local/state/ccsetup/state.json").read_text())
    name = record["clients"]["codex"]["profile"]
    table = config["model_providers"]
    assert list(table) == ["ccsetup"] == [config["model_provider"]]
    mine = (home / f".config/ccsetup/keys/{name}").read_text()
    assert env["ANTHROPIC_AUTH_TOKEN"] == mine == table["ccsetup"]["experimental_bearer_token"]
    return str(name)


def test_thirty_inits_at_once(home: Path) -> None:
    """Every profile, key and profile file is there afterwards; both clients use the one that came last."""
    cc.put(
        home, {".claude/settings.json": '{"mine": 1}', ".codex/config.toml": "# mine\n", ".claude.json": '{"n": 1.0}'}
    )
    finish([cc.start(home, "init", "-s", "-p", "glm", "-n", f"p{i}", "-k", key(i), "-T", "all") for i in range(RUNS)])

    saved = tomllib.loads((home / ".config/ccsetup/profiles.toml").read_text("utf-8"))["profiles"]
    assert set(saved) == {f"p{i}" for i in range(RUNS)}
    for i in range(RUNS):
        assert (home / f".config/ccsetup/keys/p{i}").read_text() == key(i)
        profile = tomllib.loads((home / f".codex/p{i}.config.toml").read_text("utf-8"))
        assert profile["model_providers"][f"ccsetup-p{i}"]["experimental_bearer_token"] == key(i)
    check(home)
    assert json.loads((home / ".claude/settings.json").read_text())["mine"] == 1
    assert (home / ".codex/config.toml").read_text().startswith("# mine\n")
    assert (home / ".claude.json").read_text().startswith('{"n": 1.0')

    assert cc.run(home, "config-switch", "official").ok
    assert (home / ".claude/settings.json").read_text() == '{"mine": 1}'
    assert (home / ".codex/config.toml").read_text() == "# mine\n"


def test_thirty_switches_at_once(home: Path) -> None:
    """Whichever switch comes last, key, address and models of both clients belong together; the profiles stay."""
    names = ("glm", "kimi", "deepseek")
    for i, name in enumerate(names):
        assert cc.run(home, "init", "-s", "-p", name, "-k", key(i), "-T", "all").ok
    profiles = (home / ".config/ccsetup/profiles.toml").read_bytes()
    finish([cc.start(home, "config-switch", names[i % 3]) for i in range(RUNS)])
    assert check(home) in names
    assert (home / ".config/ccsetup/profiles.toml").read_bytes() == profiles


OTHER_PROGRAM = """
import json, os, sys, time
path, count = sys.argv[1], int(sys.argv[2])
for n in range(count):
    while True:  # as Claude Code: its lock folder, read, some time, write all of it
        try:
            os.mkdir(path + ".lock")
            break
        except FileExistsError:
            time.sleep(0.01)
    with open(path) as f:
        data = json.load(f)
    time.sleep(0.02)
    data["counter"] = data.get("counter", 0) + 1
    with open(path + ".tmp", "w") as f:
        json.dump(data, f)
    os.replace(path + ".tmp", path)
    os.rmdir(path + ".lock")
    time.sleep(0.1)
"""


def test_beside_a_program_that_rewrites_claude_json(home: Path) -> None:
    """Neither our approvals nor the other program's counter is lost, while both write ~/.claude.json."""
    cc.put(home, {".claude.json": "{}"})
    path = home / ".claude.json"
    argv = [sys.executable, "-c", OTHER_PROGRAM, str(path), "40"]
    other = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finish([cc.start(home, "init", "-s", "-p", "glm", "-n", f"p{i}", "-k", key(i), "-t", "api_key") for i in range(8)])
    finish([other])
    data = json.loads(path.read_text())
    assert data["counter"] == 40
    assert set(data["customApiKeyResponses"]["approved"]) == {key(i)[-20:] for i in range(8)}
    assert data["hasCompletedOnboarding"] is True
    assert not (home / ".claude.json.lock").exists()
