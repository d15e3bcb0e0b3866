"""What ``undo`` says to people: what is used now, and when each change was made."""

from __future__ import annotations

import json
from pathlib import Path

from support import cc
from support.terminal import Terminal

KEY = "sk-undo-0123456789abcdef"


def three(home: Path) -> None:
    """Make three changes: two profiles, and a switch back to the first."""
    for name in ("one", "two"):
        assert cc.run(home, "init", "-s", "-p", "glm", "-n", name, "-k", KEY).ok
    assert cc.run(home, "config-switch", "one").ok


def test_undo_says_what_is_used_now(home: Path) -> None:
    """Each client that uses another profile now is named, and one that uses its own account again."""
    three(home)
    assert cc.run(home, "undo").stdout.splitlines()[-1] == "Claude Code uses profile 'two'."
    assert cc.run(home, "undo").stdout.splitlines()[-1] == "Claude Code uses profile 'one'."
    assert cc.run(home, "undo").stdout.splitlines()[-1] == "Claude Code uses its own account; no provider is set."
    assert "uses" not in cc.run(home, "undo", "--dry-run").stdout


def test_the_newest_change_is_first(home: Path) -> None:
    """A person reads how long ago; a program reads the time, oldest first as ever."""
    three(home)
    rows = cc.run(home, "undo", "--list").stdout.splitlines()
    assert [row.split()[0] for row in rows] == ["3", "2", "1"]
    assert all(" just now  " in row for row in rows)
    changes = json.loads(cc.run(home, "undo", "--list", "--json").stdout)["result"]["changes"]
    assert [change["id"] for change in changes] == ["1", "2", "3"]


def test_the_list_fits_a_terminal(home: Path) -> None:
    """No row is wider than the terminal: the files are cut."""
    three(home)
    with Terminal(home, "undo", "--list", size=(24, 80)) as terminal:
        assert terminal.ends() == 0
        assert max(map(len, terminal.text.splitlines())) <= 80
