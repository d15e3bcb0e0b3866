"""The model catalogue that Codex is given: what is in it, and which file it is.

The file is called by its contents, so that profiles whose catalogues are the same share one.  Earlier versions had one
for each profile, called by the profile; it goes when nothing names it any more.
"""

from __future__ import annotations

import functools
import json
import os
from typing import Mapping, Optional, Sequence, cast

from ccsetup import disk
from ccsetup.clients.codex import facts
from ccsetup.clients.values import Listed, Use
from ccsetup.errors import CcsetupError
from ccsetup.model import CodexEndpoint, Version
from ccsetup.plan import FileChange, fingerprint
from ccsetup.profiles import UNKNOWN_CONTEXT


def efforts(levels: Sequence[str], version: Version) -> tuple[str, ...]:
    """Return those of the reasoning efforts *levels* that Codex *version* knows."""
    return tuple(e for e in levels if e != "max" or version >= facts.MAX_EFFORT)


def text(use: Use, version: Version) -> str:
    """Return a model catalogue (JSON) for the profile's model and the preset's other models, or those of the relay.

    Without it Codex knows no window above 272 000 tokens for a model that is not OpenAI's.  The entry
    has every field that a release from 0.105 to 0.169.0 demands, and loads in all of them.
    """
    main = main_model(use)
    rows = (main, *(m for m in _models(use) if m.model != main.model))
    return _text(tuple(m._replace(efforts=efforts(m.efforts, version)) for m in rows))


def main_model(use: Use) -> Listed:
    """Return what the catalogue says of the model that the profile asks for."""
    own = cast(CodexEndpoint, use.endpoint)
    known = next((m for m in _models(use) if m.model == own.model), None)
    main = known or _any(own.model, use.preset.name, use.listed, own.efforts, own.default_effort)
    if known and use.listed:  # those of the relay have windows of their own
        return main
    return main._replace(context=own.context_window)


def _models(use: Use) -> Sequence[Listed]:
    own, name = cast(CodexEndpoint, use.endpoint), use.preset.name
    known = (*use.preset.served(use.profile.region), use.preset.model(own.model))
    return [m._replace(context=m.context or UNKNOWN_CONTEXT) for m in use.listed] or [
        Listed(m.id, name, m.context, bool(m.vision), own.efforts, own.default_effort)
        for m in dict.fromkeys(known)
        if m is not None
    ]


def _any(model: str, owner: str, listed: Sequence[Listed], levels: tuple[str, ...], usual: str) -> Listed:
    """Return *model*, which none of *listed* is: it may be any of them from one request to the next."""
    known = [m.efforts for m in listed if m.efforts]
    owner = "what ccsetup relay use says" if listed else owner
    if known:
        levels = tuple(e for e in known[0] if all(e in other for other in known))
        usual = next(m.default_effort for m in listed if m.efforts)
    return Listed(model, owner, None, any(m.images for m in listed), levels, usual)


@functools.lru_cache(64)
def _text(models: tuple[Listed, ...]) -> str:
    entries = [
        {
            "slug": m.model,
            "display_name": m.model,
            "description": m.owner,
            "default_reasoning_level": m.default_effort if m.default_effort in m.efforts else (*m.efforts, None)[-1],
            "supported_reasoning_levels": [{"effort": e, "description": e} for e in m.efforts],
            "shell_type": "unified_exec",
            "visibility": "list",
            "supported_in_api": True,
            "priority": i + 1,
            "base_instructions": base_instructions(),
            "upgrade": None,
            "supports_reasoning_summaries": bool(m.efforts),
            "support_verbosity": False,
            "default_verbosity": None,
            "apply_patch_tool_type": None,
            "truncation_policy": {"mode": "bytes", "limit": 10000},
            "supports_parallel_tool_calls": True,
            "context_window": m.context,
            "auto_compact_token_limit": None,
            "experimental_supported_tools": [],
            "input_modalities": ["text", "image"] if m.images else ["text"],
        }
        for i, m in enumerate(models)
    ]
    return json.dumps({"models": entries}, ensure_ascii=False, indent=2) + "\n"


