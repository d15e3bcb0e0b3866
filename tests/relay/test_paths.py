"""The nine paths, each format of a client to each format of an upstream, with the official SDKs as the clients."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from relay.talk import Talk, talk
from support.loopback import Disconnect, Request, Response
from support.relay import Relay, Reply, upstream
from support.scripted import WIRES, Figures, Said, Scripted, Use, cut, error, events, heard, whole

KEYS = {wire: f"sk-upstream-{wire}-0123456789" for wire in WIRES}
PATHS = {"anthropic": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

client = pytest.mark.parametrize("wire_in", WIRES)
served = pytest.mark.parametrize("wire_out", WIRES)
streamed = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
translated = pytest.mark.parametrize(
    ("wire_in", "wire_out"), [pair for pair in itertools.product(WIRES, WIRES) if pair[0] != pair[1]]
)


class World:
    """One relay in front of an upstream for each format; the model ``m-FORMAT`` leads there."""

    def __init__(self, relay: Relay, ups: dict[str, Scripted]) -> None:
        self.relay = relay
        self.ups = ups

    def talk(self, wire_in: str, wire_out: str) -> Any:
        return talk(wire_in, self.relay.url, self.relay.key, f"m-{wire_out}")

    def post(self, wire_in: str, wire_out: str, text: str = "hi", **more: Any) -> Reply:
        body: dict[str, Any] = {"model": f"m-{wire_out}", **more}
        if wire_in == "responses":
            body["input"] = text
        else:
            body["messages"] = [{"role": "user", "content": text}]
            if wire_in == "anthropic":
                body["max_tokens"] = 100
        return self.relay.post(PATHS[wire_in], body)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Scripted() as a, Scripted() as b, Scripted() as c:
        ups = dict(zip(WIRES, (a, b, c), strict=True))
        entries = [
            upstream(wire, up.url(wire), wire, KEYS[wire], models=[f"m-{wire}", f"other-{wire}"])
            for wire, up in ups.items()
        ]
        settings = {"retry": {"attempts": 1}, "cooldown": {"failures": 1000}}
        with Relay(tmp_path_factory.mktemp("relay"), entries, **settings) as relay:
            yield World(relay, ups)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    """The relay; at the end every upstream has seen its own key and no other."""
    for up in running.ups.values():
        up.clear()
    running.relay.control("POST", "reset")
    yield running
    for wire, up in running.ups.items():
        for request in up.requests:
            assert keys_in(request, running.relay) == {KEYS[wire]}


def keys_in(request: Request, relay: Relay) -> set[str]:
    seen = "\n".join(f"{n}: {v}" for n, v in request.header_list) + request.target + request.body.decode()
    return {key for key in (*KEYS.values(), relay.key) if key in seen}


# Conversations.


@client
@served
@streamed
def test_text(world: World, wire_in: str, wire_out: str, stream: bool) -> None:
    """The upstream hears system and user, the client gets the text, the figures and the end."""
    world.ups[wire_out].say(Said("Grüße, 世界 🎉"))
    with world.talk(wire_in, wire_out) as t:
        t.user("hello")
        answer = t.ask(stream=stream)
    assert (answer.text, answer.thought, answer.uses, answer.stop) == ("Grüße, 世界 🎉", "", (), "end")
    assert (answer.prompt, answer.cached, answer.output) == (130, 30, 20)
    [request] = world.ups[wire_out].requests
    assert request.json["model"] == f"m-{wire_out}"
    assert request.json.get("stream", False) is stream
    assert heard(wire_out, request.json) == [("system", "Be brief."), ("user", "hello")]


@client
@served
@streamed
def test_tools_and_thought(world: World, wire_in: str, wire_out: str, stream: bool) -> None:
    """Two calls in one answer come with their own arguments; the thought and both results go back in order."""
    up = world.ups[wire_out]
    uses = (Use("call_1", "weather", '{"city": "Ōsaka"}'), Use("call_2", "time", '{"city": "Rome"}'))
    up.say(Said("I look.", "Both are needed.", uses), Said("Rain at noon."))
    with world.talk(wire_in, wire_out) as t:
        t.user("weather and time?")
        answer = t.ask(stream=stream)
        assert (answer.text, answer.stop) == ("I look.", "tools")
        assert [(u.name, u.arguments) for u in answer.uses] == [
            ("weather", {"city": "Ōsaka"}),
            ("time", {"city": "Rome"}),
        ]
        assert answer.thought == "Both are needed."
        first, second = answer.uses
        t.result(first.id, "rain")
        t.result(second.id, "noon")
        assert t.ask(stream=stream).text == "Rain at noon."
    found = heard(wire_out, up.requests[1].json)
    thoughts = [each for each in found if each[0] == "thought"]
    assert [each for each in found if each[0] != "thought"] == [
        ("system", "Be brief."),
        ("user", "weather and time?"),
        ("assistant", "I look."),
        ("call", "call_1", "weather", {"city": "Ōsaka"}),
        ("call", "call_2", "time", {"city": "Rome"}),
        ("result", "call_1", "rain"),
        ("result", "call_2", "noon"),
    ]
    # The Chat format has no member for a seal, so what came with one goes back without thought to who checks it.
    sealed = {"anthropic": "sig-of-the-upstream", "responses": "encrypted-by-the-upstream", "chat": ""}[wire_out]
    if wire_in != "chat" or wire_out == "chat":
        assert thoughts == [("thought", "Both are needed.", sealed)]
        assert found.index(thoughts[0]) == 2  # in front of what it led to


@pytest.mark.parametrize("wire_in", ["anthropic", "responses"])  # to Chat it is pass-through
@streamed
def test_interleaved_calls(world: World, wire_in: str, stream: bool) -> None:
    """Pieces of several calls that come in turns stay with their calls; repeated ids become different ones."""
    up = world.ups["chat"]
    uses = tuple(
        Use("same", name, json.dumps({"city": f"city-{name}-{n}"})) for n in "ab" for name in ("weather", "time")
    )
    up.say(Said(uses=uses, interleaved=True), Said("done"))
    with world.talk(wire_in, "chat") as t:
        t.user("all of it")
        answer = t.ask(stream=stream)
        assert [u.arguments["city"] for u in answer.uses] == [
            "city-weather-a",
            "city-time-a",
            "city-weather-b",
            "city-time-b",
        ]
        assert len({u.id for u in answer.uses}) == 4
        for use in answer.uses:
            t.result(use.id, f"result of {use.arguments['city']}")
        t.ask(stream=stream)
    found = heard("chat", up.requests[1].json)
    calls = {each[1]: each[3]["city"] for each in found if each[0] == "call"}
    assert {calls[each[1]]: each[2] for each in found if each[0] == "result"} == {
        city: f"result of {city}" for city in calls.values()
    }
    assert len(calls) == 4


@client
@served
@streamed
def test_a_limit_is_not_an_end(world: World, wire_in: str, wire_out: str, stream: bool) -> None:
    """An answer that stopped at its limit says so in the client's words."""
    world.ups[wire_out].say(Said("half of", length=True))
    with world.talk(wire_in, wire_out) as t:
        t.user("a long story")
        answer = t.ask(stream=stream)
    assert (answer.text, answer.stop) == ("half of", "length")


