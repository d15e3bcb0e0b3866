"""What ``init`` and ``config-switch`` do, from values to a draft.

Nothing here writes: the draft becomes a plan, and the caller commits or shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Iterator, Mapping, Optional, Sequence

from ccsetup import keys, profiles
from ccsetup.change import beside, checked, renewed
from ccsetup.change.merge import Request, merge
from ccsetup.change.world import World, own_ids, with_free_id
from ccsetup.clients import CLIENTS
from ccsetup.clients.values import Files, KnownValues, Use, Wishes, dotted
from ccsetup.documents.edit import MISSING, lookup
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Secret
from ccsetup.naming import MARK, project_settings
from ccsetup.plan import Note
from ccsetup.profiles import Profile
from ccsetup.tuples import NamedTuple

if TYPE_CHECKING:
    pass


class Switched(NamedTuple):
    """A client, and the profile it uses after the command ("" = its own account)."""

    client: ClientName
    profile: str
    held: bool = False
    """Something that is not ours keeps the client from its own account."""


def repair_settings(world: World, client: ClientName, files: Files, *, repair: bool) -> None:
    """Correct what *client* does not accept in *files*, where one correction is plainly right, and tell of each.

    Without *repair* nothing is corrected; CcsetupError where the client would take no notice of what is to be written.
    """
    for found in CLIENTS[client].repairs(files):
        if not repair:
            if found.refusal is not None:
                raise found.refusal
            continue
        if found.edits:
            world.draft.edit(found.path, found.format, found.edits)
        else:
            world.draft.replace(found.path, found.whole)
        said = _("{file}: {text}").format(file=world.paths.short(found.path), text=found.text)
        world.notes.append(Note("info", said))


def init(world: World, requests: Sequence[Request], *, repair: bool = False) -> list[Switched]:
    """Save the requested profiles, and make the clients use those that are to be active.

    A profile that a client uses already is written there again, so that a new key reaches every file.
    """
    switched: list[Switched] = []
    for request in requests:
        switched += put(world, merge(world, request), request.key, request.activate, repair=repair)
    bring_along(world)
    return switched


def put(
    world: World,
    profile: Profile,
    key: Optional[Secret],
    activate: Iterable[ClientName],
    *,
    repair: bool = False,
) -> list[Switched]:
    """Save *profile* as it is, with *key* (None: it keeps the one it has), and write it where it is used.

    Raises UsageError for what cannot be saved, or belongs to another profile.  Returns the clients that use it: those
    of *activate*, and those that used it before.
    """
    switched: list[Switched] = []
    wanted = frozenset(activate)
    profile = _alone(world, profile)
    _save_key(world, profile, key)
    old = world.profiles.get(profile.name)
    if old != profile:
        world.draft.set_later(world.paths.profiles, "toml", profiles.save(profile, old))
        if not world.profiles:
            text = world.draft.text(world.paths.profiles)
            if not text.startswith("#") and "version" not in world.draft.data(world.paths.profiles, "toml"):
                world.draft.replace(world.paths.profiles, profiles.HEADER + text)
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
    for client in CLIENTS:
        if client not in profile.parts:
            if old and client in old.parts:
                forget_saved(world, old.name, client)
            continue
        active = client in wanted or world.active(client) == profile.name
        _apply(world, profile, client, activate=active, repair=repair)
        if active:
            switched.append(Switched(client, profile.name))
    return switched


def _alone(world: World, profile: Profile) -> Profile:
    """Return *profile* as it is to be saved, sharing nothing with another; UsageError where it asks for that."""
    old = world.profiles.get(profile.name)
    if old is None and profile.name != profiles.RELAY:
        profiles.check_name(profile.name, world.profiles)
    profiles.check(profile)
    if old is not None:
        alone = world.separated(profile)  # earlier versions let two share an id or a variable
        if profile.key_env == old.key_env:
            profile = profile._replace(key_env=alone.key_env)
        kept = {c: alone.parts[c] for c, _id in own_ids(profile) if profile.parts[c] == old.parts.get(c)}
        profile = profile._replace(parts={**profile.parts, **kept})
    others = world.others(profile.name)
    ids = {own: p.name for p in others for own in own_ids(p)}
    for client, id_ in own_ids(profile):
        if (client, id_) not in ids:
            continue
        free = with_free_id(profile, client, ids)
        if profile.parts[client].provider_id:
            raise UsageError(
                _(
                    "Provider id '{id}' is that of profile '{other}': {client} would mix the addresses and keys of "
                    "both."
                ).format(id=id_, other=ids[client, id_], client=CLIENTS[client].title),
                hint=_("Give another one with --provider-id, for example {id}.").format(
                    id=free.parts[client].provider_id
                ),
            )
        profile = free
    for other in others:
        if other.key_env == profile.key_env != "" and "dotenv" in (profile.key_storage, other.key_storage):
            raise UsageError(
                _("The variable {name} is that of profile '{other}', and Codex's .env holds one key in it.").format(
                    name=profile.key_env, other=other.name
                ),
                hint=_("Give another one with --key-env-name, for example {name}.").format(
                    name=profiles.variable(profile.name, "", {p.key_env for p in others})
                ),
            )
    return profile


def _save_key(world: World, profile: Profile, key: Optional[Secret]) -> None:
    path = world.key_file(profile.name)
    old = world.profiles.get(profile.name)
    if profile.key_storage == "keyring":
        if key is None and old is not None and old.key_storage != "keyring":
            key = world.key(old)
        if key is not None:
            if world.keys.lookup(profile.name) != key:
                world.keychain[profile.name] = key
        else:
            world.key(profile)
    elif (
        key is None
        and old is not None
        and old.key_storage == "keyring"
        and profile.key_storage != "env"
        and not profile.key_command
    ):
        key = world.key(old)  # the keyring keeps its copy, so that undo finds it again
    others = world.others(profile.name)
    variables = {p.key_env for p in (*others, profile) if p.key_storage == "dotenv"}
    if old is not None and old.key_storage == "dotenv" and not old.problem and old.key_env not in variables:
        in_dotenv(world, old.key_env, None)
    if profile.key_storage in ("env", "keyring") or profile.key_command:
        if world.draft.exists(path):
            world.draft.replace(path, None)
        return
    if key is not None:
        world.draft.replace(path, key.reveal())
    else:
        world.key(profile)


def in_dotenv(world: World, variable: str, key: Optional[Secret]) -> None:
    """Set *variable* in Codex's .env, or take it away."""
    from ccsetup.documents import dotenv

    path = world.paths.codex_dotenv
    text = world.draft.text(path)
    left = dotenv.remove(text, variable) if key is None else dotenv.set_value(text, variable, key.reveal())
    world.draft.replace(path, left or None)


