"""What an answer means.  Pure: a status, headers and a body to a meaning; knows no network and no client program.

A preset's own error shapes are asked first, because they contradict the statuses (a bad key inside HTTP 200, an unknown
model as 401); what is said in words comes next, and the bare status last.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, Mapping, NamedTuple, Optional, Sequence

from ccsetup import failures
from ccsetup.model import Condition, KeyCheck, Preset, WireFormat

Meaning = Literal[
    "ok",  # a proper answer
    "bad_model",  # the address and the key are right, the model is not there
    "bad_request",  # the right endpoint refuses the request for what is in it
    "bad_key",
    "wrong_region",
    "no_quota",
    "rate",
    "forbidden",
    "not_found",  # no such endpoint at this address
    "wrong_method",
    "html",
    "portal",  # a page that wants a person to log in to the network
    "other_protocol",
    "redirect",
    "server",
    "garbage",
    "empty",
]

_MEANING: Mapping[failures.Meaning, Meaning] = {
    "bad_key": "bad_key",
    "no_quota": "no_quota",
    "rate": "rate",
    "forbidden": "forbidden",
    "bad_model": "bad_model",
    "no_model": "bad_model",
    "not_found": "not_found",
    "wrong_method": "wrong_method",
    "context": "bad_request",
    "too_large": "bad_request",
    "image": "bad_request",
    "filtered": "bad_request",
    "bad_request": "bad_request",
    "overloaded": "server",
    "timeout": "server",
    "server": "server",
}

Dialect = Literal["anthropic", "openai", "responses", "chat", "other", "html", "none"]
"""Whose shape the body has; ``openai`` is the error shape that Responses and Chat Completions share."""

REACHED: frozenset[Meaning] = frozenset(
    ("ok", "bad_model", "bad_request", "bad_key", "wrong_region", "no_quota", "rate", "forbidden", "server")
)
"""Answers of an endpoint of the right kind, as far as these tell."""


class Answer(NamedTuple):
    meaning: Meaning
    dialect: Dialect
    message: str = ""
    """The provider's words, raw: to be cleaned before anybody sees them."""
    location: str = ""
    """Of a redirect."""


class KeyAnswer(NamedTuple):
    meaning: Literal["valid", "invalid", "no_quota", "forbidden", "unknown"]
    balance: str = ""
    models: tuple[str, ...] = ()
    message: str = ""


def answer(
    wire: WireFormat, status: int, headers: Mapping[str, str], body: bytes, preset: Optional[Preset] = None
) -> Answer:
    """Return what an inference endpoint's answer means to a client that speaks *wire*."""
    text = _text(body)
    kind = headers.get("content-type", "").lower()
    if 300 <= status < 400:
        return Answer("redirect", "none", "", headers.get("location", ""))
    if status == 511:
        return Answer("portal", "html" if _is_html(kind, text) else "none", _title(text))
    if not text and status >= 400:
        return Answer(_said(status, failures.Said("")), "none")
    if not text:
        return Answer("garbage" if body.strip() else "empty", "none")
    if _is_html(kind, text):
        return _html(status, text)
    data = _parse(text)
    if data is None:
        if text.startswith(("event:", "data:", ":")):
            return Answer("ok", _stream_dialect(text)) if status < 300 else Answer("bad_request", "other", text)
        if status < 300:
            return Answer("garbage", "none", text)
        return Answer(_said(status, failures.Said(text)), "none", text)
    dialect = _dialect(data)
    message = message_of(data)
    if preset is not None:
        own = _by_preset(preset, status, data, text)
        if own is not None:
            return Answer(own, dialect, message)
    if status < 300 and not failures.is_error(data):
        expected: Mapping[WireFormat, Dialect] = {"anthropic": "anthropic", "responses": "responses", "chat": "chat"}
        if dialect == expected[wire]:
            return Answer("ok", dialect)
        if dialect in ("anthropic", "responses", "chat"):
            return Answer("other_protocol", dialect, message)
        return Answer("garbage", dialect, message or text)
    said = failures.read(data)
    found = _said(status, said if said.message else said._replace(message=text))
    if found == "bad_request" and dialect == "other" and not message:
        return Answer("garbage", dialect, text)
    return Answer(found, dialect, message)


def _text(body: bytes) -> str:
    """Return the text of *body*, "" where it is none: nobody can read that, and a terminal may do anything with it."""
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    return "" if "\0" in text or text.count("\ufffd") * 10 > len(text) else text


def _said(status: int, said: failures.Said) -> Meaning:
    return _MEANING[failures.meaning(status, said)]


def key_check(check: KeyCheck, status: int, body: bytes) -> KeyAnswer:
    """Return what the answer to a preset's key check says of the key."""
    text = _text(body)
    data = _parse(text)
    message = message_of(data) if data is not None else text[:2000]
    balance = _shown(_first(data, check.balance)) if check.balance else ""
    models = tuple(m for m in _all(data, check.models) if isinstance(m, str)) if check.models and status < 300 else ()
    for meaning, conditions in (
        ("no_quota", check.no_quota),
        ("forbidden", check.forbidden),
        ("invalid", check.invalid),
    ):
        if any(matches(c, status, data, text) for c in conditions):
            return KeyAnswer(meaning, balance, models, message)  # type: ignore[arg-type]
    if check.proves and any(matches(c, status, data, text) for c in check.valid):
        return KeyAnswer("valid", balance, models, "")
    return KeyAnswer("unknown", balance, models, message)


