"""Saved profiles that clients find by name beside the active one: what is found, and what would be mixed.

A client that keeps none (``Client.beside`` is None) has nothing here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator, Optional, Sequence

from ccsetup.change import checked
from ccsetup.change.world import World
from ccsetup.clients import CLIENTS
from ccsetup.clients.values import Files, dotted
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.plan import Note
from ccsetup.profiles import Profile

if TYPE_CHECKING:
    from ccsetup.clients.beside import Beside


def keepers() -> Iterator[tuple[ClientName, Beside]]:
    """Yield the clients that keep saved profiles beside their active settings."""
    for client in CLIENTS.values():
        if client.beside is not None:
            yield client.id, client.beside


def separated(world: World, client: ClientName) -> list[Profile]:
    """Return the profiles that *client* can use, each with the provider id that it has to itself."""
    out = world.all_separated()
    return [out[n] for n, p in world.profiles.items() if client in p.parts and not p.problem]


def mixed(world: World, client: ClientName, of: Optional[Sequence[Profile]] = None) -> list[str]:
    """Return the profiles (*of*: among these) for which *client* reads another's address or credential.

    Earlier versions let two profiles share a provider id or a variable, and people copy tables by hand.
    """
    keeper = CLIENTS[client].beside
    mine = separated(world, client) if of is None else of
    if keeper is None or not mine:
        return []
    files = files_of(world, client, [p.name for p in mine])
    out = []
    for profile in mine:
        if world.profiles[profile.name] != profile:
            out.append(profile.name)
            continue
        active = world.active(client) == profile.name
        if not (keeper.has_trace(files, profile) or keeper.is_selected(files, profile, active=active)):
            continue
        try:
            # No key command is run for this: it may ask for a password.
            use = None if profile.key_command else world.use(profile, client)
        except CcsetupError:
            continue
        if use and (
            keeper.is_mixed(files, use, profile=True) or (active and keeper.is_mixed(files, use, profile=False))
        ):
            out.append(profile.name)
    return out


def lost(world: World, client: ClientName, of: Optional[Sequence[Profile]] = None) -> list[str]:
    """Return the profiles (*of*: among these) that another version of *client* found by name, and today's does not."""
    keeper = CLIENTS[client].beside
    mine = separated(world, client) if of is None else of
    files = files_of(world, client, [p.name for p in mine])
    return [p.name for p in mine if keeper and keeper.has_trace(files, p) and not keeper.is_saved(files, p)]


def notes(world: World, clients: Iterable[ClientName]) -> list[Note]:
    """Return what is wrong with the profiles of *clients*: not found by this version, or mixed, also by hand.

    Of files that cannot be read nothing is told: other notes name them.
    """
    fix = _("Run: ccsetup doctor --fix")
    out: list[Note] = []
    for client, keeper in keepers():
        if client not in clients:
            continue
        try:
            mine = separated(world, client)
            unsure = checked.doubtful(world, client, mine)
            gone = lost(world, client, unsure)
            if gone:
                text = _("{client} {version} does not find with --profile: {names}.").format(
                    client=CLIENTS[client].title, version=dotted(world.version(client)), names=some(gone)
                )
                out.append(Note("warning", text, fix))
            out += [Note("warning", mixed_text(client, name), fix) for name in mixed(world, client, unsure)]
            known = {p.name for p in mine}
            for name in sorted(keeper.files(world.paths)):
                if name not in known:
                    found = keeper.foreign(files_of(world, client, [name]), name)
                    out += [Note("warning", text, fix) for text in found]
        except CcsetupError:
            continue
    return out


def some(names: Sequence[str]) -> str:
    """Return the first of *names*, and how many more there are."""
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else _("{files} and {count} more").format(files=shown, count=len(names) - 8)


def mixed_text(client: ClientName, name: str) -> str:
    return _("{client} mixes profile '{name}' with another: one's key may go to the other's address.").format(
        client=CLIENTS[client].title, name=name
    )


def files_of(world: World, client: ClientName, names: Iterable[str]) -> Files:
    """Return the documents of *client*, and the files of the profiles *names*, whichever version reads them."""
    module = CLIENTS[client]
    return world.files(client, [at for n in names for at in module.saved_paths(world.paths, n, module.newest)])
