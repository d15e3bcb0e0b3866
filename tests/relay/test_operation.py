"""Operating a relay: reloads, restarts, ends, budgets, shared state, disks that take nothing."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Optional

import pytest
from support import cc, drill, scripted, servers, waiting
from support.drill import PATHS, Streaming, Upstream, asking, understood
from support.led import Held
from support.loopback import Request, Response
from support.relay import Relay, upstream

from ccsetup.model import Secret
from ccsetup.relay.config import access
from ccsetup.relay.config import secrets as reading
from ccsetup.relay.config.parse import parse
from ccsetup.relay.http.client import Lean
from ccsetup.relay.log import Log
from ccsetup.relay.running.activating import Activations
from ccsetup.relay.serving.runtime import Runtime, build
from ccsetup.relay.store import UsageRow

FAST = {"attempts": 4, "same": 0, "backoff": 0, "jitter": 0}


def chat(up: Upstream, name: str = "", **more: Any) -> dict[str, Any]:
    """Return an entry for *up*."""
    name = name or up.name
    return upstream(name, up.url("chat"), "chat", f"sk-{name}-0123456789", **more)


def ask(relay: Relay, text: str = "hello", **more: Any) -> str:
    """Return the text of an answer, or the message of an error."""
    said = understood("chat", relay.post(PATHS["chat"], asking("chat", "m", text, **more)).body, stream=False)
    return said.text or said.error


def status(relay: Relay) -> dict[str, Any]:
    found: dict[str, Any] = relay.control("GET", "status")
    return found


def rests(relay: Relay) -> dict[str, str]:
    return {each["name"]: each["why"] for each in status(relay)["upstreams"]}


class Lingering:
    """A stream whose connection stays open after the last event that is sent: all but the last *less*."""

    def __init__(self, less: int = 0) -> None:
        self._less = less

    def __call__(self, up: Upstream, kind: str, stream: bool, request: Request) -> Response:
        events = scripted.events(kind, up.said)

        def body() -> Iterator[bytes]:
            yield b"".join(events[: len(events) - self._less])
            up.closing.wait()

        return Response(200, (("Content-Type", "text/event-stream"),), body())


LAST = {"anthropic": b"message_stop", "responses": b"response.completed", "chat": b"[DONE]"}


@pytest.mark.parametrize("spoken", LAST)
@pytest.mark.parametrize("kind", LAST)
def test_a_client_that_goes_with_a_whole_answer_is_no_error(tmp_path: Path, kind: str, spoken: str) -> None:
    """Codex closes at response.completed, whatever the upstream still has; without the end it has gone too early."""
    with Upstream("a") as a:
        entry = upstream("a", a.url(spoken), spoken, "sk-a-0123456789")
        with Relay(tmp_path, [entry]) as relay:
            for failure, wanted in ((Lingering(), LAST[kind]), (Lingering(less=4), b"I am")):
                a.failure = failure
                with Streaming(relay.url, PATHS[kind], asking(kind, "m", stream=True), relay.key) as stream:
                    stream.until(wanted)
            whole, part = relay.rows(2)
    assert (whole["status"], whole["error"], part["status"], part["error"]) == (200, "", 499, "gone")
    assert whole["output"] == a.said.figures.output


@pytest.mark.parametrize("kind", LAST)
def test_the_name_of_a_model_is_noted_in_short_and_as_text(tmp_path: Path, kind: str) -> None:
    """A client chooses the name: neither its length nor what steers a terminal gets into a row or into the log."""
    steering = "claude-\x1b[31m\x9b1m\u202ered\n"
    with Upstream("a") as a, Relay(tmp_path, [upstream("a", a.url("chat"), "chat", "sk-a-0123456789")]) as relay:
        for model in (steering, "claude-" + "m" * 1_000_000):
            with Streaming(relay.url, PATHS[kind], asking(kind, model, stream=True), relay.key) as stream:
                stream.until(LAST[kind])
        rows = relay.rows(2)
    assert [row["model"] for row in rows] == ["claude-\ufffd[31m\ufffd1m\ufffdred\ufffd", "claude-" + "m" * 193]
    assert all(row["served"] == row["model"] for row in rows)


def test_models_are_listed_for_the_one_who_asks(tmp_path: Path) -> None:
    """With windows where they are known; Claude Code gets ids that its picker shows, and that lead to the same."""
    with Upstream("a") as a, Upstream("b") as b:
        entries = [
            chat(a, preset="glm", default_model="glm-5.3", map={"x/Y:free": "x/Y:free"}),
            chat(b, default_model="claude-b", map={"glm-5.3": "glm-5.3"}),
        ]
        with Relay(tmp_path, entries) as relay:
            data = relay.get("/v1/models").json["data"]
            windows = {one["id"]: one.get("context_window") for one in data}
            assert windows == {"glm-5.3": 1_000_000, "x/Y:free": None, "claude-b": None, "b/glm-5.3": None}
            assert all(one["display_name"] == one["id"] and one["owned_by"] in one["description"] for one in data)
            for agent in ("claude-code/2.1.300", "claude-cli/2.1.300 (external, cli)"):
                shown = relay.get("/v1/models?limit=1000", headers={"user-agent": agent}).json["data"]
                assert [one["display_name"] for one in shown] == [*windows]
                assert all("claude" in one["id"] for one in shown)
                for one, plain in zip(shown, windows, strict=True):
                    got = relay.post(PATHS["anthropic"], asking("anthropic", one["id"]))
                    asked = {"a": a, "b": b}[one["owned_by"]].requests[-1].json["model"]
                    assert (got.status, asked) == (200, plain.removeprefix("b/"))


@pytest.mark.parametrize("kind", LAST)
def test_a_model_is_served_by_its_owner_or_it_is_told(tmp_path: Path, kind: str) -> None:
    """Each advertised id reaches its owner; another one's answer is named in header, row and log; others get 404."""
    with Upstream("a") as a, Upstream("b") as b:
        entries = [chat(a, default_model="a-1"), chat(b, group="backup", default_model="b-1", map={"b-2": "b-2"})]
        with Relay(tmp_path, entries, retry=FAST) as relay:
            listed = {one["id"]: one["owned_by"] for one in relay.get("/v1/models").json["data"]}
            assert listed == {"a-1": "a", "b-1": "b", "b-2": "b"}
            for model, owner in listed.items():
                got = relay.post(PATHS[kind], asking(kind, model))
                assert (got.status, got.headers.get("x-relay-model")) == (200, None)
                assert {"a": a, "b": b}[owner].requests[-1].json["model"] == model
            b.failure = drill.status(500, "no")
            got = relay.post(PATHS[kind], asking(kind, "b-2", stream=True))
            assert got.status == 200
            assert (got.headers["x-relay-model"], got.headers["x-relay-upstream"]) == ("a-1", "a")
            row = relay.rows(4)[-1]
            assert (row["model"], row["served"], row["upstream"]) == ("b-2", "a-1", "a")
            got = relay.post(PATHS[kind], asking(kind, "b-3"))
            said = understood(kind, got.body, stream=False)
            assert (got.status, "Similar names: b-" in said.error) == (404, True), got
        (line,) = [line for line in relay.output.splitlines() if '"served":"a-1"' in line]
        assert '"model":"b-2"' in line


