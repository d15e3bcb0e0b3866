"""Replaces one file so that any other program sees the old file or the new one, whole, and never anything else.

The new text goes into a temporary file in the same folder, which then takes the name.  The old file stays beside it
until the transaction is through, so that going back needs no disk space and loses nothing of it.
"""

from __future__ import annotations

import errno
import os
from typing import Optional

from ccsetup.disk.read import Found, read, reason, resolve
from ccsetup.errors import ChangedMeanwhile, WriteError
from ccsetup.i18n import _
from ccsetup.plan import FileChange
from ccsetup.platform import system

# File systems without hard links, or where this file may not have one (fs.protected_hardlinks).
_NO_LINK = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class Step:
    """One file of a transaction on its way from before to after, and back when something fails."""

    __slots__ = ("again", "change", "found", "mode", "old", "real", "temp")

    def __init__(self, change: FileChange, real: str, temp: str, mode: int, found: Optional[Found] = None) -> None:
        self.change = change
        self.real = real
        """Where the symbolic links end."""
        self.temp = temp
        """The new file until it takes its place."""
        self.old = temp + ".old"
        """The old file until the transaction is through."""
        self.again = temp + ".back"
        """The old file written once more, where it could not be kept."""
        self.mode = mode
        """Permission bits of the old file; -1: there is none."""
        self.found = found

    def stage(self) -> None:
        """Write the new file beside the old one, and see it safely on the disk."""
        if self.change.after is None:
            return
        mode = 0o600 if self.found is None else self.mode
        if self.change.private:
            mode &= 0o700
        write_new(self.temp, self.change.after, mode, self.found, self.real, private=self.change.private)

    def swap(self) -> None:
        """Let the new file take the place of the old one, if that is still what we read.

        Raises ChangedMeanwhile, and OSError.  In both cases, ``back`` leaves the file as it has to be.
        """
        change = self.change
        found = self.found
        if found is None:
            self._create()
        elif change.after is None:
            os.rename(self.real, self.old)
            self._check_displaced(self.old)
        elif change.claude_lock and system.exchange(self.temp, self.real):
            # What now has the temporary name is exactly what was overwritten.
            self._check_displaced(self.temp)
        else:
            self._replace(found.stat)

    def back(self) -> None:
        """Undo what ``stage`` and ``swap`` did, in this process or a killed one; later changes by others stay."""
        change = self.change
        if _content(self.real) == change.after:
            # What had to go: the old file, or what another program wrote in the last moment.
            displaced = [name for name in (self.old, self.temp) if _content(name) not in (None, change.after)]
            if displaced:
                self._give_back(displaced[0])
            elif change.before is None:
                _unlink(self.real)
            else:
                _unlink(self.again)
                write_new(self.again, change.before, self.mode, read(self.real), self.real, private=False)
                os.replace(self.again, self.real)
        self.settle()

    def settle(self) -> None:
        """Remove the temporary names."""
        for name in (self.temp, self.old, self.again):
            _unlink(name)

    def _create(self) -> None:
        try:
            os.link(self.temp, self.real)  # unlike a rename, it never overwrites
        except FileExistsError:
            raise changed(self.change.path) from None
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            if os.path.lexists(self.real):
                raise changed(self.change.path) from None
            os.rename(self.temp, self.real)
        else:
            os.unlink(self.temp)

    def _replace(self, then: os.stat_result) -> None:
        try:
            os.link(self.real, self.old)
            linked = True
        except FileNotFoundError:
            raise changed(self.change.path) from None
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            linked = False
        if version_of(os.lstat(self.real)) != version_of(then):
            raise changed(self.change.path)
        system.replace(self.temp, self.real)
        if linked:
            self._check_displaced(self.old)

    def _give_back(self, displaced: str) -> None:
        if not (self.change.claude_lock and system.exchange(displaced, self.real)):
            os.replace(displaced, self.real)
        elif _content(displaced) != self.change.after:  # someone has just written again: keep that one
            system.exchange(displaced, self.real)

    def _check_displaced(self, name: str) -> None:
        """Make sure that *name*, the file that had to go, is the one that we read, and was not written to since."""
        if _content(name) != self.change.before:
            raise changed(self.change.path)


def prepare(change: FileChange) -> Step:
    """Compare the file with ``change.before`` and make sure that it may be replaced; changes nothing.

    Raises ChangedMeanwhile, and WriteError for a file that is read-only, or has a second hard link.
    """
    try:
        real = resolve(change.path)
        found = read(real)
        if (None if found is None else found.data) != change.before:
            raise changed(change.path)
        if found is not None:
            _check_replaceable(change.path, real, found.stat)
    except OSError as error:
        raise refused(change.path, error) from None
    folder, name = os.path.split(real)
    # 50 characters: the whole name stays below 255 bytes in any script.
    temp = os.path.join(folder, f".{name[:50]}.ccsetup-{os.getpid()}-{os.urandom(4).hex()}")
    return Step(change, real, temp, -1 if found is None else found.stat.st_mode & 0o777, found)


