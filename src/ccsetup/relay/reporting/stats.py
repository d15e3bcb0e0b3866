"""What ``relay stats`` tells, read from the usage database while the relay may be writing to it."""

from __future__ import annotations

import datetime
import math
import os
import sqlite3
from array import array
from contextlib import closing
from itertools import chain
from typing import Literal, Mapping, NamedTuple, Optional
from urllib.parse import quote

from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.relay.store.schema import COUNTED, FIGURES, MODEL, check_version
from ccsetup.relay.store.spending import DAY

By = Literal["model", "day", "upstream", "client"]
GROUPS: tuple[By, ...] = ("model", "day", "upstream", "client")

_BUSY = 5.0


class Row(NamedTuple):
    """The figures of one model (the upstream's name), day (UTC), upstream or client key."""

    name: str
    """A day is YYYY-MM-DD; "" where no upstream answered, or the client had no key."""
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


class _Sum:
    __slots__ = ("costs", "figures", "first", "total")

    def __init__(self) -> None:
        self.figures = [0] * (len(FIGURES) - 1)
        self.costs: dict[str, float] = {}
        self.first = array("d")
        self.total = array("d")


def query(path: str, by: By, since: Optional[float] = None, until: Optional[float] = None) -> list[Row]:
    """Return the figures in the database *path*, from Unix time *since* and before *until*.

    Days come in order, all else with the most requests first.  A day whose single requests are gone is told as a whole
    when *since* and *until* touch it.  A database that is missing or empty has no rows.  CcsetupError when it cannot
    be read, or a newer ccsetup made it.
    """
    if not os.path.exists(path):
        return []
    try:
        with closing(opened(path)) as base:
            base.execute("BEGIN")  # one view of all tables
            check_version(base, path)
            tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
            if "days" not in tables:
                return []
            if "gone" not in tables:
                for view in _OLDER:
                    base.execute(view)
            sums = _read(base, by, -math.inf if since is None else since, math.inf if until is None else until)
    except sqlite3.Error as error:
        raise CcsetupError(_("{path} cannot be read: {reason}").format(path=path, reason=str(error))) from None
    rows = [
        Row._make((name, *found.figures, found.costs, _at(found.first, 0.5), _at(found.total, 0.95)))
        for name, found in sums.items()
    ]
    return sorted(rows, key=lambda row: row.name if by == "day" else (-row.requests, row.name))


def opened(path: str) -> sqlite3.Connection:
    """Return the database *path*, to be read only."""
    return sqlite3.connect(
        f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True, timeout=_BUSY, isolation_level=None
    )


def _read(base: sqlite3.Connection, by: By, since: float, until: float) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = {}

    def of(name: object) -> _Sum:
        text = (
            (datetime.date(1970, 1, 1) + datetime.timedelta(days=int(str(name)))).isoformat()
            if by == "day"
            else str(name)
        )
        found = sums.get(text)
        if found is None:
            found = sums[text] = _Sum()
        return found

    # A row is in ``usage`` or in the sums of days that are gone, never in both.
    summed = ", ".join(f"total({figure})" for figure in FIGURES)
    gone = base.execute(
        f"SELECT {by}, currency, {summed} FROM gone WHERE day > ? AND day < ? GROUP BY 1, 2",  # noqa: S608
        (since / DAY - 1, until / DAY),
    )
    (first,) = base.execute("SELECT min(first) FROM spans WHERE day > ?", (since / DAY - 1,)).fetchone()
    (last,) = base.execute("SELECT max(last) FROM spans WHERE day < ?", (until / DAY,)).fetchone()
    kept = "FROM usage WHERE seq BETWEEN ? AND ? AND time >= ? AND time < ?"
    place = (first, last, since, until)
    rows = base.execute(f"SELECT {_ROWS[by]}, currency, {COUNTED} {kept} GROUP BY 1, 2", place)
    for name, currency, *figures, cost in chain(gone, rows):
        total = of(name)
        total.figures = [a + int(b) for a, b in zip(total.figures, figures, strict=True)]
        if currency:
            total.costs[currency] = total.costs.get(currency, 0.0) + cost
    times = base.execute(f"SELECT {_ROWS[by]}, first_ms, total_ms {kept} AND error = ''", place)
    for name, first_ms, total_ms in times:
        total = of(name)
        total.total.append(total_ms)
        if first_ms is not None:
            total.first.append(first_ms)
    return sums


_ROWS: Mapping[By, str] = {
    "model": MODEL,
    "day": f"CAST(time / {DAY} AS INTEGER)",
    "upstream": "upstream",
    "client": "client",
}
"""How a row of ``usage`` is named; the sums of days have it ready."""

_OLDER = (
    "CREATE TEMP VIEW gone AS SELECT * FROM days WHERE day <"
    " (SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM notes WHERE name = 'kept from')",
    f"CREATE TEMP VIEW spans AS SELECT CAST(time / {DAY} AS INTEGER) AS day, seq AS first, seq AS last FROM usage",  # noqa: S608
)
"""What is read here, in a file that no relay of this version has brought up to date yet."""


def _at(values: array[float], part: float) -> Optional[float]:
    """Return the value that *part* of *values* do not exceed (nearest rank), None when there is none."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]
