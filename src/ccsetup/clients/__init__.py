"""The clients that ccsetup sets up."""

from __future__ import annotations

from typing import Any, Mapping

from ccsetup.clients.base import Client
from ccsetup.clients.claude import edits as claude
from ccsetup.clients.codex import edits as codex
from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import CLIENT_NAMES, ClientName

CLIENTS: Mapping[ClientName, Client] = {"claude-code": claude, "codex": codex}

__all__ = ["CLIENTS", "Client", "clients_named"]


def clients_named(values: Any) -> list[ClientName]:
    """Return the clients that ``-T`` or ``codeType`` names, each once and in the program's order; [] for none given."""
    out: set[ClientName] = set()
    for value in values or ():
        for word in value.split(","):
            if word == "all":
                out.update(CLIENT_NAMES)
            elif word in ("claude-code", "cc"):
                out.add("claude-code")
            elif word in ("codex", "cx"):
                out.add("codex")
            else:
                raise UsageError(
                    _("Invalid client '{value}'. Valid clients: claude-code (cc), codex (cx), all").format(
                        value=printable(word)
                    )
                )
    return [c for c in CLIENT_NAMES if c in out]
