"""Facts about Codex, each once: names, ids, versions that differ, and the shapes of the values in config.toml.

Observed on loopback with 0.63.0 to 0.171.0; the shapes by giving every key each kind of value, in 0.133.0, 0.160.0 and
0.171.0, and asking ``codex features list`` whether it loads.
"""

from __future__ import annotations

import os
from typing import Any, Iterator, Mapping

from ccsetup.clients import releases
from ccsetup.clients.values import version
from ccsetup.documents.edit import KeyPath
from ccsetup.model import Version
from ccsetup.tuples import NamedTuple

NEWEST = version(releases.CODEX[0])

CHAT_REMOVED: Version = (0, 95, 0)
CATALOG: Version = (0, 105, 0)
RESERVED_FATAL: Version = (0, 116, 0)
AUTH_COMMAND: Version = (0, 118, 0)
PROFILE_FILES: Version = (0, 134, 0)
AGENTS_TABLE: Version = (0, 145, 0)
IGNORED_TOLD: Version = (0, 156, 0)
TUI_SERVER: Version = (0, 157, 0)
MAX_EFFORT: Version = (0, 160, 0)
"""0.133.0 does not start with an effort ``max`` in a catalogue; 0.160.0 does.  Between them: not tried."""
COMPRESSED: Version = (0, 171, 0)
"""It asks for compressed answers, and reads them; 0.169.0 reads none."""
GCP: Version = (0, 171, 0)
"""gcp is an id of Codex' own; with 0.160.0 it is not.  Between them: not tried."""

RESERVED_IDS = frozenset(("openai", "ollama", "lmstudio"))
"""Ids of Codex' own.  A table of that name stops it."""
RETIRED_IDS = frozenset(("oss", "ollama-chat"))
"""Ids of older releases: selecting one stops it, unless there is a table of that name."""
_OWN_KEYS: Mapping[str, frozenset[str]] = {
    "amazon-bedrock": frozenset(("aws",)),
    "amazon-bedrock-runtime": frozenset(("aws", "auth", "base_url", "http_headers")),
    "gcp": frozenset(("auth", "base_url", "http_headers", "project_id", "location", "credential_file")),
}
PROVIDER_ID = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z"
SHARED_ID = "ccsetup"
"""The provider that is in use, whichever profile it is of."""
TAKEN_IDS = RESERVED_IDS | RETIRED_IDS | frozenset(_OWN_KEYS)
"""Ids that no provider of ours gets."""


def own_keys(id_: str, version: Version) -> frozenset[str]:
    """Return what a table of provider *id_* may hold where Codex has that provider itself; empty for any other."""
    if (id_ == "gcp" and version < GCP) or (id_ == "amazon-bedrock-runtime" and version < MAX_EFFORT):
        return frozenset()
    if id_ == "amazon-bedrock" and version >= MAX_EFFORT:
        id_ = "amazon-bedrock-runtime"
    return _OWN_KEYS.get(id_, frozenset())


def is_built_in(id_: str, version: Version) -> bool:
    """Tell whether Codex knows provider *id_* without a table."""
    return id_ in RESERVED_IDS or bool(own_keys(id_, version))


SETTABLE = (
    *("request_max_retries", "stream_max_retries", "stream_idle_timeout_ms", "websocket_connect_timeout_ms"),
    "supports_websockets",
)
"""Members of a provider's table that a profile can set: they lead nowhere and hold no secret."""
SETTABLE_TOP = (
    "model_reasoning_effort",
    "model_reasoning_summary",
    "model_verbosity",
    "model_auto_compact_token_limit",
)
"""Settings at the top that a profile can set."""

CREDENTIAL_KEYS = ("env_key", "experimental_bearer_token", "auth")
BESIDE_AUTH = ("env_key", "experimental_bearer_token", "requires_openai_auth", "aws")
"""What stops Codex beside ``auth`` in a provider's table, even when it is empty text."""
RIDERS = ("http_headers", "env_http_headers", "query_params", "requires_openai_auth")
"""What a user may add to a provider's table that is sent along: it was meant for the address beside it."""