def held_stream(relay: Relay, kind: str = "chat") -> Streaming:
    stream = Streaming(relay.url, PATHS[kind], asking(kind, "m", stream=True), relay.key)
    stream.until(b"I am")
    return stream


# Reloads.


@pytest.mark.parametrize("how", ["file", "signal", "command"])
def test_new_requests_see_the_new_configuration(tmp_path: Path, how: str) -> None:
    """A stream that runs finishes with the upstream, the key and the limits that it began with."""
    with Upstream("old") as old, Upstream("new") as new:
        held = old.failure = Held()
        with Relay(tmp_path, [chat(old)], ping=0) as relay:
            with held_stream(relay) as stream:
                relay.write(upstreams=[chat(new)])
                if how == "signal":
                    assert relay.process is not None
                    relay.process.send_signal(signal.SIGHUP)
                elif how == "command":
                    assert cc.run(tmp_path, "relay", "reload").ok
                waiting.until(lambda: status(relay)["upstreams"][0]["name"] == "new", "the new configuration is in use")
                assert status(relay)["last_reload"]["ok"] is True
                assert ask(relay) == new.said.text
                held.go.set()
                said = understood("chat", stream.rest(), stream=True)
            assert said[:3] == (old.said.text, True, "")
            assert len(old.requests) == 1


