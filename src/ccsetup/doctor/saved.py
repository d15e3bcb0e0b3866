"""The check of saved profiles: whether each client finds them, and gets for each of them what is its own."""

from __future__ import annotations

from typing import Callable, Iterator

from ccsetup.change import beside
from ccsetup.change.draft import Draft
from ccsetup.change.world import Keys, World
from ccsetup.clients import CLIENTS
from ccsetup.clients.house import BringAlong, Facts, Finding, House
from ccsetup.clients.values import dotted
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Preset, Secret, Version


def check_of(client: ClientName) -> Callable[[House], Iterator[Finding]]:
    """Return the check of our own profiles in *client*: those not found, and those that share an id or a variable."""

    def check(house: House) -> Iterator[Finding]:
        try:
            world = world_of(house.facts, Draft(house.bytes, house.paths.short))
            lost, mixed = beside.lost(world, client), beside.mixed(world, client)
        except CcsetupError:
            return  # a file that cannot be read, which is another check's
        path = CLIENTS[client].settings(house.paths)
        fix = _("Write the saved profiles again, each for itself.")
        for name in mixed:
            yield Finding("problem", beside.mixed_text(client, name), fix, path, 0, (BringAlong(),))
        for name in (n for n in lost if n not in mixed):
            text = _("{client} {version} does not find profile '{name}' with --profile.").format(
                client=CLIENTS[client].title, version=dotted(house.version(client)), name=name
            )
            yield Finding("warning", text, fix, path, 0, (BringAlong(),))
        keeper = CLIENTS[client].beside
        if keeper is not None:
            yield from keeper.mixed_by_hand(house, {p.name for p in beside.separated(world, client)})

    return check


def world_of(facts: Facts, draft: Draft) -> World:
    """Return a world on *draft*, with the versions, presets and keyring of *facts*; no key command is run."""

    def preset(name: str) -> Preset:
        found = next((p for p in facts.load_presets() if p.id == name), None)
        if found is None:
            raise CcsetupError(_("There is no provider '{name}'.").format(name=name))
        return found

    def refuse(_command: str) -> Secret:
        raise CcsetupError(_("The key comes from a command, which is not run here."))

    def version(client: ClientName) -> Version:
        return facts.installed.get(client) or CLIENTS[client].newest

    return World(draft, facts.paths, preset, version, Keys(("ccsetup",), facts.keyring, refuse))
