"""``ccsetup relay stats``: what went through the relay, and what it cost."""

from __future__ import annotations

import sys
import time
from typing import Any, Optional, Sequence

import typer

from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context
from ccsetup.cli.relay import _base, _times
from ccsetup.errors import UsageError, check_one_of
from ccsetup.i18n import _, ngettext
from ccsetup.relay.reporting import stats
from ccsetup.relay.reporting.stats import GROUPS, By, Row

EPILOG = _(
    "Days are those of UTC. First p50 is the median time to the first event, total p95 what 95 of 100 whole answers "
    "took at most."
)


def command(
    by: str = typer.Option("model", "--by", metavar="WHAT", help=_("model, day, upstream or client.")),
    since: Optional[str] = typer.Option(
        None, "--since", metavar="TIME", help=_("Only the last 24h, 7d or 4w, or from 2027-01-31 on.")
    ),
    as_json: bool = _options.JSON,
    as_csv: bool = typer.Option(False, "--csv", help=_("Print a table for spreadsheets.")),
    lang: Optional[str] = _options.LANG,
) -> int:
    check_one_of(by, GROUPS, _("--by: '{value}' is not known. Valid ones: {valid}"))
    group: By = next(g for g in GROUPS if g == by)
    if as_json and as_csv:
        raise UsageError(_("{options} exclude each other: give one of them.").format(options="--json / --csv"))
    context = Context()
    begin = _times.moment(since, "--since", time.time(), ahead=False) if since else None
    rows = stats.query(_base.here(context).usage, group, begin)
    if as_json:
        result = {"by": group, "since": begin, "rows": [{**r._asdict(), "costs": dict(r.costs)} for r in rows]}
        _output.print_json("relay stats", result, context.notes)
    elif as_csv:
        _csv(group, rows)
    elif not rows:
        _output.line(_("Nothing went through the relay yet.") if begin is None else _("Nothing in that time."))
    else:
        _show(group, rows)
    return 0


def _show(by: str, rows: Sequence[Row]) -> None:
    heads = {"model": _("Model"), "day": _("Day"), "upstream": _("Upstream"), "client": _("Client")}
    table = [
        [
            heads[by],
            _("Requests"),
            _("Failed"),
            _("Tokens in"),
            _("Cached"),
            _("Tokens out"),
            _("Cost"),
            _("First p50"),
            _("Total p95"),
        ]
    ]
    for row in rows:
        table.append(
            [
                row.name or "-",
                f"{row.requests:,}",
                f"{row.errors:,}" if row.errors else "",
                f"{row.input + row.cache_read + row.cache_write:,}",
                f"{row.cache_read:,}" if row.cache_read else "",
                f"{row.output:,}",
                _cost(row),
                _seconds(row.first_ms),
                _seconds(row.total_ms),
            ]
        )
    filled = [i for i in range(len(table[0])) if any(row[i] for row in table[1:])]
    table = [[row[i] for i in filled] for row in table]
    _output.line(_output.safe(_output.columns(table, indent="")))
    unpriced = sum(row.unpriced for row in rows)
    if unpriced:
        text = ngettext(
            "The price of {n} answer is not known; it is not in the cost.",
            "The price of {n} answers is not known; they are not in the cost.",
            unpriced,
        )
        _output.line(text.format(n=unpriced))


def _cost(row: Row) -> str:
    return " + ".join(f"{cost:,.4f} {currency}" for currency, cost in sorted(row.costs.items()))


def _seconds(milliseconds: Optional[float]) -> str:
    if milliseconds is None:
        return ""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def _csv(by: str, rows: Sequence[Row]) -> None:
    import csv

    currencies = sorted({c for row in rows for c in row.costs})
    plain = [f for f in Row._fields if f not in ("name", "costs")]
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow([by, *plain, *(f"cost_{c}" for c in currencies)])
    for row in rows:
        values: list[Any] = [getattr(row, f) for f in plain]
        out.writerow([_cell(row.name), *values, *(row.costs.get(c, "") for c in currencies)])


def _cell(text: str) -> str:
    """Return *text*, which a client chose, so that no spreadsheet takes it for a formula."""
    text = _output.safe(text).replace("\n", " ")
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text
