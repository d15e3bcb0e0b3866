"""Keys stay where they belong: not in output of any kind, and in files that nobody else can read."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from support import cc

KEY = "zq7-Secret.Key_0123456789/abcdef+XYZ="
ROTATED = "zq8-Rotated.Key_9876543210/fedcba+ZYX="
FOREIGN = "zq9-Foreign.Key_5555555555/ffffff"
PARTS = (KEY, KEY[-20:], KEY[:12], ROTATED, ROTATED[-20:], ROTATED[:12], FOREIGN, FOREIGN[:12])

COMMANDS: list[tuple[tuple[str, ...], int]] = [
    (("init", "-s", "-p", "glm", "-k", KEY, "-T", "all", "--dry-run"), 0),
    (("init", "-s", "-p", "glm", "-k", KEY, "-T", "all", "-t", "api_key", "-v"), 0),
    (("init", "-s", "-p", "glm", "-k", ROTATED, "-T", "all", "-t", "api_key", "--dry-run"), 0),
    (("init", "-s", "-p", "glm", "-k", ROTATED, "-T", "all", "-t", "api_key", "--check", "--json"), 4),
    (("init", "-s", "-p", "glm", "-k", ROTATED, "-T", "all", "-v", "--json"), 0),
    (("init", "-s", "-p", "kimi", "-k", KEY, "-T", "all", "-v"), 0),
    (("init", "-s", "-p", "deepseek", "-k", KEY, "-T", "codex", "--key-storage", "dotenv", "--dry-run"), 0),
    (("init", "-s", "-p", "deepseek", "-k", KEY, "-T", "codex", "--key-storage", "dotenv", "-v"), 0),
    (("init", "-s", "-p", "kimi", "-T", "all", "--key-storage", "command", "--dry-run"), 0),
    (("init", "-s", "-p", "kimi", "-T", "all", "--key-storage", "command", "-v"), 0),
    (("config-switch", "glm", "--dry-run"), 0),
    (("config-switch", "glm", "--json", "-v"), 0),
    (("config-switch", "--list", "--json"), 0),
    (("list",), 0),
    (("list", "--json"), 0),
    (("init", "-s", "-p", "nonsense", "-k", KEY), 2),
    (("init", "-s", "-p", "glm", "-k", KEY + "\n" + KEY), 2),
    (("init", "-s", "-p", "glm", "-k", KEY, "-u", f"https://h.example/?key={KEY}"), 2),
    (("init", "-s", "-p", "glm", "-k", KEY, "-u", f"https://user:{KEY}@h.example/"), 2),
    (("init", "-s", "-p", "glm", "-k", KEY, "-n", "../x", "--json"), 2),
    (("init", "-s", "--api-configs", json.dumps([{"provider": "glm", "key": KEY, "kye": KEY}])), 2),
    (("init", "-s", "--api-configs", json.dumps([{"provider": "glm", "key": [KEY]}])), 2),
    (("init", "-s", "--api-configs", f'[{{"provider": "glm", "key": "{KEY}"'), 2),
    (("init", "-s", "--api-configs", f"- provider: glm\n  key: {KEY}\n  - x"), 1),
    (("init", "-s", "--api-configs", f"- provider: glm\n  key: !!python/x {KEY}\n"), 1),
    (("config-switch", "official", "--dry-run"), 0),
    (("config-switch", "official", "-v"), 0),
    (("undo", "--list"), 0),
    (("undo", "--dry-run"), 0),
    (("undo", "--json"), 0),
]
"""Commands in this order, in one home, and their exit codes; YAML that cannot be read may end with 1 or 2."""


def foreign(home: Path) -> None:
    """Put settings of another tool into *home*."""
    env = {"ANTHROPIC_BASE_URL": "https://x.example", "ANTHROPIC_AUTH_TOKEN": FOREIGN, "MY_SERVICE_TOKEN": FOREIGN}
    cc.put(home, {".claude/settings.json": json.dumps({"env": env}, indent=2)}, mode=0o644)
    text = (
        'model_provider = "x"\n[model_providers.x]\nname = "X"\nbase_url = "https://x.example"\n'
        f'experimental_bearer_token = "{FOREIGN}"\n'
    )
    cc.put(home, {".codex/config.toml": text}, mode=0o644)


def test_no_output_holds_a_key(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither standard output nor standard error, JSON, diffs, notes and errors included, shows a key or part of it."""
    foreign(home)
    for argv, code in COMMANDS:
        done = cc.main(*argv)
        assert done.rc == code or (code == 1 and done.rc == 2), done
        for part in PARTS:
            assert part not in done.stdout + done.stderr, argv
    assert capfd.readouterr() == ("", "")


