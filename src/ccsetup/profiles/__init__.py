"""The user's saved profiles: ``profiles.toml`` to values, and values to edits of it.

The file holds no key: a profile's key is in a file of its own beside it (mode 0600), or in a variable.
"""

from __future__ import annotations

import functools
import os
import re
from typing import (
    Any,
    Callable,
    Collection,
    Container,
    Iterable,
    Iterator,
    Literal,
    Mapping,
    Optional,
)

from ccsetup import keys, masking, urls
from ccsetup.documents import tomldoc, version
from ccsetup.documents.edit import Edit, KeyPath, Set, Unset
from ccsetup.documents.schema import VARIABLE, Block, Document, Key, Mapped, Number, Path, Scalar, String
from ccsetup.errors import DocumentError, UsageError, check_one_of, printable
from ccsetup.i18n import _
from ccsetup.model import KEY_STORAGES, ClientName, KeyStorage, Preset, Region
from ccsetup.paths import Paths
from ccsetup.tuples import NamedTuple

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")
"""Codex takes only such names for ``--profile`` (observed with 0.169.0)."""

RELAY = "relay"
"""The profile that points the clients at our own relay: only the program makes it."""

OFFICIAL = "official"
"""In the place of a profile's name: the client's own account."""

RESERVED = (OFFICIAL, RELAY, "all")
"""Words of ours, in any case."""

_DEVICE = r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)\Z"
"""Windows opens a device for a file of such a name, with any ending."""

UNKNOWN_CONTEXT = 200_000
"""Tokens assumed for a model that nobody described: Claude Code 2.1.329 would assume a million and overrun."""

VERSION = 1
"""Of ``profiles.toml``; one that names none is of version 1."""

HEADER = (
    "# Profiles of ccsetup.  Keys are not in this file: each is in keys/NAME beside it, or in a variable.\n"
    f"version = {VERSION}\n\n"
)


class Part(NamedTuple):
    """What a profile says for one client, beyond the preset.  Empty means: as the preset has it."""

    url: str = ""
    auth: str = ""
    primary_model: str = ""
    haiku_model: str = ""
    sonnet_model: str = ""
    opus_model: str = ""
    fable_model: str = ""
    subagent_model: str = ""
    context_window: int = 0
    provider_id: str = ""
    """Codex only: the id below ``model_providers``; empty: ``ccsetup-<profile>``."""
    tools: Literal["", "all"] = ""
    """Codex only; ``all``: the endpoint takes tools that are not functions.  Our relay's, which translates them."""
    web_search: Literal["", "disabled", "cached", "live"] = ""
    """Codex only: what ``web_search`` is set to; only the profile of our relay says."""
    settings: Mapping[str, Any] = {}
    """Further settings of the client, by name: Claude Code's variables; Codex's members of the provider, and others."""


class Profile(NamedTuple):
    name: str
    provider: str
    region: str
    key_storage: KeyStorage
    key_env: str
    """For storage ``env`` and ``dotenv``: the variable that holds the key."""
    parts: Mapping[ClientName, Part]
    key_command: str = ""
    """A shell command that prints the key (``op read …``); empty: the key is where *key_storage* says."""
    problem: str = ""
    """Why a profile that was edited by hand cannot be used, with file and line; it is never saved like that."""
    other: Mapping[KeyPath, Any] = {}
    """What stands in its table and is not known to this version, by its place there."""

    def setting(self) -> dict[str, Any]:
        """Return the table below ``[profiles.NAME]``."""
        out: dict[str, Any] = {"provider": self.provider}
        if self.region:
            out["region"] = self.region
        out["key_storage"] = self.key_storage
        if self.key_env:
            out["key_env"] = self.key_env
        if self.key_command:
            out["key_command"] = self.key_command
        for client, part in sorted(self.parts.items()):
            out[client] = {k: v for k, v in part._asdict().items() if v}
        return out


def through_relay(saved: Mapping[str, Profile], url: str) -> bool:
    """Tell whether *url* is that of our relay, as the profile ``relay`` has it."""
    own = saved[RELAY].parts.values() if RELAY in saved else ()
    return any(part.url and urls.origin(part.url) == urls.origin(url) for part in own)


def path(name: str) -> KeyPath:
    return ("profiles", name)


