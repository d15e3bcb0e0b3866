"""Which upstream and key is asked next, and which ones rest.  Pure: time and chance are arguments.

    pool = Pool(config, random=Random())
    turn = pool.turn(Ask(...), now)          # one request of a client
    while (choice := turn.next(now)) is not None:
        ... send ...
        turn.succeeded(now)                  # the answer has begun
        decision = turn.failed(failure, now) # or not: wait decision.wait, then next()
    turn.finished(now)                       # always, at the very end: frees the upstream's place

An upstream that is switched off, out of its window, not allowed to the client, or that does not serve the model is
never asked.  One that rests is not asked either, not even when all rest: the client gets 503 and is told when to come
back (``Pool.wait``).  When a rest is over, one request at a time may try; if it fails the rest doubles.  Rests of the
only upstream for a model are noted but keep no request for it away: its own error says more than ours.

Inside a group and priority the strategy chooses.  A conversation stays with its upstream and key while both can be
used, but goes back from a backup as soon as a primary can be used.  A success makes up for one earlier failure, so
that rests come from upstreams that mostly fail, not from those that are asked most.

Who may answer for a model, and in which order, is said in ``routes``.  Times are Unix times.  A rest that would last
longer than any may, because a clock was set back, is over.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from random import Random
from typing import Callable, Collection, Iterable, Literal, Mapping, NamedTuple, Optional, Union

from ccsetup.keys.reference import KeyRef
from ccsetup.model import WireFormat
from ccsetup.relay.config import rules
from ccsetup.relay.config.model import Config, Rule, Upstream
from ccsetup.relay.config.switchboard import UNSET, Switchboard
from ccsetup.relay.http.base import NetworkFailure
from ccsetup.relay.routing import routes
from ccsetup.relay.routing.routes import Route
from ccsetup.relay.routing.windows import next_open, open_at
from ccsetup.relay.store import Rest

FailureKind = Union[Literal["status"], NetworkFailure]

MAX_CONVERSATIONS = 20_000
"""Conversations whose upstream is remembered."""

_MAX_MODELS, _MAX_NAME = 1000, 256
"""Names of models whose ways are remembered, and characters of one."""

WINDOW_ROUNDED = 1.1
"""A window is larger than what is said of it: 1M may be 1,048,576."""
_BUSY_SECONDS = 1.0
"""When to come back to upstreams that are only busy."""


class Ask(NamedTuple):
    wire: WireFormat
    """The client's."""
    model: str
    conversation: str = ""
    """What stays the same through a conversation; "" when it cannot be told."""
    allowed: Optional[frozenset[str]] = None
    """Names of the upstreams that the client's key may use; None: all."""
    tokens: int = 0
    """So many the prompt has for certain: models whose window is smaller are not asked.  0: not counted."""


class Choice(NamedTuple):
    """URL, key and model belong together: they are chosen as one."""

    upstream: Upstream
    key: int
    """Index into ``upstream.keys``; 0 where it has none."""
    wire: WireFormat
    """The upstream's: the client's own where it has an endpoint for it."""
    model: str
    """The upstream's name of the model."""
    moved: bool = False
    """An earlier answer of this conversation came from another upstream or by another key: its reasoning is foreign
    here."""
    instead: bool = False
    """Another upstream owns the model that was asked for."""
    thinking: bool = False
    """It is to think, whatever the request says."""
    all: str = ""
    """The target of all requests, where that one decided."""

    def told(self) -> dict[str, str]:
        """Return what each line of the log says of how it was chosen."""
        return {"all": self.all} if self.all else {}


class Failure(NamedTuple):
    kind: FailureKind
    status: int = 0
    body: str = ""
    """The beginning of it, at most 4 kB."""
    retry_after: Optional[float] = None
    """Seconds."""


class Decision(NamedTuple):
    again: bool
    """False: this failure is the client's answer, even if other upstreams are left."""
    wait: float = 0
    """Seconds before the next attempt."""


