"""What an endpoint refuses is changed, asked again, and remembered."""

from __future__ import annotations

import json
from pathlib import Path

from support.loopback import Request, Response, Server
from support.relay import Relay, upstream

from ccsetup.clients import releases

ANSWER = {
    "id": "c",
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
ASKED = {
    "model": "m",
    "max_tokens": 9000,
    "messages": [{"role": "user", "content": [IMAGE, {"type": "text", "text": "what"}]}],
}


class Strict:
    """A text model with a limit."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, request: Request) -> Response:
        self.asked += 1
        return strict(request)


def strict(request: Request) -> Response:
    body = json.loads(request.body)
    said = ""
    if "image_url" in json.dumps(body):
        said = "messages[0]: unknown variant `image_url`, expected `text`"
    elif body.get("max_tokens", 0) > 4096:
        said = "max_tokens is too large: 9000. This model supports at most 4096 completion tokens"
    return (
        Response(400, body=json.dumps({"error": {"message": said}}).encode())
        if said
        else Response(body=json.dumps(ANSWER).encode(), headers=(("content-type", "application/json"),))
    )


def test_several_oddities_are_learned_shown_and_forgotten(tmp_path: Path) -> None:
    endpoint = Strict()
    with (
        Server(endpoint) as server,
        Relay(tmp_path, [upstream("up", server.origin + "/v1", "chat", "sk-up-0123456789")]) as relay,
    ):
        first = relay.post("/v1/messages", ASKED)
        assert (first.status, first.headers["x-relay-changed"]) == (200, "images replaced by a text")
        assert endpoint.asked == 3
        assert len(relay.rows()) == 1
        second = relay.post("/v1/messages", ASKED)
        assert (second.status, second.headers["x-relay-changed"]) == (200, "images replaced by a text")
        assert endpoint.asked == 4
        [known] = relay.control("GET", "status")["oddities"]
        assert (known["upstream"], known["wire"], known["model"]) == ("up", "chat", "m")
        assert known["dialect"] == {"images": False, "max_output": 4096}
        relay.control("POST", "reset", {"upstream": "up"})
        assert relay.control("GET", "status")["oddities"] == []
        assert relay.post("/v1/messages", ASKED).status == 200
        assert endpoint.asked == 7


def test_the_configuration_wins_and_what_was_of_no_use_is_not_kept(tmp_path: Path) -> None:
    dialect = {"chat": {"images": True}}
    endpoint = Strict()
    with (
        Server(endpoint) as server,
        Relay(tmp_path, [upstream("up", server.origin + "/v1", "chat", "sk-0123456789", dialect=dialect)]) as relay,
    ):
        got = relay.post("/v1/messages", ASKED)
        assert got.status == 400
        assert "image_url" in got.json["error"]["message"]
        assert endpoint.asked == 1
        assert relay.control("GET", "status")["oddities"] == []


REFUSED: list[str] = []


def gemma(request: Request) -> Response:
    messages = request.json["messages"]
    if any(message["role"] == "system" for message in messages):
        REFUSED.append(request.path)
        return Response(400, body=b'{"object":"error","message":"System role not supported","code":400}')
    said = {**ANSWER["choices"][0]["message"], "content": messages[0]["content"]}  # type: ignore[index]
    body = {**ANSWER, "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    return Response(body=json.dumps(body).encode(), headers=(("content-type", "application/json"),))


def test_a_model_without_a_place_for_the_system_is_told_it_by_the_user(tmp_path: Path) -> None:
    """From every client's format; the second request is not refused any more."""
    hello = {"role": "user", "content": "hi"}
    with (
        Server(gemma) as server,
        Relay(tmp_path, [upstream("up", server.origin + "/v1", "chat", "sk-up-0123456789")]) as relay,
    ):
        for path, more in (
            ("/v1/messages", {"system": "Be brief.", "max_tokens": 9, "messages": [hello]}),
            ("/v1/responses", {"instructions": "Be brief.", "input": [hello]}),
            ("/v1/chat/completions", {"messages": [{"role": "system", "content": "Be brief."}, hello]}),
        ):
            for _ in range(2):
                got = relay.post(path, {"model": "gemma", **more})
                assert (got.status, b"Be brief.\\n\\nhi" in got.body) == (200, True)
        assert [known["dialect"] for known in relay.control("GET", "status")["oddities"]] == [{"system": False}]
        assert len(REFUSED) == 1


CHUNKS = [
    b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"ok"}}]}\n\n',
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n',
    b"data: [DONE]\n\n",
]
SAY = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}


