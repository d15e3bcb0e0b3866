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
from ccsetup.relay.reporting import requests, stats
from ccsetup.relay.store import UsageRow
from ccsetup.relay.store.schema import Chosen
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
        stats.Row("glm", 3, 1, 0, 200, 40, 600, 8, 14, {"USD": 1.0}, 200.0, 9000.0, tries=3),
        stats.Row("kimi", 2, 0, 1, 200, 40, 600, 8, 14, {"CNY": 2.0}, 200.0, 1500.0, tries=2),
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
    assert [r.name for r in stats.query(path, "day", Chosen(since=MIDNIGHT))] == [TODAY]
    assert [r.name for r in stats.query(path, "day", Chosen(until=MIDNIGHT))] == [YESTERDAY]
    assert stats.query(path, "day", Chosen(since=NOON + 1)) == []
    assert sum(r.requests for r in stats.query(path, "day", Chosen(since=NOON - DAY, until=NOON))) == 2


def test_a_span_of_time_of_rows_in_no_order(path: str) -> None:
    """A request is written when it ends, so that those of one day may be far apart."""
    for number, day in enumerate((0, 2, 0, 1, 2, 0)):
        fill(path, [row(number, time=MIDNIGHT + day * DAY)], now=NOON + 2 * DAY)
    assert [r.requests for r in stats.query(path, "day")] == [3, 1, 2]
    assert [r.requests for r in stats.query(path, "day", Chosen(since=MIDNIGHT + DAY))] == [1, 2]
    assert [r.requests for r in stats.query(path, "day", Chosen(until=MIDNIGHT + 2 * DAY))] == [3, 1]
    second = Chosen(since=MIDNIGHT + DAY, until=MIDNIGHT + DAY + 1)
    assert [r.requests for r in stats.query(path, "client", second)] == [1]
    assert stats.query(path, "day", Chosen(since=MIDNIGHT + 3 * DAY)) == []
    assert stats.query(path, "day", Chosen(until=MIDNIGHT)) == []


def test_days_whose_rows_are_gone_still_count(path: str) -> None:
    """The figures are the same before and after; only the times are not known any more, and nothing counts twice."""
    fill(path, ROWS)
    before = stats.query(path, "day")
    assert stats.query(path, "day", Chosen(since=NOON - DAY + 1)) == before[1:]
    fill(path, [row(7, time=NOON + DAY)], now=NOON + DAY, days=1)
    after = stats.query(path, "day")
    assert [r.name for r in after] == [YESTERDAY, TODAY, "2027-01-17"]
    assert after[0] == before[0]._replace(first_ms=None, total_ms=None)
    assert after[1] == before[1]
    assert sum(r.requests for r in stats.query(path, "model")) == 7
    # Only the whole day is left of a day that is touched.
    assert stats.query(path, "day", Chosen(since=NOON - DAY + 1))[0] == after[0]
    assert stats.query(path, "day", Chosen(until=NOON - DAY - 1)) == [after[0]]
    assert stats.query(path, "day", Chosen(since=MIDNIGHT)) == after[1:]


SEVERAL = [
    row(1, model="glm-5"),
    row(2, model="deepseek-flash", attempts=4, failed="kimi kimi deepseek", estimated=True),
    row(3, status=502, error="server", attempts=2, failed="kimi glm", cost=None, currency="", input=0, output=0),
    row(4, purpose="check", client=""),
    row(5, purpose="activation", client="", cost=None, currency=""),
]


@pytest.mark.parametrize("days", [90, 1])
def test_what_is_told_besides(path: str, days: int) -> None:
    """Both names of a model, tries of each upstream, estimates and our own requests, while rows are kept and after."""
    fill(path, SEVERAL)
    fill(
        path, [row(6, upstream="", served="", model="", client="", time=NOON + 9 * DAY)], now=NOON + 9 * DAY, days=days
    )
    chosen = Chosen(until=NOON + DAY)
    models = {(r.name, r.asked): (r.requests, r.estimated) for r in stats.query(path, "model", chosen)}
    assert models == {("glm-5", ""): (1, 0), ("glm-5", "deepseek-flash"): (1, 1), ("glm-5", "claude-sonnet"): (3, 0)}
    tries = {r.name: (r.requests, r.tries, r.tries_failed) for r in stats.query(path, "upstream", chosen)}
    assert tries == {"glm": (5, 5, 1), "kimi": (0, 3, 3), "deepseek": (0, 1, 1)}
    for by in ("model", "day", "client", "purpose"):
        found = stats.query(path, by, chosen)
        assert (sum(r.tries for r in found), sum(r.tries_failed for r in found)) == (9, 5)
    purposes = {r.name: (r.requests, r.own, r.unpriced) for r in stats.query(path, "purpose", chosen)}
    assert purposes == {"": (3, 0, 0), "check": (1, 1, 0), "activation": (1, 1, 1)}
    with contextlib.closing(sqlite3.connect(path)) as base:
        assert base.execute("SELECT sum(requests), sum(tries) FROM days WHERE asked <> ''").fetchone() == (4, 8)


