"""Streams whose events differ in one text alone are read as if each event had been parsed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import anthropic, chat
from ccsetup.relay.wire.alike import Alike
from ccsetup.relay.wire.messages import Delta, Event

CONTENT = b'"content":'
TRAPS = ['"', "\\", 'a","content":"b', '"}', "\n", "é", "\U0001f600", "", " "]
texts = st.lists(st.text(max_size=5) | st.sampled_from(TRAPS), max_size=12)


def chunk(text: Any, **more: Any) -> bytes:
    value = {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more}
    return json.dumps(value).encode()


def block(text: Any, index: int = 0, kind: str = "text") -> bytes:
    delta = {"type": f"{kind}_delta", kind: text}
    return json.dumps({"type": "content_block_delta", "index": index, "delta": delta}, separators=(",", ":")).encode()


def said(events: Sequence[Event], block: int = 0) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta) and event.block == block)


@given(texts)
@settings(max_examples=60)
def test_every_text_of_a_chat_stream_is_told(pieces: list[str]) -> None:
    """Whatever stands in the texts, with escapes or without, and whatever the first one was."""
    reader = chat.reader()
    events = [event for piece in ["begin", *pieces] for event in reader.feed("", chunk(piece))]
    assert said(events) == "begin" + "".join(pieces)


@given(texts)
@settings(max_examples=60)
def test_every_text_of_a_message_is_told(pieces: list[str]) -> None:
    reader = anthropic.reader()
    events = [event for piece in ["begin", *pieces] for event in reader.feed("", block(piece))]
    assert said(events) == "begin" + "".join(pieces)


def test_a_closed_block_gets_no_more() -> None:
    """The same bytes mean a new block after the end of the old one."""
    reader = anthropic.reader()
    for piece in ("a", "b", "c"):
        reader.feed("", block(piece))
    reader.feed("", b'{"type":"content_block_stop","index":0}')
    events = reader.feed("", block("d"))
    assert (said(events, 0), said(events, 1)) == ("", "d")


def test_blocks_that_take_turns_keep_their_texts() -> None:
    reader = anthropic.reader()
    events: list[Event] = []
    for turn in range(30):
        events += reader.feed("", block(f"a{turn},", 0)) + reader.feed("", block(f"b{turn},", 1, "thinking"))
    assert said(events, 0) == "".join(f"a{turn}," for turn in range(30))
    assert said(events, 1) == "".join(f"b{turn}," for turn in range(30))


def test_what_a_chunk_has_besides_is_seen() -> None:
    """A usage, a finish_reason or an error inside a chunk that begins and ends as the others do is not missed."""
    reader = chat.reader()
    for piece in ("a", "b", "c"):
        reader.feed("", chunk(piece))
    head, _, tail = chunk("@").partition(b'"@"')
    events = reader.feed("", head + b'"d", "refusal": "no"' + tail)
    assert said(events) == "d"
    assert said(events, 1) == "no"


@pytest.mark.parametrize(
    "data",
    [
        b'{"content":null}',
        b'{"content":5}',
        b'{"content":"a","content":"b"}',
        b'{"content":"a"',
        b'"content":"a"}',
        b"{}",
        b"",
        b'{"content":""}',
        b'{"content":"\xff"}',
    ],
)
def test_what_is_not_alike_is_left_to_be_parsed(data: bytes) -> None:
    alike = Alike()
    assert alike.text(data) == ""
    alike.show(b'{"content":"x"}', CONTENT, "x")
    assert alike.text(data) == ""
    assert alike.text(b'{"content":"y"}') == "y"


@pytest.mark.parametrize("example", [b'{"content":"x","b":{"content":"x"}}', b'{"c":"x"}', b'{"content": 5}', b""])
def test_an_example_has_to_be_plain(example: bytes) -> None:
    """Where it is not clear which text is meant, nothing is alike."""
    alike = Alike()
    alike.show(example, CONTENT, "x")
    assert alike.text(example) == ""
