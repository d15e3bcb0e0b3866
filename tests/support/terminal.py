"""Runs ccsetup at a real pseudo-terminal, and tells whether the terminal is left as it was found.

What is seen is the output without escape sequences, in the order of its arrival; for what a person sees at once
on the screen use ``screen.py``.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Optional, Self

import pexpect
from support import cc, waiting, world

_ESCAPE = re.compile(r"\x1b\[(\d*)C|\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07|[\r\x07]")


def plain(text: str) -> str:
    """Return *text* without escape sequences; a cursor that moves right leaves spaces."""
    return _ESCAPE.sub(lambda found: " " * int(found[1] or 1) if found[0].endswith("C") else "", text)


def machine_with_clients(folder: Path, **versions: str) -> dict[str, str]:
    """Return the environment of a machine where both clients were installed with npm, and no keyring answers.

    The programs in *folder* only print their version: the newest pinned one, or the one in *versions*.
    """
    return {"PATH": f"{world.clients(folder, **versions)}{os.pathsep}{os.environ['PATH']}"}


def _settings(stty: str) -> str:
    """Return what ``stty -a`` says, but for the size, which a test may change."""
    return re.sub(r"(rows|columns) \d+", r"\1", stty)


class Terminal:
    """``ccsetup *argv`` at a terminal of its own, with ``stty -a`` taken before and after."""

    def __init__(
        self,
        home: Path,
        *argv: str,
        env: Optional[Mapping[str, Optional[str]]] = None,
        size: tuple[int, int] = (24, 80),
        into: str = "",
    ) -> None:
        """Start it; *into* is a file that its standard output goes to instead of the terminal."""
        self._notes = home.parent / f"{home.name}-terminal"
        self._notes.mkdir(exist_ok=True)
        command = shlex.join([sys.executable, "-m", "ccsetup", *argv])
        script = (
            f"trap : INT; stty -a >{self._notes}/before; {command}{' >' + shlex.quote(into) if into else ''};"
            f" echo $? >{self._notes}/code; stty -a >{self._notes}/after"
        )
        variables = {"TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **dict(env or {})}
        self._child = pexpect.spawn(
            "/bin/sh",
            ["-c", script],
            env=cc.environment(home, variables),
            cwd=str(home),
            dimensions=size,
            timeout=waiting.LIMIT,
            encoding="utf-8",
            codec_errors="replace",
        )
        self._child.delaybeforesend = None
        self.raw = ""
        self._seen = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._child.close(force=True)

    @property
    def text(self) -> str:
        """Everything that was printed so far, without escape sequences."""
        return plain(self.raw)

    @property
    def pid(self) -> int:
        """The process of ccsetup itself."""
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text().split()
        return int(children[-1])

    def sees(self, *texts: str) -> str:
        """Wait until each of *texts* was printed, in this order and after what was seen before; return what came."""
        start = self._seen
        for text in texts:
            end = time.monotonic() + waiting.LIMIT
            while text not in self.text[self._seen :]:
                if time.monotonic() > end or not self._read():
                    raise AssertionError(f"{text!r} was not printed after:\n{self.text[start:]}")
            self._seen = self.text.index(text, self._seen) + len(text)
        return self.text[start : self._seen]

    def press(self, keys: str) -> None:
        """Type *keys* as they are."""
        self._child.send(keys)

    def answer(self, question: str, keys: str) -> None:
        """Wait for *question*, then type *keys*."""
        self.sees(question)
        self.press(keys)

    def resize(self, rows: int, columns: int) -> None:
        self._child.setwinsize(rows, columns)

    def ends(self) -> int:
        """Wait for the end and return the exit code; the terminal has to be as it was."""
        while self._read():
            pass
        before, after = (_settings((self._notes / name).read_text()) for name in ("before", "after"))
        assert before == after, f"the terminal is not as it was:\n{before}\n{after}\n{self.text}"
        return int((self._notes / "code").read_text())

    def _read(self) -> bool:
        """Read what is there; False at the end."""
        try:
            self.raw += self._child.read_nonblocking(65536, timeout=waiting.LIMIT)
        except pexpect.EOF:
            return False
        except pexpect.TIMEOUT:
            raise AssertionError(f"nothing more was printed after:\n{self.text[-3000:]}") from None
        return True
