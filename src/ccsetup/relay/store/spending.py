"""What client keys spent, day by day, as it is being counted.  Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import Optional

from ccsetup.relay.store import Spent, UsageRow

DAY = 86400
"""Seconds.  Days are those of UTC, counted from 1970."""

LARGEST = 1 << 53
"""What an upstream says beyond that is no count of tokens."""


class ClientTotal:
    """What one client spent on one day."""

    __slots__ = ("costs", "requests", "tokens")

    def __init__(self, requests: int = 0, tokens: int = 0, costs: Optional[dict[str, float]] = None) -> None:
        self.requests = requests
        self.tokens = tokens
        self.costs: dict[str, float] = {} if costs is None else costs
        """By currency."""

    def add(self, other: ClientTotal) -> None:
        self.requests += other.requests
        self.tokens += other.tokens
        for currency, cost in other.costs.items():
            self.costs[currency] = self.costs.get(currency, 0.0) + cost

    def plus(self, other: ClientTotal) -> ClientTotal:
        both = ClientTotal(self.requests, self.tokens, self.costs.copy())
        both.add(other)
        return both

    def charge(self, row: UsageRow) -> None:
        """Add the tokens and the cost of *row*."""
        tokens = row.input + row.output + row.cache_read + row.cache_write
        self.tokens += tokens if tokens < LARGEST else LARGEST
        if row.cost:
            self.costs[row.currency] = self.costs.get(row.currency, 0.0) + row.cost

    def spent(self) -> Spent:
        if not self.costs:
            return Spent(self.requests, self.tokens)
        other = {currency: cost for currency, cost in self.costs.items() if currency != "USD"}
        return Spent(self.requests, self.tokens, self.costs.get("USD", 0.0), other)


Spending = defaultdict[int, defaultdict[str, ClientTotal]]
"""By day and client; what is looked up with [] is made."""


def no_spending() -> Spending:
    return defaultdict(lambda: defaultdict(ClientTotal))


def day_of(moment: float) -> int:
    return int(moment // DAY)


def together(one: Spending, other: Spending) -> Spending:
    """Return the sum; the entries are new ones."""
    out = no_spending()
    for spending in (one, other):
        for day, clients in spending.items():
            for client, entry in clients.items():
                out[day][client].add(entry)
    return out
