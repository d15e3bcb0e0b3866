"""What a base URL may look like."""

from __future__ import annotations

import re

import pytest

from ccsetup import urls

GOOD = [
    "https://api.z.ai/api/anthropic",
    "https://api.kimi.com/coding/",
    "https://api.moonshot.cn/v1",
    "https://gateway.example:8443",
    "https://127.0.0.1:8443/x",
    "https://[2001:db8::1]/v1",
    "https://console.example/ark/region:ark+cn-beijing",
    "http://localhost:11434",
    "http://LOCALHOST:11434",
    "http://127.0.0.1:1234/v1",
    "http://10.0.0.5/v1",
    "http://192.168.1.9:8000",
    "http://172.31.0.2",
    "http://100.64.0.7",
    "http://[::1]:8080",
    "http://[fd00::5]/v1",
    "http://gpu-box:8000/v1",
    "http://box.local",
    "http://host.docker.internal:4000",
]

BAD = {
    "": "begins with https://",
    "api.z.ai": "begins with https://",
    "ftp://api.z.ai": "begins with https://",
    "file:///etc/passwd": "begins with https://",
    "HTTPS://api.z.ai": "begins with https://",
    "https://": "not a URL",
    "https:///v1": "not a URL",
    "https://-x.example": "not a URL",
    "https://a.example:port": "not a URL",
    "https://a.example:0": "port",
    "https://a.example:70000": "port",
    "https://a.example/\\v1": "not a URL",
    "https://a.example/ü": "not a URL",
    'https://a.example/"x': "not a URL",
    "https://me@a.example": "user name",
    "https://me:secret@a.example/v1": "user name",
    "https://a.example/v1?key=secret": "query",
    "https://a.example/v1#x": "query",
    "https://a.example?@b.example": "query",
    "https://a.example /v1": "white space",
    "https://a.example/v1\n": "white space",
    " https://a.example": "white space",
    "http://a.example": "in the clear",
    "http://8.8.8.8": "in the clear",
    "http://172.32.0.1": "in the clear",
    "http://127.0.0.1.evil.example": "in the clear",
    "http://localhost.evil.example": "in the clear",
    "http://evillocal.example": "in the clear",
    "http://134744072": "in the clear",
    "http://0x08080808": "in the clear",
    "http://[2001:db8::1]": "in the clear",
}


@pytest.mark.parametrize("url", GOOD)
def test_good_urls_pass(url: str) -> None:
    """HTTPS anywhere, and HTTP to machines that are near, is fine."""
    assert urls.problem(url) == ""


@pytest.mark.parametrize("url", BAD)
def test_bad_urls_are_named_and_not_repeated(url: str) -> None:
    """The problem is named; the URL, which might hold a key, is not repeated."""
    problem = urls.problem(url)
    assert BAD[url] in problem
    assert "secret" not in problem


@pytest.mark.parametrize("url", ["https://a.example/v1", "https://a.example/api/v1/", "https://a.example/v1/messages"])
def test_claude_code_adds_v1_itself(url: str) -> None:
    """A base URL for Claude Code must not end in /v1; for Codex it may."""
    assert "/v1" in urls.problem(url, claude=True)
    assert urls.problem(url) == ""
    assert (
        urls.problem("https://a.example/v1/x", claude=True) == urls.problem("https://a.example/av1", claude=True) == ""
    )


@pytest.mark.parametrize("url", GOOD + [url for url, text in BAD.items() if text != "port" and "\n" not in url])
def test_the_pattern_for_schemas_agrees(url: str) -> None:
    """The pattern in the JSON Schema accepts what the function accepts; it cannot know ports."""
    assert bool(re.search(urls.PATTERN, url)) == (url in GOOD)


TAILS = (
    "", "/", "/messages", "/responses", "/chat/completions", "/Chat/Completions/", "/completions", "/responses/compact",
    "/messages/count_tokens", ",", " ", '/";',
)  # fmt: skip


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize(
    ("wire", "given", "wanted"),
    [
        ("anthropic", "https://h.example/v1", "https://h.example"),
        ("anthropic", "https://h.example/api/anthropic/v1", "https://h.example/api/anthropic"),
        ("anthropic", "https://h.example/api/v3", "https://h.example/api/v3"),
        ("anthropic", "https://h.example/v1/v1", "https://h.example"),
        ("anthropic", "https://h.example/v1/models", "https://h.example"),
        ("anthropic", "https://h.example//v1//", "https://h.example"),
        ("responses", "HTTPS://H.Example:8443/V3", "https://h.example:8443/V3"),
        ("responses", "https://h.example/v1/v1", "https://h.example/v1"),
        ("responses", "https://h.example//v1", "https://h.example/v1"),
        ("responses", "https://h.example/models", "https://h.example/models"),
        ("responses", "https://h.example/v1", "https://h.example/v1"),
        ("responses", "https://h.example/api/v3", "https://h.example/api/v3"),
        ("chat", "https://h.example/v1", "https://h.example/v1"),
    ],
)
def test_the_path_of_a_request_is_no_part_of_a_base(wire: str, given: str, wanted: str, tail: str) -> None:
    """Whichever format the path is of; the base of Claude Code ends before /v1."""
    assert urls.base(given + tail, wire) == wanted
    assert urls.base(wanted, wire) == wanted


@pytest.mark.parametrize(
    "url", ['"https://h.example/v1"', "<https://h.example/v1>", "`HTTPS://H.example/v1`,", " 'https://H.EXAMPLE/v1'; "]
)
def test_what_stands_around_an_address_is_left_out(url: str) -> None:
    assert urls.bare(url) == "https://h.example/v1"


@pytest.mark.parametrize("url", ["http://v1", "https://messages", "http://embeddings:8000", "https://h.example/V1"])
@pytest.mark.parametrize("wire", ["anthropic", "responses"])
def test_no_host_is_a_path(url: str, wire: str) -> None:
    """Nor has a path other letters than it is written with."""
    assert urls.base(url + "/", wire) == url


@pytest.mark.parametrize("url", ["http://0.0.0.0:8000/v1", "https://0.0.0.0", "http://[::]:1"])
def test_where_a_server_listens_is_no_address(url: str) -> None:
    assert "127.0.0.1" in urls.problem(url)


@pytest.mark.parametrize("url", ["http://[::1", "https://[x]/", "http://["])
def test_no_address_has_no_origin(url: str) -> None:
    assert urls.origin(url) == ""


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("https://app.example/page", True),
        ("http://127.0.0.1:9", True),
        ("https://me:secret@app.example", False),
        ("https://app.example/?key=sk-ant-api03-0f3a9b27c4d81e56", False),
        ("secret-value", False),
    ],
)
def test_an_address_is_told_from_a_secret(text: str, plain: bool) -> None:
    assert urls.is_address(text) == plain


@pytest.mark.parametrize(
    ("host", "here"),
    [
        *(
            (host, True)
            for host in ("localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.9.9.9", "[::1]", "127.1")
        ),
        *((host, True) for host in ("2130706433", "0x7f000001", "0x7f.1", "0.0.0.0", "0", "[::ffff:127.0.0.1]")),
        *((host, False) for host in ("localhost.example", "127.example.com", "128.0.0.1", "134744072", "0x08080808")),
        *((host, False) for host in ("1.127.0.0.1", "[::2]", "[::ffff:8.8.8.8]", "99999999999", "api.openai.com")),
    ],
)
def test_how_this_machine_may_be_spelt(host: str, here: bool) -> None:
    """Numbers in every spelling that the clients' libraries take."""
    assert urls.is_loopback(f"http://{host}:8080/v1") == here
