"""The model ids that clients of our relay ask for: names of uses, which ``relay use`` and ``relay tiers`` lead on.

No upstream may have a model of such a name.
"""

from __future__ import annotations

from ccsetup.model import Tiers

DEFAULT = "default"
TIERS = Tiers._fields[1:]
"""Those of Claude Code besides its main model: haiku, sonnet, opus, fable, subagent."""

MODELS = Tiers(*(f"ccsetup-{use}" for use in (DEFAULT, *TIERS)))
"""By tier; Codex asks for ``MODELS.primary``."""

_USES = dict(zip(MODELS, (DEFAULT, *TIERS), strict=True))


def use_of(model: str) -> str:
    """Return the use (``DEFAULT`` or one of ``TIERS``) that *model* stands for; "" for any other id."""
    return _USES.get(model, "")
