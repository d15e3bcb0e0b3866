"""What an upstream's error means, whatever shape it comes in.  Pure.

Providers mix the three formats' shapes and add their own; the codes were collected from the providers' documentation
and from error bodies published by their users.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Optional

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

_CODES: Mapping[str, ErrorKind] = {
    # Anthropic
    "authentication_error": "authentication",
    "permission_error": "permission",
    "billing_error": "quota",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
    # OpenAI
    "context_length_exceeded": "context",
    "insufficient_quota": "quota",
    "usage_limit_reached": "quota",
    "usage_not_included": "quota",
    "invalid_api_key": "authentication",
    "rate_limit_exceeded": "rate_limit",
    "model_not_found": "not_found",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    # Others that speak in words
    "string_above_max_length": "invalid_request",
    "model_context_window_exceeded": "context",
    "context_window_exceeded": "context",
    "exceed_context_size_error": "context",  # llama.cpp
    "prompt_too_long": "context",
    "incorrect_api_key_error": "authentication",  # Kimi
    "invalid_authentication_error": "authentication",
    "exceeded_current_quota_error": "quota",
    "rate_limit_reached_error": "rate_limit",
    "engine_overloaded_error": "overloaded",
    "resource_not_found_error": "not_found",
    "insufficient_balance_error": "quota",  # MiniMax
    "authorized_error": "authentication",
    "invalidapikey": "authentication",  # Qwen
    "arrearage": "quota",
    "throttling": "rate_limit",
    "throttling.ratequota": "rate_limit",
    "throttling.allocationquota": "rate_limit",
    "throttling.burstrate": "rate_limit",
    "modelnotfound": "not_found",
    "accountoverdueerror": "quota",  # Volcengine
    "accountquotaexceeded": "quota",
    "quotaexceeded": "quota",
    "setlimitexceeded": "quota",
    "serveroverloaded": "overloaded",
    "requestbursttoofast": "rate_limit",
    "authenticationerror": "authentication",
    "insufficientbalance": "quota",  # 302.AI
    "ratelimitexceeded": "rate_limit",
    "unauthorized": "authentication",
    "resource_exhausted": "rate_limit",  # Google
    "unauthenticated": "authentication",
    "permission_denied": "permission",
    "deadline_exceeded": "timeout",
    # Numbers; the four-digit ones are GLM's, the others SiliconFlow's
    "1112": "permission",
    "1113": "quota",
    "1211": "not_found",
    "1220": "permission",
    "1261": "context",
    "1302": "rate_limit",
    "1303": "rate_limit",
    "1304": "quota",
    "1305": "overloaded",
    "1308": "quota",
    "1309": "quota",
    "1310": "quota",
    "1312": "overloaded",
    "20012": "not_found",
    "30001": "quota",
    "30003": "permission",
    "30014": "authentication",
    "50501": "overloaded",
    "50505": "overloaded",
}

_WEAK_CODES: Mapping[str, ErrorKind] = {
    "invalid_request_error": "invalid_request",
    "invalid_prompt": "invalid_request",
    "invalid_parameter": "invalid_request",
    "invalid_argument": "invalid_request",
    "bad_request": "invalid_request",
    "unavailable": "overloaded",
}
"""They say less than a status of 4xx or 5xx: DeepSeek's wrong key has the code ``invalid_request_error``."""

_MINIMAX: Mapping[str, ErrorKind] = {
    "1000": "server",
    "1001": "timeout",
    "1002": "rate_limit",
    "1004": "authentication",
    "1008": "quota",
    "1013": "server",
    "1024": "server",
    "1026": "invalid_request",
    "1027": "invalid_request",
    "1028": "quota",
    "1030": "quota",
    "1033": "server",
    "1039": "rate_limit",
    "2013": "invalid_request",
    "2049": "authentication",
    "2056": "quota",
    "2061": "permission",
}
"""``base_resp.status_code``; GLM uses some of these numbers for something else."""

