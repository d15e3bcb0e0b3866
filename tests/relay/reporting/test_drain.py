"""From a real Redis stream into a real PostgreSQL table: every request, once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from support import servers, waiting
from support.servers import PostgresServer, RedisServer
from support.usage import NOON, row

from ccsetup.errors import CcsetupError
from ccsetup.relay.reporting import drain as draining
from ccsetup.relay.reporting.drain import Drained, drain
from ccsetup.relay.store.shared import SharedStore
from ccsetup.relay.store.sqlite import SqliteStore


@pytest.fixture(scope="module")
def running_postgres() -> Iterator[PostgresServer]:
    with servers.postgres() as running:
        yield running


@pytest.fixture
def postgres(running_postgres: PostgresServer) -> PostgresServer:
    """The server, without our table."""
    running_postgres.start()
    with psycopg.connect(running_postgres.url) as base:
        base.execute("DROP TABLE IF EXISTS ccsetup_usage")
    return running_postgres


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[RedisServer]:
    with servers.redis(tmp_path, keeps=True) as running:
        yield running


def send(stream: RedisServer, *entries: Any) -> None:
    """Put *entries*, each the value of a list of requests or raw bytes, into the stream."""
    with redis.Redis(port=stream.port) as client:
        for entry in entries:
            client.xadd("ccsetup:usage", {"rows": entry if isinstance(entry, bytes) else json.dumps(entry)})


def sent(number: int, **changes: Any) -> dict[str, Any]:
    return {"relay": "r1", **row(number, **changes)._asdict()}


def table(postgres: PostgresServer, columns: str = "id") -> list[Any]:
    with psycopg.connect(postgres.url) as base:
        return base.execute(f"SELECT {columns} FROM ccsetup_usage ORDER BY id".encode()).fetchall()


def pending(stream: RedisServer) -> int:
    """Return how many entries were given to somebody and not acknowledged."""
    with redis.Redis(port=stream.port) as client:
        summary: Any = client.xpending("ccsetup:usage", "drain")
        return int(summary["pending"])


def test_what_relays_write_arrives_whole(tmp_path: Path, stream: RedisServer, postgres: PostgresServer) -> None:
    """From the store of a relay to the table, with every value; a second run finds nothing new."""

    async def main() -> None:
        local = SqliteStore(str(tmp_path / "relay" / "usage.db"), clock=lambda: NOON)
        store = SharedStore(local, stream.url, clock=lambda: NOON)
        await store.open()
        for number in range(1, 500):
            store.record(row(number, cost=None if number == 2 else 0.25))
        await store.close()

    asyncio.run(main())
    assert drain(stream.url, postgres.url, once=True) == Drained(499, 0)
    assert pending(stream) == 0
    assert drain(stream.url, postgres.url, once=True) == Drained(0, 0)
    names = ", ".join(f'"{name}"' for name in row()._fields if name not in ("id", "time"))
    found = table(postgres, f"id, extract(epoch FROM time)::float, {names}")
    assert len(found) == 499
    for number, cost in ((1, 0.25), (2, None)):
        wanted = row(number, cost=cost)._asdict()
        rest = [value for name, value in wanted.items() if name not in ("id", "time")]
        assert list(found[number - 1]) == [wanted["id"], NOON, *rest]


def test_what_comes_twice_is_written_once(stream: RedisServer, postgres: PostgresServer) -> None:
    """In one entry, in one transaction, and over runs; also when two drains are at work."""
    send(stream, [sent(1), sent(1), sent(2)], [sent(2)])
    assert drain(stream.url, postgres.url, once=True) == Drained(2, 0)
    send(stream, [sent(2), sent(3)])
    for number in range(4, 200):
        send(stream, [sent(number), sent(number - 1)])
    results: list[Drained] = []
    threads = [
        threading.Thread(
            target=lambda name=name: results.append(drain(stream.url, postgres.url, once=True, consumer=name))
        )
        for name in ("one", "other")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result.written for result in results) == 197
    assert [identity for (identity,) in table(postgres)] == [row(number).id for number in range(1, 200)]


_KILLED = """
import os, signal, sys
from ccsetup.relay.reporting import drain as draining

def killed(self, messages):
    os.kill(os.getpid(), signal.SIGKILL)

