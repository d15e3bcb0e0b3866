"""What the endpoints refused, as far as a corrected request was taken: kept for the next requests, for a day."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from ccsetup.relay.routing.choice import Choice
from ccsetup.relay.wire.messages import Dialect
from ccsetup.relay.wire.refusals import Changes, changed

KEPT = 24 * 3600.0
"""Seconds until a provider is asked again as if nothing were known."""
_MOST, _LONGEST = 1000, 256
"""Models, and characters of a name: clients name them."""

_Place = tuple[str, str, str]
"""Upstream, format and its own name of the model."""


class _Oddity(NamedTuple):
    changes: Mapping[str, Any]
    until: float
    """Unix time."""


class Oddities:
    """Of the endpoints of a configuration, by model."""

    def __init__(self) -> None:
        self._known: dict[_Place, _Oddity] = {}

    def dialect(self, choice: Choice, dialect: Dialect, now: float) -> Dialect:
        """Return *dialect* with what is known of the model of *choice* besides; *now*: Unix time."""
        if not self._known:
            return dialect
        place = _place(choice)
        known = self._known.get(place)
        if known is None:
            return dialect
        if known.until < now:
            del self._known[place]
            return dialect
        return changed(dialect, known.changes)

    def learn(self, choice: Choice, changes: Changes, now: float) -> None:
        """Keep *changes*, with which a request was taken that had been refused without."""
        if len(choice.model) > _LONGEST:
            return
        place = _place(choice)
        before = self._known.pop(place, None)
        if before is not None:
            changes = {**before.changes, **changes}
        elif len(self._known) >= _MOST:
            del self._known[next(iter(self._known))]
        self._known[place] = _Oddity(changes, now + KEPT)

    def forget(self, upstream: str = "") -> None:
        """Forget what is known of *upstream*; "" for all."""
        self._known = {place: known for place, known in self._known.items() if upstream not in ("", place[0])}

    def told(self, now: float) -> list[dict[str, Any]]:
        """Return what is known, for the status: upstream, wire, model, the dialect that says it for good, and until
        when (Unix time)."""
        return [
            {
                "upstream": upstream,
                "wire": wire,
                "model": model[:200],
                "dialect": {n: list(v) if isinstance(v, tuple) else v for n, v in known.changes.items()},
                "until": known.until,
            }
            for (upstream, wire, model), known in self._known.items()
            if known.until >= now
        ]


def _place(choice: Choice) -> _Place:
    return choice.upstream.name, choice.wire, choice.model
