"""What a base URL may look like.  Pure; asks no resolver."""

from __future__ import annotations

import re

from ccsetup import masking
from ccsetup.i18n import _

# A pattern, so that the JSON Schema of presets says the same as this module.  Plain http is for machines that are
# near: loopback, private and link-local addresses, names without a dot, and the suffixes that never leave a site.
_PRIVATE = (
    r"(?:[A-Za-z0-9-]+\.)*(?:localhost|local|lan|internal|home\.arpa)"
    r"|(?:127|10)\.\d{1,3}\.\d{1,3}\.\d{1,3}"
    r"|(?:192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01])|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\.\d{1,3}\.\d{1,3}"
    r"|\[(?:::1|[fF][cCdD][0-9A-Fa-f:]+|[fF][eE][89abAB][0-9A-Fa-f:]+)\]"
    r"|(?=[A-Za-z0-9-]*[G-Zg-z])(?!0[xX])[A-Za-z0-9-]+"
)
_PUBLIC = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]"
_REST = r"(?::\d{1,5})?(?:/[A-Za-z0-9._~!$&'()*+,;=:%-]*)*"
PATTERN = rf"^(?:https://(?:{_PUBLIC})|http://(?:{_PRIVATE})){_REST}$"
"""For ``search``; ECMA 262 and Python agree on it, but for a line feed at the very end, which Python lets pass."""

CLAUDE_PATTERN = r"^(?!.*/v1(?:/messages)?/*$)"
"""Claude Code adds ``/v1/messages`` itself (observed with 2.0.76 to 2.1.329: a base that ends in /v1 gives /v1/v1)."""


def without_keys(url: str) -> tuple[str, tuple[str, ...]]:
    """Return *url* without the keys in it, and these: a password, a parameter, a part of the path."""
    scheme, separator, rest = url.partition("://")
    if not separator or masking.hide(url) == url:
        return url, ()
    found: list[str] = []
    rest, hash_, fragment = rest.partition("#")
    rest, _mark, query = rest.partition("?")
    host, *parts = rest.split("/")
    user, at, place = host.rpartition("@")
    if at:
        name, _colon, password = user.partition(":")
        found.append(password or name)
        host = place
    kept: list[str] = []
    for part in parts:
        (found if masking.likely(part) else kept).append(part)
    pairs = []
    for pair in filter(None, query.split("&")):
        name, _equals, value = pair.partition("=")
        if masking.likely(value) or (value and masking.hide(f"?{pair}") != f"?{pair}"):
            found.append(value)
        else:
            pairs.append(pair)
    rest = "/".join([host, *kept]) + ("?" + "&".join(pairs) if pairs else "") + hash_ + fragment
    if not found:
        return url, ()
    from urllib.parse import unquote

    return f"{scheme}://{rest}", tuple(dict.fromkeys(unquote(f) for f in found))


def key_inside(url: str) -> str:
    """Return a sentence where *url* holds a key: whoever reads the settings would see it; "" where it holds none."""
    return _("The address holds a key.") if any(map(masking.likely, without_keys(url)[1])) else ""


_REQUESTED = (
    "/messages/count_tokens", "/messages/batches", "/messages", "/responses", "/responses/compact", "/chat/completions",
    "/completions", "/embeddings", "/v1/models",
)  # fmt: skip
"""Paths of requests: a page or a log shows an address with one of them, and clients append theirs themselves."""


def bare(url: str) -> str:
    """Return *url* without what stands around it in a file or a text, with scheme and host in small letters."""
    url = url.strip().strip("\"'`<>,;").strip()
    scheme, mark, rest = url.partition("://")
    host = rest[: next((i for i, c in enumerate(rest) if c in "/?#@"), len(rest))]
    if not mark or scheme.lower() not in ("https", "http") or rest[len(host) :].startswith("@"):
        return url
    return f"{scheme.lower()}://{host.lower()}{rest[len(host) :]}"


def base(url: str, wire: str) -> str:
    """Return *url* without the path of a request, of whichever format, at its end.

    Claude Code appends ``/v1/messages`` (observed, all versions), Codex ``/responses`` (observed with 0.169.0): the
    base of *wire* "anthropic" ends before ``/v1``.
    """
    url = bare(url)
    least = len(url) - len(url.partition("://")[2].partition("/")[2]) - 1
    """Where the path begins: no name of a host is the path of a request."""

    def without(tails: tuple[str, ...], end: int, text: str) -> int:
        while end > least and (tail := next((t for t in (*tails, "/") if text.endswith(t, least, end)), "")):
            end -= len("/models" if tail == "/v1/models" else tail)
        return end

    end = without(_REQUESTED, len(url), url.lower())
    before = without(("/v1",), end, url)
    return url[:before] + ("" if wire == "anthropic" or before == end else "/v1")


def origin(url: str) -> str:
    """Return scheme, host and port of *url*, "" where it is no address."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
    except ValueError:  # http://[::1
        return ""
    return f"{parts.scheme}://{parts.netloc.lower()}"


def host(url: str) -> str:
    """Return the host alone: the rest may hold a password."""
    from urllib.parse import urlsplit

    try:
        return urlsplit(url).hostname or "?"
    except ValueError:
        return "?"


def is_address(text: str) -> bool:
    """Tell whether *text* is an address without a key in it, as in an ``HTTP-Referer``."""
    return text.startswith(("https://", "http://")) and not problem(text) and not key_inside(text)


def is_loopback(url: str) -> bool:
    """Tell whether *url* is at this machine itself."""
    name = host(url).removesuffix(".")
    if name in ("localhost", "::1", "::") or re.fullmatch(r"127(?:\.\d{1,3}){3}", name):
        return True
    if not re.fullmatch(r"(?:0x[\da-f]*|\d+)(?:\.(?:0x[\da-f]*|\d+)){0,3}|::ffff:[\d.]+", name):
        return False
    import socket

    try:
        # Other spellings of a number: 127.1, 2130706433 and 0.0.0.0 reach this machine (observed with both clients).
        return socket.inet_aton(name.removeprefix("::ffff:"))[0] in (0, 127)
    except OSError:
        return False


def problem(url: str, *, claude: bool = False) -> str:
    """Return why *url* cannot be a base URL (of Claude Code, with *claude*), or "" when it can.

    The text never repeats the URL, which might hold a key.
    """
    if re.search(r"\s", url):
        return _("The URL holds white space.")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("https", "http"):
        return _("A URL begins with https:// (or http:// for a machine on your own network).")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" in host:
        return _("The URL holds a user name or a password.")
    if "?" in rest or "#" in rest:
        return _("The URL holds a query (?) or a fragment (#); a base URL ends with its path.")
    if re.match(r"(?:0\.0\.0\.0|\[::\])(?::|\Z)", host):
        return _("{host} is where a server listens; clients find it at 127.0.0.1.").format(host=host.partition(":")[0])
    if not re.search(PATTERN, url):
        if scheme == "http" and re.search(PATTERN, "https://" + rest):
            return _("http:// would send the key in the clear over the internet; use https://.")
        return _("This is not a URL that can be called.")
    port = re.search(r":(\d+)$", host)
    if port and not 0 < int(port.group(1)) < 65536:
        return _("The port in the URL is not between 1 and 65535.")
    if claude and not re.search(CLAUDE_PATTERN, url):
        return _("Claude Code adds /v1/messages itself; remove /v1 from the end of the URL.")
    return ""
