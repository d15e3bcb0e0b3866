"""Server-sent events, and whether a stream of them is what a client needs.  Pure."""

from __future__ import annotations

import json
from typing import Any, Iterator, NamedTuple, Optional

from ccsetup.i18n import _
from ccsetup.model import WireFormat

MAX_EVENT = 1 << 20
"""Characters of one event; a longer one is broken off."""


class Event(NamedTuple):
    name: str
    data: Any
    """Parsed JSON; the text where it is none."""

    @property
    def type(self) -> str:
        """Return the name of the event, which Anthropic and OpenAI also keep inside."""
        kind = self.data.get("type") if isinstance(self.data, dict) else ""
        return kind if isinstance(kind, str) and kind else self.name


class Reader:
    """Makes events of bytes as they come in; a character or a line may be cut anywhere."""

    def __init__(self) -> None:
        import codecs

        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._line = ""
        self._name = ""
        self._data: list[str] = []
        self._size = 0
        self._return = False

    def feed(self, data: bytes, *, end: bool = False) -> Iterator[Event]:
        text = self._decode(data, end)
        if self._return and text.startswith("\n"):
            text = text[1:]
            self._return = False
        elif text:
            self._return = False
        self._return = text.endswith("\r") or (self._return and not text)
        lines = (self._line + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._line = lines.pop()
        if len(self._line) > MAX_EVENT:
            self._line = ""
        for line in lines:
            event = self._take(line)
            if event is not None:
                yield event

    def _take(self, line: str) -> Optional[Event]:
        if not line:
            if not self._data:
                self._name = ""
                return None
            text = "\n".join(self._data)
            name, self._name, self._data, self._size = self._name, "", [], 0
            try:
                return Event(name, json.loads(text))
            except (ValueError, RecursionError):
                return Event(name, text)
        field, _colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value[:100]
        elif field == "data":
            self._size += len(value)
            if self._size <= MAX_EVENT:
                self._data.append(value)
        return None


def events(body: bytes) -> list[Event]:
    """Return the events of a whole body."""
    reader = Reader()
    return [*reader.feed(body), *reader.feed(b"\n\n", end=True)]


_LAST = {
    "anthropic": ("message_stop",),
    "responses": ("response.completed", "response.incomplete"),
}


def error_of(found: list[Event]) -> Any:
    """Return the body of an error that came as an event, or None."""
    for event in found:
        if event.type == "error":
            return event.data
        if event.type == "response.failed" and isinstance(event.data, dict):
            response = event.data.get("response")
            error = response.get("error") if isinstance(response, dict) else None
            return {"error": error} if error else event.data
    return None


def problem(wire: WireFormat, found: list[Event]) -> str:
    """Return what keeps a client from using the stream, or ""."""
    if not found:
        return _("The answer holds no event.")
    types = [e.type for e in found]
    if wire == "anthropic":
        if "message_start" not in types:
            return _("The stream does not begin with message_start.")
    elif wire == "responses" and not any(t.startswith("response.") for t in types):
        return _("The stream holds no event of the Responses API.")
    if wire == "chat":
        # Some providers leave out [DONE]; the relay, which alone speaks this format, does without it.
        if not any(e.data == "[DONE]" or _finish_reason(e.data) for e in found):
            return _("The stream ended without {event}.").format(event="finish_reason")
    elif not any(t in _LAST[wire] for t in types):
        return _("The stream ended without {event}.").format(event=_LAST[wire][0])
    if any(isinstance(e.data, str) and e.data != "[DONE]" for e in found):
        return _("An event of the stream is not JSON.")
    return ""


def _finish_reason(data: Any) -> Any:
    choices = data.get("choices") if isinstance(data, dict) else None
    return (
        choices[0].get("finish_reason")
        if isinstance(choices, list) and choices and isinstance(choices[0], dict)
        else ""
    )


def usage(found: list[Event]) -> tuple[int, int]:
    """Return the tokens in and out that the stream reports; 0 where it reports none."""
    tokens_in = tokens_out = 0
    for event in found:
        data = event.data if isinstance(event.data, dict) else {}
        for holder in (data, data.get("message"), data.get("response")):
            counted = holder.get("usage") if isinstance(holder, dict) else None
            if isinstance(counted, dict):
                tokens_in = max(tokens_in, _count(counted, "input_tokens", "prompt_tokens"))
                tokens_out = max(tokens_out, _count(counted, "output_tokens", "completion_tokens"))
    return tokens_in, tokens_out


def _count(counted: dict[str, Any], *names: str) -> int:
    for name in names:
        value = counted.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return 0
