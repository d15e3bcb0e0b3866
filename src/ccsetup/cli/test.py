"""``ccsetup test``: whether an endpoint and a key do what the clients need."""

from __future__ import annotations

import os
import sys
from typing import Any, Iterator, Optional, Sequence

import typer

from ccsetup import keys, presets, profiles
from ccsetup.change import codex_profiles
from ccsetup.change.world import World
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context, saved
from ccsetup.clients import CLIENTS, clients_named
from ccsetup.clients.base import Use
from ccsetup.errors import CcsetupError, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import CLIENT_NAMES, ClaudeEndpoint, ClientName, Preset, Secret
from ccsetup.plan import Note
from ccsetup.probe.target import Target
from ccsetup.probe.verdict import EXIT, Report, Step, worst
from ccsetup.profiles import Part, Profile

HELP = _(
    "Test whether an endpoint and a key work, and say what to do when they do not.\n\n"
    "Without NAME: what Claude Code and Codex would use right now, in this folder and this shell. The main model, and "
    "each that no list names, is asked for one token; --quick asks for none."
)
EPILOG = _(
    "Exit codes: 0 ok, 10 config, 11 unreachable, 12 tls, 13 key, 14 quota, 15 forbidden, 16 wire, 17 model, "
    "18 degraded, 19 server, 20 timeout. See docs/reference/verdicts.md"
)


def command(
    name: Optional[str] = typer.Argument(
        None,
        metavar="[NAME]",
        help=_("A saved profile; what the clients use now when not given."),
        autocompletion=saved,
    ),
    code_type: Optional[list[str]] = _options.CLIENTS,
    every: bool = typer.Option(False, "--all", help=_("Every saved profile, at the same time.")),
    provider: Optional[str] = typer.Option(
        None, "-p", "--provider", metavar="ID", help=_("A provider with a key, before anything is saved.")
    ),
    key: Optional[str] = _options.KEY,
    key_file: Optional[str] = _options.KEY_FILE,
    key_env: Optional[str] = _options.KEY_VARIABLE,
    url: Optional[str] = typer.Option(None, "-u", "--api-url", metavar="URL", help=_("Base URL, with -p.")),
    api_type: Optional[str] = _options.API_TYPE,
    model: Optional[str] = typer.Option(
        None, "-M", "--model", "--api-model", metavar="ID", help=_("The model, with -p.")
    ),
    region: Optional[str] = typer.Option(
        None, "--region", metavar="ID", help=_("Site or plan of the provider, with -p.")
    ),
    quick: bool = _options.QUICK,
    deep: bool = typer.Option(
        False, "--deep", help=_("Also streaming, tools, images and special fields; costs tokens.")
    ),
    client: bool = typer.Option(False, "--client", help=_("Also run the real claude or codex once, without retries.")),
    as_json: bool = _options.JSON,
    watch: Optional[str] = typer.Option(
        None, "--watch", metavar="SECONDS", help=_("Test again and again until Ctrl-C.")
    ),
    compare: bool = typer.Option(
        False, "--compare", help=_("Rank the profiles by the speed of their answers; costs tokens.")
    ),
    runs: int = typer.Option(3, "--runs", min=1, max=20, metavar="N", help=_("How often --compare asks each.")),
    output: Optional[str] = typer.Option(
        None, "-o", "--output", metavar="FILE", help=_("Write the report to FILE.html or FILE.svg.")
    ),
    insecure_http: bool = typer.Option(
        False, "--insecure-http", help=_("Allow http:// to a public host; the key is readable on the way.")
    ),
    timeout: Optional[float] = typer.Option(
        None, "--timeout", metavar="SECONDS", min=0.1, max=3600, help=_("Time for each target: 30, with --deep 180.")
    ),
    verbose: bool = typer.Option(False, "-v", "--verbose", help=_("Say more: where each setting comes from.")),
    lang: Optional[str] = _options.LANG,
) -> int:
    _check_options(name, every, provider, quick, deep, watch, compare, output)
    context = Context()
    clients = clients_named(code_type)
    if provider is None:
        given = {
            "-k": key,
            "--api-key-file": key_file,
            "--api-key-env": key_env,
            "-u": url,
            "-t": api_type,
            "-M": model,
            "--region": region,
        }
        option = next((o for o, v in given.items() if v is not None), "")
        if option:
            raise UsageError(
                _("{option} is for testing a provider: the provider is missing.").format(option=option),
                hint=_("For example: ccsetup test -p glm -k KEY"),
            )
    # The key comes from standard input at most once, also with --watch.
    secret = keys.read(key, key_file, key_env, os.environ, sys.stdin.buffer) if provider is not None else None

    def find() -> list[Target]:
        world = context.world()
        if provider is not None:
            return _preset_targets(context, provider, region, clients, secret, url, api_type, model)
        if every or (compare and name is None):
            return _profile_targets(context, world, list(world.profiles), clients)
        if name is not None:
            world.find(name)
            return _profile_targets(context, world, [name], clients)
        return _effective_targets(context, world, clients)

    from ccsetup.probe.run import Options

    options = Options(
        "quick" if quick else "deep" if deep else "normal",
        timeout or (180.0 if deep else 30.0),
        insecure_http,
    )
    if compare:
        from ccsetup.cli import _test_more

        return _test_more.compare(context, find(), options, runs, as_json=as_json, output=output)
    if watch is not None:
        from ccsetup.cli import _test_more

        return _test_more.watch(find, options, _seconds(watch), as_json=as_json)
    return _once(context, find(), options, clients, real=client, as_json=as_json, verbose=verbose, output=output)


