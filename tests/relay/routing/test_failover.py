"""Selection and failover: what is asked, in which order, and what rests; with rules that hold for any sequence."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ccsetup.keys.reference import KeyRef
from ccsetup.relay.config.model import Config, Cooldown, Retry, Rule, Upstream, Window
from ccsetup.relay.config.rules import DEFAULT_RULES
from ccsetup.relay.routing import failover
from ccsetup.relay.routing.choice import Ask, Choice, Failure, wire_for
from ccsetup.relay.routing.failover import Pool
from ccsetup.relay.store import Rest
from ccsetup.relay.wire.messages import Dialect

NOW = 1_800_000_000.0  # a Friday, 08:00 UTC
ASK = Ask("anthropic", "claude-opus-5")


def upstream(name: str, **fields: Any) -> Upstream:
    fields.setdefault("keys", (KeyRef("env", f"{name}_1"),))
    fields.setdefault("endpoints", {"anthropic": f"https://{name}.example"})
    return Upstream(name, **fields)


def pool(*upstreams: Upstream, **fields: Any) -> Pool:
    rules = (*fields.pop("rows", ()), *DEFAULT_RULES)
    return Pool(Config(upstreams, rules=rules, **fields), Random(1))


def status(code: int, body: str = "", retry_after: Optional[float] = None) -> Failure:
    return Failure("status", code, body, retry_after)


def ask(p: Pool, now: float = NOW, conversation: str = "", model: str = "m") -> Choice:
    """One request that succeeds."""
    turn = p.turn(Ask("anthropic", model, conversation), now)
    choice = turn.next(now)
    assert choice is not None
    turn.succeeded(now)
    turn.finished(now)
    return choice


def path(p: Pool, *failures: Failure, now: float = NOW) -> list[str]:
    """Let the attempts of one request fail with *failures*; return ``name/key`` of every attempt, and how it ended."""
    turn, out = p.turn(ASK, now), []
    for failure in failures:
        choice = turn.next(now)
        if choice is None:
            out.append("none")
            break
        out.append(f"{choice.upstream.name}/{choice.key}")
        decision = turn.failed(failure, now)
        if not decision.again:
            out.append("stop")
            break
        now += decision.wait
    else:
        choice = turn.next(now)
        out.append(f"{choice.upstream.name}/{choice.key}" if choice else "none")
        if choice:
            turn.succeeded(now)
    turn.finished(now)
    assert all(s.running == 0 for s in p.status(now))
    return out


A, B = upstream("a"), upstream("b")
TWO = (KeyRef("env", "X"), KeyRef("env", "Y"))

PATHS = [
    ((), ["a/0"]),
    ((status(500),), ["a/0", "a/0"]),
    ((status(500), status(500)), ["a/0", "a/0", "b/0"]),
    ((status(529), status(529), status(529), status(529)), ["a/0", "a/0", "b/0", "b/0", "none"]),
    ((status(401),), ["a/0", "b/0"]),
    ((status(403), status(401)), ["a/0", "b/0", "none"]),
    ((status(429),), ["a/0", "b/0"]),
    ((status(402),), ["a/0", "b/0"]),
    ((status(400, '{"error": {"code": "insufficient_quota"}}'),), ["a/0", "b/0"]),
    ((status(400),), ["a/0", "stop"]),
    ((status(422),), ["a/0", "stop"]),
    ((status(404, "model claude-opus-5 not found"),), ["a/0", "b/0"]),
    ((status(404, "page not found"),), ["a/0", "b/0"]),
    ((status(400, '{"error": {"message": "unknown model x"}}'),), ["a/0", "b/0"]),
    ((status(400, "Prompt is too long: 210000 tokens > 200000 maximum"),), ["a/0", "stop"]),
    ((status(413, "prompt is too long"),), ["a/0", "stop"]),
    ((status(413, "<html>413 Request Entity Too Large"),), ["a/0", "b/0"]),
    ((status(307),), ["a/0", "b/0"]),
    ((status(200, '{"base_resp": {"status_code": 1004, "status_msg": "login fail"}}'),), ["a/0", "b/0"]),
    ((Failure("connect"),), ["a/0", "b/0"]),
    ((Failure("tls"),), ["a/0", "b/0"]),
    ((Failure("first_byte"),), ["a/0", "b/0"]),
    ((Failure("cut"), Failure("cut")), ["a/0", "a/0", "b/0"]),
]


@pytest.mark.parametrize(("failures", "expected"), PATHS, ids=lambda v: None)
def test_what_follows_a_failure(failures: tuple[Failure, ...], expected: list[str]) -> None:
    assert path(pool(A, B), *failures) == expected


def test_keys_are_put_aside_alone() -> None:
    """401, 403 and 429 cost a key its turn, and the upstream goes on with the others."""
    p = pool(upstream("a", keys=TWO), B)
    assert path(p, status(429, retry_after=30)) == ["a/0", "a/1"]
    assert path(p, now=NOW + 29) == ["a/1"]
    assert p.status(NOW + 29)[0].keys == (NOW + 60, None)  # never shorter than the usual rest
    assert path(p, status(401), now=NOW + 30) == ["a/1", "b/0"]
    assert p.status(NOW + 30)[0].why == "keys"
    assert p.status(NOW + 30)[0].failures == 0
    assert path(p, now=NOW + 60) == ["a/0"]


def test_retry_after_lengthens_a_rest_up_to_the_maximum() -> None:
    p = pool(A, B)
    path(p, status(429, retry_after=300))
    assert p.rests(NOW) == [Rest("a", 0, NOW + 300, 0, "429")]
    path(p, status(429, retry_after=1e9))
    assert p.rests(NOW)[1] == Rest("b", 0, NOW + 900, 0, "429")


def test_an_upstream_that_asks_for_time_gets_it() -> None:
    """503 with a Retry-After that no request waits for."""
    p = pool(A, B)
    assert path(p, status(503, retry_after=40)) == ["a/0", "b/0"]
    assert p.rests(NOW) == [Rest("a", -1, NOW + 40, 0, "503")]
    alone = pool(A)
    turn = alone.turn(ASK, NOW)
    turn.next(NOW)
    assert turn.failed(status(503, retry_after=3), NOW).wait == 3


@pytest.mark.parametrize("resting", [False, True])
def test_a_short_wait_is_for_those_who_have_nobody_else(resting: bool) -> None:
    """A Retry-After that a request could wait for: the other upstream is asked instead, unless that one rests."""
    p = pool(A, B)
    p.restore([Rest("b", -1, NOW + 60, 0, "429")] if resting else [])
    turn = p.turn(ASK, NOW)
    turn.next(NOW)
    decision = turn.failed(status(503, retry_after=3), NOW)
    choice = turn.next(NOW + decision.wait)
    assert choice is not None
    assert (decision, choice.upstream.name) == ((True, 3), "a") if resting else ((True, 0), "b")


@pytest.mark.parametrize(
    ("windows", "fields", "then"),
    [
        ((100, 1000), {}, "large"),
        ((100, 1000), {"enabled": False}, ""),
        ((100, 100), {}, ""),
        ((100, 0), {}, ""),
        ((0, 1000), {}, ""),
    ],
    ids=["larger", "larger but off", "as large", "not known", "its own not known"],
)
def test_a_prompt_too_long_goes_where_more_fits(windows: tuple[int, int], fields: dict[str, Any], then: str) -> None:
    """Only to a window that is known to be larger, of an upstream that can be asked; else the error is the answer.

    There it is the only one that takes the prompt, so that its rest keeps none away.
    """
    small, large = ({ASK.model: window} for window in windows)
    p = pool(upstream("small", context=small), upstream("large", context=large, **fields))
    p.restore([Rest("large", -1, NOW + 60, 0, "429")])
    turn = p.turn(ASK, NOW)
    turn.next(NOW)
    assert turn.failed(status(400, "prompt is too long"), NOW, outgrown=True).again == bool(then)
    choice = turn.next(NOW) if then else None
    assert (choice.upstream.name if choice else "") == then


def test_failures_in_a_window_put_an_upstream_aside_and_one_request_tries_it_afterwards() -> None:
    heard: list[Any] = []
    p = pool(A, B, retry=Retry(same=0))
    p.on_rest, p.on_unrest = heard.append, lambda name, key: heard.append((name, key))
    for n in range(3):
        assert path(p, Failure("connect"), now=NOW + n) == ["a/0", "b/0"]
    assert heard == [Rest("a", -1, NOW + 62, 0, "connect")]
    assert path(p, now=NOW + 61) == ["b/0"]
    probe, other = p.turn(ASK, NOW + 62), p.turn(ASK, NOW + 62)
    assert [t.next(NOW + 62).upstream.name for t in (probe, other)] == ["a", "b"]  # type: ignore[union-attr]
    probe.failed(Failure("connect"), NOW + 63)
    assert heard[1:] == [Rest("a", -1, NOW + 183, 1, "connect")]
    probe.finished(NOW + 63)
    other.finished(NOW + 63)
    assert path(p, now=NOW + 183) == ["a/0"]
    assert heard[2:] == [("a", -1)]
    assert path(p, Failure("connect"), now=NOW + 184) == ["a/0", "b/0"]
    assert p.status(NOW + 184)[0].available


def test_rests_double_up_to_the_maximum() -> None:
    p = pool(A, B, cooldown=Cooldown(failures=1, seconds=10, maximum=35), retry=Retry(same=0))
    now, lengths = NOW, []
    for _n in range(4):
        path(p, Failure("connect"), now=now)
        lengths.append(p.rests(now)[0].until - now)
        now += lengths[-1]
    assert lengths == [10, 20, 35, 35]


def test_a_client_that_goes_away_gives_the_trial_back() -> None:
    p = pool(A, B, cooldown=Cooldown(failures=1), retry=Retry(same=0))
    path(p, Failure("connect"))
    turn = p.turn(ASK, NOW + 60)
    assert turn.next(NOW + 60).upstream.name == "a"  # type: ignore[union-attr]
    turn.finished(NOW + 61)
    assert path(p, now=NOW + 61) == ["a/0"]


def test_old_failures_and_those_that_successes_made_up_for_do_not_count() -> None:
    p = pool(A, B, retry=Retry(same=0))
    for n in range(6):
        path(p, Failure("connect"), now=NOW + 31 * n)
    assert not p.rests(NOW + 155)
    p = pool(A, B, retry=Retry(same=0))
    for n in range(9):
        path(p, Failure("connect"), now=NOW + n)
        ask(p, NOW + n)
    assert not p.rests(NOW + 9)


def test_the_clients_own_mistakes_never_count() -> None:
    p = pool(A, B)
    for n in range(9):
        path(p, status(400, "prompt is too long" * (n % 2)), now=NOW + n)
    assert p.status(NOW + 9)[0].failures == 0


def test_the_only_upstream_is_asked_although_it_should_rest() -> None:
    """Its own error, with its own Retry-After, says more than ours."""
    p = pool(A, upstream("off", enabled=False))
    for n in range(5):
        assert path(p, status(429, retry_after=60), now=NOW + n) == ["a/0", "none"]
    for n in range(5):
        path(p, Failure("connect"), now=NOW + n)
    assert path(p, now=NOW + 6) == ["a/0"]


def test_when_all_rest_nobody_is_asked_and_the_wait_is_known() -> None:
    p = pool(A, upstream("b", group="backup"), cooldown=Cooldown(failures=1), retry=Retry(same=0))
    path(p, Failure("connect"), Failure("connect"))
    assert path(p, now=NOW + 10) == ["none"]
    assert p.wait(ASK, NOW + 10) == 50
    assert p.wait(ASK._replace(allowed=frozenset()), NOW) is None
    p.reset("b")
    assert p.wait(ASK, NOW + 10) == 0
    assert path(p, now=NOW + 10) == ["b/0"]
    assert [r.upstream for r in p.rests(NOW + 10)] == ["a"]
    p.reset()
    assert p.rests(NOW) == []


def test_the_budget_of_attempts_and_of_time() -> None:
    many = [upstream(f"u{n}") for n in range(9)]
    p = pool(*many, retry=Retry(attempts=4, same=0))
    assert path(p, *[Failure("connect")] * 9) == ["u0/0", "u1/0", "u2/0", "u3/0", "stop"]
    p = pool(*many, retry=Retry(seconds=10))
    turn = p.turn(ASK, NOW)
    turn.next(NOW)
    assert turn.failed(Failure("connect"), NOW + 9).again
    assert turn.next(NOW + 9) is not None
    assert not turn.failed(Failure("first_byte"), NOW + 11).again
    assert turn.next(NOW + 11) is None


def test_waits_grow_and_are_spread() -> None:
    p = pool(A, retry=Retry(attempts=20, same=9, backoff=1, backoff_max=5, jitter=0.5))
    turn, waits = p.turn(ASK, NOW), []
    for _n in range(5):
        turn.next(NOW)
        waits.append(turn.failed(status(500), NOW).wait)
    assert all(top / 2 <= wait <= top for wait, top in zip(waits, (1, 2, 4, 5, 5), strict=True))
    assert len(set(waits)) == 5


def test_the_users_rows_come_first() -> None:
    rows = (
        Rule("next_upstream", status=((400, 400),), body="try elsewhere", cool="upstream", seconds=7),
        Rule("stop", network=("connect",)),
    )
    p = pool(A, B, rows=rows)
    assert path(p, status(400, "Please TRY elsewhere")) == ["a/0", "b/0"]
    assert p.rests(NOW) == [Rest("a", -1, NOW + 7, 0, "400")]
    assert path(p, Failure("connect")) == ["b/0", "stop"]


# Selection


def test_backups_are_for_when_no_primary_can_be_used() -> None:
    p = pool(upstream("z", group="backup", priority=-5), upstream("a", priority=2), upstream("b", priority=1))
    assert path(p, *[Failure("connect")] * 3) == ["b/0", "a/0", "z/0", "none"]


def test_round_robin_least_busy_and_weights() -> None:
    three = (A, B, upstream("c", weight=2))
    p = pool(*three, strategy="round_robin")
    assert [ask(p).upstream.name for _n in range(6)] == ["a", "b", "c", "a", "b", "c"]
    p = pool(*three, strategy="weighted")
    assert Counter(ask(p).upstream.name for _n in range(40)) == {"a": 10, "b": 10, "c": 20}
    p = pool(*three, strategy="least_busy")
    turns = [p.turn(ASK, NOW) for _n in range(8)]
    assert Counter(t.next(NOW).upstream.name for t in turns) == {"a": 2, "b": 2, "c": 4}  # type: ignore[union-attr]
    for turn in turns:
        turn.finished(NOW)


def test_a_conversation_stays_and_goes_back_from_a_backup() -> None:
    keys = tuple(KeyRef("env", n) for n in "XYZ")
    p = pool(upstream("a", keys=keys), upstream("b", keys=keys), strategy="round_robin", sticky=100)
    first = ask(p, NOW, "one")
    for n in range(9):
        ask(p, NOW + n, f"other {n}")
        assert ask(p, NOW + n, "one") == first
    assert {ask(p, NOW, f"n{n}").key for n in range(6)} == {0, 1, 2}

    p = pool(A, B, upstream("z", group="backup"), retry=Retry(same=0), cooldown=Cooldown(failures=1))
    path(p, Failure("connect"), Failure("connect"))
    assert ask(p, NOW + 1, "one").upstream.name == "z"
    assert ask(p, NOW + 60, "one").upstream.name == "a"
    assert ask(p, NOW + 60, "one").moved

    p = pool(A, B, retry=Retry(same=0), cooldown=Cooldown(failures=1), sticky=100)
    path(p, Failure("connect"))
    assert not ask(p, NOW + 1, "one").moved
    assert ask(p, NOW + 70, "one").upstream.name == "b"  # a could be asked again, but the cache is warm here
    back = ask(p, NOW + 171, "one")
    assert (back.upstream.name, back.moved) == ("a", True)


def test_without_a_conversation_the_first_key_stays_in_use() -> None:
    p = pool(upstream("a", keys=TWO))
    assert {ask(p).key for _n in range(4)} == {0}


def test_conversations_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failover, "MAX_CONVERSATIONS", 10)
    p = pool(A, B)
    for n in range(30):
        ask(p, NOW + n, f"c{n}")
    assert list(p.conversations) == [f"c{n}" for n in range(20, 30)]


def test_concurrency_sends_what_is_too_much_elsewhere() -> None:
    p = pool(upstream("a", concurrency=2), B)
    turns = [p.turn(ASK, NOW) for _n in range(3)]
    assert [t.next(NOW).upstream.name for t in turns] == ["a", "a", "b"]  # type: ignore[union-attr]
    assert [s.running for s in p.status(NOW)] == [2, 1]
    assert p.candidates(ASK, NOW)[0][1] == "busy"
    turns[0].finished(NOW)
    turns[0].finished(NOW)
    assert ask(p).upstream.name == "a"
    for turn in turns:
        turn.finished(NOW)


def test_models_windows_and_allowance() -> None:
    friday = Window(frozenset({4}), 9 * 60, 10 * 60)
    p = pool(
        upstream("closed", windows=(friday,), zone="UTC"),
        upstream("few", models=("gpt-*",)),
        upstream("forbidden"),
        upstream("b", map=(("claude-*", "own"),)),
    )
    wanted = ASK._replace(allowed=frozenset({"closed", "few", "b"}))
    choice = p.turn(wanted, NOW).next(NOW)
    assert choice is not None
    assert (choice.upstream.name, choice.model) == ("b", "own")
    whys = {u.name: why for u, why in p.candidates(wanted, NOW)}
    assert whys == {"closed": "window", "few": "model", "forbidden": "not allowed", "b": ""}
    later = p.turn(wanted, NOW + 3600).next(NOW + 3600)
    assert later is not None
    assert later.upstream.name == "closed"
    chat = pool(upstream("b", accepts=("chat",)))
    assert chat.candidates(ASK, NOW)[0][1] == "format"
    assert chat.turn(ASK, NOW).next(NOW) is None
    assert chat.wait(ASK, NOW) is None
    only = pool(upstream("closed", windows=(friday,), zone="UTC"))
    assert only.turn(ASK, NOW).next(NOW) is None
    assert only.wait(ASK, NOW) == 3600


WIRES = [
    ("anthropic", ("responses", "chat", "anthropic"), "anthropic"),
    ("anthropic", ("responses", "chat"), "chat"),
    ("responses", ("anthropic", "chat"), "chat"),
    ("chat", ("anthropic", "responses"), "responses"),
    ("chat", ("anthropic",), "anthropic"),
]


@pytest.mark.parametrize(("asked", "has", "expected"), WIRES)
def test_the_format_is_the_clients_or_the_one_that_loses_least(asked: Any, has: Any, expected: str) -> None:
    one = upstream("a", endpoints=dict.fromkeys(has, "https://x.example"))
    assert wire_for(one, asked) == expected

    choice = pool(one).turn(Ask(asked, "m"), NOW).next(NOW)
    assert choice is not None
    assert choice.wire == expected


def test_openai_itself_is_asked_in_its_own_format() -> None:
    """Only Responses carries its encrypted reasoning; other providers' Responses endpoints have the plain one."""
    endpoints: Any = {"chat": "https://x.test/v1", "responses": "https://x.test/v1"}
    openai = upstream("a", endpoints=endpoints, dialect={"responses": Dialect(official=True)})
    assert wire_for(openai, "anthropic") == "responses"
    assert wire_for(openai, "chat") == "chat"
    assert wire_for(upstream("b", endpoints=endpoints), "anthropic") == "chat"


