"""One meaning for every error of a provider, and what ``test`` and the relay make of it.

``data/failures/bodies.jsonl`` holds bodies of real providers: ``status`` (0 for an event of a stream), ``body`` (JSON)
or ``text``, and ``meaning``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from ccsetup import failures
from ccsetup.probe import classify
from ccsetup.relay.wire import errors

BODIES = [
    json.loads(line)
    for line in (Path(__file__).parent / "data/failures/bodies.jsonl").read_text(encoding="utf-8").splitlines()
]

SIDES: dict[str, tuple[str, str]] = {
    # meaning: what `ccsetup test` says, what the relay's rules and clients get
    "bad_key": ("bad_key", "authentication"),
    "no_quota": ("no_quota", "quota"),
    "rate": ("rate", "rate_limit"),
    "forbidden": ("forbidden", "permission"),
    "bad_model": ("bad_model", "not_found"),
    "no_model": ("bad_model", "invalid_request"),
    "not_found": ("not_found", "not_found"),
    "wrong_method": ("wrong_method", "invalid_request"),
    "context": ("bad_request", "context"),
    "too_large": ("bad_request", "too_large"),
    "image": ("bad_request", "invalid_request"),
    "filtered": ("bad_request", "invalid_request"),
    "bad_request": ("bad_request", "invalid_request"),
    "overloaded": ("server", "overloaded"),
    "timeout": ("server", "timeout"),
    "server": ("server", "server"),
}


def raw(case: dict[str, Any]) -> bytes:
    return (case["text"] if "text" in case else json.dumps(case["body"])).encode()


def test_every_meaning_is_shown_by_a_body() -> None:
    assert set(SIDES) == set(get_args(failures.Meaning)) == {case["meaning"] for case in BODIES}
    assert len({case["name"] for case in BODIES}) == len(BODIES)


@pytest.mark.parametrize("case", BODIES, ids=[case["name"] for case in BODIES])
def test_both_sides_understand_a_body_alike(case: dict[str, Any]) -> None:
    """A body has its meaning for ``test`` and for the relay; an event has no answer that ``test`` could look at."""
    verdict, kind = SIDES[case["meaning"]]
    status = case["status"]
    if status:
        assert classify.answer("anthropic", status, {}, raw(case)).meaning == verdict
        assert errors.extract(status, raw(case)).kind == kind
    else:
        assert errors.from_value(case["body"]).kind == kind
    if "body" in case:
        assert failures.meaning(status, failures.read(case["body"])) == case["meaning"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "Bad Request", "message": "prompt is too long"}, "Bad Request prompt is too long"),
        ({"detail": [{"loc": ["body", "model"], "msg": "Field required"}]}, "model: Field required"),
        ({"error": {"message": '{"error": {"message": "inner"}}'}}, "inner"),
        ({"error": {"message": "outer", "metadata": {"raw": "inner"}}}, "outer: inner"),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ({"error": {"message": ""}}, ""),
        (None, ""),
    ],
)
def test_the_words_of_an_error_are_found(body: Any, message: str) -> None:
    """Wherever a provider keeps them, and however deep a relay in front of it put them."""
    assert failures.read(body).message == message
