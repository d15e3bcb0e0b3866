"""Both HTTP clients of the relay, against scripted servers: the same tests for each."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Optional, Union

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from support import tls, waiting
from support.aiohttp_client import Aiohttp
from support.forward import Proxy, Refuse

from ccsetup.relay.http import client as lean
from ccsetup.relay.http.base import Origin, UpstreamError
from ccsetup.relay.http.client import Lean
from ccsetup.relay.http.dial import trust

Client = Union[Lean, Aiohttp]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CASES = {
    "lean": (Lean, asyncio.new_event_loop),
    "lean-uvloop": (Lean, uvloop.new_event_loop),
    "aiohttp": (Aiohttp, asyncio.new_event_loop),
}


class Peer:
    """One connection, as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> bytes:
        """Return the body of the next request."""
        head = await self.head()
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                return await self.reader.readexactly(int(line.split(b":")[1]))
        return b""

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def reset(self) -> None:
        """Close the connection as a crash does."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


class Server:
    """Plays the next script on each connection, the last one again and again; the end of a script closes it."""

    def __init__(self, *scripts: Script, context: Optional[ssl.SSLContext] = None) -> None:
        self._scripts = list(scripts)
        self._context = context
        self.connections = 0
        self.over = asyncio.Event()
        self.failures: list[BaseException] = []

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._play, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        self.origin = Origin("https" if self._context else "http", "127.0.0.1", self.port)
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()
        if self.failures:
            raise self.failures[0]

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        try:
            await script(Peer(reader, writer))
            if not writer.transport.is_closing():
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        except BaseException as e:
            self.failures.append(e)
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(OSError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()
            self.over.set()


def answers(*replies: bytes, hold: bool = True) -> Script:
    """Answer one request after another, then leave the connection open."""

    async def script(peer: Peer) -> None:
        for reply in replies:
            await peer.request()
            peer.send(reply)
            await peer.writer.drain()
        if hold:
            await peer.reader.read()

    return script


def pieces(*parts: bytes) -> Script:
    """Answer one request with *parts*, each its own segment, and close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        for part in parts:
            peer.send(part)
            await peer.writer.drain()
            await asyncio.sleep(0)

    return script


