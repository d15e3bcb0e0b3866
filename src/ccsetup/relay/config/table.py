"""What ``relay.yaml`` may say; ``parse`` makes a ``Config`` of it.  Pure."""

from __future__ import annotations

from typing import Any, Mapping

from ccsetup.documents.schema import (
    CURRENCY,
    Block,
    Document,
    Flag,
    Key,
    Kind,
    Many,
    Mapped,
    Number,
    Path,
    String,
)
from ccsetup.i18n import _
from ccsetup.keys.reference import ENV, Reference
from ccsetup.model import WireFormat
from ccsetup.relay.config import rules, texts
from ccsetup.relay.config.model import (
    Activation,
    Cooldown,
    Limits,
    Listen,
    Price,
    Retry,
    Rule,
    StoreSettings,
    Timeouts,
    Window,
)
from ccsetup.relay.wire.messages import Dialect

VERSION = 1

WIRES: tuple[WireFormat, ...] = ("anthropic", "responses", "chat")
_DAY = 86400

NAME = String(
    "[A-Za-z0-9][A-Za-z0-9._-]{0,63}",
    lambda: _("An upstream's name has letters, digits, '.', '-' and '_', at most 64, and begins with none of these."),
)
_PROFILE = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
_HOST = String(
    r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:]+\]?",
    lambda: _("This is not a host or an address."),
)
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_TIME = String(_CLOCK, lambda: _('A time is written as "09:30".'))
DIALECT_CHOICES: Mapping[str, tuple[str, ...]] = {
    "thinking_switch": ("", "thinking", "reasoning_effort", "enable_thinking", "reasoning"),
    "max_tokens_field": ("max_tokens", "max_completion_tokens"),
}


def _seconds(low: float = 0, high: float = _DAY) -> Number:
    return Number(low, high, decimal=True, unit="seconds")


def _some(item: Kind, least: int = 0) -> Many:
    """Return a list, which may be left out around its one entry."""
    return Many(item, least, single=True, make=tuple)


# What concerns several keys of a block.


def _listen(at: Document, given: dict[str, Any], path: Path) -> None:
    if ("tls_cert" in given) != ("tls_key" in given):
        at.fail(path, _("'tls_cert' and 'tls_key' go together."))


def _cooldown(at: Document, given: dict[str, Any], path: Path) -> None:
    cooldown = Cooldown(**given)
    if cooldown.maximum < cooldown.seconds:
        at.fail((*path, "maximum"), _("'maximum' is less than 'seconds'."))


def _rule(at: Document, given: dict[str, Any], path: Path) -> None:
    found = {"status", "error", "body", "network"} & set(given)
    if "network" in found and len(found) > 1:
        at.fail(path, _("A network failure has neither status nor body."))
    if not found:
        at.fail(path, _("This matches nothing in particular: give 'status', 'error', 'body' or 'network'."))
    if "seconds" in given and "cool" not in given:
        at.fail((*path, "seconds"), _("'seconds' goes with 'cool: key' or 'cool: upstream'."))


def _window(at: Document, given: dict[str, Any], path: Path) -> None:
    if not given:
        at.fail(path, _("This is empty."))


def _file(at: Document, given: dict[str, Any], path: Path) -> None:
    given["profiles"] = "profiles" in given
    if "upstreams" not in given and not given["profiles"]:
        at.missing(path, "upstreams")
    if "failover" in given and not given["profiles"]:
        at.fail((*path, "failover"), _("'failover' goes with 'from: profiles'."))


# The tables.

_PLACES = {
    "env": ENV,
    "file": String(),
    "command": String(),
    "keyring": String(),
    "inline": String("[!-~]+", lambda: _("This has a character that no key has.")),
}
_PASSWORD = Reference(_PLACES)
_KEY = Reference({"profile": String(make=texts.profile, schema={"pattern": f"^{_PROFILE}$"}), **_PLACES})
KEY_KINDS = tuple(_KEY.kinds)

_DAYS = Key(
    Many(String(make=texts.days), 1, single=True, make=lambda days: frozenset().union(*days)),
    "mon-fri, or a list of days; every day where it is missing",
)