def test_a_file_that_is_wrong_changes_nothing(tmp_path: Path) -> None:
    """The old configuration stays; status, log and command say where the file is wrong, and no key with it."""
    with Upstream("a") as a, Relay(tmp_path, [chat(a)]) as relay:
        good = relay.config.read_text()
        relay.config.write_text(good.replace("name: a", "nmae: a"))
        waiting.until(lambda: status(relay)["last_reload"].get("ok") is False, "the file was read")
        problem = status(relay)["last_reload"]["problem"]
        line = next(n for n, text in enumerate(good.splitlines(), 1) if "name: a" in text)
        assert f"relay.yaml:{line}:" in problem
        assert "nmae" in problem
        assert ask(relay) == a.said.text
        run = cc.run(tmp_path, "relay", "reload")
        assert run.rc == 1
        assert f"relay.yaml:{line}:" in run.stderr
        shown = cc.run(tmp_path, "relay", "status")
        assert f"relay.yaml:{line}:" in shown.stdout + shown.stderr
        for broken in ("", "\0", "relay: 1\nupstreams: []\n", "relay: 1\n" + "a: &a [*a]\n", "- " * 5000):
            relay.config.write_text(broken)
            assert "error" in relay.control("POST", "reload")
            assert ask(relay) == a.said.text
        relay.config.unlink()
        assert "error" in relay.control("POST", "reload")
        relay.config.write_text(good)
        assert relay.control("POST", "reload") == {"ok": True}
        assert status(relay)["last_reload"]["ok"] is True
        assert "sk-a-0123456789" not in relay.output + problem + run.stderr + shown.stdout


