"""The text of ``relay.yaml`` to a ``Config``.  Pure, but for presets, which a function that is passed in loads."""

from __future__ import annotations

import re
from typing import Any, Literal, Mapping, Optional, cast

from ccsetup import profiles, urls
from ccsetup.documents import yamldoc
from ccsetup.documents.schema import Reading, nearest
from ccsetup.documents.yamldoc import Node
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint, CodexEndpoint, Preset, Region, WireFormat
from ccsetup.relay.config import dialects, rules
from ccsetup.relay.config.model import (
    KEY_KINDS,
    Activation,
    Config,
    Cooldown,
    KeyRef,
    Limits,
    Listen,
    PresetLoader,
    Price,
    Retry,
    Rule,
    StoreSettings,
    Timeouts,
    Upstream,
    Window,
)
from ccsetup.relay.wire.messages import Dialect

VERSION = 1

WIRES: tuple[WireFormat, ...] = ("anthropic", "responses", "chat")
STRATEGIES = ("failover", "round_robin", "weighted", "least_busy")
ACTIONS = ("retry", "next_key", "next_upstream", "stop")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_FIELDS = (
    "relay",
    "listen",
    "selection",
    "retry",
    "cooldown",
    "failures",
    "limits",
    "store",
    "ping",
    "cache_control_limit",
    "stop_seconds",
    "upstreams",
)
_UPSTREAM = (
    "name",
    "preset",
    "region",
    "url",
    "wire",
    "endpoints",
    "key",
    "keys",
    "group",
    "priority",
    "weight",
    "enabled",
    "windows",
    "zone",
    "accepts",
    "models",
    "map",
    "default_model",
    "headers",
    "auth",
    "timeouts",
    "concurrency",
    "proxy",
    "dialect",
    "prices",
    "activation",
    "insecure",
)

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:]+\]?"
_PROXY = r"http://[A-Za-z0-9.\[\]:-]+"
_STORE = r"rediss?://(?:[A-Za-z0-9._~%-]+@)?(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?(?:/\d{1,3})?"
_DAY = 86400

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105  the grammar of a header's name
_OWN_HEADERS = (
    *("host", "content-length", "content-type", "content-encoding", "accept-encoding", "transfer-encoding"),
    *("connection", "keep-alive", "te", "trailer", "upgrade", "expect", "cookie", "cookie2"),
)
_KEY_HEADER = r"(?:^|.*[-_])(?:authorization|authentication|api-?key|access-?key|token|secret|password|key)$"


def parse(data: bytes, name: str, load_preset: PresetLoader) -> Config:
    """Return what *data* says; ``config.parse`` has the details."""
    return _Parser(Reading(name), load_preset).config(yamldoc.parse(data, name))


