"""What is asked of the upstreams, which one was chosen, and what became of it: values."""

from __future__ import annotations

from typing import Literal, Mapping, NamedTuple, Optional, Union

from ccsetup.model import WireFormat
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.http.base import NetworkFailure

FailureKind = Union[Literal["status"], NetworkFailure]


class Ask(NamedTuple):
    wire: WireFormat
    """The client's."""
    model: str
    conversation: str = ""
    """What stays the same through a conversation; "" when it cannot be told."""
    allowed: Optional[frozenset[str]] = None
    """Names of the upstreams that the client's key may use; None: all."""
    tokens: int = 0
    """So many the prompt has for certain: models whose window is smaller are not asked.  0: not counted."""


class Choice(NamedTuple):
    """URL, key and model belong together: they are chosen as one."""

    upstream: Upstream
    key: int
    """Index into ``upstream.keys``; 0 where it has none."""
    wire: WireFormat
    """The upstream's: the client's own where it has an endpoint for it."""
    model: str
    """The upstream's name of the model."""
    moved: bool = False
    """An earlier answer of this conversation came from another upstream or by another key: its reasoning is foreign
    here."""
    instead: bool = False
    """Another upstream owns the model that was asked for."""
    thinking: bool = False
    """It is to think, whatever the request says."""
    all: str = ""
    """The target of all requests, where that one decided."""

    def told(self) -> dict[str, str]:
        """Return what each line of the log says of how it was chosen."""
        return {"all": self.all} if self.all else {}


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


class UpstreamStatus(NamedTuple):
    name: str
    group: str
    available: bool
    why: str
    """Why it is not available: "disabled", "window", "resting", "probing", "keys", "busy"; "" when it is."""
    until: Optional[float]
    """Unix time at which it can be used again, where that is known."""
    keys: tuple[Optional[float], ...]
    """For each key until when it rests; None when it does not."""
    running: int
    failures: int
    """That count toward the threshold now."""
    reason: str
    """Of the rest."""


WIRES: Mapping[WireFormat, tuple[WireFormat, ...]] = {
    # Chat carries plain thinking both ways; Responses of third parties mostly has it encrypted or not at all.
    "anthropic": ("anthropic", "chat", "responses"),
    "responses": ("responses", "chat", "anthropic"),
    # Responses knows every role, tool and format of Chat; Messages knows neither developer nor JSON schemas.
    "chat": ("chat", "responses", "anthropic"),
}


def wire_for(upstream: Upstream, asked: WireFormat) -> WireFormat:
    """Return the upstream's format for a request in *asked*: the same, or the one that loses least."""
    if asked == "anthropic" and asked not in upstream.endpoints and "responses" in upstream.endpoints:
        own = upstream.dialect.get("responses")
        if own is not None and own.official:  # OpenAI keeps its reasoning from one turn to the next only there
            return "responses"
    return next(wire for wire in WIRES[asked] if wire in upstream.endpoints)
