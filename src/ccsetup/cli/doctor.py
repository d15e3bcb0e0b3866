"""``ccsetup doctor``: what is wrong with the settings of the clients, and its repair."""

from __future__ import annotations

import re
import sys
import time
from typing import Any, Optional, Sequence

import typer

from ccsetup import disk
from ccsetup.change.draft import Draft
from ccsetup.cli import _options, _output, _relay
from ccsetup.cli._context import Context, lookup
from ccsetup.clients import CLIENTS, tidied
from ccsetup.clients.house import Facts, Finding, RelayState
from ccsetup.doctor import keysin, look, repair
from ccsetup.doctor.checks import Examined, examine
from ccsetup.errors import CcsetupError, ChangedMeanwhile, DocumentError, UsageError
from ccsetup.i18n import _
from ccsetup.plan import FileChange, Note, Plan

HELP = _(
    "Look at everything that the clients read, and name what they ignore, refuse or send to the wrong place. "
    "With --fix, repair what can be repaired: the changes are shown first, and undo takes them back."
)
EPILOG = _("Exit codes: 0 healthy (warnings may remain), 1 problems, 2 wrong usage.")

_COMMAND = re.compile(r"\b(?:ccsetup|codex|git|rm|unset|export) [^,;:]{1,70}(?<!\.)")

WIDTH = 100
"""Columns where the terminal does not tell."""


