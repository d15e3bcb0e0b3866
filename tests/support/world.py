"""The world that documentation and tests run in: what is on PATH, which clients, which port, which time.

What else is installed on the machine, and which ports are taken there, decides nothing.  Knows nothing of pytest.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

from support import client_install

SITE = str(Path(__file__).resolve().parent / "site")
"""Goes on PYTHONPATH: its ``sitecustomize`` reads ``WORLD_PORT`` and ``WORLD_TIME``."""

PROGRAMS = (
    "awk", "basename", "bash", "cat", "chmod", "cp", "cut", "date", "dirname", "echo", "env", "expr", "find", "git",
    "grep", "head", "id", "ln", "ls", "mkdir", "mktemp", "mv", "readlink", "rm", "rmdir", "sed", "setsid", "sh",
    "sleep", "sort", "stat", "stty", "tail", "tee", "touch", "tr", "true", "uname", "wc", "xargs",
)  # fmt: skip
"""What tests may call, and scripts that tests run: it is everywhere."""

TOOLS = (
    "chattr", "dbus-daemon", "dbus-run-session", "fish", "gnome-keyring-daemon", "kill", "mount", "node", "npm",
    "openssl", "ps", "redis-server", "strace", "tmux", "umount", "unshare", "valkey-server", "zsh",
)  # fmt: skip
"""What some tests need; without it they say that they are skipped."""

PACKAGES = {"claude": ("claude-code", "@anthropic-ai/claude-code"), "codex": ("codex", "@openai/codex")}
"""Program: its name among the pinned clients, and its package in npm."""


_PATH = os.environ.get("PATH", os.defpath)


def link(folder: Path, programs: Iterable[str], tools: Iterable[str] = ()) -> Path:
    """Make a folder of links to *programs*, and to those of *tools* that are installed; return it.

    Raises FileNotFoundError when one of *programs* is not there.
    """
    folder.mkdir(parents=True)
    required = frozenset(programs)
    for name in sorted({*required, *tools}):
        found = shutil.which(name, path=_PATH)
        if found:
            (folder / name).symlink_to(os.path.abspath(found))
        elif name in required:
            raise FileNotFoundError(f"{name} is not on PATH")
    return folder


def clients(folder: Path, **versions: str) -> Path:
    """Return a folder of stand-ins for *versions* (``codex="0.160.0"``), as npm installs them; by default the newest.

    They print their version, whatever they are asked.
    """
    for program, (name, package) in PACKAGES.items():
        version = versions.get(program) or client_install.pinned(name)[0]
        place = folder / "npm" / program
        place.mkdir(parents=True)
        (place / "package.json").write_text(f'{{"name": "{package}", "version": "{version}"}}')
        (place / "cli.js").write_text(f"#!/bin/sh\necho {version}\n")
        (place / "cli.js").chmod(0o755)
        (folder / "bin").mkdir(exist_ok=True)
        (folder / "bin" / program).symlink_to(place / "cli.js")
    return folder / "bin"


class Port:
    """A port of the loopback that nobody else gets while this is open: bound, and not listening."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        # Whoever sets this too (as servers do) may listen there.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number: int = self._socket.getsockname()[1]

    def __enter__(self) -> Port:
        return self

    def __exit__(self, *_error: object) -> None:
        self._socket.close()


_ports: list[Port] = []


def port() -> int:
    """Return a free port, which nobody else gets as long as this process lives."""
    _ports.append(Port())
    return _ports[-1].number


def variables(path: Iterable[str | Path], *, also: Iterable[str] = (), **more: float) -> dict[str, str]:
    """Return the environment of a world: programs from *path*, modules from *also* too.

    *more* are ``port`` (without it the one of this process's own world) and ``time`` of ``site/sitecustomize.py``.
    """
    known = {"WORLD_PORT": os.environ.get("WORLD_PORT", "")} | {f"WORLD_{k.upper()}": str(v) for k, v in more.items()}
    return {
        "PATH": os.pathsep.join(map(str, path)),
        "PYTHONPATH": os.pathsep.join([SITE, *also]),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "LANG": "C.UTF-8",
        **{name: value for name, value in known.items() if value},
    }
