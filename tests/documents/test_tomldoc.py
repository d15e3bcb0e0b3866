"""Tests of the TOML editor: golden cases, a corpus of nasty files, and generated documents, judged by tomllib."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ccsetup.documents import tomldoc, tomltext
from ccsetup.documents.edit import MISSING, Edit, KeyPath, Set, Unset, lookup
from ccsetup.errors import DocumentError

DATA = Path(__file__).parent / "data" / "toml"
GOOD = sorted(path for path in DATA.iterdir() if not path.name.startswith(("bad-", "bytes-")))
BAD = sorted(DATA.glob("bad-*"))
BYTES = sorted(DATA.glob("bytes-*"))

REFUSAL = re.compile("is not a table|contradict")

quick = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)


def text_of(path: Path) -> str:
    return tomldoc.decode(path.read_bytes())


def undo(text: str, edits: list[Edit]) -> list[Edit]:
    """Return what takes back *edits*, which set what *text* does not have, with the parents that came with them."""
    data = tomldoc.parse(text)
    out: list[Edit] = []
    for edit in reversed(edits):
        made = sum(lookup(data, edit.path[:depth]) is MISSING for depth in range(1, len(edit.path)))
        out.append(Unset(edit.path, made))
    return out


def is_subsequence(part: str, whole: str) -> bool:
    rest = iter(whole)
    return all(character in rest for character in part)


# Golden cases

PROVIDER = Set(("model_providers", "glm"), {"name": "GLM", "auth": {"command": "get", "args": ["a", "b"]}, "n": 1})
PROVIDER_TEXT = (
    '[model_providers.glm]\nname = "GLM"\nn = 1\n\n[model_providers.glm.auth]\ncommand = "get"\nargs = ["a", "b"]\n'
)

GOLDEN: dict[str, tuple[str, list[Edit], str]] = {
    "an empty document": ("", [Set(("model",), "m"), PROVIDER], f'model = "m"\n\n{PROVIDER_TEXT}'),
    "a key goes after the last one at the top": (
        "a = 1 # one\n# about b\nb = 2\n\n[t]\n",
        [Set(("c",), 3)],
        "a = 1 # one\n# about b\nb = 2\nc = 3\n\n[t]\n",
    ),
    "a first key goes between the file's comment and the header's": (
        "# file\n\n# about t\n[t]\nx = 1\n",
        [Set(("a",), 1), Set(("b",), 2)],
        "# file\n\na = 1\nb = 2\n\n# about t\n[t]\nx = 1\n",
    ),
    "a first key above a header without comment": ("[t]\nx = 1\n", [Set(("a",), 1)], "a = 1\n\n[t]\nx = 1\n"),
    "a table goes after its last sibling": (
        "[model_providers.a]\nx = 1\n\n# about t\n[t]\ny = 1\n",
        [PROVIDER],
        f"[model_providers.a]\nx = 1\n\n{PROVIDER_TEXT}\n# about t\n[t]\ny = 1\n",
    ),
    "a table goes to the end of a CRLF file": (
        "a = 1\r\n\r\n[t]\r\nx = 1\r\n# end\r\n",
        [Set(("u", "v"), True)],
        "a = 1\r\n\r\n[t]\r\nx = 1\r\n# end\r\n\r\n[u]\r\nv = true\r\n",
    ),
    "no final newline stays so": ("a = 1", [Set(("b",), 2), Set(("t", "x"), 1)], "a = 1\nb = 2\n\n[t]\nx = 1"),
    "a key in an indented table": (
        "[t]\n  x = 1 # c\n\n[u]\n",
        [Set(("t", "y"), 2)],
        "[t]\n  x = 1 # c\n  y = 2\n\n[u]\n",
    ),
    "only the value is replaced": ('a  =  "x"   # note\n', [Set(("a",), "y")], 'a  =  "y"   # note\n'),
    "a multi-line value is replaced": (
        "a = [\n  1, # one\n  2,\n] # c\nb = 1\n",
        [Set(("a",), [3])],
        "a = [3] # c\nb = 1\n",
    ),
    "a removed table leaves the next one's comment": (
        "[a]\nx = 1\n\n# about b\n[b]\n# in b\ny = 1\n\n# about c\n[c]\nz = 1\n",
        [Unset(("b",))],
        "[a]\nx = 1\n\n# about b\n\n# about c\n[c]\nz = 1\n",
    ),
    "a removed table takes its sub-tables along": (
        "[a]\nx = 1\n\n[a.b]\ny = 1\n\n[c]\nz = 1\n\n[a.d]\n",
        [Unset(("a",))],
        "\n[c]\nz = 1\n",
    ),
    "prune an empty header": ("a = 1\n\n[t]\nx = 1\n", [Unset(("t", "x"), 1)], "a = 1\n"),
    "do not prune unasked": ("a = 1\n\n[t]\nx = 1\n", [Unset(("t", "x"))], "a = 1\n\n[t]\n"),
    "a commented table is not pruned": ("[t]\n# mine\nx = 1\n", [Unset(("t", "x"), 1)], "[t]\n# mine\n"),
    "a quoted key": ("", [Set(("model_providers", "302.ai", "name"), "x")], '[model_providers."302.ai"]\nname = "x"\n'),
    "dotted keys go on dotted": (
        "p.a.x = 1\np.b.x = 2\n\n[t]\n",
        [Set(("p", "c"), {"x": 3, "y": {"z": 4}})],
        "p.a.x = 1\np.b.x = 2\np.c.x = 3\np.c.y.z = 4\n\n[t]\n",
    ),
    "inside an inline table": (
        "p = { a = { x = 1 } } # c\n",
        [Set(("p", "b"), {"y": [1]}), Set(("p", "a", "x"), 2), Set(("p", "a", "z"), 3)],
        "p = { a = { x = 2, z = 3 }, b = {y = [1]} } # c\n",
    ),
    "out of an inline table": (
        "p = {a = 1, b = {c = 2}, d = 3}\n",
        [Unset(("p", "b", "c"), 1)],
        "p = {a = 1, d = 3}\n",
    ),
    "a table is made to hold exactly these keys": (
        "[p]\n# one\na = 1 # beside\nb = 2\n\n[p.s]\nx = 1\ny = 2\n\n[q]\n",
        [Set(("p",), {"a": 1, "c": 3, "s": {"x": 5}})],
        "[p]\n# one\na = 1 # beside\nc = 3\n\n[p.s]\nx = 5\n\n[q]\n",
    ),
    "a value takes the place of a table": ("[p]\na = 1\n\n[q]\n", [Set(("p",), 1)], "p = 1\n\n[q]\n"),
    "an array of tables is removed as a whole": (
        "a = 1\n\n[[h]]\nx = 1\n[h.y]\nz = 1\n\n[[h]]\nx = 2\n\n[q]\n",
        [Unset(("h",))],
        "a = 1\n\n[q]\n",
    ),
    "a key of a table that has only sub-tables": (
        "[p.a]\nx = 1\n\n[q]\n",
        [Set(("p", "k"), 1), Set(("p", "l"), 2)],
        "[p.a]\nx = 1\n\n[p]\nk = 1\nl = 2\n\n[q]\n",
    ),
    "later edits see earlier ones": (
        "a = 1\n",
        [Set(("b",), 1), Unset(("b",)), Set(("a",), 2), Set(("a",), 1)],
        "a = 1\n",
    ),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_golden(case: str) -> None:
    """Each edit gives exactly the text that a careful person would have typed."""
    before, edits, after = GOLDEN[case]
    assert tomldoc.apply(before, edits) == after
    assert tomldoc.apply(after, edits) == after


EQUAL = [
    ("0x10", 16),
    ("1_000", 1000),
    ("1.50", 1.5),
    ("1e3", 1000.0),
    ("inf", float("inf")),
    ("nan", float("nan")),
    ("'''\nx'''", "x"),
    ('"\\u0041"', "A"),
    ("[\n1,\n]", [1]),
    ("{b = 1, a.c = 2}", {"a": {"c": 2}, "b": 1}),
]
DIFFERENT = [
    ("1", True),
    ("1", 1.0),
    ("1.0", 1),
    ('"1"', 1),
    ("1", "1"),
    ("false", 0),
    ("{}", []),
    ("[]", {}),
    ("[1]", [True]),
]


@pytest.mark.parametrize(("source", "value"), EQUAL)
def test_an_equal_value_changes_no_byte(source: str, value: Any) -> None:
    """A value that is there already, however it is spelled, stays as it is spelled."""
    text = f"a ={source}  # c"
    assert tomldoc.apply(text, [Set(("a",), value)]) == text


@pytest.mark.parametrize(("source", "value"), DIFFERENT)
def test_a_value_of_another_type_is_written(source: str, value: Any) -> None:
    """1, 1.0, true and "1" are four values, and so are {} and []."""
    found = tomldoc.parse(tomldoc.apply(f"a = {source}\n", [Set(("a",), value)]))["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("a", "b"), 1),
        (("l", "x"), 1),
        (("t", "x", "y"), 1),
        (("x",), None),
        (("x",), {"y": None}),
        (("x",), {1: 2}),
        (("x",), 2**63),
        (("x",), "\ud800"),
        (("x",), NotImplemented),
        ((), {}),
    ],
    ids=repr,
)
def test_what_cannot_be_done_is_refused(path: KeyPath, value: Any) -> None:
    """A path through something else than a table, and a value that TOML has not, raise DocumentError."""
    with pytest.raises(DocumentError):
        tomldoc.apply('a = "text"\n[[l]]\nx = 1\n[t]\nx = 1\n', [Set(path, value)])


@pytest.mark.parametrize(("path", "line"), [(("a", "b"), 1), (("l", "x"), 2), (("t", "x", "y"), 5)])
def test_a_refusal_names_the_line(path: KeyPath, line: int) -> None:
    """The error for a path through a value says where that value is."""
    with pytest.raises(DocumentError) as caught:
        tomldoc.apply('a = "text"\n[[l]]\nx = 1\n[t]\nx = 1\n', [Set(path, 1)])
    assert (caught.value.line, "is not a table" in caught.value.message) == (line, True)


HOSTILE = [
    '"',
    "'",
    '"""',
    "'''",
    "\\",
    "\n",
    "\r\n",
    "\0",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "]]",
    "#",
    "a\tb",
    "\u202e",
    "é🙂",
    " ",
    "",
    "a.b",
    "${x}",
]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_hostile_text_stays_one_value(value: str) -> None:
    """Whatever the text holds, as value, key, table name and inline, it is read back as exactly that."""
    for edit in (
        Set(("v",), value),
        Set((value,), 1),
        Set(("t", value), {"k": value}),
        Set(("l",), [value, {value: value}]),
        Set(("i", value), {"x": value}),
    ):
        after = tomldoc.apply("i = {}\n[z]\n", [edit])
        expected = {"i": {}, "z": {}}
        assert tomldoc.parse(after) == model(expected, [edit])
        assert tomldoc.apply(after, undo("i = {}\n[z]\n", [edit])) == "i = {}\n[z]\n"


