"""What the relay answers to which path: who may ask, what goes to an exchange, and what is not about inference."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import time
from typing import Any, Awaitable, Callable, Mapping, Optional

from ccsetup import __version__
from ccsetup.model import WireFormat
from ccsetup.relay.config import access as accessing
from ccsetup.relay.config import prices
from ccsetup.relay.config.access import Access, ClientKey
from ccsetup.relay.http.base import Answer, Http, UpstreamError
from ccsetup.relay.http.server import Gone, Inbound, Malformed, TooLarge
from ccsetup.relay.log import Log
from ccsetup.relay.reporting.metrics import CONTENT_TYPE as METRICS_TYPE
from ccsetup.relay.reporting.metrics import Metrics
from ccsetup.relay.routing.failover import Choice, Pool
from ccsetup.relay.serving.callers import Caller
from ccsetup.relay.serving.exchange import Exchange, unreadable
from ccsetup.relay.serving.runtime import Runtime
from ccsetup.relay.store import Store, UsageRow
from ccsetup.relay.wire import codec, tokens
from ccsetup.relay.wire.formats import FORMATS
from ccsetup.relay.wire.messages import BadRequest, Usage, WireError

INFERENCE: Mapping[str, WireFormat] = {
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
"""Path and format.  Claude Code appends to a base URL with or without ``/api``; Codex' base URL ends with any of the
others' beginnings."""

_COUNTS = ("/v1/messages/count_tokens", "/api/v1/messages/count_tokens")
_MODELS = ("/v1/models", "/api/v1/models", "/models", "/openai/models", "/openai/v1/models")
_HELLO = ("/", "/api", "/api/hello", "/api/api/hello")
"""What Claude Code asks before its first request (HEAD /, HEAD /api/hello; observed with 2.1.197 and 2.1.329)."""
CONTROL = "/_relay/"

