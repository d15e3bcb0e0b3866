"""Which models a provider has: one request with the key to the provider's own address, when the person asks for it."""

from __future__ import annotations

from typing import Any, Iterator, Optional

from ccsetup import urls
from ccsetup.cli.wizard.answers import Answers, own_url
from ccsetup.clients import CLIENTS
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import Model, Preset, Region, Secret

DEADLINE = 10.0
"""Seconds for the whole request."""
MAX_BYTES = 1 << 20
MOST = 500


def live(preset: Preset, region: Region, answers: Answers, key: Secret) -> list[Model]:
    """Return the models that the provider lists, in its order; CcsetupError when it does not answer usefully."""
    url, headers, path = _request(preset, region, answers, key)
    status, body = _get(url, headers)
    if status in (401, 403):
        raise CcsetupError(_("The provider refuses the key (HTTP {status}).").format(status=status))
    if status != 200:
        raise CcsetupError(_("The provider has no list of models there (HTTP {status}).").format(status=status))
    import json

    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise CcsetupError(_("The provider's list of models is not JSON.")) from None
    seen: dict[str, Model] = {}
    for model in _models(data, path):
        seen.setdefault(model.id, model)
        if len(seen) == MOST:
            break
    return list(seen.values())


def _request(preset: Preset, region: Region, answers: Answers, key: Secret) -> tuple[str, dict[str, str], str]:
    """Return address, headers, and the path to the ids in the answer."""
    text = key.reveal()
    if not any(own_url(answers, c) for c in CLIENTS):
        checks = [c for c in region.verify if c.models and (not c.prefixes or text.startswith(c.prefixes))]
        if checks:
            check = checks[0]
            names = {"x-api-key": "x-api-key"}
            value = {"bearer": f"Bearer {text}"}.get(check.auth, text)
            return check.url, {names.get(check.auth, "Authorization"): value}, check.models
    by_wire = {c.wire: own_url(answers, c.id) for c in CLIENTS.values()}
    if by_wire.get("anthropic"):
        base = urls.base(by_wire["anthropic"], "anthropic") + "/v1"
        name = "x-api-key" if answers.field("type") == "api_key" else "Authorization"
        headers = {name: text if name == "x-api-key" else f"Bearer {text}", "anthropic-version": "2023-06-01"}
        return base + "/models", headers, "data.*.id"
    base = urls.base(by_wire.get("responses") or region.chat_url, "responses")
    return base + "/models", {"Authorization": f"Bearer {text}"}, "data.*.id"


def _models(data: Any, path: str) -> Iterator[Model]:
    """Return the models below *path*, such as ``data.*.id``, with what their entries say of window and price."""
    before, _star, after = path.partition("*")
    for step in filter(None, before.split(".")):
        data = data.get(step) if isinstance(data, dict) else None
    for entry in data if isinstance(data, list) else []:
        name = entry
        for step in filter(None, after.split(".")):
            name = name.get(step) if isinstance(name, dict) else None
        if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable() or " " in name:
            continue
        body = entry if isinstance(entry, dict) else {}
        window = next((body[k] for k in ("context_length", "context_window", "max_model_len") if body.get(k)), None)
        price = body.get("pricing") if isinstance(body.get("pricing"), dict) else {}
        assert isinstance(price, dict)
        yield Model(
            name,
            context=window if type(window) is int and 1000 <= window < 10**8 else None,
            price_in=_price(price.get("prompt")),
            price_out=_price(price.get("completion")),
        )


def _price(text: Any) -> Optional[float]:
    """Return dollars per million tokens, from dollars per token as OpenRouter says it."""
    try:
        value = round(float(text) * 1_000_000, 4)
    except (TypeError, ValueError):
        return None
    return value if 0 <= value < 10_000 else None


def _get(url: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Return status and body of a GET; no redirect is followed, no compressed body taken, time and size have limits."""
    import asyncio

    async def get() -> tuple[int, bytes]:
        import ssl

        import httpx
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        async with asyncio.timeout(DEADLINE):
            async with (
                httpx.AsyncClient(verify=context, follow_redirects=False, timeout=DEADLINE) as http,
                http.stream("GET", url, headers={**headers, "Accept-Encoding": "identity"}) as response,
            ):
                body = b""
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise CcsetupError(_("The provider's list of models is too long."))
                return response.status_code, body

    try:
        return asyncio.run(get())
    except CcsetupError:
        raise
    except TimeoutError:
        raise CcsetupError(_("The provider did not answer within {n} seconds.").format(n=int(DEADLINE))) from None
    except Exception as e:
        if type(e).__module__.split(".")[0] not in ("httpx", "httpcore", "ssl", "builtins"):
            raise
        raise CcsetupError(_("The provider cannot be reached ({kind}).").format(kind=type(e).__name__)) from None
