"""Targets of saved profiles and of presets: what a client would use after ``config-switch`` or ``init``."""

from __future__ import annotations

from typing import Iterable, Literal, Mapping, Optional

from ccsetup.clients.base import Client
from ccsetup.clients.values import Use
from ccsetup.i18n import _
from ccsetup.model import ClientName, Preset, Region, Secret, Version
from ccsetup.plan import Note
from ccsetup.probe.target import Setting, Target
from ccsetup.profiles import region_of


def target(
    use: Use,
    key: Optional[Secret],
    client: Client,
    version: Version,
    environ: Mapping[str, str],
    *,
    kind: Literal["profile", "preset"] = "profile",
    url: str = "",
) -> Target:
    """Return what *client* would use with *key*; None for a key whose variable is not set is a finding.

    *url* is an address as the user gave it: what is wrong with it is to be said.
    """
    profile, url = use.profile, url or use.endpoint.base_url
    own = _("profile {name}").format(name=profile.name)
    source = "shell: " + profile.key_env if profile.key_storage == "env" else own if kind == "profile" else "-k"
    findings: list[Note] = []
    if key is None and profile.key_storage == "env":
        text = _("The key of this profile is in the variable {name}, which is not set here.")
        hint = _("Run: export {name}=KEY").format(name=profile.key_env)
        findings.append(Note("blocked", text.format(name=profile.key_env), hint))
    asked = client.asked(use, key, source)
    if asked.note:
        findings.append(Note("info", asked.note))
    place = own if kind == "profile" else _("preset {name}").format(name=profile.provider)
    found = Target(
        label=profile.name if kind == "profile" else profile.provider,
        client=client.id,
        kind=kind,
        wire=client.wire,
        base_url=url,
        credentials=asked.credentials,
        models=asked.models,
        environ={**environ, **asked.environ},
        settings=(Setting("base_url", url, place),),
        findings=tuple(findings),
        preset=use.preset,
        region=region_of(profile, use.preset),
        profile=profile.name if kind == "profile" else "",
        extra=asked.extra,
    )
    return client.signed(found, version)


def recognise(
    base_url: str, client: ClientName, presets: Iterable[Preset]
) -> tuple[Optional[Preset], Optional[Region]]:
    """Return whose address *base_url* is: the same address first, then the same host."""
    from urllib.parse import urlsplit

    wanted = base_url.strip().rstrip("/").lower()
    try:
        host = urlsplit(wanted).netloc
    except ValueError:  # http://[::1
        host = ""
    if not host:
        return None, None
    near: tuple[Optional[Preset], Optional[Region]] = None, None
    for preset in presets:
        for region in preset.regions:
            for endpoint in (region.claude, region.codex) if client == "claude-code" else (region.codex, region.claude):
                url = getattr(endpoint, "base_url", "").rstrip("/").lower()
                if url and url == wanted:
                    return preset, region
                if near[0] is None and url and urlsplit(url).netloc == host:
                    near = preset, region
            if near[0] is None and region.chat_url and urlsplit(region.chat_url.lower()).netloc == host:
                near = preset, region
        for old in preset.legacy_urls:
            if near[0] is None and urlsplit(old.url.lower()).netloc == host:
                near = preset, preset.regions[0]
    return near
