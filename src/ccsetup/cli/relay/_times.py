"""Times as people write them in options: ``12h``, ``30d``, ``8w``, or a date."""

from __future__ import annotations

import datetime
import re

from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}


def moment(text: str, option: str, now: float, *, ahead: bool) -> float:
    """Return the Unix time that *text* names; a length of time counts from *now*, *ahead* or back."""
    found = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    if found:
        seconds = int(found[1]) * _UNITS[found[2]]
        return now + seconds if ahead else now - seconds
    try:
        when = datetime.datetime.fromisoformat(text.strip())
        if when.tzinfo is None:
            when = when.astimezone()
        return when.timestamp()
    except (ValueError, OverflowError):
        raise UsageError(
            _("{option}: '{text}' is neither a time such as 30d nor a date such as 2027-01-31.").format(
                option=option, text=printable(text, 40)
            )
        ) from None
