"""Which upstreams may answer for a model, in which order, and by which name.  Pure.

An id goes to those that own it first, in the order of the file: to upstreams that name it in ``models``, as their
``default_model`` or in ``map`` and serve it as itself; an id that nobody owns, to primary ones that name it.  The
others come after them, each with the model that its ``map`` or ``default_model`` says: so the file says that they may
answer for it.  ``NAME/MODEL`` asks one upstream by its name; an id with a slash that somebody owns comes before that.
``MODEL-thinking``, where nobody has that name and somebody has MODEL, asks for MODEL with thinking switched on.  An id
that Claude Code's picker has from the relay (``picker``) is taken apart again.
Names that Claude Code and Codex ask for by themselves go to whoever is first; any other name that nobody knows goes
nowhere.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Iterable, Literal, NamedTuple, Optional, Sequence

from ccsetup.clients.claude import picker
from ccsetup.relay.config.model import Upstream

Claim = Literal["own", "alias", "stand-in", "open", "pattern", "usual", ""]

_USUAL = re.compile(r"(?:claude|gpt|codex|o\d)(?:[-.]|$)")
"""What both clients ask for when nobody tells them another name."""
THINKING = "-thinking"
_NAMED = ("own", "alias", "stand-in")
_GLOB = re.compile(r"[*?\[]")


class Route(NamedTuple):
    upstream: Upstream
    model: str
    """The upstream's name of it."""
    rank: int
    """0: it owns the model, or was named; else it answers for others.  Lower ranks are asked first."""
    thinking: bool = False
    """Thinking is to be switched on."""


def own_ids(upstream: Upstream) -> list[str]:
    """Return the ids that *upstream* serves as what they say, in the order of the file."""
    return [name for name in _names(upstream) if upstream.model(name) == name]


def _names(upstream: Upstream) -> list[str]:
    """Return the ids that *upstream* is said to serve, by whatever model."""
    named = (*upstream.models, *(pattern for pattern, _name in upstream.map), upstream.default_model)
    return [name for name in dict.fromkeys(named) if name and not _GLOB.search(name) and upstream.serves(name)]


def advertised(upstreams: Iterable[Upstream]) -> dict[str, str]:
    """Return the ids that clients can ask for, each with the upstream that it goes to first."""
    among = [upstream for upstream in ordered(upstreams) if upstream.enabled]
    ids: dict[str, str] = {}
    for upstream in among:
        for name in own_ids(upstream):
            ids.setdefault(name, upstream.name)
    for name in (name for upstream in among for name in _names(upstream)):
        ids.setdefault(name, routes(among, name)[0].upstream.name)
    return ids


def listing(upstreams: Iterable[Upstream]) -> dict[str, Route]:
    """Return every model of every upstream by an id that asks its owner for it, with where that leads first.

    The model of one whose id another upstream owns is ``NAME/MODEL``.
    """
    among = [upstream for upstream in ordered(upstreams) if upstream.enabled]
    owners = advertised(among)
    ids = [*owners, *(f"{u.name}/{name}" for u in among for name in own_ids(u) if owners[name] != u.name)]
    return {name: routes(among, name)[0] for name in ids}


def ordered(upstreams: Iterable[Upstream]) -> list[Upstream]:
    """Return *upstreams* in the order in which they are asked: by group, then by priority."""
    return sorted(upstreams, key=level)


def level(upstream: Upstream) -> tuple[int, int]:
    return (0 if upstream.group == "primary" else 1, upstream.priority)


def claim(upstream: Upstream, asked: str) -> Claim:
    """Return by what *upstream* may be asked for *asked*; "" for nothing."""
    if not upstream.serves(asked):
        return ""
    listed = any(p != "*" and fnmatchcase(asked, p) for p in upstream.models)
    if listed or asked == upstream.default_model or any(pattern == asked for pattern, _name in upstream.map):
        if upstream.model(asked) == asked:
            return "own"
        return "alias" if upstream.group == "primary" else "stand-in"
    if any(_GLOB.search(pattern) and fnmatchcase(asked, pattern) for pattern, _name in upstream.map):
        return "pattern"
    if upstream.model(asked) == asked:
        return "open"
    return "usual" if _USUAL.match(asked) else ""


def routes(upstreams: Sequence[Upstream], asked: str) -> list[Route]:
    """Return where a request for *asked* may go, of *upstreams* in their order; [] when nobody knows the name."""
    claims = [claim(upstream, asked) for upstream in upstreams]
    enabled = [one for upstream, one in zip(upstreams, claims, strict=True) if upstream.enabled]
    first = next((kind for kind in ("own", "alias") if kind in enabled), "")
    known = first or "stand-in" in enabled
    if not known and (meant := picker.meant(asked)):
        return routes(upstreams, meant)
    if not known and (named := _named(upstreams, asked)) is not None:
        others = [route for route in routes(upstreams, named.model) if route.upstream is not named.upstream]
        own = named._replace(model=named.upstream.model(named.model))
        return [own, *(route._replace(rank=route.rank + 1, thinking=own.thinking) for route in others)]
    if not known and _thinks([upstream for upstream in upstreams if upstream.enabled], asked):
        return [route._replace(thinking=True) for route in routes(upstreams, asked.removesuffix(THINKING))]
    found = []
    for upstream, one in zip(upstreams, claims, strict=True):
        if one or (known and upstream.serves(asked)):
            found.append(Route(upstream, upstream.model(asked), 0 if not first or one == first else 1))
    return sorted(found, key=lambda route: route.rank)


def _named(upstreams: Sequence[Upstream], asked: str) -> Optional[Route]:
    """Return what *asked* names as ``NAME/MODEL``, with the model as it is asked for there."""
    name, slash, model = asked.partition("/")
    upstream = next((u for u in upstreams if u.name == name), None) if slash and model else None
    if upstream is None:
        return None
    if _thinks([upstream], model):
        return Route(upstream, model.removesuffix(THINKING), 0, True)
    return Route(upstream, model, 0) if claim(upstream, model) else None


def _thinks(upstreams: Sequence[Upstream], asked: str) -> bool:
    """Whether *asked* is a model that one of *upstreams* has, with thinking, and is not itself the name of one."""

    def has(upstream: Upstream) -> bool:
        kind = claim(upstream, asked)
        return kind in _NAMED or (kind == "pattern" and upstream.model(asked) == asked)

    return (
        asked.endswith(THINKING)
        and not any(map(has, upstreams))
        and any(claim(upstream, asked.removesuffix(THINKING)) in _NAMED for upstream in upstreams)
    )


def ambiguous(upstreams: Sequence[Upstream]) -> list[tuple[str, str, str]]:
    """Return (id, its owner, the upstream that it also names) for ids that mean two things."""
    owners: dict[str, str] = {}
    for upstream in upstreams:
        for name in own_ids(upstream):
            owners.setdefault(name, upstream.name)
    found = []
    for name, owner in owners.items():
        prefix, slash, model = name.partition("/")
        if slash and prefix != owner and any(u.name == prefix and model in own_ids(u) for u in upstreams):
            found.append((name, owner, prefix))
    return found
