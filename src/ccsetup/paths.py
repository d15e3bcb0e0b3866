"""Where everything lives.  The only reader of the environment."""

from __future__ import annotations

import os
from typing import Mapping

from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.naming import Homes
from ccsetup.platform import system
from ccsetup.tuples import NamedTuple


class Paths(NamedTuple):
    """Absolute paths, and the variables that were read with them."""

    home: str
    config_dir: str
    """Our own: profiles.toml, settings.toml, keys/, presets/."""
    state_dir: str
    """Our own: state.json, journal/, lock."""
    claude_dir: str
    """Claude Code's folder: settings.json."""
    claude_json: str
    """Claude Code's ``.claude.json``."""
    codex_home: str
    cwd: str
    environ: Mapping[str, str]

    @property
    def homes(self) -> Homes:
        """The folders that records are read for in this run."""
        return Homes(self.home, self.state_dir, (self.config_dir, self.claude_dir, self.codex_home), self.cwd)

    @property
    def profiles(self) -> str:
        return os.path.join(self.config_dir, "profiles.toml")

    @property
    def settings(self) -> str:
        """What the user had us remember: the language."""
        return os.path.join(self.config_dir, "settings.toml")

    @property
    def state(self) -> str:
        return os.path.join(self.state_dir, "state.json")

    def saved_record(self, profile: str) -> str:
        """Return the record of what we set for *profile* in files of its own."""
        return os.path.join(self.state_dir, "saved", profile + ".json")

    @property
    def checked(self) -> str:
        """Which saved profiles were found to be right; may be lost."""
        return os.path.join(self.state_dir, "checked.json")

    def is_record(self, path: str) -> bool:
        """Tell whether *path* is a record of what we set or made, which is for no reader."""
        return path in (self.state, self.relay_models) or os.path.dirname(path) == os.path.join(self.state_dir, "saved")

    @property
    def user_presets(self) -> str:
        return os.path.join(self.config_dir, "presets")

    @property
    def relay_config(self) -> str:
        """What people edit to tell the relay its upstreams."""
        return os.path.join(self.config_dir, "relay.yaml")

    @property
    def relay_keys(self) -> str:
        """Names, digests and limits of the keys of the relay's clients."""
        return os.path.join(self.config_dir, "relay-keys.json")

    @property
    def relay_dir(self) -> str:
        """The relay's state."""
        return os.path.join(self.state_dir, "relay")

    @property
    def relay_models(self) -> str:
        """The models that the relay serves, as the clients' lists show them; made of its configuration."""
        return os.path.join(self.relay_dir, "models.json")

    @property
    def relay_switchboard(self) -> str:
        """Where the model ids that the relay's clients ask for lead; missing while nobody has said it."""
        return os.path.join(self.relay_dir, "switchboard.json")

    @property
    def relay_run(self) -> str:
        """Which relay runs and how it is reached; it is there while one runs, and after one was killed."""
        return os.path.join(self.relay_dir, "run.json")

    def key_file(self, profile: str) -> str:
        return os.path.join(self.config_dir, "keys", profile)

    def key_file_apart(self, profile: str) -> str:
        """Return the key's file where that of another profile, whose name differs in case, would be the same one."""
        capitals = sum(1 << i for i, c in enumerate(profile) if c.isupper())
        return os.path.join(self.config_dir, "keys", f"{profile.lower()}.{capitals:x}")

    @property
    def claude_settings(self) -> str:
        return os.path.join(self.claude_dir, "settings.json")

    @property
    def codex_config(self) -> str:
        return os.path.join(self.codex_home, "config.toml")

    def codex_profile(self, profile: str) -> str:
        return os.path.join(self.codex_home, profile + ".config.toml")

    @property
    def codex_dotenv(self) -> str:
        return os.path.join(self.codex_home, ".env")

    def short(self, path: str) -> str:
        """Return *path* as a person would write it: ``~/…`` below the home folder."""
        if path.startswith(self.home + os.sep):
            return "~" + path[len(self.home) :]
        return path


def from_environ(environ: Mapping[str, str]) -> Paths:
    """Return the paths for *environ*; UsageError when there is no usable home folder.

    CLAUDE_CONFIG_DIR moves both settings.json and .claude.json; CODEX_HOME moves Codex's folder; an empty
    value counts as unset (observed with Claude Code 2.1.329 and Codex 0.169.0).
    """
    home = system.home(environ)
    if not home or not os.path.isabs(home):
        raise UsageError(
            _("HOME is not an absolute path, so the settings of the clients cannot be found."),
            hint=_("Set HOME to your home folder and run the command again."),
        )
    home = os.path.normpath(home)
    claude = environ.get("CLAUDE_CONFIG_DIR") or ""
    try:
        cwd = os.getcwd()
    except OSError:
        cwd = home
    return Paths(
        home=home,
        config_dir=system.config_folder(environ, home),
        state_dir=system.state_folder(environ, home),
        claude_dir=os.path.join(cwd, claude) if claude else os.path.join(home, ".claude"),
        claude_json=os.path.join(cwd, claude or home, ".claude.json"),
        codex_home=os.path.join(cwd, environ.get("CODEX_HOME") or os.path.join(home, ".codex")),
        cwd=cwd,
        environ=environ,
    )