# Reload and restart


def test_a_reload_keeps_what_is_known_and_never_asks_what_is_gone() -> None:
    p = pool(upstream("a", keys=TWO), B, upstream("c"), cooldown=Cooldown(failures=1), retry=Retry(same=0))
    path(p, status(401), Failure("connect"))
    running = p.turn(ASK, NOW)
    assert running.next(NOW).upstream.name == "b"  # type: ignore[union-attr]
    heard: list[Any] = []
    p.on_rest = heard.append
    fresh = Config((upstream("c", enabled=False), upstream("a", keys=TWO[::-1]), upstream("d")), rules=DEFAULT_RULES)
    p.replace(fresh)
    assert p.rests(NOW) == [Rest("a", -1, NOW + 60, 0, "connect"), Rest("a", 1, NOW + 60, 0, "401")]
    assert running.failed(Failure("connect"), NOW).again  # b is gone: nobody counts it
    assert heard == []
    choice = running.next(NOW)
    assert choice is not None
    assert choice.upstream.name == "d"
    running.finished(NOW)
    assert [s.running for s in p.status(NOW)] == [0, 0, 0]


def test_rests_come_back_after_a_restart() -> None:
    p = pool(upstream("a", keys=TWO), B)
    p.on_rest = lambda rest: pytest.fail("the store knows it already")
    p.restore([Rest("a", -1, NOW + 50, 3, "500"), Rest("b", 0, NOW + 20, 0, "429"), Rest("gone", -1, NOW + 9, 0, "")])
    assert path(p) == ["none"]
    assert p.wait(ASK, NOW) == 20
    p.restore([Rest("a", -1, NOW + 40, 0, "500")])
    assert p.rests(NOW)[0].until == NOW + 50
    p.unrest("a", -1)
    assert path(p) == ["a/0"]


