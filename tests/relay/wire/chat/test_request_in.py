"""Chat Completions requests: what clients send, and what each kind of provider gets."""

from __future__ import annotations

import json
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import chat
from ccsetup.relay.wire.history import NO_RESULT
from ccsetup.relay.wire.messages import (
    AnswerFormat,
    BadRequest,
    Conversation,
    Dialect,
    File,
    Image,
    Losses,
    Message,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from ccsetup.relay.wire.tools import ToolNames

PLAIN = Dialect()
OPENAI = Dialect(
    official=True,
    reasoning_field="reasoning_content",  # OpenAI takes none; here so that nothing is lost
    thinking_switch="reasoning_effort",
    developer=True,
    max_tokens_field="max_completion_tokens",
)
BASH = Tool("Bash", "Runs it.", {"type": "object", "properties": {"command": {"type": "string"}}})
PICTURE = Image("image/png", "iVBORw0KGgo=")
HI = Message("user", (Text("hi"),))


def write(conversation: Conversation, dialect: Dialect = PLAIN) -> tuple[dict[str, Any], Losses]:
    body, losses = chat.write_request(conversation, dialect, ToolNames.of(conversation))
    assert {loss.code for loss in losses} <= set(chat.LOSSES)
    return json.loads(body), losses


def body_of(dialect: Dialect = PLAIN, **members: Any) -> dict[str, Any]:
    return write(Conversation("m", **{"messages": (HI,), **members}), dialect)[0]


def sent(*messages: Message, dialect: Dialect = PLAIN, **members: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body_of(dialect, messages=messages, **members)["messages"]
    return found


def lost(dialect: Dialect = PLAIN, **members: Any) -> list[tuple[str, str]]:
    return [tuple(loss) for loss in write(Conversation("m", **{"messages": (HI,), **members}), dialect)[1]]


def said(*parts: Any) -> Message:
    return Message("assistant", parts)


def user(*parts: Any) -> Message:
    return Message("user", parts)


def function(id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


# Messages


def test_the_least_request() -> None:
    assert body_of() == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_a_turn_with_tools() -> None:
    """One assistant message with its thinking, its text and all calls; then the results in order; then the user."""
    assert sent(
        user(Text("do it")),
        said(Reasoning("first "), Reasoning("second")),
        said(Text("I do"), ToolCall("a", "Bash", '{"command": "ls"}')),
        said(ToolCall("b", "Bash", "")),
        user(Text("and now?"), ToolResult("b", (Text("B"), Text("C"))), ToolResult("a", (Text("A"),))),
    ) == [
        {"role": "user", "content": "do it"},
        {
            "role": "assistant",
            "content": "I do",
            "reasoning_content": "first \n\nsecond",
            "tool_calls": [function("a", "Bash", '{"command": "ls"}'), function("b", "Bash", "{}")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "A"},
        {"role": "tool", "tool_call_id": "b", "content": "B\n\nC"},
        {"role": "user", "content": "and now?"},
    ]


def test_a_turn_with_calls_always_has_its_thinking() -> None:
    """DeepSeek, Kimi and GLM refuse it without the member; a turn without calls and thinking needs none."""
    turn = (said(ToolCall("a", "Bash", "{}")), user(ToolResult("a", (Text("A"),))), said(Text("done")), HI)
    messages = sent(HI, *turn)
    assert messages[1]["reasoning_content"] == ""
    assert "reasoning_content" not in messages[3]
    assert "reasoning_content" not in sent(HI, *turn, dialect=Dialect(reasoning_field=""))[1]
    assert sent(HI, *turn, dialect=Dialect(reasoning_field="reasoning"))[1]["reasoning"] == ""


def test_thinking_without_calls_is_sent_back_too() -> None:
    assert sent(HI, said(Reasoning("r"), Text("t")), HI)[1] == {
        "role": "assistant",
        "content": "t",
        "reasoning_content": "r",
    }


def test_reasoning_details_keep_signatures() -> None:
    thought = Reasoning("r", signature="s")
    dialect = Dialect(reasoning_field="reasoning_details")
    details = [{"type": "reasoning.text", "text": "r", "signature": "s"}]
    turn = sent(HI, said(thought, Text("t")), HI, dialect=dialect)[1]
    assert turn["reasoning_details"] == details
    assert lost(messages=(HI, said(thought, Text("t")))) == [("messages[1]", "reasoning_seal")]


@pytest.mark.parametrize("parts", [(), (Reasoning("only"),), (Text(""),)])
def test_an_assistant_message_that_says_nothing_is_left_out(parts: Any) -> None:
    """Kimi: "the message at position 1 with role 'assistant' must not be empty"."""
    assert sent(HI, said(*parts), HI) == [{"role": "user", "content": "hi"}] * 2


def test_empty_content_beside_calls() -> None:
    """OpenAI documents null, Ollama and LM Studio refuse it."""
    turn = (HI, said(ToolCall("a", "Bash", "{}")), user(ToolResult("a", ())))
    assert sent(*turn)[1]["content"] == ""
    assert sent(*turn, dialect=OPENAI)[1]["content"] is None
    assert sent(*turn)[2]["content"] == "(no output)"


def test_texts_become_one() -> None:
    """Many providers refuse a list of texts, or read the first one only."""
    message = user(Text("a"), Text(""), Text("b"))
    assert sent(message) == [{"role": "user", "content": "a\n\nb"}]
    assert sent(message, dialect=OPENAI)[0]["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_images() -> None:
    message = user(Text("look"), PICTURE, Image("", url="https://x/y.png", detail="low"))
    assert sent(message)[0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
    ]
    blind = Dialect(images=False)
    assert "image" in sent(message, dialect=blind)[0]["content"]
    assert lost(blind, messages=(message,)) == [("messages[0]", "image")] * 2


def test_images_of_results_move_behind_all_results() -> None:
    messages = sent(
        HI,
        said(ToolCall("a", "Read", "{}"), ToolCall("b", "Read", "{}")),
        user(ToolResult("a", (PICTURE,)), ToolResult("b", (Text("B"),)), Text("what is it?")),
    )
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert isinstance(messages[2]["content"], str)
    assert messages[2]["content"]
    assert [p["type"] for p in messages[4]["content"]] == ["text", "image_url", "text"]
    assert messages[4]["content"][2]["text"] == "what is it?"


def test_images_of_results_at_the_end_get_a_message() -> None:
    messages = sent(HI, said(ToolCall("a", "Read", "{}")), user(ToolResult("a", (Text("A"), PICTURE))), said(Text("x")))
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "user", "assistant"]
    assert messages[3]["content"][1]["type"] == "image_url"


def test_a_failed_tool_is_told_in_words() -> None:
    messages = sent(HI, said(ToolCall("a", "Bash", "{}")), user(ToolResult("a", (Text("boom"),), is_error=True)))
    assert messages[2]["content"].endswith("boom")
    assert "failed" in messages[2]["content"]


def test_an_interrupted_call_has_a_result() -> None:
    messages = sent(HI, said(ToolCall("a", "Bash", "{}")), HI)
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "user"]
    assert NO_RESULT in messages[2]["content"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (File("text/plain", text="body"), "body"),
        (File("text/plain", text="body", name="a.txt"), "[a.txt]\nbody"),
        (File("text/csv", data="YSxi"), "a,b"),
        (File("application/json", data="e30="), "{}"),
    ],
)
def test_files_of_text(file: File, text: str) -> None:
    assert sent(user(file)) == [{"role": "user", "content": text}]
    assert lost(messages=(user(file),)) == []


def test_other_files() -> None:
    pdf = File("application/pdf", data="JVBERg==", name="a.pdf")
    assert "a.pdf" in sent(user(pdf))[0]["content"]
    assert lost(messages=(user(pdf),)) == [("messages[0]", "file")]
    assert sent(user(pdf), dialect=OPENAI)[0]["content"] == [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}}
    ]
    assert sent(user(File("image/png", data="AAAA")))[0]["content"][0]["type"] == "image_url"
    assert lost(messages=(user(File("text/plain", data="%%%")),)) == [("messages[0]", "file")]


