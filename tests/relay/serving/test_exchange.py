"""A prompt that cannot fit the window of a model is not sent to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Request, Response, Server
from support.relay import Relay, upstream

from ccsetup.clients import releases
from ccsetup.clients.codex.client import Codex

PATHS = {"anthropic": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}
LONG = "word " * 40_000


def asking(wire: str, text: str, **more: Any) -> dict[str, Any]:
    place = "input" if wire == "responses" else "messages"
    return {"model": "small", "max_tokens": 9, place: [{"role": "user", "content": text}], **more}


def answer(request: Request) -> Response:
    said = {"role": "assistant", "content": "ok from " + request.json["model"]}
    body = {"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    return Response(body=json.dumps(body).encode(), headers=(("content-type", "application/json"),))


class Counting:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, request: Request) -> Response:
        self.asked += 1
        return answer(request)


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("anthropic", {}, "prompt is too long: "),
    ("anthropic", {"stream": True}, "prompt is too long: "),
    ("anthropic", {"context_management": {"edits": [{"type": "clear_thinking_20251015"}]}}, "prompt is too long: "),
    ("responses", {}, "context_length_exceeded"),
    ("responses", {"stream": True}, "context_length_exceeded"),
    ("chat", {}, "context_length_exceeded"),
    ("chat", {"stream": True}, "context_length_exceeded"),
    ("anthropic", {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}, ""),
    ("responses", {"truncation": "auto"}, ""),
    ("chat", {"transforms": ["middle-out"]}, ""),
    ("chat", {"model": "unknown"}, ""),
]


def test_who_is_not_asked_and_what_the_client_is_told(tmp_path: Path) -> None:
    """The client's own words for it come at once; where the upstream may shorten the prompt, it is asked."""
    endpoint = Counting()
    with (
        Server(endpoint) as server,
        Relay(tmp_path, [upstream("up", server.origin + "/v1", "chat", context={"small": 32_000})]) as relay,
    ):
        for wire, more, words in CASES:
            before = endpoint.asked
            got = relay.post(PATHS[wire], asking(wire, LONG, **more))
            assert (got.status, endpoint.asked) == ((400, before) if words else (200, before + 1)), (wire, more)
            assert words.encode() in got.body
        for wire, path in PATHS.items():
            before = endpoint.asked
            fits = asking(wire, "word " * 31_000 + " " * 100_000)
            assert (relay.post(path, fits).status, endpoint.asked) == (200, before + 1)
        one_million = {"anthropic-beta": "context-1m-2025-08-07"}
        assert relay.post("/v1/messages", asking("anthropic", LONG), headers=one_million).status == 200
        picked = {**asking("anthropic", LONG), "model": "ccsetup-claude/small"}  # the picker's [1m] brings that header
        assert relay.post("/v1/messages", picked, headers=one_million).status == 400
        assert {(row["status"], row["upstream"]) for row in relay.rows(15) if row["status"] != 200} == {(400, "")}


@pytest.mark.parametrize("wire", list(PATHS))
def test_an_upstream_with_a_larger_window_is_asked_instead(tmp_path: Path, wire: str) -> None:
    with Server(answer) as server:
        own = upstream("own", server.origin + "/v1", "chat", context={"small": 32_000}, models=["small"])
        large = upstream("large", server.origin + "/v1", "chat", default_model="large", group="backup")
        with Relay(tmp_path, [own, {**large, "context": {"large": 100_000}}]) as relay:
            got = relay.post(PATHS[wire], asking(wire, LONG))
            assert b"ok from large" in got.body
            assert (got.headers["x-relay-model"], got.headers["x-relay-upstream"]) == ("large", "large")
            assert b"ok from small" in relay.post(PATHS[wire], asking(wire, "hi")).body
            assert b" 100000 " in relay.post(PATHS[wire], asking(wire, LONG * 3)).body


def test_who_refuses_a_prompt_for_its_length_is_followed_by_a_larger_one(tmp_path: Path) -> None:
    """Where windows are known; else the client is told to compact, as before."""
    asked: list[str] = []

    def endpoint(request: Request) -> Response:
        asked.append(request.json["model"])
        if request.json["model"] in ("large", "unknown"):
            return answer(request)
        said = "This model's maximum context length is 1000 tokens. However, your messages resulted in 1200 tokens."
        return Response(400, body=json.dumps({"error": {"message": said}}).encode())

    with Server(endpoint) as server:
        url = server.origin + "/v1"

        def backup(name: str, window: int) -> dict[str, Any]:
            more = {"default_model": name, "group": "backup", "context": {name: window}}
            return upstream(name, url, "chat", **more)

        own = upstream("own", url, "chat", models=["small"], context={"small": 1000})
        with Relay(tmp_path, [own, backup("same", 1000), backup("large", 5000)]) as relay:
            got = relay.post("/v1/messages", asking("anthropic", "hi"))
            assert (got.status, b"ok from large" in got.body, asked) == (200, True, ["small", "large"])
            relay.write(upstreams=[own, backup("same", 1000), backup("unknown", 0)])
            relay.control("POST", "reload")
            asked.clear()
            got = relay.post("/v1/messages", asking("anthropic", "hi"))
            assert (got.status, b"prompt is too long" in got.body, asked) == (400, True, ["small"])


