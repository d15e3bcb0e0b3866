"""A profile for one terminal or one run of a client: variables and options instead of files.  Pure but for a draft."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ccsetup.change import record
from ccsetup.change.world import World, endpoint_of
from ccsetup.clients import CLIENTS
from ccsetup.clients.values import Start, Starting, Use
from ccsetup.documents.edit import MISSING
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Secret
from ccsetup.profiles import Profile

SHELLS = ("bash", "fish", "pwsh")
"""bash is for every shell that has ``export`` (sh, zsh)."""


def variables(world: World, profile: Profile, client: ClientName, *, names_only: bool = False) -> Mapping[str, Any]:
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
    preset, endpoint = world.load_preset(profile.provider), endpoint_of(world, profile, client)
    use = Use(profile, preset, endpoint, key, (), record.listed(world.draft, world.paths, profile.name))
    return CLIENTS[client].variables(world.files(client), use)


def start(world: World, profile: Profile, client: ClientName, given: Sequence[str]) -> Start:
    """Return how *client* is started with *profile*; *given* are the user's own arguments."""
    if client not in profile.parts:
        world.use(profile, client)  # says how to add it
    starting = Starting(
        world.files(client), profile, lambda changed: world.use(changed, client), world.key, world.draft.exists
    )
    found, notes = CLIENTS[client].start(starting, given)
    world.notes.extend(notes)
    return found


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
