"""A configuration of the relay made of saved profiles, and the saved profile that points at the relay.  Pure."""

from __future__ import annotations

import re
from typing import Any, Iterable, Literal, Mapping, NamedTuple, Optional, Sequence, Union
from urllib.parse import urlsplit

from ccsetup import profiles, urls
from ccsetup.clients.claude.client import ClaudeCode
from ccsetup.clients.codex.client import Codex
from ccsetup.documents.nearest import suggestion
from ccsetup.errors import CcsetupError, Incomplete, UsageError, printable
from ccsetup.i18n import _
from ccsetup.keys.reference import KeyRef
from ccsetup.model import ClaudeEndpoint, CodexEndpoint, Preset, Region, Tiers, Unsupported, WireFormat
from ccsetup.profiles import Part, Profile, facts
from ccsetup.relay.config import dialects, rules
from ccsetup.relay.config.dangers import loopback
from ccsetup.relay.config.model import Config, Listen, PresetLoader, Price, Upstream
from ccsetup.relay.config.parse import default_auth, preset_context, preset_endpoints, preset_prices

PROFILE = "relay"
"""The saved profile that points at the relay."""

_TIERS = ("haiku", "sonnet", "opus", "fable")


_SPEAKERS = (ClaudeCode(), Codex())
"""Those who can talk to the relay: Anthropic Messages and OpenAI Responses."""


class Models(NamedTuple):
    """Which models clients of an upstream are to use."""

    tiers: Tiers
    codex: str
    context: Optional[int]
    """Of Claude Code's main model, in tokens, where it is known."""
    codex_context: Optional[int]
    native: bool = False
    """It has Anthropic's own models, by their own names."""


def from_profiles(
    names: Sequence[str], saved: Mapping[str, Profile], load_preset: PresetLoader, listen: Optional[Listen] = None
) -> Config:
    """Return a configuration that asks the profiles *names* in this order: the first is primary, the others backups.

    UsageError for a name that is not saved or comes twice, and for a profile that leads to the relay itself.
    """
    listen = listen or Listen()
    upstreams: list[Upstream] = []
    first: Optional[Models] = None
    for name in names:
        profile = saved_as(name, saved, load_preset)
        if any(u.name == name for u in upstreams):
            raise UsageError(_("Profile '{name}' is named twice.").format(name=name))
        preset = load_preset(profile.provider)
        models = models_of(profile, preset)
        first = first or models
        upstreams.append(_upstream(profile, preset, models, first, listen, backup=bool(upstreams)))
    if not upstreams:
        raise UsageError(_("Name at least one profile."))
    return Config(tuple(upstreams), listen=listen, rules=rules.DEFAULT_RULES)


def with_saved(
    config: Config, saved: Mapping[str, Profile], load_preset: PresetLoader
) -> tuple[Config, tuple[str, ...]]:
    """Return *config* with the saved profiles as upstreams, where it says so, and why some of them are none.

    Those that lead to the relay, and those that are for it alone, are never any.
    """
    if not config.profiles:
        return config, ()
    named = {upstream.name.lower() for upstream in config.upstreams}
    upstreams, problems = list(config.upstreams), []
    for name in config.failover:
        if name not in saved and name.lower() not in named:
            problems.append(_("failover: there is no profile '{name}'.").format(name=name))
    for profile in (saved[name] for name in dict.fromkeys((*config.failover, *saved)) if name in saved):
        if profile.name == PROFILE or profile.name.lower() in named or not (profile.parts or profile.problem):
            continue
        try:
            made = _of_profile(profile, config.listen, load_preset)
        except CcsetupError as error:
            problem = profile.problem or error.message
            problems.append(_("profile '{name}' is no upstream: {problem}").format(name=profile.name, problem=problem))
        else:
            upstreams += [made] if made is not None else []
    return config._replace(upstreams=tuple(upstreams)), tuple(problems)


def _of_profile(profile: Profile, listen: Listen, load_preset: PresetLoader) -> Optional[Upstream]:
    """Return *profile* as an upstream with all its models; None where it leads to the relay."""
    profiles.usable(profile)
    preset = load_preset(profile.provider)
    if _to_relay(profile, _endpoints(profile, profiles.region_of(profile, preset)), listen):
        return None
    models = models_of(profile, preset)
    made = _upstream(profile, preset, models, models, listen, backup=False)
    return made._replace(map=_map(made, preset, models, models, every=True), saved=True)


