"""What ``relay stats`` tells, read from the usage database while the relay may be writing to it."""

from __future__ import annotations

import datetime
import math
import os
import sqlite3
from array import array
from contextlib import closing, contextmanager
from typing import Any, Iterator, Literal, Mapping, NamedTuple, Optional
from urllib.parse import quote

from ccsetup.errors import CcsetupError, printable
from ccsetup.i18n import _
from ccsetup.relay.routing import windows
from ccsetup.relay.store.schema import ALL, FIGURES, GONE_BEFORE, MAX_NAME, VIEWS, Chosen, check_version
from ccsetup.relay.store.spending import DAY

By = Literal["model", "day", "upstream", "client", "purpose"]
GROUPS: tuple[By, ...] = ("model", "day", "upstream", "client", "purpose")

_BUSY = 5.0


class Row(NamedTuple):
    """The figures of one model (the upstream's name), day, upstream, client key or purpose."""

    name: str
    """A day is YYYY-MM-DD; "" where no upstream answered, the client had no key, or the request was a client's own."""
    requests: int
    errors: int
    """Those of *requests* that did not end well."""
    unpriced: int
    """Those of *requests* with an answer whose price is not known."""
    input: int
    """Tokens that no cache held."""
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    """Part of *output*."""
    costs: Mapping[str, float]
    """By currency."""
    first_ms: Optional[float]
    """The median time to the first event of answers that ended well; None when only sums are left of the time."""
    total_ms: Optional[float]
    """The time in which 95 of 100 such answers ended."""
    asked: str = ""
    """The model that was asked for, where another one answered."""
    estimated: int = 0
    """Those of *requests* whose tokens nobody told, or not all of them."""
    tries: int = 0
    """Requests to upstreams; of earlier versions only the last one for each request."""
    tries_failed: int = 0
    """Those of *tries* that brought no whole answer."""
    own: int = 0
    """Those of *requests* that ccsetup made itself: activations, and what ``ccsetup test`` sends."""
    utc: bool = False
    """The day is one of UTC, though others are not: only its sums are left."""


_SUMMED = ", ".join(f"total({name})" for name in ("requests * (purpose <> '')", *FIGURES))
_NAMES = {by: "model, asked" if by == "model" else f"{by}, ''" for by in GROUPS}


class _Sum:
    __slots__ = ("costs", "figures", "first", "total")

    def __init__(self) -> None:
        self.figures = [0] * len(FIGURES)
        self.costs: dict[str, float] = {}
        self.first = array("d")
        self.total = array("d")


class _Sums(dict[tuple[str, str, bool], _Sum]):
    def __missing__(self, place: tuple[str, str, bool]) -> _Sum:
        found = self[place] = _Sum()
        return found


def query(path: str, by: By, chosen: Chosen = ALL, zone: str = "UTC") -> list[Row]:
    """Return the figures of *chosen* in the database *path*; days are those of *zone* ("": the machine's).

    Days come in order, all else with the most requests first.  A day whose single requests are gone is one of UTC, and
    is told as a whole when the time that was chosen touches it.  A database that is missing or empty has no rows.
    CcsetupError when it cannot be read, or a newer ccsetup made it.
    """
    with opened(path) as base:
        sums = _read(base, by, chosen, zone) if base is not None else _Sums()
    rows = [_row(*place, found) for place, found in sums.items()]
    return sorted(rows, key=lambda r: (r.name, not r.utc) if by == "day" else (-r.requests, r.name, r.asked))


def _row(name: str, asked: str, utc: bool, found: _Sum) -> Row:
    own, *figures = found.figures
    counts = dict(zip(FIGURES[:-1], figures, strict=True))
    first, total = _at(found.first, 0.5), _at(found.total, 0.95)
    return Row(name=name, asked=asked, utc=utc, own=own, costs=found.costs, first_ms=first, total_ms=total, **counts)


@contextmanager
def opened(path: str) -> Iterator[Optional[sqlite3.Connection]]:
    """Yield the database *path* for reading as this version has it; None when it is missing or empty.

    CcsetupError when it cannot be read, or a newer ccsetup made it.
    """
    if not os.path.exists(path):
        yield None
        return
    place = f"file:{quote(os.path.abspath(path))}?mode=ro"
    try:
        with closing(sqlite3.connect(place, uri=True, timeout=_BUSY, isolation_level=None)) as base:
            base.execute("BEGIN")  # one view of all tables
            check_version(base, path)
            version = base.execute("PRAGMA user_version").fetchone()[0]
            for view in _OLDER.get(version, ()):
                base.execute(view)
            yield base if version else None
    except sqlite3.Error as error:
        raise CcsetupError(_("{path} cannot be read: {reason}").format(path=path, reason=str(error))) from None


