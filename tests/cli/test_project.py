"""``--project``: the folder's own settings, and no key where git would carry it away."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support import cc

KEY = "sk-project-key-0123456789"


@pytest.fixture
def project(home: Path, tmp_path: Path) -> Path:
    """A git work tree that holds nothing."""
    folder = tmp_path / "project"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def local(project: Path) -> Path:
    return project / ".claude" / "settings.local.json"


def test_init_and_official(home: Path, project: Path) -> None:
    """The user's settings stay as they are; the second run changes nothing; official leaves what was there."""
    cc.put(project, {".claude/settings.local.json": '{\n  "permissions": {"allow": ["Bash(ls)"]}\n}\n'})
    before = local(project).read_bytes()
    argv = ("init", "-s", "-p", "glm", "-k", KEY, "--project")
    done = cc.run(home, *argv, cwd=project)
    assert done.ok, done
    assert "does not ignore it" in done.stderr
    settings = json.loads(local(project).read_bytes())
    assert settings["env"]["ANTHROPIC_AUTH_TOKEN"] == KEY
    assert settings["permissions"] == {"allow": ["Bash(ls)"]}
    assert local(project).stat().st_mode & 0o077 == 0
    assert not (home / ".claude").exists()
    written = cc.files(project)
    shown = cc.run(home, "list", "--json", cwd=project).json["result"]["clients"]["claude-code"]
    assert (shown["profile"], shown["changed"]) == ("glm", False)
    assert "unchanged" in cc.run(home, *argv, cwd=project).stdout
    assert cc.run(home, "config-switch", "glm", "--project", "--check", cwd=project).rc == 0
    assert cc.files(project) == written
    assert cc.run(home, "config-switch", "official", "--project", cwd=project).ok
    assert local(project).read_bytes() == before


def test_a_tracked_file_gets_no_key(home: Path, project: Path) -> None:
    """git tracks the file: refused, with the way to do it, which works and keeps the key out."""
    cc.put(project, {".claude/settings.local.json": "{}\n"})
    subprocess.run(["git", "-C", str(project), "add", "-f", "."], check=True)
    refused = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "--project", cwd=project)
    assert refused.rc == 2, refused
    assert "--key-storage command" in refused.stderr
    assert local(project).read_bytes() == b"{}\n"
    done = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "--key-storage", "command", "--project", cwd=project)
    assert done.ok, done
    assert KEY not in local(project).read_text()
    assert "apiKeyHelper" in local(project).read_text()


def test_an_ignored_file_gets_no_warning(home: Path, project: Path) -> None:
    (project / ".gitignore").write_text(".claude/settings.local.json\n")
    done = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "--project", cwd=project)
    assert done.stderr == "", done
    assert (project / ".gitignore").read_text() == ".claude/settings.local.json\n"


def test_codex_says_what_to_do_instead(home: Path, project: Path) -> None:
    """Codex takes no provider from a project: its profile file is written, and the command that uses it is named."""
    done = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "-T", "codex", "--project", cwd=project)
    assert done.ok, done
    assert "codex -p glm" in done.stderr
    assert (home / ".codex/glm.config.toml").exists()
    assert not (home / ".codex/config.toml").exists()
    assert not local(project).exists()


def test_a_profile_that_a_project_uses_is_in_use(home: Path, project: Path) -> None:
    """It is not removed without --yes, and then the project's settings go with it; undo brings both back."""
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "--project", cwd=project).ok
    before = cc.files(project)
    refused = cc.run(home, "profile", "rm", "glm")
    assert refused.rc == 2
    assert str(project) in refused.stderr
    assert cc.run(home, "profile", "rm", "glm", "--yes").ok
    assert not local(project).exists()
    assert cc.run(home, "undo").ok
    assert cc.files(project) == before


def test_uninstall_takes_projects_too(home: Path, project: Path) -> None:
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "--project", cwd=project).ok
    assert cc.run(home, "uninstall", "--yes").ok
    assert not local(project).exists()


def test_the_home_folder_is_no_project(home: Path) -> None:
    done = cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "--project", cwd=home)
    assert done.rc == 2, done
    assert cc.files(home) == {}


OTHER = "test-key-fedcba9876543210"


@pytest.mark.parametrize(
    "argv",
    [
        ("-p", "glm", "-k", OTHER),
        ("-n", "glm", "-k", OTHER),
        ("-p", "glm", "-k", KEY, "-M", "glm-other"),
        ("-p", "glm", "-k", KEY, "--region", "intl"),
        ("-p", "kimi", "-n", "glm", "-k", KEY),
        ("-p", "glm", "-k", KEY, "--key-storage", "command"),
        ("-p", "glm", "--api-key-command", "echo x"),
    ],
    ids=" ".join,
)
def test_a_project_leaves_the_saved_profile_as_it_is(home: Path, tmp_path: Path, argv: tuple[str, ...]) -> None:
    """What is another profile needs another name: exit 2, nothing written."""
    project = tmp_path / "project"
    project.mkdir()
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY).ok
    before = cc.files(home)
    done = cc.run(home, "init", "-s", *argv, "--project", cwd=project)
    assert done.rc == 2, done
    assert "-n NAME" in done.stderr
    assert cc.files(home) == before
    assert not cc.files(project)
    if "glm" in argv[:2] and "-n" not in argv:
        assert cc.run(home, "init", "-s", *argv, "-n", "own", "--project", cwd=project).rc == 0


@pytest.mark.parametrize("argv", [("-p", "glm", "-k", KEY), ("-n", "glm"), ("-p", "glm")], ids=" ".join)
def test_the_saved_profile_is_used_in_a_project(home: Path, tmp_path: Path, argv: tuple[str, ...]) -> None:
    """With its own model and key, and the user's own settings untouched."""
    project = tmp_path / "project"
    project.mkdir()
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY, "-M", "glm-other", "--no-activate").ok
    assert cc.run(home, "init", "-s", "-p", "kimi", "-k", OTHER).ok
    before = cc.files(home)
    assert cc.run(home, "init", "-s", *argv, "--project", cwd=project).ok
    assert "glm-other" in (project / ".claude/settings.local.json").read_text()
    after = cc.files(home)
    assert {n: after[n] for n in before if n != ".claude.json"} == {n: before[n] for n in before if n != ".claude.json"}
