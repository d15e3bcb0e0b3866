"""``ccsetup relay drain``: the usage that relays share, into PostgreSQL."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any, Optional
from urllib.parse import urlsplit

import typer

from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.plan import Note
from ccsetup.relay.config import secrets
from ccsetup.relay.reporting import drain

EPILOG = _("It ends with Ctrl-C or SIGTERM; what it was writing is committed first.")

REDIS, POSTGRES = "CCSETUP_RELAY_REDIS", "CCSETUP_RELAY_POSTGRES"
"""Variables with the addresses: unlike options, other users of the machine cannot see them."""


def command(
    redis: Optional[str] = typer.Option(
        None, "--redis", metavar="URL", help=_("The shared store; else CCSETUP_RELAY_REDIS, else that of relay.yaml.")
    ),
    postgres: Optional[str] = typer.Option(
        None, "--postgres", metavar="URL", help=_("The database; else CCSETUP_RELAY_POSTGRES.")
    ),
    prefix: Optional[str] = typer.Option(
        None, "--prefix", metavar="WORD", help=_("What the names in the store begin with; else that of relay.yaml.")
    ),
    once: bool = typer.Option(False, "--once", help=_("End when nothing is left to write.")),
    config: Optional[str] = _base.CONFIG,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    environ = context.paths.environ
    password: Optional[Secret] = None
    source = redis or environ.get(REDIS, "")
    at = _base.here(context, config)
    settings = _base.load(context, at).store if _base.read(at.config) is not None else None
    if not source and settings is not None and settings.url:
        source = settings.url
        password = secrets.read_one(settings.password, context.paths) if settings.password is not None else None
    target = postgres or environ.get(POSTGRES, "")
    for given, option, variable in ((source, "--redis", REDIS), (target, "--postgres", POSTGRES)):
        if not given:
            raise UsageError(
                _("{option} is missing.").format(option=option),
                hint=_("Give it, or set the variable {name}, which other users cannot see.").format(name=variable),
            )
    for value, option in ((redis, "--redis"), (postgres, "--postgres")):
        if value and _password(value):
            text = _("Other users of this machine can see the password in {option}.")
            hint = _("Set the variable {name} instead.").format(name=REDIS if option == "--redis" else POSTGRES)
            context.notes.append(Note("warning", text.format(option=option), hint))
    _output.print_notes(context.notes if not as_json else ())
    stop = threading.Event()

    def end(_number: int, _frame: Any) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    done = drain.drain(
        source,
        target,
        password=password,
        prefix=prefix or (settings.prefix if settings is not None else "ccsetup"),
        once=once,
        stop=stop,
        tell=_tell,
    )
    if as_json:
        _output.print_json("relay drain", done._asdict(), context.notes)
    else:
        _output.line(_("{n} requests were written.").format(n=done.written))
        if done.skipped:
            _output.line(_("{n} entries are none of a relay, and were left out.").format(n=done.skipped))
    return 0


def _tell(text: str) -> None:
    sys.stderr.write(_output.safe(text) + "\n")
    sys.stderr.flush()


def _password(url: str) -> bool:
    try:
        return bool(urlsplit(url).password)
    except ValueError:
        return False
