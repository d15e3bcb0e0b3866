"""``ccsetup relay add``, ``rm`` and ``move``: other upstreams, and everything else as it was."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from support import cc, waiting
from support.relay import Relay, upstream

KEY = "sk-test-0123456789abcdef"
CONFIG = ".config/ccsetup/relay.yaml"


@pytest.fixture
def three(home: Path) -> Path:
    """A home with three saved profiles, of which two are upstreams of a relay whose file has comments."""
    for name in ("glm", "kimi", "deepseek"):
        assert cc.main("init", "-s", "-p", name, "-k", KEY + name, "-T", "all", "--no-activate").ok
    assert cc.main("relay", "init", "--from-profiles", "glm,deepseek", "--port", "6001").ok
    text = (home / CONFIG).read_text()
    (home / CONFIG).write_text(text.replace("  - name: deepseek\n", "  # the second\n  - name: deepseek  # cheap\n"))
    return home


def names(home: Path) -> list[str]:
    return re.findall(r"^ *- name: (\S+)", (home / CONFIG).read_text(), re.M)


def model(home: Path) -> str:
    """Return what Claude Code asks the relay for."""
    saved = tomllib.loads((home / ".config/ccsetup/profiles.toml").read_text())["profiles"]["relay"]
    return str(saved["claude-code"]["primary_model"])


@pytest.mark.parametrize(
    ("argv", "wanted", "group"),
    [
        ((), ["glm", "deepseek", "kimi"], "backup"),
        (("--last",), ["glm", "deepseek", "kimi"], "backup"),
        (("--first",), ["kimi", "glm", "deepseek"], "primary"),
        (("--before", "deepseek"), ["glm", "kimi", "deepseek"], "backup"),
        (("--after", "glm"), ["glm", "kimi", "deepseek"], "backup"),
        (("--before", "glm"), ["kimi", "glm", "deepseek"], "primary"),
        (("--last", "--group", "primary"), ["glm", "deepseek", "kimi"], "primary"),
    ],
)
def test_add(three: Path, argv: tuple[str, ...], wanted: list[str], group: str) -> None:
    """A saved profile becomes an upstream, in the group of its place; no other line changes."""
    before = cc.files(three)
    done = cc.main("relay", "add", "kimi", *argv)
    assert done.ok, done
    assert names(three) == wanted
    entry = (three / CONFIG).read_text().partition("  - name: kimi\n")[2].partition("  - name")[0]
    assert ("    group: backup\n" in entry) == (group == "backup")
    assert KEY not in (three / CONFIG).read_text() + done.stdout + done.stderr
    assert cc.main("relay", "check", "--offline").ok
    assert cc.main("relay", "rm", "kimi").ok
    assert (three / CONFIG).read_bytes() == before[CONFIG]
    assert cc.main("undo").ok
    assert cc.main("undo").ok
    assert cc.files(three) == before


def test_clients_ask_for_what_relay_use_leads_on(three: Path) -> None:
    """Whoever is asked first; what somebody chose stays for as long as an upstream serves it."""
    assert model(three) == "ccsetup-default"
    assert cc.main("relay", "add", "kimi", "--first").ok
    assert model(three) == "ccsetup-default"
    profiles = three / ".config/ccsetup/profiles.toml"
    profiles.write_text(profiles.read_text().replace("ccsetup-default", "glm-5.3-flash"))
    assert cc.main("relay", "move", "kimi", "--last").ok
    assert cc.main("relay", "init").ok
    assert model(three) == "glm-5.3-flash"
    gone = cc.main("relay", "rm", "glm")
    assert "Claude Code asked for 'glm-5.3-flash', which no upstream serves any more" in gone.stderr
    assert model(three) == "ccsetup-default"


def test_who_is_asked_first_says_what_clients_of_an_earlier_version_ask_for(three: Path) -> None:
    """They follow to the models of another first upstream; relay init has them ask for the reserved ids."""
    profiles = three / ".config/ccsetup/profiles.toml"
    text = profiles.read_text().replace("ccsetup-default", "glm-5.3").replace("ccsetup-haiku", "glm-5.3-flash")
    profiles.write_text(re.sub(r".*ccsetup-.*\n", "", text))
    assert cc.main("relay", "add", "kimi").ok
    assert model(three) == "glm-5.3"
    moved = cc.main("relay", "move", "kimi", "1")
    assert [line.split()[0] for line in moved.stdout.splitlines()[1:]] == ["kimi", "glm", "deepseek"]
    assert model(three) == "kimi-k3"
    assert cc.main("relay", "init").ok
    assert model(three) == "ccsetup-default"


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (("deepseek", "--first"), ["deepseek", "glm"]),
        (("deepseek", "1"), ["deepseek", "glm"]),
        (("deepseek", "--before", "glm"), ["deepseek", "glm"]),
        (("glm", "--after", "deepseek"), ["deepseek", "glm"]),
        (("glm", "--last"), ["deepseek", "glm"]),
        (("glm", "2"), ["deepseek", "glm"]),
        (("glm", "--first"), ["glm", "deepseek"]),
    ],
)
def test_move(three: Path, argv: tuple[str, ...], wanted: list[str]) -> None:
    """It is asked at its new place; comments go along, and a move to where it is changes nothing."""
    before = (three / CONFIG).read_text()
    done = cc.main("relay", "move", *argv)
    assert done.ok, done
    assert names(three) == wanted
    after = (three / CONFIG).read_text()
    assert "  # the second\n  - name: deepseek  # cheap\n" in after
    assert [line.split()[0] for line in done.stdout.splitlines()[1:]] == wanted
    assert (after == before) == done.stdout.startswith("unchanged")
    assert set(before.splitlines()) - set(after.splitlines()) <= {"    group: backup"}


def test_rm(three: Path) -> None:
    """An upstream goes with its comment; its profile stays; a key for it alone is named."""
    assert cc.main("relay", "key", "add", "ci", "--upstreams", "deepseek").ok
    done = cc.main("relay", "rm", "deepseek", "--json")
    assert done.json["result"]["upstreams"] == ["glm"]
    assert (done.json["result"]["upstream"], done.json["result"]["changed"]) == ("deepseek", True)
    assert "'ci' is for 'deepseek' alone" in done.json["notes"][0]["text"]
    text = (three / CONFIG).read_text()
    assert "deepseek" not in text
    assert "the second" not in text
    assert text.startswith("# The relay of ccsetup.")
    assert (three / ".config/ccsetup/keys/deepseek").exists()
    last = cc.main("relay", "rm", "glm")
    assert last.rc == 2
    assert "the only upstream" in last.stderr


WRONG = [
    (("add", "kimy"), "no profile 'kimy'", "Did you mean 'kimi'?"),
    (("add", "openrouter"), "no profile 'openrouter'", "ccsetup init -p openrouter -k KEY --no-activate"),
    (("add", "zzz"), "no profile 'zzz'", "Saved: glm, kimi, deepseek"),
    (("add", "glm"), "has an upstream 'glm' already", "ccsetup relay move glm POSITION"),
    (("add", "GLM"), "has an upstream 'GLM' already", ""),
    (("add", "relay"), "leads to the relay itself", ""),
    (("add", "kimi", "--before", "gln"), "no upstream 'gln'", "Did you mean 'glm'?"),
    (("add", "kimi", "--first", "--last"), "--first / --last exclude each other", ""),
    (("add", "kimi", "--group", "second"), "Valid ones: primary, backup", ""),
    (("add",), "Missing: 'NAME'", ""),
    (("rm", "deepsek"), "no upstream 'deepsek'", "Did you mean 'deepseek'?"),
    (("rm", "\x1b[2J\u202e"), "no upstream '\ufffd[2J\ufffd'", "Known: glm, deepseek"),
    (("move", "glm"), "Where to?", ""),
    (("move", "glm", "3"), "no place 3; the last one is 2", ""),
    (("move", "glm", "0"), "POSITION", ""),
    (("move", "glm", "1", "--last"), "--last / POSITION exclude each other", ""),
    (("move", "glm", "--before", "glm"), "before or behind itself", ""),
    (("move", "glm", "--after", "nobody"), "no upstream 'nobody'", ""),
    (("move", "nobody", "--first"), "no upstream 'nobody'", ""),
    (("add", "sk-ant-api03-0123456789abcdefghijklmnop"), "A key stands where a name belongs", "-k -"),
]


@pytest.mark.parametrize(("argv", "text", "hint"), WRONG, ids=[" ".join(w[0])[:30] for w in WRONG])
def test_wrong_input(three: Path, argv: tuple[str, ...], text: str, hint: str) -> None:
    """Every wrong input is one sentence with what to type, exit 2, and nothing is written."""
    before = cc.files(three, records=True)
    done = cc.main("relay", *argv)
    assert done.rc == 2, done
    assert text in done.stderr
    assert hint in done.stderr
    assert "0123456789abcdefghijklmnop" not in done.stdout + done.stderr
    as_json = cc.main("relay", *argv, "--json")
    assert as_json.json["error"]["exit_code"] == 2
    assert cc.files(three, records=True) == before


def test_dry_run_shows_the_lines(three: Path) -> None:
    """--dry-run writes nothing, whichever command it is."""
    before = cc.files(three, records=True)
    for argv in (("add", "kimi"), ("rm", "glm"), ("move", "glm", "--last")):
        done = cc.main("relay", *argv, "--dry-run")
        assert done.ok, done
        assert "relay.yaml" in done.stdout
    assert cc.files(three, records=True) == before


def test_without_a_file(home: Path) -> None:
    """Where there is no relay.yaml, or none that can be read, that is said, and nothing is written."""
    for command in (("add", "glm"), ("rm", "glm"), ("move", "glm", "1")):
        done = cc.main("relay", *command)
        assert done.rc == 1
        assert "ccsetup relay init" in done.stderr
        cc.put(home, {CONFIG: "relay: 1\nupstreams: 5\n"})
        broken = cc.main("relay", *command)
        assert broken.rc == 1
        assert "relay.yaml:2:" in broken.stderr
        (home / CONFIG).unlink()


def test_a_relay_that_runs_takes_it_over(home: Path) -> None:
    """Without a word to it, as after an edit by hand; profile, key and clients of another make are left alone."""
    chat: Any = upstream("a", "http://127.0.0.1:9/v1", "chat", "sk-a-0123456789", default_model="a")
    with Relay(home, [chat, {**chat, "name": "b"}, {**chat, "name": "c"}]) as relay:
        relay.config.write_text("# mine\n" + relay.config.read_text())
        waiting.until(lambda: "reloaded" in relay.output)
        assert cc.run(home, "relay", "move", "c", "--first").ok
        assert [u["name"] for u in relay.control("GET", "status")["upstreams"]] == ["c", "a", "b"]
        assert cc.run(home, "relay", "rm", "a").ok
        assert [u["name"] for u in relay.control("GET", "status")["upstreams"]] == ["c", "b"]
        assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "-T", "all", "--no-activate").ok
        added = cc.run(home, "relay", "add", "glm", "--after", "c", "--json")
        assert added.ok, added
        assert [u["name"] for u in relay.control("GET", "status")["upstreams"]] == ["c", "glm", "b"]
    assert relay.config.read_text().startswith("# mine\n")
    assert json.loads(cc.run(home, "list", "--json").stdout)["result"]["profiles"][0]["name"] == "glm"
    assert not (home / ".config/ccsetup/keys/relay").exists()
