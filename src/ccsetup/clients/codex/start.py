"""The Codex that is installed: its versions, and what it says itself of a configuration."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional

from ccsetup.clients import installed
from ccsetup.documents.edit import KeyPath
from ccsetup.model import Version
from ccsetup.paths import Paths

if TYPE_CHECKING:
    from ccsetup.clients.house import Judgement

_IDES = (".vscode", ".vscode-insiders", ".vscode-server", ".cursor", ".cursor-server", ".windsurf")
_EXTENSION = re.compile(r"openai\.chatgpt-\d")
"""OpenAI's extension for editors brings a Codex of its own, in ``bin/<platform>/`` (from reports, not tried)."""

_PACKAGE = '"@openai/codex"'

LIMIT = 20.0
"""Seconds for ``features list``, which takes 0.03 of one, and 0.15 through the script of npm."""
_MOST = 4 << 20


def codex_version(environ: Mapping[str, str], home: str = "") -> Optional[Version]:
    """Return the newest version of Codex that is there, or None."""
    return max(codex_versions(environ, home), default=None)


def codex_versions(environ: Mapping[str, str], home: str = "") -> tuple[Version, ...]:
    """Return the versions of every ``codex`` on PATH, and of those that editors below *home* bring along, each once.

    An npm install is recognised by the package.json beside it, which costs no process; any other is asked
    with ``codex --version`` (75 ms).
    """
    found = [installed.version_at(p, _PACKAGE) for p in _programs(environ, home)]
    return tuple(dict.fromkeys(v for v in found if v))


def _programs(environ: Mapping[str, str], home: str) -> list[str]:
    return [*installed.programs("codex", environ.get("PATH", "")), *_in_editors(home)]


def _in_editors(home: str) -> list[str]:
    out: list[str] = []
    for ide in _IDES if home else ():
        folder = os.path.join(home, ide, "extensions")
        try:
            names = [n for n in os.listdir(folder) if _EXTENSION.match(n)]
        except OSError:
            continue
        for name in names:
            programs = os.path.join(folder, name, "bin")
            try:
                platforms = sorted(os.listdir(programs))
            except OSError:
                continue
            out += [p for p in (os.path.join(programs, f, "codex") for f in platforms) if os.access(p, os.X_OK)]
    return out


def native(program: str) -> str:
    """Return the native program behind npm's script *program*, or *program* itself.

    npm puts it into ``vendor/*/bin`` (0.63: ``vendor/*/codex``) of the package, or of ``@openai/codex-<platform>``
    beside or below it.
    """
    import glob

    package = os.path.dirname(os.path.dirname(os.path.realpath(program)))
    for folder in (package, package + "-*", os.path.join(package, "node_modules", "@openai", "codex-*")):
        for tail in ("bin", "codex"):
            found = sorted(glob.glob(os.path.join(folder, "vendor", "*", tail, "codex")))
            if found and os.access(found[0], os.X_OK):
                return found[0]
    return program


def ask(paths: Paths, version: Version, text: str) -> Optional[Judgement]:
    """Return what the installed Codex *version* says of *text* as config.toml; None where nobody can tell.

    ``features list`` refuses what every command refuses, and asks no network (observed with 0.133.0 to 0.171.0).  It
    makes files, so it gets a home of its own, with copies of the files that *text* names.
    """
    import tempfile

    from ccsetup.clients.house import Judgement
    from ccsetup.probe import command
    from ccsetup.probe.verdict import clean

    program = next(
        (p for p in _programs(paths.environ, paths.home) if installed.version_at(p, _PACKAGE) == version), ""
    )
    if not program:
        return None
    with tempfile.TemporaryDirectory(prefix="ccsetup-codex-") as home:
        try:
            if not _furnish(home, paths, text):
                return None
        except (OSError, ValueError):
            return None
        at_home = os.path.realpath(os.path.join(paths.cwd, ".codex")) == os.path.realpath(paths.codex_home)
        done = command.run(
            [native(program), "features", "list"],
            cwd=home if at_home else paths.cwd,
            environ={**paths.environ, "CODEX_HOME": home},
            seconds=LIMIT,
            errors=True,
        )
    refused = re.search(r"(?m)^Error: (.*(?:\n.*)*)", done.output)
    if refused is None:
        return Judgement(True) if not done.problem and re.search(r"(?m)^\w+ .*\b(?:true|false)$", done.output) else None
    words = refused[1].replace(os.path.realpath(home), paths.short(paths.codex_home))
    words = words.replace(home, paths.short(paths.codex_home))
    cause = re.split(r"Caused by:\s*", words)[-1]
    return Judgement(False, clean(re.sub(r"\s+", " ", cause), limit=240).rstrip(".。"), _line(words, text))


def _furnish(home: str, paths: Paths, text: str) -> bool:
    """Fill the scratch folder *home*; tell whether everything that *text* names could be put there."""
    import shutil

    from ccsetup.documents import tomldoc
    from ccsetup.errors import DocumentError

    with open(os.path.join(home, "config.toml"), "w", encoding="utf-8", newline="") as file:
        file.write(text)  # the folder is its owner's alone
    try:
        data = tomldoc.parse(text) if text.strip("\ufeff \t\r\n") else {}
    except DocumentError:
        return True
    for value in _texts(data):
        source = os.path.join(paths.codex_home, value)
        if not value or len(value) > 1000 or value[:1] == "~" or os.path.isabs(value) or not os.path.isfile(source):
            continue
        target = os.path.normpath(os.path.join(home, value))
        if not target.startswith(home + os.sep) or os.path.getsize(source) > _MOST:
            return False
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
    return True


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and "\0" not in value:
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


def _line(words: str, text: str) -> int:
    from ccsetup.documents import tomldoc
    from ccsetup.errors import DocumentError

    place = re.search(r"config\.toml:(\d{1,7}):\d", words)
    if place:
        return int(place[1])
    named = re.search(r"\bin `([^`]+)`|\b(model_providers\.[\w-]+)|\b(model_catalog_json)\b", words)
    key: KeyPath = tuple((named[1] or named[2] or named[3]).split(".")) if named else ()
    while key:
        try:
            found = tomldoc.locate(text, key)
        except DocumentError:
            return 0
        if found:
            return found
        key = key[:-1]
    return 0
