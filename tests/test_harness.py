"""The test harness itself: the loopback provider, the runners of the real clients, and the guards."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import anthropic
import httpx
import openai
import pytest
from support import client_install, waiting
from support.clients import (
    CLAUDE_VERSIONS,
    CODEX_VERSIONS,
    claude_auth_status,
    codex_config_ok,
    codex_no_retries,
    run_claude,
    run_codex,
    version_key,
)
from support.provider import Call, Disconnect, Provider, Response, Scheme, error

KEY = "sk-good"
MODELS = {"glm-4.7", "glm-4.5-air"}
ANTHROPIC, OPENAI = "/api/anthropic", "/api/v1"

# Configurations written by hand: what a client is known to accept, independent of what ccsetup writes.


def write_claude(home: Path, base_url: str, *, key: str = KEY, variable: str = "ANTHROPIC_AUTH_TOKEN") -> None:
    env = {
        "ANTHROPIC_BASE_URL": base_url,
        # No ANTHROPIC_AUTH_TOKEN = "" beside a key: 2.0.76 would send an empty "Authorization: Bearer" with it.
        "ANTHROPIC_API_KEY": "",
        "ANTHROPIC_MODEL": "glm-4.7",
        "ANTHROPIC_DEFAULT_OPUS_MODEL": "glm-4.7",
        "ANTHROPIC_DEFAULT_SONNET_MODEL": "glm-4.7",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "glm-4.5-air",
        "ANTHROPIC_DEFAULT_FABLE_MODEL": "glm-4.7",
        "ANTHROPIC_SMALL_FAST_MODEL": "glm-4.5-air",
        "CLAUDE_CODE_SUBAGENT_MODEL": "glm-4.7",
        "CLAUDE_CODE_MAX_CONTEXT_TOKENS": "200000",
        "API_TIMEOUT_MS": "3000000",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS": "1",
        "CLAUDE_CODE_ATTRIBUTION_HEADER": "0",
        variable: key,
    }
    folder = home / ".claude"
    folder.mkdir(exist_ok=True)
    (folder / "settings.json").write_text(json.dumps({"env": env}), "utf-8")


CATALOG_ENTRY = {
    "slug": "glm-4.7",
    "display_name": "GLM 4.7",
    "description": "for tests",
    "default_reasoning_level": "medium",
    "supported_reasoning_levels": [{"effort": "medium", "description": "balanced"}],
    "shell_type": "unified_exec",
    "visibility": "list",
    "supported_in_api": True,
    "priority": 1,
    "base_instructions": "You are Codex, a coding agent.",
    "upgrade": None,
    "supports_reasoning_summaries": False,
    "support_verbosity": False,
    "default_verbosity": None,
    "apply_patch_tool_type": None,
    "truncation_policy": {"mode": "bytes", "limit": 10000},
    "supports_parallel_tool_calls": False,
    "context_window": 200000,
    "auto_compact_token_limit": None,
    "experimental_supported_tools": [],
    "input_modalities": ["text"],
}


def write_codex(home: Path, version: str, base_url: str, *, key: str = KEY, top: str = "", end: str = "") -> None:
    folder = home / ".codex"
    folder.mkdir(exist_ok=True)
    (folder / "models.json").write_text(json.dumps({"models": [CATALOG_ENTRY]}), "utf-8")
    no_agents = "[agents]\nenabled" if version_key(version) >= (0, 145) else "[features]\nmulti_agent"
    (folder / "config.toml").write_text(
        f"""\
{top}model = "glm-4.7"
model_provider = "glm"
model_context_window = 200000
model_catalog_json = "models.json"
web_search = "disabled"

[model_providers.glm]
name = "GLM"
base_url = "{base_url}"
experimental_bearer_token = "{key}"
wire_api = "responses"

