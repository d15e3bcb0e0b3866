"""What routing needs to know of a request, and the smallest changes of its bytes."""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Any, Iterator, Mapping, NamedTuple, Optional

from ccsetup.model import WireFormat
from ccsetup.relay.wire import codec
from ccsetup.relay.wire.messages import BadRequest

ID_LIMIT = 128
"""Characters of a conversation's id that is taken as the client gave it; a longer one is hashed."""
HASHED = 16 << 10
"""Characters of each text that make up the id of a conversation that has none."""

_SPACE = rb"[ \t\n\r]*+"
_STRING = rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")'
_FIRST = re.compile(
    _SPACE + rb"\{" + _SPACE + rb'"model"' + _SPACE + b":" + _SPACE + _STRING + _SPACE + b"," + _SPACE + rb'(?=")', re.S
)
"""The beginning of an object whose first member is the model and not the only one: Claude Code and Codex write so."""
_MEMBER = re.compile(rb'"model"' + _SPACE + b":" + _SPACE + _STRING, re.S)
_ESCAPED_MEMBER = re.compile(
    rb'"(?:m|\\u006[dD])(?:o|\\u006[fF])(?:d|\\u0064)(?:e|\\u0065)(?:l|\\u006[cC])"'
    + _SPACE + b":" + _SPACE + _STRING, re.S
)  # fmt: skip
_SESSION = re.compile(r"session_([0-9A-Za-z-]{8,64})")


class Peek(NamedTuple):
    wire: WireFormat
    model: str
    stream: bool
    parsed: Mapping[str, Any]
    span: Optional[tuple[int, int]]
    """Where the model's value stands in the body, quotes included; None: not looked for."""

    def value(self) -> Mapping[str, Any]:
        """Return the whole request; it is shared, so nobody changes it."""
        return self.parsed

    @property
    def conversation(self) -> str:
        """What stays the same through a conversation, "" when it cannot be told."""
        return conversation(self.wire, self.parsed)

    def __repr__(self) -> str:  # the rest is the user's
        return f"Peek({self.model!r}, stream={self.stream})"


def peek(wire: WireFormat, body: bytes) -> Peek:
    """Return what routing needs of *body*; BadRequest when it is no JSON object or names no model."""
    span: Optional[tuple[int, int]] = None
    first = _FIRST.match(body)
    if first is None:
        value = _object(body)
    else:
        # Parsed without its first member: so one pass also tells that no later one replaces it.
        value = _object(b"{" + body[first.end() :])
        if "model" not in value:
            value = {"model": _value(first[1]), **value}
            span = first.span(1)
    model = value.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("model: a string is required", "model")
    return Peek(wire, model, value.get("stream") is True, value, span)


def replace_model(body: bytes, model: str, span: Optional[tuple[int, int]] = None) -> bytes:
    """Return *body*, which ``peek`` took, with another model, all other bytes unchanged.

    *span* is ``Peek.span`` of that body.  Of several members of that name the last one counts, and is changed.
    """
    if span is None:
        span = _span(body, _MEMBER) or _span(body, _ESCAPED_MEMBER)
        if span is None:
            raise BadRequest("model: a string is required", "model")
    return b"%b%b%b" % (body[: span[0]], codec.dumps(model), body[span[1] :])


def with_member(body: bytes, member: bytes) -> bytes:
    """Return *body*, which ``peek`` took, with *member*, which it has not, in front; all other bytes unchanged."""
    begin = body.index(b"{") + 1
    return b"%b%b,%b" % (body[:begin], member, body[begin:])


def _span(body: bytes, member: re.Pattern[bytes]) -> Optional[tuple[int, int]]:
    """Return where the value of the request's own model stands, among all members of that name.

    Each one gets its number as value; what the parser then takes for the model tells which one it is.  Inside a
    string a quote is escaped, so that every match is a member.
    """
    spans = [match.span(1) for match in member.finditer(body)]
    parts: list[bytes] = []
    end = 0
    for number, (start, stop) in enumerate(spans):
        parts += (body[end:start], b"%d" % number)
        end = stop
    found = _object(b"".join((*parts, body[end:]))).get("model")
    return spans[found] if isinstance(found, int) and not isinstance(found, bool) and found < len(spans) else None


def _object(text: bytes) -> dict[str, Any]:
    value = _value(text)
    if not isinstance(value, dict):
        raise BadRequest("the request is not a JSON object")
    return value


def _value(text: bytes) -> Any:
    try:
        return codec.loads(text)
    except ValueError:
        pass
    # Half a surrogate pair is a string that was cut in the middle of an emoji: JavaScript sends it, orjson refuses it.
    try:
        return _mended(json.loads(text.decode(), parse_constant=_no_constant))
    except (ValueError, RecursionError):
        raise BadRequest("the request is not valid JSON") from None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(item) for key, item in value.items()}
    return value


