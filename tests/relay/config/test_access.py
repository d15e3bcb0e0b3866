"""Client keys of the relay, their budgets and their file."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ccsetup.errors import CcsetupError, UsageError
from ccsetup.relay.config import access
from ccsetup.relay.config.access import Access, Budget
from ccsetup.relay.store import Spent

NOON = 1_800_014_400.0
"""A Unix time; it is 12:00 UTC."""


def made(name: str = "alice", **kwargs: Any) -> tuple[bytes, access.ClientKey]:
    secret = access.generate()
    return secret.reveal().encode(), access.describe(secret, name, NOON, **kwargs)


def test_a_generated_key_is_long_and_never_the_same() -> None:
    """The key has its prefix and 43 letters and digits, and no two are alike."""
    keys = {access.generate().reveal() for _ in range(50)}
    assert len(keys) == 50
    assert all(re.fullmatch(r"ccr-[0-9A-Za-z]{43}", key) for key in keys)


def test_a_key_is_found_by_its_text_alone() -> None:
    """Only the whole key finds its entry; neither its hash, nor a part, nor another one."""
    text, key = made()
    other_text, other = made("bob")
    keys = Access([key, other])
    assert keys.find(text) is key
    assert keys.find(other_text) is other
    for wrong in (b"", text[:-1], text + b"x", key.hash.encode(), bytes.fromhex(key.hash), text * 1000, b"\xff"):
        assert keys.find(wrong) is None


def test_a_revoked_key_is_not_found_and_stays_listed() -> None:
    """Revoking keeps the name, so that figures can be told apart; removing forgets it."""
    text, key = made()
    keys = Access([key])
    revoked = keys.revoke("alice", NOON + 5)
    assert keys.any()
    assert not revoked.any()
    assert revoked.find(text) is None
    assert [(k.name, k.revoked) for k in revoked.keys] == [("alice", NOON + 5)]
    assert revoked.revoke("alice", NOON + 9).keys == revoked.keys
    assert revoked.remove("alice").keys == ()
    with pytest.raises(UsageError, match="no key called 'bob'"):
        keys.revoke("bob", NOON)


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, "a\nb", "ключ"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    _text, key = made(name)
    with pytest.raises(UsageError, match="cannot be the name"):
        Access().with_key(key)


def test_a_name_is_given_once() -> None:
    keys = Access().with_key(made()[1])
    with pytest.raises(UsageError, match="already a key called 'alice'"):
        keys.with_key(made()[1])


def test_the_file_keeps_everything_but_the_key() -> None:
    """What is written is read back the same, and holds no key."""
    text, key = made(expires=NOON + 86400, upstreams=["glm", "deepseek"], budget=Budget(10, 5_000_000, 2.5, "CNY"))
    _, plain = made("bob")
    keys = Access([key, plain]).revoke("bob", NOON + 7)
    data = access.dump(keys)
    assert text not in data
    assert text[4:] not in data
    again = access.parse(data, "relay-keys.json")
    assert again.keys == keys.keys
    assert again.find(text) == key
    assert access.dump(again) == data
    assert access.parse(access.dump(Access()), "f").keys == ()


GOOD = {"name": "a", "sha256": "0" * 64, "last4": "abcd", "created": "2026-11-21T10:00:00Z"}


def wrong(**members: Any) -> str:
    return json.dumps({"keys": [{**GOOD, **members}]})


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("{", "1:2: ", "JSON"),
        ("[]", "1:1: ", "mapping"),
        ('{"key": []}', "1:1: ", "'keys' is missing"),
        ('{"keys": {}}', "1:10: keys: ", "list"),
        ('{\n  "keys": [3]}', "2:12: keys[0]: ", "mapping"),
        (wrong(budgets={}), "1:155: keys[0]: ", "unknown field 'budgets'. Did you mean 'budget'?"),
        (wrong(name=3), "1:20: keys[0].name: ", "text"),
        (wrong(name="a b"), "1:20: keys[0].name: ", "not what can stand here"),
        (wrong(sha256="zz"), "1:35: keys[0].sha256: ", "not what can stand here"),
        (wrong(expires="soon"), "1:166: keys[0].expires: ", "a time is missing"),
        (wrong(expires=3), "1:166: keys[0].expires: ", "text"),
        (wrong(upstreams="glm"), "1:168: keys[0].upstreams: ", "list"),
        (wrong(upstreams=[]), "1:168: keys[0].upstreams: ", "empty"),
        (wrong(budget=3), "1:165: keys[0].budget: ", "mapping"),
        (wrong(budget={"token": 3}), "1:166: keys[0].budget: ", "Did you mean 'tokens'?"),
        (wrong(budget={"tokens": -1}), "1:176: keys[0].budget.tokens: ", "at least 0"),
        (wrong(budget={"tokens": True}), "1:176: keys[0].budget.tokens: ", "whole number"),
        (wrong(budget={"cost": float("nan")}), "1:", "NaN"),
        (wrong(budget={"cost": 1, "currency": "$"}), "1:189: keys[0].budget.currency: ", "USD or CNY"),
        (json.dumps({"keys": [GOOD, GOOD]}), "1:165: keys[1].name: ", "twice"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(text: str, place: str, said: str) -> None:
    """A limit that is misspelt must never silently be none."""
    with pytest.raises(CcsetupError) as caught:
        access.parse(text.encode(), "keys.json")
    assert caught.value.message.startswith(f"keys.json:{place}")
    assert said in f"{caught.value.message} {caught.value.hint}"
    assert "relay key add" in caught.value.hint


def test_a_key_without_limits_is_never_refused() -> None:
    _text, key = made()
    assert access.refusal(key, Spent(10**9, 10**15, 1e9), NOON) is None


def test_a_key_that_expired_is_refused() -> None:
    _text, key = made(expires=NOON)
    assert access.refusal(key, Spent(), NOON - 1) is None
    error = access.refusal(key, Spent(), NOON)
    assert error is not None
    assert (error.kind, error.status) == ("authentication", 401)
    assert "alice" in error.message


@pytest.mark.parametrize(
    ("budget", "below", "used_up", "what"),
    [
        (Budget(requests=3), Spent(2, 10**9, 99.0), Spent(3), "requests"),
        (Budget(tokens=100), Spent(10**6, 99, 99.0), Spent(0, 100), "tokens"),
        (Budget(cost=1.5), Spent(0, 0, 1.49, {"CNY": 80.0}), Spent(0, 0, 1.5), "USD"),
        (Budget(cost=9, currency="CNY"), Spent(0, 0, 99.0, {"CNY": 8.9}), Spent(0, 0, 0, {"CNY": 9.0}), "CNY"),
        (Budget(requests=0), None, Spent(), "requests"),
    ],
)
def test_a_budget_that_is_used_up_refuses_until_midnight(
    budget: Budget, below: Spent | None, used_up: Spent, what: str
) -> None:
    """429 with the seconds until 00:00 UTC, and the message says which budget it was."""
    _text, key = made(budget=budget)
    if below is not None:
        assert access.refusal(key, below, NOON) is None
    error = access.refusal(key, used_up, NOON + 0.5)
    assert error is not None
    assert (error.kind, error.status, error.retry_after) == ("quota", 429, "43200")
    assert what in error.message
