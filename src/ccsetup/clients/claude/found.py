"""What Claude Code's settings say of a provider, for an import; other tools write them too."""

from __future__ import annotations

from typing import Any, Optional

from ccsetup import urls
from ccsetup.clients.found import FoundProvider, secret, text
from ccsetup.profiles import Part


def from_env(source: str, name: str, env: Any) -> Optional[FoundProvider]:
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
