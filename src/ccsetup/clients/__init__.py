"""The clients that ccsetup sets up: a line for each."""

from __future__ import annotations

from typing import Any, Sequence

from ccsetup.clients.base import Client
from ccsetup.clients.claude.client import ClaudeCode
from ccsetup.clients.codex.client import Codex
from ccsetup.documents import FORMATS
from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.plan import FileChange

CLIENTS: dict[ClientName, Client] = {}
"""By id, in the order of lists; the first one is meant where nobody says which."""

__all__ = ["CLIENTS", "Client", "clients_named", "register", "tidied", "usual_client"]


def register(client: Client) -> None:
    CLIENTS[client.id] = client
    FORMATS.update(client.formats)


register(ClaudeCode())
register(Codex())


def tidied(changes: Sequence[FileChange]) -> tuple[FileChange, ...]:
    """Return *changes* with those of files that several profiles share: each goes with the last that names it."""
    for client in CLIENTS.values():
        changes = client.tidied(changes)
    return tuple(changes)


def usual_client(among: Any = ()) -> ClientName:
    """Return the first client among those of *among*, or of all."""
    return next((c for c in CLIENTS if c in among), next(iter(CLIENTS)))


def clients_named(values: Any) -> list[ClientName]:
    """Return the clients that ``-T`` or ``codeType`` names, each once and in the program's order; [] for none given."""
    out: set[ClientName] = set()
    words = {w: client.id for client in CLIENTS.values() for w in (client.id, *client.aliases)}
    for value in values or ():
        for word in value.lower().replace(" ", "").split(","):
            if word != "all" and word not in words:
                valid = ", ".join(f"{c.id} ({', '.join(c.aliases)})" for c in CLIENTS.values())
                raise UsageError(
                    _("Invalid client '{value}'. Valid clients: {valid}, all").format(
                        value=printable(word), valid=valid
                    )
                )
            out.update(CLIENTS if word == "all" else (words[word],))
    return [c for c in CLIENTS if c in out]
