"""Members of a client's request, each of the type that it has to have.  Pure.

A member that is absent or null counts as empty.  BadRequest, with the member's path, for one of another type; *path* is
that of its *holder*, "" for the request itself.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

from ccsetup.relay.wire.messages import BadRequest

_LARGEST = 1 << 53


def wrong(path: str, wanted: str) -> BadRequest:
    """Return the error for a member that is not *wanted*: "a text"."""
    return BadRequest(f"{path} has to be {wanted}.", path)


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def text(holder: Mapping[str, Any], name: str, path: str = "") -> str:
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong(_at(path, name), "a text")
    return value


def required(holder: Mapping[str, Any], name: str, path: str = "") -> str:
    """Return a text that has to be there, and may be empty."""
    value = holder.get(name)
    if not isinstance(value, str):
        raise wrong(_at(path, name), "a text")
    return value


def filled(holder: Mapping[str, Any], name: str, path: str = "") -> str:
    """Return a text that has to be there and not empty."""
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise wrong(_at(path, name), "a text that is not empty")
    return value


def flag(holder: Mapping[str, Any], name: str, path: str = "") -> Optional[bool]:
    value = holder.get(name)
    if value is not None and not isinstance(value, bool):
        raise wrong(_at(path, name), "true or false")
    return value


def number(holder: Mapping[str, Any], name: str, path: str = "") -> Optional[float]:
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LARGEST:
        raise wrong(_at(path, name), "a number")
    return value


def integer(holder: Mapping[str, Any], name: str, path: str = "", *, least: int = 0) -> Optional[int]:
    value = holder.get(name)
    if type(value) is int and least <= value < _LARGEST:
        return value
    given = number(holder, name, path)
    if given is not None and (given != int(given) or given < least):
        raise wrong(_at(path, name), f"a whole number from {least}")
    return None if given is None else int(given)


def mapping(holder: Mapping[str, Any], name: str, path: str = "") -> Mapping[str, Any]:
    value = holder.get(name)
    return {} if value is None else entry(value, _at(path, name))


def entry(value: Any, path: str) -> Mapping[str, Any]:
    """Return *value*, for instance one of a list, as the object that it has to be; *path* is its own."""
    if not isinstance(value, dict):
        raise wrong(path, "an object")
    return value


def items(holder: Mapping[str, Any], name: str, path: str = "") -> list[Any]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(_at(path, name), "a list")
    return value


_DATA_URL = re.compile(r"data:([\w.+/-]*)(?:;[\w=.\"-]+)*?;base64,", re.IGNORECASE | re.ASCII)


def data_url(url: str) -> Optional[tuple[str, str]]:
    """Return media type ("" when it names none) and base64 text of a data URL; None for anything else."""
    begin = _DATA_URL.match(url)
    return None if begin is None else (begin[1].lower(), url[begin.end() :])