def test_rests_and_figures_survive(tmp_path: Path) -> None:
    """A reload and a restart forgive no upstream and no key, and forget no spending."""
    with Upstream("a") as a, Upstream("b") as b:

        def fail(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
            first = "sk-b-1" in request.headers["authorization"]
            return (
                drill.status(401)(up, kind, stream, request) if first else scripted.answer(kind, up.said, stream=stream)
            )

        a.failure, b.failure = drill.BEFORE["500"], fail
        entries = [
            chat(a),
            {**chat(b), "keys": [{"inline": "sk-b-1-0123456789"}, {"inline": "sk-b-2-0123456789"}], "priority": 1},
        ]
        del entries[1]["key"]
        relay = Relay(tmp_path, entries, retry=FAST, cooldown={"failures": 1, "seconds": 600})
        relay.add_key(budget=access.Budget(requests=4))
        with relay:
            assert ask(relay) == b.said.text
            before = status(relay)["upstreams"]
            assert before[0]["why"] == "resting"
            assert before[1]["keys"][0] > time.time() + 500
            relay.write(ping=3)
            assert relay.control("POST", "reload") == {"ok": True}
            assert status(relay)["upstreams"] == before
            assert ask(relay, "second") == b.said.text
            relay.rows(2)
            relay.stop()
            relay.start()
            after = status(relay)["upstreams"]
            assert [each["until"] for each in after] == [each["until"] for each in before]
            assert after[1]["keys"] == before[1]["keys"]
            assert [ask(relay, "third") for _ in range(2)] == [b.said.text, b.said.text]
            assert "budget" in ask(relay, "fifth")
            assert len(a.requests) == 1
            assert sum("sk-b-1" in request.headers["authorization"] for request in b.requests) == 1
            relay.rows(5)


def test_a_changed_key_file_is_noticed(tmp_path: Path) -> None:
    with Upstream("a") as a:
        key = tmp_path / "key.txt"
        key.touch(mode=0o600)
        key.write_text("sk-old-0123456789\n")
        with Relay(tmp_path, [{**chat(a), "key": {"file": str(key)}}]) as relay:
            ask(relay)
            key.write_text("sk-newer-0123456789\n")
            waiting.until(lambda: bool(status(relay)["last_reload"]), "the file was read again")
            ask(relay)
            key.unlink()
            waiting.until(lambda: bool(status(relay)["problems"]), "the missing file was noticed")
            assert "no key" in ask(relay) or "No upstream" in ask(relay)
        keys = [request.headers["authorization"] for request in a.requests]
        assert keys == ["Bearer sk-old-0123456789", "Bearer sk-newer-0123456789"]


# The end.


@pytest.mark.parametrize("kind", ["anthropic", "chat"])
def test_a_stream_that_ends_in_time_is_not_cut(tmp_path: Path, kind: str) -> None:
    with Upstream("a") as a:
        held = a.failure = Held()
        with Relay(tmp_path, [chat(a)], stop_seconds=20) as relay, held_stream(relay, kind) as stream:
            assert relay.process is not None
            relay.process.send_signal(signal.SIGTERM)
            waiting.until(lambda: "stopping" in relay.output, "the relay stops")
            waiting.until(lambda: not listens(relay), "nobody else comes in")
            held.go.set()
            said = understood(kind, stream.rest(), stream=True)
            assert said[:3] == (a.said.text, True, "")
            assert relay.process.wait(waiting.LIMIT) == 0
            assert not (relay.state / "run.json").exists()
            [row] = relay.rows()
            assert (row["status"], row["error"]) == (200, "")


@pytest.mark.parametrize("kind", ["anthropic", "chat"])
@pytest.mark.parametrize("signals", [1, 2])
def test_a_longer_one_is_told(tmp_path: Path, kind: str, signals: int) -> None:
    """After the time, or at once when told a second time; the client hears why, and it never looks finished."""
    with Upstream("a") as a:
        a.failure = Held()
        stop = 1 if signals == 1 else 600
        with Relay(tmp_path, [chat(a)], stop_seconds=stop) as relay, held_stream(relay, kind) as stream:
            assert relay.process is not None
            relay.process.send_signal(signal.SIGTERM)
            waiting.until(lambda: "stopping" in relay.output, "the relay stops")
            if signals == 2:
                relay.process.send_signal(signal.SIGTERM)
            said = understood(kind, stream.rest(), stream=True)
            assert (said.text, said.finished) == ("I am a, and ", False)
            assert "stopped" in said.error
            assert relay.process.wait(waiting.LIMIT) == 0
            [row] = relay.rows()
            assert row["error"] == "stopped"
            for line in relay.output.splitlines():
                json.loads(line)


def listens(relay: Relay) -> bool:
    try:
        return relay.get("/healthz").status == 200
    except OSError:
        return False


def test_stopping_while_nothing_runs(tmp_path: Path) -> None:
    with Upstream("a") as a, Relay(tmp_path, [chat(a)]) as relay:
        ask(relay)
        assert relay.process is not None
        assert cc.run(tmp_path, "relay", "stop").ok
        assert relay.process.wait(waiting.LIMIT) == 0
        assert [row["status"] for row in relay.rows()] == [200]


# Client keys.


def test_what_a_client_key_may(tmp_path: Path) -> None:
    """Budgets of requests, tokens and cost, an end, certain upstreams; and a key that is revoked while it runs."""
    with Upstream("a") as a, Upstream("b") as b:
        prices = {"m": {"input": 1000, "output": 0}}
        relay = Relay(tmp_path, [chat(a), chat(b, priority=1, prices=prices, models=["m"])])
        names = ("requests", "tokens", "cost", "late", "only-b", "gone")
        keys = {name: f"ccr-{name:x<43}" for name in names}
        limits: dict[str, dict[str, Any]] = {
            "requests": {"budget": access.Budget(requests=2)},
            "tokens": {"budget": access.Budget(tokens=150)},
            "cost": {"budget": access.Budget(cost=0.09), "upstreams": ["b"]},
            "late": {"expires": time.time() - 1},
            "only-b": {"upstreams": ["b"]},
            "gone": {},
        }
        for name in names:
            relay.add_key(name, keys[name], **limits[name])
        relay.add_key()

        with relay:

            def post(name: str, kind: str = "chat") -> Any:
                return relay.post(PATHS[kind], asking(kind, "m"), key=keys[name])

            assert [post("requests").status for _ in range(3)] == [200, 200, 429]
            refused = post("requests")
            assert 0 < int(refused.headers["retry-after"]) <= 86400
            assert "2 requests a day" in understood("chat", refused.body, stream=False).error
            refused = post("requests", "anthropic")
            assert "2 requests a day" in understood("anthropic", refused.body, stream=False).error

            assert post("tokens").status == 200
            assert post("tokens").status == 429  # one answer has 150

            assert post("cost").status == 200
            assert post("cost").status == 429  # 130 tokens at 1000 a million

            assert post("late").status == 401
            assert understood("chat", post("only-b").body, stream=False).text == b.said.text
            assert [m["id"] for m in relay.get("/v1/models", key=keys["only-b"]).json["data"]] == ["m"]

            assert post("gone").status == 200
            assert cc.run(tmp_path, "relay", "key", "revoke", "gone").ok
            waiting.until(lambda: post("gone").status == 401, "the key is revoked")
            assert relay.post(PATHS["chat"], asking("chat", "m")).status == 200
            clients = {"requests", "tokens", "cost", "only-b", "gone", "local"}
            waiting.until(lambda: {row["client"] for row in relay.rows(9)} >= clients, "all are noted")


@pytest.mark.parametrize("kind", ["chat", "anthropic"])
@pytest.mark.parametrize("gives_up", [True, False])
def test_tokens_that_nobody_tells_are_charged_all_the_same(tmp_path: Path, kind: str, gives_up: bool) -> None:
    """A client that closes each stream in its middle, or does not ask for the usage, comes to the end of its budget."""
    ended = threading.Event()

    def answer(_up: Any, _kind: str, _stream: bool, _request: Any) -> Response:
        def pieces() -> Iterator[bytes]:
            chunk = {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "word " * 50}}]}
            yield b"data: %b\n\n" % json.dumps(chunk).encode()
            if gives_up:
                ended.wait(60)
            chunk["choices"] = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
            yield b"data: %b\n\ndata: [DONE]\n\n" % json.dumps(chunk).encode()

        return Response(200, (("Content-Type", "text/event-stream"),), pieces())

    with Upstream("a") as a:
        a.failure = answer
        relay = Relay(tmp_path, [chat(a)])
        relay.add_key(budget=access.Budget(tokens=60))
        with relay:
            with Streaming(relay.url, PATHS[kind], asking(kind, "m", stream=True), relay.key) as stream:
                stream.until(b"word word")
                if not gives_up:
                    stream.rest()
            (row,) = relay.rows(1)
            assert 5 < row["input"] < 100
            assert 50 < row["output"] < 200
            assert relay.post(PATHS[kind], asking(kind, "m")).status == 429
            ended.set()