# The corpus


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_corpus_set_then_unset_gives_the_original_bytes(path: Path) -> None:
    """New keys on every level, set and taken back, leave no trace; setting only inserts."""
    text = text_of(path)
    edits: list[Edit] = [
        Set(("new",), "x"),
        PROVIDER,
        Set(("features", "new"), False),
        Set(("p", "q", "r"), 1.5),
        Set(("s",), []),
        Set(("features", "sub", "new"), 1),
        Set(("w",), {}),
        Set(("tui", "new"), {"a": {"b": 1}}),
        Set(("l",), [{"a": 1}, []]),
    ]
    data = tomldoc.parse(text)
    edits = [
        e
        for e in edits
        if all(isinstance(lookup(data, e.path[:n]), (dict, type(MISSING))) for n in range(1, len(e.path)))
    ]
    after = tomldoc.apply(text, edits)
    assert same(without_empty(tomldoc.parse(after)), without_empty(model(data, edits)))
    assert tomldoc.apply(after, edits) == after
    assert is_subsequence(text, after)
    assert tomldoc.encode(tomldoc.apply(after, undo(text, edits))) == path.read_bytes()
    one_by_one = text
    for edit in edits:
        one_by_one = tomldoc.apply(one_by_one, [edit])
    assert same(tomldoc.parse(one_by_one), tomldoc.parse(after))
    for step in undo(text, edits):
        one_by_one = tomldoc.apply(one_by_one, [step])
    assert tomldoc.encode(one_by_one) == path.read_bytes()


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_corpus_every_key_can_be_replaced_and_removed(path: Path) -> None:
    """Each key and table in turn is set and removed, with exactly that change of the data."""
    text = text_of(path)
    for key_path in paths_of(tomldoc.parse(text)):
        check(text, [Set(key_path, "replaced")])
        check(text, [Set(key_path, {"replaced": {"x": 1}})])
        check(text, [Unset(key_path)])
        check(text, [Unset(key_path), Set(("added",), 1), Set(("more", "x"), 1)])


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_corpus_noop(path: Path) -> None:
    """Setting all that is there, and removing what is not there, changes no byte."""
    text = text_of(path)
    edits: list[Edit] = [Set((key,), value) for key, value in tomldoc.parse(text).items() if writable(value)]
    assert tomldoc.apply(text, [*edits, Unset(("missing",), 3), Unset(("features", "missing"), 3)]) == text
    assert tomldoc.apply(text, []) == text


