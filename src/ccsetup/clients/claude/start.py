"""A profile for one terminal or one run of Claude Code: variables and options instead of files.

settings.json beats the shell for the same variable (observed with 2.1.329), so a run is handed its settings with
``--settings``, which beats all but the administrator's.
"""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence

from ccsetup.clients.claude import edits, facts, notes
from ccsetup.clients.values import Files, Start, Starting, Use
from ccsetup.documents.edit import MISSING, KeyPath, lookup
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.plan import Note


def variables(files: Files, use: Use) -> Mapping[str, Any]:
    """Return what a terminal has to export: text, a Secret, or MISSING for a variable that is to go."""
    plain = use.profile._replace(key_storage="inline", key_env="", key_command="")
    wanted = _settings(files, use._replace(profile=plain))
    return {path[1]: value for path, value in wanted.items() if path[0] == "env"}


def hides(files: Files, names: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Return settings.json, and those of *names* that it sets, and so takes from the shell."""
    path = files.paths.claude_settings
    return path, [n for n in names if lookup(files.get(path), ("env", n)) is not MISSING]


def start(starting: Starting, given: Sequence[str]) -> tuple[Start, Sequence[Note]]:
    profile, files = starting.profile, starting.files
    if any(a == "--settings" or a.startswith("--settings=") for a in given):
        raise UsageError(
            _("Claude Code takes --settings once, and this needs it for the profile."),
            hint=_("Switch to the profile instead: ccsetup config-switch {name}").format(name=profile.name),
        )
    helper = profile
    if profile.key_storage in ("inline", "dotenv") and not profile.key_command:
        starting.key(profile)  # the file that the client is told to read should be there
    if profile.key_storage != "keyring" and profile.key_storage != "env":
        helper = profile._replace(key_storage="command")
    wanted = _settings(files, starting.use(helper))
    # What has to be absent is blanked: other settings, which lie below these, may have it.
    env = {p[1]: "" if v is MISSING else v for p, v in wanted.items() if p[0] == "env" and p[1] != profile.key_env}
    settings = {"env": env, "apiKeyHelper": wanted[facts.HELPER]}
    return Start(("--settings", json.dumps(settings, ensure_ascii=False)), {}, tuple(env)), notes.console_note(files)


def _settings(files: Files, use: Use) -> Mapping[KeyPath, Any]:
    """Return what settings.json is to hold for *use*."""
    path = files.paths.claude_settings
    return next(w for w in edits.use(files, use).documents if w.path == path).settings
