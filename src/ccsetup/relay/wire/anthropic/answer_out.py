"""Neutral events, and errors, to answers of Anthropic Messages, whole and as streams.  Pure."""

from __future__ import annotations

from typing import Any, Literal, Mapping, Optional, Sequence, Union

from ccsetup.relay.wire import codec, reasoning, tools
from ccsetup.relay.wire.anthropic.error_out import error_body
from ccsetup.relay.wire.messages import (
    Asked,
    BlockEnd,
    Delta,
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
    ToolCall,
    ToolStart,
    Usage,
)

PING = b'event: ping\ndata: {"type":"ping"}\n\n'

_REASONS: Mapping[StopReason, str] = {
    "end": "end_turn",
    "tools": "tool_use",
    "length": "max_tokens",
    "sequence": "stop_sequence",
    "refusal": "refusal",
    "pause": "pause_turn",
    "context": "model_context_window_exceeded",
}

_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
_DELTA_END = b"}}\n\n"
_TYPES: Mapping[str, tuple[bytes, bytes]] = {
    "text": (b"text_delta", b"text"),
    "thinking": (b"thinking_delta", b"thinking"),
    "tool": (b"input_json_delta", b"partial_json"),
}
_CHARS_PER_TOKEN = 3


class _Piece:
    """A neutral block on its way to the client."""

    __slots__ = (
        "begin", "complete", "custom", "encrypted", "end", "held", "id", "index", "kind", "name", "plain", "signature",
    )  # fmt: skip

    def __init__(self, kind: Literal["text", "thinking", "tool"]) -> None:
        self.kind = kind
        self.held: list[str] = []
        """Deltas that wait for their turn; of a tool that is open, those whose end was not yet looked for."""
        self.index = -1
        """Of the client's block; below 0 while it is not open."""
        self.end = False
        self.signature = self.encrypted = ""
        self.id = self.name = ""
        self.custom = False
        self.begin = ""
        """Of a tool: the first character of its arguments that is not white space."""
        self.plain = False
        """A tool whose arguments go out as they come: they began as an object."""
        self.complete: Optional[tools.Completeness] = None


