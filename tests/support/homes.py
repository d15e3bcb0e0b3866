"""Homes as a version of the program wrote them, laid out in a scratch home.

``tests/data/homes/<label>/<name>/``: ``files/`` is the home, byte for byte; ``@HOME@`` stands for its
path.  ``home.json`` says what git does not keep.  ``homes_make.py`` makes them; one that is there is never made anew.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from support import cc

DATA = Path(__file__).parents[1] / "data" / "homes"
MARK = b"@HOME@"
BIN = ".local/bin"
"""The only folder on PATH: stand-ins for the clients, this program, and links to what it runs."""
_PROGRAMS = ("sh", "cat", "git", "ps", "env")
LAID_OUT = (".local/bin/", ".local/share/claude/")
"""What ``furnish`` puts into a home, and the program never touches."""


class Kept(NamedTuple):
    """A home that is kept."""

    label: str
    """The day of its version."""
    name: str
    clients: Mapping[str, str]
    """The versions of the clients that were installed, by program."""
    env: Mapping[str, str]
    """Variables besides HOME and PATH; ``@HOME@`` stands for the home."""
    modes: Mapping[str, int]
    """Permission bits of files, and of folders, whose names end with a slash."""
    active: Mapping[str, str]
    """The profile that each client uses."""

    @property
    def id(self) -> str:
        return f"{self.label}/{self.name}"

    @property
    def folder(self) -> Path:
        return DATA / self.label / self.name


def _read(file: Path) -> Kept:
    said: dict[str, Any] = json.loads(file.read_text("utf-8"))
    modes = {name: int(mode, 8) for name, mode in said["modes"].items()}
    return Kept(file.parents[1].name, file.parent.name, said["clients"], said["env"], modes, said["active"])


ALL = tuple(_read(file) for file in sorted(DATA.glob("*/*/home.json")))


def lay_out(kept: Kept, home: Path) -> dict[str, str]:
    """Write *kept* below *home*, and return the environment in which its clients and its program are found."""
    source = kept.folder / "files"
    for name, mode in sorted(kept.modes.items()):
        path = home / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = (source / name).read_bytes()
            path.write_bytes(data if is_binary(data) else data.replace(MARK, str(home).encode()))
        path.chmod(mode)
    furnish(home, kept.clients)
    return environment(home, kept.env)


def environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return what a kept home's program and tests find in their environment."""
    own = {name: value.replace(MARK.decode(), str(home)) for name, value in more.items()}
    tests = str(Path(__file__).parents[1])
    return {
        "HOME": str(home),
        "PATH": str(home / BIN),
        "LANG": "C.UTF-8",
        "COLUMNS": "80",
        "PYTHON_KEYRING_BACKEND": "support.keyring_file.Keyring",
        "PYTHONPATH": os.pathsep.join([cc.SOURCE, tests]),
        **own,
    }


def furnish(home: Path, clients: Mapping[str, str]) -> None:
    """Install stand-ins for *clients* of these versions, this program, and what both run, below *home*."""
    folder = home / BIN
    folder.mkdir(parents=True, exist_ok=True)
    for name in _PROGRAMS:
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    _script(folder / "ccsetup", f'exec "{sys.executable}" -m ccsetup "$@"')
    if "claude" in clients:  # as the vendor's installer leaves it
        own = home / ".local/share/claude/versions" / clients["claude"]
        own.parent.mkdir(parents=True, exist_ok=True)
        _script(own, f'echo "{clients["claude"]} (Claude Code)"')
        (folder / "claude").symlink_to(own)
    if "codex" in clients:
        _script(folder / "codex", f'echo "codex-cli {clients["codex"]}"')


def is_binary(data: bytes) -> bool:
    return b"\0" in data


def _script(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
