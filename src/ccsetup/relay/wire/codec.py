"""JSON for the relay: orjson where it is installed, else the standard library with the same results."""

from __future__ import annotations

import json
from typing import Any, Callable, Mapping, Union

from ccsetup.relay.wire.messages import BadRequest

Source = Union[bytes, str]


def _plain_loads(data: Source) -> Any:
    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    return json.loads(data, parse_constant=refuse)


def _plain_dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


loads: Callable[[Source], Any]
"""Return the value of a JSON text; ValueError when it is none.  NaN and Infinity are refused."""
dumps: Callable[[Any], bytes]
"""Return compact UTF-8 JSON."""

try:
    import orjson
except ImportError:
    loads, dumps = _plain_loads, _plain_dumps
else:
    _quick = orjson.dumps

    def _dumps(value: Any) -> bytes:
        try:
            return _quick(value)
        except TypeError:  # a number of more than 64 bits, or half a surrogate pair, which clients do send
            return _plain_dumps(value)

    loads, dumps = orjson.loads, _dumps


def request(body: Union[bytes, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the members of a request, parsed if it is not yet; BadRequest when it is no JSON object."""
    if not isinstance(body, bytes):
        return body
    try:
        value = loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise BadRequest("The body has to be a JSON object.")
    return value


def written(value: Any, path: str = "") -> bytes:
    """Return what a client sent as JSON; BadRequest where it is nested too deeply for that (orjson: 254)."""
    try:
        return dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise BadRequest(f"{path or 'The request'} is nested too deeply.", path) from None


def written_or_nothing(value: Any) -> str:
    """Return JSON text; "" where *value* is nested too deeply for that."""
    try:
        return dumps(value).decode()
    except (TypeError, ValueError, RecursionError):
        return ""
