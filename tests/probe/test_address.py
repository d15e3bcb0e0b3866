"""Addresses that a client cannot call, and the one that was meant."""

from __future__ import annotations

from typing import Any

import pytest

from ccsetup.probe import address
from ccsetup.probe.target import Target


def target(url: str, client: Any) -> Target:
    return Target("x", client, "effective", "anthropic" if client == "claude-code" else "responses", url, (), (), {})


@pytest.mark.parametrize(
    ("client", "url", "meant"),
    [
        ("claude-code", "api.example.com/anthropic", "https://api.example.com/anthropic"),
        ("claude-code", "https:/api.example.com", "https://api.example.com"),
        ("claude-code", "https://api.example.com/v1", "https://api.example.com"),
        ("claude-code", "https://api.example.com/v1/", "https://api.example.com"),
        ("claude-code", "https://api.example.com/x/v1/messages", "https://api.example.com/x"),
        ("claude-code", "https://api.example.com/x?a=1", "https://api.example.com/x"),
        ("codex", "https://api.example.com/v1/responses", "https://api.example.com/v1"),
        ("codex", "https://api.example.com/v1/chat/completions", "https://api.example.com/v1"),
        ("codex", "http://api.example.com/v1", "--insecure-http"),
    ],
)
def test_what_was_meant(client: Any, url: str, meant: str) -> None:
    """Each slip is a finding that stops the test, and its hint says what to write."""
    (found,) = address.check(target(url, client))
    assert found.level == "blocked"
    assert meant in found.hint


@pytest.mark.parametrize(
    ("client", "url"),
    [
        ("claude-code", "https://api.example.com/anthropic/"),
        ("claude-code", "http://127.0.0.1:8080"),
        ("claude-code", " https://api.example.com "),
        ("codex", "https://api.example.com/v1"),
        ("codex", "http://localhost:1234/v1"),
        ("codex", "HTTPS://API.example.com/v1"),
        ("claude-code", "Http://LOCALHOST:8080"),
        ("codex", "http://127.1:1234/v1"),
        ("codex", "http://2130706433/v1"),
        ("claude-code", "http://0x7f000001:80"),
        ("claude-code", "http://0.0.0.0:8000"),
        ("codex", "http://[::]:8000/v1"),
        ("codex", "http://[::ffff:127.0.0.1]:8000/v1"),
        ("claude-code", "http://localhost.:8000/x"),
        ("codex", "http://127.0.0.1.:8000/v1"),
        ("codex", "https://api.example.com./v1"),
    ],
)
def test_good_addresses(client: Any, url: str) -> None:
    """What the clients can call is no finding; Claude Code tolerates white space around it."""
    assert address.check(target(url, client)) == []


def test_plain_http_can_be_allowed() -> None:
    """--insecure-http lets a public http address through, and says what it means."""
    (found,) = address.check(target("http://api.example.com/v1", "codex"), insecure_http=True)
    assert found.level == "info"
