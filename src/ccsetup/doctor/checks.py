"""The table of checks, in the order in which they are shown and repaired."""

from __future__ import annotations

from typing import Callable, Iterable, Literal, NamedTuple, Optional

from ccsetup.clients.claude import problems as claude
from ccsetup.clients.codex import problems as codex
from ccsetup.clients.house import Finding, House
from ccsetup.doctor import files, own, relay, saved, surroundings
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.profiles import RELAY

Needs = Literal["", "settings", "claude_json", "config", "auth", "relay"]


class Check(NamedTuple):
    id: str
    """Stable: programs read it, and the documentation has a section of this name."""
    client: Optional[ClientName]
    title: str
    run: Callable[[House], Iterable[Finding]]
    needs: Needs = ""
    """The file without which there is nothing to check."""


class Outcome(NamedTuple):
    check: Check
    applies: bool
    findings: tuple[Finding, ...]

    @property
    def result(self) -> Literal["ok", "problem", "warning", "-"]:
        if not self.applies:
            return "-"
        if any(f.level != "warning" for f in self.findings):
            return "problem"
        return "warning" if self.findings else "ok"


CC: ClientName = "claude-code"
CX: ClientName = "codex"

CHECKS: tuple[Check, ...] = (
    Check("clients", None, _("Clients and versions"), surroundings.clients),
    Check("unfinished-change", None, _("No change was cut off"), files.unfinished),
    Check("claude-syntax", CC, _("settings.json is strict JSON"), claude.syntax, "settings"),
    Check("claude-types", CC, _("settings.json has the right types"), claude.types, "settings"),
    Check("claude-config-dir", CC, _("No CLAUDE_CONFIG_DIR in settings.json"), claude.config_dir, "settings"),
    Check("claude-other-backend", CC, _("Nothing overrides the address"), claude.other_backend, "settings"),
    Check("claude-base-url", CC, _("The address is a base URL"), claude.base_url),
    Check("claude-legacy", CC, _("Address and models are today's"), claude.legacy, "settings"),
    Check("claude-no-key", CC, _("An address has a key"), claude.no_key),
    Check("claude-two-keys", CC, _("Only one key is sent"), claude.two_keys),
    Check("claude-helper", CC, _("No apiKeyHelper beside a key"), claude.helper, "settings"),
    Check("claude-console-key", CC, _("No console key is sent along"), claude.console_key, "claude_json"),
    Check("claude-key-approval", CC, _("The key is approved"), claude.approval, "settings"),
    Check("claude-tiers", CC, _("Every tier has a model"), claude.tiers, "settings"),
    Check("claude-onboarding", CC, _("Nothing asks for a login"), claude.onboarding),
    Check("claude-shell", CC, _("The shell adds nothing"), surroundings.claude_shell),
    Check("claude-project", CC, _("The folder overrides nothing"), surroundings.claude_project),
    Check("claude-managed", CC, _("The administrator overrides nothing"), surroundings.claude_managed),
    Check("codex-syntax", CX, _("config.toml is TOML"), codex.syntax, "config"),
    Check("codex-loads", CX, _("Codex loads config.toml"), codex.loads, "config"),
    Check("codex-types", CX, _("config.toml has the right types"), codex.types, "config"),
    # Before the id changes by which others filed the key.
    Check("codex-temp-env-key", CX, _("No temp_env_key"), codex.temp_env_key, "config"),
    Check("codex-credentials", CX, _("Providers find their key"), codex.credentials, "config"),
    Check("codex-reserved-id", CX, _("No provider has a reserved id"), codex.reserved_ids, "config"),
    Check("codex-wire-api", CX, _("Providers speak Responses"), codex.wire_api, "config"),
    Check("codex-saved", CX, _("Saved profiles are as Codex reads them"), saved.check, "config"),
    Check("codex-legacy-profile", CX, _("No profiles of the old kind"), codex.legacy_profile, "config"),
    Check("codex-provider", CX, _("The selected provider exists"), codex.provider, "config"),
    Check("codex-fields", CX, _("Providers have name, address and model"), codex.fields, "config"),
    Check("codex-base-url", CX, _("Addresses are base URLs"), codex.base_url, "config"),
    Check("codex-legacy", CX, _("Address and model are today's"), codex.legacy, "config"),
    Check("codex-ignored-keys", CX, _("No keys that Codex ignores"), codex.ignored, "config"),
    Check("codex-files", CX, _("Files that it names are there"), codex.pointers, "config"),
    Check("codex-auth-json", CX, _("auth.json holds a login only"), codex.auth_json, "auth"),
    Check("codex-shell", CX, _("The shell adds nothing"), surroundings.codex_shell),
    Check("codex-project", CX, _("The folder overrides nothing"), surroundings.codex_project),
    Check("codex-managed", CX, _("The administrator overrides nothing"), surroundings.codex_managed),
    Check("codex-background", CX, _("No stale background process"), surroundings.daemon),
    Check("mcp-servers", None, _("MCP servers have a program"), surroundings.servers),
    Check("proxy", None, _("No proxy in front of this machine"), surroundings.proxies),
    Check("profiles", None, _("Saved profiles have preset and key"), own.record),
    Check("profile-models", None, _("Saved profiles name today's models"), own.models),
    Check("relay-config", None, _("relay.yaml can be used"), relay.config, "relay"),
    Check("relay-runs", None, _("The relay runs where it is used"), relay.runs, "relay"),
    Check("relay-modes", None, _("Only you can read the relay's files"), relay.modes, "relay"),
    Check("file-modes", None, _("Only you can read keys"), files.modes),
    Check("git", None, _("No key in a git work tree"), files.git),
    Check("backups", None, _("No keys in others' copies"), files.backups),
    Check("leftovers", None, _("No locks or temporary files left"), files.leftovers),
)


def examine(house: House, checks: Iterable[Check] = CHECKS) -> list[Outcome]:
    """Run every check on *house*."""
    present = {
        "": True,
        "settings": house.exists(house.paths.claude_settings) or house.paths.claude_settings in house.unreadable,
        "claude_json": house.exists(house.paths.claude_json),
        "config": house.exists(house.paths.codex_config) or house.paths.codex_config in house.unreadable,
        "auth": house.exists(house.auth_path),
        "relay": RELAY in house.profiles or house.exists(house.paths.relay_config),
    }
    return [Outcome(c, present[c.needs], tuple(c.run(house)) if present[c.needs] else ()) for c in checks]
