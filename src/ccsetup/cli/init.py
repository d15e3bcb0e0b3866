"""``ccsetup init``: save a profile and make a client use it."""

from __future__ import annotations

import os
import sys
from typing import Any, Optional

import typer

from ccsetup import actions, apiconfigs, keys, profiles
from ccsetup.actions import Request, Switched, World
from ccsetup.apiconfigs import Entry
from ccsetup.cli import _output
from ccsetup.cli._context import Context, parse_clients
from ccsetup.clients import CLIENTS
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.model import CLIENT_NAMES, ClientName, Preset, Secret
from ccsetup.plan import Note
from ccsetup.profiles import Part

HELP = _(
    "Save a provider as a profile and make Claude Code (or Codex, with -T codex) use it.\n\n"
    "With -p and -k nothing is asked. Run it again with a new key to change the key everywhere."
)
EPILOG = _("Example: ccsetup init -p glm -k KEY -T all")

STORAGES = ("inline", "env", "dotenv", "command")


def command(
    skip_prompt: bool = typer.Option(False, "-s", "--skip-prompt", help=_("Never ask anything.")),
    provider: Optional[str] = typer.Option(
        None, "-p", "--provider", metavar="ID", help=_("The provider: see ccsetup list. 'custom' for any other.")
    ),
    key: Optional[str] = typer.Option(
        None, "-k", "--api-key", metavar="KEY", help=_("The key; - reads it from standard input.")
    ),
    key_file: Optional[str] = typer.Option(None, "--api-key-file", metavar="PATH", help=_("Read the key from a file.")),
    key_env: Optional[str] = typer.Option(
        None, "--api-key-env", metavar="NAME", help=_("Read the key from a variable; also CCSETUP_API_KEY.")
    ),
    code_type: Optional[list[str]] = typer.Option(
        None, "-T", "--code-type", metavar="CLIENT", help=_("claude-code (cc, the default), codex (cx) or all; repeatable.")
    ),
    url: Optional[str] = typer.Option(None, "-u", "--api-url", metavar="URL", help=_("Base URL, for the client of -T.")),
    claude_url: Optional[str] = typer.Option(None, "--claude-url", metavar="URL", help=_("Base URL for Claude Code.")),
    codex_url: Optional[str] = typer.Option(None, "--codex-url", metavar="URL", help=_("Base URL for Codex.")),
    api_type: Optional[str] = typer.Option(
        None, "-t", "--api-type", metavar="TYPE", help=_("How Claude Code sends the key: auth_token or api_key.")
    ),
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
        None, "--context-window", metavar="TOKENS", min=1000, help=_("The model's context window, where the preset does not know it.")
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
        None, "--api-configs-file", metavar="PATH", help=_("Several profiles from a JSON or YAML file; - for standard input.")
    ),
    key_storage: Optional[str] = typer.Option(
        None,
        "--key-storage",
        metavar="WHERE",
        help=_("inline: in the client's settings (default); command: in a file of ours that the client reads; "
               "env: in a variable of yours; dotenv: in Codex's .env."),
    ),
    storage_env: Optional[str] = typer.Option(
        None, "--key-env-name", metavar="NAME", help=_("The variable for --key-storage env and dotenv.")
    ),
    provider_id: Optional[str] = typer.Option(
        None, "--provider-id", metavar="ID", help=_("Codex: the id of the provider; Codex files its history by it.")
    ),
    codex_version: Optional[str] = typer.Option(
        None, "--codex-version", metavar="VERSION", help=_("Write for this version of Codex, not the installed one.")
    ),
    no_activate: bool = typer.Option(False, "--no-activate", help=_("Save the profile, but do not switch to it.")),
    dry_run: bool = typer.Option(False, "--dry-run", help=_("Show what would change, with keys masked; write nothing.")),
    check: bool = typer.Option(False, "--check", help=_("As --dry-run, and exit 4 when something would change.")),
    repair: bool = typer.Option(
        False, "--repair", help=_("Take comments out of settings.json, which Claude Code does not accept.")
    ),
    as_json: bool = typer.Option(False, "--json", help=_("Print one JSON object.")),
    verbose: bool = typer.Option(False, "-v", "--verbose", help=_("Say more.")),
    lang: Optional[str] = typer.Option(None, "--lang", metavar="LANG", help=_("Language of all texts: en or zh-CN.")),
) -> int:
    context = Context(codex_version=codex_version or "")
    clients = parse_clients(code_type)
    if key_storage is not None and key_storage not in STORAGES:
        raise UsageError(
            _("Invalid key storage '{value}'. Valid ones: {valid}").format(
                value=profiles.printable(key_storage), valid=", ".join(STORAGES)
            )
        )
    if api_configs is not None and api_configs_file is not None:
        raise UsageError(_("Cannot specify both --api-configs and --api-configs-file at the same time"))
    many = api_configs is not None or api_configs_file is not None
    if many and key == "-" and api_configs_file == "-":
        raise UsageError(_("Standard input cannot be both the key (-k -) and the file (--api-configs-file -)."))
    secret = keys.read(key, key_file, key_env, os.environ, sys.stdin.buffer)
    common = Options(secret, clients, key_storage or "", storage_env or "", not no_activate)
    if many:
        single = {
            "-p": provider, "-n": name, "-u": url, "--claude-url": claude_url, "--codex-url": codex_url, "-t": api_type,
            "-M": model, "-F": fast_model, "--region": region, "--provider-id": provider_id,
        }  # fmt: skip
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

    def act(world: World) -> list[Switched]:
        requests = _requests(context, world, entries, common, many=many)
        return actions.init(world, requests, repair=repair)

    dry = dry_run or check
    switched, changes = context.run("init", act, dry=dry)
    names = [n for n in dict.fromkeys(context.profile_names)]
    if not dry:
        from ccsetup.cli import _worktree

        context.notes.extend(_worktree.notes(context, changes))

    def show() -> None:
        _show(context, names, switched, bool(changes), verbose, [context.paths.short(c.path) for c in changes])

    return context.finish(
        "init",
        {"profiles": names, "active": {s.client: s.profile for s in switched}},
        changes,
        as_json=as_json,
        dry=dry,
        check=check,
        show=show,
    )


