"""Requests for an upstream that speaks OpenAI Responses, written.  Imported through ``responses``."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any, Mapping, NamedTuple, Optional, Union

from ccsetup.relay.wire import codec, history, reasoning, tools
from ccsetup.relay.wire.messages import (
    Conversation,
    Dialect,
    File,
    Image,
    Loss,
    Losses,
    Message,
    Names,
    Part,
    Reasoning,
    Role,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

LOSSES: Mapping[str, str] = {
    **history.LOSSES,
    "top_k": "Responses has no top_k.",
    "stop": "Responses has no stop sequences: the model may write on past them.",
    "sampling": "OpenAI's reasoning models take no temperature and no top_p.",
    "max_tokens": "The limit of the answer is changed to what the provider takes.",
    "logprobs": "Probabilities of tokens are not carried back.",
    "thinking_off": "Thinking cannot be switched off for every model: the lowest effort is asked for.",
    "thinking_budget": "A budget becomes an effort: up to 4096 tokens low, up to 16384 medium, else high.",
    "effort_max": "The effort max is asked for as xhigh.",
    "cache_control": "Cache marks are left out: the provider caches by itself.",
    "foreign_reasoning": "Thinking that OpenAI did not encrypt is not sent to OpenAI.",
    "reasoning_seal": "The signature of thinking is left out: another provider made it.",
    "redacted_reasoning": "Thinking whose text its provider keeps to itself is left out.",
    "hosted_tool": "The provider does not have this tool.",
    "tool_choice_gone": "The tool that had to be called is not offered.",
    "custom_tool": "A tool that takes free text becomes a function with one text as its argument.",
    "is_error": "That a tool failed is told by its text only.",
    "image": "A note stands where an image cannot be carried.",
    "user": "An end user's id of more than 64 characters is not sent.",
    "service_tier": "Only OpenAI has service tiers.",
    "structured": "The provider takes no JSON schema: the model is asked for it in words.",
}
"""Code to sentence: what the neutral form can say and a Responses request cannot."""

_NO_IMAGE = "[an image was here that this model cannot see]"
_LEAST_OUTPUT = 16
"""OpenAI answers 400 to a smaller ``max_output_tokens``; Claude Code asks for 1 to try a key out."""
_LONGEST_USER = 64
_OPENAI_ENCRYPTED = "gAAAA"
"""OpenAI's encrypted reasoning is a Fernet token, and these begin so."""


def write_request(conversation: Conversation, dialect: Dialect, names: Names) -> tuple[bytes, Losses]:
    """Return the body for an upstream of *dialect*, and what it could not say.  ``store`` is always false."""
    losses: Losses = []
    return codec.written(_body(conversation, dialect, names, losses)), losses


def _body(conversation: Conversation, dialect: Dialect, names: Names, losses: Losses) -> dict[str, Any]:
    body: dict[str, Any] = {"model": conversation.model}
    instructions = [text.text for text in conversation.system if text.text]
    _cache_losses(conversation, losses)
    form = _write_format(conversation, dialect, instructions, losses)
    if instructions:
        body["instructions"] = "\n\n".join(instructions)
    body["input"] = _InputWriter(dialect, names, losses).items(conversation)
    offered = _write_tools(conversation, dialect, names, losses)
    if offered:
        body["tools"] = list(offered.values())
        choice = _write_choice(conversation.tool_choice, offered, losses)
        if choice is not None:
            body["tool_choice"] = choice
        if conversation.parallel is not None:
            body["parallel_tool_calls"] = conversation.parallel
    elif conversation.tool_choice is not None and conversation.tool_choice.mode in ("tool", "required"):
        losses.append(Loss("tool_choice", "tool_choice_gone"))
    thought = _write_reasoning(conversation, losses)
    if thought:
        body["reasoning"] = thought
        if dialect.official:
            body["include"] = ["reasoning.encrypted_content"]
    if form or conversation.verbosity:
        body["text"] = {
            **({"format": form} if form else {}),
            **({"verbosity": conversation.verbosity} if conversation.verbosity else {}),
        }
    body.update(_write_limits(conversation, dialect, bool(thought), losses))
    if conversation.cache_key:
        body["prompt_cache_key"] = conversation.cache_key
    if len(conversation.user) > _LONGEST_USER:
        losses.append(Loss("user", "user"))
    elif conversation.user:
        body["safety_identifier" if dialect.official else "user"] = conversation.user
    if conversation.service_tier and dialect.official:
        tier = conversation.service_tier
        body["service_tier"] = "default" if tier == "standard_only" else tier
    elif conversation.service_tier:
        losses.append(Loss("service_tier", "service_tier"))
    body["store"] = False
    body["stream"] = conversation.stream
    return body


