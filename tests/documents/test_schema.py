"""The JSON Schemas of the files that people write by hand: published as the tables say, and right."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from ccsetup import profiles
from ccsetup.documents import tomldoc
from ccsetup.profiles import Part, Profile
from ccsetup.relay.config import access
from ccsetup.relay.config.access import Access, Budget

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools/compile.py"))
SCHEMAS: dict[str, dict[str, Any]] = TOOL["schemas"]()


def written() -> dict[str, Any]:
    """Return data of files that this program wrote."""
    parts = {"claude-code": Part("https://h", "api_key", "a", context_window=7), "codex": Part(tools="all")}
    profile = Profile("a", "glm", "cn", "env", "MY_KEY", parts)
    text = tomldoc.apply(profiles.HEADER, profiles.save(profile))
    limited = access.describe(access.generate(), "x", 1.0, expires=2.0, upstreams=["u"], budget=Budget(1, 2, 3.5))
    keys = Access([limited, access.describe(access.generate(), "y", 1.0)]).revoke("x", 3.0)
    return {
        "profiles.schema.json": tomldoc.parse(text),
        "relay-keys.schema.json": json.loads(access.dump(keys)),
        "relay.schema.json": yaml.safe_load("relay: 1\nupstreams:\n  - {name: a, preset: glm, key: {env: GLM_KEY}}\n"),
        "apply.schema.json": yaml.safe_load((ROOT / "examples/team.yaml").read_text("utf-8")),
    }


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_schema_in_the_docs_is_up_to_date(name: str) -> None:
    """It is what the table says now; ``python tools/compile.py`` writes it.  Every pattern in it can be used."""
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert (ROOT / "docs/reference" / name).read_text("utf-8") == TOOL["text_of"](SCHEMAS[name])
    assert "\\\\Z" not in json.dumps(SCHEMAS[name])


@pytest.mark.parametrize("name", written())
def test_what_we_write_is_valid(name: str) -> None:
    """An editor finds nothing wrong in a file of ours; a value of a wrong kind is found."""
    validator = jsonschema.Draft202012Validator(SCHEMAS[name])
    assert [e.message for e in validator.iter_errors(written()[name])] == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("profiles.schema.json", {"profiles": {"a b": {"provider": "glm"}}}),
        ("profiles.schema.json", {"profiles": {"a": {"provider": "glm", "key_storage": "paper"}}}),
        ("profiles.schema.json", {"profiles": {"a": {}}}),
        ("profiles.schema.json", {"profiles": {"a": {"provider": "glm", "codex": {"tools": "some"}}}}),
        ("profiles.schema.json", {"version": 2}),
        ("api-configs.schema.json", [{"provider": 5}]),
        ("api-configs.schema.json", {"configs": []}),
        ("relay-keys.schema.json", {"keys": [{"name": "a", "sha256": "z"}]}),
        ("relay-keys.schema.json", {"keys": [{"name": "a", "sha256": "0" * 64, "budgets": {}}]}),
        ("relay-keys.schema.json", {}),
    ],
)
def test_what_is_refused_is_not_valid(name: str, wrong: Any) -> None:
    """The schema says what the reader says."""
    assert not jsonschema.Draft202012Validator(SCHEMAS[name]).is_valid(wrong)
