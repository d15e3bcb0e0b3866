"""Requests and errors of OpenAI Responses: what Codex sends, and what a Responses upstream gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import anthropic, chat, errors, reasoning, responses
from ccsetup.relay.wire.messages import (
    AnswerFormat,
    Asked,
    BadRequest,
    BlockEnd,
    Conversation,
    Delta,
    Dialect,
    File,
    Image,
    Loss,
    Message,
    Part,
    Reasoning,
    ReasoningStart,
    Started,
    Stop,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    ToolStart,
    Usage,
    WireError,
)
from ccsetup.relay.wire.tools import ToolNames

CODEX = (Path(__file__).parents[3] / "data/relay/codex-responses-request.json").read_bytes()
OFFICIAL, OTHER = Dialect(official=True), Dialect()
Json = dict[str, Any]


def read(**members: Any) -> Conversation:
    return responses.read_request(json.dumps({"model": "m", "input": "hi", **members}).encode())


def read_items(*items: Json) -> tuple[Message, ...]:
    return read(input=list(items)).messages


def write(conversation: Conversation, dialect: Dialect = OTHER) -> tuple[Json, list[Loss]]:
    body, losses = responses.write_request(conversation, dialect, ToolNames.of(conversation))
    for loss in losses:
        assert loss.code in responses.LOSSES
    return json.loads(body), losses


def items(*messages: Message, dialect: Dialect = OTHER) -> list[Json]:
    found: list[Json] = write(Conversation("m", messages=messages), dialect)[0]["input"]
    return found


def user(*parts: Part) -> Message:
    return Message("user", parts)


def assistant(*parts: Part) -> Message:
    return Message("assistant", parts)


# Reading


def test_the_real_request_of_codex() -> None:
    """Codex 0.169: developer messages in front are the system text, groups of tools keep their group."""
    found = responses.read_request(CODEX)
    assert [len(t.text) > 5 for t in found.system] == [True] * 3
    assert [m.role for m in found.messages] == ["user", "user"]
    assert (found.stream, found.summary, found.parallel, found.tool_choice) == (True, "auto", True, ToolChoice("auto"))
    assert found.cache_key.startswith("01a1fa3c")
    assert [t.name for t in found.tools if t.namespace == "multi_agent_v1"] == [
        "close_agent",
        "resume_agent",
        "send_input",
        "spawn_agent",
        "wait_agent",
    ]
    assert [(t.name, t.kind) for t in found.tools][-1] == ("web_search", "hosted")
    assert {loss.code for loss in found.losses} == {"telemetry", "namespace_description"}


def test_codex_tools_reach_a_chat_provider() -> None:
    """All twelve functions are offered under flat names, and each name leads back to Codex's own."""
    found = responses.read_request(CODEX)
    names = ToolNames.of(found)
    body, _losses = chat.write_request(found, OTHER, names)
    flat = [tool["function"]["name"] for tool in json.loads(body)["tools"]]
    back = [names.back(name) for name in flat]
    assert len(flat) == 12
    assert len(set(flat)) == 12
    offered = [tool for tool in found.tools if tool.kind == "function"]
    assert back == [Tool(tool.name, namespace=tool.namespace) for tool in offered]


def test_history_is_grouped_into_turns() -> None:
    """What the model did in one go is one message, the results of its calls are one."""
    found = read_items(
        {"role": "user", "content": "go"},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "on it"}]},
        {"type": "function_call", "call_id": "a", "name": "x", "arguments": "{}", "namespace": "ns"},
        {"type": "custom_tool_call", "call_id": "b", "name": "apply_patch", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "a", "output": "1"},
        {
            "type": "custom_tool_call_output",
            "call_id": "b",
            "output": [
                {"type": "input_text", "text": "ok"},
                {"type": "input_image", "image_url": "data:image/png;base64,QUJD"},
            ],
        },
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "more"}]},
        {"type": "message", "role": "developer", "content": "careful"},
    )
    assert found == (
        user(Text("go")),
        assistant(
            Reasoning("hm", summary=True, id="rs_1"),
            Text("on it"),
            ToolCall("a", "x", "{}", namespace="ns"),
            ToolCall("b", "apply_patch", "*** Begin", custom=True),
        ),
        user(
            ToolResult("a", (Text("1"),)),
            ToolResult("b", (Text("ok"), Image("image/png", "QUJD")), custom=True),
        ),
        user(Text("more")),
        Message("developer", (Text("careful"),)),
    )


