"""What is noted of a request: tokens that nobody told, models, tries that failed, requests of our own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import cc, scripted, waiting
from support.drill import PATHS, Streaming, Upstream, asking
from support.loopback import Request, Response
from support.relay import Relay, upstream
from support.scripted import Figures, Said

from ccsetup.relay.serving.sample import MOST
from ccsetup.relay.wire import tokens

WIRES = tuple(PATHS)
PIECE = "word " * 20
NOTHING = Figures(0, 0, 0, 0)
"""A provider that tells no usage."""


def long(kind: str, pieces: int) -> list[bytes]:
    """Return the events of an answer with *pieces* times PIECE, and nothing about tokens."""
    events = scripted.events(kind, Said(PIECE * 2, figures=NOTHING))
    texts = [n for n, event in enumerate(events) if PIECE.encode() in event and b"delta" in event]
    at = texts[0]
    return [*events[:at], *[events[at]] * (pieces - 1), *events[at + 1 :]]


def slowly(events: Sequence[bytes], held: threading.Event, hold: int) -> Any:
    """Return an answer of an upstream: each event for itself, and *held* before the last *hold* ones."""

    def answer(_up: Any, _kind: str, _stream: bool, _request: Request) -> Response:
        def body() -> Iterator[bytes]:
            for number, event in enumerate(events):
                if number == len(events) - hold:
                    held.wait(60)
                if number % 10 == 0:
                    time.sleep(0.001)  # so that they come in many pieces
                yield event

        return Response(200, (("Content-Type", "text/event-stream"),), body())

    return answer


@pytest.mark.parametrize("spoken", WIRES)
@pytest.mark.parametrize("kind", WIRES)
def test_a_stream_without_usage_is_an_estimate(tmp_path: Path, kind: str, spoken: str) -> None:
    """Without any budget too, whole or given up, short or much longer than what is kept of it."""
    held = threading.Event()
    with Upstream("a") as a, Relay(tmp_path, [upstream("a", a.url(spoken), spoken, "sk-a-0123456789")]) as relay:
        for pieces in (2, 400):
            events = long(spoken, pieces)
            assert pieces == 2 or len(b"".join(events)) > 4 * MOST
            a.failure = slowly(events, held, 4)
            with Streaming(relay.url, PATHS[kind], asking(kind, "m", stream=True), relay.key) as stream:
                while stream.read.count(b"word") < (pieces - 2) * 20:
                    stream.until(b"word", len(stream.read))
            waiting.until(lambda: relay.control("GET", "status")["running"] == 0, "it is noticed")
            held.set()
            with Streaming(relay.url, PATHS[kind], asking(kind, "m", stream=True), relay.key) as stream:
                stream.rest()
            held.clear()
        rows = relay.rows(4)
        status = relay.control("GET", "status")
    assert [row["error"] for row in rows] == ["gone", "", "gone", ""]
    assert [row["estimated"] for row in rows] == [1, 1, 1, 1]
    for row, pieces in zip(rows, (2, 2, 400, 400), strict=True):
        said = tokens.of_text(PIECE * pieces)
        assert 5 < row["input"] < 30
        assert (0.4 if row["error"] and pieces == 2 else 0.85) * said <= row["output"] <= 1.15 * said, row
    assert status["upstreams"][0]["estimated"] == 4


@pytest.mark.parametrize("spoken", WIRES)
@pytest.mark.parametrize("kind", WIRES)
def test_a_whole_answer_without_usage_is_an_estimate(tmp_path: Path, kind: str, spoken: str) -> None:
    """And one that tells its usage is none."""
    with Upstream("a") as a, Relay(tmp_path, [upstream("a", a.url(spoken), spoken, "sk-a-0123456789")]) as relay:
        for figures in (NOTHING, Figures()):
            whole = scripted.answer(spoken, Said(PIECE * 10, figures=figures), stream=False)
            a.failure = lambda *_args, whole=whole: whole
            assert relay.post(PATHS[kind], asking(kind, "m")).status == 200
        guessed, told = relay.rows(2)
    assert guessed["estimated"] == 1
    assert abs(guessed["output"] - tokens.of_text(PIECE * 10)) < 5
    assert 5 < guessed["input"] < 30
    assert (told["estimated"], told["input"], told["cache_read"], told["output"]) == (0, 100, 30, 20)


@pytest.mark.parametrize("kind", WIRES)
def test_the_head_of_a_messages_stream_is_not_its_usage(tmp_path: Path, kind: str) -> None:
    """It tells one token of output beforehand; where nothing follows, that is true of the shortest answers only."""
    with (
        Upstream("a") as a,
        Relay(tmp_path, [upstream("a", a.url("anthropic"), "anthropic", "sk-a-0123456789")]) as relay,
    ):
        for said in (Said(PIECE * 10, figures=Figures(100, 0, 20, 0)), Said("yes", figures=Figures(100, 0, 20, 0))):
            events = [event.replace(b'"output_tokens": 20', b'"x": 0') for event in scripted.events("anthropic", said)]
            assert any(b'"output_tokens": 1' in event for event in events)
            a.failure = slowly(events, threading.Event(), 0)
            assert relay.post(PATHS[kind], asking(kind, "m", stream=True)).status == 200
        long_one, short_one = relay.rows(2)
    assert (long_one["estimated"], long_one["input"]) == (1, 100)
    assert abs(long_one["output"] - tokens.of_text(PIECE * 10)) < 5
    assert (short_one["estimated"], short_one["output"]) == (0, 1)


@pytest.mark.parametrize("kind", WIRES)
def test_nothing_is_charged_where_nobody_answered(tmp_path: Path, kind: str) -> None:
    """A refusal, or an upstream that is away, costs no tokens."""
    with Upstream("a") as a, Relay(tmp_path, [upstream("a", a.url("chat"), "chat", "sk-a-0123456789")]) as relay:
        a.failure = lambda *_args: Response(400, (("Content-Type", "application/json"),), b'{"error":{"message":"no"}}')
        for stream in (False, True):
            assert relay.post(PATHS[kind], asking(kind, "m", stream=stream)).status == 400
        rows = relay.rows(2)
    assert [(row["estimated"], row["input"], row["output"], row["failed"]) for row in rows] == [(0, 0, 0, "a")] * 2


def test_tries_that_failed_are_seen_at_their_upstream(tmp_path: Path) -> None:
    """One that was passed over has its tries and failures in row, status and figures, though another answered."""
    with Upstream("a") as a, Upstream("b") as b:
        a.failure = lambda *_args: Response(529, (), b"overloaded")
        entries = [upstream(up.name, up.url("chat"), "chat", f"sk-{up.name}-0123456789") for up in (a, b)]
        with Relay(tmp_path, entries, retry={"same": 1, "backoff": 0, "jitter": 0}) as relay:
            assert relay.post(PATHS["chat"], asking("chat", "m")).status == 200
            a.failure = None
            relay.control("POST", "reset")
            assert relay.post(PATHS["chat"], asking("chat", "m", "another conversation")).status == 200
            rows = relay.rows(2)
            status = {each["name"]: each for each in relay.control("GET", "status")["upstreams"]}
            told = cc.run(tmp_path, "relay", "status").stdout
    assert [(row["upstream"], row["failed"], row["attempts"]) for row in rows] == [("b", "a a", 3), ("a", "", 1)]
    assert [(status[name]["tries"], status[name]["tries_failed"]) for name in "ab"] == [(3, 2), (1, 0)]
    assert ["a", "primary", "ok", "0", "3", "2"] in [line.split() for line in told.splitlines()]
    stats = cc.run(tmp_path, "relay", "stats", "--by", "upstream", "--json").json["result"]["rows"]
    found = {row["name"]: (row["requests"], row["tries"], row["tries_failed"]) for row in stats}
    assert found == {"a": (1, 3, 2), "b": (1, 1, 0)}


def test_requests_of_our_own_are_marked(tmp_path: Path) -> None:
    """Those of ``ccsetup test`` through the relay; what clients ask stays what it is."""
    with Upstream("a") as a:
        relay = Relay(tmp_path, [upstream("a", a.url("anthropic"), "anthropic", "sk-a-0123456789", default_model="m")])
        with relay:
            body = json.dumps(asking("anthropic", "m")).encode()
            ours = {"user-agent": "claude-cli/2.1.999 (external, sdk-cli) ccsetup/1.0.0"}
            theirs = {"user-agent": "claude-cli/2.1.999 (external, cli)"}
            for headers in (ours, theirs):
                assert relay.ask("POST", PATHS["anthropic"], body, key=relay.key, headers=headers).status == 200
            assert len(relay.rows(1)) == len(relay.rows(1, purpose="check")) == 1
    rows = cc.run(tmp_path, "relay", "stats", "--by", "purpose", "--json").json["result"]["rows"]
    assert {row["name"]: (row["requests"], row["own"]) for row in rows} == {"": (1, 0), "check": (1, 1)}
