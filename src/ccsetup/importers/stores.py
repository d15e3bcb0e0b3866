"""The stores of other tools, each read as its own program writes it.  Nothing of theirs is ever written."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Mapping, Optional

from ccsetup import urls
from ccsetup.clients import CLIENTS
from ccsetup.clients.claude import found as claude
from ccsetup.clients.codex import found as codex
from ccsetup.clients.found import FoundProvider, ToolFiles, parsed, secret, text
from ccsetup.documents.edit import lookup
from ccsetup.profiles import Part


def clients(store: ToolFiles) -> list[FoundProvider]:
    """Return the providers that the clients use now."""
    return [found for client in CLIENTS.values() for found in client.providers(store)]


def zcf(store: ToolFiles) -> list[FoundProvider]:
    """Return zcf's profiles of Claude Code, and the providers it wrote for Codex (zcf 3.7.3)."""
    out: list[Optional[FoundProvider]] = []
    data = store.data(os.path.join(store.paths.home, ".ufomiao", "zcf", "config.toml"), "toml")
    for name, body in _items(lookup(data, ("claudeCode", "profiles"))):
        part = Part(
            url=urls.base(text(body, "baseUrl"), "anthropic"),
            auth=text(body, "authType") if text(body, "authType") in ("auth_token", "api_key") else "",
            primary_model=claude.model(text(body, "primaryModel")),
            haiku_model=claude.model(text(body, "defaultHaikuModel")),
            sonnet_model=claude.model(text(body, "defaultSonnetModel")),
            opus_model=claude.model(text(body, "defaultOpusModel")),
        )
        if text(body, "authType") != "ccr_proxy":
            out.append(
                FoundProvider("zcf", text(body, "name") or name, "claude-code", part, secret(text(body, "apiKey")))
            )
    if data:
        config, auth = codex.files(store)
        for name, _body in _items(lookup(config, ("model_providers",))):
            if name != "ccsetup" and not name.startswith("ccsetup-"):
                out.append(codex.from_config("zcf", name, config, auth, name))
    return [f for f in out if f]


def ccjk(store: ToolFiles) -> list[FoundProvider]:
    """Return ccjk's profiles: ``Profile`` in its src/core/profiles.ts (github.com/miounet11/ccjk, 15.x)."""
    folder = os.path.join(store.paths.home, ".ccjk", "profiles")
    out = []
    for name in store.names(folder):
        body = store.data(os.path.join(folder, name), "json") if name.endswith(".json") else {}
        if not text(body, "baseUrl"):
            continue
        part = Part(
            url=urls.base(text(body, "baseUrl"), "anthropic"),
            auth=text(body, "authType") if text(body, "authType") in ("auth_token", "api_key") else "",
            primary_model=claude.model(text(body, "model")),
            haiku_model=claude.model(text(body, "fastModel")),
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
    for row in store.rows(os.path.join(store.paths.home, ".cc-switch", "cc-switch.db"), "providers"):
        name, settings = str(row.get("name", "")), parsed("json", row.get("settings_config"))
        if row.get("app_type") == "claude":
            out.append(claude.from_env("cc-switch", name, lookup(settings, ("env",))))
        elif row.get("app_type") == "codex":
            config = parsed("toml", lookup(settings, ("config",)))
            provider = text(config, "model_provider")
            if provider:
                out.append(codex.from_config("cc-switch", name, config, lookup(settings, ("auth",)), provider))
    return [f for f in out if f]


def ccs(store: ToolFiles) -> list[FoundProvider]:
    """Return the API profiles of ccs: NAME.settings.json, each a settings.json (@kaitranntt/ccs 7.79.1)."""
    folder = os.path.join(store.paths.home, ".ccs")
    out = []
    for name in store.names(folder):
        if name.endswith(".settings.json"):
            env = lookup(store.data(os.path.join(folder, name), "json"), ("env",))
            # A profile on its own proxy at loopback needs that proxy, and has no key of a provider.
            if not urls.is_loopback(text(env, "ANTHROPIC_BASE_URL")):
                out.append(claude.from_env("ccs", name.removesuffix(".settings.json"), env))
    return [f for f in out if f]


def ccr(store: ToolFiles) -> list[FoundProvider]:
    """Return the providers of claude-code-router: ``Providers`` in config.json (@musistudio/claude-code-router 1.0.73).

    They are Chat Completions addresses, but for those with its transformer "Anthropic".
    """
    data = store.data(os.path.join(store.paths.home, ".claude-code-router", "config.json"), "json")
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
            primary_model=claude.model(chosen) if anthropic else "",
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


def _items(table: Any) -> list[tuple[str, Any]]:
    return list(table.items()) if isinstance(table, dict) else []