ENVELOPE = reasoning.pack("all of it", "deepseek")


@pytest.mark.parametrize(
    ("item", "part"),
    [
        pytest.param(
            {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
            Reasoning("t"),
            id="text",
        ),
        pytest.param(
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": ENVELOPE},
            Reasoning("all of it", encrypted=ENVELOPE),
            id="ours",
        ),
        pytest.param(
            {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAAA"},
            Reasoning("", encrypted="gAAAA", redacted=True),
            id="openai",
        ),
        pytest.param(
            {"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}},
            ToolCall("c", "local_shell", '{"type":"exec","command":["ls"]}'),
            id="local-shell",
        ),
        pytest.param(
            {"type": "function_call", "call_id": "c", "name": "x", "arguments": {"a": 1}},
            ToolCall("c", "x", '{"a":1}'),
            id="arguments-as-an-object",
        ),
        pytest.param(
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            Text("no"),
            id="refusal",
        ),
    ],
)
def test_an_item_of_the_model(item: Json, part: Part) -> None:
    """Every kind of item that a model made becomes a part of its turn."""
    assert read_items(item) == (assistant(part),)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            {"type": "input_image", "image_url": "https://x/y.png", "detail": "high"},
            Image("", url="https://x/y.png", detail="high"),
        ),
        (
            {"type": "input_image", "image_url": "data:image/gif;base64,QQ==", "detail": "auto"},
            Image("image/gif", "QQ=="),
        ),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="},
            File("application/pdf", data="QQ==", name="a.pdf"),
        ),
        ({"type": "input_file", "file_url": "https://x"}, File("", url="https://x")),
        ({"type": "input_file", "file_id": "file-1"}, File("", id="file-1")),
    ],
)
def test_content_of_the_user(part: Json, expected: Part) -> None:
    """Images and files are taken as data, URL or id."""
    assert read_items({"role": "user", "content": [part]}) == (user(expected),)


def test_options() -> None:
    """Every member that the neutral form has reaches it."""
    found = read(
        instructions="be brief",
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        reasoning={"effort": "high", "summary": "detailed"},
        text={
            "verbosity": "low",
            "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True},
        },
        tool_choice={"type": "function", "name": "x", "namespace": "ns"},
        user="u",
        service_tier="flex",
        metadata={"k": "v"},
        tools=[
            {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"}}
        ],
    )
    assert found._replace(echo={}) == Conversation(
        "m",
        system=(Text("be brief"),),
        messages=(user(Text("hi")),),
        tools=(Tool("p", kind="custom", format={"type": "grammar", "syntax": "lark", "definition": "start: x"}),),
        tool_choice=ToolChoice("tool", "x", "ns"),
        max_tokens=100,
        temperature=0.5,
        top_p=0.9,
        effort="high",
        summary="detailed",
        verbosity="low",
        format=AnswerFormat("json_schema", "n", {"type": "object"}, True),
        user="u",
        service_tier="flex",
    )
    assert found.echo["metadata"] == {"k": "v"}
    assert found.echo["instructions"] == "be brief"


def test_allowed_tools_are_the_ones_that_are_offered() -> None:
    """A choice among some tools hides the others."""
    given_tools = [{"type": "function", "name": n} for n in "ab"]
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}
    found = read(tools=given_tools, tool_choice=choice)
    assert [t.name for t in found.tools] == ["b"]
    assert found.tool_choice == ToolChoice("required")


