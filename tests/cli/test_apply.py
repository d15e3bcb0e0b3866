"""``ccsetup export`` and ``apply``: one file makes a machine, twice the same, all of it or nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import cc

from ccsetup.clients import releases

GLM, KIMI = "sk-glm-0123456789abcd", "sk-kimi-fedcba987654321"
TEAM = """\
ccsetup: 1
profiles:
  - {name: glm, provider: glm, key: {env: GLM_KEY}, claude-code: {}, codex: {}}
  - {name: kimi, provider: kimi, key: {env: KIMI_KEY}, key_storage: command}
active: {claude-code: glm, codex: glm}
"""
ENV = {"GLM_KEY": GLM, "KIMI_KEY": KIMI}


def apply(home: Path, text: str, *more: str, env: dict[str, str] | None = None) -> cc.Result:
    return cc.run(home, "apply", "-", *more, stdin=text, env=ENV if env is None else env)


def active(home: Path) -> dict[str, str]:
    clients = cc.run(home, "list", "--json").json["result"]["clients"]
    return {c: v["profile"] for c, v in clients.items()}


def stamps(home: Path) -> dict[str, tuple[int, int]]:
    return {
        str(p): (p.stat().st_ino, p.stat().st_mtime_ns) for p in home.rglob("*") if p.is_file() and p.name != "lock"
    }


def test_twice(home: Path) -> None:
    """The first run provisions, the second replaces no file, and says so in text, JSON and exit codes."""
    assert apply(home, TEAM, "--check").rc == 4
    assert cc.files(home) == {}
    first = apply(home, TEAM)
    assert first.ok, first
    assert active(home) == {"claude-code": "glm", "codex": "glm"}
    before, times = cc.files(home, records=True), stamps(home)
    second = apply(home, TEAM)
    assert second.stdout.count("unchanged") == 3, second
    assert "done" not in second.stdout
    assert apply(home, TEAM, "--json").json["result"]["changed"] is False
    assert apply(home, TEAM, "--check").rc == 0
    assert cc.files(home, records=True) == before
    assert stamps(home) == times
    assert cc.run(home, "undo").ok
    assert cc.files(home) == {}


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("  - {name: x, provider: glmm, key: {env: GLM_KEY}}\n", "<stdin>:5:5: Invalid provider 'glmm'"),
        ("  - {name: x, provider: glm, key: {env: NOT_SET}}\n", "<stdin>:5:5: key.env: the variable NOT_SET"),
        ("  - {name: x, provider: glm}\n", "<stdin>:5:5: Profile 'x' has no key"),
        ("  - {name: x, provider: custom, key: {env: GLM_KEY}}\n", "<stdin>:5:5: Provider 'custom' needs"),
        ("  - {name: x, provider: glm, region: mars, key: {env: GLM_KEY}}\n", "<stdin>:5:5: Provider 'glm' has no"),
    ],
)
def test_one_bad_entry_leaves_all_old(home: Path, broken: str, message: str) -> None:
    """An entry that cannot be is named with its place, and the good ones before it are not written either."""
    assert apply(home, TEAM.replace("glm, codex: glm", "kimi"), "--codex-version", releases.CODEX[0]).ok
    before = cc.files(home, records=True)
    text = TEAM.replace("active:", broken + "active:")
    done = apply(home, text)
    assert done.rc in (1, 2), done
    assert message.replace("<stdin>", "standard input") in done.stderr
    assert cc.files(home, records=True) == before


@pytest.mark.parametrize("when", [3, 5, 7])
def test_a_write_that_fails_in_the_middle_leaves_all_old(home: Path, when: int) -> None:
    """When one of the files cannot be replaced, those replaced before it are as they were; the next run succeeds."""
    program = shutil.which("strace")
    if program is None or subprocess.run([program, "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("strace is not installed, or may not trace here")
    assert apply(home, TEAM).ok
    before = cc.files(home)
    text = TEAM.replace("provider: glm", "provider: glm, region: intl").replace("codex: glm}", "codex: official}")
    fault = (program, "-f", "-o", os.devnull, f"--inject=rename,renameat,renameat2:error=EIO:when={when}")
    done = cc.run(home, "apply", "-", stdin=text, env=ENV, prefix=fault)
    assert done.rc == 1, done
    assert "cannot be written" in done.stderr
    assert cc.files(home) == before
    assert apply(home, text).ok
    assert active(home) == {"claude-code": "glm", "codex": ""}


def test_export_makes_the_same_machine(home: Path, tmp_path: Path) -> None:
    """What export writes holds no key, and on another home gives the same files of both clients."""
    (tmp_path / "kimi.key").write_text(KIMI)
    for argv in (
        ("-p", "glm", "-k", GLM, "-T", "all"),
        ("-p", "glm", "-n", "glm-2", "-k", GLM + "2", "--no-activate", "--key-storage", "command", "-M", "glm-x"),
        ("-p", "kimi", "-n", "k", "--region", "intl", "--api-key-command", f"cat {tmp_path}/kimi.key", "--no-activate"),
        ("-p", "ollama", "-M", "qwen", "-T", "all", "--no-activate"),
        ("-p", "openrouter", "-n", "r", "-k", "sk-or-0123456789ab", "-T", "codex", "--key-storage", "dotenv"),
        ("-p", "custom", "-n", "c", "--codex-url", "https://x.example/v1", "-M", "m", "-T", "codex", "--key-storage",
         "env", "--key-env-name", "C_KEY", "--no-activate"),
    ):  # fmt: skip
        assert cc.main("init", "-s", *argv).ok
    exported = cc.main("export")
    assert exported.ok, exported
    assert all(k not in exported.stdout for k in (GLM, KIMI, "sk-or-0123456789ab"))
    other = tmp_path / "other"
    other.mkdir()
    env = {"ZHIPU_API_KEY": GLM, "CCSETUP_GLM_2_API_KEY": GLM + "2", "OPENROUTER_API_KEY": "sk-or-0123456789ab"}
    done = apply(other, exported.stdout, env=env)
    assert done.ok, (done, exported.stdout)
    here, there = cc.files(home), cc.files(other)
    assert {n: d.replace(str(other).encode(), str(home).encode()) for n, d in there.items()} == here
    assert apply(other, exported.stdout, "--check", env=env).rc == 0


def test_a_key_in_a_key_command_is_not_exported(home: Path, tmp_path: Path) -> None:
    """Without --with-keys the key is to come from a variable, which is said; with it the command stays as it is."""
    command = f"echo {KIMI}"
    assert cc.main("init", "-s", "-p", "kimi", "-n", "k", "--api-key-command", command, "--no-activate").ok
    file = tmp_path / "team.yaml"
    done = cc.main("export", "-o", str(file))
    assert done.ok, done
    assert KIMI not in file.read_text() + done.stdout + done.stderr
    assert "The key command of profile 'k' holds a key" in done.stderr
    other = tmp_path / "other"
    other.mkdir()
    assert apply(other, file.read_text(), env={"MOONSHOT_API_KEY": KIMI}).ok
    assert command in cc.main("export", "--with-keys").stdout


def test_export_with_keys(home: Path, tmp_path: Path) -> None:
    """The file is the user's alone from the first moment, holds the key, and needs no variable to be applied."""
    assert cc.main("init", "-s", "-p", "glm", "-k", GLM).ok
    assert GLM in cc.main("export", "--with-keys").stdout
    assert cc.main("export", "--with-keys", "--json").rc == 2  # no value of the JSON output is a key
    file = tmp_path / "team.yaml"
    done = cc.main("export", "glm", "--with-keys", "-o", str(file))
    assert done.ok, done
    assert GLM not in done.stdout + done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    other = tmp_path / "other"
    other.mkdir()
    assert apply(other, file.read_text(), env={}).ok
    assert cc.files(other) == cc.files(home)


