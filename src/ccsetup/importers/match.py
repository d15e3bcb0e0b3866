"""From what was found to requests: presets by address, one profile for both clients, names that are free."""

from __future__ import annotations

import re
from typing import Iterable, Mapping, NamedTuple, Optional, Sequence

from ccsetup import keys, profiles, urls
from ccsetup.change.merge import Request, key_problem
from ccsetup.clients import CLIENTS
from ccsetup.clients.found import FoundProvider
from ccsetup.errors import CcsetupError
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint, ClientName, CodexEndpoint, Endpoint, Preset, Secret, Unsupported
from ccsetup.presets.addresses import region_of
from ccsetup.profiles import Part, Profile

PROXIES = {"15721": "cc-switch", "3456": "claude-code-router", "8317": "CLIProxyAPI"}
"""Ports of loopback at which other tools listen, and write into the clients' settings (their defaults)."""


class Proposal(NamedTuple):
    """One profile that an import would make, or a provider that it leaves out."""

    found: tuple[FoundProvider, ...]
    request: Optional[Request]
    """None: *reason* says why it is left out."""
    reason: str
    notes: tuple[str, ...]


class _Matched(NamedTuple):
    preset: Preset
    region: str
    part: Part
    notes: tuple[str, ...]


def proposals(
    found: Sequence[FoundProvider], presets: Sequence[Preset], saved: Mapping[str, tuple[Profile, Optional[Secret]]]
) -> list[Proposal]:
    """Return one proposal for each provider in *found*; *saved* are the profiles there are, with their keys."""
    out: list[Proposal] = []
    names = set(saved)
    by_id = {p.id: p for p in presets}
    for one in found:
        preset = match(one, presets)
        if isinstance(preset, str):
            out.append(Proposal((one,), None, preset, ()))
            continue
        reason = _problem(one, preset)
        if reason:
            out.append(Proposal((one,), None, reason, ()))
            continue
        there = next((n for n, (p, key) in saved.items() if _same(p, key, one, preset, by_id)), "")
        if there:
            out.append(Proposal((one,), None, _("it is there as profile '{name}'").format(name=there), ()))
            continue
        if _joined(out, one, preset):
            continue
        twin = next((p.request.name for p in out if p.request and _twin(p.request, one, preset)), "")
        if twin:
            out.append(Proposal((one,), None, _("it is the same as '{name}'").format(name=twin), ()))
            continue
        name = _free(one, preset, names)
        names.add(name)
        request = Request(
            name=name,
            provider=preset.preset.id,
            region=preset.region,
            parts={one.client: preset.part},
            key=one.key,
            key_storage="env" if one.key_env and one.key is None else "",
            key_env=one.key_env if one.key is None else "",
            activate=frozenset(),
        )
        out.append(Proposal((one,), request, "", preset.notes))
    return out


def match(found: FoundProvider, presets: Iterable[Preset]) -> _Matched | str:
    """Return the preset whose address *found* has, with what differs from it; or why there is none.

    Any other address is ``custom``; where no model is named, Claude Code sends its own ids there, as to ``anthropic``.
    """
    for preset in presets:
        for region in preset.regions:
            endpoint = CLIENTS[found.client].offered(region)
            urls_here = {urls.base(region.chat_url, "chat")} if found.chat and region.chat_url else set()
            if not isinstance(endpoint, Unsupported) and endpoint.base_url:
                urls_here.add(endpoint.base_url.rstrip("/"))
            if isinstance(region.codex, CodexEndpoint) and found.chat:
                urls_here.add(region.codex.base_url.rstrip("/"))
            if found.part.url in urls_here - {""}:
                return _known(found, preset, region.id, endpoint, _moved(found, endpoint))
        for old in preset.legacy_urls:
            if urls.base(old.url, "anthropic") == urls.base(found.part.url, "anthropic") and old.client == found.client:
                region = preset.region(region_of(preset, found.part.url) or "") or preset.regions[0]
                endpoint = CLIENTS[found.client].offered(region)
                if old.still_works and not found.chat:
                    return _known(found, preset, region.id, endpoint, (), url=found.part.url)
                return _known(found, preset, region.id, endpoint, _moved(found, endpoint))
    for preset in presets:
        near = region_of(preset, found.part.url)
        region = preset.regions[0] if near is None else preset.region(near) or preset.regions[0]
        endpoint = CLIENTS[found.client].offered(region)
        if near is None or isinstance(endpoint, Unsupported) or not CLIENTS[found.client].speaks(endpoint):
            continue
        if found.chat:
            return _known(found, preset, region.id, endpoint, _moved(found, endpoint))
        text = _("{url} is another path of {provider}, and is kept.").format(url=found.part.url, provider=preset.name)
        return _known(found, preset, region.id, endpoint, (text,), url=found.part.url)
    if found.chat:
        command = f"ccsetup init -p custom -n NAME -u {found.part.url} -M MODEL -k - -T {found.client} --via-relay"
        text = _("it speaks only Chat Completions, which neither client does; the relay translates: {command}")
        return text.format(command=command)
    problem = urls.problem(found.part.url)
    if problem:
        return problem
    native = CLIENTS[found.client].wire == "anthropic" and not found.part.primary_model
    custom = next((p for p in presets if p.id == ("anthropic" if native else "custom")), None)
    if custom is None:
        return _("no preset has this address")
    return _Matched(custom, custom.regions[0].id, found.part, ())


