"""What upstreams refuse by name, and what of a request has to change so that they take it.  Pure.

A change is the value of a member of ``Dialect``: ``adjust.fit`` and the writers of requests obey it, and the same key
below ``dialect`` in relay.yaml says it for good.  The texts are those that users of the providers published.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Iterator, Mapping, NamedTuple, Optional

from ccsetup.failures import words
from ccsetup.model import WireFormat
from ccsetup.relay.wire import errors
from ccsetup.relay.wire.adjust import BETA_MEMBERS, steps
from ccsetup.relay.wire.messages import Dialect, WireError

STATUS = frozenset((400, 404, 405, 406, 413, 415, 422, 500, 501))
"""vLLM answers 500 where a chat template refuses a message."""

_NEEDED = frozenset((
    "model", "messages", "input", "tools", "stream", "system", "instructions", "content", "role", "name",
    "type", "text", "parameters", "input_schema", "function", "arguments", "id", "call_id", "tool_call_id",
    "tool_use_id", "tool_calls", "output", "description", "properties", "required", "schema", "source", "data",
    "image_url", "stop", "stop_sequences", "n", "response_format", "format", "output_format", "max_tokens",
    "max_completion_tokens", "max_output_tokens", "previous_response_id", "prompt", "reasoning_content",
    "reasoning", "reasoning_details",
))  # fmt: skip
"""Members that are never left out: without them something else would be asked, or no tool be offered."""

_OPTIONAL = (
    "parallel_tool_calls", "tool_choice", "temperature", "top_p", "top_k", "presence_penalty",
    "frequency_penalty", "seed", "logprobs", "top_logprobs", "logit_bias", "store", "metadata", "service_tier",
    "user", "safety_identifier", "prompt_cache_key", "verbosity", "reasoning_effort", "enable_thinking",
    "thinking_budget", "thinking", "include",
)  # fmt: skip
"""Members whose mere mention in a refusal tells enough."""

_REFUSED = (
    r"(?:not (?:be )?(?:support|allow|permit|recogni[sz]|accept|expect|valid|enabled)|n't (?:support|allow|accept)"
    r"|unsupported|invalid|unknown|unrecogni[sz]ed|unexpected|extra (?:inputs|fields)|additional propert|deprecated"
    r"|\bonly\b|\bmust\b|cannot|can't|should|out of range|not in range|no longer|不支持|无效|非法|必须|只能|范围)"
)
_NAME = r"[`'\"]?([a-z_][\w.\[\]]{0,120})[`'\"]?"
_BY_NAME = tuple(
    re.compile(pattern)
    for pattern in (
        _NAME + r"\s?:? (?:extra (?:inputs|fields) (?:are )?not permitted|additional properties are not allowed)",
        r"(?:unsupported|unrecogni[sz]ed|unknown|unexpected|invalid|extra)(?: request)?(?: body)?"
        r" (?:parameter|argument|field|property|keyword argument|key|name|input)s?(?: supplied| in request)?:? "
        + _NAME,
        r"(?:parameter|argument|field|property|key|option)s? " + _NAME + r" (?:is|are) (?:not|un|no longer|deprecated)",
        r"additional properties (?:are )?not allowed:? \(?" + _NAME,
        r"does(?: not|n't) support (?:the )?(?:parameter |param |field |argument )" + _NAME,
        r"'loc': \[?\(?((?:'body', )?[\w', ]{1,200}?)\)?\]?, 'msg': 'extra",
    )
)

_TOKENS = r"max_?(?:completion_|output_|new_)?_?tokens|completion tokens|output tokens"
_MOST = re.compile(
    r"(?:at most|up to|<=|≤|less than or equal to|no more than|not exceed"
    r"|maximum (?:value|allowed|of|is)[^\d\[]{0,60}+"
    r"|(?:range|范围)[^\d\[]{0,40}+\[\d+, ?|between \d+ and|> ?|cannot be (?:greater|larger|more) than"
    r"|最大(?:值)?(?:为|是)?)"
    r"[^\d]{0,20}+(\d{2,8})"
)


class _Told(NamedTuple):
    """A refusal, and the request that it is about."""

    text: str
    wire: WireFormat
    body: Mapping[str, Any]
    param: str


Changes = Mapping[str, Any]


class _Row(NamedTuple):
    words: re.Pattern[str]
    change: Callable[[_Told], Optional[Changes]]
    kept: bool = True
    """It holds for the next request, too."""


def _is(**changes: Any) -> Callable[[_Told], Optional[Changes]]:
    return lambda _told: changes


def _limit(told: _Told) -> Optional[Changes]:
    asked = next((v for n, v in told.body.items() if n.startswith("max_") and type(v) is int), 0)
    found = [int(n) for n in _MOST.findall(told.text)]
    fit = [n for n in found if 16 <= n < asked]
    return {"max_output": max(fit)} if fit else None


def _field(told: _Told) -> Optional[Changes]:
    """The one that the request has is refused, so it is the other."""
    if told.wire == "responses":
        return {"without": ("max_output_tokens",)}
    if told.wire != "chat":
        return None
    return {"max_tokens_field": "max_completion_tokens" if "max_tokens" in told.body else "max_tokens"}


def _names(told: _Told) -> Optional[Changes]:
    """Return the change that leaves out the members that are named."""
    found = [told.param.lower(), *(m[1] for pattern in _BY_NAME for m in pattern.finditer(told.text))]
    paths = {".".join(steps(name)) for name in found if name}
    if told.wire == "anthropic" and any(path.split(".")[-1] in BETA_MEMBERS for path in paths):
        return {"betas": False}
    mentioned = {name for name in _OPTIONAL if name in told.body and re.search(rf"\b{name}\b", told.text)}
    if {"temperature", "top_p"} <= mentioned:  # "cannot both be specified", or both refused: one after the other
        mentioned.discard("temperature")
    paths |= mentioned
    gone = tuple(sorted(p for p in paths if p and p.split(".")[-1] not in _NEEDED))
    return {"without": gone} if gone else None


_SYSTEM = re.compile(
    r"system (?:message|prompt|role|instruction)s?\b.{0,60}(?:beginning|start|first|front|only|once|one\b"
    r"|not (?:support|allow))"
    r"|(?:unknown variant|unexpected role|invalid role|unsupported role|role) ?:?.{0,3}(?:system|developer)"
    r"|(?:role|messages?)\b.{0,120}\bsystem\b.{0,120}(?:expected|one of|must|allow|valid|permit|support)"
    r"|(?:role|messages?)\b.{0,80}(?:expected|one of|must be|input should be)[^.]{0,60}\buser\b.{0,40}"
    r"\bassistant\b"
    r"|roles? must alternate|only the first message.{0,40}system|multiple system|more than one system"
    r"|does(?: not|n't) support.{0,20}system\b|only .{0,12}user.{0,30}roles?\b|developer instructions? (?:is|are) not"
    r"|system.{0,20}消息.{0,20}(?:开头|首|第一)|不支持.{0,10}system|system.{0,10}不支持"
)

_TABLE = (
    _Row(
        re.compile(r"invalid_encrypted_content|encrypted content.{0,40}(?:verif|decrypt)|signature.{0,200}thinking"
                   r"|thinking.{0,200}signature", re.DOTALL),
        _is(signatures=False),
        kept=False,  # they are another upstream's, of this conversation
    ),
    _Row(
        re.compile(r"(?:beta (?:flag|header|feature)|anthropic[-_]beta)"), _is(betas=False)
    ),
    _Row(
        re.compile(r"unknown variant .developer|(?:role|messages?)\b.{0,80}\bdeveloper\b|\bdeveloper\b.{0,60}\brole"),
        _is(developer=False),
    ),
    _Row(_SYSTEM, _is(system_between=False)),
    _Row(_SYSTEM, _is(system=False)),
    _Row(
        re.compile(words.IMAGE.pattern + r"|unknown variant .(?:input_)?image|at most 0 images?"
                   r"|invalid (?:value|content type|type).{0,20}(?:image_url|input_image)"
                   r"|(?:image_url|input_image)\b.{0,80}" + _REFUSED),
        _is(images=False),
    ),
    _Row(
        re.compile(rf"(?:{_TOKENS}).{{0,160}}(?:use|try|did you mean|instead|favou?r).{{0,30}}max_|"
                   rf"(?:unsupported|unrecogni[sz]ed|unknown|unexpected|extra)[^.]{{0,60}}max_(?:completion_"
                   rf"|output_)?tokens"
                   rf"|max_(?:completion_|output_)?tokens.{{0,40}}(?:not (?:support|permit|allow)"
                   rf"|unsupported|extra inputs)"),
        _field,
    ),
    _Row(re.compile(_TOKENS), _limit),
    _Row(re.compile(r"stream_options|include_usage"), _is(stream_usage=False)),
    _Row(
        re.compile(r"(?:must|missing|required|need|pass|provide|absent).{0,80}\breasoning_content"
                   r"|\breasoning_content\b.{0,80}(?:missing|required|must (?:be )?(?:pass|provid|includ|present|sent)"
                   r"|passed back|not (?:found|provided)|is needed|缺)", re.DOTALL),
        _is(reasoning_field="reasoning_content"),
    ),
    _Row(re.compile(rf"\breasoning(?:_content|_details)?\b.{{0,80}}{_REFUSED}|{_REFUSED}.{{0,80}}\breasoning(?:_content|_details)\b",
                    re.DOTALL), lambda told: {"reasoning_field": ""} if told.wire == "chat" else None),
    _Row(
        re.compile(r"(?:must|should|need|require|missing|without|specif).{0,40}[`'\"]?\btools?\b=?[`'\"]?"
                   r"(?: param| field| list| defin|\b.{0,30}(?:param|specified|defin|missing))"
                   r"|\btools\b.{0,40}(?:required|missing|must be (?:provided|present|defined|specified))", re.DOTALL),
        lambda told: None if told.body.get("tools") else {"history_tools": True},
    ),
    _Row(
        re.compile(r"schema|\banyof\b|\boneof\b|\$ref|\bproperties\b|parameters|function_declarations|\btools\W{1,2}\d"),
        lambda told: {"simple_schemas": True} if told.body.get("tools") else None,
    ),
    _Row(
        re.compile(r"response_format|json_schema|structured output"),
        _is(structured=False),
    ),
    _Row(re.compile(_REFUSED, re.DOTALL), _names),
    # It names nothing, and the usage is what the relay itself asks for.
    _Row(
        re.compile(
            r"\A[\W\d]*(?:(?:bad[_ ]request|invalid[_ ](?:request|parameters?|body|json|argument)(?:_error)?"
            r"|unprocessable(?: entity)?|validation error|param error|参数错误|error)[\W\d]*)+\Z"
        ),
        lambda told: {"stream_usage": False} if "stream_options" in told.body else None,
    ),
)  # fmt: skip


def changes(
    error: WireError, wire: WireFormat, body: Mapping[str, Any], *, lessens: bool
) -> Iterator[tuple[Changes, bool]]:
    """Yield what may make an upstream that refused *body* with *error* take it, the likeliest first.

    With each goes whether it holds for later requests.  *lessens*: a shorter answer may be asked for.  Claude Code
    2.1.197 and 2.1.332 give a first message up where they are told that prompt and answer together are too long
    (observed); other clients of Messages are told it.
    """
    if error.status not in STATUS:
        return
    if error.kind == "context":
        window = errors.window(error.message)
        if window is not None and lessens:
            yield {"max_output": window.limit - window.prompt}, False
        return
    text = f"{error.code} {error.message}".lower()
    told = _Told(text, wire, body, error.param)
    for row in _TABLE:
        if row.words.search(text):
            change = row.change(told)
            if change is not None:
                yield change, row.kept


def changed(dialect: Dialect, change: Changes) -> Dialect:
    """Return *dialect* with *change*; members that are left out add up."""
    if "without" in change:
        change = {**change, "without": tuple(sorted({*dialect.without, *change["without"]}))}
    return dialect._replace(**change, said=dialect.said | change.keys())
