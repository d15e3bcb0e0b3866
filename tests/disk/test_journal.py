"""The journal: what it keeps, for how long, and what becomes of a damaged one."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.disk_driver import here

from ccsetup import disk
from ccsetup.disk import journal, reverse
from ccsetup.errors import CcsetupError, WriteError
from ccsetup.plan import FileChange, Plan


@pytest.fixture
def state(tmp_path: Path) -> str:
    return str(tmp_path / "state")


def put(state: str, path: Path, after: bytes | None, *, now: float = 1.0) -> str:
    change = FileChange(str(path), disk.snapshot([str(path)])[str(path)], after)
    return disk.commit(Plan(f"put {now}", (change,)), here(state), now=now)


def records(state: str) -> list[str]:
    return sorted(os.listdir(os.path.join(state, "journal")))


def interrupted(state: str, path: Path, after: bytes | None) -> Path:
    """Commit and then make it look as if the process had been killed at the very end; returns the record."""
    number = put(state, path, after)
    done = Path(state, "journal", f"{int(number):06d}.json")
    return done.rename(done.with_suffix(".pending"))


def recover(state: str) -> None:
    disk.transaction(lambda: Plan("look", ()), here(state), now=9.0)


def test_history(state: str, tmp_path: Path) -> None:
    """Every transaction is listed with its time, its command and the paths that it changed, oldest first."""
    assert disk.history(here(state)) == []
    put(state, tmp_path / "a", b"1", now=5.0)
    put(state, tmp_path / "a", b"2", now=4.0)
    assert disk.history(here(state)) == [
        disk.Record("1", 5.0, "put 5.0", (str(tmp_path / "a"),)),
        disk.Record("2", 4.0, "put 4.0", (str(tmp_path / "a"),)),
    ]


@settings(max_examples=30, deadline=None)
@given(st.binary(), st.binary())
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes) -> None:
    """Whatever bytes a file holds, the record gives them back."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "file").write_bytes(before)
    if put(str(folder / "state"), folder / "file", after):
        (content,) = journal.contents(here(str(folder / "state")), "1")
        assert (content.change.before, content.change.after) == (before, after)


