"""Takes a transaction back, key by key where a file was changed since: a later value of the user's always wins.

An older file is never copied over newer settings.
"""

from __future__ import annotations

import os
from typing import Any, Optional

from ccsetup.disk.journal import Content, Record, contents, history
from ccsetup.disk.read import snapshot
from ccsetup.documents import format_named
from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, Unset, lookup
from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.i18n import _
from ccsetup.naming import Homes, project_of
from ccsetup.plan import FileChange, Plan
from ccsetup.tuples import NamedTuple


class LeftAlone(NamedTuple):
    """Something that stays as it is, and why.  Holds no value, which could be a key."""

    path: str
    key: KeyPath
    """Empty: the whole file."""
    line: int
    """From 1; 0: not known."""
    text: str


class UndoPlan(NamedTuple):
    """What undoing a record means now; nothing is done yet."""

    record: Record
    """Pass its id to ``transaction`` as *undoes*."""
    plan: Plan
    notes: tuple[LeftAlone, ...]
    files: tuple[Content, ...]
    """What the record holds, for ``again``."""

    def __repr__(self) -> str:  # the contents may hold keys
        return f"UndoPlan({self.record!r})"


def undo(homes: Homes, record_id: Optional[str] = None) -> UndoPlan:
    """Plan to take *record_id* back; None: the newest transaction that is neither undone nor itself an undo.

    Undoing an undo does the change again.  Raises CcsetupError when there is no such record, it is undone
    already, or one of its files is not to be written in this run.
    """
    record = _target(history(homes), record_id)
    return _plan(record, tuple(contents(homes, record.id)))


def again(homes: Homes, found: UndoPlan) -> UndoPlan:
    """Make *found* anew for the files as they are now; its record may be gone, pushed out by newer ones.

    Raises CcsetupError when it was undone meanwhile.
    """
    _check_not_undone(next((r for r in history(homes) if r.id == found.record.id), found.record))
    return _plan(found.record, found.files)


def _plan(record: Record, files: tuple[Content, ...]) -> UndoPlan:
    changes: list[FileChange] = []
    notes: list[LeftAlone] = []
    for file in files:
        path = file.change.path
        try:
            change = _take_back(file, snapshot([path])[path], notes)
        except CcsetupError as error:  # a folder, say, is there now
            text = _("{path} stays as it is: {reason}").format(path=path, reason=error.message)
            notes.append(LeftAlone(path, (), 0, text))
            continue
        if change is not None:
            changes.append(change)
    return UndoPlan(record, Plan(f"undo {record.id}", tuple(changes)), tuple(notes), files)


def _target(records: list[Record], record_id: Optional[str]) -> Record:
    if record_id is None:
        for record in reversed(records):
            if record.problem:
                raise CcsetupError(record.problem, hint=_("Install that version again, or move the file away."))
            if not (record.undone_by or record.undoes or record.home):
                return record
        raise CcsetupError(_("There is nothing to undo."))
    wanted = record_id.lstrip("0")
    for record in records:
        if record.id == wanted:
            if record.home:
                raise CcsetupError(
                    _("Change {id} was made in the home {home}, which is not this one.").format(
                        id=record.id, home=record.home
                    ),
                    hint="ccsetup undo --list",
                )
            _check_not_undone(record)
            return record
    raise CcsetupError(_("There is no change {id} in the history.").format(id=record_id), hint="ccsetup undo --list")


def _check_not_undone(record: Record) -> None:
    if record.undone_by:
        raise CcsetupError(
            _("Change {id} is undone already.").format(id=record.id),
            hint=_("To do it again: {command}").format(command=f"ccsetup undo {record.undone_by}"),
        )


def _take_back(file: Content, now: Optional[bytes], notes: list[LeftAlone]) -> Optional[FileChange]:
    """Return how *file*, which holds *now*, goes back; None: it stays."""
    change = file.change
    if now == change.before:
        return None
    gone = bool(project_of(change.path)) and not os.path.isdir(project_of(change.path))
    if now == change.after and not gone:
        reverse = change._replace(before=now, after=change.before)
        if not file.keys or change.before is None or change.after is None:
            return reverse
        try:
            edits, _kept = _edits(format_named(change.format), change.before, change.after, change.after, file.keys)
        except DocumentError:  # it was broken before; then the bytes go back, and a redo knows the whole file only
            return reverse
        return reverse._replace(edits=tuple(edits))
    path = change.path
    if now is None or gone:
        notes.append(LeftAlone(path, (), 0, _("{path} was deleted since, and stays so.").format(path=path)))
        return None
    if not file.keys or change.after is None:
        notes.append(LeftAlone(path, (), 0, _("{path} was changed since, and stays as it is.").format(path=path)))
        return None
    document = format_named(change.format)
    try:
        edits, kept = _edits(document, change.before or b"", change.after, now, file.keys)
        text = document.decode(now)
        after: Optional[bytes] = document.encode(document.apply(text, edits))
    except DocumentError as error:
        notes.append(
            LeftAlone(
                path, (), error.line, _("{path} stays as it is: {reason}").format(path=path, reason=error.message)
            )
        )
        return None
    for key in kept:
        notes.append(
            LeftAlone(
                path,
                key,
                document.locate(text, key),
                _("{key} was changed since, and keeps its later value.").format(key=".".join(key)),
            )
        )
    if not edits:
        return None
    if change.before is None and b"".join((after or b"").split()) in (b"", b"{}"):
        after = None  # we made the file, and nothing is left in it
    return change._replace(before=now, after=after, edits=tuple(edits))


def _edits(
    document: Any, before: bytes, after: bytes, now: bytes, keys: tuple[KeyPath, ...]
) -> tuple[list[Edit], list[KeyPath]]:
    """Return the edits that take *keys* from *now* back to *before*, and the key paths that keep a later value."""
    old, new, current = (document.parse(document.decode(data)) for data in (before, after, now))
    edits: list[Edit] = []
    kept: list[KeyPath] = []
    seen: list[KeyPath] = []
    for key in sorted(keys, key=len):
        if not any(key[: len(other)] == other for other in seen):  # a parent of it was handled as a whole
            seen.append(key)
            _merge(old, new, current, key, edits, kept)
    return edits, kept


def _merge(old: Any, new: Any, current: Any, key: KeyPath, edits: list[Edit], kept: list[KeyPath]) -> None:
    was, ours, now = (lookup(data, key) for data in (old, new, current))
    if _same(was, ours) or _same(now, was):
        return
    if _same(now, ours):
        if was is not MISSING:
            edits.append(Set(key, was))
            return
        prune = 0  # the parents that were made for this key
        while prune < len(key) - 1 and lookup(old, key[: len(key) - 1 - prune]) is MISSING:
            prune += 1
        edits.append(Unset(key, prune))
    elif isinstance(ours, dict) and isinstance(now, dict) and (was is MISSING or isinstance(was, dict)):
        for name in dict.fromkeys([*ours, *(was if isinstance(was, dict) else ())]):
            _merge(old, new, current, (*key, name), edits, kept)
    else:
        kept.append(key)


def _same(one: Any, other: Any) -> bool:
    """Compare as documents do: 1, 1.0 and true are different values."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
