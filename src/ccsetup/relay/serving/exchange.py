"""One request of a client: attempts on upstreams until one answers, and the answer's way back.

Nothing of an answer reaches the client before its first event is known to be good, so that until then another key or
upstream can take over.  The same format in and out is pass-through: bytes go on as they came.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Callable, Optional, Union

from ccsetup.model import WireFormat
from ccsetup.relay.http.base import Answer, UpstreamError
from ccsetup.relay.http.server import Gone, Inbound, Malformed, TooLarge
from ccsetup.relay.routing.failover import Ask, Choice, Failure, FailureKind, Turn
from ccsetup.relay.serving.answer_ways import Attempt, Broken, Unanswered, way
from ccsetup.relay.serving.answers import is_error, passed, readable, seconds_of, wants_no_reasoning
from ccsetup.relay.serving.callers import Caller
from ccsetup.relay.serving.request import Request
from ccsetup.relay.serving.runtime import NEVER, Lane, Runtime
from ccsetup.relay.store import UsageRow
from ccsetup.relay.wire import errors, tokens
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import (
    Asked,
    BadRequest,
    Conversation,
    Delta,
    Failed,
    Usage,
    WireError,
)
from ccsetup.relay.wire.sse import Decoder
from ccsetup.relay.wire.tools import ToolNames

if TYPE_CHECKING:
    from ccsetup.relay.serving.app import Relay

_MAX_ERROR = 64 * 1024
"""Bytes of an upstream's error that are read."""
_MAX_WATCHED = 1 << 20
_MAX_HEARD = 4 << 20
"""Bytes of an answer that are kept to be counted."""
_STREAM_HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Exchange:
    """Created for each request to an inference endpoint; ``run`` serves it."""

    # What the ticker looks at.
    deadline = NEVER
    deadline_kind: FailureKind = "first_byte"
    quiet_since = NEVER
    expired: Optional[FailureKind] = None
    gone = False
    sending = False
    task: Optional[asyncio.Task[None]] = None
    # The state of the answer.
    committed = False
    """The head of the answer has gone to the client."""
    stream = False
    boundary = True
    """What went to the client ends between two events."""
    lingering = False
    """The upstream's answer is read to its end behind our back."""
    # What is noted at the end.
    attempts = 0
    choice: Optional[Choice] = None
    model = ""
    status = 0
    error = ""
    first: Optional[float] = None
    usage = Usage()
    follows = False
    """What goes to the client is looked at: ``follow``."""
    watched: Optional[list[bytes]] = None
    """Request and answer, for an operator who asked to see them."""
    heard: Optional[list[bytes]] = None
    """The answer, for a client with a budget: its tokens have to be estimated where nobody tells them."""
    followed = 0
    """Bytes of the answer."""
    asked_tokens: Optional[Callable[[], int]] = None
    """Estimates those of the request, once that is let go of."""
    request: Optional[Request] = None
    """None before it has come, and again when an answer has begun."""
    asked: Optional[Asked] = None
    """For the writer, when the answer is translated."""

    def __init__(self, relay: Relay, wire: WireFormat, inbound: Inbound, caller: Caller, request_id: str) -> None:
        self.relay = relay
        self.runtime: Runtime = relay.runtime
        self.wire: WireFormat = wire
        self.inbound = inbound
        self.caller = caller
        self.id = request_id
        self.time = time.time()
        self.began = time.perf_counter()

    # The whole of it.

    async def run(self) -> None:
        """Serve the request.  Never raises but CancelledError when the server ends it."""
        relay, inbound = self.relay, self.inbound
        task = self.task = inbound.connection.task
        inbound.on_gone = self._lost
        relay.running.add(self)
        try:
            await self._serve()
        except Gone:
            self.error = "gone"
            self.status = 499
        except asyncio.CancelledError:
            if self.gone and task is not None:
                task.uncancel()
            elif self.expired is not None and task is not None:  # the client does not take its answer
                task.uncancel()
                self.gone = True
            else:
                self.error = "stopped"
                self._cut_off(WireError("overloaded", "The relay is being stopped.", 503, "1"))
                raise
            self.error = self.error or "gone"
            self.status = 499
        except Exception as error:
            relay.log.bug(error, id=self.id)
            self.error = "bug"
            self._cut_off(WireError("server", "This is a bug of the relay; its log says where.", 500))
        finally:
            relay.running.discard(self)
            inbound.on_gone = None
            if not inbound.answered:
                inbound.abort()  # a close would wait for the client to take the rest
            self._note()

    async def _serve(self) -> None:
        relay, caller = self.relay, self.caller
        try:
            body = self.inbound.body_here()
            request = Request(self.wire, body if body is not None else await self.inbound.body())
        except BadRequest as bad:
            self.refuse(_invalid(bad))
            return
        except (TooLarge, Malformed) as error:
            self.refuse(unreadable(error))
            return
        del body  # the request has it, until an answer has begun
        self.request = request
        self.model = request.model
        self.stream = request.stream
        if relay.watched and relay.is_watched(caller.name):
            self.watched, self.follows = [request.body], True
        if caller.client is not None:
            if caller.budgeted:
                self.heard, self.follows = [], True
                refusal = relay.budget_refusal(caller.client)
                if refusal is not None:
                    self.refuse(refusal)
                    return
            relay.store.reserve(caller.name, self.time)
        conversation = request.thread() if relay.pool.several(self.model) else ""
        ask = Ask(self.wire, self.model, conversation, caller.allowed)
        del request  # it is large, and only needed until an answer has begun
        turn = relay.pool.turn(ask, self.time)
        last: Optional[Unanswered] = None
        try:
            while True:
                choice = turn.next(time.time())
                if choice is None:
                    break
                self.choice = choice
                self.attempts += 1
                try:
                    await self._attempt(turn, choice)
                    return
                except Unanswered as failed:
                    last = failed
                    decision = turn.failed(failed.failure, time.time())
                    relay.log.add(
                        "warning",
                        "attempt failed",
                        id=self.id,
                        upstream=choice.upstream.name,
                        key=choice.key,
                        kind=failed.failure.kind,
                        status=failed.failure.status,
                        message=failed.error.message[:200],
                        again=decision.again,
                    )
                    if not decision.again:
                        break
                    if decision.wait > 0:
                        self._no_deadline()
                        await asyncio.sleep(decision.wait)
                except Broken as broken:
                    self.error = broken.kind
                    turn.failed(Failure("cut" if broken.kind not in ("idle", "protocol") else broken.kind), time.time())  # type: ignore[arg-type]
                    relay.log.add(
                        "warning", "answer broke off", id=self.id, upstream=choice.upstream.name, kind=broken.kind
                    )
                    return
            self._give_up(last, ask)
        finally:
            turn.finished(time.time())

    # One attempt.

    async def _attempt(self, turn: Turn, choice: Choice) -> None:
        # The pool chose by the configuration of now, whatever it was when the request came.
        self.runtime = self.relay.runtime
        lane = self.runtime.lane(choice)
        self.usage = Usage()  # what an earlier attempt began to tell is not this one's
        head = lane.heads[choice.key] if choice.key < len(lane.heads) else None
        if head is None:
            raise Unanswered(
                Failure("status", 401, "no key"),
                WireError("authentication", f"The relay has no key for its upstream '{lane.upstream.name}'.", 502),
            )
        same = choice.wire == self.wire
        loop_time = self.relay.loop.time
        total = loop_time() + lane.total - (time.perf_counter() - self.began)
        sanitized = choice.moved and lane.dialect.official
        while True:
            sent, target = self._for(lane, choice, sanitized)
            headers = self._headers(lane, choice, same=same)
            now = loop_time()
            self.deadline = min(now + lane.first_byte, total)
            self.deadline_kind = "first_byte"
            if self.quiet_since == NEVER:
                self.quiet_since = now
            answer: Optional[Answer] = None
            try:
                answer = await self.relay.http.request(lane.origin, b"POST", target, headers, sent)
                del sent
                if answer.status != 200:
                    await self._refused(lane, answer)
                attempt = Attempt(turn, lane, answer, readable(answer), total)
                await way(same=same, stream=self.stream)(self, attempt)
                return
            except Unanswered as failed:
                if sanitized or not wants_no_reasoning(failed.error):
                    raise
                sanitized = True
            except (Exception, asyncio.CancelledError) as error:
                kind = self.broke(error)
                if self.first is None:
                    raise self.unanswered(lane, kind, str(error)) from None
                self._cut_off(self.unanswered(lane, kind, "").error._replace(kind="cut"))
                raise Broken(kind) from None
            finally:
                if answer is not None and not self.lingering:
                    answer.close()

    def broke(self, error: BaseException) -> str:
        """Return the kind of failure that *error*, met over an upstream's answer, is; raise it where it is none.

        What nobody foresaw, an exception of a reader too, means that the answer cannot be understood: the next upstream
        may do better.  The log says where it was.
        """
        if isinstance(error, UpstreamError):
            return error.kind
        if isinstance(error, asyncio.CancelledError):
            return self.ran_out(error)
        if isinstance(error, (Gone, Broken, Unanswered)):
            raise error
        self.relay.log.misread(error, id=self.id)
        return "protocol"

    def _for(self, lane: Lane, choice: Choice, sanitized: bool) -> tuple[bytes, bytes]:
        """Return body and target for *lane*."""
        request = self.request
        assert request is not None  # until an answer has begun, and then nobody is asked any more
        target = request.target(lane, self.inbound.query)
        if lane.wire == self.wire:
            marks = self.runtime.config.cache_control_limit
            body = request.same(lane, choice, sanitized=sanitized, marks=marks)
        else:
            try:
                self.asked = request.asked(choice, self.id, int(self.time))
                body = request.translated(lane, choice, sanitized=sanitized)
                if self.stream and self.wire == "anthropic":
                    request.tokens()  # a stream of Messages begins with them
            except BadRequest as bad:
                raise Unanswered(Failure("status", 400, "request"), _invalid(bad)) from None
        request.lighten()
        return body, target

    def _headers(self, lane: Lane, choice: Choice, *, same: bool) -> tuple[tuple[bytes, bytes], ...]:
        caller = self.caller
        if caller.runtime is not self.runtime:  # a new configuration came in the middle of the request
            caller = self.caller = Caller(caller.headers, self.runtime, caller.access, None)
        return caller.lines(lane, choice.key, same=same)

    def unanswered(self, lane: Lane, kind: str, detail: str) -> Unanswered:
        status = 504 if kind in ("first_byte", "idle") else 502
        said = {
            "connect": "cannot be reached",
            "tls": "cannot be reached over TLS",
            "first_byte": "did not answer in time",
            "idle": "stopped answering",
            "cut": "closed the connection before its answer was complete",
        }.get(kind, "answered something that the relay cannot read")
        message = f"The relay's upstream '{lane.upstream.name}' {said}."
        if detail and kind in ("connect", "tls"):
            message += f" ({detail})"
        error = WireError("timeout" if status == 504 else "server", self.relay.log.masked(message), status)
        return Unanswered(Failure(kind), error)  # type: ignore[arg-type]

    async def _refused(self, lane: Lane, answer: Answer) -> None:
        """Raise what an answer means whose status is not 200."""
        pieces, size = [], 0
        try:
            body_in = readable(answer)
            while size < _MAX_ERROR:
                piece = await body_in.read()
                if not piece:
                    break
                pieces.append(piece)
                size += len(piece)
        except UpstreamError:
            pass
        raw = b"".join(pieces)
        status = answer.status
        retry_after = next((v.decode("latin-1") for n, v in answer.headers if n == b"retry-after"), "")
        if not 400 <= status <= 599:
            # Redirects are not followed: a key must not go to another host.
            message = f"The relay's upstream '{lane.upstream.name}' answered with status {status}."
            raise Unanswered(Failure("protocol", status), WireError("server", message, 502))
        error = errors.extract(status, raw, retry_after)
        raise self.refusal(lane, error, raw, answer.headers)

    def refusal(
        self, lane: Lane, error: WireError, raw: bytes = b"", head: Optional[list[tuple[bytes, bytes]]] = None
    ) -> Unanswered:
        masked = self.relay.log.masked
        error = error._replace(message=masked(error.message))
        text = raw[:4096].decode("utf-8", "replace")
        failure = Failure("status", error.status, text or error.message, seconds_of(error.retry_after))
        own = b""
        if raw and lane.wire == self.wire and error.kind != "context" and is_error(self.wire, raw):
            own = masked(raw.decode("utf-8", "replace")).encode()
        lines = [(name, masked(value.decode("latin-1")).encode("latin-1")) for name, value in passed(head or [])]
        return Unanswered(failure, error, own, lines)

    # Toward the client.

    def begun(self) -> None:
        """An answer has begun: nobody else is asked any more."""
        if self.request is not None:
            self.request.settle()
            if self.heard is not None:
                self.asked_tokens = self.request.tokens
            self.request = None
        if self.first is None:
            self.first = time.perf_counter() - self.began

    def plain_asked(self) -> Asked:
        names = ToolNames(())
        return Asked(Conversation(self.model, stream=True), names, self.id, int(self.time))

    def commit(self, more: list[tuple[bytes, bytes]]) -> None:
        """Begin the client's stream, unless a sign of life has done so; *more*: headers of the upstream's answer."""
        if self.committed:
            return
        self.committed = True
        self.status = 200
        head = [*_STREAM_HEAD, (b"x-relay-request-id", self.id.encode()), *more]
        self.inbound.begin(200, head)

    def end(self) -> None:
        self._no_deadline()
        self.inbound.end()

    def finish(self, status: int, head: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._no_deadline()
        self.committed = True
        self.status = status
        head.append((b"x-relay-request-id", self.id.encode()))
        if self.follows:
            self.follow(body)
        self.inbound.answer(status, head, body)

    def refuse(self, error: WireError, raw: bytes = b"", head: Optional[list[tuple[bytes, bytes]]] = None) -> None:
        """Answer with *error* in the client's format; *raw* is the upstream's own body in that format."""
        self.error = error.kind
        if self.committed:  # a sign of life has gone out already: the status cannot be told any more
            text = FORMATS[self.wire].writer(self.asked or self.plain_asked()).write(Failed(error))
            self.inbound.write(text)
            self.end()
            return
        status, body = FORMATS[self.wire].write_error(error)
        lines = [(b"content-type", b"application/json"), *(head or [])]
        if error.retry_after and not any(n == b"retry-after" for n, _v in lines):
            lines.append((b"retry-after", error.retry_after.encode("latin-1", "replace")))
        self.finish(status, lines, raw or body)

    def break_off(self, lane: Lane, kind: str) -> None:
        """Tell the client inside its stream that the answer is not complete; a cut never looks finished."""
        error = self.unanswered(lane, kind, "").error._replace(kind="cut")
        text = FORMATS[self.wire].writer(self.plain_asked()).write(Failed(error))
        if not self.boundary:
            text = b"\n\n" + text
        self.inbound.write(text)
        self.end()
        raise Broken(kind)

    def _cut_off(self, error: WireError) -> None:
        """End the answer, whatever it has come to, with *error*."""
        noted = self.error
        self._no_deadline()
        try:
            if not self.committed:
                self.refuse(error)
            elif self.stream and not self.sending:
                text = FORMATS[self.wire].writer(self.plain_asked()).write(Failed(error))
                self.inbound.write(b"\n\n" + text)
                self.end()
        except Exception:  # the connection is in no state to be told
            self.status = self.status or error.status
        self.error = noted

    def _give_up(self, last: Optional[Unanswered], ask: Ask) -> None:
        if last is not None:
            error = last.error
            self.refuse(error, last.raw, last.head)
            return
        now = time.time()
        wait = self.relay.pool.wait(ask, now)
        said = f"No upstream of the relay can take a request for '{ask.model}' now."
        retry = "" if wait is None else str(max(1, int(wait) + 1))
        reasons = [why for _upstream, why in self.relay.pool.candidates(ask, now)]
        if all(why in ("model", "not allowed", "disabled") for why in reasons):
            said = f"No upstream of the relay serves '{ask.model}'."
            self.refuse(WireError("not_found", said, 404, code="model_not_found"))
            return
        self.refuse(WireError("overloaded", said, 503, retry))

    # Called by the ticker and by the connection, between the steps above.

    def tick(self, now: float, ping: float) -> None:
        """Enforce the deadline, and give a client that waits for a stream a sign of life."""
        if now >= self.deadline:
            self.deadline = NEVER
            self.expired = self.deadline_kind
            if self.task is not None:
                self.task.cancel()
        elif ping and self.stream and self.boundary and not self.sending and now - self.quiet_since >= ping:
            self.quiet_since = now
            if not self.inbound.stalled:
                self._ping()

    def _ping(self) -> None:
        self.commit([])
        if self.status == 200 and self.boundary:
            self.inbound.write(FORMATS[self.wire].PING)

    def _lost(self) -> None:
        self.gone = True
        if self.task is not None:
            self.task.cancel()

    def ran_out(self, cancelled: asyncio.CancelledError) -> FailureKind:
        """Return which time of the upstream is over, when the ticker cancelled for that; else raise *cancelled*."""
        if self.expired is None or self.sending or self.gone:
            raise cancelled
        kind, self.expired = self.expired, None
        assert self.task is not None
        self.task.uncancel()
        return kind

    async def drain(self) -> None:
        """Wait for a client that does not take what it is sent."""
        self.sending = True
        await self.inbound.drain()
        self.sending = False

    def _no_deadline(self) -> None:
        self.deadline = NEVER
        self.quiet_since = NEVER

    # Notes.

    def follow(self, piece: bytes) -> None:
        """Keep the next *piece* of the answer for those who want it."""
        if self.watched is not None and self.followed < _MAX_WATCHED:
            self.watched.append(piece)
        if self.heard is not None and self.followed < _MAX_HEARD:
            self.heard.append(piece)
        self.followed += len(piece)

    def _charged(self) -> Usage:
        """Return the usage, estimated where a client with a budget would get for nothing what nobody told.

        Nobody does when a client gives an answer up, or asks for a stream of Chat Completions without its usage.
        """
        usage = self.usage
        asked = self.request.tokens if self.request is not None else self.asked_tokens
        if self.heard is None or asked is None or not self.attempts:
            return usage
        if usage.prompt and usage.output and not self.error:
            return usage
        if self.first is None and self.error != "gone":
            return usage  # nobody has answered
        heard = b"".join(self.heard)
        output = tokens.of_text(self._text(heard)) * self.followed // max(1, len(heard))
        return usage._replace(input=usage.input if usage.prompt else asked(), output=max(usage.output, output))

    def _text(self, answer: bytes) -> str:
        """Return what the model said in the beginning of an answer that went to the client."""
        wire = FORMATS[self.wire]
        if self.stream:
            reader, decoder = wire.reader(), Decoder()
            try:
                events = [event for name, data in decoder.feed(answer) for event in reader.feed(name, data)]
            except ValueError:  # an event that is too large to be read
                return ""
        else:
            events = wire.read_answer(answer)
        return "".join([event.text for event in events if type(event) is Delta])

    def _note(self) -> None:
        relay = self.relay
        total = time.perf_counter() - self.began
        choice = self.choice
        usage = self._charged()
        cost = relay.cost(choice, usage) if choice is not None else None
        row = UsageRow(
            self.time,
            self.id,
            self.caller.name,
            choice.upstream.name if choice is not None else "",
            choice.key if choice is not None else 0,
            self.model,
            choice.model if choice is not None else "",
            self.wire,
            choice.wire if choice is not None else "",
            self.status or 500,
            self.error,
            self.attempts,
            self.stream,
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning,
            None if cost is None else cost[0],
            "" if cost is None else cost[1],
            None if self.first is None else self.first * 1000,
            total * 1000,
        )
        relay.note(row)
        if self.watched is not None:
            asked, *answered = self.watched
            relay.log.add(
                "info",
                "content",
                id=self.id,
                request=asked.decode("utf-8", "replace"),
                answer=b"".join(answered).decode("utf-8", "replace"),
            )


def _invalid(bad: BadRequest) -> WireError:
    return WireError("invalid_request", bad.message, 400, code=getattr(bad, "code", ""), param=bad.param)


def unreadable(error: Union[TooLarge, Malformed]) -> WireError:
    """Return what a client is told whose body cannot be taken."""
    if isinstance(error, TooLarge):
        return WireError("too_large", "The request is larger than this relay takes.", 413)
    return WireError("invalid_request", "The body of the request is not framed as HTTP says.", 400)
