"""macOS.  Not tested."""

from __future__ import annotations

import os
import sys
from typing import Literal, Mapping

assert sys.platform == "darwin"

from ccsetup.platform.posix import *  # noqa: F403
from ccsetup.platform.posix import based, give_owner

SERVICES: Literal["systemd", "launchd", ""] = "launchd"
TRUST_STORE = True


def exchange(one: str, other: str) -> bool:
    return False


def keep_memory() -> None:
    pass


def return_memory() -> None:
    pass


def adopt(fd: int, status: os.stat_result, source: str, private: bool) -> None:
    give_owner(fd, status, private)


def config_folder(environ: Mapping[str, str], home: str) -> str:
    """Return what platformdirs 4.14 gives."""
    return based(environ, "XDG_CONFIG_HOME", os.path.join(home, "Library", "Application Support"))


def state_folder(environ: Mapping[str, str], home: str) -> str:
    return based(environ, "XDG_STATE_HOME", os.path.join(home, "Library", "Application Support"))
