"""Configurations of codex_cc_switch and claude-code-router: what they said, ours says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccsetup import presets
from ccsetup.errors import DocumentError
from ccsetup.keys.reference import KeyRef
from ccsetup.model import Secret
from ccsetup.relay.config import dangers, importing
from ccsetup.relay.config.dump import dump
from ccsetup.relay.config.model import Activation, Config, Cooldown, Window
from ccsetup.relay.config.parse import parse
from ccsetup.relay.config.rules import DEFAULT_RULES, first
from ccsetup.relay.routing.choice import Ask, Failure
from ccsetup.relay.routing.failover import Pool

ALL = [1] * 7
SWITCH: dict[str, Any] = {
    "api_configs": [
        {"name": "GLM", "base_url": "https://open.bigmodel.cn/api/anthropic", "key": "sk-glm", "type": "primary"},
        {
            "name": "周一KEY",
            "base_url": "https://any.example",
            "key": "sk-monday",
            "type": "primary",
            "enabled": True,
            "time_enabled": [1, 0, 0, 0, 0, 0, 0],
            "activation_enabled": True,
            "activation_time": "08:00",
        },
        {"name": "off", "base_url": "https://off.example", "key": "sk-off", "enabled": False, "time_enabled": ALL},
        {"name": "spare", "base_url": "http://34.169.9.96:3000/api/v1", "key": "sk-spare", "type": "backup"},
        {"name": "broken", "base_url": "https://", "key": "sk-broken"},
        {"name": "keyless", "base_url": "https://nokey.example", "key": ""},
    ],
    "codex_configs": [
        {"name": "GLM", "base_url": "https://a.example/codex/v1", "key": "sk-codex", "type": "primary"},
        {"name": "last", "base_url": "https://b.example/openai", "key": "sk-last", "type": "primary"},
    ],
    "openai_to_claude_configs": [
        {"name": "chat", "base_url": "https://c.example", "key": "sk-chat", "type": "openai_to_claude"}
    ],
    "retry_configs": [
        {"name": "again", "base_url": "https://open.bigmodel.cn/api/anthropic/", "key": "sk-glm", "enabled": True},
        {"name": "ladder", "base_url": "https://d.example/", "key": "sk-ladder", "enabled": True},
    ],
    "model_conversions": [
        {"source_model": "haiku-3", "target_model": "sonnet", "conversion_type": "full_format", "enabled": True},
        {"source_model": "haiku-3", "target_model": "never", "enabled": True},
        {"source_model": "opus", "target_model": "never", "enabled": False},
    ],
    "timeout_settings": {
        "connect_timeout": 30,
        "write_timeout": 60,
        "streaming_read_timeout": 90,
        "non_streaming_read_timeout": 299,
        "strategy_retry_read_timeout": 45,
        "codex_connect_timeout": 80,
        "codex_base_timeout": 60,
        "api_cooldown_seconds": 400,
        "api_error_threshold": 4,
        "codex_error_threshold": 4,
        "max_retries": 2,
    },
    "error_handling_strategies": {
        "http_status_codes": {
            "400": "switch_api",
            "401": "switch_api",
            "404": "normal_retry",
            "429": "switch_api",
            "500": "switch_api",
            "502": "strategy_retry",
            "503": "switch_api",
            "default": "switch_api",
        },
        "network_errors": {"ReadError": "switch_api", "ConnectError": "normal_retry", "default": "switch_api"},
    },
    "optimization_settings": {"enable_cache_control_limit": True},
}


def switch(**changes: Any) -> tuple[Config, list[str]]:
    data = json.dumps({**SWITCH, **changes}, ensure_ascii=False).encode()
    found, notes = importing.codex_cc_switch(data, "all_configs.json")
    assert not any("sk-" in note for note in notes)
    written = dump(found, presets.load)
    assert parse(written.encode(), "relay.yaml", presets.load) == found
    return found, notes


def test_the_pools_of_codex_cc_switch() -> None:
    found, notes = switch()
    by_name = {u.name: u for u in found.upstreams}
    assert list(by_name) == ["GLM", "claude-1", "off", "spare", "GLM-codex", "last", "chat", "ladder"]
    assert by_name["GLM"].endpoints == {"anthropic": "https://open.bigmodel.cn/api/anthropic"}
    assert not by_name["GLM"].dialect["anthropic"].system_between  # known by its host
    assert by_name["GLM-codex"].endpoints == {"responses": "https://a.example/codex/v1"}
    assert by_name["chat"].endpoints == {"anthropic": "https://c.example"}
    assert by_name["spare"].endpoints == {"anthropic": "http://34.169.9.96:3000/api"}
    assert by_name["spare"].insecure
    groups = {name: (u.group, u.priority) for name, u in by_name.items() if u.group == "backup"}
    assert groups == {"spare": ("backup", 0), "last": ("backup", 0), "ladder": ("backup", 10)}
    assert {n: u.accepts for n, u in by_name.items() if n in ("off", "last", "chat", "ladder")} == {
        "off": ("anthropic",),
        "last": ("responses",),
        "chat": ("chat",),
        "ladder": ("anthropic",),
    }
    assert [n for n, u in by_name.items() if not u.enabled] == ["off"]
    said = "\n".join(notes)
    for word in ("broken was left out", "keyless was left out", "'周一KEY' is called 'claude-1'", "'again'"):
        assert word in said


def test_its_days_times_and_models() -> None:
    found, notes = switch()
    monday = found.upstreams[1]
    assert monday.windows == (Window(frozenset({0})),)
    assert monday.activation == Activation(("08:00",), frozenset({0}), "claude-sonnet-4-5")
    assert any("08:00" in note for note in notes)
    assert monday.model("haiku-3") == "sonnet"
    assert monday.model("opus") == "opus"
    chat = next(u for u in found.upstreams if u.name == "chat")
    assert (chat.model("haiku-3"), chat.model("claude-x")) == ("claude-sonnet-4-20250514", "claude-x")
    closed, _notes = switch(api_configs=[{**SWITCH["api_configs"][0], "time_enabled": [0] * 7}])
    assert not closed.upstreams[0].enabled


def test_its_limits() -> None:
    found, notes = switch()
    claude, codex, ladder = (next(u for u in found.upstreams if u.name == n) for n in ("GLM", "GLM-codex", "ladder"))
    assert (claude.timeouts.connect, claude.timeouts.first_byte, claude.timeouts.idle) == (30, 299, 90)
    assert (codex.timeouts.first_byte, codex.timeouts.total) == (80, 3600)
    assert (ladder.timeouts.first_byte, ladder.timeouts.idle) == (45, 45)
    assert found.cooldown == Cooldown(4, 400, 400, 400)
    assert (found.retry.attempts, found.retry.same) == (10, 2)
    assert found.cache_control_limit == 3
    assert any("write_timeout" in note for note in notes)
    assert any("codex_base_timeout" in note for note in notes)
    assert switch(optimization_settings={"enable_cache_control_limit": False})[0].cache_control_limit == 0


STRATEGIES = [
    (400, "", "next_upstream"),
    (400, "prompt is too long", "stop"),
    (401, "", "next_key"),
    (404, "", "stop"),
    (429, "", "next_key"),
    (500, "", "next_upstream"),
    (502, "", "retry"),
    (504, "", "retry"),
]


@pytest.mark.parametrize(("status", "body", "action"), STRATEGIES)
def test_its_strategies(status: int, body: str, action: str) -> None:
    """switch_api goes on, normal_retry does not, strategy_retry tries again; what is not named is as ever."""
    found, _notes = switch()
    assert first(found.rules, "status", status, body).action == action


def test_its_network_errors() -> None:
    found, notes = switch()
    actions = {kind: first(found.rules, kind, 0, "").action for kind in ("cut", "connect", "tls", "idle")}
    assert actions == {"cut": "next_upstream", "connect": "stop", "tls": "stop", "idle": "next_upstream"}
    assert any("ConnectError" in note for note in notes)


def test_a_failure_switches_within_the_request_and_pools_stay_apart() -> None:
    """What the other relay promised: the client that met the failure gets the other upstream's answer."""
    found, _notes = switch()
    pool = Pool(found)
    now = 1_800_000_000.0  # Friday
    turn = pool.turn(Ask("anthropic", "m"), now)
    names = []
    while (choice := turn.next(now)) is not None:
        names.append(choice.upstream.name)
        assert choice.upstream.keys[choice.key].value == {"GLM": "sk-glm", "spare": "sk-spare"}.get(
            names[-1], "sk-ladder"
        )
        turn.failed(Failure("status", 500), now)
    turn.finished(now)
    assert names == ["GLM", "spare", "ladder"]
    turn = pool.turn(Ask("responses", "m"), now)
    assert turn.next(now).upstream.name == "GLM-codex"  # type: ignore[union-attr]
    turn.finished(now)


