"""Which upstreams may answer for a model, in which order, and by which name.  Pure.

An id goes to those that own it first, in the order of the file: to upstreams that name it in ``models``, as their
``default_model`` or in ``map`` and serve it as itself; an id that nobody owns, to primary ones that name it.  The
others come after them, each with the model that its ``map`` or ``default_model`` says: so the file says that they may
answer for it.  ``NAME/MODEL`` asks one upstream by its name; an id with a slash that somebody owns comes before that.
``MODEL-thinking``, where nobody has that name and somebody has MODEL, asks for MODEL with thinking switched on.  An id
that Claude Code's picker has from the relay (``picker``) is taken apart again.
Names that Claude Code and Codex ask for by themselves go to whoever is first; any other name that nobody knows goes
nowhere.

The reserved ids (``profiles.reserved``) lead to what a ``Switchboard`` says; without a target to whoever is first.  A
target that no upstream has is as one that is not set.  With a target for all, every id leads there.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Iterable, Literal, NamedTuple, Optional, Sequence

from ccsetup.clients.claude import picker
from ccsetup.profiles import reserved
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.config.switchboard import UNSET, Switchboard

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
    chosen: bool = False
    """A target of the switchboard leads here: what it cannot take goes nowhere else."""
    all: str = ""
    """The target for all, where that one decided."""


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
        ids.setdefault(name, _owned(among, name)[0].upstream.name)
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


def routes(upstreams: Sequence[Upstream], asked: str, board: Switchboard = UNSET) -> list[Route]:
    """Return where a request for *asked* may go, of *upstreams* in their order; [] when nobody knows the name."""
    use = use_of(asked)
    thinking = bool(use) and (picker.meant(asked) or asked).endswith(THINKING)
    for target in (board.all, *((board.tiers.get(use, ""), board.default) if use else ())):
        led = _led(upstreams, target, use, asked)
        if led is not None:
            forced = target if target == board.all else ""
            first = led._replace(thinking=led.thinking or (thinking and not forced), chosen=True, all=forced)
            others = _standing_in(upstreams, use, asked, 1)
            return [first, *(one._replace(all=forced) for one in others if one.upstream is not led.upstream)]
    if not use:
        return _owned(upstreams, asked)
    found = _standing_in(upstreams, use, asked, 0) or [
        Route(upstream, model, 0) for upstream in upstreams if (model := _model(upstream, use, asked))
    ]
    return [route._replace(thinking=thinking) for route in found]


def use_of(asked: str) -> str:
    """Return what *asked* is reserved for, also as a list of models has it, or with thinking; "" for any other id."""
    plain = picker.meant(asked) or asked
    return reserved.use_of(plain) or reserved.use_of(plain.removesuffix(THINKING))


def target(upstreams: Sequence[Upstream], text: str) -> Optional[Route]:
    """Return what *text* names: an upstream alone (model ""), or one of the models of one; None where it is neither."""
    among = [upstream for upstream in upstreams if upstream.enabled]
    alone = next((upstream for upstream in among if upstream.name == text), None)
    if alone is not None:
        return Route(alone, "", 0)
    if text and (_thinks(among, text) or any(claim(upstream, text) in _NAMED for upstream in among)):
        return _owned(among, text)[0]
    named = _named(among, text)
    if named is None or claim(named.upstream, named.model) == "usual":
        return None
    return named._replace(model=named.upstream.model(named.model))


def targets(upstreams: Iterable[Upstream]) -> list[str]:
    """Return what can be a target, as people would write it."""
    return [
        text
        for upstream in ordered(upstreams)
        if upstream.enabled
        for text in (upstream.name, *(f"{upstream.name}/{name}" for name in own_ids(upstream)))
    ]


def lost(upstreams: Sequence[Upstream], board: Switchboard) -> dict[str, str]:
    """Return the targets of *board* that no upstream has, by what they are for."""
    return {use: text for use, text in board.set().items() if _led(upstreams, text, use, "") is None}


def _led(upstreams: Sequence[Upstream], text: str, use: str, asked: str) -> Optional[Route]:
    """Return where the target *text* leads a request for *asked*, which is for *use*; None where that is nowhere."""
    found = target(upstreams, text) if text else None
    if found is None or found.model:
        return found
    model = _model(found.upstream, use, asked)
    return found._replace(model=model) if model else None


def _standing_in(upstreams: Sequence[Upstream], use: str, asked: str, rank: int) -> list[Route]:
    """Return who may be asked for any name of a client's own, each with its model for *use*."""
    models = ((u, _model(u, use, asked)) for u in upstreams if claim(u, _usual(use)))
    return [Route(upstream, model, rank) for upstream, model in models if model]


def _usual(use: str) -> str:
    return f"claude-{use}"


def _model(upstream: Upstream, use: str, asked: str) -> str:
    """Return *upstream*'s model for *use*, or, where there is none, for *asked*; "" where it names no model."""
    if not use and claim(upstream, asked) in (*_NAMED, "pattern"):
        return upstream.model(asked)
    if use in reserved.TIERS:
        name = upstream.model(_usual(use))
        if name not in (_usual(use), upstream.default_model):
            return name
        # Whoever passes names of Anthropic's on has such models.
        own = (known for known in upstream.context if "claude" in known and use in known)
        if name == _usual(use) and (found := next(own, "")):
            return found
    return upstream.default_model or next(iter(own_ids(upstream)), "")


def _owned(upstreams: Sequence[Upstream], asked: str) -> list[Route]:
    """Return where a request for *asked* goes that no switchboard leads."""
    claims = [claim(upstream, asked) for upstream in upstreams]
    enabled = [one for upstream, one in zip(upstreams, claims, strict=True) if upstream.enabled]
    first = next((kind for kind in ("own", "alias") if kind in enabled), "")
    known = first or "stand-in" in enabled
    if not known and (meant := picker.meant(asked)):
        return _owned(upstreams, meant)
    if not known and _thinks([upstream for upstream in upstreams if upstream.enabled], asked):
        return [route._replace(thinking=True) for route in _owned(upstreams, asked.removesuffix(THINKING))]
    if not known and (named := _named(upstreams, asked)) is not None:
        others = [route for route in _owned(upstreams, named.model) if route.upstream is not named.upstream]
        own = named._replace(model=named.upstream.model(named.model))
        return [own, *(route._replace(rank=route.rank + 1, thinking=own.thinking) for route in others)]
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
