"""The first screen."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import cc, other_tools

from ccsetup.cli import _output
from ccsetup.cli._context import Context
from ccsetup.cli.wizard import look

BROKEN = {
    "comment": {".claude/settings.json": "{\n  // x\n}\n"},
    "not-json": {".claude/settings.json": "{ not json"},
    "not-toml": {".codex/config.toml": "[not toml"},
    "not-text": {".claude/settings.json": b"\xff\xfe\x00"},
    "many": {
        ".codex/config.toml": 'profile = "x"\n'
        + "".join(f'[model_providers.p{i}]\nbase_url = "https://h{i}.example"\nwire_api = "chat"\n' for i in range(30))
    },
    "profiles": {".config/ccsetup/profiles.toml": '[profiles.x]\nprovider = "nonsense"\n[profiles.x.codex]\n'},
    "preset": {".config/ccsetup/presets/mine.yaml": "id: other\n"},
}


@pytest.fixture
def context(home: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setenv("PATH", str(home / "no-programs"))
    monkeypatch.chdir(home)
    return Context()


@pytest.mark.parametrize("width", [39, 79, 120])
@pytest.mark.parametrize("case", ["empty", "filled", *BROKEN])
def test_one_compact_screen(home: Path, context: Context, case: str, width: int) -> None:
    """Whatever the home holds, the screen has at most twelve lines, none wider than the terminal, and no key."""
    if case == "filled":
        other_tools.fill(home)
    cc.put(home, BROKEN.get(case, {}))
    lines = look.screen(look.around(context), context, width)
    assert len(lines) <= look.LINES
    assert max(map(_output.width, lines)) <= width
    assert lines[-1] == ""
    text = "\n".join(lines)
    assert all(c == "\n" or c.isprintable() for c in text)
    for key in (other_tools.ZAI, other_tools.BIGMODEL, other_tools.OPENROUTER):
        assert key not in text


@pytest.mark.parametrize(
    ("case", "text"),
    [
        ("comment", "settings.json:2:3"),
        ("not-json", "settings.json:1:3"),
        ("not-toml", "config.toml:1"),
        ("many", "stops every codex command"),
        ("preset", "mine.yaml"),
    ],
)
def test_what_is_broken_is_said(home: Path, context: Context, case: str, text: str) -> None:
    """The file, with the place in it, is on the first screen."""
    cc.put(home, BROKEN[case])
    shown = "".join("".join(look.screen(look.around(context), context, 100)).split())  # a long path breaks anywhere
    assert text.replace(" ", "") in shown


def test_what_the_clients_use(home: Path, context: Context) -> None:
    """A profile of ours is named, a change by hand is said, and where the key comes from."""
    assert cc.run(home, "init", "-s", "-p", "glm", "-k", "k" * 20, "-T", "all").ok
    assert cc.run(home, "init", "-s", "-p", "kimi", "-k", "m" * 20, "-T", "codex", "--key-storage", "command").ok
    settings = home / ".claude/settings.json"
    text = "\n".join(look.screen(look.around(context), context, 100))
    assert "profile glm, glm-5.3, key in settings.json" in text
    assert "profile kimi, kimi-k3, key from a command" in text
    assert "*kimi" in text
    settings.write_text(settings.read_text().replace("open.bigmodel.cn", "elsewhere.example"))
    assert "profile glm, changed by hand since" in "\n".join(look.screen(look.around(context), context, 100))


def test_the_language_is_offered(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing says which language is read, the way to the other one is shown; elsewhere it is not."""
    assert "ccsetup --lang zh-CN" in look.screen(look.around(context), context, 79)[0]
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    other = Context()
    assert "ccsetup --lang zh-CN" not in look.screen(look.around(other), other, 79)[0]
