"""JSON documents, comments and trailing commas included: read, and edited without loss."""

from __future__ import annotations

import re
from typing import Any, Optional, Sequence

from ccsetup.documents.edit import Edit
from ccsetup.documents.encoding import decode, encode, place
from ccsetup.documents.jsontext import (
    JsonText,
    locate,
    members,
    plain_decoder,
    read,
    space,
    too_deep,
)
from ccsetup.documents.schema import Document, Path, Place
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

__all__ = ["apply", "decode", "document", "encode", "locate", "parse", "strict", "strict_problem"]


def parse(text: str) -> Any:
    """Return the data of *text*: JSON, or JSON with comments and trailing commas.

    A text without any value gives ``{}``.  Of duplicate keys the last one counts, as in JSON.parse.
    Raises DocumentError with line and column.
    """
    document = read(text, plain_decoder)
    return {} if document.empty else document.tree


def strict_problem(text: str) -> Optional[DocumentError]:
    """Return the first place where *text* is not strict JSON, or None.

    Claude Code ignores a whole settings.json for one comment or one trailing comma, without a word
    (observed with 2.1.197); a byte order mark, CRLF and duplicate keys are fine with it.
    """
    try:
        document = read(text)
    except DocumentError as error:
        return error
    if document.comment >= 0 and (document.trailing < 0 or document.comment < document.trailing):
        position, message = document.comment, _("There is a comment here, which strict JSON does not allow.")
    elif document.trailing >= 0:
        position, message = document.trailing, _("There is a trailing comma here, which strict JSON does not allow.")
    else:
        return None
    line, column = place(document.text, position)
    return DocumentError(message, line=line, column=column)


def strict(text: str) -> str:
    """Return *text* without comments and trailing commas; lines that held only comments go, the rest stays.

    Raises DocumentError when the text is not JSON even so.
    """
    document = read(text)
    if document.comment < 0 and document.trailing < 0:
        return text
    out = []
    position = 0
    for found in [*re.finditer(r"\r\n|\n|\r", document.text), None]:
        end = found.start() if found else len(document.text)
        after = found.end() if found else end
        line = document.plain[position:end]
        if line == document.text[position:end]:
            out.append(document.text[position:after])
        elif line.strip(" \t"):
            out.append(line.rstrip(" \t") + document.text[end:after])
        position = after
    result = "".join(out)
    if not document.empty and read(result).tree != document.tree:
        from ccsetup.documents.splices import internal

        raise internal()
    return document.bom + result


def document(text: str, name: str) -> Document:
    """Return *text* ready to be read by a table; DocumentError names file, line and column."""
    try:
        data = parse(text)
    except DocumentError as e:
        raise DocumentError(f"{name}:{e.line}:{e.column}: {e.message}", line=e.line, column=e.column) from None
    return Document(name, data, lambda path, key: _place(read(text), path, key))


def _place(document: JsonText, path: Path, key: bool) -> Place:
    """Return where the value at *path*, or its key, stands; else that of the deepest value on the way."""
    plain = document.plain
    start = space(plain, 0)
    for i, step in enumerate(path):
        inside = {name: places for name, *places in members(plain, start)}
        if step not in inside:
            break
        start = inside[step][0 if key and i == len(path) - 1 else 1]
    return place(document.text, start)


def apply(text: str, edits: Sequence[Edit]) -> str:
    """Return *text* after *edits*, in their order; nothing else changes.

    A dict as value makes an object hold exactly these members: those that are there already keep their place and
    their comments.  A parent that would be pruned stays when it holds a comment.  Raises DocumentError when the text
    is not JSON, when something on a path is no object, and when the result does not prove right.
    """
    from ccsetup.documents import jsonedit

    document = read(text)
    try:
        return jsonedit.apply(document, text, edits)
    except RecursionError:
        raise too_deep() from None
