"""Which version of a client is installed.  Reads the disk, and runs the client only where nothing else tells."""

from __future__ import annotations

import os
import re
from typing import Mapping, Optional

from ccsetup import bounded
from ccsetup.clients.base import Version

LIMIT = 10.0
"""Seconds for ``--version``, which takes a tenth of one."""


_IDES = (".vscode", ".vscode-insiders", ".vscode-server", ".cursor", ".cursor-server", ".windsurf")
_EXTENSION = re.compile(r"openai\.chatgpt-\d")
"""The extension of OpenAI's for editors brings a Codex of its own, in ``bin/<platform>/`` (read in its package)."""


def codex_version(environ: Mapping[str, str], home: str = "") -> Optional[Version]:
    """Return the newest version of Codex that is there, or None."""
    return max(codex_versions(environ, home), default=None)


def codex_versions(environ: Mapping[str, str], home: str = "") -> tuple[Version, ...]:
    """Return the versions of every ``codex`` on PATH, and of those that editors below *home* bring along, each once.

    An npm install is recognised by the package.json beside it, which costs no process; any other is asked
    with ``codex --version`` (75 ms).
    """
    found = [_version_at(p, '"@openai/codex"') for p in (*_all("codex", environ.get("PATH", "")), *_in_editors(home))]
    return tuple(dict.fromkeys(v for v in found if v))


def _in_editors(home: str) -> list[str]:
    out: list[str] = []
    for ide in _IDES if home else ():
        folder = os.path.join(home, ide, "extensions")
        try:
            names = [n for n in os.listdir(folder) if _EXTENSION.match(n)]
        except OSError:
            continue
        for name in names:
            programs = os.path.join(folder, name, "bin")
            try:
                platforms = sorted(os.listdir(programs))
            except OSError:
                continue
            out += [p for p in (os.path.join(programs, f, "codex") for f in platforms) if os.access(p, os.X_OK)]
    return out


def claude_version(environ: Mapping[str, str], *, run: bool = True) -> Optional[Version]:
    """Return the version of the ``claude`` on PATH, or None.

    The installer of the vendor puts the program into a file called by its version, npm puts a package.json
    beside it (both observed with 2.1.329); any other is asked with ``claude --version`` (100 ms), unless *run*
    is False.
    """
    return _version("claude", '"@anthropic-ai/claude-code"', environ, run=run)


def _version(program: str, package: str, environ: Mapping[str, str], *, run: bool = True) -> Optional[Version]:
    path = next(iter(_all(program, environ.get("PATH", ""))), "")
    return _version_at(path, package, run=run) if path else None


def _version_at(path: str, package: str, *, run: bool = True) -> Optional[Version]:
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


def _all(name: str, path: str) -> list[str]:
    """Return the programs called *name* on *path*, in its order, each once."""
    found: dict[str, str] = {}
    for folder in path.split(os.pathsep):
        candidate = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            found.setdefault(os.path.realpath(candidate), candidate)
    return list(found.values())
