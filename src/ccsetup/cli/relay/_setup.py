"""What setting the relay up writes besides ``relay.yaml``: a key for the clients of this machine, and their profile."""

from __future__ import annotations

import time
from typing import Any, Iterable, Mapping, Optional

from ccsetup.change import actions
from ccsetup.change.actions import Switched
from ccsetup.change.world import World
from ccsetup.cli import _output
from ccsetup.cli._context import Context
from ccsetup.cli.relay import key as keys
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError, Incomplete, UsageError, printable
from ccsetup.i18n import _
from ccsetup.model import ClientName, Secret
from ccsetup.plan import Note
from ccsetup.platform import system
from ccsetup.profiles import RELAY, Part, Profile, reserved
from ccsetup.relay.config import access, compose
from ccsetup.relay.config.model import Config, Listen, Upstream
from ccsetup.relay.config.places import Places, address, port_of
from ccsetup.relay.config.places import url as url_of
from ccsetup.relay.routing import routes
from ccsetup.relay.running import control, listing
from ccsetup.relay.running.control import RelayProcess

LOCAL = "local"
"""The key of the clients on this machine."""


def clients(
    context: Context,
    world: World,
    at: Places,
    config: Config,
    *,
    activate: Iterable[ClientName] = (),
    parts: Mapping[ClientName, Part] = {},
    anew: bool = False,
) -> list[Switched]:
    """Save the profile ``relay`` for *config* with a key that the relay takes; return the clients that use it.

    *parts* say which models clients ask for; the others go on as before, or with *anew* ask for those of the first
    upstream.
    """
    listing.note(world, config)
    made, former = (_profile(context, world, config, named=named) for named in (False, True))
    old = world.profiles.get(RELAY) if not anew else None
    kept = {
        c: p._replace(context_window=0)
        for c, p in (old.parts.items() if old is not None else ())
        if not _asks_alike(p, former.parts[c])
    }
    asked = {**kept, **parts}
    made = made._replace(
        parts={
            c: own._replace(**_models(asked[c]), settings=asked[c].settings) if c in asked else own
            for c, own in made.parts.items()
        }
    )
    secret = _key(context, world, at, made)
    context.secrets.add(secret.reveal())
    return actions.put(world, made, secret, activate)


def follow(context: Context, world: World, at: Places, before: Config, now: Config) -> None:
    """Have clients that asked for the models of *before* ask for those of *now*.

    Models that somebody chose stay, and so does a profile that leads elsewhere.
    """
    old = world.profiles.get(RELAY)
    if old is None:
        return
    usual, former = (_profile(context, world, before, named=named) for named in (False, True))
    if any(p.url != usual.parts[c].url for c, p in old.parts.items() if c in usual.parts):
        return
    own: dict[ClientName, Part] = {}
    for client, part in old.parts.items():
        models = _models(part._replace(context_window=0))
        gone = [m for m in models.values() if m and not routes.routes(now.upstreams, m)]
        if _asks_alike(part, usual.parts[client]):
            continue
        if _asks_alike(part, former.parts[client]):  # an earlier version set it up: a relay of that may still run
            own[client] = _profile(context, world, now, named=True).parts[client]._replace(context_window=0)
        elif gone:
            text = _(
                "{client} asked for '{model}', which no upstream serves any more; it asks the first one for its own."
            )
            world.notes.append(Note("warning", text.format(client=CLIENTS[client].title, model=printable(gone[0]))))
        else:
            own[client] = part._replace(context_window=0)
    clients(context, world, at, now, parts=own, anew=True)


def show_order(upstreams: Iterable[Upstream]) -> None:
    """Print *upstreams* as they are asked."""
    for one in routes.ordered(upstreams):
        tail = _("backup") if one.group == "backup" else ""
        off = "" if one.enabled else _("switched off")
        text = "  ".join(t for t in (one.name, ", ".join(one.endpoints), one.default_model, tail, off) if t)
        _output.line(_output.safe("  " + text))


