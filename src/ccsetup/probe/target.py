"""What is tested: an address, the headers that carry the key, and the models, as a client would use them.

Pure values; where each one comes from is kept beside it.
"""

from __future__ import annotations

from typing import Any, Literal, Mapping, NamedTuple, Optional

from ccsetup.model import ClientName, Preset, Region, Secret, WireFormat
from ccsetup.plan import Note
from ccsetup.probe.network import USUAL, Network
from ccsetup.probe.verdict import mask


class Credential(NamedTuple):
    """One header that carries a key."""

    header: str
    """Lower case: ``authorization`` or ``x-api-key``, or a header of the user's own."""
    scheme: str
    """``Bearer`` or empty."""
    secret: Secret
    source: str
    """Where the key comes from, for people."""

    def value(self) -> str:
        """Return the header's value, which holds the key."""
        return f"{self.scheme} {self.secret.reveal()}" if self.scheme else self.secret.reveal()


class Setting(NamedTuple):
    """A value that the client would use, and where it stands."""

    name: str
    value: str
    """Shown to people: keys are masked."""
    source: str
    """``~/.claude/settings.json:4``, ``shell``, ``profile glm``."""
    hides: tuple[str, ...] = ()
    """Weaker places that set the same name."""


class TierModel(NamedTuple):
    """A model that the client asks for."""

    tier: str
    id: str
    built_in: bool = False
    """The client's own default: nobody configured it."""


class Target(NamedTuple):
    label: str
    client: ClientName
    kind: Literal["effective", "profile", "preset"]
    wire: WireFormat
    base_url: str
    credentials: tuple[Credential, ...]
    models: tuple[TierModel, ...]
    """The main one first."""
    environ: Mapping[str, str]
    """What decides about proxies and trust: the shell's variables under those of the client's settings."""
    settings: tuple[Setting, ...] = ()
    findings: tuple[Note, ...] = ()
    """What is wrong with the settings themselves, or worth saying."""
    headers: Mapping[str, str] = {}
    """Further headers that the user's settings add; may hold keys."""
    query: Mapping[str, str] = {}
    preset: Optional[Preset] = None
    region: Optional[Region] = None
    profile: str = ""
    extra: Mapping[str, Any] = {}
    """What the deep test has to know of the settings: betas, tools_off, web_search."""
    user_agent: str = ""
    """What the client calls itself."""
    network: Network = USUAL
    """How the client goes to the address."""

    @property
    def key(self) -> Optional[Secret]:
        """Return the key that identifies the user at the provider; the first one where there are two."""
        return self.credentials[0].secret if self.credentials else None

    def secrets(self) -> tuple[Secret, ...]:
        """Return everything that must not be shown."""
        headers = (Secret(v, known=False) for v in self.headers.values() if len(v) > 7)  # few of these are keys
        return (*(c.secret for c in self.credentials), *headers)

    def about(self) -> dict[str, Any]:
        """Return the facts for JSON; no key in them."""
        secrets = self.secrets()
        return {
            "kind": self.kind,
            "profile": self.profile,
            "provider": self.preset.id if self.preset else "",
            "region": self.region.id if self.region else "",
            "wire": self.wire,
            "base_url": mask(self.base_url, secrets),
            "models": [{"tier": m.tier, "id": m.id} for m in self.models],
            "settings": [
                {"name": s.name, "value": s.value, "from": s.source, "hides": list(s.hides)} for s in self.settings
            ],
        }