def test_tools_that_were_found_later_are_offered() -> None:
    """Codex puts tools that a search found into the input."""
    found = read(
        input=[
            {"type": "tool_search_call", "call_id": "s", "execution": "client", "arguments": {"query": "q"}},
            {
                "type": "tool_search_output",
                "call_id": "s",
                "execution": "client",
                "tools": [{"type": "namespace", "name": "mcp__x", "tools": [{"type": "function", "name": "y"}]}],
            },
            {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "z"}]},
        ]
    )
    assert found.tools == (Tool("y", namespace="mcp__x"), Tool("z"))
    assert found.messages == (
        assistant(ToolCall("s", "tool_search", '{"query":"q"}')),
        user(ToolResult("s", (Text("Found: y"),))),
    )


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "previous_response_not_found"),
        ({"conversation": "conv_1"}, "conversation", "conversation_not_found"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "prompt_not_found"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id", ""),
        ({"input": [{"id": "msg_1"}]}, "input[0].id", ""),
        ({"input": None}, "input", ""),
        ({"input": ["text"]}, "input[0]", ""),
        ({"input": [{"type": ["message"]}]}, "input[0].type", ""),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role", ""),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text", ""),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].image_url",
            "",
        ),
        ({"model": 5}, "model", ""),
        ({"tools": [{"type": "function"}]}, "tools[0].name", ""),
        ({"max_output_tokens": 0}, "max_output_tokens", ""),
        ({"temperature": "hot"}, "temperature", ""),
        ({"reasoning": "high"}, "reasoning", ""),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused(members: Json, param: str, code: str) -> None:
    """State that only another service has is never guessed; a wrong type names its place."""
    with pytest.raises(BadRequest) as caught:
        read(**members)
    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b'"x"', b"\xff", b'{"model":"m","input":NaN}'])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    """Nothing but BadRequest leaves the reader."""
    with pytest.raises(BadRequest):
        responses.read_request(body)


def test_what_is_dropped_is_told() -> None:
    """Everything that the neutral form has no place for is a loss with a sentence."""
    found = read(
        store=True,
        background=True,
        truncation="auto",
        include=["reasoning.encrypted_content", "file_search_call.results"],
        prompt_cache_retention="24h",
        max_tool_calls=3,
        client_metadata={"a": "b"},
        context_management=[],
        shiny=1,
        reasoning={"effort": "low", "context": "auto"},
        tool_choice={"type": "web_search"},
        input=[
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "compaction", "encrypted_content": "x"},
            {"type": "wormhole"},
            {"role": "user", "content": [{"type": "input_audio"}, {"type": "smell"}]},
            {"role": "assistant", "phase": "commentary", "content": "x"},
        ],
    )
    assert {(loss.path, loss.code) for loss in found.losses} == {
        ("store", "store"),
        ("background", "background"),
        ("truncation", "truncation"),
        ("include[1]", "include"),
        ("prompt_cache_retention", "prompt_cache"),
        ("max_tool_calls", "max_tool_calls"),
        ("client_metadata", "telemetry"),
        ("context_management", "openai_only"),
        ("shiny", "unknown_member"),
        ("reasoning.context", "reasoning_options"),
        ("tool_choice", "tool_choice_hosted"),
        ("input[0]", "hosted_item"),
        ("input[1]", "compacted"),
        ("input[2]", "unknown_item"),
        ("input[3].content[0]", "audio"),
        ("input[3].content[1]", "unknown_content"),
        ("input[4].phase", "phase"),
    }
    assert {loss.code for loss in found.losses} <= set(responses.LOSSES)


