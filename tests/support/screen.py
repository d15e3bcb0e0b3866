"""A program inside tmux: what a person sees at once on a screen of a given size."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Optional, Self

from support import cc, waiting

AVAILABLE = shutil.which("tmux") is not None


class Screen:
    """``ccsetup *argv``, or another *program*, in a tmux session of its own."""

    def __init__(
        self,
        home: Path,
        *argv: str,
        env: Mapping[str, Optional[str]],
        columns: int,
        rows: int,
        program: Sequence[str] = (sys.executable, "-m", "ccsetup"),
    ) -> None:
        # Not in tmp_path: the path of a socket has at most 107 bytes.
        self._folder = tempfile.mkdtemp(prefix="ccs")
        self._tmux = ["tmux", "-S", os.path.join(self._folder, "s"), "-f", os.devnull]
        variables = cc.environment(home, {"TERM": "screen-256color", **env})
        settings = [f"{name}={value}" for name, value in variables.items()]
        command = shlex.join(["env", "-i", *settings, *program, *argv])
        # The session stays when the program has ended, so that its last screen can be looked at.
        start = [
            "new-session",
            "-d",
            "-x",
            str(columns),
            "-y",
            str(rows),
            "-s",
            "c",
            "-c",
            str(home),
            f"{command}; cat",
        ]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}
        subprocess.run([*self._tmux, *start], env=environment, check=True, timeout=waiting.LIMIT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=False, capture_output=True, timeout=waiting.LIMIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def press(self, *keys: str) -> None:
        """Press *keys*, by tmux's names: ``Enter``, ``Down``, ``C-c``, or text."""
        subprocess.run([*self._tmux, "send-keys", "-t", "c", *keys], check=True, timeout=waiting.LIMIT)

    def shows(self, text: str) -> str:
        """Wait until *text* is on the screen and nothing moves any more; return the screen without its empty end."""
        end = time.monotonic() + waiting.LIMIT
        before = ""
        while time.monotonic() < end:
            now = self._capture()
            if text in now and now == before:
                return now
            before = now
            time.sleep(0.1)
        raise AssertionError(f"{text!r} is not on the screen:\n{before}")

    def coloured(self) -> str:
        """Return the screen as it is now with its escape sequences for colours."""
        return self._capture("-e")

    def _capture(self, *options: str) -> str:
        done = subprocess.run(
            [*self._tmux, "capture-pane", "-p", *options, "-t", "c"],
            check=True,
            capture_output=True,
            timeout=waiting.LIMIT,
        )
        return "\n".join(line.rstrip() for line in done.stdout.decode().rstrip().split("\n")) + "\n"
