"""The sources stay readable: short modules, no circles, one home for each name; and each has its tests in one place."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import tools

ROOT = Path(__file__).resolve().parents[1]
SOURCES, TESTS = ROOT / "src" / "ccsetup", ROOT / "tests"

structure = tools.load("structure")

TODAY = {
    "lines of src": 58_255,
}
"""Figures that are above their limit: none of them grows."""

WHOLE = {
    "tests of the tests and of what is delivered": "examples harness own_words patterns structure wheel world",
    "commands together": "cli/further_settings cli/imports cli/input_that_works cli/misplaced_keys "
    "cli/secrecy cli/unknown_members cli/wizard_screens cli/relay/commands cli/relay/lifecycle",
    "one command, for one client": "cli/list_claude cli/list_codex",
    "both clients by one table": "clients/conformance clients/network clients/golden",
    "records that somebody changed": "profiles/broken",
    "the real programs": "doctor/real",
    "every step against system calls that fail": "disk/faults",
    "many kinds of providers": "probe/emulator probe/scenarios probe/truth",
    "a relay that runs": "relay/drills relay/fuzz relay/http_clients relay/led relay/load relay/operation relay/paths "
    "relay/real_clients relay/safety relay/saved relay/shapes",
    "time and size of any text": "relay/wire/growth",
    "one format, read and written": "relay/wire/responses/answers",
}
"""Tests that are about more than one module, and why; those in ``sessions/`` are about whole commands."""


@pytest.mark.parametrize("figure", structure.figures(), ids=lambda figure: figure.name)
def test_no_figure_is_above_its_limit(figure: structure.Figure) -> None:  # type: ignore[name-defined]
    """``python tools/structure.py -v`` shows what was counted."""
    most = max(figure.limit, TODAY.get(figure.name, 0))
    assert figure.value <= most, "\n".join(figure.shown)


def modules() -> set[str]:
    """Return what a test may be named after: ``disk/lock``, a room as a whole, and the scripts at the top."""
    found = set()
    for path in SOURCES.rglob("*.py"):
        name = path.relative_to(SOURCES).with_suffix("")
        found.add(str(name.parent / name.name.strip("_")))
        if name.name == "__init__":
            found |= {str(name.parent), str(name.parent / name.parent.name)}
    scripts = [*(ROOT / "tools").glob("*.py"), ROOT / "hatch_build.py"]
    return found | {path.stem for path in scripts}


def test_tests_stand_where_their_module_stands() -> None:
    """``tests/x/test_y.py`` is about ``x/y.py``, or one of the few that are about more."""
    tests = {str(p.relative_to(TESTS).with_name(p.stem.removeprefix("test_"))) for p in TESTS.rglob("test_*.py")}
    more = {name for names in WHOLE.values() for name in names.split()}
    homeless = {name for name in tests if not name.startswith("sessions/")} - modules() - more
    assert homeless == set()
    assert more - tests == set(), "no such test any more"
