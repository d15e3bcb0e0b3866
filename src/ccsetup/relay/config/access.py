"""Who may use the relay: the keys of its clients, their budgets, and the text of ``relay-keys.json``.  Pure.

The file holds no key, only a hash of each.  The keys are 256 random bits, so nothing is to be guessed, and a fast hash
protects them as well as a slow one.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re
import time
from hashlib import sha256
from typing import Any, Iterable, Mapping, NamedTuple, Optional

from ccsetup.documents import version
from ccsetup.documents.schema import CURRENCY, Block, Key, Many, Number, String
from ccsetup.errors import DocumentError, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.relay.store import Spent
from ccsetup.relay.wire.messages import WireError

FILE = "relay-keys.json"
"""Its name in the folder of the configuration; 0600."""

VERSION = 1
"""Of the file; one that names none is of version 1."""

PREFIX = "ccr-"

_NAME = "[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
NAME = re.compile(rf"{_NAME}\Z")

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LONGEST = 512
"""Bytes of what a client presents; more is no key of ours and is not hashed."""
_DAY = 86400


class Budget(NamedTuple):
    """What a key may use on one day (UTC); None: any amount."""

    requests: Optional[int] = None
    tokens: Optional[int] = None
    """All tokens: input, cache and output."""
    cost: Optional[float] = None
    currency: str = "USD"
    """Of *cost*; what upstreams charge in another currency is not counted."""


class ClientKey(NamedTuple):
    name: str
    hash: str
    """SHA-256 of the key, 64 hexadecimal digits."""
    last4: str = ""
    """The key's last four characters, for people."""
    created: float = 0.0
    """Unix time, as the others."""
    expires: Optional[float] = None
    upstreams: Optional[frozenset[str]] = None
    """The names of those it may use; None: all."""
    budget: Budget = Budget()
    revoked: Optional[float] = None

    @property
    def free(self) -> bool:
        """Nothing limits it."""
        return self.expires is None and self.budget == _UNLIMITED

    def __repr__(self) -> str:
        return f"ClientKey({self.name!r})"


class Access:
    """The keys of one version of the file."""

    def __init__(self, keys: Iterable[ClientKey] = ()) -> None:
        self.keys = tuple(keys)
        self._by_hash = {bytes.fromhex(key.hash): key for key in self.keys if key.revoked is None}

    def find(self, presented: bytes) -> Optional[ClientKey]:
        """Return the key that a client presents, None when it is unknown or revoked.

        The time it takes tells nothing: what is looked up is a hash, which nobody can choose.  It takes less than
        a microsecond, so neither keys nor answers are kept.
        """
        if len(presented) > _LONGEST:
            return None
        return self._by_hash.get(sha256(presented).digest())

    def any(self) -> bool:
        """Tell whether there is a key that is not revoked."""
        return bool(self._by_hash)

    def named(self, name: str) -> Optional[ClientKey]:
        return next((key for key in self.keys if key.name == name), None)

    def with_key(self, key: ClientKey) -> Access:
        """Return these keys and *key*; UsageError when its name is taken or cannot be one."""
        if not NAME.match(key.name):
            raise UsageError(
                _("'{name}' cannot be the name of a key: use letters, digits and '._@-', at most 64.").format(
                    name=printable(key.name)
                )
            )
        if self.named(key.name):
            raise UsageError(
                _("There is already a key called '{name}'.").format(name=key.name),
                hint=_("Choose another name; that of a revoked key is not given again."),
            )
        return Access((*self.keys, key))

    def revoke(self, name: str, now: float) -> Access:
        """Return these keys, with the one called *name* refused from now on; it stays in the list."""
        self._need(name)
        return Access(
            key._replace(revoked=now) if key.name == name and key.revoked is None else key for key in self.keys
        )

    def remove(self, name: str) -> Access:
        self._need(name)
        return Access(key for key in self.keys if key.name != name)

    def _need(self, name: str) -> None:
        if self.named(name) is None:
            raise UsageError(
                _("There is no key called '{name}'.").format(name=printable(name)),
                hint=_("These exist: {names}").format(names=", ".join(k.name for k in self.keys)) if self.keys else "",
            )


def generate() -> Secret:
    """Return a new key: ``ccr-`` and 43 letters and digits, which hold 256 random bits."""
    number = int.from_bytes(os.urandom(32), "big")
    digits = []
    for _place in range(43):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return Secret(PREFIX + "".join(reversed(digits)))


def describe(
    secret: Secret,
    name: str,
    now: float,
    *,
    expires: Optional[float] = None,
    upstreams: Optional[Iterable[str]] = None,
    budget: Optional[Budget] = None,
) -> ClientKey:
    """Return what is kept of the key *secret*."""
    text = secret.reveal()
    allowed = None if upstreams is None else frozenset(upstreams)
    return ClientKey(name, sha256(text.encode()).hexdigest(), text[-4:], now, expires, allowed, budget or _UNLIMITED)


