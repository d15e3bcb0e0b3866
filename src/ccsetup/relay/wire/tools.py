"""Names and ids of tools that every provider takes, and custom tools as functions with one text.  Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Iterable, Literal, Optional

from ccsetup.relay.wire import codec
from ccsetup.relay.wire.messages import Asked, Conversation, Tool, ToolCall

LONGEST = 64
"""Characters of a tool's name and of an id, as OpenAI and Anthropic take them."""
JOIN = "__"
FLAT_NAMESPACE = "functions"
"""Models know this one as the group of all plain functions: its tools are sent without it."""

_UNFIT = re.compile(r"[^a-zA-Z0-9_-]")
_GOOD_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=12).hexdigest()


class ToolNames:
    """The names of a request's tools toward the upstream and back (``messages.Names``).

    Names depend only on the tools and calls given, in their order, so that every turn of a conversation gets the same.
    *used* are calls of earlier turns: their tools may be offered no more, and still have names.
    """

    def __init__(self, tools: Iterable[Tool], used: Iterable[ToolCall] = ()) -> None:
        self._flat: dict[tuple[str, str], str] = {}
        self._tools: dict[str, Tool] = {}
        self._named: dict[str, Optional[Tool]] = {}
        """By the client's own name; None where several have it."""
        for tool in tools:
            if tool.kind != "hosted":
                self._add(tool)
        for call in used:
            if ("", call.name) not in self._flat or call.namespace:
                self._add(Tool(call.name, kind="custom" if call.custom else "function", namespace=call.namespace))

    @classmethod
    def of(cls, conversation: Conversation) -> ToolNames:
        """Return the names for *conversation*: its tools first, then those of the calls in its history."""
        return cls(conversation.tools, calls(conversation))

    def _add(self, tool: Tool) -> str:
        key = (_space(tool.namespace), tool.name)
        flat = self._flat.get(key)
        if flat is None:
            flat = _flatten(*key)
            if flat in self._tools:
                flat = _shortened(flat, _digest(*key)[:8])
            while flat in self._tools:
                flat = _shortened(flat, _digest(flat)[:8])
            self._flat[key] = flat
            known = self._tools[flat] = Tool(tool.name, kind=tool.kind, namespace=tool.namespace)
            self._named[tool.name] = None if tool.name in self._named else known
        return flat

    def flat(self, name: str, namespace: str = "") -> str:
        """Return the name for the upstream: at most 64 of ``[a-zA-Z0-9_-]``; ``namespace__name``."""
        return self._flat.get((_space(namespace), name)) or self._add(Tool(name, namespace=namespace))

    def back(self, flat: str) -> Tool:
        """Return name, kind and namespace of the client's tool; one that it did not name is a plain function.

        Models write some names otherwise than they were told: ``functions.NAME`` (Kimi), ``namespace.name``, or the
        name without its namespace; these are understood where only one tool can be meant.
        """
        tool = self._tools.get(flat)
        if tool is not None:
            return tool
        bare = flat.removeprefix(FLAT_NAMESPACE + ".").strip()
        for guess in (bare, _UNFIT.sub("_", bare), bare.replace(".", JOIN, 1)):
            if guess in self._tools:
                return self._tools[guess]
        return self._named.get(bare) or Tool(flat)


def _space(namespace: str) -> str:
    return "" if namespace == FLAT_NAMESPACE else namespace


def _flatten(namespace: str, name: str) -> str:
    whole = name if not namespace else namespace + name if namespace.endswith(JOIN) else namespace + JOIN + name
    flat = whole if whole.isascii() and whole.isidentifier() else _UNFIT.sub("_", whole) or "tool"
    return flat if len(flat) <= LONGEST else _shortened(flat, _digest(namespace, name)[:8])


def _shortened(flat: str, mark: str) -> str:
    return f"{flat[: LONGEST - len(mark) - 1]}_{mark}"


def calls(conversation: Conversation) -> list[ToolCall]:
    """Return the tool calls of the history, in order."""
    found: list[ToolCall] = []
    for role, parts in conversation.messages:
        if role == "assistant":
            for part in parts:
                if type(part) is ToolCall:
                    found.append(part)
    return found


def taken_ids(conversation: Conversation) -> frozenset[str]:
    """Return the ids of the calls in the history: what ``CallIds`` must not give again."""
    return frozenset([call.id for call in calls(conversation)])


def good_id(id: str) -> bool:
    """Return whether every client and provider takes *id*."""
    return _GOOD_ID.match(id) is not None