def _read(base: sqlite3.Connection, by: By, chosen: Chosen, zone: str) -> _Sums:
    sums = _Sums()
    since = -math.inf if chosen.since is None else chosen.since
    until = math.inf if chosen.until is None else chosen.until
    names, values = chosen.names()
    # A row is in the views or in the sums of days that are gone, never in both.
    gone = base.execute(
        f"SELECT {_NAMES[by]}, currency, {_SUMMED} FROM sums WHERE day > ? AND day < ? AND {names}"  # noqa: S608
        " GROUP BY 1, 2, 3",
        (since / DAY - 1, until / DAY, *values),
    )
    for place, figures in _named(gone, by, zone, summed=True):
        _add(sums[place], *figures)
    (first,) = base.execute("SELECT min(first) FROM spans WHERE day > ?", (since / DAY - 1,)).fetchone()
    (last,) = base.execute("SELECT max(last) FROM spans WHERE day < ?", (until / DAY,)).fetchone()
    if first is None or last is None:
        return sums
    kept = f"WHERE seq BETWEEN ? AND ? AND time >= ? AND time < ? AND {names}"
    place_of = (first, last, since, until, *values)
    columns = _NAMES[by] if by != "day" else f"{_day(base, zone)}, ''"
    for view in VIEWS:
        rows = base.execute(
            f"SELECT {columns}, currency, {_SUMMED} FROM {view} {kept} GROUP BY 1, 2, 3",  # noqa: S608
            place_of,
        )
        for place, figures in _named(rows, by, zone):
            _add(sums[place], *figures)
    times = base.execute(
        f"SELECT {columns}, first_ms, total_ms FROM counted {kept} AND total_ms IS NOT NULL",  # noqa: S608
        place_of,
    )
    for place, (first_ms, total_ms) in _named(times, by, zone):
        sums[place].total.append(total_ms)
        if first_ms is not None:
            sums[place].first.append(first_ms)
    return sums


def _named(
    found: sqlite3.Cursor, by: By, zone: str, *, summed: bool = False
) -> Iterator[tuple[tuple[str, str, bool], list[Any]]]:
    """Yield the rows of *found*: what they are called, and all else."""
    for name, asked, *figures in found:
        if by != "day":
            yield (printable(str(name), MAX_NAME), printable(asked, MAX_NAME), False), figures
            continue
        utc = summed and any(windows.offset(zone, (name + part) * DAY) for part in (0, 1))
        yield ((datetime.date(1970, 1, 1) + datetime.timedelta(days=name)).isoformat(), "", utc), figures


def _add(total: _Sum, currency: str, *figures: float) -> None:
    *counts, cost = figures
    total.figures = [a + int(b) for a, b in zip(total.figures, counts, strict=True)]
    if currency:
        total.costs[currency] = total.costs.get(currency, 0.0) + cost


def _day(base: sqlite3.Connection, zone: str) -> str:
    """Return the expression for the day of a request in *zone*, counted from 1970."""
    low, high = base.execute("SELECT min(day), max(day) + 1 FROM spans").fetchone()
    before = windows.offset(zone, low * DAY)
    shift = ""
    for change in windows.changes(zone, low * DAY, high * DAY):
        shift += f" WHEN time < {int(change)} THEN {before}"
        before = windows.offset(zone, change)
    shift = f"CASE{shift} ELSE {before} END" if shift else str(before)
    return f"CAST((time + {shift}) / {DAY} AS INTEGER)"


_USAGE = "CREATE TEMP VIEW usage AS SELECT *, 0 AS estimated, '' AS failed FROM main.usage"
_VIEWS = [f"CREATE TEMP VIEW {name} AS {view}" for name, view in VIEWS.items()]
_OLDER: Mapping[int, tuple[str, ...]] = {
    1: (
        f"CREATE TEMP VIEW sums AS {GONE_BEFORE} FROM main.days WHERE day <"  # noqa: S608
        " (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM notes WHERE name = 'kept from')",
        f"CREATE TEMP VIEW spans AS SELECT CAST(time / {DAY} AS INTEGER) AS day,"  # noqa: S608
        " seq AS first, seq AS last FROM usage",
        _USAGE,
        *_VIEWS,
    ),
    2: (f"CREATE TEMP VIEW sums AS {GONE_BEFORE} FROM main.gone", _USAGE, *_VIEWS),
    3: ("CREATE TEMP VIEW sums AS SELECT * FROM main.gone",),
}
"""By version of the file: what is read here, where no relay of this version has brought it up to date yet."""


def _at(values: array[float], part: float) -> Optional[float]:
    """Return the value that *part* of *values* do not exceed (nearest rank), None when there is none."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]
