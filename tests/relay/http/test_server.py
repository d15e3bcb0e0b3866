"""The relay's HTTP server: what clients may send in which pieces, and what they get."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import waiting

from ccsetup.relay.http import server as inbound
from ccsetup.relay.http.inbound import BodyTooLarge, Gone, Inbound, Malformed
from ccsetup.relay.http.server import Connection, HttpServer
from ccsetup.relay.http.writes import SMALL, Writes

LIMIT = 1000


class Seen(NamedTuple):
    method: str
    path: str
    query: bytes
    headers: dict[str, str]
    body: bytes


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.out = b""
        self.how = ""
        self.reading = True

    def write(self, data: Any) -> None:
        assert not self.how
        self.out += bytes(data)

    def closed(self) -> str:
        return self.how

    def is_closing(self) -> bool:
        return bool(self.how)

    def close(self) -> None:
        self.how = self.how or "closed"

    def abort(self) -> None:
        self.how = "aborted"

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class Talk:
    """A connection in memory whose requests are answered with what was understood of them."""

    def __init__(self, serve: Optional[Callable[[Inbound], Coroutine[Any, Any, None]]] = None) -> None:
        self.seen: list[Seen] = []
        self.failed: list[str] = []
        self.server = HttpServer(serve or self.echo, max_body=LIMIT)
        self.transport = Transport()
        self.connection = Connection(self.server)
        self.connection.connection_made(self.transport)

    async def echo(self, request: Inbound) -> None:
        try:
            body = await request.body()
        except (BodyTooLarge, Malformed, Gone) as error:
            self.failed.append(type(error).__name__)
            request.answer(400, [], b"no")
            return
        headers = {name.decode(): value.decode() for name, value in request.headers}
        self.seen.append(Seen(request.method, request.path, request.query, headers, body))
        request.answer(200, [(b"x-number", b"%d" % len(self.seen))], b"got " + body)

    def paused(self) -> bool:
        return not self.transport.reading

    async def send(self, *pieces: bytes) -> bytes:
        """Hand *pieces* over one by one, and return everything that was answered."""
        for piece in pieces:
            if not self.transport.closed():
                assert self.transport.reading
                self.connection.data_received(piece)
            await settled()
        return self.transport.out


async def settled() -> None:
    for _ in range(40):
        await asyncio.sleep(0)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def answers(out: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Return status, headers and body of each answer in *out*, as the standard library reads them."""
    found = []
    with _File(out) as file:
        while file.peek():
            answer = http.client.HTTPResponse(file, method="GET")  # type: ignore[arg-type]
            answer.begin()
            body = answer.read()
            found.append((answer.status, {n.lower(): v for n, v in answer.getheaders()}, body))
    return found


