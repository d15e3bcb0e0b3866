"""Write what the documentation takes from the program: ``python tools/docs.py``; ``--check`` only compares.

* ``docs/reference/cli.md`` is made of every command's ``--help``, ``providers.md`` of the presets, and
  ``preset-format.md`` of the table that checks presets.
* In every other page a block marked ``console`` is a session: its ``$`` lines are run, in order and in one empty
  home per page, and their output is put below them.  A block whose first line is a comment with a path
  (``# ~/.config/...``) is put into that file first.  A block marked ``sh`` is shown and not run.
* What stands between ``<!-- tools/docs.py: NAME -->`` and ``<!-- end -->`` comes from ``docs_relay.PARTS``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import glob
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DOCS = os.path.join(ROOT, "docs")
REFERENCE = os.path.join(DOCS, "reference")
GENERATED = "<!-- Written by tools/docs.py; do not edit. -->\n\n"

sys.path[:0] = [os.path.join(ROOT, name) for name in ("src", "tools", "tests")]

from support import world  # noqa: E402

PROGRAMS = ("cat", "find", "git", "grep", "head", "mkdir", "sed", "sort", "stat", "xargs")
"""What the examples call beside ccsetup and the shell."""

NOW = 1795176000.0  # 2026-11-20 12:00 UTC
"""What the clock of the examples says."""


class Example:
    """What the sessions of one page run in: an empty home, the newest clients, a free port, a clock that stands."""

    def __init__(self, folder: str) -> None:
        self.home = os.path.join(os.path.realpath(folder), "home")
        self._work = os.path.join(self.home, "project")
        os.makedirs(self._work)
        self.port = world.Port()
        programs = world.link(Path(folder, "programs"), PROGRAMS)
        (programs / "ccsetup").symlink_to(os.path.join(os.path.dirname(sys.executable), "ccsetup"))
        clients = world.clients(Path(folder, "clients"))
        self._environ = {
            **world.variables((programs, clients), port=self.port.number, time=NOW),
            "HOME": self.home,
            "TZ": "UTC",
            "COLUMNS": "100",
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def run(self, *argv: str) -> str:
        """Return what *argv* prints in the project's folder, with home, port and random values as a page shows them."""
        done = subprocess.run(
            argv,
            env=self._environ,
            cwd=self._work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            umask=0o022,
        )
        printed = (done.stdout + done.stderr).replace(self.home, "/home/you")
        printed = re.sub(rf"(127\.0\.0\.1:|\b[Pp]ort:? ){self.port.number}\b", r"\g<1>5101", printed)
        for pattern, shown in RANDOM:
            printed = re.sub(pattern, shown, printed)
        return printed


@contextlib.contextmanager
def example() -> Iterator[Example]:
    """Make an ``Example``, and end the relay that its page may have started, whatever became of the page."""
    with tempfile.TemporaryDirectory() as folder:
        made = Example(folder)
        try:
            yield made
        finally:
            if os.path.exists(os.path.join(made.home, ".local", "state", "ccsetup", "relay")):
                made.run("ccsetup", "relay", "stop", "--now")
            made.port.__exit__()


@functools.cache
def commands() -> list[str]:
    """Return every command and its own commands: ``key``, ``key set``, ``relay key add``."""
    import typer

    from ccsetup.cli._app import app

    def below(group: Any, before: str) -> Iterator[str]:
        for name in group.list_commands(None) if hasattr(group, "list_commands") else ():
            yield before + name
            yield from below(group.get_command(None, name), f"{before}{name} ")

    return list(below(typer.main.get_command(app), ""))


def cli_page() -> str:
    """Return docs/reference/cli.md."""
    from ccsetup.cli._app import ALIASES

    out = [GENERATED, "# Command line\n\nWhat `ccsetup --help` and every command's `--help` print.\n"]
    short = {name: alias for alias, name in ALIASES.items()}
    with example() as made:
        for name in ("", *commands()):
            argv = ["ccsetup", *name.split()]
            text = made.run(*argv, "--help")
            out.append(f"\n## {' '.join(argv)}\n\n")
            if name in short:
                out.append(f"Short: `ccsetup {short[name]}`.\n\n")
            out.append(f"```text\n{text.rstrip()}\n```\n")
    return "".join(out)


