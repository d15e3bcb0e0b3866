"""What a switch says of the administrator's files of Codex."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from support import cc

from ccsetup.clients.codex import notes

KEY = "abcdef0123456789abcdef0123456789.AbCdEfGhIjKlMnOp"
MINE = "https://mine.example/v1"
SET = "The administrator sets these, and they win: "
TABLE = "[model_providers.ccsetup]\n"


@pytest.mark.parametrize(
    ("file", "text", "rc", "says"),
    [
        ("managed_config", 'model_provider = "corp"\n', 5, "There is no provider 'corp' in the file"),
        ("managed_config", f'{TABLE}base_url = "https://corp.example/v1"\n', 5, "model_providers.ccsetup.base_url"),
        ("managed_config", f'{TABLE}env_key = "CORP"\n', 5, f"{SET}model_providers.ccsetup.env_key"),
        ("config", f'{TABLE}env_key = "CORP"\n', 5, f"{SET}model_providers.ccsetup.env_key"),
        ("managed_config", 'model_catalog_json = "/nowhere/x.json"\n', 5, "names a file that is not there"),
        ("managed_config", "a = \n", 5, "Codex does not start with the file as it is"),
        ("managed_config", 'model = "m2"\n', 0, f":1: {SET}model"),
        ("managed_config", 'model_provider = "ccsetup"\n', 0, ""),
        ("managed_config", f'{TABLE}base_url = "{MINE}"\n', 0, ""),
        ("managed_config", "[tui]\nnotifications = true\n", 0, ""),
        ("config", 'model_provider = "corp"\nmodel = "m2"\n', 0, ""),
        ("requirements", 'allowed_approval_policies = ["never"]\n', 0, ""),
    ],
)
def test_what_the_administrator_does_to_a_switch(
    home: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, rc: int, says: str
) -> None:
    """Another address, another key or no start at all is exit 5; another model is told; the rest is nobody's affair."""
    cc.put(home, {f"etc/codex/{file}.toml": text})
    monkeypatch.setattr(notes, "notes", partial(notes.notes, etc=str(home / "etc")))
    done = cc.main("init", "-s", "-p", "custom", "-n", "a", "-T", "cx", "-k", KEY, "-u", MINE, "-M", "m1", "--json")
    said = [n for n in done.json["notes"] if "etc/codex" in n["text"]]
    assert done.rc == rc, done
    assert bool(said) == bool(says), said
    assert any(says in n["text"] for n in said) or not says, said
    assert {n["hint"] for n in said} <= {"Ask your administrator."}
    assert KEY not in done.stdout
