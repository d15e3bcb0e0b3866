"""What an answer costs, by the prices of the upstream that gave it.  Pure."""

from __future__ import annotations

from typing import Optional

from ccsetup.relay.config.model import Upstream
from ccsetup.relay.wire.messages import Usage

_LONG = "[1m]"
"""Claude Code's mark for a large context window, which some providers take as part of the name."""


def cost(upstream: Upstream, model: str, usage: Usage) -> Optional[tuple[float, str]]:
    """Return the cost of *usage* and its currency; None when the price of *model*, the upstream's name, is not known.

    Reasoning is part of the output.  Cached tokens cost as much as others where no price of their own is known.
    """
    prices = upstream.prices
    if not prices:
        return None
    price = prices.get(model) or prices.get(model.removesuffix(_LONG))
    if price is None:
        return None
    input, output, cache_read, cache_write, _reasoning = usage
    total = input * price.input + output * price.output
    if cache_read:
        total += cache_read * (price.input if price.cache_read is None else price.cache_read)
    if cache_write:
        total += cache_write * (price.input if price.cache_write is None else price.cache_write)
    return total / 1_000_000, price.currency
