"""What ``relay.yaml`` says, as values: ``parse`` makes them of its text, ``dump`` makes text of them."""

from __future__ import annotations

from typing import Any, Callable, Literal, Mapping, NamedTuple, Optional, Union

from ccsetup.keys.reference import KeyRef
from ccsetup.model import Preset, WireFormat
from ccsetup.relay.wire.messages import Dialect

Group = Literal["primary", "backup"]
Strategy = Literal["failover", "round_robin", "weighted", "least_busy"]
Action = Literal["retry", "next_key", "next_upstream", "stop"]

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 5101


class Window(NamedTuple):
    """When an upstream may be used; from *start* to *end* in minutes of the day, over midnight when end <= start."""

    days: frozenset[int] = frozenset(range(7))
    """0 is Monday; the day on which the window begins."""
    start: int = 0
    end: int = 24 * 60


class Timeouts(NamedTuple):
    """Seconds; 0 is no limit."""

    connect: float = 10
    first_byte: float = 120
    """From the request's last byte to the answer's first event; for an answer that is not a stream, to its head."""
    idle: float = 120
    """Between two pieces of an answer that has begun."""
    total: float = 3600


class Activation(NamedTuple):
    """A small request at given times, to start a provider's billing window."""

    times: tuple[str, ...]
    """``HH:MM`` in the upstream's time zone."""
    days: frozenset[int] = frozenset(range(7))
    model: str = ""
    """Empty: the upstream's default model."""
    prompt: str = "hi"


class Price(NamedTuple):
    """Per million tokens."""

    input: float
    output: float
    cache_read: Optional[float] = None
    """None: as input."""
    cache_write: Optional[float] = None
    currency: str = "USD"


class Upstream(NamedTuple):
    name: str
    endpoints: Mapping[WireFormat, str]
    """Base URL by wire format, as in profiles: Messages without ``/v1``, the others with it."""
    keys: tuple[KeyRef, ...]
    group: Group = "primary"
    priority: int = 0
    """Lower is asked first inside a group; equal ones keep the file's order."""
    weight: int = 1
    enabled: bool = True
    windows: tuple[Window, ...] = ()
    """Empty: always."""
    zone: str = ""
    """IANA time zone of windows and activation; empty: the machine's."""
    models: tuple[str, ...] = ()
    """Names and globs that clients may ask it for; empty: all."""
    map: tuple[tuple[str, str], ...] = ()
    """(name or glob, the upstream's name), first match; exact names go before globs.  ``*``: the name as asked."""
    default_model: str = ""
    """For every model that *map* does not name; empty: the name as it was asked."""
    headers: Mapping[str, str] = {}
    """Sent besides; never a key."""
    auth: Literal["bearer", "x-api-key"] = "bearer"
    """How a Messages endpoint gets the key; the other formats always get a bearer token."""
    timeouts: Timeouts = Timeouts()
    concurrency: int = 0
    """Requests at a time; 0 is no limit."""
    proxy: str = ""
    """``http://host:port``; "" as the environment says, "none" for none."""
    preset: str = ""
    """The preset it was made of: prices, dialect."""
    region: str = ""
    dialect: Mapping[WireFormat, Dialect] = {}
    """Complete: for each endpoint."""
    prices: Mapping[str, Price] = {}
    """By the upstream's model name; complete: the preset's, overridden by the file's."""
    activation: Optional[Activation] = None
    accepts: tuple[WireFormat, ...] = ()
    """Formats of the clients that it is for; empty: all, translated where it has no endpoint for them."""
    insecure: bool = False
    """The user wants plain http over the internet, keys and all."""
    defaults: Mapping[str, Union[int, float]] = {}
    """temperature, top_p and max_tokens of requests whose client named none."""
    extra_body: Mapping[str, Any] = {}
    """Members of the endpoint's own format, where the client's request has none of that name."""
    context: Mapping[str, int] = {}
    """Tokens that the window of a model has, by the upstream's name of it; 0: not known.  Complete, as *prices*."""
    saved: bool = False
    """The file does not name it: it is a saved profile, and goes with that (``Config.profiles``)."""

    def model(self, asked: str) -> str:
        """Return the upstream's name for the model *asked*."""
        from fnmatch import fnmatchcase

        found = next((name for pattern, name in self.map if pattern == asked), "")
        found = found or next((name for pattern, name in self.map if fnmatchcase(asked, pattern)), self.default_model)
        return asked if found in ("", "*") else found

    def serves(self, asked: str) -> bool:
        """Tell whether clients may ask it for the model *asked*."""
        from fnmatch import fnmatchcase

        return not self.models or any(fnmatchcase(asked, pattern) for pattern in self.models)


