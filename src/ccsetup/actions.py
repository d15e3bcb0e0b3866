"""What ``init`` and ``config-switch`` do, from values to a draft.

Nothing here writes: the draft becomes a plan, and the caller commits or shows it.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Iterable, Mapping, NamedTuple, Optional, Sequence, Union

from ccsetup import profiles
from ccsetup.clients import CLIENTS, codex
from ccsetup.clients.base import Files, Use, Version, Wishes
from ccsetup.documents import dotenv
from ccsetup.documents.edit import MISSING, Set, Unset, lookup
from ccsetup.draft import Draft
from ccsetup.errors import CcsetupError, DocumentError, UsageError
from ccsetup.i18n import _
from ccsetup.model import CLIENT_NAMES, ClaudeEndpoint, ClientName, CodexEndpoint, Preset, Secret, Unsupported
from ccsetup.paths import Paths
from ccsetup.plan import Note, Owned, Wish, edits, owned_from_json, owned_to_json
from ccsetup.profiles import Part, Profile


class Request(NamedTuple):
    """One profile that ``init`` is to make or to change."""

    name: str
    provider: str
    """Empty: the saved profile of that name keeps its provider, and its parts are changed, not replaced."""
    region: str
    parts: Mapping[ClientName, Part]
    key: Optional[Secret]
    key_storage: str
    """Empty: as the profile has it; ``inline`` for a new one."""
    key_env: str
    activate: frozenset[ClientName]
    key_command: str = ""


class Keys(NamedTuple):
    """How keys are reached that lie outside our files; each has a real and a test form."""

    program: tuple[str, ...]
    """This program, for clients that ask it for a key."""
    lookup: Callable[[str], Optional[Secret]]
    """The keyring's key of a profile."""
    run: Callable[[str], Secret]
    """What a key command prints."""


class Switched(NamedTuple):
    """A client, and the profile it uses after the command ("" = its own account)."""

    client: ClientName
    profile: str


