"""Every failure at every point of an answer, on all nine paths, streaming and not."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import drill, scripted, waiting
from support.drill import BEFORE, PATHS, STREAM_AFTER, STREAM_BEFORE, WIRES, Upstream, asking, understood
from support.loopback import Response
from support.relay import Relay, Reply, upstream

SLOW = {
    **dict.fromkeys(("silent", "hang-after-head", "comments-only"), "-silent"),
    **dict.fromkeys(("idle", "idle-inside-event"), "-idle"),
}
"""They wait for a time limit, so that their cases run at once: the key of ``TIMEOUTS`` with this limit."""
TIMEOUTS = {
    "": {},
    "-silent": {"first_byte": 0.4, "idle": 0.4, "total": 3},
    "-idle": {"idle": 0.4},
}
"""Short is only what a case waits for in vain: the rest may take as long as the machine needs."""

STATUS = {
    "silent": 504,
    "hang-after-head": 504,
    "comments-only": 504,
    "500": 500,
    "503": 503,
    "529": 529,
    "429": 429,
    "401": 401,
    "402": 402,
    "403": 403,
    "quota-inside-200": 402,
    "quota-with-figures": 402,
    "error-inside-200": 500,
}
"""What the client gets in the end; 502 for all others, where HTTP went wrong or the answer was none."""
TOLD = {"500", "503", "529", "429", "401", "402", "403", "quota-inside-200", "quota-with-figures"} | {
    "error-inside-200",
    "error-first",
}
"""The upstream gave reasons, and the client hears them."""


class World(NamedTuple):
    relay: Relay
    bad: Upstream
    good: Upstream

    def post(self, kind: str, model: str, text: str = "hello", *, stream: bool = False, **more: Any) -> Reply:
        return self.relay.post(PATHS[kind], asking(kind, model, text, stream=stream, **more))

    def status(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.relay.control("GET", "status")["upstreams"]}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """``both-W`` asks the bad upstream in the format W first, ``lone-W`` asks no other; so do ``refused-W``, where
    nothing listens, and ``tls-W``, which speaks no TLS.  ``both-silent-W`` and so on have short time limits."""
    with Upstream("good") as good, Upstream("bad") as bad, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
        entries = []
        for kind in WIRES:
            for name, url, limit in (
                *(("bad", bad.url(kind), limit) for limit in TIMEOUTS),
                ("refused", dead, ""),
                ("tls", bad.url(kind).replace("http", "https"), ""),
            ):
                first, lone = (f"both{limit}", f"lone{limit}") if name == "bad" else (name, f"lone-{name}")
                name += limit
                for own, model in ((f"{name}-{kind}", f"{first}-{kind}"), (f"lone-{name}-{kind}", f"{lone}-{kind}")):
                    key = f"sk-{own}-0123456789"
                    entries.append(upstream(own, url, kind, key, timeouts=TIMEOUTS[limit], models=[model]))
            models = [f"{name}-{kind}" for name in (*(f"both{limit}" for limit in TIMEOUTS), "refused", "tls")]
            entries.append(
                upstream(f"good-{kind}", good.url(kind), kind, f"sk-good-{kind}-0123456789", models=models, priority=1)
            )
        settings: dict[str, Any] = {
            "retry": {"attempts": 4, "same": 1, "backoff": 0, "jitter": 0},
            "cooldown": {"failures": 1000},
            "selection": {"sticky": 0},
        }
        with Relay(tmp_path_factory.mktemp("relay"), entries, **settings) as relay:
            yield World(relay, bad, good)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    running.bad.clear()
    running.good.clear()
    running.relay.control("POST", "reset")
    yield running
    assert "bug" not in running.relay.output


CASES = list(itertools.product(WIRES, WIRES, (True, False)))


def each_case(name: str, streams: tuple[bool, ...], check: Any, world: World) -> None:
    """Run *check* for each path; what fails is told with the name of its path."""

    def one(case: tuple[str, str, bool]) -> str:
        kind, served, stream = case
        try:
            check(kind, served, stream, f"{name} {kind} {served} {stream}")
        except Exception as problem:
            return f"{kind} from {served}, stream {stream}: {type(problem).__name__} {problem}"
        return ""

    cases = [case for case in CASES if case[2] in streams]
    if name in SLOW:
        with ThreadPoolExecutor(len(cases)) as pool:
            problems = list(pool.map(one, cases))
    else:
        problems = []
        for case in cases:
            problems.append(one(case))
            world.relay.control("POST", "reset")
    assert not any(problems), "\n".join(filter(None, problems))


def applies(name: str) -> tuple[bool, ...]:
    if name in STREAM_BEFORE or name in STREAM_AFTER:
        return (True,)
    return (True, False)


@pytest.mark.parametrize("name", [*BEFORE, *STREAM_BEFORE])
def test_before_the_first_event_another_upstream_takes_over(world: World, name: str) -> None:
    """The client gets the other upstream's whole answer, as if nothing had been."""
    world.bad.failure = drill.FAILURES[name]

    def check(kind: str, served: str, stream: bool, text: str) -> None:
        got = world.post(kind, f"both{SLOW.get(name, '')}-{served}", text, stream=stream)
        assert got.status == 200, got.body
        assert understood(kind, got.body, stream=stream)[:3] == ("I am good, and all is well.", True, "")
        assert world.bad.asked(text) in (1, 2)
        assert world.good.asked(text) == 1

    each_case(name, applies(name), check, world)