def test_system_messages() -> None:
    between = Message("developer", (Text("rule"),))
    system = (Text("be"), Text("kind"))
    assert sent(HI, between, system=system) == [
        {"role": "system", "content": "be\n\nkind"},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "rule"},
    ]
    assert sent(HI, between, dialect=OPENAI)[1]["role"] == "developer"
    strict = Dialect(system_between=False)
    assert sent(HI, between, HI, dialect=strict) == [
        {"role": "user", "content": "hi\n\n<system-reminder>\nrule\n</system-reminder>\n\nhi"}
    ]
    assert lost(strict, messages=(HI, between)) == [("messages[1]", "system_between")]


def test_cache_marks_are_dropped_and_told_once() -> None:
    """Claude Code sets several in every request."""
    members: Any = {
        "system": (Text("s", cache=True), Text("t", cache=True)),
        "messages": (user(Text("hi", cache=True)),),
        "tools": (BASH._replace(cache=True),),
    }
    assert "cache_control" not in json.dumps(body_of(**members))
    assert lost(**members) == [("system", "cache_control")]


# Tools


def test_tools() -> None:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": {"a": {}}}
    body = body_of(tools=(Tool("A", "does", schema, strict=True), Tool("B"), Tool("C", schema={"anyOf": [{}]})))
    assert body["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "A",
                "description": "does",
                "parameters": {"type": "object", "properties": {"a": {}}},
            },
        },
        {"type": "function", "function": {"name": "B", "parameters": {"type": "object", "properties": {}}}},
        {
            "type": "function",
            "function": {"name": "C", "parameters": {"type": "object", "anyOf": [{}], "properties": {}}},
        },
    ]
    assert lost(tools=(Tool("A", strict=True), Tool("B", strict=False))) == [("tools[0]", "strict")]
    assert body_of(OPENAI, tools=(Tool("A", strict=True),))["tools"][0]["function"]["strict"] is True


