"""Saved profiles that were found to be right, so that they are looked at again only when something changed.

A client that has a file for each saved profile (``codex --profile``) would have all of them read by each ``list`` and
each switch.  ``checked.json`` says which profile was right, and which file of it that was: by inode, size and times.
It may be lost at any time: then everything is looked at once more.  What the client's main document says of a profile
counts too, so that a profile that is named there is always looked at.
"""

from __future__ import annotations

import os
from typing import Any, Sequence

from ccsetup import __version__, disk
from ccsetup.change.world import World
from ccsetup.clients import CLIENTS
from ccsetup.clients.values import Files, dotted
from ccsetup.errors import CcsetupError
from ccsetup.model import ClientName
from ccsetup.profiles import Profile


def doubtful(world: World, client: ClientName, mine: Sequence[Profile]) -> list[Profile]:
    """Return those of *mine*, the saved profiles of *client*, that have to be looked at."""
    keeper, known = CLIENTS[client].beside, _known(world, client)
    if keeper is None or not known:
        return [*mine]
    there = keeper.files(world.paths)
    main = world.files(client)
    unchanged = _all(world)[client].get("text") == text(world)

    def same(profile: Profile) -> bool:
        name = profile.name
        return (
            name in known
            and name in there
            and str(known[name]).endswith(_stat(there[name]))
            and (unchanged or known[name] == _stamp(profile, there[name]))
            and world.profiles[name] == profile
            and is_alone(world, client, main, profile)
        )

    return [p for p in mine if not same(p)]


def is_alone(world: World, client: ClientName, files: Files, profile: Profile) -> bool:
    """Tell whether nothing but its own file says what *client* makes of *profile*."""
    keeper = CLIENTS[client].beside
    return keeper is not None and world.active(client) != profile.name and keeper.is_alone(files, profile)


def keep(world: World) -> None:
    """Note which of the profiles that *world* was looking at are right, now that its draft is on the disk."""
    from ccsetup.documents import encoding

    path, before = world.paths.checked, _all(world)
    after = dict(before)
    for client, right in world.right.items():
        module, known = CLIENTS[client], _known(world, client)
        new = {n: s for n, s in known.items() if n in world.profiles and n not in world.looked_at[client]}
        for name in right:
            (file, _form), *_more = module.saved_paths(world.paths, name, module.newest)
            try:
                stat = os.stat(file)
                data = disk.snapshot([file])[file]
            except (OSError, CcsetupError):
                continue
            if data is not None and data == encoding.encode(world.draft.text(file)):
                new[name] = _stamp(world.profiles[name], stat)
        after[client] = {"for": _context(world, client), "text": world.looked_for, "profiles": new}
    if after != before:
        import json

        disk.put(path, json.dumps(after).encode())


def _stamp(profile: Profile, stat: os.stat_result) -> str:
    return f"{_checksum(repr(profile))}{_stat(stat)}"


def _stat(stat: os.stat_result) -> str:
    return f" {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def text(world: World) -> str:
    """Return the checksum of the file of saved profiles: while it stays, none of them is compared by itself."""
    return _checksum(world.draft.text(world.paths.profiles))


def _checksum(text: str) -> str:
    from zlib import crc32

    return f"{crc32(text.encode('utf-8', 'surrogatepass')):x}"


def _context(world: World, client: ClientName) -> str:
    """Return what else decides whether a profile is right: versions, presets, and where all that is."""
    versions = " ".join(map(dotted, (world.version(client), *world.beside(client))))
    return f"{__version__} {versions} {CLIENTS[client].folder(world.paths)} {_presets(world.paths.user_presets)}"


def _presets(folder: str) -> list[tuple[str, int, int]]:
    try:
        with os.scandir(folder) as entries:
            return sorted((e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in entries)
    except OSError:
        return []


def _all(world: World) -> dict[str, Any]:
    try:
        found: dict[str, Any] = world.draft.data(world.paths.checked, "json")
    except CcsetupError:
        return {}
    return found


def _known(world: World, client: ClientName) -> dict[str, Any]:
    """Return the stamps by profile, for the client as it is today."""
    found = _all(world).get(client)
    if not isinstance(found, dict) or found.get("for") != _context(world, client):
        return {}
    known = found.get("profiles")
    return known if isinstance(known, dict) else {}
