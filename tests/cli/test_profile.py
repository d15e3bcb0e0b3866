"""``ccsetup profile`` and ``uninstall``: what becomes of keys, of Codex's files and of what the clients use."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import cc

KEY = "sk-profile-key-0123456789"


def holds(home: Path, key: str = KEY) -> set[str]:
    return {name for name, data in cc.files(home).items() if key.encode() in data}


@pytest.fixture
def set_up(home: Path) -> Path:
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "all").ok
    return home


def test_show_masks_the_key(set_up: Path) -> None:
    """Everything of a profile is shown but the key, of which the last four characters are."""
    for more in ((), ("--json",)):
        done = cc.main("profile", "show", "glm", *more)
        assert done.ok, done
        assert "6789" in done.stdout
        assert KEY not in done.stdout
        assert "https://open.bigmodel.cn/api/anthropic" in done.stdout


def test_rename_moves_everything(set_up: Path) -> None:
    """Key file, Codex's profile file and catalogue get the new name; both clients stay on the profile."""
    before = cc.files(set_up)
    done = cc.main("profile", "rename", "glm", "work")
    assert done.ok, done
    after = cc.files(set_up)
    assert not [n for n in after if "glm" in n]
    assert after[".config/ccsetup/keys/work"] == KEY.encode()
    assert ".codex/work.config.toml" in after
    assert after[".claude/settings.json"] == before[".claude/settings.json"]
    listed = cc.main("list", "--json").json["result"]["clients"]
    assert {v["profile"] for v in listed.values()} == {"work"}
    assert b'model_provider = "ccsetup"' in after[".codex/config.toml"]  # Codex files its history by it
    assert cc.main("init", "-s", "-p", "glm", "-n", "work", "-k", KEY, "-T", "all", "--check").rc in (0, 4)
    assert cc.main("undo").ok
    assert cc.files(set_up) == before


def test_copy_has_the_same_key_and_switches_nothing(set_up: Path) -> None:
    before = cc.files(set_up)
    assert cc.main("profile", "copy", "glm", "two").ok
    after = cc.files(set_up)
    assert after[".config/ccsetup/keys/two"] == KEY.encode()
    assert {n: after[n] for n in before if "profiles.toml" not in n} == {
        n: d for n, d in before.items() if "profiles.toml" not in n
    }
    assert cc.main("config-switch", "two").ok


@pytest.mark.parametrize("new", ["glm", "official", "a b"])
@pytest.mark.parametrize("command", ["copy", "rename"])
def test_a_name_that_cannot_be(set_up: Path, command: str, new: str) -> None:
    before = cc.files(set_up)
    assert cc.main("profile", command, "glm", new).rc == 2
    assert cc.files(set_up) == before


def test_rm_of_a_profile_in_use(set_up: Path) -> None:
    """It is refused; with --yes the clients get their own account, and no file holds the key any more."""
    before = cc.files(set_up)
    refused = cc.main("profile", "rm", "glm")
    assert refused.rc == 2
    assert "Claude Code, Codex" in refused.stderr
    assert cc.files(set_up) == before
    done = cc.main("profile", "rm", "glm", "--yes")
    assert done.ok, done
    assert holds(set_up) == set()
    assert cc.main("list", "--json").json["result"]["profiles"] == []
    assert cc.main("undo").ok
    assert cc.files(set_up) == before


def test_rm_keeps_a_dotenv_key_that_another_profile_reads(home: Path) -> None:
    """Two profiles may read one variable of Codex's .env; it goes with the last one."""
    more = ("-T", "codex", "--key-storage", "dotenv", "--no-activate")
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, *more).ok
    assert cc.main("profile", "copy", "glm", "two").ok
    assert cc.main("profile", "rm", "glm", "--yes").ok
    assert KEY in (home / ".codex/.env").read_text()
    assert cc.main("profile", "rm", "two", "--yes").ok
    assert not (home / ".codex/.env").exists()


@pytest.mark.parametrize("keep", [False, True])
def test_uninstall(home: Path, keep: bool) -> None:
    """The clients' files are as they were; the records of undo stay and bring everything back."""
    mine = {
        ".claude/settings.json": '{\n  "model": "opus", "env": {"EDITOR": "vi"}\n}\n',
        ".codex/config.toml": '# mine\nmodel = "gpt-5"\n',
    }
    cc.put(home, mine)
    own = {n: d.encode() for n, d in mine.items()}
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "all").ok
    before = cc.files(home)
    refused = cc.main("uninstall")
    assert refused.rc == 2
    done = cc.main("uninstall", "--yes", *(["--keep-profiles"] if keep else []))
    assert done.ok, done
    assert "~/.local/state/ccsetup" in done.stdout
    left = {n: d for n, d in cc.files(home).items() if n != ".claude.json"}
    profiles = {".config/ccsetup/profiles.toml", ".config/ccsetup/keys/glm"}
    assert {n: d for n, d in left.items() if n not in profiles} == own
    assert (profiles <= set(left)) is keep
    assert cc.main("undo").ok
    assert cc.files(home) == before


def test_uninstall_leaves_what_another_tool_wrote(home: Path) -> None:
    """A client that ccsetup has no record of is not touched."""
    foreign = '{"env": {"ANTHROPIC_BASE_URL": "https://x.example", "ANTHROPIC_AUTH_TOKEN": "theirs"}}'
    cc.put(home, {".claude/settings.json": foreign})
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "codex").ok
    assert cc.main("uninstall", "--yes").ok
    assert (home / ".claude/settings.json").read_text() == foreign