class UpstreamStatus(NamedTuple):
    name: str
    group: str
    available: bool
    why: str
    """Why it is not available: "disabled", "window", "resting", "probing", "keys", "busy"; "" when it is."""
    until: Optional[float]
    """Unix time at which it can be used again, where that is known."""
    keys: tuple[Optional[float], ...]
    """For each key until when it rests; None when it does not."""
    running: int
    failures: int
    """That count toward the threshold now."""
    reason: str
    """Of the rest."""


_WIRES: Mapping[WireFormat, tuple[WireFormat, ...]] = {
    # Chat carries plain thinking both ways; Responses of third parties mostly has it encrypted or not at all.
    "anthropic": ("anthropic", "chat", "responses"),
    "responses": ("responses", "chat", "anthropic"),
    # Responses knows every role, tool and format of Chat; Messages knows neither developer nor JSON schemas.
    "chat": ("chat", "responses", "anthropic"),
}


def wire_for(upstream: Upstream, asked: WireFormat) -> WireFormat:
    """Return the upstream's format for a request in *asked*: the same, or the one that loses least."""
    if asked == "anthropic" and asked not in upstream.endpoints and "responses" in upstream.endpoints:
        own = upstream.dialect.get("responses")
        if own is not None and own.official:  # OpenAI keeps its reasoning from one turn to the next only there
            return "responses"
    return next(wire for wire in _WIRES[asked] if wire in upstream.endpoints)


class _Key:
    """What is known of one key, by what it refers to: it stays when keys are written in another order."""

    __slots__ = ("probe", "rest", "used")

    def __init__(self) -> None:
        self.rest: Optional[_Rest] = None
        self.probe: Optional[Turn] = None
        self.used = 0


class _Rest(NamedTuple):
    until: float
    step: int
    reason: str


class _State:
    """What is known of one upstream, by its name: it outlives configurations."""

    __slots__ = ("credit", "failures", "keys", "picked", "probe", "rest", "running")

    def __init__(self) -> None:
        self.running = 0
        self.failures: deque[float] = deque()
        self.rest: Optional[_Rest] = None
        self.probe: Optional[Turn] = None
        self.picked = 0
        """When it was last chosen, as a count of choices."""
        self.credit = 0
        """For smooth weighted round robin."""
        self.keys: dict[KeyRef, _Key] = {}