class Options:
    """What one command line says for all entries."""

    def __init__(
        self, secret: Optional[Secret], clients: list[ClientName], storage: str, storage_env: str, activate: bool
    ) -> None:
        self.secret = secret
        self.clients = clients
        self.storage = storage
        self.storage_env = storage_env
        self.activate = activate


def _entries(text: Optional[str], file: Optional[str]) -> list[Entry]:
    if text is not None:
        return apiconfigs.parse(text, "--api-configs")
    assert file is not None
    if file == "-":
        return apiconfigs.parse(sys.stdin.buffer.read(1 << 20).decode("utf-8", "replace"), _("standard input"))
    try:
        with open(os.path.expanduser(file), encoding="utf-8-sig") as f:
            return apiconfigs.parse(f.read(1 << 20), file)
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(
            _("Failed to read API configs file: {file}: {reason}").format(
                file=file, reason=getattr(e, "strerror", None) or _("it is not UTF-8 text")
            )
        ) from None


def _requests(
    context: Context, world: World, entries: list[Entry], common: Options, *, many: bool
) -> list[Request]:
    """Return what the entries ask for; every one is checked before the first is carried out."""
    out: list[Request] = []
    defaults: dict[ClientName, str] = {}
    per_client: dict[ClientName, list[str]] = {c: [] for c in CLIENT_NAMES}
    seen: set[str] = set()
    context.profile_names = []
    for entry in entries:
        request = _request(context, world, entry, common)
        if request.name in seen:
            raise UsageError(_("{place}: Duplicate config name: {name}").format(place=entry.place, name=request.name))
        seen.add(request.name)
        context.profile_names.append(request.name)
        for client in request.parts or ():
            per_client[client].append(request.name)
            if entry.fields.get("default"):
                if client in defaults:
                    raise UsageError(
                        _("{place}: '{one}' and '{other}' are both the default for {client}.").format(
                            place=entry.place, one=defaults[client], other=request.name, client=CLIENTS[client].TITLE
                        )
                    )
                defaults[client] = request.name
        out.append(request)
    if not common.activate:
        return [r._replace(activate=frozenset()) for r in out]
    for client, names in per_client.items():
        if len(names) == 1:
            defaults.setdefault(client, names[0])
        elif len(names) > 1 and client not in defaults:
            world.notes.append(
                Note(
                    "info",
                    _("No entry is the default for {client}: it was not switched.").format(client=CLIENTS[client].TITLE),
                    _("Choose one with: ccsetup config-switch {name} -T {client}").format(name=names[0], client=client),
                )
            )
    return [r._replace(activate=frozenset(c for c in r.parts if defaults.get(c) == r.name)) for r in out]


def _request(context: Context, world: World, entry: Entry, common: Options) -> Request:
    where = entry.place + ": " if entry.place else ""
    try:
        return _checked(context, world, entry, common)
    except UsageError as e:
        if not where or e.message.startswith(where):
            raise
        raise UsageError(where + e.message, hint=e.hint) from None


