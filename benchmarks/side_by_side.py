"""Runs commands in turn, as whole processes, and reports the median wall and CPU time of each."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Union

ROOT = Path(__file__).resolve().parent.parent
PYTHON = Path(sys.executable)
CCSETUP = PYTHON.parent / "ccsetup"

Command = Union[Sequence[str], Callable[[int], Sequence[str]]]


class Figure(NamedTuple):
    wall: float
    """Seconds, median."""
    cpu: float
    """Seconds of user and system time, median."""


def environment(home: Path, extra: Mapping[str, str] = {}) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "dumb", **extra}


def measure(
    commands: Mapping[str, Command], env: Mapping[str, Mapping[str, str]], runs: int, cwd: Path
) -> dict[str, Figure]:
    """Run each command *runs* times, in turn, after one warm-up; a command that is a function gets the run's number."""
    walls: dict[str, list[float]] = {name: [] for name in commands}
    cpus: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            argv = command(run) if callable(command) else command
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            start = time.perf_counter()
            done = subprocess.run(
                argv, env=dict(env[name]), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False
            )
            wall = time.perf_counter() - start
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if done.returncode:
                raise SystemExit(f"{name}: exit {done.returncode}\n{done.stderr.decode()}{done.stdout.decode()}")
            if run:
                walls[name].append(wall)
                cpus[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {name: Figure(statistics.median(walls[name]), statistics.median(cpus[name])) for name in commands}


def goal(measured: float, most: float) -> str:
    """Return the cell of a target: what is wanted at most, and whether it was."""
    return f"<= {most:g}, {'met' if measured <= most else 'missed'}"


def scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="ccsetup-bench-")