class World:
    """A draft with everything that a command has to know around it."""

    def __init__(
        self,
        draft: Draft,
        paths: Paths,
        load_preset: Callable[[str], Preset],
        versions: Callable[[ClientName], Version],
        keys: Keys,
    ) -> None:
        self.draft = draft
        self.paths = paths
        self.load_preset = load_preset
        self.version = versions
        self.keys = keys
        self.keychain: dict[str, Optional[Secret]] = {}
        """Keys that the keyring is to hold after this, by profile; None: it is to forget the key."""
        self.notes: list[Note] = []
        self._check_state()
        self.profiles = profiles.parse(draft.text(paths.profiles), paths.short(paths.profiles))

    # The record of what we own.

    def _check_state(self) -> None:
        """Begin a new record where ours cannot be read: it must never keep anybody from switching."""
        try:
            data = self.draft.data(self.paths.state, "json")
            slots = [*data.get("clients", {}).values(), *data.get("projects", {}).values()]
            slots += [c for p in data.get("saved", {}).values() for c in p.values()]
            if all(isinstance(slot, dict) and isinstance(slot.get("owned", {}), dict) for slot in slots):
                return
        except (DocumentError, AttributeError):
            pass
        self.draft.replace(self.paths.state, None)
        self.notes.append(
            Note(
                "warning",
                _("{file} is damaged: what was set before may stay in the settings of the clients.").format(
                    file=self.paths.short(self.paths.state)
                ),
            )
        )

    def _state(self, *path: str) -> Any:
        return lookup(self.draft.data(self.paths.state, "json"), path)

    def slot(self, client: ClientName, saved: str = "") -> tuple[str, ...]:
        """Return where the record of *client* is kept: for its active settings, or for those of the profile *saved*.

        A client whose folder was moved (CLAUDE_CONFIG_DIR, CODEX_HOME) is one of its own.
        """
        folder, usual = {
            "claude-code": (self.paths.claude_dir, os.path.join(self.paths.home, ".claude")),
            "codex": (self.paths.codex_home, os.path.join(self.paths.home, ".codex")),
        }[client]
        place = client if os.path.normpath(folder) == usual else f"{client}@{os.path.normpath(folder)}"
        return ("saved", saved, place) if saved else ("clients", place)

    def used_elsewhere(self, profile: str) -> list[str]:
        """Return the folders other than today's whose client uses *profile*, by our record."""
        clients = self._state("clients")
        here = {self.slot(c)[1] for c in CLIENT_NAMES}
        return [
            place.partition("@")[2] or place
            for place, record in (clients.items() if isinstance(clients, dict) else ())
            if place not in here and isinstance(record, dict) and record.get("profile") == profile
        ]

    def active(self, client: ClientName) -> str:
        """Return the profile that we made *client* use last, or ""."""
        name = self._state(*self.slot(client), "profile")
        return name if isinstance(name, str) else ""

    def recorded(self, *slot: str) -> bool:
        return bool(self._state(*slot))

    def projects(self) -> list[str]:
        """Return the folders whose project settings we wrote."""
        found = self._state("projects")
        return list(found) if isinstance(found, dict) else []

    def in_project(self, folder: str) -> str:
        """Return the profile that we made Claude Code use in *folder*, or ""."""
        name = self._state("projects", folder, "profile")
        return name if isinstance(name, str) else ""

    def owned(self, *slot: str) -> dict[str, tuple[Owned, ...]]:
        found = self._state(*slot, "owned")
        return {f: owned_from_json(items) for f, items in found.items()} if isinstance(found, dict) else {}

    def record(self, slot: tuple[str, ...], body: Optional[dict[str, Any]]) -> None:
        edit = Unset(slot, prune=len(slot) - 1) if body is None else Set(slot, body)
        if body is None and not self._state(*slot) and self._state(*slot) != {}:
            return
        self.draft.edit(self.paths.state, "json", (edit,))

    # Documents.

    def files(self, client: ClientName, extra: Iterable[tuple[str, str]] = ()) -> Files:
        wanted = [*CLIENTS[client].documents(self.paths), *((p, f) for p, f in extra if f)]
        for path, _form in wanted:
            self.draft.consequence.setdefault(path, consequence(client))
        return Files(
            self.paths,
            {p: self.draft.data(p, f) for p, f in wanted},
            {p: self.draft.text(p) for p, _f in wanted},
            self.version(client),
        )

    def project_files(self, folder: str) -> Files:
        """Return Claude Code's documents with the project's settings in the place of the user's."""
        path = project_settings(folder)
        self.draft.consequence.setdefault(path, consequence("claude-code"))
        files = self.files("claude-code")
        own = self.paths.claude_settings
        data = {**files.data, own: self.draft.data(path, "json")}
        return files._replace(data=data, text={**files.text, own: self.draft.text(path)})

    def fulfil(self, wishes: Wishes, slot: tuple[str, ...], form: Mapping[str, str]) -> dict[str, Any]:
        """Apply *wishes*, take back what *slot* owned besides, and return what it owns now, as JSON."""
        before = self.owned(*slot)
        by_path = {w.path: w for w in wishes.documents}
        for path in before:
            if path not in by_path:
                by_path[path] = Wish(path, "json" if path.endswith(".json") else "toml", {})
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
                owned[path] = owned_to_json(now)
        for path, text in wishes.files.items():
            if text is None and not self.draft.exists(path):
                continue
            self.draft.replace(path, text)
        return owned

    # Profiles.

    def use(self, profile: Profile, client: ClientName) -> Use:
        """Return *profile* as *client* is to use it; errors say what is missing."""
        preset = self.load_preset(profile.provider)
        if client not in profile.parts:
            raise UsageError(
                _("Profile '{name}' has no settings for {client}.").format(
                    name=profile.name, client=CLIENTS[client].TITLE
                ),
                hint=_("Add them with: ccsetup init -n {name} -p {provider} -T {client} -k KEY").format(
                    name=profile.name, provider=profile.provider, client=client
                ),
            )
        endpoint = (
            profiles.claude_endpoint(profile, preset)
            if client == "claude-code"
            else profiles.codex_endpoint(profile, preset)
        )
        if profile.key_command:
            reader: tuple[str, ...] = ("/bin/sh", "-c", profile.key_command)
        elif profile.key_storage == "keyring":
            reader = (*self.keys.program, "key", "get", profile.name)
        else:
            reader = ("cat", self.paths.key_file(profile.name))
        key = self.key(profile) if profile.key_storage in ("inline", "dotenv") else None
        if profile.key_storage == "command" and not profile.key_command:
            self.key(profile)  # a client that is told to read a file should find it
        return Use(profile, preset, endpoint, key, reader)

    def key(self, profile: Profile) -> Optional[Secret]:
        """Return the key of *profile*, wherever it is; None when that is a variable which is not set here."""
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
        text = self.draft.text(self.paths.key_file(profile.name)).strip()
        if not text:
            raise CcsetupError(
                _("The key of profile '{name}' is not where it was saved: {file}").format(
                    name=profile.name, file=self.paths.short(self.paths.key_file(profile.name))
                ),
                hint=_("Give it again with: ccsetup key set {name}").format(name=profile.name),
            )
        return Secret(text)

    def find(self, name: str) -> Profile:
        """Return the profile called *name*; UsageError names those there are."""
        if name in self.profiles:
            return self.profiles[name]
        known = ", ".join(self.profiles)
        if not known:
            raise CcsetupError(
                _("There is no profile '{name}': none is saved yet.").format(name=profiles.printable(name)),
                hint=_("Make one with: ccsetup init -p PROVIDER -k KEY"),
            )
        import difflib

        near = difflib.get_close_matches(name, self.profiles, 1)
        raise CcsetupError(
            _("There is no profile '{name}'. Saved profiles: {known}").format(
                name=profiles.printable(name), known=known
            ),
            hint=_("Did you mean: ccsetup config-switch {name}").format(name=near[0])
            if near
            else _("See them with: ccsetup config-switch --list"),
        )


