"""What Tab offers: in bash, zsh and fish themselves, and what each value of a list is completed to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest
from support import cc, waiting

KEY = "abcdef0123456789abcdef0123456789.abcdefgh12345678"
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture
def used(home: Path) -> Path:
    """Two profiles and a relay's file, and ``ccsetup`` on PATH."""
    for provider in ("glm", "deepseek"):
        assert cc.main("init", "-s", "-p", provider, "-k", KEY, "--force-key", "-n", f"my-{provider}").ok
    assert cc.main("relay", "init", "--from-profiles", "my-glm").ok
    program = home / "bin" / "ccsetup"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ccsetup "$@"\n')
    program.chmod(0o755)
    return home


def environment(home: Path) -> dict[str, str]:
    return cc.environment(home) | {"PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}", "TERM": "dumb"}


def offered(home: Path, line: str) -> dict[str, str]:
    """Return the words that fish is told for *line*, and what is said of each."""
    env = environment(home) | {"_CCSETUP_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        [home / "bin" / "ccsetup"],
        env=env | {"_TYPER_COMPLETE_ARGS": line},
        capture_output=True,
        text=True,
        timeout=waiting.LIMIT,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    rows = [row.partition("\t") for row in done.stdout.splitlines()]
    return {word: text for word, _tab, text in rows}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("init -p gl", {"glm"}),
        ("init -T ", {"claude-code", "codex", "all"}),
        ("init -p glm --region ", {"cn", "intl"}),
        ("init -p glm -M glm-5.3", {"glm-5.3", "glm-5.3-flash"}),
        ("init --key-storage ", {"inline", "env", "command", "dotenv", "keyring"}),
        ("config-switch ", {"my-glm", "my-deepseek", "relay", "official"}),
        ("config-switch my-g", {"my-glm"}),
        ("test my-", {"my-glm", "my-deepseek"}),
        ("key set ", {"my-glm", "my-deepseek", "relay"}),
        ("key rm my-d", {"my-deepseek"}),
        ("profile rm ", {"my-glm", "my-deepseek", "relay"}),
        ("profile rename my-g", {"my-glm"}),
        ("export my-", {"my-glm", "my-deepseek"}),
        ("relay rm ", {"my-glm"}),
        ("relay add my-", {"my-glm", "my-deepseek"}),
        ("relay reset ", {"my-glm"}),
        ("completion z", {"zsh"}),
        ("--lang ", {"en", "zh-CN"}),
    ],
)
def test_values_that_are_offered(used: Path, line: str, words: set[str]) -> None:
    assert set(offered(used, f"ccsetup {line}")) == words


def test_each_word_is_one_line(used: Path) -> None:
    """However long what is said of it: fish takes the rest for one more word."""
    commands = offered(used, "ccsetup ")
    assert {"init", "config-switch", "relay"} <= commands.keys()
    assert all(re.fullmatch(r"[a-z-]+", word) and len(text) > 10 for word, text in commands.items())
    options = offered(used, "ccsetup init --")
    assert "--provider" in options
    assert all(re.fullmatch(r"--[a-z-]+", word) for word in options)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_itself_offers_them(used: Path, shell: str) -> None:
    """With the script that ``ccsetup completion SHELL`` prints: one word that fits is put in, several are shown."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = used / "completion"
    script.write_text(cc.run(used, "completion", shell).stdout)
    if shell == "fish":  # it says by itself what it would offer
        ask = f"source {script}; complete -C 'ccsetup config-switch my-'; complete -C 'ccsetup init -p gl'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", ask],
            env=environment(used),
            capture_output=True,
            text=True,
            timeout=waiting.LIMIT,
        )
        assert done.stdout.split() == ["my-deepseek", "my-glm", "glm"], done
        return
    argv, load = {
        "bash": (["--norc", "--noprofile", "-i"], f"source {script}"),
        "zsh": (["-f", "-i"], f"autoload -Uz compinit; compinit -u -D; source {script}"),
    }[shell]
    child = pexpect.spawn(
        shell, argv, env=environment(used), cwd=str(used), encoding="utf-8", timeout=waiting.LIMIT, dimensions=(24, 80)
    )
    try:
        child.sendline(f"PS1='rea''dy> '; {load}; echo lo''aded")
        child.expect("loaded")
        child.expect("ready> ")
        child.send("ccsetup init -p gl\t")
        child.expect("glm ")
        child.send("\x15ccsetup config-switch my-\t\t")
        child.expect("my-deepseek +my-glm")
    finally:
        child.close(force=True)
