"""Keys that other tools left on the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import cc, other_tools

from ccsetup import presets
from ccsetup.cli._context import Context
from ccsetup.cli.wizard import found
from ccsetup.importers.match import region_of
from ccsetup.model import Secret


@pytest.fixture(autouse=True)
def _in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)


def places(environ: dict[str, str] | None = None) -> dict[str, set[str]]:
    """Return the places that each key was found at, by the key."""
    out: dict[str, set[str]] = {}
    for one in found.everywhere(Context().world()):
        out.setdefault(one.key.reveal(), set()).add(one.place)
    return out


def test_every_tool(home: Path) -> None:
    """The stores of Claude Code, zcf, cc-switch, ccs and ccm are read."""
    other_tools.fill(home)
    assert places() == {
        other_tools.ZAI: {"Claude Code"},
        other_tools.BIGMODEL: {"zcf", "ccm"},
        other_tools.OPENROUTER: {"cc-switch"},
        other_tools.DEEPSEEK: {"cc-switch", "ccm"},
        other_tools.KIMI_CODE: {"ccs"},
    }


def test_codex(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Codex: a token in its table, a variable that its table names, and auth.json for the provider that uses it."""
    config = """\
model_provider = "b"
[model_providers.a]
base_url = "https://a.example/v1"
experimental_bearer_token = "key-of-a-0123456789"
[model_providers.b]
base_url = "https://b.example/v1"
requires_openai_auth = true
[model_providers.c]
base_url = "https://c.example/v1"
env_key = "KEY_OF_C"
"""
    cc.put(home, {".codex/config.toml": config, ".codex/auth.json": '{"OPENAI_API_KEY": "key-of-b-0123456789"}'})
    monkeypatch.setenv("KEY_OF_C", "key-of-c-0123456789")
    urls = {one.key.reveal(): (one.url, one.place) for one in found.everywhere(Context().world())}
    assert urls == {
        "key-of-a-0123456789": ("https://a.example/v1", "Codex"),
        "key-of-b-0123456789": ("https://b.example/v1", "Codex (auth.json)"),
        "key-of-c-0123456789": ("https://c.example/v1", "$KEY_OF_C"),
    }


def test_our_own_profiles(home: Path) -> None:
    """A key of our own profile is offered for the same provider; one with its own address only for that address."""
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", "key-of-glm-0123456789").ok
    custom = ("-p", "custom", "-u", "https://h.example/x", "-M", "m", "-n", "own")
    assert cc.run(home, "init", "-s", *custom, "-k", "key-of-own-0123456789", "--no-activate").ok
    seen = {one.place: one for one in found.everywhere(Context().world()) if one.place.startswith("profile")}
    assert (seen["profile 'glm'"].provider, seen["profile 'glm'"].region, seen["profile 'glm'"].url) == (
        "glm",
        "cn",
        "",
    )
    assert (seen["profile 'own'"].provider, seen["profile 'own'"].url) == ("", "https://h.example/x")


def test_the_usual_variable(home: Path) -> None:
    """A provider's usual variable is offered for this provider, not for another."""
    environ = {"OPENROUTER_API_KEY": "key-in-variable-0123"}
    ours = found.fitting([], presets.load("openrouter"), environ)
    assert [(f.key, f.place, r) for f, r in ours] == [(Secret("key-in-variable-0123"), "$OPENROUTER_API_KEY", "")]
    assert found.fitting([], presets.load("glm"), environ) == []


@pytest.mark.parametrize(
    ("preset", "url", "region"),
    [
        ("glm", "https://api.z.ai/api/anthropic", "intl"),
        ("glm", "https://open.bigmodel.cn/api/paas/v4", "cn"),
        ("kimi", "https://api.kimi.com/coding/", "code"),
        ("kimi", "https://api.moonshot.ai/v1", "intl"),
        ("glm", "https://api.z.ai.example/api", None),
        ("glm", "https://example/api.z.ai", None),
        ("glm", "", None),
        ("custom", "https://example", None),
    ],
)
def test_whose_address(preset: str, url: str, region: str | None) -> None:
    """An address belongs to a provider when its host is the provider's, and to the site with that host."""
    assert region_of(presets.load(preset), url) == region


def test_broken_stores_are_passed_over(home: Path) -> None:
    """What cannot be read is no error: these files are not ours.  A pipe is never opened."""
    deep = '{"a":' * 50_000
    cc.put(
        home,
        {
            ".claude/settings.json": "{ not json",
            ".codex/config.toml": "[not toml",
            ".codex/auth.json": "[]",
            ".ufomiao/zcf/config.toml": "claudeCode = 1\n[x",
            ".ccs/a.settings.json": deep,
            ".ccs/b.settings.json": b"\xff\xfe",
            ".ccs/c.settings.json": '{"env": {"ANTHROPIC_AUTH_TOKEN": 7, "ANTHROPIC_BASE_URL": []}, "apiKey": {}}',
            ".cc-switch/cc-switch.db": b"SQLite format 3\x00 but no more",
            ".ccm_config": b"\x00\xff GLM_API_KEY=\n" + b"A" * 5000,
        },
    )
    os.mkfifo(home / ".ccs" / "pipe.json")
    assert places() == {}


def test_keys_that_no_key_is(home: Path) -> None:
    """A placeholder with spaces or control characters is not offered."""
    cc.put(home, {".ccs/a.settings.json": '{"env": {"ANTHROPIC_AUTH_TOKEN": "your key here"}}'})
    cc.put(home, {".ccs/b.settings.json": '{"env": {"ANTHROPIC_AUTH_TOKEN": "a\\u001b[31mb"}}'})
    assert places() == {}


def test_nothing_is_written(home: Path) -> None:
    """The database of another tool is read without a file beside it."""
    other_tools.fill(home)
    before = {p: (p.stat().st_mtime_ns, p.is_file()) for p in home.rglob("*")}
    assert places()
    assert {p: (p.stat().st_mtime_ns, p.is_file()) for p in home.rglob("*")} == before


def test_what_is_shown_of_a_key() -> None:
    """Four characters of a long key, none of a short one."""
    assert found.tail(Secret("sk-0123456789abcd")) == "...abcd"
    assert found.tail(Secret("sk-01234567")) == "***"
