"""How ``ccsetup test`` tells steps and reports in lines."""

from __future__ import annotations

import sys
from typing import Sequence

from ccsetup.cli import _output
from ccsetup.clients import CLIENTS
from ccsetup.i18n import _
from ccsetup.probe.target import Target
from ccsetup.probe.verdict import LayerStep, Report

COLOURS = {"ok": "32", "degraded": "33", "unknown": "33", "skipped": "2"}
"""Of verdicts; all others are red."""


def estimate(targets: Sequence[Target]) -> str:
    from ccsetup.probe import deep

    tokens = [deep.estimate(t) for t in targets]
    text = _("At most about {tokens_in} + {tokens_out} tokens will be used").format(
        tokens_in=sum(t[0] for t in tokens), tokens_out=sum(t[1] for t in tokens)
    )
    costs: dict[str, float] = {}
    for target in targets:
        cost, currency = deep.expected_cost(target)
        if cost is not None:
            costs[currency] = costs.get(currency, 0.0) + cost
    return text + "".join(f", {cost:.4f} {currency}" for currency, cost in costs.items()) + "."


class Printer:
    """Shows each target as a block.  A single one is shown step by step, as it goes."""

    def __init__(self, targets: Sequence[Target], verbose: bool) -> None:
        self._targets = targets
        self._verbose = verbose
        self._live = len(targets) == 1
        self._begun = False

    def step(self, index: int, step: LayerStep) -> None:
        if not self._live:
            return
        if not self._begun:
            self._begun = True
            _output.line(title(self._targets[index]))
        _output.line(step_text(step, self._verbose))
        sys.stdout.flush()

    def finish(self, reports: Sequence[Report]) -> None:
        for target, report in zip(self._targets, reports, strict=True):
            if not self._live:
                _output.line(title(target))
                for step in report.steps:
                    _output.line(step_text(step, self._verbose))
            _output.line(summary(report))


def title(target: Target) -> str:
    about = target.about()
    parts = [target.label, CLIENTS[target.client].title, about["base_url"]]
    return " · ".join(p for p in parts if p)


def step_text(step: LayerStep, verbose: bool) -> str:
    word = _output.paint(f"{step.verdict:<11}", COLOURS.get(step.verdict, "31"))
    time = "" if step.verdict == "skipped" else f"{step.seconds * 1000:6.0f} ms"
    lines = [f"  {step.layer:<8} {word} {time:>9}  {step.summary}".rstrip()]
    if step.verdict == "skipped" and not verbose:
        return f"  {step.layer:<8} {word}".rstrip()
    indent = " " * 10
    if (
        step.evidence is not None
        and step.verdict not in ("ok", "skipped")
        and (step.evidence.message or step.evidence.status)
    ):
        said = f"HTTP {step.evidence.status}" if step.evidence.status else ""
        if step.evidence.message:
            said = f"{said}: {step.evidence.message}" if said else step.evidence.message
        lines.append(indent + said)
    if step.hint:
        lines.append(indent + "→ " + step.hint)
    if verbose or step.layer == "deep" or step.verdict not in ("ok", "skipped") or step.layer in ("reach", "model"):
        lines += [indent + d for d in step.details]
    return "\n".join(lines)


def summary(report: Report) -> str:
    word = _output.paint(report.verdict, COLOURS.get(report.verdict, "31"))
    text = f"  = {word}"
    if not report.finished:
        text = "  = " + _("stopped before it was done")
    elif report.verdict == "ok" and not report.certain:
        text += " " + (
            _("(as far as free requests tell)") if report.level == "quick" else _("(as far as this test can tell)")
        )
    elif report.verdict != "ok":
        text += "  " + _("(what it means: {command})").format(command=f"ccsetup help {report.verdict}")
    if report.usage is not None and (report.usage.input_tokens or report.usage.output_tokens):
        text += "  " + _("{tokens_in} + {tokens_out} tokens").format(
            tokens_in=report.usage.input_tokens, tokens_out=report.usage.output_tokens
        )
        if report.usage.cost is not None:
            text += f", {report.usage.cost:.6f} {report.usage.currency}"
    return text