def _apply(world: World, profile: Profile, client: ClientName, *, activate: bool, repair: bool) -> None:
    module = CLIENTS[client]
    use = world.use(profile, client)
    if use.profile.key_storage == "dotenv" and use.key is not None:
        in_dotenv(world, use.profile.key_env, use.key)
    if activate:
        renewed.tell(world, client)
        repair_settings(world, client, world.files(client), repair=repair)
    saved_paths = module.saved_paths(world.paths, profile.name, module.newest)
    files = world.files(client, saved_paths)
    if module.beside is not None:
        module.beside.check(files, use, lambda path, key: world.owns(client, path, key))
        if activate:
            _keep_additions(world, client, files, profile.name)
    saved = module.saved(files, use)
    if saved.documents or saved.files:
        owned = world.fulfil(saved, world.slot(client, profile.name), _own_files(world, profile.name, client))
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
    if module.beside is not None:
        module.beside.read_back(beside.files_of(world, client, [profile.name]), use, active=activate)


def _own_files(world: World, name: str, client: ClientName) -> dict[str, str]:
    """Return the files of profile *name* that go when they are empty, of whichever version of the client."""
    module = CLIENTS[client]
    return {p: "own" for p, _f in module.saved_paths(world.paths, name, module.newest)}


def _keep_additions(world: World, client: ClientName, files: Files, but: str) -> None:
    """Keep what the user added to the active settings in its profile's file, before another profile takes its place."""
    keeper = CLIENTS[client].beside
    if keeper is None:
        return
    for profile in beside.separated(world, client):
        active = world.active(client) == profile.name
        if profile.name != but and keeper.is_selected(files, profile, active=active):
            path, edits = keeper.carried(files, profile, world.draft.data)
            world.draft.edit(path, "toml", edits)


