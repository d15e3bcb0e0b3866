"""The check of saved profiles: whether each client finds them, and gets for each of them what is its own."""

from __future__ import annotations

from typing import Iterator

from ccsetup.change import codex_profiles
from ccsetup.change.draft import Draft
from ccsetup.change.world import Keys, World
from ccsetup.clients import CLIENTS
from ccsetup.clients.base import Version
from ccsetup.clients.codex import problems as codex
from ccsetup.clients.house import BringAlong, Facts, Finding, House, Level
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Preset, Secret


def check(house: House) -> Iterator[Finding]:
    """Our own profiles: those that this Codex does not find, and those that share a provider id or a variable."""
    try:
        world = world_of(house.facts, Draft(house.bytes, house.paths.short))
        lost, mixed = codex_profiles.lost(world), codex_profiles.mixed(world)
    except CcsetupError:
        return  # a file that cannot be read, which is another check's
    fix = _("Write the saved profiles again, each for itself.")
    for name in mixed:
        yield _finding(house, "problem", codex_profiles.mixed_text(name), fix)
    for name in (n for n in lost if n not in mixed):
        version = ".".join(map(str, house.version("codex")))
        text = _("Codex {version} does not find profile '{name}' with --profile.").format(version=version, name=name)
        yield _finding(house, "warning", text, fix)
    yield from codex.mixed_by_hand(house, {p.name for p in codex_profiles.separated(world)})


def _finding(house: House, level: Level, text: str, fix: str) -> Finding:
    return Finding(level, text, fix, house.paths.codex_config, 0, (BringAlong(),))


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
        return facts.installed.get(client) or CLIENTS[client].NEWEST

    return World(draft, facts.paths, preset, version, Keys(("ccsetup",), facts.keyring, refuse))
