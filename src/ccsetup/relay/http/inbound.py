"""A request that has come, and what is answered to it."""

from __future__ import annotations

import asyncio
import http
from typing import Any, Callable, Iterable, Optional, Protocol

JOINED = 64 << 10
"""Bytes of a body that are copied to go out with its head in one write."""

Headers = list[tuple[bytes, bytes]]
"""Names in lower case."""

_PHRASES = {int(status): status.phrase.encode() for status in http.HTTPStatus}
STATUS = {n: b"HTTP/1.1 %d %b\r\ndate: " % (n, _PHRASES.get(n, b"")) for n in range(200, 600)}
"""Status lines, up to the date."""


class Gone(Exception):
    """The client has closed its connection."""


class BodyTooLarge(Exception):
    """The body has more bytes than the server takes."""


class Malformed(Exception):
    """The body's framing is not HTTP."""


class Service(Protocol):
    """What a request needs of the server that it came to."""

    loop: asyncio.AbstractEventLoop
    max_body: int
    """Bytes."""
    date: bytes
    """The end of a status line: the date header's value."""


class ClientConnection(Protocol):
    """What a request needs of the connection that it came on."""

    transport: asyncio.Transport
    full: bool
    """The client does not take what it is sent."""
    memo: Any
    task: Optional[asyncio.Task[None]]

    @property
    def server(self) -> Service: ...

    def write(self, data: bytes) -> None: ...

    def finished(self, inbound: Inbound) -> None: ...


class Inbound:
    """A request, and what is answered to it: ``answer`` at once, or ``begin``, ``write``…, ``end``.

    All of them only fill the connection's buffer; ``drain`` waits until the client has taken most of it.  Once the
    client is gone they do nothing.
    """

    __slots__ = (
        "_chunked", "_complete", "_continues", "_held", "_keep", "_malformed", "_parts", "_size", "_waiter",
        "answered", "begun", "connection", "gone", "headers", "method", "on_gone", "path", "query",
    )  # fmt: skip

    def __init__(
        self,
        connection: ClientConnection,
        method: str,
        path: str,
        query: bytes,
        headers: Headers,
        *,
        keep: bool,
        chunks: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        """Without those that frame the request or concern the connection."""
        self.gone = False
        """The client has closed the connection."""
        self.on_gone: Optional[Callable[[], None]] = None
        """Called when that happens before the answer is complete."""
        self.begun = False
        self.answered = False
        self._keep = keep
        self._chunked = chunks
        """The client can be told where the answer ends without closing the connection."""
        self._parts: list[bytes] = []
        self._size = 0
        self._complete = False
        self._malformed = False
        self._continues = False
        """The client waits to be told that its body is wanted."""
        self._held = b""
        """The head of an answer, which goes out with its first piece."""
        self._waiter: Optional[asyncio.Future[None]] = None

    # The request.

    def body_here(self) -> Optional[bytes]:
        """Return the body when all of it has come already and may be taken; None: ask ``body``."""
        if not self._complete or self._size > self.connection.server.max_body or self.gone:
            return None
        parts, self._parts = self._parts, []
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def body(self) -> bytes:
        """Return the body.  BodyTooLarge, Malformed; Gone when the client does not send it to its end."""
        while (here := self.body_here()) is None:
            if self._size > self.connection.server.max_body:
                raise BodyTooLarge
            if self._malformed:
                raise Malformed
            if self.gone:
                raise Gone
            if self._continues:
                self._continues = False
                self.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            await self._wait()
        return here

    async def _wait(self) -> None:
        waiter = self._waiter = self.connection.server.loop.create_future()
        await waiter

    def wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # The answer.

    def answer(self, status: int, head: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole answer; *head* without content-length.  ValueError when a line end is in it."""
        if self.gone or self.begun:
            return
        block = self._head(status, [*head, (b"content-length", b"%d" % len(body))])
        self.begun = True
        write = self.connection.write
        if self.method == "HEAD":
            write(block)
        elif len(body) <= JOINED:
            write(block + body)
        else:
            write(block)
            write(body)
        self._finish()

    def begin(self, status: int, head: Iterable[tuple[bytes, bytes]]) -> None:
        """Begin an answer whose length is not known; its head goes out with the first piece."""
        if self.gone or self.begun:
            return
        if self._chunked:
            self._held = self._head(status, [*head, (b"transfer-encoding", b"chunked")])
        else:
            self._keep = False
            self._held = self._head(status, list(head))
        self.begun = True

    def write(self, piece: bytes) -> None:
        if self.gone or self.answered or not piece or self.method == "HEAD":
            return
        if self._chunked:
            piece = b"%b%x\r\n%b\r\n" % (self._held, len(piece), piece)
            self._held = b""
        elif self._held:
            piece = self._held + piece
            self._held = b""
        self.connection.write(piece)

    def end(self) -> None:
        if self.gone or self.answered:
            return
        last = self._held + (b"0\r\n\r\n" if self._chunked and self.method != "HEAD" else b"")
        if last:
            self._held = b""
            self.connection.write(last)
        self._finish()

    @property
    def stalled(self) -> bool:
        """The client does not take what it is sent."""
        return self.connection.full

    async def drain(self) -> None:
        """Return when more can be sent, or nobody is there any more."""
        while self.connection.full and not self.gone:
            await self._wait()

    def abort(self) -> None:
        """Close the connection at once, whatever has not been sent."""
        self.connection.transport.abort()

    def _head(self, status: int, lines: list[tuple[bytes, bytes]]) -> bytes:
        if not self._keep or (self._continues and not self._complete):
            self._keep = False
            lines.append((b"connection", b"close"))
        first = STATUS[status] + self.connection.server.date
        block = b"\r\n".join([first, *map(b": ".join, lines), b"\r\n"])
        if block.count(b"\n") != len(lines) + 3 or block.count(b"\r") != len(lines) + 3:
            raise ValueError("a line end in a header")
        return block

    def _finish(self) -> None:
        self.answered = True
        self.on_gone = None
        self._parts.clear()
        self.connection.finished(self)
