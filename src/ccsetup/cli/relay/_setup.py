"""What setting the relay up writes besides ``relay.yaml``: a key for the clients of this machine, and their profile."""

from __future__ import annotations

import time
from typing import Any, Iterable, Mapping

from ccsetup import actions
from ccsetup.actions import Switched
from ccsetup.cli._context import Context
from ccsetup.cli.relay import key as keys
from ccsetup.errors import CcsetupError, UsageError
from ccsetup.i18n import _
from ccsetup.model import ClientName, Secret
from ccsetup.profiles import RELAY, Part, Profile, printable
from ccsetup.relay import access, compose
from ccsetup.relay.config import Config
from ccsetup.relay.places import Places
from ccsetup.relay.places import url as address
from ccsetup.world import World

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
    listen = config.listen
    url = address(listen.host, listen.port, tls=bool(listen.tls_cert))
    made = compose.relay_profile(config, world.profiles, context.preset, url)
    old = world.profiles.get(RELAY)
    kept = {c: p._replace(context_window=0) for c, p in old.parts.items()} if old is not None and not anew else {}
    asked = {**kept, **parts}
    made = made._replace(
        parts={c: own._replace(**_models(asked[c])) if c in asked else own for c, own in made.parts.items()}
    )
    secret = _key(context, world, at, made)
    context.secrets.add(secret.reveal())
    return actions.put(world, made, secret, activate)


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
