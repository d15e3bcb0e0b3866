"""Reads files without being caught by what may lie at their path: links, loops, pipes, devices, giants."""

from __future__ import annotations

import errno
import os
import stat
from typing import Iterable, Optional

from ccsetup import bounded
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.platform import system
from ccsetup.tuples import NamedTuple

LIMIT = bounded.FILE
"""Bytes.  ~/.claude.json grows to some megabytes; what is larger than this is not a settings file."""

_MAX_LINKS = 40  # what Linux follows before it says ELOOP


class Unusable(CcsetupError):
    """What is at a path is no file that can be read."""


class Found(NamedTuple):
    """A regular file as it was when it was read."""

    data: bytes
    stat: os.stat_result


def snapshot(paths: Iterable[str]) -> dict[str, Optional[bytes]]:
    """Read every file of *paths*, following symbolic links; None where there is no file.

    Raises CcsetupError, which names the path, for a file that cannot be read, is no regular file or exceeds LIMIT.
    """
    result: dict[str, Optional[bytes]] = {}
    for path in paths:
        found = read(path)
        result[path] = None if found is None else found.data
    return result


def read(path: str) -> Optional[Found]:
    """Return the file at *path*, or None where there is none.  Raises CcsetupError as ``snapshot`` does."""
    try:
        # Look before opening: opening a device or a tape can already have an effect.
        kind = os.stat(path).st_mode
        if not stat.S_ISREG(kind):
            raise _no_file(path, kind)
        fd = os.open(path, system.READ)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError:  # a NUL, or half a surrogate: from a file that somebody changed
        raise CcsetupError(_("{path} cannot be the name of a file.").format(path=repr(path))) from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _no_file(path, status.st_mode)
        # One byte more than expected, so that a file that grows meanwhile is noticed.
        pieces: list[bytes] = []
        size = 0
        while size <= LIMIT and status.st_size <= LIMIT:
            piece = os.read(fd, max(status.st_size - size, 0) + 1)
            if not piece:
                return Found(b"".join(pieces), status)
            pieces.append(piece)
            size += len(piece)
    except OSError as error:
        raise _unreadable(path, error) from None
    finally:
        os.close(fd)
    raise CcsetupError(_("{path} cannot be used: it is larger than 64 MiB.").format(path=path))


def resolve(path: str) -> str:
    """Follow *path* from link to link and return the file that is meant, which need not exist.

    By hand, because ``realpath`` does not tell a loop from a dangling link.  Raises OSError (ELOOP, EACCES ...).
    """
    for _hop in range(_MAX_LINKS):
        try:
            target = os.readlink(path)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):  # not a link; nothing there
                return path
            raise
        path = os.path.join(os.path.dirname(path), target)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def reason(error: OSError) -> str:
    """Return why the system refused, as the part of a sentence after a colon."""
    texts = {
        errno.ENOSPC: _("the disk is full"),
        errno.EDQUOT: _("your disk quota is used up"),
        errno.EFBIG: _("the file would exceed the size limit of this process"),
        errno.EROFS: _("the file system is read-only"),
        errno.EACCES: _("permission denied"),
        errno.EPERM: _("the system does not permit it"),
        errno.EBUSY: _("it is in use, or it is mounted as a single file"),
        errno.ELOOP: _("its symbolic links form a loop"),
        errno.ENOTDIR: _("a part of the path is not a folder"),
        errno.EEXIST: _("a part of the path is not a folder, or a link that leads nowhere"),
        errno.EIO: _("the disk reports an error"),
        errno.EMFILE: _("this process has too many open files"),
        errno.ENAMETOOLONG: _("the name is too long"),
    }
    return texts.get(error.errno or 0) or error.strerror or type(error).__name__


def _unreadable(path: str, error: OSError) -> CcsetupError:
    why = reason(error)
    hint = _("See with: ls -ld {path}").format(path=path)
    if error.errno == errno.ENOTDIR:
        part = path
        while not os.path.lexists(part):
            part = os.path.dirname(part)
        why = _("{file} is no folder").format(file=part)
        hint = _("Move it away with: mv {path} {path}.old").format(path=part)
    return Unusable(
        _("{path} cannot be read: {reason}.").format(path=path, reason=why),
        hint=hint,
        short=_("It cannot be read: {reason}").format(reason=why),
    )


def _is_empty(folder: str) -> bool:
    try:
        return not os.listdir(folder)
    except OSError:
        return False


def _no_file(path: str, mode: int) -> Unusable:
    import shlex

    kind = _name(mode)
    hint = _("Move it away, and run the command again.")
    if stat.S_ISDIR(mode) and _is_empty(path):
        hint = _("Remove it with: rmdir {path} (Docker makes a folder where the file to mount is missing).")
    return Unusable(
        _("{path} cannot be used: it is {kind}.").format(path=path, kind=kind),
        hint=hint.format(path=shlex.quote(path)),
        short=_("There is {kind} where a file should be").format(kind=kind),
    )


def _name(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return _("a folder")
    if stat.S_ISFIFO(mode):
        return _("a pipe")
    if stat.S_ISSOCK(mode):
        return _("a socket")
    return _("a device")
