"""Over all scenarios, with the real clients beside it: when the test says ok the client works, and when the client
fails the test does not say ok."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS, run_claude, run_codex
from support.emulator import SCENARIOS, Emulator
from support.probing import CLIENTS, judge, write, write_claude, write_codex

SLOW = {"blackhole", "slow-headers", "slow-body", "endless-stream"}
"""These only cost patience, as ``hang`` does."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


def works(client: str, home: Path, emulator: Emulator, version: str = "") -> tuple[bool, str]:
    """Return whether the client (the newest version, or *version*) prints the provider's answer, and what it said."""
    reply = emulator.claude_site.reply
    if client == "codex":
        result = run_codex(version or CODEX_VERSIONS[0], home, "say hi", env=emulator.env)
    else:
        env = {"CLAUDE_CODE_MAX_RETRIES": "0", **emulator.env}
        result = run_claude(version or CLAUDE_VERSIONS[0], home, "say hi", env=env)
    return result.ok and reply in result.stdout, repr(result)


@pytest.mark.clients
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scenario", [name for name in SCENARIOS if name not in SLOW])
def test_ok_means_works(home: Path, emulator: Emulator, scenario: str, client: str) -> None:
    """At no level is a client said to work that fails; and the good scenarios are said to be good."""
    emulator.play(scenario)
    write(home, client, emulator)

    judged = {level: judge(home, client, emulator, level=level) for level in ("normal", "deep")}
    ok = [level for level, each in judged.items() if each.verdict == "ok"]
    if scenario in ("good", "tls-good", "proxy-good", "proxy-connect", "proxy-bypassed"):
        assert len(ok) == len(judged), judged
    if ok:  # a client in front of any other may take its time to fail
        worked, said = works(client, home, emulator)
        assert worked, f"{ok} say ok\n{judged!r}\n{said}"


LOUD = [
    *(("claude-code", version, name) for version in CLAUDE_VERSIONS[:2] for name in SCENARIOS if "rejects-" in name),
    *(("codex", CODEX_VERSIONS[0], name) for name in SCENARIOS if "rejects-" in name),
    ("claude-code", CLAUDE_VERSIONS[0], "good"),
    ("codex", CODEX_VERSIONS[0], "good"),
]


@pytest.mark.clients
@pytest.mark.parametrize(("client", "version", "scenario"), LOUD)
def test_ok_means_works_with_every_field(
    home: Path, emulator: Emulator, client: str, version: str, scenario: str
) -> None:
    """The same with a configuration that switches nothing off, so that the client sends all of its fields and tools."""
    emulator.play(scenario)
    if client == "codex":
        write_codex(home, emulator.codex_url, emulator.key, quiet=False)
    else:
        write_claude(home, emulator.claude_url, emulator.key, CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS="")

    judged = {level: judge(home, client, emulator, level=level) for level in ("normal", "deep")}
    if ok := [level for level, each in judged.items() if each.verdict == "ok"]:
        worked, said = works(client, home, emulator, version)
        assert worked, f"{ok} say ok\n{judged!r}\n{said}"
