"""``ccsetup relay use`` and ``relay tiers``: which upstream, and which of its models, the clients' requests go to."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Sequence

import typer

from ccsetup.change.world import World
from ccsetup.cli import _options, _output, _relay
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base
from ccsetup.documents.nearest import suggestion
from ccsetup.errors import CcsetupError, UsageError, printable
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.profiles import RELAY, reserved
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.config.places import Places
from ccsetup.relay.config.switchboard import Switchboard
from ccsetup.relay.routing import routes
from ccsetup.relay.running import control

EPILOG = _("A target is UPSTREAM, UPSTREAM/MODEL or the id of a model. No client has to be started again.")


def targets(incomplete: str) -> list[str]:
    """Return the targets that begin with *incomplete*, for the shell; nothing here raises."""
    try:
        context = Context()
        found = _base.load(context, _base.here(context)).upstreams
        return [text for text in routes.targets(found) if text.startswith(incomplete)]
    except Exception:
        return []


def _tier(name: str) -> Any:
    text = _("What requests for the tier {tier} go to.").format(tier=name)
    return typer.Option(None, f"--{name}", metavar="TARGET", help=text, autocompletion=targets)


def use(
    target: Optional[str] = typer.Argument(
        None, metavar="[TARGET]", help=_("What requests go to from now on."), autocompletion=targets
    ),
    every: bool = typer.Option(False, "--all", help=_("Also those for a tier, or for a model picked in a client.")),
    reset: bool = typer.Option(False, "--reset", help=_("As if nothing had been said; with --all: no more for all.")),
    config: Optional[str] = _base.CONFIG,
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    if target is not None and reset:
        raise UsageError(_("{options} exclude each other: give one of them.").format(options="TARGET / --reset"))
    if every and target is None and not reset:
        raise UsageError(_("'--all' needs a TARGET, or '--reset'."))

    def change(old: Switchboard) -> Switchboard:
        if every:
            return old._replace(all=target or "")
        return old._replace(default=target or "", all="" if reset else old.all)

    changes = target is not None or reset
    named = [] if target is None else [target]
    return _steer("relay use", named, change if changes else None, config, dry_run, as_json)


def tiers(
    opus: Optional[str] = _tier("opus"),
    sonnet: Optional[str] = _tier("sonnet"),
    haiku: Optional[str] = _tier("haiku"),
    fable: Optional[str] = _tier("fable"),
    subagent: Optional[str] = _tier("subagent"),
    reset: bool = typer.Option(False, "--reset", help=_("No tier has a target of its own any more.")),
    config: Optional[str] = _base.CONFIG,
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    given = {"opus": opus, "sonnet": sonnet, "haiku": haiku, "fable": fable, "subagent": subagent}
    named = {tier: target for tier, target in given.items() if target is not None}

    def change(old: Switchboard) -> Switchboard:
        return old._replace(tiers={**({} if reset else old.tiers), **named})

    return _steer("relay tiers", list(named.values()), change if named or reset else None, config, dry_run, as_json)


def _steer(
    command: str,
    named: Sequence[str],
    change: Optional[Callable[[Switchboard], Switchboard]],
    config: Optional[str],
    dry: bool,
    as_json: bool,
) -> int:
    """Have *change* make another switchboard, where there is one, and show what it is then."""
    context = Context()
    at = _base.here(context, config)
    found = routes.ordered(_base.load(context, at).upstreams)
    for target in named:
        _check(found, target)
    path = context.paths.relay_switchboard

    def act(world: World) -> Switchboard:
        try:
            old = _relay.led(context)
        except CcsetupError as e:
            if change is None:
                raise
            old = Switchboard()
            world.notes.append(Note("warning", e.message))
        board = change(old) if change is not None else old
        if change is not None:
            world.draft.replace(path, board.dump() or None)
        return board

    board, changes = context.run(command, act, dry=dry)
    context.notes.extend(_relay.led_notes(board, routes.lost(found, board)))
    running = control.there(at) is not None
    context.notes.extend(_unmoved(context, at, board))
    if not running:
        text = _("The relay is not running: this takes effect when it starts.")
        context.notes.append(Note("info", text, _("Start it with: ccsetup relay start")))
    led = leads(found, board)
    result = {**board._asdict(), "leads": led, "targets": routes.targets(found), "running": running}

    def tell() -> None:
        if change is not None:
            _output.done(bool(changes), _("requests go there from the next one on:"))
        show(board, led)
        if change is None:
            _output.line()
            _output.line(_("Choices:"))
            for one in found:
                models = ", ".join(routes.own_ids(one)) if one.enabled else _("switched off")
                _output.line(_output.safe(f"  {one.name}  {models}"))

    return context.finish(command, result, changes, as_json=as_json, dry=dry, check=False, show=tell)


def _unmoved(context: Context, at: Places, board: Switchboard) -> list[Note]:
    """Return why requests of clients do not follow *board*: what an earlier version set up, or a relay of it."""
    out, saved = [], context.world().profiles.get(RELAY)
    asked = [part.primary_model for part in saved.parts.values()] if saved is not None else []
    own = dict.fromkeys(model for model in asked if model and not reserved.use_of(model))
    if own and not board.all:
        text = _("Profile 'relay' asks for {models}, and so its requests do not follow.")
        out.append(Note("warning", text.format(models=", ".join(own)), _("Run: ccsetup relay init")))
    running = control.alive(at)
    if running is not None and "use" not in control.status(running):
        text = _("The relay that runs is of an earlier version, which knows of no targets.")
        out.append(Note("warning", text, _("Run: ccsetup relay restart")))
    return out


def _check(upstreams: Sequence[Upstream], target: str) -> None:
    """Raise UsageError unless *target* is one."""
    found = routes.target(upstreams, target)
    if found is None:
        off = next((u.name for u in upstreams if not u.enabled and u.name == target.partition("/")[0]), "")
        if off:
            raise UsageError(
                _("Upstream '{name}' is switched off.").format(name=off),
                hint=_("Switch it on with 'enabled: true' in relay.yaml."),
            )
        known = routes.targets(upstreams)
        ids = [name for upstream in upstreams if upstream.enabled for name in routes.own_ids(upstream)]
        names = [u.name for u in upstreams if u.enabled]
        near = suggestion(target, [*known, *ids], else_all=False)
        raise UsageError(
            _("No upstream is called '{target}', or has such a model.").format(target=printable(target)),
            hint=near or suggestion("", names),
        )
    if not found.model and not routes.routes([found.upstream], reserved.MODELS.primary):
        raise UsageError(
            _("Upstream '{name}' names no model.").format(name=found.upstream.name),
            hint=_("Say which one: {name}/MODEL").format(name=found.upstream.name),
        )


def leads(upstreams: Sequence[Upstream], board: Switchboard) -> dict[str, dict[str, str]]:
    """Return where each reserved id leads now; {} for nowhere."""
    among = routes.ordered(upstreams)

    def lead(model: str) -> dict[str, str]:
        found = next((r for r in routes.routes(among, model, board) if r.upstream.enabled), None)
        return {"upstream": found.upstream.name, "model": found.model} if found is not None else {}

    return {model: lead(model) for model in reserved.MODELS}


def show(board: Switchboard, led: Mapping[str, Mapping[str, str]]) -> None:
    """Print where each reserved id is *led*."""
    said = board.set()
    rows = []
    for model, lead in led.items():
        use_ = reserved.use_of(model)
        where = f"{lead['upstream']}: {lead['model']}" if lead else _("no upstream serves it")
        by = "" if board.all or use_ in said else _("not set") if use_ == reserved.DEFAULT else _("as the default")
        rows.append([use_, where, by])
    _output.line(_output.safe(_output.columns(rows)))
