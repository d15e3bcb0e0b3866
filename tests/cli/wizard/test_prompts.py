"""Searching a list, cutting and breaking lines; what a terminal does is in ``tests/cli/test_wizard.py``."""

from __future__ import annotations

import pytest

from ccsetup.cli import _output
from ccsetup.cli.wizard.prompts import Option, cut, masked, matching, sentences

PROVIDERS = [
    Option("302ai", "302ai", "Aggregator with Claude, GPT, GLM, Kimi and others"),
    Option("glm", "glm", "GLM models by Zhipu"),
    Option("minimax", "minimax", "MiniMax M3"),
    Option("kimi", "kimi", "Kimi K3"),
    Option("nvidia", "nvidia", "NIM", disabled="not for Codex"),
]


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("", ["302ai", "glm", "minimax", "kimi", "nvidia"]),
        ("glm", ["glm", "302ai"]),
        ("GL", ["glm", "302ai"]),
        ("k", ["kimi", "302ai"]),
        ("zhi", ["glm"]),
        ("ni", ["minimax", "nvidia"]),
        ("xyz", []),
    ],
)
def test_matching(typed: str, values: list[str]) -> None:
    """The beginning of a name comes before a word, a word before any place; what cannot be chosen comes last."""
    assert [o.value for o in matching(PROVIDERS, typed)] == values


@pytest.mark.parametrize("width", [10, 20, 39, 79])
@pytest.mark.parametrize(
    "text",
    [
        "! ~/.claude/settings.json:7:3: There is a comment here, which strict JSON does not allow.",
        "此处有注释，严格的 JSON 不允许。Claude Code 会因此忽略整个文件。",
        "a" * 100,
        "",
    ],
)
def test_wrap(text: str, width: int) -> None:
    """No line is wider than the terminal; nothing is lost; no line begins with a full stop."""
    lines = _output.wrap(text, width)
    assert all(_output.width(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert not any(line.strip().startswith(("。", "，")) for line in lines)


@pytest.mark.parametrize("cells", [4, 5, 9, 40])
def test_cut(cells: int) -> None:
    """A text is cut to the cells of the terminal; a Chinese character takes two."""
    for text in ("abcdefghij", "智谱模型编码套餐", "ab智谱cd模型", ""):
        assert _output.width(cut(text, cells)) <= cells
        assert cut(text, 100) == text


def test_what_is_shown_of_a_typed_key() -> None:
    """Stars, and the last four characters of a long key."""
    assert masked(" sk-0123456789abcd\n") == "********abcd"
    assert masked("short") == "********"


def test_sentences() -> None:
    """Sentences are joined by a space, after a Chinese full stop by nothing."""
    assert sentences("One.", "", "Two.") == "One. Two."
    assert sentences("一。", "二。") == "一。二。"
