"""What ``init`` and the wizard share: the options of ``init``, as one value, and what is said when it is done."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import typer

from ccsetup.change.actions import Switched
from ccsetup.cli import _complete, _options, _output
from ccsetup.cli._context import Context, switched_text
from ccsetup.clients import CLIENTS
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.plan import FileChange
from ccsetup.tuples import NamedTuple


def _field(field: str, *names: str, **more: Any) -> Any:
    """Return an option that gives the member *field* of an entry, as ``--api-configs`` calls it."""
    option = typer.Option(None, *names, **more)
    option.entry_field = field
    return option


class InitOptions(NamedTuple):
    """The options of ``ccsetup init``."""

    skip_prompt: bool = _options.SILENT
    provider: Optional[str] = _field(
        "provider",
        *("-p", "--provider"),
        metavar="ID",
        autocompletion=_complete.providers,
        help=_("The provider: see ccsetup list --providers. 'custom' for any other."),
    )
    key: Optional[str] = _options.KEY
    key_file: Optional[str] = _options.KEY_FILE
    key_env: Optional[str] = _options.KEY_VARIABLE
    force_key: bool = _options.FORCE_KEY
    key_command: Optional[str] = typer.Option(
        None,
        "--api-key-command",
        metavar="CMD",
        help=_("Get the key from a command, such as 'op read …'; the command is saved, not the key."),
    )
    code_type: Optional[list[str]] = typer.Option(
        None,
        "-T",
        "--code-type",
        metavar="CLIENT",
        autocompletion=_complete.clients,
        help=_("claude-code (cc, the default), codex (cx) or all; repeatable."),
    )
    url: Optional[str] = _field("url", "-u", "--api-url", metavar="URL", help=_("Base URL, for the client of -T."))
    claude_url: Optional[str] = _field("claudeUrl", "--claude-url", metavar="URL", help=_("Base URL for Claude Code."))
    codex_url: Optional[str] = _field("codexUrl", "--codex-url", metavar="URL", help=_("Base URL for Codex."))
    api_type: Optional[str] = _field(
        "type",
        *("-t", "--api-type"),
        metavar="TYPE",
        autocompletion=_complete.ways,
        help=_("How Claude Code sends the key: auth_token or api_key."),
    )
    model: Optional[str] = _field(
        "primaryModel",
        *("-M", "--model", "--api-model"),
        metavar="ID",
        autocompletion=_complete.models,
        help=_("The model; other tiers follow it."),
    )
    fast_model: Optional[str] = _field(
        "fastModel",
        *("-F", "--fast-model"),
        metavar="ID",
        help=_("Claude Code's model for small tasks (same as -H)."),
    )
    haiku_model: Optional[str] = _field(
        "defaultHaikuModel",
        *("-H", "--haiku-model", "--api-haiku-model"),
        metavar="ID",
        help=_("Claude Code's haiku tier."),
    )
    sonnet_model: Optional[str] = _field(
        "defaultSonnetModel",
        *("-S", "--sonnet-model", "--api-sonnet-model"),
        metavar="ID",
        help=_("Claude Code's sonnet tier."),
    )
    opus_model: Optional[str] = _field(
        "defaultOpusModel",
        *("-O", "--opus-model", "--api-opus-model"),
        metavar="ID",
        help=_("Claude Code's opus tier."),
    )
    fable_model: Optional[str] = _field(
        "defaultFableModel", "--fable-model", metavar="ID", help=_("Claude Code's fable tier.")
    )
    subagent_model: Optional[str] = _field(
        "subagentModel", "--subagent-model", metavar="ID", help=_("Claude Code's model for subagents.")
    )
    context_window: Optional[int] = _field(
        "contextWindow",
        "--context-window",
        metavar="TOKENS",
        min=1000,
        help=_("The model's context window, where the preset does not know it."),
    )
    name: Optional[str] = _field(
        "name",
        *("-n", "--name"),
        metavar="NAME",
        help=_("Name of the profile; the provider's id when not given."),
    )
    region: Optional[str] = _field(
        "region",
        "--region",
        metavar="ID",
        autocompletion=_complete.regions,
        help=_("Site or plan of the provider: see ccsetup list --providers."),
    )
    api_configs: Optional[str] = typer.Option(
        None, "--api-configs", metavar="JSON", help=_("Several profiles as a JSON array.")
    )
    api_configs_file: Optional[str] = typer.Option(
        None,
        "--api-configs-file",
        metavar="PATH",
        help=_("Several profiles from a JSON or YAML file; - for standard input."),
    )
    key_storage: Optional[str] = typer.Option(
        None,
        "--key-storage",
        metavar="WHERE",
        autocompletion=_complete.storages,
        help=_(
            "inline: in the client's settings (default); command: in a file of ours that the client reads; "
            "keyring: in the system's keyring; env: in a variable of yours; dotenv: in Codex's .env."
        ),
    )
    storage_env: Optional[str] = typer.Option(
        None, "--key-env-name", metavar="NAME", help=_("The variable for --key-storage env and dotenv.")
    )
    provider_id: Optional[str] = _field(
        "providerId",
        "--provider-id",
        metavar="ID",
        help=_("Codex: the id of the provider; Codex files its history by it."),
    )
    settings: Optional[list[str]] = _field(
        "set",
        "--set",
        metavar="NAME=VALUE",
        help=_(
            "Codex: a setting of the profile, such as request_max_retries=4; and what no preset knows of the model: "
            "price_in, price_out, price_cache_read, currency, vision. Repeatable."
        ),
    )
    environment: Optional[list[str]] = _field(
        "env",
        "--env",
        metavar="NAME=VALUE",
        help=_("Claude Code: a variable of the profile, such as CLAUDE_CODE_MAX_OUTPUT_TOKENS=32000; repeatable."),
    )
    codex_version: Optional[str] = _options.CODEX_VERSION
    no_activate: bool = typer.Option(False, "--no-activate", help=_("Save the profile, but do not switch to it."))
    via_relay: bool = typer.Option(
        False, "--via-relay", help=_("Through the relay: for a provider whose format the client does not speak.")
    )
    no_start: bool = typer.Option(False, "--no-start", help=_("With --via-relay: do not start the relay."))
    project: bool = typer.Option(
        False, "--project", help=_("Use it in the current folder only: in .claude/settings.local.json.")
    )
    dry_run: bool = _options.DRY
    check: bool = _options.CHECK
    repair: bool = _options.REPAIR
    as_json: bool = _options.JSON
    verbose: bool = _options.VERBOSE
    lang: Optional[str] = _options.LANG

    @property
    def dry(self) -> bool:
        return self.dry_run or self.check

    def entry(self) -> dict[str, Any]:
        """Return what the options for one profile give, None too, by the names that ``--api-configs`` has for it."""
        given = {field: getattr(self, attribute) for field, attribute in _ATTRIBUTES.items()}
        return {**given, **{f: _pairs(f, given[f]) for f in ("set", "env") if given[f]}}


SECTIONS = (
    (_("First of all"), ("provider", "key", "code_type", "model", "skip_prompt")),
    (
        _("Provider and key"),
        (
            *("name", "region", "url", "claude_url", "codex_url", "api_type"),
            *("key_file", "key_env", "key_command", "force_key"),
        ),
    ),
    (
        _("Models"),
        (
            *("fast_model", "haiku_model", "sonnet_model", "opus_model", "fable_model", "subagent_model"),
            *("context_window", "settings", "environment"),
        ),
    ),
    (_("Several at once"), ("api_configs", "api_configs_file")),
    (_("Where the key is stored"), ("key_storage", "storage_env")),
    (
        _("What becomes of it"),
        ("no_activate", "project", "via_relay", "no_start", "provider_id", "codex_version", "repair"),
    ),
    (_("Output"), ("dry_run", "check", "as_json", "verbose", "lang")),
)
"""Where the help shows which option: those that matter most come first."""


def _pairs(field: str, words: Sequence[str]) -> dict[str, Any]:
    """Return what ``NAME=VALUE`` in *words* say; of ``set`` numbers and truth values are such."""
    out: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise UsageError(_("{option} takes NAME=VALUE.").format(option=f"--{field}"))
        out[name.strip()] = _plain(value) if field == "set" else value
    return out


def _plain(value: str) -> Any:
    whole, _dot, part = value.partition(".")
    if whole.isdecimal() and value.isascii() and len(value) < 19:  # what TOML can hold
        return float(value) if part.isdecimal() else int(value) if whole == value else value
    return {"true": True, "false": False}.get(value, value)


_FIELDS = {o.entry_field: (name, o) for name, o in InitOptions._field_defaults.items() if hasattr(o, "entry_field")}
_ORDER = sorted(_FIELDS, key=lambda field: field not in ("provider", "name", "region"))
"""Fields of an entry in the order in which people name them: what it is, then what is special about it."""
_ATTRIBUTES = {field: _FIELDS[field][0] for field in _ORDER}
OPTIONS: dict[str, str] = {field: _FIELDS[field][1].param_decls[0] for field in _ORDER}
"""The option of ``init`` for each field of an entry, the short one where there is one."""


def tell(
    context: Context,
    names: Sequence[str],
    switched: Sequence[Switched],
    changes: Sequence[FileChange],
    *,
    verbose: bool,
    hints: bool = True,
) -> None:
    """Say what was done to the profiles *names*, and with *hints* how to go on."""
    for s in switched:
        _output.done(bool(changes), switched_text(s.client, s.profile))
    idle = [n for n in names if n not in {s.profile for s in switched}]
    for name in idle:
        _output.done(bool(changes), _("profile '{name}' is saved.").format(name=name))
    if changes and verbose:
        _output.wrote(context.names(changes))
    if not (changes and hints):
        return
    active = {s.client for s in switched}
    if active:
        named = " / ".join(CLIENTS[c].program for c in CLIENTS if c in active)
        _output.line(_("Start {programs}; take this back with: ccsetup undo").format(programs=named))
    elif idle:
        _output.line(_("Use it with: ccsetup config-switch {name}").format(name=idle[0]))