@pytest.mark.parametrize("name", ["refused", "tls"])
def test_without_a_connection_another_upstream_takes_over(world: World, name: str) -> None:
    def check(kind: str, served: str, stream: bool, text: str) -> None:
        got = world.post(kind, f"{name}-{served}", text, stream=stream)
        assert got.status == 200, got.body
        assert understood(kind, got.body, stream=stream)[:3] == ("I am good, and all is well.", True, "")
        assert world.good.asked(text) == 1
        now = world.status()
        assert now[f"{name}-{served}"]["failures"] == 1
        assert now[f"good-{served}"]["failures"] == 0
        got = world.post(kind, f"lone-{name}-{served}", text, stream=stream)
        assert got.status == 502
        assert "cannot be reached" in understood(kind, got.body, stream=stream).error

    each_case(name, (True, False), check, world)


@pytest.mark.parametrize("name", [*BEFORE, *STREAM_BEFORE])
def test_the_last_error_is_told_in_the_clients_format(world: World, name: str) -> None:
    """Without another upstream the client gets this one's error: its status, its words, its Retry-After."""
    world.bad.failure = drill.FAILURES[name]

    def check(kind: str, served: str, stream: bool, text: str) -> None:
        got = world.post(kind, f"lone{SLOW.get(name, '')}-{served}", text, stream=stream)
        said = understood(kind, got.body, stream=stream)
        assert (said.text, said.finished) == ("", False)
        assert said.error
        assert got.headers["content-type"] == "application/json"
        expected = {503, 500} if name == "error-first" else {STATUS.get(name, 502)}
        assert got.status in expected, got.body
        assert (drill.KNOWN in said.error) == (name in TOLD), got.body
        assert got.headers.get("retry-after") == ("7" if name == "429" else None)
        assert f"lone-bad{SLOW.get(name, '')}-{served}" not in said.error or name not in TOLD

    each_case(name, applies(name), check, world)


@pytest.mark.parametrize("name", list(STREAM_AFTER))
def test_after_the_first_event_the_client_is_told(world: World, name: str) -> None:
    """What came stays, an error in the client's format ends it, and it never looks finished."""
    world.bad.failure = drill.FAILURES[name]

    def check(kind: str, served: str, stream: bool, text: str) -> None:
        got = world.post(kind, f"both{SLOW.get(name, '')}-{served}", text, stream=stream)
        said = understood(kind, got.body, stream=True)
        assert got.status == 200
        if name == "error-later" and world.good.asked(text) != 0:
            assert said[:3] == ("I am good, and all is well.", True, "")
            return
        assert not said.finished, got.body
        assert said.error, got.body
        if name != "no-end":
            assert said.text == "I am bad, and", got.body
        assert (drill.KNOWN in said.error) == (name == "error-later"), got.body
        assert world.good.asked(text) == 0
        now = world.status()
        assert now[f"bad{SLOW.get(name, '')}-{served}"]["failures"] >= 1
        assert now[f"good-{served}"]["failures"] == 0

    each_case(name, (True,), check, world)


# What is put aside, and for how long.

FAST = {"attempts": 6, "same": 0, "backoff": 0, "jitter": 0}


def of(relay: Relay) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in relay.control("GET", "status")["upstreams"]}


