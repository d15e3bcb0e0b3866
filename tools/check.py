"""Install what the checks need, and run every check: ``python3 tools/check.py``.

Wants git, Python 3.11 or later with pip, and Node 20 with npm; everything else goes into ``.venv`` and
``.cache`` of this checkout.  A second run installs nothing.  Knows only the standard library.
"""

from __future__ import annotations

import argparse
import contextlib
import glob
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from typing import Callable, Iterator, NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
LOCK = os.path.join(ROOT, "requirements", "dev.lock")


class Step(NamedTuple):
    """One thing to do; ``run`` returns whether it succeeded."""

    name: str
    run: Callable[[], bool]


def call(*argv: str, shown: bool = True, **environment: str) -> bool:
    """Run a command in the checkout; tell whether it succeeded.  Errors are shown in any case."""
    sys.stdout.flush()
    out = None if shown else subprocess.DEVNULL
    return subprocess.run(argv, cwd=ROOT, env={**os.environ, **environment}, stdout=out, check=False).returncode == 0


def tool(name: str, *argv: str) -> bool:
    return call(os.path.join(VENV, "bin", name), *argv)


def environment() -> bool:
    """Make ``.venv`` hold exactly what the lock names, and ccsetup itself in place."""
    if not os.path.exists(PYTHON) and not call(sys.executable, "-m", "venv", VENV):
        return False
    stamp = os.path.join(VENV, ".locked")
    digest = _digest(LOCK, os.path.join(ROOT, "pyproject.toml"), os.path.join(ROOT, "hatch_build.py"))
    if not os.path.exists(stamp) or _read(stamp) != digest:
        quiet = ("-q", "--disable-pip-version-check")
        if not call(PYTHON, "-m", "pip", "install", *quiet, "--require-hashes", "-r", LOCK):
            return False
        if not call(PYTHON, "-m", "pip", "install", *quiet, "--no-deps", "--no-build-isolation", "-e", ROOT):
            return False
        with open(stamp, "w", encoding="utf-8") as file:
            file.write(digest)
    return call(PYTHON, "tools/compile.py", shown=False)


def clients() -> bool:
    """Install the pinned Claude Code and Codex, and what else tests run for real, below ``.cache``."""
    scripts = ("client_install.py", "oracle.py", "peers.py")
    return all(call(PYTHON, f"tests/support/{script}") for script in scripts)


PROGRAMS = {
    "strace": "strace",  # errors and kills at single system calls
    "tmux": "tmux",  # what a person sees
    "gnome-keyring-daemon": "gnome-keyring",  # a real keyring
    "dbus-run-session": "dbus-daemon",
    "redis-server": "redis-server",  # state that several relays share
    "zsh": "zsh",  # completion
    "fish": "fish",
    "initdb": "postgresql",  # what `relay drain` writes to
}
"""Programs that tests use, and the Debian package of each."""

POLICY = "/usr/sbin/policy-rc.d"
"""Decides on Debian whether a package that is being installed may start its service."""


def installed(program: str) -> bool:
    """Tell whether *program* is there; Debian keeps those of PostgreSQL's server, unlike its clients, off PATH."""
    return bool(shutil.which(program) or glob.glob(f"/usr/lib/postgresql/*/bin/{program}"))


@contextlib.contextmanager
def no_services() -> Iterator[None]:
    """Keep packages from starting their services: tests start servers of their own."""
    if os.path.lexists(POLICY):  # the machine has rules of its own
        yield
        return
    with open(POLICY, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o755)
        file.write("#!/bin/sh\nexit 101\n")
    try:
        yield
    finally:
        os.unlink(POLICY)


def programs() -> bool:
    """Install the programs that tests use, where that is possible; without one its tests say that they are skipped."""
    missing = sorted({package for program, package in PROGRAMS.items() if not installed(program)})
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        call("apt-get", "-qq", "update", **quiet)
        with no_services():
            if call("apt-get", "-qq", "install", "-y", "--no-install-recommends", *missing, **quiet):
                return True
    if missing:
        print(f"not installed, so some tests are skipped: {' '.join(missing)} (apt-get install {' '.join(missing)})")
    return True


OTHER_VERSIONS = {"claude": "1.0.0", "codex": "0.50.0"}
"""Of clients on PATH, which are to make no difference."""

ELSEWHERE = ("tests/doctor/test_checks.py", "tests/cli/wizard", "tests/cli/test_wizard.py", "tests/cli/relay")
"""Tests of what looks at the machine: doctor, the wizard, the ports of relays."""


