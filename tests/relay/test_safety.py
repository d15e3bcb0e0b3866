"""What must never happen: a key in the wrong place, a stranger let in, a hostile peer that hurts."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import ssl
import stat
import urllib.request
import zlib
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from backports import zstd
from support import cc, drill, scripted, waiting
from support.drill import PATHS, WIRES, Upstream, asking, understood
from support.loopback import Request, Response
from support.relay import KEY, Relay, upstream

from ccsetup.relay.http import server as inbound
from ccsetup.relay.http.inbound import Gone, Inbound

SECRETS = {name: f"sk-{name}-secret-0123456789abcdef" for name in ("first", "second", "third", "strict")}
FAST = {"attempts": 4, "same": 0, "backoff": 0, "jitter": 0}


class World(NamedTuple):
    relay: Relay
    ups: dict[str, Upstream]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three upstreams, one in each format, that are asked one after the other; ``strict`` serves its own model."""
    with Upstream("first") as first, Upstream("second") as second, Upstream("third") as third:
        ups = {"first": first, "second": second, "third": third}
        entries = [
            upstream(name, up.url(kind), kind, SECRETS[name], models=["m", f"m-{kind}"], auth="x-api-key")
            if kind == "anthropic"
            else upstream(name, up.url(kind), kind, SECRETS[name], models=["m", f"m-{kind}"])
            for (name, up), kind in zip(ups.items(), WIRES, strict=True)
        ]
        settings: dict[str, Any] = {
            "retry": FAST,
            "cooldown": {"failures": 1000},
            "selection": {"sticky": 0},
            "limits": {"body": 200_000},
        }
        with Relay(tmp_path_factory.mktemp("relay"), entries, **settings) as relay:
            yield World(relay, ups)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    for up in running.ups.values():
        up.clear()
    running.relay.control("POST", "reset")
    before = len(running.relay.output)
    yield running
    said = running.relay.output[before:]
    assert "Traceback" not in said
    assert '"bug"' not in said


def sent(request: Request) -> str:
    return "\n".join([request.target, *(f"{n}: {v}" for n, v in request.header_list), request.body.decode("latin-1")])


# Keys.


@pytest.mark.parametrize("kind", WIRES)
def test_a_key_goes_to_its_own_upstream(world: World, kind: str) -> None:
    """Whoever fails and whoever takes over: each one sees its own key, and nothing that the client identified by."""
    credentials = {
        "x-api-key": KEY,
        "api-key": "client-api-key-0123456789",
        "cookie": "session=client-cookie",
        "proxy-authorization": "Basic client-proxy",
        "x-goog-api-key": "client-goog-0123456789",
        "anthropic-beta": "oauth-2025-04-20,context-1m-2025-08-07",
        "openai-organization": "org-client",
        "x-forwarded-for": "192.0.2.7",
        "referer": "http://client.example/?token=client-token",
    }
    world.ups["first"].failure = drill.BEFORE["500"]
    world.ups["second"].failure = drill.BEFORE["redirect"]
    for stream in (True, False):
        body = asking(kind, "m", stream=stream)
        got = world.relay.post(PATHS[kind] + "?beta=true&key=client-query-0123456789", body, headers=credentials)
        assert understood(kind, got.body, stream=stream).text == world.ups["third"].said.text
    for name, up in world.ups.items():
        assert len(up.requests) == 2
        for request in up.requests:
            text = sent(request)
            assert SECRETS[name] in text
            assert not [other for other in SECRETS.values() if other != SECRETS[name] and other in text]
            assert KEY not in text
            for word in ("client-", "oauth-2025", "192.0.2.7"):
                assert word not in text, text


