"""One attempt on one upstream: its request, and the way of its answer to the client.

Nothing of an answer reaches the client before its first event is known to be good, so that until then another key or
upstream can take over.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import Callable, Iterator, Optional, TypeVar

from ccsetup.relay.http.base import NetworkFailure, UpstreamAnswer, UpstreamError
from ccsetup.relay.http.inbound import Gone, Headers
from ccsetup.relay.routing.choice import Choice, Failure
from ccsetup.relay.routing.failover import Turn
from ccsetup.relay.serving import failures
from ccsetup.relay.serving.answer_ways import (
    PassedStream,
    PassedWhole,
    StreamOfWhole,
    TranslatedStream,
    TranslatedWhole,
    Way,
)
from ccsetup.relay.serving.answers import Readable, is_stream, passed, readable, served_by
from ccsetup.relay.serving.apart import LARGE, apart
from ccsetup.relay.serving.callers import Caller
from ccsetup.relay.serving.failures import UPSTREAMS_FAULT, Broken, Unanswered
from ccsetup.relay.serving.relay import Relay
from ccsetup.relay.serving.reply import Phase, Reply
from ccsetup.relay.serving.request import ClientRequest
from ccsetup.relay.serving.runtime import NEVER
from ccsetup.relay.wire import codec, errors, refusals
from ccsetup.relay.wire.messages import Asked, BadRequest, Dialect, Usage, WireError

_MAX_ERROR = 64 * 1024
"""Bytes of an upstream's error that are read."""
_JSON = (b"content-type", b"application/json")
_BLIND = (b"x-relay-changed", b"images replaced by a text")
_DIGITS = re.compile(r"\d+")
_CORRECTIONS = 6
"""Corrected requests to one upstream at most; more than so many oddities at a time were never seen."""

T = TypeVar("T")


