"""Takes the client's own texts out of a recorded request: ``python tests/support/recording.py FILE...``

A recording is kept for its shape.  What Claude Code and Codex tell a model is their makers' text, so that every text of
more than a few words becomes another of the same length, with the quotes, lines and letters that make texts awkward.
Knows nothing of pytest.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEXTS = frozenset(("content", "definition", "description", "instructions", "system", "text"))
"""Members that hold prose, in the requests of both clients; calls of tools and their results are the tests' own."""

SHORT = 20
"""Characters: up to here a text stays."""

FILLER = (
    "A client said something here to its model, and these words are as long as what it said. They mean nothing. "
    'What makes texts awkward is among them, "quotes" and `marks`, <tags>, {braces},\n'
    "a line's end, Grüße and \\, about as often as in such texts. "
)


def clean(value: Any) -> Any:
    """Return *value* (JSON) with other texts; what is clean already comes back as it is."""
    return _clean(value, "", itertools.count(1))


def _clean(value: Any, member: str, numbers: Iterator[int]) -> Any:
    if isinstance(value, dict):
        return {name: _clean(each, name, numbers) for name, each in value.items()}
    if isinstance(value, list):
        return [_clean(each, member, numbers) for each in value]
    if not isinstance(value, str) or member not in TEXTS or len(value) <= SHORT:
        return value
    # The number makes each text another one, so that a test sees which of them is lost.
    number = next(numbers)
    start = number * 37 % len(FILLER)
    return (f"[{number:04}] {FILLER[start:]}" + FILLER * (len(value) // len(FILLER) + 1))[: len(value)]


def _main() -> None:
    for name in sys.argv[1:]:
        path = Path(name)
        body = clean(json.loads(path.read_text("utf-8")))
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    _main()
