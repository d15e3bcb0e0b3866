"""What the relay's commands share: its places, its configuration, and the packages that it needs."""

from __future__ import annotations

from typing import Mapping, Optional

import typer

from ccsetup import disk
from ccsetup.cli._context import Context
from ccsetup.errors import CcsetupError, UsageError, printable
from ccsetup.i18n import _
from ccsetup.profiles import Profile
from ccsetup.relay.config.access import Access
from ccsetup.relay.config.model import Config
from ccsetup.relay.config.places import Places, places
from ccsetup.relay.log import LEVELS, Level
from ccsetup.relay.running.control import RelayProcess

CONFIG = typer.Option(
    None, "--config", metavar="FILE", help=_("Another configuration than ~/.config/ccsetup/relay.yaml.")
)

NEEDED = ("httptools",)


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


def load(
    context: Context, at: Places, command: str = "ccsetup relay check", saved: Optional[Mapping[str, Profile]] = None
) -> Config:
    """Return the configuration; CcsetupError where there is none, or with the place of what is wrong in it.

    *command* is to be run when that is corrected.  *saved*: the profiles, where they are others than in their file.
    """
    data = read(at.config)
    if data is None:
        raise CcsetupError(
            _("There is no {file} yet.").format(file=context.paths.short(at.config)),
            hint=_("Make it with: ccsetup relay init"),
        )
    return parsed(context, at, data, command, saved)


def parsed(
    context: Context,
    at: Places,
    data: bytes,
    command: str = "ccsetup relay check",
    saved: Optional[Mapping[str, Profile]] = None,
) -> Config:
    """Return the configuration *data*, as ``load`` does."""
    from ccsetup.relay.config.parse import parse

    try:
        found = parse(data, context.paths.short(at.config), context.preset)
    except CcsetupError as e:
        e.hint = e.hint or corrected(command)
        raise
    return with_saved(context, found, saved)[0]


def with_saved(
    context: Context, config: Config, saved: Optional[Mapping[str, Profile]] = None
) -> tuple[Config, tuple[str, ...]]:
    """Return *config* with the saved profiles of now as upstreams, where it says so, and why some of them are none."""
    if not config.profiles:
        return config, ()
    from ccsetup.relay.config import compose

    named = config._replace(upstreams=tuple(u for u in config.upstreams if not u.saved))
    return compose.with_saved(named, context.world().profiles if saved is None else saved, context.preset)


def silent(running: RelayProcess) -> CcsetupError:
    """Return what is to be said where *running* takes no requests."""
    return CcsetupError(
        _("A relay (process {pid}) is there, but does not answer: it may be waiting for answers to finish.").format(
            pid=running.pid
        ),
        hint=_("End it at once with: ccsetup relay stop --now"),
    )


def corrected(command: str) -> str:
    """Return what to do about a file that cannot be used."""
    return _("Correct it, then run: {command}").format(command=command)


def level_of(text: str) -> Level:
    """Return the level of the log that *text* names."""
    found = next((level for level in LEVELS if level == text), None)
    if found is None:
        raise UsageError(
            _("Invalid log level '{value}'. Valid ones: {valid}").format(value=printable(text), valid=", ".join(LEVELS))
        )
    return found


def load_keys(context: Context, at: Places) -> Access:
    """Return the keys of the relay's clients."""
    from ccsetup.relay.config import access

    data = read(at.keys)
    return Access(()) if data is None else access.parse(data, context.paths.short(at.keys))


def why(word: str) -> str:
    """Return for people why an upstream is not asked now; "" when it is."""
    words = {
        "disabled": _("switched off"),
        "window": _("outside its hours"),
        "resting": _("rests"),
        "probing": _("is tried again"),
        "keys": _("none of its keys can be used"),
        "busy": _("busy"),
    }
    return words.get(word, word)
