"""Upstreams that fail on cue, requests in each client's format, and what such a client understands of an answer.

    with Upstream("good") as good, Upstream("bad") as bad:
        bad.failure = FAILURES["cut-mid-event"]
        understood("anthropic", body, stream=True).text

Written from the providers' documentation, and not from what the relay makes of it: ``understood`` is as strict as the
strictest client.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Optional, Self
from urllib.parse import urlsplit

from support import scripted, waiting, wire
from support.loopback import Disconnect, Request, Response, Server
from support.scripted import Said

WIRES = ("anthropic", "responses", "chat")
PATHS = {"anthropic": "/v1/messages", "responses": "/v1/responses", "chat": "/v1/chat/completions"}
_ENDINGS = {"/v1/messages": "anthropic", "/responses": "responses", "/chat/completions": "chat"}

KNOWN = "the upstream's own words"


def asking(kind: str, model: str, text: str = "hello", *, stream: bool = False, **more: Any) -> dict[str, Any]:
    """Return a request in the format *kind*."""
    body: dict[str, Any] = {"model": model, "stream": stream, **more}
    if kind == "responses":
        body["input"] = text
    else:
        body["messages"] = [{"role": "user", "content": text}]
        if kind == "anthropic":
            body["max_tokens"] = 100
    return body


# What a client understands.


class Understood(NamedTuple):
    text: str
    finished: bool
    """It looks like an answer that came to its end."""
    error: str
    """The message of an error in the client's own format."""
    pings: int = 0


def understood(kind: str, body: bytes, *, stream: bool) -> Understood:
    """Read *body* as a client of the format *kind* would; AssertionError for what such a client cannot read."""
    if not stream or body.startswith(b"{"):
        return _whole(kind, json.loads(body))
    assert body.endswith(b"\n\n"), f"the last event is not closed: {body[-200:]!r}"
    text, finished, error, pings = "", False, "", 0
    for block in body.decode().replace("\r\n", "\n").strip("\n").split("\n\n"):
        lines = block.split("\n")
        data = "\n".join(line[5:].lstrip(" ") for line in lines if line.startswith("data:"))
        name = next((line[6:].strip() for line in lines if line.startswith("event:")), "")
        if not data:
            pings += any(line.startswith(":") for line in lines)
            continue
        assert not error, f"something follows an error: {block!r}"
        if data == "[DONE]":
            finished = True
            continue
        value = json.loads(data)
        assert not name or value.get("type", name) == name
        if value.get("type") == "ping":
            pings += 1
            continue
        assert not finished or kind != "anthropic", f"something follows the end: {block!r}"
        more, end, problem = _event(kind, value)
        text += more
        finished = finished or end
        error = error or problem
    return Understood(text, finished, error, pings)


def _event(kind: str, value: dict[str, Any]) -> tuple[str, bool, str]:
    what = value.get("type")
    if kind == "anthropic":
        assert what, f"an event without a type: {value}"
        if what == "error":
            return "", False, _anthropic_error(value)
        return value.get("delta", {}).get("text", ""), what == "message_stop", ""
    if kind == "responses":
        assert what, f"an event without a type: {value}"
        if what == "error":
            return "", False, value["message"]
        if what == "response.failed":
            assert value["response"]["status"] == "failed"
            return "", False, value["response"]["error"]["message"]
        return (
            value["delta"] if what == "response.output_text.delta" else "",
            what in ("response.completed", "response.incomplete"),
            "",
        )
    if "error" in value:
        return "", False, _openai_error(value)
    assert value["object"] == "chat.completion.chunk"
    found, finished = "", False
    for choice in value["choices"]:
        found += choice["delta"].get("content") or ""
        finished = finished or choice.get("finish_reason") is not None
    return found, finished, ""


def _anthropic_error(value: dict[str, Any]) -> str:
    assert value["type"] == "error"
    assert value["error"]["type"].endswith("_error") or value["error"]["type"] == "request_too_large"
    return str(value["error"]["message"])


def _openai_error(value: dict[str, Any]) -> str:
    error = value["error"]
    assert isinstance(error["type"], str)
    return str(error["message"])


def _whole(kind: str, value: dict[str, Any]) -> Understood:
    if kind == "anthropic":
        if value.get("type") == "error":
            return Understood("", False, _anthropic_error(value))
        text = "".join(block["text"] for block in value["content"] if block["type"] == "text")
        return Understood(text, value["stop_reason"] is not None, "")
    if value.get("error"):
        return Understood("", False, _openai_error(value))
    if kind == "responses":
        parts = [part for item in value["output"] if item["type"] == "message" for part in item["content"]]
        return Understood("".join(part["text"] for part in parts), value["status"] == "completed", "")
    choice = value["choices"][0]
    return Understood(choice["message"]["content"] or "", choice["finish_reason"] is not None, "")