def providers_page() -> str:
    """Return docs/reference/providers.md."""
    from ccsetup import presets

    found, _problems = presets.summaries("")
    out = [
        GENERATED,
        "# Providers\n\nThe presets that come with ccsetup: what `ccsetup init -p ID` writes where you choose nothing"
        " else.\nThe values come from the vendors' pages and public code, each with its source and date in"
        " `presets/ID.yaml`.\n**None of these addresses was called with a key by this project.** `ccsetup test`"
        " asks a provider with yours.\n\n| ID | Provider | Claude Code | Codex |\n|---|---|---|---|\n",
    ]
    for summary in found:
        relay = "[relay](../how-to/relay.md)"
        marks = [f"[yes](#{summary.id})" if c in summary.clients else relay for c in ("claude-code", "codex")]
        out.append(f"| `{summary.id}` | {summary.name} | {marks[0]} | {marks[1]} |\n")
    for summary in found:
        out.append(_provider(presets.load(summary.id, "")))
    return "".join(out)


def _provider(preset: Any) -> str:
    out = [f"\n## {preset.id}\n\n{preset.name}: {preset.description['en']}.\n"]
    if preset.website:
        out.append(f"Site: <{preset.website}>.\n")
    if not preset.key_required:
        out.append("A key is not needed.\n")
    rows = []
    for region in preset.regions:
        for client, title in (("claude", "Claude Code"), ("codex", "Codex")):
            endpoint = getattr(region, client)
            model = window = ""
            if not hasattr(endpoint, "base_url"):
                address = f"none: {endpoint.reason}. With `--via-relay`"
            elif client == "codex" and endpoint.wire == "chat":
                address = (
                    f"`{endpoint.base_url}`, with `--via-relay`: it speaks Chat Completions only. {endpoint.reason}"
                )
            else:
                address = f"`{endpoint.base_url}`" if endpoint.base_url else "your own"
                model = endpoint.models.primary if client == "claude" and endpoint.models else ""
                model = endpoint.model if client == "codex" else model
                window = f"{endpoint.context_window:,}" if endpoint.context_window else ""
            rows.append(f"| `{region.id}` {region.name} | {title} | {address} | {model} | {window} |\n")
    out.append("\n| Region | Client | Address | Model | Window |\n|---|---|---|---|---|\n")
    return "".join(out + rows)


def format_page() -> str:
    """Return docs/reference/preset-format.md."""
    from ccsetup.presets import spec as presetspec

    out = [
        GENERATED,
        "# Preset format\n\nA preset is a YAML file `ID.yaml`: ours are in `presets/`, yours in"
        " `~/.config/ccsetup/presets/`. Unknown keys, wrong types, bad URLs, anchors and tags are errors with file,"
        " line and column.\n[preset.schema.json](preset.schema.json) is the same as a JSON Schema, for editors."
        " A worked example is in [Add a preset of your own](../how-to/own-preset.md).\n",
    ]
    _block("The file", presetspec.PRESET, out, {})
    return "".join(out)


def _block(path: str, block: Any, out: list[str], seen: dict[int, str]) -> None:
    inner = []
    out.append(f"\n## {path}\n\n{block.title}.\n\n| Key | Value | Meaning |\n|---|---|---|\n")
    for name, key in block.keys.items():
        kind, form, below = key.kind, _form(key.kind), key.kind
        while hasattr(below, "item"):
            below = below.item
        for part in (below.first, below.second) if hasattr(below, "first") else (below,):
            if hasattr(part, "keys"):
                place = name if path == "The file" else f"{path}.{name}"
                place += ".NAME" if type(kind).__name__ == "Mapped" else ""
                place += " (unsupported)" if part is getattr(below, "first", None) else ""
                if id(part) in seen:
                    form += f", as in `{seen[id(part)]}`"
                else:
                    seen[id(part)] = place
                    inner.append((place, part))
        need = " **Required.**" if key.required else ""
        out.append(f"| `{name}` | {form} | {key.what}.{need} |\n")
    for place, part in inner:
        _block(place, part, out, seen)