def _moved(found: FoundProvider, endpoint: Endpoint | Unsupported) -> tuple[str, ...]:
    """Return a note where the client will not use the address that was found."""
    if isinstance(endpoint, Unsupported) or endpoint.base_url.rstrip("/") == found.part.url:
        return ()
    return (_("{old} is replaced by {new}.").format(old=found.part.url, new=endpoint.base_url),)


def _known(
    found: FoundProvider,
    preset: Preset,
    region: str,
    endpoint: Endpoint | Unsupported,
    notes: tuple[str, ...],
    url: str = "",
) -> _Matched:
    """Return *found* as a profile of *preset*: without what that says as well, and with today's models."""
    part, out = found.part, list(notes)
    fields: dict[str, str] = {"url": url}
    tiers = endpoint.models if isinstance(endpoint, ClaudeEndpoint) else None
    default = tiers.primary if tiers else endpoint.model if isinstance(endpoint, CodexEndpoint) else ""
    if isinstance(endpoint, ClaudeEndpoint) and part.auth != endpoint.auth and found.source != "ccr":
        fields["auth"] = part.auth
    successor = {m.id: m.successor for m in preset.legacy_models}
    primary = part.primary_model or default
    for field in ("primary_model", "haiku_model", "sonnet_model", "opus_model"):
        model = getattr(part, field)
        if model in successor:
            out.append(_("{old} is retired: {new} takes its place.").format(old=model, new=successor[model]))
            model = successor[model]
        own = default if field == "primary_model" else getattr(tiers, field.removesuffix("_model"), "")
        if model and model != own and (field == "primary_model" or model != primary or own != default):
            fields[field] = model
    return _Matched(preset, region, Part(**fields), tuple(dict.fromkeys(out)))  # type: ignore[arg-type]


def _problem(found: FoundProvider, matched: _Matched) -> str:
    """Return why no client could use this, or ""."""
    tool = PROXIES.get(urls.origin(found.part.url).rpartition(":")[2]) if urls.is_loopback(found.part.url) else None
    if tool:
        text = _("it is the proxy of {tool} on this machine, which has the providers and their keys itself")
        return text.format(tool=tool)
    if found.key is None and not found.key_env and matched.preset.key_required:
        return _("there is no key with it")
    if found.key is None and found.key_env and not keys.VARIABLE.match(found.key_env):
        return _("env_key is not the name of a variable")
    problem, _hint = key_problem(matched.preset, {found.client: matched.part}, found.key)
    if problem:
        return problem
    if not all(getattr(matched.part, f).isprintable() for f in ("url", "primary_model")):
        return _("a control or invisible character is in it")
    profile = Profile("x", matched.preset.id, matched.region, "inline", "", {found.client: matched.part})
    try:
        if not CLIENTS[found.client].speaks(CLIENTS[found.client].endpoint(profile, matched.preset)):
            text = _("it speaks only Chat Completions, which Codex does not; the relay translates: {command}")
            command = (
                f"ccsetup init -p {matched.preset.id} --region {matched.region} -k - -T {found.client} --via-relay"
            )
            return text.format(command=command)
    except CcsetupError as e:
        return e.message
    return ""


def _joined(out: list[Proposal], found: FoundProvider, matched: _Matched) -> bool:
    """Add *found* to a proposal for the other client of the same provider with the same key, if there is one."""
    for i, other in enumerate(out):
        request = other.request
        if (
            request is not None
            and matched.preset.id != "custom"
            and found.source == other.found[0].source
            and (request.provider, request.region) == (matched.preset.id, matched.region)
            and found.client not in request.parts
            and found.key is not None
            and request.key == found.key
        ):
            parts: dict[ClientName, Part] = {**request.parts, found.client: matched.part}
            notes = tuple(dict.fromkeys((*other.notes, *matched.notes)))
            out[i] = Proposal((*other.found, found), request._replace(parts=parts), "", notes)
            return True
    return False


def _twin(request: Request, found: FoundProvider, matched: _Matched) -> bool:
    return (
        (request.provider, request.region) == (matched.preset.id, matched.region)
        and request.parts.get(found.client) == matched.part
        and request.key == found.key
    )


def _same(
    profile: Profile, key: Optional[Secret], found: FoundProvider, matched: _Matched, presets: Mapping[str, Preset]
) -> bool:
    if found.client not in profile.parts or profile.provider not in presets:
        return False
    if found.key != key if found.key is not None else found.key_env != profile.key_env:
        return False
    wanted = Profile("x", matched.preset.id, matched.region, "inline", "", {found.client: matched.part})
    endpoint = CLIENTS[found.client].endpoint
    try:
        return endpoint(profile, presets[profile.provider]) == endpoint(wanted, matched.preset)
    except CcsetupError:
        return False


def _free(found: FoundProvider, matched: _Matched, names: set[str]) -> str:
    """Return a name for the profile that is free: the preset's for what a client uses now, else the store's."""
    own = found.name
    if (
        found.source == "clients" and found.name == CLIENTS[found.client].program
    ):  # the settings have no name of their own for it
        own = re.sub(r"^\w+://|:\d+$", "", urls.origin(matched.part.url)) if matched.part.url else ""
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", own).strip("-_")[:56] or matched.preset.id
    return next(n for n in (slug, *(f"{slug}-{i}" for i in range(2, 9999))) if profiles.is_free(n, names))