class CallIds:
    """Gives each tool call an id that is ``[a-zA-Z0-9_-]{1,64}`` and its own.

    A good id that is not *taken* stays.  Others are made of *seed* (the id of the request): Kimi counts
    ``functions.Bash:0`` from 0 in every turn, some providers send the same or no id for all calls of one.
    """

    __slots__ = ("_counts", "_seed", "_taken")

    def __init__(self, seed: str, taken: Iterable[str] = ()) -> None:
        self._seed = seed
        self._taken = set(taken)
        self._counts: dict[str, int] = {}
        """How often an id was replaced: what came of it then is taken, and not tried again."""

    @classmethod
    def of_answer(cls, asked: Asked) -> CallIds:
        """Return those for the answer to *asked*; its history has taken some."""
        return cls(asked.id, taken_ids(asked.conversation) if asked.taken is None else asked.taken)

    def fit(self, id: str) -> str:
        count = self._counts.get(id, 0)
        fit = id if count == 0 and good_id(id) else "call_" + _digest(self._seed, id, *([str(count)] if count else []))
        while fit in self._taken:
            count += 1
            fit = "call_" + _digest(self._seed, id, str(count))
        if fit != id:
            self._counts[id] = count
        self._taken.add(fit)
        return fit


_MARKS = re.compile(r'["\[\]{}]')
_STRING_END = re.compile(r'["\\]')
_SCALAR = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null")
_SPACE = " \t\r\n"


class Completeness:
    """Whether pieces of text form one complete JSON value.

    Looks at brackets and strings only, so that it costs little; a number is complete as it stands, and may go on.
    """

    __slots__ = ("_broken", "_done", "_escape", "_open", "_scalar", "_string")

    def __init__(self) -> None:
        self._open: list[str] = []
        self._string = self._escape = self._done = self._broken = False
        self._scalar = ""

    def feed(self, text: str) -> bool:
        """Take the next piece; return whether everything fed so far is one complete value."""
        at, end = 0, len(text)
        while at < end and not self._broken:
            if self._string:
                at = self._in_string(text, at)
            elif self._done:
                self._broken = bool(text[at:].strip(_SPACE))
                break
            elif self._open or text[at] in '"[{':
                mark = _MARKS.search(text, at)
                if mark is None:
                    break
                at = mark.end()
                self._take(mark.group())
            elif self._scalar or text[at] not in _SPACE:
                self._scalar += text[at:]
                self._broken = len(self._scalar) > 400  # no number, and whatever it is, not worth to be kept
                break
            else:
                at += 1
        return not self._broken and (self._done or (bool(self._scalar) and self._is_scalar()))

    def _is_scalar(self) -> bool:
        return _SCALAR.fullmatch(self._scalar.strip(_SPACE)) is not None

    def _in_string(self, text: str, at: int) -> int:
        if self._escape:
            self._escape = False
            return at + 1
        mark = _STRING_END.search(text, at)
        if mark is None:
            return len(text)
        if mark.group() == "\\":
            self._escape = True
        else:
            self._string = False
            self._done = not self._open
        return mark.end()

    def _take(self, mark: str) -> None:
        if mark == '"':
            self._string = True
        elif mark in "{[":
            self._open.append("}" if mark == "{" else "]")
        elif self._open.pop() == mark:
            self._done = not self._open
        else:
            self._broken = True


# Custom tools.

INPUT = "input"
"""The one parameter of the function that stands for a custom tool."""


def custom_schema(tool: Tool) -> dict[str, Any]:
    """Return the JSON schema of the function that stands for the custom *tool* at an upstream that has none."""
    text = "The raw input of the tool as one text, exactly as the tool takes it: not JSON inside, no code fence."
    definition = tool.format.get("definition")
    if isinstance(definition, str) and definition:
        text += f" It has to match this grammar:\n{definition}"
    return {
        "type": "object",
        "properties": {INPUT: {"type": "string", "description": text}},
        "required": [INPUT],
        "additionalProperties": False,
    }


def custom_arguments(raw: str) -> str:
    """Return the arguments of that function for a call with the input *raw*."""
    return codec.dumps({INPUT: raw}).decode()


def object_arguments(call: ToolCall) -> str:
    """Return the arguments of *call* as the JSON text of an object, whatever they are.

    Providers parse the calls of the history again and refuse the whole request for a broken one: no arguments become
    ``{}``, a custom tool's input and broken text become the value of a member.
    """
    if call.custom:
        return custom_arguments(call.arguments)
    text = call.arguments.strip()
    if not text:
        return "{}"
    try:
        value = codec.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return text
    if value is None:
        return "{}" if text == "null" else codec.dumps({"arguments": call.arguments}).decode()
    return codec.dumps({"arguments": value}).decode()