class _Parser:
    def __init__(self, reading: Reading, load_preset: PresetLoader) -> None:
        self._r = reading
        self._load = load_preset

    def config(self, root: Node) -> Config:
        r = self._r
        top = r.mapping(root, _FIELDS, required=("relay",))
        if top["relay"].value != VERSION or isinstance(top["relay"].value, bool):
            r.fail(
                top["relay"],
                _("This is not version {version} of the configuration.").format(version=VERSION),
                _("It begins with the line: relay: {version}").format(version=VERSION),
            )
        fields: dict[str, Any] = {}
        if "listen" in top:
            fields["listen"] = self._listen(top["listen"])
        if "selection" in top:
            body = r.mapping(top["selection"], ("strategy", "sticky"))
            if "strategy" in body:
                fields["strategy"] = r.choice(body["strategy"], _("strategy"), STRATEGIES)
            if "sticky" in body:
                fields["sticky"] = r.number(body["sticky"], 0, 7 * _DAY)
        if "retry" in top:
            fields["retry"] = self._retry(top["retry"])
        if "cooldown" in top:
            fields["cooldown"] = self._cooldown(top["cooldown"])
        own = [self._rule(node) for node in r.items(top["failures"])] if "failures" in top else []
        fields["rules"] = (*own, *rules.DEFAULT_RULES)
        if "limits" in top:
            body = r.mapping(top["limits"], Limits._fields)
            sizes = {"body": (1024, 1 << 30), "requests": (1, 100_000)}
            fields["limits"] = Limits(**{k: r.whole(v, *sizes[k]) for k, v in body.items()})
        if "store" in top:
            fields["store"] = self._store(top["store"])
        if "ping" in top:
            fields["ping"] = r.number(top["ping"], 0, 3600)
        if "cache_control_limit" in top:
            fields["cache_control_limit"] = r.whole(top["cache_control_limit"], 0, 100)
        if "stop_seconds" in top:
            fields["stop_seconds"] = r.number(top["stop_seconds"], 0, _DAY)
        nodes = r.items(top["upstreams"]) if "upstreams" in top else []
        if not nodes:
            r.fail(top.get("upstreams", root), _("There has to be at least one upstream."))
        upstreams: list[Upstream] = []
        for node in nodes:
            upstream = self._upstream(node)
            if any(u.name.lower() == upstream.name.lower() for u in upstreams):
                place = r.table(node)["name"]
                r.fail(place, _("Upstream '{name}' is here twice.").format(name=upstream.name))
            upstreams.append(upstream)
        return Config(upstreams=tuple(upstreams), **fields)

    # The parts that all upstreams share.

    def _listen(self, node: Node) -> Listen:
        r = self._r
        body = r.mapping(node, Listen._fields)
        out: dict[str, Any] = {}
        if "host" in body:
            out["host"] = r.match(body["host"], _HOST, _("This is not a host or an address."))
        if "port" in body:
            out["port"] = r.whole(body["port"], 0, 65535)
        for field in ("tls_cert", "tls_key"):
            if field in body:
                out[field] = r.text(body[field])
        if ("tls_cert" in out) != ("tls_key" in out):
            r.fail(node, _("'tls_cert' and 'tls_key' go together."))
        if "names" in body:
            problem = _("This is not a host name.")
            out["names"] = tuple(r.match(n, _HOST, problem) for n in r.one_or_more(body["names"]))
        for field in ("keyless", "plain"):
            if field in body:
                out[field] = r.flag(body[field])
        return Listen(**out)

    def _retry(self, node: Node) -> Retry:
        r = self._r
        body = r.mapping(node, Retry._fields)
        out: dict[str, Any] = {}
        for field, low, high in (("attempts", 1, 100), ("same", 0, 20)):
            if field in body:
                out[field] = r.whole(body[field], low, high)
        for name, least, most in (("seconds", 1, _DAY), ("backoff", 0, 60), ("backoff_max", 0, 600), ("jitter", 0, 1)):
            if name in body:
                out[name] = r.number(body[name], least, most)
        return Retry(**out)

    def _cooldown(self, node: Node) -> Cooldown:
        r = self._r
        body = r.mapping(node, Cooldown._fields)
        out: dict[str, Any] = {}
        if "failures" in body:
            out["failures"] = r.whole(body["failures"], 1, 1000)
        for field, low in (("window", 1), ("seconds", 0), ("maximum", 0)):
            if field in body:
                out[field] = r.number(body[field], low, 7 * _DAY)
        cooldown = Cooldown(**out)
        if cooldown.maximum < cooldown.seconds:
            r.fail(body.get("maximum", node), _("'maximum' is less than 'seconds'."))
        return cooldown

    def _rule(self, node: Node) -> Rule:
        r = self._r
        known = ("status", "error", "body", "network", "action", "cool", "seconds", "counts")
        body = r.mapping(node, known, required=("action",))
        out: dict[str, Any] = {"action": r.choice(body["action"], _("action"), ACTIONS)}
        if "status" in body:
            out["status"] = tuple(self._range(n) for n in r.one_or_more(body["status"]))
        if "error" in body:
            out["error"] = tuple(r.choice(n, _("error"), rules.ERRORS) for n in r.one_or_more(body["error"]))
        if "body" in body:
            out["body"] = r.text(body["body"]).lower()
        if "network" in body:
            out["network"] = tuple(
                r.choice(n, _("network failure"), rules.NETWORK) for n in r.one_or_more(body["network"])
            )
            if len(out) > 2:
                r.fail(node, _("A network failure has neither status nor body."))
        if len(out) == 1:
            r.fail(node, _("This matches nothing in particular: give 'status', 'error', 'body' or 'network'."))
        if "cool" in body:
            out["cool"] = r.choice(body["cool"], _("thing to put aside"), ("key", "upstream"))
        if "seconds" in body:
            if "cool" not in body:
                r.fail(body["seconds"], _("'seconds' goes with 'cool: key' or 'cool: upstream'."))
            out["seconds"] = r.number(body["seconds"], 0, 30 * _DAY)
        if "counts" in body:
            out["counts"] = r.flag(body["counts"])
        return Rule(**out)

    def _range(self, node: Node) -> tuple[int, int]:
        r = self._r
        if isinstance(node.value, str):
            low, high = (
                int(n) for n in r.match(node, r"[1-9]\d\d-[1-9]\d\d", _("A range is written as 500-599.")).split("-")
            )
            if low > high:
                r.fail(node, _("A range is written as 500-599."))
            return low, high
        status = r.whole(node, 100, 999)
        return status, status

    def _store(self, node: Node) -> StoreSettings:
        r = self._r
        body = r.mapping(node, StoreSettings._fields)
        out: dict[str, Any] = {}
        if "url" in body:
            if re.search(r"://[^/]*:[^/]*@", r.text(body["url"])):
                r.fail(body["url"], _("The URL holds a password: it goes below 'password'."), "password: {env: NAME}")
            out["url"] = r.match(body["url"], _STORE, _("This is not an address such as redis://host:6379/0."))
        if "password" in body:
            out["password"] = self._key(body["password"])
            if out["password"].kind == "profile":
                r.fail(body["password"], _("A profile has no password of a store."))
        if "prefix" in body:
            problem = _("Use letters, digits, '-', '_', '.' and ':'.")
            out["prefix"] = r.match(body["prefix"], r"[A-Za-z0-9._:-]{1,64}", problem)
        if "days" in body:
            out["days"] = r.whole(body["days"], 1, 3650)
        return StoreSettings(**out)

    # One upstream.

    def _upstream(self, node: Node) -> Upstream:
        r = self._r
        body = r.mapping(node, _UPSTREAM, required=("name",))
        name = r.match(
            body["name"],
            NAME,
            _("An upstream's name has letters, digits, '.', '-' and '_', at most 64, and begins with none of these."),
        )
        preset, region = self._preset(body)
        insecure = r.flag(body["insecure"]) if "insecure" in body else False
        endpoints = self._endpoints(node, body, region, insecure)
        out: dict[str, Any] = {"name": name, "endpoints": endpoints, "insecure": insecure}
        if preset is not None:
            out["preset"] = preset.id
            out["region"] = r.text(body["region"]) if "region" in body else ""
        out["keys"] = self._keys(node, body, preset, endpoints)
        if "group" in body:
            out["group"] = r.choice(body["group"], _("group"), ("primary", "backup"))
        for field, low, high in (("priority", -1000, 1000), ("weight", 1, 1000), ("concurrency", 0, 100_000)):
            if field in body:
                out[field] = r.whole(body[field], low, high)
        if "enabled" in body:
            out["enabled"] = r.flag(body["enabled"])
        if "windows" in body:
            out["windows"] = tuple(self._window(n) for n in r.one_or_more(body["windows"]))
        if "zone" in body:
            out["zone"] = self._zone(body["zone"])
        if "accepts" in body:
            formats = r.one_or_more(body["accepts"])
            out["accepts"] = tuple(r.choice(n, _("wire format"), WIRES) for n in formats)
        if "models" in body:
            out["models"] = tuple(r.text(n) for n in r.one_or_more(body["models"]))
        if "map" in body:
            out["map"] = tuple((key, r.text(value)) for key, value in r.table(body["map"]).items())
        if "default_model" in body:
            out["default_model"] = r.text(body["default_model"])
        if "headers" in body:
            out["headers"] = self._headers(body["headers"])
        out["auth"] = self._auth(body, region, endpoints)
        if "timeouts" in body:
            times = r.mapping(body["timeouts"], Timeouts._fields)
            out["timeouts"] = Timeouts(**{k: r.number(v, 0, _DAY) for k, v in times.items()})
        if "proxy" in body:
            out["proxy"] = self._proxy(body["proxy"])
        out["dialect"] = self._dialect(body.get("dialect"), preset, out.get("region", ""), endpoints)
        out["prices"] = self._prices(body.get("prices"), preset)
        if "activation" in body:
            out["activation"] = self._activation(body["activation"])
        return Upstream(**out)

    def _preset(self, body: Mapping[str, Node]) -> tuple[Optional[Preset], Optional[Region]]:
        r = self._r
        if "preset" not in body:
            if "region" in body:
                r.fail(body["region"], _("'region' goes with 'preset'."))
            return None, None
        try:
            preset = self._load(r.text(body["preset"]))
        except CcsetupError as error:
            r.refuse(body["preset"], error)
        region_id = r.text(body["region"]) if "region" in body else ""
        region = preset.region(region_id)
        if region is None:
            known = tuple(x.id for x in preset.regions)
            r.unknown((body["region"].line, body["region"].column), _("region"), region_id, known)
        return preset, region

    def _endpoints(
        self, node: Node, body: Mapping[str, Node], region: Optional[Region], insecure: bool
    ) -> Mapping[WireFormat, str]:
        r = self._r
        if "endpoints" in body and "url" in body:
            r.fail(body["url"], _("Give 'url' with 'wire', or 'endpoints', not both."))
        if ("url" in body) != ("wire" in body):
            r.fail(body.get("url", body.get("wire", node)), _("'url' and 'wire' go together."), "wire: anthropic")
        given: dict[WireFormat, Node] = {}
        if "url" in body:
            given[r.choice(body["wire"], _("wire format"), WIRES)] = body["url"]
        elif "endpoints" in body:
            given = cast("dict[WireFormat, Node]", r.mapping(body["endpoints"], WIRES))
            if not given:
                r.fail(body["endpoints"], _("This is empty."))
        if given:
            return {wire: self._url(given[wire], wire, insecure) for wire in WIRES if wire in given}
        found = preset_endpoints(region) if region is not None else {}
        if not found:
            r.fail(
                node,
                _("This upstream has no address."),
                _("Give 'preset', or 'url' with 'wire', or 'endpoints'."),
            )
        return found

    def _url(self, node: Node, wire: WireFormat, insecure: bool) -> str:
        url = base_url(self._r.text(node), wire)
        problem = url_problem(url, insecure=insecure)
        if problem:
            hint = ""
            if url.startswith("http://") and not urls.problem("https" + url[4:]):
                hint = _("If there is no other way: 'insecure: true' in this upstream.")
            self._r.fail(node, problem, hint)
        return url

    def _keys(
        self, node: Node, body: Mapping[str, Node], preset: Optional[Preset], endpoints: Mapping[WireFormat, str]
    ) -> tuple[KeyRef, ...]:
        r = self._r
        if "key" in body and "keys" in body:
            r.fail(body["key"], _("Give 'key' or 'keys', not both."))
        if "key" in body:
            return (self._key(body["key"]),)
        keys = tuple(self._key(n) for n in r.items(body["keys"])) if "keys" in body else ()
        if len(set(keys)) < len(keys):
            r.fail(body["keys"], _("The same key is here twice."))
        free = preset is not None and not preset.key_required
        if not keys and not free and not all(_near(url) for url in endpoints.values()):
            r.fail(node, _("This upstream has no key."), "key: {env: NAME}")
        return keys

    def _key(self, node: Node) -> KeyRef:
        r = self._r
        if not isinstance(node.value, dict):
            r.fail(node, _("A key is named by where it comes from."), "key: {env: NAME}, key: {profile: NAME}")
        body = r.mapping(node, KEY_KINDS)
        if len(body) != 1:
            r.fail(node, _("A key has one of: {kinds}.").format(kinds=", ".join(KEY_KINDS)), "key: {env: NAME}")
        kind, value = next(iter(body.items()))
        text = r.text(value)
        if kind == "env" and not re.fullmatch(_VARIABLE, text):
            r.fail(value, _("This is not the name of a variable."), _("A key itself goes below 'inline'."))
        if kind == "profile" and (not profiles.NAME.match(text) or text in profiles.RESERVED):
            r.fail(value, _("This is not the name of a saved profile."))
        if kind == "inline" and not re.fullmatch(r"[!-~]+", text):
            r.fail(value, _("This has a character that no key has."))
        return KeyRef(kind, text)

    def _window(self, node: Node) -> Window:
        r = self._r
        body = r.mapping(node, ("days", "from", "to"))
        if not body:
            r.fail(node, _("This is empty."))
        out: dict[str, Any] = {}
        if "days" in body:
            out["days"] = self._days(body["days"])
        if "from" in body:
            out["start"] = self._minutes(body["from"])
        if "to" in body:
            out["end"] = self._minutes(body["to"], last=True)
        return Window(**out)

    def _minutes(self, node: Node, *, last: bool = False) -> int:
        pattern = _TIME + ("|24:00" if last else "")
        hours, minutes = self._r.match(node, pattern, _('A time is written as "09:30".')).split(":")
        return int(hours) * 60 + int(minutes)

    def _days(self, node: Node) -> frozenset[int]:
        r = self._r
        found: set[int] = set()
        for entry in r.one_or_more(node):
            for word in r.text(entry).lower().split(","):
                first, _dash, last = (w.strip() for w in word.partition("-"))
                for day in (first, last or first):
                    if day not in DAYS:
                        r.unknown((entry.line, entry.column), _("day"), day, DAYS)
                begin, end = DAYS.index(first), DAYS.index(last or first)
                found.update(d % 7 for d in range(begin, end + 1 if end >= begin else end + 8))
        if not found:
            r.fail(node, _("This is empty."))
        return frozenset(found)

    def _zone(self, node: Node) -> str:
        import zoneinfo

        zone = self._r.match(node, r"[A-Za-z0-9+_-]+(?:/[A-Za-z0-9+_-]+)*", _("This is not a time zone."))
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            hint = nearest(zone, tuple(sorted(zoneinfo.available_timezones())))
            self._r.fail(
                node,
                _("unknown time zone '{zone}'.").format(zone=zone),
                _("Did you mean '{field}'?").format(field=hint) if hint else _("Such as Asia/Shanghai."),
            )
        return zone

    def _headers(self, node: Node) -> Mapping[str, str]:
        r = self._r
        body = r.table(node)
        out: dict[str, str] = {}
        for name, value in body.items():
            at = yamldoc.Node(name, *node.keys[name], {})
            if not re.fullmatch(_TOKEN, name):
                r.fail(at, _("This is not the name of a header."))
            lower = name.lower()
            if re.match(_KEY_HEADER, lower):
                r.fail(at, _("A header that carries a key is not written here."), _("Keys go below 'keys'."))
            if lower in _OWN_HEADERS or lower.startswith("proxy-"):
                r.fail(at, _("The relay sets this header itself."))
            if lower in (n.lower() for n in out):
                r.fail(at, _("The key '{key}' appears twice.").format(key=name))
            out[name] = r.match(value, r"[!-~](?:[ -~]*[!-~])?", _("A header has plain ASCII text."))
        return out

    def _auth(self, body: Mapping[str, Node], region: Optional[Region], endpoints: Mapping[WireFormat, str]) -> Any:
        if "auth" in body:
            return self._r.choice(body["auth"], _("way to send the key"), ("bearer", "x-api-key"))
        return default_auth(region, endpoints)

    def _proxy(self, node: Node) -> str:
        text = self._r.text(node)
        if "@" in text:
            self._r.fail(
                node,
                _("A password of a proxy is not written here."),
                _("Leave 'proxy' out, and set HTTPS_PROXY where the relay runs."),
            )
        if text != "none":
            self._r.match(node, _PROXY, _("This is neither http://host:port nor none."))
        return text

    def _dialect(
        self, node: Optional[Node], preset: Optional[Preset], region: str, endpoints: Mapping[WireFormat, str]
    ) -> Mapping[WireFormat, Dialect]:
        r = self._r
        out = {wire: dialects.dialect(preset, region, wire, url) for wire, url in endpoints.items()}
        if node is None:
            return out
        for wire, members in r.mapping(node, tuple(endpoints)).items():
            found: dict[str, Any] = {}
            # An empty value means "no limit" here, so that fields without a value are kept.
            r.mapping(members, Dialect._fields)
            for field, value in r.table(members).items():
                found[field] = self._member(field, value)
            out[cast(WireFormat, wire)] = out[cast(WireFormat, wire)]._replace(**found)
        return out

    def _member(self, field: str, node: Node) -> Any:
        r = self._r
        default = getattr(Dialect(), field)
        if field == "max_output":
            return None if node.value is None else r.whole(node, 1, 100_000_000)
        if field == "hosted":
            return tuple(r.text(n) for n in r.items(node))
        if isinstance(default, bool):
            return r.flag(node)
        known = DIALECT_CHOICES.get(field)
        return r.choice(node, _("value"), known) if known else r.text(node, empty=True)

    def _prices(self, node: Optional[Node], preset: Optional[Preset]) -> Mapping[str, Price]:
        r = self._r
        out = dict(preset_prices(preset)) if preset is not None else {}
        if node is None:
            return out
        for model, value in r.table(node).items():
            body = r.mapping(value, Price._fields, required=("input", "output"))
            numbers: dict[str, Any] = {k: r.number(v, 0, 1e6) for k, v in body.items() if k != "currency"}
            if "currency" in body:
                numbers["currency"] = r.match(body["currency"], r"[A-Z]{3}", _("A currency is written as USD or CNY."))
            out[model] = Price(**numbers)
        return out

    def _activation(self, node: Node) -> Activation:
        r = self._r
        body = r.mapping(node, Activation._fields, required=("times",))
        problem = _('A time is written as "09:30".')
        out: dict[str, Any] = {"times": tuple(r.match(n, _TIME, problem) for n in r.one_or_more(body["times"]))}
        if not out["times"]:
            r.fail(body["times"], _("This is empty."))
        if "days" in body:
            out["days"] = self._days(body["days"])
        for field in ("model", "prompt"):
            if field in body:
                out[field] = r.text(body[field])
        return Activation(**out)


