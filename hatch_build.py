"""Build step: presets/*.yaml become JSON, locale/*/LC_MESSAGES/ccsetup.po become .mo.

Runs for wheels and editable installs; by hand it is ``python tools/compile.py``.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
    from hatchling.metadata.plugin.interface import MetadataHookInterface
except ImportError:  # by hand, without hatchling

    class BuildHookInterface:  # type: ignore[no-redef]
        """Stands in for hatchling's class."""

    class MetadataHookInterface:  # type: ignore[no-redef]
        """Stands in for hatchling's class."""


REPOSITORY = "CCSETUP_REPOSITORY"
"""Environment: the address of the repository at its host, for what goes to a package index."""
_PICTURES = (".svg", ".png")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Called by hatchling (pyproject.toml, ``[tool.hatch.build.hooks.custom]``)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 (hatchling's signature)
        """Compile into the package folder; ``artifacts`` in pyproject.toml takes the results along."""
        if self.target_name == "wheel":
            compile_all(self.root)


class CustomMetadataHook(MetadataHookInterface):
    """Called by hatchling (pyproject.toml, ``[tool.hatch.metadata.hooks.custom]``)."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Give the README of this version, and addresses where the repository's is known."""
        repository = os.environ.get(REPOSITORY, "").rstrip("/")
        with open(os.path.join(self.root, "README.md"), encoding="utf-8") as file:
            text = file.read()
        if repository:
            text = absolute_links(text, f"{repository}/blob/v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        pages = {"Documentation": "/tree/main/docs", "Changelog": "/blob/main/CHANGELOG.md", "Issues": "/issues"}
        urls = {name: repository + path for name, path in {"Repository": "", **pages}.items()}
        metadata["urls"] = urls if repository else {}


def absolute_links(text: str, base: str) -> str:
    """Return the Markdown *text* with links into the repository, which an index does not have, leading to *base*."""

    def link(found: re.Match[str]) -> str:
        target = found[1]
        if "://" in target or target.startswith("#"):
            return found[0]
        raw = "?raw=true" if target.endswith(_PICTURES) else ""
        return f"]({base}/{target}{raw})"

    return re.sub(r"\]\(([^)\s]+)\)", link, text)


def compile_all(root: str) -> list[str]:
    """Compile presets and catalogues of the checkout at *root*; return the paths that were written."""
    return compile_presets(root) + compile_catalogues(root)


def compile_presets(root: str) -> list[str]:
    """Write ``_presets/<id>.json`` and ``_presets/_index.json``; remove JSON of presets that are gone."""
    package = os.path.join(root, "src", "ccsetup")
    source = os.path.join(root, "presets")
    target = os.path.join(package, "_presets")
    # The sources of this very tree, whatever else is installed.
    sys.path.insert(0, os.path.dirname(package))
    try:
        from ccsetup import presets
        from ccsetup.presets import read
    finally:
        sys.path.pop(0)
    os.makedirs(target, exist_ok=True)
    plain = {}
    for name in sorted(os.listdir(source)):
        if name.endswith(".yaml"):
            path = os.path.join(source, name)
            with open(path, "rb") as file:
                plain[name[:-5]] = read.parse(file.read(), path, expected_id=name[:-5], shipped=True)
    index = {preset_id: presets.index_entry(presets.build(data)) for preset_id, data in plain.items()}
    written = [_write_json(os.path.join(target, f"{preset_id}.json"), data) for preset_id, data in plain.items()]
    written.append(_write_json(os.path.join(target, "_index.json"), index))
    for name in os.listdir(target):
        if os.path.join(target, name) not in written:
            os.unlink(os.path.join(target, name))
    return written


def compile_catalogues(root: str) -> list[str]:
    """Write ``ccsetup.mo`` next to every ``ccsetup.po``; nothing without Babel."""
    locale = os.path.join(root, "src", "ccsetup", "locale")
    if not os.path.isdir(locale):
        return []
    try:
        from babel.messages.mofile import write_mo
        from babel.messages.pofile import read_po
    except ImportError:
        return []
    written = []
    for language in sorted(os.listdir(locale)):
        source = os.path.join(locale, language, "LC_MESSAGES", "ccsetup.po")
        if not os.path.exists(source):
            continue
        with open(source, "rb") as file:
            catalogue = read_po(file, locale=language)
        target = source[:-3] + ".mo"
        with open(target + ".new", "wb") as file:
            write_mo(file, catalogue)
        os.replace(target + ".new", target)
        written.append(target)
    return written


def _write_json(path: str, data: Any) -> str:
    # Two builds may run at once: replace, never truncate.
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
    os.replace(temporary, path)
    return path
