"""A summary as an answer of OpenAI Responses.  Imported through ``responses``."""

from __future__ import annotations

from typing import Any

from ccsetup.relay.wire import codec, compaction, reasoning
from ccsetup.relay.wire.messages import Asked, Event, Events, Failed, Ping, Started, Stop, Usage
from ccsetup.relay.wire.responses.answer_out import ResponsesAnswer, ResponsesWriter


class CompactedWriter(ResponsesWriter):
    """Turns the neutral events of an answer into the one item that Codex waits for."""

    __slots__ = ("_asked", "_events")

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._asked = asked
        self._events: list[Event] = []

    def write(self, event: Event) -> bytes:
        if isinstance(event, (Started, Failed, Ping)) or (isinstance(event, Stop) and event.reason == "context"):
            return super().write(event)
        if not isinstance(event, Stop):
            self._events.append(event)
            return b""
        text = compaction.summary(self._events)
        if not text:
            return super().write(Failed(compaction.NOTHING))
        item = _item(text, self._asked)
        steps = [
            self._event(f"response.output_item.{step}", {"output_index": 0, "item": item}) for step in ("added", "done")
        ]
        body = {**self._answer.stopped(Stop("end", event.usage)), "output": [item]}
        return b"".join((self._begin(""), *steps, self._finish(body)))


class FullWriter(ResponsesWriter):
    """Has Codex compact its history and ask once more, in the same turn, without a word to its user.

    It does so after an answer that says that its turn goes on (``end_turn``) and that the window is full.  An error
    ends the turn, and nothing is compacted in the next one either, but where the history is cut for a summary
    (observed with 0.133, 0.160 and 0.171).
    """

    def full(self, tokens: int) -> bytes:
        """Return that answer, with *tokens* as the size of the prompt: no less than the client's idea of the window."""
        body = self._answer.stopped(Stop("end", Usage(input=tokens)))
        return self._begin("") + self._finish({**body, "end_turn": False})


def write_compacted(events: Events, asked: Asked) -> bytes:
    """Return the body of a summary: a response with one item, or what ``/responses/compact`` answers."""
    events = list(events)
    text = compaction.summary(events)
    answer = ResponsesAnswer(asked)
    usage = next((event.usage for event in events if isinstance(event, Stop)), None)
    body = answer.stopped(Stop("end", usage))
    compacts = asked.conversation.compacts
    if compacts is None or compacts.kept is None:
        return codec.dumps({**body, "output": [_item(text, asked)]})
    said = [*compacts.kept, compaction.told(text)]
    output = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": one}]} for one in said]
    whole = {name: body[name] for name in ("id", "created_at", "usage")}
    return codec.dumps({**whole, "object": "response.compaction", "output": output})


def _item(text: str, asked: Asked) -> dict[str, Any]:
    sealed = reasoning.pack(text, asked.upstream)
    return {"type": "compaction", "id": f"cmp_{asked.id}", "encrypted_content": sealed}
