"""JSON for the relay: orjson where it is installed, else the standard library with the same results."""

from __future__ import annotations

import json
from typing import Any, Callable, Union

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
    loads, dumps = orjson.loads, orjson.dumps
