"""The kinds of failure, and the codes and the words by which providers tell what went wrong.

Collected from the providers' documentation and from error bodies that their users published.  All patterns are for
text in lower case, and every repetition in them is bounded: hostile texts cost no more than long ones.
"""

from __future__ import annotations

import re
from typing import Literal, Mapping

Meaning = Literal[
    "bad_key",
    "no_quota",  # no money, or a plan that is used up
    "rate",
    "forbidden",
    "bad_model",  # not there, not for this account, or without anybody to serve it
    "no_model",  # the request names none
    "not_found",  # no such endpoint at this address
    "wrong_method",
    "context",  # the conversation is longer than the model's window
    "too_large",  # the body is
    "image",  # the model takes no images
    "filtered",  # refused for its contents
    "bad_request",  # anything else that is wrong with the request
    "overloaded",
    "timeout",
    "server",
]

CODES: Mapping[str, Meaning] = {
    # Anthropic
    "authentication_error": "bad_key",
    "permission_error": "forbidden",
    "billing_error": "no_quota",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
    # OpenAI, Azure
    "context_length_exceeded": "context",
    "insufficient_quota": "no_quota",
    "usage_limit_reached": "no_quota",
    "usage_not_included": "no_quota",
    "invalid_api_key": "bad_key",
    "rate_limit_exceeded": "rate",
    "model_not_found": "bad_model",
    "deploymentnotfound": "bad_model",
    "server_is_overloaded": "overloaded",
    "slow_down": "overloaded",
    "unsupported_country_region_territory": "forbidden",
    "content_filter": "filtered",
    "content_policy_violation": "filtered",
    # Others that speak in words
    "string_above_max_length": "bad_request",
    "model_context_window_exceeded": "context",
    "context_window_exceeded": "context",
    "exceed_context_size_error": "context",  # llama.cpp
    "prompt_too_long": "context",
    "model_max_prompt_tokens_exceeded": "context",  # Copilot
    "incorrect_api_key_error": "bad_key",  # Kimi
    "invalid_authentication_error": "bad_key",
    "exceeded_current_quota_error": "no_quota",
    "rate_limit_reached_error": "rate",
    "engine_overloaded_error": "overloaded",
    "resource_not_found_error": "not_found",
    "insufficient_balance_error": "no_quota",  # MiniMax
    "authorized_error": "bad_key",
    "invalidapikey": "bad_key",  # Qwen
    "arrearage": "no_quota",
    "throttling": "rate",
    "throttling.ratequota": "rate",
    "throttling.allocationquota": "rate",
    "throttling.burstrate": "rate",
    "modelnotfound": "bad_model",
    "datainspectionfailed": "filtered",
    "data_inspection_failed": "filtered",
    "accountoverdueerror": "no_quota",  # Volcengine
    "accountquotaexceeded": "no_quota",
    "quotaexceeded": "no_quota",
    "setlimitexceeded": "no_quota",
    "serveroverloaded": "overloaded",
    "requestbursttoofast": "rate",
    "authenticationerror": "bad_key",
    "invalidendpointormodel.notfound": "bad_model",
    "modelnotopen": "bad_model",
    "inputtextsensitivecontentdetected": "filtered",
    "insufficientbalance": "no_quota",  # 302.AI
    "ratelimitexceeded": "rate",
    "unauthorized": "bad_key",
    "insufficient_user_quota": "no_quota",  # new-api
    "creditserror": "no_quota",  # OpenCode Zen, with 401
    "resource_exhausted": "rate",  # Google
    "unauthenticated": "bad_key",
    "permission_denied": "forbidden",
    "deadline_exceeded": "timeout",
    # Numbers; the four-digit ones are GLM's, the others SiliconFlow's
    "1112": "forbidden",
    "1113": "no_quota",
    "1211": "bad_model",
    "1220": "forbidden",
    "1261": "context",
    "1301": "filtered",
    "1302": "rate",
    "1303": "rate",
    "1304": "no_quota",
    "1305": "overloaded",
    "1308": "no_quota",
    "1309": "no_quota",
    "1310": "no_quota",
    "1312": "overloaded",
    "20012": "bad_model",
    "30001": "no_quota",
    "30003": "bad_model",  # "Model disabled."
    "30014": "bad_key",
    "50501": "overloaded",
    "50505": "overloaded",
}

WEAK_CODES: Mapping[str, Meaning] = {
    "invalid_request_error": "bad_request",
    "invalid_prompt": "bad_request",
    "invalid_parameter": "bad_request",
    "invalid_argument": "bad_request",
    "bad_request": "bad_request",
    "unavailable": "overloaded",
}
"""They say less than a status of 4xx or 5xx: DeepSeek's wrong key has the code ``invalid_request_error``."""