@client
@served
def test_an_image(world: World, wire_in: str, wire_out: str) -> None:
    """An image arrives as it was, before the text that stood after it."""
    world.ups[wire_out].say(Said("a pixel"))
    with world.talk(wire_in, wire_out) as t:
        t.user("what is this?", PIXEL)
        assert t.ask(stream=True).text == "a pixel"
    [request] = world.ups[wire_out].requests
    assert heard(wire_out, request.json)[1:] == [
        ("image", f"data:image/png;base64,{PIXEL}"),
        ("user", "what is this?"),
    ]


@served
def test_an_image_in_a_result(world: World, wire_out: str) -> None:
    """A screenshot that a tool made reaches the model, also where results are text alone."""
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "seen:"}, picture]}
    use = {"type": "tool_use", "id": "c", "name": "weather", "input": {}}
    messages: list[Any] = [{"role": "user", "content": "look"}, {"role": "assistant", "content": [use]}]
    messages.append({"role": "user", "content": [result, {"type": "text", "text": "and?"}]})
    world.ups[wire_out].say(Said("ok"))
    body = {"model": f"m-{wire_out}", "max_tokens": 9, "messages": messages}
    assert world.relay.post("/v1/messages", body).status == 200
    [request] = world.ups[wire_out].requests
    found = heard(wire_out, request.json)
    assert ("image", f"data:image/png;base64,{PIXEL}") in found
    [text] = [each[2] for each in found if each[0] == "result"]
    assert text.startswith("seen:")
    assert found[-1] == ("user", "and?")


