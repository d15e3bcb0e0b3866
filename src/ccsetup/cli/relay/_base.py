"""What the relay's commands share: its places, its configuration, and the packages that it needs."""

from __future__ import annotations

import sys
from typing import Optional

import typer

from ccsetup import disk
from ccsetup.cli._context import Context
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.relay.access import Access
from ccsetup.relay.config import Config
from ccsetup.relay.places import Places, places

CONFIG = typer.Option(
    None, "--config", metavar="FILE", help=_("Another configuration than ~/.config/ccsetup/relay.yaml.")
)

NEEDED = ("uvicorn", "httptools")


def need_extra() -> None:
    """Raise CcsetupError where the optional packages of the relay are not installed."""
    import importlib.util

    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise CcsetupError(
            _("The relay needs packages that are not installed: {names}.").format(names=", ".join(missing)),
            hint=_(
                "Install them with: pip install 'ccsetup[relay]' (or: uv tool install 'ccsetup[relay]'; "
                "pipx install --force 'ccsetup[relay]')"
            ),
        )


def here(context: Context, config: Optional[str] = None) -> Places:
    return places(context.paths, config or "")


def read(path: str) -> Optional[bytes]:
    """Return what *path* holds, None where there is no such file."""
    return disk.snapshot([path])[path]


def load(context: Context, at: Places) -> Config:
    """Return the configuration; CcsetupError where there is none, or with the place of what is wrong in it."""
    from ccsetup.relay import config

    data = read(at.config)
    if data is None:
        raise CcsetupError(
            _("There is no {file} yet.").format(file=context.paths.short(at.config)),
            hint=_("Make it with: ccsetup relay init"),
        )
    return config.parse(data, context.paths.short(at.config), context.preset)


def load_keys(context: Context, at: Places) -> Access:
    """Return the keys of the relay's clients."""
    from ccsetup.relay import access

    data = read(at.keys)
    return Access(()) if data is None else access.parse(data, context.paths.short(at.keys))


def interactive() -> bool:
    return all(s is not None and s.isatty() for s in (sys.stdin, sys.stdout))
