"""The documentation against the program: links, command lines, options, presets, settings.

Generated pages and the sessions in the text are compared by ``tools/docs.py --check``.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from support import tools

from ccsetup import presets
from ccsetup.cli._app import ALIASES, COMMANDS, app
from ccsetup.clients import releases
from ccsetup.clients.claude import facts as claude
from ccsetup.relay.config import model as relay_config
from ccsetup.relay.config import table as relay_table
from ccsetup.relay.serving import app as relay_app
from ccsetup.relay.serving import runtime
from ccsetup.relay.wire.messages import Dialect

ROOT = Path(__file__).resolve().parents[1]
docs = tools.load("docs")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SETTINGS = ROOT / "docs" / "explanation" / "settings.md"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower().replace("`", "")).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links(page: Path) -> None:
    """Every link inside the documentation leads to a file, and to a heading of it."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)\s]+)\)|\bsrc=\"([^\"]+)\"", text):
        link = target[0] or target[1]
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), link
        if anchor:
            assert anchor in anchors(found), link


def command_lines(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of every ``ccsetup`` that a page shows, in blocks and in the text."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"^```(sh|console)\n(.*?)^```$", text, re.M | re.S)
    lines = [
        line
        for kind, block in blocks
        for line in re.sub(r"\\\n", " ", block).splitlines()
        if kind == "sh" or line.startswith("$ ")
    ]
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    lines += [re.sub(r"\s+", " ", code) for code in re.findall(r"`(ccsetup [^`]*)`", prose)]
    for line in lines:
        for found in re.finditer(r"(?:^|[\s/])ccsetup (?=[a-z-])([^|;>&]*(?:'[^']*'[^|;>&]*)*)", line.split("#")[0]):
            yield shlex.split(found[1])


def spellings(command: str) -> set[str]:
    """Return all option names of a command ("": of the program itself)."""
    found: Any = typer.main.get_command(app)
    for name in command.split():
        found = found.get_command(None, name)
    context = typer.Context(found, info_name="ccsetup")
    return {o for p in found.get_params(context) for o in (*p.opts, *p.secondary_opts) if o.startswith("-")} | {"-h"}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_command_lines(page: Path) -> None:
    """Every command and option that a page shows exists."""
    for argv in command_lines(page):
        command = ""
        for word in argv:
            if word == "--":  # what follows is another program's
                break
            if not command and not word.startswith("-") and (word in COMMANDS or word in ALIASES):
                command = word
            elif f"{command} {word}" in docs.commands():
                command = f"{command} {word}"
            elif re.match(r"--?[a-zA-Z]", word):
                option = word.split("=")[0]
                assert option in spellings(command) | spellings(""), shlex.join(argv)
        first = next((w for w in argv if not w.startswith("-")), "")
        if first and first not in ("zh-CN", "en"):
            assert command, shlex.join(argv)


@pytest.mark.parametrize("command", ["", *docs.commands()])
def test_reference_has_every_option(command: str) -> None:
    """docs/reference/cli.md has every command with every option."""
    page = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")
    title = f"\n## ccsetup {command}".rstrip() + "\n"
    assert title in page
    section = page.split(title)[1].split("\n## ")[0]
    for option in spellings(command):
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", section), option


def test_every_preset_is_described() -> None:
    """docs/reference/providers.md has a section for every shipped preset."""
    assert {p.stem for p in (ROOT / "presets").glob("*.yaml")} <= anchors(ROOT / "docs" / "reference" / "providers.md")


def run(home: Path, *args: str) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    subprocess.run([sys.executable, "-m", "ccsetup", *args], env=environment, check=True, capture_output=True)


def keys(table: dict[str, Any], *path: str) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from keys(value, *path, key)
        else:
            yield ".".join((*path, key))


@pytest.mark.parametrize("version", ["0.104.0", "0.133.0", releases.CODEX[0]])
@pytest.mark.parametrize("storage", ["inline", "env", "command"])
def test_every_codex_setting_is_explained(home: Path, version: str, storage: str) -> None:
    """What init writes into config.toml has its reason in docs/explanation/settings.md."""
    if (version, storage) == ("0.104.0", "command"):
        pytest.skip("Codex 0.118 and later")
    key = () if storage == "env" else ("-k", "sk-0123456789")
    run(home, "init", "-s", "-p", "glm", *key, "-T", "codex", "--key-storage", storage, "--codex-version", version)
    text = SETTINGS.read_text("utf-8")
    config = tomllib.loads((home / ".codex" / "config.toml").read_text("utf-8"))
    config.pop("profiles", None)
    provider = config.pop("model_providers").popitem()[1]
    for key in {k.replace("mcp_servers.codex_tui.", "") for k in keys(config)} | {k.split(".")[0] for k in provider}:
        assert re.search(rf"`{re.escape(key)}\b", text), key


def test_every_claude_setting_is_explained(home: Path) -> None:
    """What init writes for Claude Code has its reason in settings.md, and so have all presets' variables."""
    text = SETTINGS.read_text("utf-8")
    names = {claude.BASE_URL, *claude.CREDENTIALS, *claude.MODELS, claude.CONTEXT, ".".join(claude.HELPER)}
    for summary in presets.summaries("")[0]:
        for region in presets.load(summary.id, "").regions:
            names.update(getattr(region.claude, "env", {}))
    run(home, "init", "-s", "-p", "anthropic", "-k", "sk-ant-0123456789abcdef")
    names.update(keys(json.loads((home / ".claude.json").read_text("utf-8"))))
    for key in names:
        assert f"`{key}`" in text, key


def test_language_of_the_readmes() -> None:
    """The Chinese README shows the same commands as the English one, with comments of its own."""

    def blocks(page: str) -> list[str]:
        text = re.sub(r" +# .*", "", (ROOT / page).read_text("utf-8"))
        return re.findall(r"^```.*?^```$", text, re.M | re.S)

    assert blocks("README.zh-CN.md") == blocks("README.md")


def test_readme_test_command_is_what_ci_runs() -> None:
    """.ci/run calls the command that the README gives."""
    assert "\npython3 tools/check.py\n" in (ROOT / "README.md").read_text("utf-8")
    assert "exec python3 tools/check.py" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("name", ["relay.service", "relay.Dockerfile"])
def test_commands_of_the_examples(name: str) -> None:
    """What the recipes for the relay call exists."""
    text = (ROOT / "examples" / name).read_text("utf-8")
    found = re.findall(r"ccsetup\"?,? \"?(relay\"?,? \"?\w+(?: add)?)", text)
    assert found
    assert {re.sub(r'[",]', "", command) for command in found} <= set(docs.commands())


# The relay's reference.

RELAY = ROOT / "docs" / "reference" / "relay.md"

_upstream = relay_config.Upstream("", {}, ())
_config = relay_config.Config(())
SECTIONS: dict[str, tuple[tuple[str, ...], Any]] = {
    # heading: the keys that the parser takes, and where their defaults are
    "The file": (tuple(relay_table.FILE.keys), _config),
    "listen": (relay_config.Listen._fields, relay_config.Listen()),
    "selection": (("strategy", "sticky"), _config),
    "retry": (relay_config.Retry._fields, relay_config.Retry()),
    "cooldown": (relay_config.Cooldown._fields, relay_config.Cooldown()),
    "failures": (relay_config.Rule._fields, relay_config.Rule("stop")._replace(action=None)),  # type: ignore[arg-type]
    "limits": (relay_config.Limits._fields, relay_config.Limits()),
    "store": (relay_config.StoreSettings._fields, relay_config.StoreSettings()),
    "upstreams": (tuple(relay_table.UPSTREAM.keys), _upstream._replace(auth=None)),  # type: ignore[arg-type]
    "key": (relay_table.KEY_KINDS, None),
    "windows": (("days", "from", "to"), None),
    "timeouts": (relay_config.Timeouts._fields, relay_config.Timeouts()),
    "prices": (relay_config.Price._fields, relay_config.Price(0, 0)._replace(input=None, output=None)),  # type: ignore[arg-type]
    "activation": (relay_config.Activation._fields, relay_config.Activation(())._replace(days=frozenset())),
    "dialect": (tuple(field for field in Dialect._fields if field != "said"), Dialect()),
}


def shown(value: Any) -> str:
    """Return a default as the tables show it."""
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    if isinstance(value, (int, float)):
        return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
    return f"`{value}`" if isinstance(value, str) and value else ""


@pytest.mark.parametrize("heading", SECTIONS)
def test_keys_of_the_relays_configuration(heading: str) -> None:
    """docs/reference/relay.md has every key that relay.yaml may have, with its default."""
    text = RELAY.read_text("utf-8")
    section = re.split(r"\n##", text.split(f"\n### {heading}\n")[1])[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*?) ?\|", section, re.M)
    keys, defaults = SECTIONS[heading]
    assert [name for name, _default in rows] == list(dict.fromkeys(name for name, _default in rows))
    assert {name for name, _default in rows} == set(keys)
    if defaults is not None:
        assert dict(rows) == {name: shown(getattr(defaults, name, None)) for name, _default in rows}


def test_paths_and_headers_of_the_relay() -> None:
    """docs/reference/relay.md has every path that the relay knows, and every header that it passes on."""
    text = RELAY.read_text("utf-8")
    paths = (*relay_app.INFERENCE, *relay_app._COUNTS, *relay_app._MODELS, *relay_app._HELLO)
    for path in (*paths, "/healthz", "/readyz", "/metrics"):
        assert re.search(rf"`{re.escape(path)}`", text), path
    for name in (*runtime._FORWARD, *runtime._FORWARD_BEGINS, b"anthropic-beta"):
        assert f"`{name.decode()}`" in text, name


def test_every_relay_table_is_filled() -> None:
    """What tools/docs.py knows about the relay stands in a page."""
    pages = "".join(page.read_text("utf-8") for page in PAGES)
    docs_relay = tools.load("docs_relay")
    assert set(re.findall(r"<!-- tools/docs\.py: (\w+) -->", pages)) == set(docs_relay.PARTS)
