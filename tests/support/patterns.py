"""Every regular expression of the program, and texts that are hard for it: found in the source, without a list."""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ccsetup

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import sre_constants as codes
    import sre_parse

SOURCE = Path(ccsetup.__file__).parent
USES = ("match", "search", "fullmatch", "sub", "subn", "split", "findall", "finditer")
MANY = 50
"""A repeat that ends earlier is no danger by itself."""


class Pattern(NamedTuple):
    where: str
    compiled: re.Pattern[Any]
    use: str
    """Of USES."""


def every() -> list[Pattern]:
    """Return the patterns of all modules with how each is used; AssertionError where one cannot be worked out."""
    trees = {p: ast.parse(p.read_text("utf-8")) for p in sorted(SOURCE.rglob("*.py")) if "_presets" not in p.parts}
    used: dict[str, set[str]] = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in USES:
                name = node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", "")
                used.setdefault(f"{path}{name}" if name.startswith("_") else name, set()).add(node.attr)
    found: dict[tuple[Any, str], Pattern] = {}
    for path, tree in trees.items():
        for where, node, uses in _calls(path, tree, used):
            compiled = _value(path, node)
            for use in sorted(uses):
                found.setdefault((compiled, use), Pattern(where, compiled, use))
    return list(found.values())


def _calls(path: Path, tree: ast.AST, used: dict[str, set[str]]) -> Iterator[tuple[str, ast.Call, set[str]]]:
    names: dict[int, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[id(node.value)] = node.targets[0].id
    for node in ast.walk(tree):
        where = f"{path.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"
        if not isinstance(node, ast.Call):
            continue
        if (
            isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
        ):
            if node.func.attr == "compile":
                yield where, node, _uses(path, names.get(id(node), ""), used)
            elif node.func.attr in USES:
                yield where, node, {node.func.attr}
        for keyword in node.keywords:
            if keyword.arg == "pattern" and not isinstance(keyword.value, ast.Attribute):
                yield where, ast.Call(node.func, [keyword.value], []), {"search"}


def _uses(path: Path, name: str, used: dict[str, set[str]]) -> set[str]:
    if not name:
        return {"match"}
    return used.get(f"{path}{name}" if name.startswith("_") else name, set()) or {"match"}


def _value(path: Path, call: ast.Call) -> re.Pattern[Any]:
    """Work the pattern out in its module; a part that only a run knows counts as the letter x."""
    name = ".".join(("ccsetup", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    module = vars(importlib.import_module(name))
    wanted = [n.id for n in ast.walk(call) if isinstance(n, ast.Name)]
    unknown = {n: "x" for n in wanted if n not in module and not hasattr(builtins, n)} | {"re": re}
    flags = 0
    for argument in [*call.args[1:], *(k.value for k in call.keywords)]:
        text = ast.unparse(argument)
        if "re." in text:
            flags = int(eval(text, module, unknown))
    try:
        pattern = eval(compile(ast.Expression(call.args[0]), str(path), "eval"), module, unknown)
    except AttributeError:  # ``kind.pattern``, which is found where it is given
        pattern = "x"
    return pattern if isinstance(pattern, re.Pattern) else re.compile(pattern, flags)


def hard(pattern: re.Pattern[Any]) -> set[tuple[str, str, str]]:
    """Return texts as beginning, part to repeat, and end: repeats of every class of characters, and near misses."""
    found: set[tuple[str, str, str]] = set()
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = sre_parse.parse(text, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags)
    groups: dict[int, str] = {}
    for before, parts in _repeats(list(tree), "", groups):
        for part in parts:
            for end in ("", "\n!"):
                found |= {(before, part, end), ("", part, end), ("", before + part, end)}
    return {(b, p, e) for b, p, e in found if p}


def _repeats(items: list[Any], before: str, groups: dict[int, str]) -> Iterator[tuple[str, list[str]]]:
    for code, value in items:
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            _low, high, body = value
            if high >= MANY:
                yield before, _some(list(body), groups)
            yield from _repeats(list(body), before, groups)
        elif code is codes.SUBPATTERN:
            yield from _repeats(list(value[-1]), before, groups)
        elif code is codes.ATOMIC_GROUP:
            yield from _repeats(list(value), before, groups)
        elif code is codes.BRANCH:
            for branch in value[1]:
                yield from _repeats(list(branch), before, groups)
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            yield from _repeats(list(value[1]), before, groups)
        before += _one([(code, value)], groups)


def _some(items: list[Any], groups: dict[int, str]) -> list[str]:
    """Return texts that *items* match: for one class of characters several of them."""
    if len(items) == 1:
        code, value = items[0]
        if code is codes.SUBPATTERN:
            return _some(list(value[-1]), groups)
        if code is codes.BRANCH:
            return [text for branch in value[1] for text in _some(list(branch), groups)]
        if code in (codes.IN, codes.ANY, codes.NOT_LITERAL):
            return _chars(code, value)[:8]
    return [_one(items, groups)]


def _one(items: list[Any], groups: dict[int, str]) -> str:
    out = ""
    for code, value in items:
        if code is codes.LITERAL:
            out += chr(value)
        elif code in (codes.IN, codes.ANY, codes.NOT_LITERAL):
            out += _chars(code, value)[0]
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            out += _one(list(value[2]), groups) * value[0]
        elif code is codes.SUBPATTERN:
            groups[value[0] or 0] = _one(list(value[-1]), groups)
            out += groups[value[0] or 0]
        elif code is codes.ATOMIC_GROUP:
            out += _one(list(value), groups)
        elif code is codes.BRANCH:
            out += _one(list(value[1][0]), groups)
        elif code is codes.GROUPREF:
            out += groups.get(value, "")
    return out


_TRIED = "aA_0 \t\n\\\"'-./:=,<>[]{}(@#;*!~\x7fé。"


def _chars(code: Any, value: Any) -> list[str]:
    def fits(char: str) -> bool:
        if code is codes.ANY:
            return char != "\n"
        if code is codes.NOT_LITERAL:
            return ord(char) != value
        negated = value[0][0] is codes.NEGATE
        return negated != any(_in(char, *item) for item in value if item[0] is not codes.NEGATE)

    chosen = [char for char in _TRIED if fits(char)]
    first = [chr(v) for c, v in value if c is codes.LITERAL] if code is codes.IN else []
    ranges = [chr(v[0]) for c, v in value if c is codes.RANGE] if code is codes.IN else []
    return chosen or [char for char in first + ranges if fits(char)] or ["x"]


def _in(char: str, code: Any, value: Any) -> bool:
    if code is codes.LITERAL:
        return ord(char) == value
    if code is codes.RANGE:
        return bool(value[0] <= ord(char) <= value[1])
    kinds = {
        codes.CATEGORY_DIGIT: char.isdigit(),
        codes.CATEGORY_SPACE: char.isspace(),
        codes.CATEGORY_WORD: char.isalnum() or char == "_",
    }
    opposite = {
        codes.CATEGORY_NOT_DIGIT: codes.CATEGORY_DIGIT,
        codes.CATEGORY_NOT_SPACE: codes.CATEGORY_SPACE,
        codes.CATEGORY_NOT_WORD: codes.CATEGORY_WORD,
    }
    return not kinds[opposite[value]] if value in opposite else kinds[value]
