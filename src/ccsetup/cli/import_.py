"""``ccsetup import``: what the clients and other tools have, saved as profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import typer

from ccsetup import presets
from ccsetup.change import actions
from ccsetup.change.world import World
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError, UsageError, check_one_of
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.plan import Note

if TYPE_CHECKING:
    from ccsetup.importers.match import Proposal

HELP = _(
    "Save what the clients use now, and what other setup tools have stored, as profiles. First it shows what it found; "
    "nothing of theirs is changed, and no client is switched."
)


def command(
    source: Optional[str] = typer.Argument(
        None, metavar="[SOURCE]", help=_("clients, zcf, ccjk, cc-switch, ccs or ccr; all of them when not given.")
    ),
    also: Optional[str] = typer.Option(None, "--from", metavar="SOURCE", help=_("The same, as an option.")),
    dry_run: bool = _options.LOOK,
    yes: bool = _options.YES,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    from ccsetup.importers import stores

    if source and also and source != also:
        raise UsageError(_("{options} both name a source: give one of them.").format(options=f"{source} / --from"))
    chosen = source or also
    if chosen is not None:
        check_one_of(chosen, stores.SOURCES, _("Invalid source '{value}'. Valid ones: {valid}"))
    context = Context()
    proposed = _proposals(context, chosen)
    rows = [_row(p) for p in proposed]
    requests = [p.request for p in proposed if p.request is not None]
    if not as_json:
        _show(rows)
    if requests and not (yes or dry_run):
        refusal, hint = (
            _("Saving profiles needs --yes where nobody can be asked."),
            _("See what it finds with --dry-run."),
        )
        if not _output.agreed(_("Save these profiles? [y/N]"), as_json, refusal, hint):
            return 1
    changes: Any = ()
    if requests:
        name = "import" + (f" {chosen}" if chosen else "")
        _switched, changes = context.run(name, lambda world: actions.init(world, requests), dry=dry_run)

    def show() -> None:
        if requests:
            _output.line()
            for request in requests:
                _output.done(True, _("profile '{name}' is saved.").format(name=request.name))
            _output.line(_("Use it with: ccsetup config-switch {name}").format(name=requests[0].name))

    result = {"found": rows, "profiles": [r.name for r in requests]}
    if dry_run and not as_json:
        _output.print_notes(context.notes)
        return 0
    return context.finish("import", result, changes, as_json=as_json, dry=dry_run, check=False, show=show)


def _proposals(context: Context, chosen: Optional[str]) -> list[Proposal]:
    """Return what could be saved of what is in the store *chosen*, or in all of them."""
    from ccsetup import importers
    from ccsetup.importers import match, stores

    reader = importers.store(context.paths)
    found = [f for name, read in stores.SOURCES.items() if chosen in (None, name) for f in read(reader)]
    context.secrets.update(f.key.reveal() for f in found if f.key)
    known = []
    for preset_id in presets.ids(context.paths.user_presets) if found else ():
        try:
            known.append(context.preset(preset_id))
        except CcsetupError as e:
            context.notes.append(Note("warning", e.message, e.hint))
    proposed = match.proposals(found, known, _saved(context.world()))
    context.notes.extend(Note("info", text) for proposal in proposed for text in proposal.notes)
    return proposed


def _saved(world: World) -> dict[str, tuple[Any, Optional[Secret]]]:
    out: dict[str, tuple[Any, Optional[Secret]]] = {}
    for name, profile in world.profiles.items():
        key = None
        if profile.problem:
            continue
        if not profile.key_command:  # it is not run for a look: it may ask for a password
            try:
                key = world.key(profile)
            except CcsetupError:
                pass
        out[name] = (profile, key)
    return out


def _row(proposal: Proposal) -> dict[str, Any]:
    first, request = proposal.found[0], proposal.request
    key = first.key.reveal() if first.key else ""
    return {
        "source": first.source,
        "found": first.name,
        "name": request.name if request else "",
        "provider": request.provider if request else "",
        "region": request.region if request else "",
        "url": first.part.url,
        "last4": key[-4:] if len(key) >= 12 else "",
        "key_env": first.key_env,
        "clients": [f.client for f in proposal.found],
        "skipped": proposal.reason,
    }


def _show(rows: list[dict[str, Any]]) -> None:
    if not rows:
        _output.line(_("Nothing was found."))
        return
    head = [_("from"), _("profile"), _("provider"), _("URL"), _("key"), _("client")]
    table = [head]
    for r in rows:
        if r["skipped"]:
            continue
        key = "…" + r["last4"] if r["last4"] else "$" + r["key_env"] if r["key_env"] else "***"
        provider = r["provider"] + (f" ({r['region']})" if r["region"] else "")
        names = ", ".join(CLIENTS[c].title for c in r["clients"])
        table.append([f"{r['source']}: {r['found']}", r["name"], provider, r["url"], key, names])
    if len(table) > 1:
        _output.line(_output.safe(_output.columns(table, indent="")))
    for r in rows:
        if r["skipped"]:
            text = _("left out: {source}: {name} ({url}): {reason}").format(
                source=r["source"], name=r["found"], url=r["url"], reason=r["skipped"].rstrip(".。")
            )
            _output.line(_output.safe(text))
