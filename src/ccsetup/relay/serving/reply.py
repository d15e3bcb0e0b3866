"""What goes back to the client of one request: an answer, a stream, an error, signs of life."""

from __future__ import annotations

from enum import Enum
from typing import Optional

from ccsetup.model import WireFormat
from ccsetup.relay.http.base import UpstreamAnswer
from ccsetup.relay.http.inbound import Headers, Inbound
from ccsetup.relay.serving.answer_ways import Way
from ccsetup.relay.serving.runtime import NEVER
from ccsetup.relay.serving.sample import Sample
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import Asked, Conversation, Failed, WireError
from ccsetup.relay.wire.responses.compacted import FullWriter
from ccsetup.relay.wire.tools import ToolNames

MAX_WATCHED = 1 << 20
_STREAM_HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Phase(Enum):
    WAITING = "nothing has gone to the client"
    STREAMING = "the head of a stream has gone out"
    DRAINING = "the client does not take what it is sent"
    ANSWERED = "the answer has its end"
    GONE = "the client has closed its connection"

    def __repr__(self) -> str:
        return f"{self.name}: {self.value}"


class Reply:
    """The client's side of an exchange.  Once the client is gone, what is sent goes nowhere."""

    __slots__ = (
        "_follows", "_inbound", "_quiet_since", "_seen", "_way", "created", "id", "model", "phase", "sample",
        "status", "stream", "usage", "watched", "wire",
    )  # fmt: skip

    def __init__(self, wire: WireFormat, inbound: Inbound, request_id: str, created: int) -> None:
        self.wire: WireFormat = wire
        self.id = request_id
        self.created = created
        """Unix time in seconds."""
        self.phase = Phase.WAITING
        self.stream = False
        self.usage = True
        """The client wants to be told the usage of the answer."""
        self.model = ""
        self.status = 0
        """0 until something goes out."""
        self.watched: Optional[list[bytes]] = None
        """Request and answer, for an operator who asked to see them."""
        self.sample: Optional[Sample] = None
        """Of the answer that has begun."""
        self._inbound = inbound
        self._way: Optional[Way] = None
        self._quiet_since = NEVER
        """Loop time of the last sign of life; NEVER while none is due."""
        self._follows = False
        """Somebody wants more of the answer."""
        self._seen = 0
        """Bytes of it in *watched*."""

    # What is known of the request.

    def expect(self, model: str, *, stream: bool, usage: bool) -> None:
        self.model, self.stream, self.usage = model, stream, usage

    def watch(self, request: bytes) -> None:
        self.watched, self._follows = [request], True

    def hear(self, answer: UpstreamAnswer) -> None:
        """This is what the client gets."""
        self.sample, self._follows = Sample(answer), True

    def asked(self) -> Asked:
        """Return what a writer has to know, of a request whose neutral form nobody made."""
        return Asked(
            Conversation(self.model, stream=True, include_usage=self.usage), ToolNames(()), self.id, self.created
        )

    # A stream.

    def wait(self, now: float) -> None:
        """The client waits from *now* on, unless it does already."""
        if self._quiet_since == NEVER:
            self._quiet_since = now

    def pause(self) -> None:
        """No sign of life is due until ``wait``."""
        self._quiet_since = NEVER

    def begin(self, more: Headers, way: Optional[Way] = None) -> None:
        """Begin the client's stream, unless a sign of life has done so; *more*: headers of the upstream's answer."""
        self._way = way
        if self.phase is not Phase.WAITING:
            return
        self.phase = Phase.STREAMING
        self.status = 200
        self._inbound.begin(200, [*_STREAM_HEAD, (b"x-relay-request-id", self.id.encode()), *more])

    def send(self, text: bytes, now: float) -> bool:
        """Send *text*, some whole events; return whether the client is too slow, so that ``drain`` is due."""
        self._quiet_since = now
        inbound = self._inbound
        inbound.write(text)
        if self._follows:
            self._follow(text)
        return inbound.stalled

    async def drain(self) -> None:
        """Wait for a client that does not take what it is sent."""
        self.phase = Phase.DRAINING
        await self._inbound.drain()
        if self.phase is Phase.DRAINING:
            self.phase = Phase.STREAMING

    def end(self) -> None:
        self._over()
        self._inbound.end()

    def tick(self, now: float, ping: float) -> None:
        """Give a client that waits for a stream a sign of life after *ping* seconds."""
        if not self.stream or self.phase not in (Phase.WAITING, Phase.STREAMING) or now - self._quiet_since < ping:
            return
        if self._way is not None and not self._way.boundary:
            return
        self._quiet_since = now
        if not self._inbound.stalled:
            self.begin([], self._way)
            self._inbound.write(FORMATS[self.wire].PING)

    # All at once.

    def answer(self, status: int, head: Headers, body: bytes) -> None:
        self._over()
        self.status = status
        if self._follows:
            self._follow(body)
        self._inbound.answer(status, [*head, (b"x-relay-request-id", self.id.encode())], body)

    def refuse(self, error: WireError, raw: bytes = b"", head: Optional[Headers] = None) -> None:
        """Answer with *error* in the client's format; *raw* is the upstream's own body in that format."""
        if self.phase is not Phase.WAITING:  # a sign of life has gone out already: the status cannot be told any more
            self.say(self._said(error))
            return
        status, body = FORMATS[self.wire].write_error(error)
        lines = [(b"content-type", b"application/json"), *(head or [])]
        if error.retry_after and not any(n == b"retry-after" for n, _v in lines):
            lines.append((b"retry-after", error.retry_after.encode("latin-1", "replace")))
        self.answer(status, lines, raw or body)

    def outgrown(self, error: WireError, full: int) -> None:
        """Tell Codex *error* in its stream; with *full* tokens, as an answer that makes it compact its history.

        0.133 and 0.160 know in a stream alone what ``context_length_exceeded`` means.
        """
        self.say(FullWriter(self.asked()).full(full) if full else self._said(error))

    def say(self, events: bytes) -> None:
        """Answer with the stream *events*, or end with them the one that has begun."""
        self.begin([], self._way)
        self._inbound.write(events)
        self.end()

    def cut_off(self, error: WireError) -> None:
        """End the answer, whatever it has come to, with *error*."""
        try:
            if self.phase is Phase.WAITING:
                self.refuse(error)
            elif self.phase is Phase.STREAMING:
                self._inbound.write(b"\n\n" + self._said(error))
                self.end()
        except Exception:  # the connection is in no state to be told
            self.status = self.status or error.status

    @property
    def complete(self) -> bool:
        """Whether a client that goes now has been sent a whole answer."""
        way = self._way
        whole = way is not None and way.finished and way.failed is None
        return whole and self.phase is Phase.STREAMING and not self._inbound.stalled

    def lost(self) -> None:
        """The client is gone, or as good as gone."""
        self.phase = Phase.GONE
        self._way = None

    def _said(self, error: WireError) -> bytes:
        return FORMATS[self.wire].writer(self.asked()).write(Failed(error))

    def _over(self) -> None:
        self._quiet_since = NEVER
        self._way = None  # which holds the request that holds this
        if self.phase is not Phase.GONE:
            self.phase = Phase.ANSWERED

    def _follow(self, piece: bytes) -> None:
        """Keep the next *piece* of the answer for those who want it."""
        more = self.sample is not None and self.sample.take(piece)
        if self.watched is not None and self._seen < MAX_WATCHED:
            self.watched.append(piece)
            self._seen += len(piece)
            more = True
        self._follows = more