def consequence(client: ClientName) -> str:
    """Return what *client* does with a document that cannot be parsed (observed)."""
    if client == "claude-code":
        return _("Claude Code ignores the whole file as it is. Nothing was changed.")
    return _("Codex does not start with the file as it is. Nothing was changed.")


def check_strict(world: World, path: str, *, repair: bool) -> None:
    """Refuse settings.json with a comment or a trailing comma, or remove these with *repair*.

    Claude Code ignores such a file as a whole, silently with ``-p`` before 2.1.329.
    """
    from ccsetup.documents import jsondoc

    world.draft.consequence.setdefault(path, consequence("claude-code"))
    text = world.draft.text(path)
    if not text.strip("\ufeff \t\r\n"):
        return
    problem = jsondoc.strict_problem(text)
    if problem is None:
        return
    world.draft.data(path, "json")  # what cannot be read at all is another error
    if not repair:
        raise CcsetupError(
            _("{file}:{line}:{column}: {problem}. Claude Code ignores the whole file because of it.").format(
                file=world.paths.short(path),
                line=problem.line,
                column=problem.column,
                problem=problem.message.rstrip(".。"),
            ),
            hint=_(
                "Run the same command with --repair to take comments and trailing commas out (undo brings them back)."
            ),
        )
    world.draft.replace(path, jsondoc.strict(text))
    world.notes.append(
        Note("info", _("{file}: comments and trailing commas were taken out.").format(file=world.paths.short(path)))
    )


def repair_codex(world: World) -> None:
    """Correct what keeps Codex from starting, where one correction is plainly right, and tell of each."""
    path = world.paths.codex_config
    for edit, text in codex.repairs(world.files("codex")):
        world.draft.edit(path, "toml", (edit,))
        world.notes.append(Note("info", f"{world.paths.short(path)}: {text}"))


