"""Reads Chat Completions answers, whole and as streams, whatever the provider makes of the chunks.  Pure."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ccsetup.relay.wire import tools, usage
from ccsetup.relay.wire.alike import Alike
from ccsetup.relay.wire.chat.request_in import Detail, thoughts
from ccsetup.relay.wire.codec import loads, written_or_nothing
from ccsetup.relay.wire.errors import error_in, from_value, status_of
from ccsetup.relay.wire.messages import (
    BlockEnd,
    Delta,
    ErrorKind,
    Event,
    Failed,
    ReasoningStart,
    RefusalStart,
    Started,
    Stop,
    StopReason,
    TextStart,
    ToolStart,
    Usage,
    WireError,
)

_REASONS: Mapping[str, StopReason] = {
    "stop": "end",
    "tool_calls": "tools",
    "function_call": "tools",
    "tool_use": "tools",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "refusal",
    "refusal": "refusal",
    "sensitive": "refusal",  # GLM
    "stop_sequence": "sequence",
    "model_context_window_exceeded": "context",
    "model_length": "context",  # Mistral
}
"""Anything else that is no failure is an end: ``eos``, ``load`` (Ollama), ``completed``."""

_FAILURES: Mapping[str, ErrorKind] = {
    "error": "server",  # OpenRouter
    "network_error": "server",  # GLM
    "insufficient_system_resource": "overloaded",  # DeepSeek
    "abort": "cut",  # vLLM, SGLang
}


_MAX_BLANK = 100
"""Characters of ``{}`` with white space around it."""


class _Call:
    """A tool call as it comes in.  It starts, for the reader of events, once its name is known to be whole."""

    __slots__ = ("block", "custom", "done", "ended", "first", "id", "name", "pieces", "sent", "size", "whole")

    def __init__(self, custom: bool) -> None:
        self.id = self.name = ""
        self.custom = custom
        self.block = -1
        """Below 0: not started."""
        self.pieces: list[str] = []
        self.size = 0
        """Characters of the pieces."""
        self.sent = 0
        self.first = ""
        """The first character of the arguments that is no white space."""
        self.whole = tools.Completeness()
        self.done = self.ended = False

    def add(self, text: str) -> None:
        """Keep a piece of the arguments; *done* says whether they are a complete object."""
        self.pieces.append(text)
        self.size += len(text)
        self.first = self.first or text.lstrip()[:1]
        self.done = self.whole.feed(text) and self.first == "{" and not self.custom

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    @property
    def blank(self) -> bool:
        """Whether the arguments so far may stand for none yet: some send ``{}`` before the real ones."""
        return self.block < 0 and self.done and self.size < _MAX_BLANK and self.arguments.strip() == "{}"

    def renew(self) -> None:
        self.pieces, self.size, self.first, self.whole, self.done = [], 0, "", tools.Completeness(), False

    def is_other(self, id: str, name: str, arguments: str) -> bool:
        """Whether a piece that seems to belong to this call begins another one.

        Providers without a proper ``index`` are told apart by a new id or name once this call is complete; a call
        that is repeated as a whole is the same one.
        """
        new_id = bool(id) and bool(self.id) and id != self.id
        if self.done and name and arguments.lstrip()[:1] == "{":
            if not new_id and name == self.name and self.blank:
                return False
            return new_id or name != self.name or len(arguments) != self.size or arguments != self.arguments
        if new_id:
            return self.done or (bool(name) and not self.first)
        return self.done and bool(name) and name != self.name


_NOTHING, _SAYING, _REASONING, _REFUSING = range(4)

_MAX_CALLS = 1000
_MAX_NAME = 1000
"""Characters of a tool's name that are put together."""