def save(profile: Profile, old: Optional[Profile] = None) -> tuple[Edit, ...]:
    """Return the edits that make *profile* of *old*, or of nothing; they leave alone what we do not know."""
    here = path(profile.name)
    if old is not None and old.problem:
        profile, old = profile._replace(other=old.other), None
    if old is None:
        return (
            Set(here, profile.setting()),
            *(
                Set((*here, *place), value)
                for place, value in profile.other.items()
                if {*place[:-1]} <= {*profile.parts}
            ),
        )
    return tuple(_differences(here, old.setting(), profile.setting()))


def _differences(here: KeyPath, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Edit]:
    for key in before:
        if key not in after:
            yield Unset((*here, key))
    for key, value in after.items():
        if isinstance(value, dict) and key in before:
            yield from _differences((*here, key), before[key], value)
        elif key not in before or value != before[key]:
            yield Set((*here, key), value)


def remove(name: str) -> Unset:
    return Unset(path(name), prune=1)


def check_name(name: str, taken: Iterable[str] = ()) -> None:
    """Raise UsageError when *name* cannot be a new profile's beside those called *taken*.

    A key is in a file of the profile's name, and macOS and Windows take names that differ only in case for one file.
    """
    if masking.likely(name):
        raise UsageError(_("A key stands where a name belongs."), hint=_("Choose another name with -n NAME."))
    lower = name.lower()
    if lower in RESERVED:
        raise UsageError(
            _("'{name}' is not free as a profile name: it has a meaning of its own.").format(name=name),
            hint=_("The profile 'relay' is made by: ccsetup relay init")
            if name == RELAY
            else _("Choose another name with -n NAME."),
        )
    if not NAME.match(name):
        raise UsageError(
            _("'{name}' cannot be a profile name: use letters, digits, '-' and '_', at most 64.").format(
                name=printable(name)
            ),
            hint=_("Choose another name with -n NAME."),
        )
    if re.match(_DEVICE, name):
        raise UsageError(
            _("'{name}' cannot be a profile name: Windows keeps it for a device.").format(name=name),
            hint=_("Choose another name with -n NAME."),
        )
    for twin in twins(name, taken):
        raise UsageError(
            _("'{name}' and the profile '{other}' differ only in case, which not every system tells apart.").format(
                name=name, other=twin
            ),
            hint=_("Choose another name with -n NAME, or change that profile with -n {other}.").format(other=twin),
        )


def check_own_name(name: str, saved: Collection[str]) -> None:
    """Raise UsageError when *name* can be neither that of a new profile, nor is that of one of *saved*.

    Earlier versions saved names that are refused to new ones: they go on working.
    """
    if name not in saved or not is_possible(name) or name == RELAY:
        check_name(name, saved)


def is_free(name: str, taken: Collection[str]) -> bool:
    """Tell whether *name* can be that of a new profile beside those called *taken*."""
    try:
        check_name(name, taken)
    except UsageError:
        return False
    return name not in taken


def twins(name: str, names: Iterable[str]) -> list[str]:
    """Return those of *names* that differ from *name* in case only."""
    return [n for n in _by_lower(tuple(names)).get(name.lower(), ()) if n != name]


@functools.lru_cache(2)
def _by_lower(names: tuple[str, ...]) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for name in names:
        out.setdefault(name.lower(), []).append(name)
    return out


def variable(name: str, usual: str, taken: Container[str] = ()) -> str:
    """Return the variable that is to hold the key of profile *name*: *usual* where shells and Codex's .env take it.

    None of *taken*, which hold the keys of other profiles.
    """
    usual = usual if keys.VARIABLE.match(usual) and not usual.upper().startswith("CODEX_") else ""
    own = "CCSETUP_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
    choices = (usual, f"{own}_API_KEY", *(f"{own}_{n}_API_KEY" for n in range(2, 9999)))
    return next(v for v in choices if v and v not in taken)


def check(profile: Profile) -> None:
    """Raise UsageError when a value of *profile* is not fit for the files and the shell code that it goes into.

    Whatever way a profile comes, it passes here before it is saved, and when it is read again.
    """
    whose = _("Profile '{name}'").format(name=profile.name)
    try:
        Document(whose, profile.setting()).read(table(profile.parts))
    except DocumentError as e:
        raise UsageError(e.message, hint=e.hint) from None


