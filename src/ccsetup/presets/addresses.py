"""Which region of a preset an address belongs to."""

from __future__ import annotations

from typing import Optional

from ccsetup import urls
from ccsetup.model import ClaudeEndpoint, CodexEndpoint, Preset, Region


def region_of(preset: Preset, url: str) -> Optional[str]:
    """Return the region of *preset* that *url* belongs to, "" when several share its host, None when none does."""
    host = urls.origin(url).partition("//")[2]
    if not host:
        return None
    regions: dict[str, int] = {}
    for region in preset.regions:
        for address in _addresses(region):
            if urls.origin(address).partition("//")[2] == host:
                same = _common(address.rstrip("/") + "/", url.rstrip("/") + "/")
                regions[region.id] = max(same, regions.get(region.id, 0))
    if not regions:
        return None
    best = max(regions.values())
    likely = [r for r, same in regions.items() if same == best]
    return likely[0] if len(likely) == 1 else ""


def _common(one: str, other: str) -> int:
    """Return how many characters *one* and *other* begin alike."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _addresses(region: Region) -> list[str]:
    """Return the base URLs of *region* that are not empty."""
    both = [e.base_url for e in (region.claude, region.codex) if isinstance(e, (ClaudeEndpoint, CodexEndpoint))]
    return [a for a in (*both, region.chat_url) if a]
