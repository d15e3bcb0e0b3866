"""What a command that changes Codex's settings says of them, and what ``--repair`` corrects."""

from __future__ import annotations

import os
from typing import Optional

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


def notes(files: Files, use: Optional[Use]) -> tuple[Note, ...]:
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
    managed = "/etc/codex/managed_config.toml"
    if os.path.isfile(managed):
        out.append(Note("warning", _("{file} is set by the administrator and wins.").format(file=managed)))
    if use.profile.key_storage != "inline" and files.version >= facts.TUI_SERVER:
        text_ = _("A Codex that runs in the background keeps the old key.")
        out.append(Note("info", text_, _("Run: codex app-server daemon restart")))
    return tuple(out)
