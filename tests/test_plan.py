"""Wishes to edits: what becomes ours, what goes again, what stays because somebody changed it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccsetup.documents import jsondoc
from ccsetup.documents.edit import MISSING, KeyPath, Set, Unset
from ccsetup.model import Secret
from ccsetup.plan import Changed, Owned, Wish, digest, edits, is_ours, owned_from_json, owned_to_json

A, B, X = ("env", "A"), ("env", "B"), ("x",)


def wish(settings: dict[KeyPath, Any], **more: Any) -> Wish:
    return Wish("/f", "json", settings, **more)


CASES: list[tuple[str, Any, Wish, tuple[Owned, ...], tuple[Any, ...], tuple[Owned, ...], tuple[Changed, ...]]] = [
    # name, data, wish, owned before; edits, owned after, changed by hand
    ("fresh", {}, wish({A: "1"}), (), (Set(A, "1"),), (Owned(A, "1", MISSING, 1),), ()),
    ("beside others", {"env": {"B": "2"}}, wish({A: "1"}), (), (Set(A, "1"),), (Owned(A, "1", MISSING, 0),), ()),
    ("there already", {"env": {"A": "1"}}, wish({A: "1"}), (), (), (Owned(A, "1", MISSING, 0),), ()),
    ("another type", {"env": {"A": 1}}, wish({A: True}), (), (Set(A, True),), (Owned(A, True, MISSING, 0),), ()),
    (
        "keeps what was",
        {"x": "u"},
        wish({X: "1"}, keep_before=frozenset((X,))),
        (),
        (Set(X, "1"),),
        (Owned(X, "1", "u", 0),),
        (),
    ),
    (
        "once more",
        {"x": "1"},
        wish({X: "1"}, keep_before=frozenset((X,))),
        (Owned(X, "1", "u", 0),),
        (),
        (Owned(X, "1", "u", 0),),
        (),
    ),
    (
        "a key is kept as a digest",
        {},
        wish({X: Secret("k")}),
        (),
        (Set(X, "k"),),
        (Owned(X, digest(Secret("k")), MISSING, 0),),
        (),
    ),
    (
        "absent wanted",
        {"x": "u"},
        wish({X: MISSING}, keep_before=frozenset((X,))),
        (),
        (Unset(X),),
        (Owned(X, MISSING, "u", 0),),
        (),
    ),
    ("absent already", {}, wish({X: MISSING}, keep_before=frozenset((X,))), (), (), (), ()),
    ("absent for good", {"x": "foreign"}, wish({X: MISSING}), (), (Unset(X),), (), ()),
    (
        "absent once more",
        {},
        wish({X: MISSING}, keep_before=frozenset((X,))),
        (Owned(X, MISSING, "u", 0),),
        (),
        (Owned(X, MISSING, "u", 0),),
        (),
    ),
    (
        "absent, and set anew",
        {"x": "v"},
        wish({X: MISSING}, keep_before=frozenset((X,))),
        (Owned(X, MISSING, "u", 0),),
        (Unset(X),),
        (Owned(X, MISSING, "v", 0),),
        (),
    ),
    ("no more wanted", {"env": {"A": "1"}}, wish({}), (Owned(A, "1", MISSING, 1),), (Unset(A, 1),), (), ()),
    ("goes back", {"x": "1"}, wish({}), (Owned(X, "1", "u", 0),), (Set(X, "u"),), (), ()),
    ("comes back", {}, wish({}), (Owned(X, MISSING, "u", 0),), (Set(X, "u"),), (), ()),
    ("removed by hand", {}, wish({}), (Owned(X, "1", "u", 0),), (), (), ()),
    ("changed by hand", {"x": "2"}, wish({}), (Owned(X, "1", MISSING, 0),), (), (), (Changed("/f", X),)),
    ("changed in type", {"x": 1}, wish({}), (Owned(X, "1", MISSING, 0),), (), (), (Changed("/f", X),)),
    (
        "changed, but forced",
        {"x": "2"},
        wish({}, forced=frozenset((X,))),
        (Owned(X, "1", MISSING, 0),),
        (Unset(X, 0),),
        (),
        (),
    ),
    ("the key is ours", {"x": "k"}, wish({}), (Owned(X, digest(Secret("k")), MISSING, 0),), (Unset(X, 0),), (), ()),
    ("another key", {"x": "j"}, wish({}), (Owned(X, digest(Secret("k")), MISSING, 0),), (), (), (Changed("/f", X),)),
    ("free", {}, wish({X: "1"}, free=frozenset((X,))), (), (Set(X, "1"),), (), ()),
    (
        "a table goes whole",
        {"t": {"u": {"a": 1, "mine": 2}}},
        wish({}),
        (Owned(("t", "u", "a"), 1, MISSING, 2), Owned(("t", "u"), {"table": True}, MISSING, 1)),
        (Unset(("t", "u"), 1),),
        (),
        (),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_edits(case: Any) -> None:
    """The edits, what we own afterwards, and what was changed by hand, compared whole."""
    _name, data, wanted, owned, out, now, changed = case
    assert edits(data, wanted, owned) == (out, now, changed)


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_records_survive_json(case: Any) -> None:
    """What we own is the same after it was written to JSON and read again."""
    for owned in (case[3], case[5]):
        assert owned_from_json(json.loads(json.dumps(owned_to_json(owned)))) == owned


def test_a_damaged_record_is_dropped() -> None:
    """Items that are no record are left out; nothing is raised."""
    items = [1, {}, {"path": "x"}, {"path": [1]}, {"path": ["x"], "prune": "y"}, None]
    assert owned_from_json(items) == (Owned(("x",), MISSING, MISSING, 0),)
    assert owned_from_json({"x": 1}) == ()


def test_a_digest_recognises_only_its_key() -> None:
    """A record never holds a key, and a value that only looks like a digest is compared as it is."""
    record = digest(Secret("k"))
    assert len(record["blake2b"]) == 128
    assert is_ours("k", record)
    assert not is_ours("j", record)
    assert not is_ours(7, record)


PATHS: tuple[KeyPath, ...] = (
    ("x",),
    ("env", "A"),
    ("env", "B"),
    ("env", "C"),
    ("t", "u", "a"),
    ("t", "u", "b"),
    ("t", "v"),
)
VALUES = st.sampled_from(["1", "2", "", 1, True, None, 1.5])


def documents() -> st.SearchStrategy[dict[str, Any]]:
    def build(items: dict[KeyPath, Any]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for path, value in items.items():
            node = data
            for key in path[:-1]:
                node = node.setdefault(key, {})
            node[path[-1]] = value
        return data

    return st.dictionaries(st.sampled_from(PATHS), VALUES, max_size=len(PATHS)).map(build)


def wishes() -> st.SearchStrategy[Wish]:
    wanted = st.dictionaries(
        st.sampled_from(PATHS), st.one_of(VALUES, st.just(MISSING), st.just(Secret("k"))), max_size=5
    )
    return wanted.map(lambda w: wish(w, keep_before=frozenset(PATHS)))


@settings(max_examples=150, deadline=None)
@given(data=documents(), sequence=st.lists(wishes(), max_size=4))
def test_switching_is_clean(data: dict[str, Any], sequence: list[Wish]) -> None:
    """Whatever was wished for in between, an empty wish at the end gives the user's own values back; each wish holds.

    Each wish made a second time changes nothing, neither the document nor the record.
    """
    text = json.dumps(data, indent=2)
    owned: tuple[Owned, ...] = ()
    for wanted in [*sequence, wish({}, keep_before=frozenset(PATHS))]:
        out, owned, changed = edits(jsondoc.parse(text), wanted, owned)
        assert changed == ()
        text = jsondoc.apply(text, out)
        for path, value in wanted.settings.items():
            node: Any = jsondoc.parse(text)
            for key in path:
                node = node.get(key, MISSING) if isinstance(node, dict) else MISSING
            assert node == (value.reveal() if isinstance(value, Secret) else value)
        assert edits(jsondoc.parse(text), wanted, owned) == ((), owned, ())
    assert owned == ()
    assert jsondoc.parse(text) == data


def test_changes_and_records_hide_keys() -> None:
    """A wish for a key shows no key."""
    assert "k1k2k3" not in repr(wish({X: Secret("k1k2k3")}))
