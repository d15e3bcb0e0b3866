"""The fixed words for what a test found, their exit codes, and the values that a report is made of.

Pure.  Every text in here that came from the network went through ``clean``.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Literal, Mapping, NamedTuple, Optional

from ccsetup import masking
from ccsetup.model import Secret

Layer = Literal["resolve", "reach", "key", "wire", "model", "deep", "client"]
LAYERS: tuple[Layer, ...] = ("resolve", "reach", "key", "wire", "model", "deep", "client")

Verdict = Literal[
    "ok",
    "config",
    "unreachable",
    "tls",
    "key",
    "quota",
    "forbidden",
    "wire",
    "model",
    "degraded",
    "server",
    "timeout",
    "unknown",
    "skipped",
]
"""``unknown`` (nothing free tells) and ``skipped`` are for steps only, never for a whole target."""

EXIT: Mapping[str, int] = {
    "ok": 0,
    "config": 10,
    "unreachable": 11,
    "tls": 12,
    "key": 13,
    "quota": 14,
    "forbidden": 15,
    "wire": 16,
    "model": 17,
    "degraded": 18,
    "server": 19,
    "timeout": 20,
}

SEVERITY: tuple[Verdict, ...] = (
    "config",
    "unreachable",
    "tls",
    "timeout",
    "server",
    "key",
    "forbidden",
    "quota",
    "wire",
    "model",
    "degraded",
    "ok",
)
"""Worst first: the earlier a fault stops the client, the worse."""

DOCS = "docs/reference/verdicts.md"


def worst(verdicts: Iterable[str]) -> Verdict:
    """Return the worst of *verdicts*; ``ok`` for none, and for steps that say nothing."""
    found = set(verdicts)
    return next((v for v in SEVERITY if v in found), "ok")


class Evidence(NamedTuple):
    """What was asked, and what came back."""

    url: str
    status: int = 0
    """0: no answer."""
    message: str = ""
    """The provider's own words, cleaned."""


class LayerStep(NamedTuple):
    """What one layer found."""

    layer: Layer
    verdict: Verdict
    seconds: float
    summary: str
    hint: str = ""
    evidence: Optional[Evidence] = None
    details: tuple[str, ...] = ()
    timings: Mapping[str, float] = {}
    """Seconds by name: dns, tcp, proxy, tls, first_byte, first_event."""

    @property
    def docs(self) -> str:
        """Return the page of this verdict, or "" where there is nothing to do."""
        return f"{DOCS}#{self.verdict}" if self.verdict in EXIT and self.verdict != "ok" else ""

    def json(self) -> dict[str, Any]:
        out = self._asdict()
        out["seconds"] = round(self.seconds, 4)
        out["docs"] = self.docs
        out["evidence"] = self.evidence._asdict() if self.evidence else None
        out["details"] = list(self.details)
        out["timings"] = {k: round(v, 4) for k, v in self.timings.items()}
        return out


class TokensUsed(NamedTuple):
    """Tokens of the answers of one run, and what they cost; ``None``: not told, or no price known."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost: Optional[float] = None
    currency: str = "USD"


class Report(NamedTuple):
    """What a test of one target found."""

    label: str
    client: str
    steps: tuple[LayerStep, ...]
    seconds: float
    about: Mapping[str, Any]
    """Facts of the target for JSON: profile, provider, region, wire, base_url, settings.  Without keys."""
    estimate: Optional[float] = None
    """What the deep test was expected to cost, in ``usage.currency``."""
    usage: Optional[TokensUsed] = None
    speed: Mapping[str, float] = {}
    """Of a measured answer: first_event (seconds), tokens_per_second."""
    finished: bool = True
    """False: Ctrl-C ended it before its last layer."""
    level: str = "normal"
    """``quick``, ``normal`` or ``deep``."""

    @property
    def verdict(self) -> Verdict:
        return worst(s.verdict for s in self.steps)

    @property
    def certain(self) -> bool:
        """Tell whether ``ok`` means that the client works: nothing that a real request shows was left out."""
        return self.finished and self.level != "quick" and not any(s.verdict == "unknown" for s in self.steps)

    def json(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "client": self.client,
            **self.about,
            "verdict": self.verdict,
            "certain": self.certain,
            "finished": self.finished,
            "level": self.level,
            "seconds": round(self.seconds, 4),
            "steps": [s.json() for s in self.steps],
            "estimate": self.estimate,
            "usage": self.usage._asdict() if self.usage else None,
            "speed": {k: round(v, 4) for k, v in self.speed.items()},
        }


_ENOUGH = 8
"""Characters of a key that must not be shown together, in what a provider quotes."""


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """Return *text* without *secrets*: whole, encoded, or a beginning or an end of them that a provider quotes."""
    return masking.hide(text, [s.reveal() for s in secrets], _ENOUGH)


def clean(text: str, secrets: Iterable[Secret] = (), limit: int = 300) -> str:
    """Return *text* from the network fit for a terminal: one line, no control characters, no key, cut."""
    text = text[: 20 * limit]  # masking is slower than cutting; a key at the cut is cut as well
    text = re.sub(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)", "", text)
    # Masked both before and after invisible characters go: a provider may put them inside what it quotes.
    text = mask(text, secrets)
    text = re.sub(r"\s+", " ", text)
    text = mask("".join(c for c in text if c.isprintable()), secrets).strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
