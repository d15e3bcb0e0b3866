"""A bounded HTTP/1.1 exchange, each step of it timed and named.

asyncio streams and h11 (which httpx reads answers with, too): one connection carries the steps of ``reach`` and every
request after them, nothing but this module and ``dial`` opens connections, and a first request costs 40 ms
of CPU where httpx needs 110.

What a server can do ends here: a body has at most *limit* bytes, compressed or not, a head 64 KB, and every wait is
under a deadline of the caller's.  Redirects are answers like any other: nothing is ever sent to another host.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from typing import Any, AsyncIterator, Mapping, NamedTuple, Optional, Sequence
from urllib.parse import urlsplit

import h11

from ccsetup import sockets
from ccsetup.i18n import _
from ccsetup.probe.coding import Unpacking
from ccsetup.probe.dial import Dialler, Link, basic, proxy_refuses
from ccsetup.probe.network import CODINGS, Fault, ForwardProxy, Network

LIMIT = 1 << 20
"""Bytes of a body."""


class HttpReply(NamedTuple):
    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes
    cut: bool
    """The body went on beyond the limit."""
    first_byte: float
    """Seconds from the request to the answer's head."""
    proxy: Optional[ForwardProxy] = None
    """The proxy that the answer came through, or that gave it."""
    coding: str = ""
    """How the body came compressed: in codings of CODINGS, or in one of their ways; "" where it did not."""
    unpacked: bool = True
    """False: it is not (all) in ``body``, because it is broken, or compressed in a way that is not known here."""

    def header(self, name: str) -> str:
        return next((v for n, v in self.headers if n == name), "")


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        self.reader = reader
        self.writer = writer
        self.link = link
        self.h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=sockets.HEAD_LIMIT)
        self.used = False

    def close(self) -> None:
        self.writer.transport.abort()


