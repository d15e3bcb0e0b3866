"""What a provider says in each wire format: bodies, event streams, errors.  Pure; no I/O.

The shapes are those of api.anthropic.com/v1/messages and of api.openai.com (responses, chat completions, models),
reduced to what the clients and the official Python SDKs read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

INPUT_TOKENS, OUTPUT_TOKENS = 11, 7


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _event(name: str, data: Json) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + encode(data) + b"\n\n"


# Anthropic Messages


def anthropic_message(model: str, text: str) -> Json:
    return {
        "id": "msg_loopback",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS},
    }


def anthropic_stream(model: str, text: str) -> list[bytes]:
    """Return the events of one streamed message, one item each."""
    start = anthropic_message(model, text) | {"content": [], "stop_reason": None}
    start["usage"] = {"input_tokens": INPUT_TOKENS, "output_tokens": 1}
    events: list[Json] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": OUTPUT_TOKENS},
        },
        {"type": "message_stop"},
    ]
    return [_event(event["type"], event) for event in events]


def anthropic_error(kind: str, message: str) -> Json:
    """*kind* is for example ``authentication_error``, ``not_found_error``, ``rate_limit_error``."""
    return {"type": "error", "error": {"type": kind, "message": message}}


def anthropic_models(models: Sequence[str]) -> Json:
    rows = [{"type": "model", "id": m, "display_name": m, "created_at": "2026-01-01T00:00:00Z"} for m in models]
    first, last = (models[0], models[-1]) if models else (None, None)
    return {"data": rows, "has_more": False, "first_id": first, "last_id": last}


# OpenAI Responses


def responses_object(model: str, text: str, *, status: str = "completed") -> Json:
    done = status == "completed"
    return {
        "id": "resp_loopback",
        "object": "response",
        "created_at": 1767225600,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [_responses_item(text, "completed")] if done else [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": {
            "input_tokens": INPUT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": OUTPUT_TOKENS,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        }
        if done
        else None,
    }


def _responses_item(text: str, status: str) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": []}] if status == "completed" else []
    return {"id": "msg_loopback", "type": "message", "status": status, "role": "assistant", "content": content}


def responses_stream(model: str, text: str) -> list[bytes]:
    """Return the events of one streamed response, one item each."""
    place: Json = {"item_id": "msg_loopback", "output_index": 0, "content_index": 0}
    part: Json = {"type": "output_text", "text": text, "annotations": []}
    started = responses_object(model, text, status="in_progress")
    events: list[Json] = [
        {"type": "response.created", "response": started},
        {"type": "response.in_progress", "response": started},
        {"type": "response.output_item.added", "output_index": 0, "item": _responses_item(text, "in_progress")},
        {"type": "response.content_part.added", **place, "part": part | {"text": ""}},
        {"type": "response.output_text.delta", **place, "delta": text, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": _responses_item(text, "completed")},
        {"type": "response.completed", "response": responses_object(model, text)},
    ]
    return [_event(event["type"], event | {"sequence_number": number}) for number, event in enumerate(events)]


# OpenAI Chat Completions


def chat_completion(model: str, text: str) -> Json:
    return {
        "id": "chatcmpl-loopback",
        "object": "chat.completion",
        "created": 1767225600,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "finish_reason": "stop",
                "logprobs": None,
            }
        ],
        "usage": _chat_usage(),
    }


def chat_stream(model: str, text: str, *, usage: bool) -> list[bytes]:
    """Return the chunks of one streamed completion; *usage*: the request asked for ``include_usage``."""
    base = {"id": "chatcmpl-loopback", "object": "chat.completion.chunk", "created": 1767225600, "model": model}

    def chunk(delta: Json, reason: str | None) -> Json:
        return base | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]}

    chunks = [chunk({"role": "assistant", "content": ""}, None), chunk({"content": text}, None), chunk({}, "stop")]
    if usage:
        chunks.append(base | {"choices": [], "usage": _chat_usage()})
    return [b"data: " + encode(each) + b"\n\n" for each in chunks] + [b"data: [DONE]\n\n"]


def _chat_usage() -> Json:
    total = INPUT_TOKENS + OUTPUT_TOKENS
    return {"prompt_tokens": INPUT_TOKENS, "completion_tokens": OUTPUT_TOKENS, "total_tokens": total}


# OpenAI, common


def openai_error(kind: str, message: str, code: str | None = None) -> Json:
    """*kind* is for example ``invalid_request_error``; *code* for example ``invalid_api_key``."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def openai_models(models: Sequence[str]) -> Json:
    rows = [{"id": m, "object": "model", "created": 1767225600, "owned_by": "loopback"} for m in models]
    return {"object": "list", "data": rows}