def merge(world: World, request: Request) -> Profile:
    """Return the profile that *request* makes of the saved one of that name, if there is one.

    A profile has one key.  So a change of provider, region or host that would leave another client of the
    profile with the new key at the old address is refused.
    """
    profiles.check_name(request.name)
    old = world.profiles.get(request.name)
    if not request.provider:
        if old is None:
            raise world_without(world, request.name)
        base_parts = {c: _overlay(old.parts.get(c, Part()), p) for c, p in request.parts.items()} or dict(old.parts)
        provider, region = old.provider, request.region or old.region
        if region != old.region:
            base_parts = {**old.parts, **base_parts}
    else:
        base_parts = dict(request.parts)
        provider, region = request.provider, request.region
    preset = world.load_preset(provider)
    found = preset.region(region)
    if found is None:
        profiles.region_of(Profile(request.name, provider, region, "inline", "", {}), preset)
        raise AssertionError
    region = found.id
    parts: dict[ClientName, Part] = dict(base_parts)
    if old is not None:
        others = {c: p for c, p in old.parts.items() if c not in parts}
        if (old.provider, old.region or preset_default(world, old)) != (provider, region):
            if others:
                other = next(iter(others))
                raise UsageError(
                    _(
                        "Profile '{name}' is {provider} ({region}) and serves {client} too; "
                        "one profile has one key, so it cannot be changed for one client alone."
                    ).format(
                        name=old.name,
                        provider=old.provider,
                        region=old.region or "-",
                        client=CLIENTS[other].TITLE,
                    ),
                    hint=_("Change it for both with -T all, or choose another name with -n NAME."),
                )
        else:
            parts = {**others, **parts}
    storage: Any = request.key_storage or (old.key_storage if old else "") or "inline"
    key_env = request.key_env
    if storage in ("env", "dotenv") and not key_env:
        key_env = (old.key_env if old else "") or variable(request.name, preset)
    if storage in ("inline", "command", "keyring"):
        key_env = ""
    key_command = request.key_command or (old.key_command if old and request.key is None else "")
    if key_command and storage not in ("inline", "command"):
        raise UsageError(
            _("A key command goes with --key-storage command or inline, not {storage}.").format(storage=storage)
        )
    ordered = {c: parts[c] for c in CLIENT_NAMES if c in parts}
    profile = Profile(request.name, provider, region, storage, key_env, ordered, key_command)
    needs_own_key(world, old, profile, request)
    _check_one_host(world, old, profile, request)
    return profile


def needs_own_key(world: World, old: Optional[Profile], profile: Profile, request: Request) -> None:
    """Refuse to send the saved key to another host than those it was given for."""
    if old is None or request.key is not None or request.key_command or "env" in (profile.key_storage, old.key_storage):
        return
    known = {profiles.origin(world_url(world, old, c)) for c in old.parts}
    preset = world.load_preset(old.provider)
    for region in preset.regions:
        own = {profiles.origin(e.base_url) for e in (region.claude, region.codex) if not isinstance(e, Unsupported)}
        if region.id == (old.region or preset.regions[0].id) and own & known:
            known |= own  # the hosts of one site of one provider take the same key
    for client in profile.parts:
        host = profiles.origin(world_url(world, profile, client))
        if host not in known:
            raise UsageError(
                _("The key of profile '{name}' was given for {known}; it is not sent to {host}.").format(
                    name=old.name, known=", ".join(sorted(known)), host=host
                ),
                hint=_("Give the key for the new address with -k KEY, or choose another name with -n NAME."),
            )


def preset_default(world: World, profile: Profile) -> str:
    return world.load_preset(profile.provider).regions[0].id


def world_without(world: World, name: str) -> CcsetupError:
    try:
        world.find(name)
    except CcsetupError as e:
        return e
    raise AssertionError


def _overlay(old: Part, new: Part) -> Part:
    return old._replace(**{k: v for k, v in new._asdict().items() if v})


def _check_one_host(world: World, old: Optional[Profile], profile: Profile, request: Request) -> None:
    if old is None or request.key is None or not request.provider:
        return
    kept = [c for c in profile.parts if c not in request.parts]
    urls = {profile.parts[c].url for c in profile.parts}
    if not kept or not any(urls):
        return
    saved = world.draft.text(world.paths.key_file(old.name)).strip()
    if saved == request.key.reveal():
        return
    hosts = {c: profiles.origin(world_url(world, profile, c)) for c in profile.parts}
    for client in kept:
        if any(hosts[client] != hosts[c] for c in request.parts):
            raise UsageError(
                _("Profile '{name}' has {client} at {host}; the new key would be sent there too.").format(
                    name=profile.name, client=CLIENTS[client].TITLE, host=hosts[client]
                ),
                hint=_("Choose another name with -n NAME, or give the addresses of both with -T all."),
            )


def endpoint(world: World, profile: Profile, client: ClientName) -> Union[ClaudeEndpoint, CodexEndpoint]:
    """Return what *client* is to use by *profile*; errors say what is missing."""
    preset = world.load_preset(profile.provider)
    if client == "claude-code":
        return profiles.claude_endpoint(profile, preset)
    return profiles.codex_endpoint(profile, preset)


def world_url(world: World, profile: Profile, client: ClientName) -> str:
    return endpoint(world, profile, client).base_url


def variable(name: str, preset: Preset) -> str:
    """Return the variable that is to hold the key: a name that shells and Codex's .env reader take."""
    import re

    usual = preset.key_env
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", usual) and not usual.upper().startswith("CODEX_"):
        return usual
    return "CCSETUP_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper() + "_API_KEY"


