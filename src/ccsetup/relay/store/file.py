"""The SQLite file: one transaction for each batch.  Blocks; for one thread at a time."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from operator import itemgetter
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from ccsetup.disk import protect
from ccsetup.disk.replace import make_folder
from ccsetup.relay.store import Rest, UsageRow
from ccsetup.relay.store.schema import ADDED, AFTER, BY_DAY, COLUMNS, DAYS, KIND, OWN, migrate, transaction
from ccsetup.relay.store.spending import DAY, LARGEST, ClientTotal, Spending, day_of, no_spending

BUSY = 5.0
"""Seconds to wait for another process that is writing."""

CLEAN_EVERY = 3600.0
"""Seconds between two looks for rows that are too old."""

_TOGETHER = (100, 10, 1)
"""Rows of one statement, as many as there are: each statement hands Python's lock over and back, and the server waits
for it; so it does while the values of one are collected."""

_ASIDE_EVERY = 60.0
"""Seconds; a disk that damages every new file must not be filled with damaged files."""

_INSERTS = {
    size: f"INSERT INTO requests (kind, {', '.join(OWN)}) VALUES "  # noqa: S608 - names of our own, as below
    + ", ".join([f"({', '.join('?' * (1 + len(OWN)))})"] * size)
    for size in _TOGETHER
}
_FIND_KIND = f"SELECT kind FROM kinds WHERE {' AND '.join(f'{name} = ?' for name in KIND)}"  # noqa: S608
_ADD_KIND = f"INSERT INTO kinds ({', '.join(KIND)}) VALUES ({', '.join('?' * len(KIND))})"  # noqa: S608
_ADD_SPAN = (
    "INSERT INTO spans VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
    " first = min(first, excluded.first), last = max(last, excluded.last)"
)
_ADD_GONE = [f"INSERT INTO sums {days} WHERE seq <= ? AND time < ? {BY_DAY} {ADDED}" for days in DAYS.values()]
_ADD_SPENDING = (
    "INSERT INTO spending VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " requests = requests + excluded.requests, tokens = tokens + excluded.tokens, cost = cost + excluded.cost"
)


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
        return [(number, row_of(values)) for number, *values in self.opened().execute(AFTER, (seq, limit))]

    def last_row(self) -> int:
        """Return the number of the row that was written last, 0 when there never was one.  sqlite3.Error, OSError."""
        found = self.opened().execute("SELECT seq FROM sqlite_sequence WHERE name = 'requests'").fetchone()
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
            base = self.opened()
            with transaction(base):
                if batch.rows:
                    _insert(base, batch.rows)
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

    def opened(self) -> sqlite3.Connection:
        """Return the file as a database with the tables of now.  Raises as ``write``."""
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
            migrate(base, self.path)
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
        (last,) = base.execute("SELECT max(last) FROM spans WHERE day < ?", (first,)).fetchone()
        if last is not None:
            old = (last, first * DAY)
            for add in _ADD_GONE:
                base.execute(add, old)
            base.execute("DELETE FROM requests WHERE seq <= ? AND time < ?", old)
            base.execute("DELETE FROM spans WHERE day < ?", (first,))
            base.execute("DELETE FROM kinds WHERE kind NOT IN (SELECT kind FROM requests)")
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
    spending = no_spending()
    for day, client, currency, requests, tokens, cost in base.execute(
        "SELECT * FROM spending WHERE day >= ?", (day_of(now) - 1,)
    ):
        spending[day][client].add(ClientTotal(requests, tokens, {currency: cost} if currency else {}))
    rests = {(rest[0], rest[1]): Rest._make(rest) for rest in base.execute("SELECT * FROM rests")}
    return Known(spending, rests, dict(base.execute("SELECT * FROM notes").fetchall()))


class _Kinds(dict[Any, int]):
    """The numbers of kinds in the file.  For one transaction: another process may remove those that have no rows."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __missing__(self, kind: Any) -> int:
        found = self._base.execute(_FIND_KIND, kind).fetchone()
        number = int(found[0]) if found else int(self._base.execute(_ADD_KIND, kind).lastrowid or 0)
        self[kind] = number
        return number


def _insert(base: sqlite3.Connection, rows: Sequence[UsageRow]) -> None:
    base.execute("SAVEPOINT whole")
    try:
        _insert_as_they_are(base, rows)
    except (UnicodeEncodeError, OverflowError, sqlite3.InterfaceError, sqlite3.IntegrityError):
        # One row that SQLite cannot hold must not keep the others out.
        base.execute("ROLLBACK TO whole")
        _insert_as_they_are(base, [_fitted(row) for row in rows])


def _insert_as_they_are(base: sqlite3.Connection, rows: Sequence[UsageRow]) -> None:
    kinds = _Kinds(base)
    done = 0
    for size in _TOGETHER:
        while len(rows) - done >= size:
            values: list[Any] = []
            for row in rows[done : done + size]:
                values.append(kinds[_kind_of(row)])
                values += _own_of(row)
            base.execute(_INSERTS[size], values)
            done += size
    (last,) = base.execute("SELECT max(seq) FROM requests").fetchone()
    base.executemany(_ADD_SPAN, [(int(day), last - len(rows) + 1, last) for day in {row.time // DAY for row in rows}])


_kind_of = itemgetter(*map(COLUMNS.index, KIND))
_own_of = itemgetter(*map(COLUMNS.index, OWN))


def row_of(values: Sequence[Any]) -> UsageRow:
    """Return *values*, as they stand in the file, as a row."""
    row = UsageRow._make(values)
    return row._replace(stream=bool(row.stream), estimated=bool(row.estimated))


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


def _spending_rows(spending: Spending) -> list[tuple[object, ...]]:
    """Return *spending* as rows of its table: requests and tokens without a currency, each cost with its own."""
    rows: list[tuple[object, ...]] = []
    for day, clients in spending.items():
        for client, entry in clients.items():
            rows.append((day, client, "", entry.requests, min(entry.tokens, LARGEST), 0.0))
            rows += [(day, client, currency, 0, 0, cost) for currency, cost in entry.costs.items()]
    return rows
