"""What can be wrong with an endpoint, by name: the failures that ``Emulator.play`` plays.

A scenario answers before anything else (``before``), refuses a good request (``check``), spoils a good answer
(``after``), or changes how the emulator is reached (``arrange``).  Knows nothing of ccsetup and its verdicts.
"""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Optional

from support import tls, wire
from support.forward import Proxy, Refuse
from support.loopback import Disconnect, Response
from support.provider import Call, error, json_response
from support.turns import Asked

if TYPE_CHECKING:
    from support.emulator import Emulator, Site

BEFORE = Callable[["Site", Call], Optional[Response]]
CHECK = Callable[["Site", Call, Asked], Optional[Response]]
AFTER = Callable[["Site", Call, Response], Response]
ARRANGE = Callable[["Emulator"], None]


class Scenario(NamedTuple):
    name: str
    what: str
    before: Optional[BEFORE] = None
    check: Optional[CHECK] = None
    after: Optional[AFTER] = None
    arrange: Optional[ARRANGE] = None


SCENARIOS: dict[str, Scenario] = {}


def _add(
    name: str,
    what: str,
    *,
    before: Optional[BEFORE] = None,
    check: Optional[CHECK] = None,
    after: Optional[AFTER] = None,
    arrange: Optional[ARRANGE] = None,
) -> None:
    assert name not in SCENARIOS
    SCENARIOS[name] = Scenario(name, what, before, check, after, arrange)


def _html(title: str) -> bytes:
    return (
        f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1>"
        "<form action='/login'><input name=user></form></body></html>"
    ).encode()


def _page(status: int, title: str, *headers: tuple[str, str]) -> Response:
    return Response(status, (("Content-Type", "text/html; charset=utf-8"), *headers), _html(title))


_WIRES = ("messages", "count_tokens", "responses", "chat")

_add("good", "everything works")


# The account.  The shapes are the vendor's.


def _set_state(emulator: Emulator, state: str) -> None:
    for site in emulator.sites.values():
        site.state = state  # type: ignore[assignment]


_add("bad-key", "no key is good", arrange=lambda e: _set_state(e, "bad"))
_add("no-quota", "the key is good, the account is empty", arrange=lambda e: _set_state(e, "no-quota"))
_add("forbidden", "the key is known and blocked", arrange=lambda e: _set_state(e, "forbidden"))


def _wrong_region(emulator: Emulator) -> None:
    others = [site.key for site in emulator.sites.values() if site is not emulator.claude_site]
    emulator.offered_key = others[0] if others else "sk-of-another-site-0123456789"


def _wrong_family(emulator: Emulator) -> None:
    emulator.offered_key = "sk-ant-api03-0123456789abcdef0123456789"


_add("wrong-region", "the key is good at the provider's other site", arrange=_wrong_region)
_add("wrong-family", "the key is one of another provider", arrange=_wrong_family)


# The server


def _always(make: Callable[[Call], Response]) -> BEFORE:
    return lambda site, call: None if call.kind == "probe" else make(call)


_add(
    "rate-limited",
    "429 with Retry-After",
    before=_always(lambda call: error(call, 429, "Too many requests, slow down", [("Retry-After", "7")])),
)
_add("server-error", "500", before=_always(lambda call: error(call, 500, "Internal server error")))
_add("bad-gateway", "502 with a page of the load balancer", before=_always(lambda call: _page(502, "502 Bad Gateway")))
_add("unavailable", "503", before=_always(lambda call: error(call, 503, "Service temporarily unavailable")))
_add("overloaded", "529", before=_always(lambda call: error(call, 529, "Overloaded")))


# The protocol


def _chat_only(site: Site, call: Call) -> Optional[Response]:
    if call.kind in ("messages", "count_tokens", "responses"):
        return json_response({"detail": "Not Found"}, 404)
    return None


def _swapped(site: Site, call: Call, response: Response) -> Response:
    if call.kind in ("messages", "responses"):
        return json_response(wire.chat_completion(call.model or "", site.reply))
    return response


