"""What a command prints: text for people, one JSON object for programs.  And how it asks yes or no."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Iterable, Mapping, Optional, Sequence

from ccsetup import masking
from ccsetup.errors import UsageError
from ccsetup.i18n import _
from ccsetup.paths import Paths
from ccsetup.plan import FileChange, Note

SCHEMA = "ccsetup/1"
"""Version of the JSON envelope; keys are only ever added to it."""


first: list[Note] = []
"""What there was to say before the command began; the JSON object tells it with the command's own notes."""


def print_json(
    command: str,
    result: Mapping[str, Any],
    notes: Iterable[Note],
    error: Optional[Mapping[str, Any]] = None,
    *,
    shown: Optional[Mapping[str, str]] = None,
) -> None:
    """Print the envelope: schema, command, ok, result, notes, error; keys in it are hidden.

    *shown* is added to *result* as it is: the one key that the command is there to print.
    """
    import json

    body = {
        "schema": SCHEMA,
        "command": command,
        "ok": error is None,
        "result": result,
        "notes": [n._asdict() for n in (*first, *notes)],
        "error": error,
    }
    body = masking.hide_values(body)
    body["result"].update(shown or {})
    reveal(json.dumps(body, ensure_ascii=False, indent=2) + "\n")


def reveal(text: str) -> None:
    """Print *text* as it is, with the key that it is there to show."""
    stream = sys.stdout
    stream.reveal(text) if isinstance(stream, masking.Stream) else stream.write(text)


def line(text: str = "") -> None:
    sys.stdout.write(text + "\n")


def done(changed: bool, text: str) -> None:
    """Print *text*, what is so now, and whether that was *changed*."""
    line(f"{mark(changed)}: {text}")


def mark(changed: bool) -> str:
    return paint(_("done"), "32") if changed else _("unchanged")


def wrote(files: Iterable[str]) -> None:
    for file in files:
        line("  " + _("wrote {file}").format(file=file))


def safe(text: str) -> str:
    """Return *text* without control characters: what stands in a user's file never steers the terminal."""
    return "".join(c if c == "\n" or c.isprintable() else "\ufffd" for c in text)


def print_notes(notes: Iterable[Note]) -> None:
    """Print notes to standard error, each once."""
    sys.stdout.flush()  # notes come after what was done, also where both end in one file
    seen = set()
    for note in notes:
        if note.text in seen:
            continue
        seen.add(note.text)
        label = {"info": _("Note"), "warning": _("Warning"), "blocked": _("Will not work yet")}[note.level]
        colour = {"info": "36", "warning": "33", "blocked": "31"}[note.level]
        sys.stderr.write(f"{paint(label, colour, sys.stderr)}: {safe(note.text)}\n")
        if note.hint:
            sys.stderr.write(f"  {safe(note.hint)}\n")


def paint(text: str, code: str, stream: Any = None) -> str:
    """Return *text* in a colour, where the stream is a terminal that shows colours."""
    stream = stream or sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb" or not stream.isatty():
        return text
    return f"\033[{code}m{text}\033[0m"


def interactive() -> bool:
    """Tell whether there is a person at a terminal who can be asked."""
    return all(s is not None and not s.closed and s.isatty() for s in (sys.stdin, sys.stdout))


def agreed(question: str, as_json: bool, refusal: str, hint: str = "") -> bool:
    """Ask *question* and tell whether the answer is yes; UsageError *refusal* where nobody can be asked."""
    if as_json or not sys.stdin.isatty():
        raise UsageError(refusal, hint=hint)
    sys.stdout.flush()
    return input(question + " ").strip().lower() in ("y", "yes", "是")


def width(text: str) -> int:
    """Return how many terminal cells *text* takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def terminal_width() -> int:
    """Return how many cells a line of this terminal has; 0 where the output is no terminal."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    except (OSError, ValueError):
        return 0


def shorten(text: str, cells: int) -> str:
    """Return *text* in at most *cells* terminal cells."""
    if width(text) <= cells:
        return text
    while text and width(text) > cells - 2:
        text = text[:-1]
    return text.rstrip() + ".."


def wrap(text: str, limit: int) -> list[str]:
    """Break *text* into lines of *limit* cells, the second and later ones indented; Chinese breaks anywhere."""
    lines, line = [], ""
    for word in _words(text):
        if line.strip() and width(line) + width(word.rstrip()) > limit:
            lines.append(line.rstrip())
            line = "  " + word.lstrip()
        else:
            line += word
        while width(line.rstrip()) > limit:  # a path longer than a line
            fits = next(n for n in range(len(line), 0, -1) if width(line[:n]) <= limit)
            lines.append(line[:fits])
            line = "  " + line[fits:]
    return [*lines, line.rstrip()]


def _words(text: str) -> list[str]:
    # A full stop or a closing bracket does not begin a line.
    return re.findall(r"[\u2e80-\uffef][。，、；：！？）”》]*|[^\s\u2e80-\uffef]+[。，、；：！？）”》]*\s*|\s+", text)


