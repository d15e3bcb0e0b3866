"""``ccsetup config-switch``, ``list`` and ``undo`` as commands: what they say, how they end, what they refuse."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from support import cc

KEY = "test-key-0123456789abcdef"


def init(*argv: str) -> None:
    done = cc.main("init", "-s", *argv)
    assert done.ok, done


def test_switching_takes_every_client_of_the_profile(home: Path) -> None:
    """Without -T, each client that the profile has settings for is switched; with -T only that one."""
    init("-p", "glm", "-k", KEY, "-T", "all")
    init("-p", "kimi", "-k", KEY + "k", "-T", "all")
    assert cc.main("config-switch", "glm", "-T", "codex").ok
    shown = cc.main("list", "--json").json["result"]["clients"]
    assert (shown["claude-code"]["profile"], shown["codex"]["profile"]) == ("kimi", "glm")
    assert cc.main("cs", "glm").ok
    shown = cc.main("ls", "--json").json["result"]["clients"]
    assert (shown["claude-code"]["profile"], shown["codex"]["profile"]) == ("glm", "glm")


def test_a_switch_pairs_key_model_and_address(home: Path) -> None:
    """After each switch, both clients hold the key, the address and the models of one profile, and of no other."""
    init("-p", "glm", "-k", KEY + "-glm", "-T", "all")
    init("-p", "kimi", "-k", KEY + "-kimi", "-T", "all")
    for name, host in (("glm", "bigmodel.cn"), ("kimi", "moonshot.cn"), ("glm", "bigmodel.cn")):
        assert cc.main("config-switch", name).ok
        other = "kimi" if name == "glm" else "glm"
        claude = (home / ".claude/settings.json").read_text()
        codex = (home / ".codex/config.toml").read_text()
        for text in (claude, codex):
            assert f"{KEY}-{name}" in text
            assert host in text
            assert f"{KEY}-{other}" not in text
            assert other not in text
        assert tomllib.loads(codex)["model_provider"] == "ccsetup"


WRONG = [
    (("config-switch",), 2, "The name is missing"),
    (("config-switch", "none"), 1, "There is no profile 'none'. Saved profiles: glm"),
    (("config-switch", "gml"), 1, "Did you mean: ccsetup config-switch glm"),
    (("config-switch", "../glm"), 1, "There is no profile '../glm'"),
    (("config-switch", "a\x1b[31m"), 1, "There is no profile"),
    (("config-switch", "glm", "-T", "bogus"), 2, "Invalid client 'bogus'"),
    (("config-switch", "glm", "-T", "codex"), 2, "Profile 'glm' has no settings for Codex."),
    (("config-switch", "glm", "extra"), 2, "extra"),
    (("list", "-T", "bogus"), 2, "Invalid client 'bogus'"),
    (("list", "extra"), 2, "extra"),
    (("undo", "99"), 1, "There is no change 99"),
    (("undo", "x"), 1, "There is no change x"),
    (("nonsense",), 2, "nonsense"),
    (("--nonsense",), 2, "--nonsense"),
]


@pytest.mark.parametrize(("argv", "code", "text"), WRONG, ids=[" ".join(w[0]).replace("\x1b", "ESC") for w in WRONG])
def test_wrong_input(home: Path, argv: tuple[str, ...], code: int, text: str) -> None:
    """One clear sentence, the right exit code, and no file changed."""
    init("-p", "glm", "-k", KEY)
    before = cc.files(home, records=True)
    result = cc.main(*argv)
    assert result.rc == code, result
    assert text in result.stderr
    assert "\x1b" not in result.stderr
    assert cc.files(home, records=True) == before


def test_no_profile_is_saved_yet(home: Path) -> None:
    """Commands on a fresh home say what to do first, and write nothing."""
    result = cc.main("config-switch", "glm")
    assert result.rc == 1
    assert "ccsetup init -p PROVIDER -k KEY" in result.stderr
    assert "No profile is saved yet" in cc.main("config-switch", "--list").stdout
    assert "No profile is saved yet" in cc.main("list").stdout
    assert cc.main("undo").rc == 1
    assert cc.main("undo", "--list").ok
    assert cc.main("config-switch", "official").ok
    assert cc.files(home, records=True) == {}


def test_list_changes_nothing(home: Path) -> None:
    """Listing never touches a file, also not one of another tool."""
    foreign = (
        'model_provider = "corp"\n[model_providers.corp]\n'
        'name = "Corp"\nbase_url = "https://corp.example"\nenv_key = "CORP"\n'
    )
    cc.put(
        home,
        {
            ".codex/config.toml": foreign,
            ".claude/settings.json": '{"env": {"ANTHROPIC_BASE_URL": "https://c.example"}}',
        },
    )
    before = cc.files(home, records=True)
    for argv in (
        ("list",),
        ("list", "--json"),
        ("config-switch", "--list"),
        ("config-switch", "--list", "-T", "codex"),
    ):
        result = cc.main(*argv)
        assert result.ok
        assert "corp.example" in result.stdout
    assert cc.files(home, records=True) == before


def test_list_tells_what_was_changed_by_hand(home: Path) -> None:
    """A client whose address was changed by hand is shown as changed, one of another tool as not ours."""
    init("-p", "glm", "-k", KEY, "-T", "all")
    path = home / ".claude/settings.json"
    path.write_text(path.read_text().replace("https://open.bigmodel.cn/api/anthropic", "https://elsewhere.example"))
    shown = cc.main("list", "--json").json["result"]["clients"]
    assert shown["claude-code"] == {
        "profile": "glm",
        "url": "https://elsewhere.example",
        "model": shown["claude-code"]["model"],
        "credential": "ANTHROPIC_AUTH_TOKEN",
        "changed": True,
        "source": "",
        "problem": "",
    }
    assert shown["codex"]["changed"] is False
    assert "changed by hand" in cc.main("list").stdout


def test_list_survives_broken_files(home: Path) -> None:
    """A client's file that cannot be read is said, with its place; the rest is shown."""
    init("-p", "glm", "-k", KEY, "-T", "all")
    (home / ".codex/config.toml").write_text("a = = 1\n")
    result = cc.main("list")
    assert result.ok
    assert "config.toml:1" in result.stdout + result.stderr
    assert "Claude Code: glm" in result.stdout