_CONTEXT = re.compile(
    r"prompt is too long"  # Anthropic
    r"|prompt too long"
    r"|input (?:is|was) too long"  # Bedrock
    r"|exceeds? (?:the|this|your|its) (?:model'?s? )?(?:maximum )?context (?:window|length|size|limit)"  # OpenAI
    r"|exceeds? (?:the )?(?:model'?s? )?(?:maximum )?context[ _](?:window|length|size)"
    r"|context[ _](?:window|length|size)[ _](?:has been |was |is )?exceed"
    r"|context window exceeds limit"  # MiniMax
    r"|ran out of room in the model's context"
    r"|maximum context length"  # OpenRouter, vLLM, DeepSeek
    r"|max(?:imum)? model length|max_model_len"  # vLLM
    r"|maximum prompt length"  # xAI
    r"|(?:reduce|shorten) the length of (?:the|your) (?:messages|prompt|input)"  # Groq
    r"|input token count.{0,60}exceeds"  # Google
    r"|input tokens? exceeds? the configured limit"
    r"|exceeds the available context size|exceed_context_size"  # llama.cpp
    r"|greater than the context length"  # LM Studio
    r"|(?:longer|larger) than the (?:model'?s )?context|maximum context limit|context exceeds your deployment"
    r"|exceeds? the maximum number of tokens|input token length too long|but model only supports up to"
    r"|exceeds context length"  # Ollama
    r"|exceeded model token limit"  # Kimi
    r"|exceed max message tokens"  # Volcengine
    r"|range of input length should be"  # Qwen
    r"|tokens in request more than max tokens allowed"
    r"|too large for model with \d+ maximum context"  # Mistral
    r"|inputs? tokens? \+ max_new_tokens.{0,20} must be"  # TGI
    r"|prompt (?:tokens? )?(?:length )?exceeds (?:the )?(?:max(?:imum)?|length|token|model)"
    r"|(?:too many|number of) (?:input|prompt) tokens"
    r"|tokens exceeds? (?:the )?(?:max(?:imum)?|model|limit)"
    r"|context_length_exceeded|model_context_window_exceeded|contextwindowexceedederror"
    r"|(?:输入|上下文|提示词|prompt).{0,20}(?:超长|过长|超出|超过)|(?:超出|超过).{0,20}(?:上下文|最大输入)",
    re.DOTALL,
)
_RATE = re.compile(
    r"rate.?limit|too many requests|(?:tokens|requests) per (?:min|day|hour)|\b[tr]pm\b|throttl"
    r"|concurren(?:t|cy) (?:request|limit)|请求过于频繁|请求频率|速率限制|并发数?(?:过高|超)"
)
_QUOTA = re.compile(
    r"insufficient[ _](?:account )?(?:balance|quota|credit|fund)|balance is (?:too low|insufficient|not enough)"
    r"|exceeded your current quota|(?:out of|no|enough|run out of) credits|requires more credits"
    r"|usage limit (?:has been )?reached|credit limit|billing hard limit|payment required|arrear|account overdue"
    r"|余额不足|欠费|额度不足|套餐.{0,10}(?:到期|用尽|用完)|使用上限"
)
_KEY = re.compile(
    r"(?:incorrect|invalid|wrong|missing|no) (?:x-)?api[ _-]?key"
    r"|api key (?:not valid|is invalid|provided is invalid|expired)"
    r"|your api key: \S{1,300} is invalid|authentication fail|no auth credentials"
    r"|invalid (?:bearer |access |auth )?token"
    r"|无效的令牌|令牌(?:无效|已过期)|身份验证失败"
)
_MODEL = re.compile(
    r"model(?:code)?\b.{0,80}(?:does(?: not|n't) exist|not exist|not found|is not supported|not available|unknown model"
    r"|has been (?:retired|removed))"
    r"|unknown model|no such model|set model id as|模型不存在|模型.{0,40}不存在"
)
_BUSY = re.compile(
    r"overload|(?:server|system|service|engine|model) (?:is )?(?:too |currently )?busy|(?:at|over|no) capacity"
    r"|high demand|temporarily unavailable|no available (?:channel|account|instance)"
    r"|系统繁忙|服务繁忙|过载|负载|访问量过大"
)

