"""Where statements stand in a TOML text, and the splices that turn one document into another.

Imported only when a document is edited: its patterns cost a few milliseconds to compile.
"""

from __future__ import annotations

import datetime
import re
from typing import Any, Iterable, NamedTuple, Optional, Sequence

from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, lookup
from ccsetup.documents.encoding import place
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

Data = dict[str, Any]

_Splice = tuple[int, int, str]
"""Start and end in the text, and what comes there instead."""

# These patterns only have to be right for text that tomllib has accepted.
_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]\]?[^\n]*(?:\n|\Z)")
_ASSIGNMENT = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=[ \t]*")
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
_BLANK_LINE = re.compile(r"[ \t]*(?:\r?\n|\Z)")
_COMMENT_LINE = re.compile(r"[ \t]*#[^\n]*(?:\n|\Z)")
_BLANKS = re.compile(r"[ \t]*")
_SURROGATE = re.compile("[\ud800-\udfff]")


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
        found = _ASSIGNMENT.match(text, position)
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
        found = _HEADER.match(text, position)
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


# The edits, done on data


class _Edited:
    """Data with edits done on it.  What is not touched stays the very same object, so that it need not be compared."""

    def __init__(self, data: Data, source: _Source) -> None:
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


# The difference, written into the text


class _Source:
    """The text with its statements, which are only looked up when something changes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.eol = "\r\n" if "\r\n" in text else "\n"
        self._statements: Optional[list[Statement]] = None
        self._headers: dict[KeyPath, int] = {}
        self._keys: dict[KeyPath, int] = {}

    @property
    def statements(self) -> list[Statement]:
        if self._statements is None:
            self._statements = scan(self.text)
            for index, statement in enumerate(self._statements):
                if statement.kind == "key":
                    self._keys[statement.path] = index
                elif statement.kind == "table":
                    self._headers[statement.path] = index
        return self._statements

    def header(self, path: KeyPath) -> Optional[int]:
        """Return the index of ``[path]``, or None."""
        return self._headers.get(path) if self.statements else None

    def key(self, path: KeyPath) -> Optional[int]:
        """Return the index of the assignment of *path*, or None."""
        return self._keys.get(path) if self.statements else None

    def below(self, path: KeyPath) -> list[int]:
        """Return the indexes of all statements that say something of *path*."""
        size = len(path)
        return [index for index, item in enumerate(self.statements) if item.path[:size] == path]

    def own_end(self, index: int) -> int:
        """Return the index after the last assignment directly under the header *index* (-1: the top level)."""
        index += 1
        while index < len(self.statements) and self.statements[index].kind == "key":
            index += 1
        return index

    def is_explicit(self, path: KeyPath) -> bool:
        """Tell whether the table *path* exists by itself: with a header, or inline."""
        if self.header(path) is not None or self.key(path) is not None:
            return True
        return any(self.key(path[:size]) is not None for size in range(1, len(path)))

    def has_comment(self, path: KeyPath) -> bool:
        """Tell whether there are comments in the section of ``[path]``, other than beside its keys."""
        header = self.header(path)
        if header is None:
            return False
        statements = self.statements
        line = self.text[statements[header].start : statements[header].end]
        begin = _HEADER_COMMENT.match(line)
        if "#" in line[begin.end() if begin else 0 :]:
            return True
        position = statements[header].end
        for statement in statements[header + 1 : self.own_end(header)]:
            if "#" in self.text[position : statement.start]:
                return True
            position = statement.end
        return self.after_comments(position) != position

    def after_comments(self, position: int) -> int:
        """Return the end of the comment lines that follow directly, unless a header follows them directly."""
        end = position
        while found := _COMMENT_LINE.match(self.text, end):
            if found.end() == found.start():
                break
            end = found.end()
        return position if _HEADER.match(self.text, end) else end

    def no_table(self, path: KeyPath) -> DocumentError:
        found = self.below(path)
        line = place(self.text, self.statements[found[0]].start)[0] if found else 0
        return DocumentError(
            _("“{key}” is not a table.").format(key=".".join(path)), line=line, column=1 if line else 0
        )


_HEADER_COMMENT = re.compile(rf"[ \t]*\[\[?[ \t]*{_DOTTED}[ \t]*\]\]?")


def plan(text: str, data: Data, edits: Sequence[Edit]) -> tuple[Data, list[_Splice]]:
    """Return the data after *edits*, and what changes in the text."""
    source = _Source(text)
    edited = _Edited(data, source)
    for edit in edits:
        edited.perform(edit)
    writer = _Writer(source)
    writer.compare(data, edited.data, ())
    return edited.data, writer.splices()


class _Writer:
    """Collects what changes: values replaced, lines removed, lines added."""

    def __init__(self, source: _Source) -> None:
        self.source = source
        self.removed: set[int] = set()
        """Indexes of statements."""
        self.added: list[tuple[int, bool, str]] = []
        """Position, whether they are tables, and whole lines."""
        self.values: dict[int, str] = {}
        """By index of an assignment: its new value."""
        self.headerless: dict[KeyPath, Data] = {}
        """New keys of tables that exist without a header of their own, because of their sub-tables."""

    def compare(self, old: Data, new: Data, path: KeyPath) -> None:
        for key, before in old.items():
            after = new.get(key, MISSING)
            if after is before:
                continue
            here = (*path, key)
            if after is MISSING:
                self.remove(here)
            elif isinstance(before, dict) and isinstance(after, dict):
                self.compare(before, after, here)
                if before and not after and not self.source.is_explicit(here):
                    self.add(here, after)  # its last key goes, and nothing else says that it exists
            elif same(before, after):
                continue
            elif self.inline_owner(here) is not None:
                self.edit_inline(here, after)
            elif not isinstance(after, dict) and (index := self.source.key(here)) is not None:
                self.values[index] = _render(after)
            else:
                self.remove(here)
                self.add(here, after)
        for key, value in new.items():
            if key not in old:
                self.add((*path, key), value)

    def inline_owner(self, path: KeyPath) -> Optional[int]:
        """Return the index of the statement whose inline table holds *path*, or None."""
        for size in range(1, len(path)):
            index = self.source.key(path[:size])
            if index is not None:
                return index
        return None

    def edit_inline(self, path: KeyPath, value: Any) -> None:
        index = self.inline_owner(path)
        if index is None:
            raise internal()
        statement = self.source.statements[index]
        current = self.values.get(index, self.source.text[statement.value : statement.value_end])
        self.values[index] = _edit_inline(current, path[len(statement.path) :], value, ".".join(statement.path))

    def remove(self, path: KeyPath) -> None:
        if self.inline_owner(path) is not None:
            self.edit_inline(path, MISSING)
        else:
            self.removed.update(self.source.below(path))

    def add(self, path: KeyPath, value: Any) -> None:
        if self.inline_owner(path) is not None:
            self.edit_inline(path, value)
            return
        source = self.source
        parent = path[:-1]
        header = source.header(parent)
        if parent and header is None:
            # A table made by dotted keys goes on with dotted keys: TOML forbids it a header.
            dotted = [
                index
                for index in source.below(parent)
                if source.statements[index].kind == "key" and len(source.statements[index].base) < len(parent)
            ]
            if dotted:
                self.add_lines(dotted[-1], path, value)
                return
        if isinstance(value, dict):
            self.add_table(path, value)
        elif not parent:
            self.add_top(path, value)
        elif header is not None:
            self.add_lines(source.own_end(header) - 1, path, value)
        else:
            self.headerless.setdefault(parent, {})[path[-1]] = value

    def add_lines(self, index: int, path: KeyPath, value: Any) -> None:
        """Add assignments after the statement *index*, under the same header."""
        statement = self.source.statements[index]
        indent = ""
        if statement.kind == "key":
            indent = _BLANKS.match(self.source.text, statement.start)[0]  # type: ignore[index]
        self.added.append((statement.end, False, self.lines(path[len(statement.base) :], value, indent)))

    def lines(self, path: KeyPath, value: Any, indent: str) -> str:
        if isinstance(value, dict) and value:
            return "".join(self.lines((*path, key), item, indent) for key, item in value.items())
        return f"{indent}{_dotted(path)} = {_render(value)}{self.source.eol}"

    def add_top(self, path: KeyPath, value: Any) -> None:
        """Add a key before the first header, after the keys that are there."""
        source, text = self.source, self.source.text
        count = source.own_end(-1)
        if count:
            self.add_lines(count - 1, path, value)
            return
        position = self.end_of_text()
        if source.statements:
            # Above the comment that stands on the first header; but what stands at the very top is the file's.
            position = block = source.statements[0].start
            while block > 0:
                line = text.rfind("\n", 0, block - 1) + 1
                if not _COMMENT_LINE.match(text, line):
                    break
                block = line
            if block > 0:
                position = block
        self.added.append((position, False, self.lines(path, value, "")))

    def add_table(self, path: KeyPath, table: Data) -> None:
        """Add ``[path]`` after the last of its relatives, or at the end."""
        source = self.source
        position = self.end_of_text()
        for size in range(len(path), 0, -1):
            related = [index for index in source.below(path[:size]) if len(source.statements[index].base) >= size]
            if related:
                position = source.after_comments(source.statements[related[-1]].end)
                break
        self.added.append((position, True, self.tables(path, table)))

    def tables(self, path: KeyPath, table: Data) -> str:
        """Return ``[path]`` and its sub-tables, each after an empty line."""
        eol = self.source.eol
        own = {key: value for key, value in table.items() if not isinstance(value, dict)}
        out = ""
        if own or len(own) == len(table):
            out = f"{eol}[{_dotted(path)}]{eol}"
            out += "".join(f"{_dotted((key,))} = {_render(value)}{eol}" for key, value in own.items())
        return out + "".join(self.tables((*path, key), table[key]) for key in table if key not in own)

    def end_of_text(self) -> int:
        """Return the position after the last line that is not blank."""
        text = self.source.text
        line_end = text.find("\n", len(text.rstrip()))
        if not text.strip():
            return 0
        return len(text) if line_end < 0 else line_end + 1

    def splices(self) -> list[_Splice]:
        source, text, eol = self.source, self.source.text, self.source.eol
        out: list[_Splice] = []
        for path, table in self.headerless.items():
            self.add_table(path, table)
        if not (self.values or self.removed or self.added):
            return out
        self.remove_spare_headers()
        for index, value in self.values.items():
            out.append((source.statements[index].value, source.statements[index].value_end, value))
        cuts = _merged(self.cuts())
        if not source.own_end(-1) and len(self.removed) < len(source.statements):
            # A blank line between the first top-level keys and what follows; ``cuts`` takes it back.
            for number in range(len(self.added) - 1, -1, -1):
                position, is_table, lines = self.added[number]
                if not is_table and position <= source.statements[0].start:
                    self.added[number] = (position, False, lines + eol)
                    break
        additions: dict[int, str] = {}
        # Lines first: at one place they belong to what stands above.
        for position, is_table, lines in sorted(self.added, key=lambda item: item[1]):
            for start, end in cuts:
                if start < position < end:
                    position = start
            if is_table and not additions.get(position) and not text[:position].strip():
                lines = lines[len(eol) :]
            additions[position] = additions.get(position, "") + lines
        for position, lines in additions.items():
            out.append((position, position, lines))
        out += [(start, end, "") for start, end in cuts]
        return out

    def remove_spare_headers(self) -> None:
        """Remove a header that is left without keys below its own sub-tables, where only ``add_table`` puts one."""
        source = self.source
        bases = {source.statements[index].base for index in self.removed if source.statements[index].kind == "key"}
        for base in bases:
            header = source.header(base)
            if header is None or header in self.removed:
                continue
            start, end = source.statements[header].start, source.statements[source.own_end(header) - 1].end
            if (
                all(index in self.removed for index in range(header + 1, source.own_end(header)))
                and not any(start < position <= end for position, is_table, _lines in self.added if not is_table)
                and any(index < header and index not in self.removed for index in source.below(base))
                and not source.has_comment(base)
            ):
                self.removed.add(header)

    def cuts(self) -> Iterable[tuple[int, int]]:
        """Return the spans that go with the statements that go."""
        source, text = self.source, self.source.text
        statements = source.statements
        for index in self.removed:
            statement = statements[index]
            if statement.kind == "key":
                yield statement.start, statement.end
                continue
            # A table goes with the comments between its keys, and with one blank line above it.
            start, end = statement.start, statements[source.own_end(index) - 1].end
            above = text.rfind("\n", 0, max(start - 1, 0)) + 1
            if start and _BLANK_LINE.fullmatch(text, above, start):
                start = above
            elif not text[:start].strip() and text[end:].strip():
                end = _BLANK_LINE.match(text, end).end() if _BLANK_LINE.match(text, end) else end  # type: ignore[union-attr]
            yield start, end
        top = range(source.own_end(-1))
        if top and len(top) < len(statements) and all(index in self.removed for index in top):
            # The blank line between the last top-level keys and the first header, unless there are keys again.
            header = statements[len(top)].start
            found = _BLANK_LINE.match(text, statements[top[-1]].end)
            if found and not any(position <= header for position, is_table, _lines in self.added if not is_table):
                yield found.span()


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        elif start < end:
            out.append((start, end))
    return out


def spliced(text: str, splices: Iterable[_Splice]) -> str:
    parts: list[str] = []
    position = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        if start < position:
            raise internal()
        parts += (text[position:start], new)
        position = end
    parts.append(text[position:])
    return "".join(parts)


# Inline tables


class _InlineMember(NamedTuple):
    path: KeyPath
    start: int
    value: int
    end: int


def _edit_inline(table: str, path: KeyPath, value: Any, name: str) -> str:
    """Return the inline table *table* with *path* in it set to *value*, or removed where that is MISSING."""
    members = _inline_members(table, name)
    for member in members:
        if member.path == path[: len(member.path)] and len(member.path) < len(path):
            inner = _edit_inline(table[member.value : member.end], path[len(member.path) :], value, name)
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
            return table[: member.value] + _render(value) + table[member.end :]
    below = [member for member in members if member.path[: len(path)] == path]
    if below:
        return _edit_inline(_edit_inline(table, path, MISSING, name), path, value, name)
    added = f"{_dotted(path)} = {_render(value)}"
    if members:
        return table[: members[-1].end] + ", " + added + table[members[-1].end :]
    return table[:-1] + added + "}"


def _inline_members(table: str, name: str) -> list[_InlineMember]:
    members: list[_InlineMember] = []
    position = 1
    while True:
        position = _BLANKS.match(table, position).end()  # type: ignore[union-attr]
        if table[position] == "}" and position == len(table) - 1:
            return members
        if members and table[position] == ",":
            position = _BLANKS.match(table, position + 1).end()  # type: ignore[union-attr]
        found = _ASSIGNMENT.match(table, position)
        if table[:1] != "{" or not found:
            raise DocumentError(
                _("“{key}” is written in a way that cannot be edited without losing something.").format(key=name),
                hint=_("Write it as a table with a [header] of its own, and try again."),
            )
        end = _value_end(table, found.end())
        members.append(_InlineMember(_split(found[1]), position, found.end(), end))
        position = end


# Rendering


def _dotted(path: KeyPath) -> str:
    if all(_BARE.match(key) for key in path):
        return ".".join(path)
    from tomlkit import key as tomlkit_key

    return ".".join(tomlkit_key(key).as_string() for key in path)


_PLAIN = re.compile(r"[ !#-\[\]-~]*\Z")
"""Text that stands between double quotes as it is."""


def _render(value: Any) -> str:
    # Most of what is written is plain; importing tomlkit for that would be a tenth of the whole command.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and _PLAIN.match(value):
        return f'"{value}"'
    if type(value) is int:
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) and _PLAIN.match(item) for item in value):
        return "[" + ", ".join(map(_render, value)) + "]"
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


def internal() -> DocumentError:
    return DocumentError(
        _("An internal check of the edit failed, so nothing was changed. This is a bug in ccsetup."),
        hint=_("Please report it, with the file if it holds no keys."),
    )