def by_key(bad: str, failure: drill.Failure) -> drill.Failure:
    """Return a failure of requests that come with the key *bad* alone."""

    def answer(up: Upstream, kind: str, stream: bool, request: Any) -> Any:
        if bad in request.headers.get("authorization", ""):
            return failure(up, kind, stream, request)
        return scripted.answer(kind, up.said, stream=stream)

    return answer


@pytest.mark.parametrize("name", ["401", "403", "402", "429", "quota-inside-200"])
def test_a_bad_key_rests_alone(tmp_path: Path, name: str) -> None:
    """The upstream's next key takes over, the bad one is not asked again, and nothing counts toward the upstream."""
    entry = {"keys": [{"inline": "sk-first-0123456789"}, {"inline": "sk-second-0123456789"}]}
    with Upstream("a") as a, Upstream("b") as b:
        a.failure = by_key("sk-first", BEFORE[name])
        entries = [
            upstream("a", a.url("chat"), "chat", **entry),
            upstream("b", b.url("chat"), "chat", "sk-b-0123456789"),
        ]
        with Relay(tmp_path, entries, retry=FAST) as relay:
            for number in range(3):
                got = relay.post(PATHS["chat"], asking("chat", "m", f"number {number}"))
                assert understood("chat", got.body, stream=False).text == a.said.text
            now = of(relay)
            keys = [request.headers["authorization"] for request in a.requests]
        assert keys.count("Bearer sk-first-0123456789") == 1
        assert keys.count("Bearer sk-second-0123456789") == 3
        assert (now["a"]["failures"], now["a"]["available"]) == (0, True)
        assert [until is not None for until in now["a"]["keys"]] == [True, False]
        assert b.requests == []


def test_rests_and_the_way_back(tmp_path: Path) -> None:
    """At the threshold an upstream rests.  When all rest, the client gets 503 and is told when to come back.  After
    the rest one request tries it: a failure doubles the rest, a success ends it."""
    with Upstream("a") as a:
        a.failure = BEFORE["500"]
        entries = [
            upstream("a", a.url("chat"), "chat", "sk-a-0123456789"),
            upstream("b", a.url("chat"), "chat", "sk-b-012"),
        ]
        settings = {"retry": FAST, "cooldown": {"failures": 2, "seconds": 1, "maximum": 30}}
        with Relay(tmp_path, entries, **settings) as relay:

            def ask() -> Reply:
                return relay.post(PATHS["chat"], asking("chat", "m"))

            assert [ask().status for _ in range(2)] == [500, 500]
            assert len(a.requests) == 4
            got = ask()
            assert got.status == 503
            assert 1 <= int(got.headers["retry-after"]) <= 2
            assert "No upstream" in understood("chat", got.body, stream=False).error
            assert len(a.requests) == 4
            assert relay.get("/readyz").status == 503
            assert [each["why"] for each in of(relay).values()] == ["resting", "resting"]

            waiting.until(lambda: of(relay)["a"]["available"], "the rest is over")
            waiting.until(lambda: of(relay)["b"]["available"], "the rest is over")
            began = time.time()
            assert ask().status == 500  # each is tried once
            assert len(a.requests) == 6
            assert ask().status == 503
            assert all(each["until"] - began > 1.5 for each in of(relay).values())

            a.failure = None
            waiting.until(lambda: of(relay)["a"]["available"], "the rest is over")
            assert ask().status == 200
            assert of(relay)["a"]["why"] == ""
            relay.control("POST", "reset")
            assert all(each["available"] for each in of(relay).values())


