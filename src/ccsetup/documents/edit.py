"""An edit: one value set, or removed, at a key path of a document."""

from __future__ import annotations

from typing import Any, Union

from ccsetup.tuples import NamedTuple

KeyPath = tuple[str, ...]

Value = Any
"""str, int, float, bool, None (JSON only), a list of values, or a dict from str to values."""


class Set(NamedTuple):
    """Make *path* hold *value*; missing parents are created."""

    path: KeyPath
    value: Value

    def __repr__(self) -> str:  # the value may be a key
        return f"Set({'.'.join(self.path)})"


class Unset(NamedTuple):
    """Remove *path*, and then its parents as far as they are left empty by it *and* are named in *prune*.

    ``prune`` is the number of parents that may go when they hold nothing any more (0: none).
    """

    path: KeyPath
    prune: int = 0


Edit = Union[Set, Unset]


class Missing:
    """The type of MISSING, what a lookup gives where a document has no such key."""

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING = Missing()


def lookup(data: Any, path: KeyPath) -> Any:
    """Return what parsed *data* holds at *path*, or MISSING."""
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return MISSING
        data = data[key]
    return data
