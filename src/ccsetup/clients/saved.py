"""Targets of saved profiles and of presets: what a client would use after ``config-switch`` or ``init``."""

from __future__ import annotations

from typing import Iterable, Literal, Mapping, Optional, Union

from ccsetup.clients.base import Use
from ccsetup.i18n import _
from ccsetup.model import ClaudeEndpoint, ClientName, CodexEndpoint, Preset, Region, Secret, Tiers
from ccsetup.plan import Note
from ccsetup.probe.target import Credential, Setting, Target, TierModel
from ccsetup.profiles import region_of


def target(
    use: Use,
    key: Optional[Secret],
    client: ClientName,
    environ: Mapping[str, str],
    *,
    kind: Literal["profile", "preset"] = "profile",
) -> Target:
    """Return what *client* would use with *key*; None for a key whose variable is not set is a finding."""
    endpoint: Union[ClaudeEndpoint, CodexEndpoint] = use.endpoint
    profile = use.profile
    source = _("profile {name}").format(name=profile.name) if kind == "profile" else "-k"
    findings: list[Note] = []
    if profile.key_storage == "env":
        source = "shell: " + profile.key_env
    if key is None and profile.key_storage == "env":
        findings.append(
            Note(
                "blocked",
                _("The key of this profile is in the variable {name}, which is not set here.").format(
                    name=profile.key_env
                ),
                _("Run: export {name}=KEY").format(name=profile.key_env),
            )
        )
    name = profile.name if kind == "profile" else profile.provider
    own = _("profile {name}").format(name=name) if kind == "profile" else _("preset {name}").format(name=name)
    settings = [Setting("base_url", endpoint.base_url, own)]
    common = {
        "label": name,
        "client": client,
        "kind": kind,
        "base_url": endpoint.base_url,
        "preset": use.preset,
        "region": region_of(profile, use.preset),
        "profile": profile.name if kind == "profile" else "",
    }
    if isinstance(endpoint, ClaudeEndpoint):
        credentials: tuple[Credential, ...] = ()
        if key is not None:
            bearer = Credential("authorization", "Bearer", key, source)
            plain = Credential("x-api-key", "", key, source)
            if profile.key_storage != "inline":
                credentials = (bearer, plain)  # apiKeyHelper sends both
            else:
                credentials = (bearer,) if endpoint.auth == "auth_token" else (plain,)
        env = {n: f.value for n, f in endpoint.env.items()}
        return Target(
            **common,  # type: ignore[arg-type]
            wire="anthropic",
            credentials=credentials,
            models=tiers(endpoint.models),
            environ={**environ, **env},
            settings=tuple(settings),
            findings=tuple(findings),
            extra={"betas": env.get("CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS", "") in ("", "0"), "env": env},
        )
    codex = endpoint
    if codex.wire == "chat":
        findings.append(
            Note(
                "info",
                _("The preset knows only Chat Completions for this provider."),
            )
        )
    return Target(
        **common,  # type: ignore[arg-type]
        wire="responses",
        credentials=(Credential("authorization", "Bearer", key, source),) if key is not None else (),
        models=(TierModel("model", codex.model),),
        environ=environ,
        settings=tuple(settings),
        findings=tuple(findings),
        extra={"web_search": codex.web_search, "extra_tools": codex.extra_tools},
    )


def tiers(models: Optional[Tiers]) -> tuple[TierModel, ...]:
    """Return the tiers' models as they go over the wire."""
    if models is None:
        return ()
    order = ("primary", "opus", "sonnet", "haiku", "fable", "subagent")
    return tuple(TierModel(t, wire_id(getattr(models, t))) for t in order)


def wire_id(model: str) -> str:
    """Return *model* without the suffix that Claude Code keeps to itself (observed: only ``[1m]``)."""
    return model.removesuffix("[1m]")


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
