"""The wire formats that there are."""

from __future__ import annotations

from typing import Any, Mapping, Protocol, Union

from ccsetup.model import WireFormat
from ccsetup.relay.wire import anthropic, chat, responses
from ccsetup.relay.wire.messages import Asked, Conversation, Dialect, Event, Events, Losses, Names, WireError


class SseReader(Protocol):
    """Turns the SSE events of one answer into neutral events.  Feeding never raises: what is not understood is
    skipped, what breaks the answer becomes Failed.  After Stop or Failed it returns nothing more."""

    def feed(self, event: str, data: bytes) -> list[Event]:
        """*data* is the event's JSON as it came, UTF-8; *event* is its name, "" when it has none."""

    def end(self) -> list[Event]:
        """The upstream closed the stream: return Stop if the answer was complete, else Failed of kind ``cut``."""


class SseWriter(Protocol):
    """Turns the neutral events of one answer into SSE text."""

    def write(self, event: Event) -> bytes:
        """Return b"" where nothing is due yet."""


class Format(Protocol):
    """A wire format: what the package of each one offers."""

    LOSSES: Mapping[str, str]
    """Code to sentence: everything of a request that is not carried, from or to this format."""
    PING: bytes
    """A sign of life inside a stream, for a client that waits."""

    def read_request(self, body: Union[bytes, Mapping[str, Any]]) -> Conversation:
        """BadRequest when *body* is not a request of the format."""

    def write_request(self, conversation: Conversation, dialect: Dialect, names: Names) -> tuple[bytes, Losses]:
        """Return the body, and what it could not carry; BadRequest when it cannot be written."""

    def read_answer(self, body: bytes) -> list[Event]:
        """Return the events of an answer that is not a stream; never raises."""

    def write_answer(self, events: Events, asked: Asked) -> bytes:
        """Return the body of an answer that is not a stream; that of an error where the events end with Failed."""

    def reader(self) -> SseReader:
        """Return what reads one stream."""

    def writer(self, asked: Asked) -> SseWriter:
        """Return what writes one stream."""

    def write_error(self, error: WireError) -> tuple[int, bytes]:
        """Return status and body."""


FORMATS: Mapping[WireFormat, Format] = {"anthropic": anthropic, "responses": responses, "chat": chat}
