"""Every check of ``ccsetup doctor`` on a home that is broken in its way: what it says, the repair, and the way back."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import cc, sick, world
from support.sick import CASES, CONFIG, KEY, SETTINGS, Case
from support.terminal import Terminal

from ccsetup import presets
from ccsetup.clients import releases
from ccsetup.doctor.checks import checks

URL = "http://127.0.0.1:9"
NEW, OLD = releases.CODEX[:2]
VERSION = ("--codex-version", NEW)


@pytest.fixture(autouse=True)
def work(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the commands run in, on a machine where both clients are installed."""
    monkeypatch.setenv("PATH", f"{world.clients(tmp_path / 'clients')}{os.pathsep}{os.environ['PATH']}")
    folder = home / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def doctor(*argv: str) -> cc.Result:
    return cc.main("doctor", *VERSION, *argv)


def findings(id: str, result: cc.Result) -> list[dict[str, Any]]:
    checks = {c["id"]: c for c in result.json["result"]["checks"]}
    return list(checks[id]["findings"])


def arranged(case: Case, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in case.put(home, URL).items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("case", CASES, ids=[c.title for c in CASES])
def test_finding(case: Case, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The defect is named with file and line, and is of the right weight; no key is printed; nothing is written."""
    arranged(case, home, monkeypatch)
    before = cc.files(home, records=True)
    result = doctor("--json")
    assert cc.files(home, records=True) == before
    found = [f for f in findings(case.id, result) if case.said in f["text"]]
    assert len(found) == 1, result
    place = found[0]["file"].replace("~/", "", 1) + (f":{found[0]['line']}" if found[0]["line"] else "")
    assert place == case.place
    assert found[0]["level"] == case.level
    assert found[0]["fixable"] == case.repaired
    assert result.rc == (1 if any(c["result"] == "problem" for c in result.json["result"]["checks"]) else 0)
    if case.level == "problem":
        assert result.rc == 1
    shown = doctor()
    for text in (result.stdout, shown.stdout):
        assert KEY not in text
        assert sick.OTHER not in text


REPAIRED = [c for c in CASES if c.repaired]


@pytest.mark.parametrize("case", REPAIRED, ids=[c.title for c in REPAIRED])
def test_repair(case: Case, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--fix takes the defect away, a second --fix changes nothing, and undo gives every byte back."""
    arranged(case, home, monkeypatch)
    before = cc.files(home)
    dry = doctor("--fix", "--dry-run")
    assert cc.files(home) == before
    result = doctor("--fix", "--yes")
    assert KEY not in dry.stdout + result.stdout
    assert sick.OTHER not in dry.stdout + result.stdout
    after = doctor("--json")
    assert not [f for f in findings(case.id, after) if case.said in f["text"]], (result, after)
    assert not [f for c in after.json["result"]["checks"] for f in c["findings"] if f["fixable"]], after
    done = cc.files(home, records=True)
    again = doctor("--fix", "--yes")
    assert again.rc == result.rc
    assert cc.files(home, records=True) == done
    if cc.files(home) != before:
        undone = cc.main("undo")
        assert undone.ok, undone
        assert cc.files(home) == before


@pytest.mark.parametrize("case", [c for c in CASES if not c.repaired], ids=[c.title for c in CASES if not c.repaired])
def test_what_needs_a_person_stays(case: Case, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing tells what is right, --fix leaves the finding and the file, and says what to type."""
    arranged(case, home, monkeypatch)
    before = cc.files(home)
    doctor("--fix", "--yes")
    found = [f for f in findings(case.id, doctor("--json")) if case.said in f["text"]]
    assert len(found) == 1
    assert found[0]["fix"]
    name = case.place.rpartition(":")[0] or case.place
    if name:
        assert cc.files(home)[name] == before[name]


def test_healthy(home: Path) -> None:
    """A home that ccsetup set up has nothing to find."""
    assert cc.main("init", "-s", "-p", "glm", "-k", KEY, "-T", "all", *VERSION).ok
    result = doctor("--json")
    assert result.rc == 0, result
    assert not [f for c in result.json["result"]["checks"] for f in c["findings"]], result
    assert doctor("--fix", "--yes").rc == 0


@pytest.mark.parametrize("preset", presets.ids())
def test_presets_are_healthy(home: Path, preset: str) -> None:
    """What ccsetup writes for a preset is no defect to the doctor, in any region and for both clients."""
    for region in presets.load(preset).regions:
        for client in ("claude-code", "codex"):
            argv = ("init", "-s", "-p", preset, "-k", KEY, "-T", client, "--region", region.id, "-n", f"a-{client}")
            own = ("-u", "https://gateway.example/api", "-M", "own-model") if preset == "custom" else ()
            done = cc.main(*argv, *own, *VERSION)
            if not done.ok:
                assert "no endpoint" in done.stderr or "only Chat" in done.stderr or "needs a model" in done.stderr, (
                    done
                )
        result = doctor("--json")
        found = [f["text"] for c in result.json["result"]["checks"] for f in c["findings"]]
        assert not found, (region.id, found)


@pytest.mark.parametrize("storage", ["inline", "command", "env", "dotenv"])
def test_own_key_storages_are_healthy(home: Path, storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No way in which ccsetup keeps a key is a defect to the doctor."""
    monkeypatch.setenv("MY_KEY", KEY)
    more = ("--key-env-name", "MY_KEY") if storage in ("env", "dotenv") else ()
    given = ("-k", KEY) if storage != "env" else ()
    argv = ("init", "-s", "-p", "kimi", *given, "-T", "codex", "--key-storage", storage, *more)
    done = cc.main(*argv, *VERSION)
    assert done.ok, done
    result = doctor("--json")
    assert not [f for c in result.json["result"]["checks"] for f in c["findings"]], result


def test_empty_home(home: Path) -> None:
    """Nothing is set up: nothing is wrong, and nothing is written."""
    result = doctor()
    assert result.rc == 0
    assert "checks passed." in result.stdout
    assert cc.files(home, records=True) == {}


def test_fix_asks(home: Path) -> None:
    """Without a terminal and without --yes, --fix writes nothing and says what to type (exit 2)."""
    cc.put(home, {CONFIG: sick.config(wire='wire_api = "chat"\n')})
    before = cc.files(home, records=True)
    for argv in (("--fix",), ("--fix", "--json"), ("--yes",), ("--dry-run",)):
        result = doctor(*argv)
        assert result.rc == 2, result
    assert "doctor --fix --yes" in doctor("--fix").stderr
    assert cc.files(home, records=True) == before


def test_json_after_fix(home: Path) -> None:
    """The envelope says what was repaired, in which files, and the state after it."""
    cc.put(home, {CONFIG: sick.config(wire='wire_api = "chat"\n')})
    result = doctor("--fix", "--yes", "--json").json["result"]
    assert [f["id"] for f in result["fixed"]] == ["codex-wire-api"]
    assert result["files"] == ["~/.codex/config.toml"]
    assert result["changed"] is True
    assert result["healthy"] is True
    dry = doctor("--fix", "--dry-run", "--json").json["result"]
    assert dry["healthy"] is True
    assert not dry["changed"]


def test_known_chat_endpoint_moves_with_its_model(home: Path) -> None:
    """A GLM provider of the chat kind gets today's Responses address, and today's model."""
    case = next(c for c in CASES if c.title == "codex-wire-api-glm")
    case.put(home, URL)
    doctor("--fix", "--yes")
    text = (home / CONFIG).read_text()
    assert 'base_url = "https://open.bigmodel.cn/api/v1"' in text
    assert 'model = "glm-5.3"' in text
    assert 'wire_api = "responses"' in text


def test_chat_only_provider(home: Path) -> None:
    """A provider that speaks only chat is taken out where nothing uses it; in use it is left, with the way out."""
    old = (
        '\n[model_providers.nv]\nname = "NVIDIA"\nbase_url = "https://integrate.api.nvidia.com/v1"\nwire_api = "chat"\n'
    )
    cc.put(home, {CONFIG: sick.config(more=old)})
    doctor("--fix", "--yes")
    assert "nvidia" not in (home / CONFIG).read_text()
    cc.put(home, {CONFIG: sick.config(top='model = "m"\nmodel_provider = "nv"\n', more=old)})
    result = doctor("--fix", "--yes")
    assert result.rc == 1
    assert "ccsetup config-switch official -T codex" in result.stdout


def test_profile_tables_move_to_files(home: Path) -> None:
    """[profiles.x] becomes x.config.toml with all its keys; a file that is there already keeps its own values."""
    more = '\n[profiles.fast]\nmodel = "m-fast"\nmodel_reasoning_effort = "low"\n[profiles.fast.features]\nweb = true\n'
    cc.put(home, {CONFIG: sick.config(more=more), ".codex/fast.config.toml": 'model = "kept"\n'})
    assert doctor("--fix", "--yes").rc == 0
    text = (home / ".codex/fast.config.toml").read_text()
    assert 'model = "kept"' in text
    assert 'model_reasoning_effort = "low"' in text
    assert "web = true" in text
    assert "profiles" not in (home / CONFIG).read_text()


def test_versions_decide(home: Path) -> None:
    """What an older Codex takes is no defect for it."""
    text = sick.config(wire='wire_api = "chat"\n', top='profile = "a"\nmodel = "m"\nmodel_provider = "mine"\n',
                       more='\n[profiles.a]\nmodel = "m"\n')  # fmt: skip
    cc.put(home, {CONFIG: text})
    result = cc.main("doctor", "--json", "--codex-version", "0.94.0")
    assert not findings("codex-wire-api", result)
    assert not findings("codex-legacy-profile", result)


def test_git(home: Path, work: Path) -> None:
    """A key in a file that git tracks is a problem, in one that it would take along a warning, else fine."""
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    local = work / ".claude/settings.local.json"
    local.parent.mkdir()
    local.write_text(json.dumps({"env": {"ANTHROPIC_AUTH_TOKEN": KEY}}))
    local.chmod(0o600)
    assert [f["level"] for f in findings("git", doctor("--json"))] == ["warning"]
    subprocess.run(["git", "-C", str(work), "add", "-A"], check=True)
    assert [f["level"] for f in findings("git", doctor("--json"))] == ["problem"]
    subprocess.run(["git", "-C", str(work), "rm", "-rq", "--cached", "."], check=True)
    (work / ".gitignore").write_text(".claude/settings.local.json\n")
    assert not findings("git", doctor("--json"))


def test_managed(home: Path, tmp_path: Path) -> None:
    """What an administrator sets is named with its file, for both clients."""
    from ccsetup import disk, paths
    from ccsetup.change.draft import Draft
    from ccsetup.clients.house import RelayState
    from ccsetup.doctor import look, repair
    from ccsetup.doctor.checks import examine

    etc = tmp_path / "etc"
    cc.put(etc, {
        "claude-code/managed-settings.json": '{"forceLoginMethod": "claudeai"}',
        "claude-code/managed-settings.d/10.json": '{"env": {\n"ANTHROPIC_BASE_URL": "https://corp.example"}}',
        "codex/managed_config.toml": 'model_provider = "corp"\n',
        "codex/config.toml": '[model_providers.a]\nname = "A"\nwire_api = "chat"\n',
    })  # fmt: skip
    where = paths.from_environ(os.environ)
    facts = look.facts(
        where, etc=str(etc), keyring=lambda name: None, relay=RelayState(lambda _url: ("", ""), lambda: ("", 0))
    )
    house = repair.view(facts, Draft(lambda p: disk.snapshot([p])[p], where.short))
    found = {(o.check.id, f.path.rpartition("/")[2], f.line) for o in examine(house) for f in o.findings}
    assert ("claude-managed", "managed-settings.json", 1) in found
    assert ("claude-managed", "10.json", 2) in found
    assert ("codex-managed", "managed_config.toml", 1) in found
    assert ("codex-managed", "config.toml", 3) in found


def test_modes_are_taken_back_by_nothing(home: Path) -> None:
    """Files with keys become 0600, others' copies too; undo does not open them again."""
    cc.put(home, {SETTINGS: sick.settings(), ".codex/auth.json": json.dumps({"OPENAI_API_KEY": KEY}),
                  ".claude/settings.json.bak": sick.settings(), ".claude/CLAUDE.md": "mine\n"}, 0o644)  # fmt: skip
    assert "mode 0644 becomes 0600" in doctor("--fix", "--yes").stdout
    modes = cc.modes(home)
    assert modes[SETTINGS] == modes[".codex/auth.json"] == modes[".claude/settings.json.bak"] == 0o600
    assert modes[".claude/CLAUDE.md"] == 0o644
    cc.main("undo")
    assert cc.modes(home)[SETTINGS] == 0o600


def test_broken_link_and_foreign_bytes(home: Path) -> None:
    """A link to nowhere, a folder in place of a file, and bytes that are no text are said, not fatal."""
    (home / ".claude").mkdir()
    (home / ".claude/settings.json").symlink_to(home / "nowhere")
    (home / ".codex/config.toml").mkdir(parents=True)
    cc.put(home, {".codex/auth.json": b"\xff\xfe\x00{"})
    result = doctor("--json")
    assert result.rc == 1, result
    assert findings("codex-syntax", result)
    assert doctor("--fix", "--yes").rc == 1


def test_unfinished_change(home: Path) -> None:
    """A change that was killed halfway is named, and --fix takes it back as a whole."""
    cc.put(home, {SETTINGS: "{}\n"})
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", KEY).ok
    journal = home / ".local/state/ccsetup/journal"
    (journal / "000001.json").rename(journal / "000001.pending")
    result = doctor("--json")
    assert result.rc == 1
    assert "init" in findings("unfinished-change", result)[0]["text"]
    assert doctor("--fix", "--yes").rc == 0
    assert (home / SETTINGS).read_text() == "{}\n"
    assert not findings("unfinished-change", doctor("--json"))


def test_background_process(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Codex in the background is stale when it is of another version, or older than the files with keys."""
    program = tmp_path / "bin/codex"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    def said(status: str, server: str) -> list[str]:
        # The shape is that of Codex 0.169.0.
        answer = {"status": status, "backend": "pid", "cliVersion": NEW, "appServerVersion": server}
        program.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
        program.chmod(0o755)
        return [f["text"] for f in findings("codex-background", doctor("--json"))]

    cc.put(home, {CONFIG: sick.config()})
    assert said("running", OLD) == []  # none was ever started
    cc.put(home, {".codex/app-server-daemon/daemon.pid": "{}"})
    assert said("running", NEW) == []
    assert said("running", OLD) == [f"A Codex {OLD} runs in the background; {NEW} is installed."]
    assert said("stopped", OLD) == []
    sick.age(home / ".codex/app-server-daemon/daemon.pid")
    cc.put(home, {".codex/.env": "A='b'\n"})
    assert "keeps the old keys" in said("running", NEW)[0]


def test_clients_that_are_absent(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is not on PATH is said, with how to get it, where its settings are there or no client is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    cc.put(home, sick.GOOD)
    result = cc.main("doctor", "--json")
    assert [f["text"] for f in findings("clients", result)] == ["Claude Code is not on PATH.", "Codex is not on PATH."]
    assert "npm install" in findings("clients", result)[0]["fix"]
    assert result.json["result"]["clients"] == {"claude-code": None, "codex": None}
    assert "not found" in cc.main("doctor").stdout


@pytest.mark.parametrize("answer", ["y", "n"])
def test_at_a_terminal(home: Path, answer: str) -> None:
    """The repairs are shown as a diff, and carried out on y alone."""
    cc.put(home, {CONFIG: sick.config(wire='wire_api = "chat"\n')})
    before = cc.files(home, records=True)
    with Terminal(home, "doctor", *VERSION, "--fix") as terminal:
        terminal.answer("[y/N]", answer + "\r")
        assert terminal.ends() == (0 if answer == "y" else 1)
        seen = terminal.text
    assert '+wire_api = "responses"' in seen
    assert KEY not in seen
    assert ('"responses"' in (home / CONFIG).read_text()) == (answer == "y")
    if answer == "n":
        assert cc.files(home, records=True) == before


def test_every_check_has_a_case() -> None:
    """No check goes without a broken home: the others have tests of their own above or beside this, codex-saved
    and codex-loads have them with the real client (tests/sessions/test_codex_profiles.py, tests/clients/codex),
    codex-history in tests/change/test_history.py.
    """
    managed = {"claude-managed", "codex-managed", "codex-history"}
    elsewhere = managed | {"clients", "unfinished-change", "codex-background", "codex-saved", "codex-loads", "git"}
    assert {c.id for c in checks()} - elsewhere == {c.id for c in CASES}


def test_every_check_has_a_section() -> None:
    """docs/reference/doctor.md has a section for each check, under its client, and for nothing else."""
    page = (Path(__file__).parents[2] / "docs/reference/doctor.md").read_text("utf-8")
    parts = dict(zip(*[iter(re.split(r"^## (.*)$", page, flags=re.M)[1:])] * 2, strict=True))
    owners = {"Both clients": None, "Claude Code": "claude-code", "Codex": "codex"}
    for title, client in owners.items():
        said = set(re.findall(r"^### (.*)$", parts[title], re.M))
        assert said == {c.id for c in checks() if c.client == client}
