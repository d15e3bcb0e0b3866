"""What becomes of saved profiles: removed, copied, renamed, with keys and what ``relay.yaml`` says; all with us."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Collection, Optional

from ccsetup import profiles
from ccsetup.change import actions, beside
from ccsetup.change.actions import Switched
from ccsetup.change.world import World
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.plan import Note
from ccsetup.profiles import Profile

if TYPE_CHECKING:
    from ccsetup.documents import relayrefs


def remove_key(world: World, name: str) -> list[Switched]:
    """Take the key of profile *name* out of every file; clients that use the profile go back to their own account."""
    profile = world.profiles[name] if name in world.profiles else world.find(name)
    using = [c for c in CLIENTS if world.active(c) == name]
    switched = actions.official(world, using) if using else []
    _forget_key(world, profile)
    return switched


def remove(world: World, name: str) -> list[Switched]:
    """Remove profile *name* with its key; clients that use it go back to their own account."""
    switched = remove_key(world, name)
    world.draft.edit(world.paths.profiles, "toml", (profiles.remove(name),))
    del world.profiles[name]
    return switched


def _forget_key(world: World, profile: Profile) -> None:
    """Take away the files of *profile* that hold its key, and what the clients keep for choosing it."""
    name = profile.name
    for client in profile.parts:
        actions.forget_saved(world, name, client)
    if profile.key_storage == "keyring":
        world.keychain[name] = None
    others = (p for p in world.profiles.values() if p.name != name and p.key_storage == "dotenv")
    profile = world.separated(profile)
    if profile.key_storage == "dotenv" and not profile.problem and all(p.key_env != profile.key_env for p in others):
        actions.in_dotenv(world, profile.key_env, None)
    if not profiles.is_possible(name):
        return
    path, plain = world.key_file(name), world.paths.key_file(name)
    twins = profiles.twins(name, world.profiles)
    for file in {path, plain} if all(world.key_file(t) == world.paths.key_file_apart(t) for t in twins) else {path}:
        if world.draft.exists(file):
            world.draft.replace(file, None)


def relay_loses(world: World, name: str) -> None:
    """Note where ``relay.yaml`` uses the key of profile *name*, which goes."""
    for place in _in_relay(world, name):
        text = _("{file}:{line}: upstream '{upstream}' of the relay has its key from profile '{name}', which is gone.")
        world.notes.append(
            Note(
                "warning",
                text.format(
                    file=world.paths.short(world.paths.relay_config),
                    line=place.line,
                    upstream=printable(place.upstream),
                    name=name,
                ),
                _("Give it another key there, or take it out; then: ccsetup relay check"),
            )
        )


def _rename_in_relay(world: World, name: str, new: str) -> None:
    """Have ``relay.yaml`` take its keys from *new*, or note what to change there."""
    from ccsetup.documents import relayrefs

    path = world.paths.relay_config
    places = _in_relay(world, name, relayrefs.NAMING)
    if not places:
        return
    file = world.paths.short(path)
    text = relayrefs.renamed(world.draft.text(path), file, name, new)
    if text is not None:
        world.draft.replace(path, text)
        world.notes.append(
            Note("info", _("{file}: the relay takes its key from profile '{new}' now.").format(file=file, new=new))
        )
        return
    for place in places:
        said = _("{file}:{line}: the relay takes a key from profile '{name}', which is called '{new}' now.")
        world.notes.append(
            Note(
                "warning",
                said.format(file=file, line=place.line, name=name, new=new),
                _("Write {new} there.").format(new=new),
            )
        )


def _in_relay(world: World, name: str, kinds: Collection[str] = ("profile",)) -> list[relayrefs.UpstreamKey]:
    """Return where ``relay.yaml`` refers to profile *name*; of a file that cannot be read nothing is known."""
    from ccsetup.documents import relayrefs

    path = world.paths.relay_config
    if not world.draft.exists(path):
        return []
    try:
        found = relayrefs.read(world.draft.text(path), world.paths.short(path))
    except CcsetupError as e:
        text = _("Whether the relay uses profile '{name}' cannot be told: {problem}")
        world.notes.append(Note("warning", text.format(name=name, problem=e.message), e.hint))
        return []
    return [r for r in found if r.kind in kinds and r.value == name]


def copy(world: World, name: str, new: str) -> None:
    """Save profile *name* once more as *new*, with the same key; no client is switched."""
    old = world.find(name)
    _check_free(world, new)
    made = old._replace(name=new)
    made = made._replace(parts={c: p._replace(provider_id="") for c, p in old.parts.items()})
    if old.key_storage == "dotenv":
        taken = {p.key_env for p in world.profiles.values()}
        made = made._replace(key_env=profiles.variable(new, "", taken))
    actions.put(world, made, _own_key(world, old), ())
    _hand_on(world, old, made)


def _hand_on(world: World, old: Profile, new: Profile) -> None:
    """Give the profile *new* what the user added to the clients' settings of *old*."""
    for client, keeper in beside.keepers():
        if client in new.parts:
            module = CLIENTS[client]
            paths = (p for n in (old.name, new.name) for p in module.saved_paths(world.paths, n, module.newest))
            active = world.active(client) == old.name
            path, edits = keeper.handed_on(world.files(client, paths), old, world.profiles[new.name], active=active)
            world.draft.edit(path, "toml", edits)


