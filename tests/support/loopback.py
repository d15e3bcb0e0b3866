"""A real HTTP/1.1 server on 127.0.0.1 whose every answer comes from one function.

Knows nothing of models, providers or clients: see ``provider.py`` for what they say.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Optional, Self, Union
from urllib.parse import parse_qsl


class Request(NamedTuple):
    """One request as it came over the wire."""

    method: str
    target: str
    """Path and query exactly as sent: doubled slashes and escapes are kept."""
    header_list: tuple[tuple[str, str], ...]
    """Names as sent; repeated headers are repeated."""
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def headers(self) -> dict[str, str]:
        """The headers by lower-case name; repeated ones are joined with a comma."""
        found: dict[str, str] = {}
        for name, value in self.header_list:
            key = name.lower()
            found[key] = f"{found[key]}, {value}" if key in found else value
        return found

    @property
    def json(self) -> Any:
        """The body as JSON, or None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Disconnect(Exception):
    """Raised by a scenario, or by the iterable of a body: close the connection without another byte."""


class Response(NamedTuple):
    """An answer.  ``body`` as bytes gets a Content-Length; an iterable is sent chunk by chunk as it comes.

    An iterable may wait (use ``Server.closing.wait``, so that the server still stops at once) or raise Disconnect.
    """

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: Union[bytes, Iterable[bytes]] = b""
    raw: bool = False
    """``body`` is everything that is sent, status line and headers included; then the connection closes."""


Answer = Callable[[Request], Response]


class Server:
    """Serves *answer* on a free port of 127.0.0.1 between ``__enter__`` and ``__exit__``; with *tls*, as https.

    *answer* runs in a thread for each connection.  An exception in it becomes a status 500
    and is raised again by ``__exit__``: a bug in a test's scenario must not look like a provider's failure.
    """

    def __init__(self, answer: Answer, tls: Optional[ssl.SSLContext] = None) -> None:
        self.closing = threading.Event()
        """Set when the server stops."""
        self._answer = answer
        self._tls = tls
        self._bugs: list[BaseException] = []
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), self._handler_class(), bind_and_activate=True)
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="loopback", daemon=True
        )

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def origin(self) -> str:
        """For example ``http://127.0.0.1:45885``."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def discard(self) -> None:
        """Free the port of a server that was never entered."""
        self._http.server_close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self._http.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread, which looks up only every 0.05 s otherwise
        self._http.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._sockets:  # clients keep connections open; their threads wait in recv
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._http.server_close()
        if self._bugs and error is None:
            raise self._bugs[0]

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Connection(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            server_version = "loopback"
            sys_version = ""
            disable_nagle_algorithm = True

            def setup(self) -> None:
                if server._tls is not None:  # here and not in accept(): a slow handshake holds up one thread only
                    self.request.settimeout(20)
                    self.request = server._tls.wrap_socket(self.request, server_side=True)
                    self.request.settimeout(None)
                super().setup()
                with server._lock:
                    server._sockets.add(self.connection)

            def finish(self) -> None:
                with server._lock:
                    server._sockets.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()
                if server._tls is not None:  # the server closes the socket below, which gave its descriptor away
                    self.request.close()

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # the client went away
                    super().handle()

            def log_message(self, format: str, *args: object) -> None:
                pass

            def __getattr__(self, name: str) -> Any:
                if name.startswith("do_"):  # every method goes the same way
                    return self._exchange
                raise AttributeError(name)

            def _exchange(self) -> None:
                # self.path has had its leading slashes collapsed by http.server; the request line has not.
                target = self.requestline.split(" ")[1]
                request = Request(self.command, target, tuple(self.headers.items()), self._read_body())
                try:
                    response = server._answer(request)
                except Disconnect:
                    self.close_connection = True
                    return
                except BaseException as bug:
                    server._bugs.append(bug)
                    response = Response(500, (), b"the test's scenario failed")
                self._send(response)

            def _read_body(self) -> bytes:
                if self.headers.get("transfer-encoding", "").lower() == "chunked":
                    body = b""
                    while length := int(self.rfile.readline().split(b";")[0], 16):
                        body += self.rfile.read(length)
                        self.rfile.readline()
                    while self.rfile.readline().strip():
                        pass
                    return body
                return self.rfile.read(int(self.headers.get("content-length", "0")))

            def _send(self, response: Response) -> None:
                if response.raw:
                    self.close_connection = True
                    with contextlib.suppress(Disconnect):
                        for chunk in [response.body] if isinstance(response.body, bytes) else response.body:
                            self.wfile.write(chunk)
                    return
                self.send_response(response.status)
                for name, value in response.headers:
                    self.send_header(name, value)
                if isinstance(response.body, bytes):
                    self.send_header("Content-Length", str(len(response.body)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(response.body)
                    return
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for chunk in response.body:
                        if chunk:
                            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                    self.wfile.write(b"0\r\n\r\n")
                except Disconnect:
                    self.close_connection = True
                except OSError:
                    raise
                except BaseException as bug:
                    server._bugs.append(bug)
                    self.close_connection = True

        return Connection


class _Http(ThreadingHTTPServer):
    daemon_threads = True  # a body that waits for ever must not keep the test run alive
    request_queue_size = 64

    def server_bind(self) -> None:
        # The base class asks the resolver for the machine's name, which takes seconds on some machines.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a broken request is the client's matter; bugs in scenarios are kept in Server._bugs
