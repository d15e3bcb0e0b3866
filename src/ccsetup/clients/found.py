"""What the clients and other tools have: one value for each provider that a file of theirs names."""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Optional

from ccsetup import keys
from ccsetup.documents import format_named
from ccsetup.documents.edit import lookup
from ccsetup.errors import DocumentError
from ccsetup.model import ClientName, Secret
from ccsetup.paths import Paths
from ccsetup.profiles import Part


class FoundProvider(NamedTuple):
    """A provider as a store has it, for one client."""

    source: str
    """The store, as SOURCES calls it."""
    name: str
    """What the store calls it."""
    client: ClientName
    part: Part
    """Address, auth and models as found; not yet compared with any preset."""
    key: Optional[Secret]
    key_env: str = ""
    """The variable that holds the key, where the store has only its name."""
    chat: bool = False
    """The address speaks Chat Completions, which neither client does."""


class ToolFiles(NamedTuple):
    """How an importer reads: files of another tool, which it never writes."""

    paths: Paths
    text: Callable[[str], Optional[str]]
    """A file's text, or None where there is none."""
    names: Callable[[str], list[str]]
    """What is in a folder; [] where there is none."""
    rows: Callable[[str, str], list[Mapping[str, Any]]]
    """The rows of a table of an SQLite database that is opened read-only."""

    def data(self, path: str, form: str) -> Any:
        """Return the document at *path*; {} for none, and for what cannot be read: nothing of ours depends on it."""
        return parsed(form, self.text(path))


def parsed(form: str, content: Any) -> Any:
    """Return *content* parsed, which is of the format *form*; {} for none, and for what cannot be read."""
    if not isinstance(content, str) or not content.strip():
        return {}
    try:
        return format_named(form).parse(content)
    except DocumentError:
        return {}


def text(data: Any, *path: str) -> str:
    """Return the text at *path*, or ""."""
    value = lookup(data, path)
    return value.strip() if isinstance(value, str) else ""


def secret(value: str) -> Optional[Secret]:
    """Return *value* as a key; None where no provider would take it."""
    key = keys.bare(value)
    # PROXY_MANAGED is what cc-switch writes where its own proxy puts the key in.
    no_key = keys.placeholder(key) or key == "PROXY_MANAGED"
    return Secret(key) if key and not no_key and all("!" <= c <= "~" for c in key) else None
