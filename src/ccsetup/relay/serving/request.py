"""A request of a client, as each upstream is to get it: its own bytes where both speak one format, else translated."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ccsetup.model import WireFormat
from ccsetup.relay.routing.choice import Choice
from ccsetup.relay.serving import peek as peeking
from ccsetup.relay.serving.apart import LARGE
from ccsetup.relay.serving.runtime import Lane
from ccsetup.relay.wire import additions, adjust, codec, compaction, passing, reasoning, tokens
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import Asked, BadRequest, Conversation, Dialect
from ccsetup.relay.wire.tools import ToolNames, taken_ids


class ClientRequest:
    """The body of a request, kept until no further upstream can be asked.

    BadRequest when it is no JSON object or names no model.
    """

    __slots__ = (
        "_conversation", "_names", "_span", "_tokens", "_value", "blind", "body", "compact", "compacts", "model",
        "stream", "usage", "wire",
    )  # fmt: skip

    def __init__(self, wire: WireFormat, body: bytes, *, compact: bool = False) -> None:
        """*compact*: it came to ``/responses/compact``."""
        peek = peeking.peek(wire, body)
        self.compact = compact
        self.compacts = compact or (wire == "responses" and peeking.ends_with(peek.parsed, compaction.TRIGGER))
        """A summary is wanted."""
        self.wire: WireFormat = wire
        self.body = body
        self.blind = False
        """An image was replaced by a text for the upstream that was asked last."""
        self.model = peek.model
        self.stream = peek.stream and not compact
        self.usage = not peek.stream or passing.wants_usage(wire, peek.parsed)
        """The client wants to be told the usage."""
        self._span = peek.span
        self._value: Optional[Mapping[str, Any]] = peek.parsed
        self._conversation: Optional[Conversation] = None
        self._names: Optional[ToolNames] = None
        self._tokens: Optional[int] = None

    def value(self) -> Mapping[str, Any]:
        """Return the whole request; it is shared, so nobody changes it."""
        if self._value is None:
            self._value = peeking.peek(self.wire, self.body).parsed
        return self._value

    def thread(self) -> str:
        """Return what stays the same through a conversation, "" when it cannot be told."""
        return peeking.conversation(self.wire, self.value())

    def lighten(self) -> None:
        """Let go of what can be made again from the body: it is several times larger, and upstreams think for long."""
        self._value = self._conversation = None

    def settle(self) -> None:
        """No upstream is asked any more: the body stays only while its tokens may have to be estimated."""
        self.lighten()
        if len(self.body) >= LARGE:
            self._tokens = self.about()
        if self._tokens is not None:
            self.body = b""

    def target(self, lane: Lane, query: bytes, *, same: bool) -> bytes:
        """Return path and query for *lane*; *same*: the body is in the client's own format.

        Of the client's *query* only Claude Code's ``beta=true`` goes on, and only in its own format; others may hold
        a key.
        """
        if self.compact and same:
            return lane.target + b"/compact"
        if query and lane.wire == self.wire and b"beta=true" in query.split(b"&"):
            return lane.target + b"?beta=true"
        return lane.target

    def passes(self, choice: Choice, dialect: Dialect) -> bool:
        """Whether the upstream gets the client's own format, and its answer goes back as it came."""
        knows = self.compact or dialect.official or "compaction" in dialect.said
        return choice.wire == self.wire and (not self.compacts or (knows and dialect.compaction))

    def same(self, choice: Choice, dialect: Dialect, *, marks: int) -> bytes:
        """Return the body for an upstream of the client's format: its bytes, or as few changes as *dialect* asks for.

        *marks*: how many cache_control marks may stay; 0: all.  BadRequest when its model is to think, and it is not of
        its format.
        """
        body, upstream = self.body, choice.upstream
        thinks = choice.model if choice.thinking else ""
        value = passing.changed(self.wire, body, self.value, dialect, upstream.defaults, upstream.extra_body, thinks)
        self.blind = not dialect.images and bool(dialect.said) and adjust.shows_images(self.wire, self.value())
        if marks and self.wire == "anthropic" and body.count(b'"cache_control"') > marks:
            given = self.value() if value is None else value
            kept = peeking.drop_cache_control(given, marks)
            value = value if kept is given else kept
        silent = not self.usage and dialect.stream_usage
        if silent and (value is not None or "stream_options" in self.value()):
            value = passing.with_usage(self.value() if value is None else value)
        if value is not None:
            return codec.dumps({**value, "model": choice.model})
        if choice.model != self.model:
            body = peeking.replace_model(body, choice.model, self._span)
        return peeking.with_member(body, passing.USAGE) if silent else body

    def conversation(self) -> Conversation:
        """Return the neutral form; BadRequest when the request is not of its format."""
        if self._conversation is None:
            value = self.value()
            if self.compact:
                value = {**value, "input": compaction.with_trigger(value.get("input"))}
            conversation = FORMATS[self.wire].read_request(value)
            self._conversation = compaction.whole(conversation) if self.compact else conversation
        return self._conversation

    def translated(self, choice: Choice, dialect: Dialect) -> bytes:
        """Return the body for an upstream of another format; BadRequest as above."""
        conversation = additions.to_conversation(self.conversation(), choice.upstream.defaults)
        if choice.thinking:
            conversation = passing.thinking(conversation, choice.wire)
        # What was refused once is left out altogether, whoever made it.
        name = choice.upstream.name if dialect.signatures else ""
        own = reasoning.for_upstream(conversation, name, moved=choice.moved or not dialect.signatures)
        out, losses = FORMATS[choice.wire].write_request(own.for_model(choice.model), dialect, self.names())
        self.blind = not dialect.images and any(loss.code == "image" for loss in losses)
        if choice.upstream.extra_body:
            out = codec.dumps(additions.merged(codec.loads(out), choice.upstream.extra_body))
        return adjust.fitted(choice.wire, out, dialect)

    def names(self) -> ToolNames:
        if self._names is None:
            self._names = ToolNames.of(self.conversation())
        return self._names

    def asked(self, choice: Choice, request_id: str, created: int) -> Asked:
        """Return what the writer of the answer has to know."""
        conversation = self.conversation()
        taken = taken_ids(conversation)
        upstream = choice.upstream.name
        return Asked(conversation.outline(), self.names(), request_id, created, upstream, self.tokens, taken)

    def least(self, window: int) -> int:
        """Return how many tokens the prompt has for certain, 0 where the upstream itself would shorten it.

        Where they are more than *window*, ``tokens`` is known afterwards as well.
        """
        try:
            if peeking.shortened(self.value()):
                return 0
            least = tokens.at_least(self.conversation())
        except BadRequest:  # it is the upstream's to refuse
            return 0
        if least > window:
            self._tokens = max(self.tokens(), least)
        return least

    def tokens(self) -> int:
        """Return an estimate of the request's tokens; by its size alone when it is not of its format."""
        if self._tokens is None:
            try:
                self._tokens = tokens.estimate(self.conversation())
            except BadRequest:
                self._tokens = tokens.of_body(self.body)
        return self._tokens

    def about(self) -> int:
        """Return the same, of a large request by its size alone: that takes no time."""
        return tokens.of_body(self.body) if self._tokens is None and len(self.body) >= LARGE else self.tokens()
