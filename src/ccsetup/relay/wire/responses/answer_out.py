"""Neutral events as an answer of OpenAI Responses.  Imported through ``responses``.

Every event that Codex and OpenAI's own SDKs read is sent, in OpenAI's order and with its counter.  One block of the
answer is one output item, so the number of the block is its ``output_index``.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional, Union

from ccsetup.relay.wire import codec, reasoning, tools
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
    TextStart,
    ToolStart,
    Usage,
    WireError,
)

PING = b": ping\n\n"
"""A comment: Codex 0.169 takes no event for it, and counts any byte as a sign of life."""

CODES: Mapping[ErrorKind, str] = {
    "invalid_request": "invalid_prompt",
    "authentication": "invalid_api_key",
    "permission": "permission_denied",
    "quota": "insufficient_quota",
    "not_found": "model_not_found",
    "too_large": "invalid_prompt",
    "context": "context_length_exceeded",
    "rate_limit": "rate_limit_exceeded",
    "overloaded": "server_error",
    "server": "server_error",
    "timeout": "server_error",
    "cut": "server_error",
}
"""Codes inside a stream.  Codex 0.169 compacts on context_length_exceeded, gives up on insufficient_quota and
invalid_prompt, and asks again after all others."""

_DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": False,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "truncation": "disabled",
}


_Start = Union[TextStart, RefusalStart, ReasoningStart, ToolStart]


class _Block:
    """A block of the answer, which becomes an item."""

    __slots__ = ("call", "custom", "head", "hot", "id", "index", "item", "kind", "tail", "texts")

    def __init__(self, kind: str, id: str, index: int) -> None:
        self.kind = kind
        """A key of _DELTAS."""
        self.id = id
        self.index = index
        self.texts: list[str] = []
        self.call: dict[str, Any] = {}
        """The members that all items of a call have."""
        self.custom: Optional[tools.CustomInput] = None
        """Unpacks the function that stood for a custom tool."""
        self.item: Optional[dict[str, Any]] = None
        """When the block has ended."""
        self.hot = False
        """A delta is an event, and nothing has to come before it."""
        self.head = self.tail = b""
        """What stands before and after the number of a delta's event."""

    def add(self, text: str) -> str:
        """Take the next piece; return what can be told of it."""
        if self.custom is not None:
            text = self.custom.feed(text)
        self.texts.append(text)
        return text

    def rest(self) -> str:
        """Return what has to be told at the end, and was not."""
        if self.custom is not None:
            rest = self.custom.end()
        elif self.kind == "call" and not any(self.texts):
            rest = "{}"  # no arguments are an object without members
        else:
            return ""
        self.texts.append(rest)
        return rest


