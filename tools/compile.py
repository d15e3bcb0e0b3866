"""Do by hand what the build does, and write the JSON Schemas of what people write by hand."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
REFERENCE = os.path.join(ROOT, "docs", "reference")


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each file that people write by hand, by its name in docs/reference."""
    from ccsetup import profiles
    from ccsetup.clients import CLIENTS
    from ccsetup.documents.schema import published
    from ccsetup.presets import spec
    from ccsetup.profiles import declare
    from ccsetup.relay.config import access, table

    return {
        "preset.schema.json": spec.json_schema(),
        "apply.schema.json": declare.json_schema(CLIENTS),
        "profiles.schema.json": published(profiles.file_table(CLIENTS)),
        "relay.schema.json": table.json_schema(),
        "relay-keys.schema.json": published(access.TABLE),
    }


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
