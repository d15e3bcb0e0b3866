"""The provider presets: which there are, and one of them by its id.

Built-in presets are read from JSON that the build makes of ``presets/*.yaml`` (0.3 ms each, and no YAML reader is
imported).  In a checkout a YAML file that is newer than its JSON wins, so an edit works at once.  Users add or
override presets with ``<id>.yaml`` files in a folder of their own; those are checked strictly.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any, Optional, Union

from ccsetup import bounded, masking
from ccsetup.errors import CcsetupError, DocumentError, UsageError
from ccsetup.i18n import _
from ccsetup.model import (
    ClaudeEndpoint,
    ClientName,
    CodexEndpoint,
    Condition,
    Fact,
    KeyCheck,
    KeyFamily,
    LegacyModel,
    LegacyUrl,
    Model,
    Preset,
    PresetSummary,
    Region,
    Tiers,
    Unsupported,
)
from ccsetup.tuples import NamedTuple

_FIRST = ("302ai", "glm", "minimax", "kimi", "openrouter")
_LAST = "custom"
_ID = r"[a-z0-9-]{1,32}"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_ENDINGS = (".yaml", ".yml")


class Folders(NamedTuple):
    """Where built-in presets are."""

    compiled: str
    """JSON made by the build."""
    source: str
    """``presets/`` of a checkout, or "" in an installed package."""
    spec: str
    """What decides the shape of the JSON; JSON that is older is out of date."""


def _folders() -> Folders:
    parent = os.path.dirname(_PACKAGE)
    source = os.path.join(os.path.dirname(parent), "presets") if os.path.basename(parent) == "src" else ""
    return Folders(os.path.join(_PACKAGE, "_presets"), source, os.path.join(_PACKAGE, "presets", "spec.py"))


BUILT_IN = _folders()


def ids(user_dir: str = "", folders: Folders = BUILT_IN) -> list[str]:
    """Return the ids of all presets in the order of lists: well-known ones first, the user's own last."""
    known = _built_in_ids(folders, None)
    mine = {name for name in _user_files(user_dir) if re.fullmatch(_ID, name)}
    return known + sorted(mine.difference(known))


def load(preset_id: str, user_dir: str = "", folders: Folders = BUILT_IN) -> Preset:
    """Return the preset called *preset_id*: the user's own, or else the built-in one.

    What people write for an id is understood (``GLM``, ``302.ai``, ``moonshot``) where it means one preset for certain.
    *user_dir* is the folder of the user's presets; it need not exist.
    Raises UsageError for an unknown id, DocumentError for a file that breaks the rules.
    """
    # The pattern also keeps "../x" away from the disk.
    if re.fullmatch(_ID, preset_id):
        path = _user_file(user_dir, preset_id)
        if path:
            return _users(path, preset_id)
        plain = _built_in(preset_id, folders)
        if plain is not None:
            return build(plain)
    known = ids(user_dir, folders)
    named = _named(known, user_dir, folders)
    meant, region = _meant(preset_id, named)
    if meant and not region:
        return load(meant, user_dir, folders)
    raise UsageError(
        _("Invalid provider '{id}'. Valid providers: {known}").format(
            id="".join(c if c.isprintable() else "?" for c in preset_id[:80]), known=", ".join(known)
        ),
        hint=_("Did you mean: {command}").format(command=f"-p {meant} --region {region}")
        if meant
        else _nearest(preset_id, known, named),
    )


def _named(known: list[str], user_dir: str, folders: Folders) -> dict[str, tuple[str, str]]:
    """Return id and region ("": any) by each plain name of a preset: an id before the user's names, ours last."""
    aliases = {preset_id: entry.get("aliases", {}) for preset_id, entry in _index(folders).items()}
    for preset_id, paths in _user_files(user_dir).items():
        with contextlib.suppress(CcsetupError):  # one that cannot be read stops no other
            aliases[preset_id] = {**aliases.pop(preset_id, {}), **_users(paths[0], preset_id).aliases}
    named = {_plain(a): (preset_id, region) for preset_id, names in aliases.items() for a, region in names.items()}
    return named | {_plain(preset_id): (preset_id, "") for preset_id in known}