# Conversations.


def conversation(wire: WireFormat, value: Mapping[str, Any]) -> str:
    """Return what stays the same through the conversation that the request *value* is of, "" when it cannot be told."""
    found = ""
    if wire == "anthropic":
        found = _claude_session(value.get("metadata"))
    else:
        key = value.get("prompt_cache_key")
        if isinstance(key, str) and key:
            found = key
        elif wire == "responses":
            metadata = value.get("client_metadata")
            if isinstance(metadata, dict):
                session = metadata.get("session_id") or metadata.get("thread_id")
                found = session if isinstance(session, str) else ""
    if not found:
        return _beginning(wire, value)
    return found if len(found) <= ID_LIMIT else _hash((found,))


def _claude_session(metadata: Any) -> str:
    """Return the session's id, "" for none.

    ``user_…_account_…_session_ID`` (older ones), or a JSON object with ``session_id`` (2.1.197, 2.1.329).
    """
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str):
        return ""
    if user.startswith("{"):
        try:
            session = codec.loads(user)["session_id"]
        except (ValueError, KeyError):
            return ""
        return session if isinstance(session, str) else ""
    match = _SESSION.search(user)
    return match[1] if match else ""


def _beginning(wire: WireFormat, value: Mapping[str, Any]) -> str:
    """Return a hash of the system text and of the first message of the user, "" where there is no message."""
    if wire == "responses":
        system, messages = value.get("instructions"), value.get("input")
        if isinstance(messages, str):
            return _hash((*_texts(system), messages))
    else:
        system, messages = value.get("system"), value.get("messages")
    if not isinstance(messages, list):
        return ""
    texts = list(_texts(system))
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role in ("system", "developer"):
            texts += _texts(message.get("content"))
        elif role == "user":
            return _hash((*texts, *_texts(message.get("content"))))
    return ""


def _texts(content: Any) -> Iterator[str]:
    """Yield the texts of *content*, without marks (cache_control) that move through a conversation."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            text = part.get("text") if isinstance(part, dict) else None
            if isinstance(text, str):
                yield text


def _hash(texts: tuple[str, ...]) -> str:
    digest = blake2b(digest_size=12)
    for text in texts:
        digest.update(b"%d:" % len(text))
        digest.update(text[:HASHED].encode())
    return digest.hexdigest()


def ends_with(value: Mapping[str, Any], kind: str) -> bool:
    """Whether the last item of the input of the Responses request *value* is of that type."""
    items = value.get("input")
    last = items[-1] if isinstance(items, list) and items else None
    return isinstance(last, dict) and last.get("type") == kind


def shortened(value: Mapping[str, Any]) -> bool:
    """Whether the request *value* lets the upstream leave parts of a long prompt out."""
    managed = value.get("context_management")
    edits = managed.get("edits") if isinstance(managed, dict) else managed
    return (
        any(not kind.startswith("clear_thinking") for kind in _kinds(edits))
        or any("compaction" in kind for kind in _kinds(value.get("input")))
        or value.get("truncation") == "auto"
        or bool(value.get("transforms") or value.get("plugins"))  # OpenRouter
    )


def _kinds(items: Any) -> list[str]:
    return [str(item.get("type")) for item in items if isinstance(item, dict)] if isinstance(items, list) else []


# The limit of cache_control marks.


def drop_cache_control(value: Mapping[str, Any], keep: int) -> Mapping[str, Any]:
    """Return a Messages request that has only the first *keep* of its cache_control marks, in document order.

    Members of that name inside schemas and arguments of tools are no marks.  *value* itself stays as it is, and is
    what is returned when it has no more marks than that.
    """
    left = keep

    def one(block: Any) -> Any:
        nonlocal left
        if not isinstance(block, dict):
            return block
        out = block
        for name in block:
            new = block[name]
            if name == "cache_control" and new is not None:
                left -= 1
                if left < 0:
                    out = {n: v for n, v in out.items() if n != name}
                continue
            if name == "content":
                new = many(new)
            elif name == "source":
                new = one(new)
            if new is not block[name]:
                out = {**out, name: new}
        return out

    def many(blocks: Any) -> Any:
        if not isinstance(blocks, list):
            return blocks
        out = [one(block) for block in blocks]
        return out if any(a is not b for a, b in zip(out, blocks, strict=True)) else blocks

    out: dict[str, Any] = {}
    for name, item in value.items():
        if name == "cache_control" and item is not None:
            left -= 1
            if left < 0:
                continue
        out[name] = many(item) if name in ("system", "messages", "tools") else item
    return out if left < 0 else value
