"""What upstreams' errors mean, whatever shape they come in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import errors
from ccsetup.relay.wire.messages import WireError

CASES: list[tuple[str, int, Any, str, int]] = [
    # name, status, body, kind, status afterwards
    (
        "anthropic context",
        400,
        {"error": {"type": "invalid_request_error", "message": "prompt is too long: 213462 tokens > 200000 maximum"}},
        "context",
        400,
    ),
    (
        "openai context",
        400,
        {"error": {"message": "x", "type": "invalid_request_error", "code": "context_length_exceeded"}},
        "context",
        400,
    ),
    (
        "vllm context",
        400,
        {"object": "error", "message": "This model's maximum context length is 32768 tokens.", "code": 400},
        "context",
        400,
    ),
    (
        "llama.cpp context",
        500,
        {"error": {"code": 500, "message": "the request exceeds the available context size, try increasing it"}},
        "context",
        500,
    ),
    (
        "lm studio context",
        400,
        {"error": "The number of tokens to keep is greater than the context length"},
        "context",
        400,
    ),
    ("glm context", 400, {"error": {"code": "1261", "message": "Prompt exceeds max length"}}, "context", 400),
    (
        "minimax context",
        400,
        {"type": "error", "error": {"type": "bad_request_error", "message": "context window exceeds limit (2013)"}},
        "context",
        400,
    ),
    (
        "kimi context",
        400,
        {"error": {"message": "Your request exceeded model token limit: 131072", "type": "invalid_request_error"}},
        "context",
        400,
    ),
    (
        "qwen context",
        400,
        {"error": {"message": "<400> InternalError: Range of input length should be [1, 129024]"}},
        "context",
        400,
    ),
    (
        "gemini context",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (1196265) exceeds the maximum number",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
        "context",
        400,
    ),
    ("chinese context", 400, {"error": {"message": "输入超过模型最大长度，输入内容过长"}}, "context", 400),
    (
        "rate limit in tokens is no context",
        413,
        {
            "error": {
                "message": "Request too large on tokens per minute (TPM), reduce your message size",
                "code": "rate_limit_exceeded",
            }
        },
        "rate_limit",
        413,
    ),
    ("too many tokens a minute", 429, {"error": {"message": "Too many input tokens, please wait"}}, "rate_limit", 429),
    (
        "anthropic balance",
        400,
        {"error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}},
        "quota",
        400,
    ),
    (
        "openai quota",
        429,
        {
            "error": {
                "message": "You exceeded your current quota",
                "type": "insufficient_quota",
                "code": "insufficient_quota",
            }
        },
        "quota",
        429,
    ),
    (
        "glm balance",
        429,
        {"error": {"code": "1113", "message": "Insufficient balance or no resource package..."}},
        "quota",
        429,
    ),
    ("kimi quota", 429, {"error": {"message": "x", "type": "exceeded_current_quota_error"}}, "quota", 429),
    ("deepseek balance", 402, {"error": {"message": "Insufficient Balance", "type": "unknown_error"}}, "quota", 402),
    (
        "codex plan",
        429,
        {"error": {"type": "usage_limit_reached", "message": "The usage limit has been reached"}},
        "quota",
        429,
    ),
    (
        "kimi overloaded",
        429,
        {"error": {"message": "The engine is currently overloaded", "type": "engine_overloaded_error"}},
        "overloaded",
        429,
    ),
    (
        "anthropic overloaded",
        529,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "overloaded",
        529,
    ),
    (
        "overloaded event",
        0,
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        "overloaded",
        503,
    ),
    ("openrouter event", 0, {"error": {"code": 502, "message": "Provider disconnected"}, "choices": []}, "server", 502),
    ("glm model", 400, {"error": {"code": "1211", "message": "modelCode: does not exist"}}, "not_found", 400),
    (
        "siliconflow model",
        400,
        {"code": 20012, "message": "Model does not exist. Please check it carefully.", "data": None},
        "not_found",
        400,
    ),
    ("kimi code model", 401, {"error": {"message": "please set model id as k3"}}, "not_found", 401),
    ("siliconflow key", 401, "Invalid token", "authentication", 401),
    (
        "deepseek key",
        401,
        {"error": {"message": "Authentication Fails", "type": "authentication_error", "code": "invalid_request_error"}},
        "authentication",
        401,
    ),
    (
        "xai key",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "Incorrect API key provided: sk***. You can obtain one",
        },
        "authentication",
        400,
    ),
    (
        "gemini key",
        400,
        {
            "error": {
                "code": 400,
                "message": "API key not valid. Please pass a valid API key.",
                "status": "INVALID_ARGUMENT",
            }
        },
        "authentication",
        400,
    ),
    ("minimax key", 200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "authentication", 401),
    ("minimax rate", 200, {"base_resp": {"status_code": 1002, "status_msg": "x"}}, "rate_limit", 429),
    ("minimax balance", 200, {"base_resp": {"status_code": 1008, "status_msg": "x"}}, "quota", 402),
    ("glm 200", 200, {"code": 401, "msg": "token expired or incorrect", "success": False}, "authentication", 401),
    (
        "fastapi",
        422,
        {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "missing"}]},
        "invalid_request",
        422,
    ),
    ("permission", 403, {"error": {"message": "Model disabled."}}, "permission", 403),
    (
        "size",
        413,
        {"error": {"type": "request_too_large", "message": "Request exceeds the maximum size"}},
        "too_large",
        413,
    ),
    ("event without a word", 0, {"type": "error"}, "server", 500),
]


@pytest.mark.parametrize(("status", "body", "kind", "after"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_kind(status: int, body: Any, kind: str, after: int) -> None:
    found = errors.extract(status, json.dumps(body).encode(), "3")
    assert (found.kind, found.status, found.retry_after) == (kind, after, "3")
    assert found.message


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (502, b"", "server", "The upstream answered 502 without a text."),
        (
            504,
            b"<html><head><title>504 Gateway Time-out</title></head>",
            "timeout",
            "The upstream answered with a web page: 504 Gateway Time-out",
        ),
        (503, b"<!DOCTYPE html><p>x", "overloaded", "The upstream answered with a web page."),
        (500, b"upstream connect\r\nerror\x00", "server", "upstream connect error"),
        (500, b"\xff\xfe", "server", "\ufffd\ufffd"),
        (400, b"null", "invalid_request", "The upstream answered 400 without a text."),
        (429, b"[]", "rate_limit", "The upstream answered 429 without a text."),
    ],
)
def test_bodies_that_are_no_json_object(status: int, body: bytes, kind: str, message: str) -> None:
    found = errors.extract(status, body)
    assert (found.kind, found.message, found.status) == (kind, message, status)


def test_members() -> None:
    body = {"error": {"message": "bad", "type": "invalid_request_error", "param": "messages[1]", "code": "oops"}}
    assert errors.from_value(body, 400) == WireError("invalid_request", "bad", 400, "", "oops", "messages[1]")


def test_an_error_inside_a_message_is_found() -> None:
    inner = json.dumps({"error": {"message": "prompt is too long", "code": "inner"}})
    found = errors.from_value({"error": {"message": inner}}, 400)
    assert (found.kind, found.message, found.code) == ("context", "prompt is too long", "inner")


def test_the_providers_own_text_behind_openrouter() -> None:
    body = {
        "error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": "prompt is too long: 9 > 8"}}
    }
    assert errors.from_value(body, 400).kind == "context"


def test_a_message_is_short_and_holds_no_key() -> None:
    found = errors.from_value(
        {"error": {"message": "bad sk-ant-api03-abcdefgh and Bearer abcdefghijkl " + "x" * 9000}}, 401
    )
    assert len(found.message) <= errors.MAX_MESSAGE
    assert "abcdefgh" not in found.message
    assert found.message.startswith("bad *** and Bearer ***")


@pytest.mark.parametrize(
    "value",
    [
        {"type": "message", "content": [], "error": None},
        {"choices": [{"message": {}}], "base_resp": {"status_code": 0}},
        {"object": "response", "error": {"code": "x"}},
        {"type": "ping"},
        {"id": "x", "choices": []},
        [],
        None,
        5,
    ],
)
def test_answers_are_no_errors(value: Any) -> None:
    assert errors.error_in(value) is None


@pytest.mark.parametrize(
    "value",
    [
        {"error": {"message": "x"}},
        {"error": "x"},
        {"type": "error", "message": "x"},
        {"base_resp": {"status_code": 1000, "status_msg": "x"}},
        {"code": 500, "msg": "x", "success": False},
        {"code": "InvalidApiKey", "message": "x", "request_id": "y"},
    ],
)
def test_errors_with_status_200(value: Any) -> None:
    found = errors.error_in(value)
    assert found is not None
    assert found.message == "x"
    assert found.status >= 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "type", "base_resp", "status", "metadata", "raw"]), inner
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON, st.integers(0, 700))
def test_any_value_gives_an_error(value: Any, status: int) -> None:
    found = errors.from_value(value, status)
    assert found.message
    assert len(found.message) <= errors.MAX_MESSAGE
    assert found.status >= 400
    assert errors.error_in(value) is None or isinstance(value, dict)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_body_gives_an_error(body: bytes) -> None:
    assert errors.extract(500, body).message


def test_deep_nesting() -> None:
    assert errors.extract(500, b'{"error":' * 5000).kind == "server"
    assert errors.extract(500, b'{"error":' * 900 + b"1" + b"}" * 900).kind == "server"
