"""The relay's HTTP client: what the rest of the relay knows of it.

``client`` implements it with asyncio protocols and httptools; the tests hold it against aiohttp behind the same
interface.  It follows no redirect, keeps no cookie, decompresses nothing, and does not read the environment.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol, Sequence

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""

NetworkFailure = Literal["connect", "tls", "first_byte", "idle", "cut", "protocol"]
"""How a request to an upstream may fail without an answer; ``first_byte`` and ``idle`` are limits of time."""

HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""Headers that concern one connection; besides them those that a Connection header names."""
OURS = frozenset((b"host", b"content-length", b"connection", b"transfer-encoding"))
"""Headers of a request that only the HTTP client sets."""


def without_named(headers: list[tuple[bytes, bytes]], connection: bytes) -> list[tuple[bytes, bytes]]:
    """Return *headers* without those that *connection*, the value of a Connection header, names."""
    named = {name.strip() for name in connection.lower().split(b",")} - {b"", b"close", b"keep-alive"}
    return [header for header in headers if header[0] not in named] if named else headers


class Origin(NamedTuple):
    """Where connections go, and through what; connections are shared among requests of the same origin."""

    scheme: Literal["http", "https"]
    host: str
    """As in the URL; an IPv6 address without brackets."""
    port: int
    proxy: str = ""
    """``http://[user:password@]host:port``; https goes through CONNECT."""
    connect_timeout: float = 10


class UpstreamError(Exception):
    """No answer, or no more of it; the text holds no key."""

    def __init__(self, kind: NetworkFailure, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class UpstreamAnswer(Protocol):
    """An answer whose head has come.  Bytes are read from the connection only as they are asked for (bounded)."""

    status: int
    headers: list[tuple[bytes, bytes]]
    """Names in lower case; without hop-by-hop headers."""
    taken: int
    """How much of the body was read: its bytes, and some more for each piece that came."""

    async def read(self) -> bytes:
        """Return the next bytes of the body as they came (never held back to fill a buffer), b"" at its end.

        Cancelling it loses nothing: the answer can be read on.  UpstreamError ``cut`` when the connection ended
        before the body did, ``protocol`` for broken framing.
        """
        ...

    def close(self) -> None:
        """Give the answer up; a connection whose body was not read to its end is closed.  May be called again."""
        ...


class HttpClient(Protocol):
    async def request(
        self, origin: Origin, method: bytes, target: bytes, headers: Headers, body: bytes
    ) -> UpstreamAnswer:
        """Send a request and return when the answer's head is there.

        *headers* are complete but for host, content-length and connection; ValueError when they hold one of these, or
        a line end.  A connection that turns out to be dead before the first byte of an answer, after it had served
        another request, is replaced once by a new one.
        Informational answers (1xx) are skipped.  Timeouts for the head and between reads are the caller's.
        Cancelling closes the connection.  UpstreamError: ``connect``, ``tls``, ``cut``, ``protocol``.
        """
        ...

    async def close(self) -> None: ...


class Counts(NamedTuple):
    open: int
    idle: int
