"""How questions are put: lists and fields on a capable terminal, numbered lines anywhere else.

Ctrl-C, Ctrl-D and the end of input raise KeyboardInterrupt everywhere; ``<`` raises GoBack.
prompt_toolkit, which takes 0.1 s to import, is imported when a question is put on a capable terminal.  It writes past
standard output, so what it shows has no keys in it already.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Callable, Mapping, NamedTuple, Optional, Protocol, Sequence

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


def for_terminal(environ: Mapping[str, str]) -> Prompter:
    """Return what suits the terminal: lists that need cursor movement, or plain lines.

    CCSETUP_PLAIN=1 asks for plain lines, which suit a screen reader.
    """
    _end_on_signals()
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "").replace("_", "")
    size = _size()
    if (
        environ.get("CCSETUP_PLAIN", "") not in ("", "0")
        or environ.get("TERM", "") in ("", "dumb", "unknown")
        or encoding != "utf8"
        or size.columns < 30
        or size.lines < 8
    ):
        return Plain()
    return Screen(colour=not environ.get("NO_COLOR"))


def _end_on_signals() -> None:
    """Let SIGTERM and SIGHUP unwind the prompts, so that the terminal is left as it was."""
    import signal

    def end(number: int, _frame: Any) -> None:
        raise SystemExit(128 + number)

    for name in system.ENDING:
        signal.signal(getattr(signal, name), end)


def say(text: str = "") -> None:
    """Print a line, or several."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tell(text: str) -> None:
    """Print sentences, broken between words."""
    say("\n".join(wrap(masking.hide(text), min(columns(), 100) - 1)))  # a key that is broken in two is none to see


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
    say(_output.paint("\n".join(wrap(f"! {masking.hide(text)}", min(columns(), 100) - 1)), "33"))


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


def wrap(text: str, width: int) -> list[str]:
    """Break *text* into lines of *width* cells, the second and later ones indented; Chinese breaks anywhere."""
    lines, line = [], ""
    for word in _words(text):
        if line.strip() and _output.width(line) + _output.width(word.rstrip()) > width:
            lines.append(line.rstrip())
            line = "  " + word.lstrip()
        else:
            line += word
        while _output.width(line.rstrip()) > width:  # a path longer than a line
            fits = next(n for n in range(len(line), 0, -1) if _output.width(line[:n]) <= width)
            lines.append(line[:fits])
            line = "  " + line[fits:]
    return [*lines, line.rstrip()]


def _words(text: str) -> list[str]:
    # A full stop or a closing bracket does not begin a line.
    return re.findall(r"[\u2e80-\uffef][。，、；：！？）”》]*|[^\s\u2e80-\uffef]+[。，、；：！？）”》]*\s*|\s+", text)


def _size() -> os.terminal_size:
    """Return the size of the terminal; 80 x 24 where it does not say (a serial line says 0 x 0)."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return os.terminal_size((80, 24))
    return os.terminal_size((size.columns or 80, size.lines or 24))


def columns() -> int:
    return _size().columns


class Plain:
    """Numbered lines: for a terminal without cursor movement, another encoding, a screen reader."""

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

    def text(
        self, message: str, *, default: str = "", note: str = "", check: Optional[Check] = None, back: bool = True
    ) -> str:
        while True:
            if note:
                tell(note)
            answer = self._line(message, default, back) or default
            rest = system.waiting()  # further lines of a paste would answer the next questions, and may be a key
            if rest.strip():
                answer += "\n" + rest
            problem = wrong(answer, check)
            if not problem:
                return answer
            complain(problem)

    def secret(self, message: str, *, note: str = "", check: Optional[Check] = None, back: bool = True) -> str:
        while True:
            if note:
                tell(note)
            answer = system.hidden_line(self._prompt(message, "", back))
            if not answer:
                raise KeyboardInterrupt
            if answer.strip() == BACK and back:
                raise GoBack
            problem = check(answer) if check else ""
            if not problem:
                answered(message, masked(answer))
                return answer
            complain(problem)

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


class Screen:
    """Lists to move in and fields to edit, with prompt_toolkit and questionary."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def choose(
        self, message: str, options: Sequence[Option], *, default: str = "", search: bool = False, back: bool = True
    ) -> str:
        entries = [*options, Option(BACK, _("Back"))] if back else list(options)
        chosen = _List(message, entries, default, search).ask(self._look())
        if chosen.value == BACK and back:
            raise GoBack
        answered(message, chosen.label)
        return chosen.value

    def text(
        self, message: str, *, default: str = "", note: str = "", check: Optional[Check] = None, back: bool = True
    ) -> str:
        import questionary

        while True:
            if note:
                tell(note)
            # The default stands beside the field, not in it: there it would have to be deleted first.
            hint = f"[{default}]" if default else ""
            shown = masking.hide(" ".join(filter(None, (message, hint, _("(< goes back)") if back else ""))))
            field = questionary.text(shown, qmark="?", input_processors=[_concealing()], **self._field())
            answer = self._run(field).strip() or default
            if answer == BACK and back:
                raise GoBack
            problem = wrong(answer, check)
            if not problem:
                answered(message, answer)
                return answer
            complain(problem)

    def secret(self, message: str, *, note: str = "", check: Optional[Check] = None, back: bool = True) -> str:
        import questionary

        while True:
            if note:
                tell(note)
            shown = f"{message} {_('(< goes back)')}" if back else message
            answer = self._run(questionary.password(shown, qmark="?", **self._field()))
            if answer.strip() == BACK and back:
                raise GoBack
            problem = check(answer) if check else ""
            if not problem:
                answered(message, masked(answer))
                return answer
            complain(problem)

    def _run(self, question: Any) -> str:
        """Return what was entered: of a paste without brackets around it, all lines."""
        from prompt_toolkit.input.typeahead import get_typeahead

        try:
            answer = str(question.unsafe_ask())
        except EOFError:
            raise KeyboardInterrupt from None
        rest = "".join(key.data for key in get_typeahead(question.application.input)) + system.waiting()
        return f"{answer}\n{rest}" if rest.strip() else answer

    def _look(self) -> dict[str, Any]:
        """Return what every prompt gets: a style without an opinion on the terminal's background."""
        from prompt_toolkit.output import ColorDepth
        from prompt_toolkit.styles import Style

        style = Style(
            [
                ("qmark", "ansicyan"),
                ("question", "bold"),
                ("pointer", "ansicyan bold"),
                ("highlighted", "ansicyan bold"),
                ("answer", "ansicyan"),
                ("instruction", ""),
                ("detail", ""),
                ("disabled", "ansigray"),
                ("typed", "bold"),
                ("none", "ansired"),
            ]
        )
        return {"style": style, "color_depth": None if self._colour else ColorDepth.DEPTH_1_BIT}

    def _field(self) -> dict[str, Any]:
        return {**self._look(), "erase_when_done": True}


