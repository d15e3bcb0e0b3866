"""What the relay reads on the side of a stream that it passes through."""

from __future__ import annotations

import itertools
import json
from typing import Any, NamedTuple, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.model import WireFormat
from ccsetup.relay.wire import sse
from ccsetup.relay.wire.messages import Usage
from ccsetup.relay.wire.tap import Tap, usage_of


def named(*values: dict[str, Any]) -> bytes:
    return b"".join(sse.encode(v["type"], json.dumps(v).encode()) for v in values)


def plain(*values: dict[str, Any]) -> bytes:
    return b"".join(sse.encode("", json.dumps(v, separators=(",", ":")).encode()) for v in values)


START = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 'an "error" of "usage"'}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}
STOP = {"type": "message_stop"}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

CREATED = {"type": "response.created", "response": {"id": "r", "usage": None, "error": None}}
PIECE = {"type": "response.output_text.delta", "delta": '"error" "response"'}
COUNTED = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3}
COMPLETED = {"type": "response.completed", "response": {"id": "r", "usage": COUNTED}}
FAILED = {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}}

CHUNK = {"choices": [{"delta": {"content": '"usage":{ [DONE]'}, "finish_reason": None}], "usage": None}
FINISH = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": None}
USAGE = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}


class Case(NamedTuple):
    name: str
    wire: WireFormat
    stream: bytes
    begun: bool = True
    finished: bool = True
    failed: str = ""
    usage: Optional[Usage] = None


CASES = [
    Case("messages", "anthropic", named(START, {"type": "ping"}, TEXT, END, STOP), usage=Usage(9, 7)),
    Case("without message_stop", "anthropic", named(START, TEXT, END), usage=Usage(9, 7)),
    Case("only message_stop", "anthropic", named(START, TEXT, STOP), usage=Usage(9, 1)),
    Case("messages cut", "anthropic", named(START, TEXT, TEXT), finished=False, usage=Usage(9, 1)),
    Case("messages error", "anthropic", named(START, TEXT, OVERLOADED), True, False, "overloaded", Usage(9, 1)),
    Case("error at once", "anthropic", named({"type": "ping"}, OVERLOADED), False, False, "overloaded"),
    Case("only pings", "anthropic", b": hi\n\n" + named({"type": "ping"}), False, False),
    Case(
        "clone error",
        "anthropic",
        plain({"code": 500, "msg": "404 NOT_FOUND", "success": False}),
        False,
        False,
        "server",
    ),
    Case(
        "usage in full",
        "anthropic",
        named(START, {**END, "usage": {"input_tokens": 3, "cache_read_input_tokens": 6, "output_tokens": 8}}, STOP),
        usage=Usage(3, 8, 6),
    ),
    Case("responses", "responses", named(CREATED, PIECE, COMPLETED), usage=Usage(6, 3, 4)),
    Case(
        "responses incomplete",
        "responses",
        named(CREATED, {**COMPLETED, "type": "response.incomplete"}),
        usage=Usage(6, 3, 4),
    ),
    Case("responses failed", "responses", named(CREATED, PIECE, FAILED), failed="rate_limit"),
    Case("responses failed at once", "responses", named(FAILED), begun=False, failed="rate_limit"),
    Case(
        "responses error",
        "responses",
        named(CREATED, {"type": "error", "code": "server_error", "message": "x"}),
        begun=False,
        finished=False,
        failed="server",
    ),
    Case(
        "messages failed after its head", "anthropic", named(START, OVERLOADED), False, False, "overloaded", Usage(9, 1)
    ),
    Case(
        "chat failed after its head",
        "chat",
        plain({"choices": [{"delta": {"role": "assistant", "content": ""}}]}, {"error": {"message": "Overloaded"}}),
        False,
        False,
        "overloaded",
    ),
    Case("responses cut", "responses", named(CREATED, PIECE), finished=False),
    Case("chat", "chat", plain(CHUNK, CHUNK, FINISH, USAGE) + b"data: [DONE]\n\n", usage=Usage(5, 2)),
    Case(
        "chat with spaces",
        "chat",
        b"".join(sse.encode("", json.dumps(v).encode()) for v in (CHUNK, FINISH, USAGE)),
        usage=Usage(5, 2),
    ),
    Case(
        "chat of Kimi",
        "chat",
        plain(
            CHUNK,
            {
                "choices": [
                    {
                        "delta": {},
                        "finish_reason": "stop",
                        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 3},
                    }
                ]
            },
        ),
        usage=Usage(2, 2, 3),
    ),
    Case("chat without usage", "chat", plain(CHUNK) + b"data:[DONE]\n\n"),
    Case(
        "chat error", "chat", plain(CHUNK, {"error": {"message": "Overloaded", "code": 503}}), True, False, "overloaded"
    ),
    Case("chat cut", "chat", plain(CHUNK, CHUNK), finished=False),
    Case(
        "crlf", "chat", (plain(CHUNK, FINISH, USAGE) + b"data: [DONE]\n\n").replace(b"\n", b"\r\n"), usage=Usage(5, 2)
    ),
    Case("no last line end", "chat", plain(CHUNK, CHUNK) + b"data: [DONE]"),
    Case("nonsense", "chat", b"<html>\n\n" * 3, False, False),
]