def test_namespaces_become_names_in_tools_history_and_choice() -> None:
    tool = Tool("spawn", namespace="agents")
    call = ToolCall("a", "spawn", "{}", namespace="agents")
    body = body_of(tools=(tool,), messages=(HI, said(call)), tool_choice=ToolChoice("tool", "spawn", "agents"))
    assert body["tools"][0]["function"]["name"] == "agents__spawn"
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == "agents__spawn"
    assert body["tool_choice"] == {"type": "function", "function": {"name": "agents__spawn"}}


CUSTOM = Tool("apply_patch", "Patches.", kind="custom", format={"type": "grammar", "syntax": "lark", "definition": "x"})
PATCHED = (HI, said(ToolCall("a", "apply_patch", "*** Begin", custom=True)), user(ToolResult("a", (Text("ok"),))))


def test_a_custom_tool_becomes_a_function_with_one_text() -> None:
    body, losses = write(Conversation("m", messages=PATCHED, tools=(CUSTOM,)))
    parameters = body["tools"][0]["function"]["parameters"]
    assert parameters["required"] == ["input"]
    assert body["messages"][1]["tool_calls"] == [function("a", "apply_patch", '{"input":"*** Begin"}')]
    assert [loss.code for loss in losses] == ["custom_tool"]


def test_openai_gets_custom_tools_as_they_are() -> None:
    body = body_of(OPENAI, messages=PATCHED, tools=(CUSTOM,), tool_choice=ToolChoice("tool", "apply_patch"))
    grammar = {"syntax": "lark", "definition": "x"}
    assert body["tools"] == [
        {
            "type": "custom",
            "custom": {
                "name": "apply_patch",
                "description": "Patches.",
                "format": {"type": "grammar", "grammar": grammar},
            },
        }
    ]
    assert body["messages"][1]["tool_calls"] == [
        {"id": "a", "type": "custom", "custom": {"name": "apply_patch", "input": "*** Begin"}}
    ]
    assert body["tool_choice"] == {"type": "custom", "custom": {"name": "apply_patch"}}


