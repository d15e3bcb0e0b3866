"""YAML text to values that know their place, for files that people write by hand or get from others.

Reads a small, safe part of YAML: one document of mappings with text keys, lists and scalars.  Anchors, aliases, tags,
duplicate keys, control characters and deep nesting are refused, because none is needed and each has been used to
attack or to confuse a reader.  Plain scalars follow the core schema of YAML 1.2: ``no`` and ``2026-01-01`` are text.

Knows no disk and no meaning of the keys.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, NoReturn, Union

from ccsetup.documents.schema import Document, Path, Place
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

MAX_BYTES = 1 << 20
MAX_DEPTH = 30

# Everything that can move a terminal's cursor, reverse text or break a line where a person does not see it:
# C0 and C1 controls (tab, LF and CR are the layout of the file itself), line separators, bidirectional controls, and
# halves of surrogate pairs.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,15}")

Scalar = Union[str, int, float, bool, None]


class Node(NamedTuple):
    """A value with the line and column where it begins, counted from 1."""

    value: Union[Scalar, list[Node], dict[str, Node]]
    line: int
    column: int
    keys: dict[str, Place]
    """For a mapping, the place of each key."""


def parse(data: Union[str, bytes], name: str) -> Node:
    """Return the one document in *data*; *name* is what error messages call the file.

    Raises DocumentError, with line and column, for everything outside the part of YAML described above.
    """
    text = _text(data, name)
    import yaml

    try:
        return _build(yaml.parse(text, Loader=yaml.SafeLoader), name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        fail(name, place, _("This is not valid YAML: {problem}.").format(problem=error.problem or error.context))
    except (yaml.YAMLError, ValueError, OverflowError):
        # PyYAML lets some nonsense through to chr() and int(): "\UFFFFFFFF", "%YAML 1.<5000 digits>".
        fail(name, (1, 1), _("This is not valid YAML."))


def fail(name: str, place: Place, problem: str, hint: str = "") -> NoReturn:
    """Raise DocumentError as ``name:line:column: problem``."""
    line, column = place
    raise DocumentError(f"{name}:{line}:{column}: {problem}", line=line, column=column, hint=hint)


def document(data: Union[str, bytes], name: str, *, shipped: bool = False) -> Document:
    """Return *data* ready to be read by a table; DocumentError as ``parse`` raises it."""
    root = parse(data, name)
    return Document(name, _plain(root), lambda path, key: _place(root, path, key), shipped=shipped)


def _plain(node: Node) -> Any:
    value = node.value
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    return [_plain(child) for child in value] if isinstance(value, list) else value


def _place(node: Node, path: Path, key: bool) -> Place:
    for i, step in enumerate(path):
        value = node.value
        if isinstance(value, dict) and step in value:
            if key and i == len(path) - 1:
                return node.keys[str(step)]
            node = value[str(step)]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            node = value[step]
        else:
            break
    return node.line, node.column


def _text(data: Union[str, bytes], name: str) -> str:
    if len(data) > MAX_BYTES:
        fail(name, (1, 1), _("The file is larger than 1 MiB."))
    if isinstance(data, bytes):
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            fail(name, (line, error.start - data.rfind(b"\n", 0, error.start)), _("The file is not UTF-8 text."))
    else:
        text = data
    text = text.removeprefix("\ufeff")
    found = _CONTROL.search(text)
    if found:
        start = found.start()
        fail(name, (text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)), _control(found.group()))
    return text


def _control(character: str) -> str:
    return _("The control character U+{code} is not allowed.").format(code=f"{ord(character):04X}")


class _Open(NamedTuple):
    """A container that is being filled; *key* holds the mapping key that waits for its value."""

    node: Node
    key: list[tuple[str, int, int]]


def _build(events: Any, name: str) -> Node:
    """Make nodes from parser events, without recursion."""
    root: list[Node] = []
    stack: list[_Open] = []
    documents = 0
    for event in events:
        kind = type(event).__name__
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if kind == "DocumentStartEvent":
            documents += 1
            if documents > 1:
                fail(name, place, _("The file holds more than one document."))
            continue
        if kind in ("StreamStartEvent", "StreamEndEvent", "DocumentEndEvent"):
            continue
        if kind in ("MappingEndEvent", "SequenceEndEvent"):
            stack.pop()
            continue
        if kind == "AliasEvent":
            fail(name, place, _("Aliases (*name) are not allowed."))
        if event.anchor is not None:
            fail(name, place, _("Anchors (&name) are not allowed."))
        if event.tag is not None:
            fail(name, place, _("Tags (!name) are not allowed."))
        if kind == "ScalarEvent":
            node = Node(_scalar(event, name, place), *place, {})
        else:
            if len(stack) >= MAX_DEPTH:
                fail(name, place, _("The file is nested more than {n} levels deep.").format(n=MAX_DEPTH))
            node = Node([] if kind == "SequenceStartEvent" else {}, *place, {})
        _attach(node, stack, root, name, place)
        if kind != "ScalarEvent":
            stack.append(_Open(node, []))
    if not root:
        fail(name, (1, 1), _("The file is empty."))
    return root[0]


def _attach(node: Node, stack: list[_Open], root: list[Node], name: str, place: tuple[int, int]) -> None:
    if not stack:
        root.append(node)
        return
    parent, waiting = stack[-1]
    if isinstance(parent.value, list):
        parent.value.append(node)
        return
    mapping: dict[str, Node] = parent.value  # type: ignore[assignment]  # only containers are open
    if waiting:
        key, line, column = waiting.pop()
        mapping[key] = node
        parent.keys[key] = (line, column)
    elif not isinstance(node.value, str):
        fail(name, place, _("A key has to be text."))
    elif node.value in mapping:
        fail(name, place, _("The key '{key}' appears twice.").format(key=node.value))
    else:
        waiting.append((node.value, *place))


def _scalar(event: Any, name: str, place: tuple[int, int]) -> Scalar:
    text: str = event.value
    found = re.search(r"[\t\n\r]", text) or _CONTROL.search(text)  # from escapes, or from a block of several lines
    if found:
        hint = _("Write a long text as a folded block that begins with >-") if event.style in ("|", ">") else ""
        fail(name, place, _control(found.group()), hint)
    if event.style:
        return text
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text
