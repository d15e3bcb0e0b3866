"""``ccsetup relay check``: the configuration, every upstream, and which way requests take."""

from __future__ import annotations

import sys
import time
from typing import Any, Mapping, Optional, Sequence

import typer

from ccsetup.cli import _options, _output, _relay, _test_show
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base, _up, use
from ccsetup.clients import CLIENTS
from ccsetup.i18n import _
from ccsetup.model import Secret, WireFormat
from ccsetup.plan import Note
from ccsetup.probe.target import Credential, Target, TierModel
from ccsetup.probe.verdict import EXIT, LayerStep, Report, worst
from ccsetup.profiles import reserved
from ccsetup.relay.config import dangers, secrets
from ccsetup.relay.config.model import Config, Upstream
from ccsetup.relay.config.switchboard import UNSET, Switchboard
from ccsetup.relay.routing import routes
from ccsetup.relay.routing.choice import Ask, wire_for
from ccsetup.relay.routing.failover import Pool

EPILOG = _("Exit codes: 1 the configuration cannot be used; else as ccsetup test, by the worst of the upstreams.")

WIRES: tuple[tuple[WireFormat, str, str], ...] = (
    ("anthropic", "Messages", "/v1/messages"),
    ("responses", "Responses", "/v1/responses"),
    ("chat", "Chat", "/v1/chat/completions"),
)
"""Wire format, what people call it, and where the relay takes it."""


def command(
    quick: bool = _options.QUICK,
    offline: bool = typer.Option(False, "--offline", help=_("Ask no upstream; look at the configuration alone.")),
    config: Optional[str] = _base.CONFIG,
    as_json: bool = _options.JSON,
    verbose: bool = _options.VERBOSE,
    lang: Optional[str] = _options.LANG,
) -> int:
    context = Context()
    at = _base.here(context, config)
    found = _base.load(context, at)
    clients = _base.load_keys(context, at)
    valid = [k for k in clients.keys if k.revoked is None and (k.expires is None or k.expires > time.time())]
    board = _relay.led(context)
    lost = routes.lost(found.upstreams, board)
    context.notes.extend(_relay.led_notes(board, lost))
    refused = [*dangers.refusals(found, bool(valid)), *_ambiguous(found)]
    for text in (*_base.with_saved(context, found)[1], *_up.unseen(context, found), *dangers.warnings(found)):
        context.notes.append(Note("warning", text))
    if not valid and not found.listen.keyless and not refused:
        context.notes.append(
            Note("warning", _("No client has a key for the relay."), _("Make one with: ccsetup relay key add NAME"))
        )
    table = ways(found, board)
    if not as_json:
        _output.line(
            _("{file} is valid; upstreams: {n}.").format(file=context.paths.short(at.config), n=len(found.upstreams))
        )
        for text in refused:
            _output.line(_output.paint(_("refused"), "31") + ": " + text)
        _output.line()
        _show_ways([way for way in table if not reserved.use_of(way["model"])])
        _output.line()
        _output.line(_("What the clients of profile 'relay' ask for:"))
        use.show(board, use.leads(found.upstreams, board))
        _output.line()
        _output.line("\n".join(_thinking(found)))
        _output.line()
        sys.stdout.flush()
    targets = [] if offline else _targets(context, found)
    reports, interrupted = _probe(targets, quick=quick, quiet=as_json, verbose=verbose)
    code = 130 if interrupted else 1 if refused else EXIT[worst(r.verdict for r in reports)] if reports else 0
    if as_json:
        result = {
            "config": at.config,
            "refused": refused,
            "ways": table,
            "use": {**board._asdict(), "lost": lost},
            "targets": [r.json() for r in reports],
            "interrupted": interrupted,
            "exit_code": code,
        }
        _output.print_json("relay check", result, context.notes)
        return code
    _output.print_notes(context.notes)
    return code


def _ambiguous(config: Config) -> list[str]:
    text = _(
        "'{id}' is a model of upstream '{owner}', and names upstream '{name}' with a model of its own: rename '{name}'."
    )
    out = [text.format(id=id, owner=owner, name=name) for id, owner, name in routes.ambiguous(config.upstreams)]
    text = _("'{id}' of upstream '{name}' is a name that clients ask the relay itself for: give it another there.")
    named = ((u.name, m) for u in config.upstreams for m in (*u.models, *(p for p, _n in u.map), u.default_model))
    return out + [text.format(id=model, name=name) for name, model in named if reserved.use_of(model)]


# Which way requests take.


def names(config: Config) -> list[str]:
    """Return the models that can be asked for by name, the clients' own names, and ``*`` for every other one."""
    return [*reserved.MODELS, *routes.advertised(config.upstreams), "claude-*", "gpt-*", "*"]


def _thinking(config: Config) -> list[str]:
    """Return what a model's name with ``-thinking`` does, and where it does nothing."""
    dull = [u.name for u in config.upstreams if "chat" in u.endpoints and not u.dialect["chat"].thinking_switch]
    return [
        _("NAME-thinking: the model NAME with thinking switched on"),
        *("  " + _("not with Chat at {name}: no 'thinking_switch'").format(name=name) for name in dull),
    ]


