"""Where a request may go as things are configured, whatever rests now."""

from __future__ import annotations

from typing import Iterable, NamedTuple

from ccsetup.relay.config.model import Upstream
from ccsetup.relay.routing.choice import Ask
from ccsetup.relay.routing.resting import PoolMember
from ccsetup.relay.routing.routes import Route

WINDOW_ROUNDED = 1.1
"""A window is larger than what is said of it: 1M may be 1,048,576."""


class Candidate(NamedTuple):
    """Where a request may go as things are configured."""

    entry: PoolMember
    model: str
    level: tuple[int, int, int]
    """Rank (``routes``), group, priority."""
    window: int
    """Tokens of the model's window, 0 where it is not known."""
    route: Route


_SHORTENING = ("truncation", "transforms", "plugins", "context_management")


def window_of(upstream: Upstream, model: str) -> int:
    """Return the window of *model*; 0 also where the upstream is told to shorten a prompt, or to take a longer one."""
    told = any(name in upstream.extra_body for name in _SHORTENING)
    longer = any("context-1m" in value for value in upstream.headers.values())
    return 0 if told or longer else upstream.context.get(model, 0)


class Candidates(NamedTuple):
    ways: tuple[Candidate, ...]
    """In the order in which they are asked."""
    alone: bool
    """Only one of them is switched on."""
    window: int
    """The smallest one that is known, 0 for none."""

    @classmethod
    def of(cls, ways: Iterable[Candidate]) -> Candidates:
        own = tuple(ways)
        alone = sum(way.entry.upstream.enabled for way in own) == 1
        return cls(own, alone, min((way.window for way in own if way.window), default=0))

    def fitting(self, tokens: int) -> Candidates:
        """Return those for a prompt of at least so many tokens; none where the one that was chosen does not take it."""
        if not 0 < self.window * WINDOW_ROUNDED < tokens:
            return self
        chosen = next((way for way in self.ways if way.route.chosen), None)
        if chosen is not None and 0 < chosen.window * WINDOW_ROUNDED < tokens:
            return Candidates((), self.alone, 0)
        return Candidates.of(way for way in self.ways if not 0 < way.window * WINDOW_ROUNDED < tokens)


def unfit(upstream: Upstream, ask: Ask) -> str:
    """Return why *ask* never goes to *upstream*."""
    if ask.allowed is not None and upstream.name not in ask.allowed:
        return "not allowed"
    return "format" if upstream.accepts and ask.wire not in upstream.accepts else "model"
