"""The option parser's own texts in the user's language: typer 0.28 has them in English only.

``tests/cli/test_parser.py`` provokes each of them, so that a new release of typer is noticed.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Optional, Sequence

import typer
from typer.core import TyperCommand, TyperGroup

from ccsetup.i18n import _


class _Help:
    """Mixed into command classes: the words around the options."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        pieces = self.collect_usage_pieces(ctx)  # type: ignore[attr-defined]
        formatter.write_usage(ctx.command_path, " ".join(pieces), prefix=_("Usage:") + " ")

    def get_params(self, ctx: Any) -> Any:
        params = super().get_params(ctx)  # type: ignore[misc]
        texts = {
            "help": _("Show this message and exit."),
            "install_completion": _("Install completion for the current shell."),
            "show_completion": _("Show completion for the current shell, to copy it or customize the installation."),
        }
        for param in params:
            if param.name in texts:
                param.help = texts[param.name]
        return params


class Command(_Help, TyperCommand):
    sections: Sequence[tuple[str, Sequence[str]]] = ()
    """Titles for the help, each with the names of the parameters below it; the others come last."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        rows = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        listed = [(title, [rows.pop(name) for name in names]) for title, names in self.sections]
        listed.append((_("Other options") if listed else _("Options"), list(rows.values())))
        for title, records in listed:
            with formatter.section(title):
                formatter.write_dl([record for record in records if record])


class Group(_Help, TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        found = self.get_command(ctx, args[0])
        if found is not None:
            return args[0], found, args[1:]
        from ccsetup.cli import _guess

        return super().resolve_command(ctx, _guess.meant(ctx.command_path.split()[1:], args, self.list_commands(ctx)))

    def rows(self, ctx: Any) -> list[tuple[str, str]]:
        """Return the commands, each with one line of help."""
        return [(name, getattr(self.get_command(ctx, name), "help", "")) for name in self.list_commands(ctx)]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        from ccsetup.cli import _guess

        with formatter.section(_("Commands")):
            formatter.write_dl(self.rows(ctx))
        others = _guess.others(" ".join(ctx.command_path.split()[1:]))
        if others:
            with formatter.section(_("Other names")):
                formatter.write_dl(others)


class Lazy(Group):
    """A group that imports the module of a command when that command is run, or shown in ``--help``."""

    def table(self) -> dict[str, str]:
        """Return the names of the commands, each with one line of help."""
        raise NotImplementedError

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.table())

    def rows(self, ctx: Any) -> list[tuple[str, str]]:
        return list(self.table().items())

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        from typer._click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [CompletionItem(n, help=text) for n, text in self.table().items() if n.startswith(incomplete)]


def group(text: str, kind: type[Group] = Group, epilog: Optional[str] = None) -> typer.Typer:
    """Return a group of commands, with *text* as its help, to which its method ``command`` adds them."""
    return typer.Typer(
        cls=kind,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        help=text,
        epilog=epilog,
    )


def single(
    name: str,
    function: Callable[..., Any],
    text: str,
    epilog: Optional[str] = None,
    sections: Sequence[tuple[str, Sequence[str]]] = (),
) -> Any:
    """Return *function* as the command *name*, with *text* as its help, and its options in *sections*."""
    one = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
    one.command(name, cls=Command, help=text, epilog=epilog)(function)
    made: Any = typer.main.get_command(one)
    made.sections = sections
    return made


def run(argv: Sequence[str]) -> int:
    """Run another command line of the program that is running, in this process; return its exit code."""
    from typer._click.globals import get_current_context

    program = get_current_context().find_root().command
    result = program(list(argv), prog_name="ccsetup", standalone_mode=False)
    return result if isinstance(result, int) else 0


def names() -> list[str]:
    """Return the commands of the program that is running."""
    from typer._click.globals import get_current_context

    root: Any = get_current_context().find_root()
    return list(root.command.list_commands(root))


def problem(message: str) -> str:
    """Return the parser's *message*, one sentence, in the user's language."""
    texts = (
        (r"Invalid value for (?P<option>.+?): (?P<problem>.+)", _("Invalid value for {option}: {problem}")),
        (r"No such command '(?P<name>.*)'\.", _("No such command '{name}'.")),
        (
            r"No such option: (?P<name>.*?) \(Possible options: (?P<names>.*)\)",
            _("No such option: {name} (did you mean {names}?)"),
        ),
        (r"No such option: (?P<name>.*)", _("No such option: {name}")),
        (r"Option '(?P<name>.*)' requires an argument\.", _("Option '{name}' requires a value.")),
        (r"Option '(?P<name>.*)' does not take a value\.", _("Option '{name}' does not take a value.")),
        (r"Got unexpected extra argument\(s\) \((?P<values>.*)\)", _("Unexpected argument: {values}")),
        (r"Missing (?:argument|option|parameter) (?P<name>.*)\.", _("Missing: {name}")),
        (r"(?P<value>.*) is not a valid (?:int|integer)(?: range)?\.", _("{value} is not a whole number.")),
        (r"(?P<value>.*) is not in the range (?P<range>.*)\.", _("{value} is not in the range {range}.")),
    )
    for pattern, text in texts:
        found = re.fullmatch(pattern, message, re.S)
        if found:
            parts = found.groupdict()
            if "problem" in parts:
                parts["problem"] = problem(parts["problem"])
            return text.format(**parts)
    return message
