"""OpenAI Chat Completions, read and written: the names of a wire format's module (``wire``)."""

from __future__ import annotations

from typing import Mapping

from ccsetup.relay.wire import errors
from ccsetup.relay.wire.chat import request_in as chat_request
from ccsetup.relay.wire.chat import request_out as chat_body
from ccsetup.relay.wire.chat.answer_in import Reader, read_answer
from ccsetup.relay.wire.chat.answer_out import PING, Writer, write_answer, write_error
from ccsetup.relay.wire.chat.request_in import read_request
from ccsetup.relay.wire.chat.request_out import write_request
from ccsetup.relay.wire.messages import WireError

__all__ = [
    "LOSSES",
    "PING",
    "Reader",
    "Writer",
    "read_answer",
    "read_error",
    "read_request",
    "write_answer",
    "write_error",
    "write_request",
]

LOSSES: Mapping[str, str] = {**chat_request.LOSSES, **chat_body.LOSSES}
"""Code to sentence: everything of a request that is not carried, from or to this format."""


def read_error(status: int, body: bytes, retry_after: str = "") -> WireError:
    """Return what an upstream's error answer means.  Never raises."""
    return errors.extract(status, body, retry_after)
