"""How questions are put: lists and fields on a capable terminal, numbered lines anywhere else.

Ctrl-C, Ctrl-D and the end of input raise KeyboardInterrupt everywhere; ``<`` raises GoBack.
"""

from __future__ import annotations

import os
import sys
from typing import Callable, NamedTuple, Optional, Protocol, Sequence

from ccsetup import masking, urls
from ccsetup.cli import _output
from ccsetup.i18n import _
from ccsetup.plan import Note
from ccsetup.platform import system

BACK = "<"
"""What a person types to go back; no key, address, model or name is this."""

ROWS = 12
"""How long a list may get before it scrolls: the screen above it stays in sight on 24 lines."""


class GoBack(Exception):
    """The person wants the previous question again."""


class Option(NamedTuple):
    """One thing to choose."""

    value: str
    label: str
    detail: str = ""
    disabled: str = ""
    """Why it cannot be chosen; it is shown all the same, so that nobody looks for it in vain."""


Check = Callable[[str], str]
"""Takes an answer and returns what is wrong with it, one sentence, or ""."""


class Prompter(Protocol):
    """Puts questions.  *back* offers to go back; *default* is what Enter chooses."""

    def choose(
        self, message: str, options: Sequence[Option], *, default: str = "", search: bool = False, back: bool = True
    ) -> str:
        """Return the value of the chosen option."""
        ...

    def text(
        self, message: str, *, default: str = "", note: str = "", check: Optional[Check] = None, back: bool = True
    ) -> str:
        """Return a line of text, without white space around it."""
        ...

    def secret(self, message: str, *, note: str = "", check: Optional[Check] = None, back: bool = True) -> str:
        """Return a line that is not shown while it is typed; every line of a paste, when it has several."""
        ...


def say(text: str = "") -> None:
    """Print a line, or several."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Print sentences, broken between words."""
    hidden = masking.hide(text)  # before it is broken: a key in two pieces is none to see
    say("\n".join(_output.wrap(hidden, min(columns(), 100) - 1)))


def answered(message: str, answer: str) -> None:
    """Leave a question and its answer on the screen."""
    say(f"{_output.paint('?', '36')} {message} {_output.paint(answer, '1;36')}")


def sentences(*texts: str) -> str:
    """Return *texts* one after the other; after a Chinese full stop there is no space."""
    out = ""
    for text in filter(None, texts):
        out += (" " if out and out[-1].isascii() else "") + text
    return out


def notes(notes: Sequence[Note]) -> None:
    """Print *notes*, each once, the worst last: that is nearest to the next question."""
    order = ("info", "warning", "blocked")
    for note in sorted(dict.fromkeys(notes), key=lambda n: order.index(n.level)):
        text = sentences(note.text, note.hint)
        if note.level == "info":
            tell(text)
        else:
            complain(_("Will not work yet: {problem}").format(problem=text) if note.level == "blocked" else text)


def masked(secret: str) -> str:
    """Return what may be shown of what was typed: its last four characters, of a short one nothing."""
    text = secret.strip()
    return "********" + (text[-4:] if len(text) >= 12 else "")


def complain(text: str) -> None:
    say(_output.paint("\n".join(_output.wrap(f"! {masking.hide(text)}", min(columns(), 100) - 1)), "33"))


def wrong(answer: str, check: Optional[Check]) -> str:
    """Return what is wrong with *answer*, which is to be no key; one in it is hidden from now on."""
    found = [word for word in answer.split() if masking.suspect(word)]
    if answer.startswith(("http://", "https://")):
        found = list(urls.without_keys(answer)[1])
    for key in found:
        masking.remember(key)
    if found and len(answer.split()) == 1:
        return _("That is a key, which does not belong here: there is a question of its own for it.")
    return check(answer) if check else ""


def concealed(typed: str) -> str:
    """Return *typed*, which may become a key yet, as it may be seen."""
    return "*" * len(typed) if masking.hide(typed) != typed or typed.strip().startswith("sk-") else typed


def matching(options: Sequence[Option], typed: str) -> list[Option]:
    """Return the options that fit *typed*, the best first: value, start of the value, of a word, anywhere."""
    typed = typed.strip().lower()
    if not typed:
        return list(options)

    def rank(option: Option) -> int:
        value, label = option.value.lower(), option.label.lower()
        words = f"{label} {option.detail}".lower()
        if typed in (value, label):
            return 0
        if value.startswith(typed) or label.startswith(typed):
            return 1
        if any(w.lstrip("(").startswith(typed) for w in words.split()):
            return 2
        return 3 if typed in words else 9

    return sorted((o for o in options if rank(o) < 9), key=lambda o: (bool(o.disabled), rank(o)))


