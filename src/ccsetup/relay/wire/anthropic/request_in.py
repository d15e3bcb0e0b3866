"""A request in the format of Anthropic Messages to the neutral form.  Pure."""

from __future__ import annotations

from typing import Any, Literal, Mapping, Optional, Sequence, Union

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
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

LOSSES: Mapping[str, str] = {
    "attribution": "Claude Code's x-anthropic-billing-header block changes with every request and would break caches.",
    "citations": "Citations and the switch for them are known to Anthropic only; the text itself is kept.",
    "client_tool": "Tools that Anthropic defines (bash, text editor, computer, memory) have no schema of their own.",
    "container": "Containers, uploads and code execution run at Anthropic only.",
    "context_management": "Only Anthropic edits the context by itself; the history is passed on whole.",
    "deferred_tool": "A tool with defer_loading that no result has named is hidden from the model, as at Anthropic.",
    "file_id": "A file that was uploaded to one provider is not known to another.",
    "mcp_servers": "Only Anthropic connects to MCP servers on behalf of a request.",
    "message_option": "Options of a single message (output_config) have no counterpart; those of the request apply.",
    "priority": "Service tier, speed and place of inference are of the provider that was named.",
    "server_tool": "Calls that the provider itself ran in an earlier turn, and their results, belong to that provider.",
    "tool_option": "Further options of a tool are known to Anthropic only.",
    "unknown_block": "A content block of a type that the relay does not know.",
    "unknown_member": "A member that the relay does not know.",
    "effort": "An effort that the relay does not know.",
}

_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")

_ATTRIBUTION = "x-anthropic-billing-header:"

_MAIN = frozenset({"model", "messages", "system", "tools", "max_tokens", "stream", "output_config"})
_LOST = {
    "context_management": "context_management",
    "mcp_servers": "mcp_servers",
    "container": "container",
    "service_tier": "priority",
    "speed": "priority",
    "inference_geo": "priority",
}
_TOOL_KNOWN = frozenset(
    # eager_input_streaming asks for what the relay does anyway.
    {"name", "description", "input_schema", "type", "cache_control", "strict", "defer_loading", "eager_input_streaming"}
)
_CLIENT_TOOLS = ("bash_", "text_editor_", "computer_", "memory_", "browser_")


_MODES: Mapping[Any, Literal["auto", "none", "required", "tool"]] = {
    "auto": "auto",
    "any": "required",
    "tool": "tool",
    "none": "none",
}

_Shown = Union[Text, Image, File]


def read_request(body: Union[bytes, Mapping[str, Any]]) -> Conversation:
    """Read a request; BadRequest when it is not of the format, and for nothing else that is in it."""
    return _Request(codec.request(body)).conversation()


