"""The parts of the documentation that come from the relay's own tables; ``tools/docs.py`` puts them into the pages."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
RELAY = ROOT / "src" / "ccsetup" / "relay"

TITLES = {"anthropic": "Messages", "responses": "Responses", "chat": "Chat Completions"}


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])


def _code(*words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


def failures() -> str:
    """Return the built-in table of failures."""
    from ccsetup.relay.config.rules import DEFAULT_RULES

    rows = []
    for number, rule in enumerate(DEFAULT_RULES, 1):
        when = []
        if rule.error:
            when.append("error " + _code(*rule.error))
        if rule.status == ((0, 999),):
            when.append("any other status")
        elif rule.status:
            when.append("status " + _code(*(low if low == high else f"{low}-{high}" for low, high in rule.status)))
        if rule.network:
            when.append("network " + _code(*rule.network))
        if rule.body:
            when.append(f"body has `{rule.body}`")
        rest = "" if not rule.cool else f"{rule.cool}" + (f", {rule.seconds:g} s" if rule.seconds else "")
        rows.append([str(number), ", ".join(when), f"`{rule.action}`", rest, "yes" if rule.counts else "no"])
    return _table(["", "When", "Action", "Rests at once", "Counts"], rows)


def losses() -> str:
    """Return every loss of a translation, by format."""
    from ccsetup.relay.reporting import explain

    out = []
    for wire, title in TITLES.items():
        found = {code: sentence for one, code, sentence in explain.losses() if one == wire}
        asked, sent = _directions(wire)
        for way, codes in ((f"A client's request in {title}", asked), (f"To an upstream that speaks {title}", sent)):
            rows = [[f"`{code}`", found[code]] for code in found if code in codes]
            out.append(f"### {way}\n\n" + _table(["Loss", "What happens"], rows))
    return "\n\n".join(out)


def _directions(wire: str) -> tuple[set[str], set[str]]:
    """Return the codes that reading and that writing a request of a format can tell."""
    import importlib

    reads = importlib.import_module(f"ccsetup.relay.wire.{wire}.request_in")
    writes = importlib.import_module(f"ccsetup.relay.wire.{wire}.request_out")
    return set(reads.LOSSES), set(writes.LOSSES)


def metrics() -> str:
    """Return the names of the metrics, from what the relay itself writes."""
    from ccsetup.relay.reporting.metrics import Metrics
    from ccsetup.relay.routing.choice import UpstreamStatus
    from ccsetup.relay.store import UsageRow

    found = Metrics()
    found.refused("chat", 401)
    found.observe(
        UsageRow(0, "", "", "a", 0, "", "", "chat", "chat", 200, "", 1, True, 1, 1, 1, 1, 1, 0.1, "USD", 1.0, 1.0)
    )
    state = UpstreamStatus("a", "primary", True, "", None, (), 0, 0, "")
    text = found.render({"running": 0.0, "uptime_seconds": 0.0}, [state]).decode()
    rows = []
    for name, help in re.findall(r"^# HELP (\S+) (.*)$", text, re.M):
        kind = re.search(rf"^# TYPE {name} (\S+)$", text, re.M)
        sample = re.search(rf"^{name}(?:_bucket)?(?:\{{(.*)\}})? ", text, re.M)
        assert kind is not None
        labels = [x for x in re.findall(r'(\w+)="', sample[1] or "" if sample else "") if x != "le"]
        rows.append([f"`{name}`", kind[1], _code(*labels), help])
    return _table(["Name", "Kind", "Labels", "What it is"], rows)


def events() -> str:
    """Return what the log may tell, from the places that tell it."""
    rows: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for path in sorted(RELAY.rglob("*.py")):
        for call in _log_calls(path):
            name = call.args[1]
            if not isinstance(name, ast.Constant):
                continue
            levels, fields = rows.setdefault(name.value, ({}, {}))
            levels.update((n.value, None) for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant))
            fields.update((k.arg, None) for k in call.keywords if k.arg)
    levels_in_order = ("debug", "info", "warning", "error")
    return _table(
        ["Event", "Level", "Members"],
        [
            [f"`{name}`", ", ".join(x for x in levels_in_order if x in levels), _code(*fields)]
            for name, (levels, fields) in sorted(rows.items())
        ],
    )


def _log_calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "add":
            continue
        target = ast.unparse(node.func.value)
        if len(node.args) == 2 and (target.endswith("log") or (target == "self" and path.name == "log.py")):
            yield node


def formats() -> str:
    """Return in which format an upstream is asked, by those it has."""
    from ccsetup.relay.config.model import Upstream
    from ccsetup.relay.routing.choice import wire_for

    rows = []
    for asked, title in TITLES.items():
        order: list[str] = []
        left: dict[Any, str] = dict.fromkeys(TITLES, "http://localhost")
        while left:
            best = wire_for(Upstream("", left, ()), asked)  # type: ignore[arg-type]
            order.append(TITLES[best])
            del left[best]
        rows.append([title, " → ".join(order)])
    return _table(["Client", "Asked in, first of these that the upstream has"], rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "failures": failures,
    "losses": losses,
    "metrics": metrics,
    "events": events,
    "formats": formats,
}
"""By the name that a page gives: ``<!-- tools/docs.py: failures -->``, up to ``<!-- end -->``."""
