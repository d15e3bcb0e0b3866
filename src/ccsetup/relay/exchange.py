"""One request of a client: attempts on upstreams until one answers, and the answer's way back.

Nothing of an answer reaches the client before its first event is known to be good, so that until then another key or
upstream can take over.  The same format in and out is pass-through: bytes go on as they came.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Optional, Union

from ccsetup.model import WireFormat
from ccsetup.relay.answers import (
    Readable,
    end_of_events,
    is_error,
    is_stream,
    passed,
    readable,
    seconds_of,
    wants_no_reasoning,
    wrong_answer,
)
from ccsetup.relay.callers import Caller
from ccsetup.relay.failover import Ask, Choice, Failure, FailureKind
from ccsetup.relay.inbound import Gone, Inbound, Malformed, TooLarge
from ccsetup.relay.request import Request
from ccsetup.relay.runtime import FORMATS, Lane, Runtime
from ccsetup.relay.store import UsageRow
from ccsetup.relay.upstream import Answer, UpstreamError
from ccsetup.relay.wire.messages import (
    Asked,
    BadRequest,
    Conversation,
    Event,
    Failed,
    Ping,
    Started,
    Stop,
    Usage,
    WireError,
)
from ccsetup.relay.wire.sse import Decoder
from ccsetup.relay.wire.tap import Tap, usage_of
from ccsetup.relay.wire.tools import ToolNames

if TYPE_CHECKING:
    from ccsetup.relay.app import Relay

_MAX_ERROR = 64 * 1024
"""Bytes of an upstream's error that are read."""
_MAX_ANSWER = 64 << 20
"""Bytes of an answer that is not a stream."""
_MAX_BEFORE = 4 << 20
"""Bytes of a stream before its first event: comments, pings, heads."""
_MAX_HELD = 1 << 20
"""Bytes of one event that wait for its end."""
_MAX_WATCHED = 1 << 20
_NEVER = float("inf")
_UPSTREAMS_FAULT = ("server", "overloaded", "timeout", "cut")
"""Errors inside an answer that count toward the upstream's rest."""

_STREAM_HEAD = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class Unanswered(Exception):
    """An attempt that gave the client nothing."""

    def __init__(self, failure: Failure, error: WireError, raw: bytes = b"", head: Optional[list[Any]] = None) -> None:
        super().__init__(error.kind)
        self.failure = failure
        self.error = error
        self.raw = raw
        """The upstream's own error body, when it is in the client's format."""
        self.head = head or []