@pytest.mark.parametrize(
    ("chosen", "requests"),
    [
        (Chosen(upstream="kimi"), 2),
        (Chosen(model="kimi-k3"), 2),
        (Chosen(model="claude-sonnet"), 6),
        (Chosen(client="bob"), 1),
        (Chosen(upstream="glm", client="alice"), 2),
        (Chosen(upstream="glm", since=NOON + 1), 0),
        (Chosen(upstream=""), 1),
        (Chosen(upstream="glm' OR 1 --"), 0),
    ],
)
@pytest.mark.parametrize("days", [90, 1])
def test_what_is_chosen(path: str, days: int, chosen: Chosen, requests: int) -> None:
    """By names, and all of them together; the same of days whose requests are gone."""
    fill(path, ROWS)
    fill(path, [row(9, upstream="x", served="x", model="x", client="x", time=NOON + 9 * DAY)], now=NOON + 9 * DAY)
    if days == 1 and chosen.since is None:
        fill(path, [], now=NOON + 10 * DAY, days=days)
    assert sum(r.requests for r in stats.query(path, "client", chosen)) == requests


HOUR = 3600
ZONES = [
    ("UTC", {"2027-01-16": 3}),
    ("Asia/Shanghai", {"2027-01-16": 2, "2027-01-17": 1}),
    ("America/New_York", {"2027-01-15": 1, "2027-01-16": 2}),
    ("Asia/Kathmandu", {"2027-01-16": 2, "2027-01-17": 1}),
    ("Pacific/Kiritimati", {"2027-01-16": 1, "2027-01-17": 2}),
]


@pytest.mark.parametrize(("zone", "days"), ZONES)
def test_days_are_those_of_the_zone(path: str, zone: str, days: dict[str, int]) -> None:
    fill(path, [row(n, time=MIDNIGHT + hour * HOUR) for n, hour in enumerate((1, 12, 23))])
    assert {r.name: r.requests for r in stats.query(path, "day", zone=zone)} == days


def test_days_on_which_the_clock_is_changed(path: str) -> None:
    """Berlin, March 28th 2027 has 23 hours and October 31st 25: each request is on its own day."""
    march, october = 1_806_188_400.0, 1_824_933_600.0  # 00:00 there
    rows = [row(n, time=t) for n, t in enumerate((march - 1, march, march + 23 * HOUR - 1, march + 23 * HOUR))]
    rows += [row(n, time=t) for n, t in enumerate((october - 1, october, october + 25 * HOUR - 1, october + 25 * HOUR))]
    fill(path, rows, now=october)
    found = {r.name: r.requests for r in stats.query(path, "day", zone="Europe/Berlin")}
    assert found == {
        "2027-03-27": 1, "2027-03-28": 2, "2027-03-29": 1, "2027-10-30": 1, "2027-10-31": 2, "2027-11-01": 1,
    }  # fmt: skip


def test_sums_of_old_days_are_those_of_utc(path: str) -> None:
    """They cannot be told apart any more, and say so; in UTC itself nothing has to be said."""
    fill(path, [row(1, time=NOON - 9 * DAY)])
    fill(path, [row(2), row(3, time=NOON - DAY)], days=2)
    found = stats.query(path, "day", zone="Asia/Tokyo")
    assert [(r.name, r.utc) for r in found] == [("2027-01-07", True), ("2027-01-15", False), ("2027-01-16", False)]
    assert not any(r.utc for r in stats.query(path, "day"))


OF_BEFORE = Path(__file__).parents[2] / "data/homes/2026-11-27/both/files/.local/state/ccsetup/relay/usage.db"


def test_a_file_of_the_second_schema(path: str) -> None:
    """It is told the same before a relay has opened it and after, and what was not noted then is not made up."""
    Path(path).parent.mkdir()
    Path(path).write_bytes(OF_BEFORE.read_bytes())
    before = {by: stats.query(path, by) for by in stats.GROUPS}
    assert [(r.name, r.asked, r.requests, r.tries, r.tries_failed) for r in before["model"]] == [
        ("local-model", "claude-sonnet-5", 2, 2, 0)
    ]
    assert [one.served for one in requests.read(path, 0)[1]] == ["local-model", "local-model"]
    fill(path, [])
    assert {by: stats.query(path, by) for by in stats.GROUPS} == before
    fill(path, [row(9, time=1_795_900_000.0, failed="a", attempts=2)], now=1.8e9)
    assert sum(r.tries_failed for r in stats.query(path, "upstream")) == 1


def test_names_from_outside_are_cut_and_steer_no_terminal(path: str) -> None:
    """Also those that a relay of before has written at full length."""
    fill(path, [row(1, served="m\x1b[31m\x9b\u202e\n" + "x" * 100_000, client="c\u2066")])
    (model,) = stats.query(path, "model")
    assert len(model.name) == 200
    assert model.name.isprintable()
    assert stats.query(path, "client")[0].name.isprintable()


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