class Rule(NamedTuple):
    """One row of the table of failures: all given members have to match; the first row that matches decides."""

    action: Action
    status: tuple[tuple[int, int], ...] = ()
    """Inclusive ranges; empty: any status, but no network failure."""
    network: tuple[str, ...] = ()
    """connect, tls, first_byte, idle, cut, protocol; given: only network failures."""
    body: str = ""
    """Text that the body has; lower case, and compared so."""
    cool: Literal["", "key", "upstream"] = ""
    """What is put aside at once, whatever the thresholds say."""
    seconds: float = 0
    """How long; 0: as ``Cooldown.seconds``, or Retry-After where that is longer."""
    counts: bool = True
    """The failure counts toward the upstream's threshold."""
    error: tuple[str, ...] = ()
    """What the answer means (an ``ErrorKind``), whatever status and shape the provider gave it."""


class Retry(NamedTuple):
    attempts: int = 6
    """Requests to upstreams for one request of a client, in all."""
    same: int = 1
    """Further attempts on the same upstream for the action ``retry``."""
    seconds: float = 300
    """No new attempt begins later than this after the request came."""
    backoff: float = 0.25
    """Seconds before the first further attempt on the same upstream; doubles each time."""
    backoff_max: float = 8
    jitter: float = 0.25
    """Part of the wait that is random."""


class Cooldown(NamedTuple):
    failures: int = 3
    window: float = 60
    """Seconds in which that many failures put an upstream aside."""
    seconds: float = 60
    """The first rest; each half-open probe that fails doubles it."""
    maximum: float = 900


class Listen(NamedTuple):
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    tls_cert: str = ""
    tls_key: str = ""
    names: tuple[str, ...] = ()
    """Further names that a Host header may carry, besides the address and localhost."""
    keyless: bool = False
    """Take requests without a key; only on loopback."""
    plain: bool = False
    """Plain http beyond loopback, because something in front of the relay ends TLS."""


class Limits(NamedTuple):
    body: int = 64 << 20
    """Bytes of a request."""
    requests: int = 4096
    """At a time; more get 503 with Retry-After."""


class StoreSettings(NamedTuple):
    url: str = ""
    """``redis://host:port/db`` for shared state; empty: SQLite alone.  A password comes from *password*."""
    password: Optional[KeyRef] = None
    prefix: str = "ccsetup"
    days: int = 90
    """Single requests are kept so long; sums by day stay."""


class Config(NamedTuple):
    upstreams: tuple[Upstream, ...]
    """Those of the file, and then, with *profiles*, those that ``compose.with_saved`` adds."""
    listen: Listen = Listen()
    strategy: Strategy = "failover"
    sticky: float = 300
    """Seconds that an idle conversation stays with its upstream; 0: not at all."""
    retry: Retry = Retry()
    cooldown: Cooldown = Cooldown()
    rules: tuple[Rule, ...] = ()
    """The file's rows, and then ``rules.DEFAULT_RULES``: complete."""
    limits: Limits = Limits()
    store: StoreSettings = StoreSettings()
    ping: float = 10
    """Seconds of silence before a client gets a sign of life; 0: never."""
    cache_control_limit: int = 0
    """Keep so many cache_control marks of a Messages request (the first ones); 0: all."""
    stop_seconds: float = 30
    """How long running answers may go on after the relay was told to stop."""
    profiles: bool = False
    """Every saved profile is an upstream."""
    failover: tuple[str, ...] = ()
    """Saved profiles that may answer in the place of others, in this order; the rest may not."""

    def helps(self, upstream: Upstream) -> bool:
        """Tell whether *upstream* may answer in the place of another one."""
        return not upstream.saved or upstream.name in self.failover


PresetLoader = Callable[[str], Preset]
