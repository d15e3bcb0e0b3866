"""``ccsetup config-switch``: make the clients use another saved profile, or none."""

from __future__ import annotations

import sys
from typing import Optional

import typer

from ccsetup.change import actions
from ccsetup.change.actions import Switched
from ccsetup.change.world import World
from ccsetup.cli import _options, _output, list_
from ccsetup.cli._context import Context, saved_or_official
from ccsetup.clients import CLIENTS, clients_named
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.profiles import RELAY

HELP = _(
    "Make Claude Code and Codex use the saved profile NAME. 'official' takes the provider away, so that the "
    "client's own account is used again.\n\n"
    "Without -T, every client that the profile has settings for is switched."
)


def _asks(context: Context) -> bool:
    """Tell whether there are profiles to choose from, and a person at a terminal who can choose."""
    return all(s is not None and s.isatty() for s in (sys.stdin, sys.stdout)) and bool(context.world().profiles)


def command(
    name: Optional[str] = typer.Argument(
        None, metavar="[NAME]", help=_("A saved profile, or official."), autocompletion=saved_or_official
    ),
    code_type: Optional[list[str]] = _options.CLIENTS,
    list_profiles: bool = typer.Option(False, "-l", "--list", help=_("Show the saved profiles.")),
    codex_version: Optional[str] = _options.CODEX_VERSION,
    project: bool = typer.Option(
        False, "--project", help=_("Only for the current folder: in .claude/settings.local.json.")
    ),
    dry_run: bool = _options.DRY,
    check: bool = _options.CHECK,
    repair: bool = _options.REPAIR,
    as_json: bool = _options.JSON,
    verbose: bool = _options.VERBOSE,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context(codex_version=codex_version or "")
    clients = clients_named(code_type)
    if list_profiles:
        return list_.show("config-switch", context, clients, presets_too=False, as_json=as_json)
    if name is None and not as_json and _asks(context):
        from ccsetup.cli.wizard import menu

        name = menu.pick(context, clients)
    if name is None:
        if not as_json:
            list_.show("config-switch", context, clients, presets_too=False, as_json=False)
        raise UsageError(
            _("Which profile? The name is missing."), hint=_("Give one of the names above, or 'official'.")
        )
    if project:
        return _in_project(
            context, name, clients, repair=repair, dry=dry_run or check, check=check, as_json=as_json, verbose=verbose
        )
    if name == "official":

        def leave(world: World) -> list[Switched]:
            done = actions.official(world, clients, repair=repair)
            actions.bring_along(world)
            return done

        switched, changes = context.run("config-switch official", leave, dry=dry_run or check)
    else:

        def act(world: World) -> list[Switched]:
            return actions.switch(world, name, clients, repair=repair)

        switched, changes = context.run(f"config-switch {name}", act, dry=dry_run or check)
        if not (dry_run or check):
            from ccsetup.cli import _worktree

            context.notes.extend(_worktree.notes(context, changes))
            _relay(context, name)

    def show() -> None:
        mark = _output.paint(_("done"), "32") if changes else _("unchanged")
        for s in switched:
            client = CLIENTS[s.client].TITLE
            text = (
                _("{client} uses profile '{name}'.").format(client=client, name=s.profile)
                if s.profile
                else _("{client} uses its own account; no provider is set.").format(client=client)
            )
            _output.line(f"{mark}: {text}")
        if changes:
            if verbose:
                for file in context.names(changes):
                    _output.line("  " + _("wrote {file}").format(file=file))
            _output.line(_("A session that is running keeps its model: start the client again."))

    return context.finish(
        "config-switch",
        {"active": {s.client: s.profile for s in switched}},
        changes,
        as_json=as_json,
        dry=dry_run or check,
        check=check,
        show=show,
    )


def _relay(context: Context, name: str) -> None:
    """Start the relay when that is what the clients use now."""
    if name == RELAY:
        from ccsetup.cli.relay import _up

        _up.start_for_clients(context)


def _in_project(
    context: Context,
    name: str,
    clients: list[ClientName],
    *,
    repair: bool,
    dry: bool,
    check: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    from ccsetup.cli import _project, _worktree

    folder = _project.check(context)

    def act(world: World) -> bool:
        if name != "official":
            return _project.use(world, name, clients, folder, repair=repair)
        actions.unset_project(world, folder)
        return True

    wrote, changes = context.run(f"config-switch {name} --project", act, dry=dry)
    if not dry:
        context.notes.extend(_worktree.notes(context, changes))
        _relay(context, name)
    profile = "" if name == "official" else name

    def show() -> None:
        mark = _output.paint(_("done"), "32") if changes else _("unchanged")
        if wrote:
            _output.line(f"{mark}: " + _project.text(context, profile, folder))
        if verbose:
            for file in context.names(changes):
                _output.line("  " + _("wrote {file}").format(file=file))

    result = {"project": folder, "active": {"claude-code": profile} if wrote else {}}
    return context.finish("config-switch", result, changes, as_json=as_json, dry=dry, check=check, show=show)