def refusal(key: ClientKey, spent: Spent, now: float) -> Optional[WireError]:
    """Return why a request with *key* is refused, None when it is not.  *spent* is that of the day that holds *now*."""
    if key.expires is not None and now >= key.expires:
        return WireError("authentication", f"The relay key '{key.name}' expired on {_stamp(key.expires)}.", 401)
    budget = key.budget
    if budget == _UNLIMITED:
        return None
    for what, used, limit in (
        ("requests", spent.requests, budget.requests),
        ("tokens", spent.tokens, budget.tokens),
        ("cost", spent.cost if budget.currency == "USD" else spent.other.get(budget.currency, 0.0), budget.cost),
    ):
        if limit is not None and used >= limit:
            unit = budget.currency if what == "cost" else what
            return WireError(
                "quota",
                f"The budget of the relay key '{key.name}' is used up: {limit:,} {unit} a day."
                " It begins anew at 00:00 UTC.",
                429,
                retry_after=str(math.ceil(_DAY - now % _DAY)),
                code=f"budget_{what}",
            )
    return None


_UNLIMITED = Budget()


# The file.


def _moment(text: str) -> float:
    try:
        moment = datetime.datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        raise UsageError(_("a time is missing, such as 2027-01-31T12:00:00Z")) from None


_TIME = String(make=_moment, schema={"format": "date-time"})
_BUDGET = Block(
    "What a key may use on one day (UTC)",
    {
        "requests": Key(Number(), "Requests"),
        "tokens": Key(Number(), "All tokens: input, cache and output"),
        "cost": Key(Number(decimal=True), "In `currency`"),
        "currency": Key(CURRENCY, "Of `cost`"),
    },
    make=Budget,
    blank=True,
)
_KEY = Block(
    "A key of a client of the relay",
    {
        "name": Key(String(_NAME), "Letters, digits, `.`, `_`, `@`, `-`", required=True),
        "sha256": Key(String("[0-9a-f]{64}"), "SHA-256 of the key", field="hash", required=True),
        "last4": Key(String(empty=True, make=lambda text: text[:4]), "The key's last four characters"),
        "created": Key(_TIME, "When it was made"),
        "expires": Key(_TIME, "From then on it is refused"),
        "upstreams": Key(Many(String(), 1, make=frozenset), "The names of those it may use; missing: all"),
        "budget": Key(_BUDGET, "What it may use on one day (UTC)"),
        "revoked": Key(_TIME, "Since then it is refused"),
    },
    make=ClientKey,
    blank=True,
)
TABLE = Block(
    "The keys of the relay's clients, relay-keys.json",
    {
        "version": Key(Number(VERSION, VERSION), "The version of the format", default=VERSION),
        "keys": Key(Many(_KEY), "The keys", required=True),
    },
    make=dict,
    keep=True,
)


def parse(data: bytes, name: str) -> Access:
    """Return the keys in *data*, the text of the file *name*; CcsetupError says where it is wrong."""
    from ccsetup.documents import encoding, jsondoc

    try:
        at = jsondoc.document(encoding.decode(data), name)
        version.check(at.data.get("version") if isinstance(at.data, dict) else 1, VERSION, name)
        keys: list[ClientKey] = at.read(TABLE)["keys"]
        for i, key in enumerate(keys):
            if any(key.name == other.name for other in keys[:i]):
                at.fail(("keys", i, "name"), _("'{name}' is there twice").format(name=key.name))
    except DocumentError as e:
        hint = _("Correct the file, or remove it and make new keys with 'ccsetup relay key add NAME'.")
        raise DocumentError(e.message, line=e.line, column=e.column, hint=f"{e.hint} {hint}".strip()) from None
    return Access(keys)


def dump(access: Access) -> bytes:
    """Return the text of the file."""
    return (json.dumps({"version": VERSION, "keys": [_written(key) for key in access.keys]}, indent=2) + "\n").encode()


def _written(key: ClientKey) -> Mapping[str, Any]:
    budget = {name: value for name, value in key.budget._asdict().items() if value is not None and name != "currency"}
    if "cost" in budget:
        budget["currency"] = key.budget.currency
    out: dict[str, Any] = {
        "name": key.name,
        "sha256": key.hash,
        "last4": key.last4,
        "created": _stamp(key.created),
        "expires": None if key.expires is None else _stamp(key.expires),
        "upstreams": None if key.upstreams is None else sorted(key.upstreams),
        "budget": budget,
        "revoked": None if key.revoked is None else _stamp(key.revoked),
    }
    return {member: value for member, value in out.items() if value not in (None, {})}


def _stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
