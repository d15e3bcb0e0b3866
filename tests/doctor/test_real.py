"""The real clients on broken homes: they fail, or send a key where it must not go; after ``doctor --fix`` they work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support import cc, sick, world, zcf
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS, Result, codex_no_retries, run_claude, run_codex
from support.provider import Provider
from support.sick import CASES, CLAUDE_PATH, CODEX_PATH, CONFIG, KEY, MODEL, SETTINGS, Case

pytestmark = pytest.mark.clients

VERSION = ("--codex-version", CODEX_VERSIONS[0])


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both clients are on PATH for ccsetup, which only asks their versions; the real ones are called by their paths."""
    monkeypatch.setenv("PATH", f"{world.clients(tmp_path / 'clients')}{os.pathsep}{os.environ['PATH']}")


def doctor(home: Path, *argv: str, env: dict[str, str] | None = None) -> cc.Result:
    work = home / "work"
    work.mkdir(exist_ok=True)
    return cc.run(home, "doctor", *VERSION, *argv, env=dict(env or {}), cwd=work)


def ask(client: str, original: Path, env: dict[str, str]) -> Result:
    """Run one prompt in a copy of the home, which the client may fill; Codex without its slow retries."""
    home = original.parent / "copy"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(original, home, symlinks=True)
    if client == "claude-code":
        return run_claude(CLAUDE_VERSIONS[0], home, "say hi", env=env)
    text = (home / CONFIG).read_text()
    retries = next((codex_no_retries(n) for n in ("mine", "custom-api-key") if f"[model_providers.{n}]" in text), ())
    return run_codex(CODEX_VERSIONS[0], home, "say hi", env=env, args=retries)


def works(client: str, home: Path, provider: Provider, env: dict[str, str]) -> str:
    """Return "" when the client got its answer with the right key and model, or what went wrong."""
    provider.clear()
    result = ask(client, home, env)
    if not result.ok or provider.reply not in result.stdout:
        return repr(result)
    kind, prefix = ("messages", CLAUDE_PATH) if client == "claude-code" else ("responses", CODEX_PATH)
    try:
        provider.check(kind, prefix=prefix, key=KEY, scheme="bearer", models={MODEL})  # type: ignore[arg-type]
    except AssertionError as e:
        return str(e)
    return ""


BROKEN = [c for c in CASES if c.broken]


@pytest.mark.parametrize("case", BROKEN, ids=[c.title for c in BROKEN])
def test_before_and_after(case: Case, home: Path, provider: Provider) -> None:
    """The client fails, or does wrong, on the broken home; after the repair it works; undo brings the defect back."""
    provider.expect(CLAUDE_PATH, key=KEY, scheme="any")
    provider.expect(CODEX_PATH, key=KEY, scheme="bearer")
    provider.models = [MODEL]
    env = case.put(home, provider.url())
    assert works(case.broken, home, provider, env), "it works before the repair: no defect"
    before = cc.files(home)
    fixed = doctor(home, "--fix", "--yes", env=env)
    assert fixed.rc == 0, fixed
    assert works(case.broken, home, provider, env) == ""
    assert cc.run(home, "undo", env=env).ok or cc.files(home) == before
    assert cc.files(home) == before


def test_proxy_in_front_of_codex(home: Path, provider: Provider) -> None:
    """With a proxy and no NO_PROXY Codex never reaches this machine; the line in its .env sets it right."""
    case = next(c for c in CASES if c.title == "proxy-codex")
    env = case.put(home, provider.url())
    with pytest.raises(subprocess.TimeoutExpired):
        run_codex(CODEX_VERSIONS[0], home, "say hi", env=env, timeout=8)
    assert not provider.calls
    assert doctor(home, "--fix", "--yes", env=env).rc == 0
    assert works("codex", home, provider, env) == ""


def test_onboarding_and_approval_are_read_by_the_client(home: Path, provider: Provider) -> None:
    """A -p run needs neither; that both keys are where the client looks is in what it leaves after a run."""
    cc.put(home, {SETTINGS: sick.settings().replace("@URL@", provider.url())})
    assert doctor(home, "--fix", "--yes").rc == 0
    assert works("claude-code", home, provider, {}) == ""
    assert json.loads((home / ".claude.json").read_text())["hasCompletedOnboarding"] is True


# What zcf 3.7.3 leaves behind.


@pytest.fixture
def clean(home: Path) -> Path:
    """A home for zcf, which wants Codex's folder to be there."""
    (home / ".codex").mkdir()
    return home


def test_zcf_codex(clean: Path, provider: Provider) -> None:
    """zcf's Codex has no key (temp_env_key), which ends in 401; doctor names it, and Codex works after --fix."""
    provider.expect(CODEX_PATH, key=KEY, scheme="bearer")
    zcf.init(clean, "-T", "codex", "-t", "api_key", "-u", provider.url(CODEX_PATH), "-M", MODEL, "-k", KEY)
    said = doctor(clean)
    for id in ("codex-temp-env-key", "codex-ignored-keys", "codex-auth-json", "mcp-servers", "file-modes"):
        assert f"[{id}]" in said.stdout, said
    text = (clean / CONFIG).read_text()
    (clean / CONFIG).write_text(text.partition("[mcp_servers]")[0])  # servers that npx would have to download
    (clean / CONFIG).chmod(0o644)
    before = cc.files(clean)
    assert works("codex", clean, provider, {})
    assert all(not call.credentials for call in provider.of("responses"))
    assert doctor(clean, "--fix", "--yes").rc == 0
    assert works("codex", clean, provider, {}) == ""
    assert cc.run(clean, "undo").ok
    now = cc.files(clean)
    assert {n: now[n] for n in before} == before


