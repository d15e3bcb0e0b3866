"""Every failure at every point of an answer, on all nine paths, streaming and not."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from support import drill
from support.drill import BEFORE, PATHS, STREAM_AFTER, STREAM_BEFORE, WIRES, Upstream, asking, understood
from support.relay import Relay, Reply, upstream

SLOW = {"silent", "hang-after-head", "comments-only", "idle", "idle-inside-event"}
"""They wait for a time limit, so that their cases run at once."""
TIMEOUTS = {"connect": 5, "first_byte": 0.4, "idle": 0.4, "total": 3}

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
    "error-inside-200": 500,
}
"""What the client gets in the end; 502 for all others, where HTTP went wrong or the answer was none."""
TOLD = {"500", "503", "529", "429", "401", "402", "403", "quota-inside-200", "error-inside-200", "error-first"}
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
    nothing listens, and ``tls-W``, which speaks no TLS."""
    with Upstream("good") as good, Upstream("bad") as bad, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{closed.getsockname()[1]}"
        entries = []
        for kind in WIRES:
            for name, url in (
                ("bad", bad.url(kind)),
                ("refused", dead),
                ("tls", bad.url(kind).replace("http", "https")),
            ):
                first, lone = ("both", "lone") if name == "bad" else (name, f"lone-{name}")
                for own, model in ((f"{name}-{kind}", f"{first}-{kind}"), (f"lone-{name}-{kind}", f"{lone}-{kind}")):
                    limits = dict(TIMEOUTS)
                    entries.append(upstream(own, url, kind, f"sk-{own}-0123456789", timeouts=limits, models=[model]))
            models = [f"{name}-{kind}" for name in ("both", "refused", "tls")]
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
        got = world.post(kind, f"both-{served}", text, stream=stream)
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
        got = world.post(kind, f"lone-{served}", text, stream=stream)
        said = understood(kind, got.body, stream=stream)
        assert (said.text, said.finished) == ("", False)
        assert said.error
        assert got.headers["content-type"] == "application/json"
        expected = {503, 500} if name == "error-first" else {STATUS.get(name, 502)}
        assert got.status in expected, got.body
        assert (drill.KNOWN in said.error) == (name in TOLD), got.body
        assert got.headers.get("retry-after") == ("7" if name == "429" else None)
        assert f"lone-bad-{served}" not in said.error or name not in TOLD

    each_case(name, applies(name), check, world)


@pytest.mark.parametrize("name", list(STREAM_AFTER))
def test_after_the_first_event_the_client_is_told(world: World, name: str) -> None:
    """What came stays, an error in the client's format ends it, and it never looks finished."""
    world.bad.failure = drill.FAILURES[name]

    def check(kind: str, served: str, stream: bool, text: str) -> None:
        got = world.post(kind, f"both-{served}", text, stream=stream)
        said = understood(kind, got.body, stream=True)
        assert got.status == 200
        assert not said.finished, got.body
        assert said.error, got.body
        if name != "no-end":
            assert said.text == "I am bad, and", got.body
        assert (drill.KNOWN in said.error) == (name == "error-later"), got.body
        assert (world.bad.asked(text), world.good.asked(text)) == (1, 0)
        now = world.status()
        assert now[f"bad-{served}"]["failures"] >= 1
        assert now[f"good-{served}"]["failures"] == 0

    each_case(name, (True,), check, world)