def bring_along(world: World, *, every: bool = False) -> list[str]:
    """Bring every saved profile into the form that the version of its client which is there reads.

    Those that were right before, and did not change since, are looked at with *every* only.
    Where two versions are there that share no form, it is that of the newest.  One that cannot be written is told of,
    and keeps nobody from switching.  Returns the profiles that changed.
    """
    return [name for client, _keeper in beside.keepers() for name in _bring_along(world, client, every)]


def _bring_along(world: World, client: ClientName, every: bool) -> list[str]:
    keeper, title = CLIENTS[client].beside, CLIENTS[client].title
    assert keeper is not None
    done: list[str] = []
    mine = beside.separated(world, client)
    unsure = mine if every else checked.doubtful(world, client, mine)
    files = beside.files_of(world, client, [p.name for p in unsure])
    shared = beside.mixed(world, client, unsure)
    version = dotted(files.version)
    world.looked_at[client] = {p.name for p in unsure}
    right = world.right[client] = []
    for profile in unsure:
        old = world.profiles[profile.name]
        if old != profile:
            world.draft.edit(world.paths.profiles, "toml", profiles.save(profile, old))
            world.profiles[profile.name] = profile
        recorded = world.recorded(*world.slot(client, profile.name))
        good = keeper.is_saved(files, profile) and profile.name not in shared
        alone = [profile.name] if checked.is_alone(world, client, files, profile) else []
        right += alone if good else []
        if good or not (recorded or keeper.has_trace(files, old)):
            continue
        selected = world.active(client) == profile.name and any(
            keeper.is_selected(files, p, active=True) for p in (profile, old)
        )
        notes = list(world.notes)
        try:
            _apply(world, profile, client, activate=selected, repair=False)
        except CcsetupError as e:
            world.notes[:] = notes
            text = _("Profile '{name}' was not written for {client} {version}: {problem}").format(
                name=profile.name, client=title, version=version, problem=e.message
            )
            world.notes.append(Note("warning", text, e.hint))
            continue
        world.notes[:] = notes
        done.append(profile.name)
        right += alone
    world.looked_for = checked.text(world)
    if mine and keeper.is_split(files):
        text = _("{client} {old} is installed beside {new}: it uses the active profile, and finds none with --profile.")
        text = text.format(client=title, old=dotted(files.oldest), new=version)
        world.notes.append(Note("warning", text))
    if done:
        text = _("Written again as {client} {version} reads them: {names}.")
        world.notes.append(Note("info", text.format(client=title, version=version, names=beside.some(done))))
    return done


def forget_saved(world: World, name: str, client: ClientName) -> None:
    world.fulfil(Wishes((), {}), world.slot(client, name), _own_files(world, name, client))
    world.record(world.slot(client, name), None)


def switch(world: World, name: str, clients: Sequence[ClientName], *, repair: bool = False) -> list[Switched]:
    """Make *clients* use the saved profile *name*; an empty list means every client that it has settings for."""
    profile = world.find(name)
    wanted = clients or [c for c in CLIENTS if c in profile.parts] or CLIENTS
    for client in wanted:
        _apply(world, profile, client, activate=True, repair=repair)
    bring_along(world)
    return [Switched(c, name) for c in wanted]


def official(world: World, clients: Sequence[ClientName], *, repair: bool = False) -> list[Switched]:
    """Take every provider away from *clients* (empty: from both); their own logins are not touched."""
    switched: list[Switched] = []
    for client in clients or CLIENTS:
        module = CLIENTS[client]
        renewed.tell(world, client)
        repair_settings(world, client, world.files(client), repair=repair)
        files = world.files(client)
        _keep_additions(world, client, files, "")
        world.fulfil(module.official(files, world.owned(*world.slot(client))), world.slot(client), {})
        world.record(world.slot(client), None)
        managed = module.administrator()
        _take_out(world, client, managed)
        notes = list(module.hindrances(_with_login(world, client), managed))
        told = {n.hint for n in notes}  # one variable, one line
        notes += [n for n in module.notes(world.files(client), None) if n.hint not in told]
        world.notes.extend(notes)
        switched.append(Switched(client, "", any(n.level == "blocked" for n in notes)))
    return switched


