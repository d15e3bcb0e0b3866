"""What the checks look at, and what they find: plain values, and documents that are parsed once."""

from __future__ import annotations

import os
from typing import Any, Callable, Iterable, Literal, Mapping, Optional, Sequence, Union

from ccsetup import profiles
from ccsetup.documents import format_named
from ccsetup.documents.edit import Edit, KeyPath
from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.model import ClientName, Preset, Secret, Version
from ccsetup.paths import Paths
from ccsetup.profiles import Profile
from ccsetup.tuples import NamedTuple

Level = Literal["stops", "problem", "warning"]


class Edits(NamedTuple):
    """Change keys of a document, which is made when it does not exist."""

    path: str
    form: str
    edits: tuple[Edit, ...]
    claude_lock: bool = False


class Whole(NamedTuple):
    """Make *text* the whole file; None: the file goes."""

    path: str
    text: Optional[str]

    def __repr__(self) -> str:  # the text may hold keys
        return f"Whole({self.path!r})"


class Protect(NamedTuple):
    """Take the file's permissions away from everybody but its owner."""

    path: str


class RemoveFolder(NamedTuple):
    """Remove an empty folder: a lock that nobody holds any more."""

    path: str


class Recover(NamedTuple):
    """Take a transaction back that was killed halfway; every transaction does that first."""


class BringAlong(NamedTuple):
    """Write the saved profiles again as the installed Codex reads them, each with a provider id of its own."""


Repair = Union[Edits, Whole, Protect, RemoveFolder, Recover, BringAlong]


class Finding(NamedTuple):
    """One thing that is wrong."""

    level: Level
    """``stops``: a client does not start.  ``problem``: it does not work, or a key goes where it should not.
    ``warning``: it costs something."""
    text: str
    """One sentence, without the place."""
    fix: str
    """What to do by hand, or, where there are repairs, what the repair does."""
    path: str = ""
    line: int = 0
    repairs: tuple[Repair, ...] = ()


class Daemon(NamedTuple):
    """Codex's background process."""

    running: bool
    version: str
    stale: str
    """What it does not know yet ("" when it is up to date): its program or its keys are older than those on disk."""


class RelayState(NamedTuple):
    """The relay of this machine; asked only where there is one."""

    away: Callable[[str], tuple[str, str]]
    """Given an address: why a client that asks there does not reach it, and what to do; ("", "") when it does."""
    problem: Callable[[], tuple[str, int]]
    """Why it cannot use its configuration, and the line (0: none); ("", 0) when it can."""


class Judgement(NamedTuple):
    """What Codex says of a configuration."""

    loads: bool
    words: str = ""
    """Why it does not: Codex' own words, cleaned."""
    line: int = 0
    """The line of config.toml that they are about; 0: they name none."""


class Facts(NamedTuple):
    """What lies outside the files that a repair changes; gathered once."""

    paths: Paths
    installed: Mapping[ClientName, Optional[Version]]
    newest: Mapping[ClientName, Version]
    """The newest version of each client that is known; its keys are the clients."""
    load_presets: Callable[[], Sequence[Preset]]
    tracked: Callable[[Sequence[str]], Mapping[str, str]]
    """What git says of files: "tracked", "open" (in a work tree, not ignored); others are left out."""
    stat_mode: Callable[[str], int]
    """Permission bits of the file that *path* leads to; -1: no such file, or not ours to judge."""
    others: Sequence[str]
    """Copies that other programs left: absolute paths of readable small files."""
    temporary: Sequence[str]
    """Our own temporary files of an hour ago or older."""
    stale_locks: Sequence[str]
    """Empty lock folders that nobody renewed for a while."""
    unfinished: Sequence[str]
    """Commands that were killed halfway."""
    damaged: Sequence[str]
    """Paths of records of changes that cannot be read."""
    daemons: Mapping[ClientName, Daemon]
    """The background processes that run."""
    etc: str
    keyring: Callable[[str], Optional[Secret]]
    relay: RelayState
    judges: Mapping[ClientName, Callable[[str], Optional[Judgement]]] = {}
    """What the installed clients that can be asked say of a text of their settings."""


