"""A profile for one run of Codex: options instead of files."""

from __future__ import annotations

import json
from typing import Sequence, cast

from ccsetup.clients.codex import edits, facts
from ccsetup.clients.values import Sending, Start, Starting, Use
from ccsetup.documents.edit import MISSING
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.model import CodexEndpoint

RUN_KEY = "CCSETUP_RUN_KEY"
"""Holds the key where Codex has no file of the profile."""


def start(starting: Starting, given: Sequence[str]) -> Start:
    profile, files = starting.profile, starting.files
    if any(a in ("-p", "--profile") or a.startswith("--profile=") for a in given):
        raise UsageError(_("Codex takes --profile once, and this needs it for '{name}'.").format(name=profile.name))
    saved = [p for p, form in edits.saved_paths(files.paths, profile.name, files.version) if form]
    if files.version < facts.PROFILE_FILES or all(starting.exists(p) for p in saved):
        return Start(("--profile", profile.name), {}, ())
    key = starting.key(profile)
    use = starting.use(profile._replace(key_storage="env", key_env=RUN_KEY, key_command=""))
    out: list[str] = []
    for wish in edits.use(files, use, edits.profile_id(profile)).documents:
        for path, value in wish.settings.items():
            if value is not MISSING and path[-1] != "model_catalog_json":
                # The value is TOML, of which JSON's text, numbers and true are a part.
                out += ["-c", f"{'.'.join(_toml_key(k) for k in path)}={json.dumps(value, ensure_ascii=False)}"]
    return Start(tuple(out), {RUN_KEY: key.reveal()} if key else {}, ())


def _toml_key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)


def asked(plain: Sending, use: Use) -> Sending:
    """Return *plain* with what Codex would ask for by a saved profile."""
    from ccsetup.probe.target import TierModel

    endpoint = cast(CodexEndpoint, use.endpoint)
    chat = _("The preset knows only Chat Completions for this provider.") if endpoint.wire == "chat" else ""
    extra = {"web_search": endpoint.web_search, "extra_tools": endpoint.extra_tools}
    return plain._replace(models=(TierModel("model", endpoint.model),), extra=extra, note=chat)