def test_zcf_rewrites_a_working_provider(clean: Path, provider: Provider) -> None:
    """zcf's config-switch --list turns a working env_key into temp_env_key; doctor turns it back."""
    provider.expect(CODEX_PATH, key=KEY, scheme="bearer")
    zcf.init(clean, "-T", "codex", "-t", "api_key", "-u", provider.url("/x"), "-M", MODEL, "-k", "sk-x")
    good = sick.config(key='env_key = "CORP_KEY"\n').replace("@URL@", provider.url())
    cc.put(clean, {CONFIG: good})
    env = {"CORP_KEY": KEY}
    assert works("codex", clean, provider, env) == ""
    zcf.run(clean, "config-switch", "--list", "-T", "codex", "-g", "en")
    assert "temp_env_key" in (clean / CONFIG).read_text()
    assert works("codex", clean, provider, env)
    assert "[codex-temp-env-key]" in doctor(clean, env=env).stdout
    assert doctor(clean, "--fix", "--yes", env=env).rc == 0
    assert works("codex", clean, provider, env) == ""


def test_zcf_claude(clean: Path, provider: Provider) -> None:
    """zcf's Claude Code settings: keys that others can read, models that are missing or old, and its own copy.

    After --fix the real client works with them, here at the loopback provider, and sends the provider's models only.
    """
    zcf.init(clean, "-p", "minimax", "-k", KEY, "-o", "skip", "-x", "false", "-r", "new")
    said = doctor(clean)
    for id in ("claude-legacy", "claude-tiers", "file-modes", "backups"):
        assert f"[{id}]" in said.stdout, said
    before = cc.files(clean)
    assert doctor(clean, "--fix", "--yes").rc == 0
    env = json.loads((clean / SETTINGS).read_text())["env"]
    assert {v for k, v in env.items() if k.endswith("_MODEL")} == {"MiniMax-M3"}
    assert cc.modes(clean)[SETTINGS] == 0o600
    repaired = (clean / SETTINGS).read_bytes()
    provider.expect(CLAUDE_PATH, key=KEY, scheme="bearer")
    here = repaired.decode().replace(env["ANTHROPIC_BASE_URL"], provider.url(CLAUDE_PATH))
    (clean / SETTINGS).write_text(here)
    assert provider.reply in ask("claude-code", clean, {}).stdout
    provider.check("messages", prefix=CLAUDE_PATH, key=KEY, scheme="bearer", models={"MiniMax-M3"})
    (clean / SETTINGS).write_bytes(repaired)
    (clean / ".claude.json").write_bytes(before[".claude.json"])  # the client has been at it
    assert cc.run(clean, "undo").ok
    now = cc.files(clean)
    assert {n: now[n] for n in before} == before


# Everything at once.

TEN = (
    *("claude-syntax", "claude-base-url", "claude-two-keys", "claude-config-dir", "codex-wire-api"),
    *("codex-legacy-profile", "codex-reserved-id", "codex-temp-env-key", "file-modes", "backups"),
)


def ten(home: Path, url: str) -> None:
    """Break a home in the TEN ways."""
    env = {
        "ANTHROPIC_BASE_URL": url + CLAUDE_PATH + "/v1",
        "ANTHROPIC_API_KEY": sick.OTHER,
        "CLAUDE_CONFIG_DIR": str(home / "elsewhere"),
    }
    plain = sick.settings(env).replace("{\n", "{\n  // from the team's wiki\n", 1)
    toml = sick.config(
        top='profile = "work"\nmodel = "nonsense"\n',
        table=f'[profiles.work]\nmodel = "{MODEL}"\nmodel_provider = "openai"\n\n[model_providers.openai]\n',
        wire='wire_api = "chat"\n',
        key='temp_env_key = "MY_KEY"\n',
    )
    files = {
        SETTINGS: plain,
        ".claude/settings.json.bak": plain,
        ".claude.json": '{"hasCompletedOnboarding": true}',
        CONFIG: toml.replace("@URL@", url),
        ".codex/auth.json": json.dumps({"openai": KEY, "OPENAI_API_KEY": KEY}),
    }
    cc.put(home, files, 0o644)


def test_ten_at_once(home: Path, provider: Provider) -> None:
    """All ten are named on one screen, --fix makes both clients work, and undo gives every byte back."""
    provider.expect(CLAUDE_PATH, key=KEY, scheme="any")
    provider.expect(CODEX_PATH, key=KEY, scheme="bearer")
    ten(home, provider.url())
    before = cc.files(home)
    for client in ("claude-code", "codex"):
        assert works(client, home, provider, {})
    said = doctor(home)
    lines = said.stdout.splitlines()
    assert said.rc == 1
    assert [id for id in TEN if f"[{id}]" not in said.stdout] == [], said
    assert len(lines) <= 24, said
    assert max(map(len, lines)) <= 100, said
    fixed = doctor(home, "--fix", "--yes")
    assert fixed.rc == 0, fixed
    for client in ("claude-code", "codex"):
        assert works(client, home, provider, {}) == ""
    again = doctor(home, "--fix", "--yes")
    assert "Repaired" not in again.stdout
    assert cc.run(home, "undo").ok
    assert cc.files(home) == before
