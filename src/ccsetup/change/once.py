"""A profile for one terminal or one run of a client: variables and options instead of files.  Pure but for a draft.

A client's own files beat the shell's variables (observed with Claude Code 2.1.329: settings.json wins for the same
variable), so a run hands Claude Code its settings with ``--settings``, which beats all but the administrator's.
"""

from __future__ import annotations

import json
from typing import Any, Mapping, NamedTuple, Sequence

from ccsetup.change.world import World, endpoint_of
from ccsetup.clients import CLIENTS
from ccsetup.clients.base import Use
from ccsetup.clients.claude import edits as claude
from ccsetup.clients.codex import edits as codex
from ccsetup.clients.codex import facts
from ccsetup.documents.edit import MISSING, KeyPath, lookup
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Secret
from ccsetup.plan import Note
from ccsetup.profiles import Profile

SHELLS = ("bash", "fish", "pwsh")
"""bash is for every shell that has ``export`` (sh, zsh)."""

RUN_KEY = "CCSETUP_RUN_KEY"
"""Holds the key where Codex has no file of the profile."""


class Start(NamedTuple):
    """How a client is started: no argument holds a key."""

    arguments: tuple[str, ...]
    """To be put directly behind the program."""
    set: Mapping[str, str]
    unset: tuple[str, ...]


def variables(world: World, profile: Profile, client: ClientName, *, names_only: bool = False) -> dict[str, Any]:
    """Return what a terminal has to export: text, a Secret, or MISSING for a variable that is to go.

    With *names_only* the key is not looked for, and only the names count.
    """
    key = Secret("") if names_only else world.key(profile)
    if key is None:
        raise CcsetupError(
            _("The key of profile '{name}' is in the variable {variable}, which is not set here.").format(
                name=profile.name, variable=profile.key_env
            )
        )
    if client == "codex":
        return {profile.key_env: key} if profile.key_storage in ("env", "dotenv") else {}
    plain = profile._replace(key_storage="inline", key_env="", key_command="")
    endpoint = endpoint_of(world, profile, client)
    wanted = _claude_settings(world, Use(plain, world.load_preset(profile.provider), endpoint, key, ()))
    return {path[1]: value for path, value in wanted.items() if path[0] == "env"}


def _claude_settings(world: World, use: Use) -> Mapping[KeyPath, Any]:
    """Return what settings.json is to hold for *use*."""
    wishes = CLIENTS["claude-code"].use(world.files("claude-code"), use)
    return next(w for w in wishes.documents if w.path == world.paths.claude_settings).settings


def overridden(world: World, names: Sequence[str]) -> list[str]:
    """Return those of *names* that the user's settings.json sets, and so takes from the shell."""
    data = world.files("claude-code").get(world.paths.claude_settings)
    return [n for n in names if lookup(data, ("env", n)) is not MISSING]


def start(world: World, profile: Profile, client: ClientName, given: Sequence[str]) -> Start:
    """Return how *client* is started with *profile*; *given* are the user's own arguments."""
    if client not in profile.parts:
        world.use(profile, client)  # says how to add it
    if client == "claude-code":
        return _start_claude(world, profile, given)
    return _start_codex(world, profile, given)


def _start_claude(world: World, profile: Profile, given: Sequence[str]) -> Start:
    if any(a == "--settings" or a.startswith("--settings=") for a in given):
        raise UsageError(
            _("Claude Code takes --settings once, and this needs it for the profile."),
            hint=_("Switch to the profile instead: ccsetup config-switch {name}").format(name=profile.name),
        )
    helper = profile
    if profile.key_storage in ("inline", "dotenv") and not profile.key_command:
        world.key(profile)  # the file that the client is told to read should be there
    if profile.key_storage != "keyring" and profile.key_storage != "env":
        helper = profile._replace(key_storage="command")
    wanted = _claude_settings(world, world.use(helper, "claude-code"))
    # What has to be absent is blanked: other settings, which lie below these, may have it.
    env = {p[1]: "" if v is MISSING else v for p, v in wanted.items() if p[0] == "env" and p[1] != profile.key_env}
    settings = {"env": env, "apiKeyHelper": wanted[claude.HELPER]}
    if lookup(world.files("claude-code").get(world.paths.claude_json), claude.CONSOLE_KEY) is not MISSING:
        world.notes.append(
            Note(
                "warning",
                _("A key from a login at Anthropic's console is in {file}: Claude Code sends it along.").format(
                    file=world.paths.short(world.paths.claude_json)
                ),
                _("Log out with: claude auth logout"),
            )
        )
    return Start(("--settings", json.dumps(settings, ensure_ascii=False)), {}, tuple(env))


def _start_codex(world: World, profile: Profile, given: Sequence[str]) -> Start:
    if any(a in ("-p", "--profile") or a.startswith("--profile=") for a in given):
        raise UsageError(_("Codex takes --profile once, and this needs it for '{name}'.").format(name=profile.name))
    version = world.version("codex")
    saved = [p for p, form in codex.saved_paths(world.paths, profile.name, version) if form]
    if version < facts.PROFILE_FILES or all(world.draft.exists(p) for p in saved):
        return Start(("--profile", profile.name), {}, ())
    key = world.key(profile)
    helper = profile._replace(key_storage="env", key_env=RUN_KEY, key_command="")
    use = world.use(helper, "codex")
    wishes = CLIENTS["codex"].use(world.files("codex"), use)
    out: list[str] = []
    for wish in wishes.documents:
        for path, value in wish.settings.items():
            if value is not MISSING and path[-1] != "model_catalog_json":
                # The value is TOML, of which JSON's text, numbers and true are a part.
                out += ["-c", f"{'.'.join(_toml_key(k) for k in path)}={json.dumps(value, ensure_ascii=False)}"]
    return Start(tuple(out), {RUN_KEY: key.reveal()} if key else {}, ())


def _toml_key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)


def export_line(name: str, value: Any, shell: str, *, masked: bool = False) -> str:
    """Return the line that sets *name* in *shell*, or removes it where *value* is MISSING."""
    if value is MISSING:
        return {
            "bash": f"unset {name}",
            "fish": f"set -e {name}",
            "pwsh": f"Remove-Item Env:{name} -ErrorAction SilentlyContinue",
        }[shell]
    text = ("***" if masked else value.reveal()) if isinstance(value, Secret) else str(value)
    return {
        "bash": f"export {name}={_quoted(text, shell)}",
        "fish": f"set -gx {name} {_quoted(text, shell)}",
        "pwsh": f"$env:{name} = {_quoted(text, shell)}",
    }[shell]


def _quoted(text: str, shell: str) -> str:
    """Return *text* between single quotes, within which nothing but the quote itself (fish: and ``\\``) is special."""
    if shell == "bash":
        return "'" + text.replace("'", "'\\''") + "'"
    if shell == "fish":
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return "'" + "".join(c * 2 if c in "'\u2018\u2019\u201a\u201b" else c for c in text) + "'"
