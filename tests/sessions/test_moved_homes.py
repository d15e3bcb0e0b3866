"""Homes that were copied, moved, linked or shared: a record is of the home that it is in, and nothing else changes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Optional

import pytest
from support import cc, homes

KEY = "sk-moved-0123456789abcdef"
Tree = dict[str, tuple[int, bytes]]


def tree(folder: Path) -> Tree:
    """Return everything below *folder*: mode and contents, or where a link leads."""
    found: Tree = {}
    for path in sorted(folder.rglob("*")):
        data = os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[path.relative_to(folder).as_posix()] = (path.lstat().st_mode, data)
    return found


def furnish(home: Path, cwd: Optional[Path] = None, env: Optional[dict[str, Optional[str]]] = None) -> None:
    """Two profiles; the clients had settings before, and use the second one now."""
    cc.put(home, {".claude/settings.json": '{"theme": "dark"}\n', ".codex/config.toml": '# mine\nmodel = "own"\n'})
    for preset in ("glm", "kimi"):
        done = cc.run(home, "init", "-s", "-p", preset, "-k", f"{KEY}-{preset}", "-T", "all", cwd=cwd, env=env)
        assert done.ok, done


def copied(home: Path) -> Path:
    """Return a copy of *home*, as ``cp -a`` makes it."""
    copy = home.parent / "copy"
    shutil.copytree(home, copy, symlinks=True)
    return copy


def old(home: Path) -> None:
    """Make the records in *home* what earlier versions wrote: absolute paths, and nothing of their home."""

    def path(name: str) -> str:
        return name.replace("home:", f"{home}/").replace("state:", f"{home}/.local/state/ccsetup/")

    state = home / ".local/state/ccsetup"
    for file in sorted(state.glob("journal/*")):
        record = json.loads(file.read_bytes())
        record["version"] = 1
        del record["home"]
        record["made"] = [path(name) for name in record["made"]]
        record["locks"] = [[path(name), *identity] for name, *identity in record["locks"]]
        for item in record["files"]:
            item["path"] = item["real"] = path(item["path"])
            item["temp"] = os.path.join(os.path.dirname(item["path"]), item["temp"])
            if item["path"].endswith("state.json"):
                for side in ("before", "after"):
                    item[side] = item[side] and old_state(item[side], path)
        file.write_text(json.dumps(record))
    (state / "state.json").write_text(old_state((state / "state.json").read_text(), path))


def old_state(text: str, path: Callable[[str], str]) -> str:
    data = json.loads(text)
    data.pop("home", None)
    for slots in (data.get("clients", {}), *data.get("saved", {}).values(), data.get("projects", {})):
        for name in list(slots):
            slot = slots.pop(name)
            slot["owned"] = {path(file): items for file, items in slot["owned"].items()}
            slots[path(name)] = slot
    return json.dumps(data, indent=2) + "\n"


AGES = pytest.mark.parametrize("age", ["today", "old"])


@AGES
@pytest.mark.parametrize(
    "argv",
    [
        ("config-switch", "glm"),
        ("config-switch", "official"),
        ("init", "-s", "-p", "deepseek", "-k", KEY, "-T", "all"),
        ("undo",),
        ("uninstall", "--yes"),
        ("profile", "rm", "kimi", "--yes"),
        ("profile", "rename", "kimi", "moon"),
    ],
    ids=lambda argv: argv[0] + "-" + argv[-1],
)
def test_a_copy_acts_on_the_copy_alone(home: Path, age: str, argv: tuple[str, ...]) -> None:
    """The command does in a copy what it would have done in the original, which stays as it is in every byte."""
    furnish(home)
    if age == "old":
        old(home)
    copy = copied(home)
    before = tree(home)
    done = cc.run(copy, *argv)
    assert done.ok, done
    assert "unchanged" not in done.stdout
    assert tree(home) == before
    assert cc.run(home, *argv).ok
    there = {name: data.replace(str(home).encode(), str(copy).encode()) for name, data in cc.files(home).items()}
    here = {name: data.replace(str(home).encode(), str(copy).encode()) for name, data in cc.files(copy).items()}
    assert here == there
    state = copy / ".local/state/ccsetup/state.json"
    if state.exists() and argv != ("undo",):  # which gives every byte of before back
        record = json.loads(state.read_bytes())
        assert record["home"].pop("from") == str(home / ".local/state/ccsetup")  # nothing is written there
        assert str(home) not in json.dumps({**record, "saved": {}}), state.read_text()


@AGES
def test_a_switch_in_a_copy_takes_the_former_provider_out(home: Path, age: str) -> None:
    furnish(home)
    if age == "old":
        old(home)
    copy = copied(home)
    assert cc.run(copy, "config-switch", "glm").ok
    config = (copy / ".codex/config.toml").read_text()
    assert "ccsetup" in config
    assert "kimi" not in config
    assert "kimi" not in (copy / ".claude/settings.json").read_text()
    assert cc.run(copy, "config-switch", "official").ok
    assert (copy / ".codex/config.toml").read_text() == '# mine\nmodel = "own"\n'
    assert (copy / ".claude/settings.json").read_text() == '{"theme": "dark"}\n'


@AGES
@pytest.mark.parametrize("how", ["renamed", "linked", "by its real path", "copied and removed", "restored"])
def test_a_moved_home_works_as_before(home: Path, age: str, how: str) -> None:
    """Every change can be taken back, down to the first byte; the project outside is part of that."""
    real = home.with_name("real")
    if how == "by its real path":
        home.rename(real)
        home.symlink_to(real)
    project = home.parent / "project"
    cc.put(project, {".claude/settings.local.json": '{"permissions": {}}\n'})
    furnish(home)
    first = cc.files(project)
    assert cc.run(home, "config-switch", "glm", "--project", cwd=project).ok
    if age == "old" and how != "restored":
        old(home)
    now = home
    if how in ("renamed", "linked"):
        now = home.rename(home.with_name("moved"))
        if how == "linked":
            home.symlink_to(now)
    elif how == "by its real path":
        now = real
    elif how == "copied and removed":
        now = copied(home)
        shutil.rmtree(home)
    elif how == "restored":
        shutil.copytree(home, home.with_name("backup"), symlinks=True)
        shutil.rmtree(home)
        home.with_name("backup").rename(home)
    listed = cc.run(now, "list", "--json")
    assert [c["profile"] for c in listed.json["result"]["clients"].values()] == ["kimi", "kimi"], listed
    for _change in range(3):
        done = cc.run(now, "undo")
        assert done.ok, done
    assert cc.files(project) == first
    left = cc.files(now)
    assert left.pop(".claude/settings.json") == b'{"theme": "dark"}\n'
    assert left.pop(".codex/config.toml") == b'# mine\nmodel = "own"\n'
    assert left == {}


@AGES
def test_a_project_stays_with_the_home_that_set_it(home: Path, tmp_path: Path, age: str) -> None:
    """No command in a copied home changes it, or says that it did; the original's uninstall takes it along."""
    project = tmp_path / "project"
    project.mkdir()
    furnish(home)
    assert cc.run(home, "config-switch", "kimi", "--project", cwd=project).ok
    if age == "old":
        old(home)
    copy = copied(home)
    before = tree(home), tree(project)
    undo = cc.run(copy, "undo")
    assert undo.rc == 1, undo
    assert "does not belong to this home" in undo.stderr
    for argv in (("profile", "rm", "kimi", "--yes"), ("uninstall", "--yes")):
        done = cc.run(copy, *argv)
        assert done.ok, done
        if argv[0] == "profile":
            assert f"{project} was set from another home" in done.stderr
    assert (tree(home), tree(project)) == before
    assert cc.run(home, "uninstall", "--yes").ok
    assert not (project / ".claude/settings.local.json").exists()


