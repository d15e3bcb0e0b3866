"""A bounded HTTP/1.1 exchange, each step of it timed and named.

asyncio streams and h11 (which httpx reads answers with, too): one connection carries the steps of ``reach`` and every
request after them, nothing but this module decides about proxies, trust and redirects, and a first request costs 40 ms
of CPU where httpx needs 110.

What a server can do ends here: a body has at most *limit* bytes, compressed or not, a head 64 KB, and every wait is
under a deadline of the caller's.  Redirects are answers like any other: nothing is ever sent to another host.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from typing import Any, AsyncIterator, Awaitable, Callable, Mapping, NamedTuple, Optional, Sequence
from urllib.parse import urlsplit

import h11

from ccsetup import sockets
from ccsetup.i18n import _
from ccsetup.probe import proxy as proxies
from ccsetup.probe.proxy import Proxy, Route
from ccsetup.probe.verdict import Verdict, clean

LIMIT = 1 << 20
"""Bytes of a body."""


class Fault(Exception):
    """An exchange that came to no answer.  *kind* is for programs: dns, refused, proxy, tls-expired, cut, ..."""

    def __init__(self, verdict: Verdict, kind: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.verdict = verdict
        self.kind = kind
        self.text = text
        self.hint = hint


class Reply(NamedTuple):
    status: int
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes
    cut: bool
    """The body went on beyond the limit."""
    first_byte: float
    """Seconds from the request to the answer's head."""
    proxy: Optional[Proxy] = None
    """The proxy that the answer came through, or that gave it."""

    def header(self, name: str) -> str:
        return next((v for n, v in self.headers if n == name), "")


class Link(NamedTuple):
    """How a host was reached."""

    timings: Mapping[str, float]
    proxy: Optional[Proxy]
    notes: tuple[str, ...]


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        self.reader = reader
        self.writer = writer
        self.link = link
        self.h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=sockets.HEAD_LIMIT)
        self.used = False

    def close(self) -> None:
        self.writer.transport.abort()


class Http:
    """The connections of one target."""

    def __init__(self, environ: Mapping[str, str], context: Trust) -> None:
        self._environ = environ
        self._trust = context
        self._idle: dict[str, _Connection] = {}

    async def __aenter__(self) -> Http:
        return self

    async def __aexit__(self, *exc: object) -> None:
        for connection in self._idle.values():
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)

    async def reach(self, url: str) -> Link:
        """Connect to *url*'s host and keep the connection; Fault says what does not work."""
        origin, _target = split(url)
        connection = self._idle.get(origin)
        if connection is None:
            connection = self._idle[origin] = await self._connect(url)
        return connection.link

    async def request(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b"", *, limit: int = LIMIT
    ) -> Reply:
        """Send one request and return its answer, whatever its status; Fault when there is none."""
        async with self.open(method, url, headers, body) as stream:
            parts: list[bytes] = []
            size, cut = 0, False
            async for chunk in stream:
                parts.append(chunk)
                size += len(chunk)
                if size > limit:
                    cut = True
                    break
            data = b"".join(parts)[:limit]
            encoding = next((v for n, v in stream.headers if n == "content-encoding"), "")
            if encoding:
                data, more = _decoded(data, encoding.strip().lower(), limit)
                cut = cut or more
            proxy = stream.link.proxy
            if stream.status == 407 and proxy is not None:
                raise _proxy_refuses(proxy, urlsplit(url).hostname or "", 407)
            return Reply(stream.status, stream.headers, data, cut, stream.first_byte, proxy)

    def open(self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b"") -> Stream:
        """Return the exchange as an async context manager, whose body comes in pieces."""
        return Stream(self, method, url, headers, body)

    def take(self, origin: str) -> Optional[_Connection]:
        return self._idle.pop(origin, None)

    def keep(self, origin: str, connection: _Connection) -> None:
        if origin in self._idle:
            connection.close()
        else:
            self._idle[origin] = connection

    async def _connect(self, url: str) -> _Connection:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        way = proxies.route(parts.scheme, host, port, self._environ, node=self._trust.node)
        if way.problem:
            raise Fault(
                "unreachable",
                "proxy",
                _("{variable} names a proxy that cannot be used for this test.").format(variable=way.note),
                _("Unset {variable}, or add {host} to NO_PROXY.").format(variable=way.note, host=host),
            )
        timings: dict[str, float] = {}
        near_host, near_port = (way.proxy.host, way.proxy.port) if way.proxy else (host, port)
        where = (
            _("the proxy {address} ({variable})").format(address=way.proxy.shown, variable=way.proxy.variable)
            if way.proxy
            else host
        )
        addresses = await _resolve(near_host, near_port, where, timings)

        async def dialled() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            sock = await _dial(addresses, where, near_port, timings, proxied=way.proxy is not None)
            try:
                reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 18)
            except BaseException:
                sock.close()
                raise
            try:
                if way.proxy and way.proxy.scheme == "https":
                    await self._tls(writer, way.proxy.host, "proxy_tls", timings)
                if way.proxy and parts.scheme == "https":
                    await _tunnel(reader, writer, host, port, way.proxy, timings)
            except BaseException:
                writer.transport.abort()
                raise
            return reader, writer

        reader, writer = await dialled()
        try:
            if parts.scheme == "https":
                await self._tls(writer, host, "tls", timings, dialled)
        except BaseException:
            writer.transport.abort()
            raise
        return _Connection(reader, writer, Link(timings, way.proxy, _notes(way, self._trust, parts.scheme)))

    async def _tls(
        self,
        writer: asyncio.StreamWriter,
        host: str,
        name: str,
        timings: dict[str, float],
        again: Optional[Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]] = None,
    ) -> None:
        start = time.perf_counter()
        try:
            await writer.start_tls(self._trust.context(), server_hostname=host)
        except ssl.SSLCertVerificationError as e:
            issuer = ""
            if e.verify_code in (18, 19, 20, 21) and again is not None:
                issuer = await _issuer(again, host)
            raise _certificate(e, host, issuer) from None
        except ssl.SSLError as e:
            raise _handshake(e, host) from None
        except (ConnectionError, EOFError, OSError):
            raise Fault(
                "tls",
                "tls-closed",
                _("{host} closed the connection during the TLS handshake.").format(host=host),
                _("Something between here and {host} may block it, or the address is no https server.").format(
                    host=host
                ),
            ) from None
        timings[name] = time.perf_counter() - start