def ways(config: Config, board: Switchboard = UNSET) -> list[dict[str, Any]]:
    """Return for each client format and model the upstreams in the order in which they are asked."""
    pool = Pool(config, board=board)
    now = time.time()
    out: list[dict[str, Any]] = []
    for wire, title, path in WIRES:
        for model in names(config):
            order = []
            ask = Ask(wire, model)
            for upstream, why in pool.candidates(ask, now):
                if why in ("model", "format"):
                    continue
                order.append(
                    {
                        "upstream": upstream.name,
                        "group": upstream.group,
                        "wire": wire_for(upstream, wire),
                        "model": pool.model(ask, upstream)[0],
                        "now": not why,
                        "why": why,
                    }
                )
            out.append({"wire": wire, "format": title, "path": path, "model": model, "upstreams": order})
    return out


def _show_ways(routes: Sequence[dict[str, Any]]) -> None:
    blocks: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}
    for wire, title, path in WIRES:
        rows: dict[tuple[str, ...], list[str]] = {}
        for route in (r for r in routes if r["wire"] == wire):
            model = _("any other") if route["model"] == "*" else route["model"]
            steps = tuple(_step(u, wire) for u in route["upstreams"]) or (_("no upstream serves it"),)
            rows.setdefault(steps, []).append(model)
        # Models that go the same way share a line, and formats with the same ways a table.
        table = tuple((", ".join(models), steps) for steps, models in rows.items())
        blocks.setdefault(table, []).append(f"{title} ({path})")
    for table, titles in blocks.items():
        for one in titles:
            _output.line(one)
        text = _output.columns([[models, " → ".join(steps)] for models, steps in table])
        room = _output.terminal_width()
        if room and any(_output.width(line) > room for line in text.split("\n")):
            text = "\n".join(f"  {models}\n    " + "\n    → ".join(steps) for models, steps in table)
        _output.line(_output.safe(text))


def _step(one: dict[str, Any], wire: str) -> str:
    text: str = one["upstream"]
    if one["model"] != "*":
        text += f": {one['model']}"
    marks = []
    if one["wire"] != wire:
        marks.append(_("translated to {wire}").format(wire=one["wire"]))
    if one["group"] == "backup":
        marks.append(_("backup"))
    if one["why"]:
        marks.append(_("not now: {reason}").format(reason=_base.why(one["why"])))
    return text + (f" ({', '.join(marks)})" if marks else "")


# The upstreams themselves.


def _targets(context: Context, config: Config) -> list[Target]:
    read = secrets.read(config, context.paths)
    for problem in read.problems:
        context.notes.append(Note("warning", problem))
    out = []
    for upstream in (u for u in config.upstreams if u.enabled):
        own = read.by_upstream.get(upstream.name, ())
        for wire, url in upstream.endpoints.items():
            for index, key in enumerate(own or (None,)):
                number = f" {index + 1}" if len(own) > 1 else ""
                out.append(_target(context, upstream, wire, url, key, f"{upstream.name}{number} ({wire})", bool(own)))
    return out


def _target(
    context: Context,
    upstream: Upstream,
    wire: WireFormat,
    url: str,
    key: Optional[Secret],
    label: str,
    needs_key: bool,
) -> Target:
    preset = context.preset(upstream.preset) if upstream.preset else None
    region = preset.region(upstream.region) if preset is not None else None
    plain = wire == "anthropic" and upstream.auth == "x-api-key"
    credentials: tuple[Credential, ...] = ()
    if key is not None:
        header, scheme = ("x-api-key", "") if plain else ("authorization", "Bearer")
        credentials = (Credential(header, scheme, key, label),)
    findings = (Note("blocked", _("Its key cannot be read.")),) if needs_key and key is None else ()
    served = dict.fromkeys(
        name
        for name in (upstream.default_model, *(n for _p, n in upstream.map), *upstream.models)
        if name and not any(c in name for c in "*?[")
    )
    speaker = next(c for c in CLIENTS.values() if c.wire == wire or c.wire != "anthropic" != wire)
    return Target(
        label=label,
        client=speaker.id,
        user_agent=speaker.user_agent,
        kind="profile",
        wire=wire,
        base_url=url,
        credentials=credentials,
        models=tuple(TierModel("model", name) for name in served),
        environ=_environ(context, upstream),
        findings=findings,
        headers=upstream.headers,
        preset=preset,
        region=region,
        extra={"betas": False, "web_search": "disabled", "extra_tools": False},
    )


def _environ(context: Context, upstream: Upstream) -> Mapping[str, str]:
    """Return the variables for the test, with the upstream's own proxy in the place of the shell's."""
    if not upstream.proxy:
        return context.paths.environ
    proxies = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    environ = {n: v for n, v in context.paths.environ.items() if n.lower() not in proxies}
    own = {} if upstream.proxy == "none" else {"HTTP_PROXY": upstream.proxy, "HTTPS_PROXY": upstream.proxy}
    return {**environ, **own, **{n.lower(): v for n, v in own.items()}}


def _probe(targets: Sequence[Target], *, quick: bool, quiet: bool, verbose: bool) -> tuple[list[Report], bool]:
    from ccsetup.probe import run

    options = run.ProbeOptions("quick" if quick else "normal", 30.0, True)
    reports, interrupted = run.probe(targets, options)
    if not quiet:
        for target, report in zip(targets, reports, strict=True):
            _output.line(f"{target.label} · {target.about()['base_url']}")
            shown: list[LayerStep] = [s for s in report.steps if verbose or s.verdict != "skipped"]
            for step in shown:
                _output.line(_test_show.step_text(step, verbose))
            _output.line(_test_show.summary(report))
    return reports, interrupted
