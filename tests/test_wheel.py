"""What users install: the wheel, built from a clean copy of the sources and run far away from them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from support import waiting

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", "hatch_build.py", "README.md", "CHANGELOG.md", "LICENSE", "presets", "src")
KEY = "sk-wheel-key-0123456789"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the sources as git has them: nothing compiled is there beforehand."""
    tree = tmp_path_factory.mktemp("tree")
    compiled = shutil.ignore_patterns("__pycache__", "_presets", "*.mo")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=compiled)
        else:
            shutil.copy(source, tree)
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(tree)],
        check=True,
        capture_output=True,
        timeout=waiting.LIMIT,
    )
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``ccsetup``, installed from the wheel; its dependencies are those of the running environment."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # A .pth file makes the packages importable, but is not followed further: the editable install stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = str(folder / "bin" / "python")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", str(wheel)],
        check=True,
        capture_output=True,
        timeout=waiting.LIMIT,
    )
    return folder / "bin" / "ccsetup"


def run(program: Path, home: Path, *args: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    done = subprocess.run(
        [program, *args], cwd=home, env=environment, capture_output=True, text=True, timeout=waiting.LIMIT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_main_job(program: Path, home: Path) -> None:
    """The installed program sets both clients up, switches them back, and lists every shipped preset."""
    run(program, home, "init", "-s", "-p", "glm", "-k", KEY, "-T", "all")
    settings = json.loads((home / ".claude" / "settings.json").read_text())
    assert settings["env"]["ANTHROPIC_AUTH_TOKEN"] == KEY
    config = tomllib.loads((home / ".codex" / "config.toml").read_text())
    provider = config["model_providers"][config["model_provider"]]
    assert provider["experimental_bearer_token"] == KEY
    assert os.path.exists(home / ".codex" / config["model_catalog_json"])
    run(program, home, "config-switch", "official")
    assert KEY not in (home / ".claude" / "settings.json").read_text()
    listed = json.loads(run(program, home, "list", "--json"))["result"]["presets"]
    assert {p["id"] for p in listed} == {p.stem for p in (ROOT / "presets").glob("*.yaml")}


def test_speaks_chinese(program: Path, home: Path) -> None:
    """The compiled translations are in the wheel."""
    assert "用法" in run(program, home, "--lang", "zh-CN", "--help")


def test_holds_nothing_else(wheel: Path) -> None:
    """The wheel holds the package and its licence: no tests, no YAML, no translation sources' tools."""
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names if ".dist-info/" not in n} == {"ccsetup"}
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert "ccsetup/py.typed" in names
    assert [n for n in names if n.startswith("ccsetup/data/")] == ["ccsetup/data/codex_instructions.md"]
