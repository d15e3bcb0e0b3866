"""Golden folders: a home before, commands, the same home after.  ``tests/data/<client>/<case>/``.

    before/    files of the home (may be missing); LF line ends, except in the cases about line ends
    cmd        one step a line:  ccsetup ARGUMENTS | edit FILE OLD NEW | exit CODE | says TEXT | silent on TEXT
    after/     the home afterwards, without ccsetup's records; @HOME@ stands for its path

``exit``, ``says`` and ``silent`` are about the command above them; without ``exit`` it has to be 0.
Every case also runs these promises: the last command once more changes no byte and says so; ``undo`` gives back the
bytes before the last command, and before the first one; the same case with CRLF files gives the same with CRLF.

CCSETUP_UPDATE_GOLDEN=1 writes after/ anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest
from support import cc

DATA = Path(__file__).parents[1] / "data"
CASES = sorted(p.parent for client in ("claude-code", "codex") for p in (DATA / client).glob("*/cmd"))
UPDATE = bool(os.environ.get("CCSETUP_UPDATE_GOLDEN"))  # read here: the tests remove CCSETUP_*
CLIENT_FILES = (".claude/", ".claude.json", ".codex/")


def _name(case: Path) -> str:
    return f"{case.parent.name}/{case.name}"


def _prepare(case: Path, home: Path, *, crlf: bool = False) -> None:
    shutil.copytree(DATA / "golden-presets", home / ".config/ccsetup/presets")
    for path in sorted((case / "before").rglob("*")):
        if path.is_file():
            data = path.read_bytes().replace(b"@HOME@", str(home).encode())
            cc.put(home, {path.relative_to(case / "before").as_posix(): _crlf(data) if crlf else data})


def _crlf(data: bytes) -> bytes:
    return data if b"\r" in data else data.replace(b"\n", b"\r\n")


def _shown(home: Path) -> dict[str, bytes]:
    """Return the files of *home* as after/ shows them.

    A catalogue is reduced to its models and windows, and called by the first of them and not by all that is in it.
    """
    found, called = {}, {str(home).encode(): b"@HOME@"}
    for name, data in cc.files(home).items():
        if name.startswith(".config/ccsetup/presets/"):
            continue
        if name.endswith(".models.json"):
            models = {m["slug"]: m["context_window"] for m in json.loads(data)["models"]}
            data = (json.dumps(models) + "\n").encode()
            assert re.fullmatch(r"\.codex/ccsetup-[0-9a-f]{12}\.models\.json", name)
            own = os.path.basename(name).encode()
            name = f".codex/ccsetup-@{next(iter(models))}@.models.json"
            assert name not in found
            called[own] = os.path.basename(name).encode()
        found[name] = data
    for old, new in called.items():
        found = {name: data.replace(old, new) for name, data in found.items()}
    return found


def _play(case: Path, home: Path) -> tuple[list[str], dict[str, bytes]]:
    """Carry the steps out; return the last command's arguments, and every file from before it."""
    last: list[str] = []
    before: dict[str, bytes] = {}
    result, code = None, 0

    def settle() -> None:
        if result is not None:
            assert result.rc == code, result

    for line in (case / "cmd").read_text("utf-8").splitlines():
        word, _, rest = line.partition(" ")
        if word == "ccsetup":
            settle()
            last, before, code = shlex.split(rest), cc.files(home), 0
            result = cc.main(*last)
        elif word == "exit":
            code = int(rest)
        elif word == "says":
            assert result is not None
            assert rest in result.stdout + result.stderr, (rest, result)
        elif word == "silent":
            assert result is not None
            assert rest.removeprefix("on ") not in result.stdout + result.stderr, (rest, result)
        elif word == "edit":
            settle()
            result = None
            name, old, new = shlex.split(rest)
            text = (home / name).read_bytes().decode()
            assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
            (home / name).write_bytes(text.replace(old, new).encode())
        else:
            assert word in ("", "#"), line
    settle()
    return last, before


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_case(case: Path, home: Path) -> None:
    """The home is what after/ shows; the last command once more changes nothing; undo gives the bytes of before."""
    _prepare(case, home)
    first = cc.files(home)
    last, before = _play(case, home)
    shown = _shown(home)
    after = case / "after"
    if UPDATE:
        shutil.rmtree(after, ignore_errors=True)
        cc.put(after, shown, mode=0o644)
    assert shown == {p.relative_to(after).as_posix(): p.read_bytes() for p in after.rglob("*") if p.is_file()}
    _once_more(last, home)
    _undo(home, first, before, edited="\nedit " in (case / "cmd").read_text("utf-8"))


def _once_more(last: list[str], home: Path) -> None:
    """The last command changes no byte, not even of the records, and says that nothing changed."""
    files = cc.files(home, records=True)
    again = cc.main(*last)
    assert cc.files(home, records=True) == files, again
    if again.rc in (0, 5):
        assert "unchanged" in again.stdout, again
        assert "done" not in again.stdout
    assert cc.main(*last, "--check").rc == again.rc


def _undo(home: Path, first: dict[str, bytes], before: dict[str, bytes], *, edited: bool) -> None:
    """undo gives back the bytes from before the last command; all undos together those from before the first."""
    if not cc.main("undo", "--list", "--json").json["result"]["changes"]:
        assert cc.files(home) == first
        return
    if cc.files(home) != before:
        done = cc.main("undo")
        assert done.ok, done
        assert cc.files(home) == before
    while cc.main("undo").ok:
        pass
    if not edited:
        assert cc.files(home) == first


@pytest.mark.parametrize("case", CASES, ids=_name)
def test_crlf(case: Path, home: Path) -> None:
    """Files of the clients with CRLF come out as the others, with CRLF; files that are new have LF."""
    _prepare(case, home, crlf=True)
    before = cc.files(home)
    _play(case, home)
    shown = _shown(home)
    for name, data in shown.items():
        expected = (case / "after" / name).read_bytes()
        if before.get(name) and name.startswith(CLIENT_FILES):
            expected = _crlf(expected)
        assert data == expected, name
    assert set(shown) == {p.relative_to(case / "after").as_posix() for p in (case / "after").rglob("*") if p.is_file()}


def test_there_are_cases() -> None:
    """Both clients have cases."""
    assert {case.parent.name for case in CASES} == {"claude-code", "codex"}
