"""Providers on loopback that behave like the real ones, and fail like them.

    with Emulator() as e:                   # a plain provider: Messages below /api/anthropic, the rest below /api/v1
        e.claude_url, e.codex_url, e.key    # for the configuration
        e.play("rate-limited")              # a scenario by name (scenarios.py); e.play() is "good" again
        e.calls, e.leaks                    # the record

    with Emulator("glm", region="cn") as e: # a preset's provider: its paths, error shapes and key checks (vendors.py)
        e.preset_yaml                       # the shipped preset with each https://HOST replaced by that host's server

    with Internet() as net:                 # the providers of all presets under their real names
        net.env                             # HTTPS_PROXY and SSL_CERT_FILE for the program under test

Requests are judged in a provider's usual order: route, key, account, body, model.  A body without a model is 400,
after the key: requests that cost nothing can check a key.
"""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Self
from urllib.parse import urlsplit

import yaml
from support import tls, turns
from support.forward import Proxy, Refuse
from support.loopback import Request, Response, Server
from support.provider import Call, Provider, error, event_response, json_response
from support.scenarios import SCENARIOS, Scenario
from support.turns import Asked
from support.vendors import State, Vendor, key_of, vendor

__all__ = ["PRESETS", "SCENARIOS", "Emulator", "Internet", "Scenario", "Site"]

PRESETS = Path(__file__).resolve().parents[2] / "presets"
PLAIN_CLAUDE, PLAIN_CODEX = "/api/anthropic", "/api/v1"
PLAIN_MODELS = ("glm-5.3", "glm-5.3-flash")

_ANTHROPIC_LIMITS = (
    ("anthropic-ratelimit-requests-limit", "50"),
    ("anthropic-ratelimit-requests-remaining", "49"),
    ("anthropic-ratelimit-tokens-remaining", "39000"),
    ("request-id", "req_loopback"),
)
_OPENAI_LIMITS = (
    ("x-ratelimit-limit-requests", "60"),
    ("x-ratelimit-remaining-requests", "59"),
    ("x-ratelimit-remaining-tokens", "149000"),
    ("x-request-id", "req_loopback"),
)


class Routes:
    """Which path prefixes of a host speak what; without a prefix in a set, that protocol is not there."""

    def __init__(self) -> None:
        self.messages: set[str] = set()
        self.responses: set[str] = set()
        self.chat: set[str] = set()
        self.lists: set[str] = set()
        """Paths of model lists."""

    def serves(self, call: Call) -> bool:
        if call.kind in ("messages", "count_tokens"):
            return call.prefix in self.messages
        if call.kind == "responses":
            return call.prefix in self.responses
        if call.kind == "chat":
            return call.prefix in self.chat
        return call.kind == "models" and call.path.rstrip("/") in self.lists


