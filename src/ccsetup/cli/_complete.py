"""What Tab offers for the values of options.  Nothing here raises: a shell would show it in the middle of a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Iterable

import typer

if TYPE_CHECKING:
    from ccsetup.model import Preset


def _offer(words: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    try:
        return [word for word in words() if word.startswith(incomplete)]
    except Exception:
        return []


def profiles(incomplete: str) -> list[str]:
    """Return the saved profiles."""
    from ccsetup.cli._context import Context

    return _offer(lambda: Context().world().profiles, incomplete)


def profiles_or_official(incomplete: str) -> list[str]:
    """Return the same, with the name that takes the provider away."""
    from ccsetup.profiles import OFFICIAL

    return [*profiles(incomplete), *_offer(lambda: (OFFICIAL,), incomplete)]


def upstreams(incomplete: str) -> list[str]:
    """Return the upstreams of relay.yaml."""
    from ccsetup.cli._context import Context
    from ccsetup.cli.relay import _base

    context = Context()
    return _offer(lambda: [u.name for u in _base.load(context, _base.here(context)).upstreams], incomplete)


def providers(incomplete: str) -> list[str]:
    from ccsetup import presets
    from ccsetup.cli._context import Context

    return _offer(lambda: presets.ids(Context().paths.user_presets), incomplete)


def clients(incomplete: str) -> list[str]:
    from ccsetup.clients import CLIENTS

    return _offer(lambda: [*CLIENTS, "all"], incomplete)


def storages(incomplete: str) -> list[str]:
    from ccsetup.model import KEY_STORAGES

    return _offer(lambda: KEY_STORAGES, incomplete)


def languages(incomplete: str) -> list[str]:
    return _offer(lambda: ("en", "zh-CN"), incomplete)


def ways(incomplete: str) -> list[str]:
    """Return how Claude Code may send a key."""
    return _offer(lambda: ("auth_token", "api_key"), incomplete)


def regions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the regions of the provider that stands before."""
    return _offer(lambda: [region.id for region in _preset(ctx).regions], incomplete)


def models(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the models that the preset of the provider before names."""
    return _offer(lambda: [model.id for model in _preset(ctx).models], incomplete)


def _preset(ctx: typer.Context) -> Preset:
    from ccsetup.cli._context import Context

    return Context().preset(ctx.params["provider"])