class Stream:
    """One exchange: ``async with`` sends the request and reads the head, ``async for`` reads the body."""

    def __init__(self, http: Http, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self._http = http
        self._method = method
        self._url = url
        self._headers = headers
        self._body = body
        self._origin, self._target = split(url)
        self._connection: Optional[_Connection] = None
        self._done = False
        self._start = 0.0
        self.status = 0
        self.link = Link({}, None, ())
        self.headers: tuple[tuple[str, str], ...] = ()
        self.first_byte = 0.0

    async def __aenter__(self) -> Stream:
        kept = self._http.take(self._origin)
        if kept is not None and kept.used:
            # The server may have ended a kept connection meanwhile: then a new one is tried, once.
            try:
                await self._begin(kept)
                return self
            except Fault as e:
                kept.close()
                if e.kind != "closed":
                    raise
            except BaseException:
                kept.close()
                raise
            kept = None
        connection = kept or await self._http._connect(self._url)
        try:
            await self._begin(connection)
        except BaseException:
            connection.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        connection = self._connection
        if connection is None:
            return
        if self._done and connection.h11.our_state is h11.DONE and connection.h11.their_state is h11.DONE:
            connection.h11.start_next_cycle()
            self._http.keep(self._origin, connection)
        else:
            connection.close()

    async def _begin(self, connection: _Connection) -> None:
        self._connection = connection
        self.link = connection.link
        connection.used = True
        parts = urlsplit(self._url)
        target = self._target
        headers = [("host", parts.netloc.rpartition("@")[2]), *self._headers]
        via = connection.link.proxy
        if via and parts.scheme == "http":
            target = f"{self._origin}{self._target}"
            if via.authorization:
                headers.append(("proxy-authorization", _basic(via).decode("ascii")))
        if self._body or self._method != "GET":
            headers.append(("content-length", str(len(self._body))))
        try:
            request = h11.Request(
                method=self._method,
                target=target.encode("ascii", "strict"),
                headers=[(n.encode("ascii"), v.encode("latin-1")) for n, v in headers],
            )
        except (h11.LocalProtocolError, UnicodeError):
            # The message of these exceptions would repeat the header, which may hold the key.
            raise Fault(
                "config", "header", _("A header or the address has characters that HTTP cannot carry.")
            ) from None
        self._start = time.perf_counter()
        try:
            data = connection.h11.send(request) or b""
            if self._body:
                data += connection.h11.send(h11.Data(data=self._body)) or b""
            connection.writer.write(data + (connection.h11.send(h11.EndOfMessage()) or b""))
            await connection.writer.drain()
        except (ConnectionError, OSError):
            pass  # an answer may have been sent before the connection was ended
        informational = 0
        while True:
            event = await self._event(connection)
            if isinstance(event, h11.InformationalResponse):
                informational += 1
                if informational > 10 or event.status_code == 101:
                    raise Fault("wire", "protocol", _("The answer is not HTTP as it should be."))
                continue
            if isinstance(event, h11.Response):
                self.status = event.status_code
                self.headers = tuple((n.decode("latin-1").lower(), v.decode("latin-1")) for n, v in event.headers)
                self.first_byte = time.perf_counter() - self._start
                return
            raise _closed()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        connection = self._connection
        assert connection is not None
        while True:
            event = await self._event(connection)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._done = True
                return
            else:
                raise _cut()

    async def _event(self, connection: _Connection) -> Any:
        while True:
            try:
                event = connection.h11.next_event()
            except h11.RemoteProtocolError as e:
                if connection.h11.their_state is h11.ERROR and "without sending complete" in str(e):
                    raise _cut() from None
                text = str(e).lower()
                if "closed" in text or "incomplete" in text:
                    raise (_cut() if self.status else _closed()) from None
                raise Fault(
                    "wire",
                    "protocol",
                    _("The answer is not HTTP as it should be."),
                    _("Is this the address of an API? Something else seems to listen there."),
                ) from None
            if event is h11.NEED_DATA:
                try:
                    data = await connection.reader.read(1 << 16)
                except ssl.SSLError:
                    data = b""
                except (ConnectionError, OSError):
                    raise (_cut() if self.status else _closed()) from None
                connection.h11.receive_data(data)
                continue
            if isinstance(event, h11.ConnectionClosed) and not self.status:
                raise _closed()
            return event


class Trust:
    """Which certificates count: those of the system, and those that the user's environment adds."""

    def __init__(self, environ: Mapping[str, str], *, node: bool) -> None:
        self.node = node
        self.notes: list[str] = []
        self.extra = environ.get("NODE_EXTRA_CA_CERTS", "") if node else ""
        self._context: Optional[ssl.SSLContext] = None
        if self.extra:
            self.notes.append(_("NODE_EXTRA_CA_CERTS adds certificates from {file}.").format(file=clean(self.extra)))
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            if environ.get(name):
                self.notes.append(
                    _("{name} replaces the system's certificates with {file}.").format(
                        name=name, file=clean(environ[name])
                    )
                )
        if node and environ.get("NODE_TLS_REJECT_UNAUTHORIZED") == "0":
            self.notes.append(
                _("NODE_TLS_REJECT_UNAUTHORIZED=0 switches the client's certificate check off. This test checks.")
            )

    def context(self) -> ssl.SSLContext:
        if self._context is None:
            import truststore

            self._context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._context.set_alpn_protocols(["http/1.1"])
            if self.extra:
                try:
                    self._context.load_verify_locations(self.extra)
                except (OSError, ssl.SSLError):
                    self.notes.append(_("NODE_EXTRA_CA_CERTS cannot be read."))
        return self._context


def split(url: str) -> tuple[str, str]:
    """Return the origin (``https://host:port``) and the request target (path and query) of *url*."""
    parts = urlsplit(url)
    path = parts.path or "/"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}", path + (
        "?" + parts.query if parts.query else ""
    )


