"""Files of a client that get other bytes and stay what they were: mode, owner and times.  Not in the journal."""

from __future__ import annotations

import os

from ccsetup.disk import replace
from ccsetup.disk.read import Found
from ccsetup.platform import system

_MARK = ".ccsetup-"
_MANY = 2000
"""Files that reach the disk together: waiting for each takes 10,000 of them a minute."""


class Rewriting:
    """Files that are written beside the old ones, and take their places together.

    Who is killed leaves each file as it was or as it is to be.
    """

    def __init__(self) -> None:
        self._staged: dict[str, tuple[str, os.stat_result]] = {}

    def add(self, path: str, data: bytes, read: os.stat_result) -> None:
        """Let *data* become the content of *path*, which was *read* before.  Raises OSError, ChangedMeanwhile."""
        path = os.path.realpath(path)
        if path in self._staged:
            return  # a link to it was first
        folder, name = os.path.split(path)
        temp = os.path.join(folder, f".{name[:80]}{_MARK}{os.getpid()}")
        self._staged[path] = temp, read
        try:
            replace.write_new(temp, data, read.st_mode & 0o7777, Found(b"", read), path, private=False, sync=False)
            os.utime(temp, ns=(read.st_atime_ns, read.st_mtime_ns))
        except FileExistsError:
            raise replace.changed(path) from None
        if len(self._staged) >= _MANY:
            self.finish()

    def finish(self) -> None:
        """Put what was added in its place.  Raises ChangedMeanwhile where one is another file by now, OSError."""
        if self._staged:
            system.sync_all()
        for path, (temp, read) in self._staged.items():
            if replace.version_of(os.lstat(path)) != replace.version_of(read):
                raise replace.changed(path)
            system.replace(temp, path)
        self._staged.clear()

    def drop(self) -> None:
        """Take away what was added and is not in its place."""
        for temp, _read in self._staged.values():
            try:
                os.unlink(temp)
            except FileNotFoundError:
                pass


def sweep(folder: str) -> None:
    """Take away what a killed run left in *folder*."""
    for name in os.listdir(folder):
        if name.startswith(".") and _MARK in name:
            os.unlink(os.path.join(folder, name))


def append(path: str, data: bytes) -> None:
    """Add *data* at the end of the file *path* of ours.  Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
