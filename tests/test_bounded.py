"""Input that is too long, stuck or endless: refused as a whole, wherever it comes in."""

from __future__ import annotations

import ast
import io
import json
import os
import re
from pathlib import Path

import pytest
from support import cc

import ccsetup
from ccsetup import bounded, keys
from ccsetup.errors import CcsetupError

KEY = "sk-abcdefghijklmnopqrstuvwxyz0123"
SOURCE = Path(ccsetup.__file__).parent


def test_all_or_nothing(tmp_path: Path) -> None:
    """What has exactly the limit is read; one byte more is refused, by its name and the limit."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 2048)
    assert bounded.given(str(path), 2048) == bounded.found(str(path), 2048) == b"x" * 2048
    for read in (bounded.given, bounded.found):
        with pytest.raises(bounded.TooLarge, match="file is larger than 1 KiB"):
            read(str(path), 1024)
    with pytest.raises(bounded.TooLarge):
        bounded.stream(io.BytesIO(b"x" * 1025), 1024, "standard input")


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop"])
def test_what_nobody_named_keeps_nobody_waiting(tmp_path: Path, kind: str) -> None:
    """A pipe, a folder, a device or a loop of links in the place of a file of ours is an error at once."""
    path = tmp_path / "file"
    {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "device": lambda: path.symlink_to("/dev/zero"),
        "loop": lambda: path.symlink_to(path),
    }[kind]()
    with pytest.raises(OSError, match=r"file|folder|directory"):
        bounded.found(str(path), 1024)


FILES = {
    "url": (
        f"- name: a\n  provider: custom\n  key: {KEY}\n  primaryModel: m\n  url: https://gateway.example",
        ".com.internal/anthropic\n",
    ),
    "key": (f"- name: a\n  provider: glm\n  key: {KEY}", "45678901234567890\n"),
    "list": (f"- {{name: a, provider: glm, key: {KEY}}}\n", f"- {{name: b, key: {KEY}}}\n"),
}
"""What stands before the limit, and what after it."""


@pytest.mark.parametrize("where", ["file", "standard input"])
@pytest.mark.parametrize("cut", FILES)
def test_api_configs_are_never_cut(home: Path, cut: str, where: str) -> None:
    """A file whose limit is inside a URL, a key or the list of entries is refused, and nothing is written."""
    head, rest = FILES[cut]
    text = "#" * ((1 << 20) - len(head) - 1) + "\n" + head + rest
    cc.put(home, {"f.yaml": text})
    before = cc.files(home, records=True)
    given = str(home / "f.yaml") if where == "file" else "-"
    result = cc.main("init", "-s", "--api-configs-file", given, stdin=text.encode() if given == "-" else b"")
    assert result.rc == 2, result
    assert "larger than 1 MiB" in result.stderr
    assert cc.files(home, records=True) == before


@pytest.mark.parametrize("option", [("-k", "-"), ("--api-key-file", "key")])
def test_keys_are_never_cut(home: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, str]) -> None:
    """A key after so much white space that the limit is inside it is refused."""
    monkeypatch.chdir(home)
    text = " " * (keys.MAX_BYTES + 1000) + KEY * 2
    cc.put(home, {"key": text})
    result = cc.main("init", "-s", "-p", "glm", *option, stdin=text.encode())
    assert result.rc == 2, result
    assert not (home / ".config/ccsetup").exists()


def test_key_commands_are_never_cut_or_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a key command prints counts as a whole; one that prints or runs without end is ended."""
    assert keys.from_command(f"echo {KEY}").reveal() == KEY
    monkeypatch.setattr(keys, "COMMAND_SECONDS", 0.2)
    for command in (
        f"printf '%17000s' ''; printf {KEY}{KEY}",
        "yes",
        "echo sk-1234; exec sleep 60",
        "exec >&-; sleep 60",
    ):
        with pytest.raises(CcsetupError, match="The key command gave no key"):
            keys.from_command(command)


def test_client_files_are_read_as_a_whole(home: Path) -> None:
    """What ``ccsetup test`` makes of auth.json, .env and settings.json does not end at some megabyte."""
    from ccsetup import paths
    from ccsetup.clients.codex import effective as effective_codex

    pad = "x" * (1 << 20)
    cc.put(
        home,
        {
            ".codex/auth.json": json.dumps({"pad": pad, "OPENAI_API_KEY": KEY}),
            ".codex/.env": f"# {pad}\nGLM_API_KEY={KEY}\n",
        },
    )
    here = paths.from_environ({"HOME": str(home)})
    assert effective_codex._auth_json(here)["OPENAI_API_KEY"] == KEY
    assert effective_codex._dotenv(here)["GLM_API_KEY"] == KEY


@pytest.mark.parametrize(("file", "place"), [(".env", "env_key"), ("auth.json", "requires_openai_auth")])
def test_what_is_too_large_is_said(home: Path, monkeypatch: pytest.MonkeyPatch, file: str, place: str) -> None:
    """``ccsetup test`` does not take such a file for one that is not there; one that is not asked for says nothing."""
    monkeypatch.setattr("ccsetup.bounded.found.__defaults__", (1 << 10,))
    value = '"GLM_API_KEY"' if place == "env_key" else "true"
    table = '[model_providers.x]\nname = "x"\nbase_url = "http://127.0.0.1:1/v1"\nwire_api = "responses"\n'
    cc.put(
        home,
        {
            ".codex/config.toml": f'model = "m"\nmodel_provider = "x"\n{table}{place} = {value}\n',
            f".codex/{file}": json.dumps({"OPENAI_API_KEY": KEY, "pad": "x" * 2000}),
        },
    )
    (found,) = cc.main("test", "-T", "codex", "--quick", "--json").json["result"]["targets"]
    assert found["verdict"] == "config", found
    assert f".codex/{file} is larger than 1 KiB, and is not read." in str(found), found
    assert "not set" not in str(found)
    assert "holds no key" not in str(found)


READS_BY_ITSELF = {
    "bounded.py": "this is the one place",
    "disk/journal.py": "the first bytes of our own record",
    "disk/read.py": "follows a file that grows",
    "relay/running/service.py": "the end of our own log",
    "cli/relay/logs.py": "the end of our own log",
    "i18n.py": "below everything; refuses what is longer",
    "relay/running/control.py": "/proc, and answers of our own relay",
    "probe/http.py": "a connection: says that an answer was cut",
    "cli/wizard/prompts.py": "keys of the terminal",
    "disk/lock.py": "the number of a process",
    "platform/posix.py": "keys of the terminal",
}


def test_no_other_reader_cuts() -> None:
    """Nothing else in the program calls ``read`` with a size: it would take a part for the whole."""
    found = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "read":
                sizes = [ast.unparse(argument) for argument in node.args]
                if any(re.search(r"\d|M[AO][XS]|step", size) for size in sizes):
                    found.add(path.relative_to(SOURCE).as_posix())
    assert found <= set(READS_BY_ITSELF)
