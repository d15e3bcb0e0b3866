"""What the presets know better than Claude Code's settings say: addresses, keys, models."""

from __future__ import annotations

import re
from typing import Iterator, Optional, Sequence

from ccsetup import profiles, urls
from ccsetup.clients import recognise as known
from ccsetup.clients.claude import endpoints, facts
from ccsetup.clients.claude.facts import API_KEY, AUTH_TOKEN, BASE_URL, CREDENTIALS, MODELS, env
from ccsetup.clients.claude.problems import at, has_provider, problems
from ccsetup.clients.claude.scopes import Held, Sources, read
from ccsetup.clients.house import Address, Edits, Finding, House, as_text
from ccsetup.documents.edit import Edit, Set, lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import Auth, ClaudeEndpoint

TIERS = (facts.MODEL, *facts.TIERS.values())


def sources(house: House) -> Sources:
    """Return what Claude Code reads, from the files of *house*."""

    def text(path: str) -> Optional[str]:
        found = house.text(path)
        if path in house.unreadable:
            raise house.unreadable[path]
        return found if house.exists(path) else None

    if "claude" not in house.kept:
        house.kept["claude"] = read(house.paths, text, house.version("claude-code"), etc=house.facts.etc, through=True)
    found: Sources = house.kept["claude"]
    return found


def listed(house: House, id: str) -> Iterator[Finding]:
    """Yield what the check *id* has on the list of problems."""

    def auth(url: str) -> Optional[Auth]:
        endpoint = known.claude_endpoint(known.place(house, url, "claude-code"))
        return endpoint.auth if endpoint is not None else None

    for problem in problems(sources(house), auth):
        if problem.id == id:
            yield _with_key(house, problem.finding) if id == "claude-no-key" else problem.finding


def _with_key(house: House, finding: Finding) -> Finding:
    """Return *finding* of an address without a key, with what is saved for the address."""
    url = sources(house).env(BASE_URL)
    assert url is not None
    for profile in house.profiles.values():
        if url.scope.kind != "user" or "claude-code" not in profile.parts or not house.saved_key(profile):
            continue
        endpoint = _endpoint(house, profile)
        if endpoint is not None and endpoint.base_url == urls.base(url.text, "anthropic"):
            name = AUTH_TOKEN if endpoint.auth == "auth_token" else API_KEY
            fix = _("Write the key of the saved profile '{name}'.").format(name=profile.name)
            return at(finding.level, url, finding.text, fix, Set(env(name), house.saved_key(profile)))
    place = known.place(house, url.text, "claude-code")
    fix = _("Run: ccsetup init -p {provider} -k KEY, or: ccsetup config-switch official -T claude-code")
    return finding._replace(fix=fix.format(provider=place.preset.id if place else "custom"))


def base_url(house: House) -> Iterator[Finding]:
    found = sources(house).env(BASE_URL)
    place = known.place(house, found.text, "claude-code") if found else None
    if found is None or (place and place.legacy):
        return
    better = urls.base(found.text, "anthropic")
    clean, inside = urls.without_keys(found.text)
    if inside:
        yield _misplaced(house, found, clean, inside)
        return
    if re.search(r"/v1(/messages)?/*$", found.text):
        text = _("The address ends in /v1, which Claude Code adds itself: it gets a 404.")
        if found.scope.path:
            yield at("problem", found, text, _("Take the end off the address."), Set(env(BASE_URL), better))
        else:
            fix = _("Run: export {name}={value}").format(name=BASE_URL, value=better)
            yield Finding("problem", "ANTHROPIC_BASE_URL: " + text, fix)
        return
    problem = urls.problem(found.text, claude=True)
    if problem and facts.foreign(found.text):
        fix = _("Correct it, or set the provider up with: ccsetup init -p PROVIDER -k KEY")
        yield at("problem", found, _("ANTHROPIC_BASE_URL: {problem}").format(problem=problem), fix)