def test_a_broken_profile_file_is_not_replaced(home: Path) -> None:
    """A file that is no TOML stops every command, with its line; nothing is written over it."""
    init("-p", "glm", "-k", KEY)
    path = home / ".config/ccsetup/profiles.toml"
    bad = path.read_text() + "[profiles.kimi\n"
    path.write_text(bad)
    for argv in (("init", "-s", "-p", "kimi", "-k", KEY), ("config-switch", "glm"), ("list",)):
        result = cc.main(*argv)
        assert result.rc == 1, result
        assert "profiles.toml" in result.stderr
        assert path.read_text() == bad


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("\n[profiles.other]\nprovider = 7\n", "provider"),
        ("\n[profiles.other]\nx = 1\n", "'provider' is missing"),
        ('\n[profiles."../x"]\nprovider = "glm"\n', "../x"),
    ],
)
def test_a_broken_profile_is_kept_and_stops_no_other(home: Path, line: str, where: str) -> None:
    """Saved profiles are never dropped because a line of theirs is wrong: it is named, and the others go on."""
    init("-p", "glm", "-k", KEY)
    path = home / ".config/ccsetup/profiles.toml"
    path.write_text(path.read_text() + line)
    assert cc.main("init", "-s", "-p", "kimi", "-k", KEY).ok
    assert cc.main("config-switch", "glm").ok
    shown = cc.main("list")
    assert shown.ok
    assert where in shown.stdout + shown.stderr
    assert line.strip() in path.read_text()


def test_a_lost_key_file_is_said(home: Path) -> None:
    """A profile whose key file is gone is not switched to: the error says how to give the key again."""
    init("-p", "glm", "-k", KEY)
    init("-p", "kimi", "-k", KEY)
    (home / ".config/ccsetup/keys/glm").unlink()
    before = cc.files(home, records=True)
    result = cc.main("config-switch", "glm")
    assert result.rc == 1
    assert "ccsetup key set glm" in result.stderr
    assert cc.files(home, records=True) == before


def test_a_damaged_record_does_not_stop_a_switch(home: Path) -> None:
    """Our own record of what we wrote may be lost or nonsense: switching still writes the right settings."""
    init("-p", "glm", "-k", KEY, "-T", "all")
    init("-p", "kimi", "-k", KEY + "k", "-T", "all")
    state = home / ".local/state/ccsetup/state.json"
    for text in (
        "{}",
        "",
        "{",
        "[]",
        "7",
        '{"saved": {"glm": 1}}',
        '{"clients": [1]}',
        '{"clients": {"codex": {"profile": 7, "owned": {"x": 1}}}}',
    ):
        state.write_text(text)
        for name in ("glm", "kimi"):
            result = cc.main("config-switch", name)
            assert result.ok, (text, result)
            assert tomllib.loads((home / ".codex/config.toml").read_text())["model_provider"] == "ccsetup"
            assert json.loads(state.read_text())["clients"]["codex"]["profile"] == name


def test_dry_run_and_check(home: Path) -> None:
    """--dry-run and --check show the switch, write nothing, and --check exits 4; nothing to do is exit 0."""
    init("-p", "glm", "-k", KEY + "-glm")
    init("-p", "kimi", "-k", KEY + "-kimi")
    before = cc.files(home, records=True)
    dry = cc.main("config-switch", "glm", "--dry-run")
    assert dry.ok
    assert "open.bigmodel.cn" in dry.stdout
    assert KEY not in dry.stdout + dry.stderr
    assert cc.main("config-switch", "glm", "--check").rc == 4
    assert cc.main("config-switch", "official", "--check").rc == 4
    assert cc.main("config-switch", "kimi", "--check").rc == 0
    assert cc.files(home, records=True) == before


