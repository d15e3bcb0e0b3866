"""What the relay's profile writes so that the clients' own ``/model`` shows what the relay serves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import cc, world

KEY = "sk-test-0123456789abcdef"
SETTINGS = ".claude/settings.json"
DISCOVERY = "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY"


@pytest.fixture
def relayed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with the profiles glm and kimi, of which a relay asks both, and no client uses any."""
    monkeypatch.setattr("ccsetup.cli.relay._up.start_for_clients", lambda _context: None)
    for name in ("glm", "kimi"):
        assert cc.main("init", "-s", "-p", name, "-k", KEY + name, "-T", "all", "--no-activate").ok
    assert cc.main("relay", "init", "--from-profiles", "glm,kimi").ok
    return home


def settings(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / SETTINGS).read_text())
    return found


def test_claude_code_looks_for_the_models_of_the_relay_alone(relayed: Path) -> None:
    """The variable comes with the profile and goes with it; what the user had there comes back."""
    cc.put(relayed, {SETTINGS: json.dumps({"env": {DISCOVERY: "0"}})})
    for name, expected in (("relay", "1"), ("relay", "1"), ("glm", "0"), ("relay", "1"), ("official", "0")):
        assert cc.main("config-switch", name).ok
        assert settings(relayed)["env"].get(DISCOVERY) == expected


def test_a_terminal_gets_the_variable_too(relayed: Path) -> None:
    """``ccsetup env`` of the relay's profile has it, and of another one has not."""
    assert f"export {DISCOVERY}='1'" in cc.main("env", "relay", "-T", "claude-code").stdout
    assert DISCOVERY not in cc.main("env", "glm", "-T", "claude-code").stdout


@pytest.mark.parametrize("before", [None, "opus", "ccsetup-claude/old"])
@pytest.mark.parametrize("to", ["glm", "official"])
@pytest.mark.parametrize(
    ("picked", "left"),
    [
        ("ccsetup-claude/kimi/kimi-k3", False),
        ("ccsetup-claude/glm-5.3[1m]", False),
        ("sonnet", True),
        ("claude-opus-5-5", True),
    ],
)
def test_a_pick_that_only_the_relay_knows_does_not_stay(
    relayed: Path, before: str | None, to: str, picked: str, left: bool
) -> None:
    """``model`` in settings.json is what /model wrote: another provider, and the account, would be asked for it."""
    cc.put(relayed, {SETTINGS: json.dumps({"model": before} if before else {})})
    assert cc.main("config-switch", "relay").ok
    assert settings(relayed).get("model") == before
    cc.put(relayed, {SETTINGS: json.dumps({**settings(relayed), "model": picked})})
    assert cc.main("config-switch", "relay").ok
    assert settings(relayed)["model"] == picked
    assert cc.main("config-switch", to).ok
    if left:
        assert settings(relayed)["model"] == picked
    else:
        assert "ccsetup-claude/" not in str(settings(relayed).get("model"))


@pytest.mark.parametrize(("version", "listed"), [("2.0.76", False), ("2.1.197", True), ("2.1.329", False)])
def test_an_older_release_gets_a_list_in_its_own_file(
    relayed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, listed: bool
) -> None:
    """Where it does not ask the relay; the list goes with the profile, and what stood there comes back."""
    monkeypatch.setenv("PATH", str(world.clients(tmp_path / "programs", claude=version)))
    path = relayed / ".claude.json"
    mine = [{"value": "mine", "label": "Mine", "description": "was there"}]
    cc.put(relayed, {".claude.json": json.dumps({"additionalModelOptionsCache": mine})})
    assert cc.main("config-switch", "relay").ok
    found = json.loads(path.read_text())["additionalModelOptionsCache"]
    if listed:
        rows = {one["value"]: one["label"] for one in found}
        assert rows["ccsetup-claude/glm-5.3[1m]"] == "glm-5.3"
        assert rows["ccsetup-claude/kimi-k3[1m]"] == "kimi-k3"
        assert {"glm, 1,000,000 tokens", "kimi, 1,048,576 tokens"} <= {one["description"] for one in found}
    else:
        assert found == mine
    assert cc.main("config-switch", "glm").ok
    assert json.loads(path.read_text())["additionalModelOptionsCache"] == mine
