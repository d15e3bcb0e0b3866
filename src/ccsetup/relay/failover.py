"""Which upstream and key is asked next, and which ones rest.  Pure: time and chance are arguments.

    pool = Pool(config, random=Random())
    turn = pool.turn(Ask(...), now)          # one request of a client
    while (choice := turn.next(now)) is not None:
        ... send ...
        turn.succeeded(now)                  # the answer has begun
        decision = turn.failed(failure, now) # or not: wait decision.wait, then next()
    turn.finished(now)                       # always, at the very end: frees the upstream's place
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Optional

from ccsetup.model import WireFormat
from ccsetup.relay.config import Upstream

FailureKind = Literal["status", "connect", "tls", "first_byte", "idle", "cut", "protocol"]


class Ask(NamedTuple):
    wire: WireFormat
    """The client's."""
    model: str
    conversation: str = ""
    """What stays the same through a conversation; "" when it cannot be told."""
    allowed: Optional[frozenset[str]] = None
    """Names of the upstreams that the client's key may use; None: all."""


class Choice(NamedTuple):
    """URL, key and model belong together: they are chosen as one."""

    upstream: Upstream
    key: int
    """Index into ``upstream.keys``."""
    wire: WireFormat
    """The upstream's: the client's own where it has an endpoint for it."""
    model: str
    """The upstream's name of the model."""
    moved: bool = False
    """An earlier answer of this conversation came from another upstream: its reasoning is foreign here."""


class Failure(NamedTuple):
    kind: FailureKind
    status: int = 0
    body: str = ""
    """The beginning of it, at most 4 kB."""
    retry_after: Optional[float] = None
    """Seconds."""


class Decision(NamedTuple):
    again: bool
    """False: this failure is the client's answer, even if other upstreams are left."""
    wait: float = 0
    """Seconds before the next attempt."""
