"""What a provider's error means, whatever shape it comes in.  Pure: a status and a body to a meaning.

Providers mix the shapes of the three formats and add their own.  ``ccsetup test`` makes verdicts of the meanings, the
relay makes kinds of them; neither looks at words itself.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from ccsetup.failures import words
from ccsetup.failures.words import Meaning

__all__ = ["Meaning", "Said", "is_error", "meaning", "read"]

_MAX_TEXT = 4000
"""Characters of a message that are looked at."""
_MAX_INSIDE = 256 << 10


class Said(NamedTuple):
    """What an error says."""

    message: str
    """Raw: to be cleaned before anybody sees it."""
    code: str = ""
    type: str = ""
    param: str = ""
    status: int = 0
    """The HTTP status that the body tells of, which may be another than that of the answer; 0 for none."""
    minimax: bool = False
    """*code* is MiniMax's own number."""
    page: bool = False
    """It is a web page, of something between or of the wrong address; *message* is its title."""

    @property
    def telling(self) -> str:
        """The code that says most; the type where there is none."""
        known = (c for c in (self.code, self.type) if c)
        strong = (c for c in known if c.lower() not in words.WEAK_CODES and not (len(c) == 3 and c.isdigit()))
        return next(strong, self.code or self.type)


def read(value: Any) -> Said:
    """Return what the error *value* says: a body or the data of an event, parsed.  Never raises."""
    reader = _Reader()
    reader.look(value, 0)
    status = 0 if reader.minimax else reader.status
    return Said(reader.message, reader.code, reader.type, reader.param, status, reader.minimax)


def is_error(value: Any) -> bool:
    """Tell whether *value*, the body of an answer with status 200 or an event's data, is an error."""
    if isinstance(value, str):
        return True
    if not isinstance(value, dict):
        return False
    error = value.get("error")
    if (error and value.get("object") != "response") or "error" in (value.get("type"), value.get("object")):
        return True
    answer = value.get("choices") or value.get("content") or value.get("output") or value.get("candidates")
    base = value.get("base_resp")
    if isinstance(base, dict) and not answer and base.get("status_code") not in (None, 0, "0"):
        return True
    if answer or "choices" in value or "type" in value or "object" in value:
        return False
    if value.get("success") is False or value.get("detail"):
        return True
    said = value.get("message") or value.get("msg")
    return isinstance(said, str) and value.get("code") not in (None, 0, "0", 200, "200")


def meaning(status: int, said: Said) -> Meaning:
    """Return what an error means.  *status* is below 400 for an error inside an answer that began well.

    What stands in words says more than a code, and a code more than the status: providers answer a wrong key with 200
    or 400, an unknown model with 401 or 503, an empty account with 429.
    """
    if status < 400:
        status = said.status
    if said.minimax and said.code in words.MINIMAX:
        return words.MINIMAX[said.code]
    if said.page:  # its words are not the provider's, and what refuses here has not looked at the key
        return "forbidden" if status == 401 else _by_status(status)
    text = said.message[:_MAX_TEXT].lower()
    codes = [c.lower() for c in (said.code, said.type) if c]
    known = [words.CODES[c] for c in codes if c in words.CODES]
    rate = words.RATE.search(text) is not None
    if status not in (401, 402, 403, 429, 529) and not rate and words.CONTEXT.search(text):
        return "context"
    # A code of its own says more than Anthropic's or OpenAI's class of it: quota comes as rate_limit_error, too.
    for strong in ("context", "no_quota"):
        if strong in known:
            return strong
    if (status < 400 or status in (404, 405, 501)) and words.PATH.search(text) and "bad_model" not in known:
        return "not_found"
    if status == 402 or (status != 404 and words.QUOTA.search(text)):
        return "no_quota"
    return _by_words(status, text, said.param, known) or (known[0] if known else _rest(status, text, codes, rate))


def _by_words(status: int, text: str, param: str, known: list[Meaning]) -> Meaning | None:
    """Return what only the words tell, where the status is one under which such words can be believed."""
    if 0 < status < 400 or status in (429, 529):
        return None
    if status < 600 and words.IMAGE.search(text):
        return "image"
    if status == 503 and ("bad_model" in known or words.CHANNEL.search(text)):
        return "bad_model"
    if status >= 405 and status not in (410, 422):
        return None
    if status != 404 and words.REGION.search(text):
        return "forbidden"
    if status != 401 and words.NO_MODEL.search(text):
        return "no_model"
    if words.MODEL.search(text) or (param == "model" and status != 401):
        return "bad_model"
    if status != 404 and words.KEY.search(text):
        return "bad_key"
    return "filtered" if status in (0, 400, 403, 422) and not known and words.FILTERED.search(text) else None


