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


def profiles(context: Context, clients: Sequence[ClientName]) -> dict[str, list[ClientName]]:
    """Return which clients used which profile ("": their own account) before the last change that moved one of them.

    Clients that did not move then are left out.  A profile that is gone since does not count.
    Raises UsageError where no change moved one.
    """
    here = context.world()
    wanted = list(clients) or list(CLIENTS)
    for record in reversed(disk.history(context.paths.homes)):
        void = record.home or record.problem or record.undone_by or record.undoes
        if void or context.paths.state not in record.paths:
            continue
        try:
            files = disk.contents(context.paths.homes, record.id)
            world = _at(context, {file.change.path: file.change.before for file in files})
            then = {client: world.active(client) for client in wanted}
        except CcsetupError:
            continue
        found: dict[str, list[ClientName]] = {}
        for client, name in then.items():
            if name != here.active(client) and (not name or name in here.profiles):
                found.setdefault(name, []).append(client)
        if found:
            return found
    raise UsageError(
        _("There is no former profile to go back to."), hint=_("See the saved ones with: ccsetup config-switch --list")
    )


def _at(context: Context, held: dict[str, Optional[bytes]]) -> World:
    """Return the world as it was when the files *held* had this content."""

    def read(path: str) -> Optional[bytes]:
        return held[path] if path in held else disk.snapshot([path])[path]

    now = context.world()
    return World(Draft(read, context.paths.short), context.paths, context.preset, context.version, now.keys)
