"""OpenAI Chat Completions, read and written: the names of a ``Format``."""

from __future__ import annotations

from typing import Mapping

from ccsetup.relay.wire.chat import request_in, request_out
from ccsetup.relay.wire.chat.answer_in import ChatReader, read_answer
from ccsetup.relay.wire.chat.answer_out import PING, ChatWriter, write_answer, write_error
from ccsetup.relay.wire.chat.request_in import read_request
from ccsetup.relay.wire.chat.request_out import write_request

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

reader = ChatReader
writer = ChatWriter
