"""``relay stats --reset``: what was chosen goes, after it was written, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from support.usage import MIDNIGHT, NOON, row

from ccsetup.errors import CcsetupError, WriteError
from ccsetup.relay.reporting import stats
from ccsetup.relay.store import Rest, removal
from ccsetup.relay.store.schema import ALL, Chosen
from ccsetup.relay.store.sqlite import SqliteStore

DAY = 86400
ROWS = [
    row(1, time=NOON - 9 * DAY, served="gone", failed="failed", attempts=2),
    row(2, time=NOON - 8 * DAY, served="gone", upstream="kimi"),
    row(3, time=NOON - DAY),
    row(4, client="bob", failed="kimi", attempts=2),
    row(5, upstream="kimi", served="kimi-k3", purpose="check", estimated=True),
    row(6, client="", cost=None, currency="", error="cut", status=502),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file with two days of which only the sums are left, spending, a rest and a note."""
    path = str(tmp_path_factory.mktemp("made") / "usage.db")

    async def main() -> None:
        for number, rows in enumerate((ROWS[:2], ROWS[2:])):
            store = SqliteStore(path, days=3, clock=lambda: NOON)
            await store.open()
            for one in rows:
                store.record(one)
            store.reserve("alice", NOON)
            store.rest(Rest("glm", -1, NOON + 99, 0, "529"))
            store.keep("sent there:6379 ccsetup", str(4 * number))
            await store.close()

    asyncio.run(main())
    return Path(path).read_bytes()


@pytest.fixture
def path(tmp_path: Path, made: bytes) -> str:
    file = tmp_path / "usage.db"
    file.write_bytes(made)
    return str(file)


def told(path: str, chosen: Chosen = ALL) -> list[stats.Row]:
    return [each for by in stats.GROUPS for each in stats.query(path, by, chosen)]


def left(path: str) -> tuple[list[str], list[Any]]:
    """Return the ids of the requests, and all else but figures."""
    with contextlib.closing(sqlite3.connect(path)) as base:
        ids = [one for (one,) in base.execute("SELECT id FROM usage ORDER BY seq")]
        return ids, [base.execute(f"SELECT * FROM {table}").fetchall() for table in ("spending", "rests", "notes")]


def plain(value: Any) -> Any:
    return value


CHOICES = [
    (ALL, {1, 2, 3, 4, 5, 6}),
    (Chosen(since=MIDNIGHT), {4, 5, 6}),
    (Chosen(until=MIDNIGHT), {1, 2, 3}),
    (Chosen(since=MIDNIGHT - 8 * DAY, until=NOON), {2, 3}),
    (Chosen(upstream="kimi"), {2, 5}),
    (Chosen(model="glm-5"), {3, 4, 6}),
    (Chosen(model="claude-sonnet"), {1, 2, 3, 4, 5, 6}),
    (Chosen(client="bob"), {4}),
    (Chosen(client=""), {6}),
    (Chosen(upstream="kimi", since=MIDNIGHT), {5}),
    (Chosen(upstream="nobody"), set()),
    (Chosen(upstream="failed"), set()),
]


@pytest.mark.parametrize(("chosen", "numbers"), CHOICES)
def test_exactly_what_was_chosen_goes(path: str, chosen: Chosen, numbers: set[int]) -> None:
    """Rows and sums of days; what is left is told as before, and spending, rests and notes stay."""
    before = left(path)
    found = removal.look(path, chosen)
    assert (found.requests, found.waiting) == (len(numbers), 0)
    assert found.sums > 0 or not numbers & {1, 2}
    assert found.sums == 0 or numbers & {1, 2}
    target = path + ".csv"
    removal.remove(path, chosen, found.last, target, plain)
    ids, others = left(path)
    assert ids == [each.id for number, each in enumerate(ROWS, 1) if number not in numbers and number > 2]
    assert others == before[1]
    assert sum(r.requests for r in stats.query(path, "client")) == 6 - len(numbers)
    assert sum(r.requests for r in stats.query(path, "client", chosen)) == 0
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
    with open(target, encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    assert {each["id"] for each in written if each["id"]} == {f"{number:032x}" for number in numbers if number > 2}
    assert sum(int(each["requests"]) for each in written) == len(numbers)
    assert {each["day"] for each in written} <= {"", "2027-01-07", "2027-01-08"}


def test_a_day_of_sums_goes_as_a_whole_or_stays(path: str) -> None:
    """One that the time touches only in part would take more than was chosen."""
    touched = Chosen(since=NOON - 9 * DAY - 1, until=NOON - 8 * DAY + 1)
    assert removal.look(path, touched).requests == 0
    assert removal.look(path, touched._replace(since=MIDNIGHT - 9 * DAY)).requests == 1


def test_what_the_shared_store_has_not_got_stays(path: str) -> None:
    """It is sent at some time, and then it may go; of another store nothing is known."""
    found = removal.look(path, ALL, "redis://there:6379", "ccsetup")
    assert (found.requests, found.waiting, found.last) == (4, 2, 4)
    removal.remove(path, ALL, found.last, path + ".csv", plain)
    assert left(path)[0] == [ROWS[4].id, ROWS[5].id]
    assert removal.look(path, ALL, "redis://elsewhere:6379", "ccsetup").waiting == 0


def test_what_comes_after_the_question_stays(path: str) -> None:
    found = removal.look(path, ALL)

    async def more() -> None:
        store = SqliteStore(path, clock=lambda: NOON)
        await store.open()
        store.record(row(7))
        await store.close()

    asyncio.run(more())
    removal.remove(path, ALL, found.last, path + ".csv", plain)
    assert left(path)[0] == [row(7).id]


def test_nothing_goes_that_cannot_be_written(path: str, tmp_path: Path) -> None:
    """A folder that is not there, or a file that is: both stay as they are."""
    before = told(path)
    there = tmp_path / "there.csv"
    there.write_text("mine")
    for target in (str(tmp_path / "nowhere" / "x.csv"), str(there)):
        with pytest.raises(WriteError):
            removal.remove(path, ALL, 99, target, plain)
    assert told(path) == before
    assert there.read_text() == "mine"


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    damaged = tmp_path / "usage.db"
    damaged.write_bytes(b"no database at all " * 100)
    with pytest.raises(CcsetupError, match=r"usage\.db cannot be changed"):
        removal.look(str(damaged), ALL)
    assert damaged.read_bytes() == b"no database at all " * 100


def test_a_relay_goes_on_with_the_file(path: str) -> None:
    """It writes on where it was, and no number is given a second time."""

    async def main() -> None:
        store = SqliteStore(path, clock=lambda: NOON)
        await store.open()
        found = removal.look(path, ALL)
        removal.remove(path, ALL, found.last, path + ".csv", plain)
        store.record(row(7))
        await store.flush()
        assert await store.rows_after(0, 9) == [(7, row(7))]
        assert store.health() == {"sqlite": "ok"}
        await store.close()

    asyncio.run(main())
