"""The text of ``presets/<id>.yaml``, or of a user's own file, in the *plain form*.

That is dicts and lists with the field names of ``model.Preset``, ready for ``presets.build`` and for the compiled JSON.
Only builds and edited files come here.  Knows no disk.
"""

from __future__ import annotations

from typing import Any, Union

from ccsetup.documents import yamldoc
from ccsetup.documents.nearest import suggestion
from ccsetup.documents.schema import Document, Path, String
from ccsetup.i18n import _
from ccsetup.presets.spec import PRESET, any_model


def parse(data: Union[str, bytes], name: str, *, expected_id: str = "", shipped: bool = False) -> dict[str, Any]:
    """Return the plain form of the preset in *data*, the contents of a YAML file that messages call *name*.

    With *shipped*, facts need sources and dates and nothing is left to defaults that a reader should see.
    Raises DocumentError with ``file:line:column: path: problem``.
    """
    at = yamldoc.document(data, name, shipped=shipped)
    plain: dict[str, Any] = at.read(PRESET)
    _check(at, plain, expected_id)
    return _complete(plain)


def _check(at: Document, plain: dict[str, Any], expected_id: str) -> None:
    """Check what concerns more than one key."""
    if expected_id and plain["id"] != expected_id:
        problem = _("The id is '{id}', but the file is called '{file}'.")
        at.fail(("id",), problem.format(id=plain["id"], file=f"{expected_id}.yaml"))
    for table in ("regions", "models", "legacy_models"):
        seen: set[str] = set()
        for i, item in enumerate(plain[table]):
            if item["id"] in seen:
                at.fail((table, i, "id"), _("The id '{id}' appears twice.").format(id=item["id"]))
            seen.add(item["id"])
    regions = [region["id"] for region in plain["regions"]]
    families = (plain["key"] or {}).get("families", ())
    named: list[tuple[Path, str]] = [
        (("key", "families", i, "region"), family["region"]) for i, family in enumerate(families)
    ]
    models = enumerate(plain["models"])
    named += [(("models", i, "regions", n), one) for i, model in models for n, one in enumerate(model["regions"])]
    for path, region_id in named:
        if region_id and region_id not in regions:
            problem = _("There is no region '{id}' in this file.").format(id=region_id)
            at.fail(path, problem, suggestion(region_id, regions, else_all=False))
    if at.shipped:
        for language in ("en", "zh_CN"):
            if language not in plain["description"]:
                at.missing(("description",), language)
    for i, region in enumerate(plain["regions"]):
        _region(at, region, ("regions", i))


def _region(at: Document, region: dict[str, Any], path: Path) -> None:
    claude, codex = region["claude"], region["codex"]
    if claude is None and (codex is None or at.shipped):
        at.missing(path, "claude-code")
    if at.shipped:
        if codex is None:
            at.missing(path, "codex")
        written = at.data["regions"][path[1]]
        if (region["key_url"] or region["chat_url"]) and not {"source", "as_of"} <= set(written):
            at.missing(path, "source")
    empty = claude and "reason" not in claude and claude["models"] is None
    if empty and not claude["native_models"] and not any_model(at):
        at.missing((*path, "claude-code"), "models")
    if codex and "wire" in codex:
        here = (*path, "codex")
        if codex["wire"] == "chat" and not codex["reason"]:
            at.fail(here, _("'wire: chat' needs a 'reason' for the user: Codex itself speaks only Responses."))
        if codex["default_effort"] and not codex["efforts"]:
            at.missing(here, "efforts")
        if codex["default_effort"]:
            String(one_of=codex["efforts"]).value(at, codex["default_effort"], (*here, "default_effort"))


def _complete(plain: dict[str, Any]) -> dict[str, Any]:
    """Give *plain* the shape of model.Preset."""
    key = plain.pop("key") or {}
    errors = plain.pop("errors") or {}
    plain["key_env"] = key.get("env", "")
    plain["key_required"] = key.get("required", True)
    plain["default_key"] = key.get("default", "")
    plain["key_families"] = key.get("families", [])
    plain["dialect"] = {
        wire: {name: value for name, value in members.items() if value is not None}
        for wire, members in (plain["dialect"] or {}).items()
        if members
    }
    plain["errors"] = {meaning: conditions for meaning, conditions in errors.items() if conditions}
    for region in plain["regions"]:
        region["name"] = region["name"] or region["id"]
        for client, name in (("claude", "Claude Code"), ("codex", "Codex")):
            if region[client] is None:
                reason = _("The preset names no endpoint for {client}.").format(client=name)
                region[client] = {"reason": reason}
        tiers = region["claude"].get("models")
        if tiers:
            region["claude"]["models"] = {tier: model or tiers["primary"] for tier, model in tiers.items()}
        if region["codex"].get("web_search") == "default":
            region["codex"]["web_search"] = None
    return plain