def test_a_window_that_the_relay_itself_widens_refuses_nothing(tmp_path: Path) -> None:
    """Members and headers of the configuration let the upstream shorten the prompt, or take more of it."""
    said = asking("anthropic", "word " * 30_000)
    wider: list[tuple[dict[str, Any], int]] = [
        ({}, 400),
        ({"extra_body": {"provider": {"sort": "price"}}}, 400),
        ({"extra_body": {"transforms": ["middle-out"]}}, 200),
        ({"extra_body": {"truncation": "auto"}}, 200),
        ({"headers": {"anthropic-beta": "context-1m-2025-08-07"}}, 200),
    ]
    with Server(answer) as server:
        for n, (more, status) in enumerate(wider):
            own = upstream("own", server.origin + "/v1", "chat", default_model="small", context={"small": 1000}, **more)
            folder = tmp_path / str(n)
            folder.mkdir()
            with Relay(folder, [own]) as relay:
                assert relay.post("/v1/messages", said).status == status, more


def compacting(request: Request) -> Response:
    """An endpoint of Responses whose model ``has`` can compact."""
    if request.path.endswith("/compact") and request.json["model"] != "has":
        return Response(404, body=b'{"error":{"message":"Not Found"}}')
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "THE SUMMARY"}]}
    if request.path.endswith("/compact"):
        said = {"type": "compaction", "encrypted_content": "THEIRS"}
    usage = {"input_tokens": 7, "output_tokens": 2}
    body = {"id": "r", "object": "response", "status": "completed", "output": [said], "usage": usage}
    return Response(body=json.dumps(body).encode(), headers=(("content-type", "application/json"),))


def test_compacting_is_passed_on_or_done_by_the_relay(tmp_path: Path) -> None:
    """That an endpoint has no such path is learned; another format is asked for a summary at once."""
    paths: list[str] = []

    def endpoint(request: Request) -> Response:
        paths.append(request.path)
        return compacting(request) if "/responses" in request.path else answer(request)

    body = {"input": [{"role": "user", "content": "hi"}], "instructions": "I", "tools": []}
    with Server(endpoint) as server:
        ups = [upstream("own", server.origin + "/v1", "responses", models=["has", "not"])]
        with Relay(tmp_path, [*ups, upstream("chat", server.origin + "/v1", "chat", models=["small"])]) as relay:
            for path in ("/v1/responses/compact", "/responses/compact"):
                assert relay.post(path, {"model": "has", **body}).json["output"][0]["encrypted_content"] == "THEIRS"
                done = relay.post(path, {"model": "not", **body}).json
                assert done["object"] == "response.compaction"
                assert "THE SUMMARY" in done["output"][-1]["content"][0]["text"]
                assert "ok from small" in relay.post(path, {"model": "small", **body}).body.decode()
            [known] = relay.control("GET", "status")["oddities"]
            assert (known["model"], known["dialect"]) == ("not", {"compaction": False})
            assert relay.post("/v1/responses/compact", {"model": "nobody", **body}).status == 404
    chat = "/v1/chat/completions"
    own, theirs = "/v1/responses", "/v1/responses/compact"
    assert paths[:7] == [theirs, theirs, own, chat, theirs, own, chat]


CODEX = {"user-agent": f"{Codex.user_agent} (Debian 13; x86_64) dumb (codex_exec; {releases.CODEX[0]})"}
TOOL = {"type": "function", "name": "exec_command", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("headers", "more", "status", "compacts"),
    [
        (CODEX, {"tools": [TOOL], "stream": True}, 200, True),
        ({"user-agent": f"codex-tui/{releases.CODEX[0]}"}, {"tools": [TOOL], "stream": True}, 200, True),
        # For a summary it asks without tools, and cuts the history until that fits.
        (CODEX, {"tools": [], "stream": True}, 200, False),
        (CODEX, {"stream": True}, 200, False),
        (CODEX, {"tools": [TOOL]}, 400, False),
        # Others are told by the status, as OpenAI does.
        ({"user-agent": "OpenAI/Python 2.1.0"}, {"tools": [TOOL], "stream": True}, 400, False),
        ({}, {"tools": [TOOL], "stream": True}, 400, False),
    ],
)
def test_codex_compacts_in_the_same_turn(
    tmp_path: Path, headers: dict[str, str], more: dict[str, Any], status: int, compacts: bool
) -> None:
    """It is told that its window is full and its turn goes on; once, for where that is of no use it gets the error."""
    endpoint = Counting()
    with (
        Server(endpoint) as server,
        Relay(tmp_path, [upstream("up", server.origin + "/v1", "chat", context={"small": 32_000})]) as relay,
    ):
        body = {**asking("responses", LONG), "prompt_cache_key": "a-thread", **more}
        for again in (False, True):
            got = relay.post(PATHS["responses"], body, headers=headers)
            assert got.status == status
            if compacts and not again:
                (done,) = [line for line in got.body.split(b"\n") if b'"response.completed"' in line]
                response = json.loads(done.removeprefix(b"data: "))["response"]
                assert (response["end_turn"], response["output"], response["status"]) == (False, [], "completed")
                assert response["usage"]["input_tokens"] >= 2_000_000
            else:
                assert b"context_length_exceeded" in got.body
                assert (b"event: response.failed" in got.body) == (status == 200)
        other = relay.post(PATHS["responses"], {**body, "prompt_cache_key": "another"}, headers=headers)
        assert (b'"end_turn":false' in other.body) == compacts
        assert endpoint.asked == 0
        assert {(row["error"], row["upstream"]) for row in relay.rows(3)} == {("context", "")}
        assert sum(row["input"] for row in relay.rows(3)) == 0
