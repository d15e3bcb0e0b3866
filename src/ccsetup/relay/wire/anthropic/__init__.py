"""Anthropic Messages, read and written: the names of a wire format's module (``wire``)."""

from __future__ import annotations

from typing import Mapping

from ccsetup.relay.wire import errors
from ccsetup.relay.wire.anthropic import request_in as anthropic_request
from ccsetup.relay.wire.anthropic import request_out as anthropic_body
from ccsetup.relay.wire.anthropic.answer_in import Reader, read_answer
from ccsetup.relay.wire.anthropic.answer_out import PING, Writer, write_answer, write_error
from ccsetup.relay.wire.anthropic.request_in import read_request
from ccsetup.relay.wire.anthropic.request_out import write_request
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

LOSSES: Mapping[str, str] = {**anthropic_request.LOSSES, **anthropic_body.LOSSES}
"""Code to sentence: everything of a request that is not carried, from or to this format."""


def read_error(status: int, body: bytes, retry_after: str = "") -> WireError:
    """Read the body of an error answer, of whatever shape.  Never raises."""
    return errors.extract(status, body, retry_after)
