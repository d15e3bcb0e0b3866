"""The wizard: ``ccsetup init`` for a person at a terminal.

Looks first (``look``, ``found``), asks only what is unknown (``questions``, put by ``prompts``), shows the plan, and
hands over to the very code that ``init`` runs.  Nothing outside this package imports it before a person is to be asked.
"""

from __future__ import annotations

import shlex
from typing import Any, Iterator, Mapping, Optional, Sequence

from ccsetup import presets
from ccsetup.change import actions
from ccsetup.change.entries import Options, requests
from ccsetup.change.world import World
from ccsetup.cli import _output, _parser
from ccsetup.cli._context import Context
from ccsetup.cli._init import OPTIONS, InitOptions, tell
from ccsetup.cli.wizard import look, prompts, questions, screen
from ccsetup.cli.wizard.answers import Answers, AskText, Choose, Settled, WizardFacts, clients_of
from ccsetup.cli.wizard.prompts import GoBack, Option, Prompter, complain, say
from ccsetup.clients import CLIENTS, usual_client
from ccsetup.errors import BLOCKED, OK, WOULD_CHANGE, CcsetupError, UsageError
from ccsetup.i18n import _, ngettext
from ccsetup.model import Model, Preset, Region, Secret
from ccsetup.plan import FileChange, Note
from ccsetup.profiles.apiconfigs import Entry

MOST = 40
"""A new file with more lines is shown by its beginning; a model catalogue has hundreds."""


def run(
    context: Context,
    fields: Mapping[str, Any],
    options: Options,
    given: InitOptions,
) -> int:
    """Ask what *fields* and *options*, made of *given*, leave open, show the plan, and carry it out.

    Return the exit code.
    Raises KeyboardInterrupt when the person stops before anything was written.
    """
    seen = look.around(context)
    prompter = screen.for_terminal(context.paths.environ)
    for one in look.screen(seen, context, min(prompts.columns(), 100) - 1):
        say(one)
    facts = _facts(context, seen)
    wizard = _Wizard(context, prompter, facts, given)
    try:
        return wizard.run(Answers(fields, options, given.repair, via_relay=given.via_relay))
    except KeyboardInterrupt:
        if wizard.writes:
            raise
        raise KeyboardInterrupt(_("Nothing was written.")) from None


def _facts(context: Context, seen: look.Seen) -> WizardFacts:
    world = context.world()

    def has_key(name: str) -> bool:
        profile = world.profiles[name]
        if profile.problem:
            return False
        if profile.key_storage == "keyring" or profile.key_command:
            return True
        try:
            return profile.key_storage != "env" and bool(world.key(profile))
        except CcsetupError:
            return False

    def keyring() -> bool:
        from ccsetup.keys import keychain

        return not keychain.problem()

    def live_models(preset: Preset, region: Region, answers: Answers) -> list[Model]:
        from ccsetup.cli.wizard import models

        key = answers.options.secret or Secret(preset.default_key)
        return models.live(preset, region, answers, key)

    def relay_problem() -> str:
        from ccsetup.cli.relay import _base

        try:
            _base.need_extra()
        except CcsetupError as e:
            return prompts.sentences(e.message, e.hint)
        return ""

    return WizardFacts(
        seen,
        context.preset,
        world.profiles,
        context.paths.environ,
        presets.key_families(),
        has_key,
        keyring,
        live_models,
        relay_problem,
    )


