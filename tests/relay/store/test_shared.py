"""Several relays on one real Redis server: they share, they go on without it, and they catch up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
import redis
from support import servers, waiting
from support.servers import RedisServer
from support.usage import NOON, KeptLog, row

from ccsetup.errors import CcsetupError
from ccsetup.model import Secret
from ccsetup.relay.log import Log
from ccsetup.relay.store import Rest, Spent, shared
from ccsetup.relay.store.shared import SharedStore
from ccsetup.relay.store.sqlite import SqliteStore


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with servers.redis(tmp_path) as running:
        yield running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "EVERY", 0.05)
    monkeypatch.setattr(shared, "PAUSE", 0.05)
    monkeypatch.setattr(shared, "GRACE", 0)
    monkeypatch.setattr(shared, "_START", 20)


@contextlib.asynccontextmanager
async def opened(
    folder: Path, name: str, server: RedisServer, password: Optional[Secret] = None, log: Optional[Log] = None
) -> AsyncIterator[SharedStore]:
    local = SqliteStore(str(folder / name / "usage.db"), log, clock=lambda: NOON)
    store = SharedStore(local, server.url, password, "team", log, clock=lambda: NOON)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def entries(server: RedisServer) -> list[dict[str, Any]]:
    """Return the rows in the stream."""
    with redis.Redis(port=server.port, password=server.password or None) as client:
        return [one for _id, entry in client.xrange("team:usage") for one in json.loads(entry[b"rows"])]


def test_rests_and_spending_are_shared(tmp_path: Path, server: RedisServer) -> None:
    """What one relay puts aside or counts, the other one knows in a moment; and the other way round."""

    async def main() -> None:
        async with opened(tmp_path, "a", server) as a, opened(tmp_path, "b", server) as b:
            told: list[str] = []
            b.watch(lambda: told.append("b"))
            ended: list[tuple[str, int]] = []
            a.watch(lambda: None, None, lambda *place: ended.append(place))
            rest = Rest("glm", -1, NOON + 60, 2, "429 \udcff")
            a.rest(rest)
            await waiting.soon(lambda: b.rests(NOON))
            assert b.rests(NOON) == [rest._replace(reason="429 ?")]
            assert told
            b.unrest("glm", -1)
            await waiting.soon(lambda: not a.rests(NOON))
            assert ended == [("glm", -1)]

            for number in range(10):
                (a if number % 2 else b).reserve("alice", NOON)
                (a if number % 2 else b).record(row(number))
            a.record(row(10, currency="CNY", cost=2.0))
            wanted = Spent(10, 11 * 424, 5.0, {"CNY": 2.0})
            await waiting.soon(lambda: a.spent("alice", NOON) == b.spent("alice", NOON) == wanted)
            assert a.spent("bob", NOON) == Spent()
            assert a.spent("alice", NOON + 86400) == Spent()
            assert a.health() == {"sqlite": "ok", "shared": "ok"}

    asyncio.run(main())


def test_a_configuration_is_announced_to_the_others(tmp_path: Path, server: RedisServer) -> None:
    """Each other relay is told once, the announcing one is not, and a new one is not told of old news."""

    async def main() -> None:
        async with opened(tmp_path, "a", server) as a, opened(tmp_path, "b", server) as b:
            told: list[str] = []
            a.watch(lambda: None, lambda: told.append("a"))
            b.watch(lambda: None, lambda: told.append("b"))
            a.announce()
            await waiting.soon(lambda: told == ["b"])
            async with opened(tmp_path, "c", server) as c:
                c.watch(lambda: None, lambda: told.append("c"))
                b.announce()
                await waiting.soon(lambda: sorted(told) == ["a", "b", "c"])
                await c.flush()
                await a.flush()
        assert sorted(told) == ["a", "b", "c"]

    asyncio.run(main())


def test_every_request_is_in_the_stream_once(tmp_path: Path, server: RedisServer) -> None:
    """Also after a restart; what was there before the state was shared stays at home."""

    async def main() -> None:
        local = SqliteStore(str(tmp_path / "a" / "usage.db"), clock=lambda: NOON)
        await local.open()
        local.record(row(1))
        await local.close()
        async with opened(tmp_path, "a", server) as store:
            for number in range(2, 700):
                store.record(row(number))
            await store.flush()
            assert len(entries(server)) == 698
        async with opened(tmp_path, "a", server) as store:
            store.record(row(700))

    asyncio.run(main())
    found = entries(server)
    assert [one["id"] for one in found] == [row(number).id for number in range(2, 701)]
    assert {one["relay"] for one in found} == {found[0]["relay"]}
    del found[0]["relay"]
    assert found[0] == row(2)._asdict()


@pytest.mark.parametrize("keeps", [False, True])
def test_a_server_that_was_away_is_caught_up_with(tmp_path: Path, keeps: bool) -> None:
    """The relays go on alone and count; afterwards everything is there, once, also if the server forgot it all."""

    async def main(server: RedisServer) -> None:
        async with opened(tmp_path, "a", server) as a, opened(tmp_path, "b", server) as b:
            a.reserve("alice", NOON)
            a.record(row(1))
            b.record(row(2))
            a.rest(Rest("early", -1, NOON + 60, 0, "500"))
            await waiting.soon(lambda: a.spent("alice", NOON) == b.spent("alice", NOON) == Spent(1, 848, 1.0))
            await waiting.soon(lambda: len(b.rests(NOON)) == 1)
            await b.flush()
            await a.flush()

            server.kill()
            a.rest(Rest("glm", 0, NOON + 60, 1, "429"))
            a.reserve("alice", NOON)
            a.record(row(3))
            b.record(row(4))
            a.announce()
            await waiting.soon(lambda: "away" in a.health()["shared"] and "away" in b.health()["shared"])
            assert a.spent("alice", NOON) == Spent(2, 3 * 424, 1.5)
            assert b.spent("alice", NOON) == Spent(1, 3 * 424, 1.5)
            told: list[str] = []
            b.watch(lambda: None, lambda: told.append("b"))

            server.start()
            await waiting.soon(lambda: a.spent("alice", NOON) == b.spent("alice", NOON) == Spent(2, 4 * 424, 2.0))
            await waiting.soon(lambda: {r.upstream for r in b.rests(NOON)} == {"early", "glm"})
            await waiting.soon(lambda: told == ["b"])
            assert {r.upstream for r in a.rests(NOON)} == {"early", "glm"}
            await a.flush()
            await b.flush()
            assert a.health()["shared"] == "ok"
            ids = [one["id"] for one in entries(server)]
            assert sorted(ids) == [row(n).id for n in ((1, 2, 3, 4) if keeps else (3, 4))]
            assert a.spent("alice", NOON) == b.spent("alice", NOON) == Spent(2, 4 * 424, 2.0)

    with servers.redis(tmp_path, keeps=keeps) as server:
        asyncio.run(main(server))


def test_a_restart_counts_nothing_twice(tmp_path: Path, server: RedisServer) -> None:
    """A relay knows again what it counted itself, and what the others did; one whose file is lost loses nothing."""

    async def main() -> None:
        for name, number in (("a", 1), ("a", 2), ("b", 3)):
            async with opened(tmp_path, name, server) as store:
                store.reserve("alice", NOON)
                store.record(row(number))
                assert store.spent("alice", NOON) == Spent(number, number * 424, number * 0.5)
        for entry in (tmp_path / "a").iterdir():
            entry.unlink()
        async with opened(tmp_path, "a", server) as store:
            assert store.spent("alice", NOON) == Spent(3, 3 * 424, 1.5)
            store.reserve("alice", NOON)
        async with opened(tmp_path, "b", server) as store:
            assert store.spent("alice", NOON).requests == 4

    asyncio.run(main())


def test_an_old_and_a_new_process_of_one_relay_count_once(tmp_path: Path, server: RedisServer) -> None:
    """They share a file, and so a name in the server."""

    async def main() -> None:
        async with opened(tmp_path, "a", server) as old, opened(tmp_path, "a", server) as new:
            for number in range(20):
                (old if number % 2 else new).reserve("alice", NOON)
                (old if number % 2 else new).record(row(number))
            await old.flush()
            await new.flush()
            async with opened(tmp_path, "b", server) as other:
                await waiting.soon(lambda: other.spent("alice", NOON) == Spent(20, 20 * 424, 10.0))
                for store in (old, new, other):
                    await store.flush()
                assert other.spent("alice", NOON) == Spent(20, 20 * 424, 10.0)
                assert old.spent("alice", NOON) == new.spent("alice", NOON) == Spent(20, 20 * 424, 10.0)

    asyncio.run(main())
    assert len({one["id"] for one in entries(server)}) == 20


_RECORDER = """
import asyncio, sys
from ccsetup.relay.store import shared
from ccsetup.relay.store.sqlite import SqliteStore
from support.usage import NOON, row

