"""What a preset file may say: one table that reads YAML, and that becomes the JSON Schema.

Only builds and edited files come here; a normal run reads compiled JSON and never imports this module.
"""

from __future__ import annotations

from typing import Any, Mapping

from ccsetup.documents.nearest import suggestion
from ccsetup.documents.schema import (
    CURRENCY,
    VARIABLE,
    Block,
    Document,
    Flag,
    Key,
    Kind,
    Many,
    Mapped,
    Number,
    Path,
    Scalar,
    String,
    Url,
)  # fmt: skip
from ccsetup.i18n import _

CUSTOM = "custom"
"""The one preset that may leave its URLs empty: the user gives them.

Models may be left out there too, and where no key is required: a local server has the models that its owner installed.
"""

ID = String(
    "[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?",
    lambda: _("This is not an id: small letters, digits and hyphens, at most 32."),
)
_DATE = String(
    r"20\d\d(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?",
    lambda: _("This is not a date like 2026-11-20, 2026-11 or 2026."),
)
_PATH = String(r"[A-Za-z0-9_*-]+(?:\.[A-Za-z0-9_*-]+)*", lambda: _("This is not a path like data.0.balance."))
_LINK = String(r"https?://[^\s@]+", lambda: _("This is not the address of a web page."))
_EFFORT = String("[a-z]+")


def _custom(at: Document) -> bool:
    return isinstance(at.data, dict) and at.data.get("id") == CUSTOM


def any_model(at: Document) -> bool:
    """Tell whether a model may be left out."""
    key = at.data.get("key") if isinstance(at.data, dict) else None
    return _custom(at) or (isinstance(key, dict) and key.get("required") is False)


class _BaseUrl(Url):
    """A base URL; empty only where the user gives it."""

    def value(self, at: Document, text: str, path: Path, *, key: bool = False) -> Any:
        if not text and self.empty and not _custom(at):
            at.fail(path, _("Only the preset 'custom' may leave this empty."))
        return super().value(at, text, path, key=key)


class _ModelId(String):
    """A model id; empty only where the user gives it."""

    def value(self, at: Document, text: str, path: Path, *, key: bool = False) -> Any:
        if not text and self.empty and not any_model(at):
            at.fail(path, _("Only the preset 'custom' and local servers may leave this empty."))
        return super().value(at, text, path, key=key)


def _model(*, empty: bool = False) -> String:
    return _ModelId(
        # No brackets: "[1m]" and its like are for the client alone, and providers refuse them.
        "[A-Za-z0-9][A-Za-z0-9._:/@+-]*",
        lambda: _("This is not a plain model id (without spaces, and without a suffix like [1m])."),
        empty=empty,
    )


_MODEL = _model()


class _Either(Kind):
    """The first block when it holds *key*, else the second."""

    def __init__(self, key: str, first: Block, second: Block) -> None:
        self.key = key
        self.first = first
        self.second = second

    def read(self, at: Document, value: Any, path: Path) -> Any:
        return (self.first if isinstance(value, dict) and self.key in value else self.second).read(at, value, path)

    def schema(self) -> dict[str, Any]:
        chosen = {"type": "object", "required": [self.key]}
        return {"if": chosen, "then": self.first.schema(), "else": self.second.schema()}


class _Sources(Many):
    """Keys into ``sources``."""

    def read(self, at: Document, value: Any, path: Path) -> Any:
        keys = super().read(at, value, path)
        known = at.data.get("sources")
        for i, key in enumerate(keys):
            if not isinstance(known, dict) or key not in known:
                problem = _("'{key}' is not among the sources of this file.").format(key=key)
                at.fail((*path, i), problem, suggestion(key, known, else_all=False) if known else "")
        return keys


ENV_NAMES = (
    "ANTHROPIC_BETAS", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_CUSTOM_MODEL_OPTION",
    "ANTHROPIC_CUSTOM_MODEL_OPTION_DESCRIPTION", "ANTHROPIC_CUSTOM_MODEL_OPTION_NAME", "API_TIMEOUT_MS",
    "CLAUDE_CODE_ATTRIBUTION_HEADER", "CLAUDE_CODE_AUTO_COMPACT_WINDOW", "CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING",
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_DISABLE_THINKING", "CLAUDE_CODE_EFFORT_LEVEL", "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
    "CLAUDE_CODE_EXTRA_BODY", "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_MAX_RETRIES", "DISABLE_PROMPT_CACHING",
    "ENABLE_TOOL_SEARCH", "MAX_THINKING_TOKENS",
)  # fmt: skip
"""Variables that a preset may add.  All others are refused: a file from elsewhere must not be able to set a proxy,
a shell prefix or another settings folder.  URL, key, model and window variables come from the other fields."""

