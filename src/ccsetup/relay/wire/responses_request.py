"""Requests of OpenAI Responses, read.  Imported through ``responses``."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional, Union

from ccsetup.relay.wire import codec, reasoning
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
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

LOSSES: Mapping[str, str] = {
    "background": "The answer is made at once: it is not kept to be asked for later.",
    "store": "Nothing is stored: the answer cannot be fetched or continued by its id.",
    "truncation": "Input is never shortened; a conversation that is too long is an error.",
    "include": "Further output that was asked for with include is not made.",
    "prompt_cache": "How a prompt stays in the provider's cache cannot be chosen.",
    "max_tool_calls": "The number of calls of hosted tools is not limited.",
    "reasoning_options": "Only effort and summary of the reasoning can be chosen.",
    "telemetry": "What a client tells about itself stays at the relay.",
    "openai_only": "Only OpenAI's own service knows this member.",
    "unknown_member": "The relay does not know this member.",
    "namespace_description": "The description of a group of tools is left out; its tools keep theirs.",
    "phase": "Whether a text was commentary or the final answer is not said.",
    "annotations": "Citations in earlier answers are left out; the text stays.",
    "hosted_item": "An earlier call of a tool that the provider ran itself is left out.",
    "compacted": "What OpenAI compacted can be read by nobody else: that part of the conversation is lost.",
    "unknown_item": "The relay does not know this kind of input item.",
    "unknown_content": "The relay does not know this kind of content.",
    "audio": "Sound cannot be carried.",
    "unknown_tool": "A group of tools holds functions and custom tools; others are left out.",
    "tool_choice_hosted": "Only a tool that the client runs can be chosen.",
}
"""Code to sentence: what a Responses request can say and the neutral form cannot."""

_ECHOED = (
    "background",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
)
_LOST: Mapping[str, str] = {
    "access_programs": "openai_only",
    "client_metadata": "telemetry",
    "context_management": "openai_only",
    "image": "openai_only",
    "max_tool_calls": "max_tool_calls",
    "moderation": "openai_only",
    "multi_agent": "openai_only",
    "prompt_cache_options": "prompt_cache",
    "prompt_cache_retention": "prompt_cache",
}
_TAKEN = frozenset(
    {
        "input",
        "instructions",
        "max_output_tokens",
        "metadata",
        "model",
        "parallel_tool_calls",
        "prompt_cache_key",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
    }
)

HOSTED_ITEMS = frozenset(
    {
        "code_interpreter_call",
        "computer_call",
        "computer_call_output",
        "file_search_call",
        "image_generation_call",
        "mcp_approval_request",
        "mcp_approval_response",
        "mcp_call",
        "mcp_list_tools",
        "program",
        "program_output",
        "web_search_call",
    }
)
"""Items of tools that the provider runs itself."""

_LOCAL_CALLS: Mapping[str, tuple[str, str]] = {
    "local_shell_call": ("local_shell", "action"),
    "shell_call": ("shell", "action"),
    "apply_patch_call": ("apply_patch", "operation"),
    "tool_search_call": ("tool_search", "arguments"),
}
"""Calls with types of their own that the client runs: type to a function's name and the member of its arguments."""

_LOCAL_RESULTS = frozenset(
    {"local_shell_call_output", "shell_call_output", "apply_patch_call_output", "tool_search_output"}
)
_COMPACTED = frozenset({"compaction", "compaction_summary", "context_compaction"})


def read_request(body: Union[bytes, Mapping[str, Any]]) -> Conversation:
    """Return the neutral form of a request; BadRequest when it is none."""
    return _conversation(codec.request(body))


