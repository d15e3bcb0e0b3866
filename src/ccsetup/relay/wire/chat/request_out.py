"""Writes a Chat Completions request for OpenAI, and for those who speak it their own way: DeepSeek, Kimi, GLM, Qwen,
MiniMax, OpenRouter, Ollama, vLLM and others.  Pure.

What they take or refuse is known from their documentation and from error texts that their users published.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Iterable, Mapping, Optional, Sequence, Union

from ccsetup.relay.wire import codec, history, tools
from ccsetup.relay.wire.messages import (
    AnswerFormat,
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
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)

LOSSES: Mapping[str, str] = {
    **history.LOSSES,
    "cache_control": "Cache marks are dropped: chat providers cache by themselves.",
    "cache_key": "The cache key is only sent to OpenAI.",
    "custom_tool": "A custom tool becomes a function with one text; the provider does not hold it to its grammar.",
    "effort": "The provider has no such effort of thinking: the nearest one is sent, or none.",
    "file": "A file that is no text is replaced by a note.",
    "format_in_words": "The format of the answer is asked for in words.",
    "hosted_tool": "A tool that the provider itself would run is dropped, where it has none of that type.",
    "image": "An image is replaced by a note: the model takes none.",
    "max_tokens": "More tokens are asked for than the provider gives: its largest number is sent.",
    "reasoning": "The thinking of an earlier turn is not sent back: the provider takes none, or nothing else was said.",
    "reasoning_seal": "The signature or the encrypted text of an earlier turn's thinking is not sent back.",
    "service_tier": "The service tier is only sent to OpenAI.",
    "stop": "Only four stop sequences are sent.",
    "strict": "A tool's strict mode is only sent to OpenAI.",
    "thinking": "Thinking cannot be switched for this provider.",
    "thinking_budget": "The budget of thinking is not sent.",
    "thinking_forced_tool": "Thinking is switched off: the provider refuses it together with a forced tool.",
    "tool_choice": "The choice of a tool that is not offered is dropped.",
    "tool_error": "That a tool failed is said in the text of its result.",
    "tool_result_image": "An image in a tool's result moves into the user message after it.",
    "top_k": "Chat Completions has no top_k.",
    "user": "The user's id is only sent to OpenAI, up to 64 characters.",
    "verbosity": "The verbosity is only sent to OpenAI.",
}

JOINT = "\n\n"
"""Between texts that become one, for providers that take content only as one text."""

_MAX_STOPS = 4


def write_request(conversation: Conversation, dialect: Dialect, names: Names) -> tuple[bytes, Losses]:
    """Return the body of a request, and what it could not carry.  BadRequest when it is nested too deeply."""
    writing = _Writing(dialect, names)
    body: dict[str, Any] = {"model": conversation.model, "messages": writing.messages(conversation)}
    if conversation.tools:
        writing.tools(conversation, body)
    writing.limits(conversation, body)
    if conversation.stream:
        body["stream"] = True
        if dialect.stream_usage:
            body["stream_options"] = {"include_usage": True}
    writing.format(conversation, body)
    writing.thinking(conversation, body)
    writing.rest(conversation, body)
    return codec.written(body), writing.losses


class _Writing:
    __slots__ = ("_cache_lost", "dialect", "losses", "names")

    def __init__(self, dialect: Dialect, names: Names) -> None:
        self.dialect = dialect
        self.names = names
        self.losses: Losses = []
        self._cache_lost = False

    def lose(self, path: str, code: str) -> None:
        self.losses.append(Loss(path, code))

    def _unmark(self, path: str) -> None:
        """Note that a cache mark is dropped, once for the request: Claude Code sets several in each."""
        if not self._cache_lost:
            self._cache_lost = True
            self.lose(path, "cache_control")

    # messages

    def messages(self, conversation: Conversation) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        system = conversation.system
        if conversation.format is not None and not self.dialect.structured:
            system += (Text(_words(conversation.format)),)
            self.lose("response_format", "format_in_words")
        if system and (content := self._content(system, "system")):
            out.append({"role": "system", "content": self._shape(content)})
        given: Sequence[Message] = conversation.messages
        if not self.dialect.system_between:
            given, lost = history.folded(given)
            self.losses += lost
        given, lost = history.ordered(given)
        self.losses += lost
        if not self.dialect.system_between:
            given = history.merged(given)
        moved: list[dict[str, Any]] = []
        for index, message in enumerate(given):
            path = f"messages[{index}]"
            parts = message.parts
            only = parts[0] if len(parts) == 1 else None
            if type(only) is Text and not moved:
                text, cache = only
                if cache:
                    self._unmark(path)
                if text:
                    out.append({"role": self._role(message.role), "content": text})
            elif message.role == "user":
                moved += self._results(message, path, out)
                content = moved + self._content(parts, path)
                following = given[index + 1] if index + 1 < len(given) else None
                if moved and following is not None and following.role == "user" and len(content) == len(moved):
                    continue
                moved = []
                if content:
                    out.append({"role": "user", "content": self._shape(content)})
            elif message.role == "assistant":
                said = self._assistant(message, path)
                if said is not None:
                    out.append(said)
            else:
                content = self._content([part for part in parts if isinstance(part, Text)], path)
                if content:
                    out.append({"role": self._role(message.role), "content": self._shape(content)})
        return out

    def _role(self, role: Role) -> Role:
        return "system" if role == "developer" and not self.dialect.developer else role

    def _shape(self, content: list[dict[str, Any]]) -> Union[str, list[dict[str, Any]]]:
        """Return one text where that says it all: many providers refuse a list, or read only its first part."""
        if len(content) == 1 and content[0]["type"] == "text":
            return str(content[0]["text"])
        if self.dialect.official or any(part["type"] != "text" for part in content):
            return content
        return JOINT.join(part["text"] for part in content)

    def _content(self, parts: Iterable[Part], path: str) -> list[dict[str, Any]]:
        content: list[dict[str, Any]] = []
        for part in parts:
            if type(part) is Text:
                if part.cache:
                    self._unmark(path)
                if part.text:
                    content.append({"type": "text", "text": part.text})
            elif isinstance(part, Image):
                content.append(self._image(part, path))
            elif isinstance(part, File):
                content.append(self._file(part, path))
        return content

    def _image(self, image: Image, path: str) -> dict[str, Any]:
        if not self.dialect.images:
            self.lose(path, "image")
            return {"type": "text", "text": "[image: not sent, the model takes no images]"}
        inside = {"url": image.link}
        if image.detail:
            inside["detail"] = image.detail
        return {"type": "image_url", "image_url": inside}

    def _file(self, file: File, path: str) -> dict[str, Any]:
        if file.media_type.startswith("image/") and (file.data or file.url):
            return self._image(Image(file.media_type, file.data, file.url), path)
        text = file.text or _text_of(file)
        title = file.name or "file"
        if text:
            return {"type": "text", "text": f"[{title}]\n{text}" if file.name else text}
        if self.dialect.official and (file.data or file.id):
            inside = {"file_id": file.id}
            if file.data:
                data = f"data:{file.media_type or 'application/pdf'};base64,{file.data}"
                inside = {"filename": file.name or "document.pdf", "file_data": data}
            return {"type": "file", "file": inside}
        self.lose(path, "file")
        where = f", from {file.url}" if file.url else ""
        return {"type": "text", "text": f"[{title}: not sent, {file.media_type or 'a file'}{where}]"}

    def _results(self, message: Message, path: str, out: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Append the tool messages; return the images of the results, for the user message after them."""
        moved: list[dict[str, Any]] = []
        for result in message.parts:
            if type(result) is not ToolResult:
                continue
            if result.cache:
                self._unmark(path)
            content = self._content(result.content, path)
            if len(content) == 1 and content[0]["type"] == "text" and not result.is_error:
                out.append({"role": "tool", "tool_call_id": result.call_id, "content": content[0]["text"]})
                continue
            texts = [part for part in content if part["type"] == "text"]
            images = [part for part in content if part["type"] != "text"]
            if images:
                self.lose(path, "tool_result_image")
                texts.append({"type": "text", "text": f"[{len(images)} image(s): see the next user message]"})
                moved.append({"type": "text", "text": f"[from the result of the tool call {result.call_id}]"})
                moved += images
            if result.is_error:
                if texts != [{"type": "text", "text": history.NO_RESULT}]:
                    self.lose(path, "tool_error")
                texts.insert(0, {"type": "text", "text": "[the tool failed]"})
            if not texts and not self.dialect.official:
                texts = [{"type": "text", "text": "(no output)"}]  # an empty message is refused by some
            content_: Union[str, list[dict[str, Any]]] = self._shape(texts) if texts else ""
            out.append({"role": "tool", "tool_call_id": result.call_id, "content": content_})
        return moved

    def _assistant(self, message: Message, path: str) -> Optional[dict[str, Any]]:
        texts: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        thoughts: list[Reasoning] = []
        for part in message.parts:
            if type(part) is ToolCall:
                calls.append(self._call(part))
            elif type(part) is Reasoning:
                thoughts.append(part)
            elif type(part) is Text:
                if part.cache:
                    self._unmark(path)
                if part.text:
                    texts.append({"type": "text", "text": part.text})
            else:
                texts += (p for p in self._content((part,), path) if p["type"] == "text")
        if not texts and not calls:
            if thoughts:
                self.lose(path, "reasoning")
            return None
        said: dict[str, Any] = {"role": "assistant"}
        if texts:
            said["content"] = self._shape(texts)
        else:
            # OpenAI documents null; Ollama and LM Studio refuse it and take "".
            said["content"] = None if self.dialect.official else ""
        self._think(said, thoughts, bool(calls), path)
        if calls:
            said["tool_calls"] = calls
        return said

    def _think(self, said: dict[str, Any], thoughts: list[Reasoning], calls: bool, path: str) -> None:
        """Send the thinking back.  DeepSeek, Kimi and GLM refuse a turn with calls that has no member for it."""
        field = self.dialect.reasoning_field
        if not field:
            if thoughts:
                self.lose(path, "reasoning")
            return
        if field == "reasoning_details":
            details = [detail for thought in thoughts for detail in _details(thought)]
            if details:
                said[field] = details
            return
        if any(thought.signature or thought.encrypted for thought in thoughts):
            self.lose(path, "reasoning_seal")
        text = JOINT.join(thought.text for thought in thoughts if thought.text)
        if text or calls:
            said[field] = text

    def _call(self, call: ToolCall) -> dict[str, Any]:
        name = self.names.flat(call.name, call.namespace)
        if call.custom and self.dialect.official:
            return {"id": call.id, "type": "custom", "custom": {"name": name, "input": call.arguments}}
        return {
            "id": call.id,
            "type": "function",
            "function": {"name": name, "arguments": tools.object_arguments(call)},
        }

    # tools

    def tools(self, conversation: Conversation, body: dict[str, Any]) -> None:
        offered: list[dict[str, Any]] = []
        flat: set[str] = set()
        for index, tool in enumerate(conversation.tools):
            path = f"tools[{index}]"
            if tool.cache:
                self._unmark(path)
            if tool.kind == "hosted":
                if tool.raw.get("type") in self.dialect.hosted:
                    offered.append(dict(tool.raw))
                else:
                    self.lose(path, "hosted_tool")
                continue
            name = self.names.flat(tool.name, tool.namespace)
            if name not in flat:
                flat.add(name)
                offered.append(self._tool(tool, name, path))
        if not offered:
            return
        body["tools"] = offered
        if conversation.parallel is not None and (self.dialect.official or not conversation.parallel):
            body["parallel_tool_calls"] = conversation.parallel  # true is the default everywhere
        choice = conversation.tool_choice
        if choice is None:
            return
        if choice.mode != "tool":
            body["tool_choice"] = choice.mode
            return
        name = self.names.flat(choice.name, choice.namespace)
        if name not in flat:
            self.lose("tool_choice", "tool_choice")
            return
        kind = next(t["type"] for t in offered if t["type"] in ("function", "custom") and t[t["type"]]["name"] == name)
        body["tool_choice"] = {"type": kind, kind: {"name": name}}

    def _tool(self, tool: Tool, name: str, path: str) -> dict[str, Any]:
        inside: dict[str, Any] = {"name": name}
        if tool.description:
            inside["description"] = tool.description
        if tool.kind == "custom" and self.dialect.official:
            if tool.format.get("type") == "grammar":
                grammar = {key: value for key, value in tool.format.items() if key != "type"}
                inside["format"] = {"type": "grammar", "grammar": grammar}
            return {"type": "custom", "custom": inside}
        if tool.kind == "custom":
            self.lose(path, "custom_tool")
            inside["parameters"] = tools.custom_schema(tool)
        else:
            inside["parameters"] = _parameters(tool.schema)
        if tool.strict is not None:
            if self.dialect.official:
                inside["strict"] = tool.strict
            elif tool.strict:
                self.lose(path, "strict")
        return {"type": "function", "function": inside}

    # the rest

    def limits(self, conversation: Conversation, body: dict[str, Any]) -> None:
        if conversation.max_tokens:
            most = self.dialect.max_output
            if most is not None and conversation.max_tokens > most:
                self.lose("max_tokens", "max_tokens")
            wanted = conversation.max_tokens
            body[self.dialect.max_tokens_field] = wanted if most is None else min(wanted, most)
        if conversation.temperature is not None:
            body["temperature"] = conversation.temperature
        if conversation.top_p is not None:
            body["top_p"] = conversation.top_p
        if conversation.top_k is not None:
            self.lose("top_k", "top_k")
        if conversation.stop:
            stops = [stop for stop in conversation.stop if stop]
            if len(stops) > _MAX_STOPS:
                self.lose("stop", "stop")
            if stops:
                body["stop"] = stops[:_MAX_STOPS]

    def format(self, conversation: Conversation, body: dict[str, Any]) -> None:
        format = conversation.format
        if format is None or not self.dialect.structured:
            return
        if format.type == "json_object":
            body["response_format"] = {"type": "json_object"}
            return
        inside: dict[str, Any] = {"name": format.name or "answer", "schema": dict(format.schema)}
        if format.strict is not None:
            inside["strict"] = format.strict
        body["response_format"] = {"type": "json_schema", "json_schema": inside}

    def thinking(self, conversation: Conversation, body: dict[str, Any]) -> None:
        thinking, effort = conversation.thinking, conversation.effort
        on: Optional[bool] = None
        if thinking is not None:
            on = thinking.mode != "disabled"
        elif effort:
            on = effort != "none"
        switch = self.dialect.thinking_switch
        if switch in ("thinking", "enable_thinking"):
            # DeepSeek, Kimi and Qwen think by default, and answer 400 to a forced tool while they do.
            if body.get("tool_choice") not in (None, "auto", "none"):
                if on:
                    self.lose("thinking", "thinking_forced_tool")
                on = False
            if on is None:
                return
            budget = thinking.budget if thinking is not None and on else None
            if switch == "enable_thinking":
                body["enable_thinking"] = on
                if budget:
                    body["thinking_budget"] = budget
            else:
                body["thinking"] = {"type": "enabled" if on else "disabled"}
                if budget:
                    self.lose("thinking.budget_tokens", "thinking_budget")
            if effort not in ("", "none"):
                self.lose("reasoning_effort", "effort")
        elif switch == "reasoning_effort":
            chosen = effort or _effort_of(thinking, self.dialect)
            if chosen:
                sent = (_OPENAI_EFFORTS if self.dialect.official else _EFFORTS).get(chosen, chosen)
                if sent != effort:
                    self.lose("reasoning_effort", "effort")
                body["reasoning_effort"] = sent
        elif switch == "reasoning":
            if on is False:
                body["reasoning"] = {"effort": "none"}
            elif effort:
                body["reasoning"] = {"effort": _OPENAI_EFFORTS.get(effort, effort)}
            elif thinking is not None:
                body["reasoning"] = {"max_tokens": thinking.budget} if thinking.budget else {"enabled": True}
        elif on is not None:
            self.lose("thinking", "thinking")

    def rest(self, conversation: Conversation, body: dict[str, Any]) -> None:
        official = self.dialect.official
        if conversation.verbosity:
            self._official("verbosity", conversation.verbosity, "verbosity", body)
        if conversation.service_tier:
            self._official("service_tier", conversation.service_tier, "service_tier", body)
        if conversation.cache_key:
            self._official("prompt_cache_key", conversation.cache_key, "cache_key", body)
        if conversation.user:
            if official and len(conversation.user) <= 64:
                body["safety_identifier"] = conversation.user
            else:
                self.lose("user", "user")
        if conversation.logprobs is not None:
            self.lose("logprobs", "logprobs")

    def _official(self, name: str, value: str, code: str, body: dict[str, Any]) -> None:
        if self.dialect.official:
            body[name] = value
        else:
            self.lose(name, code)