def test_betas_go_where_nobody_said_otherwise(tmp_path: Path) -> None:
    """With the members that belong to them; where the configuration says that they are not taken, neither goes."""
    with Upstream("a") as a:
        entries = [
            upstream(
                "clone",
                a.url("anthropic"),
                "anthropic",
                SECRETS["first"],
                models=["clone"],
                dialect={"anthropic": {"betas": False}},
            ),
            upstream(
                "own",
                a.url("anthropic"),
                "anthropic",
                SECRETS["first"],
                models=["own"],
            ),
        ]
        with Relay(tmp_path, entries) as relay:
            for model in ("clone", "own"):
                headers = {"anthropic-beta": "context-1m-2025-08-07"}
                asked = {**asking("anthropic", model), "context_management": {"edits": []}}
                assert relay.post(PATHS["anthropic"], asked, headers=headers).status == 200
        assert [b"context_management" in request.body for request in a.requests] == [False, True]
        assert [request.headers.get("anthropic-beta") for request in a.requests] == [None, "context-1m-2025-08-07"]


def test_keys_are_written_nowhere(tmp_path: Path) -> None:
    """Neither log, errors, figures, status, database nor the arguments of the process hold one, whatever upstreams
    echo; the control token is in its file alone."""

    def echo(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
        key = request.headers["authorization"].removeprefix("Bearer ")
        body = json.dumps({"type": "error", "error": {"type": "authentication_error", "message": f"bad key {key}"}})
        headers = (("Content-Type", "application/json"), ("Request-Id", key), ("x-ratelimit-reset", key))
        return Response(401, headers, body.encode())

    with Upstream("a") as a:
        a.failure = echo
        key = "odd0123456789abcdefodd"  # looks like no key
        with Relay(
            tmp_path, [upstream("a", a.url(kind), kind, key, models=[kind]) | {"name": f"a-{kind}"} for kind in WIRES]
        ) as relay:
            heard = b""
            for kind in WIRES:
                for served in WIRES:
                    for stream in (True, False):
                        got = relay.post(PATHS[kind], asking(kind, served, stream=stream))
                        assert got.status == 401
                        assert "bad key ***" in understood(kind, got.body, stream=stream).error
                        heard += got.body + repr(got.headers).encode()
                        relay.control("POST", "reset")
            heard += relay.post(PATHS["chat"], asking("chat", "chat"), key="wrong-key-of-a-client").body
            heard += relay.get("/metrics").body + json.dumps(relay.control("GET", "status")).encode()
            heard += relay.get("/v1/models").body + relay.get("/readyz").body
            relay.rows(18)
            assert relay.process is not None
            heard += Path(f"/proc/{relay.process.pid}/cmdline").read_bytes()
            token = relay.token
            relay.stop()
        heard += relay.output.encode()
        for path in relay.state.iterdir():
            heard += path.read_bytes()
        for secret in (key, KEY, token, "wrong-key-of-a-client"):
            assert secret.encode() not in heard


def test_files_are_for_their_owner_alone(world: World) -> None:
    world.relay.post(PATHS["chat"], asking("chat", "m"))
    world.relay.rows()
    state = world.relay.state
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    names = {path.name for path in state.iterdir()}
    assert {"run.json", "usage.db"} <= names
    for path in state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_nothing_of_a_conversation_is_logged_unless_asked(world: World) -> None:
    """Neither prompt nor answer, not in errors either; ``relay record`` shows what it is told to, keys masked."""
    relay, first = world.relay, world.ups["first"]
    first.failure = drill.status(400, "invalid_request_error")
    relay.post(PATHS["anthropic"], asking("anthropic", "m-anthropic", "my-private-words"))
    first.failure = None
    for stream in (True, False):
        relay.post(PATHS["anthropic"], asking("anthropic", "m-anthropic", "my-private-words", stream=stream))
    relay.post(PATHS["anthropic"], b'{"model": "m", "messages": "my-private-words"')
    relay.control("POST", "log", {"client": "somebody", "seconds": 60})
    relay.post(PATHS["anthropic"], asking("anthropic", "m-anthropic", "my-private-words"))
    assert "my-private-words" not in relay.output
    assert "all is well" not in relay.output
    relay.control("POST", "log", {"client": "local", "seconds": 60})
    relay.post(PATHS["anthropic"], asking("anthropic", "m-anthropic", f"open-words {SECRETS['first']}", stream=True))
    waiting.until(lambda: "open-words" in relay.output, "the request is logged")
    waiting.until(lambda: "all is well" in relay.output, "the answer is logged")
    assert SECRETS["first"] not in relay.output
    relay.control("POST", "log", {"client": "local", "seconds": 0})
    relay.post(PATHS["anthropic"], asking("anthropic", "m-anthropic", "later-words"))
    assert "later-words" not in relay.output


# Who may ask.


@pytest.mark.parametrize("kind", WIRES)
def test_without_a_key_of_its_own_nobody_is_served(world: World, kind: str) -> None:
    for key, headers in ((None, {}), ("ccr-wrong", {}), (None, {"x-api-key": "x" * 5000}), (SECRETS["first"], {})):
        got = world.relay.post(PATHS[kind], asking(kind, "m"), key=key, headers=headers)
        assert got.status == 401
        assert "key" in understood(kind, got.body, stream=False).error
    assert world.relay.get("/metrics", key=None).status == 401
    assert world.relay.get("/v1/models", key=None).status == 401
    assert world.relay.post("/v1/messages/count_tokens", asking("anthropic", "m"), key=None).status == 401
    assert world.relay.get("/healthz", key=None).status == 200
    assert all(up.requests == [] for up in world.ups.values())
    got = world.relay.post(PATHS[kind], asking(kind, "m"), key=None, headers={"X-Api-Key": KEY})
    assert got.status == 200


def test_keyless_is_for_whoever_wants_it(tmp_path: Path) -> None:
    with (
        Upstream("a") as a,
        Relay(tmp_path, [upstream("a", a.url("chat"), "chat", SECRETS["first"])], keyless=True) as relay,
    ):
        assert relay.post(PATHS["chat"], asking("chat", "m"), key=None).status == 200
        got = relay.ask("GET", "/_relay/status", None, key=None)
        assert got.status == 401


@pytest.mark.parametrize(
    "path", ["/v1/messages", "/v1/responses", "/healthz", "/_relay/status", "/metrics", "/nowhere"]
)
def test_web_pages_are_kept_out(world: World, path: str) -> None:
    """A name that leads here by DNS rebinding, or a page's origin, is refused, key or not."""
    port = world.relay.url.rpartition(":")[2]
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{port}"},
        {"Host": f"127.0.0.1.evil.example:{port}"},
        {"Host": ""},
        {"Host": "["},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": f"http://127.0.0.1.evil.example:{port}"},
        {"Origin": "file://"},
    ):
        got = world.relay.ask("POST", path, b"{}", key=KEY, headers=headers)
        assert got.status == 403, (headers, got)
    for headers in ({"Host": f"localhost:{port}"}, {"Host": "LOCALHOST"}, {"Origin": f"http://localhost:{port}"}):
        assert world.relay.ask("GET", path, None, key=KEY, headers=headers).status != 403


