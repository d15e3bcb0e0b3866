"""The journal: one record per transaction with every file before and after.  It is the backup, and undo reads it.

``<state_dir>/journal/000007.json``; while the transaction runs, the record is called ``000007.pending``.  Records hold
keys: they are 0600 in a folder that is 0700, and their contents are never shown.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from typing import Any, NamedTuple, Optional

from ccsetup.disk.lock import UNKNOWN, lock_of, remove_lock
from ccsetup.disk.read import read, reason
from ccsetup.disk.replace import Step, make_folder, refused, set_aside, sync_folder, write_new
from ccsetup.documents import version
from ccsetup.documents.edit import KeyPath
from ccsetup.errors import CcsetupError, WriteError
from ccsetup.i18n import _
from ccsetup.plan import FileChange

MAX_RECORDS = 20
MAX_BYTES = 64 * 1024 * 1024
"""Older records go when all together exceed this; the newest one always stays."""

_VERSION = 1
_LAST = 10**9 - 1
"""No record has this number or a higher one."""
_END_OF_TIME = 253402300800.0
"""Seconds since 1970: the year 10000, which no calendar function takes."""
_DONE, _PENDING, _DRAFT, _DAMAGED = ".json", ".pending", ".draft", ".damaged"


class Record(NamedTuple):
    """One transaction, as a list shows it."""

    id: str
    time: float
    """Seconds since 1970 (UTC)."""
    command: str
    paths: tuple[str, ...]
    undoes: str = ""
    """The id of the record that this one took back, or empty."""
    undone_by: str = ""
    """The id of the record that took this one back, or empty."""
    problem: str = ""
    """Why nothing but the id is known: a newer ccsetup made it."""


class Content(NamedTuple):
    """One file of a record."""

    change: FileChange
    """Without its edits, of which only the key paths are kept."""
    keys: tuple[KeyPath, ...]
    """The key paths that were edited; empty for a file that was replaced as a whole."""


class Recovered(NamedTuple):
    """What was found of transactions that were killed halfway."""

    commands: tuple[str, ...] = ()
    """Those that were taken back."""
    damaged: tuple[str, ...] = ()
    """Paths of records that cannot be read, and so were set aside."""


class _Stored(NamedTuple):
    """A record as it is on the disk."""

    record: Record
    pid: int
    made: list[str]
    locks: list[tuple[str, tuple[int, int]]]
    steps: list[Step]
    files: list[Content]


class _Damaged(Exception):
    """Something is in the place of a record that none of ours has ever been."""


def history(state_dir: str) -> list[Record]:
    """Return the finished transactions, oldest first; records that cannot be read are left out (see ``damaged``)."""
    records: dict[str, Record] = {}
    for number, suffix in _names(state_dir):
        record = _listed(state_dir, number, suffix) if suffix == _DONE else None
        if record is not None:
            records[record.id] = record
    # Newest first: an undo that was itself undone does not count any more.
    for record in reversed(list(records.values())):
        if record.undoes in records and not records[record.id].undone_by:
            records[record.undoes] = records[record.undoes]._replace(undone_by=record.id)
    return list(records.values())


def unfinished(state_dir: str) -> list[Record]:
    """Return the transactions that were killed halfway; the next transaction takes them back."""
    listed = [_listed(state_dir, number, suffix) for number, suffix in _names(state_dir) if suffix == _PENDING]
    return [record for record in listed if record is not None and not record.problem]


def interrupted(state_dir: str) -> bool:
    """Tell whether there is an unfinished transaction, or one that is at work now; looks at names only."""
    return any(suffix == _PENDING for _number, suffix in _names(state_dir))


def damaged(state_dir: str) -> list[str]:
    """Return the paths of records that cannot be read, also of those that were set aside."""
    out = []
    for number, suffix in _names(state_dir):
        if suffix == _DAMAGED:
            out.append(_path(state_dir, number, suffix))
        elif suffix in (_DONE, _PENDING):
            try:
                _load(state_dir, number, suffix)
            except version.Newer:
                continue
            except _Damaged:
                out.append(_path(state_dir, number, suffix))
    return out


def contents(state_dir: str, record_id: str) -> list[Content]:
    """Return the files of a finished transaction.  Raises CcsetupError when there is no such (whole) record, or
    a newer ccsetup made it."""
    number = int(record_id) if record_id.isascii() and record_id.isdigit() and len(record_id) < 10 else -1
    found = _whole(state_dir, number, _DONE)
    if found is None:
        raise CcsetupError(
            _("There is no change {id} in the history.").format(id=record_id), hint="ccsetup undo --list"
        )
    return found.files


class Entry:
    """The record of the transaction that is running."""

    def __init__(self, state_dir: str, number: int) -> None:
        self.number = number
        self._folder = _folder(state_dir)
        self._pending = os.path.join(self._folder, f"{number:06d}{_PENDING}")
        self._done = os.path.join(self._folder, f"{number:06d}{_DONE}")

    def write(self, body: dict[str, Any]) -> None:
        """Put the record on the disk, read it back, and only then call it pending.  Raises WriteError."""
        draft = os.path.join(self._folder, f"{self.number:06d}{_DRAFT}")
        # ASCII, so that half surrogates (bytes that are not UTF-8) survive.
        data = json.dumps(body, ensure_ascii=True).encode("ascii")
        try:
            write_new(draft, data, 0o600, None, draft, private=True)
            found = read(draft)
            if found is None or found.data != data:
                raise WriteError(
                    _("{path} does not hold what was written to it. No file was changed.").format(path=draft),
                    hint=_("The disk may be failing."),
                )
            os.rename(draft, self._pending)
            sync_folder(self._folder)
        except BaseException as error:
            for path in (draft, self._pending):
                try:
                    os.unlink(path)
                except OSError:
                    pass
            if isinstance(error, OSError):
                raise refused(draft, error) from None
            raise

    def finish(self) -> None:
        """The transaction is through.  Raises OSError."""
        os.rename(self._pending, self._done)
        sync_folder(self._folder)

    def drop(self) -> None:
        """The transaction was taken back.  Raises OSError."""
        for path in (self._pending, self._done):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
        sync_folder(self._folder)

    def keep_pending(self) -> None:
        """The transaction could not be taken back: leave that to the next one."""
        try:
            os.rename(self._done, self._pending)
        except OSError:  # as a rule, because it still is pending
            pass


def begin(
    state_dir: str,
    steps: list[Step],
    *,
    made: list[str],
    time: float,
    command: str,
    undoes: str,
) -> Entry:
    """Write the record of the transaction that *steps* will be.  Raises WriteError; then nothing has changed."""
    make_folder(_folder(state_dir))
    last = _LAST
    while last == _LAST:
        last, suffix = max(_names(state_dir), default=(0, ""))
        if last == _LAST:  # we never counted that far: somebody else made that file
            set_aside(_path(state_dir, last, suffix))
    entry = Entry(state_dir, last + 1)
    entry.write(
        {
            "version": _VERSION,
            "id": str(entry.number),
            "time": time,
            "command": command,
            "undoes": undoes,
            "pid": os.getpid(),
            "made": made,
            # They are taken after this is on the disk, so their identity is not known yet: they bear our mark.
            "locks": [[lock_of(step.change.path), *UNKNOWN] for step in steps if step.change.claude_lock],
            "files": [
                {
                    "path": step.change.path,
                    "real": step.real,
                    "temp": step.temp,
                    "mode": step.mode,
                    "private": step.change.private,
                    "format": step.change.format,
                    "claude_lock": step.change.claude_lock,
                    "keys": [list(edit.path) for edit in step.change.edits],
                    "before": _text(step.change.before),
                    "after": _text(step.change.after),
                }
                for step in steps
            ],
        }
    )
    return entry


def recover(state_dir: str, *, locked: bool) -> Recovered:
    """Take every unfinished transaction back, and clear its temporary files away.

    A file that holds anything else than what the transaction wrote was changed since, and stays.
    *locked* False: there is no lock, so the process of an unfinished transaction may still be at work.
    Raises WriteError when a file cannot be put back, and Newer when a newer ccsetup was interrupted; the record then
    stays for another try.
    """
    folder = _folder(state_dir)
    aside: list[str] = []
    if os.path.lexists(folder) and not os.path.isdir(folder):
        aside.append(set_aside(folder))
    elif os.path.isdir(folder):
        make_folder(folder)  # ours again, where somebody has taken that away
    commands: list[str] = []
    for number, suffix in reversed(_names(state_dir)):
        path = _path(state_dir, number, suffix)
        if suffix == _DRAFT and locked:  # killed before anything was changed
            _remove(path)
        if suffix != _PENDING:
            continue
        try:
            found = _load(state_dir, number, suffix)
        except _Damaged:  # it was verified once, so this is the disk's doing; not for us to throw away
            aside.append(set_aside(path, path[: -len(_PENDING)] + _DAMAGED))
            continue
        if found is None or (not locked and _alive(found.pid)):
            continue
        for step in found.steps:
            _put_back(step, path)
        clear(found.steps, found.made)
        for lock, identity in found.locks:
            remove_lock(lock, identity, unmarked=True)
        Entry(state_dir, number).drop()
        commands.append(found.record.command)
    return Recovered(tuple(commands), tuple(aside))


def _put_back(step: Step, record: str) -> None:
    try:
        try:
            step.back()
        except CcsetupError:  # there is something else than a file now
            step.settle()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG):
            return  # the place itself is gone, so nothing of ours can be there
        raise WriteError(
            _("{path} cannot be put back after an interrupted change: {reason}.").format(
                path=step.change.path, reason=reason(error)
            ),
            hint=_("The change is recorded in {record}.").format(record=record),
        ) from None


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:  # a folder; it is in nobody's way
        pass


def clear(steps: list[Step], made: list[str]) -> None:
    """After going back: remove the folders that were *made* and are empty, and see all of it on the disk."""
    for folder in reversed(made):
        try:
            os.rmdir(folder)
        except OSError:
            pass
    for folder in {os.path.dirname(step.real) for step in steps}:
        try:
            sync_folder(folder)
        except OSError:
            pass


def prune(state_dir: str) -> None:
    """Remove the oldest records beyond MAX_RECORDS and MAX_BYTES; not those of a newer ccsetup."""
    size = 0
    for position, (number, suffix) in enumerate(reversed(_names(state_dir))):
        path = _path(state_dir, number, suffix)
        try:
            size += os.stat(path).st_size
            if position and (position >= MAX_RECORDS or size > MAX_BYTES) and suffix in (_DONE, _DAMAGED):
                _whole(state_dir, number, suffix)
                os.unlink(path)
        except (OSError, CcsetupError):
            pass


def _folder(state_dir: str) -> str:
    return os.path.join(state_dir, "journal")


def _path(state_dir: str, number: int, suffix: str) -> str:
    return os.path.join(_folder(state_dir), f"{number:06d}{suffix}")


def _names(state_dir: str) -> list[tuple[int, str]]:
    """Return number and suffix of everything in the journal, oldest first; nothing where it cannot be looked at."""
    try:
        names = [os.path.splitext(name) for name in os.listdir(_folder(state_dir))]
    except OSError:  # where that matters, writing to it says why
        return []
    return sorted(
        (int(stem), suffix)
        for stem, suffix in names
        if suffix in (_DONE, _PENDING, _DRAFT, _DAMAGED)
        and stem.isascii()
        and stem.isdigit()
        and len(stem) < 10
        and stem == f"{int(stem):06d}"
    )


def _listed(state_dir: str, number: int, suffix: str) -> Optional[Record]:
    try:
        found = _whole(state_dir, number, suffix)
    except version.Newer as newer:
        return Record(str(number), 0.0, "", (), problem=newer.message)
    return None if found is None else found.record


def _whole(state_dir: str, number: int, suffix: str) -> Optional[_Stored]:
    """Return the record, or None when it is not there or damaged.  Raises Newer."""
    try:
        return _load(state_dir, number, suffix)
    except _Damaged:
        return None


def _load(state_dir: str, number: int, suffix: str) -> Optional[_Stored]:
    """Return the record, or None when it is not there.  Raises _Damaged, or Newer when a newer ccsetup made it."""
    try:
        found = read(_path(state_dir, number, suffix))
        if found is None:
            return None
        raw = json.loads(found.data)
        version.check(raw["version"], _VERSION, _path(state_dir, number, suffix))
        if raw["version"] != _VERSION or raw["id"] != str(number):
            raise _Damaged
        return _stored(raw)
    except version.Newer:
        raise
    except (CcsetupError, ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError):
        raise _Damaged from None


def _stored(raw: dict[str, Any]) -> _Stored:
    """Return *raw* as a record.  Raises _Damaged, and what wrong types raise by themselves."""
    steps = [_step(item) for item in raw["files"]]
    record = Record(
        id=_is(str, raw["id"]),
        time=float(_is((int, float), raw["time"])),
        command=_is(str, raw["command"]),
        paths=tuple(step.change.path for step in steps),
        undoes=_is(str, raw["undoes"]),
    )
    keys = [[tuple(_is(str, name) for name in _is(list, key)) for key in _is(list, i["keys"])] for i in raw["files"]]
    made = [_absolute(folder) for folder in _is(list, raw["made"])]
    locks = [(_absolute(lock), (_is(int, device), _is(int, inode))) for lock, device, inode in _is(list, raw["locks"])]
    # What recovery removes or puts somewhere is what the files of the record need, and nothing else.
    places = [step.real for step in steps]
    ours = {lock_of(step.change.path) for step in steps if step.change.claude_lock}
    if (
        not 0 <= record.time < _END_OF_TIME
        or not 0 < _is(int, raw["pid"]) < 2**31
        or not all(key for paths in keys for key in paths)
        or not all(any(place.startswith(folder + os.sep) for place in places) for folder in made)
        or not all(lock in ours for lock, _identity in locks)
    ):
        raise _Damaged
    files = [Content(step.change, tuple(paths)) for step, paths in zip(steps, keys, strict=True)]
    return _Stored(record, raw["pid"], made, locks, steps, files)


def _step(item: dict[str, Any]) -> Step:
    change = FileChange(
        path=_absolute(item["path"]),
        before=_bytes(item["before"]),
        after=_bytes(item["after"]),
        private=_is(bool, item["private"]),
        format=_is(str, item["format"]),
        claude_lock=_is(bool, item["claude_lock"]),
    )
    real, temp = _absolute(item["real"]), _absolute(item["temp"])
    if (
        change.format not in ("", "json", "toml")
        or not -1 <= _is(int, item["mode"]) <= 0o777
        or os.path.dirname(temp) != os.path.dirname(real)
        or ".ccsetup-" not in os.path.basename(temp)
    ):
        raise _Damaged
    return Step(change, real, temp, item["mode"])


def _is(kind: Any, value: Any) -> Any:
    """Return *value* when it is a *kind*; true and false are no numbers."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _Damaged
    return value


def _absolute(path: Any) -> str:
    os.fsencode(_is(str, path))  # raises ValueError for what can be no name
    if not os.path.isabs(path) or "\0" in path:
        raise _Damaged
    return str(path)


def _text(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _bytes(text: Any) -> Optional[bytes]:
    return None if text is None else _is(str, text).encode("utf-8", "surrogateescape")


def _alive(pid: int) -> bool:
    if sys.platform == "win32":  # where os.kill(pid, 0) sends Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
