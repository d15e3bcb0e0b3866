"""Runs a command of the user's, such as one that prints a key.

Bounded in time and output, in a process group of its own.
"""

from __future__ import annotations

from typing import Mapping, NamedTuple, Sequence

from ccsetup import bounded
from ccsetup.i18n import _
from ccsetup.platform import system
from ccsetup.probe.verdict import clean

MAX_BYTES = 256 << 10


class Done(NamedTuple):
    output: str
    """What it printed; may be a key."""
    problem: str
    """Why there is no use in it, for people; "" when there is none.  Never holds output."""


def run(argv: Sequence[str], *, cwd: str, environ: Mapping[str, str], seconds: float, errors: bool = False) -> Done:
    """Run *argv* and return what it printed to standard output, and with *errors* to standard error as well."""
    import subprocess
    import time

    try:
        child = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as e:
        return Done("", clean(getattr(e, "strerror", None) or _("it cannot be started")))
    assert child.stdout is not None
    end = time.monotonic() + seconds
    try:
        data, problem = bounded.output(child.stdout, MAX_BYTES, seconds)
        if not problem:
            try:
                code = child.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                problem = _("it did not end within {seconds} seconds").format(seconds=round(seconds))
            else:
                if code:
                    problem = _("it exited with {code}").format(code=code)
    finally:
        if child.poll() is None:
            system.kill_group(child.pid)
            child.wait()
        child.stdout.close()
    return Done(data.decode("utf-8", "replace"), problem)