async def main():
    local = SqliteStore(sys.argv[1], clock=lambda: NOON)
    store = shared.SharedStore(local, sys.argv[2], None, "team", clock=lambda: NOON)
    await store.open()
    number = 0
    while True:
        for _one in range(300):
            number += 1
            store.reserve("alice", NOON)
            store.record(row(number))
        await local.flush()
        print(number, flush=True)

shared.EVERY = 0.01
asyncio.run(main())
"""


def test_a_relay_that_is_killed_is_caught_up_with(tmp_path: Path, server: RedisServer) -> None:
    """Its next run sends what was on its disk only; the spending in the server is that of the file, exactly."""
    path = tmp_path / "a" / "usage.db"
    child = subprocess.Popen(
        [sys.executable, "-c", _RECORDER, str(path), server.url],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    with child.stdout:
        for _line in range(20):
            acknowledged = int(child.stdout.readline())
        child.kill()
    child.wait()

    async def main() -> None:
        async with opened(tmp_path, "a", server) as a, opened(tmp_path, "b", server) as b:
            await a.flush()
            await b.flush()
            with contextlib.closing(sqlite3.connect(path)) as base:
                (rows,) = base.execute("SELECT count(*) FROM usage").fetchone()
            assert rows >= acknowledged
            assert a.spent("alice", NOON).tokens == b.spent("alice", NOON).tokens == rows * 424
            assert {one["id"] for one in entries(server)} == {row(number).id for number in range(1, rows + 1)}

    asyncio.run(main())


def test_a_start_without_the_server(tmp_path: Path, server: RedisServer) -> None:
    """The relay comes up, says since when it is alone, and joins as soon as it can."""
    server.kill()

    async def main() -> None:
        async with opened(tmp_path, "a", server) as store:
            assert store.health()["shared"].startswith("away since 2027-01-16T12:00:00Z: ConnectionError")
            store.rest(Rest("glm", -1, NOON + 60, 0, "500"))
            store.record(row(1))
            await store.flush()
            server.start()
            await waiting.soon(lambda: store.health()["shared"] == "ok")
            await store.flush()
            assert [one["id"] for one in entries(server)] == [row(1).id]

    asyncio.run(main())


def test_a_rest_ends_everywhere(tmp_path: Path, server: RedisServer) -> None:
    """In the server it is a key that expires, and the list of names forgets it."""

    async def main() -> None:
        async with opened(tmp_path, "a", server) as a, opened(tmp_path, "b", server) as b:
            a.rest(Rest("short", 1, NOON + 0.3, 0, "500"))
            a.rest(Rest("long", 1, NOON + 60, 0, "500"))
            await waiting.soon(lambda: len(b.rests(NOON)) == 2)
            with redis.Redis(port=server.port) as client:
                assert 0 < client.pttl("team:rest:1:short") <= 300
                await waiting.soon(lambda: client.smembers("team:rests") == {b"1:long"})
            # The relays' own clock stands still here: it is the server that let the rest end.
            await waiting.soon(lambda: [r.upstream for r in b.rests(NOON)] == ["long"])

    asyncio.run(main())


@pytest.mark.parametrize("given", ["sesame-4711", "wrong-4711"])
def test_the_password_is_nowhere_to_be_seen(tmp_path: Path, given: str) -> None:
    """Neither in the log nor in the health, whether it is right or not."""
    log = KeptLog()

    async def main() -> None:
        with servers.redis(tmp_path, password="sesame-4711") as server:
            async with opened(tmp_path, "a", server, Secret(given), log) as store:
                store.record(row(1))
                health = str(store.health())
                if given == "sesame-4711":
                    assert store.health()["shared"] == "ok"
                else:
                    assert "AuthenticationError" in health
                server.kill()
                await waiting.soon(lambda: "away" in store.health()["shared"])
                health += str(store.health())
            assert "the shared store is away" in log.events()
            assert "4711" not in health + log.text

    asyncio.run(main())


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    local = SqliteStore(str(tmp_path / "usage.db"))
    with pytest.raises(CcsetupError, match="address of the shared store") as caught:
        SharedStore(local, "http://:hush@example.invalid")
    assert "hush" not in str(caught.value)


def test_odd_things_in_the_server_are_stepped_over(tmp_path: Path, server: RedisServer) -> None:
    """Another program's values under our names neither stop the relay nor confuse its figures."""

    async def main() -> None:
        with redis.Redis(port=server.port) as client:
            client.sadd("team:rests", "nonsense", b"\xff")
            client.set("team:rest:nonsense", "{")
            client.hset(
                f"team:spent:{int(NOON) // 86400}",
                mapping={"x": "y", "r alice requests": "4", "r alice": "z", "r bob tokens": "inf"},
            )
            async with opened(tmp_path, "a", server) as store:
                assert store.health()["shared"] == "ok"
                assert store.spent("alice", NOON).requests == 4
                client.delete("team:usage")
                client.set("team:usage", "text")
                store.record(row(1))
                await waiting.soon(lambda: "WRONGTYPE" in store.health()["shared"])
                client.delete("team:usage")
                await waiting.soon(lambda: store.health()["shared"] == "ok")
                await store.flush()
        assert [one["id"] for one in entries(server)] == [row(1).id]

    asyncio.run(main())


def test_a_server_that_hangs_does_not_hold_the_relay(
    tmp_path: Path, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hot path answers from memory, and closing comes to an end."""
    monkeypatch.setattr(shared, "TIMEOUT", 0.2)

    async def main() -> None:
        async with opened(tmp_path, "a", server) as store:
            with redis.Redis(port=server.port) as client:
                sleeper = threading.Thread(target=client.execute_command, args=("DEBUG", "SLEEP", "2"))
                if client.config_get("enable-debug-command") == {"enable-debug-command": "no"}:
                    sleeper = threading.Thread(target=client.client_pause, args=(2000,))
                sleeper.start()
                store.reserve("alice", NOON)
                store.record(row(1))
                assert store.spent("alice", NOON).requests == 1
                await waiting.soon(lambda: "Timeout" in store.health()["shared"])
                assert store.spent("alice", NOON).requests == 1
                sleeper.join()

    asyncio.run(main())
