"""The requests that a test sends: the address, headers and body of each.  Pure.

Headers are those of Claude Code 2.1.329 and Codex 0.169.0, as far as a provider may look at them.
"""

from __future__ import annotations

import json
from typing import Any, Mapping, NamedTuple, Optional, Sequence

from ccsetup import __version__
from ccsetup.model import KeyCheck, Secret, WireFormat
from ccsetup.probe.coding import available
from ccsetup.probe.network import CODINGS
from ccsetup.probe.target import Target

BETAS = (
    "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
    "prompt-caching-scope-2026-01-05,effort-2025-11-24"
)
VERSION = "2023-06-01"


class ProbeRequest(NamedTuple):
    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    """Hold the key."""
    body: bytes

    def __repr__(self) -> str:
        return f"ProbeRequest({self.method} {self.url})"


def inference_url(target: Target, wire: WireFormat) -> str:
    """Return where *target*'s client sends a request; with another *wire*, where that protocol would be."""
    base = target.base_url.rstrip("/")
    if wire == "anthropic":
        return f"{base}/v1/messages?beta=true"
    path = "/responses" if wire == "responses" else "/chat/completions"
    if target.wire == "anthropic":
        base += "/v1"
    return base + path + _query(target)


def models_url(target: Target) -> str:
    base = target.base_url.rstrip("/")
    return f"{base}/v1/models?limit=1000" if target.wire == "anthropic" else f"{base}/models{_query(target)}"


def inference(target: Target, wire: WireFormat, body: Mapping[str, Any]) -> ProbeRequest:
    """Return a POST of *body* as the client would send it."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    headers = [
        *_headers(target, "text/event-stream" if body.get("stream") and wire != "anthropic" else "application/json"),
        ("content-type", "application/json"),
    ]
    return ProbeRequest("POST", inference_url(target, wire), tuple(headers), data)


def models(target: Target) -> ProbeRequest:
    return ProbeRequest("GET", models_url(target), _headers(target, "application/json"), b"")


def key_check(target: Target, check: KeyCheck, key: Secret) -> ProbeRequest:
    """Return the preset's free request."""
    text = key.reveal()
    name, value = {
        "bearer": ("authorization", "Bearer " + text),
        "raw": ("authorization", text),
        "x-api-key": ("x-api-key", text),
    }[check.auth]
    headers = [("accept", "application/json"), _codings(target), ("user-agent", _agent(target))]
    if check.auth == "x-api-key":
        headers.append(("anthropic-version", VERSION))
    return ProbeRequest("GET", check.url, (*headers, (name, value)), b"")


def minimal(wire: WireFormat, model: str, text: str = "hi", *, max_tokens: int = 1) -> dict[str, Any]:
    """Return the smallest request; with an empty *model* it is refused before it costs anything."""
    if wire == "anthropic":
        return {
            "model": model,
            "max_tokens": max_tokens,
            "messages": [{"role": "user", "content": text}],
            "stream": True,
        }
    if wire == "responses":
        return {
            "model": model,
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}],
            "max_output_tokens": max(16, max_tokens),  # OpenAI takes no less
            "stream": True,
            "store": False,
        }
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens, "stream": True}


def _headers(target: Target, accept: str) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = [
        ("accept", accept),
        _codings(target),
        ("user-agent", _agent(target)),
    ]
    if target.wire == "anthropic":
        betas = ",".join(
            b
            for b in (
                BETAS if target.extra.get("betas", True) else "claude-code-20250219",
                target.extra.get("more_betas", ""),
            )
            if b
        )
        headers += [
            ("anthropic-version", VERSION),
            ("anthropic-beta", betas),
            ("anthropic-dangerous-direct-browser-access", "true"),
            ("x-app", "cli"),
        ]
    else:
        headers += [("originator", "codex_exec")]
    taken = {c.header for c in target.credentials}
    headers += [(n.lower(), v) for n, v in target.headers.items() if n.lower() not in taken]
    headers += [(c.header, c.value()) for c in target.credentials]
    return tuple(headers)


def _codings(target: Target) -> tuple[str, str]:
    """Ask for the compression that the client asks for, as far as it can be undone here."""
    asked = (c for c in target.network.reads if c in CODINGS and c != "x-gzip" and available(c))
    return "accept-encoding", ", ".join(asked) or "identity"


def _agent(target: Target) -> str:
    return f"{target.user_agent} ccsetup/{__version__}"


def _query(target: Target) -> str:
    if not target.query:
        return ""
    from urllib.parse import quote

    # %20, as Codex writes a space.
    return "?" + "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in target.query.items())


def total(parts: Sequence[str]) -> int:
    """Return a rough number of tokens in *parts*."""
    return sum(len(p) for p in parts) // 4 + 1


def price(target: Target, tokens_in: int, tokens_out: int) -> tuple[Optional[float], str]:
    """Return what so many tokens of the target's main model cost by the preset's prices, and the currency."""
    model = target.preset.model(target.models[0].id) if target.preset and target.models else None
    if model is None or model.price_in is None or model.price_out is None:
        return None, "USD"
    return (tokens_in * model.price_in + tokens_out * model.price_out) / 1e6, model.currency
