"""A model provider on 127.0.0.1: it answers the clients in their wire formats and keeps a record of every call.

    with Provider() as provider:
        provider.expect("/api/anthropic", key="sk-good", scheme="bearer")
        base_url = provider.url("/api/anthropic")    # what goes into the client's configuration
        ...                                          # run the client: its answer holds provider.reply
        provider.check("messages", prefix="/api/anthropic", key="sk-good", scheme="bearer", models={"glm-4.7"})

Failures are scenarios: functions from a Call to a Response (that answer) or None (not my call, go on),
put before the normal behaviour with ``provider.script(...)``.  ``loopback.py`` is the server, ``wire.py`` the bodies.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Iterable
from types import TracebackType
from typing import Any, Literal, NamedTuple, Optional, Self

from support import wire
from support.loopback import Disconnect, Request, Response, Server

__all__ = ["Call", "Disconnect", "Kind", "Provider", "Response", "Scenario", "Scheme", "error", "json_response"]

Kind = Literal["messages", "count_tokens", "responses", "chat", "models", "check", "probe", "unknown"]
"""``check``: a provider's own endpoint for keys and balances (``vendors.py``)."""
Scheme = Literal["bearer", "x-api-key", "any"]
"""``any``: either header or both, as long as every one of them holds the key."""

_ENDPOINTS: tuple[tuple[str, str, Kind], ...] = (
    ("POST", "/v1/messages/count_tokens", "count_tokens"),
    ("POST", "/v1/messages", "messages"),
    ("POST", "/responses", "responses"),
    ("POST", "/chat/completions", "chat"),
)
_ANTHROPIC: frozenset[Kind] = frozenset({"messages", "count_tokens"})
_numbers = itertools.count(1)


class Call(NamedTuple):
    """A request, and what it means to a provider."""

    request: Request
    kind: Kind
    prefix: str
    """The base URL's path: what stands before the endpoint.  For ``unknown`` and ``probe`` calls, the whole path."""
    status: int = 0
    """The status that it was answered with; 0 while the answer is being made, and after a Disconnect."""

    @property
    def method(self) -> str:
        return self.request.method

    @property
    def path(self) -> str:
        return self.request.path

    @property
    def headers(self) -> dict[str, str]:
        return self.request.headers

    @property
    def body(self) -> Any:
        return self.request.json

    @property
    def model(self) -> Optional[str]:
        body = self.body
        return body.get("model") if isinstance(body, dict) else None

    @property
    def anthropic(self) -> bool:
        """It speaks Anthropic's dialect (``GET /v1/models`` exists in both)."""
        return self.kind in _ANTHROPIC or "anthropic-version" in self.headers

    @property
    def credentials(self) -> list[tuple[str, str]]:
        """Every header that may carry a key, as (lower-case name, value)."""
        carriers = ("authorization", "x-api-key", "api-key", "x-goog-api-key", "proxy-authorization")
        return [(n.lower(), v) for n, v in self.request.header_list if n.lower() in carriers]

    @property
    def prompt(self) -> str:
        """All text of the conversation, for assertions on what the user said."""
        body = self.body if isinstance(self.body, dict) else {}
        return "\n".join(_texts(body.get("messages", body.get("input", []))))


Scenario = Callable[[Call], Optional[Response]]