def test_the_operators_side_needs_the_token(world: World) -> None:
    for action in ("status", "reload", "reset", "stop", "log", "nothing"):
        for key in (None, KEY, "", SECRETS["first"], world.relay.token[:-1], "é"):
            got = world.relay.ask("POST", f"/_relay/{action}", b"{}", key=key)
            assert got.status == 401
    assert world.relay.ask("POST", "/_relay/nothing", b"{}", key=world.relay.token).status == 404
    assert world.relay.ask("POST", "/_relay/reset", b'{"upstream": "nobody"}', key=world.relay.token).status == 404
    assert world.relay.ask("POST", "/_relay/reset", b"[1]", key=world.relay.token).status == 200
    assert world.relay.ask("POST", "/_relay/reset", b"{", key=world.relay.token).status == 200
    assert world.relay.ask("POST", "/_relay/log", b'{"seconds": "x"}', key=world.relay.token).status == 400


@pytest.mark.parametrize(
    ("listen", "with_key", "said"),
    [
        ({"host": "0.0.0.0"}, False, "no client key"),
        ({"host": "0.0.0.0"}, True, "TLS"),
        ({"host": "0.0.0.0", "keyless": True}, True, "keyless"),
        ({"host": "::"}, False, "no client key"),
        ({"tls_cert": "/nowhere/cert.pem", "tls_key": "/nowhere/key.pem"}, True, "cert.pem"),
    ],
)
def test_what_it_does_not_listen_on(tmp_path: Path, listen: dict[str, Any], with_key: bool, said: str) -> None:
    relay = Relay(tmp_path, [upstream("a", "http://127.0.0.1:9", "chat", "sk-a-0123456789")], listen=listen)
    relay.write()
    if with_key:
        relay.add_key()
    run = cc.run(tmp_path, "relay", "run", "--port", "0")
    assert run.rc == 1, run
    assert said in run.stderr
    assert "Traceback" not in run.stderr


