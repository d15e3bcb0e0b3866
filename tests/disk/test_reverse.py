"""Undo: everything back where nothing happened since, key by key where it did, and a user's later value always wins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Optional

import pytest
from support.disk_driver import here

from ccsetup import disk
from ccsetup.disk import reverse
from ccsetup.documents import jsondoc, tomldoc
from ccsetup.documents.edit import Edit, Set, Unset
from ccsetup.errors import CcsetupError
from ccsetup.plan import FileChange, Plan

DOCUMENTS: dict[str, Any] = {"json": jsondoc, "toml": tomldoc}


class Session:
    """A folder of files, and what a user does with ccsetup and an editor."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = str(folder / "state")

    def edit(self, name: str, *edits: Edit, command: str = "init") -> str:
        path = str(self.folder / name)
        before = disk.snapshot([path])[path]
        kind = name.rpartition(".")[2]
        document = DOCUMENTS[kind]
        after = document.encode(document.apply(document.decode(before or b""), edits))
        return disk.commit(
            Plan(command, (FileChange(path, before, after, True, kind, edits),)), here(self.state), now=1.0
        )

    def whole(self, name: str, after: Optional[bytes]) -> str:
        path = str(self.folder / name)
        change = FileChange(path, disk.snapshot([path])[path], after)
        return disk.commit(Plan("whole", (change,)), here(self.state), now=1.0)

    def undo(self, record: Optional[str] = None) -> reverse.UndoPlan:
        undo = reverse.undo(here(self.state), record)
        disk.transaction(
            lambda: reverse.undo(here(self.state), undo.record.id).plan,
            here(self.state),
            now=2.0,
            undoes=undo.record.id,
        )
        return undo

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(tmp_path)


ODD = '{ "env" : {"A":"1",\n\n "B" : "2"}, // mine\n}'


def test_nothing_happened_since(session: Session) -> None:
    """Undo gives back the very bytes from before, comments and odd spacing included."""
    session.write("s.json", ODD)
    session.edit("s.json", Set(("env", "A"), "9"), Unset(("env", "B")), Set(("env", "C"), "3"))
    undo = session.undo()
    assert session.read("s.json") == ODD
    assert undo.notes == ()


def test_made_and_deleted_files(session: Session) -> None:
    """A file that was made goes; one that was deleted comes back."""
    session.edit("new.json", Set(("env", "A"), "9"))
    session.undo()
    assert not (session.folder / "new.json").exists()
    session.write("old.txt", "old")
    session.whole("old.txt", None)
    session.undo()
    assert session.read("old.txt") == "old"