def test_the_home_that_set_a_project_last_has_it(home: Path, tmp_path: Path) -> None:
    """A copy that set the project anew has it from then on; standing in it, either may."""
    project = tmp_path / "project"
    project.mkdir()
    furnish(home)
    assert cc.run(home, "config-switch", "kimi", "--project", cwd=project).ok
    copy = copied(home)
    assert cc.run(copy, "config-switch", "kimi", "--project", cwd=project).ok
    before = tree(project)
    done = cc.run(home, "uninstall", "--yes")
    assert done.ok, done
    assert "was set from another home" in done.stderr
    assert tree(project) == before
    assert cc.run(copy, "uninstall", "--yes").ok
    left = (project / ".claude/settings.local.json").read_text()
    assert not any(gone in left for gone in (KEY, "ANTHROPIC", "ccsetupHome")), left


def test_a_project_that_was_copied_along_is_the_copys(tmp_path: Path) -> None:
    """A folder with a home and a project beside it, copied as a whole."""
    home, project = tmp_path / "one/home", tmp_path / "one/project"
    for folder in (home, project):
        folder.mkdir(parents=True)
    furnish(home)
    assert cc.run(home, "config-switch", "glm", "--project", cwd=project).ok
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    before = tree(tmp_path / "one")
    done = cc.run(tmp_path / "two/home", "uninstall", "--yes")
    assert done.ok, done
    assert not (tmp_path / "two/project/.claude/settings.local.json").exists()
    assert tree(tmp_path / "one") == before