ADMINISTRATORS = ("config.toml", "managed_config.toml")
"""The administrator's files in /etc/codex, the weaker one first."""
CREDENTIAL_HEADERS = ("authorization", "api-key", "x-api-key")
OWN_ADDRESSES = ("openai_base_url", "chatgpt_base_url")
"""Keys that move Codex' own provider: its requests, and what else it asks ChatGPT for.  Its login goes with both."""
OWN_MODELS = r"(?:openai/)?(?:gpt-|o\d|codex|chatgpt|computer-use|ft:)"
"""How ids of OpenAI's models begin."""
OWN_MODEL = "gpt-6.2-sol"
"""What 0.171.0 asks its own provider for where no model is set."""

POINTERS = ("model_catalog_json", "model_instructions_file", "experimental_compact_prompt_file")
"""Keys of config.toml that name a file, from its folder on, without which Codex does not start."""

AUTH_JSON = frozenset(("OPENAI_API_KEY", "auth_mode", "tokens", "last_refresh", "agent_identity"))
"""What Codex reads in auth.json."""

PROJECT_KEYS = ("model", "model_reasoning_effort", "web_search", "model_context_window", "model_catalog_json")
"""What a project's file may set; ``model_provider`` and the tables of providers are not among them."""

OLD_PROFILE_KEYS = frozenset(
    (
        ("model",),
        ("model_provider",),
        ("model_reasoning_effort",),
        ("model_catalog_json",),
        ("web_search",),
        ("features", "multi_agent"),
    )
)
"""What ``[profiles.NAME]`` takes (observed with 0.133.0, where the last two leave out what the provider refuses)."""

IGNORED = (
    "model_max_output_tokens",
    "max_output_tokens",
    "temperature",
    "model_temperature",
    "disable_response_storage",
    "network_access",
    "windows_wsl_setup_acknowledged",
    "preferred_auth_method",
    "model_supports_reasoning_summaries",
    "experimental_instructions_file",
    "model_family",
    "model_params",
    "http",
    "default_profile",
)
"""Top-level keys of older releases, or of none, that are ignored with a warning."""
IGNORED_IN_PROVIDER = ("model", "key", "api_key", "temperature", "models", "max_tokens")


# The shapes of values: kinds, and after "=" what a text may say; then the keys.  Any other key may hold anything.

_PROFILE = """
text: model model_provider model_catalog_json model_instructions_file experimental_compact_prompt_file
  chatgpt_base_url oss_provider service_tier
word: model_reasoning_effort plan_mode_reasoning_effort
=auto concise detailed none: model_reasoning_summary
=low medium high: model_verbosity tools.web_search.context_size
=disabled cached indexed live: web_search
table =untrusted on-failure on-request never: approval_policy
=user auto_review guardian_subagent: approvals_reviewer
=read-only workspace-write danger-full-access: sandbox_mode
=none friendly pragmatic: personality
bool: experimental_use_unified_exec_tool include_apps_instructions include_environment_context
  include_permissions_instructions features.* analytics.enabled
table: features analytics tools windows tui
bool table: features.multi_agent_v2 features.network_proxy features.apps_mcp_path_override tools.web_search
"""

