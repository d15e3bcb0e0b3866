"""Times as people write them in options: ``12h``, ``30d``, ``8w``, or a date."""

from __future__ import annotations

import datetime
import os
import re
import time
from typing import Mapping, Optional

from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}


def moment(text: str, option: str, now: float, *, ahead: bool, zone: str = "") -> float:
    """Return the Unix time that *text* names; a length of time counts from *now*, *ahead* or back.

    A date is one of *zone*: an IANA name, "" for the machine's own.
    """
    from zoneinfo import ZoneInfo

    found = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    if found:
        seconds = int(found[1]) * _UNITS[found[2]]
        return now + seconds if ahead else now - seconds
    try:
        when = datetime.datetime.fromisoformat(text.strip())
        if when.tzinfo is None:
            when = when.replace(tzinfo=ZoneInfo(zone)) if zone else when.astimezone()
        return when.timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            _("{option}: '{text}' is neither a time such as 30d nor a date such as 2027-01-31.").format(
                option=option, text=printable(text, 40)
            )
        ) from None


def zone(text: Optional[str]) -> str:
    """Return the time zone that ``--zone`` names, "" for the machine's own (TZ, where it is set)."""
    if not text:
        return ""
    from ccsetup.relay.config import texts

    try:
        return texts.zone(text)
    except UsageError as e:
        raise UsageError(f"--zone: {e.message}", hint=e.hint) from None


def zone_name(zone: str, environ: Mapping[str, str]) -> str:
    """Return for people what *zone* is called: its own name, or how far it is from UTC."""
    if zone:
        return zone
    place = environ.get("TZ", "").lstrip(":") or os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*", place):
        return place
    return time.strftime("UTC%z", time.localtime())