_add("chat-only", "Chat Completions work, Messages and Responses are 404", before=_chat_only)
_add(
    "wrong-path",
    "a provider's host, but nothing below this path",
    before=_always(lambda call: json_response({"error": "Not Found", "path": call.path}, 404)),
)
_add(
    "method-not-allowed",
    "405 for every POST",
    before=lambda site, call: (
        Response(405, (("Allow", "GET"), ("Content-Type", "text/plain")), b"Method Not Allowed")
        if call.method == "POST"
        else None
    ),
)
_add("portal", "a captive portal: HTML with 200 for everything", before=_always(lambda call: _page(200, "Hotel Wi-Fi")))
_add(
    "foreign-json",
    "200 and JSON of some other service",
    before=_always(lambda call: json_response({"status": "healthy", "uptime": 1234})),
)
_add("swapped-protocol", "200 and a Chat Completion in answer to another protocol", after=_swapped)
_add(
    "empty-200",
    "200 without a body",
    before=_always(lambda call: Response(200, (("Content-Type", "application/json"),), b"")),
)


# The model


def _model_missing(site: Site, call: Call, asked: Asked) -> Optional[Response]:
    return site.vendor.bad_model(call, call.model or "")


def _drop_models(emulator: Emulator) -> None:
    for site in emulator.sites.values():
        site.models = [f"{model}-next" for model in site.models]


_add("model-missing", "no configured model exists any more", check=_model_missing, arrange=_drop_models)


# Redirects


def _redirect_elsewhere(site: Site, call: Call) -> Optional[Response]:
    return Response(307, (("Location", site.owner.elsewhere_url + call.request.target),))


def _portal_redirect(site: Site, call: Call) -> Optional[Response]:
    return Response(302, (("Location", site.owner.elsewhere_url + "/login?next=/"),))


def _redirect_loop(site: Site, call: Call) -> Optional[Response]:
    return Response(308, (("Location", call.request.target),))


_add("redirect-elsewhere", "307 to another host that would take the key", before=_redirect_elsewhere)
_add("portal-redirect", "302 to a login page on another host", before=_portal_redirect)
_add("redirect-loop", "308 to itself", before=_redirect_loop)


# The network


def _refused(emulator: Emulator) -> None:
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can take the port
    emulator.keep(closed.close)
    emulator.origin = f"http://127.0.0.1:{closed.getsockname()[1]}"


def _dns(emulator: Emulator) -> None:
    emulator.origin = "https://provider.invalid"


def _blackhole(emulator: Emulator) -> None:
    # A full backlog: the kernel drops further SYNs, so that connect() waits.
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    emulator.keep(full.close)
    for _ in range(3):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(full.getsockname())
        emulator.keep(client.close)
    emulator.origin = f"http://127.0.0.1:{full.getsockname()[1]}"


def _reset(site: Site, call: Call) -> Optional[Response]:
    raise Disconnect


def _raw(make: Callable[[Site, Call], Iterable[bytes]]) -> BEFORE:
    return lambda site, call: Response(200, (), make(site, call), raw=True)


def _hang(site: Site, call: Call) -> Iterator[bytes]:
    yield b""
    site.closing.wait()


def _slow_headers(site: Site, call: Call) -> Iterator[bytes]:
    for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Padding: " + b"x" * 100_000:
        yield bytes([byte])
        if site.closing.wait(1):
            return


def _slow_body(site: Site, call: Call) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
    for byte in b'{"id": "' + b"x" * 100_000:
        yield bytes([byte])
        if site.closing.wait(1):
            return


def _endless(site: Site, call: Call) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    kind = call.kind if call.kind in ("messages", "responses", "chat") else "messages"
    events = site.speak(kind, call.model or "m", "x" * 200)
    yield from events[:-3]
    delta = next(each for each in events if b"x" * 200 in each)
    while not site.closing.wait(0.005):
        yield delta * 20


