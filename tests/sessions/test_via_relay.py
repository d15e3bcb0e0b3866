"""A provider that only speaks Chat Completions, in the real clients, from one command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import cc, clients
from support.emulator import Emulator
from support.scripted import Said, Scripted, Use, heard, steps

CLAUDE, CODEX = clients.CLAUDE_VERSIONS[0], clients.CODEX_VERSIONS[0]


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


@pytest.mark.clients
def test_codex_keeps_its_tools_where_only_functions_exist(home: Path, tmp_path: Path) -> None:
    """The saved profile leaves Codex its groups of tools, which reach a Chat Completions upstream one by one.

    Its agents are such a group (observed with 0.169); the search on the web, which only a provider could carry out,
    stays off.
    """
    shell = Use("call_1", "exec_command", json.dumps({"cmd": "echo forty-two | tr a-z A-Z"}))
    group = Use("call_2", "multi_agent_v1__close_agent", json.dumps({"target": "nobody"}))
    with Scripted() as provider:
        provider.think = steps(
            Said("", "I run it.", (shell,)), Said("", "A group.", (group,)), Said("It says FORTY-TWO.")
        )
        address = ("-p", "custom", "-u", provider.url("chat"), "-M", "glm-5.3", "--context-window", "200000")
        done = cc.run(home, "init", "-s", *address, "-k", "sk-one-0123456789", "-T", "codex", "--via-relay")
        try:
            assert done.ok, done
            bare = ("-c", "features.plugins=false", "-c", "features.apps=false", "--sandbox", "danger-full-access")
            result = clients.run_codex(CODEX, home, "Do it.", cwd=tmp_path, args=bare)
        finally:
            cc.run(home, "relay", "stop", "--now")
        last = provider.requests[-1].json
    assert result.ok, result
    assert result.stdout.strip().endswith("It says FORTY-TWO."), result
    results = {each[1]: each[2] for each in heard("chat", last) if each[0] == "result"}
    assert "FORTY-TWO" in results["call_1"]
    assert "invalid agent id nobody" in results["call_2"]  # it came back to the tool of the group
    assert {tool["type"] for tool in last["tools"]} == {"function"}
    assert "multi_agent_v1__spawn_agent" in {tool["function"]["name"] for tool in last["tools"]}
    config = (home / ".codex/config.toml").read_text()
    assert 'web_search = "disabled"' in config
    assert "[agents]" not in config


@pytest.mark.parametrize(
    ("tail", "said"),
    [("", False), ("/", False), ("/chat/completions", True), ("/messages", True), ("/responses", True)],
)
@pytest.mark.parametrize("clients", ["all", "codex", "claude-code"])
def test_the_address_that_is_told_is_the_relays(home: Path, clients: str, tail: str, said: bool) -> None:
    """The clients ask the relay: of the provider's address it is told what the relay makes of it, where it does."""
    url = "http://127.0.0.1:9/v1"
    argv = ("-p", "custom", "-u", url + tail, "-M", "m", "-k", "sk-one-0123456789", "-T", clients)
    done = cc.main("init", "-s", *argv, "--via-relay", "--no-start", "--json")
    texts = [n["text"] for n in done.json["notes"] if "adds the path of its requests itself" in n["text"]]
    assert texts == ([f"The relay adds the path of its requests itself: the address is {url}."] if said else [])
    assert f"url: {url}\n" in (home / ".config/ccsetup/relay.yaml").read_text()
