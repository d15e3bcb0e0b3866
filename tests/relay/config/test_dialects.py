"""What endpoints take beyond their format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from ccsetup import presets
from ccsetup.model import WireFormat
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
    assert dialect(None, "", "chat", "https://x.example/v1") == Dialect(system_between=False)
    assert dialect(None, "", "anthropic", "https://x.example") == Dialect(max_output=32_000)


@pytest.mark.parametrize("preset_id", presets.ids())
def test_every_endpoint_of_every_preset_has_one(preset_id: str) -> None:
    preset = presets.load(preset_id)
    for region in preset.regions:
        for wire, url in preset_endpoints(region).items():
            found = dialect(preset, region.id, wire, url)
            assert found.official is (preset_id in ("anthropic", "openai"))
            assert found.max_output is None or found.max_output >= 4096


RESOLVED = json.loads((Path(__file__).parents[2] / "data/dialects/resolved.json").read_text(encoding="utf-8"))
"""``preset region format address`` or ``host format`` to the members that differ from the defaults."""


def differing(found: Dialect) -> dict[str, Any]:
    different = {name: v for name, v in found._asdict().items() if v != Dialect._field_defaults[name]}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in different.items()}


def test_what_every_preset_gives_in_every_format() -> None:
    """The whole table, so that a change of one provider shows which others it moves."""
    found = {}
    for preset_id in presets.ids():
        preset = presets.load(preset_id)
        for region in preset.regions:
            own = preset_endpoints(region)
            for wire in get_args(WireFormat):
                if wire in own:
                    found[f"{preset_id} {region.id} {wire} own"] = dialect(preset, region.id, wire, own[wire])
                other = dialect(preset, region.id, wire, "http://127.0.0.1:1/v1")
                found[f"{preset_id} {region.id} {wire} other host"] = other
    expected = {name: members for name, members in RESOLVED.items() if name.count(" ") > 1}
    assert {name: differing(one) for name, one in found.items()} == expected


@pytest.mark.parametrize("name", [name for name in RESOLVED if name.count(" ") == 1])
def test_what_a_known_host_gives_in_every_format(name: str) -> None:
    """An upstream that was written down by its URL is known by its host."""
    host, wire = name.split(" ")
    assert differing(dialect(None, "", wire, f"https://{host}/v1")) == RESOLVED[name]
