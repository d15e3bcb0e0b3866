"""What a model would do with a request: answer in words, or call tools.  Pure; no I/O.

``read`` understands a request in each of the three wire formats, ``decide`` chooses the tool calls, ``whole`` and
``events`` say them in the same format.  The plain text bodies are those of ``wire.py``.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, Optional

from support import wire
from support.wire import Json

HALF = 2
"""Arguments are streamed in this many parts, so that a reader has to put them together."""


class Tool(NamedTuple):
    name: str
    schema: Json
    namespace: str = ""


class Asked(NamedTuple):
    """What a request asks for."""

    tools: tuple[Tool, ...] = ()
    other_tools: tuple[str, ...] = ()
    """Types of tools that are not functions: ``namespace``, ``web_search`` …"""
    choice: str = "auto"
    """``auto``, ``none``, ``any``, or ``=name`` for one tool."""
    parallel: bool = True
    prompt: str = ""
    """The last user text, without what a client adds in angle brackets."""
    results: tuple[str, ...] = ()
    """Results of tools, when the last message brings them."""
    images: int = 0
    system_roles: bool = False
    """A message in the conversation has the role system."""


class Use(NamedTuple):
    tool: Tool
    arguments: Json


def read(kind: str, body: Json) -> Asked:
    """Understand a ``messages``, ``responses`` or ``chat`` body that ``problem`` found nothing wrong with."""
    return {"messages": _read_messages, "responses": _read_responses, "chat": _read_chat}[kind](body)


def problem(kind: str, body: Any) -> str:
    """Return what is wrong with *body* as a request of *kind*, or ""."""
    if not isinstance(body, dict):
        return "the body is not a JSON object"
    if not isinstance(body.get("model"), str) or not body["model"]:
        return "model: Field required"
    content = "input" if kind == "responses" else "messages"
    if not isinstance(body.get(content), (list, str) if kind == "responses" else list) or not body[content]:
        return f"{content}: Field required"
    if kind == "messages":
        limit = body.get("max_tokens")
        if type(limit) is not int or limit < 1:
            return "max_tokens: Input should be a valid integer, greater than 0"
        for number, message in enumerate(body["messages"]):
            if not isinstance(message, dict) or message.get("role") not in ("user", "assistant", "system"):
                return f"messages.{number}.role: Unexpected role"
        if body["messages"][0]["role"] != "user":
            return 'messages: first message must use the "user" role'
        for number, tool in enumerate(body.get("tools") or []):
            if "type" not in tool or tool["type"] == "custom":
                if not isinstance(tool.get("input_schema"), dict):
                    return f"tools.{number}.custom.input_schema: Field required"
                if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", str(tool.get("name"))):
                    return f"tools.{number}.custom.name: String should match pattern"
    if kind == "responses" and isinstance(body["input"], list):
        for number, item in enumerate(body["input"]):
            if not isinstance(item, dict) or ("type" not in item and "role" not in item):
                return f"Invalid type for 'input[{number}]'"
    return ""


def decide(asked: Asked) -> list[Use]:
    """Return the tool calls that an obedient model would make; none means: it answers in words."""
    if not asked.tools or asked.choice == "none":
        return []
    forced = asked.choice != "auto"
    if asked.results and not forced:
        return []
    if asked.choice.startswith("="):
        named = [tool for tool in asked.tools if tool.name == asked.choice[1:]]
    else:
        named = [tool for tool in asked.tools if re.search(rf"(?<![\w-]){re.escape(tool.name)}(?![\w-])", asked.prompt)]
    told = re.search(r"\b(call|calls|use|using|invoke)\b", asked.prompt, re.IGNORECASE) is not None
    if not forced and not (told and (named or re.search(r"\btools?\b", asked.prompt, re.IGNORECASE))):
        return []
    chosen = named or list(asked.tools[:1])
    several = re.search(r"\b(twice|both|parallel|two)\b", asked.prompt, re.IGNORECASE) is not None
    if asked.parallel and several and len(chosen) == 1:
        chosen = chosen * 2
    if not asked.parallel:
        chosen = chosen[:1]
    words = re.findall(r"[\"'“‘`]([^\"'”’`\n]{1,80})[\"'”’`]", asked.prompt)
    words = [word for word in words if word not in {tool.name for tool in asked.tools}]
    return [Use(tool, _arguments(tool.schema, words, number)) for number, tool in enumerate(chosen)]


def _arguments(schema: Json, words: list[str], number: int) -> Json:
    properties = schema.get("properties") or {}
    wanted = schema.get("required") or list(properties)
    found: Json = {}
    place = number
    for name in wanted:
        detail = properties.get(name) or {}
        if detail.get("enum"):
            found[name] = detail["enum"][number % len(detail["enum"])]
        elif detail.get("type") in ("integer", "number"):
            found[name] = 1 + number
        elif detail.get("type") == "boolean":
            found[name] = True
        elif detail.get("type") == "array":
            found[name] = []
        elif detail.get("type") == "object":
            found[name] = {}
        else:
            found[name] = words[place % len(words)] if words else "ping"
            place += 1
    return found


# Reading

_ADDED = re.compile(r"<([a-z_-]+)>.*?</\1>", re.DOTALL)
"""Reminders, environment and the like, which clients put into the user's message."""


