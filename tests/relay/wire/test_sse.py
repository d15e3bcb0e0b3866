"""Server-sent events: every tolerated shape, and any chunking."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import sse


def decode(*chunks: bytes) -> list[sse.SseEvent]:
    decoder = sse.Decoder()
    found: list[sse.SseEvent] = []
    for chunk in chunks:
        found += decoder.feed(chunk)
    return found + decoder.end()


CASES: list[tuple[str, bytes, list[sse.SseEvent]]] = [
    ("usual", b"event: a\ndata: {}\n\nevent: b\ndata: 1\n\n", [("a", b"{}"), ("b", b"1")]),
    ("no name", b"data: 1\n\ndata: 2\n\n", [("", b"1"), ("", b"2")]),
    ("crlf", b"event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n", [("a", b"1"), ("", b"2")]),
    ("cr", b"event: a\rdata: 1\r\rdata: 2\r\r", [("a", b"1"), ("", b"2")]),
    ("mixed ends", b"event: a\r\ndata: 1\n\r\ndata: 2\r\n\n", [("a", b"1"), ("", b"2")]),
    ("no space", b"event:a\ndata:1\n\ndata:  2\n\n", [("a", b"1"), ("", b" 2")]),
    ("comments", b": hi\n\n:\ndata: 1\n: x\n\n", [("", b"1")]),
    ("a comment between", b"event: a\ndata: 1\n\n: c\n\nevent: a\ndata: 2\n\n", [("a", b"1"), ("a", b"2")]),
    (
        "one without a name",
        b"event: a\ndata: 1\n\ndata: 2\n\nevent: a\ndata: 3\n\n",
        [("a", b"1"), ("", b"2"), ("a", b"3")],
    ),
    ("several data lines", b"data: 1\ndata:2\ndata\n\n", [("", b"1\n2\n")]),
    ("other fields", b"id: 7\nretry: 10\ndata: 1\nother\n\n", [("", b"1")]),
    ("data before event", b"data: 1\nevent: a\n\ndata: 2\n\n", [("a", b"1"), ("", b"2")]),
    ("no data", b"event: a\n\ndata: 2\n\n", [("", b"2")]),
    ("empty data", b"event: a\ndata: \n\ndata:\n\ndata: 2\n\n", [("", b"2")]),
    ("many blank lines", b"\n\n\ndata: 1\n\n\n\n\ndata: 2\n\n\n", [("", b"1"), ("", b"2")]),
    ("mark", b"\xef\xbb\xbfdata: 1\n\n", [("", b"1")]),
    ("mark and crlf", b"\xef\xbb\xbf\r\ndata: 1\r\n\r\n", [("", b"1")]),
    ("end without blank line", b"event: a\ndata: 1\n", [("a", b"1")]),
    ("end inside a line", b"data: 0\n\nevent: a\ndata: 1", [("", b"0"), ("a", b"1")]),
    ("end with cr", b"data: 1\r", [("", b"1")]),
    ("characters", 'event: ä\ndata: "你好"\n\n'.encode(), [("ä", '"你好"'.encode())]),
    ("not utf-8", b"event: \xff\ndata: \xff\n\n", [("\ufffd", b"\xff")]),
    ("nothing", b"", []),
    ("half a mark", b"\xef\xbb", []),
]


@pytest.mark.parametrize(("text", "events"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_whole_byte_by_byte_and_in_two(text: bytes, events: list[sse.SseEvent]) -> None:
    assert decode(text) == events
    assert decode(*(text[i : i + 1] for i in range(len(text)))) == events
    for cut in range(len(text) + 1):
        assert decode(text[:cut], text[cut:]) == events


LINES = st.sampled_from(
    [b"data: {}", b"data:x", b"data", b"data: ", b"event: a", b"event:b", b":", b": c", b"id: 1", b"", b"", b"\xe4\xbd"]
)
ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(LINES, ENDS), max_size=25), st.lists(st.integers(0, 200), max_size=8), st.booleans())
def test_any_chunking_gives_the_same(lines: list[tuple[bytes, bytes]], cuts: list[int], mark: bool) -> None:
    text = (b"\xef\xbb\xbf" if mark else b"") + b"".join(line + end for line, end in lines)
    places = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    chunks = [text[a:b] for a, b in itertools.pairwise(places)]
    assert decode(*chunks) == decode(text) == decode(*(text[i : i + 1] for i in range(len(text))))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["", "a", "message_stop"]), st.binary(min_size=1, max_size=30)), max_size=5))
def test_what_is_encoded_is_decoded(events: list[tuple[str, bytes]]) -> None:
    text = b"".join(sse.encode(name, data) for name, data in events)
    plain = [(n, d.replace(b"\r\n", b"\n").replace(b"\r", b"\n")) for n, d in events]
    assert decode(text) == plain


def test_boundaries() -> None:
    decoder = sse.Decoder()
    assert decoder.at_boundary
    for chunk, at_boundary in [
        (b"event: a\n", False),
        (b"data: 1\n", False),
        (b"\n", True),
        (b"data: 2\n\n", True),
        (b"d", False),
        (b"ata: 3\r\n\r\n", True),
        (b": comment\n\n", True),
        (b"data: 4\n\ndata: 5", False),
    ]:
        decoder.feed(chunk)
        assert decoder.at_boundary is at_boundary, chunk
    assert decoder.comments == 1


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    "text",
    [
        b"event: a\ndata: " + b"x" * 200 + b"\n\n",
        b"data: " + b"x" * 200,
        b"data: xxxxxxxxx\n" * 20 + b"\n",
        b": " + b"x" * 200 + b"\n\n",
    ],
)
def test_an_event_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch, text: bytes, size: int) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 100)
    decoder = sse.Decoder()
    decoder.feed(b"event: a\ndata: 1\n\n")

    def feed() -> None:
        for i in range(0, len(text), size):
            decoder.feed(text[i : i + size])

    with pytest.raises(ValueError, match="stream is too l"):
        feed()
