"""The real clients and a relay of five profiles: their lists of models, and switches in the middle of a session."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from support import cc, client_install, clients
from support.emulator import PRESETS, Emulator
from support.screen import AVAILABLE, Screen

pytestmark = pytest.mark.clients

NAMES = ("glm", "kimi", "deepseek", "minimax", "openrouter")
RELEASES = {version: clients.version_key(version) for version in clients.CLAUDE_VERSIONS}
NOWHERE = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
SILENT = ("-c", "features.plugins=false", "-c", "features.apps=false", "-c", "analytics.enabled=false")


class Served(NamedTuple):
    """A relay that asks five profiles, and the providers behind them."""

    home: Path
    providers: dict[str, Emulator]
    models: dict[str, dict[str, Any]]
    """What the presets say of every model, by its id; with ``owner``."""

    def asked(self) -> list[tuple[str, str]]:
        """Return who was asked for which model, in the order of the providers."""
        return [
            (name, call.model or "")
            for name, one in self.providers.items()
            for call in one.calls
            if call.kind in ("messages", "responses", "chat")
        ]


@pytest.fixture
def served(home: Path) -> Iterator[Served]:
    with contextlib.ExitStack() as stack:
        providers = {name: stack.enter_context(Emulator(name)) for name in NAMES}
        models: dict[str, dict[str, Any]] = {}
        for name, one in providers.items():
            cc.put(home, {f".config/ccsetup/presets/{name}.yaml": one.preset_yaml})
            done = cc.run(home, "init", "-s", "-p", name, "-k", one.key, "-T", "all", "--no-activate")
            assert done.ok, done
            preset = yaml.safe_load((PRESETS / f"{name}.yaml").read_text("utf-8"))
            here, old = preset["regions"][0]["id"], {model["id"] for model in preset.get("legacy_models", ())}
            for model in preset["models"]:
                if model["id"] not in old and here in model.get("regions", [here]):
                    models.setdefault(model["id"], {**model, "owner": name})
        done = cc.run(home, "relay", "init")
        assert done.ok, done
        yield Served(home, providers, models)
        cc.run(home, "relay", "stop", "--now")


def switch(home: Path, client: str, version: str) -> None:
    """Have *client* use the relay, which starts it, as the user does who has *version* of it."""
    done = cc.run(home, "config-switch", "relay", "-T", client, env=clients.path_with(client, version))
    assert done.ok, done


@pytest.mark.parametrize("version", clients.CODEX_VERSIONS)
def test_codex_catalogue_holds_every_model(served: Served, version: str) -> None:
    """With window and images as the presets say, read from Codex itself; one of each provider's asks that provider."""
    switch(served.home, "codex", version)
    listed = clients.run("codex", version, served.home, ["debug", "models"])
    assert listed.ok, listed
    found = {model["slug"]: model for model in json.loads(listed.stdout)["models"]}
    assert {id for id in found if "/" not in id or id in served.models} == {*served.models, "ccsetup-default"}
    for id, model in served.models.items():
        assert found[id]["context_window"] == model.get("context", 200_000)
        assert ("image" in found[id]["input_modalities"]) is bool(model.get("vision"))
    efforts = [level["effort"] for level in found["glm-5.3"]["supported_reasoning_levels"]]
    assert efforts[:3] == ["low", "medium", "high"]
    for name, one in served.providers.items():
        id = next(id for id, model in served.models.items() if model["owner"] == name)
        done = clients.run_codex(version, served.home, "say hi", args=("-m", id, *SILENT))
        assert done.ok, done
        assert served.asked()[-1] == (name, id) or (name, id) in served.asked()
        assert one.leaks == []


@pytest.mark.skipif(not AVAILABLE, reason="tmux is not installed")
@pytest.mark.parametrize("version", [v for v, key in RELEASES.items() if key >= (2, 1)])
def test_claude_codes_picker_holds_every_model(served: Served, version: str) -> None:
    """Read from its screen, row by row; the one that is picked is asked of its owner, by its own id."""
    switch(served.home, "claude-code", version)
    with claude(served.home, version) as screen:
        rows = picker(screen)
        shown = {re.split(r" {2,}", row)[0].removesuffix(" ✔") for row in rows}
        # Claude's own it may call by their names, and a long one it shortens.
        missing = {id for id in served.models if "claude" not in id and not any(one[:60] in id for one in shown if one)}
        assert missing == set()
        picked = (
            "MiniMax-M3"
            if "MiniMax-M3" in served.models
            else next(id for id, model in served.models.items() if model["owner"] == "minimax")
        )
        move_to(screen, rows, picked)
        screen.press("s")  # for this session
        screen.shows(f"Set model to {picked}")
        screen.press("-l", "say hi")
        screen.press("Enter")
        screen.shows("pong")
    assert ("minimax", picked) in served.asked()
    assert all(one.leaks == [] for one in served.providers.values())


@pytest.mark.parametrize("version", [v for v, key in RELEASES.items() if key < (2, 1)])
def test_an_older_claude_code_takes_any_id_that_it_is_told(served: Served, version: str) -> None:
    """Its list is fixed; ``--model`` takes an id of the relay, with the upstream's name or without."""
    switch(served.home, "claude-code", version)
    for id in ("kimi-k3", "kimi/kimi-k3"):
        done = clients.run_claude(version, served.home, "say hi", args=("--model", id))
        assert done.ok, done
    assert served.asked().count(("kimi", "kimi-k3")) >= 2


