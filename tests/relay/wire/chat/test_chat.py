"""Chat Completions answers: what providers make of the chunks, and what clients get."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any, Iterable, Optional, Union

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import chat, errors
from ccsetup.relay.wire.messages import (
    Asked,
    BlockEnd,
    Conversation,
    Delta,
    Event,
    Failed,
    Message,
    Ping,
    ReasoningStart,
    RefusalStart,
    Started,
    Stop,
    TextStart,
    Tool,
    ToolCall,
    ToolStart,
    Usage,
    WireError,
)
from ccsetup.relay.wire.sse import Decoder
from ccsetup.relay.wire.tools import CustomInput, ToolNames

Json = dict[str, Any]
DONE = "[DONE]"


def chunk(delta: Optional[Json] = None, finish: Optional[str] = None, **more: Any) -> Json:
    choice: Json = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice], **more}


def tool(index: Optional[int], id: Optional[str] = None, name: Optional[str] = None, args: Any = None) -> Json:
    call: Json = {"function": {}}
    for holder, member, value in (
        (call, "index", index),
        (call, "id", id),
        (call["function"], "name", name),
        (call["function"], "arguments", args),
    ):
        if value is not None:
            holder[member] = value
    return call


def calls(*items: Json, finish: Optional[str] = None) -> Json:
    return chunk({"tool_calls": list(items)}, finish)


def read(chunks: Iterable[Union[Json, str]], *, end: bool = True) -> list[Event]:
    reader = chat.reader()
    out: list[Event] = []
    for item in chunks:
        data = item if isinstance(item, str) else json.dumps(item)
        out += reader.feed("", data.encode())
    return out + reader.end() if end else out


def check(events: list[Event]) -> None:
    """The promises of ``messages``: contiguous blocks, each ended once, deltas only between."""
    if not events or events == [events[-1]]:
        assert all(isinstance(e, Failed) for e in events)
        return
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], (Stop, Failed))
    starts, open_ = 0, set()
    for event in events[1:-1]:
        if isinstance(event, (TextStart, ReasoningStart, RefusalStart, ToolStart)):
            assert event.block == starts
            starts += 1
            open_.add(event.block)
        elif isinstance(event, Delta):
            assert event.block in open_
            assert event.text
        else:
            assert isinstance(event, BlockEnd)
            open_.remove(event.block)
    assert not open_ or isinstance(events[-1], Failed)


def blocks(events: list[Event]) -> list[tuple[str, ...]]:
    """Return the blocks in order: (kind, text), for a call (tool, id, name, arguments)."""
    check(events)
    found: list[list[str]] = []
    for event in events:
        if isinstance(event, ToolStart):
            found.append(["tool", event.id, event.name, ""])
        elif isinstance(event, (TextStart, ReasoningStart, RefusalStart)):
            found.append([type(event).__name__.removesuffix("Start").lower(), ""])
        elif isinstance(event, Delta):
            found[event.block][-1] += event.text
    return [tuple(block) for block in found]


def stop(events: list[Event]) -> str:
    last = events[-1]
    return last.reason if isinstance(last, Stop) else f"failed: {last.error.kind}" if isinstance(last, Failed) else "?"


def usage(events: list[Event]) -> Optional[Usage]:
    assert isinstance(events[-1], Stop)
    return events[-1].usage


# Streams as providers send them


DEEPSEEK = [
    chunk({"role": "assistant", "content": None, "reasoning_content": ""}),
    chunk({"content": None, "reasoning_content": "Let me"}),
    chunk({"content": None, "reasoning_content": " look."}),
    chunk({"content": "I look", "reasoning_content": None}),
    chunk({"content": " now.", "reasoning_content": None}),
    calls({**tool(0, "call_00_x", "Bash", ""), "type": "function"}),
    calls(tool(0, None, None, '{"comm')),
    calls(tool(0, None, None, 'and": "ls"}')),
    chunk({"content": "", "reasoning_content": None}, "tool_calls"),
    {
        "id": "c1",
        "model": "m",
        "choices": [],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
            "completion_tokens_details": {"reasoning_tokens": 9},
        },
    },
    DONE,
]

KIMI = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm"}),
    calls({**tool(0, "functions.Bash:0", "Bash", ""), "type": "function"}),
    calls(tool(0, args='{"command"')),
    calls({**tool(1, "functions.Read:1", "Read", ""), "type": "function"}),
    calls(tool(0, args=': "ls"}')),
    calls(tool(1, args='{"file": "a"}')),
    {
        "id": "c1",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "delta": {},
                "finish_reason": "tool_calls",
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cached_tokens": 4},
            }
        ],
    },
    DONE,
]

OPENAI = [
    chunk({"role": "assistant", "content": "", "refusal": None}, usage=None),
    chunk({"content": "Hel"}, usage=None),
    chunk({"content": "lo"}, usage=None),
    chunk({}, "stop", usage=None),
    {
        "id": "c1",
        "model": "m",
        "choices": [],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 3,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    },
    DONE,
]

OPENROUTER = [
    chunk({"role": "assistant", "content": ""}),
    chunk(
        {
            "content": "",
            "reasoning": "think",
            "reasoning_details": [{"type": "reasoning.text", "text": "think", "index": 0}],
        }
    ),
    chunk({"content": "", "reasoning_details": [{"type": "reasoning.text", "signature": "sig", "index": 0}]}),
    chunk({"content": "done"}),
    chunk({"content": ""}, "stop", native_finish_reason="end_turn"),
    {"id": "c1", "model": "m", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.1}},
    DONE,
]

GLM = [
    chunk({"role": "assistant", "reasoning_content": "\n think"}),
    chunk({"role": "assistant", "content": "\n"}),
    calls({**tool(0, "call_1", "Bash", '{"command":"ls"}'), "type": "function"}),
    {
        **chunk({"role": "assistant", "content": ""}, "tool_calls"),
        "usage": {"prompt_tokens": 8, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}},
    },
    DONE,
]

GEMINI = [
    calls(tool(0, "", "Bash", '{"a":1}'), finish=None),
    calls(tool(0, "", "Read", '{"b":2}')),
    chunk({"role": "assistant"}, "stop"),
    DONE,
]

MINIMAX = [
    chunk({"role": "assistant", "content": "<think>a"}),
    chunk({"content": "</think>b"}, "stop"),
    {
        "id": "c1",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "<think>a</think>b"}}],
        "usage": {"total_tokens": 9, "prompt_tokens": 5, "completion_tokens": 4},
        "base_resp": {"status_code": 0, "status_msg": ""},
    },
]

STREAMS = {
    "deepseek": DEEPSEEK,
    "kimi": KIMI,
    "openai": OPENAI,
    "openrouter": OPENROUTER,
    "glm": GLM,
    "gemini": GEMINI,
    "minimax": MINIMAX,
}


@pytest.mark.parametrize(
    ("stream", "wanted", "reason", "figures"),
    [
        (
            DEEPSEEK,
            [
                ("reasoning", "Let me look."),
                ("text", "I look now."),
                ("tool", "call_00_x", "Bash", '{"command": "ls"}'),
            ],
            "tools",
            Usage(36, 20, 64, 0, 9),
        ),
        (
            KIMI,
            [
                ("reasoning", "hm"),
                ("tool", "functions.Bash:0", "Bash", '{"command": "ls"}'),
                ("tool", "functions.Read:1", "Read", '{"file": "a"}'),
            ],
            "tools",
            Usage(6, 5, 4),
        ),
        (OPENAI, [("text", "Hello")], "end", Usage(4, 3, 5)),
        (OPENROUTER, [("reasoning", "think"), ("text", "done")], "end", Usage(1, 2)),
        (
            GLM,
            [("reasoning", "\n think"), ("tool", "call_1", "Bash", '{"command":"ls"}')],
            "tools",
            Usage(6, 4, 2),
        ),
        (GEMINI, [("tool", "", "Bash", '{"a":1}'), ("tool", "", "Read", '{"b":2}')], "tools", None),
        (MINIMAX, [("text", "<think>a</think>b")], "end", Usage(5, 4)),
    ],
    ids=list(STREAMS),
)
def test_streams_of_providers(stream: Any, wanted: Any, reason: str, figures: Optional[Usage]) -> None:
    events = read(stream)
    assert blocks(events) == wanted
    assert stop(events) == reason
    assert usage(events) == figures


def test_the_signature_of_reasoning_details_is_kept() -> None:
    assert BlockEnd(0, "sig") in read(OPENROUTER)


def test_encrypted_reasoning_without_text_is_redacted() -> None:
    detail = {"type": "reasoning.encrypted", "data": "XYZ", "index": 0}
    events = read([chunk({"reasoning_details": [detail]}), chunk({"content": "a"}), chunk({}, "stop")])
    assert events[1:3] == [ReasoningStart(0), BlockEnd(0, encrypted="XYZ", redacted=True)]
    assert blocks(events) == [("reasoning", ""), ("text", "a")]


def test_events_come_as_soon_as_they_can() -> None:
    """The chunk that opens a block gives its content, and nothing waits for a later one."""
    reader = chat.reader()
    feed = [reader.feed("", json.dumps(c).encode()) for c in (chunk({"content": "a"}), chunk({"content": "b"}))]
    assert feed == [[Started("c1", "m"), TextStart(0), Delta(0, "a")], [Delta(0, "b")]]
    assert reader.feed("", json.dumps(calls(tool(0, "x", "Bash", '{"a'))).encode()) == [
        BlockEnd(0),
        ToolStart(1, "x", "Bash"),
        Delta(1, '{"a'),
    ]


# Tool calls

A, B = '{"a": 1}', '{"b": 2}'


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        pytest.param(
            [calls(tool(0, "x", "A", A), tool(1, "y", "B", B))],
            [("x", "A", A), ("y", "B", B)],
            id="two whole calls in one chunk",
        ),
        pytest.param(
            [calls(tool(None, "x", "A", A), tool(None, "y", "B", B))],
            [("x", "A", A), ("y", "B", B)],
            id="two whole calls in one chunk, no index",
        ),
        pytest.param(
            [calls(tool(None, None, "A", A), tool(None, None, "A", B))],
            [("", "A", A), ("", "A", B)],
            id="two calls of one tool in one chunk, no index, no id",
        ),
        pytest.param(
            [calls(tool(None, None, "A", "")), calls(tool(None, None, None, A)), calls(tool(None, None, "A", B))],
            [("", "A", A), ("", "A", B)],
            id="no index, no id, one after the other",
        ),
        pytest.param(
            [calls(tool(None, "x", "A", "")), calls(tool(None, None, None, A)), calls(tool(None, "y", "B", B))],
            [("x", "A", A), ("y", "B", B)],
            id="no index, a new id begins a call",
        ),
        pytest.param(
            [
                calls(tool(None, "x", "A", "")),
                calls(tool(None, "y", "B", "")),
                calls(tool(None, "x", None, A)),
                calls(tool(None, "y", None, B)),
            ],
            [("x", "A", A), ("y", "B", B)],
            id="by id",
        ),
        pytest.param(
            [calls(tool(None, "x", "A"), tool(None, "y", "B")), calls(tool(None, args=A), tool(None, args=B))],
            [("x", "A", A), ("y", "B", B)],
            id="by position",
        ),
        pytest.param(
            [
                calls(tool(0, "x", "A", "")),
                calls(tool(1, "y", "B", "")),
                calls(tool(1, args=B[:4])),
                calls(tool(0, args=A[:3])),
                calls(tool(1, args=B[4:])),
                calls(tool(0, args=A[3:])),
            ],
            [("x", "A", A), ("y", "B", B)],
            id="interleaved",
        ),
        pytest.param(
            [calls(tool(0, "x", "A", A[:3])), calls(tool(0, "x", "A", A[3:]))],
            [("x", "A", A)],
            id="id and name repeated",
        ),
        pytest.param(
            [calls(tool(0, "x", "A", A[:3])), calls(tool(0, "", "", A[3:]))],
            [("x", "A", A)],
            id="empty id and name later",
        ),
        pytest.param(
            [calls(tool(0, "x1", "A", A[:3])), calls(tool(0, "x2", None, A[3:])), calls(tool(0, "x3", "", ""))],
            [("x1", "A", A)],
            id="an id invented for each piece",
        ),
        pytest.param(
            [calls(tool(None, "x1", "A", A[:3])), calls(tool(None, "x2", None, A[3:]))],
            [("x1", "A", A)],
            id="an id invented for each piece, no index",
        ),
        pytest.param(
            [calls(tool(0, "x")), calls(tool(0, None, "get_")), calls(tool(0, None, "it")), calls(tool(0, args=A))],
            [("x", "get_it", A)],
            id="name late and in pieces",
        ),
        pytest.param(
            [calls(tool(0, "x", None, A[:2])), calls(tool(0, None, "A", A[2:]))],
            [("x", "A", A)],
            id="arguments before the name",
        ),
        pytest.param([calls(tool(0, "x", "A", {"a": 1}))], [("x", "A", '{"a":1}')], id="arguments as an object"),
        pytest.param([calls(tool(0, "x", "A", None))], [("x", "A", "")], id="no arguments"),
        pytest.param([calls(tool(0, "x", "A", "{}"))], [("x", "A", "{}")], id="empty arguments"),
        pytest.param(
            [calls(tool(0, "x", "A", "{}")), calls(tool(0, args=A[:2])), calls(tool(0, args=A[2:]))],
            [("x", "A", A)],
            id="{} before the real arguments",
        ),
        pytest.param(
            [calls(tool(0, "x", "A", "")), calls(tool(1, "y", "B", "")), calls(tool(0, args=A), tool(1, args=B))],
            [("x", "A", A), ("y", "B", B)],
            id="arguments only at the end",
        ),
        pytest.param(
            [calls(tool(0, "x", "A", A[:3])), calls(tool(0, args=A[3:])), calls(tool(0, "x", "A", A))],
            [("x", "A", A)],
            id="the whole call again at the end",
        ),
        pytest.param(
            [calls(tool(0, "x", "A", A)), calls(tool(0, "y", "A", B))],
            [("x", "A", A), ("y", "A", B)],
            id="index 0 for every call",
        ),
        pytest.param(
            [calls(tool(0, "", "A", A)), calls(tool(0, "", "A", B))],
            [("", "A", A), ("", "A", B)],
            id="index 0 for every call, no id",
        ),
        pytest.param(
            [calls(tool(0, "same", "A", A), tool(1, "same", "B", B))],
            [("same", "A", A), ("same", "B", B)],
            id="one id for all",
        ),
        pytest.param(
            [calls(tool(0, "x", "A", A[:3])), chunk({"content": "between"}), calls(tool(0, args=A[3:]))],
            [("x", "A", A)],
            id="text in between",
        ),
        pytest.param(
            [calls(tool(3, "x", "A", A)), calls(tool(7, "y", "B", B))],
            [("x", "A", A), ("y", "B", B)],
            id="odd indices",
        ),
        pytest.param(
            [chunk({"function_call": {"name": "A", "arguments": ""}}), chunk({"function_call": {"arguments": A}})],
            [("", "A", A)],
            id="function_call",
        ),
        pytest.param([calls(tool(0), tool(0, "x", "A", A))], [("x", "A", A)], id="an empty item"),
    ],
)
@pytest.mark.parametrize("finish", ["tool_calls", "stop", "length"])
def test_tool_calls(chunks: list[Json], wanted: list[tuple[str, ...]], finish: str) -> None:
    """No call is lost or merged, and any call makes the answer one of tools."""
    events = read([*chunks, chunk({}, finish), DONE])
    assert [block[1:] for block in blocks(events) if block[0] == "tool"] == wanted
    assert stop(events) == "tools"


def test_custom_calls_of_openai() -> None:
    pieces = [{"index": 0, "id": "x", "type": "custom", "custom": {"name": "patch", "input": "a {"}}]
    more = [{"index": 0, "custom": {"input": "} b"}}]
    events = read([chunk({"tool_calls": pieces}), chunk({"tool_calls": more}), chunk({}, "tool_calls")])
    assert ToolStart(0, "x", "patch", custom=True) in events
    assert blocks(events) == [("tool", "x", "patch", "a {} b")]


def test_a_call_that_was_cut_by_the_limit_stays_cut() -> None:
    events = read([calls(tool(0, "x", "Write", '{"text": "abc')), chunk({}, "length"), DONE])
    assert stop(events) == "length"


def test_complete_calls_end_when_the_next_block_begins() -> None:
    """A writer that needs one block after the other can go on with it at once; an incomplete one stays open."""
    events = read([calls(tool(0, "x", "A", A)), calls(tool(1, "y", "B", B))], end=False)
    assert events[3:5] == [BlockEnd(0), ToolStart(1, "y", "B")]
    events = read([calls(tool(0, "x", "A", A[:2])), calls(tool(1, "y", "B", B))], end=False)
    assert BlockEnd(0) not in events


# Text and content


def test_white_space_alone_makes_no_block() -> None:
    """Claude Code sends text blocks back, and Anthropic refuses empty ones."""
    chunks = [chunk({"content": "\n"}), chunk({"content": "\n"}), calls(tool(0, "x", "A", A)), chunk({}, "stop")]
    assert blocks(read(chunks)) == [("tool", "x", "A", A)]
    assert blocks(read([chunk({"content": "\n"}), chunk({"content": " a"}), chunk({}, "stop")])) == [("text", "\n a")]


def test_content_as_parts() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "why"}]},
        {"type": "text", "text": "so"},
        {"type": "refusal", "refusal": "no"},
        "!",
    ]
    events = read([chunk({"content": content}), chunk({}, "stop")])
    assert blocks(events) == [("reasoning", "why"), ("text", "so"), ("refusal", "no"), ("text", "!")]


def test_refusal() -> None:
    events = read([chunk({"refusal": "I can"}), chunk({"refusal": "not"}), chunk({}, "stop")])
    assert blocks(events) == [("refusal", "I cannot")]
    assert stop(events) == "refusal"


def test_only_the_first_choice_counts() -> None:
    two = {
        "id": "c1",
        "model": "m",
        "choices": [
            {"index": 1, "delta": {"content": "B"}, "finish_reason": "stop"},
            {"index": 0, "delta": {"content": "A"}, "finish_reason": None},
        ],
    }
    events = read([two, two, chunk({}, "stop")])
    assert blocks(events) == [("text", "AA")]


# Ends


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "refusal"),
        ("sensitive", "refusal"),
        ("tool_calls", "end"),
        ("model_context_window_exceeded", "context"),
        ("eos", "end"),
        ("network_error", "failed: server"),
        ("insufficient_system_resource", "failed: overloaded"),
        ("abort", "failed: cut"),
        ("error", "failed: server"),
    ],
)
def test_finish_reasons(finish: str, reason: str) -> None:
    assert stop(read([chunk({"content": "a"}), chunk({}, finish), DONE])) == reason


def test_the_stop_sequence_of_vllm() -> None:
    last = chunk({}, "stop")
    last["choices"][0]["stop_reason"] = "END"
    assert read([chunk({"content": "a"}), last])[-1] == Stop("sequence", None, "END")


@pytest.mark.parametrize("end", [[], [DONE], [{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}]])
def test_an_answer_with_finish_reason_is_complete(end: list[Any]) -> None:
    assert stop(read([chunk({"content": "a"}), chunk({}, "stop"), *end])) == "end"


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [DONE],
        [chunk({"content": "a"})],
        [chunk({"role": "assistant", "content": ""}), DONE],
        [{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}, DONE],
        [calls(tool(0, "x", "A", '{"a": "')), DONE],
        [chunk({"content": "a"}, ""), chunk({"content": "a"}, "null")],
    ],
)
def test_a_cut_never_looks_finished(chunks: list[Any]) -> None:
    """[DONE] ends what was said, and no call whose arguments are not complete; alone it is no answer."""
    assert stop(read(chunks)) == "failed: cut"


def test_done_without_a_finish_reason_is_an_end() -> None:
    told = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    assert stop(read([chunk({"content": "a"}), DONE])) == "end"
    assert stop(read([calls(tool(0, "x", "A", A)), DONE])) == "tools"
    assert stop(read([chunk({"content": "a"}, usage=told["usage"]), DONE])) == "end"
    assert stop(read([chunk({"content": "a"}), told, DONE])) == "end"
    assert stop(read([chunk({"content": "a"}), told])) == "failed: cut"


def test_nothing_follows_the_end() -> None:
    reader = chat.reader()
    for item in (chunk({"content": "a"}), chunk({}, "stop")):
        reader.feed("", json.dumps(item).encode())
    assert isinstance(reader.feed("", b"[DONE]")[-1], Stop)
    assert reader.feed("", json.dumps(chunk({"content": "b"})).encode()) == []
    assert reader.end() == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}, "rate_limit"),
        ({"error": {"message": "context_length_exceeded: too long", "code": "context_length_exceeded"}}, "context"),
        ({"error": "boom"}, "server"),
        ({"error": {"code": 502, "message": "Bad"}, "choices": [{"index": 0, "delta": {}}]}, "server"),
        ({"choices": [{"index": 0, "delta": {}, "error": {"message": "down", "code": 503}}]}, "overloaded"),
        ({"choices": None, "base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "quota"),
        ({"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r"}, "authentication"),
    ],
)
def test_errors_in_the_stream(error: Json, kind: str) -> None:
    events = read([chunk({"content": "a"}), error, chunk({}, "stop"), DONE])
    assert stop(events) == f"failed: {kind}"
    assert stop(read([error])) == f"failed: {kind}"


@pytest.mark.parametrize(
    "data",
    [
        b'{"message": "overloaded", "code": 503}',
        b'{"error": {"message": "overloaded"}}',
        b"overloaded",
        b'"overloaded"',
    ],
)
def test_events_named_error(data: bytes) -> None:
    reader = chat.reader()
    events = reader.feed("error", data)
    assert isinstance(events[-1], Failed)
    assert events[-1].error.kind == "overloaded"
    assert reader.end() == []


# Usage


@pytest.mark.parametrize(
    ("chunks", "figures"),
    [
        ([chunk({}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 2}), DONE], Usage(1, 2)),
        (
            [
                chunk({"content": "b"}, usage={"prompt_tokens": 5, "completion_tokens": 1}),
                chunk({}, "stop", usage={"prompt_tokens": 5, "completion_tokens": 3}),
            ],
            Usage(5, 3),
        ),
        ([chunk({}, "stop"), {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}, DONE], None),
        ([chunk({}, "stop", x_groq={"usage": {"prompt_tokens": 3, "completion_tokens": 4}})], Usage(3, 4)),
        ([chunk({}, "stop"), DONE], None),
    ],
)
def test_usage_wherever_it_stands(chunks: list[Any], figures: Optional[Usage]) -> None:
    assert usage(read([chunk({"content": "a"}), *chunks])) == figures


# Answers that are no streams


def whole(message: Json, finish: Optional[str] = "stop", **more: Any) -> list[Event]:
    answer = {"id": "c1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}], **more}
    return chat.read_answer(json.dumps(answer).encode())


def test_a_whole_answer() -> None:
    message = {
        "role": "assistant",
        "content": "text",
        "reasoning_content": "why",
        "tool_calls": [tool(None, "x", "A", A), tool(None, "x", "A", B)],
    }
    events = whole(message, "stop", usage={"prompt_tokens": 3, "completion_tokens": 2})
    assert blocks(events) == [("reasoning", "why"), ("text", "text"), ("tool", "x", "A", A), ("tool", "x", "A", B)]
    assert stop(events) == "tools"
    assert usage(events) == Usage(3, 2)
    assert events[0] == Started("c1", "m")


def test_a_whole_answer_without_finish_reason_is_complete() -> None:
    assert stop(whole({"content": "a"}, None)) == "end"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error": {"message": "no balance", "code": "insufficient_quota"}}', "quota"),
        (b'{"base_resp": {"status_code": 1004, "status_msg": "login fail"}, "choices": null}', "authentication"),
        (b"{}", "server"),
        (b'{"choices": []}', "server"),
        (b'{"choices": [{"index": 0}]}', "server"),
        (b"[]", "server"),
        (b"<html>", "server"),
        (b"", "server"),
    ],
)
def test_answers_that_are_none(body: bytes, kind: str) -> None:
    assert stop(chat.read_answer(body)) == f"failed: {kind}"


# Any chunking


def sse(stream: list[Any], line: str = "\n") -> bytes:
    return "".join(
        f"data: {c if isinstance(c, str) else json.dumps(c, ensure_ascii=False)}{line}{line}" for c in stream
    ).encode()


@given(
    st.sampled_from(sorted(STREAMS)),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(0, 100_000), max_size=30),
)
@settings(max_examples=80, deadline=None)
def test_any_chunking_gives_the_same_events(name: str, line: str, cuts: list[int]) -> None:
    body = sse(STREAMS[name], line)
    at = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    decoder, reader = Decoder(), chat.reader()
    events: list[Event] = []
    for a, b in pairwise(at):
        for event, data in decoder.feed(body[a:b]):
            events += reader.feed(event, data)
    for event, data in decoder.end():
        events += reader.feed(event, data)
    assert events + reader.end() == read(STREAMS[name])


@given(st.sampled_from(sorted(STREAMS)), st.integers(0, 100_000))
@settings(max_examples=60, deadline=None)
def test_a_stream_cut_anywhere_is_finished_only_behind_its_finish_reason(name: str, cut: int) -> None:
    stream = STREAMS[name][: cut % len(STREAMS[name])]
    ended = any(isinstance(c, dict) and any(x.get("finish_reason") for x in c["choices"]) for c in stream)
    assert isinstance(read(stream)[-1], Stop if ended else Failed)
    check(read(stream))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(["", "a", "{", "{}", A]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["index", "id", "function", "name", "arguments", "type", "text", "custom", "error", "message"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)
DELTAS = st.dictionaries(
    st.sampled_from(
        [
            "content",
            "role",
            "tool_calls",
            "reasoning_content",
            "reasoning",
            "reasoning_details",
            "refusal",
            "function_call",
        ]
    ),
    JSON_VALUES
    | st.lists(
        st.builds(
            tool,
            st.integers(0, 2) | st.none(),
            st.sampled_from(["x", "y", ""]) | st.none(),
            st.sampled_from(["A", "B", ""]) | st.none(),
            st.sampled_from([A, B, "{", "}", "", "{}"]),
        ),
        max_size=3,
    ),
    max_size=4,
)
CHUNKS = st.one_of(
    st.builds(chunk, DELTAS, st.sampled_from([None, None, None, "stop", "length", "x"])),
    st.dictionaries(st.sampled_from(["choices", "usage", "id", "model", "error"]), JSON_VALUES, max_size=3),
    JSON_VALUES,
)


@given(st.lists(CHUNKS, max_size=6), st.sampled_from(["", "error", "message"]))
@settings(max_examples=250, deadline=None)
def test_whatever_comes_gives_events_in_order(stream: list[Any], name: str) -> None:
    """Feeding never raises, and what comes out keeps the promises of the events."""
    reader = chat.reader()
    events: list[Event] = []
    for item in stream:
        events += reader.feed(name, json.dumps(item).encode())
    check(events + reader.end())
    check(chat.read_answer(json.dumps(stream[0] if stream else None).encode()))


@pytest.mark.parametrize("data", [b"", b"\xff", b"{", b"[" * 5000, b"nan", b"null", b"1", b'"x"', b"[]"])
def test_data_that_is_nothing_is_skipped(data: bytes) -> None:
    reader = chat.reader()
    assert reader.feed("", data) == []


def test_too_many_calls_are_an_error() -> None:
    many = [tool(n, str(n), "A", "{") for n in range(2000)]
    events = read([chunk({"tool_calls": many, "function_call": {"name": "A"}}, "error"), DONE])
    assert stop(events) == "failed: server"
    check(events)


# Answers to clients

CUSTOM = Tool("apply_patch", kind="custom")


def asked(*, stream: bool = True, include_usage: bool = True, taken: tuple[str, ...] = ()) -> Asked:
    history = (Message("assistant", tuple(ToolCall(id, "Bash", "{}") for id in taken)),)
    conversation = Conversation(
        "the-model", messages=history, tools=(Tool("Bash"), CUSTOM), stream=stream, include_usage=include_usage
    )
    return Asked(conversation, ToolNames.of(conversation), "0" * 32, 1_700_000_000)


ANSWER: list[Event] = [
    Started("upstream", "upstream-model"),
    ReasoningStart(0),
    Delta(0, "I "),
    Delta(0, "think"),
    BlockEnd(0, "sig"),
    TextStart(1),
    Delta(1, "Hello"),
    Ping(),
    Delta(1, ' "world"\n'),
    BlockEnd(1),
    ToolStart(2, "toolu_1", "Bash"),
    Delta(2, '{"comm'),
    ToolStart(3, "functions.apply_patch:1", "apply_patch"),
    Delta(3, '{"input": "*** Be'),
    Delta(2, 'and": "ls"}'),
    Delta(3, 'gin\\nPatch"}'),
    BlockEnd(2),
    BlockEnd(3),
    ToolStart(4, "toolu_1", "Bash"),
    BlockEnd(4),
    Stop("tools", Usage(10, 7, 5, 2, 3)),
]


FUNCTIONS = [e for e in ANSWER if not isinstance(e, (ToolStart, Delta, BlockEnd)) or e.block != 3]
"""Without the custom tool: the SDK's accumulator knows no deltas of such calls."""


