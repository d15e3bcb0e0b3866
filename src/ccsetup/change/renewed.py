"""A key that somebody renewed in a client's own file: seen before a command writes over it."""

from __future__ import annotations

from typing import Optional

from ccsetup import keys
from ccsetup.change.world import World
from ccsetup.clients import CLIENTS
from ccsetup.documents.edit import lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Secret
from ccsetup.plan import Note, is_ours
from ccsetup.profiles import RELAY
from ccsetup.tuples import NamedTuple


class Renewed(NamedTuple):
    """The key in the settings of a client is not the one that we wrote there for *profile*."""

    profile: str
    file: str
    key: Optional[Secret]
    """None: another address was written there, too, and the key is for that; or it is no key."""


def find(world: World, client: ClientName) -> Optional[Renewed]:
    """Return what was renewed in the settings of *client*; None where they hold our key, or no profile's."""
    name = world.active(client)
    profile = world.profiles.get(name)
    if profile is None or profile.problem or profile.key_storage != "inline" or name == RELAY:
        return None
    files = world.files(client)
    for path, items in world.owned(*world.slot(client)).items():
        for one in items:
            found = lookup(files.get(path), one.path)
            digest = isinstance(one.value, dict) and "blake2b" in one.value
            if not digest or not isinstance(found, str) or not found or is_ours(found, one.value):
                continue
            try:
                saved = world.key(profile) if not profile.key_command else None
                key = keys.clean(found, path)
                address = CLIENTS[client].endpoint(profile, world.load_preset(profile.provider)).base_url
            except CcsetupError:
                return Renewed(name, path, None)
            if saved is None or saved == key or not is_ours(saved.reveal(), one.value):
                return None  # the command has another key for it, or a program of the user's has
            same = CLIENTS[client].current(files).base_url == address
            return Renewed(name, path, key if same else None)
    return None


def tell(world: World, client: ClientName) -> None:
    """Note what is lost when the settings of *client* are written now."""
    found = find(world, client)
    if found is None:
        return
    file, name = world.paths.short(found.file), found.profile
    if found.key is None:
        text = _(
            "{file} was changed by hand since: address or key are not those of profile '{name}', which stays as it was."
        )
        world.inform(text.format(file=file, name=name))
        return
    text = _("The key in {file} was renewed by hand; profile '{name}' keeps the one that it had.")
    hint = _("If the new one is right: ccsetup undo, then ccsetup key set {name} -k KEY").format(name=name)
    world.notes.append(Note("blocked", text.format(file=file, name=name), hint))
