"""What can go wrong, as one small family of exceptions.

A message is one sentence for the user; ``hint`` is the next thing to type or to do.
Neither may ever hold a key.  The command line turns these into text and exit codes in one place.
"""

from __future__ import annotations

from typing import Iterable

OK, FAILED, USAGE, BUG, WOULD_CHANGE, BLOCKED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
"""Exit codes: see ``docs/reference/exit-codes.md``.  Those of ``ccsetup test`` stand with its verdicts."""


class CcsetupError(Exception):
    """A failure that the user can understand and act on."""

    exit_code = FAILED
    kind = "failed"
    """A word for programs, as ``error.kind`` in JSON: see ``docs/reference/json.md``."""

    def __init__(self, message: str, *, hint: str = "", short: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.short = short or message
        """The message without the place, for a line that begins with it."""
        self.hint = hint


class UsageError(CcsetupError):
    """The command line, or a file given on it, asks for something that makes no sense (exit 2)."""

    exit_code = USAGE
    kind = "usage"


class Incomplete(UsageError):
    """Something is missing that a person at a terminal can be asked for."""

    kind = "incomplete"


class NotFound(CcsetupError):
    """What was named is not there: a profile, a change, an upstream."""

    kind = "not_found"


class DocumentError(CcsetupError):
    """A document cannot be read or edited safely; nothing was changed.

    ``line`` and ``column`` count from 1; 0 means that the place is not known.
    """

    kind = "document"

    def __init__(self, message: str, *, line: int = 0, column: int = 0, hint: str = "", short: str = "") -> None:
        super().__init__(message, hint=hint, short=short)
        self.line = line
        self.column = column


class ChangedMeanwhile(CcsetupError):
    """A file is not what it was when the plan was made: make the plan again from a new snapshot."""

    kind = "changed_meanwhile"


class WriteError(CcsetupError):
    """The operating system refused a write; every file is as it was before."""

    kind = "write"


class OutputError(Exception):
    """What the command says cannot be written: the place where the output goes is full."""


def check_one_of(value: str, valid: Iterable[str], sentence: str) -> None:
    """Raise UsageError, *sentence* with ``value`` and ``valid`` filled in, where *value* is none of *valid*."""
    known = tuple(valid)
    if value not in known:
        raise UsageError(sentence.format(value=printable(value), valid=", ".join(known)))


def printable(text: str, limit: int = 80) -> str:
    """Return *text* fit for a message: no control characters, not longer than *limit* characters."""
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
