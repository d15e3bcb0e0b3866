"""The provider emulator is no strawman: the official SDKs work with its good answers and understand its failures."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import zlib
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
import yaml
from support import tls, waiting
from support.emulator import PRESETS, SCENARIOS, Emulator, Internet

MODEL = "glm-5.3"
PIXEL = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0"
    b"\5\0\1\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82"
).decode()
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(running: Emulator) -> Emulator:
    running.play()
    running.clear()
    return running


@pytest.fixture(scope="module")
def claude(running: Emulator) -> Iterator[anthropic.Anthropic]:
    """Of the good scenario; it stays connected when another one is played."""
    with anthropic.Anthropic(
        base_url=running.claude_url, api_key=running.key, max_retries=0, timeout=waiting.LIMIT
    ) as client:
        yield client


@pytest.fixture(scope="module")
def codex(running: Emulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=running.codex_url, api_key=running.key, max_retries=0, timeout=waiting.LIMIT) as client:
        yield client


# Messages


def test_messages(emulator: Emulator, claude: anthropic.Anthropic) -> None:
    """Anthropic's SDK reads whole and streamed messages with their usage, token counts and the model list."""
    words: list[anthropic.types.MessageParam] = [{"role": "user", "content": "say the word"}]
    whole = claude.messages.create(model=MODEL, max_tokens=9, messages=words)
    assert [block.text for block in whole.content if block.type == "text"] == [emulator.claude_site.reply]
    assert (whole.stop_reason, whole.usage.input_tokens > 0, whole.usage.output_tokens > 0) == ("end_turn", True, True)
    with claude.messages.stream(model=MODEL, max_tokens=9, messages=words) as stream:
        assert stream.get_final_text() == emulator.claude_site.reply
        assert stream.get_final_message().usage.output_tokens == whole.usage.output_tokens
    assert claude.messages.count_tokens(model=MODEL, messages=words).input_tokens > 0
    assert [model.id for model in claude.models.list()] == emulator.models


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("parallel", [False, True])
def test_messages_with_tools(emulator: Emulator, claude: anthropic.Anthropic, streamed: bool, parallel: bool) -> None:
    """A tool call goes round: the model calls, with the arguments asked for, and then speaks of the result."""
    tools: list[Any] = [{"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}]
    ask = 'Call get_weather for "Paris"' + (' and for "Rome", both in parallel' if parallel else "")
    talk: list[Any] = [{"role": "user", "content": ask}]

    def say() -> anthropic.types.Message:
        if streamed:
            with claude.messages.stream(model=MODEL, max_tokens=99, messages=talk, tools=tools) as stream:
                return stream.get_final_message()
        return claude.messages.create(model=MODEL, max_tokens=99, messages=talk, tools=tools)

    first = say()
    uses = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert [(use.name, use.input) for use in uses] == [
        ("get_weather", {"city": city}) for city in (["Paris", "Rome"] if parallel else ["Paris"])
    ]
    assert len({use.id for use in uses}) == len(uses)
    talk.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]})
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": f"sunny-{n}"} for n, use in enumerate(uses)]
    talk.append({"role": "user", "content": results})
    second = say()
    assert second.stop_reason == "end_turn"
    text = "".join(block.text for block in second.content if block.type == "text")
    assert text == " ".join([emulator.claude_site.reply, *(f"sunny-{n}" for n in range(len(uses)))])


