"""The record of what we set where (state.json), as this run reads it.

``{"home": origin, "clients": {place: slot}, "saved": {profile: {place: slot}}, "projects": {folder: slot}}``, where a
slot is ``{"profile": name, "owned": {file: [item]}}`` and files are named as ``naming`` says.  In a copied home,
``home.from`` is the state folder of the one that it was copied from.  Homes that share the
state folder of another one have theirs below ``homes``, by their paths.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Iterator, NamedTuple

from ccsetup.clients import CLIENTS
from ccsetup.model import ClientName
from ccsetup.naming import Homes, Relation, origin_from_json, origin_to_json
from ccsetup.paths import Paths

MEMBERS = ("clients", "saved", "projects")


class HomeRecord(NamedTuple):
    """The record of this home."""

    at: tuple[str, ...]
    """Where in state.json it is."""
    body: dict[str, Any]
    """Its members, with today's names; in a copied home without the projects that were not copied along."""
    left: tuple[str, ...]
    """These projects."""
    current: bool
    """It stands in state.json just so."""


def read(data: Any, homes: Homes) -> HomeRecord:
    """Find the record of this home in *data*, the contents of state.json, which may have any shape."""
    bodies = [
        ((), _object(data)),
        *((("homes", k), _object(v)) for k, v in _object(_object(data).get("homes")).items()),
    ]
    found: dict[Relation, HomeRecord] = {}
    for at, body in bodies:
        if not at and not any(body.get(member) for member in MEMBERS):
            continue
        origin = origin_from_json(body.get("home")) or homes.former([f for s in _slots(body) for f in _owned(s)])
        relation = homes.relation(origin)
        came = origin.state_dir if origin and relation == "copy" else _object(body.get("home")).get("from")
        new: dict[str, Any] = {"home": {**origin_to_json(homes.origin), **({"from": came} if came else {})}}
        left = []

        def again(name: str, origin: Any = origin) -> str:
            return homes.name(homes.path(name, origin))

        for member in MEMBERS:
            old = _object(body.get(member))
            if member == "projects" and relation == "copy":
                stay = [p for p in old if again(p) == p and os.path.isabs(p)]
                left += stay
                old = {p: slot for p, slot in old.items() if p not in stay}
            if old:
                new[member] = _renamed(member, old, again)
        kept = {m: body[m] for m in ("home", *MEMBERS) if m in body}
        if relation not in found:
            found[relation] = HomeRecord(at, new, tuple(left), new == kept)
    for wanted in ("same", "moved", "copy"):
        if wanted in found:
            return found[wanted]
    return HomeRecord(("homes", homes.home) if found else (), {"home": origin_to_json(homes.origin)}, (), True)


def place(paths: Paths, client: ClientName) -> str:
    """Return what the record calls the folder of *client*: where a variable moved it, that is one of its own."""
    name = paths.homes.name(CLIENTS[client].folder(paths))
    return client if name == CLIENTS[client].usual else f"{client}@{name}"


def active(data: Any, paths: Paths, client: ClientName) -> str:
    """Return the profile that *client* uses by *data*, the contents of state.json; "" for none."""
    clients = _object(read(data, paths.homes).body.get("clients"))
    name = _object(clients.get(place(paths, client))).get("profile")
    return name if isinstance(name, str) else ""


def _renamed(member: str, slots: dict[str, Any], again: Callable[[str], str]) -> dict[str, Any]:
    if member == "saved":
        return {profile: _renamed("clients", _object(places), again) for profile, places in slots.items()}
    out = {}
    for name, slot in slots.items():
        client, _at, folder = name.partition("@")
        if member == "projects":
            name = again(name)
        elif folder:
            folder = again(folder)
            known = CLIENTS.get(client)
            name = client if known and folder == known.usual else f"{client}@{folder}"
        new = _object(slot)
        out[name] = {**new, "owned": {again(f): items for f, items in _owned(new).items()}} if "owned" in new else new
    return out


def _slots(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the slots, those of clients in their usual folders first: their files tell where the home was."""
    clients, saved, projects = (_object(body.get(member)) for member in MEMBERS)
    named = [*clients.items(), *(item for places in saved.values() for item in _object(places).items())]
    for _name, slot in sorted(named, key=lambda item: "@" in item[0]):
        yield _object(slot)
    for slot in projects.values():
        yield _object(slot)


def _owned(slot: dict[str, Any]) -> dict[str, Any]:
    return _object(slot.get("owned"))


def _object(data: Any) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}
