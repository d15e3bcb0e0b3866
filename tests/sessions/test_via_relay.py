"""A provider that only speaks Chat Completions, in the real clients, from one command."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import cc, clients
from support.emulator import Emulator

CLAUDE, CODEX = "2.1.329", "0.169.0"


@pytest.mark.clients
def test_one_command_makes_both_clients_work(home: Path) -> None:
    """init … --via-relay starts the relay, and both clients get their answers from the provider, with its key alone."""
    with Emulator("cerebras") as provider:
        cc.put(home, {".config/ccsetup/presets/cerebras.yaml": provider.preset_yaml})
        provider.play("good")
        done = cc.run(home, "init", "-s", "-p", "cerebras", "-k", provider.key, "-T", "all", "--via-relay")
        try:
            assert done.ok, done
            for result in (clients.run_codex(CODEX, home, "say hi"), clients.run_claude(CLAUDE, home, "say hi")):
                assert result.ok, result
                assert "pong" in result.stdout, result
            asked = [c for c in provider.calls if c.request.target.endswith("/chat/completions")]
            assert len(asked) >= 2
            assert provider.leaks == []
        finally:
            cc.run(home, "relay", "stop", "--now")