def init(world: World, requests: Sequence[Request], *, repair: bool = False) -> list[Switched]:
    """Save the requested profiles, and make the clients use those that are to be active.

    A profile that a client uses already is written there again, so that a new key reaches every file.
    """
    switched: list[Switched] = []
    for request in requests:
        switched += put(world, merge(world, request), request.key, request.activate, repair=repair)
    return switched


def put(
    world: World, profile: Profile, key: Optional[Secret], activate: Iterable[ClientName], *, repair: bool = False
) -> list[Switched]:
    """Save *profile* as it is, with *key* (None: it keeps the one it has), and write it where it is used.

    Returns the clients that use it: those of *activate*, and those that used it before.
    """
    switched: list[Switched] = []
    wanted = frozenset(activate)
    _save_key(world, profile, key)
    old = world.profiles.get(profile.name)
    if old != profile:
        world.draft.edit(world.paths.profiles, "toml", (profiles.save(profile),))
        if not world.draft.text(world.paths.profiles).startswith("#") and old is None and not world.profiles:
            world.draft.replace(world.paths.profiles, profiles.HEADER + world.draft.text(world.paths.profiles))
        world.profiles[profile.name] = profile
    for folder in world.used_elsewhere(profile.name):
        world.notes.append(
            Note(
                "warning",
                _("Profile '{name}' is also used in {folder}, which was left as it is.").format(
                    name=profile.name, folder=world.paths.short(folder)
                ),
                _("Run the command again with CLAUDE_CONFIG_DIR or CODEX_HOME set to it."),
            )
        )
    for client in CLIENT_NAMES:
        if client not in profile.parts:
            if old and client in old.parts:
                _forget_saved(world, old.name, client)
            continue
        active = client in wanted or world.active(client) == profile.name
        _apply(world, profile, client, activate=active, repair=repair)
        if active:
            switched.append(Switched(client, profile.name))
    return switched


def _wants_key(profile: Profile) -> bool:
    """Tell whether we keep the key of *profile*, rather than a variable or a command of the user's."""
    return profile.key_storage != "env" and not profile.key_command


def _save_key(world: World, profile: Profile, key: Optional[Secret]) -> None:
    path = world.paths.key_file(profile.name)
    old = world.profiles.get(profile.name)
    if profile.key_storage == "keyring":
        if key is None and old is not None and old.key_storage != "keyring":
            key = world.key(old)
        if key is not None:
            if world.keys.lookup(profile.name) != key:
                world.keychain[profile.name] = key
        else:
            world.key(profile)
    elif key is None and old is not None and old.key_storage == "keyring" and _wants_key(profile):
        key = world.key(old)  # the keyring keeps its copy, so that undo finds it again
    kept = (profile.key_storage, profile.key_env)
    if old is not None and old.key_storage == "dotenv" and kept != ("dotenv", old.key_env):
        left = dotenv.remove(world.draft.text(world.paths.codex_dotenv), old.key_env)
        world.draft.replace(world.paths.codex_dotenv, left or None)
    if profile.key_storage in ("env", "keyring") or profile.key_command:
        if world.draft.exists(path):
            world.draft.replace(path, None)
        return
    if key is not None:
        world.draft.replace(path, key.reveal())
    else:
        world.key(profile)
    if profile.key_storage == "dotenv":
        text = world.draft.text(world.paths.codex_dotenv)
        secret = world.key(profile)
        assert secret is not None
        world.draft.replace(world.paths.codex_dotenv, dotenv.set_value(text, profile.key_env, secret.reveal()))


def _apply(world: World, profile: Profile, client: ClientName, *, activate: bool, repair: bool) -> None:
    module = CLIENTS[client]
    use = world.use(profile, client)
    if client == "claude-code" and activate:
        check_strict(world, world.paths.claude_settings, repair=repair)
    if client == "codex" and activate and repair:
        repair_codex(world)
    saved_paths = module.saved_paths(world.paths, profile.name, world.version(client))
    files = world.files(client, saved_paths)
    saved = module.saved(files, use)
    if saved.documents or saved.files:
        own = {p: "own" for p, _f in saved_paths}
        owned = world.fulfil(saved, world.slot(client, profile.name), own)
        world.record(world.slot(client, profile.name), {"owned": owned})
    if activate:
        files = world.files(client, saved_paths)
        owned = world.fulfil(module.use(files, use), world.slot(client), {})
        world.record(world.slot(client), {"profile": profile.name, "owned": owned})
        if profile.key_storage == "env":
            world.notes.append(
                Note(
                    "info" if world.paths.environ.get(profile.key_env) else "warning",
                    _("The key is read from the variable {name}, which has to be set where the client starts.").format(
                        name=profile.key_env
                    ),
                    _("Run: export {name}=KEY").format(name=profile.key_env),
                )
            )
        world.notes.extend(module.notes(world.files(client), use))


