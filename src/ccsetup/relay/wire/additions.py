"""What a configuration adds to a request where its client said nothing.  Pure.

A member that is null says nothing.  Where nothing is added, the very same object comes back.
"""

from __future__ import annotations

from typing import Any, Mapping, Union

from ccsetup.model import WireFormat
from ccsetup.relay.wire.messages import Conversation, Dialect

Defaults = Mapping[str, Union[int, float]]
"""temperature, top_p, max_tokens."""

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


def to_conversation(conversation: Conversation, defaults: Defaults) -> Conversation:
    """Return *conversation*, whose writer knows which of the *defaults* an upstream takes."""
    if not defaults:
        return conversation
    missing: dict[str, Any] = {name: value for name, value in defaults.items() if getattr(conversation, name) is None}
    return conversation._replace(**missing) if missing else conversation


def to_body(wire: WireFormat, body: Mapping[str, Any], defaults: Defaults, dialect: Dialect) -> Mapping[str, Any]:
    """Return *body*, a request in *wire*, with *defaults*.

    A model of Messages that thinks takes neither temperature nor top_p but 1.
    """
    thinking = body.get("thinking") if wire == "anthropic" else None
    thinks = isinstance(thinking, dict) and thinking.get("type") != "disabled"
    limit = {"anthropic": "max_tokens", "responses": "max_output_tokens", "chat": dialect.max_tokens_field}[wire]
    more = {}
    for name, value in defaults.items():
        if name != "max_tokens":
            if not thinks and body.get(name) is None:
                more[name] = value
        elif all(body.get(one) is None for one in _LIMITS):
            more[limit] = value
    return {**body, **more} if more else body


def merged(body: Mapping[str, Any], extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *body* with the members of *extra* that it has not, inside of objects, too."""
    more = {}
    for name, value in extra.items():
        given = body.get(name)
        if given is None:
            more[name] = value
        elif isinstance(given, dict) and isinstance(value, dict):
            inside = merged(given, value)
            if inside is not given:
                more[name] = inside
    return {**body, **more} if more else body
