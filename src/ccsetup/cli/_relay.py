"""Whether clients that go through the relay of this machine reach it.  Who has no relay imports nothing of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Iterable, Mapping

from ccsetup import profiles
from ccsetup.cli import _output
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError, printable
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.plan import Note
from ccsetup.profiles import Profile
from ccsetup.tuples import NamedTuple

if TYPE_CHECKING:
    from ccsetup.change.world import World
    from ccsetup.relay.config.switchboard import Switchboard


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


# Where its clients' requests go.


def led(context: Context) -> Switchboard:
    """Return where the reserved ids lead; CcsetupError when the file cannot be read."""
    from ccsetup.relay.config import switchboard

    path = context.paths.relay_switchboard
    return switchboard.read(path, context.paths.short(path))


def follow(context: Context, world: World, name: str, new: str) -> None:
    """Have targets that lead to profile *name* as an upstream lead to *new*, which it is called now."""
    path, config = context.paths.relay_switchboard, context.paths.relay_config
    if not (world.draft.exists(path) and world.draft.exists(config)):
        return
    from ccsetup.documents import relayrefs

    try:
        if not relayrefs.is_by_profile(world.draft.text(config), context.paths.short(config), name):
            return
        board = led(context)
    except CcsetupError:
        return  # nothing leads there; the commands of the relay tell of it

    def moved(target: str) -> str:
        upstream, slash, model = target.partition("/")
        return new + slash + model if upstream == name else target

    tiers = {tier: moved(target) for tier, target in board.tiers.items()}
    world.draft.replace(path, type(board)(moved(board.default), tiers, moved(board.all)).dump() or None)


def led_notes(board: Switchboard, lost: Mapping[str, str]) -> list[Note]:
    """Return what is to be known of *board*: targets that are *lost*, and one that overrides the rest."""
    out = []
    for use_, target in lost.items():
        text = _(
            "'{target}', the target of {use}, belongs to no upstream any more: the default or the first one is used."
        )
        hint = _("Choose another with: ccsetup relay use, ccsetup relay tiers")
        out.append(Note("warning", text.format(target=printable(target), use=use_), hint))
    if board.all:
        text = _("Every request goes to '{target}', whatever it asks for.")
        hint = _("No more with: ccsetup relay use --reset --all")
        out.append(Note("warning", text.format(target=printable(board.all)), hint))
    return out


def led_text(board: Switchboard) -> str:
    """Return what is set, for people; "" where nothing is."""
    return _output.safe("  ".join(f"{use_}: {target}" for use_, target in board.set().items()))
