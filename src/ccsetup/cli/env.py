"""``ccsetup env``: a profile as variables for one terminal."""

from __future__ import annotations

import sys
from typing import Optional

import typer

from ccsetup.change import once
from ccsetup.cli import _complete, _options, _output
from ccsetup.cli._context import Context
from ccsetup.clients import CLIENTS, clients_named, usual_client
from ccsetup.documents.edit import MISSING
from ccsetup.errors import check_one_of
from ccsetup.i18n import _
from ccsetup.plan import Note

HELP = _(
    'Print the lines that make a client use a profile in one terminal only, for: eval "$(ccsetup env NAME)"\n\n'
    "The key is among them; a terminal gets it masked."
)


def command(
    name: str = typer.Argument(..., metavar="NAME", help=_("A saved profile."), autocompletion=_complete.profiles),
    code_type: Optional[list[str]] = typer.Option(
        None,
        "-T",
        "--code-type",
        metavar="CLIENT",
        autocompletion=_complete.clients,
        help=_("claude-code (cc, the default) or codex (cx)."),
    ),
    shell: str = typer.Option("bash", "--shell", metavar="SHELL", help=_("bash (also sh and zsh), fish or pwsh.")),
    unset: bool = typer.Option(False, "--unset", help=_("Print the lines that remove these variables again.")),
    lang: Optional[str] = _options.LANG,
) -> int:
    check_one_of(shell, once.SHELLS, _("Invalid shell '{value}'. Valid ones: {valid}"))
    context = Context()
    world = context.world()
    name = world.means(name)
    profile = world.find(name)
    clients = clients_named(code_type) or [usual_client(profile.parts)]
    lines: dict[str, object] = {}
    for client in clients:
        if client not in profile.parts:
            world.use(profile, client)
        found = once.variables(world, profile, client, names_only=unset)
        lines.update(found)
        known = CLIENTS[client]
        if not known.takes_variables():
            text = _("{client} takes no provider from variables.").format(client=known.title)
            start = _("Start it with: {command}").format(command=f"{known.program} --profile {name}")
            context.notes.append(Note("info", text, start if known.beside else ""))
        elif not unset:
            file, hidden = known.hides(world.files(client), list(found))
            if hidden:
                context.notes.append(
                    Note(
                        "warning",
                        _("{file} sets {names}, which {client} prefers to these variables.").format(
                            file=world.paths.short(file), names=", ".join(hidden), client=known.title
                        ),
                        _("Start it with: {command}").format(command=f"ccsetup run {name} -- {known.program}"),
                    )
                )
    terminal = sys.stdout.isatty()
    for variable, value in lines.items():
        text = once.export_line(variable, MISSING if unset else value, shell, masked=terminal)
        (_output.line if terminal else _output.reveal)(text if terminal else text + "\n")
    if terminal and lines and not unset:
        how = {"bash": 'eval "$(ccsetup env {name})"', "fish": "ccsetup env {name} --shell fish | source"}
        how["pwsh"] = "ccsetup env {name} --shell pwsh | Out-String | Invoke-Expression"
        context.notes.append(
            Note(
                "info",
                _("The key is masked here, because this is a terminal."),
                _("Use it with: {command}").format(command=how[shell].format(name=name)),
            )
        )
    _output.print_notes([*context.notes, *world.notes])
    return 0
