"""Claude Code goes on with a session at another provider: what it sends there of the thoughts of the one before."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import cc, clients
from support.relay import Relay, upstream
from support.scripted import Reply, Said, Scripted, error

pytestmark = pytest.mark.clients

KEEPS = {version for version in clients.CLAUDE_VERSIONS if version.startswith("2.0.")}
"""Releases that send the thoughts of earlier turns when they take a session up again."""


@contextlib.contextmanager
def directly(home: Path, first: Scripted, second: Scripted) -> Iterator[Callable[[str], cc.Result]]:
    """Two profiles, and ``config-switch`` between them."""
    for name, server in (("first", first), ("second", second)):
        about = ("-u", server.url("anthropic"), "-M", name, "--context-window", "200000", "-T", "claude-code")
        assert cc.run(home, "init", "-s", "-p", "custom", "-n", name, "-k", f"sk-{name}-0123456789", *about).ok
    yield lambda name: cc.run(home, "config-switch", name)


@contextlib.contextmanager
def through_the_relay(home: Path, first: Scripted, second: Scripted) -> Iterator[Callable[[str], cc.Result]]:
    """Two upstreams, and ``relay use`` between them."""
    servers = (("first", first), ("second", second))
    entries = [
        upstream(name, server.url("anthropic"), "anthropic", f"sk-{name}-0123456789", default_model=name)
        for name, server in servers
    ]
    with Relay(home, entries) as relay:
        about = ("-u", relay.url, "-M", "ccsetup-default", "--context-window", "200000", "-T", "claude-code")
        assert cc.run(home, "init", "-s", "-p", "custom", "-k", relay.key, *about).ok
        yield lambda name: cc.run(home, "relay", "use", name)


@pytest.mark.parametrize("way", [directly, through_the_relay])
@pytest.mark.parametrize("version", clients.CLAUDE_VERSIONS)
def test_a_session_goes_on_at_a_provider_that_checks_signatures(
    home: Path, tmp_path: Path, version: str, way: Any
) -> None:
    """All that was said goes along.  Where the thoughts do, too, their signatures are refused: the relay asks again."""
    work = tmp_path / "work"
    work.mkdir()

    def strict(_kind: str, body: Any) -> Reply:
        if "signature-of-the-first" in json.dumps(body):
            return error("anthropic", 400, "messages.1.content.0: Invalid `signature` in `thinking` block")
        return Said("The second answers.", "It thinks.", signature="signature-of-the-second")

    def turn(prompt: str, *more: str) -> clients.Result:
        return clients.run_claude(version, home, prompt, cwd=work, args=more)

    with Scripted() as first, Scripted() as second:
        first.think = lambda _kind, _body: Said("The word is kumquat.", "Hm.", signature="signature-of-the-first")
        second.think = strict
        with way(home, first, second) as switch:
            assert switch("first").ok
            assert turn("What is the word?").ok
            assert switch("second").ok
            refused = version in KEEPS and way is directly
            for number in (1, 2):
                result = turn(f"question {number}", "--continue")
                assert result.ok is not refused, result
                assert ("Invalid `signature`" if refused else "The second answers.") in result.stdout
            last = json.dumps(second.requests[-1].json)
            assert all(text in last for text in ("What is the word?", "The word is kumquat.", "question 2"))
            assert switch("first").ok
            result = turn("And now?", "--continue")
            assert "The word is kumquat." in result.stdout, result
            assert "What is the word?" in json.dumps(first.requests[-1].json)
