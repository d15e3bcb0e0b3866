"""Many streams at once, clients that do not read, clients that go away."""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support import scripted, waiting
from support.drill import PATHS, asking, understood
from support.relay import Relay, upstream
from support.scripted import Said

STREAMS = 1000
SAID = Said("I am well, and so is everybody.")


@pytest.fixture(autouse=True)
def _many_files() -> Iterator[None]:
    """Each stream needs two sockets here, and two in the relay, which is to see to its limit by itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4 * STREAMS:
        pytest.skip(f"only {hard} files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * STREAMS, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Started(Relay):
    """A relay that a shell with the usual limit of open files starts."""

    def start(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        try:
            super().start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def memory(self, what: str = "VmRSS") -> int:
        """Return MB."""
        assert self.process is not None
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith(what))


class Connection:
    """One request that came to the upstream."""

    def __init__(self, kind: str, stream: bool, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.kind = kind
        self.stream = stream
        self.reader = reader
        self.writer = writer
        self.sent = 0

    async def begin(self) -> None:
        what = b"text/event-stream" if self.stream else b"application/json"
        self.writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n" % what)
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.writer.drain()
        self.sent += len(data)

    async def end(self) -> None:
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def lost(self) -> None:
        """Return when the relay has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


Work = Callable[[Connection], Awaitable[None]]