HOSTED = Tool("web_search", kind="hosted", raw={"type": "web_search", "external_web_access": False})


def test_hosted_tools_are_dropped_with_the_choice_of_them() -> None:
    """Providers answer 400 to tool types that they do not know, and to tool_choice without tools."""
    body, losses = write(Conversation("m", messages=(HI,), tools=(HOSTED,), tool_choice=ToolChoice("required")))
    assert "tools" not in body
    assert "tool_choice" not in body
    assert [tuple(loss) for loss in losses] == [("tools[0]", "hosted_tool")]
    body = body_of(Dialect(hosted=("web_search",)), tools=(HOSTED, BASH), tool_choice=ToolChoice("auto"))
    assert [t["type"] for t in body["tools"]] == ["web_search", "function"]
    body = body_of(tools=(HOSTED, BASH), tool_choice=ToolChoice("tool", "web_search"), parallel=False)
    assert "tool_choice" not in body
    assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize(("mode", "wanted"), [("auto", "auto"), ("none", "none"), ("required", "required")])
def test_tool_choice(mode: Any, wanted: str) -> None:
    assert body_of(tools=(BASH,), tool_choice=ToolChoice(mode))["tool_choice"] == wanted
    assert "tool_choice" not in body_of(tool_choice=ToolChoice(mode))


def test_parallel_calls_are_only_mentioned_where_they_are_not_the_default() -> None:
    assert "parallel_tool_calls" not in body_of(tools=(BASH,), parallel=True)
    assert body_of(OPENAI, tools=(BASH,), parallel=True)["parallel_tool_calls"] is True
    assert "parallel_tool_calls" not in body_of(OPENAI, parallel=True)


def test_broken_arguments_of_the_history_are_mended() -> None:
    """Many providers parse them again, and refuse the whole request."""
    messages = sent(HI, said(ToolCall("a", "Write", '{"text": "cut')), user(ToolResult("a", (Text("bad"),))))
    assert isinstance(json.loads(messages[1]["tool_calls"][0]["function"]["arguments"]), dict)


# The rest


def test_limits() -> None:
    body, losses = write(
        Conversation("m", messages=(HI,), max_tokens=128_000, temperature=0.5, top_p=0.9, top_k=5, stop=tuple("abcde")),
        Dialect(max_output=32_000),
    )
    assert (body["max_tokens"], body["temperature"], body["top_p"]) == (32_000, 0.5, 0.9)
    assert body["stop"] == ["a", "b", "c", "d"]
    assert "top_k" not in body
    assert {loss.code for loss in losses} == {"max_tokens", "top_k", "stop"}
    assert body_of(OPENAI, max_tokens=5)["max_completion_tokens"] == 5
    assert "max_tokens" not in body_of(Dialect(max_output=32_000))


def test_streams_ask_for_the_usage() -> None:
    """Also when the client did not: the relay counts."""
    body = body_of(stream=True, include_usage=False)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})
    assert "stream_options" not in body_of(Dialect(stream_usage=False), stream=True)
    assert "stream_options" not in body_of()


