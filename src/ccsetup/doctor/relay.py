"""Checks of the relay's files, and that it runs where a client needs it.  Whoever has no relay is asked for nothing."""

from __future__ import annotations

from typing import Iterator

from ccsetup.change import record
from ccsetup.clients import CLIENTS
from ccsetup.clients.house import Finding, House, Protect
from ccsetup.documents import relayrefs
from ccsetup.documents.relayrefs import UpstreamKey
from ccsetup.errors import DocumentError
from ccsetup.i18n import _
from ccsetup.model import ClientName
from ccsetup.platform import system
from ccsetup.profiles import RELAY, through_relay


def references(house: House) -> list[UpstreamKey]:
    """Return where ``relay.yaml`` takes its keys from; nothing of a file that cannot be read."""
    path = house.paths.relay_config
    try:
        return relayrefs.read(house.text(path), house.paths.short(path))
    except DocumentError:
        return []


def config(house: House) -> Iterator[Finding]:
    """What keeps the relay from using its configuration, and keys in it that are not there."""
    path = house.paths.relay_config
    if not house.exists(path) and path not in house.unreadable:
        return  # the relay may have another one, by --config
    why, line = house.facts.relay.problem()
    if why:
        yield Finding("problem", why, _("Correct it, then run: ccsetup relay check"), path, line)
    saved = ", ".join(n for n in house.profiles if n != RELAY) or "-"
    for one in references(house):
        if one.kind == "profile" and one.value not in house.profiles:
            text = _("Upstream '{upstream}' has its key from profile '{name}', which there is not.").format(
                upstream=one.upstream, name=one.value
            )
            fix = _("Save it again with ccsetup init -n {name}, or name another one there. Saved: {saved}").format(
                name=one.value, saved=saved
            )
            yield Finding("problem", text, fix, path, one.line)


def runs(house: House) -> Iterator[Finding]:
    state = house.data(house.paths.state, "json")
    urls: dict[ClientName, str] = {}
    for client in CLIENTS:
        profile = house.profiles.get(record.active(state, house.paths, client))
        part = profile.parts.get(client) if profile is not None else None
        if part is not None and through_relay(house.profiles, part.url):
            urls[client] = part.url
    problem, hint = house.facts.relay.away(next(iter(urls.values()))) if urls else ("", "")
    if problem:
        text = _("{clients} cannot work: the profile is '{profile}', and {problem}.").format(
            clients=", ".join(CLIENTS[c].title for c in urls),
            profile=record.active(state, house.paths, next(iter(urls))),
            problem=problem,
        )
        yield Finding("problem", text, hint)


def modes(house: House) -> Iterator[Finding]:
    """Files of the relay that others can read.  With a key in it, that is a problem: see ``files.modes``."""
    if not system.MODES:
        return
    paths = house.paths
    told = {
        paths.relay_config: _("Others on this machine can read which providers and keys the relay uses."),
        paths.relay_keys: _("Others on this machine can read the names and limits of the relay's clients."),
    }
    inline = any(r.kind == "inline" for r in references(house))
    for path, text in told.items():
        if path == paths.relay_config and inline:
            continue
        if house.exists(path) and house.mode(path) > 0 and house.mode(path) & 0o077:
            yield Finding("warning", text, _("Make it yours alone (mode 0600)."), path, 0, (Protect(path),))
