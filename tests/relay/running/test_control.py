"""The relay that runs: found only when it is the one that its file tells of, and told what to do."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import cc

from ccsetup.errors import CcsetupError
from ccsetup.platform import system
from ccsetup.relay.config import places
from ccsetup.relay.config.places import Places
from ccsetup.relay.running import control
from ccsetup.relay.running.control import RelayProcess

FAKE = str(Path(__file__).resolve().parents[2] / "support" / "fake_relay.py")


@pytest.fixture
def at(tmp_path: Path) -> Places:
    return Places(str(tmp_path / "relay.yaml"), str(tmp_path / "keys.json"), str(tmp_path / "relay"))


@pytest.fixture
def fake(at: Places, home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A relay that runs."""
    process = subprocess.Popen(
        [sys.executable, FAKE, at.folder], env=cc.environment(home), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    assert process.stderr is not None
    assert process.stderr.readline() == b"started\n"
    yield process
    process.kill()
    process.wait()
    process.stderr.close()


def own(**changed: object) -> RelayProcess:
    """Return a record of this process."""
    pid = os.getpid()
    return RelayProcess(pid, system.born(pid), "http://127.0.0.1:9", "/x", "token", "0")._replace(**changed)  # type: ignore[arg-type]


def test_run_file_is_private_and_complete(at: Places) -> None:
    """What is announced is read back; nobody else can read it, and only its own process takes it away."""
    os.makedirs(at.folder, mode=0o755)
    control.announce(at, own())
    assert control.recorded(at) == own()
    assert stat.S_IMODE(os.stat(at.run).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(at.folder).st_mode) == 0o700
    assert os.listdir(at.folder) == ["run.json"]
    control.withdraw(at, 1)
    assert os.path.exists(at.run)
    control.withdraw(at, os.getpid())
    assert not os.path.exists(at.run)


def test_a_newer_relay_is_found(at: Places) -> None:
    """What it says besides is passed over: a second relay is not started beside it."""
    os.makedirs(at.folder, mode=0o700)
    Path(at.run).write_text(json.dumps({**own()._asdict(), "threads": 4}))
    assert control.recorded(at) == own()


def test_token_is_not_shown() -> None:
    """A record that ends in a message shows no token."""
    assert "token" not in repr(own())


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"pid": 5}', "null", json.dumps({**own()._asdict(), "pid": "x"}), "\xff",
     json.dumps({**own()._asdict(), "pid": 1}), json.dumps({**own()._asdict(), "token": None})],
)  # fmt: skip
def test_damaged_run_file_is_none(at: Places, text: str) -> None:
    """A run file that cannot be read is as good as none."""
    at.make()
    Path(at.run).write_bytes(text.encode("latin-1"))
    assert control.look(at) == ("none", None)


def test_stale_run_files_are_not_believed(at: Places, fake: subprocess.Popen[bytes]) -> None:
    """Neither a process that is gone, nor another one with the same number, nor another server on the port counts."""
    found = control.alive(at)
    assert found is not None
    assert found.pid == fake.pid
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    control.announce(at, own(pid=int(gone.stdout), born="1"))
    assert control.look(at) == ("none", None)
    control.announce(at, found._replace(born="1"))  # its number was given to another process
    assert control.look(at) == ("none", None)
    control.announce(at, own(url=found.url, token=found.token))  # this process lives, but the server is another
    assert control.look(at)[0] == "silent"
    assert control.alive(at) is None


def _copy(at: Places, to: Path, *, old: bool = False) -> Places:
    """Copy the relay's folder; *old*: its file as earlier versions wrote it."""
    shutil.copytree(at.folder, to)
    copy = Places(str(to / "relay.yaml"), str(to / "keys"), str(to))
    if old:
        Path(copy.run).write_text(
            json.dumps({n: v for n, v in json.loads(Path(copy.run).read_text()).items() if n != "folder"})
        )
    return copy


def test_the_relay_of_another_home_is_none(at: Places, fake: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A run file that was copied tells of the original's relay; one that was moved, or reached by a link, of ours."""
    copy = _copy(at, tmp_path / "copy")
    assert control.look(copy) == ("none", None)
    assert control.recorded(copy) is None
    control.withdraw(copy, fake.pid)
    assert os.path.exists(copy.run)
    (tmp_path / "link").symlink_to(at.folder)
    assert control.look(at._replace(folder=str(tmp_path / "link")))[0] == "runs"
    os.rename(at.folder, tmp_path / "moved")
    assert control.look(at._replace(folder=str(tmp_path / "moved")))[0] == "runs"


def test_an_earlier_relay_of_another_home_is_none(home: Path, tmp_path: Path) -> None:
    """Its file names no folder: the variables of its process do; without these, its configuration."""
    folder = home / ".local/state/ccsetup/relay"
    at = Places(str(home / ".config/ccsetup/relay.yaml"), str(tmp_path / "k"), str(folder))
    Path(at.config).parent.mkdir(parents=True)
    Path(at.config).touch()
    with subprocess.Popen(
        [sys.executable, FAKE, at.folder], env=cc.environment(home), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"started\n"
        copy = _copy(at, tmp_path / "copy", old=True)
        assert control.look(copy) == ("none", None)
        shutil.copy(copy.run, at.run)
        assert control.look(at)[0] == "runs"
        process.kill()
    found = json.loads(Path(at.run).read_text())
    Path(copy.run).write_text(json.dumps({**found, "config": at.config}))  # of a process that is gone
    assert control.recorded(at) is not None
    assert control.recorded(copy) is None
    Path(copy.run).write_text(json.dumps({**found, "config": "/etc/relay.yaml"}))
    assert control.recorded(copy) is not None


def test_zombie_is_gone(at: Places, fake: subprocess.Popen[bytes]) -> None:
    """A relay that was killed and not yet waited for does not run."""
    fake.kill()
    os.waitid(os.P_PID, fake.pid, os.WEXITED | os.WNOWAIT)
    assert control.look(at) == ("none", None)


def test_silent_when_it_does_not_listen(at: Places) -> None:
    """A process that is there and takes no requests is ``silent``."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}"
        control.announce(at, own(url=url))
        assert control.look(at) == ("silent", own(url=url))


def test_requests(at: Places, fake: subprocess.Popen[bytes]) -> None:
    """Each request reaches its path with its body, and a refusal comes back as the relay's own sentence."""
    running = control.alive(at)
    assert running is not None
    assert control.reload(running) == {"ok": True}
    control.reset(running, "glm")
    control.log(running, "tom", 5)
    with pytest.raises(CcsetupError, match=r"relay\.yaml:3:1: it is wrong"):
        control.reload(running)
    with pytest.raises(CcsetupError, match="no upstream 'nobody'"):
        control.reset(running, "nobody")
    assert control.status(running)["asked"][:3] == [
        ["/_relay/reload", None],
        ["/_relay/reset", {"upstream": "glm"}],
        ["/_relay/log", {"client": "tom", "seconds": 5}],
    ]
    with pytest.raises(CcsetupError, match="Something else answers"):
        control.status(running._replace(token="wrong"))


@pytest.mark.parametrize(
    ("host", "tls", "url"),
    [
        ("127.0.0.1", False, "http://127.0.0.1:5101"),
        ("0.0.0.0", False, "http://127.0.0.1:5101"),
        ("::", True, "https://[::1]:5101"),
        ("::1", False, "http://[::1]:5101"),
        ("relay.lan", True, "https://relay.lan:5101"),
    ],
)
def test_url(host: str, tls: bool, url: str) -> None:
    """The address is one that a client on this machine can call."""
    assert places.url(host, 5101, tls=tls) == url
