"""The text of TOML: where statements stand, what is in an inline table, and how keys and values are written.

Imported only when a document is edited: its patterns cost a few milliseconds to compile.
"""

from __future__ import annotations

import re
from typing import Any

from ccsetup.documents.edit import MISSING, KeyPath
from ccsetup.documents.splices import internal
from ccsetup.errors import DocumentError
from ccsetup.i18n import _
from ccsetup.tuples import NamedTuple

# These patterns only have to be right for text that tomllib has accepted.
_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({DOTTED})[ \t]*\]\]?[^\n]*(?:\n|\Z)")
ASSIGNMENT = re.compile(rf"[ \t]*({DOTTED})[ \t]*=[ \t]*")
_KEYS = re.compile(_KEY)
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_SIMPLE_VALUE = re.compile(
    r"""("(?!"")[^"\\\n]*(?:\\.[^"\\\n]*)*"|'(?!'')[^'\n]*'|[^\s"'\[\]{}#,][^"'\[\]{}#,\r\n]*?)"""
    r"""[ \t]*(?:\#[^\n]*|\r)?(?:\n|\Z)"""
)
_TOKEN = re.compile(
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"{3,5}'
    r"|'''[^']*(?:'(?!'')[^']*)*'{3,5}"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*|[\[\]{}]|,|\r?\n|[ \t]+|[^\"'\#\[\]{},\s]+|\s",
    re.S,
)
BLANKS = re.compile(r"[ \t]*")


class Statement(NamedTuple):
    """A header or an assignment, with all its lines."""

    kind: str
    """"table" for ``[x]``, "array" for ``[[x]]``, "key" for an assignment."""
    path: KeyPath
    base: KeyPath
    """Path of the header above it."""
    start: int
    value: int
    value_end: int
    end: int
    """After its line end, if there is one."""


def scan(text: str) -> list[Statement]:
    """Return the statements of *text*, which is valid TOML, in their order."""
    out: list[Statement] = []
    base: KeyPath = ()
    position, size = 0, len(text)
    while position < size:
        found = ASSIGNMENT.match(text, position)
        if found:
            path, value = base + _split(found[1]), found.end()
            simple = _SIMPLE_VALUE.match(text, value)
            if simple:
                value_end, end = simple.end(1), simple.end()
            else:
                value_end = _value_end(text, value)
                line_end = text.find("\n", value_end)
                end = size if line_end < 0 else line_end + 1
            out.append(Statement("key", path, base, position, value, value_end, end))
            position = end
            continue
        found = HEADER.match(text, position)
        if found:
            base = _split(found[2])
            kind = "table" if found[1] == "[" else "array"
            out.append(Statement(kind, base, base, position, position, position, found.end()))
            position = found.end()
            continue
        line_end = text.find("\n", position)
        position = size if line_end < 0 else line_end + 1
    return out


def _value_end(text: str, position: int) -> int:
    """Return where the value that begins at *position* ends."""
    depth, end = 0, position
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            raise internal()
        token = found[0]
        if depth == 0 and token[0] in "#\r\n,}]":
            break
        if token in ("[", "{"):
            depth += 1
        elif token in ("]", "}"):
            depth -= 1
        position = found.end()
        if not token.isspace():
            end = position
    return end


def _split(dotted: str) -> KeyPath:
    """Return the keys of a dotted key as they are meant."""
    if _BARE.match(dotted):
        return (dotted,)
    keys = []
    for key in _KEYS.findall(dotted):
        if key[0] == '"' and "\\" in key:
            import tomllib

            keys.append(next(iter(tomllib.loads(f"{key}=0"))))
        else:
            keys.append(key[1:-1] if key[0] in "\"'" else key)
    return tuple(keys)


class _InlineMember(NamedTuple):
    path: KeyPath
    start: int
    value: int
    end: int


def edit_inline(table: str, path: KeyPath, value: Any, name: str) -> str:
    """Return the inline table *table* with *path* in it set to *value*, or removed where that is MISSING."""
    members = _inline_members(table, name)
    for member in members:
        if member.path == path[: len(member.path)] and len(member.path) < len(path):
            inner = edit_inline(table[member.value : member.end], path[len(member.path) :], value, name)
            return table[: member.value] + inner + table[member.end :]
    if value is MISSING:
        for index in range(len(members) - 1, -1, -1):
            member = members[index]
            if member.path[: len(path)] != path:
                continue
            if index:
                start, end = members[index - 1].end, member.end
            elif len(members) > 1:
                start, end = member.start, members[1].start
            else:
                start, end = member.start, len(table) - 1  # with the space before the brace
            table = table[:start] + table[end:]
            members = _inline_members(table, name)
        return table
    for member in members:
        if member.path == path:
            return table[: member.value] + render(value) + table[member.end :]
    below = [member for member in members if member.path[: len(path)] == path]
    if below:
        return edit_inline(edit_inline(table, path, MISSING, name), path, value, name)
    added = f"{dotted(path)} = {render(value)}"
    if members:
        return table[: members[-1].end] + ", " + added + table[members[-1].end :]
    return table[:-1] + added + "}"


def _inline_members(table: str, name: str) -> list[_InlineMember]:
    members: list[_InlineMember] = []
    position = 1
    while True:
        position = BLANKS.match(table, position).end()  # type: ignore[union-attr]
        if table[position] == "}" and position == len(table) - 1:
            return members
        if members and table[position] == ",":
            position = BLANKS.match(table, position + 1).end()  # type: ignore[union-attr]
        found = ASSIGNMENT.match(table, position)
        if table[:1] != "{" or not found:
            raise DocumentError(
                _("“{key}” is written in a way that cannot be edited without losing something.").format(key=name),
                hint=_("Write it as a table with a [header] of its own, and try again."),
            )
        end = _value_end(table, found.end())
        members.append(_InlineMember(_split(found[1]), position, found.end(), end))
        position = end


def dotted(path: KeyPath) -> str:
    if all(_BARE.match(key) for key in path):
        return ".".join(path)
    from tomlkit import key as tomlkit_key

    return ".".join(tomlkit_key(key).as_string() for key in path)


_PLAIN = re.compile(r"[ !#-\[\]-~]*\Z")
"""Text that stands between double quotes as it is."""


def render(value: Any) -> str:
    # Most of what is written is plain; importing tomlkit for that would be a tenth of the whole command.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and _PLAIN.match(value):
        return f'"{value}"'
    if type(value) is int:
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) and _PLAIN.match(item) for item in value):
        return "[" + ", ".join(map(render, value)) + "]"
    import tomlkit

    return _item(tomlkit, value).as_string()  # type: ignore[no-any-return]


def _item(tomlkit: Any, value: Any) -> Any:
    # Dicts and lists are built by hand: tomlkit's own choice would be tables, which do not fit on one line.
    if isinstance(value, bytes):
        value = float(value)
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        for key, item in value.items():
            table.append(key, _item(tomlkit, item))
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for item in value:
            array.append(_item(tomlkit, item))
        return array
    return tomlkit.item(value)
