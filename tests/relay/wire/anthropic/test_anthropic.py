"""Anthropic Messages: requests, answers, streams and errors."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import Any, NamedTuple, Optional

import anthropic as sdk
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import anthropic, errors, reasoning, sse, tools
from ccsetup.relay.wire.messages import (
    AnswerFormat,
    Asked,
    BadRequest,
    BlockEnd,
    Conversation,
    Delta,
    Dialect,
    Event,
    Failed,
    File,
    Image,
    Loss,
    Message,
    Ping,
    Reasoning,
    ReasoningStart,
    RefusalStart,
    Started,
    Stop,
    Text,
    TextStart,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolStart,
    Usage,
    WireError,
)

Json = dict[str, Any]

ID = "0123456789abcdef0123456789abcdef"
OFFICIAL = Dialect(official=True)
CLONE = Dialect()


def asked(conversation: Optional[Conversation] = None, **more: Any) -> Asked:
    conversation = conversation or Conversation("glm-5.3")
    return Asked(conversation, tools.ToolNames.of(conversation), ID, 0, **more)


def read(body: Json) -> Conversation:
    return anthropic.read_request(json.dumps(body).encode())


def user(*content: Json) -> Json:
    return {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": list(content)}]}


def codes(conversation: Conversation) -> list[tuple[str, str]]:
    return [(loss.path, loss.code) for loss in conversation.losses]


# Requests, read.

CLAUDE_CODE: Json = {
    # The shape of Claude Code 2.1.329's first requests.
    "model": "glm-5.3",
    "messages": [
        {
            "role": "user",
            "content": [{"type": "text", "text": "<system-reminder>a"}, {"type": "text", "text": "say hi"}],
        },
        {
            "role": "system",
            "content": [{"type": "text", "text": "more", "cache_control": {"type": "ephemeral"}}],
            "output_config": {"effort": "medium"},
        },
    ],
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329.abc; cc_entrypoint=sdk-cli;"},
        {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Rules.", "cache_control": {"type": "ephemeral"}},
    ],
    "tools": [
        {
            "name": "Bash",
            "description": "Run",
            "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
        },
        {"name": "ToolSearch", "description": "Search", "input_schema": {"type": "object"}},
        {"name": "Later", "description": "d", "input_schema": {"type": "object"}, "defer_loading": True},
    ],
    "metadata": {"user_id": '{"device_id":"d"}'},
    "max_tokens": 128000,
    "thinking": {"type": "adaptive", "display": "omitted"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "medium"},
    "stream": True,
}


def test_a_request_of_claude_code() -> None:
    found = read(CLAUDE_CODE)
    assert found._replace(tools=(), losses=()) == Conversation(
        "glm-5.3",
        system=(Text("You are Claude Code.", cache=True), Text("Rules.", cache=True)),
        messages=(
            Message("user", (Text("<system-reminder>a"), Text("say hi"))),
            Message("system", (Text("more", cache=True),)),
        ),
        max_tokens=128000,
        stream=True,
        thinking=Thinking("adaptive", display="omitted"),
        effort="medium",
        user='{"device_id":"d"}',
    )
    assert [t.name for t in found.tools] == ["Bash", "ToolSearch"]
    assert found.tools[0].schema["required"] == ["command"]
    assert codes(found) == [
        ("context_management", "context_management"),
        ("messages[1].output_config", "message_option"),
        ("system[0]", "attribution"),
        ("tools[2]", "deferred_tool"),
    ]


def test_every_loss_is_documented() -> None:
    assert {loss.code for loss in read(CLAUDE_CODE).losses} <= set(anthropic.LOSSES)
    assert all(sentence.endswith(".") for sentence in anthropic.LOSSES.values())


def test_a_deferred_tool_that_a_search_named_or_that_was_called_is_offered() -> None:
    result = {
        "type": "tool_result",
        "tool_use_id": "a",
        "content": [{"type": "tool_reference", "tool_name": "Later"}],
    }
    body = {**CLAUDE_CODE, "messages": [{"role": "user", "content": [result]}]}
    found = read(body)
    assert [t.name for t in found.tools] == ["Bash", "ToolSearch", "Later"]
    assert found.messages[0].parts == (ToolResult("a", (Text("The tool Later is available now."),)),)
    call = {"type": "tool_use", "id": "a", "name": "Later", "input": {}}
    assert len(read({**CLAUDE_CODE, "messages": [{"role": "assistant", "content": [call]}]}).tools) == 3


def test_a_search_by_the_provider_hides_no_tool() -> None:
    search = {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"}
    found = read({**CLAUDE_CODE, "tools": [*CLAUDE_CODE["tools"], search]})
    assert [(t.name, t.kind) for t in found.tools][2:] == [("Later", "function"), ("tool_search_tool_regex", "hosted")]


def test_history_with_tools_and_thinking() -> None:
    body = {
        "model": "m",
        "max_tokens": 1,
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "redacted_thinking", "data": "xyz"},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"b": 1, "a": "ä"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "List"},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": "text",
                        "cache_control": {"type": "ephemeral"},
                    },
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_2",
                        "is_error": True,
                        "content": [
                            {"type": "text", "text": "t"},
                            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                        ],
                    },
                    {"type": "text", "text": "go on"},
                ],
            },
        ],
    }
    assert read(body).messages == (
        Message("user", (Text("hi"),)),
        Message(
            "assistant",
            (
                Reasoning("hm", signature="sig"),
                Reasoning("", encrypted="xyz", redacted=True),
                Text("I look."),
                ToolCall("toolu_1", "Read", '{"b":1,"a":"ä"}'),
                ToolCall("toolu_2", "List", "{}"),
            ),
        ),
        Message(
            "user",
            (
                ToolResult("toolu_1", (Text("text"),), cache=True),
                ToolResult("toolu_2", (Text("t"), Image("image/png", "AAAA")), is_error=True),
                Text("go on"),
            ),
        ),
    )


def test_documents_and_search_results() -> None:
    found = read(
        user(
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="},
                "title": "t",
            },
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "abc"},
                "context": "about",
            },
            {
                "type": "document",
                "source": {"type": "url", "url": "https://e.org/a.pdf"},
                "citations": {"enabled": True},
            },
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "inner"}]}},
            {"type": "document", "source": {"type": "file", "file_id": "f"}},
            {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "found"}]},
            {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}},
            {"type": "container_upload", "file_id": "f"},
            {"type": "something_new"},
        )
    )
    assert found.messages[0].parts == (
        File("application/pdf", data="QQ==", name="t"),
        Text("about"),
        File("text/plain", text="abc"),
        File("application/pdf", url="https://e.org/a.pdf"),
        Text("inner"),
        Text("T\nS\nfound"),
        Image("", url="https://e.org/a.png"),
    )
    assert [code for _path, code in codes(found)] == ["citations", "file_id", "container", "unknown_block"]


def test_tools_of_the_provider() -> None:
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
    body = {**user({"type": "text", "text": "x"}), "tools": [search, {"type": "bash_20250124", "name": "bash"}]}
    body["messages"].append(
        {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
                {"type": "text", "text": "found", "citations": [{"type": "web_search_result_location"}]},
            ],
        }
    )
    found = read(body)
    assert found.tools == (Tool("web_search", kind="hosted", raw=search),)
    assert found.messages[1].parts == (Text("found"),)
    assert [code for _path, code in codes(found)] == ["server_tool", "server_tool", "citations", "client_tool"]


@pytest.mark.parametrize(
    ("given", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "tool", "name": "a", "disable_parallel_tool_use": False}, ToolChoice("tool", "a"), True),
        ({"type": "none"}, ToolChoice("none"), None),
    ],
)
def test_tool_choice(given: Json, choice: ToolChoice, parallel: Optional[bool]) -> None:
    found = read({**user(), "tool_choice": given})
    assert (found.tool_choice, found.parallel) == (choice, parallel)


def test_numbers_and_formats() -> None:
    found = read(
        {
            **user(),
            "temperature": 0.5,
            "top_p": 1,
            "top_k": 5,
            "stop_sequences": ["a"],
            "system": "s",
            "thinking": {"type": "enabled", "budget_tokens": 2048},
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "gigantic"},
            "foo": 1,
            "speed": "fast",
        }
    )
    assert (found.temperature, found.top_p, found.top_k, found.stop) == (0.5, 1, 5, ("a",))
    assert found.system == (Text("s"),)
    assert found.thinking == Thinking("enabled", 2048)
    assert found.format == AnswerFormat("json_schema", schema={"type": "object"})
    assert codes(found) == [("foo", "unknown_member"), ("speed", "priority"), ("output_config.effort", "effort")]
    older = read({**user(), "output_format": {"type": "json_schema", "schema": {"a": 1}}})
    assert older.format == AnswerFormat("json_schema", schema={"a": 1})


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "model"),
        ({"model": "m"}, "messages"),
        ({"model": "m", "messages": [1]}, "messages[0]"),
        ({"model": "m", "messages": [{"role": "tool", "content": ""}]}, "messages[0].role"),
        ({"model": "m", "messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"model": "m", "messages": [{"role": "user", "content": [{}]}]}, "messages[0].content[0].type"),
        (user({"type": "tool_use", "name": "a"}), "messages[0].content[0]"),
        (user({"type": "image"}), "messages[0].content[0].source.type"),
        (user({"type": "text"}), "messages[0].content[0].text"),
        (user({"type": "tool_result"}), "messages[0].content[0].tool_use_id"),
        ({**user(), "max_tokens": 0}, "max_tokens"),
        ({**user(), "max_tokens": 1e40}, "max_tokens"),
        ({**user(), "max_tokens": True}, "max_tokens"),
        ({**user(), "temperature": "hot"}, "temperature"),
        ({**user(), "tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({**user(), "tool_choice": {"type": []}}, "tool_choice.type"),
        ({**user(), "thinking": {"type": {}}}, "thinking.type"),
        ({**user(), "stream": "yes"}, "stream"),
        ({**user(), "system": [{"type": "text"}]}, "system[0].text"),
    ],
)
def test_what_is_no_request_is_told_by_its_path(body: Json, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(body)
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"\xff", b'{"a":' * 100000, b'{"model":"\\ud800"}', b"NaN"])
def test_what_is_no_json_object(body: bytes) -> None:
    with pytest.raises(BadRequest):
        anthropic.read_request(body)


@pytest.mark.parametrize("depth", [200, 400, 900])
def test_deep_values_do_no_harm(depth: int) -> None:
    # How deep is too deep differs between orjson and the standard library.
    deep: Any = json.loads('{"a":' * depth + "1" + "}" * depth)
    call = {"type": "tool_use", "name": "a", "input": deep}
    for body in (
        {"model": "m", "messages": [{"role": "assistant", "content": [call]}]},
        {**user({"type": "text", "text": "x"}), "tools": [{"name": "a", "input_schema": deep}]},
    ):
        with contextlib.suppress(BadRequest):
            found = read(body)
            anthropic.write_request(found, CLONE, tools.ToolNames.of(found))


MEMBERS = sorted(
    {
        *CLAUDE_CODE,
        "role",
        "content",
        "type",
        "text",
        "source",
        "input_schema",
        "name",
        "id",
        "tool_use_id",
        "input",
        "thinking",
        "signature",
        "data",
        "url",
        "media_type",
        "format",
        "schema",
        "citations",
        "cache_control",
        "title",
        "budget_tokens",
        "defer_loading",
        "is_error",
        "tool_choice",
        "stop_sequences",
        "temperature",
        "top_k",
    }
)
WORDS = [
    "user",
    "assistant",
    "system",
    "text",
    "image",
    "tool_use",
    "tool_result",
    "thinking",
    "document",
    "base64",
    "url",
    "redacted_thinking",
    "enabled",
    "auto",
    "json_schema",
    "content",
    "m",
    "",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=15,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(MEMBERS), JSON), max_size=3), st.lists(JSON, max_size=3), st.booleans())
def test_hostile_requests_raise_nothing_but_bad_request(
    changes: list[tuple[str, Any]], blocks: list[Any], official: bool
) -> None:
    body = json.loads(json.dumps(CLAUDE_CODE))
    body["messages"].append({"role": "user", "content": blocks})
    body.update(changes)
    try:
        found = read(body)
        written, losses = anthropic.write_request(found, Dialect(official=official), tools.ToolNames.of(found))
    except BadRequest:
        return
    assert {loss.code for loss in (*found.losses, *losses)} <= set(anthropic.LOSSES)
    anthropic.read_request(written)


# Requests, written.

HELLO = (Message("user", (Text("hello"),)),)


def write(conversation: Conversation, dialect: Dialect = CLONE) -> Json:
    body, _losses = anthropic.write_request(conversation, dialect, tools.ToolNames.of(conversation))
    written: Json = json.loads(body)
    return written


def lost(conversation: Conversation, dialect: Dialect = CLONE) -> list[str]:
    return [x.code for x in anthropic.write_request(conversation, dialect, tools.ToolNames.of(conversation))[1]]


def bare(content: Any) -> Any:
    """Without the marks for the cache, which have their own tests."""
    if isinstance(content, list):
        return [bare(c) for c in content]
    return {k: bare(v) for k, v in content.items() if k != "cache_control"} if isinstance(content, dict) else content


def test_a_small_request() -> None:
    assert bare(write(Conversation("m", system=(Text("s"),), messages=HELLO, stream=True))) == {
        "model": "m",
        "max_tokens": 32000,
        "system": [{"type": "text", "text": "s"}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "stream": True,
    }


def test_roles_alternate_and_results_come_first() -> None:
    conversation = Conversation(
        "m",
        messages=(
            Message("user", (Text("a"),)),
            Message("user", (Text("b"), Text("  "))),
            Message("assistant", (Text("c"),)),
            Message("assistant", (ToolCall("x:0", "f", '{"p":1}'), ToolCall("call_2", "g", ""))),
            Message("developer", (Text("careful"),)),
            Message("user", (ToolResult("call_2", ()),)),
            Message("user", (ToolResult("x:0", (Text("one"), Text("two")), is_error=True), Text("d"))),
        ),
    )
    messages = bare(write(conversation)["messages"])
    assert [m["role"] for m in messages] == ["user", "assistant", "user"]
    assert messages[0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    said, first, second = messages[1]["content"]
    assert said == {"type": "text", "text": "c"}
    assert (first["name"], first["input"]) == ("f", {"p": 1})
    assert (second["id"], second["input"]) == ("call_2", {})
    assert tools.good_id(first["id"])
    assert messages[2]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": first["id"],
            "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}],
            "is_error": True,
        },
        {"type": "tool_result", "tool_use_id": "call_2", "content": ""},
        {"type": "text", "text": "<system-reminder>\ncareful\n</system-reminder>"},
        {"type": "text", "text": "d"},
    ]


def test_a_conversation_that_begins_or_ends_with_the_model() -> None:
    messages = (Message("assistant", (Text("It is "),)),)
    written = write(Conversation("m", messages=messages))["messages"]
    assert [m["role"] for m in written] == ["user", "assistant"]
    assert written[1]["content"][0]["text"] == "It is"


def test_an_empty_conversation_is_refused() -> None:
    with pytest.raises(BadRequest):
        write(Conversation("m", messages=(Message("user", (Text(" "),)),)))


THOUGHT = (
    Message("user", (Text("a"),)),
    Message("assistant", (Reasoning("hm", signature="sig"), Reasoning("", encrypted="data", redacted=True), Text("b"))),
    Message("user", (Text("c"),)),
)


def test_signed_thinking_is_sent_back() -> None:
    for dialect in (OFFICIAL, CLONE):
        content = bare(write(Conversation("m", messages=THOUGHT), dialect)["messages"][1]["content"])
        assert content[0] == {"type": "thinking", "thinking": "hm", "signature": "sig"}
        assert content[1] == {"type": "redacted_thinking", "data": "data"}


@pytest.mark.parametrize("signature", ["", reasoning.mark("glm"), reasoning.pack("", "openai", encrypted="e")])
def test_unsigned_thinking_is_dropped_for_anthropic_and_kept_for_others(signature: str) -> None:
    messages = (HELLO[0], Message("assistant", (Reasoning("hm", signature=signature), Text("b"))), HELLO[0])
    conversation = Conversation("m", messages=messages)
    assert bare(write(conversation, OFFICIAL)["messages"][1]["content"]) == [{"type": "text", "text": "b"}]
    assert lost(conversation, OFFICIAL) == ["unsigned_reasoning"]
    assert bare(write(conversation)["messages"][1]["content"])[0] == {
        "type": "thinking",
        "thinking": "hm",
        "signature": "",
    }


def test_tools_are_flat_unique_and_objects() -> None:
    conversation = Conversation(
        "m",
        messages=HELLO,
        tools=(
            Tool("shell", "d", {"type": "object", "properties": {"a": {}}}, namespace="unix"),
            Tool("n" * 80, schema={}),
            Tool("same", schema={}),
            Tool("same", schema={}),
            Tool("apply_patch", kind="custom", format={"type": "grammar", "definition": "start: x"}),
            Tool("either", schema={"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}], "type": "object"}),
            Tool("image_generation", kind="hosted", raw={"type": "image_generation"}),
        ),
        tool_choice=ToolChoice("tool", "shell", "unix"),
        parallel=False,
    )
    written = write(conversation)
    names = [t["name"] for t in written["tools"]]
    assert names[0] == "unix__shell"
    assert len(names) == len(set(names)) == 5
    assert max(map(len, names)) <= 64
    assert all(t["input_schema"]["type"] == "object" for t in written["tools"])
    assert written["tools"][3]["input_schema"]["required"] == ["input"]
    assert written["tools"][4]["input_schema"] == {"type": "object", "properties": {"a": {}, "b": {}}}
    assert written["tool_choice"] == {"type": "tool", "name": "unix__shell", "disable_parallel_tool_use": True}
    assert lost(conversation) == ["custom_tool", "schema_union", "hosted_tool"]


def test_no_tool_no_choice() -> None:
    hosted = Tool("x", kind="hosted", raw={"type": "x"})
    conversation = Conversation("m", messages=HELLO, tools=(hosted,), tool_choice=ToolChoice("required"))
    assert not {"tools", "tool_choice"} & set(write(conversation))


def test_a_search_of_the_upstream_stands_for_the_clients() -> None:
    raw = {
        "type": "web_search",
        "filters": {"allowed_domains": ["e.org"]},
        "user_location": {"type": "approximate", "city": "B"},
    }
    conversation = Conversation("m", messages=HELLO, tools=(Tool("web_search", kind="hosted", raw=raw),))
    assert bare(write(conversation, Dialect(hosted=("web_search_20250305",)))["tools"]) == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "allowed_domains": ["e.org"],
            "user_location": {"type": "approximate", "city": "B"},
        }
    ]


@pytest.mark.parametrize(
    ("dialect", "model", "asks", "expected"),
    [
        (
            OFFICIAL,
            "claude-opus-5-5",
            {"effort": "xhigh"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
        ),
        (
            OFFICIAL,
            "claude-opus-4-6",
            {"effort": "xhigh"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
        ),
        (
            OFFICIAL,
            "claude-sonnet-5",
            {"effort": "minimal", "summary": "auto"},
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
        (
            OFFICIAL,
            "claude-sonnet-4-5-20250929",
            {"effort": "low"},
            {"thinking": {"type": "enabled", "budget_tokens": 4096}},
        ),
        (
            OFFICIAL,
            "claude-sonnet-4-20250514",
            {"effort": "low"},
            {"thinking": {"type": "enabled", "budget_tokens": 4096}},
        ),
        (
            OFFICIAL,
            "claude-3-7-sonnet-latest",
            {"effort": "low"},
            {"thinking": {"type": "enabled", "budget_tokens": 4096}},
        ),
        (OFFICIAL, "claude-opus-5-5", {"effort": "none"}, {"thinking": {"type": "disabled"}}),
        (OFFICIAL, "claude-opus-5-5", {}, {}),
        (CLONE, "glm-5.3", {"effort": "high"}, {"thinking": {"type": "enabled", "budget_tokens": 24576}}),
        (
            CLONE,
            "glm-5.3",
            {"effort": "max"},
            {"max_tokens": 72191, "thinking": {"type": "enabled", "budget_tokens": 54144}},
        ),
        (
            CLONE,
            "glm-5.3",
            {"effort": "high", "max_tokens": 4000},
            {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 3000}},
        ),
        (CLONE, "glm-5.3", {"effort": "high", "max_tokens": 1000}, {"max_tokens": 1000}),
        (
            CLONE,
            "glm-5.3",
            {"thinking": Thinking("enabled", 2000)},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        ),
        (CLONE, "glm-5.3", {"thinking": Thinking("disabled"), "effort": "high"}, {"thinking": {"type": "disabled"}}),
        (Dialect(max_output=8192), "x", {"max_tokens": 20000}, {"max_tokens": 8192}),
        (Dialect(max_output=8192), "x", {}, {"max_tokens": 8192}),
        (CLONE, "x", {"temperature": 1.5, "top_p": 0.5, "top_k": 3}, {"temperature": 1, "top_p": 0.5, "top_k": 3}),
        (OFFICIAL, "claude-sonnet-4-5", {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3}),
        (OFFICIAL, "claude-opus-5-5", {"temperature": 0.3, "top_k": 3}, {}),
        (
            CLONE,
            "x",
            {"temperature": 0.3, "top_p": 0.97, "effort": "low"},
            {"top_p": 0.97, "thinking": {"type": "enabled", "budget_tokens": 4096}},
        ),
        (CLONE, "x", {"stop": ("a", " \n")}, {"stop_sequences": ["a"]}),
        (CLONE, "x", {"user": "u", "service_tier": "flex"}, {"metadata": {"user_id": "u"}}),
        (CLONE, "x", {"user": "u" * 300, "service_tier": "auto"}, {"service_tier": "auto"}),
    ],
)
def test_numbers_and_thinking(dialect: Dialect, model: str, asks: Json, expected: Json) -> None:
    written = write(Conversation(model, messages=HELLO, **asks), dialect)
    assert {k: v for k, v in written.items() if k not in ("model", "messages")} == {
        "max_tokens": 32000,
        **expected,
    } or (
        "max_tokens" not in expected
        and {k: v for k, v in written.items() if k not in ("model", "messages", "max_tokens")} == expected
    )
    thinking = written.get("thinking", {})
    assert thinking.get("budget_tokens", 0) < written["max_tokens"]


def test_thinking_is_off_where_anthropic_would_refuse_it() -> None:
    forced = Conversation("m", messages=HELLO, tools=(Tool("f"),), tool_choice=ToolChoice("required"), effort="high")
    assert "thinking" not in write(forced)
    assert lost(forced) == ["thinking_off"]
    unthought = Conversation(
        "claude-sonnet-4-5",
        effort="high",
        messages=(
            *HELLO,
            Message("assistant", (Reasoning("hm"), ToolCall("a", "f", "{}"))),
            Message("user", (ToolResult("a", (Text("x"),)),)),
        ),
    )
    assert "thinking" not in write(unthought, OFFICIAL)
    assert "thinking" in write(unthought, CLONE)


def test_structured_answers() -> None:
    schema = {"type": "object", "additionalProperties": False}
    conversation = Conversation("claude-opus-5-5", messages=HELLO, format=AnswerFormat("json_schema", "n", schema))
    assert write(conversation, OFFICIAL)["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    in_words = write(conversation)["system"][0]["text"]
    assert json.dumps(schema, separators=(",", ":")) in in_words
    assert lost(conversation) == ["format_in_words"]
    assert (
        "JSON object"
        in write(Conversation("m", messages=HELLO, format=AnswerFormat("json_object")), OFFICIAL)["system"][0]["text"]
    )


def test_images_and_files() -> None:
    parts = (
        Image("image/jpg", "AAAA"),
        Image("", url="https://e.org/a.png"),
        Image("image/tiff", "AAAA"),
        File("application/pdf", data="QQ==", name="a.pdf"),
        File("text/plain", text="abc", name="a.txt"),
        File("", id="file-1"),
    )
    conversation = Conversation("m", messages=(Message("user", parts),))
    assert bare(write(conversation)["messages"][0]["content"]) == [
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://e.org/a.png"}},
        {"type": "text", "text": "[an image that this model cannot see]"},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "QQ=="},
            "title": "a.pdf",
        },
        {"type": "text", "text": "a.txt\nabc"},
        {"type": "text", "text": "[a file that this model cannot read: ]"},
    ]
    assert lost(conversation) == ["image", "file"]
    assert write(conversation, OFFICIAL)["messages"][0]["content"][4]["type"] == "document"
    blind = write(conversation, Dialect(images=False))["messages"][0]["content"]
    assert [b["type"] for b in blind[:3]] == ["text"] * 3


def marks(written: Json) -> list[str]:
    found = [f"tools[{i}]" for i, t in enumerate(written.get("tools", ())) if "cache_control" in t]
    found += [f"system[{i}]" for i, t in enumerate(written.get("system", ())) if "cache_control" in t]
    for i, m in enumerate(written["messages"]):
        found += [f"messages[{i}][{j}]" for j, b in enumerate(m["content"]) if "cache_control" in b]
    return found


def test_marks_for_the_cache() -> None:
    turns = tuple(Message("user" if i % 2 == 0 else "assistant", (Text("a"), Text("b"))) for i in range(5))
    conversation = Conversation("m", system=(Text("s"), Text("t")), messages=turns, tools=(Tool("f"),))
    assert marks(write(conversation)) == ["system[1]", "messages[2][1]", "messages[4][1]"]
    assert marks(write(conversation, Dialect(cache_control=False))) == []
    own = tuple(Message("user", (Text(str(i), cache=True),)) for i in range(6))
    assert marks(write(Conversation("m", system=(Text("s", cache=True),), messages=own))) == [
        "system[0]",
        "messages[0][3]",
        "messages[0][4]",
        "messages[0][5]",
    ]


def test_what_anthropic_has_no_member_for_is_told() -> None:
    conversation = Conversation("m", messages=HELLO, cache_key="k", verbosity="low", logprobs=3, effort="high")
    assert lost(conversation) == ["cache_key", "verbosity", "logprobs"]


# Answers, read.


def sent(*values: Any) -> list[tuple[str, bytes]]:
    return [(v.get("type", "") if isinstance(v, dict) else "", json.dumps(v).encode()) for v in values]


def events(*values: Any) -> list[Event]:
    reader = anthropic.reader()
    return [e for name, data in sent(*values) for e in reader.feed(name, data)] + reader.end()


START: Json = {
    "type": "message_start",
    "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 9, "output_tokens": 1}},
}
STOP: Json = {"type": "message_stop"}
STARTED = Started("msg_1", "m", Usage(9, 1))


def start(index: int, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **more: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def end(index: int) -> Json:
    return {"type": "content_block_stop", "index": index}


def finish(reason: Optional[str], **usage: int) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def test_a_stream_with_every_block() -> None:
    assert events(
        START,
        {"type": "ping"},
        start(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="sig"),
        end(0),
        start(1, type="redacted_thinking", data="xyz"),
        end(1),
        start(2, type="text", text=""),
        delta(2, "text_delta", text="a"),
        delta(2, "citations_delta", citation={}),
        delta(2, "text_delta", text="b"),
        end(2),
        start(3, type="server_tool_use", id="s", name="web_search", input={}),
        delta(3, "input_json_delta", partial_json='{"query"'),
        end(3),
        start(4, type="web_search_tool_result", tool_use_id="s", content=[]),
        end(4),
        start(5, type="tool_use", id="toolu_1", name="Bash", input={}),
        delta(5, "input_json_delta", partial_json=""),
        delta(5, "input_json_delta", partial_json='{"a":1}'),
        end(5),
        finish("tool_use", output_tokens=7),
        STOP,
    ) == [
        STARTED,
        Ping(),
        ReasoningStart(0),
        Delta(0, "hm"),
        BlockEnd(0, "sig"),
        ReasoningStart(1),
        BlockEnd(1, "", "xyz", True),
        TextStart(2),
        Delta(2, "a"),
        Delta(2, "b"),
        BlockEnd(2),
        ToolStart(3, "toolu_1", "Bash"),
        Delta(3, '{"a":1}'),
        BlockEnd(3),
        Stop("tools", Usage(9, 7)),
    ]


@pytest.mark.parametrize(
    ("said", "called", "reason"),
    [
        ("end_turn", False, "end"),
        ("end_turn", True, "tools"),
        ("tool_use", True, "tools"),
        ("max_tokens", True, "length"),
        ("stop_sequence", False, "sequence"),
        ("refusal", False, "refusal"),
        ("pause_turn", False, "pause"),
        ("model_context_window_exceeded", False, "context"),
        ("something_new", False, "end"),
        ([], False, "end"),
    ],
)
def test_stop_reasons(said: Any, called: bool, reason: str) -> None:
    call = [start(0, type="tool_use", id="a", name="b", input={}), end(0)] if called else []
    assert events(START, *call, finish(said), STOP)[-1] == Stop(reason, Usage(9, 1))  # type: ignore[arg-type]


def test_a_stop_sequence_is_told() -> None:
    told = {"type": "message_delta", "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"}}
    assert events(START, told, STOP)[-1] == Stop("sequence", Usage(9, 1), "END")


def test_ends_and_cuts() -> None:
    text = [start(0, type="text", text=""), delta(0, "text_delta", text="a")]
    whole = [STARTED, TextStart(0), Delta(0, "a"), BlockEnd(0), Stop("end", Usage(9, 1))]
    assert events(START, *text, end(0), finish("end_turn")) == whole  # no message_stop
    assert events(START, *text, finish("end_turn"), STOP) == whole  # no content_block_stop
    assert events(START, *text, end(0), STOP) == whole  # no message_delta
    assert events(START, *text, end(0), STOP, *text, STOP) == whole  # something behind the end
    for cut in ((START, *text), (START, *text, end(0)), (START,), ()):
        last = events(*cut)[-1]
        assert isinstance(last, Failed)
        assert (last.error.kind, last.error.status) == ("cut", 502)


def test_an_error_in_the_middle() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    found = events(START, error, finish("end_turn"), STOP)
    assert found == [STARTED, Failed(WireError("overloaded", "Overloaded", 503, "", "overloaded_error"))]
    assert events({"base_resp": {"status_code": 1002, "status_msg": "slow"}})[0] == Failed(
        WireError("rate_limit", "slow", 429, "", "1002")
    )


def test_arguments_in_the_start_of_the_block() -> None:
    assert events(START, start(0, type="tool_use", id="a", name="b", input={"c": 1}), end(0), finish("tool_use"))[
        1:4
    ] == [
        ToolStart(0, "a", "b"),
        Delta(0, '{"c":1}'),
        BlockEnd(0),
    ]
    twice = [
        start(0, type="tool_use", id="a", name="b", input={"c": 1}),
        delta(0, "input_json_delta", partial_json="{}"),
    ]
    assert events(START, *twice, end(0), finish("tool_use"))[2:4] == [Delta(0, "{}"), BlockEnd(0)]


def test_streams_that_leave_something_out() -> None:
    text = [TextStart(0), Delta(0, "a"), BlockEnd(0)]
    assert events(start(0, type="text", text="a"), end(0), finish("end_turn", output_tokens=1)) == [
        Started("", ""),
        *text,
        Stop("end", Usage(0, 1)),
    ]
    assert events(START, delta(0, "text_delta", text="a"), finish("end_turn"))[1:4] == text
    assert events(START, start(0, type="text", text="a"), start(0, type="text", text="b"), STOP)[1:7] == [
        *text,
        TextStart(1),
        Delta(1, "b"),
        BlockEnd(1),
    ]
    assert events(5, [], None, {"type": "unknown"}, START, {"type": 5}, STOP) == [STARTED, Stop("end", Usage(9, 1))]


@pytest.mark.parametrize(
    ("first", "last", "usage"),
    [
        ({"input_tokens": 9, "output_tokens": 1}, {"output_tokens": 7}, Usage(9, 7)),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 5, "output_tokens": 7}, Usage(5, 7)),
        (
            {"input_tokens": 1000},
            {"input_tokens": 100, "cache_read_input_tokens": 900, "output_tokens": 7},
            Usage(100, 7, 900),
        ),
        (
            {"input_tokens": 1000},
            {"input_tokens": 0, "cache_read_input_tokens": 900, "output_tokens": 7},
            Usage(0, 7, 900),
        ),
        (
            {"input_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3},
            {"output_tokens": 7},
            Usage(5, 7, 4, 3),
        ),
        ({"input_tokens": 5, "cache_read_input_tokens": 4}, {"input_tokens": 5, "output_tokens": 7}, Usage(5, 7, 4)),
        (
            {},
            {"prompt_tokens": 9, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 3}},
            Usage(6, 7, 3),
        ),
        ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 0, "output_tokens": 0}, None),
        ({}, {}, None),
    ],
)
def test_usage_in_all_shapes(first: Json, last: Json, usage: Optional[Usage]) -> None:
    begin = {"type": "message_start", "message": {"id": "m", "usage": first}}
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last}
    assert events(begin, stop, STOP)[-1] == Stop("end", usage)


def test_an_answer_that_is_no_stream() -> None:
    body = {
        "id": "msg_1",
        "type": "message",
        "model": "m",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            {"type": "text", "text": "a"},
            {"type": "server_tool_use", "id": "s", "name": "x", "input": {}},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"c": 1}},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 9, "output_tokens": 1},
    }
    assert anthropic.read_answer(json.dumps(body).encode()) == [
        STARTED,
        ReasoningStart(0),
        Delta(0, "hm"),
        BlockEnd(0, "sig"),
        TextStart(1),
        Delta(1, "a"),
        BlockEnd(1),
        ToolStart(2, "t", "f"),
        Delta(2, '{"c":1}'),
        BlockEnd(2),
        Stop("tools", Usage(9, 1)),
    ]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"content":"x"}', b'{"error":{"message":"x"}}', b"{" * 9999])
def test_what_is_no_answer_failed(body: bytes) -> None:
    [failed] = anthropic.read_answer(body)
    assert isinstance(failed, Failed)
    assert failed.error.status >= 400


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "message_start",
                    "content_block_start",
                    "content_block_delta",
                    "message_delta",
                    "content_block_stop",
                    "error",
                    "message_stop",
                    "",
                ]
            ),
            JSON
            | st.fixed_dictionaries(
                {},
                optional={
                    "index": JSON,
                    "content_block": JSON,
                    "delta": JSON,
                    "message": JSON,
                    "usage": JSON,
                    "error": JSON,
                },
            ),
        ),
        max_size=8,
    )
)
def test_hostile_streams_raise_nothing_and_keep_the_rules(given_events: list[tuple[str, Any]]) -> None:
    reader = anthropic.reader()
    found: list[Event] = []
    for name, value in given_events:
        found += reader.feed(name, json.dumps(value).encode())
        found += reader.feed(name, b"\xff{")
    found += reader.end()
    assert reader.end() == reader.feed("message_stop", b"{}") == []
    check_rules(found)


def check_rules(found: list[Event]) -> None:
    """The rules of ``wire.messages`` for a sequence of events."""
    assert isinstance(found[-1], (Stop, Failed))
    assert not any(isinstance(e, (Stop, Failed)) for e in found[:-1])
    assert sum(isinstance(e, Started) for e in found) <= 1
    seen: list[int] = []
    live: set[int] = set()
    for event in found:
        if isinstance(event, (TextStart, ReasoningStart, ToolStart, RefusalStart)):
            assert event.block == len(seen)
            seen.append(event.block)
            live.add(event.block)
        elif isinstance(event, Delta):
            assert event.block in live
            assert event.text
        elif isinstance(event, BlockEnd):
            live.remove(event.block)
        elif isinstance(event, Stop):
            assert not live


# Answers, written.


def written(found: list[Event], **more: Any) -> list[Json]:
    writer = anthropic.writer(asked(**more))
    decoder = sse.Decoder()
    text = b"".join(writer.write(event) for event in found)
    values = []
    for name, data in decoder.feed(text) + decoder.end():
        value = json.loads(data)
        assert value["type"] == name
        values.append(value)
    return values


def test_a_stream() -> None:
    usage = Usage(3, 7, 5, 1, 2)
    found = [
        Started("upstream's id", "upstream's model"),
        ReasoningStart(0),
        Delta(0, "hm"),
        BlockEnd(0),
        TextStart(1),
        Delta(1, 'a "quote"\n'),
        Delta(1, "ä"),
        BlockEnd(1),
        Stop("end", usage),
    ]
    first, *rest = written(found, upstream="glm", estimate=lambda: 100)
    assert first["message"] == {
        "id": f"msg_{ID}",
        "type": "message",
        "role": "assistant",
        "model": "glm-5.3",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 100,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        },
    }
    assert rest == [
        start(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature=reasoning.mark("glm")),
        end(0),
        start(1, type="text", text=""),
        delta(1, "text_delta", text='a "quote"\n'),
        delta(1, "text_delta", text="ä"),
        end(1),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 1,
                "cache_read_input_tokens": 5,
                "output_tokens": 7,
                "output_tokens_details": {"thinking_tokens": 2},
            },
        },
        STOP,
    ]


def call(block: int, id: str = "a", name: str = "f") -> ToolStart:
    return ToolStart(block, id, name)


def test_parallel_calls_whose_deltas_interleave() -> None:
    found = written(
        [
            Started("", ""),
            TextStart(0),
            Delta(0, "x"),
            call(1, "a", "f"),
            call(2, "b", "g"),
            Delta(1, '{"p":'),
            Delta(2, '{"q'),
            Delta(1, "1}"),
            Delta(2, '":2}'),
            call(3, "c", "h"),
            BlockEnd(0),
            BlockEnd(1),
            BlockEnd(2),
            BlockEnd(3),
            Stop("tools"),
        ]
    )
    assert found[1:-2] == [
        start(0, type="text", text=""),
        delta(0, "text_delta", text="x"),
        end(0),
        start(1, type="tool_use", id="a", name="f", input={}),
        delta(1, "input_json_delta", partial_json='{"p":'),
        delta(1, "input_json_delta", partial_json="1}"),
        end(1),
        start(2, type="tool_use", id="b", name="g", input={}),
        delta(2, "input_json_delta", partial_json='{"q'),
        delta(2, "input_json_delta", partial_json='":2}'),
        end(2),
        start(3, type="tool_use", id="c", name="h", input={}),
        delta(3, "input_json_delta", partial_json="{}"),
        end(3),
    ]


def test_a_delta_of_the_open_block_goes_out_at_once_and_the_others_wait_until_it_is_complete() -> None:
    writer = anthropic.writer(asked())
    for event in (Started("", ""), call(0, "a"), call(1, "b")):
        writer.write(event)
    assert b'"{' in writer.write(Delta(0, '{"p":'))
    assert writer.write(Delta(1, '{"q":2}')) == b""
    both = writer.write(Delta(0, "{}}"))
    assert both.count(b"content_block_stop") == 2  # the event and its type
    assert b'"id":"b"' in both
    assert b'{\\"q\\":2}' in both


def test_text_that_goes_on_after_a_call_began() -> None:
    found = written(
        [
            Started("", ""),
            TextStart(0),
            Delta(0, "a"),
            call(1),
            Delta(1, "{"),
            Delta(0, "b"),
            Delta(1, "}"),
            BlockEnd(1),
            BlockEnd(0),
            Stop("tools"),
        ]
    )
    assert [v["content_block"]["type"] for v in found if v["type"] == "content_block_start"] == [
        "text",
        "tool_use",
        "text",
    ]
    assert [v["delta"].get("text") for v in found if v["type"] == "content_block_delta"] == ["a", None, None, "b"]


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        ([], "{}"),
        ([" "], "{}"),
        (["null"], "{}"),
        (['""'], "{}"),
        (['"{\\"a\\"', ': 1}"'], '{"a": 1}'),
        (["[1", "]"], '{"arguments":[1]}'),
        (["not json"], '{"arguments":"not json"}'),
        ([' {"a"', ":1}"], ' {"a":1}'),
        (['{"a":'], '{"a":'),  # cut by the provider: the client sees what there is
    ],
)
def test_arguments_always_begin_as_an_object(pieces: list[str], whole: str) -> None:
    found = written([Started("", ""), call(0), *(Delta(0, p) for p in pieces), BlockEnd(0), Stop("tools")])
    assert "".join(v["delta"]["partial_json"] for v in found if v["type"] == "content_block_delta") == whole


def test_ids_of_calls_are_fit_and_unique() -> None:
    earlier = Conversation("m", messages=(Message("assistant", (ToolCall("call_1", "f", "{}"),)),))
    ids = ["call_1", "functions.Bash:0", "", "x", "x"]
    blocks: list[Event] = [e for i, id in enumerate(ids) for e in (call(i, id), BlockEnd(i))]
    found = written([Started("", ""), *blocks, Stop("tools")], conversation=earlier)
    given_ids = [v["content_block"]["id"] for v in found if v["type"] == "content_block_start"]
    assert len(set(given_ids) | {"call_1"}) == 6
    assert all(map(tools.good_id, given_ids))
    assert given_ids[3] == "x"


def test_names_of_calls_are_the_clients() -> None:
    long = "mcp__" + "n" * 80
    conversation = Conversation("m", tools=(Tool(long),))
    flat = tools.ToolNames.of(conversation).flat(long)
    found = written([Started("", ""), call(0, "a", flat), BlockEnd(0), Stop("tools")], conversation=conversation)
    assert found[1]["content_block"]["name"] == long


@pytest.mark.parametrize(
    ("last", "blocks"),
    [
        (BlockEnd(0), []),
        (BlockEnd(0, "sig"), [{"type": "thinking", "thinking": "", "signature": ""}]),
        (
            BlockEnd(0, "", "enc", True),
            [{"type": "redacted_thinking", "data": reasoning.pack("", "up", encrypted="enc")}],
        ),
    ],
)
def test_reasoning_without_text(last: BlockEnd, blocks: list[Json]) -> None:
    found = written([Started("", ""), ReasoningStart(0), last, Stop("end")], upstream="up")
    assert [v["content_block"] for v in found if v["type"] == "content_block_start"] == blocks


def test_encrypted_reasoning_comes_back_to_its_upstream() -> None:
    found = written(
        [Started("", ""), ReasoningStart(0), Delta(0, "hm"), BlockEnd(0, "", "enc"), Stop("end")], upstream="up"
    )
    signature = found[3]["delta"]["signature"]
    assert reasoning.is_mark(signature)
    kept = Conversation("m", messages=(Message("assistant", (Reasoning("hm", signature=signature),)),))
    assert reasoning.for_upstream(kept, "up").messages[0].parts == (Reasoning("hm", encrypted="enc"),)
    assert reasoning.for_upstream(kept, "other").messages[0].parts == (Reasoning("hm"),)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("end", "end_turn"),
        ("tools", "tool_use"),
        ("length", "max_tokens"),
        ("sequence", "stop_sequence"),
        ("refusal", "refusal"),
        ("pause", "pause_turn"),
        ("context", "model_context_window_exceeded"),
    ],
)
def test_stop_reasons_written(reason: Any, said: str) -> None:
    assert written([Started("", ""), Stop(reason, sequence="END")])[1]["delta"] == {
        "stop_reason": said,
        "stop_sequence": "END",
    }


def test_nothing_is_estimated_when_the_usage_was_told() -> None:
    """An estimate of a long conversation takes longer than all the rest."""

    def estimate() -> int:
        raise AssertionError

    events = [Started("", ""), TextStart(0), Delta(0, "x"), BlockEnd(0), Stop("end", Usage(3, 4))]
    body = json.loads(anthropic.write_answer(events, asked(estimate=estimate)))
    assert body["usage"] == {
        "input_tokens": 3,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 4,
    }


def test_usage_is_estimated_when_it_was_never_told() -> None:
    found = written([Started("", ""), TextStart(0), Delta(0, "x" * 300), BlockEnd(0), Stop("end")], estimate=lambda: 50)
    assert (found[-2]["usage"]["input_tokens"], found[-2]["usage"]["output_tokens"]) == (50, 100)


def test_a_failure_never_looks_finished() -> None:
    error = WireError("overloaded", "Overloaded", 529)
    found = written([Started("", ""), TextStart(0), Delta(0, "a"), Failed(error), Delta(0, "b"), Stop("end"), Ping()])
    assert [v["type"] for v in found] == ["message_start", "content_block_start", "content_block_delta", "error"]
    assert found[-1]["error"] == {"type": "overloaded_error", "message": "Overloaded"}
    assert [v["type"] for v in written([Failed(error)])] == ["error"]


def test_pings_come_after_the_start() -> None:
    assert [v["type"] for v in written([Ping(), Started("", ""), Ping(), Stop("end")])] == [
        "message_start",
        "ping",
        "message_delta",
        "message_stop",
    ]


# Round trips.


class Said(NamedTuple):
    kind: str
    pieces: tuple[str, ...]


INTEGERS = st.integers(-(2**63), 2**64 - 1)
"""Larger ones become floats where orjson reads them."""

OBJECTS = st.dictionaries(
    st.text('ab"\\{}[]:, ä', max_size=4), INTEGERS | st.text(max_size=5) | st.lists(st.none()), max_size=3
)


@st.composite
def cut(draw: st.DrawFn, text: str) -> tuple[str, ...]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return tuple(text[a:b] for a, b in itertools.pairwise([0, *places, len(text)]) if a != b)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Said], list[Event]]:
    """What is said, and events that say it: calls stand in groups in which they interleave."""
    said: list[Said] = []
    found: list[Event] = [Started("id", "model")]
    for group in draw(st.lists(st.sampled_from(["text", "thinking", "refusal", "tools"]), max_size=4)):
        if group != "tools":
            block = Said("text" if group == "refusal" else group, draw(cut(draw(st.text(min_size=1, max_size=8)))))
            number = len(said)
            begin: Event = {"text": TextStart, "thinking": ReasoningStart, "refusal": RefusalStart}[group](number)  # type: ignore[abstract,operator]
            found += [begin, *(Delta(number, p) for p in block.pieces), BlockEnd(number)]
            said.append(block)
            continue
        queues: list[list[Event]] = []
        for _ in range(draw(st.integers(1, 3))):
            number = len(said)
            pieces = draw(cut(json.dumps(draw(OBJECTS), ensure_ascii=False)))
            said.append(Said("tool", pieces))
            queues.append([ToolStart(number, draw(st.sampled_from(["", "a", "b:1"])), f"tool{number}")])
            queues[-1] += [*(Delta(number, p) for p in pieces), BlockEnd(number)]
        # Starts come in order; what is behind them in any.
        opened = 0
        while any(queues):
            choices = [i for i, q in enumerate(queues) if q and (i < opened or i == opened)]
            index = draw(st.sampled_from(choices))
            opened = max(opened, index + 1)
            found.append(queues[index].pop(0))
    found.append(Stop("tools" if any(s.kind == "tool" for s in said) else "end", Usage(1, 2, 3, 4)))
    return said, found


def meaning(found: list[Event]) -> list[tuple[str, Any]]:
    texts: dict[int, list[str]] = {}
    kinds: dict[int, str] = {}
    for event in found:
        if isinstance(event, (TextStart, ReasoningStart, ToolStart)):
            kinds[event.block] = {TextStart: "text", ReasoningStart: "thinking", ToolStart: "tool"}[type(event)]
            texts[event.block] = [event.name] if isinstance(event, ToolStart) else []
        elif isinstance(event, Delta):
            texts[event.block].append(event.text)
    return [
        (kinds[b], (t[0], json.loads("".join(t[1:]))) if kinds[b] == "tool" else "".join(t)) for b, t in texts.items()
    ]


def expected(said: list[Said]) -> list[tuple[str, Any]]:
    return [
        (s.kind, (f"tool{i}", json.loads("".join(s.pieces))) if s.kind == "tool" else "".join(s.pieces))
        for i, s in enumerate(said)
    ]


@settings(max_examples=100, deadline=None)
@given(answers(), st.data())
def test_a_stream_that_is_written_and_read_means_the_same(
    case: tuple[list[Said], list[Event]], data: st.DataObject
) -> None:
    said, found = case
    check_rules(found)
    writer = anthropic.writer(asked())
    text = b"".join(writer.write(event) for event in found)
    check_canonical(text)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    decoder, reader = sse.Decoder(), anthropic.reader()
    again: list[Event] = []
    for a, b in itertools.pairwise([0, *cuts, len(text)]):
        for name, value in decoder.feed(text[a:b]):
            again += reader.feed(name, value)
    again += reader.end()
    check_rules(again)
    assert meaning(again) == expected(said)
    assert again[-1] == found[-1]


@settings(max_examples=100, deadline=None)
@given(answers())
def test_an_answer_that_is_written_and_read_means_the_same(case: tuple[list[Said], list[Event]]) -> None:
    said, found = case
    again = anthropic.read_answer(anthropic.write_answer(found, asked()))
    check_rules(again)
    assert meaning(again) == expected(said)
    assert again[-1] == found[-1]


def check_canonical(text: bytes) -> None:
    """One block at a time, indexes from 0, one start, the end at the end."""
    decoder = sse.Decoder()
    live, count, kinds = -1, 0, []
    for _name, data in decoder.feed(text):
        value = json.loads(data)
        kinds.append(value["type"])
        if value["type"] == "content_block_start":
            assert live == -1
            assert value["index"] == count
            live, count = count, count + 1
        elif value["type"] == "content_block_delta":
            assert value["index"] == live
        elif value["type"] == "content_block_stop":
            assert value["index"] == live
            live = -1
    assert kinds[0] == "message_start"
    assert kinds.count("message_start") == 1
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert live == -1


# The official SDK.


def client(body: bytes, kind: str) -> sdk.Anthropic:
    def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": kind}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return sdk.Anthropic(api_key="k", base_url="http://relay", http_client=http, max_retries=0)


QUESTION: Json = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}


@settings(max_examples=40, deadline=None)
@given(answers())
def test_the_sdk_puts_a_stream_together(case: tuple[list[Said], list[Event]]) -> None:
    said, found = case
    writer = anthropic.writer(asked())
    text = b"".join(writer.write(event) for event in found)
    with client(text, "text/event-stream") as http, http.messages.stream(**QUESTION) as stream:
        message = stream.get_final_message()
    assert of_sdk(message) == expected(said)
    assert message.stop_reason == ("tool_use" if any(s.kind == "tool" for s in said) else "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (1, 2)
    assert (message.usage.cache_read_input_tokens, message.usage.cache_creation_input_tokens) == (3, 4)


@settings(max_examples=20, deadline=None)
@given(answers())
def test_the_sdk_reads_an_answer(case: tuple[list[Said], list[Event]]) -> None:
    said, found = case
    with client(anthropic.write_answer(found, asked()), "application/json") as http:
        assert of_sdk(http.messages.create(**QUESTION)) == expected(said)


def of_sdk(message: Any) -> list[tuple[str, Any]]:
    return [
        ("tool", (b.name, b.input)) if b.type == "tool_use" else (b.type, b.text if b.type == "text" else b.thinking)
        for b in message.content
    ]


def test_the_sdk_raises_an_error_in_the_middle() -> None:
    writer = anthropic.writer(asked())
    error = WireError("overloaded", "Overloaded", 529)
    text = b"".join(map(writer.write, [Started("", ""), TextStart(0), Delta(0, "a"), Failed(error)]))
    with (
        client(text, "text/event-stream") as http,
        http.messages.stream(**QUESTION) as stream,
        pytest.raises(sdk.APIStatusError, match="Overloaded"),
    ):
        stream.get_final_message()


# Errors.


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (WireError("invalid_request", "x", 422), 422, "invalid_request_error"),
        (WireError("authentication", "x", 401), 401, "authentication_error"),
        (WireError("permission", "x", 403), 403, "permission_error"),
        (WireError("quota", "x", 402), 402, "billing_error"),
        (WireError("quota", "x", 429), 429, "rate_limit_error"),
        (WireError("not_found", "x", 404), 404, "not_found_error"),
        (WireError("too_large", "x", 413), 413, "request_too_large"),
        (WireError("rate_limit", "x", 429, "7"), 429, "rate_limit_error"),
        (WireError("overloaded", "x", 529), 529, "overloaded_error"),
        (WireError("server", "x", 200), 500, "api_error"),
        (WireError("timeout", "x", 0), 504, "timeout_error"),
        (WireError("cut", "x", 502), 502, "api_error"),
    ],
)
def test_errors(error: WireError, status: int, kind: str) -> None:
    written_status, body = anthropic.write_error(error)
    assert (written_status, json.loads(body)) == (status, {"type": "error", "error": {"type": kind, "message": "x"}})
    again = errors.extract(status, body, error.retry_after)
    assert again.kind == error.kind or (error.kind, again.kind) in [("quota", "rate_limit"), ("cut", "server")]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("prompt is too long: 9 tokens > 8 maximum", "prompt is too long: 9 tokens > 8 maximum"),
        (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 8545 tokens.",
            "prompt is too long: 8545 tokens > 8192 maximum (This model's maximum context length is 8192 tokens. "
            "However, your messages resulted in 8545 tokens.)",
        ),
        (
            "The input token count (1,196,265) exceeds the maximum number (1,048,575).",
            "prompt is too long: 1196265 tokens > 1048575 maximum (The input token count (1,196,265) exceeds the "
            "maximum number (1,048,575).)",
        ),
        ("Prompt exceeds max length", "prompt is too long: Prompt exceeds max length"),
    ],
)
def test_a_context_that_is_too_long_makes_claude_code_compact(said: str, message: str) -> None:
    status, body = anthropic.write_error(WireError("context", said, 500))
    assert status == 400
    assert json.loads(body)["error"] == {"type": "invalid_request_error", "message": message}


def test_an_answer_that_failed_is_the_body_of_an_error() -> None:
    body = anthropic.write_answer([Failed(WireError("server", "x", 500))], asked())
    assert json.loads(body) == {"type": "error", "error": {"type": "api_error", "message": "x"}}


def test_losses_of_a_conversation_of_codex() -> None:
    conversation = Conversation("m", messages=HELLO, losses=(Loss("input[0]", "x"),))
    assert lost(conversation) == []  # those of its reader are not told again
