"""``ccsetup uninstall``: take out of the clients' files what ccsetup wrote there."""

from __future__ import annotations

import os
from typing import Any, Optional

import typer

from ccsetup.change import saved
from ccsetup.change.actions import Switched
from ccsetup.change.world import World
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS
from ccsetup.i18n import _

HELP = _(
    "Take out of the clients' files what ccsetup wrote there, and remove the saved profiles and keys. The clients use "
    "their own accounts again. 'ccsetup undo' brings all of it back for as long as its records are there."
)


def command(
    yes: bool = _options.YES,
    keep_profiles: bool = typer.Option(False, "--keep-profiles", help=_("Leave the saved profiles and their keys.")),
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    if not (yes or dry_run):
        refusal = _("Uninstalling needs --yes where nobody can be asked.")
        question = _("Take ccsetup's settings out of the clients? [y/N]")
        if not _output.agreed(question, as_json, refusal, _("See what it does with --dry-run.")):
            return 1
    relay = not keep_profiles and _has_relay(context)

    def act(world: World) -> list[Switched]:
        switched = saved.uninstall(world, keep_profiles=keep_profiles)
        if relay:
            from ccsetup.cli.relay import _remove

            _remove.files(context, world)
        return switched

    if relay and not dry_run:
        from ccsetup.cli.relay import _remove

        _remove.process(context)
    switched, changes = context.run("uninstall", act, dry=dry_run)
    stays = [p for p in _stays(context) if os.path.lexists(p)]

    def show() -> None:
        _output.done(bool(changes), _("the clients hold nothing of ccsetup's any more."))
        for s in switched:
            _output.line("  " + _("{client} uses its own account.").format(client=CLIENTS[s.client].title))
        for change in changes:
            if not context.paths.is_record(change.path):
                text = _("removed {file}") if change.after is None else _("changed {file}")
                _output.line("  " + text.format(file=context.paths.short(change.path)))
        if stays:
            _output.line(_("This stays:"))
            what = {
                context.paths.state_dir: _("what 'ccsetup undo' needs; it holds the keys that were in the files"),
                context.paths.config_dir: _("your own settings and presets"),
                context.paths.profiles: _("profiles"),
            }
            _output.line(_output.columns([[context.paths.short(p), what[p]] for p in stays]))
            _output.line(_("Remove it with: rm -r {folders}").format(folders=" ".join(_folders(context, stays))))

    result: dict[str, Any] = {
        "active": {s.client: s.profile for s in switched},
        "stays": [context.paths.short(p) for p in stays],
    }
    return context.finish("uninstall", result, changes, as_json=as_json, dry=dry_run, check=False, show=show)


def _has_relay(context: Context) -> bool:
    return any(os.path.lexists(p) for p in (context.paths.relay_config, context.paths.relay_run))


def _stays(context: Context) -> list[str]:
    paths = context.paths
    if os.path.lexists(paths.profiles):
        return [paths.state_dir, paths.profiles]
    own = os.path.lexists(paths.settings) or os.path.lexists(paths.user_presets)
    return [paths.state_dir, *([paths.config_dir] if own else [])]


def _folders(context: Context, stays: list[str]) -> list[str]:
    import shlex

    folders = [context.paths.config_dir if p == context.paths.profiles else p for p in stays]
    return [shlex.quote(f) if " " in f else context.paths.short(f) for f in folders]