def test_three_tiers_at_three_providers(served: Served) -> None:
    """One command says where; Claude Code's own names of tiers go there, and its main model stays where it was."""
    version = clients.CLAUDE_VERSIONS[0]
    switch(served.home, "claude-code", version)
    done = cc.run(
        served.home, "relay", "tiers", "--opus", "kimi/kimi-k3", "--sonnet", "glm", "--haiku", "deepseek/deepseek-flash"
    )
    assert done.ok, done
    for tier, expected in {
        "opus": ("kimi", "kimi-k3"),
        "sonnet": ("glm", "glm-5.3"),
        "haiku": ("deepseek", "deepseek-flash"),
    }.items():
        before = served.asked()
        result = clients.run_claude(version, served.home, "say hi", args=("--model", tier))
        assert result.ok, result
        assert served.providers[expected[0]].claude_site.reply in result.stdout
        assert set(served.asked()) - set(before) == {expected}


@pytest.mark.parametrize("version", clients.CODEX_VERSIONS)
def test_one_codex_session_changes_its_provider_three_times(served: Served, version: str) -> None:
    """``relay use`` between the turns: no file of the client changes, and each provider is told all that was said."""
    switch(served.home, "codex", version)
    before = {name: data for name, data in cc.files(served.home).items() if name.endswith((".toml", ".models.json"))}
    said: list[str] = []
    for turn, name in enumerate(("glm", "kimi", "deepseek", "minimax")):
        done = cc.run(served.home, "relay", "use", name)
        assert done.ok, done
        resume = ["resume", "--last"] if turn else []
        argv = ["exec", "--skip-git-repo-check", *SILENT, *resume, f"turn number {turn}"]
        result = clients.run("codex", version, served.home, argv, cwd=served.home)
        assert result.ok, result
        said += [f"turn number {turn}", served.providers[name].codex_site.reply]
        assert said[-1] in result.stdout
        last = [c for c in served.providers[name].calls if c.kind in ("messages", "responses", "chat")][-1]
        body = json.dumps(last.body)
        places = [body.find(text) for text in said[:-1]]
        assert -1 not in places
        assert places == sorted(places)
    after = {name: data for name, data in cc.files(served.home).items() if name.endswith((".toml", ".models.json"))}
    assert after == before


@pytest.mark.skipif(not AVAILABLE, reason="tmux is not installed")
def test_a_pick_in_a_running_codex_changes_the_provider(served: Served) -> None:
    """``/model`` between two turns of one session: the second provider is told what the first one said."""
    version = clients.CODEX_VERSIONS[0]
    switch(served.home, "codex", version)
    # With -c it starts no daemon, which would outlive it.
    program = (*client_install.command("codex", version), *SILENT, "--no-daemon")
    env = {**NOWHERE, "CODEX_HOME": str(served.home / ".codex")}
    with Screen(served.home, env=env, columns=160, rows=60, program=program) as screen:
        screen.shows("›")
        say(screen, "say hi", served.providers["glm"].codex_site.reply)
        say(screen, "/model", "Select Model")
        while not re.search(r"^› +(?:\d+\. )? *deepseek-flash ", screen.shows("Select Model"), re.M):
            screen.press("Down")
        screen.press("Enter")
        screen.shows("Model changed to deepseek-flash")
        say(screen, "and now", served.providers["deepseek"].codex_site.reply)
    last = next(call for call in served.providers["deepseek"].calls if "and now" in json.dumps(call.body))
    assert last.model == "deepseek-flash"
    assert served.providers["glm"].codex_site.reply in json.dumps(last.body)


def say(screen: Screen, text: str, answer: str) -> None:
    screen.press("-l", text)
    screen.shows(text)
    screen.press("Enter")
    screen.shows(answer)


def claude(home: Path, version: str) -> Screen:
    """Start Claude Code at a terminal, in a folder that it trusts."""
    path = home / ".claude.json"
    known = json.loads(path.read_text())
    cc.put(home, {".claude.json": json.dumps({**known, "projects": {str(home): {"hasTrustDialogAccepted": True}}})})
    env = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_MAX_RETRIES": "0", **NOWHERE}
    program = client_install.command("claude-code", version)
    return Screen(home, env=env, columns=160, rows=60, program=program)


def picker(screen: Screen) -> list[str]:
    """Open ``/model`` and return all its rows from the first on; the last of them is chosen then."""
    screen.shows("❯")
    screen.press("-l", "/model")
    screen.press("Enter")
    text = screen.shows("Select model")
    rows: dict[int, str] = {}
    while True:
        text = screen.shows("Select model")
        here = {int(n): row.rstrip() for n, row in re.findall(r"^\s*(?:❯ )?(\d+)\. +(.*)$", text, re.M)}
        rows.update(here)
        if 1 in rows and set(rows) == set(range(1, max(rows) + 1)) and _at(text) == max(rows):
            return [rows[n] for n in sorted(rows)]
        screen.press("Up")


def _at(text: str) -> int:
    found = re.search(r"^\s*❯ (\d+)\. ", text, re.M)
    assert found, text
    return int(found[1])


def move_to(screen: Screen, rows: Sequence[str], name: str) -> None:
    """Choose the row that is called *name*."""
    wanted = next(n for n, row in enumerate(rows, 1) if re.split(r" {2,}", row)[0] == name)
    while _at(screen.shows("Select model")) != wanted:
        screen.press("Up")
