"""Edits of a ``.env`` file as Codex reads it.

Codex reads it with dotenvy: a name that begins with a digit is dropped, unquoted and double-quoted values are
expanded, a value in single quotes is literal, the last of several lines wins (observed with Codex 0.169.0).
"""

from __future__ import annotations

import re

from ccsetup.errors import UsageError
from ccsetup.i18n import _


def set_value(text: str, name: str, value: str) -> str:
    """Return *text* with one line ``name='value'``; every other line stays as it is."""
    if "'" in value or "\n" in value or "\r" in value:
        raise UsageError(
            _("This key holds a quote or a line break, which a .env file cannot carry."),
            hint=_("Use --key-storage inline or command."),
        )
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    lines = text[len(bom) :].splitlines(keepends=True)
    mine = _line_of(name)
    at = [i for i, line in enumerate(lines) if mine.match(line)]
    end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    new = f"{name}='{value}'"
    if at:
        last = at[-1]
        body = lines[last].rstrip("\r\n")
        lines[last] = new + lines[last][len(body) :]
        for i in reversed(at[:-1]):
            del lines[i]
    else:
        if lines and not lines[-1].endswith(("\n", "\r")):
            lines[-1] += end
        lines.append(new + end)
    # Codex loses the first line of a file that begins with a byte order mark, so the mark goes.
    return "".join(lines)


def remove(text: str, name: str) -> str:
    """Return *text* without the lines that set *name*."""
    mine = _line_of(name)
    return "".join(line for line in text.splitlines(keepends=True) if not mine.match(line))


def _line_of(name: str) -> re.Pattern[str]:
    return re.compile(r"[ \t]*(?:export[ \t]+)?" + re.escape(name) + r"[ \t]*=")
