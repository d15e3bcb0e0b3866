"""``ccsetup list`` says of Claude Code what counts in this folder and this shell, and not what one file says alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import cc

KEY = "abcdef0123456789abcdef0123456789.AbCdEfGhIjKlMnOp"
GLM = "https://open.bigmodel.cn/api/anthropic"
OTHER = {"ANTHROPIC_BASE_URL": "https://other.example", "ANTHROPIC_AUTH_TOKEN": "sk-other-0123456789abcdef"}
USER, PROJECT, LOCAL = ".claude/settings.json", "code/.claude/settings.json", "code/.claude/settings.local.json"
AWS = {"CLAUDE_CODE_USE_BEDROCK": "1"}
GIVEN = "(not set up by ccsetup: "

ROWS: list[tuple[bool, dict[str, str], dict[str, Any], str]] = [
    # whether a profile is used, variables of the shell, settings files, what is said
    (True, {}, {}, f"glm  glm-5.3  {GLM}"),
    (True, OTHER, {}, f"glm  glm-5.3  {GLM}"),  # the settings win
    (False, OTHER, {}, f"https://other.example {GIVEN}shell: ANTHROPIC_BASE_URL)"),
    (False, {**OTHER, "ANTHROPIC_BASE_URL": " "}, {}, "its own account (no provider set)"),
    (False, {}, {USER: {"env": OTHER}}, "https://other.example (not set up by ccsetup)"),
    (True, {}, {PROJECT: {"env": OTHER}}, f"https://other.example {GIVEN}~/code/.claude/settings.json:3)"),
    (False, {}, {PROJECT: {"env": OTHER}}, f"https://other.example {GIVEN}~/code/.claude/settings.json:3)"),
    (True, {}, {LOCAL: {"env": OTHER}}, f"https://other.example {GIVEN}~/code/.claude/settings.local.json:3)"),
    (
        False,
        {},
        {LOCAL: {"env": {"ANTHROPIC_BASE_URL": GLM, "ANTHROPIC_AUTH_TOKEN": KEY}}},
        f"glm  {GLM} (~/code/.claude/settings.local.json:3)",
    ),
    (True, {}, {LOCAL: {"env": {"ANTHROPIC_BASE_URL": ""}}}, "its own account (no provider set)"),
    (True, {}, {LOCAL: {"env": {"ANTHROPIC_MODEL": "mine"}}}, f"glm  mine  {GLM}"),
    (True, {}, {LOCAL: {"model": "mine"}}, f"glm  glm-5.3  {GLM}"),  # a variable wins
    (True, {}, {LOCAL: "{"}, f"glm  glm-5.3  {GLM}"),  # a broken file counts for nothing
    (True, {}, {LOCAL: {"env": OTHER, "cleanupPeriodDays": "x"}}, f"glm  glm-5.3  {GLM}"),
    (True, AWS, {}, "Amazon Bedrock (shell: CLAUDE_CODE_USE_BEDROCK)"),
    (False, AWS, {}, "Amazon Bedrock (shell: CLAUDE_CODE_USE_BEDROCK)"),
    (False, {"CLAUDE_CODE_USE_BEDROCK": "0"}, {}, "its own account (no provider set)"),
    (
        True,
        {},
        {PROJECT: {"env": {"CLAUDE_CODE_USE_VERTEX": True}}},
        "Google Vertex AI (~/code/.claude/settings.json:3)",
    ),
    (False, AWS, {LOCAL: {"env": {"CLAUDE_CODE_USE_BEDROCK": ""}}}, "its own account (no provider set)"),
    (
        False,
        {},
        {USER: {"env": OTHER, "model": 3}},
        "~/.claude/settings.json:6: 'model' has the wrong type. Claude Code ignores the whole file because of it.",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_what_claude_code_uses(home: Path, row: tuple[bool, dict[str, str], dict[str, Any], str]) -> None:
    """A profile is named where it is used, an address with the place that it comes from, and who beats both."""
    used, shell, files, expected = row
    cc.main("init", "-s", "-p", "glm", "-T", "cc", "-k", KEY, *(() if used else ("--no-activate",)))
    cc.put(home, {p: v if isinstance(v, str) else json.dumps(v, indent=1) for p, v in files.items()})
    (home / "code").mkdir(exist_ok=True)

    done = cc.run(home, "list", "-T", "cc", env=shell, cwd=home / "code")
    found = cc.run(home, "list", "-T", "cc", "--json", env=shell, cwd=home / "code").json["result"]

    assert done.stdout.splitlines()[0].rstrip() == f"Claude Code: {expected}"
    assert found["profiles"][0]["active"] == (["claude-code"] if expected.startswith("glm") else [])


def test_a_profile_of_the_folder_has_its_name(home: Path) -> None:
    """... there alone, also after a change by hand; elsewhere the user's own is named."""
    cc.main("init", "-s", "-p", "glm", "-T", "cc", "-k", KEY)
    cc.main("init", "-s", "-p", "glm", "-n", "second", "-T", "cc", "-k", KEY[::-1].replace(".", ".b"), "--no-activate")
    (home / "code").mkdir()
    cc.run(home, "config-switch", "second", "--project", cwd=home / "code")
    settings = home / LOCAL
    here = cc.run(home, "list", "-T", "cc", "--json", cwd=home / "code").json["result"]["clients"]["claude-code"]
    there = cc.run(home, "list", "-T", "cc", "--json", cwd=home).json["result"]["clients"]["claude-code"]
    assert (here["profile"], here["source"], here["changed"]) == (
        "second",
        "~/code/.claude/settings.local.json:3",
        False,
    )
    assert (there["profile"], there["source"]) == ("glm", "")
    settings.write_text(settings.read_text().replace(GLM, GLM + "/x"))
    here = cc.run(home, "list", "-T", "cc", "--json", cwd=home / "code").json["result"]["clients"]["claude-code"]
    assert (here["profile"], here["changed"]) == ("second", True)