class Attempt:
    """``run`` makes it, once.  The ticker calls ``expire`` when the deadline has passed."""

    __slots__ = (
        "_asked", "_caller", "_deadline_kind", "_dialect", "_large", "_learned", "_now", "_on_begun", "_relay",
        "_reply", "_request", "_runtime", "_same", "_served", "_turn", "_until", "choice", "deadline", "error",
        "expired", "lane", "usage",
    )  # fmt: skip

    def __init__(
        self,
        relay: Relay,
        reply: Reply,
        caller: Caller,
        request: ClientRequest,
        turn: Turn,
        choice: Choice,
        began: float,
        on_begun: Callable[[], None],
    ) -> None:
        """*began*: loop time at which the request came.  *on_begun* is called when an answer has begun: nobody else is
        asked any more."""
        # The pool chose by the configuration of now, whatever it was when the request came.
        runtime = self._runtime = relay.runtime
        self.lane = runtime.lane(choice)
        self.choice = choice
        self.deadline = NEVER
        """Loop time."""
        self.expired: Optional[NetworkFailure] = None
        """The time of the upstream that is over."""
        self.usage = Usage()
        """As far as the upstream has told it."""
        self.error = ""
        """Kind of the error in an answer that the client has got."""
        self._relay = relay
        self._now = relay.loop.time
        self._reply = reply
        self._caller = caller
        self._request: Optional[ClientRequest] = request  # it is large, and only needed until an answer has begun
        self._asked: Optional[Asked] = None
        """For the writer, when the answer is translated."""
        self._large = len(request.body) >= LARGE
        self._turn = turn
        self._until = began + self.lane.total
        self._on_begun = on_begun
        self._deadline_kind: NetworkFailure = "first_byte"
        dialect = relay.oddities.dialect(choice, self.lane.dialect, relay.clock())
        self._use(refusals.changed(dialect, {"signatures": False}) if choice.moved and dialect.official else dialect)
        self._learned: refusals.Changes = {}
        """To be kept, should the request be taken."""
        self._served = [] if choice.model == request.model and not choice.all else served_by(choice)

    async def run(self, query: bytes) -> None:
        """Give the client an answer; *query*: the client's.

        Unanswered while the client has got nothing; Broken when it got only a part and was told so.
        """
        lane = self.lane
        key = self.choice.key
        if key >= len(lane.heads) or lane.heads[key] is None:
            said = f"The relay has no key for its upstream '{lane.upstream.name}'."
            raise Unanswered(Failure("status", 401, "no key"), WireError("authentication", said, 502))
        try:
            await self._ask(query)
        except Unanswered as failed:
            await self._corrected(failed, query)

    async def _corrected(self, failed: Unanswered, query: bytes) -> None:
        """Ask again with what the refusal *failed* tells to change; it is raised where that is nothing or of no use."""
        taken, learned, tried = self._dialect, self._learned, 0
        before = await self._apart(self._sent)
        waiting = await self._apart(partial(self._changes, failed.error, before[0]))
        while tried < _CORRECTIONS and (found := next(waiting, None)) is not None:
            change, kept = found
            self._use(refusals.changed(taken, change))
            if (sent := await self._apart(self._sent)) != before:
                tried += 1
                kinds = learned.keys() | (change.keys() if kept else ())
                self._learned = {name: getattr(self._dialect, name) for name in kinds}
                try:
                    await self._ask(query)
                    return
                except Unanswered as again:
                    if again.failure.kind != "status":
                        raise
                    if _plain(again.error) != _plain(failed.error):  # it was of use, and something else is refused now
                        taken, learned, failed, before = self._dialect, self._learned, again, sent
                        waiting = await self._apart(partial(self._changes, failed.error, before[0]))
            self._use(taken)
        raise failed

    def _use(self, dialect: Dialect) -> None:
        assert self._request is not None  # until an answer has begun
        self._dialect, self._same = dialect, self._request.passes(self.choice, dialect)

    def _changes(self, error: WireError, sent: bytes) -> Iterator[tuple[refusals.Changes, bool]]:
        """Return what could be changed of the body *sent*, but for what the configuration itself says."""
        try:
            body = codec.loads(sent)
        except (ValueError, RecursionError):  # it could not be written, and was refused by ourselves
            return iter(())
        found: list[tuple[refusals.Changes, bool]] = []
        if self._request is not None and self._request.compact and self._same and error.status in refusals.STATUS:
            found.append(({"compaction": False}, True))
        lessens = self._reply.wire != "anthropic" or self._caller.claude_code
        found += refusals.changes(error, self.choice.wire, body, lessens=lessens)
        return iter([one for one in found if not one[0].keys() & self.lane.dialect.said])

    async def _ask(self, query: bytes) -> None:
        relay, lane, reply = self._relay, self.lane, self._reply
        self.stop_clock()
        made = partial(self._body, query)
        body, target = await self._apart(made) if self._large else made()
        headers = self._headers()
        now = self._now()
        self.deadline = min(now + lane.first_byte, self._until)
        self._deadline_kind = "first_byte"
        reply.wait(now)
        answer: Optional[UpstreamAnswer] = None
        lingers = False
        try:
            answer = await relay.http.request(lane.origin, b"POST", target, headers, body)
            del body
            if answer.status != 200:
                raise await self._rejection(answer)
            body_in = readable(answer)
            if not reply.stream:
                await self._whole(answer, body_in)
            elif is_stream(answer):
                lingers = await self._stream(answer, body_in)
                if lingers:
                    relay.linger(answer)
            else:
                await self._stream_of_whole(answer, body_in)
        except (Exception, asyncio.CancelledError) as error:
            kind = self.why(error)
            if kind is None:
                raise
            if self._request is not None:
                raise self._unanswered(kind, str(error)) from None
            self.stop_clock()
            reply.cut_off(self._told(kind)._replace(kind="cut"))
            raise Broken(kind) from None
        finally:
            if answer is not None and not lingers:
                answer.close()

    # The request.

    async def _apart(self, work: Callable[[], T]) -> T:
        """Return what *work* makes of the request."""
        return await apart(LARGE, work) if self._large else work()

    def _sent(self) -> tuple[bytes, Headers]:
        """Return body and headers as the dialect of now has them; b"" for a body that cannot be written."""
        try:
            return self._written(), list(self._headers())
        except BadRequest:
            return b"", []

    def _body(self, query: bytes) -> tuple[bytes, bytes]:
        """Return body and target."""
        request, choice, reply = self._request, self.choice, self._reply
        assert request is not None  # until an answer has begun, and then nobody is asked any more
        try:
            if not self._same:
                self._asked = request.asked(choice, reply.id, reply.created)
            body = self._written()
            begins = reply.stream and reply.wire == "anthropic"  # a stream of Messages begins with its tokens
            if not self._same and (begins or len(request.body) >= LARGE):
                request.tokens()  # here in the thread, though most upstreams tell them later
        except BadRequest as bad:
            raise Unanswered(Failure("status", 400, "request"), failures.invalid(bad)) from None
        request.lighten()
        return body, request.target(self.lane, query, same=self._same)

    def _written(self) -> bytes:
        """Return the body of the request as the dialect of now has it; BadRequest when it cannot be written."""
        request = self._request
        assert request is not None
        if self._same:
            return request.same(self.choice, self._dialect, marks=self._runtime.config.cache_control_limit)
        return request.translated(self.choice, self._dialect)

    def _headers(self) -> tuple[tuple[bytes, bytes], ...]:
        caller = self._caller
        if caller.runtime is not self._runtime:  # a new configuration came in the middle of the request
            caller = Caller(caller.headers, self._runtime, caller.access, None)
        return caller.lines(self.lane, self.choice.key, same=self._same, betas=self._dialect.betas)

    # The answer.

    async def _stream(self, answer: UpstreamAnswer, body: Readable) -> bool:
        """Give the client a stream; return whether the end of the upstream's is still to be read."""
        reply, now_of, read = self._reply, self._now, body.read
        idle, until = self.lane.idle, self._until
        way: Way
        if self._same:
            way = PassedStream(reply.wire, reply.asked, self._told, usage=reply.usage)
        else:
            assert self._asked is not None
            way = TranslatedStream(self.lane.wire, reply.wire, self._asked, self._told)
        feed = way.feed
        why: Optional[NetworkFailure] = None
        try:
            text = await self._until_begun(way, body)
            head = self._head(answer)
            self.usage = way.usage or self.usage
            self._begin(answer)
            reply.begin(head, way)
            self._deadline_kind = "idle"
            try:
                while True:
                    now = now_of()
                    self.deadline = min(now + idle, until)
                    if text and reply.send(text, now):
                        await reply.drain()
                    if way.over:
                        break
                    piece = await read()
                    if not piece:
                        break
                    text = feed(piece) if way.held < LARGE else await asyncio.to_thread(feed, piece)
            except (Exception, asyncio.CancelledError) as error:
                why = self.why(error)
                if why is None:
                    raise
            lingers = way.over and not way.failed
            if not way.over and (text := way.end(why)):
                reply.send(text, now_of())
        finally:
            self.usage = way.usage or self.usage
        self.stop_clock()
        reply.end()
        if way.failed is not None:
            self.error = way.failed.kind
            if way.failed.kind in UPSTREAMS_FAULT:
                raise Broken(way.failed.kind)
        elif not way.finished:
            raise Broken(why or "cut")
        return lingers

    async def _until_begun(self, way: Way, body: Readable) -> bytes:
        """Return what the client gets first; Unanswered when the upstream fails before."""
        while piece := await body.read():
            text = await apart(way.held, partial(way.feed, piece))
            if way.begun:
                return text
            if way.failed is not None:
                break
            self.deadline = min(self._now() + self.lane.idle, self._until)
        else:
            text = way.end()
            if way.begun:
                return text
        if way.failed is None or way.failed.kind == "cut":
            raise self._unanswered("cut")
        raise self._rejected(way.failed)

    async def _whole(self, answer: UpstreamAnswer, body: Readable) -> None:
        way: PassedWhole | TranslatedWhole
        if self._same:
            way = PassedWhole(self._reply.wire, self._reply.asked)
        else:
            assert self._asked is not None
            way = TranslatedWhole(self.lane.wire, self._reply.wire, self._asked)
        text = await self._all(way, answer, body)
        head = self._head(answer)
        self._begin(answer)
        self.stop_clock()
        self._reply.answer(200, [_JSON, *head], text)

    async def _stream_of_whole(self, answer: UpstreamAnswer, body: Readable) -> None:
        reply = self._reply
        way = StreamOfWhole(self.lane.wire, reply.wire, self._asked or reply.asked())
        text = await self._all(way, answer, body)
        head = self._head(answer)
        self._begin(answer)
        self.stop_clock()
        reply.begin(head)
        reply.send(text, self._now())
        reply.end()

    async def _all(self, way: PassedWhole | TranslatedWhole, answer: UpstreamAnswer, body: Readable) -> bytes:
        """Return what the client gets of an answer that is one JSON document."""
        read, now_of = body.read, self._now
        while piece := await read():
            way.feed(piece)
            self.deadline = min(now_of() + self.lane.idle, self._until)
            self._deadline_kind = "idle"
        text = way.end() if way.size < LARGE else await apart(way.size, way.end)
        self.usage = way.usage or self.usage
        if way.failed is not None:
            raise self._rejected(way.failed, way.raw if way.size <= _MAX_ERROR else b"", answer.headers)
        return text

    def _head(self, answer: UpstreamAnswer) -> Headers:
        """Return what the client sees of the upstream's headers, and what was changed behind its back."""
        head = [*self._served, *passed(answer.headers)]
        return [*head, _BLIND] if self._request is not None and self._request.blind else head

    def _begin(self, answer: UpstreamAnswer) -> None:
        if self._learned:
            self._learn()
        self._reply.hear(answer)
        self._turn.succeeded(self._relay.clock())
        self._request = None
        self._on_begun()

    def _learn(self) -> None:
        relay, choice = self._relay, self.choice
        relay.oddities.learn(choice, self._learned, relay.clock())
        said = ", ".join(sorted(self._learned))
        relay.log.add(
            "info", "oddity learned", id=self._reply.id, upstream=choice.upstream.name, dialect=said, **choice.told()
        )

    # Failures.

    async def _rejection(self, answer: UpstreamAnswer) -> Unanswered:
        """Return what an answer means whose status is not 200."""
        pieces, size = [], 0
        try:
            body = readable(answer)
            while size < _MAX_ERROR:
                piece = await body.read()
                if not piece:
                    break
                pieces.append(piece)
                size += len(piece)
        except UpstreamError:
            pass
        raw = b"".join(pieces)
        status = answer.status
        if not 400 <= status <= 599:
            # Redirects are not followed: a key must not go to another host.
            message = f"The relay's upstream '{self.lane.upstream.name}' answered with status {status}."
            return Unanswered(Failure("protocol", status), WireError("server", message, 502))
        retry_after = next((v.decode("latin-1") for n, v in answer.headers if n == b"retry-after"), "")
        return self._rejected(errors.extract(status, raw, retry_after), raw, answer.headers)

    def _rejected(self, error: WireError, raw: bytes = b"", head: Optional[Headers] = None) -> Unanswered:
        relay = self._relay
        same = self._reply.wire if self._same else None
        return failures.rejected(error, raw, head or [], relay.log.masked, relay.clock(), same)

    def _told(self, kind: NetworkFailure, detail: str = "") -> WireError:
        error = failures.told(kind, self.lane.upstream.name, detail)
        return error._replace(message=self._relay.log.masked(error.message))

    def _unanswered(self, kind: NetworkFailure, detail: str = "") -> Unanswered:
        return Unanswered(Failure(kind), self._told(kind, detail))

    def why(self, error: BaseException) -> Optional[NetworkFailure]:
        """Return the kind of failure that *error*, met over an upstream's answer, is; None where it is none.

        What nobody foresaw, an exception of a reader too, means that the answer cannot be understood: the next upstream
        may do better.  The log says where it was.
        """
        if isinstance(error, UpstreamError):
            return error.kind
        if isinstance(error, asyncio.CancelledError):
            return self._ran_out()
        if isinstance(error, (Gone, Broken, Unanswered)):
            return None
        self._relay.log.misread(error, id=self._reply.id)
        return "protocol"

    # The clock.

    def expire(self) -> None:
        """The deadline has passed; the task is about to be cancelled for it."""
        self.deadline = NEVER
        self.expired = self._deadline_kind

    def _ran_out(self) -> Optional[NetworkFailure]:
        """Return which time of the upstream is over, when the task was cancelled for that; else None."""
        kind = self.expired
        if kind is None or self._reply.phase in (Phase.DRAINING, Phase.GONE):
            return None
        self.expired = None
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()
        return kind

    def stop_clock(self) -> None:
        self.deadline = NEVER


def _plain(error: WireError) -> str:
    """Return what *error* says, but for the numbers of messages and characters in it."""
    return _DIGITS.sub("", error.message)
