"""``ccsetup key``: the keys of saved profiles."""

from __future__ import annotations

import os
import sys
from typing import Any, Optional

import typer

from ccsetup import keys, presets
from ccsetup.change import actions, saved
from ccsetup.change.actions import Switched
from ccsetup.change.merge import Request
from ccsetup.change.world import World
from ccsetup.cli import _options, _output, _parser
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS, Client
from ccsetup.errors import CcsetupError, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import Secret
from ccsetup.plan import Note
from ccsetup.profiles import Profile

HELP = _("Show, read, change and remove the keys of saved profiles.")

app = _parser.group(HELP)


@app.command(
    "list",
    cls=_parser.Command,
    help=_("Show for each profile what kind of key it has, its last four characters, and its use."),
)
def list_(as_json: bool = _options.JSON, lang: Optional[str] = _options.LANG) -> int:
    context = Context()
    world = context.world()
    families = presets.key_families()
    rows: list[dict[str, Any]] = []
    for profile in world.profiles.values():
        key, problem = _try(world, profile)
        text = key.reveal() if key else ""
        family = next((f.name for _id, f in families if text.startswith(f.prefix)), "") if text else ""
        rows.append(
            {
                "name": profile.name,
                "provider": profile.provider,
                "key_storage": profile.key_storage,
                "family": family,
                "last4": text[-4:] if len(text) >= 12 else "",
                "known": bool(key),
                "command": bool(profile.key_command),
                "problem": problem,
                "clients": [c for c in CLIENTS if world.active(c) == profile.name],
            }
        )
    if as_json:
        _output.print_json("key list", {"keys": rows}, context.notes)
    elif not rows:
        _output.line(_("No profile is saved yet. Make one with: ccsetup init -p PROVIDER -k KEY"))
    else:
        _output.line(
            _output.columns(
                [
                    [
                        printable(r["name"]),
                        r["family"] or r["provider"],
                        _shown(r),
                        r["key_storage"],
                        ", ".join(CLIENTS[c].title for c in r["clients"]),
                    ]
                    for r in rows
                ],
                indent="",
            )
        )
        _output.print_notes(Note("warning", r["problem"]) for r in rows if r["problem"])
    return 0


def _shown(row: dict[str, Any]) -> str:
    if row["last4"]:
        return "…" + str(row["last4"])
    return "***" if row["known"] else _("from a command") if row["command"] else _("no key")


def _try(world: World, profile: Profile) -> tuple[Optional[Secret], str]:
    if profile.key_command:
        return None, ""  # it is not run for a list: it may ask for a password
    try:
        return world.key(profile), ""
    except CcsetupError as e:
        return None, e.message


@app.command(
    "get",
    cls=_parser.Command,
    help=_("Print the key of a profile, for programs; not to a terminal unless --reveal is given."),
)
def get(
    name: str = _options.PROFILE,
    reveal: bool = typer.Option(False, "--reveal", help=_("Print it to a terminal too.")),
    lang: Optional[str] = _options.LANG,
) -> int:
    world = Context().world()
    profile = world.find(name)
    if sys.stdout.isatty() and not reveal:
        raise UsageError(
            _("The key is not printed to a terminal, where others may see it."), hint=_("Add --reveal to see it.")
        )
    key = world.key(profile)
    if key is None:
        raise CcsetupError(
            _("The key of profile '{name}' is in the variable {variable}, which is not set here.").format(
                name=name, variable=profile.key_env
            )
        )
    _output.reveal(key.reveal() + ("\n" if sys.stdout.isatty() else ""))
    return 0


