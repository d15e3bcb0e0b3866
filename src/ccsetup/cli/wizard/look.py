"""What is there now, in one screen: the clients, what they use, saved profiles, keys found, what is broken."""

from __future__ import annotations

import os
from typing import Mapping, NamedTuple, Optional, Sequence

from ccsetup import __version__, i18n, presets
from ccsetup.change.world import World
from ccsetup.cli import _output, list_
from ccsetup.cli._context import Context
from ccsetup.cli.wizard import found as find
from ccsetup.cli.wizard.found import FoundKey
from ccsetup.cli.wizard.prompts import cut, sentences
from ccsetup.clients import CLIENTS
from ccsetup.clients.values import Correction
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClientName, PresetSummary, Version
from ccsetup.paths import Paths
from ccsetup.plan import Note
from ccsetup.presets.addresses import region_of
from ccsetup.urls import is_loopback

LINES = 12
"""At most so many, so that the first question is on the same screen."""


class ClientState(NamedTuple):
    """A client, and what it uses now."""

    name: ClientName
    version: Optional[Version]
    """None: it is not installed (or not on PATH)."""
    profile: str
    """Our profile that it uses; empty: none of ours."""
    changed: bool
    """Its settings are not what we wrote any more."""
    url: str
    model: str
    credential: str
    """Where its key comes from, for people."""
    file: str
    """The name of its settings file."""
    broken: str
    """Why its settings cannot be read, or ""."""
    problem: str = ""
    """What is said in the place of what it uses."""


class Seen(NamedTuple):
    """Everything that the wizard knows before it asks."""

    clients: tuple[ClientState, ...]
    profiles: tuple[str, ...]
    """Names, those in use first."""
    providers: Mapping[str, str]
    """Ids of presets that are saved, in use, or have a key somewhere here, the likeliest first; and which it is."""
    summaries: tuple[PresetSummary, ...]
    keys: tuple[FoundKey, ...]
    repairs: Mapping[ClientName, tuple[Correction, ...]]
    """What ``--repair`` would correct in the settings of each client."""
    notes: tuple[Note, ...]

    def client(self, name: ClientName) -> ClientState:
        return next(c for c in self.clients if c.name == name)


def around(context: Context) -> Seen:
    """Look at everything once; nothing here raises because of a file that is broken."""
    world = context.world()
    before = len(context.notes)
    clients = tuple(_client(context, world, name) for name in CLIENTS)
    notes = context.notes[before:]
    del context.notes[before:]
    for name in CLIENTS:
        try:
            notes.extend(CLIENTS[name].notes(world.files(name), None))
        except CcsetupError:
            continue  # said above already
    repairs = {name: _repairs(world, name) for name in CLIENTS}
    notes[:0] = [Note("warning", r.refusal.message) for found in repairs.values() for r in found if r.refusal]
    summaries, problems = presets.summaries(context.paths.user_presets)
    notes.extend(Note("warning", p.message, p.hint) for p in problems)
    active = [c.profile for c in clients if c.profile in world.profiles]
    names = tuple(dict.fromkeys([*active, *reversed(world.profiles)]))
    keys = tuple(find.everywhere(world))
    return Seen(
        clients,
        names,
        _providers(context, world, names, clients, keys, summaries),
        tuple(summaries),
        keys,
        repairs,
        tuple(n for n in notes if n.level != "info"),
    )


def _client(context: Context, world: World, name: ClientName) -> ClientState:
    now = list_.active(context, world, name)
    return ClientState(
        name,
        max(CLIENTS[name].installed(context.paths), default=None),
        now["profile"],
        now["changed"],
        now["url"],
        now["model"],
        _credential(name, now["credential"], context.paths) if now["credential"] or now["url"] else "",
        os.path.basename(CLIENTS[name].settings(context.paths)),
        now.get("error", ""),
        now["problem"],
    )


def _credential(client: ClientName, where: str, paths: Paths) -> str:
    if not where:
        return _("no key")
    if where in ("apiKeyHelper", "auth"):
        return _("key from a command")
    if where == "login":
        return _("ChatGPT login")
    if where == "OPENAI_API_KEY":
        return _("key in {file}").format(file="auth.json")
    if where in ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "experimental_bearer_token", "http_headers"):
        return _("key in {file}").format(file=os.path.basename(CLIENTS[client].settings(paths)))
    return _("key in ${variable}").format(variable=where)


def _repairs(world: World, client: ClientName) -> tuple[Correction, ...]:
    try:
        return tuple(CLIENTS[client].repairs(world.files(client)))
    except CcsetupError:
        return ()  # it cannot be read at all, which is said elsewhere


