"""Lossless edits of TOML documents.  Text in, text out; refuses rather than guesses.

How it works: tomllib reads the document (``_plain`` one that has plain lines only, as programs write them), the edits
are done on its data, and the difference between the data of before and after is written as splices of the text; a line
scanner (``tomltext``) tells where every statement stands.
tomlkit renders new values and nothing else: as a writer of whole documents it loses comments and swallows keys.
The result is parsed again and has to be the planned data, and a second run has to find nothing to do.

``apply`` keeps one more promise: what was set where nothing was, and is then unset (with ``prune`` for the parents
that came with it), gives the bytes of before.  Exception: a header without keys that stands below its own sub-tables
is taken for one of ours, and goes with the last key that is unset in it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Callable, Optional, Sequence

from ccsetup.documents.edit import MISSING, Edit, KeyPath, lookup
from ccsetup.documents.encoding import BOM, check_size, decode, encode, place
from ccsetup.documents.schema import Document, Path, Place
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

if TYPE_CHECKING:
    from ccsetup.documents.tomltext import Statement

__all__ = ["apply", "decode", "document", "encode", "locate", "parse"]

_recent: dict[str, dict[str, Any]] = {}
"""The last two texts that were parsed, with floats as bytes: a document is parsed before and after an edit anyway."""


def parse(text: str) -> Any:
    """Return the data of *text*, as tomllib does (dates and times as datetime values).

    Raises DocumentError with line and column.
    """
    return _load(text[1:] if text.startswith(BOM) else text, float)


def locate(text: str, path: KeyPath) -> int:
    """Return the line, from 1, where the value or the table *path* begins; 0 if it is not there.

    For a key inside an inline table this is the line where the statement begins that holds it.
    """
    body = text[1:] if text.startswith(BOM) else text
    if not path or lookup(_kept(body), path) is MISSING:
        return 0
    found = _statement(_statements(body), path)
    return place(body, found.start)[0] if found else 0


def document(text: str, name: str) -> Document:
    """Return *text* ready to be read by a table; DocumentError names file, line and column."""
    try:
        data = parse(text)
    except DocumentError as e:
        raise DocumentError(f"{name}:{e.line}:{e.column}: {e.message}", line=e.line, column=e.column) from None
    body = text[1:] if text.startswith(BOM) else text

    def find(path: Path, key: bool) -> Place:
        statements = _statements(body)
        for length in range(len(path), 0, -1):
            found = _statement(statements, tuple(str(step) for step in path[:length]))
            if found:
                value = found.kind == "key" and length == len(path) and not key
                return place(body, found.value if value else found.start)
        return 1, 1

    return Document(name, data, find)


@functools.lru_cache(1)
def _statements(body: str) -> list[Statement]:
    from ccsetup.documents.tomltext import scan

    return scan(body)


def _statement(statements: list[Statement], path: KeyPath) -> Optional[Statement]:
    """Return the statement that makes *path*, or else the first one below it, or the one whose value holds it."""
    below = [s for s in statements if s.path[: len(path)] == path]
    exact = [s for s in below if s.path == path]
    around = [s for s in statements if s.kind == "key" and s.path == path[: len(s.path)]]
    return next(iter(exact or below or around), None)


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Return *text* after *edits*, in their order; nothing else changes.

    A dict as value becomes a table, its dicts sub-tables; an existing table is made to hold exactly these keys, and
    those that are there already keep their place and their comments.  A table that would be pruned stays when there
    are comments in it.  Raises DocumentError when the text is not TOML 1.0, when something on a path is no table, and
    when the result does not prove right.
    """
    from ccsetup.documents import splices, tomldata, tomlsplice

    bom, body = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
    data = _load(body, str.encode)
    eol = "\r\n" if "\r\n" in body else "\n"
    unended = body != "" and not body.endswith("\n")
    if unended:
        body += eol  # every line has its end while we work
    try:
        expected, found = tomlsplice.plan(body, data, edits)
        if not found:
            return text
        after = splices.spliced(body, found)
        try:
            result = _load(after, str.encode)
        except DocumentError:
            raise splices.internal() from None
        try:
            again = tomlsplice.plan(after, result, edits)[1]
        except DocumentError:  # one edit sets a table where a later one sets something else
            raise DocumentError(_("The edits contradict one another, so nothing was changed.")) from None
        if again or not tomldata.same(result, expected):
            raise splices.internal()
    except RecursionError:
        raise _too_deep() from None
    return bom + (after.removesuffix(eol) if unended else after)


