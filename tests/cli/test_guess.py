"""What people type without having read anything: it works where it is certain; else one line says what to type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import cc

from ccsetup.cli import _guess
from ccsetup.cli._app import COMMANDS

KEY = "sk-guess-0123456789abcdef"


@pytest.fixture
def two(home: Path) -> Path:
    """Return a home where both clients use ``glm``, Claude Code alone used ``ds`` before, and ``ds`` is saved."""
    for name, provider in (("glm", "glm"), ("ds", "deepseek")):
        assert cc.run(home, "init", "-s", "-p", provider, "-n", name, "-k", KEY).ok
    assert cc.run(home, "config-switch", "glm", "-s").ok
    return home


def used(home: Path) -> dict[str, Any]:
    clients = json.loads(cc.run(home, "list", "--json").stdout)["result"]["clients"]
    return {name: state.get("profile", "") for name, state in clients.items()}


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        *((f"{word} ds --dry-run", "config-switch ds --dry-run") for word in ("use", "switch", "cs", "Use")),
        *(("status", "list"), ("current", "list"), ("ls", "list"), ("profiles", "profile list")),
        *(("profile ls", "profile list"), ("providers", "list --providers"), ("keys", "key list")),
        *(("key ls", "key list"), ("version", "--version"), ("help", "--help"), ("help init", "init --help")),
        *(("help relay stats", "relay stats --help"), ("LIST", "list"), ("help cs", "cs --help")),
        *(("help status", "list --help"), ("help Use", "use --help"), ("help version", "version --help")),
        *(("list -T claude", "list -T claude-code"), ("list -T CC", "list -T cc"), ("list -T Codex", "list -T codex")),
        ("rename ds other --dry-run", "profile rename ds other --dry-run"),
        ("remove ds --dry-run", "profile rm ds --dry-run"),
        ("rm ds --dry-run", "profile rm ds --dry-run"),
        ("delete ds --dry-run", "profile rm ds --dry-run"),
        ("profile remove ds --dry-run", "profile rm ds --dry-run"),
        (f"init -s -p GLM -n new -k {KEY} --dry-run", f"init -s -p glm -n new -k {KEY} --dry-run"),
    ],
)  # fmt: skip
def test_it_is_the_command_that_is_meant(two: Path, typed: str, command: str) -> None:
    """Both print the same and end alike."""
    meant = cc.run(two, *command.split())
    again = cc.run(two, *typed.split())
    assert (again.rc, again.stdout, again.stderr) == (meant.rc, meant.stdout, meant.stderr)
    assert again.ok


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        *(("config-swich ds", "ccsetup config-switch"), ("inti -p glm", "ccsetup init"), ("lsit", "ccsetup list")),
        *(("setup", "ccsetup init"), ("add glm", "ccsetup init"), ("login", "ccsetup init"), ("check", "ccsetup test")),
        *(("stop", "ccsetup relay stop"), ("logs", "ccsetup relay logs"), ("reset", "ccsetup config-switch official")),
        *(("fix", "ccsetup doctor --fix"), ("config", "ccsetup init")),
        *(("profile lst", "ccsetup profile list"), ("key sett ds", "ccsetup key set")),
        ("relay stat", "ccsetup relay stats"),
        *(("stauts", "ccsetup list"), ("swich ds", "ccsetup config-switch")),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_named(two: Path, typed: str, hint: str) -> None:
    """One sentence, the command to type, exit code 2; nothing happens."""
    before = used(two)
    done = cc.run(two, *typed.split())
    assert done.rc == 2
    assert done.stdout == ""
    problem, said = done.stderr.splitlines()
    assert problem.startswith("Error: No such command '")
    assert said.startswith(f"Did you mean: {hint}")
    assert used(two) == before


def test_a_word_like_no_other_leads_to_the_help(home: Path) -> None:
    """What resembles nothing gets no wrong suggestion."""
    for typed, where in (("qqqq", "ccsetup"), ("relay qqqq", "ccsetup relay")):
        done = cc.run(home, *typed.split())
        assert (done.rc, done.stderr.splitlines()[1]) == (2, f"See: {where} --help")


def test_the_former_profile(two: Path) -> None:
    """``-`` goes back to what was used before the last switch, and the next one returns; both clients or one."""
    assert used(two)["claude-code"] == "glm"
    assert cc.run(two, "config-switch", "-").ok
    assert used(two)["claude-code"] == "ds"
    assert cc.run(two, "use", "-").ok
    assert used(two)["claude-code"] == "glm"
    assert cc.run(two, "config-switch", "official").ok
    assert cc.run(two, "config-switch", "-").ok
    assert used(two)["claude-code"] == "glm"
    assert cc.run(two, "config-switch", "-").ok
    assert used(two)["claude-code"] == ""


def test_the_former_profile_counts_no_undo_and_no_dry_run(two: Path) -> None:
    """A change that was taken back did not happen; looking at one is none."""
    assert cc.run(two, "config-switch", "ds").ok
    assert cc.run(two, "undo").ok
    assert cc.run(two, "config-switch", "-", "--dry-run").ok
    assert used(two)["claude-code"] == "glm"
    assert cc.run(two, "config-switch", "-").ok
    assert used(two)["claude-code"] == "ds"


def test_a_former_profile_that_is_gone(two: Path) -> None:
    """It is passed over; where nothing is left, one sentence says so."""
    assert cc.run(two, "profile", "rm", "ds", "--yes").ok
    done = cc.run(two, "config-switch", "-")
    assert done.ok, done.stderr
    assert used(two)["claude-code"] == ""


def test_a_former_profile_that_has_another_name(two: Path) -> None:
    """It is meant by that, also after two new names; the new name of the one in use is no former profile."""
    assert cc.run(two, "profile", "rename", "glm", "zhipu").ok
    for old, new in (("ds", "deep"), ("deep", "deepseek")):
        assert cc.run(two, "profile", "rename", old, new).ok
    assert cc.run(two, "config-switch", "-").ok
    assert used(two)["claude-code"] == "deepseek"
    assert cc.run(two, "config-switch", "-").ok
    assert used(two)["claude-code"] == "zhipu"


def test_a_former_profile_without_settings_for_the_client(home: Path) -> None:
    """It is passed over: Codex could not use it."""
    for name in ("one", "two", "three"):
        assert cc.run(home, "init", "-s", "-p", "glm", "-n", name, "-k", KEY, "-T", "codex").ok
    path = home / ".config/ccsetup/profiles.toml"
    path.write_text(path.read_text().replace("[profiles.two.codex]", "[profiles.two.claude-code]"))
    done = cc.run(home, "config-switch", "-")
    assert done.ok, done.stderr
    assert used(home)["codex"] == "one"


def test_no_former_profile(home: Path) -> None:
    """In a new home there is nothing to go back to."""
    done = cc.run(home, "config-switch", "-")
    assert done.rc == 2
    assert done.stderr.startswith("Error: There is no former profile to go back to.\n")


def test_other_names_are_no_commands() -> None:
    """No word stands for one command and is another; what it stands for begins with a command."""
    for group, names in _guess.OTHER_NAMES.items():
        if not group:
            assert not set(names) & set(COMMANDS)
            assert {meant.split()[0] for meant in names.values()} <= set(COMMANDS)


@pytest.mark.parametrize("word", ["key", "quota", "config", "unreachable"])
def test_a_verdict_is_explained(home: Path, word: str) -> None:
    """``ccsetup test`` names the command that explains its verdict, and it needs neither network nor documents."""
    done = cc.run(home, "help", word)
    assert done.ok
    assert done.stdout.startswith(f"The verdict '{word}' of 'ccsetup test':\n")


def test_help_for_what_there_is_not(home: Path) -> None:
    """The error names everything that there is help for."""
    done = cc.run(home, "help", "nonsense")
    assert done.rc == 2
    assert done.stderr.startswith("Error: There is no help on 'nonsense'.\n")
    assert "config-switch" in done.stderr
    assert "unreachable" in done.stderr
