"""The way to a host: resolver, connection, proxy, TLS, each timed and named."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from typing import Any, Mapping, NamedTuple, Optional, Sequence
from urllib.parse import urlsplit

from ccsetup import sockets
from ccsetup.i18n import _
from ccsetup.probe.certificates import Certificates
from ccsetup.probe.network import Fault, ForwardProxy, Network, NetworkRoute
from ccsetup.probe.verdict import clean

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Link(NamedTuple):
    """How a host was reached."""

    timings: Mapping[str, float]
    proxy: Optional[ForwardProxy]
    notes: tuple[str, ...]
    unchecked: str = ""
    """The setting because of which the server's certificate was not looked at, or ""."""
    advice: str = ""
    """The variable that adds a certificate instead."""


class Dialler:
    """Connects as one client does."""

    def __init__(self, network: Network, environ: Mapping[str, str]) -> None:
        self._network = network
        self._environ = environ
        self._certificates = Certificates(network.trust(environ))

    async def connect(self, url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, Link]:
        """Return a connection to *url*'s host; Fault says what does not work."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host == "localhost." and self._network.knows_localhost:
            host = "localhost"
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        way = self._network.route(parts.scheme, host, port, self._environ)
        if way.problem:
            raise Fault(
                "unreachable",
                "proxy",
                _("{variable} names a proxy that the client cannot use.").format(variable=way.note),
                _("Unset {variable}, or give it the form http://HOST:PORT.").format(variable=way.note),
            )
        timings: dict[str, float] = {}
        addresses: Sequence[Any] = ()
        near_host, near_port = (way.proxy.host, way.proxy.port) if way.proxy else (host, port)
        where = (
            _("the proxy {address} ({variable})").format(address=way.proxy.shown, variable=way.proxy.variable)
            if way.proxy
            else host
        )
        if not way.socket:
            addresses = await _resolve(near_host, near_port, where, timings)

        async def dialled() -> Streams:
            if way.socket:
                return await _unix(way, timings)
            sock = await _dial(addresses, where, near_port, timings, proxied=way.proxy is not None)
            try:
                reader, writer = await asyncio.open_connection(sock=sock, limit=1 << 18)
            except BaseException:
                sock.close()
                raise
            try:
                if way.proxy and way.proxy.scheme == "https":
                    start = time.perf_counter()
                    await self._certificates.handshake(writer, way.proxy.host)
                    timings["proxy_tls"] = time.perf_counter() - start
                if way.proxy and secure:
                    await _tunnel(reader, writer, host, port, way.proxy, timings)
            except BaseException:
                writer.transport.abort()
                raise
            return reader, writer

        reader, writer = await dialled()
        if secure:
            try:
                start = time.perf_counter()
                await self._certificates.handshake(writer, host.removesuffix("."), dialled)
                timings["tls"] = time.perf_counter() - start
            except BaseException:
                writer.transport.abort()
                raise
        return (
            reader,
            writer,
            Link(timings, way.proxy, self._notes(way, secure), *(self._certificates.loose if secure else ())),
        )

    def _notes(self, way: NetworkRoute, secure: bool) -> tuple[str, ...]:
        out = []
        if way.socket:
            out.append(
                _("Through the socket {file}, set by {variable}.").format(file=clean(way.socket), variable=way.note)
            )
        elif way.proxy:
            out.append(
                _("Through the proxy {address}, set by {variable}.").format(address=way.proxy.shown, variable=way.note)
            )
        elif way.note:
            out.append(_("Not through a proxy, because of {variable}.").format(variable=way.note))
        return (*out, *(self._certificates.notes if secure else ()))


async def _unix(way: NetworkRoute, timings: dict[str, float]) -> Streams:
    start = time.perf_counter()
    try:
        connect = getattr(asyncio, "open_unix_connection", None)
        if connect is None:
            raise OSError(errno.ENOSYS, "no sockets in files on this system")
        streams: Streams = await connect(way.socket, limit=1 << 18)
    except OSError as e:
        raise Fault(
            "unreachable",
            "refused",
            _("The socket {file} ({variable}) does not answer: {why}.").format(
                file=clean(way.socket), variable=way.note, why=(e.strerror or "").lower()
            ),
            _("Run: unset {name}").format(name=way.note),
        ) from None
    timings["socket"] = time.perf_counter() - start
    return streams


async def _resolve(host: str, port: int, where: str, timings: dict[str, float]) -> Sequence[Any]:
    found = sockets.numeric(host.removesuffix("."), port)
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
    proxy: ForwardProxy,
    timings: dict[str, float],
) -> None:
    start = time.perf_counter()
    name = f"[{host}]" if ":" in host else host
    writer.write(sockets.tunnel_request(f"{name}:{port}".encode("latin-1", "replace"), basic(proxy)))
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
        raise proxy_refuses(proxy, host, status)
    timings["proxy"] = time.perf_counter() - start


def proxy_refuses(proxy: ForwardProxy, host: str, status: int) -> Fault:
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


def basic(proxy: ForwardProxy) -> bytes:
    return sockets.basic(proxy.authorization.reveal()) if proxy.authorization else b""
