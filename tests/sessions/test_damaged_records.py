"""Whatever stands in the journal and in state.json, every command goes on, and says which record it cannot use.

Each case damages one of ccsetup's own records in one way and runs one command.  A bounded sample of the cases is
tried, the same in every run; ``CCSETUP_FUZZ=5000`` in the environment tries that many others with the seed
``CCSETUP_FUZZ_SEED``.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import cc

KEYS = ("sk-first-0123456789abcdef", "sk-second-0123456789abcdef")
STATE = ".local/state/ccsetup/state.json"
JOURNAL = ".local/state/ccsetup/journal"
COMMANDS = (
    ("list",),
    ("list", "--json"),
    ("init", "-s", "-p", "deepseek", "-k", "sk-third-0123456789abcdef"),
    ("config-switch", "glm"),
    ("config-switch", "official"),
    ("config-switch", "glm", "--dry-run"),
    ("undo",),
    ("undo", "2"),
    ("undo", "--list"),
    ("doctor",),
    ("doctor", "--fix", "--yes"),
    ("uninstall", "--yes"),
)
MAY_FAIL = ("undo", "doctor")
"""There may be nothing left to undo; a finding of doctor is exit code 1."""
PENDING = f"{JOURNAL}/000003.pending"
SAVED = ".local/state/ccsetup/saved/glm.json"
RECORDS = (STATE, SAVED, f"{JOURNAL}/000002.json", f"{JOURNAL}/000003.json", PENDING)
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        10**30,
        1.5,
        1e300,
        float("nan"),
        "",
        "x",
        "\0",
        "\ud800",
        "/",
        "relative/path",
        "/\0",
        "/\ud800",
    ),
    *([], [[]], [1], [None], [{}], ["a"], {}, {"a": {}}, {"a": []}, {"": 1}, "9" * 400, "/x" * 3000),
)


NAMING = {
    STATE: [c for c in COMMANDS if c[0] in ("list", "init", "config-switch", "doctor")],
    SAVED: [c for c in COMMANDS if c[:2] == ("config-switch", "glm")],
    f"{JOURNAL}/000002.json": [c for c in COMMANDS if c[0] in ("undo", "doctor")],
    f"{JOURNAL}/000003.json": [c for c in COMMANDS if c[0] in ("undo", "doctor")],
    PENDING: [c for c in COMMANDS if "--dry-run" not in c],
}
"""The commands that have to name a record that cannot be read: those that need it."""


class Case(NamedTuple):
    """One record, damaged in one way; *whole*: nothing of it can be read."""

    name: str
    record: str
    damage: Callable[[Path], None]
    whole: bool


def write(data: bytes) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(data), None)[1]


def folder(path: Path) -> None:
    path.unlink()
    (path / "inner").mkdir(parents=True)


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def huge(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate((64 << 20) + 1)


def whole_cases(record: str) -> Iterator[Case]:
    deep = b"[" * 100_000
    for name, data in {
        "empty": b"",
        "binary": bytes(range(256)) * 8,
        "nul": b"\0" * 500,
        "deep": deep + b"]" * len(deep),
        "long number": b"9" * 5000,
        "text": b'"text"',
        "list": b"[1, 2]",
        "number": b"7",
    }.items():
        yield Case(f"{record}: {name}", record, write(data), True)
    for other in (folder, dangling, pipe, huge):
        yield Case(f"{record}: {other.__name__}", record, other, True)
    yield Case(f"{record}: cut", record, lambda path: path.write_bytes(path.read_bytes()[:-40]) and None, True)


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


def member(path: tuple[Any, ...], value: Any, how: str) -> Callable[[Path], None]:
    return lambda file: (file.write_bytes(changed(file.read_bytes(), path, value, how)), None)[1]


def changed(text: bytes, path: tuple[Any, ...], value: Any, how: str) -> bytes:
    parent = data = json.loads(text)
    for key in path[:-1]:
        parent = parent[key]
    if how == "without":
        del parent[path[-1]]
    elif how == "also" and isinstance(parent, dict):
        parent[value if isinstance(value, str) else "unknown"] = parent[path[-1]]
    else:
        parent[path[-1]] = value
    return json.dumps(data).encode("ascii")


def member_cases(home: Path, record: str) -> Iterator[Case]:
    text = (home / record).read_bytes()
    for path in places(json.loads(text)):
        for how, value in [("without", None), *(("with", value) for value in VALUES), ("also", "/\0"), ("also", "x")]:
            if path[-1] in ("before", "after") and isinstance(value, str):
                continue  # other contents of the right type: what is put back is what the record says
            name = f"{record}: {'.'.join(map(str, path))} {how} {value!r:.40}"
            yield Case(name, record, member(path, value, how), False)
    precious = str(home / "precious")
    for path in places(json.loads(text)):
        if path[-1] in ("path", "real", "temp", "made", "locks"):
            value: Any = [precious] if path[-1] == "made" else [[precious, 0, 0]] if path[-1] == "locks" else precious
            yield Case(f"{record}: {path[-1]} is another's", record, member(path, value, "with"), False)


def name_cases() -> Iterator[Case]:
    for name in ("9" * 9 + ".json", "9" * 200 + ".json", "0.json", "-1.json", "١.json", "999999999.pending"):
        yield Case(f"journal has {name[:20]}", f"{JOURNAL}/{name}", write(b"{}"), False)
    for suffix in ("draft", "pending", "damaged", "json"):
        yield Case(f"journal has a folder .{suffix}", f"{JOURNAL}/000009.{suffix}", Path.mkdir, False)
    for record in (JOURNAL, ".local/state/ccsetup/lock"):
        for other in (folder, dangling, write(b"x")):
            yield Case(f"{record} is {other.__name__}", record, other, False)


@pytest.fixture
def template(home: Path, tmp_path: Path) -> Path:
    """A copy of a home with two profiles, three changes in the journal, and a file that is nobody's business."""
    cc.put(home, {".claude/settings.json": '{"theme": "dark"}\n', "precious": "precious"})
    for provider, key in zip(("glm", "kimi"), KEYS, strict=True):
        assert cc.main("init", "-s", "-p", provider, "-k", key, "-T", "all").ok
    assert cc.main("config-switch", "glm").ok
    shutil.copytree(home, tmp_path / "template", symlinks=True)
    return tmp_path / "template"