def written(events: list[Event], told: Asked) -> bytes:
    writer = chat.writer(told)
    return b"".join(writer.write(event) for event in events)


def data_of(body: bytes) -> list[Any]:
    found = [data for _, data in Decoder().feed(body)]
    return [data.decode() if data == b"[DONE]" else json.loads(data) for data in found]


def test_chunks_are_those_of_openai() -> None:
    out = data_of(written(ANSWER, asked()))
    assert out[-1] == "[DONE]"
    assert {c["id"] for c in out[:-1]} == {"chatcmpl-" + "0" * 32}
    assert {(c["object"], c["created"], c["model"]) for c in out[:-1]} == {
        ("chat.completion.chunk", 1_700_000_000, "the-model")
    }
    assert out[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [c["choices"][0]["finish_reason"] for c in out[:-2]] == [None] * (len(out) - 3) + ["tool_calls"]
    assert out[-2]["choices"] == []
    assert out[-2]["usage"] == {
        "prompt_tokens": 17,
        "completion_tokens": 7,
        "total_tokens": 24,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    pieces = [call for c in out[:-2] for call in c["choices"][0]["delta"].get("tool_calls", [])]
    assert [(p["index"], p["type"]) for p in pieces if "id" in p] == [(0, "function"), (1, "custom"), (2, "function")]
    assert len({p["id"] for p in pieces if "id" in p}) == 3
    assert "".join(p["custom"]["input"] for p in pieces if "custom" in p) == "*** Begin\nPatch"
    assert [p["function"]["arguments"] for p in pieces if p["index"] == 2] == ["", "{}"]


def test_no_usage_that_was_not_asked_for() -> None:
    assert b"usage" not in written(ANSWER, asked(include_usage=False))


def test_ids_are_not_those_of_earlier_turns() -> None:
    out = data_of(written(ANSWER, asked(taken=("toolu_1",))))
    ids = [call["id"] for c in out[:-2] for call in c["choices"][0]["delta"].get("tool_calls", []) if "id" in call]
    assert "toolu_1" not in ids
    assert len(set(ids)) == 3


def test_a_failure_is_an_error_without_done() -> None:
    body = written([*ANSWER[:3], Failed(WireError("cut", "The stream ended.", 502))], asked())
    last = data_of(body)[-1]
    assert last == {
        "error": {"message": "The stream ended.", "type": "server_error", "param": None, "code": "stream_cut"}
    }


def test_signs_of_life() -> None:
    assert chat.writer(asked()).write(Ping()) == chat.PING
    assert Decoder().feed(chat.PING) == []


def spoken(events: list[Event]) -> list[tuple[str, ...]]:
    """The meaning of an answer for a chat client: texts by kind, and calls with their raw inputs."""
    texts: dict[str, str] = {}
    found: list[list[str]] = []
    kinds: dict[int, Any] = {}
    raw: dict[int, CustomInput] = {}
    for event in events:
        if isinstance(event, ToolStart):
            found.append([event.name, ""])
            kinds[event.block] = found[-1]
            if event.name == "apply_patch" and not event.custom:
                raw[event.block] = CustomInput()
        elif isinstance(event, (TextStart, ReasoningStart, RefusalStart)):
            kinds[event.block] = type(event).__name__
        elif isinstance(event, Delta):
            kind = kinds[event.block]
            if isinstance(kind, str):
                texts[kind] = texts.get(kind, "") + event.text
            else:
                kind[1] += raw[event.block].feed(event.text) if event.block in raw else event.text
        elif isinstance(event, BlockEnd) and not isinstance(kinds[event.block], str):
            kinds[event.block][1] += raw[event.block].end() if event.block in raw else ""
            if event.block not in raw and not kinds[event.block][1] and kinds[event.block][0] != "apply_patch":
                kinds[event.block][1] = "{}"
    texts = {kind: text.replace("\n", "") for kind, text in texts.items()}
    return [*sorted((k, t) for k, t in texts.items()), *((n, a) for n, a in found)]


TEXTS = st.sampled_from(["a", "Hello ", "b\n", '"', "ü😀", "{}"])
RUNS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([TextStart, ReasoningStart, RefusalStart]), st.lists(TEXTS, min_size=1, max_size=3)),
        st.tuples(
            st.just(ToolStart),
            st.tuples(
                st.sampled_from(["Bash", "apply_patch"]),
                st.sampled_from(["x", "y", "", "f.x:0"]),
                st.dictionaries(st.just("input"), TEXTS, max_size=1),
            ),
        ),
    ),
    max_size=5,
)


