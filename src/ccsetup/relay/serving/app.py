"""What the relay answers to which path: who may ask, what goes to an exchange, and what is not about inference."""

from __future__ import annotations

import hmac
import os
import secrets
from typing import Any

from ccsetup import __version__
from ccsetup.clients.claude import picker
from ccsetup.model import WireFormat
from ccsetup.relay.http.inbound import BodyTooLarge, Gone, Inbound, Malformed
from ccsetup.relay.reporting import metrics
from ccsetup.relay.routing import routes
from ccsetup.relay.serving.apart import apart
from ccsetup.relay.serving.callers import Caller, body_of
from ccsetup.relay.serving.exchange import Exchange
from ccsetup.relay.serving.failures import invalid, unreadable
from ccsetup.relay.serving.relay import Relay
from ccsetup.relay.wire import codec, tokens
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import BadRequest, WireError

INFERENCE: dict[str, WireFormat] = {
    "/v1/messages": "anthropic",
    "/api/v1/messages": "anthropic",
    "/v1/responses": "responses",
    "/responses": "responses",
    "/openai/responses": "responses",
    "/openai/v1/responses": "responses",
    "/v1/chat/completions": "chat",
    "/chat/completions": "chat",
    "/openai/chat/completions": "chat",
    "/openai/v1/chat/completions": "chat",
}
INFERENCE.update({f"{path}/compact": wire for path, wire in INFERENCE.items() if wire == "responses"})
"""Path and format.  Claude Code appends to a base URL with or without ``/api``; Codex' base URL ends with any of the
others' beginnings."""

_COUNTS = ("/v1/messages/count_tokens", "/api/v1/messages/count_tokens")
_MODELS = ("/v1/models", "/api/v1/models", "/models", "/openai/models", "/openai/v1/models")
_HELLO = ("/", "/api", "/api/hello", "/api/api/hello")
"""What Claude Code asks before its first request (HEAD /, HEAD /api/hello; observed with 2.1.197 and 2.1.329)."""
CONTROL = "/_relay/"

_JSON = ((b"content-type", b"application/json"),)
_HTTP = [(b"upgrade", b"HTTP/1.1")]