def test_keys_are_taken_out_before_anything_is_written() -> None:
    found, _notes = switch()
    assert dangers.warnings(found)
    safe, files = importing.extract_keys(found, "/home/u/keys")
    assert files["/home/u/keys/GLM"] == Secret("sk-glm")
    assert len(files) == len(found.upstreams)
    assert "sk-" not in dump(safe, presets.load)
    assert all(key.kind == "file" and key.value in files for u in safe.upstreams for key in u.keys)
    two = found.upstreams[0]._replace(keys=(KeyRef("inline", "a"), KeyRef("env", "B"), KeyRef("inline", "c")))
    safe, files = importing.extract_keys(Config((two,)), "/k/")
    assert [key.kind for key in safe.upstreams[0].keys] == ["file", "env", "file"]
    assert {path: key.reveal() for path, key in files.items()} == {"/k/GLM": "a", "/k/GLM.3": "c"}


CCR = """\
{
  // as its README has it
  "APIKEY": "sk-own",
  "PROXY_URL": "http://127.0.0.1:7890",
  "API_TIMEOUT_MS": 600000,
  "Providers": [
    {"name": "openrouter", "api_base_url": "https://openrouter.ai/api/v1/chat/completions", "api_key": "sk-or",
     "models": ["google/gemini-2.5-pro-preview", "anthropic/claude-sonnet-4"], "transformer": {"use": ["openrouter"]}},
    {"name": "deepseek", "api_base_url": "https://api.deepseek.com/chat/completions", "api_key": "$DEEPSEEK_KEY",
     "models": ["deepseek-chat", "deepseek-reasoner"], "transformer": {"use": [["maxtoken", {"max_tokens": 8192}]]}},
    {"name": "ollama", "api_base_url": "http://localhost:11434/v1/chat/completions", "api_key": "ollama",
     "models": ["qwen2.5-coder:latest"]},
    {"name": "gemini", "api_base_url": "https://generativelanguage.googleapis.com/v1beta/models/", "api_key": "sk-g",
     "models": ["gemini-2.5-flash"], "transformer": {"use": ["gemini", "home-made"]}},
    {"name": "claude", "api_base_url": "https://api.anthropic.com/v1/messages", "api_key": "${CLAUDE_KEY}",
     "models": ["claude-opus-4"], "transformer": {"use": ["Anthropic"]}},
    {"name": "nokey", "api_base_url": "https://x.example/v1/chat/completions", "api_key": "", "models": ["m"]},
  ],
  "Router": {
    "default": "deepseek,deepseek-chat",
    "background": "ollama,qwen2.5-coder:latest",
    "think": "deepseek,deepseek-reasoner",
    "longContextThreshold": 60000,
  },
  "fallback": {"default": ["openrouter,anthropic/claude-sonnet-4"]},
}
"""


