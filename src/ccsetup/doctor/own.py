"""Checks of ccsetup's own record: saved profiles, their keys, and which one each client uses."""

from __future__ import annotations

from typing import Iterator

from ccsetup import profiles
from ccsetup.change import record as records
from ccsetup.clients import CLIENTS
from ccsetup.clients import recognise as known
from ccsetup.clients.house import Edits, Finding, House, Level
from ccsetup.documents import version
from ccsetup.documents.edit import Edit, Set, lookup
from ccsetup.errors import CcsetupError, DocumentError, printable
from ccsetup.i18n import _
from ccsetup.profiles import Profile


def record(house: House) -> Iterator[Finding]:
    path = house.paths.profiles
    unknown: list[str] = []
    try:
        text = house.text(path)
        if path in house.unreadable:
            raise house.unreadable[path]
        profiles.parse(text, house.paths.short(path), CLIENTS, unknown)
    except CcsetupError as e:
        line = e.line if isinstance(e, DocumentError) else 0
        yield Finding(
            "problem", _("The saved profiles cannot be read: {why}").format(why=e.message), e.hint, path, line
        )
        return
    for text in unknown:
        yield Finding("warning", text, _("Correct the line, or leave it to the version that knows it."), path)
    state = house.paths.state
    empty = house.exists(state) and not house.text(state).strip()
    if empty or house.broken(state, "json") is not None or state in house.unreadable:
        text = _("The record of what was set is damaged: ccsetup begins a new one.")
        yield Finding("warning", text, _("Run: ccsetup config-switch NAME"), state)
    recorded = house.data(state, "json")
    try:
        version.check(recorded.get("version"), records.VERSION, house.paths.short(state))
    except version.Newer as e:
        yield Finding("problem", e.message, e.hint, state)
    using = {c: records.active(recorded, house.paths, c) for c in CLIENTS}
    for name, profile in house.profiles.items():
        yield from _profile(house, name, profile, used=name in using.values())
    for client, chosen in using.items():
        if chosen and chosen not in house.profiles:
            text = _("{client} was set to profile '{name}', which is no longer saved.").format(
                client=CLIENTS[client].title, name=chosen
            )
            fix = _("Run: ccsetup config-switch NAME -T {client}").format(client=client)
            yield Finding("warning", text, fix, house.paths.state)


def _profile(house: House, name: str, profile: Profile, *, used: bool) -> Iterator[Finding]:
    def at(level: Level, text: str, fix: str) -> Finding:
        path = house.paths.profiles
        return Finding(level, text, fix, path, house.line(path, "toml", profiles.path(name)))

    if profile.problem:
        text = _("Profile '{name}' cannot be used: {why}").format(name=printable(name), why=profile.problem)
        yield at("problem", text, profiles.mend(profile))
        return
    try:
        profiles.check_name(name, house.profiles)
    except CcsetupError as e:
        if name != profiles.RELAY:
            fix = _("Run: ccsetup profile rename {name} NEW").format(name=name)
            yield at("warning", e.message, fix)
    if all(profile.provider != p.id for p in house.presets):
        text = _("Profile '{name}' is for provider '{provider}', which there is not.").format(
            name=name, provider=profile.provider
        )
        fix = _("Run: ccsetup init -n {name} -p PROVIDER -k KEY, or ccsetup list --providers to see them.").format(
            name=name
        )
        yield at("problem", text, fix)
        return
    missing, fix = "", _("Run: ccsetup key set {name}").format(name=name)
    if profile.key_storage == "env":
        missing = profile.key_env if not house.environ.get(profile.key_env, "").strip() else ""
        fix = _("Run: export {name}=KEY").format(name=profile.key_env)
    elif profile.key_storage == "keyring":
        missing = _("the keyring") if house.facts.keyring(name) is None else ""
    elif not profile.key_command and not house.saved_key(profile):
        missing = house.paths.short(house.key_file(name))
    if missing:
        text = _("The key of profile '{name}' is not where it was saved: {place}").format(name=name, place=missing)
        yield at("problem" if used and profile.key_storage != "inline" else "warning", text, fix)


def models(house: House) -> Iterator[Finding]:
    """Retired models that a saved profile names: the next switch would write them again."""
    ids = {p.id: p for p in house.presets}
    for name, profile in house.profiles.items():
        preset = ids.get(profile.provider)
        if preset is None:
            continue
        table = lookup(house.data(house.paths.profiles, "toml"), profiles.path(name))
        edits: list[Edit] = []
        old = ""
        for client in CLIENTS:
            part = lookup(table, (client,))
            for field, value in part.items() if isinstance(part, dict) else ():
                if "model" in field and isinstance(value, str) and known.successor(preset, value)[0]:
                    old = old or value
                    edits.append(Set((*profiles.path(name), client, field), known.successor(preset, value)[0]))
        if edits:
            first = edits[0]
            yield Finding(
                "warning",
                _("Profile '{name}' names a model that {provider} has replaced: {model}").format(
                    name=name, provider=preset.name, model=old
                ),
                _("Change to {models}.").format(models=known.successor(preset, old)[0]),
                house.paths.profiles,
                house.line(house.paths.profiles, "toml", first.path),
                (Edits(house.paths.profiles, "toml", tuple(edits)),),
            )
