"""How records (state.json, the journal) name files, and which of the named files this run may write.

A record says ``home:.codex/config.toml`` or ``state:state.json``, so that it goes with a home that is moved or copied.
A file outside (CLAUDE_CONFIG_DIR, CODEX_HOME, XDG_CONFIG_HOME, a project) keeps its absolute path; so does every file
in records of earlier versions.  Beside the names a record keeps its *origin*, which tells a moved home from a copy.
"""

from __future__ import annotations

import os
from typing import Any, Iterable, Literal, Optional

from ccsetup.tuples import NamedTuple

_HOME, _STATE = "home:", "state:"

Relation = Literal["same", "moved", "copy", "other"]
"""Of the home that a record was made in to this one: the same, by this or another path; moved here; copied from there,
where it still is; another home, with which this one shares a state folder."""

MARK = "ccsetupHome"
"""Member of the settings of a project outside the home: the id of the home that set it.  Claude Code leaves members
that it does not know alone (observed with 2.1.329)."""

_USUAL = (".config/ccsetup", ".claude", ".codex")
"""Below the home: the folders of ours and of the clients where no variable says otherwise."""
_TELLING = ("/", "/settings.json", "/")
"""What follows these in a path that is a file of theirs, and not one of a project's."""


class RecordOrigin(NamedTuple):
    """Where a record was made: two absolute paths, which nothing is written to because of this."""

    home: str
    state_dir: str


class Homes(NamedTuple):
    """The folders of this run."""

    home: str
    state_dir: str
    folders: tuple[str, ...] = ()
    """Others of ours or of the clients, in the home or not."""
    cwd: str = ""

    @property
    def origin(self) -> RecordOrigin:
        return RecordOrigin(self.home, self.state_dir)

    def name(self, path: str) -> str:
        """Return what a record calls the file *path*."""
        path = os.path.normpath(path)
        for folder, root in ((self.state_dir, _STATE), (self.home, _HOME)):
            if _within(path, folder):
                return root + _below(path, folder).replace(os.sep, "/")
        # Another way to the same home: it may be a link, and a variable may name what that leads to.
        real, home = _real(path), os.path.realpath(self.home)
        return _HOME + _below(real, home).replace(os.sep, "/") if _within(real, home) else path

    def path(self, name: str, origin: Optional[RecordOrigin]) -> str:
        """Return the file that a record made at *origin* calls *name*, in this run; it may be one not to write."""
        for root, folder in ((_STATE, self.state_dir), (_HOME, self.home)):
            if name.startswith(root):
                return os.path.normpath(os.path.join(folder, *name[len(root) :].split("/")))
        if origin is None or not os.path.isabs(name):
            return name
        if _within(name, origin.state_dir):
            return os.path.join(self.state_dir, _below(name, origin.state_dir))
        if _within(name, origin.home):
            return os.path.join(self.home, _below(name, origin.home))
        old, new = _bases(origin.home, self.home)
        if old != new and _within(name, old):
            along = os.path.join(new, _below(name, old))
            folder = project_of(along) or os.path.dirname(along)
            if os.path.isdir(folder) or any(_within(along, f) for f in self.folders):
                return along
        return name

    def relation(self, origin: Optional[RecordOrigin]) -> Relation:
        """Tell how this home relates to the one that a record was made in; None: nothing in it says which."""
        if origin is None or _same(origin.home, self.home):
            return "same"
        if not (_there(origin.home) and _there(origin.state_dir)):
            return "moved"
        return "other" if _same(origin.state_dir, self.state_dir) else "copy"

    def writable(self, path: str) -> bool:
        """Tell whether *path* is in the home, in another folder of this run, or of the project that we are in."""
        if any(_within(os.path.normpath(path), f) for f in (self.home, self.state_dir, *self.folders)):
            return True
        project = project_of(path)
        return bool(project and self.cwd) and _within(os.path.realpath(self.cwd), os.path.realpath(project))

    def former(self, paths: Iterable[str]) -> Optional[RecordOrigin]:
        """Return where a record of an earlier version was made, which holds the absolute *paths*; None: unknown."""
        known = [p for p in paths if os.path.isabs(p)]
        now = [_below(f, self.home) for f in self.folders if _within(f, self.home)]
        tails = [os.sep + f + t for names in (now, _USUAL) for f, t in zip(names, _TELLING, strict=False)]
        tails += [os.sep + _below(f, self.home) + os.sep for f in (self.state_dir,) if _within(f, self.home)]
        tails += ["/.claude.json", "/.local/state/ccsetup/state.json"]
        home = next((p[: p.index(t)] for t in tails for p in known if t in p), "")
        state = next((os.path.dirname(p) for p in known if p.endswith("/ccsetup/state.json")), "")
        if not home:
            return None
        if not state:
            old, new = _bases(home, self.home)
            folders = ((home, self.home), (old, new))
            state = next(
                (os.path.join(o, _below(self.state_dir, n)) for o, n in folders if _within(self.state_dir, n)),
                self.state_dir,
            )
        return RecordOrigin(home, state)


def copied(folder: str, here: str) -> bool:
    """Tell whether what names *folder*, where it was made, and stands in *here* is a copy: it was not moved along."""
    return _there(folder) and not _same(folder, here)


def is_name(text: str) -> bool:
    """Tell whether *text* is of a form that names a file in a record."""
    return text.startswith((_HOME, _STATE)) or os.path.isabs(text)


def origin_from_json(data: Any) -> Optional[RecordOrigin]:
    """Read what ``origin_to_json`` wrote; None for anything else."""
    if not isinstance(data, dict):
        return None
    home, state = data.get("path"), data.get("state")
    if isinstance(home, str) and isinstance(state, str) and os.path.isabs(home) and os.path.isabs(state):
        return RecordOrigin(home, state)
    return None


def origin_to_json(origin: RecordOrigin) -> dict[str, str]:
    return {"path": origin.home, "state": origin.state_dir}


def project_settings(folder: str) -> str:
    """Return the file of the project *folder* that we write, which Claude Code reads in it."""
    return os.path.join(folder, ".claude", "settings.local.json")


def project_of(path: str) -> str:
    """Return the project whose settings *path* is; "" for another file."""
    folder = os.path.dirname(os.path.dirname(path))
    return folder if os.path.isabs(path) and project_settings(folder) == os.path.normpath(path) else ""


def _bases(old: str, new: str) -> tuple[str, str]:
    """Return both homes without the last folders that have the same names: what lies there came along, perhaps."""
    while old != new and os.path.basename(old) and os.path.basename(old) == os.path.basename(new):
        old, new = os.path.dirname(old), os.path.dirname(new)
    return old, new


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _below(path: str, folder: str) -> str:
    return path[len(folder.rstrip(os.sep)) :].lstrip(os.sep)


def _real(path: str) -> str:
    """Follow the links of the folder; the file itself may be one that is meant to be."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _same(one: str, other: str) -> bool:
    if one == other:
        return True
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _there(path: str) -> bool:
    """Tell whether there is such a path; what we may not look at is."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
