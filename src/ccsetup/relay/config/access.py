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
from ccsetup.errors import CcsetupError, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.relay.store import Spent
from ccsetup.relay.wire.messages import WireError

FILE = "relay-keys.json"
"""Its name in the folder of the configuration; 0600."""

VERSION = 1
"""Of the file; one that names none is of version 1."""

PREFIX = "ccr-"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}\Z")

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
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
    last4: str
    """The key's last four characters, for people."""
    created: float
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


def parse(data: bytes, name: str) -> Access:
    """Return the keys in *data*, the text of the file *name*; CcsetupError says where it is wrong."""

    def wrong(place: str, reason: str) -> CcsetupError:
        return CcsetupError(
            _("{file}: {place}: {reason}").format(file=name, place=place, reason=reason),
            hint=_("Correct the file, or remove it and make new keys with 'ccsetup relay key add NAME'."),
        )

    try:
        document = json.loads(data)
    except ValueError as error:
        raise wrong("JSON", str(error)) from None
    if isinstance(document, dict):
        version.check(document.get("version"), VERSION, name)
    items = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise wrong("keys", _("a list is missing"))
    keys: list[ClientKey] = []
    for index, item in enumerate(items):
        try:
            key = _read(item)
        except _Wrong as error:
            member, reason = error.args
            raise wrong(f"keys[{index}]" + (f".{member}" if member else ""), reason) from None
        if any(key.name == other.name for other in keys):
            raise wrong(f"keys[{index}].name", _("'{name}' is there twice").format(name=key.name))
        keys.append(key)
    return Access(keys)


def dump(access: Access) -> bytes:
    """Return the text of the file."""
    return (json.dumps({"version": VERSION, "keys": [_written(key) for key in access.keys]}, indent=2) + "\n").encode()


class _Wrong(Exception):
    """Member, and what is wrong with it."""


def _read(item: Any) -> ClientKey:
    if not isinstance(item, dict):
        raise _Wrong("", _("an object is missing"))
    unknown = set(item) - {"name", "sha256", "last4", "created", "expires", "upstreams", "budget", "revoked"}
    if unknown:  # a misspelt limit must not silently be none
        raise _Wrong(printable(min(unknown)), _("this is not known"))
    for member, pattern in (("name", NAME), ("sha256", _HASH)):
        if not isinstance(item.get(member), str) or not pattern.match(item[member]):
            raise _Wrong(member, _("this is not what belongs here"))
    upstreams = item.get("upstreams")
    if upstreams is not None and not (
        isinstance(upstreams, list) and upstreams and all(isinstance(name, str) for name in upstreams)
    ):
        raise _Wrong("upstreams", _("a list of names is missing"))
    created = _time(item, "created")
    last4 = item.get("last4", "")
    return ClientKey(
        name=item["name"],
        hash=item["sha256"],
        last4=last4[:4] if isinstance(last4, str) else "",
        created=0.0 if created is None else created,
        expires=_time(item, "expires"),
        upstreams=None if upstreams is None else frozenset(upstreams),
        budget=_budget(item.get("budget", {})),
        revoked=_time(item, "revoked"),
    )


def _budget(value: Any) -> Budget:
    if not isinstance(value, dict):
        raise _Wrong("budget", _("an object is missing"))
    unknown = set(value) - set(Budget._fields)
    if unknown:
        raise _Wrong(f"budget.{printable(min(unknown))}", _("this is not known"))
    for member in ("requests", "tokens", "cost"):
        number = value.get(member)
        wanted = (int, float) if member == "cost" else (int,)
        if number is not None and (isinstance(number, bool) or not isinstance(number, wanted) or not number >= 0):
            raise _Wrong(f"budget.{member}", _("a number that is not negative is missing"))
    currency = value.get("currency", "USD")
    if not isinstance(currency, str) or not _CURRENCY.match(currency):
        raise _Wrong("budget.currency", _("a code of three letters is missing, such as USD"))
    return Budget(value.get("requests"), value.get("tokens"), value.get("cost"), currency)


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


def _time(item: Mapping[str, Any], member: str) -> Optional[float]:
    value = item.get(member)
    if value is None:
        return None
    try:
        moment = datetime.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp()
    except (TypeError, ValueError, OverflowError):
        raise _Wrong(member, _("a time is missing, such as 2027-01-31T12:00:00Z")) from None


def _stamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
