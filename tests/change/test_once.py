"""``ccsetup env``: quoting for each shell, and what a terminal sees; ``run`` with a stand-in for the client."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from support import cc, waiting

from ccsetup.change import once
from ccsetup.documents.edit import MISSING
from ccsetup.model import Secret

KEY = "sk-once-0123456789abcdef"
NASTY = "a'b\"c $HOME `id` \\ \\' !x \u2019;|&"


def test_bash_reads_back_what_was_meant() -> None:
    """No text steps out of its quotes."""
    line = once.export_line("X", Secret(NASTY), "bash")
    done = subprocess.run(["/bin/sh", "-c", f'{line}\nprintf %s "$X"'], capture_output=True, check=True)
    assert done.stdout.decode() == NASTY


def test_fish_and_pwsh_quotes() -> None:
    """Single quotes: fish knows ``\\\\`` and ``\\'`` in them; PowerShell doubles quotes, curly ones too."""
    assert once.export_line("X", "a'b\\c", "fish") == r"set -gx X 'a\'b\\c'"
    assert once.export_line("X", "a'b\u2019c\\", "pwsh") == "$env:X = 'a''b\u2019\u2019c\\'"
    assert once.export_line("X", MISSING, "fish") == "set -e X"
    assert once.export_line("X", MISSING, "bash") == "unset X"


def set_up(home: Path, *more: str) -> None:
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "--no-activate", *more).ok


def test_a_terminal_gets_the_key_masked(home: Path) -> None:
    set_up(home)
    env = {**cc.environment(home), "TERM": "dumb"}
    child = pexpect.spawn(
        sys.executable, ["-m", "ccsetup", "env", "glm"], env=env, encoding="utf-8", timeout=waiting.LIMIT
    )
    output = child.read()
    child.close()
    assert child.exitstatus == 0
    assert KEY not in output
    assert 'eval "$(ccsetup env glm)"' in output
    assert KEY in cc.run(home, "env", "glm").stdout


def test_settings_that_win_are_named(home: Path) -> None:
    """settings.json beats the shell, so env says that it will not do, and what will."""
    set_up(home)
    assert cc.run(home, "env", "glm").stderr == ""
    cc.put(home, {".claude/settings.json": '{"env": {"ANTHROPIC_BASE_URL": "https://x.example"}}'})
    done = cc.run(home, "env", "glm")
    assert "ANTHROPIC_BASE_URL" in done.stderr
    assert "ccsetup run glm -- claude" in done.stderr


def test_env_of_codex(home: Path) -> None:
    """Only a key that Codex reads from a variable can be exported."""
    set_up(home, "-T", "codex")
    done = cc.run(home, "env", "glm")
    assert (done.stdout, done.rc) == ("", 0)
    assert "codex --profile glm" in done.stderr
    assert cc.run(home, "init", "-s", "-n", "glm", "--key-storage", "env", "--no-activate").ok
    assert cc.run(home, "env", "glm", env={"ZHIPU_API_KEY": KEY}).stdout == f"export ZHIPU_API_KEY='{KEY}'\n"
    assert cc.run(home, "env", "glm").rc == 1
    assert cc.run(home, "env", "glm", "--unset").stdout == "unset ZHIPU_API_KEY\n"


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str | None]:
    """PATH with a ``claude`` and a ``codex`` that print their arguments, take a signal and end with code 7."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("claude", "codex"):
        (folder / name).write_text('#!/bin/sh\nprintf "%s\\n" "$@"\nenv | grep "^ANTHROPIC" >&2\nexit 7\n')
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.parametrize("program", ["claude", "codex"])
def test_run_hands_arguments_and_exit_code_over(home: Path, programs: dict[str, str | None], program: str) -> None:
    """The client gets the user's arguments behind ours, nothing of the shell's provider, and its code is the result."""
    set_up(home, "-T", "all")
    before = cc.files(home, records=True)
    env = programs | (
        {"ANTHROPIC_API_KEY": "leak", "ANTHROPIC_BASE_URL": "https://x.example"} if program == "claude" else {}
    )
    done = cc.run(home, "run", "glm", "--", program, "-q", "a b", "--x", env=env)
    assert done.rc == 7, done
    assert done.stdout.endswith("\n-q\na b\n--x\n")
    assert KEY not in done.stdout
    assert "leak" not in done.stderr
    assert cc.files(home, records=True) == before


def test_run_refuses_what_it_cannot_do(home: Path, programs: dict[str, str | None]) -> None:
    set_up(home)
    for argv, word in (
        (("vi",), "claude, codex"),
        (("claude", "--settings", "x"), "--settings"),
        (("codex",), "no settings for Codex"),
    ):
        done = cc.run(home, "run", "glm", "--", *argv, env=programs)
        assert done.rc == 2, done
        assert word in done.stderr
    missing = cc.run(home, "run", "glm", "--", "claude", env={"PATH": "/nonexistent"})
    assert missing.rc == 1
    assert "not installed" in missing.stderr


def test_a_signal_reaches_the_client(home: Path, tmp_path: Path) -> None:
    """The client has taken the place of ccsetup: what is sent to one reaches the other."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "claude").write_text('#!/bin/sh\ntrap "exit 42" TERM\necho ready\nwhile :; do sleep 0.05; done\n')
    (folder / "claude").chmod(0o755)
    set_up(home)
    child = cc.start(home, "run", "glm", "--", "claude", env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.terminate()
        assert child.wait(waiting.LIMIT) == 42
