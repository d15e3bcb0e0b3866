"""``ccsetup relay explain``: what a recorded request becomes on its way to an upstream."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Mapping, Optional

import typer

from ccsetup import bounded
from ccsetup.cli import _options, _output, _relay
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.model import WireFormat
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.routing.choice import Ask, wire_for
from ccsetup.relay.routing.failover import Pool
from ccsetup.relay.wire.messages import BadRequest, Dialect

if TYPE_CHECKING:
    from ccsetup.relay.reporting.explain import Explanation

EPILOG = _("Example: ccsetup relay explain request.json --upstream siliconflow")

_WIRES: Mapping[str, WireFormat] = {
    "messages": "anthropic",
    "anthropic": "anthropic",
    "responses": "responses",
    "chat": "chat",
}
_MOST = 64 << 20


def command(
    file: str = typer.Argument(
        ..., metavar="FILE", help=_("A request as JSON: its body, or a record with 'body' in it; - for standard input.")
    ),
    origin: Optional[str] = typer.Option(
        None,
        "--from",
        metavar="WIRE",
        help=_("The client's format, where it cannot be told: messages, responses, chat."),
    ),
    wire: Optional[str] = typer.Option(
        None, "--wire", metavar="WIRE", help=_("Show it for this format of an upstream: messages, responses or chat.")
    ),
    upstream: Optional[str] = typer.Option(
        None, "--upstream", metavar="NAME", help=_("Show it for this upstream; the first that serves it if left out.")
    ),
    config: Optional[str] = _base.CONFIG,
    body_only: bool = typer.Option(False, "--body", help=_("Print only the body that the upstream gets.")),
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    from ccsetup.relay.reporting import explain

    context = Context()
    body, value, path = _body(file)
    file = _named(file)
    source = _wire(origin, "--from") or _by_path(path) or recognise(value)
    one, target, model, thinks = _way(
        context, config, upstream, _wire(wire, "--wire"), source, str(value.get("model", ""))
    )
    try:
        found = explain.explain(source, body, one, target, model, thinks=thinks)
    except BadRequest as e:
        where = f"{file}: {e.param}: " if e.param else f"{file}: "
        raise UsageError(
            where + e.message, hint=_("If it is of another format, say which: --from messages, responses or chat.")
        ) from None
    if body_only:
        sys.stdout.write(_pretty(found.body) + "\n")
        return 0
    if as_json:
        result = {
            "upstream": one.name,
            "wire_in": found.wire_in,
            "wire_out": found.wire_out,
            "asked": found.asked,
            "model": found.model,
            "changed": found.body != body,
            "body": json.loads(found.body),
            "losses": [{"path": path, "what": text} for path, text in found.losses],
        }
        _output.print_json("relay explain", result, context.notes)
        return 0
    _show(found, one.name, same=found.body == body)
    _output.print_notes(context.notes)
    return 0


def _show(found: Explanation, upstream: str, *, same: bool) -> None:
    rows = [
        [_("Upstream"), upstream or "-"],
        [_("Format"), found.wire_in if found.wire_in == found.wire_out else f"{found.wire_in} → {found.wire_out}"],
        [_("Model"), found.asked if found.asked == found.model else f"{found.asked} → {found.model}"],
    ]
    _output.line(_output.safe(_output.columns(rows, indent="")))
    _output.line()
    if same:
        _output.line(_("The upstream gets the client's own bytes."))
    else:
        _output.line(_output.safe(_pretty(found.body)))
    _output.line()
    if found.losses:
        _output.line(_("Not carried over:"))
        _output.line(_output.safe(_output.columns([[path, text] for path, text in found.losses])))
    else:
        _output.line(_("Nothing is lost."))


def _body(file: str) -> tuple[bytes, dict[str, Any], str]:
    """Return the request's body, its value, and the path to which it went, where the file tells it."""
    try:
        data = bounded.stream(sys.stdin.buffer, _MOST, _named(file)) if file == "-" else bounded.given(file, _MOST)
    except OSError as e:
        raise UsageError(_("{file} cannot be read: {reason}").format(file=file, reason=e.strerror)) from None
    file = _named(file)
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError(_("{file} is not JSON.").format(file=file)) from None
    path = str(value.get("path", "")) if isinstance(value, dict) else ""
    inner = value.get("body") if isinstance(value, dict) and "model" not in value else None
    if isinstance(inner, str):
        try:
            data, value = inner.encode(), json.loads(inner)
        except (ValueError, RecursionError):
            raise UsageError(_("{file}: its body is not JSON.").format(file=file)) from None
    elif isinstance(inner, dict):
        data, value = json.dumps(inner, ensure_ascii=False, separators=(",", ":")).encode(), inner
    if not isinstance(value, dict):
        raise UsageError(_("{file} is no request: it holds no JSON object.").format(file=file))
    return data, value, path


