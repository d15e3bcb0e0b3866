"""What a configuration means for requests, worked out once: addresses, header lines and keys of every upstream."""

from __future__ import annotations

from functools import lru_cache
from typing import Mapping, NamedTuple, Optional
from urllib.parse import quote, urlsplit

from ccsetup.model import Secret, WireFormat
from ccsetup.relay.config.model import Config, Upstream
from ccsetup.relay.config.secrets import UpstreamKeys
from ccsetup.relay.http.base import Origin
from ccsetup.relay.routing.choice import Choice
from ccsetup.relay.wire.messages import Dialect

NEVER = float("inf")
"""Seconds."""

_TARGETS: Mapping[str, str] = {
    "anthropic": "/v1/messages",
    "responses": "/responses",
    "chat": "/chat/completions",
}
_FORWARD = frozenset(
    name.encode()
    for name in (
        "user-agent",
        "accept",
        "anthropic-version",
        "x-app",
        "originator",
        "session_id",
        "conversation_id",
        "openai-beta",
        "version",
    )
)
"""Headers of a client that its upstream sees when both speak one format.  No credential, no cookie is among them."""
_FORWARD_BEGINS = (b"x-stainless-", b"x-claude-code-")


class Lane(NamedTuple):
    """One upstream in one wire format."""

    upstream: Upstream
    wire: WireFormat
    origin: Origin
    target: bytes
    """Path of the requests."""
    heads: tuple[Optional[tuple[tuple[bytes, bytes], ...]], ...]
    """Header lines by key; None for a key that could not be read.  Without keys there is one entry."""
    dialect: Dialect
    first_byte: float
    """Seconds, as the next two; infinite where there is no limit."""
    idle: float
    total: float


class Runtime(NamedTuple):
    """A configuration in use.  Requests keep the one they began with."""

    config: Config
    lanes: Mapping[tuple[str, str], Lane]
    secrets: tuple[str, ...]
    """All key texts, for masking."""
    problems: tuple[str, ...]
    missing: Mapping[str, tuple[int, ...]] = {}
    """Keys by upstream and index that could not be read."""

    def lane(self, choice: Choice) -> Lane:
        return self.lanes[choice.upstream.name, choice.wire]


def build(config: Config, keys: UpstreamKeys, environ: Mapping[str, str]) -> Runtime:
    """Return the runtime of *config*; *environ* names proxies where the configuration leaves that to it."""
    lanes: dict[tuple[str, str], Lane] = {}
    secrets: list[str] = []
    for upstream in config.upstreams:
        own = keys.by_upstream.get(upstream.name, ())
        secrets += [key.reveal() for key in own if key is not None]
        for wire, url in upstream.endpoints.items():
            lanes[upstream.name, wire] = _lane(upstream, wire, url, own, environ)
    missing = {name: tuple(i for i, key in enumerate(own) if key is None) for name, own in keys.by_upstream.items()}
    return Runtime(config, lanes, tuple(secrets), keys.problems, missing)


def _lane(
    upstream: Upstream, wire: WireFormat, url: str, keys: tuple[Optional[Secret], ...], environ: Mapping[str, str]
) -> Lane:
    parts = urlsplit(url)
    https = parts.scheme == "https"
    host = parts.hostname or ""
    port = parts.port or (443 if https else 80)
    proxy = _proxy(upstream, https, host, port, environ)
    origin = Origin("https" if https else "http", host, port, proxy, upstream.timeouts.connect)
    heads = (
        tuple(None if key is None else _head(upstream, wire, key) for key in keys)
        if upstream.keys
        else (_head(upstream, wire, None),)
    )
    target = (parts.path.rstrip("/") + _TARGETS[wire]).encode()
    dialect = upstream.dialect.get(wire, Dialect())
    limits = (seconds or NEVER for seconds in upstream.timeouts[1:])
    return Lane(upstream, wire, origin, target, heads, dialect, *limits)


def _proxy(upstream: Upstream, https: bool, host: str, port: int, environ: Mapping[str, str]) -> str:
    if upstream.proxy:
        return "" if upstream.proxy == "none" else upstream.proxy
    if host in ("localhost", "::1") or host.startswith("127."):
        return ""
    from ccsetup.probe import network

    found = network.usual("https" if https else "http", host, port, environ).proxy
    if found is None:
        return ""
    user = found.authorization
    name, _colon, password = (user.reveal() if user else "").partition(":")
    login = f"{quote(name, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{found.scheme}://{login}{found.host}:{found.port}"


def _head(upstream: Upstream, wire: WireFormat, key: Optional[Secret]) -> tuple[tuple[bytes, bytes], ...]:
    lines: list[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        (b"accept-encoding", b"identity"),
    ]
    if key is not None:
        text = key.reveal().encode()
        if wire == "anthropic" and upstream.auth == "x-api-key":
            lines.append((b"x-api-key", text))
        else:
            lines.append((b"authorization", b"Bearer " + text))
    lines += [(name.lower().encode(), value.encode()) for name, value in upstream.headers.items()]
    return tuple(lines)


def forwarded(
    headers: list[tuple[bytes, bytes]], lane: Lane, own: tuple[tuple[bytes, bytes], ...], *, same: bool, betas: bool
) -> list[tuple[bytes, bytes]]:
    """Return *own* and those of the client's *headers* that the upstream may see; *same*: no translation.

    *betas*: ``anthropic-beta`` too, with the members that belong to it (``adjust.fit`` removes both together).
    """
    lines = list(own)
    configured = {name.lower().encode() for name in lane.upstream.headers} if lane.upstream.headers else ()
    for line in headers:
        name = line[0]
        if name in configured:
            continue
        if name == b"user-agent" or (same and _may_pass(name)):
            lines.append(line)
        elif name == b"anthropic-beta" and same and betas and lane.wire == "anthropic":
            # What tells of the client's own subscription is between the client and this relay.
            told = b",".join(v for v in line[1].split(b",") if not v.strip().startswith(b"oauth-"))
            if told:
                lines.append((name, told))
    if lane.wire == "anthropic" and not any(name == b"anthropic-version" for name, _value in lines):
        lines.append((b"anthropic-version", b"2023-06-01"))
    return lines


@lru_cache(512)
def _may_pass(name: bytes) -> bool:
    return name in _FORWARD or name.startswith(_FORWARD_BEGINS)
