"""The splices that turn one TOML document into another.  Imported only when a document is edited."""

from __future__ import annotations

import re
from typing import Any, Iterable, Optional, Sequence

from ccsetup.documents.edit import MISSING, Edit, KeyPath
from ccsetup.documents.encoding import place
from ccsetup.documents.splices import Splice, internal
from ccsetup.documents.tomldata import Data, EditedData, same
from ccsetup.documents.tomltext import BLANKS, DOTTED, HEADER, Statement, dotted, edit_inline, render, scan
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

_BLANK_LINE = re.compile(r"[ \t]*(?:\r?\n|\Z)")
_COMMENT_LINE = re.compile(r"[ \t]*#[^\n]*(?:\n|\Z)")


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
        return position if HEADER.match(self.text, end) else end

    def no_table(self, path: KeyPath) -> DocumentError:
        found = self.below(path)
        line = place(self.text, self.statements[found[0]].start)[0] if found else 0
        return DocumentError(
            _("“{key}” is not a table.").format(key=".".join(path)), line=line, column=1 if line else 0
        )


_HEADER_COMMENT = re.compile(rf"[ \t]*\[\[?[ \t]*{DOTTED}[ \t]*\]\]?")


def plan(text: str, data: Data, edits: Sequence[Edit]) -> tuple[Data, list[Splice]]:
    """Return the data after *edits*, and what changes in the text."""
    source = _Source(text)
    edited = EditedData(data, source)
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
                self.values[index] = render(after)
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
        self.values[index] = edit_inline(current, path[len(statement.path) :], value, ".".join(statement.path))

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
            indent = BLANKS.match(self.source.text, statement.start)[0]  # type: ignore[index]
        self.added.append((statement.end, False, self.lines(path[len(statement.base) :], value, indent)))

    def lines(self, path: KeyPath, value: Any, indent: str) -> str:
        if isinstance(value, dict) and value:
            return "".join(self.lines((*path, key), item, indent) for key, item in value.items())
        return f"{indent}{dotted(path)} = {render(value)}{self.source.eol}"

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
            out = f"{eol}[{dotted(path)}]{eol}"
            out += "".join(f"{dotted((key,))} = {render(value)}{eol}" for key, value in own.items())
        return out + "".join(self.tables((*path, key), table[key]) for key in table if key not in own)

    def end_of_text(self) -> int:
        """Return the position after the last line that is not blank."""
        text = self.source.text
        line_end = text.find("\n", len(text.rstrip()))
        if not text.strip():
            return 0
        return len(text) if line_end < 0 else line_end + 1

    def splices(self) -> list[Splice]:
        source, text, eol = self.source, self.source.text, self.source.eol
        out: list[Splice] = []
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
