"""How Claude Code uses the network: proxies, certificates, compressed answers, and a socket in the place of both.

Observed on loopback with 2.1.332 and, where a version is named, with 2.1.197 and 2.1.329; tests/clients compares it.
"""

from __future__ import annotations

import re
from typing import Mapping

from ccsetup.clients.claude.facts import UNCHECKED, UNIX_SOCKET
from ccsetup.model import Version
from ccsetup.probe.network import (
    BARE,
    CAPITALS,
    CODINGS,
    FRAMES,
    MEMBERS,
    STACKED,
    UNENDED,
    Network,
    NetworkRoute,
    Trust,
    listed,
    parsed,
)

_ALL_PROXY: Version = (2, 1, 329)
"""2.1.197 does not look at ALL_PROXY, and takes no gzip in several members.  Between them: not tried."""
_OWN_RUNTIME: Version = (2, 1, 0)
"""2.0.76 still runs on Node.js.  Between it and 2.1.197: not tried."""

_SCHEMES = {"http": "http", "https": "https"}


def network(version: Version) -> Network:
    def way(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> NetworkRoute:
        return _route(host, port, environ, version)

    return Network(way, _trust, _reads(version), knows_localhost=True)


def _route(host: str, port: int, environ: Mapping[str, str], version: Version) -> NetworkRoute:
    """The first of four variables decides for http and https alike; one that is no URL stops the client."""
    if environ.get(UNIX_SOCKET):
        return NetworkRoute(None, UNIX_SOCKET, socket=environ[UNIX_SOCKET])
    name = next((n for n in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY") if environ.get(n)), "")
    value = environ.get(name, "").strip()
    if not name and version >= _ALL_PROXY:
        name = next((n for n in ("all_proxy", "ALL_PROXY") if environ.get(n)), "")
        value = environ.get(name, "").strip()
        value = value if "://" in value else "http://" + value
        if not value.startswith(("http://", "https://")):
            return NetworkRoute()  # socks5: is passed over without a word
    if not name:
        return NetworkRoute()
    proxy = parsed(name, value, _SCHEMES)
    excepts = next((n for n in ("no_proxy", "NO_PROXY") if environ.get(n)), "")
    stops = proxy is None and not re.match(r"[A-Za-z][\w+.-]*:(?!//$)", value)
    if excepts and not stops and listed(re.split(r"[,\s]+", environ[excepts]), host, port):
        return NetworkRoute(None, excepts)
    return NetworkRoute(proxy, name) if proxy else NetworkRoute(None, name, "address")


def _reads(version: Version) -> tuple[str, ...]:
    """Node.js takes more ways of gzip and br, and no zstd."""
    if version < _OWN_RUNTIME:
        ways = (BARE, MEMBERS, CAPITALS, STACKED, UNENDED["gzip"], UNENDED["br"])
        return (*(c for c in CODINGS if c != "zstd"), *ways)
    return (*CODINGS, BARE, FRAMES, CAPITALS, *((MEMBERS,) if version >= _ALL_PROXY else ()))


def _trust(environ: Mapping[str, str]) -> Trust:
    """The system's certificates, and its own; a file that cannot be read is passed over."""
    files = {n: environ[n] for n in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE") if environ.get(n)}
    off = f"{UNCHECKED}=0" if environ.get(UNCHECKED) == "0" else ""
    return Trust(files, whole=False, unchecked=off, advice="NODE_EXTRA_CA_CERTS")
