"""Settings of Codex that a profile can have (``--set``)."""

from __future__ import annotations

from typing import Any

from ccsetup.clients.codex import facts
from ccsetup.errors import printable
from ccsetup.i18n import _
from ccsetup.model import Version
from ccsetup.profiles import facts as model_facts


def problem(name: str, value: Any, version: Version) -> str:
    """Return why the setting *name* cannot be *value* by a profile; what would stop Codex is refused."""
    if name in model_facts.NAMES:
        return model_facts.problem(name, value)
    if name not in (*facts.SETTABLE, *facts.SETTABLE_TOP):
        from ccsetup.documents.nearest import suggestion

        text = _("'{name}' is no setting that a profile can have.").format(name=printable(name))
        known = (*facts.SETTABLE, *facts.SETTABLE_TOP, *model_facts.NAMES)
        return f"{text} {suggestion(name, known, alike=0.65)}"
    shape = facts.shapes(version)[f"model_providers.*.{name}" if name in facts.SETTABLE else name]
    if not shape.takes(value):
        kinds = {"bool": _("true or false"), "word": _("a word"), "integer": _("a whole number")}
        said = ", ".join(shape.words) or kinds.get(shape.kinds[0], _("a whole number"))
        return _("{name} has to be {kinds}.").format(name=name, kinds=said)
    return ""