class Site(Provider):
    """One host.  Its attributes may be changed at any time."""

    def __init__(self, owner: Emulator, host: str, kind: Vendor, routes: Routes, models: Iterable[str]) -> None:
        super().__init__(models=list(models))
        self.owner = owner
        self.host = host
        self.vendor = kind
        self.routes = routes
        self.key = key_of(kind, host)
        self.more_keys: dict[str, State] = {}
        self.state: State = "good"
        """What ``key`` is worth."""
        self.scenario: Scenario = SCENARIOS["good"]
        self.habits: set[str] = set()
        self.pace = 0.0
        """Seconds before each event of a stream but the first."""
        self.blind: set[str] = set()
        """Models that take no images."""

    def state_of(self, key: str) -> State:
        if self.vendor.open:
            return self.state
        if key == self.key:
            return self.state
        return self.more_keys.get(key, "bad")

    def speak(self, kind: str, model: str, text: str) -> list[bytes]:
        """Return the events of an answer in words."""
        return turns.events(kind, model, text, [], usage=True)

    def _understand(self, request: Request) -> Call:
        call = super()._understand(request)
        path = request.path.rstrip("/")
        if request.method == "GET" and path in self.vendor.checks:
            return Call(request, "check", path)
        return call

    def _refuse(self, call: Call) -> Optional[Response]:
        if self.scenario.before is not None:
            answer = self.scenario.before(self, call)
            if answer is not None:
                return answer
        if call.kind == "probe":
            return None
        if call.kind == "check":
            scheme = self.vendor.checks[call.prefix]
            key = _sent_key(call, raw=scheme == "raw", also_x_api_key=scheme != "raw")
            state: State = self.state_of(key)
            if state == "forbidden" and self.vendor.id != "xai":
                return self.vendor.forbidden(call)
            return self.vendor.check(call.prefix, state, key)
        if not self.routes.serves(call):
            if call.kind == "unknown" and call.method != "POST" and self._is_endpoint(call.path):
                return json_response({"detail": "Method Not Allowed"}, 405, [("Allow", "POST")])
            return error(call, 404, f"no route {call.method} {call.path}")
        if call.kind == "models" and call.path in self.vendor.public:
            return None
        state = self.state_of(_sent_key(call))
        return None if state == "good" else self._refuse_key(call, state)

    def _refuse_key(self, call: Call, state: State) -> Optional[Response]:
        if call.kind == "models" and state == "no-quota":
            return None  # lists cost nothing
        return self.vendor.refuse(call, state)

    def _is_endpoint(self, path: str) -> bool:
        asked = super()._understand(Request("POST", path, (), b""))
        return asked.kind != "unknown" and self.routes.serves(asked)

    def _behave(self, call: Call) -> Response:
        if call.kind == "models":
            return self._finish(call, self.vendor.list_models(call, self.models))
        if call.kind not in ("messages", "responses", "chat", "count_tokens"):
            return super()._behave(call)
        body = call.body
        if call.kind == "count_tokens":
            return super()._behave(call)
        wrong = turns.problem(call.kind, body)
        if wrong:
            return error(call, 400, wrong)
        asked = turns.read(call.kind, body)
        if call.model not in self.models:
            return self.vendor.bad_model(call, call.model or "")
        if asked.images and call.model in self.blind:
            return error(call, 400, f"{call.model} does not support image input")
        if self.scenario.check is not None:
            refusal = self.scenario.check(self, call, asked)
            if refusal is not None:
                return refusal
        return self._finish(call, self._answer_in_words_or_calls(call, asked))

    def _finish(self, call: Call, response: Response) -> Response:
        limits = _ANTHROPIC_LIMITS if call.anthropic else _OPENAI_LIMITS
        response = response._replace(headers=(*response.headers, *limits))
        return self.scenario.after(self, call, response) if self.scenario.after is not None else response

    def _answer_in_words_or_calls(self, call: Call, asked: Asked) -> Response:
        body, model = call.body, call.model or ""
        uses = turns.decide(asked)
        if "no-tools" in self.habits:
            uses = []
        if "serial-tools" in self.habits:
            uses = uses[:1]
        text = " ".join([self.reply, *asked.results])
        if body.get("stream") is True and "not-streaming" not in self.habits:
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            events = turns.events(call.kind, model, text, uses, usage=usage)
            return event_response(self._paced(events) if self.pace else events)
        return json_response(turns.whole(call.kind, model, text, uses))

    def _paced(self, events: list[bytes]) -> Iterator[bytes]:
        for number, each in enumerate(events):
            if number and self.closing.wait(self.pace):
                return
            yield each


def _sent_key(call: Call, *, raw: bool = False, also_x_api_key: bool = True) -> str:
    """Return the key that came; "" without one, and when two different ones came."""
    found = set()
    for name, value in call.credentials:
        if name == "authorization":
            if raw:
                found.add(value)
            elif value.lower().startswith("bearer "):
                found.add(value[7:].strip())
            else:
                found.add("")
        elif also_x_api_key:
            found.add(value)
    return found.pop() if len(found) == 1 else ""


