"""Checks of Claude Code's settings.json and .claude.json.  Every consequence was observed with the client."""

from __future__ import annotations

import os
import re
from typing import Any, Iterator, NamedTuple, Sequence

from ccsetup import profiles, urls
from ccsetup.clients import recognise as known
from ccsetup.clients.claude import endpoints
from ccsetup.clients.claude.edits import (
    API_KEY,
    APPROVED,
    AUTH_TOKEN,
    BASE_URL,
    BLANK_TOKEN,
    CONSOLE_KEY,
    CREDENTIALS,
    HELPER,
    MODELS,
    ONBOARDED,
    OTHER_BACKENDS,
    REJECTED,
    TYPES,
    env,
    key_suffix,
)
from ccsetup.clients.house import Edits, Finding, House, Whole, as_text
from ccsetup.documents import jsondoc
from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, Unset, lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint

TIERS = ("ANTHROPIC_MODEL", *(f"ANTHROPIC_DEFAULT_{t}_MODEL" for t in ("OPUS", "SONNET", "HAIKU", "FABLE")))


class Value(NamedTuple):
    text: str
    path: str
    """Empty: the shell."""
    line: int


def value(house: House, name: str) -> Value:
    """Return a variable as Claude Code has it: settings.json beats the shell, an empty one counts as unset."""
    path = house.paths.claude_settings
    if name in house.settings_env:
        found = house.settings_env[name]
        text = "" if found is None else str(found).strip()
        return Value(text, path, house.line(path, "json", env(name)))
    return Value(house.environ.get(name, "").strip(), "", 0)


def on(text: str) -> bool:
    return text.lower() not in ("", "0", "false", "no", "off")


def foreign(url: str) -> bool:
    """Tell whether *url* leads to a third party."""
    return bool(url) and "//api.anthropic.com" not in url


def _at(house: House, level: Any, key: KeyPath, text: str, fix: str, *edits: Edit) -> Finding:
    path = house.paths.claude_settings
    repairs = (Edits(path, "json", edits),) if edits else ()
    return Finding(level, text, fix, path, house.line(path, "json", key), repairs)


def syntax(house: House) -> Iterator[Finding]:
    path = house.paths.claude_settings
    text = house.text(path)
    if path in house.unreadable:
        yield Finding("problem", house.unreadable[path], _("Save the file as UTF-8."), path)
        return
    if not text.strip("\ufeff \t\r\n"):
        return
    broken = house.broken(path, "json")
    if broken is not None:
        what = broken.message.rstrip(".。") or _("the top level is not an object")
        yield Finding(
            "problem",
            _("{what}: Claude Code ignores the whole file.").format(what=what),
            _("Correct this line by hand; nothing tells for sure what was meant."),
            path,
            broken.line,
        )
        return
    strict = jsondoc.strict_problem(text)
    if strict is not None:
        comment = text.splitlines()[strict.line - 1][strict.column - 1 :].startswith("/")
        yield Finding(
            "problem",
            _("A comment makes Claude Code ignore the whole file.")
            if comment
            else _("A trailing comma makes Claude Code ignore the whole file."),
            _("Take comments and trailing commas out."),
            path,
            strict.line,
            (Whole(path, jsondoc.strict(text)),),
        )


_LISTS = ("allow", "deny", "ask", "additionalDirectories")


def types(house: House) -> Iterator[Finding]:
    for name, kind in TYPES.items():
        found = house.settings.get(name, MISSING)
        if found is MISSING or (isinstance(found, kind) and not (kind is int and isinstance(found, bool))):
            continue
        yield _wrong(house, (name,), _as(found, kind))
    for name in _LISTS:
        found = lookup(house.settings, ("permissions", name))
        if found is MISSING or (isinstance(found, list) and all(isinstance(i, str) for i in found)):
            continue
        good = [found] if isinstance(found, str) else MISSING
        yield _wrong(house, ("permissions", name), good)


def _wrong(house: House, key: KeyPath, good: Any) -> Finding:
    fix = _("Correct its type.") if good is not MISSING else _("Take it out.")
    text = _("'{key}' has the wrong type: Claude Code ignores the whole file.").format(key=".".join(key))
    return _at(house, "problem", key, text, fix, Unset(key) if good is MISSING else Set(key, good))


def _as(found: Any, kind: type) -> Any:
    """Return *found* as what it was plainly meant to be, or MISSING."""
    if kind is bool and isinstance(found, str) and found.lower() in ("true", "false"):
        return found.lower() == "true"
    if kind is int and isinstance(found, str) and re.fullmatch(r"\d{1,6}", found):
        return int(found)
    return MISSING


