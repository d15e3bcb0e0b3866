"""The relay's log: one line for each thing that happened, as JSON in a file or as text in a terminal.

Neither keys nor anything of prompts or answers is written, except for the requests that an operator asked to see.
"""

from __future__ import annotations

import base64
import queue
import re
import threading
import time
from typing import TYPE_CHECKING, Any, Callable, Iterable, Literal, Mapping, Optional, TextIO
from urllib.parse import quote

from ccsetup import masking
from ccsetup.relay.wire import codec

if TYPE_CHECKING:
    import asyncio

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")


WAITING = 1000
"""Batches that wait for whoever reads the log; more are left out."""


_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What steers a terminal, or turns a line around, in texts that came from elsewhere."""


class Log:
    """Collects lines, and hands them to a thread when ``flush`` is called (the server does, several times a second).

    The thread may wait for a reader, a pipe that is full for example; requests never do.
    """

    def __init__(self, out: TextIO, *, as_json: bool, level: Level = "info", clock: Callable[[], float] = time.time):
        self._out = out
        self._json = as_json
        self._least = LEVELS.index(level)
        self.verbose = level == "debug"
        """Everything is wanted."""
        self._clock = clock
        self._lines: list[str] = []
        self._secrets: tuple[str, ...] = ()
        self._batches: queue.Queue[str] = queue.Queue(WAITING)
        self._left_out = 0
        self._second = -1
        self._stamp = ""
        self._thread: Optional[threading.Thread] = None

    def hide(self, secrets: Iterable[str]) -> None:
        """Never write these texts."""
        self._secrets = tuple(form for s in secrets if not masking.weak(s) for form in _forms(s))

    def masked(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        return text

    def add(self, level: Level, event: str, **fields: Any) -> None:
        """Note *event*; *fields* are plain values."""
        if LEVELS.index(level) < self._least:
            return
        now = self._clock()
        if self._json:
            second = int(now)
            if second != self._second:
                self._second = second
                self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            stamp = f"{self._stamp}{int((now - second) * 1000):03d}Z"
            line = codec.dumps({"time": stamp, "level": level, "event": event, **fields}).decode()
            if not line.isprintable():
                line = _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
        else:
            line = f"{time.strftime('%H:%M:%S', time.localtime(now))} {plain(level, event, fields)}"
        self._lines.append(self.masked(line))
        if len(self._lines) >= 1000 or level == "error":
            self.flush()

    def bug(self, error: BaseException, **fields: Any) -> None:
        self.add("error", "bug", kind=type(error).__name__, where=_where(error), **fields)

    def misread(self, error: BaseException, **fields: Any) -> None:
        """Note an answer of an upstream over which *error* was raised."""
        self.add("error", "answer not understood", kind=type(error).__name__, where=_where(error), **fields)

    def unhandled(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Note what nobody caught; for ``loop.set_exception_handler``, which else writes tracebacks to stderr."""
        error = context.get("exception")
        if isinstance(error, Exception):
            self.bug(error)
        elif error is None:
            self.add("warning", "server", message=str(context.get("message", "")))

    def flush(self) -> None:
        """Have what was collected written; a reader that is away loses lines, and no request waits for it."""
        if not self._lines:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._write, daemon=True)
            self._thread.start()
        text = "\n".join(self._lines) + "\n"
        count = len(self._lines)
        self._lines.clear()
        try:
            self._batches.put_nowait(text)
        except queue.Full:
            self._left_out += count
            return
        if self._left_out and self._batches.qsize() < WAITING:
            missing, self._left_out = self._left_out, 0
            self.add("warning", "log lines left out", number=missing)

    def close(self, seconds: float = 2.0) -> None:
        """Write what is left, for at most *seconds*."""
        self.flush()
        if self._thread is not None:
            try:
                self._batches.put_nowait("")
            except queue.Full:
                return
            self._thread.join(seconds)
            self._thread = None

    def _write(self) -> None:
        while text := self._batches.get():
            try:
                self._out.write(text)
                self._out.flush()
            except (OSError, ValueError):
                pass


def _where(error: BaseException) -> list[str]:
    """Return the places where *error* was raised, without any value."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


def plain(level: str, event: str, fields: Mapping[str, Any]) -> str:
    """Return what happened for people."""
    said = " ".join(f"{name}={_plain(value)}" for name, value in fields.items() if value not in ("", None))
    return f"{'' if level == 'info' else level + ': '}{event} {said}".rstrip()


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    text = str(value)
    text = "".join(c if c.isprintable() else "?" for c in text)
    return f'"{text}"' if " " in text else text


def _forms(secret: str) -> list[str]:
    """Return *secret* as upstreams that echo it may write it: as it is, in an address, in base64, in hexadecimal."""
    data = secret.encode()
    found = {secret, secret.lower(), secret.upper(), quote(secret, safe=""), secret.replace("/", "\\/"), data.hex()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):  # whatever stands in front of it: "Bearer ", "user:"
            packed = encode(bytes(before) + data).decode()
            whole = (before + len(data)) // 3 * 4
            found.add(packed[(before * 8 + 5) // 6 : whole])
    return sorted(found, key=len, reverse=True)
