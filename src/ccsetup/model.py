"""The values that flow through the program.  Pure; knows no file, no client program and no disk."""

from __future__ import annotations

from typing import Any, Literal, Mapping, Optional, Protocol, Union

from ccsetup import masking
from ccsetup.tuples import NamedTuple

ClientName = str
"""The id of a client: a key of ``ccsetup.clients.CLIENTS``."""

Version = tuple[int, int, int]
"""Of a client's program."""

WireFormat = Literal["anthropic", "responses", "chat"]
"""Anthropic Messages, OpenAI Responses, OpenAI Chat Completions."""

Auth = Literal["auth_token", "api_key"]
"""How Claude Code sends the key: ANTHROPIC_AUTH_TOKEN as a Bearer token, ANTHROPIC_API_KEY as ``x-api-key``."""

KeyStorage = Literal["inline", "env", "dotenv", "command", "keyring"]
KEY_STORAGES: tuple[KeyStorage, ...] = ("inline", "command", "keyring", "env", "dotenv")


class Secret:
    """A key.  Prints as ``***`` everywhere; ``reveal()`` is the only way to its text.

    From here on it is hidden in all that the program prints, unless it is no key for sure (*known* is false).
    """

    __slots__ = ("_text",)

    def __init__(self, text: str, *, known: bool = True) -> None:
        self._text = text
        if known:
            masking.remember(text)

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is never pickled")


class Fact(NamedTuple):
    """A setting with the reason why it is written."""

    value: str
    reason: str


class Tiers(NamedTuple):
    """Model ids for Claude Code's tiers; every tier names one, so that no Claude id reaches a third party."""

    primary: str
    haiku: str
    sonnet: str
    opus: str
    fable: str
    subagent: str


class Model(NamedTuple):
    """What is known of one model; ``None`` means not established.  Prices are per million tokens."""

    id: str
    context: Optional[int] = None
    max_output: Optional[int] = None
    price_in: Optional[float] = None
    price_out: Optional[float] = None
    price_cache_read: Optional[float] = None
    currency: str = "USD"
    vision: Optional[bool] = None
    tools: Optional[bool] = None
    regions: tuple[str, ...] = ()
    """The ids of the regions that serve it; empty: all."""


class Endpoint(Protocol):
    """What a client is to use; each client has a type of its own, a NamedTuple."""

    @property
    def base_url(self) -> str: ...


class ClaudeEndpoint(NamedTuple):
    """A provider's Anthropic Messages endpoint in one region."""

    base_url: str
    auth: Auth
    models: Optional[Tiers]
    """None: the user has to name one (preset ``custom``), or the client's own defaults are right (``anthropic``)."""
    context_window: Optional[int]
    env: Mapping[str, Fact]
    """Further variables for the ``env`` block of settings.json."""
    native_models: bool = False
    """The provider serves Anthropic's own model ids, so the tiers may stay unset."""


class CodexEndpoint(NamedTuple):
    """A provider's OpenAI endpoint in one region."""

    base_url: str
    wire: WireFormat
    model: str
    """Empty: the user has to name a model."""
    context_window: Optional[int]
    web_search: Optional[Literal["disabled", "cached", "live"]]
    """None: leave Codex's default."""
    extra_tools: bool
    """The provider takes tools that are not functions (namespaces, custom); False switches them off."""
    catalog: bool
    """Codex needs a model catalogue entry for this provider's models."""
    efforts: tuple[str, ...]
    default_effort: str
    reason: str = ""
    """For ``chat``: why Codex cannot use it directly."""
    settings: Mapping[str, Any] = {}
    """Further members of the provider's table, and top-level keys, by name."""


class Unsupported(NamedTuple):
    """The provider has no endpoint that the client can speak to."""

    reason: str


class Condition(NamedTuple):
    """Matches an answer to a key check: every given member must match."""

    status: tuple[int, ...] = ()
    path: str = ""
    """Dotted path into the JSON body; list indexes are numbers."""
    equals: tuple[Union[str, int, float, bool], ...] = ()
    """The values at *path* that match; empty: any value present matches."""
    contains: str = ""
    """Text that the raw body contains (lower case compare)."""


