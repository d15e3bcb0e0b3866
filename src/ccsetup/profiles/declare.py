"""The document of ``export`` and ``apply``: what profiles there are, and which one each client uses.

``parse`` turns its text into a ``Document`` whose values know their places; ``dump`` is the way back.  Pure: keys are
named by reference, and ``ccsetup.change.provision`` follows the references.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional, Protocol

from ccsetup import keys, profiles, urls
from ccsetup.documents import yamldoc
from ccsetup.documents.yamldoc import Node
from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import KEY_STORAGES, ClientName, KeyStorage, WireFormat
from ccsetup.profiles import Part, Profile

VERSION = 1

OFFICIAL = "official"
"""In ``active``: the client's own account."""

KEY_KINDS = ("env", "file", "command", "inline")

Place = tuple[int, int]
"""Line and column, counted from 1."""


class KeyRef(NamedTuple):
    """Where the key of a profile comes from when the document is applied."""

    kind: str
    """One of KEY_KINDS; "" where the document names no key: the profile keeps the one it has."""
    value: str

    def __repr__(self) -> str:  # an inline one is a key
        return f"KeyRef({self.kind})"


class Declared(NamedTuple):
    """One profile as the document has it."""

    profile: Profile
    key: KeyRef
    place: Place


class Document(NamedTuple):
    name: str
    """What messages call the file."""
    profiles: tuple[Declared, ...]
    active: Mapping[ClientName, tuple[str, Place]]
    """The profile that a client is to use; a client that is not named keeps what it has."""


class Fields(Protocol):
    """What is known of a client's part of a profile."""

    fields: tuple[str, ...]
    """Its text fields; ``context_window`` is a number."""
    wire: WireFormat

    def setting_problem(self, name: str, value: Any) -> str: ...


Clients = Mapping[ClientName, Fields]
"""By id, the one that is meant where nobody says which first."""


def parse(data: bytes, name: str, clients: Clients) -> Document:
    """Return what *data*, YAML or JSON, says; DocumentError has ``name:line:column`` and the nearest known name."""
    root = yamldoc.parse(data, name)
    top = _mapping(root, ("ccsetup", "profiles", "active"), name, required=("ccsetup",))
    version = top["ccsetup"]
    if version.value != VERSION or isinstance(version.value, bool):
        yamldoc.fail(
            name,
            _at(version),
            _("This is not version {version} of the document.").format(version=VERSION),
            _("It begins with the line: ccsetup: {version}").format(version=VERSION),
        )
    found: list[Declared] = []
    for node in _list(top.get("profiles"), name):
        one = _declared(node, name, clients)
        if any(d.profile.name == one.profile.name for d in found):
            yamldoc.fail(name, one.place, _("Profile '{name}' is here twice.").format(name=one.profile.name))
        found.append(one)
    active: dict[ClientName, tuple[str, Place]] = {}
    if "active" in top and top["active"].value is not None:
        for client, node in _mapping(top["active"], tuple(clients), name).items():
            active[client] = (_text(node, name), _at(node))
    for client, (wanted, place) in active.items():
        here = next((d for d in found if d.profile.name == wanted), None)
        if here is not None and client not in here.profile.parts:
            yamldoc.fail(
                name,
                place,
                _("Profile '{name}' has no settings for {client}.").format(name=wanted, client=client),
                _("Add a line '{client}: {{}}' to the profile.").format(client=client),
            )
    return Document(name, tuple(found), active)