def test_planning_changes_nothing(session: Session) -> None:
    """A dry run of undo reads only, and shows the bytes that would be written."""
    session.write("s.json", '{"a": 1}')
    session.edit("s.json", Set(("a",), 2))
    before = sorted((str(path), path.stat().st_mtime_ns) for path in session.folder.rglob("*"))
    undo = reverse.undo(here(session.state))
    assert [(change.before, change.after) for change in undo.plan.changes] == [(b'{"a": 2}', b'{"a": 1}')]
    assert sorted((str(path), path.stat().st_mtime_ns) for path in session.folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "before", "edits", "ours", "theirs", "after", "kept"),
    [
        pytest.param(
            "s.json",
            '{"env": {"A": "1", "B": "1"}}',
            [Set(("env", "A"), "2"), Unset(("env", "B")), Set(("env", "C"), "2")],
            '"A": "2"',
            '"A": "2", "mine": "x"',
            {"env": {"A": "1", "B": "1", "mine": "x"}},
            [],
            id="another key was added",
        ),
        pytest.param(
            "s.json",
            '{"env": {"A": "1", "B": "1"}}',
            [Set(("env", "A"), "2"), Set(("env", "B"), "2")],
            '"A": "2"',
            '"A": "3"',
            {"env": {"A": "3", "B": "1"}},
            [("env", "A")],
            id="the same key was changed",
        ),
        pytest.param(
            "s.json",
            '{"A": "1", "B": "1"}',
            [Set(("A",), "2"), Unset(("B",))],
            '"A": "2"',
            '"B": "3"',
            {"B": "3"},
            [("A",), ("B",)],
            id="ours was removed and a removed one set again",
        ),
        pytest.param(
            "s.json",
            '{"A": 1}',
            [Set(("A",), 2), Set(("B",), 2)],
            '"A": 2',
            '"A": 1, "mine": 1',
            {"A": 1, "mine": 1},
            [],
            id="put back by hand already",
        ),
        pytest.param(
            "s.json",
            '{"A": 1, "B": 1}',
            [Set(("A",), 2), Set(("B",), 2)],
            '"A": 2',
            '"A": true',
            {"A": True, "B": 1},
            [("A",)],
            id="another type",
        ),
        pytest.param(
            "s.json",
            "{}",
            [Set(("env", "A"), "2")],
            '"env"',
            '"mine": 1, "env"',
            {"mine": 1},
            [],
            id="parents that were made go",
        ),
        pytest.param(
            "s.json",
            '{"env": {}}',
            [Set(("env", "A"), "2")],
            '"env"',
            '"mine": 1, "env"',
            {"mine": 1, "env": {}},
            [],
            id="parents that were there stay",
        ),
        pytest.param(
            "c.toml",
            'model = "gpt"\n# mine\n[tui]\nx = 1\n',
            [Set(("model",), "glm"), Set(("model_providers", "glm"), {"name": "GLM", "base_url": "https://x"})],
            'name = "GLM"',
            'name = "GLM"\nrequest_max_retries = 9',
            {"model": "gpt", "tui": {"x": 1}, "model_providers": {"glm": {"request_max_retries": 9}}},
            [],
            id="a key was added to our table",
        ),
        pytest.param(
            "c.toml",
            'model = "gpt"\n# mine\n[tui]\nx = 1\n',
            [Set(("model",), "glm"), Set(("model_providers", "glm"), {"name": "GLM", "base_url": "https://x"})],
            "x = 1",
            "x = 2",
            {"model": "gpt", "tui": {"x": 2}},
            [],
            id="toml, another table",
        ),
    ],
)
def test_changed_since(
    session: Session, name: str, before: str, edits: list[Edit], ours: str, theirs: str, after: Any, kept: list[Any]
) -> None:
    """Our keys go back, the user's later values stay and are noted with their line, and all else is untouched."""
    session.write(name, before)
    session.edit(name, *edits)
    text = session.read(name)
    assert ours in text
    session.write(name, text.replace(ours, theirs))
    undo = session.undo()
    assert DOCUMENTS[name.rpartition(".")[2]].parse(session.read(name)) == after
    assert [note.key for note in undo.notes] == kept
    for note in undo.notes:
        assert note.path == str(session.folder / name)
        assert note.text
        if ours != '"A": "2"' or theirs != '"B": "3"':
            assert note.line == 1
    if "# mine" in before:
        assert "# mine" in session.read(name)


def test_notes_hold_no_value(session: Session) -> None:
    """A note names the key and never shows what it holds."""
    session.write("s.json", "{}")
    session.edit("s.json", Set(("env", "KEY"), "sk-OURS"))
    session.write("s.json", '{\n "env": {\n  "KEY": "sk-THEIRS"}}')
    undo = reverse.undo(here(session.state))
    assert [(note.key, note.line) for note in undo.notes] == [(("env", "KEY"), 3)]
    assert "sk-" not in repr(undo)
    assert undo.plan.changes == ()


def test_file_we_made_is_left_empty(session: Session) -> None:
    """A file that ccsetup made, and that holds nothing else but its keys, goes, though its spacing was changed."""
    session.edit("s.json", Set(("env", "A"), "1"))
    session.write("s.json", '{  "env":{"A": "1"} }')
    session.undo()
    assert not (session.folder / "s.json").exists()


def test_file_we_made_holds_more_now(session: Session) -> None:
    """A file that ccsetup made stays when the user has put something into it."""
    session.edit("s.json", Set(("env", "A"), "1"))
    session.write("s.json", '{"env": {"A": "1"}, "mine": 1}')
    session.undo()
    assert json.loads(session.read("s.json")) == {"mine": 1}


@pytest.mark.parametrize("what", ["deleted", "whole", "broken", "made again"])
def test_left_alone(session: Session, what: str) -> None:
    """A file that cannot be taken back key by key stays as it is, and a note says why."""
    session.write("f.json", '{"A": 1}')
    theirs: Optional[str] = "theirs"
    if what == "whole":
        session.whole("f.json", b"x")
    elif what == "made again":
        session.whole("f.json", None)
    else:
        session.edit("f.json", Set(("A",), 2))
    if what == "deleted":
        (session.folder / "f.json").unlink()
        theirs = None
    else:
        session.write("f.json", "theirs")
    undo = session.undo()
    assert (session.read("f.json") if (session.folder / "f.json").exists() else None) == theirs
    assert undo.plan.changes == ()
    assert [note.path for note in undo.notes] == [str(session.folder / "f.json")]


