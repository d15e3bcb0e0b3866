"""The recipes of ``examples/``, executed in a fresh home; Ansible really runs, against this machine.

There is no container engine here: the shell lines of the other recipes are taken out and executed.  What installs
programs (npm, pipx, apt-get) is replaced by a program that does nothing; ``ccsetup`` is this checkout.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support import cc, peers, waiting

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
KEY = "sk-0123456789abcdef"


@pytest.fixture
def work(home: Path, tmp_path: Path) -> Path:
    """A folder with the example files, as a checkout of the team's repository."""
    folder = tmp_path / "work"
    folder.mkdir()
    for path in EXAMPLES.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def shell(work: Path, home: Path, line: str) -> str:
    """Execute *line* in *work* and return its output; it has to succeed."""
    programs = work.parent / "bin"
    programs.mkdir(exist_ok=True)
    for name in ("npm", "pipx", "apt-get"):
        (programs / name).write_text("#!/bin/sh\n")
    (programs / "ccsetup").write_text(f'#!/bin/sh\nexec {sys.executable} -m ccsetup "$@"\n')
    for path in programs.iterdir():
        path.chmod(0o755)
    env = cc.environment(home, {"PATH": f"{programs}:{os.environ['PATH']}", "ZHIPU_API_KEY": KEY})
    line = line.replace("/var/lib/apt/lists", str(work / "none"))
    done = subprocess.run(
        ["/bin/sh", "-ec", line], env=env, cwd=work, capture_output=True, text=True, timeout=waiting.LIMIT
    )
    assert done.returncode == 0, (line, done)
    return done.stdout


def check(home: Path) -> None:
    """Assert that both clients use glm, and that no file holds a key."""
    listed = cc.run(home, "list", "--json").json["result"]["clients"]
    assert {c: v["profile"] for c, v in listed.items()} == {"claude-code": "glm", "codex": "glm"}
    assert KEY.encode() not in b"".join(cc.files(home, records=True).values())


def test_dockerfile(work: Path, home: Path) -> None:
    """The image's clients are set up without a key at hand, and its last line proves that nothing is left to do."""
    text = (work / "Dockerfile").read_text("utf-8")
    lines = re.findall(r"^(RUN|COPY) (.*)$", text, re.M)
    assert [what for kind, what in lines if kind == "COPY"] == ["team.yaml team.yaml"]
    for kind, line in lines:
        if kind == "RUN":
            shell(work, home, line)
    check(home)


def test_github_actions(work: Path, home: Path) -> None:
    """The steps set both clients up; the last one, which asks the provider, is only looked at."""
    steps = yaml.safe_load((work / "github-actions.yml").read_text("utf-8"))["jobs"]["review"]["steps"]
    runs = [step["run"] for step in steps if "run" in step]
    assert runs[-1] == "ccsetup test glm"
    out = [shell(work, home, run) for run in runs[:-1]]
    assert "glm" in out[-1]
    check(home)


def test_devcontainer(work: Path, home: Path) -> None:
    data = json.loads((work / "devcontainer.json").read_text("utf-8"))
    for command in ("onCreateCommand", "postCreateCommand"):
        shell(work, home, data[command])
    check(home)


def test_ansible(work: Path, home: Path) -> None:
    """The playbook changes a fresh machine, the second time nothing; in check mode it tells and does not write."""
    program = peers.ansible()
    argv = f"{program} -i localhost, -c local -e ansible_python_interpreter={sys.executable} --skip-tags install"
    line = f"{argv} -e '{json.dumps({'keys': {'ZHIPU_API_KEY': KEY}})}' ansible.yml"

    told = shell(work, home, line + " --check")
    assert "changed=1" in told
    assert not (home / ".claude").exists()
    first = shell(work, home, line)
    assert "changed=1" in first, first
    check(home)
    before = cc.files(home)
    second = shell(work, home, line)
    assert "changed=0" in second
    assert "failed=0" in second
    after = cc.files(home)
    ours = [n for n in before if not n.startswith(".ansible")]
    assert {n: after[n] for n in ours} == {n: before[n] for n in ours}