class Emulator:
    """The hosts of one preset's provider, or of a plain provider; a context manager."""

    def __init__(self, preset: str = "", region: str = "", *, vision: bool = True) -> None:
        self.preset = preset
        self.sites: dict[str, Site] = {}
        """By host name; a plain provider has one, called ``""``."""
        self.env: dict[str, str] = {}
        """Variables that the program under test needs in the scenario that is played."""
        self.proxies: list[Proxy] = []
        self.offered_key = ""
        self.playing = "good"
        self._text = ""
        self._bases: dict[str, Optional[str]] = {"claude": None, "codex": None}
        self._stack = contextlib.ExitStack()
        self._scene = contextlib.ExitStack()
        if preset:
            self._build_preset(region)
        else:
            routes = Routes()
            routes.messages = {PLAIN_CLAUDE}
            routes.responses = routes.chat = {PLAIN_CODEX}
            routes.lists = {f"{PLAIN_CLAUDE}/v1/models", f"{PLAIN_CODEX}/models"}
            site = Site(self, "", vendor(""), routes, PLAIN_MODELS)
            site.blind = set() if vision else set(PLAIN_MODELS)
            self.sites[""] = site
            self._bases = {"claude": PLAIN_CLAUDE, "codex": PLAIN_CODEX}
        self._elsewhere = Provider()
        self.origin = ""
        """Scheme, host and port under which the configuration is to name the (first) host; scenarios move it."""

    def _build_preset(self, region: str) -> None:
        self._text = (PRESETS / f"{self.preset}.yaml").read_text("utf-8")
        document = yaml.safe_load(self._text)
        kind = vendor(self.preset)
        ids, blind = _model_ids(document)
        routes: dict[str, Routes] = {}

        def at(url: str) -> tuple[Routes, str]:
            parts = urlsplit(url)
            return routes.setdefault(parts.netloc, Routes()), parts.path.rstrip("/")

        for each in document["regions"]:
            claude, codex = each.get("claude-code") or {}, each.get("codex") or {}
            if claude.get("base_url"):
                found, path = at(claude["base_url"])
                found.messages.add(path)
            if codex.get("base_url"):
                found, path = at(codex["base_url"])
                found.chat.add(path)
                found.lists.add(f"{path}/models")
                if codex.get("wire", "responses") == "responses":
                    found.responses.add(path)
            if each.get("chat_url"):
                found, path = at(each["chat_url"])
                found.chat.add(path)
                found.lists.add(f"{path}/models")
            for check in each.get("verify") or []:
                found, path = at(check["get"])
                if path not in kind.checks:
                    found.lists.add(path)
            if each["id"] == region or (not region and each is document["regions"][0]):
                self._bases = {"claude": claude.get("base_url"), "codex": codex.get("base_url")}
        for host, found in routes.items():
            self.sites[host] = Site(self, host, kind, found, ids)
            self.sites[host].blind = blind

    # Addresses

    @property
    def claude_site(self) -> Site:
        return self._site_of("claude")

    @property
    def codex_site(self) -> Site:
        return self._site_of("codex")

    @property
    def claude_url(self) -> str:
        return self._url_of("claude")

    @property
    def codex_url(self) -> str:
        return self._url_of("codex")

    @property
    def key(self) -> str:
        """The key to configure: the good one, or the one that the scenario offers."""
        return self.offered_key or self.claude_site.key

    @property
    def models(self) -> list[str]:
        return self.claude_site.models

    @property
    def plain_origin(self) -> str:
        return self.claude_site.url()

    @property
    def elsewhere(self) -> Provider:
        """The host that redirects lead to; it would answer to any key."""
        return self._elsewhere

    @property
    def elsewhere_url(self) -> str:
        # By another name, so that nobody can take it for the same host.
        return self._elsewhere.url().replace("127.0.0.1", "localhost")

    @property
    def preset_yaml(self) -> str:
        """The shipped preset, with every host replaced by its server here."""
        text = self._text
        for host, site in self.sites.items():
            for scheme in ("https", "http"):
                text = text.replace(f"{scheme}://{host}", site.url())
        return text

    def site(self, host: str) -> Site:
        return self.sites[host]

    def _site_of(self, client: str) -> Site:
        base = self._bases[client] or self._bases["codex" if client == "claude" else "claude"] or ""
        return self.sites[urlsplit(base).netloc]

    def _url_of(self, client: str) -> str:
        base = self._bases[client]
        assert base is not None, f"{self.preset} has no endpoint for {client}"
        site = self._site_of(client)
        origin = self.origin if site is self.claude_site else site.url()
        return origin + (urlsplit(base).path if self.preset else base)

    # The record

    @property
    def calls(self) -> list[Call]:
        return [call for site in self.sites.values() for call in site.calls]

    @property
    def leaks(self) -> list[str]:
        """Where one of the keys was sent that must not have it: another host, the proxy, a URL, another site."""
        keys = {site.key for site in self.sites.values()} | {self.offered_key}
        keys.discard("")
        found = []
        for call in self._elsewhere.calls:
            if _holds(call, keys):
                found.append(f"{call.method} {call.request.target} at the host of a redirect")
        for proxy in self.proxies:
            for hop in proxy.hops:
                if hop.method == "CONNECT" and any(key.encode() in hop.head for key in keys):
                    found.append(f"CONNECT {hop.target}")
        for site in self.sites.values():
            for call in site.calls:
                if any(key in call.request.target for key in keys):
                    found.append(f"{call.method} {call.request.target}: in the URL")
                if site not in (self.claude_site, self.codex_site) and _holds(call, keys):
                    found.append(f"{call.method} {call.request.target} at {site.host}")
        return found

    def clear(self) -> None:
        """Forget the calls so far."""
        for provider in (*self.sites.values(), self._elsewhere):
            provider.clear()

    # Scenarios

    def play(self, name: str = "good") -> Self:
        """Play the scenario called *name*, and nothing of what was played before."""
        scenario = SCENARIOS[name]
        self._scene.close()
        self._scene = contextlib.ExitStack()
        self.env, self.proxies, self.offered_key, self.playing = {}, [], "", name
        self.origin = self.plain_origin
        for site in self.sites.values():
            site.state, site.scenario = "good", scenario
            site.habits.clear()
            site.models = [model.removesuffix("-next") for model in site.models]
        if scenario.arrange is not None:
            scenario.arrange(self)
        return self

    def serve(self, context: Optional[ssl.SSLContext]) -> str:
        """Serve the first host on another port as well, with TLS when there is a *context*; return its origin."""
        server = Server(self.claude_site._answer, context)
        self.enter(server)
        return server.origin

    def trust(self, ca: str) -> None:
        """Let the program under test trust the authority called *ca*."""
        folder = self._scene.enter_context(tempfile.TemporaryDirectory(prefix="ccsetup-ca-"))
        path = str(tls.authority_file(Path(folder), ca))
        # The second is for Claude Code.
        self.env |= {"SSL_CERT_FILE": path, "NODE_EXTRA_CA_CERTS": path}

    def use_proxy(self, url: str) -> None:
        """Let the program under test use the proxy at *url*."""
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            self.env |= {name: url, name.lower(): url}
        self.env |= {"NO_PROXY": "", "no_proxy": ""}

    def enter(self, resource: contextlib.AbstractContextManager[Any]) -> None:
        """Keep *resource* until the next scenario."""
        self._scene.enter_context(resource)

    def keep(self, close: Callable[[], object]) -> None:
        """Call *close* at the next scenario."""
        self._scene.callback(close)

    def discard(self) -> None:
        """Free the ports of an emulator that was never entered."""
        for provider in (self._elsewhere, *self.sites.values()):
            provider._server.discard()

    def __enter__(self) -> Self:
        for provider in (self._elsewhere, *self.sites.values()):
            self._stack.enter_context(provider)
        return self.play()

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for site in self.sites.values():
            site.closing.set()
        self._scene.__exit__(kind, error, trace)
        self._stack.__exit__(kind, error, trace)


