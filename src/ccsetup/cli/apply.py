"""``ccsetup apply``: make profiles and clients what a document says."""

from __future__ import annotations

import sys
from typing import Any, Optional

import typer

from ccsetup import bounded
from ccsetup.cli import _options, _output
from ccsetup.cli._context import Context, switched_text
from ccsetup.clients import CLIENTS
from ccsetup.errors import DocumentError, UsageError
from ccsetup.i18n import _

HELP = _(
    "Make the saved profiles and the clients what FILE says: all of it or, when anything is wrong, nothing. Run again, "
    "it changes nothing. 'ccsetup export' writes such a file."
)


def command(
    file: str = typer.Argument(..., metavar="FILE", help=_("YAML or JSON; - for standard input.")),
    prune: bool = typer.Option(False, "--prune", help=_("Remove the saved profiles that are not in the file.")),
    force_key: bool = _options.FORCE_KEY,
    codex_version: Optional[str] = _options.CODEX_VERSION,
    dry_run: bool = _options.DRY,
    check: bool = _options.CHECK,
    as_json: bool = _options.JSON,
    lang: Optional[str] = _options.LANG,
) -> int:
    from ccsetup.change import provision
    from ccsetup.profiles import declare

    context = Context(codex_version=codex_version or "")
    try:
        document = declare.parse(_read(file), _("standard input") if file == "-" else file, CLIENTS)
    except DocumentError as e:  # a file given on the command line, not one of the clients
        raise UsageError(e.message, hint=e.hint) from None
    dry = dry_run or check
    applied, changes = context.run(
        "apply",
        lambda w: provision.apply(w, document, prune=prune, secrets=context.secrets, force_key=force_key),
        dry=dry,
    )
    if not dry:
        from ccsetup.cli import _worktree

        context.notes.extend(_worktree.notes(context, changes))
    active = {s.client: s.profile for s in applied.switched}

    def show() -> None:
        something = bool(changes) or context.keyring_changed
        lines = [switched_text(client, name) for client, name in active.items()]
        names = [d.profile.name for d in document.profiles if d.profile.name not in active.values()]
        lines += [_("profile '{name}' is saved.").format(name=name) for name in names]
        lines += [_("profile '{name}' is removed.").format(name=name) for name in applied.removed]
        for text in lines:
            _output.done(something, text)
        if not lines:
            _output.line(_output.mark(something) + ".")

    result: dict[str, Any] = {
        "profiles": [d.profile.name for d in document.profiles],
        "removed": list(applied.removed),
        "active": active,
    }
    return context.finish("apply", result, changes, as_json=as_json, dry=dry, check=check, show=show)


def _read(file: str) -> bytes:
    from ccsetup.documents import yamldoc

    if file == "-":
        return bounded.stream(sys.stdin.buffer, yamldoc.MAX_BYTES, _("standard input"))
    try:
        return bounded.given(file, yamldoc.MAX_BYTES)
    except OSError as e:
        raise UsageError(_("{file} cannot be read: {reason}.").format(file=file, reason=e.strerror)) from None
