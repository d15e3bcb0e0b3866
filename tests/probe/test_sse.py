"""Streams, whole and in pieces."""

from __future__ import annotations

import pytest

from ccsetup.probe import sse

STREAM = (
    'event: message_start\r\ndata: {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}\r\n\r\n'
    ': comment\n\ndata: {"type": "content_block_delta",\ndata: "text": "grün"}\n\n'
    'event: message_delta\rdata: {"type": "message_delta", "usage": {"output_tokens": 5}}\r\r'
    'event: message_stop\ndata: {"type": "message_stop"}\n\n'
).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, len(STREAM)])
def test_pieces_do_not_matter(size: int) -> None:
    """The same events come out wherever the bytes are cut, also inside a character or a line end."""
    reader = sse.Reader()
    found = [e for i in range(0, len(STREAM), size) for e in reader.feed(STREAM[i : i + size])]
    assert [e.type for e in found] == ["message_start", "content_block_delta", "message_delta", "message_stop"]
    assert found[1].data["text"] == "grün"
    assert sse.problem("anthropic", found) == ""
    assert sse.usage(found) == (3, 5)


@pytest.mark.parametrize(
    ("wire", "body", "words"),
    [
        ("anthropic", b"", "no event"),
        ("anthropic", b'data: {"type": "message_stop"}\n\n', "message_start"),
        ("anthropic", b'data: {"type": "message_start"}\n\n', "message_stop"),
        ("responses", b'data: {"type": "response.created"}\n\n', "response.completed"),
        ("responses", b'data: {"choices": []}\n\ndata: [DONE]\n\n', "Responses"),
        ("chat", b'data: {"choices": [{"finish_reason": null}]}\n\n', "finish_reason"),
    ],
)
def test_what_is_wrong_is_named(wire: str, body: bytes, words: str) -> None:
    """A stream without its beginning or its end is no answer."""
    assert words in sse.problem(wire, sse.events(body))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        b'data: {"choices": [{"delta": {}}]}\n\ndata: [DONE]\n\n',
        b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\ndata: {"choices": [], "usage": {}}\n\n',
    ],
)
def test_a_chat_stream_ends_in_two_ways(body: bytes) -> None:
    """Either end of a stream of Chat Completions is one."""
    assert sse.problem("chat", sse.events(body)) == ""


def test_error_inside_a_stream() -> None:
    """Both ways to say an error after the beginning are found."""
    assert sse.error_of(sse.events(b'event: error\ndata: {"type": "error", "error": {"message": "x"}}\n\n'))
    failed = sse.error_of(sse.events(b'data: {"type": "response.failed", "response": {"error": {"message": "y"}}}\n\n'))
    assert failed == {"error": {"message": "y"}}


def test_endless_line_is_let_go() -> None:
    """A line without an end does not fill the memory."""
    reader = sse.Reader()
    for _i in range(40):
        list(reader.feed(b"x" * 100_000))
    assert len(reader._line) <= sse.MAX_EVENT + 100_000
