"""Saved profiles that were right are not looked at again, and whatever changes one has it looked at."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cc

from ccsetup import disk
from ccsetup.clients import releases

CHECKED = ".local/state/ccsetup/checked.json"
PROFILES = ".config/ccsetup/profiles.toml"
WARNED = "ccsetup doctor --fix"
NEWEST = ("--codex-version", releases.CODEX[0])


@pytest.fixture
def saved(home: Path) -> Path:
    """A home with four profiles, of which Codex uses p0, and all were looked at."""
    entries = [
        {"name": f"p{n}", "provider": "glm", "key": f"sk-p{n}-0123456789abcdef", "codeType": ["codex"]}
        for n in range(4)
    ]
    assert cc.main("init", "-s", "--api-configs", json.dumps(entries), *NEWEST).ok
    assert cc.main("config-switch", "p0", *NEWEST).ok
    assert sorted(json.loads((home / CHECKED).read_bytes())["codex"]["profiles"]) == ["p1", "p2", "p3"]
    return home


def read(monkeypatch: pytest.MonkeyPatch, *argv: str) -> set[str]:
    """Run a command, and return the profile files that it read."""
    seen: set[str] = set()

    def snapshot(paths: list[str]) -> dict[str, bytes | None]:
        seen.update(os.path.basename(p) for p in paths)
        return real(paths)

    real = disk.snapshot
    with monkeypatch.context() as patch:
        patch.setattr(disk, "snapshot", snapshot)
        assert cc.main(*argv).ok
    return {name for name in seen if name.endswith(".config.toml")}


def test_what_did_not_change_is_not_read(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """list reads the file of the active profile alone, and a switch that of the two that it is about."""
    assert read(monkeypatch, "list") == {"p0.config.toml"}
    assert read(monkeypatch, "config-switch", "p1", *NEWEST) == {"p0.config.toml", "p1.config.toml"}
    assert read(monkeypatch, "list") == {"p1.config.toml"}


def other_address(home: Path) -> None:
    file = home / ".codex/p2.config.toml"
    file.write_text(file.read_text().replace("bigmodel", "badmodel"))


def in_place(home: Path) -> None:
    """The same size and the same times, but for the one that no program sets."""
    file = home / ".codex/p2.config.toml"
    status = file.stat()
    with file.open("r+") as f:
        text = f.read().replace("bigmodel", "badmodel")
        f.seek(0)
        f.write(text)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def other_provider_id(home: Path) -> None:
    file = home / PROFILES
    file.write_text(file.read_text().replace("[profiles.p2.codex]\n", '[profiles.p2.codex]\nprovider_id = "own"\n'))


def other_table(home: Path) -> None:
    """The provider's table in config.toml lies below that of the profile, and adds a credential."""
    file = home / ".codex/config.toml"
    file.write_text(
        file.read_text() + '\n[model_providers.ccsetup-p2]\nbase_url = "https://x.example"\nenv_key = "X"\n'
    )


def old_table(home: Path) -> None:
    """Codex does not start with a profile of a name that has a table in config.toml."""
    file = home / ".codex/config.toml"
    file.write_text(file.read_text() + "\n[profiles.p2]\n")


def warned(home: Path) -> bool:
    """Tell whether list warns of p2, as it does where nothing was ever noted."""
    found = cc.main("list")
    (home / CHECKED).rename(home / "aside")
    assert cc.main("list") == found
    (home / "aside").rename(home / CHECKED)
    return WARNED in found.stderr and "p2" in found.stderr


@pytest.mark.parametrize(
    ("change", "before", "after"),
    [
        (other_address, True, False),
        (in_place, True, False),
        (other_provider_id, False, False),
        (other_table, True, True),
        (old_table, True, True),
    ],
)
def test_what_was_changed_by_hand_is_seen(
    saved: Path, change: Callable[[Path], None], before: bool, after: bool
) -> None:
    """list says so, and the next switch puts right what is in the profile's own file."""
    assert not warned(saved)
    change(saved)
    assert warned(saved) == before
    assert cc.main("config-switch", "p1", *NEWEST).rc in (0, 5)
    assert warned(saved) == after
    own = (saved / ".codex/p2.config.toml").read_text()
    assert 'base_url = "https://open.bigmodel.cn/api/v1"' in own
    assert f'model_provider = "{"own" if change is other_provider_id else "ccsetup-p2"}"' in own


def test_a_file_that_was_deleted_is_written_again(saved: Path) -> None:
    """The next switch to another profile sees that it is gone."""
    (saved / ".codex/p2.config.toml").unlink()
    assert cc.main("config-switch", "p1", *NEWEST).ok
    assert (saved / ".codex/p2.config.toml").exists()


def test_another_version_looks_at_all(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one release reads, another may not; a preset of the user's may change what is right."""
    every = {f"p{n}.config.toml" for n in range(4)}
    assert read(monkeypatch, "config-switch", "p0", "--codex-version", "0.160.0") == every
    cc.put(saved, {".config/ccsetup/presets/x.yaml": "id: x\n"})
    assert read(monkeypatch, "config-switch", "p1", "--codex-version", "0.160.0") == every


def test_a_copied_home_looks_at_its_own_files(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(saved, tmp_path / "copy")
    monkeypatch.setenv("HOME", str(tmp_path / "copy"))
    assert read(monkeypatch, "list") == {f"p{n}.config.toml" for n in range(4)}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", '{"codex": 7}', '{"codex": {"for": 1, "profiles": {"p1": 1}}}', '{"codex": {"profiles": []}}'],
)
def test_a_damaged_note_means_that_nothing_is_known(saved: Path, text: str) -> None:
    """No shape of it stops a command, is told of, or hides anything."""
    before = cc.main("list")
    (saved / CHECKED).write_text(text)
    assert cc.main("list") == before
    other_address(saved)
    assert WARNED in cc.main("list").stderr
    assert cc.main("config-switch", "p1", *NEWEST).ok
    assert "p2" in json.loads((saved / CHECKED).read_bytes())["codex"]["profiles"]


def test_a_folder_in_its_place_costs_only_time(saved: Path) -> None:
    (saved / CHECKED).unlink()
    (saved / CHECKED).mkdir()
    assert cc.main("config-switch", "p1", *NEWEST).ok
    assert sorted(p.name for p in (saved / CHECKED).parent.iterdir()) == [
        *("checked.json", "journal", "lock", "saved", "state.json"),
    ]


def test_of_many_profiles_some_are_named(home: Path) -> None:
    """list and a switch after another version wrote them: eight names, and how many more."""
    entries = [
        {"name": f"p{n:02}", "provider": "glm", "key": f"sk-{n}-0123456789abcdef", "codeType": ["codex"]}
        for n in range(12)
    ]
    argv = ("init", "-s", "--api-configs", json.dumps(entries), "--codex-version", "0.130.0")
    assert cc.main(*argv).ok
    assert "p00, p01, p02, p03, p04, p05, p06, p07 and 4 more." in cc.main("list").stderr
    # The one that is switched to is not told of besides.
    assert "p00, p01, p02, p04, p05, p06, p07, p08 and 3 more." in cc.main("config-switch", "p03", *NEWEST).stderr