ERRORS = ("bad_key", "no_quota", "bad_model", "forbidden", "rate", "wrong_region")


def _sourced(title: str, keys: Mapping[str, Key]) -> Block:
    """Return a block of facts: with source and date, and room for a note."""
    return Block(title, {**keys, **_PROOF})


_NOTE = Key(String(), "Anything a reader should know, such as what was not verified", field="")
_PROOF: dict[str, Key] = {
    "source": Key(_Sources(String(), 1), "Keys into `sources`", field="", shipped=True),
    "as_of": Key(_DATE, "The day, month or year that the facts are of", field="", shipped=True),
    "note": _NOTE,
}

_CONDITION_KEYS: dict[str, Key] = {
    "status": Key(Many(Number(100), 1), "HTTP statuses, any of them", default=[]),
    "path": Key(_PATH, "Dotted path into the JSON body; list indexes are numbers", default=""),
    "equals": Key(Many(Scalar(), 1), "Values at `path`, any of them; without it any value matches", default=[]),
    "contains": Key(String(), "Lower-case text that the body holds, in any case", default=""),
}


def _condition(at: Document, given: dict[str, Any], path: Path) -> None:
    if not (given["status"] or given["path"] or given["contains"]):
        at.fail(path, _("A condition needs 'status', 'path' or 'contains'."))
    if given["equals"] and not given["path"]:
        at.fail((*path, "equals"), _("'equals' needs 'path'."))
    if given["contains"] != given["contains"].lower():
        at.fail((*path, "contains"), _("Write this text in lower case."))


_CONDITION = Block(
    "A match on an HTTP answer: all members that are given have to match",
    _CONDITION_KEYS,
    rule=_condition,
    schema={"anyOf": [{"required": [name]} for name in ("status", "path", "contains")]},
)
_CONDITIONS = Many(_CONDITION)

_TIERS = Block(
    "Model ids for the tiers of Claude Code",
    {
        "primary": Key(_MODEL, "The model of the main conversation", required=True),
        "haiku": Key(_MODEL, "Small and background work", shipped=True),
        "sonnet": Key(_MODEL, "The sonnet alias", shipped=True),
        "opus": Key(_MODEL, "The opus alias", shipped=True),
        "fable": Key(_MODEL, "The fable alias", shipped=True),
        "subagent": Key(_MODEL, "Subagents", shipped=True),
    },
)

_FACT = Block(
    "A variable and the reason for it",
    {
        "value": Key(String(empty=True), "Its value, as text", required=True),
        "reason": Key(String(), "Why it is set", required=True),
    },
)

_UNSUPPORTED = _sourced(
    "No endpoint that the client can speak to",
    {"unsupported": Key(String(), "Why the client cannot use this provider", field="reason", required=True)},
)

_CLAUDE = _sourced(
    "An Anthropic Messages endpoint",
    {
        "base_url": Key(_BaseUrl(claude=True, empty=True), "Without /v1/messages", required=True),
        "auth": Key(
            String(one_of=("auth_token", "api_key")),
            "auth_token: Authorization: Bearer; api_key: x-api-key",
            default="auth_token",
            shipped=True,
        ),
        "models": Key(_TIERS, "One model id per tier; tiers that are left out take `primary`"),
        "context_window": Key(Number(1), "Tokens; becomes CLAUDE_CODE_MAX_CONTEXT_TOKENS"),
        "env": Key(
            Mapped(_FACT, String(one_of=ENV_NAMES)), "Further variables for the env block of settings.json", default={}
        ),
        "native_models": Key(Flag(), "The provider serves Anthropic's own model ids", default=False),
    },
)

