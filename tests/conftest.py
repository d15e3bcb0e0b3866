"""Keeps the tests away from the real home and the network, and offers the loopback provider.

Touching either fails the test even when the code under test swallows the error.
"""

from __future__ import annotations

import ipaddress
import os
import pwd
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from support import client_install, world
from support.provider import Provider
from support.site import sitecustomize

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # Started in the background of a script: every child would inherit that, and no Ctrl-C could be tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Read before any test changes the environment.
_CLIENTS_REQUIRED = bool(os.environ.get("CCSETUP_TEST_CLIENTS"))
_REAL_HOMES = {os.path.realpath(os.path.expanduser("~")), os.path.realpath(pwd.getpwuid(os.getuid()).pw_dir)}
_GUARDED = tuple(
    os.path.join(home, name)
    for home in sorted(_REAL_HOMES)
    for name in (
        ".claude",
        ".claude.json",
        ".codex",
        ".bashrc",
        ".zshrc",
        ".profile",
        ".config/ccsetup",
        ".config/fish",
        ".local/share/ccsetup",
        ".local/state/ccsetup",
        ".cache/ccsetup",
    )
)
_GUARDED_BELOW = tuple(path + os.sep for path in _GUARDED)
_FILE_EVENTS = frozenset(
    {"open", "os.chmod", "os.link", "os.listdir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir"}
    | {"os.symlink", "os.truncate"}
)
_REMOVED = ("ANTHROPIC_", "OPENAI_", "CODEX_", "CLAUDE_", "CCSETUP_", "LC_", "LANG", "XDG_")
_REMOVED_NAMES = frozenset({"CLAUDECODE", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "EDITOR", "VISUAL"})

_offences: Optional[list[str]] = None
"""What the running test touched; None between tests."""


def _offend(what: str) -> None:
    if _offences is not None:
        _offences.append(what)
        # Not an Exception: no `except OSError` may turn this into an ordinary failure.
        pytest.fail(what)


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _offences is None or event not in _FILE_EVENTS:
        return
    for value in args[:2]:
        if isinstance(value, (str, bytes)):
            path = os.path.abspath(os.fsdecode(value))
            if path in _GUARDED or path.startswith(_GUARDED_BELOW):
                _offend(f"the test touches the real home: {event} {path}")


sys.addaudithook(_audit)


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _guard_network(monkeypatch: pytest.MonkeyPatch) -> None:
    real_getaddrinfo = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name and name.rstrip(".").endswith(".invalid"):  # a name that is never found, without asking the network
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if name and not _is_local(name):
            _offend(f"the test looks up {name}")
        return real_getaddrinfo(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for method in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, method, _loopback_only(getattr(socket.socket, method)))


def _loopback_only(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return *real*, a method of sockets whose last argument is the address, for addresses of this machine only."""

    def guarded(self: socket.socket, *args: Any) -> Any:
        address = args[-1]
        if self.family != socket.AF_UNIX and isinstance(address, tuple) and not _is_local(address[0]):
            _offend(f"the test connects to {address[0]} port {address[1]}")
        return real(self, *args)

    return guarded


@pytest.fixture(scope="session", autouse=True)
def one_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The world of all tests: links to the programs that tests name, no client, a usual port for relays alone."""
    from ccsetup.relay.config import model as config

    programs = world.link(tmp_path_factory.mktemp("programs") / "bin", world.PROGRAMS, world.TOOLS)
    with world.Port() as port, pytest.MonkeyPatch.context() as patch:
        sitecustomize.change_port(config, port.number)
        for name, value in world.variables((programs,), port=port.number).items():
            patch.setenv(name, value)
        yield


def _scratch_home(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for name in list(os.environ):
        if name.startswith(_REMOVED) or name in _REMOVED_NAMES or name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    # CODEX_HOME and CLAUDE_CONFIG_DIR stay unset: their defaults are below HOME, and setting them changes
    # what the clients do (Claude Code moves .claude.json, Codex wants the folder to exist).
    for name, value in {
        "HOME": home,
        "USERPROFILE": home,
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_STATE_HOME": home / ".local" / "state",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_RUNTIME_DIR": home / ".run",
        "APPDATA": home / "AppData" / "Roaming",
        "LOCALAPPDATA": home / "AppData" / "Local",
        "LANG": "C.UTF-8",
    }.items():
        monkeypatch.setenv(name, str(value))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The scratch home that HOME names."""
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    return home


@pytest.fixture(autouse=True)
def offences(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[list[str]]:
    """What the test touched of the real home and the network: it fails at its end when there is anything."""
    global _offences
    _scratch_home(monkeypatch, home)
    _guard_network(monkeypatch)
    found: list[str] = []
    _offences = found
    yield found
    _offences = None
    if found:
        pytest.fail("; ".join(found))


@pytest.fixture
def provider() -> Iterator[Provider]:
    """A running loopback provider."""
    with Provider() as running:
        yield running


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of the real clients when a client is not installed; CCSETUP_TEST_CLIENTS=1 makes that a failure."""
    if item.get_closest_marker("clients") is None:
        return
    if absent := client_install.missing():
        names = ", ".join(f"{client.name} {client.version}" for client in absent)
        message = f"not installed: {names}; run python tests/support/client_install.py"
        if _CLIENTS_REQUIRED:
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
