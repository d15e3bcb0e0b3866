"""The figures that keep the sources readable, and their limits: ``python tools/structure.py``.

Lines of ``src``, import circles, modules that name a client outside ``clients/``, long modules, long functions, and
class names that stand in more than one module.  Exits with 1 when a figure is above its limit.  Imports nothing of the
program: it reads the sources.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Iterable, Iterator, Mapping, NamedTuple

ROOT = Path(__file__).resolve().parents[1]

LONG_MODULE, LONG_FUNCTION = 450, 60
"""Lines."""

LIMITS: Mapping[str, int] = {
    "lines of src": 42_500,
    "import circles": 0,
    "modules outside clients/ that name a client": 8,
    f"modules over {LONG_MODULE} lines": 8,
    f"functions over {LONG_FUNCTION} lines": 6,
    "public class names in more than one module": 0,
}


class Module(NamedTuple):
    name: str
    lines: int
    tree: ast.Module
    text: str


class Figure(NamedTuple):
    name: str
    value: int
    shown: tuple[str, ...]
    """What was counted, a line each."""

    @property
    def limit(self) -> int:
        return LIMITS[self.name]


def modules(source: Path = ROOT / "src") -> dict[str, Module]:
    """Return the program's modules by their dotted names."""
    found = {}
    for path in sorted(source.glob("ccsetup/**/*.py")):
        text = path.read_text("utf-8")
        name = ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
        found[name] = Module(name, text.count("\n"), ast.parse(text), text)
    return found


def imports(module: Module, known: Iterable[str]) -> set[str]:
    """Return the modules among *known* that *module* imports, also inside functions and for types alone."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner if inner & set(known) == inner else {node.module, *inner}
    return {name for name in found if name in known and name != module.name}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import one another (strongly connected components of two and more)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    out: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                out.append(sorted(group))

    for name in graph:
        if name not in order:
            visit(name)
    return out


CLIENT_ID = re.compile(r"""(["'])(?:claude-code|codex|claude)\1""")


def long_functions(found: Iterable[Module]) -> Iterator[tuple[int, str]]:
    for module in found:
        for node in ast.walk(module.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONG_FUNCTION:
                    yield lines, f"{module.name}.{node.name}"


def figures() -> list[Figure]:
    """Return every figure of the sources as they are."""
    found = modules()
    groups = circles({name: imports(module, found.keys()) for name, module in found.items()})
    named = [n for n, m in found.items() if not n.startswith("ccsetup.clients") and CLIENT_ID.search(m.text)]
    long = sorted(((m.lines, n) for n, m in found.items() if m.lines > LONG_MODULE), reverse=True)
    functions = sorted(long_functions(found.values()), reverse=True)
    classes = defaultdict(list)
    for name, module in found.items():
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(name)
    twice = {name: places for name, places in classes.items() if len(places) > 1}
    values = (
        (sum(m.lines for m in found.values()), ()),
        (len(groups), tuple(" ".join(group) for group in groups)),
        (len(named), tuple(named)),
        (len(long), tuple(f"{lines} {name}" for lines, name in long)),
        (len(functions), tuple(f"{lines} {name}" for lines, name in functions)),
        (len(twice), tuple(f"{name}: {', '.join(places)}" for name, places in sorted(twice.items()))),
    )
    return [Figure(name, value, shown) for name, (value, shown) in zip(LIMITS, values, strict=True)]


def main() -> None:
    """Print each figure, its limit and, with ``-v`` or above the limit, what was counted."""
    over = False
    for figure in figures():
        above = figure.value > figure.limit
        over |= above
        print(f"{figure.value:7,} {figure.name} (at most {figure.limit:,}){'  TOO MANY' if above else ''}")
        if above or "-v" in sys.argv:
            print(*(f"          {line}" for line in figure.shown), sep="\n")
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()
