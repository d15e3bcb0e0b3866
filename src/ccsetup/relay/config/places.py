"""Where the relay keeps what it needs: its configuration, the keys of its clients, and its own state."""

from __future__ import annotations

import os
from typing import NamedTuple

from ccsetup.paths import Paths
from ccsetup.relay.config.model import Listen


class Places(NamedTuple):
    config: str
    """``relay.yaml``, which people edit."""
    keys: str
    """Names, digests and limits of the client keys."""
    folder: str
    """State; only its owner can look into it."""

    @property
    def usage(self) -> str:
        """The SQLite file of the store."""
        return os.path.join(self.folder, "usage.db")

    @property
    def log(self) -> str:
        """What a relay in the background writes to standard error."""
        return os.path.join(self.folder, "relay.log")

    @property
    def run(self) -> str:
        """Which relay runs and how it is reached; it holds the token for telling it what to do."""
        return os.path.join(self.folder, "run.json")

    def make(self) -> None:
        """Make the state folder, for nobody else to read."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        if os.stat(self.folder).st_mode & 0o077:
            os.chmod(self.folder, 0o700)


def places(paths: Paths, config: str = "") -> Places:
    """Return the places for *paths*; *config* is another file than the usual ``relay.yaml``."""
    return Places(
        config=os.path.join(paths.cwd, os.path.expanduser(config)) if config else paths.relay_config,
        keys=paths.relay_keys,
        folder=paths.relay_dir,
    )


def url(host: str, port: int, *, tls: bool = False) -> str:
    """Return the address by which a client on this machine reaches a relay that listens on *host*."""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - not bound, replaced
    return f"{'https' if tls else 'http'}://{f'[{near}]' if ':' in near else near}:{port}"


def port_of(address: str) -> int:
    """Return the port of *address*, which ``url`` made."""
    return int(address.partition("://")[2].partition("/")[0].rpartition(":")[2])


def address(there: Listen) -> str:
    """Return the address at which the clients of this machine are to find a relay that listens *there*."""
    # A certificate is good for a name, not for an address of this machine.
    host = there.names[0] if there.tls_cert and there.names else there.host
    return url(host, there.port, tls=bool(there.tls_cert))
