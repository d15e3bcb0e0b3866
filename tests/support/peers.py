"""Other programs that tests run for real, each of one version: other setup tools from npm, Ansible from PyPI.

They are kept in ``.cache``.  ``python tests/support/peers.py`` installs all of them; a test that finds one missing
installs it, too.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache"
NPM = {
    "zcf": ("zcf", "3.7.3"),
    "ccs": ("@kaitranntt/ccs", "7.79.1"),
    # The newest one cannot be installed: it needs a package that is not there.
    "ccr": ("@musistudio/claude-code-router", "1.0.73"),
}
ANSIBLE = "2.19.14"


def npm(name: str) -> Path:
    """Return the program *name*, a key of NPM."""
    package, version = NPM[name]

    def install(folder: Path) -> None:
        quiet = ["--silent", "--no-audit", "--no-fund"]
        subprocess.run(["npm", "install", *quiet, "--prefix", str(folder), f"{package}@{version}"], check=True)

    return _installed(CACHE / f"{name}-{version}", install) / "node_modules" / ".bin" / name


def ansible() -> Path:
    """Return ansible-playbook."""

    def install(folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, f"ansible-core=={ANSIBLE}"], check=True)

    # A venv knows its own path, so it is made where it stays.
    folder = CACHE / f"ansible-core-{ANSIBLE}"
    return _installed(folder, install, movable=False) / "bin" / "ansible-playbook"


def _installed(folder: Path, install: Callable[[Path], None], *, movable: bool = True) -> Path:
    """Return *folder*, installed whole or not at all; two processes may do it at the same time."""
    done = folder.with_name(folder.name + ".done")
    if not done.exists():
        CACHE.mkdir(exist_ok=True)
        with _alone(folder):
            if not done.exists():
                target = folder.with_name(f"{folder.name}.{os.getpid()}") if movable else folder
                shutil.rmtree(folder, ignore_errors=True)
                install(target)
                if movable:
                    target.rename(folder)
                done.touch()
    return folder


@contextlib.contextmanager
def _alone(folder: Path):  # type: ignore[no-untyped-def]
    import fcntl

    with open(folder.with_name(folder.name + ".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    for name in NPM:
        print(npm(name))
    print(ansible())
