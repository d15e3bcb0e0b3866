"""The relay's own HTTP client: pooled asyncio protocols around httptools.

A request of a pooled connection costs one write, one future and a handful of objects.  Between its parser and its
readers nothing is held back, and never more than BUFFER bytes are kept.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Optional, cast

import httptools

from ccsetup.relay.http.base import (
    HOP_BY_HOP,
    Counts,
    Headers,
    NetworkFailure,
    Origin,
    UpstreamError,
    without_named,
)
from ccsetup.relay.http.dial import dial, trust
from ccsetup.relay.http.heads import RequestHeads
from ccsetup.relay.http.writes import Writes
from ccsetup.sockets import HEAD_LIMIT

BUFFER = 128 << 10
"""Bytes of a body that wait to be read before the connection is paused."""
PIECE_COST = 64
"""What a buffered piece costs besides its bytes."""
JOINED = 16 << 10
"""Bytes of a request's body that are copied to go out with its head in one write."""
SLICE = 256 << 10
"""Bytes of a large body that are handed to the transport at a time."""
IDLE_SECONDS = 30.0
IDLE_LIMIT = 256
"""Idle connections of one origin."""

_FRAMING = HOP_BY_HOP | {b"content-length"}


class _Broken(Exception):
    """Raised in a callback of the parser, to end it: what came is not an answer, or more than one."""


class _Answer:
    __slots__ = ("_connection", "_done", "_failure", "_parts", "_size", "_waiter", "headers", "status", "taken")

    def __init__(self, connection: _Connection) -> None:
        self.status = 0
        """0 until the head has come."""
        self.headers: list[tuple[bytes, bytes]] = []
        self._connection: Optional[_Connection] = connection
        """None once the whole answer is here, or none will come."""
        self._parts: list[bytes] = []
        self._size = 0
        """Bytes of the body that came, and PIECE_COST for each piece."""
        self.taken = 0
        self._done = False
        self._failure: Optional[tuple[NetworkFailure, str]] = None
        self._waiter: Optional[asyncio.Future[None]] = None

    async def read(self) -> bytes:
        """Return the next bytes of the body, b"" at its end; cancelling it loses nothing."""
        parts = self._parts
        while not parts:
            if self._done:
                return b""
            await self._wait()
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self.taken = self._size
        connection = self._connection
        if connection is not None and connection.paused:
            connection.resume()
        return data

    def close(self) -> None:
        connection = self._connection
        if connection is not None:
            self._fail("cut", "the answer was given up")
            connection.drop()
        self._parts.clear()

    async def _wait(self) -> None:
        """Return when something has changed; UpstreamError when nothing will."""
        if self._failure is not None:
            raise UpstreamError(*self._failure)
        connection = self._connection
        assert connection is not None  # else it is done, or has failed
        waiter = self._waiter = connection.loop.create_future()
        await waiter

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():  # cancelled
                waiter.set_result(None)

    def _fail(self, kind: NetworkFailure, message: str) -> None:
        self._connection = None
        self._failure = (kind, message)
        self._wake()


