"""Reads a Chat Completions request, in OpenAI's form and with what other providers' clients add.  Pure."""

from __future__ import annotations

import re
from typing import Any, Iterable, Literal, Mapping, NamedTuple, Optional, Union

from ccsetup.relay.wire import codec
from ccsetup.relay.wire.codec import dumps
from ccsetup.relay.wire.messages import (
    BadRequest,
    Conversation,
    File,
    Format,
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

_MEMBERS = frozenset(
    """model messages tools functions tool_choice function_call parallel_tool_calls max_tokens max_completion_tokens
    temperature top_p top_k stop stream stream_options thinking enable_thinking thinking_budget reasoning
    reasoning_effort verbosity response_format service_tier user safety_identifier prompt_cache_key n logprobs
    top_logprobs""".split()  # noqa: SIM905 - one per line says no more
)


def read_request(body: Union[bytes, Mapping[str, Any]]) -> Conversation:
    """Return the conversation of a Chat Completions request.  BadRequest when it is none."""
    request = codec.request(body)
    losses: Losses = [Loss(name, "unknown_member") for name in request if name not in _MEMBERS]
    model = request.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("model has to be a text.", "model")
    given = request.get("messages")
    if not isinstance(given, list) or not given:
        raise BadRequest("messages has to be a list that is not empty.", "messages")
    system, messages = _Messages(losses).read(given)
    if _number(request, "n") not in (None, 1):
        losses.append(Loss("n", "choices"))
    if request.get("logprobs") or request.get("top_logprobs"):
        losses.append(Loss("logprobs", "logprobs"))
    options = request.get("stream_options")
    return Conversation(
        model,
        system,
        messages,
        tools=_tools(request),
        tool_choice=_tool_choice(request),
        parallel=_flag(request, "parallel_tool_calls"),
        max_tokens=_integer(request, "max_completion_tokens") or _integer(request, "max_tokens"),
        temperature=_number(request, "temperature"),
        top_p=_number(request, "top_p"),
        top_k=_integer(request, "top_k"),
        stop=_stops(request),
        stream=_flag(request, "stream") or False,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        thinking=_thinking(request),
        effort=_effort(request),
        verbosity=_text(request, "verbosity"),
        format=_format(request),
        service_tier=_text(request, "service_tier"),
        user=_text(request, "safety_identifier") or _text(request, "user"),
        cache_key=_text(request, "prompt_cache_key"),
        losses=tuple(losses),
    )


def _object(value: Any, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest(f"{param or 'The body'} has to be an object.", param)
    return value


def _list(value: Any, param: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadRequest(f"{param} has to be a list.", param)
    return value


def _text(holder: Mapping[str, Any], name: str, param: str = "") -> str:
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{param}{name} has to be a text.", f"{param}{name}")
    return value


def _number(holder: Mapping[str, Any], name: str) -> Optional[float]:
    value = holder.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadRequest(f"{name} has to be a number.", name)
    return value


def _integer(holder: Mapping[str, Any], name: str) -> Optional[int]:
    value = _number(holder, name)
    if value is not None and (value < 0 or value != value // 1 or value > 1 << 53):
        raise BadRequest(f"{name} has to be a whole number.", name)
    return None if value is None else int(value)


def _flag(holder: Mapping[str, Any], name: str) -> Optional[bool]:
    value = holder.get(name)
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"{name} has to be true or false.", name)
    return value


def _stops(request: Mapping[str, Any]) -> tuple[str, ...]:
    value = request.get("stop")
    if value is None:
        return ()
    stops = [value] if isinstance(value, str) else _list(value, "stop")
    if not all(isinstance(stop, str) for stop in stops):
        raise BadRequest("stop has to be a text or a list of texts.", "stop")
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
            message = _object(value, param)
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
                messages.append(Message("user", self._content(message.get("content"), f"{param}.content")))
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
        return tuple(p for p in self._content(message.get("content"), f"{param}.content") if isinstance(p, Text))

    def _content(self, content: Any, param: str) -> tuple[Union[Text, Image, File], ...]:
        if content is None:
            return ()
        if isinstance(content, str):
            return (Text(content),)
        parts: list[Union[Text, Image, File]] = []
        for index, value in enumerate(_list(content, param)):
            path = f"{param}[{index}]"
            if isinstance(value, str):
                parts.append(Text(value))
                continue
            part = _object(value, path)
            kind = part.get("type")
            if kind in ("text", "input_text", "output_text", "refusal"):
                text = _text(part, "refusal" if kind == "refusal" else "text", f"{path}.")
                parts.append(Text(text, cache=isinstance(part.get("cache_control"), dict)))
            elif kind == "image_url":
                parts.append(_image(part.get("image_url"), path))
            elif kind == "file":
                parts.append(_file(_object(part.get("file"), f"{path}.file"), path))
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
        parts += (p for p in self._content(message.get("content"), f"{param}.content") if p != Text(""))
        refusal = _text(message, "refusal", f"{param}.")
        if refusal:
            parts.append(Text(refusal))
        calls = message.get("tool_calls")
        for index, value in enumerate(_list(calls, f"{param}.tool_calls") if calls is not None else ()):
            path = f"{param}.tool_calls[{index}]"
            parts.append(_call(_object(value, path), path))
        legacy = message.get("function_call")
        if legacy is not None:
            self._functions += 1
            path = f"{param}.function_call"
            call = _call({"id": f"call_function_{self._functions}", "function": _object(legacy, path)}, path)
            parts.append(call)
        return tuple(parts)

    def _result(self, message: Mapping[str, Any], param: str) -> ToolResult:
        id = _text(message, "tool_call_id", f"{param}.")
        if not id and message.get("role") == "function":
            id = f"call_function_{self._functions}"
        return ToolResult(id, self._content(message.get("content"), f"{param}.content"))


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


_DATA_URI = re.compile(r"data:([\w.+/-]*)(?:;[\w=.\"-]+)*?;base64,", re.IGNORECASE | re.ASCII)


def _data_uri(url: str) -> Optional[tuple[str, str]]:
    """Return media type and base64 text of a data URI."""
    begin = _DATA_URI.match(url)
    return None if begin is None else (begin[1].lower(), url[begin.end() :])


def _image(value: Any, param: str) -> Image:
    holder: Mapping[str, Any] = {"url": value} if isinstance(value, str) else _object(value, f"{param}.image_url")
    url = _text(holder, "url", f"{param}.image_url.")
    if not url:
        raise BadRequest(f"{param}.image_url.url is missing.", f"{param}.image_url.url")
    detail = _text(holder, "detail", f"{param}.image_url.")
    data = _data_uri(url)
    return Image("", url=url, detail=detail) if data is None else Image(data[0] or "image/png", data[1], detail=detail)


def _file(value: Mapping[str, Any], param: str) -> File:
    name = _text(value, "filename", f"{param}.file.")
    data = _text(value, "file_data", f"{param}.file.")
    id = _text(value, "file_id", f"{param}.file.")
    if data:
        found = _data_uri(data)
        if found is not None:
            return File(found[0] or "application/pdf", data=found[1], name=name)
        if data.startswith(("http://", "https://")):
            return File("application/pdf", url=data, name=name)
        return File("application/pdf", data=data, name=name)
    if not id:
        raise BadRequest(f"{param}.file has neither file_data nor file_id.", f"{param}.file")
    return File("", id=id, name=name)


def _call(value: Mapping[str, Any], param: str) -> ToolCall:
    custom = value.get("type") == "custom" or ("custom" in value and "function" not in value)
    member = "custom" if custom else "function"
    inside = _object(value.get(member), f"{param}.{member}")
    name = _text(inside, "name", f"{param}.{member}.")
    if not name:
        raise BadRequest(f"{param}.{member}.name is missing.", f"{param}.{member}.name")
    arguments = inside.get("input" if custom else "arguments")
    if arguments is None:
        arguments = ""
    elif not isinstance(arguments, str):
        arguments = _json(arguments, param)
    return ToolCall(_text(value, "id", f"{param}."), name, arguments, custom=custom)


def _json(value: Any, param: str) -> str:
    return encoded(value, param).decode()


def encoded(value: Any, param: str = "") -> bytes:
    try:
        return dumps(value)
    except (TypeError, ValueError, RecursionError) as error:  # orjson: deeper than 254
        raise BadRequest("The request is nested too deeply.", param) from error


def _tools(request: Mapping[str, Any]) -> tuple[Tool, ...]:
    found: list[Tool] = []
    for member in ("tools", "functions"):
        given = request.get(member)
        for index, value in enumerate(_list(given, member) if given is not None else ()):
            param = f"{member}[{index}]"
            tool = _object(value, param)
            found.append(_tool({"type": "function", "function": tool} if member == "functions" else tool, param))
    return tuple(found)


def _tool(tool: Mapping[str, Any], param: str) -> Tool:
    kind = tool.get("type") or "function"
    cache = isinstance(tool.get("cache_control"), dict)
    if kind not in ("function", "custom"):
        return Tool(_text(tool, "name", f"{param}.") or str(kind), kind="hosted", raw=tool, cache=cache)
    inside = _object(tool.get(kind), f"{param}.{kind}")
    name = _text(inside, "name", f"{param}.{kind}.")
    if not name:
        raise BadRequest(f"{param}.{kind}.name is missing.", f"{param}.{kind}.name")
    description = _text(inside, "description", f"{param}.{kind}.")
    if kind == "custom":
        given = inside.get("format")
        format = given if isinstance(given, dict) else {}
        if isinstance(format.get("grammar"), dict):
            format = {"type": "grammar", **format["grammar"]}
        return Tool(name, description, kind="custom", format=format, cache=cache)
    schema = inside.get("parameters")
    strict = inside.get("strict")
    return Tool(
        name,
        description,
        {} if schema is None else _object(schema, f"{param}.function.parameters"),
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
    choice = _object(given, "tool_choice")
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools")
        return ToolChoice("required" if isinstance(allowed, dict) and allowed.get("mode") == "required" else "auto")
    inside = choice.get("function") or choice.get("custom")
    name = _text(_object(inside, "tool_choice.function"), "name", "tool_choice.function.")
    return ToolChoice("tool", name)


def _thinking(request: Mapping[str, Any]) -> Optional[Thinking]:
    budget = _integer(request, "thinking_budget")
    thinking = request.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") in ("enabled", "adaptive", "disabled"):
        return Thinking(thinking["type"], _integer(thinking, "budget_tokens"))
    switch = request.get("enable_thinking")
    if isinstance(switch, bool):
        return Thinking("enabled" if switch else "disabled", budget)
    reasoning = request.get("reasoning")
    if isinstance(reasoning, dict):
        if reasoning.get("enabled") is False:
            return Thinking("disabled")
        if reasoning.get("max_tokens") is not None:
            return Thinking("enabled", _integer(reasoning, "max_tokens"))
        if reasoning.get("enabled") is True:
            return Thinking("enabled")
    return None


def _effort(request: Mapping[str, Any]) -> str:
    effort = _text(request, "reasoning_effort")
    reasoning = request.get("reasoning")
    return effort or (_text(reasoning, "effort", "reasoning.") if isinstance(reasoning, dict) else "")


def _format(request: Mapping[str, Any]) -> Optional[Format]:
    given = request.get("response_format")
    if given is None:
        return None
    kind = _object(given, "response_format").get("type")
    if kind == "json_object":
        return Format("json_object")
    if kind != "json_schema":
        return None
    inside = _object(given.get("json_schema"), "response_format.json_schema")
    schema = inside.get("schema")
    strict = inside.get("strict")
    return Format(
        "json_schema",
        _text(inside, "name", "response_format.json_schema."),
        {} if schema is None else _object(schema, "response_format.json_schema.schema"),
        strict if isinstance(strict, bool) else None,
    )
