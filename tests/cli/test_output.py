"""Output as a process makes it: the JSON envelope, languages, terminals that show little, pipes that close early."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import cc, waiting

KEY = "test-key-0123456789abcdef"
ENVELOPE = ["schema", "command", "ok", "result", "notes", "error"]


def shape(value: Any) -> Any:
    """Return the keys of *value*, of every level, and the types below them."""
    if isinstance(value, dict):
        return {k: shape(v) for k, v in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


CLIENT = {
    **dict.fromkeys(("profile", "url", "model", "credential"), "str"),
    "changed": "bool",
    "problem": "str",
    "source": "str",
}
PROFILE = {
    "name": "str",
    "provider": "str",
    "region": "str",
    "key_storage": "str",
    "clients": ["str"],
    "active": ["str"],
    "problem": "str",
}
PRESET = {
    "id": "str", "name": "str", "description": "str", "regions": ["str"], "clients": ["str"], "by_relay": [],
    "user": "bool",
}  # fmt: skip
SHAPES: list[tuple[tuple[str, ...], Any]] = [
    (
        ("init", "-s", "-p", "glm", "-k", KEY),
        {
            "profiles": ["str"],
            "active": {"claude-code": "str"},
            "changed": "bool",
            "would_change": "bool",
            "files": ["str"],
        },
    ),
    (
        ("init", "-s", "-p", "glm", "-k", KEY, "-T", "codex", "--dry-run"),
        {
            "profiles": ["str"],
            "active": {"claude-code": "str", "codex": "str"},
            "changed": "bool",
            "would_change": "bool",
            "files": ["str"],
            "diff": "str",
        },
    ),
    (
        ("config-switch", "official"),
        {"active": {"claude-code": "str", "codex": "str"}, "changed": "bool", "would_change": "bool", "files": ["str"]},
    ),
    (
        ("config-switch", "glm"),
        {"active": {"claude-code": "str"}, "changed": "bool", "would_change": "bool", "files": ["str"]},
    ),
    (("config-switch", "--list"), {"profiles": [PROFILE], "clients": {"claude-code": CLIENT, "codex": CLIENT}}),
    (("list",), {"profiles": [PROFILE], "clients": {"claude-code": CLIENT, "codex": CLIENT}, "presets": [PRESET]}),
    (
        ("undo", "--list"),
        {"changes": [{"id": "str", "time": "str", "command": "str", "undone": "bool", "files": ["str"]}]},
    ),
    (("undo",), {"changed": "bool", "would_change": "bool", "files": ["str"]}),
]


def test_the_json_envelope(home: Path) -> None:
    """Every command prints one object with the same keys; result keeps the keys that programs rely on."""
    for argv, wanted in SHAPES:
        done = cc.main(*argv, "--json")
        assert done.ok, done
        assert done.stderr == ""
        body = done.json
        assert list(body) == ENVELOPE
        assert (body["schema"], body["command"], body["ok"], body["error"]) == ("ccsetup/1", argv[0], True, None)
        assert shape(body["result"]) == wanted, argv


def test_json_notes_and_errors(home: Path) -> None:
    """Notes come with level, text and hint; an error with message, hint and exit code, also of the option parser."""
    cc.put(home, {".codex/config.toml": 'profile = "x"\n'})
    done = cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "codex", "--json")
    assert done.rc == 5
    (note,) = done.json["notes"]
    assert (note["level"], list(note)) == ("blocked", ["level", "text", "hint"])
    for argv in (("init", "--json", "--nonsense"), ("config-switch", "--json", "none")):
        body = cc.main(*argv).json
        assert list(body) == ENVELOPE
        assert (body["ok"], list(body["error"])) == (False, ["message", "hint", "exit_code", "kind"])


def test_version_and_help(home: Path) -> None:
    """--version and -V print the same; every command has --help, which names its options; none needs a home."""
    import ccsetup

    for argv in (("--version",), ("-V",)):
        assert cc.run(home, *argv).stdout == f"ccsetup {ccsetup.__version__}\n"
    for argv in ((), ("--help",), ("init", "--help"), ("config-switch", "-h"), ("list", "--help"), ("undo", "--help")):
        done = cc.run(home, *argv, env={"HOME": None})
        assert done.ok, done
        assert "--help" in done.stdout
        assert "ccsetup" in done.stdout


@pytest.mark.parametrize("value", [None, "", "relative/home", "."])
def test_home_has_to_be_a_folder_of_its_own(home: Path, value: str | None) -> None:
    """Without a usable HOME nothing is written anywhere; the error says so."""
    done = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, env={"HOME": value}, cwd=home)
    assert done.rc == 2
    assert "HOME" in done.stderr
    assert cc.files(home, records=True) == {}


def test_a_pipe_that_closes_early_is_no_error(home: Path) -> None:
    """``ccsetup list | head -1`` ends without a traceback and without "Broken pipe"."""
    for argv in (["list"], ["--help"], ["list", "--json"]):
        done = subprocess.run(
            ["/bin/sh", "-c", f"{sys.executable} -m ccsetup {' '.join(argv)} | head -c 1"],
            env=cc.environment(home),
            capture_output=True,
            text=True,
            check=False,
            timeout=waiting.LIMIT,
        )
        assert done.stderr == ""
    # Closed before the first byte: the exit code of ccsetup itself.
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "ccsetup", "list"],
        env=cc.environment(home),
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        timeout=waiting.LIMIT,
    )
    os.close(write)
    assert process.stderr == b""
    assert process.returncode == 0


@pytest.mark.parametrize("env", [{"LC_ALL": "C", "LANG": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "ascii"}])
def test_a_terminal_without_chinese(home: Path, env: dict[str, str]) -> None:
    """Chinese texts on a terminal that cannot show them become '?', never an error."""
    for argv in (
        ("list", "--lang", "zh-CN"),
        ("--lang", "zh-CN", "--help"),
        ("config-switch", "无", "--lang", "zh-CN"),
    ):
        done = cc.run(home, *argv, env=env)
        assert done.rc in (0, 1), done
        assert "Traceback" not in done.stderr
        assert "This is a bug" not in done.stderr


def in_terminal(home: Path, argv: list[str], env: dict[str, str]) -> str:
    """Return what ``ccsetup *argv`` prints on a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "ccsetup", *argv],
        env=cc.environment(home, env),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        out = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not block:
                break
            out += block
    os.close(ours)
    assert process.returncode == 0, out
    return out.decode("utf-8", "replace")


