"""Where a hand-written file says that a key comes from."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from ccsetup.documents.schema import VARIABLE, Document, Kind, Path, String
from ccsetup.i18n import _


class KeyRef(NamedTuple):
    """The place of a key: *kind* is ``env``, ``file``, ``command`` …; with ``inline``, *value* is the key itself."""

    kind: str
    """ "" where the file names no key."""
    value: str

    def __repr__(self) -> str:
        return f"KeyRef({self.kind})"


ENV = String(VARIABLE.pattern, VARIABLE.problem, hint=lambda: _("A key itself goes below 'inline'."))


class Reference(Kind):
    """A mapping with one member, ``{env: NAME}``, of those in *kinds*; a KeyRef is made of it."""

    def __init__(self, kinds: Mapping[str, String]) -> None:
        self.kinds = kinds

    def read(self, at: Document, value: Any, path: Path) -> KeyRef:
        if not isinstance(value, dict):
            at.fail(path, _("A key is named by where it comes from."), "key: {env: NAME}")
        for kind in value:
            if kind not in self.kinds:
                at.stranger((*path, kind), self.kinds)
        if len(value) != 1:
            problem = _("This names one of: {kinds}.").format(kinds=", ".join(self.kinds))
            at.fail(path, problem, "key: {env: NAME}")
        ((kind, where),) = value.items()
        return KeyRef(kind, self.kinds[kind].read(at, where, (*path, kind)))

    def schema(self) -> dict[str, Any]:
        kinds = {kind: text.schema() for kind, text in self.kinds.items()}
        one = {"additionalProperties": False, "minProperties": 1, "maxProperties": 1}
        return {"type": "object", "properties": kinds, **one}
