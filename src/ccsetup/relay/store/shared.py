"""The store of several relays that share a Valkey or Redis server, each with its own SQLite file beside it.

Everything is in the file first.  A task compares it with the server twice a second, and at once when another relay
says that something changed; while the server is away, everything goes on with what is known, and the next comparison
catches up.  Nothing is counted twice, because no step adds to anything in the server:

=====================  ==========================================================================================
``P:rest:KEY:NAME``    a rest, as JSON; it ends with the rest.  ``P:rests`` is the set of their names.
``P:spent:DAY``        hash: what each relay counted itself for each client; spending is the sum.  Kept three days.
``P:usage``            stream of requests: the member ``rows`` is a JSON list of them.  Each has its own ``id``, by
                       which a reader knows what it has seen: after a cut, some may come again.
``P:config``           changes with each announcement.
``P:born``             made once; another one means that the server lost its memory and gets everything again.
``P:changes``          channel: look now.
=====================  ==========================================================================================

P is the prefix in the configuration.  Requests that the server did not get yet wait in the SQLite file, as long as
rows are kept there.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional
from uuid import uuid4

from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.relay.log import Log
from ccsetup.relay.store import Rest, Spent, UsageRow, server
from ccsetup.relay.store.spending import DAY, ClientTotal, day_of
from ccsetup.relay.store.sqlite import SqliteStore
from ccsetup.relay.wire import codec

if TYPE_CHECKING:
    from redis.asyncio import Redis

EVERY = 0.5
"""Seconds between two comparisons."""

PAUSE = 5.0
"""The longest pause, in seconds, between two attempts to reach a server that is away."""

TIMEOUT = 5.0
"""Seconds for an answer of the server."""

GRACE = 5000
"""Milliseconds that a rest stays in the server after its end.  Where it is missing before, somebody ended it; clocks of
relays may differ so much."""

_START = 1.0
"""Seconds that a start waits for what the server knows."""

STREAM_LENGTH = 100_000
"""About so many entries stay in the stream when nobody takes them out."""

_ROWS = 100
"""Of one entry; making it holds everything else up for a millisecond."""

_RELAY = "relay"
"""The note with this relay's own name in the server.  It belongs to the SQLite file, as the counted spending does."""


