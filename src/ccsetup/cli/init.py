"""``ccsetup init``: save a profile and make a client use it."""

from __future__ import annotations

import os
import sys
from typing import Any, Optional

import typer

from ccsetup import bounded, keys, profiles
from ccsetup.change import actions, merge
from ccsetup.change.actions import Switched
from ccsetup.change.entries import Options
from ccsetup.change.entries import requests as as_requests
from ccsetup.change.world import World
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS, clients_named
from ccsetup.errors import Incomplete, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import CLIENT_NAMES, KEY_STORAGES
from ccsetup.plan import Note
from ccsetup.profiles import apiconfigs
from ccsetup.profiles.apiconfigs import Entry

HELP = _(
    "Save a provider as a profile and make Claude Code (or Codex, with -T codex) use it.\n\n"
    "At a terminal it asks for what is missing; with -p and -k nothing is asked. Run it again with a new key to "
    "change the key everywhere."
)
EPILOG = _("Example: ccsetup init -p glm -k KEY -T all")


def command(
    skip_prompt: bool = typer.Option(False, "-s", "--skip-prompt", help=_("Never ask anything.")),
    provider: Optional[str] = typer.Option(
        None, "-p", "--provider", metavar="ID", help=_("The provider: see ccsetup list. 'custom' for any other.")
    ),
    key: Optional[str] = _options.KEY,
    key_file: Optional[str] = _options.KEY_FILE,
    key_env: Optional[str] = _options.KEY_VARIABLE,
    key_command: Optional[str] = typer.Option(
        None,
        "--api-key-command",
        metavar="CMD",
        help=_("Get the key from a command, such as 'op read …'; the command is saved, not the key."),
    ),
    code_type: Optional[list[str]] = typer.Option(
        None,
        "-T",
        "--code-type",
        metavar="CLIENT",
        help=_("claude-code (cc, the default), codex (cx) or all; repeatable."),
    ),
    url: Optional[str] = typer.Option(
        None, "-u", "--api-url", metavar="URL", help=_("Base URL, for the client of -T.")
    ),
    claude_url: Optional[str] = typer.Option(None, "--claude-url", metavar="URL", help=_("Base URL for Claude Code.")),
    codex_url: Optional[str] = typer.Option(None, "--codex-url", metavar="URL", help=_("Base URL for Codex.")),
    api_type: Optional[str] = _options.API_TYPE,
    model: Optional[str] = typer.Option(
        None, "-M", "--model", "--api-model", metavar="ID", help=_("The model; other tiers follow it.")
    ),
    fast_model: Optional[str] = typer.Option(
        None, "-F", "--fast-model", metavar="ID", help=_("Claude Code's model for small tasks (same as -H).")
    ),
    haiku_model: Optional[str] = typer.Option(
        None, "-H", "--haiku-model", "--api-haiku-model", metavar="ID", help=_("Claude Code's haiku tier.")
    ),
    sonnet_model: Optional[str] = typer.Option(
        None, "-S", "--sonnet-model", "--api-sonnet-model", metavar="ID", help=_("Claude Code's sonnet tier.")
    ),
    opus_model: Optional[str] = typer.Option(
        None, "-O", "--opus-model", "--api-opus-model", metavar="ID", help=_("Claude Code's opus tier.")
    ),
    fable_model: Optional[str] = typer.Option(None, "--fable-model", metavar="ID", help=_("Claude Code's fable tier.")),
    subagent_model: Optional[str] = typer.Option(
        None, "--subagent-model", metavar="ID", help=_("Claude Code's model for subagents.")
    ),
    context_window: Optional[int] = typer.Option(
        None,
        "--context-window",
        metavar="TOKENS",
        min=1000,
        help=_("The model's context window, where the preset does not know it."),
    ),
    name: Optional[str] = typer.Option(
        None, "-n", "--name", metavar="NAME", help=_("Name of the profile; the provider's id when not given.")
    ),
    region: Optional[str] = typer.Option(
        None, "--region", metavar="ID", help=_("Site or plan of the provider: see ccsetup list.")
    ),
    api_configs: Optional[str] = typer.Option(
        None, "--api-configs", metavar="JSON", help=_("Several profiles as a JSON array.")
    ),
    api_configs_file: Optional[str] = typer.Option(
        None,
        "--api-configs-file",
        metavar="PATH",
        help=_("Several profiles from a JSON or YAML file; - for standard input."),
    ),
    key_storage: Optional[str] = typer.Option(
        None,
        "--key-storage",
        metavar="WHERE",
        help=_(
            "inline: in the client's settings (default); command: in a file of ours that the client reads; "
            "keyring: in the system's keyring; env: in a variable of yours; dotenv: in Codex's .env."
        ),
    ),
    storage_env: Optional[str] = typer.Option(
        None, "--key-env-name", metavar="NAME", help=_("The variable for --key-storage env and dotenv.")
    ),
    provider_id: Optional[str] = typer.Option(
        None, "--provider-id", metavar="ID", help=_("Codex: the id of the provider; Codex files its history by it.")
    ),
    codex_version: Optional[str] = _options.CODEX_VERSION,
    no_activate: bool = typer.Option(False, "--no-activate", help=_("Save the profile, but do not switch to it.")),
    via_relay: bool = typer.Option(
        False, "--via-relay", help=_("Through the relay: for a provider whose format the client does not speak.")
    ),
    no_start: bool = typer.Option(False, "--no-start", help=_("With --via-relay: do not start the relay.")),
    project: bool = typer.Option(
        False, "--project", help=_("Use it in the current folder only: in .claude/settings.local.json.")
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
    if key_storage is not None and key_storage not in KEY_STORAGES:
        raise UsageError(
            _("Invalid key storage '{value}'. Valid ones: {valid}").format(
                value=printable(key_storage), valid=", ".join(KEY_STORAGES)
            )
        )
    if api_configs is not None and api_configs_file is not None:
        raise UsageError(_("Cannot specify both --api-configs and --api-configs-file at the same time"))
    many = api_configs is not None or api_configs_file is not None
    if no_start and not via_relay:
        raise UsageError(_("{option} goes with {other}.").format(option="--no-start", other="--via-relay"))
    if via_relay and (many or project):
        other = "--project" if project else "--api-configs"
        raise UsageError(_("{options} exclude each other: give one of them.").format(options=f"--via-relay / {other}"))
    if many and key == "-" and api_configs_file == "-":
        raise UsageError(_("Standard input cannot be both the key (-k -) and the file (--api-configs-file -)."))
    secret = keys.read(key, key_file, key_env, os.environ, sys.stdin.buffer)
    if key_storage == "keyring":
        key_storage = _keyring_or_file(context)
    common = Options(secret, clients, key_storage or "", storage_env or "", key_command or "", not no_activate)
    single = {
        "-p": provider, "-n": name, "-u": url, "--claude-url": claude_url, "--codex-url": codex_url, "-t": api_type,
        "-M": model, "-F": fast_model, "-H": haiku_model, "-S": sonnet_model, "-O": opus_model,
        "--fable-model": fable_model, "--subagent-model": subagent_model, "--context-window": context_window,
        "--region": region, "--provider-id": provider_id,
    }  # fmt: skip
    for option, value in single.items():
        if isinstance(value, str) and not value.strip():  # a variable that a script forgot to set
            raise UsageError(_("{option} is given without a value.").format(option=option))
    if many:
        given = [o for o, v in single.items() if v is not None]
        if given:
            raise UsageError(
                _("{option} is for one profile: write it into the entries of --api-configs.").format(option=given[0])
            )
        entries = _entries(api_configs, api_configs_file)
    else:
        entries = [
            Entry(
                {
                    k: v
                    for k, v in {
                        "provider": provider,
                        "name": name,
                        "region": region,
                        "url": url,
                        "claudeUrl": claude_url,
                        "codexUrl": codex_url,
                        "type": api_type,
                        "primaryModel": model,
                        "fastModel": fast_model,
                        "defaultHaikuModel": haiku_model,
                        "defaultSonnetModel": sonnet_model,
                        "defaultOpusModel": opus_model,
                        "defaultFableModel": fable_model,
                        "subagentModel": subagent_model,
                        "contextWindow": context_window,
                        "providerId": provider_id,
                    }.items()
                    if v
                },
                "",
            )
        ]

    asks = not (skip_prompt or as_json or many or project) and _asks(context, entries, common, via_relay=via_relay)
    if via_relay and not asks:
        from ccsetup.cli.relay import _via

        wanted = _via.Wanted(
            dry=dry_run or check,
            check=check,
            as_json=as_json,
            start=not no_start,
            activate=not no_activate,
            repair=repair,
        )
        return _via.run(context, entries, common, wanted)

    folder = ""
    if project:
        from ccsetup.cli import _project

        folder = _project.check(context)
    if asks:
        from ccsetup.cli import wizard

        if via_relay:
            from ccsetup.cli.relay import _base

            _base.need_extra()
        extra = wizard.Extra(
            dry=dry_run or check,
            check=check,
            verbose=verbose,
            codex_version=codex_version or "",
            start=not no_start,
        )
        return wizard.run(context, entries[0].fields, common, repair=repair, extra=extra, via_relay=via_relay)

    names: list[str] = []
    here: list[str] = []

    def act(world: World) -> list[Switched]:
        requests = as_requests(world, entries, common)
        names[:] = [r.name for r in requests]
        context.secrets.update(r.key.reveal() for r in requests if r.key)
        if not folder:
            return actions.init(world, requests, repair=repair)
        switched = actions.init(world, [r._replace(activate=frozenset()) for r in requests], repair=repair)
        for request in requests:
            if request.activate and _project.use(world, request.name, sorted(request.activate), folder, repair=repair):
                here.append(request.name)
        return switched

    dry = dry_run or check
    switched, changes = context.run("init", act, dry=dry)
    if not dry:
        from ccsetup.cli import _worktree

        context.notes.extend(_worktree.notes(context, changes))

    def outcome() -> None:
        if folder:
            mark = _output.paint(_("done"), "32") if changes else _("unchanged")
            for name in here:
                _output.line(f"{mark}: " + _project.text(context, name, folder))
            if here == names:
                return
        show(context, [n for n in names if n not in here], switched, bool(changes), verbose, context.names(changes))

    return context.finish(
        "init",
        {
            "profiles": names,
            "active": {s.client: s.profile for s in switched},
            **({"project": folder} if folder else {}),
        },
        changes,
        as_json=as_json,
        dry=dry,
        check=check,
        show=outcome,
    )


def _asks(context: Context, entries: list[Entry], common: Options, *, via_relay: bool) -> bool:
    """Tell whether something is missing, and there is a person at a terminal who can be asked for it."""
    if not all(s is not None and s.isatty() for s in (sys.stdin, sys.stdout)):
        return False
    world = context.world()
    try:
        for request in as_requests(world, entries, common):
            profile = merge.merge(world, request)
            preset = world.load_preset(profile.provider)
            for client in profile.parts if not via_relay else ():
                (profiles.claude_endpoint if client == "claude-code" else profiles.codex_endpoint)(profile, preset)
    except Incomplete:
        return True
    return False


def _keyring_or_file(context: Context) -> str:
    """Return ``keyring``, or where there is none ``command``, and say so."""
    from ccsetup.keys import keychain

    problem = keychain.problem()
    if not problem:
        return "keyring"
    context.notes.append(
        Note(
            "warning",
            _("The keyring cannot be used: {reason}.").format(reason=problem),
            _("The key goes into a file that only you can read (--key-storage command)."),
        )
    )
    return "command"


_MOST = 1 << 20
"""Bytes of a file for --api-configs-file."""


def _entries(text: Optional[str], file: Optional[str]) -> list[Entry]:
    if text is not None:
        return apiconfigs.parse(text, "--api-configs")
    assert file is not None
    name = _("standard input") if file == "-" else file
    try:
        data = bounded.stream(sys.stdin.buffer, _MOST, name) if file == "-" else bounded.given(file, _MOST)
        return apiconfigs.parse(data.decode("utf-8-sig"), name)
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(
            _("Failed to read API configs file: {file}: {reason}").format(
                file=file, reason=getattr(e, "strerror", None) or _("it is not UTF-8 text")
            )
        ) from None


def show(
    context: Context,
    names: list[str],
    switched: list[Switched],
    changed: bool,
    verbose: bool,
    files: list[str],
    *,
    hints: bool = True,
) -> None:
    """Tell what was done, and with *hints* how to go on."""
    mark = _output.paint(_("done"), "32") if changed else _("unchanged")
    active = {s.client for s in switched}
    for s in switched:
        _output.line(
            f"{mark}: " + _("{client} uses profile '{name}'.").format(client=CLIENTS[s.client].TITLE, name=s.profile)
        )
    idle = [n for n in names if n not in {s.profile for s in switched}]
    for name in idle:
        _output.line(f"{mark}: " + _("profile '{name}' is saved.").format(name=name))
    if changed:
        if verbose:
            for file in files:
                _output.line("  " + _("wrote {file}").format(file=file))
        if not hints:
            return
        programs = {"claude-code": "claude", "codex": "codex"}
        if active:
            _output.line(
                _("Start {programs}; take this back with: ccsetup undo").format(
                    programs=" / ".join(programs[c] for c in CLIENT_NAMES if c in active)
                )
            )
        elif idle:
            _output.line(_("Use it with: ccsetup config-switch {name}").format(name=idle[0]))


__all__: list[Any] = ["EPILOG", "HELP", "command"]
