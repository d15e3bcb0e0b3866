"""What is known of providers beyond the definition of a wire format.  Only what is established; else safe defaults.

Sources: the vendors' API documentation of 2026 (DeepSeek and Kimi "thinking mode", GLM "deep thinking", Qwen
"enable_thinking", OpenRouter "reasoning tokens", Cerebras "reasoning", Volcengine Ark "deep thinking"), error texts in
public issue trackers where one is named, and the presets for the largest outputs.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

from ccsetup.model import ClaudeEndpoint, CodexEndpoint, Model, Preset, WireFormat
from ccsetup.relay.wire.messages import Dialect

_OFFICIAL: Mapping[WireFormat, str] = {
    "anthropic": "api.anthropic.com",
    "responses": "api.openai.com",
    "chat": "api.openai.com",
}

_OPENAI_HOSTED = ("web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation")
_ANTHROPIC_HOSTED = ("web_search", "web_fetch", "code_execution")

_HOSTS: tuple[tuple[str, str], ...] = (
    ("api.deepseek.com", "deepseek"),
    ("open.bigmodel.cn", "glm"),
    ("api.z.ai", "glm"),
    ("api.moonshot.cn", "kimi"),
    ("api.moonshot.ai", "kimi"),
    ("api.kimi.com", "kimi"),
    ("dashscope.aliyuncs.com", "qwen"),
    ("dashscope-intl.aliyuncs.com", "qwen"),
    ("openrouter.ai", "openrouter"),
    ("api.cerebras.ai", "cerebras"),
    ("api.groq.com", "groq"),
    ("generativelanguage.googleapis.com", "gemini"),
    ("ark.cn-beijing.volces.com", "volcengine"),
    ("ark.ap-southeast.bytepluses.com", "volcengine"),
)
"""For upstreams that were written down by URL."""

_THINKING: Mapping[str, Any] = {"thinking_switch": "thinking"}

_CHAT: Mapping[str, Mapping[str, Any]] = {
    # Rejects a turn with tool calls whose reasoning_content is missing; so do Kimi and GLM.
    "deepseek": _THINKING,
    "glm": _THINKING,
    "kimi": _THINKING,
    "volcengine": _THINKING,
    "qwen": {"thinking_switch": "enable_thinking"},
    "openrouter": {"thinking_switch": "reasoning", "reasoning_field": "reasoning"},
    # "messages.2.assistant.reasoning_content: property is unsupported" (400), while `reasoning` is taken.
    "cerebras": {"thinking_switch": "reasoning_effort", "reasoning_field": "reasoning"},
    "groq": {"thinking_switch": "reasoning_effort", "reasoning_field": "reasoning"},
    # Refuses every member that it does not know: "Invalid JSON payload received. Unknown name".
    "gemini": {"thinking_switch": "reasoning_effort", "reasoning_field": ""},
    # The chat templates of many open models raise an error for a system message that is not the first one.
    "vllm": {"system_between": False},
    "llamacpp": {"system_between": False},
    "lmstudio": {"system_between": False},
    "ollama": {"system_between": False},
    "openai": {
        "thinking_switch": "reasoning_effort",
        "reasoning_field": "",
        "developer": True,
        "max_tokens_field": "max_completion_tokens",
    },
}
_ANTHROPIC: Mapping[str, Mapping[str, Any]] = {
    # 422 "literal_error", and "unknown variant `system`, expected `user` or `assistant`".
    "glm": {"system_between": False},
    "deepseek": {"system_between": False},
    "qwen": {"system_between": False},
    # Refuses it in words that Claude Code 2.1.329 does not recover from.
    "vllm": {"system_between": False},
}

_NO_LIMIT_KNOWN = 32_000
"""What a Messages endpoint gets as ``max_tokens`` when neither the client nor the preset names a limit: Claude Code
itself asks unknown models for 32000 (observed with 2.1.329)."""


def dialect(preset: Optional[Preset], region: str, wire: WireFormat, url: str) -> Dialect:
    """Return the dialect of the endpoint *url*, which may differ from the preset's own address."""
    host = re.sub(r"^https?://", "", url).partition("/")[0].rpartition("@")[2]
    host = re.sub(r":\d+$", "", host).lower()
    if host == _OFFICIAL[wire]:
        return _official(wire, preset, region)
    provider = preset.id if preset is not None else ""
    if provider in ("", "custom", "anthropic", "openai"):  # another host than theirs: the host tells more
        provider = next((name for known, name in _HOSTS if known == host), "")
    members: dict[str, Any] = {}
    if wire == "chat":
        members.update(_CHAT.get(provider, {}))
    elif wire == "anthropic":
        members.update(_ANTHROPIC.get(provider, {}))
    members["max_output"] = _max_output(wire, preset, region)
    return Dialect(**members)


def _official(wire: WireFormat, preset: Optional[Preset], region: str) -> Dialect:
    members: dict[str, Any] = {"official": True, "max_output": _max_output(wire, preset, region)}
    if wire == "chat":
        members.update(_CHAT["openai"])
    else:
        members["hosted"] = _ANTHROPIC_HOSTED if wire == "anthropic" else _OPENAI_HOSTED
    return Dialect(**members)


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
