"""The program in one file, made by tools/pyz.py and run far from the sources by a Python that has nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from support import cc, waiting

ROOT = Path(__file__).resolve().parents[1]
TELLS = """
import atexit
@atexit.register
def tell():
    import json
    from ccsetup.cli._context import program
    print(json.dumps(program()))
"""
KEY = "sk-pyz-key-0123456789abcdef"


def made(target: Path) -> Path:
    command = [sys.executable, str(ROOT / "tools" / "pyz.py"), str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=waiting.LIMIT)
    return target


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("pyz") / "ccsetup.pyz")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the standard library alone."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    return folder / "bin" / "python"


def run(python: Path, program: Path, home: Path, *argv: str, rc: int = 0) -> cc.Result:
    environment = cc.environment(home) | {"PATH": "/usr/bin:/bin"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, program, *argv],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=waiting.LIMIT,
    )
    result = cc.Result(done.returncode, done.stdout, done.stderr, argv)
    assert result.rc == rc, result
    return result


def test_a_whole_session(program: Path, python: Path, home: Path) -> None:
    """Both clients are set up, tested against nobody, switched and given back; in Chinese too."""
    run(
        python,
        program,
        home,
        "init",
        "-s",
        "-p",
        "custom",
        "-u",
        "http://127.0.0.1:9",
        "-M",
        "m",
        "-k",
        KEY,
        "-T",
        "all",
    )
    assert KEY in (home / ".claude" / "settings.json").read_text()
    listed = run(python, program, home, "list", "--json").json["result"]
    assert {preset["id"] for preset in listed["presets"]} == {path.stem for path in (ROOT / "presets").glob("*.yaml")}
    tested = run(python, program, home, "test", "--json", rc=11).json
    assert {one["verdict"] for one in tested["result"]["targets"]} == {"unreachable"}
    run(python, program, home, "config-switch", "official")
    assert KEY not in (home / ".claude" / "settings.json").read_text()
    run(python, program, home, "undo")
    assert json.loads((home / ".claude" / "settings.json").read_text())["env"]["ANTHROPIC_AUTH_TOKEN"] == KEY
    assert run(python, program, home, "doctor").stdout
    assert "用法" in run(python, program, home, "--lang", "zh-CN", "--help").stdout


def test_without_the_relay(program: Path, python: Path, home: Path) -> None:
    """The relay needs more than pure Python: it says so."""
    run(python, program, home, "init", "-s", "-p", "glm", "-k", KEY, "--force-key")
    run(python, program, home, "relay", "init")
    assert "packages that are not installed: httptools" in run(python, program, home, "relay", "run", rc=1).stderr


def test_a_client_is_told_to_run_this_file(program: Path, python: Path, tmp_path: Path) -> None:
    """Wherever it lies and has unpacked itself."""
    moved = tmp_path / "some where" / "ccsetup.pyz"
    moved.parent.mkdir()
    shutil.copy(program, moved)
    (moved.parent / "sitecustomize.py").write_text(TELLS)
    environment = cc.environment(tmp_path) | {"PYTHONPATH": str(moved.parent)}
    done = subprocess.run([python, moved, "--version"], env=environment, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == json.dumps([str(python), str(moved)])


def test_holds_pure_python_alone_and_is_the_same_each_time(program: Path, tmp_path: Path) -> None:
    names = zipfile.ZipFile(program).namelist()
    assert {name.split("/")[1] for name in names if name.startswith("site-packages/")} >= {"ccsetup", "typer", "yaml"}
    assert [name for name in names if name.endswith((".so", ".pyd", ".pyc"))] == []
    assert made(tmp_path / "again.pyz").read_bytes() == program.read_bytes()
