"""Edits of a TOML document, done on its data: what the text has to say afterwards."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any

from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, lookup
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

if TYPE_CHECKING:
    from typing import Protocol

    class Layout(Protocol):
        """What the text tells of its tables."""

        def is_explicit(self, path: KeyPath) -> bool: ...
        def has_comment(self, path: KeyPath) -> bool: ...
        def no_table(self, path: KeyPath) -> DocumentError: ...


Data = dict[str, Any]

_SURROGATE = re.compile("[\ud800-\udfff]")


class EditedData:
    """Data with edits done on it.  What is not touched stays the very same object, so that it need not be compared."""

    def __init__(self, data: Data, source: Layout) -> None:
        self.data = data
        self.source = source
        self.made: set[KeyPath] = set()
        """Tables that an edit made as a whole, so that they exist even when they are empty."""

    def perform(self, edit: Edit) -> None:
        if not edit.path:
            raise DocumentError(_("An edit has to name a key."))
        if isinstance(edit, Set):
            self.assign(edit.path, _checked(edit.value))
        else:
            self.remove(edit.path, edit.prune)

    def assign(self, path: KeyPath, value: Any) -> None:
        for depth in range(1, len(path)):
            if not isinstance(lookup(self.data, path[:depth]), (dict, type(MISSING))):
                raise self.source.no_table(path[:depth])
        old = lookup(self.data, path)
        if isinstance(value, dict):
            self.made.add(path)
            if not isinstance(old, dict):
                self.put(path, {})
            else:
                for key in old:
                    if key not in value:
                        self.drop((*path, key))
            for key, item in value.items():
                self.assign((*path, key), item)
        elif not _equal(old, value):
            self.put(path, value)

    def remove(self, path: KeyPath, prune: int) -> None:
        if lookup(self.data, path) is MISSING:
            return
        self.drop(path)
        for depth in range(1, len(path)):
            parent = path[:-depth]
            if lookup(self.data, parent):
                return
            # A table without a header of its own is gone with the last thing in it, asked or not.
            explicit = parent in self.made or self.source.is_explicit(parent)
            if explicit and (depth > prune or self.source.has_comment(parent)):
                return
            self.drop(parent)

    def put(self, path: KeyPath, value: Any) -> None:
        node = self.data = dict(self.data)
        for key in path[:-1]:
            node[key] = dict(node.get(key, {}))
            node = node[key]
        node[path[-1]] = value

    def drop(self, path: KeyPath) -> None:
        node = self.data = dict(self.data)
        for key in path[:-1]:
            node[key] = dict(node[key])
            node = node[key]
        del node[path[-1]]
        self.made = {made for made in self.made if made[: len(path)] != path}


def _checked(value: Any) -> Any:
    """Return a copy of *value*, or refuse what TOML cannot hold."""
    if isinstance(value, dict):
        return {_checked_text(key): _checked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_checked(item) for item in value]
    if isinstance(value, str):
        return _checked_text(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise DocumentError(_("TOML cannot hold a whole number of more than 64 bits."))
    if isinstance(value, (bool, int, float, datetime.date, datetime.time)):
        return value
    raise DocumentError(_("TOML cannot hold a value of type {type}.").format(type=type(value).__name__))


def _checked_text(value: Any) -> str:
    if not isinstance(value, str):
        raise DocumentError(_("A key of a TOML table has to be text."))
    if _SURROGATE.search(value):
        raise DocumentError(_("TOML cannot hold half a surrogate pair."))
    return value


def _equal(old: Any, value: Any) -> bool:
    """Tell whether parsed data *old* is *value*, types included."""
    if isinstance(old, bytes):
        old = float(old)
    if isinstance(old, dict):
        return (
            isinstance(value, dict)
            and old.keys() == value.keys()
            and all(_equal(item, value[key]) for key, item in old.items())
        )
    if isinstance(old, list):
        return (
            isinstance(value, list)
            and len(old) == len(value)
            and all(_equal(item, other) for item, other in zip(old, value, strict=True))
        )
    return type(old) is type(value) and bool(old == value or (old != old and value != value))


def same(result: Any, expected: Any) -> bool:
    """Tell whether *result* is *expected*, which holds parsed data and new values; order does not count."""
    if result is expected:
        return True
    if isinstance(result, dict):
        return (
            isinstance(expected, dict)
            and len(result) == len(expected)
            and all(key in expected and same(item, expected[key]) for key, item in result.items())
        )
    if isinstance(result, list):
        return (
            isinstance(expected, list)
            and len(result) == len(expected)
            and all(same(item, other) for item, other in zip(result, expected, strict=True))
        )
    if isinstance(result, bytes) and isinstance(expected, float):
        return _equal(result, expected)
    return type(result) is type(expected) and bool(result == expected)
