"""Errors as Anthropic Messages has them, in the words that Claude Code knows.  Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping

from ccsetup.relay.wire import codec, errors
from ccsetup.relay.wire.messages import ErrorKind, WireError

_ERROR_TYPES: Mapping[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "quota": "billing_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "context": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
    "server": "api_error",
    "timeout": "timeout_error",
    "cut": "api_error",
}
_TOO_LONG = "prompt is too long"
_TOGETHER = "input length and `max_tokens` exceed context limit: {} + {} > {}, decrease input length or `max_tokens`"
"""Anthropic's own words; Claude Code 2.0.76 asks again with fewer ``max_tokens`` when it reads them."""
_NUMBERS = re.compile(r"(?<![\w.])(\d{1,3}(?:[,_]\d{3})+|\d{3,})(?![\w.]\d)")


def write_error(error: WireError) -> tuple[int, bytes]:
    """Return status and body.  A context that is too long gets the words that make Claude Code compact."""
    known = error.status if error.status >= 400 else errors.status_of(error.kind)
    return 400 if error.kind == "context" else known, codec.dumps(error_body(error))


def error_body(error: WireError) -> dict[str, Any]:
    kind, message = _ERROR_TYPES[error.kind], error.message
    if error.kind == "quota" and error.status == 429:
        kind = "rate_limit_error"
    if error.kind == "context" and not message.lower().startswith(_TOO_LONG):
        window = errors.window(message)
        message = _too_long(message) if window is None else _TOGETHER.format(*window)
    return {"type": "error", "error": {"type": kind, "message": message}}


def _too_long(message: str) -> str:
    """Claude Code 2.1.329 looks for "prompt is too long", and for ``N tokens > M maximum`` behind it."""
    numbers = [int(re.sub(r"\D", "", n)) for n in _NUMBERS.findall(message[:500])][:2]
    if len(numbers) == 2 and numbers[0] != numbers[1]:
        return f"{_TOO_LONG}: {max(numbers)} tokens > {min(numbers)} maximum ({message})"
    return f"{_TOO_LONG}: {message}"