NOISE: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([None, True, 0, -1, 1.5, "", "x", "auto", "user", "function", "message", 10**400]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "role",
                    "content",
                    "text",
                    "name",
                    "call_id",
                    "arguments",
                    "input",
                    "output",
                    "id",
                    "namespace",
                    "tools",
                    "summary",
                    "encrypted_content",
                    "format",
                    "mode",
                    "effort",
                    "strict",
                    "parameters",
                    "action",
                    "image_url",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(
    [
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "local_shell_call",
        "local_shell_call_output",
        "tool_search_call",
        "tool_search_output",
        "additional_tools",
        "namespace",
        "custom",
        "function",
    ]
)
TYPED = st.builds(lambda kind, rest: {**(rest if isinstance(rest, dict) else {}), "type": kind}, KINDS, NOISE)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "input",
                "tools",
                "tool_choice",
                "reasoning",
                "text",
                "include",
                "metadata",
                "instructions",
                "stream",
                "user",
                "top_logprobs",
            ]
        ),
        st.one_of(NOISE, st.lists(TYPED, max_size=3)),
        max_size=5,
    )
)
@settings(max_examples=300)
def test_hostile_requests_raise_bad_request_only(members: Json) -> None:
    """Whatever stands in a request, it is read, or refused as a bad one; and what was read can be written."""
    try:
        found = read(**members)
    except BadRequest:
        return
    assert {loss.code for loss in found.losses} <= set(responses.LOSSES)
    for dialect in (OFFICIAL, OTHER):
        write(found, dialect)


def test_a_deeply_nested_request_is_carried_or_refused() -> None:
    """Neither the parser's nor the writer's depth is a way to a crash."""
    for depth in (300, 600, 900, 1100, 100_000):
        nested = b'{"a":' * depth + b"1" + b"}" * depth
        body = b'{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":%b}]}' % nested
        try:
            written, _losses = responses.write_request(responses.read_request(body), OTHER, ToolNames(()))
        except BadRequest:
            assert depth > 200
        else:
            assert written.count(b'{"a":') == depth


# Writing


def test_a_body_for_openai() -> None:
    """Nothing is stored, reasoning comes encrypted, strictness is said, for OpenAI would guess it."""
    conversation = Conversation(
        "gpt",
        system=(Text("one"), Text("two", cache=True)),
        messages=(user(Text("hi"), Image("image/png", "QUJD")),),
        tools=(Tool("f", "does", {"type": "object"}), Tool("bare")),
        tool_choice=ToolChoice("tool", "f"),
        parallel=False,
        max_tokens=1,
        temperature=1.0,
        stop=("X",),
        top_k=4,
        stream=True,
        thinking=Thinking("enabled", 5000),
        user="u",
        cache_key="k",
    )
    body, losses = write(conversation, OFFICIAL)
    assert body == {
        "model": "gpt",
        "instructions": "one\n\ntwo",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "hi"},
                    {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "auto"},
                ],
            }
        ],
        "tools": [
            {"type": "function", "name": "f", "description": "does", "parameters": {"type": "object"}, "strict": False},
            {"type": "function", "name": "bare", "parameters": {"type": "object", "properties": {}}, "strict": False},
        ],
        "tool_choice": {"type": "function", "name": "f"},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 16,
        "prompt_cache_key": "k",
        "safety_identifier": "u",
        "store": False,
        "stream": True,
    }
    assert {loss.code for loss in losses} == {"cache_control", "max_tokens", "stop", "top_k", "thinking_budget"}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, None),
        ({"effort": "minimal"}, {"effort": "minimal"}),
        ({"effort": "max"}, {"effort": "xhigh"}),
        ({"effort": "high", "thinking": Thinking("adaptive")}, {"effort": "high", "summary": "auto"}),
        ({"thinking": Thinking("adaptive", display="omitted"), "effort": "low"}, {"effort": "low"}),
        ({"thinking": Thinking("adaptive")}, {"summary": "auto"}),
        ({"thinking": Thinking("enabled", 1024)}, {"effort": "low", "summary": "auto"}),
        ({"thinking": Thinking("enabled", 64000)}, {"effort": "high", "summary": "auto"}),
        ({"thinking": Thinking("disabled")}, {"effort": "low"}),
        ({"thinking": Thinking("disabled"), "effort": "none"}, {"effort": "none"}),
        ({"summary": "detailed"}, {"summary": "detailed"}),
    ],
)
def test_how_much_to_think(members: Json, expected: Json | None) -> None:
    """Budgets and modes become efforts that every reasoning model takes."""
    body, _losses = write(Conversation("m", messages=(user(Text("x")),), **members), OFFICIAL)
    assert body.get("reasoning") == expected
    assert ("include" in body) is (expected is not None)


