"""What the relay of this machine serves, noted for the lists of models that the clients show of its profile."""

from __future__ import annotations

import json

from ccsetup.change import actions
from ccsetup.change.world import World
from ccsetup.clients.values import Listed
from ccsetup.errors import CcsetupError
from ccsetup.model import CodexEndpoint
from ccsetup.plan import Note
from ccsetup.profiles import RELAY
from ccsetup.relay.config.model import Config
from ccsetup.relay.config.places import address
from ccsetup.relay.routing import routes
from ccsetup.relay.routing.routes import Route


def note(world: World, config: Config) -> None:
    """Note what the relay serves by *config*."""
    rows = [_row(world, name, route)._asdict() for name, route in routes.listing(config.upstreams).items()]
    world.draft.replace(world.paths.relay_models, json.dumps({"models": rows}, ensure_ascii=False, indent=1) + "\n")


def look_again(world: World) -> bool:
    """Note it anew by what *world* has now, where it was noted before; return whether it is something else.

    What an earlier version set up stays as it is, until ``relay init`` or another command changes it.
    """
    from ccsetup.relay.config.compose import with_saved
    from ccsetup.relay.config.parse import parse

    paths, draft, relay = world.paths, world.draft, world.profiles.get(RELAY)
    if relay is None or relay.problem:
        return False
    try:
        before = draft.text(paths.relay_models)
        text = draft.text(paths.relay_config) if before else ""
        if not text:
            return False
        config = parse(text.encode(), paths.short(paths.relay_config), world.load_preset)
        config, _problems = with_saved(config, world.profiles, world.load_preset)
    except CcsetupError:  # whoever starts the relay is told
        return False
    if not any(part.url.startswith(address(config.listen)) for part in relay.parts.values()):
        return False
    note(world, config)
    return draft.text(paths.relay_models) != before


def follow(world: World) -> None:
    """Have the clients' lists follow the saved profiles, where the relay's models are made of those.

    What keeps the relay's profile from being written is told, and keeps nobody from saving another one.
    """
    if not look_again(world):
        return
    try:
        actions.put(world, world.profiles[RELAY], None, ())
    except CcsetupError as e:
        world.notes.append(Note("warning", e.message, e.hint))


def _row(world: World, name: str, route: Route) -> Listed:
    upstream = route.upstream
    window = upstream.context.get(route.model)
    told = [dialect.images for dialect in upstream.dialect.values() if "images" in dialect.said]
    try:
        preset = world.load_preset(upstream.preset)
    except CcsetupError:
        return Listed(name, upstream.name, window, any(told))
    model, region = preset.model(route.model), preset.region(upstream.region)
    codex = region.codex if region else None
    levels, usual = (codex.efforts, codex.default_effort) if isinstance(codex, CodexEndpoint) else ((), "")
    return Listed(name, upstream.name, window, any(told or [bool(model and model.vision)]), levels, usual)
