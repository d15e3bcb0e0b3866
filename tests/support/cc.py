"""Runs ccsetup as a real process in a scratch home, and looks at what it left there.

Knows nothing of the clients: see ``clients.py`` for these.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from support import waiting, world

import ccsetup

SOURCE = str(Path(ccsetup.__file__).resolve().parent.parent)

RECORDS = (".local/state/ccsetup/",)
"""Folders of ccsetup's own records, which hold times and earlier contents of files."""

LOCK = ".local/state/ccsetup/lock"


class Result(NamedTuple):
    """What a run of ccsetup left."""

    rc: int
    stdout: str
    stderr: str
    argv: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.rc == 0

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    def __repr__(self) -> str:
        """Everything that a failed assertion should show."""
        return f"$ ccsetup {shlex.join(self.argv)}\nrc {self.rc}\n--- stdout\n{self.stdout}\n--- stderr\n{self.stderr}"


def run(
    home: Path,
    *argv: str,
    env: Optional[Mapping[str, Optional[str]]] = None,
    stdin: str = "",
    cwd: Optional[Path] = None,
    umask: int = 0o022,
    python: tuple[str, ...] = (),
    prefix: tuple[str, ...] = (),
) -> Result:
    """Run ``ccsetup *argv`` with HOME=*home*; standard input is a pipe that holds *stdin*.

    *env* adds variables, or with None takes one away.  *python* are options for the interpreter, *prefix* is put
    before the command (``unshare`` and the like).
    """
    process = start(home, *argv, env=env, cwd=cwd, umask=umask, python=python, prefix=prefix)
    out, err = process.communicate(stdin.encode(), timeout=waiting.LIMIT)
    return Result(process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), argv)


def start(
    home: Path,
    *argv: str,
    env: Optional[Mapping[str, Optional[str]]] = None,
    cwd: Optional[Path] = None,
    umask: int = 0o022,
    python: tuple[str, ...] = (),
    prefix: tuple[str, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start ``ccsetup *argv`` as ``run`` does, and return the process without waiting for it."""
    return subprocess.Popen(
        [*prefix, sys.executable, *python, "-m", "ccsetup", *argv],
        env=environment(home, env),
        cwd=cwd or home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # no terminal to ask on
        umask=umask,
    )


def environment(home: Path, env: Optional[Mapping[str, Optional[str]]] = None) -> dict[str, str]:
    """Return the environment that ``run`` gives to ccsetup: the world of the tests, with HOME=*home*."""
    base: dict[str, Optional[str]] = {**world.variables((os.environ["PATH"],), also=(SOURCE,)), "HOME": str(home)}
    return {name: value for name, value in (base | dict(env or {})).items() if value is not None}


def files(home: Path, *, records: bool = False) -> dict[str, bytes]:
    """Return every file below *home* by its relative path; its own *records* (not the lock) only when asked for."""
    found = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_file() and name != LOCK and (records or not name.startswith(RECORDS)):
            found[name] = path.read_bytes()
    return found


def put(home: Path, content: Mapping[str, bytes | str], mode: int = 0o600) -> None:
    """Write files below *home*."""
    for name, data in content.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)


def modes(home: Path) -> dict[str, int]:
    """Return the permission bits of every file and folder below *home* (folders end with ``/``)."""
    return {
        p.relative_to(home).as_posix() + ("/" if p.is_dir() else ""): stat.S_IMODE(p.lstat().st_mode)
        for p in sorted(home.rglob("*"))
        if not p.is_symlink()
    }


def main(*argv: str, stdin: bytes = b"") -> Result:
    """Run ``ccsetup *argv`` in this process, with the test's HOME and working folder; ten times faster than ``run``."""
    from ccsetup.cli import _run

    out, err = io.StringIO(), io.StringIO()
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            rc = _run.main(list(argv))
    finally:
        sys.stdin = before
    return Result(rc, out.getvalue(), err.getvalue(), argv)
