"""Work on much data, which is done in a thread, so that other requests go on meanwhile."""

from __future__ import annotations

import asyncio
from typing import Callable, TypeVar

LARGE = 192 << 10
"""Bytes of a request or of an answer that take many milliseconds to be read, translated or counted."""

T = TypeVar("T")


async def apart(size: int, work: Callable[[], T]) -> T:
    """Return what *work* makes of *size* bytes, which nobody else has."""
    return await asyncio.to_thread(work) if size >= LARGE else work()
