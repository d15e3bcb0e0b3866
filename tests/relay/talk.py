"""A conversation held with one of the official Python SDKs, in one form for all three wire formats.

    with talk("anthropic", relay.url, relay.key, "some-model") as t:
        t.user("what time is it?")
        answer = t.ask(stream=True)          # and the SDK's own objects go into the history, as users do it
        t.result(answer.uses[0].id, "noon")
        t.ask(stream=True).text

Streams are put together by the SDK's own accumulators; SDK errors come through.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import anthropic
import openai
from support import waiting
from support.wire import Json

WEATHER: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: dict[str, Json] = {"weather": WEATHER, "time": WEATHER}
"""Names and schemas of the tools that every request offers."""


class Call(NamedTuple):
    id: str
    name: str
    arguments: Any


class Answer(NamedTuple):
    text: str
    thought: str
    uses: tuple[Call, ...]
    stop: str
    """``end``, ``tools`` or ``length``."""
    prompt: int
    """Tokens of the request, those from a cache included."""
    cached: int
    output: int
    model: str


class Talk(Protocol):
    def user(self, text: str, image: str = "") -> None:
        """Say *text*, with *image* (base64 of a PNG)."""

    def result(self, call_id: str, text: str) -> None: ...

    def ask(self, *, stream: bool, **more: Any) -> Answer:
        """Send the conversation; the answer becomes a part of it.  *more* goes to the SDK."""


@contextlib.contextmanager
def talk(wire: str, url: str, key: str, model: str, *, system: str = "Be brief.") -> Iterator[Talk]:
    """Open an SDK's client for *wire* at the relay's *url*."""
    if wire == "anthropic":
        with anthropic.Anthropic(base_url=url, api_key=key, max_retries=0, timeout=waiting.LIMIT) as sdk:
            yield _Messages(sdk, model, system)
    else:
        with openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=waiting.LIMIT) as openai_sdk:
            yield (_Responses if wire == "responses" else _Chat)(openai_sdk, model, system)


class _Messages:
    def __init__(self, sdk: anthropic.Anthropic, model: str, system: str) -> None:
        self.sdk = sdk
        self.model = model
        self.system = system
        self.history: list[Any] = []

    def user(self, text: str, image: str = "") -> None:
        source = {"type": "base64", "media_type": "image/png", "data": image}
        content: list[Json] = [{"type": "image", "source": source}] if image else []
        self._add([*content, {"type": "text", "text": text}])

    def result(self, call_id: str, text: str) -> None:
        self._add([{"type": "tool_result", "tool_use_id": call_id, "content": text}])

    def _add(self, content: list[Json]) -> None:
        if self.history and self.history[-1]["role"] == "user":
            self.history[-1]["content"] += content
        else:
            self.history.append({"role": "user", "content": content})

    def ask(self, *, stream: bool, **more: Any) -> Answer:
        asked: Json = {
            "model": self.model,
            "max_tokens": 500,
            "system": self.system,
            "messages": self.history,
            "tools": [{"name": name, "description": name, "input_schema": schema} for name, schema in TOOLS.items()],
            **more,
        }
        if stream:
            with self.sdk.messages.stream(**asked) as running:
                message = running.get_final_message()
        else:
            message = self.sdk.messages.create(**asked)
        self.history.append({"role": "assistant", "content": message.content})
        usage = message.usage
        cached = usage.cache_read_input_tokens or 0
        return Answer(
            "".join(b.text for b in message.content if b.type == "text"),
            "".join(b.thinking for b in message.content if b.type == "thinking"),
            tuple(Call(b.id, b.name, b.input) for b in message.content if b.type == "tool_use"),
            {"end_turn": "end", "tool_use": "tools", "max_tokens": "length"}[str(message.stop_reason)],
            usage.input_tokens + cached + (usage.cache_creation_input_tokens or 0),
            cached,
            usage.output_tokens,
            message.model,
        )


class _Responses:
    def __init__(self, sdk: openai.OpenAI, model: str, system: str) -> None:
        self.sdk = sdk
        self.model = model
        self.system = system
        self.history: list[Any] = []

    def user(self, text: str, image: str = "") -> None:
        content: list[Json] = [{"type": "input_text", "text": text}]
        if image:
            content.insert(0, {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{image}"})
        self.history.append({"role": "user", "content": content})

    def result(self, call_id: str, text: str) -> None:
        self.history.append({"type": "function_call_output", "call_id": call_id, "output": text})

    def ask(self, *, stream: bool, **more: Any) -> Answer:
        asked: Json = {
            "model": self.model,
            "instructions": self.system,
            "input": self.history,
            "store": False,
            "include": ["reasoning.encrypted_content"],
            "tools": [
                {"type": "function", "name": name, "description": name, "parameters": schema, "strict": True}
                for name, schema in TOOLS.items()
            ],
            **more,
        }
        response: Any
        if stream:
            with self.sdk.responses.stream(**asked) as running:
                numbers = []
                response = None
                for event in running:
                    numbers.append(event.sequence_number)
                    if event.type == "response.incomplete":  # the accumulator takes a completed one alone
                        response = event.response
                assert numbers == list(range(len(numbers)))
                response = response or running.get_final_response()
        else:
            response = self.sdk.responses.create(**asked)
        self.history += response.output
        thoughts = [item for item in response.output if item.type == "reasoning"]
        uses = tuple(
            Call(i.call_id, i.name, json.loads(i.arguments)) for i in response.output if i.type == "function_call"
        )
        assert response.status in ("completed", "incomplete")
        usage = response.usage
        return Answer(
            response.output_text,
            "".join(part.text for item in thoughts for part in [*item.summary, *(item.content or [])]),
            uses,
            "length" if response.status == "incomplete" else "tools" if uses else "end",
            usage.input_tokens,
            usage.input_tokens_details.cached_tokens,
            usage.output_tokens,
            response.model,
        )


class _Chat:
    def __init__(self, sdk: openai.OpenAI, model: str, system: str) -> None:
        self.sdk = sdk
        self.model = model
        self.history: list[Any] = [{"role": "system", "content": system}]

    def user(self, text: str, image: str = "") -> None:
        content: list[Json] = [{"type": "text", "text": text}]
        if image:
            content.insert(0, {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}})
        self.history.append({"role": "user", "content": content})

    def result(self, call_id: str, text: str) -> None:
        self.history.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def ask(self, *, stream: bool, **more: Any) -> Answer:
        asked: Json = {
            "model": self.model,
            "messages": self.history,
            "tools": [
                {"type": "function", "function": {"name": n, "description": n, "parameters": s, "strict": True}}
                for n, s in TOOLS.items()
            ],
            **more,
        }
        completion: Any
        if stream:
            with self.sdk.chat.completions.stream(**asked, stream_options={"include_usage": True}) as running:
                with contextlib.suppress(openai.LengthFinishReasonError):  # it takes no answer that was cut short
                    running.until_done()
                completion = running.current_completion_snapshot
                for chunk in running._raw_stream:  # then the usage is still to come
                    completion.usage = chunk.usage or completion.usage
        else:
            completion = self.sdk.chat.completions.create(**asked)
        choice = completion.choices[0]
        message = choice.message
        self.history.append(message.model_dump(exclude_none=True, exclude={"parsed"}))
        usage = completion.usage
        return Answer(
            message.content or "",
            getattr(message, "reasoning_content", None) or "",
            tuple(Call(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or ()),
            {"stop": "end", "tool_calls": "tools", "length": "length"}[choice.finish_reason],
            usage.prompt_tokens,
            usage.prompt_tokens_details.cached_tokens,
            usage.completion_tokens,
            completion.model,
        )