def answer_of(runs: list[Any]) -> list[Event]:
    events: list[Event] = [Started("u", "m")]
    for block, (kind, what) in enumerate(runs):
        if kind is ToolStart:
            name, id, arguments = what
            events.append(ToolStart(block, id, name))
            text = json.dumps(arguments, ensure_ascii=False) if arguments else ""
            events += [Delta(block, piece) for piece in (text[:5], text[5:]) if piece]
        else:
            events.append(kind(block))
            events += [Delta(block, text) for text in what]
        events.append(BlockEnd(block))
    tools = any(kind is ToolStart for kind, _ in runs)
    refused = any(kind is RefusalStart for kind, _ in runs)
    return [*events, Stop("tools" if tools else "refusal" if refused else "end", Usage(3, 4, 1, 0, 2))]


@given(RUNS)
@settings(max_examples=150, deadline=None)
def test_what_is_written_reads_back_the_same(runs: list[Any]) -> None:
    events = answer_of(runs)
    streamed = read(data_of(written(events, asked())))
    whole_ = chat.read_answer(chat.write_answer(events, asked(stream=False)))
    for back in (streamed, whole_):
        check(back)
        assert back[-1] == events[-1]
        assert spoken(back) == spoken(events)


def sdk(body: bytes, kind: str, status: int = 200) -> openai.OpenAI:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers={"content-type": kind})

    return openai.OpenAI(
        api_key="k",
        base_url="http://x/v1",
        max_retries=0,
        http_client=httpx.Client(transport=httpx.MockTransport(answer)),
    )


