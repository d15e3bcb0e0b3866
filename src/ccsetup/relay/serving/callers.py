"""Who sends a request, as its headers tell, and which of them go on to upstreams."""

from __future__ import annotations

import asyncio
from typing import Optional
from urllib.parse import urlsplit

from ccsetup.relay.config import access as accessing
from ccsetup.relay.config.access import Access
from ccsetup.relay.http import packed
from ccsetup.relay.http.inbound import Headers, Inbound
from ccsetup.relay.serving.runtime import Lane, Runtime, forwarded
from ccsetup.relay.store import Spent
from ccsetup.relay.wire.messages import WireError


class Caller:
    """The headers of a request, understood once: the next request of a connection mostly has the same ones."""

    __slots__ = (
        "_lines", "access", "allowed", "budgeted", "claude_code", "client", "codex", "coding", "headers", "long",
        "name", "purpose", "refusal", "runtime", "stranger",
    )  # fmt: skip

    def __init__(self, headers: Headers, runtime: Runtime, access: Access, hosts: Optional[frozenset[str]]) -> None:
        """*hosts*: names that a Host header may carry; None: any."""
        self.headers = headers
        self.runtime = runtime
        self.access = access
        self.stranger = _guard(headers, hosts)
        """Why nobody with such headers gets anything here."""
        self.purpose = ""
        """As in a row of usage."""
        agent = next((v for n, v in headers if n == b"user-agent"), b"")
        self.codex = agent.startswith(b"codex")
        self.claude_code = agent.startswith((b"claude-code/", b"claude-cli/"))
        presented = b""
        for name, value in headers:
            if name == b"authorization" and value[:7].lower() == b"bearer ":
                presented = value[7:].strip()
            elif name == b"x-api-key" and not presented:
                presented = value.strip()
            elif name == b"user-agent" and b"ccsetup/" in value:  # of ``ccsetup test`` and ``relay check``
                self.purpose = "check"
        client = self.client = access.find(presented) if presented else None
        self.refusal = self.stranger
        """Why nothing but the state of the service is for this caller."""
        if self.refusal is None and client is None and not runtime.config.listen.keyless:
            said = "The key is not one of this relay's." if presented else "The relay needs a key."
            self.refusal = WireError("authentication", said + " Make one with: ccsetup relay key add NAME", 401)
        self.name = "" if client is None else client.name
        self.allowed = client.upstreams if client is not None and client.upstreams else None
        """Names of upstreams; None: all."""
        self.coding = next((v.strip().lower() for n, v in headers if n == b"content-encoding"), b"")
        """How the bodies are packed; b"" where they are as they are."""
        if self.coding == b"identity":
            self.coding = b""
        if self.refusal is None and self.coding:
            self.refusal = _packed(self.coding)
        self.long = any(n == b"anthropic-beta" and b"context-1m" in v for n, v in headers)
        """A larger window is asked for than the model usually has."""
        self.budgeted = client is not None and not client.free
        self._lines: dict[tuple[str, str, int, bool], tuple[tuple[bytes, bytes], ...]] = {}

    def late(self, now: float) -> Optional[WireError]:
        """Return the refusal of a key that has expired; *now* is Unix time."""
        client = self.client
        if client is None or client.expires is None:
            return None
        return accessing.refusal(client, Spent(), now) if now >= client.expires else None

    def lines(self, lane: Lane, key: int, *, same: bool, betas: bool) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers of a request to *lane* with its key of that index, which there must be."""
        place = (lane.upstream.name, lane.wire, key, betas)
        found = self._lines.get(place)
        if found is None:
            own = lane.heads[key]
            assert own is not None
            found = self._lines[place] = tuple(forwarded(self.headers, lane, own, same=same, betas=betas))
        return found


def _guard(headers: Headers, hosts: Optional[frozenset[str]]) -> Optional[WireError]:
    """Refuse what a web page made a browser send: a foreign Host (DNS rebinding) or Origin."""
    for name, value in headers:
        if name == b"host":
            if not _names(value, hosts):
                return WireError("permission", "The Host header names another server than this relay.", 403)
        elif name == b"origin" and not _names(value.partition(b"://")[2], hosts):
            return WireError("permission", "The relay takes no requests from web pages.", 403)
    return None


def _packed(coding: bytes) -> Optional[WireError]:
    """Refuse what cannot be unpacked here."""
    if coding not in packed.CODINGS:
        said = "The relay takes a Content-Encoding of zstd, gzip or deflate, and only one of them."
        return WireError("invalid_request", said, 415)
    if packed.missing(coding):
        return WireError("invalid_request", "For zstd the relay needs: pip install backports.zstd", 415)
    return None


async def body_of(inbound: Inbound, coding: bytes) -> bytes:
    """Return the body of a request, unpacked; BodyTooLarge, Malformed, Gone as ``Inbound.body``."""
    body = inbound.body_here()
    if body is None:
        body = await inbound.body()
    if not coding:
        return body
    # A small body can be made of very much.
    return await asyncio.to_thread(packed.unpack, body, coding, inbound.connection.server.max_body)


def _names(value: bytes, hosts: Optional[frozenset[str]]) -> bool:
    if hosts is None:
        return True
    text = value.decode("latin-1").lower()
    try:
        host = urlsplit("//" + text).hostname or ""
    except ValueError:
        return False
    return host in hosts