@contextlib.contextmanager
def other_clients() -> Iterator[str]:
    """Yield a PATH on which clients of other versions come first."""
    with tempfile.TemporaryDirectory() as folder:
        for name, version in OTHER_VERSIONS.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o755)
                file.write(f"#!/bin/sh\necho {version}\n")
        yield os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])


@contextlib.contextmanager
def no_clients_and_no_port() -> Iterator[str]:
    """Yield a PATH with everything but clients, while a program listens on the usual port of relays."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as taken:
        for place in filter(os.path.isdir, os.environ.get("PATH", os.defpath).split(os.pathsep)):
            for name in set(os.listdir(place)) - set(OTHER_VERSIONS):
                with contextlib.suppress(FileExistsError):  # the first one counts
                    os.symlink(os.path.abspath(os.path.join(place, name)), os.path.join(folder, name))
        with contextlib.suppress(OSError):  # another program has it already
            taken.bind(("127.0.0.1", 5101))
            taken.listen()
        yield folder


SYSTEMS = ("linux", "darwin", "win32")
"""What ``sys.platform`` may be."""


def types() -> bool:
    """Compare the types as they are on each system."""
    done = [tool("mypy", "--platform", name, "--cache-dir", f".mypy_cache/{name}") for name in SYSTEMS]
    return all(done)


def docs() -> bool:
    with other_clients() as path:
        return call(PYTHON, "tools/docs.py", "--check", PATH=path)


def pytest(options: argparse.Namespace) -> bool:
    with other_clients() as path:
        return _pytest(path, fast=options.fast)


def elsewhere() -> bool:
    """Make the pages, and run the tests that look at the machine, on one that is as different as can be."""
    with no_clients_and_no_port() as path:
        made = call(PYTHON, "tools/docs.py", "--check", PATH=path)
        return _pytest(path, *ELSEWHERE, fast=True) and made


def _pytest(path: str, *tests: str, fast: bool) -> bool:
    # Sessions with the real clients take seconds each: a worker that is through takes tests from another.
    argv = ["-m", "pytest", "-n", str(max(2, min(os.cpu_count() or 2, 8))), "--dist", "worksteal", "--durations", "10"]
    if fast:
        argv += ["-m", "not clients"]
    return call(PYTHON, *argv, *tests, PATH=path, CCSETUP_TEST_CLIENTS="" if fast else "1")


def steps(options: argparse.Namespace) -> tuple[list[Step], list[Step]]:
    """Return what prepares the checks, and the checks."""
    prepare = [Step("environment", environment)]
    if options.only in (None, "tests"):
        prepare.append(Step("programs", programs))
        if not options.fast:
            prepare.append(Step("clients", clients))
    checks = [
        Step("lint", lambda: tool("ruff", "check", ".")),
        Step("types", types),
        Step("imports", lambda: tool("lint-imports", "--no-cache")),
        Step("docs", docs),
        Step("translations", lambda: call(PYTHON, "tools/i18n.py", "check")),
        Step("tests", lambda: pytest(options)),
        Step("elsewhere", elsewhere),
    ]
    return prepare, [s for s in checks if options.only in (None, s.name)]


def main() -> None:
    """Run the steps in order; a preparation that fails ends it, a check that fails does not."""
    parser = argparse.ArgumentParser(description="Install what the checks need, and run every check.")
    parser.add_argument("--fast", action="store_true", help="leave the real Claude Code and Codex out")
    parser.add_argument(
        "--only",
        choices=["lint", "types", "imports", "docs", "translations", "tests", "elsewhere"],
        help="run this check alone",
    )
    options = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - this file has to say so itself
        sys.exit("ccsetup needs Python 3.11 or later")
    prepare, checks = steps(options)
    start = time.monotonic()
    failed = []
    for step in [*prepare, *checks]:
        print(f"== {step.name}", flush=True)
        began = time.monotonic()
        done = step.run()
        print(f"{'ok    ' if done else 'FAILED'} {step.name:<14}{time.monotonic() - began:7.1f} s", flush=True)
        if not done:
            failed.append(step.name)
            if step in prepare:
                break
    print(f"{'FAILED: ' + ', '.join(failed) if failed else 'All checks passed'} ({time.monotonic() - start:.0f} s)")
    sys.exit(1 if failed else 0)


def _digest(*paths: str) -> str:
    found = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            found.update(file.read())
    return found.hexdigest()


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    main()