def matches(condition: Condition, status: int, data: Any, text: str) -> bool:
    """Tell whether an answer fulfils every member of *condition*."""
    if condition.status and status not in condition.status:
        return False
    if condition.contains and condition.contains.lower() not in text.lower():
        return False
    if condition.path:
        found = [v for v in _all(data, condition.path) if v is not None]
        if not found:
            return False
        # True == 1 in Python, but not in JSON.
        if condition.equals and not any(
            v == e and isinstance(v, bool) == isinstance(e, bool) for v in found for e in condition.equals
        ):
            return False
    return True


def model_ids(body: bytes) -> tuple[str, ...]:
    """Return the ids of a list of models as OpenAI and Anthropic give it, or () for anything else."""
    data = _parse(body.decode("utf-8", "replace"))
    found = [*_all(data, "data.*.id"), *_all(data, "models.*.id"), *_all(data, "models.*.slug")]
    return tuple(dict.fromkeys(m for m in found if isinstance(m, str) and m))


def nearest(wanted: str, known: Sequence[str], count: int = 3) -> list[str]:
    """Return the names in *known* that are most like *wanted*."""
    import difflib

    lower: dict[str, str] = {}
    for name in known[:5000]:
        lower.setdefault(name.lower(), name)
    tails = {n.rpartition("/")[2]: n for n in lower}
    last = wanted.lower().rpartition("/")[2]
    found = [lower[n] for n in difflib.get_close_matches(wanted.lower(), lower, count, 0.6)]
    found += [lower[tails[n]] for n in difflib.get_close_matches(last, tails, count, 0.6)]
    return list(dict.fromkeys(found))[:count]


def same_model(wanted: str, listed: str) -> bool:
    """Tell whether *listed* names *wanted*; some lists put ``models/`` before every id."""
    return wanted == listed or listed == "models/" + wanted


def message_of(data: Any) -> str:
    """Return the words of an error, wherever this provider keeps them; "" when there are none."""
    said = failures.read(data)
    text = said.message or ((said.code or said.type) if failures.is_error(data) else "")
    return f"{said.code}: {text}" if said.minimax else text


def _by_preset(preset: Preset, status: int, data: Any, text: str) -> Optional[Meaning]:
    order: tuple[Meaning, ...] = ("bad_model", "no_quota", "rate", "forbidden", "bad_key", "wrong_region")
    # A condition that looks only at the status is weaker than words, so it comes in a second round.
    for exact in (True, False):
        for meaning in order:
            for condition in preset.errors.get(meaning, ()):
                if bool(condition.path or condition.contains) != exact:
                    continue
                if not exact and (
                    status < 400
                    or not failures.is_error(data)
                    or failures.meaning(status, failures.read(data)) == "not_found"
                ):
                    continue
                if matches(condition, status, data, text):
                    return meaning
    return None


def _html(status: int, text: str) -> Answer:
    title = _title(text)
    words = (title + " " + re.sub(r"<[^<>]*>", " ", text[:20000])).lower()
    if re.search(
        r"captive|wi-?fi|hotspot|log ?in to (?:the |this )?network|network (?:login|access|authentication)"
        r"|上网认证|网络认证",
        words,
    ):
        return Answer("portal", "html", title)
    meaning = failures.meaning(status, failures.Said(title, page=True))
    return Answer("html" if status < 400 or meaning == "bad_request" else _MEANING[meaning], "html", title)


def _title(text: str) -> str:
    begin = re.search(r"<title[^<>]{0,200}>", text[:20000], re.I)
    end = re.compile(r"</title", re.I).search(text, begin.end(), 20000) if begin else None
    return text[begin.end() : end.start()].strip() if begin and end else ""


def _is_html(kind: str, text: str) -> bool:
    head = text[:200].lower()
    return head.startswith(("<!doctype html", "<html", "<head", "<body")) or ("text/html" in kind and "<" in head[:1])


def _parse(text: str) -> Any:
    if text[:1] not in '{["' or not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _dialect(data: Any) -> Dialect:
    if not isinstance(data, dict):
        return "other"
    if data.get("type") == "error" and isinstance(data.get("error"), dict):
        return "anthropic"
    if data.get("type") == "message" and isinstance(data.get("content"), list):
        return "anthropic"
    if data.get("object") == "response" or (isinstance(data.get("output"), list) and "status" in data):
        return "responses"
    if isinstance(data.get("choices"), list):
        return "chat"
    if isinstance(data.get("error"), dict):
        return "openai"
    return "other"


def _stream_dialect(text: str) -> Dialect:
    if '"message_start"' in text:
        return "anthropic"
    if '"response.' in text:
        return "responses"
    return "chat" if '"choices"' in text else "other"


def _all(data: Any, path: str) -> list[Any]:
    """Return every value at the dotted *path*; ``*`` stands for all members of a list, a number for one."""
    found = [data]
    for part in path.split("."):
        following: list[Any] = []
        for value in found:
            if isinstance(value, list):
                if part == "*":
                    following.extend(value)
                elif part.isdigit() and int(part) < len(value):
                    following.append(value[int(part)])
            elif isinstance(value, dict) and part in value:
                following.append(value[part])
        found = following
    return found


def _first(data: Any, path: str) -> Any:
    found = _all(data, path)
    return found[0] if found else None


def _shown(value: Any) -> str:
    return str(value)[:40] if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""


def number(text: str) -> Optional[float]:
    """Return a balance as a number, or None when it is none."""
    try:
        return float(text)
    except ValueError:
        return None