def test_one_request_at_a_time_tries_an_upstream_that_rested(tmp_path: Path) -> None:
    with Upstream("a") as a, Upstream("b") as b:
        a.failure = BEFORE["500"]
        entries = [
            upstream("a", a.url("chat"), "chat", "sk-a-0123456789"),
            upstream("b", b.url("chat"), "chat", "sk-b-0123456789", priority=1),
        ]
        settings = {"retry": FAST, "cooldown": {"failures": 1, "seconds": 1}}
        with Relay(tmp_path, entries, **settings) as relay:
            assert relay.post(PATHS["chat"], asking("chat", "m")).status == 200
            held, let_go = threading.Event(), threading.Event()

            def slow(up: Upstream, kind: str, stream: bool, request: Any) -> Any:
                held.set()
                let_go.wait(waiting.LIMIT)
                return scripted.answer(kind, up.said, stream=stream)

            a.failure = slow
            waiting.until(lambda: of(relay)["a"]["available"], "the rest is over")
            with ThreadPoolExecutor(1) as pool:
                trial = pool.submit(relay.post, PATHS["chat"], asking("chat", "m", "trial"))
                assert held.wait(waiting.LIMIT)
                others = [relay.post(PATHS["chat"], asking("chat", "m", "others")) for _ in range(3)]
                let_go.set()
                assert understood("chat", trial.result().body, stream=False).text == a.said.text
            assert all(understood("chat", got.body, stream=False).text == b.said.text for got in others)
            assert a.asked("others") == 0
            a.failure = None
            got = relay.post(PATHS["chat"], asking("chat", "m", "afterwards"))
            assert understood("chat", got.body, stream=False).text == a.said.text


def test_streams_that_always_break_put_their_upstream_aside(tmp_path: Path) -> None:
    """That an answer began does not make up for its never coming to an end."""
    with Upstream("a") as a, Upstream("b") as b:
        a.failure = STREAM_AFTER["cut"]
        entries = [
            upstream("a", a.url("chat"), "chat", "sk-a-0123456789"),
            upstream("b", b.url("chat"), "chat", "sk-b-0123456789", priority=1),
        ]
        with Relay(tmp_path, entries, retry=FAST, cooldown={"failures": 3}) as relay:
            said = [
                understood("chat", relay.post(PATHS["chat"], asking("chat", "m", stream=True)).body, stream=True)
                for _ in range(4)
            ]
            assert [each.finished for each in said] == [False, False, False, True]
            assert said[3].text == b.said.text
            assert of(relay)["a"]["why"] == "resting"


@pytest.mark.parametrize("stream", [True, False])
def test_attempts_are_bounded(tmp_path: Path, stream: bool) -> None:
    """One request makes as many attempts as the configuration says, and the last error is told."""
    with Upstream("a") as a:
        a.failure = BEFORE["500"]
        entries = [upstream(name, a.url("chat"), "chat", f"sk-{name}-0123456789") for name in "abcd"]
        retry = {"attempts": 5, "same": 1, "backoff": 0.01, "jitter": 0}
        with Relay(tmp_path, entries, retry=retry, cooldown={"failures": 100}) as relay:
            got = relay.post(PATHS["anthropic"], asking("anthropic", "m", stream=stream))
            assert (got.status, len(a.requests)) == (500, 5)
            [row] = relay.rows()
            assert (row["attempts"], row["status"], row["upstream"], row["error"]) == (5, 500, "c", "server")
            keys = [request.headers["authorization"][10:11] for request in a.requests]
            assert keys == ["a", "a", "b", "b", "c"]


def test_time_is_bounded(tmp_path: Path) -> None:
    """No attempt begins when the request's time is over; what an upstream asks for beyond that is not waited for."""
    with Upstream("a") as a:
        a.failure = drill.status(429, "rate_limit_error", (("Retry-After", "30"),))
        entries = [upstream("a", a.url("chat"), "chat", "sk-a-0123456789", timeouts={"first_byte": 1.2})]
        with Relay(tmp_path, entries, retry={"attempts": 50, "same": 20, "seconds": 1, "backoff": 0.01}) as relay:
            got = relay.post(PATHS["chat"], asking("chat", "m"))
            assert (got.status, got.headers["retry-after"], len(a.requests)) == (429, "30", 1)
            a.failure = BEFORE["500"]
            got = relay.post(PATHS["chat"], asking("chat", "m"))
            assert got.status == 500
            assert 2 < len(a.requests) < 49
            a.requests.clear()
            a.failure = BEFORE["silent"]
            relay.control("POST", "reset")
            got = relay.post(PATHS["chat"], asking("chat", "m"))
            assert (got.status, len(a.requests)) == (504, 1)


def test_a_short_wait_that_an_upstream_asks_for_is_kept(tmp_path: Path) -> None:
    """With nowhere else to go the same upstream is asked again, but not before it said."""
    times: list[float] = []

    def busy_once(up: Upstream, kind: str, stream: bool, request: Any) -> Any:
        times.append(time.monotonic())
        if len(times) == 1:
            return drill.status(503, "", (("Retry-After", "1"),))(up, kind, stream, request)
        return scripted.answer(kind, up.said, stream=stream)

    with Upstream("a") as a:
        a.failure = busy_once
        with Relay(tmp_path, [upstream("a", a.url("chat"), "chat", "sk-a-0123456789")]) as relay:
            assert relay.post(PATHS["chat"], asking("chat", "m")).status == 200
    assert len(times) == 2
    assert times[1] - times[0] >= 0.99


