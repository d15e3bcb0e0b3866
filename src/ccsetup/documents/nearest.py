"""The known word that was probably meant by another."""

from __future__ import annotations

from typing import Collection

from ccsetup.i18n import _


def nearest(word: str, known: Collection[str], alike: float = 0.5) -> str:
    """Return the one of *known* that is most like *word*; "" where none is (1 is the same word)."""
    import difflib

    plain = {k.lower().replace("_", "-"): k for k in known if k}
    near = difflib.get_close_matches(word.lower().replace("_", "-"), plain, 1, alike)
    return plain[near[0]] if near else ""


def suggestion(word: str, known: Collection[str], *, else_all: bool = True, alike: float = 0.5) -> str:
    """Return the hint for *word*, which is none of *known*: the nearest of them, or, with *else_all*, all of them."""
    near = nearest(word, known, alike)
    if near:
        return _("Did you mean '{word}'?").format(word=near)
    return _("Known: {fields}").format(fields=", ".join(filter(None, known))) if else_all and known else ""
