"""Answers of Anthropic Messages, whole and as streams, to neutral events.  Pure."""

from __future__ import annotations

from typing import Any, Literal, Mapping

from ccsetup.relay.wire import codec, errors, usage
from ccsetup.relay.wire.messages import (
    BlockEnd,
    Delta,
    Event,
    Failed,
    Ping,
    ReasoningStart,
    Started,
    Stop,
    StopReason,
    TextStart,
    ToolStart,
    WireError,
)

_REASONS: Mapping[str, StopReason] = {
    "end_turn": "end",
    "tool_use": "tools",
    "max_tokens": "length",
    "stop_sequence": "sequence",
    "refusal": "refusal",
    "pause_turn": "pause",
    "model_context_window_exceeded": "context",
}

_MAX_TEXT = 64 << 20
"""Characters of signatures and of arguments that are held; what is beyond is dropped."""


def _reason(said: Any, called: bool) -> StopReason:
    reason = _REASONS.get(said, "end") if isinstance(said, str) else "end"
    # Some providers end a turn of calls with end_turn, and Claude Code would not run them.
    return "tools" if called and reason in ("end", "sequence") else reason


class _Block:
    """A block that the upstream has open."""

    __slots__ = ("arguments", "block", "data", "kind", "said", "signature")

    def __init__(self, block: int, kind: Literal["text", "thinking", "tool"]) -> None:
        self.block = block
        self.kind = kind
        self.arguments = ""
        """Of a tool: those that stood in its start."""
        self.said = False
        """A delta has come."""
        self.signature = ""
        self.data = ""


