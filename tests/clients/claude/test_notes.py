"""Bedrock, Vertex, Foundry: what a switch, ``official`` and undo do about them, and who beats the own account."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from support import cc

from ccsetup.clients.claude import notes

KEY = "abcdef0123456789abcdef0123456789.AbCdEfGhIjKlMnOp"
SETTINGS = ".claude/settings.json"
CLOUDS = [
    (
        "CLAUDE_CODE_USE_BEDROCK",
        "Amazon Bedrock",
        {"AWS_REGION": "eu-west-1", "AWS_BEARER_TOKEN_BEDROCK": "ABSK-1234567"},
    ),
    ("CLAUDE_CODE_USE_VERTEX", "Google Vertex AI", {"ANTHROPIC_VERTEX_PROJECT_ID": "p", "CLOUD_ML_REGION": "global"}),
    ("CLAUDE_CODE_USE_FOUNDRY", "Microsoft Foundry", {"ANTHROPIC_FOUNDRY_API_KEY": "fk-1234567890abcdef"}),
    ("CLAUDE_CODE_USE_MANTLE", "Amazon Bedrock (Mantle)", {"AWS_REGION": "eu-west-1"}),
]


def env(home: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((home / SETTINGS).read_text())["env"]
    return found


@pytest.mark.parametrize(("name", "cloud", "more"), CLOUDS)
def test_a_switch_takes_the_cloud_away_and_official_gives_it_back(
    home: Path, name: str, cloud: str, more: dict[str, str]
) -> None:
    """The switch alone: regions and keys stay where they are, and are in no record; official says who is used then."""
    before = {name: "1", **more, "ANTHROPIC_MODEL": "mine"}
    cc.put(home, {SETTINGS: json.dumps({"env": before}, indent=2)})
    for _round in range(2):
        assert cc.main("init", "-s", "-p", "glm", "-T", "cc", "-k", KEY).rc == 0
        used = env(home)
        assert used["ANTHROPIC_BASE_URL"] == "https://open.bigmodel.cn/api/anthropic"
        assert used.get(name, "") == ""
        assert {k: used[k] for k in more} == more
        state = (home / ".local/state/ccsetup/state.json").read_text()
        assert not [v for v in more.values() if v in state and len(v) > 8]
        done = cc.main("config-switch", "official", "-T", "cc")
        assert done.rc == 5
        assert f"{name} is set: Claude Code uses {cloud}, not its own account." in done.stderr
        assert "it does not use its own account yet" in done.stdout
        assert env(home) == before
    assert "unchanged" in cc.main("config-switch", "official", "-T", "cc").stdout


@pytest.mark.parametrize(
    ("shell", "rc", "said"),
    [
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, 5, "Run: unset CLAUDE_CODE_USE_BEDROCK"),
        ({"CLAUDE_CODE_USE_VERTEX": "true"}, 5, "Run: unset CLAUDE_CODE_USE_VERTEX"),
        ({"CLAUDE_CODE_USE_VERTEX": "0"}, 0, "uses its own account"),
        ({"ANTHROPIC_BASE_URL": "https://x.example"}, 5, "ANTHROPIC_BASE_URL sends Claude Code to x.example"),
        ({"ANTHROPIC_BASE_URL": "https://api.anthropic.com"}, 0, "uses its own account"),
        ({"ANTHROPIC_AUTH_TOKEN": "glm-key-0123456789"}, 5, "ANTHROPIC_AUTH_TOKEN goes before your login"),
        ({"ANTHROPIC_API_KEY": "sk-ant-api03-0123456789abcdef"}, 0, "is used instead of your login"),
        ({"ANTHROPIC_API_KEY": ""}, 0, "uses its own account"),
    ],
)
def test_what_the_shell_does_to_the_own_account(home: Path, shell: dict[str, str], rc: int, said: str) -> None:
    """What beats it is named with what to do, exit 5; a key of Anthropic's own is its own account, too."""
    cc.put(home, {SETTINGS: "{}", "work/x": ""})
    if "ANTHROPIC_BASE_URL" in shell and rc == 0:
        shell = {**shell, "ANTHROPIC_API_KEY": "sk-ant-api03-0123456789abcdef"}
    done = cc.run(home, "config-switch", "official", "-T", "cc", env=shell, cwd=home / "work")
    assert (done.rc, said in done.stdout + done.stderr) == (rc, True), done


