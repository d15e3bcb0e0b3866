"""``run``, ``env`` and ``--project`` with the real clients, beside settings of the user that say something else."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import cc, client_install, waiting
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS, run_claude
from support.provider import Provider

pytestmark = pytest.mark.clients

OWN, OTHER = "sk-own-0123456789abcdef", "sk-other-fedcba9876543210"
MODEL = "own-model-7b"


def environment(client: str, version: str, home: Path) -> dict[str, str | None]:
    """Return what a user's shell has besides: the client on PATH, and proxies that lead nowhere."""
    program = home.parent / "bin" / {"claude-code": "claude", "codex": "codex"}[client]
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {shlex.join(client_install.command(client, version))} "$@"\n')
    program.chmod(0o755)
    return {
        "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}",
        "DISABLE_AUTOUPDATER": "1",
        "CLAUDE_CODE_MAX_RETRIES": "0",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }


def save(home: Path, provider: Provider, name: str, key: str, *more: str, auth: str = "auth_token") -> None:
    urls = ("--claude-url", provider.url(f"/{name}"), "--codex-url", provider.url(f"/{name}/v1"))
    given = ("-k", key) if "env" not in more else ()
    done = cc.run(home, "init", "-s", "-p", "custom", "-n", name, *given, "-M", MODEL, *urls, "-t", auth, *more)
    assert done.ok, done


def check(provider: Provider, name: str, key: str, *, helper: bool) -> None:
    """Assert that every request went to *name* with its key alone; a helper's goes out in both headers."""
    calls = [c for c in provider.calls if c.method == "POST"]
    assert calls
    for call in calls:
        assert call.path.startswith(f"/{name}/"), provider.summary()
        assert {value.removeprefix("Bearer ") for _header, value in call.credentials} == {key}, call.credentials
        assert call.model == MODEL
    assert len({header for header, _v in calls[0].credentials}) == (2 if helper else 1)


@pytest.mark.parametrize("version", CLAUDE_VERSIONS[:2])
@pytest.mark.parametrize("storage", ["inline", "OWN_KEY", "ANTHROPIC_API_KEY"])
def test_run_claude(provider: Provider, home: Path, version: str, storage: str) -> None:
    """A run uses its profile though settings.json and the shell say another, and leaves no trace in any file."""
    provider.expect("/own", key=OWN, scheme="any")
    more = ("--key-storage", "env", "--key-env-name", storage) if storage != "inline" else ()
    save(home, provider, "other", OTHER, "-T", "cc", auth="api_key")
    save(home, provider, "own", OWN, "-T", "cc", "--no-activate", *more)
    above = {"ANTHROPIC_AUTH_TOKEN": OTHER, "CLAUDE_CODE_USE_BEDROCK": "1", "ANTHROPIC_MODEL": "other"}
    above["ANTHROPIC_BASE_URL"] = provider.url("/other")
    cc.put(home, {".claude/settings.json": json.dumps({"env": above})})
    before = {n: d for n, d in cc.files(home).items() if n != ".claude.json"}  # Claude Code's own notes
    env = environment("claude-code", version, home) | {"ANTHROPIC_AUTH_TOKEN": OTHER, storage: OWN}
    done = cc.run(home, "run", "own", "--", "claude", "-p", "say the word", env=env)
    assert done.ok, (done, provider.summary())
    assert done.stdout.strip().endswith(provider.reply)
    check(provider, "own", OWN, helper=True)
    after = cc.files(home)
    assert {n: after[n] for n in before} == before
    assert OWN.encode() not in b"".join(d for n, d in after.items() if n not in before)


@pytest.mark.parametrize("saved", [True, False], ids=["profile file", "options"])
def test_run_codex(provider: Provider, home: Path, saved: bool) -> None:
    """A run of Codex uses the profile's file, or without one options of which none is the key."""
    version = CODEX_VERSIONS[0]
    provider.expect("/own/v1", key=OWN, scheme="bearer")
    env = environment("codex", version, home)
    save(home, provider, "own", OWN, "-T", "codex", "--no-activate")
    if not saved:
        (home / ".codex/own.config.toml").unlink()
    done = cc.run(home, "run", "own", "--", "codex", "exec", "--skip-git-repo-check", "say the word", env=env)
    assert done.ok, (done, provider.summary())
    check(provider, "own", OWN, helper=False)
    assert not (home / ".codex/config.toml").exists() or OWN not in (home / ".codex/config.toml").read_text("utf-8")


