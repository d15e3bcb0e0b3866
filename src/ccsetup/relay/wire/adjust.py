"""Makes a request that is in an upstream's format fit what that upstream takes.  Pure.

Each function takes a parsed body and returns it changed, or the very same object when nothing had to change, so that
the caller sends the client's own bytes wherever it can.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping, Optional, Sequence

from ccsetup.model import WireFormat
from ccsetup.relay.wire import codec, compaction, reasoning
from ccsetup.relay.wire.messages import Dialect

_THINKING = ("thinking", "redacted_thinking")
_IMAGES = ("image", "image_url", "input_image")
_NO_IMAGE = "[image: not sent, the model takes no images]"
_JOINT = "\n\n"
BETA_MEMBERS = frozenset((
    "context_management", "mcp_servers", "container", "speed", "defer_loading", "allowed_callers",
    "input_examples", "eager_input_streaming", "scope", "task_budget",
))  # fmt: skip
"""Members of Messages that are refused without the ``anthropic-beta`` header that they belong to."""
_TRANSLATED = frozenset(("system", "without", "simple_schemas", "history_tools"))
"""Members of a dialect that the writers of requests leave to ``fit``."""


def fit(wire: WireFormat, body: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    """Return *body* as the endpoint takes it, as far as somebody said so: the configuration or the endpoint itself."""
    for name, change in _FITS.items():
        if name in dialect.said:
            body = change(wire, body, dialect)
    return body


def fitted(wire: WireFormat, body: bytes, dialect: Dialect) -> bytes:
    """Return *body*, which a writer made for *dialect*, with what writers do not know of."""
    if not dialect.said & _TRANSLATED:
        return body
    value = codec.loads(body)
    changed = fit(wire, value, dialect._replace(said=dialect.said & _TRANSLATED))
    return body if changed is value else codec.dumps(changed)


def steps(path: str) -> list[str]:
    """Return the names in the place of a member: ``tools.0.custom.defer_loading``, ``'body', 'tools', 0``."""
    return [step for step in re.split(r"[^\w-]+", path) if step and not step.isdigit() and step != "body"][-6:]


def without_reasoning(wire: str, body: Mapping[str, Any], *, ours_only: bool = False) -> Mapping[str, Any]:
    """Return *body* without the reasoning of earlier turns that its receiver cannot verify.

    *ours_only* leaves what a provider signed, and removes what this relay marked.  Anthropic and OpenAI refuse
    signatures and encrypted reasoning that they did not make (400 ``Invalid signature in thinking block``,
    ``invalid_encrypted_content``); without the blocks the conversation goes on.
    """
    if wire == "anthropic":
        return _messages(body, lambda block: _is_thinking(block) and (not ours_only or _marked(block)))
    if wire == "responses":
        return _items(body, ours_only=ours_only)
    return body


def system_in_front(wire: WireFormat, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *body* with system messages in front only: those in between become the user's.

    Claude Code 2.1.329 sends such messages; some providers answer 400 to them.  In Messages none has the role at all.
    """
    place = "input" if wire == "responses" else "messages"
    messages = body.get(place)
    if not isinstance(messages, list) or not any(_role(m) in _SYSTEM for m in messages):
        return body
    front: list[str] = []
    between: list[Any] = []
    waiting: list[str] = []
    """Texts that must not stand between a call and its result."""
    for message in messages:
        if wire != "anthropic":
            if _role(message) in _SYSTEM:
                text = _text(message.get("content"))
                if between or waiting:
                    waiting.append(f"<system-reminder>\n{text}\n</system-reminder>")
                else:
                    front.append(text)
                continue
            if waiting and not _is_result(message):
                between.append({"role": "user", "content": _JOINT.join(waiting)})
                waiting = []
        elif _role(message) == "system":
            message = {**message, "role": "user"}
        between.append(message)
    if waiting:
        between.append({"role": "user", "content": _JOINT.join(waiting)})
    if wire == "responses":
        given = body.get("instructions")
        front = [*([given] if isinstance(given, str) and given else []), *front]
        return {**body, **({"instructions": _JOINT.join(front)} if front else {}), place: between}
    system = [{"role": "system", "content": _JOINT.join(front)}] if front else []
    together = _together(between)
    if wire == "chat":
        together = [_as_text(message) for message in together]
    return {**body, place: [*system, *together]}


