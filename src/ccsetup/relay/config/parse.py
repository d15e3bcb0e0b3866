"""The text of ``relay.yaml`` to a ``Config``.  Pure, but for presets, which a function that is passed in loads."""

from __future__ import annotations

from typing import Any, Literal, Mapping, Optional

from ccsetup import urls
from ccsetup.documents import yamldoc
from ccsetup.documents.nearest import suggestion
from ccsetup.documents.schema import Document, Path
from ccsetup.errors import CcsetupError, printable
from ccsetup.i18n import _
from ccsetup.keys.reference import KeyRef
from ccsetup.model import ClaudeEndpoint, CodexEndpoint, Preset, Region, WireFormat
from ccsetup.relay.config import dialects, rules, table
from ccsetup.relay.config.model import Config, PresetLoader, Price, Upstream
from ccsetup.relay.config.table import WIRES
from ccsetup.relay.wire.messages import Dialect


def parse(data: bytes, name: str, load_preset: PresetLoader) -> Config:
    """Return what *data* says; ``config.parse`` has the details."""
    at = yamldoc.document(data, name)
    at.version("relay", table.VERSION)
    given = at.read(table.FILE)
    upstreams: list[Upstream] = []
    for i, body in enumerate(given.pop("upstreams", ())):
        path: Path = ("upstreams", i)
        if any(u.name.lower() == body["name"].lower() for u in upstreams):
            at.fail((*path, "name"), _("Upstream '{name}' is here twice.").format(name=body["name"]))
        upstreams.append(_upstream(at, path, body, load_preset))
    return Config(
        upstreams=tuple(upstreams),
        rules=(*given.pop("failures", ()), *rules.DEFAULT_RULES),
        **given.pop("selection", {}),
        **given,
    )


def _upstream(at: Document, path: Path, body: dict[str, Any], load_preset: PresetLoader) -> Upstream:
    """Return one upstream: what the file says of it, and what its preset adds to that."""
    preset, region = _preset(at, path, body, load_preset)
    body["endpoints"] = endpoints = _endpoints(at, path, body, region)
    body["keys"] = _keys(at, path, body, preset, endpoints)
    body.setdefault("auth", default_auth(region, endpoints))
    body["dialect"] = _dialects(at, path, body, preset, endpoints)
    body["prices"] = {**(preset_prices(preset) if preset is not None else {}), **body.get("prices", {})}
    body["context"] = {**(preset_context(preset) if preset is not None else {}), **body.get("context", {})}
    if "map" in body:
        body["map"] = tuple(body["map"].items())
    return Upstream(**{field: value for field, value in body.items() if field in Upstream._fields})


def _preset(
    at: Document, path: Path, body: Mapping[str, Any], load_preset: PresetLoader
) -> tuple[Optional[Preset], Optional[Region]]:
    if "preset" not in body:
        if "region" in body:
            at.fail((*path, "region"), _("'region' goes with 'preset'."))
        return None, None
    try:
        preset = load_preset(body["preset"])
    except CcsetupError as error:
        at.fail((*path, "preset"), error.message, error.hint)
    wanted = body.get("region", "")
    region = preset.region(wanted)
    if region is None:
        known = [r.id for r in preset.regions]
        problem = _("There is no region '{id}' in this preset.").format(id=printable(wanted, 40))
        at.fail((*path, "region"), problem, suggestion(wanted, known))
    return preset, region


def _endpoints(at: Document, path: Path, body: Mapping[str, Any], region: Optional[Region]) -> Mapping[WireFormat, str]:
    if "endpoints" in body and "url" in body:
        at.fail((*path, "url"), _("Give 'url' with 'wire', or 'endpoints', not both."))
    if ("url" in body) != ("wire" in body):
        place = (*path, "url" if "url" in body else "wire")
        at.fail(place, _("'url' and 'wire' go together."), "wire: anthropic")
    if "url" in body:
        return {body["wire"]: _url(at, (*path, "url"), body["url"], body["wire"], body)}
    if "endpoints" in body:
        place, given = (*path, "endpoints"), body["endpoints"]
        if not given:
            at.fail(place, _("This is empty."))
        return {wire: _url(at, (*place, wire), given[wire], wire, body) for wire in WIRES if wire in given}
    found = preset_endpoints(region) if region is not None else {}
    if not found:
        at.fail(path, _("This upstream has no address."), _("Give 'preset', or 'url' with 'wire', or 'endpoints'."))
    return found


