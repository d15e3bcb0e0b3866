"""Codex' sessions: where they are, and the provider id by which it files them.

A session is a file of JSON lines, a rollout (``sessions/``, ``archived_sessions/``), and a row of the table ``threads``
in ``state_N.sqlite``.  The id is in the first line, in later ones (``thread_settings``), and in the row.  Observed with
0.133, 0.160 and 0.171: what is listed follows the first line and Codex sets the row by it; 0.171 continues by the row.
"""

from __future__ import annotations

import glob
import json
import os
import re
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Mapping, NamedTuple

from ccsetup.clients.codex import facts
from ccsetup.documents.edit import MISSING, lookup
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _, ngettext
from ccsetup.paths import Paths

if TYPE_CHECKING:
    from sqlite3 import Connection

    from ccsetup.clients.house import Finding, House

FOLDERS = ("sessions", "archived_sessions")
_MEMBERS = (("payload", "model_provider"), ("payload", "thread_settings", "model_provider_id"))
_ID = re.compile(rb'"model_provider(?:_id)?"\s*:\s*"((?:[^"\\]|\\.)*)"')
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOOLS = (".cc-switch", ".ccjk", os.path.join(".ufomiao", "zcf"), ".ccs", ".claude-code-router")
"""Folders of the tools that write providers for Codex, or may."""


class Session(NamedTuple):
    """A session, as its file and the database have it."""

    id: str
    path: str
    """Its rollout; "" where there is none."""
    first: str
    """The provider id in the file's first line; "" for none."""
    stored: str
    """The one in the database; "" where it has no row."""
    time: float
    """When it was last continued, in seconds since 1970."""

    @property
    def provider(self) -> str:
        return self.first or self.stored


def databases(paths: Paths, config: Any) -> list[str]:
    """Return the files that may hold the table ``threads``; ``sqlite_home`` moves them."""
    moved = lookup(config, ("sqlite_home",))
    folder = moved if isinstance(moved, str) else paths.environ.get("CODEX_SQLITE_HOME") or paths.codex_home
    return sorted(glob.glob(os.path.join(glob.escape(os.path.expanduser(folder)), "state_*.sqlite")))


def rows(db: Connection) -> Iterator[tuple[str, str, str, float]]:
    """Yield id, rollout, provider id and time of each session in *db*."""
    yield from db.execute("SELECT id, rollout_path, model_provider, updated_at FROM threads")


def rollouts(paths: Paths) -> Iterator[str]:
    for name in FOLDERS:
        for folder, _folders, files in os.walk(os.path.join(paths.codex_home, name)):
            yield from (os.path.join(folder, f) for f in files if f.startswith("rollout-") and ".jsonl" in f)


def found(paths: Paths, stored: Mapping[str, tuple[str, float]]) -> Iterator[Session]:
    """Yield every session once: those with a file, then those that only the database has (*stored*, by id)."""
    seen = set()
    for path in rollouts(paths):
        names = _UUID.findall(os.path.basename(path))
        if not names:
            continue
        id_ = names[-1]
        seen.add(id_)
        try:
            status = os.stat(path)
            first = "" if path.endswith(".zst") else _first(path)
        except OSError:
            continue  # it was deleted, or cannot be read
        yield Session(id_, path, first, stored.get(id_, ("", 0.0))[0], status.st_mtime)
    for id_, (provider, when) in stored.items():
        if id_ not in seen:
            yield Session(id_, "", "", provider, when)


def _first(path: str) -> str:
    with open(path, "rb") as file:
        line = file.readline(1 << 24)
    return next((old for _place, old in _members(line)), "")


def _members(line: bytes) -> Iterator[tuple[re.Match[bytes], str]]:
    """Yield the places in *line* that hold a provider id, and the ids.

    A quote within a JSON text is escaped, so what matches is a member; which one, tells the line as data.
    """
    matches = list(_ID.finditer(line))
    if not matches:
        return
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return
    held = [value for value in (lookup(data, at) for at in _MEMBERS) if isinstance(value, str)]
    for match in matches:
        value = json.loads(b'"' + match[1] + b'"')
        if value in held:
            held.remove(value)
            yield match, value


def renamed(data: bytes, choose: Callable[[int, str], str]) -> tuple[bytes, list[tuple[int, str]]]:
    """Return the rollout *data* with other ids, and where which ones were: the number of the line, and the former id.

    *choose* gets these two and returns the new id.
    """
    out, changes = [], []
    for number, line in enumerate(data.splitlines(keepends=True)):
        for match, old in reversed([*_members(line)] if b'"model_provider' in line else ()):
            new = choose(number, old)
            if new != old:
                changes.append((number, old))
                line = line[: match.start(1)] + json.dumps(new)[1:-1].encode() + line[match.end(1) :]
        out.append(line)
    return b"".join(out), changes


def is_ours(id_: str) -> bool:
    return id_ == facts.SHARED_ID or id_.startswith(facts.SHARED_ID + "-")


def joinable(paths: Paths, config: Any, ids: Iterable[str]) -> set[str]:
    """Return those of *ids* that nobody needs any more: ours, and those that tools left which are gone."""
    tool = any(os.path.exists(os.path.join(paths.home, name)) for name in _TOOLS)
    tables = lookup(config, ("model_providers",))
    kept = set(tables) if isinstance(tables, dict) else set()
    return {i for i in ids if is_ours(i) or not (i == "" or tool or i in kept or i in facts.TAKEN_IDS)}


def selected(config: Any) -> str:
    """Return the id by which Codex files what it begins now."""
    name = lookup(config, ("model_provider",))
    return name if isinstance(name, str) and name else "openai"


def unseen(house: House) -> Iterator[Finding]:
    """Tell of sessions in the database that Codex does not show with the provider in use."""
    from ccsetup.clients.house import Finding

    config, paths = house.codex, house.paths
    use = selected(config)
    counts: dict[str, int] = {}
    for path in databases(paths, config) if lookup(config, ("model_provider",)) is not MISSING else ():
        counts |= _counts(path)
    ids = joinable(paths, config, counts) - {use}
    many = sum(counts[i] for i in ids)
    if many:
        text = ngettext(
            "Codex does not show {n} session of other providers ({ids}).",
            "Codex does not show {n} sessions of other providers ({ids}).",
            many,
        ).format(n=many, ids=", ".join(sorted(ids)))
        yield Finding("warning", text, _("Run: ccsetup history join"))


def _counts(path: str) -> dict[str, int]:
    import sqlite3
    from urllib.parse import quote

    try:
        db = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=1)
        try:
            return dict(db.execute("SELECT model_provider, count(*) FROM threads GROUP BY 1"))
        finally:
            db.close()
    except (sqlite3.Error, CcsetupError):
        return {}  # another release's, or in use: nothing is known
