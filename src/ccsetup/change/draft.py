"""A draft: files as they will be, in memory.

It reads through a function that it is given, and ends as the changes of a plan.  Nothing is written here.
"""

from __future__ import annotations

import copy
from typing import Any, Callable, Collection, Optional, Sequence

from ccsetup.documents import encoding, format_named
from ccsetup.documents.edit import Edit, KeyPath, Missing, Set, lookup
from ccsetup.errors import DocumentError
from ccsetup.i18n import _
from ccsetup.plan import FileChange


class Draft:
    """Texts by path.  *read* returns a file's bytes, or None where there is no such file."""

    def __init__(self, read: Callable[[str], Optional[bytes]], short: Callable[[str], str]) -> None:
        self._read = read
        self._short = short
        self._before: dict[str, Optional[bytes]] = {}
        self._text: dict[str, Optional[str]] = {}
        self._data: dict[str, Any] = {}
        self._edits: dict[str, list[Edit]] = {}
        self._format: dict[str, str] = {}
        self._claude_lock: set[str] = set()
        self._later: dict[str, list[Set]] = {}
        """Edits that ``_data`` has and ``_text`` has not yet."""
        self.consequence: dict[str, str] = {}
        self.for_change = False  # a command that only reads does not say that nothing was changed
        """What the client does with a file that cannot be read, by path; goes into the error."""

    def text(self, path: str) -> str:
        """Return the text of *path*, "" where there is no such file; DocumentError when it is not UTF-8."""
        if path in self._later:
            edits = tuple(self._later.pop(path))
            self.edit(path, self._format[path], edits)
        if path not in self._text:
            before = self._before[path] = self._read(path)
            try:
                self._text[path] = None if before is None else encoding.decode(before)
            except DocumentError as e:
                raise self._located(path, e) from None
        return self._text[path] or ""

    def known(self) -> Collection[str]:
        """Return the paths that were looked at."""
        return self._text.keys()

    def exists(self, path: str) -> bool:
        self.text(path)
        return self._text[path] is not None

    def data(self, path: str, form: str) -> Any:
        """Return the parsed document, {} for an empty or missing one."""
        if path not in self._data:
            text = self.text(path)
            try:
                data = format_named(form).parse(text) if text.strip("\ufeff \t\r\n") else {}
            except DocumentError as e:
                raise self._located(path, e) from None
            if not isinstance(data, dict):
                raise self._located(path, DocumentError(_("the top level is not an object"), line=1, column=1))
            self._data[path] = data
        return self._data[path]

    def _located(self, path: str, e: DocumentError) -> DocumentError:
        where = self._short(path)
        if e.line:
            where = f"{where}:{e.line}:{e.column}" if e.column else f"{where}:{e.line}"
        message = f"{where}: {e.message}"
        if isinstance(e, encoding.Utf16):  # a client may read it
            return encoding.Utf16(message, e.text, hint=e.hint, short=e.message)
        if path in self.consequence:
            said = [self.consequence[path], *([_("Nothing was changed.")] if self.for_change else [])]
            message = " ".join((f"{message.rstrip('.')}.", *said))
        return DocumentError(
            message,
            line=e.line,
            column=e.column,
            hint=e.hint or _("Correct the file, then run the command again."),
            short=e.message,
        )

    def edit(self, path: str, form: str, edits: tuple[Edit, ...], *, claude_lock: bool = False) -> None:
        """Apply *edits* to the document; DocumentError when that cannot be done without loss."""
        if not edits:
            return
        text = self.text(path)
        try:
            new = format_named(form).apply(text, edits)
        except DocumentError as e:
            raise self._located(path, e) from None
        if new == text and self.exists(path):
            return
        self._text[path] = new
        self._data.pop(path, None)
        self._edits.setdefault(path, []).extend(edits)
        self._format[path] = form
        if claude_lock:
            self._claude_lock.add(path)

    def set_later(self, path: str, form: str, edits: Sequence[Edit]) -> None:
        """As ``edit``, for a file that gets many edits: its text is made once, when it is asked for."""
        data = self.data(path, form)
        if not all(isinstance(e, Set) and _can_hold(data, e.path) for e in edits):
            self.edit(path, form, tuple(edits))
            return
        for edit in edits:
            assert isinstance(edit, Set)
            node = data
            for key in edit.path[:-1]:
                node = node.setdefault(key, {})
            node[edit.path[-1]] = copy.deepcopy(edit.value)
            self._later.setdefault(path, []).append(edit)
        self._format[path] = form

    def replace(self, path: str, text: Optional[str]) -> None:
        """Make *text* the whole file, which need not have been text; None: the file goes."""
        self._later.pop(path, None)
        if path not in self._before:
            self._before[path] = self._read(path)
        self._text[path] = text
        self._data.pop(path, None)

    def forget(self, path: str) -> None:
        """Take *path*, which cannot be read, for absent."""
        self._before[path] = self._text[path] = None

    def changes(self) -> tuple[FileChange, ...]:
        """Return one change for each file that differs from what was read."""
        for path in list(self._later):
            self.text(path)
        out = []
        for path, text in self._text.items():
            before = self._before[path]
            after = None if text is None else encoding.encode(text)
            if after != before:
                out.append(
                    FileChange(
                        path,
                        before,
                        after,
                        format=self._format.get(path, ""),
                        edits=tuple(self._edits.get(path, ())),
                        claude_lock=path in self._claude_lock,
                    )
                )
        return tuple(out)


def _can_hold(data: Any, path: KeyPath) -> bool:
    """Tell whether every parent of *path* in *data* is a table, or is not there."""
    return all(isinstance(lookup(data, path[:n]), (dict, Missing)) for n in range(1, len(path)))