{no_agents} = false
{end}""",
        "utf-8",
    )


# The real clients


@pytest.mark.clients
@pytest.mark.parametrize("version", CLAUDE_VERSIONS)
@pytest.mark.parametrize(
    ("variable", "scheme"), [("ANTHROPIC_AUTH_TOKEN", "bearer"), ("ANTHROPIC_API_KEY", "x-api-key")]
)
def test_claude_gets_its_answer(provider: Provider, home: Path, version: str, variable: str, scheme: Scheme) -> None:
    """Claude Code prints the provider's text; only the key, its one header and the provider's models were sent."""
    provider.expect(ANTHROPIC, key=KEY, scheme=scheme)
    write_claude(home, provider.url(ANTHROPIC), variable=variable)

    result = run_claude(version, home, "say the word")

    assert result.ok, result
    assert result.stdout.strip() == provider.reply
    if (version, scheme) != ("2.0.76", "x-api-key"):  # asks api.anthropic.com for metrics_enabled, with the key
        assert result.outside == ()
    calls = provider.check("messages", prefix=ANTHROPIC, key=KEY, scheme=scheme, models=MODELS)
    assert any("say the word" in call.prompt for call in calls)
    assert {call.path for call in calls} == {"/api/anthropic/v1/messages"}


@pytest.mark.clients
@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_codex_gets_its_answer(provider: Provider, home: Path, version: str) -> None:
    """Codex prints the provider's text after one request, which carries the key once and only function tools."""
    provider.expect(OPENAI, key=KEY, scheme="bearer")
    write_codex(home, version, provider.url(OPENAI))

    result = run_codex(version, home, "say the word")

    assert result.ok, result
    assert result.stdout.strip() == provider.reply
    (call,) = provider.check("responses", prefix=OPENAI, key=KEY, scheme="bearer", models=MODELS)
    assert (call.path, call.model) == ("/api/v1/responses", "glm-4.7")
    assert "say the word" in call.prompt
    assert {tool["type"] for tool in call.body["tools"]} == {"function"}


@pytest.mark.clients
@pytest.mark.parametrize("version", CLAUDE_VERSIONS)
def test_claude_fails_with_a_wrong_key(provider: Provider, home: Path, version: str) -> None:
    """A key that the provider refuses makes Claude Code fail with the provider's words, without long retries."""
    provider.expect(ANTHROPIC, key=KEY, scheme="bearer")
    write_claude(home, provider.url(ANTHROPIC), key="sk-wrong")

    result = run_claude(version, home, "hi")

    assert result.rc == 1, result
    assert "token expired or incorrect" in result.stdout
    assert {call.status for call in provider.calls} == {401}


@pytest.mark.clients
@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_codex_fails_with_a_wrong_key(provider: Provider, home: Path, version: str) -> None:
    """A key that the provider refuses makes Codex fail with the provider's words, after one request."""
    provider.expect(OPENAI, key=KEY, scheme="bearer")
    write_codex(home, version, provider.url(OPENAI), key="sk-wrong")

    result = run_codex(version, home, "hi", args=codex_no_retries("glm"))

    assert result.rc == 1, result
    assert "token expired or incorrect" in result.stderr
    assert [call.status for call in provider.calls] == [401]


@pytest.mark.clients
@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_codex_profile(provider: Provider, home: Path, version: str) -> None:
    """``--profile`` reaches Codex: the profile's model is asked for, in either layout of profiles."""
    table = 'model = "glm-4.5-air"\n'
    old = version_key(version) < (0, 134)
    write_codex(home, version, provider.url(OPENAI), end=f"[profiles.air]\n{table}" if old else "")
    if not old:
        (home / ".codex" / "air.config.toml").write_text(table, "utf-8")

    assert codex_config_ok(version, home, profile="air").ok
    result = run_codex(version, home, "hi", profile="air")

    assert result.ok, result
    assert [call.model for call in provider.calls] == ["glm-4.5-air"]


@pytest.mark.clients
@pytest.mark.parametrize("version", CODEX_VERSIONS)
@pytest.mark.parametrize(
    ("top", "refusal"),
    [
        ("", ""),
        ("no_such_key = 1\n", "unknown configuration field `no_such_key`"),
        ("model_verbosity = 1\n", "model_verbosity"),
        ('profile = "gone"\n', "profile"),
    ],
)
def test_codex_config_ok(provider: Provider, home: Path, version: str, top: str, refusal: str) -> None:
    """A good configuration passes; an unknown key, a wrong type and a dangling profile are named; nothing is sent."""
    write_codex(home, version, provider.url(OPENAI), top=top)

    result = codex_config_ok(version, home)

    assert result.ok == (not refusal), result
    assert refusal in result.stderr
    assert provider.calls == []


@pytest.mark.clients
@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_codex_config_ok_reads_the_profile(provider: Provider, home: Path, version: str) -> None:
    """A profile that Codex cannot use is refused although the base configuration is good."""
    old = version_key(version) < (0, 134)
    write_codex(home, version, provider.url(OPENAI))
    if not old:  # there, a table that does not exist is the mistake
        (home / ".codex" / "air.config.toml").write_text("model = 5\n", "utf-8")

    assert codex_config_ok(version, home).ok
    assert not codex_config_ok(version, home, profile="air").ok


