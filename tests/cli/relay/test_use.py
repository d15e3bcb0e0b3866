"""``ccsetup relay use`` and ``relay tiers``: one small file, which every command shows; no client's file is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import cc

KEY = "sk-test-0123456789abcdef"
BOARD = ".local/state/ccsetup/relay/switchboard.json"


@pytest.fixture
def three(home: Path) -> Path:
    """A home whose clients use the relay, which has three upstreams and does not run."""
    for name in ("glm", "kimi", "deepseek"):
        assert cc.main("init", "-s", "-p", name, "-k", KEY + name, "-T", "all", "--no-activate").ok
    assert cc.main("relay", "init", "--from-profiles", "glm,kimi,deepseek", "--port", "6001").ok
    return home


def board(home: Path) -> dict[str, Any]:
    path = home / BOARD
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return {name: found.get(name) for name in ("default", "tiers", "all")} if found else {}


def result(*argv: str) -> dict[str, Any]:
    done = cc.main(*argv, "--json")
    assert done.ok, done
    found: dict[str, Any] = json.loads(done.stdout)["result"]
    return found


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (["use kimi"], {"default": "kimi", "tiers": {}, "all": ""}),
        (["use kimi/kimi-k3", "use glm"], {"default": "glm", "tiers": {}, "all": ""}),
        (["use deepseek-v4-pro"], {"default": "deepseek-v4-pro", "tiers": {}, "all": ""}),
        (["use kimi --all"], {"default": "", "tiers": {}, "all": "kimi"}),
        (["use --all kimi", "use glm"], {"default": "glm", "tiers": {}, "all": "kimi"}),
        (["use glm", "use --all kimi", "use --all --reset"], {"default": "glm", "tiers": {}, "all": ""}),
        (["use glm", "use --all kimi", "use --reset"], {}),
        (["use glm", "tiers --haiku kimi", "use --reset"], {"default": "", "tiers": {"haiku": "kimi"}, "all": ""}),
        (
            ["tiers --opus kimi/kimi-k3 --sonnet glm --haiku deepseek/deepseek-flash"],
            {
                "default": "",
                "tiers": {"opus": "kimi/kimi-k3", "sonnet": "glm", "haiku": "deepseek/deepseek-flash"},
                "all": "",
            },
        ),
        (
            ["tiers --opus kimi --subagent glm", "tiers --opus deepseek"],
            {"default": "", "tiers": {"opus": "deepseek", "subagent": "glm"}, "all": ""},
        ),
        (["tiers --opus kimi", "tiers --reset --fable glm"], {"default": "", "tiers": {"fable": "glm"}, "all": ""}),
        (["tiers --opus kimi", "tiers --reset"], {}),
        (["use glm", "use", "tiers", "use glm --dry-run", "use kimi --dry-run"], {
            "default": "glm", "tiers": {}, "all": "",
        }),
    ],
)  # fmt: skip
def test_what_is_said_is_kept(three: Path, commands: list[str], expected: dict[str, Any]) -> None:
    """In one file that only its owner can read; nothing else changes, and undo takes it back."""
    before = cc.files(three)
    for command in commands:
        done = cc.main("relay", *command.split())
        assert done.ok, done
        assert "The relay is not running: this takes effect when it starts." in done.stdout + done.stderr
    assert board(three) == expected
    after = cc.files(three)
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} <= {BOARD}
    if expected:
        assert (three / BOARD).stat().st_mode & 0o777 == 0o600
        assert (three / BOARD).parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("use", "kimmi"), "Did you mean 'kimi'?"),
        (("use", "Kimi"), "Did you mean 'kimi'?"),
        (("use", "kimi/kimi-k9"), "Did you mean 'kimi/kimi-k3'?"),
        (("use", "deepsek-flash"), "Did you mean 'deepseek-flash'?"),
        (("use", "zzz"), "Known: glm, kimi, deepseek"),
        (("use", ""), "Known: glm, kimi, deepseek"),
        (("use", "kimi/"), "kimi"),
        (("use", "ccsetup-opus"), "No upstream is called 'ccsetup-opus'"),
        (("use", "--all"), "'--all' needs a TARGET"),
        (("use", "kimi", "--reset"), "exclude each other"),
        (("tiers", "--opus", "kimi", "--haiku", "glmm"), "Did you mean 'glm'?"),
        (("tiers", "kimi"), "kimi"),
        (("use", "kimi\x1b[31m"), "No upstream is called"),
    ],
)
def test_an_unknown_target_is_refused(three: Path, argv: tuple[str, ...], said: str) -> None:
    """One sentence, what was probably meant, exit 2, and nothing is written."""
    before = cc.files(three)
    done = cc.main("relay", *argv)
    assert (done.rc, said in done.stderr) == (2, True), done
    assert "\x1b[31mfoo" not in done.stderr
    assert cc.files(three) == before


def test_who_does_not_follow_is_told(three: Path) -> None:
    """A profile of an earlier version asks for a model of its own; ``relay init`` has it ask for the reserved ids."""
    path = three / ".config/ccsetup/profiles.toml"
    path.write_text(path.read_text().replace("ccsetup-default", "glm-5.3"))
    said = "Profile 'relay' asks for glm-5.3, and so its requests do not follow."
    for argv in (("use", "kimi"), ("tiers", "--opus", "kimi"), ("use",)):
        done = cc.main("relay", *argv)
        assert (done.rc, said in done.stderr) == (0, True), done
    assert said not in cc.main("relay", "use", "--all", "deepseek").stderr  # even these
    assert cc.main("relay", "init").ok
    assert said not in cc.main("relay", "use", "kimi").stderr


def test_every_command_shows_it(three: Path) -> None:
    assert "relay" not in result("list")
    assert cc.main("relay", "use", "kimi").ok
    assert cc.main("relay", "tiers", "--haiku", "deepseek/deepseek-flash").ok
    shown = result("relay", "use")
    assert shown["leads"]["ccsetup-default"] == {"upstream": "kimi", "model": "kimi-k3"}
    assert shown["leads"]["ccsetup-haiku"] == {"upstream": "deepseek", "model": "deepseek-flash"}
    assert shown["leads"]["ccsetup-opus"]["upstream"] == "kimi"
    assert {"glm", "kimi/kimi-k3", "deepseek/deepseek-v4-pro"} <= set(shown["targets"])
    assert (shown["running"], shown["changed"]) == (False, False)
    assert result("list")["relay"] == {"default": "kimi", "tiers": {"haiku": "deepseek/deepseek-flash"}, "all": ""}
    assert "default: kimi  haiku: deepseek/deepseek-flash" in cc.main("list").stdout
    checked = result("relay", "check", "--offline")
    ways = {
        way["model"]: way["upstreams"][0] for way in checked["ways"] if way["wire"] == "anthropic" and way["upstreams"]
    }
    assert (ways["ccsetup-sonnet"]["upstream"], ways["ccsetup-haiku"]["upstream"]) == ("kimi", "deepseek")
    request = three / "request.json"
    request.write_text(json.dumps({"model": "ccsetup-haiku", "max_tokens": 5, "messages": []}))
    explained = result("relay", "explain", str(request), "--from", "messages")
    assert (explained["asked"], explained["upstream"], explained["model"]) == (
        "ccsetup-haiku", "deepseek", "deepseek-flash",
    )  # fmt: skip


def test_one_for_all_is_shown_as_a_warning(three: Path) -> None:
    assert cc.main("relay", "use", "--all", "kimi").ok
    for command in (("list",), ("relay", "use"), ("relay", "tiers"), ("relay", "check", "--offline")):
        done = cc.main(*command)
        assert "Every request goes to 'kimi'" in done.stdout + done.stderr, command
    shown = cc.main("relay", "use", "--lang", "zh-CN")
    assert "所有请求都会发往“kimi”" in shown.stdout + shown.stderr


def test_a_target_that_is_gone_is_told(three: Path) -> None:
    """Everywhere, and requests go on to what is first."""
    assert cc.main("relay", "use", "kimi").ok
    assert cc.main("relay", "rm", "kimi").ok
    for command in (("relay", "use"), ("relay", "check", "--offline")):
        done = cc.main(*command)
        assert "'kimi', the target of default, belongs to no upstream" in done.stdout + done.stderr
    assert result("relay", "use")["leads"]["ccsetup-default"]["upstream"] == "glm"
    assert result("relay", "check", "--offline")["use"]["lost"] == {"default": "kimi"}
    assert cc.main("relay", "add", "kimi").ok
    assert result("relay", "use")["leads"]["ccsetup-default"]["upstream"] == "kimi"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"default": 5}', '{"tiers": []}', '{"tiers": {"opus": null}}', '{"version": 2}', "[" * 9999],
)
def test_a_file_that_cannot_be_read_is_said_and_written_anew(three: Path, text: str) -> None:
    path = three / BOARD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    listed = cc.main("list")
    assert listed.ok, listed
    assert "switchboard.json" in listed.stdout + listed.stderr
    refused = cc.main("relay", "use")
    assert (refused.rc, "Traceback" in refused.stderr) == (1, False)
    assert path.read_text() == text
    assert cc.main("relay", "use", "kimi").ok
    assert board(three) == {"default": "kimi", "tiers": {}, "all": ""}


def test_an_upstream_may_own_no_reserved_id(three: Path) -> None:
    config = three / ".config/ccsetup/relay.yaml"
    config.write_text(config.read_text().replace("default_model: kimi-k3", "default_model: ccsetup-opus"))
    done = cc.main("relay", "check", "--offline")
    assert (done.rc, "'ccsetup-opus' of upstream 'kimi'" in done.stdout) == (1, True), done


def test_targets_are_completed(three: Path) -> None:
    from ccsetup.cli.relay import use

    assert use.targets("deepseek/") == ["deepseek/deepseek-v4-pro", "deepseek/deepseek-flash"]
    assert use.targets("ki")[:2] == ["kimi", "kimi/kimi-k3.1-pro"]
    (three / ".config/ccsetup/relay.yaml").write_text("relay: 9")
    assert use.targets("") == []


def test_without_a_relay_it_says_how_to_make_one(home: Path) -> None:
    done = cc.main("relay", "use", "kimi")
    assert (done.rc, "ccsetup relay init" in done.stderr) == (1, True)
    assert not (home / BOARD).exists()


def test_targets_follow_a_renamed_profile(home: Path) -> None:
    """Where upstreams are the saved profiles, their targets lead to the new name; undo leads them back."""
    for name in ("glm", "kimi"):
        assert cc.main("init", "-s", "-p", name, "-k", KEY + name, "-T", "all", "--no-activate").ok
    assert cc.main("relay", "init", "--port", "6001").ok
    assert cc.main("relay", "use", "kimi").ok
    assert cc.main("relay", "use", "--all", "glm").ok
    assert cc.main("relay", "tiers", "--opus", "kimi/kimi-k3", "--haiku", "glm").ok
    before = cc.files(home)
    assert cc.main("profile", "rename", "kimi", "work").ok
    assert board(home) == {"default": "work", "tiers": {"opus": "work/kimi-k3", "haiku": "glm"}, "all": "glm"}
    assert "belongs to no upstream" not in cc.main("relay", "use").stderr
    assert cc.main("undo").ok
    assert cc.files(home) == before


def test_an_upstream_of_the_file_keeps_its_name(three: Path) -> None:
    """Its key is another profile's by name, and the target stays."""
    assert cc.main("relay", "use", "kimi").ok
    assert cc.main("profile", "rename", "kimi", "work").ok
    assert board(three)["default"] == "kimi"