class ResponsesAnswer:
    """Puts the answer together, block by block, until it is one body."""

    __slots__ = ("_asked", "_characters", "_ids", "_refused", "blocks", "model")

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.model = asked.conversation.model
        self.blocks: list[_Block] = []
        self._ids: Optional[tools.CallIds] = None
        self._refused = False
        self._characters = 0

    def start(self, event: _Start) -> _Block:
        if isinstance(event, TextStart):
            return self._add("text", "msg")
        if isinstance(event, RefusalStart):
            self._refused = True
            return self._add("refusal", "msg")
        if isinstance(event, ReasoningStart):
            # A summary where the client wants one, for that is what Codex shows; else the text itself.
            summary = event.summary or bool(self._asked.conversation.summary)
            return self._add("summary" if summary else "thought", "rs")
        return self._start_call(event)

    def _add(self, kind: str, prefix: str) -> _Block:
        index = len(self.blocks)
        block = _Block(kind, f"{prefix}_{self._asked.id}_{index}", index)
        self.blocks.append(block)
        return block

    def _start_call(self, event: ToolStart) -> _Block:
        tool = self._asked.names.back(event.name)
        name, namespace = (event.name, event.namespace) if event.namespace else (tool.name, tool.namespace)
        custom = event.custom or tool.kind == "custom"
        block = self._add("custom_call", "ctc") if custom else self._add("call", "fc")
        if custom and not event.custom:
            block.custom = tools.CustomInput()
        if self._ids is None:
            self._ids = tools.CallIds.of_answer(self._asked)
        block.call = {
            "id": block.id,
            "type": "custom_tool_call" if custom else "function_call",
            "call_id": self._ids.fit(event.id),
            "name": name,
        }
        if namespace:
            block.call["namespace"] = namespace
        return block

    def end(self, block: _Block, event: BlockEnd) -> dict[str, Any]:
        """Return the item that *block* has become."""
        text = "".join(block.texts)
        self._characters += len(text)
        kind = block.kind
        if kind in ("text", "refusal"):
            content = [_content(kind, text)]
            item = {"id": block.id, "type": "message", "status": "completed", "role": "assistant", "content": content}
        elif kind in ("thought", "summary"):
            item = {"id": block.id, "type": "reasoning", "summary": []}
            if text and kind == "summary":
                item["summary"] = [_content(kind, text)]
            elif text:
                item["content"] = [_content(kind, text)]
            if text or event.signature or event.encrypted:
                upstream = self._asked.upstream
                item["encrypted_content"] = reasoning.pack(text, upstream, event.signature, event.encrypted)
        else:
            item = {**block.call, "status": "completed", _MEMBERS[kind]: text}
        block.item = item
        return item

    def close(self, block: _Block, event: BlockEnd) -> None:
        """End *block*; nobody is told the rest."""
        block.rest()
        self.end(block, event)

    def stopped(self, event: Stop) -> dict[str, Any]:
        """Return the body of an answer whose blocks have ended."""
        if event.reason == "context":
            return self.failed(WireError("context", "The context window of the model is full.", 400))
        usage = self._usage(event.usage)
        if event.reason == "length":
            return self.body("incomplete", usage, incomplete={"reason": "max_output_tokens"})
        if event.reason == "refusal" and not self._refused:
            return self.body("incomplete", usage, incomplete={"reason": "content_filter"})
        return self.body("completed", usage)

    def failed(self, error: WireError) -> dict[str, Any]:
        message = error.message
        wait = error.retry_after.strip()
        if error.kind == "rate_limit" and wait.isdecimal() and "try again in" not in message.lower():
            message = f"{message.rstrip('. ')}. Please try again in {wait}s."  # Codex waits as long as this text says
        return self.body("failed", error={"code": CODES[error.kind], "message": message})

    def body(
        self,
        status: str,
        usage: Optional[dict[str, Any]] = None,
        *,
        error: Optional[dict[str, Any]] = None,
        incomplete: Optional[dict[str, Any]] = None,
    ) -> dict[str, Any]:
        asked = self._asked
        return {
            "id": f"resp_{asked.id}",
            "object": "response",
            "created_at": asked.created,
            "status": status,
            "error": error,
            "incomplete_details": incomplete,
            "model": self.model,
            "output": [block.item for block in self.blocks if block.item is not None],
            "usage": usage,
            **_DEFAULTS,
            **asked.conversation.echo,
            "background": False,
            "store": False,
        }

    def _usage(self, usage: Optional[Usage]) -> Optional[dict[str, Any]]:
        """Return the figures; estimated ones when the upstream told none, for Codex compacts by them."""
        if usage is None:
            estimate = self._asked.input_estimate
            if not estimate:
                return None
            usage = Usage(estimate, (self._characters + 3) // 4)
        prompt = usage.prompt
        return {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": prompt + usage.output,
        }


_DELTAS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "text": ("response.output_text.delta", {"content_index": 0, "logprobs": []}),
    "refusal": ("response.refusal.delta", {"content_index": 0}),
    "thought": ("response.reasoning_text.delta", {"content_index": 0}),
    "summary": ("response.reasoning_summary_text.delta", {"summary_index": 0}),
    "call": ("response.function_call_arguments.delta", {}),
    "custom_call": ("response.custom_tool_call_input.delta", {}),
}
_MEMBERS = {"call": "arguments", "custom_call": "input"}


def _content(kind: str, text: str) -> dict[str, Any]:
    if kind == "text":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "summary_text" if kind == "summary" else "reasoning_text", "text": text}


_BEGINNING = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":%b}\n\n'
    b'event: response.in_progress\ndata: {"type":"response.in_progress","sequence_number":1,"response":%b}\n\n'
)