def _url(at: Document, path: Path, given: str, wire: WireFormat, body: Mapping[str, Any]) -> str:
    url = urls.base(given, wire)
    problem = url_problem(url, insecure=body.get("insecure", False))
    if problem:
        mend = url.startswith("http://") and not urls.problem("https" + url[4:])
        at.fail(path, problem, _("If there is no other way: 'insecure: true' in this upstream.") if mend else "")
    return url


def _keys(
    at: Document,
    path: Path,
    body: dict[str, Any],
    preset: Optional[Preset],
    endpoints: Mapping[WireFormat, str],
) -> tuple[KeyRef, ...]:
    if "key" in body and "keys" in body:
        at.fail((*path, "key"), _("Give 'key' or 'keys', not both."))
    if "key" in body:
        return (body["key"],)
    keys: tuple[KeyRef, ...] = body.get("keys", ())
    if len(set(keys)) < len(keys):
        at.fail((*path, "keys"), _("The same key is here twice."))
    free = preset is not None and not preset.key_required
    if not keys and not free and not all(near(url) for url in endpoints.values()):
        at.fail(path, _("This upstream has no key."), "key: {env: NAME}")
    return keys


def _dialects(
    at: Document,
    path: Path,
    body: Mapping[str, Any],
    preset: Optional[Preset],
    endpoints: Mapping[WireFormat, str],
) -> Mapping[WireFormat, Dialect]:
    out = {wire: dialects.dialect(preset, body.get("region", ""), wire, url) for wire, url in endpoints.items()}
    for wire, changes in body.get("dialect", {}).items():
        if wire not in out:
            at.stranger((*path, "dialect", wire), tuple(out))
        out[wire] = out[wire]._replace(**changes, said=frozenset(changes))
    return out


def preset_endpoints(region: Region) -> Mapping[WireFormat, str]:
    """Return the addresses of *region* by wire format."""
    out: dict[WireFormat, str] = {}
    claude, codex = region.claude, region.codex
    if isinstance(claude, ClaudeEndpoint) and claude.base_url:
        out["anthropic"] = urls.base(claude.base_url, "anthropic")
    if isinstance(codex, CodexEndpoint) and codex.wire == "responses" and codex.base_url:
        out["responses"] = urls.base(codex.base_url, "responses")
    chat = region.chat_url or (codex.base_url if isinstance(codex, CodexEndpoint) and codex.wire == "chat" else "")
    if chat:
        out["chat"] = urls.base(chat, "chat")
    return out


def preset_prices(preset: Preset) -> Mapping[str, Price]:
    return {
        m.id: Price(m.price_in, m.price_out, m.price_cache_read, None, m.currency)
        for m in preset.models
        if m.price_in is not None and m.price_out is not None
    }


def preset_context(preset: Preset) -> Mapping[str, int]:
    """Return the windows of the models that *preset* knows, in tokens."""
    return {m.id: m.context for m in preset.models if m.context}


def default_auth(region: Optional[Region], endpoints: Mapping[WireFormat, str]) -> Literal["bearer", "x-api-key"]:
    """Return how a Messages endpoint gets its key when the file does not say."""
    if region is not None and isinstance(region.claude, ClaudeEndpoint):
        return "x-api-key" if region.claude.auth == "api_key" else "bearer"
    return "x-api-key" if endpoints.get("anthropic", "").startswith("https://api.anthropic.com") else "bearer"


def url_problem(url: str, *, insecure: bool) -> str:
    """Return why *url* cannot be an upstream's, or "".  Plain http is for near machines, as everywhere in ccsetup."""
    problem = urls.problem(url)
    if problem and insecure and url.startswith("http://"):
        return urls.problem("https" + url.removeprefix("http"))
    return problem


def near(url: str) -> bool:
    """Tell whether *url* is on this machine or its own network: servers there often want no key."""
    return not urls.problem("http://" + url.partition("://")[2])