def test_colours(home: Path) -> None:
    """A terminal gets colours; NO_COLOR, TERM=dumb and a pipe get none."""
    argv = ["init", "-s", "-p", "glm", "-k", KEY]
    assert "\x1b[" in in_terminal(home, argv, {"TERM": "xterm-256color"})
    for i, env in enumerate(({"TERM": "xterm-256color", "NO_COLOR": "1"}, {"TERM": "dumb"})):
        assert "\x1b[" not in in_terminal(home, [*argv[:-1], f"{KEY}{i}"], env)
    assert "\x1b" not in cc.run(home, *argv).stdout


LANGUAGE = [
    (("list",), {}, "en"),
    (("list",), {"LANG": "zh_CN.UTF-8"}, "zh"),
    (("list",), {"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
    (("list",), {"LANG": "zh_CN.UTF-8", "CCSETUP_LANG": "en"}, "en"),
    (("list",), {"CCSETUP_LANG": "zh-CN"}, "zh"),
    (("list", "--lang", "zh-CN"), {}, "zh"),
    (("--lang", "zh-CN", "list"), {}, "zh"),
    (("list", "--lang=en"), {"LANG": "zh_CN.UTF-8"}, "en"),
    (("list",), {"LANG": "de_DE.UTF-8"}, "en"),
]


@pytest.mark.parametrize(("argv", "env", "language"), LANGUAGE)
def test_language(home: Path, argv: tuple[str, ...], env: dict[str, str], language: str) -> None:
    """--lang, then CCSETUP_LANG, then the locale choose the language; any other locale gets English."""
    done = cc.run(home, *argv, env={"LANG": None, "PYTHONUTF8": "1", **env})
    assert done.ok, done
    catalogue = Path(cc.SOURCE, "ccsetup/locale/zh_CN/LC_MESSAGES/ccsetup.mo")
    if language == "zh" and not catalogue.exists():
        pytest.skip("the catalogue is not compiled")
    assert bool(re.search("[\u4e00-\u9fff]", done.stdout.split("\n\n")[0])) == (language == "zh")


def test_verbose_names_the_files(home: Path) -> None:
    """-v says which files were written, none of our own records."""
    done = cc.main("init", "-s", "-p", "glm", "-k", KEY, "-v")
    assert "~/.claude/settings.json" in done.stdout
    assert "state.json" not in done.stdout


def test_texts_of_files_are_printed_harmless(home: Path) -> None:
    """Control characters in a user's file never reach the terminal."""
    nasty = (
        '[model_providers."a\\u001b[31mb"]\nname = "x\\u001b]0;pwn\\u0007"\nbase_url = "https://x"\nwire_api = "chat"\n'
    )
    cc.put(home, {".codex/config.toml": 'model_provider = "a\\u001b[31mb"\n' + nasty})
    cc.put(
        home,
        {
            ".claude/settings.json": json.dumps(
                {"env": {"ANTHROPIC_BASE_URL": "https://x/\x1b[31m", "ANTHROPIC_MODEL": "\x07"}}
            )
        },
    )
    for argv in (
        ("list",),
        ("init", "-s", "-p", "glm", "-k", KEY, "-T", "all", "--dry-run"),
        ("init", "-s", "-p", "glm", "-k", KEY, "-T", "all"),
    ):
        done = cc.main(*argv)
        assert done.rc in (0, 5), done
        assert "\x1b" not in done.stdout + done.stderr
        assert "\x07" not in done.stdout + done.stderr


def test_a_narrow_terminal_shortens_one_column() -> None:
    """No line is longer than the terminal while the shortened cell keeps eight cells; wide characters count twice."""
    from ccsetup.cli._output import columns, width

    rows = [
        ["glm", "a text that is longer than there is room for", "cn intl"],
        ["kimi", "国内与国际站点的说明文字" * 3, "cn"],
    ]
    text = columns(rows, limit=40, shrink=1)
    assert max(width(line) for line in text.split("\n")) <= 40
    assert "cn intl" in text
    assert ".." in text
    assert columns(rows, limit=0, shrink=1) == columns(rows)