class Broken(Exception):
    """The answer stopped after the client had got a part of it; the client has been told."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Exchange:
    """Created for each request to an inference endpoint; ``run`` serves it."""

    # What the ticker looks at.
    deadline = _NEVER
    deadline_kind: FailureKind = "first_byte"
    quiet_since = _NEVER
    expired: Optional[FailureKind] = None
    gone = False
    sending = False
    task: Optional[asyncio.Task[None]] = None
    # The state of the answer.
    committed = False
    """The head of the answer has gone to the client."""
    stream = False
    tap: Optional[Tap] = None
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
    watched: Optional[list[bytes]] = None
    request: Optional[Request] = None
    """None before it has come, and again when an answer has begun."""
    _asked: Optional[Asked] = None
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
        task = self.task = inbound.task
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
            request = Request(self.wire, await self.inbound.body(), several=self.runtime.several)
        except BadRequest as bad:
            self.refuse(_invalid(bad))
            return
        except (TooLarge, Malformed) as error:
            self.refuse(unreadable(error))
            return
        if self.inbound.gone:
            raise Gone
        self.request = request
        self.model = request.peek.model
        self.stream = request.peek.stream
        if relay.watched and relay.is_watched(caller.name):
            self.watched = [request.body]
        if caller.client is not None:
            if caller.budgeted:
                refusal = relay.budget_refusal(caller.client)
                if refusal is not None:
                    self.refuse(refusal)
                    return
            relay.store.reserve(caller.name, self.time)
        ask = Ask(self.wire, self.model, request.peek.conversation, caller.allowed)
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

    async def _attempt(self, turn: Any, choice: Choice) -> None:
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
        timeouts = lane.upstream.timeouts
        spent = time.perf_counter() - self.began
        total = self.relay.loop.time() + timeouts.total - spent if timeouts.total else _NEVER
        sanitized = choice.moved and lane.dialect.official
        while True:
            sent, target = self._for(lane, choice, sanitized)
            headers = self._headers(lane, choice, same=same)
            now = self.relay.loop.time()
            self.deadline = min(now + (timeouts.first_byte or _NEVER), total)
            self.deadline_kind = "first_byte"
            if self.quiet_since == _NEVER:
                self.quiet_since = now
            answer: Optional[Answer] = None
            try:
                answer = await self.relay.http.request(lane.origin, b"POST", target, headers, sent)
                del sent
                if answer.status != 200:
                    await self._refused(lane, answer)
                body_in = readable(answer)
                if same:
                    await (self._pass_stream if self.stream else self._pass_whole)(turn, lane, answer, body_in, total)
                else:
                    await (self._translate_stream if self.stream else self._translate_whole)(
                        turn, lane, answer, body_in, total
                    )
                return
            except UpstreamError as error:
                raise self._unanswered(lane, error.kind, str(error)) from None
            except asyncio.CancelledError:
                if self.expired is None or self.sending or self.gone:
                    raise
                kind, self.expired = self.expired, None
                assert self.task is not None
                self.task.uncancel()
                raise self._unanswered(lane, kind, "it took too long") from None
            except Unanswered as failed:
                if sanitized or not wants_no_reasoning(failed.error):
                    raise
                sanitized = True
            finally:
                if answer is not None and not self.lingering:
                    answer.close()

    def _for(self, lane: Lane, choice: Choice, sanitized: bool) -> tuple[bytes, bytes]:
        """Return body and target for *lane*."""
        request = self.request
        assert request is not None  # until an answer has begun, and then nobody is asked any more
        target = request.target(lane, self.inbound.query)
        if lane.wire == self.wire:
            marks = self.runtime.config.cache_control_limit
            return request.same(lane, choice, sanitized=sanitized, marks=marks), target
        try:
            self._asked = request.asked(choice, self.id, int(self.time))
            return request.translated(lane, choice, sanitized=sanitized), target
        except BadRequest as bad:
            raise Unanswered(Failure("status", 400, "request"), _invalid(bad)) from None

    def _headers(self, lane: Lane, choice: Choice, *, same: bool) -> tuple[tuple[bytes, bytes], ...]:
        caller = self.caller
        if caller.runtime is not self.runtime:  # a new configuration came in the middle of the request
            caller = self.caller = Caller(caller.headers, self.runtime, caller.access, None)
        return caller.lines(lane, choice.key, same=same)

    def _unanswered(self, lane: Lane, kind: str, detail: str) -> Unanswered:
        status = 504 if kind in ("first_byte", "idle") else 502
        said = {
            "connect": "cannot be reached",
            "tls": "cannot be reached over TLS",
            "first_byte": "did not answer in time",
            "idle": "stopped answering",
            "cut": "closed the connection before its answer was complete",
        }.get(kind, "answered something that is not HTTP")
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
        error: WireError = FORMATS[lane.wire].read_error(status, raw, retry_after)
        raise self._status(lane, error, raw, answer.headers)

    def _status(
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

    # Answers in the client's own format.

    async def _pass_whole(self, turn: Any, lane: Lane, answer: Answer, body_in: Readable, total: float) -> None:
        raw = await self._whole(lane, body_in, total)
        usage = usage_of(self.wire, raw)
        if usage is not None:
            self.usage = usage
        if usage is None or b'"base_resp"' in raw or b'"failed"' in raw:  # figures come with errors as well
            error = wrong_answer(lane.wire, raw)
            if error is not None:
                raise self._status(lane, error, raw, answer.headers)
        turn.succeeded(time.time())
        self._first()
        head = [(b"content-type", b"application/json"), *passed(answer.headers)]
        self._finish(200, head, raw)

    async def _pass_stream(self, turn: Any, lane: Lane, answer: Answer, body_in: Readable, total: float) -> None:
        if not is_stream(answer):
            await self._stream_of_whole(turn, lane, body_in, total)
            return
        tap = Tap(self.wire)
        held: list[bytes] = []
        size = 0
        while not tap.begun:
            piece = await body_in.read()
            if not piece:
                raise Unanswered(Failure("cut"), self._unanswered(lane, "cut", "").error)
            tap.feed(piece)
            if tap.failed is not None:
                raise self._status(lane, tap.failed)
            held.append(piece)
            size += len(piece)
            if size > (_MAX_BEFORE if tap.at_boundary else _MAX_ANSWER):
                raise UpstreamError("protocol", "nothing but comments")
            self.deadline = min(self.relay.loop.time() + (lane.upstream.timeouts.idle or _NEVER), total)
        turn.succeeded(time.time())
        self.tap = tap
        self._first()
        loop_time = self.relay.loop.time
        idle = lane.upstream.timeouts.idle or _NEVER
        self.deadline_kind = "idle"
        piece = b"".join(held)
        rest = b""
        kind = ""
        try:
            if not self.committed:
                self._commit(passed(answer.headers))
            inbound = self.inbound
            write = inbound.write
            while piece:
                now = loop_time()
                self.deadline = min(now + idle, total)
                if rest:
                    piece, rest = rest + piece, b""
                if not tap.at_boundary:
                    # Only whole events go out: half of one could neither be taken back nor followed by an error.
                    end = end_of_events(piece)
                    if self.boundary or end:
                        piece, rest = piece[:end], piece[end:]
                    if len(rest) > _MAX_HELD:
                        piece, rest = piece + rest, b""
                if piece:
                    self.quiet_since = now
                    write(piece)
                    if inbound.stalled:
                        await self._drain()
                    self.boundary = bool(rest) or tap.at_boundary
                    if self.watched is not None:
                        self.watch(piece)
                piece = await body_in.read()
                tap.feed(piece)
        except UpstreamError as error:
            kind = error.kind
        except asyncio.CancelledError:
            if self.expired is None or self.sending or self.gone:
                raise
            kind, self.expired = self.expired, None
            assert self.task is not None
            self.task.uncancel()
        finally:
            told = (tap.finished, tap.failed)
            tap.end()
            if tap.usage is not None:
                self.usage = tap.usage
        if rest and ((tap.finished, tap.failed) != told or rest.endswith(b"[DONE]\n")):
            # The end itself, without the empty line that belongs behind it.
            self.inbound.write(rest + b"\n\n")
        if tap.failed is None and not tap.finished:
            self._break_off(lane, kind or "cut")
        self._end()
        if tap.failed is not None:
            self.error = tap.failed.kind
            if tap.failed.kind in _UPSTREAMS_FAULT:
                raise Broken(tap.failed.kind)

    async def _stream_of_whole(self, turn: Any, lane: Lane, body_in: Readable, total: float) -> None:
        """The upstream answers a stream's request with one JSON document: make the stream of it."""
        events = await self._events(lane, body_in, total)
        turn.succeeded(time.time())
        asked = self._asked or self._plain_asked()
        writer = FORMATS[self.wire].Writer(asked)
        self._write_out(b"".join(writer.write(event) for event in events))

    def _plain_asked(self) -> Asked:
        names = ToolNames(())
        return Asked(Conversation(self.model, stream=True), names, self.id, int(self.time))

    # Answers in another format.

    async def _translate_whole(self, turn: Any, lane: Lane, answer: Answer, body_in: Readable, total: float) -> None:
        events = await self._events(lane, body_in, total)
        assert self._asked is not None
        out = FORMATS[self.wire].write_answer(events, self._asked)
        turn.succeeded(time.time())
        self._first()
        self._finish(200, [(b"content-type", b"application/json"), *passed(answer.headers)], out)

    async def _events(self, lane: Lane, body_in: Readable, total: float) -> list[Event]:
        """Return the events of an answer that is one JSON document; Unanswered when it is an error in disguise."""
        raw = await self._whole(lane, body_in, total)
        events: list[Event] = FORMATS[lane.wire].read_answer(raw)
        for event in events:
            if isinstance(event, Failed):
                raise self._status(lane, event.error, raw)
            self._note_usage(event)
        return events

    async def _translate_stream(self, turn: Any, lane: Lane, answer: Answer, body_in: Readable, total: float) -> None:
        if not is_stream(answer):
            await self._stream_of_whole(turn, lane, body_in, total)
            return
        assert self._asked is not None
        decoder = Decoder()
        reader = FORMATS[lane.wire].Reader()
        inbound = self.inbound
        write = FORMATS[self.wire].Writer(self._asked).write
        feed = reader.feed
        held: list[bytes] = []
        begun = ended = False
        loop_time = self.relay.loop.time
        idle = lane.upstream.timeouts.idle or _NEVER
        kind = ""
        size = 0
        try:
            while not ended:
                piece = await body_in.read()
                out: list[bytes] = []
                if piece:
                    events = [event for name, data in decoder.feed(piece) for event in feed(name, data)]
                else:
                    ended = True
                    events = [event for name, data in decoder.end() for event in feed(name, data)]
                    events += reader.end()
                for event in events:
                    which = type(event)
                    if which is Failed:
                        if not begun:
                            raise self._broken_start(lane, event)
                        self.error = event.error.kind
                        ended = True
                    elif which is Stop or which is Started:
                        self._note_usage(event)
                        begun = begun or which is Stop
                        ended = ended or which is Stop
                    elif which is not Ping:
                        begun = True
                    if which is not Ping:
                        out.append(write(event))
                if not begun:
                    held += out
                    size += len(piece)
                    if size > (_MAX_BEFORE if decoder.at_boundary else _MAX_ANSWER):
                        raise UpstreamError("protocol", "nothing but comments")
                    self.deadline = min(loop_time() + idle, total)
                    continue
                now = loop_time()
                self.deadline = min(now + idle, total)
                if self.first is None:
                    turn.succeeded(time.time())
                    self._first()
                    self.deadline_kind = "idle"
                    if not self.committed:
                        self._commit(passed(answer.headers))
                    out = held + out
                text = b"".join(out)
                if text:
                    self.quiet_since = now
                    inbound.write(text)
                    if inbound.stalled:
                        await self._drain()
                    if self.watched is not None:
                        self.watch(text)
        except UpstreamError as error:
            if not begun:
                raise
            kind = error.kind
        except ValueError:  # an event larger than the decoder takes
            kind = "protocol"
            if not begun:
                raise UpstreamError(kind, "an event is too large") from None
        except asyncio.CancelledError:
            if not begun or self.expired is None or self.sending or self.gone:
                raise
            kind, self.expired = self.expired, None
            assert self.task is not None
            self.task.uncancel()
        if kind:
            self.error = kind
            told = self._unanswered(lane, kind, "").error._replace(kind="cut")
            self.inbound.write(write(Failed(told)))
        elif piece and not self.error:
            self.lingering = True
            self.relay.linger(answer)
        self._end()
        if kind or self.error in _UPSTREAMS_FAULT:
            raise Broken(kind or self.error)

    def _broken_start(self, lane: Lane, event: Failed) -> Unanswered:
        if event.error.kind == "cut":
            return self._unanswered(lane, "cut", "")
        return self._status(lane, event.error)

    def _note_usage(self, event: Event) -> None:
        usage = event.usage if isinstance(event, (Started, Stop)) else None
        if usage is not None:
            self.usage = usage

    # Toward the client.

    async def _whole(self, lane: Lane, body_in: Readable, total: float) -> bytes:
        pieces: list[bytes] = []
        size = 0
        idle = lane.upstream.timeouts.idle or _NEVER
        while True:
            piece = await body_in.read()
            if not piece:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self.deadline = min(self.relay.loop.time() + idle, total)
            self.deadline_kind = "idle"
            size += len(piece)
            if size > _MAX_ANSWER:
                raise UpstreamError("protocol", "the answer is too large")
            pieces.append(piece)

    def _first(self) -> None:
        self.request = None
        if self.first is None:
            self.first = time.perf_counter() - self.began

    def _commit(self, more: list[tuple[bytes, bytes]]) -> None:
        self.committed = True
        self.status = 200
        head = [*_STREAM_HEAD, (b"x-relay-request-id", self.id.encode()), *more]
        self.inbound.begin(200, head)

    def _write_out(self, text: bytes) -> None:
        self._first()
        if not self.committed:
            self._commit([])
        if self.watched is not None:
            self.watch(text)
        self.inbound.write(text)
        self._end()

    def _end(self) -> None:
        self._no_deadline()
        self.inbound.end()

    def _finish(self, status: int, head: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._no_deadline()
        self.committed = True
        self.status = status
        head.append((b"x-relay-request-id", self.id.encode()))
        if self.watched is not None:
            self.watch(body)
        self.inbound.answer(status, head, body)

    def refuse(self, error: WireError, raw: bytes = b"", head: Optional[list[tuple[bytes, bytes]]] = None) -> None:
        """Answer with *error* in the client's format; *raw* is the upstream's own body in that format."""
        self.error = error.kind
        if self.committed:  # a sign of life has gone out already: the status cannot be told any more
            text = FORMATS[self.wire].Writer(self._asked or self._plain_asked()).write(Failed(error))
            self.inbound.write(text)
            self._end()
            return
        status, body = FORMATS[self.wire].write_error(error)
        lines = [(b"content-type", b"application/json"), *(head or [])]
        if error.retry_after and not any(n == b"retry-after" for n, _v in lines):
            lines.append((b"retry-after", error.retry_after.encode("latin-1", "replace")))
        self._finish(status, lines, raw or body)

    def _break_off(self, lane: Lane, kind: str) -> None:
        """Tell the client inside its stream that the answer is not complete; a cut never looks finished."""
        error = self._unanswered(lane, kind, "").error._replace(kind="cut")
        text = FORMATS[self.wire].Writer(self._plain_asked()).write(Failed(error))
        if not self.boundary:
            text = b"\n\n" + text
        self.inbound.write(text)
        self._end()
        raise Broken(kind)

    def _cut_off(self, error: WireError) -> None:
        """End the answer, whatever it has come to, with *error*."""
        noted = self.error
        self._no_deadline()
        try:
            if not self.committed:
                self.refuse(error)
            elif self.stream and not self.sending:
                text = FORMATS[self.wire].Writer(self._plain_asked()).write(Failed(error))
                self.inbound.write(b"\n\n" + text)
                self._end()
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
            self.deadline = _NEVER
            self.expired = self.deadline_kind
            if self.task is not None:
                self.task.cancel()
        elif ping and self.stream and self.boundary and not self.sending and now - self.quiet_since >= ping:
            self.quiet_since = now
            if not self.inbound.stalled:
                self._ping()

    def _ping(self) -> None:
        if not self.committed:
            self._commit([])
        if self.status == 200 and self.boundary:
            self.inbound.write(FORMATS[self.wire].PING)

    def _lost(self) -> None:
        self.gone = True
        if self.task is not None:
            self.task.cancel()

    async def _drain(self) -> None:
        """Wait for a client that does not take what it is sent."""
        self.sending = True
        await self.inbound.drain()
        self.sending = False

    def _no_deadline(self) -> None:
        self.deadline = _NEVER
        self.quiet_since = _NEVER

    # Notes.

    def watch(self, piece: bytes) -> None:
        assert self.watched is not None
        if sum(map(len, self.watched)) < _MAX_WATCHED:
            self.watched.append(piece)

    def _note(self) -> None:
        relay = self.relay
        total = time.perf_counter() - self.began
        choice = self.choice
        usage = self.usage
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
