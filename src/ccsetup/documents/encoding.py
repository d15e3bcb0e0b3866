"""Bytes to text and back, the same for every document: UTF-8, its byte order mark kept, and nothing guessed."""

from __future__ import annotations

import contextlib
from typing import Optional

from ccsetup import bounded
from ccsetup.errors import DocumentError
from ccsetup.i18n import _

MAX_BYTES = bounded.FILE
"""Settings files are kilobytes; ~/.claude.json grows to some megabytes.  More is a mistake."""

BOM = "\ufeff"


class Utf16(DocumentError):
    """The file is in UTF-16 or UTF-32."""

    def __init__(self, message: str, text: Optional[str], *, hint: str, short: str = "") -> None:
        super().__init__(message, hint=hint, short=short)
        self.text = text
        """What it says, where a byte order mark of UTF-16LE tells for sure."""

    @classmethod
    def of(cls, data: bytes) -> Utf16:
        text: Optional[str] = None
        if data[:2] == b"\xff\xfe" and data[2:4] != b"\0\0":
            with contextlib.suppress(UnicodeDecodeError):
                text = data.decode("utf-16")
        message = _("The file is in UTF-16 or UTF-32, and ccsetup changes only files in UTF-8.")
        return cls(message, text, hint=_("Save it as UTF-8 in your editor, and try again."))


def decode(data: bytes) -> str:
    """Return the text of *data*; a byte order mark stays as its first character.

    Raises DocumentError for what is not UTF-8 (with the line), for UTF-16 or UTF-32, for NUL bytes, and for more
    than ``MAX_BYTES``.
    """
    if len(data) > MAX_BYTES:
        raise DocumentError(_("The file is larger than 64 MiB; that is no settings file."))
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or data[:4] == b"\x00\x00\xfe\xff":
        raise Utf16.of(data)
    nul = data.find(b"\0")
    if nul >= 0:
        if not data.strip(b"\0"):
            # What an unsynced file looks like after a power failure (openai/codex#34126).
            raise DocumentError(
                _("The file holds nothing but NUL bytes; it was probably damaged when the computer lost power."),
                hint=_("Restore it from a backup, or delete it."),
            )
        if data[1:2] == b"\0" or data[:1] == b"\0":
            raise Utf16.of(data)
        line, column = _place(data, nul)
        raise DocumentError(_("The file holds a NUL byte."), line=line, column=column)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(data, error.start)
        raise DocumentError(
            _("The file is not valid UTF-8."),
            line=line,
            column=column,
            hint=_("Save it as UTF-8 in your editor, and try again."),
        ) from None


def encode(text: str) -> bytes:
    """Return *text* as UTF-8.  Raises DocumentError for half a surrogate pair, which has no UTF-8 form."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise DocumentError(_("The text holds half a surrogate pair, which UTF-8 cannot hold.")) from None


def check_size(text: str) -> None:
    """Refuse a text of more than ``MAX_BYTES`` characters."""
    if len(text) > MAX_BYTES:
        raise DocumentError(_("The file is larger than 64 MiB; that is no settings file."))


def place(text: str, position: int) -> tuple[int, int]:
    """Return line and column, from 1, of *position*; line ends are LF, CRLF and lone CR."""
    head = text[:position]
    start = max(head.rfind("\n"), head.rfind("\r")) + 1
    return head.count("\n") + head.count("\r") - head.count("\r\n") + 1, position - start + 1


def _place(data: bytes, position: int) -> tuple[int, int]:
    head = data[:position].decode("utf-8", "replace")
    return place(head, len(head))
