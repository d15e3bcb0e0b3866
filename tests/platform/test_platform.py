"""What differs between systems is in one room."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import ccsetup
from ccsetup.platform import system

SOURCES = Path(ccsetup.__file__).parent
ROOM = SOURCES / "platform"

ASKS = re.compile(
    r"\bsys\.platform\b|\bos\.name\b|\bos\.uname\b|\bplatform\.system\b|\b(?:get|has)attr\((?:os|signal|socket), [\"']"
    r"|^\s*(?:import|from) (?:fcntl|msvcrt|termios|resource|winreg|pwd|grp|ctypes|platformdirs)\b",
    re.MULTILINE,
)
"""A question which system this is, and modules that not every system has."""


def names(module: str) -> set[str]:
    """Return the public names that a module of the room defines or takes from ``posix``."""
    found: set[str] = set()
    for node in ast.parse((ROOM / f"{module}.py").read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.ImportFrom) and node.module == "ccsetup.platform.posix":
            found |= names("posix")
    return {name for name in found if not name.startswith("_")} - {"based", "give_owner"}


def test_nothing_outside_the_room_asks_which_system_this_is() -> None:
    """Every other module calls what the room offers, whatever the system."""
    asking = {
        f"{path.relative_to(SOURCES)}: {found[0].strip()}"
        for path in SOURCES.rglob("*.py")
        if ROOM not in path.parents
        for found in ASKS.finditer(path.read_text("utf-8"))
    }
    assert asking == set()


def test_every_system_answers_to_the_same_names() -> None:
    """A function that is added for one system is not missing on another."""
    assert names("linux") == names("darwin") == names("windows")


def test_this_system_answers_to_them() -> None:
    """What was chosen has them all."""
    assert [name for name in sorted(names("linux")) if not hasattr(system, name)] == []


def test_a_child_is_alive_until_it_has_ended() -> None:
    """A process that ended and was waited for is not alive, and has no time of birth; we are and have."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert system.alive(child.pid)
    assert system.born(child.pid)
    child.communicate(b"\n")
    assert not system.alive(child.pid)
    assert system.born(child.pid) == ""
    assert system.born(os.getpid())
