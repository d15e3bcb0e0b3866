"""Claude Code: the ``env`` block of settings.json, and ``.claude.json``.

Every statement about the client was observed with 2.1.329, 2.1.197 and 2.0.76 against a server on loopback.
"""

from __future__ import annotations

import os
import re
from typing import Any, Mapping, Optional, cast

from ccsetup import bounded
from ccsetup.clients.base import Correction, Current, Files, Use, Wishes
from ccsetup.documents.edit import MISSING, KeyPath, lookup
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint, Version
from ccsetup.paths import Paths
from ccsetup.plan import Note, Owned, Wish

BLANK_TOKEN: Version = (2, 1, 0)
"""From here on an empty ANTHROPIC_AUTH_TOKEN counts as none.  2.0.76 is older, 2.1.197 newer; between: not tried."""

BASE_URL = "ANTHROPIC_BASE_URL"
AUTH_TOKEN = "ANTHROPIC_AUTH_TOKEN"  # noqa: S105 - the variable's name
API_KEY = "ANTHROPIC_API_KEY"
CREDENTIALS = (AUTH_TOKEN, API_KEY)
MODELS = (
    "ANTHROPIC_MODEL",
    "ANTHROPIC_DEFAULT_OPUS_MODEL",
    "ANTHROPIC_DEFAULT_SONNET_MODEL",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    "ANTHROPIC_DEFAULT_FABLE_MODEL",
    "ANTHROPIC_SMALL_FAST_MODEL",
    "CLAUDE_CODE_SUBAGENT_MODEL",
)
CONTEXT = "CLAUDE_CODE_MAX_CONTEXT_TOKENS"
HELPER: KeyPath = ("apiKeyHelper",)
OTHER_BACKENDS = (
    "CLAUDE_CODE_USE_BEDROCK",
    "CLAUDE_CODE_USE_VERTEX",
    "CLAUDE_CODE_USE_FOUNDRY",
    "CLAUDE_CODE_USE_MANTLE",
    "CLAUDE_CODE_USE_ANTHROPIC_AWS",
    "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
    "CLAUDE_CODE_USE_GATEWAY",
)
"""Each sends Claude Code somewhere else, whatever the base URL says."""

ONBOARDED: KeyPath = ("hasCompletedOnboarding",)
CONSOLE_KEY: KeyPath = ("primaryApiKey",)
APPROVED: KeyPath = ("customApiKeyResponses", "approved")
REJECTED: KeyPath = ("customApiKeyResponses", "rejected")

TYPES: Mapping[str, type] = {
    "$schema": str,
    "env": dict,
    "permissions": dict,
    "apiKeyHelper": str,
    "model": str,
    "availableModels": list,
    "statusLine": dict,
    "outputStyle": str,
    "language": str,
    "cleanupPeriodDays": int,
    "includeCoAuthoredBy": bool,
    "attribution": dict,
    "enabledPlugins": dict,
    "alwaysThinkingEnabled": bool,
    "skipWebFetchPreflight": bool,
    "autoUpdatesChannel": str,
    "forceLoginMethod": str,
    "sandbox": dict,
}
"""Known keys: a value of another type, also null, makes Claude Code ignore the whole file (observed with 2.1.329)."""


def env(name: str) -> KeyPath:
    return ("env", name)


def documents(paths: Paths) -> tuple[tuple[str, str], ...]:
    return ((paths.claude_settings, "json"), (paths.claude_json, "json"))


def key_suffix(key: str) -> str:
    """Return what Claude Code remembers of an approved key: its last 20 characters."""
    return key[-20:]


def helper_command(use: Use) -> str:
    """Return the ``apiKeyHelper`` line, which Claude Code runs with /bin/sh."""
    if use.profile.key_storage == "env":
        return f'printf %s "${{{use.profile.key_env}}}"'
    if use.profile.key_command:
        return use.profile.key_command
    import shlex

    return shlex.join(use.reader)


