"""Whether clients that go through the relay of this machine reach it.  Who has no relay imports nothing of it."""

from __future__ import annotations

from typing import Iterable, NamedTuple

from ccsetup import profiles
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.plan import Note
from ccsetup.profiles import Profile


class User(NamedTuple):
    """A client that asks *url* because its settings, or *profile*, say so."""

    client: ClientName
    profile: str
    url: str


def note(context: Context, saved: dict[str, Profile], users: Iterable[User]) -> list[Note]:
    """Return a note where some of *users* go through the relay and do not reach it."""
    lost = [user for user in users if profiles.through_relay(saved, user.url)]
    if not lost:
        return []
    problem, hint = away(context, lost[0].url)
    if not problem:
        return []
    text = _("{clients} cannot work: the profile is '{profile}', and {problem}.").format(
        clients=", ".join(dict.fromkeys(CLIENTS[user.client].title for user in lost)),
        profile=lost[0].profile or profiles.RELAY,
        problem=problem,
    )
    return [Note("blocked", text, hint)]


def away(context: Context, url: str) -> tuple[str, str]:
    """Return why a client that asks *url* does not reach the relay, and what to type; ("", "") when it does."""
    from ccsetup.cli.relay import _base, _setup
    from ccsetup.errors import CcsetupError
    from ccsetup.relay.running import control

    at = _base.here(context)
    state, running = control.look(at)
    if state == "silent" and running is not None:
        problem = _("the relay (process {pid}) takes no requests: it starts, or it ends").format(pid=running.pid)
        return problem, _("End it at once with: ccsetup relay stop --now")
    if running is not None:
        if _setup.port_of(running.url) == _setup.port_of(url):
            return "", ""
        problem = _("the relay listens at {url}, but the clients ask at {known}").format(url=running.url, known=url)
        try:
            there = _base.load(context, at).listen
        except CcsetupError as e:
            return problem, e.hint
        return problem, _setup.led_back(there, running, url)
    problem = _("the relay does not run")
    try:
        _base.need_extra()
    except CcsetupError as e:
        return problem, f"{e.hint}. " + _("Then run: ccsetup relay start")
    if _base.read(at.config) is None:
        return problem, _("Set it up with: ccsetup relay init, then run: ccsetup relay start")
    return problem, _("Run: ccsetup relay start, or ccsetup config-switch to another profile.")
