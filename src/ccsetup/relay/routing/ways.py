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
    use: str
    """What the model is reserved for, "" for nothing."""
    several: bool
    """Such requests may go several ways, now or after a switch: their conversation matters."""

    @classmethod
    def of(cls, ways: Iterable[Candidate], use: str, *, led: bool) -> Candidates:
        """*led*: a switch may send requests for *use* elsewhere."""
        own = tuple(ways)
        keys = [len(way.entry.keys) for way in own if way.entry.upstream.enabled]
        window = min((way.window for way in own if way.window), default=0)
        return cls(own, len(keys) == 1, window, use, led or sum(keys) > 1)

    def fitting(self, tokens: int) -> Candidates:
        """Return those for a prompt of at least so many tokens; none where the one that was chosen does not take it."""
        if not 0 < self.window * WINDOW_ROUNDED < tokens:
            return self
        chosen = next((way for way in self.ways if way.route.chosen), None)
        if chosen is not None and 0 < chosen.window * WINDOW_ROUNDED < tokens:
            return self._replace(ways=(), window=0)
        fit = (way for way in self.ways if not 0 < way.window * WINDOW_ROUNDED < tokens)
        return Candidates.of(fit, self.use, led=self.several)


def unfit(upstream: Upstream, ask: Ask) -> str:
    """Return why *ask* never goes to *upstream*."""
    if ask.allowed is not None and upstream.name not in ask.allowed:
        return "not allowed"
    return "format" if upstream.accepts and ask.wire not in upstream.accepts else "model"
