"""The table of checks, in the order in which they are shown and repaired."""

from __future__ import annotations

from typing import Iterable, Literal, NamedTuple, Optional

from ccsetup.clients import CLIENTS
from ccsetup.clients.house import SAVED, Check, Finding, House
from ccsetup.doctor import files, own, relay, saved, surroundings
from ccsetup.i18n import _
from ccsetup.profiles import RELAY


class Examined(NamedTuple):
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


def _relay(house: House) -> bool:
    return RELAY in house.profiles or house.exists(house.paths.relay_config)


_FIRST = (
    Check("clients", None, _("Clients and versions"), surroundings.clients),
    Check("unfinished-change", None, _("No change was cut off"), files.unfinished),
)
_LAST = (
    Check("mcp-servers", None, _("MCP servers have a program"), surroundings.servers),
    Check("proxy", None, _("No proxy in front of this machine"), surroundings.proxies),
    Check("profiles", None, _("Saved profiles have preset and key"), own.record),
    Check("profile-models", None, _("Saved profiles name today's models"), own.models),
    Check("relay-config", None, _("relay.yaml can be used"), relay.config, _relay),
    Check("relay-runs", None, _("The relay runs where it is used"), relay.runs, _relay),
    Check("relay-modes", None, _("Only you can read the relay's files"), relay.modes, _relay),
    Check("file-modes", None, _("Only you can read keys"), files.modes),
    Check("git", None, _("No key in a git work tree"), files.git),
    Check("backups", None, _("No keys in others' copies"), files.backups),
    Check("leftovers", None, _("No locks or temporary files left"), files.leftovers),
)


def checks() -> tuple[Check, ...]:
    """Return every check, in the order in which they are shown and repaired."""
    own = (
        check._replace(run=saved.check_of(client.id)) if check.run is SAVED else check
        for client in CLIENTS.values()
        for check in client.checks()
    )
    return (*_FIRST, *own, *_LAST)


def examine(house: House, chosen: Optional[Iterable[Check]] = None) -> list[Examined]:
    """Run *chosen*, or every check, on *house*."""
    out = []
    for check in checks() if chosen is None else chosen:
        applies = check.needs(house)
        out.append(Examined(check, applies, tuple(check.run(house)) if applies else ()))
    return out
