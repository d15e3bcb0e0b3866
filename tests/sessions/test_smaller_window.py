"""A long session of a real client goes on after the relay leads it to a model with a smaller window."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from support import cc, clients
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS, Result
from support.relay import Relay, upstream
from support.scripted import Figures, Said, Scripted

pytestmark = pytest.mark.clients

LARGE, SMALL = 1_000_000, 128_000
RELEASES = [
    *(("claude-code", v) for v in CLAUDE_VERSIONS if not v.startswith("2.0.")),
    *(("codex", v) for v in CODEX_VERSIONS),
]
SILENT = ("-c", "features.plugins=false", "-c", "features.apps=false", "-c", "analytics.enabled=false")
WORDS = ["it", "is", "we", "go", "on", "so", "up", "at", "by", "if", "no", "he", "me", "my", "us", "an"]


def tokens(body: Any) -> int:
    """Return how many tokens *body* has at the least: a word is one or more."""
    return len(re.findall(r"\w+", json.dumps(body["messages"] if "messages" in body else body["input"])))


def turn(client: str, version: str, home: Path, work: Path, prompt: str, *, first: bool) -> Result:
    if client == "claude-code":
        return clients.run_claude(version, home, prompt, cwd=work, args=() if first else ("--continue",))
    resume = [] if first else ["resume", "--last"]
    return clients.run("codex", version, home, ["exec", "--skip-git-repo-check", *SILENT, *resume, prompt], cwd=work)


@pytest.mark.parametrize(("client", "version"), RELEASES)
def test_it_compacts_and_goes_on(home: Path, tmp_path: Path, client: str, version: str) -> None:
    """The relay answers before the smaller model is asked; the client compacts and goes on, all in the same turn."""
    wire = "anthropic" if client == "claude-code" else "responses"
    work = tmp_path / "work"
    work.mkdir()
    choose = random.Random(1)
    asked: list[tuple[str, int, str]] = []

    def model(name: str) -> Any:
        def think(_kind: str, body: Any) -> Said:
            size, text = tokens(body), json.dumps(body)
            asked.append((name, size, text))
            summary = name == "small" and not any(who == "small" for who, _size, _text in asked[:-1])
            return Said("THE-SUMMARY" if summary else f"answer-{len(asked)}-of-{name}", figures=Figures(size, 0, 20, 0))

        return think

    with Scripted() as large, Scripted() as small:
        large.think, small.think = model("large"), model("small")
        entries = [
            upstream(name, server.url(wire), wire, f"sk-{name}-0123456789", default_model=name, context={name: window})
            for name, server, window in (("large", large, LARGE), ("small", small, SMALL))
        ]
        with Relay(home, entries) as relay:
            urls = ("--claude-url", relay.url, "--codex-url", relay.url + "/v1")
            about = ("-M", "ccsetup-default", "--context-window", str(LARGE), *urls)
            known = ("--codex-version", version) if client == "codex" else ()
            done = cc.run(home, "init", "-s", "-p", "custom", "-k", relay.key, "-T", client, *about, *known)
            assert done.ok, done
            for number in range(5):
                text = " ".join(choose.choice(WORDS) for _ in range(40_000))
                result = turn(client, version, home, work, f"part {number} {text}", first=not number)
                assert result.ok, result
            assert asked[-1][0] == "large"
            assert asked[-1][1] > SMALL * 1.4
            assert cc.run(home, "relay", "use", "small").ok
            count = len(asked)
            for number in (1, 2):
                result = turn(client, version, home, work, f"question {number}", first=False)
                assert result.ok, result
                assert re.search(r"answer-\d+-of-small", result.stdout), result
            rows = relay.rows()
    later = asked[count:]
    assert {name for name, _size, _text in later} == {"small"}
    assert all(size < SMALL * 1.1 for _name, size, _text in later)
    assert "THE-SUMMARY" in later[-1][2]
    assert "question 1" in later[-1][2]
    assert "question 2" in later[-1][2]
    refused = [row for row in rows if row["error"]]
    assert {(row["error"], row["upstream"]) for row in refused} == {("context", "")}
