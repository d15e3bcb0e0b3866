"""What Claude Code reads, and what it does with it: names, types, versions, each once.

Observed with 2.0.76, 2.1.197, 2.1.329 and 2.1.332 against a server on loopback; types and words with 2.1.332.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping

from ccsetup import urls
from ccsetup.documents.edit import MISSING, KeyPath, lookup
from ccsetup.model import Version
from ccsetup.tuples import NamedTuple

BLANK_TOKEN: Version = (2, 1, 0)
"""From here on an empty ANTHROPIC_AUTH_TOKEN counts as none.  2.0.76 is older, 2.1.197 newer; between: not tried."""

BASE_URL = "ANTHROPIC_BASE_URL"
AUTH_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - the variable's name
API_KEY = "ANTHROPIC_API_KEY"
CREDENTIALS = (AUTH_TOKEN, API_KEY)
MODEL = "ANTHROPIC_MODEL"
ALIASES = ("opus", "sonnet", "haiku", "fable")
TIERS: Mapping[str, str] = {a: f"ANTHROPIC_DEFAULT_{a.upper()}_MODEL" for a in ALIASES}
SUBAGENT = "CLAUDE_CODE_SUBAGENT_MODEL"
MODELS = (MODEL, *TIERS.values(), "ANTHROPIC_SMALL_FAST_MODEL", SUBAGENT)
CONTEXT = "CLAUDE_CODE_MAX_CONTEXT_TOKENS"
OAUTH = "CLAUDE_CODE_OAUTH_TOKEN"
HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
BETAS = "ANTHROPIC_BETAS"
NO_BETAS = "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS"
CONFIG_DIR = "CLAUDE_CONFIG_DIR"
UNIX_SOCKET = "ANTHROPIC_UNIX_SOCKET"
"""Where the shell sets it, every request goes to that socket, and address and keys count from the shell or a helper
alone: with those of settings.json it says "Not logged in".  In settings.json it has no effect itself."""
UNCHECKED = "NODE_TLS_REJECT_UNAUTHORIZED"
"""With 0, no certificate is checked."""
SHELL_ONLY = (UNIX_SOCKET, "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What counts in the shell alone, and has no effect in a settings file."""
OTHER_BACKENDS: Mapping[str, str] = {
    "CLAUDE_CODE_USE_BEDROCK": "Amazon Bedrock",
    "CLAUDE_CODE_USE_VERTEX": "Google Vertex AI",
    "CLAUDE_CODE_USE_FOUNDRY": "Microsoft Foundry",
    "CLAUDE_CODE_USE_MANTLE": "Amazon Bedrock (Mantle)",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS": "Anthropic on AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD": "Anthropic on Google Cloud",
}
"""Each sends Claude Code there, whatever the base URL says."""
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")

HELPER: KeyPath = ("apiKeyHelper",)
ONBOARDED: KeyPath = ("hasCompletedOnboarding",)
CONSOLE_KEY: KeyPath = ("primaryApiKey",)
APPROVED: KeyPath = ("customApiKeyResponses", "approved")
REJECTED: KeyPath = ("customApiKeyResponses", "rejected")

DEFAULTS: Mapping[str, str] = {
    "opus": "claude-opus-5-5",
    "sonnet": "claude-sonnet-5-5",
    "haiku": "claude-haiku-5-5",
}
"""What is asked for where no variable names a model for a tier."""
MIGRATED: Mapping[str, str] = {"opus": "opus[1m]"}
"""What the client makes of ``model`` in settings.json where ANTHROPIC_DEFAULT_OPUS_MODEL is set (2.1.332)."""

OFFICIAL = "api.anthropic.com"


def env(name: str) -> KeyPath:
    return ("env", name)


def key_suffix(key: str) -> str:
    """Return what Claude Code remembers of an approved key: its last 20 characters."""
    return key[-20:]


def wire_id(model: str) -> str:
    """Return *model* without the suffix that Claude Code keeps to itself (observed: only ``[1m]``)."""
    return model.removesuffix("[1m]")


