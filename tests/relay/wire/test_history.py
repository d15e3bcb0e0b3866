"""The order of messages that strict providers want."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire.history import NO_RESULT, folded, merged, ordered
from ccsetup.relay.wire.messages import Image, Loss, Message, Reasoning, Text, ToolCall, ToolResult


def call(id: str, name: str = "Bash") -> ToolCall:
    return ToolCall(id, name, "{}")


def result(id: str, text: str = "ok") -> ToolResult:
    return ToolResult(id, (Text(text),))


def said(*parts: object) -> Message:
    return Message("assistant", parts)  # type: ignore[arg-type]


def user(*parts: object) -> Message:
    return Message("user", parts)  # type: ignore[arg-type]


HI, THERE = Text("hi"), Text("there")


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        pytest.param([user(HI), said(THERE)], [user(HI), said(THERE)], id="nothing to do"),
        pytest.param(
            [said(Reasoning("why")), said(HI), said(call("a")), said(call("b")), user(result("a")), user(result("b"))],
            [said(Reasoning("why"), HI, call("a"), call("b")), user(result("a"), result("b"))],
            id="one message for a turn",
        ),
        pytest.param(
            [said(call("a"), call("b")), user(result("b"), result("a"))],
            [said(call("a"), call("b")), user(result("a"), result("b"))],
            id="results in the order of the calls",
        ),
        pytest.param(
            [said(call("a"), HI), user(THERE, result("a"))],
            [said(HI, call("a")), user(result("a")), user(THERE)],
            id="texts before calls, results before the user's text",
        ),
        pytest.param(
            [
                said(call("a"), call("b")),
                user(HI),
                user(result("a")),
                Message("developer", (THERE,)),
                user(result("b")),
            ],
            [said(call("a"), call("b")), user(result("a"), result("b")), user(HI), Message("developer", (THERE,))],
            id="results that came later move to their calls",
        ),
        pytest.param(
            [said(call("a")), user(result("a")), said(call("b")), user(result("b"))],
            [said(call("a")), user(result("a")), said(call("b")), user(result("b"))],
            id="turns stay apart",
        ),
        pytest.param(
            [said(call("a"), call("b")), user(result("a")), said(HI), user(result("b"))],
            [said(call("a"), call("b")), user(result("a"), result("b")), said(HI)],
            id="a result after the next turn",
        ),
        pytest.param(
            [user(result("a")), said(call("a"))],
            [said(call("a")), user(result("a"))],
            id="a result before its call",
        ),
    ],
)
def test_order(given_: list[Message], wanted: list[Message]) -> None:
    messages, losses = ordered(given_)
    assert list(messages) == wanted
    assert losses == []


def test_a_call_without_a_result_gets_one() -> None:
    messages, losses = ordered([user(HI), said(call("a"), call("b")), user(result("b"), HI)])
    assert messages[2] == user(ToolResult("a", (Text(NO_RESULT),), is_error=True), result("b"))
    assert messages[3] == user(HI)
    assert losses == [Loss("messages[1]", "tool_call_unanswered")]


def test_a_result_without_a_call_becomes_text() -> None:
    picture = Image("image/png", "AAAA")
    messages, losses = ordered([user(HI), user(ToolResult("gone", (Text("out"), picture)), THERE)])
    assert len(messages) == 2
    assert messages[1].parts[1:] == (Text("out"), picture, THERE)
    assert isinstance(messages[1].parts[0], Text)
    assert "gone" in messages[1].parts[0].text
    assert losses == [Loss("messages[1]", "tool_result_without_call")]


def test_repeated_ids_become_unique_on_both_sides() -> None:
    """Kimi counts its ids from 0 in every turn."""
    turn = [said(call("functions.Bash:0")), user(result("functions.Bash:0", "one"))]
    other = [said(call("functions.Bash:0"), call("x"), call("x")), user(result("functions.Bash:0", "two"))]
    more = [user(result("x", "three")), user(result("x", "four"))]
    messages, losses = ordered([*turn, *other, *more])
    assert losses == []
    ids = [part.id for m in messages for part in m.parts if isinstance(part, ToolCall)]
    assert len(set(ids)) == 4
    assert ids[1:3].count("x") == 1
    results = [part for m in messages for part in m.parts if isinstance(part, ToolResult)]
    assert [part.call_id for part in results] == ids
    assert [part.content[0].text for part in results] == ["one", "two", "three", "four"]  # type: ignore[union-attr]
    assert ordered([*turn, *other, *more])[0][:2] == ordered(turn)[0]


def test_a_repeated_id_belongs_to_the_last_turn() -> None:
    """An interrupted call does not take the result of a later one with the same id."""
    messages, _ = ordered([said(call("x")), user(HI), said(call("x")), user(result("x", "late"))])
    results = [part for m in messages for part in m.parts if isinstance(part, ToolResult)]
    assert [part.content for part in results] == [(Text(NO_RESULT),), (Text("late"),)]


def test_a_custom_calls_result_is_custom() -> None:
    messages, _ = ordered([said(ToolCall("a", "patch", "x", custom=True)), user(result("a"))])
    assert messages[1].parts[0] == ToolResult("a", (Text("ok"),), custom=True)


def test_system_messages_in_between_become_text_of_the_user() -> None:
    given_ = [
        user(HI),
        Message("system", (Text("be"), Text("kind", cache=True))),
        said(THERE),
        Message("developer", ()),
    ]
    messages, losses = folded(given_)
    assert messages[1] == user(Text("<system-reminder>\nbe\n\nkind\n</system-reminder>", cache=True))
    assert [m.role for m in messages] == ["user", "user", "assistant", "user"]
    assert [loss.path for loss in losses] == ["messages[1]", "messages[3]"]
    assert merged(messages)[0].parts[0] == HI
    assert [m.role for m in merged(messages)] == ["user", "assistant", "user"]


IDS = st.sampled_from(["a", "b", "functions.x:0", ""])
TEXTS = st.builds(Text, st.sampled_from(["t", "u"]))
SAID = st.lists(st.one_of(TEXTS, st.builds(call, IDS), st.just(Reasoning("r"))), max_size=4)
HEARD = st.lists(st.one_of(TEXTS, st.builds(result, IDS)), max_size=4)
MESSAGES = st.lists(
    st.one_of(
        st.builds(lambda parts: said(*parts), SAID),
        st.builds(lambda parts: user(*parts), HEARD),
        st.builds(lambda text: Message("system", (text,)), TEXTS),
    ),
    max_size=8,
)


@given(MESSAGES)
@settings(max_examples=200)
def test_any_history_gets_into_order(given_: list[Message]) -> None:
    messages, _ = ordered(given_)
    waiting: list[str] = []
    seen: set[str] = set()
    for message in messages:
        calls = [p.id for p in message.parts if isinstance(p, ToolCall)]
        results = [p.call_id for p in message.parts if isinstance(p, ToolResult)]
        if waiting:
            assert message.role == "user"
            assert results == waiting
        else:
            assert not results
        assert not calls or (
            message.role == "assistant"
            and message.parts[-len(calls) :] == tuple(p for p in message.parts if isinstance(p, ToolCall))
        )
        assert not seen & set(calls)
        assert len(set(calls)) == len(calls)
        seen |= set(calls)
        waiting = calls
    assert not waiting
    calls_before = sum(isinstance(p, ToolCall) for m in given_ if m.role == "assistant" for p in m.parts)
    assert len(seen) == calls_before
    assert ordered(messages)[0] == messages
