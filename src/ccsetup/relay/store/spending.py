"""What client keys spent, day by day, as it is being counted.  Pure."""

from __future__ import annotations

from typing import Optional

from ccsetup.relay.store import Spent, UsageRow

DAY = 86400
"""Seconds.  Days are those of UTC, counted from 1970."""

LARGEST = 1 << 53
"""What an upstream says beyond that is no count of tokens."""


class Tally:
    """What one client spent on one day."""

    __slots__ = ("costs", "requests", "tokens")

    def __init__(self, requests: int = 0, tokens: int = 0, costs: Optional[dict[str, float]] = None) -> None:
        self.requests = requests
        self.tokens = tokens
        self.costs: dict[str, float] = {} if costs is None else costs
        """By currency."""

    def add(self, other: Tally) -> None:
        self.requests += other.requests
        self.tokens += other.tokens
        for currency, cost in other.costs.items():
            self.costs[currency] = self.costs.get(currency, 0.0) + cost

    def charge(self, row: UsageRow) -> None:
        """Add the tokens and the cost of *row*."""
        self.tokens += min(row.input + row.output + row.cache_read + row.cache_write, LARGEST)
        if row.cost:
            self.costs[row.currency] = self.costs.get(row.currency, 0.0) + row.cost

    def spent(self) -> Spent:
        if not self.costs:
            return Spent(self.requests, self.tokens)
        other = {currency: cost for currency, cost in self.costs.items() if currency != "USD"}
        return Spent(self.requests, self.tokens, self.costs.get("USD", 0.0), other)


Spending = dict[tuple[int, str], Tally]
"""By day and client."""


def day_of(moment: float) -> int:
    return int(moment // DAY)


def tally(spending: Spending, client: str, moment: float) -> Tally:
    """Return the entry of *client* on the day of *moment*, made where there is none."""
    place = (int(moment // DAY), client)
    found = spending.get(place)
    if found is None:
        found = spending[place] = Tally()
    return found


def together(one: Spending, other: Spending) -> Spending:
    """Return the sum; the entries are new ones."""
    out: Spending = {}
    for spending in (one, other):
        for place, entry in spending.items():
            if place not in out:
                out[place] = Tally()
            out[place].add(entry)
    return out
