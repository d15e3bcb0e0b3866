"""To compare what ``ccsetup test`` says a client uses with what the real client sends, in the places that it reads.

Both run with the same files, variables and folder against the same provider, which takes every path and key.
Equal have to be: the URL, every header that carries a key, and the main model.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import pytest
from support import cc
from support.provider import Provider

KEY_A, KEY_B, KEY_C = "sk-a-5f4dcc3b5aa765d61d83", "sk-b-27deb882cf995ef0a1b2", "sk-c-098f6bcd4621d373cade"
KEYS = (KEY_A, KEY_B, KEY_C)


class Sent(NamedTuple):
    """What a request shows of the configuration behind it."""

    url: str
    credentials: tuple[tuple[str, str], ...]
    model: Optional[str]


def sent(provider: Provider, kind: Any, model: Optional[str] = None) -> set[Sent]:
    """Return the different requests of *kind* (to *model* alone, when given); the record is emptied."""
    found = {
        Sent(call.request.target.partition("?")[0], tuple(sorted(call.credentials)), call.model)
        for call in provider.of(kind)
        if call.model and (model is None or call.model == model)
    }
    provider.clear()
    return found


class Case(NamedTuple):
    name: str
    files: Callable[[str], Mapping[str, str]]
    """The provider's origin to files below the home; ``work/`` is the folder that both run in."""
    env: Callable[[str], Mapping[str, str]] = lambda origin: {}
    url: str = ""
    """The expected path, so that a case cannot pass for being wrong on both sides."""
    keys: tuple[tuple[str, str], ...] = ()
    """The expected headers."""
    model: str = "m-main"
    versions: tuple[str, ...] = ()
    etc: Callable[[str], Mapping[str, str]] = lambda origin: {}
    """Files below /etc."""
    profile: str = ""


def bearer(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


def x_api_key(key: str) -> tuple[tuple[str, str], ...]:
    return (("x-api-key", key),)


def etc_prefix(home: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Return a command prefix under which /etc has *files* in addition, or skip; nobody else sees them."""
    if not files:
        return ()
    lower, work = home / "etc-upper", home / "etc-work"
    cc.put(lower, files, mode=0o644)
    work.mkdir(exist_ok=True)
    # On tmpfs: an overlay on an overlay is refused by many kernels.
    script = (
        'set -e; t=$(mktemp -d); mount -t tmpfs none "$t"; cp -a /etc/. "$t"; cp -r "$0"/. "$t"; '
        'mount --bind "$t" /etc; exec "$@"'
    )
    prefix = ("unshare", "-m", "sh", "-c", script, str(lower))
    tried = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no private mount namespace here: {tried.stderr.strip()}")
    return prefix


def prepare(home: Path, case: Case, origin: str) -> tuple[Path, dict[str, str], tuple[str, ...]]:
    """Write the case's files; return the folder to run in, the variables, and the prefix."""
    cc.put(home, case.files(origin))
    work = home / "work"
    work.mkdir(exist_ok=True)
    env = {name: value.replace("@HOME@", str(home)) for name, value in case.env(origin).items()}
    return work, env, etc_prefix(home, case.etc(origin))
