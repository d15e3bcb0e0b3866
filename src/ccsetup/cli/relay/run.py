"""``ccsetup relay run``: the relay in the foreground."""

from __future__ import annotations

import sys
from typing import Any, Optional

import typer

from ccsetup.cli import _options
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base
from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.i18n import _
from ccsetup.relay.running import control


def command(
    host: Optional[str] = typer.Option(
        None, "--host", metavar="ADDRESS", help=_("Listen here instead of where relay.yaml says.")
    ),
    port: Optional[int] = typer.Option(
        None, "--port", metavar="N", min=0, max=65535, help=_("The same for the port; 0 takes a free one.")
    ),
    config: Optional[str] = _base.CONFIG,
    level: str = typer.Option("info", "--log-level", metavar="LEVEL", help=_("debug, info, warning or error.")),
    lang: Optional[str] = _options.LANG,
) -> int:
    wanted = _base.level_of(level)
    _base.need_extra()
    context = Context()
    at = _base.here(context, config)
    other = control.alive(at)
    if other is not None:
        raise CcsetupError(
            _("The relay runs already at {url} (process {pid}).").format(url=other.url, pid=other.pid),
            hint=_("Stop it with: ccsetup relay stop"),
        )
    from ccsetup.relay.running import loading, server

    terminal = sys.stderr.isatty()

    def started(url: str) -> None:
        if terminal:
            sys.stderr.write(_("The relay runs at {url}. Ctrl-C ends it.").format(url=url) + "\n")
            sys.stderr.flush()

    settings: Any = loading.Settings(
        context.paths,
        at,
        host or "",
        port,
        wanted,
        as_json=not terminal,
        started=started,
    )
    try:
        return server.main(settings)
    except DocumentError as e:
        e.hint = e.hint or _base.corrected("ccsetup relay run")
        raise
