"""What a recorded request becomes on its way to an upstream, and what of it is lost.  Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Optional

from ccsetup.model import WireFormat
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.wire import additions, adjust, codec, passing, reasoning
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import BadRequest, Conversation, Dialect
from ccsetup.relay.wire.tools import ToolNames


class Explanation(NamedTuple):
    wire_in: WireFormat
    wire_out: WireFormat
    asked: str
    """The model that the client named."""
    model: str
    """The upstream's name of it."""
    body: bytes
    """The request as the upstream gets it; the client's own bytes where nothing had to change."""
    losses: tuple[tuple[str, str], ...]
    """Path in the client's request and what happens to it, in words."""


def explain(
    wire_in: WireFormat, body: bytes, upstream: Upstream, wire_out: WireFormat, model: str = "", *, thinks: bool = False
) -> Explanation:
    """Return what *upstream* gets in *wire_out* for a client's request in *wire_in*.

    *model*: its name of it, "" for what it says itself; *thinks*: thinking is switched on.

    BadRequest when *body* is no request of *wire_in*, or cannot be written.
    """
    dialect = upstream.dialect.get(wire_out, Dialect())
    if wire_in == wire_out:
        return _passed(wire_in, body, upstream, dialect, model, thinks=thinks)
    reader, writer = FORMATS[wire_in], FORMATS[wire_out]
    conversation = reader.read_request(body)
    model = model or upstream.model(conversation.model)
    filled = additions.to_conversation(conversation, upstream.defaults)
    filled = passing.thinking(filled, wire_out) if thinks else filled
    own = reasoning.for_upstream(filled, upstream.name).for_model(model)
    out, lost = writer.write_request(own, dialect, ToolNames.of(conversation))
    if upstream.extra_body:
        out = codec.dumps(additions.merged(codec.loads(out), upstream.extra_body))
    out = adjust.fitted(wire_out, out, dialect)
    sentences = [(loss.path, reader.LOSSES[loss.code]) for loss in conversation.losses]
    sentences += [(_named(loss.path, conversation), writer.LOSSES[loss.code]) for loss in lost]
    return Explanation(wire_in, wire_out, conversation.model, model, out, tuple(sentences))


def _named(path: str, conversation: Conversation) -> str:
    """Name a tool: by their number the client could not find those of a group."""
    found = re.match(r"tools\[(\d+)\]", path)
    if found is None:
        return path
    tool = conversation.tools[int(found[1])]
    return f"tools[{tool.namespace + '.' if tool.namespace else ''}{tool.name}]{path[found.end() :]}"


def _passed(
    wire: WireFormat, body: bytes, upstream: Upstream, dialect: Dialect, model: str, *, thinks: bool
) -> Explanation:
    try:
        given = codec.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("The request is not JSON.") from None
    if not isinstance(given, dict) or not isinstance(given.get("model"), str):
        raise BadRequest("The request names no model.", "model")
    asked = given["model"]
    model = model or upstream.model(asked)
    value: Optional[Mapping[str, Any]] = passing.changed(
        wire, body, lambda: given, dialect, upstream.defaults, upstream.extra_body, model if thinks else ""
    )
    if given.get("stream") is True and dialect.stream_usage and not passing.wants_usage(wire, given):
        value = passing.with_usage(given if value is None else value)
    if model != asked:
        value = {**(given if value is None else value), "model": model}
    try:
        out = body if value is None else codec.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise BadRequest("The request is nested too deep.") from None
    dull = thinks and wire == "chat" and not dialect.thinking_switch
    losses = (("model", FORMATS[wire].LOSSES["thinking"]),) if dull else ()
    return Explanation(wire, wire, asked, model, out, losses)


def losses() -> list[tuple[WireFormat, str, str]]:
    """Return (format, code, sentence) for everything that a translation may lose, as the manual shows it."""
    return [(wire, code, sentence) for wire, module in FORMATS.items() for code, sentence in module.LOSSES.items()]
