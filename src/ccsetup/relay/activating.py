"""Sends the small requests that start a provider's billing window at the times that the configuration names."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Optional

from ccsetup.relay import activation
from ccsetup.relay.config import Upstream
from ccsetup.relay.runtime import FORMATS, Lane, forwarded
from ccsetup.relay.store import UsageRow
from ccsetup.relay.upstream import UpstreamError
from ccsetup.relay.wire import codec
from ccsetup.relay.wire.messages import Conversation, Message, Text, Usage
from ccsetup.relay.wire.tap import usage_of
from ccsetup.relay.wire.tools import ToolNames

if TYPE_CHECKING:
    from ccsetup.relay.app import Relay

TRIES = 3
BETWEEN = 60.0
"""Seconds between two tries."""
SECONDS = 60.0
"""For one try."""
MAX_TOKENS = 16
_LONGEST_SLEEP = 600.0
"""The clock may be set, or the machine may sleep: look again at least so often."""


class Activations:
    """Sleeps until the next activation of any upstream, sends it, and goes on; the times are those of the file, so that
    they do not drift."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._changed = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    def changed(self) -> None:
        """There is a new configuration."""
        self._changed.set()

    async def run(self) -> None:
        since = time.time()
        try:
            while True:
                now = time.time()
                following = []
                for upstream in self._relay.runtime.config.upstreams:
                    if not upstream.enabled or upstream.activation is None:
                        continue
                    if activation.due(upstream.activation, upstream.zone, since, now) is not None:
                        task = asyncio.get_running_loop().create_task(self._activate(upstream))
                        self._running.add(task)
                        task.add_done_callback(self._running.discard)
                    following.append(activation.next_run(upstream.activation, upstream.zone, now))
                since = now
                wait = min([_LONGEST_SLEEP, *(max(0.05, at - now) for at in following)])
                self._changed.clear()
                try:
                    await asyncio.wait_for(self._changed.wait(), wait)
                except TimeoutError:
                    pass
        finally:
            for task in self._running:
                task.cancel()

    async def _activate(self, upstream: Upstream) -> None:
        for number in range(TRIES):
            if number:
                await asyncio.sleep(BETWEEN)
            problem = await self._once(upstream)
            self._relay.log.add(
                "warning" if problem else "info",
                "activation",
                upstream=upstream.name,
                attempt=number + 1,
                problem=problem or None,
            )
            if not problem:
                return

    async def _once(self, upstream: Upstream) -> str:
        """Send one request with every key; return "" or the problem of the last that failed."""
        wire = next(iter(upstream.endpoints))
        lane = self._relay.runtime.lanes.get((upstream.name, wire))
        if lane is None or upstream.activation is None:
            return "the upstream is gone"
        problem = ""
        for index, head in enumerate(lane.heads):
            if head is None:
                problem = "no key"
                continue
            began = time.time()
            try:
                async with asyncio.timeout(SECONDS):
                    status, usage = await self._send(lane, head)
            except UpstreamError as error:
                problem, status, usage = error.kind, 502, None
            except TimeoutError:
                problem, status, usage = "first_byte", 504, None
            if status != 200:
                problem = problem or f"status {status}"
            self._note(lane, index, began, status, usage, problem if status != 200 else "")
        return problem

    async def _send(self, lane: Lane, head: Any) -> tuple[int, Optional[Usage]]:
        upstream = lane.upstream
        assert upstream.activation is not None
        model = upstream.activation.model or upstream.default_model or upstream.model("")
        asked = Conversation(
            model, messages=(Message("user", (Text(upstream.activation.prompt),)),), max_tokens=MAX_TOKENS
        )
        body, _losses = FORMATS[lane.wire].write_request(asked, lane.dialect, ToolNames(()))
        headers = forwarded([(b"user-agent", b"ccsetup-relay")], lane, head, same=False)
        answer = await self._relay.http.request(lane.origin, b"POST", lane.target, headers, codec.dumps(body))
        try:
            pieces = []
            while piece := await answer.read():
                pieces.append(piece)
            return answer.status, usage_of(lane.wire, b"".join(pieces))
        finally:
            answer.close()

    def _note(self, lane: Lane, key: int, began: float, status: int, usage: Optional[Usage], problem: str) -> None:
        known = usage or Usage()
        model = lane.upstream.activation.model if lane.upstream.activation is not None else ""
        total = (time.time() - began) * 1000
        wire = lane.wire
        row = UsageRow(
            began,
            f"activation-{lane.upstream.name}-{key}-{began:.3f}",
            "",
            lane.upstream.name,
            key,
            model or lane.upstream.default_model,
            model or lane.upstream.default_model,
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
            None,
            "",
            None,
            total,
            "activation",
        )
        self._relay.store.record(row)
