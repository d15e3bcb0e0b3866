"""What Codex's config.toml says of a provider, for an import; other tools write it too."""

from __future__ import annotations

import os
from typing import Any, Iterable, Optional

from ccsetup import keys, urls
from ccsetup.clients.found import FoundProvider, ToolFiles, secret, text
from ccsetup.documents.edit import lookup
from ccsetup.profiles import Part


def files(store: ToolFiles) -> tuple[Any, Any]:
    """Return config.toml and auth.json."""
    folder = store.paths.codex_home
    return store.data(store.paths.codex_config, "toml"), store.data(os.path.join(folder, "auth.json"), "json")


def active(store: ToolFiles) -> Iterable[FoundProvider]:
    config, auth = files(store)
    provider = text(config, "model_provider")
    found = from_config("clients", provider, config, auth, provider) if provider not in ("", "openai") else None
    return [found] if found else []


def from_config(source: str, name: str, config: Any, auth: Any, provider: str) -> Optional[FoundProvider]:
    """Return what Codex's config.toml says of *provider*, with its key from wherever that tool keeps it."""
    table = lookup(config, ("model_providers", provider))
    url = text(table, "base_url")
    if not url:
        return None
    selected = text(config, "model_provider") == provider
    url, inside = urls.without_keys(url)
    variable = text(table, "env_key")
    key = text(table, "experimental_bearer_token")
    if keys.in_place_of_name(variable, {}):
        key, variable = key or variable, ""
    if len(inside) == 1 and not variable:
        key = key or inside[0]
    for where in (text(table, "temp_env_key"), provider, "OPENAI_API_KEY" if selected else ""):
        # temp_env_key is what zcf writes: the name of a key in auth.json, which Codex itself does not read.
        key = key or (text(auth, where) if where else "")
    found = text(table, "model") or (text(config, "model") if selected else "")
    part = Part(url=urls.base(url, "responses"), primary_model=found)
    chat = text(table, "wire_api") == "chat"
    return FoundProvider(source, name, "codex", part, secret(key), "" if key else variable, chat)
