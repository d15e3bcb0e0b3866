"""Work grows with the size of what comes: thirty times the input is about thirty times the work, never its square."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from support.drill import WIRES
from support.fuzz import asked

from ccsetup.relay.config.model import Upstream
from ccsetup.relay.routing.choice import Choice
from ccsetup.relay.serving.peek import drop_cache_control
from ccsetup.relay.serving.request import ClientRequest
from ccsetup.relay.wire import adjust, reasoning
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import BadRequest, Dialect
from ccsetup.relay.wire.sse import Decoder
from ccsetup.relay.wire.tap import Tap
from ccsetup.relay.wire.tools import CustomInput

TIMES = 30
MOST = 150
"""Times the work.  The square would be 900; a large input finds less of itself in the processor's caches, and a busy
machine can make it a few times slower: the limit lies far from both."""
ROUNDS = 12
Json = dict[str, Any]


def cost(work: Callable[[], object]) -> float:
    """Return the seconds of the processor that *work* takes, without what else the machine does."""
    found = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(2):
            before = time.process_time()
            work()
            found.append(time.process_time() - before)
    finally:
        gc.enable()
    return min(found)


def lines(work: Callable[[], object]) -> int:
    """Return how many lines of Python *work* runs, those of loops as often as they are run."""
    count = 0

    def trace(_frame: object, _event: str, _value: object) -> Any:
        nonlocal count
        count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def assert_linear(make: Callable[[int], Callable[[], object]], size: int) -> None:
    """*make* returns the work on an input of a given size.  A smaller one is too short to be measured exactly."""
    small = cost(make(size))
    while small < 0.001 and size < 100_000:
        size *= 2
        small = cost(make(size))
    large = float("inf")
    for _ in range(ROUNDS):  # in turns, for the machine may be slower for a while; the quickest of each counts
        large = min(large, cost(make(size * TIMES)))
        if large <= small * MOST:
            return
        small = min(small, cost(make(size)))
    raise AssertionError(f"{size}: {small:.4f} s, {size * TIMES}: {large:.4f} s, {large / small:.0f} times as much")


def _anthropic(messages: list[Json], **more: Any) -> Json:
    return {"model": "m", "max_tokens": 9, "messages": messages, **more}


def _use(id: str, name: str = "t") -> Json:
    return {"type": "tool_use", "id": id, "name": name, "input": {}}


def _result(id: str) -> Json:
    return {"type": "tool_result", "tool_use_id": id, "content": "r"}


def _turns(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    out: list[Json] = []
    for call, result in pairs:
        out += [{"role": "assistant", "content": [_use(call)]}, {"role": "user", "content": [_result(result)]}]
    return out


def _call(n: int) -> Json:
    return {"id": f"c{n % 3}", "type": "function", "function": {"name": "t", "arguments": "{}"}}


_MARK = {"cache_control": {"type": "ephemeral"}}
_USER = {"role": "user", "content": "x"}

REQUESTS: Mapping[str, tuple[str, Callable[[int], Json]]] = {
    "one id for all calls": ("anthropic", lambda n: _anthropic(_turns([("call_0", "call_0")] * n))),
    "ids that do not fit": ("anthropic", lambda n: _anthropic(_turns([("functions.t:0", "functions.t:0")] * n))),
    "one id in one turn": (
        "anthropic",
        lambda n: _anthropic(
            [{"role": "assistant", "content": [_use("a")] * n}, {"role": "user", "content": [_result("a")] * n}]
        ),
    ),
    "results without calls": ("anthropic", lambda n: _anthropic(_turns([(f"a{i}", f"b{i}") for i in range(n)]))),
    "results before calls": (
        "anthropic",
        lambda n: _anthropic(
            [{"role": "user", "content": [_result("a")]}] * n + [{"role": "assistant", "content": [_use("a")]}] * n
        ),
    ),
    "messages of the user": ("anthropic", lambda n: _anthropic([_USER] * n)),
    "messages of the system": ("anthropic", lambda n: _anthropic([{"role": "system", "content": "x"}] * n)),
    "empty messages": (
        "anthropic",
        lambda n: _anthropic([{"role": "assistant", "content": "x"}, {"role": "user", "content": []}] * n),
    ),
    "blocks": (
        "anthropic",
        lambda n: _anthropic([{"role": "user", "content": [{"type": "text", "text": "x", **_MARK}] * n}]),
    ),
    "thoughts": (
        "anthropic",
        lambda n: _anthropic(
            [_USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "s"}] * n}]
        ),
    ),
    "tools": (
        "anthropic",
        lambda n: _anthropic([_USER], tools=[{"name": f"mcp__{i}" + "x" * 70, "input_schema": {}} for i in range(n)]),
    ),
    "tools of one name": (
        "anthropic",
        lambda n: _anthropic([_USER], tools=[{"name": "t", "input_schema": {}, **_MARK}] * n),
    ),
    "names that become one": (
        "anthropic",
        lambda n: _anthropic(
            [_USER],
            tools=[
                {"name": f"é{chr(0x4E00 + i % 20000)}{chr(0x4E00 + i // 20000)}", "input_schema": {}} for i in range(n)
            ],
        ),
    ),
    "a schema of variants": (
        "anthropic",
        lambda n: _anthropic(
            [_USER], tools=[{"name": "t", "input_schema": {"anyOf": [{"properties": {f"p{i}": {}}} for i in range(n)]}}]
        ),
    ),
    "a long text": ("anthropic", lambda n: _anthropic([{"role": "user", "content": 'x "y" \\ ' * (n * 20)}])),
    "calls of chat": (
        "chat",
        lambda n: {
            "model": "m",
            "messages": [_USER, {"role": "assistant", "tool_calls": [_call(i) for i in range(n)]}],
        },
    ),
    "results of chat": (
        "chat",
        lambda n: {
            "model": "m",
            "messages": [_USER, {"role": "assistant", "tool_calls": [_call(0)]}]
            + [{"role": "tool", "tool_call_id": "c0", "content": "r"}] * n,
        },
    ),
    "members of chat": ("chat", lambda n: {"model": "m", "messages": [_USER], **{f"x{i}": 1 for i in range(n)}}),
    "images of results": (
        "chat",
        lambda n: {
            "model": "m",
            "messages": [
                _USER,
                *(
                    {
                        "role": "tool",
                        "tool_call_id": "c",
                        "content": [{"type": "image_url", "image_url": {"url": "https://x/"}}],
                    }
                    for _ in range(n)
                ),
            ],
        },
    ),
    "items": (
        "responses",
        lambda n: {
            "model": "m",
            "input": [
                {"type": "function_call", "call_id": "a", "name": "t", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "a", "output": "r"},
            ]
            * n,
        },
    ),
    "calls, then results": (
        "responses",
        lambda n: {
            "model": "m",
            "input": [{"type": "function_call", "call_id": "a", "name": "t", "arguments": "{}"}] * n
            + [{"type": "function_call_output", "call_id": "a", "output": "r"}] * n,
        },
    ),
    "tools that were found": (
        "responses",
        lambda n: {
            "model": "m",
            "tools": [{"type": "function", "name": f"a{i}", "parameters": {"type": "object"}} for i in range(n)],
            "input": [
                {
                    "type": "additional_tools",
                    "tools": [
                        {"type": "function", "name": f"b{i}", "parameters": {"type": "object"}} for i in range(n)
                    ],
                }
            ],
        },
    ),
    "members named model": (
        "responses",
        lambda n: {"input": [{"role": "user", "content": "x", "model": "n"}] * n, "model": "m"},
    ),
}


def _asks(client: str, messages: list[Json], tools: list[Json]) -> Json:
    """Return a request in the format *client* of *messages* and *tools* in Anthropic's shape."""
    if client == "anthropic":
        return _anthropic(messages, tools=tools)
    inside = [{"name": tool["name"], "parameters": tool["input_schema"]} for tool in tools]
    if client == "chat":
        return {"model": "m", "messages": messages, "tools": [{"type": "function", "function": one} for one in inside]}
    items = [
        {**message, "content": [{"type": "input_text", "text": part["text"]} for part in message["content"]]}
        for message in messages
    ]
    return {"model": "m", "input": items, "tools": [{"type": "function", **one} for one in inside]}


