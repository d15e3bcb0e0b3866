"""Takes requests out of the usage database.  Spending, rests, and what a shared store has not got yet stay."""

from __future__ import annotations

import contextlib
import csv
import datetime
import math
import os
import sqlite3
from typing import Any, Callable, Iterator, NamedTuple

from ccsetup.errors import CcsetupError, WriteError
from ccsetup.i18n import _
from ccsetup.relay.store import server
from ccsetup.relay.store.file import UsageFile
from ccsetup.relay.store.schema import COLUMNS, FIGURES, PLACE, Chosen, transaction
from ccsetup.relay.store.spending import DAY

_CELLS = ("day", *COLUMNS, *(name for name in (*PLACE, *FIGURES) if name not in COLUMNS))
"""Of the CSV file: a request has no day, and the sums of a day nothing that belongs to one request."""


class Removable(NamedTuple):
    """What may be removed."""

    requests: int
    """Those that are kept one by one, and those in sums of days."""
    sums: int
    waiting: int
    """Requests that stay, because the shared store has not got them yet."""
    last: int
    """The number of the last request that may be removed."""


def look(path: str, chosen: Chosen, shared: str = "", prefix: str = "") -> Removable:
    """Return what of *chosen* may be removed from the file *path*; *shared*: the URL of the store that gets it, too.

    Of a day whose requests are gone all is removed or nothing.  CcsetupError when the file cannot be used.
    """
    with _opened(path) as base, transaction(base):
        (last,) = base.execute("SELECT coalesce(max(seq), 0) FROM requests").fetchone()
        note = (server.sent_note(server.place_of(shared), prefix),) if shared else ("",)
        sent = base.execute("SELECT CAST(value AS INTEGER) FROM notes WHERE name = ?", note).fetchone()
        limit = min(last, sent[0]) if sent else last
        kept, kept_values = _kept(chosen, last)
        all_of, waiting = base.execute(
            f"SELECT count(*), coalesce(sum(seq > ?), 0) FROM ({kept})",  # noqa: S608 - names of our own, as below
            (limit, *kept_values),
        ).fetchone()
        gone, gone_values = _gone(chosen)
        sums, summed = base.execute(f"SELECT count(*), coalesce(sum(requests), 0) {gone}", gone_values).fetchone()
    return Removable(all_of - waiting + summed, sums, waiting, limit)


def remove(path: str, chosen: Chosen, last: int, target: str, cell: Callable[[Any], Any]) -> None:
    """Remove *chosen* up to the request *last*, when the new file *target* has it as CSV, for its owner alone.

    *cell* makes a value fit for a spreadsheet.  WriteError or CcsetupError, and nothing is removed, when *target*
    cannot be written or the database not be changed.
    """
    kept, kept_values = _kept(chosen, last)
    gone, gone_values = _gone(chosen)
    with _opened(path) as base, transaction(base):
        _write(base, chosen, last, target, cell)
        base.execute(f"DELETE FROM requests WHERE seq IN ({kept})", kept_values)  # noqa: S608
        base.execute(f"DELETE {gone}", gone_values)
        base.execute("DELETE FROM kinds WHERE kind NOT IN (SELECT kind FROM requests)")


@contextlib.contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(UsageFile(path, 0)) as file:
        try:
            yield file.opened()
        except sqlite3.Error as error:
            text = _("{path} cannot be changed: {reason}").format(path=path, reason=str(error))
            raise CcsetupError(text) from None


def _kept(chosen: Chosen, last: int) -> tuple[str, tuple[Any, ...]]:
    names, values = chosen.names()
    since, until = _span(chosen)
    text = f"SELECT seq FROM counted WHERE seq <= ? AND time >= ? AND time < ? AND {names}"  # noqa: S608
    return text, (last, since, until, *values)


def _gone(chosen: Chosen) -> tuple[str, tuple[Any, ...]]:
    names, values = chosen.names()
    since, until = _span(chosen)
    # Tries that another upstream made up for go with their requests: of one upstream there are none to choose.
    some = f"{names} AND requests > 0" if values else names
    return f"FROM sums WHERE day >= ? AND day <= ? AND {some}", (since / DAY, until / DAY - 1, *values)


def _span(chosen: Chosen) -> tuple[float, float]:
    return -math.inf if chosen.since is None else chosen.since, math.inf if chosen.until is None else chosen.until


def _write(base: sqlite3.Connection, chosen: Chosen, last: int, target: str, cell: Callable[[Any], Any]) -> None:
    made = False
    try:
        number = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        made = True
        with open(number, "w", newline="", encoding="utf-8") as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(_CELLS)
            out.writerows([cell(row.get(name, "")) for name in _CELLS] for row in _rows(base, chosen, last))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                os.unlink(target)
        reason = error.strerror or str(error)
        raise WriteError(_("{path} cannot be written: {reason}.").format(path=target, reason=reason)) from None


def _rows(base: sqlite3.Connection, chosen: Chosen, last: int) -> Iterator[dict[str, Any]]:
    kept, kept_values = _kept(chosen, last)
    wanted = f"SELECT {', '.join(COLUMNS)} FROM usage WHERE seq IN ({kept}) ORDER BY seq"  # noqa: S608
    for values in base.execute(wanted, kept_values):
        row = dict(zip(COLUMNS, values, strict=True))
        when = datetime.datetime.fromtimestamp(row["time"], datetime.UTC)
        yield {**row, "time": when.isoformat(timespec="milliseconds"), "requests": 1}
    gone, gone_values = _gone(chosen)
    for values in base.execute(f"SELECT day, {', '.join((*PLACE, *FIGURES))} {gone}", gone_values):
        row = dict(zip(("day", *PLACE, *FIGURES), values, strict=True))
        yield {**row, "day": (datetime.date(1970, 1, 1) + datetime.timedelta(days=row["day"])).isoformat()}
