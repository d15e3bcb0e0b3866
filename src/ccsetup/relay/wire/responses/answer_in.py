"""Answers of upstreams that speak OpenAI Responses, as neutral events.  Imported through ``responses``."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ccsetup.relay.wire import codec, errors, usage
from ccsetup.relay.wire.messages import (
    BlockEnd,
    Delta,
    Event,
    Failed,
    Ping,
    ReasoningStart,
    RefusalStart,
    Started,
    Stop,
    StopReason,
    TextStart,
    ToolStart,
    WireError,
)

_CALLS = ("function_call", "custom_tool_call")
_ALIVE = ("keepalive", "ping", "response.ping", "response.heartbeat")
_ALIVE_BEGINS = (
    "response.code_interpreter_call",
    "response.file_search_call",
    "response.image_generation_call",
    "response.mcp_",
    "response.web_search_call",
)
"""Progress of tools that the provider runs itself: nothing for the client but a sign of life."""


class _Part:
    """A block of the answer."""

    __slots__ = ("block", "open", "size")

    def __init__(self, block: int) -> None:
        self.block = block
        self.size = 0
        """Characters that were given on."""
        self.open = True


class _Item:
    __slots__ = ("begun", "complete", "done", "held", "kind", "last", "parts")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.parts: dict[tuple[str, int], _Part] = {}
        self.done = self.begun = False
        self.complete = True
        self.held: list[str] = []
        """Arguments that came before the name of their tool."""
        self.last: tuple[str, int] = ("", 0)
        """Reasoning: the piece that the last delta belonged to."""


class ResponsesReader:
    """Turns the events of one stream into neutral events (``messages.SseReader``).

    Takes what servers leave out: items without ``added``, texts and arguments only in ``done`` or in
    ``response.completed``, indices that are missing or always 0.
    """

    __slots__ = ("_begun", "_blocks", "_by_id", "_by_index", "_call_ids", "_called", "_hot", "_items", "_last", "_over")

    def __init__(self) -> None:
        self._begun = self._over = self._called = False
        self._blocks = 0
        self._items: list[_Item] = []
        self._last: dict[str, list[_Item]] = {}
        """By kind; the last one that is not done stands at the end."""
        self._by_id: dict[str, _Item] = {}
        self._by_index: dict[int, _Item] = {}
        self._call_ids: set[str] = set()
        self._hot: Optional[tuple[Any, Any, Any, _Part]] = None
        """Members and block of the last delta of text: nearly always those of the next one."""

    def feed(self, event: str, data: bytes) -> list[Event]:
        """Return the events of one SSE event; [] for what is not understood."""
        if self._over:
            return []
        try:
            value = codec.loads(data)
        except (ValueError, RecursionError):  # [DONE], too
            return []
        if not isinstance(value, dict):
            return []
        kind = value.get("type")
        hot = self._hot
        if (
            kind == "response.output_text.delta"
            and hot is not None
            and value.get("item_id") == hot[0]
            and value.get("output_index") == hot[1]
            and value.get("content_index") == hot[2]
        ):
            text = value.get("delta")
            part = hot[3]
            if type(text) is str and text and part.open:
                part.size += len(text)
                return [Delta(part.block, text)]
        if not isinstance(kind, str):
            kind = event
        handle = _HANDLERS.get(kind)
        out: list[Event] = []
        if handle is not None:
            handle(self, value, out)
        elif kind in _ALIVE or kind.startswith(_ALIVE_BEGINS):
            out.append(Ping())
        elif value.get("error") and not kind.startswith("response."):
            self._fail(errors.from_value(value), out)
        return out

    def end(self) -> list[Event]:
        """Return Failed of kind ``cut``, unless the answer had ended."""
        if self._over:
            return []
        self._over = True
        message = "The upstream closed the stream before response.completed."
        return [Failed(WireError("cut", message, errors.status_of("cut")))]

    # The answer as a whole.

    def _start(self, value: Mapping[str, Any], out: list[Event]) -> None:
        if not self._begun:
            response = value.get("response")
            whole = response if isinstance(response, dict) else {}
            self._begun = True
            out.append(Started(_text(whole.get("id")), _text(whole.get("model"))))

    def _begin(self, out: list[Event]) -> None:
        if not self._begun:
            self._start({}, out)

    def _completed(self, value: Mapping[str, Any], out: list[Event]) -> None:
        response = value.get("response")
        whole = response if isinstance(response, dict) else {}
        if whole.get("status") == "failed":
            self._failed(value, out)
        else:
            self._finish(whole, out)

    def _finish(self, response: Mapping[str, Any], out: list[Event], *, incomplete: bool = False) -> None:
        self._start({"response": response}, out)
        output = response.get("output")
        silent = not self._items
        for item in output if isinstance(output, list) else ():
            if isinstance(item, dict) and (silent or self._forgotten(item)):
                self._item_done({"item": item}, out)
        for open_item in self._items:
            self._close(open_item, out)
        self._over = True
        out.append(Stop(self._reason(response, incomplete), usage.read(response.get("usage"))))

    def _forgotten(self, item: Mapping[str, Any]) -> bool:
        """A call that no event told of."""
        return item.get("type") in _CALLS and _text(item.get("call_id")) not in self._call_ids

    def _reason(self, response: Mapping[str, Any], incomplete: bool) -> StopReason:
        if not (incomplete or response.get("status") == "incomplete"):
            return "tools" if self._called else "end"
        details = response.get("incomplete_details")
        if isinstance(details, dict) and details.get("reason") == "content_filter":
            return "refusal"
        # What was cut inside a call must not be run; calls that had been complete may.
        return "tools" if self._called and all(i.done and i.complete for i in self._items) else "length"

    def _incomplete(self, value: Mapping[str, Any], out: list[Event]) -> None:
        response = value.get("response")
        self._finish(response if isinstance(response, dict) else {}, out, incomplete=True)

    def _failed(self, value: Mapping[str, Any], out: list[Event]) -> None:
        self._fail(errors.from_value(value), out)

    def _cancelled(self, _value: Mapping[str, Any], out: list[Event]) -> None:
        self._fail(WireError("cut", "The upstream cancelled the answer.", errors.status_of("cut")), out)

    def _fail(self, error: WireError, out: list[Event]) -> None:
        self._over = True
        out.append(Failed(error))

    # Items.

    def _add(self, kind: str, id: Any, index: Any) -> _Item:
        item = _Item(kind)
        self._items.append(item)
        self._last.setdefault(kind, []).append(item)
        if isinstance(id, str) and id:
            self._by_id[id] = item
        if isinstance(index, int):
            self._by_index[index] = item
        return item

    def _find(self, value: Mapping[str, Any], kind: str) -> _Item:
        """Return the item that an event is about; a new one when nothing told of it."""
        id, index = value.get("item_id"), value.get("output_index")
        return self._known(kind, id, index) or self._add(kind, id, index)

    def _known(self, kind: str, id: Any, index: Any) -> Optional[_Item]:
        named = isinstance(id, str) and bool(id)
        item = self._by_id.get(id) if named else None
        if item is not None and item.kind == kind:
            return item
        item = self._by_index.get(index) if isinstance(index, int) else None
        if item is not None and item.kind == kind and not item.done:
            return item
        if named or isinstance(index, int):
            return None
        last = self._last.get(kind, [])
        while last and last[-1].done:
            last.pop()
        return last[-1] if last else None

    def _item_added(self, value: Mapping[str, Any], out: list[Event]) -> None:
        given = value.get("item")
        if not isinstance(given, dict):
            return
        self._begin(out)
        item = self._add(_text(given.get("type")), given.get("id"), value.get("output_index"))
        if item.kind in _CALLS:
            self._begin_call(item, given, out)

    def _item_done(self, value: Mapping[str, Any], out: list[Event]) -> None:
        given = value.get("item")
        if not isinstance(given, dict):
            return
        self._begin(out)
        kind = _text(given.get("type"))
        id, index = given.get("id"), value.get("output_index")
        item = self._known(kind, id, index)
        if item is not None and item.done:  # told twice
            return
        if item is None:
            item = self._add(kind, id, index)
        if kind == "message":
            self._message_done(item, given, out)
        elif kind == "reasoning":
            self._reasoning_done(item, given, out)
        elif kind in _CALLS:
            self._call_done(item, given, out)
        item.complete = given.get("status") != "incomplete"
        item.done = True
        self._close(item, out)

    def _close(self, item: _Item, out: list[Event]) -> None:
        for part in item.parts.values():
            if part.open:
                part.open = False
                out.append(BlockEnd(part.block))

    def _open(self, item: _Item, key: tuple[str, int], start: Callable[[int], Event], out: list[Event]) -> _Part:
        part = item.parts.get(key)
        if part is None:
            part = item.parts[key] = _Part(self._blocks)
            self._blocks += 1
            out.append(start(part.block))
        return part

    def _more(self, part: _Part, text: str, out: list[Event]) -> None:
        if text and part.open:
            part.size += len(text)
            out.append(Delta(part.block, text))

    # Texts.

    def _text_part(self, value: Mapping[str, Any], out: list[Event], refusal: bool) -> tuple[_Item, _Part]:
        self._begin(out)
        item = self._find(value, "message")
        index = value.get("content_index")
        key = ("refusal" if refusal else "text", index if isinstance(index, int) else 0)
        return item, self._open(item, key, RefusalStart if refusal else TextStart, out)

    def _text_delta(self, value: Mapping[str, Any], out: list[Event], refusal: bool = False) -> None:
        text = _text(value.get("delta"))
        if not text:
            return
        _item, part = self._text_part(value, out, refusal)
        self._more(part, text, out)
        if not refusal:
            self._hot = (value.get("item_id"), value.get("output_index"), value.get("content_index"), part)

    def _text_done(self, value: Mapping[str, Any], out: list[Event], refusal: bool = False) -> None:
        text = _text(value.get("refusal" if refusal else "text"))
        if not text:
            return
        _item, part = self._text_part(value, out, refusal)
        self._more(part, text[part.size :], out)
        if part.open:
            part.open = False
            out.append(BlockEnd(part.block))

    def _refusal_delta(self, value: Mapping[str, Any], out: list[Event]) -> None:
        self._text_delta(value, out, True)

    def _refusal_done(self, value: Mapping[str, Any], out: list[Event]) -> None:
        self._text_done(value, out, True)

    def _message_done(self, item: _Item, given: Mapping[str, Any], out: list[Event]) -> None:
        content = given.get("content")
        if isinstance(content, str):
            content = [{"type": "output_text", "text": content}]
        for at, one in enumerate(content if isinstance(content, list) else ()):
            if not isinstance(one, dict):
                continue
            refusal = one.get("type") == "refusal"
            text = _text(one.get("refusal" if refusal else "text"))
            if text:
                key = ("refusal" if refusal else "text", at)
                part = self._open(item, key, RefusalStart if refusal else TextStart, out)
                self._more(part, text[part.size :], out)

    # Reasoning: one block for an item, of its summary or of its text, whichever comes first.

    def _reasoning_delta(self, value: Mapping[str, Any], out: list[Event], summary: bool = False) -> None:
        delta = value.get("delta")
        text = _text(delta.get("text") if isinstance(delta, dict) else delta)
        if not text:
            return
        self._begin(out)
        item = self._find(value, "reasoning")
        number = value.get("summary_index" if summary else "content_index")
        self._think(item, summary, number if isinstance(number, int) else 0, text, out)

    def _summary_delta(self, value: Mapping[str, Any], out: list[Event]) -> None:
        self._reasoning_delta(value, out, True)

    def _think(self, item: _Item, summary: bool, number: int, text: str, out: list[Event]) -> None:
        kind = "summary" if summary else "text"
        if not item.parts:
            self._open(item, ("", 0), lambda block: ReasoningStart(block, summary), out)
        elif item.last[0] != kind:
            return
        elif item.last[1] != number:
            text = "\n\n" + text
        item.last = (kind, number)
        self._more(item.parts["", 0], text, out)

    def _reasoning_done(self, item: _Item, given: Mapping[str, Any], out: list[Event]) -> None:
        for summary, member in ((True, "summary"), (False, "content")):
            if item.parts:
                break
            pieces = given.get(member)
            for number, piece in enumerate(pieces if isinstance(pieces, list) else ()):
                text = _text(piece.get("text") if isinstance(piece, dict) else piece)
                if text:
                    self._think(item, summary, number, text, out)
        encrypted = _text(given.get("encrypted_content"))
        if not item.parts and encrypted:
            self._open(item, ("", 0), ReasoningStart, out)
        part = item.parts.get(("", 0))
        if part is not None and part.open:
            part.open = False
            out.append(BlockEnd(part.block, encrypted=encrypted, redacted=part.size == 0))

    # Calls.

    def _begin_call(self, item: _Item, given: Mapping[str, Any], out: list[Event]) -> None:
        """Start the block of a call as soon as its name is known."""
        name = _text(given.get("name"))
        if item.begun or not name:
            return
        item.begun = self._called = True
        id = _text(given.get("call_id")) or _text(given.get("id"))
        self._call_ids.add(id)
        custom, namespace = item.kind == "custom_tool_call", _text(given.get("namespace"))
        part = self._open(item, ("", 0), lambda block: ToolStart(block, id, name, custom, namespace), out)
        self._more(part, "".join(item.held), out)

    def _arguments_delta(self, value: Mapping[str, Any], out: list[Event], kind: str = "function_call") -> None:
        text = _text(value.get("delta"))
        if not text:
            return
        self._begin(out)
        item = self._find(value, kind)
        if item.begun:
            self._more(item.parts["", 0], text, out)
        else:
            item.held.append(text)

    def _arguments_done(self, value: Mapping[str, Any], out: list[Event], kind: str = "function_call") -> None:
        text = _arguments(value.get("arguments" if kind == "function_call" else "input"))
        if not text:
            return
        self._begin(out)
        item = self._find(value, kind)
        if item.begun:
            part = item.parts["", 0]
            self._more(part, text[part.size :], out)
        else:
            item.held = [text]

    def _input_delta(self, value: Mapping[str, Any], out: list[Event]) -> None:
        self._arguments_delta(value, out, "custom_tool_call")

    def _input_done(self, value: Mapping[str, Any], out: list[Event]) -> None:
        self._arguments_done(value, out, "custom_tool_call")

    def _call_done(self, item: _Item, given: Mapping[str, Any], out: list[Event]) -> None:
        self._begin_call(item, given, out)
        part = item.parts.get(("", 0))
        if part is not None:
            text = _arguments(given.get("input" if item.kind == "custom_tool_call" else "arguments"))
            self._more(part, text[part.size :], out)


_HANDLERS: Mapping[str, Callable[[ResponsesReader, Mapping[str, Any], list[Event]], None]] = {
    "response.created": ResponsesReader._start,
    "response.queued": ResponsesReader._start,
    "response.in_progress": ResponsesReader._start,
    "response.output_item.added": ResponsesReader._item_added,
    "response.output_item.done": ResponsesReader._item_done,
    "response.output_text.delta": ResponsesReader._text_delta,
    "response.output_text.done": ResponsesReader._text_done,
    "response.refusal.delta": ResponsesReader._refusal_delta,
    "response.refusal.done": ResponsesReader._refusal_done,
    "response.reasoning_summary_text.delta": ResponsesReader._summary_delta,
    "response.reasoning_summary.delta": ResponsesReader._summary_delta,
    "response.reasoning_text.delta": ResponsesReader._reasoning_delta,
    "response.reasoning.delta": ResponsesReader._reasoning_delta,
    "response.function_call_arguments.delta": ResponsesReader._arguments_delta,
    "response.function_call_arguments.done": ResponsesReader._arguments_done,
    "response.custom_tool_call_input.delta": ResponsesReader._input_delta,
    "response.custom_tool_call_input.done": ResponsesReader._input_done,
    "response.completed": ResponsesReader._completed,
    "response.done": ResponsesReader._completed,
    "response.incomplete": ResponsesReader._incomplete,
    "response.failed": ResponsesReader._failed,
    "response.error": ResponsesReader._failed,
    "response.cancelled": ResponsesReader._cancelled,
    "error": ResponsesReader._failed,
}


def read_answer(body: bytes) -> list[Event]:
    """Return the events of an answer that is not a stream; Failed for what is no answer.  Never raises."""
    out: list[Event] = []
    try:
        value = codec.loads(body)
    except (ValueError, RecursionError):
        value = None
    response = value if isinstance(value, dict) else {}
    reader = ResponsesReader()
    if response.get("error") or response.get("status") == "failed":
        return [Failed(errors.from_value(response))]
    if not isinstance(response.get("output"), list):
        message = "The upstream's answer is not one of OpenAI Responses."
        return [Failed(errors.error_in(value) or WireError("server", message, errors.status_of("cut")))]
    if response.get("status") in ("queued", "in_progress", "cancelled"):
        return [Failed(WireError("cut", f"The upstream's answer is {response['status']}.", errors.status_of("cut")))]
    reader._finish(response, out)
    return out


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _arguments(value: Any) -> str:
    return codec.written_or_nothing(value) if isinstance(value, dict) else _text(value)  # some servers send an object
