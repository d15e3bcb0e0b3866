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
from ccsetup.clients import claude

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
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home)}
    subprocess.run([sys.executable, "-m", "ccsetup", *args], env=environment, check=True, capture_output=True)


def keys(table: dict[str, Any], *path: str) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from keys(value, *path, key)
        else:
            yield ".".join((*path, key))


@pytest.mark.parametrize("version", ["0.104.0", "0.133.0", "0.169.0"])
@pytest.mark.parametrize("storage", ["inline", "env", "command"])
def test_every_codex_setting_is_explained(home: Path, version: str, storage: str) -> None:
    """What init writes into config.toml has its reason in docs/explanation/settings.md."""
    if (version, storage) == ("0.104.0", "command"):
        pytest.skip("Codex 0.118 and later")
    run(home, "init", "-s", "-p", "glm", "-k", "sk-0123456789", "-T", "codex", "--key-storage", storage,
        "--codex-version", version)  # fmt: skip
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
    """The Chinese README shows the same commands as the English one."""

    def blocks(page: str) -> list[str]:
        return re.findall(r"^```.*?^```$", (ROOT / page).read_text("utf-8"), re.M | re.S)

    assert blocks("README.zh-CN.md") == blocks("README.md")


def test_readme_test_command_is_what_ci_runs() -> None:
    """.ci/run calls the command that the README gives."""
    assert "\npython3 tools/check.py\n" in (ROOT / "README.md").read_text("utf-8")
    assert "exec python3 tools/check.py" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
