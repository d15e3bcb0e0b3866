"""Answers of OpenAI Responses: streams and bodies, read and written."""

from __future__ import annotations

import itertools
import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import reasoning, responses
from ccsetup.relay.wire.messages import (
    Asked,
    BlockEnd,
    Conversation,
    Delta,
    ErrorKind,
    Event,
    Failed,
    Message,
    Ping,
    ReasoningStart,
    RefusalStart,
    Started,
    Stop,
    StopReason,
    TextStart,
    Tool,
    ToolCall,
    ToolStart,
    Usage,
    WireError,
)
from ccsetup.relay.wire.sse import Decoder
from ccsetup.relay.wire.tools import ToolNames

Json = dict[str, Any]
ID = "0123456789abcdef0123456789abcdef"
TOOLS = (
    Tool("run"),
    Tool("hello", namespace="mcp__srv"),
    Tool("apply_patch", kind="custom"),
    Tool("patch", kind="custom", namespace="mcp__srv"),
)


def asked(*messages: Message, summary: str = "auto", estimate: int = 0, **echo: Any) -> Asked:
    conversation = Conversation("gpt-x", messages=messages, tools=TOOLS, stream=True, summary=summary, echo=echo)
    return Asked(conversation, ToolNames.of(conversation), ID, 1_700_000_000, "deepseek", lambda: estimate)


def stream(events: list[Event], to: Asked | None = None) -> bytes:
    writer = responses.writer(to or asked())
    return b"".join(writer.write(event) for event in events)


def parsed(text: bytes) -> list[Json]:
    decoder = Decoder()
    found = decoder.feed(text) + decoder.end()
    values = [json.loads(data) for _name, data in found]
    assert [name for name, _data in found] == [value["type"] for value in values]
    return values


def sent(events: list[Event], to: Asked | None = None) -> list[Json]:
    return parsed(stream(events, to))


def last(events: list[Event], to: Asked | None = None) -> Json:
    value: Json = sent(events, to)[-1]["response"]
    return value


def feed(*values: Json) -> list[Event]:
    reader = responses.reader()
    events = [event for value in values for event in reader.feed(value.get("type", ""), json.dumps(value).encode())]
    return events + reader.end()


def whole(*between: Event, reason: StopReason = "end", usage: Usage | None = None) -> list[Event]:
    return [Started("up", "up-model"), *between, Stop(reason, usage)]


def text(block: int, *pieces: str) -> list[Event]:
    return [TextStart(block), *(Delta(block, piece) for piece in pieces), BlockEnd(block)]


def call(block: int, id: str, name: str, *pieces: str) -> list[Event]:
    return [ToolStart(block, id, name), *(Delta(block, piece) for piece in pieces), BlockEnd(block)]


THOUGHT: list[Event] = [ReasoningStart(0), Delta(0, "hm"), Delta(0, "m"), BlockEnd(0)]


# Writing