async def _resolve(host: str, port: int, where: str, timings: dict[str, float]) -> Sequence[Any]:
    found = sockets.numeric(host, port)
    if found:
        return found
    start = time.perf_counter()
    try:
        found = await sockets.look_up(host, port)
    except UnicodeError:
        raise Fault("config", "dns", _("{host} is not a host name.").format(host=where)) from None
    except socket.gaierror as e:
        temporary = e.errno == socket.EAI_AGAIN
        raise Fault(
            "unreachable",
            "dns",
            _("The name of {host} cannot be looked up: the resolver does not answer.").format(host=where)
            if temporary
            else _("The name of {host} does not exist.").format(host=where),
            _("Is this machine online? Try again, or look at /etc/resolv.conf.")
            if temporary
            else _("Look at the spelling of the address, and whether a VPN is needed."),
        ) from None
    timings["dns"] = time.perf_counter() - start
    return found


async def _dial(
    addresses: Sequence[Any], where: str, port: int, timings: dict[str, float], *, proxied: bool
) -> socket.socket:
    start = time.perf_counter()
    try:
        sock = await sockets.connect(addresses)
    except ConnectionRefusedError:
        raise Fault(
            "unreachable",
            "refused",
            _("{host} refuses the connection on port {port}.").format(host=where, port=port),
            _("Is the proxy running? Unset the variable if it is not needed.")
            if proxied
            else _("Is the server running, and is the port right?"),
        ) from None
    except OSError as e:
        raise Fault(
            "unreachable",
            "connect",
            _("{host} cannot be reached: {reason}.").format(
                host=where, reason=clean(e.strerror or _("no address")).lower()
            ),
            _("Look at the network, a VPN or a firewall."),
        ) from None
    timings["tcp"] = time.perf_counter() - start
    return sock


