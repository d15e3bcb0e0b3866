"""The ways of an answer to the client: as it came or translated, whole or as a stream.  Pure: bytes in, bytes out.

``Attempt`` reads, looks at the clock and writes; what may still fail over, and what a cut looks like, is decided here.
"""

from __future__ import annotations

from typing import Callable, Optional, Protocol

from ccsetup.model import WireFormat
from ccsetup.relay.http.base import NetworkFailure, UpstreamError
from ccsetup.relay.serving.answers import end_of_events, wrong_answer
from ccsetup.relay.wire import compaction
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import Asked, Delta, Event, Failed, Ping, Started, Stop, ToolStart, Usage, WireError
from ccsetup.relay.wire.sse import Decoder
from ccsetup.relay.wire.tap import Tap, usage_of, without_usage

MAX_ANSWER = 64 << 20
"""Bytes of an answer that is not a stream."""
MAX_BEFORE = 4 << 20
"""Bytes of a stream before its first event: comments, pings, heads."""
MAX_HELD = 1 << 20
"""Bytes of one event that wait for its end."""

Told = Callable[[NetworkFailure], WireError]
"""What a client is told of a failure (``failures.told``)."""


class Way(Protocol):
    """One answer on its way.  The members tell what has come of it so far."""

    begun: bool
    """The client may get it: nobody else is asked any more."""
    failed: Optional[WireError]
    """The upstream told an error.  Before it has begun, another upstream may be asked."""

    @property
    def finished(self) -> bool:
        """The answer is complete."""
        ...

    over: bool
    """Nothing more of the upstream's body is of use."""
    boundary: bool
    """What was returned so far ends between two events, so that one of our own may follow."""

    held: int
    """Bytes that the next ``feed`` may have to read besides its piece."""

    @property
    def usage(self) -> Optional[Usage]: ...

    def feed(self, piece: bytes) -> bytes:
        """Return what the client gets when *piece* has come; b"" while it has to wait.

        UpstreamError ``protocol`` when too much came before anything of use.  Another exception of a reader means the
        same: the answer cannot be understood.
        """
        ...

    def end(self, why: Optional[NetworkFailure] = None) -> bytes:
        """Return the last of what the client gets; *why*: the body broke off, None when it came to its end.

        An answer that has begun and is not complete ends with an error: a cut never looks finished.
        """
        ...


