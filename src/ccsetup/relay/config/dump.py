"""A ``Config`` to the text of ``relay.yaml``: readable, with short comments, and without what is so anyway."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Iterable, Mapping, Optional

from ccsetup.errors import CcsetupError
from ccsetup.keys.reference import KeyRef
from ccsetup.model import Preset
from ccsetup.relay.config import dialects, rules
from ccsetup.relay.config.model import Activation, Config, PresetLoader, Rule, Upstream, Window
from ccsetup.relay.config.parse import default_auth, preset_context, preset_endpoints, preset_prices
from ccsetup.relay.config.table import VERSION
from ccsetup.relay.config.texts import DAYS
from ccsetup.relay.wire.messages import Dialect

_HEAD = """\
# The relay of ccsetup.  'ccsetup relay check' tests this file; a running relay takes it over when it changes.
# Keys are named, not written down: profile, env, file, command or keyring.
"""
_COMMENTS = {
    "listen": "Where clients find the relay.",
    "selection": "failover, round_robin, weighted or least_busy; an idle conversation stays *sticky* seconds.",
    "retry": "One budget of attempts and seconds for each request of a client.",
    "cooldown": "So many failures within a window of seconds put an upstream aside; each failed try doubles the rest.",
    "failures": "Rows in front of the built-in table of failures; the first that matches decides.",
    "limits": "Bytes of a request, and requests at a time.",
    "store": "Shared state of several relays.",
    "ping": "Seconds of silence before a client gets a sign of life.",
    "cache_control_limit": "Keep only so many cache_control marks of a request.",
    "stop_seconds": "How long running answers may go on when the relay stops.",
    "from": "Every saved profile is an upstream; only those of 'failover: [NAME, …]' answer in the place of others.",
    "upstreams": "Asked in this order, all of group primary before any of group backup.",
}


def dump(config: Config, load_preset: PresetLoader) -> str:
    """Return *config* as YAML; ``config.dump`` has the details."""
    default = Config(upstreams=())
    top: dict[str, Any] = {"listen": _changed(config.listen, default.listen)}
    top["selection"] = {
        **({"strategy": config.strategy} if config.strategy != default.strategy else {}),
        **({"sticky": config.sticky} if config.sticky != default.sticky else {}),
    }
    top["retry"] = _changed(config.retry, default.retry)
    top["cooldown"] = _changed(config.cooldown, default.cooldown)
    top["failures"] = [_rule(rule) for rule in _own(config.rules)]
    top["limits"] = _changed(config.limits, default.limits)
    top["store"] = _changed(config.store._replace(password=None), default.store)
    if config.store.password is not None:
        top["store"]["password"] = _key(config.store.password)
    for field in ("ping", "cache_control_limit", "stop_seconds"):
        if getattr(config, field) != getattr(default, field):
            top[field] = getattr(config, field)
    lines = [_HEAD + f"relay: {VERSION}"]
    for name, value in top.items():
        if value in ({}, []):
            continue
        lines += ["", f"# {_COMMENTS[name]}"]
        if isinstance(value, list):
            lines.append(f"{name}:")
            lines += [f"  - {_flow(item)}" for item in value]
        else:
            lines.append(f"{name}: {_flow(value)}")
    if config.profiles:
        lines += ["", f"# {_COMMENTS['from']}", "from: profiles"]
        lines += [f"failover: {_flow(list(config.failover))}"] if config.failover else []
    own = [upstream for upstream in config.upstreams if not upstream.saved]
    if own:
        lines += ["", f"# {_COMMENTS['upstreams']}", "upstreams:"]
    for upstream in own:
        lines += _upstream(upstream, load_preset)
    return "\n".join(lines) + "\n"


def _own(table: tuple[Rule, ...]) -> tuple[Rule, ...]:
    built_in = rules.DEFAULT_RULES
    return table[: -len(built_in)] if table[-len(built_in) :] == built_in else table


def _rule(rule: Rule) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if rule.status:
        out["status"] = [low if low == high else f"{low}-{high}" for low, high in rule.status]
    for field in ("error", "network"):
        if getattr(rule, field):
            out[field] = list(getattr(rule, field))
    if rule.body:
        out["body"] = rule.body
    out["action"] = rule.action
    if rule.cool:
        out["cool"] = rule.cool
    if rule.seconds:
        out["seconds"] = rule.seconds
    if not rule.counts:
        out["counts"] = False
    return {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in out.items()}


def _upstream(upstream: Upstream, load_preset: PresetLoader) -> list[str]:
    preset = _preset(upstream, load_preset)
    region = preset.region(upstream.region) if preset is not None else None
    default = Upstream("", {}, ())
    out: dict[str, Any] = {"name": upstream.name}
    if upstream.preset:
        out["preset"] = upstream.preset
    if upstream.region:
        out["region"] = upstream.region
    if region is None or dict(upstream.endpoints) != preset_endpoints(region):
        if len(upstream.endpoints) == 1:
            ((wire, url),) = upstream.endpoints.items()
            out.update(url=url, wire=wire)
        else:
            out["endpoints"] = dict(upstream.endpoints)
    if upstream.insecure:
        out["insecure"] = True
    if len(upstream.keys) == 1:
        out["key"] = _key(upstream.keys[0])
    elif upstream.keys:
        out["keys"] = [_key(key) for key in upstream.keys]
    if upstream.auth != default_auth(region, upstream.endpoints):
        out["auth"] = upstream.auth
    for field in ("group", "priority", "weight", "enabled", "concurrency", "proxy", "zone", "default_model"):
        if getattr(upstream, field) != getattr(default, field):
            out[field] = getattr(upstream, field)
    if upstream.windows:
        out["windows"] = [_window(window) for window in upstream.windows]
    for field in ("accepts", "models"):
        if getattr(upstream, field):
            out[field] = list(getattr(upstream, field))
    if upstream.map:
        out["map"] = dict(upstream.map)
    for field in ("headers", "defaults", "extra_body"):
        if getattr(upstream, field):
            out[field] = dict(getattr(upstream, field))
    out["timeouts"] = _changed(upstream.timeouts, default.timeouts)
    usual = {w: dialects.dialect(preset, upstream.region, w, url) for w, url in upstream.endpoints.items()}
    out["dialect"] = {w: _told(d, usual[w]) for w, d in upstream.dialect.items() if d != usual[w]}
    known = preset_prices(preset) if preset is not None else {}
    out["prices"] = {
        model: {"input": price.input, "output": price.output, **_changed(price, type(price)(price.input, price.output))}
        for model, price in upstream.prices.items()
        if known.get(model) != price
    }
    windows = preset_context(preset) if preset is not None else {}
    out["context"] = {model: size for model, size in upstream.context.items() if windows.get(model) != size}
    if upstream.activation is not None:
        out["activation"] = _activation(upstream.activation)
    return _block({k: v for k, v in out.items() if v not in ({}, [])})


def _preset(upstream: Upstream, load_preset: PresetLoader) -> Optional[Preset]:
    if not upstream.preset:
        return None
    try:
        return load_preset(upstream.preset)
    except CcsetupError:  # gone since: the file says so when it is read
        return None


def _block(entry: Mapping[str, Any]) -> list[str]:
    """Return one entry of a list; what would be a long line becomes lines."""
    lines: list[str] = []
    for key, value in entry.items():
        mark = "    " if lines else "  - "
        flat = f"{mark}{key}: {_flow(value)}"
        if not isinstance(value, (dict, list)) or len(flat) <= 100:
            lines.append(flat)
            continue
        lines.append(f"{mark}{key}:")
        if isinstance(value, dict):
            lines += [f"      {_flow(k)}: {_flow(v)}" for k, v in value.items()]
        else:
            lines += [f"      - {_flow(v)}" for v in value]
    return lines


def _changed(value: Any, default: Any) -> dict[str, Any]:
    """Return the members of a NamedTuple that differ from those of *default*."""
    out = {}
    for field, one, other in zip(value._fields, value, default, strict=True):
        if one != other:
            out[field] = list(one) if isinstance(one, tuple) else one
    return out


def _told(dialect: Dialect, usual: Dialect) -> dict[str, Any]:
    """Return what somebody said of an endpoint, also where it is what would be assumed."""
    out = {**{name: getattr(dialect, name) for name in sorted(dialect.said)}, **_changed(dialect, usual)}
    out.pop("said", None)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in out.items()}


def _key(key: KeyRef) -> dict[str, str]:
    return {key.kind: key.value}


def _window(window: Window) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if len(window.days) < 7:
        out["days"] = _days(window.days)
    out["from"], out["to"] = _time(window.start), _time(window.end)
    return out


def _activation(activation: Activation) -> dict[str, Any]:
    out = _changed(activation, Activation(()))
    if "days" in out:
        out["days"] = _days(activation.days)
    return out


def _time(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _days(days: Iterable[int]) -> Any:
    numbers = sorted(days)
    if len(numbers) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"{DAYS[numbers[0]]}-{DAYS[numbers[-1]]}"
    return [DAYS[n] for n in numbers]


_SAFE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./*@+-]*(?::[A-Za-z0-9_./*@+-]+)*")
_WORDS = ("null", "true", "false", "yes", "no", "on", "off", "y", "n")


def _flow(value: Any) -> str:
    """Return *value* on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        text = format(Decimal(repr(value)), "f")  # YAML's core schema, as it is read here, has no exponents
        return text.removesuffix(".0")
    plain = _SAFE.fullmatch(value) and value.lower() not in _WORDS
    return value if plain else json.dumps(value, ensure_ascii=False)
