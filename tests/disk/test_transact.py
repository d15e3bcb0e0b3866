"""Transactions: all files or none, many processes at once, and beside a Claude Code that waits for nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support import disk_driver, waiting
from support.disk_driver import here

from ccsetup import disk
from ccsetup.disk import transact
from ccsetup.disk.replace import Step
from ccsetup.errors import ChangedMeanwhile, WriteError
from ccsetup.plan import FileChange, Plan

DRIVER = [sys.executable, disk_driver.__file__]


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def plan(*changes: tuple[Path, bytes | None, bytes | None]) -> Plan:
    return Plan("test", tuple(FileChange(str(path), before, after) for path, before, after in changes))


def test_all_files(state: str, tmp_path: Path) -> None:
    """A plan that replaces, makes and deletes is carried out as a whole, and leaves nothing else behind."""
    home = tmp_path / "x"
    home.mkdir()
    disk_driver.prepare(str(home))
    assert disk.commit(disk_driver.plan_for(str(home)), here(state), now=1.0) == "1"
    assert disk_driver.found(str(home)) == disk_driver.NEW
    assert disk_driver.leftovers(str(tmp_path)) == []


def test_nothing_to_change(state: str, tmp_path: Path) -> None:
    """A plan whose files are all as they should be writes nothing, not even a journal."""
    (tmp_path / "file").write_bytes(b"x")
    same = plan((tmp_path / "file", b"x", b"x"))
    assert disk.commit(same, here(state), now=1.0) == ""
    assert not os.path.exists(state)
    assert disk.transaction(lambda: same, here(state), now=1.0) == disk.Committed("", same)
    assert disk.history(here(state)) == []


def test_changed_since_the_snapshot(state: str, tmp_path: Path) -> None:
    """When one file is not what the plan expects, none is changed."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    two.write_bytes(b"theirs")
    with pytest.raises(ChangedMeanwhile, match="two"):
        disk.commit(plan((one, b"1", b"new"), (two, b"2", b"new")), here(state), now=1.0)
    with pytest.raises(ChangedMeanwhile):
        disk.commit(plan((two, None, b"new")), here(state), now=1.0)
    with pytest.raises(ChangedMeanwhile):
        disk.commit(plan((tmp_path / "three", b"3", b"new")), here(state), now=1.0)
    assert (one.read_bytes(), two.read_bytes()) == (b"1", b"theirs")
    assert sorted(os.listdir(tmp_path)) == ["home", "one", "state", "two"]
    assert disk.history(here(state)) == []
    assert disk.unfinished(here(state)) == []


def test_planned_again(state: str, tmp_path: Path) -> None:
    """A transaction whose file is changed by someone else under its hands is planned again, on the new contents."""
    path = tmp_path / "file"
    path.write_bytes(b"a")
    calls = []

    def build() -> Plan:
        calls.append(1)
        before = path.read_bytes()
        if len(calls) < 4:
            path.write_bytes(before + b"a")
        return plan((path, before, before + b"!"))

    done = disk.transaction(build, here(state), now=1.0)
    assert path.read_bytes() == b"aaaa!"
    assert done.plan.changes[0].before == b"aaaa"
    assert [record.id for record in disk.history(here(state))] == [done.id]


def test_given_up_in_the_end(state: str, tmp_path: Path) -> None:
    """A file that never holds still ends the transaction with a sentence, after a bounded number of plans."""
    path = tmp_path / "file"
    calls = []

    def build() -> Plan:
        calls.append(1)
        path.write_bytes(b"%d" % len(calls))
        return plan((path, b"?", b"new"))

    with pytest.raises(ChangedMeanwhile, match="keeps being changed"):
        disk.transaction(build, here(state), now=1.0)
    assert len(calls) == transact.ATTEMPTS


def test_error_of_the_plan(state: str, tmp_path: Path) -> None:
    """What *build* raises goes through, and the lock is free afterwards."""

    def build() -> Plan:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        disk.transaction(build, here(state), now=1.0)
    assert disk.commit(plan((tmp_path / "file", None, b"x")), here(state), now=1.0) == "1"


