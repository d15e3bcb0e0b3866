"""``ccsetup history``: Codex' sessions by the provider id under which it files them."""

from __future__ import annotations

import time
from typing import Any, Optional

import typer

from ccsetup.cli import _options, _output, _parser
from ccsetup.cli._context import Context
from ccsetup.clients.codex import edits, sessions
from ccsetup.clients.codex.client import Codex
from ccsetup.errors import NotFound
from ccsetup.i18n import _, ngettext
from ccsetup.plan import Note

HELP = _("Show Codex' sessions by provider, and bring those together that it does not show.")

app = _parser.group(HELP)


@app.command("list", cls=_parser.Command, help=_("Show the provider ids under which Codex has sessions."))
def list_sessions(as_json: bool = _options.JSON, lang: Optional[str] = _options.LANG) -> int:
    from ccsetup.change import history

    context = Context()
    config, rows = _config(context), list[dict[str, Any]]()
    use = sessions.selected(config)
    found: dict[str, list[sessions.Session]] = {}
    for session in history.every(context.paths, config):
        found.setdefault(session.provider, []).append(session)
    names = {edits.profile_id(p): p.name for p in context.world().profiles.values() if Codex.id in p.parts}
    joined = sessions.joinable(context.paths, config, found)
    for id_, mine in sorted(found.items(), key=lambda item: -max(s.time for s in item[1])):
        newest = max(s.time for s in mine)
        row = {"id": id_, "sessions": len(mine), "newest": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(newest))}
        rows.append({**row, "profile": names.get(id_, ""), "shown": id_ == use, "joinable": id_ in joined - {use}})
    if as_json:
        _output.print_json("history list", {"in_use": use, "providers": rows}, context.notes)
        return 0
    table = [
        [
            row["id"] or "-",
            str(row["sessions"]),
            row["newest"][:16].replace("T", " "),
            _whose(row, names),
        ]
        for row in rows
    ]
    _output.line(_output.columns(table, indent="") if table else _("Codex has no sessions here."))
    if any(row["joinable"] for row in rows):
        _output.line(_("Bring those together that Codex does not show: ccsetup history join"))
    return 0


def _whose(row: dict[str, Any], names: dict[str, str]) -> str:
    if row["shown"]:
        return _("shown: the provider in use")
    if row["profile"]:
        return _("profile {name}").format(name=row["profile"])
    if row["id"] == "openai":
        return _("Codex' own account")
    return _("ccsetup, a former profile") if sessions.is_ours(row["id"]) else _("not of ccsetup")


@app.command("join", cls=_parser.Command, help=_("File sessions under the provider in use, so that Codex shows them."))
def join(
    ids: Optional[list[str]] = typer.Argument(
        None,
        metavar="[ID]…",
        help=_("Provider ids from 'history list'; without any, those of ccsetup and of tools that are gone."),
    ),
    dry_run: bool = _options.LOOK,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    from ccsetup.change import history

    context = Context()
    config = _config(context)
    to = sessions.selected(config)
    there = history.every(context.paths, config)
    known = {i for s in there for i in (s.first, s.stored) if i}
    for id_ in ids or ():
        if id_ not in known:
            raise NotFound(
                _("Codex has no sessions of provider '{id}'.").format(id=id_), hint=_("Run: ccsetup history list")
            )
    if not ids and to == "openai":
        raise NotFound(
            _("Codex uses its own account, and sessions are joined to that only when they are named."),
            hint=_("Run: ccsetup config-switch NAME -T codex; or name the ids: ccsetup history join ID"),
        )
    wanted = {*(ids or sessions.joinable(context.paths, config, known))} - {to}
    many = sum(bool({s.first, s.stored} & wanted) for s in there)
    result: dict[str, Any] = {"to": to, "ids": sorted(wanted), "sessions": many}
    if not dry_run and many:
        outcome = history.join(context.paths, config, wanted, to)
        result["sessions"] = many = outcome.done
        if outcome.packed:
            text = ngettext(
                "{n} session is compressed, cannot be unpacked here, and stays as it is.",
                "{n} sessions are compressed, cannot be unpacked here, and stay as they are.",
                len(outcome.packed),
            ).format(n=len(outcome.packed))
            context.notes.append(Note("warning", text, _("Install backports.zstd, and run the command again.")))
    result |= {"changed": bool(many) and not dry_run, "would_change": bool(many) and dry_run}
    text = _("Nothing to join.")
    if many and dry_run:
        text = ngettext("{n} session would be filed under '{id}'.", "{n} sessions would be filed under '{id}'.", many)
    elif many:
        text = ngettext("{n} session is filed under '{id}' now.", "{n} sessions are filed under '{id}' now.", many)
    return _finish(context, "history join", result, text.format(n=many, id=to), as_json)


@app.command("undo", cls=_parser.Command, help=_("Give the sessions of the last join their former ids."))
def undo(dry_run: bool = _options.LOOK, as_json: bool = _options.JSON, lang: Optional[str] = _options.LANG) -> int:
    from ccsetup.change import history

    context = Context()
    config = _config(context)
    if dry_run:
        found = history.manifests(context.paths)
        many, kept = len(found[0].rows) if found else 0, 0
    else:
        many, kept, _packed = history.undo(context.paths, config)
    result = {"sessions": many, "kept": kept, "changed": not dry_run, "would_change": bool(many) and dry_run}
    text = ngettext("{n} session has its former id.", "{n} sessions have their former ids.", many)
    if dry_run:
        text = ngettext("{n} session would get its former id.", "{n} sessions would get their former ids.", many)
    if kept:
        stay = ngettext(
            "{n} session was continued since, and stays.", "{n} sessions were continued since, and stay.", kept
        )
        context.notes.append(Note("info", stay.format(n=kept)))
    return _finish(context, "history undo", result, text.format(n=many), as_json)


def _config(context: Context) -> Any:
    return context.world().draft.data(context.paths.codex_config, "toml")


def _finish(context: Context, command: str, result: dict[str, Any], text: str, as_json: bool) -> int:
    if as_json:
        _output.print_json(command, result, context.notes)
        return 0
    _output.line(text)
    _output.print_notes(context.notes)
    return 0
