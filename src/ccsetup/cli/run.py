"""``ccsetup run``: start a client with a profile, without changing any file."""

from __future__ import annotations

import os
import sys
from typing import Optional

import typer

from ccsetup.change import once
from ccsetup.cli import _complete, _options, _output
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS, usual_client
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.platform import system
from ccsetup.profiles import RELAY

HELP = _(
    "Start a client with a saved profile, whichever profile is in use, and change no file. The client gets your "
    "arguments, and its exit code is the result."
)
EPILOG = _("Example: ccsetup run glm -- claude -p 'say hi'")


def command(
    name: str = typer.Argument(..., metavar="NAME", help=_("A saved profile."), autocompletion=_complete.profiles),
    arguments: Optional[list[str]] = typer.Argument(
        None, metavar="[-- claude|codex [ARGUMENT]...]", help=_("The client; the first one of the profile if left out.")
    ),
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    world = context.world()
    name = world.means(name)
    profile = world.find(name)
    argv = list(arguments or ())
    if not argv:
        argv = [CLIENTS[usual_client(profile.parts)].program]
    programs = {c.program: c.id for c in CLIENTS.values()}
    client = programs.get(os.path.basename(argv[0]))
    if client is None:
        raise UsageError(
            _("'{program}' is none of the clients: {programs}.").format(
                program=_output.safe(argv[0]), programs=", ".join(programs)
            ),
            hint=_('For other programs: eval "$(ccsetup env {name})"').format(name=name),
        )
    import shutil

    if name == RELAY:
        from ccsetup.cli.relay import _up

        _up.start_for_clients(context)
    start = once.start(world, profile, client, argv[1:])
    environ = {k: v for k, v in os.environ.items() if k not in start.unset or k == profile.key_env}
    environ.update(start.set)
    _output.print_notes([*context.notes, *world.notes])
    sys.stderr.flush()
    # Not execvpe: where a program cannot be started, it goes on to the next one of that name on PATH.
    path = argv[0] if os.sep in argv[0] else shutil.which(argv[0]) or ""
    if not path:
        raise CcsetupError(_("'{program}' is not installed, or not on PATH.").format(program=_output.safe(argv[0])))
    try:
        return system.become(path, [argv[0], *start.arguments, *argv[1:]], environ)
    except OSError as e:
        raise CcsetupError(
            _("'{program}' cannot be started: {reason}.").format(program=_output.safe(path), reason=e.strerror)
        ) from None