class House:
    """One state of all files.  *text* returns a file's text, or None; it raises CcsetupError for what is no text."""

    def __init__(
        self,
        facts: Facts,
        text: Callable[[str], Optional[str]],
        *,
        protected: frozenset[str] = frozenset(),
        gone: frozenset[str] = frozenset(),
        recovered: bool = False,
    ) -> None:
        self.facts = facts
        self.paths = facts.paths
        self.environ = facts.paths.environ
        self.protected = protected
        """Files whose permissions a repair will correct."""
        self.gone = gone
        """Folders that a repair will remove."""
        self.recovered = recovered
        self._text = text
        self._texts: dict[str, Optional[str]] = {}
        self._documents: dict[str, Union[dict[str, Any], DocumentError]] = {}
        self.unreadable: dict[str, CcsetupError] = {}
        self.kept: dict[str, Any] = {}
        """What a client's checks work out once."""
        self._profiles: Optional[dict[str, Profile]] = None

    # Files.

    def exists(self, path: str) -> bool:
        self.text(path)
        return self._texts[path] is not None

    def seen(self, path: str) -> bool:
        """Tell whether there is something at *path*, also what cannot be read."""
        return self.exists(path) or path in self.unreadable

    def text(self, path: str) -> str:
        """Return the text of *path*, "" where there is none, or none that can be read."""
        if path not in self._texts:
            try:
                self._texts[path] = self._text(path)
            except CcsetupError as e:
                self._texts[path] = None
                self.unreadable[path] = e
        return self._texts[path] or ""

    def data(self, path: str, form: str) -> dict[str, Any]:
        """Return the parsed document; {} where there is none, or a broken one (see ``broken``)."""
        found = self._parsed(path, form)
        return {} if isinstance(found, DocumentError) else found

    def broken(self, path: str, form: str) -> Optional[DocumentError]:
        """Return why the document cannot be parsed; comments and trailing commas in JSON are no reason here."""
        found = self._parsed(path, form)
        return found if isinstance(found, DocumentError) else None

    def _parsed(self, path: str, form: str) -> Union[dict[str, Any], DocumentError]:
        if path not in self._documents:
            text = self.text(path)
            try:
                data = format_named(form).parse(text) if text.strip("\ufeff \t\r\n") else {}
                if not isinstance(data, dict):
                    raise DocumentError("", line=1)
                self._documents[path] = data
            except DocumentError as e:
                self._documents[path] = e
        return self._documents[path]

    def line(self, path: str, form: str, key: KeyPath) -> int:
        """Return the line of *key*, or of the nearest of its parents; 0 when the document has none of them."""
        locate = format_named(form).locate
        text = self.text(path)
        while key:
            try:
                found = locate(text, key)
            except DocumentError:
                return 0
            if found:
                return found
            key = key[:-1]
        return 0

    def mode(self, path: str) -> int:
        """Return the permission bits of *path* as they are, or as a repair will leave them; -1: no such file."""
        found = self.facts.stat_mode(path)
        return found & 0o700 if path in self.protected and found >= 0 else found

    def names(self, folder: str, ending: str) -> list[str]:
        """Return the paths of the files in *folder* that end with *ending*."""
        try:
            found = sorted(n for n in os.listdir(folder) if n.endswith(ending))
        except OSError:
            return []
        return [os.path.join(folder, n) for n in found]

    # Clients, presets, profiles.

    def version(self, client: ClientName) -> Version:
        """Return the installed version, or the newest that is known."""
        return self.facts.installed.get(client) or self.facts.newest[client]

    @property
    def presets(self) -> Sequence[Preset]:
        return self.facts.load_presets()

    @property
    def profiles(self) -> dict[str, Profile]:
        """The saved profiles; {} when their file cannot be read."""
        if self._profiles is None:
            try:
                self._profiles = profiles.parse(
                    self.text(self.paths.profiles), self.paths.short(self.paths.profiles), self.facts.newest.keys()
                )
            except CcsetupError:
                self._profiles = {}
        return self._profiles

    def bytes(self, path: str) -> Optional[bytes]:
        return self.text(path).encode("utf-8", "surrogatepass") if self.exists(path) else None

    def saved_key(self, profile: Profile) -> str:
        """Return the key of *profile* where it lies in a file of ours, or ""."""
        if profile.problem or profile.key_storage in ("env", "keyring") or profile.key_command:
            return ""
        return self.text(self.key_file(profile.name)).strip()

    def key_file(self, name: str) -> str:
        """Return the file that holds the key of the profile called *name*."""
        return profiles.key_file(self.paths, name, self.profiles, self.exists)

    # The files of the clients.

    @property
    def codex(self) -> dict[str, Any]:
        """Codex's config.toml."""
        return self.data(self.paths.codex_config, "toml")

    @property
    def providers(self) -> dict[str, dict[str, Any]]:
        """The provider tables of config.toml."""
        found = self.codex.get("model_providers")
        return {n: t for n, t in found.items() if isinstance(t, dict)} if isinstance(found, dict) else {}

    @property
    def auth_path(self) -> str:
        return os.path.join(self.paths.codex_home, "auth.json")

    @property
    def auth(self) -> dict[str, Any]:
        """Codex's auth.json, as Codex reads it: strict JSON, without a byte order mark (observed with 0.171.0)."""
        import json

        try:
            found = json.loads(self.text(self.auth_path))
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def as_text(value: Any) -> str:
    return value if isinstance(value, str) else ""


class Check(NamedTuple):
    """One line of ``doctor``."""

    id: str
    """Stable: programs read it, and the documentation has a section of this name."""
    client: Optional[ClientName]
    title: str
    run: Callable[[House], Iterable[Finding]]
    needs: Callable[[House], bool] = lambda _house: True
    """Tells whether there is anything to check."""


def SAVED(_house: House) -> Iterable[Finding]:
    """Stand for the check of saved profiles, which knows more than the client: ``doctor`` puts it in its place."""
    raise NotImplementedError


class McpServers(NamedTuple):
    """Where a client keeps its MCP servers."""

    path: str
    form: str
    key: str
    remove: str
    """The command that removes ``{name}``."""


class Address(NamedTuple):
    """The address that a client uses, with what decides about proxies."""

    url: str
    environ: Mapping[str, str]
    at: tuple[str, int]
    """Where the address stands."""
    fix: str
    """With ``{name}`` of the variable."""
    repair: Callable[[str, str], Repair]
    """Makes a repair of the variable's name and new value."""
