"""``ccsetup list``: saved profiles, which client uses which, and the providers that can be set up."""

from __future__ import annotations

import os
from typing import Any, Mapping, Optional, Sequence

import typer

from ccsetup import i18n, presets
from ccsetup.change import beside
from ccsetup.change.world import World
from ccsetup.cli import _complete, _options, _output, _relay
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS, clients_named
from ccsetup.clients.values import Files
from ccsetup.documents import encoding
from ccsetup.errors import CcsetupError, printable
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.plan import Note
from ccsetup.profiles import RELAY

HELP = _("Show what each client uses, and the saved profiles; with --providers, the providers that can be set up.")


def command(
    code_type: Optional[list[str]] = typer.Option(
        None,
        "-T",
        "--code-type",
        metavar="CLIENT",
        autocompletion=_complete.clients,
        help=_("Only this client: claude-code (cc) or codex (cx)."),
    ),
    providers: bool = typer.Option(False, "--providers", help=_("Show the providers, and which clients they serve.")),
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context, clients = Context(), clients_named(code_type)
    if not providers or as_json:
        return show("list", context, clients, presets_too=as_json, as_json=as_json)
    _print_presets(_presets(context, clients))
    _output.print_notes(context.notes)
    return 0


def show(name: str, context: Context, clients: Sequence[ClientName], *, presets_too: bool, as_json: bool) -> int:
    """Print profiles, and in JSON presets with *presets_too*; read everything, write nothing."""
    world = context.world()
    context.notes.extend(world.notes)
    wanted = list(clients) or list(CLIENTS)
    state = {c: active(context, world, c) for c in wanted}
    rows = _profiles(context, world, clients, wanted, state)
    result: dict[str, Any] = {"profiles": rows, "clients": state}
    context.notes.extend(beside.notes(world, wanted))
    users = [_relay.User(c, now["profile"], now["url"]) for c, now in state.items()]
    context.notes.extend(_relay.note(context, world.profiles, users, ask=False))
    led = _led(context, result) if RELAY in world.profiles else ""
    if presets_too:
        result["presets"] = _presets(context, clients)
    if as_json:
        _output.print_json(name, result, context.notes)
        return 0
    _print_profiles(rows, state, wanted)
    if led:
        _output.line(_("Requests of profile 'relay' go to: {targets}").format(targets=led))
    _output.print_notes(context.notes)
    return 0


def _led(context: Context, result: dict[str, Any]) -> str:
    """Return what ``relay use`` and ``relay tiers`` have set, also into *result*; "" where that is nothing."""
    if not os.path.lexists(context.paths.relay_switchboard):
        return ""
    try:
        board = _relay.led(context)
    except CcsetupError as e:
        context.notes.append(Note("warning", e.message, e.hint))
        return ""
    result["relay"] = board._asdict()
    context.notes.extend(_relay.led_notes(board, {}))
    return _relay.led_text(board)


def _profiles(
    context: Context,
    world: World,
    clients: Sequence[ClientName],
    wanted: Sequence[ClientName],
    state: Mapping[ClientName, dict[str, Any]],
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    context.notes.extend(world.broken())
    for profile in world.profiles.values():
        if not any(c in profile.parts for c in wanted) and (clients or profile.parts):
            continue
        rows.append(
            {
                "name": profile.name,
                "provider": profile.provider,
                "region": profile.region,
                "key_storage": profile.key_storage,
                "clients": [c for c in CLIENTS if c in profile.parts],
                "active": [c for c in wanted if state[c].get("profile") == profile.name],
                "problem": profile.problem,
            }
        )
    return rows


def _presets(context: Context, clients: Sequence[ClientName]) -> list[dict[str, Any]]:
    found, problems = presets.summaries(context.paths.user_presets)
    context.notes.extend(Note("warning", problem.message, problem.hint) for problem in problems)
    return [
        {
            "id": s.id,
            "name": s.name,
            "description": s.description.get(i18n.language, s.description.get("en", "")),
            "regions": list(s.regions),
            "clients": list(s.clients),
            "by_relay": list(s.by_relay),
            "user": s.user,
        }
        for s in found
        if not clients or any(c in (*s.clients, *s.by_relay) for c in clients)
    ]


def _print_presets(rows: Sequence[Mapping[str, Any]]) -> None:
    table = [
        [
            row["id"],
            serves(row["clients"], row["by_relay"]) or "-",
            row["description"] or row["name"],
            _("regions: {ids}").format(ids=" ".join(row["regions"])) if len(row["regions"]) > 1 else "",
        ]
        for row in rows
    ]
    _output.line(_("Providers (ccsetup init -p ID -k KEY):"))
    _output.line(_output.columns(table, limit=_output.terminal_width(), shrink=2))
    if any(row["by_relay"] for row in rows):
        _output.line(_("relay: the other clients by the relay, which translates: add --via-relay"))


def serves(clients: Sequence[ClientName], by_relay: Sequence[ClientName] = ()) -> str:
    """Return *clients* for a narrow column; for those that are *by_relay* it has one word."""
    return " ".join([*(CLIENTS[c].program for c in CLIENTS if c in clients), *(["relay"] if by_relay else [])])


def _print_profiles(
    rows: list[dict[str, Any]], state: dict[ClientName, dict[str, Any]], wanted: list[ClientName]
) -> None:
    for client in wanted:
        info = state[client]
        title = CLIENTS[client].title
        if info.get("error"):
            text = _("cannot be read: {problem}").format(problem=info["error"])
        elif info.get("problem"):
            text = "  ".join(t for t in (info["profile"], info["problem"]) if t)
        elif info.get("profile") and info.get("changed"):
            text = _("{profile}, changed by hand ({url})").format(profile=info["profile"], url=info["url"])
        elif info.get("profile"):
            text = "  ".join(t for t in (info["profile"], info["model"], info["url"]) if t)
            text += f" ({info['source']})" if info["source"] else ""
        elif info.get("url") and info["source"]:
            text = _("{url} (not set up by ccsetup: {place})").format(url=info["url"], place=info["source"])
        elif info.get("url"):
            text = _("{url} (not set up by ccsetup)").format(url=info["url"])
        else:
            text = _("its own account (no provider set)")
        _output.line(_output.safe(f"{title}: {text}"))
    _output.line()
    if not rows:
        _output.line(_("No profile is saved yet. Make one with: ccsetup init -p PROVIDER -k KEY"))
        _output.line(_("See the providers with: ccsetup list --providers"))
        return
    _output.line(_("Profiles (ccsetup config-switch NAME):"))
    table = []
    for row in rows:
        used = ", ".join(CLIENTS[c].title for c in row["active"])
        table.append(
            [
                ("* " if used else "  ") + printable(row["name"]),
                row["provider"] + (f" ({row['region']})" if row["region"] else ""),
                _("(cannot be used)") if row["problem"] else serves(row["clients"]) or _("(by the relay)"),
                _("used by {clients}").format(clients=used) if used else "",
            ]
        )
    _output.line(_output.columns(table, indent=""))


def active(context: Context, world: World, client: ClientName) -> dict[str, Any]:
    """Return what *client* uses in the current folder, and which profile that is."""
    module = CLIENTS[client]
    try:
        files = world.files(client)
    except CcsetupError as e:
        context.notes.append(Note("warning", e.message, e.hint))
        files = Files(world.paths, {}, {}, world.version(client))
        if isinstance(e, encoding.Utf16) and module.reads_utf16:
            return _found(context, world, client, files)
        out: dict[str, Any] = dict.fromkeys(("profile", "url", "model", "credential", "problem", "source"), "")
        return {**out, "changed": False, "error": e.message}
    return _found(context, world, client, files)


def _found(context: Context, world: World, client: ClientName, files: Files) -> dict[str, Any]:
    module = CLIENTS[client]
    here = module.effective(files)
    now = module.current(here.files)
    context.notes.extend(now.notes)
    out: dict[str, Any] = {
        "profile": "",
        "url": "" if here.problem else now.base_url,
        "model": now.model,
        "credential": now.credential,
        "problem": here.problem or now.problem,
        "changed": False,
        "source": here.source,
    }
    recorded = world.in_project(world.paths.cwd) if here.project else "" if here.source else world.active(client)
    for name in sorted(world.profiles, key=lambda n: n != recorded):
        profile = world.profiles[name]
        if client not in profile.parts or profile.problem:
            continue
        try:
            if out["url"] and module.matches(here.files, world.use(profile, client)):
                out["profile"] = name
                break
        except CcsetupError as e:
            context.notes.append(Note("warning", e.message, e.hint))
    if not out["profile"] and out["url"] and recorded:
        out["profile"], out["changed"] = recorded, True
    return out
