"""The real Claude Code and Codex through the relay: they run tools, get the results to the model, and finish."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import cc
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS, Result, run_claude, run_codex
from support.loopback import Request, Response
from support.relay import Relay, upstream
from support.scripted import WIRES, Reply, Said, Scripted, Use, cut, error, events, heard, steps

pytestmark = pytest.mark.clients

MODEL = "glm-5.3"
PNG = (
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000"
    "000d4944415478da6364f8cf500f00038601805a347d6b0000000049454e44ae426082"
)
CLIENTS = pytest.mark.parametrize("client", ["claude-code", "codex"])
FORMATS = pytest.mark.parametrize("wire", WIRES)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def up() -> Iterator[Scripted]:
    with Scripted() as up:
        yield up


def configure(home: Path, relay: Relay, client: str = "all", version: str = CODEX_VERSIONS[0]) -> None:
    """Set the clients up for the relay, as ``config-switch relay`` does; *version* is Codex's."""
    urls = ("--claude-url", relay.url, "--codex-url", relay.url + "/v1")
    known = ("--codex-version", version) if client != "claude-code" else ()
    done = cc.run(home, "init", "-s", "-p", "custom", "-k", relay.key, "-T", "all", *urls, "-M", MODEL, *known)
    assert done.ok, done


def run(
    client: str, home: Path, work: Path, *args: str, env: dict[str, str] | None = None, version: str = ""
) -> Result:
    if client == "codex":
        bare = ("-c", "features.plugins=false", "-c", "features.apps=false", "-c", "analytics.enabled=false")
        more = ("--sandbox", "danger-full-access", *bare, *args)
        return run_codex(version or CODEX_VERSIONS[0], home, "Do it.", cwd=work, args=more, env=env)
    return run_claude(
        version or CLAUDE_VERSIONS[0], home, "Do it.", cwd=work, args=("--allowedTools", "Bash", *args), env=env
    )


def shell(client: str, command: str, id: str = "call_1") -> Use:
    if client == "codex":
        return Use(id, "exec_command", json.dumps({"cmd": command}))
    return Use(id, "Bash", json.dumps({"command": command, "description": "does it"}))


def task(client: str) -> tuple[Said, ...]:
    """A task of three answers: write a file, read another way what is in it, and say it."""
    return (
        Said("I write it.", "First the file.", (shell(client, "echo forty-two > made.txt"),)),
        Said("", "Now I look.", (shell(client, "tr a-z A-Z < made.txt", "call_2"),)),
        Said("The file says FORTY-TWO."),
    )


def check(client: str, wire: str, up: Scripted, result: Result, work: Path) -> None:
    """Assert that the task was done, and that the model was told of it."""
    assert result.ok, result
    assert result.stdout.strip().endswith("The file says FORTY-TWO."), result
    assert (work / "made.txt").read_text() == "forty-two\n"
    last = heard(wire, up.requests[-1].json)
    results = {each[1]: each[2] for each in last if each[0] == "result"}
    assert set(results) == {"call_1", "call_2"}
    assert "FORTY-TWO" in results["call_2"]
    order = [each[0] for each in last if each[0] in ("call", "result")]
    assert order == ["call", "result", "call", "result"]
    # What was thought before each call goes back: DeepSeek, Kimi and GLM refuse a call without it.
    assert [each[1] for each in last if each[0] == "thought"] == ["First the file.", "Now I look."]
    assert not re.search(r"reconnect|retry|error", result.stderr, re.I), result


@CLIENTS
@FORMATS
def test_a_task_on_every_format(home: Path, work: Path, up: Scripted, client: str, wire: str) -> None:
    """Two tool calls with their results and thoughts, and the answer, whatever the upstream speaks."""
    up.think = steps(*task(client))
    with Relay(home, [upstream("one", up.url(wire), wire, "sk-one-0123456789")]) as relay:
        configure(home, relay)
        result = run(client, home, work)
        rows = relay.rows(3)
    check(client, wire, up, result, work)
    assert [(row["wire_out"], row["status"], row["error"]) for row in rows] == [(wire, 200, "")] * 3
    for request in up.requests:
        assert relay.key not in request.body.decode() + str(request.header_list)
        assert [v for n, v in request.header_list if n.lower() == "authorization"] == ["Bearer sk-one-0123456789"]


def _html(_request: Request) -> Response:
    page = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
    return Response(502, (("Content-Type", "text/html"),), page)