_CODEX = _sourced(
    "An OpenAI endpoint",
    {
        "base_url": Key(_BaseUrl(empty=True), "Without /responses or /chat/completions", required=True),
        "wire": Key(
            String(one_of=("responses", "chat")),
            "The protocol; Codex itself speaks only responses",
            default="responses",
            shipped=True,
        ),
        "model": Key(_model(empty=True), "Default model id", required=True),
        "context_window": Key(Number(1), "Tokens"),
        "web_search": Key(
            String(one_of=("disabled", "cached", "live", "default")),
            "Codex's web_search setting; `default` leaves it alone",
            default="disabled",
            shipped=True,
        ),
        "extra_tools": Key(Flag(), "The provider takes tools that are not functions", default=False, shipped=True),
        "catalog": Key(Flag(), "Codex needs a model catalogue entry", default=True, shipped=True),
        "efforts": Key(Many(_EFFORT), "Reasoning efforts that are accepted", default=[]),
        "default_effort": Key(_EFFORT, "The effort to set; one of `efforts`", default=""),
        "reason": Key(String(), "For `wire: chat`: why Codex cannot use it directly", default=""),
    },
)

_CHECK = _sourced(
    "A free GET request that tells whether a key is good",
    {
        "get": Key(String(r"https?://[^\s@#]+", _LINK.problem), "The URL", field="url", required=True),
        "auth": Key(String(one_of=("bearer", "raw", "x-api-key")), "How the key is sent", default="bearer"),
        "prefixes": Key(Many(String(), 1), "Only for keys that begin so", default=[]),
        "proves": Key(Flag(), "A success proves the key", required=True),
        "valid": Key(_CONDITIONS, "The key is good", default=[{"status": [200]}]),
        "invalid": Key(_CONDITIONS, "The key is wrong", default=[{"status": [401]}]),
        "no_quota": Key(_CONDITIONS, "The key is good, but there is no money or quota", default=[]),
        "forbidden": Key(_CONDITIONS, "The key is known, but blocked or not allowed", default=[]),
        "balance": Key(_PATH, "Dotted path of the balance", default=""),
        "models": Key(_PATH, "Dotted path, with *, of the model ids", default=""),
    },
)

_REGION = Block(
    "A site or plan of the provider",
    {
        "id": Key(ID, "Short name for --region", required=True),
        "name": Key(String(), "Name for people"),
        "key_url": Key(_LINK, "Where a person gets a key", default=""),
        "chat_url": Key(Url(), "Chat Completions base URL, for a relay", default=""),
        "claude-code": Key(_Either("unsupported", _UNSUPPORTED, _CLAUDE), "For Claude Code", field="claude"),
        "codex": Key(_Either("unsupported", _UNSUPPORTED, _CODEX), "For Codex CLI"),
        "verify": Key(Many(_CHECK), "Key checks, in the order in which they are tried", default=[]),
        "verify_note": Key(String(), "Why there is no check, or what to know of it", default=""),
        "source": Key(_Sources(String(), 1), "For key_url and chat_url: keys into `sources`", field=""),
        "as_of": Key(_DATE, "The day, month or year that the facts are of", field=""),
        "note": _NOTE,
    },
)

_MODEL_BLOCK = _sourced(
    "What is known of a model; prices are per million tokens",
    {
        "id": Key(_MODEL, "Model id", required=True),
        "context": Key(Number(1), "Window in tokens"),
        "max_output": Key(Number(1), "Largest answer in tokens"),
        "price_in": Key(Number(decimal=True), "Input"),
        "price_out": Key(Number(decimal=True), "Output"),
        "price_cache_read": Key(Number(decimal=True), "Cached input"),
        "currency": Key(CURRENCY, "ISO 4217", default="USD"),
        "vision": Key(Flag(), "Takes images"),
        "tools": Key(Flag(), "Takes tools"),
        "regions": Key(Many(ID, 1), "The regions that serve it; without it all", default=[]),
    },
)

