"""``--api-configs``: many profiles in one JSON or YAML document.

The fields are those that users of other setup tools know, and ours; snake_case is accepted too.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional

from ccsetup.errors import DocumentError, UsageError, printable
from ccsetup.i18n import _

FIELDS: dict[str, type] = {
    "name": str,
    "provider": str,
    "type": str,
    "key": str,
    "keyEnv": str,
    "keyFile": str,
    "keyCommand": str,
    "keyStorage": str,
    "keyVariable": str,
    "url": str,
    "claudeUrl": str,
    "codexUrl": str,
    "default": bool,
    "primaryModel": str,
    "fastModel": str,
    "defaultHaikuModel": str,
    "defaultSonnetModel": str,
    "defaultOpusModel": str,
    "defaultFableModel": str,
    "subagentModel": str,
    "contextWindow": int,
    "codeType": list,
    "region": str,
    "providerId": str,
    "set": dict,
    "env": dict,
}


PART_FIELDS = (
    "type", "url", "claudeUrl", "codexUrl", "primaryModel", "fastModel", "defaultHaikuModel", "defaultSonnetModel",
    "defaultOpusModel", "defaultFableModel", "subagentModel", "contextWindow", "providerId", "set", "env",
)  # fmt: skip
"""The fields that are about one client of a profile, not about the profile."""


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

    Raises UsageError or DocumentError; no message repeats a value that could be a key.
    """
    data: Any = _read(text, source)
    if isinstance(data, dict) and set(data) == {"configs"}:
        data = data["configs"]
    if not isinstance(data, list):
        raise UsageError(
            _("{source}: API configs must be an array").format(source=source),
            hint=_('Write [{{"provider": "glm", "key": "..."}}], or {{"configs": [...]}}.').format(),
        )
    if not data:
        raise UsageError(_("{source}: there is no entry in it.").format(source=source))
    return [_entry(item, _("{source}, entry {n}").format(source=source, n=i + 1)) for i, item in enumerate(data)]


def _read(text: str, source: str) -> Any:
    from ccsetup.documents import jsondoc, yamldoc

    if text.lstrip("\ufeff \t\r\n")[:1] in ("[", "{"):
        try:
            return jsondoc.parse(text)
        except DocumentError as e:
            raise UsageError(
                _("{source}: Invalid API configs JSON: line {line}, column {column}: {problem}").format(
                    source=source, line=e.line, column=e.column, problem=e.message
                )
            ) from None
    return _plain(yamldoc.parse(text, source))


def _plain(node: Any) -> Any:
    value = node.value
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value


def _entry(item: Any, place: str) -> Entry:
    if not isinstance(item, dict):
        raise UsageError(_("{place}: this has to be an object.").format(place=place))
    fields: dict[str, Any] = {}
    for key, value in item.items():
        name = _canonical(key)
        if name is None:
            raise UsageError(
                _("{place}: unknown field '{field}'.").format(place=place, field=printable(str(key), 40)),
                hint=_nearest(str(key)),
            )
        if name in fields:
            raise UsageError(_("{place}: field '{field}' is given twice.").format(place=place, field=name))
        wanted = FIELDS[name]
        if wanted is list and isinstance(value, str):
            value = [value]
        if type(value) is not wanted or (isinstance(value, list) and not all(isinstance(v, str) for v in value)):
            raise UsageError(
                _("{place}: field '{field}' has to be {kind}.").format(
                    place=place,
                    field=name,
                    kind={
                        str: _("text in quotes"),
                        bool: _("true or false"),
                        int: _("a whole number"),
                        list: _("a name or a list of names"),
                        dict: _("an object of names and values"),
                    }[wanted],
                )
            )
        if value != "":
            fields[name] = value
    if not fields.get("provider") and not fields.get("type"):
        raise UsageError(_("{place}: Must provide either provider or type field").format(place=place))
    kind = fields.get("type")
    if kind == "ccr_proxy":
        raise UsageError(
            _("{place}: type ccr_proxy is not supported; give the proxy's address as url.").format(place=place)
        )
    if kind not in (None, "auth_token", "api_key"):
        raise UsageError(
            _("{place}: Invalid auth type '{type}'. Valid types: auth_token, api_key").format(
                place=place, type=printable(str(kind), 40)
            )
        )
    return Entry(fields, place)


def _canonical(key: Any) -> Optional[str]:
    if not isinstance(key, str):
        return None
    head, *rest = key.split("_")
    name = head + "".join(r[:1].upper() + r[1:] for r in rest)
    return name if name in FIELDS else None


def _nearest(key: str) -> str:
    import re

    from ccsetup.documents.nearest import nearest

    # "modle" is nearer to the last word of "primaryModel" than to any whole name.
    words = {name.lower(): name for name in FIELDS}
    for name in reversed(FIELDS):
        words[re.split(r"(?=[A-Z])", name)[-1].lower()] = name
    words["model"] = "primaryModel"
    if near := nearest(key.replace("_", ""), words):
        return _("Did you mean '{word}'?").format(word=words[near])
    return _("Known fields: {fields}").format(fields=", ".join(FIELDS))
