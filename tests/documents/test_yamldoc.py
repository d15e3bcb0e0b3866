"""Hostile and confusing YAML."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import waiting

from ccsetup.documents import yamldoc
from ccsetup.documents.yamldoc import Node
from ccsetup.errors import DocumentError


def plain(node: Node) -> Any:
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def test_values_know_their_place() -> None:
    """Every value, and every key of a mapping, knows line and column, counted from 1."""
    root = yamldoc.parse("a: 1\nb:\n  - c\n  - {d: e}\n", "f")
    assert plain(root) == {"a": 1, "b": ["c", {"d": "e"}]}
    place = yamldoc.document("a: 1\nb:\n  - c\n  - {d: e}\n", "f").place
    assert place(("b", 1, "d")) == (4, 9)
    assert place(("b", 1, "x")) == (4, 5)
    assert place(("b",), key=True) == root.keys["b"] == (2, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("no", "no"), ("yes", "yes"), ("on", "on"), ("True", "True"), ("true", True), ("false", False)],
        *[("012", "012"), ("0x10", "0x10"), ("1_000", "1_000"), ("10", 10), ("-1", -1), ("0", 0), ("1e3", "1e3")],
        *[("1.5", 1.5), (".5", ".5"), (".inf", ".inf"), (".nan", ".nan"), ("12:30", "12:30")],
        *[("2026-11-20", "2026-11-20"), ("~", None), ("null", None), ("''", ""), ("'1'", "1"), ('"true"', "true")],
        *[("9" * 40, "9" * 40), (">-\n  a\n  b", "a b"), ("=", "="), ("中文", "中文")],
    ],
)
def test_plain_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    """Only true, false, null and decimal numbers are special; all else is text."""
    found = plain(yamldoc.parse(f"a: {text}\n", "f"))["a"]
    assert found == value
    assert type(found) is type(value)


def test_byte_order_mark_and_crlf_are_fine() -> None:
    """Files from Windows editors are read like others."""
    assert plain(yamldoc.parse("\ufeffa: 1\r\nb: x\r\n".encode(), "f")) == {"a": 1, "b": "x"}


HOSTILE = {
    "python object": ("a: !!python/object/apply:os.system ['id']", "1:4: Tags (!name)"),
    "tag": ("a: !mine x", "1:4: Tags (!name)"),
    "standard tag": ("a: !!str 1", "1:4: Tags (!name)"),
    "bare tag": ("a: ! x", "1:4: Tags (!name)"),
    "tag on a key": ("!!str a: x", "1:1: Tags (!name)"),
    "anchor": ("a: &x 1", "1:4: Anchors"),
    "anchor on a list": ("a: &x [1]", "1:4: Anchors"),
    "alias": ("a: *x", "1:4: Aliases"),
    "alias to itself": ("&a [*a]", "1:1: Anchors"),
    "billion laughs": ("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]", "1:4: Anchors"),
    "duplicate key": ("a: 1\nb: 2\na: 3", "3:1: The key 'a' appears twice."),
    "duplicate key in a flow": ("{a: 1, 'a': 2}", "1:8: The key 'a' appears twice."),
    "number as a key": ("1: a", "1:1: A key has to be text."),
    "truth as a key": ("true: a", "1:1: A key has to be text."),
    "nothing as a key": ("~: a", "1:1: A key has to be text."),
    "no key at all": (": a", "1:1: This is not valid YAML"),
    "list as a key": ("? [a]\n: b", "1:3: A key has to be text."),
    "escape sequence": ('a: "\\e]8;;http://x\\a"', "1:4: The control character U+001B"),
    "line end in text": ('a: "x\\ny"', "1:4: The control character U+000A"),
    "tab in text": ('a: "x\\ty"', "1:4: The control character U+0009"),
    "half a surrogate pair": ('a: "\\ud800"', "1:4: The control character U+D800"),
    "right to left": ('a: "\\u202e"', "1:4: The control character U+202E"),
    "raw escape": ("a: 1\nb: x\x1b[2J", "2:5: The control character U+001B"),
    "raw escape in a comment": ("a: 1 # \x1b[2J", "1:8: The control character U+001B"),
    "raw zero": ("a: \0", "1:4: The control character U+0000"),
    "raw delete": ("a: \x7f", "1:4: The control character U+007F"),
    "raw next line": ("a: b\x85c: d", "1:5: The control character U+0085"),
    "raw line separator": ("a: b\u2028c: d", "1:5: The control character U+2028"),
    "mark in the middle": ("a: b\ufeff", "1:5: The control character U+FEFF"),
    "two documents": ("a: 1\n---\nb: 2", "2:1: The file holds more than one document."),
    "nothing": ("", "1:1: The file is empty."),
    "only a comment": ("# x\n", "1:1: The file is empty."),
    "tab as indent": ("a:\n\tb: 1", "2:1: This is not valid YAML"),
    "open quote": ("a: 'x", "1:6: This is not valid YAML"),
    "open flow": ("a: [1, 2", "1:9: This is not valid YAML"),
    "no such escape": ('a: "\\q"', "1:6: This is not valid YAML"),
    "no such character": ('a: "\\UFFFFFFFF"', "1:1: This is not valid YAML."),
    "absurd version": (f"%YAML 1.{'1' * 5000}\n---\na: 1", "1:1: This is not valid YAML."),
    "deep flow": ("[" * 31 + "]" * 31, "1:31: The file is nested more than 30"),
    "deep and open": ("[" * 100_000, "1:31: The file is nested more than 30"),
    "deep mappings": ("{a: " * 100_000, "nested more than 30"),
    "deep blocks": ("\n".join(" " * i + "a:" for i in range(200)), "31:31: The file is nested more than 30"),
    "deep lists": ("- " * 10_000, "1:61: The file is nested more than 30"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text_is_refused(case: str) -> None:
    """Each is refused with file, line and column, and no other exception gets out."""
    text, expected = HOSTILE[case]
    with pytest.raises(DocumentError) as caught:
        yamldoc.parse(text, "f.yaml")
    assert caught.value.message.startswith("f.yaml:")
    assert expected in caught.value.message


def test_thirty_levels_are_enough() -> None:
    """The limit itself is allowed."""
    assert plain(yamldoc.parse("[" * 30 + "]" * 30, "f"))


def test_not_utf_8_is_refused_with_its_place() -> None:
    """Bytes that are not UTF-8 are named by line and column."""
    with pytest.raises(DocumentError, match=r"f:2:4: The file is not UTF-8 text\."):
        yamldoc.parse(b"a: 1\nb: \xff\n", "f")


def test_large_files_are_refused_before_they_are_parsed() -> None:
    """More than 1 MiB is refused at once."""
    with pytest.raises(DocumentError, match="larger than 1 MiB"):
        yamldoc.parse(b"a: 1\n" * 2_000_000, "f")  # parsing this would take minutes


def test_deep_nesting_does_not_kill_the_process() -> None:
    """A C reader dies of a stack overflow here; ours answers."""
    code = (
        "from ccsetup.documents import yamldoc\n"
        "from ccsetup.errors import DocumentError\n"
        "for text in ('[' * 1000000, '{a: ' * 250000, '- ' * 500000):\n"
        "    try: yamldoc.parse(text, 'f')\n"
        "    except DocumentError as error: print(error.column)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=waiting.LIMIT
    )
    assert done.stdout.split() == ["31", "121", "61"]


PIECES = st.sampled_from(
    [*"abc01.:-?,[]{}&*!|>'\"%@`#\\ \t\n\r~=<é", "\n  ", ": ", "- ", "---\n", "\\x", "\\u"],
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_text_raises_anything_else(text: str) -> None:
    """Whatever the text, the answer is a value or DocumentError."""
    place = 1, 1
    try:
        yamldoc.parse(text, "f")
    except DocumentError as error:
        place = error.line, error.column
    assert min(place) >= 1