def base_instructions() -> str:
    """Return what a catalogue entry tells a model about its work: our own text, the same for every release.

    An entry without instructions does not load.  The catalogue offers no tool for patches (not every provider
    takes one of free text), so the text has the format of ``apply_patch``, which every release runs as a command.
    """
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "data", "codex_instructions.md")
    with open(path, encoding="utf-8") as f:
        return f.read()


@functools.lru_cache(64)
def name(text: str) -> str:
    """Return the name of the file in CODEX_HOME that holds the catalogue *text*."""
    return f"ccsetup-{fingerprint(text.encode(), 6)}.models.json"


def tidied(changes: Sequence[FileChange]) -> tuple[FileChange, ...]:
    """Return *changes* with those of our catalogues: one goes when nothing names it any more, and never before."""
    for folder in dict.fromkeys(os.path.dirname(c.path) for c in changes if _is_document(c.path) or _names_in(c.path)):
        changes = _tidied(folder, changes)
    return tuple(changes)


def _tidied(folder: str, changes: Sequence[FileChange]) -> Sequence[FileChange]:
    mine = {os.path.basename(c.path): c for c in changes if os.path.dirname(c.path) == folder}
    documents = {n: c for n, c in mine.items() if _is_document(n)}
    named = _names(*(c.before for c in documents.values()))
    going = {n for n, c in mine.items() if c.after is None and _names_in(n) == {n}}
    coming = {n for n, c in mine.items() if c.before is None and _names_in(n) == {n}}
    unused = (named | going | coming) - _names(*(c.after for c in documents.values()))
    gone: list[FileChange] = []
    try:
        for name in _likely_first(folder, documents) if unused else ():
            unused -= _names(_read(folder, name))
            if not unused:
                break
        for name in sorted((named & unused) - mine.keys()):
            data = _read(folder, name)
            if data is not None and _is_ours(name, data, documents):
                gone.append(FileChange(os.path.join(folder, name), data, None))
    except (OSError, CcsetupError):  # what cannot be read may name anything
        unused, gone = set(), []
    stay = {os.path.join(folder, name) for name in (going - unused) | (coming & unused)}
    return [*(c for c in changes if c.path not in stay), *gone]


def missing(changes: Sequence[FileChange]) -> Sequence[str]:
    """Return our catalogues that documents name after *changes*, and that are not there then."""
    there = {c.path for c in changes if c.after is not None}
    documents = [c for c in changes if _is_document(c.path)]
    named = (os.path.join(os.path.dirname(c.path), name) for c in documents for name in sorted(_names(c.after)))
    return [path for path in dict.fromkeys(named) if path not in there and not os.path.lexists(path)]


def _likely_first(folder: str, changed: Mapping[str, FileChange]) -> list[str]:
    """Return the other documents in *folder*; one of a profile that was active names the same catalogue."""
    active = (changed["config.toml"].before or b"") if "config.toml" in changed else b""
    others = [n for n in os.listdir(folder) if _is_document(n) and n not in changed]
    return sorted(others, key=lambda n: (n.removesuffix(".config.toml").encode("utf-8", "replace") not in active, n))


def _is_ours(file: str, data: bytes, documents: Mapping[str, FileChange]) -> bool:
    """Tell whether we wrote *data*: its name says so, or, of an earlier version, the profile's that named it."""
    if name(data.decode("utf-8", "replace")) == file:
        return True
    profile = file.removeprefix("ccsetup-").removesuffix(".models.json")
    own, main = documents.get(f"{profile}.config.toml"), documents.get("config.toml")
    return (own is not None and file in _names(own.before)) or (
        main is not None and f"profiles.{profile}]".encode() in (main.before or b"")
    )


def _read(folder: str, name: str) -> Optional[bytes]:
    path = os.path.join(folder, name)
    return disk.snapshot([path])[path]


def _is_document(name: str) -> bool:
    return os.path.basename(name) == "config.toml" or name.endswith(".config.toml")


def _names_in(path: str) -> set[str]:
    return _names(os.path.basename(path).encode("utf-8", "replace"))


def _names(*documents: Optional[bytes]) -> set[str]:
    """Return the names of our catalogues in *documents*."""
    import re

    found = (re.findall(rb"ccsetup-[A-Za-z0-9_.-]{1,80}?\.models\.json", data) for data in documents if data)
    return {name.decode() for names in found for name in names}
