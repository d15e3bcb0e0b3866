"""A relay that its clients do not reach is said by list, test and doctor, with what to type."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import cc, fake_relay, waiting, world

from ccsetup.cli.relay import _base
from ccsetup.platform import system

KEY = "sk-test-0123456789abcdef"
STATE = ".local/state/ccsetup/relay"
COMMANDS = (("list",), ("test", "--quick"), ("doctor",), ("config-switch", "-l"))


@pytest.fixture
def used(home: Path) -> Path:
    """A home whose clients use a relay that does not run."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "all").ok
    port = world.port()
    assert cc.main("relay", "init", "--from-profiles", "glm", "--port", str(port)).ok
    profiles = home / ".config/ccsetup/profiles.toml"
    assert f":{port}" in profiles.read_text()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ccsetup.cli.relay._up.start_for_clients", lambda _context: None)
        assert cc.main("config-switch", "relay").ok
    return home


def said(*argv: str) -> str:
    """Return what a command says, in one line."""
    done = cc.main(*argv)
    return " ".join((done.stdout + done.stderr).split())


def recorded(home: Path, **changes: Any) -> None:
    """Write run.json as a relay that was killed left it."""
    pid = os.getpid()
    run = {"pid": pid, "born": system.born(pid), "url": "http://127.0.0.1:1", "config": "", "token": "t", "version": ""}
    folder = home / STATE
    cc.put(home, {STATE + "/run.json": json.dumps({**run, "folder": str(folder), **changes})})


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("stale", [None, {"pid": 2**22 - 1}, {"born": "another process"}, {"url": 5}])
def test_a_relay_that_does_not_run(used: Path, command: tuple[str, ...], stale: Any) -> None:
    """Whether it never ran or was killed: the clients, why, and the command that starts it."""
    if stale is not None:
        recorded(used, **stale)
    text = said(*command)
    assert "Claude Code, Codex cannot work: the profile is 'relay', and the relay does not run." in text
    assert "Run: ccsetup relay start" in text


def test_programs_are_told(used: Path) -> None:
    """--json has it among the notes, and the exit codes stay: list is fine, test cannot reach it."""
    shown = cc.main("list", "--json")
    tested = cc.main("test", "--quick", "--json")
    assert (shown.rc, tested.rc) == (0, 11)
    for done in (shown, tested):
        (note,) = [n for n in done.json["notes"] if "the relay does not run" in n["text"]]
        assert (note["level"], "ccsetup relay start" in note["hint"]) == ("blocked", True)


def test_only_those_who_go_through_it(used: Path) -> None:
    """One client, a copy of the profile under another name, a profile that is only tested; and nobody else."""
    assert cc.main("config-switch", "glm", "-T", "codex").ok
    assert "Claude Code cannot work: the profile is 'relay'" in said("list")
    assert "the relay does not run" not in said("list", "-T", "codex")
    assert "Claude Code, Codex cannot work" in said("test", "--quick", "relay")
    assert cc.main("profile", "copy", "relay", "work").ok
    assert cc.main("config-switch", "work", "-T", "codex").ok
    assert "Claude Code, Codex cannot work" in said("doctor")
    assert cc.main("config-switch", "official").ok
    for command in COMMANDS:
        assert "the relay does not run" not in said(*command)


def test_in_chinese(used: Path) -> None:
    assert "中继没有运行" in said("list", "--lang", "zh-CN")
    assert "ccsetup relay start" in said("list", "--lang", "zh-CN")


def test_what_it_needs_is_missing(used: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages come before the start, and so does the configuration."""
    (used / ".config/ccsetup/relay.yaml").unlink()
    assert "Set it up with: ccsetup relay init" in said("list")
    monkeypatch.setattr(_base, "NEEDED", ("no_such_package",))
    for command in COMMANDS:
        text = said(*command)
        assert "pip install 'ccsetup[relay]'" in text
        assert "Then run: ccsetup relay start" in text


@pytest.fixture
def elsewhere(used: Path) -> Iterator[Path]:
    """One that runs, but on another port."""
    (used / STATE).mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, fake_relay.__file__, str(used / STATE)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, env=cc.environment(used)) as process:
        try:
            waiting.until(lambda: (used / STATE / "run.json").exists())
            yield used
        finally:
            process.kill()


def test_a_relay_on_another_port(elsewhere: Path) -> None:
    """It runs, but not where the clients ask: both addresses, and what brings them together."""
    for command in COMMANDS:
        text = said(*command)
        assert "the relay listens at http://127.0.0.1:" in text
        assert "but the clients ask at http://127.0.0.1:" in text
        assert "Run: ccsetup relay restart" in text


def test_a_relay_that_takes_no_requests(used: Path) -> None:
    """Its process is there and does not answer; list, which asks nobody, does not notice where the port is right."""
    recorded(used)
    assert "takes no requests" in said("list")
    assert "takes no requests" in said("test", "--quick")
    assert "ccsetup relay stop --now" in said("doctor")
