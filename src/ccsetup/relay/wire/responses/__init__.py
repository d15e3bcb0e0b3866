"""OpenAI Responses, read and written: the names of a ``Format``."""

from __future__ import annotations

from typing import Mapping

from ccsetup.relay.wire import codec, errors
from ccsetup.relay.wire.messages import Asked, ErrorKind, Events, WireError
from ccsetup.relay.wire.responses import answer_out, request_in, request_out
from ccsetup.relay.wire.responses.answer_in import ResponsesReader, read_answer
from ccsetup.relay.wire.responses.answer_out import PING, ResponsesWriter
from ccsetup.relay.wire.responses.compacted import CompactedWriter, write_compacted
from ccsetup.relay.wire.responses.request_in import read_request
from ccsetup.relay.wire.responses.request_out import write_request

__all__ = [
    "LOSSES",
    "PING",
    "read_answer",
    "read_request",
    "reader",
    "write_answer",
    "write_error",
    "write_request",
    "writer",
]

LOSSES: Mapping[str, str] = {**request_in.LOSSES, **request_out.LOSSES}

reader = ResponsesReader


def writer(asked: Asked) -> ResponsesWriter:
    return ResponsesWriter(asked) if asked.conversation.compacts is None else CompactedWriter(asked)


def write_answer(events: Events, asked: Asked) -> bytes:
    """As ``answer_out.write_answer``; a summary where it is one."""
    return (
        answer_out.write_answer(events, asked)
        if asked.conversation.compacts is None
        else write_compacted(events, asked)
    )


_TYPES: Mapping[ErrorKind, tuple[str, str]] = {
    "invalid_request": ("invalid_request_error", ""),
    "authentication": ("invalid_request_error", "invalid_api_key"),
    "permission": ("invalid_request_error", "permission_denied"),
    "quota": ("insufficient_quota", "insufficient_quota"),
    "not_found": ("invalid_request_error", "model_not_found"),
    "too_large": ("invalid_request_error", "request_too_large"),
    "context": ("invalid_request_error", "context_length_exceeded"),
    "rate_limit": ("rate_limit_error", "rate_limit_exceeded"),
    "overloaded": ("server_error", "server_is_overloaded"),
    "server": ("server_error", "server_error"),
    "timeout": ("server_error", "timeout"),
    "cut": ("server_error", "stream_cut"),
}


def write_error(error: WireError) -> tuple[int, bytes]:
    """Return the status and the body that tell *error* in OpenAI's shape.

    The provider's own code stays, but where clients act on OpenAI's: ``context_length_exceeded``.  That one is a 400,
    for Codex sends the request again after most other statuses.
    """
    type, code = _TYPES[error.kind]
    if error.code and error.kind != "context":
        code = error.code
    value = {"message": error.message, "type": type, "param": error.param or None, "code": code or None}
    known = error.status if 400 <= error.status < 600 else errors.status_of(error.kind)
    status = 400 if error.kind == "context" else known
    return status, codec.dumps({"error": value})
