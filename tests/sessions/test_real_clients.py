"""The main job with the real clients: ccsetup writes, Claude Code or Codex runs one prompt against a loopback provider.

The provider checks the path, the key and its header, and the model ids; a wrong one makes the client fail.
What is expected comes from the YAML of ``presets/`` as it stands, not from ccsetup's reading of it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
import yaml
from support import cc
from support.clients import (
    CLAUDE_VERSIONS,
    CODEX_VERSIONS,
    Result,
    claude_auth_status,
    codex_config_ok,
    path_with,
    run_claude,
    run_codex,
    version_key,
)
from support.provider import Provider, Scheme

pytestmark = pytest.mark.clients

PRESETS = Path(__file__).parents[2] / "presets"
OWN_MODEL = "my-model-7b"
CHAIN = 6
"""Presets in one test: each is set up over the one before it."""


class Case(NamedTuple):
    """A preset as one client uses it in its default region."""

    preset: str
    path: str
    """The path of its base URL, which the loopback provider keeps."""
    scheme: Scheme
    models: frozenset[str]
    """Empty: the client's own."""
    model_args: tuple[str, ...]
    key: str
    """Empty: the preset needs none."""


def _load(preset: str) -> Any:
    return yaml.safe_load((PRESETS / f"{preset}.yaml").read_text("utf-8"))


def _case(preset: str, client: str) -> Case | None:
    """Return the case, or None when the client cannot use the preset without a relay."""
    data = _load(preset)
    endpoint = data["regions"][0][client]
    if "unsupported" in endpoint or endpoint.get("wire") == "chat":
        return None
    if client == "claude-code":
        models = frozenset(endpoint.get("models", {}).values())
        named = bool(models) or endpoint.get("native_models", False)
        scheme: Scheme = "x-api-key" if endpoint["auth"] == "api_key" else "bearer"
    else:
        models = frozenset((endpoint["model"],)) - {""}
        named = bool(models)
        scheme = "bearer"
    args = () if named else ("-M", OWN_MODEL)
    path = f"/{preset}" + urlsplit(endpoint.get("base_url", "")).path.rstrip("/")
    key = f"test-{preset}-0123456789abcdefghijklmn" if data["key"]["required"] else ""
    return Case(preset, path, scheme, models if named else frozenset((OWN_MODEL,)), args, key)


def _all(client: str) -> list[Case]:
    names = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    return [case for name in names if (case := _case(name, client)) is not None]


def _kind(case: Case, client: str) -> object:
    """Return what presets may differ in for *client*: an older release gets one of each kind, the newest one all."""
    endpoint = _load(case.preset)["regions"][0][client]
    members = {name: sorted(value) if isinstance(value, dict) else name for name, value in endpoint.items()}
    return json.dumps([members, case.scheme, bool(case.model_args), bool(case.key)], sort_keys=True)


def _runs(client: str, versions: Sequence[str]) -> list[Any]:
    """Return releases with the presets that each is tried with, one set up over the other."""
    runs = []
    for version in versions:
        cases = _all(client)
        if version != versions[0]:
            cases = list({_kind(case, client): case for case in reversed(cases)}.values())[::-1]
        for chain in (cases[i : i + CHAIN] for i in range(0, len(cases), CHAIN)):
            runs.append(pytest.param(version, chain, id="+".join([*(case.preset for case in chain), version])))
    return runs


def init(home: Path, provider: Provider, case: Case, client: str, version: str, *more: str) -> None:
    """Set *case* up where *version* is installed; its URL is the loopback provider's, with the preset's path."""
    option = "--claude-url" if client == "claude-code" else "--codex-url"
    key = ("-k", case.key) if case.key else ()
    url = provider.url(case.path)
    argv = ["init", "-s", "-p", case.preset, *key, "-T", client, option, url, *case.model_args, *more]
    done = cc.run(home, *argv, env=path_with(client, version))
    assert done.ok, done
    own = case.preset == "custom" and client == "claude-code"  # it asks for its own models, and that is said
    assert done.stderr.startswith("Note: No model is named") if own else done.stderr == "", done


def expect(provider: Provider, case: Case) -> None:
    """Let the provider accept the key of *case* at its path, and nothing else anywhere."""
    key = case.key or _load(case.preset)["key"]["default"]
    provider.expect(case.path, key=key, scheme=case.scheme)


def check(provider: Provider, case: Case, result: Result, client: str, version: str) -> None:
    """Assert that the client printed the provider's answer, and sent only what *case* says."""
    assert result.ok, (case, result, provider.summary())
    assert result.stdout.strip().endswith(provider.reply), result
    key = case.key or _load(case.preset)["key"]["default"]
    models = case.models or {c.model for c in provider.calls if c.model and c.model.startswith("claude-")}
    calls = provider.check(
        "messages" if client == "claude-code" else "responses",
        prefix=case.path,
        key=key,
        scheme=case.scheme,
        models=models,
    )
    if client == "codex":
        extra = _load(case.preset)["regions"][0]["codex"].get("extra_tools", True)
        if not extra:
            assert {tool["type"] for call in calls for tool in call.body["tools"]} <= {"function"}
        assert warnings(result) == [], result
    if client == "claude-code" and version == CLAUDE_VERSIONS[0]:
        assert "did not load" not in result.stderr, result
        assert "recognize the model" not in result.stderr, result
    provider.clear()


