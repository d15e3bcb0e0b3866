"""Which version of a client is installed.  Reads the disk, and runs the client only where nothing else tells."""

from __future__ import annotations

import os
import re
from typing import Mapping, Optional

from ccsetup.clients.base import Version


def codex_version(environ: Mapping[str, str]) -> Optional[Version]:
    """Return the version of the ``codex`` on PATH, or None.

    An npm install is recognised by the package.json beside it, which costs no process; any other is asked
    with ``codex --version`` (75 ms).
    """
    program = _which("codex", environ.get("PATH", ""))
    if not program:
        return None
    folder = os.path.dirname(os.path.realpath(program))
    for _level in range(3):
        try:
            with open(os.path.join(folder, "package.json"), encoding="utf-8") as f:
                text = f.read(1 << 16)
        except (OSError, ValueError):
            folder = os.path.dirname(folder)
            continue
        if '"@openai/codex"' in text:
            found = re.search(r'"version"\s*:\s*"(\d+)\.(\d+)\.(\d+)', text)
            if found:
                return int(found[1]), int(found[2]), int(found[3])
        break
    import subprocess

    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _which(name: str, path: str) -> str:
    for folder in path.split(os.pathsep):
        candidate = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    return ""
