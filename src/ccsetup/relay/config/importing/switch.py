"""codex_cc_switch's ``all_configs.json`` (snapshot 028e36a): every key keeps its meaning, without its faults.

Its pools stay apart: Claude's upstreams are for Messages clients, Codex's for Responses, the third for Chat.  What it
did wrong: a request failed before anybody switched, switched-off upstreams were asked as a last resort, Retry-After
was ignored, a key could go to another provider.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from ccsetup.i18n import _
from ccsetup.model import WireFormat
from ccsetup.relay.config.importing.common import Imported, entries, number, read, table, text
from ccsetup.relay.config.model import Activation, Config, Cooldown, Retry, Rule, Timeouts, Window
from ccsetup.relay.config.rules import DEFAULT_RULES, first

_POOLS = ("api_configs", "codex_configs", "openai_to_claude_configs", "retry_configs")
_SETTINGS = ("model_conversions", "timeout_settings", "error_handling_strategies", "optimization_settings")

_LADDER = 10
"""Priority of ``retry_configs`` among backups: after all others."""

_CHAT_MODEL = "claude-sonnet-4-20250514"
"""What it made of every model of a Chat client that it did not know."""

_NETWORK: Mapping[str, tuple[str, ...]] = {
    "ReadError": ("cut", "protocol"),
    "ConnectError": ("connect", "tls"),
    "ReadTimeout": ("first_byte", "idle"),
}

_SILENT = (
    "write_timeout",
    "pool_timeout",
    "extended_connect_timeout",
    "retry_read_timeout",
    "primary_api_check_interval",
    "billing_cycle_delay",
    "health_check_interval",
    "billing_send_interval",
    "stream_retry_wait",
    "modify_retry_headers",
)
"""Settings of the way it worked, which have nothing to set here."""


def codex_cc_switch(data: bytes, name: str) -> tuple[Config, list[str]]:
    """Return the configuration in *data* and notes; DocumentError when it is none of this relay."""
    top = read(data, name, (*_POOLS, *_SETTINGS))
    settings = table(top.get("timeout_settings"))
    draft = Imported()
    models = _conversions(top.get("model_conversions"), draft)
    idle = number(settings, "streaming_read_timeout")
    slow = [t for t in (idle, number(settings, "non_streaming_read_timeout")) if t]
    base = _timeouts(settings, idle, max(slow, default=None))

    for item in entries(top.get("api_configs")):
        _add(draft, item, "claude", "anthropic", ("anthropic",), map=models, timeouts=base)
    headers = number(settings, "codex_connect_timeout")
    codex = entries(top.get("codex_configs"))
    backup = any(text(item, "type") == "backup" for item in codex)
    for n, item in enumerate(codex):
        # Its rule: without any backup the last one is it.
        last = {"group": "backup"} if not backup and n and n == len(codex) - 1 else {}
        timeouts = _timeouts(settings, idle, headers)
        _add(draft, item, "codex", "responses", ("responses",), map=models, timeouts=timeouts, **last)
    _chat(top, draft, base)
    _ladder(top, settings, draft, models)
    draft.check(name)
    config = Config(
        tuple(draft.upstreams),
        retry=_retry(settings, len(draft.upstreams)),
        cooldown=_cooldown(settings, draft),
        rules=(*_rules(table(top.get("error_handling_strategies")), draft), *DEFAULT_RULES),
        cache_control_limit=_cache_control(table(top.get("optimization_settings"))),
    )
    _say(top, settings, draft)
    return config, draft.notes


def _chat(top: Mapping[str, Any], draft: Imported, base: Timeouts) -> None:
    for item in entries(top.get("openai_to_claude_configs")):
        found = _add(
            draft,
            item,
            "chat",
            "anthropic",
            ("chat",),
            map=(("claude-*", "*"),),
            default_model=_CHAT_MODEL,
            timeouts=base,
        )
        if found:
            draft.note(
                _(
                    "Clients of Chat Completions get {model} for every model that is no Claude model, as before; "
                    "'default_model' and 'map' of '{name}' say otherwise."
                ).format(model=_CHAT_MODEL, name=found)
            )


def _ladder(top: Mapping[str, Any], settings: Mapping[str, Any], draft: Imported, models: Any) -> None:
    """Add ``retry_configs``, but for those that are asked anyway."""
    ladder = number(settings, "strategy_retry_read_timeout")
    known = {
        (tuple(u.endpoints.values()), u.keys) for u in draft.upstreams if u.enabled and u.accepts == ("anthropic",)
    }
    for item in entries(top.get("retry_configs")):
        before = list(draft.notes)
        timeouts = _timeouts(settings, ladder, ladder)
        fields: dict[str, Any] = {"map": models, "timeouts": timeouts, "group": "backup", "priority": _LADDER}
        found = _add(draft, item, "retry", "anthropic", ("anthropic",), **fields)
        if found and (tuple(draft.upstreams[-1].endpoints.values()), draft.upstreams[-1].keys) in known:
            draft.upstreams.pop()
            draft.notes[:] = before
            draft.note(
                _("'{name}' of retry_configs is the same as an upstream that is asked anyway.").format(
                    name=text(item, "name") or found
                )
            )


def _timeouts(settings: Mapping[str, Any], idle: Any, first_byte: Any) -> Timeouts:
    usual = Timeouts()
    return usual._replace(
        connect=number(settings, "connect_timeout") or usual.connect,
        first_byte=first_byte or usual.first_byte,
        idle=idle or usual.idle,
    )


def _add(
    draft: Imported,
    item: Mapping[str, Any],
    kind: str,
    wire: WireFormat,
    accepts: tuple[WireFormat, ...],
    **fields: Any,
) -> str:
    """Add one entry of a pool and return its name, "" when it was left out."""
    said = text(item, "name")
    days = item.get("time_enabled")
    flags = [bool(d) for d in days] if isinstance(days, list) and len(days) == 7 else [True] * 7
    open_days = frozenset(n for n, flag in enumerate(flags) if flag)
    fields.setdefault("group", "backup" if text(item, "type") == "backup" else "primary")
    fields["enabled"] = item.get("enabled", True) is not False and bool(open_days)
    if open_days and len(open_days) < 7:
        fields["windows"] = (Window(open_days),)
    if not open_days:
        draft.note(_("'{name}' has no weekday: it is switched off.").format(name=said))
    when = text(item, "activation_time")
    if item.get("activation_enabled") is True and re.fullmatch(r"(?:[01]\d|2[0-3]):[0-5]\d", when) and open_days:
        model = "claude-sonnet-4-5" if wire == "anthropic" else ""
        fields["activation"] = Activation((when,), open_days, model)
        draft.note(
            _(
                "'{name}' is activated at {time}. The other relay put this time off by a minute with each run: set it "
                "back to what you once chose."
            ).format(name=said, time=when)
        )
        if not model:
            draft.note(_("Set 'model' below 'activation' of '{name}'.").format(name=said))
    found = draft.add(said, kind, wire, text(item, "base_url"), text(item, "key"), accepts=accepts, **fields)
    return found.name if found is not None else ""


def _conversions(value: Any, draft: Imported) -> tuple[tuple[str, str], ...]:
    """Return the model map: the first enabled conversion of a model counts."""
    out: dict[str, str] = {}
    for item in entries(value):
        source, target = text(item, "source_model"), text(item, "target_model")
        if item.get("enabled", True) is False or not source or not target:
            continue
        out.setdefault(source, target)
        if text(item, "conversion_type") == "full_format":
            draft.note(
                _(
                    "{source} becomes {target}; the format is translated only where the upstream speaks another one."
                ).format(source=source, target=target)
            )
    return tuple(out.items())


def _retry(settings: Mapping[str, Any], upstreams: int) -> Retry:
    tries = int(number(settings, "max_retries") or 1)
    return Retry()._replace(attempts=min(max(Retry().attempts, upstreams + tries), 100), same=min(tries, 3))


def _cooldown(settings: Mapping[str, Any], draft: Imported) -> Cooldown:
    seconds = number(settings, "api_cooldown_seconds") or 600
    claude = int(number(settings, "api_error_threshold") or 3)
    codex = int(number(settings, "codex_error_threshold") or 3)
    if claude != codex:
        draft.note(
            _("There is one threshold for all upstreams: {n} failures.").format(n=min(claude, codex)),
        )
    # Its rests never grew; its counters knew no window, so that the rest's own length stands for one.
    return Cooldown(min(claude, codex), max(60, seconds), seconds, seconds)


def _cache_control(settings: Mapping[str, Any]) -> int:
    return 0 if settings.get("enable_cache_control_limit") is False else 3


def _rules(strategies: Mapping[str, Any], draft: Imported) -> list[Rule]:
    """Return the rows that differ from the built-in table."""
    wanted: dict[tuple[str, bool], list[int]] = {}
    for code, strategy in table(strategies.get("http_status_codes")).items():
        if code == "default":
            draft.note(_("The strategies named 'default' were never used, and are left out."))
            continue
        if not re.fullmatch(r"[1-9]\d\d", code):
            continue
        status = int(code)
        usual = first(DEFAULT_RULES, "status", status, "").action
        if strategy == "normal_retry":
            if usual != "stop":
                wanted.setdefault(("stop", status >= 500), []).append(status)
        elif strategy == "switch_api":
            if usual not in ("next_key", "next_upstream"):
                wanted.setdefault(("next_upstream", status >= 500 or status == 408), []).append(status)
        elif strategy == "strategy_retry" and usual == "stop":
            wanted.setdefault(("next_upstream", False), []).append(status)
    out = [
        Rule(action, status=_ranges(codes), counts=counts)  # type: ignore[arg-type]
        for (action, counts), codes in wanted.items()
    ]
    if any(low < 500 for rule in out for low, _high in rule.status):
        # A conversation that is too long is for the client to shorten, whatever the table says.
        out.insert(0, Rule("stop", error=("context",), counts=False))
    stopped = [n for n, s in table(strategies.get("network_errors")).items() if s == "normal_retry" and n in _NETWORK]
    if stopped:
        out.append(Rule("stop", network=tuple(kind for n in stopped for kind in _NETWORK[n])))
        draft.note(
            _(
                "{errors} have the strategy 'normal_retry': the client gets the error at once, as before. Remove the "
                "row with 'network' from 'failures' to let the relay go on to the next upstream."
            ).format(errors=", ".join(stopped))
        )
    switched = [n for n, s in table(strategies.get("network_errors")).items() if s == "switch_api" and n in _NETWORK]
    kinds = tuple(k for n in switched for k in _NETWORK[n] if first(DEFAULT_RULES, k, 0, "").action != "next_upstream")
    if kinds:
        out.append(Rule("next_upstream", network=kinds))
    return out


def _ranges(codes: list[int]) -> tuple[tuple[int, int], ...]:
    out: list[tuple[int, int]] = []
    for code in sorted(set(codes)):
        if out and out[-1][1] == code - 1:
            out[-1] = (out[-1][0], code)
        else:
            out.append((code, code))
    return tuple(out)


def _say(top: Mapping[str, Any], settings: Mapping[str, Any], draft: Imported) -> None:
    """Note what has no counterpart."""
    silent = [field for field in _SILENT if field in settings]
    if silent:
        draft.note(_("Nothing corresponds to {settings}.").format(settings=", ".join(silent)))
    if number(settings, "codex_base_timeout"):
        draft.note(
            _(
                "codex_base_timeout and codex_timeout_increment cut long answers off; here only silence ends an answer "
                "('idle'), or an hour ('total')."
            )
        )
    draft.note(
        _("Clients had the key 123, or none: make real ones with ccsetup relay key add NAME, and give them to clients.")
    )
    draft.note(
        _("The other relay could be reached from the network on port 5101; this one listens on this machine only.")
    )
    unknown = sorted(set(top).difference(_POOLS, _SETTINGS))
    if unknown:
        draft.note(_("Unknown here: {keys}.").format(keys=", ".join(unknown)))