def warnings(result: Result) -> list[str]:
    """Return the warnings that Codex printed, but for the one about this machine's sandbox."""
    found = [line for line in result.stderr.splitlines() if re.match(r"(warning|deprecated)\b", line, re.I)]
    return [line for line in found if "bubblewrap" not in line and "sandbox" not in line.lower()]


@pytest.mark.parametrize(("version", "chain"), _runs("claude-code", CLAUDE_VERSIONS))
def test_claude_with_every_preset(provider: Provider, home: Path, chain: list[Case], version: str) -> None:
    """Claude Code works with each preset, set up over the one before; switched back; and official leaves none."""
    for case in chain:
        expect(provider, case)
        init(home, provider, case, "claude-code", version)
        check(provider, case, run_claude(version, home, "say the word"), "claude-code", version)

    back = cc.run(home, "config-switch", chain[0].preset, env=path_with("claude-code", version))
    assert back.ok, back
    check(provider, chain[0], run_claude(version, home, "say the word"), "claude-code", version)

    assert cc.run(home, "config-switch", "official", "-T", "cc").ok
    settings = json.loads((home / ".claude/settings.json").read_bytes())
    assert "ANTHROPIC" not in json.dumps(settings)
    assert "apiKeyHelper" not in settings
    result = run_claude(version, home, "say the word")
    assert result.rc == 1, result
    assert provider.calls == []
    if version_key(version) >= (2, 1):
        status = claude_auth_status(version, home)
        assert status.rc == 1
        assert json.loads(status.stdout)["loggedIn"] is False


@pytest.mark.parametrize(("version", "chain"), _runs("codex", CODEX_VERSIONS))
def test_codex_with_every_preset(provider: Provider, home: Path, chain: list[Case], version: str) -> None:
    """Codex works with each preset, switched back, with --profile for one that is not active; official names none."""
    for case in chain:
        expect(provider, case)
        init(home, provider, case, "codex", version)
        check(provider, case, run_codex(version, home, "say the word"), "codex", version)

    assert cc.run(home, "config-switch", chain[0].preset, "--codex-version", version).ok
    check(provider, chain[0], run_codex(version, home, "say the word"), "codex", version)
    last = chain[-1]
    check(provider, last, run_codex(version, home, "say the word", profile=last.preset), "codex", version)

    assert cc.run(home, "config-switch", "official", "-T", "codex", "--codex-version", version).ok
    config = tomllib.loads((home / ".codex/config.toml").read_text("utf-8"))
    assert not {"model_provider", "model", "model_catalog_json", "web_search", "agents", "mcp_servers"} & set(config)
    loaded = codex_config_ok(version, home, profile=last.preset)
    assert loaded.ok, loaded
    # A saved profile still works when the client's own account is the default.
    check(provider, last, run_codex(version, home, "say the word", profile=last.preset), "codex", version)


def _refused(client: str) -> list[str]:
    return [name for name in sorted(p.stem for p in PRESETS.glob("*.yaml")) if _case(name, client) is None]


@pytest.mark.parametrize("preset", _refused("codex"))
def test_a_preset_that_codex_cannot_use_is_refused(home: Path, preset: str) -> None:
    """Nothing is written, exit 1 or 2, and the text says why and what else to do."""
    done = cc.run(home, "init", "-s", "-p", preset, "-k", "sk-x", "-T", "codex", "-M", "m")
    assert done.rc == 1, done
    assert "Codex" in done.stderr
    assert "--via-relay" in done.stderr
    assert cc.files(home) == {}


@pytest.mark.parametrize("preset", _refused("claude-code"))
def test_a_preset_that_claude_code_cannot_use_is_refused(home: Path, preset: str) -> None:
    """Nothing is written, exit 1, and the text says why and what else to do."""
    done = cc.run(home, "init", "-s", "-p", preset, "-k", "sk-x", "-T", "cc", "-M", "m")
    assert done.rc == 1, done
    assert "Claude Code" in done.stderr
    assert cc.files(home) == {}


@pytest.mark.parametrize("preset", _refused("codex"))
def test_a_relay_makes_such_a_preset_usable(provider: Provider, home: Path, preset: str) -> None:
    """With -u at another host, which speaks Responses, the newest Codex works."""
    provider.expect("/relay/v1", key="sk-x", scheme="bearer")
    done = cc.run(
        home, "init", "-s", "-p", preset, "-k", "sk-x", "-T", "codex", "-M", "m", "-u", provider.url("/relay/v1")
    )
    assert done.ok, done
    result = run_codex(CODEX_VERSIONS[0], home, "say the word")
    assert result.ok, result
    provider.check("responses", prefix="/relay/v1", key="sk-x", scheme="bearer", models={"m"})
