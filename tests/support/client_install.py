"""Installs the pinned clients of ``src/ccsetup/clients/releases.py`` with npm, each into a folder of its own.

Run ``python tests/support/client_install.py`` once; the tests never download anything.
Install scripts are not run: the native program is taken from the package of the platform, where npm puts it.
Knows nothing of pytest.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent.parent
PARALLEL = 2
"""npm unpacks hundreds of megabytes for each client: more at a time would only fight for the disk."""

# Read at import, because the tests remove CCSETUP_* and point HOME (where npm is configured) elsewhere.
_CACHE = Path(os.environ.get("CCSETUP_TEST_CACHE") or TESTS.parent / ".cache" / "clients").absolute()
_ENVIRONMENT = dict(os.environ)


class Client(NamedTuple):
    """A pinned client, for example ``codex`` ``0.169.0`` from ``@openai/codex``."""

    name: str
    version: str
    package: str

    @property
    def folder(self) -> Path:
        return _CACHE / f"{self.name}-{self.version}"


class InstallError(Exception):
    """npm failed, or did not bring the program."""


def _read_pins() -> tuple[Client, ...]:
    releases = runpy.run_path(str(TESTS.parent / "src/ccsetup/clients/releases.py"))  # the package may not be installed
    pins = [
        ("codex", "@openai/codex", releases["CODEX"]),
        ("claude-code", "@anthropic-ai/claude-code", releases["CLAUDE_CODE"]),
    ]
    return tuple(Client(name, version, package) for name, package, versions in pins for version in versions)


PINNED = _read_pins()


def pinned(name: str) -> tuple[str, ...]:
    """Return the pinned versions of the client called *name* (``codex``, ``claude-code``), newest first."""
    return tuple(client.version for client in PINNED if client.name == name)


def command(name: str, version: str) -> list[str]:
    """Return the start of the argument list that runs a client; raise InstallError when it is not installed."""
    client = next((c for c in PINNED if (c.name, c.version) == (name, version)), None)
    if client is None:
        raise InstallError(f"{name} {version} is not pinned in src/ccsetup/clients/releases.py")
    argv = _command_in(client.folder, client)
    if argv is None:
        raise InstallError(f"{name} {version} is not installed: run python tests/support/client_install.py")
    return argv


def missing() -> list[Client]:
    """Return the pinned clients that are not installed."""
    return [client for client in PINNED if _command_in(client.folder, client) is None]


def install(clients: tuple[Client, ...] = PINNED) -> None:
    """Install those of *clients* that are missing; raise InstallError."""
    _CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(_CACHE), ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(_install_one, clients))


def size(folder: Path) -> int:
    """Return the bytes on disk below *folder*; a file with several names counts once."""
    found: dict[tuple[int, int], int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            status = os.lstat(os.path.join(place, name))
            found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold *folder* against other processes (a lock on the folder itself leaves no file behind)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _install_one(client: Client) -> None:
    if _command_in(client.folder, client) is not None:
        return
    failure = ""
    for _ in range(2):  # registries and networks have bad seconds
        work = Path(tempfile.mkdtemp(prefix=f".{client.folder.name}-", dir=_CACHE))
        try:
            failure = _npm_install(client, work)
            if not failure:
                if client.folder.exists():
                    shutil.rmtree(client.folder)  # incomplete: checked above
                os.rename(work / "prefix", client.folder)
                return
        finally:
            shutil.rmtree(work, ignore_errors=True)
    raise InstallError(f"{client.package}@{client.version}: {failure}")


def _npm_install(client: Client, work: Path) -> str:
    """Install below *work*/prefix; return "" or what went wrong."""
    prefix = work / "prefix"
    prefix.mkdir()
    argv = ["npm", "install", "--prefix", str(prefix), "--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
    # A cache of its own, thrown away: else every package would stay on the disk twice.
    argv += ["--ignore-scripts", "--loglevel=error", "--cache", str(work / "cache")]
    argv.append(f"{client.package}@{client.version}")
    done = subprocess.run(
        argv, cwd=work, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return f"npm exited with {done.returncode}: {done.stderr.strip()[-2000:]}"
    argv_found = _command_in(prefix, client)
    if argv_found is None:
        return "npm succeeded, but the program is not in the package"
    check = subprocess.run(
        [*argv_found, "--version"],
        cwd=work,
        env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(work)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if client.version not in check.stdout:
        return f"--version printed {check.stdout.strip()!r} {check.stderr.strip()[-500:]!r}"
    return ""


def _command_in(folder: Path, client: Client) -> list[str] | None:
    """Return the argument list of the program below *folder*, or None when it is not (wholly) there."""
    packages = folder / "node_modules"
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(os.uname().machine.lower(), "unknown")
    native = packages / f"{client.package}-{sys.platform}-{machine}"
    if client.name == "codex":
        # The launcher finds the native program by itself; only check that there is one.
        launcher = packages / client.package / "bin" / "codex.js"
        return ["node", str(launcher)] if launcher.is_file() and any(native.glob("vendor/**/codex")) else None
    if (native / "claude").is_file():
        return [str(native / "claude")]
    if (native.with_name(native.name + "-musl") / "claude").is_file():
        return [str(native.with_name(native.name + "-musl") / "claude")]
    script = packages / client.package / "cli.js"  # up to 2.0: JavaScript
    return ["node", str(script)] if script.is_file() else None


def _main() -> int:
    try:
        install()
    except InstallError as failure:
        print(failure, file=sys.stderr)
        return 1
    for client in PINNED:
        print(f"{client.name:12} {client.version:10} {size(client.folder) / 1e6:6.0f} MB  {client.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
