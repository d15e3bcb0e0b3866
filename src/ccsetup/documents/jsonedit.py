"""Edits of a JSON text: done on a view of the objects that they touch, written by ``jsonsplice``, and proved.

``apply`` keeps one more promise: what was set where nothing was, and is then unset (with ``prune`` for the parents
that came with it), gives the bytes of before.  Exception: a document without any value becomes ``{}``, because
nothing tells it from an empty object afterwards.
"""

from __future__ import annotations

import json
from typing import Any, Sequence

from ccsetup.documents.edit import MISSING, Edit, KeyPath, Missing, Set, Unset
from ccsetup.documents.encoding import place
from ccsetup.documents.jsonsplice import (
    Container,
    ObjectView,
    drop,
    hold,
    keys,
    member,
    put,
    render,
    same,
    splices,
)
from ccsetup.documents.jsontext import JsonText, Tree, locate, read, space
from ccsetup.documents.splices import Splice, internal, spliced
from ccsetup.errors import DocumentError
from ccsetup.i18n import _


def apply(document: JsonText, text: str, edits: Sequence[Edit]) -> str:
    """Return *text*, which *document* is, after *edits*; DocumentError where the result does not prove right."""
    if document.empty:
        data: dict[str, Any] = {}
        for edit in edits:
            _perform(data, edit, document)
        if not data:
            return text
        gap = "" if not document.text.strip() or document.text.endswith(("\n", "\r")) else document.eol
        return document.bom + document.text + gap + render(data, document, "") + document.eol
    resolved, found = _plan(document, edits)
    if not found:
        return text
    after = spliced(document.text, found)
    _prove(document.tree, resolved, after, edits)
    return document.bom + after


def _plan(document: JsonText, edits: Sequence[Edit]) -> tuple[list[Edit], list[Splice]]:
    """Return the edits as they are done (see ``_perform``), and what they change in the text."""
    if not isinstance(document.tree, tuple):
        line, column = place(document.text, space(document.plain, 0))
        raise DocumentError(_("The document is not a JSON object."), line=line, column=column)
    root = ObjectView(document, space(document.plain, 0))
    resolved = [_perform(root, edit, document) for edit in edits]
    found: list[Splice] = []
    splices(root, found)
    return resolved, found


def _perform(root: Container, edit: Edit, document: JsonText) -> Edit:
    """Do *edit* on the view, and return it as it was done: an Unset names how many parents really went."""
    path = edit.path
    if not path:
        raise DocumentError(_("An edit has to name a key."))
    node = root
    chain = [node]
    for depth, key in enumerate(path[:-1], 1):
        child = member(node, key)
        if child is MISSING:
            if isinstance(edit, Unset):
                return Unset(path)
            child = {}
            put(node, key, child)
            child = member(node, key)
        if not isinstance(child, (dict, ObjectView)):
            if isinstance(edit, Unset):
                return Unset(path)
            raise _no_object(document, path[:depth])
        node = child
        chain.append(node)
    if isinstance(edit, Set):
        value = _checked(edit.value)
        child = member(node, path[-1])
        if isinstance(value, dict) and isinstance(child, (dict, ObjectView)):
            hold(child, value)
        else:
            put(node, path[-1], value)
        return edit
    if member(node, path[-1]) is MISSING:
        return Unset(path)
    drop(node, path[-1])
    pruned = 0
    while pruned < edit.prune and len(chain) > 1 and not keys(chain[-1]):
        parent = chain.pop()
        if isinstance(parent, ObjectView) and parent.has_comment():
            break
        pruned += 1
        drop(chain[-1], path[-1 - pruned])
    return Unset(path, pruned)


def _no_object(document: JsonText, path: KeyPath) -> DocumentError:
    line = locate(document.text, path)
    return DocumentError(_("“{key}” is not an object.").format(key=".".join(path)), line=line, column=1 if line else 0)


def _checked(value: Any) -> Any:
    """Return a copy of *value*, or refuse what JSON cannot hold."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise DocumentError(_("A key of a JSON object has to be text."))
        return {key: _checked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_checked(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise DocumentError(_("JSON has no NaN and no Infinity."))
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise DocumentError(_("JSON cannot hold a value of type {type}.").format(type=type(value).__name__))


class _Expected:
    """What an object should be afterwards: worked out on the parsed data alone, without the text."""

    __slots__ = ("pairs", "touched")

    def __init__(self, pairs: tuple[Any, ...]) -> None:
        self.pairs = pairs
        self.touched: dict[str, Any] = {}
        """By key: an _Expected, a tree, or MISSING."""

    def get(self, key: str) -> Any:
        if key not in self.touched:
            found: Any = MISSING
            for name, value in self.pairs:
                if name == key:
                    found = value
            self.touched[key] = _Expected(found) if isinstance(found, tuple) else found
        return self.touched[key]

    def put(self, key: str, value: Any) -> None:
        old = self.get(key)
        if isinstance(value, dict):
            if not isinstance(old, _Expected):
                old = self.touched[key] = _Expected(())
            for name in {name for name, _value in old.pairs} | set(old.touched):
                if name not in value:
                    old.touched[name] = MISSING
            for name, item in value.items():
                old.put(name, item)
        elif isinstance(old, (_Expected, Missing)) or not same(old, value):
            self.touched[key] = _tree(value)

    def holds(self) -> bool:
        return any(self.get(name) is not MISSING for name in {name for name, _v in self.pairs} | set(self.touched))

    def perform(self, edit: Edit) -> None:
        node, chain = self, [self]
        for key in edit.path[:-1]:
            child = node.get(key)
            if not isinstance(child, _Expected):
                if isinstance(edit, Unset):
                    return
                child = node.touched[key] = _Expected(())
            node = child
            chain.append(node)
        if isinstance(edit, Set):
            node.put(edit.path[-1], edit.value)
            return
        node.touched[edit.path[-1]] = MISSING
        for depth in range(1, edit.prune + 1):
            if chain[-depth].holds():
                raise internal()
            chain[-depth - 1].touched[edit.path[-1 - depth]] = MISSING

    def matches(self, tree: Any) -> bool:
        if not isinstance(tree, tuple):
            return False
        touched = self.touched
        if [p for p in tree if p[0] not in touched] != [p for p in self.pairs if p[0] not in touched]:
            return False
        values = dict(tree)
        for key, value in touched.items():
            if value is MISSING:
                if key in values:
                    return False
                continue
            if key not in values:
                return False
            if not (value.matches(values[key]) if isinstance(value, _Expected) else value == values[key]):
                return False
        return True


def _tree(value: Any) -> Tree:
    if isinstance(value, dict):
        return tuple((key, _tree(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return [_tree(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return json.dumps(value).encode()
    return value if value is None or isinstance(value, bool) else str(value)


def _prove(tree: Tree, resolved: Sequence[Edit], after: str, edits: Sequence[Edit]) -> None:
    """Raise DocumentError unless *after* means *tree* with the edits done, and doing them again changes nothing."""
    try:
        document = read(after)
    except DocumentError:
        raise internal() from None
    try:
        again = _plan(document, edits)[1]
    except DocumentError:  # one edit sets an object where a later one sets something else
        raise DocumentError(_("The edits contradict one another, so nothing was changed.")) from None
    expected = _Expected(tree if isinstance(tree, tuple) else ())
    for edit in resolved:
        expected.perform(edit)
    if again or not expected.matches(document.tree):
        raise internal()
