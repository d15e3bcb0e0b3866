"""What a preset file may say: one table that checks YAML, and that becomes the JSON Schema.

``parse`` turns the text of ``presets/<id>.yaml``, or of a user's own file, into the *plain form*: dicts and lists
with the field names of ``model.Preset``, ready for ``presets.build`` and for the compiled JSON.  Only builds and
edited files come here; a normal run reads compiled JSON and never imports this module.

Knows no disk.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, NoReturn, Optional, Union

from ccsetup import urls
from ccsetup.documents import yamldoc
from ccsetup.documents.yamldoc import Node, Step
from ccsetup.i18n import _

CUSTOM = "custom"
"""The one preset that may leave its URLs empty: the user gives them.

Models may be left out there too, and where no key is required: a local server has the models that its owner installed.
"""

ID = r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$"
_DATE = r"^20\d\d(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?$"
# No brackets: "[1m]" and its like are for the client alone, and providers refuse them.
_MODEL = r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$"
_PATH = r"^[A-Za-z0-9_*-]+(?:\.[A-Za-z0-9_*-]+)*$"
_LINK = r"^https?://[^\s@]+$"

ENV_NAMES = (
    "ANTHROPIC_BETAS",
    "ANTHROPIC_CUSTOM_HEADERS",
    "ANTHROPIC_CUSTOM_MODEL_OPTION",
    "ANTHROPIC_CUSTOM_MODEL_OPTION_DESCRIPTION",
    "ANTHROPIC_CUSTOM_MODEL_OPTION_NAME",
    "API_TIMEOUT_MS",
    "CLAUDE_CODE_ATTRIBUTION_HEADER",
    "CLAUDE_CODE_AUTO_COMPACT_WINDOW",
    "CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING",
    "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_DISABLE_THINKING",
    "CLAUDE_CODE_EFFORT_LEVEL",
    "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY",
    "CLAUDE_CODE_EXTRA_BODY",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "CLAUDE_CODE_MAX_RETRIES",
    "DISABLE_PROMPT_CACHING",
    "ENABLE_TOOL_SEARCH",
    "MAX_THINKING_TOKENS",
)
"""Variables that a preset may add.  All others are refused: a file from elsewhere must not be able to set a proxy,
a shell prefix or another settings folder.  URL, key, model and window variables come from the other fields."""

ERRORS = ("bad_key", "no_quota", "bad_model", "forbidden", "rate", "wrong_region")


class Text(NamedTuple):
    """One line of text."""

    pattern: str = ""
    one_of: tuple[str, ...] = ()
    empty: bool = False
    url: str = ""
    """"base" or "claude": also a base URL."""


class Number(NamedTuple):
    """A number that is not negative; whole unless *decimal*."""

    decimal: bool = False
    least: int = 0


class Flag(NamedTuple):
    """true or false."""


class Scalar(NamedTuple):
    """Text, a number, true or false."""


class Many(NamedTuple):
    """A list."""

    item: Kind
    least: int = 0


class Texts(NamedTuple):
    """A mapping from names to values of one kind."""

    names: tuple[str, ...]
    """The names that may occur; empty: those that match *pattern*."""
    item: Kind
    pattern: str = ""


class Key(NamedTuple):
    """One key of a block.  ``field`` is its name in the plain form; "" leaves it out (sources, notes)."""

    kind: Kind
    what: str
    field: Optional[str] = None
    default: Any = None
    required: bool = False
    shipped: bool = False
    """Required in the presets that we ship."""


class Block(NamedTuple):
    """A mapping with known keys."""

    title: str
    keys: Mapping[str, Key]


class Either(NamedTuple):
    """The first block when it holds *key*, else the second."""

    key: str
    first: Block
    second: Block


Kind = Union[Text, Number, Flag, Scalar, Many, Texts, Block, Either]


def _sourced(title: str, keys: Mapping[str, Key]) -> Block:
    """Return a block of facts: with source and date, and room for a note."""
    return Block(title, {**keys, **_PROOF})


_NOTE = Key(Text(), "Anything a reader should know, such as what was not verified", field="")
_PROOF: dict[str, Key] = {
    "source": Key(Many(Text(), 1), "Keys into `sources`", field="", shipped=True),
    "as_of": Key(Text(_DATE), "The day, month or year that the facts are of", field="", shipped=True),
    "note": _NOTE,
}

_CONDITION_KEYS: dict[str, Key] = {
    "status": Key(Many(Number(least=100), 1), "HTTP statuses, any of them", default=[]),
    "path": Key(Text(_PATH), "Dotted path into the JSON body; list indexes are numbers", default=""),
    "equals": Key(Many(Scalar(), 1), "Values at `path`, any of them; without it any value matches", default=[]),
    "contains": Key(Text(), "Lower-case text that the body holds, in any case", default=""),
}
_CONDITION = Block("A match on an HTTP answer: all members that are given have to match", _CONDITION_KEYS)
_CONDITIONS = Many(_CONDITION)

_TIERS = Block(
    "Model ids for the tiers of Claude Code",
    {
        "primary": Key(Text(_MODEL), "The model of the main conversation", required=True),
        "haiku": Key(Text(_MODEL), "Small and background work", shipped=True),
        "sonnet": Key(Text(_MODEL), "The sonnet alias", shipped=True),
        "opus": Key(Text(_MODEL), "The opus alias", shipped=True),
        "fable": Key(Text(_MODEL), "The fable alias", shipped=True),
        "subagent": Key(Text(_MODEL), "Subagents", shipped=True),
    },
)

_FACT = Block(
    "A variable and the reason for it",
    {
        "value": Key(Text(empty=True), "Its value, as text", required=True),
        "reason": Key(Text(), "Why it is set", required=True),
    },
)

_UNSUPPORTED = _sourced(
    "No endpoint that the client can speak to",
    {"unsupported": Key(Text(), "Why the client cannot use this provider", field="reason", required=True)},
)

_CLAUDE = _sourced(
    "An Anthropic Messages endpoint",
    {
        "base_url": Key(Text(url="claude", empty=True), "Without /v1/messages", required=True),
        "auth": Key(
            Text(one_of=("auth_token", "api_key")),
            "auth_token: Authorization: Bearer; api_key: x-api-key",
            default="auth_token",
            shipped=True,
        ),
        "models": Key(_TIERS, "One model id per tier; tiers that are left out take `primary`"),
        "context_window": Key(Number(least=1), "Tokens; becomes CLAUDE_CODE_MAX_CONTEXT_TOKENS"),
        "env": Key(Texts(ENV_NAMES, _FACT), "Further variables for the env block of settings.json", default={}),
        "native_models": Key(Flag(), "The provider serves Anthropic's own model ids", default=False),
    },
)

_CODEX = _sourced(
    "An OpenAI endpoint",
    {
        "base_url": Key(Text(url="base", empty=True), "Without /responses or /chat/completions", required=True),
        "wire": Key(
            Text(one_of=("responses", "chat")),
            "The protocol; Codex itself speaks only responses",
            default="responses",
            shipped=True,
        ),
        "model": Key(Text(_MODEL, empty=True), "Default model id", required=True),
        "context_window": Key(Number(least=1), "Tokens"),
        "web_search": Key(
            Text(one_of=("disabled", "cached", "live", "default")),
            "Codex's web_search setting; `default` leaves it alone",
            default="disabled",
            shipped=True,
        ),
        "extra_tools": Key(Flag(), "The provider takes tools that are not functions", default=False, shipped=True),
        "catalog": Key(Flag(), "Codex needs a model catalogue entry", default=True, shipped=True),
        "efforts": Key(Many(Text(r"^[a-z]+$")), "Reasoning efforts that are accepted", default=[]),
        "default_effort": Key(Text(r"^[a-z]+$"), "The effort to set; one of `efforts`", default=""),
        "reason": Key(Text(), "For `wire: chat`: why Codex cannot use it directly", default=""),
    },
)

_CHECK = _sourced(
    "A free GET request that tells whether a key is good",
    {
        "get": Key(Text(r"^https?://[^\s@#]+$"), "The URL", field="url", required=True),
        "auth": Key(Text(one_of=("bearer", "raw", "x-api-key")), "How the key is sent", default="bearer"),
        "prefixes": Key(Many(Text(), 1), "Only for keys that begin so", default=[]),
        "proves": Key(Flag(), "A success proves the key", required=True),
        "valid": Key(_CONDITIONS, "The key is good", default=[{"status": [200]}]),
        "invalid": Key(_CONDITIONS, "The key is wrong", default=[{"status": [401]}]),
        "no_quota": Key(_CONDITIONS, "The key is good, but there is no money or quota", default=[]),
        "forbidden": Key(_CONDITIONS, "The key is known, but blocked or not allowed", default=[]),
        "balance": Key(Text(_PATH), "Dotted path of the balance", default=""),
        "models": Key(Text(_PATH), "Dotted path, with *, of the model ids", default=""),
    },
)

_REGION = Block(
    "A site or plan of the provider",
    {
        "id": Key(Text(ID), "Short name for --region", required=True),
        "name": Key(Text(), "Name for people"),
        "key_url": Key(Text(_LINK), "Where a person gets a key", default=""),
        "chat_url": Key(Text(url="base"), "Chat Completions base URL, for a relay", default=""),
        "claude-code": Key(Either("unsupported", _UNSUPPORTED, _CLAUDE), "For Claude Code", field="claude"),
        "codex": Key(Either("unsupported", _UNSUPPORTED, _CODEX), "For Codex CLI"),
        "verify": Key(Many(_CHECK), "Key checks, in the order in which they are tried", default=[]),
        "verify_note": Key(Text(), "Why there is no check, or what to know of it", default=""),
        "source": _PROOF["source"]._replace(shipped=False, what="For key_url and chat_url: keys into `sources`"),
        "as_of": _PROOF["as_of"]._replace(shipped=False),
        "note": _NOTE,
    },
)

_MODEL_BLOCK = _sourced(
    "What is known of a model; prices are per million tokens",
    {
        "id": Key(Text(_MODEL), "Model id", required=True),
        "context": Key(Number(least=1), "Window in tokens"),
        "max_output": Key(Number(least=1), "Largest answer in tokens"),
        "price_in": Key(Number(decimal=True), "Input"),
        "price_out": Key(Number(decimal=True), "Output"),
        "price_cache_read": Key(Number(decimal=True), "Cached input"),
        "currency": Key(Text(r"^[A-Z]{3}$"), "ISO 4217", default="USD"),
        "vision": Key(Flag(), "Takes images"),
        "tools": Key(Flag(), "Takes tools"),
    },
)

_DIALECT = Block(
    "Members that differ from the definition of the format",
    {
        "thinking_switch": Key(
            Text(one_of=("thinking", "reasoning_effort", "enable_thinking", "reasoning")),
            "chat: how thinking is switched; without it not at all",
        ),
        "reasoning_field": Key(
            Text(empty=True), "chat: the member for the thinking of earlier turns; '' when none may be sent"
        ),
        "system_between": Key(Flag(), "Takes system messages after the first message"),
        "developer": Key(Flag(), "chat: knows the role `developer`"),
        "max_tokens_field": Key(
            Text(one_of=("max_tokens", "max_completion_tokens")), "chat: the member that limits the answer"
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
        "id": Key(Text(ID), "The name for -p; the file is called <id>.yaml", required=True),
        "name": Key(Text(), "Name for people", required=True),
        "description": Key(Texts(("en", "zh_CN"), Text()), "One line per language", default={}, shipped=True),
        "website": Key(Text(_LINK), "The provider's home page", default=""),
        "as_of": _PROOF["as_of"],
        "sources": Key(
            Texts(
                (),
                Block(
                    "Where facts come from",
                    {
                        "what": Key(Text(), "A public page, package version or probe", field="", required=True),
                        "kind": Key(Text(), "vendor docs, vendor code, catalogue, probe, peer code ...", field=""),
                        "as_of": Key(Text(_DATE), "Its date", field="", shipped=True),
                    },
                ),
                r"^[a-z0-9_]+$",
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
                    "env": Key(Text(r"^[A-Za-z_][A-Za-z0-9_]*$"), "Its usual environment variable", default=""),
                    "required": Key(Flag(), "Without a key nothing works", default=True),
                    "default": Key(Text(), "What to send where no key is required", default=""),
                    "families": Key(
                        Many(
                            _sourced(
                                "A pattern of keys",
                                {
                                    "prefix": Key(Text(), "How such keys begin", required=True),
                                    "name": Key(Text(), "What they are called", required=True),
                                    "region": Key(Text(ID), "The one region where they work", default=""),
                                    "provider": Key(Text(ID), "The preset they belong to, if not this", default=""),
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
                        "url": Key(Text(url="base"), "The URL", required=True),
                        "client": Key(Text(one_of=("claude-code", "codex")), "Whose", required=True),
                        "reason": Key(Text(), "What is wrong with it today", required=True),
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
                        "id": Key(Text(_MODEL), "The old id", required=True),
                        "successor": Key(Text(_MODEL), "What to use instead", required=True),
                        "reason": Key(Text(), "What became of it", required=True),
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


def parse(data: Union[str, bytes], name: str, *, expected_id: str = "", shipped: bool = False) -> dict[str, Any]:
    """Return the plain form of the preset in *data*, the contents of a YAML file that messages call *name*.

    With *shipped*, facts need sources and dates and nothing is left to defaults that a reader should see.
    Raises DocumentError with ``file:line:column: path: problem``.
    """
    node = yamldoc.parse(data, name)
    reader = _Reader(name, node, shipped)
    plain: dict[str, Any] = reader.read(PRESET, node, [])
    reader.check(plain, expected_id)
    return _complete(plain)


class _Reader:
    """One file on its way to the plain form."""

    def __init__(self, name: str, root: Node, shipped: bool) -> None:
        self.name = name
        self.root = root
        self.shipped = shipped
        head = yamldoc.mapping(root, [])
        required = yamldoc.mapping(root, ["key"]).get("required")
        self.sources = set(yamldoc.mapping(root, ["sources"]))
        self.custom = "id" in head and head["id"].value == CUSTOM
        self.any_model = self.custom or (required is not None and required.value is False)

    def fail(self, path: list[Step], problem: str, hint: str = "", place: Optional[tuple[int, int]] = None) -> NoReturn:
        where = _written(path)
        place = place or yamldoc.place(self.root, path)
        yamldoc.fail(self.name, place, f"{where}: {problem}" if where else problem, hint)

    def read(self, kind: Kind, node: Node, path: list[Step]) -> Any:
        """Return the plain form of *node*, found at *path*, which has to be of *kind*."""
        value = node.value
        if isinstance(kind, Either):
            chosen = kind.first if isinstance(value, dict) and kind.key in value else kind.second
            return self.read(chosen, node, path)
        if isinstance(kind, Block):
            return self._block(kind, node, path)
        if isinstance(kind, Texts):
            if not isinstance(value, dict):
                self.fail(path, _("This has to be a mapping (name: value)."))
            return {key: self._entry(kind, key, child, node, path) for key, child in value.items()}
        if isinstance(kind, Many):
            if not isinstance(value, list):
                self.fail(path, _("This has to be a list."))
            if len(value) < kind.least:
                self.fail(path, _("This list is empty."))
            return [self.read(kind.item, child, [*path, i]) for i, child in enumerate(value)]
        return self._scalar(kind, value, path)

    def _entry(self, kind: Texts, key: str, child: Node, node: Node, path: list[Step]) -> Any:
        if kind.names and key not in kind.names:
            problem = _("'{key}' is not known here.").format(key=key)
            self.fail(path, problem, _nearest(key, kind.names), node.keys[key])
        if kind.pattern and not re.search(kind.pattern, key):
            self.fail(path, _("'{key}' is not a name that can be used here.").format(key=key), "", node.keys[key])
        return self.read(kind.item, child, [*path, key])

    def _block(self, block: Block, node: Node, path: list[Step]) -> dict[str, Any]:
        value = node.value
        if not isinstance(value, dict):
            self.fail(path, _("This has to be a mapping (name: value)."))
        plain: dict[str, Any] = {}
        for name, child in value.items():
            key = block.keys.get(name)
            if key is None:
                problem = _("'{key}' is not known here.").format(key=name)
                self.fail(path, problem, _nearest(name, tuple(block.keys)), node.keys[name])
            read = self.read(key.kind, child, [*path, name])
            if name == "source":
                self._sources(read, [*path, name])
            if key.field != "":
                plain[key.field or name] = read
        for name, key in block.keys.items():
            field = name if key.field is None else key.field
            if name not in value and (key.required or (self.shipped and key.shipped)):
                self.fail(path, _("'{key}' is missing.").format(key=name))
            if field:
                plain.setdefault(field, key.default)
        if block is _CONDITION:
            self._condition(plain, path)
        return plain

    def _sources(self, keys: list[str], path: list[Step]) -> None:
        for i, key in enumerate(keys):
            if key not in self.sources:
                problem = _("'{key}' is not among the sources of this file.").format(key=key)
                self.fail([*path, i], problem, _nearest(key, tuple(self.sources)))

    def _condition(self, plain: dict[str, Any], path: list[Step]) -> None:
        if not (plain["status"] or plain["path"] or plain["contains"]):
            self.fail(path, _("A condition needs 'status', 'path' or 'contains'."))
        if plain["equals"] and not plain["path"]:
            self.fail([*path, "equals"], _("'equals' needs 'path'."))
        if plain["contains"] != plain["contains"].lower():
            self.fail([*path, "contains"], _("Write this text in lower case."))

    def _scalar(self, kind: Union[Text, Number, Flag, Scalar], value: Any, path: list[Step]) -> Any:
        if isinstance(kind, Flag):
            if not isinstance(value, bool):
                self.fail(path, _("This has to be true or false."))
        elif isinstance(kind, Number):
            if isinstance(value, bool) or not isinstance(value, (int, float) if kind.decimal else int):
                self.fail(path, _("This has to be a number.") if kind.decimal else _("This has to be a whole number."))
            if value < kind.least:
                self.fail(path, _("This has to be at least {n}.").format(n=kind.least))
        elif isinstance(kind, Scalar):
            if value is None or isinstance(value, (list, dict)):
                self.fail(path, _("This has to be text, a number, true or false."))
        elif not isinstance(value, str):
            self.fail(path, _("This has to be text (put it in quotes)."))
        else:
            self._text(kind, value, path)
        return value

    def _text(self, kind: Text, value: str, path: list[Step]) -> None:
        if not value:
            if not kind.empty:
                self.fail(path, _("This must not be empty."))
            if kind.url and not self.custom:
                self.fail(path, _("Only the preset 'custom' may leave this empty."))
            if kind.pattern and not self.any_model:
                self.fail(path, _("Only the preset 'custom' and local servers may leave this empty."))
            return
        if kind.one_of and value not in kind.one_of:
            problem = _("'{value}' is not one of: {known}.").format(value=value, known=", ".join(kind.one_of))
            self.fail(path, problem, _nearest(value, kind.one_of))
        if kind.pattern and not re.search(kind.pattern, value):
            self.fail(path, _pattern_problem(kind.pattern).format(value=value))
        if kind.url:
            problem = urls.problem(value, claude=kind.url == "claude")
            if problem:
                self.fail(path, problem)

    def check(self, plain: dict[str, Any], expected_id: str) -> None:
        """Check what concerns more than one key."""
        if expected_id and plain["id"] != expected_id:
            problem = _("The id is '{id}', but the file is called '{file}'.")
            self.fail(["id"], problem.format(id=plain["id"], file=f"{expected_id}.yaml"))
        for table in ("regions", "models", "legacy_models"):
            seen: set[str] = set()
            for i, item in enumerate(plain[table]):
                if item["id"] in seen:
                    self.fail([table, i, "id"], _("The id '{id}' appears twice.").format(id=item["id"]))
                seen.add(item["id"])
        regions = tuple(region["id"] for region in plain["regions"])
        for i, family in enumerate((plain["key"] or {}).get("families", ())):
            if family["region"] and family["region"] not in regions:
                problem = _("There is no region '{id}' in this file.").format(id=family["region"])
                self.fail(["key", "families", i, "region"], problem, _nearest(family["region"], regions))
        if self.shipped:
            for language in ("en", "zh_CN"):
                if language not in plain["description"]:
                    self.fail(["description"], _("'{key}' is missing.").format(key=language))
        for i, region in enumerate(plain["regions"]):
            self._region(region, ["regions", i])

    def _region(self, region: dict[str, Any], path: list[Step]) -> None:
        claude, codex = region["claude"], region["codex"]
        if claude is None and codex is None:
            self.fail(path, _("'{key}' is missing.").format(key="claude-code"))
        if self.shipped:
            for key, endpoint in (("claude-code", claude), ("codex", codex)):
                if endpoint is None:
                    self.fail(path, _("'{key}' is missing.").format(key=key))
            written = yamldoc.mapping(self.root, path)
            if (region["key_url"] or region["chat_url"]) and not {"source", "as_of"} <= set(written):
                self.fail(path, _("'{key}' is missing.").format(key="source"))
        if claude and "reason" not in claude:
            empty = claude["models"] is None
            if empty and not claude["native_models"] and not self.any_model:
                self.fail([*path, "claude-code"], _("'{key}' is missing.").format(key="models"))
        if codex and "wire" in codex:
            here = [*path, "codex"]
            if codex["wire"] == "chat" and not codex["reason"]:
                self.fail(here, _("'wire: chat' needs a 'reason' for the user: Codex itself speaks only Responses."))
            if codex["default_effort"] and codex["default_effort"] not in codex["efforts"]:
                known = ", ".join(codex["efforts"])
                problem = _("'{value}' is not one of: {known}.").format(value=codex["default_effort"], known=known)
                self.fail([*here, "default_effort"], problem)


def _complete(plain: dict[str, Any]) -> dict[str, Any]:
    """Give *plain* the shape of model.Preset."""
    key = plain.pop("key") or {}
    errors = plain.pop("errors") or {}
    plain["key_env"] = key.get("env", "")
    plain["key_required"] = key.get("required", True)
    plain["default_key"] = key.get("default", "")
    plain["key_families"] = key.get("families", [])
    plain["dialect"] = {
        wire: {name: value for name, value in members.items() if value is not None}
        for wire, members in (plain["dialect"] or {}).items()
        if members
    }
    plain["errors"] = {meaning: conditions for meaning, conditions in errors.items() if conditions}
    for region in plain["regions"]:
        region["name"] = region["name"] or region["id"]
        for client, name in (("claude", "Claude Code"), ("codex", "Codex")):
            if region[client] is None:
                reason = _("The preset names no endpoint for {client}.").format(client=name)
                region[client] = {"reason": reason}
        tiers = region["claude"].get("models")
        if tiers:
            region["claude"]["models"] = {tier: model or tiers["primary"] for tier, model in tiers.items()}
        if region["codex"].get("web_search") == "default":
            region["codex"]["web_search"] = None
    return plain


def _written(path: list[Step]) -> str:
    """Return *path* as people write it: ``regions[0].claude-code.auth``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _nearest(word: str, known: tuple[str, ...]) -> str:
    import difflib

    found = difflib.get_close_matches(word, known, n=1)
    return _("Did you mean '{word}'?").format(word=found[0]) if found else ""


