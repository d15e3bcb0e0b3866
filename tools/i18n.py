"""Keep the translations in step with the sources.

``python tools/i18n.py update`` takes new texts into every catalogue and drops those that are gone;
``check`` fails when a text is untranslated, unused, or lost a {placeholder} or an --option; ``missing`` lists
what there is to translate.  The build turns ``ccsetup.po`` into ``ccsetup.mo``.
"""

from __future__ import annotations

import argparse
import datetime
import glob
import os
import re
import string
import sys
from typing import Iterator

import yaml
from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from ccsetup.cli._app import COMMANDS

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PACKAGE = os.path.join(ROOT, "src", "ccsetup")
LOCALE = os.path.join(PACKAGE, "locale")
LANGUAGES = ("zh_CN",)

TYPER = ("Arguments", "Options", "default: {default}", "required")
"""What typer looks up itself and can appear in our help."""


def extract() -> Catalog:
    """Return all texts of the program, with the files that they come from."""
    catalog = Catalog()
    for file, _line, message, comments, context in extract_from_dir(
        PACKAGE, [("**.py", "python")], keywords={"_": None, "ngettext": (1, 2)}
    ):
        catalog.add(message, locations=[(file.replace(os.sep, "/"), 1)], auto_comments=comments, context=context)
    for text in TYPER:
        catalog.add(text, locations=[("typer", 1)])
    for file, text in preset_texts():
        catalog.add(text, locations=[(file, 1)])
    return catalog


def preset_texts() -> Iterator[tuple[str, str]]:
    """Yield what presets say to users: why a client cannot use a provider, names of keys, why none is checked."""
    for file in sorted(glob.glob(os.path.join(ROOT, "presets", "*.yaml"))):
        with open(file, encoding="utf-8") as opened:
            preset = yaml.safe_load(opened)
        name = os.path.basename(file)
        for family in preset["key"].get("families", ()):
            yield name, family["name"]
        for region in preset["regions"]:
            for text in (
                region.get("claude-code", {}).get("unsupported"),
                region.get("codex", {}).get("unsupported"),
                region.get("codex", {}).get("reason"),
                region.get("verify_note"),
            ):
                if text:
                    yield name, text


def path(language: str) -> str:
    return os.path.join(LOCALE, language, "LC_MESSAGES", "ccsetup.po")


def read(language: str) -> Catalog:
    """Return the catalogue of *language*; an empty one when there is none."""
    if not os.path.exists(path(language)):
        return Catalog(locale=language)
    with open(path(language), "rb") as file:
        return read_po(file, locale=language)


def update(language: str) -> None:
    """Write the catalogue of *language* with the texts of today; translations are kept, nothing is guessed."""
    old, new = (
        read(language),
        Catalog(
            locale=language,
            project="ccsetup",
            version="1",
            msgid_bugs_address="",
            last_translator="The ccsetup authors",
            language_team="",
            header_comment="# Translations of ccsetup.\n# Kept in step with the sources by tools/i18n.py.\n#",
            creation_date=datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC),
            revision_date=datetime.datetime(2026, 11, 20, tzinfo=datetime.UTC),
            fuzzy=False,
        ),
    )
    for message in extract():
        if message.id:
            before = old.get(message.id)
            text = before.string if before is not None and not before.fuzzy else ""
            files = sorted({file for file, _line in message.locations})
            new.add(message.id, text or "", locations=[(file, 1) for file in files], flags=message.flags - {"fuzzy"})
    os.makedirs(os.path.dirname(path(language)), exist_ok=True)
    with open(path(language) + ".new", "wb") as file:
        write_po(file, new, width=118, include_lineno=False, sort_by_file=True, ignore_obsolete=True)
    os.replace(path(language) + ".new", path(language))


def texts(message: Message) -> list[tuple[str, str]]:
    """Return (original, translation) of every form of *message*."""
    if isinstance(message.id, tuple):
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        return [(message.id[-1], form) for form in forms]
    return [(message.id, message.string)]


def problems(language: str) -> Iterator[str]:
    """Yield everything that is wrong with the catalogue of *language*, one line each."""
    catalog, wanted = read(language), extract()
    known = {m.id for m in catalog if m.id}
    for message in wanted:
        if message.id and message.id not in known:
            yield f"not in the catalogue: {message.id!r}"
    for message in catalog:
        if not message.id:
            continue
        if wanted.get(message.id) is None:
            yield f"not used any more: {message.id!r}"
        if message.fuzzy:
            yield f"fuzzy: {message.id!r}"
        for original, translation in texts(message):
            if not translation:
                yield f"not translated: {original!r}"
            elif fields(original) != fields(translation):
                yield f"other placeholders than {sorted(fields(original))}: {translation!r}"
            elif options(original) != options(translation):
                yield f"other options than {sorted(options(original))}: {translation!r}"


def fields(text: str) -> set[str]:
    """Return the placeholders of *text*."""
    return {name for _text, name, _spec, _conversion in string.Formatter().parse(text) if name is not None}


def options(text: str) -> set[str]:
    """Return the options and the commands that *text* names."""
    found = re.findall(r"(?<![\w-])--?[A-Za-z][a-z-]*|ccsetup [a-z-]+", text)
    return {o for o in found if o[0] == "-" or o.removeprefix("ccsetup ") in COMMANDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["update", "check", "missing"])
    action = parser.parse_args().action
    failed = False
    for language in LANGUAGES:
        if action == "update":
            update(language)
            print(os.path.relpath(path(language), ROOT))
        elif action == "missing":
            for message in extract():
                found = read(language).get(message.id) if message.id else None
                if message.id and (found is None or not found.string):
                    print(repr(message.id))
        else:
            for problem in problems(language):
                print(f"{language}: {problem}")
                failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