def _says(*texts: str) -> Json:
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


def _deep() -> Json:
    schema: Json = {"type": "string"}
    for _ in range(50):
        schema = {"type": "object", "properties": {"a": schema, "b": {"type": ["string", "null"]}}}
    return schema


PLAIN: Mapping[str, Callable[[int], tuple[list[Json], list[Json]]]] = {
    "messages": lambda n: ([_says("hello"), {**_says("well"), "role": "assistant"}] * n, []),
    "tools": lambda n: ([_says("hello")], [{"name": f"t{i}", "input_schema": {"type": "object"}} for i in range(n)]),
    "blocks": lambda n: ([_says(*["hello"] * n)], []),
    "a long text": lambda n: ([_says('hello "you" ' * n)], []),
    "deep schemas": lambda n: ([_says("hello")], [{"name": f"t{i}", "input_schema": _deep()} for i in range(n)]),
}
"""Messages and tools."""


@pytest.mark.parametrize("upstream", WIRES)
@pytest.mark.parametrize("client", WIRES)
@pytest.mark.parametrize("name", PLAIN)
def test_ten_times_the_request_is_at_most_twelve_times_the_work(name: str, client: str, upstream: str) -> None:
    """What large requests have many of, on all nine paths: counted in lines of Python, and in time as above."""

    def make_work(size: int) -> Callable[[], object]:
        body = json.dumps(_asks(client, *PLAIN[name](size))).encode()
        choice = Choice(Upstream("up", {upstream: "http://up.test"}, ()), 0, upstream, "n")  # type: ignore[arg-type]

        def work() -> None:
            request = ClientRequest(client, body)  # type: ignore[arg-type]
            request.thread()
            if client == upstream:
                request.same(choice, Dialect(), marks=4)
            else:
                request.translated(choice, Dialect())
            request.tokens()

        return work

    assert lines(make_work(200)) <= 12 * lines(make_work(20))
    assert_linear(make_work, 20)