ASK: Any = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_the_official_sdk_reads_the_stream() -> None:
    with (
        sdk(written(FUNCTIONS, asked()), "text/event-stream") as client,
        client.chat.completions.stream(**ASK, stream_options={"include_usage": True}) as stream,
    ):
        final = stream.get_final_completion()
    choice = final.choices[0]
    assert choice.message.content == 'Hello "world"\n'
    assert choice.message.model_extra is not None
    assert choice.message.model_extra["reasoning_content"] == "I think"
    assert choice.finish_reason == "tool_calls"
    assert choice.message.tool_calls is not None
    first = choice.message.tool_calls[0]
    assert first.type == "function"
    assert (first.function.name, first.function.arguments) == ("Bash", '{"command": "ls"}')
    assert final.usage is not None
    assert final.usage.prompt_tokens == 17


def test_the_official_sdk_reads_the_chunks() -> None:
    with sdk(written(ANSWER, asked()), "text/event-stream") as client:
        chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == 'Hello "world"\n'
    assert chunks[-1].usage is not None


def test_the_official_sdk_raises_the_error_of_a_stream() -> None:
    body = written([*ANSWER[:8], Failed(WireError("overloaded", "Too busy.", 503))], asked())
    with sdk(body, "text/event-stream") as client, pytest.raises(openai.APIError, match="Too busy"):
        list(client.chat.completions.create(**ASK, stream=True))