def chunks(request: Request) -> Response:
    """A stream without the usage for who does not ask, and a model named ``old`` that knows no such question."""
    options = request.json.get("stream_options")
    if options and request.json["model"] == "old":
        return Response(400, body=b'{"error":{"message":"Bad Request"}}')
    said = CHUNKS if options == {"include_usage": True} else [*CHUNKS[:2], CHUNKS[3]]
    return Response(body=b"".join(said), headers=(("content-type", "text/event-stream"),))


def test_the_usage_of_a_stream_is_known_though_the_client_did_not_ask(tmp_path: Path) -> None:
    """It gets the bytes that it would have got; an endpoint that refuses the question is not asked it again."""
    with (
        Server(chunks) as server,
        Relay(tmp_path, [upstream("up", server.origin + "/v1", "chat", "sk-up-0123456789")]) as relay,
    ):
        without = b"".join([*CHUNKS[:2], CHUNKS[3]])
        assert relay.post("/v1/chat/completions", SAY).body == without
        asking = {**SAY, "stream_options": {"include_usage": True}}
        assert relay.post("/v1/chat/completions", asking).body == b"".join(CHUNKS)
        assert relay.post("/v1/chat/completions", {**SAY, "model": "old"}).body == without
        [known] = relay.control("GET", "status")["oddities"]
        assert (known["model"], known["dialect"]) == ("old", {"stream_usage": False})
        rows = relay.rows(3)
        assert [(row["input"], row["output"]) for row in rows[:2]] == [(7, 2), (7, 2)]
        assert [row["estimated"] for row in rows] == [0, 0, 1]


def test_who_asks_again_with_less_where_prompt_and_answer_are_too_long_together(tmp_path: Path) -> None:
    """Claude Code gives a first message up, so that the relay asks again; a program is told in Anthropic's words."""
    asked: list[int] = []

    def window(request: Request) -> Response:
        most = json.loads(request.body)["max_tokens"]
        asked.append(most)
        if most + 13_000 <= 40_960:
            return Response(body=json.dumps(ANSWER).encode(), headers=(("content-type", "application/json"),))
        said = (
            f"This model's maximum context length is 40960 tokens. However, you requested {most + 13_000} tokens "
            f"(13000 in the messages, {most} in the completion). Please reduce the length of the messages."
        )
        return Response(400, body=json.dumps({"error": {"message": said}}).encode())

    ask = {"model": "m", "max_tokens": 32_000, "messages": [{"role": "user", "content": "hi"}]}
    with (
        Server(window) as server,
        Relay(tmp_path, [upstream("up", server.origin + "/v1", "chat", "sk-up-0123456789")]) as relay,
    ):
        for agent in (f"claude-cli/{releases.CLAUDE_CODE[0]} (external, sdk-cli)", "claude-cli/2.0.76 (external, cli)"):
            asked.clear()
            assert relay.post("/v1/messages", ask, headers={"user-agent": agent}).status == 200
            assert asked == [32_000, 27_960]
        for agent in ("Anthropic/Python 0.60.0", "curl/8.5.0", "not-claude-cli/1"):
            asked.clear()
            told = relay.post("/v1/messages", ask, headers={"user-agent": agent})
            assert told.status == 400
            assert "exceed context limit: 13000 + 32000 > 40960" in told.json["error"]["message"]
            assert asked == [32_000]
        asked.clear()
        assert relay.post("/v1/chat/completions", ask).status == 200
        assert asked == [32_000, 27_960]
