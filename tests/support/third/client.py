"""Yoke, a client that does not exist: it speaks Chat Completions, and keeps two YAML files in ``~/.yoke``.

``config.yaml`` selects a provider; ``keys.yaml`` holds keys by provider.  Version 1 has one provider, in members at the
top; version 2 has them by name, and reads nothing of version 1.  It does not start when ``stream`` is no truth value.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

from ccsetup import urls
from ccsetup.clients.base import Client
from ccsetup.clients.found import FoundProvider, ToolFiles, secret, text
from ccsetup.clients.house import Check, Edits, Finding, House
from ccsetup.clients.values import Correction, Current, Files, Sending, Use, Wishes
from ccsetup.documents.edit import MISSING, KeyPath, Set, lookup
from ccsetup.errors import Incomplete
from ccsetup.model import CodexEndpoint, Preset, Secret, Version
from ccsetup.paths import Paths
from ccsetup.plan import Owned, Wish
from ccsetup.probe.network import Network, NetworkRoute, Trust
from ccsetup.probe.target import Credential, Target, TierModel
from ccsetup.profiles import Part, Profile

if TYPE_CHECKING:
    from ccsetup.documents.edit import Edit

BY_NAME: Version = (2, 0, 0)
"""From here on providers have names."""
OURS = "ccsetup"
STREAM: KeyPath = ("stream",)


def config(paths: Paths) -> str:
    return os.path.join(paths.home, ".yoke", "config.yaml")


def keys(paths: Paths) -> str:
    return os.path.join(paths.home, ".yoke", "keys.yaml")


def placed(data: Any, version: Version) -> Optional[KeyPath]:
    """Return where *version* finds its provider in config.yaml, or None."""
    if version < BY_NAME:
        return () if text(data, "url") else None
    name = text(data, "active")
    return ("providers", name) if name and isinstance(lookup(data, ("providers", name)), dict) else None


def unstreamed(data: Any) -> Iterator[tuple[str, Edit]]:
    found = lookup(data, STREAM)
    if found is not MISSING and not isinstance(found, bool):
        yield "stream has to be true or false; Yoke does not start.", Set(STREAM, str(found) in ("yes", "on", "1"))


def check_stream(house: House) -> Iterable[Finding]:
    path = config(house.paths)
    for sentence, edit in unstreamed(house.data(path, "yaml")):
        line = house.line(path, "yaml", STREAM)
        yield Finding("stops", sentence, "Write true or false.", path, line, (Edits(path, "yaml", (edit,)),))


class Yoke(Client):
    id = "yoke"
    title = "Yoke"
    program = "yoke"
    aliases = ("yk",)
    option = "yoke"
    wire = "chat"
    install = "yoke has no installer"
    newest = (2, 1, 0)
    user_agent = "yoke/2.1.0"
    usual = "home:.yoke"
    formats: Mapping[str, str] = {"yaml": "support.third.yamledit"}

    def folder(self, paths: Paths) -> str:
        return os.path.dirname(config(paths))

    def settings(self, paths: Paths) -> str:
        return config(paths)

    def unreadable(self) -> str:
        return "Yoke does not start with the file as it is."

    def installed(self, paths: Paths, *, ask: bool = True) -> tuple[Version, ...]:
        found = paths.environ.get("YOKE_VERSION", "")
        return (tuple(map(int, found.split("."))),) if found else ()  # type: ignore[return-value]

    def endpoint(self, profile: Profile, preset: Preset) -> CodexEndpoint:
        part, region = profile.parts[self.id], preset.region(profile.region)
        url = urls.base(part.url or (region.chat_url if region else ""), "chat")
        if not url or not part.primary_model:
            raise Incomplete("Yoke needs a URL and a model.", hint="Give them with -u URL -M MODEL.")
        return CodexEndpoint(url, "chat", part.primary_model, None, None, True, False, (), "")

    def documents(self, paths: Paths) -> tuple[tuple[str, str], ...]:
        return ((config(paths), "yaml"), (keys(paths), "yaml"))

    def use(self, files: Files, use: Use) -> Wishes:
        endpoint: Any = use.endpoint
        members = {"url": endpoint.base_url, "model": endpoint.model}
        if use.profile.key_storage != "inline":
            members["key_command"] = self._command(use)
        at: KeyPath = ("providers", OURS) if files.version >= BY_NAME else ()
        want: dict[KeyPath, Any] = {(*at, name): value for name, value in members.items()}
        if at:
            want[("active",)] = OURS
        key: dict[KeyPath, Any] = {("keys", OURS): use.key} if use.profile.key_storage == "inline" else {}
        return Wishes(
            (
                Wish(config(files.paths), "yaml", want, keep_before=frozenset(want)),
                Wish(keys(files.paths), "yaml", key, forced=frozenset({("keys", OURS)})),
            ),
            {},
        )

    def _command(self, use: Use) -> str:
        if use.profile.key_storage == "env":
            return f"printenv {use.profile.key_env}"
        return use.profile.key_command or shlex.join(use.reader)

    def official(self, files: Files, owned: Mapping[str, tuple[Owned, ...]]) -> Wishes:
        return Wishes(tuple(Wish(path, form, {}) for path, form in self.documents(files.paths)), {})

    def current(self, files: Files) -> Current:
        at = placed(files.get(config(files.paths)), files.version)
        if at is None:
            return Current("", "", "")
        table = lookup(files.get(config(files.paths)), at)
        return Current(text(table, "url"), text(table, "model"), "key_command" if text(table, "key_command") else "key")

    def matches(self, files: Files, use: Use) -> bool:
        endpoint: Any = use.endpoint
        now = self.current(files)
        if (now.base_url, now.model) != (endpoint.base_url, endpoint.model):
            return False
        if use.profile.key_storage == "inline":
            return use.key is not None and text(files.get(keys(files.paths)), "keys", OURS) == use.key.reveal()
        return now.credential == "key_command"

    def repairs(self, files: Files) -> Sequence[Correction]:
        path = config(files.paths)
        return [Correction(path, "yaml", words, (edit,)) for words, edit in unstreamed(files.get(path))]

    def checks(self) -> Sequence[Check]:
        return (Check("yoke-stream", self.id, "Yoke's settings", check_stream),)

    def providers(self, store: ToolFiles) -> Iterable[FoundProvider]:
        data = store.data(config(store.paths), "yaml")
        at = placed(data, self.newest) or placed(data, (1, 0, 0))
        if at is not None:
            table, name = lookup(data, at), at[-1] if at else "yoke"
            part = Part(url=urls.base(text(table, "url"), "chat"), primary_model=text(table, "model"))
            yield FoundProvider(
                "clients", name, self.id, part, secret(text(store.data(keys(store.paths), "yaml"), "keys", name))
            )

    def target(
        self, paths: Paths, version: Callable[[], Version], presets: Callable[[], Iterable[Preset]]
    ) -> Optional[Target]:
        return None

    def asked(self, use: Use, key: Optional[Secret], source: str) -> Sending:
        endpoint: Any = use.endpoint
        credential = (Credential("authorization", "Bearer", key, source),) if key is not None else ()
        return Sending(credential, (TierModel("primary", endpoint.model),))

    def network(self, version: Version) -> Network:
        return Network(lambda *_: NetworkRoute(), lambda _: Trust(advice="SSL_CERT_FILE"), ())
