"""The beginning of an answer, kept while it goes to the client: its tokens are estimated where nobody tells them."""

from __future__ import annotations

from ccsetup.model import WireFormat
from ccsetup.relay.http.base import UpstreamAnswer
from ccsetup.relay.serving.apart import LARGE
from ccsetup.relay.wire import tokens
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import Delta, Event
from ccsetup.relay.wire.sse import Decoder

MOST = 4 << 10
"""Bytes behind the first piece; a stream costs nothing more from there on."""
_BYTES_PER_TOKEN = 4


class Sample:
    """Of one answer.  What comes behind it is taken to be like it: how much that was, the upstream's answer knows."""

    __slots__ = ("_answer", "_first", "_full", "_last", "_pieces", "_size")

    def __init__(self, answer: UpstreamAnswer) -> None:
        self._answer = answer
        self._pieces: list[bytes] = []
        self._size = 0
        self._first = self._last = 0
        """How far the upstream's answer had been read with the first piece, and with the last one here."""
        self._full = False

    def take(self, piece: bytes) -> bool:
        """Keep *piece* of what the client gets; return whether more is wanted."""
        if self._full:
            return False
        if self._pieces:
            self._size += len(piece)
            if self._size >= MOST:
                self._full, self._last = True, self._answer.taken
        else:
            self._first = self._answer.taken
        self._pieces.append(piece)
        return not self._full

    def tokens(self, wire: WireFormat, *, stream: bool) -> int:
        """Return the tokens of the whole answer, which the client got in the format *wire*."""
        try:
            return self._counted(wire, stream=stream) if self._pieces else 0
        except Exception:  # of a reader: what it cannot read is no text
            return 0

    def _counted(self, wire: WireFormat, *, stream: bool) -> int:
        feed, read = Decoder().feed, FORMATS[wire].reader().feed

        def counted(piece: bytes) -> int:
            if len(piece) >= LARGE:  # it would take long to read it again
                return len(piece) // _BYTES_PER_TOKEN
            if not stream:
                return tokens.of_text(_text(FORMATS[wire].read_answer(piece)))
            return tokens.of_text(_text([event for name, data in feed(piece) for event in read(name, data)]))

        first, *rest = self._pieces
        begun = counted(first)
        behind = counted(b"".join(rest)) if rest else 0
        if self._full and self._last > self._first:
            behind = behind * (self._answer.taken - self._first) // (self._last - self._first)
        return begun + behind


def _text(events: list[Event]) -> str:
    return "".join([event.text for event in events if type(event) is Delta])
