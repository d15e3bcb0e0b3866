"""Which version of a client is installed.  Reads the disk, and runs the client only where nothing else tells."""

from __future__ import annotations

import os
import re
from typing import Mapping, Optional

from ccsetup import bounded
from ccsetup.model import Version

LIMIT = 10.0
"""Seconds for ``--version``, which takes a tenth of one."""


def claude_version(environ: Mapping[str, str], *, run: bool = True) -> Optional[Version]:
    """Return the version of the ``claude`` on PATH, or None.

    The installer of the vendor puts the program into a file called by its version, npm puts a package.json
    beside it (both observed with 2.1.329); any other is asked with ``claude --version`` (100 ms), unless *run*
    is False.
    """
    return _version("claude", '"@anthropic-ai/claude-code"', environ, run=run)


def _version(program: str, package: str, environ: Mapping[str, str], *, run: bool = True) -> Optional[Version]:
    path = next(iter(programs(program, environ.get("PATH", ""))), "")
    return version_at(path, package, run=run) if path else None


def version_at(path: str, package: str, *, run: bool = True) -> Optional[Version]:
    """Return the version of the program at *path*, None where it does not say; *package* is its quoted name in npm."""
    real = os.path.realpath(path)
    if os.path.basename(os.path.dirname(real)) == "versions":
        found = _numbers(os.path.basename(real))
        if found:
            return found
    folder = os.path.dirname(real)
    for _level in range(3):
        try:
            text = bounded.found(os.path.join(folder, "package.json"), 1 << 20).decode("utf-8")
        except (OSError, ValueError, bounded.TooLarge):
            folder = os.path.dirname(folder)
            continue
        if package in text:
            said = re.search(r'"version"\s*:\s*"([^"]*)', text)
            if said and _numbers(said[1]):
                return _numbers(said[1])
        break
    if not run:
        return None
    import subprocess

    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=LIMIT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return _numbers(done.stdout)


def _numbers(text: str) -> Optional[Version]:
    found = re.search(r"(?<!\d)(\d{1,9})\.(\d{1,9})\.(\d{1,9})", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def programs(name: str, path: str) -> list[str]:
    """Return the programs called *name* on *path*, in its order, each once."""
    found: dict[str, str] = {}
    for folder in path.split(os.pathsep):
        candidate = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            found.setdefault(os.path.realpath(candidate), candidate)
    return list(found.values())