def columns(rows: Sequence[Sequence[str]], indent: str = "  ", *, limit: int = 0, shrink: int = -1) -> str:
    """Return *rows* as text with aligned columns.

    Where a line would be longer than *limit* cells (0: no limit), its cell *shrink* is shortened, but never below
    8 cells; what follows that cell then need not be aligned.
    """
    widths: list[int] = []
    for row in rows:
        for i, cell in enumerate(row):
            if i == len(widths):
                widths.append(0)
            widths[i] = max(widths[i], width(cell))
    out = []
    for row in rows:
        cells = [c + " " * (widths[i] - width(c)) for i, c in enumerate(row)]
        text = (indent + "  ".join(cells)).rstrip()
        if limit and width(text) > limit and shrink >= 0:
            rest = width(indent) + sum(
                (width(row[i]) if i > shrink else widths[i]) + 2 for i in range(len(row)) if i != shrink
            )
            cells = [*cells[:shrink], shorten(row[shrink], max(8, limit - rest)), *row[shrink + 1 :]]
            text = (indent + "  ".join(cells)).rstrip()
        out.append(text)
    return "\n".join(out)


# A pattern as text: compiling it takes 0.7 ms, and most commands show no document.  Possessive, so that the time
# grows with the text and no faster.
_CREDENTIAL = (
    r"""(?i)(?<![\w.-])((?=[\w.-]{0,200}?(?:token|api[_-]?key|secret|password|authorization|bearer|credential))"""
    r"""[\w.-]{1,200}+["']?\s*+[:=]\s*+)(?:(["'])(?!\2)(?:\\.|(?!\2)[^\\])*+\2|([^\s"',;]{1,2000}+))"""
)
_HARMLESS = r"(?i)(?:env_key|key_env|key_storage|_MAX_[A-Z_]{0,80}TOKENS)"


def _credential(found: re.Match[str]) -> str:
    if found[2]:
        return f"{found[1]}{found[2]}***{found[2]}"
    ordinary = found[3].isdigit() or found[3].lower() in ("true", "false", "null", "none", "{", "[", "bearer", "basic")
    return found[0] if ordinary or not found[3][0].isalnum() else found[1] + "***"


def mask(text: str, secrets: Iterable[str]) -> str:
    """Return *text*, lines of settings, without *secrets* and without the values of names that hold keys."""
    lines = []
    for one in text.split("\n"):
        if not re.search(_HARMLESS, one):
            one = re.sub(_CREDENTIAL, _credential, one)
        lines.append(one)
    return masking.hide("\n".join(lines), secrets)


def diff(changes: Iterable[FileChange], secrets: Iterable[str], paths: Paths) -> str:
    """Return a unified diff of *changes* with keys masked; files of keys are only named, records left out."""
    secrets = list(secrets)
    out = []
    for change in changes:
        name = paths.short(change.path)
        if paths.is_record(change.path):
            continue
        if os.sep + "keys" + os.sep in change.path and change.format == "":
            out.append(_("{file}: the key (mode 0600)").format(file=name) + "\n")
            continue
        out.append(mask(_unified(change, name), [*secrets, *_remembered(change)]))
    return "".join(out)


def _remembered(change: FileChange) -> list[str]:
    """Return the ends of keys that Claude Code keeps in ``.claude.json``."""
    if not change.path.endswith(".claude.json"):
        return []
    from ccsetup.documents import jsondoc
    from ccsetup.documents.edit import lookup

    found = []
    for data in (change.before, change.after):
        document = jsondoc.parse(jsondoc.decode(data)) if data else {}
        for name in ("approved", "rejected"):
            ends = lookup(document, ("customApiKeyResponses", name))
            found += [e for e in ends if isinstance(e, str)] if isinstance(ends, list) else []
    return found


def _unified(change: FileChange, name: str) -> str:
    import difflib

    before = (change.before or b"").decode("utf-8", "replace").splitlines(keepends=True)
    after = (change.after or b"").decode("utf-8", "replace").splitlines(keepends=True)
    # difflib is slow on long files: leave out what is the same at both ends, but for the context.
    low = 0
    while low < min(len(before), len(after)) and before[low] == after[low]:
        low += 1
    high = 0
    while high < min(len(before), len(after)) - low and before[-1 - high] == after[-1 - high]:
        high += 1
    start, keep = max(0, low - 3), max(0, high - 3)
    hunk = list(
        difflib.unified_diff(
            before[start : len(before) - keep],
            after[start : len(after) - keep],
            fromfile=name if change.before is not None else os.devnull,
            tofile=name if change.after is not None else os.devnull,
        )
    )
    head = re.compile(r"@@ -(\d{1,12})([,\d]{0,13}) \+(\d{1,12})(.*)")
    out = []
    for one in hunk:
        found = head.match(one)
        if found and start:
            one = f"@@ -{int(found[1]) + start}{found[2]} +{int(found[3]) + start}{found[4]}\n"
        one = "".join(c if c in "\n\t" or c.isprintable() else "\ufffd" for c in one)
        out.append(one if one.endswith("\n") else one + "\n" + "\\ " + _("No newline at end of file") + "\n")
    return "".join(out)
