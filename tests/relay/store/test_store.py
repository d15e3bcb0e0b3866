"""The SQLite store: nothing acknowledged is lost, and nothing that happens to the file stops the relay."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import waiting
from support.usage import MIDNIGHT, NOON, KeptLog, row

from ccsetup.errors import CcsetupError, WriteError
from ccsetup.relay.reporting import stats
from ccsetup.relay.store import Rest, Spent, UsageRow, file, schema, sqlite
from ccsetup.relay.store.sqlite import SqliteStore

DAY = 86400


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state" / "relay" / "usage.db")


@contextlib.asynccontextmanager
async def opened(path: str, **kwargs: Any) -> AsyncIterator[SqliteStore]:
    kwargs.setdefault("clock", lambda: NOON)
    store = SqliteStore(path, **kwargs)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def read(path: str, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as base:
        return base.execute(sql).fetchall()


def test_rows_come_back_as_they_were_recorded(path: str) -> None:
    rows = [row(1), row(2, cost=None, first_ms=None, stream=False, purpose="check"), row(3, upstream="", client="")]

    async def main() -> None:
        async with opened(path) as store:
            for one in rows:
                store.record(one)
            await store.flush()
            assert await store.last_row() == 3
        async with opened(path) as store:
            assert await store.rows_after(0, 10) == list(zip([1, 2, 3], rows, strict=True))
            assert await store.rows_after(1, 1) == [(2, rows[1])]

    asyncio.run(main())


def test_many_rows_are_written_without_being_asked_to(path: str) -> None:
    """A full batch does not wait for its time, and the number of rows need not fit the size of a statement."""

    async def main() -> None:
        async with opened(path) as store:
            for number in range(sqlite.BATCH + 77):
                store.record(row(number))
            await waiting.soon(lambda: bool(read(path, "SELECT seq FROM usage LIMIT 1")))
            await store.flush()
        assert read(path, "SELECT count(*), count(DISTINCT id) FROM usage") == [(sqlite.BATCH + 77,) * 2]
        assert read(path, "SELECT requests, input FROM days") == [(sqlite.BATCH + 77, 100 * (sqlite.BATCH + 77))]

    asyncio.run(main())


def test_all_files_are_closed_to_others(path: str) -> None:
    """The database, its log and its index are 0600 in a folder of 0700, whatever the umask."""

    async def main() -> None:
        before = os.umask(0)
        try:
            async with opened(path) as store:
                store.record(row())
                await store.flush()
                folder = Path(path).parent
                modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in folder.iterdir()}
                assert modes == {"usage.db": 0o600, "usage.db-wal": 0o600, "usage.db-shm": 0o600}
                assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        finally:
            os.umask(before)

    asyncio.run(main())


def test_spending_counts_at_once_and_outlives_a_restart(path: str) -> None:
    """Requests are counted as they begin, tokens and cost as they end; the sums are of one day (UTC) and one client."""

    async def main() -> None:
        async with opened(path) as store:
            assert store.spent("alice", NOON) == Spent()
            store.reserve("alice", NOON)
            store.reserve("alice", NOON)
            assert store.spent("alice", NOON) == Spent(2)
            store.record(row(1))
            store.record(row(2, cost=3.0, currency="CNY"))
            store.record(row(3, time=MIDNIGHT - 1, cost=9.0))
            store.record(row(4, client="bob"))
            wanted = Spent(2, 2 * 424, 0.5, {"CNY": 3.0})
            assert store.spent("alice", NOON) == wanted
            await store.flush()
            assert store.spent("alice", NOON) == wanted
            store.reserve("alice", NOON)
        async with opened(path) as store:
            assert store.spent("alice", NOON) == wanted._replace(requests=3)
            assert store.spent("alice", MIDNIGHT - 5) == Spent(0, 424, 9.0)
            assert store.spent("alice", NOON + DAY) == Spent()
            assert set(store.totals(NOON)) == {"alice", "bob"}

    asyncio.run(main())


def test_spending_counts_while_it_is_being_written(path: str) -> None:
    """There is no moment at which a budget seems to be free again."""

    async def main() -> None:
        async with opened(path) as store:
            for number in range(1, 40):
                store.reserve("alice", NOON)
                writing = asyncio.create_task(store.flush())
                while not writing.done():
                    assert store.spent("alice", NOON).requests == number
                    await asyncio.sleep(0)

    asyncio.run(main())


def test_rests_outlive_a_restart(path: str) -> None:
    async def main() -> None:
        rest = Rest("glm", -1, NOON + 60, 2, "429")
        async with opened(path) as store:
            store.rest(rest)
            store.rest(Rest("kimi", 0, NOON + 60, 0, "401"))
            store.rest(Rest("over", 0, NOON - 1, 0, "old"))
            store.unrest("kimi", 0)
            assert store.rests(NOON) == [rest]
        async with opened(path) as store:
            assert store.rests(NOON) == [rest]
            assert store.rests(NOON + 60) == []
            store.unrest("glm", -1)
        async with opened(path) as store:
            assert store.rests(NOON) == []

    asyncio.run(main())


def test_two_relays_on_one_file_add_up(path: str) -> None:
    """While an old relay finishes its streams, the new one already counts; both see the sum and the other's rests."""

    async def main() -> None:
        async with opened(path) as old, opened(path) as new:
            told: list[str] = []
            ended: list[tuple[str, int]] = []
            new.watch(lambda: told.append("new"), None, lambda *place: ended.append(place))
            for number in range(300):
                (old if number % 3 else new).record(row(number))
            old.reserve("alice", NOON)
            new.reserve("alice", NOON)
            await asyncio.gather(old.flush(), new.flush())
            old.rest(Rest("glm", -1, NOON + 60, 0, "500"))
            await old.flush()
            await new.flush()
            assert old.spent("alice", NOON) == new.spent("alice", NOON) == Spent(2, 300 * 424, 150.0)
            assert [r.upstream for r in new.rests(NOON)] == ["glm"]
            assert told
            assert ended == []
            old.unrest("glm", -1)
            await old.flush()
            await new.flush()
            assert new.rests(NOON) == []
            assert ended == [("glm", -1)]
        assert read(path, "SELECT count(*), count(DISTINCT id) FROM usage") == [(300, 300)]
        assert read(path, "SELECT requests FROM days") == [(300,)]

    asyncio.run(main())


