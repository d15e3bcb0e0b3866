"""How Codex uses the network: proxies, certificates, compressed answers.

Observed on loopback with 0.133.0, 0.160.0, 0.169.0 and 0.171.0, which differ in the last alone; tests/clients compares
it.
"""

from __future__ import annotations

from typing import Mapping, Optional

from ccsetup.clients.codex.facts import COMPRESSED
from ccsetup.model import Version
from ccsetup.probe.network import FRAMES, UNENDED, ForwardProxy, Network, NetworkRoute, Trust, parsed

_SCHEMES = {"http": "http", "https": "https", **dict.fromkeys(("socks4", "socks4a", "socks5", "socks5h"), "http")}
"""Codex speaks HTTP to a proxy that it is told speaks SOCKS."""
_EXCEPTIONS = ("NO_PROXY", "no_proxy")


def network(version: Version) -> Network:
    reads = ("zstd", "gzip", FRAMES, UNENDED["gzip"], UNENDED["zstd"])
    return Network(_route, _trust, reads if version >= COMPRESSED else (), _EXCEPTIONS)


def _route(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> NetworkRoute:
    """A variable for the scheme, then ALL_PROXY; of the two spellings the capital one, also where it is empty."""
    cgi = scheme == "http" and "REQUEST_METHOD" in environ  # HTTP_PROXY could be a header of somebody's request
    for kind in ("all",) if cgi else (scheme, "all"):
        name = next((n for n in (f"{kind}_proxy".upper(), f"{kind}_proxy") if n in environ), "")
        value = environ.get(name, "")
        if not value:
            continue
        proxy: Optional[ForwardProxy] = parsed(name, value if "://" in value else "http://" + value, _SCHEMES)
        refused = proxy is None and value.startswith(("http://", "https://")) and value.rpartition(":")[2].isdigit()
        if proxy is None and not refused:
            continue  # as if it were not set
        excepts = next((n for n in _EXCEPTIONS if n in environ), "")
        if excepts and _excepted(environ[excepts], host):
            return NetworkRoute(None, excepts)
        return NetworkRoute(proxy, name) if proxy else NetworkRoute(None, name, "address")
    return NetworkRoute()


def _excepted(no_proxy: str, host: str) -> bool:
    """Tell whether *no_proxy* names *host*: addresses and networks for an address, names and ``*`` for a name.

    Commas alone divide it, and it has no ports, brackets or ``*.``.
    """
    import ipaddress

    entries = [e.strip() for e in no_proxy.split(",")]
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        names = [e.lower().removeprefix(".") for e in entries if e]
        host = host.lower()
        return any(n == "*" or (n and (host == n or host.endswith("." + n))) for n in names)
    for entry in entries:
        try:
            if address in ipaddress.ip_network(entry, strict=False):
                return True
        except ValueError:
            continue
    return False


def _trust(environ: Mapping[str, str]) -> Trust:
    files = {n: environ[n] for n in ("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE") if environ.get(n)}
    return Trust(files, advice="CODEX_CA_CERTIFICATE")
