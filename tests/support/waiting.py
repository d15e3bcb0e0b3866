"""Waiting for what has to come, as long as a very slow machine needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

LIMIT = 300.0
"""Seconds after which something is taken for never coming.  What comes is not waited for any longer."""


def until(found: Callable[[], Any], what: str = "") -> None:
    """Wait until *found* says so; AssertionError with *what* when that never comes."""
    end = time.monotonic() + LIMIT
    while not found():
        assert time.monotonic() < end, f"it never came to this: {what or found}"
        time.sleep(0.02)


async def soon(found: Callable[[], Any], what: str = "") -> None:
    """Do the same without stopping the loop; *found* may be a coroutine function."""
    end = time.monotonic() + LIMIT
    while True:
        said = found()
        if isinstance(said, Awaitable):
            said = await said
        if said:
            return
        assert time.monotonic() < end, f"it never came to this: {what or found}"
        await asyncio.sleep(0.01)
