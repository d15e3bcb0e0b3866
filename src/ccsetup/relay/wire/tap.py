"""Reads on the side what a stream that is passed through tells: usage, its end, an error in it.  Pure.

Most chunks cost some substring tests and no more; only events that may tell something are parsed.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping, Optional

from ccsetup.model import WireFormat
from ccsetup.relay.wire import codec, errors, usage
from ccsetup.relay.wire.messages import Usage, WireError
from ccsetup.relay.wire.sse import Decoder

# Quotes inside a JSON text are escaped, so a needle with quotes finds members and whole values, never prose.


def _tells_anthropic(text: bytes) -> bool:
    return (
        b'"usage"' in text
        or b"error" in text
        or b"message_stop" in text
        or b'"stop_reason"' in text
        or b'"base_resp"' in text
    )


def _tells_responses(text: bytes) -> bool:
    return b'"response"' in text or b"error" in text or b"response.completed" in text or b"response.incomplete" in text


def _tells_chat(text: bytes) -> bool:
    # OpenAI sends usage and finish_reason with null in every chunk.
    return (
        b"error" in text
        or b"[DONE]" in text
        or b'"usage":{' in text
        or b'"usage": {' in text
        or b'"finish_reason":"' in text
        or b'"finish_reason": "' in text
        or b'"base_resp"' in text
    )


_TELLS: Mapping[WireFormat, Callable[[bytes], bool]] = {
    "anthropic": _tells_anthropic,
    "responses": _tells_responses,
    "chat": _tells_chat,
}


_OPENING = frozenset((
    "ping", "message_start", "content_block_stop", "response.created", "response.queued", "response.in_progress",
    "response.content_part.added", "response.reasoning_summary_part.added",
))  # fmt: skip
_EMPTY = ("text", "thinking", "text_delta", "thinking_delta", "message", "reasoning")


def _opens(kind: str, event: Mapping[str, Any]) -> bool:
    """Whether an event of Messages or Responses says nothing yet: the head of an answer, or of a block without text."""
    if kind in _OPENING:
        return True
    name = {
        "content_block_start": "content_block",
        "content_block_delta": "delta",
        "response.output_item.added": "item",
    }
    block = event.get(name.get(kind, ""))
    if not isinstance(block, dict) or block.get("type") not in _EMPTY:
        return False
    return not (block.get("text") or block.get("thinking"))


def _says_nothing(chunk: Mapping[str, Any]) -> bool:
    """Whether a chunk of Chat Completions is only the first one, with the role, the usage alone, or no chunk at all."""
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            delta = choice.get("delta")
            said = isinstance(delta, dict) and any(value for name, value in delta.items() if name != "role")
            if said or choice.get("finish_reason"):
                return False
    return True


class Tap:
    """What a stream has told so far, whatever comes; any chunking gives the same."""

    def __init__(self, wire: WireFormat) -> None:
        self.begun = False
        """An event has come that is a part of an answer, or its end.  The head of a message, which providers send
        before they know whether they can answer, does not count: until then another upstream can take over."""
        self.finished = False
        """The end of an answer has come: message_stop or a stop_reason; response.completed, incomplete or failed;
        [DONE] or a finish_reason."""
        self.failed: Optional[WireError] = None
        """The first error event."""
        self._wire = wire
        self._tells = _TELLS[wire]
        self._decoder = Decoder()
        self._tally = usage.Tally()
        self._broken = False

    @property
    def usage(self) -> Optional[Usage]:
        return self._tally.usage

    @property
    def at_boundary(self) -> bool:
        """Whether the bytes so far end between two events, so that one of our own may go there."""
        return not self._broken and self._decoder.at_boundary

    def feed(self, chunk: bytes) -> None:
        if not self.begun or self._broken:
            self._read(chunk)
            return
        # Whole events that tell nothing leave no trace, neither here nor in the decoder.
        clean = self._decoder.clean
        if clean and chunk[-2:] == b"\n\n":
            if self._tells(chunk):
                self._read(chunk)
            return
        begin = 0 if clean else chunk.find(b"\n\n") + 2
        end = chunk.rfind(b"\n\n") + 2
        if end - begin < 2 or begin == 1 or self._tells(chunk[begin:end]):
            self._read(chunk)
            return
        if begin:
            self._read(chunk[:begin])
        self._read(chunk[end:])

    def _read(self, chunk: bytes) -> None:
        if self._broken:
            return
        try:
            events = self._decoder.feed(chunk)
        except ValueError:
            self._broken = self.begun = True
            return
        for name, data in events:
            if not self.begun or self._tells(data) or name in ("error", "message_stop"):
                self._take(name, data)

    def end(self) -> None:
        """The stream has ended: take a last event that no blank line closed."""
        if self._broken:
            return
        try:
            events = self._decoder.end()
        except ValueError:
            return
        for name, data in events:
            self._take(name, data)

    def _take(self, name: str, data: bytes) -> None:
        if data == b"[DONE]":
            if self._wire == "chat":
                self.finished = self.begun  # alone it is no answer
            return
        try:
            value = codec.loads(data)
        except (ValueError, RecursionError):
            return
        if not isinstance(value, dict):
            return
        kind = value.get("type")
        if not isinstance(kind, str) or not kind:
            kind = name
        error = errors.from_value(value) if kind in ("error", "response.failed") else errors.error_in(value)
        if error is not None:
            self.failed = self.failed or error
        elif not self.begun:
            self.begun = not (_says_nothing(value) if self._wire == "chat" else _opens(kind, value))
        if self._wire == "anthropic":
            self._take_anthropic(kind, value)
        elif self._wire == "responses":
            self._take_responses(kind, value)
        else:
            self._take_chat(value)

    def _take_anthropic(self, kind: str, value: Mapping[str, Any]) -> None:
        if kind == "message_start":
            message = value.get("message")
            self._tally.take(message.get("usage") if isinstance(message, dict) else None)
        elif kind == "message_delta":
            self._tally.take(value.get("usage"))
            delta = value.get("delta")
            if isinstance(delta, dict) and delta.get("stop_reason") is not None:
                self.finished = True
        elif kind == "message_stop":
            self.finished = True

    def _take_responses(self, kind: str, value: Mapping[str, Any]) -> None:
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            self.finished = True
        response = value.get("response")
        if isinstance(response, dict):
            self._set(response.get("usage"))

    def _take_chat(self, value: Mapping[str, Any]) -> None:
        self._set(value.get("usage"))
        choices = value.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._set(choice.get("usage"))  # Kimi
                if choice.get("finish_reason"):
                    self.finished = True

    def _set(self, value: Any) -> None:
        found = usage.read(value)
        if found is not None:
            self._tally.usage = found


def without_usage(text: bytes) -> bytes:
    """Return *text*, whole events of Chat Completions, without the chunk that is there for the usage alone."""
    if not _tells_usage(text):
        return text
    return b"".join([event for event in _EVENTS.split(text) if not _tells_usage(event) or not _only_usage(event)])


def _tells_usage(text: bytes) -> bool:
    return b'"usage":{' in text or b'"usage": {' in text  # what ``_tells_chat`` finds: none is hidden unread


_EVENTS = re.compile(rb"(?<=\n\n)|(?<=\n\r\n)|(?<=\r\r)")


def _only_usage(event: bytes) -> bool:
    decoder = Decoder()
    try:
        [(_name, data)] = [*decoder.feed(event), *decoder.end()]
        value = codec.loads(data)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(value, dict)
        and not value.get("choices")
        and isinstance(value.get("usage"), dict)
        and not errors.error_in(value)
    )


def usage_of(wire: WireFormat, body: bytes) -> Optional[Usage]:
    """Return the usage in the body of an answer that is not a stream, None when it tells none."""
    try:
        value = codec.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    found = usage.read(value.get("usage"))
    if found is None and wire == "chat" and isinstance(value.get("choices"), list):
        found = next((u for c in value["choices"] if isinstance(c, dict) and (u := usage.read(c.get("usage")))), None)
    return found