@pytest.mark.parametrize(
    ("switch", "members", "wanted", "codes"),
    [
        ("", {"thinking": Thinking("enabled", 5000)}, {}, ["thinking"]),
        ("", {}, {}, []),
        ("thinking", {"thinking": Thinking("adaptive")}, {"thinking": {"type": "enabled"}}, []),
        ("thinking", {"thinking": Thinking("disabled")}, {"thinking": {"type": "disabled"}}, []),
        ("thinking", {"effort": "none"}, {"thinking": {"type": "disabled"}}, []),
        ("thinking", {"effort": "high"}, {"thinking": {"type": "enabled"}}, ["effort"]),
        ("thinking", {"thinking": Thinking("enabled", 5)}, {"thinking": {"type": "enabled"}}, ["thinking_budget"]),
        ("thinking", {}, {}, []),
        (
            "enable_thinking",
            {"thinking": Thinking("enabled", 5000)},
            {"enable_thinking": True, "thinking_budget": 5000},
            [],
        ),
        ("enable_thinking", {"thinking": Thinking("disabled", 5000)}, {"enable_thinking": False}, []),
        ("reasoning_effort", {"effort": "medium"}, {"reasoning_effort": "medium"}, []),
        ("reasoning_effort", {"effort": "max"}, {"reasoning_effort": "high"}, ["effort"]),
        ("reasoning_effort", {"thinking": Thinking("enabled", 8000)}, {"reasoning_effort": "medium"}, ["effort"]),
        ("reasoning_effort", {"thinking": Thinking("adaptive")}, {}, []),
        ("reasoning", {"effort": "high"}, {"reasoning": {"effort": "high"}}, []),
        ("reasoning", {"effort": "none"}, {"reasoning": {"effort": "none"}}, []),
        ("reasoning", {"thinking": Thinking("enabled", 9)}, {"reasoning": {"max_tokens": 9}}, []),
        ("reasoning", {"thinking": Thinking("adaptive")}, {"reasoning": {"enabled": True}}, []),
    ],
)
def test_thinking(switch: Any, members: Any, wanted: dict[str, Any], codes: list[str]) -> None:
    dialect = Dialect(thinking_switch=switch)
    body = body_of(dialect, **members)
    assert {k: v for k, v in body.items() if k not in ("model", "messages")} == wanted
    assert [code for _, code in lost(dialect, **members)] == codes


@pytest.mark.parametrize(("switch", "off"), [("thinking", {"type": "disabled"}), ("enable_thinking", False)])
def test_a_forced_tool_switches_thinking_off(switch: Any, off: Any) -> None:
    """DeepSeek, Kimi and Qwen think by default, and refuse both together."""
    dialect = Dialect(thinking_switch=switch)
    forced: Any = {"tools": (BASH,), "tool_choice": ToolChoice("tool", "Bash")}
    assert body_of(dialect, **forced)[switch] == off
    assert lost(dialect, **forced) == []
    assert lost(dialect, thinking=Thinking("enabled"), **forced) == [("thinking", "thinking_forced_tool")]


def test_formats() -> None:
    schema = AnswerFormat("json_schema", "title", {"type": "object"}, True)
    assert body_of(format=schema)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "title", "schema": {"type": "object"}, "strict": True},
    }
    assert body_of(format=AnswerFormat("json_object"))["response_format"] == {"type": "json_object"}
    words = Dialect(structured=False)
    body = body_of(words, format=schema, system=(Text("s"),))
    assert "response_format" not in body
    assert body["messages"][0]["content"].startswith("s\n\n")
    assert '{"type":"object"}' in body["messages"][0]["content"]
    assert lost(words, format=schema) == [("response_format", "format_in_words")]


def test_what_only_openai_gets() -> None:
    members: Any = {"user": "u", "service_tier": "flex", "verbosity": "low", "cache_key": "k"}
    assert set(body_of(**members)) == {"model", "messages"}
    assert {code for _, code in lost(**members)} == {"user", "service_tier", "verbosity", "cache_key"}
    body = body_of(OPENAI, **members)
    assert (body["safety_identifier"], body["service_tier"]) == ("u", "flex")
    assert (body["verbosity"], body["prompt_cache_key"]) == ("low", "k")
    assert "safety_identifier" not in body_of(OPENAI, user="u" * 65)


# Reading


def conversation(**members: Any) -> Conversation:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}
    return chat.read_request(json.dumps(body).encode())