def test_every_event_in_openais_order() -> None:
    """The events that Codex and the SDKs read come in OpenAI's order, and are counted from 0."""
    found = sent(whole(*THOUGHT, *text(1, "a", "b"), *call(2, "c1", "run", '{"x":', "1}"), reason="tools"))
    assert [value["type"].removeprefix("response.") for value in found] == [
        "created",
        "in_progress",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    assert [value["sequence_number"] for value in found] == list(range(len(found)))
    assert [i["type"] for i in found[-1]["response"]["output"]] == ["reasoning", "message", "function_call"]
    assert [i["id"] for i in found[-1]["response"]["output"]] == [f"rs_{ID}_0", f"msg_{ID}_1", f"fc_{ID}_2"]
    assert {v["item"]["id"] for v in found if "item" in v} == {i["id"] for i in found[-1]["response"]["output"]}


def test_what_an_answer_repeats_of_its_request() -> None:
    """The model is the one that was asked for, members of the request come back, nothing is stored."""
    response = last(whole(*text(0, "x")), asked(metadata={"k": "v"}, store=True, temperature=0.5))
    assert (response["id"], response["object"], response["status"]) == (f"resp_{ID}", "response", "completed")
    assert (response["model"], response["created_at"]) == ("gpt-x", 1_700_000_000)
    assert (response["metadata"], response["temperature"], response["store"]) == ({"k": "v"}, 0.5, False)


def test_calls_open_at_once() -> None:
    """Deltas of several calls may interleave: each keeps its own place and arguments."""
    found = sent(
        whole(
            ToolStart(0, "a", "run"),
            ToolStart(1, "b", "mcp__srv__hello"),
            Delta(1, '{"n"'),
            Delta(0, '{"m"'),
            Delta(1, ":2}"),
            Delta(0, ":1}"),
            BlockEnd(1),
            BlockEnd(0),
            reason="tools",
        )
    )
    output = found[-1]["response"]["output"]
    assert [(i["name"], i.get("namespace"), i["arguments"]) for i in output] == [
        ("run", None, '{"m":1}'),
        ("hello", "mcp__srv", '{"n":2}'),
    ]
    assert [v["output_index"] for v in found if v["type"].endswith("arguments.delta")] == [1, 0, 1, 0]


def test_call_ids_are_fit_and_their_own() -> None:
    """Repeated, empty and ill-formed ids become good ones, and none of an earlier turn comes again."""
    history = Message("assistant", (ToolCall("old", "run", "{}"),))
    blocks = [e for n, id in enumerate(["old", "x", "x", "", "functions.run:0"]) for e in call(n, id, "run", "{}")]
    ids = [i["call_id"] for i in last(whole(*blocks, reason="tools"), asked(history))["output"]]
    assert len(set(ids)) == 5
    assert "old" not in ids
    assert ids[1] == "x"
    assert all(i.replace("_", "").isalnum() for i in ids)


def test_a_call_without_arguments_is_an_empty_object() -> None:
    """Codex would fail to parse an empty text."""
    found = sent(whole(*call(0, "a", "run"), reason="tools"))
    assert [v["delta"] for v in found if v["type"].endswith(".delta")] == ["{}"]
    assert found[-1]["response"]["output"][0]["arguments"] == "{}"


PATCH = '*** Begin Patch\n+say "hi" \\ \u4f60\n*** End Patch'


@given(st.lists(st.integers(0, 200), max_size=8), st.booleans(), st.booleans())
@settings(max_examples=60)
def test_a_custom_tool_gets_its_raw_input(cuts: list[int], in_group: bool, ascii_only: bool) -> None:
    """However the JSON comes in pieces, Codex gets the text inside, as deltas and whole."""
    arguments = json.dumps({"input": PATCH}, ensure_ascii=ascii_only)
    at = [0, *sorted(c % (len(arguments) + 1) for c in cuts), len(arguments)]
    pieces = [arguments[a:b] for a, b in itertools.pairwise(at)]
    found = sent(whole(*call(0, "a", "mcp__srv__patch" if in_group else "apply_patch", *pieces), reason="tools"))
    item = found[-1]["response"]["output"][0]
    assert (item["type"], item["input"], item["id"]) == ("custom_tool_call", PATCH, f"ctc_{ID}_0")
    assert (item["name"], item.get("namespace")) == (("patch", "mcp__srv") if in_group else ("apply_patch", None))
    deltas = [v["delta"] for v in found if v["type"] == "response.custom_tool_call_input.delta"]
    assert "".join(deltas) == PATCH
    assert not [v for v in found if "function_call" in v["type"]]


def test_a_custom_call_of_the_upstream_itself() -> None:
    """Raw input stays as it is, even if it looks like JSON."""
    raw = '{"input": "x"}'
    item = last(whole(ToolStart(0, "a", "apply_patch", custom=True), Delta(0, raw), BlockEnd(0), reason="tools"))[
        "output"
    ][0]
    assert (item["type"], item["input"]) == ("custom_tool_call", raw)


@pytest.mark.parametrize(
    ("summary", "start", "members"),
    [
        ("auto", ReasoningStart(0), {"summary": [{"type": "summary_text", "text": "hmm"}]}),
        ("", ReasoningStart(0, summary=True), {"summary": [{"type": "summary_text", "text": "hmm"}]}),
        ("", ReasoningStart(0), {"summary": [], "content": [{"type": "reasoning_text", "text": "hmm"}]}),
    ],
)
def test_reasoning_comes_back_with_the_next_request(summary: str, start: ReasoningStart, members: Json) -> None:
    """It is shown as the client asked for, and travels whole in encrypted_content, with its signature."""
    events = whole(start, Delta(0, "hm"), Delta(0, "m"), BlockEnd(0, signature="Er1"), *text(1, "a"))
    output = last(events, asked(summary=summary))["output"]
    assert {k: output[0][k] for k in members} == members
    assert ("content" in output[0]) is ("content" in members)
    body = json.dumps({"model": "m", "input": [{**output[0], "content": None}, output[1]]}).encode()
    again = reasoning.for_upstream(responses.read_request(body), "deepseek")
    part = again.messages[0].parts[0]
    assert (part.text, part.signature, part.encrypted) == ("hmm", "Er1", "")  # type: ignore[union-attr]


def test_reasoning_without_a_text() -> None:
    """What its provider encrypted goes back to it; a thought that never came leaves nothing behind."""
    events = whole(ReasoningStart(0), BlockEnd(0, encrypted="EuY", redacted=True), ReasoningStart(1), BlockEnd(1))
    first, second = last(events)["output"]
    assert reasoning.unpack(first["encrypted_content"]) == ("", "deepseek", "", "EuY")
    assert first["summary"] == []
    assert "encrypted_content" not in second


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("end", "completed", None),
        ("tools", "completed", None),
        ("sequence", "completed", None),
        ("pause", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("refusal", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_why_it_ended(reason: StopReason, status: str, details: Json | None) -> None:
    """A limit or a filter makes the answer incomplete."""
    response = last(whole(*text(0, "x"), reason=reason))
    assert (response["status"], response["incomplete_details"]) == (status, details)


def test_a_refusal_in_words_is_a_complete_answer() -> None:
    """OpenAI's own refusals are content of a message."""
    response = last(whole(RefusalStart(0), Delta(0, "no"), BlockEnd(0), reason="refusal"))
    assert response["status"] == "completed"
    assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "no"}]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("context", "context_length_exceeded"),
        ("rate_limit", "rate_limit_exceeded"),
        ("quota", "insufficient_quota"),
        ("invalid_request", "invalid_prompt"),
        ("overloaded", "server_error"),
        ("cut", "server_error"),
    ],
)
def test_a_failure_is_told_in_the_stream(kind: ErrorKind, code: str) -> None:
    """Codex acts on the code; what came before is kept and nothing is called complete."""
    found = sent([Started("u", "m"), TextStart(0), Delta(0, "part"), Failed(WireError(kind, "why", 500))])
    assert found[-1]["type"] == "response.failed"
    assert found[-1]["response"]["error"] == {"code": code, "message": "why"}
    assert not [v for v in found if v["type"] in ("response.completed", "response.output_item.done")]


