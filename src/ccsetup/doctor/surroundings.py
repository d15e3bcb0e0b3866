"""Checks of what is around the clients' own settings: programs, shell, folder, administrator, proxies."""

from __future__ import annotations

import os
from typing import Any, Iterator, Mapping

from ccsetup.clients import CLIENTS
from ccsetup.clients.claude import problems as claude
from ccsetup.clients.claude.edits import BASE_URL, CREDENTIALS, MODELS, OTHER_BACKENDS, env
from ccsetup.clients.codex import problems as codex
from ccsetup.clients.codex.facts import TUI_SERVER
from ccsetup.clients.house import Edits, Finding, Form, House, Whole, as_text
from ccsetup.documents import dotenv, jsondoc
from ccsetup.documents.edit import Set, lookup
from ccsetup.errors import DocumentError
from ccsetup.i18n import _
from ccsetup.model import CLIENT_NAMES, ClientName
from ccsetup.probe import proxy

INSTALL: Mapping[ClientName, str] = {
    "claude-code": "npm install -g @anthropic-ai/claude-code",
    "codex": "npm install -g @openai/codex",
}


def clients(house: House) -> Iterator[Finding]:
    absent = [c for c in CLIENT_NAMES if house.facts.installed.get(c) is None]
    for client in absent:
        used = house.exists(house.paths.claude_settings if client == "claude-code" else house.paths.codex_config)
        if used or len(absent) == len(CLIENT_NAMES):
            text = _("{client} is not on PATH.").format(client=CLIENTS[client].TITLE)
            yield Finding("warning", text, _("Install it with: {command}").format(command=INSTALL[client]))


_RIDE = ("ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_BETAS", *MODELS)


def claude_shell(house: House) -> Iterator[Finding]:
    shell = {n: v for n, v in house.environ.items() if v.strip()}
    own = house.settings_env
    url = claude.value(house, BASE_URL)
    if BASE_URL in shell and BASE_URL not in own and claude.foreign(shell[BASE_URL]):
        text = _("ANTHROPIC_BASE_URL of this shell sends Claude Code to {url}.").format(url=_host(shell[BASE_URL]))
        yield Finding("warning", text, _("Run: unset {name}").format(name=BASE_URL))
    if not claude.foreign(url.text):
        names = [n for n in CREDENTIALS if n in shell and n not in own]
        if names and not url.text:
            text = _("{names} of this shell is used instead of your login.").format(names=", ".join(names))
            yield Finding("warning", text, _("Run: unset {name}").format(name=" ".join(names)))
        return
    names = [n for n in CREDENTIALS if url.path and n in shell and n not in own]
    if names and not any(as_text(own.get(n)) for n in CREDENTIALS) and not house.settings.get("apiKeyHelper"):
        text = _("The address is in the settings, but its key is {name} of this shell.").format(name=names[0])
        yield Finding("warning", text, _("Save both with: ccsetup init -p PROVIDER -k KEY"))
    ride = [n for n in _RIDE if n in shell and n not in own]
    if ride:
        text = _("This shell adds to the requests: {names}").format(names=", ".join(ride))
        yield Finding("warning", text, _("Run: unset {name}").format(name=" ".join(ride)))


def _host(url: str) -> str:
    """Return the host alone: the rest may hold a password."""
    from urllib.parse import urlsplit

    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def codex_shell(house: House) -> Iterator[Finding]:
    names = [n for n in ("OPENAI_BASE_URL", "OPENAI_MODEL", "CODEX_MODEL") if house.environ.get(n)]
    if names:
        text = _("Codex takes no notice of {names}.").format(names=", ".join(names))
        yield Finding("warning", text, _("Run: unset {name}").format(name=" ".join(names)))
    table = house.providers.get(codex.selected(house), {})
    if house.environ.get("CODEX_API_KEY") and table.get("requires_openai_auth") is True:
        text = _("CODEX_API_KEY of this shell is sent to provider '{name}'.").format(name=codex.selected(house))
        yield Finding("warning", text, _("Run: unset {name}").format(name="CODEX_API_KEY"))
    variable = as_text(table.get("env_key"))
    from ccsetup.clients.codex.effective import read_dotenv

    own = read_dotenv(house.text(house.paths.codex_dotenv), house.environ).get(variable) if variable else None
    if own is not None and house.environ.get(variable) not in (None, "", own):
        text = _("{name} of this shell is not used: the one in this file wins.").format(name=variable)
        fix = _("Run: unset {name}").format(name=variable)
        yield Finding("warning", text, fix, house.paths.codex_dotenv)


_INTERESTING = (BASE_URL, *CREDENTIALS, *MODELS, *OTHER_BACKENDS)


def _names(house: House, path: str) -> tuple[list[str], int]:
    """Return what a settings file sets that decides about the provider, and the first line of it."""
    try:
        data = jsondoc.parse(house.text(path)) if house.exists(path) else {}
    except DocumentError:
        return [], 0
    names = [n for n in _INTERESTING if as_text(lookup(data, ("env", n))).strip()]
    keys: list[tuple[str, ...]] = [("env", n) for n in names]
    for name in ("apiKeyHelper", "model", "forceLoginMethod"):
        if isinstance(data, dict) and as_text(data.get(name)):
            names.append(name)
            keys.append((name,))
    return names, house.line(path, "json", keys[0]) if keys else 0