def further(config: Config, name: str, saved: Mapping[str, Profile], load_preset: PresetLoader) -> Upstream:
    """Return the profile *name* as a backup of the upstreams of *config*; errors as of ``from_profiles``."""
    profile = saved_as(name, saved, load_preset)
    preset = load_preset(profile.provider)
    models = models_of(profile, preset)
    try:
        first = _models(_order(config)[0], saved, load_preset)
    except (CcsetupError, IndexError):  # it names no model, so its clients do, or all are switched off
        first = models
    return _upstream(profile, preset, models, first, config.listen, backup=True)


def saved_as(name: str, saved: Mapping[str, Profile], load_preset: PresetLoader) -> Profile:
    """Return the profile *name*; UsageError, with what was probably meant, where none is saved as that."""
    if name in saved:
        return saved[name]
    known = [n for n in saved if n != PROFILE]
    try:
        provider = load_preset(name).id
    except CcsetupError:
        provider = ""
    if provider or not known:
        hint = _("Make one with: ccsetup init -p {provider} -k KEY --no-activate").format(
            provider=provider or "PROVIDER"
        )
    else:
        hint = suggestion(name, known, else_all=False) or _("Saved: {names}").format(names=", ".join(known))
    raise UsageError(_("There is no profile '{name}'.").format(name=printable(name)), hint=hint)


def complete(upstream: Upstream, preset: Optional[Preset]) -> Upstream:
    """Return *upstream* with what its preset and its addresses tell."""
    return upstream._replace(
        dialect={w: dialects.dialect(preset, upstream.region, w, url) for w, url in upstream.endpoints.items()},
        prices=preset_prices(preset) if preset is not None else {},
        context=preset_context(preset) if preset is not None else {},
    )


def described(upstream: Upstream, settings: Mapping[str, Any], model: str) -> Upstream:
    """Return *upstream* with what the settings of a profile say of its *model*."""
    own = facts.given(settings)
    if "price_in" in own and "price_out" in own:
        cached, currency = own.get("price_cache_read"), own.get("currency", "USD")
        price = Price(own["price_in"], own["price_out"], cached, None, currency)
        upstream = upstream._replace(prices={**upstream.prices, model: price})
    if "vision" in own:
        said = {w: d._replace(images=own["vision"], said=d.said | {"images"}) for w, d in upstream.dialect.items()}
        upstream = upstream._replace(dialect=said)
    return upstream


def _upstream(
    profile: Profile, preset: Preset, models: Models, first: Models, listen: Listen, *, backup: bool
) -> Upstream:
    region = profiles.region_of(profile, preset)
    endpoints = _endpoints(profile, region)
    if _to_relay(profile, endpoints, listen):
        raise UsageError(
            _("Profile '{name}' leads to the relay itself.").format(name=profile.name),
            hint=_("Name the profiles that the relay is to ask."),
        )
    if not endpoints:
        raise Incomplete(
            _("Profile '{name}' has no address.").format(name=profile.name), hint=_("Give it one with ccsetup init.")
        )
    upstream = Upstream(
        profile.name,
        endpoints,
        (KeyRef("profile", profile.name),),
        group="backup" if backup else "primary",
        preset=preset.id,
        region=profile.region,
        auth=_auth(profile, region, endpoints),
        default_model=models.tiers.primary,
    )
    made = complete(upstream._replace(map=_map(upstream, preset, models, first)), preset)
    for part in profile.parts.values():
        model = part.primary_model or models.tiers.primary
        made = described(made, part.settings, model)
        if part.context_window:
            made = made._replace(context={**made.context, model: part.context_window})
    return made


def _to_relay(profile: Profile, endpoints: Mapping[WireFormat, str], listen: Listen) -> bool:
    return profile.name == PROFILE or any(_leads_to(url, listen) for url in endpoints.values())


def _auth(profile: Profile, region: Region, endpoints: Mapping[WireFormat, str]) -> Literal["bearer", "x-api-key"]:
    chosen = next((p.auth for p in profile.parts.values() if p.auth), "")
    if chosen:
        return "x-api-key" if chosen == "api_key" else "bearer"
    return default_auth(region, endpoints)