def test_the_official_sdk_reads_the_answer() -> None:
    with sdk(chat.write_answer(ANSWER, asked(stream=False)), "application/json") as client:
        answer = client.chat.completions.create(**ASK)
    message = answer.choices[0].message
    assert message.content == 'Hello "world"\n'
    assert message.tool_calls is not None
    assert [call.type for call in message.tool_calls] == ["function", "custom", "function"]
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert answer.usage.prompt_tokens_details.cached_tokens == 5


# Errors


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (WireError("context", "prompt is too long", 413, code="x"), 400, "context_length_exceeded"),
        (WireError("rate_limit", "slow", 429), 429, "rate_limit_exceeded"),
        (WireError("authentication", "no", 401), 401, "invalid_api_key"),
        (WireError("quota", "pay", 402, code="1113"), 402, "1113"),
        (WireError("cut", "gone", 0), 502, "stream_cut"),
        (WireError("server", "", 500), 500, None),
    ],
)
def test_errors_are_those_of_openai(error: WireError, status: int, code: Optional[str]) -> None:
    given_, body = chat.write_error(error)
    assert given_ == status
    value = json.loads(body)["error"]
    assert value["code"] == code
    assert value["message"]
    assert set(value) == {"message", "type", "param", "code"}
    assert json.loads(chat.write_answer([Failed(error)], asked()))["error"] == value


@pytest.mark.parametrize(
    "kind", ["rate_limit", "context", "authentication", "quota", "overloaded", "server", "timeout"]
)
def test_errors_read_back_as_the_same_kind(kind: Any) -> None:
    status, body = chat.write_error(WireError(kind, "words", 0))
    assert errors.extract(status, body, "3").kind == kind
    assert errors.extract(status, body, "3").retry_after == "3"


def test_the_official_sdk_raises_errors() -> None:
    status, body = chat.write_error(WireError("context", "prompt is too long: 9 > 8", 400))
    with sdk(body, "application/json", status) as client, pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(**ASK)
    assert raised.value.code == "context_length_exceeded"
