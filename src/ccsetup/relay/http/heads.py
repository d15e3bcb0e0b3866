"""The heads of requests to upstreams, as bytes."""

from __future__ import annotations

from ccsetup.relay.http.base import OURS, Headers, Origin
from ccsetup.relay.http.dial import authority, proxy_of

KEPT = 256
"""Heads of requests to one origin that are remembered."""

_BODY_METHODS = frozenset((b"POST", b"PUT", b"PATCH"))


class RequestHeads:
    """Made once, for all requests to *origin*; those that were sent are remembered."""

    __slots__ = ("after", "ends", "known", "prefix")

    def __init__(self, origin: Origin) -> None:
        host = authority(origin.host, origin.port, 443 if origin.scheme == "https" else 80)
        self.prefix = b""
        """Stands before the target."""
        self.after = b" HTTP/1.1\r\nhost: " + host
        """Stands after it."""
        proxy = proxy_of(origin)
        if proxy is not None and origin.scheme == "http":
            self.prefix = b"http://" + host
            if proxy.authorization:
                self.after += b"\r\nproxy-authorization: " + proxy.authorization
        self.ends = self.after.count(b"\n") + 1
        self.known: dict[tuple[bytes, bytes, Headers], bytes] = {}
        """Heads that were sent, by what they were made of: most requests of an agent have the same one."""

    def of(self, method: bytes, target: bytes, headers: Headers, size: int) -> bytes:
        place = (method, target, tuple(headers))
        block = self.known.get(place)
        if block is None:
            block = self._head(method, target, headers)
            if len(self.known) >= KEPT:
                self.known.clear()
            self.known[place] = block
        if size or method in _BODY_METHODS:
            return b"%bcontent-length: %d\r\n\r\n" % (block, size)
        return block + b"\r\n"

    def _head(self, method: bytes, target: bytes, headers: Headers) -> bytes:
        """Return the head but for the length and the last line."""
        for header in headers:
            if header[0] in OURS:
                raise ValueError("a header that the HTTP client sets")
        first = b"%b %b%b%b" % (method, self.prefix, target, self.after)
        block = b"\r\n".join([first, *map(b": ".join, headers), b""])
        # A line end more than those written here came from the caller.
        ends = self.ends + len(headers)
        if block.count(b"\n") != ends or block.count(b"\r") != ends or b"\0" in block:
            raise ValueError("a line end in a header")
        if b" " in target or b" " in method:
            raise ValueError("a space in the target")
        return block
