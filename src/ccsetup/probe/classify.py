"""What an answer means.  Pure: a status, headers and a body to a meaning; knows no network and no client program.

A preset's own error shapes are asked first, because they contradict the statuses (a bad key inside HTTP 200, an unknown
model as 401); what is said in words comes next, and the bare status last.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, Mapping, NamedTuple, Optional, Sequence

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
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    kind = headers.get("content-type", "").lower()
    if 300 <= status < 400:
        return Answer("redirect", "none", "", headers.get("location", ""))
    if status == 511:
        return Answer("portal", "html" if _is_html(kind, text) else "none", _title(text))
    if not text and status >= 400:
        return Answer(_by_status(status), "none")
    if not text:
        return Answer("empty", "none")
    if _is_html(kind, text):
        return _html(status, text)
    data = _parse(text)
    if data is None:
        if text.startswith(("event:", "data:", ":")):
            return Answer("ok", _stream_dialect(text)) if status < 300 else Answer("bad_request", "other", text)
        if status < 300:
            return Answer("garbage", "none", text)
        spoken = _by_words(status, text, None)
        return Answer(spoken or _by_status(status), "none", text)
    dialect = _dialect(data)
    message = message_of(data)
    if preset is not None:
        own = _by_preset(preset, status, data, text)
        if own is not None:
            return Answer(own, dialect, message)
    if status < 300 and not _has_error(data):
        expected: Mapping[WireFormat, Dialect] = {"anthropic": "anthropic", "responses": "responses", "chat": "chat"}
        if dialect == expected[wire]:
            return Answer("ok", dialect)
        if dialect in ("anthropic", "responses", "chat"):
            return Answer("other_protocol", dialect, message)
        return Answer("garbage", dialect, message or text)
    spoken = _by_words(status, message or text, data)
    if spoken:
        return Answer(spoken, dialect, message)
    if status < 300:
        return Answer("bad_request", dialect, message)
    meaning = _by_status(status)
    if meaning == "bad_request" and dialect == "other" and not message:
        return Answer("garbage", dialect, text)
    return Answer(meaning, dialect, message)


def key_check(check: KeyCheck, status: int, body: bytes) -> KeyAnswer:
    """Return what the answer to a preset's key check says of the key."""
    text = body.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
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
    if isinstance(data, str):
        return data
    if not isinstance(data, dict):
        return ""
    error = data.get("error")
    if isinstance(error, dict):
        words = [error.get("message"), error.get("msg"), error.get("code"), error.get("type")]
        return next((str(w) for w in words if w), "")
    if isinstance(error, str) and error:
        return " ".join(w for w in (error, data.get("message")) if isinstance(w, str))
    base = data.get("base_resp")
    if isinstance(base, dict) and base.get("status_msg"):
        return f"{base.get('status_code')}: {base['status_msg']}"
    for name in ("message", "msg", "detail", "error_msg", "errorMessage", "title"):
        value = data.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, list) and value:
            return json.dumps(value, ensure_ascii=False)[:500]
    return ""


def _by_preset(preset: Preset, status: int, data: Any, text: str) -> Optional[Meaning]:
    order: tuple[Meaning, ...] = ("bad_model", "no_quota", "rate", "forbidden", "bad_key", "wrong_region")
    # A condition that looks only at the status is weaker than words, so it comes in a second round.
    for exact in (True, False):
        for meaning in order:
            for condition in preset.errors.get(meaning, ()):
                if bool(condition.path or condition.contains) != exact:
                    continue
                if not exact and (status < 400 or not _has_error(data) or _PATH.search(message_of(data).lower())):
                    continue
                if matches(condition, status, data, text):
                    return meaning
    return None