def _conversation(body: Mapping[str, Any]) -> Conversation:
    losses: Losses = []
    for name, value in body.items():
        if name not in _TAKEN:
            _not_taken(name, value, losses)
    reader = _InputReader(losses)
    instructions = body.get("instructions")
    if isinstance(instructions, list):
        reader.read(instructions, "instructions")
    elif instructions is not None:
        text = _string(instructions, "instructions")
        if text:
            reader.system.append(Text(text))
    given = body.get("input")
    if isinstance(given, str):
        reader.add("user", (Text(given),))
    elif isinstance(given, list):
        reader.read(given, "input")
    else:
        raise BadRequest("input has to be a text or a list of items.", "input")

    declared = _tools(body.get("tools"), "tools", losses)
    declared += [tool for tool in reader.tools if tool not in declared]
    choice, declared = _tool_choice(body.get("tool_choice"), declared, losses)
    effort, summary = _reasoning(body.get("reasoning"), losses)
    form, verbosity = _text_options(body.get("text"), losses)
    user = body.get("safety_identifier") if body.get("safety_identifier") is not None else body.get("user")
    return Conversation(
        model=_string(body.get("model"), "model"),
        system=tuple(reader.system),
        messages=tuple(reader.messages()),
        tools=tuple(declared),
        tool_choice=choice,
        parallel=_optional(body, "parallel_tool_calls", bool),
        max_tokens=_positive(body, "max_output_tokens"),
        temperature=_number(body, "temperature"),
        top_p=_number(body, "top_p"),
        stream=bool(_optional(body, "stream", bool)),
        effort=effort,
        summary=summary,
        verbosity=verbosity,
        format=form,
        service_tier=_optional(body, "service_tier", str) or "",
        user="" if user is None else _string(user, "user"),
        cache_key=_optional(body, "prompt_cache_key", str) or "",
        logprobs=_whole(body, "top_logprobs"),
        echo={name: body[name] for name in _ECHOED if name in body},
        losses=tuple(losses),
    )


def _not_taken(name: str, value: Any, losses: Losses) -> None:
    """Note a member that is not carried; BadRequest for what only a service that stores answers could do."""
    if value is None:
        return
    if name == "previous_response_id":
        raise BadRequest(
            f"Previous response with id '{str(value)[:100]}' not found: the relay stores no answers; "
            "send the whole conversation as input.",
            name,
            "previous_response_not_found",
        )
    if name in ("conversation", "prompt"):
        raise BadRequest(f"The relay stores nothing, so it cannot look up {name}.", name, f"{name}_not_found")
    if name == "include":
        for at, wanted in enumerate(value if isinstance(value, list) else ()):
            if wanted != "reasoning.encrypted_content":
                losses.append(Loss(f"include[{at}]", "include"))
    elif name in ("background", "store", "truncation"):
        if value not in (False, "disabled"):
            losses.append(Loss(name, name))
    else:
        losses.append(Loss(name, _LOST.get(name, "unknown_member")))


