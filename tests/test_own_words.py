"""Every sentence of the repository is ours: none stands in the programs of the clients."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest
from support import client_install
from support.foreign import files, sentences, shared

ROOT = Path(__file__).resolve().parents[1]
NOT_OURS = frozenset(("LICENSE",))
"""The MIT licence is to be copied word for word."""


@functools.cache
def ours() -> dict[str, str]:
    """Return every sentence in a file that git tracks or would track, with the name of one such file."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    found: dict[str, str] = {}
    for name in sorted(set(listed.stdout.decode().split("\0")) - NOT_OURS):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            content = path.read_text("utf-8", "replace")
            found |= dict.fromkeys(sentences(name, content), name)
    return found


@pytest.mark.clients
@pytest.mark.parametrize("client", client_install.PINNED, ids=lambda client: client.folder.name)
def test_no_sentence_stands_in_a_client_as_well(client: client_install.Client) -> None:
    """What clients tell people and models is their makers' text: take over what it says, in words of your own."""
    assert client not in client_install.missing()
    assert {each: ours()[each] for each in shared(files(client.folder), ours())} == {}


HEAD, TAIL = "The oak behind the miller's house lost", "three branches in the storm of last week"
SENTENCE = f"{HEAD} {TAIL}."
LONG = 'In one night the storm took "three" branches from the old oak that stands behind the house of the miller.'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.md", f"* {HEAD}\n  {TAIL}. More follows.\n"),
        ("a.md", f"| a | {SENTENCE} |\n"),
        ("a.py", f"# {HEAD}\n# {TAIL}.\n"),
        ("a.py", f'x = ("{HEAD} "\n     f"{TAIL}.")\n'),
        ("a.json", '{"a": ["Well.\\n' + SENTENCE + '"]}'),
        ("a.po", f'msgid ""\n"{HEAD} "\n"{TAIL}."\n'),
        ("a.yaml", f"- note: {SENTENCE}\n  more: 1\n"),
        ("a.toml", f'note = "{SENTENCE}"\n'),
        ("a.yaml", f"note: >\n  {HEAD}\n  {TAIL}.\n"),
    ],
)
def test_a_shared_sentence_is_found(tmp_path: Path, name: str, content: str) -> None:
    """In every form in which our files and a program may hold it; another one is not."""
    forms = (
        SENTENCE,
        SENTENCE.replace("'", "\\'"),
        SENTENCE.replace(" the ", "\\n the\n\t"),
        f'{HEAD}" + " {TAIL}',
    )
    for number, form in enumerate(forms):
        program = tmp_path / str(number)
        program.write_bytes(b"\x7fELF\0\xff" + form.encode() + b"\0more")
        assert shared([program], sentences(name, content)), form
        assert not shared([program], sentences(name, content.replace("storm", "wind")))


def test_a_shared_part_is_found(tmp_path: Path) -> None:
    """A program puts a value in where our sentence has one."""
    program = tmp_path / "program"
    program.write_text(LONG.replace('"three"', "${count}"))
    assert shared([program], sentences("a.md", LONG)) == {
        "branches from the old oak that stands behind the house of the miller"
    }
