"""New connections of the relay's HTTP client: names, addresses, proxies and TLS."""

from __future__ import annotations

import asyncio
import os.path
import socket
import ssl
from typing import Callable, NamedTuple, Optional, TypeVar
from urllib.parse import unquote, urlsplit

from ccsetup.platform import system
from ccsetup.relay.http.base import NetworkFailure, Origin, UpstreamError
from ccsetup.sockets import HEAD_LIMIT, basic, connect, look_up, numeric, tunnel_request, tunnel_status

P = TypeVar("P", bound=asyncio.Protocol)

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep their certificates, for a Python whose OpenSSL looks elsewhere."""


class Proxy(NamedTuple):
    host: str
    port: int
    authorization: bytes
    """Value of Proxy-Authorization, b"" for none."""

    def __repr__(self) -> str:  # it may hold a password
        return f"Proxy({self.host}, {self.port})"


def proxy_of(origin: Origin) -> Optional[Proxy]:
    """Return the proxy of *origin*; UpstreamError ``connect`` when its URL is not one of an HTTP proxy."""
    if not origin.proxy:
        return None
    try:
        parts = urlsplit(origin.proxy)
        host, port = parts.hostname, parts.port or 80
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme != "http":
        raise UpstreamError("connect", "the proxy is not a URL of the form http://host:port")
    authorization = b""
    if parts.username is not None:
        authorization = basic(f"{unquote(parts.username)}:{unquote(parts.password or '')}")
    return Proxy(host, port, authorization)


def authority(host: str, port: int, default: int = 0) -> bytes:
    """Return *host* and *port* as in a Host header; UpstreamError ``connect`` when *host* is no host name."""
    try:
        name = host.encode("ascii")
    except UnicodeEncodeError:
        try:
            name = host.encode("idna")
        except UnicodeError:
            raise UpstreamError("connect", "the host is not a host name") from None
    if b":" in name:
        name = b"[" + name + b"]"
    return name if port == default else b"%b:%d" % (name, port)


def trust() -> ssl.SSLContext:
    """Return a context that trusts what the system trusts, or what SSL_CERT_FILE and SSL_CERT_DIR name.

    macOS and Windows keep certificates where only truststore finds them.  Elsewhere it would read the bundle again
    for each connection, 20 ms of the whole relay.
    """
    if system.TRUST_STORE:
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.create_default_context()
        paths = ssl.get_default_verify_paths()
        if not paths.cafile and not paths.capath:
            for bundle in BUNDLES:
                if os.path.isfile(bundle):
                    context.load_verify_locations(bundle)
                    break
    context.set_alpn_protocols(["http/1.1"])
    return context


async def dial(
    origin: Origin, factory: Callable[[], P], context: Callable[[], ssl.SSLContext]
) -> tuple[asyncio.Transport, P]:
    """Return a connection to *origin*, through its proxy and with TLS where it says so; UpstreamError otherwise."""
    where = f"{origin.host}:{origin.port}"
    proxy = proxy_of(origin)
    step: NetworkFailure = "connect"
    try:
        async with asyncio.timeout(origin.connect_timeout or None):
            near = proxy[:2] if proxy else (origin.host, origin.port)
            sock = await connect(numeric(*near) or await look_up(*near))
            loop = asyncio.get_running_loop()
            if origin.scheme == "http":
                return await loop.create_connection(factory, sock=sock)
            try:
                if proxy:
                    await _tunnel(sock, authority(origin.host, origin.port), proxy)
                step = "tls"
                tls = context()
            except BaseException:
                sock.close()
                raise
            return await loop.create_connection(factory, sock=sock, ssl=tls, server_hostname=origin.host)
    except TimeoutError:
        raise UpstreamError(step, f"{where} did not answer within {origin.connect_timeout:g} s") from None
    except ssl.SSLCertVerificationError as e:
        raise UpstreamError("tls", f"the certificate of {where} is not trusted: {e.verify_message}") from None
    except ssl.SSLError as e:
        raise UpstreamError("tls", f"no TLS with {where}: {e.reason or 'handshake failed'}") from None
    except (OSError, UnicodeError, ValueError) as e:
        reason = getattr(e, "strerror", None) or type(e).__name__
        via = " through the proxy" if proxy else ""
        raise UpstreamError(step, f"no connection to {where}{via}: {reason}") from None


async def _tunnel(sock: socket.socket, name: bytes, proxy: Proxy) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, tunnel_request(name, proxy.authorization))
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = await loop.sock_recv(sock, 4096)
        answer += data
        if not data or len(answer) > HEAD_LIMIT:
            raise UpstreamError("connect", "the proxy ended the connection")
    status = tunnel_status(answer)
    if not 200 <= status < 300:
        raise UpstreamError("connect", f"the proxy does not let {name.decode()} through: HTTP {status}")
    if not answer.endswith(b"\r\n\r\n"):
        raise UpstreamError("connect", "the proxy spoke before it was asked")
