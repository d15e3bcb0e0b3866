"""Anthropic Messages, read and written: the names of a ``Format``."""

from __future__ import annotations

from typing import Mapping

from ccsetup.relay.wire.anthropic import request_in, request_out
from ccsetup.relay.wire.anthropic.answer_in import MessagesReader, read_answer
from ccsetup.relay.wire.anthropic.answer_out import PING, MessagesWriter, write_answer
from ccsetup.relay.wire.anthropic.error_out import write_error
from ccsetup.relay.wire.anthropic.request_in import read_request
from ccsetup.relay.wire.anthropic.request_out import write_request

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

reader = MessagesReader
writer = MessagesWriter