def test_a_full_window_makes_codex_compact() -> None:
    """A stop because of the context is a failure with the code that Codex compacts on."""
    assert last(whole(*text(0, "x"), reason="context"))["error"]["code"] == "context_length_exceeded"


def test_a_failure_can_come_first_and_ends_everything() -> None:
    """The SDKs want response.created before all else; after the end nothing is written."""
    writer = responses.writer(asked())
    found = parsed(writer.write(Failed(WireError("rate_limit", "Slow down.", 429, "7"))))
    assert [v["type"] for v in found] == ["response.created", "response.in_progress", "response.failed"]
    assert found[-1]["response"]["error"]["message"] == "Slow down. Please try again in 7s."
    assert writer.write(TextStart(0)) == writer.write(Stop("end")) == b""
    assert writer.write(Ping()) == responses.PING


@pytest.mark.parametrize(
    ("usage", "estimate", "expected"),
    [
        (Usage(10, 5, 3, 2, 4), 99, (15, 3, 5, 4, 20)),
        (None, 0, None),
        (None, 100, (100, 0, 2, 0, 102)),
    ],
)
def test_usage(usage: Usage | None, estimate: int, expected: tuple[int, ...] | None) -> None:
    """Cached tokens are part of the input; without figures estimates stand there, for Codex compacts by them."""
    given_usage = last(whole(*text(0, "seven c"), usage=usage), asked(estimate=estimate))["usage"]
    found = given_usage and (
        given_usage["input_tokens"],
        given_usage["input_tokens_details"]["cached_tokens"],
        given_usage["output_tokens"],
        given_usage["output_tokens_details"]["reasoning_tokens"],
        given_usage["total_tokens"],
    )
    assert found == expected


