"""Gathers what the checks look at that is not the text of a settings file.  Reads the disk and asks programs."""

from __future__ import annotations

import os
import stat
import time
from typing import Callable, Mapping, Optional, Sequence

from ccsetup import disk, git, presets
from ccsetup.clients import CLIENTS
from ccsetup.clients.house import Facts, RelayState
from ccsetup.errors import CcsetupError
from ccsetup.model import ClientName, Preset, Secret, Version
from ccsetup.paths import Paths
from ccsetup.platform import system

OLD = 3600.0
"""Seconds after which a temporary file belongs to no running program."""
LOCK_OLD = 60.0
"""Seconds.  Claude Code renews its lock every 5, and takes one for abandoned after 10."""
_MOST = 400
"""Files that are looked at in the folders of other programs."""
_SIZE = 1 << 20


def facts(
    paths: Paths,
    *,
    said: Mapping[ClientName, Version] = {},
    etc: str = "/etc",
    keyring: Callable[[str], Optional[Secret]],
    relay: RelayState,
) -> Facts:
    """Return the facts of this machine.  *said* are versions that count instead of those installed."""
    versions: dict[ClientName, Optional[Version]] = {
        name: said.get(name) or max(client.installed(paths), default=None) for name, client in CLIENTS.items()
    }
    judges = {c.id: c.judge(paths, versions[c.id] or c.newest) for c in CLIENTS.values()}
    daemons = {c.id: c.background(paths, versions[c.id]) for c in CLIENTS.values()}
    return Facts(
        paths=paths,
        installed=versions,
        newest={name: client.newest for name, client in CLIENTS.items()},
        load_presets=_presets(paths),
        tracked=_tracked(),
        stat_mode=_mode,
        others=_others(paths),
        temporary=_temporary(paths),
        stale_locks=_locks(paths),
        unfinished=[r.command for r in disk.unfinished(paths.homes)],
        damaged=disk.damaged(paths.homes),
        daemons={c: found for c, found in daemons.items() if found},
        etc=etc,
        keyring=keyring,
        judges={c: judge for c, judge in judges.items() if judge},
        relay=relay,
    )


def _presets(paths: Paths) -> Callable[[], Sequence[Preset]]:
    loaded: list[Preset] = []

    def load() -> Sequence[Preset]:
        for name in presets.ids(paths.user_presets) if not loaded else ():
            try:
                loaded.append(presets.load(name, paths.user_presets))
            except CcsetupError:
                continue  # ``ccsetup list`` says what is wrong with it
        return loaded

    return load


def _mode(path: str) -> int:
    try:
        found = os.stat(path)
    except OSError:
        return -1
    if not stat.S_ISREG(found.st_mode) or not system.may_change(found):
        return -1
    return stat.S_IMODE(found.st_mode)


# Copies and leftovers.


def _others(paths: Paths) -> list[str]:
    """Return the copies of settings that other programs keep beside the originals, and zcf's own store."""
    out: list[str] = []
    beside = (
        (paths.claude_dir, ("settings.json.", "settings.json~", "settings.local.json.", "config.backup.")),
        (paths.codex_home, ("config.toml.", "config.toml~", "auth.json.", "config.backup.", ".env.")),
        (paths.home, (".claude.json.b", ".claude.json.corrupted", ".claude.json~")),
    )
    for folder, beginnings in beside:
        for name in _list(folder):
            path = os.path.join(folder, name)
            if name.startswith(beginnings) and not name.endswith((".lock", ".tmp")):
                out.append(path)
            elif name.startswith("backup") and folder != paths.home and os.path.isdir(path):
                _walk(path, out, 3)
    _walk(os.path.join(paths.home, ".ufomiao"), out, 3)
    return [p for p in out if _small(p)]


def _walk(folder: str, out: list[str], depth: int) -> None:
    for name in _list(folder):
        path = os.path.join(folder, name)
        if os.path.islink(path) or len(out) > _MOST:
            continue
        if os.path.isdir(path):
            if depth:
                _walk(path, out, depth - 1)
        elif name.endswith((".json", ".toml", ".env", ".bak", ".yaml")) or "backup" in name or name == ".env":
            out.append(path)


def _list(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _small(path: str) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size <= _SIZE


def _temporary(paths: Paths) -> list[str]:
    out = []
    now = time.time()
    folders = (paths.claude_dir, paths.codex_home, paths.home, paths.config_dir, os.path.join(paths.config_dir, "keys"))
    for folder in dict.fromkeys(folders):
        for name in _list(folder):
            path = os.path.join(folder, name)
            if name.startswith(".") and ".ccsetup-" in name and now - _time(path) > OLD and _small(path):
                out.append(path)
    return out


def _locks(paths: Paths) -> list[str]:
    path = paths.claude_json + ".lock"
    stale = os.path.isdir(path) and not _list(path) and time.time() - _time(path) > LOCK_OLD
    return [path] if stale else []


def _time(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return time.time()


# Git.


def _tracked() -> Callable[[Sequence[str]], Mapping[str, str]]:
    known: dict[str, str] = {}

    def ask(files: Sequence[str]) -> Mapping[str, str]:
        for path in files:
            if path not in known:
                known[path] = _git_state(path)
        return {p: known[p] for p in files if known[p]}

    return ask


def _git_state(path: str) -> str:
    real = os.path.realpath(path)
    top = git.work_tree(os.path.dirname(real))
    if not top:
        return ""
    if git.tracks(top, real):
        return "tracked"
    return "open" if git.ignores(top, real) == 1 else ""