# Same format in and out.

_ODD = {
    "anthropic": b'{ "messages":[{"role":"user","content":"\\u00e9\\/ \xc3\xa9"}],"x_unknown" : 1e2, "max_tokens":7,',
    "responses": b'{ "input":[{"role":"user","content":"\\u00e9\\/ \xc3\xa9"}],"x_unknown" : 1e2, "store":false,',
    "chat": b'{ "messages":[{"role":"user","content":"\\u00e9\\/ \xc3\xa9"}],"stream_options" :{"include_usage":true},',
}


def _raw(body: list[bytes], kind: str = "text/event-stream") -> Response:
    return Response(200, (("Content-Type", kind),), iter(body))


@client
def test_the_same_format_keeps_all_bytes(world: World, wire_in: str) -> None:
    """Neither the request nor the answer is written anew: odd spaces, escapes, comments and unknown events stay."""
    up = world.ups[wire_in]
    asked = _ODD[wire_in] + b'"stream":true , "model":"m-%s"}\n' % wire_in.encode()
    stream = [b": hello\r\n\r\n", b'event: x_new\r\ndata:{"type":"x_new"}\r\n\r\n', *events(wire_in, Said("a", "b"))]
    whole_stream = b"".join(stream)
    # Pieces that end anywhere, in a character too.
    up.say(_raw([whole_stream[i : i + 7] for i in range(0, len(whole_stream), 7)]))
    got = world.relay.post(PATHS[wire_in], asked)
    assert got.body == whole_stream
    assert up.requests[0].body == asked

    asked = _ODD[wire_in] + b'"model":"m-%s"}' % wire_in.encode()
    said = json.dumps({**whole(wire_in, Said("é", "t")), "x": 1}, indent=3).encode()
    up.say(_raw([said], "application/json"))
    got = world.relay.post(PATHS[wire_in], asked)
    assert got.body == said
    assert up.requests[1].body == asked


@client
def test_query_and_headers_of_the_same_format(world: World, wire_in: str) -> None:
    """The query is passed; of the headers those that the provider may know; no credential, no cookie."""
    up = world.ups[wire_in]
    up.say(Said("a"))
    body = _ODD[wire_in] + b'"model":"m-%s"}' % wire_in.encode()
    headers = {
        "x-api-key": world.relay.key,
        "cookie": "c=1",
        "user-agent": "claude-cli/2.1.329",
        "x-stainless-lang": "js",
        "proxy-authorization": "Basic x",
        "anthropic-version": "2023-06-01",
        "forwarded": "for=1.2.3.4",
    }
    assert world.relay.post(PATHS[wire_in] + "?beta=true", body, headers=headers).status == 200
    seen = up.requests[0].headers
    assert up.requests[0].target.endswith("?beta=true")
    assert seen["user-agent"] == "claude-cli/2.1.329"
    assert seen["x-stainless-lang"] == "js"
    assert not {"cookie", "proxy-authorization", "forwarded", "x-api-key"} & set(seen)
    assert seen["authorization"] == f"Bearer {KEYS[wire_in]}"


# Failures.


def _raised(t: Talk, stream: bool) -> Any:
    with pytest.raises((anthropic.APIError, openai.APIError)) as caught:
        t.ask(stream=stream)
    return caught.value


@client
@served
@streamed
@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (400, "temperature: must be at most 1", "BadRequestError"),
        (401, "wrong key", "AuthenticationError"),
        (403, "not for you", "PermissionDeniedError"),
        (429, "slow down", "RateLimitError"),
        (500, "it broke", "InternalServerError"),
        (529, "Overloaded", "InternalServerError"),
    ],
)
def test_an_error_keeps_its_status_and_words(
    world: World, wire_in: str, wire_out: str, stream: bool, status: int, message: str, kind: str
) -> None:
    """The SDK raises its own error for the upstream's status, with the upstream's words and Retry-After."""
    world.ups[wire_out].say(error(wire_out, status, message, [("Retry-After", "17")]))
    with world.talk(wire_in, wire_out) as t:
        t.user("hi")
        raised = _raised(t, stream)
    kinds = {each.__name__ for each in type(raised).__mro__}
    assert kind in kinds
    assert raised.status_code == status
    assert message in str(raised)
    assert raised.response.headers["retry-after"] == "17"
    body = raised.response.json()
    if wire_in == "anthropic":
        assert body["type"] == "error"
        assert set(body["error"]) >= {"type", "message"}
    else:
        assert set(body["error"]) >= {"message", "type", "code", "param"}