def _cache_losses(conversation: Conversation, losses: Losses) -> None:
    for at, text in enumerate(conversation.system):
        if text.cache:
            losses.append(Loss(f"system[{at}]", "cache_control"))
    for at, tool in enumerate(conversation.tools):
        if tool.cache:
            losses.append(Loss(f"tools[{at}]", "cache_control"))
    for at, message in enumerate(conversation.messages):
        for nth, part in enumerate(message.parts):
            if isinstance(part, (Text, ToolResult)) and part.cache:
                losses.append(Loss(f"messages[{at}].content[{nth}]", "cache_control"))


def _write_format(
    conversation: Conversation, dialect: Dialect, instructions: list[str], losses: Losses
) -> Optional[dict[str, Any]]:
    form = conversation.format
    if form is None:
        return None
    if form.type == "json_object":
        return {"type": "json_object"}
    schema = form.schema or {"type": "object"}
    if not dialect.structured:
        losses.append(Loss("format", "structured"))
        instructions.append(
            f"Answer with JSON alone that matches this JSON schema: {codec.written(schema, 'format.schema').decode()}"
        )
        return {"type": "json_object"}
    out: dict[str, Any] = {"type": "json_schema", "name": form.name or "answer", "schema": schema}
    if form.strict is not None:
        out["strict"] = form.strict
    return out