def use(files: Files, use: Use) -> Wishes:
    """Write the address, exactly one credential, and a model for every tier.

    The sibling credential is blanked, because one that the shell exports would be sent to the provider as
    well; a base URL is never written without a credential, because Claude Code would send its login there.
    """
    endpoint = cast(ClaudeEndpoint, use.endpoint)
    data = files.get(files.paths.claude_settings)
    storage = use.profile.key_storage
    if storage == "dotenv":
        raise UsageError(
            _("Key storage 'dotenv' is for Codex only; Claude Code reads no .env file."),
            hint=_("Use --key-storage inline, command or env."),
        )
    want: dict[KeyPath, Any] = {env(BASE_URL): endpoint.base_url}
    if storage == "inline":
        assert use.key is not None
        mine, other = (AUTH_TOKEN, API_KEY) if endpoint.auth == "auth_token" else (API_KEY, AUTH_TOKEN)
        want[env(mine)] = use.key
        # Before 2.1 an empty token is sent as well, as "Authorization: Bearer" (observed with 2.0.76).
        want[env(other)] = MISSING if other == AUTH_TOKEN and files.version < BLANK_TOKEN else ""
        want[HELPER] = MISSING
    else:
        for name in CREDENTIALS:
            # A variable of that name may be the one that holds the key: blanked here, the helper would not see it.
            want[env(name)] = MISSING if storage == "env" and name == use.profile.key_env else ""
        want[HELPER] = helper_command(use)
    tiers = endpoint.models
    values = (
        (tiers.primary, tiers.opus, tiers.sonnet, tiers.haiku, tiers.fable, tiers.haiku, tiers.subagent)
        if tiers
        else ("",) * len(MODELS)
    )
    for name, value in zip(MODELS, values, strict=True):
        want[env(name)] = value or MISSING
    want[env(CONTEXT)] = str(endpoint.context_window) if endpoint.context_window else MISSING
    for name, fact in endpoint.env.items():
        want[env(name)] = fact.value
    for name in OTHER_BACKENDS:
        if lookup(data, env(name)) != "":
            want[env(name)] = MISSING  # wanted also where it is gone already: else the next run would put it back
    settings = Wish(
        files.paths.claude_settings,
        "json",
        want,
        forced=_forced(),
        keep_before=_keep_before(data, want),
    )
    return Wishes((settings, _claude_json(files, use, endpoint)), {})


def _forced() -> frozenset[KeyPath]:
    return frozenset((env(BASE_URL), *(env(n) for n in CREDENTIALS)))


def is_official(data: Any) -> bool:
    """Tell whether settings.json points at no third party."""
    url = lookup(data, env(BASE_URL))
    return url is MISSING or url == "" or (isinstance(url, str) and "//api.anthropic.com" in url)


def _keep_before(data: Any, want: Mapping[KeyPath, Any]) -> frozenset[KeyPath]:
    """Return the keys whose former values come back later: the user's own state, never another provider's."""
    if is_official(data):
        return frozenset(want)
    provider = {env(BASE_URL), HELPER, env(CONTEXT), *(env(n) for n in (*CREDENTIALS, *MODELS))}
    return frozenset(p for p in want if p not in provider)


def _claude_json(files: Files, use: Use, endpoint: ClaudeEndpoint) -> Wish:
    """Answer the questions that an interactive start would otherwise stop at.

    Without ``hasCompletedOnboarding`` a first start shows the login; an ANTHROPIC_API_KEY that is not approved
    is not used, and a logged-in user's own token goes to the provider instead.
    """
    data = files.get(files.paths.claude_json)
    # A key from a login at Anthropic's console is sent beside ours, to any address (observed with 2.1.329).
    want: dict[KeyPath, Any] = {ONBOARDED: True, CONSOLE_KEY: MISSING}
    if endpoint.auth == "api_key" and use.key is not None and use.profile.key_storage == "inline":
        suffix = key_suffix(use.key.reveal())
        approved, rejected = lookup(data, APPROVED), lookup(data, REJECTED)
        if not isinstance(approved, list):
            approved = []
        if suffix not in approved:
            want[APPROVED] = [*approved, suffix]
        if isinstance(rejected, list) and suffix in rejected:
            want[REJECTED] = [r for r in rejected if r != suffix]
    return Wish(
        files.paths.claude_json,
        "json",
        want,
        keep_before=frozenset((ONBOARDED, CONSOLE_KEY)),
        free=frozenset((APPROVED, REJECTED)),
        claude_lock=True,
    )


def official(files: Files, owned: Mapping[str, tuple[Owned, ...]]) -> Wishes:
    """Take away every third party, also one that somebody else wrote; the user's login is not touched."""
    data = files.get(files.paths.claude_settings)
    want: dict[KeyPath, Any] = {}
    mine = {o.path for o in owned.get(files.paths.claude_settings, ())}
    if not is_official(data):
        for path in (env(BASE_URL), *(env(n) for n in CREDENTIALS), *(env(n) for n in MODELS), env(CONTEXT), HELPER):
            if path not in mine:
                want[path] = MISSING
    settings = Wish(files.paths.claude_settings, "json", want, forced=_forced())
    # Whoever has logged in since has been through the onboarding; others get it back, with the login in it.
    stays = {ONBOARDED: True} if lookup(files.get(files.paths.claude_json), ("oauthAccount",)) else {}
    return Wishes((settings, Wish(files.paths.claude_json, "json", stays, free=frozenset(stays), claude_lock=True)), {})