_LISTEN = Block(
    "Where clients find the relay",
    {
        "host": Key(_HOST, "Beyond this machine it needs client keys, and TLS or `plain`"),
        "port": Key(Number(0, 65535), "0 takes a free one"),
        "tls_cert": Key(String(), "The certificate with its chain, PEM; goes with `tls_key`"),
        "tls_key": Key(String(), "Its key, without a passphrase"),
        "names": Key(_some(_HOST), "Further names that a Host header may carry"),
        "keyless": Key(Flag(), "Take requests without a key; refused beyond this machine"),
        "plain": Key(Flag(), "Plain http beyond this machine, because something in front of the relay ends TLS"),
    },
    make=Listen,
    rule=_listen,
    blank=True,
    schema={"dependentRequired": {"tls_cert": ["tls_key"], "tls_key": ["tls_cert"]}},
)
_SELECTION = Block(
    "Which upstream is asked",
    {
        "strategy": Key(
            String(one_of=("failover", "round_robin", "weighted", "least_busy")),
            "Who of the upstreams with the same group and priority is asked first",
        ),
        "sticky": Key(_seconds(0, 7 * _DAY), "An idle conversation stays so long with its upstream; 0: not at all"),
    },
    make=dict,
    blank=True,
)
_RETRY = Block(
    "How often, and how long, a request is tried",
    {
        "attempts": Key(Number(1, 100), "Requests to upstreams for one request of a client, in all"),
        "same": Key(Number(0, 20), "Further attempts on the same upstream for the action `retry`"),
        "seconds": Key(_seconds(1), "No new attempt begins later than this after the request came"),
        "backoff": Key(_seconds(0, 60), "Wait before the first further attempt; doubles each time"),
        "backoff_max": Key(_seconds(0, 600), "The longest wait"),
        "jitter": Key(Number(0, 1, decimal=True), "The part of the wait that is random"),
    },
    make=Retry,
    blank=True,
)
_COOLDOWN = Block(
    "When an upstream is put aside",
    {
        "failures": Key(Number(1, 1000), "So many failures put an upstream aside"),
        "window": Key(_seconds(1, 7 * _DAY), "The time in which they have to happen"),
        "seconds": Key(_seconds(0, 7 * _DAY), "The first rest; doubles with each try that fails"),
        "maximum": Key(_seconds(0, 7 * _DAY), "The longest rest"),
    },
    make=Cooldown,
    rule=_cooldown,
    blank=True,
)
_RULE = Block(
    "A row of the table of failures",
    {
        "status": Key(_some(texts.Status()), "Statuses of the answer, such as 529 or 500-599"),
        "error": Key(_some(String(one_of=rules.ERRORS)), "What the answer means, whatever its status"),
        "body": Key(String(make=str.lower), "What the answer has in it, in any case"),
        "network": Key(_some(String(one_of=rules.NETWORK)), "A failure without an answer"),
        "action": Key(String(one_of=("retry", "next_key", "next_upstream", "stop")), "What is done", required=True),
        "cool": Key(String(one_of=("key", "upstream")), "What rests at once, whatever the thresholds say"),
        "seconds": Key(_seconds(0, 30 * _DAY), "How long; 0: as in `cooldown`; goes with `cool`"),
        "counts": Key(Flag(), "The failure counts toward the upstream's threshold"),
    },
    make=Rule,
    rule=_rule,
    blank=True,
    schema={
        "oneOf": [
            {"required": ["network"]},
            {"anyOf": [{"required": [name]} for name in ("status", "error", "body")]},
        ],
        "dependentRequired": {"seconds": ["cool"]},
    },
)
_LIMITS = Block(
    "What the relay takes at most",
    {
        "body": Key(Number(1024, 1 << 30, unit="bytes"), "A request; a larger one gets 413"),
        "requests": Key(Number(1, 100_000), "Requests at a time; more get 503 with Retry-After"),
    },
    make=Limits,
    blank=True,
)
_STORE_BLOCK = Block(
    "Where usage and state are kept",
    {
        "url": Key(
            String(make=texts.store_url, schema={"pattern": f"^{texts.STORE}$"}),
            "redis://host:port/db, for the state that several relays share; empty: SQLite alone",
        ),
        "password": Key(_PASSWORD, "Where its password comes from"),
        "prefix": Key(
            String("[A-Za-z0-9._:-]{1,64}", lambda: _("Use letters, digits, '-', '_', '.' and ':'.")),
            "What the names in the server begin with",
        ),
        "days": Key(Number(1, 3650, unit="days"), "Single requests are kept so long in SQLite; sums by day stay"),
    },
    make=StoreSettings,
    blank=True,
)
_WINDOW = Block(
    "A time in which the upstream may be asked",
    {
        "days": _DAYS,
        "from": Key(
            String(_CLOCK, _TIME.problem, make=texts.minutes), "By the clock on the wall of `zone`", field="start"
        ),
        "to": Key(
            String(_CLOCK + "|24:00", _TIME.problem, make=texts.minutes),
            "Over midnight when it is not later than `from`",
            field="end",
        ),
    },
    make=Window,
    rule=_window,
    blank=True,
    schema={"minProperties": 1},
)
_TIMEOUTS = Block(
    "Time limits; 0 is none",
    {
        "connect": Key(_seconds(), "For a connection, TLS included"),
        "first_byte": Key(_seconds(), "To the first event of a stream, or to the head of another answer"),
        "idle": Key(_seconds(), "Between two pieces of an answer that has begun"),
        "total": Key(_seconds(), "For the whole request"),
    },
    make=Timeouts,
    blank=True,
)
_MONEY = Number(0, 1e6, decimal=True)
_PRICE = Block(
    "Prices per million tokens",
    {
        "input": Key(_MONEY, "Input", required=True),
        "output": Key(_MONEY, "Output, reasoning included", required=True),
        "cache_read": Key(_MONEY, "Cached input; as `input` where it is missing"),
        "cache_write": Key(_MONEY, "Input that is cached; as `input` where it is missing"),
        "currency": Key(CURRENCY, "Currencies are never added up"),
    },
    make=Price,
    blank=True,
)
_ACTIVATION = Block(
    "Small requests at given times",
    {
        "times": Key(_some(_TIME, 1), "By the clock on the wall of `zone`", required=True),
        "days": _DAYS,
        "model": Key(String(), "The upstream's `default_model` where it is missing"),
        "prompt": Key(String(), "What is asked, for at most 16 tokens"),
    },
    make=Activation,
    blank=True,
)
_DEFAULTS = Block(
    "For requests whose client named none",
    {
        "temperature": Key(Number(0, 2, decimal=True), "How much chance there is in an answer"),
        "top_p": Key(Number(0, 1, decimal=True), "The share of likely tokens that are chosen from"),
        "max_tokens": Key(Number(1, 100_000_000, unit="tokens"), "The longest answer, whatever the format calls it"),
    },
    make=dict,
    blank=True,
)
_DIALECT_TEXTS = {
    "official": "Anthropic's or OpenAI's own endpoint: verifies signatures, and knows every field",
    "reasoning_field": "Chat: the member that carries the thinking of earlier turns; empty: none is sent",
    "thinking_switch": "Chat: how thinking is switched; empty: not at all",
    "images": "It takes images",
    "system": "It takes system texts; else they stand in front of what the user says first",
    "system_between": "It takes system messages after the first message",
    "developer": "Chat: it knows the role `developer`",
    "max_tokens_field": "Chat: what the limit is called",
    "stream_usage": "Chat: it takes `stream_options`",
    "hosted": "Types of tools that it runs itself",
    "max_output": "The largest limit that it takes; empty: any",
    "cache_control": "Messages: it takes `cache_control` marks",
    "structured": "It takes a JSON schema for the answer",
    "betas": "Messages: it takes `anthropic-beta` and the members that belong to it",
    "signatures": "It takes back reasoning that is signed or encrypted",
    "compaction": "Responses: it has `/responses/compact`, and knows `compaction_trigger`",
    "simple_schemas": "It refuses schemas of tools that are not in their simplest form",
    "history_tools": "It wants the tools that the history calls to be offered",
    "without": "Members that it refuses, such as `temperature` or `tools.strict`",
}