def _meant(word: str, named: dict[str, tuple[str, str]]) -> tuple[str, str]:
    """Return the id that *word*, which is none, stands for, and the region where it is the name of one; "" for none."""
    return named.get(_plain(word), ("", "")) if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}", word) else ("", "")


def _plain(word: str) -> str:
    return "".join(c for c in word.lower() if c.isalnum())


def summaries(user_dir: str = "", folders: Folders = BUILT_IN) -> tuple[list[PresetSummary], list[CcsetupError]]:
    """Return one summary per preset, in the order of *ids*, and what is wrong with user presets that were left out."""
    index = _index(folders)
    found: list[PresetSummary] = []
    problems: list[CcsetupError] = []
    mine = _user_files(user_dir)
    for preset_id in [*index, *sorted(set(mine).difference(index))]:
        if preset_id in mine:
            try:
                if len(mine[preset_id]) > 1:
                    raise _twice(mine[preset_id])
                found.append(summary(_users(mine[preset_id][0], preset_id), user=True))
            except CcsetupError as error:
                problems.append(error)
        else:
            found.append(_summary(index[preset_id]))
    return found, problems


def _users(path: str, preset_id: str) -> Preset:
    """Return the user's preset in *path*; from now on, what begins like its keys is hidden as one."""
    preset = build(_read_yaml(path, preset_id))
    for family in preset.key_families:
        masking.know_prefix(family.prefix)
    return preset


def key_families(folders: Folders = BUILT_IN) -> list[tuple[str, KeyFamily]]:
    """Return (preset id, family) of every built-in preset, longest prefix first, to recognise a key."""
    pairs = [
        (preset_id, _family(family)) for preset_id, entry in _index(folders).items() for family in entry["key_families"]
    ]
    return sorted(pairs, key=lambda pair: -len(pair[1].prefix))


def summary(preset: Preset, *, user: bool) -> PresetSummary:
    """Return what lists show of *preset*."""
    clients = [client for client in _CLIENTS if any(_serves(region, client) for region in preset.regions)]
    regions = tuple(region.id for region in preset.regions)
    indirect = tuple(c for c in _CLIENTS if c not in clients) if any(map(has_address, preset.regions)) else ()
    return PresetSummary(preset.id, preset.name, preset.description, regions, tuple(clients), user, indirect)


_CLIENTS: tuple[ClientName, ...] = ("claude-code", "codex")
"""The clients that presets say something of."""


def _serves(region: Region, client: ClientName) -> bool:
    if client == _CLIENTS[0]:
        return isinstance(region.claude, ClaudeEndpoint)
    return isinstance(region.codex, CodexEndpoint) and region.codex.wire == "responses"


def has_address(region: Region) -> bool:
    """Tell whether the relay can ask the provider there, in whatever format."""
    claude, codex = region.claude, region.codex
    return bool(
        region.chat_url
        or (isinstance(claude, ClaudeEndpoint) and claude.base_url)
        or (isinstance(codex, CodexEndpoint) and codex.base_url)
    )


def index_entry(preset: Preset) -> dict[str, Any]:
    """Return what the compiled index holds of *preset*."""
    entry = summary(preset, user=False)._asdict()
    del entry["user"]
    entry["key_families"] = [family._asdict() for family in preset.key_families]
    entry["aliases"] = dict(preset.aliases)
    return entry


