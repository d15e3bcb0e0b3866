"""Whether clients that go through the relay of this machine reach it.  Who has no relay imports nothing of it."""

from __future__ import annotations

import os
from typing import Iterable, Mapping

from ccsetup import profiles
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.plan import Note
from ccsetup.profiles import Profile
from ccsetup.tuples import NamedTuple


class User(NamedTuple):
    """A client that asks *url* because its settings, or *profile*, say so."""

    client: ClientName
    profile: str
    url: str


def note(context: Context, saved: Mapping[str, Profile], users: Iterable[User], *, ask: bool = True) -> list[Note]:
    """Return a note where some of *users* go through the relay and do not reach it; *ask* as in ``away``."""
    lost = [user for user in users if profiles.through_relay(saved, user.url)]
    problem, hint = away(context, lost[0].url, ask=ask) if lost else ("", "")
    if not problem:
        return []
    text = _("{clients} cannot work: the profile is '{profile}', and {problem}.").format(
        clients=", ".join(dict.fromkeys(CLIENTS[user.client].title for user in lost)),
        profile=lost[0].profile or profiles.RELAY,
        problem=problem,
    )
    return [Note("blocked", text, hint)]


def away(context: Context, url: str, *, ask: bool = True) -> tuple[str, str]:
    """Return why a client that asks *url* does not reach the relay, and what to type; ("", "") when it does.

    Without *ask* a relay whose process is there is taken for one that answers, and no HTTP client is imported.
    """
    from ccsetup.relay.config.places import places, port_of
    from ccsetup.relay.running import control

    at = places(context.paths)
    running = control.there(at)
    near = running is not None and port_of(running.url) == port_of(url)
    lives = (near and not ask) or (running is not None and control.alive(at) is not None)
    if near and lives:
        return "", ""
    from ccsetup.cli.relay import _base

    if running is not None and not lives:
        problem = _("the relay (process {pid}) takes no requests: it starts, or it ends").format(pid=running.pid)
        return problem, _("End it at once with: ccsetup relay stop --now")
    if running is not None:
        from ccsetup.cli.relay import _setup

        problem = _("the relay listens at {url}, but the clients ask at {known}").format(url=running.url, known=url)
        try:
            return problem, _setup.led_back(_base.load(context, at).listen, running, url)
        except CcsetupError as e:
            return problem, e.hint
    problem = _("the relay does not run")
    try:
        _base.need_extra()
    except CcsetupError as e:
        return problem, f"{e.hint}. " + _("Then run: ccsetup relay start")
    if not os.path.lexists(at.config):
        return problem, _("Set it up with: ccsetup relay init, then run: ccsetup relay start")
    return problem, _("Run: ccsetup relay start, or ccsetup config-switch to another profile.")