def reset(home: Path, template: Path, case: Case) -> None:
    shutil.rmtree(home)
    shutil.copytree(template, home, symlinks=True)
    if case.record == PENDING:
        (home / f"{JOURNAL}/000003.json").rename(home / PENDING)
    path = home / case.record
    if path.is_dir() and case.damage is not folder:
        shutil.rmtree(path)
    elif path.is_dir():
        shutil.rmtree(path)
        path.touch()
    if case.damage in (dangling, folder, pipe) and not path.exists():
        path.touch()
    case.damage(path)


def cases(home: Path) -> list[Case]:
    found = [*name_cases()]
    for record in RECORDS:
        found += whole_cases(record)
        if record != PENDING:
            found += member_cases(home, record)
    pending = (case._replace(record=PENDING) for case in member_cases(home, f"{JOURNAL}/000003.json"))
    return [*found, *(case._replace(name=case.name.replace("000003.json", "000003.pending")) for case in pending)]


def wrong(home: Path, case: Case, command: tuple[str, ...]) -> list[str]:
    """Run *command*, and return what it did wrong."""
    result = cc.main(*command)
    said = result.stdout + result.stderr
    named = os.path.splitext(os.path.basename(case.record))[0] in said
    found = {
        "failed": result.rc not in ((0, 1) if command[0] in MAY_FAIL else (0,)),
        "showed a traceback": "Traceback" in said,
        "showed a key": any(key in said for key in KEYS),
        "touched another's file": (home / "precious").read_text() != "precious",
        "did not name the record": case.whole and not named and command in NAMING[case.record],
    }
    return [f"{case.name}: {what}\n{result}" for what, is_so in found.items() if is_so]


def test_damaged_records_stop_nothing(home: Path, template: Path) -> None:
    """No shape of a record is a bug's message, stops a command, or makes it touch a file that is not ours."""
    chance = random.Random(int(os.environ.get("CCSETUP_FUZZ_SEED", "1")))
    every = cases(home)
    wanted = int(os.environ.get("CCSETUP_FUZZ", "150"))
    surely = [(case, command) for case in every if case.whole for command in chance.sample(COMMANDS, 2)]
    others = [(case, command) for case in every if not case.whole for command in COMMANDS]
    chosen = surely + chance.sample(others, min(wanted, len(others)))
    found = []
    for case, command in chosen:
        reset(home, template, case)
        found += wrong(home, case, command)
    assert not found, f"{len(found)} of {len(chosen)}:\n" + "\n".join(found[:20])


def halfway(home: Path) -> bytes:
    """Make it look as if config-switch had been killed between two renames; return what its first file held before."""
    before = (home / ".claude/settings.json").read_bytes()
    assert cc.main("config-switch", "kimi").ok
    record = max((home / JOURNAL).glob("*.json"))
    record.rename(record.with_suffix(".pending"))
    return before


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("list", "--json"),
        ("undo", "--list"),
        ("key", "list"),
        ("config-switch", "glm"),
        ("export",),
        ("env", "glm"),
        ("profile", "show", "glm"),
    ],
)
def test_any_command_takes_a_killed_switch_back(home: Path, template: Path, command: tuple[str, ...]) -> None:
    """The next command of any kind says that a switch was killed, and takes it back; the one after says nothing."""
    before = halfway(home)
    result = cc.main(*command)
    assert result.rc == 0, result
    said = " ".join(n["text"] for n in result.json["notes"]) if "--json" in command else result.stderr
    assert "was killed halfway, and was taken back as a whole: config-switch kimi" in said, result
    assert (home / ".claude/settings.json").read_bytes() == before
    assert "killed" not in cc.main("list").stderr


@pytest.mark.parametrize("command", [("config-switch", "glm", "--dry-run"), ("doctor",)])
def test_what_only_looks_leaves_a_killed_switch(home: Path, template: Path, command: tuple[str, ...]) -> None:
    """A dry run and doctor say that a switch was killed, and change nothing."""
    halfway(home)
    before = cc.files(home, records=True)
    result = cc.main(*command)
    assert "killed halfway: config-switch kimi" in result.stdout + result.stderr, result
    assert cc.files(home, records=True) == before