class PassedStream:
    """The client's own format: bytes go on as they came, in whole events."""

    over = False
    """What follows the end of an answer belongs to its stream."""
    held = 0

    def __init__(self, wire: WireFormat, asked: Callable[[], Asked], told: Told, *, usage: bool = True) -> None:
        """*usage*: the client wants the chunk of Chat Completions that has only the usage."""
        self.begun = False
        self.boundary = True
        self.failed: Optional[WireError] = None
        self._wire: WireFormat = wire
        self._asked = asked
        self._told = told
        self._usage = usage
        self._back = b""
        self._tap = Tap(wire)
        self._feed = self._tap.feed
        self._held: list[bytes] = []
        """Before it has begun everything, later the beginning of one event."""
        self._size = 0
        self._tail = b""
        """The last bytes that are held: an end of events may begin there."""

    @property
    def usage(self) -> Optional[Usage]:
        return self._tap.usage if self.begun else None

    @property
    def finished(self) -> bool:
        return self._tap.finished

    def feed(self, piece: bytes) -> bytes:
        self._feed(piece)
        boundary = self._tap.at_boundary
        if not self.begun:
            piece = self._opening(piece, boundary)
        if boundary and not self._held:
            self.boundary = True
        else:
            piece = self._whole_events(piece, boundary)
        return piece if self._usage or not piece else self._without_usage(piece)

    def _without_usage(self, text: bytes) -> bytes:
        """Whole events are looked at: the line feed of the last line may be still to come."""
        text, self._back = self._back + text, b""
        if text.endswith(b"\n\r"):
            self._back = text
            return b""
        return without_usage(text)

    def _opening(self, piece: bytes, boundary: bool) -> bytes:
        """Return everything so far when *piece* has made it an answer, else b""."""
        tap = self._tap
        self.failed = tap.failed
        if self.failed is not None:
            return b""
        self._held.append(piece)
        self._size += len(piece)
        if self._size > (MAX_BEFORE if boundary else MAX_ANSWER):
            raise UpstreamError("protocol", "nothing but comments")
        if not tap.begun:
            return b""
        self.begun = True
        piece = b"".join(self._held)
        self._held, self._size = [], 0
        return piece

    def _whole_events(self, piece: bytes, boundary: bool) -> bytes:
        """Half an event could neither be taken back nor followed by an error."""
        if not self.begun or not piece:
            return b""
        end = len(piece)
        if not boundary:
            found = end_of_events(self._tail + piece)
            if found:
                end = found - len(self._tail)
            elif self.boundary and self._size + end <= MAX_HELD:
                self._held.append(piece)
                self._size += end
                self._tail = (self._tail + piece)[-2:]
                return b""
        left = piece[end:]
        text = b"".join((*self._held, piece[:end]))
        self._held, self._size, self._tail = ([left], len(left), left[-2:]) if left else ([], 0, b"")
        self.boundary = bool(left) or boundary
        return text

    def end(self, why: Optional[NetworkFailure] = None) -> bytes:
        if not self.begun:
            return b""
        tap = self._tap
        before = (tap.finished, tap.failed)
        tap.end()
        self.failed = tap.failed
        text, self._back = self._back, b""
        if self._held and ((tap.finished, tap.failed) != before or self._held[-1].endswith(b"[DONE]\n")):
            # The end itself, without the empty line that belongs behind it.
            text = b"".join((text, *self._held, b"\n\n"))
        if not self._usage:
            text = without_usage(text)
        if tap.finished or tap.failed is not None:
            return text
        error = self._told(why or "cut")._replace(kind="cut")
        said = FORMATS[self._wire].writer(self._asked()).write(Failed(error))
        return text + (b"" if self.boundary else b"\n\n") + said


class TranslatedStream:
    """Another format than the client's: events of one become events of the other."""

    boundary = True
    """Only whole events are written."""
    held = 0

    def __init__(self, upstream: WireFormat, client: WireFormat, asked: Asked, told: Told) -> None:
        self.begun = False
        self.finished = False
        self.over = False
        self.failed: Optional[WireError] = None
        self.usage: Optional[Usage] = None
        self._told = told
        self._decoder = Decoder()
        self._decode = self._decoder.feed
        self._reader = FORMATS[upstream].reader()
        self._read = self._reader.feed
        self._write = FORMATS[client].writer(asked).write
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> bytes:
        read = self._read
        events = [event for name, data in self._decode(piece) for event in read(name, data)]
        self.held = self._decoder.held
        if self.begun:
            if len(events) == 1 and type(events[0]) is Delta:  # nearly every piece
                return self._write(events[0])
            return self._written(events)
        text = self._written(events)
        if not self.begun:
            self._size += len(piece)
            if self._size > (MAX_BEFORE if self._decoder.at_boundary else MAX_ANSWER):
                raise UpstreamError("protocol", "nothing but comments")
        return text

    def _written(self, events: list[Event]) -> bytes:
        write = self._write
        out: list[bytes] = []
        begun = self.begun
        for event in events:
            if type(event) is Ping:
                continue
            if type(event) is Failed:
                self.failed, self.over = event.error, True
                if not begun:
                    return b""
            elif type(event) is Stop or type(event) is Started:
                if event.usage is not None:
                    self.usage = event.usage
                if type(event) is Stop:
                    begun = self.finished = self.over = True
            elif type(event) is Delta or type(event) is ToolStart:  # an empty block alone is no answer
                begun = True
            out.append(write(event))
        if not begun:
            self._held += out
            return b""
        if not self.begun:
            self.begun = True
            out = self._held + out
            self._held = []
        return b"".join(out)

    def end(self, why: Optional[NetworkFailure] = None) -> bytes:
        if why is not None:
            return self._write(Failed(self._told(why)._replace(kind="cut"))) if self.begun else b""
        read = self._read
        events = [event for name, data in self._decoder.end() for event in read(name, data)]
        return self._written(events + self._reader.end())