_OPENAI_EFFORTS = {"max": "xhigh"}
_EFFORTS = {"minimal": "low", "xhigh": "high", "max": "high"}
"""What most providers with ``reasoning_effort`` have: low, medium and high."""


def _effort_of(thinking: Optional[Thinking], dialect: Dialect) -> str:
    if thinking is None:
        return ""
    if thinking.mode == "disabled":
        return "none" if dialect.official else "low"
    return thinking.effort


def _words(format: AnswerFormat) -> str:
    words = "Answer with one JSON object and nothing else: no code fence, no other text."
    if format.schema:
        schema = codec.written(format.schema, "response_format").decode()
        words += f" It has to match this JSON schema:\n{schema}"
    return words


def _parameters(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return *schema* as all providers take it: an object with properties, without the name of the dialect."""
    found = dict(schema)
    found.pop("$schema", None)
    found["type"] = "object"
    found.setdefault("properties", {})
    return found


def _details(thought: Reasoning) -> Iterable[dict[str, Any]]:
    if thought.text:
        detail: dict[str, Any] = {"type": "reasoning.text", "text": thought.text}
        if thought.signature:
            detail["signature"] = thought.signature
        yield detail
    if thought.encrypted:
        yield {"type": "reasoning.encrypted", "data": thought.encrypted}


def _text_of(file: File) -> str:
    media = file.media_type
    if not file.data or not (media.startswith("text/") or media.endswith(("/json", "+json", "/xml", "+xml", "/yaml"))):
        return ""
    try:
        return base64.b64decode(file.data, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
