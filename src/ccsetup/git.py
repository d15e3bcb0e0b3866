"""Questions to git.  Nothing is changed, and a machine without git gives no answers."""

from __future__ import annotations

import os


def work_tree(folder: str) -> str:
    """Return the top of the work tree that *folder* lies in, or ""."""
    while not os.path.exists(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return ""
        folder = parent
    return folder


def ask(folder: str, *arguments: str) -> int:
    """Run git in *folder* without any output, and return its exit code; -1 when it cannot be run."""
    import subprocess

    try:
        done = subprocess.run(
            ["git", "-C", folder, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return -1
    return done.returncode


def tracks(folder: str, path: str) -> bool:
    """Tell whether git, asked in *folder*, tracks *path*."""
    return ask(folder, "ls-files", "--error-unmatch", "--", path) == 0


def ignores(folder: str, path: str) -> int:
    """Return 0 where git ignores *path*, 1 where it does not, another number where it cannot tell."""
    return ask(folder, "check-ignore", "-q", "--", path)
