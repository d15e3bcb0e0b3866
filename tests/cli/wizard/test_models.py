"""Asking a provider for its models: with limits, and the key only to the address that was meant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.provider import Call, Provider, Response, json_response

from ccsetup import presets
from ccsetup.change.entries import Options
from ccsetup.cli.wizard import models
from ccsetup.cli.wizard.answers import Answers
from ccsetup.errors import CcsetupError
from ccsetup.model import Model, Secret

KEY = "test-key-0123456789abcdefWXYZ"


def ask(url: str, *, field: str = "url", **fields: str) -> list[Model]:
    """Ask an endpoint of one's own for its models."""
    preset = presets.load("custom")
    options = Options(Secret(KEY), ["codex"] if field == "codexUrl" else ["claude-code"], "", "", "", True)
    answers = Answers({field: url, **fields}, options, False)
    return models.live(preset, preset.regions[0], answers, Secret(KEY))


def test_the_usual_lists(provider: Provider) -> None:
    """Both dialects answer, each with the key in its own header, and only there."""
    provider.models = ["one", "two"]
    provider.expect("/anthropic", key=KEY, scheme="x-api-key")
    provider.expect("/v1", key=KEY, scheme="bearer")
    assert [m.id for m in ask(provider.url("/anthropic"), type="api_key")] == ["one", "two"]
    assert [m.id for m in ask(provider.url("/v1"), field="codexUrl")] == ["one", "two"]
    assert [c.status for c in provider.calls] == [200, 200]


def test_windows_and_prices(provider: Provider) -> None:
    """What OpenRouter and others say of window and price is taken; nonsense is not."""
    body: dict[str, Any] = {
        "data": [
            {"id": "a", "context_length": 65536, "pricing": {"prompt": "0.0000014", "completion": "0.0000044"}},
            {"id": "b", "max_model_len": 32768, "pricing": {"prompt": "-1", "completion": "free"}},
            {"id": "c", "context_length": "many", "pricing": "cheap"},
            {"id": "a"}, {"id": ""}, {"id": 7}, {"id": "with space"}, {"id": "x\x1b[31m"}, "d", None,
        ]
    }  # fmt: skip
    provider.script(lambda call: json_response(body))
    assert ask(provider.url("/x")) == [
        Model("a", context=65536, price_in=1.4, price_out=4.4),
        Model("b", context=32768),
        Model("c"),
    ]


ANSWERS: dict[str, Response] = {
    "wrong key": Response(401, (), b"{}"),
    "no list": Response(404, (), b"not found"),
    "a web page": Response(200, (("Content-Type", "text/html"),), b"<html>"),
    "a redirect": Response(302, (("Location", "http://127.0.0.1:1/v1/models"),), b""),
    "too long": Response(200, (), b" " * (models.MAX_BYTES + 10)),
    "deep": Response(200, (), b"[" * 100_000),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_other_answers(provider: Provider, name: str) -> None:
    """Everything else is one sentence, and one request."""
    provider.script(lambda call: ANSWERS[name])
    with pytest.raises(CcsetupError) as caught:
        ask(provider.url("/x"))
    assert KEY not in caught.value.message
    assert len(provider.calls) == 1


def test_a_list_of_another_shape(provider: Provider) -> None:
    """JSON without models is an empty list."""
    for body in ({}, [], {"data": {}}, {"data": "x"}, 7):
        provider.script(lambda call, body=body: Response(200, (), json.dumps(body).encode()))
        assert ask(provider.url("/x")) == []


def test_no_answer(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that drips ends at the deadline; one that is not there is said to be."""
    monkeypatch.setattr(models, "DEADLINE", 1.0)

    def drip(call: Call) -> Response:
        def bytes_() -> Any:
            while not provider.closing.wait(0.1):
                yield b" "

        return Response(200, (), bytes_())

    provider.script(drip)
    with pytest.raises(CcsetupError, match="did not answer"):
        ask(provider.url("/x"))
    with pytest.raises(CcsetupError, match="cannot be reached"):
        ask("http://127.0.0.1:1/x")
    with pytest.raises(CcsetupError, match="cannot be reached"):
        ask("http://nobody.invalid/x")
