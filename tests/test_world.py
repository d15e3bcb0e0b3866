"""The world of the tests and of the documentation: nothing of the machine shows in it."""

from __future__ import annotations

import os
import re
import shutil
import socket
from pathlib import Path

import pytest
from support import cc, client_install, world

KEY = "sk-test-0123456789abcdef"
VIA = ("init", "-s", "-p", "siliconflow", "-k", KEY, "-T", "codex", "--via-relay", "--no-start")


def test_no_client_is_on_path() -> None:
    """Whatever is installed: tests put stand-ins there, or none."""
    assert shutil.which("claude") is shutil.which("codex") is None
    assert shutil.which("git")


@pytest.mark.parametrize("start", [cc.run, lambda home, *argv: cc.main(*argv)], ids=["process", "here"])
def test_the_usual_port_is_the_worlds_own(home: Path, start: object) -> None:
    """A new relay takes it without a word, also where another program has 5101, and writes it as the usual one."""
    assert callable(start)
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", 5101))
        except OSError:
            pass  # it is taken already
        done = start(home, *VIA)
    assert done.ok, done
    assert "is used by another program" not in done.stderr
    assert f"127.0.0.1:{os.environ['WORLD_PORT']}/v1" in (home / ".codex/config.toml").read_text()
    assert "listen" not in (home / ".config/ccsetup/relay.yaml").read_text()


def test_a_port_is_nobody_elses() -> None:
    """Only who asks for it gets it."""
    with world.Port() as port, socket.socket() as other:
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", port.number))
        with socket.create_server(("127.0.0.1", port.number)):  # sets SO_REUSEADDR, as the relay does
            pass


def test_stand_ins_are_what_is_installed(home: Path, tmp_path: Path) -> None:
    """They come with the newest pinned versions, or with those that are named."""
    made = world.clients(tmp_path / "newest"), world.clients(tmp_path / "named", claude="2.1.5", codex="0.101.0")
    newest = {name: client_install.pinned(name)[0] for name in ("claude-code", "codex")}
    for folder, versions in zip(made, (newest, {"claude-code": "2.1.5", "codex": "0.101.0"}), strict=True):
        done = cc.run(home, "doctor", "--json", env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})
        assert done.json["result"]["clients"] == versions


def test_the_clock_stands_where_it_was_set(home: Path) -> None:
    """Times that are printed are those of the world."""
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, env={"WORLD_TIME": "1795176000"}).ok
    said = cc.run(home, "undo", "--list", "--json", env={"TZ": "UTC"}).stdout
    assert re.findall(r"\d{4}-\d\d-\d\dT[^\"]*", said) == ["2026-11-20T12:00:00+0000"]
