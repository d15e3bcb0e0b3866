"""claude-code-router's ``config.json`` (@musistudio/claude-code-router 1.0 to 2.0): providers and routes.

Its routes by model stay: ``default``, ``background`` (Claude Code's haiku tier) and ``provider,model`` as a model's
name.  Routes by content (think, longContext, webSearch, image) have no counterpart and become notes.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

from ccsetup.i18n import _
from ccsetup.model import WireFormat
from ccsetup.relay.config.importing.common import Imported, entries, number, read, table, text
from ccsetup.relay.config.model import Config, Timeouts, Upstream
from ccsetup.relay.config.rules import DEFAULT_RULES

_HAIKU = "claude-*haiku*"
_BY_CONTENT = ("think", "longContext", "webSearch", "image")
_GEMINI = "https://generativelanguage.googleapis.com/v1beta/openai"
_KNOWN = ("maxtoken", "Anthropic", "gemini", "deepseek", "openrouter", "groq", "tooluse", "reasoning", "cleancache")
"""Transformers whose work is done by translating, or that become a setting."""


def claude_code_router(data: bytes, name: str) -> tuple[Config, list[str]]:
    """Return the configuration in *data* and notes; DocumentError when it is none of this relay."""
    top = read(data, name, ("Providers", "providers", "Router"))
    router, draft = table(top.get("Router")), Imported()
    seconds = (number(top, "API_TIMEOUT_MS") or 0) / 1000
    timeouts = Timeouts(first_byte=seconds, total=max(seconds, Timeouts().total)) if seconds else Timeouts()
    proxy = text(top, "PROXY_URL")
    if proxy and not re.fullmatch(r"http://[A-Za-z0-9.\[\]:-]+", proxy):
        draft.note(_("PROXY_URL is not http://host:port: set HTTPS_PROXY where the relay runs."))
        proxy = ""
    by_provider: dict[str, Upstream] = {}
    for item in entries(top.get("Providers") or top.get("providers")):
        found = _provider(item, draft, timeouts, proxy)
        if found is not None:
            by_provider[text(item, "name")] = found
    draft.check(name)
    routes = {kind: _route(router.get(kind)) for kind in ("default", "background", *_BY_CONTENT)}
    upstreams = _routed(by_provider, routes, _fallbacks(top, router), draft)
    for kind in _BY_CONTENT:
        if routes[kind][0]:
            draft.note(
                _("The route '{route}' looks into requests; here the model's name decides. Ask for '{model}'.").format(
                    route=kind, model=",".join(routes[kind])
                )
            )
    if text(top, "APIKEY"):
        draft.note(_("APIKEY is not taken over: make a key for each client with ccsetup relay key add NAME."))
    for field in ("CUSTOM_ROUTER_PATH", "transformers", "plugins", "StatusLine"):
        if top.get(field):
            draft.note(_("Nothing corresponds to {settings}.").format(settings=field))
    return Config(tuple(upstreams), rules=DEFAULT_RULES), draft.notes


def _provider(item: Mapping[str, Any], draft: Imported, timeouts: Timeouts, proxy: str) -> Optional[Upstream]:
    said, url = text(item, "name"), text(item, "api_base_url")
    uses = _transformers(item, draft)
    wire: WireFormat = "chat"
    if "Anthropic" in uses or url.rstrip("/").endswith("/messages"):
        wire = "anthropic"
    elif "openai-responses" in uses or url.rstrip("/").endswith("/responses"):
        wire = "responses"
    elif url.startswith("https://generativelanguage.googleapis.com/") and "/openai" not in url:
        url = _GEMINI
        draft.note(_("'{name}' is asked at Google's address for Chat Completions.").format(name=said))
    models = item.get("models")
    own = [m for m in models if isinstance(m, str) and m and m.isprintable()] if isinstance(models, list) else []
    found = draft.add(
        said,
        "provider",
        wire,
        url,
        text(item, "api_key"),
        timeouts=timeouts,
        proxy=proxy,
        models=(f"{said},*", *own),
        map=tuple((f"{said},{model}", model) for model in own),
        default_model=own[0] if own else "",
    )
    limit = int(number(uses.get("maxtoken", {}), "max_tokens") or 0)
    if found is not None and limit:
        one = found.dialect[wire]._replace(max_output=limit, said=frozenset(("max_output",)))
        found = found._replace(dialect={wire: one})
        draft.upstreams[-1] = found
    return found


def _transformers(item: Mapping[str, Any], draft: Imported) -> dict[str, Mapping[str, Any]]:
    """Return the provider's transformers with their options."""
    out: dict[str, Mapping[str, Any]] = {}
    body = table(item.get("transformer"))
    for use in body.get("use", []) if isinstance(body.get("use"), list) else []:
        if isinstance(use, str):
            out[use] = {}
        elif isinstance(use, list) and use and isinstance(use[0], str):
            out[use[0]] = table(use[1]) if len(use) > 1 else {}
    strange = [name for name in out if name not in _KNOWN]
    if strange or len(body) > 1:
        names = ", ".join(strange) or ", ".join(k for k in body if k != "use")
        draft.note(
            _("'{name}': the transformers {names} are not taken over; the relay translates by itself.").format(
                name=text(item, "name"), names=names
            )
        )
    return out


def _route(value: Any) -> tuple[str, str]:
    """Return provider and model of ``provider,model``."""
    if not isinstance(value, str):
        return "", ""
    provider, _comma, model = value.partition(",")
    return provider.strip(), model.strip()


def _fallbacks(top: Mapping[str, Any], router: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what the default route falls back to."""
    listed = table(top.get("fallback") or router.get("fallback")).get("default")
    return [_route(value) for value in listed] if isinstance(listed, list) else []


def _routed(
    by_provider: Mapping[str, Upstream],
    routes: Mapping[str, tuple[str, str]],
    fallbacks: list[tuple[str, str]],
    draft: Imported,
) -> list[Upstream]:
    """Return the upstreams in the order in which they are asked.

    First all that are for models of their own, by name, of which the background's also takes haiku models; then the
    default's, for everything; then its fallbacks, as backups of their own.
    """
    default, model = routes["default"]
    small, small_model = routes["background"]
    for provider in (default, small):
        if provider and provider not in by_provider:
            draft.note(_("The route to '{name}' leads nowhere.").format(name=provider))
    if default not in by_provider:
        default, model = next(iter(by_provider)), ""
    out: list[Upstream] = []
    for provider, one in by_provider.items():
        if provider and provider == small != default:
            haiku = (_HAIKU, small_model or one.default_model or "*")
            one = one._replace(models=(_HAIKU, *one.models), map=(*one.map, haiku))
        if provider != default:
            out.append(one)
    main = _for_all(by_provider[default], model)
    if small == default and small_model:
        main = main._replace(map=(*main.map, (_HAIKU, small_model)))
    out.append(main)
    for provider, wanted in fallbacks:
        if provider in by_provider and provider != default:
            one = _for_all(by_provider[provider], wanted)
            out.append(one._replace(name=f"{one.name[:50]}-fallback", group="backup"))
    return out


def _for_all(upstream: Upstream, model: str) -> Upstream:
    """Return *upstream* as one that takes every model, and makes *model* of those that it does not have."""
    own = tuple((name, name) for name in upstream.models[1:])
    return upstream._replace(models=(), default_model=model or upstream.default_model, map=(*upstream.map, *own))
