"""``--api-configs``: many profiles in one JSON or YAML document.

The fields are those that users of other setup tools know, and ours; snake_case is accepted too.
"""

from __future__ import annotations

import re
from typing import Any, Mapping

from ccsetup.documents.schema import Block, Document, Flag, Key, Many, Mapped, Number, Path, Scalar, String
from ccsetup.errors import DocumentError, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import KEY_STORAGES
from ccsetup.tuples import NamedTuple


def _auth(text: str) -> str:
    if text == "ccr_proxy":
        raise UsageError(_("type ccr_proxy is not supported; give the proxy's address as url."))
    if text not in ("", "auth_token", "api_key"):
        raise UsageError(
            _("Invalid auth type '{type}'. Valid types: auth_token, api_key").format(type=printable(text, 40))
        )
    return text


_TEXT = String(empty=True)
_NAMED = Mapped(Scalar(), String())
_OF_PROFILE = {
    "name": Key(_TEXT, "The profile's name; the provider's id when not given"),
    "provider": Key(_TEXT, "The id of a preset, or custom"),
    "key": Key(_TEXT, "The key itself"),
    "keyEnv": Key(_TEXT, "The variable to read the key from"),
    "keyFile": Key(_TEXT, "The file to read the key from"),
    "keyCommand": Key(_TEXT, "The command that prints the key; it is saved, not the key"),
    "keyStorage": Key(String(one_of=("", *KEY_STORAGES)), "Where the key is kept"),
    "keyVariable": Key(_TEXT, "The variable for keyStorage env and dotenv"),
    "default": Key(Flag(), "Switch to this profile"),
    "codeType": Key(Many(String(), single=True), "The clients"),
    "region": Key(_TEXT, "Site or plan of the provider"),
}
_OF_CLIENT = {
    "type": Key(
        String(empty=True, make=_auth, schema={"enum": ["", "auth_token", "api_key"]}), "How Claude Code sends the key"
    ),
    "url": Key(_TEXT, "Base URL, for the client of codeType"),
    "claudeUrl": Key(_TEXT, "Base URL for Claude Code"),
    "codexUrl": Key(_TEXT, "Base URL for Codex"),
    "primaryModel": Key(_TEXT, "The model; other tiers follow it"),
    "fastModel": Key(_TEXT, "Claude Code's model for small tasks, as defaultHaikuModel"),
    "defaultHaikuModel": Key(_TEXT, "Claude Code's haiku tier"),
    "defaultSonnetModel": Key(_TEXT, "Claude Code's sonnet tier"),
    "defaultOpusModel": Key(_TEXT, "Claude Code's opus tier"),
    "defaultFableModel": Key(_TEXT, "Claude Code's fable tier"),
    "subagentModel": Key(_TEXT, "Claude Code's model for subagents"),
    "contextWindow": Key(Number(1, unit="tokens"), "The model's context window"),
    "providerId": Key(_TEXT, "Codex: the id of the provider"),
    "set": Key(_NAMED, "Codex: settings of the profile"),
    "env": Key(_NAMED, "Claude Code: variables of the profile"),
}
PART_FIELDS = tuple(_OF_CLIENT)
"""The fields that are about one client of a profile, not about the profile."""


def _named(at: Document, given: dict[str, Any], path: Path) -> None:
    if not given.get("provider") and not given.get("type"):
        at.fail(path, _("Must provide either provider or type field"))


def _spelling(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(r[:1].upper() + r[1:] for r in rest)


def _meant(key: str) -> str:
    from ccsetup.documents.nearest import nearest

    # "modle" is nearer to the last word of "primaryModel" than to any whole name.
    words = {name.lower(): name for name in ENTRY.keys}
    for name in reversed(list(ENTRY.keys)):
        words[re.split(r"(?=[A-Z])", name)[-1].lower()] = name
    words["model"] = "primaryModel"
    if near := nearest(key.replace("_", ""), words):
        return _("Did you mean '{word}'?").format(word=words[near])
    return _("Known fields: {fields}").format(fields=", ".join(ENTRY.keys))


ENTRY = Block("A profile", {**_OF_PROFILE, **_OF_CLIENT}, make=dict, rule=_named, spelling=_spelling, hint=_meant)
ENTRIES = Many(ENTRY, 1)


class Entry(NamedTuple):
    """One entry: its fields in their canonical spelling, and its place for messages ("entry 2")."""

    fields: Mapping[str, Any]
    place: str

    def __repr__(self) -> str:  # a value may be a key
        return f"Entry({', '.join(self.fields)}; {self.place})"

    def text(self, name: str) -> str:
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""


def parse(text: str, source: str) -> list[Entry]:
    """Return the entries in *text*, JSON or YAML: an array, or an object with the array in ``configs``.

    Raises UsageError, as ``source:line:column: place: problem``; it repeats no value that could be a key.
    """
    from ccsetup.documents import jsondoc, yamldoc

    json = text.lstrip("\ufeff \t\r\n")[:1] in ("[", "{")
    try:
        if json:
            jsondoc.parse(text)
    except DocumentError as e:
        problem = _("{source}: Invalid API configs JSON: line {line}, column {column}: {problem}")
        raise UsageError(problem.format(source=source, line=e.line, column=e.column, problem=e.message)) from None
    try:
        at = jsondoc.document(text, source) if json else yamldoc.document(text, source)
        path: Path = ("configs",) if isinstance(at.data, dict) and set(at.data) == {"configs"} else ()
        listed = at.data["configs"] if path else at.data
        if not isinstance(listed, list):
            at.fail(
                path,
                _("API configs must be an array"),
                _('Write [{{"provider": "glm", "key": "..."}}], or {{"configs": [...]}}.').format(),
            )
        found = ENTRIES.read(at, listed, path)
    except DocumentError as e:
        raise UsageError(e.message, hint=e.hint) from None
    place = _("{source}, entry {n}")
    return [
        Entry({name: value for name, value in fields.items() if value != ""}, place.format(source=source, n=i))
        for i, fields in enumerate(found, 1)
    ]
