"""Server-sent events as bytes: tolerant decoding, whatever the chunks, and encoding.  Pure."""

from __future__ import annotations

from typing import Optional

MAX_EVENT = 16 << 20
"""Bytes of one event's data, and of one line."""

_MAX_NAMES = 100
_BOM = b"\xef\xbb\xbf"

SseEvent = tuple[str, bytes]
"""Name ("" when it has none), and data: its lines joined by a line feed."""


class Decoder:
    """Makes events of bytes as they come in; lines, line ends and characters may be cut anywhere.

    Lines may end with LF, CRLF or CR; ``data:`` needs no space; comments, ``id`` and ``retry`` are skipped, and events
    without data are no events.  ValueError for an event that is larger than MAX_EVENT: the stream cannot be read on.
    """

    __slots__ = ("_cr", "_data", "_line", "_line_size", "_name", "_names", "_size", "_start", "clean", "comments")

    def __init__(self) -> None:
        self.comments = 0
        """Comment lines so far; many providers send them as a sign of life."""
        self.clean = False
        """Everything so far was whole events: nothing is held back."""
        self._start = b""
        self._cr = False
        self._line: list[bytes] = []
        self._line_size = -1  # below 0: before the first byte, where a byte order mark may stand
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0
        self._names: dict[bytes, str] = {}

    @property
    def at_boundary(self) -> bool:
        """Whether the bytes so far end between two events."""
        return self.clean or (not self._line_size > 0 and not self._data and not self._name and not self._start)

    @property
    def held(self) -> int:
        """Bytes of an event whose end has not come yet."""
        return 0 if self.clean else max(0, self._line_size) + self._size

    def feed(self, chunk: bytes) -> list[SseEvent]:
        if not self.clean or chunk[-2:] != b"\n\n" or b"\r" in chunk:
            return self._any(chunk)
        # Nearly every chunk of a paced stream is one event: "data: JSON\n\n" or "event: NAME\ndata: JSON\n\n".
        name: Optional[str] = ""
        data = chunk
        if chunk[:6] != b"data: ":
            raw, _, data = chunk.partition(b"\n")
            name = self._names.get(raw)
        if (
            name is not None
            and data[:6] == b"data: "
            and data.find(b"\n") == len(data) - 2
            and 8 < len(data) < MAX_EVENT
        ):
            return [(name, data[6:-2])]
        return self._whole(chunk)

    def end(self) -> list[SseEvent]:
        """Return the last event when no blank line came after it."""
        if self._start:
            start, self._start, self._line_size = self._start, b"", 0
            events = self._any(start)
        else:
            events = []
        if self._line_size > 0:
            events += self._lines(b"\n")
        events += self._lines(b"\n")
        return events

    def _any(self, chunk: bytes) -> list[SseEvent]:
        if not chunk:
            return []
        if self._line_size < 0:
            chunk = self._start + chunk
            if len(chunk) < 3 and _BOM.startswith(chunk):
                self._start = chunk
                return []
            self._start, self._line_size = b"", 0
            chunk = chunk.removeprefix(_BOM)
            self.clean = True
        if self._cr and chunk[:1] == b"\n":
            chunk = chunk[1:]
        elif not chunk:
            return []
        self._cr = chunk[-1:] == b"\r"
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        events: list[SseEvent] = []
        if not self.clean:
            first = chunk.find(b"\n\n") + 2
            if first < 2:
                first = len(chunk)
            events = self._lines(chunk[:first])
            chunk = chunk[first:]
        last = chunk.rfind(b"\n\n") + 2
        if last >= 2:
            events += self._whole(chunk[:last])
            chunk = chunk[last:]
        if chunk:
            events += self._lines(chunk)
        self.clean = not (self._line_size or self._data or self._name or self._cr)
        return events

    def _whole(self, chunk: bytes) -> list[SseEvent]:
        """*chunk* ends with a blank line, and nothing stood before it."""
        if len(chunk) <= MAX_EVENT:
            events = self._uniform(chunk)
            if events is not None:
                return events
        return self._lines(chunk)

    def _uniform(self, chunk: bytes) -> Optional[list[SseEvent]]:
        """Return the events of a chunk in which all consist of one data line, or of a known name and one data line.

        None for any other.  Whole chunks are split at once because a look at each event takes three times as long.
        """
        if chunk[:6] == b"data: ":
            found = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") != 2 * len(found):  # there are other lines
                return None
            return [("", data) for data in found if data]
        lines = chunk.split(b"\n")
        if len(lines) % 3 != 1 or any(lines[2::3]):
            return None
        names = self._names
        for raw in lines[:-1:3]:
            if raw not in names and raw[:7] == b"event: " and len(names) < _MAX_NAMES:
                names[raw] = raw[7:].decode("utf-8", "replace")
        pairs = zip(lines[:-1:3], lines[1::3], strict=True)
        try:
            events = [(names[raw], data[6:]) for raw, data in pairs if data[:6] == b"data: " != data]
        except KeyError:
            return None
        return events if 3 * len(events) + 1 == len(lines) else None

    def _lines(self, text: bytes) -> list[SseEvent]:
        """Take *text*, whose lines end with LF, behind what is held back."""
        events: list[SseEvent] = []
        lines = text.split(b"\n")
        rest = lines.pop()
        if lines and self._line:
            self._line.append(lines[0])
            lines[0] = b"".join(self._line)
            self._line = []
            self._line_size = 0
        for line in lines:
            if line:
                self._field(line)
            else:
                data = b"\n".join(self._data)
                if data:
                    events.append((self._name, data))
                self._name, self._data, self._size = "", [], 0
        if rest:
            self._line.append(rest)
            self._line_size += len(rest)
            if self._line_size > MAX_EVENT:
                raise ValueError("a line of the stream is too long")
        return events

    def _field(self, line: bytes) -> None:
        if len(line) > MAX_EVENT:
            raise ValueError("a line of the stream is too long")
        field, _, value = line.partition(b":")
        if field == b"data":
            value = value[1:] if value[:1] == b" " else value
            self._size += len(value) + 1
            if self._size > MAX_EVENT:
                raise ValueError("an event of the stream is too large")
            self._data.append(value)
        elif field == b"event":
            self._name = (value[1:] if value[:1] == b" " else value).decode("utf-8", "replace")
        elif not field:
            self.comments += 1


def encode(event: str, data: bytes) -> bytes:
    """Return one event; without a name when *event* is ""."""
    if b"\n" in data or b"\r" in data:
        lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        data = b"\ndata: ".join(lines)
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data
