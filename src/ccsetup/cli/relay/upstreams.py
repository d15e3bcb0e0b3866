"""``ccsetup relay add``, ``rm`` and ``move``: the upstreams of ``relay.yaml``, with all else in it left as it is."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional, Sequence, get_args

import typer

from ccsetup.change.world import World
from ccsetup.cli import _complete, _options, _output
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base, _setup, _up
from ccsetup.documents.nearest import suggestion
from ccsetup.errors import UsageError, check_one_of, printable
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.relay.config import compose, edit
from ccsetup.relay.config.model import Config, Group, Upstream
from ccsetup.relay.config.places import Places

EPILOG = _("All of group primary are asked before any of group backup, whatever their order.")

GROUPS: tuple[Group, ...] = get_args(Group)

_NAME = typer.Argument(..., metavar="NAME", help=_("An upstream of relay.yaml."), autocompletion=_complete.upstreams)
_FIRST = typer.Option(False, "--first", help=_("In front of all others."))
_LAST = typer.Option(False, "--last", help=_("Behind all others."))
_BEFORE = typer.Option(None, "--before", metavar="NAME", help=_("In front of this upstream."))
_AFTER = typer.Option(None, "--after", metavar="NAME", help=_("Behind this upstream."))
_GROUP = typer.Option(None, "--group", metavar="GROUP", help=_("primary or backup; that of its place if left out."))


class _Where(NamedTuple):
    """Where an upstream is to stand, as the command line says."""

    first: bool
    last: bool
    before: Optional[str]
    after: Optional[str]
    position: Optional[int] = None

    def given(self) -> bool:
        """Tell whether it is said; UsageError where it is said twice."""
        said = [f"--{name}" for name, value in self._asdict().items() if value not in (None, False)]
        if len(said) > 1:
            options = " / ".join(said).replace("--position", "POSITION")
            raise UsageError(_("{options} exclude each other: give one of them.").format(options=options))
        return bool(said)

    def place(self, others: Sequence[Upstream], moved: str) -> int:
        """Return the place among *others*, which *moved* is none of; the last one where nothing is said."""
        if self.first:
            return 0
        if self.position is not None:
            if self.position > len(others) + 1:
                text = _("There is no place {n}; the last one is {last}.")
                raise UsageError(text.format(n=self.position, last=len(others) + 1))
            return self.position - 1
        for name, further in ((self.before, 0), (self.after, 1)):
            if name == moved:
                raise UsageError(_("'{name}' cannot stand before or behind itself.").format(name=printable(name)))
            if name is not None:
                return _found(others, name) + further
        return len(others)


def add(
    name: str = _options.PROFILE,
    first: bool = _FIRST,
    last: bool = _LAST,
    before: Optional[str] = _BEFORE,
    after: Optional[str] = _AFTER,
    group: Optional[str] = _GROUP,
    config: Optional[str] = _base.CONFIG,
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    where = _Where(first, last, before, after)
    where.given()
    wanted = _group(group)

    def change(world: World, text: str, file: str, old: Config) -> str:
        if any(u.name.lower() == name.lower() for u in old.upstreams):
            raise UsageError(
                _("{file} has an upstream '{name}' already.").format(file=file, name=printable(name)),
                hint=_("Put it elsewhere with: ccsetup relay move {name} POSITION").format(name=printable(name)),
            )
        index = where.place(old.upstreams, name)
        made = compose.further(old, name, world.profiles, context.preset)
        last: Group = "primary" if old.profiles else "backup"
        made = made._replace(group=wanted or (old.upstreams[index].group if index < len(old.upstreams) else last))
        return edit.add(text, file, made, index, context.preset)

    context = Context()
    done = _("'{name}' is an upstream of the relay; they are asked in this order:").format(name=name)
    return _carry_out(context, "add", name, change, done, config, dry_run, as_json)


def rm(
    name: str = _NAME,
    config: Optional[str] = _base.CONFIG,
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    def change(world: World, text: str, file: str, old: Config) -> str:
        which = _found(old.upstreams, name)
        if len(old.upstreams) == 1 and not old.profiles:
            raise UsageError(
                _("'{name}' is the only upstream, and the relay needs one.").format(name=name),
                hint=_("Add another one before: ccsetup relay add NAME; or stop the relay: ccsetup relay stop"),
            )
        for key in _base.load_keys(context, _base.here(context, config)).keys:
            if key.revoked is None and key.upstreams and set(key.upstreams) <= {name}:
                text_ = _("The client key '{key}' is for '{name}' alone: it can use nothing any more.")
                hint = _("Revoke it with: ccsetup relay key revoke {key}").format(key=key.name)
                world.notes.append(Note("warning", text_.format(key=key.name, name=name), hint))
        return edit.remove(text, file, which, context.preset)

    context = Context()
    done = _("'{name}' is no upstream any more; the others are asked in this order:").format(name=name)
    return _carry_out(context, "rm", name, change, done, config, dry_run, as_json)


def move(
    name: str = _NAME,
    position: Optional[int] = typer.Argument(
        None, metavar="[POSITION]", min=1, help=_("Its place from now on, counted from 1.")
    ),
    first: bool = _FIRST,
    last: bool = _LAST,
    before: Optional[str] = _BEFORE,
    after: Optional[str] = _AFTER,
    group: Optional[str] = _GROUP,
    config: Optional[str] = _base.CONFIG,
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    where = _Where(first, last, before, after, position)
    wanted = _group(group)
    if not where.given() and wanted is None:
        raise UsageError(_("Where to? Give --first, --last, --before NAME, --after NAME or a position."))

    def change(world: World, text: str, file: str, old: Config) -> str:
        which = _found(old.upstreams, name)
        others = [*old.upstreams[:which], *old.upstreams[which + 1 :]]
        index = where.place(others, name) if where.given() else which
        own = old.upstreams[which].group
        # Whoever puts one in front of another wants it to be asked before that one.
        beside = others[index : index + 1] or others[-1:]
        new = wanted or (beside[0].group if beside and index != which else own)
        return edit.move(text, file, which, index, new, context.preset)

    context = Context()
    done = _("'{name}' has its place; the upstreams are asked in this order:").format(name=name)
    return _carry_out(context, "move", name, change, done, config, dry_run, as_json)


def _found(upstreams: Sequence[Upstream], name: str) -> int:
    names = [u.name for u in upstreams]
    if name not in names:
        raise UsageError(_("There is no upstream '{name}'.").format(name=printable(name)), hint=suggestion(name, names))
    return names.index(name)


def _group(text: Optional[str]) -> Optional[Group]:
    if text is None:
        return None
    check_one_of(text, GROUPS, _("Invalid group '{value}'. Valid ones: {valid}"))
    return next(group for group in GROUPS if group == text)


def _carry_out(
    context: Context,
    command: str,
    name: str,
    change: Callable[[World, str, str, Config], str],
    done: str,
    config: Optional[str],
    dry: bool,
    as_json: bool,
) -> int:
    """Write what *change* makes of the text of ``relay.yaml``, and have clients and a relay that runs follow."""
    at: Places = _base.here(context, config)
    file = context.paths.short(at.config)

    def act(world: World) -> Config:
        old = _base.load(context, at)
        if command != "add" and any(u.saved and u.name == name for u in old.upstreams):
            raise UsageError(
                _("{file} does not name '{name}': it is an upstream because it is a saved profile.").format(
                    file=file, name=name
                ),
                hint=_("Name it there with: ccsetup relay add {name}; 'enabled: false' then switches it off.").format(
                    name=name
                ),
            )
        named = old._replace(upstreams=tuple(u for u in old.upstreams if not u.saved))
        world.draft.replace(at.config, change(world, world.draft.text(at.config), file, named))
        now = _base.parsed(context, at, world.draft.text(at.config).encode())
        _setup.follow(context, world, at, old, now)
        return now

    now, changes = context.run(f"relay {command} {name}", act, dry=dry)
    if changes and not dry:
        _up.reread(context, at)

    def show() -> None:
        _output.done(bool(changes), _output.safe(done))
        _setup.show_order(now.upstreams)

    result: dict[str, Any] = {"config": at.config, "upstream": name, "upstreams": [u.name for u in now.upstreams]}
    return context.finish(f"relay {command}", result, changes, as_json=as_json, dry=dry, check=False, show=show)
