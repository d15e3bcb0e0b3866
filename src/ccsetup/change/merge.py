"""What a request makes of the saved profile of its name, and when it is refused: one profile has one key."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ccsetup import keys, presets, profiles, urls
from ccsetup.change.world import World, endpoint_of
from ccsetup.clients import CLIENTS, Client
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Preset, Region, Secret, Unsupported
from ccsetup.profiles import Part, Profile
from ccsetup.tuples import NamedTuple


class Request(NamedTuple):
    """One profile that ``init`` is to make or to change."""

    name: str
    provider: str
    """Empty: the saved profile of that name keeps its provider, and its parts are changed, not replaced."""
    region: str
    parts: Mapping[ClientName, Part]
    key: Optional[Secret]
    key_storage: str
    """Empty: as the profile has it; ``inline`` for a new one."""
    key_env: str
    activate: frozenset[ClientName]
    key_command: str = ""
    force_key: bool = False


def address(client: Client, url: str) -> tuple[str, str]:
    """Return *url* as the base that *client* takes, and a sentence where something was left out at its end."""
    base = urls.base(url, client.wire)
    text = _("{client} adds the path of its requests itself: the address is {url}.")
    return base, text.format(client=client.title, url=base) if base != urls.bare(url).rstrip("/") else ""


def check_key(world: World, profile: Profile, key: Optional[Secret]) -> None:
    """Raise UsageError where *key* can never work at the addresses of *profile*: a stand-in, or another vendor's.

    Only those of a provider that sells keys are held against it: a gateway of one's own, a machine of one's own and a
    preset of one's own take any key.
    """
    problem, hint = key_problem(world.load_preset(profile.provider), profile.parts, key)
    if problem:
        raise UsageError(problem, hint=hint or _("If the provider takes it all the same, add --force-key."))


def key_problem(preset: Preset, parts: Mapping[ClientName, Part], key: Optional[Secret]) -> tuple[str, str]:
    """Return why *key* can never work where *parts* send it, and what to type for it; "" where nothing says so."""
    own = [part.url for part in parts.values()]
    if own and all(own):
        from ccsetup.presets.addresses import region_of

        if all(region_of(preset, url) is None for url in own):
            return "", ""
    if key is None or not preset.key_required or preset.id not in presets.ids() or preset.id == "custom":
        return "", ""
    if keys.stand_in(key.reveal()):
        return _("This is no key of {provider}: it gives out none like this.").format(provider=preset.name), ""
    owner, family = keys.owner(key, preset, presets.key_families())
    if family is None or owner == preset.id:
        return "", ""
    text = _("This is no key of {provider}, but: {family}.")
    text = text.format(family=family.name, provider=preset.name)
    hint = _("If so, use: -p {provider}. To use it all the same, add --force-key.").format(provider=owner)
    return text, hint if owner else ""


def merge(world: World, request: Request) -> Profile:
    """Return the profile that *request* makes of the saved one of that name, if there is one.

    A profile has one key.  So a change of provider, region or host that would leave another client of the
    profile with the new key at the old address is refused.
    """
    profiles.check_own_name(request.name, world.profiles)
    old = world.profiles.get(request.name)
    kept = old.key_storage if old else ""
    if not request.provider:
        if old is None:
            raise world_without(world, request.name)
        profiles.usable(old)
        base_parts = {c: _overlay(old.parts.get(c, Part()), p) for c, p in request.parts.items()} or dict(old.parts)
        provider, region = old.provider, request.region or old.region
        if region != old.region:
            base_parts = {**old.parts, **base_parts}
    else:
        if old is not None and old.problem:
            old = None  # nothing in it is to be trusted; the request brought a key
        base_parts = dict(request.parts)
        provider, region = request.provider, request.region
    preset = world.load_preset(provider)
    provider = preset.id
    found = preset.region(region)
    if found is None:
        profiles.region_of(Profile(request.name, provider, region, "inline", "", {}), preset)
        raise AssertionError
    region = found.id
    parts = _with_others(world, old, base_parts, provider, found) if old else base_parts
    storage, key_env, key_command = _key_place(
        world, old, request._replace(key_storage=request.key_storage or kept), preset
    )
    ordered = {c: parts[c] for c in CLIENTS if c in parts}
    profile = Profile(request.name, provider, region, storage, key_env, ordered, key_command)
    held = _check_stored(world, profile, request.key)
    if not request.force_key:
        check_key(world, profile, request.key or held)
    needs_own_key(world, old, profile, request)
    _check_one_host(world, old, profile, request)
    return profile


def _with_others(
    world: World, old: Profile, parts: dict[ClientName, Part], provider: str, region: Region
) -> dict[ClientName, Part]:
    """Return *parts* with those of *old*; UsageError where these would get a key of another provider or region."""
    others = {c: p for c, p in old.parts.items() if c not in parts}
    if (old.provider, old.region or preset_default(world, old)) == (provider, region.id):
        return {**others, **{c: _with_models(p, old.parts.get(c), region, c) for c, p in parts.items()}}
    if not others:
        return parts
    text = _(
        "Profile '{name}' is {provider} ({region}) and serves {client} too; "
        "one profile has one key, so it cannot be changed for one client alone."
    )
    client = CLIENTS[next(iter(others))].title
    raise UsageError(
        text.format(name=old.name, provider=old.provider, region=old.region or "-", client=client),
        hint=_("Change it for both with -T all, or choose another name with -n NAME."),
    )


def _key_place(world: World, old: Optional[Profile], request: Request, preset: Preset) -> tuple[Any, str, str]:
    """Return where the key of the profile is to be: the storage, its variable, and the command that prints it."""
    storage = request.key_storage or "inline"
    key_env = request.key_env if storage in ("env", "dotenv") else ""
    if storage in ("env", "dotenv") and not key_env:
        key_env = (old.key_env if old else "") or profiles.variable(
            request.name, preset.key_env, _variables(world, request.name, storage, preset.id)
        )
    key_command = request.key_command or (old.key_command if old and request.key is None else "")
    if key_command and storage not in ("inline", "command"):
        raise UsageError(
            _("A key command goes with --key-storage command or inline, not {storage}.").format(storage=storage)
        )
    return storage, key_env, key_command


def _check_stored(world: World, profile: Profile, key: Optional[Secret]) -> Optional[Secret]:
    """Return the key that a variable of the user's holds here, where that is the one that counts.

    Raises UsageError for another key, which would be thrown away, and for more than a key: the client would send it.
    """
    variable = profile.key_env
    if profile.key_storage != "env" or not keys.VARIABLE.match(variable):
        return None
    text = world.paths.environ.get(variable, "").strip()
    held = keys.clean(text, variable) if text else None
    if held is not None and held.reveal() != text:
        problem = _("The variable {variable} holds more than the key, and the client would send all of it.")
        raise UsageError(problem.format(variable=variable), hint=_("Run: export {name}=KEY").format(name=variable))
    if key is None or key == held:
        return held
    raise UsageError(
        _("Profile '{name}' takes its key from the variable {variable}: change it there.").format(
            name=profile.name, variable=variable
        ),
        hint=_("To store the key instead: ccsetup init -n {name} -k KEY --key-storage inline").format(
            name=profile.name
        ),
    )


def _variables(world: World, name: str, storage: str, provider: str) -> set[str]:
    """Return the variables that a new profile does not get by default, because they hold another's key.

    Two profiles of one provider may read the variable of the user's shell.
    """
    return {
        p.key_env
        for p in world.profiles.values()
        if p.name != name and p.key_env and not (p.key_storage == storage == "env" and p.provider == provider)
    }


def needs_own_key(world: World, old: Optional[Profile], profile: Profile, request: Request) -> None:
    """Refuse to send the saved key to another host than those it was given for."""
    if old is None or request.key is not None or request.key_command or "env" in (profile.key_storage, old.key_storage):
        return
    known = {urls.origin(world_url(world, old, c)) for c in old.parts}
    preset = world.load_preset(old.provider)
    for region in preset.regions:
        own = {urls.origin(e.base_url) for e in (region.claude, region.codex) if not isinstance(e, Unsupported)}
        if region.id == (old.region or preset.regions[0].id) and own & known:
            known |= own  # the hosts of one site of one provider take the same key
    for client in profile.parts:
        host = urls.origin(world_url(world, profile, client))
        if host not in known:
            raise UsageError(
                _("The key of profile '{name}' was given for {known}; it is not sent to {host}.").format(
                    name=old.name, known=", ".join(sorted(known)), host=host
                ),
                hint=_("Give the key for the new address with -k KEY, or choose another name with -n NAME."),
            )


def preset_default(world: World, profile: Profile) -> str:
    return world.load_preset(profile.provider).regions[0].id


def world_without(world: World, name: str) -> CcsetupError:
    try:
        world.find(name)
    except CcsetupError as e:
        return e
    raise AssertionError


def _with_models(part: Part, old: Optional[Part], region: Region, client: ClientName) -> Part:
    """Return *part* with the models of *old*, where it names none and the provider has none to offer."""
    offered = CLIENTS[client].offered(region)
    default = getattr(offered, "model", "") or getattr(offered, "models", None)
    if old is None or part.primary_model or default or (part.url and urls.origin(part.url) != urls.origin(old.url)):
        return part  # another server has other models
    fields = (*(f for f in Part._fields if f.endswith("_model")), "context_window")
    return part._replace(**{f: getattr(part, f) or getattr(old, f) for f in fields})


def _overlay(old: Part, new: Part) -> Part:
    told = {k: v for k, v in new._asdict().items() if v}
    return old._replace(**{**told, "settings": {**old.settings, **new.settings}})


def _check_one_host(world: World, old: Optional[Profile], profile: Profile, request: Request) -> None:
    if old is None or request.key is None or not request.provider:
        return
    kept = [c for c in profile.parts if c not in request.parts]
    if not kept or not any(p.url for p in profile.parts.values()):
        return
    saved = world.draft.text(world.key_file(old.name)).strip()
    if saved == request.key.reveal():
        return
    hosts = {c: urls.origin(world_url(world, profile, c)) for c in profile.parts}
    for client in kept:
        if any(hosts[client] != hosts[c] for c in request.parts):
            raise UsageError(
                _("Profile '{name}' has {client} at {host}; the new key would be sent there too.").format(
                    name=profile.name, client=CLIENTS[client].title, host=hosts[client]
                ),
                hint=_("Choose another name with -n NAME, or give the addresses of both with -T all."),
            )


def world_url(world: World, profile: Profile, client: ClientName) -> str:
    return endpoint_of(world, profile, client).base_url
