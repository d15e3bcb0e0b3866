"""Work on much data, which is done in a thread, so that other requests go on meanwhile."""

from __future__ import annotations

import asyncio
import gc
from typing import Callable, TypeVar

LARGE = 192 << 10
"""Bytes of a request or of an answer that take many milliseconds to be read, translated or counted."""

T = TypeVar("T")


async def apart(size: int, work: Callable[[], T]) -> T:
    """Return what *work* makes of *size* bytes, which nobody else has."""
    return await asyncio.to_thread(_undisturbed, work) if size >= LARGE else work()


def _undisturbed(work: Callable[[], T]) -> T:
    """Do *work*.  What it makes is no garbage; to look for some among it would hold all threads up."""
    gc.disable()
    try:
        return work()
    finally:
        gc.enable()
