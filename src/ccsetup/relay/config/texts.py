"""What single texts of ``relay.yaml`` mean: times, days, addresses, names of headers.

Pure; UsageError when they are wrong.
"""

from __future__ import annotations

import re
from typing import Any

from ccsetup import profiles
from ccsetup.documents.nearest import suggestion
from ccsetup.documents.schema import Document, Kind, Mapped, Number, Path, String
from ccsetup.errors import UsageError
from ccsetup.i18n import _

STORE = r"rediss?://(?:[A-Za-z0-9._~%-]+@)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?(?:/\d{1,3})?"
PROXY = r"http://[A-Za-z0-9.\[\]:-]+"
_OWN_HEADERS = (
    *("host", "content-length", "content-type", "content-encoding", "accept-encoding", "transfer-encoding"),
    *("connection", "keep-alive", "te", "trailer", "upgrade", "expect", "cookie", "cookie2"),
)
_KEY_HEADER = r"(?:^|.*[-_])(?:authorization|authentication|api-?key|access-?key|token|secret|password|key)$"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def minutes(text: str) -> int:
    hours, minute = text.split(":")
    return int(hours) * 60 + int(minute)


def days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for word in text.lower().split(","):
        first, _dash, last = (w.strip() for w in word.partition("-"))
        for day in (first, last or first):
            if day not in DAYS:
                problem = _("This has to be one of: {known}.").format(known=", ".join(DAYS))
                raise UsageError(problem, hint=suggestion(day, DAYS, else_all=False))
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found.update(d % 7 for d in range(begin, end + 1 if end >= begin else end + 8))
    return frozenset(found)


def zone(text: str) -> str:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        hint = suggestion(text, known, else_all=False) or _("Such as Asia/Shanghai.")
        raise UsageError(_("This is not a time zone."), hint=hint) from None
    return text


def store_url(text: str) -> str:
    if re.search(r"://[^/]*:[^/]*@", text):
        raise UsageError(_("The URL holds a password: it goes below 'password'."), hint="password: {env: NAME}")
    if not re.fullmatch(STORE, text):
        raise UsageError(_("This is not an address such as redis://host:6379/0."))
    return text


def proxy(text: str) -> str:
    if "@" in text:
        hint = _("Leave 'proxy' out, and set HTTPS_PROXY where the relay runs.")
        raise UsageError(_("A password of a proxy is not written here."), hint=hint)
    if text != "none" and not re.fullmatch(PROXY, text):
        raise UsageError(_("This is neither http://host:port nor none."))
    return text


def profile(text: str) -> str:
    if not profiles.NAME.match(text) or text in profiles.RESERVED:
        raise UsageError(_("This is not the name of a saved profile."))
    return text


def header(name: str) -> str:
    lower = name.lower()
    if re.match(_KEY_HEADER, lower):
        raise UsageError(_("A header that carries a key is not written here."), hint=_("Keys go below 'keys'."))
    if lower in _OWN_HEADERS or lower.startswith("proxy-"):
        raise UsageError(_("The relay sets this header itself."))
    return name


class Headers(Mapped):
    """Headers of a request, whose names do not differ in case alone."""

    def read(self, at: Document, value: Any, path: Path) -> Any:
        out = super().read(at, value, path)
        seen: set[str] = set()
        for name in out:
            if name.lower() in seen:
                at.fail((*path, name), _("The key '{key}' appears twice.").format(key=name), key=True)
            seen.add(name.lower())
        return out


class Status(Kind):
    """A status, or a range of them; the first and the last of the range are made of it."""

    one = Number(100, 999)
    range = String(r"[1-9]\d\d-[1-9]\d\d", lambda: _("A range is written as 500-599."))

    def read(self, at: Document, value: Any, path: Path) -> tuple[int, int]:
        if not isinstance(value, str):
            status = self.one.read(at, value, path)
            return status, status
        low, high = (int(n) for n in self.range.read(at, value, path).split("-"))
        if low > high:
            at.fail(path, _("A range is written as 500-599."))
        return low, high

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [self.one.schema(), self.range.schema()]}


_OWN_MEMBERS = ("model", "messages", "input", "stream", "stream_options")


def member(name: str) -> str:
    if name in _OWN_MEMBERS:
        raise UsageError(_("The relay sets this member of a request itself."))
    return name


class Json(Kind):
    """Whatever JSON can say."""

    null = True

    def read(self, at: Document, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {name: self.read(at, item, (*path, name)) for name, item in at.mapping(value, path).items()}
        if isinstance(value, list):
            return [self.read(at, item, (*path, n)) for n, item in enumerate(value)]
        return value

    def schema(self) -> dict[str, Any]:
        return {}
