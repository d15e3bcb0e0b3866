"""Records that a newer ccsetup made: refused with a sentence that says so, and left as they are."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support import cc, homes

from ccsetup.change import record

STATE = ".local/state/ccsetup/state.json"
JOURNAL = ".local/state/ccsetup/journal"
PROFILES = ".config/ccsetup/profiles.toml"
KEYS = ".config/ccsetup/relay-keys.json"
USAGE = ".local/state/ccsetup/relay/usage.db"
SENTENCE = "was made by a newer ccsetup."

WRITE = (
    ("config-switch", "moon"),
    ("config-switch", "official"),
    ("init", "-s", "-p", "glm", "-n", "one-more", "-k", "sk-one-more-0123456789"),
    ("profile", "rm", "moon", "--yes"),
    ("uninstall", "--yes"),
    ("undo",),
)
READ = (("list",), ("profile", "show", "moon"), ("export",))


@pytest.fixture
def old_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home ``both`` of 2026-11-27, with this process as a session in it."""
    (kept,) = (kept for kept in homes.ALL if kept.id == "2026-11-27/both")
    for name, value in homes.lay_out(kept, home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(home)
    return home


def refused(home: Path, *argv: str) -> None:
    """Run a command that has to refuse, and see that it left every byte as it was."""
    before = cc.files(home, records=True)
    result = cc.main(*argv)
    assert (result.rc, result.stdout) == (1, ""), result
    assert SENTENCE in result.stderr, result
    assert "Install that version again" in result.stderr
    assert cc.files(home, records=True) == before


def newer_json(file: Path, version: float = record.VERSION + 1) -> None:
    data = json.loads(file.read_bytes())
    file.write_text(json.dumps({"version": version, **{k: v for k, v in data.items() if k != "version"}, "more": [1]}))


@pytest.mark.parametrize("argv", WRITE + READ, ids=" ".join)
@pytest.mark.parametrize("version", [record.VERSION + 1, record.VERSION + 0.5, 10**30])
def test_the_record_of_what_is_set(old_home: Path, argv: tuple[str, ...], version: float) -> None:
    """state.json: no command goes by it, or changes it."""
    newer_json(old_home / STATE, version)
    refused(old_home, *argv)


@pytest.mark.parametrize("argv", [WRITE[0], WRITE[3], WRITE[4]], ids=" ".join)
def test_the_record_of_what_a_profile_has(old_home: Path, argv: tuple[str, ...]) -> None:
    """saved/NAME.json: no command that is about this profile goes by it, or changes it."""
    assert cc.main("config-switch", "official").ok  # the first change takes the record of that home apart
    newer_json((old_home / STATE).with_name("saved") / "moon.json")
    refused(old_home, *argv)


@pytest.mark.parametrize("argv", WRITE + READ, ids=" ".join)
def test_profiles(old_home: Path, argv: tuple[str, ...]) -> None:
    """profiles.toml: the same; what undo would change in it counts too."""
    file = old_home / PROFILES
    file.write_text("version = 2\n" + file.read_text("utf-8"), "utf-8")
    if argv == ("undo",):
        argv = ("undo", "10")  # the last change of all does not touch it
    refused(old_home, *argv)


@pytest.mark.parametrize("argv", [("undo",), ("undo", "13"), ("undo", "--dry-run")], ids=" ".join)
def test_the_last_change(old_home: Path, argv: tuple[str, ...]) -> None:
    """undo takes no older change back instead of one that it cannot read; the list names that one."""
    newer_json(old_home / JOURNAL / "000013.json")
    refused(old_home, *argv)
    listed = cc.main("undo", "--list")
    assert listed.ok
    assert SENTENCE in listed.stdout.splitlines()[0]
    assert cc.main("config-switch", "moon").ok
    assert cc.main("undo").ok


@pytest.mark.parametrize("argv", WRITE, ids=" ".join)
def test_an_interrupted_change(old_home: Path, argv: tuple[str, ...]) -> None:
    """A newer ccsetup was killed: what it began is for that version to take back, and nothing is written over it."""
    newer_json(old_home / JOURNAL / "000013.json")
    (old_home / JOURNAL / "000013.json").rename(old_home / JOURNAL / "000013.pending")
    refused(old_home, *argv)


def test_old_records_go_and_newer_ones_stay(old_home: Path) -> None:
    """Only twenty changes are kept; those that a newer ccsetup made are not this version's to remove."""
    newer_json(old_home / JOURNAL / "000001.json")
    for number in range(12):
        assert cc.main("config-switch", ("moon", "glm")[number % 2]).ok
    left = {file.name for file in (old_home / JOURNAL).iterdir()}
    assert "000001.json" in left
    assert "000002.json" not in left


@pytest.mark.parametrize("argv", [("list",), ("add", "bob"), ("revoke", "alice")], ids=" ".join)
def test_keys_of_the_relay(old_home: Path, argv: tuple[str, ...]) -> None:
    newer_json(old_home / KEYS)
    refused(old_home, "relay", "key", *argv)


def test_usage_of_the_relay(old_home: Path) -> None:
    """The relay does not start on a database that it would spoil, and nothing is counted from what it means no more."""
    with closing(sqlite3.connect(old_home / USAGE)) as base:
        base.execute("PRAGMA user_version = 99")
    before = (old_home / USAGE).read_bytes()
    argv = ("relay", "stats", "--reset", "--yes")
    for result in (cc.main("relay", "stats"), cc.main(*argv), cc.run(old_home, "relay", "run", "--port", "0")):
        assert result.rc == 1, result
        assert SENTENCE in result.stdout + result.stderr
        assert (old_home / USAGE).read_bytes() == before


@pytest.mark.parametrize("name", [STATE, PROFILES])
def test_doctor_says_so(old_home: Path, name: str) -> None:
    """doctor looks at all the rest, and names the file."""
    file = old_home / name
    if name == STATE:
        newer_json(file)
    else:
        file.write_text("version = 2\n" + file.read_text("utf-8"), "utf-8")
    before = file.read_bytes()
    for argv in (("doctor",), ("doctor", "--fix", "--yes")):
        result = cc.main(*argv)
        assert result.rc == 1
        assert SENTENCE in " ".join(result.stdout.split()), result
        assert file.read_bytes() == before


def test_what_is_written_says_its_version(home: Path) -> None:
    """Each record of a new home carries the version that the next program asks for."""
    assert cc.main("init", "-s", "-p", "glm", "-k", "sk-glm-0123456789", "-T", "all").ok
    assert json.loads((home / STATE).read_bytes())["version"] == 3
    assert json.loads((home / STATE).with_name("saved").joinpath("glm.json").read_bytes())["version"] == 3
    assert json.loads((home / JOURNAL / "000001.json").read_bytes())["version"] == 2
    assert "\nversion = 1\n" in (home / PROFILES).read_text("utf-8")


def test_an_old_record_gets_its_version_with_its_next_change(old_home: Path) -> None:
    """Not before: what changes nothing changes no record either."""
    before = cc.files(old_home, records=True)
    check = cc.main("config-switch", "glm", "-T", "claude-code", "--check")
    assert check.rc == 0, check
    assert "version" not in json.loads((old_home / STATE).read_bytes())
    assert cc.files(old_home, records=True) == before
    assert cc.main("config-switch", "moon").ok
    assert json.loads((old_home / STATE).read_bytes())["version"] == 3
    assert cc.main("undo").ok
    assert (old_home / STATE).read_bytes() == before[STATE]