def led_back(there: Listen, running: RelayProcess, known: str) -> str:
    """Return what makes clients that ask at *known* reach the relay, which is to listen *there*."""
    if url_of(there.host, there.port, tls=bool(there.tls_cert)) == running.url:
        return _("Run: ccsetup relay init")
    if there.port == port_of(known):
        return _("Run: ccsetup relay restart")
    return _("Run: ccsetup relay init, then: ccsetup relay restart")


def listen(context: Context, at: Places, host: Optional[str] = None, port: Optional[int] = None) -> Listen:
    """Return where a new relay is to listen; without *port*, on the usual one or the next that nobody has."""
    out = Listen()
    out = out._replace(host=host or out.host)
    if port is not None:
        return out._replace(port=port)
    running = control.recorded(at)
    for one in range(out.port, out.port + 20):
        if (running is not None and running.url.endswith(f":{one}")) or _free(out.host, one):
            if one != out.port:
                text = _("Port {taken} is used by another program; {port} was chosen.")
                context.notes.append(Note("info", text.format(taken=out.port, port=one)))
            return out._replace(port=one)
    return out


def _free(host: str, port: int) -> bool:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as s:
        system.claim_port(s)
        try:
            s.bind((host, port))
        except OSError:
            return False
    return True


def _profile(context: Context, world: World, config: Config, *, named: bool = False) -> Profile:
    """Return the profile for clients of the relay *config*.

    They ask for the reserved ids, which ``relay use`` leads on; with *named*, and where those would lead nowhere, for
    the models of the first upstream, by their names.  Where nothing says which models the upstreams have, they are
    taken for ones that pass Anthropic's and OpenAI's own through, as most that other relays were set up with.
    """
    url = address(config.listen)
    ways = [way.upstream for way in routes.routes(config.upstreams, reserved.MODELS.primary) if way.upstream.enabled]
    try:
        if ways and not named:
            among = config._replace(upstreams=(ways[0], *(u for u in ways[1:] if config.helps(u))))
            return compose.relay_profile(among, world.profiles, context.preset, url, reserved.MODELS)
        return compose.relay_profile(config, world.profiles, context.preset, url)
    except Incomplete:
        parts: dict[ClientName, Part] = {}
        for client in CLIENTS:
            preset = "anthropic" if CLIENTS[client].wire == "anthropic" else "openai"
            known = tuple(u if u.default_model or u.preset else u._replace(preset=preset) for u in config.upstreams)
            made = compose.relay_profile(config._replace(upstreams=known), world.profiles, context.preset, url)
            parts[client] = made.parts[client]
        # Claude Code knows the windows of Anthropic's models.
        for client in (c for c in CLIENTS if CLIENTS[c].wire == "anthropic"):
            parts[client] = parts[client]._replace(context_window=0)
        return made._replace(parts=parts)


def _asks_alike(one: Part, other: Part) -> bool:
    """Tell whether both ask for the same models."""
    return _models(one._replace(context_window=0)) == _models(other._replace(context_window=0))


def _models(part: Part) -> dict[str, Any]:
    return {k: v for k, v in part._asdict().items() if k.endswith("_model") or (k == "context_window" and v)}


def _key(context: Context, world: World, at: Places, made: Profile) -> Secret:
    """Return the key that the profile has, as long as the relay takes it; else a new one."""
    now = time.time()
    known = keys.load(context, world, at)
    old = world.profiles.get(RELAY)
    if old is not None:
        try:
            has = world.key(old)
        except CcsetupError:
            has = None
        found = known.find(has.reveal().encode()) if has is not None else None
        if has is not None and found is not None and (found.expires is None or found.expires > now):
            return has
    if known.named(LOCAL) is not None:
        known = known.remove(LOCAL)
    secret = access.generate()
    keys.save(context, world, at, known.with_key(access.describe(secret, LOCAL, now)))
    return secret


def listed(text: str) -> list[str]:
    """Return the names in *text*, ``a,b,c``, each once."""
    names = [n.strip() for n in text.split(",") if n.strip()]
    if not names:
        raise UsageError(_("'{text}' names no profile.").format(text=printable(text)))
    return list(dict.fromkeys(names))