def test_a_body_is_what_the_stream_ends_with() -> None:
    """The same answer, streamed and not, is the same object."""
    events = whole(
        *THOUGHT, *text(1, "a"), *call(2, "", "mcp__srv__patch", '{"input":"p"}'), reason="tools", usage=Usage(1, 2)
    )
    assert json.loads(responses.write_answer(events, asked())) == last(events)
    with pytest.raises(ValueError, match="no end"):
        responses.write_answer(events[:-1], asked())


# Reading


CREATED: Json = {"type": "response.created", "response": {"id": "r", "model": "m"}}
DONE: Json = {
    "type": "response.completed",
    "response": {"status": "completed", "usage": {"input_tokens": 3, "output_tokens": 2}},
}
ENDED = Stop("end", Usage(3, 2))
CALLED = Stop("tools", Usage(3, 2))


def added(index: int, **item: Any) -> Json:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, **item: Any) -> Json:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(kind: str, index: int, id: str, text: str, **members: Any) -> Json:
    return {"type": f"response.{kind}.delta", "output_index": index, "item_id": id, "delta": text, **members}


MESSAGE = {"type": "message", "role": "assistant"}
ONE_CALL: list[Event] = [ToolStart(0, "c", "run"), Delta(0, '{"a":1}'), BlockEnd(0), CALLED]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(
            [
                added(0, id="i", **MESSAGE),
                delta("output_text", 0, "i", "a", content_index=0),
                delta("output_text", 0, "i", "b", content_index=0),
                delta("output_text", 0, "i", "c", content_index=1),
                {
                    "type": "response.output_text.done",
                    "output_index": 0,
                    "item_id": "i",
                    "content_index": 0,
                    "text": "ab!",
                },
                done(
                    0,
                    id="i",
                    content=[{"type": "output_text", "text": "ab!"}, {"type": "output_text", "text": "c"}],
                    **MESSAGE,
                ),
                DONE,
            ],
            [
                TextStart(0),
                Delta(0, "a"),
                Delta(0, "b"),
                TextStart(1),
                Delta(1, "c"),
                Delta(0, "!"),
                BlockEnd(0),
                BlockEnd(1),
                ENDED,
            ],
            id="texts-of-one-message",
        ),
        pytest.param(
            [done(0, id="i", content=[{"type": "output_text", "text": "all"}], **MESSAGE), DONE],
            [TextStart(0), Delta(0, "all"), BlockEnd(0), ENDED],
            id="only-done",
        ),
        pytest.param(
            [delta("output_text", 0, "i", "x"), DONE],
            [TextStart(0), Delta(0, "x"), BlockEnd(0), ENDED],
            id="without-added-or-done",
        ),
        pytest.param(
            [
                {"type": "response.output_text.delta", "delta": "x"},
                {"type": "response.output_text.delta", "delta": "y"},
                DONE,
            ],
            [TextStart(0), Delta(0, "x"), Delta(0, "y"), BlockEnd(0), ENDED],
            id="without-places",
        ),
        pytest.param(
            [
                added(0, id="r", type="reasoning", summary=[]),
                delta("reasoning_summary_text", 0, "r", "h", summary_index=0),
                done(0, id="r", type="reasoning", summary=[{"type": "summary_text", "text": "h"}]),
                added(0, id="i", **MESSAGE),
                delta("output_text", 0, "i", "x", content_index=0),
                done(0, id="i", content=[{"type": "output_text", "text": "x"}], **MESSAGE),
                added(0, id="j", **MESSAGE),
                delta("output_text", 0, "j", "y", content_index=0),
                DONE,
            ],
            [
                ReasoningStart(0, summary=True),
                Delta(0, "h"),
                BlockEnd(0),
                TextStart(1),
                Delta(1, "x"),
                BlockEnd(1),
                TextStart(2),
                Delta(2, "y"),
                BlockEnd(2),
                ENDED,
            ],
            id="every-index-0",
        ),
        pytest.param(
            [
                added(0, id="f", type="function_call", call_id="c", name="run", arguments=""),
                delta("function_call_arguments", 0, "f", '{"a"'),
                {
                    "type": "response.function_call_arguments.done",
                    "output_index": 0,
                    "item_id": "f",
                    "arguments": '{"a":1}',
                },
                done(0, id="f", type="function_call", call_id="c", name="run", arguments='{"a":1}'),
                DONE,
            ],
            [ToolStart(0, "c", "run"), Delta(0, '{"a"'), Delta(0, ":1}"), BlockEnd(0), CALLED],
            id="call",
        ),
        pytest.param(
            [
                added(0, id="f", type="function_call", call_id="c", name="run", arguments='{"a":1}'),
                done(0, id="f", type="function_call", call_id="c", name="run", arguments='{"a":1}'),
                DONE,
            ],
            ONE_CALL,
            id="arguments-only-in-done",
        ),
        pytest.param(
            [
                delta("function_call_arguments", 0, "f", '{"a":1}'),
                done(0, id="f", type="function_call", call_id="c", name="run", arguments='{"a":1}'),
                DONE,
            ],
            ONE_CALL,
            id="name-only-in-done",
        ),
        pytest.param(
            [
                {
                    **DONE,
                    "response": {
                        **DONE["response"],
                        "output": [{"type": "function_call", "call_id": "c", "name": "run", "arguments": {"a": 1}}],
                    },
                }
            ],
            ONE_CALL,
            id="everything-in-completed",
        ),
        pytest.param(
            [
                delta("output_text", 0, "i", "x"),
                {
                    **DONE,
                    "response": {
                        **DONE["response"],
                        "output": [
                            {"id": "i", "content": [{"type": "output_text", "text": "x"}], **MESSAGE},
                            {"type": "function_call", "call_id": "c", "name": "run", "arguments": "{}"},
                        ],
                    },
                },
            ],
            [TextStart(0), Delta(0, "x"), ToolStart(1, "c", "run"), Delta(1, "{}"), BlockEnd(1), BlockEnd(0), CALLED],
            id="a-call-forgotten",
        ),
        pytest.param(
            [
                added(0, id="f", type="function_call", call_id="a", name="x"),
                added(1, id="g", type="function_call", call_id="b", name="y", namespace="ns"),
                delta("function_call_arguments", 1, "g", "2"),
                delta("function_call_arguments", 0, "f", "1"),
                delta("function_call_arguments", 1, "g", "2"),
                done(1, id="g", type="function_call", call_id="b", name="y", arguments="22"),
                done(0, id="f", type="function_call", call_id="a", name="x", arguments="1"),
                DONE,
            ],
            [
                ToolStart(0, "a", "x"),
                ToolStart(1, "b", "y", namespace="ns"),
                Delta(1, "2"),
                Delta(0, "1"),
                Delta(1, "2"),
                BlockEnd(1),
                BlockEnd(0),
                CALLED,
            ],
            id="parallel-calls",
        ),
        pytest.param(
            [
                added(0, id="x", type="custom_tool_call", call_id="c", name="apply_patch", input=""),
                delta("custom_tool_call_input", 0, "x", "*** B"),
                {
                    "type": "response.custom_tool_call_input.done",
                    "output_index": 0,
                    "item_id": "x",
                    "input": "*** Begin",
                },
                DONE,
            ],
            [ToolStart(0, "c", "apply_patch", custom=True), Delta(0, "*** B"), Delta(0, "egin"), BlockEnd(0), CALLED],
            id="custom-tool",
        ),
        pytest.param(
            [
                added(0, id="r", type="reasoning", summary=[]),
                {
                    "type": "response.reasoning_summary_part.added",
                    "output_index": 0,
                    "item_id": "r",
                    "summary_index": 0,
                },
                delta("reasoning_summary_text", 0, "r", "one", summary_index=0),
                delta("reasoning_summary_text", 0, "r", "two", summary_index=1),
                done(0, id="r", type="reasoning", summary=[], encrypted_content="gAAAA"),
                DONE,
            ],
            [
                ReasoningStart(0, summary=True),
                Delta(0, "one"),
                Delta(0, "\n\ntwo"),
                BlockEnd(0, encrypted="gAAAA"),
                ENDED,
            ],
            id="summary-in-parts",
        ),
        pytest.param(
            [done(0, id="r", type="reasoning", summary=[], encrypted_content="gAAAA"), DONE],
            [ReasoningStart(0), BlockEnd(0, encrypted="gAAAA", redacted=True), ENDED],
            id="reasoning-only-encrypted",
        ),
        pytest.param(
            [added(0, id="r", type="reasoning"), delta("reasoning_text", 0, "r", "t", content_index=0), DONE],
            [ReasoningStart(0), Delta(0, "t"), BlockEnd(0), ENDED],
            id="reasoning-text",
        ),
        pytest.param(
            [delta("refusal", 0, "i", "no", content_index=0), DONE],
            [RefusalStart(0), Delta(0, "no"), BlockEnd(0), ENDED],
            id="refusal",
        ),
        pytest.param(
            [
                added(0, id="w", type="web_search_call", status="in_progress"),
                {"type": "response.web_search_call.searching", "output_index": 0, "item_id": "w"},
                done(0, id="w", type="web_search_call", status="completed"),
                {"type": "keepalive", "sequence_number": 4},
                {"type": "response.output_text.annotation.added", "annotation": {}},
                DONE,
            ],
            [Ping(), Ping(), ENDED],
            id="tools-that-the-provider-runs",
        ),
        pytest.param(
            [
                added(0, id="f", type="function_call", call_id="c", name="run"),
                delta("function_call_arguments", 0, "f", '{"a'),
                {"type": "response.incomplete", "response": {"incomplete_details": {"reason": "max_output_tokens"}}},
            ],
            [ToolStart(0, "c", "run"), Delta(0, '{"a'), BlockEnd(0), Stop("length")],
            id="cut-by-the-limit-inside-a-call",
        ),
        pytest.param(
            [{"type": "response.incomplete", "response": {"incomplete_details": {"reason": "content_filter"}}}],
            [Stop("refusal")],
            id="filtered",
        ),
    ],
)
def test_streams_as_servers_send_them(values: list[Json], expected: list[Event]) -> None:
    """Complete or sloppy, the same things mean the same; the answer is over after Stop."""
    assert feed(CREATED, *values, delta("output_text", 9, "late", "x")) == [Started("r", "m"), *expected]


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        ([CREATED], "cut", "response.completed"),
        ([CREATED, delta("output_text", 0, "i", "x"), {"type": "[DONE]"}], "cut", "response.completed"),
        (
            [
                {
                    "type": "response.failed",
                    "response": {"error": {"code": "context_length_exceeded", "message": "long"}},
                }
            ],
            "context",
            "long",
        ),
        (
            [{"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "slow"}}}],
            "rate_limit",
            "slow",
        ),
        ([{"type": "error", "code": "server_error", "message": "oops"}], "server", "oops"),
        ([{"type": "error", "error": {"type": "server_error", "message": "nested"}}], "server", "nested"),
        ([{"error": {"message": "Insufficient balance", "code": "1113"}}], "quota", "Insufficient balance"),
        (
            [{"type": "response.completed", "response": {"status": "failed", "error": {"message": "late"}}}],
            "server",
            "late",
        ),
        ([{"type": "response.cancelled", "response": {}}], "cut", "cancelled"),
    ],
)
def test_failures(values: list[Json], kind: str, message: str) -> None:
    """An error inside a stream, in whatever shape, and a stream without its end are failures."""
    end = feed(*values)[-1]
    assert isinstance(end, Failed)
    assert end.error.kind == kind
    assert message in end.error.message
    assert end.error.status >= 400


