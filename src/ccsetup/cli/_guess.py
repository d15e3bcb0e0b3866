"""Commands by the names that people type without reading: run where the meaning is certain, named where it is not."""

from __future__ import annotations

from typing import Sequence

from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _

OTHER_NAMES: dict[str, dict[str, str]] = {
    "": {
        "use": "config-switch",
        "switch": "config-switch",
        "status": "list",
        "current": "list",
        "profiles": "profile list",
        "remove": "profile rm",
        "rm": "profile rm",
        "delete": "profile rm",
        "rename": "profile rename",
        "copy": "profile copy",
        "keys": "key list",
        "providers": "list --providers",
    },
    "profile": {
        "ls": "list",
        "remove": "rm",
        "delete": "rm",
        "mv": "rename",
        "cp": "copy",
    },
    "key": {
        "add": "set",
        "update": "set",
        "change": "set",
        "ls": "list",
        "remove": "rm",
        "delete": "rm",
    },
    "relay": {
        "remove": "rm",
        "delete": "rm",
        "up": "start",
        "down": "stop",
        "serve": "run",
        "usage": "stats",
        "log": "record",
    },
    "relay key": {"ls": "list", "remove": "revoke", "rm": "revoke", "delete": "revoke"},
}
"""What a word stands for, by the group of commands that it follows."""

_DOUBTFUL: dict[str, str] = {
    "show": "list",
    "add": "init",
    "new": "init",
    "create": "init",
    "setup": "init",
    "configure": "init",
    "config": "init",
    "install": "init",
    "login": "init",
    "logout": "config-switch official",
    "reset": "config-switch official",
    "off": "config-switch official",
    "check": "test",
    "ping": "test",
    "verify": "test",
    "fix": "doctor --fix",
    "repair": "doctor --fix",
    "log": "undo --list",
    "logs": "relay logs",
    "stats": "relay stats",
    "usage": "relay stats",
    "cost": "relay stats",
    "start": "relay start",
    "stop": "relay stop",
    "serve": "relay run",
    "proxy": "relay",
    "backup": "export",
    "restore": "apply",
    "models": "list --providers",
}
"""Words of the top level that may mean more than one thing, with the command that is the likely one."""


def stands_for(group: Sequence[str], word: str) -> list[str]:
    """Return the words of the command that *word*, after the commands *group*, certainly stands for; else itself."""
    return OTHER_NAMES.get(" ".join(group), {}).get(word.lower(), word).split()


def meant(group: Sequence[str], args: list[str], known: Sequence[str]) -> list[str]:
    """Return *args*, whose first word is no command of *group*, with the command that it certainly stands for.

    *known* are the commands of the group.  UsageError names the likely one where it is not certain.
    """
    path = " ".join(group)
    word = args[0]
    others = OTHER_NAMES.get(path, {})
    if word.lower() in known:
        return [word.lower(), *args[1:]]
    if word.lower() in others:
        return [*stands_for(group, word), *args[1:]]
    likely = "" if path else _DOUBTFUL.get(word.lower(), "")
    if not likely:
        from ccsetup.documents.nearest import nearest

        likely = nearest(word, [*known, *others])
        likely = others.get(likely, likely)
    command = " ".join(filter(None, ("ccsetup", path, likely)))
    raise UsageError(
        _("No such command '{name}'.").format(name=printable(word)),
        hint=_("Did you mean: {command}").format(command=command)
        if likely
        else _("See: {command} --help").format(command=" ".join(["ccsetup", *group])),
    )


def others(group: str) -> list[tuple[str, str]]:
    """Return the other names of the commands of *group*, for its help: (command, names)."""
    found: dict[str, list[str]] = {}
    for word, command in OTHER_NAMES.get(group, {}).items():
        found.setdefault(command, []).append(word)
    return [(", ".join(words), command) for command, words in found.items()]