@pytest.mark.parametrize("path", [path for path in GOOD if path.read_bytes()], ids=lambda path: path.stem)
def test_corpus_with_other_line_ends(path: Path) -> None:
    """A CRLF copy of a document becomes the CRLF copy of the result, with no LF alone in it."""
    text = text_of(path).replace("\r\n", "\n")
    edits: list[Edit] = [Set(("new",), "x"), PROVIDER, Unset(("model",))]
    if "\n" in text and "model_providers" not in text:
        assert tomldoc.apply(text.replace("\n", "\r\n"), edits) == tomldoc.apply(text, edits).replace("\n", "\r\n")


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_files_are_refused(path: Path) -> None:
    """What is not TOML 1.0 is neither parsed nor edited, and the place is named."""
    text = text_of(path)
    for action in (
        tomldoc.parse,
        lambda text: tomldoc.apply(text, [Set(("a",), 1)]),
        lambda text: tomldoc.apply(text, []),
    ):
        try:
            action(text)
        except DocumentError as error:
            if error.line < 1 and path.stem not in ("bad-deep", "bad-huge-number"):
                raise
        else:
            # TOML 1.1, which tomllib reads from Python 3.15 on
            assert path.stem in ("bad-inline-newline", "bad-inline-trailing-comma", "bad-bad-escape")


