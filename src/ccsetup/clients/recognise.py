"""What the presets know of an address or a model that a settings file names."""

from __future__ import annotations

from typing import NamedTuple, Optional

from ccsetup.clients.house import House
from ccsetup.clients.saved import recognise
from ccsetup.model import ClaudeEndpoint, ClientName, CodexEndpoint, LegacyUrl, Preset, Region, Unsupported


class Place(NamedTuple):
    """Whose address it is."""

    preset: Preset
    region: Region
    legacy: Optional[LegacyUrl]
    """It is of an older generation."""


def place(house: House, url: str, client: ClientName) -> Optional[Place]:
    """Return whose address *url* is, or None when no preset knows it."""
    wanted = url.strip().rstrip("/").lower()
    if not wanted:
        return None
    preset, region = recognise(url, client, house.presets)
    for p in house.presets:
        for old in p.legacy_urls:
            if old.client == client and old.url.rstrip("/").lower() == wanted:
                # Where two sites of a provider differ, the host tells which one it is.
                return Place(p, region if preset is p and region else p.regions[0], old)
    return Place(preset, region, None) if preset and region else None


def claude_endpoint(found: Optional[Place]) -> Optional[ClaudeEndpoint]:
    if found is None or isinstance(found.region.claude, Unsupported):
        return None
    return found.region.claude


def codex_endpoint(found: Optional[Place]) -> Optional[CodexEndpoint]:
    """Return what Codex can use today, or None: nothing, or Chat Completions only."""
    if found is None or isinstance(found.region.codex, Unsupported) or found.region.codex.wire != "responses":
        return None
    return found.region.codex


def successor(preset: Preset, model: str) -> tuple[str, str]:
    """Return the model that replaces *model*, and why; ("", "") when it is not a retired one."""
    plain = model.removesuffix("[1m]")
    for old in preset.legacy_models:
        if old.id == plain and plain not in {m.id for m in preset.models}:
            return old.successor, old.reason
    return "", ""
