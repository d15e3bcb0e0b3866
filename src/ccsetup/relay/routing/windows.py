"""When an upstream may be used, by weekday and hour of a time zone.  Pure; knows of clock changes.

A window's times are those on the wall: where a clock is put forward over a window's begin, it opens with the first
minute after the gap; where an hour comes twice, the window holds in both.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Iterator, Optional, Sequence

from ccsetup.relay.config.model import Window

DAY = 86400


def open_at(windows: Sequence[Window], zone: str, now: float) -> bool:
    """Tell whether *now* (Unix time) is inside one of *windows*; without any it always is."""
    if not windows:
        return True
    wall = local(zone, now)
    minute, day = wall.hour * 60 + wall.minute, wall.weekday()
    for window in windows:
        if window.end > window.start:
            if day in window.days and window.start <= minute < window.end:
                return True
        elif (day in window.days and minute >= window.start) or ((day - 1) % 7 in window.days and minute < window.end):
            return True
    return False


def next_open(windows: Sequence[Window], zone: str, now: float) -> Optional[float]:
    """Return the first Unix time from *now* on that is inside one of *windows*, None when there is none."""
    if open_at(windows, zone, now):
        return now
    begins = set(changes(zone, now, now + 9 * DAY))  # a clock that is put back can open a window again
    for day in days(zone, now, 9):
        for window in windows:
            if day.weekday() in window.days:
                begins.add(first_instant(zone, day, window.start))
    return next((t for t in sorted(begins) if t >= now and open_at(windows, zone, t)), None)


def local(zone: str, instant: float) -> datetime:
    """Return the time on the wall; *zone* is an IANA name, "" for the machine's own."""
    return datetime.fromtimestamp(instant, _zone(zone)).replace(tzinfo=None)


def offset(zone: str, instant: float) -> int:
    """Return by how many seconds the wall is before UTC."""
    if not zone:
        return time.localtime(instant).tm_gmtoff
    found = datetime.fromtimestamp(instant, _zone(zone)).utcoffset()
    return int(found.total_seconds()) if found is not None else 0


def days(zone: str, instant: float, count: int) -> Iterator[date]:
    """Yield *count* dates: the day before that of *instant*, its own, and those after."""
    first = local(zone, instant).date() - timedelta(days=1)
    for n in range(count):
        yield first + timedelta(days=n)


def first_instant(zone: str, day: date, minutes: int) -> float:
    """Return the Unix time at which the wall first shows *minutes* of *day*, or passes over them."""
    wall = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes)
    flat = wall.timestamp()
    found = []
    for around in (flat - DAY, flat + DAY):
        instant = flat - offset(zone, around)
        if instant + offset(zone, instant) == flat:
            found.append(instant)
    if found:
        return min(found)
    return next(changes(zone, flat - DAY, flat + DAY))  # in a gap


def changes(zone: str, begin: float, end: float) -> Iterator[float]:
    """Yield the Unix times in (*begin*, *end*] at which the zone's clock is changed; at most one a day is seen."""
    low = begin
    while low < end:
        high = min(low + DAY, end)
        if offset(zone, low) != offset(zone, high):
            before, after = int(low), int(high) + 1
            while after - before > 1:
                middle = (before + after) // 2
                if offset(zone, middle) == offset(zone, low):
                    before = middle
                else:
                    after = middle
            yield float(after)
        low = high


def _zone(zone: str) -> Optional[tzinfo]:
    if not zone:
        return None
    from zoneinfo import ZoneInfo  # keeps its own cache

    return ZoneInfo(zone)
