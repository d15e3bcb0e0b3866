"""Text in, text out: lossless edits of JSON and TOML documents, with a module for each format.

Knows no client and no disk.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Sequence, cast

from ccsetup.documents.edit import Edit, KeyPath

if TYPE_CHECKING:
    from typing import Protocol

    class DocumentFormat(Protocol):
        """What such a module offers; each raises DocumentError for a text that it cannot read, or not edit."""

        def decode(self, data: bytes) -> str: ...
        def encode(self, text: str) -> bytes: ...
        def parse(self, text: str) -> Any: ...
        def locate(self, text: str, path: KeyPath) -> int:
            """Return the line of *path*, from 1; 0 where it is not."""
            ...

        def apply(self, text: str, edits: Sequence[Edit]) -> str: ...


FORMATS = {"json": "ccsetup.documents.jsondoc", "toml": "ccsetup.documents.tomldoc"}
"""Modules by the name that plans and records have for the format; a client may bring another."""


def format_named(name: str) -> DocumentFormat:
    """Return the module for the format called *name*, a key of ``FORMATS``."""
    return cast("DocumentFormat", import_module(FORMATS[name]))