def _misplaced(house: House, found: Held, url: str, inside: Sequence[str]) -> Finding:
    """Return the finding of keys in the address *found*, which is *url* without them."""
    text = _("The address holds a key.")
    if not found.scope.path:
        fix = _("Run: export {name}={value}").format(name=BASE_URL, value=url)
        return Finding("problem", "ANTHROPIC_BASE_URL: " + text, fix)
    seen = sources(house)
    has = [h.text for n in CREDENTIALS if (h := seen.env(n))]
    if len(inside) > 1 or any(h != inside[0] for h in has) or seen.setting("apiKeyHelper"):
        return at("problem", found, text, _("Take it out by hand: there is another key, too."))
    endpoint = known.claude_endpoint(known.place(house, url, "claude-code"))
    name = API_KEY if endpoint is not None and endpoint.auth == "api_key" else AUTH_TOKEN
    fix = _("Move it to {name}.").format(name=name)
    edits: list[Edit] = [Set(env(BASE_URL), url)]
    if not has:
        edits.append(Set(env(name), inside[0]))
    return at("problem", found, text, fix, *edits)


def _endpoint(house: House, profile: profiles.Profile) -> ClaudeEndpoint | None:
    preset = next((p for p in house.presets if p.id == profile.provider), None)
    try:
        return endpoints.endpoint(profile, preset) if preset else None
    except CcsetupError:
        return None


def legacy(house: House) -> Iterator[Finding]:
    found = sources(house).env(BASE_URL)
    place = known.place(house, found.text, "claude-code") if found else None
    if found is None or place is None or not found.scope.path:
        return
    endpoint = known.claude_endpoint(place)
    if place.legacy is not None and endpoint is not None:
        yield at(
            "warning" if place.legacy.still_works else "problem",
            found,
            _("This is not {provider}'s address today: {reason}.").format(
                provider=place.preset.name, reason=place.legacy.reason.rstrip(".。")
            ),
            _("Change it to {url}.").format(url=endpoint.base_url),
            Set(env(BASE_URL), endpoint.base_url),
        )
    data = found.scope.data
    old = [(k, as_text(lookup(data, k))) for k in (*map(env, MODELS), ("model",))]
    stale = [(k, m, *known.successor(place.preset, m)) for k, m in old if m and known.successor(place.preset, m)[0]]
    if stale:
        names = ", ".join(dict.fromkeys(m for _k, m, _s, _r in stale))
        new = ", ".join(dict.fromkeys(s for _k, _m, s, _r in stale))
        yield at(
            "warning",
            found.scope,
            _("{provider} has newer models than {models} ({reason}).").format(
                provider=place.preset.name, models=names, reason=stale[0][3].split(";")[0]
            ),
            _("Change to {models}.").format(models=new),
            *(Set(k, s) for k, _m, s, _r in stale),
            key=stale[0][0],
        )


def tiers(house: House) -> Iterator[Finding]:
    seen = sources(house)
    found = seen.env(BASE_URL)
    if found is None or not facts.foreign(found.text) or not found.scope.path or not has_provider(seen):
        return
    endpoint = known.claude_endpoint(known.place(house, found.text, "claude-code"))
    if endpoint is not None and endpoint.native_models:
        return
    main = seen.value(facts.MODEL)
    asked = [n for n in TIERS[:-1] if not seen.value(n)]  # fable is asked for by name only
    if not asked:
        return
    names = ", ".join(n.removeprefix("ANTHROPIC_DEFAULT_").removesuffix("_MODEL").lower() for n in asked)
    names = names.replace("anthropic", _("main"))
    text = _("No model is set for {tiers}: Claude Code asks the provider for Anthropic's models.").format(tiers=names)
    missing = [n for n in TIERS if not seen.value(n)]
    models = dict.fromkeys(missing, main)
    if endpoint is not None and endpoint.models is not None:
        t = endpoint.models
        own = dict(zip(TIERS, (t.primary, t.opus, t.sonnet, t.haiku, t.fable), strict=True))
        models = {n: main if main and own[n] == t.primary else own[n] for n in missing}
    if not all(models.values()):
        yield at("warning", found, text, _("Set ANTHROPIC_MODEL to a model of the provider."))
        return
    shown = ", ".join(dict.fromkeys(models.values()))
    edits = [Set(env(n), m) for n, m in models.items()]
    yield at("warning", found, text, _("Set {models} for them.").format(models=shown), *edits)


def address(house: House) -> Optional[Address]:
    """Return the address in the user's settings, for the check of proxies."""
    seen = sources(house)
    url = seen.env(BASE_URL)
    if url is None or url.scope.kind != "user":
        return None
    path = url.scope.path
    return Address(
        url.text,
        seen.environ(),
        (path, url.line),
        _("Set {name} in the settings."),
        lambda name, value: Edits(path, "json", (Set(env(name), value),)),
    )
