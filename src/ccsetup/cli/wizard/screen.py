"""Questions on a capable terminal: lists to move in and fields to edit.

prompt_toolkit, which takes 0.1 s to import, is imported when a question is put.  It writes past standard output, so
what it shows has no keys in it already.
"""

from __future__ import annotations

import sys
from typing import Any, Mapping, Sequence

from ccsetup import masking
from ccsetup.cli import _output
from ccsetup.cli.wizard.prompts import (
    BACK,
    ROWS,
    GoBack,
    Option,
    Plain,
    Prompter,
    TypedFields,
    answered,
    columns,
    concealed,
    cut,
    matching,
    terminal,
)
from ccsetup.i18n import _
from ccsetup.platform import system


def for_terminal(environ: Mapping[str, str]) -> Prompter:
    """Return what suits the terminal: lists that need cursor movement, or plain lines.

    CCSETUP_PLAIN=1 asks for plain lines, which suit a screen reader.
    """
    _end_on_signals()
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "").replace("_", "")
    size = terminal()
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


class Screen(TypedFields):
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

    def typed(self, message: str, default: str, back: bool) -> str:
        import questionary

        # The default stands beside the field, not in it: there it would have to be deleted first.
        hint = f"[{default}]" if default else ""
        shown = masking.hide(" ".join(filter(None, (message, hint, _("(< goes back)") if back else ""))))
        field = questionary.text(shown, qmark="?", input_processors=[_concealing()], **self._field())
        return self._run(field).strip() or default

    def typed_unseen(self, message: str, back: bool) -> str:
        import questionary

        shown = f"{message} {_('(< goes back)')}" if back else message
        return self._run(questionary.password(shown, qmark="?", **self._field()))

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
            most = max(1, min(ROWS, terminal().lines - 4, len(self.shown)))
            return Dimension(min=1, max=most, preferred=most)

        head = Window(FormattedTextControl(self._head), wrap_lines=True, dont_extend_height=True)
        body = Window(FormattedTextControl(self._body, show_cursor=False), height=rows, dont_extend_height=True)
        foot = Window(FormattedTextControl(self._foot), wrap_lines=True, dont_extend_height=True)
        room = Condition(lambda: bool(self._foot()) and terminal().lines >= 10)
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
        column = self._column()
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

    def _column(self) -> int:
        """Return how many cells the labels get, where details stand beside them."""
        wide = max((_output.width(o.label) for o in self.options if o.detail or o.disabled), default=0)
        return min(wide, (columns() - 1) // 2)

    def _foot(self) -> Any:
        """Return the details of the pointed option in full, where its row had to be cut, and how many there are."""
        if not self.shown:
            return []
        option = self.shown[self.at]
        tail = option.disabled or option.detail
        column = self._column()
        wide = columns() - 6 - column
        whole = _output.width(tail) <= wide and not _output.width(option.label) > column > 0
        mark, ends, rest = tail.partition("] ")  # [in use], which the row shows
        text = "" if whole else rest if mark.startswith("[") and ends else tail
        if text and _output.width(option.label) > column:
            text = f"{option.label}: {text}"
        count = len(self.shown)
        if count > max(1, min(ROWS, terminal().lines - 4)):
            more = f"({self.at + 1}/{count})"
            text = f"{more} {text}" if text else more
        return [("class:instruction", "\n ".join(_output.wrap("   " + text, columns() - 2)))] if text else []

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
