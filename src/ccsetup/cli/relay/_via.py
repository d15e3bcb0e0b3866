"""``ccsetup init --via-relay``: a provider for a client that does not speak its format, through the relay."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Sequence

from ccsetup import profiles, urls
from ccsetup.change import actions
from ccsetup.change.actions import Switched
from ccsetup.change.entries import Options, urls_of
from ccsetup.change.entries import requests as as_requests
from ccsetup.change.merge import Request, address
from ccsetup.change.world import World
from ccsetup.cli import _output
from ccsetup.cli._context import Context
from ccsetup.cli._init import InitOptions
from ccsetup.cli.relay import _base, _setup, _up
from ccsetup.clients import CLIENTS
from ccsetup.errors import Incomplete, UsageError, printable
from ccsetup.i18n import _
from ccsetup.keys.reference import KeyRef
from ccsetup.model import ClientName, Region, Unsupported
from ccsetup.plan import Note
from ccsetup.profiles import Part, Profile
from ccsetup.profiles.apiconfigs import Entry
from ccsetup.relay.config import compose, edit, rules
from ccsetup.relay.config.dump import dump
from ccsetup.relay.config.model import Config, Upstream
from ccsetup.relay.config.parse import parse
from ccsetup.relay.config.places import Places
from ccsetup.relay.running import control


class Outcome(NamedTuple):
    name: str
    switched: list[Switched]


def draft(
    context: Context, world: World, entries: Sequence[Entry], common: Options, *, activate: bool, repair: bool
) -> Outcome:
    """Save the provider, have it among the upstreams, and with *activate* make the clients use the relay."""
    at = _base.here(context)
    request = as_requests(world, list(entries), common)[0]
    if request.key is not None:
        context.secrets.add(request.key.reveal())
    profile = _save(world, request, repair=repair)
    config = _upstream(context, world, at, entries[0], profile, request)
    parts = {c: _asked(context, profile, c, request.parts[c]) for c in request.parts}
    active: Sequence[ClientName] = list(request.parts) if activate else ()
    switched = _setup.clients(context, world, at, config, activate=active, parts=parts)
    # Another client that uses the relay keeps the models that it has.
    return Outcome(profile.name, [s for s in switched if s.client in request.parts])


def ready(context: Context, *, start: bool) -> Optional[_up.Up]:
    """Have the relay that runs take the change over; where none runs, *start* one, or say that none was started."""
    at = _base.here(context)
    running = control.alive(at)
    if running is not None:
        _up.reread(context, at)
        return _up.Up(running, False)
    if start:
        return _up.start_for_clients(context)
    text = _("The relay was not started, as --no-start says.")
    context.notes.append(Note("info", text, _("Start it with: ccsetup relay start")))
    return None


def tell(outcome: Outcome, up: Optional[_up.Up], *, changed: bool) -> None:
    """Print what was done."""
    for s in outcome.switched:
        text = _("{client} uses provider '{name}' through the relay.")
        _output.done(changed, text.format(client=CLIENTS[s.client].title, name=outcome.name))
    if not outcome.switched:
        text = _("profile '{name}' is an upstream of the relay.").format(name=outcome.name)
        _output.done(changed, text)
    if up is not None:
        _output.line(_("The relay runs at {url}.").format(url=up.running.url))


def run(context: Context, entries: Sequence[Entry], common: Options, given: InitOptions) -> int:
    if not given.dry:
        _base.need_extra()
    at = _base.here(context)

    def act(world: World) -> Outcome:
        return draft(context, world, entries, common, activate=common.activate, repair=given.repair)

    outcome, changes = context.run("init --via-relay", act, dry=given.dry)
    outcome_now: Outcome = outcome
    up = None if given.dry else ready(context, start=not given.no_start)
    if up is not None and up.new:
        _up.at_login(context, up, ask=not (given.skip_prompt or given.as_json) and _output.interactive())

    def show() -> None:
        tell(outcome_now, up, changed=bool(changes))
        if changes and outcome_now.switched:
            names = " / ".join(CLIENTS[s.client].program for s in outcome_now.switched)
            _output.line(_("Start {programs}; take this back with: ccsetup undo").format(programs=names))

    result: dict[str, Any] = {
        "profiles": [outcome_now.name],
        "active": {s.client: s.profile for s in outcome_now.switched},
        "relay": {"config": at.config, "url": up.running.url if up else "", "started": bool(up and up.new)},
    }
    return context.finish("init", result, changes, as_json=given.as_json, dry=given.dry, check=given.check, show=show)


def _save(world: World, request: Request, *, repair: bool) -> Profile:
    """Save the profile with its key, and return it.  It has parts for those clients only that need no relay for it."""
    provider = request.provider or world.find(request.name).provider
    preset = world.load_preset(provider)
    region = preset.region(request.region)
    if region is None:
        profiles.region_of(Profile(request.name, provider, request.region, "inline", "", {}), preset)
        raise AssertionError
    direct = {c: p for c, p in request.parts.items() if _speaks(region, c, p)}
    request = request._replace(parts=direct, provider=provider, region=region.id, activate=frozenset())
    actions.init(world, [request], repair=repair)
    return world.profiles[request.name]


def _speaks(region: Region, client: ClientName, part: Part) -> bool:
    """Tell whether *client* could use the provider without a relay.

    Of an address that the user gives it is believed that it cannot: why else put the relay in front?
    """
    endpoint = CLIENTS[client].offered(region)
    if isinstance(endpoint, Unsupported) or (part.url and not endpoint.base_url):
        return False
    if part.url and region.chat_url and _like(part.url, region.chat_url) and not _like(part.url, endpoint.base_url):
        return False
    return CLIENTS[client].speaks(endpoint)


def _like(url: str, other: str) -> bool:
    """Tell whether both are on one host and end alike: a plan's ``/coding/paas/v4`` is ``/paas/v4`` without it."""
    end = "/".join(urls.base(other, "anthropic").split("/")[3:][-2:])
    return bool(end) and urls.origin(url) == urls.origin(other) and urls.base(url, "anthropic").endswith("/" + end)


