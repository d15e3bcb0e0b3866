"""``ccsetup list``: which client can use which provider, and how."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import cc
from support.terminal import Terminal


@pytest.mark.parametrize(
    ("preset", "clients", "by_relay"),
    [
        ("glm", ["claude-code", "codex"], []),
        ("siliconflow", ["claude-code"], ["codex"]),
        ("cerebras", [], ["claude-code", "codex"]),
        ("openai", ["codex"], ["claude-code"]),
        ("custom", ["claude-code", "codex"], []),
    ],
)
def test_clients_by_the_relay(home: Path, preset: str, clients: list[str], by_relay: list[str]) -> None:
    """A client that needs the relay for a provider is named apart, and listed for it too."""
    found = {p["id"]: p for p in cc.main("list", "--json").json["result"]["presets"]}
    assert (found[preset]["clients"], found[preset]["by_relay"]) == (clients, by_relay)
    for client in by_relay:
        assert preset in {p["id"] for p in cc.main("list", "-T", client, "--json").json["result"]["presets"]}


def test_the_table(home: Path) -> None:
    """A word stands for them, and its meaning is below the table."""
    with Terminal(home, "list", "--providers", size=(40, 80)) as terminal:
        assert terminal.ends() == 0
        shown = terminal.text
    table = shown[shown.index("Providers") :].splitlines()
    rows = {row.split()[0]: re.split(r" {2,}", row.strip())[1] for row in table[1:] if row.startswith("  ")}
    assert rows["siliconflow"] == "claude relay"
    assert rows["cerebras"] == "relay"
    assert rows["glm"] == "claude codex"
    assert table[-1] == "relay: the other clients by the relay, which translates: add --via-relay"
    assert max(map(len, rows.values())) == len("claude codex")  # as wide as ever
