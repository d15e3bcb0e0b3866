"""What the relay remembers: usage, rests of upstreams, spending of client keys.

The hot path only touches memory.  One task writes in batches: to SQLite (``sqlite``), and where the configuration
names one also to a Valkey or Redis server that several relays share (``shared``).
"""

from __future__ import annotations

from typing import Callable, Mapping, NamedTuple, Optional, Protocol


class UsageRow(NamedTuple):
    """One request of a client, when it has ended."""

    time: float
    """Unix time at which it came."""
    id: str
    client: str
    """Name of the client key; "" without one."""
    upstream: str
    """The one whose answer the client got; "" when none was asked."""
    key: int
    """Index of the upstream's key, from 0."""
    model: str
    """As asked."""
    served: str
    """As sent to the upstream."""
    wire_in: str
    wire_out: str
    status: int
    """What the client got; 499 when it went away."""
    error: str
    """A ``FailureKind`` or ``ErrorKind``; "" when all went well."""
    attempts: int
    stream: bool
    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    cost: Optional[float]
    """None when no price is known."""
    currency: str
    first_ms: Optional[float]
    """To the first event or byte of the answer's body."""
    total_ms: float
    purpose: str = ""
    """"" for clients' requests; "activation", "check"."""
    estimated: bool = False
    """Nobody told the tokens, or not all of them."""
    failed: str = ""
    """Names of the upstreams whose tries brought no whole answer, in order, with spaces between them."""


class Rest(NamedTuple):
    """An upstream (key -1) or one of its keys is put aside until *until* (Unix time); *step* counts the doublings."""

    upstream: str
    key: int
    until: float
    step: int
    reason: str


class Spent(NamedTuple):
    """Of one client key on one day."""

    requests: int = 0
    tokens: int = 0
    cost: float = 0.0
    """In US dollars."""
    other: Mapping[str, float] = {}
    """What was charged in other currencies, by their code."""


class Store(Protocol):
    """All methods but open, flush and close only touch memory and return at once."""

    async def open(self) -> None: ...

    async def close(self) -> None:
        """Write what is left, and close."""
        ...

    async def flush(self) -> None:
        """Return when everything recorded so far is on disk (and, where shared and reachable, in the server).

        WriteError when the disk does not take it; it is kept and tried again.
        """
        ...

    def record(self, row: UsageRow) -> None:
        """Remember a request, and add its tokens and cost to its client's spending of the day."""
        ...

    def reserve(self, client: str, now: float) -> None:
        """Count one request that begins, so that many at once cannot pass a budget of requests.

        Nothing else counts requests: it is called once for each that was let in.
        """
        ...

    def spent(self, client: str, now: float) -> Spent:
        """Return the spending of the day (UTC) that holds *now*, of all relays that share the state."""
        ...

    def rest(self, rest: Rest) -> None: ...

    def unrest(self, upstream: str, key: int) -> None: ...

    def rests(self, now: float) -> list[Rest]:
        """Return the rests that are not over: those of this relay, of earlier runs, and of others that share."""
        ...

    def watch(
        self,
        changed: Callable[[], None],
        announced: Optional[Callable[[], None]] = None,
        ended: Optional[Callable[[str, int], None]] = None,
    ) -> None:
        """Have others' news told: *changed* when their rests came, *announced* when one has a new configuration,
        *ended* with upstream and key when a rest was ended before its time."""
        ...

    def announce(self) -> None:
        """Tell the other relays that the configuration changed."""
        ...

    def health(self) -> Mapping[str, str]:
        """Return for /readyz and ``relay status``: the part and "ok" (perhaps with more words), or since when and why
        it is away.  The relay works without all of them."""
        ...