def test_a_project_inside_the_home_needs_no_mark(home: Path) -> None:
    project = home / "code/shop"
    project.mkdir(parents=True)
    furnish(home)
    assert cc.run(home, "config-switch", "glm", "--project", cwd=project).ok
    assert "ccsetupHome" not in (project / ".claude/settings.local.json").read_text()
    copy = copied(home)
    before = tree(home)
    assert cc.run(copy, "uninstall", "--yes").ok
    assert not (copy / "code/shop/.claude/settings.local.json").exists()
    assert tree(home) == before


def test_a_project_that_is_gone_is_not_made_again(home: Path, tmp_path: Path) -> None:
    """Moved away with its settings, and nothing in its place."""
    project = tmp_path / "project"
    project.mkdir()
    furnish(home)
    assert cc.run(home, "config-switch", "glm", "--project", cwd=project).ok
    project.rename(tmp_path / "elsewhere")
    before = tree(tmp_path / "elsewhere")
    assert cc.run(home, "undo").ok
    assert cc.run(home, "uninstall", "--yes").ok
    assert not project.exists()
    assert tree(tmp_path / "elsewhere") == before


@AGES
@pytest.mark.parametrize("variable", ["CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME"])
def test_a_folder_of_one_run_only_is_for_such_a_run_to_write(
    home: Path, tmp_path: Path, variable: str, age: str
) -> None:
    """Without the variable its change is not taken back, and with another folder neither."""
    furnish(home)
    folder = tmp_path / "for-once"
    argv = ("init", "-s", "-n", "once", "-p", "deepseek", "-k", KEY, "-T", "all")
    # Elsewhere: in the home itself ~/.claude/settings.json would be a project's, and come first.
    assert cc.run(home, *argv, env={variable: str(folder)}, cwd=tmp_path).ok
    if age == "old":
        old(home)
    before = tree(folder), tree(home)
    for env in ({}, {variable: str(tmp_path / "another")}):
        done = cc.run(home, "undo", env=env)
        assert done.rc == 1, done
        assert f"{folder}" in done.stderr
        assert "does not belong to this home" in done.stderr
        assert (tree(folder), tree(home)) == before
    assert cc.run(home, "config-switch", "glm").ok
    assert cc.run(home, "uninstall", "--yes").ok
    assert tree(folder) == before[0]
    assert cc.run(home, "undo").ok
    assert cc.run(home, "undo", "4").ok
    assert cc.run(home, "undo", "3", env={variable: str(folder)}).ok
    assert not cc.files(folder)


def test_a_switch_in_a_copied_folder_of_its_own(tmp_path: Path) -> None:
    """HOME, CLAUDE_CONFIG_DIR and CODEX_HOME beside each other, copied together: each takes its own provider out."""

    def env(base: str) -> dict[str, Optional[str]]:
        return {n: str(tmp_path / base / f) for n, f in (("CLAUDE_CONFIG_DIR", "claude"), ("CODEX_HOME", "codex"))}

    home = tmp_path / "one/home"
    home.mkdir(parents=True)
    furnish(home, env=env("one"))
    shutil.copytree(tmp_path / "one", tmp_path / "two", symlinks=True)
    before = tree(tmp_path / "one")
    assert cc.run(tmp_path / "two/home", "config-switch", "glm", env=env("two")).ok
    assert "kimi" not in (tmp_path / "two/codex/config.toml").read_text()
    for argv in (("undo",), ("undo",), ("uninstall", "--yes")):
        assert cc.run(tmp_path / "two/home", *argv, env=env("two")).ok
    assert tree(tmp_path / "one") == before
    assert not list((tmp_path / "two/codex").iterdir())
    assert not (tmp_path / "two/claude/settings.json").exists()


@AGES
def test_two_users_with_one_state_folder(home: Path, tmp_path: Path, age: str) -> None:
    """Each has a record of its own there, and takes back only what was changed in its own home."""
    other = tmp_path / "other"
    env: dict[str, Optional[str]] = {"XDG_STATE_HOME": str(tmp_path / "shared")}
    furnish(home, env=env)
    if age == "old":
        share = tmp_path / "shared/ccsetup"
        (home / ".local/state").mkdir(parents=True)
        share.rename(home / ".local/state/ccsetup")
        old(home)
        (home / ".local/state/ccsetup").rename(share)
        for file in (*share.glob("journal/*"), share / "state.json"):
            file.write_text(file.read_text().replace(f"{home}/.local/state", f"{tmp_path}/shared"))
    before = tree(home)
    other.mkdir()
    done = cc.run(other, "undo", env=env)
    assert done.rc == 1, done
    done = cc.run(other, "undo", "2", env=env)
    assert done.rc == 1, done
    assert str(home) in done.stderr
    furnish(other, env=env)
    assert cc.run(other, "config-switch", "glm", env=env).ok
    assert cc.run(other, "undo", env=env).ok
    assert tree(home) == before
    theirs = tree(other)
    assert cc.run(home, "config-switch", "glm", env=env).ok
    assert "kimi" not in (home / ".codex/config.toml").read_text()
    assert cc.run(home, "undo", env=env).ok
    assert cc.run(home, "uninstall", "--yes", env=env).ok
    assert tree(other) == theirs
    assert (home / ".codex/config.toml").read_text() == '# mine\nmodel = "own"\n'
    assert cc.run(other, "uninstall", "--yes", env=env).ok
    assert (other / ".codex/config.toml").read_text() == '# mine\nmodel = "own"\n'
    assert not (tmp_path / "shared/ccsetup/state.json").exists()


