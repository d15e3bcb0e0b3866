"""Checks of files with keys, of copies that others left, and of what killed programs leave behind."""

from __future__ import annotations

import os
from typing import Iterator

from ccsetup.clients.house import Finding, House, Protect, Recover, RemoveFolder, Whole
from ccsetup.doctor import keysin, relay
from ccsetup.i18n import _
from ccsetup.platform import system
from ccsetup.profiles import is_possible


def with_keys(house: House) -> list[str]:
    """Return the files of the clients, and ours, that hold a key."""
    paths = house.paths
    mine = [
        paths.claude_settings,
        paths.claude_json,
        os.path.join(paths.claude_dir, ".credentials.json"),
        os.path.join(paths.claude_dir, "settings.local.json"),
        os.path.join(paths.cwd, ".claude", "settings.json"),
        os.path.join(paths.cwd, ".claude", "settings.local.json"),
        paths.codex_config,
        house.auth_path,
        paths.codex_dotenv,
        *house.names(paths.codex_home, ".config.toml"),
        *(house.key_file(name) for name in house.profiles if is_possible(name)),
        paths.relay_config,
    ]
    out = []
    for path in dict.fromkeys(mine):
        text = house.text(path)
        if text and (path.startswith(os.path.join(paths.config_dir, "keys") + os.sep) or has_key(house, path)):
            out.append(path)
    return out


def has_key(house: House, path: str) -> bool:
    if path == house.paths.relay_config:
        return any(r.kind == "inline" for r in relay.references(house))
    if path == house.auth_path:
        return any(
            isinstance(v, (str, dict)) and v for k, v in house.auth.items() if k not in ("auth_mode", "last_refresh")
        )
    return bool(keysin.values(house.text(path)))


def modes(house: House) -> Iterator[Finding]:
    if not system.MODES:
        return
    open_ = [p for p in (*with_keys(house), *copies(house)) if house.mode(p) > 0 and house.mode(p) & 0o077]
    if open_:
        yield Finding(
            "problem",
            _("Others on this machine can read the key in it.")
            if len(open_) == 1
            else _("Others can read keys in: {files}").format(files=_some(house, open_)),
            _("Make them yours alone (mode 0600)."),
            open_[0] if len(open_) == 1 else "",
            0,
            tuple(Protect(p) for p in open_),
        )


def _some(house: House, paths: list[str], most: int = 3) -> str:
    shown = ", ".join(house.paths.short(p) for p in paths[:most])
    return shown if len(paths) <= most else _("{files} and {count} more").format(files=shown, count=len(paths) - most)


def git(house: House) -> Iterator[Finding]:
    said = house.facts.tracked(with_keys(house))
    for path, state in said.items():
        name = house.paths.short(path)
        if state == "tracked":
            yield Finding(
                "problem",
                _("Git tracks this file, which holds a key."),
                _("Run: git rm --cached {file}; add it to .gitignore, and get a new key.").format(file=name),
                path,
            )
        else:
            yield Finding(
                "warning",
                _("This file holds a key in a git work tree that does not ignore it."),
                _("Add it to .gitignore, or use: ccsetup init … --key-storage command"),
                path,
            )


def copies(house: House) -> list[str]:
    """Return the copies by other programs that hold a key."""
    return [
        p
        for p in house.facts.others
        if keysin.values(house.text(p)) or (p.endswith("auth.json") and '"' in house.text(p))
    ]


def backups(house: House) -> Iterator[Finding]:
    found = copies(house)
    if found:
        yield Finding(
            "warning",
            _("This copy, which another tool left, holds a key.")
            if len(found) == 1
            else _("Copies that other tools left hold keys: {files}").format(files=_some(house, found)),
            _("Remove what you need no more: rm {file}").format(file=house.paths.short(found[0])),
            found[0] if len(found) == 1 else "",
        )


def leftovers(house: House) -> Iterator[Finding]:
    files = [p for p in house.facts.temporary if house.exists(p)]
    folders = [p for p in house.facts.stale_locks if p not in house.gone]
    if not house.recovered and house.facts.unfinished:
        return  # they belong to a change that is taken back as a whole
    if files or folders:
        yield Finding(
            "warning",
            _("A program that was killed left these behind: {files}").format(files=_some(house, [*files, *folders])),
            _("Remove them."),
            "",
            0,
            (*(Whole(p, None) for p in files), *(RemoveFolder(p) for p in folders)),
        )


def unfinished(house: House) -> Iterator[Finding]:
    if house.facts.unfinished and not house.recovered:
        yield Finding(
            "problem",
            _("A change was killed halfway: {commands}").format(commands=", ".join(house.facts.unfinished)),
            _("Take it back; all files become what they were before it."),
            "",
            0,
            (Recover(),),
        )
    if house.facts.damaged:
        one = len(house.facts.damaged) == 1
        yield Finding(
            "warning",
            _("The record of a change cannot be read, so the change cannot be taken back.")
            if one
            else _("Records of changes cannot be read: {files}").format(files=_some(house, [*house.facts.damaged])),
            _("Remove what you need no more: rm {file}").format(file=house.paths.short(house.facts.damaged[0])),
            house.facts.damaged[0] if one else "",
        )
