"""uvicorn's HTTP protocol with the bounds that it leaves out: size of a request's head, time to send it; and with a
call when the client goes away, so that nobody has to wait for that."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Callable, Iterable, Iterator, Optional, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

MAX_HEAD = 64 * 1024
"""Bytes of a request's line and headers."""
HEAD_SECONDS = 30.0
"""A connection that has not sent a whole head by then is closed."""

CONNECTION = "ccsetup.connection"
"""Where a request's scope has its protocol."""


class _Joining:
    """A transport that sends an answer's head together with what follows it: one system call instead of two."""

    __slots__ = ("_held", "_loop", "_transport", "_write")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._write = transport.write
        self._loop = loop
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
            self._write(data)
        elif data.startswith(b"HTTP/1.1 ") and data.endswith(b"\r\n\r\n"):
            self._held = data
            self._loop.call_soon(self._flush)  # in case nothing follows
        else:
            self._write(data)

    def _flush(self) -> None:
        if self._held:
            data, self._held = self._held, b""
            self._write(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()


class GuardedProtocol(HttpToolsProtocol):
    on_lost: Optional[Callable[[], None]] = None
    """Called once when the connection ends while a request is running."""
    _in_head = True
    _size = 0
    """Bytes of the head that is on its way."""
    _timer: Optional[asyncio.TimerHandle] = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, _Joining(cast(asyncio.Transport, transport), self.loop)))
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Optional[Exception]) -> None:
        self._stop_timer()
        super().connection_lost(exc)
        lost, self.on_lost = self.on_lost, None
        if lost is not None:
            lost()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            # Counted here and not in the parser's callbacks: a header that never ends reaches none.
            self._size += len(data)
            if self._size > MAX_HEAD:
                if not self.transport.is_closing():
                    self.send_400_response("The head of the request is too large.")
            elif self._timer is None:
                self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._size = 0
        cast(dict[str, Any], self.scope)[CONNECTION] = self

    def on_headers_complete(self) -> None:
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD:
            raise ValueError("the head of the request is too large")  # it came in one piece
        self._in_head = False
        if self._timer is not None:
            self._stop_timer()
        super().on_headers_complete()

    def _too_slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def stalled(self) -> bool:
        """The client does not take what it is sent."""
        return bool(self.flow.write_paused)


def body(receive: Any) -> Optional[bytes]:
    """Return the body of a request that is here already, if *receive* is uvicorn's; None: ask *receive* for it."""
    cycle = getattr(receive, "__self__", None)
    if not isinstance(cycle, RequestResponseCycle) or cycle.more_body or cycle.disconnected:
        return None
    data, cycle.body = bytes(cycle.body), bytearray()
    return data


def answer(send: Any, status: int, head: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
    """Write a whole answer at once, if *send* is uvicorn's and nothing stands against it; else return False.

    It does what two calls of *send* would do, in half the time.  *head* has the length, and no line ends.
    """
    cycle = getattr(send, "__self__", None)
    if (
        not isinstance(cycle, RequestResponseCycle)
        or cycle.response_started
        or cycle.disconnected
        or cycle.flow.write_paused
        or not cycle.keep_alive
        or cycle.scope["method"] == "HEAD"
    ):
        return False
    lines = [STATUS_LINE[status]]
    for name, value in cycle.default_headers:
        lines += (name, b": ", value, b"\r\n")
    for name, value in head:
        lines += (name, b": ", value, b"\r\n")
    lines += (b"\r\n", body)
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join(lines))
    cycle.message_event.set()
    cycle.on_response()
    return True


def connection(scope: Any) -> Optional[GuardedProtocol]:
    """Return the protocol of a request; None under another server."""
    found = scope.get(CONNECTION)
    return found if isinstance(found, GuardedProtocol) else None


class QuietServer(uvicorn.Server):
    """uvicorn without its own signal handlers: the relay has some of its own."""

    on_started: Optional[Callable[[], None]] = None
    """Called once when requests are taken."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: Optional[list[socket.socket]] = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_started is not None:
            self.on_started()
