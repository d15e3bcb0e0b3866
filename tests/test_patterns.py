"""Regular expressions on text that others wrote: the time grows with the length, and no faster."""

from __future__ import annotations

import re
import signal
import time
from types import FrameType
from typing import Any, Optional

from support import patterns
from support.patterns import Pattern

SHORT, LONG = 500, 8000
"""Characters.  Sixteen times the text takes 16 times as long where the growth is linear, and 256 where quadratic."""
LIMIT = 64
"""Four times the one and a quarter of the other, whatever else the machine does."""
NOTICEABLE = 0.003
"""Seconds of processor time; what takes less than that for LONG characters is not measured more closely."""


def seconds(pattern: Pattern, text: str) -> float:
    given: Any = text.encode() if isinstance(pattern.compiled.pattern, bytes) else text
    empty: Any = b"" if isinstance(given, bytes) else ""
    act = getattr(pattern.compiled, pattern.use)
    begin = time.process_time()
    result = act(empty, given) if pattern.use in ("sub", "subn") else act(given)
    if pattern.use == "finditer":
        list(result)
    return time.process_time() - begin


def text_of(hard: tuple[str, str, str], length: int) -> str:
    begin, part, end = hard
    return begin + part * (length // len(part)) + end


class TooLong(Exception):
    pass


def _stop(_number: int, _frame: Optional[FrameType]) -> None:
    raise TooLong


def grows_too_fast(pattern: Pattern, hard: tuple[str, str, str]) -> bool:
    """Tell whether the time grows faster than the text; an exponential pattern is stopped."""
    signal.setitimer(signal.ITIMER_VIRTUAL, 1.5)
    try:
        if seconds(pattern, text_of(hard, LONG)) < NOTICEABLE:
            return False
        short = long = float("inf")
        for _round in range(12):  # in turns, for the machine may be slower for a while
            short = min(short, seconds(pattern, text_of(hard, SHORT)))
            long = min(long, seconds(pattern, text_of(hard, LONG)))
            if long < NOTICEABLE or long < LIMIT * short:
                return False
        return True
    except TooLong:
        return True
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def slow(found: list[Pattern]) -> list[str]:
    before = signal.signal(signal.SIGVTALRM, _stop)
    try:
        out = []
        for pattern in found:
            bad = next((h for h in sorted(patterns.hard(pattern.compiled)) if grows_too_fast(pattern, h)), None)
            if bad is not None:
                out.append(f"{pattern.where} {pattern.use} {pattern.compiled.pattern!r}: {bad!r}")
        return out
    finally:
        signal.signal(signal.SIGVTALRM, before)


def test_the_measure_tells() -> None:
    """Exponential, cubic and quadratic patterns are found by the texts that are made of them; linear ones are not."""
    bad = [
        r"(a|a)*b",
        r"(\w+\s?)*$",
        r"<title[^>]*>\s*([^<]{1,200}?)\s*<",
        r"\s*x",
        r"<[^>]*>",
        r"""(["'])(?:\\.|.)*\1""",
    ]
    good = [r"[^<>]*", r"<[^<>]*>", r"[a-z]+", r"(?<!\s)\s+x", r'"[^"\\]*+(?:\\.[^"\\]*+)*+'][:3]
    assert len(slow([Pattern("", re.compile(one), "search") for one in bad])) == len(bad)
    assert slow([Pattern("", re.compile(one), "search") for one in good]) == []


def test_every_pattern_is_linear() -> None:
    """Every pattern of the program, used as the program uses it, on repeats and near misses of all of its parts."""
    found = patterns.every()
    assert len(found) > 100
    assert slow(found) == []