class _Whole:
    """An answer that is one JSON document: nothing is told before all of it has come."""

    over = False
    boundary = True

    def __init__(self) -> None:
        self.begun = False
        self.finished = False
        self.failed: Optional[WireError] = None
        self.usage: Optional[Usage] = None
        self.raw = b""
        """All of it, once it has ended."""
        self.size = 0
        """Bytes so far."""
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> bytes:
        self.size += len(piece)
        if self.size > MAX_ANSWER:
            raise UpstreamError("protocol", "the answer is too large")
        self._pieces.append(piece)
        return b""

    def end(self, why: Optional[NetworkFailure] = None) -> bytes:
        if why is not None:
            return b""
        pieces, self._pieces = self._pieces, []
        self.raw = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        text = self._read()
        self.begun = self.finished = self.failed is None
        return text

    def _read(self) -> bytes:
        """Return what the client gets for all of *raw*, or note why it gets nothing."""
        raise NotImplementedError

    @property
    def is_stream(self) -> bool:
        """The upstream answered with a stream although nobody asked for one."""
        return self.raw[:64].lstrip().startswith((b"data:", b"event:", b": "))

    def _events(self, upstream: WireFormat) -> list[Event]:
        events = _streamed(upstream, self.raw) if self.is_stream else FORMATS[upstream].read_answer(self.raw)
        for event in events:
            if type(event) is Failed:
                self.failed = event.error
                return []
            if (type(event) is Started or type(event) is Stop) and event.usage is not None:
                self.usage = event.usage
        return events


def _streamed(upstream: WireFormat, raw: bytes) -> list[Event]:
    decoder, reader = Decoder(), FORMATS[upstream].reader()
    try:
        found = [*decoder.feed(raw), *decoder.end()]
    except ValueError:
        return [Failed(WireError("server", "The upstream's answer cannot be read.", 502))]
    return [*(event for name, data in found for event in reader.feed(name, data)), *reader.end()]


class PassedWhole(_Whole):
    def __init__(self, wire: WireFormat, asked: Callable[[], Asked]) -> None:
        super().__init__()
        self._wire: WireFormat = wire
        self._asked = asked

    def _read(self) -> bytes:
        raw = self.raw
        if self.is_stream:
            events = self._events(self._wire)
            return FORMATS[self._wire].write_answer(events, self._asked()) if self.failed is None else b""
        self.usage = usage_of(self._wire, raw)
        if self.usage is None or b'"base_resp"' in raw or b'"failed"' in raw:  # figures come with errors as well
            self.failed = wrong_answer(self._wire, raw)
        return raw if self.failed is None else b""


class TranslatedWhole(_Whole):
    def __init__(self, upstream: WireFormat, client: WireFormat, asked: Asked) -> None:
        super().__init__()
        self._upstream: WireFormat = upstream
        self._client: WireFormat = client
        self._asked = asked

    def _read(self) -> bytes:
        events = self._events(self._upstream)
        if self.failed is None and self._asked.conversation.compacts is not None and not compaction.summary(events):
            self.failed = compaction.NOTHING
        return FORMATS[self._client].write_answer(events, self._asked) if self.failed is None else b""


class StreamOfWhole(TranslatedWhole):
    """The upstream answers a stream's request with one JSON document: the stream is made of it."""

    def _read(self) -> bytes:
        events = self._events(self._upstream)
        write = FORMATS[self._client].writer(self._asked).write
        return b"".join([write(event) for event in events])
