"""Reads a Chat Completions request, in OpenAI's form and with what other providers' clients add.  Pure."""

from __future__ import annotations

from typing import Any, Iterable, Literal, Mapping, NamedTuple, Optional, Union

from ccsetup.relay.wire import codec, members
from ccsetup.relay.wire.messages import (
    AnswerFormat,
    BadRequest,
    Conversation,
    File,
    Image,
    Loss,
    Losses,
    Message,
    Part,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

LOSSES: Mapping[str, str] = {
    "unknown_member": "A member that only some providers know is dropped.",
    "choices": "Only one answer is asked for.",
    "logprobs": "Log probabilities are not told.",
    "audio": "Audio is replaced by a note.",
    "content_part": "A content part of an unknown type is dropped.",
}

_MAIN = frozenset({"model", "messages", "tools", "functions", "stream"})
_NO_TEXT = Text("")


def read_request(body: Union[bytes, Mapping[str, Any]]) -> Conversation:
    """Return the conversation of a Chat Completions request.  BadRequest when it is none."""
    request = codec.request(body)
    losses: Losses = []
    options: dict[str, Any] = {"include_usage": False}
    for name, value in request.items():
        if name not in _MAIN and value is not None:
            _option(name, request, options, losses)
    model = members.filled(request, "model")
    given = request.get("messages")
    if not isinstance(given, list) or not given:
        raise members.wrong("messages", "a list that is not empty")
    system, messages = _Messages(losses).read(given)
    return Conversation(
        model,
        system,
        messages,
        _tools(request) if "tools" in request or "functions" in request else (),
        stream=members.flag(request, "stream") or False,
        losses=tuple(losses),
        **options,
    )


def _option(name: str, request: Mapping[str, Any], options: dict[str, Any], losses: Losses) -> None:
    """Read a member that is not one of _MAIN into *options*: members of the Conversation."""
    value = request[name]
    match name:
        case "max_tokens" | "max_completion_tokens":
            newer = members.integer(request, "max_completion_tokens")
            options["max_tokens"] = newer or members.integer(request, "max_tokens")
        case "temperature" | "top_p":
            options[name] = members.number(request, name)
        case "top_k":
            options[name] = members.integer(request, name)
        case "stop":
            options[name] = _stops(value)
        case "tool_choice" | "function_call":
            options["tool_choice"] = _tool_choice(request)
        case "parallel_tool_calls":
            options["parallel"] = members.flag(request, name)
        case "stream_options":
            options["include_usage"] = isinstance(value, dict) and value.get("include_usage") is True
        case "thinking" | "enable_thinking" | "thinking_budget":
            options["thinking"] = _thinking(request)
        case "reasoning":
            options["thinking"], options["effort"] = _thinking(request), _effort(request)
        case "reasoning_effort":
            options["effort"] = _effort(request)
        case "response_format":
            options["format"] = _format(request)
        case "verbosity" | "service_tier":
            options[name] = members.text(request, name)
        case "user" | "safety_identifier":
            options["user"] = members.text(request, "safety_identifier") or members.text(request, "user")
        case "prompt_cache_key":
            options["cache_key"] = members.text(request, name)
        case "n":
            if members.integer(request, name) != 1:
                losses.append(Loss(name, "choices"))
        case "logprobs" | "top_logprobs":
            told = Loss("logprobs", "logprobs")
            if value and told not in losses:
                losses.append(told)
        case _:
            losses.append(Loss(name, "unknown_member"))


def _stops(value: Any) -> tuple[str, ...]:
    stops = value if isinstance(value, list) else [value]
    if not all(isinstance(stop, str) for stop in stops):
        raise members.wrong("stop", "a text or a list of texts")
    return tuple(stops)


class _Messages:
    """Reads the list of messages; *losses* gets what cannot be carried."""

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._functions = 0

    def read(self, given: list[Any]) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
        system: list[Text] = []
        messages: list[Message] = []
        results: list[ToolResult] = []
        for index, value in enumerate(given):
            param = f"messages[{index}]"
            message = members.entry(value, param)
            role = message.get("role")
            if role in ("tool", "function"):
                results.append(self._result(message, param))
                continue
            if results:
                messages.append(Message("user", tuple(results)))
                results = []
            if role == "assistant":
                messages.append(Message("assistant", self._said(message, param)))
            elif role == "user":
                messages.append(Message("user", self._content(message, param)))
            elif role in ("system", "developer"):
                texts = self._texts(message, param)
                if messages:
                    messages.append(Message(role, texts))
                else:
                    system += texts
            else:
                raise BadRequest(f"{param}.role is not known.", f"{param}.role")
        if results:
            messages.append(Message("user", tuple(results)))
        return tuple(system), tuple(messages)

    def _texts(self, message: Mapping[str, Any], param: str) -> tuple[Text, ...]:
        return tuple(p for p in self._content(message, param) if isinstance(p, Text))

    def _content(self, message: Mapping[str, Any], param: str) -> tuple[Union[Text, Image, File], ...]:
        content = message.get("content")
        if isinstance(content, str):
            return (Text(content),)
        parts: list[Union[Text, Image, File]] = []
        for index, value in enumerate(members.items(message, "content", param)):
            path = f"{param}.content[{index}]"
            if isinstance(value, str):
                parts.append(Text(value))
                continue
            part = members.entry(value, path)
            kind = part.get("type")
            if kind in ("text", "input_text", "output_text", "refusal"):
                text = members.text(part, "refusal" if kind == "refusal" else "text", path)
                parts.append(Text(text, cache=isinstance(part.get("cache_control"), dict)))
            elif kind == "image_url":
                parts.append(_image(part, path))
            elif kind == "file":
                parts.append(_file(members.mapping(part, "file", path), f"{path}.file"))
            elif kind == "input_audio":
                self._losses.append(Loss(path, "audio"))
                parts.append(Text("[audio: not sent]"))
            elif kind in ("thinking", "reasoning"):
                continue  # of an assistant: _said reads it
            else:
                self._losses.append(Loss(path, "content_part"))
        return tuple(parts)

    def _said(self, message: Mapping[str, Any], param: str) -> tuple[Part, ...]:
        parts: list[Part] = [*_replayed(message)]
        parts += (p for p in self._content(message, param) if p != _NO_TEXT)
        refusal = members.text(message, "refusal", param)
        if refusal:
            parts.append(Text(refusal))
        for index, value in enumerate(members.items(message, "tool_calls", param)):
            path = f"{param}.tool_calls[{index}]"
            parts.append(_call(members.entry(value, path), path))
        legacy = message.get("function_call")
        if legacy is not None:
            self._functions += 1
            call = {"id": f"call_function_{self._functions}", "function": legacy}
            parts.append(_call(call, f"{param}.function_call"))
        return tuple(parts)

    def _result(self, message: Mapping[str, Any], param: str) -> ToolResult:
        id = members.text(message, "tool_call_id", param)
        if not id and message.get("role") == "function":
            id = f"call_function_{self._functions}"
        return ToolResult(id, self._content(message, param))


def _replayed(message: Mapping[str, Any]) -> Iterable[Reasoning]:
    """Return the thinking that a client sends back with an assistant message."""
    signature, encrypted, texts = "", "", []
    details = message.get("reasoning_details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict):
            seal = Detail.read(detail)
            texts.append(seal.text)
            signature, encrypted = seal.signature or signature, seal.encrypted or encrypted
    text = next((v for v in (message.get("reasoning_content"), message.get("reasoning")) if isinstance(v, str)), "")
    text = text or "".join(texts) or "".join(thoughts(message.get("content")))
    if text or signature or encrypted:
        yield Reasoning(text, signature=signature, encrypted=encrypted, redacted=bool(encrypted) and not text)


def thoughts(content: Any) -> Iterable[str]:
    """Return the thinking inside a content list, as Mistral has it."""
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") in ("thinking", "reasoning"):
            inside = part.get("thinking", part.get("text"))
            for piece in inside if isinstance(inside, list) else (inside,):
                text = piece.get("text") if isinstance(piece, dict) else piece
                if isinstance(text, str):
                    yield text


class Detail(NamedTuple):
    """One item of ``reasoning_details`` (OpenRouter, MiniMax)."""

    text: str
    signature: str
    encrypted: str

    @classmethod
    def read(cls, detail: Mapping[str, Any]) -> Detail:
        texts = (detail.get("text"), detail.get("summary"))
        text = next((t for t in texts if isinstance(t, str)), "")
        signature, data = detail.get("signature"), detail.get("data")
        return cls(text, signature if isinstance(signature, str) else "", data if isinstance(data, str) else "")


def _image(part: Mapping[str, Any], path: str) -> Image:
    path += ".image_url"
    value = part.get("image_url")
    holder = {"url": value} if isinstance(value, str) else members.entry(value, path)
    url = members.filled(holder, "url", path)
    detail = members.text(holder, "detail", path)
    data = members.data_url(url)
    return Image("", url=url, detail=detail) if data is None else Image(data[0] or "image/png", data[1], detail=detail)


def _file(value: Mapping[str, Any], path: str) -> File:
    name = members.text(value, "filename", path)
    data = members.text(value, "file_data", path)
    id = members.text(value, "file_id", path)
    if data:
        found = members.data_url(data)
        if found is not None:
            return File(found[0] or "application/pdf", data=found[1], name=name)
        if data.startswith(("http://", "https://")):
            return File("application/pdf", url=data, name=name)
        return File("application/pdf", data=data, name=name)
    if not id:
        raise BadRequest(f"{path} has neither file_data nor file_id.", path)
    return File("", id=id, name=name)


def _call(value: Mapping[str, Any], path: str) -> ToolCall:
    custom = value.get("type") == "custom" or ("custom" in value and "function" not in value)
    member = "custom" if custom else "function"
    inside = members.mapping(value, member, path)
    name = members.filled(inside, "name", f"{path}.{member}")
    arguments = inside.get("input" if custom else "arguments")
    if arguments is None:
        arguments = ""
    elif not isinstance(arguments, str):
        arguments = codec.written(arguments, path).decode()
    return ToolCall(members.text(value, "id", path), name, arguments, custom=custom)


def _tools(request: Mapping[str, Any]) -> tuple[Tool, ...]:
    found: list[Tool] = []
    for member in ("tools", "functions"):
        for index, value in enumerate(members.items(request, member)):
            path = f"{member}[{index}]"
            tool = members.entry(value, path)
            found.append(_tool({"type": "function", "function": tool} if member == "functions" else tool, path))
    return tuple(found)


def _tool(tool: Mapping[str, Any], path: str) -> Tool:
    kind = tool.get("type") or "function"
    cache = isinstance(tool.get("cache_control"), dict)
    if kind not in ("function", "custom"):
        return Tool(members.text(tool, "name", path) or str(kind), kind="hosted", raw=tool, cache=cache)
    path = f"{path}.{kind}"
    inside = members.entry(tool.get(kind), path)
    name = members.filled(inside, "name", path)
    description = members.text(inside, "description", path)
    if kind == "custom":
        given = inside.get("format")
        format = given if isinstance(given, dict) else {}
        if isinstance(format.get("grammar"), dict):
            format = {"type": "grammar", **format["grammar"]}
        return Tool(name, description, kind="custom", format=format, cache=cache)
    strict = inside.get("strict")
    return Tool(
        name,
        description,
        members.mapping(inside, "parameters", path),
        strict=strict if isinstance(strict, bool) else None,
        cache=cache,
    )


_CHOICES: Mapping[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    "any": "required",  # Mistral
}


def _tool_choice(request: Mapping[str, Any]) -> Optional[ToolChoice]:
    given = request.get("tool_choice")
    if given is None and request.get("function_call") is not None:
        legacy = request["function_call"]
        given = legacy if isinstance(legacy, str) else {"type": "function", "function": legacy}
    if given is None:
        return None
    if isinstance(given, str):
        mode = _CHOICES.get(given)
        if mode is None:
            raise BadRequest("tool_choice is not known.", "tool_choice")
        return ToolChoice(mode)
    choice = members.entry(given, "tool_choice")
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools")
        return ToolChoice("required" if isinstance(allowed, dict) and allowed.get("mode") == "required" else "auto")
    inside = choice.get("function") or choice.get("custom")
    return ToolChoice(
        "tool", members.text(members.entry(inside, "tool_choice.function"), "name", "tool_choice.function")
    )


def _thinking(request: Mapping[str, Any]) -> Optional[Thinking]:
    budget = members.integer(request, "thinking_budget")
    thinking = request.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive", "disabled"):
        return Thinking(thinking["type"], members.integer(thinking, "budget_tokens", "thinking"))
    switch = request.get("enable_thinking")
    if isinstance(switch, bool):
        return Thinking("enabled" if switch else "disabled", budget)
    reasoning = request.get("reasoning")
    if isinstance(reasoning, dict):
        if reasoning.get("enabled") is False:
            return Thinking("disabled")
        if reasoning.get("max_tokens") is not None:
            return Thinking("enabled", members.integer(reasoning, "max_tokens", "reasoning"))
        if reasoning.get("enabled") is True:
            return Thinking("enabled")
    return None


def _effort(request: Mapping[str, Any]) -> str:
    effort = members.text(request, "reasoning_effort")
    reasoning = request.get("reasoning")
    return effort or (members.text(reasoning, "effort", "reasoning") if isinstance(reasoning, dict) else "")


def _format(request: Mapping[str, Any]) -> Optional[AnswerFormat]:
    given = members.mapping(request, "response_format")
    kind = given.get("type")
    if kind == "json_object":
        return AnswerFormat("json_object")
    if kind != "json_schema":
        return None
    path = "response_format.json_schema"
    inside = members.entry(given.get("json_schema"), path)
    strict = inside.get("strict")
    return AnswerFormat(
        "json_schema",
        members.text(inside, "name", path),
        members.mapping(inside, "schema", path),
        strict if isinstance(strict, bool) else None,
    )