def _upstream(context: Context, world: World, at: Places, entry: Entry, profile: Profile, request: Request) -> Config:
    """Have the provider among the upstreams of ``relay.yaml``; return what that says then."""
    text = world.draft.text(at.config)
    file = context.paths.short(at.config)
    made = _made(context, world, entry, profile, request)
    for part in request.parts.values():
        made = compose.described(made, part.settings, part.primary_model or made.default_model)
    if not text.strip():
        config = Config((made,), listen=_setup.listen(context, at), rules=rules.DEFAULT_RULES)
        world.draft.replace(at.config, dump(config, context.preset))
        return config
    config = parse(text.encode(), file, context.preset)
    whole = _base.with_saved(context, config, world.profiles)[0]
    same = next((u for u in config.upstreams if KeyRef("profile", profile.name) in u.keys), None)
    if same is not None:
        if same.endpoints != made.endpoints:
            text = _("{file}: upstream '{name}' was kept as it is; its addresses are others than today's.")
            hint = _("Change its 'url' or 'endpoints' there.")
            context.notes.append(Note("warning", text.format(file=file, name=same.name), hint))
        if any(same.prices.get(model) != price for model, price in made.prices.items()):
            text = _("{file}: upstream '{name}' was kept as it is; its prices are others.")
            hint = _("Change its 'prices' there.")
            context.notes.append(Note("warning", text.format(file=file, name=same.name), hint))
        for asked in dict.fromkeys(p.primary_model for p in request.parts.values() if p.primary_model):
            _check_model(context, file, same, asked)
        return whole
    if any(u.name.lower() == made.name.lower() for u in config.upstreams):
        raise UsageError(
            _("{file} has another upstream '{name}' already.").format(file=file, name=made.name),
            hint=_("Choose another name with -n NAME."),
        )
    # In front, but only for its own models: what the others serve goes on as it did.
    preset = context.preset(profile.provider)
    own = dict.fromkeys((made.default_model, *(m.id for m in preset.served(profile.region))))
    made = made._replace(models=tuple(n for n in own if n), default_model="", map=())
    world.draft.replace(at.config, edit.add(text, file, made, 0, context.preset))
    return whole._replace(upstreams=(made, *(u for u in whole.upstreams if not u.saved or u.name != made.name)))