class _InputReader:
    """Groups input items: what an assistant did in one go is one message, and so are the results that follow."""

    def __init__(self, losses: Losses) -> None:
        self.system: list[Text] = []
        self.tools: list[Tool] = []
        self._losses = losses
        self._done: list[Message] = []
        self._role: Role = "user"
        self._parts: list[Part] = []
        self._open: Optional[str] = None
        """What is being grouped: "assistant", "results"."""

    def messages(self) -> list[Message]:
        self._close()
        return self._done

    def _close(self) -> None:
        if self._open is not None and self._parts:
            self._done.append(Message(self._role, tuple(self._parts)))
        self._open, self._parts = None, []

    def add(self, role: Role, parts: tuple[Part, ...]) -> None:
        """Add a message, or to the assistant's one that is open."""
        if role == "assistant":
            self._group("assistant").extend(parts)
            return
        self._close()
        if role in ("system", "developer") and not self._done and all(isinstance(p, Text) for p in parts):
            self.system.extend(p for p in parts if isinstance(p, Text))
        elif parts:
            self._done.append(Message(role, parts))

    def _group(self, kind: str) -> list[Part]:
        if self._open != kind:
            self._close()
            self._open = kind
            self._role = "assistant" if kind == "assistant" else "user"
        return self._parts

    def read(self, items: list[Any], path: str) -> None:
        for at, item in enumerate(items):
            where = f"{path}[{at}]"
            if not isinstance(item, dict):
                raise BadRequest("An input item has to be an object.", where)
            self._item(item, where)

    def _lose(self, where: str, code: str) -> None:
        self._losses.append(Loss(where, code))

    def _item(self, item: Mapping[str, Any], where: str) -> None:
        kind = item.get("type")
        if kind is None and "role" in item:
            kind = "message"
        if kind is not None and not isinstance(kind, str):
            raise BadRequest("The type of an item has to be a text.", f"{where}.type")
        if kind == "message":
            self._message(item, where)
        elif kind == "reasoning":
            self._reasoning(item, where)
        elif kind in ("function_call", "custom_tool_call"):
            self._call(item, where, custom=kind == "custom_tool_call")
        elif kind in ("function_call_output", "custom_tool_call_output"):
            self._result(item, where, custom=kind == "custom_tool_call_output")
        elif kind is not None and kind in _LOCAL_CALLS:
            self._local_call(item, where, *_LOCAL_CALLS[kind])
        elif kind in _LOCAL_RESULTS:
            self._local_result(item, where)
        elif kind == "additional_tools":
            self.tools += _tools(item.get("tools"), f"{where}.tools", self._losses)
        elif kind == "item_reference" or (kind is None and "id" in item):
            raise BadRequest(
                f"Item with id '{str(item.get('id'))[:100]}' not found: the relay stores no items.", f"{where}.id"
            )
        elif kind == "compaction_trigger":
            raise BadRequest("The relay cannot compact a conversation; ask the model for a summary.", where)
        elif kind in HOSTED_ITEMS:
            self._lose(where, "hosted_item")
        elif kind in _COMPACTED:
            self._lose(where, "compacted")
        else:
            self._lose(where, "unknown_item")

    def _message(self, item: Mapping[str, Any], where: str) -> None:
        role = item.get("role")
        if role not in ("user", "assistant", "system", "developer"):
            raise BadRequest("role has to be user, assistant, system or developer.", f"{where}.role")
        if item.get("phase") is not None:
            self._lose(f"{where}.phase", "phase")
        self.add(role, tuple(self._content(item.get("content"), f"{where}.content")))

    def _content(self, content: Any, where: str) -> Iterator[Union[Text, Image, File]]:
        if isinstance(content, str):
            if content:
                yield Text(content)
            return
        if not isinstance(content, list):
            raise BadRequest("content has to be a text or a list.", where)
        for at, part in enumerate(content):
            place = f"{where}[{at}]"
            if not isinstance(part, dict):
                raise BadRequest("A part of content has to be an object.", place)
            kind = part.get("type")
            if kind in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
                text = _string(part.get("text"), f"{place}.text")
                if part.get("annotations"):
                    self._lose(f"{place}.annotations", "annotations")
                if text:
                    yield Text(text)
            elif kind == "refusal":
                yield Text(_string(part.get("refusal"), f"{place}.refusal"))
            elif kind in ("input_image", "computer_screenshot"):
                yield _image(part, place)
            elif kind == "input_file":
                yield _file(part, place)
            else:
                self._lose(place, "audio" if kind == "input_audio" else "unknown_content")

    def _reasoning(self, item: Mapping[str, Any], where: str) -> None:
        thought = _texts(item.get("content"), f"{where}.content")
        summary = _texts(item.get("summary"), f"{where}.summary")
        encrypted = _optional(item, "encrypted_content", str, where) or ""
        packed = reasoning.unpack(encrypted)
        text = (packed.text if packed is not None else "") or thought
        part = Reasoning(
            text or summary,
            summary=not text and bool(summary),
            encrypted=encrypted,
            redacted=not (text or summary) and bool(encrypted),
            id=_optional(item, "id", str, where) or "",
        )
        if part.text or part.encrypted:
            self._group("assistant").append(part)

    def _call(self, item: Mapping[str, Any], where: str, *, custom: bool) -> None:
        member = "input" if custom else "arguments"
        arguments = item.get(member)
        if isinstance(arguments, dict):
            arguments = _json(arguments, f"{where}.{member}")
        call = ToolCall(
            _string(item.get("call_id"), f"{where}.call_id"),
            _name(item.get("name"), f"{where}.name"),
            "" if arguments is None else _string(arguments, f"{where}.{member}"),
            custom,
            _optional(item, "namespace", str, where) or "",
        )
        self._group("assistant").append(call)

    def _result(self, item: Mapping[str, Any], where: str, *, custom: bool) -> None:
        output = item.get("output")
        failed = False
        if isinstance(output, dict):
            failed = output.get("success") is False
            output = output.get("content") or output.get("body") or ""
        content = () if output is None else tuple(self._content(output, f"{where}.output"))
        call_id = _string(item.get("call_id"), f"{where}.call_id")
        self._group("results").append(ToolResult(call_id, content, failed, custom))

    def _local_call(self, item: Mapping[str, Any], where: str, name: str, member: str) -> None:
        call_id = item.get("call_id") or item.get("id")
        if not isinstance(call_id, str):  # a search that the provider ran itself
            self._lose(where, "hosted_item")
            return
        given = item.get(member)
        arguments = given if isinstance(given, str) else _json(given if isinstance(given, dict) else {}, where)
        self._group("assistant").append(ToolCall(call_id, name, arguments))

    def _local_result(self, item: Mapping[str, Any], where: str) -> None:
        if item.get("type") == "tool_search_output":
            found = _tools(item.get("tools"), f"{where}.tools", self._losses)
            self.tools += found
            text = "Found: " + ", ".join(tool.name for tool in found) if found else "Nothing found."
        else:
            output = item.get("output")
            text = output if isinstance(output, str) else "" if output is None else _json(output, where)
        call_id = item.get("call_id") or item.get("id")
        if not isinstance(call_id, str):
            self._lose(where, "hosted_item")
            return
        failed = item.get("status") == "failed"
        self._group("results").append(ToolResult(call_id, (Text(text),) if text else (), failed))


