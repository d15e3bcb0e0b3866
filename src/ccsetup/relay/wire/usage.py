"""The ``usage`` member of an answer, in the shapes of all three formats and of the providers that mix them.  Pure."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ccsetup.relay.wire.messages import Usage

_LARGEST = 1 << 53
_PLAIN = {"input_tokens", "output_tokens"}
_PLAIN_CHAT = {"prompt_tokens", "completion_tokens", "total_tokens"}


def read(value: Any) -> Optional[Usage]:
    """Return the figures of a ``usage`` object; None when it tells none.

    Anthropic counts cached tokens beside ``input_tokens``; OpenAI, and who copies it, inside ``prompt_tokens`` or
    ``input_tokens``, with ``cached_tokens`` in the details (Kimi also beside), ``prompt_cache_hit_tokens`` (DeepSeek).
    """
    if not isinstance(value, dict) or not value:
        return None
    keys = value.keys()
    if keys <= _PLAIN or keys == _PLAIN_CHAT:  # nothing of a cache or of thinking
        new = value.get("prompt_tokens" if "prompt_tokens" in value else "input_tokens")
        output = value.get("completion_tokens" if "completion_tokens" in value else "output_tokens")
        if (
            type(new) is int
            and type(output) is int
            and 0 < new < _LARGEST
            and 0 < output < _LARGEST
            and value.get("total_tokens") in (None, new + output)
        ):
            return Usage(new, output)
    details = _mapping(value, "prompt_tokens_details", "input_tokens_details")
    thought = _mapping(value, "completion_tokens_details", "output_tokens_details")
    total_in = _count(value, "prompt_tokens", "input_tokens")
    output = _count(value, "completion_tokens", "output_tokens")
    reasoning = _count(thought, "reasoning_tokens", "thinking_tokens") or _count(value, "reasoning_tokens")
    creation = _mapping(value, "cache_creation")
    written = _count(value, "cache_creation_input_tokens") or sum(_count(creation, name) for name in creation)
    written = written or _count(details, "cache_write_tokens", "cache_creation_tokens")
    cached = _count(value, "cache_read_input_tokens")
    if "prompt_tokens" not in value and ("cache_read_input_tokens" in value or "cache_creation_input_tokens" in value):
        new = total_in
    else:
        cached = cached or _count(details, "cached_tokens")
        cached = cached or _count(value, "cached_tokens", "prompt_cache_hit_tokens")
        new = max(total_in - cached - written, 0)
    gap = _count(value, "total_tokens") - total_in - output
    if gap > 0 and "completion_tokens" in value:
        # xAI and Gemini count what was thought beside completion_tokens, and only in the total.
        output += gap
        reasoning = max(reasoning, gap)
    usage = Usage(new, output, cached, written, min(reasoning, output))
    return usage if any(usage) else None


class Tally:
    """Usage of Anthropic's message_start and message_delta, put together.

    The first is an estimate at many providers, as it is in streams of this relay; at others only it has the input.
    """

    def __init__(self) -> None:
        self.usage: Optional[Usage] = None

    def take(self, value: Any) -> None:
        new = read(value)
        if new is None:
            return
        old = self.usage
        if old is None:
            self.usage = new
            return
        said = value if isinstance(value, dict) else {}
        if ("input_tokens" in said or "prompt_tokens" in said) and new.prompt:
            own = "cache_read_input_tokens" not in said and "prompt_tokens" not in said
            cached = old.cache_read if own and not new.cache_read else new.cache_read
            written = old.cache_write if own and not new.cache_write else new.cache_write
            self.usage = Usage(new.input, new.output or old.output, cached, written, new.reasoning or old.reasoning)
        else:
            self.usage = Usage(
                old.input,
                new.output or old.output,
                new.cache_read or old.cache_read,
                new.cache_write or old.cache_write,
                new.reasoning or old.reasoning,
            )


def _mapping(value: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        found = value.get(name)
        if isinstance(found, dict):
            return found
    return {}


def _count(value: Mapping[str, Any], *names: str) -> int:
    for name in names:
        found = value.get(name)
        if isinstance(found, (int, float)) and not isinstance(found, bool) and 0 < found < _LARGEST:
            return int(found)
    return 0