_KEYLIKE = re.compile(
    r"(?i)(\bbearer\s+)\S{8,}|\b(?:sk|ak|pk|rk|tp|ms|gsk|xai|nvapi|hf|csk|fw|pplx)[-_][\w.*~-]{8,}|\bAIza[\w-]{20,}"
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_TITLE = re.compile(r"<(?:title|h1)[^<>]{0,200}>([^<]{1,300})<", re.IGNORECASE)


def status_of(kind: ErrorKind) -> int:
    """Return the HTTP status that fits *kind* when the upstream gave none."""
    return _STATUS[kind]


def kind_of(status: int, code: str, message: str) -> ErrorKind:
    """Return what an error means.  *status* is 0, or below 400, for an error inside an answer that began well."""
    return _kind(status, (code,), message)


def _kind(status: int, codes: tuple[str, ...], message: str) -> ErrorKind:
    text = message[:MAX_MESSAGE].lower()
    names = [c.lower() for c in codes if c]
    rate = _RATE.search(text) is not None
    if status not in (401, 402, 403, 429, 529) and not rate and _CONTEXT.search(text):
        return "context"
    known = [_CODES[n] for n in names if n in _CODES]
    # A code of its own says more than Anthropic's or OpenAI's class of it: quota comes as rate_limit_error, too.
    for strong in ("context", "quota"):
        if strong in known:
            return strong
    if status == 402 or (status not in (401, 404) and _QUOTA.search(text)):
        return "quota"
    if status in (0, 400, 401, 403, 404) or status < 400:
        if _MODEL.search(text):
            return "not_found"
        if _KEY.search(text):
            return "authentication"
    if known:
        return known[0]
    if rate and (status < 400 or status in (400, 403, 413, 500, 503)):
        return "rate_limit"
    if _BUSY.search(text) and (status < 400 or status in (400, 429) or status >= 500):
        return "overloaded"
    if status < 400:
        weak = next((_WEAK_CODES[n] for n in names if n in _WEAK_CODES), None)
        number = next((int(n) for n in names if n.isascii() and n.isdigit() and len(n) == 3 and n[0] in "45"), 0)
        return weak or (_by_status(number) if number else "server")
    return _by_status(status)


def _by_status(status: int) -> ErrorKind:
    match status:
        case 401:
            return "authentication"
        case 402:
            return "quota"
        case 403:
            return "permission"
        case 404 | 410:
            return "not_found"
        case 408 | 504 | 524:
            return "timeout"
        case 413:
            return "too_large"
        case 429:
            return "rate_limit"
        case 503 | 529:
            return "overloaded"
    return "invalid_request" if 400 <= status < 500 else "server"


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
    found = _Found()
    if isinstance(value, str):
        return _of_text(status, value, retry_after)
    found.look(value, 0)
    message = clean(found.message)
    codes = (found.code, found.type)
    if not message:
        word = next((c for c in codes if c), "")
        message = f"The upstream answered with an error: {clean(word)}" if word else _nothing(status)
    if status < 400 and not found.minimax:
        status = found.status
    kind = (_MINIMAX.get(found.code) if found.minimax else None) or _kind(status, codes, message)
    telling = (c for c in codes if c and c.lower() not in _WEAK_CODES and not (len(c) == 3 and c.isdigit()))
    code = next(telling, found.code or found.type)
    return WireError(
        kind,
        message,
        status if status >= 400 else _STATUS[kind],
        _one_line(retry_after),
        clean(code)[:100],
        clean(found.param)[:200],
    )


def error_in(value: Any) -> Optional[WireError]:
    """Return the error that *value* (the body of an answer with status 200, or an event's data) is, or None."""
    if not isinstance(value, dict):
        return None
    error = value.get("error")
    if (error and value.get("object") != "response") or value.get("type") == "error":
        return from_value(value)
    answer = value.get("choices") or value.get("content") or value.get("output") or value.get("candidates")
    base = value.get("base_resp")
    if isinstance(base, dict) and not answer and base.get("status_code") not in (None, 0, "0"):
        return from_value(value)
    if answer or "choices" in value or "type" in value or "object" in value:
        return None
    said = value.get("message") or value.get("msg") or value.get("detail")
    if isinstance(said, str) and (value.get("success") is False or value.get("code") not in (None, 0, "0", 200, "200")):
        return from_value(value)
    return None


class _Found:
    """The first message, code, type and param on the way into an error's value."""

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
            return
        if isinstance(value, list):
            for item in value[:3]:
                self.look(item, depth + 1)
            return
        if not isinstance(value, dict):
            return
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
        number = value.get("status_code") or value.get("http_code") or value.get("code")
        if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) == 3:
            number = int(number)
        if not self.status and isinstance(number, int) and 400 <= number < 600:
            self.status = number
        for name in ("error", "response", "errors", "last_error"):
            if value.get(name):
                self.look(value[name], depth + 1)
        for name in ("message", "msg", "detail", "error_msg", "error_message", "errorMessage", "reason", "title"):
            if self.message:
                break
            self.look(value.get(name), depth + 1)
        metadata = value.get("metadata")  # OpenRouter: the provider's own body is in error.metadata.raw.
        if isinstance(metadata, dict) and isinstance(metadata.get("raw"), str) and metadata["raw"]:
            self.message = f"{self.message}: {metadata['raw']}" if self.message else metadata["raw"]

    def _look_inside(self, text: str, depth: int) -> None:
        """A whole JSON body as the message: relays in front of relays do that."""
        try:
            inner = codec.loads(text[:_MAX_BODY])
        except (ValueError, RecursionError):
            return
        found = _Found()
        found.look(inner, depth + 1)
        if found.message:
            self.message = found.message
            self.code, self.type = found.code or self.code, found.type or self.type


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return str(value)
    return ""


def _of_text(status: int, text: str, retry_after: str) -> WireError:
    if "<html" in text[:1000].lower() or "<!doctype" in text[:200].lower():
        title = _TITLE.search(text[:20000])
        text = "The upstream answered with a web page" + (f": {title[1].strip()[:200]}" if title else ".")
    message = clean(text) or _nothing(status)
    kind = _kind(status, (), message)
    return WireError(kind, message, status if status >= 400 else _STATUS[kind], _one_line(retry_after))


def _nothing(status: int) -> str:
    return (
        f"The upstream answered {status} without a text."
        if status
        else "The upstream reported an error without a text."
    )


def _one_line(text: str) -> str:
    return _CONTROL.sub("", text)[:100].strip()