_RECORDER = """
import asyncio, os, sys
from ccsetup.relay.store.sqlite import SqliteStore
from support.usage import row

async def main():
    store = SqliteStore(sys.argv[1])
    await store.open()
    number = int(sys.argv[2])
    while True:
        for _one in range(150):
            number += 1
            store.record(row(number))
            store.reserve("alice", row().time)
        await store.flush()
        print(number, flush=True)

asyncio.run(main())
"""


def test_a_kill_loses_nothing_that_was_acknowledged(path: str) -> None:
    """Killed in the middle of writing, again and again: every acknowledged row is there, once, and the sums agree."""
    acknowledged = 0
    for _round in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", _RECORDER, path, str(acknowledged)],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdout is not None
        with child.stdout:
            for _line in range(3 + _round):
                acknowledged = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
            for line in child.stdout:  # what was acknowledged before the signal came
                if line.endswith(b"\n"):
                    acknowledged = int(line)
        child.wait()
        assert read(path, "PRAGMA integrity_check") == [("ok",)]
        found = {identity for (identity,) in read(path, "SELECT id FROM usage")}
        assert found >= {f"{number:032x}" for number in range(1, acknowledged + 1)}
        (rows,) = read(path, "SELECT count(*) FROM usage")[0]
        assert read(path, "SELECT sum(requests) FROM days") == [(rows,)]
        assert read(path, "SELECT sum(requests) FROM spending") in ([(rows,)], [(None,)])
        # The next one goes on after what may have been written without having been acknowledged.
        acknowledged = max((int(identity, 16) for identity in found), default=0)


def test_old_rows_go_and_their_sums_stay(path: str) -> None:
    """Whole days are removed, those that *days* names are kept, and no number is given a second time."""

    async def main() -> None:
        async with opened(path, days=2) as store:
            store.record(row(1))
            store.record(row(2, time=NOON + DAY))
        async with opened(path, days=2, clock=lambda: NOON + 3 * DAY) as store:
            assert [number for number, _row in await store.rows_after(0, 10)] == [2]
        async with opened(path, days=2, clock=lambda: NOON + 9 * DAY) as store:
            assert await store.rows_after(0, 10) == []
            assert await store.last_row() == 2
            store.record(row(3, time=NOON + 9 * DAY))
            await store.flush()
            assert [number for number, _row in await store.rows_after(0, 10)] == [3]
        assert [r[0] for r in read(path, "SELECT requests FROM days ORDER BY day")] == [1, 1, 1]

    asyncio.run(main())


