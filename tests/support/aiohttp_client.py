"""The relay's HTTP client on aiohttp: another opinion for the tests of the relay's own.

It is less strict with servers that break the rules: it does not notice bytes that follow an answer, and
takes a connection that breaks for the end of a body that lasts until the connection closes.
"""

from __future__ import annotations

import asyncio
import io
import re
import ssl
from types import SimpleNamespace
from typing import Any, Optional, Union

import aiohttp
from yarl import URL

from ccsetup.relay.http.base import HOP_BY_HOP, OURS, Headers, NetworkFailure, Origin, UpstreamError, without_named
from ccsetup.relay.http.dial import authority, proxy_of, trust
from ccsetup.sockets import HEAD_LIMIT

IDLE_SECONDS = 30.0
WHOLE = 1 << 20
"""Bytes of a request's body that aiohttp sends in one piece."""

_UNSOUND = re.compile(rb"[\r\n\0]")
_BODY_METHODS = frozenset((b"POST", b"PUT", b"PATCH"))
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Answer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: list[tuple[bytes, bytes]] = []
        named = b""
        length = encoding = b""
        for name, value in response.raw_headers:
            name = name.lower()
            if name == b"connection":
                named += b"," + value
            elif name == b"transfer-encoding":
                encoding += b"," + value.strip().lower()
            elif name == b"content-length":
                length += b"," + value
            if name not in HOP_BY_HOP:
                self.headers.append((name, value))
        if encoding not in (b"", b",chunked") or (encoding and length) or length.count(b",") > 1:
            raise UpstreamError("protocol", "the upstream's answer does not say clearly how long it is")
        if self.status < 200:
            raise UpstreamError("protocol", f"the upstream answered with status {self.status}")
        if named:
            self.headers = without_named(self.headers, named)
        self._failure: Optional[tuple[NetworkFailure, str]] = None

    async def read(self) -> bytes:
        if self._failure is None:
            try:
                return await self._response.content.readany()
            except (aiohttp.ClientError, OSError) as e:
                self._failure = _lost(e)
                self._response.close()
        raise UpstreamError(*self._failure)

    def close(self) -> None:
        if self._failure is None and not self._response.content.at_eof():
            self._failure = ("cut", "the answer was given up")
            self._response.close()


class Aiohttp:
    """A ``base.HttpClient``.  It belongs to the event loop that makes its first request."""

    def __init__(self, context: Optional[ssl.SSLContext] = None) -> None:
        self._context = context
        self._session: Optional[aiohttp.ClientSession] = None

    async def request(self, origin: Origin, method: bytes, target: bytes, headers: Headers, body: bytes) -> Answer:
        if _UNSOUND.search(target) or b" " in target or b" " in method:
            raise ValueError("a space or a line end in the target")
        lines = []
        for name, value in headers:
            if name in OURS or _UNSOUND.search(name) or _UNSOUND.search(value):
                raise ValueError("a line end in a header, or one that the HTTP client sets")
            lines.append((_text(name), _text(value)))
        proxy_of(origin)  # says what is wrong with it
        name = authority(origin.host, origin.port)
        url = URL(f"{origin.scheme}://{name.decode()}{_text(target)}", encoded=True)
        session = self._session or self._start()
        for last in (False, True):
            data: Union[bytes, io.BytesIO, None] = None
            if body or method in _BODY_METHODS:
                data = body if len(body) < WHOLE else io.BytesIO(body)
            trace = SimpleNamespace(reused=False)
            try:
                response = await session.request(
                    method.decode(),
                    url,
                    headers=lines,
                    data=data,
                    allow_redirects=False,
                    proxy=origin.proxy or None,
                    ssl=self._trusted() if origin.scheme == "https" else True,
                    timeout=aiohttp.ClientTimeout(total=None, connect=origin.connect_timeout or None),
                    trace_request_ctx=trace,
                )
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as e:
                error = _unmade(e)
                if last or not trace.reused or error.kind != "cut" or _heard(e):
                    raise error from None
            except (aiohttp.ClientError, OSError, ValueError) as e:
                raise _unmade(e) from None
            else:
                break
        try:
            return Answer(response)
        except UpstreamError:
            response.close()
            raise

    def _start(self) -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()

        async def reused(_session: Any, context: SimpleNamespace, _params: Any) -> None:
            context.trace_request_ctx.reused = True

        tracing.on_connection_reuseconn.append(reused)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            skip_auto_headers=_AUTOMATIC,
            max_line_size=HEAD_LIMIT,
            max_field_size=HEAD_LIMIT,
            trace_configs=[tracing],
        )
        return self._session

    def _trusted(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = trust()
        return self._context

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)
            self._session = None


def _text(data: bytes) -> str:
    try:
        return data.decode()  # aiohttp writes UTF-8
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _heard(e: Exception) -> bool:
    """Return whether a part of an answer came before the connection ended."""
    return isinstance(e, aiohttp.ServerDisconnectedError) and not isinstance(e.message, str)


def _unmade(e: Exception) -> UpstreamError:
    """Return what kept an answer from beginning."""
    if isinstance(e, (aiohttp.ClientSSLError, ssl.SSLError)):
        return UpstreamError("tls", "no TLS with the upstream: " + _reason(e))
    if isinstance(e, (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError, aiohttp.InvalidURL)):
        return UpstreamError("connect", "no connection to the upstream: " + _reason(e))
    if isinstance(e, TimeoutError):
        return UpstreamError("connect", "no connection to the upstream in time")
    if isinstance(e, aiohttp.ClientResponseError):
        return UpstreamError("protocol", "the upstream's answer is not sound HTTP")
    return UpstreamError("cut", "the upstream ended the connection before its answer")


def _lost(e: Exception) -> tuple[NetworkFailure, str]:
    """Return what kept an answer from going on."""
    cause = e.__cause__
    if isinstance(cause, aiohttp.http_exceptions.TransferEncodingError) and cause.message.startswith("Not enough"):
        cause = None
    if isinstance(cause, aiohttp.http_exceptions.HttpProcessingError) and not isinstance(
        cause, aiohttp.http_exceptions.ContentLengthError
    ):
        return ("protocol", "the upstream's answer is not sound HTTP")
    return ("cut", "the upstream ended the connection in the middle of its answer")


def _reason(e: Exception) -> str:
    inner = getattr(e, "os_error", None) or getattr(e, "certificate_error", None) or e
    return getattr(inner, "verify_message", None) or getattr(inner, "strerror", None) or type(inner).__name__