_OVERFLOW = (
    "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens.",
    "prompt is too long: 210000 tokens > 200000 maximum",
)


@client
@served
@streamed
@pytest.mark.parametrize("text", _OVERFLOW)
def test_a_full_context_is_said_so_that_clients_compact(
    world: World, wire_in: str, wire_out: str, stream: bool, text: str
) -> None:
    """Claude Code looks for ``prompt is too long``, Codex for the code ``context_length_exceeded``."""
    world.ups[wire_out].say(error(wire_out, 400, text))
    with world.talk(wire_in, wire_out) as t:
        t.user("hi")
        raised = _raised(t, stream)
    assert raised.status_code == 400
    body = raised.response.json()
    if wire_in == "anthropic":
        assert body["error"]["type"] == "invalid_request_error"
        assert "prompt is too long" in body["error"]["message"]
    else:
        assert body["error"]["code"] == "context_length_exceeded"


@client
@served
@pytest.mark.parametrize("how", ["closed", "broken"])
def test_a_cut_stream_never_looks_finished(world: World, wire_in: str, wire_out: str, how: str) -> None:
    """After a part of the answer the SDK raises, whether the upstream ended politely or not."""
    said = Said("the answer is forty-two", "hm")
    shortened = events(wire_out, said)[:-3]
    world.ups[wire_out].say(_raw(shortened) if how == "closed" else cut(wire_out, said, len(shortened)))
    with world.talk(wire_in, wire_out) as t:
        t.user("hi")
        with pytest.raises((anthropic.APIError, openai.APIError, RuntimeError)):
            t.ask(stream=True)


@client
@served
def test_an_error_inside_a_stream(world: World, wire_in: str, wire_out: str) -> None:
    """An error after the first words is an error for the client as well."""
    told = {
        "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error",'
        b'"message":"Overloaded"}}\n\n',
        "responses": b'event: response.failed\ndata: {"type":"response.failed","sequence_number":4,"response":'
        + json.dumps(
            {
                **whole("responses", Said("x")),
                "status": "failed",
                "error": {"code": "server_error", "message": "Overloaded"},
            }
        ).encode()
        + b"}\n\n",
        "chat": b'data: {"error":{"message":"Overloaded","type":"server_error","code":null}}\n\n',
    }[wire_out]
    world.ups[wire_out].say(_raw([*events(wire_out, Said("some words"))[:4], told]))
    with world.talk(wire_in, wire_out) as t:
        t.user("hi")
        with pytest.raises((anthropic.APIError, openai.APIError, RuntimeError)):
            t.ask(stream=True)
    world.ups[wire_out].say(_raw([*events(wire_out, Said("some words"))[:4], told]))
    assert b"Overloaded" in world.post(wire_in, wire_out, stream=True).body


@client
def test_what_is_wrong_with_a_request(world: World, wire_in: str) -> None:
    """Our own refusals come in the client's format: a wrong key, an unknown model, no JSON, not of the format."""
    with talk(wire_in, world.relay.url, "ccr-wrong", "m-chat") as t:
        t.user("hi")
        raised = _raised(t, True)
        assert raised.status_code == 401
    with talk(wire_in, world.relay.url, world.relay.key, "no-such-model") as t:
        t.user("hi")
        raised = _raised(t, True)
        assert raised.status_code == 404
        assert "no-such-model" in str(raised)
    for body in (b"{", b"[]", b'{"model":"m-chat"}', b'{"model":"m-chat","messages":3,"input":3}'):
        if wire_in == "chat" and body.startswith(b'{"model"'):
            continue  # the upstream's own matter
        got = world.relay.post(PATHS[wire_in], body)
        assert got.status == 400
        assert got.json["error"]["message"]


# What else clients ask.


def test_count_tokens(world: World) -> None:
    """An estimate that does not undercount much, and grows with tools; no upstream is asked."""
    with anthropic.Anthropic(base_url=world.relay.url, api_key=world.relay.key, max_retries=0) as sdk:
        message: Any = {"role": "user", "content": "The quick brown fox jumps over the lazy dog. " * 20}
        plain = sdk.messages.count_tokens(model="m-chat", messages=[message]).input_tokens
        tool: Any = {"name": "t", "description": "word " * 100, "input_schema": {"type": "object"}}
        with_tool = sdk.messages.count_tokens(model="m-chat", messages=[message], tools=[tool]).input_tokens
    assert 190 <= plain <= 320  # 200 of Anthropic's tokens
    assert with_tool >= plain + 90
    assert not any(up.requests for up in world.ups.values())


