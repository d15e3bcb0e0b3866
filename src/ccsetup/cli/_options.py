"""Options and arguments that several commands have, each said once."""

from __future__ import annotations

import typer

from ccsetup.i18n import _

JSON = typer.Option(False, "--json", help=_("Print one JSON object."))
LANG = typer.Option(None, "--lang", metavar="LANG", help=_("Language of all texts: en or zh-CN."))
DRY = typer.Option(False, "--dry-run", help=_("Show what would change, with keys masked; write nothing."))
YES = typer.Option(False, "-y", "--yes", help=_("Do not ask."))

PROFILE = typer.Argument(..., metavar="NAME", help=_("A saved profile."))

KEY = typer.Option(None, "-k", "--api-key", metavar="KEY", help=_("The key; - reads it from standard input."))
KEY_FILE = typer.Option(None, "--api-key-file", metavar="PATH", help=_("Read the key from a file."))
KEY_VARIABLE = typer.Option(
    None, "--api-key-env", metavar="NAME", help=_("Read the key from a variable; also CCSETUP_API_KEY.")
)
