"""Neutral events as an answer of OpenAI Responses.  Imported through ``responses``.

Every event that Codex and OpenAI's own SDKs read is sent, in OpenAI's order and with its counter.  One block of the
answer is one output item, so the number of the block is its ``output_index``.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

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


class _Block:
    __slots__ = ("call", "custom", "head", "hot", "id", "index", "kind", "open", "tail", "texts")

    def __init__(self, kind: str, id: str, index: int) -> None:
        self.kind = kind
        """A key of _DELTAS."""
        self.id = id
        self.index = index
        self.texts: list[str] = []
        self.open = True
        self.hot = False
        """A delta is an event, and nothing has to come before it."""
        self.head = self.tail = b""
        """What stands before and after the number of a delta's event."""
        self.call: dict[str, Any] = {}
        """The members that all items of a call have."""
        self.custom: Optional[tools.CustomInput] = None


_DELTAS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "text": ("response.output_text.delta", {"content_index": 0, "logprobs": []}),
    "refusal": ("response.refusal.delta", {"content_index": 0}),
    "thought": ("response.reasoning_text.delta", {"content_index": 0}),
    "summary": ("response.reasoning_summary_text.delta", {"summary_index": 0}),
    "call": ("response.function_call_arguments.delta", {}),
    "custom_call": ("response.custom_tool_call_input.delta", {}),
}


_BEGINNING = (
    b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":%b}\n\n'
    b'event: response.in_progress\ndata: {"type":"response.in_progress","sequence_number":1,"response":%b}\n\n'
)


