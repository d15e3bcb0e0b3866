"""Which proxy each client would use."""

from __future__ import annotations

from typing import Any

import pytest

from ccsetup.probe import proxy

P = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("client", "scheme", "environ", "used"),
    [
        ("claude-code", "https", {"HTTPS_PROXY": P}, "HTTPS_PROXY"),
        ("claude-code", "https", {"HTTP_PROXY": P}, "HTTP_PROXY"),
        ("claude-code", "http", {"https_proxy": P, "HTTP_PROXY": "http://other:1"}, "https_proxy"),
        ("claude-code", "https", {"ALL_PROXY": P}, ""),
        ("codex", "https", {"HTTP_PROXY": P}, ""),
        ("codex", "http", {"HTTP_PROXY": P}, "HTTP_PROXY"),
        ("codex", "https", {"ALL_PROXY": P}, "ALL_PROXY"),
        ("codex", "https", {"HTTPS_PROXY": ""}, ""),
        ("codex", "https", {"HTTPS_PROXY": P, "NO_PROXY": "api.example"}, ""),
    ],
)
def test_choice(client: Any, scheme: str, environ: dict[str, str], used: str) -> None:
    """The variable that the client looks at first decides."""
    found = proxy.route(scheme, "api.example", 443, environ, node=client == "claude-code")
    assert (found.proxy.variable if found.proxy else "") == used


@pytest.mark.parametrize(
    ("listed", "host", "expected"),
    [
        ("*", "a.example", True),
        ("example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        ("ample", "a.example", False),
        ("a.example:443", "a.example", True),
        ("a.example:444", "a.example", False),
        ("10.0.0.0/8", "10.2.3.4", True),
        ("10.0.0.0/8", "11.2.3.4", False),
        ("localhost,127.0.0.1", "127.0.0.1", True),
        ("::1", "[::1]", True),
        ("", "a.example", False),
    ],
)
def test_exceptions(listed: str, host: str, expected: bool) -> None:
    """NO_PROXY takes names, suffixes, addresses, networks and a star."""
    assert proxy.excepted(listed, host, 443) is expected


def test_password_is_not_shown() -> None:
    """A proxy's user name and password are in no text of it."""
    found = proxy.route("https", "a.example", 443, {"HTTPS_PROXY": "http://me:s3cretpass@proxy.example:1"})
    assert found.proxy is not None
    assert found.proxy.shown == "http://proxy.example:1"
    assert "s3cretpass" not in repr(found)
