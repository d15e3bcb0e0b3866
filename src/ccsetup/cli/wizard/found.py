"""Keys that are on this machine already: in a variable, in a client's settings, in the store of another tool.

Everything is read only, and what cannot be read is passed over: these files are not ours.  A key is offered
for a provider only when it was in use at one of that provider's own addresses, or its variable names the provider.
"""

from __future__ import annotations

import os
import re
from typing import Any, Iterable, Iterator, Mapping, NamedTuple, Optional

from ccsetup import bounded, importers, keys
from ccsetup.change.world import World
from ccsetup.clients.claude.found import from_env
from ccsetup.documents.edit import lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.importers import stores
from ccsetup.model import Preset, Secret
from ccsetup.paths import Paths
from ccsetup.presets.addresses import region_of

MAX_BYTES = 1 << 20


class FoundKey(NamedTuple):
    """A key, and where it was."""

    key: Secret
    place: str
    """For people: a variable, a client, another tool."""
    url: str = ""
    """The address that it is used with there, or ""."""
    variable: str = ""
    """The variable of the environment that holds it, or the name it has in a file of variables."""
    provider: str = ""
    """For a profile of ours: its provider and region."""
    region: str = ""


def tail(key: Secret) -> str:
    """Return what may be shown of *key*: its last four characters, of a short one nothing."""
    text = key.reveal()
    return "..." + text[-4:] if len(text) >= 12 else "***"


def everywhere(world: World) -> list[FoundKey]:
    """Return every key that can be found, the likeliest first."""
    paths = world.paths
    out: list[FoundKey] = []
    for places in (
        _profiles(world), _claude(world, paths), _codex(world, paths),
        *(_stored(paths, tool) for tool in stores.SOURCES if tool != "clients"), _ccm(paths),
    ):  # fmt: skip
        try:
            out.extend(places)
        except (CcsetupError, OSError, ValueError, RecursionError):
            continue
    return out


def fitting(found: Iterable[FoundKey], preset: Preset, environ: Mapping[str, str]) -> list[tuple[FoundKey, str]]:
    """Return the keys that belong to *preset*, each once, with the region that they are for ("" not known)."""
    out: list[tuple[FoundKey, str]] = []
    if preset.key_env and environ.get(preset.key_env):
        key = _key(environ[preset.key_env])
        if key:
            out.append((FoundKey(key, f"${preset.key_env}", variable=preset.key_env), ""))
    names = {preset.key_env, re.sub(r"[^A-Za-z0-9]", "_", preset.id).upper() + "_API_KEY"}
    for one in found:
        if one.provider:
            if one.provider == preset.id and preset.id != "custom":
                out.append((one, one.region))
        elif one.url:
            region = region_of(preset, one.url)
            if region is not None:
                out.append((one, region))
        elif one.variable in names:
            out.append((one, ""))
    unique: dict[str, tuple[FoundKey, str]] = {}
    for one, region in out:
        text = one.key.reveal()
        if text in unique:
            first, known = unique[text]
            place = first.place if one.place in first.place else f"{first.place}, {one.place}"
            unique[text] = (first._replace(place=place), known or region)
        else:
            unique[text] = (one, region)
    return list(unique.values())


def _key(text: Any) -> Optional[Secret]:
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        return keys.clean(text, "-")
    except CcsetupError:
        return None


def _profiles(world: World) -> Iterator[FoundKey]:
    """Keys of our own profiles that can be read without asking a keyring or running a command."""
    for profile in world.profiles.values():
        if profile.key_storage not in ("inline", "command", "dotenv") or profile.key_command:
            continue
        try:
            key = world.key(profile)
        except CcsetupError:
            continue
        if key:
            place = _("profile '{name}'").format(name=profile.name)
            urls = [p.url for p in profile.parts.values() if p.url]
            if urls:  # an address of the user's own: only for that address
                yield FoundKey(key, place, urls[0])
            else:
                yield FoundKey(key, place, provider=profile.provider, region=profile.region)


def _claude(world: World, paths: Paths) -> Iterator[FoundKey]:
    data = world.draft.data(paths.claude_settings, "json")
    found = from_env("clients", "", lookup(data, ("env",)))
    if found and found.key:
        yield FoundKey(found.key, "Claude Code", found.part.url)


def _stored(paths: Paths, tool: str) -> Iterator[FoundKey]:
    """Keys in the store of another tool, as ``ccsetup import`` reads it."""
    for one in stores.SOURCES[tool](importers.store(paths)):
        if one.key:
            yield FoundKey(one.key, tool, one.part.url)


def _codex(world: World, paths: Paths) -> Iterator[FoundKey]:
    data = world.draft.data(paths.codex_config, "toml")
    tables = lookup(data, ("model_providers",))
    active = lookup(data, ("model_provider",))
    url = ""
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if not isinstance(table, dict) or not isinstance(table.get("base_url"), str):
            continue
        if name == active and table.get("requires_openai_auth") is True:
            url = table["base_url"]
        key = _key(table.get("experimental_bearer_token"))
        if key:
            yield FoundKey(key, "Codex", table["base_url"])
        variable = table.get("env_key")
        if isinstance(variable, str):
            key = _key(paths.environ.get(variable))
            if key:
                yield FoundKey(key, f"${variable}", table["base_url"], variable)
    import json

    login = json.loads(_text(os.path.join(paths.codex_home, "auth.json")) or "{}")
    key = _key(login.get("OPENAI_API_KEY")) if isinstance(login, dict) else None
    if key:
        yield FoundKey(key, "Codex (auth.json)", url or "https://api.openai.com/v1")


def _ccm(paths: Paths) -> Iterator[FoundKey]:
    """``~/.ccm_config``: shell variables such as GLM_API_KEY (ccm 2)."""
    for line in _text(os.path.join(paths.home, ".ccm_config")).splitlines():
        said = re.fullmatch(r"\s*(?:export\s+)?([A-Z][A-Z0-9_]*_API_KEY)=(['\"]?)([^'\"#\s]*)\2\s*(?:#.*)?", line)
        key = _key(said[3]) if said else None
        if said and key:
            yield FoundKey(key, "ccm", variable=said[1])


def _text(path: str) -> str:
    """Return a regular file's text, "" where there is none or it is no such file."""
    try:
        return bounded.found(path, MAX_BYTES).decode("utf-8-sig", "replace")
    except (OSError, bounded.TooLarge):
        return ""
