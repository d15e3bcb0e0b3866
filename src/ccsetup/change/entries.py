"""From what a user asks, on a command line or in a file, to requests; all are checked before the first is used."""

from __future__ import annotations

from typing import Any, Optional

from ccsetup import keys, profiles
from ccsetup.change import merge
from ccsetup.change.merge import Request
from ccsetup.change.world import World
from ccsetup.clients import CLIENTS, clients_named, usual_client
from ccsetup.errors import Incomplete, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Preset, Secret
from ccsetup.plan import Note
from ccsetup.profiles import Part, apiconfigs, facts
from ccsetup.profiles.apiconfigs import Entry
from ccsetup.tuples import NamedTuple


class Options(NamedTuple):
    """What one command line says for all entries."""

    secret: Optional[Secret]
    clients: list[ClientName]
    storage: str
    storage_env: str
    key_command: str
    activate: bool
    force_key: bool = False
    """The key is used although it looks like none of the provider's."""


def requests(world: World, entries: list[Entry], common: Options) -> list[Request]:
    """Return what *entries* ask for, with those marked that are to be active; UsageError names the entry."""
    out: list[Request] = []
    defaults: dict[ClientName, str] = {}
    per_client: dict[ClientName, list[str]] = {c: [] for c in CLIENTS}
    seen: set[str] = set()
    for entry in entries:
        request = _request(world, entry, common)
        if request.name in seen:
            raise UsageError(_("{place}: Duplicate config name: {name}").format(place=entry.place, name=request.name))
        seen.add(request.name)
        for client in request.parts or ():
            per_client[client].append(request.name)
            if entry.fields.get("default"):
                if client in defaults:
                    raise UsageError(
                        _("{place}: '{one}' and '{other}' are both the default for {client}.").format(
                            place=entry.place, one=defaults[client], other=request.name, client=CLIENTS[client].title
                        )
                    )
                defaults[client] = request.name
        out.append(request)
    if not common.activate:
        return [r._replace(activate=frozenset()) for r in out]
    for client, names in per_client.items():
        if len(names) == 1:
            defaults.setdefault(client, names[0])
        elif len(names) > 1 and client not in defaults:
            world.notes.append(
                Note(
                    "info",
                    _("No entry is the default for {client}: it was not switched.").format(
                        client=CLIENTS[client].title
                    ),
                    _("Choose one with: ccsetup config-switch {name} -T {client}").format(name=names[0], client=client),
                )
            )
    return [r._replace(activate=frozenset(c for c in r.parts if defaults.get(c) == r.name)) for r in out]


def _request(world: World, entry: Entry, common: Options) -> Request:
    where = entry.place + ": " if entry.place else ""
    try:
        return _checked(world, entry, common)
    except UsageError as e:
        if not where or e.message.startswith(where):
            raise
        raise UsageError(where + e.message, hint=e.hint) from None


def _checked(world: World, entry: Entry, common: Options) -> Request:
    provider, name = entry.text("provider"), entry.text("name")
    if not provider and (entry.text("type") or entry.text("url") or any(map(entry.text, urls_of()))):
        saved = world.profiles.get(name)
        if saved is None:
            provider = "custom"
    key = _given_key(world, entry, common)
    if not provider:
        if not name:
            raise Incomplete(
                _("Nothing says which provider to set up: -p PROVIDER and -k KEY are missing."),
                hint=_("For example: ccsetup init -p glm -k KEY (providers: ccsetup list --providers)"),
            )
        existing = world.find(name)
        preset = world.load_preset(existing.provider)
        region = entry.text("region") or existing.region
        clients = common.clients
        if not clients and any(f in entry.fields for f in apiconfigs.PART_FIELDS):
            clients = [c for c in existing.parts if CLIENTS[c].extras in entry.fields]
            clients = clients or ([usual_client(existing.parts)] if existing.parts else [])
        storage = common.storage or existing.key_storage
    else:
        preset = world.load_preset(provider)
        provider = preset.id
        region = entry.text("region")
        name = name or preset.id
        clients = common.clients or [usual_client()]
        old = world.profiles.get(name)
        storage = common.storage or entry.text("keyStorage") or (old.key_storage if old else "inline")
    if entry.fields.get("codeType"):
        clients = clients_named(entry.fields["codeType"])
    profiles.check_storage(storage)
    profiles.check_own_name(name, world.profiles)
    variable = common.storage_env or entry.text("keyVariable") or (entry.text("keyEnv") if storage == "env" else "")
    if variable:
        keys.check_variable(variable, "--key-env-name" if common.storage_env else "keyVariable")
    key_command = common.key_command or entry.text("keyCommand")
    if (key_command and not (common.storage or entry.text("keyStorage")) and storage not in ("inline", "command")) or (
        key_command and name not in world.profiles and not (common.storage or entry.text("keyStorage"))
    ):
        storage = "command"
    profiles.check_auth(entry.text("type"))
    if key is None and storage != "env" and not key_command:
        key = _kept_key(world, entry, name, preset)
    if key is not None:
        region = _region_for_key(world, preset, region, key)
    _check_extras(entry, clients)
    parts = {c: _part(world, entry, c) for c in clients}
    insists = common.force_key
    return Request(name, provider, region, parts, key, storage, variable, frozenset(clients), key_command, insists)


