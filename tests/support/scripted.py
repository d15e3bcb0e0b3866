"""An upstream on loopback that says what a test tells it to, in whichever of the three wire formats it is asked.

    with Scripted() as up:
        up.say(Said("hello"), error("chat", 429, "slow down"))    # the next answers, in order
        up.url("chat")                                            # for relay.yaml
        up.requests                                               # what came, as bytes
        heard("chat", up.requests[-1].json)                       # the conversation in it, in one form for all formats

Written from the providers' documentation and recorded answers, and not from what the relay makes of them.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple, Optional, Self, Union

from support import wire
from support.loopback import Disconnect, Request, Response, Server
from support.wire import Json

WIRES = ("anthropic", "responses", "chat")

_ENDINGS = {"/v1/messages": "anthropic", "/responses": "responses", "/chat/completions": "chat"}


class Figures(NamedTuple):
    """Tokens, as Anthropic counts them: *fresh* is what no cache had."""

    fresh: int = 100
    cached: int = 30
    output: int = 20
    thinking: int = 5


class Use(NamedTuple):
    """A call of a tool."""

    id: str
    name: str
    arguments: str
    custom: bool = False
    """Responses alone: *arguments* is plain text."""
    namespace: str = ""


class Said(NamedTuple):
    """An answer: first the thought, then the text, then the calls."""

    text: str = ""
    thought: str = ""
    uses: tuple[Use, ...] = ()
    signature: str = "sig-of-the-upstream"
    encrypted: str = "encrypted-by-the-upstream"
    figures: Figures = Figures()
    model: str = "served-model"
    interleaved: bool = False
    """Chat: the pieces of several calls come in turns."""
    length: bool = False
    """It stopped at the limit of tokens."""

    @property
    def id(self) -> str:
        """Different for different answers: Claude Code takes messages of one id for one message."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:24]


Reply = Union[Said, Response, Callable[[Request], Response]]


