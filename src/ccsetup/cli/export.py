"""``ccsetup export``: saved profiles as one document for ``ccsetup apply``."""

from __future__ import annotations

import os
import sys
from typing import Optional

import typer

from ccsetup.cli import _complete, _options, _output
from ccsetup.cli._context import Context
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.plan import Note

HELP = _(
    "Write saved profiles, all or those named, into one document for 'ccsetup apply'. Keys are not in it: it names the "
    "variable, or the command, that gives each."
)


def command(
    names: Optional[list[str]] = typer.Argument(
        None, metavar="[NAME]...", help=_("Saved profiles."), autocompletion=_complete.profiles
    ),
    with_keys: bool = typer.Option(False, "--with-keys", help=_("Write the keys themselves, too.")),
    output: Optional[str] = typer.Option(
        None, "-o", "--output", metavar="FILE", help=_("Write into this file (mode 0600 with keys), not to the output.")
    ),
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    from ccsetup.change import provision
    from ccsetup.profiles import declare

    context = Context()
    world = context.world()
    if with_keys and output is None and (as_json or sys.stdout.isatty()):
        raise UsageError(
            _("Keys are not printed to a terminal or as JSON, where others may see them."),
            hint=_("Write a file with -o FILE."),
        )
    document = provision.export(world, names or (), with_keys=with_keys)
    text = declare.dump(document)
    if output is not None:
        _write(output, text, private=with_keys)
        if with_keys:
            context.notes.append(Note("warning", _("{file} holds keys: treat it as one.").format(file=output)))
    variables = [d.key.value for d in document.profiles if d.key.kind == "env"]
    if as_json:
        body = {"profiles": [d.profile.name for d in document.profiles], "variables": variables, "file": output or ""}
        if output is None:
            body["document"] = text
        _output.print_json("export", body, [*context.notes, *world.notes])
        return 0
    if output is None:
        (_output.reveal if with_keys else sys.stdout.write)(text)
    elif not document.profiles:
        _output.line(_("No profile is saved yet. Make one with: ccsetup init -p PROVIDER -k KEY"))
    else:
        _output.line(_("wrote {file}").format(file=output))
        if variables:
            _output.line(
                _("Set {names} where it is applied, then: ccsetup apply {file}").format(
                    names=", ".join(variables), file=output
                )
            )
    _output.print_notes([*context.notes, *world.notes])
    return 0


def _write(path: str, text: str, *, private: bool) -> None:
    """Put *text* at *path* in one step; with keys only the user can read it from its first moment on."""
    import tempfile

    folder = os.path.dirname(os.path.abspath(path))
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".ccsetup-")
        try:
            with open(handle, "w", encoding="utf-8") as f:
                f.write(text)
            if not private:
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(name, 0o666 & ~mask)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as e:
        raise UsageError(_("{file} cannot be written: {reason}.").format(file=path, reason=e.strerror)) from None
