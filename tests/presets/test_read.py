"""What a preset file may say, and how it is refused."""

from __future__ import annotations

import json
import os
from typing import Any

import jsonschema
import pytest
import yaml
from support import tools

from ccsetup import presets
from ccsetup.errors import DocumentError
from ccsetup.presets import read as preset_reader

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BAD = os.path.join(ROOT, "tests", "data", "presets", "bad")
SHIPPED = sorted(name for name in os.listdir(os.path.join(ROOT, "presets")) if name.endswith(".yaml"))

MINIMAL = """\
id: mine
name: Mine
regions:
  - id: main
    claude-code: {base_url: 'https://gateway.example', models: {primary: some-model, haiku: small-model}}
"""


def read(path: str) -> str:
    with open(path, encoding="utf-8", newline="") as file:
        return file.read()


def shipped(name: str) -> str:
    return read(os.path.join(ROOT, "presets", name))


def validator() -> Any:
    schema = tools.load("compile").schemas()["preset.schema.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("case", sorted(name[:-5] for name in os.listdir(BAD) if name.endswith(".yaml")))
def test_bad_files_are_refused_with_their_place(case: str) -> None:
    """Each bad file is refused with file, line, column, path and problem, and with a hint where one is likely."""
    with pytest.raises(DocumentError) as caught:
        preset_reader.parse(read(os.path.join(BAD, case + ".yaml")), "mine.yaml", expected_id="mine")
    error = caught.value
    text = f"{error.message}\n" + (f"hint: {error.hint}\n" if error.hint else "")
    assert text == "mine.yaml:" + read(os.path.join(BAD, case + ".error"))
    assert error.message.startswith(f"mine.yaml:{error.line}:{error.column}: ")


def test_a_user_preset_may_be_short() -> None:
    """A user's file needs no sources, no dates and no second client; tiers that are left out take the primary."""
    preset = presets.build(preset_reader.parse(MINIMAL, "mine.yaml"))
    region = preset.region("")
    assert region is not None
    assert region.name == "main"
    assert isinstance(region.claude, presets.ClaudeEndpoint)
    assert region.claude.auth == "auth_token"
    assert region.claude.models == ("some-model", "small-model", *["some-model"] * 4)
    assert isinstance(region.codex, presets.Unsupported)
    assert "Codex" in region.codex.reason
    assert preset.key_required


def test_codex_defaults_suit_third_parties() -> None:
    """A Codex endpoint without further keys speaks Responses, without web search and other special tools."""
    text = "id: a\nname: A\nregions: [{id: m, codex: {base_url: 'https://a.example/v1', model: x}}]\n"
    region = presets.build(preset_reader.parse(text, "a.yaml")).regions[0]
    assert isinstance(region.codex, presets.CodexEndpoint)
    assert region.codex._replace(base_url="", model="") == presets.CodexEndpoint(
        "", "responses", "", None, "disabled", extra_tools=False, catalog=True, efforts=(), default_effort=""
    )


def test_a_key_check_has_sensible_defaults() -> None:
    """Without conditions, 200 means a good key and 401 a wrong one."""
    check = (
        presets.build(
            preset_reader.parse(
                MINIMAL + "    verify: [{get: 'https://gateway.example/v1/models', proves: true}]\n", "m.yaml"
            )
        )
        .regions[0]
        .verify[0]
    )
    assert check.auth == "bearer"
    assert check.valid == (presets.Condition(status=(200,)),)
    assert check.invalid == (presets.Condition(status=(401,)),)
    assert check.no_quota == check.forbidden == ()


def test_shipped_files_need_sources_and_dates() -> None:
    """What is enough for a user is not enough for a preset that we ship."""
    with pytest.raises(DocumentError, match=r"m\.yaml:5:64: regions\[0\]\.claude-code\.models: 'sonnet' is missing"):
        preset_reader.parse(MINIMAL, "m.yaml", shipped=True)
    text = shipped("glm.yaml").replace("      source: [zai_codex]\n", "", 1)
    with pytest.raises(DocumentError, match=r"regions\[1\]\.codex: 'source' is missing"):
        preset_reader.parse(text, "glm.yaml", shipped=True)


@pytest.mark.parametrize("line", range(1, 15))
def test_broken_shipped_files_raise_nothing_else(line: int) -> None:
    """A file that ends early, or has a line too few, is refused with DocumentError or still makes sense."""
    lines = shipped("kimi.yaml").splitlines(keepends=True)
    step = len(lines) // 15
    for text in ("".join(lines[: line * step]), "".join(lines[: line * step] + lines[line * step + 1 :])):
        line_of_error = 1
        try:
            preset_reader.parse(text, "kimi.yaml")
        except DocumentError as error:
            line_of_error = error.line
        assert 1 <= line_of_error <= len(lines) + 1


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_presets_validate_against_the_schema(name: str) -> None:
    """Editors that use the schema accept what the loader accepts."""
    errors = [f"{error.json_path}: {error.message}" for error in validator().iter_errors(yaml.safe_load(shipped(name)))]
    assert errors == []


NOT_FOR_A_SCHEMA = {
    # Needs more than one file, more than one place, or the text behind the values.
    *(
        "id-differs",
        "region-twice",
        "region-unknown",
        "model-region",
        "source-unknown",
        "effort",
        "chat-without-reason",
    ),
    *("duplicate-key", "alias", "merge", "tag", "two-documents", "not-yaml", "escape", "block-text"),
    *("condition-equals", "condition-case", "no-endpoint"),
    # YAML 1.1, which this test reads with, takes "no" for false.
    "flag-as-text",
}


@pytest.mark.parametrize(
    "case", sorted({name[:-5] for name in os.listdir(BAD) if name.endswith(".yaml")} - NOT_FOR_A_SCHEMA)
)
def test_the_schema_refuses_bad_files(case: str) -> None:
    """The schema catches every kind of mistake that a schema can express."""
    assert not validator().is_valid(yaml.safe_load(read(os.path.join(BAD, case + ".yaml"))))


def test_the_schema_keeps_urls_and_models_for_most_presets() -> None:
    """Only custom may leave URLs empty, and only custom and local servers may leave models out."""
    custom = yaml.safe_load(shipped("custom.yaml"))
    assert validator().is_valid(custom)
    assert not validator().is_valid({**custom, "id": "other"})
    local = yaml.safe_load(shipped("ollama.yaml"))
    assert validator().is_valid(local)
    assert not validator().is_valid({**local, "key": {**local["key"], "required": True}})


def test_the_plain_form_survives_json() -> None:
    """Compiled JSON and YAML give the same preset."""
    for name in SHIPPED:
        plain = preset_reader.parse(shipped(name), name, expected_id=name[:-5], shipped=True)
        assert presets.build(json.loads(json.dumps(plain))) == presets.build(plain)
