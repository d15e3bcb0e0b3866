"""Rows of usage, and a log that keeps its lines, for tests of the relay's store."""

from __future__ import annotations

import io
import json
from typing import Any

from ccsetup.relay.log import Log
from ccsetup.relay.store import UsageRow

MIDNIGHT = 1_800_057_600.0
"""A Unix time; it is 00:00 UTC."""

NOON = MIDNIGHT + 43200


def row(number: int = 1, **changes: Any) -> UsageRow:
    """Return a row whose id is made of *number*."""
    usual = UsageRow(
        time=NOON,
        id=f"{number:032x}",
        client="alice",
        upstream="glm",
        key=0,
        model="claude-sonnet",
        served="glm-5",
        wire_in="anthropic",
        wire_out="chat",
        status=200,
        error="",
        attempts=1,
        stream=True,
        input=100,
        output=20,
        cache_read=300,
        cache_write=4,
        reasoning=7,
        cost=0.5,
        currency="USD",
        first_ms=200.0,
        total_ms=1500.0,
    )
    return usual._replace(**changes)


class KeptLog(Log):
    """Writes to nobody."""

    def __init__(self) -> None:
        super().__init__(io.StringIO(), as_json=True, level="debug")
        self.text = ""

    def flush(self) -> None:
        self.text += "".join(line + "\n" for line in self._lines)
        self._lines.clear()

    def events(self) -> list[str]:
        self.flush()
        return [json.loads(line)["event"] for line in self.text.splitlines()]
