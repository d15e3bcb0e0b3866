"""The keys that ``relay.yaml`` refers to, read when the relay starts and when it is told to reload."""

from __future__ import annotations

import sys
from typing import Mapping, NamedTuple, Optional

from ccsetup import keys
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.keys.reference import KeyRef
from ccsetup.model import Preset, Secret
from ccsetup.paths import Paths
from ccsetup.relay.config.model import Config


class UpstreamKeys(NamedTuple):
    """The keys of every upstream, in the order of ``Upstream.keys``."""

    by_upstream: Mapping[str, tuple[Optional[Secret], ...]]
    """None: this one could not be read; the relay goes on without it."""
    problems: tuple[str, ...]
    """One sentence each; no key is in them."""


def read(config: Config, paths: Paths) -> UpstreamKeys:
    """Return the keys of *config*'s upstreams.  Commands run; nothing raises but a bug."""
    problems: list[str] = []
    found: dict[str, tuple[Optional[Secret], ...]] = {}
    reader = _Reader(paths)
    for upstream in config.upstreams:
        own: list[Optional[Secret]] = []
        for ref in upstream.keys:
            try:
                own.append(reader.read(ref))
            except CcsetupError as error:
                own.append(None)
                if upstream.enabled:
                    problems.append(_("upstream '{name}': {problem}").format(name=upstream.name, problem=error.message))
        found[upstream.name] = tuple(own)
    return UpstreamKeys(found, tuple(problems))


def read_one(ref: KeyRef, paths: Paths) -> Secret:
    """Return the key that *ref* names; CcsetupError when it cannot be read."""
    return _Reader(paths).read(ref)


class _Reader:
    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._world: Optional[object] = None

    def read(self, ref: KeyRef) -> Secret:
        if ref.kind == "inline":
            return keys.clean(ref.value, "relay.yaml")
        if ref.kind == "env":
            return keys.from_variable(ref.value, "env", self._paths.environ)
        if ref.kind == "file":
            return keys.from_file(ref.value, "file")
        if ref.kind == "command":
            return keys.from_command(ref.value)
        if ref.kind == "keyring":
            from ccsetup.keys import keychain

            key = keychain.get(ref.value)
            if key is None:
                raise CcsetupError(_("The keyring holds no key of '{name}'.").format(name=ref.value))
            return key
        return self._of_profile(ref.value)

    def _of_profile(self, name: str) -> Secret:
        from ccsetup import disk, presets
        from ccsetup.change.draft import Draft
        from ccsetup.change.world import Keys as Reach
        from ccsetup.change.world import World
        from ccsetup.clients import CLIENTS
        from ccsetup.keys import keychain

        if self._world is None:
            user = self._paths.user_presets

            def preset(preset_id: str) -> Preset:
                return presets.load(preset_id, user)

            self._world = World(
                Draft(lambda p: disk.snapshot([p])[p], self._paths.short),
                self._paths,
                preset,
                lambda client: CLIENTS[client].newest,
                Reach((sys.executable, "-m", "ccsetup"), keychain.get, keys.from_command),
            )
        world = self._world
        assert isinstance(world, World)
        profile = world.find(name)
        key = world.key(profile)
        if key is not None:
            return key
        default = world.load_preset(profile.provider).default_key
        if default:
            return Secret(default)
        raise CcsetupError(
            _("The key of profile '{name}' is in the variable {variable}, which is not set here.").format(
                name=name, variable=profile.key_env
            )
        )
