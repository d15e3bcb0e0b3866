"""Requests are led elsewhere while the relay runs: from the next one on, and nothing that runs notices it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

import pytest
from support import drill, waiting
from support.drill import PATHS, Streaming, Upstream, asking, understood
from support.led import Held, answered, soon, use
from support.relay import Relay, Reply, upstream

STREAMS = 200
FAST = {"attempts": 4, "same": 0, "backoff": 0, "jitter": 0}
WIRES = ("anthropic", "responses", "chat")


def entry(up: Upstream, wire: str = "chat", **more: Any) -> dict[str, Any]:
    fields = {"default_model": f"{up.name}-1", "map": {f"{up.name}-2": f"{up.name}-2"}, **more}
    return upstream(up.name, up.url(wire), wire, f"sk-{up.name}-0123456789", **fields)


def test_a_switch_while_200_streams_run_breaks_none(tmp_path: Path) -> None:
    """Each ends where it began; the next request is answered by the new one."""
    held = Held()
    with Upstream("a") as a, Upstream("b") as b, Relay(tmp_path, [entry(a), entry(b)]) as relay, ExitStack() as stack:
        a.failure = held
        body = asking("chat", "ccsetup-default", stream=True)
        streams = [stack.enter_context(Streaming(relay.url, PATHS["chat"], body, relay.key)) for _n in range(STREAMS)]
        for stream in streams:
            stream.until(b"I am")
        use(relay, "use", "b")
        soon(relay, "b/b-1")
        held.go.set()
        said = [stream.rest() for stream in streams]
        waiting.until(lambda: sum(row["stream"] for row in relay.rows()) == STREAMS)
        rows = [row for row in relay.rows() if row["stream"]]
    assert {understood("chat", one, stream=True).text for one in said} == {a.said.text}
    assert {(row["upstream"], row["served"], row["error"]) for row in rows} == {("a", "a-1", "")}


@pytest.mark.parametrize("kind", WIRES)
@pytest.mark.parametrize("stream", [False, True])
def test_each_tier_goes_to_its_own_upstream(tmp_path: Path, kind: str, stream: bool) -> None:
    """One command leads three of them to three; header and row have both names."""
    with Upstream("a") as a, Upstream("b") as b, Upstream("c") as c:
        entries = [entry(a, "anthropic"), entry(b, "responses"), entry(c)]
        with Relay(tmp_path, entries) as relay:
            use(relay, "tiers", "--opus", "b/b-2", "--sonnet", "c", "--haiku", "a/a-2")
            soon(relay, "b/b-2", "ccsetup-opus")
            wanted = {"opus": "b/b-2", "sonnet": "c/c-1", "haiku": "a/a-2", "default": "a/a-1", "fable": "a/a-1"}
            for up in (a, b, c):
                up.clear()
            for tier, expected in wanted.items():
                assert answered(relay, f"ccsetup-{tier}", kind, stream=stream) == expected
            assert [request.json["model"] for up in (a, b, c) for request in up.requests] == [
                "a-2", "a-1", "a-1", "b-2", "c-1",
            ]  # fmt: skip
            rows = relay.rows(6)[-5:]
            assert [(row["model"], row["served"]) for row in rows] == [
                (f"ccsetup-{tier}", expected[2:]) for tier, expected in wanted.items()
            ]


def test_it_survives_a_restart_and_ends_with_a_reset(tmp_path: Path) -> None:
    with Upstream("a") as a, Upstream("b") as b, Relay(tmp_path, [entry(a), entry(b)]) as relay:
        assert answered(relay) == "a/a-1"
        relay.stop()
        for argv in (("use", "b"), ("tiers", "--haiku", "b/b-2")):
            assert "The relay is not running" in use(relay, *argv).stdout
        relay.start()
        assert (answered(relay), answered(relay, "ccsetup-haiku")) == ("b/b-1", "b/b-2")
        status: dict[str, Any] = relay.control("GET", "status")
        assert status["use"] == {"default": "b", "tiers": {"haiku": "b/b-2"}, "all": "", "lost": {}}
        assert "default: b  haiku: b/b-2" in use(relay, "status").stdout
        use(relay, "use", "--reset")
        soon(relay, "a/a-1")
        assert answered(relay, "ccsetup-haiku") == "b/b-2"


def test_one_for_all_overrides_what_was_picked_and_says_so(tmp_path: Path) -> None:
    """In each line of the log, in a header, in the status; until it is reset."""
    with Upstream("a") as a, Upstream("b") as b, Relay(tmp_path, [entry(a), entry(b)], retry=FAST) as relay:
        use(relay, "use", "--all", "b")
        soon(relay, "b/b-1", "a-2")
        a.clear()
        b.clear()
        for kind in WIRES:
            for model in ("a-2", "a/a-2", "a-1-thinking", "claude-opus-9", "ccsetup-opus", "unheard-of", "b-1"):
                got = relay.post(PATHS[kind], asking(kind, model))
                assert (got.status, got.headers["x-relay-all"], got.headers["x-relay-upstream"]) == (200, "b", "b")
        assert (a.requests, {request.json["model"] for request in b.requests}) == ([], {"b-1"})
        b.failure = drill.status(500, "no")
        assert answered(relay, "a-2") == "a/a-2"
        waiting.until(lambda: '"served":"a-2"' in relay.output)
        lines = [json.loads(line) for line in relay.output.splitlines()]
        told = [line for line in lines if line["event"] in ("request", "attempt failed")]
        assert {line.get("all") for line in told} == {"b"}
        (relay.state / "relay.log").symlink_to(relay.log)
        rows = use(relay, "logs", "-n", "100").stdout.splitlines()
        assert {line.count("(all: b)") for line in rows if " local " in line} == {1}
        assert "Every request goes to 'b'" in use(relay, "status").stdout
        b.failure = None
        use(relay, "use", "--all", "--reset")
        waiting.until(lambda: relay.control("GET", "status")["use"]["all"] == "")
        assert relay.post(PATHS["chat"], asking("chat", "a-2")).headers.get("x-relay-all") is None


def test_a_target_whose_upstream_goes_is_followed_by_the_default(tmp_path: Path) -> None:
    """With a line in log and status; never with an error."""
    with Upstream("a") as a, Upstream("b") as b, Relay(tmp_path, [entry(a), entry(b)]) as relay:
        use(relay, "use", "b")
        use(relay, "tiers", "--opus", "b/b-2")
        soon(relay, "b/b-2", "ccsetup-opus")
        relay.write(upstreams=[entry(a)])
        soon(relay, "a/a-1")
        assert answered(relay, "ccsetup-opus") == "a/a-1"
        assert relay.control("GET", "status")["use"]["lost"] == {"default": "b", "opus": "b/b-2"}
        waiting.until(lambda: '"target gone"' in relay.output)
        relay.write(upstreams=[entry(a), entry(b)])
        soon(relay, "b/b-2", "ccsetup-opus")


def test_a_file_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    with Upstream("a") as a, Upstream("b") as b, Relay(tmp_path, [entry(a), entry(b)]) as relay:
        use(relay, "use", "b")
        soon(relay, "b/b-1")
        (relay.state / "switchboard.json").write_text("{")
        waiting.until(lambda: "switchboard.json" in relay.output)
        assert answered(relay) == "b/b-1"
        (relay.state / "switchboard.json").unlink()
        soon(relay, "a/a-1")


TOO_LONG = {
    "anthropic": "prompt is too long",
    "responses": "context_length_exceeded",
    "chat": "context_length_exceeded",
}


@pytest.mark.parametrize("kind", WIRES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("command", [("use", "b"), ("tiers", "--opus", "b/b-1"), ("use", "--all", "b"), ("use", "b-1")])
def test_a_prompt_too_long_for_the_new_target_is_refused_in_the_clients_words(
    tmp_path: Path, kind: str, stream: bool, command: tuple[str, ...]
) -> None:
    """Before anybody is asked, also where another upstream had room: so that the client compacts, and stays there."""
    with Upstream("a") as a, Upstream("b") as b:
        entries = [entry(a, context={"a-1": 1_000_000}), entry(b, context={"b-1": 128_000})]
        with Relay(tmp_path, entries) as relay:
            long = asking(kind, "ccsetup-opus", "one two three four five six seven eight nine " * 30_000, stream=stream)
            assert relay.post(PATHS[kind], long).status == 200
            use(relay, *command)
            soon(relay, "b/b-1", "ccsetup-opus")
            a.clear()
            b.clear()
            refused: Optional[Reply] = relay.post(PATHS[kind], long)
            assert refused is not None
            assert (refused.status, TOO_LONG[kind] in refused.body.decode()) == (400, True), refused.body[:300]
            assert (a.requests, b.requests) == ([], [])
            assert answered(relay, "ccsetup-opus", kind) == "b/b-1"
