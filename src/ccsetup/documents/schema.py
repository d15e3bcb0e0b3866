"""Typed values out of a YAML tree; every refusal says ``name:line:column`` and the nearest known word.  Pure."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple, NoReturn, Optional

from ccsetup.documents import yamldoc
from ccsetup.documents.yamldoc import Node
from ccsetup.errors import CcsetupError, printable
from ccsetup.i18n import _


class Reading(NamedTuple):
    """One file that is read."""

    name: str
    """What messages call it."""

    def fail(self, node: Node, problem: str, hint: str = "") -> NoReturn:
        yamldoc.fail(self.name, (node.line, node.column), problem, hint)

    def refuse(self, node: Node, error: CcsetupError) -> NoReturn:
        """Raise *error*, which knows no place, as one at *node*."""
        self.fail(node, error.message, error.hint)

    def mapping(self, node: Node, known: tuple[str, ...], required: tuple[str, ...] = ()) -> dict[str, Node]:
        """Return the fields of *node*, all of them *known*; those that are empty in the file are left out."""
        body = self.table(node)
        for key in body:
            if key not in known:
                self.unknown(node.keys[key], _("field"), key, known)
        found = {key: value for key, value in body.items() if value.value is not None}
        for key in required:
            if key not in found:
                self.fail(node, _("'{key}' is missing.").format(key=key))
        return found

    def table(self, node: Node) -> dict[str, Node]:
        """Return a mapping whose keys are the user's own."""
        if not isinstance(node.value, dict):
            self.fail(node, _("This has to be a mapping: lines of 'name: value'."))
        return node.value

    def items(self, node: Node) -> list[Node]:
        if not isinstance(node.value, list):
            self.fail(node, _("This has to be a list: each entry begins with '- '."))
        return node.value

    def one_or_more(self, node: Node) -> list[Node]:
        """Return the entries of a list, or the value itself where there is just one."""
        return node.value if isinstance(node.value, list) else [node]

    def text(self, node: Node, *, empty: bool = False) -> str:
        if not isinstance(node.value, str):
            self.fail(node, _("This has to be text."), _("Put it in quotes."))
        if not node.value and not empty:
            self.fail(node, _("This is empty."))
        return node.value

    def match(self, node: Node, pattern: str, problem: str) -> str:
        text = self.text(node)
        if not re.fullmatch(pattern, text):
            self.fail(node, problem)
        return text

    def choice(self, node: Node, what: str, known: tuple[str, ...]) -> Any:
        """Return one of *known*; typed Any because mypy does not follow a Literal through it."""
        text = self.text(node, empty="" in known)
        if text not in known:
            self.unknown((node.line, node.column), what, text, known)
        return text

    def flag(self, node: Node) -> bool:
        if not isinstance(node.value, bool):
            self.fail(node, _("This has to be true or false."))
        return node.value

    def number(self, node: Node, low: float, high: float) -> float:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            self.fail(node, _("This has to be a number."))
        if not low <= value <= high:
            self.fail(node, _("This has to be a number from {low} to {high}.").format(low=low, high=high))
        return value

    def whole(self, node: Node, low: int, high: int) -> int:
        value = self.number(node, low, high)
        if not isinstance(value, int):
            self.fail(node, _("This has to be a whole number."))
        return value

    def unknown(self, place: tuple[int, int], what: str, word: str, known: tuple[str, ...]) -> NoReturn:
        hint = nearest(word, known)
        yamldoc.fail(
            self.name,
            place,
            _("unknown {what} '{word}'.").format(what=what, word=printable(word, 40)),
            _("Did you mean '{field}'?").format(field=hint)
            if hint
            else _("Known: {fields}").format(fields=", ".join(k for k in known if k)),
        )


def nearest(word: str, known: tuple[str, ...]) -> Optional[str]:
    import difflib

    plain = {k.lower().replace("_", "-"): k for k in known}
    near = difflib.get_close_matches(word.lower().replace("_", "-"), list(plain), 1, 0.5)
    return plain[near[0]] if near else None
