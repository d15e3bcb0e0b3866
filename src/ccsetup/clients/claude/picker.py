"""The models that Claude Code's ``/model`` shows where our relay serves them, and what it asks for when one is picked.

With ``DISCOVERY`` set it asks the gateway for its models when it starts, and shows those that have "claude" or
"anthropic" in their ids by their ``display_name`` and ``description``.  The id goes on the wire as it was listed,
whatever characters it has, but for ``[1m]`` at its end: that says that the window has a million tokens.
"""

from __future__ import annotations

from ccsetup.documents.edit import KeyPath
from ccsetup.model import Version

DISCOVERY = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"
DISCOVERS: Version = (2, 1, 329)
"""From here on also where nonessential traffic is switched off; 2.1.197 does not then, and 2.0.76 never does.  Between:
not tried."""
FURTHER: KeyPath = ("additionalModelOptionsCache",)
"""In .claude.json: further rows of ``/model``, of any id; 2.1.197 and 2.1.332 show them."""
PREFIX = "ccsetup-claude/"

_LARGE = "[1m]"


def listed(model: str, context: int) -> str:
    """Return the id under which a gateway has to list *model*, of a window of *context* tokens (0: not known)."""
    if any(name in model.lower() for name in ("claude", "anthropic")):
        return model
    return f"{PREFIX}{model}{_LARGE if context >= 1_000_000 else ''}"


def meant(asked: str) -> str:
    """Return the model of which *asked* is the listed id; "" where it is not one that ``listed`` makes."""
    return asked.removeprefix(PREFIX).removesuffix(_LARGE) if asked.startswith(PREFIX) else ""