class World:
    """A client and the loop it runs on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.kind, self.loop = CASES[name]

    def run(self, test: Callable[[Client], Awaitable[Any]], context: Optional[ssl.SSLContext] = None) -> Any:
        async def main() -> Any:
            client: Client = self.kind(context)
            try:
                async with asyncio.timeout(waiting.LIMIT):
                    return await test(client)
            finally:
                await client.close()

        with asyncio.Runner(loop_factory=self.loop) as runner:
            return runner.run(main())


@pytest.fixture(params=list(CASES))
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


async def post(client: Client, origin: Origin, body: bytes = b"{}") -> Any:
    return await client.request(origin, b"POST", b"/v1/messages?beta=true", [(b"x-a", b"1")], body)


async def whole(answer: Any) -> bytes:
    out = b""
    while data := await answer.read():
        out += data
    return out


async def exchange(client: Client, origin: Origin, body: bytes = b"{}") -> tuple[int, bytes]:
    answer = await post(client, origin, body)
    return answer.status, await whole(answer)


async def failure(work: Awaitable[Any]) -> UpstreamError:
    with pytest.raises(UpstreamError) as caught:
        await work
    return caught.value


def test_a_request_goes_out_as_it_was_given(world: World) -> None:
    """The head holds the caller's headers, host and length, and nothing that a library adds."""
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.head())
        seen.append(await peer.reader.readexactly(3))
        peer.send(OK)
        await peer.reader.read()

    async def test(client: Client) -> None:
        async with Server(script) as server:
            headers = [(b"x-a", b"1"), (b"user-agent", b"claude-cli/2"), (b"x-a", b"2"), (b"x-utf", "é".encode())]
            answer = await client.request(server.origin, b"POST", b"/v1/%2F?a=b%20c", headers, b"abc")
            assert (answer.status, await whole(answer)) == (200, b"ok")
            line, *lines = seen[0].strip().split(b"\r\n")
            assert line == b"POST /v1/%2F?a=b%20c HTTP/1.1"
            assert sorted((n.lower(), v) for n, v in (x.split(b": ", 1) for x in lines)) == sorted(
                [*headers, (b"host", b"127.0.0.1:%d" % server.port), (b"content-length", b"3")]
            )
            assert seen[1] == b"abc"

    world.run(test)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (b"/a\r\nx: y", []),
        (b"/a b", []),
        (b"/", [(b"x", b"1\r\ny: 2")]),
        (b"/", [(b"x", b"1\ny: 2")]),
        (b"/", [(b"x", b"1\ry: 2")]),
        (b"/", [(b"x\r\ny", b"1")]),
        (b"/", [(b"x", b"1\0")]),
        (b"/", [(b"content-length", b"5")]),
        (b"/", [(b"transfer-encoding", b"chunked")]),
        (b"/", [(b"host", b"elsewhere")]),
    ],
)
def test_nothing_can_be_injected(world: World, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """A line end in a target or a header, or a header that frames the request, is refused before anything is sent."""

    async def test(client: Client) -> None:
        async with Server(answers(OK)) as server:
            with pytest.raises(ValueError, match=r"line end|space|sets"):
                await client.request(server.origin, b"POST", target, headers, b"")
            assert server.connections == 0

    world.run(test)


BODIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-B: 2\r\n\r\n",
    "until close": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "after 1xx": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("name", list(BODIES))
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_every_kind_of_body(world: World, name: str, step: int) -> None:
    """However a body says where it ends and in whatever pieces it comes, it is read whole, without trailers."""
    data = BODIES[name]
    script = pieces(*(data[i : i + step] for i in range(0, len(data), step)))

    async def test(client: Client) -> None:
        async with Server(script) as server:
            answer = await post(client, server.origin)
            assert (answer.status, await whole(answer)) == (200, b"hello")
            assert not [n for n, _ in answer.headers if n not in (b"content-length",)]
            assert await answer.read() == b""

    world.run(test)


@pytest.mark.parametrize(
    ("method", "reply"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
        (b"POST", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_answers_without_a_body(world: World, method: bytes, reply: bytes) -> None:
    """They end with their head, and the next request gets its own answer."""

    async def test(client: Client) -> None:
        async with Server(answers(reply, OK)) as server:
            answer = await client.request(server.origin, method, b"/", [], b"")
            assert await whole(answer) == b""
            if method == b"HEAD":  # lean does not use that connection again
                return
            assert await exchange(client, server.origin) == (200, b"ok")
            assert server.connections == 1

    world.run(test)


def test_hop_by_hop_headers_stay_here(world: World) -> None:
    """Headers of the connection, and those that it names, are not part of the answer."""
    reply = (
        b"HTTP/1.1 429 Slow down\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        b"Upgrade: h2c\r\nRetry-After: 7 \r\nSET-COOKIE: a=b\r\nset-cookie: c=d\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Encoding: gzip\r\n\r\n4\r\n\x1f\x8bxx\r\n0\r\n\r\n"
    )

    async def test(client: Client) -> None:
        async with Server(answers(reply, OK)) as server:
            answer = await post(client, server.origin)
            assert answer.status == 429
            assert answer.headers == [
                (b"retry-after", b"7"),
                (b"set-cookie", b"a=b"),
                (b"set-cookie", b"c=d"),
                (b"content-encoding", b"gzip"),
            ]
            assert await whole(answer) == b"\x1f\x8bxx"  # as it came
            assert await exchange(client, server.origin) == (200, b"ok")
            assert server.connections == 1

    world.run(test)


def test_redirects_and_cookies_are_only_answers(world: World) -> None:
    """A redirect is not followed and a cookie is not sent back: no key goes anywhere else."""
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        for _ in range(2):
            heads.append(await peer.head())
            await peer.reader.readexactly(2)
            peer.send(b"HTTP/1.1 307 X\r\nLocation: /else\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")

    async def test(client: Client) -> None:
        async with Server(script) as server:
            assert await exchange(client, server.origin) == (307, b"")
            assert await exchange(client, server.origin) == (307, b"")
            assert len(heads) == 2
            assert b"cookie" not in heads[1].lower()

    world.run(test)


def test_events_are_not_held_back(world: World) -> None:
    """Each piece can be read before the server sends the next one."""
    ask: asyncio.Queue[int] = asyncio.Queue()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            number = await ask.get()
            peer.send(b"9\r\ndata: %d\n\n\r\n" % number)
        await ask.get()
        peer.send(b"0\r\n\r\n")
        await peer.reader.read()

    async def test(client: Client) -> None:
        async with Server(script) as server:
            answer = await post(client, server.origin)  # the head alone is an answer
            for number in range(3):
                ask.put_nowait(number)
                assert await answer.read() == b"data: %d\n\n" % number
            ask.put_nowait(0)
            assert await answer.read() == b""

    world.run(test)


def test_a_cancelled_read_loses_nothing(world: World) -> None:
    """A reader may give up waiting, to send a sign of life, and read on."""
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        await go.wait()
        peer.send(b"hello")
        await peer.reader.read()

    async def test(client: Client) -> None:
        async with Server(script) as server:
            answer = await post(client, server.origin)
            for _ in range(3):
                reading = asyncio.ensure_future(answer.read())
                await asyncio.sleep(0)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
            go.set()
            assert await whole(answer) == b"hello"

    world.run(test)


CUTS = {
    "at once": b"",
    "in the head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "in a body with a length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "between chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n",
    "before the last line end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n",
}


@pytest.mark.parametrize("name", list(CUTS))
def test_a_cut_never_looks_finished(world: World, name: str) -> None:
    """What came can be read, and then UpstreamError ``cut`` is raised, again and again."""

    async def test(client: Client) -> None:
        async with Server(pieces(CUTS[name])) as server:
            if b"\r\n\r\n" not in CUTS[name]:
                assert (await failure(post(client, server.origin))).kind == "cut"
                return
            answer = await post(client, server.origin)
            got = b""
            with contextlib.suppress(UpstreamError):
                while data := await answer.read():
                    got += data
                pytest.fail("it looks finished")
            assert got == b"hel"
            assert (await failure(answer.read())).kind == "cut"

    world.run(test)


def test_a_reset_is_a_cut_even_where_closing_ends_the_body(world: World) -> None:
    """An answer that lasts until the connection closes is not complete when the connection breaks."""
    if world.name == "aiohttp":
        pytest.skip("takes it for the end")
    read = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        await read.wait()
        peer.reset()

    async def test(client: Client) -> None:
        async with Server(script) as server:
            answer = await post(client, server.origin)
            assert await answer.read() == b"hello"
            read.set()
            assert (await failure(answer.read())).kind == "cut"

    world.run(test)


UNSOUND = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "another line": b"hello\r\nContent-Length: 2\r\n\r\nok",
    "length twice": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nokok",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
    "signed length": b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "unknown encoding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunked twice": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
    "status 000": b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok",
    "another protocol": b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nok",
    "a name with a space": b"HTTP/1.1 200 OK\r\nA b: c\r\nContent-Length: 2\r\n\r\nok",
    "no end of the head": b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 20_000,
    "a long header": b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000 + b"\r\nContent-Length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("name", list(UNSOUND))
def test_unsound_answers_are_refused(world: World, name: str) -> None:
    """No answer is made of what does not say clearly where it ends."""
    if world.name == "aiohttp" and name == "status 000":
        pytest.skip("takes it for an answer")

    async def test(client: Client) -> None:
        async with Server(pieces(UNSOUND[name])) as server:
            assert (await failure(exchange(client, server.origin))).kind == "protocol"

    world.run(test)


@pytest.mark.parametrize("size", [b"x", b"-1", b"0x5", b"5 5", b"fffffffffffffffff", b""])
def test_unsound_chunks_are_refused(world: World, size: bytes) -> None:
    """A chunk's size is a hexadecimal number."""
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n" + size + b"\r\nhello\r\n0\r\n\r\n"

    async def test(client: Client) -> None:
        async with Server(pieces(reply)) as server:
            assert (await failure(exchange(client, server.origin))).kind == "protocol"

    world.run(test)


@pytest.mark.parametrize("extra", [OK, b"x", b"HTTP/1.1 200 OK\r\n"])
@pytest.mark.parametrize("late", [False, True])
def test_an_answer_that_nobody_asked_for_is_nobodys(world: World, extra: bytes, late: bool) -> None:
    """What follows an answer is never taken for the next one's beginning."""
    if world.name == "aiohttp":
        pytest.skip("does not notice")
    go = asyncio.Event()

    async def evil(peer: Peer) -> None:
        await peer.request()
        if late:
            peer.send(OK)
            await go.wait()
            peer.send(extra)
        else:
            peer.send(OK + extra)
        await peer.reader.read()

    async def test(client: Client) -> None:
        good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
        async with Server(evil, answers(good)) as server:
            assert await exchange(client, server.origin) == (200, b"ok")
            if late:
                go.set()
                await server.over.wait()  # the client has closed the connection
            assert await exchange(client, server.origin) == (200, b"good")
            assert server.connections == 2

    world.run(test)


def test_connections_are_used_again(world: World) -> None:
    """One after another on one connection; several at once on several; the last one used comes first."""

    async def test(client: Client) -> None:
        async with Server(answers(*[OK] * 20)) as server:
            for _ in range(5):
                assert await exchange(client, server.origin) == (200, b"ok")
            assert server.connections == 1
            both = await asyncio.gather(*(exchange(client, server.origin) for _ in range(4)))
            assert both == [(200, b"ok")] * 4
            assert server.connections == 4
            other = server.origin._replace(host="localhost")
            assert await exchange(client, other) == (200, b"ok")
            assert server.connections == 5

    world.run(test)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_a_connection_that_is_to_be_closed_is_not_used_again(world: World, reply: bytes) -> None:
    """Connection: close, and HTTP/1.0, even when the server leaves the connection open."""

    async def test(client: Client) -> None:
        async with Server(answers(reply, OK)) as server:
            assert await exchange(client, server.origin) == (200, b"ok")
            assert await exchange(client, server.origin) == (200, b"ok")
            assert server.connections == 2

    world.run(test)


def test_a_dead_connection_is_replaced(world: World) -> None:
    """A server that closes after the answer, before or while the next request comes, is asked on a new connection."""
    bodies: list[bytes] = []

    async def dies(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.writer.drain()
        bodies.append(await peer.request())  # and no word

    async def lives(peer: Peer) -> None:
        bodies.append(await peer.request())
        peer.send(OK)
        await peer.reader.read()

    async def test(client: Client) -> None:
        async with Server(dies, lives) as server:
            assert await exchange(client, server.origin, b"1") == (200, b"ok")
            assert await exchange(client, server.origin, b"2") == (200, b"ok")
            assert (server.connections, bodies) == (2, [b"2", b"2"])

    world.run(test)


def test_a_dead_connection_is_replaced_once(world: World) -> None:
    """The replacement's failure is the request's."""

    async def dies(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.writer.drain()
        await peer.request()

    async def test(client: Client) -> None:
        async with Server(dies, pieces(b""), answers(OK)) as server:
            assert await exchange(client, server.origin) == (200, b"ok")
            assert (await failure(post(client, server.origin))).kind == "cut"
            assert server.connections == 2

    world.run(test)


@pytest.mark.parametrize("beginning", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_a_request_that_was_heard_is_not_sent_again(world: World, beginning: bytes) -> None:
    """From the first byte of an answer on, a cut is a cut."""
    if world.name == "aiohttp":
        pytest.skip("cannot tell")

    async def dies(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.writer.drain()
        await peer.request()
        peer.send(beginning)

    async def test(client: Client) -> None:
        async with Server(dies, answers(OK)) as server:
            assert await exchange(client, server.origin) == (200, b"ok")
            assert (await failure(post(client, server.origin))).kind == "cut"
            assert server.connections == 1

    world.run(test)


def test_an_answer_that_is_given_up_closes_its_connection(world: World) -> None:
    """The server sees the end, the next request gets a new connection, and closing again is nothing."""

    async def endless(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        assert await peer.reader.read() == b""

    async def test(client: Client) -> None:
        async with Server(endless, answers(OK)) as server:
            answer = await post(client, server.origin)
            assert await answer.read() == b"hello"
            answer.close()
            await server.over.wait()
            answer.close()
            assert (await failure(answer.read())).kind == "cut"
            assert await exchange(client, server.origin) == (200, b"ok")
            answer.close()
            assert server.connections == 2

    world.run(test)


def test_closing_a_finished_answer_disturbs_nobody(world: World) -> None:
    """Its connection may already serve another request."""
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        peer.send(OK)
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        await go.wait()
        peer.send(b"more")
        await peer.reader.read()

    async def test(client: Client) -> None:
        async with Server(script) as server:
            first = await post(client, server.origin)
            assert await whole(first) == b"ok"
            second = await post(client, server.origin)
            first.close()
            go.set()
            assert await whole(second) == b"more"
            assert server.connections == 1

    world.run(test)


def test_cancelling_a_request_closes_its_connection(world: World) -> None:
    """A client that went away costs the upstream nothing more."""
    heard = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.request()
        heard.set()
        assert await peer.reader.read() == b""

    async def test(client: Client) -> None:
        async with Server(silent, answers(OK)) as server:
            task = asyncio.ensure_future(post(client, server.origin))
            await heard.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await server.over.wait()
            assert await exchange(client, server.origin) == (200, b"ok")

    world.run(test)


def test_a_slow_reader_holds_the_upstream_back(world: World) -> None:
    """The server can send no more than what fits the sockets and a bounded buffer, and all of it arrives."""
    total = 24 << 20
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        block = bytes(64 << 10)
        while sent < total:
            peer.send(block)
            await peer.writer.drain()
            sent += len(block)
        await peer.reader.read()

    async def test(client: Client) -> None:
        async with Server(script) as server:
            answer = await post(client, server.origin)
            before = -1
            while sent != before:  # until it stands still
                before = sent
                for _ in range(200):
                    await asyncio.sleep(0)
            assert sent < total
            size = 0
            while data := await answer.read():
                assert len(data) <= 1 << 20
                size += len(data)
            assert size == total

    world.run(test)


def test_a_large_body_arrives_whole(world: World) -> None:
    """10 MB in one request, on a server that reads slowly."""
    body = bytes(range(256)) * (40 << 10)
    got = b""

    async def script(peer: Peer) -> None:
        nonlocal got
        got = await peer.request()
        peer.send(OK)
        got += b"|" + await peer.request()
        peer.send(OK)
        await peer.reader.read()

    async def test(client: Client) -> None:
        async with Server(script) as server:
            assert await exchange(client, server.origin, body) == (200, b"ok")
            assert await exchange(client, server.origin, b"next") == (200, b"ok")
            assert got == body + b"|next"
            assert server.connections == 1

    world.run(test)


@pytest.mark.parametrize("closes", [False, True])
def test_an_upstream_may_answer_before_it_has_read_all(world: World, closes: bool) -> None:
    """413 while the body is on its way: the answer is read, and that connection serves nobody else."""
    refusal = b"HTTP/1.1 413 Too large\r\nContent-Length: 3\r\n\r\nbig"

    async def script(peer: Peer) -> None:
        await peer.head()
        peer.send(refusal)
        await peer.writer.drain()
        if not closes:
            await asyncio.Event().wait()

    async def test(client: Client) -> None:
        async with Server(script, answers(OK)) as server:
            assert await exchange(client, server.origin, bytes(32 << 20)) == (413, b"big")
            assert await exchange(client, server.origin) == (200, b"ok")
            assert server.connections == 2

    if world.name == "aiohttp" and closes:
        pytest.skip("loses the answer when the connection breaks while it writes")
    world.run(test)


def test_nobody_listens(world: World) -> None:
    """A refused connection and an unknown host are kind ``connect``."""

    async def test(client: Client) -> None:
        async with Server(answers(OK)) as server:
            origin = server.origin
        assert (await failure(post(client, origin))).kind == "connect"
        assert (await failure(post(client, origin._replace(host="nowhere.invalid")))).kind == "connect"
        assert (await failure(post(client, origin._replace(host="a" * 70 + ".invalid")))).kind == "connect"

    world.run(test)


def test_a_host_that_does_not_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connecting ends after the origin's own limit; here a TLS handshake that the server never answers."""

    async def silent(peer: Peer) -> None:
        await peer.reader.read()

    async def test(client: Client) -> None:
        async with Server(silent) as server:
            origin = server.origin._replace(scheme="https", connect_timeout=0.05)
            assert (await failure(post(client, origin))).kind in ("tls", "connect")

    world.run(test)


def test_closing_the_client_ends_its_answers(world: World) -> None:
    """Nothing stays open, and who waits for an answer hears of it."""
    heard = asyncio.Event()

    async def silent(peer: Peer) -> None:
        await peer.request()
        heard.set()
        await peer.reader.read()

    async def test(client: Client) -> None:
        async with Server(silent) as server:
            task = asyncio.ensure_future(post(client, server.origin))
            await heard.wait()
            await client.close()
            assert (await failure(task)).kind == "cut"
            await server.over.wait()

    world.run(test)


# TLS and proxies.


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tls.authority_file(tmp_path)))


@pytest.mark.usefixtures("trusting")
def test_tls(world: World) -> None:
    """Certificates of SSL_CERT_FILE count, the name has to fit, and connections are used again."""

    async def test(client: Client) -> None:
        async with Server(answers(OK, BODIES["chunked"], OK), context=tls.context()) as server:
            for host in ("127.0.0.1", "localhost"):
                origin = server.origin._replace(host=host)
                assert await exchange(client, origin) == (200, b"ok")
                assert await exchange(client, origin) == (200, b"hello")
                assert await exchange(client, origin, bytes(3 << 20)) == (200, b"ok")
            assert server.connections == 2

    world.run(test)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("kind", ["expired", "wrong-host", "self-signed", "stranger"])
def test_bad_certificates(world: World, kind: str) -> None:
    """Nothing is sent to a host that cannot prove who it is."""
    context = tls.context("good", "stranger") if kind == "stranger" else tls.context(kind)

    async def never(peer: Peer) -> None:
        assert await peer.reader.read() == b""

    async def test(client: Client) -> None:
        async with Server(never, context=context) as server:
            assert (await failure(post(client, server.origin))).kind == "tls"

    world.run(test)


@pytest.mark.usefixtures("trusting")
def test_no_tls_on_the_other_side(world: World) -> None:
    """A plain server, and one that closes at once, are kind ``tls``."""

    async def plain(peer: Peer) -> None:
        await peer.reader.read(10)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def closes(peer: Peer) -> None:
        await peer.reader.read(10)

    async def test(client: Client) -> None:
        async with Server(plain, closes) as server:
            for _ in range(2):
                error = await failure(post(client, server.origin._replace(scheme="https")))
                assert error.kind == "tls" if world.name != "aiohttp" else error.kind in ("tls", "connect", "cut")

    world.run(test)


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_through_a_proxy(world: World, scheme: str) -> None:
    """https goes through a tunnel, http in absolute form; user and password go to the proxy and nowhere else."""
    heads: list[bytes] = []

    async def script(peer: Peer) -> None:
        while True:
            heads.append(await peer.head())
            await peer.reader.readexactly(2)
            peer.send(OK)

    async def test(client: Client) -> None:
        with Proxy() as proxy:
            context = tls.context() if scheme == "https" else None
            async with Server(script, context=context) as server:
                origin = server.origin._replace(proxy=proxy.url.replace("//", "//me:p%40ss@"))
                assert await exchange(client, origin) == (200, b"ok")
                assert await exchange(client, origin) == (200, b"ok")
                assert b"proxy-authorization: basic bwu6cebzcw==" in proxy.hops[0].head.lower()
                if scheme == "https":
                    assert [hop.method for hop in proxy.hops] == ["CONNECT"]
                    assert proxy.hops[0].target == f"127.0.0.1:{server.port}"
                    assert server.connections == 1
                    assert b"proxy" not in b"".join(heads).lower()
                else:
                    assert proxy.hops[0].target == f"http://127.0.0.1:{server.port}/v1/messages?beta=true"

    world.run(test)


@pytest.mark.usefixtures("trusting")
def test_a_proxy_that_refuses(world: World) -> None:
    """It is kind ``connect``, and the error holds no password."""

    async def test(client: Client) -> None:
        with Proxy(lambda host, port: Refuse("407 Proxy Authentication Required")) as proxy:
            origin = Origin("https", "127.0.0.1", 9, proxy.url.replace("//", "//me:secret@"))
            error = await failure(post(client, origin))
            assert error.kind == "connect"
            assert "secret" not in str(error)
        assert (await failure(post(client, origin))).kind == "connect"
        for url in ("socks5://127.0.0.1:1", "127.0.0.1:1", "http://", "http://a:b"):
            assert (await failure(post(client, origin._replace(proxy=url)))).kind == "connect"

    world.run(test)


def test_trust_checks_names() -> None:
    """The relay's own context verifies certificates and host names."""
    context = trust()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


# What only lean promises.


@pytest.mark.parametrize("slow", [False, True])
def test_idle_connections_are_closed(monkeypatch: pytest.MonkeyPatch, slow: bool) -> None:
    """After IDLE_SECONDS, without a request that would do it, however long connecting took."""
    monkeypatch.setattr(lean, "IDLE_SECONDS", 0.02)
    real = lean.dial

    async def dial(*args: Any) -> Any:
        await asyncio.sleep(lean.IDLE_SECONDS if slow else 0)
        return await real(*args)

    monkeypatch.setattr(lean, "dial", dial)

    async def test(client: Lean) -> None:
        async with Server(answers(*[OK] * 20)) as server:
            await asyncio.gather(*(exchange(client, server.origin) for _ in range(8)))
            await waiting.soon(lambda: client.counts() == (0, 0), "all are closed")
            await server.over.wait()
            assert await exchange(client, server.origin) == (200, b"ok")

    World("lean").run(test)


def test_few_idle_connections_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one origin IDLE_LIMIT at most."""
    monkeypatch.setattr(lean, "IDLE_SECONDS", 2 * waiting.LIMIT)
    monkeypatch.setattr(lean, "IDLE_LIMIT", 3)

    async def test(client: Lean) -> None:
        async with Server(answers(*[OK] * 20)) as server:
            await asyncio.gather(*(exchange(client, server.origin) for _ in range(8)))
            assert client.counts().idle == 3
            await waiting.soon(lambda: client.counts().open == 3, "the others are closed")

    World("lean").run(test)


def test_endless_framing_ends() -> None:
    """Trailers, or informational answers, that never end are refused instead of kept."""

    async def trailers(peer: Peer) -> None:
        await peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n")
        while True:
            peer.send(b"a: b\r\n" * 100)
            await peer.writer.drain()

    async def informational(peer: Peer) -> None:
        await peer.request()
        while True:
            peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 100)
            await peer.writer.drain()

    async def test(client: Lean) -> None:
        async with Server(trailers, informational) as server:
            assert (await failure(exchange(client, server.origin))).kind == "protocol"
            assert (await failure(exchange(client, server.origin))).kind == "protocol"

    World("lean").run(test)


# Any well-formed answer in any pieces; anything else.

NAMES = st.sampled_from(["x-a", "Content-Type", "RETRY-AFTER", "request-id", "x-b", "set-cookie"])
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20).map(lambda s: s.encode())


@st.composite
def well_formed(draw: st.DrawFn) -> tuple[bytes, int, list[tuple[bytes, bytes]], bytes]:
    """Bytes of an answer, and the status, headers and body that it has."""
    status = draw(st.sampled_from([200, 201, 400, 401, 429, 500, 503, 529]))
    headers = [(n.encode(), v) for n, v in draw(st.lists(st.tuples(NAMES, VALUES), max_size=6))]
    body = draw(st.binary(max_size=300))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    lines = [b"%b: %b" % header for header in headers]
    kept = [(n.lower(), v) for n, v in headers]
    data = body
    if framing == "length":
        lines.append(b"Content-Length: %d" % len(body))
        kept.append((b"content-length", b"%d" % len(body)))
    elif framing == "chunked":
        lines.append(b"Transfer-Encoding: chunked")
        edges = sorted(draw(st.lists(st.integers(0, len(body)), max_size=5)))
        chunks = [body[a:b] for a, b in zip([0, *edges], [*edges, len(body)], strict=True) if a < b]
        data = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n"
        data += draw(st.sampled_from([b"", b"X-Trailer: 1\r\n"])) + b"\r\n"
    first = draw(st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n"]))
    return first + b"\r\n".join([b"HTTP/1.1 %d X" % status, *lines, b"", data]), status, kept, body


def cut_up(data: bytes, edges: list[int]) -> list[bytes]:
    points = sorted({0, len(data), *(e % (len(data) + 1) for e in edges)})
    return [data[a:b] for a, b in itertools.pairwise(points)]


class Fuzz:
    """One loop, one server and one client for all examples of a test."""

    def __init__(self, name: str) -> None:
        kind, loop = CASES[name]
        self.runner = asyncio.Runner(loop_factory=loop)
        self.client: Client = kind()
        self.parts: list[bytes] = []

    def __enter__(self) -> Fuzz:
        async def script(peer: Peer) -> None:
            await pieces(*self.parts)(peer)

        self.server = Server(script)
        self.runner.run(self.server.__aenter__())
        return self

    def __exit__(self, *exc: object) -> None:
        async def end() -> None:
            await self.client.close()
            await self.server.__aexit__()

        self.runner.run(end())
        self.runner.close()

    def ask(self, parts: list[bytes]) -> tuple[Any, bytes]:
        async def work() -> tuple[Any, bytes]:
            async with asyncio.timeout(10):
                answer = await post(self.client, self.server.origin)
                return answer, await whole(answer)

        self.parts = parts
        return self.runner.run(work())


@pytest.mark.parametrize("name", list(CASES))
def test_any_pieces_of_any_answer(name: str) -> None:
    """The same status, headers and body come out of every way in which an answer is cut into segments."""
    with Fuzz(name) as fuzz:

        @settings(max_examples=60, deadline=None, database=None)
        @given(well_formed(), st.lists(st.integers(0, 1000), max_size=12))
        def check(case: tuple[bytes, int, list[tuple[bytes, bytes]], bytes], edges: list[int]) -> None:
            data, status, headers, body = case
            answer, got = fuzz.ask(cut_up(data, edges))
            assert (answer.status, answer.headers, got) == (status, headers, body)

        check()


@pytest.mark.parametrize("name", list(CASES))
def test_damaged_answers_are_answers_or_errors(name: str) -> None:
    """Bytes taken out, put in or cut off: there is an answer or an UpstreamError, never anything else, never a hang."""
    with Fuzz(name) as fuzz:

        @settings(max_examples=80, deadline=None, database=None)
        @given(well_formed(), st.integers(0, 1000), st.binary(max_size=4), st.integers(0, 20), st.integers(0, 1000))
        def check(case: Any, at: int, new: bytes, less: int, edge: int) -> None:
            data = case[0]
            at %= len(data) + 1
            with contextlib.suppress(UpstreamError):
                fuzz.ask(cut_up(data[:at] + new + data[at + less :], [edge]) or [b""])

        check()