def test_messages_with_an_image(emulator: Emulator, claude: anthropic.Anthropic) -> None:
    """An image is taken by a model that sees, and refused by one that does not."""
    source: Any = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    words: Any = [{"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "?"}]}]
    assert claude.messages.create(model=MODEL, max_tokens=9, messages=words).content
    emulator.play("rejects-images")
    with pytest.raises(anthropic.BadRequestError, match="image"):
        claude.messages.create(model=MODEL, max_tokens=9, messages=words)


# Responses


def test_responses(emulator: Emulator, codex: openai.OpenAI) -> None:
    """OpenAI's SDK reads whole and streamed responses with their usage, and the model list."""
    whole = codex.responses.create(model=MODEL, input="say the word")
    assert whole.output_text == emulator.codex_site.reply
    assert whole.usage is not None
    with codex.responses.stream(model=MODEL, input="say the word") as stream:
        final = stream.get_final_response()
    assert final.output_text == whole.output_text
    assert final.usage == whole.usage
    assert [model.id for model in codex.models.list()] == emulator.models


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("parallel", [False, True])
def test_responses_with_tools(emulator: Emulator, codex: openai.OpenAI, streamed: bool, parallel: bool) -> None:
    """A function call goes round in the Responses protocol."""
    tools: list[Any] = [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}]
    ask = 'Use get_weather for "Paris"' + (' and "Rome", both in parallel' if parallel else "")
    talk: list[Any] = [{"role": "user", "content": ask}]

    def say() -> Any:
        if streamed:
            with codex.responses.stream(model=MODEL, input=talk, tools=tools) as stream:
                return stream.get_final_response()
        return codex.responses.create(model=MODEL, input=talk, tools=tools)

    first = say()
    calls = [item for item in first.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [
        ("get_weather", {"city": city}) for city in (["Paris", "Rome"] if parallel else ["Paris"])
    ]
    for number, call in enumerate(calls):
        talk.append({"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments})
        talk.append({"type": "function_call_output", "call_id": call.call_id, "output": f"sunny-{number}"})
    # As clients do: all outputs at the end.
    talk.sort(key=lambda item: item.get("type") == "function_call_output")
    assert say().output_text == " ".join([emulator.codex_site.reply, *(f"sunny-{n}" for n in range(len(calls)))])


def test_responses_with_an_image(codex: openai.OpenAI) -> None:
    """An input_image is taken."""
    image: Any = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"}
    ask: Any = [{"role": "user", "content": [image, {"type": "input_text", "text": "?"}]}]
    assert codex.responses.create(model=MODEL, input=ask).output_text


# Chat Completions


def test_chat(emulator: Emulator, codex: openai.OpenAI) -> None:
    """OpenAI's SDK reads whole and streamed completions; usage comes in a stream when it is asked for."""
    words: Any = [{"role": "user", "content": "say the word"}]
    whole = codex.chat.completions.create(model=MODEL, messages=words)
    assert whole.choices[0].message.content == emulator.codex_site.reply
    assert whole.usage is not None
    chunks = list(
        codex.chat.completions.create(model=MODEL, messages=words, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == emulator.codex_site.reply
    assert [chunk.usage for chunk in chunks if chunk.usage] == [whole.usage]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("parallel", [False, True])
def test_chat_with_tools(emulator: Emulator, codex: openai.OpenAI, streamed: bool, parallel: bool) -> None:
    """A tool call goes round in Chat Completions."""
    tools: list[Any] = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    ask = 'Use get_weather for "Paris"' + (' and "Rome", both in parallel' if parallel else "")
    talk: list[Any] = [{"role": "user", "content": ask}]

    def say() -> Any:
        if streamed:
            with codex.chat.completions.stream(model=MODEL, messages=talk, tools=tools) as stream:
                return stream.get_final_completion().choices[0]
        return codex.chat.completions.create(model=MODEL, messages=talk, tools=tools).choices[0]

    first = say()
    assert first.finish_reason == "tool_calls"
    calls = first.message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [
        {"city": city} for city in (["Paris", "Rome"] if parallel else ["Paris"])
    ]
    talk.append({"role": "assistant", "tool_calls": [call.to_dict() for call in calls]})
    for number, call in enumerate(calls):
        talk.append({"role": "tool", "tool_call_id": call.id, "content": f"sunny-{number}"})
    assert say().message.content == " ".join([emulator.codex_site.reply, *(f"sunny-{n}" for n in range(len(calls)))])


# What tools decide


@pytest.mark.parametrize(
    ("prompt", "choice", "called"),
    [
        ("say the word", None, []),
        ("What is the weather?", None, []),
        ("please call echo", None, ["echo"]),
        ("use the tool", None, ["add"]),
        ("call echo and add, both", None, ["add", "echo"]),
        ("say the word", {"type": "any"}, ["add"]),
        ("say the word", {"type": "tool", "name": "echo"}, ["echo"]),
        ("call echo", {"type": "none"}, []),
        ("call echo and add, both", {"type": "auto", "disable_parallel_tool_use": True}, ["add"]),
        ("<system-reminder>use the echo tool</system-reminder>hello", None, []),
    ],
)
def test_when_tools_are_called(claude: anthropic.Anthropic, prompt: str, choice: Any, called: list[str]) -> None:
    """The emulated model does as it is told, and calls nothing on its own."""
    tools: list[Any] = [{"name": name, "input_schema": SCHEMA} for name in ("add", "echo")]
    more = {"tool_choice": choice} if choice else {}
    answer = claude.messages.create(
        model=MODEL, max_tokens=9, messages=[{"role": "user", "content": prompt}], tools=tools, **more
    )
    assert [block.name for block in answer.content if block.type == "tool_use"] == called


# Failures, as the SDKs see them


@pytest.mark.parametrize(
    ("scenario", "claude_error", "codex_error"),
    [
        ("bad-key", anthropic.AuthenticationError, openai.AuthenticationError),
        ("no-quota", anthropic.APIStatusError, openai.RateLimitError),
        ("forbidden", anthropic.PermissionDeniedError, openai.PermissionDeniedError),
        ("rate-limited", anthropic.RateLimitError, openai.RateLimitError),
        ("server-error", anthropic.InternalServerError, openai.InternalServerError),
        ("overloaded", anthropic.InternalServerError, openai.InternalServerError),
        ("chat-only", anthropic.NotFoundError, openai.NotFoundError),
        ("model-missing", anthropic.NotFoundError, openai.NotFoundError),
        ("refused", anthropic.APIConnectionError, openai.APIConnectionError),
        ("reset", anthropic.APIConnectionError, openai.APIConnectionError),
        ("bad-chunking", Exception, Exception),
        ("truncated-json", Exception, Exception),
    ],
)
def test_failures(
    emulator: Emulator, scenario: str, claude_error: type[Exception], codex_error: type[Exception]
) -> None:
    """Each failure is the one that its name says, in both dialects."""
    emulator.play(scenario)
    with (
        anthropic.Anthropic(base_url=emulator.claude_url, api_key=emulator.key, max_retries=0, timeout=5) as client,
        pytest.raises(claude_error),
    ):
        client.messages.create(model=MODEL, max_tokens=9, messages=[{"role": "user", "content": "hi"}])
    with (
        openai.OpenAI(base_url=emulator.codex_url, api_key=emulator.key, max_retries=0, timeout=5) as client,
        pytest.raises(codex_error),
    ):
        client.responses.create(model=MODEL, input="hi")


@pytest.mark.parametrize("scenario", ["truncated", "error-event", "no-end-event"])
def test_broken_streams(emulator: Emulator, claude: anthropic.Anthropic, codex: openai.OpenAI, scenario: str) -> None:
    """The whole answer comes, the streamed one does not: it breaks, or it lacks its end."""
    emulator.play(scenario)
    words: Any = [{"role": "user", "content": "hi"}]
    assert claude.messages.create(model=MODEL, max_tokens=9, messages=words).stop_reason == "end_turn"
    with (
        pytest.raises(Exception, match=r"."),  # each SDK has its own way to complain
        codex.responses.stream(model=MODEL, input="hi") as stream,
    ):
        stream.get_final_response()
    try:
        with claude.messages.stream(model=MODEL, max_tokens=9, messages=words) as stream:
            ended = stream.get_final_message().stop_reason
    except Exception:
        ended = None
    assert ended is None


@pytest.mark.parametrize(
    ("field", "value", "scenario"),
    [
        ("context_management", {"edits": []}, "rejects-context-management"),
        ("output_config", {"effort": "high"}, "rejects-output-config"),
        ("thinking", {"type": "adaptive"}, "rejects-thinking"),
    ],
)
def test_refused_fields(
    emulator: Emulator, claude: anthropic.Anthropic, field: str, value: object, scenario: str
) -> None:
    """A field is taken normally and refused in its scenario; without it the scenario is good."""
    words: Any = [{"role": "user", "content": "hi"}]
    body = {field: value}
    assert claude.messages.create(model=MODEL, max_tokens=9, messages=words, extra_body=body).content
    emulator.play(scenario)
    assert claude.messages.create(model=MODEL, max_tokens=9, messages=words).content
    with pytest.raises(anthropic.BadRequestError, match=field):
        claude.messages.create(model=MODEL, max_tokens=9, messages=words, extra_body=body)


def test_requests_without_a_model_cost_nothing(emulator: Emulator) -> None:
    """A body without a model is 400 with a good key and 401 with a bad one."""
    for url in (f"{emulator.claude_url}/v1/messages", f"{emulator.codex_url}/responses"):
        for body in ({}, {"model": "", "max_tokens": 1, "messages": [], "input": ""}):
            for key, status in ((emulator.key, 400), ("sk-other", 401)):
                answer = httpx.post(url, json=body, headers={"authorization": f"Bearer {key}"})
                assert answer.status_code == status


def test_routes(emulator: Emulator) -> None:
    """A wrong method is 405; another path is 404, whatever the key."""
    head = {"authorization": f"Bearer {emulator.key}"}
    assert httpx.get(f"{emulator.claude_url}/v1/messages", headers=head).status_code == 405
    assert httpx.post(f"{emulator.claude_url}/v1/v1/messages", headers=head, json={}).status_code == 404
    assert httpx.post(f"{emulator.codex_url}/v1/responses", headers=head, json={}).status_code == 404
    assert httpx.post(f"{emulator.plain_origin}/v1/messages", headers=head, json={}).status_code == 404


# Transport


def test_the_bomb_unpacks_to_much(emulator: Emulator) -> None:
    """A few kilobytes of the gzip bomb are many megabytes."""
    emulator.play("gzip-bomb")
    with httpx.stream("GET", f"{emulator.codex_url}/models") as answer:
        packed = b""
        for part in answer.iter_raw():
            packed += part
            if len(packed) > 100_000:
                break
    assert answer.headers["content-encoding"] == "gzip"
    assert len(zlib.decompressobj(31).decompress(packed)) > 50 << 20


@pytest.mark.parametrize("scenario", ["huge-body", "endless-stream", "slow-body", "slow-headers", "hang"])
def test_attacks_end_with_the_emulator(scenario: str) -> None:
    """Whatever never ends, ends when the emulator does."""
    with Emulator() as emulator:
        emulator.play(scenario)
        port = int(emulator.origin.rpartition(":")[2])
        connection = socket.create_connection(("127.0.0.1", port), timeout=waiting.LIMIT)
        connection.sendall(b"GET /api/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
        if scenario != "hang":
            assert connection.recv(1) == b"H"
    with connection:
        try:
            while connection.recv(1 << 20):
                pass
        except ConnectionError:
            pass


def _verify(emulator: Emulator) -> str:
    context = ssl.create_default_context(cafile=emulator.env.get("SSL_CERT_FILE"))
    try:
        return str(httpx.get(f"{emulator.codex_url}/models", verify=context, trust_env=False).status_code)
    except httpx.ConnectError as error:
        return str(error)


@pytest.mark.parametrize(
    ("scenario", "seen"),
    [
        ("tls-good", "401"),
        ("tls-private-ca", "unable to get local issuer"),
        ("tls-self-signed", "self-signed certificate"),
        ("tls-expired", "certificate has expired"),
        ("tls-wrong-host", "IP address mismatch"),
        ("tls-plain", "record layer failure|wrong version number"),
    ],
)
def test_tls(emulator: Emulator, scenario: str, seen: str) -> None:
    """Each bad certificate is bad in exactly one way."""
    assert re.search(seen, _verify(emulator.play(scenario)))


@pytest.mark.parametrize(
    ("scenario", "seen"),
    [
        ("proxy-good", 200),
        ("proxy-connect", 200),
        ("tls-corporate-proxy", "unable to get local issuer"),
        ("proxy-auth-required", "407"),
        ("proxy-forbidden", "403"),
        ("proxy-auth-required-http", 407),
        ("proxy-dead", "refused"),
        ("proxy-bypassed", 200),
    ],
)
def test_proxies(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, scenario: str, seen: int | str) -> None:
    """An ordinary HTTP client goes through the proxy of the variables, with the result that the name says."""
    emulator.play(scenario)
    for name, value in emulator.env.items():
        monkeypatch.setenv(name, value)
    try:
        answer = httpx.get(f"{emulator.codex_url}/models", headers={"authorization": f"Bearer {emulator.key}"})
        found: int | str = answer.status_code
    except httpx.TransportError as error:
        found = str(error)
    assert found == seen or str(seen) in str(found)
    assert emulator.leaks == []


def test_a_leak_is_seen(emulator: Emulator) -> None:
    """A client that follows a redirect with the key is found out; one that drops the key is not."""
    emulator.play("redirect-elsewhere")
    httpx.get(f"{emulator.codex_url}/models", headers={"authorization": emulator.key}, follow_redirects=True)
    assert emulator.elsewhere.calls
    assert emulator.leaks == []  # httpx drops Authorization …
    httpx.get(f"{emulator.codex_url}/models", headers={"x-api-key": emulator.key}, follow_redirects=True)
    assert emulator.leaks == ["GET /api/v1/models at the host of a redirect"]  # … and keeps this one


def test_every_scenario_can_be_played_after_another(emulator: Emulator) -> None:
    """No scenario leaves anything behind."""
    for name in SCENARIOS:
        emulator.play(name)
    emulator.play()
    answer = httpx.get(f"{emulator.codex_url}/models", headers={"authorization": f"Bearer {emulator.key}"})
    assert [row["id"] for row in answer.json()["data"]] == ["glm-5.3", "glm-5.3-flash"]
    assert emulator.env == {}


# The presets' providers

ONLINE = [path.stem for path in sorted(PRESETS.glob("*.yaml")) if path.stem != "custom"]


def _region_cases() -> Iterator[tuple[str, str]]:
    for name in ONLINE:
        for region in yaml.safe_load((PRESETS / f"{name}.yaml").read_text("utf-8"))["regions"]:
            yield name, region["id"]


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """One client for many requests: each new one would read the system's certificates."""
    with httpx.Client(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), trust_env=False) as client:
        yield client


@pytest.mark.parametrize(("preset", "region"), list(_region_cases()))
def test_every_preset_has_its_provider(http: httpx.Client, preset: str, region: str) -> None:
    """Each endpoint of each region answers the good key and refuses another."""
    with Emulator(preset, region) as emulator:
        document = yaml.safe_load(emulator.preset_yaml)
        (here,) = (each for each in document["regions"] if each["id"] == region)
        claude, codex = here.get("claude-code") or {}, here.get("codex") or {}
        words = [{"role": "user", "content": "hi"}]
        requests: list[tuple[str, dict[str, Any], bool]] = []
        if claude.get("base_url"):
            model = (claude.get("models") or {}).get("primary", emulator.models[0])
            url = claude["base_url"].rstrip("/") + "/v1/messages"
            requests.append((url, {"model": model, "max_tokens": 9, "messages": words}, True))
        if codex.get("base_url"):
            model = codex.get("model") or emulator.models[0]
            speaks = codex.get("wire", "responses") == "responses"
            requests.append((codex["base_url"] + "/responses", {"model": model, "input": "hi"}, speaks))
            requests.append((codex["base_url"] + "/chat/completions", {"model": model, "messages": words}, True))
        for url, body, there in requests:
            site = next(each for each in emulator.sites.values() if url.startswith(each.url()))
            answer = http.post(url, json=body, headers={"authorization": f"Bearer {site.key}"})
            if not there:
                assert answer.status_code == 404
                continue
            assert answer.status_code == 200
            assert site.reply in answer.text
            if not site.vendor.open:
                answer = http.post(url, json=body, headers={"authorization": "Bearer sk-unknown"})
                assert site.reply not in answer.text
                assert answer.status_code in (400, 401) or answer.json()["base_resp"]["status_code"] in (1004, 2049)


CHECKS = [
    (preset, region, number)
    for preset, region in _region_cases()
    for number in range(
        next(
            len(each.get("verify") or [])
            for each in yaml.safe_load((PRESETS / f"{preset}.yaml").read_text("utf-8"))["regions"]
            if each["id"] == region
        )
    )
]


@pytest.mark.parametrize(("preset", "region", "number"), CHECKS)
def test_every_key_check_is_there(http: httpx.Client, preset: str, region: str, number: int) -> None:
    """The preset's conditions for a good and a bad key hold for what its provider answers to a good and a bad key."""
    with Emulator(preset, region) as emulator:
        document = yaml.safe_load(emulator.preset_yaml)
        (here,) = (each for each in document["regions"] if each["id"] == region)
        check = here["verify"][number]
        site = next(each for each in emulator.sites.values() if check["get"].startswith(each.url()))
        good, family = site.key, next(iter(check.get("prefixes") or []), "")
        if not good.startswith(family):
            good = f"{family}9f86d081884c7d65"
            site.more_keys[good] = "good"
        for key in (good, "sk-unknown"):
            heads = {"raw": {"authorization": key}, "x-api-key": {"x-api-key": key, "anthropic-version": "2023-06-01"}}
            head = heads.get(check.get("auth", "bearer"), {"authorization": f"Bearer {key}"})
            answer = http.get(check["get"], headers=head)
            if not check["proves"]:
                assert answer.status_code == 200  # public: it says nothing of the key
                continue
            assert _matches(check.get("valid", [{"status": [200]}]), answer) is (key == good), answer.text
            if check.get("invalid", True):
                assert _matches(check.get("invalid", [{"status": [401]}]), answer) is (key != good), answer.text


def _matches(conditions: list[dict[str, Any]], answer: httpx.Response) -> bool:
    """An independent reading of a preset's conditions."""

    def one(condition: dict[str, Any]) -> bool:
        if "status" in condition and answer.status_code not in condition["status"]:
            return False
        if condition.get("contains", "") not in answer.text.lower():
            return False
        value = answer.json()
        for part in filter(None, condition.get("path", "").split(".")):
            if isinstance(value, list) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            elif isinstance(value, dict) and part in value:
                value = value[part]
            else:
                return False
        return "equals" not in condition or any(value == v and type(value) is type(v) for v in condition["equals"])

    return any(one(condition) for condition in conditions)


def test_the_internet() -> None:
    """The presets' hosts answer under their real names, with certificates of an authority of the tests."""
    with Internet() as net:
        trust = ssl.create_default_context(cafile=net.env["SSL_CERT_FILE"])
        with httpx.Client(proxy=net.env["HTTPS_PROXY"], verify=trust, trust_env=False) as client:
            for host, path in (
                ("api.moonshot.cn", "/v1/users/me/balance"),
                ("api.deepseek.com", "/user/balance"),
                ("api.x.ai", "/v1/api-key"),
            ):
                head = {"authorization": f"Bearer {net.site(host).key}"}
                assert client.get(f"https://{host}{path}", headers=head).status_code == 200
                assert [call.status for call in net.site(host).calls] == [200]
            with pytest.raises(httpx.ProxyError):
                client.get("https://example.com/")


def test_authorities_are_different() -> None:
    """Each name of an authority stands for another one, so that trust in one is no trust in another."""
    assert tls.authority("private").cert_pem.bytes() != tls.authority("corporate").cert_pem.bytes()
