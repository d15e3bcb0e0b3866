"""``ccsetup key``: what a person and a program get, and that no key goes where it should not."""

from __future__ import annotations

import sys
from pathlib import Path

import pexpect
import pytest
from support import cc, waiting
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS, run_claude, run_codex
from support.provider import Provider

OLD, NEW = "sk-old-key-0123456789", "sk-new-key-9876543210"


def holds(home: Path, key: str) -> set[str]:
    return {name for name, data in cc.files(home).items() if key.encode() in data}


@pytest.fixture
def set_up(home: Path) -> Path:
    done = cc.run(home, "init", "-s", "-p", "glm", "-k", OLD, "-T", "all")
    assert done.ok, done
    return home


def test_list_shows_the_last_four_characters_only(set_up: Path) -> None:
    """``key list`` recognises a key without showing it, and says which clients use it."""
    text = cc.run(set_up, "key", "list")
    assert "…6789" in text.stdout
    assert OLD not in text.stdout + text.stderr
    row = cc.run(set_up, "key", "list", "--json").json["result"]["keys"][0]
    assert row["name"] == "glm"
    assert row["last4"] == "6789"
    assert row["clients"] == ["claude-code", "codex"]


def test_list_of_nothing_says_how_to_begin(home: Path) -> None:
    assert "ccsetup init" in cc.run(home, "key", "list").stdout


def test_get_prints_the_bare_key_for_programs(set_up: Path) -> None:
    """Exactly the key, without a line end: the clients' helpers want it so."""
    assert cc.run(set_up, "key", "get", "glm").stdout == OLD


def test_get_refuses_a_terminal_unless_told(set_up: Path) -> None:
    argv = [sys.executable, "-m", "ccsetup", "key", "get", "glm"]
    env = {**cc.environment(set_up), "TERM": "dumb"}
    for more, shown in ((), False), (("--reveal",), True):
        child = pexpect.spawn(argv[0], [*argv[1:], *more], env=env, encoding="utf-8", timeout=waiting.LIMIT)
        output = child.read()
        child.close()
        assert (OLD in output) is shown
        assert child.exitstatus == (0 if shown else 2)


@pytest.mark.parametrize("command", ["set", "rotate"])
def test_a_new_key_reaches_every_file(set_up: Path, command: str) -> None:
    """After ``key set`` or ``key rotate`` no file of either client holds the old key."""
    before = holds(set_up, OLD)
    done = cc.run(set_up, "key", command, "glm", "-k", "-", stdin=NEW + "\n")
    assert done.ok, done
    assert holds(set_up, NEW) == before
    assert holds(set_up, OLD) == set()
    assert NEW not in done.stdout + done.stderr
    again = cc.run(set_up, "key", command, "glm", "-k", "-", stdin=NEW)
    assert "unchanged" in again.stdout


def test_set_without_a_key_and_without_a_terminal_asks_nothing(set_up: Path) -> None:
    done = cc.run(set_up, "key", "set", "glm")
    assert done.rc == 2
    assert "-k" in done.stderr
    assert holds(set_up, OLD)


def test_set_asks_on_a_terminal_without_echo(set_up: Path) -> None:
    """On a terminal the key is asked for, not shown; Ctrl-C changes nothing."""
    env = {**cc.environment(set_up), "TERM": "dumb"}
    argv = ["-m", "ccsetup", "key", "set", "glm"]
    child = pexpect.spawn(sys.executable, argv, env=env, encoding="utf-8", timeout=waiting.LIMIT)
    child.expect("New key for glm: ")
    child.sendintr()
    child.read()
    child.close()
    assert child.exitstatus == 130
    assert holds(set_up, OLD)
    child = pexpect.spawn(sys.executable, argv, env=env, encoding="utf-8", timeout=waiting.LIMIT)
    child.expect("New key for glm: ")
    child.sendline(NEW)
    output = child.read()
    child.close()
    assert child.exitstatus == 0
    assert NEW not in output
    assert holds(set_up, OLD) == set()


def test_rm_takes_the_key_from_everywhere(set_up: Path) -> None:
    """After ``key rm`` only undo's backups hold the key and no client points at the provider; undo brings it back."""
    before = cc.files(set_up)
    assert cc.run(set_up, "key", "rm", "glm").rc == 2, "without a terminal it needs --yes"
    done = cc.run(set_up, "key", "rm", "glm", "--yes")
    assert done.ok, done
    assert holds(set_up, OLD) == set()
    assert "ANTHROPIC_BASE_URL" not in (set_up / ".claude/settings.json").read_text()
    assert "model_provider" not in (set_up / ".codex/config.toml").read_text()
    refused = cc.run(set_up, "config-switch", "glm")
    assert refused.rc == 1
    assert "ccsetup key set glm" in refused.stderr
    assert cc.run(set_up, "undo").ok
    assert cc.files(set_up) == before


def test_names_that_do_not_exist_are_said(set_up: Path) -> None:
    for command in (("get", "nope"), ("set", "nope", "-k", NEW), ("rm", "nope", "--yes")):
        done = cc.run(set_up, "key", *command)
        assert done.rc == 1
        assert "nope" in done.stderr
        assert "glm" in done.stderr


def test_a_key_command_is_saved_and_not_its_output(home: Path) -> None:
    """``--api-key-command`` writes the command; the key is in no file."""
    vault = home / "vault"
    vault.write_text(OLD)
    done = cc.run(home, "init", "-p", "glm", "-T", "all", "--api-key-command", f"cat {vault}")
    assert done.ok, done
    assert holds(home, OLD) == {"vault"}
    assert cc.run(home, "key", "get", "glm").stdout == OLD
    assert "from a command" in cc.run(home, "key", "list").stdout


def test_a_key_command_can_feed_the_settings(home: Path) -> None:
    """With --key-storage inline the command is run at each switch, and its output is what the client gets."""
    vault = home / "vault"
    vault.write_text(OLD)
    options = ("--api-key-command", f"cat {vault}", "--key-storage", "inline")
    assert cc.run(home, "init", "-p", "glm", *options).ok
    assert holds(home, OLD) == {"vault", ".claude/settings.json"}
    vault.write_text(NEW)
    assert cc.run(home, "config-switch", "glm").ok
    assert holds(home, NEW) == {"vault", ".claude/settings.json"}


def test_a_key_command_that_fails_is_one_sentence(home: Path) -> None:
    for command in ("exit 3", "true", "printf 'two\\nlines'"):
        options = ("--api-key-command", command, "--key-storage", "inline")
        done = cc.run(home, "init", "-p", "glm", *options)
        assert done.rc in (1, 2)
        assert done.stderr.startswith("Error: ")
        assert "Traceback" not in done.stderr
    assert not (home / ".claude").exists()


@pytest.mark.clients
def test_real_clients_run_the_key_command(provider: Provider, home: Path) -> None:
    """Both clients get the key from the saved command."""
    vault = home / "vault"
    vault.write_text(OLD)
    provider.expect("/a", key=OLD, scheme="any")
    provider.expect("/o", key=OLD, scheme="bearer")
    urls = ("--claude-url", provider.url("/a"), "--codex-url", provider.url("/o"))
    assert cc.run(home, "init", "-p", "glm", "-T", "all", "--api-key-command", f"cat {vault}", *urls).ok
    assert run_claude(CLAUDE_VERSIONS[0], home, "say the word").stdout.strip() == provider.reply
    assert run_codex(CODEX_VERSIONS[0], home, "say the word").stdout.strip() == provider.reply