def _clean(text: str) -> str:
    return _ADDED.sub("", text)


def _schema(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _blocks(content: Any) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content or [] if isinstance(block, dict)]


def _text(content: Any) -> str:
    return "\n".join(str(b.get("text", b.get("refusal", ""))) for b in _blocks(content) if "text" in b)


def _read_messages(body: Json) -> Asked:
    tools, other = [], []
    for tool in body.get("tools") or []:
        if isinstance(tool.get("input_schema"), dict):
            tools.append(Tool(str(tool.get("name")), tool["input_schema"]))
        else:
            other.append(str(tool.get("type")))
    choice = body.get("tool_choice") or {"type": "auto"}
    said = {"tool": f"={choice.get('name')}"}.get(choice.get("type"), choice.get("type", "auto"))
    messages = body["messages"]
    users = [m for m in messages if m.get("role") == "user"]
    last = _blocks(users[-1].get("content")) if users else []
    return Asked(
        tools=tuple(tools),
        other_tools=tuple(other),
        choice=said,
        parallel=not choice.get("disable_parallel_tool_use", False),
        prompt=_clean(_text(last)),
        results=tuple(_text(b.get("content")) for b in last if b.get("type") == "tool_result"),
        images=sum(b.get("type") == "image" for m in users for b in _blocks(m.get("content"))),
        system_roles=any(m.get("role") == "system" for m in messages),
    )


def _read_responses(body: Json) -> Asked:
    items = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
    tools: list[Tool] = []
    other = []
    for tool in body.get("tools") or []:
        if tool.get("type") == "function":
            tools.append(Tool(str(tool.get("name")), _schema(tool.get("parameters"))))
        else:
            other.append(str(tool.get("type")))
            if tool.get("type") == "namespace":
                for inner in tool.get("tools") or []:
                    tools.append(Tool(str(inner.get("name")), _schema(inner.get("parameters")), str(tool.get("name"))))
    choice = body.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        choice = f"={choice.get('name')}"
    results = []
    for item in reversed(items):
        if item.get("type") != "function_call_output":
            break
        results.insert(0, item["output"] if isinstance(item.get("output"), str) else _text(item.get("output")))
    users = [i for i in items if i.get("role") == "user"]
    return Asked(
        tools=tuple(tools),
        other_tools=tuple(other),
        choice={"required": "any"}.get(choice, choice),
        parallel=body.get("parallel_tool_calls") is not False,
        prompt=_clean(_text(users[-1].get("content"))) if users else "",
        results=tuple(results),
        images=sum(b.get("type") == "input_image" for u in users for b in _blocks(u.get("content"))),
        system_roles=any(i.get("role") == "system" for i in items),
    )


def _read_chat(body: Json) -> Asked:
    messages = [m for m in body["messages"] if isinstance(m, dict)]
    functions = [t.get("function") or {} for t in body.get("tools") or [] if t.get("type") == "function"]
    choice = body.get("tool_choice") or "auto"
    if isinstance(choice, dict):
        choice = f"={(choice.get('function') or {}).get('name')}"
    results = []
    for message in reversed(messages):
        if message.get("role") != "tool":
            break
        results.insert(0, _text(message.get("content")))
    users = [m for m in messages if m.get("role") == "user"]
    return Asked(
        tools=tuple(Tool(str(f.get("name")), _schema(f.get("parameters"))) for f in functions),
        other_tools=tuple(str(t.get("type")) for t in body.get("tools") or [] if t.get("type") != "function"),
        choice={"required": "any"}.get(choice, choice),
        parallel=body.get("parallel_tool_calls") is not False,
        prompt=_clean(_text(users[-1].get("content"))) if users else "",
        results=tuple(results),
        images=sum(b.get("type") == "image_url" for u in users for b in _blocks(u.get("content"))),
        system_roles=False,  # the normal place of instructions in this format
    )


# Saying


def whole(kind: str, model: str, text: str, uses: list[Use]) -> Json:
    """Return the answer as one JSON object: *text*, or the calls *uses*."""
    if kind == "messages":
        message = wire.anthropic_message(model, text)
        if uses:
            message["content"] = [_anthropic_use(use, number, use.arguments) for number, use in enumerate(uses)]
            message["stop_reason"] = "tool_use"
        return message
    if kind == "responses":
        response = wire.responses_object(model, text)
        if uses:
            response["output"] = [_responses_use(use, number, "completed") for number, use in enumerate(uses)]
        return response
    completion = wire.chat_completion(model, text)
    if uses:
        choice = completion["choices"][0]
        choice["finish_reason"] = "tool_calls"
        choice["message"] = {
            "role": "assistant",
            "content": None,
            "refusal": None,
            "tool_calls": [_chat_use(use, number) for number, use in enumerate(uses)],
        }
    return completion


