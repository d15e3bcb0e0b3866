"""Windows of weekdays and hours, over midnight and over clock changes."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.config.model import Window
from ccsetup.relay.routing.windows import next_open, open_at

BERLIN, SHANGHAI, NEW_YORK = "Europe/Berlin", "Asia/Shanghai", "America/New_York"
WORK = Window(frozenset(range(5)), 9 * 60, 18 * 60)
NIGHT = Window(frozenset({4}), 22 * 60, 6 * 60)
ALL_FRIDAY = Window(frozenset({4}), 0, 24 * 60)


def at(text: str, zone: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


CASES = [
    ((), "2026-11-21 03:00", True),
    ((WORK,), "2026-11-20 09:00", True),
    ((WORK,), "2026-11-20 08:59", False),
    ((WORK,), "2026-11-20 18:00", False),
    ((WORK,), "2026-11-21 12:00", False),  # Saturday
    ((NIGHT,), "2026-11-20 23:00", True),
    ((NIGHT,), "2026-11-21 05:59", True),
    ((NIGHT,), "2026-11-21 06:00", False),
    ((NIGHT,), "2026-11-20 05:00", False),  # Thursday's night
    ((NIGHT,), "2026-11-21 22:30", False),
    ((ALL_FRIDAY,), "2026-11-20 00:00", True),
    ((ALL_FRIDAY,), "2026-11-20 23:59", True),
    ((ALL_FRIDAY,), "2026-11-21 00:00", False),
    ((Window(frozenset({4}), 480, 480),), "2026-11-21 07:59", True),  # begin and end alike: 24 hours
    ((WORK, NIGHT), "2026-11-21 01:00", True),
]


@pytest.mark.parametrize(("windows", "when", "expected"), CASES, ids=lambda v: str(v) if isinstance(v, str) else "")
@pytest.mark.parametrize("zone", [BERLIN, SHANGHAI, NEW_YORK])
def test_open_at(windows: tuple[Window, ...], when: str, expected: bool, zone: str) -> None:
    assert open_at(windows, zone, at(when, zone)) is expected


def test_a_window_is_where_its_zone_is() -> None:
    assert open_at((WORK,), SHANGHAI, at("2026-11-20 02:00", BERLIN))
    assert not open_at((WORK,), BERLIN, at("2026-11-20 02:00", BERLIN))


def test_clock_changes() -> None:
    """In the gap a window opens with the first minute after it; an hour that comes twice is open twice."""
    gap = (Window(frozenset(range(7)), 150, 210),)  # 02:30 to 03:30; on 29 March 2026 02:00 is followed by 03:00
    opens = next_open(gap, BERLIN, at("2026-03-29 00:00", BERLIN))
    assert opens == at("2026-03-29 03:00", BERLIN)
    twice = (Window(frozenset(range(7)), 60, 150),)  # 01:00 to 02:30; on 25 October 2026 02:00 to 03:00 comes twice
    begin, again = at("2026-10-25 02:15", BERLIN, 0), at("2026-10-25 02:15", BERLIN, 1)
    assert again - begin == 3600
    assert open_at(twice, BERLIN, begin)
    assert open_at(twice, BERLIN, again)
    assert next_open(twice, BERLIN, at("2026-10-25 02:40", BERLIN, 0)) == at("2026-10-25 02:00", BERLIN, 1)


def test_next_open() -> None:
    now = at("2026-11-20 18:00", SHANGHAI)
    assert next_open((WORK,), SHANGHAI, now) == at("2026-11-23 09:00", SHANGHAI)
    assert next_open((NIGHT, WORK), SHANGHAI, now) == at("2026-11-20 22:00", SHANGHAI)
    assert next_open((), SHANGHAI, now) == now
    assert next_open((Window(frozenset()),), SHANGHAI, now) is None


_minutes = st.integers(0, 1439)
_window = st.builds(Window, st.frozensets(st.integers(0, 6)), _minutes, st.integers(1, 1440))


@given(
    st.lists(_window, min_size=1, max_size=3),
    st.sampled_from([BERLIN, SHANGHAI, NEW_YORK, "Australia/Lord_Howe", ""]),
    st.integers(0, 400 * 1440).map(lambda m: 1_780_000_000 // 60 * 60 + m * 60.0),
)
@settings(max_examples=150, deadline=None)
def test_next_open_is_open_and_nothing_before_it_is(windows: list[Window], zone: str, now: float) -> None:
    opens = next_open(windows, zone, now)
    if opens is None:
        assert not any(window.days for window in windows)
        return
    assert open_at(windows, zone, opens)
    if opens > now:
        assert not open_at(windows, zone, opens - 1)
        span = opens - now
        assert not any(open_at(windows, zone, now + span * n / 50) for n in range(50))
