"""The journal: one record per transaction with every file before and after.  It is the backup, and undo reads it.

``<state_dir>/journal/000007.json``; while the transaction runs, the record is called ``000007.pending``.  Records hold
keys: they are 0600 in a folder that is 0700, and their contents are never shown.  They name files as ``naming`` says.
"""

from __future__ import annotations

import errno
import json
import os
from typing import Any, Optional

from ccsetup.disk.lock import UNKNOWN, lock_of, remove_lock
from ccsetup.disk.read import read, reason, resolve
from ccsetup.disk.replace import Step, make_folder, refused, set_aside, write_new
from ccsetup.documents import FORMATS, version
from ccsetup.documents.edit import KeyPath
from ccsetup.errors import CcsetupError, NotFound, WriteError
from ccsetup.i18n import _
from ccsetup.naming import MARK, Homes, Relation, is_name, origin_from_json, origin_to_json, project_of
from ccsetup.plan import FileChange
from ccsetup.platform import system
from ccsetup.tuples import NamedTuple

MAX_RECORDS = 20
MAX_BYTES = 64 * 1024 * 1024
"""Older records go when all together exceed this; the newest one always stays."""

_VERSION = 2
"""Version 1 had absolute paths only, and no origin."""
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
    home: str = ""
    """The other home that it was made in, where two share a state folder; empty: it is of this one."""


class Content(NamedTuple):
    """One file of a record."""

    change: FileChange
    """Without its edits, of which only the key paths are kept."""
    keys: tuple[KeyPath, ...]
    """The key paths that were edited; empty for a file that was replaced as a whole."""


class _File(NamedTuple):
    """One file of a record, and what recovery needs of it."""

    content: Content
    name: str
    temp: str
    """Name of the temporary file, in the folder of the file itself."""
    mode: int


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
    relation: Relation
    files: list[_File]


class _Damaged(Exception):
    """Something is in the place of a record that none of ours has ever been."""


def history(homes: Homes) -> list[Record]:
    """Return the finished transactions, oldest first; records that cannot be read are left out (see ``damaged``)."""
    records: dict[str, Record] = {}
    for number, suffix in _names(homes.state_dir):
        record = _listed(homes, number, suffix) if suffix == _DONE else None
        if record is not None:
            records[record.id] = record
    by = _taken_back({id_: record.undoes for id_, record in records.items()})
    return [record._replace(undone_by=by.get(id_, "")) for id_, record in records.items()]


def _taken_back(undoes: dict[str, str]) -> dict[str, str]:
    """Return which record took each of those back that are; *undoes*: which one each took back, oldest first."""
    by: dict[str, str] = {}
    for id_, taken in reversed(undoes.items()):
        if taken in undoes and id_ not in by:  # an undo that was itself undone does not count any more
            by[taken] = id_
    return by


def unfinished(homes: Homes) -> list[Record]:
    """Return the transactions of this home that were killed halfway; the next transaction takes them back."""
    listed = [_listed(homes, number, suffix) for number, suffix in _names(homes.state_dir) if suffix == _PENDING]
    return [record for record in listed if record is not None and not (record.problem or record.home)]


def interrupted(state_dir: str) -> bool:
    """Tell whether there is an unfinished transaction, or one that is at work now; looks at names only."""
    return any(suffix == _PENDING for _number, suffix in _names(state_dir))


def damaged(homes: Homes) -> list[str]:
    """Return the paths of records that cannot be read, also of those that were set aside."""
    out = []
    for number, suffix in _names(homes.state_dir):
        if suffix == _DAMAGED:
            out.append(_path(homes.state_dir, number, suffix))
        elif suffix in (_DONE, _PENDING):
            try:
                _load(homes, number, suffix)
            except version.Newer:
                continue
            except _Damaged:
                out.append(_path(homes.state_dir, number, suffix))
    return out


def contents(homes: Homes, record_id: str) -> list[Content]:
    """Return the files of a finished transaction.

    Raises CcsetupError when there is no such (whole) record, a newer ccsetup made it, or one of its files
    is not to be written in this run.
    """
    number = int(record_id) if record_id.isascii() and record_id.isdigit() and len(record_id) < 10 else -1
    found = _whole(homes, number, _DONE)
    if found is None:
        raise NotFound(_("There is no change {id} in the history.").format(id=record_id), hint="ccsetup undo --list")
    for file in found.files:
        path = file.content.change.path
        if not _ours(file, found.relation, homes):
            raise CcsetupError(
                _("Change {id} is about {path}, which does not belong to this home. No file was changed.").format(
                    id=record_id, path=path
                ),
                hint=_("Go into that project, and run the command again there.")
                if project_of(path)
                else _("Set HOME, CLAUDE_CONFIG_DIR, CODEX_HOME and XDG_CONFIG_HOME as they were then."),
            )
    return [file.content for file in found.files]