@app.command(
    "set", cls=_parser.Command, help=_("Give a profile another key; it reaches every file that holds the old one.")
)
def set_(
    name: str = _options.PROFILE,
    key: Optional[str] = _options.KEY,
    key_file: Optional[str] = _options.KEY_FILE,
    key_env: Optional[str] = _options.KEY_VARIABLE,
    force_key: bool = _options.FORCE_KEY,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    return _change("key set", name, (key, key_file, key_env), force_key, as_json)


@app.command(
    "rotate",
    cls=_parser.Command,
    help=_("As set, and restart the Codex that runs in the background, which may keep the old key."),
)
def rotate(
    name: str = _options.PROFILE,
    key: Optional[str] = _options.KEY,
    key_file: Optional[str] = _options.KEY_FILE,
    key_env: Optional[str] = _options.KEY_VARIABLE,
    force_key: bool = _options.FORCE_KEY,
    restart: bool = typer.Option(False, "--restart-codex", help=_("Restart it without asking.")),
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    return _change("key rotate", name, (key, key_file, key_env), force_key, as_json, restart=True, now=restart)


def _change(
    command: str,
    name: str,
    given: tuple[Optional[str], Optional[str], Optional[str]],
    force_key: bool,
    as_json: bool,
    *,
    restart: bool = False,
    now: bool = False,
) -> int:
    context = Context()
    secret = keys.read(*given, os.environ, sys.stdin.buffer, context.inform)
    if secret is None:
        if not sys.stdin.isatty() or as_json:
            raise UsageError(
                _("The key is missing: give it with -k KEY, --api-key-file, --api-key-env or CCSETUP_API_KEY."),
                hint=_("-k - reads it from standard input, so that no other user of this machine can see it."),
            )
        import getpass

        try:
            text = getpass.getpass(_("New key for {name}: ").format(name=name))
            secret = keys.clean(text, _("the terminal"), context.inform)
        except EOFError:
            raise KeyboardInterrupt from None
    context.secrets.add(secret.reveal())
    found: list[Profile] = []

    def act(world: World) -> list[Switched]:
        found[:] = [world.find(name)]
        request = Request(name, "", "", {}, secret, "", "", frozenset(), "", force_key)
        return actions.init(world, [request])

    switched, changes = context.run(f"{command} {name}", act, dry=False)
    stale = found[0].parts if found and found[0].key_storage != "inline" else ()
    for client in (CLIENTS[c] for c in stale if CLIENTS[c].restart):
        if restart and (changes or context.keyring_changed):
            _restart(context, client, ask=not now and sys.stdin.isatty() and not as_json, now=now)

    def show() -> None:
        _output.done(bool(changes or context.keyring_changed), _("profile '{name}' has the new key.").format(name=name))
        _output.wrote(context.names(changes))

    return context.finish(
        command,
        {"profile": name, "active": {s.client: s.profile for s in switched}},
        changes,
        as_json=as_json,
        dry=False,
        check=False,
        show=show,
    )


def _restart(context: Context, client: Client, *, ask: bool, now: bool) -> None:
    """Restart the client's background process, which keeps the keys that it started with."""
    import subprocess

    if ask:
        answer = input(_("Restart the {client} that runs in the background? [Y/n] ").format(client=client.title))
        now = answer.strip().lower() in ("", "y", "yes")
    if not now:
        return
    try:
        done = subprocess.run(
            client.restart,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=30,
            check=False,
        )
        ok = done.returncode == 0
    except (OSError, subprocess.SubprocessError):
        ok = False
    text = (_("{client} was restarted.") if ok else _("{client} could not be restarted.")).format(client=client.title)
    context.notes.append(Note("info" if ok else "warning", text, "" if ok else " ".join(client.restart)))


@app.command(
    "rm",
    cls=_parser.Command,
    help=_("Remove a profile's key from everywhere; clients that use it go back to their own account."),
)
def rm(
    name: str = _options.PROFILE,
    yes: bool = _options.YES,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    profile = context.world().find(name)
    if not yes:
        question = _("Remove the key of '{name}'? [y/N]").format(name=name)
        if not _output.agreed(question, as_json, _("Removing a key needs --yes where nobody can be asked.")):
            return 1

    def act(world: World) -> list[Switched]:
        switched = saved.remove_key(world, profile.name)
        saved.relay_loses(world, profile.name)
        return switched

    switched, changes = context.run(f"key rm {name}", act, dry=False)

    def show() -> None:
        _output.done(bool(changes), _("profile '{name}' has no key any more.").format(name=name))
        for s in switched:
            _output.line("  " + _("{client} uses its own account.").format(client=CLIENTS[s.client].title))
        _output.line(_("The backups of undo still hold it; revoke the key at the provider if it leaked."))

    return context.finish(
        "key rm",
        {"profile": name, "active": {s.client: s.profile for s in switched}},
        changes,
        as_json=as_json,
        dry=False,
        check=False,
        show=show,
    )