# Upstreams.

Failure = Callable[["Upstream", str, bool, Request], Response]
"""Upstream, format, whether a stream was asked for, request."""


class Upstream:
    """Serves all three formats and answers with its name, or as ``failure`` says.  Every key is good."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: Optional[Failure] = None
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = Server(self._answer)
        self.closing = self._server.closing

    @property
    def said(self) -> Said:
        return Said(f"I am {self.name}, and all is well.")

    def url(self, kind: str) -> str:
        return self._server.origin + ("" if kind == "anthropic" else "/v1")

    def asked(self, text: str) -> int:
        """Return how many requests came whose body holds *text*."""
        with self._lock:
            return sum(text.encode() in request.body for request in self.requests)

    def clear(self) -> None:
        with self._lock:
            self.requests.clear()
        self.failure = None

    def _answer(self, request: Request) -> Response:
        kind = next((w for ending, w in _ENDINGS.items() if request.path.endswith(ending)), "")
        with self._lock:
            self.requests.append(request)
        assert kind, f"no endpoint: {request.method} {request.target}"
        stream = (request.json or {}).get("stream") is True
        if self.failure is not None:
            return self.failure(self, kind, stream, request)
        return scripted.answer(kind, self.said, stream=stream)

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._server.__exit__(kind, error, trace)


# Failures: before the answer.


def status(
    code: int, word: str = "", headers: tuple[tuple[str, str], ...] = (), *, claims: Optional[int] = None
) -> Failure:
    """Return a failure with the status *code*; *claims* is the status line's."""

    def fail(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
        if kind == "anthropic":
            own = "billing_error" if word == "insufficient_quota" else word
            body = wire.anthropic_error(own or "api_error", f"{KNOWN}, {code}")
        else:
            body = wire.openai_error(word or "server_error", f"{KNOWN}, {code}", word or None)
        said = (("Content-Type", "application/json"), *headers)
        return Response(claims or code, said, wire.encode(body))

    return fail


def _reset(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
    raise Disconnect


def _silent(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
    def body() -> Iterator[bytes]:
        yield b""
        up.closing.wait()

    return Response(200, (), body(), raw=True)


def _page(code: int) -> Failure:
    def fail(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
        text = b"<!DOCTYPE html><html><head><title>The page says so</title></head><body>x</body></html>"
        return Response(code, (("Content-Type", "text/html"),), text)

    return fail


def _plain(body: bytes, content_type: str = "application/json", code: int = 200) -> Failure:
    return lambda up, kind, stream, request: Response(code, (("Content-Type", content_type),), body)


def _redirect(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
    return Response(307, (("Location", up.url(kind).replace("127.0.0.1", "localhost") + "/stolen"),))


def _short(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
    body = wire.encode(scripted.whole(kind, up.said))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return Response(200, (), head.encode() + body[:-9], raw=True)


def _half(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
    body = wire.encode(scripted.whole(kind, up.said))
    return Response(200, (("Content-Type", "application/json"),), body[: len(body) // 2])


def _broken_chunks(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return Response(200, (), head + b'5\r\n{"id"\r\nZZZ\r\n: 1}\r\n0\r\n\r\n', raw=True)


def _quota_inside(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
    """An empty account that is told with status 200, as MiniMax does."""
    body = {"base_resp": {"status_code": 1008, "status_msg": f"{KNOWN}: insufficient balance"}}
    return Response(200, (("Content-Type", "application/json"),), wire.encode(body))


def _failed_with_figures(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
    """The same, with numbers of tokens, which otherwise tell an answer from an error."""
    body = scripted.whole(kind, up.said)
    if kind == "responses":
        body |= {"status": "failed", "output": [], "error": {"code": "insufficient_quota", "message": KNOWN}}
    else:
        base = {"status_code": 1008, "status_msg": f"{KNOWN}: insufficient balance"}
        body |= {"choices": None, "content": None, "base_resp": base}
    return Response(200, (("Content-Type", "application/json"),), wire.encode(body))


# Failures of a stream.

Events = Callable[["Upstream", str, list[bytes]], Iterator[bytes]]


def _stream(make: Events) -> Failure:
    def fail(up: Upstream, kind: str, stream: bool, request: Request) -> Response:
        assert stream
        return Response(200, (("Content-Type", "text/event-stream"),), make(up, kind, scripted.events(kind, up.said)))

    return fail


def text_at(events: list[bytes]) -> int:
    """Return the place of the first event that holds a piece of the text."""
    return next(n for n, event in enumerate(events) if b"I am" in event)


def _nothing(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    yield b""
    raise Disconnect


def _hang(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    yield b""
    up.closing.wait()


def _comments(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    while not up.closing.wait(0.05):
        yield b": I am thinking\n\n"


def _error_event(kind: str) -> bytes:
    if kind == "anthropic":
        return b"event: error\ndata: " + wire.encode(wire.anthropic_error("overloaded_error", KNOWN)) + b"\n\n"
    if kind == "responses":
        failed = wire.responses_object("m", "", status="failed")
        failed["error"] = {"code": "server_error", "message": KNOWN}
        value = {"type": "response.failed", "response": failed, "sequence_number": 3}
        return b"event: response.failed\ndata: " + wire.encode(value) + b"\n\n"
    return b"data: " + wire.encode(wire.openai_error("server_error", KNOWN)) + b"\n\n"


def _error_first(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    yield _error_event(kind)


def _cut(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    yield from events[: text_at(events) + 1]
    raise Disconnect


def _cut_inside(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    place = text_at(events)
    yield from events[: place + 1]
    yield events[place + 1][: len(events[place + 1]) // 2]
    raise Disconnect


def _cut_character(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    place = text_at(events)
    yield b"".join(events[: place + 1]) + events[place + 1][:-30] + "é".encode()[:1]
    raise Disconnect


def _idle(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    yield from events[: text_at(events) + 1]
    up.closing.wait()


def _idle_inside(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    place = text_at(events)
    yield b"".join(events[: place + 1]) + events[place + 1][:20]
    up.closing.wait()


def _error_later(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    yield from events[: text_at(events) + 1]
    up.closing.wait(0.1)  # else both may come together, and nothing has gone out
    yield _error_event(kind)


def _endless(up: Upstream, kind: str, events: list[bytes]) -> Iterator[bytes]:
    yield from events[: text_at(events) + 2]


BEFORE: Mapping[str, Failure] = {
    "reset": _reset,
    "silent": _silent,
    "page-502": _page(502),
    "page-200": _page(200),
    "500": status(500),
    "503": status(503),
    "529": status(529, "overloaded_error"),
    "429": status(429, "rate_limit_error", (("Retry-After", "7"),)),
    "401": status(401, "authentication_error"),
    "402": status(402, "insufficient_quota"),
    "403": status(403, "permission_error"),
    "quota-inside-200": _quota_inside,
    "quota-with-figures": _failed_with_figures,
    "error-inside-200": status(500, claims=200),
    "redirect": _redirect,
    "empty-200": _plain(b""),
    "other-json": _plain(b'{"status": "healthy", "uptime": 1234}'),
    "other-text": _plain(b"all is well", "text/plain"),
    "short": _short,
    "half": _half,
    "broken-chunks": _broken_chunks,
}
"""The client has nothing yet: another upstream can take over."""

STREAM_BEFORE: Mapping[str, Failure] = {
    "no-event": _stream(_nothing),
    "hang-after-head": _stream(_hang),
    "comments-only": _stream(_comments),
    "error-first": _stream(_error_first),
    "empty-stream": _stream(lambda up, kind, events: iter(())),
}

STREAM_AFTER: Mapping[str, Failure] = {
    "cut": _stream(_cut),
    "cut-inside-event": _stream(_cut_inside),
    "cut-inside-character": _stream(_cut_character),
    "idle": _stream(_idle),
    "idle-inside-event": _stream(_idle_inside),
    "error-later": _stream(_error_later),
    "no-end": _stream(_endless),
}
"""A part of the answer has gone to the client."""

FAILURES: Mapping[str, Failure] = {**BEFORE, **STREAM_BEFORE, **STREAM_AFTER}


# A client that reads as bytes come.


class Streaming:
    """A request whose answer is read piece by piece; a context manager."""

    def __init__(self, url: str, path: str, body: Mapping[str, Any], key: str, timeout: float = waiting.LIMIT) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=timeout)
        headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
        self._connection.request("POST", path, json.dumps(body), headers)
        self.answer = self._connection.getresponse()
        self.read = b""

    def until(self, wanted: bytes, start: int = 0) -> bytes:
        """Read on until *wanted* has come behind the first *start* bytes, and return everything so far."""
        while wanted not in self.read[start:]:
            piece = self.answer.read1(65536)
            assert piece, f"the answer ended without {wanted!r}: {self.read[-500:]!r}"
            self.read += piece
        return self.read

    def rest(self) -> bytes:
        """Read to the end, and return everything."""
        while piece := self.answer.read1(65536):
            self.read += piece
        return self.read

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.answer.close()
        self._connection.close()
