"""What an answer costs."""

from __future__ import annotations

import pytest

from ccsetup.relay.config.model import Price, Upstream
from ccsetup.relay.config.prices import cost
from ccsetup.relay.wire.messages import Usage

UPSTREAM = Upstream(
    "u",
    {"chat": "http://127.0.0.1:1/v1"},
    (),
    prices={"full": Price(1.0, 10.0, 0.1, 1.25), "plain": Price(2.0, 8.0, currency="CNY")},
)
USAGE = Usage(input=1_000_000, output=100_000, cache_read=500_000, cache_write=200_000, reasoning=90_000)


def test_each_kind_of_token_has_its_price() -> None:
    """Reasoning is part of the output and is not charged twice."""
    assert cost(UPSTREAM, "full", USAGE) == (pytest.approx(1.0 + 1.0 + 0.05 + 0.25), "USD")


def test_cached_tokens_without_a_price_cost_as_input() -> None:
    assert cost(UPSTREAM, "plain", USAGE) == (pytest.approx(2.0 + 0.8 + 1.0 + 0.4), "CNY")


def test_a_long_context_mark_does_not_hide_the_price() -> None:
    assert cost(UPSTREAM, "full[1m]", USAGE) == cost(UPSTREAM, "full", USAGE)


def test_an_unknown_model_has_no_cost() -> None:
    """None, not zero: nobody may take it for free."""
    assert cost(UPSTREAM, "other", USAGE) is None