def repairs(files: Files) -> list[Correction]:
    """Return how a comment or a trailing comma is taken out of settings.json.

    Claude Code ignores such a file as a whole, silently with ``-p`` before 2.1.329.
    """
    from ccsetup.documents import jsondoc

    path = files.paths.claude_settings
    text = files.text.get(path, "")
    problem = jsondoc.strict_problem(text) if text.strip("\ufeff \t\r\n") else None
    if problem is None:
        return []
    said = _("{file}:{line}:{column}: {problem}. Claude Code ignores the whole file because of it.")
    refusal = CcsetupError(
        said.format(
            file=files.paths.short(files.names.get(path, path)),
            line=problem.line,
            column=problem.column,
            problem=problem.message.rstrip(".。"),
        ),
        hint=_("Run the same command with --repair to take comments and trailing commas out (undo brings them back)."),
    )
    done = _("comments and trailing commas were taken out.")
    return [Correction(files.names.get(path, path), "json", done, whole=jsondoc.strict(text), refusal=refusal)]


def console_note(files: Files) -> list[Note]:
    """Tell of a key from a login at Anthropic's console, which is sent beside the profile's."""
    path = files.paths.claude_json
    if lookup(files.get(path), CONSOLE_KEY) is MISSING:
        return []
    text = _("A key from a login at Anthropic's console is in {file}: Claude Code sends it along.")
    return [Note("warning", text.format(file=files.paths.short(path)), _("Log out with: claude auth logout"))]


def current(files: Files) -> Current:
    data = files.get(files.paths.claude_settings)

    def text(path: KeyPath) -> str:
        value = lookup(data, path)
        return value if isinstance(value, str) else ""

    credential = next((n for n in CREDENTIALS if text(env(n))), "apiKeyHelper" if text(HELPER) else "")
    return Current(text(env(BASE_URL)), text(env("ANTHROPIC_MODEL")), credential)


def matches(files: Files, use: Use) -> bool:
    endpoint = cast(ClaudeEndpoint, use.endpoint)
    data = files.get(files.paths.claude_settings)
    if lookup(data, env(BASE_URL)) != endpoint.base_url:
        return False
    if use.profile.key_storage != "inline":
        return bool(lookup(data, HELPER) == helper_command(use))
    name = AUTH_TOKEN if endpoint.auth == "auth_token" else API_KEY
    return use.key is not None and lookup(data, env(name)) == use.key.reveal()


def notes(files: Files, use: Optional[Use]) -> tuple[Note, ...]:
    """Tell what the shell, the project or the administrator adds to these settings.

    settings.json beats the shell for the same variable; project and managed files beat settings.json.
    """
    out: list[Note] = []
    environ = files.paths.environ
    set_by_us = lookup(files.get(files.paths.claude_settings), ("env",))
    for name in OTHER_BACKENDS:
        if use and environ.get(name):
            out.append(
                Note(
                    "warning",
                    _("{name} is set in this shell: Claude Code will ignore the provider.").format(name=name),
                    _("Run: unset {name}").format(name=name),
                )
            )
    if use and environ.get(AUTH_TOKEN) and isinstance(set_by_us, dict) and AUTH_TOKEN not in set_by_us:
        out.append(
            Note(
                "warning",
                _("{name} is set in this shell: Claude Code sends it to {provider} too.").format(
                    name=AUTH_TOKEN, provider=use.preset.name
                ),
                _("Run: unset {name}").format(name=AUTH_TOKEN),
            )
        )
    if use and isinstance(set_by_us, dict) and set_by_us.get("ANTHROPIC_CUSTOM_HEADERS"):
        out.append(
            Note(
                "warning",
                _("ANTHROPIC_CUSTOM_HEADERS in {file} is sent to {provider} too.").format(
                    file=files.paths.short(files.paths.claude_settings), provider=use.preset.name
                ),
            )
        )
    if use and use.preset.id == "custom" and use.endpoint.models is None:  # type: ignore[attr-defined]
        text = _("No model is named: Claude Code asks {url} for its own (claude-…), which has to serve them.")
        out.append(Note("info", text.format(url=use.endpoint.base_url), _("Name another one with -M MODEL.")))
    above = [
        os.path.join(files.paths.cwd, ".claude", "settings.json"),
        os.path.join(files.paths.cwd, ".claude", "settings.local.json"),
        "/etc/claude-code/managed-settings.json",
    ]
    for path in above:
        if path == files.paths.claude_settings or not os.path.isfile(path):
            continue
        try:
            text = bounded.found(path).decode("utf-8-sig", "replace")
        except (OSError, bounded.TooLarge):
            continue
        names = sorted(
            {n for n in re.findall(r'"([A-Z_]+)"\s*:', text) if n in (BASE_URL, *CREDENTIALS, *MODELS, *OTHER_BACKENDS)}
        )
        if names:
            out.append(
                Note(
                    "warning",
                    _("{file} sets {names} and wins over these settings in this folder.").format(
                        file=files.paths.short(path), names=", ".join(names)
                    ),
                )
            )
    return tuple(out)