def _check_options(
    name: Optional[str],
    every: bool,
    provider: Optional[str],
    quick: bool,
    deep: bool,
    watch: Optional[str],
    compare: bool,
    output: Optional[str],
) -> None:
    what = [o for o, v in (("NAME", name), ("--all", every), ("-p", provider)) if v]
    if len(what) > 1:
        raise UsageError(_("{options} both say what to test: give one of them.").format(options=" / ".join(what)))
    how = [o for o, v in (("--quick", quick), ("--deep", deep), ("--compare", compare)) if v]
    if len(how) > 1:
        raise UsageError(_("{options} exclude each other: give one of them.").format(options=" / ".join(how)))
    if watch is not None and compare:
        raise UsageError(_("{options} exclude each other: give one of them.").format(options="--watch / --compare"))
    if output is not None and not output.endswith((".html", ".svg")):
        raise UsageError(_("-o: the report is a file that ends in .html or .svg."))


def _seconds(text: str) -> float:
    try:
        value = float(text.strip().removesuffix("s"))
    except ValueError:
        value = 0.0
    if not 1 <= value <= 86400:
        raise UsageError(_("--watch: '{text}' is not a number of seconds such as 30.").format(text=printable(text, 20)))
    return value


# Targets.


def _preset_targets(
    context: Context,
    provider: str,
    region: Optional[str],
    clients: Sequence[ClientName],
    secret: Optional[Secret],
    url: Optional[str],
    api_type: Optional[str],
    model: Optional[str],
) -> list[Target]:
    from ccsetup.clients import saved

    preset = context.preset(provider)
    if api_type not in (None, "auth_token", "api_key"):
        raise UsageError(
            _("Invalid auth type '{type}'. Valid types: auth_token, api_key").format(type=printable(api_type or ""))
        )
    if secret is None and not preset.key_required and preset.default_key:
        secret = Secret(preset.default_key)
    if secret is None:
        raise UsageError(
            _("The key is missing."), hint=_("For example: ccsetup test -p {provider} -k -").format(provider=preset.id)
        )
    draft = Profile(preset.id, preset.id, region or _region_of_key(secret, preset), "inline", "", {})
    place = profiles.region_of(draft, preset)
    if len(clients) > 1 and url:
        raise UsageError(_("The clients have different addresses: give -T once with -u."))
    usual: ClientName = "claude-code" if isinstance(place.claude, ClaudeEndpoint) or url else "codex"
    out = []
    for client in clients or [usual]:
        part = Part(url=(url or "").strip(), auth=api_type or "", primary_model=model or "")
        mine = draft._replace(parts={client: part})
        endpoint = (
            profiles.claude_endpoint(mine, preset) if client == "claude-code" else profiles.codex_endpoint(mine, preset)
        )
        if url:
            endpoint = endpoint._replace(base_url=url.strip())  # as given: what is wrong with it is to be said
        use = Use(mine, preset, endpoint, secret, ())
        out.append(saved.target(use, secret, client, context.paths.environ, kind="preset"))
    return out


def _region_of_key(secret: Secret, preset: Preset) -> str:
    """Return the region that the key's own beginning names, or ""."""
    family = keys.family(secret, preset)
    return family.region if family is not None and not family.provider else ""


def _profile_targets(
    context: Context, world: World, names: Sequence[str], clients: Sequence[ClientName]
) -> list[Target]:
    from ccsetup.clients import saved

    out = []
    if not names:
        raise CcsetupError(_("No profile is saved yet."), hint=_("Make one with: ccsetup init -p PROVIDER -k KEY"))
    mixed = _mixed(world)
    for name in names:
        profile = world.profiles[name]
        if not profile.parts and len(names) > 1:
            continue  # an upstream of the relay, which ``relay check`` tests
        for client in clients or [c for c in CLIENT_NAMES if c in profile.parts] or CLIENT_NAMES:
            if client not in profile.parts and len(names) > 1:
                continue
            try:
                found = saved.target(world.use(profile, client), world.key(profile), client, context.paths.environ)
                out.append(_with_mixed(found, mixed))
            except UsageError:
                if len(names) == 1:
                    raise
                continue
            except CcsetupError as e:
                out.append(_broken(name, client, e))
    return out


def _mixed(world: World) -> list[str]:
    try:
        return codex_profiles.mixed(world)
    except CcsetupError:
        return []  # a file that cannot be read, which is another finding


def _with_mixed(target: Target, mixed: Sequence[str]) -> Target:
    """Return *target* with a finding where Codex would not use it as it is saved."""
    if target.client != "codex" or target.profile not in mixed:
        return target
    found = Note("blocked", codex_profiles.mixed_text(target.profile), _("Run: ccsetup doctor --fix"))
    return target._replace(findings=(*target.findings, found))