def test_tls(tmp_path: Path) -> None:
    """With a certificate clients come in over TLS, and nobody without."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    cert, key, ca = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(key))
    authority.cert_pem.write_to_path(str(ca))
    with Upstream("a") as a:
        entry = upstream("a", a.url("chat"), "chat", SECRETS["first"])
        with Relay(tmp_path, [entry], listen={"tls_cert": str(cert), "tls_key": str(key)}) as relay:
            assert relay.url.startswith("https://")
            context = ssl.create_default_context(cafile=str(ca))
            opener = urllib.request.build_opener(
                urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
            )
            for stream in (True, False):
                request = urllib.request.Request(
                    relay.url + PATHS["anthropic"],
                    json.dumps(asking("anthropic", "m", stream=stream)).encode(),
                    {"authorization": f"Bearer {KEY}", "content-type": "application/json"},
                )
                with opener.open(request, timeout=waiting.LIMIT) as answer:
                    assert understood("anthropic", answer.read(), stream=stream).text == a.said.text
            status = cc.run(tmp_path, "relay", "status", "--json")
            assert status.ok, status
            assert b"HTTP/1.1 200" not in raw(relay, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")


# Hostile clients.


def raw(relay: Relay, data: bytes, *, end: bool = False, seconds: float = 20) -> bytes:
    """Send *data* and return everything that comes until the relay closes or has answered once."""
    host, port = relay.url.rpartition("//")[2].split(":")
    with socket.create_connection((host, int(port)), seconds) as sock:
        try:
            sock.sendall(data)
            if end:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = b""
        try:
            while piece := sock.recv(65536):
                got += piece
                head, found, body = got.partition(b"\r\n\r\n")
                length = next(
                    (int(v[15:]) for v in head.lower().split(b"\r\n") if v.startswith(b"content-length:")), -1
                )
                if found and 0 <= length <= len(body):
                    break
        except OSError:
            pass
        return got


def post(path: str, body: bytes, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {KEY}", *more]
    if not any(line.lower().startswith(("content-length", "transfer-encoding")) for line in lines):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


DEEP = b'{"model": "m", "messages": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
BODIES: dict[str, bytes] = {
    "empty": b"",
    "space": b"  ",
    "not-json": b"model=m",
    "cut": b'{"model": "m", "messages": [',
    "text": b'"text"',
    "list": b"[]",
    "number": b"1e400",
    "null": b"null",
    "deep": DEEP,
    "utf-8": b'{"model": "m", "messages": "\xff\xfe"}',
    "utf-16": '{"model": "m"}'.encode("utf-16"),
    "nan": b'{"model": "m", "max_tokens": NaN}',
    "no-model": b'{"messages": []}',
    "model-number": b'{"model": 5}',
    "model-null": b'{"model": null}',
    "model-empty": b'{"model": ""}',
    "model-list": b'{"model": ["m"]}',
}


@pytest.mark.parametrize("name", list(BODIES))
@pytest.mark.parametrize("kind", WIRES)
def test_what_is_no_request_is_refused_in_its_format(world: World, kind: str, name: str) -> None:
    got = world.relay.post(PATHS[kind], BODIES[name])
    assert got.status == 400
    assert understood(kind, got.body, stream=False).error
    assert all(up.requests == [] for up in world.ups.values())
    if kind == "anthropic":
        assert world.relay.post("/v1/messages/count_tokens", BODIES[name]).status == 400


BIG = 10**400
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    BIG,
    "",
    "x",
    [],
    {},
    [None],
    [5],
    ["x"],
    [[]],
    [{}],
    {"x": {}},
    "\ud83d",
)
MEMBERS = {
    "anthropic": ("messages", "system", "max_tokens", "tools", "tool_choice", "thinking", "metadata", "stop_sequences"),
    "responses": (
        "input",
        "instructions",
        "tools",
        "tool_choice",
        "reasoning",
        "text",
        "metadata",
        "max_output_tokens",
    ),
    "chat": ("messages", "tools", "tool_choice", "max_tokens", "stop", "response_format", "stream_options", "n"),
}
INNER = {
    "anthropic": ("role", "content", "type", "text", "id", "name", "input", "source", "tool_use_id", "cache_control"),
    "responses": ("type", "role", "content", "call_id", "name", "arguments", "output", "summary", "encrypted_content"),
    "chat": ("role", "content", "tool_calls", "tool_call_id", "name", "reasoning_content", "function_call"),
}


@pytest.mark.parametrize("kind", WIRES)
def test_members_of_wrong_types(world: World, kind: str) -> None:
    """Whatever stands where something else belongs: an answer or a refusal in the right format, and never a bug."""
    served = [other for other in WIRES if other != kind]
    where = "input" if kind == "responses" else "messages"
    tests = [{member: value} for member in MEMBERS[kind] for value in ODD]
    tests += [
        {where: [{"role": "user", "content": "x"}, {"type": "message", "role": "user", member: value}]}
        for member in INNER[kind]
        for value in ODD
    ]
    tests += [
        {where: [{"role": "assistant", "content": [{"type": t, member: value}]}]}
        for t in ("text", "tool_use", "thinking", "image")
        for member in ("text", "id", "input", "source")
        for value in ODD[::3]
    ]
    host, port = world.relay.url.rpartition("//")[2].split(":")
    with socket.create_connection((host, int(port)), 20) as sock, sock.makefile("rb") as answers:
        for number, change in enumerate(tests):
            model = f"m-{served[number % 2]}"
            body = json.dumps({**asking(kind, model), **change}, ensure_ascii=True).encode()
            sock.sendall(post(PATHS[kind], body))
            status = int(answers.readline().split()[1])
            length = 0
            while (line := answers.readline().strip()) != b"":
                if line.lower().startswith(b"content-length:"):
                    length = int(line[15:])
            said = understood(kind, answers.read(length), stream=False)
            assert (status == 200 and said.finished) or (400 <= status < 500 and said.error), (change, status, said)


def test_limits_of_requests(world: World) -> None:
    """Too large, too many headers, unknown path, wrong method, an encoding that is not known: answered, and the next
    request is served."""
    relay = world.relay
    large = b'{"model": "m", "x": "' + b"x" * 300_000 + b'"}'
    for kind in WIRES:
        got = relay.post(PATHS[kind], large)
        assert got.status == 413
        assert "larger" in understood(kind, got.body, stream=False).error
        got = relay.post(PATHS[kind], b"{}", headers={"content-encoding": "br"})
        assert got.status == 415
        assert understood(kind, got.body, stream=False).error
        got = relay.ask("PUT", PATHS[kind], b"{}", key=KEY)
        assert got.status == 405
        assert understood(kind, got.body, stream=False).error
    assert relay.post("/v1/messages/count_tokens", large).status == 413
    got = relay.post("/v1/nowhere", b"{}")
    assert got.status == 404
    assert understood("chat", got.body, stream=False).error
    assert relay.get("/v1/messages/../../etc/passwd").status == 404
    assert relay.get("/%2e%2e/%ff%00").status == 404
    assert relay.get("/v1/messages").status == 405
    for many in (f"X-Large: {'x' * 100_000}", "\r\n".join(f"X-{n}: y" for n in range(20_000))):
        assert raw(relay, post(PATHS["chat"], b"{}", many))[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"")
    assert raw(relay, b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")[:12] in (
        b"HTTP/1.1 400",
        b"",
    )
    assert all(up.requests == [] for up in world.ups.values())
    assert relay.post(PATHS["chat"], asking("chat", "m-chat")).status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        post(PATHS["chat"], b"{}", "Content-Length: 2", "Content-Length: 5"),
        post(PATHS["chat"], b"0\r\n\r\n", "Transfer-Encoding: chunked", "Content-Length: 5"),
        post(PATHS["chat"], b"zz\r\n", "Transfer-Encoding: chunked"),
        post(PATHS["chat"], b"{}", "Content-Length: -1"),
        post(PATHS["chat"], b"{}", "Content-Length: 99999999999999999999"),
        post(PATHS["chat"], b"{}", "User-Agent: a\0b"),
        post(PATHS["chat"], b"{}", "Bad Name: x"),
    ],
)
def test_what_is_no_http(world: World, data: bytes) -> None:
    got = raw(world.relay, data, end=True)
    assert got[:12] in (b"HTTP/1.1 400", b""), got
    assert all(up.requests == [] for up in world.ups.values())


def test_upgrades_are_ignored(world: World) -> None:
    """A request that offers another protocol is served as what it is."""
    body = json.dumps(asking("chat", "m-chat")).encode()
    offers = (("Connection: Upgrade", "Upgrade: websocket"), ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"))
    for offer in offers:
        got = raw(world.relay, post(PATHS["chat"], body, *offer))
        assert got.startswith(b"HTTP/1.1 200")
        assert b"third" in got


def test_a_websocket_is_refused_so_that_codex_goes_on(world: World) -> None:
    head = (
        "GET /v1/responses HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {KEY}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    got = raw(world.relay, "\r\n".join((*head, "", "")).encode())
    assert got.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nupgrade: HTTP/1.1\r\n" in got


@pytest.mark.parametrize("kind", WIRES)
@pytest.mark.parametrize("coding", ["zstd", "gzip", "deflate"])
def test_compressed_requests(world: World, kind: str, coding: str) -> None:
    """They are unpacked, and no further than the limit; the upstream gets them as they are."""
    pack = {"zstd": zstd.compress, "gzip": gzip.compress, "deflate": zlib.compress}[coding]
    body = json.dumps(asking(kind, f"m-{kind}")).encode()
    head = {"content-encoding": coding}
    got = world.relay.post(PATHS[kind], pack(body), headers=head)
    assert "all is well" in understood(kind, got.body, stream=False).text
    assert world.relay.post(PATHS[kind], pack(bytes(5_000_000)), headers=head).status == 413
    assert world.relay.post(PATHS[kind], body, headers=head).status == 400


async def _serving(
    serve: Callable[[Inbound], Coroutine[Any, Any, None]],
    talk: Callable[[inbound.HttpServer, int], Coroutine[Any, Any, None]],
) -> None:
    """Run *talk* with an HTTP server whose requests *serve* answers, and its port."""
    server = inbound.HttpServer(serve, max_body=1000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        await server.listen(listener)

        async def ticking() -> None:
            while True:
                server.tick()
                await asyncio.sleep(0.02)

        clock = asyncio.create_task(ticking())
        try:
            async with asyncio.timeout(waiting.LIMIT):
                await talk(server, listener.getsockname()[1])
                server.close()
                await server.wait_closed()
        finally:
            clock.cancel()
            await asyncio.gather(clock, return_exceptions=True)


async def _ok(request: Inbound) -> None:
    await request.body()
    request.answer(200, [], b"ok")


def test_a_head_that_never_ends_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that does not send a whole head in time is closed, the first as well as a later one."""
    monkeypatch.setattr(inbound, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(inbound, "LOOK_EVERY", 0.02)

    async def drip(port: int, before: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(before + b"POST / HTTP/1.1\r\nx-slow: ")
        got = b""

        async def more() -> None:
            while True:
                await asyncio.sleep(0.05)
                writer.write(b"x")
                await writer.drain()

        task = asyncio.create_task(more())
        try:
            while piece := await reader.read(1000):
                got += piece
        except ConnectionError:
            pass
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            writer.close()
        return got

    async def talk(server: inbound.HttpServer, port: int) -> None:
        assert await drip(port, b"") == b""
        assert b"ok" in await drip(port, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")

    asyncio.run(_serving(_ok, talk))


def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece has its time; a client that sends nothing more does not hold its place for ever."""
    monkeypatch.setattr(inbound, "BODY_SECONDS", 20.0)
    monkeypatch.setattr(inbound, "LOOK_EVERY", 0.02)
    ends: list[str] = []

    async def serve(request: Inbound) -> None:
        try:
            ends.append((await request.body()).decode())
        except Gone:
            ends.append("gone")
        request.answer(200, [], b"ok")

    async def talk(server: inbound.HttpServer, port: int) -> None:
        loop = asyncio.get_running_loop()
        clock, gone = loop.time, 0.0
        loop.time = lambda: clock() + gone  # type: ignore[method-assign]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def send(data: bytes) -> None:
            """Send *data*, and let some time go by when it was read."""
            nonlocal gone
            (connection,) = server.connections
            before = connection.since
            writer.write(data)
            await waiting.soon(lambda: connection.since != before)
            gone += 12.0

        await waiting.soon(lambda: server.connections)
        for _ in range(2):  # in more time than there is for one piece, but with pieces in between
            await send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n")
            for piece in (b"ab", b"cd", b"ef", b"gh"):
                await send(piece)
            assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
        await send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nab")
        gone += 12.0
        try:
            assert await reader.read() == b""
        except ConnectionError:
            pass
        writer.close()

    asyncio.run(_serving(serve, talk))
    assert ends == ["abcdefgh", "abcdefgh", "gone"]


# Hostile upstreams.


def _rss(pid: int) -> int:
    """Return the peak of the process's memory in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) >> 10
    raise AssertionError("no VmHWM")


def _bomb(status: int, kind: str, size: int) -> drill.Failure:
    """*size* MB of spaces, or of comments, packed into a thousandth of it."""

    def fail(up: Upstream, own: str, stream: bool, request: Request) -> Response:
        text = (b" " if kind == "json" else b": x\n\n" * 200) * (1 << 20 if kind == "json" else 1 << 10)
        packed = gzip.compress(text * size)
        what = "application/json" if kind == "json" else "text/event-stream"
        return Response(status, (("Content-Type", what), ("Content-Encoding", "gzip")), packed)

    return fail


def _flood(make: Any, limit: int, kind: str = "text/event-stream") -> drill.Failure:
    """Pieces of ``make()`` until *limit* MB were sent."""

    def fail(up: Upstream, own: str, stream: bool, request: Request) -> Response:
        def body() -> Iterator[bytes]:
            piece = make() * max(1, (1 << 18) // len(make()))
            for _ in range(limit * 4):
                if up.closing.is_set():
                    return
                yield piece

        return Response(200, (("Content-Type", kind),), body())

    return fail


def _headers(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
    def body() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        for number in range(20_000):
            yield b"x-%d: a value of no use\r\n" % number
        yield b"\r\n{}"

    return Response(200, (), body(), raw=True)


def _after_text(failure: drill.Failure) -> drill.Failure:
    """First a good beginning of an answer, and then what *failure* sends."""

    def fail(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
        events = scripted.events(kind, up.said)
        tail = failure(up, kind, stream, request)

        def body() -> Iterator[bytes]:
            yield b"".join(events[: drill.text_at(events) + 1])
            assert not isinstance(tail.body, bytes)
            yield from tail.body

        return tail._replace(body=body())

    return fail


HOSTILE: dict[str, tuple[bool, drill.Failure]] = {
    "headers": (False, _headers),
    "long-header": (False, lambda up, kind, stream, request: Response(200, (("x-long", "x" * 200_000),), b"{}")),
    "bomb-error": (False, _bomb(500, "json", 200)),
    "bomb-answer": (False, _bomb(200, "json", 200)),
    "bomb-stream": (True, _bomb(200, "stream", 40)),
    "bad-gzip": (False, lambda up, kind, stream, request: Response(200, (("Content-Encoding", "gzip"),), b"no gzip")),
    "brotli": (False, lambda up, kind, stream, request: Response(200, (("Content-Encoding", "br"),), b"\x0b\x02\x80")),
    "huge-answer": (False, _flood(lambda: b" ", 100, "application/json")),
    "huge-error": (
        False,
        lambda up, kind, stream, request: _flood(lambda: b" ", 100)(up, kind, stream, request)._replace(status=500),
    ),
    "comments": (True, _flood(lambda: b": x\n\n", 40)),
    "line": (True, _flood(lambda: b"data: " + b"x" * (1 << 18), 100)),
    "later-line": (True, _after_text(_flood(lambda: b"x" * (1 << 18), 100))),
    "later-events": (True, _after_text(_flood(lambda: b"data: {}\n\n", 4))),
    "deep": (
        False,
        lambda up, kind, stream, request: Response(
            200, (("Content-Type", "application/json"),), b'{"content":' + b"[" * 100_000
        ),
    ),
    "deep-event": (
        True,
        lambda up, kind, stream, request: Response(
            200, (("Content-Type", "text/event-stream"),), b"data: " + b"[" * 100_000 + b"\n\n"
        ),
    ),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_upstream_is_bounded(tmp_path: Path, name: str) -> None:
    """It costs neither memory nor more time than configured; the client gets an error in its own format."""
    stream, failure = HOSTILE[name]
    with Upstream("a") as a:
        entries = [
            upstream(f"a-{kind}", a.url(kind), kind, "sk-a-0123456789", models=[kind]) for kind in ("anthropic", "chat")
        ]
        for entry in entries:
            entry["timeouts"] = {"first_byte": 5, "idle": 5, "total": 10}
        with Relay(tmp_path, entries, retry={"attempts": 1}) as relay:
            assert relay.process is not None
            a.failure = failure
            for served in ("anthropic", "chat"):
                got = relay.post(PATHS["anthropic"], asking("anthropic", served, stream=stream))
                if name == "later-events" and got.status == 200:
                    body = got.body.replace(b"data: {}\n\n", b"")
                else:
                    body = got.body
                if name in ("line", "later-line") and served == "anthropic":
                    # What is no event any more is passed on as it comes; it never looks finished.
                    assert b"message_stop" not in body
                    continue
                said = understood("anthropic", body, stream=stream)
                assert said.error, got.body[-300:]
                assert not said.finished
                relay.control("POST", "reset")
            assert _rss(relay.process.pid) < 350
            a.failure = None
            assert relay.post(PATHS["anthropic"], asking("anthropic", "anthropic")).status == 200
        assert "Traceback" not in relay.output
        assert '"bug"' not in relay.output