_DIALECT = Block(
    "Members that differ from the definition of the format",
    {
        "thinking_switch": Key(
            String(one_of=("thinking", "reasoning_effort", "enable_thinking", "reasoning")),
            "chat: how thinking is switched; without it not at all",
        ),
        "reasoning_field": Key(
            String(empty=True), "chat: the member for the thinking of earlier turns; '' when none may be sent"
        ),
        "system_between": Key(Flag(), "Takes system messages after the first message"),
        "developer": Key(Flag(), "chat: knows the role `developer`"),
        "max_tokens_field": Key(
            String(one_of=("max_tokens", "max_completion_tokens")), "chat: the member that limits the answer"
        ),
        "images": Key(Flag(), "Takes images"),
        "stream_usage": Key(Flag(), "chat: takes `stream_options`"),
        "cache_control": Key(Flag(), "anthropic: takes cache_control marks"),
        "structured": Key(Flag(), "Takes a JSON schema for the answer"),
    },
)

PRESET = Block(
    "A provider preset of ccsetup",
    {
        "id": Key(ID, "The name for -p; the file is called <id>.yaml", required=True),
        "name": Key(String(), "Name for people", required=True),
        "aliases": Key(
            Mapped(String(ID.pattern, ID.problem, empty=True), ID),
            "Other names for -p, each with the region that it means where it means just one",
            default={},
        ),
        "description": Key(
            Mapped(String(), String(one_of=("en", "zh_CN"))), "One line per language", default={}, shipped=True
        ),
        "website": Key(_LINK, "The provider's home page", default=""),
        "as_of": _PROOF["as_of"],
        "sources": Key(
            Mapped(
                Block(
                    "Where facts come from",
                    {
                        "what": Key(String(), "A public page, package version or probe", field="", required=True),
                        "kind": Key(String(), "vendor docs, vendor code, catalogue, probe, peer code ...", field=""),
                        "as_of": Key(_DATE, "Its date", field="", shipped=True),
                    },
                ),
                String("[a-z0-9_]+", lambda: _("This is not a name that can be used here.")),
            ),
            "Where the facts of this file come from",
            field="",
            default={},
            shipped=True,
        ),
        "note": _NOTE,
        "key": Key(
            _sourced(
                "The API key",
                {
                    "env": Key(VARIABLE, "Its usual environment variable", default=""),
                    "required": Key(Flag(), "Without a key nothing works", default=True),
                    "default": Key(String(), "What to send where no key is required", default=""),
                    "families": Key(
                        Many(
                            _sourced(
                                "A pattern of keys",
                                {
                                    "prefix": Key(String(), "How such keys begin", required=True),
                                    "name": Key(String(), "What they are called", required=True),
                                    "region": Key(ID, "The one region where they work", default=""),
                                    "provider": Key(ID, "The preset they belong to, if not this", default=""),
                                },
                            )
                        ),
                        "Prefixes that tell keys apart",
                        default=[],
                    ),
                },
            ),
            "The API key",
            shipped=True,
        ),
        "regions": Key(Many(_REGION, 1), "The first one is the default", required=True),
        "models": Key(Many(_MODEL_BLOCK), "Facts about models", default=[]),
        "legacy_urls": Key(
            Many(
                _sourced(
                    "A base URL of an older generation",
                    {
                        "url": Key(Url(), "The URL", required=True),
                        "client": Key(String(one_of=("claude-code", "codex")), "Whose", required=True),
                        "reason": Key(String(), "What is wrong with it today", required=True),
                        "still_works": Key(Flag(), "The provider still answers there", required=True),
                    },
                )
            ),
            "URLs by which stale settings are recognised",
            default=[],
        ),
        "legacy_models": Key(
            Many(
                _sourced(
                    "A model id of an older generation",
                    {
                        "id": Key(_MODEL, "The old id", required=True),
                        "successor": Key(_MODEL, "What to use instead", required=True),
                        "reason": Key(String(), "What became of it", required=True),
                    },
                )
            ),
            "Retired model ids",
            default=[],
        ),
        "errors": Key(
            _sourced(
                "Odd error shapes of the inference endpoints",
                {meaning: Key(_CONDITIONS, "Answers that mean this", default=[]) for meaning in ERRORS},
            ),
            "Odd error shapes of the inference endpoints, by meaning",
        ),
        "dialect": Key(
            _sourced(
                "What the endpoints take beyond, or short of, the definition of a format; for a relay",
                {wire: Key(_DIALECT, f"In the format {wire}") for wire in ("anthropic", "responses", "chat")},
            ),
            "What the endpoints take beyond, or short of, the definition of a format; for a relay",
        ),
    },
)