class Reader:
    """Reads a stream.  Blocks of tools that the provider runs itself, and citations, are skipped."""

    def __init__(self) -> None:
        self._blocks: dict[Any, _Block] = {}
        self._count = 0
        self._started = False
        self._over = False
        self._called = False
        self._stop_reason: Any = None
        self._sequence = ""
        self._tally = usage.Tally()

    def feed(self, event: str, data: bytes) -> list[Event]:
        if self._over:
            return []
        try:
            value = codec.loads(data)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        kind = value.get("type") or event
        if kind == "content_block_delta":
            return self._delta(value)
        found: list[Event] = []
        if kind == "content_block_start":
            self._block_start(value, found)
        elif kind == "content_block_stop":
            self._close(_index(value), found)
        elif kind == "message_delta":
            self._message_delta(value)
        elif kind == "message_start":
            self._message_start(value, found)
        elif kind == "message_stop":
            self._finish(found)
        elif kind == "ping":
            found.append(Ping())
        else:
            error = errors.from_value(value) if kind == "error" else errors.error_in(value)
            if error is not None:
                self._over = True
                found.append(Failed(error))
        return found

    def end(self) -> list[Event]:
        if self._over:
            return []
        found: list[Event] = []
        if self._stop_reason is not None:
            self._finish(found)
            return found
        self._over = True
        what = "before its end" if self._started else "before it began"
        return [Failed(WireError("cut", f"The upstream's stream ended {what}.", errors.status_of("cut")))]

    def _start(self, found: list[Event], id: str = "", model: str = "") -> None:
        if not self._started:
            self._started = True
            found.append(Started(id, model, self._tally.usage))

    def _message_start(self, value: Mapping[str, Any], found: list[Event]) -> None:
        message = value.get("message")
        message = message if isinstance(message, dict) else {}
        self._tally.take(message.get("usage"))
        self._start(found, _str(message.get("id")), _str(message.get("model")))

    def _message_delta(self, value: Mapping[str, Any]) -> None:
        delta = value.get("delta")
        if isinstance(delta, dict):
            if delta.get("stop_reason") is not None:
                self._stop_reason = delta["stop_reason"]
            self._sequence = _str(delta.get("stop_sequence")) or self._sequence
        self._tally.take(value.get("usage"))

    def _block_start(self, value: Mapping[str, Any], found: list[Event]) -> None:
        self._start(found)
        index = _index(value)
        if index in self._blocks:
            self._close(index, found)
        given = value.get("content_block")
        if isinstance(given, dict):
            self._open(index, given, found)

    def _open(self, index: Any, given: Mapping[str, Any], found: list[Event]) -> None:
        kind = given.get("type")
        if kind == "text":
            self._begin(index, "text", found)
            self._say(index, _str(given.get("text")), found)
        elif kind == "thinking":
            self._begin(index, "thinking", found).signature = _str(given.get("signature"))
            self._say(index, _str(given.get("thinking")), found)
        elif kind == "redacted_thinking":
            self._begin(index, "thinking", found).data = _str(given.get("data"))
        elif kind == "tool_use":
            block = _Block(self._count, "tool")
            self._blocks[index] = block
            self._count += 1
            self._called = True
            block.arguments = _arguments(given.get("input"))
            found.append(ToolStart(block.block, _str(given.get("id")), _str(given.get("name"))))

    def _begin(self, index: Any, kind: Literal["text", "thinking"], found: list[Event]) -> _Block:
        block = _Block(self._count, kind)
        self._blocks[index] = block
        self._count += 1
        found.append(TextStart(block.block) if kind == "text" else ReasoningStart(block.block))
        return block

    def _say(self, index: Any, text: str, found: list[Event]) -> None:
        if text:
            block = self._blocks[index]
            block.said = True
            found.append(Delta(block.block, text))

    def _delta(self, value: Mapping[str, Any]) -> list[Event]:
        delta = value.get("delta")
        if not isinstance(delta, dict):
            return []
        index = _index(value)
        block = self._blocks.get(index)
        kind = delta.get("type")
        if kind == "text_delta":
            text = delta.get("text")
            if block is not None and block.kind == "text" and text and isinstance(text, str):
                return [Delta(block.block, text)]
            return self._without_start(index, "text", text) if block is None else []
        if kind == "input_json_delta":
            text = delta.get("partial_json")
            if block is None or block.kind != "tool" or not text or not isinstance(text, str):
                return []
            block.said = True
            return [Delta(block.block, text)]
        if kind == "thinking_delta":
            text = delta.get("thinking")
            if block is not None and block.kind == "thinking" and text and isinstance(text, str):
                return [Delta(block.block, text)]
            return self._without_start(index, "thinking", text) if block is None else []
        if kind == "signature_delta" and block is not None and block.kind == "thinking":
            block.signature = (block.signature + _str(delta.get("signature")))[:_MAX_TEXT]
        return []

    def _without_start(self, index: Any, kind: Literal["text", "thinking"], text: Any) -> list[Event]:
        """Deltas of a block that was never started; those of blocks that are skipped are not of these types."""
        if not text or not isinstance(text, str):
            return []
        found: list[Event] = []
        self._start(found)
        self._begin(index, kind, found)
        self._say(index, text, found)
        return found

    def _close(self, index: Any, found: list[Event]) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block.kind == "tool" and not block.said:
            found.append(Delta(block.block, block.arguments or "{}"))
        found.append(BlockEnd(block.block, block.signature, block.data, bool(block.data)))

    def _finish(self, found: list[Event]) -> None:
        self._over = True
        self._start(found)
        for index in list(self._blocks):
            self._close(index, found)
        found.append(Stop(_reason(self._stop_reason, self._called), self._tally.usage, self._sequence))


def _index(value: Mapping[str, Any]) -> Any:
    index = value.get("index")
    return index if isinstance(index, (int, str)) else 0


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _arguments(given: Any) -> str:
    """Return arguments that stand in the start of a block; "" when there are none."""
    if isinstance(given, str):
        return given
    if not given:
        return ""
    try:
        return codec.dumps(given).decode()
    except (TypeError, ValueError, RecursionError):
        return ""


def read_answer(body: bytes) -> list[Event]:
    """Read an answer that is not a stream.  What is no answer becomes Failed; never raises."""
    try:
        value = codec.loads(body)
    except (ValueError, RecursionError):
        value = None
    error = errors.error_in(value)
    if error is not None:
        return [Failed(error)]
    content = value.get("content") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(content, list):
        message = "The upstream's answer is not one of Anthropic Messages."
        return [Failed(WireError("server", message, errors.status_of("cut")))]
    reader = Reader()
    found: list[Event] = []
    reader._message_start({"message": value}, found)
    for index, block in enumerate(content):
        if isinstance(block, dict):
            reader._open(index, block, found)
            reader._close(index, found)
    reader._message_delta({"delta": value})
    reader._finish(found)
    return found
