"""Claude Code, as the program knows every client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping, Optional, Sequence, Union

from ccsetup import urls
from ccsetup.clients import releases
from ccsetup.clients.base import Client
from ccsetup.clients.claude import edits, endpoints, facts
from ccsetup.clients.values import Correction, Current, Effective, Files, Sending, Start, Starting, Use, Wishes, version
from ccsetup.documents.edit import lookup
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint, Endpoint, Preset, Region, Secret, Unsupported, Version
from ccsetup.paths import Paths
from ccsetup.plan import Note, Owned
from ccsetup.profiles import Profile

if TYPE_CHECKING:
    from ccsetup.clients.found import FoundProvider, ToolFiles
    from ccsetup.clients.house import Address, Check, House, McpServers
    from ccsetup.probe.network import Network
    from ccsetup.probe.target import Target


class ClaudeCode(Client):
    id = "claude-code"
    title = "Claude Code"
    program = "claude"
    aliases = ("cc", "claude")
    option = "claude"
    reads_utf16 = True
    wire = "anthropic"
    install = "npm install -g @anthropic-ai/claude-code"
    newest = version(releases.CLAUDE_CODE[0])
    user_agent = f"claude-cli/{releases.CLAUDE_CODE[0]} (external, sdk-cli)"
    extras = "env"
    fields = (*Client.fields, "auth", *(f"{t}_model" for t in ("haiku", "sonnet", "opus", "fable", "subagent")))
    usual = "home:.claude"
    projects = True

    def folder(self, paths: Paths) -> str:
        return paths.claude_dir

    def settings(self, paths: Paths) -> str:
        return paths.claude_settings

    def unreadable(self) -> str:
        return _("Claude Code ignores the whole file as it is.")

    def offered(self, region: Region) -> Union[Endpoint, Unsupported]:
        return region.claude

    def endpoint(self, profile: Profile, preset: Preset) -> ClaudeEndpoint:
        return endpoints.endpoint(profile, preset)

    def installed(self, paths: Paths, *, ask: bool = True) -> tuple[Version, ...]:
        from ccsetup.clients import installed

        # Hardly anything depends on it, and asking the program would take as long as all the rest.
        found = installed.claude_version(paths.environ, run=ask)
        return (found,) if found else ()

    def documents(self, paths: Paths) -> tuple[tuple[str, str], ...]:
        return edits.documents(paths)

    def use(self, files: Files, use: Use) -> Wishes:
        return edits.use(files, use)

    def official(self, files: Files, owned: Mapping[str, tuple[Owned, ...]]) -> Wishes:
        return edits.official(files, owned)

    def hidden(self, files: Files) -> Iterable[str]:
        found = lookup(files.get(files.paths.claude_settings), facts.env("ANTHROPIC_CUSTOM_HEADERS"))
        lines = found.splitlines() if isinstance(found, str) else []
        values = (line.partition(":")[2].strip() for line in lines)
        return [value for value in values if not urls.is_address(value)]

    def providers(self, store: ToolFiles) -> Iterable[FoundProvider]:
        from ccsetup.clients.claude import found

        now = found.from_env("clients", self.program, store.data(self.settings(store.paths), "json").get("env"))
        return [now] if now else []

    def setting_problem(self, name: str, value: Any) -> str:
        return edits.setting_problem(name, value)

    def current(self, files: Files) -> Current:
        return edits.current(files)

    def effective(self, files: Files) -> Effective:
        from ccsetup.clients.claude import now

        return now.effective(files)

    def matches(self, files: Files, use: Use) -> bool:
        return edits.matches(files, use)

    def notes(self, files: Files, use: Optional[Use]) -> tuple[Note, ...]:
        from ccsetup.clients.claude import notes

        return notes.notes(files, use)

    def hindrances(self, files: Files, administrator: Mapping[str, Any]) -> Sequence[Note]:
        from ccsetup.clients.claude import notes

        return notes.hindrances(files)

    def rides_along(self, files: Files) -> Sequence[Note]:
        from ccsetup.clients.claude import notes

        return notes.console_note(files)

    def repairs(self, files: Files) -> Sequence[Correction]:
        from ccsetup.clients.claude import notes

        return notes.repairs(files)

    def checks(self) -> Sequence[Check]:
        from ccsetup.clients.claude import checks

        return checks.CHECKS

    def servers(self, paths: Paths) -> Optional[McpServers]:
        from ccsetup.clients.house import McpServers

        return McpServers(paths.claude_json, "json", "mcpServers", "claude mcp remove {name}")

    def own_address(self, house: House) -> Optional[Address]:
        from ccsetup.clients.claude import advice

        return advice.address(house)

    def target(
        self, paths: Paths, version: Callable[[], Version], presets: Callable[[], Iterable[Preset]]
    ) -> Optional[Target]:
        from ccsetup.clients.claude import effective

        found = effective.target(paths, presets, version())
        return self.signed(found, version()) if found is not None else None

    def network(self, version: Version) -> Network:
        from ccsetup.clients.claude import network

        return network.network(version)

    def signed(self, target: Target, version: Version) -> Target:
        if target.kind != "effective" and target.environ.get(facts.UNIX_SOCKET):
            from ccsetup.clients.claude.problems import silenced

            found = silenced()
            target = target._replace(findings=(*target.findings, Note("blocked", found.text, found.fix)))
        return super().signed(target, version)

    def asked(self, use: Use, key: Optional[Secret], source: str) -> Sending:
        from ccsetup.clients.claude import effective

        return effective.asked(use, key, source)

    def takes_variables(self) -> bool:
        return True

    def variables(self, files: Files, use: Use) -> Mapping[str, Any]:
        from ccsetup.clients.claude import start

        return start.variables(files, use)

    def hides(self, files: Files, names: Sequence[str]) -> tuple[str, Sequence[str]]:
        from ccsetup.clients.claude import start

        return start.hides(files, names)

    def start(self, starting: Starting, given: Sequence[str]) -> tuple[Start, Sequence[Note]]:
        from ccsetup.clients.claude import start

        return start.start(starting, given)
