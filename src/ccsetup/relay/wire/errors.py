"""An upstream's error as a value, made of what ``ccsetup.failures`` knows of its meaning.  Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping, NamedTuple, Optional

from ccsetup import failures
from ccsetup.relay.wire import codec
from ccsetup.relay.wire.messages import ErrorKind, WireError

MAX_MESSAGE = 2000
"""Characters of a message that are kept."""

_MAX_BODY = 256 << 10

_STATUS: Mapping[ErrorKind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "permission": 403,
    "quota": 402,
    "not_found": 404,
    "too_large": 413,
    "context": 400,
    "rate_limit": 429,
    "overloaded": 503,
    "server": 500,
    "timeout": 504,
    "cut": 502,
}

_KIND: Mapping[failures.Meaning, ErrorKind] = {
    "bad_key": "authentication",
    "no_quota": "quota",
    "rate": "rate_limit",
    "forbidden": "permission",
    "bad_model": "not_found",
    "no_model": "invalid_request",
    "not_found": "not_found",
    "wrong_method": "invalid_request",
    "context": "context",
    "too_large": "too_large",
    "image": "invalid_request",
    "filtered": "invalid_request",
    "bad_request": "invalid_request",
    "overloaded": "overloaded",
    "timeout": "timeout",
    "server": "server",
}

_KEYLIKE = re.compile(
    r"(?i)(\bbearer\s+)\S{8,}|\b(?:sk|ak|pk|rk|tp|ms|gsk|xai|nvapi|hf|csk|fw|pplx)[-_][\w.*~-]{8,}|\bAIza[\w-]{20,}"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_TITLE = re.compile(r"<(?:title|h1)[^<>]{0,200}>([^<]{1,300})<", re.IGNORECASE)


class TokenCounts(NamedTuple):
    """Tokens of a request whose prompt alone fits into the window of a model."""

    prompt: int
    asked: int
    limit: int


_PROMPT = re.compile(
    r"context limit: (\d+) \+|(\d+)(?: tokens)? (?:from|in|of) (?:the |your )?(?:input|messages?|prompt|text)"
    r"|(?:has|have|contains?)(?: at least)? (\d+) (?:input|prompt|text)|(\d+) .?inputs.? tokens"
    r"|(?:prompt|input)_?(?: ?tokens?| length)?\W{1,3}(\d+)"
)
_ASKED = re.compile(
    r"context limit: \d+ \+ (\d+)|(\d+)(?: tokens)? (?:for|in|of) (?:the |your )?(?:completion|output)"
    r"|(\d+) (?:output|completion) tokens|(\d+) .?max_new_tokens|too large: (\d+)"
    r"|max_(?:new_|completion_|output_)?tokens\W{1,3}(\d+)"
)
_LIMIT = re.compile(
    r"context limit: \d+ \+ \d+ > (\d+)|must be <= ?(\d+)"
    r"|(?:context(?: |_)?(?:length|window|size|limit)?|max_seq_len|max_model_len|model len(?:gth)?|max_total_tokens)"
    r"[^\d.]{0,40}(\d+)"
)


def window(message: str) -> Optional[TokenCounts]:
    """Return what an error about the window of a model tells, when only prompt and answer together exceed it."""
    text = re.sub(r"(?<=\d),(?=\d{3})", "", message[:MAX_MESSAGE].lower())
    numbers = [
        next((int(g) for g in m.groups() if g), 0) if (m := p.search(text)) else 0 for p in (_PROMPT, _ASKED, _LIMIT)
    ]
    prompt, asked, limit = numbers
    return TokenCounts(prompt, asked, limit) if asked and 0 < prompt < limit < prompt + asked else None


def status_of(kind: ErrorKind) -> int:
    """Return the HTTP status that fits *kind* when the upstream gave none."""
    return _STATUS[kind]


def clean(text: str) -> str:
    """Return *text* short, in one line, without control characters and without what looks like a key."""
    text = _CONTROL.sub(" ", text[: MAX_MESSAGE * 2]).strip()
    text = _KEYLIKE.sub(lambda m: (m[1] or "") + "***", text)
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def extract(status: int, body: bytes, retry_after: str = "") -> WireError:
    """Read the body of an upstream's error answer, of any shape.  Never raises.

    A *status* below 400 (providers that answer an error with 200) becomes the one that fits what was found.
    """
    body = body[:_MAX_BODY]
    try:
        value = codec.loads(body)
    except (ValueError, RecursionError):
        return _of_text(status, body.decode("utf-8", "replace"), retry_after)
    return from_value(value, status, retry_after)


def from_value(value: Any, status: int = 0, retry_after: str = "") -> WireError:
    """Return the error of a body or of an event's data, parsed.  *status* is 0 for an event."""
    if isinstance(value, str):
        return _of_text(status, value, retry_after)
    said = failures.read(value)
    message = clean(said.message)
    if not message:
        word = said.code or said.type
        message = f"The upstream answered with an error: {clean(word)}" if word else _nothing(status)
    kind = _KIND[failures.meaning(status, said._replace(message=message))]
    return WireError(
        kind,
        message,
        status if status >= 400 else said.status or _STATUS[kind],
        _one_line(retry_after),
        clean(said.telling)[:100],
        clean(said.param)[:200],
    )


def error_in(value: Any) -> Optional[WireError]:
    """Return the error that *value* (the body of an answer with status 200, or an event's data) is, or None."""
    return from_value(value) if isinstance(value, dict) and failures.is_error(value) else None


def _of_text(status: int, text: str, retry_after: str) -> WireError:
    page = "<html" in text[:1000].lower() or "<!doctype" in text[:200].lower()
    if page:
        title = _TITLE.search(text[:20000])
        text = "The upstream answered with a web page" + (f": {title[1].strip()[:200]}" if title else ".")
    message = clean(text) or _nothing(status)
    kind = _KIND[failures.meaning(status, failures.Said(message, page=page))]
    return WireError(kind, message, status if status >= 400 else _STATUS[kind], _one_line(retry_after))


def _nothing(status: int) -> str:
    return (
        f"The upstream answered {status} without a text."
        if status
        else "The upstream reported an error without a text."
    )


def _one_line(text: str) -> str:
    return _CONTROL.sub("", text)[:100].strip()
