"""What a client offers that keeps profiles beside its active settings."""

from __future__ import annotations

import os
from typing import Any, Callable, Collection, Container, Iterable, Mapping, Protocol, Sequence

from ccsetup.clients.house import Finding, House
from ccsetup.clients.values import Files, Use
from ccsetup.documents.edit import Edit, KeyPath
from ccsetup.paths import Paths
from ccsetup.profiles import Profile


class Beside(Protocol):
    """Saved profiles that a client finds by name beside its active settings (``codex --profile``).

    Each has a provider id of its own there: the client merges tables of one id.
    """

    def id(self, profile: Profile) -> str:
        """Return the provider id of *profile*, as it is saved."""
        ...

    def kept_id(self, files: Files, profile: Profile, *, active: bool) -> str:
        """Return the id that is to be written down for *profile* when it gets another name; "": none."""
        ...

    def free_id(self, profile: str, taken: Container[str]) -> str:
        """Return an id for the profile called *profile* that is not among *taken*."""
        ...

    def is_selected(self, files: Files, profile: Profile, *, active: bool) -> bool:
        """Tell whether the active settings select *profile*, of which the record says whether it is *active*."""
        ...

    def is_saved(self, files: Files, profile: Profile) -> bool:
        """Tell whether this version finds *profile*, in the form that it reads."""
        ...

    def has_trace(self, files: Files, profile: Profile) -> bool:
        """Tell whether *profile* was saved here, in the form of whichever version."""
        ...

    def is_mixed(self, files: Files, use: Use, *, profile: bool) -> bool:
        """Tell whether the client reads another's address or credential; with *profile*, asked by name."""
        ...

    def is_split(self, files: Files) -> bool:
        """Tell whether two versions are installed that share no form."""
        ...

    def foreign(self, files: Files, name: str) -> Sequence[str]:
        """Return what is wrong with a profile *name* that is not ours."""
        ...

    def mixed_by_hand(self, house: House, known: Collection[str]) -> Iterable[Finding]:
        """Return what ``doctor`` finds in profiles that are not among *known*, which are ours."""
        ...

    def files(self, paths: Paths) -> Mapping[str, os.stat_result]:
        """Return the profile files that are there, by the names of the profiles."""
        ...

    def is_alone(self, files: Files, profile: Profile) -> bool:
        """Tell whether nothing but its own file says what the client reads when asked for *profile*."""
        ...

    def carried(self, files: Files, profile: Profile, read: Callable[[str, str], Any]) -> tuple[str, tuple[Edit, ...]]:
        """Return the edits that keep what the user added to the active settings of *profile*, and of which file.

        *read* parses a document, by path and format.
        """
        ...

    def handed_on(self, files: Files, old: Profile, new: Profile, *, active: bool) -> tuple[str, tuple[Edit, ...]]:
        """Return the edits that give *new* what the user added to the settings of *old*, and of which file.

        *active*: also to the settings that the client uses, which are those of *old*.
        """
        ...

    def check(self, files: Files, use: Use, owns: Callable[[str, KeyPath], bool]) -> None:
        """Raise UsageError where what somebody else wrote would be lost; *owns* tells what is ours."""
        ...

    def read_back(self, files: Files, use: Use, *, active: bool) -> None:
        """Raise CcsetupError when what is to be written is not what this version would read."""
        ...