def on(value: str) -> bool:
    """Tell whether a switch is on.  ``2``, ``false`` and an empty value leave it off."""
    return value.strip().lower() in ("1", "true", "yes", "on")


def foreign(url: str) -> bool:
    """Tell whether *url* leads to a third party."""
    return bool(url.strip()) and urls.host(url.strip()) != OFFICIAL


def headers(lines: str) -> dict[str, str]:
    """Return what ANTHROPIC_CUSTOM_HEADERS adds: a header a line.  ``x-api-key`` takes the place of the key's own."""
    pairs = (line.partition(":") for line in lines.split("\n"))
    name = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
    return {n.strip(): v.strip() for n, colon, v in pairs if colon and name.fullmatch(n.strip())}


def key_headers(lines: str) -> list[str]:
    """Return the names of those headers that carry a key."""
    return [n for n in headers(lines) if re.search(r"authorization|api-?key|token|secret|cookie", n, re.I)]


def text(value: Any) -> str:
    """Return a value of ``env`` as Claude Code makes text of it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return value if isinstance(value, str) else str(value)


# What makes Claude Code ignore the whole file.

TYPES: Mapping[str, type] = {
    **dict.fromkeys(("env", "permissions", "statusLine", "attribution", "enabledPlugins", "sandbox"), dict),
    **dict.fromkeys(("modelOverrides", "fileSuggestion"), dict),
    **dict.fromkeys(("$schema", "apiKeyHelper", "model", "outputStyle", "language", "autoUpdatesChannel"), str),
    **dict.fromkeys(("awsAuthRefresh", "otelHeadersHelper", "plansDirectory", "advisorModel"), str),
    **dict.fromkeys(("forceLoginMethod", "attribution.commit", "attribution.pr"), str),
    **dict.fromkeys(("includeCoAuthoredBy", "alwaysThinkingEnabled", "skipWebFetchPreflight", "disableAllHooks"), bool),
    **dict.fromkeys(("enableAllProjectMcpServers", "spinnerTipsEnabled", "sandbox.enabled"), bool),
    **dict.fromkeys(("availableModels", "companyAnnouncements", "fallbackModel"), list),
    **{f"permissions.{n}": list for n in ("allow", "deny", "ask", "additionalDirectories")},
    "permissions.defaultMode": str,
    "cleanupPeriodDays": int,
}
"""Known keys: a value of another type, also null, makes Claude Code ignore the whole file."""
WORDS: Mapping[str, tuple[str, ...]] = {
    "permissions.defaultMode": ("acceptEdits", "auto", "bypassPermissions", "default", "dontAsk", "plan"),
    "autoUpdatesChannel": ("latest", "stable", "rc"),
}


class Misfit(NamedTuple):
    """A value because of which Claude Code ignores the whole file."""

    key: KeyPath
    words: tuple[str, ...]
    """Those that are allowed, where it is one of a few."""
    good: Any
    """What it was plainly meant to be; MISSING: nothing tells."""


def misfits(data: Mapping[str, Any]) -> Iterator[Misfit]:
    """Yield the values of settings.json that are not of the right type."""
    for name, kind in TYPES.items():
        key = tuple(name.split("."))
        value = lookup(data, key)
        if value is MISSING:
            continue
        words = WORDS.get(name, ())
        fits = isinstance(value, kind) and not (kind is int and (isinstance(value, bool) or int(str(value)) < 1))
        if name == "availableModels" and fits:
            fits = all(isinstance(item, str) for item in value)
        if not fits or (words and value not in words):
            yield Misfit(key, words, _meant(value, kind, words))


def _meant(value: Any, kind: type, words: tuple[str, ...]) -> Any:
    if words:
        return next((w for w in words if isinstance(value, str) and w.lower() == value.strip().lower()), MISSING)
    if kind is bool and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind is int and isinstance(value, str) and re.fullmatch(r"[1-9]\d{0,5}", value):
        return int(value)
    if kind is list and isinstance(value, str) and value.strip():
        return [value]
    return MISSING
