"""What a command has to know around its draft: profiles, keys, the clients' documents, and what we own in them."""

from __future__ import annotations

import os
from typing import Any, Callable, Container, Iterable, Mapping, Optional

from ccsetup import masking, profiles
from ccsetup.change import record
from ccsetup.change.draft import Draft
from ccsetup.clients import CLIENTS
from ccsetup.clients.values import Files, Use, Wishes
from ccsetup.documents.edit import MISSING, KeyPath, lookup
from ccsetup.errors import CcsetupError, NotFound, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import ClientName, Endpoint, Preset, Secret, Version
from ccsetup.naming import MARK, project_of, project_settings
from ccsetup.paths import Paths
from ccsetup.plan import Note, Owned, Wish, edits, is_ours, owned_from_json, owned_to_json
from ccsetup.profiles import Profile, facts
from ccsetup.tuples import NamedTuple


class Keys(NamedTuple):
    """How keys are reached that lie outside our files; each has a real and a test form."""

    program: tuple[str, ...]
    """This program, for clients that ask it for a key."""
    lookup: Callable[[str], Optional[Secret]]
    """The keyring's key of a profile."""
    run: Callable[[str], Secret]
    """What a key command prints."""


class World:
    """A draft with everything that a command has to know around it."""

    def __init__(
        self,
        draft: Draft,
        paths: Paths,
        load_preset: Callable[[str], Preset],
        versions: Callable[[ClientName], Version],
        keys: Keys,
        beside: Callable[[ClientName], tuple[Version, ...]] = lambda _client: (),
    ) -> None:
        self.draft = draft
        self.paths = paths
        self.load_preset = load_preset
        self.version = versions
        self.beside = beside
        self.keys = keys
        self.keychain: dict[str, Optional[Secret]] = {}
        """Keys that the keyring is to hold after this, by profile; None: it is to forget the key."""
        self.leaving = ""
        """A profile that goes with this, and leaves what it had to another."""
        self.looked_at: dict[ClientName, set[str]] = {}  # the saved profiles of a client that this run looked at
        self.right: dict[ClientName, list[str]] = {}
        """Those of them that nothing was wrong with, and that have a file to themselves."""
        self.looked_for = ""  # the checksum of the file of saved profiles that both are true of
        self._separated = _Separated.new("")
        self.notes: list[Note] = []
        self.records = record.Records(draft, paths, self.notes)
        unknown: list[str] = []
        self.profiles = profiles.parse(draft.text(paths.profiles), paths.short(paths.profiles), CLIENTS, unknown)
        self.notes += [Note("info", text) for text in unknown]

    def inform(self, text: str) -> None:
        """Tell the user *text* with the outcome."""
        self.notes.append(Note("info", text))

    def corrected(self, found: tuple[str, str]) -> str:
        """Return a value after the sentence that comes with it was told."""
        if found[1]:
            self.inform(found[1])
        return found[0]

    # What we own.

    @property
    def came_from(self) -> str:
        """The state folder of the home that this one was copied from; "" where it was not."""
        found = self._state("home", "from")
        return found if isinstance(found, str) else ""

    def _members(self, *path: str) -> dict[str, Any]:
        found = self._state(*path)
        return found if isinstance(found, dict) else {}

    def _state(self, *path: str) -> Any:
        return self.records.get(*path)

    def slot(self, client: ClientName, saved: str = "") -> tuple[str, ...]:
        """Return where the record of *client* is kept: for its active settings, or for those of the profile *saved*."""
        return (*(("saved", saved) if saved else ("clients",)), record.place(self.paths, client))

    def project_slot(self, folder: str) -> tuple[str, ...]:
        """Return where the record of the project *folder* is kept."""
        return ("projects", self.paths.homes.name(folder))

    def used_elsewhere(self, profile: str = "") -> list[str]:
        """Return the folders other than today's whose client uses *profile* ("": any), by our record."""
        here = {self.slot(c)[1] for c in CLIENTS}
        usual = {c.id: c.usual for c in CLIENTS.values()}
        return [
            self.paths.homes.path(place.partition("@")[2] or str(usual.get(place, place)), None)
            for place, slot in self._members("clients").items()
            if place not in here and isinstance(slot, dict) and profile in ("", slot.get("profile"))
        ]

    def active(self, client: ClientName) -> str:
        """Return the profile that we made *client* use last, or ""."""
        name = self._state(*self.slot(client), "profile")
        return name if isinstance(name, str) else ""

    def recorded(self, *slot: str) -> bool:
        return bool(self._state(*slot))

    def projects(self) -> list[str]:
        """Return the folders whose project settings we wrote and may write; of others, a note says that they stay."""
        names = list(self._members("projects"))
        folders = {name: self.paths.homes.path(name, None) for name in (*names, *self.records.left)}
        for name, folder in folders.items():
            note = Note(
                "warning",
                _("The project {folder} was set from another home: it stays as it is.").format(
                    folder=self.paths.short(folder)
                ),
                _("Go into it, and run: ccsetup config-switch official --project"),
            )
            if (name not in names or not self._marked(folder)) and note not in self.notes:
                self.notes.append(note)
        return [folder for name, folder in folders.items() if name in names and self._marked(folder)]

    def _marked(self, folder: str) -> bool:
        """Tell whether the settings of the project *folder* are for this home to write: they are in it, or say so."""
        path = project_settings(folder)
        if self.paths.homes.writable(path) or not self.draft.exists(path):
            return True
        data = self.draft.data(path, "json")
        owned = self.owned(*self.project_slot(folder)).get(path, ())
        marks = [o.value for o in owned if o.path == (MARK,)]
        if marks or MARK in data:
            return data.get(MARK) in marks
        # Earlier versions left no mark, but what they wrote tells.
        return any(o.value is not MISSING and is_ours(lookup(data, o.path), o.value) for o in owned)

    def mark(self, folder: str) -> dict[KeyPath, Any]:
        """Return the settings by which this home knows the project *folder* again; one inside it needs none."""
        if self.paths.homes.name(folder).startswith("home:"):
            return {}
        owned = self.owned(*self.project_slot(folder)).get(project_settings(folder), ())
        kept = [o.value for o in owned if o.path == (MARK,) and self._marked_as(folder) == o.value]
        return {(MARK,): kept[0] if kept else os.urandom(8).hex()}

    def _marked_as(self, folder: str) -> Any:
        return self.draft.data(project_settings(folder), "json").get(MARK)

    def in_project(self, folder: str) -> str:
        """Return the profile that we made Claude Code use in *folder*, or ""."""
        name = self._state(*self.project_slot(folder), "profile")
        return name if isinstance(name, str) else ""

    def owned(self, *slot: str) -> dict[str, tuple[Owned, ...]]:
        """Return what we own by the record at *slot*, by file."""
        found = self._state(*slot, "owned")
        homes = self.paths.homes
        return (
            {homes.path(f, None): owned_from_json(items) for f, items in found.items()}
            if isinstance(found, dict)
            else {}
        )

    def record(self, slot: tuple[str, ...], body: Optional[dict[str, Any]]) -> None:
        """Keep *body* at *slot*; None: forget what is there."""
        self.records.keep(slot, body)

    # Documents.

    def files(self, client: ClientName, extra: Iterable[tuple[str, str]] = ()) -> Files:
        wanted = [*CLIENTS[client].documents(self.paths), *((p, f) for p, f in extra if f)]
        for path, _form in wanted:
            self.draft.consequence.setdefault(path, CLIENTS[client].unreadable())
        files = Files(
            self.paths,
            {p: self.draft.data(p, f) for p, f in wanted},
            {p: self.draft.text(p) for p, _f in wanted},
            self.version(client),
            self.beside(client),
        )
        for text in CLIENTS[client].hidden(files):
            masking.remember(text)
        return files

    def project_files(self, client: ClientName, folder: str) -> Files:
        """Return the documents of *client* with the project's settings in the place of the user's."""
        path = project_settings(folder)
        self.draft.consequence.setdefault(path, CLIENTS[client].unreadable())
        files = self.files(client)
        own = CLIENTS[client].settings(self.paths)
        data = {**files.data, own: self.draft.data(path, "json")}
        return files._replace(data=data, text={**files.text, own: self.draft.text(path)}, names={own: path})

    def fulfil(self, wishes: Wishes, slot: tuple[str, ...], form: Mapping[str, str]) -> dict[str, Any]:
        """Apply *wishes*, take back what *slot* owned besides, and return what it owns now, as JSON."""
        homes = self.paths.homes
        names = {homes.name(w.path): w.path for w in wishes.documents}  # what a variable names may be written otherwise
        before = {names.get(homes.name(p), p): self._alone(slot, p, items) for p, items in self.owned(*slot).items()}
        by_path = {w.path: w for w in wishes.documents}
        client = CLIENTS.get(slot[-1].partition("@")[0])
        known = dict(client.documents(self.paths)) if client else {}
        for path in before:
            if path not in by_path and (homes.writable(path) or project_of(path)):
                by_path[path] = Wish(path, known.get(path) or ("json" if path.endswith(".json") else "toml"), {})
        owned: dict[str, Any] = {}
        for path, wish in by_path.items():
            done, now, changed = edits(self.draft.data(path, wish.format), wish, before.get(path, ()))
            for c in changed:
                self.notes.append(
                    Note(
                        "warning",
                        _("{file}: {key} was changed by hand since; it stays as it is.").format(
                            file=self.paths.short(c.file), key=".".join(c.path)
                        ),
                    )
                )
            self.draft.edit(path, wish.format, done, claude_lock=wish.claude_lock)
            if not wish.settings and done and form.get(path) == "own" and not self.draft.data(path, wish.format):
                self.draft.replace(path, None)
            if now:
                owned[homes.name(path)] = owned_to_json(now)
        for path, text in wishes.files.items():
            if text is not None or self.draft.exists(path):
                self.draft.replace(path, text)
        return owned

    def _alone(self, slot: tuple[str, ...], path: str, owned: tuple[Owned, ...]) -> tuple[Owned, ...]:
        """Return those of *owned* that no other record of the same client has too: what is left is not taken away."""
        slots = [("clients", slot[-1]), *(("saved", n, slot[-1]) for n in self.records.sharing())]
        theirs = {o.path for s in slots if s != slot for o in self.owned(*s).get(path, ())}
        return tuple(o for o in owned if not any(o.path[:n] in theirs for n in range(len(o.path), 0, -1)))

    def wrote(self, key: str) -> bool:
        """Tell whether *key* is one that we wrote for a profile, by our record."""
        slots: list[tuple[str, ...]] = [("clients", c) for c in self._members("clients")]
        for name in dict.fromkeys((*self.records.sharing(), *self.profiles)):
            slots += [("saved", name, c) for c in self._members("saved", name)]
        owned = (o for s in slots for items in self.owned(*s).values() for o in items)
        return any(isinstance(o.value, dict) and is_ours(key, o.value) for o in owned)

    def owns(self, client: ClientName, path: str, key: KeyPath) -> bool:
        """Tell whether *key* of the document *path*, which profiles share, is ours by the record."""
        path = self.paths.homes.path(self.paths.homes.name(path), None)
        slots = [self.slot(client), *(self.slot(client, n) for n in self.records.sharing())]
        return any(o.path == key for s in slots for o in self.owned(*s).get(path, ()))

    # Profiles.

    def use(self, profile: Profile, client: ClientName) -> Use:
        """Return *profile* as *client* is to use it; errors say what is missing."""
        profile = self.separated(profiles.usable(profile))
        preset = self.load_preset(profile.provider)
        if not profile.parts:
            raise UsageError(
                _("Profile '{name}' is used through the relay only.").format(name=profile.name),
                hint=_("Use it with: ccsetup config-switch relay; test it with: ccsetup relay check"),
            )
        if client not in profile.parts:
            raise UsageError(
                _("Profile '{name}' has no settings for {client}.").format(
                    name=profile.name, client=CLIENTS[client].title
                ),
                hint=_("Add them with: ccsetup init -n {name} -p {provider} -T {client} -k KEY").format(
                    name=profile.name, provider=profile.provider, client=client
                ),
            )
        for setting, value in profile.parts[client].settings.items():
            wrong = CLIENTS[client].setting_problem(setting, value)
            if wrong:
                raise UsageError(wrong, hint=_("It stands in profile '{name}'.").format(name=profile.name))
        endpoint = CLIENTS[client].endpoint(profile, preset)
        active = self.active(client) in {profile.name, self.leaving} - {""}
        reader: tuple[str, ...] = ("cat", self.key_file(profile.name))
        if profile.key_command:
            reader = ("/bin/sh", "-c", profile.key_command)
        elif profile.key_storage == "keyring":
            reader = (*self.keys.program, "key", "get", profile.name)
        key = self.key(profile) if profile.key_storage in ("inline", "dotenv") else None
        if profile.key_storage == "command" and not profile.key_command:
            self.key(profile)  # a client that is told to read a file should find it
        listed = record.listed(self.draft, self.paths, profile.name)
        described = facts.described(preset, endpoint, profile.parts[client])
        return Use(profile, described, endpoint, key, reader, listed, active)

    def key(self, profile: Profile) -> Optional[Secret]:
        """Return the key of *profile*, wherever it is; None when that is a variable which is not set here."""
        profiles.usable(profile)
        if profile.key_storage == "env":
            text = self.paths.environ.get(profile.key_env, "").strip()
            return Secret(text) if text else None
        if profile.key_command:
            return self.keys.run(profile.key_command)
        if profile.key_storage == "keyring":
            found = self.keychain[profile.name] if profile.name in self.keychain else self.keys.lookup(profile.name)
            if found is None:
                raise CcsetupError(
                    _("The keyring holds no key of profile '{name}'.").format(name=profile.name),
                    hint=_("Give it again with: ccsetup key set {name}").format(name=profile.name),
                )
            return found
        text = self.draft.text(self.key_file(profile.name)).strip()
        if not text:
            raise CcsetupError(
                _("The key of profile '{name}' is not where it was saved: {file}").format(
                    name=profile.name, file=self.paths.short(self.key_file(profile.name))
                ),
                hint=_("Give it again with: ccsetup key set {name}").format(name=profile.name),
            )
        return Secret(text)

    def broken(self) -> list[Note]:
        """Return what is wrong with the profiles that cannot be used."""
        return [Note("warning", p.problem, profiles.mend(p)) for p in self.profiles.values() if p.problem]

    def separated(self, profile: Profile) -> Profile:
        """Return *profile* with provider ids and a variable in Codex's .env that no profile before it in the file has.

        Codex merges tables of one id key by key, and reads one value of a variable: one profile's key would go to
        another's address.  New profiles are refused what is taken; earlier versions let two share it.
        """
        out = self.all_separated()
        if self.profiles.get(profile.name) is profile:
            return out[profile.name]
        walk = self._separated
        if profile.name in self.profiles:
            names = list(self.profiles)
            walk = _Separated.new(self.leaving).to(walk.seen[: names.index(profile.name)], self.leaving)
        return _apart(profile, walk.ids, walk.variables)

    def all_separated(self) -> Mapping[str, Profile]:
        """Return every profile by its name, as ``separated`` has it."""
        self._separated = self._separated.to(list(self.profiles.values()), self.leaving)
        return self._separated.out

    def others(self, name: str) -> list[Profile]:
        """Return every profile but *name*, and the one that goes, as ``separated`` has them."""
        return [p for n, p in self.all_separated().items() if n not in (name, self.leaving)]

    def key_file(self, name: str) -> str:
        """Return the file that holds the key of the profile called *name*."""
        return profiles.key_file(self.paths, name, self.profiles, self.draft.exists)

    def means(self, name: str) -> str:
        """Return the saved profile that another tool would call *name*: ``302ai-config``, ``GLM provider``.

        *name* itself where it is one of ours, or not one profile alone fits; a note tells which profile is meant.
        """
        if name in self.profiles:
            return name
        import re

        stem, found = re.subn(r"[-_ .]?(?:config|provider|profile|settings)\Z", "", name.lower())
        if not found or not stem:
            return name
        fits = [n for n in self.profiles if n.lower() == stem]
        fits = fits or [n for n, p in self.profiles.items() if p.provider == stem]
        if len(fits) != 1:
            return name
        self.inform(_("'{name}' is understood as profile '{profile}'.").format(name=printable(name), profile=fits[0]))
        return fits[0]

    def find(self, name: str) -> Profile:
        """Return the profile called *name*; UsageError names those there are."""
        if name in self.profiles:
            return self.separated(profiles.usable(self.profiles[name]))
        if name == profiles.RELAY:
            raise CcsetupError(
                _("The relay is not set up yet, so there is no profile for it."),
                hint=_("Set it up with: ccsetup relay init"),
            )
        known = ", ".join(map(printable, self.profiles))
        if not known:
            raise NotFound(
                _("There is no profile '{name}': none is saved yet.").format(name=printable(name)),
                hint=_("Make one with: ccsetup init -p PROVIDER -k KEY"),
            )
        from ccsetup.documents.nearest import nearest

        near = nearest(name, self.profiles)
        raise NotFound(
            _("There is no profile '{name}'. Saved profiles: {known}").format(name=printable(name), known=known),
            hint=_("Did you mean: ccsetup config-switch {name}").format(name=near)
            if near
            else _("See them with: ccsetup config-switch --list"),
        )