def _check_model(context: Context, file: str, upstream: Upstream, asked: str) -> None:
    """Note where *upstream*, as the user's file has it, does not lead to the model that clients ask for now."""
    if not upstream.serves(asked):
        text = _("{file}: upstream '{name}' was kept as it is, and does not serve '{asked}'.")
        hint = _("Add it to its 'models' there.")
    elif upstream.model(asked) != asked:
        text = _("{file}: upstream '{name}' was kept as it is: it is asked for '{served}' instead of '{asked}'.")
        hint = _("Change its 'default_model' or 'map' there.")
    else:
        return
    said = text.format(file=file, name=upstream.name, asked=printable(asked), served=upstream.model(asked))
    context.notes.append(Note("warning", said, hint))


def _made(context: Context, world: World, entry: Entry, profile: Profile, request: Request) -> Upstream:
    """Return the provider as an upstream."""
    preset = context.preset(profile.provider)
    region = profiles.region_of(profile, preset)
    indirect = [c for c, p in request.parts.items() if not _speaks(region, c, p)]
    model = next((request.parts[c].primary_model for c in indirect if request.parts[c].primary_model), "")
    given = next((u for u in (entry.text(f) for f in ("url", *reversed(urls_of()))) if u), "") if indirect else ""
    if not given:
        try:
            made = compose.from_profiles([profile.name], world.profiles, context.preset).upstreams[0]
        except Incomplete:
            # A local server, whose models only the user knows.
            named = profile._replace(parts={c: Part(primary_model=model or "-") for c in CLIENTS})
            made = compose.from_profiles([profile.name], {profile.name: named}, context.preset).upstreams[0]
            if not model:
                client = CLIENTS[next(iter(indirect or request.parts))].title
                raise Incomplete(
                    _("Provider '{provider}' needs a model for {client}.").format(provider=preset.id, client=client),
                    hint=_("Give it with -M MODEL."),
                ) from None
        return made._replace(default_model=model) if model else made
    if not model:
        model = _asked(context, profile, indirect[0], request.parts[indirect[0]]).primary_model
    url = urls.base(given, "chat")
    # What was said of the clients' addresses is not so: they ask the relay.
    theirs = {address(CLIENTS[c], u)[1] for c in indirect for u in map(entry.text, ("url", *urls_of())) if u}
    world.notes[:] = [n for n in world.notes if n.text not in theirs]
    if url != urls.bare(given).rstrip("/"):
        world.inform(_("The relay adds the path of its requests itself: the address is {url}.").format(url=url))
    keys = (KeyRef("profile", profile.name),)
    made = Upstream(profile.name, {"chat": url}, keys, default_model=model, preset=preset.id, region=profile.region)
    return compose.complete(made, preset)


def _asked(context: Context, profile: Profile, client: ClientName, part: Part) -> Part:
    """Return the models of the provider that *client* is to ask for."""
    if part.primary_model:
        fields = ("primary_model", "haiku_model", "sonnet_model", "opus_model", "fable_model", "subagent_model")
        own = {f: getattr(part, f) for f in fields}
        return Part(**own, context_window=part.context_window, settings=part.settings)
    models = compose.models_of(profile._replace(parts={}), context.preset(profile.provider))
    if CLIENTS[client].wire != "anthropic":
        return Part(primary_model=models.codex, context_window=part.context_window, settings=part.settings)
    tiers = {f"{tier}_model": name for tier, name in models.tiers._asdict().items()}
    return Part(**tiers, context_window=part.context_window, settings=part.settings)
