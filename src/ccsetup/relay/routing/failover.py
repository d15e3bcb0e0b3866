"""Which upstream and key is asked next; what rests is in ``resting``.  Pure: time and chance are arguments.

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

from collections import OrderedDict
from random import Random
from typing import Callable, Collection, Mapping, NamedTuple, Optional

from ccsetup.keys.reference import KeyRef
from ccsetup.model import WireFormat
from ccsetup.relay.config import rules
from ccsetup.relay.config.model import Config, Rule, Upstream
from ccsetup.relay.config.switchboard import UNSET, Switchboard
from ccsetup.relay.routing import routes
from ccsetup.relay.routing.choice import Ask, Choice, Decision, Failure
from ccsetup.relay.routing.resting import PoolMember, Resting, ignore_rest, ignore_unrest
from ccsetup.relay.routing.ways import WINDOW_ROUNDED, Candidate, Candidates, unfit, window_of
from ccsetup.relay.store import Rest

MAX_CONVERSATIONS = 20_000
"""Conversations whose upstream is remembered."""

_MAX_MODELS, _MAX_NAME = 1000, 256
"""Names of models whose ways are remembered, and characters of one."""


class _Conversation(NamedTuple):
    upstream: str
    key: KeyRef
    last: float
    mixed: bool
    """Answers came from more than one upstream or key."""
    board: Switchboard
    """By which it was led there: by another one it does not stay."""


class Pool(Resting):
    """All upstreams, for all requests.

    *missing*, ``on_rest`` and ``on_unrest``: as in ``Resting``.
    """

    def __init__(
        self,
        config: Config,
        random: Optional[Random] = None,
        *,
        missing: Mapping[str, Collection[int]] = {},
        board: Switchboard = UNSET,
        on_rest: Callable[[Rest], None] = ignore_rest,
        on_unrest: Callable[[str, int], None] = ignore_unrest,
    ) -> None:
        super().__init__(on_rest, on_unrest)
        self.random = random or Random()  # noqa: S311  spreads retries, guards nothing
        self.conversations: OrderedDict[str, _Conversation] = OrderedDict()
        self.picks = 0
        self.board = board
        self.replace(config, missing=missing)

    def replace(self, config: Config, *, missing: Mapping[str, Collection[int]] = {}) -> None:
        """Take a new configuration over.  What is known of upstreams that keep their names stays; attempts that run
        go on, and those that begin later, also of requests that run, follow the new one."""
        super().replace(config, missing=missing)
        self._ways: dict[tuple[WireFormat, str, Optional[frozenset[str]]], Candidates] = {}

    def steer(self, board: Switchboard) -> None:
        """Have the reserved ids lead elsewhere, for attempts that begin later."""
        self.board = board
        self._ways.clear()

    def turn(self, ask: Ask, now: float) -> Turn:
        return Turn(self, ask, now)

    def ways(self, ask: Ask) -> Candidates:
        """Return where *ask* may go, whatever rests now."""
        about = (ask.wire, ask.model, ask.allowed)
        found = self._ways.get(about)
        if found is None:
            if len(self._ways) >= _MAX_MODELS:
                self._ways.clear()
            among = [e.upstream for e in self.entries if ask.allowed is None or e.name in ask.allowed]
            understood = [
                route
                for route in routes.routes(among, ask.model, self.board)
                if not (u := route.upstream).accepts or ask.wire in u.accepts
            ]
            first = next((route.upstream for route in understood if route.upstream.enabled), None)
            use = routes.use_of(ask.model)
            own = (
                Candidate(
                    self.by_name[u.name], route.model, (route.rank, *routes.level(u)), window_of(u, route.model), route
                )
                for route in understood
                if (u := route.upstream) is first or self.config.helps(u)
            )
            found = Candidates.of(own, use, led=bool(use) and len(self.entries) > 1)
            if len(ask.model) <= _MAX_NAME:
                self._ways[about] = found
        return found.fitting(ask.tokens) if ask.tokens else found

    # For people and for the store.

    def candidates(self, ask: Ask, now: float) -> list[tuple[Upstream, str]]:
        """Return every upstream in order with the word for why *ask* cannot go there, "" when it can.

        Besides the words of ``UpstreamStatus``: "not allowed", "format", "model", "context".
        """
        ways, alone = self.ways(ask)[:2]
        found = [(way.entry.upstream, way.entry.usable(now, alone)) for way in ways]
        fit = {upstream.name for upstream, _why in found}
        small = {way.entry.name for way in self.ways(ask._replace(tokens=0)).ways if way.entry.upstream.enabled}
        left = [e.upstream for e in self.entries if e.name not in fit]
        return found + [(u, "context" if u.name in small else unfit(u, ask)) for u in left]

    def model(self, ask: Ask, upstream: Upstream) -> tuple[str, bool]:
        """Return the name by which *ask*'s model goes to *upstream*, and whether it is to think there."""
        found = ((way.model, way.route.thinking) for way in self.ways(ask).ways if way.entry.name == upstream.name)
        return next(found, (upstream.model(ask.model), False))

    def wait(self, ask: Ask, now: float) -> Optional[float]:
        """Return in how many seconds an upstream for *ask* may be usable, None when waiting will not help."""
        found = [self._available(way.entry, now) for way in self.ways(ask).ways]
        return min((at - now for at in found if at is not None), default=None)

    # For turns.

    def pick(self, ask: Ask, now: float, tried: Collection[str]) -> Optional[Candidate]:
        """Return the way of a first attempt, or of one after those upstreams *tried* have failed."""
        ways, alone = self.ways(ask)[:2]
        sticky = self._sticky(ask, now) if not tried and ask.conversation else None
        if sticky is None and self.config.strategy == "failover":
            for way in ways:
                if way.entry.name not in tried and not way.entry.usable(now, alone):
                    return way
            return None
        best: list[Candidate] = []
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
        ways, alone = self.ways(ask)[:2]
        return any(way.entry.name not in tried and not way.entry.usable(now, alone) for way in ways)

    def usable(self, ask: Ask, name: str, now: float) -> Optional[Candidate]:
        """Return the way of *ask* to the upstream *name*, None when it cannot be asked now."""
        ways, alone = self.ways(ask)[:2]
        way = next((way for way in ways if way.entry.name == name), None)
        return way if way is not None and not way.entry.usable(now, alone) else None

    def _sticky(self, ask: Ask, now: float) -> Optional[PoolMember]:
        known = self.conversations.get(ask.conversation) if self.config.sticky else None
        if known is None or known.board is not self.board or known.last + self.config.sticky < now:
            return None
        return self.by_name.get(known.upstream)

    def _strategy(self, level: list[Candidate]) -> Candidate:
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

    def pick_key(self, entry: PoolMember, ask: Ask, now: float, tried: Collection[tuple[str, KeyRef]]) -> Optional[int]:
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

    def remember(self, ask: Ask, name: str, key: KeyRef, now: float, board: Switchboard) -> None:
        """Note that *ask*'s conversation got an answer of this upstream by this key."""
        if not ask.conversation:
            return
        mixed = self.moved(ask, name, key)
        self.conversations[ask.conversation] = _Conversation(name, key, now, mixed, board)
        self.conversations.move_to_end(ask.conversation)
        if len(self.conversations) > MAX_CONVERSATIONS:
            self.conversations.popitem(last=False)


