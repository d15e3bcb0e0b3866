"""What ``relay stats`` reads from the database."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.usage import MIDNIGHT, NOON, row

from ccsetup.errors import CcsetupError
from ccsetup.relay.reporting import stats
from ccsetup.relay.store import UsageRow
from ccsetup.relay.store.sqlite import SqliteStore

DAY = 86400
TODAY, YESTERDAY = "2027-01-16", "2027-01-15"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a ?#%" / "usage.db")


def fill(path: str, rows: Sequence[UsageRow], *, now: float = NOON, days: int = 90) -> None:
    async def main() -> None:
        store = SqliteStore(path, days=days, clock=lambda: now)
        await store.open()
        for one in rows:
            store.record(one)
        await store.close()

    asyncio.run(main())


ROWS = [
    row(1),
    row(2, client="bob", first_ms=400.0, total_ms=9000.0),
    row(3, upstream="kimi", served="kimi-k3", cost=2.0, currency="CNY", time=NOON - DAY),
    row(4, upstream="kimi", served="kimi-k3", cost=None, currency="", time=NOON - DAY),
    row(
        5, status=502, error="cut", cost=None, currency="", input=0, output=0, cache_read=0, cache_write=0, reasoning=0
    ),
    row(6, upstream="", served="", status=429, error="quota", cost=None, currency="", output=0, first_ms=None),
]


def test_figures_are_added_up(path: str) -> None:
    """Tokens, errors and cost by currency; times only of what ended well."""
    fill(path, ROWS)
    assert stats.query(path, "upstream") == [
        stats.Row("glm", 3, 1, 0, 200, 40, 600, 8, 14, {"USD": 1.0}, 200.0, 9000.0),
        stats.Row("kimi", 2, 0, 1, 200, 40, 600, 8, 14, {"CNY": 2.0}, 200.0, 1500.0),
        stats.Row("", 1, 1, 0, 100, 0, 300, 4, 7, {}, None, None),
    ]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("model", [("glm-5", 3), ("kimi-k3", 2), ("claude-sonnet", 1)]),
        ("day", [(YESTERDAY, 2), (TODAY, 4)]),
        ("client", [("alice", 5), ("bob", 1)]),
    ],
)
def test_every_way_of_grouping(path: str, by: stats.By, names: list[tuple[str, int]]) -> None:
    """Days are in order, the others begin with the busiest; a request that nobody served has the model it asked for."""
    fill(path, ROWS)
    assert [(r.name, r.requests) for r in stats.query(path, by)] == names


def test_a_span_of_time(path: str) -> None:
    fill(path, ROWS)
    assert [r.name for r in stats.query(path, "day", since=MIDNIGHT)] == [TODAY]
    assert [r.name for r in stats.query(path, "day", until=MIDNIGHT)] == [YESTERDAY]
    assert stats.query(path, "day", since=NOON + 1) == []
    assert sum(r.requests for r in stats.query(path, "day", since=NOON - DAY, until=NOON)) == 2


def test_a_span_of_time_of_rows_in_no_order(path: str) -> None:
    """A request is written when it ends, so that those of one day may be far apart."""
    for number, day in enumerate((0, 2, 0, 1, 2, 0)):
        fill(path, [row(number, time=MIDNIGHT + day * DAY)], now=NOON + 2 * DAY)
    assert [r.requests for r in stats.query(path, "day")] == [3, 1, 2]
    assert [r.requests for r in stats.query(path, "day", since=MIDNIGHT + DAY)] == [1, 2]
    assert [r.requests for r in stats.query(path, "day", until=MIDNIGHT + 2 * DAY)] == [3, 1]
    assert [r.requests for r in stats.query(path, "client", since=MIDNIGHT + DAY, until=MIDNIGHT + DAY + 1)] == [1]
    assert stats.query(path, "day", since=MIDNIGHT + 3 * DAY) == stats.query(path, "day", until=MIDNIGHT) == []


def test_days_whose_rows_are_gone_still_count(path: str) -> None:
    """The figures are the same before and after; only the times are not known any more, and nothing counts twice."""
    fill(path, ROWS)
    before = stats.query(path, "day")
    assert stats.query(path, "day", since=NOON - DAY + 1) == before[1:]
    fill(path, [row(7, time=NOON + DAY)], now=NOON + DAY, days=1)
    after = stats.query(path, "day")
    assert [r.name for r in after] == [YESTERDAY, TODAY, "2027-01-17"]
    assert after[0] == before[0]._replace(first_ms=None, total_ms=None)
    assert after[1] == before[1]
    assert sum(r.requests for r in stats.query(path, "model")) == 7
    # Only the whole day is left of a day that is touched.
    assert stats.query(path, "day", since=NOON - DAY + 1)[0] == after[0]
    assert stats.query(path, "day", until=NOON - DAY - 1) == [after[0]]
    assert stats.query(path, "day", since=MIDNIGHT) == after[1:]


def test_the_median_and_the_slow_end(path: str) -> None:
    fill(path, [row(n, first_ms=float(n), total_ms=float(n * 10)) for n in range(1, 101)])
    (found,) = stats.query(path, "client")
    assert (found.first_ms, found.total_ms) == (50.0, 950.0)


def test_no_database_has_no_rows(path: str) -> None:
    """Neither a missing one, nor an empty one; and reading makes no file."""
    assert stats.query(path, "model") == []
    assert not Path(path).parent.exists()
    Path(path).parent.mkdir()
    Path(path).touch()
    assert stats.query(path, "model") == []


def test_a_damaged_database_is_told(path: str) -> None:
    Path(path).parent.mkdir()
    Path(path).write_bytes(b"no database at all " * 100)
    with pytest.raises(CcsetupError, match=r"usage\.db cannot be read"):
        stats.query(path, "model")


def test_reading_beside_a_relay_that_writes(path: str) -> None:
    """Both go on: what was flushed is seen, and a reader in the middle does not stop the writer."""

    async def main() -> None:
        store = SqliteStore(path, clock=lambda: NOON)
        await store.open()
        for number in range(5):
            store.record(row(number))
            await store.flush()
            assert stats.query(path, "client")[0].requests == number + 1
        with contextlib.closing(sqlite3.connect(path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM usage").fetchone()
            store.record(row(9))
            await store.flush()
        await store.close()

    asyncio.run(main())
    assert stats.query(path, "client")[0].requests == 6


def test_reading_changes_nothing(path: str) -> None:
    fill(path, ROWS)
    before = Path(path).read_bytes()
    assert stats.query(path, "day")
    assert Path(path).read_bytes() == before
