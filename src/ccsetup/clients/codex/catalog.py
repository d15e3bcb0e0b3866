"""The model catalogue that Codex is given: what is in it, and which file it is.

The file is called by its contents, so that profiles whose catalogues are the same share one.  Earlier versions had one
for each profile, called by the profile; it goes when nothing names it any more.
"""

from __future__ import annotations

import functools
import json
import os
from typing import Optional, Sequence, cast

from ccsetup import disk
from ccsetup.clients.codex import facts
from ccsetup.clients.values import Use
from ccsetup.errors import CcsetupError
from ccsetup.model import CodexEndpoint, Version
from ccsetup.paths import Paths
from ccsetup.plan import FileChange, fingerprint


def efforts(endpoint: CodexEndpoint, version: Version) -> tuple[str, ...]:
    """Return the reasoning efforts that the provider takes and Codex *version* knows."""
    return tuple(e for e in endpoint.efforts if e != "max" or version >= facts.MAX_EFFORT)


def text(use: Use, version: Version) -> str:
    """Return a model catalogue (JSON) for the profile's model and the preset's other models.

    Without it Codex knows no window above 272 000 tokens for a model that is not OpenAI's.  The entry
    has every field that a release from 0.105 to 0.169.0 demands, and loads in all of them.
    """
    endpoint = cast(CodexEndpoint, use.endpoint)
    models = {endpoint.model: endpoint.context_window}
    for m in use.preset.models:
        models.setdefault(m.id, m.context)
    sighted = frozenset(m.id for m in use.preset.models if m.vision)
    levels = efforts(endpoint, version)
    default = endpoint.default_effort if endpoint.default_effort in levels else (levels[-1] if levels else None)
    return _text(use.preset.name, tuple((m, c, m in sighted) for m, c in models.items()), levels, default)


@functools.lru_cache(64)
def _text(
    provider: str, models: tuple[tuple[str, int, bool], ...], levels: tuple[str, ...], default: Optional[str]
) -> str:
    entries = [
        {
            "slug": slug,
            "display_name": slug,
            "description": provider,
            "default_reasoning_level": default,
            "supported_reasoning_levels": [{"effort": e, "description": e} for e in levels],
            "shell_type": "unified_exec",
            "visibility": "list",
            "supported_in_api": True,
            "priority": i + 1,
            "base_instructions": base_instructions(),
            "upgrade": None,
            "supports_reasoning_summaries": bool(levels),
            "support_verbosity": False,
            "default_verbosity": None,
            "apply_patch_tool_type": None,
            "truncation_policy": {"mode": "bytes", "limit": 10000},
            "supports_parallel_tool_calls": True,
            "context_window": context,
            "auto_compact_token_limit": None,
            "experimental_supported_tools": [],
            "input_modalities": ["text", "image"] if sees else ["text"],
        }
        for i, (slug, context, sees) in enumerate(models)
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


def tidied(paths: Paths, changes: Sequence[FileChange]) -> tuple[FileChange, ...]:
    """Return *changes* with those of our catalogues: one goes when nothing names it any more, and never before."""
    folder = paths.codex_home
    mine = {os.path.basename(c.path): c for c in changes if os.path.dirname(c.path) == folder}
    documents = {n: c for n, c in mine.items() if _is_document(n)}
    going = {n for n, c in mine.items() if c.after is None and _names(n.encode()) == {n}}
    unused = going | _names(*(c.before for c in documents.values()))
    unused -= _names(*(c.after for c in documents.values()))
    old: dict[str, Optional[bytes]] = {}
    try:
        for name in os.listdir(folder) if unused else ():
            if _is_document(name) and name not in documents:
                unused -= _names(_read(folder, name))
            if not unused:
                break
        old = {name: _read(folder, name) for name in unused - mine.keys()}
    except (OSError, CcsetupError):  # what cannot be read may name anything
        unused = set()
    stay = {os.path.join(folder, name) for name in going - unused}
    out: list[FileChange] = []
    for change in reversed(changes):  # each behind the last document that named it
        named = _names(change.before) if change in documents.values() else set()
        for name in sorted(named & old.keys(), reverse=True):
            data = old.pop(name)
            if data is not None:
                out.append(FileChange(os.path.join(folder, name), data, None))
        if change.path not in stay:
            out.append(change)
    return tuple(reversed(out))


def missing(paths: Paths, changes: Sequence[FileChange]) -> Sequence[str]:
    """Return our catalogues that documents name after *changes*, and that are not there then."""
    there = {c.path for c in changes if c.after is not None}
    documents = (c.after for c in changes if os.path.dirname(c.path) == paths.codex_home and _is_document(c.path))
    named = (os.path.join(paths.codex_home, name) for name in sorted(_names(*documents)))
    return [path for path in named if path not in there and not os.path.lexists(path)]


def _read(folder: str, name: str) -> Optional[bytes]:
    path = os.path.join(folder, name)
    return disk.snapshot([path])[path]


def _is_document(name: str) -> bool:
    return os.path.basename(name) == "config.toml" or name.endswith(".config.toml")


def _names(*documents: Optional[bytes]) -> set[str]:
    """Return the names of our catalogues in *documents*."""
    import re

    found = (re.findall(rb"ccsetup-[A-Za-z0-9_.-]{1,80}?\.models\.json", data) for data in documents if data)
    return {name.decode() for names in found for name in names}