class _Wizard:
    """One run."""

    def __init__(self, context: Context, prompter: Prompter, facts: WizardFacts, given: InitOptions) -> None:
        self.context = context
        self.prompter = prompter
        self.facts = facts
        self.options = given
        self.history: list[Answers] = []
        self.writes = False
        self.given: dict[str, str] = {}
        """What was answered before going back, by question: the next default."""

    def run(self, answers: Answers) -> int:
        while True:
            try:
                answers = self._ask_all(answers)
                changes = self._plan(answers)
                if changes and not self.options.dry:
                    self._confirm(len(changes))
                break
            except GoBack:
                answers = self.history.pop()
            except UsageError as e:
                # Two answers that do not go together: another answer may.
                if not self.history:
                    raise
                complain(prompts.sentences(e.message, e.hint))
                answers = self.history.pop()
        if self.options.dry:
            self._farewell(answers, written=False)
            return self._exit_code(check=self.options.check, changes=bool(changes))
        return self._carry_out(answers)

    def _ask_all(self, answers: Answers) -> Answers:
        while True:
            step = questions.next_step(self.facts, answers)
            if step is None:
                return answers
            if isinstance(step, Settled):
                if step.text:
                    (complain if step.warning else prompts.tell)(step.text)
                answers = step.answers
                continue
            try:
                value = self._put(step)
            except GoBack:
                answers = self.history.pop()
                continue
            before, answers = answers, step.apply(value)
            if answers.said:
                prompts.tell(answers.said)
                answers = answers._replace(said="")
            self.history.append(before)
            if not (isinstance(step, AskText) and step.secret):
                self.given[step.id] = value

    def _put(self, step: Choose | AskText) -> str:
        back = bool(self.history)
        default = self.given.get(step.id, step.default)
        if isinstance(step, Choose):
            if step.note:
                prompts.tell(step.note)
            return self.prompter.choose(step.message, step.options, default=default, search=step.search, back=back)
        if step.secret:
            return self.prompter.secret(step.message, note=step.note, check=step.check, back=back)
        return self.prompter.text(step.message, default=default, note=step.note, check=step.check, back=back)

    def _act(self, answers: Answers, world: World) -> tuple[list[str], list[actions.Switched]]:
        """The same as ``ccsetup init`` does with the same options."""
        if answers.via_relay:
            from ccsetup.cli.relay import _via

            made = _via.draft(
                self.context,
                world,
                [Entry(answers.fields, "")],
                answers.options,
                activate=answers.options.activate,
                repair=answers.repair,
            )
            return [made.name], made.switched
        wanted = requests(world, [Entry(answers.fields, "")], answers.options)
        self.context.secrets.update(r.key.reveal() for r in wanted if r.key)
        return [r.name for r in wanted], actions.init(world, wanted, repair=answers.repair)

    def _plan(self, answers: Answers) -> tuple[FileChange, ...]:
        """Show what would become of each file."""
        self.context.notes.clear()
        _done, changes = self.context.run("init", lambda world: self._act(answers, world), dry=True)
        # The clients' own settings come last: that is what is on the screen when the question is.
        paths = self.context.paths
        order = [paths.claude_json, paths.claude_settings, paths.codex_config]
        shown = [c for c in changes if not paths.is_record(c.path)]
        shown.sort(key=lambda c: order.index(c.path) if c.path in order else -1)
        say()
        if not shown:
            say(_("Everything is set up like this already; nothing would change."))
            return ()
        say(
            ngettext("The plan: {n} file changes.", "The plan: {n} files change.", len(shown)).format(n=len(shown))
            + " "
            + _("Keys are shown as ***.")
        )
        for change in shown:
            what = _("new") if change.before is None else _("goes") if change.after is None else _("changes")
            say(f"  {self.context.paths.short(change.path)} ({what})")
        say()
        for text in _diffs(shown, self.context):
            say(text)
        prompts.notes(self.context.notes)
        return tuple(shown)

    def _confirm(self, number: int) -> None:
        options = [Option("yes", _("Yes, write")), Option("no", _("No, leave everything as it is"))]
        message = ngettext("Write this {n} file?", "Write these {n} files?", number).format(n=number)
        answer = self.prompter.choose(message, options, default="yes", back=bool(self.history))
        if answer == "no":
            raise KeyboardInterrupt

    def _carry_out(self, answers: Answers) -> int:
        from ccsetup.cli import _worktree

        told = {n.text for n in self.context.notes}
        blocked = any(n.level == "blocked" for n in self.context.notes)
        self.context.notes.clear()
        self.writes = True
        command = "init --via-relay" if answers.via_relay else "init"
        (names, switched), changes = self.context.run(command, lambda world: self._act(answers, world), dry=False)
        self.context.notes.extend(_worktree.notes(self.context, changes))
        if answers.via_relay:
            from ccsetup.cli.relay import _via

            up = _via.ready(self.context, start=not self.options.no_start)
            blocked = blocked or (not self.options.no_start and up is None)
            _via.tell(_via.Outcome(names[0], switched), up, changed=bool(changes))
        else:
            tell(self.context, names, switched, changes, verbose=self.options.verbose, hints=False)
        prompts.notes([n for n in self.context.notes if n.text not in told])
        try:
            self._offer_test(answers, names)
        finally:
            self._farewell(answers, written=bool(changes))
        if blocked:
            self.context.notes.append(Note("blocked", ""))
        return self._exit_code(check=False, changes=bool(changes))

    def _exit_code(self, *, check: bool, changes: bool) -> int:
        if check and changes:
            return WOULD_CHANGE
        return BLOCKED if any(n.level == "blocked" for n in self.context.notes) else OK

    def _offer_test(self, answers: Answers, names: Sequence[str]) -> None:
        variable = answers.options.storage_env
        if answers.options.storage == "env" and variable and not self.context.paths.environ.get(variable):
            prompts.tell(_("Now let your shell export the key: export {variable}=...").format(variable=variable))
            return
        if not names:
            return
        # The profile alone is nothing that a client could use.
        argv = ["relay", "check"] if answers.via_relay else ["test", names[0]]
        options = [Option("yes", _("Yes"), "ccsetup " + " ".join(argv)), Option("no", _("No"))]
        if self.prompter.choose(_("Ask the provider whether it works?"), options, default="yes", back=False) == "yes":
            _parser.run(argv)

    def _farewell(self, answers: Answers, *, written: bool) -> None:
        clients = clients_of(self.facts, answers) or [usual_client()]
        programs = [CLIENTS[c].program for c in CLIENTS if c in clients]
        say()
        if written and answers.options.activate:
            say(_("Start it with: {program}").format(program=_(" or ").join(programs)))
        if written:
            say(_("Take it back with: ccsetup undo"))
        line = command_line(answers, self.options)
        say(
            _("The same without questions, with the key on standard input:")
            if answers.options.secret
            else _("The same without questions:")
        )
        say("  " + line)


