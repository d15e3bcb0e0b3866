"""Which proxy a client would use for an address.  Pure.

Claude Code takes the first of https_proxy, HTTPS_PROXY, http_proxy and HTTP_PROXY for every address; Codex chooses by
the address's scheme and then takes ALL_PROXY.  Both send loopback addresses through it too, unless NO_PROXY names
them (observed with Claude Code 2.1.329 and Codex 0.169.0).
"""

from __future__ import annotations

from typing import Mapping, NamedTuple, Optional
from urllib.parse import unquote, urlsplit

from ccsetup.model import Secret


class Proxy(NamedTuple):
    variable: str
    scheme: str
    host: str
    port: int
    authorization: Optional[Secret]
    """``user:password``, or None."""

    @property
    def shown(self) -> str:
        """Return the proxy's address without user name and password."""
        return f"{self.scheme}://{self.host}:{self.port}"


class Route(NamedTuple):
    proxy: Optional[Proxy]
    note: str
    """Names of variables that matter: the one that set the proxy, or the one that excepts this host."""
    problem: str = ""
    """Why the proxy's address cannot be used."""


def route(scheme: str, host: str, port: int, environ: Mapping[str, str], *, node: bool = False) -> Route:
    """Return the way to *host* that a client would take with *environ*; with *node* as Claude Code does."""
    names = (
        ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")
        if node
        else (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    )
    name = next((n for n in names if environ.get(n)), "")
    if not name:
        return Route(None, "")
    excepts = next((n for n in ("no_proxy", "NO_PROXY") if environ.get(n)), "")
    if excepts and excepted(environ[excepts], host, port):
        return Route(None, excepts)
    value = environ[name].strip()
    parts = urlsplit(value if "://" in value else "http://" + value)
    try:
        number = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return Route(None, name, "port")
    if not parts.hostname or parts.scheme not in ("http", "https"):
        return Route(None, name, parts.scheme or "address")
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else ""
    return Route(Proxy(name, parts.scheme, parts.hostname, number, Secret(user) if user else None), name)


def excepted(no_proxy: str, host: str, port: int) -> bool:
    """Tell whether the list *no_proxy* excepts *host*: names, suffixes, addresses, networks, ``*``."""
    host = host.strip("[]").lower().rstrip(".")
    for entry in no_proxy.replace(" ", ",").split(","):
        entry = entry.strip().lower()
        if not entry:
            continue
        if entry == "*":
            return True
        if entry.count(":") == 1:
            entry, _colon, number = entry.partition(":")
            if number != str(port):
                continue
        entry = entry.strip("[]")
        if "/" in entry:
            if _in_network(host, entry):
                return True
            continue
        entry = entry.removeprefix("*").lstrip(".")
        if host == entry or (entry and host.endswith("." + entry)):
            return True
    return False


def _in_network(host: str, network: str) -> bool:
    import ipaddress

    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
