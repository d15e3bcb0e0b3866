"""The record of what we set where (state.json, and a file for each saved profile), as this run reads it.

``{"home": origin, "clients": {place: slot}, "saved": {profile: {place: slot}}, "projects": {folder: slot}}``, where a
slot is ``{"profile": name, "owned": {file: [item]}}`` and files are named as ``naming`` says.  In a copied home,
``home.from`` is the state folder of the one that it was copied from.  Homes that share the
state folder of another one have theirs below ``homes``, by their paths.

What a saved profile has in files of its own stands in a file of its own, too, which is of the same form
(``saved/NAME.json``): a switch reads and writes, and its record keeps, what it touches.  Earlier versions had all of it
in state.json; the first change that is recorded takes it apart.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Collection, Iterator, Optional

from ccsetup.clients import CLIENTS
from ccsetup.clients.values import Listed
from ccsetup.documents import version
from ccsetup.documents.edit import MISSING, Edit, Set, Unset, lookup
from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.naming import Homes, Relation, origin_from_json, origin_to_json
from ccsetup.paths import Paths
from ccsetup.plan import Note, owned_from_json
from ccsetup.profiles import RELAY, is_possible
from ccsetup.tuples import NamedTuple

if TYPE_CHECKING:
    from ccsetup.change.draft import Draft

VERSION = 3
"""Of a record; version 2 had saved profiles in state.json only, and one that names none has absolute paths."""

MEMBERS = ("clients", "saved", "projects")


def listed(draft: Draft, paths: Paths, profile: str) -> tuple[Listed, ...]:
    """Return what the relay served when its *profile* was written; () for others, and where nothing says so."""
    if profile != RELAY:
        return ()
    try:
        found = draft.data(paths.relay_models, "json")["models"]
        return tuple(Listed(**{**one, "efforts": tuple(one["efforts"])}) for one in found)
    except (CcsetupError, KeyError, TypeError):
        return ()


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


class Records:
    """The records of this home in a draft; what cannot be read is told in *notes*, and begun anew."""

    def __init__(self, draft: Draft, paths: Paths, notes: list[Note]) -> None:
        self._draft = draft
        self._paths = paths
        self._notes = notes
        self._found: dict[str, HomeRecord] = {}
        self._apart = False
        self.set_aside = ""
        """What is in the place of a record and cannot be read; it gets another name before anything is written."""
        self._at(paths.state)

    @property
    def left(self) -> tuple[str, ...]:
        """The projects that were not copied along with the home."""
        return self._at(self._paths.state).left

    def get(self, *path: str) -> Any:
        """Return what is recorded at *path*, or MISSING."""
        found = lookup(self._at(self._paths.state).body, path)
        if path[0] != "saved":
            return found
        own = lookup(self._at(self._paths.saved_record(path[1])).body, path) if is_possible(path[1]) else MISSING
        if len(path) == 2 and isinstance(own, dict) and isinstance(found, dict):
            return {**found, **own}
        return found if own is MISSING else own

    def sharing(self) -> Collection[str]:
        """Return the saved profiles that may own something in files which they share."""
        found = lookup(self._at(self._paths.state).body, ("saved",))
        return found if isinstance(found, dict) else ()

    def keep(self, slot: tuple[str, ...], body: Optional[dict[str, Any]]) -> None:
        """Keep *body* at *slot*; None: forget what is there."""
        state = self._paths.state
        if self.get(*slot) == (MISSING if body is None else body):
            return
        self._take_apart()
        if slot[0] != "saved":
            self._keep(state, slot, body)
            return
        apart = body is not None and self._is_apart(slot, body)
        if is_possible(slot[1]):
            self._keep(self._paths.saved_record(slot[1]), slot, body if apart else None)
        self._keep(state, slot, None if apart else body)
        if apart:
            self._write_version()

    def _is_apart(self, slot: tuple[str, ...], body: dict[str, Any]) -> bool:
        """Tell whether *body* of the saved profile at *slot* is about files that are its own."""
        _saved, name, where = slot
        paths, client = self._paths, CLIENTS.get(where.partition("@")[0])
        if client is None or not is_possible(name):
            return False
        own = {paths.homes.name(p) for p, _form in client.saved_paths(paths, name, client.newest)}
        return bool(body.get("owned", {}).keys() <= own)

    def _take_apart(self) -> None:
        """Give each saved profile that state.json has what it owns in files of its own as a file of its own."""
        if self._apart:
            return
        self._apart = True
        was = _object(self._at(self._paths.state).body.get("saved"))
        slots = [(("saved", name, where), body) for name, places in was.items() for where, body in places.items()]
        going = {slot: body for slot, body in slots if self._is_apart(slot, body)}
        for slot, body in going.items():
            path = self._paths.saved_record(slot[1])
            if lookup(self._at(path).body, slot) is MISSING:
                self._keep(path, slot, body)
        left = {n: {w: b for w, b in places.items() if ("saved", n, w) not in going} for n, places in was.items()}
        if going:
            self._keep(self._paths.state, ("saved",), {n: places for n, places in left.items() if places} or None)
            self._write_version()

    def _write_version(self) -> None:
        """Keep earlier versions, which would go by state.json alone, from this home."""
        found = self._at(self._paths.state)
        if self._draft.data(self._paths.state, "json").get("version") != VERSION:
            self._write(self._paths.state, [Set((*found.at, "home"), found.body["home"])])

    def end(self) -> None:
        """Take the record away where it says nothing but whose it is."""
        state, found = self._paths.state, self._at(self._paths.state)
        if len(found.body) == 1:
            self._write(state, [Unset((*found.at, "home"), prune=len(found.at))])
        if self._draft.exists(state) and self._draft.data(state, "json").keys() <= {"version"}:
            self._draft.replace(state, None)

    def _at(self, path: str) -> HomeRecord:
        if path not in self._found:
            self._found[path] = self._read(path)
        return self._found[path]

    def _read(self, path: str) -> HomeRecord:
        """Return the record of this home; a new one where it cannot be read: it must keep nobody from switching.

        Raises Newer where a newer ccsetup made it.
        """
        try:
            data = self._draft.data(path, "json")
            version.check(data.get("version"), VERSION, self._paths.short(path))
            if not data and self._draft.exists(path) and not self._draft.text(path).strip():
                raise ValueError  # an empty file, which we never write
            for body in (data, *data.get("homes", {}).values()):
                slots = [*body.get("clients", {}).values(), *body.get("projects", {}).values()]
                slots += [c for p in body.get("saved", {}).values() for c in p.values()]
                for slot in slots:
                    for items in slot.get("owned", {}).values():
                        owned_from_json(items)
            return read(data, self._paths.homes)
        except (DocumentError, AttributeError, TypeError, ValueError, KeyError):
            self._draft.replace(path, None)
        except version.Newer:
            raise
        except CcsetupError:  # a folder, say
            self.set_aside = path
            self._draft.forget(path)
        self._notes.append(
            Note(
                "warning",
                _("{file} is damaged: what was set before may stay in the settings of the clients.").format(
                    file=self._paths.short(path)
                ),
            )
        )
        return read({}, self._paths.homes)

    def _keep(self, path: str, slot: tuple[str, ...], body: Optional[dict[str, Any]]) -> None:
        at, was, _left, current = found = self._at(path)
        if lookup(was, slot) == (MISSING if body is None else body):
            return
        members = _with(was, slot, body)
        self._found[path] = found._replace(body=members, current=True)
        out: list[Edit] = []
        if len(members) == 1 and path != self._paths.state:  # nothing but whose it is
            out += [Unset((*at, member), prune=len(at)) for member in ("home", *MEMBERS)]
        elif not current or len(was) == 1:
            out += [
                Set((*at, member), members[member]) if member in members else Unset((*at, member))
                for member in ("home", *MEMBERS)
            ]
        else:
            out.append(Unset((*at, *slot), prune=len(slot) - 1) if body is None else Set((*at, *slot), body))
        self._write(path, out)
        if path != self._paths.state and self._draft.data(path, "json").keys() <= {"version"}:
            self._draft.replace(path, None)

    def _write(self, path: str, edits: list[Edit]) -> None:
        data = self._draft.data(path, "json")
        done = [e for e in edits if lookup(data, e.path) != (e.value if isinstance(e, Set) else MISSING)]
        if done and data.get("version") != VERSION:
            done.append(Set(("version",), VERSION))
        self._draft.set_later(path, "json", done)


def read(data: Any, homes: Homes) -> HomeRecord:
    """Find the record of this home in *data*, the contents of state.json, which may have any shape."""
    bodies = [
        ((), _object(data)),
        *((("homes", k), _object(v)) for k, v in _object(_object(data).get("homes")).items()),
    ]
    found: dict[Relation, HomeRecord] = {}
    for at, body in bodies:
        if not at and not any(body.get(member) for member in ("home", *MEMBERS)):
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


def _with(members: dict[str, Any], slot: tuple[str, ...], body: Optional[dict[str, Any]]) -> dict[str, Any]:
    """Return *members* with *body* at *slot*; None: without that, and without what is empty then."""
    name, rest = slot[0], slot[1:]
    below = (_with(members.get(name, {}), rest, body) or None) if rest else body
    return {**{k: v for k, v in members.items() if k != name}, **({} if below is None else {name: below})}
