"""One more upstream in a file that people wrote: everything else stays as it is."""

from __future__ import annotations

import pytest

from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.keys.reference import KeyRef
from ccsetup.model import Preset
from ccsetup.relay.config import compose, insert
from ccsetup.relay.config.model import Upstream


def no_preset(name: str) -> Preset:
    raise AssertionError(name)


NEW = compose.complete(
    Upstream("new", {"chat": "https://new.example/v1"}, (KeyRef("env", "NEW_KEY"),), models=("m1", "a: b")), None
)
OLD = "  - name: old\n    url: https://old.example\n    wire: anthropic\n    key: {env: OLD_KEY}\n"
ADDED = "name: new"

KEPT = [
    ("plain", "relay: 1\nupstreams:\n" + OLD),
    ("comments", "relay: 1\nupstreams: # mine\n  # the first\n" + OLD + "# end\nping: 5\n"),
    ("not indented", "relay: 1\nupstreams:\n" + "\n".join(line[2:] for line in OLD.split("\n"))),
    ("deep", "relay: 1\nupstreams:\n" + "\n".join("     " + line for line in OLD.rstrip().split("\n")) + "\n"),
    ("before other keys", "relay: 1\nupstreams:\n\n" + OLD + "listen: {port: 1}\n"),
    ("CRLF", ("relay: 1\nupstreams:\n" + OLD).replace("\n", "\r\n")),
    ("byte order mark", "\ufeffrelay: 1\nupstreams:\n" + OLD),
    ("no line end", "relay: 1\nupstreams:\n" + OLD.rstrip("\n")),
]


@pytest.mark.parametrize("text", [k[1] for k in KEPT], ids=[k[0] for k in KEPT])
def test_every_old_line_stays(text: str) -> None:
    """The new entry comes first; taken away again, the text is what it was."""
    now = insert.first(text, "relay.yaml", NEW, no_preset)
    assert now.index("new.example") < now.index("old.example")
    old = text.split("\n")
    lines = now.split("\n")
    begin = next(i for i, line in enumerate(lines) if ADDED in line)
    assert lines[:begin] + lines[begin + len(lines) - len(old) :] == old
    assert ("\r\n" in now) == ("\r\n" in text)
    assert now.count("\r") in (0, now.count("\n"))


@pytest.mark.parametrize(
    "text",
    [
        "relay: 1\nupstreams: [{name: old, url: https://old.example, wire: anthropic, key: {env: OLD_KEY}}]\n",
        '{"relay": 1, "upstreams": [{"name": "o", "url": "https://o.example", "wire": "chat", "key": {"env": "K"}}]}',
    ],
)
def test_other_forms_are_refused_with_the_lines(text: str) -> None:
    """A list that is not written line by line is left to its owner."""
    with pytest.raises(CcsetupError) as e:
        insert.first(text, "relay.yaml", NEW, no_preset)
    assert "- name: new" in e.value.hint
    assert "NEW_KEY" in e.value.hint


def test_broken_file_is_named() -> None:
    """A file that cannot be read is not added to."""
    with pytest.raises(DocumentError, match=r"relay\.yaml:"):
        insert.first("relay: 1\nupstreams: 5\n", "relay.yaml", NEW, no_preset)