def _endpoints(profile: Profile, region: Region) -> Mapping[WireFormat, str]:
    """Return the profile's addresses, and the preset's for formats that the profile leaves open.

    Not those when the profile's own are on another host: its key is that host's.
    """
    known = preset_endpoints(region)
    own: dict[WireFormat, str] = {}
    claude, codex = (profile.parts.get(client.id, Part()) for client in _SPEAKERS)
    if claude.url:
        own["anthropic"] = urls.base(claude.url, "anthropic")
    if codex.url:
        # The same rule as Codex's ``endpoint``: on another host stands a relay, which speaks Responses.
        wire: WireFormat = "chat" if _chat_there(codex.url, region.codex) else "responses"
        own[wire] = urls.base(codex.url, wire)
    hosts = {urls.origin(url) for url in known.values()}
    if any(urls.origin(url) not in hosts for url in own.values()):
        if claude.url and codex.url:
            return own
        named: set[WireFormat] = set()
        if ClaudeCode.id in profile.parts and not claude.url:
            named.add("anthropic")
        if Codex.id in profile.parts and not codex.url:
            named.update(("responses", "chat"))
        return {**{wire: url for wire, url in known.items() if wire in named}, **own}
    return {**known, **own}


def _chat_there(url: str, endpoint: Union[CodexEndpoint, Unsupported]) -> bool:
    if not isinstance(endpoint, CodexEndpoint) or endpoint.wire != "chat":
        return False
    return urls.origin(url) == urls.origin(endpoint.base_url)


def _leads_to(url: str, listen: Listen) -> bool:
    parts = urlsplit(url)
    same = parts.hostname == listen.host.strip("[]") or (
        loopback(parts.hostname or "") and (loopback(listen.host) or listen.host in ("0.0.0.0", "::"))  # noqa: S104
    )
    return same and parts.port == listen.port


def models_of(profile: Profile, preset: Preset) -> Models:
    """Return the models of *profile*; where it is for one client alone, the preset's for the other."""
    both = profile._replace(parts={client.id: profile.parts.get(client.id, Part()) for client in _SPEAKERS})
    region = profiles.region_of(profile, preset)
    problem: Optional[CcsetupError] = None
    tiers, native = None, False
    try:
        endpoint = _SPEAKERS[0].endpoint(both, preset)
        tiers = endpoint.models
        if tiers is None:
            tiers, native = _claude_tiers(preset), True
    except CcsetupError as error:
        problem = error
    codex = ""
    try:
        codex = _SPEAKERS[1].endpoint(both, preset).model
    except CcsetupError as error:
        problem = problem or error
    if tiers is None:
        if not codex:
            raise problem or Incomplete(_("Profile '{name}' names no model.").format(name=profile.name))
        tiers = Tiers(codex, codex, codex, codex, codex, codex)
    codex = codex or tiers.primary
    parts = [both.parts[client.id].context_window for client in _SPEAKERS]
    return Models(
        tiers,
        codex,
        parts[0] or _context(tiers.primary, preset, region),
        parts[1] or _context(codex, preset, region),
        native,
    )


def _claude_tiers(preset: Preset) -> Optional[Tiers]:
    """Return Anthropic's own models as *preset* lists them."""
    found = {t: next((m.id for m in preset.models if "claude" in m.id and t in m.id), "") for t in _TIERS}
    primary = found["sonnet"] or next((name for name in found.values() if name), "")
    if not primary:
        return None
    haiku, sonnet, opus, fable = (found[t] or primary for t in _TIERS)
    return Tiers(primary, haiku, sonnet, opus, fable, primary)


def _context(model: str, preset: Preset, region: Region) -> Optional[int]:
    claude, codex = region.claude, region.codex
    if (
        isinstance(claude, ClaudeEndpoint)
        and claude.models
        and claude.models.primary == model
        and claude.context_window
    ):
        return claude.context_window
    if isinstance(codex, CodexEndpoint) and codex.model == model and codex.context_window:
        return codex.context_window
    known = preset.model(model)
    return known.context if known is not None else None


