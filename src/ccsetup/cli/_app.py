"""The command tree.  A command's module is imported when the command is run, or shown in ``--help``."""

from __future__ import annotations

import gc
import importlib
from typing import Any, Optional

import typer

from ccsetup import __version__
from ccsetup.cli import _options, _output, _parser
from ccsetup.i18n import _

COMMANDS = {
    "init": ("init", _("Set a provider up and make a client use it.")),
    "config-switch": ("config_switch", _("Make the clients use another profile, or none.")),
    "list": ("list_", _("Show what each client uses, and the profiles.")),
    "test": ("test", _("Tell whether an endpoint and a key work, and why not.")),
    "key": ("key", _("Show, change and remove the keys of profiles.")),
    "profile": ("profile", _("Show, copy, rename and remove profiles.")),
    "env": ("env", _("Print a profile as variables for one terminal.")),
    "run": ("run", _("Start a client with a profile, without changing any file.")),
    "import": ("import_", _("Save what the clients or other tools have as profiles.")),
    "export": ("export", _("Write profiles into one file, without keys.")),
    "apply": ("apply", _("Make profiles and clients what a file says.")),
    "doctor": ("doctor", _("Find what is wrong with the settings, and repair it.")),
    "relay": ("relay", _("Several providers behind one local address, and translation between their formats.")),
    "completion": ("completion", _("Print the completion script of a shell, or install it.")),
    "history": ("history", _("Show Codex' sessions by provider, and bring them together.")),
    "undo": ("undo", _("Take the last change back.")),
    "uninstall": ("uninstall", _("Take what ccsetup wrote out of the clients.")),
    "help": ("help_", _("Show the help of a command, or explain a verdict of 'ccsetup test'.")),
}
"""Module and one line of help by command; the module is imported when the command runs."""

ALIASES = {"i": "init", "cs": "config-switch", "ls": "list"}


class Commands(_parser.Lazy):
    """Finds commands by name without importing the others."""

    def table(self) -> dict[str, str]:
        return {name: text for name, (_module, text) in COMMANDS.items()}

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except EOFError:
            raise typer.Abort from None
        except KeyboardInterrupt as e:  # typer would make an exit code of it, and ``main`` not know of it
            raise typer.Abort(*e.args) from None

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        name = ALIASES.get(cmd_name, cmd_name)
        if name == "version":
            from ccsetup.cli import help_

            return _parser.single(name, help_.version, _("Show the version and exit."))
        if name not in COMMANDS:
            return None
        module = importlib.import_module("ccsetup.cli." + COMMANDS[name][0])
        if hasattr(module, "app"):
            return typer.main.get_command(module.app)
        return _parser.single(
            name, module.command, module.HELP, getattr(module, "EPILOG", None), getattr(module, "SECTIONS", ())
        )


app = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"ccsetup {__version__}")
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    help=_("Point Claude Code and Codex at a model provider, and switch between providers."),
    epilog=_(
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a bug, 4 --check found changes, 5 done but a client needs you."
    ),
)
def root(
    ctx: typer.Context,
    version: bool = typer.Option(
        False, "--version", "-V", is_eager=True, callback=_version, help=_("Show the version and exit.")
    ),
    lang: Optional[str] = _options.LANG,
) -> None:
    if not gc.isenabled():  # as the entry point leaves it; by now the module of the command is imported
        gc.freeze()
        gc.set_threshold(20_000)  # what a command reads stays to its end
        gc.enable()
    if ctx.invoked_subcommand is None:
        if _output.interactive():
            from ccsetup.cli.wizard import menu

            raise typer.Exit(menu.show())
        typer.echo(ctx.get_help())
