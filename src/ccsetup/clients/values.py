"""What goes between the program and a client: a profile to use, documents to look at, wishes, corrections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional

from ccsetup.documents.edit import Edit
from ccsetup.errors import CcsetupError
from ccsetup.model import Endpoint, Preset, Secret, Version
from ccsetup.paths import Paths
from ccsetup.plan import Note, Wish
from ccsetup.profiles import Profile
from ccsetup.tuples import NamedTuple

if TYPE_CHECKING:
    from ccsetup.probe.target import Credential, TierModel


def version(text: str) -> Version:
    """Return ``1.2.3`` as a value to compare."""
    major, minor, patch = text.split(".")
    return int(major), int(minor), int(patch)


class Listed(NamedTuple):
    """A model that a client's own list of models is to show."""

    model: str
    owner: str
    """Who serves it, for people."""
    context: Optional[int] = None
    """Tokens of its window, where that is known."""
    images: bool = False
    efforts: tuple[str, ...] = ()
    default_effort: str = ""

    def said(self) -> str:
        return f"{self.owner}, {self.context:,} tokens" if self.context else self.owner


class Use(NamedTuple):
    """A profile as one client is to use it."""

    profile: Profile
    preset: Preset
    endpoint: Endpoint
    key: Optional[Secret]
    """None where no file of the client is to hold it (storages ``env``, ``command``, ``keyring``)."""
    reader: tuple[str, ...]
    """Program and arguments that print the key, for storages ``command`` and ``keyring``."""
    listed: tuple[Listed, ...] = ()
    """What our relay serves, for its own profile."""
    active: bool = False
    """The client's own settings are this profile's, as we recorded."""


class Current(NamedTuple):
    """What a client uses now, as its own documents say."""

    base_url: str
    """Empty: no provider is set, the client uses its own account."""
    model: str
    credential: str
    """Where the key comes from, for people: a variable or key name; empty: none."""
    problem: str = ""
    """What is to be said in the place of the address: why it does not start, or what it uses that no setting names."""
    notes: tuple[Note, ...] = ()


class KnownValues(NamedTuple):
    """What is known to be of a provider, and not of the client's own account."""

    key: Callable[[str], bool]
    model: Callable[[str], bool]


class Files(NamedTuple):
    """Documents that a client module looks at: parsed data by path; a path that is not there does not exist."""

    paths: Paths
    data: Mapping[str, Any]
    text: Mapping[str, str]
    version: Version
    """The client's version (installed, or said by the user); the newest known one when there is none."""
    others: tuple[Version, ...] = ()
    """Older versions that are installed beside it, and read the same documents."""
    names: Mapping[str, str] = {}
    """Where a document is another one than the path says: that of a project in the place of the user's."""

    @property
    def oldest(self) -> Version:
        """The version that has to understand what all of them can be told."""
        return min((self.version, *self.others))

    def get(self, path: str) -> Any:
        return self.data.get(path, {})


class Effective(NamedTuple):
    """What counts in the current folder, of all places that a client reads."""

    files: Files
    """With that in the place of the user's settings."""
    source: str = ""
    """Where the address stands, for people; empty: in the user's settings."""
    project: bool = False
    """``--project`` wrote into that file."""
    problem: str = ""
    """What is used in the place of these settings, or why none of them counts."""


class Wishes(NamedTuple):
    documents: tuple[Wish, ...]
    files: Mapping[str, Optional[str]]
    """Whole files of ours: text, or None for a file that is to go."""


class Correction(NamedTuple):
    """One thing in a client's settings that ``--repair`` corrects: what it does, and how."""

    path: str
    format: str
    text: str
    """What was done, for people."""
    edits: tuple[Edit, ...] = ()
    whole: str = ""
    """The whole file, corrected, where there are no *edits*."""
    refusal: Optional[CcsetupError] = None
    """What a command says that cannot go on without the repair."""


class Sending(NamedTuple):
    """What a client would send, for a test of a saved profile."""

    credentials: tuple[Credential, ...]
    models: tuple[TierModel, ...]
    environ: Mapping[str, str] = {}
    """Variables that the profile sets for the client."""
    extra: Mapping[str, Any] = {}
    note: str = ""


class Start(NamedTuple):
    """How a client is started with a profile: no argument holds a key."""

    arguments: tuple[str, ...]
    """To be put directly behind the program."""
    set: Mapping[str, str]
    unset: tuple[str, ...]


class Starting(NamedTuple):
    """What a client has to know to be started with a profile."""

    files: Files
    profile: Profile
    use: Callable[[Profile], Use]
    """Return a profile as the client is to use it; errors say what is missing."""
    key: Callable[[Profile], Optional[Secret]]
    exists: Callable[[str], bool]


def dotted(version: Version) -> str:
    return ".".join(map(str, version))
