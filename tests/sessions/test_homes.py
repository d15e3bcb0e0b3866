"""Every command on homes that earlier versions wrote: ``tests/data/homes`` (see its README).

``expected/<what>.txt`` beside each home holds what the command printed and which files it left changed, without
ccsetup's own records.  CCSETUP_UPDATE_GOLDEN=1 writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import keyring
import pytest
from support import cc, homes
from support.homes import Kept
from support.keyring_file import Keyring
from support.provider import Provider
from support.relay import Relay

UPDATE = bool(os.environ.get("CCSETUP_UPDATE_GOLDEN"))  # read here: the tests remove CCSETUP_*
EVERY = [pytest.param(kept, id=kept.id) for kept in homes.ALL]


PICKER = b',\n    "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1"'
"""Has Claude Code ask the relay which models there are."""


@pytest.fixture
def enter(home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Kept], None]:
    """Lay a kept home out, and make this process a session in it."""

    def lay_out(kept: Kept) -> None:
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name)
        for name, value in homes.lay_out(kept, home).items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(home)
        monkeypatch.setattr(sys, "argv", [str(home / homes.BIN / "ccsetup")])
        monkeypatch.setattr(keyring.core, "_keyring_backend", Keyring())

    return lay_out


def other(kept: Kept) -> str:
    """Return a profile that *kept* has and no client uses."""
    return "moon" if "glm" in kept.active.values() else "glm"


def files(home: Path) -> dict[str, bytes]:
    """Return the files of *home* but our records and what was laid out; of a catalogue models and windows."""
    found = {}
    for name, data in cc.files(home).items():
        if name.startswith(homes.LAID_OUT):
            continue
        if name.endswith(".models.json"):
            data = (json.dumps({m["slug"]: m["context_window"] for m in json.loads(data)["models"]}) + "\n").encode()
        found[name] = data
    return found


def told(home: Path, runs: list[cc.Result], before: dict[str, bytes], after: dict[str, bytes]) -> str:
    """Return what *runs* printed and changed, as the kept text has it."""
    lines = []
    for result in runs:
        # What presets there are, and how many checks, is not about the home.
        said = result.stdout.partition("\nProviders (")[0]
        said = re.sub(r" Checks passed: \d+\.|All \d+ checks passed\.", "", said)
        lines += [f"$ ccsetup {' '.join(result.argv)}", f"exit {result.rc}", said]
        if result.stderr:
            lines += ["--- standard error", result.stderr]
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            lines.append(f"--- {name} is gone\n")
        elif before.get(name) != after[name]:
            lines += [f"--- {name}", after[name].decode()]
    return "\n".join(lines).replace(str(home), homes.MARK.decode())


def compare(kept: Kept, what: str, text: str) -> None:
    """Compare *text* with what is expected of *kept*, or write it."""
    file = kept.folder / "expected" / f"{what}.txt"
    if UPDATE:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")


@pytest.mark.parametrize("kept", EVERY)
@pytest.mark.parametrize("what", ["list", "switch", "undo", "official", "uninstall", "doctor", "repair"])
def test_command(kept: Kept, what: str, home: Path, enter: Callable[[Kept], None]) -> None:
    """The command prints and writes what it did when the home was new."""
    enter(kept)
    argv = {
        "list": ("list",),
        "switch": ("config-switch", other(kept)),
        "undo": ("undo",),
        "official": ("config-switch", "official"),
        "uninstall": ("uninstall", "--yes"),
        "doctor": ("doctor",),
        "repair": ("doctor", "--fix"),
    }[what]
    before = files(home)
    result = cc.main(*argv)
    compare(kept, what, told(home, [result], before, files(home)))


@pytest.mark.parametrize("kept", EVERY)
def test_there_and_back(kept: Kept, home: Path, enter: Callable[[Kept], None]) -> None:
    """Using a profile once more changes no setting, but for the list of models that a relay did not have in earlier
    versions, and what a catalogue had of another plan; another one and undo give every byte back."""
    enter(kept)
    before = files(home)
    for client, profile in kept.active.items():
        used = cc.main("config-switch", profile, "-T", client)
        assert used.rc in (0, 5), used
    listed = PICKER if "relay" in kept.active.values() else b"\0"
    again = {name: data.replace(listed, b"") for name, data in files(home).items()}
    for name in [name for name in before if name.endswith(".models.json")]:
        assert json.loads(again[name]).items() <= json.loads(before.pop(name)).items()
        assert again.pop(name) != b"{}\n"
    assert again == before
    before = files(home)
    assert cc.main("config-switch", other(kept)).ok
    assert files(home) != before
    assert cc.main("undo").ok
    assert files(home) == before


@pytest.mark.parametrize("kept", EVERY)
def test_the_whole_history_can_be_taken_back(kept: Kept, home: Path, enter: Callable[[Kept], None]) -> None:
    """undo, as often as there are changes, leads back as far as the records reach."""
    enter(kept)
    before, runs = files(home), [cc.main("undo")]
    while runs[-1].ok and len(runs) < 30:
        runs.append(cc.main("undo"))
    compare(kept, "undo-all", told(home, runs, before, files(home)))


@pytest.mark.parametrize("kept", [p for p, k in zip(EVERY, homes.ALL, strict=True) if "code/shop/.claude/" in k.modes])
def test_official_in_a_project(
    kept: Kept, home: Path, enter: Callable[[Kept], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written for one folder goes, and nothing besides."""
    enter(kept)
    monkeypatch.chdir(home / "code/shop")
    before = files(home)
    result = cc.main("config-switch", "official", "--project")
    compare(kept, "official-in-a-project", told(home, [result], before, files(home)))


@pytest.mark.parametrize("kept", [p for p, k in zip(EVERY, homes.ALL, strict=True) if "relay" in " ".join(k.modes)])
def test_the_relay_starts(kept: Kept, home: Path, enter: Callable[[Kept], None]) -> None:
    """The relay runs with the configuration, its keys and the usage of before, and adds to that."""
    enter(kept)
    key = (home / ".config/ccsetup/keys/relay").read_text().strip()
    with Provider() as provider:
        file = home / ".config/ccsetup/relay.yaml"
        file.write_text(file.read_text("utf-8").replace("http://127.0.0.1:41415", provider.url()), "utf-8")
        relay = Relay(home, [])
        relay.start()
        try:
            body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [{"role": "user", "content": "ping"}]}
            headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
            request = urllib.request.Request(relay.url + "/v1/messages", json.dumps(body).encode(), headers)
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert provider.reply in answer.read().decode()
        finally:
            assert relay.stop() == 0, relay.output
        (call,) = provider.of("messages")
        assert {value.removeprefix("Bearer ") for _name, value in call.credentials} == {"sk-local-0123456789abcdefghij"}
    said = cc.main("relay", "stats", "--since", "2026-11-01", "--by", "client", "--json")
    assert {row["name"]: row["requests"] for row in said.json["result"]["rows"]} == {"alice": 2, "local": 1}
