"""One client more, made up in ``support/third``, through all that the program does with clients."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import cc, waiting

from ccsetup.documents.edit import Set, Unset

USER = '# mine\ntheme: dark   # keep\nstream: "yes"\n'
TESTS = str(Path(__file__).parents[1])
ONE = (
    "init",
    "-s",
    "-T",
    "yk",
    "-n",
    "one",
    "-p",
    "custom",
    "-u",
    "http://127.0.0.1:9/v1/chat/completions",
    "-M",
    "m1",
)
TWO = ("init", "-s", "-T", "yoke", "-n", "two", "-p", "custom", "-u", "http://127.0.0.1:8/v1", "-M", "m2")
KEYS = ("first-key-0123456789", "second-key-0123456789")


class Program:
    """The program with the client in it, in a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.version = "2.1.0"
        cc.put(home, {".yoke/config.yaml": USER})

    def __call__(self, *argv: str, rc: int = 0) -> cc.Result:
        env = cc.environment(self.home, {"YOKE_VERSION": self.version})
        env["PYTHONPATH"] += ":" + TESTS
        done = subprocess.run(
            [sys.executable, "-m", "support.third", *argv],
            env=env,
            cwd=self.home,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=waiting.LIMIT,
        )
        result = cc.Result(done.returncode, done.stdout, done.stderr, argv)
        assert result.rc == rc, result
        assert not any(key in done.stdout + done.stderr for key in KEYS), result
        return result

    @property
    def config(self) -> str:
        return (self.home / ".yoke" / "config.yaml").read_text()

    @property
    def keys(self) -> object:
        return yaml.safe_load((self.home / ".yoke" / "keys.yaml").read_text())

    @property
    def row(self) -> object:
        """What ``list`` says of it: profile, model and address."""
        now = self("list", "--json").json["result"]["clients"]["yoke"]
        return now["profile"], now["model"], now["url"]


@pytest.fixture
def yoke(tmp_path: Path) -> Program:
    return Program(tmp_path)


def test_a_whole_session(yoke: Program) -> None:
    """Two profiles, a switch, back, its own account, and nothing of ours at the end; comments and order stay."""
    yoke(*ONE, "-k", KEYS[0])
    assert yoke.config == USER + (
        'providers:\n  ccsetup:\n    url: "http://127.0.0.1:9/v1"\n    model: "m1"\nactive: "ccsetup"\n'
    )
    assert yoke.keys == {"keys": {"ccsetup": KEYS[0]}}
    assert (yoke.home / ".yoke" / "keys.yaml").stat().st_mode & 0o777 == 0o600
    assert yoke.row == ("one", "m1", "http://127.0.0.1:9/v1")
    yoke(*TWO, "-k", KEYS[1])
    assert yoke.row == ("two", "m2", "http://127.0.0.1:8/v1")
    yoke("config-switch", "one")
    assert yoke.row == ("one", "m1", "http://127.0.0.1:9/v1")
    assert yoke("config-switch", "one", "--json").json["result"]["changed"] is False
    yoke("undo")
    assert (yoke.row, yoke.keys) == (("two", "m2", "http://127.0.0.1:8/v1"), {"keys": {"ccsetup": KEYS[1]}})
    yoke("config-switch", "official", "-T", "yoke")
    assert (yoke.config, yoke.keys) == (USER, None)
    yoke("undo")
    assert yoke.row == ("two", "m2", "http://127.0.0.1:8/v1")
    yoke("uninstall", "--yes")
    assert yoke.config == USER
    assert not (yoke.home / ".yoke" / "keys.yaml").exists()


def test_undo_keeps_what_was_written_since(yoke: Program) -> None:
    yoke(*ONE, "-k", KEYS[0])
    (yoke.home / ".yoke" / "config.yaml").write_text(yoke.config.replace("dark   # keep", "light  # now"))
    yoke("undo")
    assert yoke.config == USER.replace("dark   # keep", "light  # now")


