"""Sends the small requests that start a provider's billing window at the times that the configuration names."""

from __future__ import annotations

import asyncio
import time
from typing import Callable, Optional

from ccsetup.relay.config import prices
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.http.base import UpstreamError
from ccsetup.relay.routing import activation
from ccsetup.relay.serving.answers import wrong_answer
from ccsetup.relay.serving.relay import Relay
from ccsetup.relay.serving.runtime import Lane, forwarded
from ccsetup.relay.store import UsageRow
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import Conversation, Message, Text, Usage
from ccsetup.relay.wire.tap import usage_of
from ccsetup.relay.wire.tools import ToolNames

TRIES = 3
BETWEEN = 60.0
"""Seconds between two tries."""
SECONDS = 60.0
"""For one try."""
MAX_TOKENS = 16
_MOST = 1 << 20
"""Bytes of an answer that are read."""
_LONGEST_SLEEP = 600.0
"""The clock may be set, or the machine may sleep: look again at least so often."""


Head = tuple[tuple[bytes, bytes], ...]


class Activations:
    """Sleeps until the next activation of any upstream, sends it, and goes on; the times are those of the file, so that
    they do not drift."""

    def __init__(self, relay: Relay, *, clock: Callable[[], float] = time.time, between: float = BETWEEN) -> None:
        self._relay = relay
        self._clock = clock
        self._between = between
        self._changed = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    def changed(self) -> None:
        """There is a new configuration."""
        self._changed.set()

    async def run(self) -> None:
        since = self._clock()
        try:
            while True:
                now = self._clock()
                following = []
                for upstream in self._relay.runtime.config.upstreams:
                    if not upstream.enabled or upstream.activation is None:
                        continue
                    if activation.due(upstream.activation, upstream.zone, since, now) is not None:
                        task = asyncio.get_running_loop().create_task(self._activate(upstream.name))
                        self._running.add(task)
                        task.add_done_callback(self._ended)
                    following.append(activation.next_run(upstream.activation, upstream.zone, now))
                since = now
                wait = min([_LONGEST_SLEEP, *(max(0.05, at - now) for at in following)])
                self._changed.clear()
                try:
                    async with asyncio.timeout(wait):  # wait_for may lose a cancellation (Python 3.11)
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._running:
                task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._relay.log.bug(error)

    async def _activate(self, name: str) -> None:
        """Send one request with every key, and again with those that got no answer."""
        done: set[int] = set()
        for number in range(TRIES):
            if number:
                await asyncio.sleep(self._between)
            found = next((u for u in self._relay.runtime.config.upstreams if u.name == name and u.enabled), None)
            lane = self._relay.runtime.lanes.get((name, next(iter(found.endpoints)))) if found is not None else None
            if lane is None or lane.upstream.activation is None:
                return
            problems = []
            for index, head in enumerate(lane.heads):
                if index in done:
                    continue
                if head is None or not model_of(lane.upstream):
                    problem = "no key" if head is None else "no model: name one in the activation"
                else:
                    problem = await self._once(lane, index, head)
                if problem:
                    problems.append(problem)
                else:
                    done.add(index)
            self._relay.log.add(
                "warning" if problems else "info",
                "activation",
                upstream=name,
                attempt=number + 1,
                problem="; ".join(problems) or None,
            )
            if not problems:
                return

    async def _once(self, lane: Lane, index: int, head: Head) -> str:
        """Send one request with the key *index*; return "" or the problem."""
        began = self._clock()
        usage: Optional[Usage] = None
        status = 200
        try:
            async with asyncio.timeout(SECONDS):
                status, raw = await self._send(lane, head)
            usage = usage_of(lane.wire, raw)
            wrong = wrong_answer(lane.wire, raw) if status == 200 else None
            problem = f"status {status}" if status != 200 else ""
            if wrong is not None:
                status, problem = wrong.status, wrong.kind
        except UpstreamError as error:
            problem, status = error.kind, 502
        except TimeoutError:
            problem, status = "first_byte", 504
        self._note(lane, index, began, status, usage, problem)
        return problem

    async def _send(self, lane: Lane, head: Head) -> tuple[int, bytes]:
        upstream = lane.upstream
        assert upstream.activation is not None
        asked = Conversation(
            model_of(upstream), messages=(Message("user", (Text(upstream.activation.prompt),)),), max_tokens=MAX_TOKENS
        )
        body, _losses = FORMATS[lane.wire].write_request(asked, lane.dialect, ToolNames(()))
        headers = forwarded([(b"user-agent", b"ccsetup-relay")], lane, head, same=False, betas=False)
        answer = await self._relay.http.request(lane.origin, b"POST", lane.target, headers, body)
        try:
            raw = b""
            while len(raw) < _MOST and (piece := await answer.read()):
                raw += piece
            return answer.status, raw
        finally:
            answer.close()

    def _note(self, lane: Lane, key: int, began: float, status: int, usage: Optional[Usage], problem: str) -> None:
        known = usage or Usage()
        model = model_of(lane.upstream)
        total = (self._clock() - began) * 1000
        wire = lane.wire
        cost, currency = prices.cost(lane.upstream, model, known) or (None, "")
        row = UsageRow(
            began,
            f"activation-{lane.upstream.name}-{key}-{began:.3f}",
            "",
            lane.upstream.name,
            key,
            model,
            model,
            wire,
            wire,
            status,
            problem,
            1,
            False,
            known.input,
            known.output,
            known.cache_read,
            known.cache_write,
            known.reasoning,
            cost,
            currency,
            None,
            total,
            "activation",
            failed=lane.upstream.name if problem else "",
        )
        self._relay.store.record(row)


def model_of(upstream: Upstream) -> str:
    """Return the model that an activation asks for: its own, else the first that the upstream is known to have."""
    if upstream.activation is not None and upstream.activation.model:
        return upstream.activation.model
    targets = [name for _pattern, name in upstream.map]
    served = [upstream.model(name) for name in upstream.models]
    known = (upstream.default_model, *targets, *served)
    return next((name for name in known if name and not any(c in name for c in "*?[")), "")
