"""The ``usage`` member of an answer, in the shapes of all three formats and of the providers that mix them.  Pure."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ccsetup.relay.wire.messages import Usage

_LARGEST = 1 << 53
_PLAIN = {"prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens"}
"""Nothing of a cache or of thinking."""


def read(value: Any) -> Optional[Usage]:
    """Return the figures of a ``usage`` object; None when it tells none.

    Anthropic counts cached tokens beside ``input_tokens``; OpenAI, and who copies it, inside ``prompt_tokens`` or
    ``input_tokens``, with ``cached_tokens`` in the details (Kimi also beside), ``prompt_cache_hit_tokens`` (DeepSeek).
    """
    if not isinstance(value, dict) or not value:
        return None
    get = value.get
    new = _count(get("prompt_tokens") or get("input_tokens"))
    output = _count(get("completion_tokens") or get("output_tokens"))
    gap = _count(get("total_tokens")) - new - output
    cached = written = reasoning = 0
    if not value.keys() <= _PLAIN:
        details = _mapping(get("prompt_tokens_details") or get("input_tokens_details"))
        thought = _mapping(get("completion_tokens_details") or get("output_tokens_details"))
        reasoning = _count(thought.get("reasoning_tokens") or thought.get("thinking_tokens") or get("reasoning_tokens"))
        written = _count(get("cache_creation_input_tokens"))
        if not written and "cache_creation" in value:
            written = min(sum(map(_count, _mapping(value["cache_creation"]).values())), _LARGEST)
        written = written or _count(details.get("cache_write_tokens") or details.get("cache_creation_tokens"))
        cached = _count(get("cache_read_input_tokens"))
        beside = "cache_read_input_tokens" in value or "cache_creation_input_tokens" in value
        if "prompt_tokens" in value or not beside:
            inside = details.get("cached_tokens") or get("cached_tokens") or get("prompt_cache_hit_tokens")
            cached = cached or _count(inside)
            new = max(new - cached - written, 0)
    if gap > 0 and "completion_tokens" in value:
        # xAI and Gemini count what was thought beside completion_tokens, and only in the total.
        output += gap
        reasoning = max(reasoning, gap)
    if not (new or output or cached or written):
        return None
    return Usage(new, output, cached, written, min(reasoning, output) if reasoning else 0)


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


def _mapping(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def _count(found: Any) -> int:
    """Return a number of tokens; 0 for what is none."""
    if type(found) is int:
        return found if 0 < found < _LARGEST else 0
    return int(found) if type(found) is float and 0 < found < _LARGEST else 0