def _declared(node: Node, name: str, clients: Clients) -> Declared:
    fields = ("name", "provider", "region", "key", "key_storage", "via_relay", *clients)
    body = _mapping(node, fields, name, required=("name", "provider"))

    def text(field: str) -> str:
        return _text(body[field], name) if field in body else ""

    def checked(field: str, problem: Optional[UsageError]) -> None:
        if problem is not None:
            yamldoc.fail(name, _at(body[field]), problem.message, problem.hint)

    own = text("name")
    checked("name", _problem(lambda: profiles.check_name(own)))
    key = _key(body["key"], name) if "key" in body else KeyRef("", "")
    storage = text("key_storage") or ("command" if key.kind == "command" else "inline")
    if storage not in KEY_STORAGES:
        _unknown(name, _at(body["key_storage"]), _("key storage"), storage, KEY_STORAGES)
    place = _at(body["key_storage"]) if "key_storage" in body else _at(node)
    if storage in ("env", "dotenv") and key.kind != "env":
        yamldoc.fail(
            name, place, _("key_storage {storage} needs a variable.").format(storage=storage), "key: {env: NAME}"
        )
    if key.kind == "command" and storage not in ("command", "inline"):
        yamldoc.fail(
            name, place, _("A key command goes with key_storage command or inline, not {value}.").format(value=storage)
        )
    parts: dict[ClientName, Part] = {}
    for client in clients:
        if client in body:
            parts[client] = _part(body[client], clients[client], name)
    via_relay = body["via_relay"].value if "via_relay" in body else False
    if not isinstance(via_relay, bool):
        yamldoc.fail(name, _at(body["via_relay"]), _("This has to be true or false."))
    if not parts and not via_relay:
        parts = {next(iter(clients)): Part()}
    profile = Profile(
        name=own,
        provider=text("provider"),
        region=text("region"),
        key_storage=_storage(storage),
        key_env=key.value if storage in ("env", "dotenv") else "",
        parts=parts,
        key_command=key.value if key.kind == "command" else "",
    )
    return Declared(profile, key, _at(node))


def _storage(text: str) -> KeyStorage:
    return next(s for s in KEY_STORAGES if s == text)


def _key(node: Node, name: str) -> KeyRef:
    body = _mapping(node, KEY_KINDS, name)
    if len(body) != 1:
        yamldoc.fail(
            name, _at(node), _("'key' names one of: {kinds}.").format(kinds=", ".join(KEY_KINDS)), "key: {env: NAME}"
        )
    kind, value = next(iter(body.items()))
    text = _text(value, name)
    if not text:
        yamldoc.fail(name, _at(value), _("This is empty."))
    if kind == "env" and not keys.VARIABLE.match(text):
        yamldoc.fail(name, _at(value), _("This is not the name of a variable."), _("A key itself goes below 'inline'."))
    return KeyRef(kind, text)


def _part(node: Node, client: Fields, name: str) -> Part:
    if node.value is None:  # "codex:" with nothing behind it
        return Part()
    body = _mapping(node, (*client.fields, "context_window", "settings"), name)
    fields: dict[str, Any] = {}
    for field, value in body.items():
        if field == "context_window":
            if not isinstance(value.value, int) or isinstance(value.value, bool) or value.value < 1000:
                yamldoc.fail(name, _at(value), _("This has to be a number of tokens, 1000 or more."))
            fields[field] = value.value
            continue
        if field == "settings":
            settings = _mapping(value, None, name)
            fields[field] = {k: v.value for k, v in settings.items()}
            for key, one in settings.items():
                problem = client.setting_problem(key, one.value)
                if problem:
                    yamldoc.fail(name, _at(one), problem)
            continue
        text = _text(value, name)
        if field == "url" and text:
            problem = urls.problem(text) or urls.key_inside(text)
            if problem:
                yamldoc.fail(name, _at(value), problem)
        if field.endswith("_model") and profiles.model_problem(text):
            yamldoc.fail(name, _at(value), profiles.model_problem(text))
        if field == "auth" and text not in ("", "auth_token", "api_key"):
            _unknown(name, _at(value), _("auth type"), text, ("auth_token", "api_key"))
        fields[field] = text
    return Part(**fields)


def _at(node: Node) -> Place:
    return node.line, node.column


def _problem(check: Any) -> Optional[UsageError]:
    try:
        check()
    except UsageError as e:
        return e
    return None


def _text(node: Node, name: str) -> str:
    if not isinstance(node.value, str):
        yamldoc.fail(name, _at(node), _("This has to be text."), _("Put it in quotes."))
    return node.value


