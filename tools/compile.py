"""Do by hand what the build does, and write the JSON Schema of presets: ``python tools/compile.py``."""

from __future__ import annotations

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCHEMA = os.path.join(ROOT, "docs", "reference", "preset.schema.json")


def schema_text() -> str:
    """Return the text of docs/reference/preset.schema.json."""
    from ccsetup import presetspec

    return json.dumps(presetspec.json_schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Compile presets and catalogues, write the schema, and name the files."""
    sys.path[:0] = [os.path.join(ROOT, "src"), ROOT]
    import hatch_build

    written = hatch_build.compile_all(ROOT)
    os.makedirs(os.path.dirname(SCHEMA), exist_ok=True)
    with open(SCHEMA, "w", encoding="utf-8") as file:
        file.write(schema_text())
    for path in [*written, SCHEMA]:
        print(os.path.relpath(path, ROOT))


if __name__ == "__main__":
    main()