class Provider:
    """A context manager; attributes may be changed at any time, also between two calls.

    Without expectations every path prefix works and any key is good.  From the first ``expect`` on, only the
    expected prefixes exist (anything else is 404), and each wants exactly its key in exactly its header.
    """

    def __init__(self, *, models: Collection[str] = ("glm-4.7", "glm-4.5-air")) -> None:
        number = next(_numbers)
        self.reply = f"pong-{number}"
        """The text of every answer; another one for each provider, so that an answer proves who gave it."""
        self.models = list(models)
        """What GET models lists.  Other model ids are answered all the same: write a scenario to refuse them."""
        self.calls: list[Call] = []
        """Every call in the order of its arrival."""
        self._expected: dict[str, tuple[str, Scheme]] = {}
        self._scenarios: list[Scenario] = []
        self._lock = threading.Lock()
        self._server = Server(self._answer)
        self.closing = self._server.closing
        """Set when the provider stops; slow bodies wait on it."""

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def url(self, prefix: str = "") -> str:
        """Return the base URL with path *prefix* (``""`` or ``/api/anthropic``)."""
        return self._server.origin + prefix

    def expect(self, prefix: str, *, key: str, scheme: Scheme) -> None:
        """Let *prefix* exist, and want *key* there; a second call for the same prefix changes the key."""
        self._expected[prefix.rstrip("/")] = (key, scheme)

    def script(self, *scenarios: Scenario) -> None:
        """Ask *scenarios*, in this order, before those given earlier and before the normal behaviour."""
        self._scenarios[:0] = scenarios

    def of(self, *kinds: Kind) -> list[Call]:
        """Return the calls of these kinds."""
        return [call for call in self.calls if call.kind in kinds]

    def clear(self) -> None:
        """Forget the calls so far."""
        with self._lock:
            self.calls.clear()

    def check(self, kind: Kind, *, prefix: str, key: str, scheme: Scheme, models: Collection[str]) -> list[Call]:
        """Assert that the record is what a well configured client leaves, and return its calls of *kind*.

        At least one call of *kind*; every call that carries a credential has exactly *key*, exactly as *scheme* says;
        all calls that name a model name one of *models*; nothing went to another prefix or to an unknown path.
        """
        main = self.of(kind)
        assert main, f"no {kind} call came; the record is: {self.summary()}"
        for call in self.calls:
            seen = f"{call.method} {call.request.target}"
            assert call.kind != "unknown", f"{seen} is no endpoint of a provider; the record is: {self.summary()}"
            if call.kind == "probe":
                assert not call.credentials, f"{seen} carries credentials: {call.credentials}"
                continue
            assert call.prefix == prefix.rstrip("/"), f"{seen} went to {call.prefix!r}, not to {prefix!r}"
            assert _accepts(call, key, scheme), f"{seen} carries {call.credentials}, not only {key!r} as {scheme}"
            assert call.model is None or call.model in models, f"{seen} names model {call.model!r}"
        return main

    def summary(self) -> list[str]:
        """Return the record, one line for each call, for messages."""
        return [f"{c.method} {c.request.target} {c.model} {c.credentials} -> {c.status}" for c in self.calls]

    def _answer(self, request: Request) -> Response:
        call = self._understand(request)
        with self._lock:
            place = len(self.calls)
            self.calls.append(call)
        answers = (scenario(call) for scenario in [*self._scenarios, self._refuse, self._behave])
        response = next(answer for answer in answers if answer is not None)
        with self._lock:
            if place < len(self.calls) and self.calls[place] is call:  # not cleared meanwhile
                self.calls[place] = call._replace(status=response.status)
        return response

    def _understand(self, request: Request) -> Call:
        path = request.path.rstrip("/")
        for method, ending, kind in _ENDPOINTS:
            if request.method == method and path.endswith(ending):
                return Call(request, kind, path.removesuffix(ending))
        if request.method == "GET" and path.endswith("/models"):
            ending = (
                "/v1/models" if "anthropic-version" in request.headers and path.endswith("/v1/models") else "/models"
            )
            return Call(request, "models", path.removesuffix(ending))
        if request.method == "HEAD" or (request.method == "GET" and path.endswith("/api/hello")):
            return Call(request, "probe", path)
        return Call(request, "unknown", path)

    def _refuse(self, call: Call) -> Optional[Response]:
        """Refuse what the expectations forbid."""
        if call.kind in ("probe", "unknown") or not self._expected:
            return None
        if call.prefix not in self._expected:
            return error(call, 404, f"no route {call.request.target}")
        key, scheme = self._expected[call.prefix]
        return None if _accepts(call, key, scheme) else error(call, 401, "token expired or incorrect")

    def _behave(self, call: Call) -> Response:
        """Answer as a provider in good health."""
        if call.kind == "probe":
            return Response(200)
        if call.kind == "unknown":
            return error(call, 404, f"no route {call.request.target}")
        if call.kind == "models":
            return json_response(
                wire.anthropic_models(self.models) if call.anthropic else wire.openai_models(self.models)
            )
        if not isinstance(call.body, dict) or not isinstance(call.model, str):
            return error(call, 400, "the body is not a JSON object with a model")
        body, model = call.body, call.model
        streamed = body.get("stream") is True
        if call.kind == "count_tokens":
            return json_response({"input_tokens": wire.INPUT_TOKENS})
        if call.kind == "messages":
            if streamed:
                return event_response(wire.anthropic_stream(model, self.reply))
            return json_response(wire.anthropic_message(model, self.reply))
        if call.kind == "responses":
            if streamed:
                return event_response(wire.responses_stream(model, self.reply))
            return json_response(wire.responses_object(model, self.reply))
        if streamed:
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return event_response(wire.chat_stream(model, self.reply, usage=usage))
        return json_response(wire.chat_completion(model, self.reply))


def json_response(value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """Return *value* as a JSON answer."""
    return Response(status, (("Content-Type", "application/json"), *headers), wire.encode(value))


def event_response(events: Iterable[bytes]) -> Response:
    """Return *events* as a stream of server-sent events, one chunk for each item."""
    return Response(200, (("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")), events)


_ERROR_TYPES = {
    400: ("invalid_request_error", "invalid_request_error"),
    401: ("authentication_error", "invalid_request_error"),
    402: ("billing_error", "insufficient_quota"),
    403: ("permission_error", "permission_error"),
    404: ("not_found_error", "invalid_request_error"),
    413: ("request_too_large", "invalid_request_error"),
    429: ("rate_limit_error", "rate_limit_error"),
    529: ("overloaded_error", "server_error"),
}


def error(call: Call, status: int, message: str, headers: Iterable[tuple[str, str]] = ()) -> Response:
    """Return an error in the shape of the dialect that *call* speaks."""
    anthropic_kind, openai_kind = _ERROR_TYPES.get(status, ("api_error", "server_error"))
    if call.anthropic:
        return json_response(wire.anthropic_error(anthropic_kind, message), status, headers)
    code = "invalid_api_key" if status == 401 else None
    return json_response(wire.openai_error(openai_kind, message, code), status, headers)


def _accepts(call: Call, key: str, scheme: Scheme) -> bool:
    bearer, plain = ("authorization", f"Bearer {key}"), ("x-api-key", key)
    if scheme == "any":
        return bool(call.credentials) and all(credential in (bearer, plain) for credential in call.credentials)
    return call.credentials == [bearer if scheme == "bearer" else plain]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, dict):
        return _texts(value.get("content", value.get("text", [])))
    return []
