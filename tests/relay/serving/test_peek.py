"""What the relay reads of a request's body without understanding it, and the bytes that it may change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ccsetup.relay.serving.peek import drop_cache_control, peek, replace_model
from ccsetup.relay.wire import codec
from ccsetup.relay.wire.messages import BadRequest

SESSION = "01a1fa3c-5c9d-75f3-8665-1f8037a0571a"


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


# Any object, written in any way that JSON allows.

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(['"model"', '"model":"x"', "\\", '\\"', "model", '{"model":"y"}', "a\\"])
)
NAMES = st.sampled_from(["model", "model", "stream", "messages", "tools", 'mod"el', "Model", "model "]) | st.text(
    st.characters(codec="utf-8"), max_size=4
)
SPACES = st.text(" \t\n\r", max_size=2)


class Pairs(list):  # type: ignore[type-arg]
    """Members in order, with names that repeat."""


VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(NAMES, inner), max_size=4).map(Pairs),
    max_leaves=8,
)


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """The text of *value* with odd spaces and escapes."""
    if isinstance(value, str):
        return '"' + "".join(draw(spelled(c)) for c in value) + '"'
    if isinstance(value, Pairs):
        members = [
            draw(SPACES) + draw(written(name)) + draw(SPACES) + ":" + draw(SPACES) + draw(written(item)) + draw(SPACES)
            for name, item in value
        ]
        return "{" + (",".join(members) or draw(SPACES)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(draw(SPACES) + draw(written(item)) + draw(SPACES) for item in value) + "]"
    return json.dumps(value)


def spelled(character: str) -> st.SearchStrategy[str]:
    plain = json.dumps(character, ensure_ascii=False)[1:-1]
    units = character.encode("utf-16-be").hex()
    escaped = "".join("\\u" + units[i : i + 4] for i in range(0, len(units), 4))
    return st.sampled_from([plain, plain, plain, escaped, escaped.upper().replace("\\U", "\\u")])


@st.composite
def objects(draw: st.DrawFn) -> str:
    pairs = draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))
    if draw(st.booleans()):
        pairs.insert(
            draw(st.integers(0, len(pairs))), ("model", draw(st.text(st.characters(codec="utf-8"), min_size=1)))
        )
    return draw(SPACES) + draw(written(Pairs(pairs))) + draw(SPACES)


@settings(max_examples=200, deadline=None, database=None)
@given(objects(), st.text(st.characters(codec="utf-8"), max_size=20))
def test_reading_and_replacing_the_model_agree_with_a_parser(text: str, new: str) -> None:
    """However an object is written, its model is what json.loads says, and replacing it changes just that.

    Every byte before and after the model's value stays.
    """
    data = text.encode()
    value = json.loads(text)
    model = value.get("model")
    if not isinstance(model, str) or not model:
        with pytest.raises(BadRequest):
            peek("anthropic", data)
        return
    found = peek("anthropic", data)
    assert (found.model, found.stream) == (model, value.get("stream") is True)
    assert found.value() == value
    changed = replace_model(data, new)
    assert replace_model(data, new, found.span) == changed
    assert json.loads(changed) == {**value, "model": new}
    put = codec.dumps(new)
    assert any(
        data.startswith(changed[:i]) and data.endswith(changed[i + len(put) :])
        for i in range(len(changed))
        if changed.startswith(put, i)
    )


@settings(max_examples=150, deadline=None, database=None)
@given(objects(), st.integers(0, 200), st.binary(max_size=3), st.integers(0, 5))
def test_damaged_bodies_are_refused_as_a_parser_refuses_them(text: str, at: int, new: bytes, less: int) -> None:
    """A body is taken exactly when json.loads takes it as an object with a model."""
    data = text.encode()
    at %= len(data) + 1
    data = data[:at] + new + data[at + less :]
    try:
        value = json.loads(data.decode(), parse_constant=lambda name: 1 / 0)
    except (ValueError, ZeroDivisionError):
        value = None
    model = value.get("model") if isinstance(value, dict) else None
    if isinstance(model, str) and model:
        assume(model.isprintable())
        assert peek("chat", data).model == model
    else:
        with pytest.raises(BadRequest):
            peek("chat", data)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'"model"',
        b"{}",
        b'{"model": 5}',
        b'{"model": null}',
        b'{"model": ""}',
        b'{"model": ["a"]}',
        b'{"model": "a",}',
        b'{"model": "a", }',
        b'{"model": "a"} x',
        b'{"model": "a", "b": NaN}',
        b'{"model": "a\xff"}',
        b'{"model": "a\n", "b": 1}',
        b'{"model": "a\\q", "b": 1}',
        b'{"model": "a", "a": ' + b"[" * 100_000,
        b'\xef\xbb\xbf{"model": "a"}',
        '{"model": "a"}'.encode("utf-16"),
        b'{"model": "a", "model": 5}',
    ],
)
def test_what_is_refused(text: bytes) -> None:
    """No object, no model, or no JSON."""
    with pytest.raises(BadRequest):
        peek("responses", text)


def test_half_an_emoji_is_no_reason_to_refuse() -> None:
    """JavaScript sends lone surrogates of a text that it cut; the bytes stay, the value is clean."""
    data = b'{"model":"a","x":["\\ud83d","\\ud83d\\ude00","\\\\ud83d"]}'
    found = peek("chat", data)
    assert found.value()["x"] == ["\ufffd", "\U0001f600", "\\ud83d"]
    assert replace_model(data, "b", found.span) == data.replace(b'"a"', b'"b"')
    assert replace_model(data, "b") == data.replace(b'"a"', b'"b"')


def test_the_last_of_two_models_counts() -> None:
    """As every parser has it, first or not, and spelled in whatever way."""
    for data in (b'{"model":"a","model":"b"}', b'{"x":1,"model":"a","\\u006dodel" : "b"}'):
        assert peek("chat", data).model == "b"
        assert replace_model(data, "c") == data.replace(b'"b"', b'"c"')


def test_a_new_name_is_written_as_json() -> None:
    """Nothing in a name can end its string."""
    data = b'{ "model" :"a" , "stream":true }'
    assert replace_model(data, 'x","stream":"') == b'{ "model" :"x\\",\\"stream\\":\\"" , "stream":true }'


def test_peeks_show_nothing_of_the_request() -> None:
    """A peek in a traceback or a log does not hold the conversation."""
    assert "secret" not in repr(peek("chat", body(model="m", messages=[{"role": "user", "content": "secret"}])))


# Conversations.


def asked(*texts: str, system: Any = "s") -> dict[str, Any]:
    return {"model": "m", "system": system, "messages": [{"role": "user", "content": text} for text in texts]}


@pytest.mark.parametrize(
    ("wire", "members", "expected"),
    [
        ("anthropic", {"metadata": {"user_id": f"user_{'a' * 64}_account__session_{SESSION}"}}, SESSION),
        ("anthropic", {"metadata": {"user_id": json.dumps({"device_id": "d", "session_id": SESSION})}}, SESSION),
        ("responses", {"prompt_cache_key": SESSION, "input": []}, SESSION),
        ("responses", {"client_metadata": {"session_id": SESSION}, "input": []}, SESSION),
        ("chat", {"prompt_cache_key": "k", "messages": []}, "k"),
    ],
)
def test_clients_name_their_conversations(wire: Any, members: dict[str, Any], expected: str) -> None:
    """Claude Code and Codex do, each in its own way."""
    assert peek(wire, body(model="m", **members)).conversation == expected


def test_other_conversations_are_known_by_their_beginning() -> None:
    """System text and the first message of the user stay; what follows, and where marks stand, does not matter."""

    def of(wire: Any, **members: Any) -> str:
        return peek(wire, body(**members)).conversation

    first = of("anthropic", **asked("a"))
    assert first
    assert of("anthropic", **asked("a", "b")) == first
    marked = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]
    assert of("anthropic", model="m", system="s", messages=[{"role": "user", "content": marked}]) == first
    assert of("anthropic", **asked("b")) != first
    assert of("anthropic", **asked("a", system="t")) != first
    assert of("anthropic", **asked("a", system=[{"type": "text", "text": "s"}])) == first
    assert of("anthropic", **asked("sa", system="")) != first
    chat = [{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]
    assert of("chat", model="m", messages=chat) == first
    items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}]
    assert of("responses", model="m", instructions="s", input=items) == first
    assert of("responses", model="m", instructions="s", input="a") == first


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"metadata": 5},
        {"metadata": {"user_id": 5}},
        {"metadata": {"user_id": "{"}},
        {"metadata": {"user_id": "{}"}},
        {"metadata": {"user_id": '{"session_id": 5}'}},
        {"messages": 5},
        {"messages": [5, {"role": 5}, {"content": 5}]},
        {"input": 5, "client_metadata": {"session_id": []}, "prompt_cache_key": {}},
    ],
)
@pytest.mark.parametrize("wire", ["anthropic", "responses", "chat"])
def test_a_body_of_other_shape_has_no_conversation(wire: Any, members: dict[str, Any]) -> None:
    """It is for the upstream to refuse it."""
    assert peek(wire, body(model="m", **members)).conversation == ""


def test_ids_are_bounded() -> None:
    """A client cannot make the relay remember a megabyte."""
    long = peek("chat", body(model="m", prompt_cache_key="k" * 10**6)).conversation
    assert len(long) < 100
    assert long != peek("chat", body(model="m", prompt_cache_key="k" * 10**6 + "l")).conversation


# cache_control.

MARK = {"cache_control": {"type": "ephemeral"}}


def marked_request() -> dict[str, Any]:
    result = {"type": "tool_result", "content": [{"type": "text", "text": "r", **MARK}], **MARK}
    return {
        "model": "m",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "1", **MARK}, {"type": "text", "text": "2"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "input": {**MARK}}]},
            {"role": "user", "content": [result]},
            {"role": "user", "content": "plain"},
        ],
        "system": [{"type": "text", "text": "s", **MARK}],
        "tools": [{"name": "t", "input_schema": {"properties": {**MARK}}, **MARK}],
    }


def test_the_first_marks_stay() -> None:
    """In document order; a schema's property and a call's argument of that name are no marks."""
    value = marked_request()
    untouched = json.dumps(value)
    for keep, left in ((0, 2), (1, 3), (2, 4), (4, 6)):
        text = json.dumps(drop_cache_control(value, keep))
        assert text.count('"cache_control"') == left
        expected = untouched
        # the two that are no marks stand second and last but one
        places = [i for i in range(len(untouched)) if untouched.startswith('"cache_control"', i)]
        marks = [p for n, p in enumerate(places) if n not in (1, 5)]
        for place in reversed(marks[keep:]):
            member = ', "cache_control": {"type": "ephemeral"}'
            assert expected[place - 2 :].startswith(member)
            expected = expected[: place - 2] + expected[place - 2 + len(member) :]
        assert text == expected
    assert json.dumps(value) == untouched


def test_few_marks_are_left_alone() -> None:
    """The very same value comes back, so that nobody serialises it again."""
    value = marked_request()
    assert drop_cache_control(value, 5) is value
    assert drop_cache_control({"model": "m", "messages": 5, "cache_control": None}, 0)["messages"] == 5
    assert "cache_control" not in drop_cache_control({"model": "m", **MARK}, 0)