def _take_out(world: World, client: ClientName, managed: Mapping[str, Any]) -> None:
    """Take out what *client* cannot use its own account with, and tell of each."""
    for found in CLIENTS[client].left_over(_with_login(world, client), _known(world, client), managed):
        world.draft.edit(found.path, found.format, found.edits)
        if found.format == "json" and not world.draft.data(found.path, found.format):
            world.draft.replace(found.path, None)
        said = _("{file}: {text}").format(file=world.paths.short(found.path), text=found.text)
        world.notes.append(Note("info", said))


def _with_login(world: World, client: ClientName) -> Files:
    try:
        return world.files(client, CLIENTS[client].login(world.paths))
    except CcsetupError:  # its login cannot be read, which is the client's own affair
        return world.files(client)


def _known(world: World, client: ClientName) -> KnownValues:
    """Return which keys and models are those of saved profiles; a placeholder is nobody's key."""

    def saved() -> Iterator[tuple[Profile, Use]]:
        for profile in world.profiles.values():
            try:
                if client in profile.parts and not profile.problem:
                    yield profile, world.use(profile, client)
            except CcsetupError:
                continue

    def is_key(text: str) -> bool:
        if keys.placeholder(text) or keys.stand_in(text):
            return True
        owners = set()
        for profile in world.profiles.values():
            if profile.key_command or profile.key_storage == "keyring" or profile.problem:
                continue
            try:
                key = world.key(profile)
            except CcsetupError:
                continue
            if key is not None and key.reveal() == text:
                part = profile.parts.get(client)
                owners.add("openai" if part and part.url and CLIENTS[client].is_own(part.url) else profile.provider)
        return "openai" not in owners and (bool(owners) or world.wrote(text))

    def is_model(text: str) -> bool:
        return any(text == getattr(u.endpoint, "model", "") and p.provider != "openai" for p, u in saved())

    return KnownValues(is_key, is_model)


# Projects: Claude Code reads .claude/settings.local.json of the folder that it starts in.


def use_in_project(world: World, client: ClientName, name: str, folder: str, *, repair: bool = False) -> None:
    """Make *client* use profile *name* in *folder*; nothing that applies elsewhere is changed but its onboarding.

    The user's settings.json lies below this file, variable by variable, so that what it may set and the profile
    does not want is blanked here (observed with 2.1.329: an empty variable counts as none).
    """
    profile, module = world.find(name), CLIENTS[client]
    path, own = project_settings(folder), module.settings(world.paths)
    use = world.use(profile, client)
    repair_settings(world, client, world.project_files(client, folder), repair=repair)
    files, below = world.project_files(client, folder), world.files(client)
    wishes = module.use(files, use)
    documents = []
    for wish in wishes.documents:
        if wish.path == own:
            settings = dict(wish.settings)
            for key, value in settings.items():
                there = lookup(below.get(own), key)
                if value is MISSING and there is not MISSING and there != "":
                    settings[key] = ""
            wish = wish._replace(path=path, settings={**settings, **world.mark(folder)})
        else:
            settings = {k: v for k, v in wish.settings.items() if v is not MISSING}
            wish = wish._replace(settings=settings, free=frozenset(settings))
        documents.append(wish)
    slot = world.project_slot(folder)
    owned = world.fulfil(Wishes(tuple(documents), wishes.files), slot, {path: "own"})
    world.record(slot, {"profile": name, "owned": owned})
    world.notes.extend(module.rides_along(below))


def unset_project(world: World, folder: str) -> list[ClientName]:
    """Take the provider out of the project's settings, whoever wrote it there; return whose they are."""
    clients = [c for c in CLIENTS.values() if c.projects]
    path, slot = project_settings(folder), world.project_slot(folder)
    for client in clients:
        files, own = world.project_files(client.id, folder), client.settings(world.paths)
        wishes = client.official(files, {own: world.owned(*slot).get(path, ())})
        documents = tuple(
            w._replace(path=path, settings={**w.settings, (MARK,): MISSING}) for w in wishes.documents if w.path == own
        )
        recorded = world.recorded(*slot)
        world.fulfil(Wishes(documents, {}), slot, {path: "own"})
        if recorded and world.draft.exists(path) and not world.draft.data(path, "json"):
            world.draft.replace(path, None)
        world.record(slot, None)
    return [c.id for c in clients]