@pytest.mark.clients
@pytest.mark.parametrize("version", [v for v in CLAUDE_VERSIONS if version_key(v) >= (2, 1)])
def test_claude_auth_status(provider: Provider, home: Path, version: str) -> None:
    """``auth status`` fails without a credential, names the kind of the credential with one, and sends no key."""
    assert claude_auth_status(version, home).rc == 1

    write_claude(home, provider.url(ANTHROPIC))
    status = claude_auth_status(version, home)

    assert status.ok, status
    assert json.loads(status.stdout)["authMethod"] == "oauth_token"
    assert not any(call.credentials for call in provider.calls)


@pytest.mark.clients
def test_clients_get_nothing_of_the_callers_environment(
    provider: Provider, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables of the process that runs the tests do not reach a client; variables given as *env* do."""
    write_claude(home, provider.url(ANTHROPIC))
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", "x-leak: caller")

    assert run_claude(CLAUDE_VERSIONS[0], home, "hi").ok
    assert run_claude(CLAUDE_VERSIONS[0], home, "hi", env={"ANTHROPIC_CUSTOM_HEADERS": "x-leak: given"}).ok

    assert [call.headers.get("x-leak") for call in provider.of("messages")] == [None, "given"]


@pytest.mark.clients
def test_traffic_beyond_loopback_is_refused_and_named(provider: Provider, home: Path) -> None:
    """Whatever a client wants from the internet shows in the result, and does not keep it from answering."""
    write_codex(home, CODEX_VERSIONS[0], provider.url(OPENAI))

    result = run_codex(CODEX_VERSIONS[0], home, "hi")

    assert result.ok, result
    assert any(host.endswith("chatgpt.com:443") for host in result.outside), result


@pytest.mark.clients
def test_a_client_that_hangs_is_ended(provider: Provider, home: Path) -> None:
    """When the time is over, no process with this home is left."""

    def hang(call: Call) -> Response:
        provider.closing.wait()
        raise Disconnect

    provider.script(hang)
    write_codex(home, CODEX_VERSIONS[0], provider.url(OPENAI))

    with pytest.raises(subprocess.TimeoutExpired):
        run_codex(CODEX_VERSIONS[0], home, "hi", timeout=3)

    assert processes_with_home(home) == []


def processes_with_home(home: Path) -> list[int]:
    """Return the processes (zombies apart) that were started with this HOME."""
    wanted = f"HOME={home}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                environment = Path("/proc", entry, "environ").read_bytes()
            except OSError:
                continue
            if wanted in environment.split(b"\0"):
                found.append(int(entry))
    return found


# The pins


def test_every_client_has_three_pinned_versions_newest_first() -> None:
    """The pins are in order, so that ``CODEX_VERSIONS[0]`` is the newest one."""
    for versions in (CLAUDE_VERSIONS, CODEX_VERSIONS):
        assert len(versions) == 3
        assert sorted(versions, key=version_key, reverse=True) == list(versions)


def test_a_version_that_is_not_pinned_is_an_error() -> None:
    """Tests run pinned versions only, never whatever happens to be installed."""
    with pytest.raises(client_install.InstallError, match="not pinned"):
        client_install.command("codex", "0.1.0")


# The provider


def test_anthropics_sdk_reads_the_answers(provider: Provider) -> None:
    """Anthropic's own library understands messages, streams, token counts, model lists and refusals."""
    provider.expect("", key=KEY, scheme="any")  # newer libraries send the key as a bearer token
    messages: list[anthropic.types.MessageParam] = [{"role": "user", "content": "hi"}]
    with anthropic.Anthropic(base_url=provider.url(), api_key=KEY, max_retries=0) as client:
        whole = client.messages.create(model="glm-4.7", max_tokens=9, messages=messages)
        assert [block.text for block in whole.content if block.type == "text"] == [provider.reply]
        with client.messages.stream(model="glm-4.7", max_tokens=9, messages=messages) as stream:
            assert stream.get_final_text() == provider.reply
            assert stream.get_final_message().usage.output_tokens == whole.usage.output_tokens
        assert client.messages.count_tokens(model="glm-4.7", messages=messages).input_tokens > 0
        assert [model.id for model in client.models.list()] == provider.models
    provider.check("messages", prefix="", key=KEY, scheme="any", models=MODELS)

    with (
        anthropic.Anthropic(base_url=provider.url(), api_key="wrong", max_retries=0) as client,
        pytest.raises(anthropic.AuthenticationError, match="token expired"),
    ):
        client.messages.create(model="glm-4.7", max_tokens=9, messages=messages)


def test_openais_sdk_reads_the_answers(provider: Provider) -> None:
    """OpenAI's own library understands responses, chat completions, both streams, model lists and refusals."""
    provider.expect("/v1", key=KEY, scheme="bearer")
    with openai.OpenAI(base_url=provider.url("/v1"), api_key=KEY, max_retries=0) as client:
        assert client.responses.create(model="glm-4.7", input="hi").output_text == provider.reply
        with client.responses.stream(model="glm-4.7", input="hi") as events:
            final = events.get_final_response()
        assert final.output_text == provider.reply
        assert final.usage is not None
        chat = client.chat.completions.create(model="glm-4.7", messages=[{"role": "user", "content": "hi"}])
        assert chat.choices[0].message.content == provider.reply
        with client.chat.completions.stream(model="glm-4.7", messages=[{"role": "user", "content": "hi"}]) as parts:
            assert parts.get_final_completion().choices[0].message.content == provider.reply
        assert [model.id for model in client.models.list()] == provider.models
    provider.check("responses", prefix="/v1", key=KEY, scheme="bearer", models=MODELS)
    provider.check("chat", prefix="/v1", key=KEY, scheme="bearer", models=MODELS)

    with (
        openai.OpenAI(base_url=provider.url("/v1"), api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError, match="token expired"),
    ):
        client.responses.create(model="glm-4.7", input="hi")


BEARER = {"authorization": f"Bearer {KEY}"}
BODY = {"model": "glm-4.7"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/anthropic/v1/messages", BEARER, 200),
        ("/api/anthropic/v1/messages?beta=true", BEARER, 200),
        ("/api/anthropic/v1/messages", {}, 401),
        ("/api/anthropic/v1/messages", {"x-api-key": KEY}, 401),
        ("/api/anthropic/v1/messages", BEARER | {"x-api-key": "sk-other"}, 401),
        ("/api/anthropic/v1/messages", BEARER | {"x-api-key": KEY}, 401),
        ("/api/anthropic/v1/v1/messages", BEARER, 404),
        ("//api/anthropic/v1/messages", BEARER, 404),
        ("/v1/messages", BEARER, 404),
        ("/api/anthropic/nothing", BEARER, 404),
    ],
)
def test_expectations(provider: Provider, path: str, headers: dict[str, str], status: int) -> None:
    """Only the expected prefix exists, and it takes exactly its key in exactly its header; all is recorded."""
    provider.expect(ANTHROPIC, key=KEY, scheme="bearer")

    answer = httpx.post(provider.url(path), headers=headers, json=BODY)

    assert answer.status_code == status
    (call,) = provider.calls
    assert (call.status, call.request.target, call.body) == (status, path, BODY)