def test_prune(home: Path) -> None:
    """Profiles that the file does not name go, with their keys; their clients get their own accounts."""
    assert cc.main("init", "-s", "-p", "minimax", "-k", "sk-minimax-0123456789", "-T", "codex").ok
    kept = apply(home, TEAM.replace(", codex: glm}", "}"))
    assert kept.ok
    assert active(home)["codex"] == "minimax"
    done = apply(home, TEAM.replace(", codex: glm}", "}"), "--prune")
    assert "profile 'minimax' is removed" in done.stdout
    assert active(home) == {"claude-code": "glm", "codex": ""}
    assert b"sk-minimax" not in b"".join(cc.files(home).values())
    assert apply(home, TEAM.replace(", codex: glm}", "}"), "--prune", "--check").rc == 0


def test_official_and_unknown_in_active(home: Path) -> None:
    assert apply(home, TEAM).ok
    done = apply(home, "ccsetup: 1\nactive: {codex: official}\n")
    assert done.ok, done
    assert active(home) == {"claude-code": "glm", "codex": ""}
    wrong = apply(home, "ccsetup: 1\nactive: {codex: gml}\n")
    assert wrong.rc == 2
    assert "standard input:2:17" in wrong.stderr
    assert apply(home, "ccsetup: 1\nactiv: {}\n").rc == 2
    assert "'glm'" in wrong.stderr


def test_no_key_in_the_file_keeps_the_saved_one_but_sends_it_nowhere_else(home: Path) -> None:
    """Without ``key`` a profile keeps its key, as long as the address stays with the same provider."""
    assert apply(home, TEAM).ok
    before = cc.files(home)
    text = TEAM.replace(" key: {env: GLM_KEY},", "")
    assert apply(home, text, env={"KIMI_KEY": KIMI}).ok
    assert cc.files(home) == before
    moved = apply(
        home, text.replace("claude-code: {}", "claude-code: {url: 'https://evil.example'}"), env={"KIMI_KEY": KIMI}
    )
    assert moved.rc == 2, moved
    assert "evil.example" in moved.stderr
    assert cc.files(home) == before


def test_a_client_taken_out_of_the_file(home: Path) -> None:
    """A profile that serves Codex no longer is taken out of Codex, which goes back to its own account."""
    assert apply(home, TEAM).ok
    done = apply(home, TEAM.replace(", codex: {}", "").replace(", codex: glm", ""))
    assert done.ok, done
    assert active(home) == {"claude-code": "glm", "codex": ""}
    assert not (home / ".codex/glm.config.toml").exists()