def _image(part: Mapping[str, Any], where: str) -> Image:
    url = part.get("image_url")
    if isinstance(url, dict):  # as Chat Completions has it
        url = url.get("url")
    detail = part.get("detail")
    detail = detail if isinstance(detail, str) and detail != "auto" else ""
    if not isinstance(url, str) or not url:
        raise BadRequest("An image needs image_url: the relay has no stored files.", f"{where}.image_url")
    media_type, data = _data_url(url)
    return Image(media_type, data, detail=detail) if data else Image("", url=url, detail=detail)


def _file(part: Mapping[str, Any], where: str) -> File:
    name = part.get("filename")
    name = name if isinstance(name, str) else ""
    data, url, id = part.get("file_data"), part.get("file_url"), part.get("file_id")
    if isinstance(data, str) and data:
        media_type, inner = _data_url(data)
        return File(media_type or "application/pdf", data=inner or data, name=name)
    if isinstance(url, str) and url:
        return File("", url=url, name=name)
    if isinstance(id, str) and id:
        return File("", id=id, name=name)
    raise BadRequest("A file needs file_data, file_url or file_id.", where)


def _data_url(url: str) -> tuple[str, str]:
    """Return media type and base64 of a data URL; two empty texts for anything else."""
    head, comma, _rest = url[:200].partition(",")
    if not comma or not head.lower().startswith("data:") or not head.lower().endswith(";base64"):
        return "", ""
    return head[5:].split(";")[0] or "application/octet-stream", url[len(head) + 1 :]


def _texts(value: Any, where: str) -> str:
    """Return the texts of a list of parts, joined."""
    if value is None:
        return ""
    if not isinstance(value, list):
        raise BadRequest("It has to be a list.", where)
    return "\n\n".join(p["text"] for p in value if isinstance(p, dict) and isinstance(p.get("text"), str) and p["text"])


def _tools(value: Any, where: str, losses: Losses) -> list[Tool]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadRequest("tools has to be a list.", where)
    out: list[Tool] = []
    for at, tool in enumerate(value):
        place = f"{where}[{at}]"
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise BadRequest("A tool has to be an object with a type.", place)
        if tool["type"] != "namespace":
            out.append(_tool(tool, place, ""))
            continue
        group = _name(tool.get("name"), f"{place}.name")
        if tool.get("description"):
            losses.append(Loss(f"{place}.description", "namespace_description"))
        inner = tool.get("tools")
        if not isinstance(inner, list):
            raise BadRequest("A namespace needs a list of tools.", f"{place}.tools")
        for nth, one in enumerate(inner):
            if isinstance(one, dict) and one.get("type") in ("function", "custom"):
                out.append(_tool(one, f"{place}.tools[{nth}]", group))
            else:
                losses.append(Loss(f"{place}.tools[{nth}]", "unknown_tool"))
    return out


def _tool(tool: Mapping[str, Any], where: str, namespace: str) -> Tool:
    kind = tool["type"]
    if kind not in ("function", "custom"):
        return Tool(kind, kind="hosted", raw=tool)
    if kind == "function" and "name" not in tool and isinstance(tool.get("function"), dict):
        tool = {**tool["function"], "type": kind}  # as Chat Completions has it
    name = _name(tool.get("name"), f"{where}.name")
    description = _optional(tool, "description", str, where) or ""
    if kind == "custom":
        return Tool(name, description, kind="custom", namespace=namespace, format=_mapping(tool, "format", where))
    strict = _optional(tool, "strict", bool, where)
    return Tool(name, description, _mapping(tool, "parameters", where), namespace=namespace, strict=strict)


