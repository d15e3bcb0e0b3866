"""One request of a client: attempts on upstreams until one answers, and what is noted of it at the end."""

from __future__ import annotations

import asyncio
import difflib
from functools import lru_cache, partial
from typing import Collection, Optional

from ccsetup.clients.claude import picker
from ccsetup.errors import printable
from ccsetup.model import WireFormat
from ccsetup.relay.http.inbound import BodyTooLarge, Gone, Headers, Inbound, Malformed
from ccsetup.relay.routing import routes
from ccsetup.relay.routing.choice import Ask
from ccsetup.relay.routing.failover import Turn
from ccsetup.relay.serving.apart import LARGE, apart
from ccsetup.relay.serving.attempt import Attempt
from ccsetup.relay.serving.callers import Caller, body_of
from ccsetup.relay.serving.failures import Broken, Unanswered, invalid, unreadable
from ccsetup.relay.serving.relay import Relay
from ccsetup.relay.serving.reply import Phase, Reply
from ccsetup.relay.serving.request import ClientRequest
from ccsetup.relay.store import UsageRow
from ccsetup.relay.store.schema import MAX_NAME
from ccsetup.relay.wire import tokens
from ccsetup.relay.wire.messages import BadRequest, Usage, WireError

_HEAD, _SHORT = 1, 8
"""Tokens of output that the head of a Messages stream tells beforehand, and of an answer that may be no longer."""
_PATIENCE = 60.0
"""Seconds after which a conversation that was told to compact is told so again."""
_NEVER = ("model", "not allowed", "disabled")
"""Why an upstream will not answer later either."""


