"""Codex, as the program knows every client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, Optional, Sequence, Union

from ccsetup import urls
from ccsetup.clients import releases
from ccsetup.clients.base import Client
from ccsetup.clients.codex import edits, endpoints
from ccsetup.clients.codex.beside import ProfileFiles
from ccsetup.clients.values import (
    Correction,
    Current,
    Files,
    KnownValues,
    Sending,
    Start,
    Starting,
    Use,
    Wishes,
    version,
)
from ccsetup.documents.edit import lookup
from ccsetup.i18n import _
from ccsetup.model import CodexEndpoint, Endpoint, Preset, Region, Secret, Unsupported, Version
from ccsetup.paths import Paths
from ccsetup.plan import FileChange, Note, Owned
from ccsetup.profiles import Profile

if TYPE_CHECKING:
    from ccsetup.clients.found import FoundProvider, ToolFiles
    from ccsetup.clients.house import Address, Check, Daemon, House, Judgement, McpServers
    from ccsetup.probe.network import Network
    from ccsetup.probe.target import Target


class Codex(Client):
    id = "codex"
    title = "Codex"
    program = "codex"
    aliases = ("cx",)
    option = "codex"
    wire = "responses"
    install = "npm install -g @openai/codex"
    newest = version(releases.CODEX[0])
    user_agent = f"codex_exec/{releases.CODEX[0]}"
    extras = "set"
    fields = (*Client.fields, "provider_id")
    storages = (*Client.storages, "dotenv")
    usual = "home:.codex"
    beside = ProfileFiles()
    restart = ("codex", "app-server", "daemon", "restart")

    def folder(self, paths: Paths) -> str:
        return paths.codex_home

    def settings(self, paths: Paths) -> str:
        return paths.codex_config

    def unreadable(self) -> str:
        return _("Codex does not start with the file as it is.")

    def offered(self, region: Region) -> Union[Endpoint, Unsupported]:
        return region.codex

    def speaks(self, endpoint: Union[Endpoint, Unsupported]) -> bool:
        return isinstance(endpoint, CodexEndpoint) and endpoint.wire != "chat"

    def endpoint(self, profile: Profile, preset: Preset) -> CodexEndpoint:
        return endpoints.endpoint(profile, preset)

    def installed(self, paths: Paths, *, ask: bool = True) -> tuple[Version, ...]:
        from ccsetup.clients.codex import start

        return start.codex_versions(paths.environ, paths.home)

    def documents(self, paths: Paths) -> tuple[tuple[str, str], ...]:
        return edits.documents(paths)

    def use(self, files: Files, use: Use) -> Wishes:
        return edits.use(files, use)

    def official(self, files: Files, owned: Mapping[str, tuple[Owned, ...]]) -> Wishes:
        return edits.official(files, owned)

    def login(self, paths: Paths) -> tuple[tuple[str, str], ...]:
        return ((os.path.join(paths.codex_home, "auth.json"), "json"),)

    def is_own(self, url: str) -> bool:
        from ccsetup.clients.codex import route

        return route.reach(url) == "official"

    def administrator(self) -> Mapping[str, Any]:
        from ccsetup.clients.codex import account

        return account.administrator()

    def left_over(self, files: Files, known: KnownValues, administrator: Mapping[str, Any]) -> Sequence[Correction]:
        from ccsetup.clients.codex import account

        return account.leftovers(files, known, administrator)

    def hindrances(self, files: Files, administrator: Mapping[str, Any]) -> Sequence[Note]:
        from ccsetup.clients.codex import account

        return account.hindrances(files, administrator)

    def saved(self, files: Files, use: Use) -> Wishes:
        return edits.saved(files, use)

    def saved_paths(self, paths: Paths, profile: str, version: Version) -> tuple[tuple[str, str], ...]:
        return edits.saved_paths(paths, profile, version)

    def hidden(self, files: Files) -> Iterable[str]:
        for data in files.data.values():
            tables = lookup(data, ("model_providers",))
            for table in tables.values() if isinstance(tables, dict) else ():
                for member in ("http_headers", "query_params"):
                    found = lookup(table, (member,))
                    values = found.values() if isinstance(found, dict) else ()
                    yield from (v for v in values if isinstance(v, str) and not urls.is_address(v))

    def providers(self, store: ToolFiles) -> Iterable[FoundProvider]:
        from ccsetup.clients.codex import found

        return found.active(store)

    def tidied(self, changes: Sequence[FileChange]) -> tuple[FileChange, ...]:
        if not any(c.path.endswith(("config.toml", ".models.json")) for c in changes):
            return tuple(changes)
        from ccsetup.clients.codex import catalog

        return catalog.tidied(changes)

    def missing(self, changes: Sequence[FileChange]) -> Sequence[str]:
        from ccsetup.clients.codex import catalog

        return catalog.missing(changes)

    def setting_problem(self, name: str, value: Any) -> str:
        from ccsetup.clients.codex import settings

        return settings.problem(name, value, self.newest)

    def current(self, files: Files) -> Current:
        from ccsetup.clients.codex import now

        return now.current(files)

    def matches(self, files: Files, use: Use) -> bool:
        return edits.matches(files, use)

    def notes(self, files: Files, use: Optional[Use]) -> tuple[Note, ...]:
        from ccsetup.clients.codex import notes

        return notes.notes(files, use)

    def repairs(self, files: Files) -> Sequence[Correction]:
        from ccsetup.clients.codex import notes

        return [Correction(files.paths.codex_config, "toml", text, found) for found, text in notes.repairs(files)]

    def checks(self) -> Sequence[Check]:
        from ccsetup.clients.codex import checks

        return checks.CHECKS

    def servers(self, paths: Paths) -> Optional[McpServers]:
        from ccsetup.clients.house import McpServers

        return McpServers(paths.codex_config, "toml", "mcp_servers", "codex mcp remove {name}")

    def own_address(self, house: House) -> Optional[Address]:
        from ccsetup.clients.codex import surroundings

        return surroundings.address(house)

    def background(self, paths: Paths, version: Optional[Version]) -> Optional[Daemon]:
        from ccsetup.clients.codex import surroundings

        return surroundings.background(paths, version)

    def judge(self, paths: Paths, version: Version) -> Optional[Callable[[str], Optional[Judgement]]]:
        from ccsetup.clients.codex import start

        known: dict[str, Optional[Judgement]] = {}

        def ask(text: str) -> Optional[Judgement]:
            if text not in known:
                known[text] = start.ask(paths, version, text)
            return known[text]

        return ask

    def target(
        self, paths: Paths, version: Callable[[], Version], presets: Callable[[], Iterable[Preset]]
    ) -> Optional[Target]:
        from ccsetup.clients.codex import effective

        found = effective.target(paths, version, presets)
        return self.signed(found, version()) if found is not None else None

    def network(self, version: Version) -> Network:
        from ccsetup.clients.codex import network

        return network.network(version)

    def asked(self, use: Use, key: Optional[Secret], source: str) -> Sending:
        from ccsetup.clients.codex import run

        return run.asked(super().asked(use, key, source), use)

    def start(self, starting: Starting, given: Sequence[str]) -> tuple[Start, Sequence[Note]]:
        from ccsetup.clients.codex import run

        return run.start(starting, given), ()
