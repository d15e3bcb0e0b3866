"""``ccsetup init``: save a profile and make a client use it."""

from __future__ import annotations

import os
import sys
from typing import Any

from ccsetup import bounded, keys, profiles
from ccsetup.change import actions, merge
from ccsetup.change.actions import Switched
from ccsetup.change.entries import Options
from ccsetup.change.entries import requests as as_requests
from ccsetup.change.world import World
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.cli._init import OPTIONS, SECTIONS, InitOptions, tell  # noqa: F401 (SECTIONS is read by the command tree)
from ccsetup.clients import CLIENTS, clients_named
from ccsetup.errors import CcsetupError, Incomplete, UsageError
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.profiles import apiconfigs
from ccsetup.profiles.apiconfigs import Entry

HELP = _(
    "Save a provider as a profile and make Claude Code (or Codex, with -T codex) use it.\n\n"
    "At a terminal it asks for what is missing; with -p and -k nothing is asked. Run it again with a new key to "
    "change the key everywhere."
)
EPILOG = _("Example: ccsetup init -p glm -k KEY -T all")


@_options.gathered(InitOptions)
def command(given: InitOptions) -> int:
    context = Context(codex_version=given.codex_version or "")
    clients = clients_named(given.code_type)
    many = given.api_configs is not None or given.api_configs_file is not None
    _check(given, many)
    secret = keys.read(given.key, given.key_file, given.key_env, os.environ, sys.stdin.buffer, context.inform)
    storage = _keyring_or_file(context, given) if given.key_storage == "keyring" else given.key_storage or ""
    variable = given.storage_env or (given.key_env if storage == "env" else "") or ""
    common = Options(
        secret, clients, storage, variable, given.key_command or "", not given.no_activate, given.force_key
    )
    entries = _entries(given, many)
    asks = not (given.skip_prompt or given.as_json or many or given.project) and _asks(
        context, entries, common, via_relay=given.via_relay
    )
    if given.via_relay and not asks:
        from ccsetup.cli.relay import _via

        return _via.run(context, entries, common, given)
    if asks:
        from ccsetup.cli import wizard

        if given.via_relay:
            from ccsetup.cli.relay import _base

            _base.need_extra()
        return wizard.run(context, entries[0].fields, common, given)
    return _carry_out(context, entries, common, given)


def _check(given: InitOptions, many: bool) -> None:
    """Raise UsageError where the options do not go together, or one has no value."""
    if given.key_storage is not None:
        profiles.check_storage(given.key_storage)
    if given.api_configs is not None and given.api_configs_file is not None:
        raise UsageError(_("Cannot specify both --api-configs and --api-configs-file at the same time"))
    if given.no_start and not given.via_relay:
        raise UsageError(_("{option} goes with {other}.").format(option="--no-start", other="--via-relay"))
    if given.via_relay and (many or given.project):
        other = "--project" if given.project else "--api-configs"
        raise UsageError(_("{options} exclude each other: give one of them.").format(options=f"--via-relay / {other}"))
    if given.key == "-" and given.api_configs_file == "-":
        raise UsageError(_("Standard input cannot be both the key (-k -) and the file (--api-configs-file -)."))
    single = {OPTIONS[field]: value for field, value in given.entry().items() if value is not None}
    for option, value in single.items():
        if isinstance(value, str) and not value.strip():  # a variable that a script forgot to set
            raise UsageError(_("{option} is given without a value.").format(option=option))
    if many and single:
        raise UsageError(
            _("{option} is for one profile: write it into the entries of --api-configs.").format(
                option=next(iter(single))
            )
        )


def _carry_out(context: Context, entries: list[Entry], common: Options, given: InitOptions) -> int:
    """Save the profiles, make the clients or the project use them, and print the outcome."""
    folder = ""
    if given.project:
        from ccsetup.cli import _project

        folder = _project.check(context)
    names: list[str] = []
    here: list[str] = []

    def act(world: World) -> list[Switched]:
        requests = as_requests(world, entries, common)
        names[:], here[:] = [r.name for r in requests], []
        context.secrets.update(r.key.reveal() for r in requests if r.key)
        if not folder:
            return actions.init(world, requests, repair=given.repair)
        new = [r._replace(activate=frozenset()) for r in requests if _project.saves(world, r)]
        switched = actions.init(world, new, repair=given.repair)
        for r in requests:
            wanted = sorted(r.activate or (() if r.parts or not common.activate else world.profiles[r.name].parts))
            if wanted and _project.use(world, r.name, wanted, folder, repair=given.repair):
                here.append(r.name)
        return switched

    switched, changes = context.run("init", act, dry=given.dry)
    if not given.dry:
        from ccsetup.cli import _worktree

        context.notes.extend(_worktree.notes(context, changes))

    def show() -> None:
        for name in here:
            _output.done(bool(changes), _project.text(context, name, folder))
        if not here or here != names:
            tell(context, [n for n in names if n not in here], switched, changes, verbose=given.verbose)

    result: dict[str, Any] = {"profiles": names, "active": {s.client: s.profile for s in switched}}
    if folder:
        result["project"] = folder
    return context.finish("init", result, changes, as_json=given.as_json, dry=given.dry, check=given.check, show=show)


def _asks(context: Context, entries: list[Entry], common: Options, *, via_relay: bool) -> bool:
    """Tell whether something is missing, and there is a person at a terminal who can be asked for it."""
    if not _output.interactive():
        return False
    world = context.world()
    try:
        for request in as_requests(world, entries, common):
            profile = merge.merge(world, request)
            preset = world.load_preset(profile.provider)
            for client, part in profile.parts.items() if not via_relay else ():
                CLIENTS[client].endpoint(profile, preset)
                if preset.id == "custom" and not part.primary_model:
                    return True  # without one a client asks for its own models: right for some endpoints only
    except Incomplete:
        return True
    return False


def _keyring_or_file(context: Context, given: InitOptions) -> str:
    """Return ``keyring``, or where there is none ``command``, and say so; CcsetupError where nobody would see that."""
    from ccsetup.keys import keychain

    problem = keychain.problem()
    if not problem:
        return "keyring"
    if given.skip_prompt:
        raise CcsetupError(
            _("The keyring cannot be used: {reason}.").format(reason=problem),
            hint=_("Use a file that only you can read: --key-storage command"),
        )
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


def _entries(given: InitOptions, many: bool) -> list[Entry]:
    if not many:
        return [Entry({field: value for field, value in given.entry().items() if value}, "")]
    if given.api_configs is not None:
        return apiconfigs.parse(given.api_configs, "--api-configs")
    file = given.api_configs_file
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
