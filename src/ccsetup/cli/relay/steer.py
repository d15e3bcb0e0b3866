"""``ccsetup relay reload``, ``reset`` and ``record``: what is asked of a relay that runs."""

from __future__ import annotations

from typing import Any, Optional

import typer

from ccsetup.cli import _complete, _options, _output
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base, _up
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.relay.running import control
from ccsetup.relay.running.control import RelayProcess


def running_one(context: Context) -> RelayProcess:
    """Return the relay that runs; CcsetupError when there is none."""
    at = _base.here(context)
    state, found = control.look(at)
    if state == "silent" and found is not None:
        raise _base.silent(found)
    if found is None:
        there = _base.read(at.config) is not None
        hint = _("Start it with: ccsetup relay start") if there else _("Set it up with: ccsetup relay init")
        raise CcsetupError(_("No relay is running."), hint=hint)
    return found


def reload(as_json: bool = _options.JSON, lang: Optional[str] = _options.LANG) -> int:
    context = Context()
    running = running_one(context)
    try:
        said = control.reload(running)
    except CcsetupError as e:
        e.hint = e.hint or _up.kept()
        raise
    _up.restart(context, said)
    text = _("the relay uses {file} as it is now; running answers finish as they began.")
    return _done(
        context,
        "relay reload",
        {"restart": bool(said.get("restart"))},
        text.format(file=context.paths.short(running.config)),
        as_json,
    )


def reset(
    upstream: Optional[str] = typer.Argument(
        None,
        metavar="[UPSTREAM]",
        help=_("Only this one; all if left out."),
        autocompletion=_complete.upstreams,
    ),
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    running = running_one(context)
    if upstream is not None:
        known = [str(one["name"]) for one in control.status(running).get("upstreams") or ()]
        if upstream not in known:
            raise UsageError(
                _("There is no upstream '{name}'. There are: {known}").format(
                    name=_output.safe(upstream), known=", ".join(known)
                )
            )
    control.reset(running, upstream or "")
    text = _("'{name}' is asked again.").format(name=upstream) if upstream else _("all upstreams are asked again.")
    return _done(context, "relay reset", {"upstream": upstream or ""}, text, as_json)


def record(
    client: str = typer.Argument(
        ..., metavar="CLIENT", help=_("The name of a client's key, as in: ccsetup relay key list; '*' for all clients.")
    ),
    seconds: float = typer.Option(60.0, "--seconds", min=0, max=86400, metavar="N", help=_("So long; 0 ends it.")),
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    running = running_one(context)
    if client != "*":
        known = [k.name for k in _base.load_keys(context, _base.here(context)).keys if k.revoked is None]
        if client not in known:
            raise UsageError(
                _("There is no key called '{name}'. There are: {known}").format(
                    name=_output.safe(client), known=", ".join(known) or "-"
                )
            )
    control.log(running, client, seconds)
    text = (
        _("prompts and answers of '{name}' go into the log for {n} seconds; see them with: ccsetup relay logs -f")
        if seconds
        else _("contents of '{name}' are not logged.")
    )
    result = {"client": client, "seconds": seconds}
    return _done(context, "relay record", result, text.format(name=client, n=round(seconds)), as_json)


def _done(context: Context, command: str, result: dict[str, Any], text: str, as_json: bool) -> int:
    if as_json:
        _output.print_json(command, result, context.notes)
    else:
        _output.line(f"{_output.paint(_('done'), '32')}: " + _output.safe(text))
        _output.print_notes(context.notes)
    return 0