def table(clients: Iterable[ClientName]) -> Block:
    """Return what may stand in the table of a profile; *clients* are the ids that a table in it may have."""
    parts = {c: Key(_PART, "What it says for this client, beyond the preset") for c in clients}
    return Block("A saved profile", {**_MEMBERS, **parts}, rule=_has_variable, keep=True, make=dict)


def file_table(clients: Iterable[ClientName]) -> Block:
    """Return what may stand in ``profiles.toml``."""
    pattern = NAME.pattern.removesuffix(r"\Z")
    entries = Key(Mapped(table(clients), String(pattern)), "The saved profiles by name")
    edition = Key(Number(1, VERSION), "Of the file; 1 where it is missing", default=1)
    return Block("The saved profiles of ccsetup", {"version": edition, "profiles": entries}, keep=True)


def _visible(text: str) -> str:
    if not text.isprintable():
        raise UsageError(_("a control or invisible character is in it."))
    return text


def _has_variable(at: Document, given: dict[str, Any], path: Path) -> None:
    if given.get("key_storage") in ("env", "dotenv") and not given.get("key_env"):
        at.fail((*path, "key_env"), keys.no_variable())


_TEXT = String(empty=True, make=_visible)
_PART = Block(
    "What a profile says for one client",
    {
        **{field: Key(_TEXT, "Empty: as the preset has it") for field in Part._fields},
        "context_window": Key(Number(), "Tokens; 0: as the preset has it"),
        "settings": Key(Mapped(Scalar(), String()), "Further settings of the client by name"),
        "tools": Key(String(one_of=("", "all")), "all: the endpoint takes tools that are not functions"),
        "web_search": Key(String(one_of=("", "disabled", "cached", "live")), "What `web_search` is set to"),
    },
    make=Part,
    keep=True,
)
_MEMBERS = {
    "provider": Key(String(make=_visible), "Id of a preset", required=True),
    "region": Key(_TEXT, "One of the preset's"),
    "key_storage": Key(String(one_of=KEY_STORAGES), "Where the key is", default="inline"),
    "key_env": Key(String(VARIABLE.pattern, keys.no_variable, empty=True), "The variable that holds the key"),
    "key_command": Key(String(empty=True), "A shell command that prints the key"),
}


def parse(
    text: str, file: str, clients: Collection[ClientName], unknown: Optional[list[str]] = None
) -> dict[str, Profile]:
    """Return the profiles in *text*, in the file's order; DocumentError says file, line and key.

    *clients* are the ids that a table of a profile may have.  A profile that cannot be used has its ``problem``: it
    keeps nobody from using the others.

    Members that are not known are named in *unknown*.  Raises CcsetupError for a file of a newer ccsetup.
    """
    try:
        at = tomldoc.document(text, file)
        version.check(at.data.get("version"), VERSION, file)
        tables = at.mapping(at.data.get("profiles", {}), ("profiles",))
    except DocumentError as e:
        raise DocumentError(e.message, line=e.line, column=e.column, hint=mend()) from None
    kind = table(clients)
    out: dict[str, Profile] = {}
    alike: dict[str, Profile] = {}  # many profiles say the same, each beside a key of its own
    for name, body in tables.items():
        says = repr(body)
        first = alike.get(says) if is_possible(name) else None
        out[name] = first._replace(name=name) if first else _profile(at, kind, name, body, clients)
        if not (first or out[name].problem or out[name].other):
            alike[says] = out[name]
    if unknown is not None:
        said = _("this is not known; it stays as it is")
        places: list[Path] = [(key,) for key in at.data if key not in ("version", "profiles")]
        places += [(*path(p.name), *place) for p in out.values() for place in p.other]
        unknown.extend(at.error(place, said, key=True).message for place in places)
    return out


def _profile(at: Document, kind: Block, name: str, body: Any, clients: Collection[ClientName]) -> Profile:
    """Return the profile *name*; of what is wrong in *body* the first is its problem, and nothing of it is taken."""
    here, problem = path(name), ""
    if not is_possible(name):
        problem, body = at.error(here, _("not a usable profile name"), key=True).message, {}
    while True:
        at.unknown.clear()
        try:
            given = kind.read(at, body, here)
            break
        except DocumentError as e:
            problem = problem or f"{e.message} {e.hint}".rstrip()
            body = _without(body, at.failed[len(here) :])
    return Profile(
        name=name,
        parts={c: given.pop(c) for c in clients if c in given},
        problem=problem,
        other={tuple(map(str, place[len(here) :])): value for place, value in at.unknown.items()},
        **{
            "provider": "",
            "region": "",
            "key_storage": "inline",
            "key_env": "",
            **{k: v for k, v in given.items() if v != _NONE},
        },
    )


