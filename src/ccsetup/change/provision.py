"""From a declared document to a draft, and from saved profiles to a document."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence

from ccsetup import keys, masking, profiles
from ccsetup.change import actions, merge, saved
from ccsetup.change.actions import Switched
from ccsetup.change.merge import Request
from ccsetup.change.world import World
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.keys.reference import KeyRef
from ccsetup.model import ClientName, Secret
from ccsetup.plan import Note
from ccsetup.profiles import OFFICIAL, RELAY, Profile, declare
from ccsetup.profiles.declare import Declaration, Declared


class Applied(NamedTuple):
    switched: tuple[Switched, ...]
    saved: tuple[str, ...]
    """The document's profiles."""
    removed: tuple[str, ...]


def apply(world: World, document: Declaration, *, prune: bool, secrets: set[str], force_key: bool = False) -> Applied:
    """Make the saved profiles and the clients what *document* says; the second time nothing is left to do.

    Every problem is found before anything is written, because all of it is one draft.  Keys that are read are added
    to *secrets*.
    """
    for client, (name, place) in document.active.items():
        _check_active(world, document, client, name, place, prune=prune)
    wanted = {c: n for c, (n, _place) in document.active.items()}
    switched: list[Switched] = []
    for declared in document.profiles:
        try:
            profile, key = _resolved(world, declared)
            if key is not None:
                secrets.add(key.reveal())
            if not force_key:
                merge.check_key(world, profile, key)
            old = world.profiles.get(profile.name)
            gone = [c for c in old.parts if c not in profile.parts and world.active(c) == old.name] if old else []
            if gone:
                switched += actions.official(world, gone)
            activate = [c for c in CLIENTS if wanted.get(c) == profile.name]
            done = actions.put(world, profile, key, activate)
        except CcsetupError as e:
            line, column = declared.place
            raise type(e)(f"{document.name}:{line}:{column}: {e.message}", hint=e.hint) from None
        switched += [s for s in done if wanted.get(s.client, s.profile) == s.profile]
    declared_names = {d.profile.name for d in document.profiles}
    for client, name in wanted.items():
        if name == OFFICIAL:
            switched += actions.official(world, [client])
        elif name not in declared_names:
            switched += actions.switch(world, name, [client])
    removed = [n for n in world.profiles if prune and n not in declared_names and n != RELAY]
    for name in removed:
        for folder in world.projects():
            if world.in_project(folder) == name:
                actions.unset_project(world, folder)
        switched += saved.remove(world, name)
    actions.bring_along(world)
    return Applied(tuple(switched), tuple(declared_names), tuple(removed))


def _check_active(
    world: World, document: Declaration, client: ClientName, name: str, place: tuple[int, int], *, prune: bool
) -> None:
    names = [d.profile.name for d in document.profiles]
    if name == OFFICIAL or name in names or (name in world.profiles and (name == RELAY or not prune)):
        return
    from ccsetup.documents.nearest import suggestion

    where = f"{document.name}:{place[0]}:{place[1]}: "
    raise UsageError(
        where + _("There is no profile '{name}' for {client}.").format(name=name, client=client),
        hint=suggestion(name, [*names, *world.profiles, OFFICIAL], else_all=False),
    )


def _resolved(world: World, declared: Declared) -> tuple[Profile, Optional[Secret]]:
    """Return the profile with its region, and its key; None: it keeps the one it has, or there is none to save."""
    profile, ref = declared.profile, declared.key
    preset = world.load_preset(profile.provider)
    region = preset.region(profile.region)
    if region is None:
        profiles.region_of(profile, preset)
        raise AssertionError
    profile = profile._replace(region=region.id)
    old = world.profiles.get(profile.name)
    key: Optional[Secret] = None
    if ref.kind == "env" and profile.key_storage != "env":
        key = keys.from_variable(ref.value, "key.env", world.paths.environ, world.inform)
    elif ref.kind == "file":
        key = keys.from_file(ref.value, "key.file", world.inform)
    elif ref.kind == "inline":
        key = keys.clean(ref.value, "key.inline", world.inform)
    elif not ref.kind:
        if old is not None:
            profiles.usable(old)
        kept = old is not None and (old.key_storage == profile.key_storage or not old.key_command)
        if kept and old is not None and old.key_command:
            profile = profile._replace(key_command=old.key_command)
        if kept:
            request = Request(profile.name, profile.provider, region.id, profile.parts, None, "", "", frozenset())
            merge.needs_own_key(world, old, profile, request)
        elif not preset.key_required and preset.default_key:
            key = Secret(preset.default_key)
        else:
            raise UsageError(
                _("Profile '{name}' has no key here, and the file names none.").format(name=profile.name),
                hint=_("Add a line such as: key: {{env: {variable}}}").format(variable=preset.key_env or "NAME"),
            )
    own = {c: world.corrected(merge.address(CLIENTS[c], p.url)) for c, p in profile.parts.items()}
    return profile._replace(parts={c: p._replace(url=own[c]) for c, p in profile.parts.items()}), key


def export(world: World, names: Sequence[str], *, with_keys: bool) -> Declaration:
    """Return the saved profiles *names* (empty: all) as a document, without keys unless *with_keys*."""
    usable = [n for n, p in world.profiles.items() if not p.problem]
    if not names:
        world.notes.extend(world.broken())
    chosen = [world.find(n) for n in names or usable if n != RELAY]
    if RELAY in names:
        text = _("Profile '{name}' belongs to the relay of this machine and is not exported.")
        world.notes.append(Note("warning", text.format(name=RELAY)))
    taken: dict[str, str] = {p.key_env: p.name for p in chosen if p.key_storage in ("env", "dotenv")}
    declared = [Declared(p, _reference(world, p, taken, with_keys=with_keys), (0, 0)) for p in chosen]
    active: dict[ClientName, tuple[str, tuple[int, int]]] = {}
    for client in CLIENTS:
        name = world.active(client)
        if any(name == p.name and client in p.parts for p in chosen):
            active[client] = (name, (0, 0))
    return Declaration("", tuple(declared), active)


def _reference(world: World, profile: Profile, taken: dict[str, str], *, with_keys: bool) -> KeyRef:
    if profile.key_command:
        if with_keys or masking.hide(profile.key_command) == profile.key_command:
            return KeyRef("command", profile.key_command)
        text = _("The key command of profile '{name}' holds a key, so the key is to come from a variable.")
        world.notes.append(Note("warning", text.format(name=profile.name)))
    if profile.key_storage == "env":
        return KeyRef("env", profile.key_env)
    preset = world.load_preset(profile.provider)
    if not preset.key_required and preset.default_key:
        key = world.key(profile)
        if key is not None and key.reveal() == preset.default_key:
            return KeyRef("", "")
    if profile.key_storage == "dotenv":
        if with_keys:
            text = _("Profile '{name}' reads its key from {variable}.")
            world.notes.append(Note("info", text.format(name=profile.name, variable=profile.key_env)))
        return KeyRef("env", profile.key_env)
    if with_keys:
        key = world.key(profile)
        assert key is not None
        return KeyRef("inline", key.reveal())
    variable = profiles.variable(profile.name, preset.key_env, {v for v, n in taken.items() if n != profile.name})
    taken[variable] = profile.name
    return KeyRef("env", variable)


__all__ = ["Applied", "apply", "declare", "export"]