class _Connection(asyncio.Protocol):
    __slots__ = (
        "_answer", "_blocked", "_complete", "_feed", "_framed", "_headers", "_is_head", "_keep", "_named", "_open",
        "_parser", "_pool", "_quiet", "_rest", "_transport", "_writes", "idle_since", "loop", "paused",
    )  # fmt: skip

    def __init__(self, pool: list[_Connection], opened: set[_Connection], writes: Writes) -> None:
        self._writes = writes
        self.loop = asyncio.get_running_loop()  # each question for it asks the system for the process
        self._pool = pool
        self._open = opened
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data
        self._answer: Optional[_Answer] = None
        self._rest: Optional[memoryview] = None
        """What of the request's body is still to be handed to the transport."""
        self._blocked = False
        self.paused = False
        self.idle_since = 0.0
        self._begin(b"")

    def _begin(self, method: bytes) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._named = b""
        """Value of the Connection header."""
        self._framed = False
        """The answer says how long it is."""
        self._keep = False
        self._complete = False
        self._quiet = 0
        """Bytes that came since the last byte of a body: a head, trailers, sizes of chunks."""
        self._is_head = method == b"HEAD"

    def usable(self) -> bool:
        return not self._transport.is_closing()

    def send(self, method: bytes, head: bytes, body: bytes) -> _Answer:
        self._begin(method)
        answer = self._answer = _Answer(self)
        transport = self._transport
        if len(body) <= JOINED:
            self._writes.add(transport, head + body if body else head)
        else:
            transport.write(head)
            if len(body) <= SLICE:
                transport.write(body)
            else:
                self._rest = memoryview(body)
                self._push()
        return answer

    def _push(self) -> None:
        rest = self._rest
        while rest is not None and not self._blocked:
            self._rest = rest[SLICE:] if len(rest) > SLICE else None
            self._transport.write(rest[:SLICE])
            rest = self._rest

    def unheard(self) -> bool:
        """Return whether nothing of the answer has come."""
        return self._quiet == 0

    def resume(self) -> None:
        self.paused = False
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def drop(self) -> None:
        self._answer = None
        self._rest = None
        self._transport.abort()

    # The transport's calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._open.discard(self)
        self._rest = None
        self._parser = self._feed = cast(Any, None)  # they hold each other
        answer = self._answer
        if answer is None:
            if self in self._pool:
                self._pool.remove(self)
            return
        self._answer = None
        if answer.status and not self._framed and exc is None:
            answer._done = True
            answer._connection = None
            answer._wake()
        else:
            when = "in the middle of its answer" if answer.status else "before its answer"
            answer._fail("cut", f"the upstream ended the connection {when}")

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._push()

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nothing was asked
            self._transport.abort()
            return
        self._quiet += len(data)
        problem = ""
        try:
            self._feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as e:
            problem = str(e.__context__ or e)
        if self._complete:
            self._finish(answer, not problem)
        elif problem or self._quiet > HEAD_LIMIT:
            self.drop()
            answer._fail("protocol", "the upstream's answer is not sound HTTP: " + (problem or "its head is too large"))
            return
        elif answer._size - answer.taken > BUFFER and not self.paused:
            self.paused = True
            self._transport.pause_reading()
        waiter = answer._waiter
        if waiter is not None:
            answer._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _finish(self, answer: _Answer, sound: bool) -> None:
        answer._done = True
        answer._connection = None
        self._answer = None
        transport = self._transport
        if (
            sound
            and self._keep
            and self._rest is None
            and len(self._pool) < IDLE_LIMIT
            and not transport.get_write_buffer_size()
            and not transport.is_closing()
        ):
            if self.paused:
                self.resume()
            self.idle_since = self.loop.time()
            self._pool.append(self)
        else:
            self.drop()

    # The parser's calls.

    def on_message_begin(self) -> None:
        if self._complete:
            raise _Broken("more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._answer is None or self._answer.status:
            return  # a trailer
        name = name.lower()
        value = value.strip(b" \t")
        if name in _FRAMING:
            self._frame(name, value)
        else:
            self._headers.append((name, value))

    def _frame(self, name: bytes, value: bytes) -> None:
        if name == b"content-length":
            self._framed = True
            self._headers.append((name, value))
        elif name == b"transfer-encoding":
            if self._framed or value.lower() != b"chunked":
                raise _Broken("an unknown transfer encoding")
            self._framed = True
        elif name == b"connection":
            self._named += b"," + value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        headers = self._headers
        if self._quiet > HEAD_LIMIT and sum(len(n) + len(v) + 4 for n, v in headers) > HEAD_LIMIT:
            raise _Broken("its head is too large")
        if status < 200:
            if status < 100 or status == 101:
                raise _Broken(f"status {status}")
            self._headers = []
            self._named = b""
            self._framed = False
            return
        answer = self._answer
        if answer is None:
            raise _Broken("more than one answer")
        answer.headers = without_named(headers, self._named) if self._named else headers
        answer.status = status
        if status == 204 or status == 304:
            self._framed = True
        if self._is_head:
            self._complete = True
            raise _Broken("no body")  # the parser does not know that none follows
        self._keep = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        answer = self._answer
        if answer is not None:
            answer._parts.append(data)
            answer._size += len(data) + PIECE_COST
            self._quiet = 0

    def on_message_complete(self) -> None:
        if self._answer is not None and self._answer.status:
            self._complete = True


class _Route:
    """What requests of one origin have in common."""

    __slots__ = ("head", "idle", "origin")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.idle: list[_Connection] = []
        self.head = RequestHeads(origin).of


class Lean:
    """A ``base.HttpClient``.  It belongs to the event loop that makes its first request."""

    def __init__(self, context: Optional[ssl.SSLContext] = None) -> None:
        self._context = context
        self._routes: dict[Origin, _Route] = {}
        self._open: set[_Connection] = set()
        self._writes: Optional[Writes] = None
        self._sweep: Optional[asyncio.TimerHandle] = None

    async def request(self, origin: Origin, method: bytes, target: bytes, headers: Headers, body: bytes) -> _Answer:
        route = self._routes.get(origin)
        if route is None:
            route = self._routes[origin] = _Route(origin)
        head = route.head(method, target, headers, len(body))
        connection = None
        idle = route.idle
        while idle:
            connection = idle.pop()
            if connection.usable():
                break
            connection = None
        reused = connection is not None
        if connection is None:
            connection = await self._connect(route)
        answer = connection.send(method, head, body)
        try:
            # The first wait of nearly every request, without a coroutine of its own.
            waiter = answer._waiter = connection.loop.create_future()
            await waiter
            while not answer.status:
                if answer._failure is not None and reused and connection.unheard() and answer._failure[0] == "cut":
                    reused = False
                    connection = await self._connect(route)
                    answer = connection.send(method, head, body)
                await answer._wait()
        except BaseException:
            answer.close()
            raise
        return answer

    async def _connect(self, route: _Route) -> _Connection:
        if self._writes is None:
            self._writes = Writes(asyncio.get_running_loop())
        writes = self._writes
        make = lambda: _Connection(route.idle, self._open, writes)  # noqa: E731
        _transport, connection = await dial(route.origin, make, self._trusted)
        if self._sweep is None:  # not before: it ends when nothing is open
            self._sweep = asyncio.get_running_loop().call_later(IDLE_SECONDS / 4, self._clean)
        return connection

    def _trusted(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = trust()
        return self._context

    def _clean(self) -> None:
        """Close what has been idle for long; the oldest ones stand first."""
        loop = asyncio.get_running_loop()
        before = loop.time() - IDLE_SECONDS
        for route in self._routes.values():
            count = 0
            for connection in route.idle:
                if connection.idle_since > before:
                    break
                connection.drop()
                count += 1
            del route.idle[:count]
        self._sweep = loop.call_later(IDLE_SECONDS / 4, self._clean) if self._open else None

    def counts(self) -> Counts:
        return Counts(len(self._open), sum(len(route.idle) for route in self._routes.values()))

    async def close(self) -> None:
        """Close all connections; answers that are being read end as cut."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for route in self._routes.values():
            route.idle.clear()
        for connection in list(self._open):
            connection._transport.abort()
        while self._open:
            await asyncio.sleep(0)
