"""What ``ccsetup test`` tests: a provider that is named, saved profiles, or what the clients use now."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional, Sequence

from ccsetup import keys, presets, profiles
from ccsetup.change import beside
from ccsetup.change.world import World
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS, usual_client
from ccsetup.clients.values import Use
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Preset, Secret
from ccsetup.plan import Note
from ccsetup.probe.target import Target
from ccsetup.profiles import Part, Profile, check_auth


class PresetOptions(NamedTuple):
    """What is said of a provider besides its id and key; None: what its preset says."""

    region: Optional[str]
    url: Optional[str]
    api_type: Optional[str]
    model: Optional[str]


def of_preset(
    context: Context, provider: str, asked: PresetOptions, clients: Sequence[ClientName], secret: Optional[Secret]
) -> list[Target]:
    """Return a target for each of *clients* of a provider that is not saved."""
    from ccsetup.clients import saved

    preset = context.preset(provider)
    check_auth(asked.api_type or "")
    if secret is None and not preset.key_required and preset.default_key:
        secret = Secret(preset.default_key)
    if secret is None:
        raise UsageError(
            _("The key is missing."), hint=_("For example: ccsetup test -p {provider} -k -").format(provider=preset.id)
        )
    draft = Profile(preset.id, preset.id, asked.region or _region_of_key(secret, preset), "inline", "", {})
    place = profiles.region_of(draft, preset)
    if len(clients) > 1 and asked.url:
        raise UsageError(_("The clients have different addresses: give -T once with -u."))
    usual = next((c.id for c in CLIENTS.values() if asked.url or c.speaks(c.offered(place))), usual_client())
    out = []
    for client in clients or [usual]:
        part = Part(url=(asked.url or "").strip(), auth=asked.api_type or "", primary_model=asked.model or "")
        mine = draft._replace(parts={client: part})
        endpoint = CLIENTS[client].endpoint(mine, preset)
        use = Use(mine, preset, endpoint, secret, ())
        version, environ = context.version(client), context.paths.environ
        out.append(saved.target(use, secret, CLIENTS[client], version, environ, kind="preset", url=part.url))
    return out


def _region_of_key(secret: Secret, preset: Preset) -> str:
    """Return the region that the key's own beginning names, or ""."""
    family = keys.family(secret, preset)
    return family.region if family is not None and not family.provider else ""


def of_profiles(context: Context, world: World, names: Sequence[str], clients: Sequence[ClientName]) -> list[Target]:
    from ccsetup.clients import saved

    out = []
    if not names:
        raise CcsetupError(_("No profile is saved yet."), hint=_("Make one with: ccsetup init -p PROVIDER -k KEY"))
    mixed = _mixed(world)
    for name in names:
        profile = world.profiles[name]
        if not profile.parts and len(names) > 1 and not profile.problem:
            continue  # an upstream of the relay, which ``relay check`` tests
        for client in clients or [c for c in CLIENTS if c in profile.parts] or CLIENTS:
            if client not in profile.parts and len(names) > 1 and not profile.problem:
                continue
            try:
                use = world.use(profile, client)
                version, environ = context.version(client), context.paths.environ
                found = saved.target(use, world.key(profile), CLIENTS[client], version, environ)
                out.append(_with_mixed(found, mixed))
            except UsageError:
                if len(names) == 1:
                    raise
                continue
            except CcsetupError as e:
                out.append(_broken(name, client, e))
    return out


def _mixed(world: World) -> set[tuple[ClientName, str]]:
    """Return the clients and profiles of which the client would not use what is saved."""
    out: set[tuple[ClientName, str]] = set()
    for client, _keeper in beside.keepers():
        try:
            out.update((client, name) for name in beside.mixed(world, client))
        except CcsetupError:
            continue  # a file that cannot be read, which is another finding
    return out


def _with_mixed(target: Target, mixed: set[tuple[ClientName, str]]) -> Target:
    """Return *target* with a finding where its client would not use it as it is saved."""
    if (target.client, target.profile) not in mixed:
        return target
    found = Note("blocked", beside.mixed_text(target.client, target.profile), _("Run: ccsetup doctor --fix"))
    return target._replace(findings=(*target.findings, found))


def _broken(name: str, client: ClientName, e: CcsetupError) -> Target:
    """Return a target for what cannot even be put together."""
    notes = (Note("blocked", e.message, e.hint),)
    return Target(name, client, "profile", CLIENTS[client].wire, "", (), (), {}, findings=notes, profile=name)


def in_use(context: Context, world: World, clients: Sequence[ClientName]) -> list[Target]:
    loaded: list[Preset] = []

    def all_presets() -> list[Preset]:
        if not loaded:
            for preset_id in presets.ids(context.paths.user_presets):
                try:
                    loaded.append(context.preset(preset_id))
                except CcsetupError as e:
                    context.notes.append(Note("warning", e.message, e.hint))
        return loaded

    context.notes.extend(world.broken())
    out = []
    for client in clients or CLIENTS:
        first = _active_preset(context, world, client)

        def known(first: Optional[Preset] = first) -> Iterator[Preset]:
            # The preset of the active profile is asked first, so the others are usually not even loaded.
            if first is not None:
                yield first
            yield from all_presets()

        context.notes.extend(beside.notes(world, [client]))
        found = CLIENTS[client].target(context.paths, lambda c=client: context.version(c), known)  # type: ignore[misc]
        if found is None:
            context.notes.append(
                Note(
                    "info",
                    _("{client} has no provider set and uses its own account, which is not tested.").format(
                        client=CLIENTS[client].title
                    ),
                )
            )
            continue
        name = world.active(client)
        if name and name in world.profiles:
            try:
                use = world.use(world.profiles[name], client)
                if use.endpoint.base_url.rstrip("/") == found.base_url.rstrip("/"):
                    found = _with_mixed(found._replace(profile=name, label=name), _mixed(world))
            except CcsetupError:
                pass
        out.append(found)
    return out


def _active_preset(context: Context, world: World, client: ClientName) -> Optional[Preset]:
    profile = world.profiles.get(world.active(client))
    try:
        return context.preset(profile.provider) if profile else None
    except CcsetupError:
        return None