class Internet:
    """The hosts of every preset behind one proxy, under their real names and with certificates for them."""

    def __init__(self) -> None:
        self.emulators = {
            path.stem: Emulator(path.stem)
            for path in sorted(PRESETS.glob("*.yaml"))
            if path.stem != "custom" and "https://" in path.read_text("utf-8")
        }
        self.sites: dict[str, Site] = {
            host: site for emulator in self.emulators.values() for host, site in emulator.sites.items()
        }
        self.proxy = Proxy(self._route)
        self._server = Server(self._answer, tls.named_context("internet"))
        self._stack = contextlib.ExitStack()
        self.env: dict[str, str] = {}

    def site(self, host: str) -> Site:
        return self.sites[host]

    def emulator(self, preset: str) -> Emulator:
        return self.emulators[preset]

    def _route(self, host: str, port: int) -> tuple[str, int] | Refuse:
        return ("127.0.0.1", self._server.port) if host in self.sites and port == 443 else Refuse("502 Bad Gateway")

    def _answer(self, request: Request) -> Response:
        site = self.sites.get(request.headers.get("host", "").removesuffix(":443"))
        return site._answer(request) if site else json_response({"detail": "Misdirected Request"}, 421)

    def __enter__(self) -> Self:
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="ccsetup-ca-"))
        ca = str(tls.authority_file(Path(folder), "internet"))
        self._stack.enter_context(self.proxy)
        self._stack.enter_context(self._server)
        for emulator in self.emulators.values():
            emulator.origin = ""
        self.env = {
            "HTTPS_PROXY": self.proxy.url,
            "https_proxy": self.proxy.url,
            "SSL_CERT_FILE": ca,
            "NODE_EXTRA_CA_CERTS": ca,
        }
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for site in self.sites.values():
            site.closing.set()
        self._stack.__exit__(kind, error, trace)
        for emulator in self.emulators.values():
            emulator.discard()


def _holds(call: Call, keys: set[str]) -> bool:
    text = "\n".join(value for _, value in call.request.header_list) + call.request.target
    return any(key in text or key.encode() in call.request.body for key in keys)


def _model_ids(document: dict[str, Any]) -> tuple[list[str], set[str]]:
    """Return the models that a preset names, and those of them that take no images."""
    ids: dict[str, None] = {}
    for model in document.get("models") or []:
        ids[model["id"]] = None
    for region in document["regions"]:
        for model in ((region.get("claude-code") or {}).get("models") or {}).values():
            ids[model] = None
        if (region.get("codex") or {}).get("model"):
            ids[region["codex"]["model"]] = None
    blind = {model["id"] for model in document.get("models") or [] if model.get("vision") is False}
    return list(ids) or ["local-model"], blind
