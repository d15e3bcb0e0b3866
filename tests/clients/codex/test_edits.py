"""What ccsetup writes for Codex beyond the golden files: the model catalogue's instructions."""

from __future__ import annotations

import json
from pathlib import Path

from support import cc

from ccsetup.clients.codex.edits import base_instructions

KEY = "sk-catalogue-0123456789"


def _instructions(home: Path, profile: str) -> set[str]:
    catalog = json.loads((home / f".codex/ccsetup-{profile}.models.json").read_text("utf-8"))
    return {entry["base_instructions"] for entry in catalog["models"]}


def test_a_catalogue_of_an_earlier_version_goes_on_until_it_is_written_again(home: Path) -> None:
    """Its other instructions are no fault and no change of the user's: ``doctor`` is content, a switch brings ours."""
    for provider in ("glm", "deepseek"):
        assert cc.run(home, "init", "-s", "-p", provider, "-k", KEY, "-T", "codex").ok
    path = home / ".codex/ccsetup-glm.models.json"
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