def router(text: str = CCR) -> tuple[Config, list[str]]:
    found, notes = importing.claude_code_router(text.encode(), "config.json")
    assert not any("sk-" in note for note in notes)
    assert parse(dump(found, presets.load).encode(), "relay.yaml", presets.load) == found
    return found, notes


def ask(found: Config, model: str) -> list[tuple[str, str]]:
    pool, out = Pool(found), []
    turn = pool.turn(Ask("anthropic", model), 1e9)
    while (choice := turn.next(1e9)) is not None:
        out.append((choice.upstream.name, choice.model))
        turn.failed(Failure("connect"), 1e9)
    turn.finished(1e9)
    return out


def test_the_providers_of_claude_code_router() -> None:
    found, notes = router()
    by_name = {u.name: u for u in found.upstreams}
    assert list(by_name) == ["openrouter", "ollama", "gemini", "claude", "deepseek", "openrouter-fallback"]
    assert by_name["deepseek"].keys == (KeyRef("env", "DEEPSEEK_KEY"),)
    assert by_name["deepseek"].dialect["chat"].max_output == 8192
    assert by_name["deepseek"].dialect["chat"].thinking_switch == "thinking"
    assert by_name["gemini"].endpoints == {"chat": "https://generativelanguage.googleapis.com/v1beta/openai"}
    assert (by_name["claude"].endpoints, by_name["claude"].auth) == (
        {"anthropic": "https://api.anthropic.com"},
        "x-api-key",
    )
    assert {u.proxy for u in found.upstreams} == {"http://127.0.0.1:7890"}
    assert {u.timeouts.first_byte for u in found.upstreams} == {600}
    said = "\n".join(notes)
    for word in ("nokey was left out", "home-made", "'think'", "deepseek,deepseek-reasoner", "APIKEY"):
        assert word in said


