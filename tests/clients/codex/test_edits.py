"""What ccsetup writes for Codex beyond the golden files: the model catalogue's instructions."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

from support import cc

from ccsetup.clients.codex.catalog import base_instructions

KEY = "sk-catalogue-0123456789"


def _instructions(home: Path, profile: str) -> set[str]:
    return {entry["base_instructions"] for entry in json.loads(_catalogue(home, profile).read_text("utf-8"))["models"]}


def _catalogue(home: Path, profile: str) -> Path:
    """Return the catalogue that *profile* names."""
    name = tomllib.loads((home / f".codex/{profile}.config.toml").read_text("utf-8"))["model_catalog_json"]
    return home / ".codex" / name


def test_a_catalogue_of_an_earlier_version_goes_on_until_it_is_written_again(home: Path) -> None:
    """Its other instructions are no fault and no change of the user's: ``doctor`` is content, a switch brings ours."""
    for provider in ("glm", "deepseek"):
        assert cc.run(home, "init", "-s", "-p", provider, "-k", KEY, "-T", "codex").ok
    path = _catalogue(home, "glm")
    ours = json.dumps(base_instructions(), ensure_ascii=False)
    path.write_text(path.read_text("utf-8").replace(ours, json.dumps("Text of an earlier version.")), "utf-8")
    assert _instructions(home, "glm") == {"Text of an earlier version."}

    looked = cc.run(home, "doctor", "--json")
    switched = cc.run(home, "config-switch", "glm")

    findings = [found for check in looked.json["result"]["checks"] for found in check["findings"]]
    assert [found for found in findings if "models.json" in json.dumps(found)] == []
    assert switched.ok
    assert switched.stderr == ""
    assert _instructions(home, "glm") == {base_instructions()}
