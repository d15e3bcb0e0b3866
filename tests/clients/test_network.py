"""How each client uses the network, told from its variables; the same rows are tried with the clients themselves."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import socketserver
import threading
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import cc, tls, waiting, wire
from support.clients import CLAUDE_VERSIONS, CODEX_VERSIONS, path_with, run_claude, run_codex, version_key
from support.forward import Proxy, Refuse
from support.loopback import Request, Response, Server
from support.probing import codex_toml, run_test, write_claude

from ccsetup import bounded
from ccsetup.clients import CLIENTS
from ccsetup.model import ClientName
from ccsetup.probe.coding import Unpacking
from ccsetup.probe.network import USUAL

P, Q, HERE = "http://proxy.example:3128", "http://other.example:3129", "127.0.0.1"
NAME = "api.example"

CHOICE: list[tuple[str, dict[str, str], str, str]] = [
    # scheme, variables, the one that Claude Code obeys, the one that Codex obeys ("": none, "!": it cannot be used)
    ("http", {"http_proxy": P}, "http_proxy", "http_proxy"),
    ("http", {"HTTPS_PROXY": P}, "HTTPS_PROXY", ""),
    ("https", {"HTTP_PROXY": P}, "HTTP_PROXY", ""),
    ("https", {"https_proxy": P, "http_proxy": Q}, "https_proxy", "https_proxy"),
    ("http", {"https_proxy": P, "http_proxy": Q}, "https_proxy", "http_proxy"),
    ("http", {"HTTP_PROXY": P, "http_proxy": Q}, "http_proxy", "HTTP_PROXY"),
    ("http", {"HTTP_PROXY": "", "http_proxy": P}, "http_proxy", ""),
    ("http", {"http_proxy": "", "HTTP_PROXY": P}, "HTTP_PROXY", "HTTP_PROXY"),
    ("http", {"ALL_PROXY": P}, "ALL_PROXY", "ALL_PROXY"),
    ("https", {"all_proxy": P}, "all_proxy", "all_proxy"),
    ("http", {"ALL_PROXY": P, "all_proxy": Q}, "all_proxy", "ALL_PROXY"),
    ("http", {"HTTP_PROXY": "", "ALL_PROXY": P}, "ALL_PROXY", "ALL_PROXY"),
    ("https", {"http_proxy": P, "ALL_PROXY": Q}, "http_proxy", "ALL_PROXY"),
    ("http", {"REQUEST_METHOD": "GET", "HTTP_PROXY": P}, "HTTP_PROXY", ""),
    ("http", {"ALL_PROXY": P.replace("http", "socks5")}, "", "ALL_PROXY"),
    ("http", {"HTTP_PROXY": P.replace("http", "socks5")}, "!", "HTTP_PROXY"),
    ("http", {"HTTP_PROXY": P.replace("http", "bogus")}, "!", ""),
    ("http", {"HTTP_PROXY": P.replace("http", "bogus"), "ALL_PROXY": Q}, "!", "ALL_PROXY"),
    ("http", {"HTTP_PROXY": P.removeprefix("http://")}, "!", "HTTP_PROXY"),
    ("http", {"ALL_PROXY": P.removeprefix("http://")}, "ALL_PROXY", "ALL_PROXY"),
    ("http", {"HTTP_PROXY": " " + P}, "HTTP_PROXY", ""),
    ("http", {"HTTP_PROXY": "not a url"}, "!", ""),
    ("http", {"HTTP_PROXY": "http://127.0.0.1:99999"}, "!", "!"),
]

EXCEPTIONS: list[tuple[str, str, bool, bool]] = [
    # host, NO_PROXY (PORT: that of the address), whether Claude Code goes past the proxy, whether Codex does
    (HERE, "127.0.0.1", True, True),
    (HERE, "*", True, False),
    (HERE, "127.0.0.1:PORT", True, False),
    (HERE, "127.0.0.1:0PORT", True, False),
    (HERE, "127.0.0.1:1", False, False),
    (HERE, "localhost 127.0.0.1", True, False),
    (HERE, "localhost, 127.0.0.1", True, True),
    (HERE, "127.0.0.0/8", True, True),
    (HERE, "127.0.0.5/8", True, True),
    (HERE, "127.0.0.0/8:PORT", False, False),
    (HERE, "127.0.0.1/33", False, False),
    (HERE, "127.*", False, False),
    (HERE, ".0.0.1", False, False),
    (HERE, "*:PORT", False, False),
    (HERE, "x,*", True, False),
    (HERE, "::ffff:127.0.0.1", True, False),
    ("localhost", "LOCALHOST", True, True),
    ("localhost", "127.0.0.1", False, False),
    ("localhost", ".localhost", True, True),
    ("localhost", "*.localhost", True, False),
    ("localhost", "localhost:PORT", True, False),
    ("localhost", "localhost.", True, False),
    ("localhost", "*", True, True),
    ("localhost", "ocalhost", False, False),
    ("localhost", "http://localhost", False, False),
    ("localhost", "a.example;localhost", False, False),
    ("[::1]", "::1", True, True),
    ("[::1]", "[::1]", True, False),
    ("[::1]", "[::1]:PORT", True, False),
    ("[::1]", "::/0", True, True),
    (NAME, "example", True, True),
    (NAME, ".Example", True, True),
    (NAME, "*.example", True, False),
    (NAME, "*.example:PORT", True, False),
    (NAME, "*example", False, False),
    (NAME, "..example", False, False),
    (NAME, "xample", False, False),
    (NAME, "api.*", False, False),
    (NAME, "", False, False),
]

BOTH: tuple[tuple[ClientName, int], ...] = (("claude-code", 2), ("codex", 3))
"""Each client, and its column in a row."""


@pytest.mark.parametrize(("client", "column"), BOTH)
@pytest.mark.parametrize("row", CHOICE, ids=lambda r: f"{r[0]}-{r[1]}")
def test_the_variable_that_the_client_obeys(client: ClientName, column: int, row: Any) -> None:
    """The client's own order and spelling decide which proxy is used."""
    kind = CLIENTS[client]
    way = kind.network(kind.newest).route(row[0], NAME, 443, row[1])
    assert (way.proxy.variable if way.proxy else "!" if way.problem else "") == row[column]


