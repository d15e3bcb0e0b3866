"""relay.yaml made of saved profiles, and the profile that points at the relay."""

from __future__ import annotations

import pytest

from ccsetup import presets
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.keys.reference import KeyRef
from ccsetup.profiles import Part, Profile
from ccsetup.relay.config import compose
from ccsetup.relay.config.dump import dump
from ccsetup.relay.config.model import Config, Listen, Upstream
from ccsetup.relay.config.parse import parse

BOTH = {"claude-code": Part(), "codex": Part()}


def profile(name: str, provider: str, region: str = "", **parts: Part) -> Profile:
    given = {client.replace("_", "-"): part for client, part in parts.items()}
    return Profile(name, provider, region, "inline", "", given or BOTH)  # type: ignore[arg-type]


SAVED = {
    p.name: p
    for p in (
        profile("glm", "glm", "cn"),
        profile("flow", "siliconflow", "cn"),
        profile("cerebras", "cerebras", codex=Part()),
        profile("claude", "anthropic", claude_code=Part()),
        profile("openai", "openai", codex=Part()),
        profile("own", "custom", claude_code=Part(url="https://x.example/v1", primary_model="m1", auth="api_key")),
        profile("reseller", "glm", "cn", claude_code=Part(url="https://reseller.example", haiku_model="tiny")),
        profile("half", "glm", "cn", claude_code=Part(url="https://reseller.example"), codex=Part()),
        profile("back", "custom", claude_code=Part(url="http://localhost:5101", primary_model="m")),
        profile("relay", "custom", claude_code=Part(url="https://x.example", primary_model="m")),
    )
}


def made(*names: str) -> Config:
    found = compose.from_profiles(names, SAVED, presets.load, Listen(port=5101))
    assert parse(dump(found, presets.load).encode(), "x", presets.load) == found
    return found


def test_order_keys_and_addresses() -> None:
    glm, flow, cerebras, own = made("glm", "flow", "cerebras", "own").upstreams
    assert [u.group for u in (glm, flow, cerebras, own)] == ["primary", "backup", "backup", "backup"]
    assert glm.keys == (KeyRef("profile", "glm"),)
    assert set(glm.endpoints) == {"anthropic", "responses", "chat"}
    assert set(flow.endpoints) == {"anthropic", "chat"}  # it has no Responses API
    assert set(cerebras.endpoints) == {"chat"}
    assert (own.endpoints, own.auth) == ({"anthropic": "https://x.example"}, "x-api-key")


@pytest.mark.parametrize(
    ("names", "search"),
    [
        (("openai", "cerebras"), "cached"),  # Codex's own default
        (("glm",), "disabled"),
        (("cerebras", "openai"), "disabled"),
        (("claude",), "disabled"),
        (("own",), "disabled"),
    ],
)
def test_tools_of_codex(names: tuple[str, ...], search: str) -> None:
    """Codex keeps its groups of tools, and its search where the first upstream can carry it out."""
    codex = compose.relay_profile(made(*names), SAVED, presets.load, "http://127.0.0.1:5101").parts["codex"]
    assert (codex.tools, codex.web_search) == ("all", search)
    endpoint = CLIENTS["codex"].endpoint(
        Profile("relay", "custom", "", "inline", "", {"codex": codex}), presets.load("custom")
    )
    assert (endpoint.extra_tools, endpoint.web_search) == (True, search)


def test_a_key_never_goes_to_a_host_that_its_profile_does_not_name() -> None:
    """Whoever sells access under another address has keys of his own."""
    reseller, half = made("reseller", "half").upstreams
    assert reseller.endpoints == {"anthropic": "https://reseller.example"}
    assert set(half.endpoints) == {"anthropic", "responses", "chat"}
    assert half.endpoints["responses"] == "https://open.bigmodel.cn/api/v1"


