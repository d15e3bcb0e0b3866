"""The relay's log: one line for each thing that happened, as JSON in a file or as text in a terminal.

Neither keys nor anything of prompts or answers is written, except for the requests that an operator asked to see.
"""

from __future__ import annotations

import time
from typing import Any, Callable, Iterable, Literal, TextIO

from ccsetup.relay.wire import codec

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")


class Log:
    """Collects lines, and writes them when ``flush`` is called (the server does, several times a second)."""

    def __init__(self, out: TextIO, *, as_json: bool, level: Level = "info", clock: Callable[[], float] = time.time):
        self._out = out
        self._json = as_json
        self._least = LEVELS.index(level)
        self._clock = clock
        self._lines: list[str] = []
        self._secrets: tuple[str, ...] = ()

    def hide(self, secrets: Iterable[str]) -> None:
        """Never write these texts."""
        self._secrets = tuple(s for s in secrets if len(s) >= 6)

    def masked(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        return text

    def wants(self, level: Level) -> bool:
        return LEVELS.index(level) >= self._least

    def add(self, level: Level, event: str, **fields: Any) -> None:
        """Note *event*; *fields* are plain values."""
        if LEVELS.index(level) < self._least:
            return
        now = self._clock()
        if self._json:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now * 1000) % 1000:03d}Z"
            line = codec.dumps({"time": stamp, "level": level, "event": event, **fields}).decode()
        else:
            said = " ".join(f"{name}={_plain(value)}" for name, value in fields.items() if value not in ("", None))
            mark = "" if level == "info" else level + ": "
            line = f"{time.strftime('%H:%M:%S', time.localtime(now))} {mark}{event} {said}".rstrip()
        self._lines.append(self.masked(line))
        if len(self._lines) >= 1000 or level == "error":
            self.flush()

    def flush(self) -> None:
        """Write what was collected; a full disk loses lines, never a request."""
        if not self._lines:
            return
        text = "\n".join(self._lines) + "\n"
        self._lines.clear()
        try:
            self._out.write(text)
            self._out.flush()
        except (OSError, ValueError):
            pass


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    text = str(value)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return f'"{text}"' if " " in text else text