def cut(text: str, cells: int) -> str:
    """Return *text* in at most *cells* terminal cells."""
    if _output.width(text) <= cells:
        return text
    out, used = "", 0
    for c in text:
        wide = _output.width(c)
        if used + wide > cells - 2:
            break
        out, used = out + c, used + wide
    return out.rstrip() + ".."


def terminal() -> os.terminal_size:
    """Return the size of the terminal; 80 x 24 where it does not say (a serial line says 0 x 0)."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return os.terminal_size((80, 24))
    return os.terminal_size((size.columns or 80, size.lines or 24))


def columns() -> int:
    return terminal().columns


class TypedFields:
    """Questions with a field, which are put until the answer is right."""

    shows = True
    """The line that was typed into goes, so that question and answer are shown."""

    def text(
        self, message: str, *, default: str = "", note: str = "", check: Optional[Check] = None, back: bool = True
    ) -> str:
        while True:
            if note:
                tell(note)
            answer = self.typed(message, default, back)
            if answer == BACK and back:
                raise GoBack
            problem = wrong(answer, check)
            if not problem:
                if self.shows:
                    answered(message, answer)
                return answer
            complain(problem)

    def secret(self, message: str, *, note: str = "", check: Optional[Check] = None, back: bool = True) -> str:
        while True:
            if note:
                tell(note)
            answer = self.typed_unseen(message, back)
            if answer.strip() == BACK and back:
                raise GoBack
            problem = check(answer) if check else ""
            if not problem:
                answered(message, masked(answer))
                return answer
            complain(problem)

    def typed(self, message: str, default: str, back: bool) -> str:
        """Return what was typed, every line of a paste; *default* for nothing."""
        raise NotImplementedError

    def typed_unseen(self, message: str, back: bool) -> str:
        """Return what was typed without being shown."""
        raise NotImplementedError


class Plain(TypedFields):
    """Numbered lines: for a terminal without cursor movement, another encoding, a screen reader."""

    shows = False

    def __init__(self) -> None:
        if hasattr(sys.stdin, "reconfigure"):
            sys.stdin.reconfigure(errors="replace")  # before the first line is read; later it is refused

    def choose(
        self, message: str, options: Sequence[Option], *, default: str = "", search: bool = False, back: bool = True
    ) -> str:
        able = [o for o in options if not o.disabled]
        first = next((o for o in able if o.value == default), able[0])
        shown = list(options)
        while True:
            say(message)
            for option in shown:
                number = f"{able.index(option) + 1}. " if option in able else "-  "
                tail = f" ({option.disabled})" if option.disabled else ""
                say(f"  {number}{option.label}{': ' + option.detail if option.detail else ''}{tail}")
            answer = self._line(_("Number or name"), f"{able.index(first) + 1}", back)
            if not answer:
                answered(message, first.label)
                return first.value
            if answer.isdecimal() and 1 <= int(answer) <= len(able):
                answered(message, able[int(answer) - 1].label)
                return able[int(answer) - 1].value
            found = [o for o in matching(options, answer) if not o.disabled]
            exact = [o for o in found if answer.lower() in (o.value.lower(), o.label.lower())]
            if len(exact or found) == 1:
                answered(message, (exact or found)[0].label)
                return (exact or found)[0].value
            if found:
                shown = found
                say(_("Several fit:"))
            else:
                refused = next((o for o in matching(options, answer) if o.disabled), None)
                shown = list(options)
                complain(
                    _("{name} cannot be chosen: {reason}.").format(name=refused.label, reason=refused.disabled)
                    if refused
                    else _("That is none of them.")
                )

    def typed(self, message: str, default: str, back: bool) -> str:
        answer = self._line(message, default, back) or default
        rest = system.waiting()  # further lines of a paste would answer the next questions, and may be a key
        return f"{answer}\n{rest}" if rest.strip() else answer

    def typed_unseen(self, message: str, back: bool) -> str:
        answer = system.hidden_line(self._prompt(message, "", back))
        if not answer:
            raise KeyboardInterrupt
        return answer

    def _prompt(self, message: str, default: str, back: bool) -> str:
        hint = f" [{default}]" if default else ""
        return f"{message}{hint}{_(', < to go back') if back else ''}: "

    def _line(self, message: str, default: str, back: bool) -> str:
        # Not input(): between its prompt and its reading, Ctrl-C is lost until the next key.
        sys.stdout.write(self._prompt(message, default, back))
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            raise KeyboardInterrupt
        answer = line.strip()
        if answer == BACK and back:
            raise GoBack
        return answer