@asynccontextmanager
async def serving(work: Work) -> AsyncIterator[int]:
    """Serve *work* for each request, and yield the port."""
    problems: list[BaseException] = []
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(int(v[15:]) for v in head.lower().split(b"\r\n") if v.startswith(b"content-length:"))
                body = json.loads(await reader.readexactly(length))
                kind = "anthropic" if b"/v1/messages" in head else "chat"
                await work(Connection(kind, body.get("stream") is True, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except Exception as problem:
            problems.append(problem)
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, backlog=2048)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        while tasks:  # the relay has gone, so that they end
            await asyncio.sleep(0.01)
    assert not problems, problems


class Client:
    """One streaming request, of which as much is read as a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.got = b""

    @classmethod
    async def ask(cls, relay: Relay, kind: str, model: str, *, stream: bool = True, limit: int = 1 << 16) -> Client:
        host, port = relay.url.rpartition("//")[2].split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=limit)
        body = json.dumps(asking(kind, model, stream=stream)).encode()
        head = f"POST {PATHS[kind]} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {relay.key}\r\n"
        writer.write(head.encode() + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()
        return cls(reader, writer)

    async def until(self, wanted: bytes) -> None:
        while wanted not in self.got:
            piece = await self.reader.read(65536)
            assert piece, self.got[-500:]
            self.got += piece

    async def rest(self) -> bytes:
        """Read to the end and return the body."""
        while piece := await self.reader.read(65536):
            self.got += piece
        head, _, body = self.got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), self.got[:500]
        if b"transfer-encoding: chunked" not in head:
            return body
        out = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            out, body = out + body[: int(size, 16)], body[int(size, 16) + 2 :]
        return out

    def close(self) -> None:
        self.writer.close()


async def soon(found: Callable[[], Any], what: str) -> None:
    """Wait until *found* is true."""
    loop = asyncio.get_running_loop()
    end = loop.time() + waiting.LIMIT
    while not await loop.run_in_executor(None, found):
        assert loop.time() < end, f"it never came to this: {what}"
        await asyncio.sleep(0.05)


def running(relay: Relay) -> int:
    return int(relay.control("GET", "status")["running"])


def entries(port: int, **more: Any) -> list[dict[str, Any]]:
    """Return an upstream for each path: the model names the upstream's format."""
    url = f"http://127.0.0.1:{port}"
    return [
        upstream("anthropic", url, "anthropic", "sk-anthropic-0123456789", models=["anthropic"], **more),
        upstream("chat", url + "/v1", "chat", "sk-chat-0123456789", models=["chat"], **more),
    ]


def test_a_thousand_slow_streams(tmp_path: Path) -> None:
    """All run at the same time, each gets every event, and the relay stays small."""
    begun = 0
    go = asyncio.Event()

    async def work(connection: Connection) -> None:
        nonlocal begun
        events = scripted.events(connection.kind, SAID)
        await connection.begin()
        await connection.send(b"".join(events[:4]))
        begun += 1
        await go.wait()
        for event in events[4:]:
            await connection.send(event)
            await asyncio.sleep(0.05)
        await connection.end()

    async def one(relay: Relay, number: int, gate: asyncio.Semaphore) -> None:
        async with gate:
            client = await Client.ask(relay, "anthropic", ("anthropic", "chat")[number % 2])
        try:
            said = understood("anthropic", await client.rest(), stream=True)
            assert said[:3] == (SAID.text, True, "")
        finally:
            client.close()

    async def main() -> None:
        async with serving(work) as port:
            with Started(tmp_path, entries(port)) as relay:
                gate = asyncio.Semaphore(100)
                tasks = [asyncio.create_task(one(relay, number, gate)) for number in range(STREAMS)]
                await soon(lambda: begun == STREAMS, "all have begun")
                assert running(relay) == STREAMS
                go.set()
                await asyncio.gather(*tasks)
                assert relay.memory("VmHWM") < 150
                await soon(lambda: running(relay) == 0, "all have ended")
                rows = await asyncio.to_thread(relay.rows, STREAMS)
                assert {(row["status"], row["error"]) for row in rows} == {(200, "")}

    asyncio.run(main())


PIECE = "x" * 4000
MUCH = 200 << 20
"""Bytes that the upstream would send; far more than all buffers on the way hold."""
HELD = 48 << 20
"""Bytes that it got rid of: the buffers of four sockets, which grow to several MB each, and the relay's own."""


async def endless(connection: Connection) -> None:
    """Send MUCH in small events; for an answer that is no stream, spaces."""
    await connection.begin()
    events = scripted.events(connection.kind, Said("I am well"))
    if connection.stream:
        place = next(n for n, event in enumerate(events) if b"I am" in event)
        await connection.send(b"".join(events[: place + 1]))
        data = events[place].replace(b"I am", PIECE.encode()) * 16
    else:
        data = b" " * 65536
    while connection.sent < MUCH:
        await connection.send(data)
    await connection.end()


@pytest.mark.parametrize("model", ["anthropic", "chat"])
def test_a_client_that_does_not_read(tmp_path: Path, model: str) -> None:
    """What it does not take the upstream keeps; the relay does not grow, and everybody else is served.  When it reads
    on it gets all; when it goes on not reading for too long, it is given up."""
    slow: list[Connection] = []

    async def work(connection: Connection) -> None:
        if len(slow) < 2:
            slow.append(connection)
            await endless(connection)
        else:
            await connection.begin()
            for event in scripted.events(connection.kind, SAID):
                await connection.send(event)
            await connection.end()

    async def settled(connection: Connection) -> None:
        before = -1
        while before != connection.sent:
            before = connection.sent
            await asyncio.sleep(0.3)

    async def main() -> None:
        async with serving(work) as port:
            limits = {"idle": 6}
            with Started(tmp_path, entries(port, timeouts=limits)) as relay:
                stuck = await Client.ask(relay, "anthropic", model, limit=1024)
                await stuck.until(b"message_start")
                await soon(lambda: len(slow) == 1, "the upstream was asked")
                await settled(slow[0])
                assert slow[0].sent < HELD
                back = await Client.ask(relay, "anthropic", model, limit=1024)
                await back.until(b"message_start")
                await settled(slow[1])
                for kind in ("anthropic", "chat"):
                    for other in ("anthropic", "chat"):
                        client = await Client.ask(relay, kind, other)
                        assert understood(kind, await client.rest(), stream=True).text == SAID.text
                        client.close()
                count = 0
                while count < HELD + (8 << 20):  # this one reads on, and more comes
                    piece = await back.reader.read(1 << 16)
                    assert piece
                    count += len(piece)
                back.close()
                await slow[1].lost()
                await slow[0].lost()
                await soon(lambda: running(relay) == 0, "both are given up")
                assert relay.memory("VmHWM") < 120
                rows = await asyncio.to_thread(relay.rows, 6)
                assert sorted(row["status"] for row in rows) == [200] * 4 + [499] * 2
                with pytest.raises(ConnectionError):  # noqa: PT012
                    while await stuck.reader.read(1 << 20):
                        pass
                    raise ConnectionResetError  # the relay's system may have told the end in order
                stuck.close()

    asyncio.run(main())


@pytest.mark.parametrize("model", ["anthropic", "chat"])
@pytest.mark.parametrize("when", ["before", "within", "whole"])
def test_a_client_that_goes_away(tmp_path: Path, model: str, when: str) -> None:
    """The upstream's connection is closed at once: tokens that nobody reads cost money."""
    asked = asyncio.Event()
    lost = asyncio.Event()

    async def work(connection: Connection) -> None:
        if when == "within":
            await connection.begin()
            await connection.send(b"".join(scripted.events(connection.kind, SAID)[:4]))
        asked.set()
        await connection.lost()
        lost.set()

    async def main() -> None:
        async with serving(work) as port:
            with Started(tmp_path, entries(port)) as relay:
                client = await Client.ask(relay, "anthropic", model, stream=when != "whole")
                await asked.wait()
                if when == "within":
                    await client.until(b"I am")
                client.close()
                async with asyncio.timeout(waiting.LIMIT):
                    await lost.wait()
                [row] = await asyncio.to_thread(relay.rows)
                assert (row["status"], row["error"], row["upstream"]) == (499, "gone", model)
                status = relay.control("GET", "status")
                assert status["running"] == 0
                assert all(each["failures"] == 0 and each["running"] == 0 for each in status["upstreams"])

    asyncio.run(main())


def test_connections_are_used_again(tmp_path: Path) -> None:
    """Also when the end of the answer's body comes after its last event, as it mostly does."""
    seen: list[asyncio.StreamWriter] = []
    ended = asyncio.Event()

    async def work(connection: Connection) -> None:
        ended.clear()
        seen.append(connection.writer)
        await connection.begin()
        await connection.send(b"".join(scripted.events(connection.kind, SAID)))
        await asyncio.sleep(0.01)
        await connection.end()
        ended.set()

    async def main() -> None:
        async with serving(work) as port:
            with Started(tmp_path, entries(port)) as relay:
                for kind in ("anthropic", "chat"):
                    for model in ("anthropic", "chat"):
                        seen.clear()
                        for _ in range(5):
                            client = await Client.ask(relay, kind, model)
                            await client.rest()
                            client.close()
                            await ended.wait()
                            # The relay looks at it no later than at a request that is sent now.
                            await soon(lambda: running(relay) == 0, "the answer has ended")
                        assert len({id(writer) for writer in seen}) < 4, (kind, model)

    asyncio.run(main())


def test_more_requests_than_it_may_serve(tmp_path: Path) -> None:
    """They are told to come back, and those that run are left alone."""
    go = asyncio.Event()
    asked = 0

    async def work(connection: Connection) -> None:
        nonlocal asked
        asked += 1
        await go.wait()
        await connection.begin()
        for event in scripted.events(connection.kind, SAID):
            await connection.send(event)
        await connection.end()

    async def main() -> None:
        async with serving(work) as port:
            with Started(tmp_path, entries(port), limits={"requests": 3}) as relay:
                clients = [await Client.ask(relay, "anthropic", "chat") for _ in range(3)]
                await soon(lambda: asked == 3, "three run")
                got = await asyncio.to_thread(relay.post, PATHS["anthropic"], asking("anthropic", "chat"))
                assert (got.status, got.headers["retry-after"]) == (503, "1")
                assert understood("anthropic", got.body, stream=False).error
                go.set()
                for client in clients:
                    assert understood("anthropic", await client.rest(), stream=True).text == SAID.text
                    client.close()

    asyncio.run(main())


HOOK = """
import atexit, collections, gc, json

gc.disable()

@atexit.register
def tell():
    kinds = [type(o) for o in gc.get_objects() if type(o).__module__.startswith("ccsetup.relay.")]
    with open({place!r}, "w") as file:
        json.dump(collections.Counter(kind.__name__ for kind in kinds), file)
"""


def test_what_a_request_was_made_of_goes_with_it(tmp_path: Path) -> None:
    """Objects that hold each other stay until somebody looks for garbage: the relay grows, and streams wait meanwhile.

    So it is when all goes well, when a request is refused, and when its client goes away.
    """
    hook, place = tmp_path / "hook", tmp_path / "left"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(HOOK.format(place=str(place)))
    way = ""

    async def work(connection: Connection) -> None:
        events = scripted.events(connection.kind, SAID)
        if way == "refused":
            connection.writer.write(b"HTTP/1.1 400 Bad\r\ncontent-length: 2\r\n\r\n{}")
            return
        await connection.begin()
        if not connection.stream:
            await connection.send(json.dumps(scripted.whole(connection.kind, SAID)).encode())
        else:
            for event in events[:-3] if way == "given up" else events:
                await connection.send(event)
            if way == "given up":
                await connection.lost()
                return
        await connection.end()

    async def main() -> None:
        nonlocal way
        async with serving(work) as port:
            with Started(tmp_path, entries(port), env={"PYTHONPATH": str(hook)}) as relay:
                for kind in ("anthropic", "chat"):
                    for model in ("anthropic", "chat"):
                        for way in ("whole", "stream", "given up", "refused"):
                            client = await Client.ask(relay, kind, model, stream=way != "whole")
                            if way == "given up":
                                await client.until(b"data: ")
                            else:
                                await client.reader.read()
                            client.close()
                            await soon(lambda: running(relay) == 0, "it is over")
                rows = await asyncio.to_thread(relay.rows, 16)
                assert sorted(row["status"] for row in rows) == [200] * 8 + [400] * 4 + [499] * 4
                await asyncio.to_thread(relay.stop)

    asyncio.run(main())
    left = json.loads(place.read_text())
    assert "Route" in left  # which is kept
    assert {"Exchange", "Attempt", "Reply", "ClientRequest", "_Answer", "_Connection", "Inbound"} & left.keys() == set()
