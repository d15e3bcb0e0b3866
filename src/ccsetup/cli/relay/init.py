"""``ccsetup relay init``: ``relay.yaml`` from saved profiles, and the profile with which the clients use the relay."""

from __future__ import annotations

import contextlib
from typing import Any, Optional

import typer

from ccsetup.change.world import World
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base, _setup, _up
from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.profiles import RELAY
from ccsetup.relay.config import compose, dangers, edit, rules
from ccsetup.relay.config.dump import dump
from ccsetup.relay.config.model import Config, Listen
from ccsetup.relay.config.places import Places


def command(
    from_profiles: Optional[str] = typer.Option(
        None,
        "--from-profiles",
        metavar="A,B,C",
        help=_("Only these, which answer for each other in this order; every saved profile if left out."),
    ),
    host: Optional[str] = typer.Option(
        None, "--host", metavar="ADDRESS", help=_("Where the relay listens: 127.0.0.1.")
    ),
    port: Optional[int] = typer.Option(
        None, "--port", metavar="N", min=1, max=65535, help=_("The port on which it listens: 5101.")
    ),
    force: bool = typer.Option(False, "--force", help=_("Write other upstreams into relay.yaml; the rest stays.")),
    config: Optional[str] = _base.CONFIG,
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    at = _base.here(context, config)
    exists = _base.read(at.config) is not None and not force
    names = _setup.listed(from_profiles) if from_profiles is not None else []

    def act(world: World) -> Config:
        text = world.draft.text(at.config)
        try:
            old = _base.load(context, at) if exists or text.strip() else None
        except DocumentError as e:
            if exists:
                e.hint = _("Correct it, or write it anew with --force.")
                raise
            old = None
            said = _("Nothing was kept of what {file} was, which could not be read: {problem}")
            world.notes.append(Note("warning", said.format(file=context.paths.short(at.config), problem=e.message)))
        if exists and old is not None:
            made = old
            for name in (n for n in names if n not in {u.name for u in old.upstreams}):
                compose.saved_as(name, world.profiles, context.preset)
        else:
            made = _anew(context, world, at, old, names, host, port)
        _setup.clients(context, world, at, made, anew=not exists)
        return made

    made, changes = context.run("relay init", act, dry=dry_run)
    if exists:
        _kept(context, at, made, names, host, port)
    for text in dangers.warnings(made):
        context.notes.append(Note("warning", text))
    refused = dangers.refusals(made, True)
    for text in refused:
        context.notes.append(Note("blocked", text))
    if changes and not dry_run and not refused:
        _up.reread(context, at)

    def show() -> None:
        _show(context.paths.short(at.config), made, bool(changes), bool(refused))

    result: dict[str, Any] = {
        "config": at.config,
        "upstreams": [u.name for u in made.upstreams],
        "kept": exists,
        "from": "profiles" if made.profiles else "",
        "profile": RELAY,
    }
    return context.finish("relay init", result, changes, as_json=as_json, dry=dry_run, check=False, show=show)


def _anew(
    context: Context,
    world: World,
    at: Places,
    old: Optional[Config],
    names: list[str],
    host: Optional[str],
    port: Optional[int],
) -> Config:
    """Have *names* as the upstreams, or every saved profile; what *old* says of other things stays."""
    if old is None:
        listen = _setup.listen(context, at, host, port)
    else:
        listen = old.listen._replace(host=host or old.listen.host, port=port or old.listen.port)
    if names:
        made = compose.from_profiles(names, world.profiles, context.preset, listen)
    else:
        made = _all(context, world, listen)
    if old is None:
        world.draft.replace(at.config, dump(made, context.preset))
        return made
    upstreams = made.upstreams
    made = old._replace(upstreams=upstreams, listen=listen, profiles=made.profiles, failover=())
    file = context.paths.short(at.config)
    text = ""
    if not old.profiles and not made.profiles:
        with contextlib.suppress(CcsetupError):
            text = edit.replace(world.draft.text(at.config), file, upstreams, listen, context.preset)
    if not text:
        text = dump(made, context.preset)
        world.notes.append(Note("info", _("{file} was written anew, without its comments.").format(file=file)))
    world.draft.replace(at.config, text)
    return made


def _all(context: Context, world: World, listen: Listen) -> Config:
    """Return a configuration of every saved profile; CcsetupError where that is none."""
    config = Config((), listen, rules=rules.DEFAULT_RULES, profiles=True)
    made, problems = _base.with_saved(context, config, world.profiles)
    world.notes.extend(Note("warning", problem) for problem in problems)
    if made.upstreams:
        return made
    raise CcsetupError(
        _("No profile is saved yet, so there is nothing to make upstreams of."),
        hint=_("Make one with: ccsetup init -p PROVIDER -k KEY --no-activate"),
    )


def _show(file: str, made: Config, changed: bool, refused: bool) -> None:
    _output.done(changed, _("the relay is set up in {file}; upstreams in this order:").format(file=file))
    _setup.show_order(made.upstreams)
    _output.line(
        _("Next: change what the lines below say, then ccsetup relay check.")
        if refused
        else _("Next: ccsetup relay check, then ccsetup config-switch relay (which starts it).")
    )


def _kept(
    context: Context, at: Places, made: Config, names: list[str], host: Optional[str], port: Optional[int]
) -> None:
    """Say that the file was left as it is, and what of the command is not in it."""
    file = context.paths.short(at.config)
    missing = [n for n in names if n not in {u.name for u in made.upstreams}]
    text = _("{file} is there already and was kept as it is.").format(file=file)
    if missing:
        text += " " + _("Not in it: {names}.").format(names=", ".join(missing))
    asked = host not in (None, made.listen.host) or port not in (None, made.listen.port)
    level: Any = "warning" if missing or asked else "info"
    add = _("Add it with: ccsetup relay add {name}").format(name=missing[0]) if missing else ""
    context.notes.append(Note(level, text, add or _("Edit it, or write it anew with --force.")))