@pytest.mark.parametrize("client", ["claude", "codex"])
def test_no_key_in_any_argument(provider: Provider, home: Path, client: str) -> None:
    """While the client runs, no process of it shows the key to other users of the machine."""
    name, version = ("claude-code", CLAUDE_VERSIONS[0]) if client == "claude" else ("codex", CODEX_VERSIONS[0])
    save(home, provider, "own", OWN, "-T", "all", "--no-activate")
    provider.script(*[_slow] * 4)
    (home / ".codex/own.config.toml").unlink()
    asks = ["-p", "say the word"] if client == "claude" else ["exec", "--skip-git-repo-check", "say the word"]
    child = cc.start(home, "run", "own", "--", client, *asks, env=environment(name, version, home))
    assert child.stdin is not None
    child.stdin.close()
    try:
        seen = b""

        def asked() -> bool:
            nonlocal seen
            seen += b"".join(_arguments(child.pid))
            return bool(provider.calls) or child.poll() is not None

        waiting.until(asked, "the client asks")
        assert provider.calls, seen
        assert b"own" in seen
        assert OWN.encode() not in seen
    finally:
        child.kill()
        child.wait()
        for stream in (child.stdout, child.stderr):
            assert stream is not None
            stream.close()


def _slow(call: object) -> None:
    time.sleep(1)


def _arguments(pid: int) -> list[bytes]:
    """Return the arguments of *pid* and of its children."""
    out = []
    todo = [pid]
    while todo:
        one = todo.pop()
        try:
            out.append(Path(f"/proc/{one}/cmdline").read_bytes())
            todo += map(int, Path(f"/proc/{one}/task/{one}/children").read_text().split())
        except OSError:
            continue
    return out


def test_the_exit_code_is_the_client_s(provider: Provider, home: Path) -> None:
    """A client that fails makes ``run`` fail with the same code."""
    provider.expect("/own", key="sk-another", scheme="any")
    save(home, provider, "own", OWN, "-T", "cc", "--no-activate")
    env = environment("claude-code", CLAUDE_VERSIONS[0], home)
    done = cc.run(home, "run", "own", "--", "claude", "-p", "say the word", env=env)
    assert done.rc == 1, done
    assert "401" in done.stdout + done.stderr


def test_env_for_one_terminal(provider: Provider, home: Path) -> None:
    """What ``env`` prints makes Claude Code use the profile in the shell that evaluates it, and --unset ends that."""
    provider.expect("/own", key=OWN, scheme="bearer")
    save(home, provider, "own", OWN, "-T", "cc", "--no-activate")
    program = f"{sys.executable} -m ccsetup"
    shell = f'eval "$({program} env own)" && claude -p "say the word" && eval "$({program} env own --unset)" && env'
    env = cc.environment(home, environment("claude-code", CLAUDE_VERSIONS[0], home))
    done = subprocess.run(
        ["/bin/sh", "-c", shell],
        env=env,
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=waiting.LIMIT,
    )
    assert done.returncode == 0, (done, provider.summary())
    assert provider.reply in done.stdout
    check(provider, "own", OWN, helper=False)
    assert "ANTHROPIC" not in done.stdout


@pytest.mark.parametrize("version", CLAUDE_VERSIONS[:2])
@pytest.mark.parametrize("below", ["token", "helper", "nothing"])
def test_project(provider: Provider, home: Path, tmp_path: Path, version: str, below: str) -> None:
    """In the project its provider is used, with nothing of the user's settings beside it; elsewhere they stay."""
    provider.expect("/own", key=OWN, scheme="bearer")
    user = {
        "token": {"env": {"ANTHROPIC_BASE_URL": provider.url("/other"), "ANTHROPIC_API_KEY": OTHER}},
        "helper": {"env": {"ANTHROPIC_BASE_URL": provider.url("/other")}, "apiKeyHelper": f"echo {OTHER}"},
        "nothing": {},
    }[below]
    settings = json.dumps(user)
    cc.put(home, {".claude/settings.json": settings})
    project = tmp_path / "project"
    project.mkdir()
    urls = ("--claude-url", provider.url("/own"))
    done = cc.run(
        home, "init", "-s", "-p", "custom", "-n", "own", "-k", OWN, "-M", MODEL, *urls, "--project", cwd=project,
        env=environment("claude-code", version, home),
    )  # fmt: skip
    assert done.ok, done
    assert (home / ".claude/settings.json").read_text() == settings
    result = run_claude(version, home, "say the word", cwd=project)
    assert result.ok, (result, provider.summary())
    check(provider, "own", OWN, helper=False)
    provider.clear()
    taken = cc.run(home, "config-switch", "official", "--project", cwd=project)
    assert taken.ok, taken
    assert list(project.rglob("*.json")) == []
