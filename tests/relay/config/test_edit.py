"""Other upstreams in a file that people wrote: everything else stays as it is."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from ccsetup.errors import CcsetupError, DocumentError
from ccsetup.keys.reference import KeyRef
from ccsetup.model import Preset
from ccsetup.relay.config import compose, edit
from ccsetup.relay.config.model import Group, Listen, Upstream
from ccsetup.relay.config.parse import parse


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
    now = edit.add(text, "relay.yaml", NEW, 0, no_preset)
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
        edit.add(text, "relay.yaml", NEW, 0, no_preset)
    assert "- name: new" in e.value.hint
    assert "NEW_KEY" in e.value.hint


def test_broken_file_is_named() -> None:
    """A file that cannot be read is not added to."""
    with pytest.raises(DocumentError, match=r"relay\.yaml:"):
        edit.add("relay: 1\nupstreams: 5\n", "relay.yaml", NEW, 0, no_preset)


FILE = """\
# head
relay: 1
upstreams:  # mine

  # all of them

  # about a
  - name: a  # first
    url: https://a.example
    wire: anthropic
    key: {env: A}
    # end of a

  - {name: b, url: "https://b.example", wire: chat, key: {env: B}}
  # about c
  -
    name: c
    map:

      # inside c
      x: >-
        long
        name
    url: https://c.example
    wire: chat
    key: {env: C}
    group: backup  # last