def _concealing() -> Any:
    """Return what keeps prompt_toolkit from showing a key in a field for something else."""
    from prompt_toolkit.formatted_text import fragment_list_to_text
    from prompt_toolkit.layout.processors import Processor, Transformation

    class Concealing(Processor):
        def apply_transformation(self, transformation_input: Any) -> Any:
            fragments = transformation_input.fragments
            typed = fragment_list_to_text(fragments)
            seen = concealed(typed)
            return Transformation(fragments if seen == typed else [("", seen)])

    return Concealing()


class _List:
    """A list with a pointer; typing searches it.  Redrawn by prompt_toolkit, also when the terminal is resized."""

    def __init__(self, message: str, options: Sequence[Option], default: str, search: bool) -> None:
        self.message = masking.hide(message)
        self.options = [Option(o.value, *map(masking.hide, o[1:])) for o in options]
        self.search = search
        self.typed = ""
        self.shown = list(self.options)
        self.at = 0
        able = [i for i, o in enumerate(options) if not o.disabled]
        self.at = next((i for i in able if options[i].value == default), able[0])

    def ask(self, look: dict[str, Any]) -> Option:
        from prompt_toolkit.application import Application
        from prompt_toolkit.filters import Condition
        from prompt_toolkit.layout import ConditionalContainer, HSplit, Layout, Window
        from prompt_toolkit.layout.controls import FormattedTextControl
        from prompt_toolkit.layout.dimension import Dimension

        def rows() -> Any:
            most = max(1, min(ROWS, _size().lines - 4, len(self.shown)))
            return Dimension(min=1, max=most, preferred=most)

        head = Window(FormattedTextControl(self._head), wrap_lines=True, dont_extend_height=True)
        body = Window(FormattedTextControl(self._body, show_cursor=False), height=rows, dont_extend_height=True)
        foot = Window(FormattedTextControl(self._foot), wrap_lines=True, dont_extend_height=True)
        room = Condition(lambda: bool(self._foot()) and _size().lines >= 10)
        app: Application[Option] = Application(
            layout=Layout(HSplit([head, body, ConditionalContainer(foot, room)])),
            key_bindings=self._keys(),
            erase_when_done=True,
            **look,
        )
        app.ttimeoutlen = 0.1  # Esc alone is an answer here; a terminal sends the rest of a sequence at once
        try:
            return app.run()
        except EOFError:
            raise KeyboardInterrupt from None

    def _head(self) -> Any:
        hint = _("(arrows, Enter; type to search)") if self.search else _("(arrows, Enter)")
        typed = [("class:typed" if self._found() else "class:none", f" {concealed(self.typed)}")] if self.typed else []
        return [("class:qmark", "?"), ("class:question", f" {self.message} "), ("class:instruction", hint), *typed]

    def _found(self) -> bool:
        return any(o.value != BACK for o in self.shown)

    def _body(self) -> Any:
        wide = columns() - 1
        column = max(_output.width(o.label) for o in self.options if o.detail or o.disabled) if self._details() else 0
        column = min(column, wide // 2)
        out: list[tuple[str, str]] = []
        for i, option in enumerate(self.shown):
            here = i == self.at
            out.append(("[SetCursorPosition]", "") if here else ("", ""))
            out.append(("class:pointer", " > ") if here else ("", "   "))
            text = option.label
            tail = option.disabled or option.detail
            if tail:
                text = cut(text, column) if column else text
                text += " " * (column - _output.width(text)) + "  " + tail
            style = "class:highlighted" if here else "class:disabled" if option.disabled else ""
            out.append((style, cut(text, wide - 3)))
            out.append(("", "\n"))
        return out[:-1]

    def _details(self) -> bool:
        return any(o.detail or o.disabled for o in self.options)

    def _foot(self) -> Any:
        """Return the details of the pointed option in full, where its row had to be cut, and how many there are."""
        if not self.shown:
            return []
        option = self.shown[self.at]
        tail = option.disabled or option.detail
        column = max((_output.width(o.label) for o in self.options if o.detail or o.disabled), default=0)
        column = min(column, (columns() - 1) // 2)
        wide = columns() - 6 - column
        text = tail if _output.width(tail) > wide or _output.width(option.label) > column > 0 else ""
        if text and _output.width(option.label) > column:
            text = f"{option.label}: {text}"
        count = len(self.shown)
        if count > max(1, min(ROWS, _size().lines - 4)):
            more = f"({self.at + 1}/{count})"
            text = f"{more} {text}" if text else more
        return [("class:instruction", "   " + text)] if text else []

    def _keys(self) -> Any:
        from prompt_toolkit.key_binding import KeyBindings
        from prompt_toolkit.keys import Keys

        keys = KeyBindings()

        @keys.add("c-c", eager=True)
        @keys.add("<sigint>")
        @keys.add("c-d", eager=True)
        def _stop(event: Any) -> None:
            event.app.exit(exception=KeyboardInterrupt)

        @keys.add("escape")
        def _escape(event: Any) -> None:
            if self.typed:
                self._type("")
            elif self.options[-1].value == BACK:
                event.app.exit(result=self.options[-1])

        @keys.add("enter", eager=True)
        @keys.add("c-j", eager=True)
        def _choose(event: Any) -> None:
            if self.shown and not self.shown[self.at].disabled and (self._found() or not self.typed):
                event.app.exit(result=self.shown[self.at])

        def moves(key: str, step: int, *, around: bool) -> None:
            @keys.add(key, eager=True)
            def _go(event: Any) -> None:
                self._move(step, around=around)

        for key, step in (("up", -1), ("c-p", -1), ("s-tab", -1), ("down", 1), ("c-n", 1), ("tab", 1)):
            moves(key, step, around=True)
        for key, step in (("pageup", -ROWS), ("pagedown", ROWS), ("home", -9999), ("end", 9999)):
            moves(key, step, around=False)

        @keys.add("backspace", eager=True)
        def _shorter(event: Any) -> None:
            self._type(self.typed[:-1])

        @keys.add(Keys.BracketedPaste)
        def _paste(event: Any) -> None:
            if self.search:
                self._type(self.typed + event.data.split("\n")[0].strip())

        @keys.add(Keys.Any)
        def _any(event: Any) -> None:
            typed = event.data
            if typed == BACK and self.options[-1].value == BACK and not self.typed:
                self.at = len(self.shown) - 1  # Enter then goes back, as it does in a field
            elif len(typed) == 1 and typed.isprintable():
                if self.search:
                    self._type(self.typed + typed)
                else:
                    self._jump(typed)

        return keys

    def _move(self, step: int, *, around: bool) -> None:
        able = [i for i, o in enumerate(self.shown) if not o.disabled]
        if not able:
            return
        if not around:
            wanted = min(max(self.at + step, able[0]), able[-1])
            self.at = min(able, key=lambda i: abs(i - wanted))
            return
        later = [i for i in able if i > self.at] if step > 0 else [i for i in reversed(able) if i < self.at]
        self.at = later[0] if later else able[0] if step > 0 else able[-1]

    def _jump(self, typed: str) -> None:
        """Go to the option that is called by a number, or begins with a letter."""
        able = [i for i, o in enumerate(self.shown) if not o.disabled]
        if typed.isdecimal() and 1 <= int(typed) <= len(able):
            self.at = able[int(typed) - 1]
            return
        names = [i for i in able if self.shown[i].label.lower().startswith(typed.lower())]
        if names:
            self.at = next((i for i in names if i > self.at), names[0])

    def _type(self, typed: str) -> None:
        self.typed = typed
        last = [self.options[-1]] if self.options[-1].value == BACK else []
        self.shown = matching(self.options[: len(self.options) - len(last)], typed) + last
        self.at = next((i for i, o in enumerate(self.shown) if not o.disabled), 0)