class _File:
    """What ``HTTPResponse`` wants of a socket, over bytes; it stays open from one answer to the next."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_error: object) -> None: ...

    def makefile(self, _mode: str) -> _File:
        return self

    def peek(self) -> bytes:
        return self.data[self.place :]

    def read(self, size: int = -1) -> bytes:
        end = len(self.data) if size is None or size < 0 else self.place + size
        got, self.place = self.data[self.place : end], min(end, len(self.data))
        return got

    def readinto(self, into: Any) -> int:
        got = self.read(len(into))
        into[: len(got)] = got
        return len(got)

    def readline(self, limit: int = -1) -> bytes:
        end = self.data.find(b"\n", self.place) + 1 or len(self.data)
        return self.read(min(end - self.place, limit) if limit >= 0 else end - self.place)

    def close(self) -> None: ...
    def flush(self) -> None: ...


PLAIN = b"POST /v1/x?a=1&b HTTP/1.1\r\nHost: h\r\nX-Two:  spaced \r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /%C3%A9 HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3;ext=1\r\nllo\r\n0\r\nx-trailer: 1\r\n\r\n"
)
GET = b"GET http://h.example/abs?q=1#f HTTP/1.1\r\nhost: h\r\n\r\n"
OPTIONS = b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n"
H2C = (
    b"POST /v1/x HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nHost: h\r\nHTTP2-Settings: AAEAA\r\n"
    b"Upgrade: h2c\r\nContent-Length: 5\r\n\r\nhello"
)
WEBSOCKET = CHUNKED.replace(b"\r\nhost", b"\r\nconnection: upgrade\r\nupgrade: websocket\r\nhost", 1)
SEEN = {
    H2C: Seen("POST", "/v1/x", b"", {"host": "h", "http2-settings": "AAEAA"}, b"hello"),
    WEBSOCKET: Seen("POST", "/é", b"", {"host": "h"}, b"hello"),
    PLAIN: Seen("POST", "/v1/x", b"a=1&b", {"host": "h", "x-two": "spaced"}, b"hello"),
    CHUNKED: Seen("POST", "/é", b"", {"host": "h"}, b"hello"),
    GET: Seen("GET", "/abs", b"q=1", {"host": "h"}, b""),
    OPTIONS: Seen("OPTIONS", "/", b"", {"host": "h"}, b""),
}


@settings(max_examples=60, deadline=None)
@given(requests=st.lists(st.sampled_from(list(SEEN)), min_size=1, max_size=6), data=st.data())
def test_any_pieces_give_the_same_requests(requests: Sequence[bytes], data: st.DataObject) -> None:
    """One after the other, all at once or byte by byte: each request is understood and answered, in order.

    A request that offers another protocol is one like the others.
    """
    whole = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=20)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    async def work() -> None:
        talk = Talk()
        out = await talk.send(*pieces)
        assert talk.seen == [SEEN[request] for request in requests]
        found = answers(out)
        assert [status for status, _head, _body in found] == [200] * len(requests)
        assert [head["x-number"] for _status, head, _body in found] == [str(n + 1) for n in range(len(requests))]
        assert [body for _status, _head, body in found] == [b"got " + SEEN[request].body for request in requests]
        assert all("date" in head and "connection" not in head for _status, head, _body in found)
        assert not talk.transport.closed()
        assert talk.transport.reading

    run(work)


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nhost: h\r\nconnection: keep-alive\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", False),
        (b"GET / HTTP/1.1\r\nhost: h\r\nconnection: upgrade, close\r\nupgrade: h2c\r\n\r\n", True),
    ],
)
def test_connections_end_as_clients_ask(head: bytes, closes: bool) -> None:
    async def work() -> None:
        talk = Talk()
        ((status, found, _body),) = answers(await talk.send(head))
        assert status == 200
        assert (found.get("connection") == "close") == closes
        assert bool(talk.transport.closed()) == closes
        assert len(talk.seen) == 1

    run(work)


def test_a_stream_is_chunked_and_for_old_clients_ends_with_the_connection() -> None:
    async def serve(request: Inbound) -> None:
        request.begin(200, [(b"content-type", b"text/plain")])
        request.write(b"one ")
        request.write(b"")
        request.write(b"two")
        request.end()
        request.write(b"never")
        request.end()

    async def work() -> None:
        talk = Talk(serve)
        out = await talk.send(GET + GET)
        assert out.count(b"transfer-encoding: chunked\r\n") == 2
        assert [body for _status, _head, body in answers(out)] == [b"one two"] * 2
        assert not talk.transport.closed()
        talk = Talk(serve)
        out = await talk.send(GET.replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert out.endswith(b"\r\n\r\none two")
        assert b"chunked" not in out
        assert talk.transport.closed() == "closed"

    run(work)


def test_the_answer_to_head_has_no_body() -> None:
    async def work() -> None:
        talk = Talk()
        out = await talk.send(b"HEAD / HTTP/1.1\r\nhost: h\r\n\r\n")
        assert b"content-length: 4\r\n" in out
        assert out.endswith(b"\r\n\r\n")

    run(work)


def test_who_asks_whether_to_go_on_is_told() -> None:
    head = b"POST / HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"

    async def refuse(request: Inbound) -> None:
        request.answer(401, [], b"no")

    async def work() -> None:
        talk = Talk()
        assert await talk.send(head) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await talk.send(b"ok")).endswith(b"got ok")
        talk = Talk()
        assert (await talk.send(head + b"ok")).startswith(b"HTTP/1.1 200")
        # Refused before its body: whether that still comes cannot be known, so the connection ends.
        talk = Talk(refuse)
        ((status, found, _body),) = answers(await talk.send(head))
        assert (status, found["connection"]) == (401, "close")
        assert talk.transport.closed()

    run(work)


def test_a_refused_body_is_read_past() -> None:
    """A client that still sends is not cut off in the middle, and its next request is served."""

    async def work() -> None:
        talk = Talk()
        head = b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 3000\r\n\r\n"
        out = await talk.send(head + b"x" * 1500)
        assert out.startswith(b"HTTP/1.1 400")
        assert talk.failed == ["BodyTooLarge"]
        out = await talk.send(b"x" * 1500 + PLAIN)
        assert [status for status, _head, _body in answers(out)] == [400, 200]
        assert talk.seen == [SEEN[PLAIN]]

    run(work)


def test_a_broken_body_ends_the_connection() -> None:
    async def work() -> None:
        talk = Talk()
        out = await talk.send(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n", b"zz\r\n", PLAIN)
        ((status, head, _body),) = answers(out)
        assert (status, head["connection"]) == (400, "close")
        assert talk.failed == ["Malformed"]
        assert talk.seen == []
        assert talk.transport.closed()

    run(work)


@pytest.mark.parametrize(
    "bad",
    [
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost h\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nab",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\nab",
        b"GET /\xc3\xa9 HTTP/1.1\r\nhost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: h\r\nx: " + b"x" * inbound.MAX_HEAD + b"\r\n\r\n",
        b"GET /" + b"x" * inbound.MAX_HEAD,
    ],
)
def test_what_is_no_request_gets_400_behind_what_is_one(bad: bytes) -> None:
    """What came before it is answered first, and nothing is written into the middle of that."""
    release: list[asyncio.Event] = []

    async def slow(request: Inbound) -> None:
        release.append(asyncio.Event())
        await release[-1].wait()
        request.answer(200, [], b"late")

    async def work() -> None:
        talk = Talk()
        ((status, head, _body),) = answers(await talk.send(bad))
        assert (status, head["connection"]) == (400, "close")
        assert talk.transport.closed()
        assert talk.seen == []
        for pieces in ((GET, bad),) if len(bad) > inbound.MAX_HEAD else ((GET + bad,), (GET, bad)):
            talk = Talk(slow)
            assert await talk.send(*pieces) == b""
            release[-1].set()
            await settled()
            assert [body for _status, _head, body in answers(talk.transport.out)] == [b"late"]
            assert talk.transport.closed()

    run(work)


def test_a_trailer_that_never_ends_ends_the_connection() -> None:
    async def work() -> None:
        talk = Talk()
        end = b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nx: "
        await talk.send(end, *[b"x" * 10_000] * 7)
        assert talk.failed == ["Malformed"]
        assert talk.transport.closed()

    run(work)


def test_pipelined_requests_wait_and_are_bounded() -> None:
    """While one is served nothing more is read from a client that is ahead."""
    held: list[asyncio.Event] = []

    async def hold(request: Inbound) -> None:
        held.append(asyncio.Event())
        await held[-1].wait()
        request.answer(200, [], b"%d" % len(held))

    async def work() -> None:
        talk = Talk(hold)
        await talk.send(GET + PLAIN[:-2])
        assert len(held) == 1
        assert talk.paused()
        held[0].set()
        await settled()
        assert len(held) == 2
        assert not talk.paused()  # the rest of it is wanted
        await talk.send(PLAIN[-2:])
        held[1].set()
        await settled()
        assert [body for _status, _head, body in answers(talk.transport.out)] == [b"1", b"2"]

    run(work)


def test_a_client_that_leaves_is_told_of_once_and_gets_nothing_more() -> None:
    told: list[str] = []

    async def serve(request: Inbound) -> None:
        request.on_gone = lambda: told.append("gone")
        try:
            await request.body()
        except Gone:
            told.append("no body")
        request.answer(200, [], b"x")
        request.begin(200, [])
        request.write(b"x")
        request.end()
        await request.drain()

    async def work() -> None:
        talk = Talk(serve)
        await talk.send(b"POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nab")
        talk.transport.how = "by the client"
        talk.connection.connection_lost(None)
        await settled()
        assert told == ["gone", "no body"]
        assert talk.transport.out == b""
        assert talk.server.connections == set()

    run(work)


def test_drain_waits_for_the_client() -> None:
    steps: list[str] = []

    async def serve(request: Inbound) -> None:
        request.begin(200, [])
        request.write(b"x")
        await request.drain()
        steps.append("drained")
        request.end()

    async def work() -> None:
        talk = Talk(serve)
        talk.connection.pause_writing()
        await talk.send(GET)
        assert steps == []
        talk.connection.resume_writing()
        await settled()
        assert steps == ["drained"]
        assert answers(talk.transport.out)[0][2] == b"x"

    run(work)


def test_a_line_end_in_a_header_is_never_sent() -> None:
    raised: list[str] = []

    async def serve(request: Inbound) -> None:
        for value in (b"a\r\nx: b", b"a\nb", b"a\rb"):
            with pytest.raises(ValueError, match="line end"):
                request.answer(200, [(b"x", value)], b"")
            raised.append(value.decode())
        request.answer(200, [], b"ok")

    async def work() -> None:
        talk = Talk(serve)
        ((_status, head, body),) = answers(await talk.send(GET))
        assert body == b"ok"
        assert "x" not in head

    run(work)
    assert len(raised) == 3


def test_silent_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that never ask, those between two requests, and those that do not take their answer."""

    async def work() -> None:
        talk = Talk()
        now = talk.server.loop.time()
        talk.connection.tick(now + inbound.HEAD_SECONDS - 1)
        assert not talk.transport.closed()
        talk.connection.tick(now + inbound.HEAD_SECONDS + 1)
        assert talk.transport.closed() == "closed"

        talk = Talk()
        await talk.send(GET)
        talk.connection.tick(now + inbound.IDLE_SECONDS - 1)
        assert not talk.transport.closed()
        talk.connection.tick(now + inbound.IDLE_SECONDS + 1)
        assert talk.transport.closed() == "closed"
        talk.connection.tick(now + inbound.IDLE_SECONDS + 2)
        assert talk.transport.closed() == "aborted"

        talk = Talk()
        await talk.send(GET)
        talk.connection.pause_writing()
        talk.connection.tick(now + inbound.IDLE_SECONDS + 1)
        assert talk.transport.closed() == "aborted"

    run(work)