@AGES
@pytest.mark.parametrize("way", ["in", "out"])
def test_a_home_inside_another_home(home: Path, age: str, way: str) -> None:
    """A backup below the home is a home of its own; so is the home that a backup was unpacked into."""
    inner = home / "backup"
    source, copy = (home, inner) if way == "in" else (inner, home)
    if way == "out":
        inner.mkdir()
    furnish(source)
    if age == "old":
        old(source)
    shutil.copytree(
        source, copy, symlinks=True, dirs_exist_ok=True, ignore=lambda d, _n: ["backup"] if d == str(home) else []
    )
    before = tree(source)

    def rest() -> Tree:
        return {name: found for name, found in tree(source).items() if not name.startswith("backup")}

    before = rest()
    for argv in (("config-switch", "glm"), ("undo",), ("undo",), ("uninstall", "--yes")):
        done = cc.run(copy, *argv)
        assert done.ok, done
        assert rest() == before, argv
    assert (copy / ".codex/config.toml").read_text() == '# mine\nmodel = "own"\n'


@AGES
def test_what_a_link_leads_to_is_written(home: Path, age: str) -> None:
    """Links in a copy that lead into the copy, as those of a dotfiles folder do, are followed there."""
    cc.put(home, {"dotfiles/settings.json": '{"theme": "dark"}\n', "dotfiles/config.toml": 'model = "own"\n'})
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").symlink_to("../dotfiles/settings.json")
    (home / ".codex").symlink_to("dotfiles")
    for preset in ("glm", "kimi"):
        assert cc.run(home, "init", "-s", "-p", preset, "-k", f"{KEY}-{preset}", "-T", "all").ok
    if age == "old":
        old(home)
    copy = copied(home)
    before = tree(home)
    for argv in (("config-switch", "glm"), ("undo",), ("undo",), ("uninstall", "--yes")):
        assert cc.run(copy, *argv).ok
    assert tree(home) == before
    assert (copy / "dotfiles/config.toml").read_text() == 'model = "own"\n'
    assert (copy / ".codex").is_symlink()


@AGES
def test_a_copy_of_a_change_that_was_killed(home: Path, age: str) -> None:
    """The copy takes its own half back and the original's stays for the original, which then does the same."""
    furnish(home)
    journal = home / ".local/state/ccsetup/journal"
    before = cc.files(home)
    assert cc.run(home, "config-switch", "glm").ok
    if age == "old":
        old(home)
    newest = sorted(journal.iterdir())[-1]
    newest.rename(newest.with_suffix(".pending"))
    copy = copied(home)
    original = tree(home)
    assert cc.run(copy, "profile", "copy", "glm", "new").ok
    assert tree(home) == original
    assert cc.files(copy)[".claude/settings.json"] == before[".claude/settings.json"]
    assert cc.files(copy)[".codex/config.toml"] == before[".codex/config.toml"]


KEPT = [pytest.param(kept, id=kept.id) for kept in homes.ALL]


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("argv", [("config-switch", "official"), ("undo",), ("uninstall", "--yes")], ids=lambda a: a[0])
def test_a_copy_of_a_kept_home(home: Path, kept: homes.Kept, argv: tuple[str, ...]) -> None:
    """The homes of earlier versions: the copy ends as the original would have, and the original is not touched."""
    homes.lay_out(kept, home)
    copy = copied(home)
    before = tree(home)
    results = {}
    for place in (copy, home):
        done = cc.run(place, *argv, env=homes.environment(place, kept.env))
        results[place] = (
            done.rc,
            {
                name: data.replace(str(home).encode(), b"@HOME@").replace(str(copy).encode(), b"@HOME@")
                for name, data in cc.files(place).items()
                if not name.endswith(("vault", "keyring.json"))  # one user has one keyring: the original's keys stay
            },
        )
        if place == copy:
            assert done.ok, done
            assert tree(home) == before
            assert "unchanged" not in done.stdout
    assert results[copy] == results[home]