def command(
    fix: bool = typer.Option(False, "--fix", help=_("Show the repairs as a diff, ask, and carry them out.")),
    yes: bool = typer.Option(False, "-y", "--yes", help=_("With --fix: do not ask.")),
    dry_run: bool = typer.Option(False, "--dry-run", help=_("With --fix: show the repairs only, with keys masked.")),
    verbose: bool = typer.Option(False, "-v", "--verbose", help=_("Show the checks that found nothing as well.")),
    codex_version: str = typer.Option(
        "", "--codex-version", metavar="VERSION", help=_("Judge by this version of Codex, not the installed one.")
    ),
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    if (yes or dry_run) and not fix:
        raise UsageError(_("--yes and --dry-run go with --fix."))
    run = DoctorRun(codex_version)
    outcomes = run.examine()
    result: dict[str, Any] = {}
    if fix and (run.facts.unfinished or any(f.repairs for o in outcomes for f in o.findings)):
        plan, changes = run.plan()
        shown = run.diff(plan, changes)
        if not as_json:
            _output.line(shown.rstrip("\n"))
        if dry_run:
            if as_json:
                report(run, outcomes, {"diff": shown, "fixed": _fixed(plan)}, verbose=verbose, as_json=True)
            return 1 if _problems(outcomes) else 0
        if not yes and not _agreed(as_json):
            _output.line(_("Nothing was changed."))
            return 1 if _problems(outcomes) else 0
        result = {**run.commit(plan, changes, asked=not yes), "fixed": _fixed(plan)}
        for one, why in plan.failed:
            run.context.notes.append(
                Note("warning", _("{id} was not repaired: {why}").format(id=one.check.id, why=why))
            )
        run.look()
        outcomes = run.examine()
        if not as_json:
            _output.line()
    return report(run, outcomes, result, verbose=verbose, as_json=as_json)


class DoctorRun:
    """One run: the facts, and drafts of the files."""

    def __init__(self, codex_version: str) -> None:
        self.context = Context(codex_version=codex_version)
        self.look()

    def look(self) -> None:
        relay = RelayState(lambda url: _relay.away(self.context, url), self._relay_problem)
        self.facts: Facts = look.facts(self.context.paths, said=self.context.said, keyring=lookup, relay=relay)

    def _relay_problem(self) -> tuple[str, int]:
        from ccsetup.cli.relay import _base

        try:
            _base.load(self.context, _base.here(self.context))
        except DocumentError as e:
            place = f"{self.context.paths.short(self.context.paths.relay_config)}:{e.line}:{e.column}: "
            return e.message.removeprefix(place), e.line
        except CcsetupError as e:
            return e.message, 0
        return "", 0

    def draft(self) -> Draft:
        return Draft(lambda p: disk.snapshot([p])[p], self.context.paths.short)

    def examine(self) -> list[Examined]:
        return examine(repair.view(self.facts, self.draft()))

    def plan(self) -> tuple[repair.Repairs, tuple[FileChange, ...]]:
        draft = self.draft()
        plan = repair.plan(self.facts, draft)
        changes = tidied(draft.changes())
        # Copies by others and our own keys hold nothing to edit, but their contents are no less secret.
        for change in changes:
            for data in (change.before, change.after):
                self.context.secrets.update(keysin.values((data or b"").decode("utf-8", "replace")))
            if change.path.endswith("auth.json"):
                # Every text in an auth.json may be a key.
                before = (change.before or b"").decode("utf-8", "replace")
                self.context.secrets.update(re.findall(r'"([^"\\]{4,})"(?!\s*:)', before))
        return plan, changes

    def diff(self, plan: repair.Repairs, changes: Sequence[FileChange]) -> str:
        paths = self.context.paths
        text = _output.diff(changes, self.context.secrets, paths)
        for path in plan.protect:
            mode = self.facts.stat_mode(path)
            text += _("{file}: mode {old:04o} becomes {new:04o}").format(
                file=paths.short(path), old=mode, new=mode & 0o700
            )
            text += "\n"
        for folder in plan.folders:
            text += _("{file}: the empty folder is removed").format(file=paths.short(folder)) + "\n"
        if plan.recover:
            text += _("The change that was killed halfway is taken back: {commands}").format(
                commands=", ".join(self.facts.unfinished)
            )
            text += "\n"
        return text

    def commit(self, plan: repair.Repairs, shown: Sequence[FileChange], *, asked: bool) -> dict[str, Any]:
        last: dict[str, Any] = {"changes": tuple(shown)}

        def build() -> Plan:
            if self.facts.unfinished:  # it was taken back just now, before this plan is made
                self.facts = self.facts._replace(unfinished=())
            elif asked and self.plan()[1] != tuple(shown):
                raise ChangedMeanwhile(
                    _("Another program changed the files meanwhile. Nothing was changed."),
                    hint=_("Run the same command again."),
                )
            last["changes"] = self.plan()[1]
            return Plan("doctor --fix", last["changes"])

        done = disk.transaction(build, self.context.paths.homes, now=time.time())
        for path in plan.protect:
            disk.protect(path)
        for folder in plan.folders:
            disk.remove_empty(folder)
        changed = bool(done.id or plan.protect or plan.folders or plan.recover)
        files = dict.fromkeys([*self.context.names(last["changes"]), *map(self.context.paths.short, plan.protect)])
        return {"changed": changed, "files": list(files), "undo": done.id}


def _agreed(as_json: bool) -> bool:
    if as_json or not _output.interactive():
        raise UsageError(
            _("Nobody is there to ask. Nothing was changed."),
            hint=_("Carry the repairs out with: ccsetup doctor --fix --yes"),
        )
    sys.stdout.write("\n" + _("Carry these repairs out? [y/N]") + " ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes", "是")


def _fixed(plan: repair.Repairs) -> list[dict[str, str]]:
    return [{"id": r.check.id, "text": r.finding.text, "fix": r.finding.fix} for r in plan.done]


def _problems(outcomes: Sequence[Examined]) -> bool:
    return any(o.result == "problem" for o in outcomes)


# What is shown.


def report(
    run: DoctorRun, outcomes: Sequence[Examined], result: dict[str, Any], *, verbose: bool, as_json: bool
) -> int:
    code = 1 if _problems(outcomes) else 0
    if as_json:
        _output.print_json("doctor", {**_as_json(run, outcomes), **result}, run.context.notes)
        return code
    width = _width()
    versions = []
    for client in CLIENTS:
        version = run.facts.installed.get(client)
        shown = ".".join(map(str, version)) if version else _("not found")
        versions.append(f"{CLIENTS[client].title} {shown}")
    _output.line(", ".join(versions))
    for outcome in outcomes:
        for finding in outcome.findings:
            _show(run, outcome, finding, width)
        if verbose and not outcome.findings:
            mark = _("ok") if outcome.applies else "-"
            owner = f"{CLIENTS[outcome.check.client].title}: " if outcome.check.client else ""
            _output.line(f"{mark} {owner}{outcome.check.title} [{outcome.check.id}]")
    _summary(outcomes, result)
    _output.print_notes(run.context.notes)
    return code


def _show(run: DoctorRun, outcome: Examined, finding: Finding, width: int) -> None:
    problem = finding.level != "warning"
    cross = "✗" if (sys.stdout.encoding or "").lower().startswith("utf") else "x"
    mark = _output.paint(cross if problem else "!", "31" if problem else "33")
    place = run.context.paths.short(finding.path) if finding.path else ""
    if place and finding.line:
        place += f":{finding.line}"
    text = _output.mask(f"{place}  {finding.text}" if place else finding.text, run.context.secrets)
    _output.line(mark + " " + _wrapped(text, width, "    ", 2))
    label = "--fix: " if finding.repairs else ""
    _output.line("    " + _wrapped(f"[{outcome.check.id}] {label}{finding.fix}", width, "      ", 4))


def _wrapped(text: str, width: int, indent: str, first: int) -> str:
    """Break *text* at spaces; the first line begins at column *first*."""
    lines, column = [""], first
    # A command to type is not broken where it fits on a line of its own.
    text = _COMMAND.sub(lambda m: m[0].replace(" ", "\0"), _output.safe(text).replace("\n", " "))
    for word in text.split(" "):
        word = word.replace("\0", " ")
        needed = _output.width(word)
        if lines[-1].strip() and column + 1 + needed > width:
            lines.append(indent + word)
            column = len(indent) + needed
        else:
            gap = " " if lines[-1] else ""
            lines[-1] += gap + word
            column += len(gap) + needed
    return "\n".join(line.rstrip() for line in lines)


def _summary(outcomes: Sequence[Examined], result: dict[str, Any]) -> None:
    good = sum(o.result == "ok" for o in outcomes)
    findings = [f for o in outcomes for f in o.findings]
    problems = sum(f.level != "warning" for f in findings)
    counts = (
        (_("Problems: {n}."), problems),
        (_("Warnings: {n}."), len(findings) - problems),
        (_("Checks passed: {n}.") if findings else _("All {n} checks passed."), good),
    )
    text = " ".join(sentence.format(n=n) for sentence, n in counts if n)
    fixable = sum(bool(f.repairs) for f in findings)
    if fixable:
        text += " " + _("Repair {count} of these with: ccsetup doctor --fix").format(count=fixable)
    _output.line(text)
    if result.get("fixed"):
        text = _("Repaired: {count}.").format(count=len(result["fixed"]))
        if result.get("undo"):
            text += " " + _("Take it back with: ccsetup undo")
        _output.line(text)


def _width() -> int:
    import shutil

    return min(max(shutil.get_terminal_size((WIDTH, 24)).columns, 40), 120)


def _as_json(run: DoctorRun, outcomes: Sequence[Examined]) -> dict[str, Any]:
    short = run.context.paths.short
    return {
        "healthy": not _problems(outcomes),
        "clients": {c: ".".join(map(str, v)) if (v := run.facts.installed.get(c)) else None for c in CLIENTS},
        "checks": [
            {
                "id": o.check.id,
                "client": o.check.client,
                "title": o.check.title,
                "result": o.result,
                "findings": [
                    {
                        "level": "warning" if f.level == "warning" else "problem",
                        "stops": f.level == "stops",
                        "text": _output.mask(f.text, run.context.secrets),
                        "file": short(f.path),
                        "line": f.line,
                        "fix": f.fix,
                        "fixable": bool(f.repairs),
                    }
                    for f in o.findings
                ],
            }
            for o in outcomes
        ],
        "changed": False,
        "files": [],
    }
