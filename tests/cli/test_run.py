"""Errors become one sentence and the next thing to do, whatever lies where a settings file should be."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cc

from ccsetup.disk.replace import refused

SETTINGS, CLAUDE_JSON, CONFIG = ".claude/settings.json", ".claude.json", ".codex/config.toml"
INIT = ("init", "-s", "-p", "glm", "-k", "sk-a-5f4dcc3b5aa765d61d83", "-T")


def utf16(path: Path) -> None:
    path.write_bytes(("{}" if path.suffix == ".json" else 'model = "x"\n').encode("utf-16"))


ODD: dict[str, tuple[Callable[[Path], None], str, str, str]] = {
    "folder": (Path.mkdir, "it is a folder", "a folder where a file should be", "rmdir"),
    "pipe": (os.mkfifo, "it is a pipe", "a pipe where a file should be", "Move it away"),
    "UTF-16": (utf16, "in UTF-16", "in UTF-16", "Save it as UTF-8 in your editor"),
}
"""What lies there; what a command says that has to write; what ``doctor`` and ``test`` say; what to do."""


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(("client", "file"), [("cc", SETTINGS), ("cx", CONFIG), ("cc", CLAUDE_JSON)])
def test_what_is_no_settings_file(home: Path, client: str, file: str, odd: str) -> None:
    """Each command says what is there and what to do about it; none advises what does not help, and nothing changes."""
    make, said, seen, todo = ODD[odd]
    (home / file).parent.mkdir(exist_ok=True)
    make(home / file)
    for argv in ((*INIT, client), ("config-switch", "official", "-T", client), ("list", "-T", client)):
        result = cc.main(*argv)
        assert result.rc == (0 if argv[0] == "list" else 1), result
        text = result.stdout + result.stderr
        assert said in text, result
        assert todo in text, result
    assert not (home / ".config").exists()
    if file == CLAUDE_JSON and odd == "UTF-16":
        return  # what the client makes of it was not observed
    doctor = cc.main("doctor", "--json").json["result"]["checks"]
    found = [f for c in doctor for f in c["findings"] if f["file"] == "~/" + file]
    assert len(found) == 1, found
    assert seen in found[0]["text"], found
    assert todo in found[0]["fix"], found
    assert found[0]["level"] == ("warning" if (file, odd) == (SETTINGS, "UTF-16") else "problem")
    if found[0]["stops"]:
        result = cc.main("test", "-T", client)
        assert seen in result.stdout, result
        assert todo in result.stdout, result


@pytest.mark.parametrize(
    ("number", "link", "todo"),
    [
        (errno.EROFS, True, "--no-activate, then ccsetup run NAME"),
        (errno.EACCES, True, "another program keeps"),
        (errno.EBUSY, False, "Mount its folder"),
        (errno.EACCES, False, "ls -ld"),
        (errno.EPERM, False, "lsattr"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, number: int, link: bool, todo: str) -> None:
    """A link that home-manager keeps, a file that is mounted alone, and others: each with what helps there."""
    path = tmp_path / "settings.json"
    if link:
        path.symlink_to(tmp_path / "store")
    error = refused(str(path), OSError(number, "x"))
    assert todo in error.hint
    assert "No file was changed" in error.message


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize("argv", ["list", "doctor", "doctor --json", "undo --list", "--help", "config-switch official"])
def test_a_full_output(home: Path, argv: str) -> None:
    """Where the output takes no more, one sentence says so on the other one: no traceback, no crash file."""
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "ccsetup", *argv.split()]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=cc.environment(home), check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: The output cannot be written: ")
    assert done.stderr.count("\n") == 1
    assert not list(home.rglob("crash.log"))
