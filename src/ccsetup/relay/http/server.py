"""The relay's HTTP server: HTTP/1.1 by httptools on asyncio's connections, and one object for a request and its answer.

A server between them (dictionaries for what comes and goes, an event, a timer and a task callback for each request)
costs as much as everything that the relay does with a request.  Here the common request, which comes in one piece and
is answered in one, costs two objects, one task and one write.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from functools import lru_cache
from socket import socket
from typing import Any, Callable, Coroutine, Optional, cast
from urllib.parse import unquote

import httptools

from ccsetup.relay.http.inbound import STATUS, Headers, Inbound
from ccsetup.relay.http.writes import Writes

MAX_HEAD = 64 * 1024
"""Bytes of a request's line and headers."""
HEAD_SECONDS = 30.0
"""A connection that has not sent a whole head by then is closed."""
BODY_SECONDS = 60.0
"""A client that sends nothing more of its request for so long is cut off."""
IDLE_SECONDS = 120.0
"""A connection without a request is kept open for so long."""
LOOK_EVERY = 1.0
"""Seconds between two looks at connections that wait."""


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_OWN = (b"content-length", b"transfer-encoding", b"connection", b"upgrade")
"""Headers that are read here and mean nothing to others."""


class Connection(asyncio.Protocol):
    """A client's connection: one request is served at a time, others that come early wait.

    One task serves them all: to make one for each request costs more than to wake it.
    """

    __slots__ = (
        "_arriving", "_broken", "_came", "_feed", "_framing", "_fresh", "_headers", "_idle", "_in_head", "_keep",
        "_offered", "_parser", "_paused", "_seen", "_url", "_waiting", "full", "memo", "now_served", "server",
        "since", "task", "transport",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.memo: Any = None
        """For whoever serves the requests: what is worth knowing of the last one."""
        self.since = 0.0
        """When the present wait began: for a head, for more of a body, for a request."""
        self.full = False
        self.now_served: Optional[Inbound] = None
        self.task: Optional[asyncio.Task[None]] = None
        """Which serves the requests; None before the first one."""
        self._idle: Optional[asyncio.Future[None]] = None
        """What the task waits for between two of them."""
        self._parser = httptools.HttpRequestParser(self)
        self._feed = self._parser.feed_data
        self._waiting: deque[Inbound] = deque()
        self._arriving: Optional[Inbound] = None
        """The request whose body is on its way."""
        self._in_head = True
        self._seen = 0
        """Bytes that came since its head began, or since the last byte of its body."""
        self._came = 0
        """Bytes that came last."""
        self._url = b""
        self._headers: Headers = []
        self._framing: Headers = []
        """Those of _OWN."""
        self._offered = False
        """The head offers another protocol, for which the parser stops."""
        self._keep = True
        """Further requests are read."""
        self._fresh = True
        """Nothing has been asked yet."""
        self._broken = False
        """What comes is not read any more."""
        self._paused = False

    # The transport's calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.since = self.server.loop.time()
        self.server.connections.add(self)

    def connection_lost(self, exc: Optional[Exception]) -> None:  # noqa: ARG002 - however it went
        self.server.connections.discard(self)
        self._waiting.clear()
        self._broken = True
        self._parser = self._feed = cast(Any, None)  # they hold each other
        inbound, self.now_served = self.now_served, None
        if inbound is not None:
            inbound.gone = True
            inbound.wake()
            lost, inbound.on_gone = inbound.on_gone, None
            if lost is not None:
                lost()
        elif self.task is not None:
            self._rouse()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self.now_served is not None:
            self.now_served.wake()

    def data_received(self, data: bytes) -> None:
        if self._broken:
            return
        if self._in_head and not self._seen:
            self.since = self.server.loop.time()
        # Counted here and not in the parser's callbacks: a header, or a trailer, that never ends reaches none.
        self._came = len(data)
        self._seen += self._came
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade as stop:
            self._read_on(memoryview(data)[stop.args[0] :])
        except httptools.HttpParserError:
            self._malformed()
        else:
            if self._seen > MAX_HEAD:
                self._malformed()
        arriving = self._arriving
        if arriving is not None and not arriving.answered:
            self.since = self.server.loop.time()
            arriving.wake()
        if self.now_served is not None:
            self._rouse()
        if self._waiting and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def _read_on(self, rest: memoryview) -> None:
        """Read *rest*, behind a head that offers another protocol, as if it did not (RFC 9110, 7.8).

        The parser would leave out the request's body; so another one reads the head again, without the offer.
        """
        while self._offered:
            self._offered = False
            method, version = self._parser.get_method(), self._parser.get_http_version().encode()
            lines = [b"%b %b HTTP/%b" % (method, self._url, version)]
            lines += [b"%b: %b" % line for line in self._framing + self._headers if line[0].lower() != b"upgrade"]
            self._parser = httptools.HttpRequestParser(self)
            self._feed = self._parser.feed_data
            try:
                self._feed(b"\r\n".join((*lines, b"", b"")))
                self._feed(rest)
            except httptools.HttpParserUpgrade as stop:
                rest = rest[stop.args[0] :]
            except httptools.HttpParserError:
                self._malformed()
                return
            else:
                return
        self._last()  # CONNECT: what follows is for a proxy, which nobody is here

    def _rouse(self) -> None:
        """Have the task look for a request; it may be busy with one, and will look when that is answered."""
        idle, self._idle = self._idle, None
        if idle is not None:
            if not idle.done():
                idle.set_result(None)
        elif self.task is None:
            self.task = self.server.loop.create_task(self._serve())

    async def _serve(self) -> None:
        server = self.server
        while True:
            inbound = self.now_served
            if inbound is not None:
                await server.serve(inbound)
                if not inbound.answered:
                    self.transport.abort()
                    return
            elif self in server.connections:
                idle = self._idle = server.loop.create_future()
                await idle
            else:
                return

    def _malformed(self) -> None:
        """Nothing more can be read: answer what is whole, then close."""
        self._broken = True
        arriving, self._arriving = self._arriving, None
        if arriving is not None and not arriving.answered:
            arriving._malformed = True
            arriving._keep = False
            arriving.wake()
        elif self.now_served is not None:
            self._last()
        elif not self.transport.is_closing():
            said = b"This is no HTTP request that the relay can read.\n"
            head = b"content-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: %d" % len(said)
            self.write(b"%b%b\r\n%b\r\n\r\n%b" % (STATUS[400], self.server.date, head, said))
            self._close()

    def _last(self) -> None:
        """Read nothing more, and close the connection behind the requests that are here."""
        self._broken = True
        self.retire()

    # The parser's calls.

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._framing = []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else it is a trailer
            lower = _lower(name)
            if lower:
                self._headers.append((lower, value.rstrip(b" \t")))
            else:
                self._framing.append((name, value))

    def on_headers_complete(self) -> None:
        headers, url = self._headers, self._url
        if max(self._seen, self._came) > MAX_HEAD:  # not all of it need be of this head
            size = len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
            if size > MAX_HEAD:
                raise ValueError("the head of the request is too large")
        parser = self._parser
        if parser.should_upgrade() and parser.get_method() != b"CONNECT":
            self._offered = True
            return
        self._in_head = self._fresh = False
        self._seen = 0
        chunks = parser.get_http_version() != "1.0"
        path, query = _target(url)
        inbound = Inbound(
            self,
            parser.get_method().decode("ascii"),
            path,
            query,
            headers,
            keep=chunks and parser.should_keep_alive() and self._keep,
            chunks=chunks,
        )
        for name, value in headers:
            if name == b"expect" and value.lower() == b"100-continue":
                inbound._continues = chunks
        self._arriving = inbound
        if self.now_served is None:
            self.now_served = inbound
        else:
            self._waiting.append(inbound)

    def on_body(self, data: bytes) -> None:
        self._seen = 0
        inbound = self._arriving
        if inbound is None or inbound.answered:
            return
        inbound._size += len(data)
        if inbound._size > self.server.max_body:
            inbound._parts.clear()
        else:
            inbound._parts.append(data)

    def on_message_complete(self) -> None:
        if self._offered:
            return
        self._in_head = True
        self._seen = 0
        inbound, self._arriving = self._arriving, None
        if inbound is not None:
            inbound._complete = True
            inbound.wake()

    def write(self, data: bytes) -> None:
        self.server.writes.add(self.transport, data)

    def _close(self) -> None:
        """Close the connection behind everything that was written."""
        self.server.writes.flush()
        self.transport.close()

    # Between requests.

    def finished(self, inbound: Inbound) -> None:
        """*inbound* has been answered: go on to the next one."""
        self.since = self.server.loop.time()
        self.now_served = None
        if not inbound._keep:
            self._broken = True
            self._close()
            return
        if self._waiting:
            self.now_served = self._waiting.popleft()
        if self._paused and not self._waiting:
            self._paused = False
            self.transport.resume_reading()

    def tick(self, now: float) -> None:
        """Close the connection when it has kept us waiting for too long."""
        inbound = self.now_served
        if inbound is not None:
            if inbound is self._arriving and not inbound.begun and now - self.since > BODY_SECONDS:
                self.transport.abort()
            return
        limit = IDLE_SECONDS
        if self._arriving is not None:
            limit = BODY_SECONDS
        elif self._seen or self._fresh:
            limit = HEAD_SECONDS
        if now - self.since > limit:
            if self.full or self.transport.is_closing():
                self.transport.abort()  # the client does not take what it was sent
            else:
                self._close()

    def retire(self) -> None:
        """Take no further request."""
        self._keep = False
        last = self._waiting[-1] if self._waiting else self.now_served
        if last is not None:
            last._keep = False
        else:
            self._close()


@lru_cache(512)
def _lower(name: bytes) -> bytes:
    """Return a header's *name* in lower case, b"" for those that nobody else has to see."""
    lower = name.lower()
    return b"" if lower in _OWN else lower


@lru_cache(256)
def _target(url: bytes) -> tuple[str, bytes]:
    """Return path and query of a request's target; UnicodeError when the path is no text."""
    if not url.startswith(b"/"):
        url = url.partition(b"://")[2]  # a proxy's form of it
        url = url[url.find(b"/") :] if b"/" in url else b"/"
    path, _mark, query = url.partition(b"#")[0].partition(b"?")
    text = path.decode("ascii")
    return (unquote(text) if "%" in text else text), query


def _date(moment: float) -> bytes:
    """Return *moment* as HTTP writes it; the standard library's functions for it would load the email package."""
    year, month, day, hour, minute, second, weekday, *_rest = time.gmtime(moment)
    written = f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT"
    return written.encode()


class HttpServer:
    """Listens, and hands each request to *serve*, which must answer it and raise nothing but CancelledError."""

    def __init__(self, serve: Callable[[Inbound], Coroutine[Any, Any, None]], *, max_body: int) -> None:
        self.serve = serve
        self.max_body = max_body
        """Bytes of a request's body."""
        self.loop = asyncio.get_running_loop()
        self.writes = Writes(self.loop)
        self.connections: set[Connection] = set()
        self.date = b""
        self._server: Optional[asyncio.Server] = None
        self._ticked = self._dated = 0.0
        self.tick()

    async def listen(self, listener: socket, tls: Optional[ssl.SSLContext] = None) -> None:
        self._server = await self.loop.create_server(lambda: Connection(self), sock=listener, ssl=tls, backlog=2048)

    def tick(self) -> None:
        """Look at the clock: to be called several times a second."""
        moment = time.time()
        if int(moment) != self._dated:
            self._dated = int(moment)
            self.date = _date(moment)
        now = self.loop.time()
        if now - self._ticked >= LOOK_EVERY:
            self._ticked = now
            for connection in list(self.connections):
                connection.tick(now)

    def close(self) -> None:
        """Take no more connections, and no more requests on those that are there."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.retire()

    async def wait_closed(self) -> None:
        """Return when no connection is left."""
        while self.connections:
            await asyncio.sleep(0.02)

    def abort(self) -> None:
        for connection in list(self.connections):
            connection.transport.abort()