def _map(
    upstream: Upstream, preset: Preset, own: Models, first: Models, *, every: bool = False
) -> tuple[tuple[str, str], ...]:
    """Return the upstream's map: what clients of the first profile ask for, and the usual names of both clients.

    *every*: also models that go by their own names without it.
    """
    globs: list[tuple[str, str]] = []
    if own.native:
        globs.append(("claude-*", "*"))
    else:
        globs += [(f"claude-*{tier}*", getattr(own.tiers, tier)) for tier in (*_TIERS, "subagent")]
    if re.match(r"gpt-\d", own.codex):  # OpenAI's own, not gpt-oss
        globs += [("gpt-*", "*"), ("codex-*", "*")]
    else:
        globs += [("gpt-*", own.codex), ("codex-*", own.codex)]
    globs = [(pattern, name) for pattern, name in globs if name != upstream.default_model]
    exact = {name: name for name in (*own.tiers, own.codex, *(m.id for m in preset.served(upstream.region)))}
    for asked, name in (*zip(first.tiers, own.tiers, strict=True), (first.codex, own.codex)):
        exact.setdefault(asked, name)
    usual = upstream._replace(map=tuple(globs))
    return (*((asked, name) for asked, name in exact.items() if every or usual.model(asked) != name), *globs)


def relay_profile(
    config: Config,
    saved: Mapping[str, Profile],
    load_preset: PresetLoader,
    url: str,
    asked: Optional[Tiers] = None,
) -> Profile:
    """Return the profile for clients of the relay at *url* (``http://127.0.0.1:5101``).

    They ask for *asked*, or for the models of the first upstream, which every other one's map knows; their context
    window is the smallest that is known of any upstream, because a conversation may go to each of them.
    """
    order = _order(config)
    if not order:
        raise UsageError(
            _("Every upstream is switched off."),
            hint=_("Switch one on with 'enabled: true' in relay.yaml, then run: ccsetup relay check"),
        )
    known = [_models(upstream, saved, load_preset) for upstream in order]
    first = known[0] if asked is None else known[0]._replace(tiers=asked, codex=asked.primary)
    tiers = first.tiers._asdict()
    own = {f"{tier}_model": model for tier, model in tiers.items() if tier == "primary" or model != tiers["primary"]}
    claude = Part(url=url, auth="auth_token", context_window=_smallest(m.context for m in known), **own)
    codex = Part(
        url=url.rstrip("/") + "/v1",
        primary_model=first.codex,
        context_window=_smallest(m.codex_context for m in known),
        tools="all",
        web_search=_web_search(order[0], load_preset),
    )
    return Profile(PROFILE, "custom", "", "inline", "", {ClaudeCode.id: claude, Codex.id: codex})


def _order(config: Config) -> list[Upstream]:
    """Return the upstreams that are switched on, as they are asked."""
    return sorted((u for u in config.upstreams if u.enabled), key=lambda u: (u.group == "backup", u.priority))


def _web_search(first: Upstream, load_preset: PresetLoader) -> Literal["disabled", "cached", "live"]:
    """Return what Codex is to do about its search on the web, which only the provider itself can carry out.

    The relay passes it on to *first* where that speaks Responses, and leaves it out of what it translates.
    """
    if "responses" not in first.endpoints or not first.preset:
        return "disabled"
    region = load_preset(first.preset).region(first.region)
    endpoint = region.codex if region is not None else None
    if not isinstance(endpoint, CodexEndpoint) or endpoint.wire != "responses":
        return "disabled"
    if urls.origin(endpoint.base_url) != urls.origin(first.endpoints["responses"]):
        return "disabled"
    return endpoint.web_search or "cached"  # Codex's own default


def _smallest(contexts: Iterable[Optional[int]]) -> int:
    return min((c for c in contexts if c), default=0)


def _models(upstream: Upstream, saved: Mapping[str, Profile], load_preset: PresetLoader) -> Models:
    """Return the models of an upstream: of the profile or the preset that it was made of, else its default model."""
    ref = next((key.value for key in upstream.keys if key.kind == "profile" and key.value in saved), "")
    model = upstream.default_model
    problem: Optional[CcsetupError] = None
    if ref or upstream.preset:
        parts = {client.id: Part() for client in _SPEAKERS}
        profile = saved[ref] if ref else Profile(upstream.name, upstream.preset, upstream.region, "inline", "", parts)
        try:
            preset = load_preset(profile.provider)
            found = models_of(profile, preset)
        except CcsetupError as error:
            problem = error
        else:
            if not model or model == found.tiers.primary:
                return found
    model = model or next((m for m in upstream.models if "*" not in m), "")
    if not model:
        raise problem or Incomplete(
            _("Upstream '{name}' names no model.").format(name=upstream.name),
            hint=_("Give it a 'default_model'."),
        )
    return Models(Tiers(model, model, model, model, model, model), model, None, None)
