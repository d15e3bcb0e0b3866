"""Pieces of a text that are written anew."""

from __future__ import annotations

from typing import Iterable

from ccsetup.errors import DocumentError
from ccsetup.i18n import _

Splice = tuple[int, int, str]
"""Start and end in the text, and what comes there instead."""


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """Return *text* with *splices*, none of which overlaps another."""
    parts: list[str] = []
    position = 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        if start < position:
            raise internal()
        parts += (text[position:start], new)
        position = end
    parts.append(text[position:])
    return "".join(parts)


def internal() -> DocumentError:
    return DocumentError(
        _("An internal check of the edit failed, so nothing was changed. This is a bug in ccsetup."),
        hint=_("Please report it, with the file if it holds no keys."),
    )