@pytest.mark.parametrize("damage", ["text", "half", "foreign", "empty"])
def test_a_damaged_file_is_set_aside(path: str, damage: str) -> None:
    """A new file begins, and the old one stays for whoever wants to look; an empty file is as good as none."""

    async def main() -> None:
        async with opened(path) as store:
            for number in range(2000):
                store.record(row(number))
        target = Path(path)
        if damage == "text":
            target.write_bytes(b"this is no database\n" * 500)
        elif damage == "half":
            data = target.read_bytes()
            target.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))
        elif damage == "foreign":
            target.unlink()
            with contextlib.closing(sqlite3.connect(path)) as base:
                base.execute("CREATE TABLE usage (something TEXT)")
        else:
            target.write_bytes(b"")
        async with opened(path) as store:
            store.record(row(1))
            await store.flush()
            assert store.health()["sqlite"].startswith("ok")
            aside = [entry for entry in target.parent.iterdir() if ".damaged-" in entry.name]
            if damage == "empty":
                assert aside == []
            else:
                assert len(aside) == 1
                assert aside[0].name in store.health()["sqlite"]
                assert stat.S_IMODE(aside[0].stat().st_mode) == 0o600
        assert read(path, "SELECT count(*) FROM usage") == [(1,)]

    asyncio.run(main())


def test_a_file_that_vanishes_is_made_anew(path: str) -> None:
    """Rows go where the path leads, not into a file that nobody can see any more."""

    async def main() -> None:
        async with opened(path) as store:
            store.record(row(1))
            await store.flush()
            for entry in list(Path(path).parent.iterdir()):
                entry.unlink()
            store.record(row(2))
            await store.flush()
            assert [r for (r,) in read(path, "SELECT id FROM usage")] == [row(2).id]

    asyncio.run(main())


def test_a_newer_file_is_not_touched(path: str) -> None:
    async def main() -> None:
        async with opened(path) as store:
            store.record(row(1))
        with contextlib.closing(sqlite3.connect(path)) as base:
            base.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
        with pytest.raises(CcsetupError, match="newer ccsetup"):
            await SqliteStore(path).open()
        assert read(path, "SELECT count(*) FROM usage") == [(1,)]

    asyncio.run(main())


