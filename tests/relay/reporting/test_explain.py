"""``ccsetup relay explain``: what a recorded request becomes, and the table of losses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ccsetup.model import WireFormat
from ccsetup.relay.config.model import Upstream
from ccsetup.relay.reporting import explain
from ccsetup.relay.wire import reasoning
from ccsetup.relay.wire.messages import BadRequest, Dialect

CODEX = (Path(__file__).parents[2] / "data/relay/codex-responses-request.json").read_bytes()


def upstream(wire: WireFormat, **dialect: Any) -> Upstream:
    return Upstream("up", {wire: "http://up"}, (), map=(("mock-*", "glm-x"),), dialect={wire: Dialect(**dialect)})


def test_a_translated_request() -> None:
    """The body is the upstream's, the model is mapped, and every loss has its place and a sentence."""
    found = explain.explain("responses", CODEX, upstream("chat"), "chat")
    body = json.loads(found.body)
    assert (found.asked, found.model, body["model"]) == ("mock-model", "glm-x", "glm-x")
    assert len(body["tools"]) == 12
    paths = [path for path, _sentence in found.losses]
    assert {"client_metadata", "tools[4].description", "tools[web_search]"} <= set(paths)
    assert all(sentence.endswith(".") for _path, sentence in found.losses)


def test_reasoning_is_opened_for_its_own_upstream() -> None:
    """An explanation shows what is really sent: the thinking's text, not the envelope around it."""
    item = {"type": "reasoning", "summary": [], "encrypted_content": reasoning.pack("thought", "up")}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "1"}
    body = json.dumps({"model": "m", "input": [item, call, result]}).encode()
    sent = json.loads(explain.explain("responses", body, upstream("chat"), "chat").body)
    assert sent["messages"][0]["reasoning_content"] == "thought"
    passed = explain.explain("responses", body, upstream("responses"), "responses")
    assert [i["type"] for i in json.loads(passed.body)["input"]] == ["function_call", "function_call_output"]


def test_pass_through_keeps_the_bytes() -> None:
    """In the same format only the model changes; where nothing changes the client's bytes stay."""
    same = explain.explain("responses", CODEX, upstream("responses")._replace(map=()), "responses")
    assert same.body == CODEX
    assert same.losses == ()
    mapped = explain.explain("responses", CODEX, upstream("responses"), "responses")
    assert json.loads(mapped.body) == {**json.loads(CODEX), "model": "glm-x"}


def test_system_messages_for_who_refuses_them() -> None:
    """A Messages request is changed where the upstream's dialect asks for it."""
    body = b'{"model":"m","messages":[{"role":"user","content":"a"},{"role":"system","content":"b"}]}'
    found = explain.explain("anthropic", body, upstream("anthropic", system_between=False), "anthropic")
    assert [m["role"] for m in json.loads(found.body)["messages"]] == ["user"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"model":5}', b"\xff"])
@pytest.mark.parametrize("wire_out", ["chat", "responses"])
def test_what_is_no_request(body: bytes, wire_out: WireFormat) -> None:
    """A file that holds no request is refused."""
    with pytest.raises(BadRequest):
        explain.explain("responses", body, upstream(wire_out), wire_out)


def test_the_table_of_losses() -> None:
    """Every format has its rows; each is a sentence, and none stands twice."""
    rows = explain.losses()
    assert {wire for wire, _code, _sentence in rows} == {"anthropic", "responses", "chat"}
    assert len({(wire, code) for wire, code, _sentence in rows}) == len(rows)
    assert all(sentence[0].isupper() and sentence.endswith(".") for _wire, _code, sentence in rows)
