"""The four ways of an answer to the client: whole or as a stream, as it came or translated.

Each takes an ``Attempt`` whose answer has status 200.  It gives the client the answer, or raises ``Unanswered`` while
the client has got nothing, or ``Broken`` when it got only a part and was told so.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Optional, Protocol, Union

from ccsetup.relay.http.base import Answer, UpstreamError
from ccsetup.relay.routing.failover import Failure, Turn
from ccsetup.relay.serving.answers import Readable, end_of_events, is_stream, passed, wrong_answer
from ccsetup.relay.serving.runtime import Lane
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import Event, Failed, Ping, Started, Stop, WireError
from ccsetup.relay.wire.sse import Decoder
from ccsetup.relay.wire.tap import Tap, usage_of

if TYPE_CHECKING:
    from ccsetup.relay.serving.exchange import Exchange

_MAX_ANSWER = 64 << 20
"""Bytes of an answer that is not a stream."""
_MAX_BEFORE = 4 << 20
"""Bytes of a stream before its first event: comments, pings, heads."""
_MAX_HELD = 1 << 20
"""Bytes of one event that wait for its end."""
_UPSTREAMS_FAULT = ("server", "overloaded", "timeout", "cut")
"""Errors inside an answer that count toward the upstream's rest."""
_JSON = (b"content-type", b"application/json")


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


class Attempt:
    """A request to an upstream whose answer has come."""

    __slots__ = ("answer", "body", "idle", "lane", "total", "turn")

    def __init__(self, turn: Turn, lane: Lane, answer: Answer, body: Readable, total: float) -> None:
        self.turn = turn
        self.lane = lane
        self.answer = answer
        self.body = body
        """Of the answer, unpacked."""
        self.total = total
        """Loop time at which it has to be over."""
        self.idle = lane.idle


class Way(Protocol):
    async def __call__(self, exchange: Exchange, attempt: Attempt) -> None: ...


def way(*, same: bool, stream: bool) -> Way:
    """Return the way of an answer; *same*: in the client's own format."""
    if same:
        return pass_stream if stream else pass_whole
    return translate_stream if stream else translate_whole


# In the client's own format.


async def pass_whole(exchange: Exchange, attempt: Attempt) -> None:
    raw = await _whole(exchange, attempt)
    headers = attempt.answer.headers
    usage = usage_of(exchange.wire, raw)
    if usage is not None:
        exchange.usage = usage
    if usage is None or b'"base_resp"' in raw or b'"failed"' in raw:  # figures come with errors as well
        error = wrong_answer(exchange.wire, raw)
        if error is not None:
            raise exchange.refusal(attempt.lane, error, raw, headers)
    attempt.turn.succeeded(time.time())
    exchange.begun()
    exchange.finish(200, [_JSON, *passed(headers)], raw)


async def pass_stream(exchange: Exchange, attempt: Attempt) -> None:
    answer, lane = attempt.answer, attempt.lane
    if not is_stream(answer):
        await _stream_of_whole(exchange, attempt)
        return
    read = attempt.body.read
    loop_time = exchange.relay.loop.time
    total, idle = attempt.total, attempt.idle
    tap = Tap(exchange.wire)
    held: list[bytes] = []
    size = 0
    while not tap.begun:
        piece = await read()
        if not piece:
            raise Unanswered(Failure("cut"), exchange.unanswered(lane, "cut", "").error)
        tap.feed(piece)
        if tap.failed is not None:
            raise exchange.refusal(lane, tap.failed)
        held.append(piece)
        size += len(piece)
        if size > (_MAX_BEFORE if tap.at_boundary else _MAX_ANSWER):
            raise UpstreamError("protocol", "nothing but comments")
        exchange.deadline = min(loop_time() + idle, total)
    attempt.turn.succeeded(time.time())
    exchange.begun()
    exchange.deadline_kind = "idle"
    inbound = exchange.inbound
    write = inbound.write
    piece = b"".join(held)
    rest: list[bytes] = []
    size = 0
    tail = b""
    """The last bytes of *rest*: an end of events may begin there."""
    kind = ""
    try:
        exchange.commit(passed(answer.headers))
        while piece:
            now = loop_time()
            exchange.deadline = min(now + idle, total)
            # Only whole events go out: half of one could neither be taken back nor followed by an error.
            end = len(piece)
            if not tap.at_boundary:
                found = end_of_events(tail + piece)
                if found:
                    end = found - len(tail)
                elif exchange.boundary and size + end <= _MAX_HELD:
                    end = 0
            left = piece[end:]
            if end == 0:
                rest.append(left)
                size += len(left)
                tail = (tail + left)[-2:]
                piece = b""
            elif rest or left:
                piece = b"".join((*rest, piece[:end]))
                rest, size, tail = ([left], len(left), left[-2:]) if left else ([], 0, b"")
            if piece:
                exchange.quiet_since = now
                write(piece)
                if inbound.stalled:
                    await exchange.drain()
                exchange.boundary = bool(rest) or tap.at_boundary
                if exchange.follows:
                    exchange.follow(piece)
            piece = await read()
            tap.feed(piece)
    except (Exception, asyncio.CancelledError) as error:
        kind = exchange.broke(error)
    finally:
        told = (tap.finished, tap.failed)
        tap.end()
        if tap.usage is not None:
            exchange.usage = tap.usage
    if rest and ((tap.finished, tap.failed) != told or rest[-1].endswith(b"[DONE]\n")):
        # The end itself, without the empty line that belongs behind it.
        write(b"".join((*rest, b"\n\n")))
    if tap.failed is None and not tap.finished:
        exchange.break_off(lane, kind or "cut")
    exchange.end()
    if tap.failed is not None:
        exchange.error = tap.failed.kind
        if tap.failed.kind in _UPSTREAMS_FAULT:
            raise Broken(tap.failed.kind)