def test_an_older_file_is_brought_up_to_date(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the steps that are missing are done, and what is in the file stays."""

    async def main() -> None:
        async with opened(path) as store:
            store.record(row(1))
        monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, ("CREATE TABLE more (x TEXT)",)))
        async with opened(path) as store:
            store.record(row(2))
        assert read(path, "SELECT count(*) FROM usage") == [(2,)]
        assert read(path, "SELECT * FROM more") == []
        assert read(path, "PRAGMA user_version") == [(len(schema.MIGRATIONS),)]

    asyncio.run(main())


def older(path: str, rows: Sequence[UsageRow], *, days: Sequence[tuple[Any, ...]] = (), kept_from: int = 0) -> None:
    """Make a file of the first schema, as a relay of that time left it."""
    Path(path).parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(path)) as base:
        for statement in schema.MIGRATIONS[0]:
            base.execute(statement)
        base.execute("PRAGMA user_version = 1")
        base.executemany(f"INSERT INTO usage VALUES (NULL, {', '.join('?' * 23)})", [row[:23] for row in rows])
        base.executemany(f"INSERT INTO days VALUES ({', '.join('?' * 14)})", days)
        if kept_from:
            base.execute("INSERT INTO notes VALUES ('kept from', ?)", (str(kept_from),))
        base.execute("INSERT INTO notes VALUES ('relay', 'abc')")
        base.execute(f"INSERT INTO spending VALUES ({int(NOON) // DAY}, 'alice', '', 7, 70, 0)")
        base.commit()


def test_a_file_of_the_first_schema(path: str) -> None:
    """Its rows, sums, numbers and notes stay, and it is told the same before a relay has opened it and after."""
    today = int(NOON) // DAY
    rows = [row(1, stream=False), row(2, cost=None, currency="", first_ms=None), row(3, client="bob"), row(4)]
    sums = ("glm", "glm-5", "alice", "USD", 5, 1, 2, 10, 20, 30, 40, 50, 1.5)
    # Of today there are rows: what that schema summed up of them must not count twice.
    older(path, rows, days=[(today - 9, *sums), (today, *sums)], kept_from=today - 3)
    before = {by: stats.query(path, by) for by in stats.GROUPS}
    assert [(r.name, r.requests) for r in before["day"]] == [("2027-01-07", 5), ("2027-01-16", 4)]

    async def main() -> None:
        async with opened(path) as store:
            assert await store.rows_after(0, 10) == list(zip([1, 2, 3, 4], rows, strict=True))
            assert await store.last_row() == 4
            assert store.spent("alice", NOON) == Spent(7, 70)
            assert store.note("relay") == "abc"
            assert {by: stats.query(path, by) for by in stats.GROUPS} == before
            store.record(row(5))
            await store.flush()
            assert [number for number, _row in await store.rows_after(4, 10)] == [5]

    asyncio.run(main())
    assert stats.query(path, "day", schema.Chosen(since=MIDNIGHT))[0].requests == 5


# What a relay of the second schema writes and, every hour, removes.
ADD_KIND_BEFORE = (
    "INSERT INTO kinds (client, upstream, key, model, served, wire_in, wire_out, status, error, attempts, stream,"
    " currency, purpose) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
ADD_BEFORE = (
    "INSERT INTO requests (kind, time, id, input, output, cache_read, cache_write, reasoning, cost, first_ms, total_ms)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
ADD_SPAN_BEFORE = (
    "INSERT INTO spans VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
    " first = min(first, excluded.first), last = max(last, excluded.last)"
)
ADD_GONE_BEFORE = (
    "INSERT INTO gone SELECT CAST(time / 86400 AS INTEGER), upstream, CASE served WHEN '' THEN model ELSE served END,"
    " client, currency, count(*), sum(error <> ''), sum(cost IS NULL AND output > 0), CAST(total(input) AS INTEGER),"
    " CAST(total(output) AS INTEGER), CAST(total(cache_read) AS INTEGER), CAST(total(cache_write) AS INTEGER),"
    " CAST(total(reasoning) AS INTEGER), total(cost) FROM usage WHERE seq <= ? AND time < ? GROUP BY 1, 2, 3, 4, 5"
    " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, errors = errors + excluded.errors,"
    " unpriced = unpriced + excluded.unpriced, input = input + excluded.input, output = output + excluded.output,"
    " cache_read = cache_read + excluded.cache_read, cache_write = cache_write + excluded.cache_write,"
    " reasoning = reasoning + excluded.reasoning, cost = cost + excluded.cost"
)


def test_a_relay_of_the_second_schema_goes_on_beside_a_newer_one(path: str) -> None:
    """What it still writes is there, and what it removes is in the sums of each day, once, whoever removes next."""
    Path(path).parent.mkdir(parents=True)
    today = int(NOON) // DAY
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as base:
        for statement in (*schema.MIGRATIONS[0], *schema.MIGRATIONS[1]):
            base.execute(statement)
        base.execute("PRAGMA user_version = 2")
        base.execute("INSERT INTO gone VALUES (?, 'glm', 'glm-5', 'alice', 'USD', 5, 1, 2, 10, 20, 30, 40, 50, 1.5)",
                     (today - 9,))  # fmt: skip

        async def newer() -> None:
            async with opened(path, days=3) as store:
                store.record(row(1, id="newer"))
                await store.flush()

        asyncio.run(newer())
        before = row(2, time=NOON - 9 * DAY, served="glm-5", failed="")
        for number in (1, 2):  # in two hours
            base.execute("BEGIN IMMEDIATE")
            found = base.execute(
                "SELECT kind FROM kinds WHERE model = ? AND served = 'glm-5'", (before.model,)
            ).fetchone()
            kind = found[0] if found else base.execute(ADD_KIND_BEFORE, (
                before.client, before.upstream, before.key, before.model, before.served, before.wire_in,
                before.wire_out, before.status, before.error, before.attempts, before.stream, before.currency,
                before.purpose)).lastrowid  # fmt: skip
            base.execute(ADD_BEFORE, (kind, before.time, f"old {number}", 7, 8, 0, 0, 0, 0.25, 1.0, 2.0))
            (last,) = base.execute("SELECT max(seq) FROM requests").fetchone()
            base.execute(ADD_SPAN_BEFORE, (today - 9, last, last))
            base.execute(ADD_GONE_BEFORE, (last, (today - 3) * DAY))
            base.execute("DELETE FROM requests WHERE seq <= ? AND time < ?", (last, (today - 3) * DAY))
            base.execute("DELETE FROM spans WHERE day < ?", (today - 3,))
            base.execute("DELETE FROM kinds WHERE kind NOT IN (SELECT kind FROM requests)")
            base.execute("COMMIT")
        asyncio.run(newer())
    found = {(r.name, r.requests, r.input, r.tries) for r in stats.query(path, "day")}
    assert found == {("2027-01-07", 7, 10 + 2 * 7, 7), ("2027-01-16", 2, 2 * row(1).input, 2)}
    assert read(path, "SELECT count(*) FROM gone") == [(0,)]


OF_THE_THIRD = Path(__file__).parents[2] / "data/usage/third.db"


def test_a_kept_file_of_the_third_schema(path: str) -> None:
    """It is told the same before a relay has opened it and after; its sums grow by what is removed later."""
    Path(path).parent.mkdir(parents=True)
    Path(path).write_bytes(OF_THE_THIRD.read_bytes())
    before = {by: stats.query(path, by) for by in stats.GROUPS}
    assert [(r.name, r.requests, r.tries, r.tries_failed, r.estimated) for r in before["upstream"]] == [
        ("glm", 4, 4, 0, 1), ("", 1, 0, 0, 0), ("deepseek", 0, 1, 1, 0)
    ]  # fmt: skip

    async def main(now: float) -> None:
        async with opened(path, days=2, clock=lambda: now) as store:
            await store.flush()

    asyncio.run(main(1_795_608_000.0))
    assert {by: stats.query(path, by) for by in stats.GROUPS} == before
    asyncio.run(main(1_795_608_000.0 + 30 * DAY))
    assert read(path, "SELECT count(*) FROM requests") == [(0,)]
    after = {by: stats.query(path, by) for by in stats.GROUPS}
    whole = [[(r.name, r.requests, r.tries, r.input, r.output) for r in of["day"]] for of in (before, after)]
    assert whole[0] == whole[1]


def test_an_empty_file_of_the_first_schema_keeps_its_numbers(path: str) -> None:
    older(path, [row(1), row(2)])
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("DELETE FROM usage")
        base.commit()

    async def main() -> None:
        async with opened(path) as store:
            assert await store.last_row() == 2
            store.record(row(3))
            await store.flush()
            assert await store.rows_after(0, 10) == [(3, row(3))]

    asyncio.run(main())


def test_different_rows_keep_their_order(path: str) -> None:
    """Also where they have nothing in common, and are more than go into one statement."""
    rows = [
        row(n, model=f"m{n % 7}", status=200 + n % 3, stream=n % 2 == 0, cost=n / 4 if n % 5 else None, input=n)
        for n in range(237)
    ]

    async def main() -> None:
        async with opened(path) as store:
            for one in rows:
                store.record(one)
            await store.flush()
            assert [kept for _number, kept in await store.rows_after(0, 1000)] == rows

    asyncio.run(main())


def test_nothing_is_left_of_what_old_rows_had_in_common(path: str) -> None:
    """Clients choose names of models, so that there may be any number; another process that knows them is not lost."""

    async def main() -> None:
        async with opened(path, days=2) as other:
            for number in range(50):
                other.record(row(number, model=f"model-{number}"))
            await other.flush()
            assert read(path, "SELECT count(*) FROM kinds") == [(50,)]
            async with opened(path, days=2, clock=lambda: NOON + 9 * DAY):
                assert read(path, "SELECT count(*) FROM kinds") == [(0,)]
            other.record(row(51, model="model-1"))
            await other.flush()
            assert [kept for _number, kept in await other.rows_after(0, 10)] == [row(51, model="model-1")]
        assert sum(found.requests for found in stats.query(path, "model")) == 51

    asyncio.run(main())


def test_giant_numbers_can_be_summed_up(path: str) -> None:
    """An upstream that tells absurd numbers of tokens stops neither the sums nor the removal of old rows."""

    async def main() -> None:
        for day in (0, 1):
            async with opened(path, days=1, clock=lambda day=day: NOON + day * DAY) as store:
                for number in range(5):
                    store.record(row(10 * day + number, time=NOON + day * DAY, input=1 << 62))
        async with opened(path, days=1, clock=lambda: NOON + 9 * DAY) as store:
            assert store.health() == {"sqlite": "ok"}
            assert await store.rows_after(0, 10) == []

    asyncio.run(main())
    assert [(found.requests, found.input >= 1 << 62) for found in stats.query(path, "upstream")] == [(10, True)]


class _Full(file.UsageFile):
    """A disk that is full as long as *full* says."""

    full = False

    def write(self, batch: file.Batch, now: float) -> file.Known:
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        return super().write(batch, now)


def test_a_full_disk_is_survived(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows wait in bounded memory, the oldest ones are dropped and counted, and everything else is written later."""
    monkeypatch.setattr(sqlite, "LIMIT", 100)
    monkeypatch.setattr(sqlite, "BATCH", 10)
    monkeypatch.setattr(sqlite, "EVERY", 0.01)
    monkeypatch.setattr(sqlite, "UsageFile", _Full)
    log = KeptLog()

    async def main() -> None:
        async with opened(path, log=log) as store:
            monkeypatch.setattr(_Full, "full", True)
            store.rest(Rest("glm", -1, NOON + 60, 0, "500"))
            for number in range(150):
                store.reserve("alice", NOON)
                store.record(row(number))
            with pytest.raises(WriteError, match="disk is full"):
                await store.flush()
            await waiting.soon(lambda: store.lost == 50)
            store.record(row(150))
            assert store.health()["sqlite"].endswith("full; 100 requests wait; 51 requests were not recorded")
            assert store.spent("alice", NOON) == Spent(150, 151 * 424, 75.5)
            assert len(store.rests(NOON)) == 1
            monkeypatch.setattr(_Full, "full", False)
            await waiting.soon(lambda: store.health()["sqlite"].startswith("ok"))

    asyncio.run(main())
    assert [i for (i,) in read(path, "SELECT id FROM usage")] == [row(number).id for number in range(51, 151)]
    assert read(path, "SELECT sum(requests), sum(tokens) FROM spending") == [(150, 151 * 424)]
    assert read(path, "SELECT upstream FROM rests") == [("glm",)]
    assert log.events().count("requests are not recorded any more") == 1
    assert log.events().count("requests cannot be recorded") == 1


def test_a_folder_that_cannot_be_made_is_survived(tmp_path: Path) -> None:
    """The relay starts without its file, says so, and writes everything once it can."""
    (tmp_path / "state").write_text("in the way")
    path = str(tmp_path / "state" / "usage.db")

    async def main() -> None:
        async with opened(path) as store:
            assert store.health()["sqlite"].startswith("away since 20")
            store.record(row(1))
            (tmp_path / "state").unlink()
            await store.flush()
            assert store.health() == {"sqlite": "ok"}
        assert read(path, "SELECT count(*) FROM usage") == [(1,)]

    asyncio.run(main())


def test_one_odd_row_does_not_keep_the_others_out(path: str) -> None:
    """Upstreams and clients decide what is in a row: lone surrogates, giant numbers, no numbers."""
    nan = float("nan")
    odd = [
        row(1),
        row(2, model="\ud800x", input=1 << 80),
        row(3, total_ms=nan, first_ms=nan, cost=float("inf")),
        row(4, error="\0"),
        row(5),
    ]

    async def main() -> None:
        async with opened(path) as store:
            for one in odd:
                store.record(one)
            store.rest(Rest("glm", -1, NOON + 60, 0, "\udfff"))
            await store.flush()
            kept = dict(await store.rows_after(0, 10))
            assert [kept[number].id for number in range(1, 6)] == [one.id for one in odd]
            assert kept[2].model == "?x"
            assert kept[3].cost is None
            assert store.spent("alice", NOON).tokens >= 4 * 424

    asyncio.run(main())


def test_closing_in_the_middle_of_a_batch_writes_everything(path: str) -> None:
    async def main() -> None:
        async with opened(path) as store:
            for number in range(5000):
                store.record(row(number))
            await asyncio.sleep(0)  # the task wakes up and begins
        assert read(path, "SELECT count(*), count(DISTINCT id) FROM usage") == [(5000, 5000)]

    asyncio.run(main())
