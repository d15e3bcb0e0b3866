"""requirements/dev.lock, which the checks install."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import tools

ROOT = Path(__file__).resolve().parents[1]
LOCK = (ROOT / "requirements" / "dev.lock").read_text("utf-8")


def test_satisfies_pyproject() -> None:
    """Every requirement of pyproject.toml is locked, at a version that it allows."""
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.M))
    for text in tools.load("lock").wanted():
        wanted = Requirement(text)
        name = canonicalize_name(wanted.name)
        assert name in locked, f"{text}: run python3 tools/lock.py"
        assert wanted.specifier.contains(locked[name]), f"{text}: run python3 tools/lock.py"


def test_names_no_index_and_hashes_everything() -> None:
    """The lock says what to install and never from where; pip refuses a file with another hash."""
    assert "://" not in LOCK
    assert "--index-url" not in LOCK
    pins = re.split(r"\n(?=[a-z0-9])", LOCK.split("\n", 2)[2])
    assert all("--hash=sha256:" in pin for pin in pins)
