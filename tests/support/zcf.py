"""Runs the real zcf 3.7.3, another setup tool, to get the homes that it leaves behind.  From npm, kept in .cache."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

VERSION = "3.7.3"
FOLDER = Path(__file__).resolve().parents[2] / ".cache" / f"zcf-{VERSION}"


def program() -> Path:
    """Return its program, installed at the first call."""
    found = FOLDER / "node_modules" / ".bin" / "zcf"
    if not found.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(FOLDER), f"zcf@{VERSION}"],
            check=True,
        )
    return found


def run(home: Path, *argv: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``zcf *argv`` in *home*, without a terminal."""
    return subprocess.run(
        [str(program()), *argv],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )


def init(home: Path, *argv: str) -> None:
    """Run ``zcf init`` without its workflows and servers; they would come from the network."""
    skip = ("-m", "skip", "-w", "skip", "-g", "en", "-c", "en", "-a", "en")
    done = run(home, "init", "-s", *argv, *skip)
    assert done.returncode == 0, done