def test_an_older_claude_code_does_not_look_at_all_proxy() -> None:
    """ALL_PROXY counts from 2.1.329 on."""
    way = CLIENTS["claude-code"].network((2, 1, 197)).route("https", NAME, 443, {"ALL_PROXY": P})
    assert (way.proxy, way.problem) == (None, "")


@pytest.mark.parametrize(("client", "column"), BOTH)
@pytest.mark.parametrize("row", EXCEPTIONS, ids=lambda r: f"{r[0]}-{r[1]}")
def test_the_hosts_that_are_excepted(client: ClientName, column: int, row: Any) -> None:
    """NO_PROXY is read in the client's own grammar."""
    kind = CLIENTS[client]
    environ = {"HTTP_PROXY": P, "NO_PROXY": row[1].replace("PORT", "4711")}
    assert (kind.network(kind.newest).route("http", row[0].strip("[]"), 4711, environ).proxy is None) is row[column]


@pytest.mark.parametrize(("client", "obeyed"), [("claude-code", "no_proxy"), ("codex", "NO_PROXY")])
def test_the_spelling_of_no_proxy_that_wins(client: ClientName, obeyed: str) -> None:
    """Where both spellings are set, the client has one that it looks at first."""
    kind = CLIENTS[client]
    environ = {"HTTP_PROXY": P, "NO_PROXY": "x.example", "no_proxy": "x.example", obeyed: HERE}
    way = kind.network(kind.newest).route("http", HERE, 80, environ)
    assert (way.proxy, way.note) == (None, obeyed)


@pytest.mark.parametrize(
    ("listed", "host", "expected"),
    [("*", NAME, True), ("a.example api.example", NAME, True), ("10.0.0.0/8", "10.2.3.4", True), ("", NAME, False)],
)
def test_programs_that_are_no_client(listed: str, host: str, expected: bool) -> None:
    """The relay and the check of upstreams read NO_PROXY as most programs do."""
    assert (USUAL.route("https", host, 443, {"ALL_PROXY": P, "NO_PROXY": listed}).proxy is None) is expected


