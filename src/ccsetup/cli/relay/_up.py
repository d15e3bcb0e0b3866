"""Having a relay that runs: the one that is there, or a new one in the background."""

from __future__ import annotations

import time
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from ccsetup.cli import _output
from ccsetup.cli._context import Context, program
from ccsetup.cli.relay import _base
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.relay.config.model import Config
from ccsetup.relay.config.places import Places
from ccsetup.relay.running import control, service
from ccsetup.relay.running.control import RelayProcess


class Up(NamedTuple):
    running: RelayProcess
    new: bool
    """It was started now."""


def bring_up(
    context: Context,
    at: Places,
    arguments: Sequence[str] = (),
    *,
    service_manager: bool = True,
    enable: bool = False,
) -> Up:
    """Return the relay that runs; start one in the background when there is none.

    *arguments* are further ones of ``relay run``.  CcsetupError says why it does not start.
    """
    state, running = control.look(at)
    if state == "silent" and running is not None:
        running = _settled(at, running)
    if running is not None and not enable:
        return Up(running, False)
    _base.need_extra()
    config = _base.load(context, at, "ccsetup relay start")
    which = service.kind(context.paths.environ) if service_manager else "process"
    reason = _needs_shell(context, config) if which != "process" else ""
    if reason and enable:
        text = _("At login the relay will not have these variables of your shell: {names}.")
        context.notes.append(Note("warning", text.format(names=reason)))
    elif reason:
        which = "process"
        text = _("The relay was started from this shell, because it needs its variables: {names}.")
        context.notes.append(Note("info", text.format(names=reason)))
    if which == "process":
        for name in [n for n in variables(context, config) if not context.paths.environ.get(n)]:
            context.notes.append(Note("warning", _("The variable {name} is not set here.").format(name=name)))
    command = (*program(), "relay", "run", "--config", at.config, *arguments)
    job = service.job(which, at, context.paths, command, enable=enable)
    if job.file:
        at.make()
        # A command of its own for undo, and for what the caller tells of its own changes.
        Context().run("relay start", lambda w: w.draft.replace(job.file, job.text), dry=False)
    if running is not None:
        service.enable(job, context.paths.environ)
        return Up(running, False)
    return Up(service.start(job, at, context.paths.environ), True)


def _settled(at: Places, running: RelayProcess) -> Optional[RelayProcess]:
    """Wait until a relay that begins or ends has done so; return it when it runs."""
    deadline = time.monotonic() + service.START_SECONDS
    while time.monotonic() < deadline:
        state, found = control.look(at)
        if state != "silent":
            return found
        time.sleep(service.EVERY)
    raise _base.silent(running)


def variables(context: Context, config: Config) -> list[str]:
    """Return the variables that hold keys of *config*'s upstreams."""
    saved = context.world().profiles
    out = []
    for ref in [k for u in config.upstreams if u.enabled for k in u.keys]:
        if ref.kind == "env":
            out.append(ref.value)
        elif ref.kind == "profile" and ref.value in saved and saved[ref.value].key_storage == "env":
            out.append(saved[ref.value].key_env)
    return list(dict.fromkeys(out))


def unseen(context: Context, config: Config) -> list[str]:
    """Return which saved profiles' keys are not seen by a relay that is started as a service, or elsewhere."""
    saved = context.world().profiles
    text = _("The key of profile '{name}' is in the variable {variable}, which a service does not see.")
    names = [u.name for u in config.upstreams if u.saved and saved[u.name].key_storage == "env"]
    return [text.format(name=name, variable=saved[name].key_env) for name in names]


def _needs_shell(context: Context, config: Config) -> str:
    """Return the variables that the relay needs and a service manager would not give it."""
    proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    names = variables(context, config)
    names += [n for n, v in context.paths.environ.items() if n.lower() in proxies and v]
    return ", ".join(names)


def reread(context: Context, at: Places) -> bool:
    """Have a relay that runs read its files now; return whether one did.  Notes tell what it does not take over."""
    running = control.alive(at)
    if running is None:
        return False
    try:
        said = control.reload(running)
    except CcsetupError as e:
        context.notes.append(Note("warning", e.message, e.hint or kept()))
        return False
    restart(context, said)
    return True


def kept() -> str:
    """Return what to do about files that the relay did not take over."""
    return _("The relay goes on with what it had. Correct it, then run: ccsetup relay reload")


def restart(context: Context, said: Mapping[str, Any]) -> None:
    """Note what the relay, which *said* this about a reload, takes over at its next start only."""
    if said.get("restart"):
        text = _("Address, TLS files and store change when the relay is started again.")
        context.notes.append(Note("warning", text, _("Run: ccsetup relay restart")))


def start_for_clients(context: Context) -> Optional[Up]:
    """Start the relay that the clients were just made to use, and say so; or say why they will not reach it yet."""
    try:
        up = bring_up(context, _base.here(context))
    except CcsetupError as e:
        text = _("The relay does not run: {problem}").format(problem=e.message)
        context.notes.append(Note("blocked", text, e.hint or _("Start it with: ccsetup relay start")))
        return None
    if up.new:
        context.notes.append(Note("info", _("The relay was started at {url}.").format(url=up.running.url)))
    return up


def at_login(context: Context, up: Up, *, ask: bool) -> None:
    """Say whether the relay is started at login; where it was started just now, and is not, *ask* offers that."""
    if service.at_login(context.paths):
        text = _("It is started at every login; no more with: ccsetup relay stop --disable")
        context.notes.append(Note("info", text))
        return
    if service.kind(context.paths.environ) == "process":
        hint = _("Have your own start script run: ccsetup relay start")
    elif ask and up.new and _output.agreed(_("Start the relay at every login, too? [y/N]"), False, ""):
        try:
            bring_up(context, _base.here(context), enable=True)
            at_login(context, up, ask=False)
        except CcsetupError as e:
            context.notes.append(Note("warning", e.message, e.hint))
        return
    else:
        hint = _("Have it started at every login: ccsetup relay start --enable")
    context.notes.append(Note("info", _("The relay is not started at login."), hint))
