"""Writes Chat Completions answers, whole and as streams, as OpenAI does.  Pure."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Union

from ccsetup.relay.wire import tools
from ccsetup.relay.wire.chat.request_out import JOINT
from ccsetup.relay.wire.codec import dumps
from ccsetup.relay.wire.errors import status_of
from ccsetup.relay.wire.messages import (
    Asked,
    BlockEnd,
    Delta,
    ErrorKind,
    Event,
    Events,
    Failed,
    Ping,
    ReasoningStart,
    RefusalStart,
    Started,
    Stop,
    StopReason,
    TextStart,
    ToolStart,
    Usage,
    WireError,
)

PING = b": ping\n\n"
"""A sign of life for a client: a comment."""

_FINISH: Mapping[StopReason, str] = {
    "end": "stop",
    "tools": "tool_calls",
    "length": "length",
    "sequence": "stop",
    "refusal": "content_filter",
    "pause": "stop",
    "context": "length",
}


class _CallOut:
    """A call on its way to a client: *raw* unpacks the function that stood for a custom tool."""

    __slots__ = ("empty", "index", "member", "raw")

    def __init__(self, index: int, custom: bool, raw: Optional[tools.CustomInput]) -> None:
        self.index = index
        self.member = ("custom", "input") if custom else ("function", "arguments")
        self.raw = raw
        self.empty = True

    def piece(self, text: str) -> dict[str, Any]:
        self.empty = False
        member, inside = self.member
        return {"tool_calls": [{"index": self.index, member: {inside: text}}]}


_MEMBERS: Mapping[type[Event], str] = {
    TextStart: "content",
    ReasoningStart: "reasoning_content",
    RefusalStart: "refusal",
}


class _Deltas:
    """Turns events into the ``delta`` objects of chunks."""

    __slots__ = ("_asked", "_calls", "_ids", "_members", "_said")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._ids: Optional[tools.CallIds] = None
        self._members: dict[int, str] = {}
        """Of the blocks of text: content, reasoning_content or refusal."""
        self._calls: dict[int, _CallOut] = {}
        self._said: dict[str, int] = {}
        """The last block with text, by member."""

    def start(self, event: Union[TextStart, ReasoningStart, RefusalStart, ToolStart]) -> Optional[dict[str, Any]]:
        if isinstance(event, ToolStart):
            return self._tool(event)
        member = _MEMBERS[type(event)]
        self._members[event.block] = member
        before = self._said.get(member)
        self._said[member] = event.block
        if before is not None and (member == "reasoning_content" or before + 1 != event.block):
            return {member: JOINT}
        return None

    def member(self, block: int) -> str:
        return self._members.get(block, "")

    def _tool(self, event: ToolStart) -> dict[str, Any]:
        tool = self._asked.names.back(event.name)
        custom = tool.kind == "custom"
        call = _CallOut(len(self._calls), custom, tools.CustomInput() if custom and not event.custom else None)
        self._calls[event.block] = call
        member, inside = call.member
        if self._ids is None:
            self._ids = tools.CallIds.of_answer(self._asked)
        return {
            "tool_calls": [
                {
                    "index": call.index,
                    "id": self._ids.fit(event.id),
                    "type": member,
                    member: {"name": tool.name, inside: ""},
                }
            ]
        }

    def delta(self, event: Delta) -> Optional[dict[str, Any]]:
        member = self._members.get(event.block)
        if member is not None:
            return {member: event.text}
        call = self._calls.get(event.block)
        if call is None:
            return None
        text = event.text if call.raw is None else call.raw.feed(event.text)
        return call.piece(text) if text else None

    def end(self, event: BlockEnd) -> Optional[dict[str, Any]]:
        call = self._calls.get(event.block)
        if call is None:
            return None
        if call.raw is not None:
            text = call.raw.end()
            return call.piece(text) if text else None
        if call.empty and call.member[0] == "function":
            return call.piece("{}")  # clients parse it; Anthropic sends nothing for a call without arguments
        return None


class ChatWriter:
    """Writes the chunks of one answer (``messages.SseWriter``): as OpenAI does, the thinking as ``reasoning_content``.

    Several blocks of one kind become one text, with an empty line between where something else stood between them.
    Signatures and encrypted reasoning have no place.
    """

    __slots__ = ("_choice", "_deltas", "_head", "_last", "_tail", "_text_tail", "_texts", "_usage")

    def __init__(self, asked: Asked) -> None:
        self._deltas = _Deltas(asked)
        self._usage = asked.conversation.include_usage
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":[' % (
            dumps(f"chatcmpl-{asked.id}"),
            asked.created,
            dumps(asked.conversation.model),
        )
        self._choice = self._head + b'{"index":0,"delta":'
        end = b',"usage":null}\n\n' if self._usage else b"}\n\n"
        self._tail = b',"logprobs":null,"finish_reason":null}]' + end
        self._last = b',"logprobs":null,"finish_reason":%b}]' + end
        self._texts: dict[int, bytes] = {}
        """What stands before the text of a delta, by block."""
        self._text_tail = b"}" + self._tail

    def write(self, event: Event) -> bytes:
        if event.__class__ is Delta:
            head = self._texts.get(event.block)
            if head is not None:
                return head + dumps(event.text) + self._text_tail
            return self._chunk(self._deltas.delta(event))
        if isinstance(event, (TextStart, ReasoningStart, RefusalStart, ToolStart)):
            delta = self._deltas.start(event)
            member = self._deltas.member(event.block)
            if member:
                self._texts[event.block] = self._choice + b'{"%b":' % member.encode()
            return self._chunk(delta)
        if isinstance(event, Started):
            return self._chunk({"role": "assistant", "content": ""})
        if isinstance(event, BlockEnd):
            return self._chunk(self._deltas.end(event))
        if isinstance(event, Stop):
            return self._stop(event)
        if isinstance(event, Failed):
            return b"data: " + write_error(event.error)[1] + b"\n\n"
        return PING if isinstance(event, Ping) else b""

    def _chunk(self, delta: Optional[dict[str, Any]]) -> bytes:
        return b"" if delta is None else self._choice + dumps(delta) + self._tail

    def _stop(self, event: Stop) -> bytes:
        out = self._choice + b"{}" + self._last % dumps(_FINISH[event.reason])
        if self._usage and event.usage is not None:
            out += self._head + b'],"usage":' + dumps(_usage_out(event.usage)) + b"}\n\n"
        return out + b"data: [DONE]\n\n"


def _usage_out(usage: Usage) -> dict[str, Any]:
    prompt: dict[str, int] = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        prompt["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.output,
        "total_tokens": usage.prompt + usage.output,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def write_answer(events: Events, asked: Asked) -> bytes:
    """Return the body of an answer that is not a stream; the error's body when the events end with Failed."""
    deltas = _Deltas(asked)
    texts: dict[str, list[str]] = {}
    calls: list[dict[str, Any]] = []
    stop = Stop("end")
    for event in events:
        delta: Optional[dict[str, Any]] = None
        if type(event) is Delta:
            delta = deltas.delta(event)
        elif type(event) is BlockEnd:
            delta = deltas.end(event)
        elif type(event) is Stop:
            stop = event
        elif isinstance(event, (TextStart, ReasoningStart, RefusalStart, ToolStart)):
            delta = deltas.start(event)
        elif type(event) is Failed:
            return write_error(event.error)[1]
        if delta is None:
            continue
        for member, value in delta.items():
            if member == "tool_calls":
                _collect(calls, value[0])
            else:
                texts.setdefault(member, []).append(value)
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    message.update((member, "".join(pieces)) for member, pieces in texts.items())
    if calls:
        message["tool_calls"] = [{**c, c["type"]: {k: "".join(v) for k, v in c[c["type"]].items()}} for c in calls]
    elif message["content"] is None and message["refusal"] is None:
        message["content"] = ""
    answer: dict[str, Any] = {
        "id": f"chatcmpl-{asked.id}",
        "object": "chat.completion",
        "created": asked.created,
        "model": asked.conversation.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[stop.reason]}],
    }
    if stop.usage is not None:
        answer["usage"] = _usage_out(stop.usage)
    return dumps(answer)


def _collect(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    if "id" in piece:
        kind = piece["type"]
        calls.append({"id": piece["id"], "type": kind, kind: {k: [v] for k, v in piece[kind].items()}})
        return
    call = calls[piece["index"]]
    for name, text in piece[call["type"]].items():
        call[call["type"]][name].append(text)


_TYPES: Mapping[ErrorKind, tuple[str, Optional[str]]] = {
    "invalid_request": ("invalid_request_error", None),
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "permission": ("permission_error", None),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "not_found": ("invalid_request_error", "not_found"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "context": ("invalid_request_error", "context_length_exceeded"),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "overloaded": ("server_error", "server_is_overloaded"),
    "server": ("server_error", None),
    "timeout": ("server_error", "timeout"),
    "cut": ("server_error", "stream_cut"),
}


def write_error(error: WireError) -> tuple[int, bytes]:
    """Return status and body of an error as OpenAI writes it; the provider's own code stays where it has one."""
    kind, code = _TYPES[error.kind]
    status = error.status if error.status >= 400 else status_of(error.kind)
    if error.kind == "context":
        status = 400
    else:
        code = error.code or code
    message = error.message or "The upstream gave no reason."
    return status, dumps({"error": {"message": message, "type": kind, "param": error.param or None, "code": code}})