def test_undo_and_what_came_later(home: Path) -> None:
    """undo takes our keys back and keeps what the user changed since, and says so; an undo can be undone."""
    cc.put(home, {".claude/settings.json": '{\n  "model": "opus"\n}\n'})
    init("-p", "glm", "-k", KEY)
    path = home / ".claude/settings.json"
    ours = path.read_text()
    path.write_text(ours.replace('"model": "opus"', '"model": "haiku",\n  "mine": 1').replace("3000000", "77"))
    undone = cc.main("undo")
    assert undone.ok, undone
    assert "API_TIMEOUT_MS" in undone.stderr
    assert json.loads(path.read_text()) == {"model": "haiku", "mine": 1, "env": {"API_TIMEOUT_MS": "77"}}
    listed = cc.main("undo", "--list", "--json").json["result"]["changes"]
    assert [c["undone"] for c in listed] == [True, False]
    assert cc.main("undo", listed[1]["id"]).ok
    assert json.loads(path.read_text())["env"]["ANTHROPIC_AUTH_TOKEN"] == KEY


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("glm-config", "glm"), ("glm-provider", "glm"), ("GLM provider", "glm"), ("glm_config", "glm"),
        ("glm.profile", "glm"),
        ("kimi-config", "work"), ("work-settings", "work"), ("deepseek-config", ""), ("ollama-provider", ""),
        ("-config", ""), ("config", ""), ("glm", "glm"), ("glm-extra", ""),
    ],
)  # fmt: skip
def test_names_of_another_tools_kind(home: Path, typed: str, meant: str) -> None:
    """Understood, and said, where one profile fits by its name or by its provider; else no profile is chosen."""
    for name, provider in (("glm", "glm"), ("work", "kimi"), ("d1", "deepseek"), ("d2", "deepseek")):
        made = ("-p", provider, "-n", name, "-k", "test-key-0123456789abcdef")
        assert cc.main("init", "-s", *made, "--no-activate").ok
    before = cc.files(home)
    done = cc.main("config-switch", "--json", "--", typed)
    if not meant:
        assert done.rc == 1
        assert cc.files(home) == before
        return
    assert done.json["result"]["active"] == {"claude-code": meant}
    assert any("is understood as" in n["text"] for n in done.json["notes"]) == (typed != meant)
    assert cc.main("env", "--", typed).ok


BROKEN = {".claude/settings.json": '{"env": {', ".codex/config.toml": "a = [\n"}


@pytest.mark.parametrize("name", BROKEN)
def test_only_a_command_that_changes_says_that_it_did_not(home: Path, name: str) -> None:
    """list, with and without --json, and test read alone; a switch says that nothing was changed."""
    init("-p", "glm", "-k", KEY, "-T", "all", "--no-activate")
    cc.put(home, {name: BROKEN[name]})
    for argv in (("list",), ("list", "--json"), ("profile", "show", "glm"), ("test", "--quick")):
        read = cc.main(*argv)
        assert "Nothing was changed" not in read.stdout + read.stderr, read
    switched = cc.main("config-switch", "glm")
    assert switched.rc == 1
    assert "file as it is. Nothing was changed." in switched.stderr, switched


@pytest.mark.parametrize(
    "variables",
    [
        {"ANTHROPIC_BASE_URL": "https://x.example"},
        {"ANTHROPIC_API_KEY": "sk-x0123456789abc"},
        {"ANTHROPIC_AUTH_TOKEN": "sk-x0123456789abc"},
        {"ANTHROPIC_BASE_URL": "https://x.example", "CLAUDE_CODE_USE_VERTEX": "1"},
        {"CODEX_API_KEY": "sk-x0123456789abc"},
    ],
    ids=lambda given: "+".join(given),
)
def test_official_names_each_variable_of_the_shell_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    done = cc.main("config-switch", "official")
    assert done.rc == 5, done
    for name in variables:
        assert done.stderr.count(f"Run: unset {name}") == 1, done


def test_uninstall_leaves_no_file_of_its_own_making(home: Path) -> None:
    """What is empty then goes; what somebody else wrote, or linked, stays. undo brings all of it back."""
    init("-p", "glm", "-k", KEY, "-T", "all")
    before = cc.files(home)
    assert cc.main("uninstall", "--yes").ok
    assert not cc.files(home)
    assert cc.main("undo").ok
    assert cc.files(home) == before


def test_uninstall_leaves_what_is_somebodys(home: Path) -> None:
    cc.put(home, {"dotfiles/settings.json": "{}\n", ".codex/config.toml": "# mine\n", ".claude.json": '{"a": 1}\n'})
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").symlink_to("../dotfiles/settings.json")
    before = cc.files(home)
    init("-p", "glm", "-k", KEY, "-T", "all")
    assert cc.main("uninstall", "--yes").ok
    assert cc.files(home) == before
    assert (home / ".claude/settings.json").is_symlink()