def _given_key(world: World, entry: Entry, common: Options) -> Optional[Secret]:
    """Return the key that *entry* gives or names, or that of the command line; None where there is none."""
    sources = [f for f in ("key", "keyEnv", "keyFile") if entry.fields.get(f)]
    if len(sources) > 1:
        raise UsageError(
            _("'{one}' and '{other}' both name a key: give one of them.").format(one=sources[0], other=sources[1])
        )
    if sources == ["key"]:
        return keys.clean(entry.text("key"), "key", world.inform)
    if sources == ["keyEnv"]:
        return keys.from_variable(entry.text("keyEnv"), "keyEnv", world.paths.environ, world.inform)
    if sources == ["keyFile"]:
        return keys.from_file(entry.text("keyFile"), "keyFile", world.inform)
    return common.secret


def _kept_key(world: World, entry: Entry, name: str, preset: Preset) -> Optional[Secret]:
    """Return what is sent where no key is given: None for the saved one, else what a local server takes.

    Raises Incomplete where there is neither.
    """
    default = preset.default_key if not preset.key_required else ""
    # Another provider's key is refused by ``merge``, unless a local server needs none.
    if name in world.profiles and _has_key(world, name) and (world.profiles[name].provider == preset.id or not default):
        return None
    if default:
        return Secret(default)
    raise Incomplete(
        _('Config "{name}" requires API key').format(name=name)
        if entry.place
        else _("The key is missing: give it with -k KEY, --api-key-file, --api-key-env or CCSETUP_API_KEY."),
        hint=_("-k - reads it from standard input, so that no other user of this machine can see it."),
    )


def _check_extras(entry: Entry, clients: list[ClientName]) -> None:
    """Raise UsageError where settings are given for a client that is not among *clients*."""
    for client in CLIENTS.values():
        names = set(entry.fields.get(client.extras, ())) - set(facts.NAMES)
        if (names or not clients) and client.extras in entry.fields and client.id not in clients:
            text = _("'{field}' is for {client}, which is not asked for.")
            raise UsageError(
                text.format(field=client.extras, client=client.title),
                hint=_("Add: -T {client}").format(client=client.id),
            )


def _has_key(world: World, name: str) -> bool:
    saved = world.profiles[name]
    if saved.problem:
        return False
    if saved.key_storage == "keyring" or saved.key_command:
        return True
    return saved.key_storage != "env" and bool(world.draft.text(world.key_file(name)).strip())


def _region_for_key(world: World, preset: Preset, region: str, key: Secret) -> str:
    """Return the region, chosen by the key's family where the user chose none; tell what does not fit."""
    found = keys.family(key, preset)
    if found is None or found.provider not in ("", preset.id):
        return region  # another provider's: ``merge.check_key`` knows about it
    if found.region and not region and found.region != preset.regions[0].id:
        world.notes.append(
            Note(
                "info",
                _("Kind of key: {family}. Region {region} was chosen.").format(family=found.name, region=found.region),
            )
        )
        return found.region
    elif found.region and region and region.split("-")[0] != found.region.split("-")[0]:
        world.notes.append(
            Note(
                "warning",
                _("Kind of key: {family}. It works in region {region} only.").format(
                    family=found.name, region=found.region
                ),
                _("If the provider refuses it, use: --region {region}").format(region=found.region),
            )
        )
    return region


def urls_of() -> list[str]:
    """Return the fields of an entry that hold the address for one client."""
    return [f"{client.option}Url" for client in CLIENTS.values()]


_FIELDS = {
    "auth": ("type",),
    "primary_model": ("primaryModel",),
    "haiku_model": ("defaultHaikuModel", "fastModel"),
    "sonnet_model": ("defaultSonnetModel",),
    "opus_model": ("defaultOpusModel",),
    "fable_model": ("defaultFableModel",),
    "subagent_model": ("subagentModel",),
    "provider_id": ("providerId",),
}
"""Where the text fields of a client's part come from; the first of an entry's fields that says something."""


def _part(world: World, entry: Entry, name: ClientName) -> Part:
    client = CLIENTS[name]
    specific = entry.text(f"{client.option}Url")
    url = specific or entry.text("url")
    if url:
        profiles.check_url(url, f"--{client.option}-url" if specific else "-u")
        url = world.corrected(merge.address(client, url))
    texts: dict[str, Any] = {
        f: next(filter(None, map(entry.text, _FIELDS[f])), "").strip() for f in client.fields if f in _FIELDS
    }
    for field, text in texts.items():
        if field.endswith("_model"):
            given = next((f for f in _FIELDS[field] if entry.text(f)), "")
            profiles.check_model(text, "-M" if given == "primaryModel" and not entry.place else given)
    about = facts.given(entry.fields.get("set", {}))
    settings = {**entry.fields.get(client.extras, {}), **about}
    for setting, value in settings.items():
        problem = client.setting_problem(setting, value)
        if problem:
            field = "set" if setting in about else client.extras
            raise UsageError(_("{option}: {problem}").format(option=field, problem=problem))
    return Part(url=url, context_window=entry.fields.get("contextWindow", 0), settings=settings, **texts)
