"""What other tools have: one value for each provider that one of their stores names."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Optional

from ccsetup import keys, urls
from ccsetup.documents.edit import lookup
from ccsetup.model import ClientName, Secret
from ccsetup.profiles import Part


class FoundProvider(NamedTuple):
    """A provider as a store has it, for one client."""

    source: str
    """The store, as SOURCES calls it."""
    name: str
    """What the store calls it."""
    client: ClientName
    part: Part
    """Address, auth and models as found; not yet compared with any preset."""
    key: Optional[Secret]
    key_env: str = ""
    """The variable that holds the key, where the store has only its name."""
    chat: bool = False
    """The address speaks Chat Completions, which neither client does."""


class ToolFiles(NamedTuple):
    """How an importer reads: files of another tool, which it never writes."""

    home: str
    claude_settings: str
    codex_home: str
    text: Callable[[str], Optional[str]]
    """A file's text, or None where there is none."""
    names: Callable[[str], list[str]]
    """What is in a folder; [] where there is none."""
    rows: Callable[[str, str], list[Mapping[str, Any]]]
    """The rows of a table of an SQLite database that is opened read-only."""


def text(data: Any, *path: str) -> str:
    """Return the text at *path*, or ""."""
    value = lookup(data, path)
    return value.strip() if isinstance(value, str) else ""


def secret(value: str) -> Optional[Secret]:
    """Return *value* as a key; None where no provider would take it."""
    key = keys.bare(value)
    # PROXY_MANAGED is what cc-switch writes where its own proxy puts the key in.
    no_key = keys.placeholder(key) or key == "PROXY_MANAGED"
    return Secret(key) if key and not no_key and all("!" <= c <= "~" for c in key) else None


def from_claude_env(source: str, name: str, env: Any) -> Optional[FoundProvider]:
    """Return what the ``env`` block of a settings.json for Claude Code says, or None where it names no provider."""
    url = text(env, "ANTHROPIC_BASE_URL")
    token, key = text(env, "ANTHROPIC_AUTH_TOKEN"), text(env, "ANTHROPIC_API_KEY")
    if not url and not key:
        return None
    url, inside = urls.without_keys(url or "https://api.anthropic.com")
    token = token or ("" if key or len(inside) != 1 else inside[0])
    part = Part(
        url=urls.base(url, "anthropic"),
        auth="auth_token" if token else "api_key",
        primary_model=model(text(env, "ANTHROPIC_MODEL")),
        haiku_model=model(
            text(env, "ANTHROPIC_DEFAULT_HAIKU_MODEL") or text(env, "ANTHROPIC_SMALL_FAST_MODEL"),
        ),
        sonnet_model=model(text(env, "ANTHROPIC_DEFAULT_SONNET_MODEL")),
        opus_model=model(text(env, "ANTHROPIC_DEFAULT_OPUS_MODEL")),
    )
    return FoundProvider(source, name, "claude-code", part, secret(token or key))


def model(name: str) -> str:
    """Return *name* without ``[1m]``, which is for the client alone."""
    return name.removesuffix("[1m]")


def from_codex(source: str, name: str, config: Any, auth: Any, provider: str) -> Optional[FoundProvider]:
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