_PREFIX = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_MAY_BE_PREFIX = re.compile(r'\s*(?:\{\s*(?:"(?:i(?:n(?:p(?:u(?:t(?:"\s*(?::\s*)?)?)?)?)?)?)?)?)?\Z')
_JSON_BEGIN = re.compile(r'\s*(?:\{\s*["}]|")')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})")
_BLANK = re.compile(r"\s*")
_LONGEST_PREFIX = 4096


class CustomInput:
    """Turns the arguments of the function of ``custom_schema``, as they come in, into the custom tool's raw input.

    Models do not all keep to the schema: text that is no JSON is passed on as it is, a JSON string alone is decoded,
    an object without ``input`` gives its only text.  What cannot be told from its beginning comes from ``end()``.
    """

    __slots__ = ("_held", "_phase", "_rest")

    def __init__(self) -> None:
        self._phase: Literal["begin", "text", "raw", "whole", "done"] = "begin"
        self._held: list[str] = []
        self._rest = ""
        """Not yet decided: the beginning of an escape, or a quote that may be the last one."""

    def feed(self, text: str) -> str:
        """Take the next piece of the arguments; return the next piece of the input."""
        if self._phase == "text":
            return self._decode(text)
        if self._phase == "raw":
            return text
        if self._phase == "done":
            return ""
        self._held.append(text)
        if self._phase == "whole":
            return ""
        held = "".join(self._held)
        self._held = [held]
        begin = _PREFIX.match(held)
        if begin is not None:
            self._phase, self._held = "text", []
            return self._decode(held[begin.end() :])
        if len(held) <= _LONGEST_PREFIX and _MAY_BE_PREFIX.match(held):
            return ""
        if _JSON_BEGIN.match(held):
            self._phase = "whole"
            return ""
        self._phase, self._held = "raw", []
        return held

    def end(self) -> str:
        """Return the rest of the input: the arguments are complete."""
        held = "" if self._phase == "text" else "".join(self._held)
        self._held, self._phase = [], "done"
        return _input_of(held)

    def _decode(self, text: str) -> str:
        if self._rest[:1] == '"' and (not text or text.isspace()):
            self._held.append(text)  # behind a quote that may be the last one
            return ""
        text = "".join((self._rest, *self._held, text))
        self._rest, self._held = "", []
        out: list[str] = []
        at = 0
        while True:
            mark = _STRING_END.search(text, at)
            if mark is None:
                out.append(text[at:])
                break
            start = mark.start()
            out.append(text[at:start])
            if mark.group() == '"':
                blank = _BLANK.match(text, start + 1)
                after = blank.end() if blank is not None else start + 1
                if after == len(text):
                    self._rest = text[start:]
                    break
                if text[after] in ",}":
                    self._phase = "done"
                    break
                out.append('"')  # a model that forgot to escape it
                at = start + 1
                continue
            char, at = _escaped(text, start)
            if at < 0:
                self._rest = text[start:]
                break
            out.append(char)
        return "".join(out)


def _escaped(text: str, at: int) -> tuple[str, int]:
    """Return the character that the escape at *at* means and where it ends; -1 when it is not complete."""
    if at + 1 >= len(text):
        return "", -1
    kind = text[at + 1]
    if kind != "u":
        return _ESCAPES.get(kind, "\\" + kind), at + 2
    first = _UNICODE.match(text, at)
    if first is None:
        return ("", -1) if len(text) < at + 6 else ("\\u", at + 2)
    code = int(first.group(1), 16)
    if 0xD800 <= code < 0xDC00:
        if len(text) < at + 12 and "\\u".startswith(text[at + 6 : at + 8]):
            return "", -1
        second = _UNICODE.match(text, at + 6)
        low = int(second.group(1), 16) if second else 0
        if 0xDC00 <= low < 0xE000:
            return chr(0x10000 + ((code - 0xD800) << 10) + low - 0xDC00), at + 12
    return ("\ufffd" if 0xD800 <= code < 0xE000 else chr(code)), at + 6


def _input_of(text: str) -> str:
    try:
        value = codec.loads(text)
        if isinstance(value, str) and value.lstrip().startswith("{"):  # arguments that were encoded twice
            value = _object_or(value)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        return text
    if INPUT in value:
        return value[INPUT] if isinstance(value[INPUT], str) else codec.dumps(value[INPUT]).decode()
    texts = [v for v in value.values() if isinstance(v, str)]
    return texts[0] if len(texts) == 1 else "" if not value else text


def _object_or(text: str) -> Any:
    try:
        value = codec.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) and INPUT in value else text
