"""Answers of Anthropic Messages, whole and as streams, to neutral events.  Pure."""

from __future__ import annotations

from typing import Any, Literal, Mapping, Optional

from ccsetup.relay.wire import codec, errors, usage
from ccsetup.relay.wire.alike import Alike
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


_Kind = Literal["text", "thinking", "tool"]

_DELTAS: Mapping[Any, tuple[_Kind, str]] = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "input_json_delta": ("tool", "partial_json"),
}
"""Kind of the block, and the member with the text."""


class _Block:
    """A block that the upstream has open."""

    __slots__ = ("_signed", "arguments", "block", "data", "kind", "said", "signature")

    def __init__(self, block: int, kind: _Kind) -> None:
        self.block = block
        self.kind = kind
        self.arguments = ""
        """Of a tool: those that stood in its start."""
        self.said = False
        """A delta has come."""
        self.signature: list[str] = []
        self._signed = 0
        self.data = ""

    def sign(self, text: str) -> None:
        """Take the next piece of the signature."""
        text = text[: _MAX_TEXT - self._signed]
        self._signed += len(text)
        self.signature.append(text)


class MessagesReader:
    """Reads a stream.  Blocks of tools that the provider runs itself, and citations, are skipped."""

    __slots__ = (
        "_alike", "_blocks", "_called", "_count", "_hot", "_over", "_sequence", "_started", "_stop_reason", "_tally",
    )  # fmt: skip

    def __init__(self) -> None:
        self._alike: Optional[Alike] = None
        self._hot: Optional[_Block] = None
        """The block of the delta that others are alike to."""
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
        alike, hot = self._alike, self._hot
        if alike is not None and hot is not None and (text := alike.text(data)):
            return [Delta(hot.block, text)]
        try:
            value = codec.loads(data)
        except (ValueError, RecursionError):
            return []
        if not isinstance(value, dict):
            return []
        kind = value.get("type") or event
        if kind == "content_block_delta":
            return self._delta(value, data)
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
            self._begin(index, "thinking", found).sign(_str(given.get("signature")))
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

    def _delta(self, value: Mapping[str, Any], data: bytes) -> list[Event]:
        delta = value.get("delta")
        if not isinstance(delta, dict):
            return []
        index = _index(value)
        block = self._blocks.get(index)
        kind = delta.get("type")
        if kind == "signature_delta":
            if block is not None and block.kind == "thinking":
                block.sign(_str(delta.get("signature")))
            return []
        if not isinstance(kind, str) or kind not in _DELTAS:
            return []
        wanted, member = _DELTAS[kind]
        text = delta.get(member)
        if not text or not isinstance(text, str):
            return []
        if block is None:
            return self._without_start(index, wanted, text)
        if block.kind != wanted:
            return []
        block.said = True
        if self._alike is None:
            self._alike = Alike()
        if self._alike.show(data, b'"%b":' % member.encode(), text):
            self._hot = block
        return [Delta(block.block, text)]

    def _without_start(self, index: Any, kind: _Kind, text: str) -> list[Event]:
        """Deltas of a block that was never started; those of blocks that are skipped are not of these types."""
        found: list[Event] = []
        if kind != "tool":
            self._start(found)
            self._begin(index, kind, found)
            self._say(index, text, found)
        return found

    def _close(self, index: Any, found: list[Event]) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            return
        if block is self._hot:
            self._hot = None
        if block.kind == "tool" and not block.said:
            found.append(Delta(block.block, block.arguments or "{}"))
        found.append(BlockEnd(block.block, "".join(block.signature), block.data, bool(block.data)))

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
    return codec.written_or_nothing(given) if given else ""


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
    reader = MessagesReader()
    found: list[Event] = []
    reader._message_start({"message": value}, found)
    for index, block in enumerate(content):
        if isinstance(block, dict):
            reader._open(index, block, found)
            reader._close(index, found)
    reader._message_delta({"delta": value})
    reader._finish(found)
    return found
