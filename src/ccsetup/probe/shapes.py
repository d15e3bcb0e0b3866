"""What current clients put into a request, piece by piece, so that a refusal can be traced to one piece.  Pure.

From requests of Claude Code 2.1.329 and Codex 0.169.0 to a model that they do not know.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping, NamedTuple

from ccsetup.i18n import _
from ccsetup.probe import requests
from ccsetup.probe.target import Target

Body = dict[str, Any]

LOOKUP: Mapping[str, Any] = {
    "type": "object",
    "properties": {"word": {"type": "string", "description": "The word to look up"}},
    "required": ["word"],
    "additionalProperties": False,
}
TOOLS = (("lookup", "Looks a word up in the dictionary."), ("translate", "Translates a word into French."))


class Piece(NamedTuple):
    name: str
    title: str
    apply: Callable[[Body], None]
    hint: str
    """The setting that leaves the piece out, or what else helps."""


def pieces(target: Target) -> list[Piece]:
    """Return what *target*'s client adds to the bare request with its present settings."""
    if target.wire == "chat":
        return []  # only our relay speaks it, and adds nothing that a provider may not know
    return _claude(target) if target.wire == "anthropic" else _codex(target)


def like_client(target: Target, model: str) -> Body:
    """Return the smallest request that has everything in it that the client sends; it asks for one token."""
    body = requests.minimal(target.wire, model)
    for piece in pieces(target):
        piece.apply(body)
    return body


def tools(wire: str, count: int) -> list[Body]:
    if wire == "anthropic":
        return [{"name": n, "description": d, "input_schema": dict(LOOKUP)} for n, d in TOOLS[:count]]
    return [
        {"type": "function", "name": n, "description": d, "strict": False, "parameters": dict(LOOKUP)}
        for n, d in TOOLS[:count]
    ]


def _claude(target: Target) -> list[Piece]:
    env = target.extra.get("env", {})
    main = target.models[0].id if target.models else ""
    # Anthropic's 4.5 family gets an older shape.
    old = bool(re.search(r"claude-(?:opus|sonnet|haiku)-4[.-]5", main))
    out = [
        Piece(
            "tools",
            _("tools"),
            _add_tools_anthropic,
            _("Claude Code needs tools for everything: choose a model that takes tools."),
        )
    ]
    if not old:
        out.append(
            Piece(
                "system_role",
                _("the role system among the messages"),
                _system_role,
                _(
                    "No setting of Claude Code leaves it out. Choose another model or provider; with 2.1.329, "
                    "modelOverrides from a claude-sonnet-4-5 id to this model makes it send the older form."
                ),
            )
        )
    thinking = not (_on(env, "CLAUDE_CODE_DISABLE_THINKING") or env.get("MAX_THINKING_TOKENS") == "0" or old)
    if thinking:
        out.append(
            Piece(
                "thinking",
                "thinking: adaptive",
                _set("thinking", {"type": "adaptive", "display": "omitted"}),
                _("Set CLAUDE_CODE_DISABLE_THINKING=1 in the env block of settings.json."),
            )
        )
    if env.get("CLAUDE_CODE_EFFORT_LEVEL", "").lower() not in ("unset", "auto") and not old:
        out.append(
            Piece(
                "output_config",
                "output_config",
                _set("output_config", {"effort": "medium"}),
                _("Set CLAUDE_CODE_EFFORT_LEVEL=unset in the env block of settings.json."),
            )
        )
    if target.extra.get("betas", True) and thinking:
        out.append(
            Piece(
                "context_management",
                "context_management",
                _context_management,
                _("Set CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS=1 in the env block of settings.json."),
            )
        )
    return out


def _codex(target: Target) -> list[Piece]:
    out = [
        Piece(
            "tools",
            _("tools"),
            _add_tools_responses,
            _("Codex needs tools for everything: choose a model that takes tools."),
        ),
        Piece(
            "developer_role",
            _("the role developer"),
            _developer_role,
            _("No setting of Codex leaves it out; a relay can translate it."),
        ),
        Piece(
            "reasoning",
            "reasoning",
            _reasoning,
            _('Write model_reasoning_summary = "none" into config.toml.'),
        ),
    ]
    if target.extra.get("web_search") != "disabled":
        out.append(
            Piece(
                "web_search",
                _("the tool web_search"),
                _add_tool({"type": "web_search", "external_web_access": False}),
                _('Write web_search = "disabled" at the top of config.toml.'),
            )
        )
    if target.extra.get("extra_tools", True):
        space = {
            "type": "namespace",
            "name": "multi_agent_v1",
            "description": "Tools for spawning and managing sub-agents.",
            "tools": [
                {
                    "type": "function",
                    "name": "wait_agent",
                    "description": "Waits for an agent.",
                    "strict": False,
                    "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
                }
            ],
        }
        out.append(
            Piece(
                "namespace",
                _("tools of the type namespace"),
                _add_tool(space),
                _(
                    "Write enabled = false below [agents] in config.toml; MCP servers cannot be used with this "
                    "provider."
                ),
            )
        )
    return out


def _on(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").lower() in ("1", "true", "yes", "on")


def _set(name: str, value: Any) -> Callable[[Body], None]:
    def apply(body: Body) -> None:
        body[name] = value

    return apply


def _add_tool(tool: Mapping[str, Any]) -> Callable[[Body], None]:
    def apply(body: Body) -> None:
        body["tools"] = [*body.get("tools", ()), dict(tool)]
        body.setdefault("tool_choice", "auto")

    return apply


def _add_tools_anthropic(body: Body) -> None:
    body["tools"] = [*body.get("tools", ()), *tools("anthropic", 1)]


def _add_tools_responses(body: Body) -> None:
    body["tools"] = [*body.get("tools", ()), *tools("responses", 1)]
    body["tool_choice"] = "auto"
    body["parallel_tool_calls"] = True


def _system_role(body: Body) -> None:
    text = [{"type": "text", "text": "Answer in one word."}]
    body["messages"] = [*body["messages"], {"role": "system", "content": text}]


def _context_management(body: Body) -> None:
    body["context_management"] = {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}
    body.setdefault("thinking", {"type": "adaptive", "display": "omitted"})


def _developer_role(body: Body) -> None:
    text = [{"type": "input_text", "text": "Answer in one word."}]
    body["input"] = [{"type": "message", "role": "developer", "content": text}, *body["input"]]


def _reasoning(body: Body) -> None:
    body["reasoning"] = {"summary": "auto"}
    body["include"] = ["reasoning.encrypted_content"]