def base_url(house: House) -> Iterator[Finding]:
    found = value(house, BASE_URL)
    place = known.place(house, found.text, "claude-code")
    if not found.text or (place and place.legacy):
        return
    better = urls.base(found.text, "anthropic")
    clean, inside = urls.without_keys(found.text)
    if inside:
        yield _misplaced(house, found, clean, inside)
        return
    if re.search(r"/v1(/messages)?/*$", found.text):
        text = _("The address ends in /v1, which Claude Code adds itself: it gets a 404.")
        if found.path:
            yield _at(
                house, "problem", env(BASE_URL), text, _("Take the end off the address."), Set(env(BASE_URL), better)
            )
        else:
            yield Finding(
                "problem",
                "ANTHROPIC_BASE_URL: " + text,
                _("Run: export {name}={value}").format(name=BASE_URL, value=better),
            )
        return
    problem = urls.problem(found.text, claude=True)
    if problem and foreign(found.text):
        fix = _("Correct it, or set the provider up with: ccsetup init -p PROVIDER -k KEY")
        yield Finding(
            "problem", _("ANTHROPIC_BASE_URL: {problem}").format(problem=problem), fix, found.path, found.line
        )


def _misplaced(house: House, found: Value, url: str, inside: Sequence[str]) -> Finding:
    """Return the finding of keys in the address *found*, which is *url* without them."""
    text = _("The address holds a key.")
    if not found.path:
        fix = _("Run: export {name}={value}").format(name=BASE_URL, value=url)
        return Finding("problem", "ANTHROPIC_BASE_URL: " + text, fix)
    has = [value(house, n).text for n in CREDENTIALS if value(house, n).text]
    if len(inside) > 1 or any(h != inside[0] for h in has) or as_text(house.settings.get("apiKeyHelper")).strip():
        return _at(house, "problem", env(BASE_URL), text, _("Take it out by hand: there is another key, too."))
    endpoint = known.claude_endpoint(known.place(house, url, "claude-code"))
    name = API_KEY if endpoint is not None and endpoint.auth == "api_key" else AUTH_TOKEN
    fix = _("Move it to {name}.").format(name=name)
    edits: list[Edit] = [Set(env(BASE_URL), url)]
    if not has:
        edits.append(Set(env(name), inside[0]))
    return _at(house, "problem", env(BASE_URL), text, fix, *edits)


def no_key(house: House) -> Iterator[Finding]:
    url = value(house, BASE_URL)
    if not foreign(url.text) or as_text(house.settings.get("apiKeyHelper")).strip():
        return
    if any(value(house, n).text for n in CREDENTIALS):
        return
    login = house.claude_json.get("oauthAccount") or house.exists(
        os.path.join(house.paths.claude_dir, ".credentials.json")
    )
    text = (
        _("An address is set without a key: Claude Code sends your Anthropic login there.")
        if login
        else _("An address is set without a key: Claude Code says 'Not logged in'.")
    )
    for profile in house.profiles.values():
        if "claude-code" not in profile.parts or not house.saved_key(profile):
            continue
        endpoint = _endpoint(house, profile)
        if endpoint is not None and endpoint.base_url == urls.base(url.text, "anthropic"):
            name = AUTH_TOKEN if endpoint.auth == "auth_token" else API_KEY
            yield _at(
                house,
                "problem",
                env(BASE_URL),
                text,
                _("Write the key of the saved profile '{name}'.").format(name=profile.name),
                Set(env(name), house.saved_key(profile)),
            )
            return
    place = known.place(house, url.text, "claude-code")
    fix = _("Run: ccsetup init -p {provider} -k KEY, or: ccsetup config-switch official -T claude-code").format(
        provider=place.preset.id if place else "custom"
    )
    yield Finding("problem", text, fix, url.path, url.line)


def _endpoint(house: House, profile: profiles.Profile) -> ClaudeEndpoint | None:
    preset = next((p for p in house.presets if p.id == profile.provider), None)
    try:
        return endpoints.endpoint(profile, preset) if preset else None
    except CcsetupError:
        return None


