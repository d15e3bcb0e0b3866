"""The SQLite file: its schema, and one transaction for each batch.  Blocks; for one thread at a time."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from typing import Any, Iterable, Mapping, NamedTuple, Optional, Sequence

from ccsetup.disk import protect
from ccsetup.disk.replace import make_folder
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.relay.store import Rest, UsageRow
from ccsetup.relay.store.spending import DAY, LARGEST, Spending, Tally, day_of, tally

BUSY = 5.0
"""Seconds to wait for another process that is writing."""

CLEAN_EVERY = 3600.0
"""Seconds between two looks for rows that are too old."""

_TOGETHER = 100
"""Rows of one statement: each statement hands Python's lock over and back, and the server waits for it."""

_ASIDE_EVERY = 60.0
"""Seconds; a disk that damages every new file must not be filled with damaged files."""

COLUMNS = UsageRow._fields

_TEXTS = ("id", "client", "upstream", "model", "served", "wire_in", "wire_out", "error", "currency", "purpose")
_TYPES = {
    "time": "REAL NOT NULL",
    "cost": "REAL",
    "first_ms": "REAL",
    "total_ms": "REAL NOT NULL",
    **dict.fromkeys(_TEXTS, "TEXT NOT NULL"),
}

FIGURES = ("requests", "errors", "unpriced", "input", "output", "cache_read", "cache_write", "reasoning", "cost")

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        # AUTOINCREMENT: a number is never given again, so that "sent up to this row" stays true.
        "CREATE TABLE usage (seq INTEGER PRIMARY KEY AUTOINCREMENT, "
        + ", ".join(f"{name} {_TYPES.get(name, 'INTEGER NOT NULL')}" for name in COLUMNS)
        + ")",
        "CREATE INDEX usage_time ON usage (time)",
        "CREATE TABLE days (day INTEGER NOT NULL, upstream TEXT NOT NULL, model TEXT NOT NULL, client TEXT NOT NULL,"
        " currency TEXT NOT NULL, "
        + ", ".join(f"{name} {'REAL' if name == 'cost' else 'INTEGER'} NOT NULL" for name in FIGURES)
        + ", PRIMARY KEY (day, upstream, model, client, currency)) WITHOUT ROWID",
        "CREATE TABLE spending (day INTEGER NOT NULL, client TEXT NOT NULL, currency TEXT NOT NULL,"
        " requests INTEGER NOT NULL, tokens INTEGER NOT NULL, cost REAL NOT NULL,"
        " PRIMARY KEY (day, client, currency)) WITHOUT ROWID",
        "CREATE TABLE rests (upstream TEXT NOT NULL, key INTEGER NOT NULL, until REAL NOT NULL, step INTEGER NOT NULL,"
        " reason TEXT NOT NULL, PRIMARY KEY (upstream, key)) WITHOUT ROWID",
        "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
)
"""What makes each version of the schema of the one before; ``PRAGMA user_version`` counts them."""

KEPT_FROM = "kept from"
"""The note that holds the first day of which single requests are kept."""

_ROW = f"({', '.join('?' * len(COLUMNS))})"
_INSERT = f"INSERT INTO usage ({', '.join(COLUMNS)}) VALUES "  # noqa: S608 - names of our own, as below
_INSERT_ONE = _INSERT + _ROW
_INSERT_MANY = _INSERT + ", ".join([_ROW] * _TOGETHER)
_ADD_DAY = (
    f"INSERT INTO days VALUES ({', '.join('?' * (5 + len(FIGURES)))}) "  # noqa: S608
    f"ON CONFLICT DO UPDATE SET {', '.join(f'{f} = {f} + excluded.{f}' for f in FIGURES)}"
)
_ADD_SPENDING = (
    "INSERT INTO spending VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " requests = requests + excluded.requests, tokens = tokens + excluded.tokens, cost = cost + excluded.cost"
)
_AFTER = f"SELECT seq, {', '.join(COLUMNS)} FROM usage WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608


class Batch(NamedTuple):
    """What one transaction writes."""

    rows: Sequence[UsageRow]
    spending: Spending
    """To be added."""
    rests: Mapping[tuple[str, int], Optional[Rest]]
    """None: the rest is over."""
    notes: Mapping[str, str]
    """Small values by name."""


class Known(NamedTuple):
    """What the file holds after a transaction, of all processes that use it."""

    spending: Spending
    """Of today and yesterday."""
    rests: Mapping[tuple[str, int], Rest]
    notes: Mapping[str, str]