def test_interrupt_in_the_middle(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between two files takes the first one back before it is answered."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_bytes(b"1")
    inode = one.stat().st_ino
    swap = Step.swap

    def interrupted(self: Step) -> None:
        swap(self)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Step, "swap", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
    try:
        with pytest.raises(KeyboardInterrupt):
            disk.commit(plan((one, b"1", b"new"), (two, None, b"new")), here(state), now=1.0)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert (one.read_bytes(), two.exists(), one.stat().st_ino) == (b"1", False, inode)
    assert disk_driver.leftovers(str(tmp_path)) == []


def test_interrupt_that_nothing_holds_back(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception out of the blue (a signal in another thread, a bug of ours) also takes everything back."""
    one, two = tmp_path / "one", tmp_path / "made" / "two"
    one.write_bytes(b"1")
    settle = Step.settle
    calls = []

    def broken(self: Step) -> None:
        settle(self)
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("bug")

    monkeypatch.setattr(Step, "settle", broken)
    with pytest.raises(RuntimeError):
        disk.commit(plan((one, b"1", b"new"), (two, None, b"new")), here(state), now=1.0)
    assert one.read_bytes() == b"1"
    assert not two.parent.exists()
    assert disk_driver.leftovers(str(tmp_path)) == []


def test_way_back_is_blocked(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When going back fails too, the message says so, and the next transaction puts the file back first."""
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(self: Step) -> None:
        raise OSError(5, "EIO")

    with monkeypatch.context() as patch:
        patch.setattr(Step, "settle", fail)
        patch.setattr(Step, "back", fail)
        with pytest.raises(WriteError, match="could not be put back") as caught:
            disk.commit(plan((path, b"old", b"new")), here(state), now=1.0)
    assert "next ccsetup command" in caught.value.hint
    assert [record.paths for record in disk.unfinished(here(state))] == [(str(path),)]
    assert disk.transaction(lambda: plan((path, path.read_bytes(), b"newer")), here(state), now=1.0).plan.changes[
        0
    ].before == (b"old")
    assert disk_driver.leftovers(str(tmp_path)) == []


def test_thirty_processes(state: str, tmp_path: Path) -> None:
    """Thirty processes that set one key each, at once, lose none."""
    path = tmp_path / "file.json"
    run = [subprocess.Popen([*DRIVER, "add", state, path, f"key{n}"]) for n in range(30)]
    assert [process.wait(waiting.LIMIT) for process in run] == [0] * 30
    assert sorted(json.loads(path.read_bytes())) == sorted(f"key{n}" for n in range(30))
    assert disk_driver.leftovers(str(tmp_path)) == []
    assert len(disk.history(here(state))) == 20


CLAUDE = """
import json, os, sys, time
path, turn = sys.argv[1], -1
while not os.path.exists(path + ".stop"):
    turn += 1
    for attempt in range(20):  # waits for the lock a little, and then goes on without it
        try:
            os.mkdir(path + ".lock"); locked = True; break
        except FileExistsError:
            locked = False
            if turn % 3 == 0: break
            time.sleep(0.02)
    with open(path) as file: data = json.load(file)
    time.sleep(0.015)
    data["turns"] += 1
    data["theirs%d" % turn] = 1
    temp = "%s.tmp.%d" % (path, os.getpid())
    with open(temp, "w") as file: json.dump(data, file, indent=2)
    os.rename(temp, path)
    if locked:
        try: os.rmdir(path + ".lock")
        except FileNotFoundError: pass
    time.sleep(0.03)
print(turn + 1)
"""


def test_beside_claude_code(state: str, tmp_path: Path) -> None:
    """Beside a program that rewrites the file as Claude Code does, neither its updates nor ours are lost."""
    path = tmp_path / ".claude.json"
    path.write_text('{"turns": 0}')
    with subprocess.Popen([sys.executable, "-c", CLAUDE, str(path)], stdout=subprocess.PIPE, text=True) as claude:
        for n in range(6):
            disk_driver.add(state, str(path), f"ours{n}", lock=True)
        path.with_name(".claude.json.stop").touch()
        turns = int(claude.communicate()[0])
    data = json.loads(path.read_bytes())
    assert [name for name in (f"ours{n}" for n in range(6)) if name not in data] == []
    assert (data["turns"], sum(name.startswith("theirs") for name in data)) == (turns, turns)
    assert disk_driver.leftovers(str(tmp_path)) == []


def test_claude_code_overwrites_ours(state: str, tmp_path: Path) -> None:
    """An older idea of the file, written over ours after we were done, is noticed, and our edit made again."""
    path = tmp_path / ".claude.json"
    path.write_text('{"old": 1}')

    def overwrite() -> None:
        while b"ours" not in path.read_bytes():
            time.sleep(0.001)
        path.with_suffix(".tmp").write_text('{"old": 2}')
        path.with_suffix(".tmp").rename(path)

    thread = threading.Thread(target=overwrite)
    thread.start()
    done = disk_driver.add(state, str(path), "ours", lock=True)
    thread.join()
    assert json.loads(path.read_bytes()) == {"old": 2, "ours": 1}
    assert done.plan.changes[0].before == b'{"old": 2}'
    assert len(disk.history(here(state))) == 1


def test_claude_code_keeps_ours(state: str, tmp_path: Path) -> None:
    """A rewrite that holds our edit, only in another format, is left alone."""
    path = tmp_path / ".claude.json"
    path.write_text('{"old": 1}')

    def rewrite() -> None:
        while b"ours" not in path.read_bytes():
            time.sleep(0.001)
        path.with_suffix(".tmp").write_text('{\n  "ours": 1,\n  "theirs": 2\n}')
        path.with_suffix(".tmp").rename(path)

    thread = threading.Thread(target=rewrite)
    thread.start()
    disk_driver.add(state, str(path), "ours", lock=True)
    thread.join()
    assert json.loads(path.read_bytes()) == {"ours": 1, "theirs": 2}
    assert len(disk.history(here(state))) == 1


def test_ignored_signals_stay_ignored(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under nohup, a hang-up in the middle changes nothing about the outcome."""
    swap = Step.swap

    def hang_up(self: Step) -> None:
        swap(self)
        signal.raise_signal(signal.SIGHUP)

    monkeypatch.setattr(Step, "swap", hang_up)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        disk.commit(plan((tmp_path / "file", None, b"new")), here(state), now=1.0)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (tmp_path / "file").read_bytes() == b"new"