@pytest.mark.parametrize("path", BYTES, ids=lambda path: path.stem)
def test_bytes_that_are_not_utf8_are_refused(path: Path) -> None:
    """Other encodings and damaged files are refused before they are text."""
    with pytest.raises(DocumentError):
        tomldoc.decode(path.read_bytes())


@pytest.mark.parametrize("depth", [50, 200, 450, 900, 1100])
def test_a_shallow_stack_is_a_refusal(depth: int) -> None:
    """A document that is nested too deeply for Python never becomes a RecursionError."""
    for text in (
        "a = " + "[" * depth + "]" * depth + "\n",
        "a = " + "{a = " * depth + "1" + "}" * depth + "\n",
        ".".join("a" * depth) + " = 1\n",
        "[" + ".".join("a" * depth) + "]\n",
    ):
        try:
            after = tomldoc.apply(text, [Set(("n",), 1), Set(("t", "x"), 1)])
            assert tomldoc.apply(after, [Unset(("n",)), Unset(("t", "x"), 1)]) == text
        except DocumentError as error:
            if "nested too deeply" not in error.message:
                raise


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a",), 1),
        (("t",), 5),
        (("t", "y"), 7),
        (("u",), 8),
        (("u", "v"), 8),
        (("u", "v", "w"), 9),
        (("i",), 3),
        (("i", "j"), 3),
        (("d",), 4),
        (("d", "e"), 4),
        (("x",), 0),
        (("a", "b"), 0),
        ((), 0),
        (("h",), 10),
    ],
)
@pytest.mark.parametrize("eol", ["\n", "\r\n"])
def test_locate(path: KeyPath, line: int, eol: str) -> None:
    """The line of a key or table is the one that an editor shows; 0 means that it is not there."""
    text = 'a = """\n"""\ni = {j = 1}\nd.e = 1\n[t]\n# y = 1\ny = 2\n[u.v]\nw = 1\n[[h]]\n[[h]]\n'.replace("\n", eol)
    assert tomldoc.locate(text, path) == line
    assert tomldoc.locate("\ufeff" + text, path) == line


