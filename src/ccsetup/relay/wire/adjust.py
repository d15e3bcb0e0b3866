"""What pass-through may have to change in a request although both sides speak one wire format.

Each function takes a parsed body and returns it changed, or the very same object when nothing had to change, so that
the caller sends the client's own bytes wherever it can.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ccsetup.relay.wire import reasoning

_THINKING = ("thinking", "redacted_thinking")


def without_reasoning(wire: str, body: Mapping[str, Any], *, ours_only: bool = False) -> Mapping[str, Any]:
    """Return *body* without the reasoning of earlier turns that its receiver cannot verify.

    *ours_only* leaves what a provider signed, and removes what this relay marked.  Anthropic and OpenAI refuse
    signatures and encrypted reasoning that they did not make (400 ``Invalid signature in thinking block``,
    ``invalid_encrypted_content``); without the blocks the conversation goes on.
    """
    if wire == "anthropic":
        return _messages(body, lambda block: _is_thinking(block) and (not ours_only or _marked(block)))
    if wire == "responses":
        return _items(body, ours_only=ours_only)
    return body


def system_in_front(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a Messages *body* in which no message has the role ``system``: each becomes a user message.

    Claude Code 2.1.329 sends such messages; some providers answer 400 to them.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not any(isinstance(m, dict) and m.get("role") == "system" for m in messages):
        return body
    out: list[Any] = []
    together: Optional[list[Any]] = None
    """Content of the user's message that goes on."""
    for message in messages:
        if isinstance(message, dict) and message.get("role") == "system":
            message = {**message, "role": "user"}
        if out and isinstance(message, dict) and message.get("role") == "user" == _role(out[-1]):
            if together is None:
                together = [*_blocks(out[-1])]
                out[-1] = {**out[-1], "content": together}
            together += _blocks(message)
        else:
            together = None
            out.append(message)
    return {**body, "messages": out}


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _blocks(message: Mapping[str, Any]) -> list[Any]:
    content = message.get("content")
    if isinstance(content, list):
        return content
    return [{"type": "text", "text": content}] if content else []


def _is_thinking(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") in _THINKING


def _marked(block: Mapping[str, Any]) -> bool:
    mark = block.get("signature") or block.get("data") or ""
    return isinstance(mark, str) and (not mark or reasoning.is_mark(mark) or reasoning.unpack(mark) is not None)


def _messages(body: Mapping[str, Any], drop: Callable[[Any], bool]) -> Mapping[str, Any]:
    messages = body.get("messages")
    if not isinstance(messages, list):
        return body
    out: list[Any] = []
    changed = False
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list) and any(drop(block) for block in content):
            changed = True
            kept = [block for block in content if not drop(block)]
            if not kept:  # an empty message is refused
                kept = [{"type": "text", "text": "(no answer)"}]
            message = {**message, "content": kept}
        out.append(message)
    return {**body, "messages": out} if changed else body


def _items(body: Mapping[str, Any], *, ours_only: bool) -> Mapping[str, Any]:
    items = body.get("input")
    if not isinstance(items, list):
        return body

    def foreign(item: Any) -> bool:
        if not isinstance(item, dict) or item.get("type") != "reasoning":
            return False
        encrypted = item.get("encrypted_content")
        return not ours_only or (isinstance(encrypted, str) and reasoning.unpack(encrypted) is not None)

    kept = [item for item in items if not foreign(item)]
    return body if len(kept) == len(items) else {**body, "input": kept}
