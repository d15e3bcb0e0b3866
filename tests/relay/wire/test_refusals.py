"""What endpoints refuse, and what a request becomes that they take."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ccsetup.model import WireFormat
from ccsetup.relay.wire import errors
from ccsetup.relay.wire.adjust import fit
from ccsetup.relay.wire.messages import Dialect
from ccsetup.relay.wire.refusals import changed, changes

Body = dict[str, Any]
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SEEN = {"type": "image_url", "image_url": {"url": "data:,"}}
ASKED: Body = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "S"},
        {"role": "user", "content": [{"type": "text", "text": "t"}, SEEN]},
        {"role": "system", "content": "LATER"},
        {"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning_content": "r"},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
        {"role": "developer", "content": "D"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "strict": True,
                "parameters": {"type": "object", "properties": {"a": {"type": "string", "anyOf": [{"maxLength": 1}]}}},
            },
        }
    ],
    "max_tokens": 32000,
    "temperature": 0.5,
    "top_p": 0.5,
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "stream": True,
    "stream_options": {"include_usage": True},
    "reasoning_effort": "high",
    "seed": 1,
}
MESSAGES: Body = {
    "model": "m",
    "max_tokens": 64000,
    "system": [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "scope": "global"}}],
    "messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "LATER"}],
    "tools": [{"name": "f", "input_schema": {"type": "object"}, "defer_loading": True}],
    "context_management": {"edits": []},
    "thinking": {"type": "adaptive"},
    "temperature": 1,
}
RESPONSES: Body = {
    "model": "m",
    "instructions": "I",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "D1"}]},
        {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:,"}]},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "D2"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
    ],
    "max_output_tokens": 32000,
    "temperature": 0.1,
}


def lacks(*names: str) -> Callable[[Body], bool]:
    return lambda body: not set(names) & body.keys()


def front(body: Body) -> bool:
    roles = [message["role"] for message in body["messages"]]
    return not {"system", "developer"} & set(roles[1:]) and "LATER" in json.dumps(body)


def users(body: Body) -> bool:
    """All that the system said is in front of what the user says first."""
    items = body["input"] if "input" in body else body["messages"]
    first = next(item["content"] for item in items if item["role"] == "user")
    roles = {item.get("role") for item in items} | body.keys() & {"system", "instructions"}
    begin = first if isinstance(first, str) else first[0].get("text", "")
    return not {"system", "developer", "instructions"} & roles and begin.startswith(("S", "I"))


def blind(body: Body) -> bool:
    return "data:," not in json.dumps(body) and "not sent" in json.dumps(body)


def at_most(most: int) -> Callable[[Body], bool]:
    return lambda body: body["max_tokens"] == most


def renamed(body: Body) -> bool:
    return "max_tokens" not in body and body["max_completion_tokens"] == 32000


def thoughts(body: Body) -> bool:
    return "reasoning_content" not in json.dumps(body)


def simple(body: Body) -> bool:
    [tool] = body["tools"]
    schema = tool["function"]["parameters"] if "function" in tool else tool["input_schema"]
    inside = schema["properties"]
    return inside == {} or inside["a"] == {"anyOf": [{"type": "string", "maxLength": 1}]}


def no_beta(body: Body) -> bool:
    return not any(
        word in json.dumps(body) for word in ("context_management", "defer_loading", "scope", '"role": "system"')
    )


REFUSED: list[tuple[str, Body, Callable[[Body], bool]]] = [
    ("System message must be at the beginning.", ASKED, front),
    ("TemplateError: System role must be the first message", ASKED, front),
    ("messages[2].role: unknown variant `system`, expected `user` or `assistant` at line 1", ASKED, front),
    ("Conversation roles must alternate user/assistant/user/assistant/...", ASKED, front),
    ("Unexpected role 'system' after role 'user'", ASKED, front),
    ("System role not supported", ASKED, users),
    ("Only user and assistant roles are supported!", ASKED, users),
    ("Only user, assistant and tool roles are supported, got system.", ASKED, users),
    ("Jinja Exception: System role not supported at row 1, column 64", ASKED, users),
    ("Unsupported value: 'messages[0].role' does not support 'system' with this model.", ASKED, users),
    ("Developer instruction is not enabled for models/gemma-3-27b-it", ASKED, users),
    ("This model doesn't support system messages", MESSAGES, users),
    ("system instructions are not supported for this model", RESPONSES, users),
    ("该模型不支持 system 角色", ASKED, users),
    ('messages: Unexpected role "system". The Messages API accepts a top-level `system`', MESSAGES, lambda b: (
        [m["role"] for m in b["messages"]] == ["user"])),
    ("messages.1.role: Input should be 'user' or 'assistant'", MESSAGES, lambda b: len(b["messages"]) == 1),
    ("unknown variant `developer`, expected one of `system`, `user`, `assistant`, `tool`", ASKED,
     lambda b: b["messages"][-1]["role"] == "system"),
    ("messages[1]: unknown variant `image_url`, expected `text` at line 1 column 99", ASKED, blind),
    ("No endpoints found that support image input", ASKED, blind),
    ("m is not a multimodal model", ASKED, blind),
    ("At most 0 image(s) may be provided in one request.", ASKED, blind),
    ("Invalid content type. image_url is only supported by certain models.", ASKED, blind),
    ("This model does not support image inputs", RESPONSES, blind),
    ("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
     ASKED, renamed),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", ASKED, at_most(8192)),
    ("max_tokens is too large: 32000. This model supports at most 16384 completion tokens", ASKED, at_most(16384)),
    ("<400> InternalError.Algo.InvalidParameter: Range of max_tokens should be [1, 8192]", ASKED, at_most(8192)),
    ("max_tokens: 64000 > 32000, which is the maximum allowed number of output tokens for m", MESSAGES, at_most(32000)),
    ("`max_tokens` must be less than or equal to `8192`", ASKED, at_most(8192)),
    ("Invalid value for max_tokens: expected a value <= 4096, but got 32000 instead.", ASKED, at_most(4096)),
    ("Unsupported parameter: 'max_output_tokens'", RESPONSES, lacks("max_output_tokens")),
    ("stream_options: Extra inputs are not permitted", ASKED, lacks("stream_options")),
    ("Unrecognized request argument supplied: stream_options", ASKED, lacks("stream_options")),
    ("Bad Request", ASKED, lacks("stream_options")),
    ("Validation error", ASKED, lacks("stream_options")),
    ("Unsupported parameter: 'parallel_tool_calls' is not supported with this model.", ASKED,
     lacks("parallel_tool_calls")),
    ("Thinking mode does not support this tool_choice", ASKED, lacks("tool_choice")),
    ('"auto" tool choice requires --enable-auto-tool-choice; tool_choice required is not supported', ASKED,
     lacks("tool_choice")),
    ("Unsupported value: 'temperature' does not support 0.5 with this model. Only the default (1) value is supported.",
     ASKED, lacks("temperature")),
    ("invalid temperature: only 1 is allowed for this model", ASKED, lacks("temperature")),
    ("`temperature` is deprecated for this model.", MESSAGES, lacks("temperature")),
    ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", ASKED, lacks("top_p")),
    ("top_p must be in (0, 1)", ASKED, lacks("top_p")),
    ("Unsupported parameter: temperature", RESPONSES, lacks("temperature")),
    ("property 'reasoning_content' is unsupported", ASKED, thoughts),
    ("messages.3.reasoning_content: Extra inputs are not permitted", ASKED, thoughts),
    ("body -> messages -> 3 -> assistant -> reasoning_content: Extra inputs are not permitted", ASKED, thoughts),
    ("tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'properties.a': when "
     "using anyOf, type should be defined in anyOf items instead of the parent schema>", ASKED, simple),
    ("Invalid schema for function 'f': In context=(), object schema missing properties.", MESSAGES, simple),
    ("tools.0.custom.defer_loading: Extra inputs are not permitted", MESSAGES, no_beta),
    ("context_management: Extra inputs are not permitted", MESSAGES, no_beta),
    ("system.0.cache_control.ephemeral.scope: Extra inputs are not permitted", MESSAGES, no_beta),
    ("Unexpected value(s) `context-management-2025-06-27` for the `anthropic-beta` header.", MESSAGES, no_beta),
    ("invalid beta flag", MESSAGES, no_beta),
    ("Unknown field `seed`", ASKED, lacks("seed")),
    ("Unrecognized request argument supplied: reasoning_effort", ASKED, lacks("reasoning_effort")),
    ("tools.0.function.strict: Extra inputs are not permitted", ASKED,
     lambda b: "strict" not in b["tools"][0]["function"] and len(b["tools"]) == 1),
    ("[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted'}]", ASKED,
     lacks("seed")),
    ("System message must be at the beginning.", RESPONSES,
     lambda b: [i.get("role") for i in b["input"]][:3] == ["user", "user", None] and b["instructions"] == "I\n\nD1"),
    ("thinking.type: adaptive is not supported on this model", MESSAGES, lacks("thinking")),
]  # fmt: skip


def wire_of(body: Body) -> WireFormat:
    return "responses" if "input" in body else "anthropic" if body is MESSAGES else "chat"


@pytest.mark.parametrize(("said", "body", "right"), REFUSED, ids=[said[:40] for said, _body, _right in REFUSED])
def test_a_refusal_by_name_tells_what_to_change(said: str, body: Body, right: Callable[[Body], bool]) -> None:
    """One of the changes that are tried makes the request what the endpoint takes; the tools are offered in each."""
    error = errors.extract(400, json.dumps({"error": {"message": said, "type": "invalid_request_error"}}).encode())
    wire = wire_of(body)
    tried = [fit(wire, body, changed(Dialect(), change)) for change, _kept in changes(error, wire, body, lessens=True)]
    tried = [one for one in tried if one != body]
    assert tried
    assert any(right(dict(one)) for one in tried[:3]), tried
    assert all(len(one.get("tools", ())) == len(body.get("tools", ())) for one in tried)


@pytest.mark.parametrize(
    ("wire", "body", "expected"),
    [
        ("chat", {"messages": [{"role": "user", "content": "hi"}]}, {"messages": [{"role": "user", "content": "hi"}]}),
        ("chat", {"messages": [{"role": "system", "content": "S"}]}, {"messages": [{"role": "user", "content": "S"}]}),
        ("chat", {"messages": [{"role": "system", "content": "S"}, {"role": "assistant", "content": "a"}]},
         {"messages": [{"role": "user", "content": "S"}, {"role": "assistant", "content": "a"}]}),
        ("chat", {"messages": [{"role": "developer", "content": [{"type": "text", "text": "S"}]},
                               {"role": "user", "content": "hi"}]},
         {"messages": [{"role": "user", "content": "S\n\nhi"}]}),
        ("chat", {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": [SEEN]}]},
         {"messages": [{"role": "user", "content": [{"type": "text", "text": "S"}, SEEN]}]}),
        ("responses", {"instructions": "S", "input": "hi"}, {"input": [{"role": "user", "content": "S\n\nhi"}]}),
        ("responses", {"input": [{"role": "developer", "content": "S"}, {"role": "user", "content": [
            {"type": "input_text", "text": "hi"}]}]},
         {"input": [{"role": "user", "content": [{"type": "input_text", "text": "S"},
                                                 {"type": "input_text", "text": "hi"}]}]}),
        ("anthropic", {"system": [{"type": "text", "text": "S"}], "messages": [{"role": "user", "content": "hi"}]},
         {"messages": [{"role": "user", "content": "S\n\nhi"}]}),
        ("anthropic", {"messages": "odd"}, {"messages": "odd"}),
    ],
)  # fmt: skip
def test_an_endpoint_without_a_place_for_the_system(wire: WireFormat, body: Body, expected: Body) -> None:
    """Its text is what the user says first."""
    assert fit(wire, body, changed(Dialect(), {"system": False})) == expected


def test_thinking_that_is_wanted_is_there_for_turns_with_calls() -> None:
    body = {"model": "m", "messages": [{"role": "assistant", "tool_calls": [CALL], "content": ""}]}
    said = "thinking is enabled but reasoning_content is missing in assistant tool call message at index 0"
    [(change, kept), *_] = changes(errors.extract(400, said.encode()), "chat", body, lessens=True)
    assert kept
    assert fit("chat", body, changed(Dialect(), change))["messages"][0]["reasoning_content"] == ""


def test_tools_of_the_history_are_offered_where_the_endpoint_wants_them() -> None:
    messages = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
    ]
    said = "Requests which have `tool_use` or `tool_result` blocks must include the `tools` param"
    body = {"model": "m", "messages": messages}
    found = [change for change, _kept in changes(errors.extract(400, said.encode()), "anthropic", body, lessens=True)]
    assert {"history_tools": True} in found
    [tool] = fit("anthropic", body, changed(Dialect(), {"history_tools": True}))["tools"]
    assert (tool["name"], tool["input_schema"]["type"]) == ("f", "object")


TOGETHER = [
    "Requested token count exceeds the model's maximum context length of 40960 tokens. You requested a total of 45000 "
    "tokens: 13000 tokens from the input messages and 32000 tokens for the completion.",
    "This model's maximum context length is 40960 tokens. However, you requested 45000 tokens (13000 in the messages, "
    "32000 in the completion). Please reduce the length of the messages or completion.",
    "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 40960 tokens "
    "and your request has 13000 input tokens (32000 > 40960 - 13000).",
    "This model's maximum context length is 40960 tokens. However, you requested 32000 output tokens and your prompt "
    "contains at least 13000 input tokens, for a total of at least 45000 tokens.",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 40960. Given: 13000 `inputs` tokens and "
    "32000 `max_new_tokens`",
    "This endpoint's maximum context length is 40960 tokens. However, you requested about 45000 tokens (13000 of text "
    "input, 32000 in the output).",
    "input length and `max_tokens` exceed context limit: 13,000 + 32,000 > 40,960, decrease input length",
]


@pytest.mark.parametrize("said", TOGETHER)
def test_a_prompt_that_fits_is_told_from_one_that_does_not(said: str) -> None:
    """Anthropic's own words make Claude Code ask for less; for other clients the relay does."""
    error = errors.extract(400, json.dumps({"error": {"message": said}}).encode())
    assert error.kind == "context"
    assert errors.window(said) == (13000, 32000, 40960)
    assert list(changes(error, "chat", ASKED, lessens=True)) == [({"max_output": 27960}, False)]
    assert list(changes(error, "chat", ASKED, lessens=False)) == []


@pytest.mark.parametrize(
    "said",
    [
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
        "maximum context length is 131072 tokens. However, you requested 0 output tokens and your prompt contains at "
        "least 131073 input tokens",
        "prompt token count of 70000 exceeds the limit of 64000",
        "you requested 140000 tokens (138000 in the messages, 2000 in the completion). maximum context length 131072",
    ],
)
def test_a_prompt_that_is_too_long_is_no_matter_of_the_answer(said: str) -> None:
    assert errors.window(said) is None


def test_what_is_no_refusal_by_name_changes_nothing() -> None:
    for status, said in ((401, "Invalid API key"), (429, "temperature"), (400, "prompt is too long"), (400, "No.")):
        error = errors.extract(status, json.dumps({"error": {"message": said}}).encode())
        assert list(changes(error, "chat", ASKED, lessens=True)) == []