@pytest.mark.parametrize("id_", ["amazon-bedrock", "gcp"])
def test_a_provider_that_codex_has_itself(home: Path, id_: str) -> None:
    """It is none of ours and not the own account; a switch and back leave its table, and select it no more."""
    table = "[model_providers.amazon-bedrock.aws]\nregion = 'eu-west-1'\n" if id_ == "amazon-bedrock" else ""
    text = f'model = "x"\nmodel_provider = "{id_}"\n{table}'
    cc.put(home, {".codex/config.toml": text})
    shown = cc.main("list", "-T", "cx").stdout.splitlines()
    assert shown[0] == f"Codex: its own provider '{id_}' (not set up by ccsetup)"
    tested = cc.main("test", "-T", "cx", "--json").json["result"]["targets"][0]
    assert f"Codex uses its own provider '{id_}', which this test does not ask" in json.dumps(tested)
    assert cc.main("init", "-s", "-p", "glm", "-T", "cx", "-k", KEY).ok
    assert cc.main("config-switch", "official", "-T", "cx").rc == 0
    assert (home / ".codex/config.toml").read_text() == table
    assert cc.main("undo").ok
    assert cc.main("undo").ok
    assert (home / ".codex/config.toml").read_text() == text


MANAGED = "claude-code/managed-settings.json"
MINE = "https://mine.example/a"


@pytest.mark.parametrize(
    ("managed", "rc", "says"),
    [
        ({"env": {"ANTHROPIC_BASE_URL": "https://corp.example"}}, 5, "they win: ANTHROPIC_BASE_URL"),
        ({"env": {"ANTHROPIC_BASE_URL": ""}}, 5, "they win: ANTHROPIC_BASE_URL"),
        ({"env": {"CLAUDE_CODE_USE_BEDROCK": "1"}}, 5, "CLAUDE_CODE_USE_BEDROCK makes Claude Code ignore"),
        ({"forceLoginMethod": "console"}, 5, "requires a login at Anthropic"),
        ({"env": {"ANTHROPIC_BASE_URL": MINE}}, 0, "they win: ANTHROPIC_BASE_URL"),
        ({"env": {"ANTHROPIC_BASE_URL": f"{MINE}/"}}, 0, "they win: ANTHROPIC_BASE_URL"),
        ({"env": {"ANTHROPIC_AUTH_TOKEN": "corp-key-0123456789"}}, 0, "they win: ANTHROPIC_AUTH_TOKEN"),
        ({"apiKeyHelper": "echo x"}, 0, "apiKeyHelper stands next to a key"),
        ({"availableModels": ["m2"]}, 0, "availableModels shuts m1 out"),
        ({"env": {"ANTHROPIC_CUSTOM_HEADERS": "Authorization: Bearer x"}}, 0, "sends a key to this provider too"),
    ],
)
def test_what_the_administrator_does_to_a_switch(
    home: Path, monkeypatch: pytest.MonkeyPatch, managed: dict[str, object], rc: int, says: str
) -> None:
    """Only what keeps requests from the profile's address is exit 5; nobody is told to change those files."""
    cc.put(home, {f"etc/{MANAGED}": json.dumps(managed), SETTINGS: "{}"})
    monkeypatch.setattr(notes, "notes", partial(notes.notes, etc=str(home / "etc")))
    command = ("init", "-s", "-p", "custom", "-n", "a", "-T", "cc", "-k", KEY, "-u", MINE, "-M", "m1", "--json")
    done = cc.main(*command)
    assert done.rc == rc, done
    said = [n for n in done.json["notes"] if "managed-settings" in n["text"]]
    assert any(says in n["text"] for n in said), said
    assert {n["hint"] for n in said} == {"Ask your administrator."}
    assert ("blocked" in {n["level"] for n in said}) == (rc == 5)


def test_a_helper_of_somebody_else_goes_before_the_login(home: Path) -> None:
    """What it prints is sent, not the login; with a key beside it, the key is named alone."""
    said = "~/.claude/settings.json:2: apiKeyHelper goes before your login: what it prints is sent in its place."
    cc.put(home, {SETTINGS: json.dumps({"apiKeyHelper": "echo x"}, indent=2)})
    done = cc.main("config-switch", "official", "-T", "cc")
    assert (done.rc, said in done.stderr) == (0, True), done
