"""The wire formats that there are."""

from __future__ import annotations

from typing import Mapping

from ccsetup.model import WireFormat
from ccsetup.relay.wire import anthropic, chat, responses
from ccsetup.relay.wire.messages import Format

FORMATS: Mapping[WireFormat, Format] = {"anthropic": anthropic, "responses": responses, "chat": chat}