def test_password_is_not_shown() -> None:
    """A proxy's user name and password are in no text of it."""
    found = USUAL.route("https", NAME, 443, {"HTTPS_PROXY": "http://me:s3cretpass@proxy.example:1"})
    assert found.proxy is not None
    assert found.proxy.shown == "http://proxy.example:1"
    assert "s3cretpass" not in repr(found)


# With servers, and with the real clients.


class Site(NamedTuple):
    """A loopback server that answers both clients."""

    url: str
    answered: list[str]
    """Paths that were asked."""


@contextlib.contextmanager
def site(*, secure: bool = False, coding: str = "", status: int = 200) -> Iterator[Site]:
    asked: list[str] = []

    def answer(request: Request) -> Response:
        asked.append(request.path)
        model = str((request.json or {}).get("model") or "")
        stream = wire.anthropic_stream if "/messages" in request.path else wire.responses_stream
        body, kind = b"".join(stream(model, "pong")), "text/event-stream"
        if status != 200:
            body, kind = wire.encode(wire.openai_error("authentication_error", "the key is worn out")), JSON
        elif not model:
            body, kind, code = wire.encode(wire.openai_error("invalid_request_error", "model: is missing")), JSON, 400
            return Response(code, (("Content-Type", kind),), body)
        named = coding.partition(",")[0].replace("+", ", ")
        headers = (("Content-Type", kind), *((("Content-Encoding", named),) if named else ()))
        return Response(status, headers, packed(coding, body))

    with Server(answer, tls.context() if secure else None) as server:
        yield Site(server.origin, asked)


JSON = "application/json"


def packed(coding: str, data: bytes) -> bytes:
    """Return *data* in the coding, in a way that may be named after it."""
    if coding == "gzip, flushed without its end":
        packer = zlib.compressobj(wbits=31)
        return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
    if coding == "gzip, in two members":
        return gzip.compress(data[:50]) + gzip.compress(data[50:])
    if coding == "deflate, bare":
        packer = zlib.compressobj(wbits=-15)
        return packer.compress(data) + packer.flush()
    if coding in ("gzip", "x-gzip", "GZIP"):
        return gzip.compress(data)
    if coding.startswith("zstd"):
        pack = bounded.zstd().compress
        if coding == "zstd, in two frames":
            return bytes(pack(data[:50]) + pack(data[50:]))
        whole = bounded.zstd().ZstdCompressor()
        end = whole.FLUSH_BLOCK if "without" in coding else whole.FLUSH_FRAME
        return bytes(whole.compress(data) + whole.flush(end))
    if coding.startswith("br"):
        import brotli

        packer = brotli.Compressor()
        return bytes(packer.process(data) + (packer.flush() if "without" in coding else packer.finish()))
    if coding == "gzip+gzip":
        return gzip.compress(gzip.compress(data))
    return zlib.compress(data) if coding == "deflate" else data


def configure(home: Path, client: str, url: str) -> None:
    if client == "codex":
        quiet = "plugins = false\napps = false\n[analytics]\nenabled = false\n"
        text = codex_toml(url + "/v1", KEY).replace("[features]\n", "[features]\n" + quiet, 1)
        text = text.replace("unbounded_connection_retries = false\n", "").replace(
            "plugins = false", "unbounded_connection_retries = false\nplugins = false"
        )
        cc.put(home, {".codex/config.toml": text})
    else:
        write_claude(home, url, KEY)


KEY = "sk-worn-0123456789abcdef"
_OWN = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def works(home: Path, client: str, environ: Mapping[str, str], version: str = "") -> bool:
    """Tell whether the real client prints the answer; *environ* stands in the place of the tests' own proxies."""
    run, newest = (run_codex, CODEX_VERSIONS[0]) if client == "codex" else (run_claude, CLAUDE_VERSIONS[0])
    unset = [w for n in _OWN if n not in environ for w in ("-u", n)]
    result = run(version or newest, home, "say hi", prefix=("env", *unset, *(f"{n}={v}" for n, v in environ.items())))
    return result.ok and "pong" in result.stdout


