"""A request for an upstream of the client's own format: as few changes as configuration and endpoint ask for.  Pure."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ccsetup.model import WireFormat
from ccsetup.relay.wire import additions, adjust, reasoning
from ccsetup.relay.wire.messages import Dialect

USAGE = b'"stream_options":{"include_usage":true}'
_MARK = reasoning.PREFIX.encode()

Value = Callable[[], Mapping[str, Any]]
"""Returns the body, parsed: it is only called where the body has to be looked at.  Nobody changes it."""


def changed(
    wire: WireFormat,
    body: bytes,
    value: Value,
    dialect: Dialect,
    defaults: additions.Defaults,
    extra: Mapping[str, Any],
) -> Optional[Mapping[str, Any]]:
    """Return the request as the endpoint is to get it, but for the model; None where *body* can go as it is."""
    out: Optional[Mapping[str, Any]] = None
    if defaults or extra:
        out = additions.merged(additions.to_body(wire, value(), defaults, dialect), extra)
    if dialect.said:
        out = adjust.fit(wire, out if out is not None else value(), dialect)
    if _MARK in body:
        out = adjust.without_reasoning(wire, out if out is not None else value(), ours_only=True)
    if wire == "anthropic" and not dialect.system_between and b'"system"' in body:
        out = adjust.system_in_front(wire, out if out is not None else value())
    return None if out is None or out is value() else out


def wants_usage(wire: WireFormat, value: Mapping[str, Any]) -> bool:
    """Whether the client of the request *value* wants to be told the usage of a stream: only Chat lets it choose."""
    options = value.get("stream_options")
    return wire != "chat" or (isinstance(options, dict) and options.get("include_usage") is True)


def with_usage(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a request of Chat for a stream that tells its usage; as ``USAGE`` where it has no options of a stream."""
    options = value.get("stream_options")
    return {**value, "stream_options": {**(options if isinstance(options, dict) else {}), "include_usage": True}}