def test_a_bug_shows_no_key(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash prints no traceback; its log (0600) names places, and neither values nor keys."""
    from ccsetup.change import actions

    def broken(*args: object, **named: object) -> None:
        raise RuntimeError(f"with {KEY}")

    monkeypatch.setattr(actions, "_apply", broken)
    done = cc.main("init", "-s", "-p", "glm", "-k", KEY)
    assert done.rc == 3
    assert "This is a bug" in done.stderr
    assert "Traceback" not in done.stderr
    log = home / ".local/state/ccsetup/crash.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "RuntimeError" in log.read_text()
    for part in PARTS:
        assert part not in done.stdout + done.stderr + log.read_text()
    assert set(cc.files(home, records=True)) == {".local/state/ccsetup/crash.log"}


def test_values_do_not_print_their_keys() -> None:
    """repr, str and format of everything that carries a key hide it."""
    from ccsetup.change.merge import Request
    from ccsetup.documents.edit import Set
    from ccsetup.model import Secret
    from ccsetup.plan import FileChange, Owned, Plan, digest
    from ccsetup.profiles import Part
    from ccsetup.profiles.apiconfigs import parse

    secret = Secret(KEY)
    change = FileChange("/x", KEY.encode(), KEY.encode(), edits=(Set(("a",), KEY),))
    request = Request("n", "glm", "", {"codex": Part()}, secret, "", "", frozenset())
    entry = parse(json.dumps([{"provider": "glm", "key": KEY}]), "x")[0]
    for value in (
        secret,
        change,
        Plan("init", (change,)),
        Set(("a",), KEY),
        request,
        Owned(("a",), digest(secret), None, 0),
        entry,
    ):
        for text in (repr(value), str(value), f"{value}", f"{value!r:>200}"):
            assert KEY not in text, type(value)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_and_folders_are_private(home: Path, umask: int) -> None:
    """Whatever the umask: each file that holds a key is 0600, each folder of ours 0700, also those that were 0644."""
    foreign(home)
    done = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "-T", "all", "-t", "api_key", umask=umask)
    assert done.ok, done
    assert cc.run(
        home, "init", "-s", "-p", "kimi", "-k", ROTATED, "-T", "codex", "--key-storage", "dotenv", umask=umask
    ).ok
    assert cc.run(home, "config-switch", "glm", umask=umask).ok
    assert cc.run(home, "undo", umask=umask).ok
    found = cc.modes(home)
    texts = cc.files(home, records=True)
    assert sum(any(k.encode() in data for k in (KEY, ROTATED, FOREIGN)) for data in texts.values()) >= 7
    for name, data in texts.items():
        if any(part.encode() in data for part in PARTS) or name.startswith(
            (".config/ccsetup/", ".local/state/ccsetup/")
        ):
            assert found[name] == 0o600, name
    for name, mode in found.items():
        if name.endswith("/") and ("ccsetup/" in name or name in (".claude/", ".codex/")):
            old = name in (".claude/", ".codex/")  # these were there before, made by the test
            assert old or mode == 0o700, name


def test_folders_of_the_clients_are_private(home: Path) -> None:
    """Folders that we make for a client are 0700 as well."""
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "-T", "all", umask=0).ok
    found = cc.modes(home)
    assert (found[".claude/"], found[".codex/"], found[".claude.json"]) == (0o700, 0o700, 0o600)


def test_no_key_in_arguments_or_environment_of_children(home: Path, tmp_path: Path) -> None:
    """Programs that ccsetup runs (codex --version, git) see no key among their arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("codex", "claude", "git"):
        program = folder / name
        program.write_text(
            f'#!/bin/sh\necho "$0 $@" >> {tmp_path}/seen\nenv >> {tmp_path}/seen\necho codex-cli 0.160.0\nexit 1\n'
        )
        program.chmod(0o755)
    (home / ".git").mkdir()
    done = cc.run(
        home,
        "init",
        "-s",
        "-p",
        "glm",
        "-k",
        KEY,
        "-T",
        "all",
        env={"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
    )
    assert done.ok, done
    seen = (tmp_path / "seen").read_text()
    assert "codex --version" in seen
    assert "git" in seen
    assert KEY not in seen


def test_the_record_of_undo_names_no_key(home: Path) -> None:
    """undo --list shows the command without its arguments."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY).ok
    assert cc.main("undo", "--list", "--json").json["result"]["changes"][0]["command"] == "init"
