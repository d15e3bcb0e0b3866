"""What a profile says of its main model, where no preset does: what it costs, and whether it takes images.

It stands among the settings of a client's part, under the names that presets have for it.
"""

from __future__ import annotations

from typing import Any, Mapping

from ccsetup.i18n import _
from ccsetup.model import Endpoint, Model, Preset
from ccsetup.profiles import Part

PRICES = ("price_in", "price_out", "price_cache_read")
"""Per million tokens."""
NAMES = ("vision", *PRICES, "currency")


def problem(name: str, value: Any) -> str:
    """Return why *name*, one of ``NAMES``, cannot be *value*, or ""."""
    kinds = {"vision": _("true or false"), "currency": _("three capitals, such as USD")}
    if name == "vision":
        good = isinstance(value, bool)
    elif name == "currency":
        good = isinstance(value, str) and len(value) == 3 and value.isascii() and value.isupper()
    else:
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e6
    return "" if good else _("{name} has to be {kinds}.").format(name=name, kinds=kinds.get(name, _("a number")))


def given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of *settings* that are about the model."""
    return {n: settings[n] for n in NAMES if n in settings}


def described(preset: Preset, endpoint: Endpoint, part: Part) -> Preset:
    """Return *preset* with what *part* says of the main model of *endpoint*."""
    own = given(part.settings)
    model = getattr(endpoint, "model", "") or getattr(getattr(endpoint, "models", None), "primary", "")
    if not own or not model:
        return preset
    known = (preset.model(model) or Model(model))._replace(**own)
    return preset._replace(models=(*(m for m in preset.models if m.id != model), known))