def two_keys(house: House) -> Iterator[Finding]:
    token, key, url = value(house, AUTH_TOKEN), value(house, API_KEY), value(house, BASE_URL)
    if not token.text or not key.text:
        return
    text = _("ANTHROPIC_AUTH_TOKEN and ANTHROPIC_API_KEY are set: both are sent.")
    if not token.path and not key.path:
        yield Finding("warning", _("shell: {text}").format(text=text), _("Run: unset {name}").format(name=API_KEY))
        return
    endpoint = known.claude_endpoint(known.place(house, url.text, "claude-code"))
    keep = AUTH_TOKEN if (endpoint.auth == "auth_token" if endpoint else bool(token.path)) else API_KEY
    if not value(house, keep).path:  # never throw away the only key that is saved
        keep = AUTH_TOKEN if token.path else API_KEY
    other = API_KEY if keep == AUTH_TOKEN else AUTH_TOKEN
    blank = other == API_KEY or house.version("claude-code") >= BLANK_TOKEN
    if not value(house, other).path:
        text = _("{name} of this shell is sent beside the key of the settings.").format(name=other)
        if not blank:
            yield Finding("problem", text, _("Run: unset {name}").format(name=other))
            return
    edit: Edit = Set(env(other), "") if blank else Unset(env(other))
    level = "problem" if foreign(url.text) else "warning"
    fix = _("Blank {name} in the settings; {kept} stays.").format(name=other, kept=keep)
    yield _at(house, level, env(other if value(house, other).path else keep), text, fix, edit)


def helper(house: House) -> Iterator[Finding]:
    if not as_text(house.settings.get("apiKeyHelper")).strip():
        return
    if not any(as_text(house.settings_env.get(n)).strip() for n in CREDENTIALS):
        return
    level = "problem" if foreign(value(house, BASE_URL).text) else "warning"
    text = _("apiKeyHelper stands next to a key: what it prints is sent to the provider as well.")
    yield _at(house, level, HELPER, text, _("Take apiKeyHelper out."), Unset(HELPER))


def other_backend(house: House) -> Iterator[Finding]:
    if not value(house, BASE_URL).path:
        return
    for name in OTHER_BACKENDS:
        found = value(house, name)
        if not on(found.text):
            continue
        if found.path:
            text = _("{name} makes Claude Code ignore the provider's address.").format(name=name)
            yield _at(house, "problem", env(name), text, _("Take it out."), Unset(env(name)))
        else:
            text = _("{name} of this shell makes Claude Code ignore the provider's address.").format(name=name)
            fix = _("Blank it in the settings.")
            yield _at(house, "problem", env(BASE_URL), text, fix, Set(env(name), ""))


def config_dir(house: House) -> Iterator[Finding]:
    if as_text(house.settings_env.get("CLAUDE_CONFIG_DIR")).strip():
        key = env("CLAUDE_CONFIG_DIR")
        text = _("CLAUDE_CONFIG_DIR makes Claude Code read another folder's settings.")
        yield _at(house, "problem", key, text, _("Take it out."), Unset(key))


def _has_provider(house: House) -> bool:
    credential = any(value(house, n).path and value(house, n).text for n in CREDENTIALS)
    return bool(value(house, BASE_URL).path) and (credential or bool(as_text(house.settings.get("apiKeyHelper"))))


def onboarding(house: House) -> Iterator[Finding]:
    path = house.paths.claude_json
    if house.broken(path, "json") or path in house.unreadable:
        broken = house.broken(path, "json")
        text = _("The file cannot be read: Claude Code starts as if it were new, and asks everything again.")
        yield Finding("problem", text, _("Correct this line by hand."), path, broken.line if broken else 0)
        return
    if not _has_provider(house) or lookup(house.claude_json, ONBOARDED) is True:
        return
    yield Finding(
        "warning",
        _("The first start asks for a theme and a login before it uses the provider."),
        _("Answer it: hasCompletedOnboarding = true."),
        path,
        house.line(path, "json", ONBOARDED),
        (Edits(path, "json", (Set(ONBOARDED, True),), claude_lock=True),),
    )