def test_sampling_reaches_who_takes_it() -> None:
    """OpenAI refuses temperature for models that think; others get it."""
    asked = Conversation("m", messages=(user(Text("x")),), temperature=0.2, effort="low")
    body, losses = write(asked, OFFICIAL)
    assert "temperature" not in body
    assert Loss("temperature", "sampling") in losses
    assert write(asked)[0]["temperature"] == 0.2


def test_reasoning_for_openai_is_only_its_own() -> None:
    """Text, signatures of others, our envelopes and a last thought without an answer never reach OpenAI."""
    said = items(
        assistant(
            Reasoning("plain"),
            Reasoning("signed", signature="Er1"),
            Reasoning("", encrypted="EuY5anthropic", redacted=True),
            Reasoning("", encrypted=ENVELOPE, redacted=True),
            Reasoning("sum", summary=True, encrypted="gAAAAx", id="rs_1"),
            Text("answer"),
            Reasoning("", encrypted="gAAAAlast"),
        ),
        dialect=OFFICIAL,
    )
    assert said == [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "sum"}],
            "encrypted_content": "gAAAAx",
        },
        {"type": "message", "role": "assistant", "content": "answer"},
    ]


def test_reasoning_for_others_is_its_text() -> None:
    """Providers that verify nothing get the thinking back, with an id that stays the same through the conversation."""
    one, two = (items(assistant(Reasoning("plain"), Text("a")))[0] for _ in range(2))
    assert one == two
    assert one["content"] == [{"type": "reasoning_text", "text": "plain"}]
    assert one["id"].startswith("rs_")


def test_calls_and_results_find_each_other() -> None:
    """Ids that are ill-formed or repeated become fit on both sides; what is missing a half is made whole."""
    written = items(
        assistant(
            ToolCall("functions.x:0", "x", ""), ToolCall("functions.x:0", "x", '{"n":2}'), ToolCall("c", "y", "oops")
        ),
        user(
            ToolResult("functions.x:0", (Text("first"),)),
            ToolResult("functions.x:0", (Text("second"), Text("line")), is_error=True),
            ToolResult("nobody", (Text("lost"),)),
            Text("and?"),
        ),
    )
    ids = [item["call_id"] for item in written if item["type"] == "function_call"]
    assert len(set(ids)) == 3
    assert ids[2] == "c"
    assert [item.get("arguments") for item in written[:3]] == ["{}", '{"n":2}', '{"arguments":"oops"}']
    assert [(i["call_id"], i["output"]) for i in written if i["type"] == "function_call_output"] == [
        ("c", "no result: the call was interrupted"),
        (ids[0], "first"),
        (ids[1], "second\nline"),
    ]
    assert written[-1]["content"] == [
        {"type": "input_text", "text": "[result of an earlier tool call, nobody]"},
        {"type": "input_text", "text": "lost"},
        {"type": "input_text", "text": "and?"},
    ]


def test_an_image_in_a_result() -> None:
    """A result with an image is a list, as Codex sends it; who sees no images gets a note."""
    history = (assistant(ToolCall("a", "x", "{}")), user(ToolResult("a", (Text("see"), Image("image/png", "QQ==")))))
    assert items(*history)[1]["output"] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_image", "image_url": "data:image/png;base64,QQ==", "detail": "auto"},
    ]
    blind = items(*history, dialect=Dialect(images=False))[1]["output"]
    assert blind == "see\n[an image was here that this model cannot see]"