@pytest.mark.parametrize("upstream", WIRES)
@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_on_each_way(name: str, upstream: str) -> None:
    """Whatever a request has many of, toward an upstream of each format."""
    client, make = REQUESTS[name]
    plain = Dialect(system_between=False)

    def make_work(size: int) -> Callable[[], object]:
        body = json.dumps(make(size)).encode()

        def work() -> None:
            request = ClientRequest(client, body)  # type: ignore[arg-type]
            request.thread()
            if client == upstream:
                value = adjust.without_reasoning(client, request.value())
                drop_cache_control(adjust.system_in_front("anthropic", value), 4)
                return
            try:
                own = reasoning.for_upstream(request.conversation(), "up", moved=True)
                FORMATS[upstream].write_request(own, plain, request.names())
                request.tokens()
            except BadRequest:
                pass

        return work

    assert_linear(make_work, 100)


# Answers.


def _chunks(*deltas: Json) -> list[Json]:
    chunks: list[Json] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    return [*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]


def _piece(arguments: str, name: str = "", index: int = 0) -> Json:
    return {"tool_calls": [{"index": index, "id": "a", "function": {"name": name or None, "arguments": arguments}}]}


def _blocks(n: int, start: Json, delta: Json, *, end: bool) -> list[Json]:
    out: list[Json] = [{"type": "message_start", "message": {"id": "x"}}]
    for index in range(n):
        out.append({"type": "content_block_start", "index": index, "content_block": start})
        out.append({"type": "content_block_delta", "index": index, "delta": delta})
        if end:
            out.append({"type": "content_block_stop", "index": index})
    return [*out, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]


