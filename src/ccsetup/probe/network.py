"""How a client uses the network, as values: its way to a host, the certificates it trusts, what it can unpack.

What each client does is said in its own package (``clients/*/network.py``); ``dial`` and ``http`` do the same.  Pure.
"""

from __future__ import annotations

from typing import Callable, Mapping, NamedTuple, Optional
from urllib.parse import unquote, urlsplit

from ccsetup.model import Secret
from ccsetup.probe.verdict import Verdict


class Fault(Exception):
    """An exchange that came to no answer.  *kind* is for programs: dns, refused, proxy, tls-expired, cut, ..."""

    def __init__(self, verdict: Verdict, kind: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.verdict = verdict
        self.kind = kind
        self.text = text
        self.hint = hint


class ForwardProxy(NamedTuple):
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


class NetworkRoute(NamedTuple):
    proxy: Optional[ForwardProxy] = None
    note: str = ""
    """Names of variables that matter: the one that set the proxy, or the one that excepts this host."""
    problem: str = ""
    """Why the client cannot use the proxy's address."""
    socket: str = ""
    """The path of a Unix socket that stands for every host."""


class Trust(NamedTuple):
    """Which certificates count beside those of the system."""

    files: Mapping[str, str] = {}
    """Paths of PEM files, by the variables that name them."""
    whole: bool = True
    """A file with something else than certificates in it is not used at all; else what stands before that is."""
    unchecked: str = ""
    """The setting (``NAME=value``) that makes the client take any certificate, or ""."""
    advice: str = ""
    """The variable that adds a certificate."""


class Network(NamedTuple):
    """What a client of one version does with the variables that it has."""

    route: Callable[[str, str, int, Mapping[str, str]], NetworkRoute]
    """The way to a scheme, host and port."""
    trust: Callable[[Mapping[str, str]], Trust]
    reads: tuple[str, ...]
    """The content codings that it unpacks, among CODINGS, and their ways (BARE, CAPITALS, ...)."""
    exceptions: tuple[str, str] = ("no_proxy", "NO_PROXY")
    """The variables that name hosts for which there is no proxy, the stronger one first."""
    knows_localhost: bool = False
    """``localhost.`` is this machine to it without a resolver, of which many do not know that name."""

    def unpacks(self, coding: str) -> bool:
        """Tell whether it reads an answer in *coding*: a content-encoding, or one of its ways."""
        if "," in coding:
            return STACKED in self.reads and all(self.unpacks(c.strip()) for c in coding.split(","))
        return coding in self.reads or (CAPITALS in self.reads and coding.lower() in self.reads)


CODINGS = ("gzip", "x-gzip", "deflate", "br", "zstd")
"""The content codings that any client unpacks; an answer that names another one is taken as it is."""

BARE, MEMBERS, FRAMES = "deflate without zlib's head", "gzip in several members", "zstd in several frames"
CAPITALS, STACKED = "a name in capitals", "one coding in another"
UNENDED = {c: f"{c.removeprefix('x-')} without its end" for c in ("gzip", "x-gzip", "br", "zstd")}
"""Ways in which servers compress that not every client understands."""


def parsed(variable: str, value: str, schemes: Mapping[str, str]) -> Optional[ForwardProxy]:
    """Return the proxy that *value* is the address of, or None; *schemes*: what each scheme is spoken as."""
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return None
    scheme = schemes.get(parts.scheme, "")
    if not scheme or not parts.hostname or any(c.isspace() for c in value):
        return None
    user = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if parts.username else ""
    number = port or (443 if scheme == "https" else 80)
    return ForwardProxy(variable, scheme, parts.hostname, number, Secret(user) if user else None)


def usual(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> NetworkRoute:
    """Return the way that most programs take: a variable for the scheme, then ALL_PROXY, with NO_PROXY as in curl."""
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY")
    name = next((n for n in names if environ.get(n)), "")
    if not name:
        return NetworkRoute()
    excepts = next((n for n in ("no_proxy", "NO_PROXY") if environ.get(n)), "")
    if excepts and listed(environ[excepts].replace(" ", ",").split(","), host, port):
        return NetworkRoute(None, excepts)
    value = environ[name].strip()
    proxy = parsed(name, value if "://" in value else "http://" + value, {"http": "http", "https": "https"})
    return NetworkRoute(proxy, name) if proxy else NetworkRoute(None, name, "address")


def listed(entries: list[str], host: str, port: int) -> bool:
    """Tell whether *entries* name *host*: ``*``, names and their subdomains, ``*.name``, addresses, networks, ports."""
    host = host.strip("[]").lower().rstrip(".")
    numeric = _in_network(host, host)
    for entry in (e.strip().lower() for e in entries):
        if entry == "*":
            return True
        name, colon, number = entry.rpartition(":")
        if colon and number.isdigit() and (":" not in name or name.endswith("]")):
            if int(number) != port or "/" in name:
                continue
            entry = name
        entry = entry.strip("[]").removesuffix(".")
        if numeric:
            if _in_network(host, entry):
                return True
            continue
        entry = entry.removeprefix("*." if entry.startswith("*.") else ".")
        if entry and (host == entry or host.endswith("." + entry)):
            return True
    return False


def _in_network(host: str, network: str) -> bool:
    """Tell whether *host* is an address in *network*, which may be a single address; IPv6 may hold one of IPv4."""
    import ipaddress

    try:
        address, net = ipaddress.ip_address(host), ipaddress.ip_network(network, strict=False)
        if isinstance(net, ipaddress.IPv6Network) and isinstance(address, ipaddress.IPv4Address):
            address = ipaddress.IPv6Address(f"::ffff:{address}")
        return address in net
    except ValueError:
        return False


def system_trust(environ: Mapping[str, str]) -> Trust:
    """Return what most programs trust."""
    return Trust({n: environ[n] for n in ("SSL_CERT_FILE",) if environ.get(n)}, advice="SSL_CERT_FILE")


USUAL = Network(usual, system_trust, ())