def test_many_requests_at_once_do_not_pass_a_budget(tmp_path: Path) -> None:
    with Upstream("a") as a:
        relay = Relay(tmp_path, [chat(a)])
        relay.add_key(budget=access.Budget(requests=10))
        with relay, ThreadPoolExecutor(16) as pool:
            got = list(pool.map(lambda _n: relay.post(PATHS["chat"], asking("chat", "m")).status, range(40)))
        assert sorted(got) == [200] * 10 + [429] * 30
        assert len(a.requests) == 10


# Timed activation.


class _Relay:
    """What ``Activations`` need of a relay."""

    def __init__(self, runtime: Runtime, http: Lean) -> None:
        self.runtime = runtime
        self.http = http
        self.said = io.StringIO()
        self.log = Log(self.said, as_json=True)
        self.rows: list[UsageRow] = []
        self.store = self

    def record(self, row: UsageRow) -> None:
        self.rows.append(row)


def test_activations_are_sent_at_their_time(tmp_path: Path) -> None:
    """One small request with every key of every upstream whose time it is; a key that fails is tried again alone."""

    def fail_once(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
        if "sk-2" in request.headers["authorization"] and up.asked("wake up") < 3:
            body = {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}
            return Response(200, (("Content-Type", "application/json"),), json.dumps(body).encode())
        return scripted.answer(kind, up.said, stream=stream)

    def clock() -> float:
        return time.time() + offset

    midnight = 1767225600.0  # 2026-01-01, a Thursday
    offset = midnight + 9 * 3600 + 30 * 60 - 0.3 - time.time()  # a moment before 09:30 in UTC
    text = """
relay: 1
upstreams:
  - {name: due, url: "URL", wire: chat, zone: UTC, models: [the-model],
     keys: [{inline: sk-1-0123456}, {inline: sk-2-0123456}],
     activation: {times: ["09:30"], prompt: wake up}}
  - {name: other-day, url: "URL", wire: chat, zone: UTC, key: {inline: sk-3-0123456}, default_model: m,
     activation: {times: ["09:30"], days: [fri]}}
  - {name: later, url: "URL", wire: chat, zone: UTC, key: {inline: sk-4-0123456}, default_model: m,
     activation: {times: ["09:35"]}}
  - {name: "off", url: "URL", wire: chat, zone: UTC, key: {inline: sk-5-0123456}, default_model: m, enabled: false,
     activation: {times: ["09:30"]}}
  - {name: elsewhere, url: "URL", wire: anthropic, zone: Asia/Shanghai, key: {inline: sk-6-0123456}, default_model: m,
     activation: {times: ["17:30"], model: small}}
"""

    async def main(up: Upstream) -> _Relay:
        def load(name: str) -> Any:
            raise AssertionError(name)

        filled = text.replace("URL", up.url("chat"), 4).replace("URL", up.url("anthropic"))
        config = parse(filled.encode(), "relay.yaml", load)
        keys = {u.name: tuple(Secret(ref.value) for ref in u.keys) for u in config.upstreams}
        http = Lean()
        relay = _Relay(build(config, reading.UpstreamKeys(keys, ()), {}), http)
        work = Activations(relay, clock=clock, between=0.05)  # type: ignore[arg-type]
        task = asyncio.create_task(work.run())
        async with asyncio.timeout(waiting.LIMIT):
            while len(relay.rows) < 4:
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)  # nothing more comes
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await http.close()
        relay.log.close()
        return relay

    with Upstream("a") as up:
        up.failure = fail_once
        relay = asyncio.run(main(up))
        seen = sorted(
            (r.headers["authorization"], r.json["model"], r.json["messages"][0]["content"]) for r in up.requests
        )
        assert [each[0] for each in seen] == [f"Bearer sk-{n}-0123456" for n in (1, 2, 2, 6)]
        assert [each[1] for each in seen] == ["the-model"] * 3 + ["small"]
        assert seen[0][2] == "wake up"
        assert all(r.json["max_tokens"] <= 16 for r in up.requests)
    rows = sorted((row.upstream, row.key, row.status, row.error) for row in relay.rows)
    assert rows == [("due", 0, 200, ""), ("due", 1, 200, ""), ("due", 1, 402, "quota"), ("elsewhere", 0, 200, "")]
    assert {row.purpose for row in relay.rows} == {"activation"}
    assert all(row.time == pytest.approx(midnight + 9.5 * 3600, abs=15) for row in relay.rows)
    assert "wake up" not in relay.said.getvalue()


