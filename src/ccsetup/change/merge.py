"""What a request makes of the saved profile of its name, and when it is refused: one profile has one key."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional

from ccsetup import profiles, urls
from ccsetup.change.world import World, endpoint_of
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Secret, Unsupported
from ccsetup.profiles import Part, Profile


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


def merge(world: World, request: Request) -> Profile:
    """Return the profile that *request* makes of the saved one of that name, if there is one.

    A profile has one key.  So a change of provider, region or host that would leave another client of the
    profile with the new key at the old address is refused.
    """
    profiles.check_own_name(request.name, world.profiles)
    old = world.profiles.get(request.name)
    if not request.provider:
        if old is None:
            raise world_without(world, request.name)
        profiles.usable(old)
        base_parts = {c: _overlay(old.parts.get(c, Part()), p) for c, p in request.parts.items()} or dict(old.parts)
        provider, region = old.provider, request.region or old.region
        if region != old.region:
            base_parts = {**old.parts, **base_parts}
    else:
        base_parts = dict(request.parts)
        provider, region = request.provider, request.region
    preset = world.load_preset(provider)
    found = preset.region(region)
    if found is None:
        profiles.region_of(Profile(request.name, provider, region, "inline", "", {}), preset)
        raise AssertionError
    region = found.id
    parts: dict[ClientName, Part] = dict(base_parts)
    if old is not None:
        others = {c: p for c, p in old.parts.items() if c not in parts}
        if (old.provider, old.region or preset_default(world, old)) != (provider, region):
            if others:
                other = next(iter(others))
                raise UsageError(
                    _(
                        "Profile '{name}' is {provider} ({region}) and serves {client} too; "
                        "one profile has one key, so it cannot be changed for one client alone."
                    ).format(
                        name=old.name,
                        provider=old.provider,
                        region=old.region or "-",
                        client=CLIENTS[other].title,
                    ),
                    hint=_("Change it for both with -T all, or choose another name with -n NAME."),
                )
        else:
            parts = {**others, **parts}
    storage: Any = request.key_storage or (old.key_storage if old else "") or "inline"
    key_env = request.key_env
    if storage in ("env", "dotenv") and not key_env:
        key_env = (old.key_env if old and not old.problem else "") or profiles.variable(
            request.name, preset.key_env, _variables(world, request.name, storage, provider)
        )
    if storage in ("inline", "command", "keyring"):
        key_env = ""
    key_command = request.key_command or (old.key_command if old and request.key is None else "")
    if key_command and storage not in ("inline", "command"):
        raise UsageError(
            _("A key command goes with --key-storage command or inline, not {storage}.").format(storage=storage)
        )
    ordered = {c: parts[c] for c in CLIENTS if c in parts}
    profile = Profile(request.name, provider, region, storage, key_env, ordered, key_command)
    needs_own_key(world, old, profile, request)
    _check_one_host(world, old, profile, request)
    return profile


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


def _overlay(old: Part, new: Part) -> Part:
    return old._replace(**{k: v for k, v in new._asdict().items() if v})


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