def test_each_prefix_has_its_own_key(provider: Provider) -> None:
    """Several providers can stand on one server, told apart by their prefix."""
    provider.expect("/a", key="key-a", scheme="bearer")
    provider.expect("/b/", key="key-b", scheme="any")

    def status(prefix: str, header: str, value: str) -> int:
        return httpx.post(provider.url(f"{prefix}/responses"), headers={header: value}, json=BODY).status_code

    assert status("/a", "authorization", "Bearer key-a") == 200
    assert status("/b", "x-api-key", "key-b") == 200
    assert status("/b", "authorization", "Bearer key-a") == 401


@pytest.mark.parametrize(
    ("path", "headers", "complaint"),
    [
        ("/api/anthropic/v1/messages", BEARER | {"x-api-key": KEY}, "not only"),
        ("/api/anthropic/v1/messages", {}, "not only"),
        ("/other/v1/messages", BEARER, "went to '/other'"),
        ("/api/anthropic/v1/mess", BEARER, "no endpoint"),
    ],
)
def test_check_sees_what_should_not_be(provider: Provider, path: str, headers: dict[str, str], complaint: str) -> None:
    """``check`` fails for a second credential, a missing one, a wrong prefix and an unknown path."""
    httpx.post(provider.url("/api/anthropic/v1/messages"), headers=BEARER, json=BODY)
    provider.check("messages", prefix=ANTHROPIC, key=KEY, scheme="bearer", models=MODELS)

    httpx.post(provider.url(path), headers=headers, json=BODY)

    with pytest.raises(AssertionError, match=complaint):
        provider.check("messages", prefix=ANTHROPIC, key=KEY, scheme="bearer", models=MODELS)


def test_check_sees_a_foreign_model(provider: Provider) -> None:
    """A model id that the provider does not serve fails ``check``."""
    httpx.post(provider.url("/responses"), headers=BEARER, json={"model": "claude-opus-5-5"})

    with pytest.raises(AssertionError, match="claude-opus-5-5"):
        provider.check("responses", prefix="", key=KEY, scheme="bearer", models=MODELS)