def _tool_choice(choice: Any, declared: list[Tool], losses: Losses) -> tuple[Optional[ToolChoice], list[Tool]]:
    if choice is None:
        return None, declared
    if choice in ("auto", "none", "required"):
        return ToolChoice(choice), declared
    if not isinstance(choice, dict):
        raise BadRequest("tool_choice has to be auto, none, required or an object.", "tool_choice")
    kind = choice.get("type")
    if kind in ("function", "custom"):
        namespace = _optional(choice, "namespace", str, "tool_choice") or ""
        return ToolChoice("tool", _name(choice.get("name"), "tool_choice.name"), namespace), declared
    if kind == "allowed_tools" and isinstance(choice.get("tools"), list):
        allowed = {
            (one.get("namespace") or "", one.get("name") or one.get("type"))
            for one in choice["tools"]
            if isinstance(one, dict)
            and all(isinstance(one.get(k, ""), (str, type(None))) for k in ("namespace", "name"))
            and isinstance(one.get("type"), str)
        }
        kept = [tool for tool in declared if (tool.namespace, tool.name) in allowed]
        return ToolChoice("required" if choice.get("mode") == "required" else "auto"), kept
    losses.append(Loss("tool_choice", "tool_choice_hosted"))
    return None, declared


def _reasoning(value: Any, losses: Losses) -> tuple[str, str]:
    if value is None:
        return "", ""
    if not isinstance(value, dict):
        raise BadRequest("reasoning has to be an object.", "reasoning")
    losses += [
        Loss(f"reasoning.{name}", "reasoning_options")
        for name in value
        if name not in ("effort", "summary", "generate_summary") and value[name] is not None
    ]
    effort = _optional(value, "effort", str, "reasoning") or ""
    summary = _optional(value, "summary", str, "reasoning") or _optional(value, "generate_summary", str, "reasoning")
    return effort, summary if summary and summary != "none" else ""


def _text_options(value: Any, losses: Losses) -> tuple[Optional[Format], str]:
    if value is None:
        return None, ""
    if not isinstance(value, dict):
        raise BadRequest("text has to be an object.", "text")
    verbosity = _optional(value, "verbosity", str, "text") or ""
    form = value.get("format")
    if form is None:
        return None, verbosity
    if not isinstance(form, dict):
        raise BadRequest("text.format has to be an object.", "text.format")
    kind = form.get("type")
    if kind == "json_object":
        return Format("json_object"), verbosity
    if kind == "json_schema":
        strict = _optional(form, "strict", bool, "text.format")
        name = _optional(form, "name", str, "text.format") or ""
        return Format("json_schema", name, _mapping(form, "schema", "text.format"), strict), verbosity
    if kind != "text":
        losses.append(Loss("text.format", "unknown_member"))
    return None, verbosity


# Members of a given type.


def _json(value: Any, where: str) -> str:
    try:
        return codec.dumps(value).decode()
    except (TypeError, ValueError, RecursionError):  # nested deeper than orjson writes
        raise BadRequest(f"{where} is nested too deep.", where) from None


def _string(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"{where} has to be a text.", where)
    return value


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{where} has to be a name.", where)
    return value


def _optional(body: Mapping[str, Any], name: str, kind: type[Any], where: str = "") -> Any:
    value = body.get(name)
    if value is not None and not isinstance(value, kind):
        path = f"{where}.{name}" if where else name
        raise BadRequest(f"{path} has the wrong type.", path)
    return value


def _mapping(body: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value: Mapping[str, Any] = _optional(body, name, dict, where) or {}
    return value


def _number(body: Mapping[str, Any], name: str) -> Optional[float]:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadRequest(f"{name} has to be a number.", name)
    return value


def _whole(body: Mapping[str, Any], name: str) -> Optional[int]:
    value = _number(body, name)
    if value is None:
        return None
    if not abs(value) < 2**53 or value != int(value):
        raise BadRequest(f"{name} has to be a whole number.", name)
    return int(value)


def _positive(body: Mapping[str, Any], name: str) -> Optional[int]:
    value = _whole(body, name)
    if value is not None and value < 1:
        raise BadRequest(f"{name} has to be at least 1.", name)
    return value