def test_a_conversation_stays_with_its_upstream(tmp_path: Path) -> None:
    """Whatever the strategy: the provider's cache is warm there."""
    with Upstream("a") as a, Upstream("b") as b:
        entries = [upstream(up.name, up.url("responses"), "responses", f"sk-{up.name}-0123456789") for up in (a, b)]
        with Relay(tmp_path, entries, selection={"strategy": "round_robin"}) as relay:
            for talk in ("first", "second", "third", "fourth"):
                for _turn in range(3):
                    body = asking("responses", "m", f"turn of {talk}", prompt_cache_key=talk)
                    assert relay.post(PATHS["responses"], body).status == 200
            seen = {talk: (a.asked(f"turn of {talk}"), b.asked(f"turn of {talk}")) for talk in ("first", "second")}
            assert sorted(seen.values()) == [(0, 3), (3, 0)]
            assert (len(a.requests), len(b.requests)) == (6, 6)
            home, other = (a, b) if seen["first"] == (3, 0) else (b, a)
            home.failure = BEFORE["reset"]
            got = relay.post(PATHS["responses"], asking("responses", "m", "after", prompt_cache_key="first"))
            assert understood("responses", got.body, stream=False).text == other.said.text
            home.failure = None
            relay.post(PATHS["responses"], asking("responses", "m", "later", prompt_cache_key="first"))
            assert (home.asked("later"), other.asked("later")) == (0, 1)


def test_who_is_never_asked(tmp_path: Path) -> None:
    """One that is switched off, out of its window, not for this format or this model, even when all others fail."""
    day = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(time.gmtime().tm_wday + 3) % 7]
    with Upstream("a") as a, Upstream("never") as never:
        a.failure = BEFORE["500"]
        entries = [
            upstream("off", never.url("chat"), "chat", "sk-off-0123456789", enabled=False),
            upstream(
                "closed", never.url("chat"), "chat", "sk-closed-0123456789", windows=[{"days": [day]}], zone="UTC"
            ),
            upstream("format", never.url("chat"), "chat", "sk-format-0123456789", accepts=["responses"]),
            upstream("model", never.url("chat"), "chat", "sk-model-0123456789", models=["other", "glm-*"]),
            upstream("a", a.url("chat"), "chat", "sk-a-0123456789", models=["m"]),
        ]
        with Relay(tmp_path, entries, retry=FAST, cooldown={"failures": 2}) as relay:
            assert [relay.post(PATHS["chat"], asking("chat", "m")).status for _ in range(3)] == [500, 500, 503]
            got = relay.post(PATHS["chat"], asking("chat", "unknown"))
            assert got.status == 503  # the one that is closed now would take it
            assert int(got.headers["retry-after"]) > 3600
            assert never.requests == []
            now = of(relay)
            assert (now["off"]["why"], now["closed"]["why"]) == ("disabled", "window")


# Reasoning that another upstream signed.


@pytest.mark.parametrize(
    ("kind", "message", "code"),
    [
        ("anthropic", "messages.1.content.0: Invalid `signature` in `thinking` block", "invalid_request_error"),
        ("responses", "The encrypted content could not be verified.", "invalid_encrypted_content"),
    ],
)
def test_reasoning_that_is_refused_is_left_out(tmp_path: Path, kind: str, message: str, code: str) -> None:
    """The same upstream is asked once more without it; the client notices nothing."""
    history: dict[str, Any]
    if kind == "anthropic":
        thought = {"type": "thinking", "thinking": "hmm", "signature": "foreign-seal"}
        history = {
            "messages": [
                {"role": "user", "content": "one"},
                {"role": "assistant", "content": [thought, {"type": "text", "text": "two"}]},
                {"role": "user", "content": "three"},
            ]
        }
    else:
        history = {
            "input": [
                {"role": "user", "content": "one"},
                {"type": "reasoning", "summary": [], "encrypted_content": "foreign-seal"},
                {"role": "assistant", "content": [{"type": "output_text", "text": "two"}]},
                {"role": "user", "content": "three"},
            ]
        }

    def refuse(up: Upstream, own: str, stream: bool, request: Any) -> Any:
        if b"foreign-seal" in request.body:
            return scripted.error(own, 400, message, code=code)
        return scripted.answer(own, up.said, stream=stream)

    with Upstream("a") as a, Upstream("b") as b:
        a.failure = refuse
        entries = [upstream(up.name, up.url(kind), kind, f"sk-{up.name}-0123456789") for up in (a, b)]
        with Relay(tmp_path, entries) as relay:
            for stream in (False, True):
                got = relay.post(PATHS[kind], {**asking(kind, "m", stream=stream), **history})
                assert got.status == 200, got.body
                assert understood(kind, got.body, stream=stream).text == a.said.text
            assert of(relay)["a"]["failures"] == 0
        assert len(a.requests) == 4
        assert b"foreign-seal" not in a.requests[1].body
        assert b'"two"' in a.requests[1].body
        assert b.requests == []


