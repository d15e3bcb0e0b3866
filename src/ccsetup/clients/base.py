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
    Iterable,
    Mapping,
    Optional,
    Sequence,
    Union,
)

from ccsetup.clients.values import (
    Correction,
    Current,
    Effective,
    Files,
    KnownValues,
    Sending,
    Start,
    Starting,
    Use,
    Wishes,
)
from ccsetup.errors import UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import ClientName, Endpoint, KeyStorage, Preset, Region, Secret, Unsupported, Version, WireFormat
from ccsetup.paths import Paths
from ccsetup.plan import FileChange, Note, Owned
from ccsetup.profiles import Profile

if TYPE_CHECKING:
    from ccsetup.clients.beside import Beside
    from ccsetup.clients.found import FoundProvider, ToolFiles
    from ccsetup.clients.house import Address, Check, Daemon, House, Judgement, McpServers
    from ccsetup.probe.network import Network
    from ccsetup.probe.target import Target


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
    """Formats of its documents that are not in ``documents.FORMATS``: modules by name."""
    beside: Optional[Beside] = None
    """None: it keeps no profiles beside its active settings."""
    restart: tuple[str, ...] = ()
    """What restarts its process in the background, which keeps the keys that it started with."""
    projects: bool = False
    """It reads ``.claude/settings.local.json`` of the folder that it starts in."""

    def missing(self, changes: Sequence[FileChange]) -> Sequence[str]:
        """Return files of ours that its settings name after *changes*, and that are not there then."""
        return ()

    def __repr__(self) -> str:
        return f"<client {self.id}>"

    def tidied(self, changes: Sequence[FileChange]) -> tuple[FileChange, ...]:
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
