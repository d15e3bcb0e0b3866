"""A key that somebody renewed in a client's own file is not lost without a word."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import cc

from ccsetup.cli import _output

OLD, NEW, OTHER = "K-222222222222", "K-333333333333", "K-111111111111"
FILES = {"cc": ".claude/settings.json", "cx": ".codex/config.toml"}


@pytest.fixture(params=["cc", "cx"])
def renewed(request: pytest.FixtureRequest, home: Path) -> Path:
    """Return the client's file with another key than the active profile 'bravo' has; 'alpha' is saved beside it."""
    client = request.param
    for name, key in (("alpha", OTHER), ("bravo", OLD)):
        made = ("-p", "custom", "-u", f"http://127.0.0.1:9/{name}", "-M", "m", "-T", client)
        assert cc.main("init", "-s", *made, "-k", key, "-n", name).ok
    path = home / FILES[client]
    path.write_text(path.read_text().replace(OLD, NEW))
    return path


def saved(home: Path, name: str = "bravo") -> str:
    return (home / f".config/ccsetup/keys/{name}").read_text()


@pytest.mark.parametrize(
    "argv",
    [
        ("config-switch", "alpha"),
        ("config-switch", "bravo"),
        ("config-switch", "official"),
        ("config-switch", "alpha", "--json"),
        ("init", "-s", "-n", "bravo"),
        ("profile", "rename", "bravo", "charlie"),
    ],
    ids=" ".join,
)
def test_it_is_said_where_nobody_can_be_asked(renewed: Path, home: Path, argv: tuple[str, ...]) -> None:
    """The profile keeps its key, the exit code is 5, and undo brings the new one back."""
    before = renewed.read_text()
    done = cc.main(*argv)
    assert done.rc == 5, done
    assert "was renewed by hand" in done.stdout + done.stderr
    assert NEW not in done.stdout + done.stderr
    assert saved(home, "charlie" if "rename" in argv else "bravo") == OLD
    assert cc.main("undo").ok
    assert renewed.read_text() == before


def test_another_address_goes_with_its_key(renewed: Path, home: Path) -> None:
    """The key is another provider's then: it is said, and the profile keeps its own."""
    renewed.write_text(renewed.read_text().replace("9/bravo", "9/else"))
    done = cc.main("config-switch", "alpha")
    assert done.ok
    assert "changed by hand since" in done.stderr
    assert saved(home) == OLD


def test_a_new_key_by_command_needs_no_word(renewed: Path, home: Path) -> None:
    """``key set`` says which key counts; so does the same key."""
    assert cc.main("key", "set", "bravo", "-k", NEW).ok
    assert saved(home) == NEW
    done = cc.main("config-switch", "alpha")
    assert done.ok
    assert "by hand" not in done.stderr


@pytest.mark.parametrize(("answer", "kept", "rc"), [(True, NEW, 0), (False, OLD, 5)])
def test_a_person_is_asked(
    renewed: Path, home: Path, monkeypatch: pytest.MonkeyPatch, answer: bool, kept: str, rc: int
) -> None:
    """Yes saves the new key with the profile; no keeps the old one."""
    asked: list[str] = []
    monkeypatch.setattr(_output, "interactive", lambda: True)

    def agreed(question: str, *_rest: object) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(_output, "agreed", agreed)
    done = cc.main("config-switch", "alpha")
    assert done.rc == rc, done
    assert len(asked) == 1
    assert saved(home) == kept
    assert cc.main("config-switch", "bravo").ok
    assert kept in renewed.read_text()