def test_an_answer_of_the_last_moment_is_sent() -> None:
    """The server closes, or the client sends rubbish, in the turn in which a request was answered."""

    async def serve(request: Inbound) -> None:
        request.answer(200, [], b"late")
        if request.path == "/abs":
            request.connection.retire()
        else:
            request.connection.data_received(b"rubbish\r\n\r\n")

    async def work() -> None:
        talk = Talk(serve)
        assert [body for _status, _head, body in answers(await talk.send(GET))] == [b"late"]
        assert talk.transport.closed()
        talk = Talk(serve)
        assert [status for status, _head, _body in answers(await talk.send(OPTIONS))] == [200, 400]
        assert talk.transport.closed()

    run(work)


def test_closing_lets_answers_end() -> None:
    """No new connection and no new request; what is being answered is answered, then the connection ends."""
    go = asyncio.Event

    async def main() -> None:
        release = go()

        async def serve(request: Inbound) -> None:
            await release.wait()
            request.answer(200, [], b"late")

        server = HttpServer(serve, max_body=LIMIT)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            port = listener.getsockname()[1]
            await server.listen(listener)
            idle = await asyncio.open_connection("127.0.0.1", port)
            busy = await asyncio.open_connection("127.0.0.1", port)
            busy[1].write(GET)
            async with asyncio.timeout(waiting.LIMIT):
                while not any(connection.now_served for connection in server.connections):
                    await asyncio.sleep(0.01)
                server.close()
                assert await idle[0].read() == b""
                release.set()
                ((_status, head, body),) = answers(await busy[0].read())
                assert (head["connection"], body) == ("close", b"late")
                await server.wait_closed()
            for _reader, writer in (idle, busy):
                writer.close()

    asyncio.run(main())


def test_small_writes_of_one_turn_go_out_together_in_order() -> None:
    """What is large does not wait, and goes behind what was written before; a closed connection gets nothing."""

    async def work() -> None:
        one, two, closed = Transport(), Transport(), Transport()
        writes = Writes(asyncio.get_running_loop())
        for transport, data in ((one, b"a"), (two, b"b"), (closed, b"c"), (one, b"d")):
            writes.add(transport, data)
        closed.close()
        assert (one.out, two.out) == (b"", b"")
        await settled()
        assert (one.out, two.out, closed.out) == (b"ad", b"b", b"")
        large = b"x" * (SMALL + 1)
        writes.add(one, b"e")
        writes.add(one, large)
        assert one.out == b"ade" + large
        writes.add(two, b"f")
        await settled()
        assert two.out == b"bf"

    run(work)
