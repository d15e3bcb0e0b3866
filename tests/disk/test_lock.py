"""The lock between processes, and Claude Code's."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import disk_driver
from support.disk_driver import here

from ccsetup import disk
from ccsetup.disk import lock
from ccsetup.disk.lock import ClaudeLock, StateLock
from ccsetup.disk.replace import Step
from ccsetup.errors import WriteError
from ccsetup.plan import FileChange, Plan


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def test_held_by_another(state: str, tmp_path: Path) -> None:
    """While another process is at work, the wait is bounded, and the message names that process."""
    with StateLock(state), pytest.raises(WriteError, match=f"process {os.getpid()}"):
        disk.commit(Plan("x", (FileChange(str(tmp_path / "file"), None, b"x"),)), here(state), now=1.0, wait=0.05)
    assert not (tmp_path / "file").exists()


def test_freed_when_its_holder_dies(state: str, tmp_path: Path) -> None:
    """A killed process leaves no lock that blocks."""
    code = (
        f"import sys, time; sys.path[:0] = {sys.path!r}; from ccsetup.disk.lock import StateLock\n"
        f"with StateLock({state!r}): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(WriteError), StateLock(state, wait=0.02):
            pass
        process.kill()
        with StateLock(state, wait=5) as held:
            assert held.held


def test_no_locks_here(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system has no locks (NFS), the work goes on without one."""

    def no_lock(_fd: int, _how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_lock)
    assert disk.commit(Plan("x", (FileChange(str(tmp_path / "file"), None, b"x"),)), here(state), now=1.0) == "1"


def test_state_folder_cannot_be_made(tmp_path: Path) -> None:
    """A state folder below a file is refused by name."""
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="file/state cannot be written"), StateLock(str(tmp_path / "file" / "state")):
        pass


def test_claude_lock_beside_the_name(tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claude Code's lock is made beside the path as named, also for a link, while the file changes; and then goes."""
    (tmp_path / "real").mkdir()
    path = tmp_path / ".claude.json"
    path.symlink_to("real/file")
    seen = []
    swap = Step.swap

    def watched(self: Step) -> None:
        seen.append(os.listdir(tmp_path))
        swap(self)

    monkeypatch.setattr(Step, "swap", watched)
    disk_driver.add(state, str(path), "x", lock=True)
    assert ".claude.json.lock" in seen[0]
    assert ".claude.json.lock" not in os.listdir(tmp_path)


def test_claude_lock_held(tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that Claude Code does not let go is waited for, but not for ever, and is not removed."""
    monkeypatch.setattr(lock, "CLAUDE_WAIT", 0.05)
    path = tmp_path / ".claude.json"
    path.with_name(".claude.json.lock").mkdir()
    disk_driver.add(state, str(path), "x", lock=True)
    assert path.exists()
    assert path.with_name(".claude.json.lock").exists()


def test_claude_lock_stale(tmp_path: Path, state: str) -> None:
    """A lock that nobody has touched for more than ten seconds is taken over."""
    path = tmp_path / ".claude.json"
    folder = path.with_name(".claude.json.lock")
    folder.mkdir()
    os.utime(folder, (time.time() - 11,) * 2)
    disk_driver.add(state, str(path), "x", lock=True)
    assert not folder.exists()


def test_claude_lock_taken_from_us(tmp_path: Path) -> None:
    """A lock that another program took over from us is not ours to remove."""
    ours = ClaudeLock(str(tmp_path / "file"))
    ours.take(lambda: False)
    assert ours.identity
    os.rmdir(ours.path)
    os.mkdir(tmp_path / "takes the inode")
    os.mkdir(ours.path)
    ours.release()
    assert os.path.isdir(ours.path)
