"""Errors become one sentence and the next thing to do, whatever lies where a settings file should be."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import cc
from support.terminal import Terminal, machine_with_clients

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


@pytest.mark.parametrize("second_name", [False, True])
@pytest.mark.parametrize("linked", ["settings.json", ""])
def test_a_link_into_a_store(home: Path, second_name: bool, linked: str) -> None:
    """Files of a store are read-only, and may have more names: what is said is about the link, not about those."""
    store = home / "store"
    store.mkdir()
    (store / "settings.json").write_text("{}")
    if second_name:
        os.link(store / "settings.json", store / "again")
    (store / "settings.json").chmod(0o444)
    if linked:
        (home / ".claude").mkdir()
        (home / ".claude" / linked).symlink_to(store / linked)
    else:
        (home / ".claude").symlink_to(store)
    done = cc.main("init", "-s", "-p", "glm", "-T", "cc", "-k", "abcdef0123456789abcdef0123456789.AbCdEfGhIjKlMnOp")
    assert done.rc == 1
    assert "It is a link to " + str(store / "settings.json") in done.stderr
    assert "ccsetup init … --no-activate, then ccsetup run NAME" in done.stderr


def test_headers_of_a_former_gateway(home: Path) -> None:
    """A key among them goes to Anthropic with the own account: that is said by ``official`` and ``doctor``."""
    headers = "x-portkey-api-key: pk-0123456789abcdef\nx-team: mine"
    cc.put(home, {".claude/settings.json": json.dumps({"env": {"ANTHROPIC_CUSTOM_HEADERS": headers}}, indent=1)})
    for command in (("config-switch", "official", "-T", "cc"), ("doctor",)):
        done = cc.main(*command)
        said = " ".join((done.stdout + done.stderr).split())
        assert "settings.json:3" in said
        assert "ANTHROPIC_CUSTOM_HEADERS sends a key to Anthropic, in: x-portkey-api-key" in said
    cc.put(home, {".claude/settings.json": '{"env": {"ANTHROPIC_CUSTOM_HEADERS": "x-team: mine"}}'})
    assert "sends a key" not in cc.main("doctor").stdout


def test_profiles_that_cannot_be_read_are_a_problem_of_doctor(home: Path) -> None:
    (home / ".config/ccsetup/profiles.toml").mkdir(parents=True)
    done = cc.main("doctor")
    assert done.rc == 1
    assert "The saved profiles cannot be read" in done.stdout


def test_settings_in_utf_16_are_listed(home: Path) -> None:
    """Claude Code reads them; Codex does not start with them."""
    text = json.dumps({"env": {"ANTHROPIC_BASE_URL": "https://x.example", "ANTHROPIC_AUTH_TOKEN": "T-0123456789abc"}})
    cc.put(home, {".claude/settings.json": "", ".codex/config.toml": ""})
    (home / ".claude/settings.json").write_bytes(text.encode("utf-16"))
    (home / ".codex/config.toml").write_bytes('model = "m"'.encode("utf-16"))
    shown = cc.main("list").stdout.splitlines()
    assert shown[0] == "Claude Code: https://x.example (not set up by ccsetup)"
    assert shown[1].startswith("Codex: cannot be read: ~/.codex/config.toml")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize(
    "argv", ["list", "doctor", "doctor --json", "undo --list", "--help", "config-switch official", "--version", "-V"]
)
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


@pytest.mark.parametrize("name", [".claude", ".codex", ".config", ".config/ccsetup", ".config/ccsetup/keys"])
def test_a_file_in_the_place_of_a_folder(home: Path, name: str) -> None:
    """It is the file that is named, with the command that moves it, and nothing is written."""
    cc.put(home, {name: "here"})
    before = cc.files(home)
    done = cc.main("init", "-s", "-p", "glm", "-k", "test-key-0123456789abcdef", "-T", "all")
    assert done.rc == 1
    assert f"{home / name} is no folder.\nMove it away with: mv {home / name} {home / name}.old" in done.stderr, done
    assert cc.files(home) == before


@pytest.mark.parametrize(("inside", "todo"), [((), "rmdir '{path}'"), (("x",), "Move it away")])
def test_a_folder_in_the_place_of_a_file(home: Path, inside: tuple[str, ...], todo: str) -> None:
    """An empty one is removed by the command that is named; one with something in it is moved away."""
    place = home / "my claude/settings.json"
    place.mkdir(parents=True)
    for name in inside:
        (place / name).touch()
    done = cc.run(home, "config-switch", "official", env={"CLAUDE_CONFIG_DIR": str(place.parent)})
    assert done.rc == 1
    assert todo.format(path=place) in done.stderr


@pytest.mark.parametrize("key", ["\x03", "\x04"], ids=["ctrl-c", "ctrl-d"])
@pytest.mark.parametrize(
    ("argv", "question", "end"),
    [
        ("init -s -p glm -k -", "API key: ", ""),
        ("key rm glm", "Remove the key of 'glm'? [y/N] ", ""),
        ("init", "Number or name [3]: ", "Nothing was written.\n"),
    ],
)
def test_who_stops_gets_the_shells_prompt_on_a_line_of_its_own(
    home: Path, argv: str, question: str, end: str, key: str
) -> None:
    """Ctrl-C and Ctrl-D at a question end its line, once, with exit code 130, and change nothing."""
    assert cc.main(*INIT, "cc").ok
    before, machine = cc.files(home, records=True), machine_with_clients(home.parent / "bin")
    with Terminal(home, *argv.split(), env={"TERM": "dumb", **machine}) as terminal:
        terminal.answer(question, key)
        assert terminal.ends() == 130
        assert terminal.text.replace("^C", "").endswith(f"{question}\n{end}")
    assert cc.files(home, records=True) == before