@pytest.mark.clients
@pytest.mark.parametrize(("client", "column"), BOTH)
@pytest.mark.parametrize("row", CHOICE, ids=lambda r: f"{r[0]}-{r[1]}")
def test_the_client_obeys_that_variable(home: Path, client: str, column: int, row: Any) -> None:
    """The real client goes through the same proxy, or goes nowhere where it cannot use what the variable says."""
    scheme, variables, expected = row[0], row[1], row[column]
    with site() as here, Proxy(lambda h, p: Refuse("502 Bad Gateway")) as p, Proxy(lambda h, p: Refuse("502 No")) as q:
        places = {"proxy.example:3128": p.url.removeprefix("http://"), "other.example:3129": q.url[7:]}
        environ = dict(variables)
        for name in environ:
            for old, new in places.items():
                environ[name] = environ[name].replace(old, new)
        url = here.url.replace("http", scheme)
        configure(home, client, url)
        worked = works(home, client, environ)
        port = url.rpartition(":")[2]
        through = [x.url for x in (p, q) if any(f":{port}" in hop.target for hop in x.hops)]
    used = expected and expected != "!" and next(new for old, new in places.items() if old in variables[expected])
    assert through == ([f"http://{used}"] if used else [])
    assert worked is (expected == "" and scheme == "http")


@pytest.mark.clients
@pytest.mark.parametrize(("client", "column"), BOTH)
@pytest.mark.parametrize("row", [r for r in EXCEPTIONS if r[0] in (HERE, "localhost")], ids=lambda r: f"{r[0]}-{r[1]}")
def test_the_client_excepts_the_same_hosts(home: Path, client: str, column: int, row: Any) -> None:
    """The real client reaches the address where NO_PROXY excepts it, and else meets the proxy, which refuses."""
    with site() as here, Proxy(lambda h, p: Refuse("502 Bad Gateway")) as proxy:
        port = here.url.rpartition(":")[2]
        configure(home, client, f"http://{row[0]}:{port}")
        environ = {"HTTP_PROXY": proxy.url, "NO_PROXY": row[1].replace("PORT", port)}
        assert works(home, client, environ) is row[column]
        assert any(f":{port}" in hop.target for hop in proxy.hops) is not row[column]


CERTIFICATES: list[tuple[dict[str, str], str, str]] = [
    # variables (a file of certificates by its name), what comes of it for Claude Code and for Codex
    ({}, "tls", "tls"),
    ({"CODEX_CA_CERTIFICATE": "ca"}, "tls", "ok"),
    ({"CODEX_CA_CERTIFICATE": "both"}, "tls", "ok"),
    ({"CODEX_CA_CERTIFICATE": "missing"}, "tls", "tls"),
    ({"CODEX_CA_CERTIFICATE": "empty"}, "tls", "tls"),
    ({"CODEX_CA_CERTIFICATE": "damaged"}, "tls", "tls"),
    ({"CODEX_CA_CERTIFICATE": "other"}, "tls", "tls"),
    ({"CODEX_CA_CERTIFICATE": "missing", "SSL_CERT_FILE": "ca"}, "ok", "ok"),
    ({"SSL_CERT_FILE": "ca"}, "ok", "ok"),
    ({"SSL_CERT_FILE": "other"}, "tls", "tls"),
    ({"NODE_EXTRA_CA_CERTS": "ca"}, "ok", "tls"),
    ({"NODE_EXTRA_CA_CERTS": "both"}, "ok", "tls"),
    ({"NODE_EXTRA_CA_CERTS": "damaged"}, "ok", "tls"),
    ({"NODE_EXTRA_CA_CERTS": "missing"}, "tls", "tls"),
    ({"NODE_EXTRA_CA_CERTS": "empty"}, "tls", "tls"),
    ({"NODE_EXTRA_CA_CERTS": "missing", "SSL_CERT_FILE": "ca"}, "ok", "ok"),
    ({"NODE_TLS_REJECT_UNAUTHORIZED": "0"}, "degraded", "tls"),
    ({"NODE_TLS_REJECT_UNAUTHORIZED": "1"}, "tls", "tls"),
    ({"NODE_TLS_REJECT_UNAUTHORIZED": ""}, "tls", "tls"),
]
TLS_BOTH: tuple[tuple[ClientName, int], ...] = (("claude-code", 1), ("codex", 2))


