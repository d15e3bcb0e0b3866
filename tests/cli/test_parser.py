"""The option parser's own sentences."""

from __future__ import annotations

import pytest
import typer

from ccsetup.cli import _parser
from ccsetup.cli._app import app


def message(*argv: str) -> str:
    """Return the parser's own sentence about *argv*."""
    with pytest.raises(typer._click.exceptions.UsageError) as caught:
        typer.main.get_command(app)(list(argv), prog_name="ccsetup", standalone_mode=False)
    return caught.value.format_message()


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["init", "--foo"], "No such option: --foo"),
        (["init", "--regio", "cn"], "No such option: --regio (did you mean --region, --repair?)"),
        (["init", "-k"], "Option '-k' requires a value."),
        (["init", "--json=3"], "Option '--json' does not take a value."),
        (["undo", "a", "b"], "Unexpected argument: b"),
        (["init", "--context-window", "x"], "Invalid value for '--context-window': 'x' is not a whole number."),
        (["init", "--context-window", "5"], "Invalid value for '--context-window': 5 is not in the range x>=1000."),
    ],
)
def test_every_sentence_is_known(monkeypatch: pytest.MonkeyPatch, argv: list[str], text: str) -> None:
    """Each sentence of the parser is recognised, so that it can be said in another language."""
    found = message(*argv)
    assert _parser.problem(found) == text
    monkeypatch.setattr(_parser, "_", lambda text: "翻译" + text)
    assert _parser.problem(found).startswith("翻译")