def _forget_saved(world: World, name: str, client: ClientName) -> None:
    module = CLIENTS[client]
    paths = module.saved_paths(world.paths, name, world.version(client))
    whole: dict[str, Optional[str]] = {p: None for p, f in paths if not f}
    world.fulfil(Wishes((), whole), world.slot(client, name), {p: "own" for p, _f in paths})
    world.record(world.slot(client, name), None)


def switch(world: World, name: str, clients: Sequence[ClientName], *, repair: bool = False) -> list[Switched]:
    """Make *clients* use the saved profile *name*; an empty list means every client that it has settings for."""
    profile = world.find(name)
    wanted = clients or [c for c in CLIENT_NAMES if c in profile.parts]
    for client in wanted:
        _apply(world, profile, client, activate=True, repair=repair)
    return [Switched(c, name) for c in wanted]


def official(world: World, clients: Sequence[ClientName], *, repair: bool = False) -> list[Switched]:
    """Take every provider away from *clients* (empty: from both); their own logins are not touched."""
    wanted = clients or CLIENT_NAMES
    for client in wanted:
        if client == "claude-code":
            check_strict(world, world.paths.claude_settings, repair=repair)
        module = CLIENTS[client]
        files = world.files(client)
        world.fulfil(module.official(files, world.owned(*world.slot(client))), world.slot(client), {})
        world.record(world.slot(client), None)
        world.notes.extend(module.notes(world.files(client), None))
    return [Switched(c, "") for c in wanted]


def remove_key(world: World, name: str) -> list[Switched]:
    """Take the key of profile *name* out of every file; clients that use the profile go back to their own account."""
    profile = world.find(name)
    using = [c for c in CLIENT_NAMES if world.active(c) == name]
    switched = official(world, using) if using else []
    _forget_key(world, profile)
    return switched


def remove(world: World, name: str) -> list[Switched]:
    """Remove profile *name* with its key; clients that use it go back to their own account."""
    switched = remove_key(world, name)
    world.draft.edit(world.paths.profiles, "toml", (profiles.remove(name),))
    del world.profiles[name]
    return switched


def _forget_key(world: World, profile: Profile) -> None:
    """Take away the files of *profile* that hold its key, and what the clients keep for choosing it."""
    name = profile.name
    for client in profile.parts:
        _forget_saved(world, name, client)
    if profile.key_storage == "keyring":
        world.keychain[name] = None
    others = (p for p in world.profiles.values() if p.name != name and p.key_storage == "dotenv")
    if profile.key_storage == "dotenv" and all(p.key_env != profile.key_env for p in others):
        text = world.draft.text(world.paths.codex_dotenv)
        world.draft.replace(world.paths.codex_dotenv, dotenv.remove(text, profile.key_env) or None)
    if world.draft.exists(world.paths.key_file(name)):
        world.draft.replace(world.paths.key_file(name), None)


def copy(world: World, name: str, new: str) -> None:
    """Save profile *name* once more as *new*, with the same key; no client is switched."""
    old = world.find(name)
    _check_free(world, new)
    put(world, old._replace(name=new), _own_key(world, old), ())


def rename(world: World, name: str, new: str) -> list[Switched]:
    """Call profile *name* from now on *new*; clients that use it go on using it.

    Codex files its history by the provider's id, so the profile keeps the id that it had.
    """
    old = world.find(name)
    _check_free(world, new)
    parts = dict(old.parts)
    if "codex" in parts and not parts["codex"].provider_id:
        parts["codex"] = parts["codex"]._replace(provider_id="ccsetup-" + name)
    using = [c for c in CLIENT_NAMES if world.active(c) == name]
    key = _own_key(world, old)
    switched = put(world, old._replace(name=new, parts=parts), key, using)
    remove(world, name)
    return switched


