"""Failures: what a client is told of its request's, and what client and pool are told of an upstream's."""

from __future__ import annotations

from typing import Callable, Optional, Union, assert_never

from ccsetup.model import WireFormat
from ccsetup.relay.http.base import NetworkFailure
from ccsetup.relay.http.inbound import BodyTooLarge, Headers, Malformed
from ccsetup.relay.routing.choice import Failure
from ccsetup.relay.serving.answers import is_error, passed, seconds_of
from ccsetup.relay.wire.messages import BadRequest, ErrorKind, WireError

UPSTREAMS_FAULT: tuple[ErrorKind, ...] = ("server", "overloaded", "timeout", "cut")
"""Errors inside an answer that count toward the upstream's rest."""


class Unanswered(Exception):
    """An attempt that gave the client nothing."""

    def __init__(self, failure: Failure, error: WireError, raw: bytes = b"", head: Optional[Headers] = None) -> None:
        super().__init__(error.kind)
        self.failure = failure
        self.error = error
        self.raw = raw
        """The upstream's own error body, when it is in the client's format."""
        self.head = head or []


class Broken(Exception):
    """The answer stopped after the client had got a part of it; the client has been told."""

    def __init__(self, kind: Union[NetworkFailure, ErrorKind]) -> None:
        super().__init__(kind)
        self.kind = kind
        self.failure = Failure("idle" if kind == "idle" else "protocol" if kind == "protocol" else "cut")


def told(kind: NetworkFailure, upstream: str, detail: str = "") -> WireError:
    """Return what the client is told; *detail* is for failures of connections alone, and holds no key."""
    match kind:
        case "connect":
            status, said = 502, "cannot be reached"
        case "tls":
            status, said = 502, "cannot be reached over TLS"
        case "first_byte":
            status, said = 504, "did not answer in time"
        case "idle":
            status, said = 504, "stopped answering"
        case "cut":
            status, said = 502, "closed the connection before its answer was complete"
        case "protocol":
            status, said = 502, "answered something that the relay cannot read"
        case _:
            assert_never(kind)
    message = f"The relay's upstream '{upstream}' {said}."
    if detail and kind in ("connect", "tls"):
        message += f" ({detail})"
    return WireError("timeout" if status == 504 else "server", message, status)


def rejected(
    error: WireError,
    raw: bytes,
    head: Headers,
    masked: Callable[[str], str],
    now: float,
    same: Optional[WireFormat] = None,
) -> Unanswered:
    """Return an attempt that the upstream answered with *error*, whose body is *raw*, b"" where it has none of its own.

    *same*: the client's format, where the upstream speaks it too.
    """
    error = error._replace(message=masked(error.message))
    text = raw[:4096].decode("utf-8", "replace")
    failure = Failure("status", error.status, text or error.message, seconds_of(error.retry_after, now))
    own = b""
    if raw and same is not None and error.kind != "context" and is_error(same, raw):
        own = masked(raw.decode("utf-8", "replace")).encode()
    lines = [(name, masked(value.decode("latin-1")).encode("latin-1")) for name, value in passed(head)]
    return Unanswered(failure, error, own, lines)


def invalid(bad: BadRequest) -> WireError:
    return WireError("invalid_request", bad.message, 400, code=bad.code, param=bad.param)


def unreadable(error: Union[BodyTooLarge, Malformed]) -> WireError:
    """Return what a client is told whose body cannot be taken."""
    if isinstance(error, BodyTooLarge):
        return WireError("too_large", "The request is larger than this relay takes.", 413)
    said = str(error) or "The body of the request is not framed as HTTP says."
    return WireError("invalid_request", said, 400)