def system_as_user(wire: WireFormat, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return *body* with all system texts in front of what the user says first."""
    front = system_in_front(wire, body)
    place, own = ("input", "instructions") if wire == "responses" else ("messages", "system")
    given = front.get(place)
    items = (
        [{"role": "user", "content": given}] if isinstance(given, str) else [*given] if isinstance(given, list) else []
    )
    system = items.pop(0).get("content") if wire == "chat" and items and _role(items[0]) == "system" else front.get(own)
    text = _text(system)
    if not text:
        return front
    first = next((at for at, item in enumerate(items) if _role(item) == "user"), None)
    if first is None:
        items.insert(0, {"role": "user", "content": text})
    else:
        said = items[first].get("content")
        kind = "input_text" if wire == "responses" else "text"
        content = [{"type": kind, "text": text}, *said] if isinstance(said, list) else f"{text}{_JOINT}{said or ''}"
        items[first] = {**items[first], "content": content}
    return {**{name: value for name, value in front.items() if wire == "chat" or name != own}, place: items}


def _as_text(message: Any) -> Any:
    """Return a user's message with one text where that says it all: many providers take nothing else."""
    content = message.get("content") if _role(message) == "user" else None
    if not isinstance(content, list) or not content or any(_kind(part) != "text" for part in content):
        return message
    return {**message, "content": _text(content)}


_SYSTEM = ("system", "developer")


def _is_result(item: Any) -> bool:
    kind = item.get("type") if isinstance(item, dict) else None
    return _role(item) == "tool" or (isinstance(kind, str) and kind.endswith("_output"))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return _JOINT.join(p["text"] for p in parts if isinstance(p, dict) and isinstance(p.get("text"), str))


def _together(messages: Sequence[Any]) -> list[Any]:
    """Return *messages* with those of the user that follow one another made one."""
    out: list[Any] = []
    together: Optional[list[Any]] = None
    """Content of the user's message that goes on."""
    for message in messages:
        if out and isinstance(message, dict) and message.get("role") == "user" == _role(out[-1]):
            if together is None:
                together = [*_blocks(out[-1])]
                out[-1] = {**out[-1], "content": together}
            together += _blocks(message)
        else:
            together = None
            out.append(message)
    return out


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _blocks(message: Mapping[str, Any]) -> list[Any]:
    content = message.get("content")
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _is_thinking(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in _THINKING


def _marked(block: Mapping[str, Any]) -> bool:
    mark = block.get("signature") or block.get("data") or ""
    return isinstance(mark, str) and (not mark or reasoning.is_mark(mark) or reasoning.unpack(mark) is not None)


def _messages(body: Mapping[str, Any], drop: Callable[[Any], bool]) -> Mapping[str, Any]:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body
    out: list[Any] = []
    changed = False
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list) and any(drop(block) for block in content):
            changed = True
            kept = [block for block in content if not drop(block)]
            if not kept:  # an empty message is refused
                kept = [{"type": "text", "text": "(no answer)"}]
            message = {**message, "content": kept}
        out.append(message)
    return {**body, "messages": out} if changed else body


def _items(body: Mapping[str, Any], *, ours_only: bool) -> Mapping[str, Any]:
    items = body.get("input")
    if not isinstance(items, list):
        return body

    def foreign(item: Any) -> bool:
        if not isinstance(item, dict) or item.get("type") != "reasoning":
            return False
        encrypted = item.get("encrypted_content")
        return not ours_only or (isinstance(encrypted, str) and reasoning.unpack(encrypted) is not None)

    kept = [_unsealed(item) for item in items if not foreign(item)]
    same = len(kept) == len(items) and all(new is old for new, old in zip(kept, items, strict=True))
    return body if same else {**body, "input": kept}


def _unsealed(item: Any) -> Any:
    """Return a summary that the relay made as what the user says; anything else as it is."""
    sealed = item.get("encrypted_content") if _kind(item) in compaction.ITEMS else None
    packed = reasoning.unpack(sealed) if isinstance(sealed, str) else None
    if packed is None:
        return item
    return {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": compaction.told(packed.text)}],
    }


# What a dialect says.


def _shown(wire: WireFormat, body: Mapping[str, Any], _dialect: Dialect) -> Mapping[str, Any]:
    """Put a text in the place of each image."""
    place = "input" if wire == "responses" else "messages"
    kind = "input_text" if wire == "responses" else "text"

    def without(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        out = [{"type": kind, "text": _NO_IMAGE} if _kind(part) in _IMAGES else inside(part) for part in value]
        if all(new is old for new, old in zip(out, value, strict=True)):
            return value
        texts = wire == "chat" and all(_kind(part) == "text" for part in out)
        return _text(out) if texts else out  # a model without images often takes one text alone

    def inside(item: Any) -> Any:
        if isinstance(item, dict):
            for name in ("content", "output"):
                new = without(item.get(name))
                if new is not item.get(name):
                    item = {**item, name: new}
        return item

    items = body.get(place)
    if not isinstance(items, list):
        return body
    out = [inside(item) for item in items]
    return body if all(new is old for new, old in zip(out, items, strict=True)) else {**body, place: out}


def shows_images(wire: WireFormat, body: Mapping[str, Any]) -> bool:
    return _shown(wire, body, Dialect()) is not body


def _kind(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) and isinstance(part.get("type"), str) else None


def _roles(wire: WireFormat, body: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    place = "input" if wire == "responses" else "messages"
    items = body.get(place)
    if dialect.developer or not isinstance(items, list) or not any(_role(item) == "developer" for item in items):
        return body
    return {**body, place: [{**i, "role": "system"} if _role(i) == "developer" else i for i in items]}


def _limited(_wire: WireFormat, body: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    most = dialect.max_output
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        given = body.get(name)
        if most is not None and type(given) is int and given > most:
            body = {**body, name: most}
    return body


def _renamed(wire: WireFormat, body: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    new = dialect.max_tokens_field
    old = "max_tokens" if new == "max_completion_tokens" else "max_completion_tokens"
    if wire != "chat" or old not in body:
        return body
    return {**{name: value for name, value in body.items() if name != old}, new: body.get(new, body[old])}


def _thought(wire: WireFormat, body: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    """Give each turn with calls, or no turn at all, the member for its thinking."""
    field, messages = dialect.reasoning_field, body.get("messages")
    if wire != "chat" or not isinstance(messages, list):
        return body
    out: list[Any] = []
    for message in messages:
        if _role(message) == "assistant":
            if not field:
                message = _dropped(
                    _dropped(_dropped(message, ["reasoning_content"]), ["reasoning"]), ["reasoning_details"]
                )
            elif field == "reasoning_content" and message.get("tool_calls") and field not in message:
                message = {**message, field: ""}
        out.append(message)
    return body if all(new is old for new, old in zip(out, messages, strict=True)) else {**body, "messages": out}


def _left_out(_wire: WireFormat, body: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    for path in dialect.without:
        body = _dropped(body, steps(path))
    return body


def _dropped(value: Any, path: Sequence[str]) -> Any:
    """Return *value* without the member at *path*, in which lists do not count, nor names of variants."""
    if isinstance(value, list):
        out = [_dropped(item, path) for item in value]
        return value if all(new is old for new, old in zip(out, value, strict=True)) else out
    if not isinstance(value, dict) or not path:
        return value
    name, rest = path[0], path[1:]
    if name in value:
        if not rest:
            return {key: inside for key, inside in value.items() if key != name}
        inside = _dropped(value[name], rest)
        if inside is not value[name]:
            return {**value, name: inside}
    return _dropped(value, rest)


def _betas(wire: WireFormat, body: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    """Leave out what belongs to the header ``anthropic-beta``, which does not go along."""
    if wire != "anthropic" or dialect.betas:
        return body
    for path in _BETA_PATHS:
        body = _dropped(body, path)
    return system_in_front(wire, body)


_BETA_PATHS = (
    *((name,) for name in ("context_management", "mcp_servers", "container", "speed")),
    *(("tools", name) for name in ("defer_loading", "allowed_callers", "input_examples", "eager_input_streaming")),
    *((*place, "cache_control", "scope") for place in (("tools",), ("system",), ("messages", "content"))),
    ("output_config", "task_budget"),
)


def _history_tools(wire: WireFormat, body: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    """Offer the tools that the history calls, where none is offered."""
    if body.get("tools") or not dialect.history_tools:
        return body
    names: dict[str, None] = {}
    for item in body.get("input" if wire == "responses" else "messages") or ():
        if not isinstance(item, dict):
            continue
        calls = item.get("tool_calls") if wire == "chat" else item.get("content") if wire == "anthropic" else [item]
        for call in calls if isinstance(calls, list) else ():
            if _kind(call) in ("function", "tool_use", "function_call"):
                inside = call.get("function") if wire == "chat" else call
                if isinstance(inside, dict) and isinstance(inside.get("name"), str):
                    names[inside["name"]] = None
    said, schema = "A tool of earlier turns; do not call it now.", {"type": "object", "properties": {}}
    if not names:
        return body
    if wire == "anthropic":
        return {**body, "tools": [{"name": n, "description": said, "input_schema": schema} for n in names]}
    tools = [{"name": n, "description": said, "parameters": schema} for n in names]
    return {**body, "tools": [{"type": "function", **({"function": t} if wire == "chat" else t)} for t in tools]}


def _schemas(wire: WireFormat, body: Mapping[str, Any], dialect: Dialect) -> Mapping[str, Any]:
    tools = body.get("tools")
    if not dialect.simple_schemas or not isinstance(tools, list):
        return body
    out: list[Any] = []
    for tool in tools:
        inside = tool.get("function") if wire == "chat" and isinstance(tool, dict) else tool
        name = "input_schema" if wire == "anthropic" else "parameters"
        if isinstance(inside, dict) and (name in inside or _kind(inside) in (None, "function")):
            given = inside.get(name)
            schema = _simple(given if isinstance(given, dict) else {}, 0)
            schema["type"] = "object"
            schema.setdefault("properties", {})
            inside = {**inside, name: schema}
            tool = {**tool, "function": inside} if wire == "chat" else inside
        out.append(tool)
    return {**body, "tools": out}


_DEEPEST = 100


def _simple(schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Return *schema* without null members, ``type`` beside ``anyOf`` and ``$ref``, and objects without properties."""
    out = {name: value for name, value in schema.items() if value is not None or name in ("const", "default")}
    out.pop("$schema", None)
    for name, value in out.items():
        if depth > _DEEPEST:
            break
        if name in ("properties", "$defs", "definitions", "patternProperties") and isinstance(value, dict):
            out[name] = {
                n: _simple(v, depth + 1) if isinstance(v, dict) else v for n, v in value.items() if v is not None
            }
        elif name in ("items", "additionalProperties", "not") and isinstance(value, dict):
            out[name] = _simple(value, depth + 1)
        elif name in ("anyOf", "oneOf", "allOf", "prefixItems") and isinstance(value, list):
            out[name] = [_simple(v, depth + 1) if isinstance(v, dict) else v for v in value]
    if "type" in out:
        if "$ref" in out:
            del out["type"]
        elif isinstance(union := out.get("anyOf"), list):
            kind = out.pop("type")
            out["anyOf"] = [
                {"type": kind, **v}
                if isinstance(v, dict) and not v.keys() & {"type", "$ref", "anyOf", "enum", "const"}
                else v
                for v in union
            ]
    if out.get("type") == "object" and not isinstance(out.get("properties"), dict):
        out["properties"] = {}
    return out


_Fit = Callable[[WireFormat, Mapping[str, Any], Dialect], Mapping[str, Any]]
_FITS: Mapping[str, _Fit] = {
    "signatures": lambda wire, body, dialect: body if dialect.signatures else without_reasoning(wire, body),
    "betas": _betas,
    "developer": _roles,
    "system": lambda wire, body, dialect: body if dialect.system else system_as_user(wire, body),
    "system_between": lambda wire, body, dialect: body if dialect.system_between else system_in_front(wire, body),
    "images": lambda wire, body, dialect: body if dialect.images else _shown(wire, body, dialect),
    "max_output": _limited,
    "max_tokens_field": _renamed,
    "stream_usage": lambda _w, body, dialect: body if dialect.stream_usage else _dropped(body, ("stream_options",)),
    "reasoning_field": _thought,
    "simple_schemas": _schemas,
    "history_tools": _history_tools,
    "without": _left_out,
}