# The model: edits on plain data

KEYS = st.sampled_from(["a", "b", "c", "d-e", "x.y", "é", "", 'q"', "\\"])
VALUES = st.recursive(
    st.sampled_from(
        [
            True,
            False,
            0,
            1,
            -5,
            1.0,
            1.5,
            1e300,
            float("inf"),
            "",
            "x",
            "1",
            'q"\\\n',
            "é🙂",
            "#",
            "'''",
            '"""',
            "\x00\x7f\r\n",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(tuple)
EDITS = st.lists(st.builds(Set, PATHS, VALUES) | st.builds(Unset, PATHS, st.integers(0, 3)), min_size=1, max_size=5)


def writable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(writable, value.values()))
    if isinstance(value, list):
        return all(map(writable, value))
    return isinstance(value, (str, bool, float)) or (isinstance(value, int) and abs(value) < 2**63)


def paths_of(data: Any, prefix: KeyPath = ()) -> list[KeyPath]:
    if not isinstance(data, dict):
        return []
    return [p for key, value in data.items() for p in ((*prefix, key), *paths_of(value, (*prefix, key)))]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and repr(one) == repr(other)


def without_empty(data: Any) -> Any:
    """Without tables that hold nothing: whether such a table exists is a matter of how it was written."""
    if isinstance(data, dict):
        return {key: item for key, value in data.items() if (item := without_empty(value)) != {}}
    return data


def model(data: Any, edits: list[Edit]) -> Any:
    """Return *data* after *edits*, without pruning; raise KeyError when something on a path is no table."""
    data = copy.deepcopy(data)
    for edit in edits:
        node = data
        for key in edit.path[:-1]:
            if isinstance(edit, Set):
                node = node.setdefault(key, {})
                if not isinstance(node, dict):
                    raise KeyError(key)
            else:
                node = node.get(key) if isinstance(node, dict) else None
        if isinstance(edit, Set):
            node[edit.path[-1]] = copy.deepcopy(edit.value)
        elif isinstance(node, dict):
            node.pop(edit.path[-1], None)
    return data


def check(text: str, edits: list[Edit]) -> None:
    """Apply *edits* and compare with the model; what tomlkit and tomllib read has to be the same."""
    try:
        expected = model(tomldoc.parse(text), edits)
    except KeyError:
        with pytest.raises(DocumentError, match=REFUSAL):
            tomldoc.apply(text, edits)
        return
    try:
        after = tomldoc.apply(text, edits)
    except DocumentError as error:
        if "contradict" not in error.message:
            raise
        return
    plain = after.removeprefix("\ufeff")
    assert same(without_empty(tomllib.loads(plain)), without_empty(expected))
    assert tomldoc.apply(after, edits) == after
    try:
        by_tomlkit = tomlkit.parse(plain).unwrap()
    except Exception:  # it refuses valid documents (python-poetry/tomlkit#571)
        return
    assert same(without_empty(by_tomlkit), without_empty(expected)) or not same(
        without_empty(tomlkit.parse(text.removeprefix("\ufeff")).unwrap()), without_empty(tomldoc.parse(text))
    )


def has_spare_header(text: str) -> bool:
    """Tell whether a header without keys stands below its own sub-tables: the one exception of the promise."""
    statements = tomltext.scan(text)
    for index, item in enumerate(statements):
        has_keys = index + 1 < len(statements) and statements[index + 1].kind == "key"
        above = (other.path[: len(item.path)] for other in statements[:index])
        if item.kind == "table" and not has_keys and item.path in above:
            return True
    return False


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Valid TOML, in every spelling there is."""
    eol = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    bare = re.compile(r"[A-Za-z0-9_-]+")

    def key() -> str:
        name = draw(KEYS)
        if bare.fullmatch(name) and draw(st.booleans()):
            return name
        if "'" not in name and draw(st.booleans()):
            return f"'{name}'"
        return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def dotted(most: int) -> str:
        dot = draw(st.sampled_from([".", ".", " . "]))
        return dot.join(key() for _ in range(draw(st.integers(1, most))))

    def value(depth: int = 2) -> str:
        kind = draw(st.integers(0, 5 if depth else 2))
        if kind <= 2:
            return draw(
                st.sampled_from(
                    [
                        "1",
                        "0x1F",
                        "1.50",
                        "true",
                        '"x"',
                        "'#'",
                        '"\\"]"',
                        '"""a\n[x]\n"""',
                        "'''\n# no\n'''",
                        "1979-05-27 07:32:00",
                        "nan",
                        '""',
                        "''",
                        '""""q\\""""',
                        "07:32:00",
                        "-inf",
                        '"}"',
                    ]
                )
            )
        if kind == 3:
            gap = draw(st.sampled_from(["", " ", "\n  ", " # c ] }\n"]))
            items = [gap + value(depth - 1) + gap for _ in range(draw(st.integers(0, 2)))]
            return "[" + ",".join(items) + ("," if items and draw(st.booleans()) else "") + "]"
        gap = draw(st.sampled_from(["", " "]))
        return (
            "{" + ",".join(f"{gap}{dotted(2)} = {value(depth - 1)}{gap}" for _ in range(draw(st.integers(0, 2)))) + "}"
        )

    lines = []
    for _ in range(draw(st.integers(0, 9))):
        indent, comment = draw(st.sampled_from(["", "", "  "])), draw(st.sampled_from(["", "", " # c", "  "]))
        kind = draw(st.integers(0, 9))
        if kind <= 4:
            lines.append(f"{indent}{dotted(2)}{draw(st.sampled_from([' = ', '=']))}{value()}{comment}")
        elif kind <= 6:
            lines.append(f"{indent}[{dotted(3)}]{comment}")
        elif kind == 7:
            lines.append(draw(st.sampled_from(["", "   "])))
        elif kind == 8:
            lines.append(f"{indent}# comment")
        else:
            lines.append(f"[[{dotted(2)}]]")
        # Keep what is valid so far, so that few documents are thrown away.
        try:
            tomllib.loads("\n".join(lines))
        except ValueError:
            lines.pop()
    return "\n".join(lines).replace("\n", eol) + draw(st.sampled_from([eol, eol, "", eol * 2]))


@quick
@given(text=documents(), edits=EDITS)
def test_random_edits_agree_with_the_model(text: str, edits: list[Edit]) -> None:
    """Any edits of any document change the data as planned, and a second run changes nothing."""
    check(text, [edit._replace(prune=0) if isinstance(edit, Unset) else edit for edit in edits])


@quick
@given(text=documents(), edits=EDITS)
def test_random_edits_with_pruning_are_stable(text: str, edits: list[Edit]) -> None:
    """Pruning removes nothing but empty tables, and a second run changes nothing."""
    try:
        after = tomldoc.apply(text, edits)
    except DocumentError as error:
        if not REFUSAL.search(error.message):
            raise
        return
    assert tomldoc.apply(after, edits) == after
    assert same(without_empty(tomldoc.parse(after)), without_empty(model(tomldoc.parse(text), edits)))


@quick
@given(text=documents(), edits=st.lists(st.builds(Set, PATHS, VALUES), min_size=1, max_size=4), data=st.data())
def test_random_set_then_unset_restores_every_byte(text: str, edits: list[Edit], data: st.DataObject) -> None:
    """What is set where nothing was, and then unset in any order, gives the bytes of before; comments always stay."""
    new: list[Edit] = []
    for edit in edits:
        if lookup(tomldoc.parse(text), edit.path) is MISSING and all(
            edit.path[: len(other.path)] != other.path and other.path[: len(edit.path)] != edit.path for other in new
        ):
            new.append(edit)
    assume(new and not has_spare_header(text))
    try:
        after = tomldoc.apply(text, new)
    except DocumentError as error:
        if not REFUSAL.search(error.message):
            raise
        return
    assert is_subsequence(text, after)
    steps = data.draw(st.permutations(undo(text, new)))
    assert tomldoc.apply(after, steps) == text
    for step in undo(text, new):
        after = tomldoc.apply(after, [step])
    assert after == text


# Plain documents, which are read without tomllib

_PLAIN_LINES = (
    *("a = 1", "a = 0", "a = 01", "a = 1_0", "a = -1", "a = 123456789012345678", "a = 1234567890123456789", "a = ٣"),
    *("a = true", "b = false", "a = True", "a.b = 1", '"a" = 1', "a", "= 1", "a =", "-_ = 1", "é = 1", "a b = 1"),
    *('a = "x"', 'b = "x = y # z"', 'a = "x" # y', 'a = "x" # "y"', 'a = ""', 'a = """', "a = 'x'", 'a = "\\\\"'),
    *('a = "é\u00a0"', 'a = "é"', 'a = "', 'a=  "x"  ', "\ta = 1", "a = 1\t", "a = 1 # one", "  # only", "\u00a0"),
    *('a = ["x"]', 'a = ["x", "y"]', 'a = ["x, y"]', 'a = ["x","y"]', 'a = ["x", ]', 'a = [""]', "a = []", 'a = ["]'),
    *('a = [["x"], "y"]', "a = {}", "a = 1.5", "a = 1979-05-27", "[a]", "[b]", "[a.b]", "[a.b.c]", "[ a ]", "[a] # x"),
    *('[a."x.y"]', '["x"]', '[""]', '[a."b"]', "[a.'b']", '[a."x".b]', "[]", "[a.]", "[.a]", "[[a]]", "[a", "[a]]"),
)


@given(lines=st.lists(st.sampled_from(_PLAIN_LINES), max_size=5))
@settings(max_examples=3000, deadline=None)
def test_what_is_read_without_tomllib_is_what_tomllib_reads(lines: list[str]) -> None:
    """Plain lines give the same data; what is no TOML, or says anything twice, is left to tomllib."""
    text = "\n".join(lines)
    found = tomldoc._plain(text)
    if found is not None:
        assert same(found, tomllib.loads(text))


def test_files_as_programs_write_them_are_read_without_tomllib() -> None:
    """Comments, headers with a quoted folder, strings, truth values, numbers and lists of strings are plain."""
    text = (
        '# ours\nversion = 1\n\n[projects."/home/me/a.b"]\ntrust_level = "trusted"\n\n'
        '[p.auth]\nargs = ["-c", "get it"]\non = true\n'
    )
    assert tomldoc._plain(text) == tomllib.loads(text)
