"""Tests of the JSON editor: golden cases, a corpus of nasty files, generated documents, and jsonc-parser as judge."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.oracle import Oracle

from ccsetup.documents import jsondoc
from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, Unset, lookup
from ccsetup.errors import DocumentError

DATA = Path(__file__).parent / "data" / "json"
GOOD = sorted(path for path in DATA.iterdir() if not path.name.startswith(("bad-", "bytes-")))
BAD = sorted(DATA.glob("bad-*"))
BYTES = sorted(DATA.glob("bytes-*"))
WITHOUT_VALUE = {"empty", "only-comment", "only-spaces"}
"""Documents that cannot come back: nothing in ``{}`` tells that there was no object before."""

REFUSAL = re.compile("is not an object|contradict")

quick = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    try:
        with Oracle() as running:
            yield running
    except RuntimeError as error:
        pytest.skip(str(error))


def text_of(path: Path) -> str:
    return jsondoc.decode(path.read_bytes())


def undo(text: str, edits: list[Edit]) -> list[Edit]:
    """Return what takes back *edits*, which set what *text* does not have, with the parents that came with them."""
    data = jsondoc.parse(text)
    out: list[Edit] = []
    for edit in reversed(edits):
        made = sum(lookup(data, edit.path[:depth]) is MISSING for depth in range(1, len(edit.path)))
        out.append(Unset(edit.path, made))
    return out


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(character in rest for character in part)


# Golden cases

A, B = Set(("env", "A"), "x"), Set(("env", "B"), "y")

GOLDEN: dict[str, tuple[str, list[Edit], str]] = {
    "append to a multi-line object": (
        '{\n  "env": {\n    "Q": "q"\n  }\n}\n',
        [A, B],
        '{\n  "env": {\n    "Q": "q",\n    "A": "x",\n    "B": "y"\n  }\n}\n',
    ),
    "a new object in a tab-indented CRLF file": (
        '{\r\n\t"m": 1\r\n}',
        [A],
        '{\r\n\t"m": 1,\r\n\t"env": {\r\n\t\t"A": "x"\r\n\t}\r\n}',
    ),
    "minified stays minified": ('{"m":1}', [A, B], '{"m":1,"env":{"A":"x","B":"y"}}'),
    "one line stays one line": ('{"m": 1}\n', [A, B], '{"m": 1, "env": {"A": "x", "B": "y"}}\n'),
    "a comment beside the last member stays beside it": (
        '{\n  "m": 1 // note\n  // end\n}\n',
        [Set(("n",), 2)],
        '{\n  "m": 1, // note\n  "n": 2\n  // end\n}\n',
    ),
    "a trailing comma stays a habit": ('{\n  "m": 1,\n}\n', [Set(("n",), 2)], '{\n  "m": 1,\n  "n": 2,\n}\n'),
    "replace only the value": (
        '{ "env" : {"A" :  "old" /* c */ , "B": 1.0 } }',
        [A],
        '{ "env" : {"A" :  "x" /* c */ , "B": 1.0 } }',
    ),
    "remove one from the middle with its line": (
        '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}',
        [Unset(("b",))],
        '{\n  "a": 1,\n  "c": 3\n}',
    ),
    "remove the last one with the comma before it": (
        '{\n  "a": 1, // one\n  "b": 2\n}',
        [Unset(("b",))],
        '{\n  "a": 1 // one\n}',
    ),
    "remove several that end the object": (
        '{\n  "a": 1,\n  // about b\n  "b": 2,\n  "c": 3\n}',
        [Unset(("b",)), Unset(("c",))],
        '{\n  "a": 1\n  // about b\n}',
    ),
    "remove every duplicate": ('{"a": 1, "b": 2, "a": 3}', [Unset(("a",))], '{"b": 2}'),
    "set the last duplicate, which is the one that counts": ('{"a": 1, "a": 3}', [Set(("a",), 4)], '{"a": 1, "a": 4}'),
    "prune what is left empty": ('{"m": 1, "x": {"y": {"z": 1}}}', [Unset(("x", "y", "z"), 1)], '{"m": 1, "x": {}}'),
    "prune no further than there is": ('{"x": {"y": {"z": 1}}}', [Unset(("x", "y", "z"), 9)], "{}"),
    "a commented parent is not pruned": (
        '{\n  "env": {\n    // mine\n    "A": 1\n  }\n}',
        [Unset(("env", "A"), 1)],
        '{\n  "env": {\n    // mine\n  }\n}',
    ),
    "a parent that holds nothing but was not touched stays": ('{"env": {}}', [Unset(("env", "A"), 1)], '{"env": {}}'),
    "swap the only member in place": (
        '{\n  "env": {\n    "OLD": "1" // key\n  }\n}',
        [Unset(("env", "OLD")), A],
        '{\n  "env": {\n    "A": "x" // key\n  }\n}',
    ),
    "a dict keeps the members it names, and their comments": (
        '{\n  "o": {\n    "b": 1, // one\n    "c": 2,\n    "d": {"e": 1}\n  }\n}',
        [Set(("o",), {"d": {"e": 2}, "b": 1, "f": []})],
        '{\n  "o": {\n    "b": 1, // one\n    "d": {"e": 2},\n    "f": []\n  }\n}',
    ),
    "a value takes the place of an object": ('{"o": {"a": 1}}', [Set(("o",), 1)], '{"o": 1}'),
    "an object takes the place of a value": (
        '{\n  "o": 1\n}',
        [Set(("o",), {"a": [1, {}]})],
        '{\n  "o": {\n    "a": [\n      1,\n      {}\n    ]\n  }\n}',
    ),
    "no value at all": ("", [A], '{\n  "env": {\n    "A": "x"\n  }\n}\n'),
    "only a comment": ("// c", [Set(("a",), 1)], '// c\n{\n  "a": 1\n}\n'),
    "a byte order mark stays first": ("\ufeff{}", [Set(("a",), 1)], '\ufeff{\n  "a": 1\n}'),
    "later edits see earlier ones": (
        '{"a": 1}',
        [Set(("b",), 1), Unset(("b",)), Set(("a",), 2), Set(("a",), 1)],
        '{"a": 1}',
    ),
    "text is written as it is": ("{}", [Set(("é\n",), "🙂\u2028\ud800")], '{\n  "é\\n": "🙂\u2028\\ud800"\n}'),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_golden(case: str) -> None:
    """Each edit gives exactly the text that a careful person would have typed."""
    before, edits, after = GOLDEN[case]
    assert jsondoc.apply(before, edits) == after
    assert jsondoc.apply(after, edits) == after


EQUAL = [
    ("1.50", 1.5),
    ("1E+2", 100.0),
    ("-0", 0),
    ('"\\u0041"', "A"),
    ("true", True),
    ("null", None),
    ("[1, 2.0]", [1, 2.0]),
    ('{"b": 1, "a": []}', {"a": [], "b": 1}),
    ("12345678901234567890123", 12345678901234567890123),
]
DIFFERENT = [
    ("1", True),
    ("1", 1.0),
    ("1.0", 1),
    ('"1"', 1),
    ("1", "1"),
    ("0", False),
    ("null", False),
    ("{}", []),
    ("[]", {}),
    ("[1]", [True]),
    ("[1]", [1.0]),
    ('""', None),
]


@pytest.mark.parametrize(("source", "value"), EQUAL)
def test_an_equal_value_changes_no_byte(source: str, value: Any) -> None:
    """A value that is there already, however it is spelled, stays as it is spelled."""
    text = f'{{"a" :{source} }}'
    assert jsondoc.apply(text, [Set(("a",), value)]) == text


@pytest.mark.parametrize(("source", "value"), DIFFERENT)
def test_a_value_of_another_type_is_written(source: str, value: Any) -> None:
    """1, 1.0, true and "1" are four values, and so are {} and []."""
    found = jsondoc.parse(jsondoc.apply(f'{{"a": {source}}}', [Set(("a",), value)]))["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "edit",
    [
        Set(("a", "b"), 1),
        Set(("l", "0"), 1),
        Set(("x",), float("nan")),
        Set(("x",), {1: 2}),
        Set(("x",), object()),
        Set((), {}),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused(edit: Edit) -> None:
    """A path through something else than an object, and a value that JSON has not, raise DocumentError."""
    with pytest.raises(DocumentError):
        jsondoc.apply('{"a": "text", "l": [1]}', [edit])


def test_a_refusal_names_the_line() -> None:
    """The error for a path through a value says where that value is."""
    with pytest.raises(DocumentError) as caught:
        jsondoc.apply('{\n  "a": {},\n  "env": "x"\n}', [A])
    assert (caught.value.line, "env" in caught.value.message) == (3, True)


# The corpus


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_corpus_set_then_unset_gives_the_original_bytes(path: Path) -> None:
    """New keys on every level, set and taken back, leave no trace; setting only inserts."""
    text = text_of(path)
    edits: list[Edit] = [
        A,
        B,
        Set(("new",), {"x": [1, {"y": {}}], "z": {}}),
        Set(("p", "q", "r"), 1.5),
        Set(("s",), []),
    ]
    edits = [edit for edit in edits if lookup(jsondoc.parse(text), edit.path) is MISSING]
    after = jsondoc.apply(text, edits)
    for edit in edits:
        assert lookup(jsondoc.parse(after), edit.path) == edit.value
    assert jsondoc.apply(after, edits) == after
    assert is_subsequence(text, after)
    back = jsondoc.apply(after, undo(text, edits))
    if path.stem not in WITHOUT_VALUE:
        assert jsondoc.encode(back) == path.read_bytes()
    one_by_one = text
    for edit in edits:
        one_by_one = jsondoc.apply(one_by_one, [edit])
    assert jsondoc.parse(one_by_one) == jsondoc.parse(after)
    for step in undo(text, edits):
        one_by_one = jsondoc.apply(one_by_one, [step])
    if path.stem not in WITHOUT_VALUE:
        assert jsondoc.encode(one_by_one) == path.read_bytes()


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_corpus_every_key_can_be_replaced_and_removed(path: Path, oracle: Oracle) -> None:
    """Each member in turn: after it is set or removed, jsonc-parser sees that change, no other, and every comment."""
    text = text_of(path)
    for key_path in paths_of(jsondoc.parse(text)):
        check_against(oracle, text, [Set(key_path, "replaced")])
        check_against(oracle, text, [Unset(key_path)])
        check_against(oracle, text, [Unset(key_path), Set(("added",), 1)])


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_corpus_noop(path: Path) -> None:
    """Setting all that is there, and removing what is not there, changes no byte."""
    text = text_of(path)
    data = jsondoc.parse(text)
    edits: list[Edit] = [Set((key,), value) for key, value in data.items() if value != float("inf")]
    assert jsondoc.apply(text, [*edits, Unset(("missing",), 3), Unset(("env", "missing"), 3)]) == text
    assert jsondoc.apply(text, []) == text


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_files_are_refused(path: Path) -> None:
    """What is no JSON object is not edited; what is no JSON is not parsed, and the place is named."""
    text = text_of(path)
    with pytest.raises(DocumentError):
        jsondoc.apply(text, [A])
    with pytest.raises(DocumentError):
        jsondoc.apply(text, [Unset(("missing",))])
    if path.stem not in ("bad-array", "bad-string", "bad-number"):
        with pytest.raises(DocumentError) as caught:
            jsondoc.parse(text)
        assert caught.value.line == 0 if "deep" in path.stem else caught.value.line >= 1


@pytest.mark.parametrize("path", BYTES, ids=lambda path: path.stem)
def test_bytes_that_are_not_utf8_are_refused(path: Path) -> None:
    """Other encodings and damaged files are named as such, and never guessed."""
    with pytest.raises(DocumentError) as caught:
        jsondoc.decode(path.read_bytes())
    expected = {
        "bytes-utf8": "not valid UTF-8",
        "bytes-latin1": "not valid UTF-8",
        "bytes-overlong": "not valid UTF-8",
        "bytes-surrogate-bytes": "not valid UTF-8",
        "bytes-utf16le": "UTF-16",
        "bytes-utf16be-no-bom": "UTF-16",
        "bytes-utf32": "UTF-16 or UTF-32",
        "bytes-nul": "NUL",
        "bytes-all-nul": "lost power",
    }
    assert expected[path.stem] in caught.value.message
    if path.stem == "bytes-utf8":
        assert (caught.value.line, caught.value.column) == (2, 9)


def test_too_large_a_file_is_refused() -> None:
    """More than 64 MiB is refused before anything is read."""
    with pytest.raises(DocumentError, match="64 MiB"):
        jsondoc.decode(b" " * (64 * 1024 * 1024 + 1))


def test_a_shallow_stack_is_a_refusal() -> None:
    """A document that is nested too deeply for Python never becomes a RecursionError, at any depth."""
    for depth in (100, 300, sys.getrecursionlimit() // 2, sys.getrecursionlimit() - 50, sys.getrecursionlimit()):
        for opening, middle, closing in (('{"a":', "1", "}"), ("[", "", "]")):
            text = '{"a":' + opening * depth + middle + closing * depth + "}"
            try:
                after = jsondoc.apply(text, [A])
                assert jsondoc.apply(after, [Unset(A.path, 1)]) == text
                jsondoc.parse(text)
                jsondoc.locate(text, ("a",))
            except DocumentError as error:
                if "nested too deeply" not in error.message:
                    raise


# Places


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 2),
        (("env",), 4),
        (("env", "A"), 5),
        (("env", "B"), 7),
        (("env", "C"), 0),
        (("x",), 0),
        (("a", "b"), 0),
        ((), 0),
    ],
)
@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
def test_locate(path: KeyPath, line: int, eol: str) -> None:
    """The line of a key is the one that an editor shows; of duplicates it is the one that counts."""
    text = '{\n"a": 1,\n// "env"\n"env": {\n"A": 1, "B": 2,\n/* \n*/ "B": 3}}'.replace("\n", eol)
    assert jsondoc.locate(text, path) == line
    assert jsondoc.locate("\ufeff" + text, path) == line


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{}", None),
        ("", None),
        ("\ufeff{}\r\n", None),
        ('{"a": 1, "a": "// no"}', None),
        ('{\n  "a": 1, // c\n}', (2, 9, "a trailing comma")),
        ('{\n  "a": 1,\n  /* c */}', (2, 9, "a trailing comma")),
        ('{\n "a": 1 // c\n,}', (2, 9, "a comment")),
        ('{"a": [1,\n]}', (1, 9, "a trailing comma")),
        ("/**/{}", (1, 1, "a comment")),
        ("{", (1, 2, "not JSON")),
        ("// c", (1, 1, "a comment")),
    ],
)
def test_strict_problem(text: str, place: Optional[tuple[int, int, str]]) -> None:
    """The first comment or trailing comma is found and named, because Claude Code ignores such a file."""
    problem = jsondoc.strict_problem(text)
    if place is None:
        assert problem is None
    else:
        assert problem is not None
        assert (problem.line, problem.column) == place[:2]
        assert place[2] in problem.message


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_strict_problem_agrees_with_python(path: Path) -> None:
    """A document of the corpus has a strict problem exactly when json.loads refuses it (or it has no value)."""
    text = text_of(path).removeprefix("\ufeff")
    try:
        json.loads(text)
        strict = True
    except ValueError:
        strict = not text.strip()
    assert (jsondoc.strict_problem(text) is None) == strict


# Generated documents, judged by jsonc-parser

KEYS = st.sampled_from(["a", "b", "c", "env", "é", "__proto__", "", "a.b", 'q"'])
GAPS = st.sampled_from(
    [
        "",
        "",
        "",
        " ",
        "\n",
        "\n  ",
        "\r\n\t",
        " /* c */ ",
        " // c\n",
        "\n  // d\n  ",
        "/*\n*/",
        "/*,*/",
        "  \n",
        "\r",
        "// }\r\n",
    ]
)
SCALARS = st.sampled_from(
    [
        "1",
        "1.0",
        "-0",
        "1e5",
        "12345678901234567890",
        "1e400",
        "true",
        "false",
        "null",
        '""',
        '"x"',
        '"//"',
        '"/*"',
        '"\\u0041\\n"',
        '",}"',
        '"\\\\"',
        '"\\""',
    ]
)
VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, -1, 1.0, 1.5, 1e300, "", "x", "1", 'q"\\\n', "é🙂\u2028", 10**25]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(tuple)
EDITS = st.lists(
    st.builds(Set, PATHS, VALUES) | st.builds(Unset, PATHS, st.integers(0, 3)),
    min_size=1,
    max_size=5,
)


@st.composite
def objects(draw: st.DrawFn, depth: int = 3) -> str:
    strict = draw(st.booleans())
    gap = draw(GAPS) if strict else None

    def space() -> str:
        return draw(GAPS) if gap is None else gap

    members = []
    for _ in range(draw(st.integers(0, 4))):
        kind = draw(st.integers(0, 5))
        if depth and kind >= 3:
            value = draw(objects(depth=depth - 1))
        elif depth and kind == 2:
            inner = [
                draw(objects(depth=0)) if draw(st.booleans()) else draw(SCALARS) for _ in range(draw(st.integers(0, 2)))
            ]
            value = "[" + ",".join(space() + item + space() for item in inner) + "]"
        else:
            value = draw(SCALARS)
        key = json.dumps(draw(KEYS), ensure_ascii=draw(st.booleans()))
        members.append(f"{space()}{key}{space()}:{space()}{value}{space()}")
    comma = "," + space() if members and draw(st.integers(0, 3)) == 0 else ""
    return "{" + ",".join(members) + comma + (space() if not members else "") + "}"


@st.composite
def documents(draw: st.DrawFn) -> str:
    return draw(GAPS) + draw(objects()) + draw(GAPS)


def paths_of(data: Any, prefix: KeyPath = ()) -> list[KeyPath]:
    if not isinstance(data, dict):
        return []
    return [p for key, value in data.items() for p in ((*prefix, key), *paths_of(value, (*prefix, key)))]


def as_tree(value: Any) -> Any:
    if isinstance(value, dict):
        return ["object", [[key, as_tree(item)] for key, item in value.items()]]
    if isinstance(value, list):
        return ["array", [as_tree(item) for item in value]]
    if isinstance(value, bool):
        return ["boolean", value]
    if value is None:
        return ["null", None]
    return ["string", value] if isinstance(value, str) else ["number", json.dumps(value)]


def normal(tree: Any) -> Any:
    """Order of different keys does not count; number texts do, but for how the same number is written anew."""
    if tree[0] == "object":
        return ["object", sorted(([key, normal(item)] for key, item in tree[1]), key=lambda member: member[0])]
    return ["array", [normal(item) for item in tree[1]]] if tree[0] == "array" else tree


def effective(tree: Any) -> Any:
    if tree[0] == "object":
        return ["object", [[key, effective(item)] for key, item in dict(tree[1]).items()]]
    return ["array", list(map(effective, tree[1]))] if tree[0] == "array" else tree


def equal(tree: Any, value: Any) -> bool:
    if tree[0] == "number" and type(value) in (int, float):
        number = float(tree[1]) if re.search("[.eE]", tree[1]) else int(tree[1])
        return type(number) is type(value) and number == value
    if tree[0] == "array" and isinstance(value, list):
        return len(tree[1]) == len(value) and all(map(equal, tree[1], value))
    if tree[0] == "object" and isinstance(value, dict):
        return (
            {key for key, _item in tree[1]} == set(value)
            and len(tree[1]) == len(value)
            and all(equal(item, value[key]) for key, item in tree[1])
        )
    return as_tree(value) == tree


def model_set(tree: Any, path: KeyPath, value: Any) -> Any:
    """Set *path* in a tree of the oracle; None when something on the path is no object."""
    if tree[0] != "object":
        return None
    members = [list(member) for member in tree[1]]
    indexes = [index for index, member in enumerate(members) if member[0] == path[0]]
    if not indexes:
        for key in reversed(path[1:]):
            value = {key: value}
        return ["object", [*members, [path[0], as_tree(value)]]]
    member = members[indexes[-1]]
    if len(path) > 1:
        member[1] = model_set(member[1], path[1:], value)
        return None if member[1] is None else ["object", members]
    if isinstance(value, dict) and member[1][0] == "object":
        held: Any = ["object", [m for m in member[1][1] if m[0] in value]]
        for key, item in value.items():
            held = model_set(held, (key,), item)
        member[1] = held
    elif not equal(member[1], value):
        member[1] = as_tree(value)
    return ["object", members]


def model_unset(tree: Any, path: KeyPath) -> Any:
    if tree[0] != "object":
        return tree
    if len(path) == 1:
        return ["object", [member for member in tree[1] if member[0] != path[0]]]
    indexes = [index for index, member in enumerate(tree[1]) if member[0] == path[0]]
    if not indexes:
        return tree
    members = [list(member) for member in tree[1]]
    members[indexes[-1]][1] = model_unset(members[indexes[-1]][1], path[1:])
    return ["object", members]


def check_against(oracle: Oracle, text: str, edits: list[Edit]) -> None:
    """Apply *edits* (prune 0) and compare with the same edits on what jsonc-parser reads."""
    before = oracle.read(text.removeprefix("\ufeff"))
    assert before is not None
    expected = before.tree
    for edit in edits:
        if expected is not None:
            expected = (
                model_set(expected, edit.path, edit.value)
                if isinstance(edit, Set)
                else model_unset(expected, edit.path)
            )
    if expected is None:
        with pytest.raises(DocumentError, match=REFUSAL):
            jsondoc.apply(text, edits)
        return
    try:
        after = jsondoc.apply(text, edits)
    except DocumentError as error:
        if "contradict" not in error.message:
            raise
        return
    reading = oracle.read(after.removeprefix("\ufeff"))
    assert reading is not None
    if len({edit.path[0] for edit in edits}) == len(edits):
        assert normal(reading.tree) == normal(expected)
    else:
        # Removed and set again in one go: only the last of duplicates is planned, because only that one counts.
        assert normal(effective(reading.tree)) == normal(effective(expected))
    assert jsondoc.apply(after, edits) == after
    assert not Counter(map(str.strip, reading.comments)) - Counter(map(str.strip, before.comments))
    if all(isinstance(edit, Set) and not isinstance(edit.value, dict) for edit in edits):
        replaced = [edit.path for edit in edits if lookup(jsondoc.parse(text), edit.path) is not MISSING]
        if not replaced:
            assert [c.strip() for c in reading.comments] == [c.strip() for c in before.comments]


@quick
@given(text=documents(), edits=EDITS)
def test_random_edits_agree_with_jsonc_parser(oracle: Oracle, text: str, edits: list[Edit]) -> None:
    """Any edits of any document mean the same to jsonc-parser as to us; a second run changes nothing."""
    check_against(oracle, text, [edit._replace(prune=0) if isinstance(edit, Unset) else edit for edit in edits])


@quick
@given(text=documents(), edits=EDITS)
def test_random_edits_with_pruning_are_stable(text: str, edits: list[Edit]) -> None:
    """Pruning removes nothing but empty parents, and a second run changes nothing."""
    try:
        after = jsondoc.apply(text, edits)
    except DocumentError as error:
        if not REFUSAL.search(error.message):
            raise
        return
    assert jsondoc.apply(after, edits) == after


@quick
@given(text=documents(), edits=st.lists(st.builds(Set, PATHS, VALUES), min_size=1, max_size=4), data=st.data())
def test_random_set_then_unset_restores_every_byte(text: str, edits: list[Edit], data: st.DataObject) -> None:
    """What is set where nothing was, and then unset in any order, gives the bytes of before."""
    new: list[Edit] = []
    for edit in edits:
        if lookup(jsondoc.parse(text), edit.path) is MISSING and all(
            edit.path[: len(other.path)] != other.path and other.path[: len(edit.path)] != edit.path for other in new
        ):
            new.append(edit)
    try:
        after = jsondoc.apply(text, new)
    except DocumentError as error:
        if not REFUSAL.search(error.message):
            raise
        return
    assert is_subsequence(text, after)
    steps = data.draw(st.permutations(undo(text, new)))
    assert jsondoc.apply(after, steps) == text
    for step in undo(text, new):
        after = jsondoc.apply(after, [step])
    assert after == text


@quick
@given(
    text=documents(),
    damage=st.lists(st.tuples(st.integers(0, 200), st.sampled_from(list('{}[],:"/*\\ \n1a'))), max_size=3),
)
def test_damaged_documents_are_refused_as_jsonc_parser_does(
    oracle: Oracle, text: str, damage: list[tuple[int, str]]
) -> None:
    """Where a character is put over another, we read the document exactly when jsonc-parser does."""
    for position, character in damage:
        position %= len(text)
        text = text[:position] + character + text[position + 1 :]
    reading = oracle.read(text)
    try:
        jsondoc.parse(text)
        readable = True
    except DocumentError:
        readable = False
    if text.strip() and reading is not None:
        assert readable
    if reading is None and readable:
        assert not re.sub(r"//[^\r\n]*|/\*.*?\*/|\s", "", text, flags=re.S), "a document without any value"