# Translated.


async def translate_whole(exchange: Exchange, attempt: Attempt) -> None:
    events = await _events(exchange, attempt)
    assert exchange.asked is not None
    out = FORMATS[exchange.wire].write_answer(events, exchange.asked)
    attempt.turn.succeeded(time.time())
    exchange.begun()
    exchange.finish(200, [_JSON, *passed(attempt.answer.headers)], out)


async def translate_stream(exchange: Exchange, attempt: Attempt) -> None:
    answer, lane = attempt.answer, attempt.lane
    if not is_stream(answer):
        await _stream_of_whole(exchange, attempt)
        return
    assert exchange.asked is not None
    read = attempt.body.read
    loop_time = exchange.relay.loop.time
    total, idle = attempt.total, attempt.idle
    inbound = exchange.inbound
    decoder = Decoder()
    reader = FORMATS[lane.wire].reader()
    write = FORMATS[exchange.wire].writer(exchange.asked).write
    feed = reader.feed
    held: list[bytes] = []
    begun = ended = False
    kind = ""
    size = 0
    try:
        while not ended:
            piece = await read()
            out: list[bytes] = []
            if piece:
                events = [event for name, data in decoder.feed(piece) for event in feed(name, data)]
            else:
                ended = True
                events = [event for name, data in decoder.end() for event in feed(name, data)]
                events += reader.end()
            for event in events:
                if type(event) is Failed:
                    if not begun:
                        if event.error.kind == "cut":
                            raise exchange.unanswered(lane, "cut", "")
                        raise exchange.refusal(lane, event.error)
                    exchange.error = event.error.kind
                    ended = True
                elif type(event) is Stop or type(event) is Started:
                    _note_usage(exchange, event)
                    begun = begun or type(event) is Stop
                    ended = ended or type(event) is Stop
                elif type(event) is not Ping:
                    begun = True
                if type(event) is not Ping:
                    out.append(write(event))
            if not begun:
                held += out
                size += len(piece)
                if size > (_MAX_BEFORE if decoder.at_boundary else _MAX_ANSWER):
                    raise UpstreamError("protocol", "nothing but comments")
                exchange.deadline = min(loop_time() + idle, total)
                continue
            now = loop_time()
            exchange.deadline = min(now + idle, total)
            if exchange.first is None:
                attempt.turn.succeeded(time.time())
                exchange.begun()
                exchange.deadline_kind = "idle"
                exchange.commit(passed(answer.headers))
                out = held + out
            text = b"".join(out)
            if text:
                exchange.quiet_since = now
                inbound.write(text)
                if inbound.stalled:
                    await exchange.drain()
                if exchange.follows:
                    exchange.follow(text)
    except (Exception, asyncio.CancelledError) as error:
        if exchange.first is None:
            raise
        kind = exchange.broke(error)
    if kind:
        exchange.error = kind
        told = exchange.unanswered(lane, kind, "").error._replace(kind="cut")
        inbound.write(write(Failed(told)))
    elif piece and not exchange.error:
        exchange.lingering = True
        exchange.relay.linger(answer)
    exchange.end()
    if kind or exchange.error in _UPSTREAMS_FAULT:
        raise Broken(kind or exchange.error)


# What they share.


async def _whole(exchange: Exchange, attempt: Attempt) -> bytes:
    """Return the body of an answer that is one JSON document."""
    pieces: list[bytes] = []
    size = 0
    read = attempt.body.read
    loop_time = exchange.relay.loop.time
    while True:
        piece = await read()
        if not piece:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        exchange.deadline = min(loop_time() + attempt.idle, attempt.total)
        exchange.deadline_kind = "idle"
        size += len(piece)
        if size > _MAX_ANSWER:
            raise UpstreamError("protocol", "the answer is too large")
        pieces.append(piece)


async def _events(exchange: Exchange, attempt: Attempt) -> list[Event]:
    """Return the events of an answer that is one JSON document; Unanswered when it is an error in disguise."""
    raw = await _whole(exchange, attempt)
    lane = attempt.lane
    events: list[Event] = FORMATS[lane.wire].read_answer(raw)
    for event in events:
        if type(event) is Failed:
            raise exchange.refusal(lane, event.error, raw)
        if type(event) is Started or type(event) is Stop:
            _note_usage(exchange, event)
    return events


async def _stream_of_whole(exchange: Exchange, attempt: Attempt) -> None:
    """The upstream answers a stream's request with one JSON document: make the stream of it."""
    events = await _events(exchange, attempt)
    attempt.turn.succeeded(time.time())
    write = FORMATS[exchange.wire].writer(exchange.asked or exchange.plain_asked()).write
    text = b"".join(write(event) for event in events)
    exchange.begun()
    exchange.commit([])
    if exchange.follows:
        exchange.follow(text)
    exchange.inbound.write(text)
    exchange.end()


def _note_usage(exchange: Exchange, event: Union[Started, Stop]) -> None:
    if event.usage is not None:
        exchange.usage = event.usage