class _Damaged(sqlite3.DatabaseError):
    """The file is no database of ours, or a broken one."""


class UsageFile:
    """The file *path*; it and its folder are closed to others.  Single requests are kept *days* days."""

    def __init__(self, path: str, days: int) -> None:
        self.path = path
        self.set_aside = ""
        """Where the last damaged file went, "" when there was none."""
        self._days = days
        self._base: Optional[sqlite3.Connection] = None
        self._identity = (0, 0)
        self._cleaned = self._put_aside_at = -math.inf

    def write(self, batch: Batch, now: float) -> Known:
        """Write *batch* whole or not at all, and return what the file then holds.

        A damaged file is set aside, and a new one begun.  sqlite3.Error, OSError and WriteError when the disk refuses;
        CcsetupError when a newer ccsetup made the file.
        """
        try:
            return self._write(batch, now)
        except _Damaged:
            if now - self._put_aside_at < _ASIDE_EVERY:
                raise
            self._put_aside(now)
            return self._write(batch, now)

    def rows_after(self, seq: int, limit: int) -> list[tuple[int, UsageRow]]:
        """Return at most *limit* rows after the row *seq*, in order, with their numbers.  sqlite3.Error, OSError."""
        return [
            (values[0], UsageRow._make(values[1:])._replace(stream=bool(values[_STREAM])))
            for values in self._opened().execute(_AFTER, (seq, limit))
        ]

    def last_row(self) -> int:
        """Return the number of the row that was written last, 0 when there never was one.  sqlite3.Error, OSError."""
        found = self._opened().execute("SELECT seq FROM sqlite_sequence WHERE name = 'usage'").fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        if self._base is not None:
            try:
                self._base.close()
            except sqlite3.Error:
                pass
            self._base = None

    def _write(self, batch: Batch, now: float) -> Known:
        try:
            base = self._opened()
            with _transaction(base):
                rows = _insert(base, batch.rows)
                base.executemany(_ADD_DAY, _days(rows))
                base.executemany(_ADD_SPENDING, _spending_rows(batch.spending))
                for (upstream, key), rest in batch.rests.items():
                    if rest is None:
                        base.execute("DELETE FROM rests WHERE upstream = ? AND key = ?", (_text(upstream), key))
                    else:
                        kept = rest._replace(upstream=_text(upstream), reason=_text(rest.reason))
                        base.execute("INSERT OR REPLACE INTO rests VALUES (?, ?, ?, ?, ?)", kept)
                base.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?)", batch.notes.items())
                if now - self._cleaned >= CLEAN_EVERY:
                    self._clean(base, now)
                return _known(base, now)
        except sqlite3.Error as error:
            code = _code(error)
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise _Damaged(str(error)) from error
            if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL):
                self.close()  # the file may have been taken away below us: open it again
            raise

    def _opened(self) -> sqlite3.Connection:
        if self._base is not None:
            if self._identity == _identity(self.path):
                return self._base
            self.close()  # somebody took the file away: what is written to it would be gone
        make_folder(os.path.dirname(self.path))
        try:
            # SQLite gives its other two files the mode of this one.
            os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            protect(self.path)
        base = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA synchronous = FULL")  # an acknowledged row outlives a power failure
            base.execute("PRAGMA journal_size_limit = 16777216")
            _migrate(base, self.path)
        except sqlite3.Error as error:
            base.close()
            if _code(error) == sqlite3.SQLITE_ERROR:  # its tables are not ours
                raise _Damaged(str(error)) from error
            raise
        except BaseException:
            base.close()
            raise
        self._base, self._identity = base, _identity(self.path)
        return base

    def _clean(self, base: sqlite3.Connection, now: float) -> None:
        """Remove the rows of whole days that are too old; the sums of those days stay."""
        first = day_of(now) - self._days
        if base.execute("DELETE FROM usage WHERE time < ?", (first * DAY,)).rowcount:
            base.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (KEPT_FROM, str(first)))
        base.execute("DELETE FROM spending WHERE day < ?", (day_of(now) - 1,))
        base.execute("DELETE FROM rests WHERE until < ?", (now,))
        self._cleaned = now

    def _put_aside(self, now: float) -> None:
        self.close()
        aside = f"{self.path}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}"
        for ending in ("-wal", "-shm", ""):
            try:
                os.replace(self.path + ending, aside + ending)
            except FileNotFoundError:
                pass
        self.set_aside, self._put_aside_at, self._cleaned = aside, now, -math.inf


