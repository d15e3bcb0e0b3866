"""A JSON text, comments and trailing commas included: what it means, and where its values stand.

Comments and trailing commas are blanked to spaces of the same length, so that CPython's own scanner finds every value
at its place in the original text.
"""

from __future__ import annotations

import functools
import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Callable, Iterator, NoReturn, Union

from ccsetup.documents.edit import KeyPath
from ccsetup.documents.encoding import BOM, check_size, place
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

# A parsed document that forgets nothing: an object is a tuple of (key, value) pairs in order and with duplicates,
# an array a list, a number the bytes of its text.  These types are made and compared in C, and none equals another.
Tree = Union[tuple[Any, ...], list[Any], bytes, str, bool, None]

# Both always match to the end of an open string or comment: were they to fail there, the search would start again
# at every later quote, and take quadratic time.
_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)'
COMMENT = r"//[^\r\n]*|/\*.*?(?:\*/|\Z)"

# Most documents have neither, and no command that only reads them needs their layout: nothing is compiled before.
_STRING_OR_COMMENT = f"(?s){_STRING}|{COMMENT}"
_STRING_OR_TRAILING = rf"(?s){_STRING}|,(?=[ \t\r\n]*[}}\]])"
_SPACE = re.compile(r"[ \t\r\n]*")


class JsonText:
    """A text, what it means, and where its values stand."""

    def __init__(self, bom: str, text: str) -> None:
        self.bom = bom
        self.text = text
        self.plain = self.commas = text
        """``commas``: comments blanked; ``plain``: trailing commas too.  As long as the text."""
        self.comment = self.trailing = -1
        """Where the first comment and the first trailing comma stand."""
        self.tree: Tree = None
        self.empty = False

    @functools.cached_property
    def eol(self) -> str:
        """A file with lone CRs is old Mac; a CR before the first LF elsewhere is only that line's."""
        found = re.search(r"\r?\n", self.text) or re.search(r"\r", self.text)
        return found[0] if found else "\n"

    @functools.cached_property
    def unit(self) -> str:
        """What one more level is indented by."""
        found = re.search(r"[\r\n]([ \t]+)\"", self.text)
        return found[1] if found else "  "


def _refuse_constant(text: str) -> NoReturn:
    raise _ConstantError(text)


class _ConstantError(ValueError):
    """NaN or Infinity, which CPython's scanner takes and JSON does not have."""


def number(text: Union[str, bytes]) -> Union[int, float]:
    try:
        return int(text)
    except ValueError:
        # Not an integer, or one of more digits than Python converts (4300): then the nearest float, as JavaScript.
        return float(text)


plain_decoder = json.JSONDecoder(parse_int=number, parse_constant=_refuse_constant)
_decoder = json.JSONDecoder(
    object_pairs_hook=tuple, parse_int=str.encode, parse_float=str.encode, parse_constant=_refuse_constant
)
scan_once: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]


def read(text: str, decoder: json.JSONDecoder = _decoder) -> JsonText:
    check_size(text)
    document = JsonText(BOM, text[1:]) if text.startswith(BOM) else JsonText("", text)
    try:
        try:
            document.tree = decoder.decode(document.text)
        except json.JSONDecodeError:
            _blank(document)
            document.empty = not document.plain.strip(" \t\r\n")
            if not document.empty:
                document.tree = decoder.decode(document.plain)
    except json.JSONDecodeError as error:
        line, column = place(document.text, error.pos)
        raise DocumentError(
            _("This is not JSON: {reason}.").format(reason=error.msg[:1].lower() + error.msg[1:]),
            line=line,
            column=column,
        ) from None
    except _ConstantError as error:
        found = re.search(rf"(?<![\w\"]){error}(?![\w\"])", document.plain)
        line, column = place(document.text, found.start()) if found else (0, 0)
        raise DocumentError(_("JSON has no NaN and no Infinity."), line=line, column=column) from None
    except RecursionError:
        raise too_deep() from None
    return document


def too_deep() -> DocumentError:
    return DocumentError(_("The document is nested too deeply."))


def _blank(document: JsonText) -> None:
    def comment(found: re.Match[str]) -> str:
        token = found[0]
        if token[0] == '"':
            return token
        if document.comment < 0:
            document.comment = found.start()
        if token[1] == "*" and (len(token) < 4 or not token.endswith("*/")):
            line, column = place(document.text, found.start())
            raise DocumentError(_("A comment that begins here does not end."), line=line, column=column)
        return re.sub(r"[^\r\n]", " ", token)

    def comma(found: re.Match[str]) -> str:
        token = found[0]
        if token[0] == '"':
            return token
        before = found.start() - 1
        while before >= 0 and document.commas[before] in " \t\r\n":
            before -= 1
        if before < 0 or document.commas[before] in "{[,:":
            return token  # a comma after nothing, which no dialect allows: the parser will say so
        if document.trailing < 0:
            document.trailing = found.start()
        return " "

    document.commas = re.sub(_STRING_OR_COMMENT, comment, document.text)
    document.plain = re.sub(_STRING_OR_TRAILING, comma, document.commas)


def space(text: str, position: int) -> int:
    """Return where the white space at *position* ends."""
    return _SPACE.match(text, position).end()  # type: ignore[union-attr]


def locate(text: str, path: KeyPath) -> int:
    """Return the line, from 1, where the last key of *path* stands; 0 if it is not there."""
    document = read(text)
    start, found = space(document.plain, 0), -1
    for step in () if document.empty else path:
        places = {name: places for name, *places in members(document.plain, start)}
        if step not in places:
            return 0
        found, start = places[step]
    return place(document.text, found)[0] if found >= 0 else 0


def members(plain: str, start: int) -> Iterator[tuple[Union[str, int], int, int]]:
    """Yield key, or index, of everything in the object or the array at *start*: where it begins, and its value."""
    closing = {"{": "}", "[": "]"}.get(plain[start : start + 1], "")
    at, index = space(plain, start + 1), 0
    while closing and plain[at] != closing:
        name: Union[str, int] = index
        begin = at
        if closing == "}":
            name, at = scanstring(plain, at + 1)
            at = space(plain, space(plain, at) + 1)  # past the colon
        yield name, begin, at
        at = space(plain, scan_once(plain, at)[1])
        if plain[at] == ",":
            at = space(plain, at + 1)
        index += 1