def test_two_undos_go_back_two_steps(session: Session) -> None:
    """Undo after undo walks back through the history, and then says that there is nothing more."""
    session.write("s.json", '{"A": 0}')
    session.edit("s.json", Set(("A",), 1))
    session.edit("s.json", Set(("A",), 2))
    session.undo()
    assert session.read("s.json") == '{"A": 1}'
    session.undo()
    assert session.read("s.json") == '{"A": 0}'
    with pytest.raises(CcsetupError, match="nothing to undo"):
        session.undo()
    assert [(record.undoes, record.undone_by) for record in disk.history(here(session.state))] == [
        ("", "4"),
        ("", "3"),
        ("2", ""),
        ("1", ""),
    ]


def test_redo(session: Session) -> None:
    """Undoing an undo does the change again, and the change can then be undone once more."""
    session.write("s.json", '{"A": 0}')
    session.edit("s.json", Set(("A",), 1))
    session.undo()
    session.undo("2")
    assert session.read("s.json") == '{"A": 1}'
    assert reverse.undo(here(session.state)).record.id == "1"
    session.undo()
    assert session.read("s.json") == '{"A": 0}'


def test_redo_beside_later_changes(session: Session) -> None:
    """Undoing an undo key by key works as well."""
    session.write("s.json", '{"A": 0}')
    session.edit("s.json", Set(("A",), 1), Set(("B",), 1))
    session.write("s.json", '{"A": 1, "B": 1, "mine": 1}')
    session.undo()
    assert json.loads(session.read("s.json")) == {"A": 0, "mine": 1}
    session.write("s.json", '{"A": 0, "mine": 2}')
    session.undo("2")
    assert json.loads(session.read("s.json")) == {"A": 1, "B": 1, "mine": 2}


def test_undone_already(session: Session) -> None:
    """A change is not undone twice; the hint names the command that does it again."""
    session.write("s.json", '{"A": 0}')
    session.edit("s.json", Set(("A",), 1))
    session.undo()
    with pytest.raises(CcsetupError, match="undone already") as caught:
        session.undo("1")
    assert "ccsetup undo 2" in caught.value.hint


@pytest.mark.parametrize("record", ["7", "", "x", "-1", "../1", "٣"])
def test_no_such_record(session: Session, record: str) -> None:
    """An id that is not in the history is refused with the command that lists it."""
    session.edit("s.json", Set(("A",), 1))
    with pytest.raises(CcsetupError, match="no change") as caught:
        reverse.undo(here(session.state), record)
    assert caught.value.hint == "ccsetup undo --list"


def test_older_change_under_a_newer_one(session: Session) -> None:
    """An older change can be undone alone: keys that a newer one set again are the later values, and stay."""
    session.write("s.json", '{"A": 0, "B": 0}')
    session.edit("s.json", Set(("A",), 1), Set(("B",), 1))
    session.edit("s.json", Set(("A",), 2))
    undo = session.undo("1")
    assert json.loads(session.read("s.json")) == {"A": 2, "B": 0}
    assert [note.key for note in undo.notes] == [("A",)]


def test_undo_of_an_interrupted_change(session: Session) -> None:
    """A change that was killed halfway is taken back as such, and undo then goes for the one before."""
    session.write("s.json", '{"A": 0}')
    session.edit("s.json", Set(("A",), 1))
    number = session.edit("s.json", Set(("A",), 2))
    done = Path(session.state, "journal", f"{int(number):06d}.json")
    done.rename(done.with_suffix(".pending"))
    undo = session.undo()
    assert undo.record.id == "1"
    assert session.read("s.json") == '{"A": 0}'


def test_journal_was_deleted(session: Session) -> None:
    """Without a journal there is nothing to undo."""
    with pytest.raises(CcsetupError, match="nothing to undo"):
        session.undo()


def test_document_was_broken_before(session: Session) -> None:
    """A file that was no JSON, and was replaced as a whole, gets its bytes back."""
    session.write("s.json", "{broken")
    path = str(session.folder / "s.json")
    change = FileChange(path, b"{broken", b'{"A": 1}', True, "json", (Set(("A",), 1),))
    disk.commit(Plan("repair", (change,)), here(session.state), now=1.0)
    session.undo()
    assert session.read("s.json") == "{broken"