def test_reading_a_request_with_everything() -> None:
    found = conversation(
        messages=[
            {"role": "system", "content": "be"},
            {"role": "developer", "content": [{"type": "text", "text": "kind", "cache_control": {}}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,QUJD"}},
                    {"type": "image_url", "image_url": "https://x/y.png"},
                    {"type": "file", "file": {"file_id": "f1"}},
                ],
            },
            {
                "role": "assistant",
                "content": "ok",
                "reasoning_content": "why",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "Bash", "arguments": "{}"}},
                    {"id": "b", "type": "custom", "custom": {"name": "patch", "input": "raw"}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "A"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "B"}]},
            {"role": "system", "content": "now"},
        ],
        tools=[
            {"type": "function", "function": {"name": "Bash", "parameters": {"type": "object"}, "strict": True}},
            {
                "type": "custom",
                "custom": {
                    "name": "patch",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
                },
            },
            {"type": "web_search"},
        ],
        tool_choice={"type": "function", "function": {"name": "Bash"}},
        parallel_tool_calls=False,
        max_completion_tokens=9,
        temperature=1,
        top_p=0.5,
        stop="END",
        stream=True,
        stream_options={"include_usage": True},
        reasoning_effort="low",
        verbosity="high",
        user="u",
        seed=3,
        n=2,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        prompt_cache_key="k",
        logprobs=True,
    )
    assert found._replace(losses=()) == Conversation(
        "m",
        (Text("be"), Text("kind", cache=True)),
        (
            user(Text("look"), Image("image/jpeg", "QUJD"), Image("", url="https://x/y.png"), File("", id="f1")),
            said(Reasoning("why"), Text("ok"), ToolCall("a", "Bash", "{}"), ToolCall("b", "patch", "raw", custom=True)),
            user(ToolResult("a", (Text("A"),)), ToolResult("b", (Text("B"),))),
            Message("system", (Text("now"),)),
        ),
        (
            Tool("Bash", schema={"type": "object"}, strict=True),
            Tool("patch", kind="custom", format={"type": "grammar", "syntax": "lark", "definition": "x"}),
            Tool("web_search", kind="hosted", raw={"type": "web_search"}),
        ),
        ToolChoice("tool", "Bash"),
        parallel=False,
        max_tokens=9,
        temperature=1,
        top_p=0.5,
        stop=("END",),
        stream=True,
        effort="low",
        verbosity="high",
        format=AnswerFormat("json_schema", "x", {"type": "object"}),
        user="u",
        cache_key="k",
    )
    assert sorted(tuple(loss) for loss in found.losses) == [
        ("logprobs", "logprobs"),
        ("n", "choices"),
        ("seed", "unknown_member"),
    ]
    assert {loss.code for loss in found.losses} <= set(chat.LOSSES)


def test_functions_of_old_clients() -> None:
    found = conversation(
        messages=[
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "out"},
        ],
        functions=[{"name": "f", "parameters": {"type": "object"}}],
        function_call={"name": "f"},
    )
    call, result = found.messages[1].parts[0], found.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.id == result.call_id != ""
    assert found.tools == (Tool("f", schema={"type": "object"}),)
    assert found.tool_choice == ToolChoice("tool", "f")


@pytest.mark.parametrize(
    ("members", "thinking", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, Thinking("enabled", 5), ""),
        ({"thinking": {"type": "disabled"}}, Thinking("disabled"), ""),
        ({"enable_thinking": True, "thinking_budget": 7}, Thinking("enabled", 7), ""),
        ({"enable_thinking": False}, Thinking("disabled"), ""),
        ({"reasoning": {"effort": "high"}}, None, "high"),
        ({"reasoning": {"max_tokens": 9}}, Thinking("enabled", 9), ""),
        ({"reasoning": {"enabled": False}}, Thinking("disabled"), ""),
        ({"reasoning_effort": None}, None, ""),
    ],
)
def test_thinking_as_clients_of_any_provider_ask_for_it(
    members: Any, thinking: Optional[Thinking], effort: str
) -> None:
    found = conversation(**members)
    assert (found.thinking, found.effort) == (thinking, effort)


def test_usage_is_told_to_those_who_ask() -> None:
    assert conversation(stream=True).include_usage is False
    assert conversation(stream_options={"include_usage": True}).include_usage is True


