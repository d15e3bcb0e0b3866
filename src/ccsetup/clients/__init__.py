"""The clients that ccsetup sets up."""

from __future__ import annotations

from typing import Mapping

from ccsetup.clients import claude, codex
from ccsetup.clients.base import Client
from ccsetup.model import ClientName

CLIENTS: Mapping[ClientName, Client] = {"claude-code": claude, "codex": codex}

__all__ = ["CLIENTS", "Client"]