# about ping
ping: 5
"""
A = FILE[FILE.index("  # about a") : FILE.index("\n  - {name: b")]
B = FILE[FILE.index("  - {name: b") : FILE.index("  # about c")]
C = FILE[FILE.index("  # about c") : FILE.index("\n# about ping")]
HEAD, FOOT = FILE[: FILE.index("  # about a")], "\n# about ping\nping: 5\n"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("which", "index", "wanted"),
    [
        (0, 1, HEAD + B + "\n" + A + C + FOOT),
        (0, 2, HEAD + B + "\n" + C + A + FOOT),
        (1, 0, HEAD + B + "\n" + A + C + FOOT),
        (1, 1, FILE),
        (2, 0, HEAD + C + "\n" + A + B + FOOT),
    ],
)
def test_move(which: int, index: int, wanted: str, end: str) -> None:
    """The entry goes to its place with its comments; what stands alone stays, and so does every line end."""
    group: Group = "backup" if which == 2 else "primary"
    text = FILE.replace("\n", end)
    assert edit.move(text, "relay.yaml", which, index, group, no_preset) == wanted.replace("\n", end)
    short = text.replace((FOOT).replace("\n", end), "").removesuffix(end)
    bare = edit.move(short, "relay.yaml", which, index, group, no_preset)
    assert bare == wanted.replace(FOOT, "").removesuffix("\n").replace("\n", end)


def test_move_to_another_group() -> None:
    """Its group is changed where it stands, or said in one more line."""
    moved = edit.move(FILE, "relay.yaml", 2, 0, "primary", no_preset)
    assert moved == HEAD + C.replace("group: backup  # last", "group: primary  # last") + "\n" + A + B + FOOT
    moved = edit.move(FILE, "relay.yaml", 0, 2, "backup", no_preset)
    assert moved == HEAD + B + "\n" + C + A.replace("# first\n", "# first\n    group: backup\n") + FOOT
    moved = edit.move(FILE, "relay.yaml", 1, 1, "backup", no_preset)
    assert moved == FILE.replace("{name: b", "{group: backup, name: b")


@pytest.mark.parametrize(
    ("which", "wanted"),
    [(0, HEAD + B + C + FOOT), (1, HEAD + A + "\n" + C + FOOT), (2, HEAD + A + "\n" + B + FOOT)],
)
def test_remove(which: int, wanted: str) -> None:
    """What is left is as it was, without a hole."""
    assert edit.remove(FILE, "relay.yaml", which, no_preset) == wanted


def test_add_anywhere() -> None:
    """A new entry stands where it was put, and taken away again leaves what was."""
    for index in range(4):
        text = edit.add(FILE, "relay.yaml", NEW, index, no_preset)
        assert [u.name for u in parse(text.encode(), "relay.yaml", no_preset).upstreams].index("new") == index
        assert edit.remove(text, "relay.yaml", index, no_preset) == FILE


def test_others_in_their_place() -> None:
    """All entries are others then; the rest stays, but for the address where that is another."""
    text = edit.replace(FILE, "relay.yaml", (NEW,), Listen(), no_preset)
    assert text.startswith(HEAD + "  - name: new\n")
    assert text.endswith(FOOT)
    assert "example" not in text.replace("new.example", "")
    moved = edit.replace(FILE, "relay.yaml", (NEW,), Listen(port=7), no_preset)
    assert moved == text.replace("relay: 1\n", "relay: 1\nlisten: {port: 7}\n")
    with_listen = FILE.replace("# about ping", "listen:\n  # where\n  port: 8\n\n# about ping")
    back = edit.replace(with_listen, "relay.yaml", (NEW,), Listen(port=7), no_preset)
    assert "\n\nlisten: {port: 7}\n\n# about ping\nping: 5\n" in back
    assert edit.replace(with_listen, "relay.yaml", (NEW,), Listen(), no_preset).count("listen") == 0


JSON = '{"relay": 1, "upstreams": [{"name": "o", "url": "https://o.example", "wire": "chat", "key": {"env": "K"}}, %s]}'


def test_a_list_in_one_line_is_not_changed() -> None:
    """Nothing is guessed: the person changes it."""
    two = JSON % '{"name": "p", "url": "https://o.example", "wire": "chat", "key": {"env": "K"}}'
    for change in (
        lambda: edit.move(two, "relay.yaml", 0, 1, "primary", no_preset),
        lambda: edit.remove(two, "relay.yaml", 0, no_preset),
        lambda: edit.replace(two, "relay.yaml", (NEW,), Listen(), no_preset),
    ):
        with pytest.raises(CcsetupError, match="cannot be changed here"):
            change()


def _written(name: str, chance: random.Random) -> tuple[list[str], str]:
    """Return the lines of an entry with comments in front of it and inside, and what separates it from the next one."""
    deep = [2, 3, 4, 6]
    above = [f"{' ' * chance.choice(deep)}# {word} {name}" for word in chance.sample(["about", "why", "note:"], 2)]
    keys = [f"url: https://{name}.example", "wire: chat", "key: {env: K}"]
    inside = [f"{' ' * chance.choice([4, 6])}# inside {name}", "", f"    # priority: 1  of {name}"]
    body = [f"  - name: {name}", *(f"    {key}" for key in keys)]
    for line in chance.sample(inside, chance.randrange(3)):
        body.insert(chance.randrange(1, len(body)), line)
    tail = [f"    # enabled: false  of {name}", f"    #  - 5  of {name}", f"    # windows:  # of {name}"]
    body += chance.sample(tail, chance.randrange(3))
    separate = chance.random() < 0.4
    if separate and chance.random() < 0.5:
        body.append(f"    # the end of {name}")
    return [*chance.sample(above, chance.randrange(3)), *body], "\n" if separate else ""


@pytest.mark.parametrize("seed", range(60))
def test_comments_stay_with_their_entry(seed: int) -> None:
    """However far one is indented, it goes with the entry that it stands in front of or inside."""
    chance = random.Random(seed)
    names = list("abcd")
    written = {name: _written(name, chance) for name in names}
    text = "relay: 1\nupstreams:\n" + "".join("\n".join(lines) + "\n" + gap for lines, gap in written.values())
    text += "ping: 5\n"

    def rows(changed: str) -> list[str]:
        return [row for row in changed.split("\n")[2:-2] if row.strip()]

    def lines(order: Sequence[str]) -> list[str]:
        return [row for name in order for row in written[name][0] if row.strip()]

    which, index = chance.randrange(4), chance.randrange(4)
    rest = [*names[:which], *names[which + 1 :]]
    assert rows(edit.remove(text, "relay.yaml", which, no_preset)) == lines(rest)
    rest.insert(index, names[which])
    assert rows(edit.move(text, "relay.yaml", which, index, "primary", no_preset)) == lines(rest)