LINGER = 1.0
"""Seconds for the end of an answer after its last event."""
_JSON = ((b"content-type", b"application/json"),)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Control:
    """What the operator can do with a running relay; the server fills it in."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self.reload: Optional[Callable[[], Awaitable[str]]] = None
        """Return "" or what is wrong."""
        self.stop: Optional[Callable[[], None]] = None
        self.about: Mapping[str, Any] = {}
        """For the status: url, config path."""
        self.last_reload: Mapping[str, Any] = {}


class Relay:
    """The state that all requests share, and the application."""

    def __init__(
        self,
        runtime: Runtime,
        access: Access,
        pool: Pool,
        http: Http,
        store: Store,
        log: Log,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.runtime = runtime
        self.access = access
        self.pool = pool
        self.http = http
        self.store = store
        self.log = log
        self.loop = loop
        self.metrics = Metrics()
        self.control = Control()
        self.running: set[Exchange] = set()
        self.watched: dict[str, float] = {}
        """Clients, ``*`` for all, whose contents are logged, and until when."""
        self.ready = True
        self.started = time.time()
        self._lingering: set[asyncio.Task[None]] = set()
        self._prefix = secrets.token_hex(8)
        self._count = 0
        self._hosts = _hosts(runtime)

    def use(self, runtime: Runtime, access: Access) -> None:
        """Take a new configuration for the requests to come; those that run keep theirs."""
        self.runtime = runtime
        self.access = access
        self.pool.replace(runtime.config, missing=runtime.missing)
        self.log.hide((*runtime.secrets, self.control.token))
        self._hosts = _hosts(runtime)

    async def serve(self, inbound: Inbound) -> None:
        """Answer a request.  Raises nothing but CancelledError, when the server ends it."""
        wire = INFERENCE.get(inbound.path)
        if wire is None:
            await self._other(inbound)
            return
        caller = self._caller(inbound)
        refusal = caller.refusal or (None if inbound.method == "POST" else _method())
        if refusal is None:
            refusal = caller.late()
        if refusal is None and len(self.running) >= self.runtime.config.limits.requests:
            refusal = WireError("overloaded", "The relay serves as many requests as it may at a time.", 503, "1")
        self._count += 1
        exchange = Exchange(self, wire, inbound, caller, f"{self._prefix}{self._count:016x}")
        if refusal is not None:
            exchange.refuse(refusal)
            self.metrics.refused(wire, refusal.status)
            return
        await exchange.run()

    async def _other(self, inbound: Inbound) -> None:
        try:
            await self._answer(inbound)
        except Gone:
            pass
        except Exception as error:
            self.log.bug(error)
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
            refusal = caller.refusal or caller.late()
            if refusal is not None:
                wire: WireFormat = "anthropic" if path in _COUNTS else "chat"
                _error(inbound, wire, refusal)
            elif path in _COUNTS and method == "POST":
                await self._count_tokens(inbound)
            elif path in _MODELS and method in ("GET", "HEAD"):
                _json(inbound, 200, self._models(caller.client))
            elif path == "/metrics" and method == "GET":
                inbound.answer(200, [(b"content-type", METRICS_TYPE.encode())], self._metrics())
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
            and known.runtime is self.runtime
            and known.access is self.access
        ):
            return known
        caller = connection.memo = Caller(inbound.headers, self.runtime, self.access, self._hosts)
        return caller

    def budget_refusal(self, client: ClientKey) -> Optional[WireError]:
        now = time.time()
        return accessing.refusal(client, self.store.spent(client.name, now), now)

    def is_watched(self, client: str) -> bool:
        return max(self.watched.get(client, 0.0), self.watched.get("*", 0.0)) > time.time()

    def linger(self, answer: Answer) -> None:
        """Read what is left of an answer whose last event has come, so that its connection can be used again."""
        task = self.loop.create_task(_read_out(answer))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    # Notes of exchanges.

    def cost(self, choice: Choice, usage: Usage) -> Optional[tuple[float, str]]:
        return prices.cost(choice.upstream, choice.model, usage)

    def note(self, row: UsageRow) -> None:
        self.store.record(row)
        self.metrics.observe(row)
        # Those that went well are in the usage figures; a line for each would cost as much as half the rest.
        failed = row.status >= 400 or row.error != ""
        if failed or self.log.verbose:
            self.log.add(
                "info" if failed else "debug",
                "request",
                id=row.id,
                client=row.client,
                upstream=row.upstream,
                wire=row.wire_in if row.wire_in == row.wire_out else f"{row.wire_in}>{row.wire_out}",
                model=row.model,
                served=row.served,
                status=row.status,
                error=row.error,
                attempts=row.attempts,
                tokens_in=row.input + row.cache_read + row.cache_write,
                tokens_out=row.output,
                first_ms=None if row.first_ms is None else round(row.first_ms, 1),
                total_ms=round(row.total_ms, 1),
            )

    # What is not inference.

    def _readyz(self, inbound: Inbound) -> None:
        available = sum(status.available for status in self.pool.status(time.time()))
        ok = self.ready and available > 0
        _json(
            inbound,
            200 if ok else 503,
            {"status": "ok" if ok else "not ready", "upstreams": available, "store": dict(self.store.health())},
        )

    async def _count_tokens(self, inbound: Inbound) -> None:
        """Answer with an estimate: few providers have the endpoint, and Claude Code steers compaction by it."""
        try:
            conversation = FORMATS["anthropic"].read_request(await inbound.body())
        except BadRequest as bad:
            _error(inbound, "anthropic", WireError("invalid_request", bad.message, 400, param=bad.param))
        except (TooLarge, Malformed) as error:
            _error(inbound, "anthropic", unreadable(error))
        else:
            _json(inbound, 200, {"input_tokens": tokens.estimate(conversation)})

    def _models(self, client: Optional[ClientKey]) -> dict[str, Any]:
        """Return the names that can be asked for, in the shapes of both OpenAI and Anthropic."""
        allowed = set(client.upstreams) if client is not None and client.upstreams else None
        found: dict[str, str] = {}
        for upstream in self.runtime.config.upstreams:
            if not upstream.enabled or (allowed is not None and upstream.name not in allowed):
                continue
            names = [*upstream.models, *(pattern for pattern, _name in upstream.map), upstream.default_model]
            for name in names:
                if name and not any(c in name for c in "*?["):
                    found.setdefault(name, upstream.name)
        data = [
            {
                "id": name,
                "object": "model",
                "type": "model",
                "display_name": name,
                "created": 0,
                "created_at": "1970-01-01T00:00:00Z",
                "owned_by": owner,
            }
            for name, owner in found.items()
        ]
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
        now = time.time()
        gauges: dict[str, float] = {"running": float(len(self.running)), "uptime_seconds": now - self.started}
        return self.metrics.render(gauges, self.pool.status(now))

    # The operator's side.

    async def _control(self, inbound: Inbound) -> None:
        given = next((v for n, v in inbound.headers if n == b"authorization"), b"")
        if not hmac.compare_digest(given, b"Bearer " + self.control.token.encode()):
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
        except (ValueError, TooLarge, Malformed):
            value = {}
        if action == "reload":
            problem = await self.control.reload() if self.control.reload is not None else ""
            if problem:
                _json(inbound, 409, {"error": {"message": problem}})
            else:
                restart = {"restart": True} if self.control.last_reload.get("restart") else {}
                _json(inbound, 200, {"ok": True, **restart})
        elif action == "reset":
            name = str(value.get("upstream", ""))
            if name and name not in {u.name for u in self.runtime.config.upstreams}:
                _json(inbound, 404, {"error": {"message": f"There is no upstream '{name[:80]}'."}})
                return
            self.pool.reset(name)
            _json(inbound, 200, {"ok": True})
        elif action == "log":
            seconds = value.get("seconds", 60)
            if not isinstance(seconds, (int, float)) or not 0 <= seconds <= 86400:
                _json(inbound, 400, {"error": {"message": "seconds is a number from 0 to 86400."}})
                return
            self.watched[str(value.get("client", "*"))] = time.time() + seconds
            _json(inbound, 200, {"ok": True})
        else:
            _json(inbound, 200, {"ok": True})
            if self.control.stop is not None:
                self.control.stop()

    def _status(self) -> dict[str, Any]:
        now = time.time()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": self.started,
            **self.control.about,
            "running": len(self.running),
            "upstreams": [status._asdict() for status in self.pool.status(now)],
            "store": dict(self.store.health()),
            "problems": list(self.runtime.problems),
            "last_reload": dict(self.control.last_reload),
        }


async def _read_out(answer: Answer) -> None:
    try:
        async with asyncio.timeout(LINGER):
            while await answer.read():
                pass
    except (UpstreamError, TimeoutError):
        pass
    finally:
        answer.close()


def _hosts(runtime: Runtime) -> Optional[frozenset[str]]:
    """Return the names that a Host header may carry; None where every name is right."""
    listen = runtime.config.listen
    if listen.host in ("0.0.0.0", "::") and not listen.names:  # noqa: S104 - compared, not bound
        return None
    return frozenset(name.lower() for name in (*_LOOPBACK, listen.host, *listen.names))


def _method() -> WireError:
    return WireError("invalid_request", "This path takes POST.", 405)


def _error(inbound: Inbound, wire: WireFormat, error: WireError) -> None:
    status, body = FORMATS[wire].write_error(error)
    inbound.answer(status, _JSON, body)


def _json(inbound: Inbound, status: int, value: Any) -> None:
    inbound.answer(status, _JSON, codec.dumps(value))
