"""A transaction that is killed, interrupted or refused at any of its system calls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import disk_driver, waiting
from support.disk_driver import NEW, OLD, here

from ccsetup import disk
from ccsetup.disk import lock, transact
from ccsetup.errors import ChangedMeanwhile

DRIVER = disk_driver.__file__
CALLS = (
    "openat,write,fsync,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,rmdir,"
    "fchmod,chmod,fchown,ftruncate,flock"
)
TRACED = f"{CALLS},stat,newfstatat"

# Outcomes of "everything as before" and of "everything done".
BEFORE, AFTER = OLD, NEW


@pytest.fixture(scope="module")
def strace(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command line that runs the driver under strace, with its modules compiled."""
    program = shutil.which("strace")
    if program is None:
        pytest.skip("strace is not installed")
    if subprocess.run([program, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace may not trace here")
    cache = tmp_path_factory.mktemp("pycache")
    python = [sys.executable, "-I", "-S", "-X", f"pycache_prefix={cache}", DRIVER]
    home = tmp_path_factory.mktemp("warm")
    disk_driver.prepare(str(home))
    subprocess.run([*python, "commit", home], check=True)
    return [program, "-f", *python]


@pytest.fixture(scope="module")
def calls(strace: list[str], tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int]]:
    """Every system call of the commit that can change something: its name, and which one of that name it is."""
    home = tmp_path_factory.mktemp("calls")
    disk_driver.prepare(str(home))
    found = record(strace, home)
    assert len(found) > 40
    return found


def record(strace: list[str], home: Path) -> list[tuple[str, int]]:
    trace = home / "trace"
    run(strace, home, f"--trace={TRACED}", "-o", str(trace))
    found, counts, inside = [], dict[str, int](), False
    for line in trace.read_text().splitlines():
        match = re.match(r"\d+ +(\w+)\(", line)
        if match is None:
            continue
        name = match[1]
        counts[name] = counts.get(name, 0) + 1
        if "/marker-" in line:
            inside = "/marker-begin" in line
        elif inside and name in CALLS.split(",") and not (name == "openat" and "O_CREAT" not in line):
            found.append((name, counts[name]))
    return found


def run(strace: list[str], home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [strace[0], *options, *strace[1:], "commit", str(home)], capture_output=True, text=True, timeout=waiting.LIMIT
    )


def fault(
    strace: list[str], home: Path, call: tuple[str, int], effect: str, more: str = ""
) -> subprocess.CompletedProcess[str]:
    """Commit in a fresh *home*, with *effect* at one *call*; *more* "+": and at every later one of that name."""
    home.mkdir()
    disk_driver.prepare(str(home))
    name, number = call
    return run(strace, home, f"--trace={name}", f"--inject={name}:{effect}:when={number}{more}", "-o", os.devnull)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transact, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(lock, "CLAUDE_WAIT", 0.01)


def next_run(home: Path) -> None:
    """A later command goes through, whatever the first one left, and cleans up after it."""
    state = str(home / "state")

    def build() -> disk_driver.Plan:
        plan = disk_driver.plan_for(str(home))
        now = disk.snapshot(change.path for change in plan.changes)
        return plan._replace(changes=tuple(change._replace(before=now[change.path]) for change in plan.changes))

    disk.transaction(build, here(state), now=2.0)
    assert disk_driver.found(str(home)) == AFTER
    assert disk_driver.leftovers(str(home)) == []
    assert disk.unfinished(here(state)) == []


def test_killed_at_any_call(strace: list[str], calls: list[tuple[str, int]], tmp_path: Path) -> None:
    """After SIGKILL every file is byte-old or byte-new, and the next run goes through and leaves nothing behind."""
    for index, call in enumerate(calls):
        home = tmp_path / str(index)
        result = fault(strace, home, call, "signal=KILL")
        assert result.returncode != 0, call
        for name, data in disk_driver.found(str(home)).items():
            assert data in (OLD.get(name), NEW.get(name)), call
        next_run(home)


def test_killed_then_taken_back(strace: list[str], calls: list[tuple[str, int]], tmp_path: Path) -> None:
    """The transaction after a SIGKILL sees every file as it was before the killed one, wherever that was."""
    swaps = [call for call in calls if call[0] in ("rename", "renameat2", "link", "linkat", "unlink")]
    for index, call in enumerate(swaps):
        home = tmp_path / str(index)
        fault(strace, home, call, "signal=KILL")
        journal = home / "state" / "journal"
        finished, recorded = (journal.exists() and any(journal.glob(name)) for name in ("*.json", "*.pending"))
        seen = []
        with pytest.raises(ChangedMeanwhile):
            disk.transaction(lambda home=home, seen=seen: look(home, seen), here(str(home / "state")), now=2.0)  # type: ignore[misc]
        assert seen == [AFTER if finished else BEFORE], call
        assert finished or not (home / "made").exists(), call
        assert disk_driver.leftovers(str(home)) == [], call
        assert not (recorded and (home / "a.json.lock").exists()), call


def test_killed_while_taking_back(strace: list[str], calls: list[tuple[str, int]], tmp_path: Path) -> None:
    """A SIGKILL while an earlier SIGKILL is being cleaned up loses nothing either."""
    last_rename = [call for call in calls if call[0] == "rename"][-1]  # everything swapped, and not yet called done

    def killed(name: str) -> Path:
        home = tmp_path / name
        fault(strace, home, last_rename, "signal=KILL")
        assert disk_driver.found(str(home)) == AFTER
        assert disk.unfinished(here(str(home / "state")))
        return home

    home = killed("record")
    recovery = record(strace, home)
    assert disk_driver.found(str(home)) == AFTER
    end = recovery.index(next(call for call in recovery if call[0] == "mkdir"))  # the lock of the commit that follows
    assert end > 10
    for index, (name, number) in enumerate(recovery[: end + 1]):
        home = killed(str(index))
        run(strace, home, f"--trace={name}", f"--inject={name}:signal=KILL:when={number}", "-o", os.devnull)
        for file, data in disk_driver.found(str(home)).items():
            assert data in (OLD.get(file), NEW.get(file)), (name, number)
        seen: list[dict[str, bytes]] = []
        with pytest.raises(ChangedMeanwhile):
            disk.transaction(lambda home=home, seen=seen: look(home, seen), here(str(home / "state")), now=2.0)  # type: ignore[misc]
        assert seen == [BEFORE], (name, number)
        assert disk_driver.leftovers(str(home)) == []


def look(home: Path, seen: list[dict[str, bytes]]) -> disk_driver.Plan:
    seen.append(disk_driver.found(str(home)))
    raise ChangedMeanwhile("only looking")


@pytest.mark.parametrize("effect", ["signal=TERM", "signal=INT"])
def test_interrupted_at_any_call(strace: list[str], calls: list[tuple[str, int]], tmp_path: Path, effect: str) -> None:
    """Ctrl-C and SIGTERM leave all of the files old, or all new, with nothing beside them."""
    for index, call in enumerate(calls[:: 1 if effect == "signal=TERM" else 4]):
        home = tmp_path / str(index)
        assert fault(strace, home, call, effect).returncode != 0, call
        assert disk_driver.found(str(home)) in (BEFORE, AFTER), call
        assert disk_driver.leftovers(str(home)) == [], call


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EINTR"])
def test_refused_at_any_call(strace: list[str], calls: list[tuple[str, int]], tmp_path: Path, error: str) -> None:
    """A refused system call means one sentence that names a file and nothing changed, or that all was done."""
    for index, call in enumerate(calls[:: 1 if error == "ENOSPC" else 3]):
        home = tmp_path / str(index)
        result = fault(strace, home, call, f"error={error}")
        state = disk_driver.found(str(home))
        assert state == (AFTER if result.returncode == 0 else BEFORE), (call, result.stderr)
        if result.returncode:
            assert "Traceback" not in result.stderr, (call, result.stderr)
            assert len(result.stderr.splitlines()) == 1, (call, result.stderr)
            assert str(home) in result.stderr
            assert not [path for path in disk_driver.leftovers(str(home)) if ".ccsetup-" in path], call
        next_run(home)


def test_refused_from_some_call_on(strace: list[str], calls: list[tuple[str, int]], tmp_path: Path) -> None:
    """A disk that stays full, or stops syncing, leaves every file old or new, and the next run puts it right."""
    cases = [
        (call, error)
        for name, error in (("write", "ENOSPC"), ("fsync", "EIO"), ("rename", "EIO"), ("link", "EPERM"))
        for call in [call for call in calls if call[0] == name][::2]
    ]
    for index, ((name, number), error) in enumerate(cases):
        home = tmp_path / str(index)
        result = fault(strace, home, (name, number), f"error={error}", more="+")
        for file, data in disk_driver.found(str(home)).items():
            assert data in (OLD.get(file), NEW.get(file)), (name, number, result.stderr)
        next_run(home)


def test_synced_before_renamed(strace: list[str], tmp_path: Path) -> None:
    """Every file is on the disk before it gets its name, and every folder after that: what a power failure needs."""
    disk_driver.prepare(str(tmp_path))
    trace = tmp_path / "trace"
    run(strace, tmp_path, "-y", f"--trace={CALLS}", "-o", str(trace))
    synced: set[str] = set()
    renamed_in: set[str] = set()
    for line in trace.read_text().splitlines():
        if match := re.search(r"fsync\(\d+<([^>]+)>\) += 0", line):
            synced.add(match[1])
            renamed_in.discard(match[1])
        elif match := re.search(r'(?:rename|link|renameat2)\((?:AT_FDCWD<[^>]*>, )?"([^"]+)", .*?"([^"]+)"', line):
            source, target = match[1], match[2]
            if not target.endswith(".old") and not source.endswith(("gone.txt", ".pending", ".draft")):
                assert source in synced, line
            renamed_in.add(os.path.dirname(target))
        elif (match := re.search(r'mkdir\("([^"]+)", \d+\) += 0', line)) and not match[1].endswith(".lock"):
            renamed_in.add(os.path.dirname(match[1]))
    assert renamed_in == set()
