"""What stands in the server that several relays share: addresses, and what is read and written there.  Pure."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Optional, Union
from urllib.parse import urlsplit

from ccsetup.relay.store import Rest
from ccsetup.relay.store.spending import ClientTotal
from ccsetup.relay.wire import codec


def place_of(url: str) -> str:
    """Return the place of the server at *url* without anything secret.  ValueError when *url* is none."""
    parts = urlsplit(url)
    return f"{parts.hostname or parts.path}:{parts.port or 6379}{parts.path if parts.hostname else ''}"


def sent_note(place: str, prefix: str) -> str:
    """Return the name of the note that says up to which row the server at *place* has the usage."""
    return f"sent {place} {prefix}"


class Addresses(NamedTuple):
    """The addresses of everything in the server."""

    prefix: str

    @property
    def rests(self) -> str:
        return f"{self.prefix}:rests"

    @property
    def usage(self) -> str:
        return f"{self.prefix}:usage"

    @property
    def config(self) -> str:
        return f"{self.prefix}:config"

    @property
    def born(self) -> str:
        return f"{self.prefix}:born"

    @property
    def changes(self) -> str:
        return f"{self.prefix}:changes"

    def rest(self, name: str) -> str:
        return f"{self.prefix}:rest:{name}"

    def spent(self, day: int) -> str:
        return f"{self.prefix}:spent:{day}"


def text_of(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def number_of(value: bytes) -> float:
    try:
        number = float(value)
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def counted(relay: str, client: str, tally: ClientTotal) -> list[tuple[str, float]]:
    return [
        (f"{relay} {client} requests", tally.requests),
        (f"{relay} {client} tokens", tally.tokens),
        *((f"{relay} {client} cost {currency}", cost) for currency, cost in tally.costs.items()),
    ]


def read_rest(value: Union[bytes, str, None]) -> Optional[Rest]:
    """Return the rest in *value*; None when there is none, or it is not ours."""
    if value is None:
        return None
    try:
        found = codec.loads(value)
        return Rest(
            str(found["upstream"]), int(found["key"]), float(found["until"]), int(found["step"]), str(found["reason"])
        )
    except (ValueError, TypeError, KeyError):
        return None