class Scripted:
    """A server; ``say`` puts answers in a queue, and what nobody expects gets a status 500 and fails the test."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.think: Optional[Callable[[str, Json], Reply]] = None
        """Given the format and the body, what to answer when nothing else was said before."""
        self._replies: list[Reply] = []
        self._lock = threading.Lock()
        self._server = Server(self._answer)
        self.closing = self._server.closing

    def url(self, wire: str) -> str:
        """Return the base URL in *wire*, as ``relay.yaml`` has it."""
        return self._server.origin + ("" if wire == "anthropic" else "/v1")

    def say(self, *replies: Reply) -> None:
        with self._lock:
            self._replies += replies

    def clear(self) -> None:
        with self._lock:
            self._replies.clear()
            self.requests.clear()

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def _answer(self, request: Request) -> Response:
        spoken = next((w for ending, w in _ENDINGS.items() if request.path.endswith(ending)), "")
        with self._lock:
            self.requests.append(request)
            reply = self._replies.pop(0) if self._replies else None
        assert spoken, f"no endpoint: {request.method} {request.target}"
        if reply is None and self.think is not None:
            reply = self.think(spoken, request.json)
        assert reply is not None, f"an answer that no test expects: {request.body[:500]!r}"
        if isinstance(reply, Said):
            return answer(spoken, reply, stream=request.json.get("stream") is True)
        return reply(request) if not isinstance(reply, Response) else reply


def answer(kind: str, said: Said, *, stream: bool) -> Response:
    """Return *said* as an answer in the format *kind*."""
    if not stream:
        return Response(200, (("Content-Type", "application/json"),), wire.encode(whole(kind, said)))
    return Response(200, (("Content-Type", "text/event-stream"),), events(kind, said))


def steps(*said: Said) -> Callable[[str, Json], Said]:
    """Return what a model would do that says *said* in turn, one call in each but the last, as often as it is asked.

    A request without tools (a title, a check) is answered in words.
    """

    def think(kind: str, body: Json) -> Said:
        if not body.get("tools"):
            return Said("yes")
        done = sum(each[0] == "result" for each in heard(kind, body))
        return said[min(done, len(said) - 1)]

    return think


def error(kind: str, status: int, message: str, headers: Iterable[tuple[str, str]] = (), code: str = "") -> Response:
    """Return an error in the shape of *kind*; *code* is Anthropic's type, or OpenAI's code."""
    if kind == "anthropic":
        body = wire.anthropic_error(code or "api_error", message)
    else:
        body = wire.openai_error("invalid_request_error", message, code or None)
    return Response(status, (("Content-Type", "application/json"), *headers), wire.encode(body))


def cut(kind: str, said: Said, after: int) -> Response:
    """Return a stream whose connection breaks after *after* events."""

    def body() -> Iterator[bytes]:
        yield from events(kind, said)[:after]
        raise Disconnect

    return Response(200, (("Content-Type", "text/event-stream"),), body())


# What is said.


def whole(kind: str, said: Said) -> Json:
    return {"anthropic": _message, "responses": _response, "chat": _completion}[kind](said)


def events(kind: str, said: Said) -> list[bytes]:
    """Return the events of a stream, each with the empty line after it."""
    return {"anthropic": _message_events, "responses": _response_events, "chat": _chunks}[kind](said)


def _halves(text: str) -> list[str]:
    middle = len(text) // 2
    return [half for half in (text[:middle], text[middle:]) if half]


def _event(data: Json) -> bytes:
    return f"event: {data['type']}\ndata: ".encode() + wire.encode(data) + b"\n\n"


def _message(said: Said) -> Json:
    content: list[Json] = []
    if said.thought:
        content.append({"type": "thinking", "thinking": said.thought, "signature": said.signature})
    if said.text:
        content.append({"type": "text", "text": said.text})
    content += [{"type": "tool_use", "id": u.id, "name": u.name, "input": json.loads(u.arguments)} for u in said.uses]
    stop = "max_tokens" if said.length else "tool_use" if said.uses else "end_turn"
    return {
        "id": f"msg_{said.id}",
        "type": "message",
        "role": "assistant",
        "model": said.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": said.figures.fresh,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": said.figures.cached,
            "output_tokens": said.figures.output,
        },
    }


def _message_events(said: Said) -> list[bytes]:
    message = _message(said)
    start = message | {"content": [], "stop_reason": None, "usage": message["usage"] | {"output_tokens": 1}}
    found: list[Json] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, block in enumerate(message["content"]):
        empty, deltas = _message_block(block)
        found.append({"type": "content_block_start", "index": index, "content_block": empty})
        found += ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        found.append({"type": "content_block_stop", "index": index})
    end: Json = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    found.append({"type": "message_delta", "delta": end, "usage": {"output_tokens": said.figures.output}})
    found.append({"type": "message_stop"})
    return [_event(each) for each in found]


def _message_block(block: Json) -> tuple[Json, list[Json]]:
    if block["type"] == "thinking":
        deltas: list[Json] = [{"type": "thinking_delta", "thinking": t} for t in _halves(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if block["type"] == "text":
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": t} for t in _halves(block["text"])]
    pieces = ["", *_halves(json.dumps(block["input"]))]
    return block | {"input": {}}, [{"type": "input_json_delta", "partial_json": p} for p in pieces]


def _response(said: Said) -> Json:
    output: list[Json] = []
    if said.thought:
        output.append(
            {
                "type": "reasoning",
                "id": f"rs_{said.id}",
                "summary": [{"type": "summary_text", "text": said.thought}],
                "encrypted_content": said.encrypted,
            }
        )
    if said.text:
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        output.append(
            {"type": "message", "id": f"msg_{said.id}", "status": "completed", "role": "assistant", "content": [part]}
        )
    for number, use in enumerate(said.uses):
        member, kind = ("input", "custom_tool_call") if use.custom else ("arguments", "function_call")
        item: Json = {"type": kind, "id": f"fc_{said.id}{number}", "call_id": use.id, "name": use.name}
        item |= {member: use.arguments, "status": "completed"}
        output.append(item | ({"namespace": use.namespace} if use.namespace else {}))
    figures = said.figures
    prompt = figures.fresh + figures.cached
    return {
        "id": f"resp_{said.id}",
        "object": "response",
        "created_at": 1767225600,
        "status": "incomplete" if said.length else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if said.length else None,
        "instructions": None,
        "metadata": {},
        "model": said.model,
        "output": output,
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": figures.cached},
            "output_tokens": figures.output,
            "output_tokens_details": {"reasoning_tokens": figures.thinking},
            "total_tokens": prompt + figures.output,
        },
    }


def _response_events(said: Said) -> list[bytes]:
    response = _response(said)
    begun = response | {"status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    found: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for number, item in enumerate(response["output"]):
        at: Json = {"item_id": item["id"], "output_index": number}
        empty = {"summary": [], "content": [], "arguments": "", "input": "", "status": "in_progress"}
        begin = item | {name: value for name, value in empty.items() if name in item}
        begin.pop("encrypted_content", None)
        found.append({"type": "response.output_item.added", "output_index": number, "item": begin})
        found += _response_pieces(item, at)
        found.append({"type": "response.output_item.done", "output_index": number, "item": item})
    ending = "response.incomplete" if said.length else "response.completed"
    found.append({"type": ending, "response": response})
    return [_event(each | {"sequence_number": number}) for number, each in enumerate(found)]


def _response_pieces(item: Json, at: Json) -> list[Json]:
    if item["type"] == "reasoning":
        name, place, part = "response.reasoning_summary", at | {"summary_index": 0}, item["summary"][0]
        return [
            {"type": f"{name}_part.added", **place, "part": part | {"text": ""}},
            *({"type": f"{name}_text.delta", **place, "delta": text} for text in _halves(part["text"])),
            {"type": f"{name}_text.done", **place, "text": part["text"]},
            {"type": f"{name}_part.done", **place, "part": part},
        ]
    if item["type"] == "message":
        place, part = at | {"content_index": 0}, item["content"][0]
        name = "response.output_text"
        return [
            {"type": "response.content_part.added", **place, "part": part | {"text": ""}},
            *({"type": f"{name}.delta", **place, "delta": t, "logprobs": []} for t in _halves(part["text"])),
            {"type": f"{name}.done", **place, "text": part["text"], "logprobs": []},
            {"type": "response.content_part.done", **place, "part": part},
        ]
    member = "input" if item["type"] == "custom_tool_call" else "arguments"
    name = "response.custom_tool_call_input" if member == "input" else "response.function_call_arguments"
    done = {"type": f"{name}.done", **at, member: item[member]} | ({"name": item["name"]} if member != "input" else {})
    return [*({"type": f"{name}.delta", **at, "delta": text} for text in _halves(item[member])), done]


def _chat_usage(figures: Figures) -> Json:
    prompt = figures.fresh + figures.cached
    return {
        "prompt_tokens": prompt,
        "completion_tokens": figures.output,
        "total_tokens": prompt + figures.output,
        "prompt_tokens_details": {"cached_tokens": figures.cached},
        "completion_tokens_details": {"reasoning_tokens": figures.thinking},
    }


def _chat_reason(said: Said) -> str:
    return "length" if said.length else "tool_calls" if said.uses else "stop"


def _completion(said: Said) -> Json:
    message: Json = {"role": "assistant", "content": said.text or None, "refusal": None}
    if said.thought:
        message["reasoning_content"] = said.thought
    if said.uses:
        message["tool_calls"] = [
            {"id": u.id, "type": "function", "function": {"name": u.name, "arguments": u.arguments}} for u in said.uses
        ]
    return {
        "id": f"chatcmpl-{said.id}",
        "object": "chat.completion",
        "created": 1767225600,
        "model": said.model,
        "choices": [{"index": 0, "message": message, "finish_reason": _chat_reason(said), "logprobs": None}],
        "usage": _chat_usage(said.figures),
    }


def _chunks(said: Said) -> list[bytes]:
    base = {"id": f"chatcmpl-{said.id}", "object": "chat.completion.chunk", "created": 1767225600, "model": said.model}

    def chunk(delta: Json, reason: Optional[str] = None) -> Json:
        return base | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]}

    found = [chunk({"role": "assistant", "content": ""})]
    found += [chunk({"reasoning_content": text}) for text in _halves(said.thought)]
    found += [chunk({"content": text}) for text in _halves(said.text)]
    heads, pieces = [], []
    for number, use in enumerate(said.uses):
        head = {"index": number, "id": use.id, "type": "function", "function": {"name": use.name, "arguments": ""}}
        heads.append(chunk({"tool_calls": [head]}))
        pieces.append(
            [chunk({"tool_calls": [{"index": number, "function": {"arguments": t}}]}) for t in _halves(use.arguments)]
        )
    if said.interleaved:
        found += heads
        for part in range(max(map(len, pieces), default=0)):
            found += [each[part] for each in pieces if part < len(each)]
    else:
        for head, own in zip(heads, pieces, strict=True):
            found += [head, *own]
    found.append(chunk({}, _chat_reason(said)))
    found.append(base | {"choices": [], "usage": _chat_usage(said.figures)})
    return [b"data: " + wire.encode(each) + b"\n\n" for each in found] + [b"data: [DONE]\n\n"]


# What is heard.

Heard = tuple[Any, ...]


def heard(kind: str, body: Json) -> list[Heard]:
    """Return the conversation in a request, in one form for all formats.

    ("system", text), ("user", text), ("image", data URI), ("thought", text, seal), ("assistant", text),
    ("call", id, name, arguments parsed), ("result", id, text).  A seal is Anthropic's signature or OpenAI's encrypted
    content.
    """
    return list({"anthropic": _heard_messages, "responses": _heard_items, "chat": _heard_chat}[kind](body))


def _texts(role: str, content: Any) -> Iterator[Heard]:
    for part in [{"type": "text", "text": content}] if isinstance(content, str) else content or []:
        if "text" in part:
            yield role, part["text"]
        elif part["type"] == "image":
            source = part["source"]
            yield "image", source.get("url") or f"data:{source['media_type']};base64,{source['data']}"
        elif part["type"] == "image_url":
            yield "image", part["image_url"]["url"]
        elif part["type"] == "input_image":
            yield "image", part["image_url"]
        else:
            raise AssertionError(f"a part of type {part['type']}")


def _flat(content: Any) -> str:
    return "".join(text for role, text in _texts("", content) if role == "")


def _heard_messages(body: Json) -> Iterator[Heard]:
    yield from _texts("system", body.get("system"))
    for message in body["messages"]:
        content = message["content"]
        for block in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if block["type"] == "thinking":
                yield "thought", block["thinking"], block["signature"]
            elif block["type"] == "tool_use":
                yield "call", block["id"], block["name"], block["input"]
            elif block["type"] == "tool_result":
                yield "result", block["tool_use_id"], _flat(block.get("content"))
                if not isinstance(block.get("content"), str):
                    yield from (each for each in _texts("", block.get("content")) if each[0] == "image")
            else:
                yield from _texts(message["role"], [block])


def _heard_items(body: Json) -> Iterator[Heard]:
    if body.get("instructions"):
        yield "system", body["instructions"]
    items = [{"role": "user", "content": body["input"]}] if isinstance(body["input"], str) else body["input"]
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            role = {"developer": "system"}.get(item["role"], item["role"])
            yield from _texts(role, item["content"])
        elif kind == "reasoning":
            parts = [*(item.get("summary") or []), *(item.get("content") or [])]
            yield "thought", "".join(p["text"] for p in parts), item.get("encrypted_content") or ""
        elif kind == "function_call":
            yield "call", item["call_id"], item["name"], json.loads(item["arguments"])
        elif kind == "custom_tool_call":
            yield "call", item["call_id"], item["name"], item["input"]
        elif kind in ("function_call_output", "custom_tool_call_output"):
            yield "result", item["call_id"], _flat(item["output"])
            if not isinstance(item["output"], str):
                yield from (each for each in _texts("", item["output"]) if each[0] == "image")
        else:
            raise AssertionError(f"an item of type {kind}")


def _heard_chat(body: Json) -> Iterator[Heard]:
    for message in body["messages"]:
        role = {"developer": "system"}.get(message["role"], message["role"])
        if role == "tool":
            yield "result", message["tool_call_id"], _flat(message["content"])
            continue
        if message.get("reasoning_content"):
            yield "thought", message["reasoning_content"], ""
        if message.get("content"):
            yield from _texts(role, message["content"])
        for call in message.get("tool_calls") or []:
            yield "call", call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])
