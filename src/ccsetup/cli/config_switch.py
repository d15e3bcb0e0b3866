"""``ccsetup config-switch``: make the clients use another saved profile, or none."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

import typer

from ccsetup.change import actions
from ccsetup.change.actions import Switched
from ccsetup.change.world import World
from ccsetup.cli import _complete, _options, _output, list_
from ccsetup.cli._context import Context, switched_text
from ccsetup.clients import CLIENTS, clients_named
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Secret
from ccsetup.plan import FileChange
from ccsetup.profiles import OFFICIAL, RELAY
from ccsetup.tuples import NamedTuple

HELP = _(
    "Make Claude Code and Codex use the saved profile NAME. 'official' takes the provider away, so that the "
    "client's own account is used again, and '-' goes back to what was used before.\n\n"
    "Without -T, every client that the profile has settings for is switched."
)


class SwitchOptions(NamedTuple):
    """The options of ``ccsetup config-switch``."""

    name: Optional[str] = typer.Argument(
        None,
        metavar="[NAME]",
        help=_("A saved profile; official for none; - for the former one."),
        autocompletion=_complete.profiles_or_official,
    )
    code_type: Optional[list[str]] = _options.CLIENTS
    skip_prompt: bool = _options.SILENT
    list_profiles: bool = typer.Option(False, "-l", "--list", help=_("Show the saved profiles."))
    codex_version: Optional[str] = _options.CODEX_VERSION
    project: bool = typer.Option(
        False, "--project", help=_("Only for the current folder: in .claude/settings.local.json.")
    )
    dry_run: bool = _options.DRY
    check: bool = _options.CHECK
    repair: bool = _options.REPAIR
    as_json: bool = _options.JSON
    verbose: bool = _options.VERBOSE
    lang: Optional[str] = _options.LANG

    @property
    def dry(self) -> bool:
        return self.dry_run or self.check


@_options.gathered(SwitchOptions)
def command(given: SwitchOptions) -> int:
    context = Context(codex_version=given.codex_version or "")
    clients = clients_named(given.code_type)
    if given.list_profiles:
        return list_.show("config-switch", context, clients, presets_too=False, as_json=given.as_json)
    name = given.name
    if name is None and _may_ask(given) and context.world().profiles:
        from ccsetup.cli.wizard import menu

        name = menu.pick(context, clients)
    if name is None:
        if not given.as_json:
            list_.show("config-switch", context, clients, presets_too=False, as_json=False)
        raise UsageError(
            _("Which profile? The name is missing."), hint=_("Give one of the names above, or 'official'.")
        )
    return (_in_project if given.project else _everywhere)(context, name, clients, given)


def _everywhere(context: Context, name: str, clients: list[ClientName], given: SwitchOptions) -> int:
    taken = _renewed(context, clients or list(CLIENTS), given)
    wanted = _former(context, clients) if name == "-" else {name: clients}

    def act(world: World) -> list[Switched]:
        for profile, key in taken.items():
            actions.put(world, world.profiles[profile], key, ())
        done: list[Switched] = []
        for profile, group in wanted.items():
            if profile == OFFICIAL:
                done += actions.official(world, group, repair=given.repair)
                actions.bring_along(world)
                continue
            meant = world.means(profile)
            if meant == RELAY:
                from ccsetup.relay.running import listing

                listing.look_again(world)
            done += actions.switch(world, meant, group, repair=given.repair)
        return done

    switched, changes = context.run(f"config-switch {name}", act, dry=given.dry)
    if any(s.profile for s in switched):
        _after(context, [s.profile for s in switched], changes, given)

    def show() -> None:
        for s in switched:
            _output.done(bool(changes), switched_text(s.client, s.profile, s.held))
        if changes:
            if given.verbose:
                _output.wrote(context.names(changes))
            _output.line(_("A session that is running keeps its model: start the client again."))

    return _finish(context, {"active": {s.client: s.profile for s in switched}}, changes, given, show)


def _former(context: Context, clients: list[ClientName]) -> dict[str, list[ClientName]]:
    from ccsetup.cli import _former

    return _former.profiles(context, clients)


def _may_ask(given: SwitchOptions) -> bool:
    return not (given.skip_prompt or given.as_json) and _output.interactive()


def _renewed(context: Context, clients: Sequence[ClientName], given: SwitchOptions) -> dict[str, Secret]:
    """Return the keys that the person has renewed in the clients' files, and wants their profiles to have."""
    if given.dry or not _may_ask(given):
        return {}
    from ccsetup.change import renewed

    world = context.world()
    found = [one for one in (renewed.find(world, c) for c in clients) if one and one.key]
    out = {}
    for one in found:
        question = _("The key of '{name}' was renewed in {file}. Save it with the profile? [y/N]")
        text = question.format(name=one.profile, file=context.paths.short(one.file))
        if one.key and one.profile not in out and _output.agreed(text, False, ""):
            out[one.profile] = one.key
    return out


def _in_project(context: Context, name: str, clients: list[ClientName], given: SwitchOptions) -> int:
    from ccsetup.cli import _project

    if name == "-":
        raise UsageError(_("'-' is for all folders: --project takes the name of a profile."))
    folder = _project.check(context)

    meant = name

    def act(world: World) -> list[ClientName]:
        nonlocal meant
        if name != OFFICIAL:
            meant = world.means(name)
            return _project.use(world, meant, clients, folder, repair=given.repair)
        return actions.unset_project(world, folder)

    wrote, changes = context.run(f"config-switch {name} --project", act, dry=given.dry)
    _after(context, [meant], changes, given)
    profile = "" if name == OFFICIAL else meant

    def show() -> None:
        if wrote:
            _output.done(bool(changes), _project.text(context, profile, folder))
        if given.verbose:
            _output.wrote(context.names(changes))

    result = {"project": folder, "active": dict.fromkeys(wrote, profile)}
    return _finish(context, result, changes, given, show)


def _after(context: Context, names: Sequence[str], changes: Sequence[FileChange], given: SwitchOptions) -> None:
    """Warn of keys that git would carry away, and start the relay when that is what the clients use now."""
    if given.dry:
        return
    from ccsetup.cli import _worktree

    context.notes.extend(_worktree.notes(context, changes))
    if RELAY in names:
        from ccsetup.cli.relay import _up

        up = _up.start_for_clients(context)
        if up is not None:
            _up.at_login(context, up, ask=_may_ask(given))


def _finish(
    context: Context,
    result: dict[str, Any],
    changes: Sequence[FileChange],
    given: SwitchOptions,
    show: Callable[[], None],
) -> int:
    return context.finish(
        "config-switch", result, changes, as_json=given.as_json, dry=given.dry, check=given.check, show=show
    )
