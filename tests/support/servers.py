"""Real Redis and PostgreSQL servers for tests, each in a folder of its own and on a free port of the loopback."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional

import psycopg
import pytest
import redis as clients
from support import waiting, world

_PATH = os.environ.get("PATH", os.defpath)
"""Read before the tests set it: another user, who runs PostgreSQL for root, cannot look into their folders."""


def _wait(child: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    try:
        waiting.until(lambda: child.poll() is not None or ready())
        assert child.poll() is None
    except AssertionError:
        child.kill()
        child.wait()
        raise AssertionError(f"the server does not start: {log.read_text(errors='replace')[-2000:]}") from None


def redis_program() -> Optional[str]:
    """Return the server's program, Redis or Valkey, or None."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


def postgres_programs() -> Optional[Path]:
    """Return the folder of the newest PostgreSQL server's programs, or None."""
    if initdb := shutil.which("initdb", path=_PATH):
        # Where it lies itself: another user runs it, who may not look into a folder of links in our temporary one.
        for folder in (Path(initdb).resolve().parent, Path(initdb).parent):
            if (folder / "initdb").exists() and (folder / "postgres").exists():
                return folder
    found = list(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return max(found, key=lambda path: float(path.parts[-3])).parent if found else None


class RedisServer:
    """A Redis server that keeps nothing on the disk but what *save* has it keep."""

    def __init__(self, folder: Path, *, password: str = "", keeps: bool = False) -> None:
        self.folder = folder
        self.port = world.port()
        self.password = password
        self._keeps = keeps
        self._child: Optional[subprocess.Popen[bytes]] = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        program = redis_program()
        assert program is not None
        argv = [program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        argv += ["--appendonly", "yes" if self._keeps else "no", "--appendfsync", "always"]
        if self.password:
            argv += ["--requirepass", self.password]
        log = self.folder / "redis.log"
        with open(log, "ab") as out:
            self._child = subprocess.Popen(argv, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        _wait(self._child, self._ready, log)

    def _ready(self) -> bool:
        try:
            with clients.Redis(port=self.port, password=self.password or None) as client:
                return bool(client.ping())
        except clients.RedisError:
            return False

    def kill(self) -> None:
        """Kill the server, so that it writes nothing more."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


@contextlib.contextmanager
def redis(folder: Path, *, password: str = "", keeps: bool = False) -> Iterator[RedisServer]:
    """Run a Redis server with its files in *folder*; skip the test where there is none.

    *keeps*: it has everything again after it was killed.
    """
    if redis_program() is None:
        pytest.skip("there is no redis-server (apt-get install redis-server)")
    server = RedisServer(folder, password=password, keeps=keeps)
    server.start()
    try:
        yield server
    finally:
        server.kill()


class PostgresServer:
    """A PostgreSQL server with one database, ``postgres``, whose owner comes in without a password."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.port = world.port()
        self._folder = folder
        self._programs = programs
        self._child: Optional[subprocess.Popen[bytes]] = None
        # PostgreSQL refuses to run as root.
        self._user = None if os.geteuid() else _other_user()

    @property
    def url(self) -> str:
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"

    def make(self) -> None:
        argv = [self._programs / "initdb", "-D", self._folder / "data", "-U", "tester", "-A", "trust", "-E", "UTF8"]
        argv += ["--no-sync", "--no-instructions", "--locale", "C"]
        done = subprocess.run(
            argv, user=self._user, cwd=self._folder, env=_environment(), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def start(self) -> None:
        """Start the server, unless it runs."""
        if self._child is not None:
            return
        argv: list[str] = [str(self._programs / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        for setting in (
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={self._folder}",
            "fsync=off",
            "shared_buffers=16MB",
            "max_connections=20",
        ):
            argv += ["-c", setting]
        log = self._folder / "postgres.log"
        with open(log, "ab") as out:
            self._child = subprocess.Popen(
                argv,
                user=self._user,
                cwd=self._folder,
                env=_environment(),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
            )
        _wait(self._child, self._ready, log)

    def _ready(self) -> bool:
        try:
            psycopg.connect(self.url).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stop the server at once; sessions are cut."""
        if self._child is not None:
            self._child.send_signal(3)  # SIGQUIT: no clean-up, as after a crash
            self._child.wait()
            self._child = None


def _other_user() -> str:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    pytest.skip("there is no user to run PostgreSQL as")


def _environment() -> dict[str, str]:
    return {"PATH": _PATH, "LC_ALL": "C"}


@contextlib.contextmanager
def postgres() -> Iterator[PostgresServer]:
    """Run a PostgreSQL server; skip the test where there is none."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server (apt-get install postgresql)")
    # Not in tmp_path: only its owner can look into that, and the path of a socket has to be short.
    folder = Path(tempfile.mkdtemp(prefix="ccsetup-pg-"))
    try:
        server = PostgresServer(folder, programs)
        if server._user is not None:
            shutil.chown(folder, server._user)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