_PATH = re.compile(
    r"unexpected endpoint|(?:unknown|invalid|no such|unsupported)(?: request)? (?:url|path|endpoint|route)"
    r"|no route|route .{0,80}not found|cannot post|cannot (?:get|find) /"
    r"|(?:url|path|page|resource|endpoint|route).{0,40}not (?:be )?found"
    r"|not found:? /|post /\S{0,300} not found|requested url|接口不存在|路径不存在"
)
_KEY = re.compile(
    r"(?:invalid|incorrect|wrong|malformed|unknown|expired|missing|bad|disabled|revoked"
    r"|no)[ _-](?:\w{1,20}[ _-]){0,2}(?:api[ _-]?key|x-api-key)"
    r"|api[ _-]?key.{0,40}(?:invalid|not valid|incorrect|expired|missing|required|not found|disabled|revoked)"
    r"|invalid_api_key|api_key_invalid|authentication[ _]?(?:fail|error|required)|unauthori[sz]ed|unauthenticated"
    r"|no auth credentials|invalid (?:access )?token\b|token (?:is )?(?:invalid|expired|incorrect)"
    r"|invalid authentication"
    r"|令牌|(?:密钥|api ?key).{0,8}(?:无效|错误|不正确|过期)|无效的.{0,8}(?:key|令牌|密钥)|身份验证|鉴权失败"
)
_QUOTA = re.compile(
    r"insufficient[ _]?(?:account )?(?:balance|quota|credit|funds)|exceeded (?:your )?current quota"
    r"|exceeded_current_quota"
    r"|quota (?:is |has been )?(?:exceed|exhaust|used up|insufficient)|credit balance is too low"
    r"|(?:out of|no|not enough) credits?\b"
    r"|payment required|billing (?:hard )?limit|check your (?:plan and )?billing|arrearage"
    r"|account.{0,20}(?:overdue|suspended.{0,30}balance)"
    r"|no resource package|余额不足|欠费|额度(?:不足|已用)|余额"
)
_MODEL = re.compile(
    r"\bmodels?\b.{0,80}(?:not (?:a valid|be found|found|exist|available|support|valid|allowed|enabled)"
    r"|n[o']t exist|does not|unknown|invalid"
    r"|required|missing|empty|must|disabled|unsupported|decommissioned|deprecated|no longer|not have access)"
    r"|(?:unknown|invalid|unsupported|no such|missing|specify|provide|select|empty|not have access to"
    r"|access to)(?: \w{1,40}){0,3} model\b"
    r"|not an? (?:valid|known|supported) model|model_not_found|modelnotfound|\bmodel: |model_name|modelcode"
    r"|no available channel|无可用渠道|模型"
)
_REGION = re.compile(
    r"unsupported_country|country|territory|not (?:available|supported) in your (?:region|location)|地区"
)


def _by_words(status: int, message: str, data: Any) -> Optional[Meaning]:
    words = message.lower()[:4000]
    error = data.get("error") if isinstance(data, dict) else None
    codes = (
        " ".join(str(error.get(k) or "") for k in ("type", "code", "param")).lower()
        if isinstance(error, dict)
        else str(data.get("code", "") if isinstance(data, dict) else "").lower()
    )
    if (status in (404, 405, 501) or status < 300) and _PATH.search(words):
        return "not_found"
    if status in (500, 502, 504, 529):
        return None
    if _QUOTA.search(words) or _QUOTA.search(codes.replace("_", " ")) or "insufficient_quota" in codes:
        return "no_quota" if status not in (404, 503) else None
    if status == 503:
        return (
            "bad_model" if re.search(r"no available channel|无可用渠道|model_not_found", words + " " + codes) else None
        )
    if status == 429:
        return None
    if status != 404 and (_KEY.search(words) or re.search(r"invalid_api_key|authentication|unauthori", codes)):
        return "bad_key"
    if status in (400, 403, 404, 410, 422) or status < 300:
        if status == 403 and _REGION.search(words):
            return "forbidden"
        if _MODEL.search(words) or "model" in codes.split() or "model_not_found" in codes:
            return "bad_model"
        if status == 404 and "not_found_error" in codes and isinstance(data, dict) and data.get("type") == "error":
            return "bad_model" if not words.strip() else None
    return None


def _by_status(status: int) -> Meaning:
    if status == 401:
        return "bad_key"
    if status == 402:
        return "no_quota"
    if status in (403, 451):
        return "forbidden"
    if status in (404, 410, 501):
        return "not_found"
    if status == 405:
        return "wrong_method"
    if status == 407:
        return "forbidden"
    if status == 429:
        return "rate"
    if status >= 500:
        return "server"
    if status >= 400:
        return "bad_request"
    return "garbage"


def _html(status: int, text: str) -> Answer:
    title = _title(text)
    words = (title + " " + re.sub(r"<[^<>]*>", " ", text[:20000])).lower()
    if re.search(
        r"captive|wi-?fi|hotspot|log ?in to (?:the |this )?network|network (?:login|access|authentication)"
        r"|上网认证|网络认证",
        words,
    ):
        return Answer("portal", "html", title)
    if status >= 500:
        return Answer("server", "html", title)
    if status in (401, 403, 429, 451):
        return Answer("forbidden", "html", title)
    if status in (404, 405, 410):
        return Answer("not_found" if status != 405 else "wrong_method", "html", title)
    return Answer("html", "html", title)


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


def _has_error(data: Any) -> bool:
    if isinstance(data, str):
        return True
    if not isinstance(data, dict):
        return False
    if data.get("type") == "error" or data.get("error"):
        return True
    base = data.get("base_resp")
    if isinstance(base, dict) and base.get("status_code") not in (0, None):
        return True
    if data.get("success") is False:
        return True
    return ("code" in data or "detail" in data) and bool(message_of(data))


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