def _list(node: Optional[Node], name: str) -> list[Node]:
    if node is None or node.value is None:
        return []
    if not isinstance(node.value, list):
        yamldoc.fail(name, _at(node), _("This has to be a list: each entry begins with '- '."))
    return node.value


def _mapping(
    node: Node, known: Optional[tuple[str, ...]], name: str, required: tuple[str, ...] = ()
) -> dict[str, Node]:
    if not isinstance(node.value, dict):
        yamldoc.fail(name, _at(node), _("This has to be a mapping: lines of 'name: value'."))
    for key in node.value:
        if known is not None and key not in known:
            _unknown(name, node.keys[key], _("field"), key, known)
    for key in required:
        if key not in node.value:
            yamldoc.fail(name, _at(node), _("'{key}' is missing.").format(key=key))
    return node.value


def _unknown(name: str, place: Place, what: str, word: str, known: tuple[str, ...]) -> None:
    import difflib

    near = difflib.get_close_matches(word.lower().replace("_", "-"), [k.replace("_", "-") for k in known], 1, 0.5)
    hint = next((k for k in known if near and k.replace("_", "-") == near[0]), "")
    yamldoc.fail(
        name,
        place,
        _("unknown {what} '{word}'.").format(what=what, word=printable(word, 40)),
        _("Did you mean '{field}'?").format(field=hint)
        if hint
        else _("Known: {fields}").format(fields=", ".join(known)),
    )


def plain(declared: Declared) -> dict[str, Any]:
    """Return the entry of one profile for ``dump``."""
    profile = declared.profile
    out: dict[str, Any] = {"name": profile.name, "provider": profile.provider}
    if profile.region:
        out["region"] = profile.region
    if declared.key.kind:
        out["key"] = {declared.key.kind: declared.key.value}
    if profile.key_storage != ("command" if declared.key.kind == "command" else "inline"):
        out["key_storage"] = profile.key_storage
    if not profile.parts:
        out["via_relay"] = True
    for client, part in profile.parts.items():
        out[client] = {k: v for k, v in part._asdict().items() if v}
    return out


def dump(document: Document) -> str:
    """Return *document* as YAML that ``parse`` reads back."""
    import yaml

    body: dict[str, Any] = {"ccsetup": VERSION, "profiles": [plain(d) for d in document.profiles]}
    if document.active:
        body["active"] = {c: n for c, (n, _place) in document.active.items()}
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=1000)


def json_schema(clients: Clients) -> dict[str, Any]:
    """Return a JSON Schema (2020-12) of the document, for editors."""
    text = {"type": "string"}

    def closed(properties: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": False, "properties": dict(properties), **more}

    def part(client: Fields) -> dict[str, Any]:
        fields: dict[str, Any] = dict.fromkeys(client.fields, text)
        if "auth" in fields:
            fields["auth"] = {"enum": ["auth_token", "api_key"]}
        fields["url"] = {"type": "string", "pattern": urls.PATTERN}
        fields["context_window"] = {"type": "integer", "minimum": 1000}
        fields["settings"] = {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}}
        return {**closed(fields), "type": ["object", "null"]}

    sources = {kind: {"type": "string", "minLength": 1} for kind in KEY_KINDS}
    sources["env"] = {"type": "string", "pattern": "^" + keys.VARIABLE.pattern.removesuffix(r"\Z") + "$"}
    name = {"type": "string", "pattern": "^" + profiles.NAME.pattern.removesuffix(r"\Z") + "$"}
    entry = closed(
        {
            "name": {**name, "not": {"enum": list(profiles.RESERVED)}},
            "provider": text,
            "region": text,
            "key": closed(sources, minProperties=1, maxProperties=1),
            "key_storage": {"enum": list(KEY_STORAGES)},
            "via_relay": {"type": "boolean"},
            **{name: part(client) for name, client in clients.items()},
        },
        required=["name", "provider"],
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What 'ccsetup apply' reads",
        **closed(
            {
                "ccsetup": {"const": VERSION},
                "profiles": {"type": ["array", "null"], "items": entry},
                "active": {**closed(dict.fromkeys(clients, name)), "type": ["object", "null"]},
            },
            required=["ccsetup"],
        ),
    }
