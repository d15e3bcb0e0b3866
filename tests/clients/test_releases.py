"""The clients' releases stand in one file: ``src/ccsetup/clients/releases.py``."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

from support import client_install

from ccsetup.clients import CLIENTS, releases

ROOT = Path(__file__).parents[2]
NEWEST = (releases.CLAUDE_CODE[0], releases.CODEX[0])


def test_what_is_installed_assumed_and_said() -> None:
    """Tests install these releases; the newest is what is assumed, and what a test of a provider says that it is."""
    assert client_install.pinned("claude-code") == releases.CLAUDE_CODE
    assert client_install.pinned("codex") == releases.CODEX
    assert [".".join(map(str, CLIENTS[c].newest)) for c in ("claude-code", "codex")] == list(NEWEST)
    assert CLIENTS["claude-code"].user_agent.startswith(f"claude-cli/{NEWEST[0]} ")
    assert CLIENTS["codex"].user_agent == f"codex_exec/{NEWEST[1]}"


def test_the_newest_stand_nowhere_else() -> None:
    """Moving to another release is an edit of that file: no other code names the newest; observations may."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "*.py"], check=True, capture_output=True, text=True)
    found = []
    for name in listed.stdout.split():
        file = ROOT / name
        text = file.read_text("utf-8") if file.is_file() else ""
        if name != "src/ccsetup/clients/releases.py" and any(version in text for version in NEWEST):
            found += [f"{name}:{line}" for line in _named(ast.parse(text))]
    assert found == []


def _named(tree: ast.Module) -> list[int]:
    """Return the lines on which a text that is no docstring holds a newest version."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
        if any(version in node.value for version in NEWEST)
    ]
