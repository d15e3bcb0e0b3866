"""The ways of an answer as dialogues: what the upstream says (``>>``), and what the client gets for it (``<<``).

No socket and no clock: until when another upstream can take over, and what a cut looks like, is decided by the ways.
"""

from __future__ import annotations

import itertools
import json
from typing import Any, Literal, get_args

import pytest
from support.scripted import Said, events, whole

from ccsetup.model import WireFormat
from ccsetup.relay.http.base import NetworkFailure, UpstreamError
from ccsetup.relay.serving import answer_ways, failures
from ccsetup.relay.serving.answer_ways import (
    PassedStream,
    PassedWhole,
    StreamOfWhole,
    TranslatedStream,
    TranslatedWhole,
    Way,
)
from ccsetup.relay.wire.messages import Asked, Conversation, WireError
from ccsetup.relay.wire.sse import Decoder
from ccsetup.relay.wire.tools import ToolNames

WIRES: tuple[WireFormat, ...] = ("anthropic", "responses", "chat")
EACH = pytest.mark.parametrize("wire", WIRES)
PAIRS = pytest.mark.parametrize(("upstream", "client"), list(itertools.permutations(WIRES, 2)))


def asked() -> Asked:
    return Asked(Conversation("m", stream=True), ToolNames(()), "0" * 32, 0)


def told(kind: NetworkFailure) -> WireError:
    return failures.told(kind, "up")


def passed(wire: WireFormat) -> PassedStream:
    return PassedStream(wire, asked, told)


def translated(upstream: WireFormat, client: WireFormat) -> TranslatedStream:
    return TranslatedStream(upstream, client, asked(), told)


def opening(wire: WireFormat) -> list[bytes]:
    """Return what a provider sends before it knows whether it can answer."""
    return {
        "anthropic": [event("message_start", {"type": "message_start", "message": {"id": "m", "usage": {}}})],
        "responses": [event("response.created", {"type": "response.created", "response": {"id": "r"}})],
        "chat": [event("", {"id": "c", "choices": [{"index": 0, "delta": {"role": "assistant"}}]})],
    }[wire] + [b": wait\n\n"]


def event(name: str, value: Any) -> bytes:
    return (f"event: {name}\n" if name else "").encode() + b"data: " + json.dumps(value).encode() + b"\n\n"


def error_of(wire: WireFormat) -> bytes:
    error = {"type": "overloaded_error", "message": "busy"}
    if wire == "responses":
        error = {"code": "server_is_overloaded", "message": "busy"}
        return event("response.failed", {"type": "response.failed", "response": {"status": "failed", "error": error}})
    return event("error" if wire == "anthropic" else "", {"type": "error", "error": error})


def names(text: bytes) -> list[str]:
    """Return what kinds of events *text* holds; it has to be whole ones."""
    decoder = Decoder()
    out = []
    for name, data in decoder.feed(text):
        value = {} if data == b"[DONE]" else json.loads(data)
        out.append("[DONE]" if data == b"[DONE]" else "error" if "error" in value else name or "chunk")
    assert decoder.at_boundary
    return out


def cut_after(wire: WireFormat, text: bytes) -> bool:
    """Return whether *text* ends with an error, and nothing in it looks like the end of an answer."""
    kinds = names(text)
    ends = {"message_stop", "response.completed", "[DONE]"}
    reasons = text.replace(b'"finish_reason":null', b"").replace(b'"finish_reason": null', b"")
    return kinds[-1] in ("error", "response.failed") and not ends & set(kinds) and b'"finish_reason"' not in reasons


# A stream in the client's own format.