# Signs of life.


@pytest.mark.parametrize("served", WIRES)
@pytest.mark.parametrize("kind", WIRES)
def test_a_silent_client_gets_signs_of_life(pinging: World, kind: str, served: str) -> None:
    """Before the first event and between two, never inside one, also when another upstream takes over after them."""
    held: list[threading.Event] = [threading.Event(), threading.Event()]

    def slow(up: Upstream, own: str, stream: bool, request: Any) -> Any:
        events = scripted.events(own, up.said)
        place = drill.text_at(events)

        def body() -> Iterator[bytes]:
            yield b""
            held[0].wait(waiting.LIMIT)
            yield b"".join(events[: place + 1]) + events[place + 1][:25]
            held[1].wait(waiting.LIMIT)
            yield events[place + 1][25:] + b"".join(events[place + 2 :])

        return Response(200, (("Content-Type", "text/event-stream"),), body())

    sign = b"event: ping" if kind == "anthropic" else b":"
    pinging.bad.failure = BEFORE["503"] if kind == served else BEFORE["silent"]
    pinging.good.failure = slow
    body = asking(kind, f"both-{served}", stream=True)
    with drill.Streaming(pinging.relay.url, PATHS[kind], body, pinging.relay.key) as talk:
        assert talk.answer.status == 200
        before = talk.until(sign)
        assert b"I am" not in before
        held[0].set()
        begun = len(talk.until(b"I am"))
        talk.until(sign, begun)
        held[1].set()
        said = understood(kind, talk.rest(), stream=True)
    assert said[:3] == ("I am good, and all is well.", True, "")
    assert said.pings >= 2


@pytest.mark.parametrize("kind", WIRES)
def test_an_error_after_a_sign_of_life(pinging: World, kind: str) -> None:
    """The status has gone: the error comes inside the stream, in the client's format."""
    pinging.bad.failure = BEFORE["silent"]
    got = pinging.post(kind, f"lone-{kind}", stream=True)
    said = understood(kind, got.body, stream=True)
    assert got.status == 200
    assert (said.text, said.finished) == ("", False)
    assert "did not answer in time" in said.error
    assert said.pings >= 1
    whole = pinging.post(kind, f"lone-{kind}")
    assert whole.status == 504


@pytest.fixture(scope="module")
def pinged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Upstream("good") as good, Upstream("bad") as bad:
        entries = []
        for kind in WIRES:
            limits = {"timeouts": {"first_byte": 0.5}}
            entries += [
                upstream(f"bad-{kind}", bad.url(kind), kind, "sk-bad-0123456789", models=[f"both-{kind}"], **limits),
                upstream(f"lone-{kind}", bad.url(kind), kind, "sk-lone-0123456789", models=[f"lone-{kind}"], **limits),
                upstream(
                    f"good-{kind}", good.url(kind), kind, "sk-good-0123456789", models=[f"both-{kind}"], priority=1
                ),
            ]
        settings: dict[str, Any] = {"retry": FAST, "cooldown": {"failures": 1000}, "ping": 0.1}
        with Relay(tmp_path_factory.mktemp("relay"), entries, **settings) as relay:
            yield World(relay, bad, good)


@pytest.fixture
def pinging(pinged: World) -> World:
    pinged.bad.clear()
    pinged.good.clear()
    pinged.relay.control("POST", "reset")
    return pinged