class KeyCheck(NamedTuple):
    """A free request that tells whether a key is good.  GET; one per line of the preset's ``verify``."""

    url: str
    auth: Literal["bearer", "raw", "x-api-key"]
    prefixes: tuple[str, ...]
    """Only for keys that begin with one of these; empty: for every key."""
    proves: bool
    """A success proves the key (False: the path is public or answers for other reasons)."""
    valid: tuple[Condition, ...]
    invalid: tuple[Condition, ...]
    no_quota: tuple[Condition, ...]
    forbidden: tuple[Condition, ...]
    balance: str
    """Dotted path of the balance in the JSON answer, or empty."""
    models: str
    """Dotted path with ``*`` to the model ids in the JSON answer (``data.*.id``), or empty."""


class KeyFamily(NamedTuple):
    """A pattern of keys, and where keys of that pattern work."""

    prefix: str
    name: str
    region: str
    """The region id of this preset where such keys work; empty: in all."""
    provider: str
    """Another preset's id when such a key does not belong to this preset; empty: it belongs here."""


class Region(NamedTuple):
    """One variant of a provider: a mainland or international site, a plan."""

    id: str
    name: str
    claude: Union[ClaudeEndpoint, Unsupported]
    codex: Union[CodexEndpoint, Unsupported]
    chat_url: str
    """Chat Completions base URL (for a relay), or empty."""
    key_url: str
    """Where a person gets a key, or empty."""
    verify: tuple[KeyCheck, ...]
    verify_note: str = ""


class LegacyUrl(NamedTuple):
    """A base URL of an older generation, so that stale settings are recognised."""

    url: str
    client: ClientName
    reason: str
    still_works: bool


class LegacyModel(NamedTuple):
    """A retired model id, and its successor."""

    id: str
    successor: str
    reason: str


class Preset(NamedTuple):
    """A provider as shipped in ``presets/<id>.yaml``, or as the user added it."""

    id: str
    name: str
    description: Mapping[str, str]
    """One line per language: ``en``, ``zh_CN``."""
    website: str
    key_env: str
    """The usual environment variable for this provider's key."""
    key_required: bool
    default_key: str
    """What to send where no key is required (local servers want any value)."""
    key_families: tuple[KeyFamily, ...]
    regions: tuple[Region, ...]
    """The first one is the default."""
    models: tuple[Model, ...]
    legacy_urls: tuple[LegacyUrl, ...]
    legacy_models: tuple[LegacyModel, ...]
    errors: Mapping[str, tuple[Condition, ...]]
    """Odd error shapes of the inference endpoints, by meaning:
    bad_key, no_quota, bad_model, forbidden, rate, wrong_region."""
    dialect: Mapping[str, Mapping[str, Any]]
    """What its endpoints take beyond, or short of, the definition of a wire format, by format: members of
    ``relay.wire.messages.Dialect``."""
    aliases: Mapping[str, str] = {}
    """Other names of it, each with the region that it means where it means just one."""

    def region(self, region_id: str) -> Optional[Region]:
        """Return the region called *region_id* ("" = default), or None."""
        if not region_id:
            return self.regions[0]
        return next((r for r in self.regions if r.id == region_id), None)

    def model(self, model_id: str) -> Optional[Model]:
        return next((m for m in self.models if m.id == model_id), None)

    def served(self, region_id: str) -> list[Model]:
        """Return the models that clients can use in the region called *region_id* ("" = default)."""
        old, here = {m.id for m in self.legacy_models}, region_id or self.regions[0].id
        return [m for m in self.models if m.id not in old and (not m.regions or here in m.regions)]


class PresetSummary(NamedTuple):
    """What a list shows of a preset, without loading it."""

    id: str
    name: str
    description: Mapping[str, str]
    regions: tuple[str, ...]
    clients: tuple[ClientName, ...]
    """Clients that can use it directly."""
    user: bool
    """It comes from the user's own presets folder."""
    by_relay: tuple[ClientName, ...] = ()
    """Clients that can use it through the relay only, which translates."""
