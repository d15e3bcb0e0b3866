"""Do by hand what the build does, and write the JSON Schemas of presets and of ``apply``."""

from __future__ import annotations

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCHEMA = os.path.join(ROOT, "docs", "reference", "preset.schema.json")
APPLY = os.path.join(ROOT, "docs", "reference", "apply.schema.json")


def schema_text() -> str:
    """Return the text of docs/reference/preset.schema.json."""
    from ccsetup.presets import spec as presetspec

    return json.dumps(presetspec.json_schema(), indent=2, ensure_ascii=False) + "\n"


def apply_text() -> str:
    """Return the text of docs/reference/apply.schema.json."""
    from ccsetup.clients import CLIENTS
    from ccsetup.profiles import declare

    return json.dumps(declare.json_schema(CLIENTS), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Compile presets and catalogues, write the schemas, and name the files."""
    sys.path[:0] = [os.path.join(ROOT, "src"), ROOT]
    import hatch_build

    written = hatch_build.compile_all(ROOT)
    os.makedirs(os.path.dirname(SCHEMA), exist_ok=True)
    for path, text in ((SCHEMA, schema_text()), (APPLY, apply_text())):
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    for path in [*written, SCHEMA, APPLY]:
        print(os.path.relpath(path, ROOT))


if __name__ == "__main__":
    main()
