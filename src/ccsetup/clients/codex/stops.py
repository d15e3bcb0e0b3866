"""What keeps Codex from starting, and the edits that set it right.  Pure; ``problems`` shows it, and so do the others.

Each rule was compared with what ``codex features list`` of 0.133.0, 0.160.0 and 0.171.0 refuses.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Iterator, Mapping, Optional

from ccsetup.clients.codex import facts
from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, Unset, lookup
from ccsetup.i18n import _
from ccsetup.model import Version
from ccsetup.tuples import NamedTuple


class CodexStop(NamedTuple):
    """One thing because of which no codex command starts."""

    id: str
    """The check of ``doctor`` that shows it."""
    key: KeyPath
    text: str
    """One sentence, without the place."""
    fix: str
    edits: tuple[Edit, ...] = ()
    done: str = ""
    """What these edits do, as a report; empty where they are not right whatever was meant."""


def stops(
    data: Mapping[str, Any],
    version: Version,
    *,
    read: Optional[Callable[[str], Optional[str]]] = None,
    beside: Callable[[str], bool] = lambda _id: False,
) -> Iterator[CodexStop]:
    """Yield what keeps Codex *version* from starting with *data* of config.toml.

    *read* returns the text of a file that the configuration names, "" for an empty one and None where there is none to
    read; without it no file is looked for.  *beside* tells whether another layer has a provider's table.
    """
    yield from _shapes(data, version)
    tables = data.get("model_providers")
    for name, table in tables.items() if isinstance(tables, dict) else ():
        if isinstance(table, dict):
            yield from _provider(name, table, version)
    yield from _selection(data, version, beside)
    servers = data.get("mcp_servers")
    for name, table in servers.items() if isinstance(servers, dict) else ():
        if isinstance(table, dict):
            yield from _server(name, table)
    yield from _permissions(data)
    for name in facts.POINTERS if read is not None else ():
        value = data.get(name)
        if isinstance(value, str) and read is not None:
            yield from _pointer(name, read(value))


def _shapes(data: Mapping[str, Any], version: Version) -> Iterator[CodexStop]:
    for key, value, shape in facts.misshapen(data, version):
        shown = ".".join(key)
        if value is None:
            text = _("'{key}' is missing, which stops every codex command.").format(key=shown)
            yield CodexStop("codex-types", key, text, _("Add it, or take its table out."))
            continue
        if isinstance(value, str) and shape.words:
            text = _("'{key}' has to be one of these, or no codex command starts: {values}.").format(
                key=shown, values=", ".join(shape.words)
            )
        else:
            text = _("'{key}' has the wrong type, which stops every codex command.").format(key=shown)
        good = _meant(value, shape)
        if good is not MISSING:
            done = _("the type of {key} was corrected.").format(key=shown)
            yield CodexStop("codex-types", key, text, _("Correct its type."), (Set(key, good),), done)
        else:
            yield CodexStop("codex-types", key, text, _("Take it out."), (Unset(key),))


def _meant(value: Any, shape: facts.Shape) -> Any:
    """Return the value of the right shape that *value* is the text of, or MISSING."""
    if not isinstance(value, str):
        return MISSING
    near = value.strip().lower()
    good: Any = near
    if re.fullmatch(r"\d{1,9}", near):
        good = int(near)
    elif near in ("true", "false"):
        good = near == "true"
    return good if good != value and shape.takes(good) else MISSING


def _provider(name: str, table: Mapping[str, Any], version: Version) -> Iterator[CodexStop]:
    here = ("model_providers", name)
    own = facts.own_keys(name, version)
    wire = table.get("wire_api")
    if isinstance(wire, str) and wire != "responses" and (wire != "chat" or version >= facts.CHAT_REMOVED):
        text = _("wire_api = \"{wire}\" in provider '{name}' stops every codex command.").format(
            wire=wire[:40], name=name
        )
        fix = _('Change it to wire_api = "responses", or remove the provider.')
        done = _('wire_api of provider \'{name}\' was changed from "chat" to "responses".').format(name=name)
        key = (*here, "wire_api")
        yield CodexStop("codex-wire-api", key, text, fix, (Set(key, "responses"),), done if wire == "chat" else "")
    if name in facts.RESERVED_IDS:
        if version >= facts.RESERVED_FATAL:
            text = _("'{name}' is a reserved provider id, which stops every codex command.").format(name=name)
            fix = _("Rename the table, for example to {name}-custom.").format(name=name)
            yield CodexStop("codex-reserved-id", here, text, fix)
        return
    foreign = [k for k in table if k not in own] if own else []
    if foreign:
        text = _("Codex has a provider '{name}' of its own, and does not start with {keys} in its table.").format(
            name=name, keys=", ".join(foreign)
        )
        yield CodexStop(
            "codex-reserved-id", here, text, _("Rename the table, for example to {name}-custom.").format(name=name)
        )
        return
    title = table.get("name", "")
    if not own and isinstance(title, str) and not title.strip():
        text = _("provider '{name}' has no name, which stops every codex command.").format(name=name)
        fix = _('Add a line name = "{name}" to its table, or remove the table.').format(name=name)
        done = _("provider '{name}' was given a name.").format(name=name)
        yield CodexStop("codex-fields", here, text, fix, (Set((*here, "name"), name),), done)
    yield from _auth(here, table, own=bool(own))


def _auth(here: KeyPath, table: Mapping[str, Any], *, own: bool) -> Iterator[CodexStop]:
    auth = table.get("auth")
    if "aws" in table and not own:
        text = _("'aws' is only for Codex' own provider amazon-bedrock: no codex command starts.")
        yield CodexStop("codex-credentials", (*here, "aws"), text, _("Take it out."), (Unset((*here, "aws")),))
    if not isinstance(auth, dict) or own:
        return
    others = [k for k in facts.BESIDE_AUTH if k in table and table[k] is not False]
    if others:
        text = _("'auth' cannot stand beside {others}: no codex command starts.").format(others=", ".join(others))
        fix = _("Take {others} out.").format(others=", ".join(others))
        yield CodexStop("codex-credentials", (*here, others[0]), text, fix, tuple(Unset((*here, k)) for k in others))
    command = auth.get("command")
    if isinstance(command, str) and not command.strip():
        text = _("auth.command is empty; Codex does not start.")
        yield CodexStop("codex-credentials", (*here, "auth", "command"), text, _("Name a program that prints the key."))


def _selection(data: Mapping[str, Any], version: Version, beside: Callable[[str], bool]) -> Iterator[CodexStop]:
    chosen = data.get("profile")
    tables = data.get("profiles")
    table = lookup(data, ("profiles", chosen)) if isinstance(chosen, str) else MISSING
    if isinstance(chosen, str) and version >= facts.PROFILE_FILES:
        text = _("a top-level 'profile' stops every codex command since 0.134.0.")
        fix = _("Remove the line; ccsetup config-switch selects the profile instead.")
        done = _("the line 'profile' was taken out.")
        yield CodexStop("codex-legacy-profile", ("profile",), text, fix, (Unset(("profile",)),), done)
    elif isinstance(chosen, str) and not isinstance(table, dict) and isinstance(tables, (dict, type(None))):
        text = _("There is no [profiles.{name}]: no codex command starts.").format(name=chosen)
        yield CodexStop("codex-legacy-profile", ("profile",), text, _("Take the line out."), (Unset(("profile",)),))
    name, key = data.get("model_provider"), ("model_provider",)
    if version < facts.PROFILE_FILES and isinstance(table, dict) and isinstance(table.get("model_provider"), str):
        name, key = table["model_provider"], ("profiles", str(chosen), "model_provider")  # type: ignore[assignment]
    if not isinstance(name, str) or facts.is_built_in(name, version) or beside(name):
        return
    providers = data.get("model_providers", {})
    if not isinstance(providers, dict) or name in providers:
        return
    text = _("There is no provider '{name}' in the file: Codex does not start.").format(name=name)
    near = [n for n in providers if n.lower() == name.lower() and n != name]
    if near:
        yield CodexStop(
            "codex-provider", key, text, _("Change it to '{name}'.").format(name=near[0]), (Set(key, near[0]),)
        )
    else:
        fix = _("Run: ccsetup init -T codex -p PROVIDER -k KEY, or: ccsetup config-switch official -T codex")
        yield CodexStop("codex-provider", key, text, fix)


_TRANSPORTS: Mapping[str, tuple[str, ...]] = {
    "command": ("url", "bearer_token_env_var", "bearer_token", "http_headers", "env_http_headers"),
    "url": ("args", "env", "env_vars", "cwd", "bearer_token"),
}
"""What stops Codex in the table of an MCP server that has this key."""


def _server(name: str, table: Mapping[str, Any]) -> Iterator[CodexStop]:
    here = ("mcp_servers", name)
    way = next((w for w in _TRANSPORTS if w in table), "")
    if not way:
        text = _("MCP server '{name}' has neither a command nor a url, which stops every codex command.").format(
            name=name
        )
        yield CodexStop("codex-types", here, text, _("Add one, or take its table out."))
    for other in _TRANSPORTS.get(way, ()):
        if other in table:
            text = _("MCP server '{name}' has {key} beside {way}, which stops every codex command.").format(
                name=name, key=other, way=way
            )
            yield CodexStop("codex-types", (*here, other), text, _("Take it out."), (Unset((*here, other)),))


def _permissions(data: Mapping[str, Any]) -> Iterator[CodexStop]:
    tables, chosen = data.get("permissions", {}), data.get("default_permissions")
    if isinstance(tables, dict) and tables and chosen is None:
        text = _("[permissions] without default_permissions stops every codex command.")
        yield CodexStop("codex-types", ("permissions",), text, _('Add a line default_permissions = "NAME" at the top.'))
    elif isinstance(tables, dict) and isinstance(chosen, str) and chosen not in tables and chosen[:1] != ":":
        text = _("default_permissions names no table of [permissions], which stops every codex command.")
        key = ("default_permissions",)
        yield CodexStop("codex-types", key, text, _("Take the line out."), (Unset(key),) if not tables else ())


def _pointer(name: str, text: Optional[str]) -> Iterator[CodexStop]:
    if text is None:
        said = _("{key} names a file that is not there: no codex command starts.").format(key=name)
    elif not text.strip():
        said = _("{key} names an empty file: no codex command starts.").format(key=name)
    elif name == "model_catalog_json" and not _is_catalog(text):
        said = _("{key} names a file that is no catalogue of models: no codex command starts.").format(key=name)
    else:
        return
    yield CodexStop("codex-files", (name,), said, _("Take the line out."), (Unset((name,)),))


def _is_catalog(text: str) -> bool:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return False
    models = data.get("models") if isinstance(data, dict) else None
    return isinstance(models, list) and bool(models) and all(isinstance(m, dict) and "slug" in m for m in models)
