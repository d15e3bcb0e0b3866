"""What ``ccsetup test`` shows beyond lines: a live table, --watch, --compare, a report file, the real clients."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable, Optional, Sequence

from ccsetup.cli import _output, _test_show
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS
from ccsetup.errors import WriteError
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.probe import run
from ccsetup.probe.run import ProbeOptions
from ccsetup.probe.target import Target
from ccsetup.probe.verdict import EXIT, LAYERS, LayerStep, Report, worst

STYLES = {"ok": "green", "degraded": "yellow", "unknown": "yellow", "skipped": "dim"}


def live(targets: Sequence[Target], options: ProbeOptions) -> tuple[list[Report], bool]:
    """Test *targets* with a table that fills as they answer."""
    from rich.console import Console
    from rich.live import Live

    steps: list[dict[str, LayerStep]] = [{} for _target in targets]
    start = time.perf_counter()

    def table() -> Any:
        return _table([(t.label, t.client, s, "") for t, s in zip(targets, steps, strict=True)], options.level)

    with Live(table(), console=Console(), refresh_per_second=8, transient=False) as shown:

        def on_step(index: int, step: LayerStep) -> None:
            steps[index][step.layer] = step
            shown.update(table())

        reports, interrupted = run.probe(targets, options, on_step)
        shown.update(
            _table([(r.label, r.client, {s.layer: s for s in r.steps}, r.verdict) for r in reports], options.level)
        )
    _output.line(_("{seconds} s").format(seconds=round(time.perf_counter() - start, 1)))
    return reports, interrupted


def _table(rows: Sequence[tuple[str, ClientName | str, dict[str, LayerStep], str]], level: str) -> Any:
    from rich.table import Table
    from rich.text import Text

    wanted = [x for x in LAYERS if x not in ("deep", "client") or any(x in steps for _l, _c, steps, _v in rows)]
    if level == "quick":
        wanted.remove("model")
    table = Table(box=None, pad_edge=False)
    for heading in (_("Profile"), _("Client"), *wanted, _("Verdict")):
        table.add_column(heading)
    for label, client, steps, verdict in rows:
        cells = [Text(label), Text(CLIENTS[client].title)]
        for layer in wanted:
            step = steps.get(layer)
            if step is None:
                cells.append(Text("…", style="dim"))
            elif step.verdict == "ok":
                cells.append(Text(f"{step.seconds * 1000:.0f} ms", style="green"))
            else:
                cells.append(
                    Text("-" if step.verdict == "skipped" else step.verdict, style=STYLES.get(step.verdict, "red"))
                )
        cells.append(Text(verdict, style=STYLES.get(verdict, "red")))
        table.add_row(*cells)
    return table


def after_live(reports: Sequence[Report], verbose: bool) -> None:
    """Say what the table has no room for: why, and what to do."""
    for report in reports:
        for step in report.steps:
            if step.verdict not in ("ok", "skipped", "unknown"):
                _output.line(f"{report.label} · {CLIENTS[report.client].title}")
                _output.line(_test_show.step_text(step, verbose))


def real_clients(
    context: Context, targets: Sequence[Target], reports: Sequence[Report], *, as_json: bool
) -> list[Report]:
    """Return *reports* with the layer ``client`` added."""
    from ccsetup.clients import real

    out = []
    for target, report in zip(targets, reports, strict=True):
        step = real.step(target, dict(context.paths.environ))
        out.append(report._replace(steps=(*report.steps, step), seconds=report.seconds + step.seconds))
        if not as_json:
            _output.line(f"{target.label} · {CLIENTS[target.client].title}")
            _output.line(_test_show.step_text(step, True))
            sys.stdout.flush()
    return out


def watch(find: Callable[[], list[Target]], options: ProbeOptions, seconds: float, *, as_json: bool) -> int:
    """Test again and again until Ctrl-C; return the exit code of the last round.  Only what is free is asked."""
    import json

    if options.level == "normal":
        options = options._replace(level="quick")
    code = 0
    before: dict[int, str] = {}
    since: dict[int, float] = {}
    try:
        while True:
            begun = time.monotonic()
            targets = find()
            reports, interrupted = run.probe(targets, options)
            if interrupted:
                return code
            code = EXIT[worst(r.verdict for r in reports)] if reports else EXIT["config"]
            clock = time.strftime("%H:%M:%S")
            if as_json:
                result = {"time": time.time(), "exit_code": code, "targets": [r.json() for r in reports]}
                sys.stdout.write(json.dumps(result, ensure_ascii=False) + "\n")
            for i, report in enumerate(reports if not as_json else ()):
                word = _output.paint(f"{report.verdict:<11}", _test_show.COLOURS.get(report.verdict, "31"))
                text = (
                    f"{clock}  {word} {report.seconds * 1000:6.0f} ms  {report.label} · {CLIENTS[report.client].title}"
                )
                if before.get(i) != report.verdict:
                    if i in before:
                        text += "  " + _("was {verdict} for {seconds} s").format(
                            verdict=before[i], seconds=round(begun - since[i])
                        )
                    since[i] = begun
                    for step in report.steps:
                        if step.verdict not in ("ok", "skipped", "unknown"):
                            text += "\n" + _test_show.step_text(step, False)
                before[i] = report.verdict
                _output.line(text)
            sys.stdout.flush()
            time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    except KeyboardInterrupt:
        return code


def compare(
    context: Context,
    targets: Sequence[Target],
    options: ProbeOptions,
    runs: int,
    *,
    as_json: bool,
    output: Optional[str],
) -> int:
    """Rank *targets* by the time to the first event, and show their speed."""
    from ccsetup.probe import compare as comparing

    tick: Optional[Callable[[], None]] = None
    if not as_json and sys.stderr.isatty():

        def dot() -> None:
            sys.stderr.write(".")
            sys.stderr.flush()

        tick = dot
    speeds, interrupted = comparing.measure(targets, options, runs, tick)
    if tick is not None:
        sys.stderr.write("\n")
    good = [s for s in speeds if s.first_event is not None]
    code = 130 if interrupted else EXIT["ok"] if len(good) == len(speeds) else EXIT["degraded"]
    if as_json:
        _output.print_json(
            "test", {"compare": [s.json() for s in speeds], "runs": runs, "exit_code": code}, context.notes
        )
        return code
    text = _compare_text(speeds, runs)
    _output.line(text)
    _output.print_notes(context.notes)
    if output is not None:
        from rich.text import Text

        _export(output, [Text(text)])
        _output.line(_("wrote {file}").format(file=output))
    return code


def _compare_text(speeds: Sequence[Any], runs: int) -> str:
    """Return the table and a bar for each profile; a full bar is the slowest."""
    rows = [[_("Profile"), _("Client"), _("Model"), _("First event"), _("Tokens/s"), _("Runs"), ""]]
    slowest = max((s.first_event or 0.0 for s in speeds), default=0.0)
    for s in speeds:
        bar = "█" * max(1, round(24 * s.first_event / slowest)) if s.first_event and slowest else ""
        rows.append(
            [
                s.label,
                CLIENTS[s.client].title,
                s.model,
                f"{s.first_event * 1000:.0f} ms" if s.first_event is not None else "-",
                f"{s.tokens_per_second:.0f}" if s.tokens_per_second is not None else "-",
                f"{s.runs}/{runs}",
                bar or s.problem,
            ]
        )
    return _output.columns(rows, indent="")


def write_report(path: str, reports: Sequence[Report]) -> None:
    """Write *reports* as a page (.html) or a picture (.svg); neither holds a key."""
    from rich.text import Text

    level = "quick" if not any(s.layer == "model" for r in reports for s in r.steps) else "normal"
    parts: list[Any] = [_table([(r.label, r.client, {s.layer: s for s in r.steps}, r.verdict) for r in reports], level)]
    for report in reports:
        lines = [f"\n{report.label} · {CLIENTS[report.client].title} · {report.about.get('base_url', '')}"]
        lines += [_test_show.step_text(step, True) for step in report.steps]
        parts.append(Text.from_ansi("\n".join(lines)))
    _export(path, parts)


def _export(path: str, parts: Sequence[Any]) -> None:
    import io

    from rich.console import Console

    console = Console(record=True, file=io.StringIO(), width=140, color_system="truecolor", force_terminal=True)
    for part in parts:
        console.print(part)
    text = (
        console.export_svg(title="ccsetup test") if path.endswith(".svg") else console.export_html(inline_styles=True)
    )
    try:
        with open(os.path.expanduser(path), "w", encoding="utf-8") as f:
            f.write(text)
    except OSError as e:
        raise WriteError(
            _("{file} cannot be written: {reason}").format(file=path, reason=e.strerror),
            hint=_("Give another path with -o."),
        ) from None
