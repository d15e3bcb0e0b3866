"""What endpoints take beyond their format."""

from __future__ import annotations

import pytest

from ccsetup import presets
from ccsetup.relay.config.dialects import dialect
from ccsetup.relay.config.parse import preset_endpoints
from ccsetup.relay.wire.messages import Dialect


def test_only_the_vendors_own_hosts_are_official() -> None:
    """Behind another address stands somebody who cannot verify signatures, whatever the preset says."""
    anthropic, openai = presets.load("anthropic"), presets.load("openai")
    assert dialect(anthropic, "", "anthropic", "https://api.anthropic.com").official
    assert dialect(None, "", "responses", "https://api.openai.com/v1").official
    assert dialect(openai, "", "chat", "https://api.openai.com/v1").developer
    for url in ("https://relay.example", "https://api.anthropic.com.evil.example", "http://127.0.0.1:9"):
        assert not dialect(anthropic, "", "anthropic", url).official


def test_a_provider_is_known_by_preset_and_by_host() -> None:
    for found in (
        dialect(presets.load("deepseek"), "", "chat", "http://127.0.0.1:1/v1"),
        dialect(presets.load("custom"), "", "chat", "https://api.deepseek.com"),
        dialect(None, "", "chat", "https://api.deepseek.com:443/v1"),
    ):
        assert (found.reasoning_field, found.thinking_switch) == ("reasoning_content", "thinking")
    assert dialect(None, "", "chat", "https://api.cerebras.ai/v1").reasoning_field == "reasoning"
    assert dialect(None, "", "chat", "https://generativelanguage.googleapis.com/v1beta/openai").reasoning_field == ""
    assert not dialect(presets.load("glm"), "cn", "anthropic", "https://open.bigmodel.cn/api/anthropic").system_between


def test_the_unknown_gets_the_defaults() -> None:
    assert dialect(None, "", "chat", "https://x.example/v1") == Dialect()
    assert dialect(None, "", "anthropic", "https://x.example") == Dialect(max_output=32_000)


@pytest.mark.parametrize("preset_id", presets.ids())
def test_every_endpoint_of_every_preset_has_one(preset_id: str) -> None:
    preset = presets.load(preset_id)
    for region in preset.regions:
        for wire, url in preset_endpoints(region).items():
            found = dialect(preset, region.id, wire, url)
            assert found.official is (preset_id in ("anthropic", "openai"))
            assert found.max_output is None or found.max_output >= 4096
