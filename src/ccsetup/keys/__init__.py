"""API keys as they come in: cleaning, refusing what no provider takes, recognising families."""

from __future__ import annotations

import re
from typing import BinaryIO, Callable, Mapping, Optional

from ccsetup import bounded, masking
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.keys.form import bare, family, owner, placeholder, stand_in
from ccsetup.model import Secret

Tell = Callable[[str], object]
"""Is called with a sentence about what was corrected."""

MAX_BYTES = 16 * 1024
COMMAND_SECONDS = 30.0

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
"""The name of an environment variable: no other is safe in shell code, in ``apiKeyHelper`` and in Codex's .env."""


def no_variable() -> str:
    return _("this is not the name of a variable: use letters, digits and '_', no digit first.")


def check_variable(name: str, source: str) -> None:
    """Raise UsageError, which does not repeat *name* because it may be a key, when it is no variable's name."""
    if not VARIABLE.match(name):
        raise UsageError(
            f"{source}: {no_variable()}",
            hint=_("Name the variable that holds the key; a key itself is given with -k KEY."),
        )


def clean(text: str, source: str, tell: Optional[Tell] = None) -> Secret:
    """Return the key in *text* without what stands around it; UsageError, which never shows it, when it is none.

    *tell* is told when more than white space was left out.
    """
    given = text.strip("\ufeff \t\r\n")
    key = bare(given) if len(given) <= MAX_BYTES else given
    if not key:
        raise UsageError(_("The key from {source} is empty.").format(source=source))
    for c in key:
        if not "!" <= c <= "~":
            what = _("a space") if c == " " else _("a line break") if c in "\r\n" else _("a character")
            raise UsageError(
                _("The key from {source} has {what} inside that no key has.").format(source=source, what=what),
                hint=_("Copy the key again, without anything around it."),
            )
    if len(key) > MAX_BYTES:
        raise UsageError(_("The key from {source} is too long to be a key.").format(source=source))
    if placeholder(key):
        raise UsageError(
            _("What {source} gives is a placeholder, not a key.").format(source=source),
            hint=_("Give the key itself, --api-key-env NAME for a variable, or --api-key-command CMD."),
        )
    if key != given and tell is not None:
        text = _("{source}: quotes, a name before the key, or a comma behind it are no part of it and were left out.")
        tell(text.format(source=source))
    return Secret(key)


def read(
    value: Optional[str],
    file: Optional[str],
    variable: Optional[str],
    environ: Mapping[str, str],
    stdin: BinaryIO,
    tell: Optional[Tell] = None,
) -> Optional[Secret]:
    """Return the key that the options name, or the one in CCSETUP_API_KEY, or None.

    *value* is ``-k`` ("-": standard input), *file* is ``--api-key-file``, *variable* is ``--api-key-env``; *tell* is
    that of ``clean``.
    """
    given = [o for o, v in (("-k", value), ("--api-key-file", file), ("--api-key-env", variable)) if v is not None]
    if len(given) > 1:
        raise UsageError(_("{options} both name a key: give one of them.").format(options=" / ".join(given)))
    if value is not None:
        if value != "-":
            return clean(value, "-k", tell)
        name = _("standard input")
        if stdin.isatty():
            return clean(_typed(), _("the terminal"), tell)
        return clean(bounded.stream(stdin, MAX_BYTES, name).decode("utf-8", "replace"), name, tell)
    if file is not None:
        return from_file(file, "--api-key-file", tell)
    if variable is not None:
        return from_variable(variable, "--api-key-env", environ, tell)
    if environ.get("CCSETUP_API_KEY"):
        return clean(environ["CCSETUP_API_KEY"], "CCSETUP_API_KEY", tell)
    return None


def _typed() -> str:
    """Return what a person types, which is not shown."""
    import getpass

    try:
        return getpass.getpass(_("API key: "))
    except EOFError:
        raise KeyboardInterrupt from None


def from_file(path: str, option: str, tell: Optional[Tell] = None) -> Secret:
    try:
        return clean(bounded.given(path, MAX_BYTES).decode("utf-8", "replace"), path, tell)
    except OSError as e:
        raise UsageError(
            _("{option}: {path} cannot be read: {reason}").format(option=option, path=path, reason=e.strerror)
        ) from None


def from_variable(name: str, option: str, environ: Mapping[str, str], tell: Optional[Tell] = None) -> Secret:
    check_variable(name, option)
    if not environ.get(name):
        raise UsageError(_("{option}: the variable {name} is not set.").format(option=option, name=name))
    return clean(environ[name], name, tell)


def from_command(command: str) -> Secret:
    """Return what the shell command *command* prints: ``op read …``, ``pass show …``, ``vault kv get …``.

    It runs as the user would run it, for at most COMMAND_SECONDS, and may print at most MAX_BYTES.
    Raises CcsetupError, which shows nothing of the output.
    """
    import subprocess

    try:
        child = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE)
    except (OSError, ValueError) as e:
        raise _command_failed(str(e)) from None
    assert child.stdout is not None
    try:
        data, problem = bounded.output(child.stdout, MAX_BYTES, COMMAND_SECONDS)
        if not problem:
            code = child.wait(COMMAND_SECONDS)
            problem = _("it ended with exit code {code}").format(code=code) if code else ""
    except subprocess.TimeoutExpired:
        problem = _("it did not end in time")
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        child.stdout.close()
    if problem:
        raise _command_failed(problem)
    return clean(data.decode("utf-8", "replace"), _("the key command"))


def in_place_of_name(value: str, environ: Mapping[str, str]) -> Optional[Secret]:
    """Return the key that stands where the name of a variable belongs; None for what may be a name."""
    if not value or value in environ or value.startswith("$") or not all("!" <= c <= "~" for c in value):
        return None
    odd = not VARIABLE.match(value) and len(value) >= 16 and any(c.isdigit() for c in value)
    return Secret(value) if odd or masking.suspect(value) else None


def _command_failed(reason: str) -> CcsetupError:
    return CcsetupError(
        _("The key command gave no key: {reason}.").format(reason=reason),
        hint=_("Run the command by hand; it has to print the key and nothing else."),
    )


__all__ = ["bare", "family", "owner", "placeholder", "stand_in"]
