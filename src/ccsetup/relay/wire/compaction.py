"""A conversation that becomes a summary, for upstreams that cannot do it themselves.  Pure.

Codex 0.133 posts to ``/responses/compact`` and goes on with the items of the answer; 0.160 and 0.171 end the input with
a ``compaction_trigger``, and want one ``compaction`` item (observed; with a provider that is named OpenAI).  The
upstream is asked for a summary like for any answer.  The item holds it in one of the relay's envelopes;
``/responses/compact`` answers with plain messages.
"""

from __future__ import annotations

from typing import Any, Iterable

from ccsetup.relay.wire.messages import (
    Compaction,
    Conversation,
    Delta,
    Event,
    Message,
    Text,
    TextStart,
    ToolChoice,
    WireError,
)

TRIGGER = "compaction_trigger"
ITEMS = frozenset(("compaction", "compaction_summary", "context_compaction"))
NOTHING = WireError("server", "The relay's upstream gave no summary of the conversation.", 502)

_PROMPT = (
    "Summarise this conversation for the model that will go on with it, and that sees nothing else of it. Say what the "
    "user wants, word for word where it matters; what was decided, and why; what was done, with the files, commands "
    "and results that count; what is left to do, and the next step. Answer with the summary alone, and call no tool."
)
_HEAD = "Summary of the conversation so far, which is not shown any more:\n\n"
_KEPT = 80_000
"""Characters of the user's last messages that stay as they are beside a summary."""


def asking(conversation: Conversation) -> Conversation:
    """Return *conversation* with the question for a summary at its end."""
    return conversation._replace(
        messages=(*conversation.messages, Message("user", (Text(_PROMPT),))),
        tool_choice=ToolChoice("none") if conversation.tools else None,
        format=None,
        compacts=Compaction(),
    )


def whole(conversation: Conversation) -> Conversation:
    """Return what ``asking`` made for a client of ``/responses/compact``."""
    kept: list[str] = []
    left = _KEPT
    for message in reversed(conversation.messages[:-1]):
        text = (
            "\n\n".join(part.text for part in message.parts if isinstance(part, Text)) if message.role == "user" else ""
        )
        left -= len(text)
        if left < 0:
            break
        if text:
            kept.insert(0, text)
    return conversation._replace(compacts=Compaction(tuple(kept)), stream=False)


def with_trigger(value: Any) -> list[Any]:
    """Return the ``input`` *value* of a request to ``/responses/compact`` as that of one with a trigger."""
    items = value if isinstance(value, list) else [{"role": "user", "content": value}] if value else []
    return [*items, {"type": TRIGGER}]


def summary(events: Iterable[Event]) -> str:
    """Return what the model said in *events*, without its thinking; "" for nothing."""
    blocks: set[int] = set()
    texts: list[str] = []
    for event in events:
        if type(event) is TextStart:
            blocks.add(event.block)
        elif type(event) is Delta and event.block in blocks:
            texts.append(event.text)
    return "".join(texts).strip()


def told(text: str) -> str:
    """Return the summary *text* as the user says it to the model that goes on."""
    return text if text.startswith(_HEAD) else _HEAD + text
