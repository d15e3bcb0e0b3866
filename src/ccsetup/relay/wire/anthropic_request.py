"""A request in the format of Anthropic Messages to the neutral form.  Pure."""

from __future__ import annotations

import math
from typing import Any, Iterable, Iterator, Literal, Mapping, Optional, Union

from ccsetup.relay.wire import codec
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

_KNOWN = frozenset(
    {
        "model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "top_k",
        "stop_sequences", "stream", "thinking", "output_config", "output_format", "metadata", "cache_control",
    }
)  # fmt: skip
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


def read_request(body: Union[bytes, Mapping[str, Any]]) -> Conversation:
    """Read a request; BadRequest when it is not of the format, and for nothing else that is in it."""
    return _Request(codec.request(body)).conversation()


class _Request:
    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self.losses: Losses = []
        self.named: set[str] = set()
        """Deferred tools that a tool search has found, or that were called."""

    def lose(self, path: str, code: str) -> None:
        self.losses.append(Loss(path, code))

    def conversation(self) -> Conversation:
        body = self.body
        for name in body:
            if name not in _KNOWN and body[name] is not None:
                self.lose(name, _LOST.get(name, "unknown_member"))
        messages = tuple(self._messages())
        config = _object(body.get("output_config"), "output_config")
        effort = _text(config.get("effort"), "output_config.effort")
        if effort and effort not in _EFFORTS:
            self.lose("output_config.effort", "effort")
            effort = ""
        for name in config:
            if name not in ("effort", "format") and config[name] is not None:
                self.lose(f"output_config.{name}", "unknown_member")
        metadata = _object(body.get("metadata"), "metadata")
        choice, parallel = self._choice()
        return Conversation(
            model=_required(body.get("model"), "model"),
            system=tuple(self._system()),
            messages=messages,
            tools=tuple(self._tools()),
            tool_choice=choice,
            parallel=parallel,
            max_tokens=_integer(body.get("max_tokens"), "max_tokens", 1),
            temperature=_number(body.get("temperature"), "temperature"),
            top_p=_number(body.get("top_p"), "top_p"),
            top_k=_integer(body.get("top_k"), "top_k", 0),
            stop=tuple(
                _required(text, f"stop_sequences[{i}]", empty=True)
                for i, text in enumerate(_list(body.get("stop_sequences"), "stop_sequences"))
            ),
            stream=_flag(body.get("stream"), "stream"),
            thinking=self._thinking(),
            effort=effort,
            format=self._format(config.get("format"), body.get("output_format")),
            user=_text(metadata.get("user_id"), "metadata.user_id"),
            losses=tuple(self.losses),
        )

    def _system(self) -> Iterator[Text]:
        given = self.body.get("system")
        if isinstance(given, str):
            if given:
                yield Text(given)
            return
        for i, block in enumerate(_list(given, "system")):
            path = f"system[{i}]"
            block = _object(block, path)
            if block.get("type", "text") != "text":
                self.lose(path, "unknown_block")
                continue
            text = _required(block.get("text"), f"{path}.text", empty=True)
            if text.startswith(_ATTRIBUTION):
                self.lose(path, "attribution")
            elif text:
                yield Text(text, _cache(block))

    def _messages(self) -> Iterator[Message]:
        given = self.body.get("messages")
        if not isinstance(given, list):
            raise BadRequest("messages has to be a list.", "messages")
        for i, message in enumerate(given):
            path = f"messages[{i}]"
            message = _object(message, path)
            role = message.get("role")
            if role not in ("user", "assistant", "system", "developer"):
                raise BadRequest(f"{path}.role has to be user or assistant.", f"{path}.role")
            for name in message:
                if name not in ("role", "content") and message[name] is not None:
                    self.lose(f"{path}.{name}", "message_option")
            content = message.get("content")
            parts: Iterable[Part]
            if isinstance(content, str):
                parts = (Text(content),) if content else ()
            else:
                parts = self._parts(_list(content, f"{path}.content"), f"{path}.content", role)
            yield Message(role, tuple(parts))

    def _parts(self, blocks: list[Any], path: str, role: Role) -> Iterator[Part]:
        for i, block in enumerate(blocks):
            at = f"{path}[{i}]"
            block = _object(block, at)
            kind = block.get("type")
            if kind == "tool_use" and role == "assistant":
                yield self._call(block, at)
            elif kind == "tool_result" and role != "assistant":
                yield self._result(block, at)
            elif kind == "thinking" and role == "assistant":
                text = _text(block.get("thinking"), f"{at}.thinking")
                yield Reasoning(text, signature=_text(block.get("signature"), f"{at}.signature"))
            elif kind == "redacted_thinking" and role == "assistant":
                yield Reasoning("", encrypted=_text(block.get("data"), f"{at}.data"), redacted=True)
            elif kind in ("tool_use", "tool_result"):
                raise BadRequest(f"{at}: a message of role {role} holds no {kind}.", at)
            else:
                yield from self._shown(block, at)

    def _call(self, block: Mapping[str, Any], path: str) -> ToolCall:
        given = block.get("input")
        arguments = "{}" if given is None else dumped(given, f"{path}.input").decode()
        name = _required(block.get("name"), f"{path}.name")
        self.named.add(name)
        return ToolCall(_text(block.get("id"), f"{path}.id"), name, arguments)

    def _result(self, block: Mapping[str, Any], path: str) -> ToolResult:
        content = block.get("content")
        shown: Iterable[Union[Text, Image, File]]
        if isinstance(content, str):
            shown = (Text(content),) if content else ()
        else:
            at = f"{path}.content"
            shown = (
                part
                for i, b in enumerate(_list(content, at))
                for part in self._shown(_object(b, f"{at}[{i}]"), f"{at}[{i}]")
            )
        call_id = _required(block.get("tool_use_id"), f"{path}.tool_use_id", empty=True)
        return ToolResult(call_id, tuple(shown), _flag(block.get("is_error"), f"{path}.is_error"), cache=_cache(block))

    def _shown(self, block: Mapping[str, Any], path: str) -> Iterator[Union[Text, Image, File]]:
        """What stands in messages of all roles, and in results."""
        match block.get("type"):
            case "text":
                if block.get("citations"):
                    self.lose(f"{path}.citations", "citations")
                yield Text(_required(block.get("text"), f"{path}.text", empty=True), _cache(block))
            case "image":
                image = self._image(block, path)
                if image is not None:
                    yield image
            case "document":
                yield from self._document(block, path)
            case "search_result":
                head = "\n".join(_text(block.get(name), f"{path}.{name}") for name in ("title", "source"))
                at = f"{path}.content"
                texts = [
                    _text(_object(b, f"{at}[{i}]").get("text"), f"{at}[{i}].text")
                    for i, b in enumerate(_list(block.get("content"), at))
                ]
                yield Text("\n".join(t for t in (head.strip(), *texts) if t), _cache(block))
            case "tool_reference":
                name = _text(block.get("tool_name"), f"{path}.tool_name")
                self.named.add(name)
                yield Text(f"The tool {name} is available now.")
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

    def _image(self, block: Mapping[str, Any], path: str) -> Optional[Image]:
        source = _object(block.get("source"), f"{path}.source")
        match source.get("type"):
            case "base64":
                data = _required(source.get("data"), f"{path}.source.data")
                return Image(_text(source.get("media_type"), f"{path}.source.media_type") or "image/png", data)
            case "url":
                return Image("", url=_required(source.get("url"), f"{path}.source.url"))
            case "file":
                self.lose(path, "file_id")
                return None
        raise BadRequest(f"{path}.source.type has to be base64 or url.", f"{path}.source.type")

    def _document(self, block: Mapping[str, Any], path: str) -> Iterator[Union[Text, Image, File]]:
        source = _object(block.get("source"), f"{path}.source")
        name = _text(block.get("title"), f"{path}.title")
        about = _text(block.get("context"), f"{path}.context")
        if about:
            yield Text(about)
        if isinstance(block.get("citations"), dict) and block["citations"].get("enabled"):
            self.lose(f"{path}.citations", "citations")
        media = _text(source.get("media_type"), f"{path}.source.media_type")
        at = f"{path}.source"
        match source.get("type"):
            case "base64":
                yield File(media or "application/pdf", data=_required(source.get("data"), f"{at}.data"), name=name)
            case "text":
                text = _required(source.get("data"), f"{at}.data", empty=True)
                yield File(media or "text/plain", text=text, name=name)
            case "url":
                yield File(media or "application/pdf", url=_required(source.get("url"), f"{at}.url"), name=name)
            case "file":
                self.lose(path, "file_id")
            case "content":
                content = source.get("content")
                if name:
                    yield Text(name)
                if isinstance(content, str):
                    yield Text(content)
                    return
                for i, inner in enumerate(_list(content, f"{at}.content")):
                    inner = _object(inner, f"{at}.content[{i}]")
                    if inner.get("type") == "document":
                        raise BadRequest("A document holds no documents.", f"{at}.content[{i}]")
                    yield from self._shown(inner, f"{at}.content[{i}]")
            case _:
                raise BadRequest(f"{at}.type is unknown.", f"{at}.type")

    def _tools(self) -> Iterator[Tool]:
        given = [_object(t, f"tools[{i}]") for i, t in enumerate(_list(self.body.get("tools"), "tools"))]
        # A search that the provider runs would be lost with its results: then nothing may be hidden behind it.
        searched = any(str(t.get("type")).startswith("tool_search_tool") for t in given)
        for i, tool in enumerate(given):
            path = f"tools[{i}]"
            name = (
                _required(tool.get("name"), f"{path}.name") if "input_schema" in tool else _text(tool.get("name"), path)
            )
            kind = _text(tool.get("type"), f"{path}.type")
            if kind and kind != "custom":
                if kind.startswith(_CLIENT_TOOLS):
                    self.lose(path, "client_tool")
                else:
                    yield Tool(name or kind, kind="hosted", raw=tool, cache=_cache(tool))
                continue
            if not name:
                raise BadRequest(f"{path}.name is missing.", f"{path}.name")
            if _flag(tool.get("defer_loading"), f"{path}.defer_loading") and name not in self.named and not searched:
                self.lose(path, "deferred_tool")
                continue
            for option in tool:
                if option not in _TOOL_KNOWN and tool[option] is not None:
                    self.lose(f"{path}.{option}", "tool_option")
            strict = tool.get("strict")
            yield Tool(
                name,
                _text(tool.get("description"), f"{path}.description"),
                _object(tool.get("input_schema"), f"{path}.input_schema"),
                strict=strict if isinstance(strict, bool) else None,
                cache=_cache(tool),
            )

    def _choice(self) -> tuple[Optional[ToolChoice], Optional[bool]]:
        given = self.body.get("tool_choice")
        if given is None:
            return None, None
        given = _object(given, "tool_choice")
        modes: Mapping[Any, Literal["auto", "none", "required", "tool"]] = {
            "auto": "auto",
            "any": "required",
            "tool": "tool",
            "none": "none",
        }
        kind = given.get("type")
        mode = modes.get(kind) if isinstance(kind, str) else None
        if mode is None:
            raise BadRequest("tool_choice.type has to be auto, any, tool or none.", "tool_choice.type")
        name = _required(given.get("name"), "tool_choice.name") if mode == "tool" else ""
        single = given.get("disable_parallel_tool_use")
        return ToolChoice(mode, name), not single if isinstance(single, bool) else None

    def _thinking(self) -> Optional[Thinking]:
        given = self.body.get("thinking")
        if given is None:
            return None
        given = _object(given, "thinking")
        mode = given.get("type")
        if mode not in ("enabled", "adaptive", "disabled"):
            raise BadRequest("thinking.type has to be enabled, adaptive or disabled.", "thinking.type")
        budget = _integer(given.get("budget_tokens"), "thinking.budget_tokens", 0)
        return Thinking(mode, budget, _text(given.get("display"), "thinking.display"))

    def _format(self, config: Any, older: Any) -> Optional[Format]:
        path, given = ("output_config.format", config) if config is not None else ("output_format", older)
        given = _object(given, path)
        if not given:
            return None
        if given.get("type") != "json_schema":
            raise BadRequest(f"{path}.type has to be json_schema.", f"{path}.type")
        return Format("json_schema", schema=_object(given.get("schema"), f"{path}.schema"))


def _object(value: Any, path: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequest(f"{path} has to be an object.", path)
    return value


def _list(value: Any, path: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest(f"{path} has to be a list.", path)
    return value


def _text(value: Any, path: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRequest(f"{path} has to be a text.", path)
    return value


def _required(value: Any, path: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or not (value or empty):
        raise BadRequest(f"{path} has to be a text.", path)
    return value


def _flag(value: Any, path: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"{path} has to be true or false.", path)
    return bool(value)


def _integer(value: Any, path: str, least: int) -> Optional[int]:
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**31:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**31:
        raise BadRequest(f"{path} has to be a whole number from {least}.", path)
    return value


def _number(value: Any, path: str) -> Optional[float]:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e6 or math.isnan(value):
        raise BadRequest(f"{path} has to be a number.", path)
    return value


def _cache(block: Mapping[str, Any]) -> bool:
    return bool(block.get("cache_control"))


def dumped(value: Any, path: str) -> bytes:
    """Return *value* as JSON; BadRequest where it is nested too deeply for that."""
    try:
        return codec.dumps(value)
    except (TypeError, ValueError, RecursionError):
        raise BadRequest(f"{path or 'The request'} is nested too deeply.", path) from None
