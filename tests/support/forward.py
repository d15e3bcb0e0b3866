"""A forward proxy on 127.0.0.1: CONNECT tunnels and absolute-form requests, both recorded.

Where a tunnel ends is the owner's choice, so the same class is a plain proxy, a refusing one, and (with a route to a
TLS server that has certificates for every name) a company's inspecting proxy.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple, Optional, Self
from urllib.parse import urlsplit

from support import waiting

Address = tuple[str, int]


class Hop(NamedTuple):
    """A request to the proxy."""

    method: str
    target: str
    """``host:port`` for CONNECT, else the absolute URL."""
    head: bytes
    """The request line and the headers as they came."""


class Refuse(NamedTuple):
    """Answer instead of forwarding."""

    status: str
    headers: str = ""
    body: str = "<html><body>the proxy says no</body></html>"


Route = Callable[[str, int], "Address | Refuse"]


def direct(host: str, port: int) -> Address | Refuse:
    """Route to loopback as asked; tests have no business anywhere else."""
    if host not in ("127.0.0.1", "localhost", "::1"):
        return Refuse("502 Bad Gateway")
    return "127.0.0.1", port


class Proxy:
    """A context manager; ``hops`` is the record."""

    def __init__(self, route: Route = direct) -> None:
        self.hops: list[Hop] = []
        self._route = route
        proxy = self

        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError, ValueError):
                    proxy._serve(self.connection)

        class Listener(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

            def handle_error(self, request: object, client_address: object) -> None:
                pass

        self._listener = Listener(("127.0.0.1", 0), Connection)
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, name="proxy", daemon=True
        )
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._listener.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._listener.server_close()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(65536)
            if not more:
                return
            head += more
        head, _, rest = head.partition(b"\r\n\r\n")
        line, _, headers = head.partition(b"\r\n")
        method, target, version = line.decode("latin-1").split(" ", 2)
        self.hops.append(Hop(method, target, head))
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
        else:
            parts = urlsplit(target)
            host, port = parts.hostname or "", str(parts.port or 80)
        to = self._route(host.strip("[]"), int(port))
        if isinstance(to, Refuse):
            body = to.body.encode()
            client.sendall(
                f"HTTP/1.1 {to.status}\r\n{to.headers}Content-Type: text/html\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                + body
            )
            return
        with socket.create_connection(to, timeout=waiting.LIMIT) as server:
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                server.sendall(rest)
            else:
                parts = urlsplit(target)
                path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                # One request for each connection: the next one may be for another host.
                kept = [h for h in headers.split(b"\r\n") if not h.lower().startswith((b"proxy-", b"connection:"))]
                first = f"{method} {path} {version}".encode("latin-1")
                server.sendall(b"\r\n".join([first, *kept, b"Connection: close"]) + b"\r\n\r\n" + rest)
            back = threading.Thread(target=_pump, args=(client, server), daemon=True)
            back.start()
            _pump(server, client)
            back.join(5)
            with self._lock:
                self._open -= {client, server}


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