def _response(*events: Json) -> list[Json]:
    return [*events, {"type": "response.completed", "response": {"status": "completed", "output": []}}]


_TEXT, _TOOL = {"type": "text", "text": ""}, {"type": "tool_use", "id": "a", "name": "Bash", "input": {}}
_SEAL = {"reasoning_details": [{"text": "x", "signature": "s" * 50, "data": "d" * 50}]}
_DONE = {"type": "response.output_item.done"}
_CALL = {"type": "function_call", "name": "Bash", "call_id": "a", "arguments": "{}"}

ANSWERS: Mapping[str, tuple[str, Callable[[int], list[Json]]]] = {
    "white space": ("chat", lambda n: _chunks(*[{"content": " "}] * n)),
    "text and thoughts": ("chat", lambda n: _chunks(*[{"content": "x"}, {"reasoning_content": "y"}] * n)),
    "signatures": ("chat", lambda n: _chunks(*[_SEAL] * n)),
    "arguments": ("chat", lambda n: _chunks(_piece('{"a":"', "Bash"), *[_piece('\\"x')] * n, _piece('"}'))),
    "arguments that are a text": ("chat", lambda n: _chunks(_piece('"x', "Bash"), *[_piece("x")] * n)),
    "arguments without a name": ("chat", lambda n: _chunks(_piece('{"a":"' + "x" * 9 * n + '"}'), *[_piece(" ")] * n)),
    "a call again and again": (
        "chat",
        lambda n: _chunks(_piece('{"a":"' + "x" * 9 * n + '"}', "t"), *[_piece("{")] * n),
    ),
    "quotes of a custom tool": ("chat", lambda n: _chunks(_piece('{"input":"', "patch"), *[_piece('x"y"')] * n)),
    "spaces of a custom tool": ("chat", lambda n: _chunks(_piece('{"input":"x"', "patch"), *[_piece(" ")] * n)),
    "blocks": ("anthropic", lambda n: _blocks(n, _TEXT, {"type": "text_delta", "text": "x"}, end=True)),
    "open blocks": ("anthropic", lambda n: _blocks(n, _TEXT, {"type": "text_delta", "text": "x"}, end=False)),
    "calls": ("anthropic", lambda n: _blocks(n, _TOOL, {"type": "input_json_delta", "partial_json": "{}"}, end=True)),
    "open calls": (
        "anthropic",
        lambda n: _blocks(n, _TOOL, {"type": "input_json_delta", "partial_json": "{"}, end=False),
    ),
    "items without ids": ("responses", lambda n: _response(*[{**_DONE, "item": _CALL}] * n)),
    "items that go on": (
        "responses",
        lambda n: _response(
            *({"type": "response.output_text.delta", "output_index": i, "item_id": "a", "delta": "x"} for i in range(n))
        ),
    ),
}


@pytest.mark.parametrize("client", WIRES)
@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_on_each_way(name: str, client: str) -> None:
    """Whatever an answer has many of, for a client of each format."""
    upstream, make = ANSWERS[name]

    def make_work(size: int) -> Callable[[], object]:
        pieces = [b"data: %b\n\n" % json.dumps(event).encode() for event in make(size)]

        def work() -> None:
            tap, decoder, reader = Tap(upstream), Decoder(), FORMATS[upstream].reader()  # type: ignore[arg-type]
            write = FORMATS[client].writer(asked("responses")).write
            for piece in pieces:
                tap.feed(piece)
                for event, data in decoder.feed(piece):
                    for one in reader.feed(event, data):
                        write(one)

        return work

    assert_linear(make_work, 100)


def test_a_text_with_many_quotes() -> None:
    """A custom tool's input in which a model escaped no quote."""

    def make_work(size: int) -> Callable[[], object]:
        text = 'x"y" ' * size

        def work() -> None:
            tool = CustomInput()
            tool.feed('{"input":"')
            tool.feed(text)
            tool.end()

        return work

    assert_linear(make_work, 1000)
