"""The journal: one record per transaction with every file before and after.  It is the backup, and undo reads it.

``<state_dir>/journal/000007.json``; while the transaction runs, the record is called ``000007.pending``.  Records hold
keys: they are 0600 in a folder that is 0700, and their contents are never shown.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, NamedTuple, Optional

from ccsetup.disk.lock import remove_lock
from ccsetup.disk.read import read, reason
from ccsetup.disk.replace import Step, make_folder, refused, sync_folder, write_new
from ccsetup.documents.edit import KeyPath
from ccsetup.errors import CcsetupError, WriteError
from ccsetup.i18n import _
from ccsetup.plan import FileChange

MAX_RECORDS = 20
MAX_BYTES = 64 * 1024 * 1024
"""Older records go when all together exceed this; the newest one always stays."""

_VERSION = 1
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


class Content(NamedTuple):
    """One file of a record."""

    change: FileChange
    """Without its edits, of which only the key paths are kept."""
    keys: tuple[KeyPath, ...]
    """The key paths that were edited; empty for a file that was replaced as a whole."""


def history(state_dir: str) -> list[Record]:
    """Return the finished transactions, oldest first; records that cannot be read are left out."""
    records: dict[str, Record] = {}
    for number, suffix in _names(state_dir):
        if suffix == _DONE:
            raw = _load(state_dir, number, suffix)
            if raw is not None:
                records[str(number)] = _record(raw)
    # Newest first: an undo that was itself undone does not count any more.
    for record in reversed(list(records.values())):
        if record.undoes in records and not records[record.id].undone_by:
            records[record.undoes] = records[record.undoes]._replace(undone_by=record.id)
    return list(records.values())


def unfinished(state_dir: str) -> list[Record]:
    """Return the transactions that were killed halfway; the next transaction takes them back."""
    loaded = [_load(state_dir, number, suffix) for number, suffix in _names(state_dir) if suffix == _PENDING]
    return [_record(raw) for raw in loaded if raw is not None]


def contents(state_dir: str, record_id: str) -> list[Content]:
    """Return the files of a finished transaction.  Raises CcsetupError when there is no such (whole) record."""
    raw = _load(state_dir, int(record_id), _DONE) if record_id.isascii() and record_id.isdigit() else None
    if raw is None:
        raise CcsetupError(
            _("There is no change {id} in the history.").format(id=record_id), hint="ccsetup undo --list"
        )
    return [Content(_step(item).change, tuple(tuple(key) for key in item["keys"])) for item in raw["files"]]


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
    locks: list[tuple[str, tuple[int, int]]],
    time: float,
    command: str,
    undoes: str,
) -> Entry:
    """Write the record of the transaction that *steps* will be.  Raises WriteError; then nothing has changed."""
    make_folder(_folder(state_dir))
    entry = Entry(state_dir, max((number for number, _suffix in _names(state_dir)), default=0) + 1)
    entry.write(
        {
            "version": _VERSION,
            "id": str(entry.number),
            "time": time,
            "command": command,
            "undoes": undoes,
            "pid": os.getpid(),
            "made": made,
            "locks": [[path, *identity] for path, identity in locks],
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


def recover(state_dir: str, *, locked: bool) -> None:
    """Take every unfinished transaction back, and clear its temporary files away.

    A file that holds anything else than what the transaction wrote was changed since, and stays.
    *locked* False: there is no lock, so the process of an unfinished transaction may still be at work.
    Raises WriteError when a file cannot be put back; the record then stays for another try.
    """
    for number, suffix in reversed(_names(state_dir)):
        path = os.path.join(_folder(state_dir), f"{number:06d}{suffix}")
        if suffix == _DRAFT and locked:  # killed before anything was changed
            os.unlink(path)
        if suffix != _PENDING:
            continue
        raw = _load(state_dir, number, suffix)
        if raw is None:  # it was verified once, so this is the disk's doing; not for us to throw away
            os.rename(path, path[: -len(_PENDING)] + _DAMAGED)
            continue
        if not locked and _alive(raw["pid"]):
            continue
        steps = [_step(item) for item in raw["files"]]
        for step in steps:
            try:
                step.back()
            except CcsetupError:  # there is something else than a file now
                step.settle()
            except OSError as error:
                raise WriteError(
                    _("{path} cannot be put back after an interrupted change: {reason}.").format(
                        path=step.change.path, reason=reason(error)
                    ),
                    hint=_("The change is recorded in {record}.").format(record=path),
                ) from None
        clear(steps, raw["made"])
        for lock, device, inode in raw["locks"]:
            remove_lock(lock, (device, inode))
        Entry(state_dir, number).drop()


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
    """Remove the oldest records beyond MAX_RECORDS and MAX_BYTES."""
    size = 0
    for position, (number, suffix) in enumerate(reversed(_names(state_dir))):
        path = os.path.join(_folder(state_dir), f"{number:06d}{suffix}")
        try:
            size += os.stat(path).st_size
            if position and (position >= MAX_RECORDS or size > MAX_BYTES) and suffix in (_DONE, _DAMAGED):
                os.unlink(path)
        except OSError:
            pass


def _folder(state_dir: str) -> str:
    return os.path.join(state_dir, "journal")


def _names(state_dir: str) -> list[tuple[int, str]]:
    """Return number and suffix of everything in the journal, oldest first."""
    try:
        names = [os.path.splitext(name) for name in os.listdir(_folder(state_dir))]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise CcsetupError(str(error)) from None
    return sorted(
        (int(stem), suffix)
        for stem, suffix in names
        if suffix in (_DONE, _PENDING, _DRAFT, _DAMAGED) and stem.isascii() and stem.isdigit()
    )


def _load(state_dir: str, number: int, suffix: str) -> Optional[dict[str, Any]]:
    """Return the record, or None when it is not there or damaged."""
    found = read(os.path.join(_folder(state_dir), f"{number:06d}{suffix}"))
    if found is None:
        return None
    try:
        raw = json.loads(found.data)
        _record(raw)
        for item in raw["files"]:
            _step(item)
        return raw if raw["version"] == _VERSION else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _record(raw: dict[str, Any]) -> Record:
    return Record(
        id=raw["id"],
        time=raw["time"],
        command=raw["command"],
        paths=tuple(item["path"] for item in raw["files"]),
        undoes=raw["undoes"],
    )


def _step(item: dict[str, Any]) -> Step:
    change = FileChange(
        path=item["path"],
        before=_bytes(item["before"]),
        after=_bytes(item["after"]),
        private=item["private"],
        format=item["format"],
        claude_lock=item["claude_lock"],
    )
    return Step(change, item["real"], item["temp"], item["mode"])


def _text(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _bytes(text: Optional[str]) -> Optional[bytes]:
    return None if text is None else text.encode("utf-8", "surrogateescape")


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
