"""The stores of other tools, each read as its own program writes it.  Nothing of theirs is ever written."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Mapping, Optional

from ccsetup import urls
from ccsetup.documents import jsondoc, tomldoc
from ccsetup.documents.edit import lookup
from ccsetup.errors import DocumentError
from ccsetup.importers.found import FoundProvider, ToolFiles, from_claude_env, from_codex, model, secret, text
from ccsetup.profiles import Part


def clients(store: ToolFiles) -> list[FoundProvider]:
    """Return the providers that Claude Code and Codex use now."""
    out = [from_claude_env("clients", "claude", lookup(_json(store, store.claude_settings), ("env",)))]
    config, auth = _codex(store)
    provider = text(config, "model_provider")
    if provider and provider != "openai":
        out.append(from_codex("clients", provider, config, auth, provider))
    return [f for f in out if f]


def zcf(store: ToolFiles) -> list[FoundProvider]:
    """Return zcf's profiles of Claude Code, and the providers it wrote for Codex (zcf 3.7.3)."""
    out: list[Optional[FoundProvider]] = []
    data = _toml(store, os.path.join(store.home, ".ufomiao", "zcf", "config.toml"))
    for name, body in _items(lookup(data, ("claudeCode", "profiles"))):
        part = Part(
            url=urls.base(text(body, "baseUrl"), "anthropic"),
            auth=text(body, "authType") if text(body, "authType") in ("auth_token", "api_key") else "",
            primary_model=model(text(body, "primaryModel")),
            haiku_model=model(text(body, "defaultHaikuModel")),
            sonnet_model=model(text(body, "defaultSonnetModel")),
            opus_model=model(text(body, "defaultOpusModel")),
        )
        if text(body, "authType") != "ccr_proxy":
            out.append(
                FoundProvider("zcf", text(body, "name") or name, "claude-code", part, secret(text(body, "apiKey")))
            )
    if data:
        config, auth = _codex(store)
        for name, _body in _items(lookup(config, ("model_providers",))):
            if not name.startswith("ccsetup-"):
                out.append(from_codex("zcf", name, config, auth, name))
    return [f for f in out if f]


def ccjk(store: ToolFiles) -> list[FoundProvider]:
    """Return ccjk's profiles: ``Profile`` in its src/core/profiles.ts (github.com/miounet11/ccjk, 15.x)."""
    folder = os.path.join(store.home, ".ccjk", "profiles")
    out = []
    for name in store.names(folder):
        body = _json(store, os.path.join(folder, name)) if name.endswith(".json") else {}
        if not text(body, "baseUrl"):
            continue
        part = Part(
            url=urls.base(text(body, "baseUrl"), "anthropic"),
            auth=text(body, "authType") if text(body, "authType") in ("auth_token", "api_key") else "",
            primary_model=model(text(body, "model")),
            haiku_model=model(text(body, "fastModel")),
        )
        out.append(
            FoundProvider("ccjk", text(body, "name") or name[:-5], "claude-code", part, secret(text(body, "apiKey")))
        )
    return out


def cc_switch(store: ToolFiles) -> list[FoundProvider]:
    """Return cc-switch's providers: table ``providers`` of its database (src-tauri/src/database/schema.rs).

    ``settings_config`` is JSON: of app ``claude`` a settings.json, of app ``codex`` auth.json and config.toml as text.
    """
    out: list[Optional[FoundProvider]] = []
    for row in store.rows(os.path.join(store.home, ".cc-switch", "cc-switch.db"), "providers"):
        name, settings = str(row.get("name", "")), _parsed(jsondoc.parse, row.get("settings_config"))
        if row.get("app_type") == "claude":
            out.append(from_claude_env("cc-switch", name, lookup(settings, ("env",))))
        elif row.get("app_type") == "codex":
            config = _parsed(tomldoc.parse, lookup(settings, ("config",)))
            provider = text(config, "model_provider")
            if provider:
                out.append(from_codex("cc-switch", name, config, lookup(settings, ("auth",)), provider))
    return [f for f in out if f]


def ccs(store: ToolFiles) -> list[FoundProvider]:
    """Return the API profiles of ccs: NAME.settings.json, each a settings.json (@kaitranntt/ccs 7.79.1)."""
    folder = os.path.join(store.home, ".ccs")
    out = []
    for name in store.names(folder):
        if name.endswith(".settings.json"):
            env = lookup(_json(store, os.path.join(folder, name)), ("env",))
            # A profile on its own proxy at loopback needs that proxy, and has no key of a provider.
            if not urls.is_loopback(text(env, "ANTHROPIC_BASE_URL")):
                out.append(from_claude_env("ccs", name.removesuffix(".settings.json"), env))
    return [f for f in out if f]


def ccr(store: ToolFiles) -> list[FoundProvider]:
    """Return the providers of claude-code-router: ``Providers`` in config.json (@musistudio/claude-code-router 1.0.73).

    They are Chat Completions addresses, but for those with its transformer "Anthropic".
    """
    data = _json(store, os.path.join(store.home, ".claude-code-router", "config.json"))
    default = text(data, "Router", "default").partition(",")
    entries = lookup(data, ("Providers",))
    out = []
    for entry in entries if isinstance(entries, list) else []:
        name, url, key = text(entry, "name"), text(entry, "api_base_url"), text(entry, "api_key")
        if not url:
            continue
        variable = re.fullmatch(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", key)
        chosen = default[2].strip() if default[0].strip() == name else ""
        uses = lookup(entry, ("transformer", "use"))
        anthropic = isinstance(uses, list) and "Anthropic" in uses
        part = Part(
            url=urls.base(url, "anthropic" if anthropic else "responses"),
            primary_model=model(chosen) if anthropic else "",
        )
        out.append(
            FoundProvider(
                "ccr",
                name,
                "claude-code",
                part,
                None if variable else secret(key),
                variable[1] if variable else "",
                chat=not anthropic,
            )
        )
    return out


SOURCES: Mapping[str, Callable[[ToolFiles], list[FoundProvider]]] = {
    "clients": clients,
    "zcf": zcf,
    "ccjk": ccjk,
    "cc-switch": cc_switch,
    "ccs": ccs,
    "ccr": ccr,
}


def _codex(store: ToolFiles) -> tuple[Any, Any]:
    return (
        _toml(store, os.path.join(store.codex_home, "config.toml")),
        _json(store, os.path.join(store.codex_home, "auth.json")),
    )


def _json(store: ToolFiles, path: str) -> Any:
    return _parsed(jsondoc.parse, store.text(path))


def _toml(store: ToolFiles, path: str) -> Any:
    return _parsed(tomldoc.parse, store.text(path))


def _parsed(parse: Callable[[str], Any], content: Any) -> Any:
    """Return parsed *content*; {} for none, and for what cannot be read: it is theirs, and nothing depends on it."""
    if not isinstance(content, str) or not content.strip():
        return {}
    try:
        return parse(content)
    except (DocumentError, json.JSONDecodeError):
        return {}


def _items(table: Any) -> list[tuple[str, Any]]:
    return list(table.items()) if isinstance(table, dict) else []
