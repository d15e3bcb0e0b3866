"""What a command that changes Codex's settings says of them, and what ``--repair`` corrects."""

from __future__ import annotations

import os
from typing import Any, Iterator, Literal, Mapping, Optional

from ccsetup.clients.codex import facts
from ccsetup.clients.codex.stops import stops
from ccsetup.clients.values import Files, Use
from ccsetup.documents.edit import MISSING, Edit, KeyPath, lookup
from ccsetup.i18n import _
from ccsetup.plan import Note


def repairs(files: Files) -> tuple[tuple[tuple[Edit, ...], str], ...]:
    """Return the edits that let this Codex start again, each with what it does; only where they are plainly right."""
    found = stops(files.get(files.paths.codex_config), files.version)
    return tuple((s.edits, s.done) for s in found if s.done)


def notes(files: Files, use: Optional[Use], etc: str = "/etc") -> tuple[Note, ...]:
    """Tell what stops today's Codex from starting, and what wins over these settings."""
    path = files.paths.codex_config
    data = files.get(path)
    text = files.text.get(path, "")

    def at(key: KeyPath, text_: str) -> str:
        from ccsetup.documents import tomldoc

        return f"{files.paths.short(path)}:{tomldoc.locate(text, key)}: {text_}"

    out = [Note("blocked", at(s.key, s.text), s.fix) for s in stops(data, files.version)]
    providers = lookup(data, ("model_providers",))
    for name, table in providers.items() if isinstance(providers, dict) else ():
        if isinstance(table, dict) and "temp_env_key" in table and not any(map(table.get, facts.CREDENTIAL_KEYS)):
            said = _("Codex ignores temp_env_key, so provider '{name}' is used without a key.").format(name=name)
            hint = _("Change it to env_key, or set the provider up with ccsetup init.")
            out.append(Note("warning", at(("model_providers", name, "temp_env_key"), said), hint))
    if use is None:
        return tuple(out)
    old = ("profiles", use.profile.name)
    if files.version >= facts.PROFILE_FILES and lookup(data, old) is not MISSING:
        said = _("this table keeps 'codex --profile {name}' from starting.").format(name=use.profile.name)
        hint = _("Remove the table; {file} replaces it.").format(
            file=files.paths.short(files.paths.codex_profile(use.profile.name))
        )
        out.append(Note("warning", at(old, said), hint))
    out += _administrators(files, data, etc)
    if use.profile.key_storage != "inline" and files.version >= facts.TUI_SERVER:
        text_ = _("A Codex that runs in the background keeps the old key.")
        out.append(Note("info", text_, _("Run: codex app-server daemon restart")))
    return tuple(out)


def _administrators(files: Files, own: Mapping[str, Any], etc: str) -> Iterator[Note]:
    """Tell what the administrator's files change of these settings: another way of requests keeps them from working."""
    paths, ask = [os.path.join(etc, "codex", name) for name in facts.ADMINISTRATORS], _("Ask your administrator.")
    if not any(map(os.path.isfile, paths)):
        return
    from ccsetup.clients.codex import effective, route

    broken: list[Note] = []
    above = effective.layers(paths[1:], files.paths, broken)
    below = effective.layers(paths[:1], files.paths, broken)
    path = files.paths.codex_config
    mine = effective.Layer(path, files.paths.short(path), files.text.get(path, ""), own)
    every, known = [*above, mine, *below], list(effective.stopping(files.paths, [mine], files.version))
    stopped = (n for n in effective.stopping(files.paths, every, files.version) if n not in known)
    yield from (n._replace(hint=ask) for n in (*broken, *stopped))
    data = effective.merged(every)
    wanted, got = (route.route(d, {}, files.paths.environ) for d in (own, data))
    away = (wanted.provider, wanted.url, wanted.credential) != (got.provider, got.url, got.credential)
    table = ("model_providers", wanted.provider)
    keys: list[KeyPath] = [("model_provider",), ("model",), *((*table, k) for k in lookup(data, table) or ())]
    keys = [k for k in keys if lookup(data, k) != lookup(own, k)]
    for layer in (*above, *below):
        names = [k for k in keys if lookup(layer.data, k) is not MISSING]
        if names:
            text = _("The administrator sets these, and they win: {names}").format(
                names=", ".join(map(".".join, names))
            )
            level: Literal["blocked", "warning"] = "blocked" if away and names != [("model",)] else "warning"
            yield Note(level, f"{layer.where(names[0])}: {text}", ask)
