"""Answers to meanings: the words of real providers, in tables."""

from __future__ import annotations

import json
from typing import Any, Optional

import pytest

from ccsetup import presets
from ccsetup.model import Condition, KeyCheck, Preset
from ccsetup.probe import classify


def anthropic(kind: str, message: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def openai(message: str, code: Any = None, kind: str = "invalid_request_error", param: Any = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code, "param": param}}


def ask(
    status: int,
    body: Any,
    *,
    wire: Any = "anthropic",
    preset: Optional[Preset] = None,
    headers: Optional[dict[str, str]] = None,
) -> classify.Answer:
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return classify.answer(wire, status, headers or {}, data, preset)


GENERIC = [
    (200, {"type": "message", "role": "assistant", "content": []}, "anthropic", "ok"),
    (200, {"object": "response", "output": [], "status": "completed"}, "responses", "ok"),
    (200, {"choices": []}, "anthropic", "other_protocol"),
    (200, {"choices": []}, "responses", "other_protocol"),
    (200, {"hello": "world"}, "anthropic", "garbage"),
    (200, "", "anthropic", "empty"),
    (204, "", "anthropic", "empty"),
    (200, "hello", "anthropic", "garbage"),
    (200, "<!doctype html><title>Welcome</title>", "anthropic", "html"),
    (200, "<html><title>Hotel Wi-Fi</title>", "anthropic", "portal"),
    (511, "<html>", "anthropic", "portal"),
    (302, "", "anthropic", "redirect"),
    (308, "", "responses", "redirect"),
    (404, {"detail": "Not Found"}, "anthropic", "not_found"),
    (400, {"hello": "world"}, "anthropic", "garbage"),
    (403, "<html><title>Just a moment...</title>", "anthropic", "forbidden"),
]


@pytest.mark.parametrize(("status", "body", "wire", "meaning"), GENERIC)
def test_generic_answers(status: int, body: Any, wire: str, meaning: str) -> None:
    """What is no error of a provider has meanings of its own."""
    assert ask(status, body, wire=wire).meaning == meaning


VENDORS = [
    ("glm", 429, openai("Insufficient balance or no resource package", "1113"), "no_quota"),
    ("glm", 400, openai("modelCode: does not exist", "1211"), "bad_model"),
    ("glm", 200, {"code": 401, "msg": "token expired", "success": False}, "bad_key"),
    ("minimax", 200, {"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, "bad_key"),
    ("minimax", 200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "no_quota"),
    ("minimax", 200, {"base_resp": {"status_code": 2061, "status_msg": "plan not support model"}}, "bad_model"),
    ("kimi", 401, openai("please set model id as k3"), "bad_model"),
    ("kimi", 401, openai("Incorrect API key provided", kind="incorrect_api_key_error"), "bad_key"),
    ("kimi", 429, openai("exceeded", kind="exceeded_current_quota_error"), "no_quota"),
    ("kimi", 429, openai("engine is busy", kind="engine_overloaded_error"), "server"),
    ("kimi", 404, openai("Not found the model kimi-k2"), "bad_model"),
    ("kimi", 404, openai("The requested url was not found"), "not_found"),
    ("kimi", 404, "<html><title>404</title>", "not_found"),
    ("xai", 400, openai("Incorrect API key provided"), "bad_key"),
    ("siliconflow", 400, {"code": 20012, "message": "Model does not exist", "data": None}, "bad_model"),
    ("siliconflow", 403, {"code": 30003, "message": "Model disabled."}, "bad_model"),
    ("siliconflow", 401, {"code": 30014, "message": "Token is invalid."}, "bad_key"),
    ("openrouter", 401, {"error": {"message": "No auth credentials found", "code": 401}}, "bad_key"),
    ("302ai", 400, {"code": "InsufficientBalance", "message": "no money", "request_id": "1"}, "no_quota"),
]


@pytest.mark.parametrize(("provider", "status", "body", "meaning"), VENDORS)
def test_vendors_odd_shapes(provider: str, status: int, body: Any, meaning: str) -> None:
    """A preset's own error shapes say what is known of them without the preset."""
    assert ask(status, body, preset=presets.load(provider)).meaning == meaning
    assert ask(status, body).meaning == meaning


def test_bare_status_is_weaker_than_words() -> None:
    """A preset's condition on the status alone comes last, and never speaks for a page or a wrong path."""
    preset = presets.load("custom")._replace(
        errors={
            "wrong_region": (Condition(status=(401,)),),
            "bad_model": (Condition(path="error.code", equals=("m",)),),
        }
    )
    assert ask(401, openai("no"), preset=preset).meaning == "wrong_region"
    assert ask(401, openai("no", "m"), preset=preset).meaning == "bad_model"
    assert ask(401, "<html></html>", preset=preset).meaning == "forbidden"


def test_redirect_keeps_where_it_leads() -> None:
    """The location goes into the answer, so that it can be told and is never asked."""
    assert ask(301, "", headers={"location": "https://elsewhere.example/"}).location == "https://elsewhere.example/"


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 50_000, "\x00" * 5000, b"\xff\xfe" * 99, '{"error":{"message":[]}}']
)
def test_hostile_bodies_have_a_meaning(body: Any) -> None:
    """No body makes the classifier fail."""
    for status in (200, 400, 401, 404, 500):
        assert ask(status, body).meaning


def check(**more: Any) -> KeyCheck:
    plain: dict[str, Any] = {
        "url": "https://x.example/k",
        "auth": "bearer",
        "prefixes": (),
        "proves": True,
        "valid": (Condition(status=(200,)),),
        "invalid": (Condition(status=(401,)),),
        "no_quota": (),
        "forbidden": (),
        "balance": "",
        "models": "",
    }
    return KeyCheck(**{**plain, **more})


def test_key_check_meanings() -> None:
    """What is bad is looked for before what is good, because some say both with 200."""
    assert classify.key_check(check(), 200, b"{}").meaning == "valid"
    assert classify.key_check(check(), 401, b"{}").meaning == "invalid"
    assert classify.key_check(check(), 500, b"").meaning == "unknown"
    blocked = check(forbidden=(Condition(path="blocked", equals=(True,)),))
    assert classify.key_check(blocked, 200, b'{"blocked": true}').meaning == "forbidden"
    assert classify.key_check(blocked, 200, b'{"blocked": 1}').meaning == "valid"


def test_public_path_proves_nothing() -> None:
    """A list that anybody may read gives models, and no verdict about the key."""
    found = classify.key_check(check(proves=False, models="data.*.id"), 200, b'{"data": [{"id": "a"}, {"id": 3}]}')
    assert found.meaning == "unknown"
    assert found.models == ("a",)


def test_balance_is_read_by_its_path() -> None:
    """Numbers and texts are balances; anything else is none."""
    wanted = check(balance="infos.0.total")
    assert classify.key_check(wanted, 200, b'{"infos": [{"total": "3.50"}]}').balance == "3.50"
    assert classify.key_check(wanted, 200, b'{"infos": []}').balance == ""
    assert classify.key_check(wanted, 200, b'{"infos": [{"total": {}}]}').balance == ""


def test_nearest_names() -> None:
    """Case and the vendor's prefix do not matter."""
    assert classify.nearest("GLM-5.3-flsh", ["kimi-k3", "glm-5.3", "glm-5.3-flash"])[0] == "glm-5.3-flash"
    assert "z-ai/glm-5.3" in classify.nearest("glm-5.3", ["z-ai/glm-5.3", "other"])
    assert classify.nearest("zzz", ["glm-5.3"]) == []