def test_parts_that_cannot_be_carried() -> None:
    found = conversation(
        messages=[{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}, {"type": "video_url"}]}]
    )
    assert {loss.code for loss in found.losses} == {"audio", "content_part"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", ""),
        (b"[]", ""),
        (b"\xff", ""),
        (b'{"messages": [{"role": "user", "content": "a"}]}', "model"),
        (b'{"model": 5, "messages": []}', "model"),
        (b'{"model": "m"}', "messages"),
        (b'{"model": "m", "messages": []}', "messages"),
        (b'{"model": "m", "messages": [5]}', "messages[0]"),
        (b'{"model": "m", "messages": [{"role": "nobody"}]}', "messages[0].role"),
        (b'{"model": "m", "messages": [{"role": "user", "content": 5}]}', "messages[0].content"),
        (b'{"model": "m", "messages": [{"role": "user", "content": [5]}]}', "messages[0].content[0]"),
        (
            b'{"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
            "messages[0].content[0].image_url",
        ),
        (
            b'{"model": "m", "messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]}',
            "messages[0].tool_calls[0].function.name",
        ),
        (b'{"model": "m", "messages": [{"role": "user"}], "tools": {}}', "tools"),
        (b'{"model": "m", "messages": [{"role": "user"}], "tools": [{}]}', "tools[0].function"),
        (b'{"model": "m", "messages": [{"role": "user"}], "tool_choice": "maybe"}', "tool_choice"),
        (b'{"model": "m", "messages": [{"role": "user"}], "max_tokens": "many"}', "max_tokens"),
        (b'{"model": "m", "messages": [{"role": "user"}], "max_tokens": -1}', "max_tokens"),
        (b'{"model": "m", "messages": [{"role": "user"}], "temperature": true}', "temperature"),
        (b'{"model": "m", "messages": [{"role": "user"}], "stream": 1}', "stream"),
        (b'{"model": "m", "messages": [{"role": "user"}], "stop": [1]}', "stop"),
        (b'{"model": "m", "messages": ' + b"[" * 100_000, ""),
    ],
)
def test_bad_requests_say_where(body: bytes, param: str) -> None:
    with pytest.raises(BadRequest) as raised:
        chat.read_request(body)
    assert raised.value.param == param


def test_a_schema_that_is_nested_too_deeply() -> None:
    schema = b'{"type":"object","properties":{"a":' * 200 + b"{}" + b"}}" * 200
    body = (
        b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"function":{"name":"f","parameters":%b}}]}'
    )
    try:
        found = chat.read_request(body % schema)
        chat.write_request(found, PLAIN, ToolNames.of(found))
    except BadRequest:
        pass


NAMES = [
    "role",
    "content",
    "tool_calls",
    "type",
    "text",
    "function",
    "name",
    "arguments",
    "id",
    "tool_call_id",
    "custom",
    "image_url",
    "url",
    "file",
    "reasoning_content",
    "reasoning_details",
    "function_call",
    "index",
    "input",
    "format",
    "grammar",
    "parameters",
    "strict",
    "json_schema",
    "schema",
    "effort",
    "budget_tokens",
    "cache_control",
]
WORDS = [
    "user",
    "assistant",
    "tool",
    "system",
    "function",
    "custom",
    "text",
    "image_url",
    "file",
    "json_schema",
    "",
    "a",
    "enabled",
    "auto",
    "data:image/png;base64,AA",
]
HOSTILE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=10,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "tool", "system", "function"])},
    optional={
        "content": HOSTILE,
        "tool_calls": st.lists(HOSTILE, max_size=2),
        "tool_call_id": st.sampled_from(["a", ""]),
        "reasoning_content": HOSTILE,
        "reasoning_details": HOSTILE,
        "function_call": HOSTILE,
    },
)
MEMBERS = [
    "tools",
    "tool_choice",
    "max_tokens",
    "temperature",
    "stop",
    "stream",
    "stream_options",
    "thinking",
    "reasoning",
    "response_format",
    "user",
    "n",
    "logprobs",
    "functions",
    "function_call",
    "parallel_tool_calls",
    "top_k",
]