FULL = stream(
    whole(
        *THOUGHT,
        *text(1, "all ", "\u4f60\u597d", "."),
        *call(2, "c", "run", '{"x"', ":1}"),
        *call(3, "d", "apply_patch", '{"input":"y"}'),
        reason="tools",
        usage=Usage(5, 4, 1, 0, 2),
    )
)


def heard(pieces: list[bytes]) -> list[Event]:
    decoder, reader = Decoder(), responses.reader()
    out = [e for piece in pieces for name, data in decoder.feed(piece) for e in reader.feed(name, data)]
    out += [e for name, data in decoder.end() for e in reader.feed(name, data)]
    return out + reader.end()


@given(st.lists(st.integers(0, len(FULL)), max_size=30))
@settings(max_examples=60)
def test_any_chunking_gives_the_same_events(cuts: list[int]) -> None:
    """Bytes may be cut anywhere, inside a character too."""
    at = [0, *sorted(cuts), len(FULL)]
    assert heard([FULL[a:b] for a, b in itertools.pairwise(at)]) == heard([FULL])
    assert heard([FULL[n : n + 1] for n in range(len(FULL))]) == heard([FULL]) if not cuts else True


def test_a_cut_never_looks_finished() -> None:
    """Whatever part of a stream came, without its last event it is a failure."""
    events = FULL.split(b"\n\n")
    for count in range(len(events) - 1):
        got = heard([b"\n\n".join(events[:count]) + b"\n\n"])
        assert not [e for e in got if isinstance(e, Stop)]
        assert isinstance(got[-1], Failed)
        assert got[-1].error.kind == "cut"