_NONE = "_"


def _without(body: Any, place: Path) -> dict[str, Any]:
    """Return the table *body* without what is wrong at *place*, and with what is missing there."""
    if not isinstance(body, dict) or not place:
        return {**(body if isinstance(body, dict) else {}), "provider": _NONE}
    first, *rest = map(str, place)
    if first not in body:
        return {**body, first: _NONE}
    kept = {name: value for name, value in body.items() if name != first}
    return {**kept, first: {k: v for k, v in body[first].items() if k != rest[0]}} if rest else kept


def is_possible(name: str) -> bool:
    """Tell whether *name* can be that of a saved profile; if not, no file may be called by it."""
    return bool(NAME.match(name)) and (name == RELAY or name not in RESERVED)


def mend(profile: Optional[Profile] = None) -> str:
    """Return what to do about the problem of *profile*, or of the file."""
    if profile is None or is_possible(profile.name):
        return _("Correct the line, or set the profile up again with ccsetup init.")
    return _("Write another name there: letters, digits, '-' and '_', at most 64. Then run: ccsetup list")


def usable(profile: Profile) -> Profile:
    """Return *profile*; DocumentError when what somebody wrote into its table by hand cannot be used."""
    if profile.problem:
        raise DocumentError(profile.problem, hint=mend(profile))
    return profile


def region_of(profile: Profile, preset: Preset) -> Region:
    """Return the region of *preset* that *profile* names; UsageError when the preset has no such region."""
    region = preset.region(profile.region)
    if region is None:
        raise UsageError(
            _("Provider '{provider}' has no region '{region}'. Valid regions: {valid}").format(
                provider=preset.id, region=printable(profile.region), valid=", ".join(r.id for r in preset.regions)
            ),
            hint=_("Give one of them with --region."),
        )
    return region


def check_url(url: str, option: str) -> None:
    """Raise UsageError when *url*, given by *option*, is no address a client can use."""
    problem = urls.problem(urls.bare(url)) or urls.key_inside(url)
    if problem:
        raise UsageError(
            _("{option}: {problem}").format(option=option, problem=problem),
            hint=_("Give an address such as https://host/path."),
        )


def check_model(model: str, place: str) -> None:
    """Raise UsageError when *model*, which stands at *place*, is the id of no model; "" is none and right."""
    problem = model_problem(model)
    if problem:
        raise UsageError(_("{option}: {problem}").format(option=place, problem=problem))


def model_problem(model: str) -> str:
    """Return why *model* cannot be the id of a model, or ""; the text never repeats it, because it may be a key."""
    if masking.likely(model):
        return _("A key stands where a name belongs.")
    return "" if re.fullmatch(r"[\x21-\x7e]{0,200}", model) else _("A model id has no spaces.")


def check_storage(value: str) -> None:
    """Raise UsageError where no key can be kept like that."""
    check_one_of(value, KEY_STORAGES, _("Invalid key storage '{value}'. Valid ones: {valid}"))


def check_auth(value: str) -> None:
    """Raise UsageError where Claude Code sends no key like that; "" is the usual way."""
    if value not in ("", "auth_token", "api_key"):
        text = _("Invalid auth type '{type}'. Valid types: auth_token, api_key")
        raise UsageError(text.format(type=printable(value)))


def key_file(paths: Paths, name: str, names: Iterable[str], exists: Callable[[str], bool]) -> str:
    """Return the file that holds the key of profile *name* beside the profiles *names*.

    Where a file system takes names that differ only in case for one file, nobody knows whose key is in it: each of
    such profiles gets another file, and has to be given its key again.  Raises UsageError where *name* leads elsewhere.
    """
    if not NAME.match(name):
        check_name(name)
    own, apart = paths.key_file(name), paths.key_file_apart(name)
    if exists(apart):
        return apart
    return apart if any(_one_file(own, paths.key_file(t)) for t in twins(name, names)) else own


def _one_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
