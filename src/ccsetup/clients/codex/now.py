"""What Codex uses now, for ``list``: read from every file that decides it, and no further than that takes."""

from __future__ import annotations

import json
import os
from typing import Any, Iterator, Mapping, Optional

from ccsetup import bounded, urls
from ccsetup.clients.codex import edits, facts, route
from ccsetup.clients.values import Current, Files
from ccsetup.documents import encoding, tomldoc
from ccsetup.documents.edit import lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.plan import Note


def current(files: Files, etc: str = "/etc/codex") -> Current:
    """Return what Codex uses in the current folder."""
    paths, own = files.paths, files.get(files.paths.codex_config)
    below, above = (toml(os.path.join(etc, name)) for name in facts.ADMINISTRATORS)
    folder = toml(os.path.join(paths.cwd, ".codex", "config.toml"))
    if lookup(own, ("projects", paths.cwd, "trust_level")) != "trusted":
        folder = {}
    data: dict[str, Any] = {}
    for layer in (below, own, {k: v for k, v in folder.items() if k in facts.PROJECT_KEYS}, above):
        data = edits.merged(data, layer)
    chosen = lookup(data, ("profiles", str(data.get("profile"))))
    if files.version < facts.PROFILE_FILES and isinstance(chosen, dict):
        data = edits.merged(data, chosen)
    auth: Mapping[str, Any] = {}
    way = route.route(data, auth, paths.environ)
    if way.table and way.table.get("requires_openai_auth") and any((way.url, *map(data.get, facts.OWN_ADDRESSES))):
        auth = _auth(files)
        way = route.route(data, auth, paths.environ)
    model = data.get("model")
    model = model if isinstance(model, str) else ""
    stopped = _stopped(files, data, way)
    if stopped:
        return Current(way.url, model, way.credential, problem=stopped)
    if way.provider and (way.table is None or (not way.url and facts.is_built_in(way.provider, files.version))):
        text = _("its own provider '{name}' (not set up by ccsetup)").format(name=way.provider)
        return Current("", model, "", problem=text)
    managed = route.addresses(below, above)
    if not way.provider and route.reach(way.url, managed) == "official":
        return Current("", model, "", notes=tuple(_leaks(data, auth, way, managed)))
    credential = way.credential
    if credential == "env_key" and way.table is not None:
        credential = str(way.table["env_key"])
    elif credential == "env_http_headers" and way.table is not None:
        held = way.table[credential]
        credential = str(next(v for h, v in held.items() if h.lower() in facts.CREDENTIAL_HEADERS))
    notes = [*_leaks(data, auth, way, managed), *_without(files, way)]
    return Current(way.url, model, credential, notes=tuple(notes))


def _stopped(files: Files, data: Mapping[str, Any], way: route.CodexRoute) -> str:
    """Return what keeps Codex from starting, of what looks as if it might; ``doctor`` looks at everything."""
    pointer = data.get("model_catalog_json")
    gone = isinstance(pointer, str) and not os.path.exists(
        facts.pointed(files.paths.codex_home, files.paths.home, pointer)
    )
    unknown = bool(way.provider) and way.table is None and not facts.is_built_in(way.provider, files.version)
    if not (gone or unknown or "profile" in data):
        return ""
    from ccsetup.clients.codex.stops import stops

    tables = data.get("model_providers")

    def read(value: str) -> Optional[str]:
        return None if gone and value == pointer else value

    for stop in stops(data, files.version, read=read, beside=lambda n: isinstance(tables, dict) and n in tables):
        if stop.id in ("codex-provider", "codex-legacy-profile") or (gone and stop.key == ("model_catalog_json",)):
            return stop.text
    return ""


def _leaks(
    data: Mapping[str, Any], auth: Mapping[str, Any], way: route.CodexRoute, managed: frozenset[str]
) -> Iterator[Note]:
    for leak in route.leaks(data, auth, managed):
        if route.is_of(leak, way):
            hint = _("Run: ccsetup doctor --fix") if leak.certain and not leak.local else _("See: ccsetup doctor")
            yield Note("warning", f"Codex: {leak.text}", hint)


def _without(files: Files, way: route.CodexRoute) -> Iterator[Note]:
    """Tell of a provider that gets no key, and where one would come from."""
    if way.credential or urls.is_loopback(way.url):
        return
    place = f"{files.paths.short(files.paths.codex_config)}, [model_providers.{way.provider}]"
    text = _("Codex sends no key to {host}: none is set in {place}.")
    if way.table is not None and way.table.get("requires_openai_auth") is True:
        place = files.paths.short(os.path.join(files.paths.codex_home, "auth.json"))
        text = _("Codex has no key for {host}, and asks for a login: none is in {place}.")
    hint = _("Set the provider up with: ccsetup init -T codex -p PROVIDER -k KEY")
    yield Note("warning", text.format(host=urls.host(way.url), place=place), hint)


def toml(path: str) -> dict[str, Any]:
    """Return what the file at *path* says, {} where there is none that can be read."""
    try:
        return dict(tomldoc.parse(encoding.decode(bounded.found(path))))
    except (OSError, CcsetupError):
        return {}  # ``test`` and ``doctor`` tell of it


def _auth(files: Files) -> Mapping[str, Any]:
    try:
        found = json.loads(bounded.found(os.path.join(files.paths.codex_home, "auth.json")).decode("utf-8"))
    except (OSError, ValueError, RecursionError, CcsetupError):
        return {}
    return found if isinstance(found, dict) else {}
