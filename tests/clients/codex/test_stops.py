"""What keeps Codex from starting: our list against the real client, for every configuration and pinned release."""

from __future__ import annotations

import os
import subprocess
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support import client_install
from support.clients import CODEX_VERSIONS

from ccsetup.clients.codex import start
from ccsetup.clients.codex.facts import pointed
from ccsetup.clients.codex.stops import stops
from ccsetup.clients.values import version as parsed
from ccsetup.documents import tomldoc
from ccsetup.errors import DocumentError
from ccsetup.paths import from_environ

DATA = Path(__file__).parents[2] / "data/codex-configurations/configurations.toml"
CONFIGURATIONS = {name: case["config"] for name, case in tomllib.loads(DATA.read_text("utf-8")).items()}


def real(version: str, home: Path, text: str) -> bool:
    """Tell whether the real client starts with *text*."""
    home.mkdir()
    (home / "config.toml").write_text(text)
    argv = client_install.command("codex", version)
    program = start.native(argv[-1])
    env = {"HOME": str(home), "CODEX_HOME": str(home), "PATH": os.defpath}
    done = subprocess.run([program, "features", "list"], cwd=home, env=env, capture_output=True, timeout=60)
    return done.returncode == 0


def ours(version: str, home: Path, text: str) -> bool:
    """Tell whether our list has nothing that stops the client; without asking it."""

    def read(value: str) -> str | None:
        path = Path(pointed(str(home), str(home), value))
        return path.read_text() if path.is_file() else None

    try:
        return not any(True for _stop in stops(tomldoc.parse(text), parsed(version), read=read))
    except DocumentError:
        return False


@pytest.mark.clients
@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_it_stops_codex_if_and_only_if_the_list_says_so(version: str, tmp_path: Path) -> None:
    """No configuration is refused that the list lets pass, and none loads that the list calls fatal."""
    assert len(CONFIGURATIONS) >= 60
    with ThreadPoolExecutor(2) as pool:
        loads = dict(
            zip(
                CONFIGURATIONS,
                pool.map(lambda n: real(version, tmp_path / n, CONFIGURATIONS[n]), CONFIGURATIONS),
                strict=True,
            )
        )
    assert {n: ours(version, tmp_path / n, t) for n, t in CONFIGURATIONS.items()} == loads


@pytest.mark.clients
@pytest.mark.parametrize("version", CODEX_VERSIONS)
def test_the_client_is_asked_without_touching_its_home(version: str, tmp_path: Path) -> None:
    """Its own words are returned with their line; the home is as it was."""
    home = tmp_path / ".codex"
    home.mkdir()
    text = 'model = "m"\nmodel_verbosity = 3\n'
    (home / "config.toml").write_text(text)
    path = tmp_path / "bin"
    path.mkdir()
    (path / "codex").symlink_to(client_install.command("codex", version)[-1])
    paths = from_environ({"HOME": str(tmp_path), "PATH": f"{path}{os.pathsep}{os.environ['PATH']}"})
    said = start.ask(paths, parsed(version), text)
    assert said is not None
    assert (said.loads, said.line) == (False, 2)
    assert "model_verbosity" in said.words
    loads = start.ask(paths, parsed(version), 'model = "m"\n')
    assert loads is not None
    assert loads.loads
    assert [p.name for p in home.iterdir()] == ["config.toml"]
