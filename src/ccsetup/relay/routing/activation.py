"""When the small request that starts a provider's billing window is due.  Pure.

Times are those on the wall, so that they never drift; one in the gap of a clock change fires once, at the gap's end,
and one in an hour that comes twice fires the first time.
"""

from __future__ import annotations

from typing import Optional

from ccsetup.relay.config.model import Activation
from ccsetup.relay.routing.windows import days, first_instant


def next_run(activation: Activation, zone: str, after: float) -> float:
    """Return the first planned Unix time later than *after*."""
    return min(t for t in _around(activation, zone, after) if t > after)


def due(activation: Activation, zone: str, since: float, now: float, grace: float = 900) -> Optional[float]:
    """Return the latest planned time in (*since*, *now*], or None.

    One that is more than *grace* seconds past is left out: the machine slept, and the billing window would begin at
    an hour that nobody chose.
    """
    found = [t for t in _around(activation, zone, now) if since < t <= now and t >= now - grace]
    return max(found, default=None)


def _around(activation: Activation, zone: str, instant: float) -> list[float]:
    """Return the planned times from the day before *instant* to a week after it."""
    minutes = [int(t[:2]) * 60 + int(t[3:]) for t in activation.times]
    return [
        first_instant(zone, day, minute)
        for day in days(zone, instant, 10)
        if day.weekday() in activation.days
        for minute in minutes
    ]