def test_groups_and_custom_tools() -> None:
    """Groups are flattened, in history too; free text is OpenAI's own kind there and a function elsewhere."""
    conversation = Conversation(
        "m",
        messages=(
            assistant(ToolCall("a", "f", "{}", namespace="mcp__s"), ToolCall("b", "patch", "*** x", custom=True)),
            user(ToolResult("a", (Text("1"),)), ToolResult("b", (Text("2"),), custom=True)),
        ),
        tools=(Tool("f", namespace="mcp__s"), Tool("patch", kind="custom", format={"type": "text"})),
        tool_choice=ToolChoice("tool", "f", "mcp__s"),
    )
    body, losses = write(conversation, OFFICIAL)
    assert [(t["type"], t["name"]) for t in body["tools"]] == [("function", "mcp__s__f"), ("custom", "patch")]
    assert body["tool_choice"] == {"type": "function", "name": "mcp__s__f"}
    assert [(i["type"], i.get("name"), i.get("input")) for i in body["input"]] == [
        ("function_call", "mcp__s__f", None),
        ("custom_tool_call", "patch", "*** x"),
        ("function_call_output", None, None),
        ("custom_tool_call_output", None, None),
    ]
    assert losses == []
    body, losses = write(conversation)
    assert [t["type"] for t in body["tools"]] == ["function", "function"]
    assert body["input"][1]["arguments"] == '{"input":"*** x"}'
    assert [loss.code for loss in losses] == ["custom_tool"]


def test_hosted_tools_only_where_they_are() -> None:
    """A provider without the tool is not asked for it, and a choice of nothing is none."""
    conversation = Conversation(
        "m",
        messages=(user(Text("x")),),
        tools=(Tool("web_search", kind="hosted", raw={"type": "web_search_20250305", "name": "web_search"}),),
        tool_choice=ToolChoice("tool", "web_search"),
    )
    body, losses = write(conversation)
    assert "tools" not in body
    assert "tool_choice" not in body
    assert [loss.code for loss in losses] == ["hosted_tool", "tool_choice_gone"]
    body, _losses = write(conversation, Dialect(official=True, hosted=("web_search",)))
    assert body["tools"] == [{"type": "web_search"}]
    assert body["tool_choice"] == {"type": "web_search"}


def test_a_schema_in_words() -> None:
    """Who takes no schema is told it."""
    asked = Conversation("m", messages=(user(Text("x")),), format=AnswerFormat("json_schema", "n", {"type": "array"}))
    body, _losses = write(asked, Dialect(structured=False))
    assert body["text"] == {"format": {"type": "json_object"}}
    assert '{"type":"array"}' in body["instructions"]
    assert write(asked)[0]["text"] == {"format": {"type": "json_schema", "name": "n", "schema": {"type": "array"}}}


def test_system_text_in_between() -> None:
    """It stays where it is, or becomes the user's where the provider refuses it."""
    between = (user(Text("a")), Message("system", (Text("note"),)), user(Text("b")))
    assert [i["role"] for i in items(*between)] == ["user", "system", "user"]
    folded = items(*between, dialect=Dialect(system_between=False))
    assert [i["role"] for i in folded] == ["user"] * 3
    assert "note" in folded[1]["content"][0]["text"]