DIALECT_CHOICES: Mapping[str, tuple[str, ...]] = {
    "thinking_switch": ("", "thinking", "reasoning_effort", "enable_thinking", "reasoning"),
    "max_tokens_field": ("max_tokens", "max_completion_tokens"),
}


def preset_endpoints(region: Region) -> Mapping[WireFormat, str]:
    """Return the addresses of *region* by wire format."""
    out: dict[WireFormat, str] = {}
    claude, codex = region.claude, region.codex
    if isinstance(claude, ClaudeEndpoint) and claude.base_url:
        out["anthropic"] = base_url(claude.base_url, "anthropic")
    if isinstance(codex, CodexEndpoint) and codex.wire == "responses" and codex.base_url:
        out["responses"] = base_url(codex.base_url, "responses")
    chat = region.chat_url or (codex.base_url if isinstance(codex, CodexEndpoint) and codex.wire == "chat" else "")
    if chat:
        out["chat"] = base_url(chat, "chat")
    return out


def preset_prices(preset: Preset) -> Mapping[str, Price]:
    return {
        m.id: Price(m.price_in, m.price_out, m.price_cache_read, None, m.currency)
        for m in preset.models
        if m.price_in is not None and m.price_out is not None
    }


def default_auth(region: Optional[Region], endpoints: Mapping[WireFormat, str]) -> Literal["bearer", "x-api-key"]:
    """Return how a Messages endpoint gets its key when the file does not say."""
    if region is not None and isinstance(region.claude, ClaudeEndpoint):
        return "x-api-key" if region.claude.auth == "api_key" else "bearer"
    return "x-api-key" if endpoints.get("anthropic", "").startswith("https://api.anthropic.com") else "bearer"


def base_url(url: str, wire: WireFormat) -> str:
    """Return *url* without what the relay appends itself: people copy whole addresses from documentation."""
    tidy = profiles.claude_url if wire == "anthropic" else profiles.codex_url
    while (shorter := tidy(url)) != url:
        url = shorter
    return url


def url_problem(url: str, *, insecure: bool) -> str:
    """Return why *url* cannot be an upstream's, or "".  Plain http is for near machines, as everywhere in ccsetup."""
    problem = urls.problem(url)
    if problem and insecure and url.startswith("http://"):
        return urls.problem("https" + url.removeprefix("http"))
    return problem


def _near(url: str) -> bool:
    """Tell whether *url* is on this machine or its own network: servers there often want no key."""
    return not urls.problem("http://" + url.partition("://")[2])
