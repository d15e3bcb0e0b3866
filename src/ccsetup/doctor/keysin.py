"""Finds keys in the text of a settings file, whatever its format.  Pure."""

from __future__ import annotations

import re

_NAMED = re.compile(
    # Possessive: what was taken is not taken apart again, so that the time grows with the text and no faster.
    r"""(?:^|[\s{,"'])(?P<name>(?=[\w.-]{0,200}?(?:token|api[_-]?key|secret|password|credential|_key))[\w.-]{1,200}+)"""
    r"""["']?\s*+[:=]\s*+(?:(?P<quote>["'])(?P<quoted>(?:\\.|(?!(?P=quote))[^\\\n])*+)(?P=quote)"""
    r"""|(?P<plain>[^\s"'{}\[\],#]++))""",
    re.I,
)
_NO_KEY = re.compile(
    r"env_key|key_env|keyenv|key_storage|key_command|helper|max_\w{0,20}token|token\w{0,20}(?:limit|count|s)$", re.I
)
_BARE = re.compile(r"\b(?:sk|gsk|nvapi|xai|csk|tp|ms)-[A-Za-z0-9_.-]{12,}")
_ORDINARY = re.compile(r"(?:true|false|null|none|\d{1,8}(?:\.\d+)?)$", re.I)

SHORTEST = 4
"""Characters.  Nothing shorter is taken for a key: a mask of it would cover half of the text."""


def values(text: str) -> list[str]:
    """Return the keys in *text*: the values of names that say so (api_key), and what looks like one by itself."""
    out = []
    for found in _NAMED.finditer(text):
        if _NO_KEY.search(found["name"]):
            continue
        value = found["quoted"] if found["quote"] else found["plain"]
        if len(value) >= SHORTEST and not _ORDINARY.match(value) and not value.startswith(("$", "http:", "https:")):
            out.append(value)
    out += _BARE.findall(text)
    return list(dict.fromkeys(out))
