"""Connected sockets for asyncio: names looked up, their addresses tried in turn, and what is said to a proxy.

It knows no error but those of the system: what a failure means, its callers say.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from base64 import b64encode
from typing import Any, Optional, Sequence

STAGGER = 0.25
"""Seconds between attempts at the addresses of a name (RFC 8305)."""
HEAD_LIMIT = 64 << 10
"""Bytes of an answer's head, a proxy's or a server's."""


def numeric(host: str, port: int) -> Sequence[Any]:
    """Return the address that *host* is when it is written as a number, which needs no resolver; else ()."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return ()


async def look_up(host: str, port: int) -> Sequence[Any]:
    """Return the addresses of the name *host*; socket.gaierror, or UnicodeError for what is no host name.

    The resolver cannot be cancelled, and the event loop would wait for it at its end: it runs in a thread that nobody
    waits for.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[Any]] = loop.create_future()

    def settle(result: Sequence[Any], error: Optional[Exception]) -> None:
        if not answer.done():
            answer.set_exception(error) if error else answer.set_result(result)

    def work() -> None:
        try:
            result, error = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), None
        except (OSError, UnicodeError) as e:
            result, error = [], e
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:
            pass  # the loop has ended: nobody waits any more

    threading.Thread(target=work, daemon=True, name="resolve").start()
    return await answer


async def connect(addresses: Sequence[Any]) -> socket.socket:
    """Return a connected socket: the addresses are tried in order, the next one after STAGGER seconds.

    Raises the OSError that tells most when none can be reached: a refusal, or else the first one.
    """
    addresses = addresses[:8]
    if len(addresses) == 1:
        return await _one(addresses[0], 0)
    tasks = [asyncio.ensure_future(_one(address, i * STAGGER)) for i, address in enumerate(addresses)]
    winner: Optional[socket.socket] = None
    problems: list[OSError] = []
    try:
        for finished in asyncio.as_completed(tasks):
            try:
                winner = await finished
                return winner
            except OSError as e:
                problems.append(e)
        refusals = [e for e in problems if isinstance(e, ConnectionRefusedError)]
        raise next(iter(refusals + problems), OSError("no address"))
    finally:
        for task in tasks:
            task.cancel()
        for late in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(late, socket.socket) and late is not winner:
                late.close()


async def _one(address: Any, delay: float) -> socket.socket:
    if delay:
        await asyncio.sleep(delay)
    sock = socket.socket(address[0], address[1], address[2])
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(sock, address[4])
    except BaseException:
        sock.close()
        raise
    return sock


def tunnel_request(authority: bytes, authorization: bytes) -> bytes:
    """Return the CONNECT for *authority*, ``host:port``; *authorization* is what ``basic`` gives, or b""."""
    head = b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n" % (authority, authority)
    return head + (b"Proxy-Authorization: %b\r\n\r\n" % authorization if authorization else b"\r\n")


def tunnel_status(answer: bytes) -> int:
    """Return the status of a proxy's *answer*; 0 where it is not HTTP."""
    line = answer.split(b"\r\n", 1)[0].split()
    return int(line[1]) if len(line) > 1 and len(line[1]) == 3 and line[1].isdigit() else 0


def basic(pair: str) -> bytes:
    """Return the value of an Authorization header for *pair*, ``user:password``."""
    return b"Basic " + b64encode(pair.encode("utf-8", "surrogatepass"))