def _huge(site: Site, call: Call) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10737418240\r\n\r\n{"
    block = b" " * (1 << 18)
    for _ in range(10 * 4096):
        if site.closing.is_set():
            return
        yield block


def _bomb(site: Site, call: Call) -> Iterator[bytes]:
    yield (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n"
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
    )
    # Blocks that end in a full flush do not depend on each other: one megabyte in a thousand bytes, ten thousand times.
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(b" " * (1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(10_000):
        if site.closing.is_set():
            return
        yield block


def _many_headers(site: Site, call: Call) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    for number in range(0, 200_000, 1000):
        yield b"".join(b"x-header-%d: a value of no use\r\n" % (number + i) for i in range(1000))
    yield b"\r\n{}"


def _bad_chunking(site: Site, call: Call) -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield b'5\r\n{"id"\r\nZZZ\r\n: 1}\r\n0\r\n\r\n'


_add("refused", "nothing listens on the port", arrange=_refused)
_add("blackhole", "the connection is never made", arrange=_blackhole)
_add("dns", "the host name does not exist", arrange=_dns)
_add("reset", "the connection closes without a byte of an answer", before=_reset)
_add("hang", "the request is taken, no byte of an answer comes", before=_raw(_hang))
_add("slow-headers", "one byte of the headers each second", before=_raw(_slow_headers))
_add("slow-body", "one byte of the body each second", before=_raw(_slow_body))
_add("endless-stream", "a stream that never ends", before=_raw(_endless))
_add("huge-body", "a body of 10 GB", before=_raw(_huge))
_add("gzip-bomb", "10 MB that unpack to 10 GB", before=_raw(_bomb))
_add("many-headers", "200,000 headers", before=_raw(_many_headers))
_add("bad-chunking", "a chunk whose length is no number", before=_raw(_bad_chunking))


# Broken streams: the requests that are not streamed still work.


def _is_stream(response: Response) -> bool:
    return ("Content-Type", "text/event-stream") in response.headers


def _events(change: Callable[[Site, Call, list[bytes]], Iterable[bytes]]) -> AFTER:
    def after(site: Site, call: Call, response: Response) -> Response:
        if not _is_stream(response) or isinstance(response.body, bytes):
            return response
        return response._replace(body=change(site, call, list(response.body)))

    return after


def _truncated(site: Site, call: Call, events: list[bytes]) -> Iterator[bytes]:
    whole = b"".join(events)
    yield whole[: len(whole) * 3 // 5]
    raise Disconnect


_LAST = (b"event: message_stop", b"event: message_delta", b"event: response.completed", b"data: [DONE]")


def _no_end(site: Site, call: Call, events: list[bytes]) -> list[bytes]:
    return [event for event in events if not event.startswith(_LAST)]


def _late_error(site: Site, call: Call, events: list[bytes]) -> list[bytes]:
    middle = len(events) * 3 // 5
    if call.kind == "messages":
        failure = wire.anthropic_error("overloaded_error", "Overloaded")
        return [*events[:middle], b"event: error\ndata: " + wire.encode(failure) + b"\n\n"]
    if call.kind == "responses":
        failed = wire.responses_object(call.model or "", "", status="failed")
        failed["error"] = {"code": "server_error", "message": "The model failed in the middle"}
        failure = {"type": "response.failed", "response": failed, "sequence_number": middle}
        return [*events[:middle], b"event: response.failed\ndata: " + wire.encode(failure) + b"\n\n"]
    return [*events[:middle], b"data: " + wire.encode(wire.openai_error("server_error", "The model failed")) + b"\n\n"]


def _short_json(site: Site, call: Call, response: Response) -> Response:
    if _is_stream(response) or not isinstance(response.body, bytes):
        return response
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(response.body)}\r\n\r\n"
    return Response(200, (), head.encode() + response.body[:-9], raw=True)


_add("truncated", "the stream's connection breaks in the middle", after=_events(_truncated))
_add("no-end-event", "the stream ends without its last events", after=_events(_no_end))
_add("error-event", "an error comes after the first data of a stream", after=_events(_late_error))
_add("truncated-json", "an answer that is shorter than its Content-Length", after=_short_json)


# Dirty answers

DIRT = "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil.example\x07click\x1b]8;;\x07\rfake line\x9b31m\u202egnp\u2066"


def _echo(site: Site, call: Call) -> Optional[Response]:
    if call.kind == "probe":
        return None
    sent = ", ".join(f"{name}: {value}" for name, value in call.credentials)
    headers = [("X-Echo", sent), ("Request-Id", sent.rpartition(" ")[2])]
    return error(call, 401, f"Unknown key ({sent}) in {call.request.target}", headers)


_add(
    "ansi-error",
    "403 whose message is full of terminal escapes",
    before=_always(lambda call: error(call, 403, f"No access {DIRT}")),
)
_add(
    "huge-line-error",
    "500 with one line of 3 MB",
    before=_always(lambda call: error(call, 500, "x" * 3_000_000)),
)
_add("key-echo", "401 that repeats the key in body and headers", before=_echo)


# TLS


def _secure(kind: str, *, trusted: bool = True) -> ARRANGE:
    def arrange(emulator: Emulator) -> None:
        emulator.origin = emulator.serve(tls.context(kind))
        if trusted:
            emulator.trust("private")

    return arrange


def _plain_on_tls(emulator: Emulator) -> None:
    emulator.origin = emulator.origin.replace("http://", "https://")


def _named(emulator: Emulator, ca: str, refusal: Optional[Refuse] = None) -> None:
    """Reach the emulator as https://ccsetup-provider.example, which exists only behind a proxy."""
    secure = emulator.serve(tls.named_context(ca))
    port = int(secure.rpartition(":")[2])

    def route(host: str, wanted: int) -> tuple[str, int] | Refuse:
        if refusal is not None:
            return refusal
        return ("127.0.0.1", port) if host.endswith(".example") else Refuse("502 Bad Gateway")

    _through(emulator, Proxy(route))
    emulator.origin = "https://ccsetup-provider.example"


def _through(emulator: Emulator, proxy: Proxy) -> None:
    emulator.enter(proxy)
    emulator.proxies.append(proxy)
    emulator.use_proxy(proxy.url)


def _tunnel(ca: str, *, trusted: bool) -> ARRANGE:
    def arrange(emulator: Emulator) -> None:
        _named(emulator, ca)
        if trusted:
            emulator.trust(ca)

    return arrange


_add("tls-good", "a private authority that SSL_CERT_FILE names", arrange=_secure("good"))
_add("tls-private-ca", "a private authority that nobody trusts", arrange=_secure("good", trusted=False))
_add("tls-self-signed", "a self-signed certificate", arrange=_secure("self-signed"))
_add("tls-expired", "an expired certificate", arrange=_secure("expired"))
_add("tls-wrong-host", "a certificate for another host", arrange=_secure("wrong-host"))
_add("tls-plain", "http is spoken on the https port", arrange=_plain_on_tls)
_add(
    "tls-corporate-proxy",
    "a company's proxy opens TLS with certificates of its own, untrusted authority",
    arrange=_tunnel("corporate", trusted=False),
)


# Proxies


def _refusing(refusal: Refuse) -> ARRANGE:
    return lambda emulator: _named(emulator, "corporate", refusal)


def _dead_proxy(emulator: Emulator) -> None:
    _refused(emulator)
    dead, emulator.origin = emulator.origin, emulator.plain_origin
    emulator.use_proxy(dead)


def _bypassed(emulator: Emulator) -> None:
    _dead_proxy(emulator)
    emulator.env |= {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


_PASSWORD = Refuse("407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="corp"\r\n')
_add("proxy-good", "a proxy that forwards plain http", arrange=lambda e: _through(e, Proxy()))
_add(
    "proxy-connect",
    "https through a proxy that opens TLS, with its authority trusted",
    arrange=_tunnel("corporate", trusted=True),
)
_add("proxy-auth-required", "a proxy that wants a password for CONNECT", arrange=_refusing(_PASSWORD))
_add("proxy-forbidden", "a proxy that refuses to CONNECT", arrange=_refusing(Refuse("403 Forbidden")))
_add(
    "proxy-auth-required-http",
    "a proxy that wants a password for plain http",
    arrange=lambda e: _through(e, Proxy(lambda host, port: _PASSWORD)),
)
_add("proxy-dead", "the proxy's port is closed", arrange=_dead_proxy)
_add("proxy-bypassed", "the proxy is dead, but NO_PROXY names the provider", arrange=_bypassed)


# What clients send and some providers refuse


def _refuse_when(kinds: tuple[str, ...], when: Callable[[Call, Asked], bool], status: int, message: str) -> CHECK:
    def check(site: Site, call: Call, asked: Asked) -> Optional[Response]:
        return error(call, status, message) if call.kind in kinds and when(call, asked) else None

    return check


def _has(name: str) -> Callable[[Call, Asked], bool]:
    return lambda call, asked: name in call.body


_add(
    "rejects-system-role",
    "400 for the role system among the messages, in words that no client knows",
    check=_refuse_when(("messages",), lambda call, asked: asked.system_roles, 400, "messages 参数非法：角色信息不正确"),
)
_add(
    "rejects-system-role-known",
    "the same in Anthropic's words, which clients recover from",
    check=_refuse_when(
        ("messages",), lambda call, asked: asked.system_roles, 400, 'messages.1.role: Unexpected role "system"'
    ),
)
_add(
    "rejects-context-management",
    "400 for context_management",
    check=_refuse_when(
        ("messages",), _has("context_management"), 400, "context_management: Extra inputs are not permitted"
    ),
)
_add(
    "rejects-output-config",
    "400 for output_config",
    check=_refuse_when(("messages",), _has("output_config"), 400, "output_config: Extra inputs are not permitted"),
)
_add(
    "rejects-thinking",
    "400 for thinking",
    check=_refuse_when(("messages",), _has("thinking"), 400, "thinking: Extra inputs are not permitted"),
)
_add(
    "rejects-namespace-tools",
    "400 for tools of the type namespace",
    check=_refuse_when(
        ("responses",), lambda call, asked: "namespace" in asked.other_tools, 400, "Invalid value: 'namespace'."
    ),
)
_add(
    "rejects-web-search",
    "400 for the tool web_search",
    check=_refuse_when(
        ("responses",), lambda call, asked: "web_search" in asked.other_tools, 400, "Invalid value: 'web_search'."
    ),
)
_add(
    "rejects-images",
    "400 for images",
    check=_refuse_when(_WIRES, lambda call, asked: asked.images > 0, 400, "This model does not support image input"),
)
_add(
    "rejects-tools",
    "400 for tools",
    check=_refuse_when(_WIRES, lambda call, asked: bool(asked.tools), 400, "This model does not support tools"),
)


def _behaviour(name: str) -> ARRANGE:
    def arrange(emulator: Emulator) -> None:
        for site in emulator.sites.values():
            site.habits.add(name)

    return arrange


_add("no-tools", "tools are taken and never called", arrange=_behaviour("no-tools"))
_add("serial-tools", "one call where two were asked for", arrange=_behaviour("serial-tools"))
_add("not-streaming", "one JSON object in answer to stream: true", arrange=_behaviour("not-streaming"))


def _without_usage(text: bytes) -> bytes:
    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key != "usage"}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return wire.encode(strip(json.loads(text)))


def _no_usage(site: Site, call: Call, response: Response) -> Response:
    if call.kind not in ("messages", "responses", "chat"):
        return response
    if isinstance(response.body, bytes):
        return response._replace(body=_without_usage(response.body))
    changed = []
    for event in response.body:
        head, found, data = event.partition(b"data: {")
        changed.append(head + b"data: " + _without_usage(b"{" + data) + b"\n\n" if found else event)
    return response._replace(body=changed)


_add("no-usage", "the numbers of tokens are missing", after=_no_usage)
