"""What the clients used before the last switch, for ``config-switch -``."""

from __future__ import annotations

from typing import Optional, Sequence

from ccsetup import disk
from ccsetup.change.draft import Draft
from ccsetup.change.world import World
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.profiles import OFFICIAL


def profiles(context: Context, clients: Sequence[ClientName]) -> dict[str, list[ClientName]]:
    """Return which clients used which profile before the last change that moved one of them, or OFFICIAL.

    Clients that did not move then are left out.  A profile that is gone since, or has no settings for the client any
    more, does not count; one that has another name since has that.
    Raises UsageError where no change moved one.
    """
    here = context.world()
    wanted = list(clients) or list(CLIENTS)
    called: dict[str, str] = {}
    for record in reversed(disk.history(context.paths.homes)):
        if record.home or record.problem or record.undone_by or record.undoes:
            continue
        old, new = _renamed(record.command)
        called[old] = called.get(new, new)
        if context.paths.state not in record.paths:
            continue
        try:
            files = disk.contents(context.paths.homes, record.id)
            world = _at(here, {file.change.path: file.change.before for file in files})
        except CcsetupError:
            continue
        found: dict[str, list[ClientName]] = {}
        for client in wanted:
            then = world.active(client)
            name = called.get(then, then)
            if name != here.active(client) and (not name or _serves(here, name, client)):
                found.setdefault(name or OFFICIAL, []).append(client)
        if found:
            return found
    raise UsageError(
        _("There is no former profile to go back to."), hint=_("See the saved ones with: ccsetup config-switch --list")
    )


def _renamed(command: str) -> tuple[str, str]:
    """Return the two names of a ``profile rename`` in the journal; of any other command twice nothing."""
    words = command.split()
    return (words[2], words[3]) if words[:2] == ["profile", "rename"] and len(words) == 4 else ("", "")


def _serves(world: World, name: str, client: ClientName) -> bool:
    return name in world.profiles and client in world.profiles[name].parts


def _at(here: World, held: dict[str, Optional[bytes]]) -> World:
    """Return the world as it was when the files *held* had this content."""

    def read(path: str) -> Optional[bytes]:
        return held[path] if path in held else disk.snapshot([path])[path]

    return World(Draft(read, here.paths.short), here.paths, here.load_preset, here.version, here.keys)
