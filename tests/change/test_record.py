"""The record of what was set: a file for each saved profile, and everything in state.json from earlier versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import cc

from ccsetup.clients import releases

STATE = ".local/state/ccsetup/state.json"
SAVED = ".local/state/ccsetup/saved"
JOURNAL = ".local/state/ccsetup/journal"


def save(home: Path, *names: str) -> None:
    entries = [
        {"name": n, "provider": "glm", "key": f"sk-{n}-0123456789abcdef", "codeType": ["claude-code", "codex"]}
        for n in names
    ]
    assert cc.main("init", "-s", "--api-configs", json.dumps(entries), "--codex-version", releases.CODEX[0]).ok


def data(home: Path, name: str) -> Any:
    return json.loads((home / name).read_bytes())


def as_before(home: Path) -> None:
    """Make the record what an earlier version would have written: all of it in state.json."""
    state = data(home, STATE)
    state["version"] = 2
    for file in sorted((home / SAVED).iterdir()):
        state.setdefault("saved", {}).update(json.loads(file.read_bytes())["saved"])
        file.unlink()
    (home / SAVED).rmdir()
    (home / STATE).write_text(json.dumps(state, indent=2))


def test_a_profile_has_a_record_of_its_own(home: Path) -> None:
    """What a profile has in files of its own is in saved/NAME.json; state.json names no saved profile."""
    save(home, "a", "b")
    assert sorted(f.name for f in (home / SAVED).iterdir()) == ["a.json", "b.json"]
    assert "saved" not in data(home, STATE)
    assert list(data(home, f"{SAVED}/a.json")["saved"]["a"]["codex"]["owned"]) == ["home:.codex/a.config.toml"]


def test_a_profile_that_shares_a_file_is_in_the_record_that_all_share(home: Path) -> None:
    """Codex before 0.134 has all profiles in config.toml: who owns what there is in state.json."""
    for name in ("a", "b"):
        argv = (
            "-p",
            "glm",
            "-n",
            name,
            "-k",
            f"sk-{name}-0123456789abcdef",
            "-T",
            "codex",
            "--codex-version",
            "0.130.0",
        )
        assert cc.main("init", "-s", *argv).ok
    assert sorted(data(home, STATE)["saved"]) == ["a", "b"]
    assert not (home / SAVED).exists()
    assert cc.main("config-switch", "a", "--codex-version", releases.CODEX[0]).ok
    assert "saved" not in data(home, STATE)
    assert sorted(f.name for f in (home / SAVED).iterdir()) == ["a.json", "b.json"]


def test_a_record_of_the_journal_grows_with_the_change(home: Path) -> None:
    """A switch among forty profiles leaves a record as large as one among four."""
    sizes = {}
    for count in (4, 40):
        save(home, *(f"p{count}x{n:02}" for n in range(count)))
        for n in (0, 1):
            assert cc.main("config-switch", f"p{count}x0{n}").ok
        sizes[count] = max((home / JOURNAL).glob("*.json")).stat().st_size
    assert sizes[40] < 1.1 * sizes[4], sizes


NEW_ADDRESS = ("-k", "sk-new-0123456789abcdef", "--codex-url", "https://open.bigmodel.cn/api/paas/v4")


@pytest.mark.parametrize(
    "argv",
    [("config-switch", "b"), ("init", "-s", "-n", "a", "-p", "glm", *NEW_ADDRESS), ("profile", "rm", "c", "--yes")],
    ids=" ".join,
)
def test_the_record_of_an_earlier_version_is_taken_apart_once(home: Path, argv: tuple[str, ...]) -> None:
    """The first change gives every profile a file; undo brings the bytes of before back, and older changes too."""
    empty = cc.files(home)
    save(home, "a", "b", "c")
    as_before(home)
    before = cc.files(home), (home / STATE).read_bytes()
    assert cc.main(*argv).ok
    state = data(home, STATE)
    assert "saved" not in state
    assert state["version"] == 3
    kept = ["a", "b"] if argv[0] == "profile" else ["a", "b", "c"]
    assert sorted(f.stem for f in (home / SAVED).iterdir()) == kept
    for name in kept:
        assert list(data(home, f"{SAVED}/{name}.json")["saved"][name]["codex"]["owned"]) == [
            f"home:.codex/{name}.config.toml"
        ]
    assert cc.main("undo").ok
    assert (cc.files(home), (home / STATE).read_bytes()) == before
    assert cc.main("undo").ok
    assert cc.files(home) == empty


def test_what_changes_nothing_leaves_an_earlier_record_as_it_is(home: Path) -> None:
    """The same switch once more, a dry run and what only reads write nothing and add nothing to undo."""
    save(home, "a", "b")
    assert cc.main("config-switch", "a").ok
    as_before(home)
    before = (home / STATE).read_bytes(), cc.files(home), sorted((home / JOURNAL).iterdir())
    for argv in (["config-switch", "a"], ["config-switch", "b", "--dry-run"], ["list"], ["doctor"], ["list", "--json"]):
        assert cc.main(*argv).rc in (0, 1), argv
    assert ((home / STATE).read_bytes(), cc.files(home), sorted((home / JOURNAL).iterdir())) == before


def test_the_next_switch_in_an_earlier_home_has_a_small_record(home: Path) -> None:
    """The first switch moves what was set for all profiles; from then on a record holds what the switch touched."""
    names = [f"p{n:02}" for n in range(40)]
    save(home, *names)
    as_before(home)
    sizes = []
    for name in names[:3]:
        assert cc.main("config-switch", name).ok
        sizes.append(max((home / JOURNAL).glob("*.json")).stat().st_size)
    assert sizes[2] < sizes[0] / 2, sizes
    state = (home / STATE).stat().st_size
    assert all(name not in (home / STATE).read_text() for name in names[3:]), state


def test_what_shares_a_file_stays_when_the_rest_is_taken_apart(home: Path) -> None:
    """A profile whose tables are in config.toml stays in state.json; what it owns is known after as before."""
    old = ("-T", "codex", "--codex-version", "0.130.0")
    assert cc.main("init", "-s", "-p", "glm", "-n", "z", "-k", "sk-z-0123456789abcdef", *old).ok
    shared = data(home, STATE)["saved"]
    save(home, "a", "b")
    as_before(home)
    state = data(home, STATE)
    state["saved"].update(shared)
    (home / STATE).write_text(json.dumps(state))
    assert cc.main("config-switch", "a", "-T", "claude-code").ok
    assert data(home, STATE)["saved"].keys() <= {"z"}
    assert {"a.json", "b.json"} <= {f.name for f in (home / SAVED).iterdir()}
    assert cc.main("uninstall", "--yes").ok
    assert not (home / SAVED).exists() or not list((home / SAVED).iterdir())


@pytest.mark.parametrize("old", [True, False], ids=["earlier record", "this record"])
def test_what_was_set_for_a_profile_goes_with_it(home: Path, old: bool) -> None:
    """profile rm and uninstall leave neither its settings nor its record, wherever that is."""
    save(home, "a", "b")
    if old:
        as_before(home)
    assert cc.main("profile", "rm", "a", "--yes").ok
    assert not (home / ".codex/a.config.toml").exists()
    assert not (home / SAVED / "a.json").exists()
    assert "a" not in data(home, STATE).get("saved", {})
    assert cc.main("uninstall", "--yes").ok
    assert not (home / ".codex/b.config.toml").exists()
    assert not (home / STATE).exists()
    assert not list((home / SAVED).glob("*"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"saved": 7}', '{"saved": {"a": {"codex": {"owned": 1}}}}'])
def test_a_damaged_record_of_a_profile_is_begun_anew(home: Path, text: str) -> None:
    """It is named, the switch is made, and the record is whole again."""
    save(home, "a", "b")
    (home / SAVED / "a.json").write_text(text)
    result = cc.main("config-switch", "a")
    assert result.ok, result
    assert "saved/a.json is damaged" in result.stderr, result
    assert list(data(home, f"{SAVED}/a.json")["saved"]) == ["a"]


@pytest.mark.parametrize("name", ["../../../victim", "a/b", "official"])
def test_a_name_that_leads_elsewhere_leads_nowhere(home: Path, name: str) -> None:
    """A name written by hand into profiles.toml makes no file outside, and takes none away."""
    save(home, "a")
    (home / ".local/victim.json").write_text("[]")
    file = home / ".config/ccsetup/profiles.toml"
    file.write_text(file.read_text() + f'\n[profiles."{name}"]\nprovider = "glm"\n\n[profiles."{name}".codex]\n')
    before = cc.files(home)
    assert cc.main("config-switch", "a").rc in (0, 5)
    assert cc.main("profile", "rm", name, "--yes").ok
    assert (home / ".local/victim.json").read_text() == "[]"
    assert set(cc.files(home)) >= set(before)
