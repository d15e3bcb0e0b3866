"""The version that a record of ours carries; one that names none is of version 1."""

from __future__ import annotations

from ccsetup.errors import CcsetupError
from ccsetup.i18n import _


class Newer(CcsetupError):
    """A record was made by a newer ccsetup: it is to be left as it is."""


def check(found: object, known: int, file: str) -> None:
    """Raise Newer when *found*, the version that stands in *file*, is greater than *known*, the newest one we read."""
    if isinstance(found, (int, float)) and found > known:
        raise Newer(
            _("{path} was made by a newer ccsetup.").format(path=file),
            hint=_("Install that version again, or move the file away."),
        )
