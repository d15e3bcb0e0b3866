"""Options and arguments that several commands have, each said once."""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Any, Callable, TypeVar, get_type_hints

import typer

from ccsetup.cli import _complete
from ccsetup.i18n import _

JSON = typer.Option(False, "--json", help=_("Print one JSON object."))
LANG = typer.Option(
    None, "--lang", metavar="LANG", autocompletion=_complete.languages, help=_("Language of all texts: en or zh-CN.")
)
DRY = typer.Option(False, "--dry-run", help=_("Show what would change, with keys masked; write nothing."))
LOOK = typer.Option(False, "--dry-run", help=_("Show what was found; write nothing."))
CHECK = typer.Option(False, "--check", help=_("As --dry-run, and exit 4 when something would change."))
REPAIR = typer.Option(
    False,
    "--repair",
    help=_("Correct what a client does not accept: comments in settings.json, old lines in config.toml."),
)
VERBOSE = typer.Option(False, "-v", "--verbose", help=_("Say more."))
SILENT = typer.Option(False, "-s", "--skip-prompt", help=_("Never ask anything."))
YES = typer.Option(False, "-y", "--yes", help=_("Do not ask."))

CLIENTS = typer.Option(
    None,
    "-T",
    "--code-type",
    metavar="CLIENT",
    autocompletion=_complete.clients,
    help=_("claude-code (cc), codex (cx) or all; repeatable."),
)
CODEX_VERSION = typer.Option(
    None, "--codex-version", metavar="VERSION", help=_("Write for this version of Codex, not the installed one.")
)
API_TYPE = typer.Option(
    None,
    "-t",
    "--api-type",
    metavar="TYPE",
    autocompletion=_complete.ways,
    help=_("How Claude Code sends the key: auth_token or api_key."),
)
QUICK = typer.Option(False, "--quick", help=_("Only what is free: address, connection, key, protocol."))

PROFILE = typer.Argument(..., metavar="NAME", help=_("A saved profile."), autocompletion=_complete.profiles)

KEY = typer.Option(None, "-k", "--api-key", metavar="KEY", help=_("The key; - reads it from standard input."))
KEY_FILE = typer.Option(None, "--api-key-file", metavar="PATH", help=_("Read the key from a file."))
KEY_VARIABLE = typer.Option(
    None, "--api-key-env", metavar="NAME", help=_("Read the key from a variable; also CCSETUP_API_KEY.")
)

FORCE_KEY = typer.Option(
    False, "--force-key", help=_("Use the key although it looks like another provider's, or like none.")
)


T = TypeVar("T", bound=tuple[Any, ...])


def gathered(options: type[T]) -> Callable[[Callable[[T], int]], Callable[..., int]]:
    """Return a decorator that makes a command of a function of one value: its fields are the command's parameters.

    Each field of *options* has as its default the ``typer.Option`` or ``typer.Argument`` that gives its value.
    """

    def decorate(function: Callable[[T], int]) -> Callable[..., int]:
        def command(**values: Any) -> int:
            return function(options(**values))

        types = get_type_hints(options)
        command.__annotations__ = types
        command.__signature__ = Signature(  # type: ignore[attr-defined]
            [
                Parameter(name, Parameter.KEYWORD_ONLY, default=info, annotation=types[name])
                for name, info in options._field_defaults.items()  # type: ignore[attr-defined]
            ]
        )
        return command

    return decorate
