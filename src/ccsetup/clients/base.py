"""What every client module offers; ``CLIENTS`` in the package lists them.

A client module turns a profile into wishes for the client's documents, and reads from these documents what
the client uses now.  Pure: documents come in parsed, nothing is read or written here.
"""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional, Protocol, Union

from ccsetup.model import ClaudeEndpoint, ClientName, CodexEndpoint, Preset, Secret
from ccsetup.paths import Paths
from ccsetup.plan import Note, Owned, Wish
from ccsetup.profiles import Profile

Version = tuple[int, int, int]


def version(text: str) -> Version:
    """Return ``1.2.3`` as a value to compare."""
    major, minor, patch = text.split(".")
    return int(major), int(minor), int(patch)


class Use(NamedTuple):
    """A profile as one client is to use it."""

    profile: Profile
    preset: Preset
    endpoint: Union[ClaudeEndpoint, CodexEndpoint]
    key: Optional[Secret]
    """None where no file of the client is to hold it (storages ``env``, ``command``, ``keyring``)."""
    reader: tuple[str, ...]
    """Program and arguments that print the key, for storages ``command`` and ``keyring``."""


class Current(NamedTuple):
    """What a client uses now, as its own documents say."""

    base_url: str
    """Empty: no provider is set, the client uses its own account."""
    model: str
    credential: str
    """Where the key comes from, for people: a variable or key name; empty: none."""


class Files(NamedTuple):
    """Documents that a client module looks at: parsed data by path; a path that is not there does not exist."""

    paths: Paths
    data: Mapping[str, Any]
    text: Mapping[str, str]
    version: Version
    """The client's version (installed, or said by the user); the newest known one when there is none."""
    others: tuple[Version, ...] = ()
    """Older versions that are installed beside it, and read the same documents."""

    @property
    def oldest(self) -> Version:
        """The version that has to understand what all of them can be told."""
        return min((self.version, *self.others))

    def get(self, path: str) -> Any:
        return self.data.get(path, {})


class Wishes(NamedTuple):
    documents: tuple[Wish, ...]
    files: Mapping[str, Optional[str]]
    """Whole files of ours: text, or None for a file that is to go."""


class Client(Protocol):
    @property
    def NAME(self) -> ClientName: ...
    @property
    def TITLE(self) -> str: ...
    @property
    def NEWEST(self) -> Version:
        """The newest version that this module was tried with; assumed when the client is not installed."""
        ...

    def documents(self, paths: Paths) -> tuple[tuple[str, str], ...]:
        """Return (path, "json" | "toml") of every document that a switch may touch or has to look at."""
        ...

    def use(self, files: Files, use: Use) -> Wishes:
        """Return what makes the client use a profile from now on."""
        ...

    def official(self, files: Files, owned: Mapping[str, tuple[Owned, ...]]) -> Wishes:
        """Return what takes every provider away, so that the client's own account is used again."""
        ...

    def saved(self, files: Files, use: Use) -> Wishes:
        """Return what a saved profile needs beside the active settings (``codex --profile``)."""
        ...

    def saved_paths(self, paths: Paths, profile: str, version: Version) -> tuple[tuple[str, str], ...]:
        """Return (path, "json" | "toml" | "") of the files that ``saved`` may touch."""
        ...

    def current(self, files: Files) -> Current:
        """Return what the client uses now."""
        ...

    def matches(self, files: Files, use: Use) -> bool:
        """Tell whether the client's documents say what the profile says: address, credential, model."""
        ...

    def notes(self, files: Files, use: Optional[Use]) -> tuple[Note, ...]:
        """Return what will win over, ride along with, or break these settings."""
        ...