def _pattern_problem(pattern: str) -> str:
    if pattern == ID:
        return _("'{value}' is not an id: small letters, digits and hyphens, at most 32.")
    if pattern == _DATE:
        return _("'{value}' is not a date like 2026-11-20, 2026-11 or 2026.")
    if pattern == _MODEL:
        return _("'{value}' is not a plain model id (without spaces, and without a suffix like [1m]).")
    if pattern == _PATH:
        return _("'{value}' is not a path like data.0.balance.")
    if pattern == _LINK:
        return _("This is not the address of a web page.")
    return _("'{value}' is not what can stand here.")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a preset file, for editors.

    What a schema cannot say (ids that refer to each other, file names) only ``parse`` checks.
    """
    custom = {"properties": {"id": {"const": CUSTOM}}, "required": ["id"]}
    local = {"properties": {"key": {"properties": {"required": {"const": False}}, "required": ["required"]}}}
    some_url = {"properties": {"base_url": {"minLength": 1}}}
    some_models = {
        "if": {"required": ["base_url"]},
        "then": {
            "anyOf": [
                {"required": ["models"]},
                {"required": ["native_models"], "properties": {"native_models": {"const": True}}},
            ]
        },
    }
    some_model = {"properties": {"model": {"minLength": 1}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Made by tools/compile.py from src/ccsetup/presetspec.py.",
        **_schema(PRESET),
        "allOf": [
            {"if": custom, "else": _regions(some_url, some_url)},
            {"if": {"anyOf": [custom, {**local, "required": ["key"]}]}, "else": _regions(some_models, some_model)},
        ],
    }


def _regions(claude: dict[str, Any], codex: dict[str, Any]) -> dict[str, Any]:
    region = {"properties": {"claude-code": claude, "codex": codex}}
    return {"properties": {"regions": {"items": region}}}


def _schema(kind: Kind) -> dict[str, Any]:
    if isinstance(kind, Flag):
        return {"type": "boolean"}
    if isinstance(kind, Number):
        return {"type": "number" if kind.decimal else "integer", "minimum": kind.least}
    if isinstance(kind, Scalar):
        return {"type": ["string", "number", "boolean"]}
    if isinstance(kind, Many):
        least = {"minItems": kind.least} if kind.least else {}
        return {"type": "array", "items": _schema(kind.item), **least}
    if isinstance(kind, Texts):
        if kind.names:
            properties = {name: _schema(kind.item) for name in kind.names}
            return {"type": "object", "properties": properties, "additionalProperties": False}
        names = {"pattern": kind.pattern} if kind.pattern else {}
        return {"type": "object", "propertyNames": names, "additionalProperties": _schema(kind.item)}
    if isinstance(kind, Either):
        chosen = {"type": "object", "required": [kind.key]}
        return {"if": chosen, "then": _schema(kind.first), "else": _schema(kind.second)}
    if isinstance(kind, Block):
        return _block_schema(kind)
    return _text_schema(kind)


def _block_schema(block: Block) -> dict[str, Any]:
    properties = {}
    for name, key in block.keys.items():
        schema = {"description": key.what, **_schema(key.kind)}
        if key.default not in (None, "", [], {}):
            schema["default"] = key.default
        properties[name] = schema
    required = [name for name, key in block.keys.items() if key.required]
    schema = {"title": block.title, "type": "object", "properties": properties, "additionalProperties": False}
    if required:
        schema["required"] = required
    if block is _CONDITION:
        schema["anyOf"] = [{"required": [name]} for name in ("status", "path", "contains")]
    return schema


def _text_schema(kind: Text) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    if kind.one_of:
        schema["enum"] = list(kind.one_of)
    if not kind.empty:
        schema["minLength"] = 1
    patterns = [kind.pattern] if kind.pattern else []
    if kind.url:
        patterns.append(urls.PATTERN)
    if kind.url == "claude":
        patterns.append(urls.CLAUDE_PATTERN)
    if kind.empty:
        patterns = [f"^$|{pattern}" for pattern in patterns]
    if len(patterns) == 1:
        schema["pattern"] = patterns[0]
    elif patterns:
        schema["allOf"] = [{"pattern": pattern} for pattern in patterns]
    return schema