PIECES = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9), min_size=1, max_size=4)


@st.composite
def answers(draw: st.DrawFn) -> list[Event]:
    """An answer whose tool blocks may be open at once."""
    out: list[Event] = [Started("up", "m")]
    waiting: list[tuple[int, list[str]]] = []
    called = False
    for block in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["text", "thought", "refusal", "call"]))
        pieces = draw(PIECES)
        if kind == "call":
            called = True
            out.append(ToolStart(block, f"call_{block}", draw(st.sampled_from(["run", "mcp__srv__hello"]))))
            waiting.append((block, pieces))
            continue
        start = {
            "text": TextStart(block),
            "thought": ReasoningStart(block, summary=True),
            "refusal": RefusalStart(block),
        }
        out += [start[kind], *(Delta(block, piece) for piece in pieces), BlockEnd(block)]
    while waiting:
        at = draw(st.integers(0, len(waiting) - 1))
        block, pieces = waiting[at]
        out.append(Delta(block, pieces.pop(0)))
        if not pieces:
            out.append(BlockEnd(block))
            waiting.pop(at)
    return [*out, Stop("tools" if called else "end", Usage(1, 2, 3, 0, 1))]


def meaning(events: list[Event]) -> list[Any]:
    """The blocks with their whole texts, and the end."""
    texts: dict[int, str] = {}
    starts: dict[int, Event] = {}
    for event in events:
        if isinstance(event, Delta):
            texts[event.block] = texts.get(event.block, "") + event.text
        elif isinstance(event, (TextStart, ReasoningStart, RefusalStart, ToolStart)):
            starts[event.block] = event
    return [*((starts[n], texts.get(n)) for n in sorted(starts)), events[-1]]