# Several relays.


def test_two_relays_share_rests_and_budgets(tmp_path: Path) -> None:
    """What one of them learns of an upstream or counts for a client, the other one knows."""
    with Upstream("a") as a, Upstream("b") as b, servers.redis(tmp_path) as server:
        a.failure = drill.BEFORE["500"]
        settings: dict[str, Any] = {
            "retry": FAST,
            "cooldown": {"failures": 1, "seconds": 600},
            "store": {"url": server.url},
        }
        relays = []
        for name in ("one", "two"):
            home = tmp_path / name
            home.mkdir()
            relays.append(Relay(home, [chat(a), chat(b, priority=1)], **settings))
            relays[-1].add_key(budget=access.Budget(requests=4))
        with relays[0] as one, relays[1] as two:
            waiting.until(lambda: status(one)["store"].get("shared") == "ok", "the server is there")
            waiting.until(lambda: status(two)["store"].get("shared") == "ok", "the server is there")
            assert ask(one) == b.said.text
            assert rests(one) == {"a": "resting", "b": ""}
            waiting.until(lambda: rests(two) == {"a": "resting", "b": ""}, "the other one knows of the rest")
            assert ask(two) == b.said.text
            assert len(a.requests) == 1

            a.failure = None
            two.control("POST", "reset", {"upstream": "a"})
            waiting.until(lambda: rests(one) == {"a": "", "b": ""}, "the other one knows of its end")

            assert ask(one, "third") == a.said.text
            assert ask(two, "fourth") == a.said.text
            waiting.until(lambda: "budget" in ask(one, "fifth"), "both count")
            waiting.until(lambda: "budget" in ask(two, "fifth"), "both count")

            # A configuration that one of them takes is read by the other one.
            before = status(two)["last_reload"].get("time", 0.0)
            one.control("POST", "reload")
            waiting.until(lambda: status(two)["last_reload"].get("time", 0.0) > before, "the other one reads its file")

            server.kill()
            waiting.until(
                lambda: not status(one)["store"]["shared"].startswith("ok"), "it notices that the server is away"
            )
            assert "budget" in ask(one, "sixth")
            assert listens(one)
            server.start()
            waiting.until(lambda: status(one)["store"]["shared"].startswith("ok"), "it is back")


