"""Envelopes and marks of reasoning: they come back whole, and only to the upstream that they belong to."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import reasoning
from ccsetup.relay.wire.messages import Conversation, Message, Reasoning, Text
from ccsetup.relay.wire.reasoning import Packed

LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


@given(TEXT, LINE, LINE, LINE)
@settings(max_examples=60)
def test_what_is_packed_comes_back(text: str, upstream: str, signature: str, encrypted: str) -> None:
    """An envelope is printable ASCII and gives back all that was put in."""
    envelope = reasoning.pack(text, upstream, signature, encrypted)
    assert envelope.isascii()
    assert envelope.isprintable()
    assert '"' not in envelope
    assert reasoning.unpack(envelope) == Packed(text, upstream, signature, encrypted)
    assert reasoning.is_mark(envelope)
    assert reasoning.origin(envelope) == upstream


@given(LINE)
@settings(max_examples=30)
def test_a_mark_names_its_upstream(upstream: str) -> None:
    """A mark is told from a real signature and holds no text."""
    mark = reasoning.mark(upstream)
    assert reasoning.is_mark(mark)
    assert reasoning.origin(mark) == upstream
    assert reasoning.unpack(mark) is None


@given(st.one_of(st.text(max_size=80), st.binary(max_size=80).map(lambda b: base64.urlsafe_b64encode(b).decode())))
@settings(max_examples=100)
def test_broken_envelopes_are_none(junk: str) -> None:
    """Whatever a client sends: no exception, and nothing found that was not packed."""
    for text in (junk, reasoning.PREFIX + junk, reasoning.PREFIX + "r1." + junk, reasoning.PREFIX + "m1." + junk):
        assert reasoning.unpack(text) is None
        assert isinstance(reasoning.origin(text), str)
    whole = reasoning.pack("thought", "u")
    assert reasoning.unpack(whole[:-2]) is None


def test_an_envelope_that_inflates_without_end_is_refused() -> None:
    """A client cannot make the relay unpack more than an envelope can hold."""
    bomb = zlib.compress(b"u\0\0\0" + b" " * (64 << 20))
    assert reasoning.unpack(reasoning.PREFIX + "r1." + base64.urlsafe_b64encode(bomb).decode()) is None


def test_a_text_that_is_too_long_is_cut_and_loses_its_signature() -> None:
    """A signature of another text than the one that is kept would be a forged one."""
    packed = reasoning.unpack(reasoning.pack("x" * (reasoning.MAX_TEXT + 5), "u", "signed"))
    assert packed == Packed("x" * reasoning.MAX_TEXT, "u")


def conversation(*parts: Reasoning) -> Conversation:
    return Conversation("m", messages=(Message("assistant", (*parts, Text("answer"))),))


SIGNED = reasoning.pack("thought", "a", "Er123")
LOCKED = reasoning.pack("", "a", encrypted="gAAAA")


@pytest.mark.parametrize(
    ("given_part", "upstream", "moved", "expected"),
    [
        pytest.param(
            Reasoning("", encrypted=SIGNED, redacted=True),
            "a",
            True,
            Reasoning("thought", signature="Er123"),
            id="home",
        ),
        pytest.param(Reasoning("", encrypted=SIGNED, redacted=True), "", True, Reasoning("thought"), id="nobody"),
        pytest.param(Reasoning("", encrypted=SIGNED, redacted=True), "b", False, Reasoning("thought"), id="elsewhere"),
        pytest.param(
            Reasoning("shown", signature=LOCKED), "a", False, Reasoning("shown", encrypted="gAAAA"), id="encrypted-home"
        ),
        pytest.param(Reasoning("shown", signature=LOCKED), "b", False, Reasoning("shown"), id="encrypted-elsewhere"),
        pytest.param(
            Reasoning("", encrypted=LOCKED, redacted=True),
            "a",
            False,
            Reasoning("", encrypted="gAAAA", redacted=True),
            id="redacted-home",
        ),
        pytest.param(Reasoning("", encrypted=LOCKED, redacted=True), "b", False, None, id="redacted-elsewhere"),
        pytest.param(Reasoning("t", signature=reasoning.mark("a")), "a", False, Reasoning("t"), id="mark"),
        pytest.param(Reasoning("t", signature="Er9"), "b", True, Reasoning("t"), id="bare-moved"),
        pytest.param(Reasoning("t", signature="Er9"), "b", False, Reasoning("t", signature="Er9"), id="bare-stayed"),
        pytest.param(
            Reasoning("short", summary=True, encrypted=SIGNED, id="rs_1"),
            "a",
            False,
            Reasoning("thought", signature="Er123", id="rs_1"),
            id="summary-becomes-the-text",
        ),
    ],
)
def test_reasoning_goes_home_only(
    given_part: Reasoning, upstream: str, moved: bool, expected: Reasoning | None
) -> None:
    """Signatures and encrypted text reach the upstream that made them; the text goes everywhere."""
    found = reasoning.for_upstream(conversation(given_part), upstream, moved=moved)
    assert found == (conversation(expected) if expected is not None else conversation())


def test_nothing_to_open_costs_nothing() -> None:
    """A conversation without signatures is the same object."""
    plain = conversation(Reasoning("t"))
    assert reasoning.for_upstream(plain, "a") is plain


def test_a_message_of_foreign_reasoning_alone_goes() -> None:
    """No empty message stays, for providers refuse it."""
    only = Conversation("m", messages=(Message("assistant", (Reasoning("", encrypted="x", redacted=True),)),))
    assert reasoning.for_upstream(only, "b", moved=True).messages == ()
