"""Linux, and any other Unix."""

from __future__ import annotations

import errno
import os
import sys
from typing import Literal, Mapping

assert sys.platform != "win32"
assert sys.platform != "darwin"

from ccsetup.platform.posix import *  # noqa: F403
from ccsetup.platform.posix import based, give_owner

SERVICES: Literal["systemd", "launchd", ""] = "systemd"
"""What may start a service at login here."""
TRUST_STORE = False
"""Whether certificates are kept where OpenSSL does not look."""

_RENAME_EXCHANGE = 2  # linux/fs.h
_AT_FDCWD = -100  # linux/fcntl.h


def exchange(one: str, other: str) -> bool:
    """Exchange the names of two files at once; False where the system cannot.  Raises OSError."""
    if sys.platform != "linux":
        return False
    import ctypes  # 2 ms, so only for the one file that is written by others all the time

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):  # no dynamic libc; a libc without it
        return False
    if renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), other)


def keep_memory() -> None:
    """Keep what is freed until ``return_memory``: given back, it is cleared page by page for the next large request."""
    import ctypes

    trim_threshold, mmap_threshold = -1, -3  # malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # as above
        return
    mallopt(trim_threshold, 64 << 20)
    mallopt(mmap_threshold, 4 << 20)


def return_memory() -> None:
    """Give back what ``keep_memory`` has kept."""
    import ctypes

    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass


def adopt(fd: int, status: os.stat_result, source: str, private: bool) -> None:
    """Give *fd* the owner and the extended attributes (so also the ACL) of *source*, whose *status* is given."""
    give_owner(fd, status, private)
    if sys.platform != "linux":
        return
    try:
        names = os.listxattr(source)
    except OSError:
        return
    for name in names:
        # An ACL on a private file would let others in (or, with its mask cleared, do nothing).
        if name in ("security.ima", "security.evm") or (private and name == "system.posix_acl_access"):
            continue
        try:
            os.setxattr(fd, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EACCES, errno.ENODATA):
                raise


def config_folder(environ: Mapping[str, str], home: str) -> str:
    """Return where our settings are: what platformdirs gives, without its import, which takes 3 ms."""
    return based(environ, "XDG_CONFIG_HOME", os.path.join(home, ".config"))


def state_folder(environ: Mapping[str, str], home: str) -> str:
    """Return where we keep what is no setting."""
    return based(environ, "XDG_STATE_HOME", os.path.join(home, ".local/state"))
