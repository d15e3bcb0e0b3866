"""Where ``relay.yaml`` takes its keys from, and another name for a saved profile in it.

Pure; knows no more of that file.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional

from ccsetup.documents import yamldoc
from ccsetup.documents.yamldoc import Node
from ccsetup.errors import DocumentError

NAMING = ("profile", "failover")
"""The kinds whose value is the name of a profile."""


class UpstreamKey(NamedTuple):
    """A key of an upstream."""

    kind: str
    """``profile``, ``env``, ``inline`` and so on."""
    value: str
    upstream: str
    line: int
    column: int

    def __repr__(self) -> str:  # an inline one is a key
        return f"UpstreamKey({self.kind}, line {self.line})"


def read(text: str, name: str) -> list[UpstreamKey]:
    """Return every key that *text* refers to, in its order; what is no such file has none.

    Profiles that ``failover`` names come first, with that as their kind.

    DocumentError, with the place in the file *name*, for what is not YAML.
    """
    if not text.strip():
        return []
    root = yamldoc.parse(text, name)
    named = _member(root, "failover")
    others = _items(named) or ([named] if named is not None else [])
    found = [UpstreamKey("failover", n.value, "", n.line, n.column) for n in others if isinstance(n.value, str)]
    return found + [reference for upstream in _items(_member(root, "upstreams")) for reference in _of(upstream)]


def is_by_profile(text: str, name: str, profile: str) -> bool:
    """Tell whether the upstream *profile* is there for the saved profile of that name alone; errors as of ``read``."""
    root = yamldoc.parse(text, name)
    way = _member(root, "from")
    names = [_member(upstream, "name") for upstream in _items(_member(root, "upstreams"))]
    return way is not None and way.value == "profiles" and profile not in [n.value for n in names if n is not None]


def _of(upstream: Node) -> list[UpstreamKey]:
    title = _member(upstream, "name")
    called = title.value if title is not None and isinstance(title.value, str) else ""
    one = _member(upstream, "key")
    out = []
    for key in [*([one] if one is not None else []), *_items(_member(upstream, "keys"))]:
        for kind, node in key.value.items() if isinstance(key.value, dict) else ():
            if isinstance(node.value, str):
                out.append(UpstreamKey(kind, node.value, called, node.line, node.column))
    return out


def _member(node: Node, key: str) -> Optional[Node]:
    return node.value.get(key) if isinstance(node.value, dict) else None


def _items(node: Optional[Node]) -> list[Node]:
    return node.value if node is not None and isinstance(node.value, list) else []


def renamed(text: str, name: str, old: str, new: str) -> Optional[str]:
    """Return *text* with the profile *new* wherever it refers to *old*, all else as it is; None where that cannot be.

    *name* is what errors call the file.
    """
    lines = text.split("\n")
    before = read(text, name)
    for place in sorted((r for r in before if r.kind in NAMING and r.value == old), key=lambda r: r[3:], reverse=True):
        line = lines[place.line - 1]
        head, tail = line[: place.column - 1], line[place.column - 1 :]
        found = re.match(rf"""(["']?){re.escape(old)}\1(?![\w-])""", tail)
        if found is None:
            return None
        quote = found[1] or ("" if _plain(new) else '"')
        lines[place.line - 1] = head + quote + new + quote + tail[found.end() :]
    out = "\n".join(lines)
    wanted = [r._replace(value=new) if r.kind in NAMING and r.value == old else r for r in before]
    return out if [r[:3] for r in read(out, name)] == [r[:3] for r in wanted] else None


def _plain(word: str) -> bool:
    """Tell whether YAML takes *word* for text without quotes."""
    try:
        value: Any = yamldoc.parse(word, "").value
    except DocumentError:
        return False
    return bool(value == word)