_NO_KEY = KeyRef("", "")


class Turn:
    """One request of a client, from its first attempt to the end of the answer."""

    __slots__ = (
        "_board", "_deadline", "_entry", "_key", "_pool", "_same", "_stay", "_succeeded", "_tried", "_tried_keys",
        "ask", "attempts",
    )  # fmt: skip

    def __init__(self, pool: Pool, ask: Ask, now: float) -> None:
        self._pool = pool
        self.ask = ask
        self.attempts = 0
        self._deadline = now + pool.config.retry.seconds
        self._board = pool.board
        self._entry: Optional[PoolMember] = None
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

    def _staying(self, now: float) -> Optional[Candidate]:
        name, self._stay = self._stay, ""
        way = self._pool.usable(self.ask, name, now)
        if way is None:
            self._tried |= {name}
        return way

    def _take(self, way: Candidate, position: int) -> Choice:
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
        self._entry, self._key, self._board = entry, ref, pool.board
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
        pool.remember(self.ask, self._entry.name, self._key, now, self._board)

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
        ways, alone = pool.ways(longer)[:2]
        if not window or not any(way.window > window and not way.entry.usable(now, alone) for way in ways):
            return False
        self.ask = longer
        return True

    def _note(self, entry: PoolMember, rule: Rule, failure: Failure, now: float) -> None:
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
