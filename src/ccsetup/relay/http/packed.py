"""Bodies of requests that the client compressed: Codex sends zstd, others gzip and deflate."""

from __future__ import annotations

import zlib
from typing import Any, Protocol, cast

from ccsetup import bounded
from ccsetup.relay.http.inbound import BodyTooLarge, Malformed

CODINGS = (b"zstd", b"gzip", b"x-gzip", b"deflate")
_WRONG = "The body of the request is not packed as its Content-Encoding says."
_PIECE = 256 << 10
"""Bytes that are unpacked at a time: what the limit can be passed by."""


class _Unpacker(Protocol):
    eof: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def missing(coding: bytes) -> bool:
    """Tell whether this installation cannot unpack *coding*, one of ``CODINGS``."""
    if coding != b"zstd":
        return False
    try:
        bounded.zstd()
    except ImportError:
        return True
    return False


def unpack(body: bytes, coding: bytes, most: int) -> bytes:
    """Return what *body* holds.

    BodyTooLarge beyond *most* bytes, before more than that is in memory; Malformed when it is not packed as *coding*,
    one of ``CODINGS``, or not to its end.
    """
    out: list[bytes] = []
    size, rest = 0, body
    zstd: Any = bounded.zstd() if coding == b"zstd" else None
    try:
        while True:
            one = cast(_Unpacker, zstd.ZstdDecompressor()) if zstd is not None else _inflating(coding, rest)
            while not one.eof:
                piece = one.decompress(rest, _PIECE)
                # zlib gives back what it has not read yet; zstd keeps it.
                rest = b"" if zstd is not None else cast(Any, one).unconsumed_tail
                size += len(piece)
                if size > most:
                    raise BodyTooLarge
                out.append(piece)
                if not one.eof and not piece and not rest:
                    raise Malformed(_WRONG)
            rest = one.unused_data
            if not rest or coding == b"deflate":  # else another member or frame follows
                return b"".join(out)
    except (BodyTooLarge, Malformed):
        raise
    except Exception as error:  # zlib's and zstd's own, which have no common base
        raise Malformed(_WRONG) from error


def _inflating(coding: bytes, body: bytes) -> _Unpacker:
    """``deflate`` is zlib's format; some send the bare one of the same name."""
    if coding != b"deflate":
        return cast(_Unpacker, zlib.decompressobj(31))
    wrapped = len(body) > 1 and body[0] & 15 == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return cast(_Unpacker, zlib.decompressobj(15 if wrapped else -15))
