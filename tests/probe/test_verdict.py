"""Words, codes, and what may be shown of a provider's text."""

from __future__ import annotations

import base64

import pytest

from ccsetup.model import Secret
from ccsetup.probe.verdict import EXIT, SEVERITY, LayerStep, Report, clean, mask, worst

KEY = "sk-abcdefgh0123456789ijklmnopqrst"


def test_codes_are_fixed_and_ordered() -> None:
    """Every word has its own code and its place in the order of severity."""
    assert EXIT == {
        "ok": 0, "config": 10, "unreachable": 11, "tls": 12, "key": 13, "quota": 14, "forbidden": 15, "wire": 16,
        "model": 17, "degraded": 18, "server": 19, "timeout": 20,
    }  # fmt: skip
    assert set(SEVERITY) == set(EXIT)


def test_worst_ignores_what_says_nothing() -> None:
    """unknown and skipped never become a target's verdict."""
    assert worst(["ok", "unknown", "skipped"]) == "ok"
    assert worst(["degraded", "key", "ok"]) == "key"
    assert worst([]) == "ok"


@pytest.mark.parametrize(
    "said",
    [
        f"Incorrect key {KEY}",
        f"key {KEY[:14]}... is wrong",
        f"ends with {KEY[-12:]}",
        base64.b64encode(KEY.encode()).decode(),
        f"{KEY[:9]}\x1b[31m{KEY[9:]}",
        f"{KEY[:20]}\u200b{KEY[20:]}",
        "Authorization: Bearer abcdefgh12345678",
        "another sk-zzzzzzzzzzzzzzzzzzzz",
    ],
)
def test_no_key_is_shown(said: str) -> None:
    """A key is hidden whole, cut, encoded, or with escapes inside."""
    shown = clean(said, [Secret(KEY)])
    for i in range(len(KEY) - 8):
        assert KEY[i : i + 9] not in shown
    assert "abcdefgh12345678" not in shown
    assert "zzzzzzzzzzzz" not in shown


def test_text_is_one_printable_line() -> None:
    """Escapes, control and direction characters go; long texts are cut."""
    assert clean("a\x1b]0;t\x07b\r\nc\x9b31md\u202ee") == "ab c31mde"
    assert len(clean("x" * 10_000)) == 300


def test_plain_words_hide_nothing_in_a_sentence() -> None:
    """A key that is an ordinary word, such as that of a local server, leaves sentences as they are."""
    for key in ("lm-studio", "file", "123", "sk"):
        text = "the file of lm-studio on port 1234 is refused: sk"
        assert mask(text, [Secret(key)]) == text


def test_quick_is_never_certain() -> None:
    """Only a real request shows what a real request shows."""
    step = LayerStep("wire", "ok", 0.1, "fine")
    report = Report("x", "codex", (step,), 0.1, {}, level="quick")
    assert (report.verdict, report.certain) == ("ok", False)
    assert report._replace(level="normal").certain
    assert not report._replace(level="normal", finished=False).certain
