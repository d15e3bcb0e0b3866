"""Bodies that clients compress."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from backports import zstd

from ccsetup.relay.http.inbound import BodyTooLarge, Malformed
from ccsetup.relay.http.packed import unpack

TEXT = b'{"model": "m", "input": "' + b"hello " * 50_000 + b'"}'


def bare(body: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(body) + deflate.flush()


PACKERS: list[tuple[bytes, Callable[[bytes], bytes]]] = [
    (b"zstd", zstd.compress),
    (b"gzip", gzip.compress),
    (b"x-gzip", gzip.compress),
    (b"deflate", zlib.compress),
    (b"deflate", bare),
]


@pytest.mark.parametrize(("coding", "pack"), PACKERS)
def test_what_was_packed_comes_out(coding: bytes, pack: Callable[[bytes], bytes]) -> None:
    for body in (TEXT, b"{}", b""):
        assert unpack(pack(body), coding, len(body)) == body


@pytest.mark.parametrize("coding", [b"zstd", b"gzip"])
def test_several_members_are_one_body(coding: bytes) -> None:
    pack = dict(PACKERS)[coding]
    assert unpack(pack(b"{") + pack(b"}"), coding, 2) == b"{}"


@pytest.mark.parametrize(("coding", "pack"), PACKERS)
def test_a_bomb_is_refused_before_it_is_in_memory(coding: bytes, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(bytes(60 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            unpack(bomb, coding, 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("coding", "pack"), PACKERS)
def test_what_is_not_packed_or_not_whole_is_malformed(coding: bytes, pack: Callable[[bytes], bytes]) -> None:
    packed = pack(TEXT)
    for body in (b"", b"{}", packed[:-9], packed[: len(packed) // 2], b"\xff" * 90):
        with pytest.raises(Malformed):
            unpack(body, coding, 1 << 30)
