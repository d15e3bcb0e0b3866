"""The choice of language, and the catalogues."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import waiting

from ccsetup import i18n, paths

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("argv", "environ", "language"),
    [
        ([], {}, "en"),
        ([], {"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ([], {"LANG": "C.UTF-8"}, "en"),
        ([], {"LANG": "de_DE.UTF-8"}, "en"),
        ([], {"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ([], {"LANGUAGE": "zh_CN:en", "LC_ALL": "en_US.UTF-8"}, "zh_CN"),
        ([], {"CCSETUP_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        (["--lang", "zh-CN", "list"], {"LANG": "en_US.UTF-8"}, "zh_CN"),
        (["list", "--lang=zh"], {}, "zh_CN"),
        (["list", "--", "--lang=zh"], {}, "en"),
        (["list", "--lang"], {}, "en"),
    ],
)
def test_choose(argv: list[str], environ: dict[str, str], language: str) -> None:
    """The option wins over CCSETUP_LANG, which wins over the locale's variables in gettext's order."""
    assert i18n.choose(argv, environ) == language


@pytest.mark.parametrize(
    ("text", "environ", "language"),
    [
        ('language = "zh-CN"\n', {}, "zh_CN"),
        ("# mine\n  language='zh-CN' # so\n", {"LANG": "en_US.UTF-8"}, "zh_CN"),
        ('language = "en"\n', {"LANG": "zh_CN.UTF-8"}, "en"),
        ('language = "zh-CN"\n', {"CCSETUP_LANG": "en"}, "en"),
        ('language = "klingon"\n', {"LANG": "zh_CN.UTF-8"}, "en"),
        ("other = 1\n", {"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ("\x00\xff language", {"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        (None, {"LANG": "zh_CN.UTF-8"}, "zh_CN"),
    ],
)
def test_the_remembered_language(home: Path, text: str | None, environ: dict[str, str], language: str) -> None:
    """What settings.toml remembers wins over the locale; CCSETUP_LANG and --lang win over it."""
    paths_environ = {"HOME": str(home), **environ}
    assert i18n.settings_file(paths_environ) == paths.from_environ(paths_environ).settings
    if text is not None:
        file = Path(i18n.settings_file(paths_environ))
        file.parent.mkdir(parents=True)
        file.write_text(text, "utf-8")
    assert i18n.choose([], paths_environ) == language
    assert i18n.choose(["--lang", "zh-CN"], paths_environ) == "zh_CN"


def test_the_settings_file_follows_xdg(home: Path) -> None:
    """The file is where all of ccsetup's settings are, also with XDG_CONFIG_HOME."""
    for place in (str(home / "elsewhere"), "relative", ""):
        environ = {"HOME": str(home), "XDG_CONFIG_HOME": place}
        assert i18n.settings_file(environ) == paths.from_environ(environ).settings
    assert i18n.config_language({}) == ""


def test_catalogues_are_complete() -> None:
    """Every text is translated, with its placeholders and options, and nothing in a catalogue is unused."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "i18n.py", "check"], capture_output=True, text=True, timeout=waiting.LIMIT
    )
    assert done.returncode == 0, done.stdout + done.stderr


ENGLISH = re.compile(r"(?<![\w-])(?:the|is|of|and|not|this|to|for|with|from|has|show|print|exit)(?![\w-])", re.I)


def chinese(home: Path, *args: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "zh_CN.UTF-8", "COLUMNS": "100"}
    done = subprocess.run(
        [sys.executable, "-m", "ccsetup", *args], env=environment, capture_output=True, text=True, timeout=waiting.LIMIT
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("command", ["", "init", "config-switch", "list", "test", "undo"])
def test_help_in_chinese(home: Path, command: str) -> None:
    """Help in Chinese has no English sentence left in it."""
    text = chinese(home, *([command] if command else []), "--help")
    assert "用法" in text
    words = [line for line in text.splitlines() if ENGLISH.search(line)]
    assert not words


@pytest.mark.parametrize(
    "args",
    [
        ("init", "-s"),
        ("init", "-s", "-p", "nothing", "-k", "sk-x"),
        ("init", "-s", "-p", "glm"),
        ("init", "--foo"),
        ("init", "-k"),
        ("config-switch", "nothing"),
        ("undo",),
        ("list", "-T", "cursor"),
        ("init", "-s", "-p", "siliconflow", "-k", "sk-0123456789", "-T", "codex"),
        ("init", "--api-configs", '[{"provider": "glm", "kee": "x"}]'),
    ],
)
def test_errors_in_chinese(home: Path, args: tuple[str, ...]) -> None:
    """Errors are Chinese as well, those of the option parser among them."""
    text = chinese(home, *args)
    assert re.search("[\u4e00-\u9fff]", text.splitlines()[0])
    assert not [line for line in text.splitlines() if ENGLISH.search(line)]