def _broken(name: str, client: ClientName, e: CcsetupError) -> Target:
    """Return a target for what cannot even be put together."""
    wire: Any = "anthropic" if client == "claude-code" else "responses"
    return Target(
        name, client, "profile", wire, "", (), (), {}, findings=(Note("blocked", e.message, e.hint),), profile=name
    )


def _effective_targets(context: Context, world: World, clients: Sequence[ClientName]) -> list[Target]:
    loaded: list[Preset] = []

    def all_presets() -> list[Preset]:
        if not loaded:
            for preset_id in presets.ids(context.paths.user_presets):
                try:
                    loaded.append(context.preset(preset_id))
                except CcsetupError as e:
                    context.notes.append(Note("warning", e.message, e.hint))
        return loaded

    out = []
    for client in clients or CLIENT_NAMES:
        found: Optional[Target]
        first = _active_preset(context, world, client)

        def known(first: Optional[Preset] = first) -> Iterator[Preset]:
            # The preset of the active profile is asked first, so the others are usually not even loaded.
            if first is not None:
                yield first
            yield from all_presets()

        if client == "codex":
            context.notes.extend(codex_profiles.notes(world))
        if client == "claude-code":
            from ccsetup.clients.claude import effective as effective_claude

            found = effective_claude.target(context.paths, known)
        else:
            from ccsetup.clients.codex import effective as effective_codex

            found = effective_codex.target(context.paths, lambda: context.version("codex"), known)
        if found is None:
            context.notes.append(
                Note(
                    "info",
                    _("{client} has no provider set and uses its own account, which is not tested.").format(
                        client=CLIENTS[client].TITLE
                    ),
                )
            )
            continue
        name = world.active(client)
        if name and name in world.profiles:
            try:
                use = world.use(world.profiles[name], client)
                if use.endpoint.base_url.rstrip("/") == found.base_url.rstrip("/"):
                    found = _with_mixed(found._replace(profile=name, label=name), _mixed(world))
            except CcsetupError:
                pass
        out.append(found)
    return out


def _active_preset(context: Context, world: World, client: ClientName) -> Optional[Preset]:
    profile = world.profiles.get(world.active(client))
    try:
        return context.preset(profile.provider) if profile else None
    except CcsetupError:
        return None


# Showing.


def _once(
    context: Context,
    targets: list[Target],
    options: Any,
    clients: Sequence[ClientName],
    *,
    real: bool,
    as_json: bool,
    verbose: bool,
    output: Optional[str],
) -> int:
    from ccsetup.probe import run

    if not targets:
        return _nothing(context, as_json)
    if options.level == "deep" and not as_json:
        _output.line(_estimate(targets))
    live = not as_json and len(targets) > 1 and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    if live:
        from ccsetup.cli import _test_more

        reports, interrupted = _test_more.live(targets, options)
    else:
        shown = Printer(targets, verbose) if not as_json else None
        reports, interrupted = run.probe(targets, options, shown.step if shown else None)
        if shown:
            shown.finish(reports)
    if real and not interrupted:
        from ccsetup.cli import _test_more

        reports = _test_more.real_clients(context, targets, reports, as_json=as_json)
    verdict = worst(r.verdict for r in reports)
    code = 130 if interrupted else EXIT[verdict]
    if as_json:
        result = {
            "verdict": verdict,
            "exit_code": code,
            "interrupted": interrupted,
            "targets": [r.json() for r in reports],
        }
        _output.print_json("test", result, context.notes)
    else:
        if live:
            from ccsetup.cli import _test_more

            _test_more.after_live(reports, verbose)
        _output.print_notes(context.notes)
    if output is not None:
        from ccsetup.cli import _test_more

        _test_more.write_report(output, reports)
        if not as_json:
            _output.line(_("wrote {file}").format(file=output))
    return code


def _estimate(targets: Sequence[Target]) -> str:
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


COLOURS = {"ok": "32", "degraded": "33", "unknown": "33", "skipped": "2"}


class Printer:
    """Shows each target as a block.  A single one is shown step by step, as it goes."""

    def __init__(self, targets: Sequence[Target], verbose: bool) -> None:
        self._targets = targets
        self._verbose = verbose
        self._live = len(targets) == 1
        self._begun = False

    def step(self, index: int, step: Step) -> None:
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
    parts = [target.label, CLIENTS[target.client].TITLE, about["base_url"]]
    return " · ".join(p for p in parts if p)


def step_text(step: Step, verbose: bool) -> str:
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
        text += f"  docs/reference/verdicts.md#{report.verdict}"
    if report.usage is not None and (report.usage.input_tokens or report.usage.output_tokens):
        text += "  " + _("{tokens_in} + {tokens_out} tokens").format(
            tokens_in=report.usage.input_tokens, tokens_out=report.usage.output_tokens
        )
        if report.usage.cost is not None:
            text += f", {report.usage.cost:.6f} {report.usage.currency}"
    return text