def test_scenarios_come_before_the_normal_behaviour(provider: Provider) -> None:
    """The first scenario with an answer wins; calls that no scenario wants are answered as always."""

    def busy_once(call: Call) -> Response | None:
        return error(call, 429, "slow down", [("retry-after", "1")]) if len(provider.calls) == 1 else None

    provider.script(busy_once)

    first, second = (httpx.post(provider.url("/chat/completions"), json=BODY) for _ in range(2))

    assert (first.status_code, first.headers["retry-after"]) == (429, "1")
    assert second.json()["choices"][0]["message"]["content"] == provider.reply
    assert [call.status for call in provider.calls] == [429, 200]


def test_a_scenario_can_cut_the_connection(provider: Provider) -> None:
    """Disconnect without an answer, and in the middle of one, look like a broken connection."""

    def half() -> Iterator[bytes]:
        yield b"data: half"
        raise Disconnect

    def cut(call: Call) -> Response | None:
        if call.kind == "chat":
            raise Disconnect
        return Response(200, (("Content-Type", "text/event-stream"),), half())

    provider.script(cut)

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(provider.url("/chat/completions"), json=BODY)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(provider.url("/responses"), json=BODY)


def test_a_bug_in_a_scenario_is_not_taken_for_a_failing_provider() -> None:
    """An exception in a scenario comes out of the provider, so that the test fails."""

    def broken(call: Call) -> Response:
        raise KeyError("typo")

    def use() -> None:
        with Provider() as provider:
            provider.script(broken)
            assert httpx.post(provider.url("/responses"), json=BODY).status_code == 500

    with pytest.raises(KeyError, match="typo"):
        use()


def test_a_stopping_provider_ends_open_connections() -> None:
    """A stream that still waits ends when the provider stops."""
    with Provider() as provider:

        def wait() -> Iterator[bytes]:
            yield b"data: 1\n\n"
            provider.closing.wait()

        provider.script(lambda call: Response(200, (), wait()))
        connection = socket.create_connection(
            ("127.0.0.1", int(provider.url().rpartition(":")[2])), timeout=waiting.LIMIT
        )
        connection.sendall(b"POST /responses HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert connection.recv(1).startswith(b"H")
    with connection:
        while connection.recv(65536):
            pass


# The guards


def test_the_home_is_a_scratch_folder(home: Path, tmp_path: Path) -> None:
    """Everything that a program derives its folders from points into the test's own folder."""
    assert os.path.expanduser("~") == str(home)
    assert home.parent == tmp_path
    assert not [n for n in os.environ if n.startswith(("ANTHROPIC_", "OPENAI_", "CODEX_", "CLAUDE", "CCSETUP_", "LC_"))]
    assert all(os.environ[n].startswith(str(home)) for n in os.environ if n.startswith("XDG_"))


@pytest.mark.parametrize(
    "touch",
    [
        lambda real: Path(real, ".claude.json").read_text("utf-8"),
        lambda real: os.listdir(os.path.join(real, ".codex")),
        lambda real: os.makedirs(os.path.join(real, ".config", "ccsetup", "profiles")),
        lambda real: os.rename("nothing", os.path.join(real, ".claude", "settings.json")),
    ],
)
def test_the_real_home_is_guarded(offences: list[str], touch: Callable[[str], object]) -> None:
    """Reading and writing the clients' files in the real home fails, whatever the code does about errors."""
    with pytest.raises(pytest.fail.Exception, match="real home"):
        touch(pwd.getpwuid(os.getuid()).pw_dir)
    assert offences
    offences.clear()


@pytest.mark.parametrize(
    "reach",
    [
        lambda: socket.create_connection(("192.0.2.1", 443), timeout=1),
        lambda: socket.create_connection(("example.com", 443), timeout=1),
        lambda: httpx.get("https://example.com/"),
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_network_is_guarded(offences: list[str], reach: Callable[[], object]) -> None:
    """Connections, look-ups and datagrams beyond loopback fail, whatever the code does about errors."""
    with pytest.raises(pytest.fail.Exception, match=r"the test (connects|looks up)"):
        reach()
    assert offences
    offences.clear()


def test_a_name_that_does_not_exist_is_not_found(offences: list[str]) -> None:
    """Names below .invalid fail as an unknown name does, so that tests can have one."""
    with pytest.raises(socket.gaierror):
        socket.create_connection(("provider.invalid", 443), timeout=1)
    assert offences == []
