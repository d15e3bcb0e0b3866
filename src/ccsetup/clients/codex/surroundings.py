"""Checks of what is around Codex's own settings: shell, folder, administrator, proxies, its background process."""

from __future__ import annotations

import os
import time
from typing import Iterator, Optional

from ccsetup.clients.codex import credentials
from ccsetup.clients.codex import problems as codex
from ccsetup.clients.codex.facts import ADMINISTRATORS, PROJECT_KEYS, TUI_SERVER
from ccsetup.clients.house import Address, Daemon, Finding, House, Whole, as_text
from ccsetup.documents import dotenv
from ccsetup.documents.edit import lookup
from ccsetup.i18n import _
from ccsetup.model import Version
from ccsetup.paths import Paths


def shell(house: House) -> Iterator[Finding]:
    names = [n for n in ("OPENAI_BASE_URL", "OPENAI_MODEL", "CODEX_MODEL") if house.environ.get(n)]
    if names:
        text = _("Codex takes no notice of {names}.").format(names=", ".join(names))
        yield Finding("warning", text, _("Run: unset {name}").format(name=" ".join(names)))
    table = house.providers.get(codex.selected(house), {})
    if house.environ.get("CODEX_API_KEY") and table.get("requires_openai_auth") is True:
        text = _("CODEX_API_KEY of this shell is sent to provider '{name}'.").format(name=codex.selected(house))
        yield Finding("warning", text, _("Run: unset {name}").format(name="CODEX_API_KEY"))
    variable = as_text(table.get("env_key"))
    from ccsetup.clients.codex.dotenv import read_dotenv

    own = read_dotenv(house.text(house.paths.codex_dotenv), house.environ).get(variable) if variable else None
    if own is not None and house.environ.get(variable) not in (None, "", own):
        text = _("{name} of this shell is not used: the one in this file wins.").format(name=variable)
        fix = _("Run: unset {name}").format(name=variable)
        yield Finding("warning", text, fix, house.paths.codex_dotenv)


_NOT_IN_PROJECT: tuple[str, ...] = ("model_provider", "model_providers", "profile", "profiles")


def project(house: House) -> Iterator[Finding]:
    path = os.path.join(house.paths.cwd, ".codex", "config.toml")
    if os.path.realpath(path) == os.path.realpath(house.paths.codex_config) or not house.exists(path):
        return
    data = house.data(path, "toml")
    names = [n for n in _NOT_IN_PROJECT if n in data]
    if names:
        text = _("Codex ignores these in a folder's file: {names}").format(names=", ".join(names))
        fix = _("Use a profile instead: codex -p NAME")
        yield Finding("warning", text, fix, path, house.line(path, "toml", (names[0],)))
    trusted = lookup(house.codex, ("projects", house.paths.cwd, "trust_level")) == "trusted"
    names = [n for n in PROJECT_KEYS if n in data]
    if names and trusted and codex.selected(house):
        text = _("In this folder, these win over your settings: {names}").format(names=", ".join(names))
        fix = _("Remove them from the file, or work in another folder.")
        yield Finding("warning", text, fix, path, house.line(path, "toml", (names[0],)))


def managed(house: House) -> Iterator[Finding]:
    for name in reversed(ADMINISTRATORS):
        path = os.path.join(house.facts.etc, "codex", name)
        if not house.exists(path):
            continue
        data = house.data(path, "toml")
        tables = data.get("model_providers")
        for provider, table in tables.items() if isinstance(tables, dict) else ():
            if isinstance(table, dict) and table.get("wire_api") == "chat":
                text = _("wire_api = \"{wire}\" in provider '{name}' stops every codex command.").format(
                    wire="chat", name=provider
                )
                line = house.line(path, "toml", ("model_providers", provider, "wire_api"))
                yield Finding("problem", text, _("Ask your administrator."), path, line)
        names = [n for n in ("model", "model_provider", "profile") if n in data]
        if names and name == "managed_config.toml":
            text = _("The administrator sets these, and they win: {names}").format(names=", ".join(names))
            yield Finding("warning", text, _("Ask your administrator."), path, house.line(path, "toml", (names[0],)))


def address(house: House) -> Optional[Address]:
    """Return the selected provider's address, for the check of proxies."""
    url, path, config = codex.selected_url(house), house.paths.codex_dotenv, house.paths.codex_config
    if not url:
        return None
    return Address(
        url,
        credentials.environment(house),
        (config, house.line(config, "toml", ("model_providers", codex.selected(house), "base_url"))),
        _("Set {name} in {file}.").replace("{file}", house.paths.short(path)),
        lambda name, value: Whole(path, dotenv.set_value(house.text(path), name, value)),
    )


def stale(house: House) -> Iterator[Finding]:
    found = house.facts.daemons.get("codex")
    if found is None or not found.running or not found.stale or house.version("codex") < TUI_SERVER:
        return
    yield Finding("warning", found.stale, _("Run: codex app-server daemon restart"))


def background(paths: Paths, version: Optional[Version]) -> Optional[Daemon]:
    """Ask Codex for its background process, where one was ever started (observed with 0.169.0)."""
    note = os.path.join(paths.codex_home, "app-server-daemon", "daemon.pid")
    if version is None or version < TUI_SERVER or not os.path.isfile(note):
        return None
    import json
    import subprocess

    try:
        done = subprocess.run(
            ["codex", "app-server", "daemon", "version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(paths.environ),
            timeout=5,
            check=False,
        )
        said = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    if not isinstance(said, dict) or said.get("status") != "running":
        return None
    server, program = str(said.get("appServerVersion", "")), str(said.get("cliVersion", ""))
    stale = ""
    if server and program and server != program:
        stale = _("A Codex {old} runs in the background; {new} is installed.").format(old=server, new=program)
    else:
        started = _time(note)
        newer = [p for p in (paths.codex_dotenv, os.path.join(paths.codex_home, "auth.json")) if _newer(p, started)]
        if newer:
            stale = _("A Codex in the background started before {file} was changed, and keeps the old keys.").format(
                file=paths.short(newer[0])
            )
    return Daemon(True, server, stale)


def _newer(path: str, started: float) -> bool:
    try:
        return os.stat(path).st_mtime > started
    except OSError:
        return False


def _time(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return time.time()