class MessagesWriter:
    """Writes a canonical stream: one block at a time, contiguous indexes, each closed before the next one opens.

    A delta goes out at once while its block is the open one; those of other blocks wait.  The open block closes for
    one that waits when it has ended, when it is text or thinking, or when a tool's arguments are a complete object.
    """

    __slots__ = (
        "_asked", "_chars", "_direct", "_head", "_ids", "_index", "_kinds", "_open", "_over", "_pieces", "_started",
    )  # fmt: skip

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._pieces: dict[int, _Piece] = {}
        """By neutral number, in the order of their starts; the first is the open one, the others wait."""
        self._open: Optional[_Piece] = None
        self._direct = -1
        """The neutral number of the block whose deltas need no look; -1 for none."""
        self._head = b""
        self._index = 0
        self._chars = 0
        self._ids: Optional[tools.CallIds] = None
        self._kinds: dict[int, Literal["text", "thinking", "tool"]] = {}
        self._started = False
        self._over = False

    def write(self, event: Event) -> bytes:
        if type(event) is Delta:
            block, text = event
            if block == self._direct:
                self._chars += len(text)
                return b"%b%b}}\n\n" % (self._head, codec.dumps(text)) if text else b""
            return self._delta(block, text)
        if self._over:
            return b""
        if type(event) is BlockEnd:
            return self._end(event)
        if type(event) is ToolStart:
            piece = _Piece("tool")
            piece.id, piece.custom = event.id, event.custom
            piece.name = self._asked.names.back(event.name).name or event.name
            return self._begin(event.block, piece)
        if type(event) is TextStart or type(event) is RefusalStart:
            return self._begin(event.block, _Piece("text"))
        if type(event) is ReasoningStart:
            return self._begin(event.block, _Piece("thinking"))
        if type(event) is Started:
            return self._start(event)
        if type(event) is Stop:
            return self._stop(event)
        if type(event) is Failed:
            self._over, self._direct = True, -1
            return _event("error", error_body(event.error))
        return PING if type(event) is Ping and self._started else b""

    def _start(self, event: Started) -> bytes:
        if self._started:
            return b""
        self._started = True
        told = event.usage or Usage(self._asked.input_estimate)
        return _event("message_start", {"type": "message_start", "message": _message(self._asked, event, told)})

    def _begin(self, block: int, piece: _Piece) -> bytes:
        out = b"" if self._started else self._start(Started("", ""))
        self._kinds[block] = piece.kind
        self._pieces[block] = piece
        return out + self._advance()

    def _delta(self, block: int, text: str) -> bytes:
        if self._over or not text:
            return b""
        piece = self._pieces.get(block)
        if piece is None:
            # More text of a block that was closed because another one began: it goes on in a new one.
            kind = self._kinds.get(block)
            if kind is None or kind == "tool":
                return b""
            piece = self._pieces[block] = _Piece(kind)
        self._chars += len(text)
        if piece is self._open and piece.plain:
            piece.held.append(text)
            out = b"%b%b}}\n\n" % (self._head, codec.dumps(text))
            return out + self._advance() if len(self._pieces) > 1 else out
        piece.held.append(text)
        piece.begin = piece.begin or text.lstrip()[:1]
        return self._advance()

    def _end(self, event: BlockEnd) -> bytes:
        piece = self._pieces.get(event.block)
        if piece is None:
            if not (self._kinds.get(event.block) == "thinking" and event.encrypted):
                return b""
            piece = self._pieces[event.block] = _Piece("thinking")
        piece.end = True
        piece.signature, piece.encrypted = event.signature, event.encrypted
        return self._advance()

    def _stop(self, event: Stop) -> bytes:
        out = b"" if self._started else self._start(Started("", ""))
        for piece in self._pieces.values():
            piece.end = True
        out += self._advance()
        self._over, self._direct = True, -1
        told = event.usage or Usage(self._asked.input_estimate, max(1, self._chars // _CHARS_PER_TOKEN))
        delta = {"stop_reason": _REASONS[event.reason], "stop_sequence": event.sequence or None}
        out += _event("message_delta", {"type": "message_delta", "delta": delta, "usage": _usage(told)})
        return out + b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    def _advance(self) -> bytes:
        """Send what can be sent, and open and close blocks, in order."""
        out: list[bytes] = []
        self._direct = -1
        while self._pieces:
            number, piece = next(iter(self._pieces.items()))
            waiting = len(self._pieces) > 1
            self._send(piece, out)
            if not (piece.end or (waiting and self._may_close(piece))):
                if piece.index >= 0 and piece.kind != "tool" and not waiting:
                    self._direct = number
                break
            self._close(piece, out)
            del self._pieces[number]
        return b"".join(out)

    def _send(self, piece: _Piece, out: list[bytes]) -> None:
        """Send what *piece* holds, as far as that may be sent now."""
        if not piece.held:
            return
        if piece.kind != "tool":
            text = "".join(piece.held)
            piece.held = []
            self._show(piece, text, out)
            return
        if piece.plain:
            return  # it was sent as it came; what is held is for _may_close
        if piece.custom:
            return
        if piece.begin == "{":
            held = "".join(piece.held)
            piece.held = [held]
            self._show(piece, held, out)
            piece.plain = True

    def _show(self, piece: _Piece, text: str, out: list[bytes]) -> None:
        self._open_block(piece, out)
        out.append(self._head + codec.dumps(text) + _DELTA_END)

    def _open_block(self, piece: _Piece, out: list[bytes]) -> None:
        if piece.index >= 0:
            return
        block: dict[str, Any]
        if piece.kind == "text":
            block = {"type": "text", "text": ""}
        elif piece.kind == "thinking":
            block = {"type": "thinking", "thinking": "", "signature": ""}
        else:
            block = {"type": "tool_use", "id": self._fit(piece.id), "name": piece.name, "input": {}}
        self._open_as(piece, block, out)
        self._head = _DELTA % (piece.index, *_TYPES[piece.kind])

    def _open_as(self, piece: _Piece, block: dict[str, Any], out: list[bytes]) -> None:
        piece.index = self._index
        self._index += 1
        self._open = piece
        start = {"type": "content_block_start", "index": piece.index, "content_block": block}
        out.append(_event("content_block_start", start))

    def _fit(self, id: str) -> str:
        if self._ids is None:
            self._ids = tools.CallIds.of_answer(self._asked)
        return self._ids.fit(id)

    def _may_close(self, piece: _Piece) -> bool:
        """Whether *piece*, which has not ended, may give way to the one that waits behind it."""
        if piece.kind != "tool":
            return True
        if not piece.plain:
            return False
        if piece.complete is None:
            piece.complete = tools.Completeness()
        held, piece.held = "".join(piece.held), []
        return piece.complete.feed(held)

    def _close(self, piece: _Piece, out: list[bytes]) -> None:
        if piece.kind == "tool":
            self._open_block(piece, out)
            if not piece.plain:
                text = _object_text("".join(piece.held), piece.custom)
                out.append(self._head + codec.dumps(text) + _DELTA_END)
        elif piece.kind == "thinking":
            self._sign(piece, out)
        if piece.index >= 0:
            out.append(b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n' % piece.index)
        if piece is self._open:
            self._open = None

    def _sign(self, piece: _Piece, out: list[bytes]) -> None:
        upstream = self._asked.upstream
        if piece.index < 0:
            if piece.encrypted:
                data = reasoning.pack("", upstream, encrypted=piece.encrypted) if upstream else piece.encrypted
                self._open_as(piece, {"type": "redacted_thinking", "data": data}, out)
                return
            if not piece.signature:
                return
            self._open_block(piece, out)
        text = codec.dumps(_signature(piece.signature, piece.encrypted, upstream))
        out.append(_DELTA % (piece.index, b"signature_delta", b"signature") + text + _DELTA_END)


def _signature(signature: str, encrypted: str, upstream: str) -> str:
    """Return what the client keeps with the thinking: the provider's own signature, else one that is plainly ours."""
    if signature:
        return signature
    return reasoning.pack("", upstream, encrypted=encrypted) if encrypted else reasoning.mark(upstream)


def _object_text(held: str, custom: bool) -> str:
    """Return arguments as an object, however they began."""
    if not custom:
        try:
            value = codec.loads(held)
            if isinstance(value, str):  # encoded twice
                held = value if isinstance(codec.loads(value or "null"), (dict, type(None))) else held
        except (ValueError, RecursionError):
            pass
    return tools.object_arguments(ToolCall("", "", held, custom))


def _event(name: str, value: Mapping[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), codec.dumps(value))


def _message(
    asked: Asked,
    started: Started,
    told: Usage,
    content: Sequence[Mapping[str, Any]] = (),
    reason: Optional[str] = None,
    sequence: Optional[str] = None,
) -> dict[str, Any]:
    return {
        "id": f"msg_{asked.id}",
        "type": "message",
        "role": "assistant",
        "model": asked.conversation.model or started.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": _usage(told),
    }


def _usage(told: Usage) -> dict[str, Any]:
    counts: dict[str, Any] = {
        "input_tokens": told.input,
        "cache_creation_input_tokens": told.cache_write,
        "cache_read_input_tokens": told.cache_read,
        "output_tokens": told.output,
    }
    if told.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": told.reasoning}
    return counts


class _Said:
    """A block of an answer that is not a stream."""

    __slots__ = ("end", "start", "texts")

    def __init__(self, start: Union[TextStart, ReasoningStart, RefusalStart, ToolStart]) -> None:
        self.start = start
        self.texts: list[str] = []
        self.end = _NO_END


_NO_END = BlockEnd(-1)


def write_answer(events: Events, asked: Asked) -> bytes:
    """Return the body of an answer that is not a stream; that of an error when *events* hold Failed."""
    started, stop = _NOT_STARTED, _NOT_STOPPED
    blocks: dict[int, _Said] = {}
    for event in events:
        if isinstance(event, Delta):
            if event.block in blocks:
                blocks[event.block].texts.append(event.text)
        elif isinstance(event, BlockEnd):
            if event.block in blocks:
                blocks[event.block].end = event
        elif isinstance(event, Started):
            started = event
        elif isinstance(event, Stop):
            stop = event
        elif isinstance(event, Failed):
            return codec.dumps(error_body(event.error))
        elif not isinstance(event, Ping):
            blocks[event.block] = _Said(event)
    ids: Optional[tools.CallIds] = None
    content: list[Mapping[str, Any]] = []
    for said in blocks.values():
        text = said.texts[0] if len(said.texts) == 1 else "".join(said.texts)
        if isinstance(said.start, (TextStart, RefusalStart)):
            if text:
                content.append({"type": "text", "text": text})
        elif isinstance(said.start, ReasoningStart):
            content += _thought(text, said.end, asked.upstream)
        else:
            if ids is None:
                ids = tools.CallIds.of_answer(asked)
            content.append(_call(said.start, text, asked, ids))
    told = stop.usage or started.usage
    if told is None:
        chars = sum(len(text) for said in blocks.values() for text in said.texts)
        told = Usage(asked.input_estimate, max(1, chars // _CHARS_PER_TOKEN))
    return codec.dumps(_message(asked, started, told, content, _REASONS[stop.reason], stop.sequence or None))


_NOT_STARTED, _NOT_STOPPED = Started("", ""), Stop("end")


def _call(start: ToolStart, text: str, asked: Asked, ids: tools.CallIds) -> dict[str, Any]:
    name = asked.names.back(start.name).name or start.name
    id = ids.fit(start.id)
    return {"type": "tool_use", "id": id, "name": name, "input": codec.loads(_object_text(text, start.custom))}


def _thought(text: str, end: BlockEnd, upstream: str) -> list[dict[str, Any]]:
    if not text and end.encrypted:
        data = reasoning.pack("", upstream, encrypted=end.encrypted) if upstream else end.encrypted
        return [{"type": "redacted_thinking", "data": data}]
    if not text and not end.signature:
        return []
    signature = _signature(end.signature, end.encrypted, upstream)
    return [{"type": "thinking", "thinking": text, "signature": signature}]