class Failing:
    """Fails whenever it is asked, in the ways given, in turn."""

    def __init__(self, server: Scripted, *ways: Any) -> None:
        self.server = server
        self.ways = ways
        self.asked = 0
        server.think = self.think

    def think(self, _kind: str, _body: Any) -> Any:
        way = self.ways[self.asked % len(self.ways)]
        self.asked += 1
        return way


@CLIENTS
@FORMATS
def test_four_of_five_upstreams_fail(home: Path, work: Path, client: str, wire: str) -> None:
    """Neither client notices that one upstream is not there, one has a bad key, one no time, and one is ill."""
    with Scripted() as gone:
        nobody = gone.url("chat")  # nobody listens there any more
    with Scripted() as key, Scripted() as busy, Scripted() as ill, Scripted() as good:
        failing = [
            Failing(key, error("responses", 401, "Incorrect API key provided", code="invalid_api_key")),
            Failing(busy, error("anthropic", 429, "slow down", [("Retry-After", "30")], "rate_limit_error")),
            Failing(ill, cut("chat", Said("never"), 1), _html),
        ]
        good.think = steps(*task(client))
        entries = [
            upstream("gone", nobody, "chat", "sk-gone-0123456789"),
            upstream("key", key.url("responses"), "responses", "sk-key-0123456789"),
            upstream("busy", busy.url("anthropic"), "anthropic", "sk-busy-0123456789"),
            upstream("ill", ill.url("chat"), "chat", "sk-ill-0123456789"),
            upstream("good", good.url(wire), wire, "sk-good-0123456789", group="backup"),
        ]
        with Relay(home, entries) as relay:
            configure(home, relay)
            result = run(client, home, work)
            rows = relay.rows(3)
        check(client, wire, good, result, work)
    assert [(row["upstream"], row["status"]) for row in rows] == [("good", 200)] * 3
    assert rows[0]["attempts"] == 6
    assert [each.asked for each in failing][:2] == [1, 1]  # they rest meanwhile


@CLIENTS
def test_a_stream_that_breaks_in_the_middle_is_asked_for_again(
    home: Path, work: Path, up: Scripted, client: str
) -> None:
    """What the relay cannot hide it says: the client knows that the answer is not whole, and asks again."""
    said = task(client)
    broken = events("chat", said[0])
    up.say(cut("chat", said[0], len(broken) - 4))  # in the middle of the call's arguments
    up.think = steps(*said)
    with Relay(home, [upstream("one", up.url("chat"), "chat", "sk-one-0123456789")]) as relay:
        configure(home, relay)
        result = run(client, home, work, env={"CLAUDE_CODE_MAX_RETRIES": "2"})
        rows = relay.rows(4)
    assert result.ok, result
    assert result.stdout.strip().endswith("The file says FORTY-TWO."), result
    assert (work / "made.txt").read_text() == "forty-two\n"
    assert [row["error"] for row in rows] == ["cut", "", "", ""]


MCP = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    method, result = asked["method"], {}
    if method == "initialize":
        version = asked["params"]["protocolVersion"]
        info = {"name": "t", "version": "1"}
        result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        schema = {"type": "object", "properties": {"who": {"type": "string"}}, "required": ["who"]}
        result = {"tools": [{"name": "greet", "description": "Greets.", "inputSchema": schema}]}
    elif method == "tools/call":
        text = "Greetings, " + asked["params"]["arguments"]["who"]
        result = {"content": [{"type": "text", "text": text}]}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