MINIMAX: Mapping[str, Meaning] = {
    "1000": "server",
    "1001": "timeout",
    "1002": "rate",
    "1004": "bad_key",
    "1008": "no_quota",
    "1013": "server",
    "1024": "server",
    "1026": "filtered",
    "1027": "filtered",
    "1028": "no_quota",
    "1030": "no_quota",
    "1033": "server",
    "1039": "rate",
    "2013": "bad_request",
    "2049": "bad_key",
    "2056": "no_quota",
    "2061": "bad_model",  # the plan does not include the model
}
"""``base_resp.status_code``; GLM uses some of these numbers for something else."""

CONTEXT = re.compile(
    r"prompt (?:is )?too long"  # Anthropic, Fireworks
    r"|input (?:is|was) too long"  # Bedrock
    # "exceeds the model's maximum context length", "longer than the context window", "exceed context limit"
    r"|(?:exceed|longer than|larger than|greater than|overflow|beyond).{0,40}\bcontext"
    # "context length exceeded", "context window has been exceeded", "context length of only 4096 … not enough"
    r"|context[ _](?:window|length|size|limit)\b.{0,40}(?:exceed|overflow|not enough|too small)"
    r"|contextwindowexceeded|context[ _]length[ _]exceeded|exceed_context_size|context the overflows"
    r"|ran out of room in the model's context"
    r"|maximum context length|maximum context limit"  # OpenRouter, vLLM, DeepSeek
    r"|max(?:imum)? model length|max_model_len|max_seq_len"  # vLLM, SiliconFlow
    r"|maximum prompt length"  # xAI
    r"|(?:reduce|shorten) the length of (?:the|your) (?:messages|prompt|input)"  # Groq
    # "input token count (9) exceeds", "prompt token count of 9 exceeds the limit", "Prompt length 9 exceeds"
    r"|(?:prompt|input)[ _]?(?:tokens?|length)\b.{0,60}(?:exceed|too long|longer|larger|greater)"
    r"|input token length too long|but model only supports up to"
    r"|exceeds? the maximum number of tokens|exceeded model token limit"  # Kimi
    r"|exceed max message tokens"  # Volcengine
    r"|range of input length should be"  # Qwen
    r"|tokens in request more than max tokens allowed"
    r"|`?inputs?`? tokens? \+ .?max_new_tokens.{0,20} must be"  # TGI
    r"|`inputs` must have less than \d+ tokens"  # TGI of older versions, Together
    r"|prompt (?:tokens? )?exceeds (?:the )?(?:max(?:imum)?|length|token|model)"
    r"|(?:too many|number of) (?:input|prompt) tokens"
    r"|tokens exceeds? (?:the )?(?:max(?:imum)?|model|limit)"
    r"|(?:输入|上下文|提示词|prompt).{0,20}(?:超长|过长|超出|超过)|(?:超出|超过).{0,20}(?:上下文|最大输入)",
    re.DOTALL,
)
RATE = re.compile(
    r"rate.?limit|too many requests|(?:tokens|requests) per (?:min|day|hour)|\b[tr]pm\b|throttl"
    r"|concurren(?:t|cy) (?:request|limit)|请求过于频繁|请求频率|速率限制|并发数?(?:过高|超)"
)
QUOTA = re.compile(
    r"insufficient[ _]?(?:account[ _]|user[ _])?(?:balance|quota|credit|fund)"
    r"|balance is (?:too low|insufficient|not enough)"
    r"|exceeded (?:your )?current quota|quota (?:is |has been )?(?:exhaust|used up|insufficient)"
    r"|(?:out of|no|not enough|enough|run out of|have any) credits\b|requires more credits"
    r"|usage limit (?:has been )?reached|credit limit|billing (?:hard )?limit|payment required|arrear|account overdue"
    r"|check your (?:plan and )?billing|account.{0,20}(?:overdue|suspended.{0,30}balance)|no resource package"
    r"|余额不足|欠费|额度(?:不足|已用)|套餐.{0,10}(?:到期|用尽|用完)|使用上限"
)
KEY = re.compile(
    r"(?:invalid|incorrect|wrong|malformed|unknown|expired|missing|bad|disabled|revoked"
    r"|no)[ _-](?:\w{1,20}[ _-]){0,2}(?:api[ _-]?key|x-api-key)"
    r"|api[ _-]?key.{0,40}(?:invalid|not valid|incorrect|expired|missing|required|not found|disabled|revoked)"
    r"|your api key: \S{1,300} is invalid|api_key_invalid|authentication[ _]?(?:fail|error|required)"
    r"|unauthori[sz]ed|unauthenticated|no auth credentials|invalid authentication"
    r"|invalid (?:bearer |access |auth )?token\b|token (?:is )?(?:invalid|expired|incorrect)"
    r"|令牌(?:无效|已过期|不正确|错误)|无效的.{0,8}(?:key|令牌|密钥)|(?:密钥|api ?key).{0,8}(?:无效|错误|不正确|过期)"
    r"|身份验证|鉴权失败"
)
MODEL = re.compile(
    r"\bmodel(?:s|code|_name)?\b.{0,40}?(?:not exist|n't exist|not (?:be )?found|is not supported|not available"
    r"|unavailable"
    r"|not (?:a |an )?(?:valid|known|supported|allowed|enabled)\b(?! (?:for|in|value))|not have access|unknown model"
    r"|\binvalid\b|decommissioned|deprecated|no longer|has been (?:retired|removed|disabled)"
    r"|(?:is )?disabled|no permission)"
    r"|(?:unknown|invalid|unsupported|no such|nonexistent)(?: (?!with\b|for\b|by\b|in\b|on\b)\w{1,40})? model\b"
    r"|not an? (?:valid|known|supported) model|access to(?: \w{1,40}){0,2} model\b|not found the model"
    r"|not support(?:ed)? (?:the |this )?model\b|model_?not_?found|set model id as|^model: (?!field|input|string|value)"
    r"|no available channel|无可用渠道|no endpoints found for"
    r"|模型.{0,40}(?:不存在|未找到|不可用|未开通|未启用|已下线|已停用|无权)|(?:不支持|无效|未知|没有|无权).{0,6}模型"
)
NO_MODEL = re.compile(
    r"\bmodel\b.{0,40}(?:required|missing|empty|must (?:not )?be|cannot be (?:blank|null)|unexpected end)"
    r"|(?:missing|specify|provide|select|need)(?: \w{1,40}){0,3} .?model\b"
    r"|no models? (?:was |were )?(?:given|specified|provided)"
    r"|模型.{0,8}(?:不能为空|为空|缺失|必填)"
)
PATH = re.compile(
    r"unexpected endpoint|(?:unknown|invalid|no such|unsupported)(?: request)? (?:url|path|endpoint|route)"
    r"|no route|route .{0,80}not found|cannot post|cannot (?:get|find) /"
    r"|(?:url|path|page|resource|endpoint|route).{0,40}not (?:be )?found"
    r"|not found:? /|post /\S{0,300} not found|requested url|接口不存在|路径不存在"
)
REGION = re.compile(
    r"unsupported_country|your (?:country|region|location|territory)|user location is not supported"
    r"|countr(?:y|ies).{0,40}(?:not|un)[ -]?(?:supported|available|allowed)|(?:所在|该)(?:地区|区域|国家)"
)
IMAGE = re.compile(
    r"unknown variant .image(?:_url)?."  # DeepSeek
    r"|(?:image|vision|multi-?modal)\w{0,4}\b.{0,60}(?:not (?:be )?support|unsupported|not allowed|not enabled"
    r"|only supported by|not accept|cannot be processed)"
    r"|(?:not support|n't support|not accept|no support for|unsupported|cannot (?:read|process|handle)"
    r"|support only text|that support).{0,40}(?:image|vision|multi-?modal)"
    r"|no endpoints found that support image|mmproj|vision request|not a (?:multimodal|vision) model"
    r"|(?:不支持|无法).{0,10}(?:图片|图像|多模态|视觉)"
)
FILTERED = re.compile(
    r"content (?:management|filter(?:ing)?|usage|safety)? ?policy|content[_ ]filter|inappropriate content"
    r"|(?:blocked|rejected|flagged|prohibited).{0,40}(?:safety|moderation|content|policy)"
    r"|considered high risk|sensitive (?:content|information|words)|usage policy|敏感|内容安全|违规|不安全"
)
CHANNEL = re.compile(r"no available channel|无可用渠道")
"""Of relays of the one-api family: nothing behind them serves the model, so asking again is of no use."""
BUSY = re.compile(
    r"overload|(?:server|system|service|engine|model) (?:is )?(?:too |currently )?busy|(?:at|over|no) capacity"
    r"|high demand|temporarily unavailable|no available (?:account|instance)"
    r"|系统繁忙|服务繁忙|过载|负载|访问量过大"
)
