"""Reads the text of a delta without parsing all of its event, for most events of a stream differ in that alone.  Pure.

It halves the time to read a stream of Chat Completions or Messages.
"""

from __future__ import annotations

import re

from ccsetup.relay.wire.codec import loads

_STRING = re.compile(rb'[ \t\r\n]*("[^"\\]*+(?:\\.[^"\\]*+)*+")', re.DOTALL)
_MAX_SHOWN = 10


class Alike:
    """Tells the text of an event that is, byte for byte, the example but for one text.

    Such an event means the same as the example with another text: JSON knows no context within a value.  Providers with
    something new in each event, such as a number, make no use of it; so after some examples no more is looked for.
    """

    __slots__ = ("_begin", "_end", "_head", "_shown", "_tail")

    def __init__(self) -> None:
        self._head = b"\0"  # as no JSON begins
        self._tail = b""
        self._begin, self._end = 0, -1
        """Of the text: the second is counted from the end of the event."""
        self._shown = 0

    def show(self, data: bytes, member: bytes, text: str) -> bool:
        """Take *data* as the example: an event with *text* as its *member*, which has quotes and colon with it.

        Return whether it is that now; else the one before stays.
        """
        if self._shown >= _MAX_SHOWN:
            return False
        self._shown += 1
        # Inside a text a quote is escaped, so that what is found is a member; only one can be the right one.
        found = _STRING.match(data, data.find(member) + len(member)) if data.count(member) == 1 else None
        if found is None or loads(found[1]) != text:
            return False
        self._begin, self._end = found.start(1), found.end(1) - len(data)
        self._head, self._tail = data[: self._begin], data[self._end :]
        return True

    def text(self, data: bytes) -> str:
        """Return the text in *data*; "" when it is not like the example, or has no text."""
        if not (data.startswith(self._head) and data.endswith(self._tail)):
            return ""
        try:
            text = loads(data[self._begin : self._end])
        except ValueError:
            return ""
        return text if type(text) is str else ""