def _named(file: str) -> str:
    return _("standard input") if file == "-" else file


def _by_path(path: str) -> Optional[WireFormat]:
    found = re.search(r"/(messages|responses|chat)(?:/completions)?(?:[?#]|$)", path)
    return _WIRES[found[1]] if found else None


def _wire(text: Optional[str], option: str) -> Optional[WireFormat]:
    if text is None:
        return None
    if text not in _WIRES:
        raise UsageError(
            _("{option}: '{value}' is no format. Valid ones: messages, responses, chat").format(
                option=option, value=_output.safe(text)
            )
        )
    return _WIRES[text]


def recognise(value: Mapping[str, Any]) -> WireFormat:
    """Return the format of a request by what only one of them has."""
    if "input" in value or "instructions" in value:
        return "responses"
    tools = [t for t in value.get("tools") or () if isinstance(t, dict)]
    messages = [m for m in value.get("messages") or () if isinstance(m, dict)]
    if any("function" in t for t in tools) or any(m.get("role") in ("tool", "developer") for m in messages):
        return "chat"
    if any("input_schema" in t for t in tools) or {"system", "thinking", "metadata", "stop_sequences"} & set(value):
        return "anthropic"
    blocks = [b for m in messages if isinstance(m.get("content"), list) for b in m["content"] if isinstance(b, dict)]
    if any(b.get("type") in ("tool_use", "tool_result", "thinking") or "cache_control" in b for b in blocks):
        return "anthropic"
    if any(m.get("role") == "system" for m in messages) or "stream_options" in value or "max_tokens" not in value:
        return "chat"
    return "anthropic"


def _way(
    context: Context,
    config: Optional[str],
    name: Optional[str],
    wire: Optional[WireFormat],
    source: WireFormat,
    model: str,
) -> tuple[Upstream, WireFormat, str, bool]:
    """Return the upstream, the format in which it gets the request, its name of the model, and whether it thinks."""
    at = _base.here(context, config)
    if name is None and wire is not None:
        return Upstream("", {wire: ""}, (), dialect={wire: Dialect()}), wire, model, False
    found = _base.load(context, at)
    pool, ask = Pool(found, board=_relay.led(context)), Ask(source, model)
    if name is not None:
        one = next((u for u in found.upstreams if u.name == name), None)
        if one is None:
            raise UsageError(
                _("There is no upstream '{name}'. There are: {known}").format(
                    name=_output.safe(name), known=", ".join(u.name for u in found.upstreams)
                )
            )
    else:
        never = ("disabled", "format", "model")
        one = next((u for u, why in pool.candidates(ask, time.time()) if why not in never), None)
        if one is None:
            raise UsageError(
                _("No upstream serves the model '{name}'.").format(name=_output.safe(model)),
                hint=_("Say which one with --upstream NAME."),
            )
    if wire is None:
        wire = wire_for(one, source)
    if wire not in one.endpoints:
        raise UsageError(
            _("Upstream '{name}' has no endpoint for {wire}. It has: {known}").format(
                name=one.name, wire=wire, known=", ".join(one.endpoints)
            )
        )
    return one, wire, *pool.model(ask, one)


def _pretty(body: bytes) -> str:
    return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
