"""What a later version, or a slip of the pen, put into profiles.toml: kept and named, and nothing stops for it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from support import cc

KEY = "sk-unknown-members-0123456789"
FILE = ".config/ccsetup/profiles.toml"
FORMS = {
    "a member": ('[profiles.glm]\nshade = "blue"\n', ("shade",)),
    "of a client": ("[profiles.glm]\n[profiles.glm.codex]\nretries = 7\n", ("codex", "retries")),
    "another client": ('[profiles.glm]\n[profiles.glm.third]\nurl = "https://h"\n', ("third",)),
    "an array of tables": (
        "[profiles.glm]\n[[profiles.glm.steps]]\nn = 1\n[[profiles.glm.steps]]\nn = 2\n",
        ("steps",),
    ),
    "an inline table": ("[profiles.glm]\nlimits = {day = 3, at = 07:30:00}  # mine\n", ("limits",)),
    "a dotted key": ("[profiles.glm]\ncodex.retries = 7\n", ("codex", "retries")),
    "a quoted key": ('[profiles.glm]\n"odd key" = [1, 2]\n', ("odd key",)),
    "numbers": ("[profiles.glm]\nx = inf\n", ("x",)),
}
KNOWN = 'provider = "glm"\nregion = "cn"\nkey_storage = "inline"\n'


def saved(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((home / FILE).read_text("utf-8"))["profiles"]
    return found


def member(table: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        table = table[name]
    return table


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def unknown(request: pytest.FixtureRequest, home: Path) -> tuple[str, ...]:
    """Write the home of a profile with something unknown in its table; return where that is."""
    text, path = request.param
    text = text.replace("[profiles.glm]\n", "[profiles.glm]\n" + KNOWN, 1)
    if "codex" not in text:
        text += "[profiles.glm.codex]\n"
    cc.put(home, {FILE: text + "[profiles.glm.claude-code]\n", ".config/ccsetup/keys/glm": KEY})
    return tuple(path)


def test_every_command_goes_on_and_keeps_it(home: Path, unknown: tuple[str, ...]) -> None:
    """Reading commands name it; those that write the profile anew, copy it or call it otherwise take it along."""
    value = member(saved(home)["glm"], unknown)
    listed = cc.main("list")
    assert listed.ok, listed
    assert f"profiles.glm.{'.'.join(unknown)}: this is not known; it stays as it is" in listed.stderr
    assert listed.stderr.count("not known") == 1
    for argv in (
        ("config-switch", "glm"),
        ("init", "-s", "-p", "glm", "-k", KEY + "new", "-T", "all", "--region", "intl", "-M", "other-model"),
        ("init", "-s", "-p", "glm", "-k", KEY, "-T", "all", "--key-storage", "command"),
    ):
        done = cc.main(*argv)
        assert done.ok, done
        assert done.stderr.count("not known") == 1, done
        assert member(saved(home)["glm"], unknown) == value
    assert saved(home)["glm"]["key_storage"] == "command"
    assert cc.main("profile", "copy", "glm", "twin").ok
    assert cc.main("profile", "rename", "glm", "renamed").ok
    assert member(saved(home)["twin"], unknown) == member(saved(home)["renamed"], unknown) == value


def test_undo_gives_it_back(home: Path, unknown: tuple[str, ...]) -> None:
    """Byte for byte."""
    before = (home / FILE).read_bytes()
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY + "new", "-T", "all", "-M", "other-model").ok
    assert (home / FILE).read_bytes() != before
    assert cc.main("undo").ok
    assert (home / FILE).read_bytes() == before


def test_doctor_warns(home: Path, unknown: tuple[str, ...]) -> None:
    """It may be a slip of the pen: doctor shows the place, and the repair leaves it."""
    before = (home / FILE).read_bytes()
    for argv in (("doctor", "--json"), ("doctor", "--fix", "--yes", "--json")):
        checks = cc.main(*argv).json["result"]["checks"]
        found = [f for c in checks for f in c["findings"] if "not known" in f["text"]]
        assert [f["level"] for f in found] == ["warning"]
    assert (home / FILE).read_bytes() == before