_TOP = """
text: profile mcp_oauth_callback_url instructions developer_instructions compact_prompt review_model openai_base_url
  log_dir sqlite_home js_repl_node_path default_permissions experimental_realtime_ws_base_url
  experimental_realtime_start_instructions experimental_realtime_ws_backend_prompt agents.*.description
  agents.*.config_file otel.environment tui.theme mcp_servers.*.command mcp_servers.*.cwd mcp_servers.*.url
  mcp_servers.*.bearer_token_env_var model_providers.*.name model_providers.*.base_url model_providers.*.wire_api
  model_providers.*.env_key model_providers.*.env_key_instructions model_providers.*.experimental_bearer_token
  model_providers.*.auth.command model_providers.*.auth.cwd
table: profiles profiles.* experimental_thread_store approval_policy.granular agents agents.* apps apps.* audio
  auto_review feedback ghost_snapshot history hooks marketplaces marketplaces.* memories notice otel permissions
  permissions.* plugins plugins.* projects projects.* realtime sandbox_workspace_write shell_environment_policy
  skills skills.bundled tool_suggest tui.keymap tui.model_availability_nux mcp_servers mcp_servers.* model_providers
  model_providers.* model_providers.*.auth model_providers.*.aws
integer: model_context_window model_auto_compact_token_limit agents.max_depth memories.max_unused_days
=total body_after_prefix: model_auto_compact_token_limit_scope
count: project_doc_max_bytes tool_output_token_limit background_terminal_max_timeout mcp_oauth_callback_port
  history.max_bytes tui.model_availability_nux.* mcp_servers.*.startup_timeout_ms
  model_providers.*.auth.refresh_interval_ms model_providers.*.request_max_retries
  model_providers.*.stream_max_retries model_providers.*.stream_idle_timeout_ms
  model_providers.*.websocket_connect_timeout_ms
bool: allow_login_shell check_for_update_on_startup disable_paste_burst hide_agent_reasoning
  show_raw_agent_reasoning suppress_unstable_features_warning approval_policy.granular.* agents.enabled
  agents.interrupt_message feedback.enabled ghost_snapshot.disable_warnings memories.use_memories
  memories.generate_memories notice.hide_full_access_warning otel.log_user_prompt plugins.*.enabled
  sandbox_workspace_write.network_access sandbox_workspace_write.exclude_tmpdir_env_var
  sandbox_workspace_write.exclude_slash_tmp shell_environment_policy.ignore_default_excludes
  shell_environment_policy.experimental_use_profile tui.animations tui.show_tooltips tui.vim_mode_default
  tui.raw_output_mode mcp_servers.*.enabled mcp_servers.*.required model_providers.*.requires_openai_auth
  model_providers.*.supports_websockets
texts: notify project_doc_fallback_filenames project_root_markers js_repl_node_module_dirs
  sandbox_workspace_write.writable_roots shell_environment_policy.exclude shell_environment_policy.include_only
  tui.status_line tui.terminal_title mcp_servers.*.args mcp_servers.*.enabled_tools mcp_servers.*.disabled_tools
  mcp_servers.*.scopes model_providers.*.auth.args
text texts: forced_chatgpt_workspace_id
=chatgpt api: forced_login_method
=vscode vscode-insiders windsurf cursor none: file_opener
=file keyring auto ephemeral: cli_auth_credentials_store
=auto file keyring: mcp_oauth_credentials_store
natural: agents.max_threads agents.job_max_runtime_seconds model_providers.*.auth.timeout_ms
=save-all none: history.persistence
tables: hooks.PreToolUse hooks.PostToolUse hooks.SessionStart hooks.UserPromptSubmit hooks.Stop skills.config
  tool_suggest.discoverables
textmap: notice.model_migrations shell_environment_policy.set mcp_servers.*.env mcp_servers.*.http_headers
  mcp_servers.*.env_http_headers model_providers.*.query_params model_providers.*.http_headers
  model_providers.*.env_http_headers
table =none statsig: otel.exporter otel.trace_exporter
=trusted untrusted: projects.*.trust_level
=core all none: shell_environment_policy.inherit
bool texts: tui.notifications
=auto osc9 osc777 bel: tui.notification_method
=unfocused always: tui.notification_condition
=auto always never: tui.alternate_screen
=comfortable dense: tui.session_picker_view
=elevated unelevated mxc: windows.sandbox
list: mcp_servers.*.env_vars
number: mcp_servers.*.startup_timeout_sec mcp_servers.*.tool_timeout_sec
"""

_BEFORE_MAX_EFFORT = """
=none minimal low medium high xhigh: model_reasoning_effort plan_mode_reasoning_effort
=disabled cached live: web_search
=elevated unelevated: windows.sandbox
=auto osc9 bel: tui.notification_method
bool: model_supports_reasoning_summaries windows.sandbox_private_desktop
text: zsh_path experimental_thread_config_endpoint
table: debug
"""

