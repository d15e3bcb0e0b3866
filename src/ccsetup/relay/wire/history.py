"""Brings the messages of a conversation into the order that strict providers want.  Pure.

The order: all that a model said in one turn, its texts and then all its calls, in ONE assistant message; right after it
the results of exactly these calls, in the order of the calls; only then what the user or the system said.
"""

from __future__ import annotations

from collections import deque
from itertools import groupby, pairwise
from typing import Iterable, Mapping, Optional, Sequence, Union

from ccsetup.relay.wire.messages import Loss, Losses, Message, Part, Text, ToolCall, ToolResult
from ccsetup.relay.wire.tools import CallIds

LOSSES: Mapping[str, str] = {
    "tool_call_unanswered": "A tool call without a result gets one that says so.",
    "tool_result_without_call": "A tool result whose call is not in the conversation becomes text of the user.",
    "system_between": "A system message in between becomes text of the user, marked as a reminder of the system.",
}

NO_RESULT = "no result: the call was interrupted"


class _Turn:
    """What a model said before anybody else did; *results* stand beside *calls*."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.said: list[Part] = []
        self.calls: list[ToolCall] = []
        self.results: list[Optional[ToolResult]] = []


class _Open:
    """The calls without a result: by id, the turns that have it, and there the places of the calls."""

    def __init__(self) -> None:
        self._by_id: dict[str, deque[tuple[_Turn, deque[int]]]] = {}

    def add(self, turn: _Turn, call: ToolCall) -> None:
        groups = self._by_id.get(call.id)
        if groups is None:
            groups = self._by_id[call.id] = deque()
        if not groups or groups[-1][0] is not turn:
            groups.append((turn, deque()))
        groups[-1][1].append(len(turn.calls))
        turn.calls.append(call)
        turn.results.append(None)

    def answer(self, result: ToolResult) -> bool:
        """Give *result* to the last turn with a call of its id, there to the first; return whether there is one."""
        groups = self._by_id.get(result.call_id)
        if not groups:
            return False
        turn, places = groups[-1]
        turn.results[places.popleft()] = result
        if not places:
            groups.pop()
        return True


def ordered(messages: Sequence[Message]) -> tuple[tuple[Message, ...], Losses]:
    """Return *messages* in that order, and what could not be kept.

    Assistant messages with nothing between are merged, and their calls stand last.  Results move to their calls,
    wherever they came, and stand in user messages of their own.  Ids are made fit and unique on both sides alike; a
    repeated one belongs to the last turn that had it before the result, and there to the first call without a result.
    """
    if _settled(messages):
        return tuple(messages), []
    flow: list[Union[_Turn, tuple[int, Message]]] = []
    open_ = _Open()
    early: list[ToolResult] = []
    turn: Optional[_Turn] = None
    for index, message in enumerate(messages):
        if message.role != "assistant":
            turn = None
        elif turn is None:
            turn = _Turn(index)
            flow.append(turn)
        others: list[Part] = []
        for part in message.parts:
            if type(part) is ToolResult:
                if not open_.answer(part):
                    early.append(part)
                    others.append(part)
            elif turn is None:
                others.append(part)
            elif type(part) is ToolCall:
                open_.add(turn, part)
            else:
                turn.said.append(part)
        if others:
            flow.append((index, Message("user" if message.role == "assistant" else message.role, tuple(others))))
    late = {id(result) for result in early if open_.answer(result)}
    return _written(flow, late)


def _settled(messages: Sequence[Message]) -> bool:
    """Whether nothing has to move: no calls and no results, no two messages of the assistant in a row, none empty."""
    before = ""
    for role, parts in messages:
        if not parts or role == "assistant" == before:
            return False
        before = role
        for part in parts:
            if type(part) is ToolCall or type(part) is ToolResult:
                return False
    return True


def _written(flow: Iterable[Union[_Turn, tuple[int, Message]]], late: set[int]) -> tuple[tuple[Message, ...], Losses]:
    """*late* are results, by identity, that a call after them took."""
    losses: Losses = []
    ids = CallIds("history")
    out: list[Message] = []
    before: list[Part] = []
    """What the assistant said last, when nothing stood behind it: that was empty, or has moved."""
    for item in flow:
        if isinstance(item, _Turn):
            calls = [_with_id(call, ids.fit(call.id)) for call in item.calls]
            before += item.said
            if not calls:
                continue
            out.append(Message("assistant", (*before, *calls)))
            before = []
            if None in item.results:
                losses.append(Loss(f"messages[{item.index}]", "tool_call_unanswered"))
            out.append(Message("user", tuple(map(_result, calls, item.results))))
            continue
        index, message = item
        parts: list[Part] = []
        for part in message.parts:
            if type(part) is not ToolResult:
                parts.append(part)
            elif id(part) not in late:
                losses.append(Loss(f"messages[{index}]", "tool_result_without_call"))
                parts += _as_text(part)
        if parts:
            if before:
                out.append(Message("assistant", tuple(before)))
                before = []
            out.append(Message(message.role, tuple(parts)))
    if before:
        out.append(Message("assistant", tuple(before)))
    return tuple(out), losses


def _with_id(call: ToolCall, id: str) -> ToolCall:
    return call if call.id == id else call._replace(id=id)


def _result(call: ToolCall, result: Optional[ToolResult]) -> ToolResult:
    if result is None:
        return ToolResult(call.id, (Text(NO_RESULT),), is_error=True, custom=call.custom)
    if result.call_id == call.id and result.custom == call.custom:
        return result
    return result._replace(call_id=call.id, custom=call.custom)


def _as_text(result: ToolResult) -> list[Part]:
    kind = "error" if result.is_error else "result"
    return [Text(f"[{kind} of an earlier tool call, {result.call_id or 'without an id'}]"), *result.content]


def folded(messages: Sequence[Message]) -> tuple[tuple[Message, ...], Losses]:
    """Return *messages* with every system and developer message as one of the user, at the same index.

    The mark is the one in which Claude Code gives such texts to providers that take no system messages in between.
    """
    if not any(role in ("system", "developer") for role, _parts in messages):
        return tuple(messages), []
    losses: Losses = []
    out: list[Message] = []
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            losses.append(Loss(f"messages[{index}]", "system_between"))
            texts = [part for part in message.parts if isinstance(part, Text) and part.text]
            whole = "\n\n".join(part.text for part in texts)
            text = Text(f"<system-reminder>\n{whole}\n</system-reminder>", cache=any(part.cache for part in texts))
            message = Message("user", (text,) if texts else ())
        out.append(message)
    return tuple(out), losses


def merged(messages: Sequence[Message]) -> list[Message]:
    """Return *messages* with those of the user that follow one another made one, results first."""
    if not any(one.role == other.role == "user" for one, other in pairwise(messages)):
        return list(messages)
    out: list[Message] = []
    for same, together in groupby(messages, key=lambda message: message.role):
        group = list(together)
        if same == "user" and len(group) > 1:
            group = [Message("user", tuple(part for message in group for part in message.parts))]
        out += group
    return out
