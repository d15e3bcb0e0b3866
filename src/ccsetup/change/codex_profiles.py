"""Saved profiles of Codex beside the active one: what this version of it finds, and what it would mix."""

from __future__ import annotations

import os
from typing import Iterable

from ccsetup.change.world import World
from ccsetup.clients.base import Files
from ccsetup.clients.codex import edits as codex
from ccsetup.clients.codex import facts
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.profiles import Profile


def separated(world: World) -> list[Profile]:
    """Return the profiles that Codex can use, each with the provider id that it has to itself."""
    return [world.separated(p) for p in world.profiles.values() if "codex" in p.parts and not p.problem]


def mixed(world: World) -> list[str]:
    """Return the profiles for which Codex reads another's address or credential, as its files are.

    Earlier versions let two profiles share a provider id or a variable, and people copy tables by hand.
    """
    mine = separated(world)
    files = files_of(world, [p.name for p in mine])
    out = []
    for profile in mine:
        if world.profiles[profile.name] != profile:
            out.append(profile.name)
            continue
        if not codex.has_trace(files, profile) and codex.effective(files)[0] != codex.profile_id(profile):
            continue
        try:
            # No key command is run for this: it may ask for a password.
            use = None if profile.key_command else world.use(profile, "codex")
        except CcsetupError:
            continue
        active = world.active("codex") == profile.name
        if use and (codex.is_mixed(files, use, profile=True) or (active and codex.is_mixed(files, use, profile=False))):
            out.append(profile.name)
    return out


def lost(world: World) -> list[str]:
    """Return the saved profiles that the Codex which is there does not find with ``--profile``."""
    mine = separated(world)
    return codex.lost(files_of(world, [p.name for p in mine]), mine)


def notes(world: World) -> list[Note]:
    """Return what is wrong with the profiles of Codex: not found by this version, or mixed, also by hand.

    Of files that cannot be read nothing is told: other notes name them.
    """
    fix = _("Run: ccsetup doctor --fix")
    out: list[Note] = []
    try:
        gone = lost(world)
        if gone:
            version = codex.dotted(world.version("codex"))
            text = _("Codex {version} does not find with --profile: {names}.")
            out.append(Note("warning", text.format(version=version, names=", ".join(gone)), fix))
        out += [Note("warning", mixed_text(name), fix) for name in mixed(world)]
        known = {p.name for p in separated(world)}
        for name in _profile_files(world) if world.version("codex") >= facts.PROFILE_FILES else ():
            files = files_of(world, [name])
            found = codex.leaks(files.get(world.paths.codex_config), files.get(world.paths.codex_profile(name)))
            out += [Note("warning", codex.leak_text(name, *leak), fix) for leak in found if name not in known]
    except CcsetupError:
        pass
    return out


def _profile_files(world: World) -> list[str]:
    ending = ".config.toml"
    try:
        return sorted(n.removesuffix(ending) for n in os.listdir(world.paths.codex_home) if n.endswith(ending))
    except OSError:
        return []


def mixed_text(name: str) -> str:
    return _("Codex mixes profile '{name}' with another: one's key may go to the other's address.").format(name=name)


def files_of(world: World, names: Iterable[str]) -> Files:
    """Return config.toml, and the files of the profiles *names*, whichever version reads them."""
    return world.files("codex", [(world.paths.codex_profile(n), "toml") for n in names])
