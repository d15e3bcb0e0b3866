"""The wizard's main screens, as text that was looked at, in both languages.

``CCSETUP_UPDATE_SCREENS=1`` writes them anew; look at the difference before it is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import cc, other_tools
from support.screen import AVAILABLE, Screen
from support.terminal import machine_with_clients

import ccsetup

DATA = Path(__file__).resolve().parent.parent / "data" / "screens"
UPDATE = bool(os.environ.get("CCSETUP_UPDATE_SCREENS"))
VERSIONS = {"claude": "2.1.999", "codex": "0.999.0"}
"""What the screens show: the releases that are really out change too often."""
KEY = "test-key-0123456789abcdefWXYZ"

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="tmux is not installed")

WORDS = {
    "en": {
        "client": "Which client", "provider": "Provider (", "kimi": "> kimi", "site": "Which site", "key": "Key for",
        "looks": "This is no key", "models": "Model (", "storage": "Where is the key", "repair": "cannot stay",
        "write": "Write these", "test": "ccsetup test glm", "end": "ccsetup init -s", "menu": "What next?",
        "profile": "Which profile?", "relay": "Use the relay?",
    },
    "zh_CN": {
        "client": "哪个客户端", "provider": "供应商 （", "kimi": "> kimi", "site": "站点或套餐", "key": "的密钥",
        "looks": "这不是", "models": "模型 （", "storage": "存放在哪里", "repair": "不能保持现状",
        "write": "写入这", "test": "ccsetup test glm", "end": "ccsetup init -s", "menu": "接下来做什么",
        "profile": "哪个配置", "relay": "使用中继吗",
    },
}  # fmt: skip
"""What each screen is known by, in each language."""


@pytest.fixture(params=list(WORDS))
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


Start = Callable[..., Screen]


@pytest.fixture
def start(home: Path, tmp_path: Path, language: str) -> Iterator[Start]:
    """Start ccsetup at 80 x 24 in the language of the test."""
    env = {**machine_with_clients(tmp_path, **VERSIONS), "CCSETUP_LANG": language}
    running: list[Screen] = []

    def run(*argv: str, columns: int = 80, rows: int = 24) -> Screen:
        running.append(Screen(home, *argv, env=env, columns=columns, rows=rows))
        return running[-1]

    yield run
    for screen in running:
        screen.__exit__(None, None, None)


def check(name: str, language: str, screen: str) -> None:
    """Compare *screen* with the stored one."""
    path = DATA / f"{name}.{language}.txt"
    screen = screen.replace(f"ccsetup {ccsetup.__version__}", "ccsetup VERSION")
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(screen, "utf-8")
    assert screen == path.read_text("utf-8"), f"{path.name} is another screen; see the top of this file"
    assert KEY not in screen


def test_an_empty_home(start: Start, language: str) -> None:
    """A first run, from the first question to the last line."""
    words = WORDS[language]
    screen = start("init")
    check("first", language, screen.shows(words["client"]))
    screen.press("Enter")
    check("providers", language, screen.shows(words["provider"]))
    screen.press("kimi")
    check("search", language, screen.shows(words["kimi"]))
    for _ in range(4):
        screen.press("BSpace")
    screen.press("glm", "Enter")
    check("site", language, screen.shows(words["site"]))
    screen.press("Enter")
    check("key", language, screen.shows(words["key"]))
    screen.press(KEY, "Enter")
    check("models", language, screen.shows(words["models"]))
    screen.press("Enter")
    check("storage", language, screen.shows(words["storage"]))
    screen.press("Enter")
    check("plan", language, screen.shows(words["write"]))
    screen.press("Enter")
    check("written", language, screen.shows(words["test"]))
    screen.press("Down", "Enter")
    check("end", language, screen.shows(words["end"]))
    screen = start()
    check("menu", language, screen.shows(words["menu"]))
    screen = start("config-switch")
    check("profiles", language, screen.shows(words["profile"]))


def test_a_home_that_other_tools_filled(home: Path, start: Start, language: str) -> None:
    """What is broken is said first; keys that are there are offered; a file that has to be corrected is asked about."""
    other_tools.fill(home)
    words = WORDS[language]
    screen = start("init")
    check("filled", language, screen.shows(words["client"]))
    screen.press("Enter")
    check("filled-providers", language, screen.shows(words["provider"]))
    screen.press("Enter")
    check("filled-keys", language, screen.shows(words["key"]))
    screen.press("Enter")
    screen.shows(words["models"])
    screen.press("Enter")
    screen.shows(words["storage"])
    screen.press("Enter")
    check("filled-repair", language, screen.shows(words["repair"]))
    screen.press("Enter")
    check("filled-plan", language, screen.shows(words["write"]))


def test_a_key_of_another_family(start: Start, language: str) -> None:
    """The question after a key that looks like another provider's."""
    words = WORDS[language]
    screen = start("init", "-p", "openrouter", "-T", "all")
    screen.shows(words["key"])
    screen.press("sk-kimi-0123456789abcdef", "Enter")
    check("family", language, screen.shows(words["looks"]))


def test_a_provider_that_needs_the_relay(home: Path, start: Start, language: str) -> None:
    """The question, where the key goes then, and what the menu offers of the relay."""
    words = WORDS[language]
    screen = start("init", "-p", "siliconflow", "-T", "all")
    check("relay", language, screen.shows(words["relay"]))
    screen.press("Enter")
    screen.shows(words["site"])
    screen.press("Enter")
    screen.shows(words["key"])
    screen.press(KEY, "Enter")
    screen.shows(words["models"])
    screen.press("Enter")
    check("relay-storage", language, screen.shows(words["storage"]))
    for name in ("glm", "kimi"):
        assert cc.run(home, "init", "-s", "-p", name, "-k", KEY).ok
    screen = start()
    check("relay-menu", language, screen.shows(words["menu"]))


def test_a_narrow_terminal(start: Start, language: str) -> None:
    """40 x 10: cut, but usable."""
    words = WORDS[language]
    screen = start("init", columns=40, rows=10)
    screen.shows(words["client"][:4])
    screen.press("Enter")
    check("narrow", language, screen.shows("302ai"))
