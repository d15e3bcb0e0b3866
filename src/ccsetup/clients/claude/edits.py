"""Claude Code: the ``env`` block of settings.json, and ``.claude.json``.

Every statement about the client was observed with 2.1.329, 2.1.197 and 2.0.76 against a server on loopback.
"""

from __future__ import annotations

from typing import Any, Mapping, cast

from ccsetup.clients.claude import facts, picker
from ccsetup.clients.claude.facts import (
    API_KEY,
    APPROVED,
    AUTH_TOKEN,
    BASE_URL,
    BLANK_TOKEN,
    CONSOLE_KEY,
    CONTEXT,
    CREDENTIALS,
    HELPER,
    MIGRATED,
    MODEL,
    MODELS,
    ONBOARDED,
    OTHER_BACKENDS,
    REJECTED,
    env,
    foreign,
    key_suffix,
    on,
)
from ccsetup.clients.values import Current, Files, Use, Wishes
from ccsetup.documents.edit import MISSING, KeyPath, lookup
from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint
from ccsetup.paths import Paths
from ccsetup.plan import Owned, Wish
from ccsetup.profiles import RELAY
from ccsetup.profiles import facts as model_facts

_MODEL: KeyPath = ("model",)


def documents(paths: Paths) -> tuple[tuple[str, str], ...]:
    return ((paths.claude_settings, "json"), (paths.claude_json, "json"))


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
    if use.listed:
        want[env(picker.DISCOVERY)] = "1"
    model = lookup(data, _MODEL)
    if isinstance(model, str) and not files.names:
        # As it is, and noted: the client may change it because of what we set.  No other provider knows our relay's.
        want[_MODEL] = MISSING if picker.meant(model) and use.profile.name != RELAY else model
    for name in OTHER_BACKENDS:
        if on(files.paths.environ.get(name, "")):
            want[env(name)] = ""  # settings.json beats the shell
        elif lookup(data, env(name)) != "":
            want[env(name)] = MISSING  # wanted also where it is gone already: else the next run would put it back
    settings = Wish(
        files.paths.claude_settings,
        "json",
        want,
        forced=_forced(),
        keep_before=_keep_before(data, want),
    )
    return Wishes((settings, _claude_json(files, use, endpoint)), {})


def setting_problem(name: str, value: Any) -> str:
    """Return why the variable *name* cannot be *value* by a profile; what an option of its own sets is refused."""
    from ccsetup import keys, masking

    if name in model_facts.NAMES:
        return model_facts.problem(name, value)
    own = (BASE_URL, *CREDENTIALS, *MODELS, CONTEXT, *OTHER_BACKENDS, facts.HEADERS)
    harmful = (facts.CONFIG_DIR, facts.UNCHECKED, facts.OAUTH, *facts.SHELL_ONLY)
    if name in harmful or not keys.VARIABLE.match(name) or name in own:
        return _("'{name}' is no variable that a profile can set.").format(name=printable(name))
    if not isinstance(value, str) or not value.isprintable():
        return _("The value of {name} has to be text in quotes.").format(name=name)
    return _("The value of {name} is a key.").format(name=name) if masking.likely(value) else ""


def _forced() -> frozenset[KeyPath]:
    return frozenset((env(BASE_URL), *(env(n) for n in CREDENTIALS)))


def is_official(data: Any) -> bool:
    """Tell whether settings.json points at no third party."""
    url = lookup(data, env(BASE_URL))
    return url is MISSING or url == "" or (isinstance(url, str) and not foreign(url))


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
    if use.listed and BLANK_TOKEN <= files.version < picker.DISCOVERS:
        rows = ((m, picker.listed(m.model, m.context or 0)) for m in use.listed)
        want[picker.FURTHER] = [{"value": id, "label": m.model, "description": m.said()} for m, id in rows]
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
        keep_before=frozenset((ONBOARDED, CONSOLE_KEY, picker.FURTHER)),
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
    model = lookup(data, _MODEL)
    for item in owned.get(files.paths.claude_settings, ()):
        if item.path == _MODEL and isinstance(model, str):
            moved = isinstance(item.before, str) and MIGRATED.get(item.before) == model
            want[_MODEL] = item.before if moved or picker.meant(model) else model
    if isinstance(model, str) and picker.meant(str(want.get(_MODEL, model))):
        want[_MODEL] = MISSING
    settings = Wish(files.paths.claude_settings, "json", want, forced=_forced())
    # Whoever has logged in since has been through the onboarding; others get it back, with the login in it.
    stays = {ONBOARDED: True} if lookup(files.get(files.paths.claude_json), ("oauthAccount",)) else {}
    return Wishes((settings, Wish(files.paths.claude_json, "json", stays, free=frozenset(stays), claude_lock=True)), {})


def current(files: Files) -> Current:
    data = files.get(files.paths.claude_settings)

    def text(path: KeyPath) -> str:
        value = lookup(data, path)
        return value if isinstance(value, str) else ""

    credential = next((n for n in CREDENTIALS if text(env(n))), "apiKeyHelper" if text(HELPER) else "")
    return Current(text(env(BASE_URL)), text(env(MODEL)), credential)


def matches(files: Files, use: Use) -> bool:
    endpoint = cast(ClaudeEndpoint, use.endpoint)
    data = files.get(files.paths.claude_settings)
    if lookup(data, env(BASE_URL)) != endpoint.base_url:
        return False
    if use.profile.key_storage != "inline":
        return bool(lookup(data, HELPER) == helper_command(use))
    name = AUTH_TOKEN if endpoint.auth == "auth_token" else API_KEY
    return use.key is not None and lookup(data, env(name)) == use.key.reveal()