def test_notes_are_written_as_every_other_text() -> None:
    """One space after each sentence."""
    notes = [*switch()[1], *router()[1]]
    assert any(". " in note for note in notes)
    assert [note for note in notes if "  " in note] == []


def test_its_routes() -> None:
    found, _notes = router()
    fallback = ("openrouter-fallback", "anthropic/claude-sonnet-4")
    default = ("deepseek", "deepseek-chat")
    assert ask(found, "claude-sonnet-4-5") == [default, fallback]
    assert ask(found, "claude-haiku-4-5") == [("ollama", "qwen2.5-coder:latest"), default, fallback]
    for provider, model in (
        ("gemini", "gemini-2.5-flash"),
        ("deepseek", "deepseek-reasoner"),
        ("openrouter", "google/gemini-2.5-pro-preview"),
    ):
        assert ask(found, f"{provider},{model}")[0] == (provider, model)
    same, _notes = router(CCR.replace("ollama,qwen2.5-coder:latest", "deepseek,deepseek-reasoner"))
    assert ask(same, "claude-haiku-4-5")[0] == ("deepseek", "deepseek-reasoner")
    lost, notes = router(CCR.replace('"deepseek,deepseek-chat"', '"nobody,m"'))
    assert ask(lost, "claude-x")[0] == ("openrouter", "google/gemini-2.5-pro-preview")
    assert any("'nobody'" in note for note in notes)


WRONG = [
    (b"{", "config.json:1:"),
    (b'{"a": 1}', "has none of"),
    (b"[]", "has none of"),
    (b'{"Providers": [], "api_configs": []}', "no entry"),
    (b'{"Providers": [{"name": "a", "api_base_url": 5}], "api_configs": [5, {"key": []}]}', "no entry"),
    (b"\xff\xfe", "config.json"),
]


@pytest.mark.parametrize("source", importing.SOURCES.values(), ids=list(importing.SOURCES))
@pytest.mark.parametrize(("data", "word"), WRONG, ids=lambda v: v[:24] if isinstance(v, bytes) else "")
def test_what_is_no_configuration(source: Any, data: bytes, word: str) -> None:
    with pytest.raises(DocumentError) as caught:
        source(data, "config.json")
    assert word in caught.value.message


def test_what_could_move_a_terminals_cursor_is_not_taken_over() -> None:
    """The file may come from anybody."""
    evil = [{"source_model": "a\u202e", "target_model": "b"}, {"source_model": "a", "target_model": "b\x1b[2J"}]
    found, notes = switch(model_conversions=evil, api_configs=[{**SWITCH["api_configs"][0], "name": "x\x1b[2J"}])
    assert found.upstreams[0].name == "claude-1"
    assert found.upstreams[0].map == ()
    assert all(note.isprintable() for note in notes)


def test_rules_end_with_the_built_in_ones() -> None:
    assert router()[0].rules == DEFAULT_RULES
    assert switch()[0].rules[-len(DEFAULT_RULES) :] == DEFAULT_RULES