def test_odd_name(state: str, tmp_path: Path) -> None:
    """A path that is no UTF-8, and one with the longest name there can be, go through journal and undo."""
    for path in (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n\x1b")), tmp_path / ("é" * 127)):
        put(state, path, b"x")
        put(state, path, b"y")
        undo = reverse.undo(here(state))
        disk.transaction(lambda undo=undo: undo.plan, here(state), now=1.0, undoes=undo.record.id)  # type: ignore[misc]
        assert path.read_bytes() == b"x"


def test_twenty_records(state: str, tmp_path: Path) -> None:
    """Only the twenty newest changes stay, and numbers are never given twice."""
    for n in range(25):
        put(state, tmp_path / "file", b"%d" % n)
    assert records(state) == [f"{n:06d}.json" for n in range(6, 26)]
    assert [record.id for record in disk.history(here(state))] == [str(n) for n in range(6, 26)]


def test_undoing_one_after_the_other_comes_to_the_oldest(state: str, tmp_path: Path) -> None:
    """Twenty changes are taken back, though each undo is a record, too; then twenty newer ones push all of that out."""
    for n in range(journal.MAX_RECORDS):
        put(state, tmp_path / "file", b"%d" % n)
    for n in reversed(range(journal.MAX_RECORDS)):
        found = reverse.undo(here(state))
        assert found.record.id == str(n + 1)
        disk.transaction(lambda found=found: found.plan, here(state), now=1.0, undoes=found.record.id)  # type: ignore[misc]
    assert not (tmp_path / "file").exists()
    for n in range(journal.MAX_RECORDS + 1):
        put(state, tmp_path / "file", b"later %d" % n)
    assert len(records(state)) == 2 * journal.MAX_RECORDS
    assert "1" not in [record.id for record in disk.history(here(state))]


def test_a_large_undo_pushes_out_what_is_spent_first(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit of bytes, too, a change that can be undone outlives those that were."""
    put(state, tmp_path / "file", b"1" * 3000)
    put(state, tmp_path / "other", b"2" * 3000)
    monkeypatch.setattr(journal, "MAX_BYTES", 9_000)
    found = reverse.undo(here(state))
    disk.transaction(lambda: found.plan, here(state), now=1.0, undoes=found.record.id)
    assert records(state) == ["000001.json", "000003.json"]
    assert reverse.undo(here(state)).record.id == "1"


def test_total_size(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old records go when all exceed the limit; the newest stays, however large it is."""
    monkeypatch.setattr(journal, "MAX_BYTES", 10_000)
    for n in range(4):
        put(state, tmp_path / "file", b"%d" % n * 4000)
    assert records(state) == ["000004.json"]
    put(state, tmp_path / "file", b"5" * 20_000)
    assert records(state) == ["000005.json"]


def test_backup_is_verified(state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk gives back something else than was written to the journal, no file is touched."""
    (tmp_path / "file").write_bytes(b"old")
    real = journal.read

    def damaged(path: str) -> Any:
        found = real(path)
        return found and found._replace(data=found.data.replace(b"old", b"\0\0\0"))

    monkeypatch.setattr(journal, "read", damaged)
    with pytest.raises(WriteError, match="does not hold what was written"):
        put(state, tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert records(state) == []


def test_unfinished_is_taken_back(state: str, tmp_path: Path) -> None:
    """An unfinished change goes back to the bytes and the mode from before, and its record is dropped."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    interrupted(state, path, b"new")
    assert [record.command for record in disk.unfinished(here(state))] == ["put 1.0"]
    recover(state)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"old", 0o644)
    assert records(state) == []


def test_unfinished_new_and_deleted_files(state: str, tmp_path: Path) -> None:
    """An unfinished new file goes, an unfinished deletion brings the file back."""
    new, gone = tmp_path / "new", tmp_path / "gone"
    gone.write_bytes(b"old")
    interrupted(state, new, b"new")
    recover(state)
    interrupted(state, gone, None)
    recover(state)
    assert not new.exists()
    assert gone.read_bytes() == b"old"


def test_unfinished_but_changed_since(state: str, tmp_path: Path) -> None:
    """What was written to a file after the interrupted change stays."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    interrupted(state, path, b"new")
    path.write_bytes(b"newer")
    recover(state)
    assert path.read_bytes() == b"newer"
    assert records(state) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file immutable")
def test_unfinished_cannot_be_taken_back(state: str, tmp_path: Path) -> None:
    """When a file cannot be put back, the command ends before it does anything, and the record stays."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    pending = interrupted(state, path, b"new")
    if subprocess.run(["chattr", "+i", path], capture_output=True).returncode:
        pytest.skip("this file system cannot make files immutable")
    try:
        with pytest.raises(WriteError, match="cannot be put back") as caught:
            put(state, tmp_path / "other", b"x")
    finally:
        subprocess.run(["chattr", "-i", path], check=True)
    assert str(pending) in caught.value.hint
    assert not (tmp_path / "other").exists()
    recover(state)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("how", ["cut", "nul", "empty", "foreign", "wrong types"])
def test_damaged_records(state: str, tmp_path: Path, how: str) -> None:
    """A damaged record, finished or not, is never acted on, is set aside, and stops nothing."""
    path = tmp_path / "file"
    put(state, path, b"1")
    put(state, path, b"2")
    pending = interrupted(state, path, b"3")
    for file in (Path(state, "journal", "000002.json"), pending):
        data = file.read_bytes()
        file.write_bytes(
            {
                "cut": data[:50],
                "nul": b"\0" * len(data),
                "empty": b"",
                "foreign": b"[1]",
                "wrong types": data.replace(b'"files": [{', b'"files": [1, {'),
            }[how]
        )
    put(state, path, b"4")
    assert [record.id for record in disk.history(here(state))] == ["1", "4"]
    assert records(state) == ["000001.json", "000002.json", "000003.damaged", "000004.json"]
    with pytest.raises(CcsetupError, match="no change 2"):
        reverse.undo(here(state), "2")
    undo = reverse.undo(here(state))
    assert undo.plan.changes[0].after == b"3"


def test_records_of_a_newer_program(state: str, tmp_path: Path) -> None:
    """One that is finished is listed with what is wrong and not taken back; an unfinished one stops every change."""
    path = tmp_path / "file"
    put(state, path, b"1")
    put(state, path, b"2")
    newest = Path(state, "journal", "000002.json")
    newest.write_bytes(newest.read_bytes().replace(b'"version": 2', b'"version": 3'))
    assert [bool(record.problem) for record in disk.history(here(state))] == [False, True]
    for record in (None, "2"):
        with pytest.raises(CcsetupError, match="made by a newer ccsetup"):
            reverse.undo(here(state), record)
    assert reverse.undo(here(state), "1").record.id == "1"
    pending = newest.rename(newest.with_suffix(".pending"))
    before = pending.read_bytes()
    with pytest.raises(CcsetupError, match=r"000002\.pending was made by a newer ccsetup"):
        put(state, path, b"3")
    assert path.read_bytes() == b"2"
    assert pending.read_bytes() == before
    assert disk.unfinished(here(state)) == []


def test_foreign_files_in_the_journal(state: str, tmp_path: Path) -> None:
    """Files that are not ours are left alone."""
    put(state, tmp_path / "file", b"1")
    for name in ("notes.txt", "x.json", ".json", "000001.json~"):
        Path(state, "journal", name).write_text("mine")
    put(state, tmp_path / "file", b"2")
    assert len(disk.history(here(state))) == 2
    assert Path(state, "journal", "x.json").read_text() == "mine"


def test_no_key_in_a_listing(state: str, tmp_path: Path) -> None:
    """What a list can show holds none of the contents."""
    put(state, tmp_path / "file", b'{"key": "sk-SECRET"}')
    assert "SECRET" not in repr(disk.history(here(state))) + repr(reverse.undo(here(state))) + repr(
        journal.contents(here(state), "1")
    )
    assert "SECRET" in json.dumps(json.loads(Path(state, "journal", "000001.json").read_text()))


def test_unfinished_but_something_else_now(state: str, tmp_path: Path) -> None:
    """When a folder took the place of the file, recovery leaves it and goes on."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    interrupted(state, path, b"new")
    path.unlink()
    path.mkdir()
    recover(state)
    assert path.is_dir()
    assert records(state) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_sudo_leaves_the_state_to_its_owner(tmp_path: Path) -> None:
    """After a run under sudo, state folder, journal and lock belong to the person in whose home they are."""
    home = tmp_path / "theirs"
    home.mkdir()
    os.chown(home, 12345, 12345)
    put(str(home / "state"), home / "file", b"x")
    assert {path.stat().st_uid for path in home.rglob("*")} == {12345}


def test_undo_behind_twenty_writers(state: str, tmp_path: Path) -> None:
    """An undo that waited while others pushed its record out of the journal still takes its change back."""
    put(state, tmp_path / "file", b"old")
    put(state, tmp_path / "file", b"new")
    found = reverse.undo(here(state))
    for n in range(journal.MAX_RECORDS + 1):
        put(state, tmp_path / "other", b"%d" % n)
    assert found.record.id not in [record.id for record in disk.history(here(state))]
    disk.transaction(lambda: reverse.again(here(state), found).plan, here(state), now=1.0, undoes=found.record.id)
    assert (tmp_path / "file").read_bytes() == b"old"


def test_undo_waits_for_another_undo_of_the_same(state: str, tmp_path: Path) -> None:
    """Of two undos of one change the second is refused, however early it looked."""
    put(state, tmp_path / "file", b"new")
    found = reverse.undo(here(state))
    disk.transaction(lambda: found.plan, here(state), now=1.0, undoes=found.record.id)
    with pytest.raises(CcsetupError, match="undone already"):
        reverse.again(here(state), found)
