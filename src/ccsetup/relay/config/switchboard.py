"""Where the reserved model ids lead (``profiles.reserved``): a small file of the relay's state, which commands write.

A target is ``UPSTREAM``, ``UPSTREAM/MODEL`` or the id of a model that an upstream has.
"""

from __future__ import annotations

import json
from typing import Mapping

from ccsetup import bounded
from ccsetup.documents import version
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.profiles import reserved
from ccsetup.tuples import NamedTuple

VERSION = 1


class Switchboard(NamedTuple):
    """Targets; "" and what is missing: not set."""

    default: str = ""
    tiers: Mapping[str, str] = {}
    """By ``reserved.TIERS``."""
    all: str = ""
    """Of every request, whatever it asks for."""

    def set(self) -> dict[str, str]:
        """Return the targets that are set, by ``all``, ``default`` and the names of the tiers."""
        named = {"all": self.all, reserved.DEFAULT: self.default}
        named.update((tier, self.tiers.get(tier, "")) for tier in reserved.TIERS)
        return {use: target for use, target in named.items() if target}

    def dump(self) -> str:
        """Return the text of the file; "" where nothing is set."""
        if not self.set():
            return ""
        tiers = {tier: target for tier, target in self.tiers.items() if target}
        return json.dumps({"version": VERSION, **self._asdict(), "tiers": tiers}, indent=2) + "\n"


UNSET = Switchboard()


def read(path: str, file: str) -> Switchboard:
    """Return what *path* says, which people call *file*; CcsetupError when that cannot be read."""
    try:
        data = bounded.found(path, 1 << 20)
    except FileNotFoundError:
        return UNSET
    except OSError as error:
        raise CcsetupError(_("{file} cannot be read: {reason}").format(file=file, reason=error.strerror)) from None
    try:
        value = json.loads(data)
        version.check(value.get("version"), VERSION, file)
        found = Switchboard(value.get("default", ""), value.get("tiers", {}), value.get("all", ""))
        if all(type(target) is str for target in (found.default, found.all, *found.tiers.values())):
            return found
    except (ValueError, AttributeError, RecursionError):
        pass
    raise CcsetupError(
        _("{file} is not as the program writes it.").format(file=file),
        hint=_("Have it written anew with: ccsetup relay use --reset"),
    )