def test_models(world: World) -> None:
    """Both SDKs read the list of models."""
    with anthropic.Anthropic(base_url=world.relay.url, api_key=world.relay.key) as sdk:
        assert [model.id for model in sdk.models.list()] == [f"{kind}-{w}" for w in WIRES for kind in ("m", "other")]
    with openai.OpenAI(base_url=world.relay.url + "/v1", api_key=world.relay.key) as openai_sdk:
        assert "m-chat" in [model.id for model in openai_sdk.models.list()]


# Figures.


def test_the_rows_of_all_paths(world: World) -> None:
    """Every path leaves one row with the upstream's figures, streamed or not."""
    wanted = {}
    for number, (wire_in, wire_out, stream) in enumerate(itertools.product(WIRES, WIRES, (True, False)), 1):
        figures = Figures(1000 + number, 100 + number, 50 + number, 10 + number)
        world.ups[wire_out].say(Said("a", figures=figures))
        got = world.post(wire_in, wire_out, stream=stream)
        assert got.status == 200, got
        thinking = 0 if wire_out == "anthropic" else figures.thinking  # Messages does not tell it
        id = next(value for name, value in got.headers.items() if name.lower() == "x-relay-request-id")
        wanted[id] = (wire_in, wire_out, stream, figures.fresh, figures.cached, figures.output, thinking)
    rows = world.relay.rows_of(wanted)
    names = ("wire_in", "wire_out", "stream", "input", "cache_read", "output", "reasoning")
    assert {id: tuple(row[name] for name in names) for id, row in rows.items()} == wanted
    for row in rows.values():
        assert (row["client"], row["status"], row["error"], row["attempts"]) == ("local", 200, "", 1)
        assert row["upstream"] == row["wire_out"]


@client
@served
def test_the_client_sees_the_model_that_it_asked_for(world: World, wire_in: str, wire_out: str) -> None:
    """A translated answer names the client's model; the upstream's own answer is left as it is."""
    world.ups[wire_out].say(Said("a"))
    got = world.post(wire_in, wire_out)
    assert got.json["model"] == ("served-model" if wire_in == wire_out else f"m-{wire_out}")


