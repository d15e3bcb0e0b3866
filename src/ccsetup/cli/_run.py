"""The one place where errors become output and exit codes."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Sequence

from ccsetup import i18n, masking
from ccsetup.errors import BUG, FAILED, INTERRUPTED, OK, USAGE, CcsetupError, OutputError


def main(argv: Sequence[str]) -> int:
    """Run the command line *argv* and return its exit code.  No traceback ever reaches the user."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character shows '?'
    from ccsetup.cli import _misplaced

    plain = sys.stdout, sys.stderr
    masking.forget()
    _misplaced.remember(argv)
    sys.stdout, sys.stderr = masking.Stream(sys.stdout), masking.Stream(sys.stderr)
    try:
        i18n.activate(i18n.choose(argv, os.environ))
        code = _run(list(argv))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone (`ccsetup list | head -1`): say nothing, also when the interpreter flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return OK
    except OutputError as e:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        with contextlib.suppress(OSError):
            text = i18n._("The output cannot be written: {reason}. What the command changed stays changed.")
            plain[1].write(i18n._("Error: {message}").format(message=text.format(reason=e)) + "\n")
            plain[1].flush()
        return FAILED
    except KeyboardInterrupt as e:
        sys.stderr.write("\n" + "".join(f"{text}\n" for text in e.args))
        return INTERRUPTED
    finally:
        sys.stdout, sys.stderr = plain


def _run(argv: list[str]) -> int:
    import typer
    from typer import _click as click

    from ccsetup.cli import _misplaced

    if "_CCSETUP_COMPLETE" in os.environ:
        os.environ["COLUMNS"] = "1000"  # typer breaks what it tells of a word at the width, and shells read lines
    try:
        from ccsetup.cli._app import app

        _take_back(argv)
        _misplaced.refuse(argv, _command)
        result = typer.main.get_command(app)(argv, prog_name="ccsetup", standalone_mode=False)
        return result if isinstance(result, int) else OK
    except CcsetupError as e:
        return report(argv, e.exit_code, e.message, e.hint, kind=e.kind)
    except click.exceptions.NoArgsIsHelpError as e:
        sys.stdout.write(e.format_message() + "\n")
        return USAGE
    except click.exceptions.UsageError as e:
        from ccsetup.cli import _parser

        better = _misplaced.instead(argv, _command(argv)) if "unexpected extra argument" in e.format_message() else None
        if better is not None:
            return report(argv, USAGE, better.message, better.hint)
        usage = e.ctx.command_path if e.ctx else f"ccsetup {_command(argv)}".rstrip()
        hint = i18n._("See: {command} --help").format(command=usage)
        return report(argv, USAGE, _parser.problem(e.format_message()), hint)
    except typer.Abort as e:
        raise KeyboardInterrupt(*e.args) from None
    except click.exceptions.ClickException as e:
        return report(argv, FAILED, e.format_message(), "")
    except (KeyboardInterrupt, BrokenPipeError, OutputError):
        raise
    except SystemExit as e:
        if isinstance(e.__context__, BrokenPipeError):  # typer makes exit code 1 of it
            raise e.__context__ from None
        raise
    except Exception as e:
        return _bug(argv, e)


def _take_back(argv: Sequence[str]) -> None:
    """Before any command: take back what a killed one left halfway, and say so.  It never stops the command.

    A dry run changes nothing, and ``doctor`` shows what it does first: they leave it.
    """
    if os.environ.get("_CCSETUP_COMPLETE") or "--help" in argv or argv[:1] == ["doctor"]:
        return
    from ccsetup import disk, paths
    from ccsetup.cli import _output
    from ccsetup.plan import Note

    notes: list[Note] = []
    _output.first.clear()
    try:
        here = paths.from_environ(os.environ)
        if not disk.interrupted(here.state_dir):
            return
        if "--dry-run" in argv or "--check" in argv:
            text = i18n._("A change was killed halfway: {commands}")
            commands = ", ".join(record.command for record in disk.unfinished(here.homes))
            hint = i18n._("The next command that may write takes it back.")
            notes.append(Note("warning", text.format(commands=commands), hint))
        else:
            found = disk.recover(here.homes)
            if found.commands:
                text = i18n._("A change was killed halfway, and was taken back as a whole: {commands}")
                notes.append(Note("warning", text.format(commands=", ".join(found.commands))))
            for path in found.damaged:
                text = i18n._("The record of a change was damaged, and was set aside: {file}")
                notes.append(Note("warning", text.format(file=here.short(path))))
    except CcsetupError as e:
        notes.append(Note("warning", e.message, e.hint))
    if "--json" in argv:
        _output.first.extend(notes)
    else:
        _output.print_notes(notes)


def report(argv: Sequence[str], code: int, message: str, hint: str, *, kind: str = "") -> int:
    """Print an error, as JSON where the user asked for JSON, and return *code*."""
    from ccsetup.cli import _output

    if "--json" in argv:
        kind = kind or {USAGE: "usage", BUG: "bug"}.get(code, "failed")
        error = {"message": message, "hint": hint, "exit_code": code, "kind": kind}
        _output.print_json(_command(argv), {}, [], error=error)
        return code
    sys.stderr.write(_output.safe(i18n._("Error: {message}").format(message=message)) + "\n")
    if hint:
        sys.stderr.write(_output.safe(hint) + "\n")
    return code


def _command(argv: Sequence[str]) -> str:
    """Return the name of the command in *argv*: ``list``, ``relay key add``."""
    import typer

    words = [a for a in argv if not a.startswith("-")]
    names: list[str] = []
    if "_CCSETUP_COMPLETE" in os.environ:
        os.environ["COLUMNS"] = "1000"  # typer breaks what it tells of a word at the width, and shells read lines
    try:
        from ccsetup.cli._app import app

        found: Any = typer.main.get_command(app)
        while words and hasattr(found, "get_command"):
            inner = found.get_command(None, words[0])
            if inner is None:
                from ccsetup.cli import _guess

                words = [*_guess.stands_for(names, words[0]), *words[1:]]
                inner = found.get_command(None, words[0])
            if inner is None:
                break
            found = inner
            names.append(words.pop(0))
    except Exception:  # the error that is being told may be one of loading it
        names = []
    return " ".join(names) or next(iter(words), "")


def _bug(argv: Sequence[str], error: Exception) -> int:
    """Write where the error happened (never a value, which might be a key) to a file, and say so."""
    import traceback

    lines = [f"ccsetup {sys.version.split()[0]} {type(error).__name__}\n"]
    lines += [f"  {f.filename}:{f.lineno} {f.name}\n" for f in traceback.extract_tb(error.__traceback__)]
    where = ""
    try:
        from ccsetup import paths

        folder = paths.from_environ(os.environ).state_dir
        os.makedirs(folder, mode=0o700, exist_ok=True)
        where = os.path.join(folder, "crash.log")
        with open(os.open(where, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
            f.writelines(map(masking.hide, lines))
    except (OSError, CcsetupError):
        where = ""
    message = i18n._("This is a bug in ccsetup ({kind}).").format(kind=type(error).__name__)
    hint = (
        i18n._("Please report it with the file {file}, which holds no key.").format(file=where)
        if where
        else "".join(lines)
    )
    return report(argv, BUG, message, hint)


__all__ = ["Any", "main", "report"]