def test_a_key_command(yoke: Program) -> None:
    """A key that the profile keeps in a file of ours is in none of the client's files."""
    yoke(*ONE, "-k", KEYS[0])
    yoke(*TWO, "-k", KEYS[1], "--key-storage", "command")
    command = yaml.safe_load(yoke.config)["providers"]["ccsetup"]["key_command"]
    assert subprocess.run(["sh", "-c", command], capture_output=True, text=True).stdout.strip() == KEYS[1]
    assert (yoke.keys, KEYS[1] in yoke.config) == (None, False)


def test_another_version(yoke: Program) -> None:
    """A switch writes what the version that is there reads, and leaves nothing of the other form behind."""
    yoke.version = "1.4.0"
    yoke(*ONE, "-k", KEYS[0])
    assert yoke.config == USER + 'url: "http://127.0.0.1:9/v1"\nmodel: "m1"\n'
    assert yoke.row == ("one", "m1", "http://127.0.0.1:9/v1")
    yoke.version = "2.1.0"
    assert yoke.row == ("", "", "")
    yoke("config-switch", "one")
    assert yoke.row == ("one", "m1", "http://127.0.0.1:9/v1")
    assert "url" not in yaml.safe_load(yoke.config)
    yoke.version = "1.4.0"
    yoke("config-switch", "one")
    assert yoke.config == USER + 'url: "http://127.0.0.1:9/v1"\nmodel: "m1"\n'


def test_doctor_finds_and_mends(yoke: Program) -> None:
    found = yoke("doctor", "--json", rc=1).json["result"]
    (check,) = [c for c in found["checks"] if c["id"] == "yoke-stream"]
    (problem,) = check["findings"]
    assert (problem["level"], problem["line"]) == ("problem", 3)
    yoke("doctor", "--fix", "--yes")
    assert yoke.config == USER.replace('"yes"', "true")
    yoke("undo")
    assert yoke.config == USER


def test_a_repair_on_the_way(yoke: Program) -> None:
    yoke(*ONE, "-k", KEYS[0], "--repair")
    assert yoke.config.startswith(USER.replace('"yes"', "true"))


def test_a_file_that_cannot_be_read(yoke: Program) -> None:
    """It is named with its line, and what the client does with it; nothing is written."""
    (yoke.home / ".yoke" / "config.yaml").write_text("a: 1\nb: [\n")
    said = yoke(*ONE, "-k", KEYS[0], rc=1)
    assert "~/.yoke/config.yaml:3" in said.stderr
    assert "Yoke does not start" in said.stderr
    assert not (yoke.home / ".yoke" / "keys.yaml").exists()


def test_import(yoke: Program) -> None:
    cc.put(
        yoke.home,
        {
            ".yoke/config.yaml": "active: mine\nproviders:\n  mine:\n    url: http://127.0.0.1:7/v1\n    model: m7\n",
            ".yoke/keys.yaml": f"keys: {{mine: {KEYS[0]}}}\n",
        },
    )
    (found,) = yoke("import", "--yes", "--json").json["result"]["found"]
    assert (found["url"], found["clients"], found["skipped"]) == ("http://127.0.0.1:7/v1", ["yoke"], "")
    yoke("config-switch", found["name"])
    assert yoke.row == (found["name"], "m7", "http://127.0.0.1:7/v1")
    assert yoke.keys == {"keys": {"mine": KEYS[0], "ccsetup": KEYS[0]}}


def test_its_own_editor() -> None:
    """What is not named stays, to the byte."""
    from support.third import yamledit

    text = "# a\none: 1  # first\ntwo:\n  # inside\n  three: {four: 4}\n  five: 5\n# end\n"
    assert yamledit.apply(text, (Set(("two", "five"), 6),)) == text.replace("five: 5", "five: 6")
    assert yamledit.apply(text, (Unset(("two", "five")),)) == text.replace("  five: 5\n", "")
    assert yamledit.apply(text, (Set(("two", "six"), "x"),)) == text.replace("five: 5\n", 'five: 5\n  six: "x"\n')
    assert yamledit.apply(text, (Unset(("two", "three", "four"), 1),)) == text.replace("  three: {four: 4}\n", "")
    assert yamledit.apply("", (Set(("a", "b"), 1), Unset(("a", "b"), 1))) == ""