def _ours(file: _File, relation: Relation, homes: Homes) -> bool:
    """Tell whether the file may be written: a project's only where it is as we left it, or carries the same mark."""
    change = file.content.change
    if relation == "other":
        return False
    if homes.writable(change.path):
        return True
    # A copied home has nothing to say about a project, unless that was copied along.
    if not project_of(change.path) or (relation == "copy" and change.path == file.name):
        return False
    if not os.path.isdir(project_of(change.path)):
        return True  # nothing is written into what is gone
    found = read(change.path)
    now = None if found is None else found.data
    return now == change.after or _mark(now) in (_mark(change.after), _mark(change.before))


def _mark(data: Optional[bytes]) -> Any:
    try:
        document = json.loads((data or b"").decode("utf-8-sig"))
    except ValueError:
        return None
    return document.get(MARK) if isinstance(document, dict) else None


class OpenRecord:
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
            system.sync_folder(self._folder)
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
        system.sync_folder(self._folder)

    def drop(self) -> None:
        """The transaction was taken back.  Raises OSError."""
        for path in (self._pending, self._done):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
        system.sync_folder(self._folder)

    def keep_pending(self) -> None:
        """The transaction could not be taken back: leave that to the next one."""
        try:
            os.rename(self._done, self._pending)
        except OSError:  # as a rule, because it still is pending
            pass


