"""Requests of OpenAI Responses, read.  Imported through ``responses``."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Union

from ccsetup.relay.wire import codec, compaction, members, reasoning
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

_ECHOED = frozenset(
    {
        "background", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls",
        "prompt_cache_key", "reasoning", "safety_identifier", "service_tier", "store", "temperature", "text",
        "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
    }
)  # fmt: skip
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
_MAIN = frozenset({"model", "instructions", "input", "tools", "tool_choice", "stream"})

HOSTED_ITEMS = frozenset(
    {
        "code_interpreter_call", "computer_call", "computer_call_output", "file_search_call",
        "image_generation_call", "mcp_approval_request", "mcp_approval_response", "mcp_call", "mcp_list_tools",
        "program", "program_output", "web_search_call",
    }
)  # fmt: skip
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


def read_request(body: Union[bytes, Mapping[str, Any]]) -> Conversation:
    """Return the neutral form of a request; BadRequest when it is none."""
    request = codec.request(body)
    losses: Losses = []
    options: dict[str, Any] = {}
    echo: dict[str, Any] = {}
    for name, value in request.items():
        if name in _ECHOED:
            echo[name] = value
        if name not in _MAIN and value is not None:
            _option(name, request, options, losses)
    reader = _InputReader(losses)
    instructions = request.get("instructions")
    if isinstance(instructions, list):
        reader.read(instructions, "instructions")
    elif text := members.text(request, "instructions"):
        reader.system.append(Text(text))
    given = request.get("input")
    if isinstance(given, str):
        reader.add("user", (Text(given),))
    elif isinstance(given, list):
        reader.read(given, "input")
    else:
        raise members.wrong("input", "a text or a list of items")
    declared = _tools(members.items(request, "tools"), "tools", losses) if "tools" in request else []
    declared = _once(declared, reader.tools)
    if "tool_choice" in request:
        options["tool_choice"], declared = _tool_choice(request["tool_choice"], declared, losses)
    conversation = Conversation(
        members.required(request, "model"),
        tuple(reader.system),
        tuple(reader.messages()),
        tuple(declared),
        stream=members.flag(request, "stream") or False,
        echo=echo,
        losses=tuple(losses),
        **options,
    )
    return compaction.asking(conversation) if reader.compacts else conversation


def _option(name: str, request: Mapping[str, Any], options: dict[str, Any], losses: Losses) -> None:
    """Read a member that is not one of _MAIN into *options*: members of the Conversation."""
    match name:
        case "max_output_tokens":
            options["max_tokens"] = members.integer(request, name, least=1)
        case "temperature" | "top_p":
            options[name] = members.number(request, name)
        case "parallel_tool_calls":
            options["parallel"] = members.flag(request, name)
        case "reasoning":
            _reasoning(members.mapping(request, name), options, losses)
        case "text":
            _text_options(members.mapping(request, name), options, losses)
        case "service_tier":
            options[name] = members.text(request, name)
        case "safety_identifier" | "user":
            options["user"] = members.text(request, "safety_identifier") or members.text(request, "user")
        case "prompt_cache_key":
            options["cache_key"] = members.text(request, name)
        case "top_logprobs":
            options["logprobs"] = members.integer(request, name)
        case "metadata" | "stream_options":
            pass
        case _:
            _not_taken(name, request[name], losses)


def _not_taken(name: str, value: Any, losses: Losses) -> None:
    """Note a member that is not carried; BadRequest for what only a service that stores answers could do."""
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

    __slots__ = ("_done", "_losses", "_open", "_parts", "_role", "compacts", "system", "tools")

    def __init__(self, losses: Losses) -> None:
        self.compacts = False
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
        if self._open is not None:
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
            self._item(members.entry(item, where), where)

    def _lose(self, where: str, code: str) -> None:
        self._losses.append(Loss(where, code))

    def _item(self, item: Mapping[str, Any], where: str) -> None:
        kind = item.get("type")
        if kind is None and "role" in item:
            kind = "message"
        if kind == "message":
            self._message(item, where)
        elif kind is not None and not isinstance(kind, str):
            raise members.wrong(f"{where}.type", "a text")
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
            self.tools += _tools(members.items(item, "tools", where), f"{where}.tools", self._losses)
        elif kind == "item_reference" or (kind is None and "id" in item):
            raise BadRequest(
                f"Item with id '{str(item.get('id'))[:100]}' not found: the relay stores no items.", f"{where}.id"
            )
        elif kind == compaction.TRIGGER:
            self.compacts = True
        elif kind in HOSTED_ITEMS:
            self._lose(where, "hosted_item")
        elif kind in compaction.ITEMS:
            self._compacted(item, where)
        else:
            self._lose(where, "unknown_item")

    def _compacted(self, item: Mapping[str, Any], where: str) -> None:
        sealed = item.get("encrypted_content")
        packed = reasoning.unpack(sealed) if isinstance(sealed, str) else None
        if packed is None:
            self._lose(where, "compacted")
        else:
            self.add("user", (Text(compaction.told(packed.text)),))

    def _message(self, item: Mapping[str, Any], where: str) -> None:
        role = item.get("role")
        if role not in ("user", "assistant", "system", "developer"):
            raise members.wrong(f"{where}.role", "user, assistant, system or developer")
        if item.get("phase") is not None:
            self._lose(f"{where}.phase", "phase")
        self.add(role, self._content(item.get("content"), f"{where}.content"))

    def _content(self, content: Any, where: str) -> tuple[Union[Text, Image, File], ...]:
        if isinstance(content, str):
            return (Text(content),) if content else ()
        if not isinstance(content, list):
            raise members.wrong(where, "a text or a list")
        parts: list[Union[Text, Image, File]] = []
        for at, value in enumerate(content):
            place = f"{where}[{at}]"
            part = members.entry(value, place)
            kind = part.get("type")
            if kind in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
                text = members.required(part, "text", place)
                if part.get("annotations"):
                    self._lose(f"{place}.annotations", "annotations")
                if text:
                    parts.append(Text(text))
            elif kind == "refusal":
                parts.append(Text(members.required(part, "refusal", place)))
            elif kind in ("input_image", "computer_screenshot"):
                parts.append(_image(part, place))
            elif kind == "input_file":
                parts.append(_file(part, place))
            else:
                self._lose(place, "audio" if kind == "input_audio" else "unknown_content")
        return tuple(parts)

    def _reasoning(self, item: Mapping[str, Any], where: str) -> None:
        thought = _texts(members.items(item, "content", where))
        summary = _texts(members.items(item, "summary", where))
        encrypted = members.text(item, "encrypted_content", where)
        packed = reasoning.unpack(encrypted)
        text = (packed.text if packed is not None else "") or thought
        part = Reasoning(
            text or summary,
            summary=not text and bool(summary),
            encrypted=encrypted,
            redacted=not (text or summary) and bool(encrypted),
            id=members.text(item, "id", where),
        )
        if part.text or part.encrypted:
            self._group("assistant").append(part)

    def _call(self, item: Mapping[str, Any], where: str, *, custom: bool) -> None:
        member = "input" if custom else "arguments"
        given = item.get(member)
        if isinstance(given, dict):
            arguments = codec.written(given, f"{where}.{member}").decode()
        else:
            arguments = members.text(item, member, where)
        call_id, name = members.required(item, "call_id", where), members.filled(item, "name", where)
        call = ToolCall(call_id, name, arguments, custom, members.text(item, "namespace", where))
        self._group("assistant").append(call)

    def _result(self, item: Mapping[str, Any], where: str, *, custom: bool) -> None:
        output = item.get("output")
        failed = False
        if isinstance(output, dict):
            failed = output.get("success") is False
            output = output.get("content") or output.get("body") or ""
        content = () if output is None else self._content(output, f"{where}.output")
        call_id = members.required(item, "call_id", where)
        self._group("results").append(ToolResult(call_id, content, failed, custom))

    def _local_call(self, item: Mapping[str, Any], where: str, name: str, member: str) -> None:
        call_id = item.get("call_id") or item.get("id")
        if not isinstance(call_id, str):  # a search that the provider ran itself
            self._lose(where, "hosted_item")
            return
        given = item.get(member)
        if not isinstance(given, str):
            given = codec.written(given if isinstance(given, dict) else {}, where).decode()
        self._group("assistant").append(ToolCall(call_id, name, given))

    def _local_result(self, item: Mapping[str, Any], where: str) -> None:
        if item.get("type") == "tool_search_output":
            found = _tools(members.items(item, "tools", where), f"{where}.tools", self._losses)
            self.tools += found
            text = "Found: " + ", ".join(tool.name for tool in found) if found else "Nothing found."
        else:
            output = item.get("output")
            text = (
                "" if output is None else output if isinstance(output, str) else codec.written(output, where).decode()
            )
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
    data = members.data_url(url)
    return Image("", url=url, detail=detail) if data is None else Image(data[0] or "image/png", data[1], detail=detail)


def _file(part: Mapping[str, Any], where: str) -> File:
    name = part.get("filename")
    name = name if isinstance(name, str) else ""
    data, url, id = part.get("file_data"), part.get("file_url"), part.get("file_id")
    if isinstance(data, str) and data:
        media_type, inner = members.data_url(data) or ("", data)
        return File(media_type or "application/pdf", data=inner, name=name)
    if isinstance(url, str) and url:
        return File("", url=url, name=name)
    if isinstance(id, str) and id:
        return File("", id=id, name=name)
    raise BadRequest("A file needs file_data, file_url or file_id.", where)


def _texts(parts: list[Any]) -> str:
    return "\n\n".join(p["text"] for p in parts if isinstance(p, dict) and isinstance(p.get("text"), str) and p["text"])


def _tools(given: list[Any], where: str, losses: Losses) -> list[Tool]:
    out: list[Tool] = []
    for at, value in enumerate(given):
        place = f"{where}[{at}]"
        tool = members.entry(value, place)
        if not isinstance(tool.get("type"), str):
            raise BadRequest("A tool has to be an object with a type.", place)
        if tool["type"] != "namespace":
            out.append(_tool(tool, place, ""))
            continue
        group = members.filled(tool, "name", place)
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


def _once(declared: list[Tool], more: list[Tool]) -> list[Tool]:
    """Return *declared*, and of *more* what is not there already."""
    if not more:
        return declared
    known = {_key(tool) for tool in declared}
    return declared + [tool for tool in more if _key(tool) not in known]


def _key(tool: Tool) -> tuple[Any, ...]:
    return tuple(codec.written_or_nothing(value) if isinstance(value, dict) else value for value in tool)


def _tool(tool: Mapping[str, Any], where: str, namespace: str) -> Tool:
    kind = tool["type"]
    if kind not in ("function", "custom"):
        return Tool(kind, kind="hosted", raw=tool)
    if kind == "function" and "name" not in tool and isinstance(tool.get("function"), dict):
        tool = {**tool["function"], "type": kind}  # as Chat Completions has it
    name = members.filled(tool, "name", where)
    description = members.text(tool, "description", where)
    if kind == "custom":
        form = members.mapping(tool, "format", where)
        return Tool(name, description, kind="custom", namespace=namespace, format=form)
    strict = members.flag(tool, "strict", where)
    return Tool(name, description, members.mapping(tool, "parameters", where), namespace=namespace, strict=strict)


def _tool_choice(choice: Any, declared: list[Tool], losses: Losses) -> tuple[Optional[ToolChoice], list[Tool]]:
    if choice is None:
        return None, declared
    if choice in ("auto", "none", "required"):
        return ToolChoice(choice), declared
    if not isinstance(choice, dict):
        raise BadRequest("tool_choice has to be auto, none, required or an object.", "tool_choice")
    kind = choice.get("type")
    if kind in ("function", "custom"):
        namespace = members.text(choice, "namespace", "tool_choice")
        return ToolChoice("tool", members.filled(choice, "name", "tool_choice"), namespace), declared
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


def _reasoning(given: Mapping[str, Any], options: dict[str, Any], losses: Losses) -> None:
    losses += [
        Loss(f"reasoning.{name}", "reasoning_options")
        for name in given
        if name not in ("effort", "summary", "generate_summary") and given[name] is not None
    ]
    options["effort"] = members.text(given, "effort", "reasoning")
    summary = members.text(given, "summary", "reasoning") or members.text(given, "generate_summary", "reasoning")
    options["summary"] = "" if summary == "none" else summary


def _text_options(given: Mapping[str, Any], options: dict[str, Any], losses: Losses) -> None:
    options["verbosity"] = members.text(given, "verbosity", "text")
    form = members.mapping(given, "format", "text")
    kind = form.get("type")
    if kind == "json_object":
        options["format"] = AnswerFormat("json_object")
    elif kind == "json_schema":
        name, strict = members.text(form, "name", "text.format"), members.flag(form, "strict", "text.format")
        options["format"] = AnswerFormat("json_schema", name, members.mapping(form, "schema", "text.format"), strict)
    elif form and kind != "text":
        losses.append(Loss("text.format", "unknown_member"))
