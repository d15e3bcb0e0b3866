"""What an upstream's answer is, before anybody reads it as one of a wire format: its coding, its kind, an error in
disguise, and which of its headers a client may see."""

from __future__ import annotations

import math
import re
import zlib
from functools import lru_cache
from typing import Optional, Protocol

from ccsetup.relay.http.base import UpstreamAnswer, UpstreamError
from ccsetup.relay.routing.choice import Choice
from ccsetup.relay.wire import codec, errors
from ccsetup.relay.wire.messages import WireError

_MAX_PIECE = 256 << 10
"""Bytes that are unpacked at a time."""

LONGEST_WAIT = 366 * 86400.0
"""Seconds: no provider means more."""

_PASSED = frozenset((b"request-id", b"x-request-id", b"retry-after", b"openai-processing-ms", b"openai-model"))
_PASSED_BEGINS = (b"anthropic-ratelimit-", b"x-ratelimit-")


class Readable(Protocol):
    async def read(self) -> bytes: ...


class _Unpacked:
    """The body of an answer that the upstream compressed although it was asked not to."""

    def __init__(self, answer: UpstreamAnswer) -> None:
        self._answer = answer
        self._inflate = zlib.decompressobj(47)

    async def read(self) -> bytes:
        """Return at most ``_MAX_PIECE`` bytes, however well they were packed."""
        while True:
            packed = self._inflate.unconsumed_tail or await self._answer.read()
            if not packed:
                return b""
            try:
                plain: bytes = self._inflate.decompress(packed, _MAX_PIECE)
            except zlib.error:
                raise UpstreamError("protocol", "the answer is not compressed as it says") from None
            if plain:
                return plain


def readable(answer: UpstreamAnswer) -> Readable:
    for name, value in answer.headers:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            if value.strip().lower() in (b"gzip", b"deflate", b"x-gzip"):
                return _Unpacked(answer)
            raise UpstreamError("protocol", "the answer is compressed in an unknown way")
    return answer


def end_of_events(text: bytes) -> int:
    """Return where the last event ends that is whole, 0 where none is."""
    plain, carried = text.rfind(b"\n\n"), text.rfind(b"\n\r\n")
    return max(plain + 2 if plain >= 0 else 0, carried + 3 if carried >= 0 else 0)


def wrong_answer(wire: str, raw: bytes) -> Optional[WireError]:
    """Return the error that an answer with status 200 holds; None for an answer.

    GLM, MiniMax and some gateways report errors that way.
    """
    try:
        value = codec.loads(raw)
    except (ValueError, RecursionError):
        return WireError("server", "The upstream's answer is not JSON.", 502)
    found = errors.error_in(value)
    if found is not None:
        return found
    if isinstance(value, dict) and value.get("object") == "response" and value.get("status") == "failed":
        return errors.from_value(value)
    member = {"anthropic": "content", "responses": "output", "chat": "choices"}[wire]
    if not isinstance(value, dict) or not isinstance(value.get(member), list):
        return WireError("server", "The upstream's answer is of another format than its configuration says.", 502)
    return None


def is_error(wire: str, raw: bytes) -> bool:
    """Whether *raw* is an error as the format *wire* has it: a page or another provider's shape would not be read."""
    try:
        value = codec.loads(raw)
    except (ValueError, RecursionError):
        return False
    error = value.get("error") if isinstance(value, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return False
    return bool(value.get("type") == "error" if wire == "anthropic" else value.get("object") != "response")


def seconds_of(retry_after: str, now: float) -> Optional[float]:
    """Return a Retry-After header in seconds after *now* (Unix time), at most ``LONGEST_WAIT``.

    None when it says nothing that can be meant.
    """
    text = retry_after.strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        import email.utils

        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - now
        except (TypeError, ValueError, OverflowError):
            return None
    return min(max(0.0, seconds), LONGEST_WAIT) if math.isfinite(seconds) else None


def is_stream(answer: UpstreamAnswer) -> bool:
    for name, value in answer.headers:
        if name == b"content-type":
            return b"json" not in value.lower()
    return True


def served_by(choice: Choice) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell a client which model answers instead of the one that it named, whose, and why."""
    said = {b"x-relay-model": choice.model, b"x-relay-upstream": choice.upstream.name, b"x-relay-all": choice.all}
    return [(name, re.sub(r"[^!-~]", "?", text)[:200].encode()) for name, text in said.items() if text]


def passed(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [line for line in headers if _is_passed(line[0])]


@lru_cache(512)
def _is_passed(name: bytes) -> bool:
    return name in _PASSED or name.startswith(_PASSED_BEGINS)
