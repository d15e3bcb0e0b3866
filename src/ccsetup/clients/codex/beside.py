"""Profiles that Codex finds by name: a table in config.toml before 0.134, a file of their own since."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Collection, Container, Iterable, Mapping, Sequence

from ccsetup.clients.codex import edits, facts
from ccsetup.clients.values import Files, Use, dotted
from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, lookup
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.paths import Paths
from ccsetup.profiles import Profile

if TYPE_CHECKING:
    from ccsetup.clients.house import Finding, House

_ENDING = ".config.toml"


class ProfileFiles:
    def id(self, profile: Profile) -> str:
        return edits.profile_id(profile)

    def kept_id(self, files: Files, profile: Profile, *, active: bool) -> str:
        shared = edits.active_id(files, profile, active=active) == facts.SHARED_ID
        return "" if shared else edits.profile_id(profile)

    def free_id(self, profile: str, taken: Container[str]) -> str:
        return edits.free_id(profile, taken)

    def is_selected(self, files: Files, profile: Profile, *, active: bool) -> bool:
        ids = (edits.profile_id(profile), *((facts.SHARED_ID,) if active else ()))
        return edits.effective(files)[0] in ids

    def is_saved(self, files: Files, profile: Profile) -> bool:
        return edits.is_saved(files, profile)

    def has_trace(self, files: Files, profile: Profile) -> bool:
        return edits.has_trace(files, profile)

    def is_mixed(self, files: Files, use: Use, *, profile: bool) -> bool:
        return edits.is_mixed(files, use, profile=profile)

    def is_split(self, files: Files) -> bool:
        return files.oldest < facts.PROFILE_FILES <= files.version

    def foreign(self, files: Files, name: str) -> Sequence[str]:
        if files.version < facts.PROFILE_FILES:
            return ()
        found = edits.leaks(files.get(files.paths.codex_config), files.get(files.paths.codex_profile(name)))
        return [edits.leak_text(name, *leak) for leak in found]

    def mixed_by_hand(self, house: House, known: Collection[str]) -> Iterable[Finding]:
        from ccsetup.clients.codex import problems

        return problems.mixed_by_hand(house, known)

    def files(self, paths: Paths) -> Mapping[str, os.stat_result]:
        try:
            with os.scandir(paths.codex_home) as found:
                names = [e.name for e in found if e.name.endswith(_ENDING)]
        except OSError:
            return {}
        out = {}
        for name in names:
            try:
                out[name.removesuffix(_ENDING)] = os.stat(os.path.join(paths.codex_home, name))
            except OSError:  # a link to nothing
                continue
        return out

    def is_alone(self, files: Files, profile: Profile) -> bool:
        data, id_ = files.get(files.paths.codex_config), self.id(profile)
        places = (("profiles", profile.name), ("model_providers", id_))
        named = lookup(data, ("model_provider",)) == id_ or any(lookup(data, p) is not MISSING for p in places)
        return files.version >= facts.PROFILE_FILES and not named

    def carried(self, files: Files, profile: Profile, read: Callable[[str, str], Any]) -> tuple[str, tuple[Edit, ...]]:
        table = edits.effective(files)[1]
        path = files.paths.codex_profile(profile.name)
        if not isinstance(table, dict):
            return path, ()
        key = ("model_providers", edits.profile_id(profile))
        there = lookup(read(path, "toml"), key)
        if not isinstance(there, dict) or there.get("base_url") != table.get("base_url"):
            return path, ()
        news = {k: v for k, v in edits.additions(table).items() if there.get(k) != v}
        return path, tuple(Set((*key, k), v) for k, v in news.items())

    def handed_on(self, files: Files, old: Profile, new: Profile, *, active: bool) -> tuple[str, tuple[Edit, ...]]:
        own, id_ = files.paths.codex_config, self.id(old)
        places = [(files.paths.codex_profile(old.name), id_), (own, id_), *([(own, facts.SHARED_ID)] if active else ())]
        added: dict[str, Any] = {}
        for place, name in places:
            added |= edits.additions(lookup(files.get(place), ("model_providers", name)))
        path = files.paths.codex_profile(new.name) if files.version >= facts.PROFILE_FILES else own
        return path, tuple(Set(("model_providers", self.id(new), k), v) for k, v in added.items())

    def check(self, files: Files, use: Use, owns: Callable[[str, KeyPath], bool]) -> None:
        """Refuse to take over a provider's table that somebody wrote for another host: what is in it would be lost."""
        path, key = files.paths.codex_config, ("model_providers", edits.active_id(files, use.profile, active=True))
        if not edits.is_elsewhere(lookup(files.get(path), key), use) or owns(path, key):
            return
        if not use.profile.parts["codex"].provider_id:
            return  # an id that only we give: the record of it was lost
        raise UsageError(
            _("{file}: provider '{id}' is there already, for another address.").format(
                file=files.paths.short(path), id=key[1]
            ),
            hint=_("Give another id with --provider-id, or take the table out."),
        )

    def read_back(self, files: Files, use: Use, *, active: bool) -> None:
        named = edits.is_saved(files, use.profile)
        if lookup(files.get(files.paths.codex_config), ("profiles", use.profile.name)) is not MISSING and not named:
            named = files.version >= facts.PROFILE_FILES  # a table of the user's own, which a note tells of
        id_ = edits.active_id(files, use.profile, active=True)
        selected = edits.effective(files) if active else (id_, {})
        if not named or selected[0] != id_ or not isinstance(selected[1], dict):
            raise CcsetupError(
                _("Codex {version} would not find the provider of profile '{name}'. Nothing was changed.").format(
                    version=dotted(files.version), name=use.profile.name
                ),
                hint=_("Look for a table of that name in {file}, and run: ccsetup doctor").format(
                    file=files.paths.short(files.paths.codex_config)
                ),
            )