# What can go wrong below.


def test_a_kill_loses_nothing_that_was_written(tmp_path: Path) -> None:
    """Killed under load: the database is sound, and every row that it held before is there."""
    with Upstream("a") as a:
        relay = Relay(tmp_path, [chat(a)])
        with relay:
            done = threading.Event()
            served = []

            def load() -> None:
                while not done.is_set():
                    try:
                        served.append(relay.post(PATHS["chat"], asking("chat", "m")).status)
                    except OSError:
                        return

            with ThreadPoolExecutor(4) as pool:
                for _ in range(4):
                    pool.submit(load)
                known = {row["id"] for row in relay.rows(30)}
                assert relay.process is not None
                os.killpg(relay.process.pid, signal.SIGKILL)
                relay.process.wait()
                done.set()
            base = sqlite3.connect(relay.state / "usage.db")
            try:
                assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
                left = {row[0] for row in base.execute("SELECT id FROM usage")}
                sums = base.execute("SELECT sum(requests) FROM days").fetchone()[0]
            finally:
                base.close()
            assert known <= left
            assert sums == len(left)
            assert len(left) <= len(served) + 4
            relay.process = None
            relay.start()
            assert ask(relay) == a.said.text
            assert len(relay.rows(len(left) + 1)) == len(left) + 1


def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    """The relay serves on and says so; what it could not write it writes when the disk takes it again."""
    with Upstream("a") as a, Relay(tmp_path, [chat(a)]) as relay:
        ask(relay, "first")
        relay.rows(1)
        base = relay.state / "usage.db"
        for ending in ("", "-wal", "-shm"):
            part = base.with_name(base.name + ending)
            if part.exists():
                part.rename(part.with_name(f"away{ending}"))
        base.mkdir()
        assert [ask(relay, "second") for _ in range(3)] == [a.said.text] * 3
        waiting.until(lambda: not status(relay)["store"]["sqlite"].startswith("ok"), "it says that nothing is written")
        assert relay.get("/readyz").status == 200
        base.rmdir()
        for ending in ("", "-wal", "-shm"):
            part = base.with_name(f"away{ending}")
            if part.exists():
                part.rename(base.with_name(base.name + ending))
        assert len(relay.rows(4)) == 4
        waiting.until(lambda: status(relay)["store"]["sqlite"].startswith("ok"), "all is well again")


def test_without_a_state_folder(tmp_path: Path) -> None:
    """Where the folder cannot even be made, requests are served all the same."""
    with Upstream("a") as a:
        relay = Relay(tmp_path, [chat(a)])
        relay.write()
        relay.add_key()
        blocked = tmp_path / ".local/state/ccsetup"
        blocked.parent.mkdir(parents=True)
        blocked.write_text("in the way")
        process = cc.start(tmp_path, "relay", "run", "--port", "0")
        try:
            assert process.stderr is not None
            said: Optional[dict[str, Any]] = None
            lines = []
            for line in process.stderr:
                lines.append(line)
                said = json.loads(line)
                if said is not None and said["event"] == "started":
                    break
            assert said is not None, lines
            assert said["event"] == "started"
            relay.url = said["url"]
            assert ask(relay) == a.said.text
            assert any(b"run.json cannot be written" in line for line in lines)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=waiting.LIMIT)
        assert process.returncode == 0
