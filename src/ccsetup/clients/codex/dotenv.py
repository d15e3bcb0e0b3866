"""The .env file in CODEX_HOME, as Codex reads it."""

from __future__ import annotations

import re
from typing import Mapping

_LINE = re.compile(r"[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.]*)[ \t]*=[ \t]*(.*)")


def read_dotenv(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that Codex takes from its .env file (observed with 0.169.0).

    A byte order mark loses the first line, names that begin with a digit or with CODEX_ are dropped, single quotes are
    literal, anything else is expanded, an unquoted value ends at " #" and may hold no space, the last line wins.
    """
    lines = text.split("\n")
    if text.startswith("\ufeff"):
        lines = lines[1:]
    out: dict[str, str] = {}
    for line in lines:
        found = _LINE.match(line.rstrip("\r"))
        if not found or found[1].upper().startswith("CODEX_"):
            continue
        name, raw = found[1], found[2].strip()
        if raw[:1] == "'" and raw.find("'", 1) > 0:
            out[name] = raw[1 : raw.find("'", 1)]
            continue
        if raw[:1] == '"' and raw.find('"', 1) > 0:
            value = raw[1 : raw.find('"', 1)]
        else:
            value = re.split(r"(?:^|(?<![ \t])[ \t]+)#", raw, maxsplit=1)[0].strip()
            if re.search(r"\s", value):
                continue
        out[name] = re.sub(
            r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))",
            lambda m: out.get(m[1] or m[2], environ.get(m[1] or m[2], "")),
            value,
        )
    return out