def _written(world: World, client: ClientName) -> str:
    try:
        return CLIENTS[client].current(world.files(client)).base_url
    except CcsetupError:
        return ""


def _providers(
    context: Context,
    world: World,
    names: tuple[str, ...],
    clients: tuple[ClientState, ...],
    keys: tuple[FoundKey, ...],
    summaries: list[PresetSummary],
) -> dict[str, str]:
    out = {world.profiles[n].provider: _("saved") for n in names}
    known = {s.id for s in summaries}
    # Settings that the client ignores, for a comment in them, say what the person wants.
    used = [url for c in clients if (url := c.url or _written(world, c.name))]
    urls = used + [k.url for k in keys if k.url]
    variables = {k.variable for k in keys if k.variable and not k.url}
    likely: dict[str, int] = {}
    for summary in summaries:
        if summary.id in ("custom", "anthropic", "openai"):  # their addresses are the clients' own
            continue
        try:
            preset = context.preset(summary.id)
        except CcsetupError:
            continue
        at = next((i for i, u in enumerate(urls) if region_of(preset, u) is not None), -1)
        own = {preset.key_env, preset.id.upper() + "_API_KEY"}
        if at >= 0 and not is_loopback(urls[at]):
            likely[summary.id] = at
        elif variables & own or (preset.key_env and context.paths.environ.get(preset.key_env)):
            likely[summary.id] = len(urls)
    for preset_id in sorted(likely, key=lambda p: likely[p]):
        out.setdefault(preset_id, _("in use") if likely[preset_id] < len(used) else _("key found"))
    return {p: why for p, why in out.items() if p in known}


def screen(seen: Seen, context: Context, width: int) -> list[str]:
    """Return the lines to show, each at most *width* cells wide, at most LINES of them."""
    hint = "" if i18n.language != "en" else "中文: ccsetup --lang zh-CN" if _says_nothing(context) else ""
    head = _output.paint(f"ccsetup {__version__}", "1")
    gap = width - len(f"ccsetup {__version__}") - _output.width(hint)
    lines = [head + " " * gap + hint if hint and gap > 1 else head]
    titles = [CLIENTS[c.name].title + (" " + ".".join(map(str, c.version)) if c.version else "") for c in seen.clients]
    column = max(map(len, titles))
    for client, title in zip(seen.clients, titles, strict=True):
        lines.append(cut(f"  {title.ljust(column)}  {_uses(client)}", width))
    if seen.profiles:
        used = {c.profile for c in seen.clients}
        names = "  ".join(("*" if n in used else "") + n for n in seen.profiles)
        lines.append(cut("  " + _("Saved profiles: {names}").format(names=names), width))
    places = list(dict.fromkeys(k.place for k in seen.keys if not k.provider))
    if places:
        lines.append(cut("  " + _("Keys found in: {places}").format(places=", ".join(places)), width))
    return [*lines, *(_output.paint(s, "33") for s in _problems(seen.notes, width, LINES - len(lines) - 1)), ""]


def _problems(notes: Sequence[Note], width: int, room: int) -> list[str]:
    """Return *notes* in at most *room* lines: the worst first, each in full, hints where there is room for them."""
    ordered = sorted(notes, key=lambda n: n.level != "blocked")
    for hints in (True, False):
        blocks = [_output.wrap("! " + sentences(n.text, n.hint if hints else ""), width) for n in ordered]
        if sum(map(len, blocks)) <= room:
            return [line for block in blocks for line in block]
    out: list[str] = []
    for i, block in enumerate(blocks):
        if len(out) + len(block) > room - 1:
            return [*out, _("! and {n} more").format(n=len(blocks) - i)][:room]
        out += block
    return out


def _uses(client: ClientState) -> str:
    if client.broken:
        return _("its settings cannot be read (see below)")
    if client.problem:
        return client.problem
    if client.profile and client.changed:
        text = _("profile {name}, changed by hand since").format(name=client.profile)
    elif client.profile:
        text = _("profile {name}").format(name=client.profile)
    elif client.url:
        from urllib.parse import urlsplit

        text = _("{host} (not by ccsetup)").format(host=urlsplit(client.url).netloc or client.url)
    elif client.version is None:
        return _("not installed")
    else:
        return _("its own account")
    return _(", ").join(t for t in (text, client.model, client.credential) if t)


def _says_nothing(context: Context) -> bool:
    """Tell whether nothing says which language the user reads."""
    environ = context.paths.environ
    said = [environ.get(n, "") for n in ("CCSETUP_LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")]
    plain = all(not s or s.split(".")[0] in ("C", "POSIX") for s in said)
    return plain and not os.path.exists(context.paths.settings)