def _checked(context: Context, world: World, entry: Entry, common: Options) -> Request:
    provider, name = entry.text("provider"), entry.text("name")
    if not provider and (entry.text("type") or entry.text("url") or entry.text("claudeUrl") or entry.text("codexUrl")):
        saved = world.profiles.get(name)
        if saved is None:
            provider = "custom"
    key = common.secret
    sources = [f for f in ("key", "keyEnv", "keyFile") if entry.fields.get(f)]
    if len(sources) > 1:
        raise UsageError(_("'{one}' and '{other}' both name a key: give one of them.").format(one=sources[0], other=sources[1]))
    if sources == ["key"]:
        key = keys.clean(entry.text("key"), "key")
    elif sources == ["keyEnv"]:
        key = keys.from_variable(entry.text("keyEnv"), "keyEnv", os.environ)
    elif sources == ["keyFile"]:
        key = keys.from_file(entry.text("keyFile"), "keyFile")
    if not provider:
        if not name:
            raise UsageError(
                _("Nothing says which provider to set up: -p PROVIDER and -k KEY are missing."),
                hint=_("For example: ccsetup init -p glm -k KEY (providers: ccsetup list)"),
            )
        existing = world.find(name)
        preset = context.preset(existing.provider)
        region = entry.text("region") or existing.region
        clients = common.clients
        storage = common.storage or existing.key_storage
    else:
        preset = context.preset(provider)
        region = entry.text("region")
        name = name or preset.id
        clients = common.clients or ["claude-code"]
        old = world.profiles.get(name)
        storage = common.storage or entry.text("keyStorage") or (old.key_storage if old else "inline")
    if entry.fields.get("codeType"):
        clients = parse_clients(entry.fields["codeType"])
    if storage not in STORAGES:
        raise UsageError(
            _("Invalid key storage '{value}'. Valid ones: {valid}").format(
                value=profiles.printable(storage), valid=", ".join(STORAGES)
            )
        )
    profiles.check_name(name)
    if entry.text("type") not in ("", "auth_token", "api_key"):
        raise UsageError(
            _("Invalid auth type '{type}'. Valid types: auth_token, api_key").format(
                type=profiles.printable(entry.text("type"))
            )
        )
    if key is None and storage != "env" and not preset.key_required and preset.default_key:
        key = Secret(preset.default_key)
    if key is None and storage != "env" and not (name in world.profiles and _has_key(world, name)):
        raise UsageError(
            _('Config "{name}" requires API key').format(name=name)
            if entry.place
            else _("The key is missing: give it with -k KEY, --api-key-file, --api-key-env or CCSETUP_API_KEY."),
            hint=_("-k - reads it from standard input, so that no other user of this machine can see it."),
        )
    if key is not None:
        context.secrets.add(key.reveal())
        region = _region_for_key(world, preset, region, key)
    parts = {c: _part(entry, c, len(clients) > 1) for c in clients}
    return Request(name, provider, region, parts, key, storage, common.storage_env, frozenset(clients))


def _has_key(world: World, name: str) -> bool:
    return world.profiles[name].key_storage != "env" and bool(world.draft.text(world.paths.key_file(name)).strip())


def _region_for_key(world: World, preset: Preset, region: str, key: Secret) -> str:
    """Return the region, chosen by the key's family where the user chose none; tell what does not fit."""
    found = keys.family(key, preset)
    if found is None:
        return region
    if found.provider and found.provider != preset.id:
        world.notes.append(
            Note(
                "warning",
                _("This looks like a key of {family}, not of {provider}.").format(
                    family=found.name, provider=preset.name
                ),
                _("If so, use: -p {provider}").format(provider=found.provider),
            )
        )
    elif found.region and not region and found.region != preset.regions[0].id:
        world.notes.append(
            Note(
                "info",
                _("The key is one of {family}: region {region} was chosen.").format(
                    family=found.name, region=found.region
                ),
            )
        )
        return found.region
    elif found.region and region and found.region != region:
        world.notes.append(
            Note(
                "warning",
                _("The key is one of {family}, which works in region {region} only.").format(
                    family=found.name, region=found.region
                ),
                _("If the provider refuses it, use: --region {region}").format(region=found.region),
            )
        )
    return region


def _part(entry: Entry, client: ClientName, several: bool) -> Part:
    specific = entry.text("claudeUrl" if client == "claude-code" else "codexUrl")
    url = specific or entry.text("url")
    if url:
        profiles.check_url(url, "--claude-url" if specific and client == "claude-code" else "--codex-url" if specific else "-u")
        url = profiles.claude_url(url) if client == "claude-code" else profiles.codex_url(url)
    context = entry.fields.get("contextWindow", 0)
    if client == "codex":
        return Part(
            url=url,
            primary_model=entry.text("primaryModel"),
            context_window=context,
            provider_id=entry.text("providerId"),
        )
    return Part(
        url=url,
        auth=entry.text("type"),
        primary_model=entry.text("primaryModel"),
        haiku_model=entry.text("defaultHaikuModel") or entry.text("fastModel"),
        sonnet_model=entry.text("defaultSonnetModel"),
        opus_model=entry.text("defaultOpusModel"),
        fable_model=entry.text("defaultFableModel"),
        subagent_model=entry.text("subagentModel"),
        context_window=context,
    )


def _show(
    context: Context, names: list[str], switched: list[Switched], changed: bool, verbose: bool, files: list[str]
) -> None:
    mark = _output.paint(_("done"), "32") if changed else _("unchanged")
    active = {s.client for s in switched}
    for s in switched:
        _output.line(f"{mark}: " + _("{client} uses profile '{name}'.").format(client=CLIENTS[s.client].TITLE, name=s.profile))
    idle = [n for n in names if n not in {s.profile for s in switched}]
    for name in idle:
        _output.line(f"{mark}: " + _("profile '{name}' is saved.").format(name=name))
    if changed:
        if verbose:
            for file in files:
                _output.line("  " + _("wrote {file}").format(file=file))
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