def fed(case: Case, chunks: list[bytes]) -> Tap:
    tap = Tap(case.wire)
    for chunk in chunks:
        tap.feed(chunk)
    tap.end()
    return tap


def told(tap: Tap) -> tuple[bool, bool, str, Optional[Usage]]:
    return tap.begun, tap.finished, tap.failed.kind if tap.failed else "", tap.usage


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_whole_event_by_event_byte_by_byte(case: Case) -> None:
    expected = (case.begun, case.finished, case.failed, case.usage)
    assert told(fed(case, [case.stream])) == expected
    assert told(fed(case, [e + b"\n\n" for e in case.stream.split(b"\n\n")])) == expected
    assert told(fed(case, [case.stream[i : i + 1] for i in range(len(case.stream))])) == expected


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(CASES), st.integers(1, 4), st.lists(st.integers(0, 3000), max_size=10))
def test_any_chunking_gives_the_same(case: Case, times: int, cuts: list[int]) -> None:
    text = case.stream * times
    places = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    chunks = [text[a:b] for a, b in itertools.pairwise(places)]
    assert told(fed(case, chunks)) == told(fed(case, [text]))


def test_boundaries() -> None:
    tap = Tap("anthropic")
    text = named(START, TEXT, TEXT, END, STOP)
    ends = {i + 2 for i in range(len(text)) if text[i : i + 2] == b"\n\n"}
    assert tap.at_boundary
    for i in range(len(text)):
        tap.feed(text[i : i + 1])
        assert tap.at_boundary is (i + 1 in ends)


def test_a_boundary_after_chunks_that_tell_nothing() -> None:
    tap = Tap("anthropic")
    tap.feed(named(START))
    for chunk, at_boundary in [
        (named(TEXT), True),
        (named(TEXT)[:-1], False),
        (b"\n" + named(TEXT, TEXT) + b"event: x", False),
        (b"\ndata: {}\n\n" + named(TEXT, TEXT), True),
    ]:
        tap.feed(chunk)
        assert tap.at_boundary is at_boundary


def test_an_event_that_is_too_large_ends_the_reading_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    tap = Tap("chat")
    tap.feed(plain({"choices": [{}]}))
    tap.feed(b"data: " + b"x" * 200)
    tap.feed(b"\n\ndata: [DONE]\n\n")
    tap.end()
    assert (tap.begun, tap.finished, tap.at_boundary) == (True, False, False)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["anthropic", "responses", "chat"]), st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_are_taken(wire: WireFormat, chunks: list[bytes]) -> None:
    tap = Tap(wire)
    for chunk in chunks:
        tap.feed(chunk)
        tap.feed(b'data: {"usage":' + chunk + b"}\n\n")
    tap.end()


@pytest.mark.parametrize(
    ("wire", "body", "usage"),
    [
        (
            "anthropic",
            {"usage": {"input_tokens": 3, "output_tokens": 2, "cache_creation_input_tokens": 5}},
            Usage(3, 2, 0, 5),
        ),
        (
            "anthropic",
            {
                "usage": {
                    "input_tokens": 3,
                    "output_tokens": 2,
                    "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 4},
                    "cache_read_input_tokens": 0,
                }
            },
            Usage(3, 2, 0, 5),
        ),
        ("responses", {"usage": {**COUNTED, "output_tokens_details": {"reasoning_tokens": 2}}}, Usage(6, 3, 4, 0, 2)),
        (
            "chat",
            {
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 4,
                    "prompt_tokens_details": {"cached_tokens": 5},
                    "completion_tokens_details": {"reasoning_tokens": 3},
                }
            },
            Usage(4, 4, 5, 0, 3),
        ),
        ("chat", {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_cache_hit_tokens": 8}}, Usage(1, 4, 8)),
        ("chat", {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 20}}, Usage(9, 11, 0, 0, 7)),
        ("chat", {"choices": [{"usage": {"prompt_tokens": 1, "completion_tokens": 1}}]}, Usage(1, 1)),
        ("chat", {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, None),
        ("chat", {"usage": {"prompt_tokens": "9", "completion_tokens": True}}, None),
        ("chat", {"usage": {"prompt_tokens": 1e300, "completion_tokens": -4}}, None),
        ("chat", {"usage": []}, None),
        ("chat", [], None),
    ],
)
def test_usage_of_an_answer_that_is_no_stream(wire: WireFormat, body: Any, usage: Optional[Usage]) -> None:
    assert usage_of(wire, json.dumps(body).encode()) == usage


def test_no_usage_in_what_is_no_json() -> None:
    assert usage_of("chat", b"{") is None
