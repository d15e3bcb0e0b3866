"""``ccsetup test``: whether an endpoint and a key do what the clients need."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple, Optional

import typer

from ccsetup import keys
from ccsetup.cli import _complete, _options, _output
from ccsetup.cli._context import Context
from ccsetup.clients import clients_named
from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _
from ccsetup.probe.target import Target
from ccsetup.probe.verdict import EXIT, worst

if TYPE_CHECKING:
    from ccsetup.probe.run import ProbeOptions

HELP = _(
    "Test whether an endpoint and a key work, and say what to do when they do not.\n\n"
    "Without NAME: what Claude Code and Codex would use right now, in this folder and this shell. The main model, and "
    "each that no list names, is asked for one token; --quick asks for none."
)
EPILOG = _(
    "Exit codes: 0 ok, 10 config, 11 unreachable, 12 tls, 13 key, 14 quota, 15 forbidden, 16 wire, 17 model, "
    "18 degraded, 19 server, 20 timeout. Explained by: ccsetup help VERDICT"
)


class TestOptions(NamedTuple):
    """The options of ``ccsetup test``."""

    name: Optional[str] = typer.Argument(
        None,
        metavar="[NAME]",
        help=_("A saved profile; what the clients use now when not given."),
        autocompletion=_complete.profiles,
    )
    code_type: Optional[list[str]] = _options.CLIENTS
    every: bool = typer.Option(False, "--all", help=_("Every saved profile, at the same time."))
    provider: Optional[str] = typer.Option(
        None,
        "-p",
        "--provider",
        metavar="ID",
        autocompletion=_complete.providers,
        help=_("A provider with a key, before anything is saved."),
    )
    key: Optional[str] = _options.KEY
    key_file: Optional[str] = _options.KEY_FILE
    key_env: Optional[str] = _options.KEY_VARIABLE
    url: Optional[str] = typer.Option(None, "-u", "--api-url", metavar="URL", help=_("Base URL, with -p."))
    api_type: Optional[str] = _options.API_TYPE
    model: Optional[str] = typer.Option(
        None,
        "-M",
        "--model",
        "--api-model",
        metavar="ID",
        autocompletion=_complete.models,
        help=_("The model, with -p."),
    )
    region: Optional[str] = typer.Option(
        None,
        "--region",
        metavar="ID",
        autocompletion=_complete.regions,
        help=_("Site or plan of the provider, with -p."),
    )
    quick: bool = _options.QUICK
    deep: bool = typer.Option(
        False, "--deep", help=_("Also streaming, tools, images and special fields; costs tokens.")
    )
    client: bool = typer.Option(False, "--client", help=_("Also run the real claude or codex once, without retries."))
    as_json: bool = _options.JSON
    watch: Optional[str] = typer.Option(
        None, "--watch", metavar="SECONDS", help=_("Test again and again until Ctrl-C.")
    )
    compare: bool = typer.Option(
        False, "--compare", help=_("Rank the profiles by the speed of their answers; costs tokens.")
    )
    runs: int = typer.Option(3, "--runs", min=1, max=20, metavar="N", help=_("How often --compare asks each."))
    output: Optional[str] = typer.Option(
        None, "-o", "--output", metavar="FILE", help=_("Write the report to FILE.html or FILE.svg.")
    )
    insecure_http: bool = typer.Option(
        False, "--insecure-http", help=_("Allow http:// to a public host; the key is readable on the way.")
    )
    timeout: Optional[float] = typer.Option(
        None, "--timeout", metavar="SECONDS", min=0.1, max=3600, help=_("Time for each target: 30, with --deep 180.")
    )
    verbose: bool = typer.Option(False, "-v", "--verbose", help=_("Say more: where each setting comes from."))
    lang: Optional[str] = _options.LANG

    def for_a_provider(self) -> dict[str, Optional[str]]:
        """Return what only a provider that is named with -p takes, by option."""
        return {
            "-k": self.key,
            "--api-key-file": self.key_file,
            "--api-key-env": self.key_env,
            "-u": self.url,
            "-t": self.api_type,
            "-M": self.model,
            "--region": self.region,
        }


@_options.gathered(TestOptions)
def command(given: TestOptions) -> int:
    _check(given)
    context = Context()
    clients = clients_named(given.code_type)
    # The key comes from standard input at most once, also with --watch.
    secret = (
        keys.read(given.key, given.key_file, given.key_env, os.environ, sys.stdin.buffer)
        if given.provider is not None
        else None
    )

    def find() -> list[Target]:
        from ccsetup.cli import _relay
        from ccsetup.cli import _test_targets as targets

        if given.provider is not None:
            asked = targets.PresetOptions(given.region, given.url, given.api_type, given.model)
            return targets.of_preset(context, given.provider, asked, clients, secret)
        world = context.world()
        if given.every or (given.compare and given.name is None):
            found = targets.of_profiles(context, world, list(world.profiles), clients)
        elif given.name is not None:
            name = world.means(given.name)
            world.find(name)
            found = targets.of_profiles(context, world, [name], clients)
        else:
            found = targets.in_use(context, world, clients)
        notes = _relay.note(context, world.profiles, [_relay.User(t.client, t.profile, t.base_url) for t in found])
        context.notes.extend(note for note in notes if note not in context.notes)
        return found

    from ccsetup.cli import _test_more
    from ccsetup.probe.run import ProbeOptions

    options = ProbeOptions(
        "quick" if given.quick else "deep" if given.deep else "normal",
        given.timeout or (180.0 if given.deep else 30.0),
        given.insecure_http,
    )
    if given.compare:
        return _test_more.compare(context, find(), options, given.runs, as_json=given.as_json, output=given.output)
    if given.watch is not None:
        return _test_more.watch(find, options, _seconds(given.watch), as_json=given.as_json)
    return _once(context, find(), options, given)


def _check(given: TestOptions) -> None:
    """Raise UsageError where the options do not go together."""
    what = [o for o, v in (("NAME", given.name), ("--all", given.every), ("-p", given.provider)) if v]
    if len(what) > 1:
        raise UsageError(_("{options} both say what to test: give one of them.").format(options=" / ".join(what)))
    how = [o for o, v in (("--quick", given.quick), ("--deep", given.deep), ("--compare", given.compare)) if v]
    if len(how) < 2 and given.watch is not None and given.compare:
        how = ["--watch", "--compare"]
    if len(how) > 1:
        raise UsageError(_("{options} exclude each other: give one of them.").format(options=" / ".join(how)))
    if given.output is not None and not given.output.endswith((".html", ".svg")):
        raise UsageError(_("-o: the report is a file that ends in .html or .svg."))
    option = next((o for o, v in given.for_a_provider().items() if v is not None), "")
    if option and given.provider is None:
        raise UsageError(
            _("{option} is for testing a provider: the provider is missing.").format(option=option),
            hint=_("For example: ccsetup test -p glm -k KEY"),
        )


def _seconds(text: str) -> float:
    try:
        value = float(text.strip().removesuffix("s"))
    except ValueError:
        value = 0.0
    if not 1 <= value <= 86400:
        raise UsageError(_("--watch: '{text}' is not a number of seconds such as 30.").format(text=printable(text, 20)))
    return value


def _once(context: Context, targets: list[Target], options: ProbeOptions, given: TestOptions) -> int:
    from ccsetup.cli import _test_more, _test_show
    from ccsetup.probe import run

    if not targets:
        return _nothing(context, given.as_json)
    if options.level == "deep" and not given.as_json:
        _output.line(_test_show.estimate(targets))
    live = not given.as_json and len(targets) > 1 and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if live:
        reports, interrupted = _test_more.live(targets, options)
    else:
        shown = _test_show.Printer(targets, given.verbose) if not given.as_json else None
        reports, interrupted = run.probe(targets, options, shown.step if shown else None)
        if shown:
            shown.finish(reports)
    if given.client and not interrupted:
        reports = _test_more.real_clients(context, targets, reports, as_json=given.as_json)
    verdict = worst(r.verdict for r in reports)
    code = 130 if interrupted else EXIT[verdict]
    if given.as_json:
        result = {
            "verdict": verdict,
            "exit_code": code,
            "interrupted": interrupted,
            "targets": [r.json() for r in reports],
        }
        _output.print_json("test", result, context.notes)
    else:
        if live:
            _test_more.after_live(reports, given.verbose)
        _output.print_notes(context.notes)
    if given.output is not None:
        _test_more.write_report(given.output, reports)
        if not given.as_json:
            _output.line(_("wrote {file}").format(file=given.output))
    return code


def _nothing(context: Context, as_json: bool) -> int:
    code = EXIT["config"]
    hint = _("Set one up with: ccsetup init -p PROVIDER -k KEY, or test a key with: ccsetup test -p PROVIDER -k -")
    if as_json:
        result = {"verdict": "config", "exit_code": code, "interrupted": False, "targets": [], "hint": hint}
        _output.print_json("test", result, context.notes)
    else:
        _output.line(_("No provider is set: there is nothing to test."))
        _output.line(hint)
        _output.print_notes(context.notes)
    return code
