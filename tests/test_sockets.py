"""Sockets: several addresses, names that are none, and the words that a proxy hears."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from ccsetup import sockets


def address(port: int, host: str = "127.0.0.1") -> Any:
    return (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))


@pytest.fixture
def listener() -> Any:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_the_next_address_is_tried(listener: socket.socket, closed_port: int) -> None:
    """An address that refuses does not keep the next one from being reached."""
    port = listener.getsockname()[1]

    async def run() -> None:
        with await sockets.connect([address(closed_port), address(port)]) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)

    asyncio.run(run())


@pytest.mark.parametrize("first", [True, False])
def test_a_refusal_tells_more_than_another_problem(closed_port: int, first: bool) -> None:
    """Of several errors a refusal is raised, wherever in the list it comes; alone, any error is."""
    bad = (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1))
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(sockets.connect([address(closed_port), bad] if first else [bad, address(closed_port)]))
    with pytest.raises(OSError):  # noqa: PT011 - which one, the system says
        asyncio.run(sockets.connect([bad]))


def test_without_addresses_there_is_no_connection() -> None:
    """An empty answer of the resolver is an error like any other."""
    with pytest.raises(OSError, match="no address"):
        asyncio.run(sockets.connect([]))


@pytest.mark.parametrize(("host", "found"), [("127.0.0.1", True), ("::1", True), ("localhost", False)])
def test_only_numbers_need_no_resolver(host: str, found: bool) -> None:
    """A name is not looked up, not even one that every machine knows."""
    assert bool(sockets.numeric(host, 80)) is found


@pytest.mark.parametrize(("host", "error"), [("a" * 64 + ".example", UnicodeError), ("name.invalid", socket.gaierror)])
def test_what_cannot_be_looked_up(monkeypatch: pytest.MonkeyPatch, host: str, error: type[Exception]) -> None:
    """A failure in the resolver's thread is raised where it was asked for."""

    def getaddrinfo(name: str, *args: Any, **options: Any) -> Any:
        name.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(error):
        asyncio.run(sockets.look_up(host, 443))


def test_the_words_of_a_tunnel() -> None:
    """CONNECT names the host twice, and carries the proxy's password where there is one."""
    bare = b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n"
    assert sockets.tunnel_request(b"h:443", b"") == bare + b"\r\n"
    told = sockets.tunnel_request(b"h:443", sockets.basic("user:pass"))
    assert told == bare + b"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", 200),
        (b"HTTP/1.0 407\r\n\r\n", 407),
        (b"", 0),
        (b"hello\r\n\r\n", 0),
        (b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n", 0),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", 0),
    ],
)
def test_the_status_of_a_tunnel(answer: bytes, status: int) -> None:
    """What is no three-digit status is none."""
    assert sockets.tunnel_status(answer) == status