WORD = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
NAME = st.from_regex(r"[a-zA-Z][a-zA-Z0-9_]{0,10}", fullmatch=True)
CONTENT = st.one_of(
    WORD.map(Text),
    st.builds(lambda d: Image("image/png", d), st.sampled_from(["QUJD", "QQ=="])),
    st.builds(lambda n: File("application/pdf", data="QQ==", name=n), NAME),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[Message, ...]:
    out: list[Message] = [user(*draw(st.lists(CONTENT, min_size=1, max_size=3)))]
    for turn in range(draw(st.integers(0, 3))):
        parts: list[Part] = [Reasoning(draw(WORD), id=f"rs_{turn}")] if draw(st.booleans()) else []
        parts += [Text(draw(WORD))] if draw(st.booleans()) else []
        calls = [ToolCall(f"call_{turn}_{n}", draw(NAME), '{"a":1}') for n in range(draw(st.integers(0, 3)))]
        if parts or calls:
            out.append(assistant(*parts, *calls))
        if calls:
            out.append(user(*(ToolResult(c.id, tuple(draw(st.lists(CONTENT, min_size=1, max_size=1)))) for c in calls)))
        out.append(user(*draw(st.lists(CONTENT, min_size=1, max_size=2))))
    return tuple(out)


@given(histories(), st.lists(NAME, max_size=3, unique=True), st.booleans(), st.sampled_from(["", "low", "high"]))
@settings(max_examples=80)
def test_what_it_can_carry_it_carries_whole(
    history: tuple[Message, ...], names: list[str], stream: bool, effort: str
) -> None:
    """Written for an upstream and read again, a conversation is the same."""
    conversation = Conversation(
        "m",
        system=(Text("sys"),),
        messages=history,
        tools=tuple(Tool(name, "d", {"type": "object"}, strict=False) for name in names),
        max_tokens=50,
        top_p=0.5,
        stream=stream,
        effort=effort,
        format=AnswerFormat("json_schema", "n", {"type": "object"}, True),
        cache_key="k",
    )
    body, losses = responses.write_request(conversation, OTHER, ToolNames.of(conversation))
    again = responses.read_request(body)
    assert losses == []
    assert again.losses == ()
    assert again._replace(echo={}) == conversation


@pytest.mark.parametrize("shown", ["a summary", ""])
def test_claude_code_in_front_of_openai_keeps_its_reasoning(shown: str) -> None:
    """OpenAI's encrypted reasoning travels in a thinking block's signature, or in a redacted block, and goes home."""
    asked = Conversation(
        "m", messages=(user(Text("x")),), tools=(Tool("f"),), thinking=Thinking("adaptive"), stream=True
    )
    answer = [
        Started("r", "m"),
        ReasoningStart(0, summary=True),
        *([Delta(0, shown)] if shown else []),
        BlockEnd(0, encrypted="gAAAAAx", redacted=not shown),
        ToolStart(1, "c", "f"),
        Delta(1, "{}"),
        BlockEnd(1),
        Stop("tools", Usage(1, 1)),
    ]
    said = json.loads(
        anthropic.write_answer(answer, Asked(asked, ToolNames.of(asked), "0" * 32, 1, "openai", lambda: 1))
    )
    assert [block["type"] for block in said["content"]] == ["thinking" if shown else "redacted_thinking", "tool_use"]
    history = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": said["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "1"}]},
    ]
    again = anthropic.read_request(json.dumps({"model": "m", "max_tokens": 99, "messages": history}).encode())
    home, _losses = write(reasoning.for_upstream(again, "openai"), OFFICIAL)
    assert [i["type"] for i in home["input"]] == ["message", "reasoning", "function_call", "function_call_output"]
    assert home["input"][1]["encrypted_content"] == "gAAAAAx"
    elsewhere, _losses = write(reasoning.for_upstream(again, "azure"), OFFICIAL)
    assert [i["type"] for i in elsewhere["input"]] == ["message", "function_call", "function_call_output"]


# Errors


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (WireError("rate_limit", "slow", 429), 429, "rate_limit_exceeded"),
        (WireError("rate_limit", "slow", 429, code="1302"), 429, "1302"),
        (WireError("context", "too long", 413, code="1261"), 400, "context_length_exceeded"),
        (WireError("cut", "gone", 0), 502, "stream_cut"),
        (WireError("authentication", "key", 401), 401, "invalid_api_key"),
    ],
)
def test_errors_in_openais_shape(error: WireError, status: int, code: str) -> None:
    """Status and code are those that Codex acts on: a full context is a 400 with its code, so that it compacts."""
    got, body = responses.write_error(error)
    assert got == status
    assert json.loads(body)["error"]["code"] == code
    assert json.loads(body)["error"]["message"] == error.message
    assert errors.extract(got, body, "3").kind == error.kind or error.kind == "cut"
    assert errors.extract(got, body, "3").retry_after == "3"