class ChatReader:
    """Reads the chunks of one answer (``messages.SseReader``).

    A stream is complete after a ``finish_reason``, or after ``[DONE]`` when something was said and every call has all
    of its arguments.  Stop comes with a chunk of nothing but the usage, with ``[DONE]``, or at the end of the stream,
    because the usage may follow the finish_reason.

    Text in ``<think>`` stays text: some providers want it back in the content as it was.  White space before the first
    text of a block is held back until there is text.  ``length`` stays what it is when it cut a call's arguments.
    """

    __slots__ = (
        "_alike", "_block", "_blocks", "_by_id", "_by_index", "_calls", "_encrypted", "_finish", "_kind", "_live",
        "_over", "_refused", "_sequence", "_signature", "_space", "_space_kind", "_started", "_thought", "_usage",
    )  # fmt: skip

    def __init__(self) -> None:
        self._kind = _NOTHING
        self._block = -1
        """The open block of text, reasoning or refusal."""
        self._blocks = 0
        self._alike: Optional[Alike] = None
        self._space: list[str] = []
        """White space that waits for text of the same kind."""
        self._space_kind = _NOTHING
        self._signature: list[str] = []
        self._encrypted: list[str] = []
        self._thought = self._refused = False
        self._calls: list[_Call] = []
        self._live: list[_Call] = []
        """Calls that have not ended."""
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._started = self._over = False
        self._finish = self._sequence = ""
        self._usage: Optional[Usage] = None

    def feed(self, event: str, data: bytes) -> list[Event]:
        if self._over:
            return []
        alike = self._alike
        if alike is not None and self._kind == _SAYING and (text := alike.text(data)):
            return [Delta(self._block, text)]
        try:
            chunk = loads(data)
        except (ValueError, RecursionError):
            return self._no_json(event, data)
        if self._kind == _SAYING:  # nearly every chunk of an answer
            try:
                choices = chunk["choices"]
                choice = choices[0]
                delta = choice["delta"]
                text = delta["content"]
                if (
                    text.__class__ is str
                    and text
                    and (len(delta) == 1 or (len(delta) == 2 and "role" in delta))
                    and len(choices) == 1
                    and not choice.get("finish_reason")
                    and not choice.get("index")
                    and not chunk.get("usage")
                    and "error" not in chunk
                ):
                    if alike is None:
                        alike = self._alike = Alike()
                    alike.show(data, b'"content":', text)
                    return [Delta(self._block, text)]
            except (KeyError, IndexError, TypeError, AttributeError):
                pass
        return self._chunk(event, chunk)

    def end(self) -> list[Event]:
        if self._over:
            return []
        if self._finish:
            return self._stop([])
        return self._fail([], WireError("cut", "The stream ended before its end.", status_of("cut")))

    def whole(self, answer: Any) -> list[Event]:
        """Return all events of an answer that is not a stream, parsed."""
        choices = answer.get("choices") if isinstance(answer, dict) else None
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(message, dict):
            error = error_in(answer) or WireError("server", "The upstream's answer holds no message.", 502)
            return self._fail([], error)
        if answer.get("error"):
            failed = error_in(answer)
            if failed is not None:
                return self._fail([], failed)
        calls = message.get("tool_calls")
        if calls and isinstance(calls, list):
            calls = [{**call, "index": index} for index, call in enumerate(calls) if isinstance(call, dict)]
            message = {**message, "tool_calls": calls}
        if not choice.get("finish_reason"):
            choice = {**choice, "finish_reason": "stop"}
        out: list[Event] = []
        self._choice(choice, message, answer, self._told(answer), out)
        return out + self.end()

    def _no_json(self, event: str, data: bytes) -> list[Event]:
        if data.strip() == b"[DONE]":
            said = (self._blocks or self._calls) and all(call.done for call in self._calls)
            return self._stop([]) if self._finish or said else self.end()
        if event == "error":
            return self._fail([], from_value(data.decode("utf-8", "replace")))
        return []

    def _fail(self, out: list[Event], error: WireError) -> list[Event]:
        self._over = True
        out.append(Failed(error))
        return out

    def _chunk(self, event: str, chunk: Any) -> list[Event]:
        out: list[Event] = []
        if event == "error":
            return self._fail(out, error_in(chunk) or from_value(chunk))
        if not isinstance(chunk, dict):
            return out
        choices = chunk.get("choices")
        if not choices or not isinstance(choices, list) or chunk.get("error"):
            error = error_in(chunk)
            if error is not None:
                return self._fail(out, error)
        told = self._told(chunk)
        if not isinstance(choices, list) or not choices:
            return self._stop(out) if told and self._finish else out
        for choice in choices:
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                delta = choice.get("delta")
                if not isinstance(delta, dict) and not self._blocks:
                    delta = choice.get("message")  # later it repeats everything: MiniMax's last chunk
                self._choice(choice, delta, chunk, told, out)
                if self._over:
                    break
        return out

    def _told(self, chunk: Mapping[str, Any]) -> bool:
        """Whether *chunk* tells the usage."""
        told = usage.read(chunk.get("usage"))
        if told is None and isinstance(chunk.get("x_groq"), dict):
            told = usage.read(chunk["x_groq"].get("usage"))
        self._usage = told or self._usage
        return told is not None

    def _choice(
        self, choice: Mapping[str, Any], delta: Any, chunk: Mapping[str, Any], told: bool, out: list[Event]
    ) -> None:
        if not told and choice.get("usage"):  # Kimi
            self._usage = usage.read(choice["usage"]) or self._usage
        if not self._started:
            self._started = True
            id, model = chunk.get("id"), chunk.get("model")
            out.append(Started(id if isinstance(id, str) else "", model if isinstance(model, str) else ""))
        if isinstance(delta, dict):
            self._delta(delta, out)
            if self._over:
                return
        finish = choice.get("finish_reason")
        error = choice.get("error")
        if isinstance(error, dict) and error:
            self._fail(out, from_value({"error": error}))
        elif isinstance(finish, str) and finish not in ("", "null"):
            if finish in _FAILURES:
                kind = _FAILURES[finish]
                message = f"The upstream broke the answer off: {finish}"
                self._fail(out, WireError(kind, message, status_of(kind), code=finish))
                return
            self._finish = finish
            met = choice.get("stop_reason")  # vLLM
            if isinstance(met, str) and met and finish == "stop":
                self._sequence = met

    def _delta(self, delta: Mapping[str, Any], out: list[Event]) -> None:
        content = delta.get("content")
        if isinstance(content, str) and (len(delta) == 1 or (len(delta) == 2 and "role" in delta)):
            self._say(_SAYING, content, out)
            return
        thought = delta.get("reasoning_content") or delta.get("reasoning")
        if thought and isinstance(thought, str):
            self._say(_REASONING, thought, out)
        details = delta.get("reasoning_details")
        if details and isinstance(details, list):
            self._details(details, not (thought and isinstance(thought, str)), out)
        if content:
            if isinstance(content, str):
                self._say(_SAYING, content, out)
            elif isinstance(content, list):
                self._parts(content, out)
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            self._say(_REFUSING, refusal, out)
        calls = delta.get("tool_calls")
        if calls and isinstance(calls, list):
            self._tool_calls([call for call in calls if isinstance(call, dict)], out)
        legacy = delta.get("function_call")
        if not calls and legacy and isinstance(legacy, dict):
            self._tool_calls([{"index": 0, "function": legacy}], out)

    def _parts(self, content: list[Any], out: list[Event]) -> None:
        for part in content:
            if isinstance(part, str):
                self._say(_SAYING, part, out)
            elif isinstance(part, dict):
                text = part.get("text")
                if part.get("type") in ("thinking", "reasoning"):
                    for thought in thoughts([part]):
                        self._say(_REASONING, thought, out)
                elif part.get("type") == "refusal" and isinstance(part.get("refusal"), str):
                    self._say(_REFUSING, part["refusal"], out)
                elif isinstance(text, str):
                    self._say(_SAYING, text, out)

    def _say(self, kind: int, text: str, out: list[Event]) -> None:
        if not text:
            return
        if self._kind != kind:
            if kind != self._space_kind:
                self._space, self._space_kind = [], kind
            if text.isspace():
                self._space.append(text)
                return
            text = "".join((*self._space, text))
            self._open(out)
            self._kind = kind
            self._block = self._blocks
            self._blocks += 1
            if kind == _SAYING:
                out.append(TextStart(self._block))
            elif kind == _REASONING:
                out.append(ReasoningStart(self._block))
            else:
                self._refused = True
                out.append(RefusalStart(self._block))
        self._thought = True
        out.append(Delta(self._block, text))

    def _details(self, details: list[Any], with_text: bool, out: list[Event]) -> None:
        for value in details:
            if not isinstance(value, dict):
                continue
            detail = Detail.read(value)
            if with_text and detail.text:
                self._say(_REASONING, detail.text, out)
            if detail.signature or detail.encrypted:
                if self._kind != _REASONING:
                    self._open(out)
                    self._kind, self._block, self._thought = _REASONING, self._blocks, False
                    self._blocks += 1
                    out.append(ReasoningStart(self._block))
                self._signature.append(detail.signature)
                self._encrypted.append(detail.encrypted)

    def _open(self, out: list[Event]) -> None:
        """Make room for a new block: end the open one and the calls that are complete."""
        self._space = []
        if self._kind:
            self._close(out)
        if self._live:
            self._start(out)
            for call in self._live:
                if call.done and call.block >= 0:
                    call.ended = True
                    out.append(BlockEnd(call.block))
            self._live = [call for call in self._live if not call.ended]

    def _close(self, out: list[Event]) -> None:
        if self._kind == _REASONING:
            signature, encrypted = "".join(self._signature), "".join(self._encrypted)
            out.append(BlockEnd(self._block, signature, encrypted, bool(encrypted) and not self._thought))
            self._signature, self._encrypted = [], []
        elif self._kind:
            out.append(BlockEnd(self._block))
        self._kind = _NOTHING

    # calls

    def _tool_calls(self, items: list[dict[str, Any]], out: list[Event]) -> None:
        used: set[int] = set()
        for position, item in enumerate(items):
            custom = isinstance(item.get("custom"), dict) and not isinstance(item.get("function"), dict)
            inside = item.get("custom" if custom else "function")
            inside = inside if isinstance(inside, dict) else {}
            name, id = inside.get("name"), item.get("id")
            name = name if isinstance(name, str) else ""
            id = id if isinstance(id, str) else ""
            arguments = inside.get("input" if custom else "arguments")
            if arguments is None:
                arguments = ""
            elif not isinstance(arguments, str):
                arguments = written_or_nothing(arguments)
            if not (id or name or arguments):
                continue
            index = item.get("index")
            call = self._call(index, id, name, arguments, position - len(items), used)
            if call is None:
                if len(self._calls) >= _MAX_CALLS:
                    self._fail(out, WireError("server", "The upstream's answer has too many tool calls.", 502))
                    return
                call = _Call(custom)
                self._open(out)
                self._calls.append(call)
                self._live.append(call)
                if index.__class__ is int:
                    self._by_index[index] = call
            used.add(_identity(call))
            if id and not call.id:
                call.id = id
                self._by_id[id] = call
            if name and call.block < 0 and name != call.name and len(call.name) < _MAX_NAME:
                call.name += name
            if arguments:
                self._arguments(call, arguments, out)

    def _call(self, index: Any, id: str, name: str, arguments: str, back: int, used: set[int]) -> Optional[_Call]:
        """Return the call that a piece belongs to: by index, else by id, else by position; None for a new one."""
        if index.__class__ is int:
            call = self._by_index.get(index)
            return None if call is None or call.is_other(id, name, arguments) else call
        if id and id in self._by_id:
            call = self._by_id[id]
            return None if call.is_other(id, name, arguments) else call
        if not self._calls:
            return None
        last = self._calls[-1]
        if id:  # a new one; without a name it may be one of those that some servers invent for each piece
            return last if not name and not last.done else None
        if not name:
            return self._calls[back] if len(self._calls) >= -back else last
        if _identity(last) in used or last.name != name or last.is_other(id, name, arguments):
            return None
        return last

    def _arguments(self, call: _Call, text: str, out: list[Event]) -> None:
        if call.blank and text.lstrip()[:1] == "{":
            call.renew()
        if call.done:
            return  # white space, or all of it once more
        call.add(text)
        if call.block >= 0:
            call.sent += 1
            out.append(Delta(call.block, text))
        elif call.name and not call.blank:
            self._start(out, call)

    def _start(self, out: list[Event], last: Optional[_Call] = None) -> None:
        """Start the calls up to *last* whose names are known, in the order in which they came."""
        for call in self._live:
            if call.block < 0 and call.name:
                self._begin(out, call)
            if call is last:
                break

    def _begin(self, out: list[Event], call: _Call) -> None:
        self._close(out)
        call.block = self._blocks
        self._blocks += 1
        out.append(ToolStart(call.block, call.id, call.name, call.custom))
        if call.pieces:
            out.append(Delta(call.block, call.arguments))

    # the end

    def _stop(self, out: list[Event]) -> list[Event]:
        self._over = True
        if not self._started:
            out.append(Started("", ""))
        self._close(out)
        reason = _REASONS.get(self._finish, "end")
        if self._calls:
            reason = self._stop_calls(reason, out)
        elif reason == "tools":
            reason = "end"
        if reason == "end" and self._refused:
            reason = "refusal"
        elif reason == "end" and self._sequence:
            reason = "sequence"
        out.append(Stop(reason, self._usage, self._sequence if reason == "sequence" else ""))
        return out

    def _stop_calls(self, reason: StopReason, out: list[Event]) -> StopReason:
        for call in self._live:
            if call.block < 0 and (call.name or call.first):
                self._begin(out, call)
        out += [BlockEnd(call.block) for call in self._live if call.block >= 0]
        made = [call for call in self._calls if call.block >= 0]
        if not made:
            return "end" if reason == "tools" else reason
        last = made[-1]
        cut = bool(last.first) and not last.done and not last.custom
        return reason if cut and reason in ("length", "refusal", "context") else "tools"


_identity = id
"""The built-in; ``id`` is the name of a member here."""


def read_answer(body: bytes) -> list[Event]:
    """Return the events of an answer that is not a stream."""
    try:
        value = loads(body)
    except (ValueError, RecursionError):
        return [Failed(WireError("server", "The upstream's answer is not JSON.", 502))]
    return _plain(value) or ChatReader().whole(value)


def _plain(answer: Any) -> list[Event]:
    """Return the events of an answer that is one text and nothing else, as most are; [] for any other."""
    try:
        (choice,) = answer["choices"]
        message, id, model = choice["message"], answer["id"], answer["model"]
        text = message["content"]
        if not (type(text) is type(id) is type(model) is str) or choice["finish_reason"] != "stop" or not text.strip():
            return []
        for name, value in message.items():
            if value and name != "content" and name != "role":
                return []
        if choice.get("stop_reason") or choice.get("error") or choice.get("usage") or answer.get("error"):
            return []
        told = usage.read(answer["usage"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return []
    return [Started(id, model), TextStart(0), Delta(0, text), BlockEnd(0), Stop("end", told)] if told else []