def _own_key(world: World, profile: Profile) -> Optional[Secret]:
    return None if profile.key_storage == "env" or profile.key_command else world.key(profile)


def _check_free(world: World, name: str) -> None:
    profiles.check_name(name)
    if name in world.profiles:
        raise UsageError(
            _("There is a profile '{name}' already.").format(name=name),
            hint=_("Choose another name, or remove it with: ccsetup profile rm {name}").format(name=name),
        )


def uninstall(world: World, *, keep_profiles: bool) -> list[Switched]:
    """Take what we wrote out of the clients' files; without *keep_profiles*, our profiles and keys too.

    A client that we have no record of is left alone: what it uses is somebody else's.
    """
    using = [c for c in CLIENT_NAMES if world.recorded("clients", c)]
    switched = official(world, using) if using else []
    for folder in world.projects():
        unset_project(world, folder)
    for profile in list(world.profiles.values()):
        if keep_profiles:
            for client in profile.parts:
                _forget_saved(world, profile.name, client)
        else:
            remove(world, profile.name)
    if not keep_profiles and world.draft.exists(world.paths.profiles):
        world.draft.replace(world.paths.profiles, None)
    if world.draft.exists(world.paths.state) and not world.draft.data(world.paths.state, "json"):
        world.draft.replace(world.paths.state, None)
    return switched


# Projects: Claude Code reads .claude/settings.local.json of the folder that it starts in.


def project_settings(folder: str) -> str:
    import os

    return os.path.join(folder, ".claude", "settings.local.json")


def use_in_project(world: World, name: str, folder: str, *, repair: bool = False) -> None:
    """Make Claude Code use profile *name* in *folder*; nothing that applies elsewhere is changed but its onboarding.

    The user's settings.json lies below this file, variable by variable, so that what it may set and the profile
    does not want is blanked here (observed with 2.1.329: an empty variable counts as none).
    """
    profile = world.find(name)
    path = project_settings(folder)
    use = world.use(profile, "claude-code")
    check_strict(world, path, repair=repair)
    files, below = world.project_files(folder), world.files("claude-code")
    wishes = CLIENTS["claude-code"].use(files, use)
    documents = []
    for wish in wishes.documents:
        if wish.path == world.paths.claude_settings:
            settings = dict(wish.settings)
            for key, value in settings.items():
                there = lookup(below.get(world.paths.claude_settings), key)
                if value is MISSING and there is not MISSING and there != "":
                    settings[key] = ""
            wish = wish._replace(path=path, settings=settings)
        else:
            settings = {k: v for k, v in wish.settings.items() if v is not MISSING}
            wish = wish._replace(settings=settings, free=frozenset(settings))
        documents.append(wish)
    slot = ("projects", folder)
    owned = world.fulfil(Wishes(tuple(documents), wishes.files), slot, {path: "own"})
    world.record(slot, {"profile": name, "owned": owned})
    if lookup(below.get(world.paths.claude_json), ("primaryApiKey",)) is not MISSING:
        world.notes.append(
            Note(
                "warning",
                _("A key from a login at Anthropic's console is in {file}: Claude Code sends it along.").format(
                    file=world.paths.short(world.paths.claude_json)
                ),
                _("Log out with: claude auth logout"),
            )
        )


def unset_project(world: World, folder: str) -> None:
    """Take the provider out of the project's settings, whoever wrote it there."""
    path = project_settings(folder)
    slot = ("projects", folder)
    module = CLIENTS["claude-code"]
    files = world.project_files(folder)
    own = {world.paths.claude_settings: world.owned(*slot).get(path, ())}
    wishes = module.official(files, own)
    documents = tuple(w._replace(path=path) for w in wishes.documents if w.path == world.paths.claude_settings)
    recorded = world.recorded(*slot)
    world.fulfil(Wishes(documents, {}), slot, {path: "own"})
    if recorded and world.draft.exists(path) and not world.draft.data(path, "json"):
        world.draft.replace(path, None)
    world.record(slot, None)


__all__ = [
    "Keys",
    "Request",
    "Switched",
    "World",
    "copy",
    "init",
    "official",
    "put",
    "remove",
    "remove_key",
    "rename",
    "switch",
    "uninstall",
    "unset_project",
    "use_in_project",
]