class _transaction:
    """BEGIN, and COMMIT or ROLLBACK."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._base.execute("COMMIT")
        finally:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")


def _migrate(base: sqlite3.Connection, path: str) -> None:
    """Bring the schema up to date; two processes may do it at once."""
    if _version(base) != len(MIGRATIONS):
        with _transaction(base):
            version = _version(base)
            if version > len(MIGRATIONS):
                raise CcsetupError(
                    _("{path} was made by a newer ccsetup.").format(path=path),
                    hint=_("Install that version again, or move the file away."),
                )
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    base.execute(statement)
            base.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    base.execute(_AFTER, (0, 0))
    for table in ("days", "spending", "rests", "notes"):
        base.execute(f"SELECT * FROM {table} LIMIT 0")  # noqa: S608


def _version(base: sqlite3.Connection) -> int:
    return int(base.execute("PRAGMA user_version").fetchone()[0])


def _code(error: sqlite3.Error) -> int:
    """Return SQLite's primary code of *error*, 0 when it comes from Python's module."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _identity(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return 0, 0
    return status.st_dev, status.st_ino


def _known(base: sqlite3.Connection, now: float) -> Known:
    spending: Spending = {}
    for day, client, currency, requests, tokens, cost in base.execute(
        "SELECT * FROM spending WHERE day >= ?", (day_of(now) - 1,)
    ):
        tally(spending, client, day * DAY).add(Tally(requests, tokens, {currency: cost} if currency else {}))
    rests = {(rest[0], rest[1]): Rest._make(rest) for rest in base.execute("SELECT * FROM rests")}
    return Known(spending, rests, dict(base.execute("SELECT * FROM notes").fetchall()))


def _insert(base: sqlite3.Connection, rows: Sequence[UsageRow]) -> Sequence[UsageRow]:
    """Insert *rows*, and return them as they were inserted."""
    base.execute("SAVEPOINT whole")
    try:
        _insert_as_they_are(base, rows)
    except (UnicodeEncodeError, OverflowError, sqlite3.InterfaceError, sqlite3.IntegrityError):
        # One row that SQLite cannot hold must not keep the others out.
        base.execute("ROLLBACK TO whole")
        rows = [_fitted(row) for row in rows]
        _insert_as_they_are(base, rows)
    return rows


def _insert_as_they_are(base: sqlite3.Connection, rows: Sequence[UsageRow]) -> None:
    whole = len(rows) - len(rows) % _TOGETHER
    for start in range(0, whole, _TOGETHER):
        base.execute(_INSERT_MANY, [value for row in rows[start : start + _TOGETHER] for value in row])
    base.executemany(_INSERT_ONE, rows[whole:])


def _fitted(row: UsageRow) -> UsageRow:
    """Return *row* with values that any database can hold."""
    values = {name: _fit(value) for name, value in zip(COLUMNS, row, strict=True)}
    if values["total_ms"] is None:
        values["total_ms"] = 0.0
    return UsageRow(**values)


def _fit(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return max(-LARGEST, min(value, LARGEST))
    return value


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _days(rows: Iterable[UsageRow]) -> list[tuple[object, ...]]:
    """Return what *rows* add to the sums of their days."""
    sums: dict[tuple[int, str, str, str, str], list[float]] = {}
    for row in rows:
        place = (int(row.time // DAY), row.upstream, row.served or row.model, row.client, row.currency)
        figures = sums.get(place)
        if figures is None:
            figures = sums[place] = [0] * len(FIGURES)
        figures[0] += 1
        if row.error:
            figures[1] += 1
        if row.cost is None:
            if row.output:
                figures[2] += 1
        else:
            figures[8] += row.cost
        figures[3] += row.input
        figures[4] += row.output
        figures[5] += row.cache_read
        figures[6] += row.cache_write
        figures[7] += row.reasoning
    return [(*place, *figures) for place, figures in sums.items()]


def _spending_rows(spending: Spending) -> list[tuple[object, ...]]:
    """Return *spending* as rows of its table: requests and tokens without a currency, each cost with its own."""
    rows: list[tuple[object, ...]] = []
    for (day, client), entry in spending.items():
        rows.append((day, client, "", entry.requests, min(entry.tokens, LARGEST), 0.0))
        rows += [(day, client, currency, 0, 0, cost) for currency, cost in entry.costs.items()]
    return rows


_STREAM = 1 + COLUMNS.index("stream")
