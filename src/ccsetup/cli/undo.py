"""``ccsetup undo``: take the last change back."""

from __future__ import annotations

import time
from typing import Any, Optional

import typer

from ccsetup import disk, profiles
from ccsetup.change import record
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context, switched_text
from ccsetup.clients import CLIENTS, tidied
from ccsetup.disk import reverse
from ccsetup.documents import version
from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.plan import FileChange, Note, Plan

HELP = _(
    "Take the last change back, byte for byte where nothing else changed the files since. What you changed later "
    "stays, and is said. An undo can be undone."
)


def command(
    change: Optional[str] = typer.Argument(
        None, metavar="[ID]", help=_("A change from --list; the last one when not given.")
    ),
    list_changes: bool = typer.Option(False, "-l", "--list", help=_("Show the changes that can be taken back.")),
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    homes = context.paths.homes
    context.notes.extend(_damaged(context))
    if list_changes:
        return _list(context, as_json)
    try:
        found = _tidied(context, reverse.undo(homes, change))
    except CcsetupError as e:
        raise CcsetupError(" ".join([e.message, *(note.text for note in context.notes)]), hint=e.hint) from None
    _refuse_newer(context, found.plan)
    former = _used(context)
    if not dry_run:

        def build() -> Plan:
            nonlocal found
            found = _tidied(context, reverse.again(homes, found))
            _refuse_newer(context, found.plan)
            return found.plan

        disk.transaction(build, homes, now=time.time(), undoes=found.record.id)
    for note in found.notes:
        if context.paths.is_record(note.path):
            continue
        context.notes.append(Note("warning", note.text))
    changes = found.plan.changes

    def show() -> None:
        for file in context.names(changes):
            _output.line(_("restored {file}").format(file=file))
        if not changes:
            _output.line(_("unchanged"))
        for client, profile in _used(context).items():
            if profile != former[client]:
                _output.line(switched_text(client, profile))

    return context.finish("undo", {}, changes, as_json=as_json, dry=dry_run, check=False, show=show)


def _used(context: Context) -> dict[ClientName, str]:
    """Return the profile that each client uses now; "" for its own account."""
    world = context.world()
    return {client: world.active(client) for client in CLIENTS}


def _tidied(context: Context, found: reverse.UndoPlan) -> reverse.UndoPlan:
    """Return *found* without what another profile still needs, and with what a later change took away from its own."""
    changes = tidied(found.plan.changes)
    gone = [path for client in CLIENTS.values() for path in client.missing(changes)]
    held: dict[str, Optional[bytes]] = {}
    for former in disk.history(context.paths.homes) if gone else ():
        if {*gone}.isdisjoint(former.paths):
            continue
        try:
            files = disk.contents(context.paths.homes, former.id)
        except CcsetupError:  # of another home, or about a folder that is not this run's
            continue
        held.update((c.change.path, c.change.before if c.change.after is None else c.change.after) for c in files)
    changes += tuple(FileChange(path, None, held[path]) for path in gone if path in held)
    return found._replace(plan=found.plan._replace(changes=changes))


def _list(context: Context, as_json: bool) -> int:
    records = [r for r in disk.history(context.paths.homes) if not r.home]
    rows: list[dict[str, Any]] = [
        {
            "id": r.id,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(r.time)) if r.time else "",
            "command": r.command,
            **({"problem": r.problem} if r.problem else {}),
            "undone": bool(r.undone_by),
            "files": [context.paths.short(p) for p in r.paths if not context.paths.is_record(p)],
        }
        for r in records
    ]
    if as_json:
        _output.print_json("undo", {"changes": rows}, context.notes)
        return 0
    now = time.time()
    table = [
        [
            r["id"],
            _when(now, record.time),
            r.get("problem") or r["command"],
            _("taken back") if r["undone"] else "",
            " ".join(r["files"]),
        ]
        for r, record in zip(reversed(rows), reversed(records), strict=True)
    ]
    limit = _output.terminal_width()
    _output.line(
        _output.columns(table, indent="", limit=limit, shrink=4) if rows else _("Nothing has been changed yet.")
    )
    _output.print_notes(context.notes)
    return 0


def _when(now: float, then: float) -> str:
    """Return the local time *then*, in seconds since 1970, for people: how long ago, or the day; 0 is not known."""
    if not then:
        return ""
    minutes = int(now - then) // 60
    if minutes == 0:
        return _("just now")
    if 0 < minutes < 60:
        return _("{n} min ago").format(n=minutes)
    same = time.localtime(now)[:3] == time.localtime(then)[:3]
    return time.strftime("%H:%M" if same else "%Y-%m-%d %H:%M", time.localtime(then))


def _damaged(context: Context) -> list[Note]:
    text = _("{file} cannot be read, so the change in it cannot be taken back.")
    damaged = disk.damaged(context.paths.homes)
    return [Note("warning", text.format(file=context.paths.short(path))) for path in damaged]


def _refuse_newer(context: Context, plan: Plan) -> None:
    """Raise CcsetupError where *plan* would change a record that a newer ccsetup made."""
    draft, paths = context.draft(), context.paths
    for change in plan.changes:
        if change.path == paths.profiles or paths.is_record(change.path):
            form, newest = ("toml", profiles.VERSION) if change.path == paths.profiles else ("json", record.VERSION)
            try:
                found = draft.data(change.path, form).get("version")
            except DocumentError:  # damaged: undo gives back what can be given back
                continue
            version.check(found, newest, context.paths.short(change.path))
