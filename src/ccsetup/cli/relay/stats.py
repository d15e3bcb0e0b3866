"""``ccsetup relay stats``: what went through the relay, and what it cost."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Optional, Sequence

import typer

from ccsetup import __version__
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base, _times
from ccsetup.errors import CcsetupError, UsageError, check_one_of
from ccsetup.i18n import _, ngettext
from ccsetup.plan import Note
from ccsetup.relay.config.model import StoreSettings
from ccsetup.relay.reporting import stats
from ccsetup.relay.reporting.stats import GROUPS, By, Row
from ccsetup.relay.running import control
from ccsetup.relay.store.schema import ALL, Chosen

EPILOG = _(
    "Tries are requests to upstreams, also those that another upstream made up for. First p50 is the median time to "
    "the first event, total p95 what 95 of 100 whole answers took at most."
)

_WIDEST = 60
"""Characters of a name in the table."""


def command(
    by: str = typer.Option("model", "--by", metavar="WHAT", help=_("model, day, upstream, client or purpose.")),
    since: Optional[str] = typer.Option(
        None, "--since", metavar="TIME", help=_("Only the last 24h, 7d or 4w, or from 2027-01-31 on.")
    ),
    until: Optional[str] = typer.Option(None, "--until", metavar="TIME", help=_("Only what was before it.")),
    upstream: Optional[str] = typer.Option(None, "--upstream", metavar="NAME", help=_("Only this upstream.")),
    model: Optional[str] = typer.Option(
        None, "--model", metavar="MODEL", help=_("Only the model that was asked for, or answered.")
    ),
    client: Optional[str] = typer.Option(
        None, "--client", metavar="NAME", help=_("Only the client with this key; '-': those without a key.")
    ),
    zone: Optional[str] = typer.Option(
        None, "--zone", metavar="ZONE", help=_("Whose days, such as Asia/Shanghai; else TZ, else this machine's.")
    ),
    reset: bool = typer.Option(False, "--reset", help=_("Remove these figures, after writing them to a CSV file.")),
    yes: bool = _options.YES,
    as_json: bool = _options.JSON,
    as_csv: bool = typer.Option(False, "--csv", help=_("Print a table for spreadsheets.")),
    lang: Optional[str] = _options.LANG,
) -> int:
    check_one_of(by, GROUPS, _("--by: '{value}' is not known. Valid ones: {valid}"))
    group: By = next(g for g in GROUPS if g == by)
    if as_json and as_csv:
        raise UsageError(_("{options} exclude each other: give one of them.").format(options="--json / --csv"))
    context = Context()
    there, now = _times.zone(zone), time.time()
    chosen = Chosen(
        _times.moment(since, "--since", now, ahead=False, zone=there) if since else None,
        _times.moment(until, "--until", now, ahead=False, zone=there) if until else None,
        *(None if name is None else name if name != "-" else "" for name in (upstream, model, client)),
    )
    if reset:
        if as_csv:
            raise UsageError(_("{options} exclude each other: give one of them.").format(options="--reset / --csv"))
        return _reset(context, chosen, yes, as_json)
    rows = stats.query(_base.here(context).usage, group, chosen, there)
    if as_json:
        told = [{**r._asdict(), "costs": dict(r.costs)} for r in rows]
        zone_name = _times.zone_name(there, context.paths.environ)
        result = {"by": group, "zone": zone_name, **chosen._asdict(), "rows": told}
        _output.print_json("relay stats", result, context.notes)
    elif as_csv:
        _csv(group, rows, _times.zone_name(there, context.paths.environ))
    elif not rows:
        _output.line(_nothing(chosen))
    else:
        _show(group, rows)
        if group == "day" or since or until:
            _output.line(_("Days are those of {zone}.").format(zone=_times.zone_name(there, context.paths.environ)))
    return 0


def _nothing(chosen: Chosen) -> str:
    return _("Nothing went through the relay yet.") if chosen == ALL else _("Nothing of that kind.")


def _reset(context: Context, chosen: Chosen, yes: bool, as_json: bool) -> int:
    """Remove the figures of *chosen*."""
    from ccsetup.relay.store import removal

    at = _base.here(context)
    running = control.look(at)[1]
    if running is not None and running.version != __version__:
        text = _("The relay that runs is of version {version}: it could not go on with the changed file.")
        raise CcsetupError(text.format(version=running.version), hint=_("Run: ccsetup relay restart"))
    shared = _base.load(context, at).store if _base.read(at.config) is not None else StoreSettings()
    there = os.path.exists(at.usage)
    found = removal.look(at.usage, chosen, shared.url, shared.prefix) if there else removal.Removable(0, 0, 0, 0)
    if found.waiting:
        text = _("{n} requests stay: the shared store has not got them yet.")
        context.notes.append(Note("info", text.format(n=found.waiting)))
    target = ""
    if found.requests or found.sums:
        target = os.path.join(at.folder, time.strftime("usage-removed-%Y%m%dT%H%M%SZ.csv", time.gmtime()))
        question = ngettext(
            "Remove the figures of {n} request? {file} will have them. [y/N]",
            "Remove the figures of {n} requests? {file} will have them. [y/N]",
            found.requests,
        ).format(n=f"{found.requests:,}", file=context.paths.short(target))
        if not (yes or _output.agreed(question, as_json, _("Removing figures needs --yes where nobody can be asked."))):
            return 1
        removal.remove(at.usage, chosen, found.last, target, _cell)
    if as_json:
        result = {"removed": found.requests, "waiting": found.waiting, "file": target, **chosen._asdict()}
        _output.print_json("relay stats", result, context.notes)
        return 0
    if target:
        text = ngettext("{n} request is out of the figures.", "{n} requests are out of the figures.", found.requests)
        _output.done(True, text.format(n=f"{found.requests:,}"))
        _output.wrote([context.paths.short(target)])
    else:
        _output.line(_nothing(chosen))
    _output.print_notes(context.notes)
    return 0


def _show(by: str, rows: Sequence[Row]) -> None:
    heads = {
        "model": _("Model"), "day": _("Day"), "upstream": _("Upstream"), "client": _("Client"), "purpose": _("Purpose"),
    }  # fmt: skip
    columns = (
        heads[by], _("Asked for"), _("Requests"), _("Failed"), _("Tries"), _("Tries failed"), _("Tokens in"),
        _("Cache read"), _("Cache written"), _("Tokens out"), _("Estimated"), _("Cost"), _("First p50"), _("Total p95"),
    )  # fmt: skip
    priced = any(row.costs for row in rows)
    tried = any(row.tries != row.requests if by == "upstream" else not row.requests for row in rows)
    table = [list(columns)]
    for row in rows:
        figures = (
            row.errors, row.tries if tried else 0, row.tries_failed if tried else 0,
            row.input + row.cache_read + row.cache_write, row.cache_read, row.cache_write, row.output, row.estimated,
        )  # fmt: skip
        counts = [f"{figure:,}" if figure else "" for figure in figures]
        table.append([
            _name(by, row), _cut(row.asked), f"{row.requests:,}", *counts, _cost(row) or ("-" if priced else ""),
            _seconds(row.first_ms), _seconds(row.total_ms),
        ])  # fmt: skip
    filled = [i for i in range(len(columns)) if any(row[i] for row in table[1:])]
    _output.line(_output.safe(_output.columns([[row[i] for i in filled] for row in table], indent="")))
    _remarks(by, rows)


def _remarks(by: str, rows: Sequence[Row]) -> None:
    """Print what is to be known of the figures."""
    unpriced, estimated, own = (sum(getattr(r, f) for r in rows) for f in ("unpriced", "estimated", "own"))
    if unpriced:
        text = ngettext(
            "The price of {n} answer is not known; it is not in the cost.",
            "The price of {n} answers is not known; they are not in the cost.",
            unpriced,
        )
        _output.line(text.format(n=unpriced))
    if estimated:
        text = ngettext(
            "The tokens of {n} request are estimated: nobody told them.",
            "The tokens of {n} requests are estimated: nobody told them.",
            estimated,
        )
        _output.line(text.format(n=estimated))
    if own and by != "purpose":
        text = ngettext(
            "{n} request was ccsetup's own (a test or an activation); see them with: --by purpose",
            "{n} requests were ccsetup's own (tests and activations); see them with: --by purpose",
            own,
        )
        _output.line(text.format(n=own))


def _name(by: str, row: Row) -> str:
    if row.utc:
        return f"{row.name} UTC"
    return _cut(row.name) or (_("clients") if by == "purpose" else "-")


def _cut(name: str) -> str:
    return name if len(name) <= _WIDEST else name[: _WIDEST - 1] + "…"


def _cost(row: Row) -> str:
    return " + ".join(f"{cost:,.4f} {currency}" for currency, cost in sorted(row.costs.items()))


def _seconds(milliseconds: Optional[float]) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _csv(by: str, rows: Sequence[Row], zone: str) -> None:
    """Print *rows*; *zone*: what days are days of, for those that can be told apart by it."""
    import csv

    currencies = sorted({c for row in rows for c in row.costs})
    plain = [f for f in Row._fields if f not in ("name", "utc", "costs")]
    old, new = plain[: plain.index("asked")], plain[plain.index("asked") :]  # columns keep their places
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([by, *old, *(f"cost_{c}" for c in currencies), *new, *(["zone"] if by == "day" else [])])
    for row in rows:
        name = f"{row.name} UTC" if row.utc else row.name
        costs = [row.costs.get(c, "") for c in currencies]
        values = [name, *(getattr(row, f) for f in old), *costs, *(getattr(row, f) for f in new)]
        values += ["UTC" if row.utc else zone] if by == "day" else []
        out.writerow(map(_cell, values))


def _cell(value: Any) -> Any:
    """Return *value* so that no spreadsheet takes what a client chose for a formula, nor shows how floats are added."""
    if isinstance(value, float):
        return round(value, 6)
    if not isinstance(value, str):
        return value
    text = _output.safe(value).replace("\n", " ")
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text