class SharedStore:
    """A ``Store`` whose rests and spending are those of all relays at the server *url*; it owns *local*."""

    def __init__(
        self,
        local: SqliteStore,
        url: str,
        password: Optional[Secret] = None,
        prefix: str = "ccsetup",
        log: Optional[Log] = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Connect to nothing yet; CcsetupError when *url* is none, or the package ``redis`` is not installed."""
        self._local = local
        self._log = log
        self._clock = clock
        self._at = server.Addresses(prefix)
        self._client, self._place = _connected(url, password)
        self._hidden = password.reveal() if password else ""

        self._session = uuid4().hex
        """Of this process; what it publishes itself is no news to it."""
        self._sent_up_to = server.sent_note(self._place, prefix)
        """The note with the number of the last row that is in the stream."""
        self._born = ""
        self._config: Optional[str] = None
        self._announcing = ""
        self._changed: dict[tuple[str, int], Optional[Rest]] = {}
        """Rests of this relay that the server has not got; None: it is over."""
        self._others: dict[str, ClientTotal] = {}
        """What other relays counted on *_day*."""
        self._day = 0
        self._unsent = True
        """There may be rows that are not in the stream."""
        self._away = "not reached yet"
        self._watchers: list[Callable[[], None]] = []
        self._announced: list[Callable[[], None]] = []
        self._ended: list[Callable[[str, int], None]] = []
        self._wake = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    # Memory only.

    def record(self, row: UsageRow) -> None:
        self._unsent = True
        self._local.record(row)

    def reserve(self, client: str, now: float) -> None:
        self._local.reserve(client, now)

    def spent(self, client: str, now: float) -> Spent:
        others = self._others.get(client) if self._day == day_of(now) else None
        own = self._local.total(client, now)
        return (own if others is None else own.plus(others)).spent()

    def rest(self, rest: Rest) -> None:
        self._local.rest(rest)
        self._changed[rest.upstream, rest.key] = rest
        self._wake.set()

    def unrest(self, upstream: str, key: int) -> None:
        self._local.unrest(upstream, key)
        self._changed[upstream, key] = None
        self._wake.set()

    def rests(self, now: float) -> list[Rest]:
        return self._local.rests(now)

    def watch(
        self,
        changed: Callable[[], None],
        announced: Optional[Callable[[], None]] = None,
        ended: Optional[Callable[[str, int], None]] = None,
    ) -> None:
        self._local.watch(changed, None, ended)
        self._watchers.append(changed)
        if announced is not None:
            self._announced.append(announced)
        if ended is not None:
            self._ended.append(ended)

    def announce(self) -> None:
        self._announcing = uuid4().hex
        self._wake.set()

    def health(self) -> Mapping[str, str]:
        return {**self._local.health(), "shared": self._away or "ok"}

    # The server.

    async def open(self) -> None:
        await self._local.open()
        if self._local.writable and not self._local.note(self._sent_up_to):
            # What was before the state was shared is nobody else's.
            self._local.keep(self._sent_up_to, str(await self._local.last_row()))
        try:
            async with asyncio.timeout(_START):
                await self._compare()
        except TimeoutError as error:
            self._lost(error)
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run()), loop.create_task(self._listen())]

    async def close(self) -> None:
        # The client now and then loses a cancellation (redis 8.1): the tasks ask for themselves, too.
        self._closing = True
        self._wake.set()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if not self._away:
            await self._compare()
        await self._client.aclose()
        await self._local.close()

    async def flush(self) -> None:
        await self._local.flush()
        await self._compare()

    async def _run(self) -> None:
        pause = EVERY
        while not self._closing:
            if self._away:
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE)
            else:
                pause = EVERY
                try:
                    async with asyncio.timeout(EVERY):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            await self._compare()

    async def _listen(self) -> None:
        """Wake the comparison when another relay changed something; without this, it comes half a second later."""
        while not self._closing:
            try:
                async with self._client.pubsub() as channel:
                    await channel.subscribe(self._at.changes)
                    while not self._closing:
                        message = await channel.get_message(ignore_subscribe_messages=True, timeout=60)
                        if message is not None and server.text_of(message["data"]) != self._session:
                            self._wake.set()
            except Exception:  # the comparison meets the same trouble, and tells it
                await asyncio.sleep(1)

    async def _compare(self) -> None:
        """Bring this relay and the server up to date with each other; when that fails, the next time does it."""
        async with self._one_at_a_time:
            self._wake.clear()
            try:
                if await self._exchange_state():
                    await self._exchange_state()
                await self._send_rows()
            except Exception as error:  # whatever the server says or does, the relay goes on
                self._lost(error)
            else:
                if self._away and self._log is not None:
                    self._log.add("info", "the shared store is reached", server=self._place)
                self._away = ""

    async def _exchange_state(self) -> bool:
        """Send what changed here and take what changed elsewhere; True: the server lost its memory, do it again."""
        at, now = self._at, self._clock()
        changed, self._changed = self._changed, {}
        announcing = self._announcing
        try:
            steps = self._client.pipeline(transaction=False)
            for place, rest in changed.items():
                self._put_rest(steps, place, rest, now)
            if announcing:
                steps.set(at.config, announcing)
            if changed or announcing:
                steps.publish(at.changes, self._session)
            steps.set(at.born, uuid4().hex, nx=True)
            steps.get(at.born)
            steps.get(at.config)
            steps.smembers(at.rests)
            steps.hgetall(at.spent(day_of(now)))
            *_done, born, config, names, spent = await steps.execute()
        except BaseException:
            self._changed = {**changed, **self._changed}
            raise
        if self._announcing == announcing:
            self._announcing = ""

        anew = server.text_of(born) != self._born
        if anew:
            # Rests of an earlier run are news to a server that was born since, and old to one that was not.
            if self._local.note(f"born {self._place}") != server.text_of(born):
                kept = {(rest.upstream, rest.key): rest for rest in self._local.rests(now)}
                self._changed = {**kept, **self._changed}
            self._born = server.text_of(born)
            self._local.keep(f"born {self._place}", self._born)
        await self._share_spending(spent, now)
        if anew and self._changed:
            return True
        await self._take_rests(sorted(server.text_of(name) for name in names), now)
        self._take_config(server.text_of(config) if config is not None else "", announcing)
        return False

    def _put_rest(self, steps: Any, place: tuple[str, int], rest: Optional[Rest], now: float) -> None:
        name = f"{place[1]}:{place[0]}"
        left = 0 if rest is None else int((rest.until - now) * 1000)
        if rest is None or left <= 0:
            steps.delete(self._at.rest(name))
            steps.srem(self._at.rests, name)
        else:
            plain = rest._replace(reason=rest.reason.encode("utf-8", "replace").decode())
            steps.set(self._at.rest(name), codec.dumps(plain._asdict()), px=left + GRACE)
            steps.sadd(self._at.rests, name)

    async def _take_rests(self, names: list[str], now: float) -> None:
        """Make the rests here those of the server, but for what changed here since."""
        values = await self._client.mget([self._at.rest(name) for name in names]) if names else []
        over = [name for name, value in zip(names, values, strict=True) if value is None]
        if over:
            await self._client.srem(self._at.rests, *over)
        found = [server.read_rest(value) for value in values]
        there = {(rest.upstream, rest.key): rest for rest in found if rest is not None}
        here = {(rest.upstream, rest.key): rest for rest in self._local.rests(now)}
        news = False
        for place in {*here, *there} - set(self._changed):
            rest = there.get(place)
            if rest is None:
                self._local.unrest(*place)
                for ended in self._ended:
                    ended(*place)
            elif rest != here.get(place) and rest.until > now:
                self._local.rest(rest)
                news = True
        if news:
            for changed in self._watchers:
                changed()

    async def _share_spending(self, found: Mapping[bytes, bytes], now: float) -> None:
        """Take what the others counted, and put there what was counted here."""
        if self._local.writable and not self._local.note(_RELAY):
            self._local.keep(_RELAY, uuid4().hex[:12])
        relay = self._local.note(_RELAY)
        others: dict[str, ClientTotal] = {}
        ours: dict[str, float] = {}
        for field, value in found.items():
            name, number = server.text_of(field), server.number_of(value)
            match name.split(" "):
                case [owner, _client, *_what] if owner == relay:
                    ours[name] = number
                case [_owner, client, "requests"]:
                    others.setdefault(client, ClientTotal()).requests += int(number)
                case [_owner, client, "tokens"]:
                    others.setdefault(client, ClientTotal()).tokens += int(number)
                case [_owner, client, "cost", currency]:
                    others.setdefault(client, ClientTotal()).add(ClientTotal(costs={currency: number}))
        self._others, self._day = others, day_of(now)
        if not relay:
            return
        # Only ever more: while two processes use one file, either may be a moment behind.
        more: dict[Any, Any] = {
            field: number
            for client, tally in self._local.totals(now).items()
            for field, number in server.counted(relay, client, tally)
            if number > ours.get(field, 0)
        }
        if more:
            address = self._at.spent(day_of(now))
            steps = self._client.pipeline(transaction=False)
            steps.hset(address, mapping=more)
            steps.expire(address, 3 * DAY)
            await steps.execute()

    def _take_config(self, config: str, announced: str) -> None:
        known, self._config = self._config, config
        if known is None or config in ("", known, announced):
            self._config = config or known or ""
            return
        for told in self._announced:
            told()

    async def _send_rows(self) -> None:
        """Put the rows that the file has and the stream has not into the stream."""
        if not self._unsent or not self._local.writable:
            return
        self._unsent = False
        try:
            await self._local.flush()
            seq = int(self._local.note(self._sent_up_to) or 0)
            while rows := await self._local.rows_after(seq, _ROWS):
                entry = codec.dumps([{"relay": self._local.note(_RELAY), **row._asdict()} for _seq, row in rows])
                await self._client.xadd(self._at.usage, {"rows": entry}, maxlen=STREAM_LENGTH, approximate=True)
                seq = rows[-1][0]
                self._local.keep(self._sent_up_to, str(seq))
        except BaseException as error:
            self._unsent = True
            if not isinstance(error, CcsetupError):  # the file has its own health
                raise

    def _lost(self, error: BaseException) -> None:
        if self._away.startswith("away"):
            return
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._clock()))
        reason = f"{type(error).__name__}: {str(error)[:200]}"
        if self._hidden:
            reason = reason.replace(self._hidden, "***")
        self._away = f"away since {since}: {reason}"
        if self._log is not None:
            self._log.add("warning", "the shared store is away", server=self._place, reason=reason)


def _connected(url: str, password: Optional[Secret]) -> tuple[Redis, str]:
    """Return a client for *url*, and the server's place without anything secret."""
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise CcsetupError(
            _("Sharing state needs packages that are not installed: {names}.").format(names="redis"),
            hint=_("Install them with: pip install 'ccsetup[relay-shared]'"),
        ) from None
    try:
        place = server.place_of(url)
        options: dict[str, Any] = {"password": password.reveal()} if password else {}
        # No retry: it is this store that decides when.
        options["retry"] = Retry(NoBackoff(), 0)
        client = Redis.from_url(url, socket_timeout=TIMEOUT, socket_connect_timeout=2, **options)
    except ValueError:  # its text shows the URL
        raise CcsetupError(
            _("The address of the shared store is wrong."), hint=_("It looks like redis://host:6379/0.")
        ) from None
    return client, place