WORDS = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi \\"usage\\":{ there"}}],"usage":null}\n\n'
END = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
ONLY = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
WITHIN = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":7}}\n\n'
FILTER = b'data: {"choices":[],"prompt_filter_results":[{"usage":{"a":1}}]}\n\n'
USAGES = [
    # what the upstream says, what a client gets that did not ask for the usage
    ([WORDS, END, ONLY, DONE], [WORDS, END, DONE]),
    ([WORDS, END, ONLY], [WORDS, END]),
    ([WORDS, WITHIN, DONE], [WORDS, WITHIN, DONE]),
    ([FILTER, WORDS, END, ONLY, DONE], [FILTER, WORDS, END, DONE]),
    ([WORDS, END, ONLY.replace(b'"choices":[],', b""), DONE], [WORDS, END, DONE]),
    ([WORDS, END, ONLY.replace(b":", b": "), DONE], [WORDS, END, DONE]),
    ([WORDS, b": wait\n\n", END, ONLY.replace(b"data: ", b"data:"), DONE], [WORDS, b": wait\n\n", END, DONE]),
    (
        [e.replace(b"\n", b"\r\n") for e in (WORDS, END, ONLY, DONE)],
        [e.replace(b"\n", b"\r\n") for e in (WORDS, END, DONE)],
    ),
    ([WORDS, ONLY, END, ONLY, DONE], [WORDS, END, DONE]),
    ([WORDS, END, ONLY[:-1]], [WORDS, END]),
]


@pytest.mark.parametrize(("said", "gets"), USAGES)
@pytest.mark.parametrize("size", [1, 7, 64, 10_000])
def test_the_usage_that_the_client_did_not_ask_for_is_taken_out(
    said: list[bytes], gets: list[bytes], size: int
) -> None:
    """However the stream is cut, all other bytes stay; the usage itself is known."""
    text = b"".join(said)
    way = PassedStream("chat", asked, told, usage=False)
    got = b"".join([way.feed(text[at : at + size]) for at in range(0, len(text), size)])
    assert got + way.end() == b"".join(gets)
    assert (way.finished, way.failed) == (True, None)
    assert way.usage is not None
    assert way.usage.prompt == 7


@EACH
def test_a_stream_passes_as_it_came(wire: WireFormat) -> None:
    way, said = passed(wire), events(wire, Said("XYZW"))
    got = b"".join([way.feed(piece) for piece in said])
    assert got + way.end() == b"".join(said)
    assert (way.begun, way.finished, way.failed) == (True, True, None)
    assert way.usage is not None


@EACH
def test_nothing_goes_out_before_the_first_words(wire: WireFormat) -> None:
    """Heads and comments wait, so that another upstream can still be asked; then all of it goes."""
    way = passed(wire)
    for piece in opening(wire):
        assert way.feed(piece) == b""
        assert not way.begun
    first = next(piece for piece in events(wire, Said("XYZW")) if b"XY" in piece)
    assert way.feed(first) == b"".join(opening(wire)) + first
    assert way.begun


@EACH
def test_an_error_before_the_first_words_is_for_the_next_upstream(wire: WireFormat) -> None:
    for way in (passed(wire), *(translated(wire, client) for client in WIRES if client != wire)):
        said = [*opening(wire), error_of(wire)]
        assert [way.feed(piece) for piece in said] == [b""] * len(said)
        assert not way.begun
        assert way.failed is not None
        assert way.failed.message == "busy"
        assert way.end("cut") == b""


@EACH
def test_an_end_before_the_first_words_is_for_the_next_upstream(wire: WireFormat) -> None:
    for way in (passed(wire), *(translated(wire, client) for client in WIRES if client != wire)):
        for piece in opening(wire):
            way.feed(piece)
        assert way.end() == b""
        assert not way.begun
        assert not way.finished


@EACH
@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_only_whole_events_go_out_however_they_are_cut(wire: WireFormat, size: int) -> None:
    text = b"".join(events(wire, Said("XY\nZW")))
    way = passed(wire)
    out = b""
    for at in range(0, len(text), size):
        piece = way.feed(text[at : at + size])
        assert way.boundary
        names(piece)
        out += piece
    assert out + way.end() == text
    assert way.finished


def test_an_event_that_is_too_large_to_wait_goes_out_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then no event of our own may follow, and a cut begins with an empty line."""
    monkeypatch.setattr(answer_ways, "MAX_HELD", 100)
    way = passed("anthropic")
    first = next(piece for piece in events("anthropic", Said("XYZW")) if b"XY" in piece)
    way.feed(first)
    assert way.feed(b"data: " + b"x" * 90) == b""
    assert way.boundary
    assert way.feed(b"y" * 20) == b"data: " + b"x" * 90 + b"y" * 20
    assert not way.boundary
    assert way.end("idle").startswith(b"\n\nevent: error\n")


@EACH
@pytest.mark.parametrize("why", [None, *get_args(NetworkFailure)])
@pytest.mark.parametrize("half", ["", "data: {"])
def test_a_cut_never_looks_finished(wire: WireFormat, why: NetworkFailure, half: str) -> None:
    """Wherever the upstream stops, the client gets whole events and then an error."""
    said = events(wire, Said("XYZW"))
    first = next(number for number, piece in enumerate(said) if b"XY" in piece)
    for client in WIRES:
        way: Way = passed(wire) if client == wire else translated(wire, client)
        out = b"".join([way.feed(piece) for piece in [*said[: first + 1], half.encode()]])
        assert way.begun
        out += way.end(why)
        assert cut_after(client, out), out
        assert not way.finished


def test_what_a_client_is_told_of_a_cut() -> None:
    way = passed("anthropic")
    for piece in events("anthropic", Said("XYZW"))[:4]:
        way.feed(piece)
    said = json.loads(way.end("idle").partition(b"data: ")[2])
    assert said["error"]["message"] == "The relay's upstream 'up' stopped answering."


@EACH
def test_a_cut_behind_the_end_does_not_matter(wire: WireFormat) -> None:
    way, said = passed(wire), events(wire, Said("XYZW"))
    out = b"".join([way.feed(piece) for piece in said])
    assert way.end("cut") == b""
    assert out == b"".join(said)
    assert way.finished


@EACH
def test_the_last_empty_line_may_be_missing(wire: WireFormat) -> None:
    text = b"".join(events(wire, Said("XYZW")))
    for client in WIRES:
        way: Way = passed(wire) if client == wire else translated(wire, client)
        out = way.feed(text.rstrip(b"\n") + b"\n") + (b"" if way.over else way.end())
        assert way.finished
        assert not cut_after(client, out)


def test_nothing_but_comments_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_ways, "MAX_BEFORE", 100)
    for way in (passed("chat"), translated("chat", "anthropic")):
        with pytest.raises(UpstreamError) as caught:
            way.feed(b": wait\n\n" * 50)
        assert caught.value.kind == "protocol"


# Translated.


@PAIRS
def test_a_translated_stream_is_over_with_its_last_event(upstream: WireFormat, client: WireFormat) -> None:
    """What the upstream sends behind it is read by nobody."""
    way = translated(upstream, client)
    out = b""
    for piece in events(upstream, Said("XYZW")):
        assert not way.over
        out += way.feed(piece)
        if way.over:
            break
    if not way.over:
        out += way.end()
    assert (way.begun, way.finished, way.failed) == (True, True, None)
    assert way.usage is not None
    assert b"ZW" in out
    assert not cut_after(client, out)


@PAIRS
def test_an_error_inside_a_translated_stream_is_told_and_ends_it(upstream: WireFormat, client: WireFormat) -> None:
    way, said = translated(upstream, client), events(upstream, Said("XYZW"))
    first = next(number for number, piece in enumerate(said) if b"XY" in piece)
    out = b"".join([way.feed(piece) for piece in [*said[: first + 1], error_of(upstream)]])
    assert way.over
    assert not way.finished
    assert way.failed is not None
    assert way.failed.kind == "overloaded"
    assert cut_after(client, out)


# One document.


def body(wire: WireFormat) -> bytes:
    return json.dumps(whole(wire, Said("XYZW"))).encode()


@EACH
def test_a_whole_answer_passes_as_it_came(wire: WireFormat) -> None:
    way, text = PassedWhole(wire, asked), body(wire)
    assert way.feed(text[:9]) + way.feed(text[9:]) == b""
    assert not way.begun
    assert way.end() == text
    assert (way.begun, way.finished, way.failed) == (True, True, None)
    assert way.usage is not None


@pytest.mark.parametrize("kind", ["passed", "translated", "stream"])
@pytest.mark.parametrize("raw", [b'{"error": {"message": "busy", "type": "overloaded_error"}}', b"<html>", b""])
def test_what_is_no_answer_is_for_the_next_upstream(
    kind: Literal["passed", "translated", "stream"], raw: bytes
) -> None:
    """Whatever its status said."""
    way = {
        "passed": lambda: PassedWhole("chat", asked),
        "translated": lambda: TranslatedWhole("chat", "anthropic", asked()),
        "stream": lambda: StreamOfWhole("chat", "anthropic", asked()),
    }[kind]()
    way.feed(raw)
    assert way.end() == b""
    assert not way.begun
    assert way.failed is not None
    assert way.raw == raw


@PAIRS
def test_a_document_becomes_the_stream_that_was_asked_for(upstream: WireFormat, client: WireFormat) -> None:
    way = StreamOfWhole(upstream, client, asked())
    way.feed(body(upstream))
    out = way.end()
    assert way.finished
    assert b"ZW" in out
    assert names(out)
    assert not cut_after(client, out)


def test_half_a_document_is_nothing() -> None:
    way = TranslatedWhole("chat", "anthropic", asked())
    way.feed(body("chat")[:50])
    assert way.end("cut") == b""
    assert not way.begun


def test_a_document_may_be_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_ways, "MAX_ANSWER", 100)
    way = PassedWhole("chat", asked)
    way.feed(b"x" * 100)
    with pytest.raises(UpstreamError):
        way.feed(b"x")


@pytest.mark.parametrize(("upstream", "client"), list(itertools.product(WIRES, WIRES)))
def test_a_stream_that_nobody_asked_for_becomes_one_document(upstream: WireFormat, client: WireFormat) -> None:
    """In every pair of formats; some gateways always stream."""
    way = PassedWhole(client, asked) if upstream == client else TranslatedWhole(upstream, client, asked())
    for piece in (b": wait\n\n", *events(upstream, Said("XYZW"))):
        assert way.feed(piece) == b""
    answer = json.loads(way.end())
    assert (way.begun, way.failed) == (True, None)
    assert "XYZW" in json.dumps(answer).replace('", "', "")
    assert {"anthropic": "content", "responses": "output", "chat": "choices"}[client] in answer
    cut = PassedWhole(client, asked) if upstream == client else TranslatedWhole(upstream, client, asked())
    cut.feed(events(upstream, Said("XYZW"))[0])
    assert cut.end() == b""
    assert cut.failed is not None


EMPTY: list[tuple[WireFormat, list[Any]]] = [
    ("chat", [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]),
    ("chat", [{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}]),
    ("chat", []),
    (
        "anthropic",
        [
            {"type": "message_start", "message": {"id": "m", "usage": {}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}},
            {"type": "content_block_stop", "index": 0},
        ],
    ),
    (
        "responses",
        [
            {"type": "response.created", "response": {"id": "r"}},
            {"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "content": []}},
        ],
    ),
]


@pytest.mark.parametrize(("upstream", "said"), EMPTY)
@pytest.mark.parametrize("client", WIRES)
def test_a_role_or_an_empty_block_alone_is_no_answer(upstream: WireFormat, said: list[Any], client: WireFormat) -> None:
    """So that another upstream can be asked."""
    way = passed(client) if upstream == client else translated(upstream, client)
    done = b"data: [DONE]\n\n" if upstream == "chat" else b""
    text = b"".join(way.feed(event(one.get("type", ""), one)) for one in said) + way.feed(done) + way.end()
    assert (text, way.begun) == (b"", False)