def _diffs(changes: Sequence[FileChange], context: Context) -> Iterator[str]:
    """Return the diff of each file in colour, of a long new file its beginning."""
    for change in changes:
        lines = _output.diff([change], context.secrets, context.paths).rstrip("\n").split("\n")
        if change.before is None and len(lines) > MOST:
            rest = len(lines) - 6
            lines = lines[:6]
            lines.append(
                ngettext(
                    "... {n} more line (all with --dry-run)", "... {n} more lines (all with --dry-run)", rest
                ).format(n=rest)
            )
        colours = {"+": "32", "-": "31", "@": "36"}
        yield "\n".join(_output.paint(one, colours[one[0]]) if one[:1] in colours else one for one in lines)


def command_line(answers: Answers, given: Optional[InitOptions] = None) -> str:
    """Return the command that does the same without a question; a key is read from standard input."""
    words = ["ccsetup", "init", "-s"]
    for field, option in OPTIONS.items():
        value = answers.fields.get(field)
        if isinstance(value, dict):
            words += [
                w for k, v in value.items() for w in (option, f"{k}={str(v).lower() if isinstance(v, bool) else v}")
            ]
        elif value:
            words += [option, str(value)]
    clients = answers.options.clients
    if clients and clients != [usual_client()]:
        words += ["-T", "all" if len(clients) == len(CLIENTS) else clients[0]]
    elif clients and not answers.field("provider"):
        words += ["-T", clients[0]]
    options = answers.options
    if options.storage:
        words += ["--key-storage", options.storage]
    if options.storage_env:
        words += ["--key-env-name", options.storage_env]
    if options.force_key:
        words.append("--force-key")
    if options.key_command:
        words += ["--api-key-command", options.key_command]
    if answers.via_relay:
        words.append("--via-relay")
        if given and given.no_start:
            words.append("--no-start")
    if not options.activate:
        words.append("--no-activate")
    if answers.repair:
        words.append("--repair")
    if given and given.codex_version:
        words += ["--codex-version", given.codex_version]
    if options.secret:
        words += ["-k", "-"]
    return shlex.join(words)


__all__ = ["command_line", "run"]