draining._Source.acknowledge = killed
draining.drain(sys.argv[1], sys.argv[2], once=True, consumer=sys.argv[3])
"""


@pytest.mark.parametrize("same", [True, False])
def test_a_kill_between_commit_and_acknowledgement(
    stream: RedisServer, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """What was committed is not written again, and is acknowledged by whoever comes next: the same, or another one."""
    send(stream, [sent(1), sent(2)], [sent(3)])
    child = subprocess.run(
        [sys.executable, "-c", _KILLED, stream.url, postgres.url, "first"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert len(table(postgres)) == 3
    assert pending(stream) == 2
    send(stream, [sent(4)])
    if not same:
        monkeypatch.setattr(draining, "ABANDONED", 0)
    assert drain(stream.url, postgres.url, once=True, consumer="first" if same else "second") == Drained(1, 0)
    assert pending(stream) == 0
    assert len(table(postgres)) == 4


def test_entries_that_are_none_do_not_stop_it(stream: RedisServer, postgres: PostgresServer) -> None:
    """They are counted as skipped and acknowledged; what PostgreSQL cannot hold is made to fit or left out."""
    odd = [
        b"{",
        b"{}",
        [3, {}, {"id": ""}, {"id": "no time"}, {"id": "x", "time": 1e300}, {"id": "y", "time": "now"}],
        [sent(1, error="a\0b", input=1 << 80, key=1 << 40, cost="much")],
        [{"id": "small", "time": NOON}],
        [{"id": "z" * 10_000, "time": NOON}, sent(2)],
    ]
    with redis.Redis(port=stream.port) as client:
        client.xadd("ccsetup:usage", {"other": "x"})
    send(stream, *odd)
    result = drain(stream.url, postgres.url, once=True)
    assert result == Drained(3, 10)
    assert pending(stream) == 0
    found = table(postgres, 'id, error, input, "key", cost, purpose')
    assert found == [
        (row(1).id, "ab", 1 << 53, (1 << 31) - 1, None, ""),
        (row(2).id, "", 100, 0, 0.5, ""),
        ("small", None, None, None, None, ""),
    ]


def test_a_table_of_an_older_version_gets_its_columns(stream: RedisServer, postgres: PostgresServer) -> None:
    """What is in it stays."""
    with psycopg.connect(postgres.url) as base:
        base.execute("CREATE TABLE ccsetup_usage (id text PRIMARY KEY, time timestamptz NOT NULL, mine text)")
        base.execute("INSERT INTO ccsetup_usage VALUES ('0', now(), 'kept')")
    send(stream, [sent(1)])
    assert drain(stream.url, postgres.url, once=True) == Drained(1, 0)
    assert table(postgres, "mine, model") == [("kept", None), (None, "claude-sonnet")]


def test_a_rule_of_the_database_leaves_single_requests_out(stream: RedisServer, postgres: PostgresServer) -> None:
    """Whoever owns the table may refuse rows; the others of the same transaction are written."""
    drain(stream.url, postgres.url, once=True)
    with psycopg.connect(postgres.url) as base:
        base.execute("ALTER TABLE ccsetup_usage ADD CHECK (client <> 'bob')")
    send(stream, [sent(1), sent(2, client="bob"), sent(3)])
    assert drain(stream.url, postgres.url, once=True) == Drained(2, 1)
    assert pending(stream) == 0


def test_a_user_who_may_only_insert_is_enough(stream: RedisServer, postgres: PostgresServer) -> None:
    """Once the table is there, nobody has to be its owner."""
    send(stream, [sent(1)])
    drain(stream.url, postgres.url, once=True)
    with psycopg.connect(postgres.url) as base:
        base.execute("DROP ROLE IF EXISTS writer")
        base.execute("CREATE ROLE writer LOGIN")
        base.execute("GRANT SELECT, INSERT ON ccsetup_usage TO writer")
    send(stream, [sent(2)])
    url = postgres.url.replace("tester@", "writer@")
    assert drain(stream.url, url, once=True) == Drained(1, 0)
    with psycopg.connect(postgres.url) as base:
        base.execute("DROP OWNED BY writer; DROP ROLE writer")


def test_it_goes_on_when_servers_come_back(
    stream: RedisServer, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Running all the time, it tells once that a server is away, and catches up; nothing is lost or written twice."""
    monkeypatch.setattr(draining, "BLOCK", 0.1)
    monkeypatch.setattr(draining, "PAUSE", 0.1)
    stop = threading.Event()
    told: list[str] = []
    results: list[Drained] = []
    worker = threading.Thread(
        target=lambda: results.append(drain(stream.url, postgres.url, stop=stop, tell=told.append))
    )
    send(stream, [sent(1)])
    worker.start()
    try:
        waiting.until(lambda: _count(postgres) == 1)
        postgres.stop()
        send(stream, [sent(2)])
        waiting.until(lambda: len(told) == 1)
        assert "PostgreSQL" in told[0]
        postgres.start()
        waiting.until(lambda: _count(postgres) == 2)
        waiting.until(lambda: len(told) == 2)
        stream.kill()
        waiting.until(lambda: len(told) == 3)
        assert "shared store" in told[2]
        stream.start()
        send(stream, [sent(3)])
        waiting.until(lambda: _count(postgres) == 3)
        with redis.Redis(port=stream.port) as client:
            client.flushall()  # the group is gone, too
        send(stream, [sent(3), sent(4)])
        waiting.until(lambda: _count(postgres) == 4)
    finally:
        stop.set()
        worker.join()
    assert results == [Drained(4, 0)]


def _count(postgres: PostgresServer) -> int:
    with psycopg.connect(postgres.url) as base:
        if base.execute("SELECT to_regclass('ccsetup_usage')").fetchone() == (None,):
            return 0
        found = base.execute("SELECT count(*) FROM ccsetup_usage").fetchone()
        assert found is not None
        return int(found[0])


def test_servers_that_cannot_be_reached_are_told_without_passwords(
    stream: RedisServer, postgres: PostgresServer
) -> None:
    """At the start there is an error, not a wait; and no password is in it."""
    away = "postgresql://tester:sesame@127.0.0.1:1/postgres"
    with pytest.raises(CcsetupError, match="PostgreSQL database cannot be used") as first:
        drain(stream.url, away)
    with pytest.raises(CcsetupError, match="shared store cannot be used") as second:
        drain("redis://:sesame@127.0.0.1:1/0", postgres.url)
    with pytest.raises(CcsetupError, match="address of the PostgreSQL") as third:
        drain(stream.url, "postgresql://tester:sesame@[/x")
    with pytest.raises(CcsetupError, match="address of the shared store") as fourth:
        drain("nothing://:sesame@x", postgres.url)
    with pytest.raises(CcsetupError, match="does not exist") as fifth:
        drain(stream.url, postgres.url.replace("tester@", "nobody:sesame@"))
    for caught in (first, second, third, fourth, fifth):
        assert "sesame" not in str(caught.value)