class Http:
    """The connections of one target."""

    def __init__(self, network: Network, environ: Mapping[str, str]) -> None:
        self._dialler = Dialler(network, environ)
        self._idle: dict[str, _Connection] = {}

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for connection in self._idle.values():
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)

    async def reach(self, url: str) -> Link:
        """Connect to *url*'s host and keep the connection; Fault says what does not work."""
        origin, _target = split(url)
        connection = self._idle.get(origin)
        if connection is None:
            connection = self._idle[origin] = await self.connect(url)
        return connection.link

    async def request(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b"", *, limit: int = LIMIT
    ) -> HttpReply:
        """Send one request and return its answer, whatever its status; Fault when there is none."""
        async with self.open(method, url, headers, body) as stream:
            parts: list[bytes] = []
            size, cut = 0, False
            async for chunk in stream:
                parts.append(chunk)
                size += len(chunk)
                if size > limit:
                    cut = True
                    break
            proxy = stream.link.proxy
            if stream.status == 407 and proxy is not None:
                raise proxy_refuses(proxy, urlsplit(url).hostname or "", 407)
            data = b"".join(parts)[:limit]
            return HttpReply(
                stream.status, stream.headers, data, cut, stream.first_byte, proxy, stream.coding, stream.unpacked
            )

    def open(self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> HttpStream:
        """Return the exchange as an async context manager, whose body comes in pieces."""
        return HttpStream(self, method, url, headers, body)

    async def connect(self, url: str) -> _Connection:
        return _Connection(*await self._dialler.connect(url))

    def take(self, origin: str) -> Optional[_Connection]:
        return self._idle.pop(origin, None)

    def keep(self, origin: str, connection: _Connection) -> None:
        if origin in self._idle:
            connection.close()
        else:
            self._idle[origin] = connection


class HttpStream:
    """One exchange: ``async with`` sends the request and reads the head, ``async for`` reads the body."""

    def __init__(self, http: Http, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self._http = http
        self._method = method
        self._url = url
        self._headers = headers
        self._body = body
        self._origin, self._target = split(url)
        self._connection: Optional[_Connection] = None
        self._done = False
        self._start = 0.0
        self.status = 0
        self.link = Link({}, None, ())
        self.headers: tuple[tuple[str, str], ...] = ()
        self.first_byte = 0.0
        self.coding = ""
        self.unpacked = True

    async def __aenter__(self) -> HttpStream:
        kept = self._http.take(self._origin)
        if kept is not None and kept.used:
            # The server may have ended a kept connection meanwhile: then a new one is tried, once.
            try:
                await self._begin(kept)
                return self
            except Fault as e:
                kept.close()
                if e.kind != "closed":
                    raise
            except BaseException:
                kept.close()
                raise
            kept = None
        connection = kept or await self._http.connect(self._url)
        try:
            await self._begin(connection)
        except BaseException:
            connection.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._done and connection.h11.our_state is h11.DONE and connection.h11.their_state is h11.DONE:
            connection.h11.start_next_cycle()
            self._http.keep(self._origin, connection)
        else:
            connection.close()

    async def _begin(self, connection: _Connection) -> None:
        self._connection = connection
        self.link = connection.link
        connection.used = True
        parts = urlsplit(self._url)
        target = self._target
        headers = [("host", parts.netloc.rpartition("@")[2]), *self._headers]
        via = connection.link.proxy
        if via and parts.scheme == "http":
            target = f"{self._origin}{self._target}"
            if via.authorization:
                headers.append(("proxy-authorization", basic(via).decode("ascii")))
        if self._body or self._method != "GET":
            headers.append(("content-length", str(len(self._body))))
        try:
            request = h11.Request(
                method=self._method,
                target=target.encode("ascii", "strict"),
                headers=[(n.encode("ascii"), v.encode("latin-1")) for n, v in headers],
            )
        except (h11.LocalProtocolError, UnicodeError):
            # The message of these exceptions would repeat the header, which may hold the key.
            raise Fault(
                "config", "header", _("A header or the address has characters that HTTP cannot carry.")
            ) from None
        self._start = time.perf_counter()
        try:
            data = connection.h11.send(request) or b""
            if self._body:
                data += connection.h11.send(h11.Data(data=self._body)) or b""
            connection.writer.write(data + (connection.h11.send(h11.EndOfMessage()) or b""))
            await connection.writer.drain()
        except (ConnectionError, OSError):
            pass  # an answer may have been sent before the connection was ended
        informational = 0
        while True:
            event = await self._event(connection)
            if isinstance(event, h11.InformationalResponse):
                informational += 1
                if informational > 10 or event.status_code == 101:
                    raise Fault("wire", "protocol", _("The answer is not HTTP as it should be."))
                continue
            if isinstance(event, h11.Response):
                self.status = event.status_code
                self.headers = tuple((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in event.headers)
                self.first_byte = time.perf_counter() - self._start
                coding = ", ".join(v.strip() for n, v in self.headers if n == "content-encoding")
                self.coding = coding if all(c.strip().lower() in CODINGS for c in coding.split(",")) else ""
                return
            raise _closed()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces without its compression; nothing that cannot be unpacked."""
        if not self.coding:
            async for data in self._pieces():
                yield data
            return
        packed = Unpacking(self.coding)
        async for data in self._pieces():
            for piece in packed.feed(data):
                yield piece
        packed.end()
        self.coding, self.unpacked = packed.coding, packed.good

    async def _pieces(self) -> AsyncIterator[bytes]:
        connection = self._connection
        assert connection is not None
        while True:
            event = await self._event(connection)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._done = True
                return
            else:
                raise _cut()

    async def _event(self, connection: _Connection) -> Any:
        while True:
            try:
                event = connection.h11.next_event()
            except h11.RemoteProtocolError as e:
                if connection.h11.their_state is h11.ERROR and "without sending complete" in str(e):
                    raise _cut() from None
                text = str(e).lower()
                if "closed" in text or "incomplete" in text:
                    raise (_cut() if self.status else _closed()) from None
                raise Fault(
                    "wire",
                    "protocol",
                    _("The answer is not HTTP as it should be."),
                    _("Is this the address of an API? Something else seems to listen there."),
                ) from None
            if event is h11.NEED_DATA:
                try:
                    data = await connection.reader.read(1 << 16)
                except ssl.SSLError:
                    data = b""
                except (ConnectionError, OSError):
                    raise (_cut() if self.status else _closed()) from None
                connection.h11.receive_data(data)
                continue
            if isinstance(event, h11.ConnectionClosed) and not self.status:
                raise _closed()
            return event


def split(url: str) -> tuple[str, str]:
    """Return the origin (``https://host:port``) and the request target (path and query) of *url*."""
    parts = urlsplit(url)
    path = parts.path or "/"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}", path + (
        "?" + parts.query if parts.query else ""
    )


def _closed() -> Fault:
    return Fault(
        "unreachable",
        "closed",
        _("The connection was ended without an answer."),
        _("Try again; if it stays, a firewall or a proxy may be ending it."),
    )


def _cut() -> Fault:
    return Fault(
        "wire",
        "cut",
        _("The answer ended in the middle."),
        _("Try again; if it stays, something between here and the provider cuts answers off."),
    )
