"""What Linux and macOS have in common."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Mapping, Sequence

assert sys.platform != "win32"

if TYPE_CHECKING:
    import socket

# Files.

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
"""Flags to open a file that may be a pipe without a writer, or a terminal."""
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
"""Flags to make a file that is not there yet."""
MODES = True
"""Whether permission bits keep others out of a file."""


def try_lock(fd: int) -> None:
    """Lock the open file *fd* for this process alone; OSError (EAGAIN, EACCES) while another one has it."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def replace(source: str, target: str) -> None:
    """Give *source* the name *target*, which nobody sees missing meanwhile.  Raises OSError."""
    os.replace(source, target)


def sync_all() -> None:
    """See everything that was written on the disk."""
    os.sync()


def sync_folder(path: str) -> None:
    """See the names in *path* on the disk.  Raises OSError when the disk fails, not where this does not exist."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except (PermissionError, FileNotFoundError):
        return
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(fd)


def may_change(status: os.stat_result) -> bool:
    """Tell whether we are the owner of a file, or root."""
    return os.geteuid() in (0, status.st_uid)


def set_mode(fd: int, mode: int) -> None:
    """Give the open file *fd* the permission bits *mode*.  Raises OSError."""
    os.fchmod(fd, mode)


def close_folder(path: str) -> None:
    """Let only the owner enter *path*, if that is us.  Raises OSError."""
    status = os.stat(path)
    if status.st_mode & 0o777 != 0o700 and status.st_uid == os.geteuid():
        os.chmod(path, 0o700)


def give_to_owner_of(folder: str, new: int | str) -> None:
    """Under sudo, let a new file (a path or a descriptor) belong to the person in whose *folder* it is made."""
    if os.geteuid() == 0:
        owner = os.stat(folder)
        if owner.st_uid != 0:
            os.chown(new, owner.st_uid, owner.st_gid)


def give_owner(fd: int, status: os.stat_result, private: bool) -> None:
    """Give *fd* the owner and the group of *status*.  Raises OSError."""
    new = os.fstat(fd)
    if (new.st_uid, new.st_gid) != (status.st_uid, status.st_gid):
        try:
            os.fchown(fd, status.st_uid, status.st_gid)
        except PermissionError:
            # A private file gives its group nothing, so only another owner matters there.
            if new.st_uid != status.st_uid or not private:
                raise


# Paths.


def home(environ: Mapping[str, str]) -> str:
    """Return the home folder as *environ* names it, or ""."""
    return environ.get("HOME") or ""


def recorded_home() -> str:
    """Return the home folder of this user as the system has it, whatever HOME says."""
    import pwd

    return pwd.getpwuid(os.getuid()).pw_dir


def based(environ: Mapping[str, str], variable: str, default: str) -> str:
    """Return our folder in the one that *variable* names; the XDG specification has a relative path ignored."""
    base = environ.get(variable, "")
    return os.path.join(base if os.path.isabs(base) else default, "ccsetup")


# Processes, signals and services.

ENDING: tuple[str, ...] = ("SIGTERM", "SIGHUP")
"""Names of the signals that end a program, besides Ctrl-C."""
RELOAD = "SIGHUP"
"""Name of the signal at which a service reads its settings again, or ""."""
KILL = "SIGKILL"
"""Name of the signal that ends a process for certain."""
USER = os.getuid()


def alive(pid: int) -> bool:
    """Tell whether there is a process *pid*; yes where that cannot be told."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True


def born(pid: int) -> str:
    """Return when the process *pid* began, as the system tells it; "" for none, or one that has ended."""
    if os.path.exists("/proc/self/stat"):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                # The program's name, which may hold anything, ends with the last parenthesis.
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in ("Z", "X") else fields[19]
    import subprocess

    try:
        done = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def kill_group(pid: int) -> None:
    """End the process *pid*, which began a session of its own, and those that it started."""
    import signal

    try:
        os.killpg(pid, signal.SIGKILL)
    except OSError:
        pass


def become(path: str, argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Let the program at *path* take our place: signals, terminal and exit code are its own.  Raises OSError."""
    os.execve(path, list(argv), dict(environ))  # noqa: S606 - that is what it is for


def allow_files(most: int) -> None:
    """Raise the limit of open files to *most*, as far as the system lets us."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < most:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        except (OSError, ValueError):  # macOS has a limit of its own besides
            pass


def claim_port(sock: socket.socket) -> None:
    """Let *sock* take a port whose last connections are just ending, and none at which another program listens."""
    import socket

    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


# The terminal.


def waiting() -> str:
    """Return, and take away, what waits at the terminal, such as the further lines of a paste that ended a question.

    It is not shown: it may be a key.  "" without a terminal.
    """
    import select
    import termios

    try:
        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
    except (OSError, ValueError, termios.error):
        return ""
    rest = b""
    try:
        quiet = termios.tcgetattr(fd)
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        quiet[6][termios.VMIN], quiet[6][termios.VTIME] = 1, 0
        termios.tcsetattr(fd, termios.TCSANOW, quiet)
        while select.select([fd], [], [], 0.03)[0] and len(rest) < 1 << 20:
            data = os.read(fd, 4096)
            if not data:
                break
            rest += data
    finally:
        termios.tcsetattr(fd, termios.TCSANOW, before)
    return rest.decode("utf-8", "replace")


def hidden_line(prompt: str) -> str:
    """Print *prompt* and return the line that is typed without being shown, and what waits behind it; "" at the end."""
    import termios

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    silent = termios.tcgetattr(fd)
    silent[3] &= ~termios.ECHO
    try:
        # First the silence, then the prompt: whoever sees it may paste at once.
        termios.tcsetattr(fd, termios.TCSADRAIN, silent)
        sys.stdout.write(prompt)
        sys.stdout.flush()
        line = sys.stdin.readline()
        rest = waiting() if line else ""
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        sys.stdout.write("\n")
        sys.stdout.flush()
    return line + rest
