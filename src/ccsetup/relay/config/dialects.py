"""What an endpoint takes beyond the definition of its wire format: the preset says it, found by its id or by the host.

Only what is established; else safe defaults.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

from ccsetup import presets
from ccsetup.model import ClaudeEndpoint, CodexEndpoint, Model, Preset, WireFormat
from ccsetup.relay.wire.messages import Dialect

_OFFICIAL: Mapping[WireFormat, str] = {
    "anthropic": "api.anthropic.com",
    "responses": "api.openai.com",
    "chat": "api.openai.com",
}

_HOSTED: Mapping[WireFormat, tuple[str, ...]] = {
    "anthropic": ("web_search", "web_fetch", "code_execution"),
    "responses": ("web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation"),
    "chat": (),
}

_HOSTS: Mapping[str, str] = {
    "api.deepseek.com": "deepseek",
    "open.bigmodel.cn": "glm",
    "api.z.ai": "glm",
    "api.moonshot.cn": "kimi",
    "api.moonshot.ai": "kimi",
    "api.kimi.com": "kimi",
    "dashscope.aliyuncs.com": "qwen",
    "dashscope-intl.aliyuncs.com": "qwen",
    "openrouter.ai": "openrouter",
    "api.cerebras.ai": "cerebras",
    "generativelanguage.googleapis.com": "gemini",
    "ark.cn-beijing.volces.com": "volcengine",
    "ark.ap-southeast.bytepluses.com": "volcengine",
}
"""Host to preset, for upstreams that were written down by URL."""

_GROQ: Mapping[str, Any] = {"thinking_switch": "reasoning_effort", "reasoning_field": "reasoning"}
"""Chat, as Groq documents it: a host without a preset."""

_NO_LIMIT_KNOWN = 32_000
"""What a Messages endpoint gets as ``max_tokens`` when neither the client nor the preset names a limit: Claude Code
itself asks unknown models for 32000 (observed with 2.1.329)."""


def dialect(preset: Optional[Preset], region: str, wire: WireFormat, url: str) -> Dialect:
    """Return the dialect of the endpoint *url*, which may differ from the preset's own address."""
    host = re.sub(r"^https?://", "", url).partition("/")[0].rpartition("@")[2]
    host = re.sub(r":\d+$", "", host).lower()
    limit = _max_output(wire, preset, region)
    if host == _OFFICIAL[wire]:
        own = presets.load("anthropic" if wire == "anthropic" else "openai").dialect.get(wire, {})
        return Dialect(**own, official=True, hosted=_HOSTED[wire], max_output=limit)
    if host == "api.groq.com" and wire == "chat" and _is_general(preset):
        return Dialect(**_GROQ, max_output=limit)
    if _is_general(preset):  # another host than theirs: the host tells more
        preset = presets.load(_HOSTS[host]) if host in _HOSTS else None
    if preset is None:  # chat templates of local servers refuse a system message that is not the first one
        return Dialect(system_between=wire != "chat", max_output=limit)
    return Dialect(**preset.dialect.get(wire, {}), max_output=limit)


def _is_general(preset: Optional[Preset]) -> bool:
    return preset is None or preset.id in ("custom", "anthropic", "openai")


def _max_output(wire: WireFormat, preset: Optional[Preset], region: str) -> Optional[int]:
    """Return the smallest known limit of the models that the preset uses in *region*."""
    known = [m.max_output for m in _models(preset, region) if m.max_output] if preset is not None else []
    if known:
        return min(known)
    return _NO_LIMIT_KNOWN if wire == "anthropic" else None


def _models(preset: Preset, region_id: str) -> list[Model]:
    region = preset.region(region_id)
    names: set[str] = set()
    if region is not None and isinstance(region.claude, ClaudeEndpoint) and region.claude.models:
        names.update(region.claude.models)
    if region is not None and isinstance(region.codex, CodexEndpoint):
        names.add(region.codex.model)
    return [m for m in preset.models if m.id in names]