async def _tunnel(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    host: str,
    port: int,
    proxy: Proxy,
    timings: dict[str, float],
) -> None:
    start = time.perf_counter()
    name = f"[{host}]" if ":" in host else host
    writer.write(sockets.tunnel_request(f"{name}:{port}".encode("latin-1", "replace"), _basic(proxy)))
    try:
        answer = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, OSError):
        raise Fault(
            "unreachable",
            "proxy",
            _("The proxy {address} ({variable}) ended the connection.").format(
                address=proxy.shown, variable=proxy.variable
            ),
            _("Is it an HTTP proxy? Add {host} to NO_PROXY if it is not needed.").format(host=host),
        ) from None
    status = sockets.tunnel_status(answer)
    if not 200 <= status < 300:
        raise _proxy_refuses(proxy, host, status)
    timings["proxy"] = time.perf_counter() - start


def _proxy_refuses(proxy: Proxy, host: str, status: int) -> Fault:
    return Fault(
        "unreachable",
        "proxy",
        _("The proxy {address} ({variable}) does not let {host} through: HTTP {status}.").format(
            address=proxy.shown, variable=proxy.variable, host=host, status=status
        ),
        _("It wants a user name and a password: http://USER:PASSWORD@HOST:PORT.")
        if status == 407
        else _("Ask whoever runs the proxy, or add {host} to NO_PROXY.").format(host=host),
    )


async def _issuer(dial: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]], host: str) -> str:
    """Return who signed the certificate that was refused.  Only the handshake is repeated; nothing is sent."""
    unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(2):
            _reader, writer = await dial()
            try:
                await writer.start_tls(unchecked, server_hostname=host)
                der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            finally:
                writer.transport.abort()
    except (Fault, OSError, TimeoutError, ValueError):
        return ""
    return clean(issuer_of(der or b""), limit=80)


def _basic(proxy: Proxy) -> bytes:
    return sockets.basic(proxy.authorization.reveal()) if proxy.authorization else b""


def _notes(way: Route, trust: Trust, scheme: str) -> tuple[str, ...]:
    out = []
    if way.proxy:
        out.append(
            _("Through the proxy {address}, set by {variable}.").format(address=way.proxy.shown, variable=way.note)
        )
    elif way.note:
        out.append(_("Not through a proxy, because of {variable}.").format(variable=way.note))
    return (*out, *(trust.notes if scheme == "https" else ()))


def _closed() -> Fault:
    return Fault(
        "unreachable",
        "closed",
        _("The connection was ended without an answer."),
        _("Try again; if it stays, a firewall or a proxy may be ending it."),
    )


def _cut() -> Fault:
    return Fault(
        "wire",
        "cut",
        _("The answer ended in the middle."),
        _("Try again; if it stays, something between here and the provider cuts answers off."),
    )


_CERTIFICATE = {
    9: "tls-early",
    10: "tls-expired",
    18: "tls-self-signed",
    19: "tls-unknown-ca",
    20: "tls-unknown-ca",
    21: "tls-unknown-ca",
    62: "tls-host",
    64: "tls-host",
}