"""
PATCH = '*** Begin Patch\n*** Add File: made.txt\n+a "quoted" line\n+Grüße\n*** End Patch\n'


@FORMATS
def test_codex_with_tools_of_its_own_kinds(home: Path, work: Path, up: Scripted, tmp_path: Path, wire: str) -> None:
    """A tool of a group (an MCP server) and apply_patch, which takes plain text, work where only functions exist."""
    server = tmp_path / "mcp_server.py"
    server.write_text(MCP)
    native = wire == "responses"
    if native:
        greet = Use("call_1", "greet", '{"who": "Ada"}', namespace="mcp__tests")
        patch = Use("call_2", "apply_patch", PATCH, custom=True)
    else:
        greet = Use("call_1", "mcp__tests__greet", '{"who": "Ada"}')
        patch = Use("call_2", "apply_patch", json.dumps({"input": PATCH}))
    up.think = steps(Said("", "A greeting.", (greet,)), Said("", "A patch.", (patch,)), Said("Greeted and patched."))
    with Relay(home, [upstream("one", up.url(wire), wire, "sk-one-0123456789")]) as relay:
        configure(home, relay)
        (catalogue,) = (home / ".codex").glob("ccsetup-*.models.json")
        models = json.loads(catalogue.read_text())
        models["models"][0]["apply_patch_tool_type"] = "freeform"
        catalogue.write_text(json.dumps(models))
        extra = ("-c", "agents.enabled=true", "-c", "web_search='live'")
        mcp = ("-c", f"mcp_servers.tests={{command={json.dumps(sys.executable)},args=[{json.dumps(str(server))}]}}")
        result = run("codex", home, work, *extra, *mcp)
    assert result.ok, result
    assert result.stdout.strip().endswith("Greeted and patched."), result
    assert (work / "made.txt").read_text() == 'a "quoted" line\nGrüße\n', result
    last = up.requests[-1].json
    results = {each[1]: each[2] for each in heard(wire, last) if each[0] == "result"}
    assert "Greetings, Ada" in results["call_1"]
    assert "Success" in results["call_2"]
    kinds = {tool.get("type") for tool in last["tools"]}
    assert kinds == {"anthropic": {None}, "chat": {"function"}}.get(wire, kinds)


@pytest.mark.parametrize(
    ("client", "version"),
    [("claude-code", v) for v in CLAUDE_VERSIONS[1:]] + [("codex", v) for v in CODEX_VERSIONS[1:]],
)
def test_older_versions(home: Path, work: Path, up: Scripted, client: str, version: str) -> None:
    """What older clients send is translated as well."""
    up.think = steps(*task(client))
    with Relay(home, [upstream("one", up.url("chat"), "chat", "sk-one-0123456789")]) as relay:
        configure(home, relay, client, version)
        result = run(client, home, work, version=version)
    check(client, "chat", up, result, work)


EVERY = pytest.mark.parametrize(
    ("client", "version"), [("claude-code", v) for v in CLAUDE_VERSIONS] + [("codex", v) for v in CODEX_VERSIONS]
)
WINDOW = 40_960


def vllm(body: dict[str, Any]) -> str:
    """Return why a strict server of its own model refuses *body*, "" where it takes it."""
    if any(message["role"] == "system" for message in body["messages"][1:]):
        return "System message must be at the beginning."
    if not {message["role"] for message in body["messages"]} <= {"system", "user", "assistant", "tool"}:
        return "Unexpected message role."
    text = json.dumps(body["messages"]) + json.dumps(body.get("tools", []))
    if "image_url" in text:
        return "At most 0 image(s) may be provided in one prompt."
    prompt, most = len(text) // 5, body.get("max_tokens") or body.get("max_completion_tokens") or 0
    if prompt + most > WINDOW:
        return (
            f"This model's maximum context length is {WINDOW} tokens. However, you requested {prompt + most} tokens "
            f"({prompt} in the messages, {most} in the completion). Please reduce the length of the messages or "
            "completion."
        )
    return ""


@EVERY
def test_a_server_that_takes_little(home: Path, work: Path, up: Scripted, client: str, version: str) -> None:
    """A strict vLLM: the system's text in front alone, no images, a small window.  The task is done all the same."""
    (work / "dot.png").write_bytes(bytes.fromhex(PNG))
    look = Use("call_0", "Read", json.dumps({"file_path": str(work / "dot.png")}))
    said = steps(*((Said("", "", (look,)),) if client == "claude-code" else ()), *task(client))
    taken: list[dict[str, Any]] = []

    def think(kind: str, body: dict[str, Any]) -> Reply:
        why = vllm(body)
        if why:
            return error(kind, 400, why)
        taken.append(body)
        return said(kind, body)

    up.think = think
    with Relay(home, [upstream("one", up.url("chat"), "chat", "sk-one-0123456789")]) as relay:
        configure(home, relay, client, version)
        more = ("--allowedTools", "Bash", "Read") if client == "claude-code" else ()
        result = run(client, home, work, *more, version=version)
    assert result.ok, result
    assert result.stdout.strip().endswith("The file says FORTY-TWO."), result
    assert (work / "made.txt").read_text() == "forty-two\n"
    assert "FORTY-TWO" in json.dumps(taken[-1])
    # What was refused once is not tried again.
    refused = [vllm(request.json) for request in up.requests]
    assert sum(bool(why) and str(WINDOW) not in why for why in refused) <= 3, refused


