"""What users install: the wheel, built from a clean copy of the sources and run far away from them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from support import waiting

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("pyproject.toml", "hatch_build.py", "README.md", "CHANGELOG.md", "LICENSE", "presets", "src")
MORE = (".ci", "benchmarks", "docs", "examples", "requirements", "tests", "tools", "CONTRIBUTING.md", "README.zh-CN.md")
COMPILED = ("__pycache__", "_presets", "*.mo", "*.pyc")
KEY = "sk-wheel-key-0123456789"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the sources as git has them: nothing compiled is there beforehand."""
    tree = tmp_path_factory.mktemp("tree")
    copy(SOURCES, tree)
    return built("wheel", tree, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is packed of all sources; they are there once more, unpacked."""
    tree = tmp_path_factory.mktemp("tree")
    copy((*SOURCES, *MORE), tree)
    out = tmp_path_factory.mktemp("dist")
    with tarfile.open(built("sdist", tree, out)) as packed:
        packed.extractall(out / "unpacked", filter="data")
    return next(out.glob("*.tar.gz"))


def copy(names: tuple[str, ...], tree: Path) -> None:
    for name in names:
        if (source := ROOT / name).is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns(*COMPILED), symlinks=True)
        else:
            shutil.copy(source, tree)


def built(kind: str, tree: Path, out: Path, **env: str) -> Path:
    subprocess.run(
        [sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(out), str(tree)],
        check=True,
        capture_output=True,
        env={**os.environ, **env},
        timeout=waiting.LIMIT,
    )
    return next(out.glob("*.whl" if kind == "wheel" else "*.tar.gz"))


def unpacked(sdist: Path) -> Path:
    return next((sdist.parent / "unpacked").iterdir())


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


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


def test_the_sdist_holds_what_builds_and_checks_it(sdist: Path) -> None:
    """Every file of the sources, and no other but its own metadata."""

    def files(tree: Path) -> set[str]:
        return {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file() or path.is_symlink()}

    tree = sdist.parent / "all"
    tree.mkdir()
    copy((*SOURCES, *MORE), tree)
    assert files(unpacked(sdist)) - {"PKG-INFO", ".gitignore"} == files(tree)


def test_the_same_wheel_comes_of_the_sdist(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    assert content(built("wheel", unpacked(sdist), tmp_path)) == content(wheel)


def test_an_index_takes_them(sdist: Path, wheel: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", sdist, wheel],
        capture_output=True,
        text=True,
        timeout=waiting.LIMIT,
    )
    assert (done.returncode, done.stdout.count("PASSED")) == (0, 2), done.stdout


def test_its_page_leads_to_the_repository(sdist: Path, tmp_path: Path) -> None:
    """Where that is said; a link of README that leads nowhere at an index would be left otherwise."""
    host = "https://git.example/me/ccsetup"
    wheel = built("wheel", unpacked(sdist), tmp_path, CCSETUP_REPOSITORY=f"{host}/")
    (metadata,) = (text.decode() for name, text in content(wheel).items() if name.endswith("/METADATA"))
    head, _, text = metadata.partition("\n\n")
    urls = dict(line[13:].split(", ") for line in head.splitlines() if line.startswith("Project-URL: "))
    assert (urls["Repository"], urls["Issues"]) == (host, f"{host}/issues")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    version = next(line[9:] for line in head.splitlines() if line.startswith("Version: "))
    assert f"{host}/blob/v{version}/docs/img/session.svg?raw=true" in links