def _member(field: str) -> Kind:
    if field == "max_output":
        return Number(1, 100_000_000, null=True, unit="tokens")
    if field in ("hosted", "without"):
        return Many(String(), make=tuple)
    if field in DIALECT_CHOICES:
        return String(one_of=DIALECT_CHOICES[field])
    return Flag() if isinstance(getattr(Dialect(), field), bool) else String(empty=True)


_DIALECT = Block(
    "What an endpoint takes beyond, or short of, the definition of its format",
    {field: Key(_member(field), what, default=getattr(Dialect(), field)) for field, what in _DIALECT_TEXTS.items()},
    make=dict,
)
UPSTREAM = Block(
    "A provider that the relay asks",
    {
        "name": Key(NAME, "Letters, digits, `.`, `-`, `_`", required=True),
        "preset": Key(String(), "Addresses, prices and dialect come from this preset"),
        "region": Key(String(), "One of the preset's; the first where it is missing"),
        "url": Key(String(), "Address, for one format"),
        "wire": Key(String(one_of=WIRES), "Its format; goes with `url`"),
        "endpoints": Key(
            Block("Addresses by format", {wire: Key(String(), "Address") for wire in WIRES}, make=dict, blank=True),
            "Addresses, for several formats, in the place of `url`",
        ),
        "key": Key(_KEY, "Where its key comes from"),
        "keys": Key(Many(_KEY, make=tuple), "Several keys; a new conversation gets the least used one"),
        "group": Key(String(one_of=("primary", "backup")), "Backups are asked when no primary can be"),
        "priority": Key(Number(-1000, 1000), "Lower is asked first inside a group"),
        "weight": Key(Number(1, 1000), "For `weighted` and `least_busy`"),
        "enabled": Key(Flag(), "false: never asked"),
        "windows": Key(_some(_WINDOW), "When it may be asked; empty: always"),
        "zone": Key(
            String("[A-Za-z0-9+_-]+(?:/[A-Za-z0-9+_-]+)*", lambda: _("This is not a time zone."), make=texts.zone),
            "Time zone of `windows` and `activation`, such as Asia/Shanghai",
        ),
        "accepts": Key(_some(String(one_of=WIRES)), "Formats of the clients that it is for; empty: all"),
        "models": Key(_some(String()), "Names and globs of models that clients may ask it for; empty: all"),
        "map": Key(Mapped(String(), String(empty=True)), "Name or glob of a model, to its own name of that model"),
        "default_model": Key(String(), "For every model that `map` does not name"),
        "headers": Key(
            texts.Headers(
                String(r"[!-~](?:[ -~]*[!-~])?", lambda: _("A header has plain ASCII text.")),
                String(
                    "[!#$%&'*+.^_`|~0-9A-Za-z-]+", lambda: _("This is not the name of a header."), make=texts.header
                ),
            ),
            "Sent besides, or in the place of the client's; none that carries a key",
        ),
        "defaults": Key(_DEFAULTS, "For requests whose client named none"),
        "extra_body": Key(
            Mapped(texts.Json(), String(make=texts.member)),
            "Members of a request, where the client said nothing of them",
        ),
        "auth": Key(String(one_of=("bearer", "x-api-key")), "How a Messages endpoint gets the key"),
        "timeouts": Key(_TIMEOUTS, "Time limits"),
        "concurrency": Key(Number(0, 100_000), "Requests at a time; 0 is no limit"),
        "proxy": Key(
            String(make=texts.proxy, schema={"pattern": f"^(?:none|{texts.PROXY})$"}),
            "http://host:port, or none; as the environment says where it is missing",
        ),
        "dialect": Key(Mapped(_DIALECT, String(one_of=WIRES)), "By format, what the relay does not know of it"),
        "prices": Key(Mapped(_PRICE, String(empty=True)), "By model, where the preset has none or others"),
        "context": Key(
            Mapped(Number(0, 1_000_000_000, unit="tokens"), String(empty=True)),
            "The window of a model, where the preset does not say it or the server has another one; 0: not known",
        ),
        "activation": Key(_ACTIVATION, "Small requests at given times"),
        "insecure": Key(Flag(), "Plain http to a host that is not near: keys and prompts can be read on the way"),
    },
    make=dict,
    blank=True,
    schema={
        "anyOf": [{"required": [name]} for name in ("preset", "url", "endpoints")],
        "dependentRequired": {"url": ["wire"], "wire": ["url"], "region": ["preset"]},
        "not": {"anyOf": [{"required": ["key", "keys"]}, {"required": ["url", "endpoints"]}]},
    },
)
FILE = Block(
    "The configuration of the relay, relay.yaml",
    {
        "relay": Key(Number(VERSION, VERSION), "The version of the format", field="", required=True),
        "listen": Key(_LISTEN, "Where clients find the relay"),
        "selection": Key(_SELECTION, "Which upstream is asked"),
        "retry": Key(_RETRY, "How often, and how long, a request is tried"),
        "cooldown": Key(_COOLDOWN, "When an upstream is put aside"),
        "failures": Key(Many(_RULE, make=tuple), "Rows in front of the table of failures"),
        "limits": Key(_LIMITS, "What the relay takes at most"),
        "store": Key(_STORE_BLOCK, "Where usage and state are kept"),
        "ping": Key(_seconds(0, 3600), "Silence before a client gets a sign of life; 0: never"),
        "cache_control_limit": Key(Number(0, 100), "Keep only so many cache_control marks of a request; 0: all"),
        "stop_seconds": Key(_seconds(), "How long running answers may go on after the relay was told to stop"),
        "from": Key(
            String(one_of=("profiles",)),
            "Every saved profile is an upstream, behind those of `upstreams`; one of that name there counts instead",
            field="profiles",
        ),
        "failover": Key(
            _some(String(_PROFILE)), "Saved profiles that may answer in the place of others, in this order; with `from`"
        ),
        "upstreams": Key(Many(UPSTREAM, 1), "The providers; may be left out with `from`"),
    },
    make=dict,
    rule=_file,
    blank=True,
    schema={
        "anyOf": [{"required": ["upstreams"]}, {"required": ["from"]}],
        "dependentRequired": {"failover": ["from"]},
    },
)