def claude_project(house: House) -> Iterator[Finding]:
    for name in ("settings.local.json", "settings.json"):
        path = os.path.join(house.paths.cwd, ".claude", name)
        if os.path.realpath(path) == os.path.realpath(house.paths.claude_settings) or not house.exists(path):
            continue
        names, line = _names(house, path)
        if not names:
            continue
        alone = BASE_URL in names and not any(n in names for n in (*CREDENTIALS, "apiKeyHelper"))
        text = (
            _("This folder sends your key to an address of its own.")
            if alone
            else _("In this folder, these win over your settings: {names}").format(names=", ".join(names))
        )
        fix = _("Remove them from the file, or work in another folder.")
        yield Finding("problem" if alone else "warning", text, fix, path, line)


def claude_managed(house: House) -> Iterator[Finding]:
    folder = os.path.join(house.facts.etc, "claude-code")
    more = house.names(os.path.join(folder, "managed-settings.d"), ".json")
    for path in (os.path.join(folder, "managed-settings.json"), *more):
        names, line = _names(house, path)
        if names:
            text = _("The administrator sets these, and they win: {names}").format(names=", ".join(names))
            yield Finding("warning", text, _("Ask your administrator."), path, line)


def servers(house: House) -> Iterator[Finding]:
    """MCP servers whose program is not there: each start of the client waits for them, and complains."""
    import shutil

    files: tuple[tuple[str, Form, str, str], ...] = (
        (house.paths.claude_json, "json", "mcpServers", "claude mcp remove {name}"),
        (house.paths.codex_config, "toml", "mcp_servers", "codex mcp remove {name}"),
    )
    for path, form, key, remove in files:
        found = house.data(path, form).get(key)
        for name, server in found.items() if isinstance(found, dict) else ():
            program = as_text(server.get("command")) if isinstance(server, dict) else ""
            if not program or server.get("enabled") is False:
                continue
            if shutil.which(program, path=house.environ.get("PATH", "")) is None:
                text = _("MCP server '{name}' cannot start: there is no program {program}.").format(
                    name=name, program=program
                )
                fix = _("Install it, or run: {command}").format(command=remove.format(name=name))
                yield Finding("warning", text, fix, path, house.line(path, form, (key, name, "command")))


_NOT_IN_PROJECT: tuple[str, ...] = ("model_provider", "model_providers", "profile", "profiles")
_PROJECT_KEYS: tuple[str, ...] = (
    "model",
    "model_reasoning_effort",
    "web_search",
    "model_context_window",
    "model_catalog_json",
)


def codex_project(house: House) -> Iterator[Finding]:
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
    names = [n for n in _PROJECT_KEYS if n in data]
    if names and trusted and codex.selected(house):
        text = _("In this folder, these win over your settings: {names}").format(names=", ".join(names))
        fix = _("Remove them from the file, or work in another folder.")
        yield Finding("warning", text, fix, path, house.line(path, "toml", (names[0],)))


def codex_managed(house: House) -> Iterator[Finding]:
    for name in ("managed_config.toml", "config.toml"):
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


LOOPBACK = "127.0.0.1,localhost,::1"


def proxies(house: House) -> Iterator[Finding]:
    settings = {n: str(v) for n, v in house.settings_env.items() if isinstance(v, (str, int))}
    url = claude.value(house, BASE_URL)
    if url.path:
        found = _refused("claude-code", url.text, {**house.environ, **settings})
        if found:
            name, text, value = found
            path = house.paths.claude_settings
            line = house.line(path, "json", env(BASE_URL))
            repair = Edits(path, "json", (Set(env(name), value),))
            yield Finding("problem", text, _("Set {name} in the settings.").format(name=name), path, line, (repair,))
    address = codex.selected_url(house)
    if address:
        path = house.paths.codex_dotenv
        found = _refused("codex", address, codex.environment(house))
        if found:
            name, text, value = found
            where = house.paths.codex_config
            line = house.line(where, "toml", ("model_providers", codex.selected(house), "base_url"))
            new = dotenv.set_value(house.text(path), name, value)
            fix = _("Set {name} in {file}.").format(name=name, file=house.paths.short(path))
            yield Finding("problem", text, fix, where, line, (Whole(path, new),))


def _refused(client: ClientName, url: str, environ: Mapping[str, str]) -> Any:
    """Return (variable, sentence, value) when *client* would ask a proxy for an address of this machine."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None
    if host != "localhost" and not host.startswith("127.") and host != "::1":
        return None
    way = proxy.route(client, parts.scheme, host, port, environ)
    if way.proxy is None:
        return None
    name = next((n for n in ("no_proxy", "NO_PROXY") if environ.get(n)), "NO_PROXY")
    value = ",".join(filter(None, (environ.get(name, ""), LOOPBACK)))
    text = _("{variable} sends {client}'s requests to this machine through the proxy.").format(
        variable=way.note, client=CLIENTS[client].TITLE
    )
    return name, text, value


def daemon(house: House) -> Iterator[Finding]:
    found = house.facts.daemon
    if found is None or not found.running or not found.stale or house.version("codex") < TUI_SERVER:
        return
    yield Finding("warning", found.stale, _("Run: codex app-server daemon restart"))