_INSPECTORS = (
    "zscaler", "netskope", "blue coat", "bluecoat", "symantec web", "forti", "palo alto", "umbrella", "mcafee",
    "trellix", "sophos", "kaspersky", "eset", "avast", "avg", "bitdefender", "mitmproxy", "charles", "fiddler",
    "portswigger",
    "check point", "cato", "iboss", "barracuda", "watchguard", "squid", "proxy", "inspection", "firewall", "gateway",
)  # fmt: skip


def _certificate(e: ssl.SSLCertVerificationError, host: str, issuer: str) -> Fault:
    kind = _CERTIFICATE.get(e.verify_code, "tls")
    by = _(" It was issued by {issuer}.").format(issuer=issuer) if issuer else ""
    company = any(word in issuer.lower() for word in _INSPECTORS)
    extra = _(
        "For Claude Code set NODE_EXTRA_CA_CERTS, for Codex SSL_CERT_FILE, to a file with the certificate "
        "that you trust."
    )
    texts = {
        "tls-early": (
            _("The certificate of {host} is not valid yet.").format(host=host),
            _("Is the clock of this machine right?"),
        ),
        "tls-expired": (
            _("The certificate of {host} has expired.").format(host=host),
            _("Whoever runs {host} has to renew it; is the clock of this machine right?").format(host=host),
        ),
        "tls-self-signed": (_("The certificate of {host} is signed by itself.").format(host=host), extra),
        "tls-unknown-ca": (
            _("The certificate of {host} is signed by an authority that this machine does not trust.").format(host=host)
            + by,
            (_("A proxy of your company seems to read this connection: install its certificate.") + " " + extra)
            if company
            else _("A proxy that reads connections, or a private authority?") + " " + extra,
        ),
        "tls-host": (
            _("The certificate is for another name than {host}.").format(host=host),
            _("Look at the address; a captive portal or a wrong DNS entry does this too."),
        ),
    }
    text, hint = texts.get(
        kind,
        (_("The certificate of {host} is not good: {why}").format(host=host, why=clean(e.verify_message or "")), ""),
    )
    return Fault("tls", kind, text, hint)


def _handshake(e: ssl.SSLError, host: str) -> Fault:
    reason = e.reason or ""
    if reason in (
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "UNKNOWN_PROTOCOL",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
    ):
        return Fault(
            "tls",
            "tls-plain",
            _("{host} does not speak TLS on this port.").format(host=host),
            _("Is it an http:// address, or another port?"),
        )
    return Fault(
        "tls",
        "tls",
        _("The TLS handshake with {host} failed: {why}.").format(
            host=host, why=clean(reason.replace("_", " ").lower())
        ),
        _("The server may be too old, or something between may block it."),
    )


def _decoded(data: bytes, encoding: str, limit: int) -> tuple[bytes, bool]:
    """Return *data* without its compression, at most *limit* bytes, and whether there was more."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return data, False
    import zlib

    reader = zlib.decompressobj(47)
    try:
        out = reader.decompress(data, limit)
    except zlib.error:
        return data, False
    return out, bool(reader.unconsumed_tail)


def issuer_of(der: bytes) -> str:
    """Return organisation and common name of the issuer of a certificate in DER, or ""."""

    def items(data: bytes) -> list[tuple[int, bytes]]:
        out = []
        i = 0
        while i + 2 <= len(data):
            tag, size, i = data[i], data[i + 1], i + 2
            if size & 0x80:
                count = size & 0x7F
                size, i = int.from_bytes(data[i : i + count], "big"), i + count
            out.append((tag, data[i : i + size]))
            i += size
        return out

    try:
        certificate = items(items(der)[0][1])
        fields = [f for f in items(certificate[0][1]) if f[0] != 0xA0]
        names: dict[bytes, str] = {}
        for _tag, group in items(fields[2][1]):
            for _tag, pair in items(group):
                (_t, oid), (_t2, value) = items(pair)[:2]
                names[oid] = value.decode("utf-8", "replace")
    except (IndexError, ValueError):
        return ""
    wanted = (names.get(b"\x55\x04\x0a", ""), names.get(b"\x55\x04\x03", ""))
    return ", ".join(dict.fromkeys(n for n in wanted if n))