class Writer:
    """Turns the neutral events of one answer into SSE text (``messages.SseWriter``)."""

    def __init__(self, asked: Asked, *, silent: bool = False) -> None:
        """*silent*: make no events, only ``response``."""
        self._asked = asked
        self._silent = silent
        self._number = 0
        self._blocks: list[_Block] = []
        self._items: list[Optional[dict[str, Any]]] = []
        self._taken: Optional[set[str]] = None
        self._begun = False
        self._refused = False
        self._characters = 0
        self._model = asked.conversation.model
        self._echo: Optional[dict[str, Any]] = None
        self.response: Optional[dict[str, Any]] = None
        """The answer as one body, when it has ended."""

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
        if self.response is not None:
            return b""
        if isinstance(event, Started):
            return self._start(event.model)
        if isinstance(event, BlockEnd):
            return self._end(self._blocks[event.block], event)
        if isinstance(event, Stop):
            return self._stop(event)
        if isinstance(event, Failed):
            return self._fail(event.error)
        before = b"" if self._begun else self._start("")
        if isinstance(event, TextStart):
            return before + self._start_message("text")
        if isinstance(event, RefusalStart):
            self._refused = True
            return before + self._start_message("refusal")
        if isinstance(event, ReasoningStart):
            return before + self._start_reasoning(event)
        if isinstance(event, ToolStart):
            return before + self._start_call(event)
        return b""

    def _event(self, name: str, members: Mapping[str, Any]) -> bytes:
        if self._silent:
            return b""
        number = self._number
        self._number = number + 1
        kind, data = name.encode(), codec.dumps(members)
        return b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b\n\n' % (kind, kind, number, data[1:])

    # The answer as a whole.

    def _start(self, model: str) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        self._model = self._model or model
        if self._silent:
            return b""
        self._number = 2
        response = codec.dumps(self._response("in_progress"))
        return _BEGINNING % (response, response)

    def _response(self, status: str, usage: Optional[dict[str, Any]] = None, **members: Any) -> dict[str, Any]:
        if self._echo is None:
            self._echo = {**_DEFAULTS, **self._asked.conversation.echo, "background": False, "store": False}
        return {
            "id": "resp_" + self._asked.id,
            "object": "response",
            "created_at": self._asked.created,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self._model,
            "output": [item for item in self._items if item is not None],
            "usage": usage,
            **self._echo,
            **members,
        }

    def _stop(self, event: Stop) -> bytes:
        out = b"" if self._begun else self._start("")
        if event.reason == "context":
            return out + self._fail(WireError("context", "The context window of the model is full.", 400))
        for block in self._blocks:
            if block.open:
                out += self._end(block, BlockEnd(block.index))
        usage = self._usage(event.usage)
        if event.reason == "length":
            return out + self._finish("incomplete", usage, incomplete_details={"reason": "max_output_tokens"})
        if event.reason == "refusal" and not self._refused:
            return out + self._finish("incomplete", usage, incomplete_details={"reason": "content_filter"})
        return out + self._finish("completed", usage)

    def _finish(self, status: str, usage: Optional[dict[str, Any]], **members: Any) -> bytes:
        self.response = self._response(status, usage, **members)
        return self._event(f"response.{status}", {"response": self.response})

    def _fail(self, error: WireError) -> bytes:
        out = b"" if self._begun else self._start("")
        message = error.message
        wait = error.retry_after.strip()
        if error.kind == "rate_limit" and wait.isdecimal() and "try again in" not in message.lower():
            message = f"{message.rstrip('. ')}. Please try again in {wait}s."  # Codex waits as long as this text says
        return out + self._finish("failed", None, error={"code": CODES[error.kind], "message": message})

    def _usage(self, usage: Optional[Usage]) -> Optional[dict[str, Any]]:
        """Return the figures; estimated ones when the upstream told none, for Codex compacts by them."""
        if usage is None:
            if not self._asked.input_estimate:
                return None
            usage = Usage(self._asked.input_estimate, (self._characters + 3) // 4)
        return {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.prompt + usage.output,
        }

    # Blocks.

    def _add(self, kind: str, prefix: str) -> _Block:
        index = len(self._blocks)
        block = _Block(kind, f"{prefix}_{self._asked.id}_{index}", index)
        name, members = _DELTAS[kind]
        block.head = f'event: {name}\ndata: {{"type":"{name}","sequence_number":'.encode()
        block.tail = b"," + codec.dumps(self._place(block, **members))[1:-1] + b',"delta":'
        self._blocks.append(block)
        self._items.append(None)
        return block

    def _place(self, block: _Block, **members: Any) -> dict[str, Any]:
        return {"item_id": block.id, "output_index": block.index, **members}

    def _added(self, block: _Block, item: Mapping[str, Any]) -> bytes:
        return self._event("response.output_item.added", {"output_index": block.index, "item": item})

    def _item(self, block: _Block, item: dict[str, Any]) -> bytes:
        self._items[block.index] = item
        return self._event("response.output_item.done", {"output_index": block.index, "item": item})

    def _delta(self, block: _Block, text: str) -> bytes:
        number = self._number
        self._number = number + 1
        block.texts.append(text)
        return b"%b%d%b%b}\n\n" % (block.head, number, block.tail, codec.dumps(text))

    def _slow_delta(self, block: _Block, text: str) -> bytes:
        if not block.open or self.response is not None:
            return b""
        if block.custom is not None:
            piece = block.custom.feed(text)
            return self._delta(block, piece) if piece else b""
        block.hot = True
        return self._reasoning_part(block, "added", "") + self._delta(block, text)

    def _end(self, block: _Block, event: BlockEnd) -> bytes:
        if not block.open:
            return b""
        block.open = block.hot = False
        if block.kind in ("text", "refusal"):
            return self._end_message(block)
        if block.kind in ("thought", "summary"):
            return self._end_reasoning(block, event)
        return self._end_call(block)

    # Texts.

    def _start_message(self, kind: str) -> bytes:
        block = self._add(kind, "msg")
        block.hot = True
        item = {"id": block.id, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        return self._added(block, item) + self._message_part(block, "added", "")

    def _message_part(self, block: _Block, step: str, text: str) -> bytes:
        place = self._place(block, content_index=0, part=_content(block.kind, text))
        return self._event(f"response.content_part.{step}", place)

    def _end_message(self, block: _Block) -> bytes:
        text = "".join(block.texts)
        self._characters += len(text)
        if block.kind == "text":
            done = self._event("response.output_text.done", self._place(block, content_index=0, text=text, logprobs=[]))
        else:
            done = self._event("response.refusal.done", self._place(block, content_index=0, refusal=text))
        content = [_content(block.kind, text)]
        item = {"id": block.id, "type": "message", "status": "completed", "role": "assistant", "content": content}
        return done + self._message_part(block, "done", text) + self._item(block, item)

    # Reasoning.

    def _start_reasoning(self, event: ReasoningStart) -> bytes:
        """A summary where the client wants one, for that is what Codex shows; else the text itself."""
        summary = event.summary or bool(self._asked.conversation.summary)
        block = self._add("summary" if summary else "thought", "rs")
        return self._added(block, {"id": block.id, "type": "reasoning", "summary": []})

    def _reasoning_part(self, block: _Block, step: str, text: str) -> bytes:
        if block.kind == "summary":
            part = {"type": "summary_text", "text": text}
            return self._event(
                f"response.reasoning_summary_part.{step}", self._place(block, summary_index=0, part=part)
            )
        part = {"type": "reasoning_text", "text": text}
        return self._event(f"response.content_part.{step}", self._place(block, content_index=0, part=part))

    def _end_reasoning(self, block: _Block, event: BlockEnd) -> bytes:
        text = "".join(block.texts)
        self._characters += len(text)
        item: dict[str, Any] = {"id": block.id, "type": "reasoning", "summary": []}
        done = b""
        if text and block.kind == "summary":
            done = self._event("response.reasoning_summary_text.done", self._place(block, summary_index=0, text=text))
            item["summary"] = [{"type": "summary_text", "text": text}]
        elif text:
            done = self._event("response.reasoning_text.done", self._place(block, content_index=0, text=text))
            item["content"] = [{"type": "reasoning_text", "text": text}]
        if text:
            done += self._reasoning_part(block, "done", text)
        if text or event.signature or event.encrypted:
            item["encrypted_content"] = reasoning.pack(text, self._asked.upstream, event.signature, event.encrypted)
        return done + self._item(block, item)

    # Calls.

    def _start_call(self, event: ToolStart) -> bytes:
        tool = self._asked.names.back(event.name)
        name, namespace = (event.name, event.namespace) if event.namespace else (tool.name, tool.namespace)
        custom = event.custom or tool.kind == "custom"
        block = self._add("custom_call" if custom else "call", "ctc" if custom else "fc")
        block.hot = event.custom or not custom
        if not block.hot:
            block.custom = tools.CustomInput()
        if self._taken is None:
            self._taken = tools.taken_ids(self._asked.conversation)
        block.call = {
            "id": block.id,
            "type": "custom_tool_call" if custom else "function_call",
            "call_id": tools.fit_id(event.id, self._asked.id, self._taken),
            "name": name,
        }
        if namespace:
            block.call["namespace"] = namespace
        member = "input" if custom else "arguments"
        return self._added(block, {**block.call, "status": "in_progress", member: ""})

    def _end_call(self, block: _Block) -> bytes:
        out = b""
        if block.custom is not None:
            rest = block.custom.end()
            out = self._delta(block, rest) if rest else b""
        elif block.kind == "call" and not any(block.texts):
            out = self._delta(block, "{}")  # no arguments are an object without members
        text = "".join(block.texts)
        self._characters += len(text)
        if block.kind == "call":
            name, member = "response.function_call_arguments.done", "arguments"
        else:
            name, member = "response.custom_tool_call_input.done", "input"
        out += self._event(name, self._place(block, **{member: text}))
        return out + self._item(block, {**block.call, "status": "completed", member: text})


def _content(kind: str, text: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def write_answer(events: Events, asked: Asked) -> bytes:
    """Return the body of an answer that is not a stream; its status is ``failed`` after Failed.

    ValueError when the events hold neither Stop nor Failed.
    """
    writer = Writer(asked, silent=True)
    for event in events:
        writer.write(event)
    if writer.response is None:
        raise ValueError("the answer has no end")
    return codec.dumps(writer.response)