BETAS = {
    "context_management": "context-management",
    "defer_loading": "tool",
    "tool_reference": "tool",
    '"scope"': "prompt-caching-scope",
}
"""What stands in a request to Anthropic only with a beta header that has this in its name."""


@EVERY
@pytest.mark.parametrize("strips", [False, True])
def test_a_server_that_wants_the_header_of_each_beta(
    home: Path, work: Path, up: Scripted, client: str, version: str, strips: bool
) -> None:
    """Members of betas go with their header, or neither goes: to one that has no betas, too (*strips*)."""
    said = steps(*task(client))
    refused: list[str] = []

    def think(kind: str, body: dict[str, Any]) -> Reply:
        header = "" if strips else up.requests[-1].headers.get("anthropic-beta", "")
        text = json.dumps(body)
        for member, beta in BETAS.items():
            if member in text and beta not in header:
                refused.append(member)
                return error(kind, 400, f"{member.strip(chr(34))}: Extra inputs are not permitted")
        return said(kind, body)

    up.think = think
    entry = upstream("one", up.url("anthropic"), "anthropic", "sk-one-0123456789")
    with Relay(home, [entry]) as relay:
        configure(home, relay, client, version)
        result = run(client, home, work, version=version)
    assert result.ok, result
    assert result.stdout.strip().endswith("The file says FORTY-TWO."), result
    assert (work / "made.txt").read_text() == "forty-two\n"
    assert len(refused) <= (3 if strips else 0), refused


@pytest.mark.parametrize(
    ("version", "wire"), [(CODEX_VERSIONS[0], w) for w in WIRES] + [(v, "chat") for v in CODEX_VERSIONS[1:]]
)
def test_codex_compacts_as_with_openai(home: Path, work: Path, up: Scripted, version: str, wire: str) -> None:
    """A provider with OpenAI's name: Codex asks the server for the summary, which the model behind the relay writes."""

    def think(_wire: str, body: dict[str, Any]) -> Said:
        text = json.dumps(body)
        if "Summarise this conversation" in text or len(up.requests) > 5:
            return Said("WHAT WAS DONE")
        return Said("It is done.") if "WHAT WAS DONE" in text else Said("", "", (shell("codex", "echo forty-two"),))

    up.think = think
    with Relay(home, [upstream("one", up.url(wire), wire, "sk-one-0123456789")]) as relay:
        configure(home, relay, "codex", version)
        used = tomllib.loads((home / ".codex/config.toml").read_text())["model_provider"]
        own = ("-c", f"model_providers.{used}.name='OpenAI'", "-c", "model_auto_compact_token_limit=5")
        result = run("codex", home, work, *own, version=version)
        assert {row["status"] for row in relay.rows(3)} == {200}
    assert result.ok, result
    assert result.stdout.strip().endswith("It is done."), result
    assert "Do it." in json.dumps(up.requests[-1].json)


def test_system_messages_for_who_refuses_them(home: Path, work: Path, up: Scripted) -> None:
    """Claude Code 2.1.329 sends system messages after the user's; an upstream that takes none gets them in front."""
    up.think = steps(*task("claude-code"))
    entry = upstream("one", up.url("anthropic"), "anthropic", "sk-one-0123456789")
    with Relay(home, [entry | {"dialect": {"anthropic": {"system_between": False}}}]) as relay:
        configure(home, relay)
        result = run("claude-code", home, work)
    check("claude-code", "anthropic", up, result, work)
    for request in up.requests:
        assert {message["role"] for message in request.json["messages"]} <= {"user", "assistant"}
        assert "# Environment" in json.dumps(request.json)


@FORMATS
def test_an_image_that_claude_code_reads(home: Path, work: Path, up: Scripted, wire: str) -> None:
    """What its Read tool returns for a picture reaches the model as a picture."""
    picture = bytes.fromhex(PNG)
    (work / "dot.png").write_bytes(picture)
    read = Use("call_1", "Read", json.dumps({"file_path": str(work / "dot.png")}))
    up.think = steps(Said("", "Let me see.", (read,)), Said("A dot."))
    with Relay(home, [upstream("one", up.url(wire), wire, "sk-one-0123456789")]) as relay:
        configure(home, relay)
        result = run("claude-code", home, work, "--allowedTools", "Read")
    assert result.stdout.strip() == "A dot.", result
    found = heard(wire, up.requests[-1].json)
    images = [each[1] for each in found if each[0] == "image"]
    assert len(images) == 1
    assert images[0].startswith("data:image/")
