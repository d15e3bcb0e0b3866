"""A conversation becomes a summary, with which the client goes on, whoever writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ccsetup.model import WireFormat
from ccsetup.relay.wire import adjust, compaction, reasoning
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import (
    Asked,
    BlockEnd,
    Compaction,
    Conversation,
    Delta,
    Dialect,
    Event,
    Failed,
    ReasoningStart,
    Started,
    Stop,
    TextStart,
    ToolStart,
    Usage,
)
from ccsetup.relay.wire.tools import ToolNames

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
ITEMS: list[dict[str, Any]] = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Do it."}]},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "done"},
]
SAID: list[Event] = [
    Started("r", "m"),
    ReasoningStart(0),
    Delta(0, "hm"),
    BlockEnd(0),
    TextStart(1),
    Delta(1, "All is "),
    Delta(1, "done."),
    BlockEnd(1),
    ToolStart(2, "c", "f"),
    Delta(2, "{}"),
    BlockEnd(2),
    Stop("tools", Usage(7, 3)),
]


def asked(compacts: Compaction) -> Asked:
    return Asked(Conversation("m", compacts=compacts, stream=True), ToolNames(()), "0" * 32, 5, "up")


def request(*items: Any, **more: Any) -> dict[str, Any]:
    return {"model": "m", "input": [*ITEMS, *items], "tools": [TOOL], **more}


@pytest.mark.parametrize("wire", ["anthropic", "chat", "responses"])
def test_the_question_stands_at_the_end_and_the_tools_stay(wire: WireFormat) -> None:
    """Providers refuse a history with calls whose tools are not offered; but none may be called."""
    given = FORMATS["responses"].read_request(request({"type": "compaction_trigger"}, tool_choice="auto"))
    body = json.loads(FORMATS[wire].write_request(given, Dialect(), ToolNames.of(given))[0])
    assert "Summarise this conversation" in json.dumps(body["input" if wire == "responses" else "messages"][-1])
    assert len(body["tools"]) == 1
    assert body["tool_choice"] in ("none", {"type": "none"})


def test_a_stream_is_one_item() -> None:
    """Codex wants exactly one, and the summary comes back in it, whatever thought or call was around."""
    writer = FORMATS["responses"].writer(asked(Compaction()))
    lines = b"".join([writer.write(event) for event in SAID]).decode().splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    kinds = [event["type"].removeprefix("response.") for event in events]
    assert kinds == ["created", "in_progress", "output_item.added", "output_item.done", "completed"]
    assert [event["sequence_number"] for event in events] == list(range(5))
    [item] = events[-1]["response"]["output"]
    assert (item["type"], events[-2]["item"]) == ("compaction", item)
    assert events[-1]["response"]["usage"]["total_tokens"] == 10
    assert json.loads(FORMATS["responses"].write_answer(SAID, asked(Compaction())))["output"] == [item]
    back = FORMATS["responses"].read_request({"model": "m", "input": [item, *ITEMS]})
    assert "All is done." in back.messages[0].parts[0].text  # type: ignore[union-attr]
    body = {"model": "m", "input": [item, *ITEMS]}
    [first, *rest] = adjust.without_reasoning("responses", body, ours_only=True)["input"]
    assert (first["role"], "All is done." in first["content"][0]["text"], rest) == ("user", True, ITEMS)


def test_no_summary_is_an_error() -> None:
    writer = FORMATS["responses"].writer(asked(Compaction()))
    out = b"".join([writer.write(event) for event in (Started("r", "m"), Stop("end"))])
    assert b"response.failed" in out
    assert b"response.completed" not in out


def test_a_cut_is_an_error() -> None:
    writer = FORMATS["responses"].writer(asked(Compaction()))
    out = b"".join([writer.write(event) for event in (*SAID[:7], Failed(compaction.NOTHING))])
    assert b"response.failed" in out


def test_a_client_of_the_endpoint_gets_messages() -> None:
    """The user's last words stay as they are, as many as fit; then the summary."""
    long = {"role": "user", "content": "x" * 90_000}
    for items, kept in (
        (ITEMS, ["Do it."]),
        ([long, *ITEMS], ["Do it."]),
        ([*ITEMS, long], []),
        ("Do it.", ["Do it."]),
    ):
        given = {"model": "m", "input": compaction.with_trigger(items)}
        conversation = compaction.whole(FORMATS["responses"].read_request(given))
        assert conversation.compacts is not None
        answer = json.loads(FORMATS["responses"].write_answer(SAID, asked(conversation.compacts)))
        assert (answer["object"], answer["usage"]["total_tokens"]) == ("response.compaction", 10)
        texts = [item["content"][0]["text"] for item in answer["output"]]
        assert (texts[:-1], texts[-1].endswith("All is done.")) == (kept, True)
        FORMATS["responses"].read_request({"model": "m", "input": answer["output"]})


def test_what_others_made_of_a_conversation_stays_theirs() -> None:
    theirs = {"type": "compaction", "encrypted_content": "gAAAA"}
    thought = {"type": "reasoning", "encrypted_content": reasoning.pack("x", "up")}
    body = {"input": [theirs, *ITEMS]}
    assert adjust.without_reasoning("responses", body, ours_only=True) is body
    assert adjust.without_reasoning("responses", {"input": [theirs, thought]}, ours_only=True) == {"input": [theirs]}