def _rest(status: int, text: str, codes: list[str], rate: bool) -> Meaning:
    if rate and (status < 400 or status in (400, 403, 413, 500, 503)):
        return "rate"
    if words.BUSY.search(text) and (status < 400 or status in (400, 429) or status >= 500):
        return "overloaded"
    if status < 400:
        weak = next((words.WEAK_CODES[c] for c in codes if c in words.WEAK_CODES), None)
        return weak or "server"
    return _by_status(status)


def _by_status(status: int) -> Meaning:
    match status:
        case 401:
            return "bad_key"
        case 402:
            return "no_quota"
        case 403 | 407 | 451:
            return "forbidden"
        case 404 | 410 | 501:
            return "not_found"
        case 405:
            return "wrong_method"
        case 408 | 504 | 524:
            return "timeout"
        case 413:
            return "too_large"
        case 429:
            return "rate"
        case 503 | 529:
            return "overloaded"
    return "bad_request" if 400 <= status < 500 else "server"


class _Reader:
    """Keeps the first message, code, type and param on the way into an error's value."""

    def __init__(self) -> None:
        self.message = self.code = self.type = self.param = ""
        self.status = 0
        self.minimax = False

    def look(self, value: Any, depth: int) -> None:
        if depth > 6:
            return
        if isinstance(value, str):
            self.message = self.message or value
            if value[:1] == "{":
                self._look_inside(value, depth)
        elif isinstance(value, list):
            for item in value[:3]:
                self.look(item, depth + 1)
        elif isinstance(value, dict):
            self._look_at(value, depth)

    def _look_at(self, value: dict[str, Any], depth: int) -> None:
        base = value.get("base_resp")
        if isinstance(base, dict) and base.get("status_code") not in (None, 0, "0"):
            self.minimax = True
            self.code = _word(base.get("status_code"))
            self.message = _word(base.get("status_msg"))
        self.code = self.code or _word(value.get("code"))
        if not self.type and value.get("type") not in ("error", "response.failed", None):
            self.type = _word(value.get("type"))
        self.type = self.type or _word(value.get("status") if isinstance(value.get("status"), str) else "")
        self.param = self.param or _word(value.get("param"))
        self.status = self.status or _status_in(value)
        title, text = value.get("error"), value.get("message")
        if not self.message and isinstance(title, str) and isinstance(text, str) and title and text:
            self.message = f"{title} {text}"
        for name in ("error", "response", "errors", "last_error"):
            if value.get(name):
                self.look(value[name], depth + 1)
        place = value.get("loc")  # FastAPI: where in the request, and what
        if not self.message and isinstance(place, list) and isinstance(value.get("msg"), str):
            self.message = f"{'.'.join(str(step) for step in place[:9] if step != 'body')}: {value['msg']}"
        for name in ("message", "msg", "detail", "error_msg", "error_message", "errorMessage", "reason", "title"):
            if self.message:
                break
            self.look(value.get(name), depth + 1)
        metadata = value.get("metadata")  # OpenRouter: the provider's own body is in error.metadata.raw.
        if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str) and metadata["raw"]:
            self.message = f"{self.message}: {metadata['raw']}" if self.message else metadata["raw"]

    def _look_inside(self, text: str, depth: int) -> None:
        """Read a whole JSON body that is the message: relays in front of relays do that."""
        try:
            inner = json.loads(text[:_MAX_INSIDE])
        except (ValueError, RecursionError):
            return
        found = _Reader()
        found.look(inner, depth + 1)
        if found.message:
            self.message = found.message
            self.code, self.type = found.code or self.code, found.type or self.type


def _status_in(value: dict[str, Any]) -> int:
    for name in ("status_code", "http_code", "code", "status"):
        number = value.get(name)
        if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) == 3:
            number = int(number)
        if isinstance(number, int) and not isinstance(number, bool) and 400 <= number < 600:
            return number
    return 0


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return str(value)
    return ""