def approval(house: House) -> Iterator[Finding]:
    key = value(house, API_KEY)
    if not key.text or not key.path or not foreign(value(house, BASE_URL).text):
        return
    if value(house, AUTH_TOKEN).text:
        return  # one of the two goes first
    path = house.paths.claude_json
    suffix = key_suffix(key.text)
    approved, rejected = lookup(house.claude_json, APPROVED), lookup(house.claude_json, REJECTED)
    approved = approved if isinstance(approved, list) else []
    no = isinstance(rejected, list) and suffix in rejected
    if house.broken(path, "json") or (suffix in approved and not no):
        return
    edits: list[Edit] = [] if suffix in approved else [Set(APPROVED, [*approved, suffix])]
    if no:
        edits.append(Set(REJECTED, [r for r in rejected if r != suffix]))
    responses = lookup(house.claude_json, APPROVED[:1])
    if responses is not MISSING and not isinstance(responses, dict):
        edits = [Set(APPROVED[:1], {APPROVED[1]: [suffix]})]
    yield Finding(
        "problem" if no else "warning",
        _("You once answered No to this ANTHROPIC_API_KEY: sessions do not use it.")
        if no
        else _("A session asks whether to use this ANTHROPIC_API_KEY, and the default is No."),
        _("Note the key as approved."),
        path,
        house.line(path, "json", REJECTED if no else APPROVED),
        (Edits(path, "json", tuple(edits), claude_lock=True),),
    )


def console_key(house: House) -> Iterator[Finding]:
    path = house.paths.claude_json
    found = as_text(lookup(house.claude_json, CONSOLE_KEY))
    if not found or not foreign(value(house, BASE_URL).text) or value(house, API_KEY).text:
        return
    yield Finding(
        "problem",
        _("primaryApiKey, a key of Anthropic's console, is sent to the provider as well."),
        _("Take it out; log in again when you go back to Anthropic."),
        path,
        house.line(path, "json", CONSOLE_KEY),
        (Edits(path, "json", (Unset(CONSOLE_KEY),), claude_lock=True),),
    )


def legacy(house: House) -> Iterator[Finding]:
    found = value(house, BASE_URL)
    place = known.place(house, found.text, "claude-code")
    if place is None or not found.path:
        return
    endpoint = known.claude_endpoint(place)
    if place.legacy is not None and endpoint is not None:
        yield _at(
            house,
            "warning" if place.legacy.still_works else "problem",
            env(BASE_URL),
            _("This is not {provider}'s address today: {reason}.").format(
                provider=place.preset.name, reason=place.legacy.reason.rstrip(".。")
            ),
            _("Change it to {url}.").format(url=endpoint.base_url),
            Set(env(BASE_URL), endpoint.base_url),
        )
    keys = [env(n) for n in MODELS if n in house.settings_env]
    old = [(k, as_text(lookup(house.settings, k))) for k in [*keys, ("model",)]]
    stale = [(k, m, *known.successor(place.preset, m)) for k, m in old if m and known.successor(place.preset, m)[0]]
    if stale:
        names = ", ".join(dict.fromkeys(m for _k, m, _s, _r in stale))
        new = ", ".join(dict.fromkeys(s for _k, _m, s, _r in stale))
        yield _at(
            house,
            "warning",
            stale[0][0],
            _("{provider} has newer models than {models} ({reason}).").format(
                provider=place.preset.name, models=names, reason=stale[0][3].split(";")[0]
            ),
            _("Change to {models}.").format(models=new),
            *(Set(k, s) for k, _m, s, _r in stale),
        )


def tiers(house: House) -> Iterator[Finding]:
    found = value(house, BASE_URL)
    if not foreign(found.text) or not found.path or not _has_provider(house):
        return
    endpoint = known.claude_endpoint(known.place(house, found.text, "claude-code"))
    if endpoint is not None and endpoint.native_models:
        return
    main = value(house, "ANTHROPIC_MODEL").text
    asked = [n for n in TIERS[:-1] if not value(house, n).text]  # fable is asked for by name only
    if not asked:
        return
    names = ", ".join(n.removeprefix("ANTHROPIC_DEFAULT_").removesuffix("_MODEL").lower() for n in asked)
    names = names.replace("anthropic", _("main"))
    text = _("No model is set for {tiers}: Claude Code asks the provider for Anthropic's models.").format(tiers=names)
    missing = [n for n in TIERS if not value(house, n).text]
    models = dict.fromkeys(missing, main)
    if endpoint is not None and endpoint.models is not None:
        t = endpoint.models
        own = dict(zip(TIERS, (t.primary, t.opus, t.sonnet, t.haiku, t.fable), strict=True))
        models = {n: main if main and own[n] == t.primary else own[n] for n in missing}
    if not all(models.values()):
        yield _at(house, "warning", env(BASE_URL), text, _("Set ANTHROPIC_MODEL to a model of the provider."))
        return
    shown = ", ".join(dict.fromkeys(models.values()))
    edits = [Set(env(n), m) for n, m in models.items()]
    yield _at(house, "warning", env(BASE_URL), text, _("Set {models} for them.").format(models=shown), *edits)