# A conversation that goes on elsewhere.


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A relay whose first upstream serves every model, and others that take over."""
    with Scripted() as first, Scripted() as a, Scripted() as b, Scripted() as c:
        ups = {"first": first, **dict(zip(WIRES, (a, b, c), strict=True))}
        key = "sk-first-0123456789"
        entries = [upstream("first", first.url("anthropic"), "anthropic", key, models=["m-*"])]
        entries += [
            upstream(wire, ups[wire].url(wire), wire, KEYS[wire], models=[f"m-{wire}"], group="backup")
            for wire in WIRES
        ]
        settings = {"retry": {"same": 0}, "cooldown": {"failures": 1000}}
        with Relay(tmp_path_factory.mktemp("relay"), entries, **settings) as relay:
            yield World(relay, ups)


@client
@served
def test_a_conversation_moves_to_another_upstream(moving: World, wire_in: str, wire_out: str) -> None:
    """The tool call and its result go along, and the thought as text; the seal of another provider does not."""
    first, second = moving.ups["first"], moving.ups[wire_out]
    second.clear()
    said = Said("I look.", "A thought.", (Use("toolu_1", "weather", '{"city": "Oslo"}'),))
    first.say(said, error("anthropic", 529, "Overloaded"))
    second.say(Said("Snow."))
    with moving.talk(wire_in, wire_out) as t:
        t.user(f"from {wire_in} to {wire_out}")
        answer = t.ask(stream=True)
        t.result(answer.uses[0].id, "snow")
        assert t.ask(stream=True).text == "Snow."
    [request] = second.requests
    found = heard(wire_out, request.json)
    assert found[-2:] == [("call", "toolu_1", "weather", {"city": "Oslo"}), ("result", "toolu_1", "snow")]
    assert not {"sk-first-0123456789", moving.relay.key} & {v.removeprefix("Bearer ") for _n, v in request.header_list}
    passed = wire_in == "anthropic" == wire_out  # not Anthropic's own: imitators do not check signatures
    assert (b"sig-of-the-upstream" in request.body) is passed
    if wire_out == "chat" and wire_in != "chat":
        assert ("thought", "A thought.", "") in found


@pytest.mark.parametrize(
    ("wire", "refusal"),
    [
        ("anthropic", error("anthropic", 400, "messages.1.content.0: Invalid `signature` in `thinking` block")),
        ("responses", error("responses", 400, "could not be verified", code="invalid_encrypted_content")),
    ],
)
def test_a_seal_that_is_refused_is_left_out(world: World, wire: str, refusal: Response) -> None:
    """The upstream does not know the thought any more: it is asked once more without, and the client sees nothing."""
    up = world.ups[wire]
    up.say(Said("", "A thought.", (Use("c_1", "weather", '{"city": "Oslo"}'),)), refusal, Said("Snow."))
    with world.talk(wire, wire) as t:
        t.user("weather?")
        t.result(t.ask(stream=True).uses[0].id, "snow")
        assert t.ask(stream=True).text == "Snow."
    _first, refused, again = (heard(wire, request.json) for request in up.requests)
    assert "thought" in {each[0] for each in refused}
    assert [each for each in refused if each[0] != "thought"] == again


# What chat providers do otherwise.


def _chunk(delta: Any, reason: Any = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, **more.pop("choice", {})}
    return b"data: " + json.dumps({"id": "c", "model": "x", "choices": [choice], **more}).encode() + b"\n\n"


def _part(arguments: str, **more: Any) -> dict[str, Any]:
    name = {"name": more.pop("name")} if "name" in more else {}
    return {"tool_calls": [{**more, "function": {**name, "arguments": arguments}}]}


_OSLO, _ROME = '{"city": "Oslo"}', '{"city": "Rome"}'
_USED = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}

_ODD_CHAT: dict[str, list[bytes]] = {
    "the reason is stop": [
        _chunk({"role": "assistant", **_part(_OSLO, index=0, id="a", type="function", name="weather")}),
        _chunk(_part(_ROME, index=1, id="b", type="function", name="time")),
        _chunk({}, "stop", usage=_USED),
        b"data: [DONE]\n\n",
    ],
    "no index, no type, no DONE": [
        _chunk(_part(_OSLO, id="a", name="weather")),
        _chunk(_part(_ROME, id="b", name="time")),
        _chunk({}, "tool_calls", choice={"usage": _USED}),
    ],
    "both whole in one chunk, ids of Kimi": [
        _chunk(
            {
                "tool_calls": [
                    _part(_OSLO, index=0, id="functions.weather:0", name="weather")["tool_calls"][0],
                    _part(_ROME, index=1, id="functions.time:1", name="time")["tool_calls"][0],
                ]
            },
            "tool_calls",
            usage=_USED,
        ),
    ],
    "id and name are repeated empty": [
        _chunk(_part("", index=0, id="a", name="weather")),
        _chunk(_part(_OSLO[:5], index=0, id="", name="")),
        _chunk(_part(_OSLO[5:], index=0, id="", name="")),
        _chunk(_part("", index=1, id="b", name="time")),
        _chunk(_part(_ROME, index=1, id="", name="")),
        _chunk({"content": None}, "tool_calls"),
        b'data: {"choices":[],"usage":' + json.dumps(_USED).encode() + b"}\n\ndata: [DONE]\n\n",
    ],
    "odd lines": [
        b": OPENROUTER PROCESSING\n\n",
        *(
            chunk.replace(b"data: ", b"data:").replace(b"\n", b"\r\n")
            for chunk in (
                _chunk(_part(_OSLO, index=0, id="a", name="weather")),
                _chunk(_part(_ROME, index=1, id="b", name="time")),
                _chunk({}, "tool_calls", usage=_USED),
            )
        ),
        b"data:[DONE]\r\n\r\n",
    ],
}


@pytest.mark.parametrize("wire_in", ["anthropic", "responses"])
@pytest.mark.parametrize("name", _ODD_CHAT)
def test_odd_chat_streams(world: World, wire_in: str, name: str) -> None:
    """Two calls arrive whole and with ids that go back to the upstream, however it streams them."""
    up = world.ups["chat"]
    up.say(_raw(_ODD_CHAT[name]), Said("done"))
    with world.talk(wire_in, "chat") as t:
        t.user("both")
        answer = t.ask(stream=True)
        assert [(u.name, u.arguments["city"]) for u in answer.uses] == [("weather", "Oslo"), ("time", "Rome")]
        assert answer.stop == "tools"
        assert (answer.prompt, answer.output) == (9, 4)
        for use in answer.uses:
            t.result(use.id, use.arguments["city"])
        t.ask(stream=True)
    found = heard("chat", up.requests[1].json)
    ids = {each[1]: each[3]["city"] for each in found if each[0] == "call"}
    assert {each[1]: each[2] for each in found if each[0] == "result"} == ids
    assert len(ids) == 2


@client
@served
def test_a_stream_that_is_answered_whole(world: World, wire_in: str, wire_out: str) -> None:
    """Some gateways answer a stream's request with one JSON document: the client gets a stream all the same."""
    said = Said("I look.", "A thought.", (Use("c_1", "weather", _OSLO),))
    body = json.dumps(whole(wire_out, said)).encode()
    world.ups[wire_out].say(Response(200, (("Content-Type", "application/json"),), body))
    with world.talk(wire_in, wire_out) as t:
        t.user("hi")
        answer = t.ask(stream=True)
    assert (answer.text, answer.thought, answer.stop) == ("I look.", "A thought.", "tools")
    assert answer.uses[0].arguments == {"city": "Oslo"}
    assert (answer.prompt, answer.cached, answer.output) == (130, 30, 20)