class ResponsesWriter:
    """Turns the neutral events of one answer into SSE text (``messages.SseWriter``)."""

    __slots__ = ("_answer", "_begun", "_blocks", "_number", "_over")

    def __init__(self, asked: Asked) -> None:
        self._answer = ResponsesAnswer(asked)
        self._blocks = self._answer.blocks
        self._number = 0
        self._begun = self._over = False

    def write(self, event: Event) -> bytes:
        if type(event) is not Delta:
            return self._rare(event)
        block = self._blocks[event.block]
        if not block.hot:
            return self._slow_delta(block, event.text)
        number = self._number
        self._number = number + 1
        block.texts.append(event.text)
        return b"%b%d%b%b}\n\n" % (block.head, number, block.tail, codec.dumps(event.text))

    def _rare(self, event: Event) -> bytes:
        if isinstance(event, Ping):
            return PING
        if self._over:
            return b""
        if isinstance(event, Started):
            return self._begin(event.model)
        if isinstance(event, BlockEnd):
            return self._end(self._blocks[event.block], event)
        if isinstance(event, Stop):
            return self._stop(event)
        if isinstance(event, Failed):
            return self._begin("") + self._finish(self._answer.failed(event.error))
        return b"" if isinstance(event, Delta) else self._begin("") + self._start(event)

    def _event(self, name: str, members: Mapping[str, Any]) -> bytes:
        number = self._number
        self._number = number + 1
        kind, data = name.encode(), codec.dumps(members)
        return b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b\n\n' % (kind, kind, number, data[1:])

    # The answer as a whole.

    def _begin(self, model: str) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        answer = self._answer
        answer.model = answer.model or model
        self._number = 2
        response = codec.dumps(answer.body("in_progress"))
        return _BEGINNING % (response, response)

    def _stop(self, event: Stop) -> bytes:
        out = [self._begin("")]
        if event.reason != "context":
            out += [self._end(block, BlockEnd(block.index)) for block in self._blocks]
        return b"".join(out) + self._finish(self._answer.stopped(event))

    def _finish(self, response: dict[str, Any]) -> bytes:
        self._over = True
        for block in self._blocks:
            block.hot = False
        return self._event(f"response.{response['status']}", {"response": response})

    # Blocks.

    def _start(self, event: _Start) -> bytes:
        block = self._answer.start(event)
        name, members = _DELTAS[block.kind]
        block.head = f'event: {name}\ndata: {{"type":"{name}","sequence_number":'.encode()
        block.tail = b"," + codec.dumps(_place(block, **members))[1:-1] + b',"delta":'
        if block.kind in ("thought", "summary"):  # its part begins with the first delta
            return self._added(block, {"id": block.id, "type": "reasoning", "summary": []})
        block.hot = block.custom is None
        if block.call:
            return self._added(block, {**block.call, "status": "in_progress", _MEMBERS[block.kind]: ""})
        item = {"id": block.id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        return self._added(block, item) + self._part(block, "added", "")

    def _added(self, block: _Block, item: Mapping[str, Any]) -> bytes:
        return self._event("response.output_item.added", {"output_index": block.index, "item": item})

    def _part(self, block: _Block, step: str, text: str) -> bytes:
        part = _content(block.kind, text)
        if block.kind == "summary":
            return self._event(f"response.reasoning_summary_part.{step}", _place(block, summary_index=0, part=part))
        return self._event(f"response.content_part.{step}", _place(block, content_index=0, part=part))

    def _delta(self, block: _Block, text: str) -> bytes:
        number = self._number
        self._number = number + 1
        return b"%b%d%b%b}\n\n" % (block.head, number, block.tail, codec.dumps(text))

    def _slow_delta(self, block: _Block, text: str) -> bytes:
        if self._over or block.item is not None:
            return b""
        piece = block.add(text)
        if block.custom is not None:
            return self._delta(block, piece) if piece else b""
        block.hot = True
        return self._part(block, "added", "") + self._delta(block, piece)

    def _end(self, block: _Block, event: BlockEnd) -> bytes:
        if block.item is not None:
            return b""
        rest = block.rest()
        out = self._delta(block, rest) if rest else b""
        block.hot = False
        item = self._answer.end(block, event)
        text = "".join(block.texts)
        if block.call:
            out += self._done(block, **{_MEMBERS[block.kind]: text})
        elif block.kind == "text":
            out += self._done(block, content_index=0, text=text, logprobs=[]) + self._part(block, "done", text)
        elif block.kind == "refusal":
            out += self._done(block, content_index=0, refusal=text) + self._part(block, "done", text)
        elif text:
            place = {"summary_index" if block.kind == "summary" else "content_index": 0}
            out += self._done(block, **place, text=text) + self._part(block, "done", text)
        return out + self._event("response.output_item.done", {"output_index": block.index, "item": item})

    def _done(self, block: _Block, **members: Any) -> bytes:
        name = _DELTAS[block.kind][0].removesuffix("delta") + "done"
        return self._event(name, _place(block, **members))


def _place(block: _Block, **members: Any) -> dict[str, Any]:
    return {"item_id": block.id, "output_index": block.index, **members}


def write_answer(events: Events, asked: Asked) -> bytes:
    """Return the body of an answer that is not a stream; its status is ``failed`` after Failed.

    ValueError when the events hold neither Stop nor Failed.
    """
    answer = ResponsesAnswer(asked)
    blocks = answer.blocks
    for event in events:
        if type(event) is Delta:
            if blocks[event.block].item is None:
                blocks[event.block].add(event.text)
        elif type(event) is BlockEnd:
            if blocks[event.block].item is None:
                answer.close(blocks[event.block], event)
        elif type(event) is Started:
            answer.model = answer.model or event.model
        elif isinstance(event, (TextStart, RefusalStart, ReasoningStart, ToolStart)):
            answer.start(event)
        elif type(event) is Stop:
            if event.reason != "context":
                for block in blocks:
                    if block.item is None:
                        answer.close(block, BlockEnd(block.index))
            return codec.dumps(answer.stopped(event))
        elif type(event) is Failed:
            return codec.dumps(answer.failed(event.error))
    raise ValueError("the answer has no end")
