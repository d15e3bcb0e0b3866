"""``ccsetup completion``: Tab completes commands, options and their values in a shell."""

from __future__ import annotations

from typing import Optional

import typer

from ccsetup.cli import _options, _output
from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _

HELP = _("Print the completion script of a shell, or install it.")
SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")


def _shells(incomplete: str) -> list[str]:
    return [s for s in SHELLS if s.startswith(incomplete)]


def command(
    shell: Optional[str] = typer.Argument(
        None,
        metavar="[SHELL]",
        help=_("bash, zsh, fish, powershell or pwsh; the one that is running when not given."),
        autocompletion=_shells,
    ),
    install: bool = typer.Option(False, "--install", help=_("Add it to the shell's own start-up files.")),
    lang: Optional[str] = _options.LANG,
) -> int:
    from typer import _completion_shared as scripts

    name = (shell or scripts._get_shell_name() or "").lower()
    if name not in SHELLS:
        raise UsageError(
            _("'{name}' is no shell with completion.").format(name=printable(name))
            if name
            else _("Which shell? It could not be found out."),
            hint=_("Give one of: {names}").format(names=", ".join(SHELLS)),
        )
    if not install:
        _output.line(scripts.get_completion_script(prog_name="ccsetup", complete_var="_CCSETUP_COMPLETE", shell=name))
        return 0
    try:
        _shell, path = scripts.install(shell=name, prog_name="ccsetup", complete_var="_CCSETUP_COMPLETE")
    except OSError as e:
        raise UsageError(_("{file} cannot be written: {reason}.").format(file=e.filename, reason=e.strerror)) from None
    _output.line(_("Completion for {shell} is installed in {file}.").format(shell=name, file=path))
    _output.line(_("Open a new terminal to use it."))
    return 0
