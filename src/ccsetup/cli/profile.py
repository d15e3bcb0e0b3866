"""``ccsetup profile``: look at saved profiles, copy, rename and remove them."""

from __future__ import annotations

from typing import Any, Callable, Optional

import typer

from ccsetup.change import actions, saved
from ccsetup.change.actions import Switched
from ccsetup.change.world import World, endpoint_of
from ccsetup.cli import _options, _output, _parser, _relay, list_
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS, clients_named
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.plan import Note

HELP = _("Show, copy, rename and remove saved profiles.")

app = _parser.group(HELP)

_NEW = typer.Argument(..., metavar="NEW", help=_("The new name."))


@app.command("list", cls=_parser.Command, help=_("Show the saved profiles, and what each client uses."))
def list_profiles(
    code_type: Optional[list[str]] = _options.CLIENTS,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    return list_.show("profile list", Context(), clients_named(code_type), presets_too=False, as_json=as_json)


@app.command("show", cls=_parser.Command, help=_("Show what a profile says and where its key is; the key is masked."))
def show(name: str = _options.PROFILE, as_json: bool = _options.JSON, lang: Optional[str] = _options.LANG) -> int:
    context = Context()
    world = context.world()
    profile = world.find(name)
    key = ""
    if not profile.key_command:  # it is not run for a look: it may ask for a password
        try:
            found = world.key(profile)
            key = found.reveal() if found else ""
        except CcsetupError as e:
            context.notes.append(Note("warning", e.message, e.hint))
    result: dict[str, Any] = {
        "name": profile.name,
        **profile.setting(),
        "key_last4": key[-4:] if len(key) >= 12 else "",
        "active": [c for c in CLIENTS if world.active(c) == name],
        "endpoints": {},
    }
    for client in profile.parts:
        try:
            endpoint = endpoint_of(world, profile, client)
        except CcsetupError as e:
            context.notes.append(Note("warning", e.message, e.hint))
            continue
        tiers = getattr(endpoint, "models", None)
        model = getattr(endpoint, "model", "") or (tiers.primary if tiers else "")
        result["endpoints"][client] = {"url": endpoint.base_url, "model": model}
    if as_json:
        _output.print_json("profile show", result, context.notes)
        return 0
    shown = "…" + key[-4:] if len(key) >= 12 else "***" if key else ""
    where: str = profile.key_storage
    if profile.key_env:
        where += f" ({profile.key_env})"
    if profile.key_command:
        where += ": " + profile.key_command
    rows = [
        [_("Provider"), profile.provider + (f" ({profile.region})" if profile.region else "")],
        [_("Key"), f"{shown}  {where}".strip()],
    ]
    for client, part in profile.parts.items():
        now = result["endpoints"].get(client, {})
        used = "  " + _("(used now)") if client in result["active"] else ""
        rows.append([CLIENTS[client].title, f"{now.get('model', '')}  {now.get('url', '')}{used}".strip()])
        rows += [["", f"{k}: {v}"] for k, v in part._asdict().items() if v]
    _output.line(_output.safe(_output.columns(rows, indent="")))
    _output.print_notes(context.notes)
    return 0


@app.command("copy", cls=_parser.Command, help=_("Save a profile once more under another name, with the same key."))
def copy(
    name: str = _options.PROFILE,
    new: str = _NEW,
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    text = _("profile '{name}' is saved.").format(name=new)
    return _change("profile copy", f"{name} {new}", lambda w: saved.copy(w, name, new), text, dry_run, as_json)


@app.command(
    "rename",
    cls=_parser.Command,
    help=_("Give a profile another name; clients that use it go on, and Codex keeps its history."),
)
def rename(
    name: str = _options.PROFILE,
    new: str = _NEW,
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    def act(world: World) -> list[Switched]:
        switched = saved.rename(world, name, new)
        _relay.follow(Context(), world, name, new)
        return switched

    text = _("profile '{name}' is called '{new}' now.").format(name=name, new=new)
    return _change("profile rename", f"{name} {new}", act, text, dry_run, as_json)


@app.command(
    "rm",
    cls=_parser.Command,
    help=_("Remove a profile and its key; with --yes also one that is in use, whose clients get their own account."),
)
def rm(
    name: str = _options.PROFILE,
    yes: bool = typer.Option(False, "-y", "--yes", help=_("Do not ask, also when it is in use.")),
    dry_run: bool = _options.DRY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    world = Context().world()
    if name not in world.profiles:
        world.find(name)
    using = [CLIENTS[c].title for c in CLIENTS if world.active(c) == name]
    using += [world.paths.short(p) for p in world.projects() if world.in_project(p) == name]
    if using and not (yes or dry_run) and (as_json or not _output.interactive()):
        raise UsageError(
            _("Profile '{name}' is in use: {clients}.").format(name=name, clients=", ".join(using)),
            hint=_("Switch to another one first, or add --yes to go back to the clients' own accounts."),
        )
    if not (yes or dry_run):
        question = _("Remove profile '{name}' and its key? [y/N]").format(name=name)
        if using:
            text = _("Profile '{name}' is in use: {clients}.").format(name=name, clients=", ".join(using))
            _output.line(text + " " + _("They go back to their own accounts."))
        if not _output.agreed(question, as_json, _("Removing a profile needs --yes where nobody can be asked.")):
            return 1

    def act(world: World) -> list[Switched]:
        for folder in world.projects():
            if world.in_project(folder) == name:
                actions.unset_project(world, folder)
        switched = saved.remove(world, name)
        saved.relay_loses(world, name)
        return switched

    text = _("profile '{name}' is removed.").format(name=name)
    return _change("profile rm", name, act, text, dry_run, as_json)


def _change(command: str, what: str, act: Callable[[World], Any], text: str, dry: bool, as_json: bool) -> int:
    context = Context()
    switched, changes = context.run(f"{command} {what}", act, dry=dry)

    def show() -> None:
        _output.line(f"{_output.paint(_('done'), '32')}: {text}")
        for s in switched or ():
            _output.line(
                "  "
                + (
                    _("{client} uses profile '{name}'.").format(client=CLIENTS[s.client].title, name=s.profile)
                    if s.profile
                    else _("{client} uses its own account.").format(client=CLIENTS[s.client].title)
                )
            )

    active = {s.client: s.profile for s in switched or ()}
    return context.finish(command, {"active": active}, changes, as_json=as_json, dry=dry, check=False, show=show)
