"""``ccsetup relay start``, ``stop``, ``restart`` and ``status``."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, Optional

import typer

from ccsetup.cli import _options, _output, _relay
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base, _setup, _up
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _, ngettext
from ccsetup.plan import Note
from ccsetup.profiles import RELAY
from ccsetup.relay.config.places import Places, address, port_of
from ccsetup.relay.config.places import url as url_of
from ccsetup.relay.config.switchboard import Switchboard
from ccsetup.relay.running import control, service
from ccsetup.relay.running.control import RelayProcess

_HOST = typer.Option(None, "--host", metavar="ADDRESS", help=_("Listen here instead of where relay.yaml says."))
_PORT = typer.Option(None, "--port", metavar="N", min=1, max=65535, help=_("The same for the port."))
_LEVEL = typer.Option(None, "--log-level", metavar="LEVEL", help=_("debug, info, warning or error."))
_ENABLE = typer.Option(False, "--enable", help=_("Also start it at every login (systemd, launchd)."))
_PLAIN = typer.Option(False, "--no-service", help=_("As a process of its own, also where systemd or launchd is there."))
_NOW = typer.Option(False, "--now", help=_("Do not wait for running answers: cut them."))

WAIT = 30.0
"""Seconds that a relay waits for running answers unless its configuration says otherwise."""


def _arguments(host: Optional[str], port: Optional[int], level: Optional[str]) -> list[str]:
    options = (("--host", host), ("--port", port), ("--log-level", level))
    return [word for option, value in options if value is not None for word in (option, str(value))]


def start(
    host: Optional[str] = _HOST,
    port: Optional[int] = _PORT,
    config: Optional[str] = _base.CONFIG,
    level: Optional[str] = _LEVEL,
    enable: bool = _ENABLE,
    plain: bool = _PLAIN,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    if enable and plain:
        raise UsageError(_("{options} exclude each other: give one of them.").format(options="--enable / --no-service"))
    if level is not None:
        _base.level_of(level)
    context = Context()
    at = _base.here(context, config)
    up = _up.bring_up(context, at, _arguments(host, port, level), service_manager=not plain, enable=enable)
    _different(context, at, up.running, host, port)
    return _say_started(context, "relay start", up, enable, as_json)


def _different(context: Context, at: Places, running: RelayProcess, host: Optional[str], port: Optional[int]) -> None:
    """Note that what runs is not what was asked for, or not what the clients use."""
    try:
        there = _base.load(context, at).listen
    except CcsetupError as e:  # it was changed after the relay that runs had read it
        context.notes.append(Note("warning", e.message, e.hint))
        return
    tls = bool(there.tls_cert)
    asked = there._replace(host=host or there.host, port=port or there.port)
    other = (host or port) and url_of(asked.host, asked.port, tls=tls) != running.url
    # Started with these options or without, the relay is found by the name that its certificate is good for.
    now = there._replace(port=port_of(running.url))
    reached = {running.url}
    if url_of(now.host, now.port, tls=tls) == running.url:
        reached.add(address(now))
    saved = context.world().profiles.get(RELAY)
    known = next((p.url.removesuffix("/v1") for p in saved.parts.values()), "") if saved is not None else ""
    if known and known not in reached:
        text = _("The profile 'relay' leads the clients to {known}, but the relay listens at {url}.")
        hint = _setup.led_back(there, running, known)
        if (host or port) and url_of(there.host, there.port, tls=tls) != running.url:
            hint = _(
                "Write the address below 'listen' in {file} and run: ccsetup relay init; or leave the options away: "
                "ccsetup relay restart"
            ).format(file=context.paths.short(at.config))
        context.notes.append(Note("warning", text.format(known=known, url=running.url), hint))
    if running.config != at.config or other:
        text = _("The relay that runs has the configuration {file} and the address {url}.")
        context.notes.append(
            Note(
                "warning",
                text.format(file=context.paths.short(running.config), url=running.url),
                _("Run: ccsetup relay restart, with the same options"),
            )
        )


def _say_started(context: Context, command: str, up: _up.Up, enable: bool, as_json: bool) -> int:
    result = {"url": up.running.url, "pid": up.running.pid, "started": up.new, "enabled": enable}
    if as_json:
        _output.print_json(command, result, context.notes)
        return 0
    if up.new:
        _output.done(True, _("the relay runs at {url}.").format(url=up.running.url))
        _output.line(_("Make the clients use it with: ccsetup config-switch relay"))
    else:
        _output.done(False, _("the relay runs already at {url}.").format(url=up.running.url))
    if enable:
        _output.line(_("It is started at every login; no more with: ccsetup relay stop --disable"))
    _output.print_notes(context.notes)
    return 0


def stop(
    now: bool = _NOW,
    disable: bool = typer.Option(False, "--disable", help=_("Also do not start it at login any more.")),
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    running = _end(context, _base.here(context), now=now, quiet=as_json)
    file = service.disable(context.paths) if disable else None
    if file is not None:
        context.run("relay stop --disable", lambda w: w.draft.replace(file, None), dry=False)
    if as_json:
        _output.print_json("relay stop", {"stopped": running is not None, "disabled": disable}, context.notes)
        return 0
    if running is None:
        _output.line(f"{_('unchanged')}: " + _("no relay is running."))
    else:
        _output.line(f"{_output.paint(_('done'), '32')}: " + _("the relay is stopped."))
    if disable:
        _output.line(_("It is not started at login any more."))
    _output.print_notes(context.notes)
    return 0


def _end(context: Context, at: Places, *, now: bool, quiet: bool) -> Optional[RelayProcess]:
    """Stop the relay and return what it was; None when none was there."""
    state, running = control.look(at)
    if running is None:
        return None
    if now:
        ended = service.kill(running)
    else:
        seconds, busy = WAIT, 0
        if state == "runs":
            said = control.status(running)
            seconds, busy = float(said.get("stop_seconds", WAIT)), int(said.get("running", 0))

        def tell() -> None:
            if busy and not quiet:
                text = ngettext(
                    "{n} answer is running; it has {seconds} seconds (Ctrl-C leaves it to that).",
                    "{n} answers are running; they have {seconds} seconds (Ctrl-C leaves them to it).",
                    busy,
                )
                _output.line(text.format(n=busy, seconds=round(seconds)))
                sys.stdout.flush()

        ended = service.stop(running, seconds + 10, tell)
    if not ended:
        raise CcsetupError(
            _("The relay (process {pid}) has not ended.").format(pid=running.pid),
            hint=_("End it at once with: ccsetup relay stop --now"),
        )
    return running


def restart(
    host: Optional[str] = _HOST,
    port: Optional[int] = _PORT,
    config: Optional[str] = _base.CONFIG,
    level: Optional[str] = _LEVEL,
    plain: bool = _PLAIN,
    now: bool = _NOW,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    if level is not None:
        _base.level_of(level)
    context = Context()
    at = _base.here(context, config)
    _base.need_extra()
    _base.load(context, at, "ccsetup relay restart")
    from ccsetup.relay.running import loading

    loading.load(loading.Settings(context.paths, at, host or "", port))  # what cannot start again is not stopped
    _end(context, at, now=now, quiet=as_json)
    up = _up.bring_up(context, at, _arguments(host, port, level), service_manager=not plain)
    _different(context, at, up.running, host, port)
    return _say_started(context, "relay restart", up, False, as_json)


# Status.


def status(as_json: bool = _options.JSON, lang: Optional[str] = _options.LANG) -> int:
    context = Context()
    at = _base.here(context)
    state, running = control.look(at)
    said: dict[str, Any] = {}
    if state == "runs" and running is not None:
        said = control.status(running)
    if as_json:
        _output.print_json("relay status", {**said, "state": state}, context.notes)
        return 0 if state == "runs" else 1
    if running is None:
        _output.line(_("No relay is running."))
        if _base.read(at.config) is None:
            _output.line(_("There is no {file} yet.").format(file=context.paths.short(at.config)))
            _output.line(_("Make it with: ccsetup relay init"))
        else:
            _output.line(_("Start it with: ccsetup relay start"))
        return 1
    if state == "silent":
        _output.line(
            _("A relay (process {pid}) is there, but takes no requests: it starts, or it ends.").format(pid=running.pid)
        )
        _output.line(_("End it at once with: ccsetup relay stop --now"))
        return 1
    _show(context, running, said)
    return 0


def _show(context: Context, running: RelayProcess, said: dict[str, Any]) -> None:
    rows = [
        [_("Address"), str(said.get("url", running.url))],
        [_("Process"), f"{running.pid}, {_since(said.get('started'))}".rstrip(", ")],
        [_("Version"), running.version],
        [_("Configuration"), context.paths.short(running.config)],
        [_("Running requests"), str(said.get("running", 0))],
    ]
    if led := dict(said.get("use") or {}):
        lost = led.pop("lost")
        board = Switchboard(**led)
        rows += [[_("Requests go to"), _relay.led_text(board)]] if board.set() else []
        context.notes.extend(_relay.led_notes(board, lost))
    for part, text in (said.get("store") or {}).items():
        rows.append([_("Store {part}").format(part=part), str(text)])
    reloaded = said.get("last_reload")
    if isinstance(reloaded, dict) and reloaded.get("problem"):
        rows.append([_("Last reload"), str(reloaded["problem"])])
    elif isinstance(reloaded, dict):
        _up.restart(context, reloaded)
    _output.line(_output.safe(_output.columns(rows, indent="")))
    upstreams = said.get("upstreams") or []
    if upstreams:
        _output.line()
        titles = {"tries": _("Tries"), "tries_failed": _("Tries failed"), "estimated": _("Estimated")}
        shown = [name for name in titles if any(one.get(name) for one in upstreams)]
        table = [[_("Upstream"), _("Group"), _("State"), _("Running"), *(titles[name] for name in shown)]]
        for one in upstreams:
            counts = (f"{one.get(name, 0):,}" for name in ("running", *shown))
            table.append([one["name"], one["group"], _state(one), *counts])
        _output.line(_output.safe(_output.columns(table)))
    for one in said.get("oddities") or ():
        said_for_good = json.dumps({one["wire"]: one["dialect"]})
        learned = _("Learned of {upstream}, {model}, until {time}; say it for good with: dialect: {dialect}")
        until = time.strftime("%H:%M:%S", time.localtime(one["until"]))
        _output.line(
            _output.safe(
                learned.format(upstream=one["upstream"], model=one["model"], time=until, dialect=said_for_good)
            )
        )
    if isinstance(said.get("problems"), list):
        context.notes.extend(Note("warning", str(p)) for p in said["problems"])
    _output.print_notes(context.notes)


def _state(one: dict[str, Any]) -> str:
    """Return for people why an upstream is not asked now, and until when."""
    text = _base.why(str(one["why"])) or _("ok")
    if one.get("reason"):
        text += f" ({one['reason']})"
    if one.get("until"):
        text += " " + _("until {time}").format(time=time.strftime("%H:%M:%S", time.localtime(one["until"])))
    resting = sum(1 for until in one.get("keys") or () if until)
    if resting and one["why"] != "keys":
        text += ", " + _("{n} of {all} keys rest").format(n=resting, all=len(one["keys"]))
    return text


def _since(started: Any) -> str:
    if not isinstance(started, (int, float)):
        return ""
    seconds = max(0, round(time.time() - started))
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((i for i, (n, _u) in enumerate(parts) if n), 3)
    return _("for {time}").format(time=" ".join(f"{n} {u}" for n, u in parts[first : first + 2]))