def _check_replaceable(path: str, real: str, status: os.stat_result) -> None:
    if _is_led_to(path) and not (system.may_change(status) and status.st_mode & 0o200):
        raise refused(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))  # a store, with links or not
    if status.st_nlink > 1:
        # Replacing would silently part the two names; writing in place could leave half a file.
        raise WriteError(
            _(
                "{path} is not changed: the same file has another name (a hard link), and replacing would part them."
            ).format(path=path),
            hint=_("Make it a file of its own, cp -p FILE NEW && mv NEW FILE, or a symbolic link to the other."),
        )
    if not system.may_change(status):
        raise WriteError(_("{path} is not changed: it belongs to another user.").format(path=path))
    if not status.st_mode & 0o200:  # root could write it, but someone meant it to stay
        raise WriteError(
            _("{path} is not changed: it is marked read-only.").format(path=path),
            hint=_("Allow it with chmod u+w FILE, and run the command again."),
        )
    if not os.access(real, os.W_OK):
        # access() only says no; opening (nothing is written) says why.
        os.close(os.open(real, os.O_WRONLY))


def write_new(
    path: str, data: bytes, mode: int, like: Optional[Found], source: str, *, private: bool, sync: bool = True
) -> None:
    """Create *path* holding *data*, with permission bits *mode*; owner and attributes as *like*, the file *source*.

    It is 0600 from its first moment, whatever the umask, and has its final mode before it has contents.
    Raises OSError; a half-written file is then left for the caller to remove.
    """
    fd = os.open(path, system.CREATE, 0o600)
    try:
        if like is None:
            system.give_to_owner_of(os.path.dirname(path), fd)
        else:
            system.adopt(fd, like.stat, source, private)
        system.set_mode(fd, mode)
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)


def put(path: str, data: bytes) -> None:
    """Make *data* the file *path* of ours, which may be lost, and is not in the journal; failing is not told."""
    temp = f"{path}.{os.getpid()}"
    try:
        write_new(temp, data, 0o600, None, temp, private=True)
        os.replace(temp, path)
    except OSError:
        try:
            os.unlink(temp)
        except OSError:
            pass


def make_folder(path: str) -> None:
    """Make *path* a folder that only its owner can enter, with its parents.  Raises WriteError.

    An existing folder of ours is closed to others: it holds keys.
    """
    try:
        make_folders(missing_folders(path))
        system.close_folder(path)
    except OSError as error:
        raise refused(path, error) from None


def set_aside(path: str, name: str = "") -> str:
    """Give what is at *path* the name *name* (as a rule with ``.damaged`` at its end), and return the name it got.

    A number is added where something has that name already.  Raises WriteError.
    """
    name = name or path + ".damaged"
    free, count = name, 1
    while os.path.lexists(free):
        count += 1
        free = f"{name}-{count}"
    try:
        os.rename(path, free)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise refused(path, error) from None
    return free


def missing_folders(path: str) -> list[str]:
    """Return the folders that have to be made for *path* to exist, outermost first."""
    missing: list[str] = []
    while path and not os.path.isdir(path) and path not in missing:
        missing.insert(0, path)
        path = os.path.dirname(path)
    return missing


def make_folders(paths: list[str]) -> None:
    """Make the folders *paths*, 0700, and see their names on the disk.  Raises OSError."""
    for path in paths:
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
            continue
        system.give_to_owner_of(os.path.dirname(path), path)
        system.sync_folder(os.path.dirname(path))


def changed(path: str) -> ChangedMeanwhile:
    return ChangedMeanwhile(
        _("{path} keeps being changed by another program.").format(path=path),
        hint=_("Close the program that uses it, and run the command again."),
    )


def _is_led_to(path: str) -> bool:
    """Tell whether *path* or its folder is a link: home-manager makes both."""
    return os.path.islink(path) or os.path.islink(os.path.dirname(path))


def refused(path: str, error: OSError) -> WriteError:
    without = _("use the profile without it: ccsetup init … --no-activate, then ccsetup run NAME")
    hint = ""
    if error.errno == errno.EPERM:
        hint = _("The file may be immutable; lsattr shows it.")
    elif error.errno == errno.EBUSY:
        hint = _("Mount its folder in place of the file, or {otherwise}").format(otherwise=without)
    elif _is_led_to(path) and error.errno in (errno.EROFS, errno.EACCES):
        hint = _("It is a link to {target}, which another program keeps: change it there, or {otherwise}")
        hint = hint.format(target=os.path.realpath(path), otherwise=without)
    elif error.errno in (errno.EROFS, errno.EACCES):
        hint = _("See with: ls -ld {path}").format(path=path)
    return WriteError(
        _("{path} cannot be written: {reason}. No file was changed.").format(path=path, reason=reason(error)),
        hint=hint,
    )


def version_of(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _content(path: str) -> Optional[bytes]:
    found = read(path)
    return None if found is None else found.data


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


# Two changes that are none of contents.  They are not in the journal: ``undo`` never makes a file with keys readable
# for others again.


def protect(path: str) -> None:
    """Take the permissions of group and others from the file that *path* leads to.  Raises WriteError."""
    try:
        mode = os.stat(path).st_mode & 0o7777
        if mode & 0o077:
            os.chmod(path, mode & 0o700)
    except FileNotFoundError:
        return
    except OSError as error:
        raise refused(path, error) from None


def remove_empty(folder: str) -> None:
    """Remove *folder* if there is nothing in it; somebody's lock stays where it is no folder, or was renewed."""
    try:
        os.rmdir(folder)
    except OSError:
        pass
