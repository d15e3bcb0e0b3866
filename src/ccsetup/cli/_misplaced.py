"""Keys on the command line: they are hidden from the first moment, and one in a wrong place is refused with the right
next command."""

from __future__ import annotations

import os
from typing import Callable, Optional, Sequence

from ccsetup import masking
from ccsetup.errors import UsageError
from ccsetup.i18n import _

_KEY = ("-k", "--api-key")
_SHORTEST = 10
"""Characters.  Nothing shorter is recognised as a key by its form."""


def remember(argv: Sequence[str]) -> None:
    """Hide the keys among the words *argv*, wherever they stand."""
    for at, word in enumerate(argv):
        before = argv[at - 1] if at else ""
        name, _equals, value = word.partition("=")
        if before in _KEY and word != "-":
            masking.remember(word.strip())
        elif name in _KEY:
            masking.remember(value.strip())
        elif word.startswith("-k") and not word.startswith("--"):
            masking.remember(word[2:].strip("= \t\r\n"))
        elif before == "--api-configs" or name == "--api-configs":
            from ccsetup.doctor import keysin

            for found in keysin.values(word):
                masking.remember(found)
        if len(word) < _SHORTEST:
            continue
        pieces = [p.strip("'\"") for p in (*word.split(), *value.split())]
        if any(masking.suspect(p) for p in pieces):
            for piece in pieces:  # a key that was broken in two is one still
                if len(piece) >= 6 and (masking.suspect(piece) or len(pieces) > 1) and "://" not in piece:
                    masking.remember(piece.rpartition("=")[2])


def refuse(argv: Sequence[str], command: Callable[[Sequence[str]], str]) -> None:
    """Raise UsageError when a word of *argv* is a key that stands where something else belongs.

    *command* tells the name of the command, which is asked for in this case only.
    """
    option = ""
    for word in argv:
        if word == "--":
            return  # what follows is for another program
        before, option = option, ""
        name, equals, value = word.partition("=")
        if word.startswith("-") and len(word) > 1:
            if word.startswith("--") and equals:
                before = name
            elif not word.startswith("--") and len(word) > _SHORTEST:
                before, value = word[:2], word[2:]
            else:
                option = word
                continue
        else:
            value = word
        if len(value) < _SHORTEST or before in (*_KEY, "--api-configs", "--api-key-command"):
            continue
        if value.startswith(("http://", "https://")):
            from ccsetup import urls

            if urls.key_inside(value):
                problem = _("{option}: The address holds a key, which does not belong there.")
                problem = problem.format(option=before) if before else _("The address holds a key.")
                raise UsageError(problem, hint=_hint(argv, command(argv), value))
        elif _is_key(value):
            called = command(argv)
            raise UsageError(_problem(before, called), hint=_hint(argv, called, value))


def instead(argv: Sequence[str], command: str) -> Optional[UsageError]:
    """Return what to say when *command* took one word too many: after ``key set NAME`` that is the key."""
    if command in ("key set", "key rotate"):
        return UsageError(_problem("", command), hint=_hint(argv, command, ""))
    return None


def _is_key(word: str) -> bool:
    found = masking.likely(word) or masking.likely(word.rpartition("=")[2]) or masking.likely("".join(word.split()))
    if not found or os.path.lexists(word):
        return False
    from ccsetup import paths

    try:  # who has called a profile so can still name it
        with open(paths.from_environ(os.environ).profiles, encoding="utf-8") as f:
            return word not in f.read()
    except (OSError, ValueError):
        return True


def _problem(option: str, command: str) -> str:
    if not option:
        if command in ("init", "key set", "key rotate"):
            return _("A key does not stand by itself: it follows -k.")
        return _("A key stands where a name belongs.")
    what = {
        "-p": _("the id of a provider"),
        "--provider": _("the id of a provider"),
        "-n": _("the name of a profile"),
        "--name": _("the name of a profile"),
        "--api-key-env": _("the name of a variable"),
        "--key-env-name": _("the name of a variable"),
        "--api-key-file": _("the path of a file"),
    }.get(option)
    if what is None:
        return _("What stands after {option} is a key, which does not belong there.").format(option=option)
    return _("{option} takes {what}, and what stands there is a key.").format(option=option, what=what)


def _hint(argv: Sequence[str], command: str, key: str) -> str:
    """Return the command that takes the key from standard input, with the names that were given."""
    words = [w for w in argv if not w.startswith("-") and masking.hide(w) == w]
    names = words[len(command.split()) :] if words[: len(command.split())] == command.split() else []
    if command in ("key set", "key rotate"):
        right = f"ccsetup {command} {names[0] if names else 'NAME'} -k -"
    elif command == "relay key add":
        return _("The relay makes its clients' keys itself; give a name: {command}").format(
            command="ccsetup relay key add NAME"
        )
    else:
        verb = "test" if command == "test" else "init"
        right = f"ccsetup {verb} -p {_provider(argv, names, key)} -k -"
    return _("Type: {command} (the key is then read from standard input)").format(command=right)


def _provider(argv: Sequence[str], names: Sequence[str], key: str) -> str:
    """Return the provider that was named, or that gives out such keys, or a place to name it."""
    from ccsetup import presets

    known = presets.ids()
    given = [w for w in (*names, *argv) if w in known]
    made = {i for i, f in presets.key_families() if key.rpartition("=")[2].startswith(f.prefix) and f.prefix != "sk-"}
    return given[0] if given else made.pop() if len(made) == 1 else "PROVIDER"