def certificates(home: Path, row: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of *row* with paths; ``damaged`` has something else after the good certificate."""
    good, other = (tls.authority_file(home, name).read_text() for name in ("private", "other"))
    files = {"ca": good, "both": other + good, "other": other, "empty": ""}
    files["damaged"] = good + "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"
    cc.put(home, {f"{name}.pem": text for name, text in files.items()})
    return {n: v if n.startswith("NODE_TLS") else str(home / f"{v}.pem") for n, v in row.items()}


@pytest.mark.parametrize(("client", "column"), TLS_BOTH)
@pytest.mark.parametrize("row", CERTIFICATES, ids=lambda r: str(r[0]))
def test_the_certificates_that_count(home: Path, client: str, column: int, row: Any) -> None:
    """The test trusts what the client trusts, and says so where the client checks nothing."""
    with site(secure=True) as here:
        configure(home, client, here.url)
        judged = run_test(home, client=client, env=certificates(home, row[0]))
    assert judged.verdict == row[column], judged
    advice = "CODEX_CA_CERTIFICATE" if client == "codex" else "NODE_EXTRA_CA_CERTS"
    if row[column] == "tls":
        assert advice in judged.hint
        assert ("missing.pem" in judged.hint) is (row[0].get(advice) == "missing")


@pytest.mark.clients
@pytest.mark.parametrize(("client", "column"), TLS_BOTH)
@pytest.mark.parametrize("row", CERTIFICATES, ids=lambda r: str(r[0]))
def test_the_client_trusts_the_same_certificates(home: Path, client: str, column: int, row: Any) -> None:
    """The real client answers exactly where the test does not say tls."""
    with site(secure=True) as here:
        configure(home, client, here.url)
        assert works(home, client, certificates(home, row[0])) is (row[column] != "tls")


@pytest.mark.parametrize("variable", ["NODE_TLS_REJECT_UNAUTHORIZED", "NODE_EXTRA_CA_CERTS"])
def test_the_settings_file_counts_as_the_shell_does(home: Path, variable: str) -> None:
    """What Claude Code reads of its settings decides there, too; SSL_CERT_FILE counts in the shell alone."""
    value = "0" if variable.startswith("NODE_TLS") else str(tls.authority_file(home))
    with site(secure=True) as here:
        write_claude(home, here.url, KEY, **{variable: value})
        assert run_test(home, client="claude-code").verdict == ("degraded" if value == "0" else "ok")
        write_claude(home, here.url, KEY, SSL_CERT_FILE=value)
        assert run_test(home, client="claude-code").verdict == "tls"


CODINGS: list[tuple[str, str, str, str, str, str]] = [
    # how the answer is compressed, what the test says of Claude Code, of Codex 0.171, 0.169, of Claude Code 2.1, 2.0
    ("", "ok", "ok", "ok", "ok", "ok"),
    ("gzip", "ok", "ok", "wire", "ok", "ok"),
    ("gzip, flushed without its end", "wire", "ok", "wire", "wire", "ok"),
    ("gzip, in two members", "ok", "wire", "wire", "wire", "ok"),
    ("deflate", "ok", "wire", "wire", "ok", "ok"),
    ("deflate, bare", "ok", "wire", "wire", "ok", "ok"),
    ("GZIP", "ok", "wire", "wire", "ok", "ok"),
    ("x-gzip", "ok", "wire", "wire", "ok", "ok"),
    ("gzip+gzip", "wire", "wire", "wire", "wire", "ok"),
    ("br", "ok", "wire", "wire", "ok", "ok"),
    ("br, flushed without its end", "wire", "wire", "wire", "wire", "ok"),
    ("zstd", "ok", "ok", "wire", "ok", "wire"),
    ("zstd, flushed without its end", "wire", "ok", "wire", "wire", "wire"),
    ("zstd, in two frames", "ok", "ok", "wire", "ok", "wire"),
    ("compress", "ok", "ok", "ok", "ok", "ok"),
]


@pytest.mark.parametrize(("client", "column"), TLS_BOTH)
@pytest.mark.parametrize("row", CODINGS, ids=lambda r: r[0] or "plain")
def test_compressed_answers(home: Path, client: str, column: int, row: Any) -> None:
    """An answer that the client cannot unpack is a fault; nothing that is still packed is printed."""
    with site(coding=row[0]) as here:
        configure(home, client, here.url)
        judged = run_test(home, "-v", client=client)
    assert judged.verdict == row[column], judged
    assert row[column] == "ok" or row[0].partition(",")[0].partition("+")[0] in judged.said


@pytest.mark.parametrize("client", ["claude-code", "codex"])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd", "br", "GZIP", "gzip+gzip", "deflate, bare"])
def test_the_words_of_a_compressed_error(home: Path, client: str, coding: str) -> None:
    """An error's words are unpacked, whoever can read them."""
    with site(coding=coding, status=401) as here:
        configure(home, client, here.url)
        judged = run_test(home, client=client)
    assert judged.verdict == "key"
    assert "the key is worn out" in judged.said


@pytest.mark.parametrize("client", ["claude-code", "codex"])
@pytest.mark.parametrize("packing", [gzip.compress, lambda data: packed("zstd", data), lambda data: b"\0" + data])
@pytest.mark.parametrize("named", ["", "compress", "gzip, compress"])
def test_nothing_is_printed_of_what_is_no_text(home: Path, client: str, packing: Any, named: str) -> None:
    """A body that is packed, and does not say so in a way that is known here, leaves the status alone to be told."""
    body = packing(wire.encode(wire.openai_error("invalid_request_error", "the key is worn out" * 20)))
    headers = (("Content-Type", JSON), *((("Content-Encoding", named),) if named else ()))
    with Server(lambda _request: Response(400, headers, body)) as server:
        configure(home, client, server.origin)
        judged = run_test(home, "-v", client=client)
    assert judged.verdict == "wire"
    assert not re.search(r"\\u(fffd|00)|\ufffd", judged.said)


@pytest.mark.parametrize(("client", "asked"), [("claude-code", "gzip, deflate, br, zstd"), ("codex", "zstd, gzip")])
@pytest.mark.parametrize("has", [True, False])
def test_the_test_asks_for_what_the_client_asks_for(home: Path, client: str, asked: str, has: bool) -> None:
    """... as far as it can unpack it: without the package for br it asks for none, and says what is missing."""
    (home / "lib").mkdir()
    if not has:
        (home / "lib/brotli.py").write_text("raise ImportError")
    codings: set[str] = set()

    def answer(request: Request) -> Response:
        codings.add(request.headers.get("accept-encoding", ""))
        stream = wire.anthropic_stream if client == "claude-code" else wire.responses_stream
        body = b"".join(stream(str((request.json or {}).get("model") or ""), "pong"))
        return Response(200, (("Content-Type", "text/event-stream"), ("Content-Encoding", "br")), packed("br", body))

    with Server(answer) as server:
        configure(home, client, server.origin)
        judged = run_test(home, client=client, env={"PYTHONPATH": str(home / "lib")})
    assert codings == {asked if has else asked.replace("br, ", "")}
    if client == "codex":
        assert "(br)" in judged.said
    elif not has:
        assert "pip install 'ccsetup[compression]'" in str(judged)
    assert judged.verdict == ("wire" if client == "codex" else "ok")


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_unpacks_the_same_in_pieces_of_any_size(coding: str) -> None:
    """... of at most 2 MiB each, whatever it unpacks to; broken or cut, it is never taken for whole."""
    data = bytes(5 << 20) + b"end"
    whole = packed(coding, data)
    for size in (1 if len(whole) < 9000 else 1000, 4096, len(whole)):
        unpacking = Unpacking(coding)
        pieces = [p for at in range(0, len(whole), size) for p in unpacking.feed(whole[at : at + size])]
        unpacking.end()
        assert (b"".join(pieces) == data, unpacking.good, unpacking.coding) == (True, True, coding)
        assert max(map(len, pieces)) <= 2 << 20
    broken = Unpacking(coding)
    assert len(b"".join(broken.feed(whole[:40] + bytes(99) + whole[41:]))) < len(data)
    broken.end()
    assert not broken.good or broken.coding != coding


@pytest.mark.parametrize(
    ("coding", "whole", "good"),
    [
        ("deflate", zlib.compress(b"text")[2:-4], True),
        ("gzip", gzip.compress(b"text") + b"\r\n", True),
        ("gzip", gzip.compress(b"te") + gzip.compress(b"xt"), True),
        ("gzip, gzip", gzip.compress(gzip.compress(b"text")), True),
        ("gzip" + ", gzip" * 2500, gzip.compress(b"text"), False),
    ],
    ids=["bare", "something behind", "members", "twice", "too often"],
)
def test_odd_ways_of_packing(coding: str, whole: bytes, good: bool) -> None:
    """Byte by byte as well; what stands behind the end of gzip is ignored."""
    for size in (1, len(whole)):
        unpacking = Unpacking(coding)
        got = b"".join(p for at in range(0, len(whole), size) for p in unpacking.feed(whole[at : at + size]))
        unpacking.end()
        assert (got, unpacking.good) == (b"text" if good else b"", good)


_BEFORE = next(v for v in CODEX_VERSIONS if version_key(v) < (0, 171))


@pytest.mark.clients
@pytest.mark.parametrize(
    ("client", "version", "column"),
    [
        *(("claude-code", v, c) for v, c in zip(CLAUDE_VERSIONS, (1, 4, 5), strict=True)),
        ("codex", CODEX_VERSIONS[0], 2),
        ("codex", _BEFORE, 3),
    ],
)
@pytest.mark.parametrize("row", CODINGS, ids=lambda r: r[0] or "plain")
def test_the_client_reads_the_same_answers(home: Path, client: str, version: str, column: int, row: Any) -> None:
    """The real client answers exactly where the test of that version says ok."""
    with site(coding=row[0]) as here:
        configure(home, client, here.url)
        assert run_test(home, client=client, env=path_with(client, version)).verdict == row[column]
        assert works(home, client, {"NO_PROXY": "127.0.0.1"}, version) is (row[column] == "ok")


SOCKET = "ANTHROPIC_UNIX_SOCKET"
SOCKETS: list[tuple[str, str, bool]] = [
    # where the socket is set, where address and key are, whether Claude Code answers
    ("shell", "settings", False),
    ("shell", "shell", True),
    ("settings", "settings", True),
    ("shell, missing", "settings", False),
]


def with_socket(home: Path, here: Site, row: tuple[str, str, bool]) -> dict[str, str]:
    """Configure Claude Code by *row*; return the variables of its shell."""
    path = str(home / ("none" if "missing" in row[0] else "s"))
    own = {"ANTHROPIC_BASE_URL": here.url, "ANTHROPIC_AUTH_TOKEN": KEY}
    shell = {**({SOCKET: path} if row[0] != "settings" else {}), **(own if row[1] == "shell" else {})}
    write_claude(home, here.url, KEY, **({SOCKET: path} if row[0] == "settings" else {}))
    if row[1] == "shell":
        cc.put(home, {".claude/settings.json": '{"env": {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}}'})
    return shell


@contextlib.contextmanager
def relayed(path: Path, port: int) -> Iterator[None]:
    """Pass what comes at the socket *path* on to *port*."""

    class Pass(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as there, contextlib.suppress(OSError):
                back = threading.Thread(target=_pump, args=(there, self.request), daemon=True)
                back.start()
                _pump(self.request, there)
                back.join(waiting.LIMIT)

    with socketserver.ThreadingUnixStreamServer(str(path), Pass) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield
        server.shutdown()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("row", SOCKETS, ids=lambda r: "-".join(r[:2]))
def test_a_socket_in_the_place_of_the_network(home: Path, row: tuple[str, str, bool]) -> None:
    """The shell's socket silences what settings.json says, and serves the shell; doctor says it in the same words."""
    with site() as here, relayed(home / "s", int(here.url.rpartition(":")[2])):
        shell = with_socket(home, here, row)
        judged = run_test(home, "-v", client="claude-code", env=shell)
        assert judged.verdict == ("ok" if row[2] else "config"), judged
        assert ("Through the socket" in judged.output) is (row[1] == "shell")
        if not row[2]:
            said = cc.run(home, "doctor", env=shell).stdout
            assert judged.steps[0]["summary"] in " ".join(said.split())


@pytest.mark.clients
@pytest.mark.parametrize("row", SOCKETS, ids=lambda r: "-".join(r[:2]))
def test_the_client_uses_the_same_socket(home: Path, row: tuple[str, str, bool]) -> None:
    """The real Claude Code answers exactly where the test says ok."""
    with site() as here, relayed(home / "s", int(here.url.rpartition(":")[2])):
        shell = with_socket(home, here, row)
        assert works(home, "claude-code", shell) is row[2]