def flat(event: Event) -> Event:
    """A call as it comes back: with its own name and group."""
    if isinstance(event, ToolStart) and event.name == "mcp__srv__hello":
        return event._replace(name="hello", namespace="mcp__srv")
    return event


@given(answers())
@settings(max_examples=80)
def test_what_is_written_is_read_again(events: list[Event]) -> None:
    """An answer in this format means what it meant before, streamed and whole."""
    expected = meaning([flat(event) for event in events])
    assert meaning(heard([stream(events)])) == expected
    assert meaning(responses.read_answer(responses.write_answer(events, asked()))) == expected


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "item",
                    "item_id",
                    "output_index",
                    "content_index",
                    "summary_index",
                    "delta",
                    "text",
                    "response",
                    "error",
                    "arguments",
                    "input",
                ]
            ),
            st.one_of(
                st.sampled_from(
                    [
                        None,
                        0,
                        1,
                        True,
                        "i",
                        [],
                        {},
                        "response.output_text.delta",
                        "response.output_item.added",
                        "response.output_item.done",
                        "response.function_call_arguments.done",
                        "response.completed",
                        "response.incomplete",
                        "response.failed",
                        "error",
                        "response.reasoning_summary_text.delta",
                        {"type": "message", "content": [{"type": "output_text", "text": "x"}, 5]},
                        {"type": "function_call", "name": "n", "call_id": ["c"], "arguments": {"a": []}, "id": {}},
                        {"type": "reasoning", "summary": ["x", {"text": 5}], "encrypted_content": 7},
                        {
                            "output": [5, {"type": "message", "content": "x"}],
                            "usage": {"input_tokens": "x"},
                            "status": [],
                        },
                    ]
                )
            ),
            max_size=6,
        ),
        max_size=6,
    ),
    st.binary(max_size=30),
)
@settings(max_examples=200)
def test_nonsense_never_raises(values: list[Json], junk: bytes) -> None:
    """Whatever an upstream sends, blocks are numbered in order, and there is one end."""
    reader = responses.reader()
    events = reader.feed("", junk)
    for value in values:
        events += reader.feed("x", json.dumps(value).encode())
    events += reader.end()
    starts = [e.block for e in events if isinstance(e, (TextStart, ReasoningStart, RefusalStart, ToolStart))]
    ends = [e.block for e in events if isinstance(e, BlockEnd)]
    assert starts == list(range(len(starts)))
    assert len(ends) == len(set(ends))
    assert set(ends) <= set(starts)
    assert [isinstance(e, (Stop, Failed)) for e in events].count(True) == 1
    if isinstance(events[-1], Stop):
        assert len(ends) == len(starts)
        assert isinstance(events[0], (Started, Ping))


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "server"),
        (b"<html>", "server"),
        (b'{"choices":[]}', "server"),
        (b'{"status":"in_progress","output":[]}', "cut"),
        (b'{"status":"failed","error":{"code":"rate_limit_exceeded","message":"x"},"output":[]}', "rate_limit"),
        (b'{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}', "authentication"),
    ],
)
def test_a_body_that_is_no_answer(body: bytes, kind: str) -> None:
    """It is a failure of its kind."""
    (event,) = responses.read_answer(body)
    assert isinstance(event, Failed)
    assert event.error.kind == kind