class Exchange:
    """Created for each request to an inference endpoint; ``run`` serves it."""

    __slots__ = (
        "_answered", "_attempt", "_attempts", "_began", "_caller", "_complete", "_error", "_failed", "_first", "_id",
        "_inbound", "_left", "_relay", "_reply", "_request", "_status", "_task", "_time", "_wire",
    )  # fmt: skip

    def __init__(self, relay: Relay, wire: WireFormat, inbound: Inbound, caller: Caller, request_id: str) -> None:
        self._relay = relay
        self._wire: WireFormat = wire
        self._inbound = inbound
        self._caller = caller
        self._id = request_id
        self._time = relay.clock()
        self._began = relay.loop.time()
        self._reply = Reply(wire, inbound, request_id, int(self._time))
        self._task: Optional[asyncio.Task[None]] = None
        self._request: Optional[ClientRequest] = None
        """None before it has come, and again when an answer has begun."""
        self._answered: Optional[ClientRequest] = None
        """The same from then on, where nobody has told its tokens yet."""
        self._attempt: Optional[Attempt] = None
        """The last one."""
        self._left = False
        """Its upstream is none any more."""
        # What is noted at the end.
        self._attempts = 0
        self._failed: tuple[str, ...] = ()
        """Upstreams whose attempts failed."""
        self._status = 0
        """0: what the client got."""
        self._error = ""
        self._complete = False
        """The client went with a whole answer: Codex does at ``response.completed``, before the stream ends."""
        self._first: Optional[float] = None
        """Seconds to the first piece of the answer."""

    # The whole of it.

    async def run(self) -> None:
        """Serve the request.  Never raises but CancelledError when the server ends it."""
        relay, inbound, reply = self._relay, self._inbound, self._reply
        task = self._task = inbound.connection.task
        inbound.on_gone = self._lost
        relay.running.add(self)
        try:
            await self._serve()
        except Gone:
            self._gone("gone")
        except asyncio.CancelledError:
            # Of the client that is gone, or does not take its answer; else of the server.
            slow = self._attempt is not None and self._attempt.expired is not None
            if task is None or not (slow or reply.phase is Phase.GONE):
                said = "The saved profile that answered was removed." if self._left else "The relay is being stopped."
                self._cut_off("removed" if self._left else "stopped", WireError("overloaded", said, 503, "1"))
                raise
            task.uncancel()
            self._gone(self._error or "gone")
        except Exception as error:
            relay.log.bug(error, id=self._id)
            self._cut_off("bug", WireError("server", "This is a bug of the relay; its log says where.", 500))
        finally:
            relay.running.discard(self)
            inbound.on_gone = None
            if not inbound.answered:
                inbound.abort()  # a close would wait for the client to take the rest
            self._note()
            self._attempt = None  # it holds this exchange: what nobody holds goes at once, a cycle when it is found

    async def _serve(self) -> None:
        relay, caller, reply = self._relay, self._caller, self._reply
        try:
            body = await body_of(self._inbound, caller.coding)
            compact = self._inbound.path.endswith("/compact")
            made = partial(ClientRequest, self._wire, body, compact=compact)
            request = made() if len(body) < LARGE else await apart(len(body), made)
        except BadRequest as bad:
            self.refuse(invalid(bad))
            return
        except (BodyTooLarge, Malformed) as error:
            self.refuse(unreadable(error))
            return
        self._request = request
        reply.expect(request.model, stream=request.stream, usage=request.usage)
        if relay.watched and relay.is_watched(caller.name):
            reply.watch(request.body)
        if caller.client is not None:
            if caller.budgeted:
                refusal = relay.budget_refusal(caller.client)
                if refusal is not None:
                    self.refuse(refusal)
                    return
            relay.store.reserve(caller.name, self._time)
        ask = Ask(self._wire, request.model, "", caller.allowed)
        found = relay.pool.ways(ask)
        if found.several:
            thread = await apart(len(body), request.thread)
            # Tiers may be led to different upstreams: what one answers makes nothing foreign in the others.
            ask = ask._replace(conversation=f"{thread} {found.use}" if thread and found.use else thread)
        window = found.window
        longer = self._caller.long and not picker.meant(request.model)  # whose window the relay itself has told
        if window and len(body) > window * tokens.LEAST_BYTES and not longer:
            ask = ask._replace(tokens=await apart(len(body), partial(request.least, window)))
        del body, request  # they are large, and only needed until an answer has begun
        turn = relay.pool.turn(ask, self._time)
        try:
            await self._attempts_of(turn, ask)
        finally:
            turn.finished(relay.clock())

    async def _attempts_of(self, turn: Turn, ask: Ask) -> None:
        """Ask one upstream after the other, until one answers or the pool names no further one."""
        relay = self._relay
        last: Optional[Unanswered] = None
        while (choice := turn.next(relay.clock())) is not None:
            self._attempts += 1
            request = self._request
            assert request is not None  # until an answer has begun
            attempt = self._attempt = Attempt(
                relay, self._reply, self._caller, request, turn, choice, self._began, self._begun
            )
            del request
            try:
                await attempt.run(self._inbound.query)
                self._error = attempt.error
                return
            except Unanswered as failed:
                last = failed.with_traceback(None)  # which holds this frame, and that the request
                self._failed += (choice.upstream.name,)
                failure = failed.failure
                decision = turn.failed(failure, relay.clock(), outgrown=failed.error.kind == "context")
                relay.log.add(
                    "warning",
                    "attempt failed",
                    id=self._id,
                    upstream=choice.upstream.name,
                    key=choice.key,
                    kind=failure.kind,
                    status=failure.status,
                    message=failed.error.message[:200],
                    again=decision.again,
                    **choice.told(),
                )
                attempt.stop_clock()
                if not decision.again:
                    break
                if decision.wait > 0:
                    self._reply.pause()
                    await asyncio.sleep(decision.wait)
            except Broken as broken:
                self._error = broken.kind
                self._failed += (choice.upstream.name,)
                turn.failed(broken.failure, relay.clock())
                at = choice.upstream.name
                relay.log.add(
                    "warning", "answer broke off", id=self._id, upstream=at, kind=broken.kind, **choice.told()
                )
                return
        if last is not None:
            self.refuse(last.error, last.raw, last.head)
        else:
            self.refuse(self._nobody(ask))

    def _begun(self) -> None:
        """An answer has begun: nobody else is asked any more."""
        request, self._request = self._request, None
        if request is not None:
            request.settle()
            if self._attempt is None or not self._attempt.usage.prompt:
                self._answered = request
        self._first = self._relay.loop.time() - self._began

    # Ends without an answer.

    def refuse(self, error: WireError, raw: bytes = b"", head: Optional[Headers] = None) -> None:
        """Answer with *error* in the client's format; *raw* is the upstream's own body in that format."""
        self._error = error.kind
        if error.kind == "context" and self._caller.codex and self._wire == "responses" and self._reply.stream:
            self._reply.outgrown(error, self._full())
        else:
            self._reply.refuse(error, raw, head)

    def _full(self) -> int:
        """Return the tokens that fill the client's window, whatever it takes that for; 0: it is not to compact.

        It asks for its summary without tools, and that is cut until it fits.  Nor is it told twice in a row.
        """
        relay, request = self._relay, self._request
        if request is None or request.compacts or not request.value().get("tools"):
            return 0
        now, thread = relay.clock(), request.thread()
        if not thread or now - relay.outgrown.get(thread, 0.0) < _PATIENCE:
            return 0
        relay.outgrown = {t: at for t, at in relay.outgrown.items() if now - at < _PATIENCE} | {thread: now}
        windows = (window for upstream in relay.runtime.config.upstreams for window in upstream.context.values())
        return max(2_000_000, request.tokens(), *windows)

    def _cut_off(self, noted: str, error: WireError) -> None:
        self._error = noted
        self._reply.cut_off(error)

    def _gone(self, noted: str) -> None:
        if not self._complete:
            self._error, self._status = noted, 499
        self._reply.lost()

    def _nobody(self, ask: Ask) -> WireError:
        """Return why no upstream could be asked."""
        pool, now = self._relay.pool, self._relay.clock()
        reasons = [why for _upstream, why in pool.candidates(ask, now)]
        if all(why in _NEVER for why in reasons):
            said = f"No upstream of the relay serves '{ask.model[:200]}'."
            names = routes.advertised(upstream for upstream, _why in pool.candidates(ask, now))
            if near := difflib.get_close_matches(ask.model[:200], names, 3):
                said += f" Similar names: {', '.join(near)}."
            return WireError("not_found", said, 404, code="model_not_found")
        if "context" in reasons and all(why in ("context", "format", *_NEVER) for why in reasons):
            ways = pool.ways(ask._replace(tokens=0)).ways
            window = max(way.window for way in (ways[:1] if ways[0].route.chosen else ways))
            assert self._request is not None  # nobody has answered
            about = self._request.tokens()
            said = f"The prompt has about {about} tokens, which is more than the {window} that the model takes."
            return WireError("context", said, 400)
        wait = pool.wait(ask, now)
        said = f"No upstream of the relay can take a request for '{ask.model}' now."
        return WireError("overloaded", said, 503, "" if wait is None else str(max(1, int(wait) + 1)))

    # Called by the ticker, by the connection and by the server, between the steps above.

    def tick(self, now: float, ping: float) -> None:
        """Enforce the deadline, and give a client that waits for a stream a sign of life; *now*: loop time."""
        attempt = self._attempt
        if attempt is not None and now >= attempt.deadline:
            attempt.expire()
            self.stop()
        elif ping:
            self._reply.tick(now, ping)

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def leave(self, gone: Collection[str]) -> None:
        if self._attempt is not None and self._attempt.choice.upstream.name in gone:
            self._left = True
            self.stop()

    def _lost(self) -> None:
        self._complete = self._reply.complete
        self._reply.lost()
        self.stop()

    # Notes.

    def _charged(self) -> tuple[Usage, bool]:
        """Return the usage, and whether it is estimated where nobody told it.

        Nobody does when a client gives an answer up, and many providers do not for a stream of Chat Completions.
        """
        told = self._attempt.usage if self._attempt is not None else Usage()
        whole = bool(told.prompt and told.output and not self._error)
        if whole and told.output > _HEAD:
            return told, False
        if self._first is None and (self._error != "gone" or len(self._failed) == self._attempts):
            return told, False  # nobody has answered, nor was about to
        request, sample = self._request or self._answered, self._reply.sample
        output = sample.tokens(self._wire, stream=self._reply.stream) if sample is not None else 0
        if whole and output <= _SHORT:
            return told, False
        usage = told._replace(output=max(told.output, output))
        if not told.prompt and request is not None:
            usage = usage._replace(input=request.about())
        return usage, usage != told

    def _note(self) -> None:
        relay, reply = self._relay, self._reply
        total = relay.loop.time() - self._began
        choice = self._attempt.choice if self._attempt is not None else None
        usage, estimated = self._charged()
        cost = relay.cost(choice, usage) if choice is not None else None
        row = UsageRow(
            self._time,
            self._id,
            self._caller.name,
            choice.upstream.name if choice is not None else "",
            choice.key if choice is not None else 0,
            _noted(reply.model[:MAX_NAME]),
            _noted(choice.model[:MAX_NAME]) if choice is not None else "",
            self._wire,
            choice.wire if choice is not None else "",
            self._status or reply.status or 500,
            self._error,
            self._attempts,
            reply.stream,
            usage.input,
            usage.output,
            usage.cache_read,
            usage.cache_write,
            usage.reasoning,
            None if cost is None else cost[0],
            "" if cost is None else cost[1],
            None if self._first is None else self._first * 1000,
            total * 1000,
            self._caller.purpose,
            estimated,
            " ".join(self._failed),
        )
        relay.note(row, choice)
        if reply.watched is not None:
            asked, *answered = reply.watched
            relay.log.add(
                "info",
                "content",
                id=self._id,
                request=asked.decode("utf-8", "replace"),
                answer=b"".join(answered).decode("utf-8", "replace"),
            )


@lru_cache(1024)
def _noted(name: str) -> str:
    return printable(name, MAX_NAME)