def _load(text: str, parse_float: Callable[[str], Any]) -> dict[str, Any]:
    """Parse *text*.  Floats as bytes (str.encode) keep their spelling, and cannot be taken for anything else."""
    try:
        copied: dict[str, Any] = _copy(_kept(text), parse_float)
    except RecursionError:
        raise _too_deep() from None
    return copied


def _kept(text: str) -> dict[str, Any]:
    if text not in _recent:
        data = _parsed(text)
        while len(_recent) > 1:
            del _recent[next(iter(_recent))]
        _recent[text] = data
    return _recent[text]


def _copy(value: Any, parse_float: Callable[[str], Any]) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item, parse_float) for key, item in value.items()}
    if isinstance(value, list):
        return [_copy(item, parse_float) for item in value]
    return parse_float(value.decode()) if isinstance(value, bytes) else value


def _parsed(text: str) -> dict[str, Any]:
    check_size(text)
    plain = _plain(text)
    if plain is not None:
        return plain
    import tomllib

    try:
        return tomllib.loads(text, parse_float=str.encode)
    except tomllib.TOMLDecodeError as error:
        import re

        found = re.match(r"^(.*?) \(at line (\d+), column (\d+)\)$", str(error), re.S)
        if found:
            message, line, column = found[1], int(found[2]), int(found[3])
        else:
            message, (line, column) = str(error).removesuffix(" (at end of document)"), place(text, len(text))
        message = _("This is not TOML 1.0: {reason}.").format(reason=message[:1].lower() + message[1:])
        raise DocumentError(message, line=line, column=column) from None
    except ValueError:  # Python converts no integer of more than 4300 digits
        raise DocumentError(_("A number in the document is too large.")) from None
    except RecursionError:
        raise _too_deep() from None


def _plain(text: str) -> Optional[dict[str, Any]]:
    """Return the data of *text* where each line is a header, or a bare key with a plain value; else None.

    Most files are like that, and importing tomllib alone takes longer than reading them so.
    """
    data: dict[str, Any] = {}
    table, headers = data, set()
    if "\\" in text or not text.replace("\n", "").isprintable():
        return None
    for line in text.split("\n"):
        line = line.strip(" ")
        if line.startswith("["):
            path = _plain_header(line)
            if path is None or path in headers:
                return None
            headers.add(path)
            table = data
            for name in path:
                table = table.setdefault(name, {})
                if type(table) is not dict:
                    return None
        elif line and not line.startswith("#"):
            key, _equals, value = line.partition("=")
            key, value = key.rstrip(" "), value.lstrip(" ")
            if key in table or not _bare(key):
                return None
            if value[:1] == value[-1:] == '"' and value.count('"') == 2:
                table[key] = value[1:-1]
                continue
            table[key] = other = _plain_value(value)
            if other is None:
                return None
    return data


def _plain_value(value: str) -> Any:
    """Return what *value* is: a truth value, a whole number, or a list of plain strings; None for all else."""
    if value in ("true", "false"):
        return value == "true"
    if value.isdecimal() and value.isascii() and len(value) < 19 and (value[0] != "0" or value == "0"):
        return int(value)
    items = value[1:-1].split(", ") if value[:2] == '["' and value[-2:] == '"]' else [""]
    if all(item[:1] == item[-1:] == '"' and item.count('"') == 2 for item in items):
        return [item[1:-1] for item in items]
    return None


def _plain_header(line: str) -> Optional[tuple[str, ...]]:
    """Return the path of ``[a.b."c d"]``; None for any other way to write a header."""
    if not line.endswith("]"):
        return None
    inner, quote, rest = line[1:-1].partition('"')
    path = inner.split(".") if inner else [""]
    if quote and (path.pop() or not rest.endswith('"') or rest.count('"') != 1):
        return None
    return (*path, *([rest[:-1]] if quote else ())) if all(map(_bare, path)) else None


@functools.lru_cache(64)  # most tables of a file have the same keys
def _bare(key: str) -> bool:
    return key.isascii() and key.replace("-", "").replace("_", "").isalnum()


def _too_deep() -> DocumentError:
    return DocumentError(_("The document is nested too deeply."))
