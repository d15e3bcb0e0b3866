"""Taking the relay away, for ``ccsetup uninstall``."""

from __future__ import annotations

import os

from ccsetup.change.world import World
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.relay.running import control, service


def files(context: Context, world: World) -> None:
    """Remove the relay's files in the draft.  Its figures stay in the state folder."""
    at = _base.here(context)
    led = context.paths.relay_switchboard
    for path in (at.config, at.keys, led, service.unit_file(context.paths), service.agent_file(context.paths)):
        if os.path.lexists(path):
            world.draft.replace(path, None)


def process(context: Context) -> None:
    """End the relay, and have nothing start it again; called before its files go."""
    service.disable(context.paths)
    _state, running = control.look(_base.here(context))
    if running is None:
        return
    if service.kill(running):
        context.notes.append(Note("info", _("The relay was stopped.")))
    else:
        text = _("The relay (process {pid}) has not ended.").format(pid=running.pid)
        context.notes.append(Note("warning", text, f"kill -9 {running.pid}"))