@client
@served
def test_an_error_with_status_200(world: World, wire_in: str, wire_out: str) -> None:
    """Some report errors in an answer that looks good: the client gets an error."""
    told = b'{"code":1302,"msg":"Rate limit reached for requests","success":false}'
    for stream in (True, False):
        world.ups[wire_out].say(Response(200, (("Content-Type", "application/json"),), told))
        with world.talk(wire_in, wire_out) as t:
            t.user("hi")
            raised = _raised(t, stream)
        assert raised.status_code == 429
        assert "Rate limit reached" in str(raised)
        world.relay.control("POST", "reset")  # the key rests


@pytest.fixture(scope="module")
def doubled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Scripted]]:
    """A relay with two upstreams for each format: the first is the same server for all, and ill."""
    with Scripted() as ill, Scripted() as a, Scripted() as b, Scripted() as c:
        ups = dict(zip(WIRES, (a, b, c), strict=True))
        entries = [
            upstream(f"{name}-{wire}", up.url(wire), wire, KEYS[wire], models=[f"m-{wire}"], group=group)
            for wire in WIRES
            for name, up, group in (("ill", ill, "primary"), ("good", ups[wire], "backup"))
        ]
        settings = {"retry": {"same": 0}, "cooldown": {"failures": 1000}}
        with Relay(tmp_path_factory.mktemp("relay"), entries, **settings) as relay:
            yield World(relay, ups), ill


_ERROR_EVENT = {
    "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    "responses": b'event: error\ndata: {"type":"error","code":"server_error","message":"Overloaded","param":null}\n\n',
    "chat": b'data: {"error":{"message":"Overloaded","type":"server_error","code":null}}\n\n',
}


@client
@served
@pytest.mark.parametrize("how", ["error", "end", "cut", "page"])
def test_before_its_first_words_an_upstream_can_be_replaced(
    doubled: tuple[World, Scripted], wire_in: str, wire_out: str, how: str
) -> None:
    """The head of an answer is not the answer: when nothing follows, another upstream gives it, without a trace."""
    world, ill = doubled
    head = [b": hello\n\n", *events(wire_out, Said("never"))[: 2 if wire_out == "responses" else 1]]

    def breaks() -> Iterator[bytes]:
        yield from head
        raise Disconnect

    ill.clear()
    ill.say(
        {
            "error": _raw([*head, _ERROR_EVENT[wire_out]]),
            "end": _raw(head),
            "cut": Response(200, (("Content-Type", "text/event-stream"),), breaks()),
            "page": _raw([b"<!DOCTYPE html><html><title>Login</title></html>"], "text/html"),
        }[how]
    )
    world.ups[wire_out].clear()
    world.ups[wire_out].say(Said("a good answer"))
    with world.talk(wire_in, wire_out) as t:
        t.user("hi")
        assert t.ask(stream=True).text == "a good answer"
    assert len(ill.requests) == 1