ASKED = [
    ("glm-5.3", ["glm-5.3", "zai-org/GLM-5.2", "gpt-oss-120b", "claude-sonnet-5-5", "gpt-6.1-sol"]),
    ("glm-5.3-flash", ["glm-5.3-flash", "zai-org/GLM-5.2", "gpt-oss-120b", "claude-haiku-5-5", "gpt-6.1-sol"]),
    ("claude-haiku-4-5-20251001", ["glm-5.3-flash", "zai-org/GLM-5.2", "gpt-oss-120b", "=", "gpt-6.1-sol"]),
    ("claude-opus-5-5", ["glm-5.3", "deepseek-ai/DeepSeek-V4-Pro", "gpt-oss-120b", "=", "gpt-6.1-sol"]),
    ("gpt-6.1-codex", ["glm-5.3", "zai-org/GLM-5.2", "gpt-oss-120b", "claude-sonnet-5-5", "="]),
    ("deepseek-ai/DeepSeek-V4-Pro", ["glm-5.3", "=", "gpt-oss-120b", "claude-sonnet-5-5", "gpt-6.1-sol"]),
    ("what-is-this", ["glm-5.3", "zai-org/GLM-5.2", "gpt-oss-120b", "claude-sonnet-5-5", "gpt-6.1-sol"]),
]


@pytest.mark.parametrize(("asked", "expected"), ASKED)
def test_every_upstream_gets_a_model_that_it_has(asked: str, expected: list[str]) -> None:
    """The first profile's models and the usual names of both clients lead to the corresponding ones."""
    upstreams = made("glm", "flow", "cerebras", "claude", "openai").upstreams
    assert [u.model(asked) for u in upstreams] == [asked if e == "=" else e for e in expected]


def test_a_claude_plan_first() -> None:
    claude, glm, flow = made("claude", "glm", "flow").upstreams
    for asked in ("claude-haiku-5-5", "claude-opus-5-5", "claude-sonnet-5-5", "claude-future-9"):
        assert claude.model(asked) == asked
    assert glm.model("claude-haiku-5-5") == "glm-5.3-flash"
    assert flow.model("claude-fable-5-2") == "deepseek-ai/DeepSeek-V4-Pro"


WRONG = [
    ((), "at least one"),
    (("glm", "nobody"), "nobody"),
    (("glm", "glm"), "twice"),
    (("back",), "the relay itself"),
    (("relay",), "the relay itself"),
]


@pytest.mark.parametrize(("names", "word"), WRONG)
def test_what_is_refused(names: tuple[str, ...], word: str) -> None:
    with pytest.raises(UsageError) as caught:
        made(*names)
    assert word in caught.value.message


def test_the_relay_is_recognised_at_its_own_port() -> None:
    with pytest.raises(UsageError):
        compose.from_profiles(["back"], SAVED, presets.load, Listen("0.0.0.0", 5101))
    found = compose.from_profiles(["back"], SAVED, presets.load, Listen(port=5202))
    assert found.upstreams[0].endpoints == {"anthropic": "http://localhost:5101"}


def test_the_profile_of_the_relay() -> None:
    """Clients ask for the first upstream's models, with the smallest window of all; it is a profile like any other."""
    found = made("glm", "cerebras", "own")
    relay = compose.relay_profile(found, SAVED, presets.load, "http://127.0.0.1:5101")
    preset = presets.load(relay.provider)
    claude = CLIENTS["claude-code"].endpoint(relay, preset)
    assert claude.models is not None
    assert (claude.base_url, claude.auth) == ("http://127.0.0.1:5101", "auth_token")
    assert (claude.models.primary, claude.models.haiku, claude.models.opus) == ("glm-5.3", "glm-5.3-flash", "glm-5.3")
    codex = CLIENTS["codex"].endpoint(relay, preset)
    assert (codex.base_url, codex.wire, codex.model) == ("http://127.0.0.1:5101/v1", "responses", "glm-5.3")
    context = presets.load("cerebras").regions[0].codex.context_window  # type: ignore[union-attr]
    assert claude.context_window == codex.context_window == context


def test_the_profile_of_a_relay_that_was_written_by_hand() -> None:
    bare = Upstream("a", {"chat": "https://x.example"}, (), default_model="m")
    relay = compose.relay_profile(Config((bare,)), {}, presets.load, "http://127.0.0.1:1/")
    assert relay.parts["claude-code"].primary_model == relay.parts["codex"].primary_model == "m"
    assert relay.parts["codex"].url == "http://127.0.0.1:1/v1"
    late = bare._replace(name="late", group="backup", preset="glm", region="cn", default_model="")
    relay = compose.relay_profile(Config((late, bare)), {}, presets.load, "http://127.0.0.1:1")
    assert relay.parts["codex"].primary_model == "m"
    with pytest.raises(CcsetupError) as caught:
        compose.relay_profile(Config((bare._replace(default_model=""),)), {}, presets.load, "http://127.0.0.1:1")
    assert "default_model" in caught.value.hint
