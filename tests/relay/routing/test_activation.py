"""Timed activation: the times on the wall, every day the same, once each."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.config.model import Activation
from ccsetup.relay.routing.activation import due, next_run

BERLIN = "Europe/Berlin"


def at(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN), fold=fold).timestamp()


def runs(activation: Activation, begin: float, end: float) -> list[float]:
    out = []
    while (begin := next_run(activation, BERLIN, begin)) <= end:
        out.append(begin)
    return out


def test_times_do_not_drift() -> None:
    """A whole year of runs, whatever the clock changes do."""
    year = runs(Activation(("08:30",)), at("2026-01-01"), at("2026-12-31 23:00"))
    assert len(year) == 365
    assert {datetime.fromtimestamp(t, ZoneInfo(BERLIN)).strftime("%H:%M:%S") for t in year} == {"08:30:00"}


def test_days_and_several_times() -> None:
    found = runs(Activation(("23:00", "05:00"), frozenset({0, 5})), at("2026-11-20 12:00"), at("2026-11-24"))
    wanted = ["2026-11-21 05:00", "2026-11-21 23:00", "2026-11-23 05:00", "2026-11-23 23:00"]
    assert found == [at(t) for t in wanted]


def test_a_time_in_the_gap_and_one_that_comes_twice_run_once() -> None:
    gap = runs(Activation(("02:15", "02:30")), at("2026-03-29 00:00"), at("2026-03-29 12:00"))
    assert gap == [at("2026-03-29 03:00")]
    fold = runs(Activation(("02:30",)), at("2026-10-25 00:00"), at("2026-10-25 12:00"))
    assert fold == [at("2026-10-25 02:30", 0)]


def test_due() -> None:
    """What was missed while the machine slept is left out."""
    plan = Activation(("08:00", "08:05"))
    assert due(plan, BERLIN, at("2026-11-20 07:59"), at("2026-11-20 07:59:59")) is None
    assert due(plan, BERLIN, at("2026-11-20 07:59"), at("2026-11-20 08:00")) == at("2026-11-20 08:00")
    assert due(plan, BERLIN, at("2026-11-20 08:00"), at("2026-11-20 08:04")) is None
    assert due(plan, BERLIN, at("2026-11-20 07:00"), at("2026-11-20 08:10")) == at("2026-11-20 08:05")
    assert due(plan, BERLIN, at("2026-11-19 12:00"), at("2026-11-20 12:00")) is None


@given(st.integers(1_700_000_000, 1_900_000_000), st.lists(st.integers(1, 7200), min_size=5, max_size=40))
@settings(max_examples=40, deadline=None)
def test_asking_at_any_moments_finds_every_run_once(now: int, steps: list[int]) -> None:
    """Steps are shorter than the grace given: as a task that wakes up irregularly sees it."""
    plan = Activation(("02:30", "12:00", "23:59"))
    since, found = float(now), []
    for step in steps:
        later = since + step
        run = due(plan, BERLIN, since, later, grace=7200)
        if run is not None:
            found.append(run)
        since = later
    assert found == runs(plan, float(now), since)
