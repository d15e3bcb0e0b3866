"""The .env file in CODEX_HOME, as Codex reads it."""

from __future__ import annotations

import re
from typing import Callable, Iterator, Mapping, Optional

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*(.*)", re.S)
_NAME = re.compile(r"\{([^}]*)\}|([A-Za-z0-9]*)")


def read_dotenv(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Codex takes from its .env file (observed with 0.133.0 to 0.171.0).

    A byte order mark loses the first line, names that begin with a digit or with CODEX_ are dropped, single quotes are
    literal, anything else is expanded, an unquoted value ends at " #" and may hold no space, the last line wins.
    What is in quotes may go on over several lines, and stands together with what is before and behind it.
    """
    out: dict[str, str] = {}
    for line in _statements(text.partition("\n")[2] if text.startswith("\ufeff") else text):
        found = _LINE.match(line)
        if not found or found[1].upper().startswith("CODEX_"):
            continue
        value = _value(found[2].strip(), lambda name: out.get(name, environ.get(name, "")))
        if value is not None:
            out[found[1]] = value
    return out


def _statements(text: str) -> Iterator[str]:
    """Yield the lines of *text*; one with an open quote has the next ones with it."""
    kept = ""
    for line in text.split("\n"):
        kept += line.rstrip("\r")
        if not _is_open(kept):
            yield kept
            kept = ""
        else:
            kept += "\n"


def _is_open(text: str) -> bool:
    quote, before, escaped = "", " ", False
    for c in text:
        if escaped or c == "\\":
            escaped = not escaped
        elif quote:
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c == "#" and before.isspace():
            break
        before = c
    return bool(quote)


def _value(raw: str, known: Callable[[str], str]) -> Optional[str]:
    """Return what dotenvy makes of *raw*, which stands behind ``=``; None where it drops the line."""
    out, quote, at = "", "", 0
    while at < len(raw):
        c, at = raw[at], at + 1
        name = _NAME.match(raw, at) if c == "$" and quote != "'" else None
        if name:
            out, at = out + known(name[1] or name[2] or ""), name.end()
        elif c == quote:
            quote = ""
        elif c == "\\" and quote != "'":
            if raw[at : at + 1] not in tuple("\\'\"$ n"):
                return None
            out, at = out + ("\n" if raw[at] == "n" else raw[at]), at + 1
        elif quote:
            out += c
        elif c in "'\"":
            quote = c
        elif c in " \t":
            return out if raw[at:].lstrip(" \t").startswith("#") else None
        elif c == "#" and not out and at == 1:
            return ""
        else:
            out += c
    return None if quote else out