def _write_tools(
    conversation: Conversation, dialect: Dialect, names: Names, losses: Losses
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the tools by namespace and name."""
    out: dict[tuple[str, str], dict[str, Any]] = {}
    for at, tool in enumerate(conversation.tools):
        key = (tool.namespace, tool.name)
        if tool.kind == "hosted":
            hosted = _hosted(tool, dialect)
            if hosted is None:
                losses.append(Loss(f"tools[{at}]", "hosted_tool"))
            else:
                out[key] = hosted
            continue
        one: dict[str, Any] = {"type": "function", "name": names.flat(tool.name, tool.namespace)}
        if tool.description:
            one["description"] = tool.description
        if tool.kind == "custom" and dialect.official:
            one["type"] = "custom"
            if tool.format:
                one["format"] = tool.format
        elif tool.kind == "custom":
            losses.append(Loss(f"tools[{at}]", "custom_tool"))
            one.update(parameters=tools.custom_schema(tool), strict=False)
        else:
            # Without strict OpenAI makes every member required where it can; the other formats never do.
            one.update(parameters=tool.schema or {"type": "object", "properties": {}}, strict=bool(tool.strict))
        out[key] = one
    return out


def _hosted(tool: Tool, dialect: Dialect) -> Optional[dict[str, Any]]:
    """Return a hosted tool as Responses names it, None when the provider does not have it."""
    kind = tool.raw.get("type")
    if not isinstance(kind, str):
        return None
    if kind in dialect.hosted:
        return dict(tool.raw)
    if kind.startswith("web_search_20") and "web_search" in dialect.hosted:  # Anthropic's, with the date of its version
        return {"type": "web_search"}
    return None


def _write_choice(
    choice: Optional[ToolChoice], offered: Mapping[tuple[str, str], Mapping[str, Any]], losses: Losses
) -> Any:
    if choice is None:
        return None
    if choice.mode != "tool":
        return choice.mode
    tool = offered.get((choice.namespace, choice.name))
    if tool is None:
        losses.append(Loss("tool_choice", "tool_choice_gone"))
        return None
    return {"type": tool["type"], **({"name": tool["name"]} if "name" in tool else {})}


def _write_reasoning(conversation: Conversation, losses: Losses) -> dict[str, Any]:
    effort, thinking = conversation.effort, conversation.thinking
    out: dict[str, Any] = {}
    if thinking is not None and thinking.mode == "disabled":
        if effort not in ("none", "minimal"):
            effort = "low"
            losses.append(Loss("thinking", "thinking_off"))
    elif thinking is not None and thinking.mode == "enabled" and not effort:
        if thinking.budget is not None:
            losses.append(Loss("thinking.budget_tokens", "thinking_budget"))
        effort = thinking.effort or "medium"
    if effort == "max":
        effort = "xhigh"
        losses.append(Loss("effort", "effort_max"))
    if effort:
        out["effort"] = effort
    if conversation.summary:
        out["summary"] = conversation.summary
    elif thinking is not None and thinking.mode != "disabled" and thinking.display != "omitted":
        out["summary"] = "auto"
    return out


def _write_limits(conversation: Conversation, dialect: Dialect, thinks: bool, losses: Losses) -> dict[str, Any]:
    out: dict[str, Any] = {}
    asked = conversation.max_tokens
    if asked is not None:
        limit = max(asked if dialect.max_output is None else min(asked, dialect.max_output), _LEAST_OUTPUT)
        if limit != asked:
            losses.append(Loss("max_tokens", "max_tokens"))
        out["max_output_tokens"] = limit
    for name, value in (("temperature", conversation.temperature), ("top_p", conversation.top_p)):
        if value is None or (dialect.official and value == 1):  # 1 is the default, and refused all the same
            continue
        if dialect.official and thinks:
            losses.append(Loss(name, "sampling"))
        else:
            out[name] = value
    if conversation.top_k is not None:
        losses.append(Loss("top_k", "top_k"))
    if conversation.stop:
        losses.append(Loss("stop", "stop"))
    if conversation.logprobs is not None:
        losses.append(Loss("logprobs", "logprobs"))
    return out


class _Call(NamedTuple):
    id: str
    custom: bool


class _InputWriter:
    def __init__(self, dialect: Dialect, names: Names, losses: Losses) -> None:
        self._dialect = dialect
        self._names = names
        self._losses = losses
        self._items: list[dict[str, Any]] = []
        self._calls: list[_Call] = []
        """By their place in the conversation."""
        self._answered: dict[int, int] = {}
        """The place of a result to the place of its call."""

    def items(self, conversation: Conversation) -> list[dict[str, Any]]:
        messages = conversation.messages
        if not self._dialect.system_between:
            messages, lost = history.folded(messages)
            self._losses += lost
        self._match(messages)
        calls = results = 0
        answered = set(self._answered.values())
        for at, message in enumerate(messages):
            where = f"messages[{at}]"
            if message.role == "assistant":
                first = calls
                calls = self._assistant(message.parts, where, calls)
                for place in range(first, calls):
                    if place not in answered:
                        self._losses.append(Loss(where, "tool_call_unanswered"))
                        self._output(self._calls[place], history.NO_RESULT)
            else:
                results = self._said(message, where, results)
        return self._items

    def _match(self, messages: tuple[Message, ...]) -> None:
        """Give every call an id that is fit and its own, and every result the first call with its id that waits."""
        ids = tools.CallIds("history")
        waiting: dict[str, deque[int]] = {}
        results = 0
        for message in messages:
            for part in message.parts:
                if isinstance(part, ToolCall):
                    waiting.setdefault(part.id, deque()).append(len(self._calls))
                    custom = part.custom and self._dialect.official
                    self._calls.append(_Call(ids.fit(part.id), custom))
                elif isinstance(part, ToolResult):
                    places = waiting.get(part.call_id)
                    if places:
                        self._answered[results] = places.popleft()
                    results += 1

    def _assistant(self, parts: tuple[Part, ...], where: str, calls: int) -> int:
        """Write what an assistant did; return the number of calls so far."""
        last = max((at for at, part in enumerate(parts) if not isinstance(part, Reasoning)), default=-1)
        for at, part in enumerate(parts):
            if isinstance(part, Text):
                # As plain text: servers that check items with OpenAI's types want an id with a list of parts.
                if part.text:
                    self._items.append({"type": "message", "role": "assistant", "content": part.text})
            elif isinstance(part, (Image, File)):
                self._losses.append(Loss(f"{where}.content[{at}]", "image"))
            elif isinstance(part, Reasoning):
                # OpenAI refuses reasoning that nothing follows: "without its required following item".
                self._reasoning(part, f"{where}.content[{at}]", follows=at < last)
            elif isinstance(part, ToolCall):
                self._call(part, self._calls[calls])
                calls += 1
        return calls

    def _reasoning(self, part: Reasoning, where: str, *, follows: bool) -> None:
        encrypted = "" if reasoning.is_mark(part.encrypted) else part.encrypted
        if self._dialect.official and not (encrypted.startswith(_OPENAI_ENCRYPTED) and follows):
            self._losses.append(Loss(where, "foreign_reasoning"))
            return
        if not (part.text or encrypted):
            self._losses.append(Loss(where, "redacted_reasoning"))
            return
        if part.signature and not reasoning.is_mark(part.signature):
            self._losses.append(Loss(where, "reasoning_seal"))
        item: dict[str, Any] = {"type": "reasoning", "summary": []}
        if part.id:
            item["id"] = part.id
        elif not encrypted:  # servers that check the item with OpenAI's types want one
            item["id"] = "rs_" + hashlib.blake2b(part.text.encode("utf-8", "replace"), digest_size=16).hexdigest()
        if part.text and part.summary:
            item["summary"] = [{"type": "summary_text", "text": part.text}]
        elif part.text and not self._dialect.official:
            item["content"] = [{"type": "reasoning_text", "text": part.text}]
        if encrypted:
            item["encrypted_content"] = encrypted
        self._items.append(item)

    def _call(self, part: ToolCall, call: _Call) -> None:
        name = self._names.flat(part.name, part.namespace)
        if call.custom:
            item = {"type": "custom_tool_call", "call_id": call.id, "name": name, "input": part.arguments}
        else:
            arguments = tools.object_arguments(part)
            item = {"type": "function_call", "call_id": call.id, "name": name, "arguments": arguments}
        self._items.append(item)

    def _said(self, message: Message, where: str, results: int) -> int:
        """Write what the user or the system said; return the number of results so far."""
        content: list[dict[str, Any]] = []
        for at, part in enumerate(message.parts):
            place = f"{where}.content[{at}]"
            if not isinstance(part, ToolResult):
                content += self._content(part, place)
                continue
            answered = self._answered.get(results)
            results += 1
            if answered is None:
                self._losses.append(Loss(place, "tool_result_without_call"))
                kind = "error" if part.is_error else "result"
                name = part.call_id or "without an id"
                content.append({"type": "input_text", "text": f"[{kind} of an earlier tool call, {name}]"})
                for inner in part.content:
                    content += self._content(inner, place)
                continue
            self._say(message.role, content)
            content = []
            if part.is_error:
                self._losses.append(Loss(place, "is_error"))
            self._output(self._calls[answered], self._result(part, place))
        self._say(message.role, content)
        return results

    def _say(self, role: Role, content: list[dict[str, Any]]) -> None:
        if content:
            self._items.append({"type": "message", "role": role, "content": content})

    def _output(self, call: _Call, output: Union[str, list[dict[str, Any]]]) -> None:
        kind = "custom_tool_call_output" if call.custom else "function_call_output"
        self._items.append({"type": kind, "call_id": call.id, "output": output})

    def _result(self, part: ToolResult, where: str) -> Union[str, list[dict[str, Any]]]:
        """Return a text where there are only texts: many servers take no list."""
        content = [item for inner in part.content for item in self._content(inner, where)]
        if all(item["type"] == "input_text" for item in content):
            return "\n".join(item["text"] for item in content)
        return content

    def _content(self, part: Part, where: str) -> list[dict[str, Any]]:
        if isinstance(part, Text):
            return [{"type": "input_text", "text": part.text}] if part.text else []
        if isinstance(part, Image):
            if not self._dialect.images:
                self._losses.append(Loss(where, "image"))
                return [{"type": "input_text", "text": _NO_IMAGE}]
            return [{"type": "input_image", "image_url": part.link, "detail": part.detail or "auto"}]
        if isinstance(part, File):
            if part.text:
                return [{"type": "input_text", "text": f"{part.name}:\n{part.text}" if part.name else part.text}]
            if part.url:
                return [{"type": "input_file", "file_url": part.url}]
            if part.id:
                return [{"type": "input_file", "file_id": part.id}]
            data = f"data:{part.media_type};base64,{part.data}"
            return [{"type": "input_file", "filename": part.name or "file.pdf", "file_data": data}]
        return []