class App:
    """Answers every request that reaches the server."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._prefix = secrets.token_hex(8)
        self._count = 0

    async def serve(self, inbound: Inbound) -> None:
        """Answer a request.  Raises nothing but CancelledError, when the server ends it."""
        wire = INFERENCE.get(inbound.path)
        if wire is None:
            await self._other(inbound)
            return
        caller = self._caller(inbound)
        refusal = caller.refusal or (None if inbound.method == "POST" else _method(inbound))
        if refusal is None:
            refusal = caller.late(self._relay.clock())
        if refusal is None and len(self._relay.running) >= self._relay.runtime.config.limits.requests:
            refusal = WireError("overloaded", "The relay serves as many requests as it may at a time.", 503, "1")
        self._count += 1
        exchange = Exchange(self._relay, wire, inbound, caller, f"{self._prefix}{self._count:016x}")
        if refusal is not None:
            exchange.refuse(refusal, b"", _HTTP if refusal.status == 426 else None)
            self._relay.metrics.refused(wire, refusal.status)
            return
        await exchange.run()

    async def _other(self, inbound: Inbound) -> None:
        try:
            await self._answer(inbound)
        except Gone:
            pass
        except Exception as error:
            self._relay.log.bug(error)
            _json(inbound, 500, {"error": {"message": "This is a bug of the relay; its log says where."}})

    async def _answer(self, inbound: Inbound) -> None:
        method, path = inbound.method, inbound.path
        caller = self._caller(inbound)
        if caller.stranger is not None:
            _json(inbound, caller.stranger.status, {"error": {"message": caller.stranger.message}})
        elif path == "/healthz":
            _json(inbound, 200, {"status": "ok"})
        elif path == "/readyz":
            self._readyz(inbound)
        elif path.startswith(CONTROL):
            await self._control(inbound)
        elif method in ("HEAD", "GET") and path in _HELLO:
            _json(inbound, 200, {"name": "ccsetup relay"})
        else:
            refusal = caller.refusal or caller.late(self._relay.clock())
            if refusal is not None:
                wire: WireFormat = "anthropic" if path in _COUNTS else "chat"
                _error(inbound, wire, refusal)
            elif path in _COUNTS and method == "POST":
                await self._count_tokens(inbound, caller)
            elif path in _MODELS and method in ("GET", "HEAD"):
                _json(inbound, 200, self._models(caller))
            elif path == "/metrics" and method == "GET":
                inbound.answer(200, [(b"content-type", metrics.CONTENT_TYPE.encode())], self._metrics())
            elif method == "HEAD":
                _json(inbound, 200, {})
            else:
                _error(inbound, "chat", WireError("not_found", f"The relay has no {method} {path[:200]}.", 404))

    # Who may ask.

    def _caller(self, inbound: Inbound) -> Caller:
        """Return what the headers of a request say; a connection mostly sends the same ones again."""
        connection = inbound.connection
        known = connection.memo
        if (
            isinstance(known, Caller)
            and known.headers == inbound.headers
            and known.runtime is self._relay.runtime
            and known.access is self._relay.access
        ):
            return known
        caller = connection.memo = Caller(inbound.headers, self._relay.runtime, self._relay.access, self._relay.hosts)
        return caller

    # What is not inference.

    def _readyz(self, inbound: Inbound) -> None:
        available = sum(status.available for status in self._relay.pool.status(self._relay.clock()))
        ok = self._relay.ready and available > 0
        _json(
            inbound,
            200 if ok else 503,
            {"status": "ok" if ok else "not ready", "upstreams": available, "store": dict(self._relay.store.health())},
        )

    async def _count_tokens(self, inbound: Inbound, caller: Caller) -> None:
        """Answer with an estimate: few providers have the endpoint, and Claude Code steers compaction by it."""
        try:
            body = await body_of(inbound, caller.coding)
            found = await apart(len(body), lambda: tokens.estimate(FORMATS["anthropic"].read_request(body)))
        except BadRequest as bad:
            _error(inbound, "anthropic", invalid(bad))
        except (BodyTooLarge, Malformed) as error:
            _error(inbound, "anthropic", unreadable(error))
        else:
            _json(inbound, 200, {"input_tokens": found})

    def _models(self, caller: Caller) -> dict[str, Any]:
        """Return the models that can be asked for, in the shapes of both OpenAI and Anthropic.

        Claude Code, which looks for the rows of its picker, gets the ids that it shows.
        """
        among, allowed = self._relay.runtime.config.upstreams, caller.allowed
        upstreams = [u for u in among if allowed is None or u.name in allowed]
        data = []
        for name, route in routes.listing(upstreams).items():
            owner, window = route.upstream.name, route.upstream.context.get(route.model, 0)
            said = f"{owner}, {window:,} tokens" if window else owner
            sizes = {"context_window": window, "max_input_tokens": window} if window else {}
            data.append(
                {
                    "id": picker.listed(name, window) if caller.claude_code else name,
                    "object": "model",
                    "type": "model",
                    "display_name": name,
                    "description": said,
                    "created": 0,
                    "created_at": "1970-01-01T00:00:00Z",
                    "owned_by": owner,
                    **sizes,
                }
            )
        return {
            "object": "list",
            "data": data,
            "has_more": False,
            "first_id": data[0]["id"] if data else None,
            "last_id": data[-1]["id"] if data else None,
            # Codex with a key command asks for its own catalogue, and reads no other member.
            "models": [],
        }

    def _metrics(self) -> bytes:
        relay = self._relay
        now = relay.clock()
        gauges = {"running": float(len(relay.running)), "uptime_seconds": now - relay.started}
        return relay.metrics.render(gauges, relay.pool.status(now))

    # The operator's side.

    async def _control(self, inbound: Inbound) -> None:
        given = next((v for n, v in inbound.headers if n == b"authorization"), b"")
        if not hmac.compare_digest(given, b"Bearer " + self._relay.control.token.encode()):
            _json(inbound, 401, {"error": {"message": "This needs the control token of the relay."}})
            return
        action = inbound.path[len(CONTROL) :]
        method = inbound.method
        if action == "status" and method == "GET":
            _json(inbound, 200, self._status())
            return
        if method != "POST" or action not in ("reload", "reset", "stop", "log"):
            _json(inbound, 404, {"error": {"message": "There is no such control."}})
            return
        try:
            body = await inbound.body()
            given_value = codec.loads(body) if body else {}
            value: dict[str, Any] = given_value if isinstance(given_value, dict) else {}
        except (ValueError, BodyTooLarge, Malformed):
            value = {}
        if action == "reload":
            problem = await self._relay.control.reload() if self._relay.control.reload is not None else ""
            if problem:
                _json(inbound, 409, {"error": {"message": problem}})
            else:
                restart = {"restart": True} if self._relay.control.last_reload.get("restart") else {}
                _json(inbound, 200, {"ok": True, **restart})
        elif action == "reset":
            name = str(value.get("upstream", ""))
            if name and name not in {u.name for u in self._relay.runtime.config.upstreams}:
                _json(inbound, 404, {"error": {"message": f"There is no upstream '{name[:80]}'."}})
                return
            self._relay.pool.reset(name)
            self._relay.oddities.forget(name)
            _json(inbound, 200, {"ok": True})
        elif action == "log":
            seconds = value.get("seconds", 60)
            if not isinstance(seconds, (int, float)) or not 0 <= seconds <= 86400:
                _json(inbound, 400, {"error": {"message": "seconds is a number from 0 to 86400."}})
                return
            self._relay.watched[str(value.get("client", "*"))] = self._relay.clock() + seconds
            _json(inbound, 200, {"ok": True})
        else:
            _json(inbound, 200, {"ok": True})
            if self._relay.control.stop is not None:
                self._relay.control.stop()

    def _status(self) -> dict[str, Any]:
        now, board = self._relay.clock(), self._relay.pool.board
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": self._relay.started,
            **self._relay.control.about,
            "running": len(self._relay.running),
            "upstreams": [
                {**status._asdict(), **self._relay.metrics.told(status.name)} for status in self._relay.pool.status(now)
            ],
            "oddities": self._relay.oddities.told(now),
            "store": dict(self._relay.store.health()),
            "problems": list(self._relay.runtime.problems),
            "use": {
                **board._asdict(),
                "lost": routes.lost(self._relay.runtime.config.upstreams, board),
            },
            "last_reload": dict(self._relay.control.last_reload),
        }


def _method(inbound: Inbound) -> WireError:
    if any(name == b"sec-websocket-key" for name, _value in inbound.headers):  # Codex goes on with POST at once
        return WireError("invalid_request", "The relay speaks no WebSocket here; this path takes POST.", 426)
    return WireError("invalid_request", "This path takes POST.", 405)


def _error(inbound: Inbound, wire: WireFormat, error: WireError) -> None:
    status, body = FORMATS[wire].write_error(error)
    inbound.answer(status, _JSON, body)


def _json(inbound: Inbound, status: int, value: Any) -> None:
    inbound.answer(status, _JSON, codec.dumps(value))