def begin(
    homes: Homes,
    steps: list[Step],
    *,
    made: list[str],
    time: float,
    command: str,
    undoes: str,
) -> OpenRecord:
    """Write the record of the transaction that *steps* will be.  Raises WriteError; then nothing has changed."""
    state_dir = homes.state_dir
    make_folder(_folder(state_dir))
    last = _LAST
    while last == _LAST:
        last, suffix = max(_names(state_dir), default=(0, ""))
        if last == _LAST:  # we never counted that far: somebody else made that file
            set_aside(_path(state_dir, last, suffix))
    entry = OpenRecord(state_dir, last + 1)
    entry.write(
        {
            "version": _VERSION,
            "id": str(entry.number),
            "time": time,
            "command": command,
            "undoes": undoes,
            "pid": os.getpid(),
            "home": origin_to_json(homes.origin),
            "made": [homes.name(folder) for folder in made],
            # They are taken after this is on the disk, so their identity is not known yet: they bear our mark.
            "locks": [[homes.name(lock_of(step.change.path)), *UNKNOWN] for step in steps if step.change.claude_lock],
            "files": [
                {
                    "path": homes.name(step.change.path),
                    "temp": os.path.basename(step.temp),
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


def recover(homes: Homes, *, locked: bool) -> Recovered:
    """Take every unfinished transaction of this home back, and clear its temporary files away.

    What is not to be written in this run (a CLAUDE_CONFIG_DIR that is not set now) waits for one in which it is.
    A file that holds anything else than what the transaction wrote was changed since, and stays.
    *locked* False: there is no lock, so the process of an unfinished transaction may still be at work.
    Raises WriteError when a file cannot be put back, and Newer when a newer ccsetup was interrupted; the record then
    stays for another try.
    """
    state_dir = homes.state_dir
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
            found = _load(homes, number, suffix)
        except _Damaged:  # it was verified once, so this is the disk's doing; not for us to throw away
            aside.append(set_aside(path, path[: -len(_PENDING)] + _DAMAGED))
            continue
        if found is None or found.relation == "other" or (not locked and system.alive(found.pid)):
            continue
        ours = [file for file in found.files if _ours(file, found.relation, homes)]
        steps = [step for step in (_put_back(file, path) for file in ours) if step is not None]
        # What is removed is what the files of the record needed, and nothing else.
        places = [step.real for step in steps]
        clear(steps, [folder for folder in found.made if any(p.startswith(folder + os.sep) for p in places)])
        locks = {lock_of(file.content.change.path) for file in ours}
        for lock, identity in found.locks:
            if lock in locks:
                remove_lock(lock, identity, unmarked=True)
        if len(ours) == len(found.files) or found.relation == "copy":  # the rest is for the original to put right
            OpenRecord(state_dir, number).drop()
            commands.append(found.record.command)
    return Recovered(tuple(commands), tuple(aside))


def _put_back(file: _File, record: str) -> Optional[Step]:
    """Take the change of *file* back; None where its place is gone.  Raises WriteError."""
    change = file.content.change
    try:
        real = resolve(change.path)
        step = Step(change, real, os.path.join(os.path.dirname(real), file.temp), file.mode)
        try:
            step.back()
        except CcsetupError:  # there is something else than a file now
            step.settle()
        return step
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG):
            return None  # the place itself is gone, so nothing of ours can be there
        raise WriteError(
            _("{path} cannot be put back after an interrupted change: {reason}.").format(
                path=change.path, reason=reason(error)
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
            system.sync_folder(folder)
        except OSError:
            pass


def prune(state_dir: str) -> None:
    """Remove the oldest records beyond MAX_RECORDS and MAX_BYTES; not those of a newer ccsetup.

    Those that can be taken back, and those that cannot (undone, or themselves an undo), are counted apart: undoing one
    change after the other comes to the oldest.
    """
    names = _names(state_dir)
    sizes = {number: _size(_path(state_dir, number, suffix)) for number, suffix in names}
    left = sum(sizes.values())
    if len(names) <= MAX_RECORDS and left <= MAX_BYTES:
        return
    undoes = {str(number): _undoes(_path(state_dir, number, suffix)) for number, suffix in names}
    by = _taken_back(undoes)
    spent = [name for name in names if name[1] == _DAMAGED or undoes[str(name[0])] or str(name[0]) in by]
    live = [name for name in names if name not in spent]
    many = [*spent[:-MAX_RECORDS], *live[:-MAX_RECORDS]]
    for number, suffix in dict.fromkeys([*many, *spent, *live]):
        if (number, suffix) not in many and left <= MAX_BYTES:
            break
        try:
            if (number, suffix) != names[-1] and suffix in (_DONE, _DAMAGED):
                _whole(Homes("", state_dir), number, suffix)
                os.unlink(_path(state_dir, number, suffix))
                left -= sizes[number]
        except (OSError, CcsetupError):
            pass


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _undoes(path: str) -> str:
    """Return what a record took back, by its first bytes: all of it may be long."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            start = os.read(file, 4096)
        finally:
            os.close(file)
    except OSError:
        return ""
    number = start.partition(b'"undoes": "')[2].partition(b'"')[0]
    return number.decode() if number.isdigit() else ""


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


def _listed(homes: Homes, number: int, suffix: str) -> Optional[Record]:
    try:
        found = _whole(homes, number, suffix)
    except version.Newer as newer:
        return Record(str(number), 0.0, "", (), problem=newer.message)
    return None if found is None else found.record


def _whole(homes: Homes, number: int, suffix: str) -> Optional[_Stored]:
    """Return the record, or None when it is not there or damaged.  Raises Newer."""
    try:
        return _load(homes, number, suffix)
    except _Damaged:
        return None


def _load(homes: Homes, number: int, suffix: str) -> Optional[_Stored]:
    """Return the record, or None when it is not there.  Raises _Damaged, or Newer when a newer ccsetup made it."""
    try:
        found = read(_path(homes.state_dir, number, suffix))
        if found is None:
            return None
        raw = json.loads(found.data)
        version.check(raw["version"], _VERSION, _path(homes.state_dir, number, suffix))
        if raw["version"] not in (1, _VERSION) or raw["id"] != str(number):
            raise _Damaged
        return _stored(raw, homes)
    except version.Newer:
        raise
    except (CcsetupError, ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError):
        raise _Damaged from None


def _stored(raw: dict[str, Any], homes: Homes) -> _Stored:
    """Return *raw* as a record.  Raises _Damaged, and what wrong types raise by themselves."""
    names = [_name(item["path"]) for item in raw["files"]]
    origin = homes.former(names) if raw["version"] == 1 else origin_from_json(raw["home"])
    if origin is None and raw["version"] != 1:
        raise _Damaged
    relation = homes.relation(origin)
    files = [_file(item, homes.path(item["path"], origin)) for item in raw["files"]]
    record = Record(
        id=_is(str, raw["id"]),
        time=float(_is((int, float), raw["time"])),
        command=_is(str, raw["command"]),
        paths=tuple(file.content.change.path for file in files),
        undoes=_is(str, raw["undoes"]),
        home=origin.home if origin and relation == "other" else "",
    )
    made = [homes.path(_name(folder), origin) for folder in _is(list, raw["made"])]
    locks = [
        (homes.path(_name(lock), origin), (_is(int, device), _is(int, inode)))
        for lock, device, inode in _is(list, raw["locks"])
    ]
    ours = {lock_of(file.content.change.path) for file in files if file.content.change.claude_lock}
    if (
        not 0 <= record.time < _END_OF_TIME
        or not 0 < _is(int, raw["pid"]) < 2**31
        or not all(lock in ours for lock, _identity in locks)
    ):
        raise _Damaged
    return _Stored(record, raw["pid"], made, locks, relation, files)


def _file(item: dict[str, Any], path: str) -> _File:
    change = FileChange(
        path=path,
        before=_bytes(item["before"]),
        after=_bytes(item["after"]),
        private=_is(bool, item["private"]),
        format=_is(str, item["format"]),
        claude_lock=_is(bool, item["claude_lock"]),
    )
    keys = tuple(tuple(_is(str, name) for name in _is(list, key)) for key in _is(list, item["keys"]))
    folder, temp = os.path.split(_is(str, item["temp"]))
    if (
        change.format not in ("", *FORMATS)
        or not -1 <= _is(int, item["mode"]) <= 0o777
        or folder != os.path.dirname(item.get("real", ""))  # version 1 had both
        or ".ccsetup-" not in temp
        or not all(keys)
    ):
        raise _Damaged
    return _File(Content(change, keys), item["path"], temp, item["mode"])


def _is(kind: Any, value: Any) -> Any:
    """Return *value* when it is a *kind*; true and false are no numbers."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _Damaged
    return value


def _name(name: Any) -> str:
    os.fsencode(_is(str, name))  # raises ValueError for what can be no name
    if not is_name(name) or "\0" in name:
        raise _Damaged
    return str(name)


def _text(data: Optional[bytes]) -> Optional[str]:
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _bytes(text: Any) -> Optional[bytes]:
    return None if text is None else _is(str, text).encode("utf-8", "surrogateescape")
