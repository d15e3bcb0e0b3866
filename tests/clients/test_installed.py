"""The version of an installed client, told by files where they tell it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ccsetup.clients import installed
from ccsetup.clients.codex import start


def npm(root: Path, package: str, program: str, version: str, *, body: str = "#!/bin/sh\nexit 1\n") -> Path:
    """Install *package* as npm does; return the folder with the link to its program."""
    folder = root / "node_modules" / package
    (folder / "bin").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": package, "version": version}))
    script = folder / "bin" / f"{program}.js"
    script.write_text(body)
    script.chmod(0o755)
    links = root / "node_modules" / ".bin"
    links.mkdir(exist_ok=True)
    (links / program).symlink_to(os.path.relpath(script, links))
    return links


def script(folder: Path, program: str, body: str) -> Path:
    """Write an executable into *folder*; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / program).write_text(body)
    (folder / program).chmod(0o755)
    return folder


def test_npm(tmp_path: Path) -> None:
    """An npm install is read from its package.json, and the program (which fails here) is not run."""
    codex = npm(tmp_path / "a", "@openai/codex", "codex", "0.133.0")
    claude = npm(tmp_path / "b", "@anthropic-ai/claude-code", "claude", "2.0.76")
    environ = {"PATH": f"{codex}:{claude}"}
    assert start.codex_version(environ) == (0, 133, 0)
    assert installed.claude_version(environ) == (2, 0, 76)


def test_claude_of_the_native_installer(tmp_path: Path) -> None:
    """The native installer's link names the version."""
    real = script(tmp_path / "share/claude/versions", "2.1.329", "#!/bin/sh\nexit 1\n") / "2.1.329"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/claude").symlink_to(real)
    assert installed.claude_version({"PATH": str(tmp_path / "bin")}) == (2, 1, 329)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("#!/bin/sh\necho codex-cli 0.160.1\n", (0, 160, 1)),
        ("#!/bin/sh\necho 'codex-cli 0.170.0-alpha.2'\n", (0, 170, 0)),
        ("#!/bin/sh\necho nothing\n", None),
        ("#!/bin/sh\nexit 3\n", None),
        ("not a program", None),
        ("#!/no/such/interpreter\n", None),
    ],
)
def test_another_codex_is_asked(tmp_path: Path, body: str, wanted: object) -> None:
    """A codex that is no npm install prints its version; one that does not is as if it were not there."""
    assert start.codex_version({"PATH": str(script(tmp_path, "codex", body))}) == wanted


def test_another_claude_is_asked_when_there_is_time(tmp_path: Path) -> None:
    """A claude whose files do not tell its version is run only for those who can wait for it."""
    folder = script(tmp_path, "claude", f"#!/bin/sh\ntouch {tmp_path}/ran\necho '2.1.0 (Claude Code)'\n")
    assert installed.claude_version({"PATH": str(folder)}, run=False) is None
    assert not (tmp_path / "ran").exists()
    assert installed.claude_version({"PATH": str(folder)}) == (2, 1, 0)


def test_nothing_is_installed(tmp_path: Path) -> None:
    """No PATH, an empty one, relative folders (never looked into) and files that cannot be run give None."""
    (tmp_path / "codex").write_text("#!/bin/sh\necho 0.1.0\n")
    for environ in ({}, {"PATH": ""}, {"PATH": "."}, {"PATH": str(tmp_path)}, {"PATH": f"{tmp_path}/none"}):
        assert start.codex_version(environ) is None
        assert installed.claude_version(environ) is None


def test_a_foreign_package_is_asked(tmp_path: Path) -> None:
    """A package.json of something else beside the program tells nothing."""
    links = npm(tmp_path, "wrapper", "codex", "9.9.9", body="#!/bin/sh\necho codex-cli 0.150.0\n")
    assert start.codex_version({"PATH": str(links)}) == (0, 150, 0)


def test_a_broken_package_json(tmp_path: Path) -> None:
    """Nonsense beside the program is passed over."""
    links = npm(tmp_path, "@openai/codex", "codex", "x.y", body="#!/bin/sh\necho codex-cli 0.150.0\n")
    assert start.codex_version({"PATH": str(links)}) == (0, 150, 0)
    path = tmp_path / "node_modules/@openai/codex/package.json"
    path.write_bytes(b"\xff\xfe\x00")
    assert start.codex_version({"PATH": str(links)}) == (0, 150, 0)


def test_every_codex_that_is_there(tmp_path: Path) -> None:
    """Those on PATH, behind each other, and the one that an editor's extension brings; each version once."""
    folders = []
    for version in ("0.133.0", "0.150.0", "0.133.0"):
        package = tmp_path / f"npm-{len(folders)}"
        (package / "bin").mkdir(parents=True)
        (package / "package.json").write_text(f'{{"name": "@openai/codex", "version": "{version}"}}')
        program = package / "bin" / "codex"
        program.write_text("#!/bin/sh\nexit 1\n")
        program.chmod(0o755)
        folders.append(str(package / "bin"))
    home = tmp_path / "home"
    own = home / ".vscode/extensions/openai.chatgpt-26.11.1-linux-x64/bin/linux-x86_64/codex"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\necho codex-cli 0.165.0\n")
    own.chmod(0o755)
    (home / ".vscode/extensions/other.codex-1.0.0/bin/x").mkdir(parents=True)
    path = {"PATH": ":".join(folders)}
    assert start.codex_versions(path, str(home)) == ((0, 133, 0), (0, 150, 0), (0, 165, 0))
    assert start.codex_version(path, str(home)) == (0, 165, 0)
    assert start.codex_versions({"PATH": ""}, str(tmp_path)) == ()