def build(plain: dict[str, Any]) -> Preset:
    """Return the preset that *plain* describes: the output of ``read.parse``, as it is or through JSON.

    No checks: *plain* was checked when it was made from YAML.
    """
    return Preset(
        id=plain["id"],
        name=plain["name"],
        description=plain["description"],
        website=plain["website"],
        key_env=plain["key_env"],
        key_required=plain["key_required"],
        default_key=plain["default_key"],
        key_families=tuple(_family(family) for family in plain["key_families"]),
        regions=tuple(_region(region) for region in plain["regions"]),
        models=tuple(Model(**{**model, "regions": tuple(model["regions"])}) for model in plain["models"]),
        legacy_urls=tuple(LegacyUrl(**url) for url in plain["legacy_urls"]),
        legacy_models=tuple(LegacyModel(**model) for model in plain["legacy_models"]),
        errors={meaning: _conditions(items) for meaning, items in plain["errors"].items()},
        dialect=plain["dialect"],
        aliases=plain["aliases"],
    )


def _region(plain: dict[str, Any]) -> Region:
    claude: Union[ClaudeEndpoint, Unsupported]
    codex: Union[CodexEndpoint, Unsupported]
    raw = plain["claude"]
    if "base_url" in raw:
        tiers = raw["models"]
        env = {name: Fact(**fact) for name, fact in raw["env"].items()}
        claude = ClaudeEndpoint(**{**raw, "models": Tiers(**tiers) if tiers else None, "env": env})
    else:
        claude = Unsupported(_said(raw["reason"]))
    raw = plain["codex"]
    if "base_url" in raw:
        codex = CodexEndpoint(**{**raw, "efforts": tuple(raw["efforts"]), "reason": _said(raw["reason"])})
    else:
        codex = Unsupported(_said(raw["reason"]))
    verify = tuple(_check(check) for check in plain["verify"])
    note = _said(plain["verify_note"])
    return Region(**{**plain, "claude": claude, "codex": codex, "verify": verify, "verify_note": note})


def _family(plain: dict[str, Any]) -> KeyFamily:
    return KeyFamily(**{**plain, "name": _said(plain["name"])})


def _said(text: str) -> str:
    """Return a text of a preset in the user's language; the catalogues have those of the shipped presets."""
    return _(text) if text else ""


def _check(plain: dict[str, Any]) -> KeyCheck:
    matches = {name: _conditions(plain[name]) for name in ("valid", "invalid", "no_quota", "forbidden")}
    return KeyCheck(**{**plain, "prefixes": tuple(plain["prefixes"]), **matches})


def _conditions(items: list[dict[str, Any]]) -> tuple[Condition, ...]:
    return tuple(
        Condition(
            status=tuple(item.get("status", ())),
            path=item.get("path", ""),
            equals=tuple(item.get("equals", ())),
            contains=item.get("contains", ""),
        )
        for item in items
    )


def _built_in_ids(folders: Folders, index: Optional[dict[str, Any]]) -> list[str]:
    """Return the ids in order; *index* saves reading the compiled index again."""
    if folders.source and os.path.isdir(folders.source):
        found = {name[:-5] for name in os.listdir(folders.source) if name.endswith(".yaml")}
    else:
        found = set(_read_index(folders) if index is None else index)
    middle = sorted(found.difference(_FIRST, (_LAST,)))
    return [name for name in (*_FIRST, *middle, _LAST) if name in found]


def _built_in(preset_id: str, folders: Folders) -> Optional[dict[str, Any]]:
    """Return the plain form of a built-in preset, or None when there is none of that id."""
    compiled = os.path.join(folders.compiled, preset_id + ".json")
    source = _newer_source(preset_id, _compiled(compiled, folders), folders)
    if source:
        return _read_yaml(source, preset_id, shipped=True)
    if folders.source and os.path.isdir(folders.source) and not _time(_source(preset_id, folders)):
        return None  # compiled from a file that is gone
    return _read_json(compiled)


