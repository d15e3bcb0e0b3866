"""The build step."""

from __future__ import annotations

import gettext
import os
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

from ccsetup.errors import DocumentError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

CATALOGUE = """\
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\\n"
"Language: zh_CN\\n"

msgid "Did you mean '{word}'?"
msgstr "你是指 '{word}' 吗？"

#, fuzzy
msgid "This is not valid YAML."
msgstr "旧译文"
"""


@pytest.fixture(scope="module")
def build() -> dict[str, Any]:
    """Return the names of hatch_build.py."""
    return runpy.run_path(os.path.join(ROOT, "hatch_build.py"))


def test_catalogues(tmp_path: Path, build: dict[str, Any]) -> None:
    """Every .po becomes a .mo that gettext reads; fuzzy translations stay out."""
    folder = tmp_path / "src" / "ccsetup" / "locale" / "zh_CN" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "ccsetup.po").write_text(CATALOGUE, encoding="utf-8")
    assert build["compile_catalogues"](str(tmp_path)) == [str(folder / "ccsetup.mo")]
    found = gettext.translation("ccsetup", str(tmp_path / "src" / "ccsetup" / "locale"), ["zh_CN"])
    assert found.gettext("Did you mean '{word}'?") == "你是指 '{word}' 吗？"
    assert found.gettext("This is not valid YAML.") == "This is not valid YAML."
    assert sorted(os.listdir(folder)) == ["ccsetup.mo", "ccsetup.po"]


def test_no_catalogues(tmp_path: Path, build: dict[str, Any]) -> None:
    """A tree without translations is fine."""
    assert build["compile_catalogues"](str(tmp_path)) == []


def test_a_bad_preset_stops_the_build(tmp_path: Path, build: dict[str, Any]) -> None:
    """A preset that breaks the rules never reaches a wheel, and what was compiled before stays."""
    (tmp_path / "presets").mkdir()
    target = tmp_path / "src" / "ccsetup" / "_presets"
    shutil.copy(os.path.join(ROOT, "presets", "xai.yaml"), tmp_path / "presets")
    build["compile_presets"](str(tmp_path))
    assert sorted(os.listdir(target)) == ["_index.json", "xai.json"]
    (tmp_path / "presets" / "bad.yaml").write_text("id: bad\nname: Bad\n")
    with pytest.raises(DocumentError, match=r"bad\.yaml:1:1: .* is missing"):
        build["compile_presets"](str(tmp_path))
    assert sorted(os.listdir(target)) == ["_index.json", "xai.json"]
