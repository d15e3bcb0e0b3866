"""What every client offers; ``CLIENTS`` in the package lists them.

A client turns a profile into wishes for the client's documents, and reads from these documents what it uses now: that
is what every client has to say.  Its other abilities have an answer here that says it has not got them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Collection,
    Container,
    Iterable,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Union,
)

from ccsetup.documents.edit import Edit, KeyPath
from ccsetup.errors import CcsetupError, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import ClientName, Endpoint, KeyStorage, Preset, Region, Secret, Unsupported, Version, WireFormat
from ccsetup.paths import Paths
from ccsetup.plan import FileChange, Note, Owned, Wish
from ccsetup.profiles import Profile

if TYPE_CHECKING:
    import os

    from ccsetup.clients.found import FoundProvider, ToolFiles
    from ccsetup.clients.house import Address, Check, Daemon, Finding, House, Judgement, McpServers
    from ccsetup.probe.network import Network
    from ccsetup.probe.target import Credential, Target, TierModel


def version(text: str) -> Version:
    """Return ``1.2.3`` as a value to compare."""
    major, minor, patch = text.split(".")
    return int(major), int(minor), int(patch)


class Use(NamedTuple):
    """A profile as one client is to use it."""

    profile: Profile
    preset: Preset
    endpoint: Endpoint
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


if TYPE_CHECKING:  # making a protocol takes as long as importing three modules

    class Beside(Protocol):
        """Saved profiles that a client finds by name beside its active settings (``codex --profile``).

        Each has a provider id of its own there: the client merges tables of one id.
        """

        def id(self, profile: Profile) -> str:
            """Return the provider id of *profile*, as it is saved."""
            ...

        def free_id(self, profile: str, taken: Container[str]) -> str:
            """Return an id for the profile called *profile* that is not among *taken*."""
            ...

        def selected(self, files: Files) -> str:
            """Return the id that the active settings select, or ""."""
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

        def carried(
            self, files: Files, profile: Profile, read: Callable[[str, str], Any]
        ) -> tuple[str, tuple[Edit, ...]]:
            """Return the edits that keep what the user added to the active settings of *profile*, and of which file.

            *read* parses a document, by path and format.
            """
            ...

        def handed_on(self, files: Files, old: Profile, new: Profile) -> tuple[str, tuple[Edit, ...]]:
            """Return the edits that give *new* what the user added to the settings of *old*, and of which file."""
            ...

        def check(self, files: Files, use: Use, owns: Callable[[str, KeyPath], bool]) -> None:
            """Raise UsageError where what somebody else wrote would be lost; *owns* tells what is ours."""
            ...

        def read_back(self, files: Files, use: Use, *, active: bool) -> None:
            """Raise CcsetupError when what is to be written is not what this version would read."""
            ...


class Client(ABC):
    id: ClientName
    title: str
    program: str
    """What starts it."""
    aliases: tuple[str, ...]
    """Short words for ``-T``."""
    option: str
    """Its own address is given with ``--<option>-url``, or as ``<option>Url`` in an entry."""
    wire: WireFormat
    """What it speaks; an address is cleaned of what clients of this format append themselves."""
    install: str
    """The command that installs it."""
    newest: Version
    """The newest version that this was tried with; assumed when the client is not installed."""
    user_agent: str = ""
    """What it calls itself to a provider."""
    fields: tuple[str, ...] = ("url", "primary_model")
    """The text fields of its part of a profile."""
    reads_utf16: bool = False
    """It reads such settings; we change none of them."""
    extras: str = ""
    """The option, and the field of an entry, that gives further settings of its own ("set": ``--set NAME=VALUE``)."""
    storages: tuple[KeyStorage, ...] = ("inline", "command", "keyring", "env")
    """Where it can take its key from."""

    formats: Mapping[str, str] = {}
    """Formats of its documents that are not in ``documents.formats.FORMATS``: modules by name."""
    beside: Optional[Beside] = None
    """None: it keeps no profiles beside its active settings."""
    restart: tuple[str, ...] = ()
    """What restarts its process in the background, which keeps the keys that it started with."""
    projects: bool = False
    """It reads ``.claude/settings.local.json`` of the folder that it starts in."""

    def missing(self, paths: Paths, changes: Sequence[FileChange]) -> Sequence[str]:
        """Return files of ours that its settings name after *changes*, and that are not there then."""
        return ()

    def __repr__(self) -> str:
        return f"<client {self.id}>"

    def tidied(self, paths: Paths, changes: Sequence[FileChange]) -> tuple[FileChange, ...]:
        """Return *changes* with those of files that several profiles share: each goes with the last that names it."""
        return tuple(changes)

    # Places and values.

    usual: str
    """What records call its folder where no variable moves it (``home:.codex``)."""

    @abstractmethod
    def folder(self, paths: Paths) -> str:
        """Return its folder."""

    @abstractmethod
    def settings(self, paths: Paths) -> str:
        """Return its main settings file."""

    @abstractmethod
    def unreadable(self) -> str:
        """Return what it does with a settings file that cannot be parsed, as a sentence; nothing was changed."""

    @abstractmethod
    def endpoint(self, profile: Profile, preset: Preset) -> Endpoint:
        """Return what it is to use: the preset's endpoint with the profile's own choices on top.

        Raises UsageError for a region that the preset has not, CcsetupError where the provider has nothing for it,
        Incomplete where the user has to say more.
        """

    def offered(self, region: Region) -> Union[Endpoint, Unsupported]:
        """Return what *region* has for it as it is."""
        return Unsupported("")

    def hidden(self, files: Files) -> Iterable[str]:
        """Return the values in its documents that are secrets, besides the keys that we know."""
        return ()

    def providers(self, store: ToolFiles) -> Iterable[FoundProvider]:
        """Return the providers that it uses now, for an import."""
        return ()

    def setting_problem(self, name: str, value: Any) -> str:
        """Return why the setting *name* cannot be *value* by a profile, or ""; the text repeats no value."""
        return _("'{name}' is no setting that a profile can have.").format(name=printable(name))

    def speaks(self, endpoint: Union[Endpoint, Unsupported]) -> bool:
        """Tell whether it can use *endpoint* without the relay."""
        return not isinstance(endpoint, Unsupported)

    def installed(self, paths: Paths, *, ask: bool = True) -> tuple[Version, ...]:
        """Return the versions that are installed, the first on PATH first; with *ask* the program itself may be run."""
        return ()

    # Its documents.

    @abstractmethod
    def documents(self, paths: Paths) -> tuple[tuple[str, str], ...]:
        """Return (path, format) of every document that a switch may touch or has to look at."""

    def login(self, paths: Paths) -> tuple[tuple[str, str], ...]:
        """Return (path, format) of the file that holds its login, where a provider's key may stand in it too."""
        return ()

    @abstractmethod
    def use(self, files: Files, use: Use) -> Wishes:
        """Return what makes the client use a profile from now on."""

    @abstractmethod
    def official(self, files: Files, owned: Mapping[str, tuple[Owned, ...]]) -> Wishes:
        """Return what takes every provider away, so that the client's own account is used again."""

    def is_own(self, url: str) -> bool:
        """Tell whether *url* is the vendor's own address, where a key of its own account may go."""
        return False

    def administrator(self) -> Mapping[str, Any]:
        """Return what the administrator's files say together, read from disk."""
        return {}

    def left_over(self, files: Files, known: KnownValues, administrator: Mapping[str, Any]) -> Sequence[Correction]:
        """Return what its own account cannot be used with, and is taken out: of us, or of another program."""
        return ()

    def hindrances(self, files: Files, administrator: Mapping[str, Any]) -> Sequence[Note]:
        """Return what keeps it from its own account, and is not ours to take out."""
        return ()

    def saved(self, files: Files, use: Use) -> Wishes:
        """Return what a saved profile needs beside the active settings (``codex --profile``)."""
        return Wishes((), {})

    def saved_paths(self, paths: Paths, profile: str, version: Version) -> tuple[tuple[str, str], ...]:
        """Return (path, format; "" for a whole file) of the files that ``saved`` may touch."""
        return ()

    @abstractmethod
    def current(self, files: Files) -> Current:
        """Return what the client uses now."""

    def effective(self, files: Files) -> Effective:
        """Return what counts in the current folder, where more than *files* decides that."""
        return Effective(files)

    @abstractmethod
    def matches(self, files: Files, use: Use) -> bool:
        """Tell whether the client's documents say what the profile says: address, credential, model."""

    def notes(self, files: Files, use: Optional[Use]) -> tuple[Note, ...]:
        """Return what will win over, ride along with, or break these settings."""
        return ()

    def rides_along(self, files: Files) -> Sequence[Note]:
        """Return what the client sends beside a project's key, by its own settings."""
        return ()

    def repairs(self, files: Files) -> Sequence[Correction]:
        """Return what ``--repair`` corrects in its settings, where one correction is plainly right."""
        return ()

    def checks(self) -> Sequence[Check]:
        """Return what ``doctor`` looks at, in the order in which it repairs."""
        return ()

    def servers(self, paths: Paths) -> Optional[McpServers]:
        """Return where it keeps its MCP servers."""
        return None

    def own_address(self, house: House) -> Optional[Address]:
        """Return the address that its settings select, for the check of proxies."""
        return None

    def background(self, paths: Paths, version: Optional[Version]) -> Optional[Daemon]:
        """Return its process in the background, where one runs; may ask the program."""
        return None

    def judge(self, paths: Paths, version: Version) -> Optional[Callable[[str], Optional[Judgement]]]:
        """Return what asks the installed program whether it loads a text of its settings."""
        return None

    # What it would really use, and how it is started.

    def target(
        self, paths: Paths, version: Callable[[], Version], presets: Callable[[], Iterable[Preset]]
    ) -> Optional[Target]:
        """Return what it would use in the current folder, or None when it would use its own account.

        *presets* is called only when an address has to be recognised.
        """
        return None

    def asked(self, use: Use, key: Optional[Secret], source: str) -> Sending:
        """Return what it would send by a saved profile; *source* says where the key is from, for people."""
        from ccsetup.probe.target import Credential

        return Sending((Credential("authorization", "Bearer", key, source),) if key is not None else (), ())

    @abstractmethod
    def network(self, version: Version) -> Network:
        """Return how it uses the network."""

    def signed(self, target: Target, version: Version) -> Target:
        """Return *target* with what the client tells of itself, and with how it uses the network."""
        return target._replace(client=self.id, user_agent=self.user_agent, network=self.network(version))

    def variables(self, files: Files, use: Use) -> Mapping[str, Any]:
        """Return what a terminal has to export for a profile: text, a Secret, or MISSING for one that has to go.

        *use* has its key, however the profile keeps it.
        """
        profile = use.profile
        return {profile.key_env: use.key} if profile.key_storage in ("env", "dotenv") else {}

    def hides(self, files: Files, names: Sequence[str]) -> tuple[str, Sequence[str]]:
        """Return the settings file that beats variables of the shell, and those of *names* that it sets."""
        return "", ()

    def takes_variables(self) -> bool:
        """Tell whether variables alone can point it at a provider."""
        return False

    def start(self, starting: Starting, given: Sequence[str]) -> tuple[Start, Sequence[Note]]:
        """Return how it is started with a profile; *given* are the user's own arguments.

        Raises UsageError where these are in the way.
        """
        raise UsageError(
            _("{client} cannot be started with a profile.").format(client=self.title),
            hint=_("Switch to the profile instead: ccsetup config-switch {name}").format(name=starting.profile.name),
        )


def dotted(version: Version) -> str:
    return ".".join(map(str, version))
