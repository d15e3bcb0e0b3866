"""Windows.  Tried under Wine, as far as anything says that it was tried."""

from __future__ import annotations

import msvcrt
import os
import sys
from typing import TYPE_CHECKING, Literal, Mapping, Sequence

assert sys.platform == "win32"

if TYPE_CHECKING:
    import socket

# Files.

READ = os.O_RDONLY | os.O_BINARY
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_BINARY
MODES = False


def try_lock(fd: int) -> None:
    """Lock the first byte, wherever the file stands: with another byte each, two processes would hold it."""
    os.lseek(fd, 0, os.SEEK_SET)
    msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)


def replace(source: str, target: str) -> None:
    """Replace *target* when nobody holds it: a virus scanner or an editor may for a moment."""
    import time

    for _attempt in range(10):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            time.sleep(0.05)
    os.replace(source, target)


def exchange(one: str, other: str) -> bool:
    return False


def sync_all() -> None:
    pass


def sync_folder(path: str) -> None:
    pass


def may_change(status: os.stat_result) -> bool:
    return True


def set_mode(fd: int, mode: int) -> None:
    pass


def close_folder(path: str) -> None:
    pass


def give_to_owner_of(folder: str, new: int | str) -> None:
    pass


def adopt(fd: int, status: os.stat_result, source: str, private: bool) -> None:
    pass


# Paths.


def home(environ: Mapping[str, str]) -> str:
    """Return the folder that Claude Code and Codex look at: Git Bash gives HOME a form of its own."""
    return environ.get("USERPROFILE") or environ.get("HOME") or ""


def recorded_home() -> str:
    return os.path.expanduser("~")


def config_folder(environ: Mapping[str, str], home: str) -> str:
    import platformdirs

    return platformdirs.user_config_dir("ccsetup", appauthor=False)


def state_folder(environ: Mapping[str, str], home: str) -> str:
    import platformdirs

    return platformdirs.user_state_dir("ccsetup", appauthor=False)


# Processes, signals and services.

ENDING: tuple[str, ...] = ("SIGTERM",)
RELOAD = ""
KILL = "SIGTERM"
SERVICES: Literal["systemd", "launchd", ""] = ""
USER = 0
TRUST_STORE = True


def alive(pid: int) -> bool:
    return True  # os.kill(pid, 0) would send Ctrl-C


def born(pid: int) -> str:
    return ""  # so no relay that runs is recognised yet


def kill_group(pid: int) -> None:
    """End the process alone."""
    import signal

    try:
        os.kill(pid, signal.SIGTERM)
    except OSError:
        pass


def become(path: str, argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the program, and return its exit code: here ``execve`` returns at once and quotes nothing."""
    import subprocess

    return subprocess.run([path, *argv[1:]], env=dict(environ), check=False).returncode


def allow_files(most: int) -> None:
    pass


def keep_memory() -> None:
    pass


def return_memory() -> None:
    pass


def claim_port(sock: socket.socket) -> None:
    """Keep the port: SO_REUSEADDR would let another program take it as well."""
    import socket

    sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)


# The terminal.


def waiting() -> str:
    return ""


def hidden_line(prompt: str) -> str:
    import getpass

    try:
        return getpass.getpass(prompt) + "\n"
    except EOFError:
        return ""