class _Entry:
    """One upstream of the present configuration, with what is computed once."""

    __slots__ = ("keys", "longest", "name", "state", "upstream", "window", "wires")

    def __init__(self, upstream: Upstream, state: _State, missing: Collection[int], longest: float) -> None:
        """*longest*: seconds that a rest may last."""
        self.upstream = upstream
        self.longest = longest
        self.name = upstream.name
        self.state = state
        refs = upstream.keys or (KeyRef("", ""),)
        for ref in refs:
            state.keys.setdefault(ref, _Key())
        for gone in set(state.keys).difference(refs):
            del state.keys[gone]
        self.keys = tuple((n, ref, state.keys[ref]) for n, ref in enumerate(refs) if n not in missing)
        self.wires = {asked: wire_for(upstream, asked) for asked in _WIRES}
        self.window = (-1, False)

    def open(self, now: float) -> bool:
        if not self.upstream.windows:
            return True
        minute = int(now // 60)  # windows begin and end, and clocks change, at whole minutes
        if self.window[0] != minute:
            self.window = (minute, open_at(self.upstream.windows, self.upstream.zone, now))
        return self.window[1]

    def rests(self, rest: Optional[_Rest], now: float) -> bool:
        """Tell whether *rest*, of the upstream or of a key, is not over."""
        return rest is not None and now < rest.until <= now + self.longest

    def takes(self, key: _Key, now: float) -> bool:
        """Tell whether an attempt may take *key*."""
        return key.rest is None or (key.probe is None and not self.rests(key.rest, now))

    def usable(self, now: float, alone: bool = False) -> str:
        """Return "" when a new attempt may go there, else the word for why not (as in ``UpstreamStatus``).

        *alone*: nobody else could answer, so that its rests do not count.
        """
        state, upstream = self.state, self.upstream
        if not upstream.enabled:
            return "disabled"
        if not self.open(now):
            return "window"
        if state.rest is not None and not alone:
            if self.rests(state.rest, now):
                return "resting"
            if state.probe is not None:
                return "probing"
        if upstream.concurrency and state.running >= upstream.concurrency:
            return "busy"
        if alone and self.keys:
            return ""
        for _n, _ref, key in self.keys:
            if self.takes(key, now):
                return ""
        return "keys"


class _Way(NamedTuple):
    """Where a request may go as things are configured."""

    entry: _Entry
    model: str
    level: tuple[int, int, int]
    """Rank (``routes``), group, priority."""
    window: int
    """Tokens of the model's window, 0 where it is not known."""
    route: Route


_SHORTENING = ("truncation", "transforms", "plugins", "context_management")


def _window(upstream: Upstream, model: str) -> int:
    """Return the window of *model*; 0 also where the upstream is told to shorten a prompt, or to take a longer one."""
    told = any(name in upstream.extra_body for name in _SHORTENING)
    longer = any("context-1m" in value for value in upstream.headers.values())
    return 0 if told or longer else upstream.context.get(model, 0)


class _Ways(NamedTuple):
    ways: tuple[_Way, ...]
    """In the order in which they are asked."""
    alone: bool
    """Only one of them is switched on."""
    window: int
    """The smallest one that is known, 0 for none."""

    @classmethod
    def of(cls, ways: Iterable[_Way]) -> _Ways:
        own = tuple(ways)
        alone = sum(way.entry.upstream.enabled for way in own) == 1
        return cls(own, alone, min((way.window for way in own if way.window), default=0))

    def fitting(self, tokens: int) -> _Ways:
        """Return those for a prompt of at least so many tokens; none where the one that was chosen does not take it."""
        if not 0 < self.window * WINDOW_ROUNDED < tokens:
            return self
        chosen = next((way for way in self.ways if way.route.chosen), None)
        if chosen is not None and 0 < chosen.window * WINDOW_ROUNDED < tokens:
            return _Ways((), self.alone, 0)
        return _Ways.of(way for way in self.ways if not 0 < way.window * WINDOW_ROUNDED < tokens)


def _unfit(upstream: Upstream, ask: Ask) -> str:
    """Return why *ask* never goes to *upstream*."""
    if ask.allowed is not None and upstream.name not in ask.allowed:
        return "not allowed"
    return "format" if upstream.accepts and ask.wire not in upstream.accepts else "model"


class _Conversation(NamedTuple):
    upstream: str
    key: KeyRef
    last: float
    mixed: bool
    """Answers came from more than one upstream or key."""


def _ignore_rest(rest: Rest) -> None:
    """Without a store nobody wants to know."""


def _ignore_unrest(upstream: str, key: int) -> None:
    """Without a store nobody wants to know."""


class Pool:
    """All upstreams, for all requests.

    *missing* names keys, by upstream and index, that could not be read: they are never chosen.
    ``on_rest`` and ``on_unrest`` (upstream, key; -1 is the upstream itself) tell a store.
    """

    def __init__(
        self,
        config: Config,
        random: Optional[Random] = None,
        *,
        missing: Mapping[str, Collection[int]] = {},
        board: Switchboard = UNSET,
        on_rest: Callable[[Rest], None] = _ignore_rest,
        on_unrest: Callable[[str, int], None] = _ignore_unrest,
    ) -> None:
        self.on_rest = on_rest
        self.on_unrest = on_unrest
        self.random = random or Random()  # noqa: S311  spreads retries, guards nothing
        self.conversations: OrderedDict[str, _Conversation] = OrderedDict()
        self.picks = 0
        self._states: dict[str, _State] = {}
        self.board = board
        self.replace(config, missing=missing)

    def replace(self, config: Config, *, missing: Mapping[str, Collection[int]] = {}) -> None:
        """Take a new configuration over.  What is known of upstreams that keep their names stays; attempts that run
        go on, and those that begin later, also of requests that run, follow the new one."""
        self.config = config
        names = {u.name for u in config.upstreams}
        states = {name: state for name, state in self._states.items() if name in names}
        for name in names.difference(states):
            states[name] = _State()
        self._states = states
        longest = max(config.cooldown.maximum, config.cooldown.seconds, *(rule.seconds for rule in config.rules), 0)
        upstreams = routes.ordered(config.upstreams)
        self.entries = [_Entry(u, states[u.name], missing.get(u.name, ()), longest) for u in upstreams]
        self.by_name = {e.name: e for e in self.entries}
        self._alone = sum(u.enabled for u in config.upstreams) == 1
        self._ways: dict[tuple[WireFormat, str, Optional[frozenset[str]]], _Ways] = {}

    def steer(self, board: Switchboard) -> None:
        """Have the reserved ids lead elsewhere, for attempts that begin later."""
        self.board = board
        self._ways.clear()
        # None stays where it was led before; whose answers it has is still to be known.
        for name, known in self.conversations.items():
            self.conversations[name] = known._replace(last=0)

    def turn(self, ask: Ask, now: float) -> Turn:
        return Turn(self, ask, now)

    def ways(self, ask: Ask) -> _Ways:
        """Return where *ask* may go, whatever rests now."""
        about = (ask.wire, ask.model, ask.allowed)
        found = self._ways.get(about)
        if found is None:
            if len(self._ways) >= _MAX_MODELS:
                self._ways.clear()
            among = [e.upstream for e in self.entries if ask.allowed is None or e.name in ask.allowed]
            found = _Ways.of(
                _Way(self.by_name[u.name], route.model, (route.rank, *routes.level(u)), _window(u, route.model), route)
                for route in routes.routes(among, ask.model, self.board)
                if not (u := route.upstream).accepts or ask.wire in u.accepts
            )
            if len(ask.model) <= _MAX_NAME:
                self._ways[about] = found
        return found.fitting(ask.tokens) if ask.tokens else found

    def several(self, ask: Ask) -> bool:
        """Tell whether requests like *ask* may go more than one way, so that their conversation matters."""
        return sum(len(way.entry.keys) for way in self.ways(ask).ways if way.entry.upstream.enabled) > 1

    # For people and for the store.

    def candidates(self, ask: Ask, now: float) -> list[tuple[Upstream, str]]:
        """Return every upstream in order with the word for why *ask* cannot go there, "" when it can.

        Besides the words of ``UpstreamStatus``: "not allowed", "format", "model", "context".
        """
        ways, alone, _window = self.ways(ask)
        found = [(way.entry.upstream, way.entry.usable(now, alone)) for way in ways]
        fit = {upstream.name for upstream, _why in found}
        small = {way.entry.name for way in self.ways(ask._replace(tokens=0)).ways if way.entry.upstream.enabled}
        left = [e.upstream for e in self.entries if e.name not in fit]
        return found + [(u, "context" if u.name in small else _unfit(u, ask)) for u in left]

    def model(self, ask: Ask, upstream: Upstream) -> tuple[str, bool]:
        """Return the name by which *ask*'s model goes to *upstream*, and whether it is to think there."""
        found = ((way.model, way.route.thinking) for way in self.ways(ask).ways if way.entry.name == upstream.name)
        return next(found, (upstream.model(ask.model), False))

    def wait(self, ask: Ask, now: float) -> Optional[float]:
        """Return in how many seconds an upstream for *ask* may be usable, None when waiting will not help."""
        found = [self._available(way.entry, now) for way in self.ways(ask).ways]
        return min((at - now for at in found if at is not None), default=None)

    def _available(self, entry: _Entry, now: float) -> Optional[float]:
        """Return when *entry* may be usable, as far as it can be told; None: never by itself."""
        if not entry.upstream.enabled or not entry.keys:
            return None
        at = now
        state = entry.state
        if state.rest is not None and entry.rests(state.rest, now):
            at = max(at, state.rest.until)
        keys = [key.rest.until if key.rest and entry.rests(key.rest, now) else now for _n, _ref, key in entry.keys]
        at = max(at, min(keys))
        opens = next_open(entry.upstream.windows, entry.upstream.zone, at)
        if opens is None:
            return None
        if opens <= now and entry.usable(now):
            return now + _BUSY_SECONDS
        return opens

    def status(self, now: float) -> list[UpstreamStatus]:
        out = []
        for entry in self.entries:
            state, why = entry.state, entry.usable(now, self._alone)
            known = {n: key.rest for n, _ref, key in entry.keys}
            rests = [known.get(n) for n in range(len(entry.upstream.keys))]
            until = self._available(entry, now) if why in ("window", "resting", "keys") else None
            self._forget(state, now)
            reason = state.rest.reason if state.rest is not None else ""
            if why == "keys":
                reason = next((r.reason for r in rests if r is not None and entry.rests(r, now)), "")
            out.append(
                UpstreamStatus(
                    name=entry.name,
                    group=entry.upstream.group,
                    available=not why,
                    why=why,
                    until=until,
                    keys=tuple(r.until if r is not None and entry.rests(r, now) else None for r in rests),
                    running=state.running,
                    failures=len(state.failures),
                    reason=reason,
                )
            )
        return out

    def rests(self, now: float) -> list[Rest]:
        """Return the rests that are not over."""
        out = []
        for entry in self.entries:
            for n, rest in ((-1, entry.state.rest), *((n, key.rest) for n, _ref, key in entry.keys)):
                if rest is not None and entry.rests(rest, now):
                    out.append(Rest(entry.name, n, rest.until, rest.step, rest.reason))
        return out

    def restore(self, rests: Iterable[Rest]) -> None:
        """Take over rests from an earlier run or another relay; those that last longer here stay."""
        for one in rests:
            entry = self.by_name.get(one.upstream)
            if entry is None:
                continue
            holders = [entry.state] if one.key < 0 else [key for n, _ref, key in entry.keys if n == one.key]
            for holder in holders:
                if holder.rest is None or holder.rest.until < one.until:
                    holder.rest = _Rest(one.until, one.step, one.reason)

    def unrest(self, upstream: str, key: int) -> None:
        """Forget a rest that another relay ended; ``on_unrest`` does not hear of it."""
        entry = self.by_name.get(upstream)
        if entry is None:
            return
        if key < 0:
            entry.state.rest = None
        for n, _ref, one in entry.keys:
            if n == key:
                one.rest = None

    def reset(self, upstream: str = "") -> None:
        """End the rests of *upstream* and of its keys, of all upstreams when it is empty, and forget failures."""
        for entry in self.entries:
            if upstream and entry.name != upstream:
                continue
            entry.state.failures.clear()
            self._recover(entry)
            for n, _ref, key in entry.keys:
                if key.rest is not None:
                    key.rest = None
                    self.on_unrest(entry.name, n)

    # For turns.

    def pick(self, ask: Ask, now: float, tried: Collection[str]) -> Optional[_Way]:
        """Return the way of a first attempt, or of one after those upstreams *tried* have failed."""
        ways, alone, _window = self.ways(ask)
        sticky = self._sticky(ask, now) if not tried and ask.conversation else None
        if sticky is None and self.config.strategy == "failover":
            for way in ways:
                if way.entry.name not in tried and not way.entry.usable(now, alone):
                    return way
            return None
        best: list[_Way] = []
        for way in ways:
            if best and way.level != best[0].level:
                if sticky is None or way.level[:2] != best[0].level[:2]:
                    break
                if way.entry is not sticky:
                    continue
            if way.entry.name in tried or way.entry.usable(now, alone):
                continue
            if way.entry is sticky:
                return way
            best.append(way)
        return self._strategy(best) if len(best) > 1 else best[0] if best else None

    def others(self, ask: Ask, now: float, tried: Collection[str]) -> bool:
        """Tell whether an upstream that is not in *tried* could be asked now."""
        ways, alone, _window = self.ways(ask)
        return any(way.entry.name not in tried and not way.entry.usable(now, alone) for way in ways)

    def usable(self, ask: Ask, name: str, now: float) -> Optional[_Way]:
        """Return the way of *ask* to the upstream *name*, None when it cannot be asked now."""
        ways, alone, _window = self.ways(ask)
        way = next((way for way in ways if way.entry.name == name), None)
        return way if way is not None and not way.entry.usable(now, alone) else None

    def current(self, entry: _Entry) -> Optional[_Entry]:
        """Return *entry* as the present configuration has it, None when its upstream is gone."""
        found = self.by_name.get(entry.name)
        return found if found is not None and found.state is entry.state else None

    def _sticky(self, ask: Ask, now: float) -> Optional[_Entry]:
        known = self.conversations.get(ask.conversation) if self.config.sticky else None
        if known is None or known.last + self.config.sticky < now:
            return None
        return self.by_name.get(known.upstream)

    def _strategy(self, level: list[_Way]) -> _Way:
        strategy = self.config.strategy
        if strategy == "round_robin":
            return min(level, key=lambda way: way.entry.state.picked)
        if strategy == "least_busy":
            return min(level, key=lambda w: (w.entry.state.running / w.entry.upstream.weight, w.entry.state.picked))
        if strategy == "weighted":
            total = 0
            for way in level:
                way.entry.state.credit += way.entry.upstream.weight
                total += way.entry.upstream.weight
            best = max(level, key=lambda way: way.entry.state.credit)
            best.entry.state.credit -= total
            return best
        return level[0]

    def pick_key(self, entry: _Entry, ask: Ask, now: float, tried: Collection[tuple[str, KeyRef]]) -> Optional[int]:
        """Return the position in ``entry.keys``: the conversation's, else the least used for a new conversation and
        the first where conversations cannot be told apart, so that a provider's cache is found again."""
        keys, alone = entry.keys, self.ways(ask).alone
        if len(keys) == 1 and not tried:
            return 0 if alone or entry.takes(keys[0][2], now) else None
        left = [n for n, (_i, ref, _key) in enumerate(keys) if (entry.name, ref) not in tried]
        usable = [n for n in left if entry.takes(keys[n][2], now)]
        if not usable:
            if not left or not alone:
                return None
            return min(left, key=lambda n: rest.until if (rest := keys[n][2].rest) is not None else now)
        if not ask.conversation:
            return usable[0]
        known = self.conversations.get(ask.conversation)
        if known is not None and known.upstream == entry.name:
            for n in usable:
                if keys[n][1] == known.key:
                    return n
        return min(usable, key=lambda n: keys[n][2].used)

    def moved(self, ask: Ask, name: str, key: KeyRef) -> bool:
        known = self.conversations.get(ask.conversation) if ask.conversation else None
        return known is not None and (known.mixed or known.upstream != name or known.key != key)

    def remember(self, ask: Ask, name: str, key: KeyRef, now: float) -> None:
        """Note that *ask*'s conversation got an answer of this upstream by this key."""
        if not ask.conversation:
            return
        mixed = self.moved(ask, name, key)
        self.conversations[ask.conversation] = _Conversation(name, key, now, mixed)
        self.conversations.move_to_end(ask.conversation)
        if len(self.conversations) > MAX_CONVERSATIONS:
            self.conversations.popitem(last=False)

    def alive(self, entry: _Entry) -> None:
        """The upstream answered: one earlier failure is made up for, and its rest is over for good."""
        self.make_up(entry)
        self.begun(entry)

    def make_up(self, entry: _Entry) -> None:
        if entry.state.failures:
            entry.state.failures.popleft()

    def begun(self, entry: _Entry) -> None:
        """An answer has begun: the upstream's rest is over.  Earlier failures are made up for when it is complete."""
        state = entry.state
        if state.rest is not None:
            state.failures.clear()
            self._recover(entry)

    def _recover(self, entry: _Entry) -> None:
        if entry.state.rest is not None:
            entry.state.rest = None
            self.on_unrest(entry.name, -1)

    def count(self, entry: _Entry, now: float, reason: str, retry_after: Optional[float]) -> None:
        """Count a failure of the upstream.  It rests at the threshold, when it failed after a rest, and when it asks
        for more time than a request waits."""
        state = entry.state
        self._forget(state, now)
        state.failures.append(now)
        probed = state.rest is not None and state.rest.until <= now
        if retry_after is not None and retry_after > self.config.retry.backoff_max:
            self.rest_upstream(entry, now, reason, min(retry_after, self.config.cooldown.maximum), None)
        elif probed or len(state.failures) >= self.config.cooldown.failures:
            self.rest_upstream(entry, now, reason, 0, retry_after)

    def _forget(self, state: _State, now: float) -> None:
        while state.failures and state.failures[0] <= now - self.config.cooldown.window:
            state.failures.popleft()

    def rest_upstream(
        self, entry: _Entry, now: float, reason: str, seconds: float, retry_after: Optional[float]
    ) -> None:
        entry.state.failures.clear()
        rest = self._rest(entry.state.rest, now, reason, seconds, retry_after)
        if rest is not None:
            entry.state.rest = rest
            self.on_rest(Rest(entry.name, -1, *rest))

    def rest_key(
        self, entry: _Entry, ref: KeyRef, now: float, reason: str, seconds: float, retry_after: Optional[float]
    ) -> None:
        for n, own, key in entry.keys:
            if own == ref:
                rest = self._rest(key.rest, now, reason, seconds, retry_after)
                if rest is not None:
                    key.rest = rest
                    self.on_rest(Rest(entry.name, n, *rest))

    def key_good(self, entry: _Entry, ref: KeyRef) -> None:
        state = entry.state.keys.get(ref)
        if state is None or state.rest is None:
            return
        for n, own, key in entry.keys:
            if own == ref:
                key.rest = None
                self.on_unrest(entry.name, n)

    def _rest(
        self, old: Optional[_Rest], now: float, reason: str, seconds: float, retry_after: Optional[float]
    ) -> Optional[_Rest]:
        """Return the new rest, None when the *old* one lasts at least as long."""
        cooldown = self.config.cooldown
        again = old is not None and old.until <= now
        step = 0 if old is None else old.step + 1 if again else old.step
        base = seconds or cooldown.seconds
        length = min(base * 2.0 ** min(step, 40), max(base, cooldown.maximum))
        if retry_after is not None:
            length = max(length, min(retry_after, cooldown.maximum))
        if old is not None and old.until >= now + length:
            return None
        return _Rest(now + length, step, reason)


_NO_KEY = KeyRef("", "")


class Turn:
    """One request of a client, from its first attempt to the end of the answer."""

    __slots__ = (
        "_deadline", "_entry", "_key", "_pool", "_same", "_stay", "_succeeded", "_tried", "_tried_keys", "ask",
        "attempts",
    )  # fmt: skip

    def __init__(self, pool: Pool, ask: Ask, now: float) -> None:
        self._pool = pool
        self.ask = ask
        self.attempts = 0
        self._deadline = now + pool.config.retry.seconds
        self._entry: Optional[_Entry] = None
        """Of the attempt that runs."""
        self._key = _NO_KEY
        self._succeeded = False
        self._stay = ""
        """The upstream that the next attempt goes to: for ``retry`` and ``next_key``."""
        self._same = 0
        self._tried: frozenset[str] = frozenset()
        self._tried_keys: frozenset[tuple[str, KeyRef]] = frozenset()

    def next(self, now: float) -> Optional[Choice]:
        """Return where the next attempt goes; None when nothing is left, or the budget is used up."""
        pool = self._pool
        self._leave()
        if self._succeeded or self.attempts >= pool.config.retry.attempts or now > self._deadline:
            return None
        while True:
            way = (self._staying(now) if self._stay else None) or pool.pick(self.ask, now, self._tried)
            if way is None:
                return None
            position = pool.pick_key(way.entry, self.ask, now, self._tried_keys)
            if position is not None:
                return self._take(way, position)
            self._tried |= {way.entry.name}

    def _staying(self, now: float) -> Optional[_Way]:
        name, self._stay = self._stay, ""
        way = self._pool.usable(self.ask, name, now)
        if way is None:
            self._tried |= {name}
        return way

    def _take(self, way: _Way, position: int) -> Choice:
        entry = way.entry
        pool, ask, state = self._pool, self.ask, entry.state
        index, ref, key = entry.keys[position]
        pool.picks += 1
        state.picked = key.used = pool.picks
        state.running += 1
        if state.rest is not None:
            state.probe = self
        if key.rest is not None:
            key.probe = self
        self.attempts += 1
        self._entry, self._key = entry, ref
        moved = pool.moved(ask, entry.name, ref)
        instead, route = way.level[0] > 0, way.route
        wire = entry.wires[ask.wire]
        return Choice(entry.upstream, index, wire, way.model, moved, instead, route.thinking, route.all)

    def succeeded(self, now: float) -> None:
        """The answer has begun: from here on it is this upstream's."""
        assert self._entry is not None
        self._succeeded = True
        pool, entry = self._pool, self._pool.current(self._entry)
        if entry is not None:
            pool.begun(entry)
            pool.key_good(entry, self._key)
        pool.remember(self.ask, self._entry.name, self._key, now)

    def failed(self, failure: Failure, now: float, *, outgrown: bool = False) -> Decision:
        """Note what became of the attempt, also when it failed after its answer had begun (then never ``again``).

        *outgrown*: the prompt is too long for the model, so that one with a larger window may still take it.
        """
        assert self._entry is not None
        pool, retry, name = self._pool, self._pool.config.retry, self._entry.name
        rule = rules.first(pool.config.rules, failure.kind, failure.status, failure.body)
        entry = pool.current(self._entry)
        if entry is not None:
            self._note(entry, rule, failure, now)
        self._leave()
        larger = outgrown and not self._succeeded and self._larger(name, now)
        if (
            self._succeeded
            or (rule.action == "stop" and not larger)
            or self.attempts >= retry.attempts
            or now > self._deadline
        ):
            return Decision(False)
        if rule.action == "retry" and self._same < retry.same and pool.usable(self.ask, name, now) is not None:
            wait = self._wait(failure, name, now)
            if wait is not None:
                self._same += 1
                self._stay = name
                return Decision(True, wait)
        self._same = 0
        if rule.action == "next_key" and not larger:
            self._tried_keys |= {(name, self._key)}
            self._stay = name
        else:
            self._tried |= {name}
        return Decision(True)

    def _larger(self, name: str, now: float) -> bool:
        """Whether another upstream has a larger window than *name*, as far as windows are known; then it is next."""
        pool = self._pool
        window = next((way.window for way in pool.ways(self.ask).ways if way.entry.name == name), 0)
        longer = self.ask._replace(tokens=int(window * WINDOW_ROUNDED) + 1)
        ways, alone, _window = pool.ways(longer)
        if not window or not any(way.window > window and not way.entry.usable(now, alone) for way in ways):
            return False
        self.ask = longer
        return True

    def _note(self, entry: _Entry, rule: Rule, failure: Failure, now: float) -> None:
        """Count the failure where it belongs."""
        pool = self._pool
        reason = str(failure.status) if failure.kind == "status" else failure.kind
        if rule.cool == "key":
            pool.rest_key(entry, self._key, now, reason, rule.seconds, failure.retry_after)
        elif rule.cool == "upstream":
            pool.rest_upstream(entry, now, reason, rule.seconds, failure.retry_after)
        if rule.counts and rule.cool != "upstream":
            pool.count(entry, now, reason, failure.retry_after)
        elif failure.kind == "status" and not rule.cool:
            pool.alive(entry)  # it is there, and understood enough to refuse

    def _wait(self, failure: Failure, name: str, now: float) -> Optional[float]:
        """Return how long to wait before the same upstream is asked again, None when that would be too long."""
        retry = self._pool.config.retry
        wait = min(retry.backoff * 2.0 ** min(self._same, 40), retry.backoff_max)
        wait *= 1 - retry.jitter * self._pool.random.random()
        if failure.retry_after is not None and failure.retry_after > wait:
            if self._pool.others(self.ask, now, {*self._tried, name}):
                return None
            wait = failure.retry_after
        return wait if wait <= retry.backoff_max and now + wait <= self._deadline else None

    def finished(self, now: float) -> None:
        """Free the upstream's place.  May be called again, and without any attempt."""
        pool, entry = self._pool, self._entry
        if self._succeeded and entry is not None:
            present = pool.current(entry)
            if present is not None:
                pool.make_up(present)
            known = pool.conversations.get(self.ask.conversation) if self.ask.conversation else None
            if known is not None and known.upstream == entry.name and known.last < now:
                pool.conversations[self.ask.conversation] = known._replace(last=now)
        self._leave()

    def _leave(self) -> None:
        entry, self._entry = self._entry, None
        if entry is None:
            return
        state = entry.state
        state.running -= 1
        if state.probe is self:
            state.probe = None
        key = state.keys.get(self._key)
        if key is not None and key.probe is self:
            key.probe = None