_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "approval_policy": ("granular",),
    "approval_policy.granular": ("mcp_elicitations", "rules", "sandbox_approval"),
    "profiles.*.approval_policy": ("granular",),
    "experimental_thread_store": ("type",),
    "model_providers.*.auth": ("command",),
}


class Shape(NamedTuple):
    """What a key may hold."""

    kinds: tuple[str, ...]
    """Among ``text word bool integer count natural number table texts tables list textmap``."""
    words: tuple[str, ...]
    """The texts that it may hold, where it is not free."""

    def takes(self, value: Any) -> bool:
        return value in self.words if isinstance(value, str) and self.words else any(_is(k, value) for k in self.kinds)


def _is(kind: str, value: Any) -> bool:
    if kind in ("text", "word"):  # a date without quotes is taken for text
        return (isinstance(value, str) and (bool(value) or kind == "text")) or hasattr(value, "isoformat")
    if kind in ("integer", "count", "natural"):
        least = {"integer": -(1 << 63), "count": 0, "natural": 1}[kind]
        return isinstance(value, int) and not isinstance(value, bool) and value >= least
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    if kind == "list":
        return isinstance(value, list) and all(isinstance(v, (str, dict)) for v in value)
    if kind == "tables":
        return isinstance(value, list) and all(isinstance(v, dict) for v in value)
    if kind == "texts":
        return isinstance(value, list) and all(isinstance(v, str) for v in value)
    if kind == "textmap":
        return isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    return isinstance(value, {"bool": bool, "table": dict}[kind])


def _shapes(text: str, below: str = "") -> dict[str, Shape]:
    out: dict[str, Shape] = {}
    for line in text.replace("\n  ", " ").strip().split("\n"):
        said, _colon, keys = line.partition(": ")
        kinds, _equals, words = said.partition("=")
        shape = Shape(tuple(kinds.split()), tuple(words.split()))
        out.update((below + key, shape) for key in keys.split())
    return out


def shapes(version: Version) -> dict[str, Shape]:
    """Return the shape of each key of config.toml, by its path with ``*`` for a name of the user's."""
    profile = {**_shapes(_PROFILE), **(_shapes(_BEFORE_MAX_EFFORT) if version < MAX_EFFORT else {})}
    in_profile = _shapes(_PROFILE, "profiles.*.")
    out = {**_shapes(_TOP), **profile, **{k: profile[k.removeprefix("profiles.*.")] for k in in_profile}}
    if version < AGENTS_TABLE:
        out["agents.enabled"] = out["agents.*"]
    return out


Misshapen = tuple[KeyPath, Any, Shape]


def misshapen(data: Mapping[str, Any], version: Version) -> Iterator[Misshapen]:
    """Yield each key of *data* that holds what stops Codex: its path, its value, and what it may hold.

    An integer beyond 64 bits stops Codex under any key.
    """
    known = shapes(version)
    inner = {".".join(k.split(".")[:n]) for k in known for n in range(1, k.count(".") + 1)} | {*_REQUIRED}

    def walk(
        table: Mapping[str, Any], path: KeyPath, patterns: tuple[str, ...]
    ) -> Iterator[tuple[KeyPath, Any, Shape]]:
        for key, value in table.items():
            here = [p + k for p in patterns for k in (key, "*")]
            found = next((known[p] for p in here if p in known), None)
            if found is not None and not found.takes(value):
                yield (*path, key), value, found
            elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
                yield (*path, key), value, Shape(("integer",), ())
            elif isinstance(value, dict):
                missing = [n for p in here for n in _REQUIRED.get(p, ()) if n not in value]
                if missing:
                    yield (*path, key, missing[0]), None, known.get(here[0] + "." + missing[0], Shape(("bool",), ()))
                yield from walk(value, (*path, key), tuple(p + "." for p in here if p in inner))

    yield from walk(data, (), ("",))


def pointed(folder: str, home: str, value: str) -> str:
    """Return the path that *value* of config.toml in *folder* means."""
    return os.path.join(folder, os.path.join(home, value[2:]) if value.startswith("~/") else value)