# OpenAI's own SDK


def client(answer: bytes, kind: str) -> openai.OpenAI:
    def respond(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=answer)

    http = httpx2.Client(transport=httpx2.MockTransport(respond))
    return openai.OpenAI(api_key="k", base_url="http://relay/v1", http_client=http, max_retries=0)


RICH = whole(
    *THOUGHT,
    *text(1, "he", "llo"),
    ToolStart(2, "a", "run"),
    ToolStart(3, "b", "mcp__srv__hello"),
    Delta(3, '{"n":'),
    Delta(2, '{"m":1}'),
    Delta(3, "2}"),
    BlockEnd(2),
    BlockEnd(3),
    *call(4, "c", "apply_patch", '{"inp', 'ut":"*** x"}'),
    *[RefusalStart(5), Delta(5, "no"), BlockEnd(5)],
    reason="tools",
    usage=Usage(10, 5, 3, 0, 4),
)


def check(response: Any) -> None:
    assert response.output_text == "hello"
    assert [item.type for item in response.output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "custom_tool_call",
        "message",
    ]
    assert response.output[0].summary[0].text == "hmm"
    assert (response.output[3].name, response.output[3].namespace, response.output[3].arguments) == (
        "hello",
        "mcp__srv",
        '{"n":2}',
    )
    assert response.output[4].input == "*** x"
    assert response.output[5].content[0].refusal == "no"
    assert (response.usage.input_tokens, response.usage.input_tokens_details.cached_tokens) == (13, 3)
    assert (response.usage.output_tokens, response.usage.total_tokens) == (5, 18)


def test_the_sdk_takes_the_stream() -> None:
    """The accumulating helper checks indices and identities of every item, and ends with the whole answer."""
    with client(stream(RICH), "text/event-stream") as sdk, sdk.responses.stream(model="m", input="x") as got:
        kinds = [event.type for event in got]
        check(got.get_final_response())
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"


def test_the_sdk_takes_every_event() -> None:
    """Each event is one that the SDK has a type for, and holds every member that the type requires."""
    with client(stream(RICH), "text/event-stream") as sdk:
        events = list(sdk.responses.create(model="m", input="x", stream=True))
    for event in events:
        again = type(event).model_validate(event.to_dict())
        assert again.type == event.type
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_the_sdk_takes_the_body() -> None:
    """The same answer, not streamed."""
    with client(responses.write_answer(RICH, asked()), "application/json") as sdk:
        check(sdk.responses.create(model="m", input="x"))


def test_the_sdk_sees_a_failure() -> None:
    """A failed stream is not an answer."""
    failed = stream([*RICH[:8], Failed(WireError("server", "broken", 500))])
    with client(failed, "text/event-stream") as sdk, sdk.responses.stream(model="m", input="x") as got:
        kinds = [event.type for event in got]
        with pytest.raises(RuntimeError, match=r"response\.completed"):
            got.get_final_response()
    assert kinds[-1] == "response.failed"