class _Request:
    __slots__ = ("body", "losses", "named")

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self.losses: Losses = []
        self.named: set[str] = set()
        """Deferred tools that a tool search has found, or that were called."""

    def lose(self, path: str, code: str) -> None:
        self.losses.append(Loss(path, code))

    def conversation(self) -> Conversation:
        body = self.body
        options: dict[str, Any] = {}
        for name, value in body.items():
            if name not in _MAIN and value is not None:
                self._option(name, value, options)
        model = members.filled(body, "model")
        messages = self._messages()
        if "output_config" in body:
            self._config(members.mapping(body, "output_config"), options)
        system = self._system(body["system"]) if "system" in body else ()
        tools = self._tools(members.items(body, "tools")) if "tools" in body else ()
        return Conversation(
            model,
            system,
            messages,
            tools,
            max_tokens=members.integer(body, "max_tokens", least=1),
            stream=members.flag(body, "stream") or False,
            losses=tuple(self.losses),
            **options,
        )

    def _option(self, name: str, value: Any, options: dict[str, Any]) -> None:
        """Read a member that is not one of _MAIN into *options*: members of the Conversation."""
        body = self.body
        match name:
            case "temperature" | "top_p":
                options[name] = members.number(body, name)
            case "top_k":
                options[name] = members.integer(body, name)
            case "stop_sequences":
                options["stop"] = tuple(members.items(body, name))
                if not all(isinstance(stop, str) for stop in options["stop"]):
                    raise members.wrong(name, "a list of texts")
            case "tool_choice":
                options["tool_choice"], options["parallel"] = self._choice(members.entry(value, name))
            case "thinking":
                options["thinking"] = self._thinking(members.entry(value, name))
            case "output_format":  # output_config has the newer one
                options["format"] = self._format(members.entry(value, name), name)
            case "metadata":
                options["user"] = members.text(members.entry(value, name), "user_id", name)
            case "cache_control":
                pass
            case _:
                self.lose(name, _LOST.get(name, "unknown_member"))

    def _config(self, config: Mapping[str, Any], options: dict[str, Any]) -> None:
        effort = members.text(config, "effort", "output_config")
        if effort in _EFFORTS:
            options["effort"] = effort
        elif effort:
            self.lose("output_config.effort", "effort")
        form = members.mapping(config, "format", "output_config")
        if form:
            options["format"] = self._format(form, "output_config.format")
        for name in config:
            if name not in ("effort", "format") and config[name] is not None:
                self.lose(f"output_config.{name}", "unknown_member")

    def _system(self, given: Any) -> tuple[Text, ...]:
        if isinstance(given, str):
            return (Text(given),) if given else ()
        texts: list[Text] = []
        for i, value in enumerate(members.items(self.body, "system")):
            path = f"system[{i}]"
            block = members.entry(value, path)
            if block.get("type", "text") != "text":
                self.lose(path, "unknown_block")
                continue
            text = members.required(block, "text", path)
            if text.startswith(_ATTRIBUTION):
                self.lose(path, "attribution")
            elif text:
                texts.append(Text(text, _cache(block)))
        return tuple(texts)

    def _messages(self) -> tuple[Message, ...]:
        given = self.body.get("messages")
        if not isinstance(given, list):
            raise members.wrong("messages", "a list")
        messages: list[Message] = []
        for i, value in enumerate(given):
            path = f"messages[{i}]"
            message = members.entry(value, path)
            role = message.get("role")
            if role not in ("user", "assistant", "system", "developer"):
                raise members.wrong(f"{path}.role", "user or assistant")
            content = message.get("content")
            if isinstance(content, str):
                parts: tuple[Part, ...] = (Text(content),) if content else ()
            else:
                parts = self._parts(members.items(message, "content", path), f"{path}.content", role)
            messages.append(Message(role, parts))
            if len(message) > 2 or content is None:
                for name in message:
                    if name not in ("role", "content") and message[name] is not None:
                        self.lose(f"{path}.{name}", "message_option")
        return tuple(messages)

    def _parts(self, blocks: list[Any], path: str, role: Role) -> tuple[Part, ...]:
        parts: list[Part] = []
        for i, value in enumerate(blocks):
            at = f"{path}[{i}]"
            block = members.entry(value, at)
            kind = block.get("type")
            if kind == "text":
                parts.append(self._text(block, at))
            elif kind == "tool_use" and role == "assistant":
                parts.append(self._call(block, at))
            elif kind == "tool_result" and role != "assistant":
                parts.append(self._result(block, at))
            elif kind == "thinking" and role == "assistant":
                text, signature = members.text(block, "thinking", at), members.text(block, "signature", at)
                parts.append(Reasoning(text, signature=signature))
            elif kind == "redacted_thinking" and role == "assistant":
                parts.append(Reasoning("", encrypted=members.text(block, "data", at), redacted=True))
            elif kind in ("tool_use", "tool_result"):
                raise BadRequest(f"{at}: a message of role {role} holds no {kind}.", at)
            else:
                parts += self._shown(block, at)
        return tuple(parts)

    def _text(self, block: Mapping[str, Any], path: str) -> Text:
        if block.get("citations"):
            self.lose(f"{path}.citations", "citations")
        return Text(members.required(block, "text", path), _cache(block))

    def _call(self, block: Mapping[str, Any], path: str) -> ToolCall:
        given = block.get("input")
        arguments = "{}" if given is None else codec.written(given, f"{path}.input").decode()
        name = members.filled(block, "name", path)
        self.named.add(name)
        return ToolCall(members.text(block, "id", path), name, arguments)

    def _result(self, block: Mapping[str, Any], path: str) -> ToolResult:
        content = block.get("content")
        shown: list[_Shown] = []
        if isinstance(content, str):
            if content:
                shown.append(Text(content))
        else:
            for i, value in enumerate(members.items(block, "content", path)):
                at = f"{path}.content[{i}]"
                shown += self._shown(members.entry(value, at), at)
        call_id = members.required(block, "tool_use_id", path)
        failed = members.flag(block, "is_error", path) or False
        return ToolResult(call_id, tuple(shown), failed, cache=_cache(block))

    def _shown(self, block: Mapping[str, Any], path: str) -> Sequence[_Shown]:
        """Read what stands in messages of all roles, and in results."""
        match block.get("type"):
            case "text":
                return (self._text(block, path),)
            case "image":
                return self._image(block, path)
            case "document":
                return self._document(block, path)
            case "search_result":
                head = f"{members.text(block, 'title', path)}\n{members.text(block, 'source', path)}"
                texts = [
                    members.text(members.entry(value, f"{path}.content[{i}]"), "text", f"{path}.content[{i}]")
                    for i, value in enumerate(members.items(block, "content", path))
                ]
                return (Text("\n".join(t for t in (head.strip(), *texts) if t), _cache(block)),)
            case "tool_reference":
                name = members.text(block, "tool_name", path)
                self.named.add(name)
                return (Text(f"The tool {name} is available now."),)
            case "server_tool_use" | "mcp_tool_use" | "mcp_tool_result":
                self.lose(path, "server_tool")
            case "container_upload":
                self.lose(path, "container")
            case str(kind) if kind.endswith("_tool_result"):
                self.lose(path, "server_tool")
            case str():
                self.lose(path, "unknown_block")
            case _:
                raise BadRequest(f"{path}.type is missing.", f"{path}.type")
        return ()

    def _image(self, block: Mapping[str, Any], path: str) -> Sequence[_Shown]:
        at = f"{path}.source"
        source = members.mapping(block, "source", path)
        match source.get("type"):
            case "base64":
                data = members.filled(source, "data", at)
                return (Image(members.text(source, "media_type", at) or "image/png", data),)
            case "url":
                return (Image("", url=members.filled(source, "url", at)),)
            case "file":
                self.lose(path, "file_id")
                return ()
        raise members.wrong(f"{at}.type", "base64 or url")

    def _document(self, block: Mapping[str, Any], path: str) -> Sequence[_Shown]:
        at = f"{path}.source"
        source = members.mapping(block, "source", path)
        name = members.text(block, "title", path)
        about = members.text(block, "context", path)
        out: list[_Shown] = [Text(about)] if about else []
        if isinstance(block.get("citations"), dict) and block["citations"].get("enabled"):
            self.lose(f"{path}.citations", "citations")
        media = members.text(source, "media_type", at)
        match source.get("type"):
            case "base64":
                out.append(File(media or "application/pdf", data=members.filled(source, "data", at), name=name))
            case "text":
                out.append(File(media or "text/plain", text=members.required(source, "data", at), name=name))
            case "url":
                out.append(File(media or "application/pdf", url=members.filled(source, "url", at), name=name))
            case "file":
                self.lose(path, "file_id")
            case "content":
                if name:
                    out.append(Text(name))
                content = source.get("content")
                if isinstance(content, str):
                    return (*out, Text(content))
                for i, value in enumerate(members.items(source, "content", at)):
                    inner = members.entry(value, f"{at}.content[{i}]")
                    if inner.get("type") == "document":
                        raise BadRequest("A document holds no documents.", f"{at}.content[{i}]")
                    out += self._shown(inner, f"{at}.content[{i}]")
            case _:
                raise BadRequest(f"{at}.type is unknown.", f"{at}.type")
        return out

    def _tools(self, given: list[Any]) -> tuple[Tool, ...]:
        tools: list[Tool] = []
        # A search that the provider runs would be lost with its results: then nothing may be hidden behind it.
        searched = any(isinstance(t, dict) and str(t.get("type")).startswith("tool_search_tool") for t in given)
        for i, value in enumerate(given):
            path = f"tools[{i}]"
            tool = members.entry(value, path)
            name = members.text(tool, "name", path)
            kind = members.text(tool, "type", path)
            if kind and kind != "custom":
                if kind.startswith(_CLIENT_TOOLS):
                    self.lose(path, "client_tool")
                else:
                    tools.append(Tool(name or kind, kind="hosted", raw=tool, cache=_cache(tool)))
                continue
            if not name:
                raise BadRequest(f"{path}.name is missing.", f"{path}.name")
            if members.flag(tool, "defer_loading", path) and name not in self.named and not searched:
                self.lose(path, "deferred_tool")
                continue
            if not tool.keys() <= _TOOL_KNOWN:
                for option in tool:
                    if option not in _TOOL_KNOWN and tool[option] is not None:
                        self.lose(f"{path}.{option}", "tool_option")
            strict = tool.get("strict")
            tools.append(
                Tool(
                    name,
                    members.text(tool, "description", path),
                    members.mapping(tool, "input_schema", path),
                    strict=strict if isinstance(strict, bool) else None,
                    cache=_cache(tool),
                )
            )
        return tuple(tools)

    def _choice(self, given: Mapping[str, Any]) -> tuple[ToolChoice, Optional[bool]]:
        kind = given.get("type")
        mode = _MODES.get(kind) if isinstance(kind, str) else None
        if mode is None:
            raise members.wrong("tool_choice.type", "auto, any, tool or none")
        name = members.filled(given, "name", "tool_choice") if mode == "tool" else ""
        single = given.get("disable_parallel_tool_use")
        return ToolChoice(mode, name), not single if isinstance(single, bool) else None

    def _thinking(self, given: Mapping[str, Any]) -> Thinking:
        mode = given.get("type")
        if mode not in ("enabled", "adaptive", "disabled"):
            raise members.wrong("thinking.type", "enabled, adaptive or disabled")
        budget = members.integer(given, "budget_tokens", "thinking")
        return Thinking(mode, budget, members.text(given, "display", "thinking"))

    def _format(self, given: Mapping[str, Any], path: str) -> Optional[AnswerFormat]:
        if not given:
            return None
        if given.get("type") != "json_schema":
            raise members.wrong(f"{path}.type", "json_schema")
        return AnswerFormat("json_schema", schema=members.mapping(given, "schema", path))


def _cache(block: Mapping[str, Any]) -> bool:
    return bool(block.get("cache_control"))