@given(
    st.fixed_dictionaries({"model": st.just("m"), "messages": st.lists(MESSAGE, min_size=1, max_size=4)}),
    st.dictionaries(st.sampled_from(MEMBERS), HOSTILE, max_size=3),
    st.sampled_from([PLAIN, OPENAI, Dialect(system_between=False, images=False, structured=False, reasoning_field="")]),
)
@settings(max_examples=250, deadline=None)
def test_hostile_requests_raise_only_bad_request(base: Any, more: Any, dialect: Dialect) -> None:
    try:
        found = chat.read_request(json.dumps({**base, **more}).encode())
    except BadRequest:
        return
    body, losses = chat.write_request(found, dialect, ToolNames.of(found))
    assert isinstance(json.loads(body), dict)
    assert {loss.code for loss in [*losses, *found.losses]} <= set(chat.LOSSES)


# There and back

WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
CONTENT = st.lists(
    st.one_of(
        WORD.map(Text),
        st.sampled_from([PICTURE, Image("", url="https://x/y.png", detail="low"), Image("image/webp", "QUJD")]),
        st.sampled_from([File("application/pdf", data="JVBERg==", name="a.pdf"), File("", id="file-1")]),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
ARGUMENTS = st.dictionaries(WORD, WORD | st.integers(0, 9), max_size=2).map(json.dumps)


@st.composite
def turns(draw: Any) -> tuple[Message, ...]:
    messages: list[Message] = []
    for number in range(draw(st.integers(1, 3))):
        messages.append(Message("user", draw(CONTENT)))
        if draw(st.booleans()):
            messages.append(Message(draw(st.sampled_from(["system", "developer"])), (Text(draw(WORD)),)))
        parts: list[Any] = [Reasoning(draw(WORD))] if draw(st.booleans()) else []
        parts += [Text(t) for t in draw(st.lists(WORD, max_size=2))]
        made: list[ToolCall] = []
        for index in range(draw(st.integers(0, 2))):
            custom = draw(st.booleans())
            arguments = draw(WORD if custom else ARGUMENTS)
            made.append(ToolCall(f"call_{number}_{index}", draw(st.sampled_from(["A", "B"])), arguments, custom))
        if made or any(isinstance(part, Text) for part in parts):
            messages.append(Message("assistant", (*parts, *made)))
        if made:
            results = [ToolResult(c.id, (Text(draw(WORD)),), custom=c.custom) for c in made]
            messages.append(Message("user", tuple(results)))
    return tuple(messages)


@given(
    turns(),
    st.lists(WORD.map(Text), max_size=2).map(tuple),
    st.lists(
        st.sampled_from(
            [
                Tool("A", "does a", {"type": "object", "properties": {"x": {"type": "string"}}}, strict=True),
                Tool(
                    "B",
                    kind="custom",
                    description="b",
                    format={"type": "grammar", "syntax": "regex", "definition": "x"},
                ),
                Tool("C", schema={"type": "object", "properties": {}}),
            ]
        ),
        max_size=3,
        unique_by=lambda tool: tool.name,
    ).map(tuple),
    st.sampled_from(["", "low", "high", "none"]),
    st.sampled_from([None, AnswerFormat("json_object"), AnswerFormat("json_schema", "n", {"type": "object"}, True)]),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_what_chat_can_carry_comes_back(
    messages: Any, system: Any, tools: Any, effort: str, format: Optional[AnswerFormat], stream: bool
) -> None:
    given_ = Conversation(
        "m",
        system,
        messages,
        tools,
        tool_choice=ToolChoice("tool", tools[0].name) if tools else None,
        parallel=False if tools else None,
        max_tokens=5,
        temperature=0.5,
        top_p=0.1,
        stop=("x", "y"),
        stream=stream,
        include_usage=stream,
        effort=effort,
        format=format,
        service_tier="flex",
        user="u",
        cache_key="k",
        verbosity="low",
    )
    body, losses = chat.write_request(given_, OPENAI, ToolNames.of(given_))
    assert losses == []
    back = chat.read_request(body)
    plain = [
        m._replace(parts=tuple(p._replace(custom=False) if isinstance(p, ToolResult) else p for p in m.parts))
        for m in given_.messages
    ]
    found = [m._replace(parts=tuple(p for p in m.parts if p != Reasoning(""))) for m in back.messages]
    assert found == plain
    assert back._replace(messages=()) == given_._replace(messages=())
