"""Which upstreams and keys rest, since when they failed, and until when: by their names, beyond configurations."""

from __future__ import annotations

from collections import deque
from typing import Callable, Collection, Iterable, Mapping, NamedTuple, Optional

from ccsetup.keys.reference import KeyRef
from ccsetup.relay.config.model import Config, Upstream
from ccsetup.relay.routing import routes
from ccsetup.relay.routing.choice import WIRES, UpstreamStatus, wire_for
from ccsetup.relay.routing.windows import next_open, open_at
from ccsetup.relay.store import Rest

_BUSY_SECONDS = 1.0
"""When to come back to upstreams that are only busy."""


class KeyState:
    """What is known of one key, by what it refers to: it stays when keys are written in another order."""

    __slots__ = ("probe", "rest", "used")

    def __init__(self) -> None:
        self.rest: Optional[_Rest] = None
        self.probe: Optional[object] = None
        self.used = 0


class _Rest(NamedTuple):
    until: float
    step: int
    reason: str


class UpstreamState:
    """What is known of one upstream, by its name: it outlives configurations."""

    __slots__ = ("credit", "failures", "keys", "picked", "probe", "rest", "running")

    def __init__(self) -> None:
        self.running = 0
        self.failures: deque[float] = deque()
        self.rest: Optional[_Rest] = None
        self.probe: Optional[object] = None
        self.picked = 0
        """When it was last chosen, as a count of choices."""
        self.credit = 0
        """For smooth weighted round robin."""
        self.keys: dict[KeyRef, KeyState] = {}


class PoolMember:
    """One upstream of the present configuration, with what is computed once."""

    __slots__ = ("keys", "longest", "name", "state", "upstream", "window", "wires")

    def __init__(self, upstream: Upstream, state: UpstreamState, missing: Collection[int], longest: float) -> None:
        """*longest*: seconds that a rest may last."""
        self.upstream = upstream
        self.longest = longest
        self.name = upstream.name
        self.state = state
        refs = upstream.keys or (KeyRef("", ""),)
        for ref in refs:
            state.keys.setdefault(ref, KeyState())
        for gone in set(state.keys).difference(refs):
            del state.keys[gone]
        self.keys = tuple((n, ref, state.keys[ref]) for n, ref in enumerate(refs) if n not in missing)
        self.wires = {asked: wire_for(upstream, asked) for asked in WIRES}
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

    def takes(self, key: KeyState, now: float) -> bool:
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


def ignore_rest(rest: Rest) -> None:
    """Without a store nobody wants to know."""


def ignore_unrest(upstream: str, key: int) -> None:
    """Without a store nobody wants to know."""


class Resting:
    """What is known of all upstreams.

    ``on_rest`` and ``on_unrest`` (upstream, key; -1 is the upstream itself) tell a store.
    """

    def __init__(
        self,
        on_rest: Callable[[Rest], None] = ignore_rest,
        on_unrest: Callable[[str, int], None] = ignore_unrest,
    ) -> None:
        self.on_rest = on_rest
        self.on_unrest = on_unrest
        self._states: dict[str, UpstreamState] = {}

    def replace(self, config: Config, *, missing: Mapping[str, Collection[int]] = {}) -> None:
        """Take a new configuration over.  What is known of upstreams that keep their names stays.

        *missing* names keys, by upstream and index, that could not be read: they are never chosen.
        """
        self.config = config
        names = {u.name for u in config.upstreams}
        states = {name: state for name, state in self._states.items() if name in names}
        for name in names.difference(states):
            states[name] = UpstreamState()
        self._states = states
        longest = max(config.cooldown.maximum, config.cooldown.seconds, *(rule.seconds for rule in config.rules), 0)
        upstreams = routes.ordered(config.upstreams)
        self.entries = [PoolMember(u, states[u.name], missing.get(u.name, ()), longest) for u in upstreams]
        self.by_name = {e.name: e for e in self.entries}
        self._alone = sum(u.enabled for u in config.upstreams) == 1

    def alive(self, entry: PoolMember) -> None:
        """The upstream answered: one earlier failure is made up for, and its rest is over for good."""
        self.make_up(entry)
        self.begun(entry)

    def make_up(self, entry: PoolMember) -> None:
        if entry.state.failures:
            entry.state.failures.popleft()

    def begun(self, entry: PoolMember) -> None:
        """An answer has begun: the upstream's rest is over.  Earlier failures are made up for when it is complete."""
        state = entry.state
        if state.rest is not None:
            state.failures.clear()
            self._recover(entry)

    def _recover(self, entry: PoolMember) -> None:
        if entry.state.rest is not None:
            entry.state.rest = None
            self.on_unrest(entry.name, -1)

    def count(self, entry: PoolMember, now: float, reason: str, retry_after: Optional[float]) -> None:
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

    def _forget(self, state: UpstreamState, now: float) -> None:
        while state.failures and state.failures[0] <= now - self.config.cooldown.window:
            state.failures.popleft()

    def rest_upstream(
        self, entry: PoolMember, now: float, reason: str, seconds: float, retry_after: Optional[float]
    ) -> None:
        entry.state.failures.clear()
        rest = self._rest(entry.state.rest, now, reason, seconds, retry_after)
        if rest is not None:
            entry.state.rest = rest
            self.on_rest(Rest(entry.name, -1, *rest))

    def rest_key(
        self, entry: PoolMember, ref: KeyRef, now: float, reason: str, seconds: float, retry_after: Optional[float]
    ) -> None:
        for n, own, key in entry.keys:
            if own == ref:
                rest = self._rest(key.rest, now, reason, seconds, retry_after)
                if rest is not None:
                    key.rest = rest
                    self.on_rest(Rest(entry.name, n, *rest))

    def key_good(self, entry: PoolMember, ref: KeyRef) -> None:
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

    def current(self, entry: PoolMember) -> Optional[PoolMember]:
        """Return *entry* as the present configuration has it, None when its upstream is gone."""
        found = self.by_name.get(entry.name)
        return found if found is not None and found.state is entry.state else None

    def _available(self, entry: PoolMember, now: float) -> Optional[float]:
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
