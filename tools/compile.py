"""Do by hand what the build does, and write the JSON Schemas of what people write by hand."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEAD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$comment": "Made by tools/compile.py of the table that reads the file.",
}
REFERENCE = os.path.join(ROOT, "docs", "reference")


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each file that people write by hand, by its name in docs/reference."""
    from ccsetup import profiles
    from ccsetup.clients import CLIENTS
    from ccsetup.presets import spec
    from ccsetup.profiles import apiconfigs, declare
    from ccsetup.relay.config import access, table

    listed = apiconfigs.ENTRIES.schema()
    found = {
        "preset": {**spec.PRESET.schema(), "allOf": preset_rules(spec.CUSTOM)},
        "api-configs": {
            "anyOf": [listed, {"type": "object", "properties": {"configs": listed}, "required": ["configs"]}]
        },
        "apply": declare.table(CLIENTS).schema(),
        "profiles": profiles.file_table(CLIENTS).schema(),
        "relay": table.FILE.schema(),
        "relay-keys": access.TABLE.schema(),
    }
    return {f"{name}.schema.json": {**HEAD, **schema} for name, schema in found.items()}


def preset_rules(custom_id: str) -> list[Any]:
    """Return what two members of a preset say together; that ids refer to each other no schema can say."""
    custom = {"properties": {"id": {"const": custom_id}}, "required": ["id"]}
    local = {"properties": {"key": {"properties": {"required": {"const": False}}, "required": ["required"]}}}
    some_url = {"properties": {"base_url": {"minLength": 1}}}
    some_models = {
        "if": {"required": ["base_url"]},
        "then": {
            "anyOf": [
                {"required": ["models"]},
                {"required": ["native_models"], "properties": {"native_models": {"const": True}}},
            ]
        },
    }
    some_model = {"properties": {"model": {"minLength": 1}}}

    def regions(claude: dict[str, Any], codex: dict[str, Any]) -> dict[str, Any]:
        region = {"properties": {"claude-code": claude, "codex": codex}}
        return {"properties": {"regions": {"items": region}}}

    return [
        {"if": custom, "else": regions(some_url, some_url)},
        {"if": {"anyOf": [custom, {**local, "required": ["key"]}]}, "else": regions(some_models, some_model)},
    ]


def text_of(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Compile presets and catalogues, write the schemas, and name the files."""
    sys.path[:0] = [os.path.join(ROOT, "src"), ROOT]
    import hatch_build

    written = hatch_build.compile_all(ROOT)
    os.makedirs(REFERENCE, exist_ok=True)
    for name, schema in schemas().items():
        written.append(os.path.join(REFERENCE, name))
        with open(written[-1], "w", encoding="utf-8") as file:
            file.write(text_of(schema))
    for path in written:
        print(os.path.relpath(path, ROOT))


if __name__ == "__main__":
    main()