def _form(kind: Any) -> str:
    name = type(kind).__name__
    if hasattr(kind, "one_of"):
        return " or ".join(f"`{v}`" for v in kind.one_of) or ("URL" if hasattr(kind, "claude") else "text")
    if hasattr(kind, "least"):
        return "list of " + _form(kind.item)
    words = {"Number": "number", "Flag": "true or false", "Scalar": "text, number, true or false"}
    return words.get(name, "mapping")


PART = re.compile(r"(<!-- tools/docs\.py: (\w+) -->\n).*?(<!-- end -->)", re.S)


def filled(text: str) -> str:
    """Return the page *text* with the parts that come from the program's tables as they are today."""
    if not PART.search(text):
        return text
    import docs_relay

    return PART.sub(lambda found: f"{found[1]}\n{docs_relay.PARTS[found[2]]()}\n\n{found[3]}", text)


RANDOM: tuple[tuple[str, str], ...] = (
    (r"(Process +)\d+", r"\g<1>4711"),
    (r'"pid":\d+', '"pid":4711'),
    (r"ccr-[0-9A-Za-z]{43}", "ccr-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"),
    (r"(?m)^(\w+ +)…[0-9A-Za-z]{4}(?=  )", r"\g<1>…DEFG"),
)
"""What differs from run to run, and what is shown in its place: numbers of processes, and the relay's keys."""

SESSION = re.compile(r"^```(console|yaml|toml|json)\n(.*?)^```$", re.M | re.S)


def sessions(text: str) -> str:
    """Return the page *text* with the output of its ``console`` blocks as it is today."""
    text = filled(text)
    if "```console" not in text:
        return text
    with example() as made:

        def block(found: re.Match[str]) -> str:
            if found[1] != "console":
                named = re.match(r"(?:#|//) ~/(\S+)\n", found[2])
                if named:
                    path = os.path.join(made.home, named[1])
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(found[2])
                return found[0]
            out = ["```console\n"]
            for command in re.findall(r"^\$ (.*(?:\\\n.*)*)$", found[2], re.M):
                printed = made.run("/bin/sh", "-c", command)
                out.append(f"$ {command}\n{printed.rstrip()}\n" if printed.strip() else f"$ {command}\n")
            return "".join(out) + "```"

        return SESSION.sub(block, text)


def pages() -> Iterator[tuple[str, str, str]]:
    """Yield every page that takes something from the program, as (path, text that was read, text of today)."""
    made: dict[str, Callable[[], str]] = {
        os.path.join(REFERENCE, "cli.md"): cli_page,
        os.path.join(REFERENCE, "providers.md"): providers_page,
        os.path.join(REFERENCE, "preset-format.md"): format_page,
    }
    before = {path: _read(path) if os.path.exists(path) else "" for path in made}
    top = [os.path.join(ROOT, name) for name in ("README.md", "README.zh-CN.md")]
    for path in sorted([*top, *glob.glob(os.path.join(DOCS, "**", "*.md"), recursive=True)]):
        if os.path.exists(path) and not _read(path).startswith(GENERATED):
            before[path] = _read(path)
            made[path] = functools.partial(sessions, before[path])
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each page waits for the programs that it runs
        for path, text in zip(made, pool.map(lambda make: make(), made.values()), strict=True):
            yield path, before[path], text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is out of date")
    check = parser.parse_args().check
    stale = False
    for path, before, text in pages():
        if "This is a bug in ccsetup" in text and "This is a bug in ccsetup" not in before:
            sys.exit(f"a command in {os.path.relpath(path, ROOT)} ends in a bug: nothing was written")
        if before == text:
            continue
        stale = True
        print(("out of date: " if check else "wrote ") + os.path.relpath(path, ROOT))
        if check:
            import difflib

            sys.stdout.writelines(list(difflib.unified_diff(before.splitlines(True), text.splitlines(True)))[:20])
            continue
        if os.path.exists(path) and _read(path) != before:
            sys.exit(f"{os.path.relpath(path, ROOT)} was edited meanwhile: run this again")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    if check and stale:
        sys.exit("Run: .venv/bin/python tools/docs.py")


def _read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


if __name__ == "__main__":
    main()