def rename(world: World, name: str, new: str) -> list[Switched]:
    """Call profile *name* from now on *new*; clients that use it go on using it.

    Codex files its history by the provider's id, so the profile keeps one that is its own also while it is in use.
    """
    old = world.find(name)
    if name == profiles.RELAY:
        raise UsageError(
            _("The profile 'relay' keeps its name: the program finds it by that."),
            hint=_("Save it once more with: ccsetup profile copy relay {new}").format(new=new),
        )
    _check_free(world, new)
    using = [c for c in CLIENTS if world.active(c) == name]
    parts = dict(old.parts)
    for client, keeper in beside.keepers():
        if client in parts:
            parts[client] = parts[client]._replace(
                provider_id=keeper.kept_id(world.files(client), old, active=client in using)
            )
    key = _own_key(world, old)
    world.leaving = name
    renamed = old._replace(name=new, parts=parts)
    switched = actions.put(world, renamed, key, using)
    _hand_on(world, old, renamed)
    remove(world, name)
    _rename_in_relay(world, name, new)
    return switched


def _own_key(world: World, profile: Profile) -> Optional[Secret]:
    return None if profile.key_storage == "env" or profile.key_command else world.key(profile)


def _check_free(world: World, name: str) -> None:
    profiles.check_name(name, world.profiles)
    if name in world.profiles:
        raise UsageError(
            _("There is a profile '{name}' already.").format(name=name),
            hint=_("Choose another name, or remove it with: ccsetup profile rm {name}").format(name=name),
        )


def uninstall(world: World, *, keep_profiles: bool) -> list[Switched]:
    """Take what we wrote out of the clients' files; without *keep_profiles*, our profiles and keys too.

    A client that we have no record of is left alone: what it uses is somebody else's.
    """
    using = [c for c in CLIENTS if world.recorded(*world.slot(c))]
    switched = actions.official(world, using) if using else []
    for folder in world.projects():
        actions.unset_project(world, folder)
    for profile in list(world.profiles.values()):
        if keep_profiles:
            for client in profile.parts:
                actions.forget_saved(world, profile.name, client)
        else:
            remove(world, profile.name)
    if not keep_profiles and world.draft.exists(world.paths.profiles):
        world.draft.replace(world.paths.profiles, None)
    theirs = {path for c in using for path, _form in CLIENTS[c].documents(world.paths)}
    for change in world.draft.changes():
        # Nothing is left of what we made, and an empty file says what none says; a link is somebody's.
        if change.path in theirs and change.after in (b"", b"{}", b"{}\n", b"\n") and not os.path.islink(change.path):
            world.draft.replace(change.path, None)
    world.records.end()
    return switched
