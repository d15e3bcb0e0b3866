"""Translated text: English in the source, catalogues in ``locale/``.

The language is chosen once, before any text is made: ``--lang``, CCSETUP_LANG, LANGUAGE, LC_ALL, LC_MESSAGES, LANG.
"""

from __future__ import annotations

import os
from typing import Mapping, Sequence

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
    for name in ("CCSETUP_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        for value in environ.get(name, "").split(":"):
            if value:
                return match(value) or "en"
    return "en"


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
