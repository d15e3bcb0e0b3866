"""Two locks: our own between processes, and the folder that Claude Code makes beside ~/.claude.json."""

from __future__ import annotations

import errno
import os
import time
from typing import Callable, Optional

from ccsetup.disk.replace import make_folder, refused, set_aside
from ccsetup.errors import WriteError
from ccsetup.i18n import _
from ccsetup.platform import system

WAIT = 10.0
"""Seconds to wait for one other ccsetup; of many, each has this time."""

CLAUDE_WAIT = 1.5
"""Seconds to wait for Claude Code, which itself waits for nobody: it wrote after 0.4 s while the lock was held."""

CLAUDE_STALE = 10.0
"""Seconds after which Claude Code takes a lock for abandoned (it touches the folder while it works)."""


_MARK = 0o500
"""Permission bits of a lock folder that we made, from its first moment.  Claude Code's has 0777 less the umask."""


UNKNOWN = (0, 0)
"""In place of the device and inode of a lock folder."""


class Busy(WriteError):
    """Another run holds the lock."""


class StateLock:
    """The lock of one state folder: at most one transaction at a time, freed by the kernel when its process dies."""

    def __init__(self, state_dir: str, wait: float = WAIT) -> None:
        self._state_dir = state_dir
        self._wait = wait
        self._fd = -1
        self.held = False
        """False inside the ``with``: this file system has no locks (NFS without lockd)."""

    def __enter__(self) -> StateLock:
        make_folder(self._state_dir)
        path = os.path.join(self._state_dir, "lock")
        try:
            if os.path.isdir(path):
                set_aside(path)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            system.give_to_owner_of(self._state_dir, self._fd)
        except OSError as error:
            raise refused(path, error) from None
        try:
            self._take()
        except BaseException:
            os.close(self._fd)
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)

    def _take(self) -> None:
        deadline = time.monotonic() + self._wait
        holder = ""
        while True:
            try:
                system.try_lock(self._fd)
                break
            except OSError as error:
                if error.errno in (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL):
                    return
                if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK, errno.EINTR):
                    raise refused(os.path.join(self._state_dir, "lock"), error) from None
            at_work = self._holder()
            if at_work != holder:
                holder, deadline = at_work, time.monotonic() + self._wait
            if time.monotonic() >= deadline:
                raise Busy(
                    _("Another ccsetup (process {pid}) is still at work after {seconds} seconds.").format(
                        pid=holder or "?", seconds=round(self._wait)
                    ),
                    hint=_("Wait for it or end it, and run the command again."),
                )
            time.sleep(0.005)
        self.held = True
        try:
            os.ftruncate(self._fd, 0)
            os.write(self._fd, str(os.getpid()).encode())
        except OSError:  # only for the message above; a full disk is reported by the journal
            pass

    def _holder(self) -> str:
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            return os.read(self._fd, 20).decode("ascii", "replace")
        except OSError:
            return ""


class ClaudeLock:
    """Claude Code's own lock, taken out of politeness: where it cannot be had, we go on without it.

    Claude Code 2.1.329 makes ``<path>.lock`` beside the path as named, also when that is a symbolic link.
    It is taken when the record that names it is on the disk, so that it can be found after a kill at any moment.
    """

    def __init__(self, path: str) -> None:
        self.path = lock_of(path)
        self.identity: Optional[tuple[int, int]] = None
        """Device and inode while we hold it."""

    def take(self, stop: Callable[[], bool]) -> None:
        """Wait at most CLAUDE_WAIT; return earlier when *stop* says so."""
        deadline = time.monotonic() + CLAUDE_WAIT
        while not stop():
            try:
                os.mkdir(self.path, _MARK)
                self.identity = _identity(self.path) or UNKNOWN
                return
            except FileExistsError:
                pass
            except OSError:  # the write that follows meets the same trouble, and reports it
                return
            try:
                if time.time() - os.lstat(self.path).st_mtime > CLAUDE_STALE:
                    os.rmdir(self.path)
                    continue
            except OSError:
                pass
            if time.monotonic() >= deadline:
                return
            time.sleep(0.01)

    def release(self) -> None:
        """Remove it; where that is refused, another call tries again."""
        if self.identity is not None and remove_lock(self.path, self.identity):
            self.identity = None


def lock_of(path: str) -> str:
    """Return Claude Code's lock folder for the file *path*."""
    return path + ".lock"


def remove_lock(path: str, ours: tuple[int, int], *, unmarked: bool = False) -> bool:
    """Remove the lock folder *path* if it still is the one that we made: someone may have taken it over as stale.

    *ours* is its device and inode, or UNKNOWN.  Numbers of inodes are used again at once, so our mark is asked for,
    too, but for a lock of an earlier version, which recorded the inode and had no mark.
    False where the system refused.
    """
    try:
        marked = os.lstat(path).st_mode & 0o777 == _MARK
        if (marked and ours == UNKNOWN) or (_identity(path) == ours and (marked or unmarked)):
            os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def _identity(path: str) -> Optional[tuple[int, int]]:
    """Return device and inode of *path* itself, or None."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