def events(kind: str, model: str, text: str, uses: list[Use], *, usage: bool) -> list[bytes]:
    """Return the same answer as the events of a stream.  *usage* concerns Chat Completions alone."""
    if kind == "messages":
        return _anthropic_events(model, uses) if uses else wire.anthropic_stream(model, text)
    if kind == "responses":
        return _responses_events(model, uses) if uses else wire.responses_stream(model, text)
    return _chat_events(model, uses, usage=usage) if uses else wire.chat_stream(model, text, usage=usage)


def event(data: Json, name: Optional[str] = None) -> bytes:
    """Return one server-sent event; its name is its type."""
    return f"event: {name or data['type']}\ndata: ".encode() + wire.encode(data) + b"\n\n"


def _parts(arguments: Json) -> list[str]:
    text = json.dumps(arguments, ensure_ascii=False)
    middle = len(text) // HALF
    return [part for part in (text[:middle], text[middle:]) if part]


def _anthropic_use(use: Use, number: int, arguments: Json) -> Json:
    return {"type": "tool_use", "id": f"toolu_loopback{number}", "name": use.tool.name, "input": arguments}


def _anthropic_events(model: str, uses: list[Use]) -> list[bytes]:
    start = wire.anthropic_message(model, "") | {"content": [], "stop_reason": None}
    start["usage"] = {"input_tokens": wire.INPUT_TOKENS, "output_tokens": 1}
    found: list[Json] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for number, use in enumerate(uses):
        block = _anthropic_use(use, number, {})
        found.append({"type": "content_block_start", "index": number, "content_block": block})
        for part in _parts(use.arguments):
            delta = {"type": "input_json_delta", "partial_json": part}
            found.append({"type": "content_block_delta", "index": number, "delta": delta})
        found.append({"type": "content_block_stop", "index": number})
    end: Json = {"stop_reason": "tool_use", "stop_sequence": None}
    found.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": wire.OUTPUT_TOKENS}})
    found.append({"type": "message_stop"})
    return [event(each) for each in found]


def _responses_use(use: Use, number: int, status: str) -> Json:
    item: Json = {
        "id": f"fc_loopback{number}",
        "type": "function_call",
        "status": status,
        "call_id": f"call_loopback{number}",
        "name": use.tool.name,
        "arguments": json.dumps(use.arguments, ensure_ascii=False) if status == "completed" else "",
    }
    if use.tool.namespace:
        item["namespace"] = use.tool.namespace
    return item


def _responses_events(model: str, uses: list[Use]) -> list[bytes]:
    started = wire.responses_object(model, "", status="in_progress")
    found: list[Json] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
    ]
    for number, use in enumerate(uses):
        place: Json = {"item_id": f"fc_loopback{number}", "output_index": number}
        item = _responses_use(use, number, "in_progress")
        found.append({"type": "response.output_item.added", "output_index": number, "item": item})
        for part in _parts(use.arguments):
            found.append({"type": "response.function_call_arguments.delta", **place, "delta": part})
        item = _responses_use(use, number, "completed")
        found.append(
            {
                "type": "response.function_call_arguments.done",
                **place,
                "name": use.tool.name,
                "arguments": item["arguments"],
            }
        )
        found.append({"type": "response.output_item.done", "output_index": number, "item": item})
    found.append({"type": "response.completed", "response": whole("responses", model, "", uses)})
    return [event(each | {"sequence_number": number}) for number, each in enumerate(found)]


def _chat_use(use: Use, number: int) -> Json:
    call = {"name": use.tool.name, "arguments": json.dumps(use.arguments, ensure_ascii=False)}
    return {"id": f"call_loopback{number}", "type": "function", "function": call}


def _chat_events(model: str, uses: list[Use], *, usage: bool) -> list[bytes]:
    text = wire.chat_stream(model, "", usage=usage)
    first = json.loads(text[0].removeprefix(b"data: "))

    def chunk(delta: Json, reason: Optional[str] = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return b"data: " + wire.encode(first | {"choices": [choice]}) + b"\n\n"

    found = [chunk({"role": "assistant", "content": None})]
    for number, use in enumerate(uses):
        head = _chat_use(use, number)
        head["function"]["arguments"] = ""
        found.append(chunk({"tool_calls": [{"index": number, **head}]}))
        for part in _parts(use.arguments):
            found.append(chunk({"tool_calls": [{"index": number, "function": {"arguments": part}}]}))
    found.append(chunk({}, "tool_calls"))
    return found + text[3:]  # the usage, when asked for, and the end
