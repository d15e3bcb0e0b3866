"""The document of ``export`` and ``apply``: what profiles there are, and which one each client uses.

``parse`` turns its text into a ``Declaration`` whose values know their places; ``dump`` is the way back.  Pure: keys
are named by reference, and ``ccsetup.change.provision`` follows the references.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, NamedTuple, Protocol

from ccsetup import profiles, urls
from ccsetup.documents import yamldoc
from ccsetup.documents.schema import (
    Block,
    Document,
    Flag,
    Key,
    Many,
    Mapped,
    Number,
    Path,
    Place,
    Scalar,
    String,
)
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.keys.reference import ENV, KeyRef, Reference
from ccsetup.model import KEY_STORAGES, ClientName, WireFormat
from ccsetup.profiles import Part, Profile

VERSION = 1


class Declared(NamedTuple):
    """One profile as the document has it."""

    profile: Profile
    key: KeyRef
    place: Place


class Declaration(NamedTuple):
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


class _Setting(Scalar):
    """A setting of a client, by the name that it stands at."""

    def __init__(self, problem: Callable[[str, Any], str]) -> None:
        self.problem = problem

    def read(self, at: Document, value: Any, path: Path) -> Any:
        problem = self.problem(str(path[-1]), super().read(at, value, path))
        if problem:
            at.fail(path, problem)
        return value


def _name(text: str) -> str:
    profiles.check_name(text)
    return text


def _without(problem: Callable[[str], str]) -> Callable[[str], str]:
    def make(text: str) -> str:
        found = problem(text) if text else ""
        if found:
            raise UsageError(found)
        return text

    return make


_NAME = profiles.NAME.pattern.removesuffix(r"\Z")
_URL = String(
    empty=True,
    make=_without(lambda text: urls.problem(text) or urls.key_inside(text)),
    schema={"pattern": f"^$|{urls.PATTERN}"},
)
_MODEL = String(empty=True, make=_without(profiles.model_problem))
_AUTH = String(one_of=("", "auth_token", "api_key"))
_KEY = Reference({"env": ENV, "file": String(), "command": String(), "inline": String()})


def _part(client: Fields) -> Block:
    kinds = {"url": _URL, "auth": _AUTH}
    texts = {f: kinds.get(f, _MODEL if f.endswith("_model") else String(empty=True)) for f in client.fields}
    more = {
        "context_window": Key(Number(1000), "Tokens"),
        "settings": Key(Mapped(_Setting(client.setting_problem), String()), "Further settings of the client, by name"),
    }
    fields = {field: Key(kind, "Empty: as the preset has it") for field, kind in texts.items()}
    return Block("What a profile says for a client", {**fields, **more}, make=Part, null=True)


def table(clients: Clients) -> Block:
    name = String(make=_name, schema={"pattern": f"^{_NAME}$", "not": {"enum": list(profiles.RESERVED)}})
    entry = {
        "name": Key(name, "Letters, digits, `-`, `_`", required=True),
        "provider": Key(String(), "Id of a preset", required=True),
        "region": Key(String(empty=True), "One of the preset's"),
        "key": Key(_KEY, "Where the key comes from; missing: the profile keeps the one it has"),
        "key_storage": Key(String(one_of=KEY_STORAGES), "Where the key is kept"),
        "via_relay": Key(Flag(), "An upstream of the relay, for no client by itself"),
        **{id_: Key(_part(client), "Settings for the client") for id_, client in clients.items()},
    }
    active = Block("Which profile each client uses", {id_: Key(String(), "A profile") for id_ in clients}, make=dict)
    return Block(
        "What 'ccsetup apply' reads",
        {
            "ccsetup": Key(Number(VERSION, VERSION), "The version of the format", field="", required=True),
            "profiles": Key(Many(Block("A profile", entry, make=dict, blank=True)), "The profiles"),
            "active": Key(active, "Which profile each client uses"),
        },
        make=dict,
        blank=True,
    )


def parse(data: bytes, name: str, clients: Clients) -> Declaration:
    """Return what *data*, YAML or JSON, says; DocumentError has ``name:line:column`` and the nearest known name."""
    at = yamldoc.document(data, name)
    at.version("ccsetup", VERSION)
    given = at.read(table(clients))
    found: list[Declared] = []
    for i, body in enumerate(given.get("profiles", ())):
        if any(d.profile.name == body["name"] for d in found):
            problem = _("Profile '{name}' is here twice.").format(name=body["name"])
            raise at.error(("profiles", i), problem, where=False)
        found.append(_declared(at, ("profiles", i), body, clients))
    parts = {d.profile.name: d.profile.parts for d in found}
    active = {c: (wanted, at.place(("active", c))) for c, wanted in given.get("active", {}).items()}
    for client, (wanted, _place) in active.items():
        if client not in parts.get(wanted, clients):
            at.fail(
                ("active", client),
                _("Profile '{name}' has no settings for {client}.").format(name=wanted, client=client),
                _("Add a line '{client}: {{}}' to the profile.").format(client=client),
            )
    return Declaration(name, tuple(found), active)


def _declared(at: Document, path: Path, body: dict[str, Any], clients: Clients) -> Declared:
    key: KeyRef = body.get("key", KeyRef("", ""))
    storage = body.get("key_storage", "command" if key.kind == "command" else "inline")
    place = (*path, "key_storage")
    if storage in ("env", "dotenv") and key.kind != "env":
        at.fail(place, _("key_storage {storage} needs a variable.").format(storage=storage), "key: {env: NAME}")
    if key.kind == "command" and storage not in ("command", "inline"):
        text = _("A key command goes with key_storage command or inline, not {value}.")
        at.fail(place, text.format(value=storage))
    parts = {client: body[client] for client in clients if client in body}
    profile = Profile(
        name=body["name"],
        provider=body["provider"],
        region=body.get("region", ""),
        key_storage=storage,
        key_env=key.value if storage in ("env", "dotenv") else "",
        parts=parts or ({} if body.get("via_relay") else {next(iter(clients)): Part()}),
        key_command=key.value if key.kind == "command" else "",
    )
    return Declared(profile, key, at.place(path))


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


def dump(declaration: Declaration) -> str:
    """Return *declaration* as YAML that ``parse`` reads back."""
    import yaml

    body: dict[str, Any] = {"ccsetup": VERSION, "profiles": [plain(d) for d in declaration.profiles]}
    if declaration.active:
        body["active"] = {c: n for c, (n, _place) in declaration.active.items()}
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=1000)
