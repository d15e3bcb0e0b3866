"""What upstreams' errors mean, whatever shape they come in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.relay.wire import errors
from ccsetup.relay.wire.messages import WireError


@pytest.mark.parametrize(
    ("status", "body", "kind", "after"),
    [
        (500, {"error": {"message": "the request exceeds the available context size"}}, "context", 500),
        (401, {"error": {"message": "please set model id as k3"}}, "not_found", 401),
        (0, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "overloaded", 503),
        (0, {"error": {"code": 502, "message": "Provider disconnected"}, "choices": []}, "server", 502),
        (0, {"type": "error"}, "server", 500),
        (200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "authentication", 401),
        (200, {"base_resp": {"status_code": 1002, "status_msg": "x"}}, "rate_limit", 429),
        (200, {"code": 401, "msg": "token expired or incorrect", "success": False}, "authentication", 401),
    ],
)
def test_status(status: int, body: Any, kind: str, after: int) -> None:
    """The upstream's status stays; an error that came with none, or with 200, gets the one that fits."""
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
