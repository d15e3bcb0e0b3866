"""Bodies of answers without their compression, in pieces of a bounded size, with the way in which they were packed."""

from __future__ import annotations

import importlib
import zlib
from typing import Any, Iterator, Optional

from ccsetup import bounded
from ccsetup.probe.network import BARE, FRAMES, MEMBERS, UNENDED

_PIECE = 1 << 20
"""Bytes that are unpacked at a time; brotli may give twice as many."""

_MOST = 4
"""Codings on top of one another; more are an attack."""

PACKAGES = {"br": "brotli", "zstd": "backports.zstd"}
"""The packages that unpack a coding before Python has it; the others need none."""


def available(coding: str) -> bool:
    """Tell whether *coding*, one of ``CODINGS``, can be unpacked in this installation."""
    try:
        _reader(coding)
    except (ImportError, AttributeError):
        return False
    return True


class Unpacking:
    """One body in *coding*, a content-encoding of ``CODINGS``."""

    def __init__(self, coding: str) -> None:
        inner, comma, self._name = coding.lower().rpartition(",")
        self._name = self._name.strip()
        self._inner = Unpacking(inner) if comma and coding.count(",") < _MOST else None
        self.coding = coding
        """The coding, or the way of it (BARE, MEMBERS, FRAMES, UNENDED) that is known by now."""
        self.good: bool = available(self._name) and (self._inner.good if self._inner is not None else not comma)
        """False: the body is not (all) unpacked, because it is broken, or nothing here unpacks it."""
        self._reader: Any = _reader(self._name) if self.good else None
        self._begun = False
        self._held = b""
        """The first byte: two tell whether deflate has its head."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what *data*, the next bytes of the body, unpack to."""
        data, self._held = self._held + data, b""
        if self._name == "deflate" and not self._begun and len(data) == 1:
            self._held = data
            return
        rest: Optional[bytes] = data
        while self.good and rest is not None:
            try:
                piece, rest = self._step(rest)
            except Exception:  # each library's own, which have no common base
                if self._name != "deflate" or self._begun:
                    self.good = False
                    return
                self._reader, self.coding, self._begun = zlib.decompressobj(-15), BARE, True
                continue
            self._begun = True
            if piece and self._inner is None:
                yield piece
            elif piece and self._inner is not None:
                yield from self._inner.feed(piece)

    def _step(self, data: bytes) -> tuple[bytes, Optional[bytes]]:
        """Return a piece, and the bytes to go on with; None: all that can be is unpacked."""
        reader = self._reader
        if self._name == "br":
            piece: bytes = reader.process(data, output_buffer_limit=_PIECE)
            return piece, (None if reader.can_accept_more_data() or reader.is_finished() else b"")
        if reader.eof:
            if not data or self._name == "deflate" or (self._name != "zstd" and data[:2] != b"\x1f\x8b"[: len(data)]):
                return b"", None  # what stands behind the end of gzip, and is no member, is ignored by Node too
            self._reader, self.coding = _reader(self._name), MEMBERS if self._name != "zstd" else FRAMES
            return b"", data
        piece = reader.decompress(data, _PIECE)
        if reader.eof:
            return piece, reader.unused_data or None
        if self._name == "zstd":
            return piece, None if reader.needs_input else b""
        return piece, reader.unconsumed_tail or (b"" if len(piece) == _PIECE else None)

    def end(self) -> None:
        """Take note that the body has ended."""
        if self.good and not (self._reader.is_finished() if self._name == "br" else self._reader.eof):
            self.good = self._begun
            self.coding = UNENDED.get(self._name, self.coding)
        if self._inner is not None:
            self._inner.end()
            self.good = self.good and self._inner.good


def _reader(coding: str) -> Any:
    """Return what unpacks *coding*; ImportError, AttributeError without the package, or with one that is too old."""
    if coding == "br":
        brotli = importlib.import_module("brotli")
        reader = brotli.Decompressor()
        return reader if reader.can_accept_more_data() else None  # since 1.2: before, a piece has no bound
    if coding == "zstd":
        return bounded.zstd().ZstdDecompressor()
    return zlib.decompressobj(15 if coding == "deflate" else 31)
