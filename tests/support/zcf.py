"""Runs the real zcf 3.7.3, another setup tool, to get the homes that it leaves behind.  From npm, kept in .cache."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from support import peers, waiting


def run(home: Path, *argv: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``zcf *argv`` in *home*, without a terminal."""
    return subprocess.run(
        [str(peers.npm("zcf")), *argv],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=waiting.LIMIT,
        check=False,
    )


def init(home: Path, *argv: str) -> None:
    """Run ``zcf init`` without its workflows and servers; they would come from the network."""
    skip = ("-m", "skip", "-w", "skip", "-g", "en", "-c", "en", "-a", "en")
    done = run(home, "init", "-s", *argv, *skip)
    assert done.returncode == 0, done
