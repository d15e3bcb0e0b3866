"""Translated text: English in the source, catalogues in ``locale/``.

The language is chosen once, before any text is made: ``--lang``, CCSETUP_LANG, what the user had us remember in
settings.toml, LANGUAGE, LC_ALL, LC_MESSAGES, LANG.
"""

from __future__ import annotations

import os
from typing import Mapping, Sequence

from ccsetup.platform import system

_MOST = 1 << 20
"""Characters of settings.toml: more is none of ours, and a part could end inside the name."""

LANGUAGES = ("en", "zh_CN")

_catalogue = None
language = "en"


def _(message: str) -> str:
    """Return *message* in the user's language."""
    return message if _catalogue is None else _catalogue.gettext(message)


def ngettext(singular: str, plural: str, n: int) -> str:
    """Return the form for *n* in the user's language."""
    if _catalogue is None:
        return singular if n == 1 else plural
    return _catalogue.ngettext(singular, plural, n)


def choose(argv: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the language for a command line and an environment: an entry of LANGUAGES."""
    for i, arg in enumerate(argv):
        if arg == "--":
            break
        if arg.startswith("--lang="):
            return match(arg[7:]) or "en"
        if arg == "--lang" and i + 1 < len(argv):
            return match(argv[i + 1]) or "en"
    said = environ.get("CCSETUP_LANG", "") or config_language(environ)
    if said:
        return match(said) or "en"
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        for value in environ.get(name, "").split(":"):
            if value:
                return match(value) or "en"
    return "en"


def settings_file(environ: Mapping[str, str]) -> str:
    """Return the path of settings.toml for *environ*, or "" without a home folder.

    ``paths`` says the same with everything around it; this runs before each command, and takes 0.02 ms.
    """
    home = system.home(environ)
    return os.path.join(system.config_folder(environ, home), "settings.toml") if os.path.isabs(home) else ""


def config_language(environ: Mapping[str, str]) -> str:
    """Return what ``language = "..."`` in settings.toml says, or "".  No reader of TOML is imported for one line."""
    path = settings_file(environ)
    try:
        if not os.path.isfile(path):  # a pipe would keep every command waiting
            return ""
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read(_MOST + 1)
    except OSError:
        return ""
    if len(text) > _MOST:
        return ""
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and name.strip() == "language":
            return value.split("#")[0].strip().strip("\"'")
    return ""


def match(name: str) -> str:
    """Return the entry of LANGUAGES for *name* (``zh-CN``, ``zh_CN.UTF-8``, ``zh``, ``en_GB``), or ""."""
    base = name.split(".")[0].split("@")[0].replace("-", "_").lower()
    if base in ("c", "posix") or base.split("_")[0] == "en":
        return "en"
    if base in ("zh", "zh_cn", "zh_hans", "zh_sg", "zh_hans_cn"):
        return "zh_CN"
    return ""


def activate(name: str) -> None:
    """Use the catalogue of *name*, an entry of LANGUAGES; English when there is none."""
    global _catalogue, language
    language = name
    if name == "en":
        _catalogue = None
        return
    import gettext

    folder = os.path.join(os.path.dirname(__file__), "locale")
    try:
        _catalogue = gettext.translation("ccsetup", folder, languages=[name])
    except OSError:
        _catalogue = None
        return
    # Texts of the option parser itself ("Usage:", "No such option") are in the same catalogue.
    gettext.bindtextdomain("ccsetup", folder)
    gettext.textdomain("ccsetup")
    os.environ["LANGUAGE"] = name
