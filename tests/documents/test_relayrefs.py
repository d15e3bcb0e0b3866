"""Where relay.yaml takes its keys from, and another name for a profile in it."""

from __future__ import annotations

import pytest

from ccsetup.documents import relayrefs
from ccsetup.errors import DocumentError

TEXT = """\
# Mine.
relay: 1
upstreams:
  - name: a   # first
    key: {profile: glm}
  - name: b
    keys:
      - profile: "glm"   # quoted
      - {env: glm}
      - {profile: glm-2}
  - {name: c, key: {profile: 'glm'}}
  - name: glm
    key: {inline: sk-0123456789}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("failover: [glm, kimi]", "failover: [work, kimi]"),
        ("failover: glm", "failover: work"),
        ("failover:\n  - kimi\n  - 'glm'  # dear", "failover:\n  - kimi\n  - 'work'  # dear"),
        (
            "upstreams:\n- {key: {profile: glm}}\nfailover: [glm]",
            "upstreams:\n- {key: {profile: work}}\nfailover: [work]",
        ),
        ("failover: [kimi, glm, glm-2]", "failover: [kimi, work, glm-2]"),
        ("failover: [kimi]", "failover: [kimi]"),
        ("failover:", "failover:"),
    ],
)
def test_profiles_of_failover_are_renamed(text: str, expected: str) -> None:
    assert relayrefs.renamed(f"relay: 1\nfrom: profiles\n{text}\n", "x", "glm", "work") == (
        f"relay: 1\nfrom: profiles\n{expected}\n"
    )


def test_read() -> None:
    """Every key with its upstream and line; a key that stands there itself is not shown."""
    found = relayrefs.read(TEXT, "x")
    assert [(r.kind, r.upstream, r.line) for r in found] == [
        ("profile", "a", 5),
        ("profile", "b", 8),
        ("env", "b", 9),
        ("profile", "b", 10),
        ("profile", "c", 11),
        ("inline", "glm", 13),
    ]
    assert "sk-0123456789" not in repr(found)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_renamed(end: str) -> None:
    """References to the profile change, and nothing else: no comment, no quote, no other name, no line end."""
    text = TEXT.replace("\n", end)
    lines = TEXT.split("\n")
    for i in (4, 7, 10):
        lines[i] = lines[i].replace("glm", "work")
    assert relayrefs.renamed(text, "x", "glm", "work") == end.join(lines)


@pytest.mark.parametrize("new", ["true", "null", "123", "no", "a-b_c"])
def test_names_that_yaml_takes_for_something_else(new: str) -> None:
    """A name that reads as a number or a word of YAML is put in quotes."""
    out = relayrefs.renamed("upstreams:\n  - key: {profile: glm}\n", "x", "glm", new)
    assert out is not None
    assert [r.value for r in relayrefs.read(out, "x")] == [new]


@pytest.mark.parametrize("key", ["profile: >-\n        glm", 'profile: "\\x67lm"', "profile: !!str glm"])
def test_spellings_that_are_left_alone(key: str) -> None:
    """What is not written plainly is not changed."""
    text = f"upstreams:\n  - key:\n      {key}\n"
    try:
        assert relayrefs.renamed(text, "x", "glm", "work") is None
    except DocumentError:
        assert "!!" in key


@pytest.mark.parametrize("text", ["", " \n", "- 1\n", "upstreams: 3\n", "upstreams: [1, {key: 2, keys: {a: b}}]\n"])
def test_no_references(text: str) -> None:
    """What is no relay.yaml, or a wrong one, has no references; its own reader says what is wrong."""
    assert relayrefs.read(text, "x") == []
