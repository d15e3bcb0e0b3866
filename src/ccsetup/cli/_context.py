"""What commands share: the world they look at, and how a draft is committed or shown."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable, Optional, Sequence

from ccsetup import disk, keys, paths, presets
from ccsetup.change import checked
from ccsetup.change.draft import Draft
from ccsetup.change.world import Keys, World
from ccsetup.cli import _output
from ccsetup.clients import CLIENTS, tidied
from ccsetup.clients.codex.client import Codex
from ccsetup.errors import BLOCKED, OK, WOULD_CHANGE, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Preset, Secret, Version
from ccsetup.paths import Paths
from ccsetup.plan import FileChange, Note, Plan
from ccsetup.profiles import RELAY


def parse_version(text: str) -> Version:
    """Return ``0.169.0`` as numbers."""
    import re

    found = re.fullmatch(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,6}))?(?:[-+].*)?", text.strip())
    if not found:
        raise UsageError(_("'{text}' is not a version such as 0.169.0.").format(text=text))
    return int(found[1]), int(found[2]), int(found[3] or 0)


def program() -> tuple[str, ...]:
    """Return how a client is to run this program: an absolute path, because it runs it in any folder."""
    own = os.path.abspath(sys.argv[0])
    if os.path.basename(own) == "ccsetup" and os.access(own, os.X_OK):
        return (own,)
    return (sys.executable, own) if own.endswith(".pyz") else (sys.executable, "-m", "ccsetup")


def lookup(name: str) -> Optional[Secret]:
    """Return the keyring's key of profile *name*."""
    from ccsetup.keys import keychain

    return keychain.get(name)


_SAID = Codex.id
"""Whose version ``--codex-version`` says."""


class Context:
    """One run of a command."""

    def __init__(self, *, codex_version: str = "") -> None:
        self.paths: Paths = paths.from_environ(os.environ)
        self.notes: list[Note] = []
        self.secrets: set[str] = set()
        self.keyring_changed = False
        self._presets: dict[str, Preset] = {}
        self._versions: dict[ClientName, tuple[Version, ...]] = {}
        self.said: dict[ClientName, Version] = {}
        """Versions that the user says; they count instead of those installed."""
        if codex_version:
            self.said[_SAID] = parse_version(codex_version)

    def preset(self, name: str) -> Preset:
        if name not in self._presets:
            self._presets[name] = presets.load(name, self.paths.user_presets)
        return self._presets[name]

    def version(self, client: ClientName) -> Version:
        """Return the version of *client*: said by the user, the newest installed, or the newest one known."""
        return self._installed(client)[0]

    def beside(self, client: ClientName) -> tuple[Version, ...]:
        """Return the other versions of *client* that are installed."""
        return self._installed(client)[1:]

    def _installed(self, client: ClientName) -> tuple[Version, ...]:
        if client not in self._versions:
            said = self.said.get(client)
            found = (said,) if said else CLIENTS[client].installed(self.paths, ask=False)
            self._versions[client] = tuple(sorted(found, reverse=True)) or (CLIENTS[client].newest,)
        return self._versions[client]

    def draft(self) -> Draft:
        return Draft(lambda p: disk.snapshot([p])[p], self.paths.short)

    def world(self) -> World:
        found = Keys(program(), lookup, keys.from_command)
        world = World(self.draft(), self.paths, self.preset, self.version, found, self.beside)
        self._note(world.notes)
        return world

    def inform(self, text: str) -> None:
        """Tell the user *text* with the outcome."""
        self._note([Note("info", text)])

    def _note(self, notes: Sequence[Note]) -> None:
        """Keep *notes*, each once."""
        self.notes.extend(n for n in notes if n not in self.notes)

    def run(self, command: str, act: Callable[[World], Any], *, dry: bool) -> tuple[Any, tuple[FileChange, ...]]:
        """Let *act* fill a draft, and commit it unless *dry*; return what it returned and the changes."""
        kept: dict[str, Any] = {}

        def build() -> Plan:
            world = kept["world"] = self.world()
            world.draft.for_change = True
            result = act(world)
            changes = world.draft.changes()
            if RELAY in world.profiles and any(c.path == self.paths.profiles for c in changes):
                from ccsetup.relay.running import listing

                listing.follow(world)
                changes = world.draft.changes()
            changes = tidied(changes)
            kept["result"], kept["changes"], kept["notes"] = result, changes, world.notes
            self._collect(world)
            self.keyring_changed = bool(world.keychain)
            if not dry:
                self._keychain(world)
                if world.records.set_aside and kept["changes"]:
                    disk.set_aside(world.records.set_aside)
            return Plan(command, kept["changes"])

        if dry:
            build()
        elif disk.transaction(build, self.paths.homes, now=time.time()).id:
            checked.keep(kept["world"])
        self._note(kept["notes"])
        return kept["result"], kept["changes"]

    def _keychain(self, world: World) -> None:
        """Bring the keyring up to date, before the files that point at it."""
        if world.keychain:
            from ccsetup.keys import keychain

            changed = []
            for name, key in world.keychain.items():
                if key is not None:
                    keychain.put(name, key, self.paths.state_dir, world.came_from)
                elif other := keychain.remove(name, self.paths.state_dir, world.came_from):
                    text = _("The key '{name}' in the keyring is that of another home ({folder}): it stays.")
                    self.notes.append(Note("info", text.format(name=name, folder=other)))
                    continue
                changed.append(name)
            self.keyring_changed = bool(changed)
            if changed:
                text = _("The keyring was changed for: {names}.")
                self.notes.append(Note("info", text.format(names=", ".join(changed))))

    def names(self, changes: Sequence[FileChange]) -> list[str]:
        """Return the changed files for people: without our own record of what we wrote."""
        return [self.paths.short(c.path) for c in changes if not self.paths.is_record(c.path)]

    def _collect(self, world: World) -> None:
        folder = os.path.dirname(self.paths.key_file(""))
        read = [path for path in world.draft.known() if os.path.dirname(path) == folder]
        self.secrets.update(filter(None, (world.draft.text(path).strip() for path in read)))

    def finish(
        self,
        command: str,
        result: dict[str, Any],
        changes: Sequence[FileChange],
        *,
        as_json: bool,
        dry: bool,
        check: bool,
        show: Callable[[], None],
    ) -> int:
        """Print the outcome and return the exit code."""
        something = bool(changes) or self.keyring_changed
        result = {
            **result,
            "changed": something and not dry,
            "would_change": something and dry,
            "files": self.names(changes),
        }
        if as_json:
            if dry:
                result["diff"] = _output.diff(changes, self.secrets, self.paths)
            _output.print_json(command, result, self.notes)
        elif dry:
            text = _output.diff(changes, self.secrets, self.paths)
            if self.keyring_changed:
                text += _("The key in the keyring would change.")
            _output.line(text.rstrip("\n") if text else _("Nothing would change."))
            _output.print_notes(self.notes)
        else:
            show()
            _output.print_notes(self.notes)
        if check and something:
            return WOULD_CHANGE
        if any(n.level == "blocked" for n in self.notes):
            return BLOCKED
        return OK


def switched_text(client: ClientName, profile: str, held: bool = False) -> str:
    """Return what *client* uses now, for people; *profile* "" is its own account, if it is not *held* from that."""
    if held and not profile:
        text = _("{client}: no provider of ours is set, but it does not use its own account yet.")
        return text.format(client=CLIENTS[client].title)
    if profile:
        return _("{client} uses profile '{name}'.").format(client=CLIENTS[client].title, name=profile)
    return _("{client} uses its own account; no provider is set.").format(client=CLIENTS[client].title)
