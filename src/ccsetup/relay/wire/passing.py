"""A request for an upstream of the client's own format: as few changes as configuration and endpoint ask for.  Pure."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ccsetup.model import WireFormat
from ccsetup.relay.wire import additions, adjust, codec, reasoning
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import Conversation, Dialect, Thinking
from ccsetup.relay.wire.tools import ToolNames

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
    thinks: str = "",
) -> Optional[Mapping[str, Any]]:
    """Return the request as the endpoint is to get it, but for the model; None where *body* can go as it is.

    *thinks*: the endpoint's name of the model that is to think.  BadRequest then, when *body* is not of its format.
    """
    out: Optional[Mapping[str, Any]] = None
    if thinks:
        out = with_thinking(wire, value(), dialect, thinks)
    if defaults or extra:
        out = additions.merged(additions.to_body(wire, value() if out is None else out, defaults, dialect), extra)
    if dialect.said:
        out = adjust.fit(wire, out if out is not None else value(), dialect)
    if _MARK in body:
        out = adjust.without_reasoning(wire, out if out is not None else value(), ours_only=True)
    if wire == "anthropic" and not dialect.system_between and b'"system"' in body:
        out = adjust.system_in_front(wire, out if out is not None else value())
    return None if out is None or out is value() else out


_SWITCHES: Mapping[WireFormat, tuple[str, ...]] = {
    "anthropic": ("thinking", "output_config", "max_tokens", "temperature", "top_p", "top_k"),
    "responses": ("reasoning", "temperature", "top_p"),
    "chat": ("thinking", "enable_thinking", "thinking_budget", "reasoning", "reasoning_effort"),
}
"""Members with which thinking is switched, or that depend on it."""
_SHARED = ("output_config", "reasoning")
_SWITCHED = ("effort", "enabled", "max_tokens")
"""Those that say other things besides, and what in them is about thinking."""
_ROOM = 2048
"""Tokens of an answer from which a part can be thought: Anthropic takes no budget below 1024."""


def thinking(conversation: Conversation, wire: WireFormat) -> Conversation:
    """Return *conversation* for an upstream in *wire* whose model is to think, as much as its client said."""
    said, effort, limit = conversation.thinking, conversation.effort, conversation.max_tokens
    if said.mode != "disabled" if said is not None else effort not in ("", "none"):
        return conversation
    if wire == "anthropic":  # its models have an effort by themselves, but thinking needs room
        more = _ROOM if limit is not None and limit < _ROOM else 0
        return conversation._replace(
            thinking=Thinking("adaptive", display="summarized"), effort="", max_tokens=limit and limit + more
        )
    return conversation._replace(thinking=Thinking("adaptive", display="summarized"), effort="medium")


def with_thinking(wire: WireFormat, value: Mapping[str, Any], dialect: Dialect, model: str) -> Mapping[str, Any]:
    """Return the request *value* with thinking switched on, as the writer of its format does it."""
    conversation = FORMATS[wire].read_request(value).for_model(model)
    thinks = thinking(conversation, wire)
    if thinks is conversation:
        return value
    written, _losses = FORMATS[wire].write_request(thinks, dialect, ToolNames.of(conversation))
    new = codec.loads(written)
    out = {name: given for name, given in value.items() if name not in _SWITCHES[wire]}
    for name in _SWITCHES[wire]:
        given = value.get(name) if name in _SHARED else None
        kept = {k: v for k, v in given.items() if k not in _SWITCHED} if isinstance(given, dict) else {}
        if kept:
            out[name] = {**kept, **new.get(name, {})}
        elif name in new:
            out[name] = new[name]
    return out


def wants_usage(wire: WireFormat, value: Mapping[str, Any]) -> bool:
    """Whether the client of the request *value* wants to be told the usage of a stream: only Chat lets it choose."""
    options = value.get("stream_options")
    return wire != "chat" or (isinstance(options, dict) and options.get("include_usage") is True)


def with_usage(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a request of Chat for a stream that tells its usage; as ``USAGE`` where it has no options of a stream."""
    options = value.get("stream_options")
    return {**value, "stream_options": {**(options if isinstance(options, dict) else {}), "include_usage": True}}