class _Separated(NamedTuple):
    """What ``separated`` made of the first profiles of the file, so that one more costs no walk through all."""

    seen: list[Profile]
    leaving: str
    out: dict[str, Profile]
    ids: set[tuple[ClientName, str]]
    variables: set[str]

    @classmethod
    def new(cls, leaving: str) -> _Separated:
        return cls([], leaving, {}, set(), set())

    def to(self, now: list[Profile], leaving: str) -> _Separated:
        """Return this for the profiles *now*; what was done for the first of them is not done again."""
        fits = leaving == self.leaving and now[: len(self.seen)] == self.seen
        walk = self if fits else _Separated.new(leaving)
        for other in now[len(walk.seen) :]:
            before = walk.out[other.name] = _apart(other, walk.ids, walk.variables)
            if other.name == leaving:
                continue
            walk.ids.update(own_ids(before))
            if before.key_storage == "dotenv":
                walk.variables.add(before.key_env)
        return walk._replace(seen=now)


def own_ids(profile: Profile) -> list[tuple[ClientName, str]]:
    """Return the ids that *profile* has in clients that keep profiles beside their active settings."""
    return [(c, beside.id(profile)) for c in profile.parts if (beside := CLIENTS[c].beside)]


def with_free_id(profile: Profile, client: ClientName, taken: Iterable[tuple[ClientName, str]]) -> Profile:
    """Return *profile* with an id for *client* that is not among *taken*."""
    beside = CLIENTS[client].beside
    assert beside is not None
    own = beside.free_id(profile.name, {id_ for c, id_ in taken if c == client})
    return profile._replace(parts={**profile.parts, client: profile.parts[client]._replace(provider_id=own)})


def _apart(profile: Profile, ids: set[tuple[ClientName, str]], variables: Container[str]) -> Profile:
    """Return *profile*, with an own id and variable in the place of one that is taken."""
    for client, id_ in own_ids(profile):
        if (client, id_) in ids:
            profile = with_free_id(profile, client, ids)
    if profile.key_storage == "dotenv" and profile.key_env in variables:
        profile = profile._replace(key_env=profiles.variable(profile.name, "", variables))
    return profile


def endpoint_of(world: World, profile: Profile, client: ClientName) -> Endpoint:
    """Return what *client* is to use by *profile*; errors say what is missing."""
    return CLIENTS[client].endpoint(profile, world.load_preset(profile.provider))
