"""Whether a request is one of its wire format: by the official SDKs' own types, and by the rules that these do not say.

Stricter than the SDKs: a member that the types do not name is a fault.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Optional, Union, get_args, get_origin, get_type_hints

import typing_extensions
from support.wire import Json

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

EXTRA: dict[str, frozenset[str]] = {
    # Of providers that are not OpenAI: their thinking goes back in it.
    "ChatCompletionAssistantMessageParam": frozenset({"reasoning_content", "reasoning"}),
    "CompletionCreateParams": frozenset({"thinking", "enable_thinking", "thinking_budget", "reasoning"}),
}
"""Members beyond the types, by the name of the type (or, for a request, its beginning)."""


_MARKS = (
    typing.Required,
    typing.NotRequired,
    typing.Annotated,
    typing_extensions.Required,
    typing_extensions.NotRequired,
    typing_extensions.Annotated,
)


def faults(kind: str, body: Json) -> list[str]:
    """Return what is wrong with *body* as a request of *kind*; empty for a good one."""
    found = by_types(body, _request_type(kind, body), "")
    return found or list({"anthropic": _messages, "responses": _responses, "chat": _chat}[kind](body))


@functools.cache
def _request_types(kind: str) -> tuple[Any, Any]:
    if kind == "anthropic":
        from anthropic.types import message_create_params as messages

        return messages.MessageCreateParamsNonStreaming, messages.MessageCreateParamsStreaming
    if kind == "responses":
        from openai.types.responses import response_create_params as responses

        return responses.ResponseCreateParamsNonStreaming, responses.ResponseCreateParamsStreaming
    from openai.types.chat import completion_create_params as chat

    return chat.CompletionCreateParamsNonStreaming, chat.CompletionCreateParamsStreaming


def _request_type(kind: str, body: Json) -> Any:
    return _request_types(kind)[bool(body.get("stream"))]


def by_types(value: Any, wanted: Any, path: str) -> list[str]:
    """Return where *value*, from JSON, is not of the type *wanted*."""
    if typing_extensions.is_typeddict(wanted):
        return _mapping(value, wanted, path)
    origin = get_origin(wanted)
    if origin in _MARKS:
        return by_types(value, get_args(wanted)[0], path)
    if origin is Union or type(wanted).__name__ == "UnionType":
        return _union(value, get_args(wanted), path)
    if origin is Literal:
        return [] if value in get_args(wanted) else [f"{path}: {value!r} is none of {get_args(wanted)}"]
    if origin in (list, Iterable, Sequence) or wanted in (list, tuple):
        if not isinstance(value, list):
            return [f"{path}: not a list"]
        inner = (get_args(wanted) or (object,))[0]
        return [fault for i, each in enumerate(value) for fault in by_types(each, inner, f"{path}[{i}]")]
    if origin in (dict, Mapping):
        if not isinstance(value, dict):
            return [f"{path}: not an object"]
        inner = get_args(wanted)[1]
        return [fault for name, each in value.items() for fault in by_types(each, inner, f"{path}.{name}")]
    if wanted in (object, Any):
        return []
    if wanted is float:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif wanted is int:
        good = isinstance(value, int) and not isinstance(value, bool)
    elif wanted in (str, bool):
        good = isinstance(value, wanted)
    else:
        good = value is None and wanted in (None, type(None))
    return [] if good else [f"{path}: {value!r:.60} is not {wanted}"]


@functools.cache
def _members(wanted: Any) -> dict[str, Any]:
    return get_type_hints(wanted, include_extras=True)


@functools.cache
def _required(wanted: Any) -> list[str]:
    # The class itself does not know it where its module's annotations are texts.
    marks = {name: get_origin(inner) for name, inner in _members(wanted).items()}
    needed = (typing.Required, typing_extensions.Required)
    open_ = (typing.NotRequired, typing_extensions.NotRequired)
    return [n for n, mark in marks.items() if mark in needed or (n in wanted.__required_keys__ and mark not in open_)]


def _mapping(value: Any, wanted: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: not an object"]
    members = _members(wanted)
    name = wanted.__name__
    extra = next((more for begin, more in EXTRA.items() if name.startswith(begin)), frozenset())
    found = [f"{path}.{each}: missing" for each in _required(wanted) if each not in value]
    found += [f"{path}.{each}: unknown in {name}" for each in value if each not in members and each not in extra]
    for each, inner in members.items():
        if each in value:
            found += by_types(value[each], inner, f"{path}.{each}")
    return found


def _union(value: Any, choices: Sequence[Any], path: str) -> list[str]:
    best: Optional[list[str]] = None
    for choice in choices:
        found = by_types(value, choice, path)
        if not found:
            return []
        kind = value.get("type", value.get("role")) if isinstance(value, dict) else None
        # Of the shape that the value says it is, the faults are worth telling.
        listed = isinstance(value, list) and get_origin(choice) in (list, Iterable, Sequence)
        if best is None or listed or (kind is not None and repr(kind) in str(_says(choice))):
            best = found
    return best or [f"{path}: of no type"]


def _says(choice: Any) -> Any:
    if not typing_extensions.is_typeddict(choice):
        return ""
    members = _members(choice)
    return members.get("type", members.get("role", ""))


# Rules beyond the types.


def _tool_names(names: Iterable[str]) -> Iterator[str]:
    seen = set()
    for name in names:
        if not _NAME.fullmatch(name):
            yield f"tool name {name!r}"
        if name in seen:
            yield f"tool name {name!r} twice"
        seen.add(name)


def _messages(body: Json) -> Iterator[str]:
    yield from _tool_names(t["name"] for t in body.get("tools") or ())
    if body["max_tokens"] < 1:
        yield "max_tokens"
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        yield "thinking.budget_tokens"
    messages = body["messages"]
    if messages[0]["role"] != "user":
        yield "the first message is not the user's"
    if sum("cache_control" in str(block) for block in _blocks(body.get("system"))) > 4:
        yield "too many cache_control"
    open_calls: list[str] = []
    used: set[str] = set()
    for number, message in enumerate(messages):
        blocks = _blocks(message["content"])
        if not blocks or any(block.get("text") == "" for block in blocks):
            yield f"messages[{number}] is empty"
        results = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        if sorted(results) != sorted(open_calls):
            yield f"messages[{number}]: results {results} for the calls {open_calls}"
        if any(b["type"] != "tool_result" for b in blocks[: len(results)]):
            yield f"messages[{number}]: results are not in front"
        open_calls = [b["id"] for b in blocks if b["type"] == "tool_use"]
        if open_calls and message["role"] != "assistant":
            yield f"messages[{number}]: calls of the user"
        if used & set(open_calls) or not all(_NAME.fullmatch(id) for id in open_calls):
            yield f"messages[{number}]: ids {open_calls}"
        used |= set(open_calls)
    if open_calls:
        yield f"no results for {open_calls}"
    if any(b["type"] in ("tool_use", "tool_result") for m in messages for b in _blocks(m["content"])) and not body.get(
        "tools"
    ):
        yield "calls without tools"


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())


def _responses(body: Json) -> Iterator[str]:
    yield from _tool_names(t["name"] for t in body.get("tools") or () if "name" in t)
    items = body["input"] if isinstance(body["input"], list) else []
    calls: dict[str, str] = {}
    answered: list[str] = []
    for number, item in enumerate(items):
        kind = item.get("type", "message")
        if kind in ("function_call", "custom_tool_call"):
            if item["call_id"] in calls or not _NAME.fullmatch(item["call_id"]):
                yield f"input[{number}]: id {item['call_id']}"
            calls[item["call_id"]] = kind
        elif kind in ("function_call_output", "custom_tool_call_output"):
            if calls.get(item["call_id"]) != kind.removesuffix("_output"):
                yield f"input[{number}]: a result without its call"
            answered.append(item["call_id"])
        elif any(p["type"] not in ("output_text", "refusal") for p in _said(item)):
            yield f"input[{number}]: parts of the user's in the assistant's message"
    if sorted(answered) != sorted(calls):
        yield f"results for {answered} instead of {list(calls)}"


def _said(item: Json) -> list[Json]:
    """Return the parts of an assistant's message."""
    listed = item.get("role") == "assistant" and isinstance(item["content"], list)
    return item["content"] if listed else []


def _chat(body: Json) -> Iterator[str]:
    yield from _tool_names(t[t["type"]]["name"] for t in body.get("tools") or ())
    if body.get("tools") == []:
        yield "an empty list of tools"
    if "tool_choice" in body and not body.get("tools"):
        yield "tool_choice without tools"
    open_calls: list[str] = []
    used: set[str] = set()
    for number, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            if not open_calls or open_calls.pop(0) != message["tool_call_id"]:
                yield f"messages[{number}]: a result that is not its call's"
            continue
        if open_calls:
            yield f"messages[{number}]: no results for {open_calls}"
        open_calls = [call["id"] for call in message.get("tool_calls") or ()]
        if used & set(open_calls):
            yield f"messages[{number}]: ids again"
        used |= set(open_calls)
        if not message.get("content") and not open_calls:
            yield f"messages[{number}] is empty"
    if open_calls:
        yield f"no results for {open_calls}"