def _index(folders: Folders) -> dict[str, Any]:
    """Return the compiled index, with fresh entries for YAML that is newer, in the order of ids."""
    compiled = _compiled(os.path.join(folders.compiled, "_index.json"), folders)
    stored = _read_index(folders)
    index = {}
    for preset_id in _built_in_ids(folders, stored):
        source = _newer_source(preset_id, compiled, folders)
        if source or preset_id not in stored:
            plain = _built_in(preset_id, folders)
            if plain is not None:
                index[preset_id] = index_entry(build(plain))
        else:
            index[preset_id] = stored[preset_id]
    return index


def _read_index(folders: Folders) -> dict[str, Any]:
    return _read_json(os.path.join(folders.compiled, "_index.json")) or {}


def _source(preset_id: str, folders: Folders) -> str:
    return os.path.join(folders.source, preset_id + ".yaml")


def _newer_source(preset_id: str, compiled: float, folders: Folders) -> str:
    """Return the YAML of *preset_id* when it is newer than what was compiled then; else ""."""
    source = _source(preset_id, folders) if folders.source else ""
    return source if source and _time(source) > compiled else ""


def _compiled(path: str, folders: Folders) -> float:
    """Return when *path* was compiled; 0 when it is missing, or has not today's shape."""
    written = _time(path)
    return written if folders.source and written >= _time(folders.spec) else 0.0


def _time(path: str) -> int:
    """Return the time of the last change in nanoseconds; 0 when there is no such file."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _read_json(path: str) -> Optional[dict[str, Any]]:
    import json

    try:
        with open(path, encoding="utf-8") as file:
            loaded: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return None
    return loaded


def _summary(entry: dict[str, Any]) -> PresetSummary:
    regions, clients = tuple(entry["regions"]), tuple(entry["clients"])
    indirect = tuple(entry.get("by_relay", ()))  # a checkout's index may be older than this field
    return PresetSummary(entry["id"], entry["name"], entry["description"], regions, clients, False, indirect)


def _user_files(user_dir: str) -> dict[str, list[str]]:
    """Return the user's preset files by the id that their names claim."""
    try:
        names = sorted(os.listdir(user_dir)) if user_dir else []
    except OSError:
        return {}
    files: dict[str, list[str]] = {}
    for name in names:
        stem, ending = os.path.splitext(name)
        if ending in _ENDINGS and not stem.startswith("."):
            files.setdefault(stem, []).append(os.path.join(user_dir, name))
    return files


def _user_file(user_dir: str, preset_id: str) -> str:
    """Return the path of the user's preset called *preset_id*, or ""; DocumentError when there are two."""
    if not user_dir:
        return ""
    paths = [os.path.join(user_dir, preset_id + ending) for ending in _ENDINGS]
    found = [path for path in paths if os.path.lexists(path)]
    if len(found) > 1:
        raise _twice(found)
    return found[0] if found else ""


def _twice(paths: list[str]) -> DocumentError:
    problem = _("Two files hold the same preset: {paths}.").format(paths=", ".join(paths))
    return DocumentError(problem, hint=_("Remove one of them."))


def _read_yaml(path: str, preset_id: str, *, shipped: bool = False) -> dict[str, Any]:
    from ccsetup.documents import yamldoc
    from ccsetup.presets import read

    try:
        data = bounded.found(path, yamldoc.MAX_BYTES)
    except OSError as error:
        problem = _("{path} cannot be read: {reason}.").format(path=path, reason=error.strerror or error)
        raise DocumentError(problem) from error
    except bounded.TooLarge as error:
        raise DocumentError(error.message) from error
    return read.parse(data, path, expected_id=preset_id, shipped=shipped)


def _nearest(word: str, known: list[str], named: dict[str, tuple[str, str]]) -> str:
    if "://" in word:
        return _("Give an address with: -p custom -u URL")
    from ccsetup.documents.nearest import suggestion

    meant = next(filter(None, (_meant(piece, named)[0] for piece in re.findall(r"\w+", word))), word)
    return suggestion(meant, known, else_all=False) or _("Run 'ccsetup list --providers' to see them all.")
