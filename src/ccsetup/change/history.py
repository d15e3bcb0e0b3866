"""Give Codex' sessions another provider id, and take that back: the one place that writes them.

What is done is noted before it is done, session by session, in a file of its own below the state folder.  The database
is held alone from before the first file to after the last one, so no Codex runs meanwhile; its rows change at the end,
at once.  Who is killed leaves each session under the one id or the other, and a second run does the rest.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional, Sequence

from ccsetup import bounded
from ccsetup.clients.codex import sessions
from ccsetup.clients.codex.sessions import Session
from ccsetup.disk import replace, rewrite
from ccsetup.disk.rewrite import Rewriting
from ccsetup.errors import CcsetupError, DocumentError, NotFound
from ccsetup.i18n import _
from ccsetup.paths import Paths

if TYPE_CHECKING:
    from sqlite3 import Connection

_FOLDER, _UNDONE = "history", ".undone"


class Refiled(NamedTuple):
    """What became of sessions."""

    done: int
    kept: int
    """Those that were continued since, and stay as they are."""
    packed: tuple[str, ...] = ()
    """Rollouts that are compressed, and cannot be unpacked here."""


class Manifest(NamedTuple):
    """One join, as it was noted."""

    path: str
    to: str
    ids: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]


def every(paths: Paths, config: Any) -> list[Session]:
    """Return all sessions of Codex.  Raises CcsetupError where the database cannot be read."""
    with _opened(paths, config, alone=False) as dbs:
        return list(sessions.found(paths, _stored(dbs)))


def join(paths: Paths, config: Any, ids: Iterable[str], to: str) -> Refiled:
    """File the sessions of *ids* under *to*.  Raises CcsetupError where Codex runs, or a file cannot be written."""
    wanted = {*ids} - {to}
    done, packed = 0, []
    with _opened(paths, config, alone=True) as dbs, _rewriting() as files:
        _sweep(paths)
        mine = [s for s in sessions.found(paths, _stored(dbs)) if s.path.endswith(".zst") or _names(s) & wanted]
        note = _Note(paths, {"version": 1, "home": paths.codex_home, "to": to, "ids": sorted(wanted)})
        for session in mine:
            try:
                changed = _file(files, session, note, lambda _n, old: to if old in wanted else old, wanted)
            except _Packed:
                if session.stored in wanted:
                    packed.append(session.path)
                continue
            done += changed
            for db in dbs if session.stored in wanted else ():
                db.execute("UPDATE threads SET model_provider = ? WHERE id = ?", (to, session.id))
        files.finish()
        for db in dbs:
            db.execute("COMMIT")
    return Refiled(done, 0, tuple(packed))


def _names(session: Session) -> set[str]:
    return {session.first, session.stored}


class _Note:
    """The file of a join, begun with its first session."""

    def __init__(self, paths: Paths, head: Mapping[str, Any]) -> None:
        self._folder, self._head, self._path = os.path.join(paths.state_dir, _FOLDER), head, ""
        self._home = paths.codex_home

    def add(self, session: Session, lines: Sequence[tuple[int, str]], size: int) -> None:
        if not self._path:
            replace.make_folder(self._folder)
            last = max((int(n.partition(".")[0]) for n in _files(self._folder)), default=0)
            self._path = os.path.join(self._folder, f"{last + 1:04}.jsonl")
            rewrite.append(self._path, json.dumps(self._head).encode() + b"\n")
        path = os.path.relpath(session.path, self._home) if session.path else ""
        row = {"id": session.id, "path": path, "stored": session.stored, "lines": lines, "size": size}
        rewrite.append(self._path, json.dumps(row).encode() + b"\n")


def _file(files: Rewriting, session: Session, note: _Note, choose: Callable[[int, str], str], wanted: set[str]) -> bool:
    """Note and rewrite the rollout of *session*; tell whether it was one to be joined.  Raises _Packed."""
    if not session.path:
        note.add(session, (), 0)
        return True
    status = os.stat(session.path)
    data = _read(session.path)
    new, lines = sessions.renamed(data, choose)
    if not lines and session.stored not in wanted:
        return False
    packed = _packed(session.path, new) if lines else b""
    note.add(session, lines, len(packed) if lines else status.st_size)
    if lines:
        files.add(session.path, packed, status)
    return True


class _Packed(Exception):
    """A rollout is compressed, and cannot be unpacked here."""


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        data = file.read()
    if not path.endswith(".zst"):
        return data
    try:
        zstd = bounded.zstd()
    except ImportError:
        raise _Packed from None
    try:
        return bytes(zstd.decompress(data))
    except zstd.ZstdError:
        raise _Packed from None


def _packed(path: str, data: bytes) -> bytes:
    return bytes(bounded.zstd().compress(data)) if path.endswith(".zst") else data


def manifests(paths: Paths) -> list[Manifest]:
    """Return the joins that were not taken back, the last one first.  Raises DocumentError."""
    folder = os.path.join(paths.state_dir, _FOLDER)
    out = []
    for name in sorted(_files(folder), reverse=True):
        if name.endswith(_UNDONE):
            continue
        path = os.path.join(folder, name)
        lines = bounded.found(path, 1 << 30).splitlines()
        try:
            head, *rows = [json.loads(line) for line in lines if line.endswith(b"}")]  # a kill may cut the last one
            if head["home"] == paths.codex_home:
                out.append(Manifest(path, head["to"], tuple(head["ids"]), tuple(rows)))
        except (ValueError, KeyError, TypeError):
            text = _("{path} is damaged.").format(path=paths.short(path))
            raise DocumentError(text, hint=_("Move it away, and run the command again.")) from None
    return out


def _files(folder: str) -> list[str]:
    try:
        return [n for n in os.listdir(folder) if n.partition(".")[0].isdigit()]
    except FileNotFoundError:
        return []


def undo(paths: Paths, config: Any) -> Refiled:
    """Give the sessions of the last join their former ids; those that were continued or deleted since stay."""
    found = manifests(paths)
    if not found:
        raise NotFound(_("No sessions were joined, or all of it is taken back."))
    last, done, kept = found[0], 0, 0
    with _opened(paths, config, alone=True) as dbs, _rewriting() as files:
        _sweep(paths)
        there = {s.id: s for s in sessions.found(paths, _stored(dbs))}
        for row in last.rows:
            session = there.get(row["id"])
            if session is None or (row["path"] and not session.path):
                continue
            moved = bool(session.path and row["path"]) and os.stat(session.path).st_size != row["size"]
            if moved and _is_continued(session, row):
                kept += 1
                continue
            _back(files, session, last.to, dict(row["lines"]))
            for db in dbs if row["stored"] and session.stored == last.to != row["stored"] else ():
                db.execute("UPDATE threads SET model_provider = ? WHERE id = ?", (row["stored"], session.id))
            done += 1
        files.finish()
        for db in dbs:
            db.execute("COMMIT")
        os.rename(last.path, last.path + _UNDONE)
    return Refiled(done, kept)


def _is_continued(session: Session, row: Mapping[str, Any]) -> bool:
    """Tell whether a session of another size was continued since, and not taken back by a run that was killed."""
    return session.first not in {old for number, old in row["lines"] if number == 0}


def _back(files: Rewriting, session: Session, to: str, lines: Mapping[int, str]) -> None:
    if not session.path or not lines:
        return
    status = os.stat(session.path)
    new, changes = sessions.renamed(_read(session.path), lambda n, old: lines.get(n, old) if old == to else old)
    if changes:
        files.add(session.path, _packed(session.path, new), status)


def _sweep(paths: Paths) -> None:
    for folder in {os.path.dirname(p) for p in sessions.rollouts(paths)}:
        rewrite.sweep(folder)


def _stored(dbs: Iterable[Connection]) -> dict[str, tuple[str, float]]:
    return {id_: (provider, when) for db in dbs for id_, _path, provider, when in sessions.rows(db)}


@contextlib.contextmanager
def _rewriting() -> Iterator[Rewriting]:
    files = Rewriting()
    try:
        yield files
    finally:
        files.drop()


@contextlib.contextmanager
def _opened(paths: Paths, config: Any, *, alone: bool) -> Iterator[list[Connection]]:
    """Open Codex' databases; *alone*: in a transaction, while no other process has one of them open.

    A program that has a database open in WAL mode shares a lock on it as long as that lasts, also when it is idle.
    """
    import sqlite3

    with contextlib.ExitStack() as stack:
        dbs = []
        path: Optional[str] = None
        try:
            for path in sessions.databases(paths, config):
                db = stack.enter_context(contextlib.closing(sqlite3.connect(path, timeout=2, isolation_level=None)))
                if not db.execute(
                    "SELECT 1 FROM pragma_table_info('threads') WHERE name = 'model_provider'"
                ).fetchone():
                    continue
                if alone:
                    db.execute("PRAGMA locking_mode = EXCLUSIVE")
                    db.execute("BEGIN EXCLUSIVE")
                dbs.append(db)
            yield dbs
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise CcsetupError(
                    _("{path} cannot be used: {reason}").format(path=paths.short(path or ""), reason=error)
                ) from None
            raise CcsetupError(
                _("Codex is running, and has its sessions open. Nothing was changed."),
                hint=_("Close it, also in your editor, run: codex app-server daemon stop; then the command again."),
            ) from None
        except OSError as error:
            name = paths.short(os.fspath(error.filename or ""))
            raise CcsetupError(
                _("{path} cannot be used: {reason}").format(path=name, reason=error.strerror),
                hint=_("What is done is noted: mend it, and run the command again."),
            ) from None
        except sqlite3.DatabaseError as error:
            text = _("{path} cannot be used: {reason}").format(path=paths.short(path or ""), reason=error)
            raise CcsetupError(text) from None
