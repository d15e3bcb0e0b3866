"""What all requests of a running relay share."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any, Awaitable, Callable, Collection, Mapping, Optional, Protocol

from ccsetup.relay.config import access as accessing
from ccsetup.relay.config import prices
from ccsetup.relay.config.access import Access, ClientKey
from ccsetup.relay.http.base import HttpClient, UpstreamAnswer, UpstreamError
from ccsetup.relay.log import Log
from ccsetup.relay.reporting.metrics import Metrics
from ccsetup.relay.routing.choice import Choice
from ccsetup.relay.routing.failover import Pool
from ccsetup.relay.serving.oddities import Oddities
from ccsetup.relay.serving.runtime import Runtime
from ccsetup.relay.store import Store, UsageRow
from ccsetup.relay.wire.messages import Usage, WireError

LINGER = 1.0
"""Seconds for the end of an answer after its last event."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Running(Protocol):
    """A request that is being served (``Exchange``)."""

    def stop(self) -> None:
        """End it at once; the client is told."""
        ...

    def tick(self, now: float, ping: float) -> None: ...

    def leave(self, gone: Collection[str]) -> None:
        """End it where one of these upstreams answers; the client is told."""
        ...


class Control:
    """What the operator can do with a running relay; the server fills it in."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self.reload: Optional[Callable[[], Awaitable[str]]] = None
        """Return "" or what is wrong."""
        self.stop: Optional[Callable[[], None]] = None
        self.about: Mapping[str, Any] = {}
        """For the status: url, config path."""
        self.last_reload: Mapping[str, Any] = {}


class Relay:
    """The state of the relay; nothing here serves a request."""

    def __init__(
        self,
        runtime: Runtime,
        access: Access,
        pool: Pool,
        http: HttpClient,
        store: Store,
        log: Log,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.runtime = runtime
        self.access = access
        self.pool = pool
        self.http = http
        self.store = store
        self.log = log
        self.loop = loop
        self.clock = clock
        """Unix time."""
        self.metrics = Metrics()
        self.oddities = Oddities()
        self.control = Control()
        self.running: set[Running] = set()
        self.watched: dict[str, float] = {}
        """Clients, ``*`` for all, whose contents are logged, and until when."""
        self.outgrown: dict[str, float] = {}
        """Conversations that were told to compact, and when."""
        self.ready = True
        self.started = self.clock()
        self._lingering: set[asyncio.Task[None]] = set()
        self.hosts = _hosts(runtime)
        """Names that a Host header may carry; None: any."""

    def use(self, runtime: Runtime, access: Access) -> None:
        """Take a new configuration for the requests to come; those that run keep theirs.

        Whatever a saved profile answers that is none any more ends: nobody is to use its key now.
        """
        gone = {u.name for u in self.runtime.config.upstreams if u.saved} - {u.name for u in runtime.config.upstreams}
        for exchange in list(self.running) if gone else ():
            exchange.leave(gone)
        self.runtime = runtime
        self.access = access
        self.pool.replace(runtime.config, missing=runtime.missing)
        self.oddities.forget()
        self.log.hide((*runtime.secrets, self.control.token))
        self.hosts = _hosts(runtime)

    def budget_refusal(self, client: ClientKey) -> Optional[WireError]:
        now = self.clock()
        return accessing.refusal(client, self.store.spent(client.name, now), now)

    def is_watched(self, client: str) -> bool:
        return max(self.watched.get(client, 0.0), self.watched.get("*", 0.0)) > self.clock()

    def linger(self, answer: UpstreamAnswer) -> None:
        """Read what is left of an answer whose last event has come, so that its connection can be used again."""
        task = self.loop.create_task(_read_out(answer))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    def cost(self, choice: Choice, usage: Usage) -> Optional[tuple[float, str]]:
        return prices.cost(choice.upstream, choice.model, usage)

    def note(self, row: UsageRow, choice: Optional[Choice] = None) -> None:
        """Book a request; the log tells where another one answered (*choice*) than the owner of its model."""
        instead = choice is not None and (choice.instead or bool(choice.all))
        self.store.record(row)
        self.metrics.observe(row)
        # Those that went well are in the usage figures; a line for each would cost as much as half the rest.
        failed = row.status >= 400 or row.error != ""
        if failed or instead or self.log.verbose:
            self.log.add(
                "info" if failed or instead else "debug",
                "request",
                id=row.id,
                client=row.client,
                upstream=row.upstream,
                wire=row.wire_in if row.wire_in == row.wire_out else f"{row.wire_in}>{row.wire_out}",
                model=row.model,
                served=row.served,
                status=row.status,
                error=row.error,
                attempts=row.attempts,
                tokens_in=row.input + row.cache_read + row.cache_write,
                tokens_out=row.output,
                estimated=row.estimated,
                first_ms=None if row.first_ms is None else round(row.first_ms, 1),
                total_ms=round(row.total_ms, 1),
                **(choice.told() if choice is not None else {}),
            )


async def _read_out(answer: UpstreamAnswer) -> None:
    try:
        async with asyncio.timeout(LINGER):
            while await answer.read():
                pass
    except (UpstreamError, TimeoutError):
        pass
    finally:
        answer.close()


def _hosts(runtime: Runtime) -> Optional[frozenset[str]]:
    """Return the names that a Host header may carry; None where every name is right."""
    listen = runtime.config.listen
    if listen.host in ("0.0.0.0", "::") and not listen.names:  # noqa: S104 - compared, not bound
        return None
    return frozenset(name.lower() for name in (*_LOOPBACK, listen.host, *listen.names))
