"""Names and ids of tools, complete JSON, and custom tools as functions."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import codec
from ccsetup.relay.wire.messages import Conversation, Message, Tool, ToolCall
from ccsetup.relay.wire.tools import (
    CallIds,
    Completeness,
    CustomInput,
    ToolNames,
    custom_arguments,
    custom_schema,
    good_id,
    object_arguments,
    taken_ids,
)

GOOD = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


def pieces(text: str, cuts: list[int]) -> list[str]:
    at = [0, *sorted(c % (len(text) + 1) for c in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(at)]


# Names


@pytest.mark.parametrize(
    ("name", "namespace", "flat"),
    [
        ("Bash", "", "Bash"),
        ("spawn_agent", "multi_agent_v1", "multi_agent_v1__spawn_agent"),
        ("exec", "functions", "exec"),
        ("list", "mcp__git", "mcp__git__list"),
        ("list", "mcp__git__", "mcp__git__list"),
        ("read.file", "my.server", "my_server__read_file"),
        ("", "", "tool"),
    ],
)
def test_flat_names(name: str, namespace: str, flat: str) -> None:
    """A namespace stands in front, the reserved one does not, and only plain characters are left."""
    names = ToolNames([Tool(name, namespace=namespace)])
    assert names.flat(name, namespace) == flat
    assert names.back(flat) == Tool(name, namespace=namespace)


def test_long_names_are_shortened_and_stay_apart() -> None:
    tools = [Tool("do_" + "x" * 70 + str(n), namespace="server") for n in range(3)]
    names = ToolNames(tools)
    flat = [names.flat(t.name, t.namespace) for t in tools]
    assert len(set(flat)) == 3
    assert all(GOOD.match(name) for name in flat)
    assert flat == [ToolNames(tools).flat(t.name, t.namespace) for t in tools]
    assert [names.back(name) for name in flat] == tools


def test_names_that_collide() -> None:
    """Tools whose flat names are the same are told apart, and the first keeps its name."""
    tools = [Tool("a__b"), Tool("b", namespace="a"), Tool("a.b"), Tool("a b")]
    names = ToolNames(tools)
    flat = [names.flat(t.name, t.namespace) for t in tools]
    assert flat[0] == "a__b"
    assert len(set(flat)) == 4
    assert [names.back(name) for name in flat] == tools


def test_tools_of_the_history_have_names() -> None:
    """A tool that is offered no more, or in this turn for the first time, keeps its name both ways."""
    call = ToolCall("1", "patch", "x", custom=True, namespace="edit")
    conversation = Conversation("m", messages=(Message("assistant", (call,)),), tools=(Tool("Bash"),))
    names = ToolNames.of(conversation)
    assert names.flat("patch", "edit") == "edit__patch"
    assert names.back("edit__patch") == Tool("patch", kind="custom", namespace="edit")
    assert names.flat("new", "later") == "later__new"
    assert names.back("later__new") == Tool("new", namespace="later")


def test_hosted_tools_take_no_name() -> None:
    names = ToolNames([Tool("web_search", kind="hosted", raw={"type": "web_search"}), Tool("web_search")])
    assert names.back("web_search").kind == "function"


@pytest.mark.parametrize("said", ["functions.Bash", "Bash", " Bash"])
def test_models_that_write_names_their_own_way(said: str) -> None:
    assert ToolNames([Tool("Bash")]).back(said) == Tool("Bash")


@pytest.mark.parametrize("said", ["ns.spawn", "ns__spawn", "spawn", "functions.ns__spawn"])
def test_models_that_write_namespaces_their_own_way(said: str) -> None:
    tool = Tool("spawn", namespace="ns")
    assert ToolNames([tool, Tool("Bash")]).back(said) == tool


def test_ambiguous_and_unknown_names_are_functions() -> None:
    names = ToolNames([Tool("x", namespace="a"), Tool("x", namespace="b")])
    assert names.back("x") == Tool("x")
    assert names.back("nothing") == Tool("nothing")


@given(st.lists(st.tuples(st.text(max_size=80), st.sampled_from(["", "functions", "a", "a__", "mcp.x"])), max_size=8))
@settings(max_examples=60)
def test_any_names_map_both_ways(given_: list[tuple[str, str]]) -> None:
    tools = list({("" if ns == "functions" else ns, n): Tool(n, namespace=ns) for n, ns in given_}.values())
    names = ToolNames(tools)
    flat = [names.flat(t.name, t.namespace) for t in tools]
    assert len(set(flat)) == len(flat)
    assert all(GOOD.match(name) for name in flat)
    assert [names.back(name) for name in flat] == tools


# Ids


def test_good_ids_stay() -> None:
    assert CallIds("seed").fit("toolu_01AbC-9") == "toolu_01AbC-9"


def test_repeated_ids_are_made_unique_in_and_across_answers() -> None:
    """Kimi counts from 0 in every turn; others send one id, or none, for all calls of an answer."""
    ids = CallIds("request-1")
    first = [ids.fit(id) for id in ("functions.Bash:0", "functions.Bash:0", "", "", "call_1")]
    assert len(set(first)) == 5
    assert all(good_id(id) for id in first)
    again = CallIds("request-1")
    assert [again.fit(i) for i in ("functions.Bash:0", "functions.Bash:0")] == first[:2]
    history = Conversation("m", messages=(Message("assistant", tuple(ToolCall(id, "Bash", "{}") for id in first)),))
    ids = CallIds("request-2", taken_ids(history))
    second = [ids.fit(id) for id in ("functions.Bash:0", "call_1")]
    assert not set(second) & set(first)


@pytest.mark.parametrize("id", ["", "a" * 65, "functions.Bash:0", "call 1", "é", "x\n"])
def test_bad_ids(id: str) -> None:
    assert not good_id(id)
    assert good_id(CallIds("s").fit(id))


def test_an_id_that_looks_like_a_replacement_is_not_given_twice() -> None:
    """A client that sends back what the relay made of an id, next to the id itself."""
    made = CallIds("s")
    replaced = [made.fit("x") for _ in range(4)]
    ids = CallIds("s", replaced[2:3])
    again = [ids.fit(id) for id in ("x", "x", replaced[1], "x", "x")]
    assert len({*again, replaced[2]}) == 6
    assert again[:2] == replaced[:2]


# Complete JSON

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(['"', "\\", '\\"', "{", "}]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=4), VALUES, max_size=4) | st.lists(VALUES, max_size=4) | st.text(max_size=8),
    st.lists(st.integers(0, 10_000), max_size=8),
    st.booleans(),
)
@settings(max_examples=150)
def test_completeness_is_told_with_the_last_character(value: object, cuts: list[int], ascii_: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_)
    whole = Completeness()
    told = [whole.feed(piece) for piece in pieces(text, cuts) if piece]
    assert told == [False] * (len(told) - 1) + [True]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        ("{}", True),
        (" {} \n", True),
        ("{} x", False),
        ("{}{}", False),
        ("{]", False),
        ("", False),
        ("  ", False),
        ("12", True),
        ("-", False),
        ("1.5e3 ", True),
        ("true", True),
        ("tru", False),
        ("null", True),
        ("hello", False),
        ('"a" "b"', False),
        ('{"a": "}"', False),
        ('{"a": "\\"}', False),
    ],
)
def test_completeness_of(text: str, complete: bool) -> None:
    assert Completeness().feed(text) is complete
    single = Completeness()
    assert [single.feed(c) for c in text][-1:] == ([complete] if text else [])


def test_a_number_may_go_on() -> None:
    whole = Completeness()
    assert [whole.feed(c) for c in "1.5"] == [True, False, True]


# Custom tools


def test_custom_schema_has_one_text_and_quotes_the_grammar() -> None:
    tool = Tool("apply_patch", kind="custom", format={"type": "grammar", "syntax": "lark", "definition": "start: x"})
    schema = custom_schema(tool)
    assert schema["required"] == ["input"]
    assert list(schema["properties"]) == ["input"]
    assert schema["properties"]["input"]["type"] == "string"
    assert "start: x" in schema["properties"]["input"]["description"]
    assert "grammar" not in custom_schema(Tool("t", kind="custom"))["properties"]["input"]["description"]


def fed(parts: list[str]) -> str:
    custom = CustomInput()
    return "".join(custom.feed(part) for part in parts) + custom.end()


@given(
    st.text(max_size=40), st.lists(st.integers(0, 10_000), max_size=10), st.booleans(), st.sampled_from(["", " ", "\n"])
)
@settings(max_examples=150)
def test_custom_input_gives_the_raw_text_for_any_chunking(raw: str, cuts: list[int], ascii_: bool, space: str) -> None:
    text = f'{space}{{{space}"input"{space}:{space}{json.dumps(raw, ensure_ascii=ascii_)}{space}}}{space}'
    assert fed(pieces(text, cuts)) == raw
    assert fed(pieces(custom_arguments(raw), cuts)) == raw


def test_custom_input_streams() -> None:
    """The text goes on as it comes; it does not wait for its end."""
    custom = CustomInput()
    assert custom.feed('{"inp') == ""
    assert custom.feed('ut":"*** Begin') == "*** Begin"
    assert custom.feed(" Patch\\") == " Patch"
    assert custom.feed("n+x\\ud83d") == "\n+x"
    assert custom.feed('\\ude00"') == "😀"
    assert custom.feed("}") == ""
    assert custom.end() == ""


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("*** Begin Patch\n+x\n", "*** Begin Patch\n+x\n"),
        ("  raw\n", "  raw\n"),
        ("{ let a = 1 }", "{ let a = 1 }"),
        ('{"a": 1} and more', '{"a": 1} and more'),
        ('"*** Begin\\nPatch"', "*** Begin\nPatch"),
        ('"use strict"; x()', '"use strict"; x()'),
        ('{"patch": "*** Begin"}', "*** Begin"),
        ('{"why": "because", "input": "x"}', "x"),
        ('{"a": "x", "b": "y"}', '{"a": "x", "b": "y"}'),
        ('{"input": ["a", "b"]}', '["a","b"]'),
        ("{}", ""),
        ("", ""),
        (json.dumps(custom_arguments("twice")), "twice"),
        ('{"input": "a "quoted" word"}', 'a "quoted" word'),
        ('{"input": "bad \\x escape"}', "bad \\x escape"),
        ('{"input": "half \\ud83d."}', "half \ufffd."),
        ('{"input": "cut off', "cut off"),
        ("[1]", "[1]"),
    ],
)
def test_custom_input_of_models_that_do_not_keep_to_the_schema(text: str, raw: str) -> None:
    assert fed([text]) == raw
    assert fed(list(text)) == raw


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (ToolCall("", "f", '{"a": 1}'), {"a": 1}),
        (ToolCall("", "f", ""), {}),
        (ToolCall("", "f", " \n"), {}),
        (ToolCall("", "f", "null"), {}),
        (ToolCall("", "f", "[1]"), {"arguments": [1]}),
        (ToolCall("", "f", '{"a": '), {"arguments": '{"a": '}),
        (ToolCall("", "f", '{"a": 1', custom=True), {"input": '{"a": 1'}),
    ],
)
def test_arguments_of_the_history_are_always_an_object(call: ToolCall, value: object) -> None:
    assert codec.loads(object_arguments(call)) == value
