"""Finds sentences of ours that stand in a client's program as well.

Facts about the clients may be taken over, texts not.  A sentence here is prose of 60 characters and more, in any form
in which a file may hold it: wrapped, behind comment signs, in a string of Python or JSON.  The program is read by
``grep``, with line ends, escapes and joints of strings undone: some seconds for 300 MB.  Knows nothing of pytest.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

LENGTH = 60
"""Characters: shorter ones are names, formats and turns of phrase that anybody may come upon."""

WORDS = 6
"""A sentence has so many words; what has fewer is data: addresses, alphabets, names of months, a line of a format."""

_WORD = re.compile(r"(?<!\S)[A-Za-z][a-z]+(?![^\s\"'`*,.;:!?)])")
_MARKS = re.compile(r"(?m)^[ \t]*(?:(?:#:?|//|[*>|-])+[ \t])?[ \t]*")
_NAME = re.compile(r"(?m)^[ \t]*(?:- )?(?:msg\w+|[\w.\"'-]+ ?[:=])[ \t]*[>|]?-?[ \t]*[\"']?")
"""What stands before a text in YAML, TOML or a catalogue of translations."""
_PARAGRAPH = re.compile(r"\n[ \t]*\n|\n(?=[ \t]*(?:#[ \t]*)?[-*|>][ \t])")
_PIECES = (
    re.compile(r"[.!?][\"'`*)]*\s|\|"),  # sentences
    re.compile(r"[:;,][\"'`*)]*\s"),  # clauses
    re.compile(r"[^ -~]+|[\"'`{}<>$\\0-9]+"),  # what a program may put together when it runs, or write in another way
)

_PIPE = r"""
patterns=$1; shift
cat -- "$@" |
LC_ALL=C sed -e 's/\\[nrt]/ /g' -e 's/["`'"'"'] *+ *["`'"'"']//g' -e 's/\\\(["`'"'"']\)/\1/g' |
tr -s '\n\r\t ' ' ' | tr '\000' '\n' |
LC_ALL=C grep -aohF -f "$patterns"
"""


def sentences(name: str, content: str) -> set[str]:
    """Return the sentences of a file called *name* with single spaces; of those with long parts, the parts."""
    found: set[str] = set()
    for text in _texts(name, content):
        for paragraph in _PARAGRAPH.split(text):
            plain = re.sub(r"\\[nrt]", " ", _MARKS.sub("", paragraph))
            found.update(_pieces(" ".join(re.sub(r"\\([\"'`])", r"\1", plain).split())))
    return {each for each in found if each.isascii()}


def shared(programs: Iterable[Path], ours: Iterable[str]) -> set[str]:
    """Return those of *ours* that stand in one of *programs*."""
    known = set(ours)
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".txt") as patterns:
        patterns.write("".join(each + "\n" for each in sorted(known)))
        patterns.flush()
        argv = ["sh", "-c", _PIPE, "sh", patterns.name, *map(str, programs)]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    assert done.returncode in (0, 1), done  # 1: none
    return known.intersection(done.stdout.decode("ascii").split("\n"))


def files(folder: Path) -> Iterator[Path]:
    """Yield the files of an installed client."""
    for place, _, names in os.walk(folder):
        yield from (path for name in names if (path := Path(place, name)).is_file() and not path.is_symlink())


def _pieces(text: str, depth: int = 0) -> Iterator[str]:
    """Yield the smallest parts of *text* that are long enough."""
    for part in _PIECES[depth].split(text):
        plain = part.strip(" .!?:;,*#\"'`()[]")
        if len(plain) >= LENGTH and len(_WORD.findall(plain)) >= WORDS:
            smaller = list(_pieces(part, depth + 1)) if depth + 1 < len(_PIECES) else []
            yield from smaller or (plain,)


def _texts(name: str, content: str) -> Iterator[str]:
    yield content
    yield from content.split("\n")
    yield _NAME.sub("\n\n", content.replace('"\n"', ""))
    try:
        if name.endswith(".py"):
            for node in ast.walk(ast.parse(content)):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value
        elif name.endswith(".json"):
            yield from _strings(json.loads(content))
    except (ValueError, SyntaxError, RecursionError):
        pass  # files that are broken on purpose


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