def test_keys_that_could_not_be_read_are_left_out() -> None:
    config = Config((upstream("a", keys=TWO), B), rules=DEFAULT_RULES)
    p = Pool(config, missing={"a": {0}, "b": {0}})
    assert ask(p).key == 1
    assert p.status(NOW)[1].why == "keys"
    assert p.wait(Ask("anthropic", "m", "", frozenset({"b"})), NOW) is None


# Any sequence

NAMES = ("a", "b", "c", "d")


class Machine(RuleBasedStateMachine):
    """Requests come, fail, succeed and go in any order, while the configuration and the time change."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.turns: list[tuple[failover.Turn, Ask, list[Choice]]] = []
        self.pool = Pool(self.config(Random(0)), Random(2))

    def config(self, random: Random) -> Config:
        def one(name: str) -> Upstream:
            return upstream(
                name,
                keys=tuple(KeyRef("env", f"{name}{n}") for n in range(random.randrange(1, 4))),
                group=random.choice(["primary", "backup"]),
                priority=random.randrange(2),
                weight=random.randrange(1, 4),
                enabled=random.random() < 0.8,
                windows=random.choice([(), (), (Window(frozenset({4}), 8 * 60, 8 * 60 + 2),)]),
                zone="UTC",
                models=random.choice([(), (), ("x*",)]),
                accepts=random.choice([(), (), (), ("chat",)]),
                concurrency=random.randrange(3),
            )

        return Config(
            tuple(one(name) for name in NAMES if random.random() < 0.8) or (one("a"),),
            strategy=random.choice(["failover", "round_robin", "weighted", "least_busy"]),
            cooldown=Cooldown(failures=2, window=30, seconds=20, maximum=100),
            retry=Retry(attempts=5, seconds=100),
            rules=DEFAULT_RULES,
        )

    @rule(
        model=st.sampled_from(["x1", "y1"]),
        conversation=st.sampled_from(["", "c1", "c2"]),
        allowed=st.none() | st.frozensets(st.sampled_from(NAMES)),
    )
    def come(self, model: str, conversation: str, allowed: Optional[frozenset[str]]) -> None:
        wanted = Ask("anthropic", model, conversation, allowed)
        self.turns.append((self.pool.turn(wanted, self.now), wanted, []))
        self.attempt(self.turns[-1])

    def attempt(self, one: tuple[failover.Turn, Ask, list[Choice]]) -> None:
        turn, wanted, choices = one
        able = [
            u.name
            for u in self.pool.config.upstreams
            if u.enabled and u.serves(wanted.model) and not u.accepts
            if wanted.allowed is None or u.name in wanted.allowed
        ]
        resting = {(r.upstream, r.key) for r in self.pool.rests(self.now)} if len(able) > 1 else set()
        choice = turn.next(self.now)
        if choice is None:
            turn.finished(self.now)
            self.turns.remove(one)
            return
        choices.append(choice)
        chosen = choice.upstream
        assert chosen in self.pool.config.upstreams
        assert chosen.enabled
        assert chosen.serves(wanted.model)
        assert not chosen.accepts
        assert wanted.allowed is None or chosen.name in wanted.allowed
        assert not chosen.windows or NOW <= self.now < NOW + 120
        assert chosen.keys[choice.key].value.startswith(chosen.name)
        assert (chosen.name, -1) not in resting
        assert (chosen.name, choice.key) not in resting
        assert len(choices) <= 5
        if chosen.concurrency:
            assert sum(c[-1].upstream.name == chosen.name for _t, _w, c in self.turns) <= chosen.concurrency or (
                self.reloaded
            )

    reloaded = False

    @precondition(lambda self: self.turns)
    @rule(which=st.integers(0, 99), how=st.sampled_from(["end", "leave", "connect", "429", "500", "cut late"]))
    def go_on(self, which: int, how: str) -> None:
        one = self.turns[which % len(self.turns)]
        turn = one[0]
        if how in ("end", "leave", "cut late"):
            if how != "leave":
                turn.succeeded(self.now)
            if how == "cut late":
                assert not turn.failed(Failure("cut"), self.now).again
            turn.finished(self.now)
            self.turns.remove(one)
            return
        decision = turn.failed(Failure("connect") if how == "connect" else status(int(how)), self.now)
        self.now += decision.wait
        if decision.again:
            self.attempt(one)
        else:
            turn.finished(self.now)
            self.turns.remove(one)

    @rule(seconds=st.sampled_from([1, 10, 25, 90]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(seed=st.integers(0, 999))
    def reload(self, seed: int) -> None:
        self.reloaded = True
        before = {(r.upstream, r.key): r for r in self.pool.rests(self.now) if r.key < 0}
        config = self.config(Random(seed))
        self.pool.replace(config)
        after = {(r.upstream, r.key): r for r in self.pool.rests(self.now) if r.key < 0}
        names = {u.name for u in config.upstreams}
        assert after == {k: r for k, r in before.items() if r.upstream in names}

    @rule()
    def reset(self) -> None:
        self.pool.reset()

    @invariant()
    def figures_hold(self) -> None:
        running = Counter(choices[-1].upstream.name for _t, _w, choices in self.turns)
        for one in self.pool.status(self.now):
            assert 0 <= one.running <= running[one.name]
            if not self.reloaded:
                assert one.running == running[one.name]
        probing = [e for e in self.pool.entries if e.state.probe is not None]
        assert all(any(t is e.state.probe for t, _w, _c in self.turns) for e in probing)

    def teardown(self) -> None:
        for turn, _wanted, _choices in self.turns:
            turn.finished(self.now)
        assert all(s.running == 0 for s in self.pool.status(self.now))


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
