"""Codex's .env file, as it was observed to be read: 0.133.0 and 0.171.0 asked for the variable K."""

from __future__ import annotations

import pytest

from ccsetup.clients.codex.dotenv import read_dotenv


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("K=sk-a", "sk-a"),
        ("export K=sk-a\r\n", "sk-a"),
        ("K = sk-a", "sk-a"),
        ("K=sk-a # mine", "sk-a"),
        ("K=sk-a#b", "sk-a#b"),
        ('K="a"#b', "a#b"),
        ('K="a" #b', "a"),
        ('K="a b"', "a b"),
        ("K='a'b", "ab"),
        ('K="a\'b"', "a'b"),
        ("K=a\\ b", "a b"),
        ('K="a\\nb"', "a\nb"),
        ('K="sk-a\nb"', "sk-a\nb"),
        ("K=it's\nL=x'", "its\nL=x"),
        ("bad line\nK=sk-a", "sk-a"),
        ("K=a\nK=b", "b"),
        ("MY=x\nMY_VAR=y\nK=$MY_VAR", "x_VAR"),
        ("MY_VAR=y\nK=${MY_VAR}-$NONE-z", "y--z"),
        ("K='$MY'", "$MY"),
        ("\ufeffK=sk-a", None),
        ("\ufeff\nK=sk-a", "sk-a"),
        ("K: sk-a", None),
        ("k=sk-a", None),
        ("K=a b", None),
        ('K="open', None),
        ('K="open\nL=1', None),
        ("#K=sk-a", None),
    ],
)
def test_what_codex_takes(text: str, value: str | None) -> None:
    assert read_dotenv(text, {}).get("K") == value
